package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/maprun"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

func stack() string { return string(debug.Stack()) }

// world is one run of a seed.
type world struct {
	seed    uint64
	wild    bool // timeouts, stops, tasks that nobody answers
	trouble bool
	calm    bool // there never is any trouble
	twin    Twin
	trace   func(format string, args ...any)
	rng     *rand.Rand
	now     time.Time

	definitions       []string
	machines          []store.Machine
	queues            []store.Activity
	starts            []*start
	steps, crashes    int
	maxIdle, maxTasks int
	payload           int // bytes; what is larger is kept; 0: AWS's limit
	kept              int

	openStore func() (store.Store, error)
	disk      *disk
	node      *node
	zombies   []*node
	gen, died int
	inCall    int  // depth of calls into the disk
	running   bool // inside of a call of a task

	calls  map[string]*call // by task ID
	order  []string         // of calls
	held   map[string]*token
	tokens []*token // in the order in which they were handed out
	given  map[string]int
	ways   []way // of all executions, in the end
	polls  int   // that ended without an answer

	second, later *act // that is on; that will be, see second.go

	current   *routine // that goes on right now
	nodes     []*node  // all, to be buried
	stopping  map[store.MapRunID]*stopping
	express   map[item]int // Express children that have been run, by how often
	expressID store.ExecutionID
	patience  int // minutes in which nothing was left to do but for Map Runs
	runs      int // Map Runs that have ended
}

// start is a client's wish to start an execution. The client asks again until
// it has an answer that it can rely on.
type start struct {
	machine int
	name    string
	input   string
	stop    bool // the client will ask to stop it

	asked int // generation that was asked; 0: none
	id    store.ExecutionID
	done  bool

	stopAsked int
	stopped   bool

	redrives
}

// call is a task's call as the outside has seen it.
type call struct {
	execution store.ExecutionID
	task      engine.TaskID
	arn       string
	input     string
	count     int
}

// token is a task that somebody outside is to answer.
type token struct {
	text  string
	input string
	asked int
	done  bool
}

// node is one life of a worker.
type node struct {
	gen           int
	w             *worker.Worker
	view          *view
	cancel        context.CancelFunc
	open, syncing *worker.Batch
	tasks         []func()
	runner        *maprun.Runner
	routines      []*routine
}

// prepare registers machines and activities.
func (w *world) prepare(ctx context.Context) {
	var c store.Commit
	for i := range w.definitions {
		c.Writes = append(c.Writes, store.Write{Do: func(ctx context.Context, tx store.Tx) error {
			m, err := tx.CreateMachine(ctx, store.Machine{Name: fmt.Sprint("m", i), Type: "STANDARD"},
				store.Revision{Definition: w.definitions[i], RoleARN: "arn:aws:iam::123456789012:role/r"})
			w.machines = append(w.machines, m)
			return err
		}})
	}
	for i := range activities {
		c.Writes = append(c.Writes, store.Write{Do: func(ctx context.Context, tx store.Tx) error {
			a, err := tx.CreateActivity(ctx, store.Activity{Name: fmt.Sprint("a", i)})
			w.queues = append(w.queues, a)
			return err
		}})
	}
	err := w.disk.base.Commit(ctx, &c)
	for i := range c.Writes {
		err = errors.Join(err, c.Writes[i].Err)
	}
	if err != nil {
		panic(err)
	}
	machines, queues := w.machines, w.queues
	w.disk.log = append(w.disk.log, store.Commit{Writes: c.Writes})
	w.machines, w.queues = slices.Clip(machines), slices.Clip(queues)
}

