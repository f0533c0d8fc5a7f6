package awsapi

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// testTime is how long a tested state may take (AWS's guide).
const testTime = 5 * time.Minute

// testRequest is what TestState is asked, member by member.
type testRequest struct {
	definition, input, level, role string
	context, variables             string // "": not given
	state                          string // "": the definition is a single state
	reveal                         bool
	mock                           *testMock
	retries, failures              int64
	hasFailures                    bool
	itemData                       string
}

type testMock struct {
	result       *string
	errorOutput  bool
	error, cause *string
	validation   string
}

var (
	inspectionLevels = newEnum("INFO", "DEBUG", "TRACE")
	validationModes  = newEnum(strictFields, presentFields, anyFields)
)

func readTest(in *input) (*testRequest, error) {
	r := &testRequest{
		definition: in.text("definition", definitionText),
		role:       in.text("roleArn", bounds{min: 1, max: 256}),
		level:      in.text("inspectionLevel", bounds{enum: inspectionLevels}),
		reveal:     in.flag("revealSecrets", false),
		context:    in.text("context", payloadText),
		variables:  in.text("variables", payloadText),
		state:      in.text("stateName", bounds{min: 1, max: 80, secret: true}),
		input:      "{}",
	}
	if text, given := in.optional("input", payloadText); given {
		r.input = text
	}
	if sub, given := in.structure("mock"); given {
		r.mock = readMock(sub)
	}
	if sub, given := in.structure("stateConfiguration"); given {
		r.retries = sub.integer("retrierRetryCount", 0, math.MaxInt32)
		r.failures, r.hasFailures = sub.integer("mapIterationFailureCount", 0, math.MaxInt32), sub.has("mapIterationFailureCount")
		r.itemData = sub.text("mapItemReaderData", payloadText)
		// A mocked error is the whole state's: which state inside it comes from
		// makes no difference to how it is retried, caught and reported.
		sub.text("errorCausedByState", bounds{min: 1, max: 80, secret: true})
	}
	return r, in.err()
}

func readMock(in *input) *testMock {
	m := &testMock{result: in.pointer("result", payloadText), validation: strictFields}
	if mode, given := in.optional("fieldValidationMode", bounds{enum: validationModes}); given {
		m.validation = mode
	}
	if sub, given := in.structure("errorOutput"); given {
		m.errorOutput = true
		m.error = sub.pointer("error", bounds{max: 256, secret: true})
		m.cause = sub.pointer("cause", bounds{max: 32768, secret: true})
	}
	return m
}

// testState runs one state. It leaves nothing behind. Unlike AWS it does not wait
// for a Wait state's time to pass.
func (s *Server) testState(ctx context.Context, in *input, out []byte) ([]byte, error) {
	r, err := readTest(in)
	if err != nil {
		return nil, err
	}
	machine, err := r.machine(s.lacks)
	if err != nil {
		return nil, err
	}
	if err := r.check(machine); err != nil {
		return nil, err
	}
	test, err := s.testInput(in.account, r, machine.State(r.state))
	if err != nil {
		return nil, err
	}
	token := newUUID()
	env := engine.Env{Machine: machine, Token: func(engine.TaskID) string { return token }}
	t, err := engine.NewTest(&env, test, s.now())
	switch {
	case errors.Is(err, engine.ErrNeedsMock):
		return nil, mockNeeded()
	case errors.Is(err, engine.ErrFailedItems):
		return nil, tooManyFailures()
	case err != nil:
		return nil, err
	}
	if t.Call() != nil {
		if err := s.tryTask(ctx, t, &test.Execution); err != nil {
			return nil, err
		}
	}
	return r.answer(out, t), nil
}

