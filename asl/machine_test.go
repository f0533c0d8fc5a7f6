package asl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything is a definition with each type of state in it.
const everything = `{
  "Comment": "an order",
  "StartAt": "Prepare",
  "TimeoutSeconds": 3600,
  "States": {
    "Prepare": {"Type": "Pass", "Parameters": {"id.$": "$.id", "at.$": "$$.State.EnteredTime"},
      "Assign": {"order.$": "$.id", "tries": 0}, "ResultPath": "$.order", "Next": "Reserve"},
    "Reserve": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
      "Parameters": {"FunctionName": "reserve", "Payload": {"token.$": "$$.Task.Token", "order.$": "$order"}},
      "ResultSelector": {"stock.$": "$.Payload.stock"}, "ResultPath": "$.stock",
      "TimeoutSecondsPath": "$.limit", "HeartbeatSeconds": 30,
      "Retry": [{"ErrorEquals": ["Busy", "States.Timeout"], "IntervalSeconds": 2, "MaxAttempts": 5,
        "BackoffRate": 1.5, "MaxDelaySeconds": 60, "JitterStrategy": "FULL"}, {"ErrorEquals": ["States.ALL"]}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}],
      "Next": "Enough?"},
    "Enough?": {"Type": "Choice", "Choices": [
      {"And": [{"Variable": "$.stock.n", "NumericGreaterThanEqualsPath": "$.order.n"},
        {"Not": {"Variable": "$.stock.held", "BooleanEquals": true}}], "Next": "Both"}], "Default": "Pause"},
    "Pause": {"Type": "Wait", "Seconds": 10, "Next": "Reserve"},
    "Both": {"Type": "Parallel", "Next": "Lines", "Branches": [
      {"StartAt": "Bill", "States": {"Bill": {"Type": "Task",
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:bill:live", "End": true}}},
      {"StartAt": "Tell", "States": {"Tell": {"Type": "Succeed"}}}]},
    "Lines": {"Type": "Map", "ItemsPath": "$.lines", "MaxConcurrency": 3,
      "ItemSelector": {"line.$": "$$.Map.Item.Value", "order.$": "$order"},
      "ItemProcessor": {"StartAt": "Ship", "States": {"Ship": {"Type": "Task",
        "Resource": "arn:aws:states:us-east-1:123456789012:activity:ship", "End": true}}},
      "ResultPath": null, "End": true},
    "Failed": {"Type": "Fail", "Error": "NotReserved", "CausePath": "States.Format('{}', $.error.Cause)"}
  }
}`

func machine(t testing.TB, definition string) *Machine {
	t.Helper()
	m, ds := Parse(definition, Options{})
	if m == nil {
		t.Fatalf("%s", ds.InvalidDefinition())
	}
	return m
}

