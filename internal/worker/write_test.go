package worker_test

import (
	"context"
	"errors"
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
