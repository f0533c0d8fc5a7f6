// Package health notices quiet failures of agents and of states of machines:
// work that ends without an error and came to nothing, is sent back more often,
// or grows short or slow.
//
// What agents do it reads from the feed, and keeps its place in it together with
// its statistics: so a restart neither misses nor counts twice. What states do is
// told to it as it happens; of that a crash may lose the last minute.
package health

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/quiet"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Config says what a Health works with.
type Config struct {
	Workspace string
	Store     interface {
		Record(ctx context.Context, kind, id string) (store.Record, error)
		Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
		Events(ctx context.Context, after int64, limit int) ([]store.Event, error)
	}
	// Write makes a change durable and returns what do returned; it rings for
	// those who read the feed.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Rings func() <-chan struct{} // closed at the next change of the feed
	Rules quiet.Rules
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger
}

// Health watches. Its methods may be called at any time; Connect and Run it.
type Health struct {
	cfg      Config
	board    *control.Board
	outcomes chan quiet.Observation // of states; what comes when it is full is not counted

	mu      sync.Mutex // of all below
	watch   *quiet.Watch
	changed map[string]bool // since it was saved
	place   int64           // in the feed
	refused map[string]bool // agents whose output was refused since their last attempt ended
}

// New makes a Health.
func New(c Config) *Health {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Health{
		cfg: c, watch: quiet.NewWatch(c.Rules), outcomes: make(chan quiet.Observation, 4096), changed: map[string]bool{}, refused: map[string]bool{},
	}
}

// Connect says which board it tells of what it notices, before it runs; the first
// call counts.
func (h *Health) Connect(b *control.Board) {
	if h.board == nil {
		h.board = b
	}
}

// The kinds of records.
const (
	kindKept  = "quiet"       // what is known of a key
	kindPlace = "quiet_place" // in the feed
	kindAlert = "quiet_alert"
)

func agentKey(id string) string             { return "agent/" + id }
func stateKey(machine, state string) string { return "state/" + machine + "/" + state }

// Outcome is how a task of a state ended.
type Outcome struct {
	Machine, State string
	Output         string // JSON; "" of one that failed
	Failed         bool
	Refused        bool // by a check of its output
	Took           time.Duration
}

// Outcome takes how a task of a state ended. It does not wait: when too much
// comes at once, some of it is not counted.
func (h *Health) Outcome(o Outcome) {
	if o.Failed && !o.Refused || o.State == "" {
		return // an error is not quiet, and what no state asked for is nobody's
	}
	seen := quiet.Observation{Key: stateKey(o.Machine, o.State), At: h.cfg.Now(), Refused: o.Refused, Took: o.Took, Length: int64(len(o.Output)), Empty: !o.Refused && nothing(o.Output)}
	select {
	case h.outcomes <- seen:
	default:
	}
}

// nothing says whether a JSON text is empty.
func nothing(text string) bool {
	switch strings.TrimSpace(text) {
	case "", "null", `""`, "{}", "[]":
		return true
	}
	return false
}

// Standing is an alert that stands.
type Standing struct {
	quiet.Alert
	Since time.Time `json:"since"`
}

// Report is how somebody fares.
type Report struct {
	Figures []quiet.Band `json:"figures"` // none: nothing is known yet
	Alerts  []Standing   `json:"alerts"`
}

// Agent says how an agent fares.
func (h *Health) Agent(ctx context.Context, id string) (Report, error) {
	return h.report(ctx, agentKey(id))
}

// State says how a state of a machine fares.
func (h *Health) State(ctx context.Context, machine, state string) (Report, error) {
	return h.report(ctx, stateKey(machine, state))
}

