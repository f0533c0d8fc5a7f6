package binding_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// cut is a store whose process dies: from some commit on nothing is kept.
type cut struct {
	store.Store
	left atomic.Int64 // commits that are still kept
}

var errCut = errors.New("the power is gone")

func (c *cut) Commit(ctx context.Context, x *store.Commit) error {
	if c.left.Add(-1) < 0 {
		return errCut
	}
	return c.Store.Commit(ctx, x)
}

func (*cut) Close() error { return nil }

// A process that dies after any of the commits of submit, approve and resume
// loses no approval, and does nothing twice.
func TestDiesAfterAnyCommit(t *testing.T) {
	for n := int64(0); ; n++ {
		done := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := memory.New()
				defer base.Close()
				dying := &cut{Store: base}
				dying.left.Store(1 << 40)
				w := open(t, dying)
				w.fill()
				x := w.start(machine(runTask+`,"HeartbeatSeconds":3600`), `{}`)

				dying.left.Store(n)
				approved := work(w)
				done = approved && dying.left.Load() >= 0
				w.stop()

				old := w
				w = open(t, base)
				w.user, w.agents = old.user, old.agents
				defer w.stop()
				synctest.Wait()
				if approved { // it was told so
					w.execution(x, engine.Succeeded)
				}
				for range 5 { // or it goes on
					if work(w) {
						break
					}
					time.Sleep(11 * time.Minute)
					_, err := w.Sweep(w.Context(), time.Now())
					w.must(err)
				}
				w.execution(x, engine.Succeeded)
				all := w.tasks("")
				if len(all) != 1 || all[0].State != control.Done {
					t.Errorf("the board has %d tasks, the first is %s", len(all), all[0].State)
				}
				if n := strings.Count(w.history(x), "TaskSucceeded"); n != 1 {
					t.Errorf("the task has succeeded %d times", n)
				}
				if n := w.rows("inbox"); n != 0 {
					t.Errorf("%d rows are left in the inbox", n)
				}
			})
		})
		if done || t.Failed() {
			return
		}
	}
}

// work does what is left to do of WEB-1 and reports whether it is approved. Its
// errors are those of a process that dies.
func work(w *world) (approved bool) {
	t, err := w.Task(w.Context(), w.as(w.user), "WEB-1")
	if err != nil {
		return false
	}
	if t.State == control.Assigned {
		got, err := w.Claim(w.Context(), w.as(w.agents["writer"]), "WEB-1")
		if err != nil {
			return false
		}
		synctest.Wait()
		_, err = w.Submit(w.Context(), w.as(w.agents["writer"]), "WEB-1", got.LeaseToken, control.Submission{Output: json.RawMessage(`1`)})
		if err != nil {
			return false
		}
	}
	synctest.Wait()
	inbox, _, err := w.ReviewInbox(w.Context(), w.as(w.user), control.Page{Limit: 10})
	if err == nil && len(inbox) == 1 {
		_, err = w.Decide(w.Context(), w.as(w.user), inbox[0].Review.ID, control.Decision{Verdict: "approve"})
	}
	synctest.Wait()
	if t, err2 := w.Task(w.Context(), w.as(w.user), "WEB-1"); err != nil || err2 != nil || t.State != control.Done {
		return false
	}
	return true
}

// Of an approval and an end of the wait that come together one holds: either the
// state has succeeded, or the verdict was refused.
func TestApproveAgainstEnd(t *testing.T) {
	for i := range 200 {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowStore{Store: memory.New()}
			w := open(t, slow)
			defer func() { w.stop(); slow.Close() }()
			w.fill()
			timeout := i%2 == 0
			fields := runTask
			if timeout {
				fields += `,"TimeoutSeconds":60`
			}
			x := w.start(machine(fields), `{}`)
			began, err := w.store.Execution(w.Context(), x)
			w.must(err)
			w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `1`)
			r := w.review()
			// The end comes within some milliseconds of the verdict, and a commit
			// takes some, too.
			time.Sleep(time.Until(time.UnixMilli(began.StartedAt).Add(60*time.Second - 10*time.Millisecond)))
			ended := make(chan error, 1)
			go func() {
				time.Sleep(time.Duration(i) * 200 * time.Microsecond)
				if timeout {
					ended <- nil
					return
				}
				ended <- w.worker.Deliver(w.Context(), x, engine.Stopped{At: time.Now()})
			}()
			time.Sleep(time.Duration(i%20) * time.Millisecond)
			_, verdict := w.Decide(w.Context(), w.as(w.user), r.ID, control.Decision{Verdict: "approve"})
			stopped := <-ended
			time.Sleep(time.Second)
			synctest.Wait()
			got, err := w.store.Execution(w.Context(), x)
			w.must(err)
			it := w.task("WEB-1")
			switch {
			case verdict == nil && got.Status == engine.Succeeded && it.State == control.Done && (timeout || errors.Is(stopped, engine.ErrNotWaiting)):
			case refused(verdict, control.NoLongerWaiting) && got.Status != engine.Succeeded && it.State == control.Cancelled && stopped == nil:
			default:
				t.Errorf("%d: verdict %v, stop %v, execution %s, task %s", i, verdict, stopped, got.Status, it.State)
			}
			if n := w.rows("inbox"); n != 0 {
				t.Errorf("%d rows are left in the inbox", n)
			}
		})
	}
}

