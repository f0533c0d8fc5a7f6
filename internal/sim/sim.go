// Package sim runs the worker in a world made of one number: random machines,
// clients that ask again, a disk that fails, nodes that die in the middle of
// a call or wake up when another has taken over, and a clock of its own. All
// of it happens in a single goroutine, so a seed always gives the same bytes,
// and a seed that finds a bug finds it again.
//
// After a while the trouble stops, and everything that was begun must come to
// its end: see check.go for what must hold. Then there is a second act, in which
// clients redrive what has failed: see second.go.
package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// Options say what to run a seed on, and what to take away.
type Options struct {
	// Open makes the store; nil: one in memory. Run closes it.
	Open func() (store.Store, error)
	// Twin takes a safeguard away, to see that the checks notice.
	Twin Twin
	// Trace is told what happens; nil: nobody is.
	Trace func(format string, args ...any)
}

// Twin names a safeguard that is missing.
type Twin int

// The twins of the safeguards.
const (
	Whole             Twin = iota
	NoVersionGuard         // the store takes commits against older versions
	AnswersEarly           // the store answers before it has kept
	NotSynced              // the newest commit is lost in a crash although it was answered
	SameNameTwice          // the store lets two executions have one name
	AcknowledgedFirst      // callers are answered before the commit
	NotRequeued            // what a failed batch had consumed is forgotten
	HalfRolledBack         // a batch that grew on a failed one is committed all the same
	NotRecovered           // a new node does not ask again for what was being called
	TimersNotReloaded      // a new node knows the timers that it set itself only
	OtherTaskID            // a task that is asked for again has another ID
	NotPruned              // what has grown on a refused commit is committed all the same
	NotReread              // events are dropped if their execution cannot be read
	NotDoubted             // after a commit of unknown outcome nobody looks what is to be done
	EarlyDropped           // callbacks that come early are dropped
	SameIDs                // ids of executions that were removed are given out again
	RunsNotReloaded        // a new node does not ask which Map Runs are to be given up
	SavesNotRead           // after a save of unknown outcome a Map Run does not see what is kept
	AttemptIgnored         // an answer counts for whatever attempt is waiting
)

var missing = map[Twin]worker.Safeguard{
	NotRequeued: worker.Requeue, NotPruned: worker.Prune, NotReread: worker.Reread, NotDoubted: worker.Doubt,
}

// Violation is a check that failed.
type Violation struct {
	Seed   uint64
	Check  string
	Detail string
}

// Error says what failed and how to see it again.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d: %s: %s\nreplay: go test ./internal/sim -run 'TestSim$' -seed=%d", v.Seed, v.Check, v.Detail, v.Seed)
}

// Outcome is what came of a seed.
type Outcome struct {
	Kept        int // results that no payload could hold
	Removed     int // executions
	Executions  int
	Commits     int
	Crashes     int
	Redrives    int64
	MapRuns     int
	Transitions int64
	History     []byte // all histories, in the order of the starts
}

// Run lives through one world. The error is a *Violation if a check failed.
func Run(seed uint64, o Options) (out Outcome, err error) {
	w := newWorld(seed, o, true)
	if out, err = w.live(); err != nil || w.wild {
		return out, err
	}
	calm := newWorld(seed, Options{Trace: o.Trace, Twin: o.Twin}, false)
	calm.twin, calm.disk.twin = Whole, Whole
	if _, err := calm.live(); err != nil {
		return out, err
	}
	return out, w.compare(calm)
}

