// Package worker owns executions. An event comes in through Deliver, waits in
// its execution's mailbox, is applied by engine.Apply together with whatever
// else is waiting, and becomes durable in one commit with the steps of many
// other executions. Only then does anything act: callers get their answers,
// tasks are dispatched, timers are armed.
//
//	Deliver ─▶ mailbox ─▶ round: Apply, Apply, … ─▶ commit ─▶ act
//	   ▲                                                       │
//	   └──────────── task results, timers ◀────────────────────┘
//
// Rounds and commits overlap: while one batch is being synced, the next one
// grows in memory. If a commit fails, what grew on it is forgotten, read again
// from the store and applied anew.
//
// Everything between the goroutines in Run is plain functions (Round, Commit,
// FireTimers, and the tasks handed to Config.Go), so a simulator can call them
// one at a time.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Config says how a worker runs. Zero fields have working defaults.
type Config struct {
	Scheme arn.Scheme
	Limits engine.Limits
	// LimitsOf, if set, says the limits of a machine's executions, in the place
	// of Limits. It gives the same answer each time.
	LimitsOf func(machine string) engine.Limits
	Now      func() time.Time
	Go       func(func()) // runs a task beside the worker; default: a goroutine
	Log      *slog.Logger

	// MaxIdle is how many executions that wait for something outside are kept
	// in memory, for the time it comes. The others are read again then.
	MaxIdle int
	// MaxTasks is how many calls of one service may be under way.
	MaxTasks int
	// MaxBacklog is how many tasks may wait for their turn before new
	// executions are refused with store.ErrBusy.
	MaxBacklog int

	// Watchdog is how long one Apply may compute on the clock before the
	// expression that it evaluates is given up; default 30 s. Expressions are
	// bounded by counts to about a second: this is the last resort.
	Watchdog time.Duration

	// Express says that the executions are those of EXPRESS machines: several
	// may have one name, and none is taken out of memory while it runs.
	Express bool
	// LogOf says where the history of a revision's executions goes; nil:
	// nowhere. What it returns is called with chunks that are durable, in the
	// order of each execution, and must return quickly.
	LogOf func(machine string, r store.Revision) func(executionARN string, redrives int64, c engine.Chunk)

	// MapRuns runs the Map Runs that executions ask for; nil: they fail.
	MapRuns MapRuns

	// Keeper keeps the results that no payload can hold; nil: such a result ends
	// its execution.
	Keeper Keeper

	// WaitEnded is told, in the commit that ends it, of a task of the board
	// (asl.Resource.OnBoard) whose end the execution waits for no more. It is told
	// of a task that it has not heard of as well, and may be told twice. nil: there
	// is no board.
	WaitEnded func(ctx context.Context, tx store.Tx, execution store.ExecutionID, t engine.TaskID, why string) error

	// Committed is told of every execution's commit, in order, after it is
	// durable. It must return quickly.
	Committed func(*store.ExecutionCommit)
	// Fatal is called when the store cannot go on; default: the process ends.
	Fatal func(error)

	// Without takes safeguards away. It is for the simulator, which shows so
	// that it would notice; leave it 0.
	Without Safeguard
}

// MapRuns does the work of distributed Maps. Its methods are called when what
// they are about is durable, and must return quickly.
type MapRuns interface {
	// Start begins a run, lets it go on after a redrive, or is told again of one
	// that is under way. Its end comes back as engine.MapRunEnded.
	Start(execution store.ExecutionID, ask *engine.StartMapRun)
	// Stop says that nobody waits for a run's end any more.
	Stop(name string)
	// Recover stops the runs of which the store says that nobody waits for them,
	// for Stop may not have said so: after a commit of unknown outcome.
	Recover(ctx context.Context) error
}

// Keeper keeps results that no payload can hold. Its methods may be called
// concurrently.
type Keeper interface {
	// Keeps says whether it does that for a machine's executions. It must return
	// quickly.
	Keeps(ctx context.Context, machine string) bool
	// Keep makes a state's result, JSON text, durable and returns what goes on in
	// its place. Of the call, ID, State and what names the execution are set. An
	// error that is a *task.Error is the state's.
	Keep(ctx context.Context, c *task.Call, result string) (reference string, err error)
}

// Safeguard is a set of things that a worker does for the day when a call to
// the store fails.
type Safeguard uint8