// boot starts a node over what the disk has, until one lives.
func (w *world) boot() {
	for w.node == nil {
		w.gen++
		if w.trouble && w.rng.IntN(4) == 0 { // another machine, another clock
			w.now = w.now.Add(-time.Duration(w.rng.IntN(2000)) * time.Millisecond)
		}
		n := &node{gen: w.gen, view: w.disk.open(w.gen), open: &worker.Batch{}}
		n.view.during = func(writing bool) { w.meanwhile(n, writing) }
		if w.trouble && w.crashes > 0 {
			n.view.fate = 1 + w.rng.IntN(4*w.crashes)
		}
		ctx, cancel := context.WithCancel(context.Background())
		n.cancel = cancel
		tasks := task.NewRegistry()
		tasks.Add("lambda:invoke", functions{w, n})
		tasks.AddLambda(functions{w, n})
		tasks.Add("states:startExecution", functions{w, n})
		cfg := worker.Config{
			Now: func() time.Time { return w.now }, Go: func(f func()) { n.tasks = append(n.tasks, f) },
			MaxIdle: w.maxIdle, MaxTasks: w.maxTasks, Limits: engine.Limits{Payload: w.payload}, Keeper: keeper{w},
			Without: missing[w.twin],
		}
		if w.trace != nil {
			cfg.Log = slog.New(slog.NewTextHandler(tracer{w}, nil))
		}
		n.runner = w.runner(ctx, n)
		cfg.MapRuns, cfg.Committed = n.runner, n.runner.Committed
		w.nodes = append(w.nodes, n)
		var err error
		if n.w, err = worker.New(ctx, n.view, tasks, cfg); err == nil && w.twin != NotRecovered {
			err = n.w.Recover(ctx)
		}
		if err == nil {
			n.runner.Connect(standard{n.w, w}, expresses{w, n})
			err = n.runner.Recover(ctx)
		}
		w.tell("node %d begins: %v", n.gen, err)
		if err == nil && !n.view.dead {
			w.node = n
		} else {
			w.bury(n)
		}
	}
}

type tracer struct{ w *world }

func (t tracer) Write(b []byte) (int, error) {
	t.w.tell("log: %s", b)
	return len(b), nil
}

// crash ends the node's life, or makes a zombie of it.
func (w *world) crash() {
	n := w.node
	pause := w.trouble && !n.view.dead && len(w.zombies) < 2 && w.rng.IntN(2) == 0
	if pause {
		w.fill(n)
	}
	w.node = nil
	w.died++
	w.disk.crash(context.Background())
	n.view.zombie = true
	if pause {
		w.tell("node %d is paused", n.gen)
		w.zombies = append(w.zombies, n)
	} else {
		w.tell("node %d dies", n.gen)
		w.bury(n)
	}
	w.durable()
	w.boot()
}

// fill gives a node that is about to be paused a batch that it is committing
// and one that grows on it.
func (w *world) fill(n *node) {
	if n.syncing == nil {
		n.w.Round(n.open)
		n.w.Close(n.open)
		n.syncing, n.open = n.open, &worker.Batch{}
	}
	for range w.rng.IntN(6) {
		w.outside(n)
	}
	n.w.Round(n.open)
}

// durable checks that what was acknowledged is there after a crash.
func (w *world) durable() {
	for _, s := range w.starts {
		if s.done {
			w.mustExist(s)
		}
	}
}

func (w *world) mustExist(s *start) {
	x, err := w.disk.recordOf(context.Background(), s.id)
	if err != nil || x.Input != s.input || s.name != "" && x.Name != s.name {
		w.violated("acknowledged is durable", "start of %s was acknowledged as execution %d: %v", s.input, s.id, err)
	}
}

// act lets one thing happen.
func (w *world) act() {
	n := w.node
	w.maybeRemove()
	if n.view.dead || w.crashes > 0 && w.rng.IntN(w.crashes) == 0 {
		w.crash()
		return
	}
	switch k := w.rng.IntN(100); {
	case k < 35:
		w.step(n)
	case k < 40:
		n.w.Round(n.open)
	case k < 44 && len(w.zombies) > 0:
		w.wake(w.rng.IntN(len(w.zombies)))
	case k < 50:
		w.passTime(n)
	default:
		w.outside(n)
	}
}

