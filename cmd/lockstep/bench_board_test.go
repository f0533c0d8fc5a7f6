package main

import (
	"io"
	"testing"
	"time"
)

// The bench of the board does every kind of operation, none of them fails, and no
// wakeup is lost.
func TestBoardBench(t *testing.T) {
	got, err := runBoardBench(t.Context(), boardBenchFlags{agents: 10, tasks: 30, watchers: 3, rate: 15, length: 4 * time.Second, data: t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got.Operations != 60 || got.Failed != 0 || got.Error != "" || got.Lost != 0 || got.Repeated != 0 {
		t.Errorf("%+v", got)
	}
	for _, kind := range boardKinds {
		if got.Of[kind] == 0 {
			t.Errorf("no operation %s: %v", kind, got.Of)
		}
	}
	if got.Wakeups == 0 || got.Offered.N == 0 || got.Seen.N == 0 || got.Write.Max <= 0 {
		t.Errorf("nothing was seen: %+v", got)
	}
}

// An approval has the next agent at work, by poll and by push.
func TestPipelineBench(t *testing.T) {
	for _, push := range []bool{false, true} {
		took, err := benchHandOver(t.Context(), t.TempDir(), push, 3)
		if err != nil || len(took) != 3 || took[0] <= 0 {
			t.Errorf("push %v: %v, %v", push, took, err)
		}
	}
}
