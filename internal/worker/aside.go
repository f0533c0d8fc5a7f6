package worker

import (
	"runtime"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
)

// aside is an Apply on a goroutine of its own. Most come back at once. One that
// evaluates an expression for more than about a millisecond leaves the round,
// so that nobody else's commit waits for it, and goes on in one of a few slots:
// what hostile expressions may use of cores and memory at a time is what fits
// into the slots. Its execution takes no events meanwhile.
type aside struct {
	x          *execution
	snap       *engine.Snapshot
	deliveries []delivery // the first is applied, the others follow it

	// What x had in the open batch goes along: it can only be committed with a
	// snapshot that stands still.
	entry *entry
	late  []lateAnswer

	step  engine.Step
	err   error
	done  chan struct{} // closed at the end of one that did not leave
	left  chan struct{} // closed when it leaves the round
	began time.Time     // in its slot; zero before it leaves
	rest  time.Time     // when others are let run next
}

// An aside rests so long every so often. Were it to yield only, the scheduler
// would never be idle and would look at the network every 10 ms.
const (
	restEvery = time.Millisecond
	restFor   = 20 * time.Microsecond
)

// slots are for all workers of the process, which share its processors: all but
// one, so that what others have to do finds one.
var slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))

// applyBeside applies the first of deliveries. It returns nil if that takes
// long; takeBack goes on with it then.
func (w *Worker) applyBeside(b *Batch, x *execution, deliveries []delivery) *aside {
	a := &aside{x: x, snap: x.snap, deliveries: deliveries, done: make(chan struct{}), left: make(chan struct{})}
	env := x.env
	env.Interrupt = func() bool { return w.interrupt(a) }
	w.asides.Go(func() {
		a.step, a.err = apply(env, a.snap, a.deliveries[0].ev)
		if a.began.IsZero() {
			close(a.done)
			return
		}
		<-slots
		w.mu.Lock()
		w.back = append(w.back, a)
		w.signal()
		w.mu.Unlock()
	})
	select {
	case <-a.done:
		return a
	case <-a.left:
	}
	a.entry = x.entry
	b.entries = slices.DeleteFunc(b.entries, func(e *entry) bool { return e.x == x })
	b.late = slices.DeleteFunc(b.late, func(l lateAnswer) bool {
		if l.x == x {
			a.late = append(a.late, l)
		}
		return l.x == x
	})
	w.mu.Lock()
	x.aside = a
	w.mu.Unlock()
	return nil
}

// interrupt is the engine asking, about every millisecond, whether to give an
// expression up. The first time it leaves the round and waits for a slot.
func (w *Worker) interrupt(a *aside) bool {
	if a.began.IsZero() {
		close(a.left)
		slots <- struct{}{}
		a.began = time.Now()
	}
	now := time.Now()
	if now.After(a.rest) {
		time.Sleep(restFor)
		a.rest = now.Add(restEvery)
	}
	return w.ctx.Err() != nil || now.Sub(a.began) > w.cfg.Watchdog
}

// takeBack adds to b what has come back from the slots.
func (w *Worker) takeBack(b *Batch) {
	w.mu.Lock()
	var list []*aside
	for _, a := range w.back {
		if a.x.aside == a { // not abandoned
			a.x.aside = nil
			list = append(list, a)
		}
	}
	w.back = nil
	w.mu.Unlock()
	for _, a := range list {
		if a.entry != nil {
			b.entries = append(b.entries, a.entry)
		}
		b.late = append(b.late, a.late...)
		if w.applied(b, a.x, a.deliveries, a.step, a.err) {
			w.applyAll(b, a.x, a.deliveries[1:])
		}
		w.mu.Lock()
		w.makeReady(a.x)
		w.mu.Unlock()
	}
}

// abandon makes x go on without its aside, whose snapshot grew on what was not
// kept, and returns what that had taken in, in order. The lock is held.
func (x *execution) abandon() []delivery {
	a := x.aside
	if a == nil {
		return nil
	}
	x.aside = nil
	var deliveries []delivery
	if a.entry != nil {
		deliveries = append(deliveries, a.entry.deliveries...)
	}
	for _, l := range a.late {
		deliveries = append(deliveries, l.d)
	}
	return append(deliveries, a.deliveries...)
}