// States lists the states of a machine that something is known of.
func (h *Health) States(machine string) (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.watch.Today() {
		if name, ok := strings.CutPrefix(s.Key, "state/"+machine+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

func (h *Health) report(ctx context.Context, key string) (Report, error) {
	r := Report{Figures: []quiet.Band{}, Alerts: []Standing{}}
	h.mu.Lock()
	r.Figures = append(r.Figures, h.watch.Bands(key)...)
	h.mu.Unlock()
	found, err := h.cfg.Store.Records(ctx, store.Prefix(kindAlert, key+"\x00", len(quiet.Figures)))
	if err != nil {
		return r, err
	}
	for _, f := range found {
		var s Standing
		if err := json.Unmarshal(f.Data, &s); err != nil {
			return r, fmt.Errorf("read alert %s: %w", f.ID, err)
		}
		r.Alerts = append(r.Alerts, s)
	}
	return r, nil
}

// Run watches until ctx ends, and keeps what it knows every minute and then.
func (h *Health) Run(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	const apart = 100 * time.Millisecond // what happens in a burst is looked at once
	save := time.NewTicker(time.Minute)
	defer save.Stop()
	rings := h.cfg.Rings()
	if err := h.read(ctx); err != nil && ctx.Err() == nil {
		h.cfg.Log.Error("the feed could not be read for quiet failures", "error", err)
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return h.save(context.WithoutCancel(ctx))
		case o := <-h.outcomes:
			err = h.observe(ctx, o)
		case <-rings:
			pause := time.NewTimer(apart)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
			rings = h.cfg.Rings()
			err = h.read(ctx)
		case <-save.C:
			err = h.save(ctx)
		}
		if err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("quiet failures may go unnoticed", "error", err)
		}
	}
}

func (h *Health) load(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, err := h.cfg.Store.Records(ctx, store.Prefix(kindKept, "", 100_000))
	if err != nil {
		return fmt.Errorf("read what is known of agents and states: %w", err)
	}
	for _, f := range found {
		if err := h.watch.Load(f.ID, f.Data); err != nil {
			h.cfg.Log.Warn("statistics begin anew", "error", err)
		}
	}
	r, err := h.cfg.Store.Record(ctx, kindPlace, h.cfg.Workspace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(r.Data, &h.place)
	}
	return err
}

// save keeps what has changed, and the place in the feed that goes with it.
func (h *Health) save(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.changed) == 0 {
		return nil
	}
	err := h.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		for key := range h.changed {
			if text := h.watch.Save(key); text != nil {
				if err := put(ctx, tx, kindKept, key, key, text); err != nil {
					return err
				}
			}
		}
		place, err := json.Marshal(h.place)
		if err != nil {
			return err
		}
		return put(ctx, tx, kindPlace, h.cfg.Workspace, h.cfg.Workspace, place)
	})
	if err != nil {
		return fmt.Errorf("keep what is known of agents and states: %w", err)
	}
	clear(h.changed)
	return nil
}

