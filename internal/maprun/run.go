package maprun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/items"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	// maxConcurrency is how many children of a run may be under way (AWS's quota).
	maxConcurrency = 10_000
	// maxUnsaved bounds the results that wait to be saved, in bytes: the next
	// children wait for those.
	maxUnsaved = 16 << 20
	// retryAfter is the time before a store or service that failed is asked
	// again.
	retryAfter = 200 * time.Millisecond
	// maxFailures is how often the object store may fail, one time after the
	// other, before the run does.
	maxFailures = 5
	// childTime is how long an Express child may take before the run goes on
	// without it: longer than any lives.
	childTime = 6 * time.Minute
	// sweepEvery is the time between two looks after children whose end was not
	// told.
	sweepEvery = 5 * time.Second
)

// nameOf is what the ARN of a Map Run ends in.
func nameOf(arn string) string { return arn[len(arn)-36:] }

// run is a Map Run under way. The first group of fields is given, the second
// belongs to its lock, the others to its goroutine.
type run struct {
	r         *Runner
	name      string
	execution store.ExecutionID
	task      engine.TaskID
	ask       *engine.MapRun // nil: it is to be stopped
	ctx       context.Context
	cancel    context.CancelFunc
	wake      chan struct{}
	then      *run // begins when this one is through; belongs to the Runner's lock

	mu      sync.Mutex
	ends    []end
	changes []change
	stopped bool
	shown   store.MapRunView
	ready   bool // shown holds something

	record   store.MapRun
	parent   store.Execution
	label    string // of the children's machine: name/label
	p        *progress
	feed     *feed
	again    *again // after a redrive: children that are begun again
	inflight map[int64]*child
	early    map[int64]early // adopted, and have ended before the source was read up to them
	running  int64           // items in inflight
	unsaved  []byte
	saving   *save
	dirty    bool
	answers  []change // durable with the next save
	retryAt  time.Time
	failures int   // of the object store, one after the other
	swept    int64 // the child that was looked after last
}

// child is a child under way.
type child struct {
	in      input
	id      store.ExecutionID
	round   int64
	started int64 // Unix milliseconds
	how     beginning
	before  *store.Execution // redriven: how it had ended
	unsure  error            // why it may not have begun, until the store says
}

// errLook asks for a look at how a child is.
var errLook = errors.New("look")

// beginning is how a child comes to be under way.
type beginning uint8

const (
	fresh    beginning = iota
	redriven           // a Standard one, which has ended before
	adopted            // it is under way already
)

// early is a child whose end has its turn later.
type early struct {
	child *child
	end   end
}

// end is the end of a child.
type end struct {
	index int64 // with id 0
	id    store.ExecutionID
	delta engine.Delta
	err   error
}

// change is an update that somebody waits for.
type change struct {
	store.MapRunSettings
	done chan error
}

// save is a commit under way.
type save struct {
	number  int64
	results []byte
	answers []change
	done    chan error
}

// last is the newest of those that wait for each other; nil: none.
func (r *run) last() *run {
	for r != nil && r.then != nil {
		r = r.then
	}
	return r
}

// outdated says that the run has been begun again since it was asked for, or
// asked to be given up: that is for another one to do.
func (r *run) outdated() bool {
	if r.ask == nil {
		return !r.record.Stopping
	}
	return r.record.Redrives > r.ask.Redrives
}

func (r *run) tell(e end) {
	r.mu.Lock()
	r.ends = append(r.ends, e)
	r.mu.Unlock()
	r.signal()
}

func (r *run) update(c change) {
	r.mu.Lock()
	r.changes = append(r.changes, c)
	r.mu.Unlock()
	r.signal()
}

func (r *run) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.signal()
}

func (r *run) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *run) look() (store.MapRunView, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown, r.ready
}

// show lets others see how it is going.
func (r *run) show() {
	v := r.p.view(int64(len(r.inflight)), r.running)
	r.mu.Lock()
	r.shown, r.ready = v, true
	r.mu.Unlock()
}

