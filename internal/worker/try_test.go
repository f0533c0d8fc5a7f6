package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// A task of a tested state is called like any other, for an execution that the
// worker does not have.
func TestTry(t *testing.T) {
	answer := func(output string, err error) taskFunc {
		return func(_ context.Context, c *task.Call) (task.Result, error) {
			if c.ExecutionARN != "arn:x" || c.MachineARN != "arn:m" || c.Input != `{"a":1}` {
				t.Errorf("called with %+v", c)
			}
			return task.Result{Output: output}, err
		}
	}
	f := func(i task.Integration, output, failure string) {
		t.Helper()
		h := start(t, memory.New(), func(_ *worker.Config, tasks *task.Registry) {
			if i != nil {
				tasks.AddLambda(i)
			}
		})
		d := &engine.Dispatch{Task: engine.TaskID{Frame: 1, Attempt: 1}, Resource: asl.Resource{Kind: asl.LambdaResource}, Input: engine.Text(`{"a":1}`)}
		switch ev := h.Try(t.Context(), &engine.Execution{ARN: "arn:x", MachineARN: "arn:m"}, d).(type) {
		case engine.TaskSucceeded:
			if got := ev.Output.JSON(); got != output || ev.Task != d.Task {
				t.Errorf("task %v succeeded with %s, want %s%s", ev.Task, got, output, failure)
			}
		case engine.TaskFailed:
			if *ev.Error != failure || ev.Task != d.Task {
				t.Errorf("task %v failed with %s, want %s%s", ev.Task, *ev.Error, output, failure)
			}
		default:
			t.Errorf("got %T", ev)
		}
	}
	f(answer(`[2]`, nil), `[2]`, "")
	f(answer(``, task.Fail("Mine", "")), "", "Mine")
	f(answer(``, errors.New("broken")), "", "States.TaskFailed")
	f(answer(`no JSON`, nil), "", "States.TaskFailed")
	f(nil, "", "Lockstep.ResourceNotSupported")
}