func put(ctx context.Context, tx store.Tx, kind, id, key string, data []byte) error {
	r, err := tx.Record(ctx, kind, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return tx.SaveRecord(ctx, store.Record{Kind: kind, ID: id, Version: r.Version, Keys: []string{key}, Data: data})
}

// observe takes one observation, and tells of what it gives rise to.
func (h *Health) observe(ctx context.Context, o quiet.Observation) error {
	h.mu.Lock()
	alerts := h.watch.Observe(o)
	h.changed[o.Key] = true
	h.mu.Unlock()
	for _, a := range alerts {
		if err := h.tell(ctx, a); err != nil {
			return fmt.Errorf("tell of %s: %w", a, err)
		}
	}
	return nil
}

// tell makes an alert stand, or ends it, with an event. What was told before is
// not told again.
func (h *Health) tell(ctx context.Context, a quiet.Alert) error {
	id := a.Key + "/" + string(a.Figure)
	return h.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Record(ctx, kindAlert, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if stands := err == nil; stands != a.Back {
			return nil
		}
		board, c := h.board.In(tx), control.Call{Workspace: h.cfg.Workspace, By: control.System, At: h.cfg.Now()}
		e := control.Event{Data: map[string]any{"figure": a.Figure, "now": a.Now, "usual": a.Usual, "low": a.Low, "high": a.High, "sample": a.Sample}}
		kind, who, _ := strings.Cut(a.Key, "/")
		name := who
		if kind == "agent" {
			agent, err := board.Agent(ctx, c, who)
			if control.Is(err, control.NotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			e.Agent, name = agent.ID, "@"+agent.Slug
			if len(agent.Projects) > 0 {
				e.Project = agent.Projects[0]
			}
		} else {
			kind = "machine"
			e.Data["machine"], e.Data["state"], _ = strings.Cut(who, "/")
		}
		e.Data["title"] = words[a.Figure] + " of " + name + " is out of its band"
		e.Data["text"] = fmt.Sprintf("It is %.3g, where %.3g is usual and %.3g to %.3g the band, over %d pieces of work today.", a.Now, a.Usual, a.Low, a.High, a.Sample)
		if a.Back {
			e.Type = kind + ".quiet_failure_over"
			if err := tx.DeleteRecord(ctx, kindAlert, id); err != nil {
				return err
			}
			return board.Tell(ctx, c, e, "", "")
		}
		e.Type = kind + ".quiet_failure"
		data, err := json.Marshal(Standing{a, a.At.UTC()})
		if err != nil {
			return err
		}
		if err := tx.SaveRecord(ctx, store.Record{Kind: kindAlert, ID: id, Keys: []string{a.Key + "\x00" + string(a.Figure)}, Data: data}); err != nil {
			return err
		}
		return board.Tell(ctx, c, e, "quiet_failure", fmt.Sprintf("%s/%d", id, a.At.UnixMilli()))
	})
}

var words = map[quiet.Figure]string{
	quiet.Empty: "The share of empty work", quiet.Refused: "The share of refused work", quiet.Rework: "The share of rework",
	quiet.Length: "The usual length of the work", quiet.Latency: "The time that work takes",
}

// read looks at what has happened on the board since it last looked.
func (h *Health) read(ctx context.Context) error {
	const batch = 500
	for ctx.Err() == nil {
		h.mu.Lock()
		place := h.place
		h.mu.Unlock()
		events, err := h.cfg.Store.Events(ctx, place, batch)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, kept := range events {
			if kept.Type == "attempt.ended" || kept.Type == "agent.output_refused" {
				if err := h.event(ctx, kept); err != nil {
					return err
				}
			}
			h.mu.Lock()
			h.place = kept.Seq
			h.mu.Unlock()
		}
	}
	return nil
}

func (h *Health) event(ctx context.Context, kept store.Event) error {
	var e control.Event
	if err := json.Unmarshal(kept.Data, &e); err != nil {
		return fmt.Errorf("read event %d: %w", kept.Seq, err)
	}
	if e.Workspace != h.cfg.Workspace {
		return nil
	}
	if e.Type == "agent.output_refused" {
		h.mu.Lock()
		h.refused[e.Agent] = true
		h.mu.Unlock()
		return nil
	}
	id, _ := e.Data["attempt"].(string)
	o, ok, err := h.attempt(ctx, id)
	if err != nil || !ok {
		return err
	}
	return h.observe(ctx, o)
}

// attempt makes an observation of an agent's attempt that has ended with a result
// or came to nothing; others say nothing about the agent.
func (h *Health) attempt(ctx context.Context, id string) (o quiet.Observation, ok bool, err error) {
	var a control.Attempt
	var t control.Task
	if err := h.get(ctx, "attempt", id, &a); err != nil {
		return o, false, gone(err)
	}
	kind, agent := a.By.Split()
	if kind != "agent" {
		return o, false, nil
	}
	if err := h.get(ctx, "task", a.Task, &t); err != nil {
		return o, false, gone(err)
	}
	h.mu.Lock()
	o = quiet.Observation{Key: agentKey(agent), At: a.EndedAt, Took: a.EndedAt.Sub(a.CreatedAt), Refused: h.refused[agent], Rework: t.ReworkCount > 0}
	delete(h.refused, agent)
	h.mu.Unlock()
	switch a.Status {
	case "failed", "timed_out", "lost":
		o.Empty = true
		return o, true, nil
	case "succeeded":
	default:
		return o, false, nil
	}
	if text := bytes.TrimSpace(t.Output); !nothing(string(text)) {
		o.Length = int64(len(text))
	}
	o.Length += int64(len(strings.TrimSpace(t.Summary)))
	posted, err := h.cfg.Store.Records(ctx, store.Prefix("deliverable", "task/"+t.ID, 1000))
	if err != nil {
		return o, false, err
	}
	for _, f := range posted {
		var d control.Deliverable
		if err := json.Unmarshal(f.Data, &d); err != nil {
			return o, false, err
		}
		if d.Attempt == a.ID {
			o.Length += max(d.Size, int64(len(d.Content)))
		}
	}
	o.Empty = o.Length == 0
	return o, true, nil
}

func (h *Health) get(ctx context.Context, kind, id string, to any) error {
	r, err := h.cfg.Store.Record(ctx, kind, id)
	if err != nil {
		return err
	}
	return json.Unmarshal(r.Data, to)
}

func gone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
