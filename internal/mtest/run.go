package mtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// run is a case's execution under way.
type run struct {
	suite *Suite
	mocks answers
	cover *Coverage
	env   *engine.Env
	snap  *engine.Snapshot
	now   time.Time
	todo  []arrival // by time; in the order of posting where that is the same
	stuck string    // why it cannot go on

	path    []string
	calls   []call
	waiting map[engine.TaskID]string // tasks that no mock answers, with their states
	vars    map[string]string        // variables of the top level: JSON
	top     map[string]bool          // states of the top level
}

// arrival is an event with the time at which it happens.
type arrival struct {
	at time.Time
	ev func(at time.Time) engine.Event
}

// call is what a task was called with.
type call struct {
	state string
	input value.Value
}

func execute(s *Suite, c *Case, cover *Coverage) *run {
	r := &run{
		suite: s, mocks: answers{own: c.mocks, all: s.mocks}, cover: cover, now: c.start,
		waiting: map[engine.TaskID]string{}, vars: map[string]string{}, top: map[string]bool{},
	}
	for _, state := range s.machine.States {
		r.top[state.Base().Name] = true
	}
	r.env = &engine.Env{
		Machine:   s.machine,
		Token:     func(id engine.TaskID) string { return fmt.Sprintf("token-%d-%d", id.Frame, id.Attempt) },
		Took:      cover.took,
		MapRunARN: func(_ engine.TaskID, label string) string { return mapRunARN(s.name(), label) },
	}
	r.snap = engine.New(engine.Execution{
		ID: 1, ARN: executionARN + s.name() + ":" + execution, Name: execution,
		MachineARN: machineARN + s.name(), MachineName: s.name(), RoleARN: roleARN, Region: region,
		StartedAt: c.start, Input: engine.Text(c.input),
	})
	cover.begin()
	r.finish()
	return r
}

// finish runs the execution from its start to its end.
func (r *run) finish() {
	r.post(0, func(at time.Time) engine.Event { return engine.Started{At: at} })
	for r.snap.Running() && r.stuck == "" {
		if ev := r.next(); ev != nil {
			r.apply(ev)
		}
	}
}

// post makes an event happen after some time. What happens at the same time
// happens in the order of posting.
func (r *run) post(after time.Duration, ev func(at time.Time) engine.Event) {
	at := r.now.Add(after)
	i := len(r.todo)
	for i > 0 && r.todo[i-1].at.After(at) {
		i--
	}
	r.todo = slices.Insert(r.todo, i, arrival{at, ev})
}

// next moves the clock to the next event. An answer that comes in the moment in
// which its task times out is in time.
func (r *run) next() engine.Event {
	due := r.snap.Due()
	if len(r.todo) > 0 && (due == 0 || r.todo[0].at.UnixMilli() <= due) {
		first := r.todo[0]
		r.todo = r.todo[1:]
		r.now = first.at
		return first.ev(first.at)
	}
	if due == 0 {
		r.stuck = r.whyItWaits()
		return nil
	}
	if at := time.UnixMilli(due).UTC(); at.After(r.now) {
		r.now = at
	}
	return engine.TimerFired{At: r.now}
}

// whyItWaits explains an execution that nothing will move.
func (r *run) whyItWaits() string {
	var states []string
	for _, state := range r.waiting {
		states = append(states, fmt.Sprintf("%q", state))
	}
	slices.Sort(states)
	states = slices.Compact(states)
	return fmt.Sprintf("the execution waits for ever: the mock of %s says timeout, and the state has neither TimeoutSeconds nor HeartbeatSeconds",
		strings.Join(states, ", "))
}

func (r *run) apply(ev engine.Event) {
	step, err := engine.Apply(r.env, r.snap, ev)
	if errors.Is(err, engine.ErrNotWaiting) {
		return // an answer that came too late
	}
	if err != nil {
		r.stuck = fmt.Sprintf("the engine cannot go on: %v", err)
		return
	}
	r.read(r.snap.Flush().History)
	for _, c := range step.Commands {
		r.carryOut(c)
	}
	if step.More {
		r.todo = slices.Insert(r.todo, 0, arrival{r.now, func(at time.Time) engine.Event { return engine.Continued{At: at} }})
	}
}

// read takes the way through the states and the variables from the history.
func (r *run) read(chunk engine.Chunk) {
	if chunk.Count == 0 {
		return
	}
	events, err := engine.DecodeHistory(chunk)
	if err != nil {
		r.stuck = err.Error()
		return
	}
	for i := range events {
		ev := &events[i]
		switch name := ev.Type.String(); {
		case strings.HasSuffix(name, "StateEntered"):
			r.path = append(r.path, ev.Name)
			r.cover.entered(ev.Name)
		case strings.HasSuffix(name, "StateExited"):
			r.cover.exited(ev.Name)
			for _, a := range ev.Assigned {
				if r.top[ev.Name] {
					r.vars[a.Name] = a.JSON
				}
			}
		}
	}
}

// carryOut plays the world outside: whoever works on tasks.
func (r *run) carryOut(c engine.Command) {
	switch c := c.(type) {
	case *engine.Enqueue: // a worker takes it at once
		r.post(0, func(at time.Time) engine.Event {
			return engine.ActivityStarted{At: at, Task: c.Task, Worker: "mock"}
		})
	case *engine.Dispatch:
		r.answer(c)
	case *engine.StartMapRun:
		r.distribute(c)
	case *engine.Cancel:
		delete(r.waiting, c.Task)
	}
}

// answer lets a mock answer a task. Tasks that are answered later, by token or
// by the end of a job, are submitted first.
func (r *run) answer(d *engine.Dispatch) {
	input := d.Input.Value()
	r.calls = append(r.calls, call{d.State, input})
	if r.stuck != "" {
		return
	}
	a, problem := r.mocks.next(d.State, input)
	if problem != "" {
		r.stuck = fmt.Sprintf("state %q calls %s with %s, and %s", d.State, d.Resource.ARN, brief(input.JSON()), problem)
		return
	}
	later := d.Resource.Pattern != asl.RequestResponse && d.Resource.Kind != asl.ActivityResource
	if later {
		r.post(0, func(at time.Time) engine.Event {
			return engine.TaskSubmitted{At: at, Task: d.Task, Output: engine.Text("{}")}
		})
	}
	callback := d.Resource.Kind == asl.ActivityResource || d.Resource.Pattern == asl.WaitForTaskToken && !d.Resource.OnBoard()
	switch {
	case a.timeout:
		r.waiting[d.Task] = d.State
		if d.Resource.OnBoard() { // somebody begins with it and falls silent
			r.post(0, func(at time.Time) engine.Event { return engine.TaskHeartbeat{At: at, Task: d.Task, Bound: true} })
		}
	case a.fails:
		r.post(a.after, func(at time.Time) engine.Event {
			return engine.TaskFailed{At: at, Task: d.Task, Error: a.err, Cause: a.cause, Callback: callback}
		})
	default:
		r.post(a.after, func(at time.Time) engine.Event {
			return engine.TaskSucceeded{At: at, Task: d.Task, Output: engine.Text(a.output), Callback: callback}
		})
	}
}
