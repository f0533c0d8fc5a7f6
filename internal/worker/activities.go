package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// maxQueued is how many waiting tasks of an activity are held in memory; the
// rest is read from the store when their turn comes.
const maxQueued = 1000

// activities hands the tasks of activities to those who poll for them.
type activities struct {
	w      *Worker
	mu     sync.Mutex
	known  map[string]store.Activity // by name; ID 0: there is none
	queues map[store.ActivityID]*activityQueue
}

// activityQueue holds the next waiting tasks of an activity.
type activityQueue struct {
	tasks   queue[store.QueuedTask]
	last    int64 // Seq of the newest task that was in tasks
	more    bool  // the store may have tasks after last
	waiters queue[chan struct{}]
}

func (a *activities) init(w *Worker) {
	a.w = w
	a.known = map[string]store.Activity{}
	a.queues = map[store.ActivityID]*activityQueue{}
}

// exists says whether an activity is registered under the ARN.
func (a *activities) exists(text string) bool { return a.find(text).ID != 0 }

// find reads an activity by its ARN, once between two control-plane writes. Where
// the ARN is of an account or a region that is not served, or of another account
// that has no such activity, the name counts alone: definitions that come from
// elsewhere find the activities that were made for them here.
func (a *activities) find(text string) store.Activity {
	name, ok := arn.Parse(text)
	if !ok || name.Type != "activity" || len(name.Parts) != 1 {
		return store.Activity{}
	}
	if kept, ok := a.w.cfg.Scheme.Find(name); ok {
		if found := a.named(kept); found.ID != 0 {
			return found
		}
	}
	return a.named(name.Parts[0])
}

// named reads an activity by its name, once between two control-plane writes.
func (a *activities) named(name string) store.Activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found, ok := a.known[name]; ok {
		return found
	}
	found, err := a.w.store.Activity(a.w.ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.w.cfg.Log.Error("read activity", "activity", name, "error", err)
		return store.Activity{}
	}
	a.known[name] = found
	return found
}

// forget drops what is known of activities: they may have changed.
func (a *activities) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.known)
}

// gather turns the commands about activity queues into part of a commit.
func (a *activities) gather(c *store.ExecutionCommit, commands []engine.Command) {
	for _, command := range commands {
		switch cmd := command.(type) {
		case *engine.Enqueue:
			if found := a.find(cmd.Activity); found.ID != 0 {
				c.Enqueue = append(c.Enqueue, store.QueuedTask{Activity: found.ID, Task: cmd.Task})
			}
		case *engine.Dequeue:
			c.Dequeue = append(c.Dequeue, cmd.Task)
		}
	}
}

// queue is the queue of an activity, which begins with what the store has.
func (a *activities) queue(id store.ActivityID) *activityQueue {
	q := a.queues[id]
	if q == nil {
		q = &activityQueue{more: true}
		a.queues[id] = q
	}
	return q
}

// offer adds tasks that have become durable.
func (a *activities) offer(tasks []store.QueuedTask) {
	if len(tasks) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range tasks {
		q := a.queues[t.Activity]
		if q == nil {
			continue
		}
		if q.tasks.len() >= maxQueued {
			q.more = true
		}
		if !q.more {
			q.tasks.push(t)
			q.last = t.Seq
		}
		if waiter, ok := q.waiters.pop(); ok {
			close(waiter)
		}
	}
}

// next takes the task that has waited longest, and waits for one if there is
// none.
func (a *activities) next(ctx context.Context, id store.ActivityID) (store.QueuedTask, error) {
	for {
		waiter := make(chan struct{})
		t, ok, err := a.first(ctx, id, waiter)
		if ok || err != nil {
			return t, err
		}
		select {
		case <-waiter:
		case <-ctx.Done():
			a.leave(id, waiter)
			return store.QueuedTask{}, ctx.Err()
		}
	}
}

