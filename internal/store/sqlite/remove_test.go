package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// rowsOf counts the rows of every table that holds something of executions.
func rowsOf(t *testing.T, s *Store) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, table := range []string{"executions", "inputs", "names", "frames", "chunks", "queue", "redrives", "map_runs", "map_results", "leftovers"} {
		var n int
		if err := s.reading.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			counts[table] = n
		}
	}
	return counts
}

func write(t *testing.T, s *Store, do func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	c := &store.Commit{Writes: []store.Write{{Do: do}}}
	if err := errors.Join(s.Commit(ctx, c), c.Writes[0].Err); err != nil {
		t.Fatal(err)
	}
}

// TestRemoveLeavesNothing removes an execution that has more of everything than
// goes at once, and looks into the tables: first it goes, then what is left over.
func TestRemoveLeavesNothing(t *testing.T) {
	s := openIn(t, t.TempDir())
	chunk := func(first int64) engine.Chunk { return engine.Chunk{First: first, Count: 1, Data: []byte("event")} }
	c := &store.Commit{Executions: []store.ExecutionCommit{{
		ID: 1, New: &store.NewExecution{Machine: 1, Name: "n", Input: strings.Repeat("i", longInput)},
		Delta: engine.Delta{History: chunk(1)}, MapRuns: []store.MapRunChange{{Name: "run"}},
		Enqueue: []store.QueuedTask{{Activity: 1, Task: engine.TaskID{Frame: 1, Attempt: 1}}},
	}}}
	for version := range int64(100) {
		d := engine.Delta{History: chunk(version + 2), Frames: []engine.FrameRecord{{ID: engine.FrameID(version + 2), Data: []byte("f")}}}
		if version == 98 {
			d.Status, d.StoppedAt = engine.Failed, 900
		}
		if version == 99 {
			d.Status, d.StoppedAt, d.Redrives, d.RedrivenAt = engine.Failed, 1000, 1, 950
		}
		c.Executions = append(c.Executions, store.ExecutionCommit{ID: 1, Version: version + 1, Delta: d})
	}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	write(t, s, func(ctx context.Context, tx store.Tx) error {
		for range 60 {
			if err := tx.AddResults(ctx, 1, []byte("result")); err != nil {
				return err
			}
		}
		return tx.SaveMapRun(ctx, store.MapRun{ID: 1, Status: engine.Failed, StoppedAt: 1000})
	})
	write(t, s, func(ctx context.Context, tx store.Tx) error { return tx.RemoveExecution(ctx, 1, 2000) })
	left := rowsOf(t, s)
	if want := fmt.Sprint(map[string]int{"chunks": 101 - chunksAtOnce, "frames": 100 - framesAtOnce, "map_results": 60, "leftovers": 3}); fmt.Sprint(left) != want {
		t.Errorf("left over: %v, want %s", left, want)
	}
	for more, rounds := true, 0; more; rounds++ {
		before := rowsOf(t, s)
		write(t, s, func(ctx context.Context, tx store.Tx) (err error) {
			more, err = tx.RemoveLeftovers(ctx, 20)
			return err
		})
		after := rowsOf(t, s)
		gone := 0
		for _, table := range []string{"chunks", "frames", "map_results"} {
			gone += before[table] - after[table]
		}
		if gone > 20 || rounds > 30 {
			t.Fatalf("round %d removes %d pieces", rounds, gone)
		}
	}
	if left := rowsOf(t, s); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	for _, text := range prepared(s.writer.statements) {
		if !strings.HasPrefix(text, "DELETE") && !strings.Contains(text, "leftovers") && !strings.Contains(text, "executions x") {
			continue
		}
		plan := explain(t, s, text)
		for _, line := range plan {
			if isScan(line) && !strings.HasPrefix(line, "SCAN leftovers") {
				t.Errorf("%s\nis run as\n%s", text, strings.Join(plan, "\n"))
			}
		}
	}
}

