package engine

import (
	"fmt"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
)

// A result that no payload can hold can be kept outside: the state is left with
// a reference in its place, once what the reference names is durable. History
// shows the reference alone.

// maxKept is how large a result may be that is to be kept, in bytes: it stands in
// the snapshot until it is.
const maxKept = 32 << 20

// resultLimit is how large a state's result may be, in bytes, beside its output.
func (a *apply) resultLimit() int {
	if a.keeps() {
		return max(maxKept, a.payloadLimit())
	}
	return a.payloadLimit()
}

func (a *apply) keeps() bool { return a.env.test == nil && a.env.Keeps != nil && a.env.Keeps() }

// keep asks for large, a part of what f's state makes of result, to be kept, if
// that can be.
func (a *apply) keep(f *Frame, state asl.State, result, large *Data) bool {
	if _, _, ok := resultFields(state); !ok || max(result.Size(), large.Size()) > maxKept || !a.keeps() {
		return false
	}
	f.phase, f.due = keeping, 0
	f.result = result
	f.attempt++
	a.touch(f)
	a.commands = append(a.commands, &Keep{Task: TaskID{f.ID, f.attempt}, State: f.state, Result: large})
	return true
}

// keepAgain is the Keep of a frame that waits for one.
func (a *apply) keepAgain(f *Frame) (*Keep, error) {
	state := a.env.Machine.State(f.state)
	selector, rp, ok := resultFields(state)
	if !ok {
		return nil, fmt.Errorf("engine: state %q of %s has no result that could be kept", f.state, a.Execution.ARN)
	}
	_, large, failed := a.output(f, state, f.result, selector, rp, nil)
	if failed != nil {
		return nil, fmt.Errorf("engine: the result of %q of %s cannot be built again: %s", f.state, a.Execution.ARN, deref(failed.cause))
	}
	return &Keep{Task: TaskID{f.ID, f.attempt}, State: f.state, Result: large}, nil
}

// kept leaves the state whose result has been kept, or fails it.
func (a *apply) kept(ev Kept) error {
	f := a.frames[ev.Task.Frame]
	if f == nil || f.attempt != ev.Task.Attempt || f.phase != keeping {
		return ErrNotWaiting
	}
	state := a.env.Machine.State(f.state)
	selector, rp, ok := resultFields(state)
	if !ok {
		return fmt.Errorf("engine: state %q of %s has no result that could be kept", f.state, a.Execution.ARN)
	}
	result := f.result
	f.phase, f.result = failing, nil
	a.touch(f)
	failed := &failure{name: ev.Error, cause: ev.Cause}
	if ev.Reference != nil {
		var output *Data
		if output, _, failed = a.output(f, state, result, selector, rp, ev.Reference); failed == nil {
			failed = a.depart(f, state, output, result, states{result: result})
		}
	}
	if failed != nil {
		a.fail(f, failed)
	}
	return nil
}

// resultFields are what a state says about its result: ResultSelector and
// ResultPath. It reports false of states that pass on what they were given.
func resultFields(state asl.State) (*jsonpath.Template, *asl.ResultPath, bool) {
	switch state := state.(type) {
	case *asl.Task:
		return state.ResultSelector, state.ResultPath, true
	case *asl.Parallel:
		return state.ResultSelector, state.ResultPath, true
	case *asl.Map:
		return state.ResultSelector, state.ResultPath, true
	}
	return nil, nil, false
}
