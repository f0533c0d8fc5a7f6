package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
)

// runningTask is a call that is under way or waits for its turn.
type runningTask struct {
	execution store.ExecutionID
	task      engine.TaskID
	job       bool // waits for the end of a job that the task's call has begun
}

// pool bounds the calls of one service that are under way.
type pool struct {
	running int
	waiting queue[func()]
}

// carryOut does what the steps of a durable entry ask for.
func (w *Worker) carryOut(e *entry, c *store.ExecutionCommit) {
	handedOut := map[engine.TaskID]*engine.Dispatch(nil)
	for _, command := range e.commands {
		switch cmd := command.(type) {
		case *engine.Dispatch:
			if cmd.Resource.Kind == asl.ActivityResource {
				if handedOut == nil {
					handedOut = map[engine.TaskID]*engine.Dispatch{}
				}
				handedOut[cmd.Task] = cmd
				continue
			}
			w.dispatch(e.x, cmd)
		case *engine.Poll:
			w.poll(e.x, cmd)
		case *engine.Cancel:
			w.cancel(e.x, cmd)
		case *engine.Keep:
			w.keep(e.x, cmd)
		case *engine.StartMapRun:
			w.startMapRun(e.x, cmd)
		case *engine.StopMapRun:
			if w.cfg.MapRuns != nil {
				w.cfg.MapRuns.Stop(mapRunName(cmd.ARN))
			}
		}
	}
	w.activities.offer(c.Enqueue)
	for _, d := range e.deliveries {
		if d.done == nil {
			continue
		}
		var o outcome
		if started, ok := d.ev.(engine.ActivityStarted); ok {
			o.command = handedOut[started.Task]
		}
		d.done(o)
	}
	w.unpin(e.x, len(e.deliveries))
}

// dispatch begins a task's call, or lets it wait for its turn. A task that is
// under way already is left alone.
func (w *Worker) dispatch(x *execution, d *engine.Dispatch) {
	key := runningTask{execution: x.id, task: d.Task}
	service := d.Resource.Service
	if d.Resource.Kind == asl.LambdaResource {
		service = "lambda"
	}
	call := w.callOf(x, d)
	w.inTurn(key, service, func(ctx context.Context) { w.runTask(ctx, key, call) })
}

// inTurn does something for an execution beside the worker, or lets it wait for its
// turn among what is done for the same service. What is under way already is left
// alone.
func (w *Worker) inTurn(key runningTask, service string, do func(context.Context)) {
	ctx, cancel := context.WithCancel(w.ctx)
	w.mu.Lock()
	if w.running[key] != nil {
		w.mu.Unlock()
		cancel()
		return
	}
	w.running[key] = cancel
	p := w.pools[service]
	if p == nil {
		p = &pool{}
		w.pools[service] = p
	}
	run := func() {
		do(ctx)
		w.finished(p, key)
	}
	turn := p.running < w.cfg.MaxTasks
	if turn {
		p.running++
	} else {
		p.waiting.push(run)
		w.backlog++
	}
	w.mu.Unlock()
	if turn {
		w.cfg.Go(run)
	}
}

// finished ends what inTurn began, and gives the turn to the next.
func (w *Worker) finished(p *pool, key runningTask) {
	w.mu.Lock()
	if cancel := w.running[key]; cancel != nil {
		cancel()
		delete(w.running, key)
	}
	next, more := p.waiting.pop()
	if more {
		w.backlog--
	} else {
		p.running--
	}
	w.mu.Unlock()
	if more {
		w.cfg.Go(next)
	}
}

// callOf is the call that a command of an execution asks for.
func (w *Worker) callOf(x *execution, d *engine.Dispatch) *task.Call {
	c := newCall(x.arn, w.cfg.Scheme.Machine(x.machine.name), x.machine.roleARN, d)
	c.Machine = rootName(x.machine.name)
	return c
}

// newCall is callOf for an execution that the worker may know nothing of.
func newCall(execution, machine, role string, d *engine.Dispatch) *task.Call {
	return &task.Call{
		ID:           taskID(execution, d.Task),
		ExecutionARN: execution,
		MachineARN:   machine,
		State:        d.State,
		Resource:     d.Resource,
		Input:        d.Input.JSON(),
		Token:        d.Token,
		RoleARN:      d.RoleARN,
		MachineRole:  role,
		Retry:        d.Retry,
		Again:        d.Again,
		Entered:      d.Entered,
		Heartbeat:    d.Heartbeat,
	}
}

