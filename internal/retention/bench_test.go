package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// BenchmarkStartWhileRemoving says how long a start takes for clients that begin
// some hundred a second, while old executions are removed in every other second and
// in between: so what else the machine does weighs on both alike.
func BenchmarkStartWhileRemoving(b *testing.B) {
	const old, clients, between, turn = 30_000, 8, 20 * time.Millisecond, time.Second
	s, err := sqlite.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	fill(b, s, old)
	ctx, stop := context.WithCancel(context.Background())
	w, err := worker.New(ctx, s, task.NewRegistry(), worker.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() { stop(); <-ended }()
	m, err := s.Machine(ctx, "m")
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	mine := func() bool { return time.Since(began)/turn%2 == 0 } // the sweeper's turn
	var longest atomic.Int64
	sweeper := New(Config{
		Store: s, KeepOf: func(string) time.Duration { return 90 * day }, Shortest: 90 * day,
		Write: func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			for !mine() {
				time.Sleep(10 * time.Millisecond)
			}
			return w.Write(ctx, func(ctx context.Context, tx store.Tx) error {
				began := time.Now()
				defer func() { longest.Store(max(longest.Load(), int64(time.Since(began)))) }()
				return do(ctx, tx)
			})
		},
	})
	for b.Loop() {
		began = time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			removed, err := sweeper.Walk(ctx)
			took := time.Since(began).Seconds() / 2
			b.Logf("removed %d in %.1f s, %.0f/s; the longest write took %v; %v", removed.Executions, took, float64(removed.Executions)/took, time.Duration(longest.Load()), err)
		}()
		var mu sync.Mutex
		var group sync.WaitGroup
		took := map[bool][]time.Duration{}
		for range clients {
			group.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(between):
					}
					at, during := time.Now(), mine()
					if _, err := w.Start(ctx, store.Start{Machine: m, Revision: m.Current, Input: `{"order":1}`}); err != nil {
						b.Error(err)
						return
					}
					if during != mine() {
						continue
					}
					mu.Lock()
					took[during] = append(took[during], time.Since(at))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		for during, list := range took {
			slices.Sort(list)
			n := len(list)
			b.Logf("removing %t: %d starts, median %v, p90 %v, p99 %v, longest %v", during, n, list[n/2], list[n*9/10], list[n*99/100], list[n-1])
		}
	}
}

// fill keeps executions that have ended 100 days ago, each after a few commits.
func fill(b *testing.B, s *sqlite.Store, count store.ExecutionID) {
	b.Helper()
	ctx := context.Background()
	states := make([]string, 10)
	for i := range states {
		states[i] = fmt.Sprintf(`"S%d":{"Type":"Pass",%s}`, i, map[bool]string{true: `"End":true`, false: fmt.Sprintf(`"Next":"S%d"`, i+1)}[i == 9])
	}
	ago := time.Now().Add(-100 * day).UnixMilli()
	var m store.Machine
	c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: "m", Type: "STANDARD"}, store.Revision{Definition: `{"StartAt":"S0","States":{` + strings.Join(states, ",") + `}}`})
		return err
	}}}}
	if err := errors.Join(s.Commit(ctx, c), c.Writes[0].Err); err != nil {
		b.Fatal(err)
	}
	output := `{"ok":true}`
	text := strings.Repeat(`{"order":"0a1b","customer":"Customer 77"}`, 20)
	for id := store.ExecutionID(1); id <= count; id += 1000 {
		c := &store.Commit{}
		for version := range int64(3) {
			for x := id; x < id+1000; x++ {
				d := engine.Delta{Status: engine.Running, Pending: true, History: engine.Chunk{First: 1 + 8*version, Count: 8, Data: fmt.Append(nil, x, text, x)}, Head: []byte("head")}
				if version == 2 {
					d.Status, d.StoppedAt, d.Output, d.Pending = engine.Succeeded, ago+1, &output, false
				}
				step := store.ExecutionCommit{ID: x, Version: version, Delta: d}
				if version == 0 {
					step.New = &store.NewExecution{Machine: m.ID, Revision: m.Current, Name: fmt.Sprint("order-", x), StartedAt: ago, Input: `{"order":1,"customer":"Customer 77"}`}
				}
				c.Executions = append(c.Executions, step)
			}
		}
		if err := s.Commit(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
}
