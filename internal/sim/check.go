package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// check is what must hold when the world has come to rest. Some checks were
// made before: at every commit (disk.go), at every answer and every call
// (world.go).
func (w *world) check() {
	names := map[string]store.ExecutionID{}
	for _, id := range w.disk.ids {
		x, err := w.disk.recordOf(context.Background(), id)
		if err != nil {
			w.violated("acknowledged is durable", "execution %d: %v", id, err)
		}
		key := fmt.Sprint(x.Machine, "/", x.Name)
		if other := names[key]; other != 0 {
			w.violated("one name, one execution", "%s names executions %d and %d", x.Name, other, id)
		}
		names[key] = id
		events := w.history(id)
		w.checkIDs(id, events)
		w.checkEnd(x, events)
		w.checkTasks(id, events)
		w.checkKept(x, events)
	}
	w.checkRedrives()
	w.durable()
	w.checkCalls()
	w.askAgain()
	for _, q := range w.queues {
		if left, err := w.disk.base.Queued(context.Background(), q.ID, 0, 10); err != nil || len(left) > 0 {
			w.violated("nothing stays queued", "activity %s still offers %v (%v)", q.Name, left, err)
		}
	}
	if live := w.node.w.Stats().Live; live != 0 {
		w.violated("nothing stays in memory", "%d executions do after all have ended", live)
	}
}

// askAgain starts every execution with a name of its own once more: the name
// is taken, and the answer says by which.
func (w *world) askAgain() {
	for _, s := range w.starts {
		if s.name == "" {
			continue
		}
		var answer error
		var found store.ExecutionID
		m := w.machines[s.machine]
		w.node.w.Begin(context.Background(), store.Start{Machine: m, Revision: m.Current, Name: s.name, Input: s.input},
			func(x store.Execution, again bool, err error) {
				if !again {
					found, answer = x.ID, err
				}
			})
		w.step(w.node)
		if !errors.Is(answer, store.ErrExists) || found != s.id {
			w.violated("one name, one execution", "%s names execution %d; starting it again gave %d and the error %v", s.name, s.id, found, answer)
		}
	}
}

// history reads an execution's events back.
func (w *world) history(id store.ExecutionID) (events []engine.HistoryEvent) {
	err := w.disk.historyOf(context.Background(), id, func(c engine.Chunk) bool {
		part, err := engine.DecodeHistory(c)
		if err != nil {
			w.violated("no gap", "execution %d: %v", id, err)
		}
		events = append(events, part...)
		return true
	})
	if err != nil {
		w.violated("acknowledged is durable", "history of execution %d: %v", id, err)
	}
	return events
}

func (w *world) checkIDs(id store.ExecutionID, events []engine.HistoryEvent) {
	for i, ev := range events {
		if ev.ID != int64(i)+1 {
			w.violated("no gap", "execution %d: event %d is at place %d", id, ev.ID, i+1)
		}
		if ev.Previous < 0 || ev.Previous >= ev.ID {
			w.violated("no gap", "execution %d: event %d follows from event %d", id, ev.ID, ev.Previous)
		}
		if i > 0 && ev.At < events[i-1].At {
			w.violated("time moves on", "execution %d: event %d is older than the one before it", id, ev.ID)
		}
	}
}

var finals = map[engine.HistoryType]engine.Status{
	engine.ExecutionSucceededType: engine.Succeeded,
	engine.ExecutionFailedType:    engine.Failed,
	engine.ExecutionTimedOutType:  engine.TimedOut,
	engine.ExecutionAbortedType:   engine.Aborted,
}

func (w *world) checkEnd(x store.Execution, events []engine.HistoryEvent) {
	ends, redrives, redriven := 0, int64(0), int64(0)
	for _, ev := range events {
		if ev.Type == engine.ExecutionRedrivenType {
			if redrives++; int64(ends) != redrives || ev.Redrives != redrives {
				w.violated("one end", "execution %d: event %d begins it again for the %d. time, after %d final events", x.ID, ev.ID, ev.Redrives, ends)
			}
			redriven = ev.At
		}
		if _, final := finals[ev.Type]; final {
			ends++
		}
	}
	if int64(ends) != redrives+1 {
		w.violated("one end", "execution %d has %d final events in %d lives", x.ID, ends, redrives+1)
	}
	if x.Redrives != redrives || x.RedrivenAt != redriven {
		w.violated("one end", "execution %d: the record has %d redrives, the last at %d, the history %d, at %d", x.ID, x.Redrives, x.RedrivenAt, redrives, redriven)
	}
	last := events[len(events)-1]
	if status, final := finals[last.Type]; !final || status != x.Status {
		w.violated("one end", "execution %d is %s, its last event is %s", x.ID, x.Status, last.Type)
	}
	if deref(last.Data) != deref(x.Output) || deref(last.Error) != deref(x.Error) || deref(last.Cause) != deref(x.Cause) {
		w.violated("one end", "execution %d: the record says %s %s, its last event %s %s", x.ID, deref(x.Output), deref(x.Error), deref(last.Data), deref(last.Error))
	}
	if x.LastEvent != last.ID || x.StoppedAt != last.At {
		w.violated("one end", "execution %d: the record has event %d at %d, the history %d at %d", x.ID, x.LastEvent, x.StoppedAt, last.ID, last.At)
	}
}

