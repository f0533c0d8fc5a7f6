// Package express runs Express executions: a worker like that of Standard ones,
// over a store in memory. Nothing of their progress is durable. One that
// somebody waits for lives and dies with the connection it came by; one that
// nobody waits for is a row in the main store from before its start is answered
// until after its end, and runs again if the process dies between the two: at
// least once.
//
// What has ended stays to be looked at for a while, as much of it as there is
// room for, see Recent.
package express

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// MaxDuration is how long an Express execution may take (AWS's quota).
const MaxDuration = 5 * time.Minute

// Config says how Express executions are run. Zero fields have working
// defaults, but for Write.
type Config struct {
	Scheme arn.Scheme
	Limits engine.Limits // Duration and History are set to those of Express executions where they are 0
	// PayloadOf, if set, says the payload limit of a machine, in the place of
	// that in Limits. It gives the same answer each time.
	PayloadOf func(machine string) int
	Now       func() time.Time
	Log       *slog.Logger

	// Write makes a change of the main store durable: the Standard worker's.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error

	// Retention is how long an execution that has ended can be looked at; 0:
	// not at all. MaxRetained bounds what those take, in bytes, and what is
	// kept of a single one's history as well; default 64 MiB.
	Retention   time.Duration
	MaxRetained int
	// MaxRunning bounds the inputs of executions under way, in bytes. What
	// comes on top is refused with store.ErrBusy. Default 512 MiB.
	MaxRunning int

	// Keeper, LogOf and Committed are the worker's.
	Keeper    worker.Keeper
	LogOf     func(machine string, r store.Revision) func(executionARN string, redrives int64, c engine.Chunk)
	Committed func(*store.ExecutionCommit)
}

// Runner runs Express executions. Call Run to set it in motion.
type Runner struct {
	cfg    Config
	main   store.Store
	kept   *kept
	worker *worker.Worker
	ledger ledger
	first  store.ExecutionID // what is from before this process has smaller ids

	mu      sync.Mutex
	running map[store.ExecutionID]*run
	bytes   int // of the inputs of running
}

// run is an execution under way.
type run struct {
	bytes   int
	durable bool                      // has a row in the main store
	ended   chan engine.Delta         // cap 1; nil: nobody waits
	child   func(engine.Delta, error) // of a Map Run's child
}

// New makes a runner that finds machines in main.
func New(ctx context.Context, main store.Store, tasks *task.Registry, cfg Config) (*Runner, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxRetained == 0 {
		cfg.MaxRetained = 64 << 20
	}
	if cfg.MaxRunning == 0 {
		cfg.MaxRunning = 512 << 20
	}
	if cfg.Limits.Duration == 0 {
		cfg.Limits.Duration = MaxDuration
	}
	if cfg.Limits.History == 0 {
		cfg.Limits.History = -1
	}
	first, err := firstID(ctx, main, cfg.Now())
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, main: main, first: first, running: map[store.ExecutionID]*run{}}
	r.ledger = ledger{write: cfg.Write, log: cfg.Log, wake: make(chan struct{}, 1)}
	r.kept = newKept(main, first, cfg)
	r.worker, err = worker.New(ctx, r.kept, tasks, worker.Config{
		Scheme: cfg.Scheme, LimitsOf: cfg.limitsOf, Now: cfg.Now, Log: cfg.Log, Express: true, LogOf: cfg.LogOf, Committed: r.committed, Keeper: cfg.Keeper,
	})
	return r, err
}

func (c *Config) limitsOf(machine string) engine.Limits {
	limits := c.Limits
	if c.PayloadOf != nil {
		limits.Payload = c.PayloadOf(machine)
	}
	return limits
}

// firstID is where this process's ids begin: at the time, in steps that leave
// 65,536 ids to a second, so that no ARN comes twice although no last id is
// kept; and above all that wait to be run again, should the clock have been
// turned back.
func firstID(ctx context.Context, main store.Store, now time.Time) (store.ExecutionID, error) {
	first := store.ExecutionID(now.Unix() << 16)
	for {
		left, err := main.Starts(ctx, first, 1000)
		if err != nil {
			return 0, fmt.Errorf("find Express executions to run again: %w", err)
		}
		if len(left) == 0 {
			return first, nil
		}
		first = left[len(left)-1].ID
	}
}

