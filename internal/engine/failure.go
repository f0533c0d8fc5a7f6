package engine

import (
	"math"
	"slices"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
)

// failure is an error of a state on its way to a retrier, a catcher or the
// end of the execution.
type failure struct {
	name, cause *string
	fatal       bool // no retrier or catcher applies
	timeout     bool // States.Timeout: of a heartbeat or of the whole task
	evaluation  bool // of an expression: gets an event of its own
	location    string
}

// errorOutput is what a catcher gets: both keys are always there. A timeout
// has an empty cause, an error that was not named is null (recorded).
func (e *failure) errorOutput() *Data {
	text := func(s *string) value.Value {
		if s == nil {
			return value.NullValue
		}
		return value.Str(*s)
	}
	cause := text(e.cause)
	if e.timeout {
		cause = value.Str(deref(e.cause))
	}
	return ValueData(value.ObjectOf([]value.Member{{Key: "Error", Value: text(e.name)}, {Key: "Cause", Value: cause}}))
}

// matches reports whether an ErrorEquals list covers the failure.
func (e *failure) matches(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case "States.ALL":
			return true
		case "States.TaskFailed":
			return deref(e.name) != "States.Timeout"
		case "States.HeartbeatTimeout":
			return e.timeout || deref(e.name) == name
		}
		return e.name != nil && *e.name == name
	})
}

// fail deals with a failure of the state that f is in: try again, catch, or
// hand it to whatever f is part of.
func (a *apply) fail(f *Frame, e *failure) {
	state := a.env.Machine.State(f.state)
	a.env.test.failed(e)
	a.evaluationFailed(f, state, e)
	retry, catch := handlers(state)
	if !e.fatal && a.retry(f, retry, e) {
		return
	}
	a.stateFailed(f, state)
	if !e.fatal && a.caught(f, state, catch, e) {
		return
	}
	if f.parent != 0 {
		a.branchFailed(f, e)
		return
	}
	a.record(&HistoryEvent{Type: ExecutionFailedType, Previous: f.last, Error: e.name, Cause: e.cause})
	a.finish(Failed, nil, e.name, e.cause)
}

func handlers(state asl.State) ([]asl.Retrier, []asl.Catcher) {
	switch s := state.(type) {
	case *asl.Task:
		return s.Retry, s.Catch
	case *asl.Parallel:
		return s.Retry, s.Catch
	case *asl.Map:
		return s.Retry, s.Catch
	}
	return nil, nil
}

// evaluationFailed writes the event of a failed evaluation. It follows from
// what the state's entry follows from, and only in a Wait from the entry
// itself (recorded). A Parallel or Map then counts as begun.
func (a *apply) evaluationFailed(f *Frame, state asl.State, e *failure) {
	if !e.evaluation {
		return
	}
	e.evaluation = false
	ev := HistoryEvent{Type: EvaluationFailedType, Previous: f.before, Name: f.state, Error: e.name, Cause: e.cause, Location: e.location}
	switch state.(type) {
	case *asl.Wait:
		ev.Previous = f.entered
	case *asl.Parallel, *asl.Map:
		f.phase = joining
	}
	f.last = a.record(&ev)
	a.touch(f)
}

// stateFailed writes the event that closes a failed Parallel or Map, once it
// has started and will not be tried again.
func (a *apply) stateFailed(f *Frame, state asl.State) {
	if f.phase != joining {
		return
	}
	switch state.(type) {
	case *asl.Parallel:
		a.follow(f, &HistoryEvent{Type: ParallelStateFailedType})
	case *asl.Map:
		a.follow(f, &HistoryEvent{Type: MapStateFailedType})
	}
	f.phase = failing
}

// retry puts f to sleep before another attempt, if a retrier allows one. The
// first retrier that names the error decides; each counts for itself.
func (a *apply) retry(f *Frame, retriers []asl.Retrier, e *failure) bool {
	i := slices.IndexFunc(retriers, func(r asl.Retrier) bool { return e.matches(r.ErrorEquals) })
	if i < 0 {
		return false
	}
	r := &retriers[i]
	if f.retries == nil {
		f.retries = make([]int64, len(retriers))
	}
	a.env.test.retries(f, i)
	if f.retries[i] >= r.MaxAttempts {
		return false
	}
	delay := retryDelay(r, f.retries[i])
	if r.FullJitter {
		delay = int64(float64(delay) * unit(chance(uint64(a.Execution.ID), uint64(a.nextEvent()))()))
	}
	a.env.test.backsOff(delay)
	a.removeChildren(f)
	a.took(f, ByRetrier, i)
	f.retries[i]++
	f.retried++
	f.phase, f.due = backoff, a.now+delay
	f.timeoutAt, f.heartbeat = 0, 0
	a.touch(f)
	return true
}

