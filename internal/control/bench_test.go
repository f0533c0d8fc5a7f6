package control_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store"
)

// grouped gathers the writes of many callers in one commit, as the worker does.
type grouped struct {
	store.Store
	mu      sync.Mutex
	writes  []store.Write
	done    []chan error
	pending chan struct{}
}

func group(st store.Store) *grouped {
	g := &grouped{Store: st, pending: make(chan struct{}, 1)}
	go func() {
		for range g.pending {
			g.mu.Lock()
			c, done := &store.Commit{Writes: g.writes}, g.done
			g.writes, g.done = nil, nil
			g.mu.Unlock()
			err := st.Commit(ctx, c)
			for i := range done {
				if err == nil {
					err = c.Writes[i].Err
				}
				done[i] <- err
			}
		}
	}()
	return g
}

func (g *grouped) Write(_ context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	done := make(chan error, 1)
	g.mu.Lock()
	g.writes, g.done = append(g.writes, store.Write{Do: do}), append(g.done, done)
	g.mu.Unlock()
	select {
	case g.pending <- struct{}{}:
	default:
	}
	return <-done
}

// BenchmarkTask takes tasks from create to done over SQLite, five operations
// each (create, claim, progress, submit, approve), with 1 and with 32 agents at
// a time.
func BenchmarkTask(b *testing.B) {
	for _, agents := range []int{1, 32} {
		b.Run(fmt.Sprint("agents=", agents), func(b *testing.B) {
			st := open(b)
			w := newWorld(b, st, control.Config{}, control.Policies{})
			g := group(st)
			defer close(g.pending)
			var err error
			if w.Board, err = control.New(st, g, control.Config{}); err != nil {
				b.Fatal(err)
			}
			for i := range agents {
				slug := fmt.Sprint("a", i)
				a, err := w.CreateAgent(ctx, w.as("ann"), control.NewAgent{Slug: slug, Projects: []string{"WEB"}})
				if err != nil {
					b.Fatal(err)
				}
				w.ids[slug] = control.AgentParty(a.ID)
			}
			b.ResetTimer()
			var wait sync.WaitGroup
			left := make(chan struct{}, b.N)
			for range b.N {
				left <- struct{}{}
			}
			close(left)
			for i := range agents {
				wait.Go(func() {
					for range left {
						if err := w.whole(fmt.Sprint("a", i)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
			b.ReportMetric(float64(5*b.N)/b.Elapsed().Seconds(), "ops/s")
			s := st.Stats()
			b.ReportMetric(float64(s.Bytes)/float64(b.N), "B-written/task")
		})
	}
}

func (w *world) whole(agent string) error {
	t, err := w.CreateTask(ctx, w.as("ann"), control.NewTask{Project: "WEB", Title: "T", Assignee: w.ids[agent]})
	if err != nil {
		return err
	}
	got, err := w.Claim(ctx, w.as(agent), t.ID)
	if err != nil {
		return err
	}
	if _, err := w.Board.Progress(ctx, w.as(agent), t.ID, got.LeaseToken, "half way", 50); err != nil {
		return err
	}
	s, err := w.Submit(ctx, w.as(agent), t.ID, got.LeaseToken, control.Submission{Summary: "done"})
	if err != nil {
		return err
	}
	_, err = w.Decide(ctx, w.as("ann"), s.Review.ID, control.Decision{Verdict: "approve"})
	return err
}
