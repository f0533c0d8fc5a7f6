package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

const waitMachine = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":%d,"End":true}}}`

func TestTimersFireInTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, memory.New(), nil)
		week := h.machine("week", fmt.Sprintf(waitMachine, 7*24*3600))
		minute := h.machine("minute", fmt.Sprintf(waitMachine, 60))
		began := time.Now()
		long := h.begin(week, "", `{}`)
		short := h.begin(minute, "", `{}`)
		h.wait(short.ID)
		if d := time.Since(began); d < time.Minute || d > time.Minute+time.Second {
			t.Errorf("a minute took %s", d)
		}
		h.wait(long.ID)
		if d := time.Since(began); d < 7*24*time.Hour || d > 7*24*time.Hour+time.Second {
			t.Errorf("a week took %s", d)
		}
	})
}

func (h *harness) begin(m store.Machine, name, input string) store.Execution {
	h.Helper()
	x, err := h.Start(context.Background(), store.Start{Machine: m, Revision: m.Current, Name: name, Input: input})
	if err != nil {
		h.Fatal(err)
	}
	return x
}

// TestNames starts the same execution from many sides at once: it is one
// execution, and nobody gets an answer before it is durable.
func TestNames(t *testing.T) {
	st := openSQLite(t)
	h := start(t, st, nil)
	m := h.machine("m", fmt.Sprintf(waitMachine, 3600))
	first := h.begin(m, "x", `{"n":1}`)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			x, err := h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Name: "y", Input: `{"n":1}`})
			if err != nil {
				t.Error(err)
				return
			}
			found, err := st.ExecutionNamed(t.Context(), m.ID, "y")
			if err != nil || found.ID != x.ID || found.StartedAt != x.StartedAt {
				t.Errorf("got %d at %d, the store has %d at %d, %v", x.ID, x.StartedAt, found.ID, found.StartedAt, err)
			}
		})
	}
	all.Wait()
	again := h.begin(m, "x", `{"n":1}`)
	if again.ID != first.ID || again.StartedAt != first.StartedAt {
		t.Errorf("a repeated start gave %d, want %d", again.ID, first.ID)
	}
	f := func(name, input string) {
		t.Helper()
		x, err := h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Name: name, Input: input})
		if !errors.Is(err, store.ErrExists) || x.ID != first.ID {
			t.Errorf("start %s on %s: %d, %v", name, input, x.ID, err)
		}
	}
	f("x", `{"n": 1}`)
	if err := h.Deliver(t.Context(), first.ID, engine.Stopped{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f("x", `{"n":1}`)
	if err := h.Deliver(t.Context(), first.ID, engine.Stopped{At: time.Now()}); !errors.Is(err, engine.ErrNotWaiting) {
		t.Errorf("stopping it again: %v", err)
	}
}

// failing is a store whose commits fail while it is told to.
type failing struct {
	store.Store
	fails  atomic.Bool
	failed atomic.Int64
}

func (f *failing) Commit(ctx context.Context, c *store.Commit) error {
	if f.fails.Load() {
		f.failed.Add(1)
		return fmt.Errorf("commit: %w", store.ErrFull)
	}
	return f.Store.Commit(ctx, c)
}

// held is a task that answers when it is let go.
type held struct {
	calls chan *task.Call
	let   chan struct{}
}

func (h *held) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	h.calls <- c
	select {
	case <-h.let:
		return task.Result{Output: `{"FunctionName":"f"}`}, nil
	case <-ctx.Done():
		return task.Result{}, ctx.Err()
	}
}

// TestCommitFails fills the disk: callers get an error and nothing of theirs
// is kept, while a task's result waits until there is room.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &failing{Store: memory.New()}
		work := &held{make(chan *task.Call, 10), make(chan struct{}, 10)}
		h := start(t, st, func(_ *worker.Config, tasks *task.Registry) { tasks.Add("lambda:invoke", work) })
		m := h.machine("m", chain(taskState, 1))
		x := h.begin(m, "", `{}`)
		<-work.calls

		st.fails.Store(true)
		work.let <- struct{}{}
		_, err := h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Name: "lost", Input: `{}`})
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("start on a full disk: %v", err)
		}
		err = h.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.CreateActivity(ctx, store.Activity{Name: "lost"})
			return err
		})
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("write on a full disk: %v", err)
		}
		<-time.After(time.Minute) // of the bubble's clock: the result is tried again and again
		if n := st.failed.Load(); n < 10 || n > 1000 {
			t.Errorf("%d commits were tried in a minute", n)
		}

		st.fails.Store(false)
		if c := h.wait(x.ID); c.Delta.Status != engine.Succeeded {
			t.Errorf("ended %s", c.Delta.Status)
		}
		if _, err := st.ExecutionNamed(t.Context(), m.ID, "lost"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the refused start: %v", err)
		}
		h.begin(m, "lost", `{}`)
		work.let <- struct{}{}
	})
}

