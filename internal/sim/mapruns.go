package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/maprun"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// In many second acts one machine has a distributed Map. Its Map Runs are run by
// a maprun.Runner on each node, whose goroutines are coroutines here: one goes on
// when the world lets it. Standard children are executions like all others;
// Express ones are played, see expresses.

// routine is a goroutine of a Runner.
type routine struct {
	next  func() (ready func() bool, more bool)
	stop  func()
	yield func(func() bool) bool
	ready func() bool // what it waits for has come
}

// goes begins a routine, which stands until the world lets it go on.
func (w *world) goes(n *node, f func()) {
	r := &routine{ready: func() bool { return true }}
	r.next, r.stop = iter.Pull(func(yield func(func() bool) bool) {
		r.yield = yield
		f()
	})
	n.routines = append(n.routines, r)
}

// waits lets others go on until ready. It is called in a routine.
func (w *world) waits(ready func() bool) {
	for !ready() && w.current.yield(ready) {
	}
}

// resume lets a routine go on up to where it waits.
func (w *world) resume(n *node, r *routine) {
	w.current = r
	ready, more := r.next()
	w.current = nil
	if r.ready = ready; !more {
		n.routines = slices.DeleteFunc(n.routines, func(other *routine) bool { return other == r })
	}
}

// resumeAny lets one of those that can go on do so.
func (w *world) resumeAny(n *node) {
	if w.current != nil || len(n.routines) == 0 {
		return
	}
	if r := n.routines[w.rng.IntN(len(n.routines))]; r.ready() {
		w.resume(n, r)
	}
}

// resumeAll lets all go on that can, and reports whether there was one.
func (w *world) resumeAll(n *node) (some bool) {
	for _, r := range slices.Clone(n.routines) {
		if w.current == nil && r.ready() {
			w.resume(n, r)
			some = true
		}
	}
	return some
}

// bury ends what is left of a node that is dead.
func (w *world) bury(n *node) {
	n.view.dead = true
	n.cancel()
	for len(n.routines) > 0 { // on their way out they may begin others
		w.current, n.routines = n.routines[0], n.routines[1:]
		w.current.stop()
	}
	w.current = nil
}

// runner makes the node's Runner. Connect it when there is a worker.
func (w *world) runner(ctx context.Context, n *node) *maprun.Runner {
	cfg := maprun.Config{
		Store: n.view, Now: func() time.Time { return w.now },
		Go: func(f func()) { w.goes(n, f) },
		Sleep: func(ctx context.Context, wake <-chan struct{}, d time.Duration) {
			until := w.now.Add(d)
			w.waits(func() bool { return ctx.Err() != nil || len(wake) > 0 || !w.now.Before(until) })
			select {
			case <-wake:
			default:
			}
		},
	}
	if w.trace != nil {
		cfg.Log = slog.New(slog.NewTextHandler(tracer{w}, nil))
	}
	return maprun.New(ctx, cfg)
}

// standard is the worker with a Write that lets others go on while it waits.
type standard struct {
	*worker.Worker
	w *world
}

func (s standard) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	kept := s.PostWrite(do)
	s.w.waits(func() bool { return ctx.Err() != nil || len(kept) > 0 })
	select {
	case err := <-kept:
		return err
	default:
		return ctx.Err()
	}
}

// item is a child of a Map Run by its place.
type item struct {
	run   store.MapRunID
	index int64
}

// expresses plays Express executions, whose outcome depends on their input and,
// in wild worlds, on how often they have been run. They end with their process.
type expresses struct {
	w *world
	n *node
}

func (e expresses) Reserve(machine, name string) (store.ExecutionID, string) {
	e.w.expressID++
	return e.w.expressID, e.ARN(e.w.expressID, machine, name)
}

func (e expresses) ARN(id store.ExecutionID, machine, name string) string {
	return fmt.Sprintf("arn:aws:states:us-east-1:123456789012:express:%s:%s:%d", machine, name, id)
}

