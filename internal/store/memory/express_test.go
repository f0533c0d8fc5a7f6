package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// What is forgotten is gone from every list, and its name is free.
func TestForget(t *testing.T) {
	ctx := context.Background()
	s := memory.New()
	keep := func(id store.ExecutionID, name string) {
		t.Helper()
		c := store.Commit{Executions: []store.ExecutionCommit{{
			ID: id, New: &store.NewExecution{Machine: 1, Name: name}, Delta: engine.Delta{Due: 5, Pending: true},
		}}}
		if err := s.Commit(ctx, &c); err != nil || c.Executions[0].Err != nil {
			t.Fatal(err, c.Executions[0].Err)
		}
	}
	keep(1, "a")
	keep(2, "b")
	keep(3, "c")
	s.Forget(2, 99)
	if list, _ := s.Executions(ctx, store.ExecutionQuery{Machine: 1, Limit: 9}); len(list) != 2 || list[0].ID != 3 || list[1].ID != 1 {
		t.Errorf("left over: %v", list)
	}
	if _, err := s.Execution(ctx, 2); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a forgotten execution: %v", err)
	}
	if ids, _ := s.Pending(ctx, 0, 9); len(ids) != 2 {
		t.Errorf("pending: %v", ids)
	}
	keep(4, "b")
	s.Forget(1, 3, 4)
	if list, _ := s.Executions(ctx, store.ExecutionQuery{Machine: 1, Limit: 9}); len(list) != 0 {
		t.Errorf("left over: %v", list)
	}
}
