package views_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// told reads what a watcher is told.
func told(t *testing.T, w feed.Watcher) (all []string, lost bool) {
	t.Helper()
	notes, lost := w.Take()
	for _, n := range notes {
		var data fields
		if err := json.Unmarshal(n.Data, &data); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(n.Type, " ", data["machine"], " ", data["status"]))
	}
	return all, lost
}

// Who watches is told how executions get on, each a few times a second at most.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"W"},"W":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Pass","End":true}}}`)
		other := w.machine("other", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		watch := func(wish feed.Wish) feed.Watcher {
			t.Helper()
			watcher, err := w.changes.Watch(t.Context(), wish)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(watcher.Close)
			return watcher
		}
		all := watch(feed.Wish{Topics: []string{"execution"}})
		w.start(m, "x", `{}`)
		x := watch(feed.Wish{Topics: []string{"execution", "visit"}, Execution: arn.Default.Execution("m", "x")})
		of := watch(feed.Wish{Topics: []string{"execution"}, Machine: "other"})
		w.start(other, "y", `{}`)
		time.Sleep(time.Second)
		synctest.Wait()
		f := func(who string, watcher feed.Watcher, want ...string) {
			t.Helper()
			got, lost := told(t, watcher)
			if lost {
				t.Errorf("%s lost some", who)
			}
			seen := map[string]int{}
			for _, line := range got {
				seen[line]++
			}
			for _, line := range want {
				seen[line]--
			}
			for line, n := range seen {
				if n != 0 {
					t.Errorf("%s was told %q %d times more often than wanted", who, line, n)
				}
			}
		}
		f("who watches all", all, "execution.status m RUNNING", "execution.status other SUCCEEDED")
		f("who watches x", x, "execution.status m RUNNING", "visit.changed m RUNNING")
		f("who watches other", of, "execution.status other SUCCEEDED")
		time.Sleep(time.Minute)
		synctest.Wait()
		f("who watches x", x, "execution.status m SUCCEEDED", "visit.changed m SUCCEEDED")
		f("who watches other", of)

		if _, err := w.changes.Watch(t.Context(), feed.Wish{Topics: []string{"visit"}, Execution: "arn:aws:states:us-east-1:123456789012:execution:m:none"}); err == nil {
			t.Error("an execution that is not there is watched")
		}
	})
}

// A watcher that does not read loses what it was to be told and hears of that; the
// engine does not notice.
func TestSlowWatcherSlowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		slow, err := w.changes.Watch(t.Context(), feed.Wish{Topics: []string{"execution", "visit"}})
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		before := time.Now()
		for i := range 2000 {
			w.start(m, fmt.Sprint(i), `{}`)
		}
		if took := time.Since(before); took != 0 { // nothing waited for a clock
			t.Errorf("the executions took %v", took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		notes, lost := slow.Take()
		if !lost {
			t.Errorf("2000 executions at once, and nothing is lost: %d notes", len(notes))
		}
		if len(notes) > 1024 {
			t.Errorf("%d notes waited", len(notes))
		}
	})
}

// BenchmarkCommitted is what a commit costs more with so many watchers.
func BenchmarkCommitted(b *testing.B) {
	for _, watchers := range []int{0, 1, 50} {
		b.Run(fmt.Sprint(watchers, " watchers"), func(b *testing.B) {
			w := begin(b, memory.New())
			for range watchers {
				watcher, err := w.changes.Watch(context.Background(), feed.Wish{Topics: []string{"execution", "visit"}})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(watcher.Close)
			}
			c := &store.ExecutionCommit{New: &store.NewExecution{}, Delta: engine.Delta{Status: engine.Running, History: engine.Chunk{First: 1, Count: 4}}}
			b.ReportAllocs()
			for b.Loop() {
				c.ID = c.ID%5000 + 1
				w.changes.Committed(c)
			}
		})
	}
}