// newWorld makes everything that the seed decides before anything happens.
// A world without trouble has the same machines and the same starts.
func newWorld(seed uint64, o Options, trouble bool) *world {
	plan := rand.New(rand.NewPCG(seed, 1))
	w := &world{
		seed: seed, trouble: trouble, calm: !trouble, twin: o.Twin, trace: o.Trace,
		rng:   rand.New(rand.NewPCG(seed, 2)),
		now:   epoch,
		calls: map[string]*call{}, held: map[string]*token{},
		given: map[string]int{}, express: map[item]int{}, stopping: map[store.MapRunID]*stopping{},
	}
	w.wild = plan.IntN(2) == 0
	if rand.New(rand.NewPCG(seed, 3)).IntN(3) == 0 {
		w.payload = smallPayload
	}
	for range 1 + plan.IntN(2) {
		w.definitions = append(w.definitions, makeMachine(plan, w.wild, w.payload > 0))
	}
	for range 1 + plan.IntN(4) {
		w.wish(plan, plan.IntN(len(w.definitions)))
	}
	w.maxIdle, w.maxTasks = 1+plan.IntN(4), 1+plan.IntN(3)
	if plan.IntN(2) == 0 {
		w.maxIdle, w.maxTasks = 0, 0
	}
	w.steps = 40 + plan.IntN(160)
	w.crashes = []int{0, 200, 40, 15}[plan.IntN(4)]
	w.disk = &disk{
		rng: w.rng, twin: o.Twin, faults: trouble && plan.IntN(4) > 0,
		book: map[store.ExecutionID]*account{}, children: map[item]store.ExecutionID{}, broken: w.violated, removal: newRemoval(seed, o.Twin),
	}
	for i := range w.disk.secret {
		w.disk.secret[i] = byte(seed >> (i % 8 * 8))
	}
	w.planSecond()
	w.openStore = o.Open
	if o.Open == nil {
		w.openStore = func() (store.Store, error) { return memory.New(), nil }
	}
	return w
}

// wish plans that a client starts an execution of a machine.
func (w *world) wish(plan *rand.Rand, machine int) {
	i := len(w.starts)
	s := &start{
		machine: machine,
		input: fmt.Sprintf(`{"who":"e%d","n":0,"v":"%x","t":%q}`, i, plan.IntN(16),
			epoch.Add(secondsOf(plan.IntN(600)-300)).Format("2006-01-02T15:04:05Z")),
		stop: w.wild && plan.IntN(4) == 0,
	}
	if plan.IntN(2) == 0 {
		s.name = fmt.Sprintf("x%d", i)
	}
	w.starts = append(w.starts, s)
}

// live is the whole life of a world. A panic in it is a violation too.
func (w *world) live() (out Outcome, err error) {
	defer func() {
		for _, n := range w.nodes {
			w.bury(n)
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(*Violation)
			if !ok {
				v = &Violation{w.seed, "no panic", fmt.Sprintf("%v\n%s", r, stack())}
			}
			err = v
		}
	}()
	ctx := context.Background()
	base, err := w.openStore()
	if err != nil {
		return out, err
	}
	defer func() { base.Close() }()
	w.disk.base = &twinStore{base}
	w.prepare(ctx)
	w.boot()
	if w.trouble {
		for range w.steps {
			w.act()
		}
	}
	w.settle()
	w.check()
	w.secondAct()
	for _, id := range w.disk.ids {
		out.Redrives += w.disk.book[id].redrives
		out.History = append(out.History, w.render(id)...)
		if !w.wild {
			w.ways = append(w.ways, w.wayOf(id))
		}
	}
	out.Removed = len(w.disk.removed)
	out.Executions, out.Commits, out.Crashes, out.Kept = len(w.disk.ids), w.disk.commits, w.died, w.kept
	out.MapRuns = w.runs
	return out, nil
}

// violated ends the world.
func (w *world) violated(check, format string, args ...any) {
	panic(&Violation{w.seed, check, fmt.Sprintf(format, args...)})
}

func (w *world) tell(format string, args ...any) {
	if w.trace != nil {
		w.trace("%s "+format, append([]any{w.now.Format("02 15:04:05.000")}, args...)...)
	}
}

// render writes an execution as text: its record and its history.
func (w *world) render(id store.ExecutionID) string {
	var b strings.Builder
	x, err := w.disk.recordOf(context.Background(), id)
	if err != nil {
		w.violated("acknowledged is durable", "execution %d: %v", id, err)
	}
	fmt.Fprintf(&b, "%d %s v%d %s %s %s %s\n", id, x.Name, x.Version, x.Status, deref(x.Output), deref(x.Error), deref(x.Cause))
	for _, ev := range w.history(id) {
		fmt.Fprintf(&b, "%d<-%d %d %s %s %s %s %s %d\n", ev.ID, ev.Previous, ev.At, ev.Type, ev.Name, deref(ev.Data), deref(ev.Error), deref(ev.Cause), ev.Index)
	}
	return b.String()
}
