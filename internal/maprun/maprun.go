// Package maprun does the work of distributed Maps. A Map Run reads items,
// starts an execution for each item or batch of them, keeps their results, and
// tells the execution that waits for it how it ended.
//
// A run has one owner, a goroutine that does one thing after the other: start
// what may run, take in what has ended, save. What is saved is how far the
// source was read, which of the children after the oldest unfinished one have
// ended, and the results of those, all in one commit. So after a crash the
// source is read again from where it is needed, with the object that it is
// pinned to its ETag, and each item has one result.
//
//	source ─▶ child, child, … ─▶ ends ─▶ save(progress, results) ─▶ … ─▶ MapRunEnded
package maprun

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Standard runs Standard executions: the worker.
type Standard interface {
	Reserve() store.ExecutionID
	Begin(ctx context.Context, s store.Start, done func(x store.Execution, again bool, err error))
	Post(ctx context.Context, id store.ExecutionID, ev engine.Event, done func(error))
	Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	ExecutionARN(id store.ExecutionID, machine, name string) string
}

// Express runs Express executions.
type Express interface {
	Reserve(machine, name string) (id store.ExecutionID, executionARN string)
	Child(ctx context.Context, s store.Start, done func(engine.Delta, error))
	ARN(id store.ExecutionID, machine, name string) string
}

// Config says how Map Runs are run.
type Config struct {
	Store   store.Store
	Scheme  arn.Scheme
	Objects objects.Store    // nil: readers and writers fail
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: none

	// Go does something beside its caller; default: a goroutine. Sleep returns
	// when wake has something, which it takes, when so much time has gone by, or
	// when ctx ends. Runs wait in nothing but Sleep and Standard.Write, so a
	// simulator can let them go on one at a time.
	Go    func(func())
	Sleep func(ctx context.Context, wake <-chan struct{}, d time.Duration)
}

// sleep is the default of Config.Sleep.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Runner runs Map Runs: it is the worker's MapRuns. Call Connect before the
// worker is set in motion, and Run after that.
type Runner struct {
	cfg      Config
	ctx      context.Context // ends when the runs are to stand still
	standard Standard
	express  Express
	waiting  atomic.Int64 // children in children

	mu       sync.Mutex
	runs     map[string]*run
	children map[store.ExecutionID]*run // Standard ones under way
	going    sync.WaitGroup
}

// New makes a Runner whose runs stand still when ctx ends; they go on at the
// next start.
func New(ctx context.Context, cfg Config) *Runner {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Go == nil {
		cfg.Go = func(f func()) { go f() }
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	return &Runner{cfg: cfg, ctx: ctx, runs: map[string]*run{}, children: map[store.ExecutionID]*run{}}
}

// Connect says who runs the children.
func (r *Runner) Connect(standard Standard, express Express) {
	r.standard, r.express = standard, express
}

// Run gives up the runs that nobody waited for when the last process died, and
// returns once ctx has ended and no run is under way any more.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.Recover(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	r.going.Wait()
	return nil
}

// Recover gives up the runs under way that nobody waits for, as the store has them:
// it is what Run does first.
func (r *Runner) Recover(ctx context.Context) error {
	const page = 100
	for last := store.MapRunID(0); ; {
		list, err := r.cfg.Store.OpenMapRuns(ctx, last, page)
		if err != nil {
			return fmt.Errorf("find Map Runs to give up: %w", err)
		}
		for _, record := range list {
			last = record.ID
			if record.Stopping {
				r.stop(record.Name, record.Redrives)
			}
		}
		if len(list) < page {
			return nil
		}
	}
}

// Start begins a run, or lets it go on. One that is begun again while it is still
// being given up goes on once that is through.
func (r *Runner) Start(execution store.ExecutionID, ask *engine.StartMapRun) {
	name := nameOf(ask.Run.ARN)
	r.mu.Lock()
	defer r.mu.Unlock()
	this := &run{r: r, name: name, execution: execution, task: ask.Task, ask: ask.Run}
	last := r.runs[name].last()
	switch {
	case last == nil:
		r.begin(this)
	case last.ask == nil || last.ask.Redrives < ask.Run.Redrives:
		last.then = this
	default: // told again
	}
}

// Stop gives up a run: its Standard children are stopped.
func (r *Runner) Stop(name string) { r.stop(name, math.MaxInt64) }

// stop is Stop for a run as it was after so many redrives: one that has been begun
// again since goes on.
func (r *Runner) stop(name string, redrives int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	this := r.runs[name].last()
	switch {
	case this == nil:
		this = &run{r: r, name: name}
		r.begin(this)
	case this.ask != nil && this.ask.Redrives > redrives:
		return
	}
	this.stop()
}

// begin sets a run in motion. The lock is held.
func (r *Runner) begin(this *run) {
	if r.ctx.Err() != nil {
		return
	}
	this.wake = make(chan struct{}, 1)
	this.ctx, this.cancel = context.WithCancel(r.ctx)
	r.runs[this.name] = this
	r.going.Add(1)
	r.cfg.Go(func() {
		defer r.going.Done()
		defer this.cancel()
		this.main()
		r.mu.Lock()
		delete(r.runs, this.name)
		if this.then != nil {
			r.begin(this.then)
		}
		r.mu.Unlock()
	})
}

// Committed is told of every commit of a Standard execution.
func (r *Runner) Committed(c *store.ExecutionCommit) {
	if c.Delta.Status == engine.Running || r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	this := r.children[c.ID]
	r.mu.Unlock()
	if this != nil {
		this.tell(end{id: c.ID, delta: c.Delta})
	}
}

func (r *Runner) expect(id store.ExecutionID, this *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.children[id] = this
	r.waiting.Store(int64(len(r.children)))
}

func (r *Runner) forget(id store.ExecutionID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.children, id)
	r.waiting.Store(int64(len(r.children)))
}

// Find tells how a run is doing, or returns store.ErrNotFound.
func (r *Runner) Find(ctx context.Context, name string) (store.MapRunView, error) {
	record, err := r.cfg.Store.MapRun(ctx, name)
	if err != nil {
		return store.MapRunView{}, err
	}
	r.mu.Lock()
	this := r.runs[name]
	r.mu.Unlock()
	if this != nil {
		if v, ok := this.look(); ok {
			v.Record = record
			return v, nil
		}
	}
	p, err := readProgress(record.Progress)
	if err != nil {
		return store.MapRunView{}, err
	}
	v := p.view(0, 0)
	v.Record = record
	return v, nil
}

// Update changes a run under way and returns when that is durable. One that has
// ended gives store.ErrEnded.
func (r *Runner) Update(ctx context.Context, name string, s store.MapRunSettings) error {
	if _, err := r.cfg.Store.MapRun(ctx, name); err != nil {
		return err
	}
	r.mu.Lock()
	this := r.runs[name]
	r.mu.Unlock()
	if this == nil {
		return store.ErrEnded
	}
	done := make(chan error, 1)
	this.update(change{s, done})
	select {
	case err := <-done:
		return err
	case <-this.ctx.Done():
		return store.ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}
