package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// errCrash is what a node gets from a call in the middle of which it dies.
var errCrash = errors.New("the node dies in this call")

// errDisk is trouble that passes.
var errDisk = errors.New("the disk does not answer")

// disk is what all nodes of a world share: the store under test, and a book
// of what it has accepted.
type disk struct {
	base   store.Store
	rng    *rand.Rand
	secret [32]byte
	twin   Twin
	faults bool
	second bool                                    // the second act is on
	broken func(check, format string, args ...any) // reports a violation

	removal
	book    map[store.ExecutionID]*account
	ids     []store.ExecutionID // in the order of their start
	log     []store.Commit      // twins only: what a disk that loses commits is made from
	delayed func()
	commits int

	children map[item]store.ExecutionID // of Map Runs
}

// account is what the disk has accepted of one execution.
type account struct {
	version int64
	writer  map[int64]int // version → generation that wrote it
	last    int64         // newest history event
	status  engine.Status
	// redrives counts the times that it was begun again.
	redrives int64
	ends     int            // final events
	results  map[string]int // outcomes in the history, by output or cause
	events   []engine.HistoryEvent
}

// view is the disk as one node sees it.
type view struct {
	*disk
	store.Store
	gen    int
	zombie bool // another node has taken over
	dead   bool // a crash is on: nothing gets through any more
	read   map[store.ExecutionID]int64
	during func(writing bool) // runs while a call is under way
	calls  int
	fate   int // call at which the node dies; 0: none
}

func (d *disk) open(gen int) *view {
	return &view{disk: d, Store: d.base, gen: gen, read: map[store.ExecutionID]int64{}}
}

func (d *disk) chance(n int) bool { return d.faults && d.rng.IntN(n) == 0 }

// Secret is the same whenever the seed is.
func (v *view) Secret(context.Context) ([32]byte, error) { return v.secret, nil }

// die reports whether the node's time has come.
func (v *view) die() bool {
	v.calls++
	if v.fate != 0 && v.calls >= v.fate {
		v.dead = true
	}
	return v.dead
}

// trouble is what a read may meet.
func (v *view) trouble() error {
	v.settle()
	if v.die() {
		return errCrash
	}
	if v.chance(25) {
		return errDisk
	}
	return nil
}

func (v *view) Snapshot(ctx context.Context, id store.ExecutionID) (store.SnapshotRecord, error) {
	if err := v.trouble(); err != nil {
		return store.SnapshotRecord{}, err
	}
	if v.during != nil {
		v.during(false)
	}
	r, err := v.base.Snapshot(ctx, id)
	if err == nil {
		v.read[id] = r.Execution.Version
	}
	return r, err
}

func (v *view) Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error) {
	if err := v.trouble(); err != nil {
		return store.Execution{}, err
	}
	if v.zombie { // versions say nothing to a node whose lease is gone
		return store.Execution{}, errDisk
	}
	return v.base.Execution(ctx, id)
}

func (v *view) ExecutionNamed(ctx context.Context, m store.MachineID, name string) (store.Execution, error) {
	if err := v.trouble(); err != nil {
		return store.Execution{}, err
	}
	if v.during != nil {
		v.during(false)
	}
	if v.twin == SameNameTwice {
		return store.Execution{}, store.ErrNotFound
	}
	return v.base.ExecutionNamed(ctx, m, name)
}

func (v *view) Pending(ctx context.Context, after store.ExecutionID, limit int) ([]store.ExecutionID, error) {
	if err := v.trouble(); err != nil {
		return nil, err
	}
	return v.base.Pending(ctx, after, limit)
}

func (v *view) Due(ctx context.Context, until time.Time, limit int) ([]store.DueExecution, error) {
	if err := v.trouble(); err != nil {
		return nil, err
	}
	if v.twin == TimersNotReloaded && v.gen > 1 {
		return nil, nil
	}
	return v.base.Due(ctx, until, limit)
}

func (v *view) Queued(ctx context.Context, a store.ActivityID, after int64, limit int) ([]store.QueuedTask, error) {
	if err := v.trouble(); err != nil {
		return nil, err
	}
	return v.base.Queued(ctx, a, after, limit)
}

func (v *view) Revision(ctx context.Context, id store.RevisionID) (store.Revision, error) {
	if err := v.trouble(); err != nil {
		return store.Revision{}, err
	}
	return v.base.Revision(ctx, id)
}

