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
		case *engine.Cancel:
			w.cancel(runningTask{e.x.id, cmd.Task})
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
	key := runningTask{x.id, d.Task}
	service := d.Resource.Service
	if d.Resource.Kind == asl.LambdaResource {
		service = "lambda"
	}
	call := &task.Call{
		ID:           fmt.Sprintf("%s:%d:%d", x.arn, d.Task.Frame, d.Task.Attempt),
		ExecutionARN: x.arn,
		MachineARN:   w.cfg.Scheme.Machine(x.machine.name),
		State:        d.State,
		Resource:     d.Resource,
		Input:        d.Input.JSON(),
		Token:        d.Token,
		RoleARN:      d.RoleARN,
		Retry:        d.Retry,
	}
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
	run := func() { w.runTask(ctx, p, key, call) }
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

// cancel ends a call that nobody waits for any more.
func (w *Worker) cancel(key runningTask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cancel := w.running[key]; cancel != nil {
		cancel()
	}
}

// busy reports whether so much waits that nothing new should begin.
func (w *Worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backlog > w.cfg.MaxBacklog
}

// runTask makes a call and delivers what came of it.
func (w *Worker) runTask(ctx context.Context, p *pool, key runningTask, call *task.Call) {
	if ctx.Err() == nil {
		w.counts.tasks.Add(1)
		events := w.call(ctx, key.task, call)
		if ctx.Err() == nil {
			w.post(w.ctx, key.execution, events...)
		}
	}
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

// call runs the integration and turns its outcome into events.
func (w *Worker) call(ctx context.Context, id engine.TaskID, call *task.Call) []delivery {
	result, err := w.integrate(ctx, call)
	if result.Submitted == "" {
		return []delivery{{ev: w.outcome(id, call, result, err, call.Resource.Pattern == asl.WaitForTaskToken)}}
	}
	submitted := engine.TaskSubmitted{At: w.now(), Task: id, Output: engine.Text(result.Submitted)}
	return []delivery{{ev: submitted}, {ev: w.outcome(id, call, result, err, false)}}
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
	defer func() {
		if r := recover(); r != nil {
			w.cfg.Log.Error("defect in an integration", "resource", call.Resource.ARN, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("defect in the integration for %s", call.Resource.ARN)
		}
	}()
	return integration.Run(ctx, call)
}

// Recover asks again for all that a crash left standing: tasks that were
// being called, and executions that stopped between two states.
func (w *Worker) Recover(ctx context.Context) error {
	const page = 500
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