// taskSteps says which events a step of a task may follow from.
var taskSteps = map[engine.HistoryType][]engine.HistoryType{
	engine.TaskStartedType:             {engine.TaskScheduledType},
	engine.TaskSubmittedType:           {engine.TaskStartedType},
	engine.TaskSucceededType:           {engine.TaskStartedType, engine.TaskSubmittedType},
	engine.TaskFailedType:              {engine.TaskStartedType, engine.TaskSubmittedType},
	engine.TaskTimedOutType:            {engine.TaskStartedType, engine.TaskSubmittedType},
	engine.LambdaFunctionStartedType:   {engine.LambdaFunctionScheduledType},
	engine.LambdaFunctionSucceededType: {engine.LambdaFunctionStartedType},
	engine.LambdaFunctionFailedType:    {engine.LambdaFunctionStartedType},
	engine.LambdaFunctionTimedOutType:  {engine.LambdaFunctionStartedType},
	engine.ActivityStartedType:         {engine.ActivityScheduledType},
	engine.ActivitySucceededType:       {engine.ActivityStartedType},
	engine.ActivityFailedType:          {engine.ActivityStartedType},
	engine.ActivityTimedOutType:        {engine.ActivityScheduledType, engine.ActivityStartedType},
}

// checkTasks follows every task from its schedule to its outcome: one of each,
// and the outcome is that of its own input.
func (w *world) checkTasks(id store.ExecutionID, events []engine.HistoryEvent) {
	scheduled := make([]int64, len(events)+1)
	followed := make([]bool, len(events)+1)
	for _, ev := range events {
		switch ev.Type {
		case engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
			scheduled[ev.ID] = ev.ID
			continue
		}
		may, isStep := taskSteps[ev.Type]
		if !isStep {
			continue
		}
		if ev.Previous == 0 || !slices.Contains(may, events[ev.Previous-1].Type) {
			w.violated("tasks go step by step", "execution %d: event %d, %s, follows from event %d", id, ev.ID, ev.Type, ev.Previous)
		}
		if followed[ev.Previous] {
			w.violated("no result twice", "execution %d: event %d, %s, follows from event %d, as another one does", id, ev.ID, ev.Type, ev.Previous)
		}
		followed[ev.Previous] = true
		scheduled[ev.ID] = scheduled[ev.Previous]
		input := deref(events[scheduled[ev.ID]-1].Data)
		switch ev.Type {
		case engine.TaskSucceededType, engine.LambdaFunctionSucceededType, engine.ActivitySucceededType:
			if ok, output, _ := outcome(input); !ok || output != deref(ev.Data) {
				w.violated("results are their own", "execution %d: event %d has %s as the result of %s", id, ev.ID, deref(ev.Data), input)
			}
		case engine.TaskFailedType, engine.LambdaFunctionFailedType, engine.ActivityFailedType:
			if ok, _, cause := outcome(input); ok || cause != deref(ev.Cause) {
				w.violated("results are their own", "execution %d: event %d has %s as the failure of %s", id, ev.ID, deref(ev.Cause), input)
			}
		}
	}
}

// checkCalls compares what was called with what the histories scheduled.
func (w *world) checkCalls() {
	scheduled := map[store.ExecutionID]int{}
	for _, id := range w.disk.ids {
		for _, ev := range w.history(id) {
			if ev.Type == engine.TaskScheduledType || ev.Type == engine.LambdaFunctionScheduledType {
				scheduled[id]++
			}
		}
	}
	for _, id := range w.order {
		c := w.calls[id]
		if scheduled[c.execution]--; scheduled[c.execution] < 0 {
			w.violated("same call", "execution %d made more calls than it has tasks: %s is one too many", c.execution, id)
		}
	}
}

// way is how an execution went: the history of each of its paths, sorted, and
// its end. Times, ids and tokens are left out.
type way struct {
	id    store.ExecutionID
	who   string
	paths []string
	once  []string // until its first end: it may have been redriven after that
}

// overflowed says whether the execution has ended because its history was full, or
// an output too large even with references in it.
func overflowed(paths []string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		return strings.Contains(path, "the maximum number of history events") || strings.Contains(path, "States.DataLimitExceeded")
	})
}

