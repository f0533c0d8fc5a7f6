package awsapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
)

// tests writes a TestState request for a definition in short hand.
func tests(definition, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"definition":` + strconv.Quote(strings.NewReplacer("'", `"`, "~", "'").Replace(definition)) + strings.ReplaceAll(more, "'", `"`) + `}`
}

const (
	lambdaTask = `{'Type':'Task','Resource':'arn:aws:states:::lambda:invoke','Parameters':{'FunctionName':'f'},'End':true}`
	oneBranch  = `{'Type':'Parallel','Branches':[{'StartAt':'B','States':{'B':{'Type':'Pass','End':true}}}],'End':true}`
	plainMap   = `{'Type':'Map','ItemProcessor':{'StartAt':'I','States':{'I':{'Type':'Pass','End':true}}},'End':true}`
	aRole      = `'roleArn':'arn:aws:iam::123456789012:role/r'`
)

func TestTestState(t *testing.T) {
	w := newWorld(t)
	f := func(definition, more, want string) {
		t.Helper()
		if got := w.ask("TestState", tests(definition, more)); got != want {
			t.Errorf("%s %s\n got %s\nwant %s", definition, more, got, want)
		}
	}
	f(`{'Type':'Pass','Next':'N'}`, `'input':'[1, 2]'`, `{"output":"[1, 2]","nextState":"N","status":"SUCCEEDED"}`)
	f(`{'Type':'Pass','Assign':{'y':2},'End':true}`, `'variables':'{\"x\":1}','inspectionLevel':'DEBUG'`,
		`{"output":"{}","inspectionData":{"input":"{}","afterInputPath":"{}","afterParameters":"{}","afterResultSelector":"{}","afterResultPath":"{}","variables":"{\"x\":1,\"y\":2}"},"status":"SUCCEEDED"}`)
	f(`{'Type':'Fail','Error':'','Cause':'c'}`, ``, `{"error":"","cause":"c","status":"FAILED"}`)
	f(`{'StartAt':'A','States':{'A':{'Type':'Pass','Next':'B'},'B':{'Type':'Succeed'}}}`, `'stateName':'A','input':'1'`, `{"output":"1","nextState":"B","status":"SUCCEEDED"}`)
	f(lambdaTask, `'mock':{'result':'{}'},'inspectionLevel':'TRACE'`,
		`{"output":"{}","inspectionData":{"input":"{}","afterInputPath":"{}","afterParameters":"{\"FunctionName\":\"f\"}","result":"{}","afterResultSelector":"{}","afterResultPath":"{}"},"status":"SUCCEEDED"}`)
	f(`{'Type':'Map','ToleratedFailurePercentage':12.5,'MaxConcurrency':3,'Retry':[{'ErrorEquals':['E']}],'ItemProcessor':{'StartAt':'I','States':{'I':{'Type':'Pass','End':true}}},'End':true}`,
		`'input':'[]','mock':{'errorOutput':{'error':'E'}},'inspectionLevel':'DEBUG','stateConfiguration':{'retrierRetryCount':2}`,
		`{"error":"E","inspectionData":{"input":"[]","afterInputPath":"[]","afterItemsPath":"[]","errorDetails":{"retryIndex":0,"retryBackoffIntervalSeconds":4},"toleratedFailurePercentage":12.5,"maxConcurrency":3},"status":"RETRIABLE"}`)
	f(`{'Type':'Pass','Parameters':{'id.$':'$$.State.Name'},'End':true}`, ``, `{"output":"{\"id\":\"StateName\"}","status":"SUCCEEDED"}`)

	invalid := "ValidationException: "
	f(`{'Type':'Nap'}`, ``, "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /Type'")
	f(`{'StartAt':'A','States':{'A':{'Type':'Succeed'}}}`, `'stateName':'B'`, invalid+"State not found in definition")
	f(`{'Type':'Succeed'}`, `'input':'{'`, "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)\"{\"; line: 1, column: 1])'")
	f(`{'Type':'Succeed'}`, `'roleArn':'me'`, "InvalidArn: Invalid Arn: 'Invalid Role Arn: me'")
	f(`{'Type':'Succeed'}`, `'variables':'1'`, invalid+"Variables must be a JSON object")
	f(`{'Type':'Succeed'}`, `'inspectionLevel':'ALL'`, invalid+"1 validation error detected: Value 'ALL' at 'inspectionLevel' failed to satisfy constraint: Member must satisfy enum value set: [INFO, DEBUG, TRACE]")
	f(`{'Type':'Succeed'}`, `'stateConfiguration':{'retrierRetryCount':-1}`,
		invalid+"1 validation error detected: Value '-1' at 'stateConfiguration.retrierRetryCount' failed to satisfy constraint: Member must have value greater than or equal to 0")
	f(lambdaTask, ``, invalid+"RoleArn must be specified when testing a Task state")
	f(lambdaTask, aRole, invalid+"Lockstep does not support testing a Task without a mock on this server yet.")
	f(`{'Type':'Task','Resource':'arn:aws:states:us-east-1:123456789012:activity:a','End':true}`, aRole,
		invalid+"TestState supports Activity tasks and the '.sync' and '.waitForTaskToken' service integration patterns only when a mock is specified.")
	f(plainMap, ``, "InvalidDefinition: TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]")
	f(plainMap, `'stateConfiguration':{'mapIterationFailureCount':0}`, invalid+"TestState does not support MapIterationFailureCount when a mock is not specified.")
	f(plainMap, `'input':'[1]','mock':{'result':'[]'},'stateConfiguration':{'mapIterationFailureCount':2}`,
		invalid+"Map iteration failure count must be less than or equal to the number of Map iterations")
}

func TestMocks(t *testing.T) {
	w := newWorld(t)
	f := func(definition, mock, want string) {
		t.Helper()
		if want != "" {
			want = "ValidationException: " + want
		}
		got := w.ask("TestState", tests(definition, `'input':'[]','mock':`+mock))
		if strings.Contains(got, `"status":"SUCCEEDED"`) {
			got = ""
		}
		if got != want {
			t.Errorf("%s %s\n got %s\nwant %s", definition, mock, got, want)
		}
	}
	f(lambdaTask, `{}`, "A test mock should have only one of the following fields: [result, errorOutput].")
	f(lambdaTask, `{'result':'1','errorOutput':{}}`, "A test mock should have only one of the following fields: [result, errorOutput].")
	f(lambdaTask, `{'result':'{'}`, "Mocked result must be valid JSON")
	f(lambdaTask, `{'result':'{}'},'revealSecrets':true`, "TestState does not support RevealSecrets when a mock is specified.")
	f(`{'Type':'Succeed'}`, `{'result':'1'}`, "State type 'Succeed' is not supported when a mock is specified")
	f(oneBranch, `{'result':'[1]'}`, "")
	f(oneBranch, `{'result':'[]'}`, "Mocked result must contain the same number of items as number of Parallel branches.")
	f(oneBranch, `{'result':'{}'}`, "Mocked result must be an array.")
	f(plainMap, `{'result':'{}'}`, "Mocked result must be an array.")
	f(strings.Replace(plainMap, `'Type'`, `'ResultWriter':{'Resource':'arn:aws:states:::s3:putObject','Parameters':{'Bucket':'b','Prefix':'p'}},'Type'`, 1),
		`{'result':'[]'}`, "Mocked result must be a JSON object.")

	task := func(resource, parameters string) string {
		return `{'Type':'Task','Resource':'arn:aws:states:::` + resource + `','Parameters':` + parameters + `,'End':true}`
	}
	schema := "Mock result schema validation error: "
	starts := task("states:startExecution", `{'StateMachineArn':'m'}`)
	f(starts, `{'result':'{\"ExecutionArn\":\"x\",\"StartDate\":\"then\",\"More\":1}'}`, "")
	f(starts, `{'result':'{\"ExecutionArn\":\"x\"}'}`, schema+"Required field 'StartDate' is missing")
	f(starts, `{'result':'{\"ExecutionArn\":\"x\"}','fieldValidationMode':'PRESENT'}`, "")
	f(starts, `{'result':'{\"ExecutionArn\":1}','fieldValidationMode':'PRESENT'}`, schema+"Field 'ExecutionArn' must be a string")
	f(starts, `{'result':'{\"ExecutionArn\":1}','fieldValidationMode':'NONE'}`, "")
	f(starts, `{'result':'[]'}`, schema+"The result must be an object")
	f(task("states:startExecution.sync:2", `{'StateMachineArn':'m'}`), `{'result':'{\"ExecutionArn\":\"x\",\"StateMachineArn\":\"m\",\"StartDate\":\"then\",\"Status\":\"DONE\"}'}`,
		schema+"Field 'Status' is not an expected value")
	f(task("states:startExecution.waitForTaskToken", `{'StateMachineArn':'m','Input':{'t.$':'$$.Task.Token'}}`), `{'result':'1'}`, "")
	function := task("aws-sdk:lambda:getFunction", `{}`)
	f(function, `{'result':'{\"Configuration\":{\"MemorySize\":10241}}'}`, schema+"Field 'MemorySize' exceeds the maximum value")
	f(function, `{'result':'{\"Configuration\":{\"MemorySize\":10240}}'}`, "")
	f(task("events:putEvents", `{'Entries':[]}`), `{'result':'{\"Entries\":[{},{\"EventId\":{}}]}'}`, schema+"Field 'EventId' must be a string")
	f(task("aws-sdk:kms:decrypt", `{}`), `{'result':'7'}`, "") // not in the table
}

func TestMockedContext(t *testing.T) {
	w := newWorld(t)
	f := func(definition, object, want string) {
		t.Helper()
		got := w.ask("TestState", tests(definition, `'mock':{'result':'{}'},'context':`+strconv.Quote(strings.ReplaceAll(object, "'", `"`))))
		got = strings.TrimPrefix(got, "ValidationException: Invalid Context object provided: ")
		if strings.Contains(got, `"status":"SUCCEEDED"`) {
			got = ""
		}
		if got != want {
			t.Errorf("%s %s\n got %s\nwant %s", definition, object, got, want)
		}
	}
	waits := strings.Replace(lambdaTask, "invoke", "invoke.waitForTaskToken", 1)
	f(lambdaTask, `{}`, "")
	f(lambdaTask, `{'Execution':{'Input':[],'Id':'x','RedriveCount':1},'State':{'RetryCount':0},'StateMachine':{'Name':'m'}}`, "")
	f(waits, `{'Task':{'Token':'t'}}`, "")
	f(lambdaTask, `[]`, "it must be a JSON object")
	f(lambdaTask, `{'Color':{}}`, "Field 'Color' is not allowed")
	f(lambdaTask, `{'State':{'Color':1}}`, "Field 'Color' is not allowed")
	f(lambdaTask, `{'Execution':1}`, "Execution must be an object")
	f(lambdaTask, `{'Execution':{'Id':1}}`, "Execution.Id must be a string")
	f(lambdaTask, `{'Map':{}}`, "'Map' field is not supported when mocking a Context object")
	f(lambdaTask, `{'Task':{}}`, "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern")
	w.call("TestState", tests(`{'Type':'Succeed'}`, `'context':'{}'`), "ValidationException: TestState does not support Context when a mock is not specified.")
}

