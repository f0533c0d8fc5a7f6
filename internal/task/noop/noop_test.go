package noop_test

import (
	"testing"

	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/noop"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

func TestEcho(t *testing.T) {
	tasktest.Run(t, func(*testing.T) *tasktest.Subject {
		return &tasktest.Subject{Integration: noop.Echo{}, Good: task.Call{Input: `{"a":1}`}}
	})
}