// Run runs executions until ctx ends, and first those that a crash has left. The
// main worker must take writes until Run has returned.
func (r *Runner) Run(ctx context.Context) error {
	working := make(chan error, 1)
	go func() { working <- r.worker.Run(ctx) }()
	again := make(chan error, 1)
	go func() { again <- r.recover(ctx) }()
	go r.kept.run(ctx)
	r.ledger.run(ctx)
	return errors.Join(<-working, <-again)
}

// recover runs again what the last process had accepted and not seen through.
func (r *Runner) recover(ctx context.Context) error {
	const page = 500
	for last := store.ExecutionID(0); ; {
		list, err := r.main.Starts(ctx, last, page)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find Express executions to run again: %w", err)
		}
		for i := range list {
			s := &list[i]
			if s.ID > r.first { // of this process
				return nil
			}
			last = s.ID
			r.runAgain(ctx, s)
		}
		if len(list) < page {
			return nil
		}
	}
}

func (r *Runner) runAgain(ctx context.Context, s *store.ExpressStart) {
	start := store.Start{
		Machine: store.Machine{ID: s.Machine}, Revision: s.Revision, Name: s.Name, Input: s.Input, Trace: s.Trace, Via: s.Via,
		ID: s.ID, StartedAt: s.StartedAt,
	}
	r.enter(s.ID, &run{bytes: len(s.Input), durable: true}, true)
	r.begin(ctx, start)
}

// Reserve gives out the id and the ARN of an execution that is to be started.
func (r *Runner) Reserve(machine, name string) (id store.ExecutionID, executionARN string) {
	id = r.worker.Reserve()
	return id, r.worker.ExecutionARN(id, machine, name)
}

// Start accepts an execution with a reserved id and returns, when it cannot be
// lost any more, when it started, in Unix milliseconds. store.ErrBusy says that
// too much is under way.
func (r *Runner) Start(ctx context.Context, s store.Start) (startedAt int64, err error) {
	s.StartedAt = r.cfg.Now().UnixMilli()
	if err := r.enter(s.ID, &run{bytes: len(s.Input), durable: true}, false); err != nil {
		return 0, err
	}
	// What was begun is seen through: whether the caller still waits or not, the
	// row may be there.
	ctx = context.WithoutCancel(ctx)
	err = r.ledger.keep(ctx, store.ExpressStart{
		ID: s.ID, Machine: s.Machine.ID, Revision: s.Revision, Name: s.Name, StartedAt: s.StartedAt,
		Input: s.Input, Trace: s.Trace, Via: s.Via,
	})
	if err != nil {
		r.leave(s.ID)
		return 0, err
	}
	r.begin(ctx, s)
	return s.StartedAt, nil
}

// begin runs a kept execution, now or when there is room among the tasks.
func (r *Runner) begin(ctx context.Context, s store.Start) {
	r.worker.Begin(ctx, s, func(_ store.Execution, _ bool, err error) {
		if err == nil {
			return
		}
		if errors.Is(err, store.ErrBusy) {
			time.AfterFunc(time.Second, func() { r.begin(ctx, s) })
			return
		}
		if r.leave(s.ID) == nil {
			return // it ran, and could not go on
		}
		r.cfg.Log.Error("Express execution could not be run", "execution", s.ID, "machine", s.Machine.ID, "error", err)
		if errors.Is(err, store.ErrNotFound) { // its machine is gone
			r.ledger.drop(s.ID)
		}
	})
}