// meanwhile lets things happen while the node is inside a call to the disk.
func (w *world) meanwhile(n *node, writing bool) {
	if !w.trouble || n != w.node || w.inCall > 0 {
		return
	}
	w.inCall++
	defer func() { w.inCall-- }()
	for w.rng.IntN(2) == 0 {
		if writing && w.rng.IntN(2) == 0 {
			n.w.Round(n.open)
		} else {
			w.outside(n)
		}
	}
}

// step is what Worker.Run does: a round, and a commit beside it. It reports
// whether there was anything to do.
func (w *world) step(n *node) (busy bool) {
	busy = n.w.Round(n.open)
	if n.syncing == nil {
		n.w.Close(n.open)
		n.syncing, n.open = n.open, &worker.Batch{}
		if w.trouble && w.rng.IntN(2) == 0 {
			return busy
		}
	}
	w.commit(n)
	return busy
}

func (w *world) commit(n *node) {
	ctx := context.Background()
	err := n.w.Commit(ctx, n.syncing)
	if n.view.dead || errors.Is(err, store.ErrBroken) {
		n.view.dead = true
		return
	}
	if err != nil {
		w.tell("commit fails: %v", err)
		if w.twin == HalfRolledBack {
			n.w.Rollback(err, n.syncing)
		} else {
			n.w.Rollback(err, n.syncing, n.open)
			n.open = &worker.Batch{}
		}
	}
	n.syncing = nil
}

// wake lets a paused node go on a little with what it has in hand; sooner or
// later it finds out that it is not wanted any more.
func (w *world) wake(i int) {
	n := w.zombies[i]
	w.tell("node %d wakes up", n.gen)
	w.step(n)
	w.resumeAll(n)
	if n.view.dead || !w.trouble || w.rng.IntN(3) == 0 {
		w.zombies = slices.Delete(w.zombies, i, i+1)
		w.bury(n)
	}
}

