package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
)

// newTest begins a test of a single state called S.
func newTest(t testing.TB, definition, input string, change func(*TestInput)) (*Test, error) {
	t.Helper()
	m, found := asl.ParseState(definition, "S", asl.Options{Untried: true})
	if m == nil {
		t.Fatalf("parse: %s", found.InvalidDefinition())
	}
	in := TestInput{State: "S", Execution: begin(input).Execution}
	if change != nil {
		change(&in)
	}
	return NewTest(testEnv(m), in, epoch)
}

// outcome writes what a test came to on one line, without what is absent.
func outcome(test *Test) string {
	r := test.Result()
	text := string(r.Status)
	add := func(name, what string) { text += " " + name + "=" + what }
	if r.Output != nil {
		add("output", r.Output.JSON())
	}
	if r.Next != "" {
		add("next", r.Next)
	}
	if r.Error != nil {
		add("error", *r.Error)
	}
	if r.Catch != nil {
		add("catch", fmt.Sprint(*r.Catch))
	}
	if r.Retry != nil {
		add("retry", fmt.Sprint(*r.Retry))
	}
	if r.BackoffSeconds != nil {
		add("backoff", fmt.Sprint(*r.BackoffSeconds))
	}
	if r.Variables.Len() > 0 {
		add("variables", r.Variables.JSON())
	}
	if r.MaxConcurrency != nil {
		add("concurrency", fmt.Sprint(*r.MaxConcurrency))
	}
	if r.ToleratedFailureCount != nil {
		add("count", fmt.Sprint(*r.ToleratedFailureCount))
	}
	if r.ToleratedFailurePercentage != nil {
		add("percentage", fmt.Sprint(*r.ToleratedFailurePercentage))
	}
	return text
}

func mockResult(text string) func(*TestInput) {
	return func(in *TestInput) { in.Mock = &Mock{Output: Text(text)} }
}

func mockError(name string, retries int64) func(*TestInput) {
	return func(in *TestInput) { in.Mock, in.Retries = &Mock{Error: &name, Cause: ptr("why")}, retries }
}

