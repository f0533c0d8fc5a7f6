package retention

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

const day = 24 * time.Hour

// world is a store with machines, and a Sweeper over it.
type world struct {
	*testing.T
	*storetest.Direct
	ctx      context.Context
	now      time.Time
	machines map[string]store.Machine
	sweeper  *Sweeper
}

func newWorld(t *testing.T, keep map[string]time.Duration) *world {
	w := &world{
		T: t, Direct: &storetest.Direct{Store: memory.New()}, ctx: context.Background(),
		now: time.Now(), machines: map[string]store.Machine{},
	}
	shortest := Forever
	for name, d := range keep {
		shortest = min(shortest, d)
		w.write(func(ctx context.Context, tx store.Tx) error {
			m, err := tx.CreateMachine(ctx, store.Machine{Name: name}, store.Revision{CreatedAt: w.at(-400 * day)})
			w.machines[name] = m
			return err
		})
	}
	w.sweeper = New(Config{
		Store: w, Write: w.Write, Shortest: shortest, Now: func() time.Time { return w.now },
		KeepOf: func(machine string) time.Duration { return keep[machine] },
	})
	return w
}

func (w *world) at(ago time.Duration) int64 { return w.now.Add(ago).UnixMilli() }

func (w *world) write(do func(context.Context, store.Tx) error) {
	w.Helper()
	if err := w.Write(w.ctx, do); err != nil {
		w.Fatal(err)
	}
}

func (w *world) commit(x store.ExecutionCommit) {
	w.Helper()
	c := &store.Commit{Executions: []store.ExecutionCommit{x}}
	if err := errors.Join(w.Commit(w.ctx, c), c.Executions[0].Err); err != nil {
		w.Fatal(err)
	}
}

// execution keeps one that began and ended some time ago; stopped 0: it runs.
func (w *world) execution(id store.ExecutionID, machine string, started, stopped time.Duration, change ...func(*store.ExecutionCommit)) {
	w.Helper()
	m := w.machines[machine]
	x := store.ExecutionCommit{
		ID: id, New: &store.NewExecution{Machine: m.ID, Revision: m.Current, Name: fmt.Sprint("x", id), StartedAt: w.at(started)},
		Delta: engine.Delta{History: engine.Chunk{First: 1, Count: 1, Data: []byte("e")}},
	}
	if stopped != 0 {
		x.Delta.Status, x.Delta.StoppedAt = engine.Succeeded, w.at(stopped)
	}
	for _, f := range change {
		f(&x)
	}
	w.commit(x)
}

func childOf(run store.MapRunID) func(*store.ExecutionCommit) {
	return func(x *store.ExecutionCommit) { x.New.Child = store.Child{Run: run, Index: int64(x.ID), Items: 1} }
}

func withRun(name string) func(*store.ExecutionCommit) {
	return func(x *store.ExecutionCommit) { x.MapRuns = append(x.MapRuns, store.MapRunChange{Name: name}) }
}

// endRun ends a Map Run.
func (w *world) endRun(id store.MapRunID) {
	w.Helper()
	w.write(func(ctx context.Context, tx store.Tx) error {
		return tx.SaveMapRun(ctx, store.MapRun{ID: id, Status: engine.Succeeded, StoppedAt: w.at(-91 * day)})
	})
}