// unsure is a store whose next commit is kept without its saying so, and that does
// not answer who asks then.
type unsure struct {
	store.Store
	next, silent atomic.Bool
}

func (u *unsure) Commit(ctx context.Context, c *store.Commit) error {
	err := u.Store.Commit(ctx, c)
	if u.next.CompareAndSwap(true, false) && err == nil {
		u.silent.Store(true)
		err = fmt.Errorf("commit: %w", store.ErrUnknown)
	}
	return err
}

func (u *unsure) Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error) {
	if u.silent.CompareAndSwap(true, false) {
		return store.Execution{}, errors.New("no answer")
	}
	return u.Store.Execution(ctx, id)
}

// TestTimersAfterAnUnknownOutcome moves a timer to an earlier time by a commit of
// which it is not known whether it was kept. It was: the timer fires then.
func TestTimersAfterAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &unsure{Store: memory.New()}
		h := start(t, st, nil)
		m := h.machine("m", `{"StartAt":"T","States":{
			"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f","T.$":"$$.Task.Token"},"TimeoutSeconds":40,"Next":"W"},
			"W":{"Type":"Wait","Seconds":10,"End":true}}}`)
		began := time.Now()
		x := h.begin(m, "", `{}`)
		synctest.Wait()
		st.next.Store(true)
		h.Post(t.Context(), x.ID, engine.TaskSucceeded{At: time.Now(), Task: engine.TaskID{Frame: 1, Attempt: 1}, Output: engine.Text("{}"), Callback: true}, nil)
		h.wait(x.ID)
		if d := time.Since(began); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("ten seconds took %s", d)
		}
	})
}

// TestKept has what no payload can hold kept, also after a restart in between.
func TestKept(t *testing.T) {
	st := memory.New()
	small := func(k worker.Keeper) func(*worker.Config, *task.Registry) {
		return func(cfg *worker.Config, _ *task.Registry) { cfg.Limits.Payload, cfg.Keeper = 100, k }
	}
	var m store.Machine
	var x store.Execution
	var first *task.Call
	t.Run("first life", func(t *testing.T) {
		silent := &shelf{calls: make(chan *task.Call, 1)}
		h := start(t, st, small(silent))
		m = h.machine("m", `{"StartAt":"M","States":{"M":{"Type":"Parallel","ResultPath":"$.r","End":true,"Branches":[
			{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"0123456789012345678901234567890123456789","End":true}}},
			{"StartAt":"B","States":{"B":{"Type":"Pass","Result":"0123456789012345678901234567890123456789","End":true}}}]}}}`)
		x = h.begin(m, "", `{"in":"0123456789"}`)
		first = <-silent.calls
	})
	t.Run("second life", func(t *testing.T) {
		kept := &shelf{calls: make(chan *task.Call, 1), reference: `{"kept":true}`}
		end := start(t, st, small(kept)).wait(x.ID).Delta
		if end.Output == nil || *end.Output != `{"in":"0123456789","r":{"kept":true}}` {
			t.Errorf("the end is %+v", end)
		}
		second := <-kept.calls
		if first.ID != second.ID || first.Input != second.Input || first.State != "M" || first.MachineARN != "arn:aws:states:us-east-1:123456789012:stateMachine:m" {
			t.Errorf("asked to keep %+v, and then %+v", first, second)
		}
	})
	h := start(t, st, small(&shelf{err: task.Fail("Full", "no room")}))
	end := h.wait(h.begin(m, "", `{"in":"0123456789"}`).ID).Delta
	if end.Error == nil || *end.Error != "Full" || *end.Cause != "no room" {
		t.Errorf("the end is %+v", end)
	}
}

