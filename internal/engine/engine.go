// Package engine moves executions. Its one idea: Apply takes a snapshot of an
// execution and an event that happened to it, and works out the next
// snapshot, the history that AWS would write, and the commands to carry out
// once all of that is durable.
//
// The package is pure. Time, ids and chance are facts of the event, so the
// same snapshot and event give the same bytes, today and in a replay next
// year. It keeps no clock, starts no goroutine, does no I/O.
//
// States that need nothing from outside run on inside one Apply until every
// branch waits for something. Each kind of state has a file of its own here,
// beside the one in package asl that says how it is written.
package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/asl"
)

// The refusals of Apply. The snapshot is as it was before.
var (
	// ErrNotWaiting: the execution has ended, or nothing in it waits for this
	// event: an answer to a task that is over, a timer that was moved.
	ErrNotWaiting = errors.New("the execution is not waiting for this event")
	// ErrBound: what answers is a token from outside, and the task is the
	// board's. It is an ErrNotWaiting.
	ErrBound = fmt.Errorf("%w: the board answers for its tasks", ErrNotWaiting)
	// ErrEarly: a callback has come before the commit of the TaskSubmitted it
	// belongs to. Apply it again after that.
	ErrEarly = errors.New("the task is not submitted yet")
)

// Limits bound what an execution may take. The zero value stands for AWS's
// quotas.
type Limits struct {
	Payload int   // bytes of a state's or task's input or output; default 262,144
	History int64 // events; default 25,000, below 0: none
	// Duration ends an execution whatever its machine's TimeoutSeconds say; 0:
	// nothing but those.
	Duration time.Duration
}

const (
	defaultPayload = 256 << 10
	defaultHistory = 25000

	// An Apply yields when it has written this much, so that a loop of pure
	// states neither starves other executions nor fills memory.
	yieldEvents = 1000
	yieldBytes  = 4 << 20
	// The same for states that compute: how often Interrupt may be asked. One
	// evaluation that goes to its limits asks about as often.
	yieldAsked = 600
)

// Env holds what an execution is run with.
type Env struct {
	Machine *asl.Machine
	// Token derives the text of a task token.
	Token func(TaskID) string
	// ActivityExists says whether an activity is registered under the ARN.
	ActivityExists func(arn string) bool
	// MapRunARN derives the ARN of a Map Run from its state's attempt.
	MapRunARN func(t TaskID, label string) string
	Limits    Limits
	// Keeps, if set, says whether somebody can keep a result that no payload can
	// hold: see Keep. It is asked about such results alone.
	Keeps func() bool
	// Interrupt, if set, is asked about every millisecond while an expression is
	// evaluated whether to give it up, which is then an evaluation that took too
	// long. What is evaluated is bounded by counts already: this is the last
	// resort of a caller that has a clock.
	Interrupt func() bool
	// Took, if set, is told by which of its ways a state goes on, which history
	// does not say: index counts the state's rules, retriers or catchers from 0.
	Took func(state string, w Way, index int)

	test *Test // set while a single state is tested
}

// Way is how a state goes on when it has more than one way to.
type Way uint8

// The ways. What is left by Next or End alone has none of them.
const (
	ByRule    Way = iota // of a Choice
	ByDefault            // of a Choice; index 0
	ByRetrier            // the state is tried again
	ByCatcher
)

func (a *apply) took(f *Frame, w Way, index int) {
	if a.env.Took != nil {
		a.env.Took(f.state, w, index)
	}
}

// Step is the outcome of one event, beside the changed snapshot.
type Step struct {
	Commands []Command
	// More asks for a Continued: the step stopped to let others run.
	More bool
	// Transitions counts the states entered.
	Transitions int64
	// Bytes is about how much the step adds to what must be committed.
	Bytes int
}

// Apply moves s by one event. It changes s in place; on an error other than
// the refusals above, s is spoilt and must be read again from the store.
func Apply(env *Env, s *Snapshot, ev Event) (Step, error) {
	// An event that had to wait for its turn does not turn time back.
	s.lastAt = max(s.lastAt, ev.at().UnixMilli())
	before := len(s.history.chunk.Data)
	a := apply{env: env, Snapshot: s, now: s.lastAt, firstEvent: s.lastEvent, firstByte: before}
	if _, again := ev.(Redriven); s.Running() == again {
		return Step{}, ErrNotWaiting
	}
	if err := a.event(ev); err != nil {
		return Step{}, err
	}
	more := a.run()
	if a.broken != nil {
		return Step{}, a.broken
	}
	return Step{
		Commands: a.commands, More: more, Transitions: a.entered,
		Bytes: len(s.history.chunk.Data) - before,
	}, nil
}

