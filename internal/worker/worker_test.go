package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/noop"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// harness is a worker in motion over a store.
type harness struct {
	testing.TB
	*worker.Worker
	store store.Store

	mu    sync.Mutex
	ended map[store.ExecutionID]store.ExecutionCommit
	waits map[store.ExecutionID]chan struct{}
}

func start(t testing.TB, st store.Store, configure func(*worker.Config, *task.Registry)) *harness {
	t.Helper()
	h := &harness{TB: t, store: st, ended: map[store.ExecutionID]store.ExecutionCommit{}, waits: map[store.ExecutionID]chan struct{}{}}
	tasks := task.NewRegistry()
	tasks.Add("lambda:invoke", noop.Echo{})
	cfg := worker.Config{Committed: h.committed}
	if configure != nil {
		configure(&cfg, tasks)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w, err := worker.New(ctx, st, tasks, cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Worker = w
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *harness) committed(c *store.ExecutionCommit) {
	if c.Delta.Status == engine.Running {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended[c.ID] = *c
	if ch := h.waits[c.ID]; ch != nil {
		close(ch)
		delete(h.waits, c.ID)
	}
}

// wait returns the last commit of an execution.
func (h *harness) wait(id store.ExecutionID) store.ExecutionCommit {
	h.mu.Lock()
	c, ok := h.ended[id]
	if !ok {
		ch := h.waits[id]
		if ch == nil {
			ch = make(chan struct{})
			h.waits[id] = ch
		}
		h.mu.Unlock()
		<-ch
		h.mu.Lock()
		c = h.ended[id]
	}
	delete(h.ended, id)
	h.mu.Unlock()
	return c
}

func (h *harness) machine(name, definition string) store.Machine {
	h.Helper()
	var m store.Machine
	err := h.Write(context.Background(), func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name, Type: "STANDARD"}, store.Revision{Definition: definition, RoleARN: "arn:aws:iam::123456789012:role/r"})
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return m
}

func chain(state string, n int) string {
	text := `{"StartAt":"S1","States":{`
	for i := 1; i <= n; i++ {
		next := fmt.Sprintf(`"Next":"S%d"`, i+1)
		if i == n {
			next = `"End":true`
		}
		if i > 1 {
			text += ","
		}
		text += fmt.Sprintf(`"S%d":{%s,%s}`, i, state, next)
	}
	return text + "}}"
}

const (
	passState = `"Type":"Pass"`
	taskState = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"noop","Payload.$":"$"},"ResultPath":"$.r","ResultSelector":{"n.$":"$.FunctionName"}`
)

func TestRunsToTheEnd(t *testing.T) {
	f := func(t *testing.T, st store.Store) {
		h := start(t, st, nil)
		for _, state := range []string{passState, taskState} {
			m := h.machine(fmt.Sprint(len(state)), chain(state, 10))
			x, err := h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Input: `{"a":1}`})
			if err != nil {
				t.Fatal(err)
			}
			if c := h.wait(x.ID); c.Delta.Status != engine.Succeeded || !strings.HasPrefix(*c.Delta.Output, `{"a":1`) {
				t.Errorf("ended %s", c.Delta.Status)
			}
			found, err := h.Lookup(t.Context(), m.Name, x.Name)
			if err != nil || found.ID != x.ID || found.Status != engine.Succeeded {
				t.Errorf("lookup %s: %+v, %v", x.Name, found, err)
			}
		}
	}
	t.Run("memory", func(t *testing.T) { f(t, memory.New()) })
	t.Run("sqlite", func(t *testing.T) { f(t, openSQLite(t)) })
}

func openSQLite(t testing.TB) store.Store {
	st, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func BenchmarkExecutions(b *testing.B) {
	f := func(name, state string, concurrency int) {
		b.Run(name, func(b *testing.B) {
			h := start(b, openSQLite(b), nil)
			m := h.machine("m", chain(state, 10))
			ids := make(chan struct{}, concurrency)
			var all sync.WaitGroup
			for b.Loop() {
				ids <- struct{}{}
				all.Add(1)
				go func() {
					defer all.Done()
					x, err := h.Start(b.Context(), store.Start{Machine: m, Revision: m.Current, Input: `{"comment":"hello, world","n":12345}`})
					if err != nil {
						panic(err)
					}
					h.wait(x.ID)
					<-ids
				}()
			}
			all.Wait()
			b.ReportMetric(float64(b.N)*10/b.Elapsed().Seconds(), "transitions/s")
		})
	}
	f("pass10", passState, 1000)
	f("task10", taskState, 50)
	f("task10/one", taskState, 1)
}
