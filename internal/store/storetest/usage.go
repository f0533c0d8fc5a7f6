package storetest

import (
	"errors"
	"fmt"
	"math"

	"github.com/lockstep-run/lockstep/internal/store"
)

func usage(key string, change func(*store.Usage)) store.Usage {
	reported := int64(7)
	u := store.Usage{
		Source: "s", Key: key, Run: "r", Rank: 2, At: 1_700_000_000_001, Day: 20261120, Provider: "p", Model: "m", Project: "P", Agent: "ä",
		Task: "P-1", Attempt: "a", Machine: "M", State: "S/1", Execution: "x", Billing: "metered", Labels: []string{"l1", "l2"},
		Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Reasoning: 1, Several: true,
		Reported: &reported, Computed: 10, Billed: 20, Shadow: 30, Marks: store.UnpricedMark, Price: "v", Counted: true,
	}
	if change != nil {
		change(&u)
	}
	return u
}

func usages(w *world) {
	add := func(list ...store.Usage) error {
		return w.tryWrite(func(tx store.Tx) error { return tx.AddUsages(ctx, list) })
	}
	a, b := usage("a", nil), usage("b", func(u *store.Usage) { u.Source, u.Run, u.Reported, u.Labels = "t", "", nil, nil })
	if err := add(a, b); err != nil {
		w.Fatal(err)
	}
	a.ID, b.ID = 1, 2
	same(w, "what was added", []store.Usage{a, b})(w.Usages(ctx, 0, 9))
	same(w, "from the first on", []store.Usage{b})(w.Usages(ctx, 1, 9))
	same(w, "one", []store.Usage{a})(w.Usages(ctx, 0, 1))
	same(w, "none", []store.Usage(nil))(w.Usages(ctx, 0, 0))
	same(w, "of an execution", []store.Usage{a, b})(w.UsagesOfExecution(ctx, "x", 0, 9))
	same(w, "of an execution from the first on", []store.Usage{b})(w.UsagesOfExecution(ctx, "x", 1, 9))
	same(w, "one of an execution", []store.Usage{a})(w.UsagesOfExecution(ctx, "x", 0, 1))
	same(w, "of no execution", []store.Usage(nil))(w.UsagesOfExecution(ctx, "", 0, 9))
	for _, list := range [][]store.Usage{{usage("c", nil), usage("a", nil)}, {usage("c", nil), usage("c", nil)}} {
		if err := add(list...); !errors.Is(err, store.ErrExists) {
			w.Errorf("add a usage that is there: %v, want ErrExists", err)
		}
	}
	same(w, "after that", []store.Usage{a, b})(w.Usages(ctx, 0, 9))
	w.write(func(tx store.Tx) error {
		same(w, "by its key", a)(tx.Usage(ctx, "s", "a"))
		same(w, "of a run", []store.Usage{a})(tx.UsagesOfRun(ctx, "r", 9))
		same(w, "of no run", []store.Usage(nil))(tx.UsagesOfRun(ctx, "", 9))
		if _, err := tx.Usage(ctx, "s", "b"); !errors.Is(err, store.ErrNotFound) {
			w.Errorf("a key of another source: %v, want ErrNotFound", err)
		}
		return nil
	})
	changed := a
	changed.Input, changed.Model = 99, "other" // these never change
	changed.Computed, changed.Billed, changed.Shadow, changed.Marks, changed.Price, changed.Counted = 1, 2, 3, 0, "w", false
	w.write(func(tx store.Tx) error { return tx.SaveUsages(ctx, []store.Usage{changed}) })
	a.Computed, a.Billed, a.Shadow, a.Marks, a.Price, a.Counted = 1, 2, 3, 0, "w", false
	same(w, "changed", []store.Usage{a, b})(w.Usages(ctx, 0, 9))
	if err := w.tryWrite(func(tx store.Tx) error { return tx.SaveUsages(ctx, []store.Usage{{ID: 77}}) }); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("save a usage that is not there: %v, want ErrNotFound", err)
	}
	if err := w.tryWrite(func(tx store.Tx) error {
		if err := tx.AddUsages(ctx, []store.Usage{usage("d", nil)}); err != nil {
			return err
		}
		if err := tx.SaveUsages(ctx, []store.Usage{{ID: 2}}); err != nil {
			return err
		}
		return errUndo
	}); !errors.Is(err, errUndo) {
		w.Error(err)
	}
	same(w, "after what was undone", []store.Usage{a, b})(w.Usages(ctx, 0, 9))
	same(w, "their sum", store.UsageTotals{Events: 1, Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Billed: 20, Shadow: 30, Unpriced: 1, Marked: 1})(
		w.UsageOf(ctx, "all", "", 0, math.MaxInt64))
}