func TestOneState(t *testing.T) {
	f := func(definition, input string, change func(*TestInput), want string) {
		t.Helper()
		test, err := newTest(t, definition, input, change)
		if err != nil {
			t.Fatal(err)
		}
		if test.Call() != nil {
			t.Fatalf("%s waits for its task", definition)
		}
		if got := outcome(test); got != want {
			t.Errorf("%s\n got %s\nwant %s", definition, got, want)
		}
	}
	f(`{"Type":"Pass","Next":"N"}`, `{"a":1}`, nil, `SUCCEEDED output={"a":1} next=N`)
	f(`{"Type":"Pass","Assign":{"y":2},"End":true}`, `{}`,
		func(in *TestInput) {
			in.Variables = value.ObjectOf([]value.Member{{Key: "x", Value: value.Int(1)}})
		}, `SUCCEEDED output={} variables={"x":1,"y":2}`)
	f(`{"Type":"Pass","Parameters":{"x.$":"$x"},"End":true}`, `{}`,
		func(in *TestInput) {
			in.Variables = value.ObjectOf([]value.Member{{Key: "x", Value: value.Int(1)}})
		}, `SUCCEEDED output={"x":1} variables={"x":1}`)
	f(`{"Type":"Wait","Seconds":31536000,"Next":"N"}`, `{"a":1}`, nil, `SUCCEEDED output={"a":1} next=N`)
	f(`{"Type":"Succeed","OutputPath":"$.a"}`, `{"a":1}`, nil, `SUCCEEDED output=1`)
	f(`{"Type":"Fail","Error":"E"}`, `{}`, nil, `FAILED error=E`)
	f(`{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"One"}]}`, `{"a":2}`, nil, `FAILED error=States.NoChoiceMatched`)
	f(`{"Type":"Pass","InputPath":"$.b","End":true}`, `{"a":2}`, nil, `FAILED error=States.Runtime`)

	const task = `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"ResultPath":"$.r",
		"Retry":[{"ErrorEquals":["Other"]},{"ErrorEquals":["Busy"],"MaxAttempts":2,"IntervalSeconds":5}],
		"Catch":[{"ErrorEquals":["Busy"],"ResultPath":"$.e.Cause","Next":"C"},{"ErrorEquals":["States.ALL"],"ResultPath":null,"Next":"D"}],"Next":"N"}`
	f(task, `{"a":1}`, mockResult(`[1, 2]`), `SUCCEEDED output={"a":1,"r":[1,2]} next=N`)
	f(task, `{}`, mockError("Busy", 0), `RETRIABLE error=Busy retry=1 backoff=5`)
	f(task, `{}`, mockError("Busy", 1), `RETRIABLE error=Busy retry=1 backoff=10`)
	f(task, `{"a":1}`, mockError("Strange", 0), `CAUGHT_ERROR output={"a":1} next=D error=Strange catch=1`)
	f(task, `{"a":1}`, mockError("Busy", 2), `CAUGHT_ERROR output={"a":1,"e":{"Cause":{"Error":"Busy","Cause":"why"}}} next=C error=Busy catch=0 retry=1`)
	f(task, `{"e":"not an object"}`, mockError("Busy", 2), `FAILED error=States.ResultPathMatchFailure retry=1`)
	f(task, `{}`, mockError("States.Runtime", 0), `FAILED error=States.Runtime`)

	const activity = `{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}`
	f(activity, `{}`, mockResult(`7`), `SUCCEEDED output=7`)
	f(activity, `{}`, mockError("E", 0), `FAILED error=E`)
	f(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f","Payload":{"t.$":"$$.Task.Token"}},"End":true}`,
		`{}`, mockResult(`"answer"`), `SUCCEEDED output="answer"`)

	const branches = `"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}]`
	f(`{"Type":"Parallel",`+branches+`,"ResultSelector":{"x.$":"$[0]"},"End":true}`, `{}`, mockResult(`["b"]`), `SUCCEEDED output={"x":"b"}`)
	f(`{"Type":"Parallel",`+branches+`,"Catch":[{"ErrorEquals":["E"],"Next":"C"}],"End":true}`, `{}`, mockError("E", 0),
		`CAUGHT_ERROR output={"Error":"E","Cause":"why"} next=C error=E catch=0`)

	const items = `"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"End":true}`
	failed := func(n int64) func(*TestInput) {
		return func(in *TestInput) { in.Mock, in.FailedItems = &Mock{Output: Text(`[]`)}, n }
	}
	exceeded := "FAILED error=States.ExceedToleratedFailureThreshold concurrency=0 "
	f(`{"Type":"Map",`+items, `[1,2,3]`, failed(3), `SUCCEEDED output=[] concurrency=0`)
	f(`{"Type":"Map","MaxConcurrency":100,`+items, `[1,2,3]`, failed(0), `SUCCEEDED output=[] concurrency=100`)
	f(`{"Type":"Map","ToleratedFailureCount":1,`+items, `[1,2,3]`, failed(1), `SUCCEEDED output=[] concurrency=0 count=1`)
	f(`{"Type":"Map","ToleratedFailureCount":1,`+items, `[1,2,3]`, failed(2), exceeded+`count=1`)
	f(`{"Type":"Map","ToleratedFailurePercentage":34,`+items, `[1,2,3]`, failed(1), `SUCCEEDED output=[] concurrency=0 percentage=34`)
	f(`{"Type":"Map","ToleratedFailurePercentage":33,`+items, `[1,2,3]`, failed(1), exceeded+`percentage=33`)
	f(`{"Type":"Map","ItemsPath":"$.items","ToleratedFailureCountPath":"$.n","ToleratedFailurePercentagePath":"$.p",`+items,
		`{"items":[1],"n":1,"p":12.5}`, failed(0), `SUCCEEDED output=[] concurrency=0 count=1 percentage=12.5`)
	f(`{"Type":"Map","ItemsPath":"$.items","ToleratedFailurePercentagePath":"$.p",`+items, `{"items":[1],"p":101}`, failed(0),
		`FAILED error=States.Runtime concurrency=0`)
	f(`{"Type":"Map",`+items, `{}`, failed(0), `FAILED error=States.Runtime`)
}

