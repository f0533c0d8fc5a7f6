package engine

import (
	"slices"

	"github.com/lockstep-run/lockstep/asl"
)

// redrive begins an execution again. What had ended well keeps its results;
// the states that had not are done again, without being entered again: their
// StateEntered events are in the history already.
func (a *apply) redrive(ev Redriven) error {
	if a.Status == Succeeded || a.lastEvent >= a.historyLimit()-1 {
		return ErrNotWaiting
	}
	a.Status, a.Error, a.Cause, a.StoppedAt = Running, nil, nil, 0
	a.redrives++
	a.redriven = a.now
	if a.deadline != 0 {
		a.deadline = a.now + a.allowed()
	}
	begun := a.record(&HistoryEvent{Type: ExecutionRedrivenType, Previous: a.lastEvent, Redrives: a.redrives})
	a.again(a.frames[rootFrame], begun)
	slices.Reverse(a.stack) // the stack's top, branch 0, runs first
	return nil
}

// again makes f ready to do its state once more. Branches and iterations that
// are done stay so.
func (a *apply) again(f *Frame, begun int64) {
	switch f.phase {
	case done:
		return
	case ready: // its state had not been entered
		a.stack = append(a.stack, f)
		return
	}
	f.retries, f.retried = nil, 0
	f.due, f.timeoutAt, f.heartbeat = 0, 0, 0
	f.last = begun
	a.touch(f)
	if children := a.children[f.ID]; len(children) > 0 && !a.allDone(f) {
		f.phase = joining
		for _, id := range children {
			a.again(a.frames[id], begun)
		}
		return
	}
	a.removeChildren(f)
	f.phase = redo
	a.stack = append(a.stack, f)
}

// doAgain does the state that f is in.
func (a *apply) doAgain(f *Frame) {
	state := a.env.Machine.State(f.state)
	if task, ok := state.(*asl.Task); ok {
		if failed := a.schedule(f, task); failed != nil {
			a.fail(f, failed)
		}
		return
	}
	a.work(f, state)
}
