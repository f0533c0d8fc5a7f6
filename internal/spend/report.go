package spend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/store"
)

// MaxReports is how many reports one call may have.
const MaxReports = 500

// Report is a call of a model, or a turn of several, as whoever made it tells it.
type Report struct {
	// Key is the same when the same usage is reported again. Without one it is
	// the run and the model.
	Key string `json:"key,omitempty"`
	// Source is who knows it: "agent" (which is meant by ""), "gateway" for what
	// was read from the runtime, "plugin" for what was measured within it. Of
	// several that report one run, the last in this list counts.
	Source string    `json:"source,omitempty"`
	Run    string    `json:"run,omitempty"`        // of the runtime
	At     time.Time `json:"occurred_at,omitzero"` // zero: now

	Agent   string `json:"agent,omitempty"` // whose it is, where it is not the agent that reports
	Task    string `json:"task,omitempty"`  // key or id
	Attempt string `json:"attempt,omitempty"`
	Session string `json:"session,omitempty"` // the runtime's session key

	// What a state machine used is reported by the server and by people.
	Machine   string `json:"machine,omitempty"`
	State     string `json:"state,omitempty"`
	Execution string `json:"execution,omitempty"`

	Provider string          `json:"provider,omitempty"`
	Model    string          `json:"model"`
	Format   cost.Form       `json:"format,omitempty"`  // how Usage counts; "": disjoint
	Usage    json.RawMessage `json:"usage,omitempty"`   // as the source has it
	Several  bool            `json:"several,omitempty"` // Usage is a sum over several calls
	Billing  cost.Billing    `json:"billing,omitempty"`
	// Cost is what the source says that it cost, in USD.
	Cost   *float64 `json:"reported_cost_usd,omitempty"`
	Labels []string `json:"labels,omitempty"`
}

// Result is what became of a report.
type Result struct {
	Key       string   `json:"key"`
	Status    string   `json:"status"` // recorded, duplicate or refused
	Error     string   `json:"error,omitempty"`
	Counted   bool     `json:"counted"`        // no better source has reported the run
	Task      string   `json:"task,omitempty"` // its key
	Attempt   string   `json:"attempt,omitempty"`
	By        string   `json:"attributed_by,omitempty"` // attempt, task, execution, session, lease; "": to the agent alone
	Computed  int64    `json:"computed"`                // nano-USD, as the rest
	Billed    int64    `json:"billed"`
	Shadow    int64    `json:"shadow"`
	Marks     []string `json:"marks,omitempty"`
	placed    cost.Place
	projectID string
	labels    []string
}

