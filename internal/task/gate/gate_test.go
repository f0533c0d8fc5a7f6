package gate_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/gate"
)

func write(t *testing.T, schema string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(path, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const score = `{"type":"object","required":["score"],"properties":{"score":{"type":"number","maximum":1}},"additionalProperties":false}`

func TestCheck(t *testing.T) {
	file := write(t, score)
	f := func(r gate.Rule, state, output, want string) {
		t.Helper()
		g, err := gate.New([]gate.Rule{r})
		if err != nil {
			t.Fatal(err)
		}
		err = g.Check(&task.Call{State: state, MachineARN: "arn:aws:states:us-east-1:1:stateMachine:flow/label"}, output)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s gives %q, want %q", output, got, want)
		}
	}
	const refused = "Lockstep.OutputInvalid: The output of S was refused: "
	plain := gate.Rule{Schema: file}
	f(plain, "S", `{"score":0.5}`, "")
	f(plain, "S", `{"score":2,"x":1}`, refused+"at /: additional properties 'x' not allowed; at /score: maximum: got 2, want 1")
	f(plain, "S", `{}`, refused+"at /: missing property 'score'")
	f(plain, "S", `7`, refused+"at /: got number, want object")
	f(gate.Rule{Schema: file, State: "R*"}, "S", `7`, "")
	f(gate.Rule{Schema: file, State: "*S", Machine: "fl*"}, "S", `7`, refused)
	f(gate.Rule{Schema: file, Machine: "other"}, "S", `7`, "")

	said := gate.Rule{Schema: file, Path: "$.Body.content[0].text", JSON: true, RefuseRefusal: true}
	f(said, "S", `{"Body":{"content":[{"text":"{\"score\":1}"}]}}`, "")
	f(said, "S", `{"Body":{"content":[{"text":"`+"```json\\n{\\\"score\\\":1}\\n```"+`"}]}}`, "")
	f(said, "S", `{"Body":{"content":[{"text":"I think it is 1."}]}}`, refused+"$.Body.content[0].text is not JSON: ")
	f(said, "S", `{"Body":{"content":[]}}`, refused+"there is nothing at $.Body.content[0].text")
	f(said, "S", `{"Body":{"stop_reason":"refusal","content":[]}}`, refused+"the model refused to answer (refusal)")
	f(said, "S", `{"StopReason":"guardrail_intervened"}`, refused+"the model refused to answer (guardrail_intervened)")

	some := gate.Rule{Path: "$.answer", RefuseEmpty: true}
	for _, empty := range []string{`{"answer":" "}`, `{"answer":null}`, `{"answer":[]}`, `{"answer":{}}`} {
		f(some, "S", empty, refused+"$.answer is empty")
	}
	f(some, "S", `{}`, refused+"there is nothing at $.answer")
	f(some, "S", `{"answer":0}`, "")
}

func TestRules(t *testing.T) {
	f := func(r gate.Rule, want string) {
		t.Helper()
		if _, err := gate.New([]gate.Rule{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
	f(gate.Rule{State: "S"}, "gate of S: it asks for nothing")
	f(gate.Rule{Schema: "/none"}, "no such file")
	f(gate.Rule{Path: "answer", RefuseEmpty: true}, "path answer")
	f(gate.Rule{Schema: write(t, `{"type":`)}, "EOF")
	f(gate.Rule{Schema: write(t, `{"type":"nothing"}`)}, "schema.json")
	f(gate.Rule{Schema: write(t, `{"$ref":"http://127.0.0.1:1/x"}`)}, "is outside the file")
}

// says is an integration that returns its input.
type says struct{}

func (says) Run(_ context.Context, c *task.Call) (task.Result, error) {
	return task.Result{Output: c.Input}, nil
}
func (says) Poll(_ context.Context, c *task.Call, _ string) (task.Result, error) {
	return task.Result{Output: c.Input}, nil
}
func (says) Cancel(context.Context, *task.Call, string) error { return nil }

// A registry has the results of calls and of jobs looked at, and what a
// submission returns left alone.
func TestRegistry(t *testing.T) {
	g, err := gate.New([]gate.Rule{{RefuseEmpty: true}})
	if err != nil {
		t.Fatal(err)
	}
	r := task.NewRegistry()
	r.Add("s:a", says{})
	r.Check(g.Check)
	resource := func(p asl.Pattern) asl.Resource {
		return asl.Resource{Kind: asl.IntegrationResource, Service: "s", Action: "a", Pattern: p}
	}
	call := &task.Call{Input: `{}`, State: "S"}
	if _, err := r.Find(resource(asl.RequestResponse)).Run(t.Context(), call); err == nil {
		t.Error("an empty result went through")
	}
	if _, err := r.Find(resource(asl.Sync)).Run(t.Context(), call); err != nil {
		t.Errorf("what a submission returned: %v", err)
	}
	if _, err := r.Poller(resource(asl.Sync)).Poll(t.Context(), call, ""); err == nil {
		t.Error("an empty result of a job went through")
	}
	if _, err := r.Find(resource(asl.RequestResponse)).Run(t.Context(), &task.Call{Input: `{"a":1}`}); err != nil {
		t.Error(err)
	}
	if r.Find(asl.Resource{Service: "none"}) != nil {
		t.Error("found what is not there")
	}
}