func (e expresses) Child(_ context.Context, s store.Start, done func(engine.Delta, error)) {
	w := e.w
	at := item{s.Child.Run, s.Child.Index}
	w.tell("node %d begins the Express child %v: %s", e.n.gen, at, s.Input)
	if kept := w.keptResult(at); kept != "" && e.n == w.node { // a node that was paused does not know better
		w.violated("what succeeded is not done again", "child %d of Map Run %d has the result %s, and is begun again", at.index, at.run, kept)
	}
	if w.trouble && w.rng.IntN(10) == 0 {
		done(engine.Delta{}, store.ErrBusy)
		return
	}
	e.n.tasks = append(e.n.tasks, func() {
		w.express[at]++
		who, n := whoIn(s.Input), w.express[at]
		h := fnv.New64a()
		fmt.Fprint(h, s.Input)
		d := engine.Delta{Status: engine.Succeeded, StoppedAt: w.now.UnixMilli()}
		if sum := h.Sum64(); w.wild && sum%3 == 0 && n <= 1+int(sum>>8%3) {
			name, cause := "E.fail", fmt.Sprint(who, "/", n)
			d.Status, d.Error, d.Cause = engine.Failed, &name, &cause
		} else {
			text := fmt.Sprintf(`{"who":%q,"n":0,"v":"%016x"}`, who, sum)
			d.Output = &text
		}
		w.tell("the Express child %v ends: %s %s", at, d.Status, deref(d.Output))
		done(d, nil)
	})
}

// keptResult is the output of an Express child as the store has it, or "".
func (w *world) keptResult(at item) (kept string) {
	err := w.disk.base.Results(context.Background(), at.run, func(row []byte) bool {
		err := maprun.EachOutput(row, func(index int64, output string) {
			if index == at.index {
				kept = output
			}
		})
		if err != nil {
			w.violated("acknowledged is durable", "results of Map Run %d: %v", at.run, err)
		}
		return true
	})
	if err != nil {
		w.violated("acknowledged is durable", "results of Map Run %d: %v", at.run, err)
	}
	return kept
}

// whoIn finds who an input is for: that of the first item in a batch.
func whoIn(input string) string {
	in, err := value.Parse(input)
	if err != nil {
		return ""
	}
	if list := in.Get("Items"); list.Len() > 0 {
		in = list.At(0)
	}
	return in.Get("who").Str()
}

const mapLabel = "l"

// distributed writes a machine with a distributed Map over so many items.
func (m *maker) distributed(items int64) string {
	list, each, beside, last := m.name(), m.name(), m.name(), m.name()
	fields := fmt.Sprintf(`,"MaxConcurrency":%d`, m.IntN(4))
	switch {
	case !m.wild:
	case m.chance(3):
		fields += fmt.Sprintf(`,"ToleratedFailureCount":%d`, m.IntN(4))
	case m.chance(2):
		fields += fmt.Sprintf(`,"ToleratedFailurePercentage":%d`, m.IntN(101))
	}
	kind, processor := "EXPRESS", `"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}`
	batch := m.chance(3)
	if !m.chance(3) {
		kind = "STANDARD"
		processor = m.scope(maxDepth)
		if batch {
			first := m.name()
			processor = strings.ReplaceAll(processor, "$$.Execution.Input.", "$$.Execution.Input.Items[0].")
			start, rest, _ := strings.Cut(strings.TrimPrefix(processor, `"StartAt":`), ",")
			processor = fmt.Sprintf(`"StartAt":%q,%s`, first, strings.Replace(rest, `"States":{`, fmt.Sprintf(
				`"States":{%q:{"Type":"Pass","InputPath":"$.Items[0]","Next":%s},`, first, start), 1))
		}
	}
	if batch {
		fields += `,"ItemBatcher":{"MaxItemsPerBatch":2}`
	}
	if m.large && m.chance(2) {
		fields += `,"ResultSelector":{"all.$":"$","vs.$":"$[*].v"}`
	}
	mapState := func(end string) string {
		return fmt.Sprintf(`%q:{"Type":"Map","Label":%q,"ItemsPath":"$.items.list"%s,
"ItemSelector":{"who.$":"States.Format('{}.{}', $.who, $$.Map.Item.Index)","n.$":"$.n","v.$":"$.v","t.$":"$$.Execution.Input.t"},
"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":%q},%s},"ResultPath":"$.d"%s}`, each, mapLabel, fields, kind, processor, end)
	}
	work := mapState(fmt.Sprintf(`%s,"Next":%q`, m.handlers(beside), beside))
	next := each
	if m.wild && m.chance(3) { // a branch that may fail beside it
		next = m.name()
		work = fmt.Sprintf(`%q:{"Type":"Parallel","Branches":[{"StartAt":%q,"States":{%s}},{%s}],"ResultSelector":{"vs.$":"$[*].v"},"ResultPath":"$.p"%s,"Next":%q}`,
			next, each, mapState(`,"End":true`), m.scope(maxDepth), m.handlers(beside), beside)
	}
	return fmt.Sprintf(`{"StartAt":%q,"States":{%q:{"Type":"Pass","Parameters":{"list.$":"States.ArrayRange(1, %d, 1)"},"ResultPath":"$.items","Next":%q},
%s,%q:%s,%q:%s}}`, list, list, items, next, work, beside, m.task(0, beside, last), last, m.last(0))
}

