package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

func records(w *world) {
	put := func(r store.Record) {
		w.Helper()
		w.write(func(tx store.Tx) error { return tx.PutRecord(ctx, r) })
	}
	a := store.Record{Kind: "fruit", Name: "apple", Data: []byte("red"), Due: 3000}
	b := store.Record{Kind: "fruit", Name: "bärry", Data: []byte{0, 255}, Due: 1000}
	c := store.Record{Kind: "fruit", Name: "cherry", Data: []byte("sour")}
	other := store.Record{Kind: "tool", Name: "apple", Data: []byte("a phone"), Due: 1}
	for _, r := range []store.Record{c, a, other, b} {
		put(r)
	}
	same(w, "by name", a)(w.Record(ctx, "fruit", "apple"))
	same(w, "of another kind", other)(w.Record(ctx, "tool", "apple"))
	same(w, "all", []store.Record{a, b, c})(w.Records(ctx, "fruit", "", 9))
	same(w, "a page", []store.Record{b})(w.Records(ctx, "fruit", "apple", 1))
	same(w, "due by then", []store.Record{b})(w.DueRecords(ctx, "fruit", time.UnixMilli(2999), 9))
	same(w, "due", []store.Record{b, a})(w.DueRecords(ctx, "fruit", time.UnixMilli(3000), 9))
	same(w, "the first due", []store.Record{b})(w.DueRecords(ctx, "fruit", time.UnixMilli(3000), 1))

	a.Data, a.Due = []byte("green"), 0
	w.write(func(tx store.Tx) error {
		if err := tx.PutRecord(ctx, a); err != nil {
			return err
		}
		same(w, "as a write sees it", a)(tx.Record(ctx, "fruit", "apple"))
		return nil
	})
	same(w, "changed", a)(w.Record(ctx, "fruit", "apple"))
	same(w, "due no more", []store.Record{b})(w.DueRecords(ctx, "fruit", time.UnixMilli(9000), 9))

	err := w.tryWrite(func(tx store.Tx) error {
		if err := errors.Join(tx.PutRecord(ctx, store.Record{Kind: "fruit", Name: "apple"}), tx.DeleteRecord(ctx, "fruit", "cherry")); err != nil {
			return err
		}
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) {
		w.Error(err)
	}
	same(w, "undone", []store.Record{a, b, c})(w.Records(ctx, "fruit", "", 9))

	w.write(func(tx store.Tx) error { return tx.DeleteRecord(ctx, "fruit", "apple") })
	same(w, "without it", []store.Record{b, c})(w.Records(ctx, "fruit", "", 9))
	if _, err := w.Record(ctx, "fruit", "apple"); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("a record that is gone: %v", err)
	}
	if err := w.tryWrite(func(tx store.Tx) error { return tx.DeleteRecord(ctx, "fruit", "apple") }); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("delete it again: %v", err)
	}
}
