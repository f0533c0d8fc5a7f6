package views

import (
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// TestPace counts what runs and ends in each stretch of a Map Run's time.
func TestPace(t *testing.T) {
	of := func(from, to int64, status engine.Status) store.Execution {
		return store.Execution{StartedAt: from, StoppedAt: to, Status: status}
	}
	from, to, pace := paceOf([]store.Execution{
		of(0, 1000, engine.Succeeded),
		of(10, 500, engine.Failed),
		of(600, 0, engine.Running),
	}, 0, 1200)
	if from != 0 || to != 1200 || len(pace) != paceStretches {
		t.Fatalf("from %d to %d in %d stretches, want 0 to 1200 in %d", from, to, len(pace), paceStretches)
	}
	for _, want := range []struct {
		at            int
		running       float64
		ended, failed int64
	}{{0, 1, 0, 0}, {1, 2, 0, 0}, {49, 2, 0, 0}, {50, 1, 1, 1}, {51, 1, 0, 0}, {60, 2, 0, 0}, {99, 2, 0, 0}, {100, 1, 1, 0}, {119, 1, 0, 0}} {
		if p := pace[want.at]; p.Running != want.running || p.Ended != want.ended || p.Failed != want.failed {
			t.Errorf("stretch %d: %v running, %d ended, %d failed; want %v, %d, %d", want.at, p.Running, p.Ended, p.Failed, want.running, want.ended, want.failed)
		}
	}
	if _, _, pace := paceOf([]store.Execution{of(0, 5, engine.Succeeded)}, 0, 1200); pace[0].Running != 0.5 {
		t.Errorf("half of a stretch counts as %v, want 0.5", pace[0].Running)
	}
	if _, to, pace := paceOf([]store.Execution{of(5, 9, engine.Aborted)}, 5, 5); to != 9 || pace[119].Ended != 1 {
		t.Errorf("a run without length: to %d, %d ended at its end; want 9, 1", to, pace[119].Ended)
	}
}