func prepared(s *statements) (texts []string) {
	s.prepared.Range(func(text, _ any) bool {
		texts = append(texts, text.(string))
		return true
	})
	return texts
}

// executionsToRemove is how many TestKilledRemoving has.
const executionsToRemove = 3000

// TestKilledRemoving kills a process that removes executions. Each of those is
// whole afterwards or gone, and what is left over can be removed.
func TestKilledRemoving(t *testing.T) {
	const variable = "LOCKSTEP_REMOVE_UNTIL_KILLED"
	const chunks = 12
	if dir := os.Getenv(variable); dir != "" {
		removeUntilKilled(t, dir)
	}
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for id := store.ExecutionID(1); id <= executionsToRemove; id += 100 {
		if err := started(s, id, 100, 50); err != nil {
			t.Fatal(err)
		}
		for version := range int64(chunks) {
			c := &store.Commit{}
			for i := range store.ExecutionID(100) {
				d := engine.Delta{Status: engine.Failed, StoppedAt: 1, History: engine.Chunk{First: 2 + version, Count: 1, Data: []byte("e")}}
				c.Executions = append(c.Executions, store.ExecutionCommit{ID: id + i, Version: 1 + version, Delta: d})
			}
			if err := s.Commit(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	last := runAndKill(t, "TestKilledRemoving", variable+"="+dir, func() {}, dir)
	s = openIn(t, dir)
	kept := 0
	for id := store.ExecutionID(1); id <= executionsToRemove; id++ {
		n := 0
		err := s.History(ctx, id, 0, false, func(engine.Chunk) bool { n++; return true })
		_, named := s.ExecutionNamed(ctx, 1, fmt.Sprint("n", id))
		switch {
		case errors.Is(err, store.ErrNotFound) && errors.Is(named, store.ErrNotFound):
		case err == nil && named == nil && n == chunks+1 && id > last:
			kept++
		default:
			t.Errorf("execution %d: %d chunks, %v; by its name: %v; %d had been removed", id, n, err, named, last)
		}
	}
	for more := true; more; {
		write(t, s, func(ctx context.Context, tx store.Tx) (err error) {
			more, err = tx.RemoveLeftovers(ctx, 1000)
			return err
		})
	}
	if rows := rowsOf(t, s); rows["chunks"] != kept*(chunks+1) || rows["leftovers"] != 0 {
		t.Errorf("%d executions are kept, and %v", kept, rows)
	}
}

func removeUntilKilled(t *testing.T, dir string) {
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for id := store.ExecutionID(1); id < executionsToRemove; id += 20 {
		write(t, s, func(ctx context.Context, tx store.Tx) error {
			for i := range store.ExecutionID(20) {
				if err := tx.RemoveExecution(ctx, id+i, math.MaxInt64); err != nil {
					return err
				}
			}
			return nil
		})
		fmt.Println("committed", id+19)
	}
	select {} // until it is killed
}

// TestRoomIsUsedAgain shows that a file does not grow while as much is removed as
// is added.
func TestRoomIsUsedAgain(t *testing.T) {
	s := openIn(t, t.TempDir())
	const count = 1000
	var pages [5]int
	for round := range pages {
		first := store.ExecutionID(round*count + 1)
		if err := started(s, first, count, 5000); err != nil {
			t.Fatal(err)
		}
		c := &store.Commit{}
		for i := range store.ExecutionID(count) {
			c.Executions = append(c.Executions, store.ExecutionCommit{ID: first + i, Version: 1, Delta: engine.Delta{Status: engine.Failed, StoppedAt: 1}})
		}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		if err := s.reading.QueryRow("PRAGMA page_count").Scan(&pages[round]); err != nil {
			t.Fatal(err)
		}
		write(t, s, func(ctx context.Context, tx store.Tx) error {
			for i := range store.ExecutionID(count) {
				if err := tx.RemoveExecution(ctx, first+i, math.MaxInt64); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if most := pages[0] + pages[0]/20; pages[4] > most {
		t.Errorf("pages of the file after each round: %v", pages)
	}
}
