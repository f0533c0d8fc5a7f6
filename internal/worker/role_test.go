package worker

import (
	"testing"

	"github.com/lockstep-run/lockstep/internal/task"
)

// What is asked of AWS for a task knows the task's role, where it has one.
func TestAsked(t *testing.T) {
	own := &task.Call{MachineRole: "arn:aws:iam::123456789012:role/own"}
	if c := task.From(asked(t.Context(), own)); c != nil {
		t.Errorf("without Credentials it is asked in the name of %+v", c)
	}
	other := &task.Call{RoleARN: "arn:aws:iam::222222222222:role/other"}
	if c := task.From(asked(t.Context(), other)); c != other {
		t.Errorf("with Credentials it is asked in the name of %+v", c)
	}
}
