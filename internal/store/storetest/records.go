package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/store"
)

func records(w *world) {
	save := func(r store.Record) error {
		return w.tryWrite(func(tx store.Tx) error { return tx.SaveRecord(ctx, r) })
	}
	must := func(r store.Record) store.Record {
		w.Helper()
		if err := save(r); err != nil {
			w.Fatal(err)
		}
		r.Version++
		return r
	}
	a := must(store.Record{Kind: "task", ID: "ä", Keys: []string{"x", "y\x00z"}, Data: []byte{0xff, 0}})
	same(w, "a record", a)(w.Record(ctx, "task", "ä"))
	b := must(store.Record{Kind: "review", ID: "ä", Data: []byte(strings.Repeat("r", 100_000))})
	same(w, "of another kind", b)(w.Record(ctx, "review", "ä"))
	a.Keys, a.Data = []string{"y\x00z", "v"}, []byte("{}")
	a = must(a)
	same(w, "changed", a)(w.Record(ctx, "task", "ä"))
	same(w, "no more under x", []store.Found(nil))(w.Records(ctx, store.Prefix("task", "x", 9)))
	for _, version := range []int64{0, 1, 3} {
		r := a
		r.Version = version
		if err := save(r); !errors.Is(err, store.ErrConflict) {
			w.Errorf("save at version %d: %v, want ErrConflict", version, err)
		}
	}
	if err := save(store.Record{Kind: "task", ID: "none", Version: 1, Data: []byte("{}")}); !errors.Is(err, store.ErrConflict) {
		w.Errorf("change a record that is not there: %v, want ErrConflict", err)
	}
	w.write(func(tx store.Tx) error {
		r := a
		r.Keys = []string{"new"}
		if err := tx.SaveRecord(ctx, r); err != nil {
			return err
		}
		r.Version++
		same(w, "as its write sees it", r)(tx.Record(ctx, "task", "ä"))
		same(w, "as its write lists it", []store.Found{{Key: "new", Record: r}})(tx.Records(ctx, store.Prefix("task", "", 9)))
		if err := tx.DeleteRecord(ctx, "task", "ä"); err != nil {
			return err
		}
		return tx.SaveRecord(ctx, store.Record{Kind: "task", ID: "ä", Keys: []string{"again"}, Data: []byte("{}")})
	})
	same(w, "made anew", store.Record{Kind: "task", ID: "ä", Version: 1, Keys: []string{"again"}, Data: []byte("{}")})(w.Record(ctx, "task", "ä"))
	undone := errors.New("undone")
	if err := w.tryWrite(func(tx store.Tx) error { return errors.Join(tx.DeleteRecord(ctx, "task", "ä"), undone) }); !errors.Is(err, undone) {
		w.Error(err)
	}
	if list, err := w.Records(ctx, store.Prefix("task", "again", 9)); err != nil || len(list) != 1 {
		w.Errorf("after a deletion that was undone: %v, %v", list, err)
	}
	if _, err := w.Record(ctx, "task", "none"); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("a record that is not there: %v", err)
	}
	if err := w.tryWrite(func(tx store.Tx) error { return tx.DeleteRecord(ctx, "task", "none") }); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("delete a record that is not there: %v", err)
	}
}

func recordsByKey(w *world) {
	w.write(func(tx store.Tx) error {
		for i, keys := range [][]string{{"b", "a1"}, {"a1"}, {"a"}, {"a2", "ab"}} {
			if err := tx.SaveRecord(ctx, store.Record{Kind: "k", ID: fmt.Sprint(i), Keys: keys, Data: []byte("{}")}); err != nil {
				return err
			}
		}
		return tx.SaveRecord(ctx, store.Record{Kind: "l", ID: "9", Keys: []string{"a1"}, Data: []byte("{}")})
	})
	f := func(q store.RecordQuery, want string) {
		w.Helper()
		list, err := w.Records(ctx, q)
		if err != nil {
			w.Fatal(err)
		}
		got := ""
		for _, r := range list {
			got += fmt.Sprintf("%s=%s ", r.Key, r.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("Records(%+v) (-want +got):\n%s", q, diff)
		}
	}
	f(store.Prefix("k", "a", 9), "a=2 a1=0 a1=1 a2=3 ab=3 ")
	f(store.Prefix("k", "a1", 9), "a1=0 a1=1 ")
	f(store.Prefix("k", "a1", 1), "a1=0 ")
	f(store.Prefix("k", "a1", 0), "")
	f(store.Prefix("k", "", 9), "a=2 a1=0 a1=1 a2=3 ab=3 b=0 ")
	f(store.Prefix("m", "", 9), "")
	f(store.RecordQuery{Kind: "k", From: "a1", AfterID: "0", Limit: 2}, "a1=1 a2=3 ")
	f(store.RecordQuery{Kind: "k", From: "a1", AfterID: "1", To: "b", Limit: 9}, "a2=3 ab=3 ")
	f(store.RecordQuery{Kind: "k", From: "a2", To: "ab", Limit: 9}, "a2=3 ")
}

func events(w *world) {
	add := func(n int, topics ...string) store.Event {
		e := store.Event{At: int64(n) * 1000, Type: fmt.Sprint("t", n), Topics: topics, Data: []byte(fmt.Sprint(n))}
		w.write(func(tx store.Tx) (err error) {
			e.Seq, err = tx.AddEvent(ctx, e)
			return err
		})
		return e
	}
	e1, e2 := add(1, "a", "b"), add(2)
	undone := errors.New("undone")
	err := w.tryWrite(func(tx store.Tx) error {
		seq, err := tx.AddEvent(ctx, store.Event{Type: "no", Topics: []string{"a"}, Data: []byte("{}")})
		if seq != 3 {
			w.Errorf("sequence number %d", seq)
		}
		return errors.Join(err, undone)
	})
	if !errors.Is(err, undone) {
		w.Error(err)
	}
	e3 := add(3, "a")
	if e1.Seq != 1 || e2.Seq != 2 || e3.Seq != 3 {
		w.Errorf("sequence numbers %d, %d, %d", e1.Seq, e2.Seq, e3.Seq)
	}
	same(w, "the feed", []store.Event{e1, e2, e3})(w.Events(ctx, 0, 9))
	same(w, "resumed", []store.Event{e2})(w.Events(ctx, 1, 1))
	same(w, "its end", []store.Event(nil))(w.Events(ctx, 3, 9))
	same(w, "of a topic", []store.Event{e3, e1})(w.EventsOf(ctx, "a", 0, 9))
	same(w, "before", []store.Event{e1})(w.EventsOf(ctx, "a", 3, 9))
	same(w, "of no topic", []store.Event(nil))(w.EventsOf(ctx, "none", 0, 9))
}
