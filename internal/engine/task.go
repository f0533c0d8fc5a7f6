package engine

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
)

// task begins the first attempt of a Task state.
func (a *apply) task(f *Frame, state *asl.Task) *failure { return a.schedule(f, state) }

// schedule asks for one attempt of the task.
func (a *apply) schedule(f *Frame, state *asl.Task) *failure {
	f.attempt++
	f.scheduled = a.nextEvent()
	call, failed := a.call(f, state)
	if failed != nil {
		return failed
	}
	if call.Input.Size() > a.payloadLimit() {
		return tooLarge(f.state)
	}
	timeout, failed := a.taskSeconds(f, state, state.Timeout)
	if failed != nil {
		return failed
	}
	heartbeat, failed := a.taskSeconds(f, state, state.Heartbeat)
	if failed != nil {
		return failed
	}
	f.heartbeat = heartbeat * 1000

	input := call.Input.JSON()
	r := &state.Resource
	switch r.Kind {
	case asl.ActivityResource:
		if a.env.ActivityExists != nil && !a.env.ActivityExists(r.ARN) {
			return a.runtimeFailure(f, "The activity "+r.ARN+" does not exist.")
		}
		a.follow(f, &HistoryEvent{Type: ActivityScheduledType, Resource: r.ARN, Data: &input, Timeout: timeout, Heartbeat: heartbeat})
		f.phase = queued
		f.timeoutAt = timeout // in seconds until a worker takes the task
		a.commands = append(a.commands, &Enqueue{Task: call.Task, Activity: r.ARN})
	case asl.LambdaResource:
		a.follow(f, &HistoryEvent{Type: LambdaFunctionScheduledType, Resource: r.ARN, Data: &input, Timeout: timeout, RoleARN: call.RoleARN})
		a.follow(f, &HistoryEvent{Type: LambdaFunctionStartedType})
		a.dispatch(f, call, timeout)
	default:
		action := actionName(r)
		a.follow(f, &HistoryEvent{
			Type: TaskScheduledType, Service: r.Service, Resource: action, Region: a.Execution.Region,
			Data: &input, Timeout: timeout, Heartbeat: heartbeat, RoleARN: call.RoleARN,
		})
		a.follow(f, &HistoryEvent{Type: TaskStartedType, Service: r.Service, Resource: action})
		a.dispatch(f, call, timeout)
	}
	return nil
}

func (a *apply) dispatch(f *Frame, call *Dispatch, timeout int64) {
	f.phase = dispatch
	call.Heartbeat = f.heartbeat > 0
	if call.Resource.OnBoard() {
		a.startSuspended(f, timeout)
	} else {
		a.startClocks(f, timeout)
	}
	a.commands = append(a.commands, call)
}

// call works out what the task's resource is called with. Its only chance is
// f.scheduled, so the same attempt always gives the same call.
func (a *apply) call(f *Frame, state *asl.Task) (*Dispatch, *failure) {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return nil, failed
	}
	a.inspect(AfterInputPath, input)
	d := &Dispatch{Task: TaskID{f.ID, f.attempt}, State: f.state, Resource: state.Resource, Retry: f.retried, Entered: f.entered}
	if d.Input, failed = a.filled(f, state.Parameters, input, f.scheduled); failed != nil {
		return nil, failed
	}
	a.inspect(AfterParameters, d.Input)
	if d.Input, failed = a.query(f, state.Arguments, states{}, d.Input, f.scheduled); failed != nil {
		return nil, failed
	}
	a.inspect(AfterArguments, d.Input)
	if state.RoleQuery != nil {
		role, failed := a.evaluate(f, state.RoleQuery, states{}, f.scheduled)
		if failed != nil {
			return nil, failed
		}
		if d.RoleARN, failed = a.roleOf(f, role); failed != nil {
			return nil, failed
		}
	}
	if state.Credentials != nil {
		role, failed := a.filled(f, state.Credentials, input, f.scheduled)
		if failed != nil {
			return nil, failed
		}
		if d.RoleARN, failed = a.roleOf(f, role.Value()); failed != nil {
			return nil, failed
		}
	}
	if state.Resource.Pattern != asl.RequestResponse {
		d.Token = a.env.Token(d.Task)
	}
	return d, nil
}

// roleOf is the role that Credentials name. What names none fails the task: it
// would be called in the server's own name instead.
func (a *apply) roleOf(f *Frame, credentials value.Value) (string, *failure) {
	role := credentials.Get("RoleArn").Str()
	if role == "" {
		return "", a.runtimeFailure(f, "The value for the field 'RoleArn' must be a STRING that is not empty")
	}
	return role, nil
}

// callAgain is call for a task that has been scheduled already.
func (a *apply) callAgain(f *Frame, state *asl.Task) (*Dispatch, error) {
	call, failed := a.call(f, state)
	if failed != nil {
		return nil, fmt.Errorf("engine: task %q of %s cannot be built again: %s", f.state, a.Execution.ARN, deref(failed.cause))
	}
	return call, nil
}