// Sync runs an execution with a reserved id and returns how it ended. When ctx
// ends first, so does the execution, and ctx's error is returned.
func (r *Runner) Sync(ctx context.Context, s store.Start) (x store.Execution, err error) {
	s.StartedAt, s.Sync = r.cfg.Now().UnixMilli(), true
	this := &run{bytes: len(s.Input), ended: make(chan engine.Delta, 1)}
	if err := r.enter(s.ID, this, false); err != nil {
		return x, err
	}
	defer r.leave(s.ID)
	// One in which the engine meets a defect never ends.
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limits.Duration+10*time.Second)
	defer cancel()
	begun := make(chan error, 1)
	r.worker.Begin(ctx, s, func(_ store.Execution, _ bool, err error) {
		if err != nil {
			begun <- err
		}
	})
	select {
	case d := <-this.ended:
		return store.Execution{
			ID: s.ID, Machine: s.Machine.ID, Revision: s.Revision, Name: s.Name, Status: d.Status,
			StartedAt: s.StartedAt, StoppedAt: d.StoppedAt, Input: s.Input, Trace: s.Trace, Via: s.Via,
			Output: d.Output, Error: d.Error, Cause: d.Cause,
		}, nil
	case err := <-begun:
		return x, err
	case <-ctx.Done():
		r.worker.Post(context.WithoutCancel(ctx), s.ID, engine.Stopped{At: r.cfg.Now()}, nil)
		return x, ctx.Err()
	}
}

// Child runs an execution with a reserved id that belongs to a Map Run. Done is
// called once, with how it ended or why it could not begin, and must return
// quickly; store.ErrBusy says that too much is under way. Nothing of it outlives
// the process: the run starts it again.
func (r *Runner) Child(ctx context.Context, s store.Start, done func(engine.Delta, error)) {
	if err := r.enter(s.ID, &run{bytes: len(s.Input), child: done}, false); err != nil {
		done(engine.Delta{}, err)
		return
	}
	r.worker.Begin(ctx, s, func(_ store.Execution, _ bool, err error) {
		if err != nil && r.leave(s.ID) != nil {
			done(engine.Delta{}, err)
		}
	})
}

// ARN is the ARN of an execution by its id and the names of its machine and its
// own.
func (r *Runner) ARN(id store.ExecutionID, machine, name string) string {
	return r.worker.ExecutionARN(id, machine, name)
}

// Stop ends an execution that runs; one that does not is passed over.
func (r *Runner) Stop(ctx context.Context, id store.ExecutionID) {
	r.worker.Post(context.WithoutCancel(ctx), id, engine.Stopped{At: r.cfg.Now()}, nil)
}

// enter counts an execution in, if there is room for it or if it must.
func (r *Runner) enter(id store.ExecutionID, this *run, must bool) error {
	this.bytes += 1 << 10 // about what an execution takes beside its input
	r.mu.Lock()
	defer r.mu.Unlock()
	if !must && r.bytes+this.bytes > r.cfg.MaxRunning && len(r.running) > 0 {
		return store.ErrBusy
	}
	r.bytes += this.bytes
	r.running[id] = this
	return nil
}

// leave counts an execution out; nil if it was not in.
func (r *Runner) leave(id store.ExecutionID) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	this := r.running[id]
	if this != nil {
		r.bytes -= this.bytes
		delete(r.running, id)
	}
	return this
}

// committed is the worker's Config.Committed.
func (r *Runner) committed(c *store.ExecutionCommit) {
	if r.cfg.Committed != nil {
		r.cfg.Committed(c)
	}
	if c.Delta.Status == engine.Running {
		return
	}
	this := r.leave(c.ID)
	switch {
	case this == nil:
	case this.ended != nil:
		this.ended <- c.Delta
	case this.child != nil:
		this.child(c.Delta, nil)
	case this.durable:
		r.ledger.drop(c.ID)
	}
}

// Recent lists executions of a machine that run or have ended not long ago,
// newest first, as store.Store.Executions does.
func (r *Runner) Recent(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error) {
	return r.kept.Executions(ctx, q)
}

// Lookup finds a recent execution by the three parts of its ARN, or returns
// store.ErrNotFound.
func (r *Runner) Lookup(ctx context.Context, machine, name, uuid string) (store.Execution, error) {
	return r.worker.LookupExpress(ctx, machine, name, uuid)
}

// Execution finds a recent execution, or returns store.ErrNotFound.
func (r *Runner) Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error) {
	return r.kept.Execution(ctx, id)
}

// History reads a recent execution's history, as store.Store.History does. It
// breaks off where a long one has outgrown what is kept.
func (r *Runner) History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error {
	return r.kept.History(ctx, id, from, newestFirst, yield)
}

// Stats are those of the worker that runs the executions.
func (r *Runner) Stats() worker.Stats { return r.worker.Stats() }
