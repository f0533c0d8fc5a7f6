package awsapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// fakeExpress answers for Express executions as it is told.
type fakeExpress struct {
	Express // what is not asked for here
	got     store.Start
	end     store.Execution
	err     error
}

func (e *fakeExpress) Reserve(machine, name string) (store.ExecutionID, string) {
	return 7, arn.Default.Express(machine, name, "u")
}

func (e *fakeExpress) Start(_ context.Context, s store.Start) (int64, error) {
	e.got = s
	return noon, e.err
}

func (e *fakeExpress) Sync(_ context.Context, s store.Start) (store.Execution, error) {
	e.got = s
	x := e.end
	x.Name, x.Input, x.StartedAt, x.Trace = s.Name, s.Input, noon, s.Trace
	return x, e.err
}

func TestExpress(t *testing.T) {
	w := newWorld(t)
	fake := &fakeExpress{}
	w.server.express = fake
	w.create("e", passes, `,"type":"EXPRESS"`)
	w.create("s", passes)
	const arns = `'executionArn':'arn:aws:states:us-east-1:123456789012:express:e:n:u','stateMachineArn':'$sm(e)','name':'n','startDate':1700000000.120,`
	text := func(s string) *string { return &s }
	f := func(action, body string, end store.Execution, want string) {
		t.Helper()
		fake.end = end
		w.call(action, body, want)
	}
	f("StartExecution", `{'stateMachineArn':'$sm(e)','name':'n'}`, store.Execution{},
		`{'executionArn':'arn:aws:states:us-east-1:123456789012:express:e:n:u','startDate':1700000000.120}`)
	f("StartSyncExecution", `{'stateMachineArn':'$sm(e)','name':'n','input':'[1]','traceHeader':'Root=1'}`,
		store.Execution{Status: engine.Succeeded, StoppedAt: noon, Output: text(`{}`)},
		`{`+arns+`'stopDate':1700000000.120,'status':'SUCCEEDED','input':'[1]','output':'{}','inputDetails':{'included':true},'outputDetails':{'included':true},`+
			`'traceHeader':'Root=1','billingDetails':{'billedDurationInMilliseconds':100,'billedMemoryUsedInMB':64}}`)
	f("StartSyncExecution", `{'stateMachineArn':'$sm(e)','name':'n'}`,
		store.Execution{Status: engine.Failed, StoppedAt: noon + 101, Error: text("E"), Cause: text("c")},
		`{`+arns+`'stopDate':1700000000.221,'status':'FAILED','error':'E','cause':'c','input':'{}','inputDetails':{'included':true},'outputDetails':{'included':true},`+
			`'billingDetails':{'billedDurationInMilliseconds':200,'billedMemoryUsedInMB':64}}`)
	f("StartSyncExecution", `{'stateMachineArn':'$sm(e)','name':'n','includedData':'METADATA_ONLY'}`,
		store.Execution{Status: engine.Succeeded, StoppedAt: noon + 100, Output: text(`{}`)},
		`{`+arns+`'stopDate':1700000000.220,'status':'SUCCEEDED','inputDetails':{'included':false},'outputDetails':{'included':false},`+
			`'billingDetails':{'billedDurationInMilliseconds':100,'billedMemoryUsedInMB':64}}`)

	f("StartSyncExecution", `{'stateMachineArn':'$sm(s)'}`, store.Execution{},
		"StateMachineTypeNotSupported: This operation is not supported by this type of state machine")
	f("StartSyncExecution", `{'stateMachineArn':'$sm(e)','input':''}`, store.Execution{},
		"InvalidExecutionInput: Invalid State Machine Execution Input: ~Invalid execution input.~")
	f("StartSyncExecution", `{'stateMachineArn':'$sm(none)'}`, store.Execution{},
		"StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(none)~")
	for _, action := range []string{"DescribeExecution", "StopExecution", "GetExecutionHistory"} {
		f(action, `{'executionArn':'arn:aws:states:us-east-1:123456789012:express:e:n:u'}`, store.Execution{},
			"InvalidArn: Invalid Arn: ~Resource type not valid in this context: express~")
	}
	w.ask("StartExecution", `{'stateMachineArn':'$sm(e)'}`)
	if len(fake.got.Name) != 36 || fake.got.ID != 7 {
		t.Errorf("the name made up is %q", fake.got.Name)
	}
	fake.err = store.ErrBusy
	f("StartExecution", `{'stateMachineArn':'$sm(e)'}`, store.Execution{}, "ThrottlingException: Rate exceeded")
}