func TestMachineHoldsWhatWasWritten(t *testing.T) {
	m := machine(t, everything)
	f := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	f("start", m.StartAt, "Prepare")
	f("timeout", m.TimeoutSeconds, int64(3600))
	f("version", m.Version, "1.0")
	f("comment", m.Comment, "an order")
	f("states in all", m.Len(), 10)

	prepare := m.State("Prepare").(*Pass)
	f("type", prepare.Type, "Pass")
	f("next", prepare.Next, "Reserve")
	f("result path", prepare.ResultPath.Ref.String(), "$.order")
	f("assigned", prepare.Assign.Names, []string{"order", "tries"})

	reserve := m.State("Reserve").(*Task)
	f("resource", reserve.Resource, Resource{ARN: "arn:aws:states:::lambda:invoke.waitForTaskToken",
		Kind: IntegrationResource, Service: "lambda", Action: "invoke", Pattern: WaitForTaskToken})
	f("timeout path", reserve.Timeout.Path.String(), "$.limit")
	f("heartbeat", reserve.Heartbeat.Literal, int64(30))
	f("retriers", reserve.Retry, []Retrier{
		{ErrorEquals: []string{"Busy", "States.Timeout"}, IntervalSeconds: 2, MaxAttempts: 5, BackoffRate: 1.5, MaxDelaySeconds: 60, FullJitter: true},
		{ErrorEquals: []string{"States.ALL"}, IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2},
	})
	f("catcher", reserve.Catch[0].Next, "Failed")

	and := m.State("Enough?").(*Choice).Choices[0].Condition.(And)
	compare := and[0].(*Compare)
	f("operator", compare.Operator, NumericGreaterThanEquals)
	f("compared with", compare.Path.String(), "$.order.n")
	f("not", and[1].(Not).Condition.(*Compare).Literal.Bool(), true)
	f("default", m.State("Enough?").(*Choice).Default, "Pause")

	f("wait", *m.State("Pause").(*Wait).Seconds, int64(10))
	f("branch", m.State("Both").(*Parallel).Branches[1].StartAt, "Tell")
	lines := m.State("Lines").(*Map)
	f("items", lines.ItemsPath.Path.String(), "$.lines")
	f("concurrency", lines.MaxConcurrency, int64(3))
	f("discard", lines.ResultPath.Discard, true)
	f("pointer", m.State("Ship").Base().Pointer, "/States/Lines/ItemProcessor/States/Ship")
	failed := m.State("Failed").(*Fail)
	f("error", *failed.Error, "NotReserved")
	f("cause", failed.CausePath.String(), "States.Format('{}', $.error.Cause)")
	f("no such state", m.State("Nobody"), State(nil))

	f("reads", m.VariableReferences(), map[string][]string{"Reserve": {"order"}, "Lines": {"order"}})
	var walked []string
	m.Walk(func(s, parent State) bool {
		name := s.Base().Name
		if parent != nil {
			name = parent.Base().Name + "/" + name
		}
		walked = append(walked, name)
		return true
	})
	f("walk", strings.Join(walked, " "), "Prepare Reserve Enough? Pause Both Both/Bill Both/Tell Lines Lines/Ship Failed")
}

func TestParseResource(t *testing.T) {
	good := func(arn string, want Resource) {
		t.Helper()
		want.ARN = arn
		got, err := ParseResource(arn)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", arn, got, err, want)
		}
	}
	good("arn:aws:lambda:us-east-1:123456789012:function:f", Resource{Kind: LambdaResource})
	good("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1", Resource{Kind: LambdaResource})
	good("arn:aws:states:us-east-1:123456789012:activity:a", Resource{Kind: ActivityResource})
	good("arn:aws:states:::sqs:sendMessage", Resource{Kind: IntegrationResource, Service: "sqs", Action: "sendMessage"})
	good("arn:aws:states:::states:startExecution.sync:2", Resource{Kind: IntegrationResource, Service: "states", Action: "startExecution", Pattern: Sync2})
	good("arn:aws:states:::ecs:runTask.sync", Resource{Kind: IntegrationResource, Service: "ecs", Action: "runTask", Pattern: Sync})
	good("arn:aws:states:::aws-sdk:sqs:receiveMessage", Resource{Kind: IntegrationResource, Service: "aws-sdk:sqs", Action: "receiveMessage"})
	good("arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken", Resource{Kind: IntegrationResource, Service: "aws-sdk:sqs", Action: "sendMessage", Pattern: WaitForTaskToken})
	good("arn:aws:states:::agent:runTask.sync", Resource{Kind: IntegrationResource, Service: "agent", Action: "runTask", Pattern: Sync})

	bad := func(arn, want string) {
		t.Helper()
		if _, err := ParseResource(arn); err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %s", arn, err, want)
		}
	}
	unknown := func(arn string) {
		t.Helper()
		bad(arn, "The resource provided "+arn+" is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.")
	}
	bad("", "Value is not a valid resource ARN")
	bad("${Function}", "Value is not a valid resource ARN")
	bad("arn:aws:lambda", "Value is not a valid resource ARN")
	unknown("arn:aws:s3:::bucket")
	unknown("arn:aws:lambda:us-east-1:123456789012:function:")
	unknown("arn:aws:lambda:us-east-1:123456789012:layer:x")
	unknown("arn:aws:states:::nothing:invoke")
	unknown("arn:aws:states:::sqs")
	unknown("arn:aws:states:::sqs:SendMessage")
	unknown("arn:aws:states:::sqs:sendMessage.sync")
	unknown("arn:aws:states:::ecs:runTask.sync:2")
	unknown("arn:aws:states:::agent:runTask")
	unknown("arn:aws:states:us-east-1::sqs:sendMessage")
	unknown("arn:aws:states:::aws-sdk:nothing:call")
	unknown("arn:aws:states:::aws-sdk:sqs:sendMessage.sync")
	unknown("arn:aws:states:::aws-sdk:sqs:SendMessage")
	unknown("arn:aws:states:::aws-sdk:bedrockruntime:converseStream")
}

