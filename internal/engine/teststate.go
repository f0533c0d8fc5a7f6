package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// A test runs one state by itself: an execution that begins before the state and
// ends behind it. Apply does the work, as in any execution, and notes in the Test
// what passes by. In an execution there is no Test, and nothing is noted.

// TestInput says which state to test, and what the state finds.
type TestInput struct {
	Execution Execution   // its Input is the state's
	State     string      // anywhere in the machine
	Variables value.Value // an object; absent: none
	Context   value.Value // the context object; absent: an Express execution's
	Mock      *Mock       // nil: a task is called; a Map or Parallel must have one

	Retries     int64  // attempts the retrier of the error has allowed already
	FailedItems int64  // of a Map
	ItemData    string // JSON text that a Map's ItemReader has read; "": not known
}

// Mock is the outcome of a task, or the joint one of all branches or iterations:
// an output, or an error where Output is nil.
type Mock struct {
	Output       *Data
	Error, Cause *string
}

// The refusals of NewTest.
var (
	ErrNoState     = errors.New("the machine does not have the state")
	ErrNeedsMock   = errors.New("the state cannot be tested without a mock") // Map, Parallel, and tasks answered later
	ErrFailedItems = errors.New("more items failed than there are")
)

// Test is a state under test. It is done when Call returns nil.
type Test struct {
	in       TestInput
	env      Env
	snapshot *Snapshot
	language asl.QueryLanguage
	looped   bool // inside a Map
	call     *Dispatch
	refused  error

	seen    [Inspections]*Data
	failure *failure // the newest
	to      string
	result  TestResult
}

// TestStatus says how a test ended. Its text is the API's.
type TestStatus string

// The statuses of a test.
const (
	TestSucceeded TestStatus = "SUCCEEDED"
	TestFailed    TestStatus = "FAILED"
	TestRetriable TestStatus = "RETRIABLE"    // a retrier allows another attempt
	TestCaught    TestStatus = "CAUGHT_ERROR" // a catcher went on to Next
)

// TestResult is the outcome of a test. What is nil or empty was not there.
type TestResult struct {
	Status       TestStatus
	Output       *Data
	Next         string // "" where the state ends its scope
	Error, Cause *string
	Variables    value.Value // those given and those assigned

	Catch          *int   // the catcher that took the error
	Retry          *int   // the retrier that names the error, even if it is exhausted
	BackoffSeconds *int64 // until the next attempt

	MaxConcurrency             *int64 // of a Map; 0: no bound
	ToleratedFailureCount      *int64
	ToleratedFailurePercentage *float64
}

// Inspection is a point in the data flow of a state, where a test looks.
type Inspection uint8

// The inspections, in the order of the data flow.
const (
	AfterInputPath Inspection = iota
	AfterParameters
	AfterArguments
	AfterItemsPath
	AfterItemSelector // the inputs of all iterations
	Result
	AfterResultSelector
	AfterResultPath

	// Inspections is how many there are.
	Inspections
)

// String gives the API's name of the inspection.
func (i Inspection) String() string {
	return [...]string{"afterInputPath", "afterParameters", "afterArguments", "afterItemsPath",
		"afterItemSelector", "result", "afterResultSelector", "afterResultPath"}[i]
}

// NewTest runs a state as far as it gets without calling its task. A Wait does
// not take its time, and Env.Took is not told. The errors are those above, or
// defects.
func NewTest(env *Env, in TestInput, at time.Time) (*Test, error) {
	state := env.Machine.State(in.State)
	if state == nil {
		return nil, ErrNoState
	}
	if in.Mock == nil && startsOthers(state) {
		return nil, ErrNeedsMock
	}
	machine := *env.Machine
	machine.StartAt, machine.TimeoutSeconds = in.State, 0
	t := &Test{in: in, env: *env, snapshot: New(in.Execution), language: state.Base().QueryLanguage}
	t.looped = insideMap(&machine, state)
	t.env.Machine, t.env.test, t.env.Took = &machine, t, t.took
	t.snapshot.frames[rootFrame].vars = in.Variables
	return t, t.apply(Started{At: at})
}

// startsOthers says whether more than one call is behind the state.
func startsOthers(state asl.State) bool {
	switch s := state.(type) {
	case *asl.Map, *asl.Parallel:
		return true
	case *asl.Task:
		return s.Resource.Kind == asl.ActivityResource || s.Resource.Pattern != asl.RequestResponse
	}
	return false
}

// insideMap says whether the state is part of a Map's iterations.
func insideMap(m *asl.Machine, state asl.State) bool {
	containers := map[asl.State]asl.State{}
	m.Walk(func(s, parent asl.State) bool {
		containers[s] = parent
		return true
	})
	for state = containers[state]; state != nil; state = containers[state] {
		if _, ok := state.(*asl.Map); ok {
			return true
		}
	}
	return false
}

