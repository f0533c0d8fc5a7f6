package worker_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// Whoever gives up a write that has begun still learns what came of it, and do is
// never called behind the back of one who has gone.
func TestWriteGivenUp(t *testing.T) {
	h := start(t, memory.New(), nil)

	ctx, cancel := context.WithCancel(t.Context())
	kept := 0
	err := h.Write(ctx, func(_ context.Context, tx store.Tx) error {
		cancel()
		kept++
		return tx.PutSetting(t.Context(), store.Setting{Kind: "k", Name: "n"})
	})
	if err != nil || kept != 1 {
		t.Errorf("%v after %d calls; want what came of it", err, kept)
	}

	for range 100 {
		called := 0
		err := h.Write(ctx, func(context.Context, store.Tx) error { called++; return nil }) // ctx has ended
		if err == nil != (called == 1) || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v after %d calls", err, called)
		}
	}
}

// A write ahead is made with what follows it, in its order, and by itself where
// nothing follows; done learns what came of it.
func TestWriteAhead(t *testing.T) {
	h := start(t, memory.New(), nil)
	var order []string
	take := func(name string) func(context.Context, store.Tx) error {
		return func(context.Context, store.Tx) error { order = append(order, name); return nil }
	}
	done := make(chan error, 1)
	h.WriteAhead(take("ahead"), func(err error) { done <- err })
	if err := h.Write(t.Context(), take("what follows")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !slices.Equal(order, []string{"ahead", "what follows"}) {
		t.Errorf("%v after %v", err, order)
	}
	wrong := errors.New("wrong")
	h.WriteAhead(func(context.Context, store.Tx) error { return wrong }, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, wrong) {
		t.Errorf("alone it gave %v", err)
	}
}
