package worker

import (
	"context"
	"errors"
	"strings"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// OpenTasks reads what waits for an answer by token in an execution, as it is
// kept in the store. One that has ended has nothing.
func (w *Worker) OpenTasks(ctx context.Context, id store.ExecutionID) (executionARN, machineARN string, list []engine.OpenTask, err error) {
	x := &execution{id: id}
	err = w.restore(ctx, x)
	if errors.Is(err, engine.ErrNotWaiting) || err == nil && x.ended {
		return "", "", nil, nil
	}
	if err != nil {
		return "", "", nil, err
	}
	list, err = engine.OpenTasks(x.env, x.snap)
	for i := range list {
		if text := list[i].Input.JSON(); strings.Contains(text, w.keys.token(id, list[i].Task)) {
			list[i].Input = engine.Text(strings.ReplaceAll(text, w.keys.token(id, list[i].Task), "(token)"))
		}
	}
	return x.arn, w.cfg.Scheme.Machine(x.machine.name), list, err
}
