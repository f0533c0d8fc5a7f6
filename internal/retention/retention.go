// Package retention removes executions when they have been ended for long enough,
// as AWS does after 90 days.
//
// Ids of executions follow their times of start, so those that may be due are the
// first ones. A Sweeper walks over these by id, every hour, and removes in small
// writes what is due. Nothing is written when an execution starts or ends to help
// it, and what still runs, or is kept for longer, is looked at again in the next
// walk. A Map Run's children go after the execution that it was a part of.
//
// The walk gives way: after everything that it does it rests for a multiple of the
// time that took, which grows with what else the store has to do.
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Forever is how long something is kept that is never removed.
const Forever time.Duration = math.MaxInt64

const (
	// settleFor is the time from the start of a server to its first walk. What the
	// last process left waiting for an execution's end has heard of it by then.
	settleFor = 5 * time.Minute
	interval  = time.Hour
	// revisionsEvery says in which of the walks old revisions are looked for, which
	// takes a look at every execution.
	revisionsEvery = 24

	pageSize = 500 // executions read at once

	// A write removes up to maxBatch executions and stops early when it has taken
	// batchTime: other executions' commits wait for it.
	maxBatch  = 100
	batchTime = time.Millisecond
	leftovers = 10 // pieces removed between two looks at the clock

	// rest is how many times as long as the last thing took is rested after it.
	rest    = 4
	maxRest = 2 * time.Second
)

// Store is what a Sweeper reads of a store.Store.
type Store interface {
	FirstSince(ctx context.Context, at int64) (store.ExecutionID, error)
	Outlines(ctx context.Context, after store.ExecutionID, limit int) ([]store.Outline, error)
	OldRevisions(ctx context.Context, before int64, after store.RevisionID, limit int) ([]store.RevisionID, error)
	MachineByID(ctx context.Context, id store.MachineID) (store.Machine, error)
}

// Config says what a Sweeper removes.
type Config struct {
	Store Store
	// Write makes a change durable. It may call do more than once.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	// KeepOf says how long a machine's executions are kept after their end, or
	// Forever. "" is a machine that has been deleted.
	KeepOf func(machine string) time.Duration
	// Shortest is the shortest time that KeepOf ever says.
	Shortest time.Duration
	// Express is how long Express executions can be looked at when they have ended.
	// Revisions are kept for them.
	Express time.Duration

	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: none
}

// Sweeper removes what is due. Its Run is called once.
type Sweeper struct {
	cfg     Config
	removed atomic.Int64
	walks   int
}

// New makes a Sweeper.
func New(cfg Config) *Sweeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{cfg: cfg}
}

// Removed is how many executions this Sweeper has removed.
func (s *Sweeper) Removed() int64 { return s.removed.Load() }

// Run walks soon after its start, and every hour, until ctx ends. A walk that
// fails is told in the log; the next one finds what it has not removed.
func (s *Sweeper) Run(ctx context.Context) error {
	// A write is made when recovery is through; whether it holds does not matter.
	_ = s.cfg.Write(ctx, func(context.Context, store.Tx) error { return nil })
	for wait := settleFor; pause(ctx, wait); wait = interval {
		began := time.Now()
		removed, err := s.Walk(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.cfg.Log.Error("executions that are due for removal stay until the next hour", "error", err)
		}
		if removed != (Removed{}) {
			s.cfg.Log.Info("removed what is not kept any longer", "executions", removed.Executions, "revisions", removed.Revisions, "took", time.Since(began).Round(time.Millisecond))
		}
	}
	return nil
}

// pause returns false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Removed counts what a walk has removed.
type Removed struct{ Executions, Revisions int }

// Walk removes what is due now. When it returns an error, some of that may have
// been removed.
func (s *Sweeper) Walk(ctx context.Context) (removed Removed, err error) {
	w := walk{Sweeper: s, now: s.cfg.Now(), keep: map[store.MachineID]time.Duration{}}
	defer func() { removed = w.removed }()
	if err := w.tidy(ctx); err != nil { // what the last process has left
		return removed, err
	}
	if s.cfg.Shortest != Forever {
		if err := w.executions(ctx); err != nil {
			return removed, err
		}
		if err := w.tidy(ctx); err != nil {
			return removed, err
		}
	}
	s.walks++
	if s.walks%revisionsEvery != 1 {
		return removed, nil
	}
	return removed, w.revisions(ctx)
}

// walk is one walk.
type walk struct {
	*Sweeper
	now     time.Time
	keep    map[store.MachineID]time.Duration
	removed Removed
}

// gently does something and rests.
func gently(ctx context.Context, do func() error) error {
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	if !pause(ctx, min(rest*time.Since(began), maxRest)) {
		return ctx.Err()
	}
	return nil
}

