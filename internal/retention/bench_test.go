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
// some hundred a second, first alone and then while old executions are removed.
func BenchmarkStartWhileRemoving(b *testing.B) {
	const old, clients, between = 100_000, 8, 20 * time.Millisecond
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
	// during starts executions until done is closed, and says how long that took.
	during := func(what string, done <-chan struct{}) {
		var mu sync.Mutex
		var took []time.Duration
		var group sync.WaitGroup
		began := time.Now()
		for range clients {
			group.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(between):
					}
					at := time.Now()
					if _, err := w.Start(ctx, store.Start{Machine: m, Revision: m.Current, Input: `{"order":1}`}); err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(at))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		slices.Sort(took)
		n := len(took)
		b.Logf("%s: %.0f starts/s, median %v, p90 %v, p99 %v, longest %v", what, float64(n)/time.Since(began).Seconds(), took[n/2], took[n*9/10], took[n*99/100], took[n-1])
	}
	sweeper := New(Config{Store: s, Write: w.Write, KeepOf: func(string) time.Duration { return 90 * day }, Shortest: 90 * day})
	for b.Loop() {
		var longest atomic.Int64
		write := sweeper.cfg.Write
		sweeper.cfg.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			return write(ctx, func(ctx context.Context, tx store.Tx) error {
				began := time.Now()
				defer func() { longest.Store(max(longest.Load(), int64(time.Since(began)))) }()
				return do(ctx, tx)
			})
		}
		alone := make(chan struct{})
		time.AfterFunc(30*time.Second, func() { close(alone) })
		during("alone", alone)
		done := make(chan struct{})
		go func() {
			defer close(done)
			began := time.Now()
			removed, err := sweeper.Walk(ctx)
			took := time.Since(began).Seconds()
			b.Logf("removed %d in %.1f s, %.0f/s; the longest write took %v; %v", removed.Executions, took, float64(removed.Executions)/took, time.Duration(longest.Load()), err)
		}()
		during("while removing", done)
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