// main is the run from its beginning, or from where the last process left it,
// to its end.
func (r *run) main() {
	if !r.persist("read it", r.load) || r.outdated() {
		return
	}
	if r.record.Status == engine.Running {
		if !r.persist("prepare it", r.prepare) || !r.work() {
			return
		}
		if !r.persist("end it", r.conclude) {
			return
		}
	}
	r.report()
}

// persist tries until it works, or until the run is to stand still.
func (r *run) persist(what string, do func() error) bool {
	for {
		err := do()
		if r.ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		r.r.cfg.Log.Error("Map Run: "+what, "run", r.name, "error", err)
		r.r.cfg.Sleep(r.ctx, nil, retryAfter)
	}
}

// load reads what is kept of the run.
func (r *run) load() (err error) {
	cfg := &r.r.cfg
	if r.record, err = cfg.Store.MapRun(r.ctx, r.name); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			r.cancel() // was never begun
		}
		return err
	}
	if r.parent, err = cfg.Store.Execution(r.ctx, r.record.Execution); err != nil {
		return err
	}
	r.execution, r.task = r.record.Execution, r.record.Task
	if r.p, err = readProgress(r.record.Progress); err != nil {
		return err
	}
	r.inflight, r.early = map[int64]*child{}, map[int64]early{}
	if r.record.Stopping {
		r.stop()
	}
	m, err := cfg.Store.Revision(r.ctx, r.parent.Revision)
	if err != nil {
		return err
	}
	machine, err := cfg.Store.MachineByID(r.ctx, m.Machine)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r.label = machine.Name + "/" + r.record.Label
	return nil
}

// prepare takes up what is under way.
func (r *run) prepare() error {
	if r.ask == nil { // nobody waits for it
		return r.adopt()
	}
	if r.p.Saves == 0 {
		n := r.ask.MaxConcurrency
		r.p.MapRunSettings = store.MapRunSettings{MaxConcurrency: &n, ToleratedCount: r.ask.ToleratedCount, ToleratedPercentage: r.ask.ToleratedPercentage}
		if r.ask.Reader == nil {
			r.p.Total = int64(r.ask.Items.Len())
			r.p.Single = r.ask.Batcher == nil
		}
	}
	if r.p.Redrives < r.record.Redrives {
		r.p.Redrives = r.record.Redrives
		r.p.Failure, r.p.Output = nil, nil
		t, of := &r.p.Ended, &r.p.EndedOf
		t.Failed, t.TimedOut, t.Aborted = 0, 0, 0
		of.Failed, of.TimedOut, of.Aborted = 0, 0, 0
		r.dirty = true
	}
	r.feed = newFeed(r.ask, r.p, r.open)
	if r.p.Redrives > 0 {
		r.again = &again{r: r, scan: true}
		if err := r.recount(); err != nil {
			return err
		}
	}
	return r.adopt()
}

// open opens the source of the items.
func (r *run) open(ctx context.Context, cursor json.RawMessage) (source, error) {
	if r.ask.Reader == nil {
		return newStateData(r.ask.Items, cursor)
	}
	return openReader(ctx, r.r.cfg.Objects, r.ask.Reader, cursor)
}

// adopt finds the Standard children that the last process has started and that
// are not known to have ended.
func (r *run) adopt() error {
	if r.record.Express {
		return nil
	}
	known := r.p.children()
	from := known
	for _, s := range r.p.Segments {
		if s.Left > 0 {
			from = s.First
			break
		}
	}
	return r.eachExecution(from, func(x *store.Execution) bool {
		s := r.p.holding(x.Child.Index)
		if s != nil && !s.done(x.Child.Index) || x.Child.Index >= known {
			r.begin(&child{in: input{index: x.Child.Index, items: x.Child.Items}, id: x.ID, started: x.StartedAt, how: adopted})
		}
		return true
	})
}