// shelf keeps what it is given; without a reference or an error it never ends.
type shelf struct {
	calls     chan *task.Call
	reference string
	err       error
}

func (*shelf) Keeps(context.Context, string) bool { return true }

func (s *shelf) Keep(ctx context.Context, c *task.Call, _ string) (string, error) {
	if s.calls != nil {
		s.calls <- c
	}
	if s.reference == "" && s.err == nil {
		<-ctx.Done()
	}
	return s.reference, s.err
}

// TestIdleExecutionsLeaveMemory lets many executions wait, and answers them.
func TestIdleExecutionsLeaveMemory(t *testing.T) {
	var mu sync.Mutex
	var tokens []string
	h := start(t, openSQLite(t), func(cfg *worker.Config, tasks *task.Registry) {
		cfg.MaxIdle = 10
		tasks.Add("lambda:invoke", taskFunc(func(_ context.Context, c *task.Call) (task.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, c.Token)
			return task.Result{Output: `{}`}, nil
		}))
	})
	m := h.machine("m", `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f","Payload":{"t.$":"$$.Task.Token"}},"End":true}}}`)
	var started []store.Execution
	for range 200 {
		started = append(started, h.begin(m, "", `{}`))
	}
	for _, x := range started { // every answer comes after the submission it belongs to
		id, taskID := x.ID, engine.TaskID{Frame: 1, Attempt: 1}
		if err := h.Deliver(t.Context(), id, engine.TaskSucceeded{At: time.Now(), Task: taskID, Output: engine.Text(`1`), Callback: true}); err != nil {
			t.Fatal(err)
		}
		if c := h.wait(id); *c.Delta.Output != `1` {
			t.Errorf("output %s", *c.Delta.Output)
		}
	}
	if live := h.Stats().Live; live > 11 {
		t.Errorf("%d executions are in memory", live)
	}
	for _, token := range tokens {
		if _, id, err := h.ParseToken(token); err != nil || id != (engine.TaskID{Frame: 1, Attempt: 1}) {
			t.Errorf("token %s: %v, %v", token, id, err)
		}
		if _, _, err := h.ParseToken(changed(token)); err == nil {
			t.Errorf("a changed token was accepted")
		}
	}
}

type taskFunc func(context.Context, *task.Call) (task.Result, error)

func (f taskFunc) Run(ctx context.Context, c *task.Call) (task.Result, error) { return f(ctx, c) }

// TestBackPressure refuses new executions while too many tasks wait.
func TestBackPressure(t *testing.T) {
	work := &held{make(chan *task.Call, 100), make(chan struct{}, 100)}
	h := start(t, memory.New(), func(cfg *worker.Config, tasks *task.Registry) {
		cfg.MaxTasks, cfg.MaxBacklog = 2, 3
		tasks.Add("lambda:invoke", work)
	})
	m := h.machine("m", chain(taskState, 1))
	var started []store.Execution
	var err error
	for range 7 {
		var x store.Execution
		if x, err = h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Input: `{}`}); err != nil {
			break
		}
		started = append(started, x)
	}
	if !errors.Is(err, store.ErrBusy) || len(started) != 6 {
		t.Errorf("%d were accepted before %v", len(started), err)
	}
	for range started {
		work.let <- struct{}{}
	}
	for _, x := range started {
		h.wait(x.ID)
	}
	if len(work.calls) != len(started) {
		t.Errorf("%d calls for %d executions", len(work.calls), len(started))
	}
	h.begin(m, "", `{}`)
	work.let <- struct{}{}
}

// TestRestartDispatchesAgain ends a worker while a task is being called; the
// next one calls it again, with the same id and input.
func TestRestartDispatchesAgain(t *testing.T) {
	st := memory.New()
	work := &held{make(chan *task.Call, 10), make(chan struct{}, 10)}
	configure := func(_ *worker.Config, tasks *task.Registry) { tasks.Add("lambda:invoke", work) }
	var first *task.Call
	var x store.Execution
	t.Run("first life", func(t *testing.T) {
		h := start(t, st, configure)
		m := h.machine("m", `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload":{"id.$":"States.UUID()","n.$":"$.n"}},"End":true}}}`)
		x = h.begin(m, "", `{"n":1}`)
		first = <-work.calls
	})
	h := start(t, st, configure)
	second := <-work.calls
	if second.ID != first.ID || second.Input != first.Input {
		t.Errorf("called again as\n%s %s, was\n%s %s", second.ID, second.Input, first.ID, first.Input)
	}
	work.let <- struct{}{}
	if c := h.wait(x.ID); c.Delta.Status != engine.Succeeded {
		t.Errorf("ended %s", c.Delta.Status)
	}
}