func TestJacksonError(t *testing.T) {
	f := func(text, want string, wantLine, wantColumn int) {
		t.Helper()
		got, line, column := JacksonError(text)
		if got != want || want != "" && (line != wantLine || column != wantColumn) {
			t.Errorf("%q: got %q at %d:%d, want %q at %d:%d", text, got, line, column, want, wantLine, wantColumn)
		}
	}
	// Recorded.
	f(`not some json`, `Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')`, 1, 4)
	f(`{'not': 'json'`, `Unexpected character (''' (code 39)): was expecting double-quote to start field name`, 1, 3)
	f(`2`, "", 0, 0)
	f(`"some text"`, "", 0, 0)
	f(`null`, "", 0, 0)

	f(``, "No content to map due to end-of-input", 1, 1)
	f(" \n ", "No content to map due to end-of-input", 2, 2)
	f(`[1, {"a": [true, -0.5e+3, "\u00e9\n"]}]`, "", 0, 0)
	f("{\n \"é😀\": x}", `Unrecognized token 'x': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')`, 2, 10)
	f(`[1 2]`, `Unexpected character ('2' (code 50)): was expecting comma to separate Array entries`, 1, 5)
	f(`[1,`, `Unexpected end-of-input within/between Array entries`, 1, 4)
	f(`{"a`, `Unexpected end-of-input in field name`, 1, 4)
	f(`"a`, `Unexpected end-of-input: was expecting closing quote for a string value`, 1, 3)
	f(`€`, `Unexpected character ('€' (code 8364 / 0x20ac)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')`, 1, 2)
	f(`-x`, `Unexpected character ('x' (code 120)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value`, 1, 3)
	f(`1e`, `Unexpected end-of-input in a Number value`, 1, 3)
	f(`12x`, `Unexpected character ('x' (code 120)): Expected space separating root-level values`, 1, 4)
	f(`"\u12x4"`, `Unexpected character ('x' (code 120)): expected a hex-digit for character escape sequence`, 1, 7)
	f(`nulls`, `Unrecognized token 'nulls': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')`, 1, 6)
}

