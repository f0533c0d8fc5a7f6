package worker

import (
	"container/heap"
	"context"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Executions that are due within the window are held in memory; the store has
// them all, by an index.
const (
	timerWindow = time.Minute
	timerPage   = 10000
)

// timers is the part of the due times that comes next. It belongs to the
// worker's lock.
type timers struct {
	until int64                       // all that is due up to here is in due
	armed map[store.ExecutionID]int64 // the valid due time of each
	due   dueHeap                     // may hold times that are not valid any more
	wake  chan struct{}
}

type dueHeap []store.DueExecution

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].Due < h[j].Due }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(store.DueExecution)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// set notes when an execution is due; 0: not at all.
func (t *timers) set(id store.ExecutionID, due int64) {
	if due == 0 || due > t.until {
		if t.armed != nil {
			delete(t.armed, id)
		}
		return
	}
	if t.armed[id] == due {
		return
	}
	if t.armed == nil {
		t.armed = map[store.ExecutionID]int64{}
	}
	t.armed[id] = due
	heap.Push(&t.due, store.DueExecution{ID: id, Due: due})
	if t.due[0].ID == id {
		t.signal()
	}
}

// forget drops all due times, for them to be read again.
func (t *timers) forget() {
	t.until, t.armed, t.due = 0, nil, nil
	t.signal()
}

// signal has FireTimers called soon.
func (t *timers) signal() {
	select {
	case t.wake <- struct{}{}:
	default: // or there is nobody to tell
	}
}

// pop takes out all that is due by now.
func (t *timers) pop(now int64) (ids []store.ExecutionID) {
	for len(t.due) > 0 && t.due[0].Due <= now {
		x := heap.Pop(&t.due).(store.DueExecution)
		if t.armed[x.ID] == x.Due {
			delete(t.armed, x.ID)
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// FireTimers delivers TimerFired to every execution that is due, and returns
// the time at which to call it again.
func (w *Worker) FireTimers(ctx context.Context) (next time.Time, err error) {
	now := w.now()
	w.catchUp(ctx, now)
	if err := w.readTimers(ctx, now); err != nil {
		return now.Add(time.Second), err
	}
	w.mu.Lock()
	ids := w.timers.pop(now.UnixMilli())
	next = time.UnixMilli(w.timers.until).Add(-timerWindow / 4)
	if due := w.timers.due; len(due) > 0 {
		next = earlier(next, time.UnixMilli(due[0].Due))
	}
	if w.doubt || len(w.unread) > 0 {
		next = earlier(next, w.retryAt)
	}
	w.mu.Unlock()
	for _, id := range ids {
		w.Post(ctx, id, engine.TimerFired{At: now}, nil)
	}
	return next, nil
}

// retryAfter is the time before a store that failed is asked again.
const retryAfter = time.Second

// retry has catchUp called after a moment. The lock is held.
func (w *Worker) retry() {
	w.retryAt = w.now().Add(retryAfter)
	w.timers.signal()
}

// catchUp does again, once it is time to, what the store did not answer.
func (w *Worker) catchUp(ctx context.Context, now time.Time) {
	w.mu.Lock()
	if now.Before(w.retryAt) {
		w.mu.Unlock()
		return
	}
	unread, doubt := w.unread, w.doubt
	w.unread, w.doubt = nil, false
	w.mu.Unlock()
	for _, x := range unread {
		w.load(ctx, x)
	}
	if !doubt {
		return
	}
	w.mu.Lock()
	w.ends.tellAll() // it may have been somebody's end
	w.mu.Unlock()
	err := w.Recover(ctx)
	if err == nil && w.cfg.MapRuns != nil {
		err = w.cfg.MapRuns.Recover(ctx)
	}
	if err != nil {
		w.cfg.Log.Error("recovery after a commit of unknown outcome", "error", err)
		w.mu.Lock()
		w.doubt = true
		w.retry()
		w.mu.Unlock()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// readTimers moves the window on. Its new end holds for commits from before
// the store is read, so none can fall between the two.
func (w *Worker) readTimers(ctx context.Context, now time.Time) error {
	w.mu.Lock()
	fresh := w.timers.until-now.UnixMilli() > (timerWindow / 4).Milliseconds()
	before, until := w.timers.until, now.Add(timerWindow).UnixMilli()
	if !fresh {
		w.timers.until = until
	}
	w.mu.Unlock()
	if fresh {
		return nil
	}
	due, err := w.store.Due(ctx, now.Add(timerWindow), timerPage)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timers.until != until { // forgotten since
		return err
	}
	if err != nil {
		w.timers.until = before
		return err
	}
	for _, x := range due {
		if _, armed := w.timers.armed[x.ID]; !armed {
			w.timers.set(x.ID, x.Due)
		}
	}
	if len(due) == timerPage {
		w.timers.until = max(due[len(due)-1].Due, now.UnixMilli()+1)
	}
	return nil
}

// runTimers calls FireTimers when it is time to.
func (w *Worker) runTimers(ctx context.Context) {
	wake := make(chan struct{}, 1)
	w.mu.Lock()
	w.timers.wake = wake
	w.mu.Unlock()
	for {
		next, err := w.FireTimers(ctx)
		if err != nil && ctx.Err() == nil {
			w.cfg.Log.Error("read due times", "error", err)
		}
		timer := time.NewTimer(max(next.Sub(w.cfg.Now()), time.Millisecond))
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}
