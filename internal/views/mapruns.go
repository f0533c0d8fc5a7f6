package views

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Counts are those of a Map Run's items, or of the executions that they are in.
type Counts struct {
	Pending   int64 `json:"pending"`
	Running   int64 `json:"running"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	TimedOut  int64 `json:"timed_out"`
	Aborted   int64 `json:"aborted"`
	Total     int64 `json:"total"`
	Written   int64 `json:"results_written"`
}

// MapRun is how far a Map Run is.
type MapRun struct {
	ARN                 string     `json:"arn"`
	State               string     `json:"state"`
	Execution           string     `json:"execution"`
	Status              string     `json:"status"`
	Type                string     `json:"type"` // of its executions
	StartedAt           *time.Time `json:"started_at"`
	StoppedAt           *time.Time `json:"stopped_at"`
	Redrives            int64      `json:"redrives"`
	MaxConcurrency      int64      `json:"max_concurrency"` // 0: no limit
	ToleratedCount      *int64     `json:"tolerated_failure_count"`
	ToleratedPercentage *float64   `json:"tolerated_failure_percentage"`
	Items               Counts     `json:"items"`
	Executions          Counts     `json:"executions"`
}

func countsOf(c store.MapRunCounts) Counts { return Counts(c) }

// mapRun finds a Map Run by its ARN.
func (s *Server) mapRun(ctx context.Context, text string) (v store.MapRunView, machine string, err error) {
	name, ok := arn.Parse(text)
	if !ok || name.Service != "states" || name.Type != "mapRun" || len(name.Parts) != 2 {
		return v, "", rest.Invalid("%q is not the ARN of a Map Run; write its colons and slashes as %%3A and %%2F in a path.", text)
	}
	kept, _ := s.cfg.Scheme.Find(name)
	machine, _, _ = strings.Cut(kept, "/")
	v, err = s.cfg.MapRuns.Find(ctx, name.Parts[1])
	if err == nil {
		var own string
		if own, err = s.mapRunARN(ctx, v.Record); err == nil && own != text {
			err = store.ErrNotFound
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = rest.NotFound("There is no Map Run %s.", text)
	}
	return v, machine, err
}

// counts says how far a Map Run is.
func (s *Server) counts(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	v, _, err := s.mapRun(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	return s.mapRunOf(r.Context(), r.PathValue("arn"), v)
}

func (s *Server) mapRunOf(ctx context.Context, text string, v store.MapRunView) (MapRun, error) {
	run := MapRun{
		ARN: text, State: v.Record.State, Status: v.Record.Status.String(), Type: "STANDARD",
		StartedAt: moment(v.Record.StartedAt), StoppedAt: moment(v.Record.StoppedAt), Redrives: v.Record.Redrives,
		ToleratedCount: v.Settings.ToleratedCount, ToleratedPercentage: v.Settings.ToleratedPercentage,
		Items: countsOf(v.Items), Executions: countsOf(v.Children),
	}
	if v.Record.Express {
		run.Type = "EXPRESS"
	}
	if v.Settings.MaxConcurrency != nil {
		run.MaxConcurrency = *v.Settings.MaxConcurrency
	}
	var err error
	run.Execution, err = s.arnOf(ctx, v.Record.Execution)
	return run, err
}

// mostCells is how many executions of a Map Run are shown one by one.
const mostCells = 10_000

// cellBuckets is into how many groups the executions of a larger one go.
const cellBuckets = 500

// cellLetters stand for the statuses of executions, in their order; a blank is one
// that is not known (any more), or not started yet.
const cellLetters = "rsfta"

// Bucket is a group of executions of a Map Run, next to each other in the order of
// their start.
type Bucket struct {
	Running   int64 `json:"running"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	TimedOut  int64 `json:"timed_out"`
	Aborted   int64 `json:"aborted"`
}

func (b *Bucket) of(status engine.Status) *int64 {
	return [...]*int64{&b.Running, &b.Succeeded, &b.Failed, &b.TimedOut, &b.Aborted}[status]
}