// compare holds every execution against its like in a world without trouble:
// the same end, and the same history on every path.
func (w *world) compare(calm *world) error {
	want := map[string]way{}
	for _, like := range calm.ways {
		want[like.who] = like
	}
	known := map[store.ExecutionID]bool{}
	for _, s := range w.starts {
		known[s.id] = s.done
	}
	for _, got := range w.ways {
		like := want[got.who].paths
		// Nobody redrives what was removed, nor what has a client that lost an answer
		// and has begun another.
		if !known[got.id] || w.disk.removed[got.id] != nil {
			like = want[got.who].once
		}
		if overflowed(got.paths) && overflowed(like) {
			continue // what it ended behind is a matter of order
		}
		for i := range max(len(got.paths), len(like)) {
			path, likePath := "nothing", "nothing"
			if i < len(got.paths) {
				path = got.paths[i]
			}
			if i < len(like) {
				likePath = like[i]
			}
			if path != likePath {
				return &Violation{w.seed, "as without trouble", fmt.Sprintf("execution %d for %s has\n%s\nwhere it would have\n%s", got.id, got.who, path, likePath)}
			}
		}
	}
	return nil
}

// wayOf says how an execution went.
func (w *world) wayOf(id store.ExecutionID) way {
	x, err := w.disk.recordOf(context.Background(), id)
	if err != nil {
		w.violated("acknowledged is durable", "execution %d: %v", id, err)
	}
	depths := depthsOf(w.machineOf(x))
	events := w.history(id)
	this := way{id: id, who: whoIn(x.Input), paths: pathsOf(events, depths)}
	this.once = this.paths
	if i := slices.IndexFunc(events, func(ev engine.HistoryEvent) bool { return ev.Type == engine.ExecutionRedrivenType }); i > 0 {
		this.once = pathsOf(events[:i], depths)
	}
	return this
}

// pathsOf takes a history apart into those of the branches and iterations, and
// its end.
func pathsOf(events []engine.HistoryEvent, depths map[string]int) []string {
	at := make([][]string, len(events)+1)
	by := map[string]*strings.Builder{}
	for _, ev := range events {
		path, previous := at[ev.Previous], engine.HistoryEvent{}
		if ev.Previous > 0 {
			previous = events[ev.Previous-1]
		}
		depth, named := depths[ev.Name]
		if ev.Type == engine.ActivityStartedType {
			named = false
		}
		switch {
		case ev.Type == engine.MapIterationStartedType:
			path = append(slices.Clone(path[:depth]), fmt.Sprint(ev.Name, "[", ev.Index, "]"))
		case ev.Type == engine.MapIterationSucceededType, ev.Type == engine.MapIterationFailedType, ev.Type == engine.MapIterationAbortedType:
			path = path[:depth+1]
		case named && previous.Type == engine.ParallelStateStartedType && len(path) < depth:
			path = append(slices.Clone(path), ev.Name)
		case named:
			path = path[:depth]
		case ev.Type == engine.ParallelStateSucceededType, ev.Type == engine.MapStateSucceededType && previous.Type != engine.MapStateStartedType && previous.Type != engine.MapRunSucceededType:
			path = path[:len(path)-1]
		}
		at[ev.ID] = path
		key := strings.Join(path, "/")
		b := by[key]
		if b == nil {
			b = &strings.Builder{}
			b.WriteString(key + ":\n")
			by[key] = b
		}
		name := ev.Name
		if ev.Type == engine.ActivityStartedType {
			name = ""
		}
		fmt.Fprintln(b, ev.Type, name, withoutToken(deref(ev.Data)), deref(ev.Error), deref(ev.Cause), ev.Index, ev.Length)
	}
	var texts []string
	for _, b := range by {
		texts = append(texts, b.String())
	}
	slices.Sort(texts)
	last := events[len(events)-1]
	return append(texts, fmt.Sprintln(last.Type, deref(last.Data), deref(last.Error), deref(last.Cause)))
}

// machineOf is what an execution runs.
func (w *world) machineOf(x store.Execution) *asl.Machine {
	definition := w.definitions[x.Machine-w.machines[0].ID]
	m, diagnostics := asl.Parse(definition, asl.Options{})
	if m == nil {
		w.violated("machines are valid", "%v\n%s", diagnostics, definition)
	}
	if x.Child.Run == 0 {
		return m
	}
	r, err := w.disk.base.MapRunByID(context.Background(), x.Child.Run)
	if err != nil || w.disk.book[r.Execution] == nil {
		w.violated("no child without its run", "execution %d belongs to Map Run %d, which belongs to execution %d: %v", x.ID, x.Child.Run, r.Execution, err)
	}
	return m.Child(r.State)
}

// depthsOf says of every state how many Parallel and Map states it is inside.
func depthsOf(m *asl.Machine) map[string]int {
	depths := map[string]int{}
	var walk func(s *asl.Scope, depth int)
	walk = func(s *asl.Scope, depth int) {
		for _, state := range s.States {
			depths[state.Base().Name] = depth
			for _, inner := range asl.Scopes(state) {
				walk(inner, depth+1)
			}
		}
	}
	walk(&m.Scope, 0)
	return depths
}

func withoutToken(text string) string {
	const key = `"token":"`
	before, after, found := strings.Cut(text, key)
	if !found {
		return text
	}
	_, rest, _ := strings.Cut(after, `"`)
	return before + rest
}
