package views

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	tellEvery   = 250 * time.Millisecond // what happens to an execution in between is told at once
	countsEvery = time.Second
	mostChanged = 10_000 // executions that are remembered to have changed in between
	mostTold    = 300    // of them that are told of to those who want to hear of all
	mostRuns    = 20     // Map Runs under way that are told of to those who want to hear of all
)

// Changes tells those who watch how executions get on. It is told of every commit
// and takes down no more than which execution it was of; what is different is read
// from the store a moment later, by a goroutine of its own and not more often than
// a few times a second. So the engine never waits for a reader, however many there
// are, and without any it does nothing.
type Changes struct {
	views *Server
	live  feed.Live

	mu      sync.Mutex
	changed map[foldKey]change
	lost    bool             // there were too many
	wanted  map[foldKey]int  // executions that somebody watches, with how many do
	wake    chan struct{}    // cap 1
	told    map[foldKey]told // only used in Run
	counted map[string]string
}

// change is what happened to an execution since the last telling.
type change struct {
	first, last int64 // its events
	begun       bool
	ended       bool
}

// told is how an execution was when that was told.
type told struct {
	status   engine.Status
	redrives int64
}

// Changes makes what tells of changes. Run it.
func (s *Server) Changes() *Changes {
	return &Changes{
		views: s, changed: map[foldKey]change{}, wanted: map[foldKey]int{}, wake: make(chan struct{}, 1),
		told: map[foldKey]told{}, counted: map[string]string{},
	}
}

// Committed is told of every commit of a Standard execution. It returns at once.
func (c *Changes) Committed(x *store.ExecutionCommit) { c.committed(x, false) }

// CommittedExpress is told of those of Express executions.
func (c *Changes) CommittedExpress(x *store.ExecutionCommit) { c.committed(x, true) }

func (c *Changes) committed(x *store.ExecutionCommit, express bool) {
	if c.live.Watching() == 0 {
		return
	}
	key := foldKey{express, x.ID}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, known := c.changed[key]
	if !known && len(c.changed) >= mostChanged && c.wanted[key] == 0 {
		c.lost = true
		return
	}
	if h := &x.Delta.History; h.Count > 0 {
		if now.first == 0 {
			now.first = h.First
		}
		now.last = h.First + h.Count - 1
	}
	now.begun = now.begun || x.New != nil
	now.ended = x.Delta.Status != engine.Running
	c.changed[key] = now
	if !known && len(c.changed) == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// Watching is somebody who watches.
type Watching struct {
	*feed.Watch
	done func()
}

// Close ends the watch.
func (w *Watching) Close() { w.done() }

// Watch begins to watch. A wish for an execution or Map Run that is not there is
// refused with a *rest.Error.
func (c *Changes) Watch(ctx context.Context, wish feed.Wish) (feed.Watcher, error) {
	key := foldKey{}
	if wish.Execution != "" {
		x, err := c.views.find(ctx, wish.Execution)
		if err != nil {
			return nil, err
		}
		key = foldKey{x.express, x.ID}
	}
	if wish.MapRun != "" {
		if _, _, err := c.views.mapRun(ctx, wish.MapRun); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if key.id != 0 {
		c.wanted[key]++
	}
	w := c.live.Watch(wish)
	return &Watching{Watch: w, done: func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		w.Close()
		if key.id != 0 {
			if c.wanted[key]--; c.wanted[key] == 0 {
				delete(c.wanted, key)
			}
		}
	}}, nil
}

// Run tells of changes until ctx ends.
func (c *Changes) Run(ctx context.Context) error {
	counts := time.NewTicker(countsEvery)
	defer counts.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-counts.C:
			c.tellCounts(ctx)
			continue
		case <-c.wake:
		}
		pause.Reset(tellEvery)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		c.tell(ctx)
	}
}

// tell tells of what has changed since the last time.
func (c *Changes) tell(ctx context.Context) {
	c.mu.Lock()
	changed, lost := c.changed, c.lost
	c.changed, c.lost = map[foldKey]change{}, false
	wanted := make(map[foldKey]bool, len(c.wanted))
	for key := range c.wanted {
		wanted[key] = true
	}
	c.mu.Unlock()

	all := false // somebody wants to hear of all executions
	for _, w := range c.live.Wishes() {
		all = all || w.Execution == ""
	}
	others := 0
	for key, now := range changed {
		if !wanted[key] {
			if !all {
				continue
			}
			if others++; others > mostTold {
				lost = true
				continue
			}
		}
		if err := c.tellOf(ctx, key, now); err != nil && !errors.Is(err, store.ErrNotFound) {
			if ctx.Err() != nil {
				return
			}
			c.views.cfg.Log.Error("a change of an execution cannot be told", "execution", key.id, "error", err)
			lost = true
		}
	}
	if lost {
		c.live.Lose(func(w *feed.Wish) bool { return w.Execution == "" && wantsExecutions(w) })
	}
	if len(c.told) > 2*mostChanged {
		clear(c.told)
	}
}