// taskSeconds works out TimeoutSeconds or HeartbeatSeconds; 0: none.
func (a *apply) taskSeconds(f *Frame, state *asl.Task, s *asl.Seconds) (int64, *failure) {
	if s == nil {
		return 0, nil
	}
	if s.Query != nil {
		return a.number(f, s.Query)
	}
	if s.Path == nil {
		return s.Literal, nil
	}
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return 0, failed
	}
	field := "TimeoutSecondsPath"
	if s == state.Heartbeat {
		field = "HeartbeatSecondsPath"
	}
	return a.secondsAt(f, s.Path, input, field)
}

// startClocks sets the task's timers: both count from its start.
func (a *apply) startClocks(f *Frame, timeout int64) {
	f.timeoutAt = 0
	if timeout > 0 {
		f.timeoutAt = a.now + timeout*1000
	}
	a.setDue(f)
}

// startSuspended is startClocks for a task whose heartbeats begin once somebody
// works on it.
func (a *apply) startSuspended(f *Frame, timeout int64) {
	heartbeat := f.heartbeat
	f.heartbeat = 0
	a.startClocks(f, timeout)
	f.heartbeat = heartbeat
}

// setDue makes f due when its timeout or its next heartbeat is.
func (a *apply) setDue(f *Frame) {
	f.due = f.timeoutAt
	if f.heartbeat > 0 && (f.due == 0 || a.now+f.heartbeat < f.due) {
		f.due = a.now + f.heartbeat
	}
	a.touch(f)
}

// waiting finds the frame that waits for a task in one of the phases.
func (a *apply) waiting(id TaskID, phases ...phase) (*Frame, *asl.Task, error) {
	f := a.frames[id.Frame]
	if f == nil || f.attempt != id.Attempt || !slices.Contains(phases, f.phase) {
		return nil, nil, ErrNotWaiting
	}
	state, ok := a.env.Machine.State(f.state).(*asl.Task)
	if !ok {
		return nil, nil, ErrNotWaiting
	}
	return f, state, nil
}

func (a *apply) activityStarted(ev ActivityStarted) error {
	f, state, err := a.waiting(ev.Task, queued)
	if err != nil {
		return err
	}
	call, err := a.callAgain(f, state)
	if err != nil {
		return err
	}
	a.follow(f, &HistoryEvent{Type: ActivityStartedType, Name: ev.Worker})
	f.phase = started
	a.startClocks(f, f.timeoutAt)
	call.Token = a.env.Token(call.Task)
	a.commands = append(a.commands, &Dequeue{Task: call.Task, Activity: state.Resource.ARN}, call)
	return nil
}

func (a *apply) taskSubmitted(ev TaskSubmitted) error {
	f, state, err := a.waiting(ev.Task, dispatch)
	if err != nil {
		return err
	}
	if ev.Output.Size() > a.payloadLimit() {
		return a.taskFailed(TaskFailed{At: ev.At, Task: ev.Task, Error: ptr("States.DataLimitExceeded"), Cause: tooLarge(resourceName(&state.Resource)).cause})
	}
	var call *Dispatch
	awaited := (state.Resource.Pattern == asl.Sync || state.Resource.Pattern == asl.Sync2) && !ev.Answered && !state.Resource.OnBoard()
	if awaited {
		if call, err = a.callAgain(f, state); err != nil {
			return err
		}
	}
	output := ev.Output.JSON()
	a.follow(f, &HistoryEvent{Type: TaskSubmittedType, Service: state.Resource.Service, Resource: actionName(&state.Resource), Data: &output})
	f.phase = submitted
	if awaited {
		f.result = ev.Output
		a.commands = append(a.commands, &Poll{Dispatch: *call, Submitted: ev.Output})
	}
	a.touch(f)
	return nil
}

func (a *apply) taskSucceeded(ev TaskSucceeded) error {
	f, state, err := a.waiting(ev.Task, dispatch, submitted, started)
	if err != nil {
		return err
	}
	if err := early(f, state, ev.Callback); err != nil {
		return err
	}
	if ev.Output.Size() > a.payloadLimit() {
		e := tooLarge(resourceName(&state.Resource))
		return a.taskFailed(TaskFailed{At: ev.At, Task: ev.Task, Error: e.name, Cause: e.cause, Callback: ev.Callback})
	}
	a.answered(f, state, ev.Callback)
	a.inspect(Result, ev.Output)
	output := ev.Output.JSON()
	a.taskEvent(f, state, &HistoryEvent{Data: &output}, LambdaFunctionSucceededType, ActivitySucceededType, TaskSucceededType)
	f.phase, f.due = failing, 0
	a.touch(f)
	if failed := a.leave(f, state, ev.Output, state.ResultSelector, state.ResultPath); failed != nil {
		a.fail(f, failed)
	}
	return nil
}