// An execution that takes its time leaves others the room that its large request
// had.
func TestSyncLeavesTheGate(t *testing.T) {
	w := newWorld(t)
	inside := -1
	w.server.express = gateWatch{look: func() { inside = w.server.gate.inside }}
	w.create("e", passes, `,"type":"EXPRESS"`)
	w.ask("StartSyncExecution", `{'stateMachineArn':'$sm(e)','input':'\'`+strings.Repeat("x", 2*gateFrom)+`\''}`)
	if inside != 0 || w.server.gate.inside != 0 {
		t.Errorf("%d bytes are inside while the execution runs, %d afterwards", inside, w.server.gate.inside)
	}
}

type gateWatch struct {
	Express
	look func()
}

func (g gateWatch) Reserve(string, string) (store.ExecutionID, string) { return 1, "" }

func (g gateWatch) Start(context.Context, store.Start) (int64, error) { return 0, nil }

func (g gateWatch) Sync(context.Context, store.Start) (store.Execution, error) {
	g.look()
	return store.Execution{}, nil
}

func TestLogEntry(t *testing.T) {
	text := func(s string) *string { return &s }
	f := func(ev engine.HistoryEvent, data bool, want string) {
		t.Helper()
		ev.ID, ev.Previous, ev.At = 3, 2, noon
		got := string(AppendLogEntry(nil, "arn:x", 1, &ev, data))
		want = fmt.Sprintf(expand(`{'id':'3','type':'%s','details':%s,'previous_event_id':'2','event_timestamp':'1700000000120','execution_arn':'arn:x','redrive_count':'1'}`), ev.Type, expand(want))
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	exit := engine.HistoryEvent{Type: engine.PassStateExitedType, Name: "P", Data: text(`[]`), Assigned: []engine.Assignment{{Name: "v", JSON: "1"}}}
	f(exit, true, `{'name':'P','output':'[]','outputDetails':{'truncated':false},'assignedVariables':{'v':'1'},'assignedVariablesDetails':{'truncated':false}}`)
	f(exit, false, `{'name':'P'}`)
	f(engine.HistoryEvent{Type: engine.ExecutionSucceededType, Data: text(`1`)}, false, `{}`)
	f(engine.HistoryEvent{Type: engine.ExecutionFailedType, Error: text("E"), Cause: text("c")}, false, `{'error':'E','cause':'c'}`)
	f(engine.HistoryEvent{Type: engine.LambdaFunctionStartedType}, true, `{}`)
	f(engine.HistoryEvent{Type: engine.TaskScheduledType, Service: "s", Resource: "r", Region: "g", Data: text(`{}`)}, false, `{'resourceType':'s','resource':'r','region':'g'}`)

	// What is too long is cut where a character begins.
	long := `"` + strings.Repeat("é", maxLogged/2) + `"`
	ev := engine.HistoryEvent{Type: engine.ExecutionSucceededType, Data: &long}
	v, err := value.Parse(string(AppendLogEntry(nil, "arn:x", 0, &ev, true)))
	if err != nil {
		t.Fatal(err)
	}
	d := v.Get("details")
	if out := d.Get("output").Str(); len(out) != maxLogged-1 || !strings.HasPrefix(long, out) || d.Get("outputDetails").JSON() != `{"truncated":true}` {
		t.Errorf("%d bytes are left, %s", len(out), d.Get("outputDetails"))
	}
}

func TestLogGroupsAreLookedUp(t *testing.T) {
	w := newWorld(t)
	w.server.logGroup = func(_ context.Context, group string) bool { return strings.Contains(group, ":there:") }
	create := func(name, group string) string {
		return w.ask("CreateStateMachine", `{'name':'`+name+`','definition':'`+strings.ReplaceAll(passes, `"`, `\'`)+`','roleArn':'arn:aws:iam::1:role/r','loggingConfiguration':{'level':'ALL','destinations':[{'cloudWatchLogsLogGroup':{'logGroupArn':'arn:aws:logs:us-east-1:1:log-group:`+group+`:*'}}]}}`)
	}
	if got := create("a", "there"); !strings.HasPrefix(got, `{"stateMachineArn"`) {
		t.Error(got)
	}
	const refused = "InvalidLoggingConfiguration: Invalid Logging Configuration: Log Destination not found."
	if got := create("b", "gone"); got != refused {
		t.Error(got)
	}
	m, _ := w.engine.Machine(t.Context(), "a")
	r, err := w.engine.Revision(t.Context(), m.Current)
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := LoggingOf(r); !ok || l != (Logging{Group: "arn:aws:logs:us-east-1:1:log-group:there:*", Level: "ALL"}) {
		t.Errorf("logging %+v, %t", l, ok)
	}
	if l, ok := LoggingOf(store.Revision{}); ok {
		t.Errorf("without a configuration: %+v", l)
	}
}