func wantsExecutions(w *feed.Wish) bool {
	for _, topic := range w.Topics {
		if topic == "execution" || topic == "visit" {
			return true
		}
	}
	return false
}

// tellOf tells of one execution.
func (c *Changes) tellOf(ctx context.Context, key foldKey, now change) error {
	s := c.views
	x := &found{express: key.express}
	x.ID = key.id
	if err := s.again(ctx, x); err != nil {
		return err
	}
	f := x
	if key.express {
		m, err := s.cfg.Store.MachineByID(ctx, x.Machine)
		if err != nil {
			return err
		}
		f.machine = m.Name
		if x.Child.Run != 0 {
			run, err := s.cfg.Store.MapRunByID(ctx, x.Child.Run)
			if err != nil {
				return err
			}
			f.machine += "/" + run.Label
		}
		f.arn = s.cfg.Express.ARN(x.ID, f.machine, x.Name)
	} else {
		var err error
		if f, err = s.named(ctx, x.Execution); err != nil {
			return err
		}
	}
	root, _, _ := strings.Cut(f.machine, "/")
	note := feed.Note{Execution: f.arn, Machine: root}
	is := told{f.Status, f.Redrives}
	was, known := c.told[key]
	if now.begun || now.ended || known && was != is {
		note.Topic, note.Type = "execution", "execution.status"
		if err := c.send(note, s.item(f)); err != nil {
			return err
		}
	}
	c.told[key] = is
	if now.last == 0 {
		return nil
	}
	note.Topic, note.Type = "visit", "visit.changed"
	return c.send(note, map[string]any{
		"arn": f.arn, "machine": f.machine, "status": f.Status.String(), "from_event": now.first, "last_event": now.last,
	})
}

func (c *Changes) send(n feed.Note, data any) (err error) {
	if n.Data, err = json.Marshal(data); err == nil {
		c.live.Tell(n)
	}
	return err
}

// tellCounts tells of the counts of Map Runs that somebody watches, where they are
// others than the last time.
func (c *Changes) tellCounts(ctx context.Context) {
	runs, all := map[string]bool{}, false
	for _, w := range c.live.Wishes() {
		for _, topic := range w.Topics {
			if topic == "maprun" {
				all = all || w.MapRun == ""
				runs[w.MapRun] = true
			}
		}
	}
	if len(runs) == 0 {
		clear(c.counted)
		return
	}
	delete(runs, "")
	if all {
		for text, data := range c.counted { // the last counts of those that have ended are told as well
			if strings.Contains(data, `"status":"RUNNING"`) {
				runs[text] = true
			}
		}
		open, err := c.views.cfg.Store.OpenMapRuns(ctx, 0, mostRuns)
		if err != nil {
			c.views.cfg.Log.Error("the Map Runs under way cannot be read", "error", err)
		}
		for _, run := range open {
			text, err := c.views.mapRunARN(ctx, run)
			if err == nil {
				runs[text] = true
			}
		}
	}
	for text := range runs {
		if err := c.tellRun(ctx, text); err != nil && ctx.Err() == nil {
			c.views.cfg.Log.Error("the counts of a Map Run cannot be told", "run", text, "error", err)
		}
	}
	for text := range c.counted {
		if !runs[text] {
			delete(c.counted, text)
		}
	}
}

func (c *Changes) tellRun(ctx context.Context, text string) error {
	v, machine, err := c.views.mapRun(ctx, text)
	if err != nil {
		return err
	}
	run, err := c.views.mapRunOf(ctx, text, v)
	if err != nil {
		return err
	}
	data, err := json.Marshal(run)
	if err != nil || c.counted[text] == string(data) {
		return err
	}
	c.counted[text] = string(data)
	c.live.Tell(feed.Note{Topic: "maprun", Type: "maprun.counts", Execution: run.Execution, Machine: machine, MapRun: text, Data: data})
	return nil
}

// mapRunARN is the ARN of a Map Run.
func (s *Server) mapRunARN(ctx context.Context, run store.MapRun) (string, error) {
	text, err := s.arnOf(ctx, run.Execution)
	if err != nil {
		return "", err
	}
	name, ok := arn.Parse(text)
	if !ok {
		return "", store.ErrNotFound
	}
	machine, _ := s.cfg.Scheme.Find(name)
	root, _, _ := strings.Cut(machine, "/")
	return s.cfg.Scheme.MapRun(root, run.Label, run.Name), nil
}
