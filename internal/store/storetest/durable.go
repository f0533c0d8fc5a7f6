package storetest

import (
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// RunDurable tests that what was committed is there when the store is opened
// again. prepare gives a function that opens the same, at first empty, store
// each time; RunDurable closes it.
func RunDurable(t *testing.T, prepare func(t *testing.T) (open func() store.Store)) {
	t.Run("Reopen", func(t *testing.T) { reopen(t, prepare(t)) })
	t.Run("ReopenRemoved", func(t *testing.T) { reopenRemoved(t, prepare(t)) })
	t.Run("ReopenRandom", func(t *testing.T) { reopenRandom(t, prepare(t)) })
}

func reopen(t *testing.T, open func() store.Store) {
	w := &world{T: t, Store: open()}
	machine := store.Machine{Name: "m", Tags: []store.Tag{{Key: "k", Value: "v"}}}
	var activity store.Activity
	w.write(func(tx store.Tx) (err error) {
		if machine, err = tx.CreateMachine(ctx, machine, store.Revision{Definition: "{}"}); err != nil {
			return err
		}
		activity, err = tx.CreateActivity(ctx, store.Activity{Name: "a"})
		return err
	})
	task := engine.TaskID{Frame: 2, Attempt: 1}
	w.keep(store.ExecutionCommit{
		ID: 1, New: &store.NewExecution{Machine: machine.ID, Name: "named", Input: "{}"},
		Delta:   engine.Delta{Head: []byte("h"), Due: 7, Pending: true, History: chunk(1, 2), Frames: []engine.FrameRecord{frame(2, "f")}},
		Enqueue: []store.QueuedTask{{Activity: activity.ID, Task: task}},
	})
	snapshot, err := w.Snapshot(ctx, 1)
	w.fails("Snapshot", err, nil)
	queued, err := w.Queued(ctx, activity.ID, 0, 10)
	w.fails("Queued", err, nil)
	key, err := w.Secret(ctx)
	w.fails("Secret", err, nil)
	w.fails("Close", w.Close(), nil)

	w.Store = open()
	defer w.Close()
	same(w, "secret", key)(w.Secret(ctx))
	same(w, "machine", machine)(w.Machine(ctx, "m"))
	same(w, "activity", activity)(w.Activity(ctx, "a"))
	same(w, "snapshot", snapshot)(w.Snapshot(ctx, 1))
	same(w, "queue", queued)(w.Queued(ctx, activity.ID, 0, 10))
	same(w, "pending", []store.ExecutionID{1})(w.Pending(ctx, 0, 10))
	same(w, "last", store.ExecutionID(1))(w.LastExecution(ctx))

	// It goes on where it stopped.
	w.fails("taken", w.try(store.ExecutionCommit{ID: 2, New: &store.NewExecution{Machine: machine.ID, Name: "named"}}), store.ErrExists)
	w.fails("old version", w.try(store.ExecutionCommit{ID: 1, Version: 0 + 5}), store.ErrConflict)
	w.keep(store.ExecutionCommit{
		ID: 1, Version: 1, Delta: engine.Delta{Status: engine.Succeeded, History: chunk(3, 1)},
		Dequeue: []engine.TaskID{task},
	})
	same(w, "history", []engine.Chunk{chunk(1, 2), chunk(3, 1)})(w.chunks(1, false))
	same(w, "queue", []store.QueuedTask(nil))(w.Queued(ctx, activity.ID, 0, 10))
	w.write(func(tx store.Tx) error {
		m, err := tx.CreateMachine(ctx, store.Machine{Name: "m2"}, store.Revision{})
		if err == nil && (m.ID <= machine.ID || m.Current <= machine.Current) {
			t.Errorf("ids went back: %+v after %+v", m, machine)
		}
		return err
	})
}

// reopenRandom closes and opens a store in the midst of random commits; what
// it shows before and after must be the same.
func reopenRandom(t *testing.T, open func() store.Store) {
	s := open()
	m := newModel(1, s)
	for range 5 {
		for range 30 {
			m.step(t)
		}
		before := dump(t, m.sides[0])
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		m.sides[0].Store = s
		if diff := difference(before, dump(t, m.sides[0])); diff != "" {
			t.Fatalf("before (-) and after (+) it was opened again:\n%s", diff)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// reopenRemoved shows that the ids of what was removed are never given out again:
// task tokens are made from them.
func reopenRemoved(t *testing.T, open func() store.Store) {
	w := &world{T: t, Store: open()}
	for id := range store.ExecutionID(3) {
		w.keep(ended(id+1, 100))
	}
	for _, id := range []store.ExecutionID{3, 2} {
		w.fails("remove", w.remove(id, 200), nil)
	}
	w.fails("Close", w.Close(), nil)
	w.Store = open()
	defer w.Close()
	same(w, "last", store.ExecutionID(3))(w.LastExecution(ctx))
}