func taskID(execution string, t engine.TaskID) string {
	return fmt.Sprintf("%s:%d:%d", execution, t.Frame, t.Attempt)
}

// Try calls a task for a state that is tested by itself, and returns what came of
// it. The worker knows nothing of such an execution: x has its names. The call
// ends when ctx does.
func (w *Worker) Try(ctx context.Context, x *engine.Execution, d *engine.Dispatch) engine.Event {
	call := newCall(x.ARN, x.MachineARN, x.RoleARN, d)
	result, err := w.integrate(ctx, call)
	return w.outcome(d.Task, call, result, err, false)
}

// cancel ends a call that nobody waits for any more, and the job it has begun
// where that is asked for.
func (w *Worker) cancel(x *execution, c *engine.Cancel) {
	key := runningTask{execution: x.id, task: c.Task}
	w.mu.Lock()
	begun := w.jobs[key]
	delete(w.jobs, key)
	for _, job := range [...]bool{false, true} {
		if cancel := w.running[runningTask{x.id, c.Task, job}]; cancel != nil {
			cancel()
		}
	}
	w.mu.Unlock()
	if c.Submitted != nil && c.Call != nil {
		begun = job{w.callOf(x, c.Call), c.Submitted.JSON()}
	}
	if begun.call != nil {
		w.cfg.Go(func() { w.cancelJob(begun.call, begun.submitted) })
	}
}

// job is a job by the call that has begun it and what its submission returned.
type job struct {
	call      *task.Call
	submitted string
}

// keepJob notes a job whose execution is about to be told of it: what ends the
// execution before that ends the job. It returns false if that was so already.
func (w *Worker) keepJob(ctx context.Context, key runningTask, begun job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	w.jobs[key] = begun
	return true
}

// poll waits for the end of a job beside the pools: it takes as long as the job,
// and what the job does may need a turn itself.
func (w *Worker) poll(x *execution, p *engine.Poll) {
	key := runningTask{x.id, p.Task, true}
	call, submitted := w.callOf(x, &p.Dispatch), p.Submitted.JSON()
	ctx, cancel := context.WithCancel(w.ctx)
	w.mu.Lock()
	delete(w.jobs, runningTask{execution: x.id, task: p.Task})
	if w.running[key] != nil {
		w.mu.Unlock()
		cancel()
		return
	}
	w.running[key] = cancel
	w.mu.Unlock()
	w.cfg.Go(func() { w.runPoll(ctx, key, call, submitted) })
}