// passTime moves the clock and fires what is due.
func (w *world) passTime(n *node) {
	switch w.rng.IntN(6) {
	case 0:
		w.now = w.now.Add(time.Duration(w.rng.IntN(100)) * time.Second)
	default:
		w.now = w.now.Add(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	}
	next, err := n.w.FireTimers(context.Background())
	if err == nil && w.rng.IntN(2) == 0 && next.Sub(w.now) < time.Minute {
		w.now = next
		n.w.FireTimers(context.Background())
	}
}

// outside lets a client, a task, or a worker of an activity do something.
func (w *world) outside(n *node) {
	if w.second != nil && w.actAgain(n) {
		return
	}
	switch w.rng.IntN(8) {
	case 0:
		if i := w.rng.IntN(len(w.starts)); w.starts[i].asked != n.gen || w.rng.IntN(4) == 0 {
			w.start(n, w.starts[i])
		}
	case 1, 2, 3:
		w.runTask(n)
	case 4, 5:
		if len(w.tokens) > 0 {
			w.answer(n, w.tokens[w.rng.IntN(len(w.tokens))])
		}
	case 6:
		w.poll(n, w.rng.IntN(activities))
	case 7:
		switch w.rng.IntN(4) {
		case 0:
			w.heartbeat(n)
		case 1:
			w.stop(n, w.starts[w.rng.IntN(len(w.starts))])
		default:
			w.echo(n)
		}
	}
}

// start asks for an execution. A client that has lost sight of its request
// asks again; with a name of its own that is the same request.
func (w *world) start(n *node, s *start) {
	if s.done && s.name == "" {
		return
	}
	m := w.machines[s.machine]
	s.asked = n.gen
	acknowledged := func(x store.Execution) {
		if s.done && s.name != "" && s.id != x.ID {
			w.violated("one name, one execution", "%s was started as execution %d and as %d", s.name, s.id, x.ID)
		}
		s.id, s.done = x.ID, true
		w.mustExist(s)
	}
	if w.twin == AcknowledgedFirst && s.name == "" && !s.done {
		if last, err := w.disk.base.LastExecution(context.Background()); err == nil {
			acknowledged(store.Execution{ID: last + 1})
		}
	}
	n.w.Begin(context.Background(), store.Start{Machine: m, Revision: m.Current, Name: s.name, Input: s.input},
		func(x store.Execution, retry bool, err error) {
			w.tell("start %s: execution %d, again %v, %v", s.input, x.ID, retry, err)
			if s.asked == n.gen {
				s.asked = 0
			}
			switch {
			case err == nil && !retry:
				acknowledged(x)
			case errors.Is(err, store.ErrExists) && !retry:
				if x.ID != 0 {
					acknowledged(x)
				}
			case err != nil && !retry && !passing(err):
				w.violated("starts are answered", "start of %s: %v", s.input, err)
			}
		})
}

// passing says that an error means no more than "try again".
func passing(err error) bool {
	for _, e := range []error{errDisk, errCrash, store.ErrFull, store.ErrUnknown, store.ErrBusy, store.ErrNotFound, store.ErrConflict, store.ErrBroken} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// stop asks to stop an execution, once it is known.
func (w *world) stop(n *node, s *start) {
	if !s.stop || !s.done || s.stopped {
		return
	}
	s.stopAsked = n.gen
	id := s.id
	ends := 0
	if kept := w.disk.book[id]; kept != nil {
		ends = kept.ends
	}
	n.w.Post(context.Background(), id, engine.Stopped{At: w.now}, func(err error) {
		if s.stopAsked == n.gen {
			s.stopAsked = 0
		}
		if err == nil {
			if w.disk.book[id] == nil || w.disk.book[id].ends == ends {
				w.violated("acknowledged is durable", "stop of execution %d was acknowledged", id)
			}
			s.stopped = true
		}
		if errors.Is(err, engine.ErrNotWaiting) && n == w.node || errors.Is(err, store.ErrNotFound) && w.disk.removed[id] != nil {
			s.stopped = true
		}
	})
}

// functions is the integration behind every task: what it answers depends on
// the input alone.
type functions struct {
	w *world
	n *node
}

// Run makes the call.
func (f functions) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	w := f.w
	id := c.ID
	seen := w.calls[id]
	if w.twin == OtherTaskID && seen != nil {
		id = fmt.Sprint(id, "'", seen.count)
		seen = w.calls[id]
	}
	if seen == nil {
		seen = &call{arn: c.ExecutionARN, input: c.Input}
		w.calls[id] = seen
		w.order = append(w.order, id)
		var attempt uint32
		var frame uint32
		if _, err := fmt.Sscanf(c.ID[len(c.ExecutionARN):], ":%d:%d", &frame, &attempt); err != nil {
			panic(err)
		}
		seen.task = engine.TaskID{Frame: engine.FrameID(frame), Attempt: attempt}
		for _, id := range w.disk.ids {
			x, err := w.disk.recordOf(ctx, id)
			if err == nil && w.arnOf(x) == c.ExecutionARN {
				seen.execution = id
			}
		}
		if seen.execution == 0 {
			w.violated("nothing before its commit", "task %s was called, but its execution is not in the store", c.ID)
		}
	}
	kept := w.disk.book[seen.execution]
	if kept.status != engine.Running {
		w.violated("no call after the end", "task %s was called, but its execution has ended", id)
	}
	if life := lifeOf(c.Input); life != kept.redrives {
		w.violated("no call after the end", "task %s of the execution's life %d was called in life %d", id, life, kept.redrives)
	}
	seen.count++
	w.tell("node %d calls %s for the %d. time", f.n.gen, id, seen.count)
	if seen.input != c.Input {
		w.violated("same call", "task %s was called with %s and with %s", id, seen.input, c.Input)
	}
	if c.Resource.Pattern == asl.Sync {
		return task.Result{Output: `{"job":` + c.Input + `}`}, nil
	}
	if c.Resource.Pattern == asl.WaitForTaskToken {
		w.hold(c.Token, c.Input)
		w.whileRunning(f.n)
		return task.Result{Output: `{"handed":"over"}`}, nil
	}
	ok, output, cause := outcome(c.Input)
	if !ok {
		return task.Result{}, task.Fail("E.fail", cause)
	}
	return task.Result{Output: output}, nil
}

// Poll waits for the end of a job: it has come when it is asked for.
func (f functions) Poll(_ context.Context, c *task.Call, submitted string) (task.Result, error) {
	w := f.w
	seen := w.calls[c.ID]
	switch {
	case w.twin == OtherTaskID:
	case seen == nil:
		w.violated("a job is submitted first", "the end of %s was asked for, but it was never called", c.ID)
		return task.Result{}, nil
	case seen.input != c.Input || submitted != `{"job":`+c.Input+`}`:
		w.violated("same call", "task %s was called with %s; its end was asked for with %s and %s", c.ID, seen.input, c.Input, submitted)
	case w.disk.book[seen.execution].status != engine.Running:
		w.violated("no call after the end", "the end of %s was asked for, but its execution has ended", c.ID)
	}
	w.tell("node %d asks for the end of %s", f.n.gen, c.ID)
	ok, output, cause := outcome(c.Input)
	if !ok {
		return task.Result{}, task.Fail("E.fail", cause)
	}
	return task.Result{Output: output}, nil
}

// Cancel stops a job. It may come too late.
func (f functions) Cancel(_ context.Context, c *task.Call, submitted string) error {
	f.w.tell("node %d cancels %s: %s", f.n.gen, c.ID, submitted)
	if submitted != `{"job":`+c.Input+`}` {
		f.w.violated("same call", "%s of %s is cancelled as if it had been begun with %q", submitted, c.ID, c.Input)
	}
	return nil
}

// whileRunning lets things happen before a call returns: the answer may come
// before the call does.
func (w *world) whileRunning(n *node) {
	if !w.trouble || w.running || n != w.node {
		return
	}
	w.running = true
	defer func() { w.running = false }()
	for w.rng.IntN(2) == 0 {
		switch k := w.rng.IntN(4); {
		case k == 0 && w.inCall == 0:
			w.step(n)
		case k == 1:
			w.outside(n)
		default:
			w.answer(n, w.tokens[len(w.tokens)-1])
		}
	}
}

func (w *world) arnOf(x store.Execution) string {
	part := ""
	if x.Child.Run != 0 {
		part = "/" + mapLabel
	}
	return fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:m%d%s:%s", x.Machine-w.machines[0].ID, part, x.Name)
}

// outcome is what becomes of a task that is called with input.
func outcome(input string) (ok bool, output, cause string) {
	in, err := value.Parse(input)
	if err != nil {
		panic(err)
	}
	try, _ := in.Get("try").Int64()
	fails, _ := in.Get("fails").Int64()
	n, _ := in.Get("n").Int64()
	at := fmt.Sprintf("%s/%s/%d/%d", in.Get("who").Str(), in.Get("state").Str(), n, try)
	if life, _ := in.Get("life").Int64(); life > 0 {
		at += fmt.Sprint("/", life)
		if mended(in) {
			fails = 0
		}
	}
	if try < fails {
		return false, "", at
	}
	h := fnv.New64a()
	fmt.Fprint(h, at, in.Get("v").Str())
	return true, fmt.Sprintf(`{"who":%q,"n":%d,"v":"%016x","at":%q}`, in.Get("who").Str(), n, h.Sum64(), at), ""
}

// never says that nobody will answer a task.
func never(input string) bool {
	in, err := value.Parse(input)
	return err == nil && in.Get("will").Str() == "never" && !mended(in)
}

// hold keeps a token for whoever is to answer it.
func (w *world) hold(text, input string) {
	if w.held[text] == nil {
		t := &token{text: text, input: input, done: never(input)}
		w.held[text] = t
		w.tokens = append(w.tokens, t)
	}
}

// answer sends a callback: for the first time, because no answer came, or
// once more although one did.
func (w *world) answer(n *node, t *token) {
	if never(t.input) || t.done && w.rng.IntN(4) > 0 {
		return
	}
	id, taskID, err := n.w.ParseToken(t.text)
	if err != nil {
		w.violated("tokens hold", "token %s: %v", t.text, err)
	}
	ok, output, cause := outcome(t.input)
	name := "E.fail"
	var ev engine.Event = engine.TaskFailed{At: w.now, Task: taskID, Error: &name, Cause: &cause, Callback: true}
	key := cause
	if ok {
		ev, key = engine.TaskSucceeded{At: w.now, Task: taskID, Output: engine.Text(output), Callback: true}, output
	}
	if w.twin == EarlyDropped && !t.done && !w.submitted(id, t) {
		t.done = true
		return
	}
	t.asked = n.gen
	n.w.Post(context.Background(), id, ev, func(err error) {
		w.tell("answer to %s (execution %d): %v", t.input, id, err)
		if t.asked == n.gen {
			t.asked = 0
		}
		switch {
		case err == nil:
			if w.disk.book[id] == nil || w.disk.book[id].results[key] == 0 {
				w.violated("acknowledged is durable", "callback of execution %d was acknowledged, but its history has no %s", id, key)
			}
			t.done = true
		case errors.Is(err, store.ErrNotFound) && w.disk.removed[id] != nil:
			t.done = true
		case errors.Is(err, engine.ErrNotWaiting):
			// The client of a paused node has not waited for what that thinks.
			t.done = t.done || n == w.node
		case !passing(err):
			w.violated("callbacks are answered", "execution %d: %v", id, err)
		}
	})
}

// submitted says whether the history knows that a task was handed over.
func (w *world) submitted(id store.ExecutionID, t *token) bool {
	kept := w.disk.book[id]
	if kept == nil {
		return false
	}
	for i, ev := range kept.events {
		if ev.Type == engine.ActivityScheduledType && deref(ev.Data) == t.input {
			return true
		}
		if ev.Type != engine.TaskScheduledType || deref(ev.Data) != t.input {
			continue
		}
		for _, later := range kept.events[i:] {
			if later.Type == engine.TaskSubmittedType && later.Previous == ev.ID+1 {
				return true
			}
		}
	}
	return false
}

// poll asks for a task of an activity, and reports whether there was one.
func (w *world) poll(n *node, activity int) bool {
	w.polls++
	there, err := n.w.Take(context.Background(), w.queues[activity], "worker", func(text, input string, err error) {
		w.tell("poll of a%d: %s %v", activity, input, err)
		if err == nil {
			w.polls--
		}
		if text == "" {
			return
		}
		if w.given[text]++; w.given[text] > 1 {
			w.violated("handed out once", "activity task %s was handed out twice", input)
		}
		w.hold(text, input)
	})
	if !there {
		w.polls--
	}
	if err != nil && !passing(err) {
		w.violated("polls are answered", "%v", err)
	}
	return there
}

// heartbeat is sent for any task that somebody holds.
func (w *world) heartbeat(n *node) {
	if len(w.tokens) == 0 {
		return
	}
	t := w.tokens[w.rng.IntN(len(w.tokens))]
	id, taskID, err := n.w.ParseToken(t.text)
	if err != nil {
		w.violated("tokens hold", "token %s: %v", t.text, err)
	}
	n.w.Post(context.Background(), id, engine.TaskHeartbeat{At: w.now, Task: taskID}, func(error) {})
}

// echo brings the result of a call once more, as a node that was thought dead
// would.
func (w *world) echo(n *node) {
	if len(w.order) == 0 {
		return
	}
	c := w.calls[w.order[w.rng.IntN(len(w.order))]]
	if in, err := value.Parse(c.input); err != nil || in.Get("token").Str() != "" {
		return
	}
	at := c.task
	if w.twin == AttemptIgnored {
		for _, other := range w.calls {
			if other.execution == c.execution && other.task.Frame == at.Frame {
				at.Attempt = max(at.Attempt, other.task.Attempt)
			}
		}
	}
	ok, output, cause := outcome(c.input)
	name := "E.fail"
	var ev engine.Event = engine.TaskFailed{At: w.now, Task: at, Error: &name, Cause: &cause}
	if ok {
		ev = engine.TaskSucceeded{At: w.now, Task: at, Output: engine.Text(output)}
	}
	n.w.Post(context.Background(), c.execution, ev, nil)
}

// runTask lets one of the calls under way come to its end.
func (w *world) runTask(n *node) {
	if len(n.tasks) == 0 {
		return
	}
	i := w.rng.IntN(len(n.tasks))
	run := n.tasks[i]
	n.tasks = slices.Delete(n.tasks, i, i+1)
	run()
}

// settle lets the world come to rest: no trouble any more, every client asks
// until it is answered, and the clock runs as far as something is due.
func (w *world) settle() {
	w.trouble, w.disk.faults, w.crashes = false, false, 0
	for len(w.zombies) > 0 {
		w.step(w.zombies[0])
		w.wake(0)
	}
	if w.node.view.dead {
		w.crash()
	}
	w.node.view.fate = 0
	quiet, late := false, 0
	for range 3000 {
		w.drain()
		w.checkStopping()
		due, err := w.disk.base.Due(context.Background(), w.now.AddDate(100, 0, 0), 1)
		if err != nil {
			panic(err)
		}
		switch {
		case len(due) == 0 && quiet: // not even a second look finds anything
			if !w.giveUp() {
				return
			}
		case len(due) == 0:
			w.now = w.now.Add(time.Minute)
		case time.UnixMilli(due[0].Due).After(w.now):
			w.now = time.UnixMilli(due[0].Due)
		case late > 3:
			w.violated("timers fire in time", "execution %d was due at %s", due[0].ID, time.UnixMilli(due[0].Due).UTC())
		default:
			late++
			w.now = w.now.Add(time.Second)
		}
		if len(due) == 0 || time.UnixMilli(due[0].Due).After(w.now) {
			late = 0
		}
		quiet = len(due) == 0 && !quiet
		if _, err := w.node.w.FireTimers(context.Background()); err != nil {
			panic(err)
		}
	}
	w.violated("comes to rest", "timers still fire at %s", w.now)
}

// drain does all that can be done without the clock.
func (w *world) drain() {
	n := w.node
	for range 10000 {
		progress := false
		for range 3 {
			progress = w.step(n) || progress
		}
		for len(n.tasks) > 0 {
			w.runTask(n)
			progress = true
		}
		progress = w.resumeAll(n) || progress
		for _, s := range w.starts {
			if !s.done && s.asked != n.gen {
				w.start(n, s)
				progress = true
			}
			if s.stop && s.done && !s.stopped && s.stopAsked != n.gen {
				w.stop(n, s)
				progress = true
			}
			if w.second != nil && s.redriveAsked != n.gen {
				progress = w.redrive(n, s) || progress
			}
		}
		for _, t := range w.tokens {
			if !t.done && t.asked != n.gen {
				w.answer(n, t)
				progress = true
			}
		}
		for i := range activities {
			if w.poll(n, i) {
				progress = true
			}
		}
		if !progress {
			return
		}
	}
	w.violated("comes to rest", "there is always more to do")
}

// giveUp deals with what nobody will answer any more. It returns false if
// everything has ended.
func (w *world) giveUp() bool {
	more, waiting := false, len(w.node.routines)
	for _, id := range w.disk.ids {
		if w.disk.book[id].status != engine.Running {
			continue
		}
		open := w.openTasks(id)
		if t := w.lostHandOut(id, open); t != nil {
			w.hold(t.text, t.input)
			more = true
			continue
		}
		// Among the open tasks of a wild world may be some that were given up
		// with their branch: no event of their own says so.
		if w.awaitsRun(id) {
			waiting++
			continue
		}
		if !slices.ContainsFunc(open, func(ev engine.HistoryEvent) bool { return never(deref(ev.Data)) }) {
			w.violated("everything ends", "execution %d stands still:\n%s", id, w.render(id))
		}
		w.node.w.Post(context.Background(), id, engine.Stopped{At: w.now}, func(error) {})
		more = true
	}
	if !more && waiting > 0 {
		if w.patience++; w.patience > 100 {
			w.violated("runs end", "%d executions and Map Runs stand still", waiting)
		}
		w.now = w.now.Add(time.Minute)
		more = true
	}
	return more
}

// awaitsRun says whether an execution waits for a Map Run that has not ended.
func (w *world) awaitsRun(id store.ExecutionID) bool {
	list, err := w.disk.base.MapRuns(context.Background(), id, 0, 1)
	if err != nil {
		w.violated("acknowledged is durable", "Map Runs of execution %d: %v", id, err)
	}
	return len(list) > 0 && list[0].Status == engine.Running && !list[0].Stopping
}

// openTasks lists the events that scheduled tasks which have no outcome.
func (w *world) openTasks(id store.ExecutionID) (open []engine.HistoryEvent) {
	followed := map[int64]bool{}
	events := w.history(id)
	for _, ev := range events {
		followed[ev.Previous] = true
	}
	scheduled := map[int64]engine.HistoryEvent{}
	for _, ev := range events {
		switch ev.Type {
		case engine.ExecutionRedrivenType: // what was open has been given up
			open = nil
			continue
		case engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
			scheduled[ev.ID] = ev
		case engine.TaskStartedType, engine.LambdaFunctionStartedType, engine.ActivityStartedType, engine.TaskSubmittedType:
			scheduled[ev.ID] = scheduled[ev.Previous]
		default:
			continue
		}
		if !followed[ev.ID] {
			open = append(open, scheduled[ev.ID])
		}
	}
	return open
}

// lostHandOut finds an activity task that was handed out in an answer which
// did not arrive: real ones need a timeout then, ours are answered after all.
func (w *world) lostHandOut(id store.ExecutionID, open []engine.HistoryEvent) *token {
	for _, ev := range open {
		if ev.Type != engine.ActivityScheduledType || never(deref(ev.Data)) {
			continue
		}
		in, err := value.Parse(*ev.Data)
		if err != nil {
			panic(err)
		}
		text := in.Get("token").Str()
		started := slices.ContainsFunc(w.history(id), func(s engine.HistoryEvent) bool {
			return s.Type == engine.ActivityStartedType && s.Previous == ev.ID
		})
		if w.held[text] == nil && started && w.polls > 0 {
			w.polls--
			return &token{text: text, input: *ev.Data}
		}
	}
	return nil
}

// smallPayload is a limit that results exceed now and then.
const smallPayload = 600

// keeper keeps what is larger than the limit: its references say what was kept,
// in the shape that the machines go on with.
type keeper struct{ *world }

func (k keeper) Keeps(context.Context, string) bool { return true }

func (k keeper) Keep(_ context.Context, c *task.Call, result string) (string, error) {
	k.kept++
	k.tell("kept for %s: %d bytes", c.ID, len(result))
	h := fnv.New64a()
	fmt.Fprint(h, result)
	v, err := value.Parse(result)
	if err != nil {
		k.violated("results are JSON", "%s: %v", result, err)
	}
	who, n := v.Get("who").Str(), int64(0)
	if counted, ok := v.Get("n").Int64(); ok {
		n = counted
	}
	return fmt.Sprintf(`{"who":%q,"n":%d,"v":"%016x"}`, who, n, h.Sum64()), nil
}
