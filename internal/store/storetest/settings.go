package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

func settings(w *world) {
	put := func(r store.Setting) {
		w.Helper()
		w.write(func(tx store.Tx) error { return tx.PutSetting(ctx, r) })
	}
	a := store.Setting{Kind: "fruit", Name: "apple", Data: []byte("red"), Due: 3000}
	b := store.Setting{Kind: "fruit", Name: "bärry", Data: []byte{0, 255}, Due: 1000}
	c := store.Setting{Kind: "fruit", Name: "cherry", Data: []byte("sour")}
	other := store.Setting{Kind: "tool", Name: "apple", Data: []byte("a phone"), Due: 1}
	for _, r := range []store.Setting{c, a, other, b} {
		put(r)
	}
	same(w, "by name", a)(w.Setting(ctx, "fruit", "apple"))
	same(w, "of another kind", other)(w.Setting(ctx, "tool", "apple"))
	same(w, "all", []store.Setting{a, b, c})(w.Settings(ctx, "fruit", "", 9))
	same(w, "a page", []store.Setting{b})(w.Settings(ctx, "fruit", "apple", 1))
	same(w, "due by then", []store.Setting{b})(w.DueSettings(ctx, "fruit", time.UnixMilli(2999), 9))
	same(w, "due", []store.Setting{b, a})(w.DueSettings(ctx, "fruit", time.UnixMilli(3000), 9))
	same(w, "the first due", []store.Setting{b})(w.DueSettings(ctx, "fruit", time.UnixMilli(3000), 1))

	a.Data, a.Due = []byte("green"), 0
	w.write(func(tx store.Tx) error {
		if err := tx.PutSetting(ctx, a); err != nil {
			return err
		}
		same(w, "as a write sees it", a)(tx.Setting(ctx, "fruit", "apple"))
		return nil
	})
	same(w, "changed", a)(w.Setting(ctx, "fruit", "apple"))
	same(w, "due no more", []store.Setting{b})(w.DueSettings(ctx, "fruit", time.UnixMilli(9000), 9))

	err := w.tryWrite(func(tx store.Tx) error {
		if err := errors.Join(tx.PutSetting(ctx, store.Setting{Kind: "fruit", Name: "apple"}), tx.DeleteSetting(ctx, "fruit", "cherry")); err != nil {
			return err
		}
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) {
		w.Error(err)
	}
	same(w, "undone", []store.Setting{a, b, c})(w.Settings(ctx, "fruit", "", 9))

	w.write(func(tx store.Tx) error { return tx.DeleteSetting(ctx, "fruit", "apple") })
	same(w, "without it", []store.Setting{b, c})(w.Settings(ctx, "fruit", "", 9))
	if _, err := w.Setting(ctx, "fruit", "apple"); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("a setting that is gone: %v", err)
	}
	if err := w.tryWrite(func(tx store.Tx) error { return tx.DeleteSetting(ctx, "fruit", "apple") }); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("delete it again: %v", err)
	}
}