// kept lists the executions that are there.
func (w *world) kept() (ids []store.ExecutionID) {
	w.Helper()
	list, err := w.Outlines(w.ctx, 0, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return ids
}

func (w *world) wants(want ...store.ExecutionID) {
	w.Helper()
	if diff := cmp.Diff(want, w.kept()); diff != "" {
		w.Errorf("kept (-want +got):\n%s", diff)
	}
}

func (w *world) walk(want Removed) {
	w.Helper()
	got, err := w.sweeper.Walk(w.ctx)
	if err != nil || got != want {
		w.Errorf("the walk has removed %+v, %v, want %+v", got, err, want)
	}
}

func TestWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day, "short": time.Hour, "ever": Forever})
		w.execution(1, "m", -200*day, 0)                       // runs
		w.execution(2, "m", -200*day, -91*day)                 // due
		w.execution(3, "m", -200*day, -89*day)                 // ended later
		w.execution(4, "ever", -200*day, -199*day)             // kept for ever
		w.execution(5, "m", -90*day-1, -90*day)                // to the millisecond
		w.execution(6, "short", -3*time.Hour, -90*time.Minute) // due
		w.execution(7, "short", -3*time.Hour, -30*time.Minute)
		w.execution(8, "short", -30*time.Minute, -20*time.Minute)
		w.walk(Removed{Executions: 2})
		w.wants(1, 3, 4, 5, 7, 8)
		if _, err := w.ExecutionNamed(w.ctx, w.machines["m"].ID, "x2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("by its name: %v", err)
		}
		w.now = w.now.Add(time.Millisecond)
		w.walk(Removed{Executions: 1})
		w.wants(1, 3, 4, 7, 8)
		w.now = w.now.Add(2 * day)
		w.walk(Removed{Executions: 3})
		w.wants(1, 4)
		if n := w.sweeper.Removed(); n != 6 {
			t.Errorf("%d are counted", n)
		}
	})
}

// A redrive makes the last end count.
func TestRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		fail := func(x *store.ExecutionCommit) { x.Delta.Status = engine.Failed }
		w.execution(1, "m", -200*day, -100*day, fail)
		w.execution(2, "m", -200*day, -100*day, fail)
		again := store.ExecutionCommit{ID: 1, Version: 1, Delta: engine.Delta{Redrives: 1, RedrivenAt: w.at(-95 * day)}}
		w.commit(again)
		again.Version, again.Delta.Status, again.Delta.StoppedAt = 2, engine.Failed, w.at(-80*day)
		w.commit(again)
		// Another is redriven between the look at it and the write.
		write := w.sweeper.cfg.Write
		w.sweeper.cfg.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			if x, err := w.Execution(ctx, 2); err == nil && x.Version == 1 {
				w.commit(store.ExecutionCommit{ID: 2, Version: 1, Delta: engine.Delta{Redrives: 1, RedrivenAt: w.at(0)}})
			}
			return write(ctx, do)
		}
		w.walk(Removed{})
		w.wants(1, 2)
	})
}

// Children of Map Runs, and theirs, go after the execution that they are a part of,
// in the same walk; never before it, and not while a run of it is open.
func TestMapRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		w.execution(1, "m", -200*day, -91*day, withRun("run"))
		w.execution(2, "m", -199*day, -198*day, childOf(1), withRun("inner"))
		w.execution(3, "m", -199*day, -198*day, childOf(2))
		w.execution(4, "m", -199*day, -198*day, withRun("other")) // its run is open
		w.execution(5, "m", -199*day, -198*day, childOf(3))
		w.execution(6, "m", -199*day, 0, withRun("third")) // runs
		w.execution(7, "m", -199*day, -198*day, childOf(4))
		w.walk(Removed{})
		w.endRun(2)
		w.walk(Removed{})
		w.endRun(1)
		w.endRun(4)
		w.walk(Removed{Executions: 3})
		w.wants(4, 5, 6, 7)
		if _, err := w.MapRun(w.ctx, "inner"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the run inside: %v", err)
		}
		w.endRun(3)
		w.walk(Removed{Executions: 2})
		w.wants(6, 7)
	})
}

func TestManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		var kept []store.ExecutionID
		for id := store.ExecutionID(1); id <= 3*pageSize; id++ {
			ago := -100 * day
			if id%7 == 0 {
				ago = -50 * day
				kept = append(kept, id)
			}
			w.execution(id, "m", -200*day, ago)
		}
		w.walk(Removed{Executions: 3*pageSize - len(kept)})
		w.wants(kept...)
	})
}

func TestOldRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		m := w.machines["m"]
		first := m.Current
		revise := func(ago time.Duration) (id store.RevisionID) {
			w.Helper()
			w.write(func(ctx context.Context, tx store.Tx) (err error) {
				id, err = tx.AddRevision(ctx, store.Revision{Machine: m.ID, CreatedAt: w.at(ago)})
				return err
			})
			m.Current = id
			w.machines["m"] = m
			return id
		}
		w.execution(1, "m", -300*day, -299*day) // the last that refers to the first
		second := revise(-250 * day)
		w.execution(2, "m", -200*day, 0)
		third := revise(-100 * day)
		fourth := revise(-2 * day)
		fifth := revise(-time.Hour) // the one before may be in use without that it shows
		w.walk(Removed{Executions: 1, Revisions: 2})
		for id, want := range map[store.RevisionID]error{first: store.ErrNotFound, second: nil, third: store.ErrNotFound, fourth: nil, fifth: nil} {
			if _, err := w.Revision(w.ctx, id); !errors.Is(err, want) {
				t.Errorf("revision %d: %v, want %v", id, err, want)
			}
		}
	})
}

// lines counts the lines of a log that have a text.
func lines(log *bytes.Buffer, text string) int { return strings.Count(log.String(), text) }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		var log bytes.Buffer
		w.sweeper.cfg.Now, w.sweeper.cfg.Log = time.Now, slog.New(slog.NewTextHandler(&log, nil))
		var full atomic.Bool
		write := w.sweeper.cfg.Write
		w.sweeper.cfg.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			if full.Load() {
				return store.ErrFull
			}
			return write(ctx, do)
		}
		w.execution(1, "m", -200*day, -100*day)
		w.execution(2, "m", -200*day, -90*day+30*time.Minute)
		w.execution(3, "m", -200*day, -90*day+90*time.Minute)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.sweeper.Run(ctx) }()
		after := func(d time.Duration, want ...store.ExecutionID) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			w.wants(want...)
		}
		after(settleFor-time.Second, 1, 2, 3)
		after(2*time.Second, 2, 3)
		after(interval-time.Minute, 2, 3)
		after(time.Minute, 3)
		full.Store(true)
		after(interval, 3)
		full.Store(false)
		after(interval)
		if n := lines(&log, "executions=1"); n != 3 {
			t.Errorf("%d walks are logged that removed one:\n%s", n, log.String())
		}
		if n := lines(&log, "level=ERROR"); n != 1 || lines(&log, "no space left") != 1 {
			t.Errorf("the log says\n%s", log.String())
		}
		stopped := time.Now()
		stop()
		if err := <-ended; err != nil || time.Since(stopped) > 0 {
			t.Errorf("Run has returned %v after %v", err, time.Since(stopped))
		}
	})
}

// A walk that is under way ends when its context does, and removes nothing after
// that.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		for id := range store.ExecutionID(10 * maxBatch) {
			w.execution(id+1, "m", -200*day, -100*day)
		}
		ctx, stop := context.WithCancel(t.Context())
		write, writes := w.sweeper.cfg.Write, 0
		w.sweeper.cfg.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			if writes++; writes == 3 {
				stop()
			}
			return write(ctx, do)
		}
		removed, err := w.sweeper.Walk(ctx)
		if !errors.Is(err, context.Canceled) || writes != 3 {
			t.Errorf("%d writes, %v", writes, err)
		}
		if kept := len(w.kept()); kept+removed.Executions != 10*maxBatch || removed.Executions == 0 {
			t.Errorf("%d are removed, %d kept", removed.Executions, kept)
		}
	})
}

// Every rest is as long as what came before it, several times.
func TestGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]time.Duration{"m": 90 * day})
		for id := range store.ExecutionID(5 * maxBatch) {
			w.execution(id+1, "m", -200*day, -100*day)
		}
		write := w.sweeper.cfg.Write
		var began []time.Time
		w.sweeper.cfg.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			began = append(began, time.Now())
			time.Sleep(100 * time.Millisecond) // the store is busy
			return write(ctx, do)
		}
		w.walk(Removed{Executions: 5 * maxBatch})
		var gaps []time.Duration
		for i := range began[1:] {
			gaps = append(gaps, began[i+1].Sub(began[i]))
		}
		if least := slices.Min(gaps); len(began) < 7 || least < (1+rest)*100*time.Millisecond {
			t.Errorf("writes began with %v in between", gaps)
		}
	})
}
