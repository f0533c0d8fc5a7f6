package mock

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/noop"
)

const config = `{
  "StateMachines": {
    "orders": {"TestCases": {
      "Happy": {"Charge": "Charged", "Notify": "Notified"},
      "Again": {"Charge": "Busy"},
      "Plain": {}}}},
  "MockedResponses": {
    "Charged": {"0": {"Return": {"paid": true}}},
    "Notified": {"0": {"Return": "token's answer"}, "1": {"Throw": {"Error": "E"}}},
    "Busy": {
      "0": {"Throw": {"Error": "Card.Busy", "Cause": "not now"}},
      "1-2": {"Throw": {"Error": "Card.Slow"}},
      "3": {"Return": 3}}}
}`

func open(t *testing.T, path string) *Mocks {
	t.Helper()
	c, err := Parse(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(c, path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run says what a state's attempt gets in an execution.
func run(m *Mocks, next task.Integration, execution, state string, retry int64, p asl.Pattern) string {
	r, err := m.Around(next).Run(context.Background(), &task.Call{
		ExecutionARN: "arn:x:" + execution, MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:orders",
		State: state, Retry: retry, Input: `"real"`, Resource: asl.Resource{ARN: "arn:r", Pattern: p},
	})
	text := r.Output
	if r.Submitted != "" {
		text = r.Submitted + " then " + r.Output
	}
	if err != nil {
		text = strings.TrimSpace(text + " " + err.Error())
	}
	return text
}

func TestAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cases")
	m := open(t, path)
	for _, test := range []string{"Happy", "Again", "Plain"} {
		if err := m.Choose("orders", "arn:x:"+test, test); err != nil {
			t.Fatal(err)
		}
	}
	f := func(execution, state string, retry int64, p asl.Pattern, want string) {
		t.Helper()
		if got := run(m, noop.Echo{}, execution, state, retry, p); got != want {
			t.Errorf("%s of %s, attempt %d: %s, want %s", state, execution, retry, got, want)
		}
	}
	all := func() {
		t.Helper()
		f("Happy", "Charge", 0, asl.RequestResponse, `{"paid":true}`)
		f("Happy", "Charge", 1, asl.RequestResponse, `States.Runtime: The mocked response Charged has nothing for attempt 1 of the state Charge in the test case Happy.`)
		f("Happy", "Notify", 0, asl.WaitForTaskToken, `{} then "token's answer"`)
		f("Happy", "Notify", 1, asl.WaitForTaskToken, `{} then  E`)
		f("Happy", "Other", 0, asl.RequestResponse, `"real"`)
		f("Again", "Charge", 0, asl.RequestResponse, `Card.Busy: not now`)
		f("Again", "Charge", 1, asl.RequestResponse, `Card.Slow`)
		f("Again", "Charge", 2, asl.RequestResponse, `Card.Slow`)
		f("Again", "Charge", 3, asl.RequestResponse, `3`)
		f("Plain", "Charge", 0, asl.RequestResponse, `"real"`)
		f("none", "Charge", 0, asl.RequestResponse, `"real"`)
	}
	all()
	if got := run(m, nil, "none", "Charge", 0, asl.RequestResponse); got != "Lockstep.ResourceNotSupported: This server has no integration for arn:r." {
		t.Errorf("without an integration: %s", got)
	}

	// A restart knows the cases, also after a write that was cut off.
	if err := errors.Join(m.Choose("orders", "arn:x:none", "Happy"), m.Choose("orders", "arn:x:none", ""), m.Close()); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(kept, `{"execution":"arn:x:none","ca`...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	m = open(t, path)
	all()
	if err := errors.Join(m.Choose("orders", "arn:x:late", "Again"), m.Close()); err != nil {
		t.Fatal(err)
	}
	m = open(t, path)
	defer m.Close()
	all()
	f("late", "Charge", 3, asl.RequestResponse, `3`)
}

func TestCasesThatAreNotThere(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "cases"))
	defer m.Close()
	f := func(machine, test, want string) {
		t.Helper()
		if err := m.Choose(machine, "arn:x:1", test); err == nil || err.Error() != want {
			t.Errorf("%s#%s: %v, want %s", machine, test, err, want)
		}
	}
	f("orders", "Sad", "the mock configuration has no test case Sad for the state machine orders: it has Again, Happy, Plain")
	f("other", "Happy", "the mock configuration has no state machine other: it has orders")
}

func TestMistakes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	f(`[]`, "line 1, column 1: a mock configuration must be an object")
	f(`{"MockedResponse": {}}`, `line 1, column 2: unknown field "MockedResponse": a mock configuration has StateMachines, MockedResponses`)
	f("{\"StateMachines\": {\"m\": {\"TestCases\": {\"a\": {\n\"S/1\": \"R\", \"T\": 1}}}}}",
		"line 2, column 13: a state must have the name of a mocked response\nline 2, column 1: MockedResponses has no \"R\"")
	f("{\"MockedResponses\": {\"R\": {\"first\": {\"Return\": 1},\n\"0\": {\"Return\": 1, \"Throw\": {}},\n\"0-3\": {\"Give\": 1},\n\"5-4\": {\"Throw\": {\"Error\": 1}}}, \"none\": {}}}",
		`line 1, column 28: want the number of an attempt, from 0 on, or a range such as 1-2, not "first"`+"\n"+
			"line 2, column 1: want one of Return and Throw\n"+
			"line 3, column 1: an attempt has two responses\n"+
			`line 3, column 9: unknown field "Give": a response has Return, Throw`+"\n"+
			`line 4, column 1: want the number of an attempt, from 0 on, or a range such as 1-2, not "5-4"`+"\n"+
			"line 4, column 34: a mocked response must say what the attempt 0 gets")
	if _, err := Load("missing.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		for machine, cases := range c.machines {
			for test, states := range cases {
				for state := range states {
					c.answer(machine, test, state, 1)
				}
			}
		}
	})
}
