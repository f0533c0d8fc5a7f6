package storetest

import (
	"context"
	"errors"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/store"
)

func expressStarts(w *world) {
	start := func(id store.ExecutionID) store.ExpressStart {
		return store.ExpressStart{
			ID: id, Machine: 2, Revision: 3, Name: "näme", StartedAt: 1_700_000_000_001,
			Input: strings.Repeat("i", int(id%100)*1000), Trace: "Root=1", Via: store.Via{Number: 4, Alias: "live"},
		}
	}
	write := func(do func(tx store.Tx) error) error {
		c := &store.Commit{Writes: []store.Write{{Do: func(_ context.Context, tx store.Tx) error { return do(tx) }}}}
		w.commit(c)
		return c.Writes[0].Err
	}
	keep := func(ids ...store.ExecutionID) error {
		var starts []store.ExpressStart
		for _, id := range ids {
			starts = append(starts, start(id))
		}
		return write(func(tx store.Tx) error { return tx.KeepStarts(ctx, starts) })
	}
	drop := func(ids ...store.ExecutionID) error {
		return write(func(tx store.Tx) error { return tx.DropStarts(ctx, ids) })
	}
	f := func(after store.ExecutionID, limit int, want ...store.ExecutionID) {
		w.Helper()
		got, err := w.Starts(ctx, after, limit)
		if err != nil {
			w.Fatal(err)
		}
		var wanted []store.ExpressStart
		for _, id := range want {
			wanted = append(wanted, start(id))
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			w.Errorf("Starts(%d, %d) (-want +got):\n%s", after, limit, diff)
		}
	}
	const big = 1 << 47 // ids are made from the time
	f(0, 9)
	if err := keep(big+7, 2, 5); err != nil {
		w.Fatal(err)
	}
	f(0, 9, 2, 5, big+7)
	f(2, 1, 5)
	f(0, 0)
	if err := keep(6, 5); !errors.Is(err, store.ErrExists) {
		w.Errorf("an id that is kept: %v, want ErrExists", err)
	}
	f(0, 9, 2, 5, big+7) // 6 went with 5
	if err := drop(5, 99); err != nil {
		w.Errorf("drop: %v", err)
	}
	f(0, 9, 2, big+7)
}
