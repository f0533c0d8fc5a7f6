package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// ended is an execution that has failed at a time.
func ended(id store.ExecutionID, at int64) store.ExecutionCommit {
	return newExecution(id, engine.Delta{Status: engine.Failed, StoppedAt: at, Head: []byte("head"), History: chunk(1, 2)})
}

// remove removes an execution and returns what it says.
func (w *world) remove(id store.ExecutionID, before int64) error {
	w.Helper()
	return w.tryWrite(func(tx store.Tx) error { return tx.RemoveExecution(ctx, id, before) })
}

// tidy removes all that is left over, a few pieces at a time.
func (w *world) tidy() {
	w.Helper()
	for more, rounds := true, 0; more; rounds++ {
		w.write(func(tx store.Tx) (err error) { more, err = tx.RemoveLeftovers(ctx, 7); return err })
		if rounds > 1000 {
			w.Fatal("there is no end to what is left over")
		}
	}
}

// gone checks that nothing finds an execution.
func (w *world) gone(id store.ExecutionID, name string) {
	w.Helper()
	_, err := w.Execution(ctx, id)
	w.fails("Execution", err, store.ErrNotFound)
	_, err = w.ExecutionNamed(ctx, 1, name)
	w.fails("ExecutionNamed", err, store.ErrNotFound)
	_, err = w.Snapshot(ctx, id)
	w.fails("Snapshot", err, store.ErrNotFound)
	_, err = w.chunks(id, false)
	w.fails("History", err, store.ErrNotFound)
	for _, q := range []store.ExecutionQuery{{Limit: 100}, {Machine: 1, Limit: 100}} {
		list, err := w.Executions(ctx, q)
		w.fails("Executions", err, nil)
		n, _, err := w.CountExecutions(ctx, q)
		w.fails("CountExecutions", err, nil)
		for _, x := range list {
			if x.ID == id {
				w.Errorf("execution %d is still listed", id)
			}
		}
		if n != int64(len(list)) {
			w.Errorf("%d executions are counted, %d are listed", n, len(list))
		}
	}
	w.fails("a step", w.try(store.ExecutionCommit{ID: id, Version: 1}), store.ErrConflict)
	w.fails("remove again", w.remove(id, 1e15), store.ErrNotFound)
}

func remove(w *world) {
	named := func(id store.ExecutionID, name string, d engine.Delta) {
		w.Helper()
		x := newExecution(id, d)
		x.New.Name, x.New.Generated = name, false
		x.New.Input = strings.Repeat("i", 5000)
		w.keep(x)
	}
	// One that has much of everything.
	named(1, "order", engine.Delta{Pending: true, History: chunk(1, 1)})
	for version := int64(1); version < 30; version++ {
		d := engine.Delta{Pending: true, History: chunk(version+1, 1)}
		d.Frames = append(d.Frames, frame(engine.FrameID(version+1), "f"))
		w.keep(store.ExecutionCommit{ID: 1, Version: version, Delta: d})
	}
	w.keep(store.ExecutionCommit{ID: 1, Version: 30, Delta: engine.Delta{Status: engine.Failed, StoppedAt: 900, Head: []byte("h")}})
	w.keep(store.ExecutionCommit{ID: 1, Version: 31, Delta: engine.Delta{Redrives: 1, RedrivenAt: 950, Head: []byte("h")}})
	w.fails("remove what runs again", w.remove(1, 1e15), store.ErrConflict)
	w.keep(store.ExecutionCommit{ID: 1, Version: 32, Delta: engine.Delta{Status: engine.Failed, StoppedAt: 1000, Redrives: 1, RedrivenAt: 950, Head: []byte("h")}})
	named(2, "other", engine.Delta{Status: engine.Succeeded, StoppedAt: 1000, History: chunk(1, 2), Output: ptr("out")})
	w.keep(newExecution(3, engine.Delta{}))

	w.fails("not there", w.remove(99, 1e15), store.ErrNotFound)
	w.fails("it runs", w.remove(3, 1e15), store.ErrConflict)
	w.fails("its last end was not before", w.remove(1, 1000), store.ErrConflict)
	if _, err := w.chunks(1, false); err != nil {
		w.Error(err)
	}
	w.fails("remove", w.remove(1, 1001), nil)
	w.gone(1, "order")
	w.tidy()
	w.gone(1, "order")

	// The other is whole, and the name is free.
	same(w, "history of the other", []engine.Chunk{chunk(1, 2)})(w.chunks(2, false))
	if x, err := w.ExecutionNamed(ctx, 1, "other"); err != nil || x.ID != 2 || len(x.Input) != 5000 || x.Redrives != 0 {
		w.Errorf("the other is %+.100v, %v", x, err)
	}
	named(4, "order", engine.Delta{History: chunk(1, 1)})
	same(w, "history of the new one", []engine.Chunk{chunk(1, 1)})(w.chunks(4, false))
	same(w, "what has begun since", store.ExecutionID(4))(w.FirstSince(ctx, 1004))
	same(w, "what has begun since", store.ExecutionID(2))(w.FirstSince(ctx, 0))
	if s, err := w.Snapshot(ctx, 4); err != nil || len(s.Frames) > 0 {
		w.Errorf("the new one has frames: %+v, %v", s, err)
	}
	same(w, "due", []store.DueExecution(nil))(w.Due(ctx, time.UnixMilli(1e15), 10))
}

