package awsapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

func TestStartExecution(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	w.create("e", passes, `,"type":"EXPRESS"`)
	f := func(body, want string) {
		t.Helper()
		w.call("StartExecution", body, want)
	}
	f(`{'stateMachineArn':'$sm(m)','name':'x'}`, `{'executionArn':'$ex(m:x)','startDate':1700000000.120}`)
	w.engine.now += 10
	f(`{'stateMachineArn':'$sm(m)','name':'x','input':'{}'}`, `{'executionArn':'$ex(m:x)','startDate':1700000000.120}`)
	f(`{'stateMachineArn':'$sm(m)','name':'x','input':'{ }'}`, "ExecutionAlreadyExists: Execution Already Exists: ~$ex(m:x)~")
	f(`{'stateMachineArn':'$sm(m)','input':'\'text\''}`, `{'executionArn':'$ex(m:made-up-2)','startDate':1700000000.130}`)
	f(`{'stateMachineArn':'$sm(m)','input':'null'}`, `{'executionArn':'$ex(m:made-up-3)','startDate':1700000000.130}`)

	const input = "InvalidExecutionInput: Invalid State Machine Execution Input: "
	f(`{'stateMachineArn':'$sm(m)','input':''}`, input+"~Invalid execution input.~")
	f(`{'stateMachineArn':'$sm(m)','input':'oops'}`, input+"~Unrecognized token ~oops~: was expecting (JSON String, Number, Array, Object or token ~null~, ~true~ or ~false~)~")
	f(`{'stateMachineArn':'$sm(m)','input':'{x'}`, input+"~Unexpected character (~x~ (code 120)): was expecting double-quote to start field name~")
	f(`{'stateMachineArn':'$sm(m)','name':'a/b'}`, "InvalidName: Invalid Name: ~a/b~")
	f(`{'stateMachineArn':'$sm(m)','name':'`+strings.Repeat("n", 81)+`'}`, "ValidationException: 1 validation error detected: Value ~"+strings.Repeat("n", 81)+"~ at ~name~ failed to satisfy constraint: Member must have length less than or equal to 80")
	f(`{'stateMachineArn':'$sm(m)','input':'`+strings.Repeat("1", maxPayload+1)+`'}`, "ValidationException: 1 validation error detected: Value at ~input~ failed to satisfy constraint: Member must have length less than or equal to 262144")
	f(`{'stateMachineArn':'$sm(m)','traceHeader':'é'}`, `ValidationException: 1 validation error detected: Value ~é~ at ~traceHeader~ failed to satisfy constraint: Member must satisfy regular expression pattern: \p{ASCII}*`)
	f(`{'stateMachineArn':'$sm(gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	f(`{'stateMachineArn':'$sm(m:1)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:1)~")
	f(`{'stateMachineArn':'$sm(m/label)'}`, "ValidationException: State machine ARNs with a Map Run label are not supported by this API.")
	f(`{'stateMachineArn':'$sm(e)'}`, "ValidationException: Lockstep does not support running EXPRESS state machines yet.")
	w.call("StartSyncExecution", `{'stateMachineArn':'$sm(m)'}`, "StateMachineTypeNotSupported: This operation is not supported by this type of state machine")
}

func TestStartUsesTheNewestRevisionAtOnce(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)'}`)
	w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/new'}`)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)'}`)
	if s := w.engine.starts; len(s) != 2 || s[0].Revision == s[1].Revision {
		t.Errorf("started %+v, want two revisions", s)
	}
}

func TestTraceHeaderOfTheRequestWins(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.post("StartExecution", expand(`{'stateMachineArn':'$sm(m)','name':'x','traceHeader':'Root=body'}`),
		func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=header") })
	if got := w.ask("DescribeExecution", `{'executionArn':'$ex(m:x)'}`); !strings.Contains(got, `"traceHeader":"Root=header"`) {
		t.Errorf("got %s", got)
	}
}

func TestDescribeExecution(t *testing.T) {
	w := newWorld(t)
	w.create("p", passes)
	w.create("w", waits)
	w.create("f", `{"TimeoutSeconds":5,"StartAt":"F","States":{"F":{"Type":"Wait","Seconds":1,"Next":"G"},"G":{"Type":"Fail","Error":"E","Cause":"C"}}}`)
	start := func(m, x string) {
		w.ask("StartExecution", `{'stateMachineArn':'$sm(`+m+`)','name':'`+x+`','input':'[1]'}`)
	}
	f := func(m, x, more, want string) {
		t.Helper()
		w.call("DescribeExecution", `{'executionArn':'$ex(`+m+`:`+x+`)'`+more+`}`,
			`{'executionArn':'$ex(`+m+`:`+x+`)','stateMachineArn':'$sm(`+m+`)','name':'`+x+`',`+want+`}`)
	}
	start("p", "x")
	f("p", "x", ``, `'status':'SUCCEEDED','startDate':1700000000.120,'stopDate':1700000000.120,'redriveCount':0,'input':'[1]','inputDetails':{'included':true},`+
		`'output':'[1]','outputDetails':{'included':true},'redriveStatus':'NOT_REDRIVABLE','redriveStatusReason':'Execution is SUCCEEDED and cannot be redriven'`)
	f("p", "x", `,'includedData':'METADATA_ONLY'`, `'status':'SUCCEEDED','startDate':1700000000.120,'stopDate':1700000000.120,'redriveCount':0,'inputDetails':{'included':false},`+
		`'outputDetails':{'included':false},'redriveStatus':'NOT_REDRIVABLE','redriveStatusReason':'Execution is SUCCEEDED and cannot be redriven'`)

	start("w", "x")
	f("w", "x", ``, `'status':'RUNNING','startDate':1700000000.120,'redriveCount':0,'input':'[1]','inputDetails':{'included':true},`+
		`'redriveStatus':'NOT_REDRIVABLE','redriveStatusReason':'Execution is RUNNING and cannot be redriven'`)

	start("f", "x")
	x, _ := w.engine.Lookup(t.Context(), "f", "x")
	w.engine.now += 1000
	if err := w.engine.Deliver(t.Context(), x.ID, engine.TimerFired{At: w.server.now()}); err != nil {
		t.Fatal(err)
	}
	const failed = `'status':'FAILED','startDate':1700000000.120,'stopDate':1700000001.120,'redriveCount':0,'input':'[1]','inputDetails':{'included':true},'error':'E','cause':'C',`
	f("f", "x", ``, failed+`'redriveStatus':'REDRIVABLE'`)
	w.engine.now += redriveWindow.Milliseconds()
	f("f", "x", ``, failed+`'redriveStatus':'NOT_REDRIVABLE','redriveStatusReason':'Execution redrivable period exceeded'`)

	start("f", "y")
	y, _ := w.engine.Lookup(t.Context(), "f", "y")
	w.engine.now += 5000
	if err := w.engine.Deliver(t.Context(), y.ID, engine.TimerFired{At: w.server.now()}); err != nil {
		t.Fatal(err)
	}
	if got := w.ask("DescribeExecution", `{'executionArn':'$ex(f:y)'}`); !strings.Contains(got, "TIMED_OUT") || strings.Contains(got, `"error"`) {
		t.Errorf("an execution whose time is over is described without an error: %s", got)
	}

	g := func(body, want string) {
		t.Helper()
		w.call("DescribeExecution", body, want)
	}
	g(`{'executionArn':'$ex(p:gone)'}`, "ExecutionDoesNotExist: Execution Does Not Exist: ~$ex(p:gone)~")
	g(`{'executionArn':'$ex(gone:x)'}`, "ExecutionDoesNotExist: Execution Does Not Exist: ~$ex(gone:x)~")
	g(`{'executionArn':'$sm(p)'}`, "InvalidArn: Invalid Arn: ~Resource type not valid in this context: stateMachine~")
	g(`{'executionArn':'arn:aws:states:us-east-1:123456789012:express:m:x:y'}`, "InvalidArn: Invalid Arn: ~Resource type not valid in this context: express~")
	g(`{'executionArn':'x'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: x~")
}

func TestDescribeStateMachineForExecution(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'x'}`)
	w.engine.now += 1000
	w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/new'}`)
	w.call("DescribeStateMachineForExecution", `{'executionArn':'$ex(m:x)'}`,
		`{'stateMachineArn':'$sm(m)','name':'m','updateDate':1700000000.120,'roleArn':'arn:aws:iam::123456789012:role/r',`+described+
			`,'definition':'{\'StartAt\':\'P\',\'States\':{\'P\':{\'Type\':\'Pass\',\'End\':true}}}'}`)
}