// checkCounts looks at how the Map Runs under way are doing: every item is
// somewhere, and in one place.
func (w *world) checkCounts() {
	n := w.node
	if n == nil || n.view.dead {
		return
	}
	open, err := w.disk.base.OpenMapRuns(context.Background(), 0, 1000)
	if err != nil {
		w.violated("acknowledged is durable", "Map Runs: %v", err)
	}
	for _, r := range open {
		v, err := n.runner.Find(context.Background(), r.Name)
		if err != nil {
			continue
		}
		w.checkCount(r.ID, "items", v.Items)
		w.checkCount(r.ID, "children", v.Children)
	}
}

func (w *world) checkCount(id store.MapRunID, of string, c store.MapRunCounts) {
	sum := int64(0)
	for _, n := range []int64{c.Pending, c.Running, c.Succeeded, c.Failed, c.TimedOut, c.Aborted} {
		if n < 0 {
			w.violated("counts add up", "Map Run %d has %s %+v", id, of, c)
		}
		sum += n
	}
	if sum != c.Total || c.Total > w.second.items {
		w.violated("counts add up", "Map Run %d has %s %+v, which is %d", id, of, c, sum)
	}
}

// checkStopping is called in the calm, whenever all has been done that can be done
// without the clock. A run that is to be given up needs a few seconds for that: what
// its children wait for does not matter.
func (w *world) checkStopping() {
	if w.second == nil {
		return
	}
	open, err := w.disk.base.OpenMapRuns(context.Background(), 0, 1000)
	if err != nil {
		w.violated("acknowledged is durable", "Map Runs: %v", err)
	}
	for _, r := range open {
		if !r.Stopping {
			continue
		}
		seen := w.stopping[r.ID]
		if seen == nil {
			seen = &stopping{since: w.now}
			w.stopping[r.ID] = seen
		}
		if w.now.Sub(seen.since) > time.Minute {
			seen.since = w.now
			if seen.times++; seen.times > 3 {
				w.violated("a stop stops children", "Map Run %d is still under way", r.ID)
			}
		}
	}
}

// stopping is how long a run has been seen to be given up.
type stopping struct {
	since time.Time
	times int
}

// progress is what a run's Progress is read for.
type progress struct {
	Ended struct{ Succeeded, Failed, TimedOut, Aborted int64 }
}

// checkMapRuns looks at all Map Runs when everything is over.
func (w *world) checkMapRuns() {
	ctx := context.Background()
	if open, err := w.disk.base.OpenMapRuns(ctx, 0, 10); err != nil || len(open) > 0 {
		w.violated("runs end", "Map Runs go on although all executions have ended: %+v (%v)", open, err)
	}
	if len(w.node.routines) > 0 {
		w.violated("runs end", "%d of their routines go on although all Map Runs have ended", len(w.node.routines))
	}
	for _, id := range w.disk.ids {
		list, err := w.disk.base.MapRuns(ctx, id, 0, 1000)
		if err != nil {
			w.violated("acknowledged is durable", "Map Runs of execution %d: %v", id, err)
		}
		var gathered [][]string
		for _, r := range list {
			v, err := w.node.runner.Find(ctx, r.Name)
			if err != nil {
				w.violated("acknowledged is durable", "Map Run %d: %v", r.ID, err)
			}
			w.checkCount(r.ID, "items", v.Items)
			w.checkCount(r.ID, "children", v.Children)
			outputs := w.checkChildren(r)
			if r.Status == engine.Succeeded {
				gathered = append(gathered, outputs)
			}
			w.runs++
		}
		w.checkGathered(id, gathered)
	}
}