func removeIsUndone(w *world) {
	for id := range store.ExecutionID(3) {
		w.keep(ended(id+1, 100))
	}
	before, err := w.Snapshot(ctx, 2)
	w.fails("Snapshot", err, nil)
	w.fails("write", w.tryWrite(func(tx store.Tx) error {
		if err := tx.RemoveExecution(ctx, 2, 200); err != nil {
			return err
		}
		return context.Canceled
	}), context.Canceled)
	same(w, "snapshot", before)(w.Snapshot(ctx, 2))
	same(w, "history", []engine.Chunk{chunk(1, 2)})(w.chunks(2, false))
	list, err := w.Executions(ctx, store.ExecutionQuery{Machine: 1, Limit: 10})
	if err != nil || len(list) != 3 || list[1].ID != 2 {
		w.Errorf("%+v, %v", list, err)
	}
}

func removeMapRuns(w *world) {
	w.asks(0, begins("a", 0, 1000))
	w.asks(1, begins("b", 0, 1000))
	child := func(id store.ExecutionID, run store.MapRunID) {
		x := ended(id, 1500)
		x.New.Child = store.Child{Run: run, Index: int64(id), Items: 1}
		w.keep(x)
	}
	child(2, 1)
	child(3, 2)
	for i := range 40 {
		w.write(func(tx store.Tx) error { return tx.AddResults(ctx, 1, []byte(fmt.Sprint("result ", i))) })
	}
	w.keep(store.ExecutionCommit{ID: 1, Version: 2, Delta: engine.Delta{Status: engine.Aborted, StoppedAt: 2000, Head: []byte("h")}})
	save := func(id store.MapRunID, status engine.Status) {
		w.Helper()
		w.write(func(tx store.Tx) error {
			return tx.SaveMapRun(ctx, store.MapRun{ID: id, Status: status, StoppedAt: 2000})
		})
	}
	save(1, engine.Succeeded)
	w.fails("a run is open", w.remove(1, 1e15), store.ErrConflict)
	save(2, engine.Aborted)
	w.fails("a child of a run", w.remove(2, 1e15), store.ErrConflict)
	w.fails("all runs have ended", w.remove(1, 1e15), nil)
	w.gone(1, "generated-1")
	for _, name := range []string{"a", "b"} {
		_, err := w.MapRun(ctx, name)
		w.fails("MapRun", err, store.ErrNotFound)
	}
	same(w, "runs", []store.MapRun(nil))(w.MapRuns(ctx, 1, 0, 9))
	w.tidy()
	if err := w.Results(ctx, 1, func([]byte) bool { w.Error("results are there"); return false }); err != nil {
		w.Error(err)
	}
	for _, id := range []store.ExecutionID{2, 3} {
		w.fails("a child of a run that is gone", w.remove(id, 1e15), nil)
		w.gone(id, "")
	}
}