// Call is the task that the test waits for: Answer wants its outcome. It is nil
// when the test is done.
func (t *Test) Call() *Dispatch { return t.call }

// Due is when the task times out, in Unix milliseconds: Answer wants a TimerFired
// then. 0: never.
func (t *Test) Due() int64 { return t.snapshot.Due() }

// Answer goes on with what came of the task.
func (t *Test) Answer(ev Event) error { return t.apply(ev) }

// Seen is what an inspection has found, nil where the data did not get so far or
// where states of this kind and query language have no such point.
func (t *Test) Seen(i Inspection) *Data { return t.seen[i] }

// Result is the outcome of a test that is done.
func (t *Test) Result() TestResult {
	r, s := t.result, t.snapshot
	r.Output, r.Error, r.Cause = s.Output, s.Error, s.Cause
	r.Variables = s.frames[rootFrame].vars
	switch {
	case s.Status == Succeeded && r.Catch == nil:
		r.Status, r.Next = TestSucceeded, t.to
		return r
	case s.Status == Succeeded:
		r.Status, r.Next = TestCaught, t.to
	case s.Running():
		r.Status = TestRetriable
	default:
		r.Status, r.Catch, r.BackoffSeconds = TestFailed, nil, nil
		return r
	}
	r.Error, r.Cause = t.failure.name, t.failure.cause
	return r
}

// apply moves the execution by one event, and by those that follow without
// anything from outside.
func (t *Test) apply(ev Event) error {
	for ev != nil {
		step, err := Apply(&t.env, t.snapshot, ev)
		if err == nil {
			err = t.refused
		}
		if err != nil {
			return fmt.Errorf("test state %q: %w", t.in.State, err)
		}
		ev = t.follows(step)
	}
	return nil
}

// follows is the event that comes next, or nil with t.call set when the task has
// to be called, or nil when the test is done.
func (t *Test) follows(step Step) Event {
	t.call = nil
	root, at := t.snapshot.frames[rootFrame], time.UnixMilli(t.snapshot.lastAt)
	id := TaskID{root.ID, root.attempt}
	if !t.snapshot.Running() {
		return nil
	}
	switch mock := t.in.Mock; root.phase {
	case sleeping:
		return TimerFired{At: time.UnixMilli(root.due)}
	case queued:
		return ActivityStarted{At: at, Task: id}
	case dispatch, started:
		if mock != nil && mock.Output != nil {
			return TaskSucceeded{At: at, Task: id, Output: mock.Output}
		} else if mock != nil {
			return TaskFailed{At: at, Task: id, Error: mock.Error, Cause: mock.Cause}
		}
		for _, command := range step.Commands {
			if call, ok := command.(*Dispatch); ok {
				t.call = call
			}
		}
	}
	return nil
}

// The notes that Apply takes. Outside of tests t is nil, and nothing is noted.

// inspect notes the data at one point of the state's flow. Each query language
// has its own points.
func (a *apply) inspect(i Inspection, d *Data) {
	if t := a.env.test; t != nil {
		t.see(i, d)
	}
}

func (t *Test) see(i Inspection, d *Data) {
	foreign := false
	switch i {
	case AfterArguments:
		foreign = t.language == asl.JSONPath
	case AfterInputPath, AfterParameters, AfterItemsPath, AfterResultSelector, AfterResultPath:
		foreign = t.language == asl.JSONata
	}
	if !foreign {
		t.seen[i] = d
	}
}

// failed notes an error of the state.
func (t *Test) failed(e *failure) {
	if t != nil {
		t.failure = e
	}
}

// retries sets how often retrier i has been used already.
func (t *Test) retries(f *Frame, i int) {
	if t != nil {
		f.retries[i], t.result.Retry = t.in.Retries, &i
	}
}

// backsOff notes the time until the next attempt, in milliseconds.
func (t *Test) backsOff(delay int64) {
	if t != nil {
		seconds := delay / 1000
		t.result.BackoffSeconds = &seconds
	}
}

// took notes the catcher that has the error.
func (t *Test) took(_ string, w Way, i int) {
	if w == ByCatcher {
		t.result.Catch = &i
	}
}

// leaves notes where the state leads. It reports whether there is a test, which
// then ends.
func (t *Test) leaves(next string) bool {
	if t != nil {
		t.to = next
	}
	return t != nil
}