func (v *view) MapRun(ctx context.Context, name string) (store.MapRun, error) {
	if err := v.runTrouble(); err != nil {
		return store.MapRun{}, err
	}
	return v.base.MapRun(ctx, name)
}

func (v *view) MapRunByID(ctx context.Context, id store.MapRunID) (store.MapRun, error) {
	if err := v.runTrouble(); err != nil {
		return store.MapRun{}, err
	}
	r, err := v.base.MapRunByID(ctx, id)
	if v.twin == SavesNotRead {
		r.Progress = nil
	}
	return r, err
}

func (v *view) OpenMapRuns(ctx context.Context, after store.MapRunID, limit int) ([]store.MapRun, error) {
	if err := v.runTrouble(); err != nil {
		return nil, err
	}
	if v.twin == RunsNotReloaded {
		return nil, nil
	}
	return v.base.OpenMapRuns(ctx, after, limit)
}

func (v *view) Children(ctx context.Context, run store.MapRunID, from int64, limit int) ([]store.Execution, error) {
	if err := v.runTrouble(); err != nil {
		return nil, err
	}
	return v.base.Children(ctx, run, from, limit)
}

func (v *view) Results(ctx context.Context, run store.MapRunID, yield func([]byte) bool) error {
	if err := v.runTrouble(); err != nil {
		return err
	}
	return v.base.Results(ctx, run, yield)
}

// runTrouble is what a read about Map Runs may meet. There are none in the first
// act.
func (v *view) runTrouble() error {
	if !v.second {
		return nil
	}
	if v.zombie {
		return errDisk
	}
	return v.trouble()
}

// Commit fails, keeps and says so, keeps and does not say so, or ends the
// node's life before or after.
func (v *view) Commit(ctx context.Context, c *store.Commit) error {
	v.settle()
	if v.die() {
		return errCrash
	}
	if v.during != nil {
		v.during(true)
	}
	if v.chance(12) {
		return []error{store.ErrFull, errDisk, fmt.Errorf("not kept: %w", store.ErrUnknown), store.ErrBroken}[v.rng.IntN(4)]
	}
	if err := v.keep(ctx, c); err != nil {
		return err
	}
	if v.during != nil {
		v.during(true)
	}
	unsure := 15
	if v.second {
		unsure = 6 // nothing but looking into the store helps against this
	}
	switch {
	case v.chance(unsure):
		return fmt.Errorf("kept: %w", store.ErrUnknown)
	case v.chance(40):
		return fmt.Errorf("kept: %w", store.ErrBroken)
	case v.chance(40):
		v.dead = true
		return errCrash
	}
	return nil
}

// keep passes a commit on. What a paused node writes although another one has
// taken over would be refused by its lease where nothing has changed since;
// where something has, refusing it is up to the version guard. Of what has been
// removed since no version is left; by then its lease is long over.
func (v *view) keep(ctx context.Context, c *store.Commit) error {
	passed, at := c, []int(nil)
	if v.zombie {
		passed = &store.Commit{}
		for i := range c.Writes { // refused by the lease
			c.Writes[i].Err = errDisk
		}
		for i := range c.Executions {
			x := &c.Executions[i]
			kept := v.book[x.ID]
			if v.grounded(x) && (kept == nil || kept.version == x.Version) || v.removed[x.ID] != nil {
				x.Err = store.ErrConflict
				continue
			}
			passed.Executions = append(passed.Executions, *x)
			at = append(at, i)
		}
	}
	switch v.twin {
	case NoVersionGuard:
		for i := range passed.Executions {
			if x := &passed.Executions[i]; x.New == nil && v.book[x.ID] != nil {
				x.Version = v.book[x.ID].version
			}
		}
	case SameNameTwice:
		for i := range passed.Executions {
			if x := &passed.Executions[i]; x.New != nil {
				x.New.Generated = true
			}
		}
	case AnswersEarly:
		if v.rng.IntN(4) == 0 {
			late := &store.Commit{Executions: slices.Clone(passed.Executions), Writes: slices.Clone(passed.Writes)}
			v.delayed = func() { v.pass(ctx, late) }
			return nil
		}
	case NotSynced:
		v.log = append(v.log, store.Commit{Executions: slices.Clone(passed.Executions), Writes: slices.Clone(passed.Writes)})
	}
	err := v.pass(ctx, passed)
	for i := range at {
		c.Executions[at[i]] = passed.Executions[i]
	}
	return err
}