// endOf is the end of an execution that is in the store.
func endOf(x *store.Execution) end {
	return end{id: x.ID, delta: engine.Delta{Status: x.Status, StoppedAt: x.StoppedAt, Output: x.Output, Error: x.Error, Cause: x.Cause}}
}

// enter notes a child that is under way.
func (r *run) enter(c *child) {
	r.inflight[c.in.index] = c
	r.running += c.in.items
	if !r.record.Express {
		r.r.expect(c.id, r)
	}
}

// work starts children and takes in their ends, until all are through or the
// run is given up. It returns false if the run is to stand still.
func (r *run) work() bool {
	defer func() {
		if r.feed != nil {
			r.feed.close()
		}
	}()
	sweepAt := r.now().Add(sweepEvery)
	halted := false
	for {
		r.takeEnds()
		stopped := r.takeChanges()
		if !halted && (stopped || r.ask == nil || r.p.Failure != nil) {
			halted = true
			r.halt()
		}
		more := false
		if !halted {
			more = r.start()
			halted = r.p.Failure != nil && r.halt()
		}
		r.show()
		if (r.dirty || len(r.unsaved) > 0 || len(r.answers) > 0) && r.saving == nil && !r.now().Before(r.retryAt) {
			r.save()
		}
		if r.saving == nil && !r.dirty && len(r.inflight) == 0 && (halted || !more) && len(r.unsaved) == 0 {
			return true
		}
		until := sweepAt
		if now := r.now(); r.retryAt.After(now) && r.retryAt.Before(until) {
			until = r.retryAt
		}
		r.r.cfg.Sleep(r.ctx, r.wake, until.Sub(r.now()))
		if r.ctx.Err() != nil {
			for _, c := range r.answers {
				c.done <- r.ctx.Err()
			}
			return false
		}
		if s := r.saving; s != nil {
			select {
			case err := <-s.done:
				r.savedWith(err)
			default:
			}
		}
		if !r.now().Before(sweepAt) {
			r.sweep()
			sweepAt = r.now().Add(sweepEvery)
		}
	}
}

func (r *run) now() time.Time { return r.r.cfg.Now() }

// limit is how many children may be under way.
func (r *run) limit() int {
	if n := r.p.MaxConcurrency; n != nil && *n > 0 && *n < maxConcurrency {
		return int(*n)
	}
	return maxConcurrency
}

// start starts children as long as that is allowed. It reports whether there
// are more, now or later.
func (r *run) start() (more bool) {
	for {
		if r.p.Failure != nil {
			return false
		}
		if len(r.inflight) >= r.limit() || len(r.unsaved) > maxUnsaved || r.now().Before(r.retryAt) {
			return true
		}
		c, err := r.next()
		if errors.Is(err, io.EOF) {
			return false
		}
		var fatal *engine.RunError
		if errors.As(err, &fatal) {
			r.fail(fatal)
			return false
		}
		if err != nil {
			if r.ctx.Err() == nil {
				r.r.cfg.Log.Error("Map Run: read items", "run", r.name, "error", err)
			}
			if r.failures++; r.failures >= maxFailures {
				r.fail(&engine.RunError{Name: items.Name, Cause: causeOf(err)})
				return false
			}
			r.retryAt = r.now().Add(retryAfter)
			return true
		}
		r.failures = 0
		if c != nil {
			r.begin(c)
		}
	}
}

// next is the next child to be started; nil: none, but there may be more.
func (r *run) next() (*child, error) {
	if r.again != nil {
		c, err := r.again.next()
		if err == nil || !errors.Is(err, io.EOF) {
			return c, err
		}
		r.again = nil
	}
	in, err := r.feed.next(r.ctx)
	if err != nil {
		if errors.Is(err, io.EOF) {
			r.bears() // a percentage can be told now
		}
		return nil, err
	}
	if in.segment.done(in.index) || r.inflight[in.index] != nil {
		return nil, nil
	}
	if x, ok := r.early[in.index]; ok {
		delete(r.early, in.index)
		r.count(x.child, &x.end)
		r.bears()
		return nil, nil
	}
	return &child{in: in, round: r.p.Redrives}, nil
}