// context is the context object of a state under test: the one that was given, or
// object as an Express execution has it, without RedriveCount (recorded). In a
// Map, the state's input is the first item's, unless the given one says otherwise.
func (t *Test) context(object value.Value) value.Value {
	if t == nil {
		return object
	}
	item := object.Get("Map")
	if item.IsAbsent() && t.looped {
		first := value.ObjectOf([]value.Member{{Key: "Index", Value: value.Int(0)}, {Key: "Value", Value: t.in.Execution.Input.Value()}})
		item = value.ObjectOf([]value.Member{{Key: "Item", Value: first}})
	}
	if given := t.in.Context; !given.IsAbsent() {
		object = given
		if !given.Get("Map").IsAbsent() {
			return object
		}
	} else {
		x := object.Get("Execution").Without("RedriveCount")
		if t.in.Execution.RoleARN == "" {
			x = x.Without("RoleArn")
		}
		object = object.With("Execution", x)
		if state := object.Get("State"); !state.Get("RetryCount").IsAbsent() {
			object = object.With("State", state.With("RetryCount", value.Int(t.in.Retries)))
		}
	}
	if item.IsAbsent() {
		return object
	}
	return object.With("Map", item)
}

// mocked is what a Parallel or Map comes to in a test: the mock stands for all
// its branches or iterations.
func (a *apply) mocked(f *Frame, state asl.State, selector *jsonpath.Template, rp *asl.ResultPath) *failure {
	m := a.env.test.in.Mock
	f.phase = failing
	if m.Output == nil {
		return &failure{name: clamp(m.Error, 256), cause: clamp(m.Cause, 32768)}
	}
	return a.leave(f, state, m.Output, selector, rp)
}

// mockedMap works out what a Map would start, and then takes the mock for it.
func (a *apply) mockedMap(f *Frame, state *asl.Map) *failure {
	t := a.env.test
	items, failed := a.mockedItems(f, state)
	if failed != nil {
		return failed
	}
	limit, failed := a.maxConcurrency(f, state)
	if failed != nil {
		return failed
	}
	t.result.MaxConcurrency = &limit
	if failed := a.tolerance(f, state); failed != nil {
		return failed
	}
	if failed := a.itemInputs(f, state, items); failed != nil {
		return failed
	}
	if !items.IsAbsent() && t.in.FailedItems > int64(items.Len()) {
		t.refused = ErrFailedItems
	}
	if t.in.Mock.Output != nil && t.exceeded(items.Len()) {
		return &failure{name: ptr("States.ExceedToleratedFailureThreshold"), cause: ptr("The specified tolerated failure threshold was exceeded")}
	}
	return a.mocked(f, state, state.ResultSelector, state.ResultPath)
}

// mockedItems are the items of a Map, absent where its reader would have to read
// them.
func (a *apply) mockedItems(f *Frame, state *asl.Map) (value.Value, *failure) {
	if state.Reader == nil {
		return a.items(f, state)
	}
	if items, err := value.Parse(a.env.test.in.ItemData); err == nil && items.Kind() == value.Array {
		f.items = items
	}
	return f.items, nil
}

// itemInputs works out what the iterations start with, as far as the API can show
// that.
func (a *apply) itemInputs(f *Frame, state *asl.Map, items value.Value) *failure {
	if items.IsAbsent() || state.ItemSelector == nil && state.ItemSelectorQuery == nil {
		return nil
	}
	var all strings.Builder
	for i := range items.Len() {
		input, failed := a.itemInput(f, state, items, i)
		if failed != nil {
			return failed
		}
		if i > 0 {
			all.WriteByte(',')
		}
		all.WriteString(input.JSON())
		if all.Len() > defaultPayload-2 {
			return nil
		}
	}
	a.inspect(AfterItemSelector, Text("["+all.String()+"]"))
	return nil
}

// tolerance works out how many failed items the Map bears.
func (a *apply) tolerance(f *Frame, state *asl.Map) *failure {
	r := &a.env.test.result
	if bound := state.ToleratedFailureCount; bound != nil {
		n, failed := a.toleratedCount(f, state, bound)
		if failed != nil {
			return failed
		}
		r.ToleratedFailureCount = &n
	}
	if bound := state.ToleratedFailurePercentage; bound != nil {
		x, failed := a.toleratedPercentage(f, state, bound)
		if failed != nil {
			return failed
		}
		r.ToleratedFailurePercentage = &x
	}
	return nil
}

// exceeded says whether more of n items failed than the Map bears. Without a
// bound, a test does not ask (recorded).
func (t *Test) exceeded(n int) bool {
	failed := t.in.FailedItems
	if count := t.result.ToleratedFailureCount; count != nil && failed > *count {
		return true
	}
	percentage := t.result.ToleratedFailurePercentage
	return percentage != nil && n > 0 && float64(failed)*100 > *percentage*float64(n)
}
