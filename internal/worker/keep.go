package worker

import (
	"context"
	"errors"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/task"
)

// keep has a result that no payload can hold kept, and delivers what goes on in
// its place.
func (w *Worker) keep(x *execution, k *engine.Keep) {
	key := runningTask{execution: x.id, task: k.Task}
	call := w.callOf(x, &engine.Dispatch{Task: k.Task, State: k.State, Input: k.Result})
	w.inTurn(key, "keep", func(ctx context.Context) {
		if reference, err := w.cfg.Keeper.Keep(ctx, call, call.Input); ctx.Err() == nil {
			w.post(w.ctx, x.id, delivery{ev: w.kept(k.Task, reference, err)})
		}
	})
}

// kept is the event for what became of a result that was to be kept.
func (w *Worker) kept(id engine.TaskID, reference string, err error) engine.Event {
	ev := engine.Kept{At: w.now(), Task: id}
	var e *task.Error
	switch {
	case err == nil:
		ev.Reference = engine.Text(reference)
	case errors.As(err, &e):
		ev.Error, ev.Cause = e.Name, e.Cause
	default:
		e = task.Fail("States.TaskFailed", err.Error())
		ev.Error, ev.Cause = e.Name, e.Cause
	}
	return ev
}

// keeps says whether results of m's executions are kept; nil: none are.
func (w *Worker) keeps(m *machine) func() bool {
	if w.cfg.Keeper == nil {
		return nil
	}
	return func() bool { return w.cfg.Keeper.Keeps(w.ctx, rootName(m.name)) }
}