func usageSums(w *world) {
	add := func(key string, change func(*store.Usage)) {
		w.Helper()
		w.write(func(tx store.Tx) error { return tx.AddUsages(ctx, []store.Usage{usage(key, change)}) })
	}
	add("1", nil)
	add("2", func(u *store.Usage) { u.Day, u.Agent, u.Shadow, u.Marks = 20261121, "b", 100, 1 })
	add("3", func(u *store.Usage) { u.Day, u.Agent, u.Labels, u.Marks = 20261121, "", nil, 0 })
	add("4", func(u *store.Usage) { u.Counted = false })
	f := func(by string, from, to int64, daily bool, limit int, want ...string) {
		w.Helper()
		list, err := w.UsageSums(ctx, store.SumQuery{By: by, From: from, To: to, Daily: daily, Limit: limit})
		if err != nil {
			w.Fatal(err)
		}
		var got []string
		for _, s := range list {
			if s.By != by {
				w.Errorf("a sum by %s among those by %s", s.By, by)
			}
			got = append(got, fmt.Sprintf("%s %d: %d, %d in, %d out, $%d, $%d, %d unpriced, %d marked", s.Name, s.Day, s.Events, s.Input+s.CacheRead+s.CacheWrite5m+s.CacheWrite1h, s.Output, s.Billed, s.Shadow, s.Unpriced, s.Marked))
		}
		same(w, fmt.Sprint("by ", by), want)(got, nil)
	}
	const all = 99999999
	f("all", 0, all, false, 9, " 0: 3, 30 in, 15 out, $60, $160, 1 unpriced, 2 marked")
	f("all", 0, all, true, 9, " 20261120: 1, 10 in, 5 out, $20, $30, 1 unpriced, 1 marked", " 20261121: 2, 20 in, 10 out, $40, $130, 0 unpriced, 1 marked")
	f("all", 20261121, 20261121, false, 9, " 0: 2, 20 in, 10 out, $40, $130, 0 unpriced, 1 marked")
	f("all", 20261122, all, false, 9)
	f("agent", 0, all, false, 9, "b 0: 1, 10 in, 5 out, $20, $100, 0 unpriced, 1 marked", "ä 0: 1, 10 in, 5 out, $20, $30, 1 unpriced, 1 marked")
	f("agent", 0, all, false, 1, "b 0: 1, 10 in, 5 out, $20, $100, 0 unpriced, 1 marked")
	f("agent", 0, all, false, 0)
	f("state", 0, all, false, 9, "M/S/1 0: 3, 30 in, 15 out, $60, $160, 1 unpriced, 2 marked")
	f("model", 0, all, false, 9, "p/m 0: 3, 30 in, 15 out, $60, $160, 1 unpriced, 2 marked")
	f("label", 20261120, 20261120, true, 9, "l1 20261120: 1, 10 in, 5 out, $20, $30, 1 unpriced, 1 marked", "l2 20261120: 1, 10 in, 5 out, $20, $30, 1 unpriced, 1 marked")
	f("nothing", 0, all, false, 9)
	w.write(func(tx store.Tx) error {
		same(w, "in a write", store.UsageTotals{Events: 1, Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Billed: 20, Shadow: 100, Marked: 1})(
			tx.UsageOf(ctx, "agent", "b", 20261101, 20261130))
		same(w, "of nobody", store.UsageTotals{})(tx.UsageOf(ctx, "agent", "nobody", 0, all))
		return nil
	})

	// Taken out of the sums, and back in with another cost.
	u := usage("1", func(u *store.Usage) { u.ID, u.Counted = 1, false })
	w.write(func(tx store.Tx) error { return tx.SaveUsages(ctx, []store.Usage{u}) })
	f("all", 20261120, 20261120, false, 9, " 0: 0, 0 in, 0 out, $0, $0, 0 unpriced, 0 marked")
	u.Counted, u.Billed, u.Marks = true, 21, 0
	w.write(func(tx store.Tx) error { return tx.SaveUsages(ctx, []store.Usage{u, u}) })
	f("all", 20261120, 20261120, false, 9, " 0: 1, 10 in, 5 out, $21, $30, 0 unpriced, 0 marked")

	// What would overflow stops growing.
	for i := range 4 {
		add(fmt.Sprint("huge", i), func(u *store.Usage) { u.Day, u.Billed = 20270101, math.MaxInt64 })
	}
	f("task", 20270101, 20270101, true, 9, fmt.Sprintf("P-1 20270101: 4, 40 in, 20 out, $%d, $120, 4 unpriced, 4 marked", int64(store.MaxUsageTotal)))
}