// The safeguards that Config.Without can take away.
const (
	// Requeue: what a failed batch had consumed is applied again.
	Requeue Safeguard = 1 << iota
	// Prune: what has grown on a refused commit is dropped with it.
	Prune
	// Reread: events wait for an execution that could not be read.
	Reread
	// Doubt: after a commit of unknown outcome the store is asked what is to
	// be done.
	Doubt
)

func (w *Worker) without(s Safeguard) bool { return w.cfg.Without&s != 0 }

// Worker runs the executions of one store.
type Worker struct {
	store store.Store
	tasks *task.Registry
	cfg   Config
	keys  keys
	ctx   context.Context // ends when the worker is to stop

	machines machines
	lastID   atomic.Int64
	counts   counters

	mu      sync.Mutex
	wake    chan struct{} // cap 1: there is something to do
	live    map[store.ExecutionID]*execution
	ready   queue[*execution] // have something in their mailbox
	writes  []*write
	names   map[nameKey]*execution // started, not committed
	idle    idleList
	running map[runningTask]context.CancelFunc
	jobs    map[runningTask]job // submitted, and the execution may not know it yet
	pools   map[string]*pool
	told    map[runningTask][]*told // by Tell, durable, and not taken by their executions
	lastRow int64                   // of the inbox
	backlog int                     // tasks that wait for their turn
	refused []refusal
	unread  []*execution // whose snapshot could not be read; tried again at retryAt
	doubt   bool         // what is to be done is to be read from the store again, at retryAt
	retryAt time.Time

	beside bool // what takes long is applied beside the round
	asides sync.WaitGroup
	back   []*aside // that are done

	timers     timers
	activities activities
	ends       ends
}

// execution is a live execution: its mailbox and, once it is loaded, its
// snapshot. Fields of the first group belong to the worker's lock, those of
// the second to whoever runs the round.
type execution struct {
	id      store.ExecutionID
	mailbox []delivery
	ready   bool // in Worker.ready
	loading bool
	ended   bool // its last commit is durable
	refused bool // its last commit did not hold: it is in Worker.refused
	pins    int  // reasons to stay in memory
	aside   *aside
	idleAt  *idleEntry

	env     *engine.Env
	snap    *engine.Snapshot
	fresh   *store.NewExecution // until its first commit
	arn     string
	machine *machine
	name    *nameKey   // registered in Worker.names until the first commit
	version int64      // what the next commit grows on
	durable int64      // committed; kept under the lock
	entry   *entry     // in the open batch
	early   []delivery // callbacks that came before TaskSubmitted
}

// delivery is an event on its way to an execution.
type delivery struct {
	ev   engine.Event  // nil: ask again for what a crash left standing
	done func(outcome) // nil: nobody waits; a failed commit then only means later
	told *told         // the row that holds it, which goes when it has been taken
}

// outcome answers a delivery.
type outcome struct {
	err     error
	command *engine.Dispatch // an activity task that was handed out
}

type nameKey struct {
	machine store.MachineID
	name    string
}

// New makes a worker and reads from the store where it left off. Call Run to
// set it in motion.
func New(ctx context.Context, st store.Store, tasks *task.Registry, cfg Config) (*Worker, error) {
	cfg.defaults()
	secret, err := st.Secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the store's key: %w", err)
	}
	last, err := st.LastExecution(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the newest execution: %w", err)
	}
	w := &Worker{
		store: st, tasks: tasks, cfg: cfg, keys: keys{secret}, ctx: ctx,
		wake:    make(chan struct{}, 1),
		live:    map[store.ExecutionID]*execution{},
		names:   map[nameKey]*execution{},
		running: map[runningTask]context.CancelFunc{},
		jobs:    map[runningTask]job{},
		told:    map[runningTask][]*told{},
		pools:   map[string]*pool{},
		ends:    ends{},
	}
	w.machines.init(w)
	w.activities.init(w)
	w.lastID.Store(int64(last))
	return w, nil
}

