package views

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// mostCounted is how many executions of one status are counted in one stretch;
// where there are more, the number is worked out from how far those reach.
const mostCounted = 20_000

// count counts executions of one status in a range of ids.
func (s *Server) count(ctx context.Context, q store.ExecutionQuery) (n int64, estimated bool, err error) {
	q.Limit = mostCounted
	n, oldest, err := s.cfg.Store.CountExecutions(ctx, q)
	if err != nil || n < mostCounted || oldest <= q.After+1 {
		return n, false, err
	}
	return int64(float64(n) * float64(q.Before-q.After-1) / float64(q.Before-oldest)), true, nil
}

// Runs are executions that were started in a stretch of time, by how they are now.
type Runs struct {
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	Bucket
}

// starts counts the executions started between moments, each with the next. A
// machine of 0: of all. The ids are the first ones since those moments.
func (s *Server) starts(ctx context.Context, machine store.MachineID, moments []int64, ids []store.ExecutionID) (list []Runs, estimated bool, err error) {
	for i := range len(moments) - 1 {
		r := Runs{From: moment(moments[i]), To: moment(moments[i+1])}
		for status := engine.Running; status <= engine.Aborted && ids[i] < ids[i+1]; status++ {
			n, about, err := s.count(ctx, store.ExecutionQuery{Machine: machine, Status: &status, After: ids[i] - 1, Before: ids[i+1]})
			if err != nil {
				return nil, false, err
			}
			*r.of(status) = n
			estimated = estimated || about
		}
		list = append(list, r)
	}
	return list, estimated, nil
}