// slowStore takes some time for each commit, as a disk does.
type slowStore struct{ store.Store }

func (s *slowStore) Commit(ctx context.Context, c *store.Commit) error {
	time.Sleep(3 * time.Millisecond)
	return s.Store.Commit(ctx, c)
}

// Stopped while its task is being put on the board, an execution leaves nothing
// there.
func TestStopAgainstBegin(t *testing.T) {
	for i := range 60 {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowStore{Store: memory.New()}
			w := open(t, slow)
			defer func() { w.stop(); slow.Close() }()
			w.fill()
			var x store.Execution
			var m store.Machine
			w.must(w.worker.Write(w.Context(), func(ctx context.Context, tx store.Tx) (err error) {
				m, err = tx.CreateMachine(ctx, store.Machine{Name: "m", Type: "STANDARD"}, store.Revision{Definition: machine(runTask)})
				return err
			}))
			x, err := w.worker.Start(w.Context(), store.Start{Machine: m, Revision: m.Current, Input: `{}`})
			w.must(err)
			for range 4 { // there is always a commit under way
				go func() {
					for range 20 {
						w.worker.Write(w.Context(), func(context.Context, store.Tx) error { return nil })
					}
				}()
			}
			time.Sleep(time.Duration(i) * 250 * time.Microsecond)
			w.must(w.worker.Deliver(w.Context(), x.ID, engine.Stopped{At: time.Now()}))
			time.Sleep(time.Second)
			synctest.Wait()
			for _, it := range w.tasks("") {
				if it.State != control.Cancelled {
					t.Errorf("%d: %s is %s", i, it.Key, it.State)
				}
			}
		})
	}
}

// Ten thousand reviews that wait take no goroutine.
func TestManyReviewsTakeNoGoroutines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	test(t, func(w *world) {
		const count = 10_000
		before := runtime.NumGoroutine()
		var x store.ExecutionID
		for range count {
			x = w.start(machine(`"Resource":"arn:aws:states:::review:request.sync","Parameters":{"Project":"WEB","Title":"Go"}`), `{}`)
		}
		if n := w.rows("wait"); n != count {
			t.Errorf("%d wait", n)
		}
		if after := runtime.NumGoroutine(); after > before+20 {
			t.Errorf("there were %d goroutines, and are %d", before, after)
		}
		w.must(w.worker.Deliver(w.Context(), x, engine.Stopped{At: time.Now()}))
		if r, err := w.Review(w.Context(), w.as(w.user), w.lastReview); err != nil || r.Status != "withdrawn" {
			t.Errorf("the review of the one that was stopped is %v, %v", r, err)
		}
	})
}

// Callbacks are the open tasks of executions, page by page, without those of the
// board; they are answered by ids that are not their tokens.
func TestCallbacks(t *testing.T) {
	test(t, func(w *world) {
		lambda := `"Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","TimeoutSeconds":3600,"Parameters":{"FunctionName":"f","Payload":{"n.$":"$","t.$":"$$.Task.Token"}}`
		var all []store.ExecutionID
		for i := range 7 {
			all = append(all, w.start(machine(lambda), fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		w.start(machine(runTask), `{}`)
		both := w.start(`{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$","End":true,"ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task",`+lambda+`,"End":true}}}}}}`, `[1,2,3,4,5]`)
		for _, limit := range []int{1, 2, 3, 5, 50} {
			seen := map[string]bool{}
			for cursor := ""; ; {
				page, next, err := w.callbacks.List(w.Context(), cursor, limit)
				w.must(err)
				if len(page) > limit {
					t.Fatalf("%d on a page of %d", len(page), limit)
				}
				for _, c := range page {
					if seen[c.ID] || c.Resource != "arn:aws:states:::lambda:invoke.waitForTaskToken" || !strings.Contains(string(c.Input), `"t":"(token)"`) || c.TimeoutAt.Sub(c.Since) != time.Hour {
						t.Errorf("%+v %s", c, c.Input)
					}
					seen[c.ID] = true
				}
				if next == "" {
					break
				}
				cursor = next
			}
			if len(seen) != 12 {
				t.Errorf("pages of %d have %d callbacks, want 12", limit, len(seen))
			}
		}
		w.must(w.callbacks.Succeed(w.Context(), fmt.Sprintf("cb-%d-1-1", all[0]), "user:ana", json.RawMessage(`{"ok":true}`)))
		if got := w.execution(all[0], engine.Succeeded); deref(got.Output) != `{"ok":true}` {
			t.Error(deref(got.Output))
		}
		w.must(w.callbacks.Fail(w.Context(), fmt.Sprintf("cb-%d-1-1", all[1]), "user:ana", "No", "not today"))
		if got := w.execution(all[1], engine.Failed); deref(got.Error) != "No" {
			t.Error(deref(got.Error))
		}
		for _, id := range []string{fmt.Sprintf("cb-%d-1-1", all[0]), fmt.Sprintf("cb-%d-1-1", both), "cb-999-1-1", "cb-1-1-1x", "x", "cb-8-1-1"} {
			if err := w.callbacks.Succeed(w.Context(), id, "user:ana", json.RawMessage(`1`)); err == nil {
				t.Errorf("%s was answered", id)
			}
		}
	})
}
