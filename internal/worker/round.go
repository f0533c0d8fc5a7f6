package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Bounds of a batch: what is in memory twice, and what a failed commit costs.
const (
	maxBatchEntries = 2000
	maxBatchBytes   = 16 << 20
)

// Batch is what one commit makes durable: the steps of many executions, and
// the control plane's writes.
type Batch struct {
	entries []*entry
	writes  []*write
	late    []lateAnswer
	bytes   int
	commit  store.Commit
}

// entry is one execution's part of a batch.
type entry struct {
	x           *execution
	deliveries  []delivery // consumed by its steps
	commands    []engine.Command
	transitions int64
}

// lateAnswer waits for a batch although it changes nothing: it was worked out
// from what the batch makes durable.
type lateAnswer struct {
	x        *execution
	d        delivery
	o        outcome
	commands []engine.Command // of a resume
}

// refusal is an execution whose part of a commit did not hold, with the
// deliveries that part had consumed.
type refusal struct {
	x          *execution
	deliveries []delivery
	err        error
}

func (b *Batch) empty() bool { return len(b.entries) == 0 && len(b.writes) == 0 && len(b.late) == 0 }
func (b *Batch) full() bool  { return len(b.entries) >= maxBatchEntries || b.bytes >= maxBatchBytes }

// Round applies what is in the mailboxes and adds it to b. It reports whether
// b holds anything. What an execution leaves for later, so as to let others
// run, waits for the next Round: an endless loop must not keep them from their
// commit.
func (w *Worker) Round(b *Batch) bool {
	w.dropRefused(b)
	w.takeBack(b)
	w.mu.Lock()
	ready := w.ready.len()
	w.mu.Unlock()
	for ; ready > 0 && !b.full(); ready-- {
		x, deliveries := w.take()
		if x == nil {
			break
		}
		w.applyAll(b, x, deliveries)
	}
	w.mu.Lock()
	b.writes = append(b.writes, w.writes...)
	w.writes = nil
	w.mu.Unlock()
	return !b.empty()
}

// take empties the mailbox of the execution that has been ready longest.
func (w *Worker) take() (*execution, []delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		x, ok := w.ready.pop()
		if !ok {
			return nil, nil
		}
		x.ready = false
		if x.aside != nil {
			continue
		}
		deliveries := x.mailbox
		x.mailbox = nil
		return x, deliveries
	}
}

func (w *Worker) applyAll(b *Batch, x *execution, deliveries []delivery) {
	for i, d := range deliveries {
		if x.snap == nil { // its last commit failed while this was on its way
			w.giveBack(x, deliveries[i:])
			return
		}
		if d.ev == nil {
			if err := w.resume(b, x, d); err != nil {
				w.park(b, x, d, err, deliveries[i+1:])
				return
			}
			continue
		}
		var step engine.Step
		var err error
		if w.beside && x.machine.computes {
			a := w.applyBeside(b, x, deliveries[i:])
			if a == nil { // the rest follows when it comes back
				return
			}
			step, err = a.step, a.err
		} else {
			step, err = apply(x.env, x.snap, d.ev)
		}
		if !w.applied(b, x, deliveries[i:], step, err) {
			return
		}
	}
}

// applied adds the outcome of the first of deliveries to b. It returns false
// if x is parked, with those that follow.
func (w *Worker) applied(b *Batch, x *execution, deliveries []delivery, step engine.Step, err error) bool {
	d := deliveries[0]
	switch {
	case err == nil:
		e := b.entry(x)
		e.deliveries = append(e.deliveries, d)
		e.commands = append(e.commands, step.Commands...)
		e.transitions += step.Transitions
		b.bytes += step.Bytes
		early := x.early
		x.early = nil
		if step.More {
			early = append([]delivery{{ev: engine.Continued{At: w.now()}}}, early...)
			w.pin(x, 1)
		}
		w.giveBack(x, early)
	case errors.Is(err, engine.ErrEarly):
		x.early = append(x.early, d)
	case errors.Is(err, engine.ErrNotWaiting):
		b.late = append(b.late, lateAnswer{x: x, d: d, o: outcome{err: err}})
	default:
		w.park(b, x, d, err, deliveries[1:])
		return false
	}
	return true
}

// apply is engine.Apply; a panic in it is an error like any other.
func apply(env *engine.Env, snap *engine.Snapshot, ev engine.Event) (step engine.Step, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("defect in the engine: %v\n%s", r, debug.Stack())
		}
	}()
	return engine.Apply(env, snap, ev)
}

