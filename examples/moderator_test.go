package examples

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/model"
)

const activity = "arn:aws:states:us-east-1:123456789012:activity:" + ReviewActivity

// moderate runs the content moderator on an input. The model is a
// function; the person answers with a text, or never if it is "". asked is what
// the person got, "" if nobody was asked.
func moderate(t *testing.T, input string, scorer func(*task.Call) (string, error), person string) (output value.Value, asked string) {
	t.Helper()
	machine, diagnostics := asl.Parse(ContentModerator(model.Lexicon, activity), asl.Options{})
	if machine == nil || len(diagnostics) > 0 {
		t.Fatalf("the content moderator has diagnostics: %v", diagnostics)
	}
	env := &engine.Env{
		Machine:        machine,
		Token:          func(engine.TaskID) string { return "token" },
		ActivityExists: func(arn string) bool { return arn == activity },
	}
	now := time.UnixMilli(1_800_000_000_000)
	s := engine.New(engine.Execution{ID: 1, ARN: "x", StartedAt: now, Input: engine.Text(input)})
	todo := []engine.Event{engine.Started{At: now}}
	for s.Running() {
		if len(todo) == 0 {
			now = time.UnixMilli(s.Due())
			todo = append(todo, engine.TimerFired{At: now})
		}
		step, err := engine.Apply(env, s, todo[0])
		if err != nil {
			t.Fatalf("apply %T: %v", todo[0], err)
		}
		todo = todo[1:]
		for _, c := range step.Commands {
			switch c := c.(type) {
			case *engine.Enqueue:
				todo = append(todo, engine.ActivityStarted{At: now, Task: c.Task, Worker: "w"})
			case *engine.Dispatch:
				if c.Resource.Kind == asl.ActivityResource {
					asked = c.Input.JSON()
					if person == "" {
						continue
					}
					todo = append(todo, engine.TaskSucceeded{At: now, Task: c.Task, Output: engine.Text(person), Callback: true})
					continue
				}
				out, err := scorer(&task.Call{Resource: c.Resource, Input: c.Input.JSON()})
				var failed *task.Error
				if errors.As(err, &failed) {
					todo = append(todo, engine.TaskFailed{At: now, Task: c.Task, Error: failed.Name, Cause: failed.Cause})
				} else {
					todo = append(todo, engine.TaskSucceeded{At: now, Task: c.Task, Output: engine.Text(out)})
				}
			}
		}
	}
	if s.Status != engine.Succeeded {
		t.Fatalf("the execution ended as %v", s.Status)
	}
	return s.Output.Value(), asked
}

func TestContentModerator(t *testing.T) {
	const approve = `{"decision":"approve","reviewer":"me"}`
	models, err := model.New(model.Config{})
	if err != nil {
		t.Fatal(err)
	}
	lexicon := func(c *task.Call) (string, error) {
		r, err := models.Run(context.Background(), c)
		return r.Output, err
	}
	says := func(text string) func(*task.Call) (string, error) {
		return func(*task.Call) (string, error) {
			return `{"Body":{"content":[{"type":"text","text":` + value.Str(text).JSON() + `}]},"ContentType":"application/json"}`, nil
		}
	}
	f := func(text string, scorer func(*task.Call) (string, error), person, verdict string, isAsked bool) {
		t.Helper()
		input := `{"commentId":"c","author":"a","text":` + value.Str(text).JSON() + `}`
		out, asked := moderate(t, input, scorer, person)
		if got := out.Get("verdict").Str(); got != verdict || out.Get("commentId").Str() != "c" {
			t.Errorf("%q gives %s, want %s", text, out, verdict)
		}
		if (asked != "") != isAsked {
			t.Errorf("%q: a person was asked %q", text, asked)
		}
		if published := !out.Get("published").IsAbsent(); published != (verdict != "rejected") {
			t.Errorf("%q gives %s", text, out)
		}
	}
	f("Lovely {braces} and 'quotes'!", lexicon, "-", "posted", false)
	f("You are an idiot.", lexicon, approve, "approved", true)
	f("You are an idiot.", lexicon, `{"decision":"reject"}`, "rejected", true)
	f("You are an idiot.", lexicon, `"what?"`, "rejected", true)
	f("You are an idiot.", lexicon, "", "rejected", true) // they take it and never answer

	// Whatever the model says, the comment ends with a person.
	for _, answer := range []string{"", "I think it is fine.", `{"score":`, `{"score":"low"}`, `{"reasons":[]}`, `[]`, `0.2`, `null`} {
		f("Fine.", says(answer), approve, "approved", true)
	}
	f("Fine.", func(*task.Call) (string, error) { return `{"Body":{},"ContentType":""}`, nil }, approve, "approved", true)
	f("Fine.", func(*task.Call) (string, error) { return "", task.Fail("Bedrock.ModelErrorException", "no") }, approve, "approved", true)
	f("Fine.", func(*task.Call) (string, error) { return "", task.Fail("Bedrock.ThrottlingException", "no") }, approve, "approved", true)

	// Throttling passes.
	calls := 0
	f("Fine.", func(c *task.Call) (string, error) {
		if calls++; calls < 4 {
			return "", task.Fail("Bedrock.ThrottlingException", "Too many requests")
		}
		return lexicon(c)
	}, "-", "posted", false)
}

func TestReviewerSeesTheComment(t *testing.T) {
	says := func(*task.Call) (string, error) {
		return `{"Body":{"content":[{"text":"{\"score\":0.9,\"reasons\":[\"rude\"]}"}]}}`, nil
	}
	_, asked := moderate(t, `{"commentId":"c","author":"a","text":"t"}`, says, `{}`)
	for _, part := range []string{`"commentId":"c"`, `"author":"a"`, `"text":"t"`, `"score":0.9`, `"rude"`} {
		if !strings.Contains(asked, part) {
			t.Errorf("the reviewer got %s without %s", asked, part)
		}
	}
}