func (c *Config) defaults() {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&c.MaxIdle, 2000)
	set(&c.MaxTasks, 1000)
	set(&c.MaxBacklog, 20000)
	if c.Express {
		c.MaxIdle = math.MaxInt
	}
	if c.Scheme == (arn.Scheme{}) {
		c.Scheme = arn.Default
	}
	if c.Watchdog == 0 {
		c.Watchdog = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Go == nil {
		c.Go = func(f func()) { go f() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
}

// now is the time as events carry it: in whole milliseconds.
func (w *Worker) now() time.Time { return w.cfg.Now().Truncate(time.Millisecond) }

// Start begins an execution and returns when it is durable. A name that is
// taken gives the execution that has it: without an error if that one runs on
// the same input (it was the same request), else with store.ErrExists.
func (w *Worker) Start(ctx context.Context, s store.Start) (store.Execution, error) {
	type answer struct {
		x     store.Execution
		again bool
		err   error
	}
	answers := make(chan answer, 1)
	for {
		w.Begin(ctx, s, func(x store.Execution, again bool, err error) { answers <- answer{x, again, err} })
		select {
		case got := <-answers:
			if !got.again {
				return got.x, got.err
			}
		case <-ctx.Done():
			return store.Execution{}, ctx.Err()
		}
	}
}

// Begin is Start without the wait: done is called once, when the execution is
// durable or cannot be. With again, another start had the name; that one is
// settled now, so the same call will find out more.
func (w *Worker) Begin(ctx context.Context, s store.Start, done func(x store.Execution, again bool, err error)) {
	m, err := w.machines.of(ctx, s.Revision, s.Child.Run)
	if err == nil && w.busy() {
		err = store.ErrBusy
	}
	if err != nil {
		done(store.Execution{}, false, err)
		return
	}
	x, first := w.register(m, s)
	if first != nil { // the same name is being started right now
		w.await(ctx, first, func(err error) { done(store.Execution{}, err == nil, err) })
		return
	}
	if x.name != nil {
		found, err := w.store.ExecutionNamed(ctx, s.Machine.ID, s.Name)
		if !errors.Is(err, store.ErrNotFound) {
			w.unregister(x)
			if err == nil {
				err = sameStart(found, s.Input)
			}
			done(found, false, err)
			return
		}
	}
	now := w.now()
	started := now
	if s.StartedAt != 0 {
		started = time.UnixMilli(s.StartedAt)
	}
	w.prepare(x, m, s, started)
	begun := store.Execution{
		ID: x.id, Machine: s.Machine.ID, Revision: s.Revision, Name: x.fresh.Name,
		Status: engine.Running, StartedAt: started.UnixMilli(), Input: s.Input, Trace: s.Trace, Via: s.Via, Child: s.Child,
	}
	w.begin(x, engine.Started{At: now, From: s.From}, func(o outcome) {
		// ErrExists: it lost a race that only the store could see.
		done(begun, errors.Is(o.err, store.ErrExists), o.err)
	})
}

// sameStart decides whether a start with a taken name is a repeated request.
func sameStart(found store.Execution, input string) error {
	if found.Status == engine.Running && found.Input == input {
		return nil
	}
	return store.ErrExists
}

// Reserve gives out the id of an execution that is to be started with it.
func (w *Worker) Reserve() store.ExecutionID { return store.ExecutionID(w.lastID.Add(1)) }

// ExecutionARN is the ARN of an execution by the names of its machine and its
// own. That of an Express execution ends in a UUID made from its id.
func (w *Worker) ExecutionARN(id store.ExecutionID, machine, name string) string {
	if w.cfg.Express {
		return w.cfg.Scheme.Express(machine, name, w.keys.name(id))
	}
	return w.cfg.Scheme.Execution(machine, name)
}

// register makes a new live execution; with a name of its own it holds the
// name until its first commit. If another start holds it, that one is
// returned.
func (w *Worker) register(m *machine, s store.Start) (x, first *execution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x = &execution{loading: true}
	if s.Name != "" && !w.cfg.Express {
		key := nameKey{s.Machine.ID, s.Name}
		if first := w.names[key]; first != nil {
			return nil, first
		}
		x.name = &key
		w.names[key] = x
	}
	if x.id = s.ID; x.id == 0 {
		x.id = w.Reserve()
	}
	w.live[x.id] = x
	return x, nil
}

func (w *Worker) unregister(x *execution) {
	w.mu.Lock()
	w.release(x)
	delete(w.live, x.id)
	refused := x.mailbox
	x.mailbox = nil
	w.mu.Unlock()
	for _, d := range refused {
		if d.done != nil {
			d.done(outcome{err: store.ErrNotFound})
		}
	}
}

// release gives up the name that x holds.
func (w *Worker) release(x *execution) {
	if x.name != nil && w.names[*x.name] == x {
		delete(w.names, *x.name)
	}
}

// prepare gives x the snapshot of an execution that has not started.
func (w *Worker) prepare(x *execution, m *machine, s store.Start, started time.Time) {
	name := s.Name
	if name == "" {
		name = w.keys.name(x.id)
	}
	x.fresh = &store.NewExecution{
		Machine: s.Machine.ID, Revision: s.Revision, Name: name, Generated: s.Name == "" || w.cfg.Express,
		StartedAt: started.UnixMilli(), Input: s.Input, Trace: s.Trace, Via: s.Via, Child: s.Child,
	}
	x.env, x.machine = w.env(x.id, m), m
	x.snap = engine.New(w.facts(x.id, m, x.fresh))
	x.snap.Execution.Sync = s.Sync // stays in memory, as every Express execution does
	x.arn = x.snap.Execution.ARN
}

// begin delivers Started, ahead of whatever has come already.
func (w *Worker) begin(x *execution, started engine.Started, done func(outcome)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.loading = false
	x.pins++
	x.mailbox = slices.Insert(x.mailbox, 0, delivery{ev: started, done: done})
	w.makeReady(x)
}

// facts are what an execution is for the engine.
func (w *Worker) facts(id store.ExecutionID, m *machine, n *store.NewExecution) engine.Execution {
	x := engine.Execution{
		ID: int64(id), ARN: w.ExecutionARN(id, m.name, n.Name), Name: n.Name,
		MachineARN: w.cfg.Scheme.Machine(m.name), MachineName: arn.Plain(m.name), RoleARN: m.roleARN,
		Region: w.cfg.Scheme.Region, StartedAt: time.UnixMilli(n.StartedAt), Input: engine.Text(n.Input),
	}
	if n.Via.Number != 0 {
		x.VersionARN = w.cfg.Scheme.Version(m.name, n.Via.Number)
	}
	if n.Via.Alias != "" {
		x.AliasARN = w.cfg.Scheme.Alias(m.name, n.Via.Alias)
	}
	return x
}

func (w *Worker) env(id store.ExecutionID, m *machine) *engine.Env {
	return &engine.Env{
		Machine:        m.asl,
		Token:          func(t engine.TaskID) string { return w.keys.token(id, t) },
		ActivityExists: w.activities.exists,
		Keeps:          w.keeps(m),
		MapRunARN: func(t engine.TaskID, label string) string {
			return w.cfg.Scheme.MapRun(rootName(m.name), label, w.keys.mapRun(id, t))
		},
		Limits: m.limits,
	}
}

// Deliver hands an event to an execution and returns when what it led to is
// durable. engine.ErrNotWaiting says that nothing waited for it.
func (w *Worker) Deliver(ctx context.Context, id store.ExecutionID, ev engine.Event) error {
	done := make(chan outcome, 1)
	w.Post(ctx, id, ev, func(err error) { done <- outcome{err: err} })
	select {
	case o := <-done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Post is Deliver without the wait: done, which may be nil, is called once
// with the outcome. An event without a done is applied again if a commit
// fails, until it is durable.
func (w *Worker) Post(ctx context.Context, id store.ExecutionID, ev engine.Event, done func(error)) {
	d := delivery{ev: ev}
	if done != nil {
		d.done = func(o outcome) { done(o.err) }
	}
	w.post(ctx, id, d)
}

// post puts deliveries into an execution's mailbox, next to each other.
func (w *Worker) post(ctx context.Context, id store.ExecutionID, deliveries ...delivery) {
	w.mu.Lock()
	x := w.live[id]
	load := x == nil
	if load {
		x = &execution{id: id, loading: true}
		w.live[id] = x
	}
	for _, d := range deliveries {
		w.put(x, d)
	}
	w.mu.Unlock()
	if load {
		w.load(ctx, x)
	}
}

// put adds to a mailbox. The lock is held.
func (w *Worker) put(x *execution, d delivery) {
	x.mailbox = append(x.mailbox, d)
	x.pins++
	w.idle.remove(x)
	w.makeReady(x)
}

func (w *Worker) makeReady(x *execution) {
	if x.ready || x.loading || x.aside != nil || len(x.mailbox) == 0 {
		return
	}
	x.ready = true
	w.ready.push(x)
	w.signal()
}

// signal wakes the round.
func (w *Worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// load reads x from the store, for what is in its mailbox.
func (w *Worker) load(ctx context.Context, x *execution) {
	err := w.restore(context.WithoutCancel(ctx), x)
	if err == nil {
		w.mu.Lock()
		x.loading = false
		w.makeReady(x)
		w.mu.Unlock()
		return
	}
	again := !errors.Is(err, engine.ErrNotWaiting) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errDefect) && !w.without(Reread)
	var refused, kept []delivery
	w.mu.Lock()
	for _, d := range x.mailbox {
		if again && d.done == nil {
			kept = append(kept, d)
		} else {
			refused = append(refused, d)
		}
	}
	x.mailbox, x.pins = kept, x.pins-len(refused)
	if len(kept) > 0 { // nobody else will bring these once more
		w.unread = append(w.unread, x)
		w.retry()
	} else {
		x.loading = false
		if w.live[x.id] == x {
			delete(w.live, x.id)
		}
	}
	w.mu.Unlock()
	if !errors.Is(err, engine.ErrNotWaiting) {
		w.cfg.Log.Error("execution cannot be read", "execution", x.id, "again", again, "error", err)
	}
	for _, d := range refused {
		if d.done != nil {
			d.done(outcome{err: err})
		}
		if d.told != nil && (errors.Is(err, engine.ErrNotWaiting) || errors.Is(err, store.ErrNotFound)) {
			w.dropRow(d)
		}
	}
}

// dropRow forgets what an execution was told that can take nothing any more.
func (w *Worker) dropRow(d delivery) {
	w.taken(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, newWrite(func(ctx context.Context, tx store.Tx) error {
		return tx.DeleteRecord(ctx, inboxKind, d.told.row)
	}))
	w.signal()
}

// errDefect marks what is wrong with an execution and will stay so.
var errDefect = errors.New("execution is parked")

// restore reads x's snapshot. An execution that has succeeded waits for nothing;
// one that ended otherwise may be redriven.
func (w *Worker) restore(ctx context.Context, x *execution) error {
	r, err := w.store.Snapshot(ctx, x.id)
	if err != nil {
		return fmt.Errorf("read execution %d: %w", x.id, err)
	}
	if r.Execution.Status == engine.Succeeded {
		return engine.ErrNotWaiting
	}
	m, err := w.machines.of(ctx, r.Execution.Revision, r.Execution.Child.Run)
	if err != nil {
		return err
	}
	began := store.NewExecution{Name: r.Execution.Name, StartedAt: r.Execution.StartedAt, Input: r.Execution.Input, Via: r.Execution.Via}
	snap, err := engine.Restore(w.facts(x.id, m, &began), r.Head, r.Frames)
	if err != nil {
		return fmt.Errorf("%w: %w", errDefect, err)
	}
	if r.Execution.Status != engine.Running { // frozen, until it is redriven
		snap.Status, snap.StoppedAt = r.Execution.Status, r.Execution.StoppedAt
		snap.Error, snap.Cause = r.Execution.Error, r.Execution.Cause
		x.ended = true
	}
	x.env, x.machine, x.snap, x.arn = w.env(x.id, m), m, snap, snap.Execution.ARN
	x.version, x.durable = r.Execution.Version, r.Execution.Version
	return nil
}

// await calls done when x is committed, or is not going to be.
func (w *Worker) await(ctx context.Context, x *execution, done func(error)) {
	// A heartbeat for a task that cannot exist is answered after the commit
	// of everything before it, and changes nothing.
	w.Post(ctx, x.id, engine.TaskHeartbeat{At: w.now()}, func(err error) {
		for _, settled := range []error{engine.ErrNotWaiting, store.ErrExists, store.ErrNotFound, store.ErrConflict} {
			if errors.Is(err, settled) {
				err = nil
			}
		}
		done(err)
	})
}

// LookupExpress finds an Express execution by the parts of its ARN.
func (w *Worker) LookupExpress(ctx context.Context, machine, name, uuid string) (store.Execution, error) {
	id, ok := w.keys.parseName(uuid)
	if !ok {
		return store.Execution{}, store.ErrNotFound
	}
	return w.lookupID(ctx, id, machine, name)
}

// lookupID finds an execution that must have the given names.
func (w *Worker) lookupID(ctx context.Context, id store.ExecutionID, machine, name string) (store.Execution, error) {
	x, err := w.store.Execution(ctx, id)
	if err != nil {
		return store.Execution{}, err
	}
	m, err := w.machines.of(ctx, x.Revision, x.Child.Run)
	if err != nil {
		return store.Execution{}, err
	}
	if m.name != machine || x.Name != name {
		return store.Execution{}, store.ErrNotFound
	}
	return x, nil
}

// Lookup finds an execution by the names in its ARN.
func (w *Worker) Lookup(ctx context.Context, machine, name string) (store.Execution, error) {
	if id, ok := w.keys.parseName(name); ok {
		return w.lookupID(ctx, id, machine, name)
	}
	m, err := w.store.Machine(ctx, machine)
	if err != nil {
		return store.Execution{}, err
	}
	return w.store.ExecutionNamed(ctx, m.ID, name)
}

// ParseToken reads a task token that this store's key has made.
func (w *Worker) ParseToken(token string) (store.ExecutionID, engine.TaskID, error) {
	return w.keys.parseToken(token)
}

// Poll waits for a task of an activity and hands it out. An empty token means
// that ctx ended first.
func (w *Worker) Poll(ctx context.Context, a store.Activity, workerName string) (token, input string, err error) {
	return w.activities.poll(ctx, a, workerName)
}

// Take is Poll without any wait: it returns false if no task is there. Else
// done is called once; an empty token without an error means that the task
// was not wanted any more.
func (w *Worker) Take(ctx context.Context, a store.Activity, workerName string, done func(token, input string, err error)) (bool, error) {
	return w.activities.take(ctx, a, workerName, done)
}

// Write makes a change of the control plane durable, together with whatever
// else is being committed. It returns what do returned. When ctx ends first, do
// either is not called or is waited for: what it changes is the caller's again.
func (w *Worker) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	op := w.enlist(do)
	w.mu.Lock()
	w.signal()
	w.mu.Unlock()
	return op.wait(ctx)
}

// PostWrite is Write without the wait: the channel gets what Write would return.
func (w *Worker) PostWrite(do func(ctx context.Context, tx store.Tx) error) <-chan error {
	op := w.enlist(do)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signal()
	return op.done
}

// WriteAhead is Write without waiting: done gets what Write would return, by
// another goroutine. What is delivered to the worker after WriteAhead has returned
// is durable with do's change or later, never before. Something is expected to
// follow at once, so that both are one commit; without it the change has its own
// a moment later.
func (w *Worker) WriteAhead(do func(ctx context.Context, tx store.Tx) error, done func(error)) {
	op := w.enlist(do)
	w.cfg.Go(func() {
		moment, cancel := context.WithTimeout(w.ctx, aheadFor)
		defer cancel()
		select {
		case err := <-op.done:
			done(err)
			return
		case <-moment.Done():
		}
		w.mu.Lock()
		w.signal()
		w.mu.Unlock()
		done(op.wait(w.ctx))
	})
}

// aheadFor is how long WriteAhead waits for what follows.
const aheadFor = 5 * time.Millisecond

// enlist puts a write into the next commit.
func (w *Worker) enlist(do func(ctx context.Context, tx store.Tx) error) *write {
	op := &write{done: make(chan error, 1)}
	op.Do = func(ctx context.Context, tx store.Tx) error {
		if !op.state.CompareAndSwap(writeWaits, writeBegan) && op.state.Load() == writeGivenUp {
			return context.Canceled
		}
		op.told = nil // a store may call again what it has undone
		return do(context.WithValue(ctx, writeKey{}, op), tx)
	}
	w.mu.Lock()
	w.writes = append(w.writes, op)
	w.mu.Unlock()
	return op
}

// wait returns what became of the write.
func (op *write) wait(ctx context.Context) error {
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		if op.state.CompareAndSwap(writeWaits, writeGivenUp) {
			return ctx.Err()
		}
		return <-op.done
	}
}

type write struct {
	store.Write
	state atomic.Int32
	told  []*told // by the last call of Do
	done  chan error
}

// States of a write: do may be called; has been called; will not be called.
const (
	writeWaits = iota
	writeBegan
	writeGivenUp
)

// Stats counts what a worker has done since it was made.
type Stats struct {
	Transitions int64 // states entered, durable
	Tasks       int64 // calls begun
	Live        int   // executions in memory
}

type counters struct{ transitions, tasks atomic.Int64 }

// Stats returns the counts of now.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{Transitions: w.counts.transitions.Load(), Tasks: w.counts.tasks.Load(), Live: len(w.live)}
}
