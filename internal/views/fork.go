package views

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// forkKind is the kind of the records that say which executions are forks. They
// have the key of/ and the ARN of the execution that they are of.
const forkKind = "fork"

// ForkLink is the tie between an execution and a fork of it.
type ForkLink struct {
	ARN   string     `json:"arn"`   // of the other one
	State string     `json:"state"` // that the fork began in
	Event int64      `json:"event"` // that its input was taken from; 0: none
	At    *time.Time `json:"at"`
}

// forkRecord is what is kept of a fork.
type forkRecord struct {
	ARN   string `json:"arn"`
	Of    string `json:"of"`
	State string `json:"state"`
	Event int64  `json:"event,omitempty"`
	At    int64  `json:"at"` // Unix milliseconds
}

// Fork says where a new execution is to begin.
type Fork struct {
	State     string                     `json:"state,omitempty"`     // at the top level
	Event     int64                      `json:"event,omitempty"`     // of a visit, in place of State
	Input     json.RawMessage            `json:"input,omitempty"`     // of the state; else what it had
	Name      string                     `json:"name,omitempty"`      // of the new execution
	Variables map[string]json.RawMessage `json:"variables,omitempty"` // in place of those that it had
}

// fork starts a new execution of the same definition from a state of an old one.
// The new one has the old one's input, so that $$.Execution.Input means the same,
// and enters the state with the input and the variables that it had, or with those
// of the request.
func (s *Server) fork(r *http.Request) (any, error) {
	var in Fork
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	ctx := r.Context()
	x, err := s.find(ctx, r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	switch {
	case x.express:
		return nil, rest.Conflict("Express executions cannot be forked; start a new one with the input you want.")
	case x.Child.Run != 0:
		return nil, rest.Conflict("An execution of a Map Run cannot be forked; redrive the Map Run, or fork the execution that it belongs to.")
	case (in.State == "") == (in.Event == 0):
		return nil, rest.Invalid("Say either which state to begin in, or the event of the visit to begin with.")
	}
	m, err := s.cfg.Store.MachineByID(ctx, x.Machine)
	if errors.Is(err, store.ErrNotFound) || err == nil && m.Deleting {
		return nil, rest.Conflict("The state machine %q is being deleted; no new executions of it can be started.", x.machine)
	}
	if err != nil {
		return nil, err
	}
	state, event, err := s.forkPoint(ctx, x, in.State, in.Event)
	if err != nil {
		return nil, err
	}
	from := &engine.From{State: state}
	if from.Input, from.Variables, err = s.forkData(ctx, x, event); err != nil {
		return nil, err
	}
	if in.Input != nil {
		from.Input = engine.Text(string(in.Input))
	}
	if from.Input == nil {
		return nil, rest.Invalid("The execution has not been in %q; say with which input to begin there.", state)
	}
	if size := s.cfg.MaxInput(m.Name); from.Input.Size() > size {
		return nil, rest.Invalid("The input has %d bytes; at most %d are allowed.", from.Input.Size(), size)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Variables)) {
		v, err := value.Parse(string(in.Variables[name]))
		if err != nil {
			return nil, rest.Invalid("The variable %q cannot be used: %s.", name, err)
		}
		if from.Variables.IsAbsent() {
			from.Variables = value.EmptyObject
		}
		from.Variables = from.Variables.With(name, v)
	}
	if !from.Variables.IsAbsent() && from.Variables.Size() > s.cfg.MaxInput(m.Name) {
		return nil, rest.Invalid("The variables are too large.")
	}
	if in.Name != "" {
		if err := s.nameFree(ctx, m.Name, in.Name); err != nil {
			return nil, err
		}
	}
	begun, err := s.cfg.Engine.Start(ctx, store.Start{
		Machine: m, Revision: x.Revision, Name: in.Name, Input: x.Input, Via: x.Via, From: from,
	})
	switch {
	case errors.Is(err, store.ErrExists):
		return nil, rest.Conflict("There is an execution %q already.", in.Name)
	case errors.Is(err, store.ErrBusy):
		return nil, &rest.Error{Status: http.StatusTooManyRequests, Code: "busy", Message: "Too many executions are being started; try again."}
	case err != nil:
		return nil, err
	}
	made := forkRecord{ARN: s.cfg.Scheme.Execution(m.Name, begun.Name), Of: x.arn, State: state, Event: event, At: begun.StartedAt}
	data, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Engine.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.SaveRecord(ctx, store.Record{Kind: forkKind, ID: made.ARN, Keys: []string{"of/" + made.Of}, Data: data})
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"arn": made.ARN, "name": begun.Name, "started_at": moment(begun.StartedAt), "state": state, "fork_of": x.arn}, nil
}