// tryFunc is Tasks for one test.
type tryFunc func(context.Context, *engine.Execution, *engine.Dispatch) engine.Event

func (f tryFunc) Try(ctx context.Context, x *engine.Execution, d *engine.Dispatch) engine.Event {
	return f(ctx, x, d)
}

func TestTaskIsCalled(t *testing.T) {
	w := newWorld(t)
	w.server.tasks = tryFunc(func(_ context.Context, x *engine.Execution, d *engine.Dispatch) engine.Event {
		if x.RoleARN != "arn:aws:iam::123456789012:role/r" || !strings.Contains(x.ARN, ":express:"+x.MachineName+":"+x.Name) {
			t.Errorf("called for %+v", x)
		}
		return engine.TaskSucceeded{Task: d.Task, Output: engine.Text(`{"called": ` + d.Input.JSON() + `}`)}
	})
	w.call("TestState", tests(lambdaTask, aRole), `{"output":"{\"called\": {\"FunctionName\":\"f\"}}","status":"SUCCEEDED"}`)
}

func TestSlowTaskTimesOut(t *testing.T) {
	f := func(field string, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.engine.now = time.Now().UnixMilli()
			w.server.tasks = tryFunc(func(ctx context.Context, _ *engine.Execution, d *engine.Dispatch) engine.Event {
				<-ctx.Done()
				return engine.TaskFailed{Task: d.Task}
			})
			begun := time.Now()
			definition := fmt.Sprintf(`{'Type':'Task','Resource':'arn:aws:lambda:us-east-1:123456789012:function:f',%s'Catch':[{'ErrorEquals':['States.Timeout'],'Next':'C'}],'End':true}`, field)
			got := w.ask("TestState", tests(definition, aRole))
			if !strings.Contains(got, `"error":"States.Timeout","nextState":"C","status":"CAUGHT_ERROR"`) {
				t.Errorf("%s: got %s", field, got)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%s: took %s, want %s", field, took, want)
			}
		})
	}
	f(``, 5*time.Minute)
	f(`'TimeoutSeconds':301,`, 5*time.Minute)
	f(`'TimeoutSeconds':7,`, 7*time.Second)
}

// A large test whose task takes its time does not hold up other large requests.
func TestTestsHaveTheirOwnGate(t *testing.T) {
	w := newWorld(t)
	began, end := make(chan struct{}), make(chan struct{})
	w.server.tasks = tryFunc(func(_ context.Context, _ *engine.Execution, d *engine.Dispatch) engine.Event {
		close(began)
		<-end
		return engine.TaskSucceeded{Task: d.Task, Output: engine.Text(`1`)}
	})
	large := strings.Repeat(" ", 900<<10)
	answer := make(chan string)
	go func() { answer <- w.ask("TestState", tests(lambdaTask+large, aRole)) }()
	<-began
	for range 3 {
		if _, body := w.post("ListActivities", `{`+large+`}`); !strings.Contains(body, "activities") {
			t.Error(body)
		}
	}
	close(end)
	if got := <-answer; got != `{"output":"1","status":"SUCCEEDED"}` {
		t.Error(got)
	}
}
