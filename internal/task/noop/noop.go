// Package noop is a task that does nothing, at once and inside the process: what
// remains when it is measured is the engine.
package noop

import (
	"context"

	"github.com/lockstep-run/lockstep/internal/task"
)

// Echo answers every call with its own input.
type Echo struct{}

// Run returns the input of c. Its only error is that of a ctx that has ended.
func (Echo) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	if err := ctx.Err(); err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: c.Input}, nil
}