// begin starts a child.
func (r *run) begin(c *child) {
	switch c.how {
	case redriven:
		delete(r.early, c.in.index) // it will end once more
		r.enter(c)
		ended := endOf(c.before)
		at := time.UnixMilli(max(r.now().UnixMilli(), r.record.RedrivenAt))
		r.r.standard.Post(r.ctx, c.id, engine.Redriven{At: at}, func(err error) {
			switch {
			case errors.Is(err, engine.ErrNotWaiting): // it cannot be redriven, and stays as it was
				r.tell(ended)
			case err != nil:
				r.tell(end{id: c.id, err: err})
			}
		})
		return
	case adopted:
		r.enter(c)
		r.tell(end{id: c.id, err: errLook})
		return
	}
	start := store.Start{
		Machine: store.Machine{ID: r.parent.Machine, Name: r.label}, Revision: r.parent.Revision, Input: c.in.text,
		Child: store.Child{Run: r.record.ID, Index: c.in.index, Items: c.in.items},
	}
	c.started = r.now().UnixMilli()
	index := c.in.index
	if r.record.Express {
		start.Name = r.childName(index)
		c.id, _ = r.r.express.Reserve(r.label, start.Name)
		start.ID, start.StartedAt = c.id, c.started
		r.enter(c)
		r.r.express.Child(r.ctx, start, func(d engine.Delta, err error) { r.tell(end{index: index, delta: d, err: err}) })
		return
	}
	c.id = r.r.standard.Reserve()
	start.ID = c.id
	r.enter(c)
	r.r.standard.Begin(r.ctx, start, func(_ store.Execution, _ bool, err error) {
		if err != nil {
			r.tell(end{id: start.ID, err: err})
		}
	})
}

// childName is the name of an Express child: always the same for an item.
func (r *run) childName(index int64) string {
	id, err := uuid.Parse(r.name)
	if err != nil {
		id = uuid.NameSpaceOID
	}
	return uuid.NewSHA1(id, fmt.Appendf(nil, "%d", index)).String()
}

// takeEnds takes in the ends of children.
func (r *run) takeEnds() {
	r.mu.Lock()
	ends := r.ends
	r.ends = nil
	r.mu.Unlock()
	if len(ends) == 0 {
		return
	}
	var byID map[store.ExecutionID]*child
	for i := range ends {
		e := &ends[i]
		c := r.inflight[e.index]
		if e.id != 0 {
			if byID == nil {
				byID = make(map[store.ExecutionID]*child, len(r.inflight))
				for _, c := range r.inflight {
					byID[c.id] = c
				}
			}
			c = byID[e.id]
			delete(byID, e.id)
		}
		if c != nil {
			r.takeEnd(c, e)
		}
	}
	r.p.drop()
	r.bears()
}

func (r *run) takeEnd(c *child, e *end) {
	if errors.Is(e.err, errLook) {
		x, err := r.r.cfg.Store.Execution(r.ctx, c.id)
		if err != nil || x.Status == engine.Running {
			return
		}
		*e = endOf(&x)
	}
	if e.err != nil && !r.record.Express && !errors.Is(e.err, store.ErrBusy) && r.begun(c, e) {
		return
	}
	delete(r.inflight, c.in.index)
	r.running -= c.in.items
	if !r.record.Express {
		r.r.forget(c.id)
	}
	if e.err != nil {
		if !errors.Is(e.err, store.ErrBusy) {
			r.r.cfg.Log.Error("Map Run: start a child", "run", r.name, "child", c.in.index, "error", e.err)
		}
		r.retryAt = r.now().Add(10 * time.Millisecond)
		r.again = &again{r: r, rest: r.again, list: []*child{c}}
		return
	}
	if c.in.index >= r.p.children() {
		r.early[c.in.index] = early{c, *e}
		return
	}
	r.count(c, e)
}