// entry is x's part of b.
func (b *Batch) entry(x *execution) *entry {
	if x.entry == nil {
		x.entry = &entry{x: x}
		b.entries = append(b.entries, x.entry)
	}
	return x.entry
}

// giveBack puts deliveries back at the front of the mailbox. Their pins have
// stayed.
func (w *Worker) giveBack(x *execution, deliveries []delivery) {
	if len(deliveries) == 0 {
		return
	}
	w.mu.Lock()
	x.mailbox = slices.Concat(deliveries, x.mailbox)
	load := x.snap == nil && !x.loading
	if load {
		x.loading = true
	}
	w.makeReady(x)
	w.mu.Unlock()
	if load {
		w.load(w.ctx, x)
	}
}

func (w *Worker) pin(x *execution, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.pins += n
}

// park sets an execution aside in which an event met a defect: nobody is
// served a wrong result, and everybody else goes on. It stays as it was last
// committed, and the event is in the log.
func (w *Worker) park(b *Batch, x *execution, d delivery, err error, rest []delivery) {
	w.cfg.Log.Error("execution parked", "execution", x.id, "event", fmt.Sprintf("%T", d.ev), "error", err)
	lost := append([]delivery{d}, rest...)
	if e := x.entry; e != nil {
		lost = append(lost, e.deliveries...)
		b.entries = slices.DeleteFunc(b.entries, func(other *entry) bool { return other == e })
	}
	lost = append(lost, x.early...)
	w.mu.Lock()
	w.release(x)
	x.snap, x.entry, x.early = nil, nil, nil
	x.pins -= len(lost)
	lost = append(lost, x.mailbox...)
	x.mailbox = nil
	delete(w.live, x.id)
	w.mu.Unlock()
	for _, d := range lost {
		if d.done != nil {
			d.done(outcome{err: fmt.Errorf("execution %d is parked: %w", x.id, err)})
		}
	}
}

// Close fixes what b will commit. Nothing is added to it afterwards.
func (w *Worker) Close(b *Batch) {
	w.dropRefused(b)
	w.reconsider(b)
	b.commit.Executions = make([]store.ExecutionCommit, len(b.entries))
	for i, e := range b.entries {
		x := e.x
		c := &b.commit.Executions[i]
		*c = store.ExecutionCommit{ID: x.id, Version: x.version, Delta: x.snap.Flush()}
		if x.version == 0 {
			c.New = x.fresh
		}
		w.activities.gather(c, e.commands)
		w.gatherMapRuns(c, e.commands)
		x.version++
		x.entry = nil
	}
	w.bind(b)
	b.commit.Writes = make([]store.Write, len(b.writes))
	for i, op := range b.writes {
		b.commit.Writes[i] = op.Write
	}
}

// Commit makes a closed batch durable and acts on it. On an error nothing of
// it has happened: pass it to Rollback, with every batch that was closed or
// begun since.
func (w *Worker) Commit(ctx context.Context, b *Batch) error {
	if len(b.entries) > 0 || len(b.writes) > 0 {
		err := w.store.Commit(ctx, &b.commit)
		if errors.Is(err, store.ErrUnknown) {
			err = w.readBack(ctx, b, err)
		}
		if err != nil {
			return err
		}
	}
	w.act(b)
	return nil
}

// readBack finds out what became of a commit whose outcome is unknown: its
// executions have the version it would have given them, or they do not.
func (w *Worker) readBack(ctx context.Context, b *Batch, unknown error) error {
	if len(b.writes) > 0 { // closures leave no version to compare
		return unknown
	}
	for i := range b.commit.Executions {
		c := &b.commit.Executions[i]
		x, err := w.store.Execution(ctx, c.ID)
		if errors.Is(err, store.ErrNotFound) {
			return unknown
		}
		if err != nil {
			return fmt.Errorf("%w; reading back: %w", unknown, err)
		}
		if x.Version != c.Version+1 {
			return unknown
		}
	}
	return nil
}