func TestTestRefuses(t *testing.T) {
	f := func(definition string, change func(*TestInput), want error) {
		t.Helper()
		if _, err := newTest(t, definition, `[1]`, change); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", definition, err, want)
		}
	}
	f(`{"Type":"Succeed"}`, func(in *TestInput) { in.State = "T" }, ErrNoState)
	f(`{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}],"End":true}`, nil, ErrNeedsMock)
	f(`{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}`, nil, ErrNeedsMock)
	f(`{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn":"m"},"End":true}`, nil, ErrNeedsMock)
	f(`{"Type":"Map","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"End":true}`,
		func(in *TestInput) { in.Mock, in.FailedItems = &Mock{Output: Text(`[1]`)}, 2 }, ErrFailedItems)
}

// A task without a mock is called, and its answer goes the way it always does.
func TestTestCalls(t *testing.T) {
	const task = `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},
		"TimeoutSeconds":7,"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"C"}],"End":true}`
	f := func(answer func(TaskID) Event, want string) {
		t.Helper()
		test, err := newTest(t, task, `{"a":1}`, nil)
		if err != nil {
			t.Fatal(err)
		}
		call := test.Call()
		if call == nil || call.Input.JSON() != `{"FunctionName":"f","Payload":{"a":1}}` {
			t.Fatalf("call %+v", call)
		}
		if due := epoch.Add(7 * time.Second).UnixMilli(); test.Due() != due {
			t.Errorf("due at %d, want %d", test.Due(), due)
		}
		if err := test.Answer(answer(call.Task)); err != nil {
			t.Fatal(err)
		}
		if got := outcome(test); got != want || test.Call() != nil {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(func(id TaskID) Event { return TaskSucceeded{At: epoch, Task: id, Output: Text(`1`)} }, `SUCCEEDED output=1`)
	f(func(id TaskID) Event { return TaskFailed{At: epoch, Task: id, Error: ptr("E")} }, `FAILED error=E`)
	f(func(TaskID) Event { return TimerFired{At: epoch.Add(7 * time.Second)} },
		`CAUGHT_ERROR output={"Error":"States.Timeout","Cause":""} next=C error=States.Timeout catch=0`)
}

func TestInspections(t *testing.T) {
	f := func(definition, input string, change func(*TestInput), want string) {
		t.Helper()
		test, err := newTest(t, definition, input, change)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for i := range Inspections {
			if d := test.Seen(i); d != nil {
				seen = append(seen, i.String()+" "+d.JSON())
			}
		}
		if got := strings.Join(seen, "\n"); got != want {
			t.Errorf("%s\n got %s\nwant %s", definition, got, want)
		}
	}
	f(`{"Type":"Pass","InputPath":"$.a","Parameters":{"x.$":"$"},"ResultPath":"$.r","End":true}`, `{"a":1}`, nil,
		"afterInputPath 1\nafterParameters {\"x\":1}\nafterResultSelector {\"x\":1}\nafterResultPath {\"a\":1,\"r\":{\"x\":1}}")
	f(`{"Type":"Pass","InputPath":"$.a","Result":2,"ResultPath":"$.r","End":true}`, `{"a":1}`, nil,
		"result 2\nafterResultSelector 2\nafterResultPath {\"a\":1,\"r\":2}")
	f(`{"Type":"Succeed"}`, `1`, nil, "afterInputPath 1")
	f(`{"Type":"Fail"}`, `1`, nil, "")
	f(`{"Type":"Pass","QueryLanguage":"JSONata","End":true}`, `1`, nil, "")
	f(`{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}`, `1`, mockResult(`[ 2 ]`),
		"afterArguments 1\nresult [ 2 ]")
	const items = `"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"End":true}`
	f(`{"Type":"Map","ItemsPath":"$.l","ItemSelector":{"n.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value"},"ResultPath":null,`+items, `{"l":[7,8]}`, mockResult(`[]`),
		"afterInputPath {\"l\":[7,8]}\nafterItemsPath [7,8]\nafterItemSelector [{\"v\":7,\"n\":0},{\"v\":8,\"n\":1}]\nafterResultSelector []\nafterResultPath {\"l\":[7,8]}")
	f(`{"Type":"Map","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"k"}},"ItemSelector":{"v.$":"$$.Map.Item.Value"},`+items,
		`{}`, func(in *TestInput) { in.Mock, in.ItemData = &Mock{Output: Text(`[]`)}, `[7]` },
		"afterItemSelector [{\"v\":7}]\nafterResultSelector []\nafterResultPath []")
}

// The inputs of a Map's iterations can be far more than the Map's own: what the
// API could not show is not put together.
func TestItemInputsAreBounded(t *testing.T) {
	input := `{"l":[` + strings.Repeat(`0,`, 9999) + `0],"long":"` + strings.Repeat("x", 100_000) + `"}`
	test, err := newTest(t, `{"Type":"Map","ItemsPath":"$.l","ItemSelector":{"all.$":"$.long"},
		"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"End":true}`, input, mockResult(`[]`))
	if err != nil {
		t.Fatal(err)
	}
	if test.Seen(AfterItemSelector) != nil || test.Result().Status != TestSucceeded {
		t.Errorf("saw %d bytes, %s", test.Seen(AfterItemSelector).Size(), outcome(test))
	}
}

func TestTestContext(t *testing.T) {
	const definition = `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{
		"P":{"Type":"Parallel","Branches":[{"StartAt":"In","States":{"In":{"Type":"Pass","Parameters":{"c.$":"$$"},"End":true}}}],"End":true}}},"Next":"Out"},
		"Out":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultSelector":{"c.$":"$$"},"End":true}}}`
	f := func(in TestInput, want string) {
		t.Helper()
		in.Execution = begin(`5`).Execution
		in.Execution.RoleARN = ""
		test, err := NewTest(testEnv(compile(t, definition)), in, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if got := test.Result().Output.JSON(); got != want {
			t.Errorf("%s sees %s\nwant %s", in.State, got, want)
		}
	}
	const made = `"Execution":{"Id":"arn:aws:states:us-east-1:123456789012:execution:m:x","Input":5,"StartTime":"2026-01-02T03:04:05Z","Name":"x"},` +
		`"StateMachine":{"Id":"arn:aws:states:us-east-1:123456789012:stateMachine:m","Name":"m"},`
	given, _ := value.Parse(`{"State":{"Name":"mine"}}`)
	mock := &Mock{Output: Text(`0`)}
	const item = `"Map":{"Item":{"Index":0,"Value":5}}`
	f(TestInput{State: "In"}, `{"c":{`+made+`"State":{"Name":"In","EnteredTime":"2026-01-02T03:04:05Z"},`+item+`}}`)
	f(TestInput{State: "Out", Mock: mock, Retries: 2}, `{"c":{`+made+`"State":{"Name":"Out","EnteredTime":"2026-01-02T03:04:05Z","RetryCount":2}}}`)
	f(TestInput{State: "Out", Mock: mock, Context: given}, `{"c":{"State":{"Name":"mine"}}}`)
	f(TestInput{State: "In", Context: given}, `{"c":{"State":{"Name":"mine"},`+item+`}}`)
}