// refusal is why one report is not kept; the others are.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// Report keeps what was used and says what became of each report, in their order.
// Those that can be kept are durable when it returns, the others say why not. An
// agent reports what is its own; members of the workspace, and keys with the scope
// usage, report for any.
func (k *Keeper) Report(ctx context.Context, c control.Call, reports []Report) (results []Result, err error) {
	if len(reports) == 0 || len(reports) > MaxReports {
		return nil, refuse("there are %d reports of usage; a call has 1 to %d", len(reports), MaxReports)
	}
	c.Key, c.Version = "", 0
	if kind, _ := c.By.Split(); kind != "agent" && !(kind == "service" && slices.Contains(c.Scopes, "usage")) {
		if err := k.board.May(ctx, c, "", "comment"); err != nil {
			return nil, err
		}
	}
	err = k.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		results = make([]Result, len(reports))
		p := placing{board: k.board.In(tx), scheme: k.cfg.Scheme, call: c, stints: map[string][]control.Stint{}}
		var events []ledger.Event
		var of []int
		for i := range reports {
			e, err := k.event(ctx, &p, &reports[i], &results[i])
			var no refusal
			if errors.As(err, &no) {
				results[i].Status, results[i].Error = "refused", no.Error()
				continue
			}
			if err != nil {
				return err
			}
			events, of = append(events, e), append(of, i)
		}
		kept, err := k.cfg.Ledger.RecordIn(ctx, tx, events)
		if err != nil {
			return err
		}
		for n, kept := range kept {
			r := &results[of[n]]
			r.Status, r.Counted = "recorded", kept.Counted
			if kept.Duplicate {
				r.Status = "duplicate"
			}
			r.Computed, r.Billed, r.Shadow, r.Marks = kept.Computed, kept.Billed, kept.Shadow, kept.Marks.Names()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Refused reports whether err says that a whole call of Report was no good.
func Refused(err error) bool {
	var no refusal
	return errors.As(err, &no)
}

var ranks = map[string]cost.Rank{"agent": cost.AgentReport, "gateway": cost.GatewayRead, "plugin": cost.Plugin}

// event makes what the ledger keeps of a report.
func (k *Keeper) event(ctx context.Context, p *placing, in *Report, out *Result) (e ledger.Event, err error) {
	if in.Key == "" && in.Run != "" {
		in.Key = in.Run + "/" + in.Model
	}
	out.Key = in.Key
	if in.Source == "" {
		in.Source = "agent"
	}
	if in.Format == "" {
		in.Format = cost.Disjoint
	}
	if in.At.IsZero() {
		in.At = p.call.At
	}
	rank := ranks[in.Source]
	switch {
	case in.Key == "" || in.Model == "":
		return e, refuse("a report needs a key, or the run that it is about, and a model")
	case rank == 0:
		return e, refuse("there is no source %.60q; it is agent, gateway or plugin", in.Source)
	case in.At.After(p.call.At.Add(5 * time.Minute)):
		return e, refuse("occurred_at is %s, which is in the future; look at the clock", in.At.UTC().Format(time.RFC3339))
	}
	if err := in.Billing.Check(); err != nil {
		return e, refusal{err}
	}
	tokens, marks := cost.Tokens{}, cost.Marks(0)
	if len(in.Usage) > 0 {
		if tokens, marks, err = cost.Normalise(in.Format, in.Usage); err != nil {
			return e, refusal{err}
		}
	}
	agent, err := p.agent(ctx, in.Agent)
	if err != nil {
		return e, err
	}
	if err := p.place(ctx, agent, in, out); err != nil {
		return e, err
	}
	e = ledger.Event{
		// Two agents may use the same keys and runs, and neither can keep the
		// other's from counting.
		Source: in.Source, Key: agent + "/" + in.Key, Rank: rank, At: in.At, Place: out.placed, Project: out.projectID,
		Provider: in.Provider, Model: in.Model, Tokens: tokens, Marks: marks, Sum: in.Several, Billing: in.Billing,
	}
	if in.Run != "" {
		e.Run = agent + "/" + in.Run
	}
	for _, label := range append(slices.Clone(in.Labels), out.labels...) {
		if !slices.Contains(e.Labels, label) && len(e.Labels) < 20 {
			e.Labels = append(e.Labels, label)
		}
	}
	if e.Reported, err = nano(in.Cost); err != nil {
		return e, err
	}
	if _, err := k.cfg.Ledger.Price(&e); err != nil {
		return e, refusal{err}
	}
	return e, nil
}

// nano reads an amount of USD.
func nano(usd *float64) (*int64, error) {
	if usd == nil {
		return nil, nil
	}
	if !(*usd >= 0 && *usd <= 1e6) {
		return nil, refuse("reported_cost_usd is %g; it is a number from 0 to 1,000,000", *usd)
	}
	n := int64(math.Round(*usd * cost.USD)) // below 2^53, so that every nano-USD is told apart
	return &n, nil
}

// placing finds out what usage was for.
type placing struct {
	board  *control.Board
	scheme arn.Scheme
	call   control.Call
	stints map[string][]control.Stint // of tasks
}

// agent is the id of the agent whose usage it is; "" for none.
func (p *placing) agent(ctx context.Context, named string) (string, error) {
	kind, id := p.call.By.Split()
	if named == "" {
		if kind == "agent" {
			return id, nil
		}
		return "", nil
	}
	a, err := p.board.Agent(ctx, p.call, named)
	if kind == "agent" && (control.Is(err, control.NotFound) || err == nil && a.ID != id) {
		return "", refuse("an agent reports what is its own; leave agent out")
	}
	if control.Is(err, control.NotFound) {
		return "", refuse("there is no agent %.60q", named)
	}
	if err != nil {
		return "", err
	}
	return a.ID, nil
}

// place puts a report down to what it was for, by the first of these that it has
// or that there is: its attempt, its task, its execution, its session, the lease
// that the agent held at the time. Else it is the agent's alone.
func (p *placing) place(ctx context.Context, agent string, in *Report, out *Result) error {
	if in.Attempt != "" {
		s, err := p.board.Stint(ctx, p.call, in.Attempt)
		if control.Is(err, control.NotFound) || err == nil && agent != "" && s.By != control.AgentParty(agent) {
			return refuse("there is no attempt %.60q of this agent", in.Attempt)
		}
		if err != nil {
			return err
		}
		return p.at(agent, s, "attempt", out)
	}
	if in.Task != "" {
		return p.task(ctx, agent, in, out)
	}
	if in.Execution != "" || in.Machine != "" || in.State != "" {
		if kind, _ := p.call.By.Split(); kind == "agent" {
			return refuse("machine, state and execution are for what state machines use; name the task or the attempt")
		}
		out.placed, out.By = cost.Place{Agent: agent, Machine: in.Machine, State: in.State, Execution: in.Execution}, "execution"
		return nil
	}
	out.placed = cost.Place{Agent: agent}
	if agent == "" {
		return nil
	}
	if in.Session != "" {
		if s, ok, err := p.session(ctx, agent, in); err != nil {
			return err
		} else if ok {
			return p.at(agent, s, "session", out)
		}
	}
	stints, err := p.board.Stints(ctx, p.call, agent, in.At)
	if err != nil {
		return err
	}
	if s, ok := held(agent, stints, in.At); ok {
		return p.at(agent, s, "lease", out)
	}
	a, err := p.board.Agent(ctx, p.call, agent)
	if err == nil && len(a.Projects) == 1 {
		out.projectID = a.Projects[0] // it works nowhere else
	}
	return err
}

// held is the stint that something was used in.
func held(agent string, stints []control.Stint, at time.Time) (control.Stint, bool) {
	leases := make([]cost.Lease, len(stints))
	for i, s := range stints {
		leases[i] = cost.Lease{Agent: agent, Task: s.Task.ID, Attempt: s.Attempt, From: s.From, Until: s.Until}
	}
	place, ok := cost.Attribute(cost.Claim{At: at, Agent: agent}, cost.Facts{Leases: leases})
	i := slices.IndexFunc(stints, func(s control.Stint) bool { return s.Attempt == place.Attempt })
	if !ok || i < 0 {
		return control.Stint{}, false
	}
	return stints[i], true
}

// task puts a report down to a task that it names: to the agent's attempt at the
// time, or else the last one before, or else to the task itself.
func (p *placing) task(ctx context.Context, agent string, in *Report, out *Result) error {
	t, err := p.board.Task(ctx, p.call, in.Task)
	if control.Is(err, control.NotFound) || control.Is(err, control.Forbidden) {
		return refuse("there is no task %.60q", in.Task)
	}
	if err != nil {
		return err
	}
	s, ok, err := p.tries(ctx, agent, t.ID, in.At)
	if err != nil {
		return err
	}
	if !ok {
		s = control.Stint{Task: t}
	}
	return p.at(agent, s, "task", out)
}

// tries finds the agent's attempt at a task at a time, or the last before it.
func (p *placing) tries(ctx context.Context, agent, task string, at time.Time) (control.Stint, bool, error) {
	all, ok := p.stints[task]
	if !ok {
		var err error
		if all, err = p.board.StintsOf(ctx, p.call, task); err != nil {
			return control.Stint{}, false, err
		}
		p.stints[task] = all
	}
	mine := slices.DeleteFunc(slices.Clone(all), func(s control.Stint) bool { return s.By != control.AgentParty(agent) })
	if s, ok := held(agent, mine, at); ok {
		return s, true, nil
	}
	for _, s := range slices.Backward(mine) {
		if !s.From.After(at) {
			return s, true, nil
		}
	}
	return control.Stint{}, false, nil
}

// session finds the attempt that a runtime's session is about: its key ends with
// "task-" and the task's key, as the board hands it out.
func (p *placing) session(ctx context.Context, agent string, in *Report) (control.Stint, bool, error) {
	i := strings.LastIndex(in.Session, "task-")
	if i < 0 {
		return control.Stint{}, false, nil
	}
	t, err := p.board.Task(ctx, p.call, in.Session[i+len("task-"):])
	var refused *control.Error
	if errors.As(err, &refused) {
		return control.Stint{}, false, nil
	}
	if err != nil {
		return control.Stint{}, false, err
	}
	return p.tries(ctx, agent, t.ID, in.At)
}

func (p *placing) at(agent string, s control.Stint, by string, out *Result) error {
	out.placed = cost.Place{Agent: agent, Task: s.Task.ID, Attempt: s.Attempt}
	if s.Task.Source != nil {
		out.placed.Execution, out.placed.State = s.Task.Source.Execution, s.Task.Source.State
		if name, ok := arn.Parse(s.Task.Source.Execution); ok {
			out.placed.Machine, _, _ = strings.Cut(p.scheme.Kept(name.Account, name.Parts[0]), "/")
		}
	}
	out.Task, out.Attempt, out.By = s.Task.Key, s.Attempt, by
	out.projectID, out.labels = s.Task.Project, s.Task.Labels
	return nil
}