// Resume lists what must be asked for again after a crash: the tasks that were
// being called, the jobs whose end was awaited, the results that were being kept. If more is true, a
// Continued is due.
func Resume(env *Env, s *Snapshot) (commands []Command, more bool, err error) {
	a := apply{env: env, Snapshot: s}
	if !s.Running() {
		return nil, false, nil
	}
	for _, f := range a.inOrder() {
		switch f.phase {
		case ready, redo:
			more = true
		case mapping:
			state, ok := env.Machine.State(f.state).(*asl.Map)
			if !ok {
				return nil, false, fmt.Errorf("engine: state %q of %s is not a Map", f.state, s.Execution.ARN)
			}
			start, err := a.mapRunAgain(f, state)
			if err != nil {
				return nil, false, err
			}
			commands = append(commands, start)
		case keeping:
			keep, err := a.keepAgain(f)
			if err != nil {
				return nil, false, err
			}
			commands = append(commands, keep)
		case dispatch, submitted:
			if f.phase == submitted && !f.polled() {
				continue
			}
			task, ok := env.Machine.State(f.state).(*asl.Task)
			if !ok {
				return nil, false, fmt.Errorf("engine: state %q of %s is not a task", f.state, s.Execution.ARN)
			}
			call, err := a.callAgain(f, task)
			if err != nil {
				return nil, false, err
			}
			if f.polled() {
				commands = append(commands, &Poll{Dispatch: *call, Submitted: f.result})
			} else {
				call.Again, call.Heartbeat = true, f.heartbeat > 0
				commands = append(commands, call)
			}
		}
	}
	return commands, more, nil
}

// apply is one Apply under way.
type apply struct {
	env *Env
	*Snapshot
	now        int64 // Unix milliseconds
	firstEvent int64 // newest history event before this Apply
	firstByte  int   // of the history that this Apply writes
	stack      []*Frame
	commands   []Command
	entered    int64 // states
	asked      int   // Interrupt
	broken     error
}

// event takes in what happened.
func (a *apply) event(ev Event) error {
	switch ev := ev.(type) {
	case Started:
		return a.start(ev)
	case Continued:
		return a.resume()
	case TaskSubmitted:
		return a.taskSubmitted(ev)
	case TaskSucceeded:
		return a.taskSucceeded(ev)
	case TaskFailed:
		return a.taskFailed(ev)
	case TaskHeartbeat:
		return a.taskHeartbeat(ev)
	case ActivityStarted:
		return a.activityStarted(ev)
	case TimerFired:
		return a.timerFired()
	case MapRunEnded:
		return a.mapRunEnded(ev)
	case Kept:
		return a.kept(ev)
	case Redriven:
		return a.redrive(ev)
	case Stopped:
		a.abort(Aborted, ExecutionAbortedType, ev.Error, ev.Cause)
		return nil
	default:
		return fmt.Errorf("engine: unknown event %T", ev)
	}
}

func (a *apply) start(ev Started) error {
	if a.lastEvent != 0 {
		return ErrNotWaiting
	}
	if allowed := a.allowed(); allowed > 0 {
		a.deadline = a.now + allowed
	}
	input := a.Execution.Input.JSON()
	a.record(&HistoryEvent{
		Type: ExecutionStartedType, Data: &input, RoleARN: a.Execution.RoleARN,
		VersionARN: a.Execution.VersionARN, AliasARN: a.Execution.AliasARN,
	})
	root, first := a.frames[rootFrame], a.env.Machine.StartAt
	if ev.From != nil {
		first = ev.From.State
		if !slices.ContainsFunc(a.env.Machine.States, func(s asl.State) bool { return s.Base().Name == first }) {
			return fmt.Errorf("engine: an execution cannot begin in %q, which is no state at the top level of its machine", first)
		}
		root.input, root.vars = ev.From.Input, ev.From.Variables
	}
	a.goTo(root, first)
	return nil
}

