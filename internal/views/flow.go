package views

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Flow is the way of the data through one visit. What the history has is as it
// was; the steps in between are worked out again, by running the state by itself
// with the same input, variables and result. Nothing is called.
type Flow struct {
	Steps []FlowStep `json:"steps"`
	// Variables that the state could read when it was entered, and after it.
	Before []Variable `json:"variables_before"`
	After  []Variable `json:"variables_after"`
	// Problem says why steps are missing; empty when none is.
	Problem string `json:"problem,omitempty"`
	// Differs says that working it out came to another output than the execution
	// had: the state uses chance, the time, or something that no history has.
	Differs bool `json:"differs,omitempty"`
}

// FlowStep is the data at one point.
type FlowStep struct {
	Name     string   `json:"name"`     // as in flowOrder
	Recorded bool     `json:"recorded"` // taken from the history, not worked out again
	Payload  *Payload `json:"payload"`  // with a URL only if it is that of one event
}

// flowOrder is the order of the steps. Between input and output they are the
// inspections of TestState.
var flowOrder = func() []string {
	names := []string{"input"}
	for i := range engine.Inspections {
		names = append(names, i.String())
	}
	return append(names, "output")
}()

// Variable is a variable with its value.
type Variable struct {
	Name    string   `json:"name"`
	Payload *Payload `json:"payload"` // without a URL
	Event   int64    `json:"event"`   // that assigned it
	State   string   `json:"state"`   // that assigned it
	Changed bool     `json:"changed"` // by this visit
}

const (
	mostJoined    = 1000    // branches or iterations whose outputs are put together
	mostFlowBytes = 4 << 20 // of those outputs
)

// flow answers with the way of the data through one visit.
func (s *Server) flow(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	ctx := r.Context()
	x, p, err := s.passage(ctx, r.PathValue("arn"), r.PathValue("event"))
	if err != nil {
		return nil, err
	}
	if err := s.readPassage(ctx, x, p); err != nil {
		return nil, err
	}
	out := &Flow{Steps: []FlowStep{}, Before: variables(p.before, p.first), After: variables(p.after, p.first)}
	steps := map[string]FlowStep{}
	add := func(name string, text *string, event int64, which string) {
		if text == nil {
			return
		}
		url := ""
		if event != 0 {
			url = payloadURL(x.arn, event, which)
		}
		steps[name] = FlowStep{name, event != 0 || which != "", preview(*text, url)}
	}
	if p.input != nil {
		t, err := s.tryAgain(ctx, x, p)
		switch {
		case err != nil:
			out.Problem = err.Error()
		case t != nil:
			for i := range engine.Inspections {
				if seen := t.Seen(i); seen != nil {
					text := seen.JSON()
					add(i.String(), &text, 0, "")
				}
			}
			if got := t.Result(); p.output != nil && p.end != 0 {
				out.Differs = got.Output == nil || !sameJSON(got.Output.JSON(), *p.output)
			}
		}
	}
	add("input", p.input, p.first, "input")
	add("result", p.result, p.resultAt, "output")
	add("output", p.output, p.outputAt, "output")
	for _, name := range flowOrder {
		if step, ok := steps[name]; ok {
			out.Steps = append(out.Steps, step)
		}
	}
	return out, nil
}

// passage is what the history says of a visit that data went through.
type passage struct {
	state          *place
	first, end     int64 // ids of its events; end 0: not yet
	last, outputAt int64
	entered        int64 // Unix milliseconds
	attempts       int
	error, cause   string
	failed         bool  // its newest attempt
	item           int64 // the innermost Map's iteration; -1: none
	own            map[int64]bool
	joined         []int64        // events with the outputs of its branches or iterations
	assigns        map[int64]from // events with assignments that the state sees
	input, output  *string
	result         *string
	resultAt       int64 // event; 0: put together
	before, after  map[string]assigned
}

// from is where an assignment was made.
type from struct {
	state string
	depth int // of its scope
}

// assigned is the value of a variable.
type assigned struct {
	from
	json  string
	event int64
}