// nameFree refuses a name that is no good, or taken: a start with a name that is
// taken would be answered with the execution that has it.
func (s *Server) nameFree(ctx context.Context, machine, name string) error {
	if len(name) > 80 || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c == 0x7f || strings.ContainsRune(`<>{}[]?*"#%\^|~`+"`"+`$&,;:/`, c)
	}) {
		return rest.Invalid("The name %q cannot be used: it has at most 80 characters, without spaces, brackets, wildcards and special ones.", name)
	}
	_, err := s.cfg.Engine.Lookup(ctx, machine, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = rest.Conflict("There is an execution %q already.", name)
	}
	return err
}

// forkPoint finds the state to begin in, and the event at which the execution
// entered it; 0: it did not.
func (s *Server) forkPoint(ctx context.Context, x *found, state string, event int64) (string, int64, error) {
	g, err := s.graphOf(ctx, &x.Execution)
	if err != nil {
		return "", 0, err
	}
	nested := func(name string) error {
		if p := g.places[name]; p != nil && p.within != "" {
			return rest.Invalid("%q is inside %q. A fork begins at the top level: begin at %[2]q, or at another state beside it.", name, p.within)
		}
		return nil
	}
	if state != "" && g.places[state] == nil {
		return "", 0, rest.Invalid("The definition has no state %q.", state)
	}
	err = s.folded(ctx, x, func(f *fold) error {
		if event != 0 {
			v := int32(-1)
			if event <= f.last {
				v = f.visitAt(f.at[event])
			}
			if v < 0 {
				return rest.Invalid("Event %d is not one of a state of this execution.", event)
			}
			state, event = f.visits[v].state.name, f.visits[v].first
			return nil
		}
		for i := len(f.visits) - 1; i >= 0; i-- {
			if f.visits[i].state.name == state {
				event = f.visits[i].first
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return "", 0, err
	}
	return state, event, nested(state)
}

// forkData reads the input that a state was entered with, and the variables as
// they were then; nil: it was not entered.
func (s *Server) forkData(ctx context.Context, x *found, event int64) (input *engine.Data, vars value.Value, err error) {
	if event == 0 {
		return nil, vars, nil
	}
	outermost := map[int64]bool{} // events that left a state at the top level
	err = s.folded(ctx, x, func(f *fold) error {
		for i := range f.visits {
			if v := &f.visits[i]; v.scope == 0 && v.output != 0 && v.output < event {
				outermost[v.output] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, vars, err
	}
	var broken error
	err = s.history(ctx, x, 0, false, func(events []engine.HistoryEvent) bool {
		for i := range events {
			e := &events[i]
			if e.ID == event {
				if e.Data != nil {
					input = engine.Text(*e.Data)
				}
				return false
			}
			if !outermost[e.ID] {
				continue
			}
			for _, a := range e.Assigned {
				v, err := value.Parse(a.JSON)
				if err != nil {
					broken = err
					return false
				}
				if vars.IsAbsent() {
					vars = value.EmptyObject
				}
				vars = vars.With(a.Name, v)
			}
		}
		return true
	})
	return input, vars, errors.Join(err, broken)
}

// addForks says what an execution is a fork of, and which forks there are of it.
func (s *Server) addForks(ctx context.Context, x *found, d *Detail) error {
	record, err := s.cfg.Store.Record(ctx, forkKind, x.arn)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var f forkRecord
	if err == nil && json.Unmarshal(record.Data, &f) == nil {
		d.ForkOf = &ForkLink{f.Of, f.State, f.Event, moment(f.At)}
	}
	key := "of/" + x.arn
	list, err := s.cfg.Store.Records(ctx, store.RecordQuery{Kind: forkKind, From: key, To: key + "\x00", Limit: mostLinks})
	for _, record := range list {
		var f forkRecord
		if json.Unmarshal(record.Data, &f) == nil {
			d.Forks = append(d.Forks, ForkLink{f.ARN, f.State, f.Event, moment(f.At)})
		}
	}
	return err
}