// first takes the task that has waited longest. If there is none, waiter is
// closed when one comes; nil: nobody waits.
func (a *activities) first(ctx context.Context, id store.ActivityID, waiter chan struct{}) (t store.QueuedTask, ok bool, err error) {
	for {
		a.mu.Lock()
		q := a.queue(id)
		if t, ok := q.tasks.pop(); ok {
			a.mu.Unlock()
			return t, true, nil
		}
		if !q.more {
			if waiter != nil {
				q.waiters.push(waiter)
			}
			a.mu.Unlock()
			return t, false, nil
		}
		last := q.last
		a.mu.Unlock()
		if err := a.read(ctx, id, last); err != nil {
			return t, false, err
		}
	}
}

// read fills a queue from the store, with the tasks after last.
func (a *activities) read(ctx context.Context, id store.ActivityID, last int64) error {
	// Tasks offered from here on are in the page, or come after it: a queue
	// with more to read takes none.
	tasks, err := a.w.store.Queued(ctx, id, last, maxQueued)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue(id)
	if q.last != last || !q.more { // another poll was faster
		return nil
	}
	for _, t := range tasks {
		q.tasks.push(t)
		q.last = t.Seq
	}
	if len(tasks) == 0 {
		q.more = false
	}
	return nil
}

// leave withdraws a waiter; if it was called in the meantime, the next one is.
func (a *activities) leave(id store.ActivityID, waiter chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue(id)
	kept := queue[chan struct{}]{}
	found := false
	for {
		other, ok := q.waiters.pop()
		if !ok {
			break
		}
		if other == waiter {
			found = true
			continue
		}
		kept.push(other)
	}
	q.waiters = kept
	if !found {
		if other, ok := q.waiters.pop(); ok {
			close(other)
		}
	}
}

// poll hands out the next task once its ActivityStarted is durable.
func (a *activities) poll(ctx context.Context, activity store.Activity, workerName string) (token, input string, err error) {
	type answer struct {
		token, input string
		err          error
	}
	answers := make(chan answer, 1)
	for {
		t, err := a.next(ctx, activity.ID)
		if err != nil && ctx.Err() != nil {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		// The claim goes through even if the one who polled has gone: what
		// happens then is up to the task's timeouts.
		a.claim(t, workerName, func(token, input string, err error) { answers <- answer{token, input, err} })
		select {
		case got := <-answers:
			if got.token != "" || got.err != nil {
				return got.token, got.input, got.err
			}
		case <-a.w.ctx.Done():
			return "", "", a.w.ctx.Err()
		}
	}
}

// take is poll without any wait.
func (a *activities) take(ctx context.Context, activity store.Activity, workerName string, done func(token, input string, err error)) (bool, error) {
	t, ok, err := a.first(ctx, activity.ID, nil)
	if ok {
		a.claim(t, workerName, done)
	}
	return ok, err
}

// claim asks the execution to hand the task out.
func (a *activities) claim(t store.QueuedTask, workerName string, done func(token, input string, err error)) {
	ev := engine.ActivityStarted{At: a.w.now(), Task: t.Task, Worker: workerName}
	a.w.post(a.w.ctx, t.Execution, delivery{ev: ev, done: func(o outcome) {
		switch {
		case errors.Is(o.err, engine.ErrNotWaiting), errors.Is(o.err, store.ErrNotFound), o.err == nil && o.command == nil:
			done("", "", nil)
		case o.err != nil:
			a.rewind(t.Activity)
			done("", "", o.err)
		default:
			done(o.command.Token, o.command.Input.JSON(), nil)
		}
	}})
}

// rewindAll rewinds every queue, and has everybody look who waits.
func (a *activities) rewindAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.queues {
		q.tasks, q.last, q.more = queue[store.QueuedTask]{}, 0, true
		for waiter, ok := q.waiters.pop(); ok; waiter, ok = q.waiters.pop() {
			close(waiter)
		}
	}
}

// rewind reads a queue again from its start: a claim was not kept.
func (a *activities) rewind(id store.ActivityID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue(id)
	q.tasks, q.last, q.more = queue[store.QueuedTask]{}, 0, true
}