// idsAt finds the first executions since some moments.
func (s *Server) idsAt(ctx context.Context, moments []int64) (ids []store.ExecutionID, err error) {
	for _, at := range moments {
		id, err := s.cfg.Store.FirstSince(ctx, at)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// split cuts a stretch of time into equal parts.
func split(from, to int64, parts int64) (moments []int64) {
	for i := range parts + 1 {
		moments = append(moments, from+(to-from)*i/parts)
	}
	return moments
}

// startsOf is starts for executions that are in memory.
func startsOf(list []store.Execution, moments []int64) (runs []Runs) {
	for i := range len(moments) - 1 {
		runs = append(runs, Runs{From: moment(moments[i]), To: moment(moments[i+1])})
	}
	for i := range list {
		at, same := slices.BinarySearch(moments, list[i].StartedAt)
		if !same {
			at--
		}
		if at >= 0 && at < len(runs) {
			*runs[at].of(list[i].Status)++
		}
	}
	return runs
}

// mostRecent is how many Express executions are looked at.
const mostRecent = 10_000

// histogram counts starts by result over time.
func (s *Server) histogram(r *http.Request) (any, error) {
	q, err := query(r, "from", "to", "buckets", "machine", "type")
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now().UnixMilli()
	from, err := s.timeIn(q, "from", now-24*time.Hour.Milliseconds())
	if err != nil {
		return nil, err
	}
	to, err := s.timeIn(q, "to", now)
	if err != nil {
		return nil, err
	}
	parts, err := number(q, "buckets", 48, 1, 200)
	if err != nil {
		return nil, err
	}
	if to <= from || to-from < parts {
		return nil, rest.Invalid("to is not after from.")
	}
	w, err := s.want(r.Context(), map[string]string{"machine": q["machine"], "type": q["type"]})
	if err != nil {
		return nil, err
	}
	moments := split(from, to, parts)
	if w.express {
		list, err := s.cfg.Express.Recent(r.Context(), store.ExecutionQuery{Machine: w.machine.ID, Limit: mostRecent})
		if err != nil {
			return nil, err
		}
		return map[string]any{"buckets": startsOf(list, moments), "estimated": false, "recent_only": true}, nil
	}
	ids, err := s.idsAt(r.Context(), moments)
	if err != nil {
		return nil, err
	}
	list, estimated, err := s.starts(r.Context(), w.machine.ID, moments, ids)
	if err != nil {
		return nil, err
	}
	return map[string]any{"buckets": list, "estimated": estimated}, nil
}

// Machine is a row of the list of state machines.
type Machine struct {
	Name          string     `json:"name"`
	ARN           string     `json:"arn"`
	Type          string     `json:"type"`
	QueryLanguage string     `json:"query_language"`
	Status        string     `json:"status"` // ACTIVE or DELETING
	CreatedAt     *time.Time `json:"created_at"`
	UpdatedAt     *time.Time `json:"updated_at"`
	UpdatedBy     string     `json:"updated_by,omitempty"` // who made the current definition, such as user:ID
	Versions      int        `json:"versions"`             // 100: or more
	LatestVersion int64      `json:"latest_version,omitempty"`
	Aliases       int        `json:"aliases"`
	Runs          []Runs     `json:"runs"` // of 7 days, day by day
	Estimated     bool       `json:"estimated,omitempty"`
	RecentOnly    bool       `json:"recent_only,omitempty"` // of Express executions, those that can still be looked at
	// SuccessRate is that of the executions of 7 days that have ended; null
	// without any.
	SuccessRate *float64 `json:"success_rate"`
	// P50 and P95 are of the last 100 executions that have ended.
	P50      *int64 `json:"p50_ms"`
	P95      *int64 `json:"p95_ms"`
	Running  int64  `json:"running"`
	CostNano int64  `json:"cost_nano"` // billed in 7 days, in nano-USD
}

// mostVersions is how many versions or aliases are counted.
const mostVersions = 100

// machines lists state machines by name with how they do.
func (s *Server) machines(r *http.Request) (any, error) {
	q, err := query(r, "limit", "cursor", "name")
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", usualPage, 1, mostPage)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	var list []store.Machine
	if q["name"] != "" {
		m, err := s.machine(ctx, q["name"])
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	} else if list, err = s.cfg.Store.Machines(ctx, q["cursor"], int(limit)+1); err != nil {
		return nil, err
	}
	week, err := s.week(ctx)
	if err != nil {
		return nil, err
	}
	rows := []Machine{}
	for i := range list[:min(len(list), int(limit))] {
		row, err := s.machineRow(ctx, &list[i], week)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	page := map[string]any{"machines": rows}
	if len(list) > int(limit) {
		page["next_cursor"] = list[limit-1].Name
	}
	return page, nil
}

// sevenDays are the days that rows of machines are about, the last one up to now.
type sevenDays struct {
	moments  []int64
	ids      []store.ExecutionID
	from, to int64 // dates, such as 20261120
}

func (s *Server) week(ctx context.Context) (w sevenDays, err error) {
	now := s.cfg.Now()
	w.moments = split(now.AddDate(0, 0, -7).UnixMilli(), now.UnixMilli()+1, 7)
	date := func(t time.Time) int64 { return int64(t.Year()*10000 + int(t.Month())*100 + t.Day()) }
	w.from, w.to = date(now.AddDate(0, 0, -6)), date(now)
	w.ids, err = s.idsAt(ctx, w.moments)
	return w, err
}

func (s *Server) machineRow(ctx context.Context, m *store.Machine, w sevenDays) (row Machine, err error) {
	row = Machine{
		Name: m.Name, ARN: s.cfg.Scheme.Machine(m.Name), Type: m.Type, Status: "ACTIVE",
		CreatedAt: moment(m.CreatedAt), UpdatedAt: moment(m.UpdatedAt),
	}
	if m.Deleting {
		row.Status = "DELETING"
	}
	g, err := s.graphOf(ctx, &store.Execution{Revision: m.Current})
	if err != nil {
		return row, err
	}
	row.QueryLanguage, row.UpdatedBy = g.language, g.author
	versions, err := s.cfg.Store.Versions(ctx, m.ID, 0, mostVersions)
	if err != nil {
		return row, err
	}
	if row.Versions = len(versions); row.Versions > 0 {
		row.LatestVersion = versions[0].Number
	}
	aliases, err := s.cfg.Store.Aliases(ctx, m.ID, "", mostVersions)
	if err != nil {
		return row, err
	}
	row.Aliases = len(aliases)
	var last []store.Execution
	if m.Type == "EXPRESS" {
		list, err := s.cfg.Express.Recent(ctx, store.ExecutionQuery{Machine: m.ID, Limit: mostRecent})
		if err != nil {
			return row, err
		}
		row.Runs, row.RecentOnly = startsOf(list, w.moments), true
		for i := range list {
			if list[i].Status == engine.Running {
				row.Running++
			}
		}
		last = list[:min(len(list), lastRuns)]
	} else {
		if row.Runs, row.Estimated, err = s.starts(ctx, m.ID, w.moments, w.ids); err != nil {
			return row, err
		}
		status, newest := engine.Running, w.ids[len(w.ids)-1]
		if row.Running, _, err = s.count(ctx, store.ExecutionQuery{Machine: m.ID, Status: &status, Before: newest}); err != nil {
			return row, err
		}
		if last, err = s.cfg.Store.Executions(ctx, store.ExecutionQuery{Machine: m.ID, Limit: lastRuns}); err != nil {
			return row, err
		}
	}
	var took []int64
	for i := range last {
		if x := &last[i]; x.Status != engine.Running {
			took = append(took, x.StoppedAt-x.StartedAt)
		}
	}
	row.P50, row.P95, _ = percentiles(took)
	var well, ended int64
	for _, r := range row.Runs {
		well += r.Succeeded
		ended += r.Succeeded + r.Failed + r.TimedOut + r.Aborted
	}
	if ended > 0 {
		rate := float64(well) / float64(ended)
		row.SuccessRate = &rate
	}
	totals, err := s.cfg.Store.UsageOf(ctx, "machine", m.Name, w.from, w.to)
	row.CostNano = totals.Billed
	return row, err
}

const (
	lastRuns      = 100     // executions that a machine's figures are about
	mostRunEvents = 200_000 // of their events together that are looked at
)

// StateStats is how a state did in the last executions of a machine.
type StateStats struct {
	State       string         `json:"state"`
	Type        string         `json:"type"`
	Node        string         `json:"node"`
	Visits      int            `json:"visits"`
	Failed      int            `json:"failed"` // visits that failed, or whose failure was caught
	Caught      int            `json:"caught"`
	Attempts    int            `json:"attempts"`
	FailureRate float64        `json:"failure_rate"`
	P50         *int64         `json:"p50_ms"`
	P95         *int64         `json:"p95_ms"`
	Errors      map[string]int `json:"errors"`
}

// machineStats sums up the states of a machine over its last 100 executions.
func (s *Server) machineStats(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	ctx := r.Context()
	m, err := s.machine(ctx, r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	q, list := store.ExecutionQuery{Machine: m.ID, Limit: lastRuns}, s.cfg.Store.Executions
	if m.Type == "EXPRESS" {
		list = s.cfg.Express.Recent
	}
	runs, err := list(ctx, q)
	if err != nil {
		return nil, err
	}
	sum := map[string]*StateStats{}
	took := map[string][]int64{}
	states := []*StateStats{}
	seen, events := 0, int64(0)
	for i := range runs {
		x := &found{Execution: runs[i], express: m.Type == "EXPRESS"}
		if events += x.LastEvent; events > mostRunEvents && seen > 0 {
			break
		}
		g, err := s.graphOf(ctx, &x.Execution)
		if err != nil {
			return nil, err
		}
		f := newFold(g)
		err = s.history(ctx, x, 0, false, func(events []engine.HistoryEvent) bool {
			for i := range events {
				f.add(&events[i])
			}
			return true
		})
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		seen++
		for _, t := range f.totals() {
			st := sum[t.State]
			if st == nil {
				st = &StateStats{State: t.State, Type: t.Type, Node: t.Node, Errors: map[string]int{}}
				sum[t.State] = st
				states = append(states, st)
			}
			st.Visits += t.Visits
			st.Failed += t.ByStatus["failed"] + t.ByStatus["caught"]
			st.Caught += t.ByStatus["caught"]
			st.Attempts += t.Attempts
			for name, n := range t.Errors {
				st.Errors[name] += n
			}
		}
		for i := range f.visits {
			if v := &f.visits[i]; v.end != 0 {
				took[v.state.name] = append(took[v.state.name], v.exited-v.entered)
			}
		}
	}
	for _, st := range states {
		st.FailureRate = float64(st.Failed) / float64(max(st.Visits, 1))
		st.P50, st.P95, _ = percentiles(took[st.State])
	}
	return map[string]any{"machine": m.Name, "executions": seen, "complete": seen == len(runs), "states": states}, nil
}