// cells says how each execution of a Map Run is: a letter for each, or sums over
// groups where there are many. With index it describes one of them.
func (s *Server) cells(r *http.Request) (any, error) {
	q, err := query(r, "index")
	if err != nil {
		return nil, err
	}
	v, machine, err := s.mapRun(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	if q["index"] != "" {
		i, err := number(q, "index", 0, 0, 1<<62)
		if err != nil {
			return nil, err
		}
		return s.cell(r.Context(), v, machine, i)
	}
	page := map[string]any{"total": v.Children.Total, "letters": map[string]string{
		" ": "unknown or not started", "r": "RUNNING", "s": "SUCCEEDED", "f": "FAILED", "t": "TIMED_OUT", "a": "ABORTED",
	}}
	list, err := s.children(r.Context(), v.Record, nil, mostCells+1)
	if err != nil {
		return nil, err
	}
	total := v.Children.Total
	for i := range list {
		total = max(total, list[i].Child.Index+1)
	}
	if total <= mostCells {
		cells := []byte(strings.Repeat(" ", int(total)))
		for i := range list {
			if at := list[i].Child.Index; at >= 0 && at < total {
				cells[at] = cellLetters[list[i].Status]
			}
		}
		page["cells"] = string(cells)
		return page, nil
	}
	if v.Record.Express {
		page["buckets"], page["recent_only"] = bucketsOf(list), true
		return page, nil
	}
	page["buckets"], err = s.buckets(r.Context(), v.Record.ID)
	return page, err
}

// children lists executions of a Map Run, the newest first: of Express ones those
// that can still be looked at.
func (s *Server) children(ctx context.Context, run store.MapRun, status *engine.Status, most int) (all []store.Execution, err error) {
	list := s.cfg.Store.Executions
	if run.Express {
		if s.cfg.Express == nil {
			return nil, nil
		}
		list = s.cfg.Express.Recent
	}
	q := store.ExecutionQuery{Run: run.ID, Status: status}
	for len(all) < most {
		q.Limit = min(1000, most-len(all))
		some, err := list(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < q.Limit {
			break
		}
		q.Before = some[len(some)-1].ID
	}
	return all, nil
}

// buckets counts the executions of a large run: ids grow with the time of start,
// so each group is a range of ids.
func (s *Server) buckets(ctx context.Context, run store.MapRunID) ([]Bucket, error) {
	newest, err := s.cfg.Store.Executions(ctx, store.ExecutionQuery{Run: run, Limit: 1})
	if err != nil || len(newest) == 0 {
		return []Bucket{}, err
	}
	// The first child is found by its place, which an index has.
	first, err := s.cfg.Store.Children(ctx, run, 0, 1)
	if err != nil || len(first) == 0 {
		return []Bucket{}, err
	}
	from, to := first[0].ID, newest[0].ID+1
	list := make([]Bucket, 0, cellBuckets)
	for i := range store.ExecutionID(cellBuckets) {
		start, end := from+(to-from)*i/cellBuckets, from+(to-from)*(i+1)/cellBuckets
		if start == end {
			continue
		}
		var b Bucket
		for status := engine.Running; status <= engine.Aborted; status++ {
			n, _, err := s.count(ctx, store.ExecutionQuery{Run: run, Status: &status, After: start - 1, Before: end})
			if err != nil {
				return nil, err
			}
			*b.of(status) = n
		}
		list = append(list, b)
	}
	return list, nil
}

// bucketsOf groups executions that are in memory.
func bucketsOf(list []store.Execution) []Bucket {
	buckets := make([]Bucket, cellBuckets)
	slices.Reverse(list)
	for i := range list {
		*buckets[i*cellBuckets/len(list)].of(list[i].Status)++
	}
	return buckets
}

// cell describes one execution of a Map Run.
func (s *Server) cell(ctx context.Context, v store.MapRunView, machine string, i int64) (any, error) {
	missing := rest.NotFound("The execution %d of the Map Run has not started, or cannot be looked at any more.", i)
	var x *store.Execution
	if v.Record.Express {
		list, err := s.children(ctx, v.Record, nil, mostCells)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(list, func(x store.Execution) bool { return x.Child.Index == i }); at >= 0 {
			x = &list[at]
		}
	} else {
		list, err := s.cfg.Store.Children(ctx, v.Record.ID, i, 1)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 && list[0].Child.Index == i {
			x = &list[0]
		}
	}
	if x == nil {
		return nil, missing
	}
	f := s.childNamed(*x, v.Record, machine)
	row := s.item(f)
	return row, s.glance(ctx, f, &row)
}

// childNamed gives an execution of a Map Run its names.
func (s *Server) childNamed(x store.Execution, run store.MapRun, machine string) *found {
	f := &found{Execution: x, machine: machine + "/" + run.Label, express: run.Express}
	if run.Express {
		f.arn = s.cfg.Express.ARN(x.ID, f.machine, x.Name)
	} else {
		f.arn = s.cfg.Scheme.Execution(f.machine, x.Name)
	}
	return f
}

// Failure is what several executions of a Map Run failed with.
type Failure struct {
	Error    string   `json:"error"`
	Cause    string   `json:"cause"`
	Status   string   `json:"status"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // ARNs of some of them
	Indexes  []int64  `json:"indexes"`  // their places
}

const (
	mostFailed   = 2000 // executions that are looked at for their error
	mostExamples = 5
	mostGroups   = 100
)

// failures groups the executions of a Map Run that did not succeed by their error
// and cause, the most frequent first.
func (s *Server) failures(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	ctx := r.Context()
	v, machine, err := s.mapRun(ctx, r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	groups := []*Failure{}
	type key struct {
		status       engine.Status
		error, cause string
	}
	of := map[key]*Failure{}
	seen, complete := 0, true
	for _, status := range []engine.Status{engine.Failed, engine.TimedOut, engine.Aborted} {
		list, err := s.children(ctx, v.Record, &status, mostFailed-seen)
		if err != nil {
			return nil, err
		}
		seen += len(list)
		complete = complete && seen < mostFailed
		for i := range list {
			x := s.childNamed(list[i], v.Record, machine)
			if err := s.again(ctx, x); errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			cause := text(x.Cause)
			if len(cause) > mostCause {
				cause = beginning(cause, mostCause)
			}
			k := key{status, text(x.Error), cause}
			g := of[k]
			if g == nil {
				if len(groups) == mostGroups {
					complete = false
					continue
				}
				g = &Failure{Error: k.error, Cause: k.cause, Status: status.String(), Examples: []string{}, Indexes: []int64{}}
				of[k] = g
				groups = append(groups, g)
			}
			if g.Count++; g.Count <= mostExamples {
				g.Examples = append(g.Examples, x.arn)
				g.Indexes = append(g.Indexes, x.Child.Index)
			}
		}
	}
	slices.SortStableFunc(groups, func(a, b *Failure) int { return b.Count - a.Count })
	return map[string]any{"failures": groups, "looked_at": seen, "complete": complete}, nil
}