// resume finds the frames that stood ready when the last Apply yielded.
func (a *apply) resume() error {
	frames := a.inOrder()
	slices.Reverse(frames)
	for _, f := range frames {
		if f.phase == ready || f.phase == redo {
			a.stack = append(a.stack, f)
		}
	}
	if len(a.stack) == 0 {
		return ErrNotWaiting
	}
	return nil
}

// inOrder lists all frames by id.
func (a *apply) inOrder() []*Frame {
	frames := make([]*Frame, 0, len(a.frames))
	for _, f := range a.frames {
		frames = append(frames, f)
	}
	slices.SortFunc(frames, func(x, y *Frame) int { return cmp.Compare(x.ID, y.ID) })
	return frames
}

// run enters states until every frame waits for something, or until it is
// time to yield; it then returns true.
func (a *apply) run() (more bool) {
	for len(a.stack) > 0 && a.Running() && a.broken == nil {
		if a.lastEvent-a.firstEvent > yieldEvents || len(a.history.chunk.Data)-a.firstByte > yieldBytes || a.asked > yieldAsked {
			return true
		}
		f := a.stack[len(a.stack)-1]
		a.stack = a.stack[:len(a.stack)-1]
		switch {
		case a.frames[f.ID] != f: // given up since
		case f.phase == ready:
			a.enter(f)
		case f.phase == redo:
			a.doAgain(f)
		}
		a.checkHistory()
	}
	a.checkHistory()
	return false
}

// goTo makes state the next one that f enters.
func (a *apply) goTo(f *Frame, state string) {
	f.state, f.phase = state, ready
	f.due, f.timeoutAt, f.heartbeat = 0, 0, 0
	f.retries, f.retried = nil, 0
	f.scheduled = 0
	a.touch(f)
	a.stack = append(a.stack, f)
}

// enter begins the state that f stands before.
func (a *apply) enter(f *Frame) {
	state := a.env.Machine.State(f.state)
	if state == nil {
		a.broken = fmt.Errorf("engine: %s is in state %q, which its machine does not have", a.Execution.ARN, f.state)
		return
	}
	a.entered++
	f.enteredAt = a.now
	input := f.input.JSON()
	f.before = f.last
	f.entered = a.follow(f, &HistoryEvent{Type: enteredType(state), Name: f.state, Data: &input})
	a.work(f, state)
}

// work does what f's state is there for.
func (a *apply) work(f *Frame, state asl.State) {
	f.phase = inside
	a.touch(f)
	var failed *failure
	switch state := state.(type) {
	case *asl.Pass:
		failed = a.pass(f, state)
	case *asl.Choice:
		failed = a.choice(f, state)
	case *asl.Wait:
		failed = a.wait(f, state)
	case *asl.Succeed:
		failed = a.succeed(f, state)
	case *asl.Fail:
		failed = a.failState(f, state)
	case *asl.Task:
		failed = a.task(f, state)
	case *asl.Parallel:
		failed = a.parallel(f, state)
	case *asl.Map:
		failed = a.mapState(f, state)
	default:
		a.broken = fmt.Errorf("engine: unknown state type %T", state)
	}
	if failed != nil {
		a.fail(f, failed)
	}
}

// end finishes f's scope with its output.
func (a *apply) end(f *Frame, output *Data) {
	a.touch(f)
	if f.parent != 0 {
		f.phase, f.result, f.input, f.due = done, output, nil, 0
		a.joined(f)
		return
	}
	text := output.JSON()
	a.record(&HistoryEvent{Type: ExecutionSucceededType, Previous: f.last, Data: &text})
	a.finish(Succeeded, output, nil, nil)
}

// finish closes the execution.
func (a *apply) finish(status Status, output *Data, name, cause *string) {
	a.Status, a.Output, a.Error, a.Cause = status, output, name, cause
	a.StoppedAt = a.now
	a.stack = nil
}

// abort ends the execution from outside any state. What is under way is given
// up first; its history events follow from nothing inside (recorded: previous
// id 0).
func (a *apply) abort(status Status, typ HistoryType, name, cause *string) {
	root := a.frames[rootFrame]
	a.giveUp(root, 0)
	a.record(&HistoryEvent{Type: typ, Error: name, Cause: cause})
	a.finish(status, nil, name, cause)
}

