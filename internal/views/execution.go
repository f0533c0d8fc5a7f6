package views

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Execution is what lists say of an execution.
type Execution struct {
	ARN        string     `json:"arn"`
	Name       string     `json:"name"`
	Status     string     `json:"status"` // as the API has it
	Machine    string     `json:"machine"`
	MachineARN string     `json:"machine_arn"`
	Version    int64      `json:"version,omitempty"` // that it was started by
	Alias      string     `json:"alias,omitempty"`
	Type       string     `json:"type"` // STANDARD or EXPRESS
	StartedAt  *time.Time `json:"started_at"`
	StoppedAt  *time.Time `json:"stopped_at"`
	DurationMs int64      `json:"duration_ms"` // up to now while it runs
	Redrives   int64      `json:"redrives"`
	RedrivenAt *time.Time `json:"redriven_at"`
	Events     int64      `json:"events"`
	// State is the one that it is in, or that it ended in without success.
	State      string `json:"state,omitempty"`
	WaitingFor string `json:"waiting_for,omitempty"`
	Error      string `json:"error,omitempty"`
	// CostNano is what was billed for models it called, in nano-USD; missing where
	// none was. CostIsPart says that more was used than is looked at here.
	CostNano   *int64 `json:"cost_nano,omitempty"`
	CostIsPart bool   `json:"cost_is_part,omitempty"`
}

// Detail is what the page of one execution says above all else.
type Detail struct {
	Execution
	Input               *Payload     `json:"input,omitempty"`
	Output              *Payload     `json:"output,omitempty"`
	Cause               string       `json:"cause,omitempty"`
	TraceHeader         string       `json:"trace_header,omitempty"`
	RedriveStatus       string       `json:"redrive_status,omitempty"`
	RedriveStatusReason string       `json:"redrive_status_reason,omitempty"`
	Transitions         int64        `json:"transitions"` // states entered
	Open                int          `json:"open_visits"`
	Tokens              int64        `json:"tokens"`
	Failed              *Visit       `json:"failed,omitempty"` // the visit to look at first when it did not succeed
	Parent              string       `json:"parent_execution,omitempty"`
	MapRun              string       `json:"map_run,omitempty"` // that it is a child of
	Item                *int64       `json:"item,omitempty"`    // its place among the Map Run's children
	Children            []ChildLink  `json:"children"`
	MapRuns             []MapRunLink `json:"map_runs"`
	ForkOf              *ForkLink    `json:"fork_of,omitempty"`
	Forks               []ForkLink   `json:"forks"`
}

// ChildLink is an execution that a state has started.
type ChildLink struct {
	ARN   string `json:"arn"`
	Visit int64  `json:"visit"`
	State string `json:"state"`
}

// MapRunLink is a Map Run of the execution.
type MapRunLink struct {
	ARN       string     `json:"arn"`
	State     string     `json:"state"`
	Status    string     `json:"status"`
	StartedAt *time.Time `json:"started_at"`
	StoppedAt *time.Time `json:"stopped_at"`
}

const mostLinks = 100 // of a kind, in a Detail

// item writes what lists say of an execution.
func (s *Server) item(x *found) Execution {
	root, _, _ := strings.Cut(x.machine, "/")
	v := Execution{
		ARN: x.arn, Name: x.Name, Status: x.Status.String(), Machine: x.machine, MachineARN: s.cfg.Scheme.Machine(root),
		Version: x.Via.Number, Alias: x.Via.Alias, Type: "STANDARD", StartedAt: moment(x.StartedAt), StoppedAt: moment(x.StoppedAt),
		Redrives: x.Redrives, RedrivenAt: moment(x.RedrivenAt), Events: x.LastEvent, Error: text(x.Error),
	}
	if x.express {
		v.Type = "EXPRESS"
	}
	until := x.StoppedAt
	if until == 0 {
		until = s.cfg.Now().UnixMilli()
	}
	v.DurationMs = max(until-x.StartedAt, 0)
	return v
}