// begun asks the store whether a Standard child has begun, or has been redriven,
// although that gave an error: there must not be two for an item. It returns false if there is an
// end to be taken in, of the child or of the attempt to start it.
func (r *run) begun(c *child, e *end) bool {
	x, err := r.r.cfg.Store.Execution(r.ctx, c.id)
	if errors.Is(err, store.ErrNotFound) {
		c.unsure = nil
		return false
	}
	if err != nil {
		c.unsure = e.err // sweep asks again
		return true
	}
	c.unsure = nil
	switch {
	case x.Status == engine.Running:
		return true
	case c.how == redriven && x.RedrivenAt < r.record.RedrivenAt: // not yet
		return false
	}
	*e = endOf(&x)
	return false
}

// count takes in how a child has ended.
func (r *run) count(c *child, e *end) {
	r.dirty = true
	r.p.Ended.add(e.delta.Status, 1)
	r.p.EndedOf.add(e.delta.Status, c.in.items)
	if s := r.p.holding(c.in.index); s != nil {
		s.mark(c.in.index)
	}
	if !r.record.Express {
		return
	}
	this := result{
		index: c.in.index, items: c.in.items, round: c.round, id: c.id, status: e.delta.Status, started: c.started, stopped: e.delta.StoppedAt,
		output: e.delta.Output, error: e.delta.Error, cause: e.delta.Cause,
	}
	if e.delta.Status != engine.Succeeded || r.exports() && r.ask.Writer.Transformation == "NONE" {
		this.input = c.in.text
	}
	r.unsaved = this.append(r.unsaved)
}

// exports says whether results are written to files.
func (r *run) exports() bool {
	return r.ask != nil && r.ask.Writer != nil && !r.ask.Writer.Parameters.IsAbsent()
}

// fail decides that the run fails.
func (r *run) fail(e *engine.RunError) {
	if r.p.Failure == nil {
		r.p.Failure = e
		r.dirty = true
	}
}

// bears fails the run if more has failed than it is to bear. A percentage
// counts once the number of items is known.
func (r *run) bears() {
	bad := r.p.EndedOf.badly()
	if bad == 0 {
		return
	}
	count, percentage := r.p.ToleratedCount, r.p.ToleratedPercentage
	exceeded := count == nil && percentage == nil || count != nil && bad > *count
	if percentage != nil {
		total := max(r.p.Items, r.p.Total)
		if r.p.Total == 0 && !r.p.Read && *percentage > 0 {
			total = 0
		}
		exceeded = exceeded || total > 0 && float64(bad)*100 > *percentage*float64(total)
	}
	if exceeded {
		r.fail(&engine.RunError{Name: "States.ExceedToleratedFailureThreshold", Cause: "The specified tolerated failure threshold was exceeded"})
	}
}

// halt stops what is under way: Standard children are stopped, Express ones are
// left to themselves.
func (r *run) halt() bool {
	r.again = nil
	if r.record.Express {
		clear(r.inflight)
		r.running = 0
		return true
	}
	for _, index := range slices.Sorted(maps.Keys(r.inflight)) {
		r.r.standard.Post(r.ctx, r.inflight[index].id, engine.Stopped{At: r.now()}, nil)
	}
	return true
}

// takeChanges takes in updates, and says whether the run is to be given up.
func (r *run) takeChanges() (stopped bool) {
	r.mu.Lock()
	changes, stopped := r.changes, r.stopped
	r.changes = nil
	r.mu.Unlock()
	for _, c := range changes {
		if c.MaxConcurrency != nil {
			r.p.MaxConcurrency = c.MaxConcurrency
		}
		if c.ToleratedCount != nil {
			r.p.ToleratedCount = c.ToleratedCount
		}
		if c.ToleratedPercentage != nil {
			r.p.ToleratedPercentage = c.ToleratedPercentage
		}
		r.answers = append(r.answers, c)
		r.bears()
	}
	return stopped
}