// retryDelay is the time before attempt n+1, in milliseconds.
func retryDelay(r *asl.Retrier, n int64) int64 {
	delay := float64(r.IntervalSeconds) * math.Pow(r.BackoffRate, float64(n))
	if r.MaxDelaySeconds > 0 {
		delay = min(delay, float64(r.MaxDelaySeconds))
	}
	return int64(min(delay, 99999999) * 1000)
}

// unit makes a number in [0, 1) of 64 random bits.
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

// tryAgain begins another attempt of the state that f is in.
func (a *apply) tryAgain(f *Frame) {
	var failed *failure
	switch state := a.env.Machine.State(f.state).(type) {
	case *asl.Task:
		failed = a.schedule(f, state)
	case *asl.Parallel:
		failed = a.parallel(f, state)
	case *asl.Map:
		f.scheduled = 0 // a run of its own
		failed = a.mapState(f, state)
	}
	if failed != nil {
		a.fail(f, failed)
	}
}

// caught goes to the first catcher that names the error.
func (a *apply) caught(f *Frame, state asl.State, catchers []asl.Catcher, e *failure) bool {
	i := slices.IndexFunc(catchers, func(c asl.Catcher) bool { return e.matches(c.ErrorEquals) })
	if i < 0 {
		return false
	}
	a.removeChildren(f)
	c := &catchers[i]
	a.took(f, ByCatcher, i)
	from := e.errorOutput()
	output, failed := a.placed(f, c.ResultPath, from)
	if failed == nil {
		output, failed = a.query(f, c.Output, states{errorOutput: from}, output, a.nextEvent())
	}
	if failed == nil {
		var vars value.Value
		if vars, failed = a.assigned(f, c.Assign, from, states{errorOutput: from}); failed == nil {
			failed = a.exit(f, state, output, vars, c.Next)
		}
	}
	if failed != nil { // what a catcher cannot do ends the execution
		failed.fatal = true
		a.fail(f, failed)
	}
	return true
}

// branchFailed ends the Parallel or Map that f is part of: the other branches
// are given up, and the failure becomes the container's. The frames stay until
// the container is tried again or left: a redrive goes on from them.
func (a *apply) branchFailed(f *Frame, e *failure) {
	parent := a.frames[f.parent]
	cause := f.last
	_, isMap := a.env.Machine.State(parent.state).(*asl.Map)
	if isMap {
		a.record(&HistoryEvent{Type: MapIterationFailedType, Previous: cause, Name: parent.state, Index: int64(f.index)})
	}
	for _, id := range a.children[parent.ID] {
		if other := a.frames[id]; other != f && other.phase != done {
			a.giveUp(other, cause)
			if isMap {
				a.record(&HistoryEvent{Type: MapIterationAbortedType, Previous: cause, Name: parent.state, Index: int64(other.index)})
			}
		}
	}
	a.giveUp(f, cause)
	parent.last = cause
	a.touch(parent)
	a.fail(parent, e)
}

// giveUp stops what f is doing, and writes the events that AWS writes for
// states that are left in the middle. They follow from the event cause.
func (a *apply) giveUp(f *Frame, cause int64) {
	state := a.env.Machine.State(f.state)
	switch f.phase {
	case ready, inside, done:
		return
	case joining:
		_, isMap := state.(*asl.Map)
		for _, id := range a.children[f.ID] {
			child := a.frames[id]
			if child.phase == done {
				continue
			}
			a.giveUp(child, cause)
			if isMap {
				a.record(&HistoryEvent{Type: MapIterationAbortedType, Previous: cause, Name: f.state, Index: int64(child.index)})
			}
		}
	case dispatch, submitted, queued, started:
		a.cancel(f)
	case mapping:
		a.stopMapRun(f)
		a.record(&HistoryEvent{Type: MapRunAbortedType, Previous: cause})
	case failing:
		if _, isTask := state.(*asl.Task); !isTask {
			return
		}
	}
	switch state.(type) {
	case *asl.Task:
		a.record(&HistoryEvent{Type: TaskStateAbortedType, Previous: cause})
	case *asl.Wait:
		if f.parent != 0 { // recorded: a Wait at the top level ends without one
			a.record(&HistoryEvent{Type: WaitStateAbortedType, Previous: cause})
		}
	case *asl.Parallel:
		a.record(&HistoryEvent{Type: ParallelStateAbortedType, Previous: cause})
	case *asl.Map:
		a.record(&HistoryEvent{Type: MapStateAbortedType, Previous: cause})
	}
	f.due = 0
	a.touch(f)
}