// checkChildren looks at a run's children and returns the outputs that its result
// is to be made of.
func (w *world) checkChildren(r store.MapRun) (outputs []string) {
	ctx := context.Background()
	whole, err := w.disk.base.MapRunByID(ctx, r.ID)
	var p progress
	if err == nil {
		err = json.Unmarshal(whole.Progress, &p)
	}
	if err != nil {
		w.violated("acknowledged is durable", "Map Run %d: %v", r.ID, err)
	}
	parent, err := w.disk.base.Execution(ctx, r.Execution)
	if err != nil {
		w.violated("acknowledged is durable", "execution %d: %v", r.Execution, err)
	}
	if r.Stopping && r.Status != engine.Aborted && parent.Status == engine.Aborted && r.StoppedAt > parent.StoppedAt+time.Minute.Milliseconds() {
		w.violated("a stop stops children", "Map Run %d is %s since %d, its parent was stopped at %d", r.ID, r.Status, r.StoppedAt, parent.StoppedAt)
	}
	var ended progress
	if r.Express {
		byIndex := map[int64]string{}
		err := w.disk.base.Results(ctx, r.ID, func(row []byte) bool {
			return maprun.EachOutput(row, func(index int64, output string) {
				if byIndex[index] != "" {
					w.violated("one result for each item", "child %d of Map Run %d has the results %s and %s", index, r.ID, byIndex[index], output)
				}
				byIndex[index] = output
			}) == nil
		})
		if err != nil {
			w.violated("acknowledged is durable", "results of Map Run %d: %v", r.ID, err)
		}
		for i := int64(0); len(outputs) < len(byIndex); i++ {
			if byIndex[i] != "" {
				outputs = append(outputs, byIndex[i])
			}
		}
		ended.Ended.Succeeded = int64(len(outputs))
	} else {
		children, err := w.disk.base.Children(ctx, r.ID, 0, 1000)
		if err != nil {
			w.violated("acknowledged is durable", "children of Map Run %d: %v", r.ID, err)
		}
		items := int64(0)
		for i, x := range children {
			if x.Child.Index != int64(i) && r.Status == engine.Succeeded {
				w.violated("one result for each item", "child %d of Map Run %d is at place %d", x.Child.Index, r.ID, i)
			}
			if x.Redrives > parent.Redrives {
				w.violated("redriven as asked", "child %d of Map Run %d was redriven %d times, its parent %d times", i, r.ID, x.Redrives, parent.Redrives)
			}
			if r.Stopping && x.StoppedAt > parent.StoppedAt+time.Hour.Milliseconds() && parent.Status == engine.Aborted {
				w.violated("a stop stops children", "child %d of Map Run %d ended at %d, its parent was stopped at %d", i, r.ID, x.StoppedAt, parent.StoppedAt)
			}
			// Clocks are turned back by two seconds at most, now and then.
			if r.Status == engine.Succeeded && x.Status != engine.Succeeded && x.StoppedAt+10_000 < r.RedrivenAt {
				w.violated("a redrive does again what had failed", "child %d of Map Run %d is %s and was not begun again", i, r.ID, x.Status)
			}
			items += x.Child.Items
			switch x.Status {
			case engine.Succeeded:
				ended.Ended.Succeeded++
				outputs = append(outputs, deref(x.Output))
			case engine.TimedOut:
				ended.Ended.TimedOut++
			case engine.Aborted:
				ended.Ended.Aborted++
			default:
				ended.Ended.Failed++
			}
		}
		if items > w.second.items || items < w.second.items && r.Status == engine.Succeeded {
			w.violated("one result for each item", "the %d children of Map Run %d, %s, have %d items of %d", len(children), r.ID, r.Status, items, w.second.items)
		}
	}
	if !r.Express && ended != p || ended.Ended.Succeeded != p.Ended.Succeeded {
		w.violated("counts add up", "Map Run %d counts %+v, its children are %+v", r.ID, p.Ended, ended.Ended)
	}
	return outputs
}

// checkGathered holds that what a distributed Map put out is what its children
// did, each once, in the order of the items. Want has those of each run that has
// succeeded: a Parallel around the Map may have been tried again.
func (w *world) checkGathered(id store.ExecutionID, want [][]string) {
	for _, ev := range w.history(id) {
		if ev.Type != engine.MapStateExitedType {
			continue
		}
		out, err := value.Parse(deref(ev.Data))
		if err != nil {
			w.violated("results are JSON", "execution %d: %s: %v", id, deref(ev.Data), err)
		}
		d := out.Get("d")
		if all := d.Get("all"); d.Kind() == value.Object && all.Kind() == value.Array {
			d = all
		}
		if d.Kind() != value.Array {
			continue // another Map, or kept elsewhere
		}
		var got []string
		for _, v := range d.Items() {
			got = append(got, v.JSON())
		}
		if !slices.ContainsFunc(want, func(outputs []string) bool { return slices.Equal(got, outputs) }) {
			w.violated("one result for each item", "execution %d has gathered\n%s\nits children have put out\n%q", id, strings.Join(got, "\n"), want)
		}
	}
}
