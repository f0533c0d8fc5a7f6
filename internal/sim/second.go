package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// When a world has come to rest, a second act begins: clients redrive what has
// not succeeded and start more, while there is trouble again. It has random
// numbers of its own, so that what happens in it changes nothing of the first
// act: a seed that found a bug there stays what it was.

// act is the second act of a world.
type act struct {
	plan           *rand.Rand
	steps, crashes int
	faults         bool
	runs           bool  // the last machine has a distributed Map
	items          int64 // that it has
}

func (a *act) aboutRuns() bool { return a != nil && a.runs }

// aboutRuns says that it takes Map Runs to notice the twin.
func (t Twin) aboutRuns() bool { return t == RunsNotReloaded || t == SavesNotRead }

// redrives are what the client of a start does about its end.
type redrives struct {
	redriveWish  int64 // how often the client wants the execution to be begun again
	redriveAsked int   // generation that was asked; 0: none
	asks         int64
	acknowledged int64
	refused      bool // for good
}

// planSecond decides whether there is a second act, and what it is about. The twins
// that the first act notices have none.
func (w *world) planSecond() {
	if w.twin != Whole && !w.twin.aboutRuns() {
		return
	}
	plan := rand.New(rand.NewPCG(w.seed, 4))
	if plan.IntN(2) == 0 {
		return
	}
	w.later = &act{plan: plan, steps: 20 + plan.IntN(100), crashes: []int{0, 100, 40, 15}[plan.IntN(4)], faults: plan.IntN(4) > 0}
	if w.later.runs = plan.IntN(2) == 0; w.later.runs {
		m := &maker{Rand: plan, wild: w.wild, large: w.payload > 0, budget: 10}
		w.later.items = 1 + plan.Int64N(6)
		w.definitions = append(w.definitions, m.distributed(w.later.items))
	}
}

// secondAct plays the second act, if the seed has one.
func (w *world) secondAct() {
	if w.later == nil {
		return
	}
	w.second, w.disk.second = w.later, true
	plan := w.second.plan
	first := len(w.starts)
	for range plan.IntN(3) {
		w.wish(plan, plan.IntN(len(w.definitions)))
	}
	if w.second.runs {
		for range 1 + plan.IntN(2) {
			w.wish(plan, len(w.definitions)-1)
			last := w.starts[len(w.starts)-1]
			last.stop = w.wild && plan.IntN(2) == 0
		}
	}
	for i, s := range w.starts {
		s.redriveWish = plan.Int64N(4)
		if i < first && s.stopped && plan.IntN(3) == 0 {
			s.stopped = false // once more
		}
	}
	w.tell("the second act begins: %+v", *w.second)
	if !w.calm {
		w.rng, w.disk.rng = plan, plan
		w.trouble, w.disk.faults, w.crashes = true, w.second.faults, w.second.crashes
		if w.crashes > 0 {
			w.node.view.fate = w.node.view.calls + 1 + plan.IntN(4*w.crashes)
		}
		for range w.second.steps {
			w.act()
			w.checkCounts()
		}
	}
	w.settle()
	w.check()
	w.checkMapRuns()
}

// actAgain lets one of those things happen that belong to the second act, or
// returns false.
func (w *world) actAgain(n *node) bool {
	switch w.rng.IntN(10) {
	case 0, 1:
		if s := w.starts[w.rng.IntN(len(w.starts))]; s.redriveAsked != n.gen || w.wild && w.rng.IntN(4) == 0 {
			w.redrive(n, s)
		}
	case 2, 3, 4:
		if len(n.routines) == 0 {
			return false
		}
		w.resumeAny(n)
	default:
		return false
	}
	return true
}

// redrive asks to begin an execution again, if it has ended otherwise than its
// client wants. Before it asks again the client looks whether what it had asked
// for has happened; some in wild worlds do not. It reports whether it has asked.
func (w *world) redrive(n *node, s *start) bool {
	id := s.id
	if !s.done || s.refused || w.disk.removed[id] != nil {
		return false
	}
	if blind := w.trouble && w.wild && w.rng.IntN(6) == 0; !blind {
		x, err := w.disk.base.Execution(context.Background(), id)
		if err != nil {
			w.violated("acknowledged is durable", "execution %d: %v", id, err)
		}
		if x.Status == engine.Running || x.Status == engine.Succeeded || x.Redrives >= s.redriveWish {
			return false
		}
	}
	s.redriveAsked = n.gen
	s.asks++
	n.w.Post(context.Background(), id, engine.Redriven{At: w.now}, func(err error) {
		w.tell("redrive of execution %d: %v", id, err)
		if s.redriveAsked == n.gen {
			s.redriveAsked = 0
		}
		switch {
		case err == nil:
			s.acknowledged++
			if kept := w.disk.book[id]; kept == nil || kept.redrives < s.acknowledged {
				w.violated("acknowledged is durable", "the %d. redrive of execution %d was acknowledged", s.acknowledged, id)
			}
		case errors.Is(err, engine.ErrNotWaiting):
			kept := w.disk.book[id]
			s.refused = s.refused || n == w.node && kept.status != engine.Running && (kept.status == engine.Succeeded || kept.last >= historyLimit-1)
		case errors.Is(err, store.ErrNotFound) && w.disk.removed[id] != nil:
			s.refused = true
		case !passing(err):
			w.violated("redrives are answered", "redrive of execution %d: %v", id, err)
		}
	})
	return true
}

