package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// asks commits a step of execution 1 that is about Map Runs.
func (w *world) asks(version int64, changes ...store.MapRunChange) {
	w.Helper()
	x := store.ExecutionCommit{ID: 1, Version: version, MapRuns: changes}
	if version == 0 {
		x = newExecution(1, engine.Delta{})
		x.MapRuns = changes
	}
	w.keep(x)
}

func begins(name string, redrives, at int64) store.MapRunChange {
	return store.MapRunChange{
		Name: name, Task: engine.TaskID{Frame: 3, Attempt: 2}, State: "M", Label: "läbel", Express: name == "b", Redrives: redrives, At: at,
	}
}

func mapRuns(w *world) {
	w.asks(0, begins("a", 0, 1000))
	w.asks(1, begins("b", 0, 2000))
	w.asks(2, begins("c", 0, 3000), begins("a", 0, 9000), store.MapRunChange{Name: "none", Stop: true}) // a is told again
	run := func(id store.MapRunID, name string, at int64) store.MapRun {
		return store.MapRun{ID: id, Name: name, Execution: 1, Task: engine.TaskID{Frame: 3, Attempt: 2}, State: "M", Label: "läbel", Express: name == "b", StartedAt: at}
	}
	a, b, c := run(1, "a", 1000), run(2, "b", 2000), run(3, "c", 3000)
	same(w, "by name", b)(w.MapRun(ctx, "b"))
	same(w, "by id", c)(w.MapRunByID(ctx, 3))
	same(w, "newest first", []store.MapRun{c, b, a})(w.MapRuns(ctx, 1, 0, 9))
	same(w, "a page", []store.MapRun{b})(w.MapRuns(ctx, 1, 3, 1))
	same(w, "of another execution", []store.MapRun(nil))(w.MapRuns(ctx, 2, 0, 9))
	same(w, "open", []store.MapRun{b, c})(w.OpenMapRuns(ctx, 1, 9))

	save := func(r store.MapRun) error {
		return w.tryWrite(func(tx store.Tx) error { return tx.SaveMapRun(ctx, r) })
	}
	a.Status, a.StoppedAt, a.Progress = engine.Failed, 5000, []byte("far")
	if err := save(a); err != nil {
		w.Fatal(err)
	}
	same(w, "saved", a)(w.MapRunByID(ctx, 1))
	w.write(func(tx store.Tx) error {
		same(w, "as a write sees it", a)(tx.MapRun(ctx, 1))
		return nil
	})
	if err := save(store.MapRun{ID: 99}); !errors.Is(err, store.ErrNotFound) {
		w.Errorf("save a run that is not there: %v", err)
	}
	same(w, "open", []store.MapRun{b, c})(w.OpenMapRuns(ctx, 0, 9))

	// A redrive lets it go on; its time comes after the run had stopped.
	w.asks(3, begins("a", 1, 4000), store.MapRunChange{Name: "b", Stop: true})
	a.Status, a.StoppedAt, a.Redrives, a.RedrivenAt = engine.Running, 0, 1, 5001
	same(w, "redriven", a)(w.MapRunByID(ctx, 1))
	b.Stopping = true
	same(w, "to be stopped", b)(w.MapRunByID(ctx, 2))
	w.asks(4, begins("a", 1, 8000)) // told again
	same(w, "redriven once", a)(w.MapRunByID(ctx, 1))
}

func mapRunChildren(w *world) {
	w.asks(0, begins("a", 0, 1000))
	child := func(id store.ExecutionID, index int64, status engine.Status) {
		x := newExecution(id, engine.Delta{Status: status, Output: ptr(fmt.Sprint(index))})
		x.New.Child = store.Child{Run: 1, Index: index, Items: 2}
		x.New.Generated = true
		w.keep(x)
	}
	for i := range int64(4) { // not in the order of their ids
		child(store.ExecutionID(20-i), i, engine.Status(i%2))
	}
	got, err := w.Children(ctx, 1, 1, 2)
	if err != nil {
		w.Fatal(err)
	}
	var shown []string
	for _, x := range got {
		shown = append(shown, fmt.Sprintln(x.ID, x.Child, *x.Output, x.Input != ""))
	}
	if diff := cmp.Diff([]string{"19 {1 1 2} 1 true\n", "18 {1 2 2} 2 true\n"}, shown); diff != "" {
		w.Errorf("Children (-want +got):\n%s", diff)
	}
	ids := func(q store.ExecutionQuery) (list []store.ExecutionID) {
		w.Helper()
		q.Limit = 9
		all, err := w.Executions(ctx, q)
		if err != nil {
			w.Fatal(err)
		}
		for _, x := range all {
			list = append(list, x.ID)
			if (x.Child.Run == 1) != (q.Run == 1) {
				w.Errorf("execution %d: %v", x.ID, x.Child)
			}
		}
		return list
	}
	f := func(q store.ExecutionQuery, want ...store.ExecutionID) {
		w.Helper()
		if diff := cmp.Diff(want, ids(q)); diff != "" {
			w.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
	succeeded := engine.Succeeded
	f(store.ExecutionQuery{Run: 1}, 20, 19, 18, 17)
	f(store.ExecutionQuery{Run: 1, Status: &succeeded}, 19, 17)
	f(store.ExecutionQuery{Run: 1, Before: 19}, 18, 17)
	f(store.ExecutionQuery{Machine: newExecution(1, engine.Delta{}).New.Machine}, 1)
}

func mapRunResults(w *world) {
	w.asks(0, begins("a", 0, 1000))
	w.asks(1, begins("b", 0, 1000))
	rows := map[store.MapRunID][]string{}
	add := func(run store.MapRunID, text string) {
		w.Helper()
		w.write(func(tx store.Tx) error { return tx.AddResults(ctx, run, []byte(text)) })
		rows[run] = append(rows[run], text)
	}
	for i := range 120 { // more than a page
		add(1+store.MapRunID(i%2), strings.Repeat(fmt.Sprint(i), 1+i))
	}
	for run := range store.MapRunID(4) {
		var got []string
		err := w.Results(ctx, run, func(row []byte) bool {
			got = append(got, string(row))
			return true
		})
		if err != nil {
			w.Fatal(err)
		}
		if diff := cmp.Diff(rows[run], got); diff != "" {
			w.Errorf("Results(%d) (-want +got):\n%s", run, diff)
		}
	}
	n := 0
	if err := w.Results(ctx, 1, func([]byte) bool { n++; return n < 2 }); err != nil || n != 2 {
		w.Errorf("%d rows, %v", n, err)
	}
	err := w.tryWrite(func(tx store.Tx) error { return tx.AddResults(ctx, 9, []byte("x")) })
	if !errors.Is(err, store.ErrNotFound) {
		w.Errorf("results of a run that is not there: %v", err)
	}
	err = w.tryWrite(func(tx store.Tx) error {
		if err := tx.AddResults(ctx, 1, []byte("undone")); err != nil {
			return err
		}
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) {
		w.Error(err)
	}
	last := ""
	if err := w.Results(ctx, 1, func(row []byte) bool { last = string(row); return true }); err != nil || last == "undone" {
		w.Errorf("%q is there, %v", last, err)
	}
}
