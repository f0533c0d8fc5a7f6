// Package tasktest has the suite that every integration passes.
package tasktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Subject is an integration with what it takes to call it. Each test gets a fresh
// one; servers that it needs end with t.
type Subject struct {
	Integration task.Integration

	// Good is a call that succeeds, also when made again. The suite gives its
	// copies IDs of their own.
	Good task.Call

	// Bad are calls that fail, each with a named *task.Error.
	Bad []task.Call

	// Slow is a call that stays unanswered until its ctx ends; Reached gets a
	// value when the other side has it. Without a Reached the integration cannot
	// wait.
	Slow    task.Call
	Reached <-chan struct{}

	// IDs returns those that have come to the other side, in order. It is nil
	// where an integration has no way to pass one on.
	IDs func() []string
}

// patience ends a test that would hang. It decides nothing else.
const patience = 20 * time.Second

// Run runs the suite against what open returns. Integrations that are an
// io.Closer are closed at the end.
func Run(t *testing.T, open func(t *testing.T) *Subject) {
	tests := []struct {
		name string
		run  func(t *testing.T, s *Subject)
	}{
		{"answers with JSON and leaves the call as it was", good},
		{"can be called again with the same ID", again},
		{"passes the ID on", passesIDs},
		{"names its failures", failures},
		{"takes many calls at a time", concurrent},
		{"does nothing once ctx has ended", ended},
		{"returns when ctx ends", cancelled},
		{"leaves no goroutines behind", leaks},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer shut(t, s)
			test.run(t, s)
		})
	}
}

func shut(t *testing.T, s *Subject) {
	if c, ok := s.Integration.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func good(t *testing.T, s *Subject) {
	call := s.Good
	call.ID = "first"
	before := call
	mustSucceed(t, s, &call)
	if call != before {
		t.Errorf("Run changed its call to %+v", call)
	}
}

func mustSucceed(t *testing.T, s *Subject, call *task.Call) {
	t.Helper()
	r, err := s.Integration.Run(t.Context(), call)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if err := value.Valid(r.Output); err != nil {
		t.Errorf("the output is not JSON: %v\n%.300s", err, r.Output)
	}
}

func again(t *testing.T, s *Subject) {
	for range 2 {
		call := s.Good
		call.ID = "the same"
		mustSucceed(t, s, &call)
	}
}

func passesIDs(t *testing.T, s *Subject) {
	if s.IDs == nil {
		t.Skip("this integration has no way to pass an ID on")
	}
	for _, id := range []string{"one", "two", "two"} {
		call := s.Good
		call.ID = id
		mustSucceed(t, s, &call)
	}
	if got := fmt.Sprint(s.IDs()); got != "[one two two]" {
		t.Errorf("the other side saw %s, want [one two two]", got)
	}
}

func failures(t *testing.T, s *Subject) {
	for _, call := range s.Bad {
		_, err := s.Integration.Run(t.Context(), &call)
		var failed *task.Error
		if !errors.As(err, &failed) {
			t.Errorf("input %.200s: the error is %v, not a *task.Error", call.Input, err)
			continue
		}
		if failed.Name == nil || *failed.Name == "" {
			t.Errorf("input %.200s: the error has no name: %v", call.Input, err)
		}
		if !utf8.ValidString(failed.Error()) {
			t.Errorf("input %.200s: the error is not UTF-8: %q", call.Input, failed.Error())
		}
	}
}

func concurrent(t *testing.T, s *Subject) {
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			call := s.Good
			call.ID = fmt.Sprint("call ", i)
			if r, err := s.Integration.Run(t.Context(), &call); err != nil {
				t.Errorf("call %d: %v", i, err)
			} else if err := value.Valid(r.Output); err != nil {
				t.Errorf("call %d: the output is not JSON: %v", i, err)
			}
		})
	}
	all.Wait()
}

func ended(t *testing.T, s *Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Integration.Run(ctx, &s.Good); err == nil {
		t.Error("Run succeeded although its ctx had ended")
	}
}

func cancelled(t *testing.T, s *Subject) {
	if s.Reached == nil {
		t.Skip("this integration never waits")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := s.Integration.Run(ctx, &s.Slow)
		done <- err
	}()
	await(t, s.Reached, "the call to reach the other side")
	cancel()
	if err := await(t, done, "Run to return after its ctx ended"); err == nil {
		t.Error("Run succeeded although its ctx had ended")
	}
}

// leaks cannot ask whose a goroutine is, so it waits for their number to come
// down to what it was.
func leaks(t *testing.T, s *Subject) {
	before := runtime.NumGoroutine()
	for range 4 {
		mustSucceed(t, s, &s.Good)
	}
	shut(t, s)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for runtime.NumGoroutine() > before {
		select {
		case <-tick.C:
		case <-end:
			all := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, %d before the calls:\n%s", runtime.NumGoroutine(), before, all[:runtime.Stack(all, true)])
		}
	}
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}