// TestActivities hands each task out once, in order, to whoever polls.
func TestActivities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, memory.New(), nil)
		var a store.Activity
		if err := h.Write(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
			a, err = tx.CreateActivity(ctx, store.Activity{Name: "a"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		m := h.machine("m", `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}}}`)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if token, _, err := h.Poll(ctx, a, "early"); token != "" || err != nil {
			t.Errorf("an empty queue gave %q, %v", token, err)
		}
		polled := make(chan string, 3)
		for range 3 {
			go func() {
				_, input, err := h.Poll(t.Context(), a, "w")
				if err != nil {
					t.Error(err)
				}
				polled <- input
			}()
		}
		synctest.Wait()
		seen := map[string]bool{}
		for i := range 3 {
			h.begin(m, "", fmt.Sprint(i))
		}
		for range 3 {
			seen[<-polled] = true
		}
		if len(seen) != 3 {
			t.Errorf("handed out %v", seen)
		}
		for i := range 1500 { // more than are held in memory
			h.begin(m, "", fmt.Sprint(i))
		}
		for i := range 1500 {
			token, input, err := h.Poll(t.Context(), a, "w")
			if err != nil || input != fmt.Sprint(i) {
				t.Fatalf("task %d: %s, %v", i, input, err)
			}
			id, taskID, err := h.ParseToken(token)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Deliver(t.Context(), id, engine.TaskSucceeded{At: time.Now(), Task: taskID, Output: engine.Text(input), Callback: true}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// changed gives another token of the same length.
func changed(token string) string {
	last := "A"
	if token[len(token)-1] == 'A' {
		last = "B"
	}
	return token[:len(token)-1] + last
}

// TestRedrive begins a failed execution again, from the store and at the state
// that failed.
func TestRedrive(t *testing.T) {
	fail := atomic.Bool{}
	fail.Store(true)
	h := start(t, openSQLite(t), func(_ *worker.Config, tasks *task.Registry) {
		tasks.Add("lambda:invoke", taskFunc(func(_ context.Context, c *task.Call) (task.Result, error) {
			if fail.Load() {
				return task.Result{}, task.Fail("Boom", "it went off")
			}
			return task.Result{Output: `{"FunctionName":"f"}`}, nil
		}))
	})
	m := h.machine("m", chain(taskState, 2))
	x := h.begin(m, "x", `{}`)
	if c := h.wait(x.ID); c.Delta.Status != engine.Failed {
		t.Fatalf("ended %s", c.Delta.Status)
	}
	fail.Store(false)
	if err := h.Deliver(t.Context(), x.ID, engine.Redriven{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if c := h.wait(x.ID); c.Delta.Status != engine.Succeeded {
		t.Errorf("after the redrive it ended %s", c.Delta.Status)
	}
	found, err := h.Lookup(t.Context(), "m", "x")
	if err != nil || found.Redrives != 1 || found.RedrivenAt == 0 || found.Error != nil {
		t.Errorf("%+v, %v", found, err)
	}
	if err := h.Deliver(t.Context(), x.ID, engine.Redriven{At: time.Now()}); !errors.Is(err, engine.ErrNotWaiting) {
		t.Errorf("redriving what has succeeded: %v", err)
	}
}

// TestStopCancelsTheCall ends the call of a task that nobody waits for any
// more.
func TestStopCancelsTheCall(t *testing.T) {
	work := &held{make(chan *task.Call, 1), make(chan struct{})}
	cancelled := make(chan error, 1)
	h := start(t, memory.New(), func(_ *worker.Config, tasks *task.Registry) {
		tasks.Add("lambda:invoke", taskFunc(func(ctx context.Context, c *task.Call) (task.Result, error) {
			r, err := work.Run(ctx, c)
			cancelled <- err
			return r, err
		}))
	})
	x := h.begin(h.machine("m", chain(taskState, 1)), "", `{}`)
	<-work.calls
	if err := h.Deliver(t.Context(), x.ID, engine.Stopped{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
}