// passage finds a visit by its first event.
func (s *Server) passage(ctx context.Context, text, event string) (x *found, p *passage, err error) {
	id, err := strconv.ParseInt(event, 10, 64)
	if err != nil || id < 1 {
		return nil, nil, rest.Invalid("A visit is named by the number of the event that began it.")
	}
	if x, err = s.find(ctx, text); err != nil {
		return nil, nil, err
	}
	err = s.folded(ctx, x, func(f *fold) error {
		if id > f.last || f.at[id] < 0 || f.visits[f.at[id]].first != id {
			return rest.NotFound("Event %d of the execution does not begin a visit of a state.", id)
		}
		p = f.passage(f.at[id])
		return nil
	})
	return x, p, err
}

func (f *fold) passage(v int32) *passage {
	x := &f.visits[v]
	p := &passage{
		state: x.state, first: x.first, end: x.end, last: x.last, outputAt: x.output, entered: x.entered, attempts: len(x.attempts),
		error: x.error, cause: x.cause, failed: x.now() == failed || x.now() == caught, item: -1,
		own: map[int64]bool{}, assigns: map[int64]from{},
	}
	for id := x.first; id <= x.last; id++ {
		if f.at[id] == v {
			p.own[id] = true
		}
	}
	var chain []int32 // scopes, innermost first
	for s := x.scope; ; {
		chain = append(chain, s)
		owner := f.scopes[s].owner
		if owner < 0 {
			break
		}
		if p.item < 0 && f.visits[owner].state.kind == "Map" {
			p.item = int64(f.scopes[s].index)
		}
		s = f.visits[owner].scope
	}
	for i := range f.visits {
		o := &f.visits[i]
		if at := slices.Index(chain, o.scope); at >= 0 && o.output != 0 && (o.output < x.first || o.output == x.output) {
			p.assigns[o.output] = from{o.state.name, len(chain) - at}
		}
	}
	if p.failed || x.output == 0 || len(x.scopes) > mostJoined {
		return p
	}
	for _, s := range x.scopes {
		if c := f.scopes[s].current; c >= 0 && f.visits[c].output != 0 {
			p.joined = append(p.joined, f.visits[c].output)
		}
	}
	if len(p.joined) != len(x.scopes) {
		p.joined = nil
	}
	return p
}