// machine compiles the definition, and sets r.state where it is a single state.
func (r *testRequest) machine(lacks func(service, action string) bool) (m *asl.Machine, err error) {
	var found asl.Diagnostics
	options := asl.Options{Untried: true, Lacks: lacks}
	if r.state == "" {
		r.state = "StateName" // recorded
		m, found = asl.ParseState(r.definition, r.state, options)
	} else {
		m, found = asl.Parse(r.definition, options)
	}
	if m == nil {
		return nil, invalidDefinition(found.InvalidDefinition())
	}
	if m.State(r.state) == nil {
		return nil, stateMissing()
	}
	return m, nil
}

// check refuses what cannot be asked of the state.
func (r *testRequest) check(m *asl.Machine) error {
	state := m.State(r.state)
	if r.mock == nil {
		return r.checkCall(state)
	}
	if r.reveal {
		return notWithMock("RevealSecrets")
	}
	if (r.mock.result != nil) == r.mock.errorOutput {
		return mockChoice()
	}
	switch state.(type) {
	case *asl.Task, *asl.Map, *asl.Parallel:
	default:
		return mockUnsupported(state.Base().Type)
	}
	if r.mock.result == nil {
		return nil
	}
	result, err := value.Parse(*r.mock.result)
	if err != nil {
		return mockNotJSON()
	}
	return r.mock.check(state, result)
}

// checkCall is check for a state without a mock.
func (r *testRequest) checkCall(state asl.State) error {
	switch {
	case r.hasFailures:
		return onlyWithMock("MapIterationFailureCount")
	case r.context != "":
		return onlyWithMock("Context")
	}
	switch state.(type) {
	case *asl.Map, *asl.Parallel:
		return invalidDefinition("TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]")
	case *asl.Task:
		if r.role == "" {
			return invalidRequest("RoleArn must be specified when testing a Task state")
		}
	}
	return nil
}

// testInput makes the execution that the state is tested in: one of an Express
// machine of the account, both with made-up names (recorded).
func (s *Server) testInput(account string, r *testRequest, state asl.State) (in engine.TestInput, err error) {
	if why := checkInput(r.input); why != "" {
		return in, invalidInput(why)
	}
	if r.role != "" {
		if err := checkRole(r.role); err != nil {
			return in, err
		}
	}
	machine, name := s.scheme.Kept(account, newUUID()), newUUID()
	in = engine.TestInput{
		State: r.state, Retries: r.retries, FailedItems: r.failures, ItemData: r.itemData,
		Execution: engine.Execution{
			ID:         rand.Int64(), // chance is another one in every test
			ARN:        strings.Replace(s.scheme.Execution(machine, name), ":execution:", ":express:", 1),
			Name:       name,
			MachineARN: s.scheme.Machine(machine), MachineName: arn.Plain(machine),
			RoleARN: r.role, Region: s.scheme.Region,
			StartedAt: time.UnixMilli(s.millis()), Input: engine.Text(r.input),
		},
	}
	if in.Variables, err = objectOf(r.variables, badVariables()); err != nil {
		return in, err
	}
	if in.Context, err = objectOf(r.context, badContext("it must be a JSON object")); err != nil {
		return in, err
	}
	if err := checkContext(in.Context, state); err != nil {
		return in, err
	}
	if m := r.mock; m != nil {
		in.Mock = &engine.Mock{Error: m.error, Cause: m.cause}
		if m.result != nil {
			in.Mock.Output = engine.Text(*m.result)
		}
	}
	return in, nil
}

// objectOf parses the text of a JSON object, absent for "".
func objectOf(text string, otherwise error) (value.Value, error) {
	if text == "" {
		return value.Value{}, nil
	}
	v, err := value.Parse(text)
	if err != nil || v.Kind() != value.Object {
		return value.Value{}, otherwise
	}
	return v, nil
}