// outlines reads the executions up to but without an id, page by page. A page is
// read again where again is returned.
func (w *walk) outlines(ctx context.Context, until store.ExecutionID, page func([]store.Outline) (again bool, err error)) error {
	for last := store.ExecutionID(0); ; {
		var list []store.Outline
		err := gently(ctx, func() (err error) {
			list, err = w.cfg.Store.Outlines(ctx, last, pageSize)
			return err
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		next, whole := list[len(list)-1].ID, len(list)
		list = slices.DeleteFunc(list, func(x store.Outline) bool { return x.ID >= until })
		again, err := page(list)
		if err != nil || !again && len(list) < whole {
			return err
		}
		if !again {
			last = next
		}
	}
}

// due is an execution that may be removed if it has ended before a time.
type due struct {
	id     store.ExecutionID
	before int64 // Unix milliseconds
}

// executions removes those that are due. What began later than the shortest time
// ago cannot have ended before that.
func (w *walk) executions(ctx context.Context) error {
	until, err := w.cfg.Store.FirstSince(ctx, w.now.Add(-w.cfg.Shortest).UnixMilli())
	if err != nil {
		return err
	}
	return w.outlines(ctx, until, func(page []store.Outline) (again bool, err error) {
		var list []due
		children := false
		for i := range page {
			before, err := w.before(ctx, &page[i])
			if err != nil {
				return false, err
			}
			if before != 0 {
				list = append(list, due{page[i].ID, before})
			}
			children = children || page[i].Run != 0 && before == 0
		}
		removed := w.removed.Executions
		for len(list) > 0 {
			n := 0
			if err := gently(ctx, func() (err error) { n, err = w.remove(ctx, list); return err }); err != nil {
				return false, err
			}
			list = list[n:]
		}
		// Children may stand on the same page as what they were a part of.
		return children && w.removed.Executions > removed, nil
	})
}

// before is the time before which an execution has to have ended to be removed; 0:
// it stays.
func (w *walk) before(ctx context.Context, x *store.Outline) (int64, error) {
	switch {
	case x.Status == engine.Running:
		return 0, nil
	case x.Orphan: // what it was a part of was due, and ended after it
		return w.now.UnixMilli(), nil
	case x.Run != 0:
		return 0, nil
	}
	keep, err := w.keepOf(ctx, x.Machine)
	if err != nil || keep == Forever {
		return 0, err
	}
	if before := w.now.Add(-keep).UnixMilli(); x.StoppedAt < before {
		return before, nil
	}
	return 0, nil
}

func (w *walk) keepOf(ctx context.Context, id store.MachineID) (time.Duration, error) {
	keep, known := w.keep[id]
	if known {
		return keep, nil
	}
	m, err := w.cfg.Store.MachineByID(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	keep = w.cfg.KeepOf(m.Name)
	w.keep[id] = keep
	return keep, nil
}

// remove removes the first n of list, in one write. Those that have become needed
// meanwhile stay.
func (w *walk) remove(ctx context.Context, list []due) (n int, err error) {
	gone := 0
	err = w.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		began := time.Now()
		for n, gone = 0, 0; n < min(len(list), maxBatch) && (n == 0 || time.Since(began) < batchTime); n++ {
			switch err := tx.RemoveExecution(ctx, list[n].id, list[n].before); {
			case err == nil:
				gone++
			case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
				return fmt.Errorf("remove execution %d: %w", list[n].id, err)
			}
		}
		return nil
	})
	if err == nil {
		w.removed.Executions += gone
		w.Sweeper.removed.Add(int64(gone))
	}
	return n, err
}

// tidy removes what is left over of executions.
func (w *walk) tidy(ctx context.Context) error {
	for more := true; more; {
		err := gently(ctx, func() error {
			return w.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
				began := time.Now()
				for more = true; more && err == nil && time.Since(began) < batchTime; {
					more, err = tx.RemoveLeftovers(ctx, leftovers)
				}
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("remove what is left over: %w", err)
		}
	}
	return nil
}

// revisions removes old revisions that no execution refers to. Nothing has been
// started with them for a day, so that a look at all executions tells.
func (w *walk) revisions(ctx context.Context) error {
	const page = 1000
	unused := map[store.RevisionID]bool{}
	for last := store.RevisionID(0); ; {
		list, err := w.cfg.Store.OldRevisions(ctx, w.now.Add(-24*time.Hour-w.cfg.Express).UnixMilli(), last, page)
		if err != nil {
			return err
		}
		for _, id := range list {
			unused[id], last = true, id
		}
		if len(list) < page {
			break
		}
	}
	if len(unused) == 0 {
		return nil
	}
	err := w.outlines(ctx, math.MaxInt64, func(page []store.Outline) (again bool, err error) {
		for i := range page {
			delete(unused, page[i].Revision)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(unused)) {
		err := gently(ctx, func() error {
			return w.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteRevision(ctx, id) })
		})
		switch {
		case err == nil:
			w.removed.Revisions++
		case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("remove revision %d: %w", id, err)
		}
	}
	return nil
}