// execution describes one execution.
func (s *Server) execution(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	ctx := r.Context()
	x, err := s.find(ctx, r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	d := Detail{Children: []ChildLink{}, MapRuns: []MapRunLink{}, Forks: []ForkLink{}}
	err = s.folded(ctx, x, func(f *fold) error {
		d.Transitions, d.Open = int64(len(f.visits)), f.open
		at := int32(-1)
		for i := range f.visits {
			v := &f.visits[i]
			if v.child != "" && len(d.Children) < mostLinks {
				d.Children = append(d.Children, ChildLink{v.child, v.first, v.state.name})
			}
			if x.Status == engine.Running && v.end == 0 && len(v.scopes) == 0 {
				at = int32(i) // the newest that is no container
			}
		}
		if x.Status != engine.Running && x.Status != engine.Succeeded {
			at = f.culprit()
		}
		if at >= 0 {
			row := s.row(f, at, x)
			d.State, d.WaitingFor = row.State, row.WaitingFor
			if x.Status != engine.Running {
				d.Failed = &row
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	state, waits := d.State, d.WaitingFor
	d.Execution = s.item(x)
	d.State, d.WaitingFor = state, waits
	d.TraceHeader, d.Cause = x.Trace, text(x.Cause)
	d.Input = preview(x.Input, payloadURL(x.arn, 1, "input"))
	if x.Output != nil {
		d.Output = preview(*x.Output, payloadURL(x.arn, x.LastEvent, "output"))
	}
	if s.cfg.Redrivable != nil && !x.express {
		if d.RedriveStatus, d.RedriveStatusReason, err = s.cfg.Redrivable(ctx, x.arn); err != nil {
			return nil, err
		}
	}
	for _, add := range []func(context.Context, *found, *Detail) error{s.addCost, s.addParent, s.addMapRuns, s.addForks} {
		if err := add(ctx, x, &d); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

func preview(text, url string) *Payload {
	p := &Payload{Text: text, Bytes: len(text), URL: url}
	if len(text) > mostPreview {
		p.Text, p.Truncated = beginning(text, mostPreview), true
	}
	return p
}

// culprit is the visit that an execution failed in: the innermost one with the
// error; -1: none.
func (f *fold) culprit() int32 {
	at := f.scopes[0].current
	for at >= 0 {
		inner := int32(-1)
		for _, s := range f.visits[at].scopes {
			if v := f.scopes[s].current; v >= 0 && f.visits[v].status == failed {
				inner = v
				break
			}
		}
		if inner < 0 {
			return at
		}
		at = inner
	}
	return -1
}

func (s *Server) addCost(ctx context.Context, _ *found, d *Detail) error {
	cost, tokens, err := s.cost(ctx, &d.Execution, mostUsages)
	if d.CostNano == nil {
		d.CostNano = &cost
	}
	d.Tokens = tokens
	return err
}

// cost sums up what an execution used, of the first so many usages, and notes it in
// its row when there are any.
func (s *Server) cost(ctx context.Context, row *Execution, most int) (cost, used int64, err error) {
	list, err := s.cfg.Store.UsagesOfExecution(ctx, row.ARN, 0, most)
	for i := range list {
		if list[i].Counted {
			cost += list[i].Billed
			used += tokens(&list[i])
		}
	}
	if len(list) > 0 {
		row.CostNano, row.CostIsPart = &cost, len(list) == most
	}
	return cost, used, err
}

// startedBy is the member of an input that says which execution has started this
// one (AWS's guide to nested executions).
const startedBy = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"

func (s *Server) addParent(ctx context.Context, x *found, d *Detail) error {
	if x.Child.Run == 0 {
		if strings.Contains(x.Input, startedBy) {
			var in map[string]json.RawMessage
			if json.Unmarshal([]byte(x.Input), &in) == nil {
				_ = json.Unmarshal(in[startedBy], &d.Parent) // what is no text is no ARN
			}
		}
		return nil
	}
	run, err := s.cfg.Store.MapRunByID(ctx, x.Child.Run)
	if err != nil {
		return err
	}
	root, _, _ := strings.Cut(x.machine, "/")
	d.MapRun = s.cfg.Scheme.MapRun(root, run.Label, run.Name)
	d.Item = &x.Child.Index
	d.Parent, err = s.arnOf(ctx, run.Execution)
	return err
}

// arnOf is the ARN of a Standard execution, "" of one that is not there.
func (s *Server) arnOf(ctx context.Context, id store.ExecutionID) (string, error) {
	x, err := s.cfg.Store.Execution(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	f, err := s.named(ctx, x)
	return f.arn, err
}

// named finds the names of a Standard execution.
func (s *Server) named(ctx context.Context, x store.Execution) (*found, error) {
	f := &found{Execution: x}
	m, err := s.cfg.Store.MachineByID(ctx, x.Machine)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.machine = m.Name
	if x.Child.Run != 0 {
		run, err := s.cfg.Store.MapRunByID(ctx, x.Child.Run)
		if err != nil {
			return f, err
		}
		f.machine += "/" + run.Label
	}
	f.arn = s.cfg.Scheme.Execution(f.machine, x.Name)
	return f, nil
}

func (s *Server) addMapRuns(ctx context.Context, x *found, d *Detail) error {
	if x.express {
		return nil
	}
	runs, err := s.cfg.Store.MapRuns(ctx, x.ID, 0, mostLinks)
	root, _, _ := strings.Cut(x.machine, "/")
	for _, run := range runs {
		d.MapRuns = append(d.MapRuns, MapRunLink{
			s.cfg.Scheme.MapRun(root, run.Label, run.Name), run.State, run.Status.String(), moment(run.StartedAt), moment(run.StoppedAt),
		})
	}
	return err
}

// StateTotals are sums over the visits of one state.
type StateTotals struct {
	State    string         `json:"state"`
	Type     string         `json:"type"`
	Node     string         `json:"node"`
	Visits   int            `json:"visits"`
	ByStatus map[string]int `json:"by_status"`
	Attempts int            `json:"attempts"`
	// Durations of the visits that have ended, in milliseconds; null without any.
	P50    *int64         `json:"p50_ms"`
	P95    *int64         `json:"p95_ms"`
	Max    *int64         `json:"max_ms"`
	Errors map[string]int `json:"errors"` // failed attempts, or visits without any, by error
}

// totals sums up the visits of an execution, state by state in the order of their
// first visits.
func (s *Server) totals(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	x, err := s.find(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	var states []*StateTotals
	by := map[string]int{}
	err = s.folded(r.Context(), x, func(f *fold) error {
		states = f.totals()
		for i := range f.visits {
			by[f.visits[i].now().String()]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"status": x.Status.String(), "last_event": x.LastEvent, "by_status": by, "states": states}, nil
}

func (f *fold) totals() []*StateTotals {
	list := []*StateTotals{}
	of, took := map[string]*StateTotals{}, map[string][]int64{}
	for i := range f.visits {
		v := &f.visits[i]
		t := of[v.state.name]
		if t == nil {
			t = &StateTotals{State: v.state.name, Type: v.state.kind, ByStatus: map[string]int{}, Errors: map[string]int{}}
			_, t.Node, _, _ = f.paths(int32(i))
			of[v.state.name] = t
			list = append(list, t)
		}
		t.Visits++
		t.ByStatus[v.now().String()]++
		t.Attempts += len(v.attempts)
		if v.end != 0 {
			took[v.state.name] = append(took[v.state.name], v.exited-v.entered)
		}
		blamed := false
		for j := range v.attempts {
			if e := v.attempts[j].error; e != "" {
				t.Errors[e]++
				blamed = true
			}
		}
		if !blamed && v.error != "" {
			t.Errors[v.error]++
		}
	}
	for _, t := range list {
		t.P50, t.P95, t.Max = percentiles(took[t.State])
	}
	return list
}

// percentiles gives the middle, the 95th percentile and the greatest of some
// numbers, nil without any. It sorts them.
func percentiles(list []int64) (p50, p95, most *int64) {
	if len(list) == 0 {
		return nil, nil, nil
	}
	slices.Sort(list)
	at := func(percent int) *int64 {
		n := list[min((len(list)*percent+99)/100, len(list))-1]
		return &n
	}
	return at(50), at(95), at(100)
}