// tryTask calls the task that t waits for. What takes too long ends with
// States.Timeout, which the state may catch.
func (s *Server) tryTask(ctx context.Context, t *engine.Test, x *engine.Execution) error {
	if s.tasks == nil {
		return notYet("testing a Task without a mock on this server")
	}
	call, limit, due := t.Call(), testTime, t.Due()
	own := due != 0 && due-s.millis() < limit.Milliseconds()
	if own {
		limit = time.Duration(due-s.millis()) * time.Millisecond
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ev := s.tasks.Try(within, x, call)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, failed := ev.(engine.TaskFailed); failed && within.Err() != nil {
		timeout := "States.Timeout"
		ev = engine.TaskFailed{At: s.now(), Task: call.Task, Error: &timeout}
		if own {
			ev = engine.TimerFired{At: time.UnixMilli(due)}
		}
	}
	return t.Answer(ev)
}

// answer writes what came of the test, with as much about it as was asked for.
func (r *testRequest) answer(out []byte, t *engine.Test) []byte {
	result := t.Result()
	o := newObject(out)
	if result.Output != nil {
		o.text("output", result.Output.JSON())
	}
	o.optional("error", result.Error)
	o.optional("cause", result.Cause)
	if r.level == "DEBUG" || r.level == "TRACE" {
		o.open("inspectionData")
		r.inspection(&o, t, &result)
		o.close()
	}
	o.textIf("nextState", result.Next)
	o.text("status", string(result.Status))
	return o.end()
}

func (r *testRequest) inspection(o *object, t *engine.Test, result *engine.TestResult) {
	o.text("input", r.input)
	for i := range engine.Inspections {
		if seen := t.Seen(i); seen != nil {
			o.text(i.String(), seen.JSON())
		}
	}
	if result.Variables.Len() > 0 {
		o.text("variables", result.Variables.JSON())
	}
	if result.Catch != nil || result.Retry != nil {
		o.open("errorDetails")
		if result.Catch != nil {
			o.number("catchIndex", int64(*result.Catch))
		}
		if result.Retry != nil {
			o.number("retryIndex", int64(*result.Retry))
		}
		if result.BackoffSeconds != nil {
			o.number("retryBackoffIntervalSeconds", *result.BackoffSeconds)
		}
		o.close()
	}
	if n := result.ToleratedFailureCount; n != nil {
		o.number("toleratedFailureCount", *n)
	}
	if x := result.ToleratedFailurePercentage; x != nil {
		o.raw("toleratedFailurePercentage", strconv.FormatFloat(*x, 'f', -1, 64))
	}
	if n := result.MaxConcurrency; n != nil {
		o.number("maxConcurrency", *n)
	}
}

// checkContext refuses a context object with members that the state would not
// see in an execution.
func checkContext(object value.Value, state asl.State) error {
	for root, part := range object.Members() {
		allowed := contextFields[root]
		switch {
		case root == "Map":
			return badContext("'Map' field is not supported when mocking a Context object")
		case allowed == nil:
			return badContext("Field '" + root + "' is not allowed")
		case root == "Task" && !hasToken(state):
			return badContext("Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern")
		case part.Kind() != value.Object:
			return badContext(root + " must be an object")
		}
		for name, member := range part.Members() {
			if !slices.Contains(allowed, name) {
				return badContext("Field '" + name + "' is not allowed")
			}
			if want := contextKind(name); want != value.Absent && member.Kind() != want {
				return badContext(root + "." + name + " must be " + article[want])
			}
		}
	}
	return nil
}

func hasToken(state asl.State) bool {
	task, ok := state.(*asl.Task)
	return ok && task.Resource.Pattern != asl.RequestResponse
}

// contextKind is the kind of a member of the context object's parts; Absent: any.
func contextKind(name string) value.Kind {
	switch name {
	case "Input":
		return value.Absent
	case "RedriveCount", "RetryCount":
		return value.Number
	}
	return value.String
}

// contextFields are the members that a given context object may have.
var contextFields = map[string][]string{
	"Execution":    {"Id", "Input", "Name", "RoleArn", "StartTime", "RedriveCount", "RedriveTime"},
	"State":        {"EnteredTime", "Name", "RetryCount"},
	"StateMachine": {"Id", "Name"},
	"Task":         {"Token"},
}