// readPassage reads the payloads and assignments of a passage.
func (s *Server) readPassage(ctx context.Context, x *found, p *passage) error {
	from := p.first
	for id := range p.assigns {
		from = min(from, id)
	}
	vars := map[string]assigned{}
	outputs := make(map[int64]*string, len(p.joined))
	for _, id := range p.joined {
		outputs[id] = nil
	}
	room, whole := mostFlowBytes, len(p.joined) > 0
	end := max(p.last, p.outputAt)
	err := s.history(ctx, x, from, false, func(events []engine.HistoryEvent) bool {
		for i := range events {
			e := &events[i]
			if e.ID > end {
				return false
			}
			if e.ID == p.first {
				p.input, p.before = e.Data, maps.Clone(vars)
			}
			if at, ok := p.assigns[e.ID]; ok {
				for _, a := range e.Assigned {
					if was, set := vars[a.Name]; !set || was.depth <= at.depth {
						vars[a.Name] = assigned{at, a.JSON, e.ID}
					}
				}
			}
			if _, ok := outputs[e.ID]; ok && e.Data != nil {
				if room -= len(*e.Data); room < 0 {
					whole = false
				} else {
					outputs[e.ID] = e.Data
				}
			}
			switch {
			case e.ID == p.outputAt:
				p.output, p.after = e.Data, maps.Clone(vars)
			case p.own[e.ID] && isResult(e.Type):
				p.result, p.resultAt = e.Data, e.ID
			case p.own[e.ID] && e.Error != nil && e.Type != engine.EvaluationFailedType: // of an attempt
				p.result, p.resultAt = nil, 0
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if whole && p.result == nil {
		all := make([]string, 0, len(p.joined))
		for _, id := range p.joined {
			if outputs[id] == nil {
				return nil
			}
			all = append(all, *outputs[id])
		}
		text := "[" + strings.Join(all, ",") + "]"
		p.result = &text
	}
	return nil
}

// isResult reports whether what an event carries is what a task came to.
func isResult(t engine.HistoryType) bool {
	return t == engine.TaskSucceededType || t == engine.LambdaFunctionSucceededType || t == engine.ActivitySucceededType
}

func variables(of map[string]assigned, first int64) []Variable {
	list := []Variable{}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		v := of[name]
		list = append(list, Variable{name, preview(v.json, ""), v.event, v.state, v.event > first})
	}
	return list
}

// tryAgain runs the state by itself with what the execution had; nil without an
// error: there is nothing to work out. What it says in an error is for people.
func (s *Server) tryAgain(ctx context.Context, x *found, p *passage) (*engine.Test, error) {
	m, err := s.machineOf(ctx, &x.Execution)
	if err != nil {
		return nil, err
	}
	if m == nil || m.State(p.state.name) == nil {
		return nil, errors.New("The definition cannot be read.")
	}
	in := engine.TestInput{State: p.state.name, Retries: int64(max(p.attempts-1, 0)), Execution: s.factsOf(x, p)}
	switch m.State(p.state.name).(type) {
	case *asl.Task, *asl.Map, *asl.Parallel:
		switch {
		case p.result != nil: // it may have failed with that, too
			in.Mock = &engine.Mock{Output: engine.Text(*p.result)}
		case p.failed:
			in.Mock = &engine.Mock{Error: &p.error, Cause: &p.cause}
		case p.output != nil:
			return nil, errors.New("What the state came to, before anything was made of it, is not in the history.")
		default: // it has none yet
			in.Mock = &engine.Mock{Error: ptr("None")}
		}
	}
	for name, v := range p.before {
		parsed, err := value.Parse(v.json)
		if err != nil {
			return nil, errors.New("A variable cannot be read.")
		}
		if in.Variables.IsAbsent() {
			in.Variables = value.EmptyObject
		}
		in.Variables = in.Variables.With(name, parsed)
	}
	if in.Context, err = s.contextOf(x, p); err != nil {
		return nil, err
	}
	t, err := engine.NewTest(&engine.Env{Machine: m, Token: func(engine.TaskID) string { return "token" }}, in, time.UnixMilli(p.entered))
	if err != nil {
		return nil, errors.New("The state cannot be run by itself.")
	}
	return t, nil
}

func ptr(s string) *string { return &s }

// machineOf is the definition that an execution runs; nil: it cannot be compiled.
func (s *Server) machineOf(ctx context.Context, x *store.Execution) (*asl.Machine, error) {
	m, _, err := s.definition(ctx, x.Revision)
	if err != nil || m == nil || x.Child.Run == 0 {
		return m, err
	}
	run, err := s.cfg.Store.MapRunByID(ctx, x.Child.Run)
	if err != nil {
		return nil, err
	}
	return m.Child(run.State), nil
}

func (s *Server) factsOf(x *found, p *passage) engine.Execution {
	root, _, _ := strings.Cut(x.machine, "/")
	return engine.Execution{
		ID: int64(x.ID), ARN: x.arn, Name: x.Name, MachineARN: s.cfg.Scheme.Machine(root), MachineName: arn.Plain(root),
		Region: s.cfg.Scheme.Region, StartedAt: time.UnixMilli(x.StartedAt), Input: engine.Text(*p.input),
	}
}

// contextOf is the context object as the state had it. The item of a Map is not in
// the history; the index is.
func (s *Server) contextOf(x *found, p *passage) (value.Value, error) {
	text := func(s string) value.Value { return value.Str(s) }
	stamp := func(ms int64) value.Value { return text(time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")) }
	object := func(members ...value.Member) value.Value { return value.ObjectOf(members) }
	input, err := value.Parse(x.Input)
	if err != nil {
		return input, errors.New("The input of the execution cannot be read.")
	}
	facts := s.factsOf(x, p)
	c := object(
		value.Member{Key: "Execution", Value: object(
			value.Member{Key: "Id", Value: text(x.arn)}, value.Member{Key: "Input", Value: input}, value.Member{Key: "Name", Value: text(x.Name)},
			value.Member{Key: "StartTime", Value: stamp(x.StartedAt)}, value.Member{Key: "RedriveCount", Value: value.Int(x.Redrives)},
		)},
		value.Member{Key: "State", Value: object(
			value.Member{Key: "EnteredTime", Value: stamp(p.entered)}, value.Member{Key: "Name", Value: text(p.state.name)},
			value.Member{Key: "RetryCount", Value: value.Int(int64(max(p.attempts-1, 0)))},
		)},
		value.Member{Key: "StateMachine", Value: object(
			value.Member{Key: "Id", Value: text(facts.MachineARN)}, value.Member{Key: "Name", Value: text(facts.MachineName)},
		)},
	)
	if p.item >= 0 {
		c = c.With("Map", object(value.Member{Key: "Item", Value: object(value.Member{Key: "Index", Value: value.Int(p.item)})}))
	}
	return c, nil
}

// sameJSON reports whether two texts are the same value.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	x, err := value.Parse(a)
	y, err2 := value.Parse(b)
	return err == nil && err2 == nil && value.Equal(x, y)
}

// Event is one event of a history.
type Event struct {
	ID       int64      `json:"id"`
	Previous int64      `json:"previous"`
	Type     string     `json:"type"` // as the API has it
	At       *time.Time `json:"at"`
	Name     string     `json:"name,omitempty"` // of a state, a Map, or a worker
	Resource string     `json:"resource,omitempty"`
	Error    string     `json:"error,omitempty"`
	Cause    string     `json:"cause,omitempty"` // its beginning
	Index    *int64     `json:"index,omitempty"` // of an iteration
	Payload  *Payload   `json:"payload,omitempty"`
	Which    string     `json:"which,omitempty"` // the payload is: input or output
	Assigned []string   `json:"assigned,omitempty"`
	Visit    int64      `json:"visit,omitempty"` // that it is about: its first event
}

const (
	eventPreview = 4 << 10 // bytes of an event's payload or cause
	mostPassed   = 5000    // events that one page goes by
)

// events lists the history from an event on, all of it or that of one visit.
func (s *Server) events(r *http.Request) (any, error) {
	q, err := query(r, "from", "visit", "limit")
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", usualPage, 1, mostPage)
	if err != nil {
		return nil, err
	}
	start, err := number(q, "from", 1, 1, 1<<62)
	if err != nil {
		return nil, err
	}
	visit, err := number(q, "visit", 0, 1, 1<<62)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	x, err := s.find(ctx, r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	of := map[int64]int64{} // events by id: the visits they are about
	var ids []int64
	var next, last int64
	err = s.folded(ctx, x, func(f *fold) error {
		last = f.last
		to := f.last
		if visit != 0 {
			if visit > f.last || f.at[visit] < 0 || f.visits[f.at[visit]].first != visit {
				return rest.NotFound("Event %d of the execution does not begin a visit of a state.", visit)
			}
			start, to = max(start, visit), f.visits[f.at[visit]].last
		}
		for id := start; id <= to; id++ {
			about := int64(0)
			if v := f.visitAt(f.at[id]); v >= 0 && f.at[id] != -1 {
				about = f.visits[v].first
			}
			if visit != 0 && about != visit {
				continue
			}
			if int64(len(ids)) == limit || len(ids) > 0 && id-ids[0] >= mostPassed {
				next = id
				break
			}
			ids, of[id] = append(ids, id), about
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]Event, 0, len(ids))
	if len(ids) > 0 {
		err = s.history(ctx, x, ids[0], false, func(events []engine.HistoryEvent) bool {
			for i := range events {
				if about, ok := of[events[i].ID]; ok {
					list = append(list, s.event(x, &events[i], about))
				}
			}
			return len(list) < len(ids)
		})
		if err != nil {
			return nil, err
		}
	}
	page := map[string]any{"events": list, "last_event": last, "status": x.Status.String()}
	if next != 0 {
		page["next"] = next
	}
	return page, nil
}

// atMost cuts a text that is longer.
func atMost(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return beginning(text, n)
}

func (s *Server) event(x *found, e *engine.HistoryEvent, visit int64) Event {
	v := Event{
		ID: e.ID, Previous: e.Previous, Type: e.Type.String(), At: moment(e.At), Name: e.Name, Resource: e.Resource,
		Error: text(e.Error), Cause: atMost(text(e.Cause), eventPreview), Visit: visit,
	}
	switch e.Type {
	case engine.MapIterationStartedType, engine.MapIterationSucceededType, engine.MapIterationFailedType, engine.MapIterationAbortedType:
		v.Index = &e.Index
	}
	if e.Data != nil {
		v.Which = "output"
		if isInput(e.Type) {
			v.Which = "input"
		}
		v.Payload = &Payload{Text: *e.Data, Bytes: len(*e.Data), URL: payloadURL(x.arn, e.ID, v.Which)}
		if len(*e.Data) > eventPreview {
			v.Payload.Text, v.Payload.Truncated = beginning(*e.Data, eventPreview), true
		}
	}
	for _, a := range e.Assigned {
		v.Assigned = append(v.Assigned, a.Name)
	}
	return v
}
