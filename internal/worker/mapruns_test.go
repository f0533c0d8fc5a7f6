package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// toldRuns notes what a worker says of Map Runs.
type toldRuns struct{ started, stopped, recovered int }

func (r *toldRuns) Start(store.ExecutionID, *engine.StartMapRun) { r.started++ }
func (r *toldRuns) Stop(string)                                  { r.stopped++ }
func (r *toldRuns) Recover(context.Context) error                { r.recovered++; return nil }

// unsureStore keeps commits; while unsure it does not say so.
type unsureStore struct {
	store.Store
	unsure bool
}

func (s *unsureStore) Commit(ctx context.Context, c *store.Commit) error {
	if err := s.Store.Commit(ctx, c); err != nil || !s.unsure {
		return err
	}
	return fmt.Errorf("kept: %w", store.ErrUnknown)
}

// The end of an execution says that its Map Runs are to be stopped. When it is not
// known whether that was kept, they are looked for in the store.
func TestStopOfUnknownOutcome(t *testing.T) {
	ctx := t.Context()
	st := &unsureStore{Store: memory.New()}
	defer st.Close()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	runs := &toldRuns{}
	w, err := worker.New(ctx, st, task.NewRegistry(), worker.Config{MapRuns: runs, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	commit := func() error {
		t.Helper()
		b := &worker.Batch{}
		w.Round(b)
		w.Close(b)
		err := w.Commit(ctx, b)
		if err != nil {
			w.Rollback(err, b)
		}
		return err
	}
	var m store.Machine
	w.PostWrite(func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: "m", Type: "STANDARD"}, store.Revision{RoleARN: "arn:aws:iam::1:role/r",
			Definition: `{"StartAt":"M","States":{"M":{"Type":"Map","Label":"l","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
				"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}}}}`})
		return err
	})
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	id := w.Reserve()
	w.Begin(ctx, store.Start{ID: id, Machine: m, Revision: m.Current, Input: `[1]`}, func(_ store.Execution, _ bool, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := commit(); err != nil || runs.started != 1 {
		t.Fatalf("%v after %d starts of runs", err, runs.started)
	}
	w.Post(ctx, id, engine.Stopped{At: now}, nil)
	w.PostWrite(func(context.Context, store.Tx) error { return nil }) // versions do not tell what became of this
	st.unsure = true
	if err := commit(); !errors.Is(err, store.ErrUnknown) || runs.stopped != 0 {
		t.Fatalf("%v after %d stops of runs", err, runs.stopped)
	}
	st.unsure = false
	now = now.Add(time.Minute)
	if _, err := w.FireTimers(ctx); err != nil || runs.recovered != 1 {
		t.Errorf("%v after %d looks for runs that are to be stopped", err, runs.recovered)
	}
	if open, err := st.OpenMapRuns(ctx, 0, 10); err != nil || len(open) != 1 || !open[0].Stopping {
		t.Errorf("the store has %+v (%v)", open, err)
	}
}