func (a *apply) taskFailed(ev TaskFailed) error {
	f, state, err := a.waiting(ev.Task, dispatch, submitted, started)
	if err != nil {
		return err
	}
	if err := early(f, state, ev.Callback); err != nil {
		return err
	}
	a.answered(f, state, ev.Callback)
	e := &failure{name: clamp(ev.Error, 256), cause: clamp(ev.Cause, 32768)}
	e.fatal = deref(e.name) == "States.Runtime"
	a.taskEvent(f, state, &HistoryEvent{Error: e.name, Cause: e.cause}, LambdaFunctionFailedType, ActivityFailedType, TaskFailedType)
	f.phase, f.due = failing, 0
	a.touch(f)
	a.fail(f, e)
	return nil
}

// taskTimedOut ends a task whose timeout or heartbeat has expired: AWS reports
// States.Timeout for both (recorded).
func (a *apply) taskTimedOut(f *Frame) {
	state, ok := a.env.Machine.State(f.state).(*asl.Task)
	if !ok {
		return
	}
	f.result = nil // the job goes on: AWS's guide names stopping and aborting alone
	a.cancel(f)
	e := &failure{name: ptr("States.Timeout"), timeout: true}
	a.taskEvent(f, state, &HistoryEvent{Error: e.name}, LambdaFunctionTimedOutType, ActivityTimedOutType, TaskTimedOutType)
	f.phase = failing
	a.fail(f, e)
}

func (a *apply) taskHeartbeat(ev TaskHeartbeat) error {
	f, state, err := a.waiting(ev.Task, dispatch, submitted, started)
	if err != nil {
		return err
	}
	switch {
	case state.Resource.OnBoard() != ev.Bound:
		return ErrBound
	case ev.Suspend:
		f.due = f.timeoutAt
		a.touch(f)
	default:
		a.setDue(f)
	}
	return nil
}

// early refuses what a token brings to a task that has not been handed over, or
// that no token answers.
func early(f *Frame, state *asl.Task, callback bool) error {
	switch {
	case callback && state.Resource.OnBoard():
		return ErrBound
	case callback && f.phase == dispatch:
		return ErrEarly
	}
	return nil
}

// taskEvent records the end of a task under the type of its kind.
func (a *apply) taskEvent(f *Frame, state *asl.Task, ev *HistoryEvent, lambda, activity, integration HistoryType) {
	switch state.Resource.Kind {
	case asl.LambdaResource:
		ev.Type = lambda
	case asl.ActivityResource:
		ev.Type = activity
	default:
		ev.Type = integration
		ev.Service, ev.Resource = state.Resource.Service, actionName(&state.Resource)
	}
	a.follow(f, ev)
}

// cancel tells the outside that f's task is not waited for any more.
func (a *apply) cancel(f *Frame) {
	state, ok := a.env.Machine.State(f.state).(*asl.Task)
	if !ok {
		return
	}
	id := TaskID{f.ID, f.attempt}
	if f.phase == queued {
		a.commands = append(a.commands, &Dequeue{Task: id, Activity: state.Resource.ARN})
		return
	}
	cancel := &Cancel{Task: id, Resource: state.Resource}
	if f.polled() {
		cancel.Call, _ = a.call(f, state) // as it was once before, so it can be again
		cancel.Submitted, f.result = f.result, nil
	}
	a.commands = append(a.commands, cancel)
}

// answered ends the wait for f's job, whose answer has come. A callback leaves
// the job to itself, and somebody still asks for its end.
func (a *apply) answered(f *Frame, state *asl.Task, callback bool) {
	if f.polled() && callback {
		a.commands = append(a.commands, &Cancel{Task: TaskID{f.ID, f.attempt}, Resource: state.Resource})
	}
	if f.phase == submitted {
		f.result = nil
	}
}

// actionName is a resource's action with its pattern, as history names it.
func actionName(r *asl.Resource) string {
	switch r.Pattern {
	case asl.Sync:
		return r.Action + ".sync"
	case asl.Sync2:
		return r.Action + ".sync:2"
	case asl.WaitForTaskToken:
		return r.Action + ".waitForTaskToken"
	}
	return r.Action
}

// resourceName names a resource in size errors (recorded): a function by its
// ARN, an integration by its service.
func resourceName(r *asl.Resource) string {
	if r.Kind == asl.IntegrationResource {
		return r.Service
	}
	return r.ARN
}

func ptr(s string) *string { return &s }

// clamp cuts a text to the API's bound, in characters.
func clamp(s *string, limit int) *string {
	if s == nil || len(*s) <= limit || utf8.RuneCountInString(*s) <= limit {
		return s
	}
	return ptr(string([]rune(*s)[:limit]))
}
