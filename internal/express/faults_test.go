package express_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
)

var errWrite = errors.New("the write failed")

// TestFaults starts Express executions while writes fail, are kept without saying
// so, and processes end in the midst of everything. What was accepted runs to its
// end, also if that takes another process; what somebody waits for runs once at
// most; what was refused does not run later.
func TestFaults(t *testing.T) {
	const worlds = 60
	for seed := uint64(1); seed <= worlds; seed++ {
		synctest.Test(t, func(t *testing.T) { faults(t, seed) })
		if t.Failed() {
			t.Fatalf("in world %d", seed)
		}
	}
}

func faults(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	var mu sync.Mutex
	chance := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	calm := false
	called, ended, accepted, refused := map[string]int{}, map[string]int{}, map[string]bool{}, map[string]bool{}
	by := map[string]*express.Runner{}
	set := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	w.tasks.Add("lambda:invoke", taskFunc(func(ctx context.Context, c *task.Call) (task.Result, error) {
		name := c.ExecutionARN[:strings.LastIndexByte(c.ExecutionARN, ':')]
		name = name[strings.LastIndexByte(name, ':')+1:]
		set(func() {
			called[name]++
			if refused[name] {
				t.Errorf("%s runs although its start was refused", name)
			}
		})
		select {
		case <-time.After(time.Duration(chance(20)) * 100 * time.Millisecond):
		case <-ctx.Done():
			return task.Result{}, ctx.Err()
		}
		set(func() { ended[name]++ })
		return task.Result{Output: `{}`}, nil
	}))
	machine := w.machine("calls", calls)
	// open begins a process whose writes fail now and then, and all of them once
	// it has died.
	open := func() (r *express.Runner, die func()) {
		dead := false
		r, stop := w.open(func(c *express.Config) {
			c.Write = func(ctx context.Context, do func(context.Context, store.Tx) error) error {
				fate := 9
				set(func() {
					if dead {
						fate = 0
					} else if !calm {
						fate = rng.IntN(10)
					}
				})
				if fate == 0 {
					return errWrite
				}
				err := w.worker.Write(ctx, do)
				if fate == 1 && err == nil {
					err = fmt.Errorf("it was kept: %w", store.ErrUnknown)
				}
				return err
			}
		})
		return r, func() {
			set(func() { dead = true })
			stop()
		}
	}
	r, die := open()
	var clients sync.WaitGroup
	for i := range 40 {
		switch s := machine; chance(10) {
		case 0:
			die()
			clients.Wait()
			r, die = open()
		case 1, 2, 3, 4:
			s.Name = fmt.Sprint("start", i)
			on := r
			clients.Go(func() {
				_, _, err := begin(on, s)
				set(func() { accepted[s.Name], by[s.Name] = err == nil, on })
			})
		case 5, 6:
			s.Name = fmt.Sprint("sync", i)
			on, patience := r, time.Duration(chance(30))*100*time.Millisecond
			clients.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				_, x, err := await(ctx, on, s)
				set(func() {
					if err == nil && (x.Status != engine.Succeeded || ended[s.Name] != 1) {
						t.Errorf("%s was answered with %s after %d ends", s.Name, x.Status, ended[s.Name])
					}
				})
			})
		default:
			time.Sleep(time.Duration(chance(10)) * 100 * time.Millisecond)
		}
	}
	clients.Wait()
	time.Sleep(time.Second) // what was refused is forgotten
	set(func() { calm = true })
	time.Sleep(time.Second)
	set(func() {
		for name, ok := range accepted {
			refused[name] = !ok && by[name] == r // one that dies may leave what it had refused
		}
	})
	die()
	_, _ = open()
	time.Sleep(time.Minute)
	synctest.Wait()
	set(func() {
		for name, ok := range accepted {
			if ok && ended[name] == 0 {
				t.Errorf("%s was accepted and did not run to its end", name)
			}
		}
		for name, n := range called {
			if n > 1 && strings.HasPrefix(name, "sync") {
				t.Errorf("%s ran %d times", name, n)
			}
		}
	})
	if rows := w.rows(); rows != nil {
		t.Errorf("rows of %v after the end", rows)
	}
}