// act lets the outside hear of a batch that is durable.
func (w *Worker) act(b *Batch) {
	for i, e := range b.entries {
		if c := &b.commit.Executions[i]; c.Err != nil {
			w.refuse(e.x, e.deliveries, c.Err)
		}
	}
	for _, l := range b.late { // before what may cancel it again
		for _, command := range l.commands {
			if l.x.refused {
				continue
			}
			switch cmd := command.(type) {
			case *engine.Dispatch:
				w.dispatch(l.x, cmd)
			case *engine.Poll:
				w.poll(l.x, cmd)
			case *engine.Keep:
				w.keep(l.x, cmd)
			case *engine.StartMapRun:
				w.startMapRun(l.x, cmd)
			}
		}
	}
	for i, e := range b.entries {
		c := &b.commit.Executions[i]
		if c.Err != nil {
			continue
		}
		w.counts.transitions.Add(e.transitions)
		if log := e.x.machine.log; log != nil && c.Delta.History.Count > 0 {
			log(e.x.arn, c.Delta.Redrives, c.Delta.History)
		}
		w.taken(e.deliveries...)
		w.settle(e, c)
		w.carryOut(e, c)
	}
	for i, op := range b.writes {
		if err := b.commit.Writes[i].Err; err == nil {
			for _, t := range op.told {
				w.tell(t)
			}
		}
		op.done <- b.commit.Writes[i].Err
	}
	if len(b.writes) > 0 {
		w.activities.forget()
	}
	for _, l := range b.late {
		if l.x.refused { // worked out from what did not become durable
			w.refuse(l.x, []delivery{l.d}, store.ErrConflict)
			continue
		}
		w.taken(l.d)
		w.answer(l.x, []delivery{l.d}, l.o)
	}
	if w.cfg.Committed != nil {
		for i := range b.commit.Executions {
			if c := &b.commit.Executions[i]; c.Err == nil {
				w.cfg.Committed(c)
			}
		}
	}
}

// settle notes that x is durable, and arms its timer.
func (w *Worker) settle(e *entry, c *store.ExecutionCommit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := e.x
	x.durable = c.Version + 1
	x.ended = c.Delta.Status != engine.Running
	if x.ended {
		w.ends.tell(x.id)
	}
	w.release(x)
	w.timers.set(x.id, c.Delta.Due)
}

// answer calls back those who delivered, and lets x go from memory if nothing
// holds it.
func (w *Worker) answer(x *execution, deliveries []delivery, o outcome) {
	for _, d := range deliveries {
		if d.done != nil {
			d.done(o)
		}
	}
	w.unpin(x, len(deliveries))
}

func (w *Worker) unpin(x *execution, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.pins -= n
	if x.pins > 0 || w.live[x.id] != x {
		return
	}
	if x.ended {
		delete(w.live, x.id)
		return
	}
	if x.idleAt == nil {
		w.idle.add(x)
	}
	for w.idle.n > w.cfg.MaxIdle {
		old := w.idle.first.x
		w.idle.remove(old)
		delete(w.live, old.id)
	}
}

// refuse notes that an execution's own part of a commit did not hold. The
// next round takes out what has grown on it since.
func (w *Worker) refuse(x *execution, deliveries []delivery, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(x)
	if w.live[x.id] == x {
		delete(w.live, x.id)
	}
	x.refused = true
	w.refused = append(w.refused, refusal{x, deliveries, err})
	w.signal()
}

// dropRefused takes refused executions out of b, the open batch: what they
// did in it grew on something that the store does not have. Those who wait
// get the error; the other events start anew from what the store has.
func (w *Worker) dropRefused(b *Batch) {
	w.mu.Lock()
	list := w.refused
	w.refused = nil
	w.mu.Unlock()
	if w.without(Prune) {
		return
	}
	for _, r := range list {
		x, deliveries := r.x, r.deliveries
		if e := x.entry; e != nil {
			deliveries = append(deliveries, e.deliveries...)
			b.entries = slices.DeleteFunc(b.entries, func(other *entry) bool { return other == e })
		}
		b.late = slices.DeleteFunc(b.late, func(l lateAnswer) bool {
			if l.x == x {
				deliveries = append(deliveries, l.d)
			}
			return l.x == x
		})
		w.mu.Lock()
		deliveries = slices.Concat(deliveries, x.abandon(), x.early, x.mailbox)
		x.snap, x.entry, x.early, x.mailbox = nil, nil, nil, nil
		w.mu.Unlock()
		for _, d := range deliveries {
			switch {
			case d.done != nil:
				d.done(outcome{err: r.err})
			case errors.Is(r.err, store.ErrConflict):
				w.post(w.ctx, x.id, d)
			}
		}
	}
}