// pass has the store under test keep a commit, and enters it into the book.
func (v *view) pass(ctx context.Context, c *store.Commit) error {
	if err := v.base.Commit(ctx, c); err != nil {
		return err
	}
	v.commits++
	for i := range c.Executions {
		x := &c.Executions[i]
		switch {
		case x.Err == nil:
			v.account(x)
		case errors.Is(x.Err, store.ErrConflict) && !v.zombie && v.removed[x.ID] == nil:
			v.broken("version guard", "node %d, the only one, has lost sight of execution %d: its commit grew on version %d", v.gen, x.ID, x.Version)
		}
	}
	return nil
}

// settle brings in what was answered early.
func (d *disk) settle() {
	if late := d.delayed; late != nil {
		d.delayed = nil
		late()
	}
}

// grounded reports whether x grew on what its node has read or written.
func (v *view) grounded(x *store.ExecutionCommit) bool {
	kept := v.book[x.ID]
	if x.New != nil || kept == nil {
		return x.New != nil
	}
	read, ok := v.read[x.ID]
	return kept.writer[x.Version] == v.gen || ok && read == x.Version
}

// account enters what was accepted into the book, if it should have been.
func (v *view) account(x *store.ExecutionCommit) {
	kept := v.book[x.ID]
	if kept == nil {
		kept = &account{writer: map[int64]int{}, results: map[string]int{}}
		v.book[x.ID] = kept
		v.ids = append(v.ids, x.ID)
		if child := x.New.Child; child.Run != 0 {
			at := item{child.Run, child.Index}
			if other := v.children[at]; other != 0 {
				v.broken("one result for each item", "child %d of Map Run %d is execution %d, and execution %d as well", at.index, at.run, other, x.ID)
			}
			v.children[at] = x.ID
		}
	} else if !v.grounded(x) {
		v.broken("version guard", "execution %d: a commit was accepted on version %d, which node %d had neither read nor written", x.ID, kept.version, v.gen)
	}
	running := kept.status == engine.Running
	kept.version++
	kept.writer[kept.version] = v.gen
	kept.status = x.Delta.Status
	h := x.Delta.History
	if h.Count == 0 {
		if !running || kept.status != engine.Running {
			v.broken("one end", "execution %d: a commit without events was accepted after its end, or ended it", x.ID)
		}
		return
	}
	if h.First != kept.last+1 {
		v.broken("no gap", "execution %d: events from %d on were accepted after event %d", x.ID, h.First, kept.last)
	}
	kept.last = h.First + h.Count - 1
	events, err := engine.DecodeHistory(h)
	if err != nil {
		v.broken("no gap", "execution %d: %v", x.ID, err)
	}
	kept.events = append(kept.events, events...)
	for i := range events {
		again := events[i].Type == engine.ExecutionRedrivenType
		if running == again {
			v.broken("one end", "execution %d: event %d, %s, was accepted although it ran: %v", x.ID, events[i].ID, events[i].Type, running)
		}
		_, final := finals[events[i].Type]
		if running = !final; final {
			kept.ends++
		}
		if again {
			kept.redrives++
		}
		switch ev := &events[i]; ev.Type {
		case engine.TaskSucceededType, engine.LambdaFunctionSucceededType, engine.ActivitySucceededType:
			kept.results[deref(ev.Data)]++
		case engine.TaskFailedType, engine.LambdaFunctionFailedType, engine.ActivityFailedType:
			kept.results[deref(ev.Cause)]++
		}
	}
	if running != (kept.status == engine.Running) || x.Delta.Redrives != kept.redrives {
		v.broken("one end", "execution %d: its commit says %s after %d redrives, its history has %d of these and goes on: %v",
			x.ID, kept.status, x.Delta.Redrives, kept.redrives, running)
	}
}

// crash is what happens to the disk when a node dies: nothing, unless it lied
// about what was durable.
func (d *disk) crash(ctx context.Context) {
	d.delayed = nil
	if d.twin != NotSynced || len(d.log) == 0 {
		return
	}
	fresh := memory.New()
	d.base.(*twinStore).Store = fresh
	for i := range d.log[:len(d.log)-1] {
		if err := fresh.Commit(ctx, &d.log[i]); err != nil {
			panic(err)
		}
	}
	d.log = d.log[:len(d.log)-1]
}

// twinStore can be exchanged under everybody's feet.
type twinStore struct{ store.Store }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