func removeTheNewest(w *world) {
	for id := range store.ExecutionID(3) {
		w.keep(ended(id+1, 100))
	}
	w.fails("remove", w.remove(3, 200), nil)
	w.fails("remove", w.remove(2, 200), nil)
	same(w, "last", store.ExecutionID(3))(w.LastExecution(ctx))
	same(w, "nothing since", store.ExecutionID(4))(w.FirstSince(ctx, 1e15))
	same(w, "one since", store.ExecutionID(1))(w.FirstSince(ctx, 1001))
	same(w, "none any more since", store.ExecutionID(4))(w.FirstSince(ctx, 1002))
	w.keep(ended(7, 100))
	same(w, "last", store.ExecutionID(7))(w.LastExecution(ctx))
}

func outlines(w *world) {
	w.asks(0, begins("a", 0, 1000))
	x := ended(2, 1500)
	x.New.Machine, x.New.Revision = 5, 6
	w.keep(x)
	child := ended(4, 1600)
	child.New.Child = store.Child{Run: 1, Index: 0, Items: 1}
	w.keep(child)
	orphan := ended(5, 1600)
	orphan.New.Child = store.Child{Run: 77, Index: 0, Items: 1}
	w.keep(orphan)
	want := []store.Outline{
		{ID: 1, Machine: 1, Revision: 1, StartedAt: 1001},
		{ID: 2, Machine: 5, Revision: 6, Status: engine.Failed, StartedAt: 1002, StoppedAt: 1500},
		{ID: 4, Machine: 1, Revision: 1, Status: engine.Failed, StartedAt: 1004, StoppedAt: 1600, Run: 1},
		{ID: 5, Machine: 1, Revision: 1, Status: engine.Failed, StartedAt: 1005, StoppedAt: 1600, Run: 77, Orphan: true},
	}
	same(w, "all", want)(w.Outlines(ctx, 0, 10))
	same(w, "a page", want[1:3])(w.Outlines(ctx, 1, 2))
	same(w, "none", []store.Outline(nil))(w.Outlines(ctx, 5, 10))
	same(w, "no limit", []store.Outline(nil))(w.Outlines(ctx, 0, 0))
}

func oldRevisions(w *world) {
	var m, deleted store.Machine
	var ids []store.RevisionID
	w.write(func(tx store.Tx) (err error) {
		if m, err = tx.CreateMachine(ctx, store.Machine{Name: "m"}, store.Revision{CreatedAt: 100}); err != nil {
			return err
		}
		ids = append(ids, m.Current)
		for at := int64(200); at <= 600; at += 100 {
			id, err := tx.AddRevision(ctx, store.Revision{Machine: m.ID, CreatedAt: at})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		_, err = tx.AddVersion(ctx, store.Version{Machine: m.ID, Revision: ids[1]})
		return err
	})
	w.write(func(tx store.Tx) (err error) {
		if deleted, err = tx.CreateMachine(ctx, store.Machine{Name: "deleted"}, store.Revision{CreatedAt: 300}); err != nil {
			return err
		}
		if err := tx.KeepStarts(ctx, []store.ExpressStart{{ID: 9, Revision: ids[3]}}); err != nil {
			return err
		}
		return tx.DeleteMachine(ctx, deleted.ID)
	})
	// The second has a version, the last is current, the one before was followed at 600.
	same(w, "old", []store.RevisionID{ids[0], ids[2], ids[3], deleted.Current})(w.OldRevisions(ctx, 600, 0, 10))
	same(w, "a page", []store.RevisionID{ids[2]})(w.OldRevisions(ctx, 600, ids[0], 1))
	same(w, "older", []store.RevisionID{ids[0]})(w.OldRevisions(ctx, 300, 0, 10))

	f := func(id store.RevisionID, want error) {
		w.Helper()
		w.fails(fmt.Sprint("delete revision ", id), w.tryWrite(func(tx store.Tx) error { return tx.DeleteRevision(ctx, id) }), want)
		if _, err := w.Revision(ctx, id); (err == nil) != (want == store.ErrConflict) {
			w.Errorf("revision %d afterwards: %v", id, err)
		}
	}
	f(ids[0], nil)
	f(ids[0], store.ErrNotFound)
	f(ids[1], store.ErrConflict) // a version
	f(ids[2], nil)
	f(ids[3], store.ErrConflict) // a start
	f(ids[5], store.ErrConflict) // current
	f(deleted.Current, nil)
	same(w, "machine", m.ID)(func() (store.MachineID, error) { got, err := w.Machine(ctx, "m"); return got.ID, err }())
}