func TestListExecutions(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.create("e", passes, `,"type":"EXPRESS"`)
	for _, name := range []string{"a", "b", "c"} {
		w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'`+name+`'}`)
	}
	item := func(name string) string {
		return `{'executionArn':'$ex(m:` + name + `)','stateMachineArn':'$sm(m)','name':'` + name + `','status':'SUCCEEDED','startDate':1700000000.120,'stopDate':1700000000.120,'redriveCount':0}`
	}
	f := func(more, want string) {
		t.Helper()
		w.call("ListExecutions", `{'stateMachineArn':'$sm(m)'`+more+`}`, want)
	}
	f(``, `{'executions':[`+item("c")+`,`+item("b")+`,`+item("a")+`]}`)
	f(`,'statusFilter':'RUNNING'`, `{'executions':[]}`)
	f(`,'redriveFilter':'REDRIVEN'`, `{'executions':[]}`)
	token := cut(w.ask("ListExecutions", expand(`{'stateMachineArn':'$sm(m)','maxResults':2}`)), `"nextToken":"`, `"`)
	f(`,'maxResults':2`, `{'executions':[`+item("c")+`,`+item("b")+`],'nextToken':'`+token+`'}`)
	f(`,'maxResults':2,'nextToken':'`+token+`'`, `{'executions':[`+item("a")+`]}`)
	f(`,'statusFilter':'FAILED','nextToken':'`+token+`'`, "InvalidToken: Invalid Token: ~Invalid token~")
	f(`,'statusFilter':'succeeded'`, "ValidationException: 1 validation error detected: Value ~succeeded~ at ~statusFilter~ failed to satisfy constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]")
	f(`,'nextToken':'`+strings.Repeat("x", 3097)+`'`, "ValidationException: 1 validation error detected: Value ~"+strings.Repeat("x", 3097)+"~ at ~nextToken~ failed to satisfy constraint: Member must have length less than or equal to 3096")
	f(`,'mapRunArn':'r'`, "ValidationException: Exactly one of stateMachineArn and mapRunArn must be specified")
	w.call("ListExecutions", `{}`, "ValidationException: Exactly one of stateMachineArn and mapRunArn must be specified")
	w.call("ListExecutions", `{'stateMachineArn':'$sm(e)'}`, "StateMachineTypeNotSupported: This operation is not supported by this type of state machine")
	w.call("ListExecutions", `{'stateMachineArn':'m'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: m~")
}

func TestStopExecution(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'x'}`)
	w.engine.now += 1000
	w.call("StopExecution", `{'executionArn':'$ex(m:x)','error':'E'}`, `{'stopDate':1700000001.120}`)
	w.engine.now += 1000
	w.call("StopExecution", `{'executionArn':'$ex(m:x)'}`, `{'stopDate':1700000001.120}`)
	if got := w.ask("DescribeExecution", `{'executionArn':'$ex(m:x)'}`); !strings.Contains(got, expand(`'status':'ABORTED'`)) || !strings.Contains(got, expand(`'error':'E'`)) {
		t.Errorf("after the stop: %s", got)
	}
	w.call("StopExecution", `{'executionArn':'$ex(m:gone)'}`, "ExecutionDoesNotExist: Execution Does Not Exist: ~$ex(m:gone)~")
	w.call("StopExecution", `{'executionArn':'$ex(m:x)','error':'`+strings.Repeat("e", 257)+`'}`, "ValidationException: 1 validation error detected: Value at ~error~ failed to satisfy constraint: Member must have length less than or equal to 256")
}

func TestSendTask(t *testing.T) {
	w := newWorld(t)
	w.ask("CreateActivity", `{'name':'work'}`)
	w.create("m", asks)
	start := func(name string) {
		t.Helper()
		w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'`+name+`'}`)
		x, err := w.engine.Lookup(t.Context(), "m", name)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.engine.Deliver(t.Context(), x.ID, engine.ActivityStarted{At: w.server.now(), Task: engine.TaskID{Frame: 1, Attempt: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	start("a") // execution 1
	start("b") // execution 2
	w.call("SendTaskHeartbeat", `{'taskToken':'1/1/1'}`, `{}`)
	w.call("SendTaskSuccess", `{'taskToken':'1/1/1','output':'{'}`, "InvalidOutput: Invalid Output: ~Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)'{'; line: 1, column: 1])~")
	w.call("SendTaskSuccess", `{'taskToken':'1/1/1','output':'{\'ok\':1}'}`, `{}`)
	w.call("SendTaskFailure", `{'taskToken':'2/1/1','error':'E'}`, `{}`)

	if got := w.ask("DescribeExecution", `{'executionArn':'$ex(m:a)'}`); !strings.Contains(got, `"output":"{\"ok\":1}"`) {
		t.Errorf("after the success: %s", got)
	}
	if got := w.ask("DescribeExecution", `{'executionArn':'$ex(m:b)'}`); !strings.Contains(got, `"error":"E"`) || strings.Contains(got, "cause") {
		t.Errorf("after the failure: %s", got)
	}

	for op, more := range map[string]string{"SendTaskSuccess": `,'output':'1'`, "SendTaskFailure": ``, "SendTaskHeartbeat": ``} {
		w.call(op, `{'taskToken':'1/1/1'`+more+`}`, "TaskTimedOut: Task Timed Out: ~Provided task does not exist anymore~")
		w.call(op, `{'taskToken':'9/1/1'`+more+`}`, "TaskDoesNotExist: Task Does Not Exist: ~Provided task does not exist~")
		w.call(op, `{'taskToken':'nonsense'`+more+`}`, "InvalidToken: Invalid Token: ~Invalid token~")
		w.call(op, `{`+strings.TrimPrefix(more, ",")+`}`, "ValidationException: 1 validation error detected: Value null at ~taskToken~ failed to satisfy constraint: Member must not be null")
	}
}

func TestErrorsOfTheEngine(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	f := func(err error, want string) {
		t.Helper()
		w.engine.fail = err
		w.call("StartExecution", `{'stateMachineArn':'$sm(m)'}`, want)
	}
	f(store.ErrBusy, "ThrottlingException: Rate exceeded")
	f(store.ErrFull, "ServiceUnavailable 503: There is no space left to store the request.")
	f(store.ErrUnknown, "InternalFailure 500: An internal error occurred. The server~s log has more under this request~s id.")
	if !strings.Contains(w.log.String(), "outcome of the commit unknown") {
		t.Errorf("the log has no word about it: %s", w.log)
	}
}

// testCases knows one case, Happy of the machine m.
type testCases map[string]string

func (c testCases) Choose(machine, execution, test string) error {
	if test != "" && machine+"#"+test != "m#Happy" {
		return errors.New("no such case")
	}
	c[execution] = test
	return nil
}

func TestStartByTestCase(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	const missing = "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m#Happy)~"
	w.call("StartExecution", `{'stateMachineArn':'$sm(m#Happy)'}`, missing) // there are no test cases

	cases := testCases{}
	w.server.tests = cases
	f := func(arn, name, want string) {
		t.Helper()
		got := w.ask("StartExecution", `{'stateMachineArn':'`+arn+`'`+name+`}`)
		if !strings.Contains(got, expand(want)) {
			t.Errorf("%s gives %s, want %s", arn, got, expand(want))
		}
	}
	f("$sm(m#Happy)", `,'name':'x'`, "$ex(m:x)")
	f("$sm(m)", `,'name':'x'`, "$ex(m:x)") // it runs: the same one
	f("$sm(m)", `,'name':'y'`, "$ex(m:y)")
	f("$sm(m#Happy)", "", "executionArn")
	f("$sm(m#)", "", "executionArn")
	f("$sm(m#Sad)", "", "ValidationException: no such case")
	f("$sm(gone#Happy)", "", "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	if x, y := cases[expand("$ex(m:x)")], cases[expand("$ex(m:y)")]; x != "Happy" || y != "" || len(cases) != 3 {
		t.Errorf("chosen: %v", cases)
	}
}