// Rollback forgets batches that are not durable, oldest first. Events that
// somebody waits for are answered with the error; the others go back to their
// mailboxes, in order, and are applied to what the store has.
func (w *Worker) Rollback(err error, batches ...*Batch) {
	var again []*execution
	back := map[*execution][]delivery{}
	put := func(x *execution, d delivery) {
		if _, seen := back[x]; !seen {
			again = append(again, x)
			back[x] = nil
		}
		if d.done == nil && !w.without(Requeue) {
			back[x] = append(back[x], d)
			return
		}
		if d.done != nil {
			d.done(outcome{err: err})
		}
		w.pin(x, -1)
	}
	for _, b := range batches {
		for _, e := range b.entries {
			for _, d := range e.deliveries {
				put(e.x, d)
			}
		}
		for _, l := range b.late {
			put(l.x, l.d)
		}
		b.answerWrites(err)
	}
	for _, x := range again {
		w.forget(x, back[x])
	}
	if errors.Is(err, store.ErrUnknown) && !w.without(Doubt) { // it may have been kept after all, and nothing of it was done
		w.activities.rewindAll()
		w.mu.Lock()
		w.doubt = true
		w.timers.forget() // those that were kept may have moved
		w.retry()
		w.mu.Unlock()
	}
}

// forget drops what is in memory of x; its deliveries start anew from the
// store. An execution that was never committed is gone.
func (w *Worker) forget(x *execution, deliveries []delivery) {
	w.mu.Lock()
	deliveries = slices.Concat(deliveries, x.abandon(), x.early)
	x.snap, x.env, x.entry, x.early, x.ended = nil, nil, nil, nil, false
	w.idle.remove(x)
	if x.durable == 0 {
		w.release(x)
		delete(w.live, x.id)
		x.mailbox = append(deliveries, x.mailbox...)
		lost := x.mailbox
		x.mailbox = nil
		w.mu.Unlock()
		for _, d := range lost {
			if d.done != nil {
				d.done(outcome{err: store.ErrNotFound})
			}
		}
		return
	}
	x.mailbox = slices.Concat(deliveries, x.mailbox)
	if len(x.mailbox) == 0 {
		if x.pins == 0 {
			delete(w.live, x.id)
		}
		w.mu.Unlock()
		return
	}
	x.loading = true
	w.mu.Unlock()
	w.load(w.ctx, x)
}

// Run sets the worker in motion until ctx ends. What was in memory only is
// done again at the next start.
func (w *Worker) Run(ctx context.Context) error {
	w.beside = true
	defer w.asides.Wait()
	if err := w.Recover(ctx); err != nil {
		return err
	}
	closed := make(chan *Batch)
	committed := make(chan error)
	go func() {
		for b := range closed {
			committed <- w.Commit(context.WithoutCancel(ctx), b)
		}
	}()
	go w.runTimers(ctx)
	defer close(closed)

	open := &Batch{}
	var syncing *Batch // closed, being committed
	var result <-chan error
	for {
		w.Round(open)
		if syncing == nil && !open.empty() {
			w.Close(open)
			syncing, open, result = open, &Batch{}, committed
			closed <- syncing
			continue
		}
		wake := w.wake
		if open.full() {
			wake = nil // no more before the commit is through
		}
		select {
		case err := <-result:
			if err != nil {
				w.commitFailed(ctx, err, syncing, open)
				open = &Batch{}
			}
			syncing, result = nil, nil
		case <-wake:
		case <-ctx.Done():
			if syncing != nil {
				if err := <-result; err != nil {
					syncing.answerWrites(err)
				}
			}
			open.answerWrites(errStopped)
			return nil
		}
	}
}

// errStopped is for writes that the worker did not get to.
var errStopped = errors.New("the server has stopped")

// answerWrites tells those who wait for b's writes that nothing was kept.
func (b *Batch) answerWrites(err error) {
	for _, op := range b.writes {
		op.done <- err
	}
}

// commitFailed goes back to what is durable, and waits a moment where trying
// again at once would not help.
func (w *Worker) commitFailed(ctx context.Context, err error, batches ...*Batch) {
	if errors.Is(err, store.ErrBroken) {
		w.cfg.Fatal(err)
	}
	w.cfg.Log.Error("commit failed", "error", err)
	w.Rollback(fmt.Errorf("nothing was kept: %w", err), batches...)
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}