// runPoll waits for the end of a job and delivers what came of it.
func (w *Worker) runPoll(ctx context.Context, key runningTask, call *task.Call, submitted string) {
	if ctx.Err() == nil {
		result, err := w.jobEnd(ctx, call, submitted)
		if ctx.Err() == nil {
			w.post(w.ctx, key.execution, delivery{ev: w.outcome(key.task, call, result, err, false)})
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[key]()
	delete(w.running, key)
}

// busy reports whether so much waits that nothing new should begin.
func (w *Worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backlog > w.cfg.MaxBacklog
}

// runTask makes a call and delivers what came of it.
func (w *Worker) runTask(ctx context.Context, key runningTask, call *task.Call) {
	if ctx.Err() != nil {
		return
	}
	w.counts.tasks.Add(1)
	events, submitted := w.call(ctx, key.task, call)
	switch {
	case submitted == "" && ctx.Err() == nil, submitted != "" && w.keepJob(ctx, key, job{call, submitted}):
		w.post(w.ctx, key.execution, events...)
	case submitted != "" && w.ctx.Err() == nil: // given up while it was being submitted
		w.cancelJob(call, submitted)
	}
}

// call runs the integration and turns its outcome into events. If it began a
// job, job is what the submission returned.
func (w *Worker) call(ctx context.Context, id engine.TaskID, call *task.Call) (events []delivery, job string) {
	result, err := w.integrate(ctx, call)
	if result.Submitted != "" {
		submitted := engine.TaskSubmitted{At: w.now(), Task: id, Output: engine.Text(result.Submitted), Answered: true}
		return []delivery{{ev: submitted}, {ev: w.outcome(id, call, result, err, false)}}, ""
	}
	later := call.Resource.OnBoard()
	switch call.Resource.Pattern {
	case asl.WaitForTaskToken:
		later = true
	case asl.Sync, asl.Sync2:
		if later {
			break
		}
		if later = w.tasks.Poller(call.Resource) != nil; later && err == nil {
			job = result.Output
		}
	}
	return []delivery{{ev: w.outcome(id, call, result, err, later)}}, job
}

// outcome is the event for what an integration has returned.
func (w *Worker) outcome(id engine.TaskID, call *task.Call, result task.Result, err error, later bool) engine.Event {
	if err == nil {
		if bad := value.Valid(result.Output); bad != nil {
			err = fmt.Errorf("%s returned something that is not JSON: %w", call.Resource.ARN, bad)
		}
	}
	if err != nil {
		var e *task.Error
		if !errors.As(err, &e) {
			e = task.Fail("States.TaskFailed", err.Error())
		}
		return engine.TaskFailed{At: w.now(), Task: id, Error: e.Name, Cause: e.Cause}
	}
	if later {
		return engine.TaskSubmitted{At: w.now(), Task: id, Output: engine.Text(result.Output)}
	}
	return engine.TaskSucceeded{At: w.now(), Task: id, Output: engine.Text(result.Output)}
}

func (w *Worker) integrate(ctx context.Context, call *task.Call) (result task.Result, err error) {
	integration := w.tasks.Find(call.Resource)
	if integration == nil {
		return result, task.Unsupported(call.Resource)
	}
	defer w.rescue(call, &err)
	return integration.Run(asked(ctx, call), call)
}

// asked is ctx with the call for whose role things are asked of AWS, where it has
// one of its own.
func asked(ctx context.Context, call *task.Call) context.Context {
	if call.RoleARN == "" {
		return ctx
	}
	return task.With(ctx, call)
}

// jobEnd is integrate for the end of a job.
func (w *Worker) jobEnd(ctx context.Context, call *task.Call, submitted string) (result task.Result, err error) {
	integration := w.tasks.Poller(call.Resource)
	if integration == nil {
		return result, task.Unsupported(call.Resource)
	}
	defer w.rescue(call, &err)
	return integration.Poll(asked(ctx, call), call, submitted)
}

// cancelJob stops a job whose end nobody waits for. That it is tried is all
// that AWS promises.
func (w *Worker) cancelJob(call *task.Call, submitted string) {
	var err error
	defer func() {
		if err != nil {
			w.cfg.Log.Warn("job not cancelled", "task", call.ID, "resource", call.Resource.ARN, "error", err)
		}
	}()
	defer w.rescue(call, &err)
	if integration := w.tasks.Poller(call.Resource); integration != nil {
		err = integration.Cancel(asked(w.ctx, call), call, submitted)
	}
}

// rescue, deferred, makes a panic of an integration an error of its task.
func (w *Worker) rescue(call *task.Call, err *error) {
	if r := recover(); r != nil {
		w.cfg.Log.Error("defect in an integration", "resource", call.Resource.ARN, "panic", r, "stack", string(debug.Stack()))
		*err = fmt.Errorf("defect in the integration for %s", call.Resource.ARN)
	}
}

// Recover asks again for all that a crash left standing: tasks that were
// being called, and executions that stopped between two states.
func (w *Worker) Recover(ctx context.Context) error {
	const page = 500
	if err := w.readInbox(ctx); err != nil {
		return err
	}
	var last store.ExecutionID
	for {
		ids, err := w.store.Pending(ctx, last, page)
		if err != nil {
			return fmt.Errorf("find executions to resume: %w", err)
		}
		for _, id := range ids {
			w.post(ctx, id, delivery{})
			last = id
		}
		if len(ids) < page {
			return nil
		}
	}
}

// resume asks again for what x waits for, once all that is known of it is
// durable. Tasks that are under way already are left alone.
func (w *Worker) resume(b *Batch, x *execution, d delivery) error {
	commands, more, err := engine.Resume(x.env, x.snap)
	if err != nil {
		return err
	}
	b.late = append(b.late, lateAnswer{x: x, d: d, commands: commands})
	if more {
		w.pin(x, 1)
		w.giveBack(x, []delivery{{ev: engine.Continued{At: w.now()}}})
	}
	return nil
}