// historyLimit is how many events an execution may have (AWS's quota).
const historyLimit = 25000

// checkRedrives counts: what was acknowledged has happened, and nothing has that
// was not asked for.
func (w *world) checkRedrives() {
	for _, s := range w.starts {
		if !s.done {
			continue
		}
		if n := w.disk.book[s.id].redrives; n < s.acknowledged || n > s.asks {
			w.violated("redriven as asked", "execution %d was redriven %d times; that was asked for %d times and acknowledged %d times", s.id, n, s.asks, s.acknowledged)
		}
	}
}

// lifeOf is how often the execution had been redriven that a task is called by.
func lifeOf(input string) int64 {
	in, err := value.Parse(input)
	if err != nil {
		return 0
	}
	life, _ := in.Get("life").Int64()
	return life
}

// mended says whether what would fail, or not be answered, does well by now: each
// task does from some redrive on.
func mended(in value.Value) bool {
	life, _ := in.Get("life").Int64()
	h := fnv.New64a()
	fmt.Fprint(h, in.Get("who").Str(), "/", in.Get("state").Str())
	return life > int64(h.Sum64()%3)
}

// visit is a state in a branch or iteration of an execution.
type visit struct{ state, who string }

// checkKept holds that redrives do again only what had not succeeded, however
// often that is. A state that is entered once is left once, and calls no task
// after that; a Parallel or Map that is entered once and is not tried again begins
// each of its branches once.
func (w *world) checkKept(x store.Execution, events []engine.HistoryEvent) {
	entered, left, begun := map[visit]int{}, map[visit]int{}, map[visit]int{}
	m := w.machineOf(x)
	depths, container := depthsOf(m), containersOf(m)
	for _, ev := range events {
		switch ev.Type {
		case engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
			in, err := value.Parse(deref(ev.Data))
			if err != nil {
				w.violated("results are JSON", "execution %d: %s: %v", x.ID, deref(ev.Data), err)
			}
			v := visit{in.Get("state").Str(), in.Get("who").Str()}
			if left[v] >= entered[v] {
				w.violated("what succeeded is not done again", "execution %d calls the task of %v although it has left that: event %d", x.ID, v, ev.ID)
			}
			continue
		}
		if _, named := depths[ev.Name]; !named || ev.Type == engine.ActivityStartedType || ev.Data == nil {
			continue
		}
		v := visit{ev.Name, whoIn(*ev.Data)}
		if !isEntry(ev.Type) {
			if left[v]++; left[v] > entered[v] {
				w.violated("what succeeded is not done again", "execution %d entered %v %d times, and has left it more often: event %d", x.ID, v, entered[v], ev.ID)
			}
			continue
		}
		entered[v]++
		from := engine.HistoryEvent{}
		if ev.Previous > 0 {
			from = events[ev.Previous-1]
		}
		if from.Type != engine.ParallelStateStartedType && from.Type != engine.MapIterationStartedType {
			continue
		}
		around := container[ev.Name]
		if around.again || w.payload > 0 { // what its branches gave may be too large to leave it with
			continue
		}
		outer := visit{around.name, v.who}
		if from.Type == engine.MapIterationStartedType {
			outer.who = v.who[:len(v.who)-len(fmt.Sprint(".", from.Index))]
		}
		if begun[v]++; begun[v] > entered[outer] {
			w.violated("what succeeded is not done again", "execution %d entered %v %d times, and has begun its branch at %v more often: event %d", x.ID, outer, entered[outer], v, ev.ID)
		}
	}
}

// isEntry says that a named event enters its state; the others leave theirs.
func isEntry(t engine.HistoryType) bool {
	switch t {
	case engine.PassStateEnteredType, engine.ChoiceStateEnteredType, engine.WaitStateEnteredType, engine.SucceedStateEnteredType,
		engine.FailStateEnteredType, engine.ParallelStateEnteredType, engine.MapStateEnteredType, engine.TaskStateEnteredType:
		return true
	}
	return false
}

// container is a Parallel or Map.
type container struct {
	name  string
	again bool // may be tried again after a failure
}

// containersOf says of every state inside of a Parallel or Map which one it is.
func containersOf(m *asl.Machine) map[string]container {
	found := map[string]container{}
	var walk func(s *asl.Scope, around container)
	walk = func(s *asl.Scope, around container) {
		for _, state := range s.States {
			found[state.Base().Name] = around
			this := container{name: state.Base().Name}
			switch state := state.(type) {
			case *asl.Parallel:
				this.again = len(state.Retry) > 0
			case *asl.Map:
				this.again = len(state.Retry) > 0
			}
			for _, inner := range asl.Scopes(state) {
				walk(inner, this)
			}
		}
	}
	walk(&m.Scope, container{})
	return found
}