func TestSourceLocationIsCutOff(t *testing.T) {
	got := sourceLocation(strings.Repeat("é", 700), 1, 2)
	want := `[Source: (String)"` + strings.Repeat("é", 500) + `"[truncated 200 chars]; line: 1, column: 2]`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestOperators(t *testing.T) {
	f := func(o Operator, name string, hasPath bool) {
		t.Helper()
		if o.String() != name || o.HasPath() != hasPath || operators[name] != o {
			t.Errorf("%d is %s, path %v; want %s, path %v", o, o, o.HasPath(), name, hasPath)
		}
	}
	f(StringEquals, "StringEquals", true)
	f(StringMatches, "StringMatches", false)
	f(NumericGreaterThanEquals, "NumericGreaterThanEquals", true)
	f(BooleanEquals, "BooleanEquals", true)
	f(TimestampGreaterThanEquals, "TimestampGreaterThanEquals", true)
	f(IsNull, "IsNull", false)
	f(IsTimestamp, "IsTimestamp", false)
	if n := len(operators); n != 39 {
		t.Errorf("%d names of operators, want 23 and 16 with Path", n)
	}
}

func TestParseTimestamp(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if _, err := ParseTimestamp(text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	f("2016-03-14T01:59:00Z", true)
	f("2016-03-14T01:59:00.123456789+02:00", true)
	f("2016-03-14t01:59:00Z", false)
	f("2016-03-14T01:59:00z", false)
	f("2016-03-14T01:59:00,5Z", false)
	f("2016-03-14T25:59:00Z", false)
	f("2016-02-30T01:59:00Z", false)
	f("2016-03-14T01:59:00", false)
	f("2016-03-14", false)
}

// YAML and JSON of the same definition give the same text to send.
func TestLoadYAML(t *testing.T) {
	source, err := Load("order.yaml", []byte(`
StartAt: A
Version: "1.0"
TimeoutSeconds: 0x10
States:
  A:
    Type: Pass
    Result: {z: [1, 2.50, -0, 1e3, null, true, ~], "a b": 'it''s', day: 2020-01-01, yes: no}
    Parameters: &p
      "x.$": $.x
    Comment: |
      two
      lines
    End: true
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"StartAt":"A","Version":"1.0","TimeoutSeconds":16,"States":{"A":{"Type":"Pass",` +
		`"Result":{"z":[1,2.50,-0,1e3,null,true,null],"a b":"it's","day":"2020-01-01","yes":"no"},` +
		`"Parameters":{"x.$":"$.x"},"Comment":"two\nlines\n","End":true}}}`
	if source.JSON != want {
		t.Errorf("got  %s\nwant %s", source.JSON, want)
	}
}

func TestLoadFillsIn(t *testing.T) {
	set := map[string]string{"A": `x"y`, "N": "5", "Empty": ""}
	f := func(name, in, want string) {
		t.Helper()
		source, err := Load(name, []byte(in), set)
		if err != nil || source.JSON != want || source.Unfilled != nil {
			t.Errorf("%s: got %s, %v, %v; want %s", in, source.JSON, err, source.Unfilled, want)
		}
	}
	f("a.json", `{"a":"${A}-${A}","n":${N},"${N}":"\"${Empty}"}`, `{"a":"x\"y-x\"y","n":5,"5":"\""}`)
	f("a.json", `{"a":"$${N} ${ N } ${} $N ${A-B}"}`, `{"a":"$5 ${ N } ${} $N ${A-B}"}`)
	f("a.yaml", `a: ${N}`, `{"a":"5"}`)
	f("a", `{"a":1}`, `{"a":1}`)
	f("a", "a: ${A}\n", `{"a":"x\"y"}`)
}

// Whatever grows by aliases is refused before it fills memory.
func TestLoadRefusesBombs(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 12 {
		n := string(rune('a'+i)) + "1"
		p := "a0"
		if i > 0 {
			p = string(rune('a'+i-1)) + "1"
		}
		b.WriteString(n + ": &" + n + " [" + strings.TrimSuffix(strings.Repeat("*"+p+",", 10), ",") + "]\n")
	}
	if _, err := Load("bomb.yaml", []byte(b.String()), nil); err == nil {
		t.Error("a file that grows to gigabytes is accepted")
	}
	if _, err := Load("deep.yaml", []byte(strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), nil); err == nil {
		t.Error("5,000 levels are accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything, false)
	f.Add(`{"StartAt":"A","States":{"A":{"Type":"Wait","Timestamp":"2016-03-14T01:59:00Z","End":true}}}`, true)
	f.Add(`{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Not":{"Variable":"$.a","IsNull":1}}]}}}`, true)
	f.Add(`{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"a":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"a.$":"$.b"},"End":true}}}`, false)
	f.Add("{\"a\":[1,{\"b\":\"\\u00zz", true)
	f.Fuzz(func(t *testing.T, definition string, express bool) {
		m, ds := Parse(definition, Options{Express: express})
		if (m == nil) != ds.HasErrors() {
			t.Fatalf("machine %v with %v", m, ds)
		}
		for _, d := range ds {
			if d.Code == "" || d.Message == "" || d.Line < 1 || d.Column < 1 {
				t.Errorf("%+v says too little", d)
			}
		}
		if m == nil && ds.InvalidDefinition() == "" {
			t.Error("refused without a word")
		}
		if m != nil && m.State(m.StartAt) == nil {
			t.Error("no start")
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("a.yaml", "StartAt: A\nStates: {A: &x {Type: Pass, b: *x}}\n")
	f.Add("a.json", `{"a":"${A}${B}","c":${A}}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		source, err := Load(name, []byte(text), map[string]string{"A": "a\nb"})
		if err != nil {
			return
		}
		_, ds := Parse(source.JSON, Options{})
		source.Place(ds)
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(everything)))
	for b.Loop() {
		if m, ds := Parse(everything, Options{}); m == nil {
			b.Fatal(ds)
		}
	}
}