// timerFired moves on whatever is due.
func (a *apply) timerFired() error {
	if a.deadline != 0 && a.deadline <= a.now {
		timeout := "States.Timeout"
		a.abort(TimedOut, ExecutionTimedOutType, &timeout, nil)
		return nil
	}
	fired := false
	for _, f := range a.inOrder() {
		if f.due == 0 || f.due > a.now || a.frames[f.ID] != f || !a.Running() {
			continue
		}
		fired = true
		f.due = 0
		a.touch(f)
		switch f.phase {
		case sleeping:
			a.wake(f)
		case backoff:
			a.tryAgain(f)
		default:
			a.taskTimedOut(f)
		}
	}
	if !fired {
		return ErrNotWaiting
	}
	return nil
}

// record writes a history event and returns its id. When the history is full
// but for its last place, nothing more is written: see checkHistory.
func (a *apply) record(ev *HistoryEvent) int64 {
	if a.lastEvent >= a.historyLimit()-1 && !a.ends(ev.Type) {
		return a.lastEvent
	}
	a.lastEvent++
	ev.ID, ev.At = a.lastEvent, a.now
	a.history.add(ev)
	return ev.ID
}

// follow records an event on f's path, after its newest one.
func (a *apply) follow(f *Frame, ev *HistoryEvent) int64 {
	ev.Previous = f.last
	f.last = a.record(ev)
	return f.last
}

func (a *apply) ends(t HistoryType) bool {
	return t >= ExecutionSucceededType && t <= ExecutionTimedOutType
}

// allowed is how long the execution may take, in milliseconds; 0: for ever.
func (a *apply) allowed() int64 {
	own, limit := a.env.Machine.TimeoutSeconds*1000, a.env.Limits.Duration.Milliseconds()
	if own <= 0 || limit > 0 && limit < own {
		return limit
	}
	return own
}

func (a *apply) historyLimit() int64 {
	if a.env.Limits.History < 0 {
		return math.MaxInt64
	}
	return cmp.Or(a.env.Limits.History, defaultHistory)
}

func (a *apply) payloadLimit() int { return cmp.Or(a.env.Limits.Payload, defaultPayload) }

// checkHistory ends an execution that has filled its history: the last event
// AWS allows is the one that says so.
func (a *apply) checkHistory() {
	if !a.Running() || a.lastEvent < a.historyLimit()-1 {
		return
	}
	name := "States.Runtime"
	cause := fmt.Sprintf("The execution reached the maximum number of history events (%d).", a.historyLimit())
	a.commands = nil
	for _, f := range a.inOrder() {
		switch f.phase {
		case dispatch, submitted, queued, started:
			a.cancel(f)
		case mapping:
			a.stopMapRun(f)
		}
	}
	a.record(&HistoryEvent{Type: ExecutionFailedType, Previous: a.lastEvent, Error: &name, Cause: &cause})
	a.finish(Failed, nil, &name, &cause)
}

func enteredType(state asl.State) HistoryType {
	switch state.(type) {
	case *asl.Pass:
		return PassStateEnteredType
	case *asl.Choice:
		return ChoiceStateEnteredType
	case *asl.Wait:
		return WaitStateEnteredType
	case *asl.Succeed:
		return SucceedStateEnteredType
	case *asl.Fail:
		return FailStateEnteredType
	case *asl.Parallel:
		return ParallelStateEnteredType
	case *asl.Map:
		return MapStateEnteredType
	default:
		return TaskStateEnteredType
	}
}

func exitedType(state asl.State) HistoryType {
	switch state.(type) {
	case *asl.Pass:
		return PassStateExitedType
	case *asl.Choice:
		return ChoiceStateExitedType
	case *asl.Wait:
		return WaitStateExitedType
	case *asl.Succeed:
		return SucceedStateExitedType
	case *asl.Parallel:
		return ParallelStateExitedType
	case *asl.Map:
		return MapStateExitedType
	default:
		return TaskStateExitedType
	}
}

// timestamp writes Unix milliseconds as the context object shows times: UTC,
// without a fraction where it is zero.
func timestamp(millis int64) string {
	t := time.UnixMilli(millis).UTC()
	if millis%1000 == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