// save begins a commit of how far the run is.
func (r *run) save() {
	r.p.Saves++
	data, err := r.p.encode()
	if err != nil {
		r.r.cfg.Log.Error("Map Run: save", "run", r.name, "error", err)
		return
	}
	s := &save{number: r.p.Saves, results: r.unsaved, answers: r.answers, done: make(chan error, 1)}
	r.unsaved, r.answers, r.dirty, r.saving = nil, nil, false, s
	record := r.record
	record.Progress = data
	r.r.cfg.Go(func() {
		s.done <- r.keep(record, s.results)
		r.signal()
	})
}

// keep makes a record and results durable. A run that has been begun again in the
// meantime has not ended.
func (r *run) keep(record store.MapRun, results []byte) error {
	return r.r.standard.Write(r.ctx, func(ctx context.Context, tx store.Tx) error {
		kept, err := tx.MapRun(ctx, record.ID)
		if err != nil {
			return err
		}
		if kept.Redrives > record.Redrives {
			record.Status, record.StoppedAt = kept.Status, kept.StoppedAt
		}
		if len(results) > 0 {
			if err := tx.AddResults(ctx, record.ID, results); err != nil {
				return err
			}
		}
		return tx.SaveMapRun(ctx, record)
	})
}

// savedWith takes in how a commit went. Where that is not known the store is
// asked: results must not be kept twice.
func (r *run) savedWith(err error) {
	s := r.saving
	r.saving = nil
	if err != nil {
		kept, lost := r.r.cfg.Store.MapRunByID(r.ctx, r.record.ID)
		if lost != nil { // nothing else until that is known
			r.saving = s
			r.r.cfg.Go(func() {
				r.r.cfg.Sleep(r.ctx, nil, retryAfter)
				s.done <- err
				r.signal()
			})
			return
		}
		if p, lost := readProgress(kept.Progress); lost == nil && p.Saves == s.number {
			err = nil
		}
	}
	if err == nil {
		for _, c := range s.answers {
			c.done <- nil
		}
		return
	}
	if r.ctx.Err() == nil {
		r.r.cfg.Log.Error("Map Run: save", "run", r.name, "error", err)
	}
	r.unsaved = append(s.results, r.unsaved...)
	r.answers = append(s.answers, r.answers...)
	r.dirty = true
	r.retryAt = r.now().Add(retryAfter)
}

// sweep looks after children whose end was not told: after a commit of unknown
// outcome, or because they stand still.
func (r *run) sweep() {
	const most = 200
	late := r.now().Add(-childTime).UnixMilli()
	indexes := slices.Sorted(maps.Keys(r.inflight))
	next, _ := slices.BinarySearch(indexes, r.swept+1)
	for i := range min(most, len(indexes)) {
		index := indexes[(next+i)%len(indexes)]
		c := r.inflight[index]
		r.swept = index
		if r.record.Express {
			if c.started < late {
				name, cause := "States.Timeout", "The child execution did not end."
				r.tell(end{index: index, delta: engine.Delta{Status: engine.TimedOut, StoppedAt: r.now().UnixMilli(), Error: &name, Cause: &cause}})
			}
			continue
		}
		if c.unsure != nil {
			r.tell(end{id: c.id, err: c.unsure})
		} else if x, err := r.r.cfg.Store.Execution(r.ctx, c.id); err == nil && x.Status != engine.Running {
			r.tell(endOf(&x))
		}
	}
}

// report tells the execution that waits how the run has ended.
func (r *run) report() {
	if r.record.Status == engine.Aborted || r.record.Stopping {
		return
	}
	ev := engine.MapRunEnded{At: r.now(), Task: r.task}
	switch {
	case r.p.Failure != nil:
		ev.Error, ev.Cause = &r.p.Failure.Name, &r.p.Failure.Cause
	case r.p.Output != nil:
		ev.Output = engine.Text(*r.p.Output)
	}
	r.r.standard.Post(r.ctx, r.execution, ev, nil)
}
