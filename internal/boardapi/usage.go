package boardapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/store"
)

func (a *API) registerUsage(handle func(string, func(*request) (any, error))) {
	handle = with(handle, func(a *API) bool { return a.spend != nil })
	handle("POST /api/v1/usage", a.reportUsage)
	handle("GET /api/v1/usage", a.usage)
	handle("GET /api/v1/usage/summary", a.usage)
	handle("GET /api/v1/usage/deliverables", a.deliverableCost)
	handle("GET /api/v1/tasks/{task}/cost", a.taskCost)
	handle("GET /api/v1/prices", a.prices)
	handle("PUT /api/v1/prices", a.importPrices)
	handle("PUT /api/v1/prices/overrides", a.overridePrices)
	handle("POST /api/v1/prices/reprice", a.reprice)
}

func (a *API) reportUsage(r *request) (any, error) {
	in, err := read[usageBody](r)
	if err != nil {
		return nil, err
	}
	results, err := a.spend.Report(r.Context(), r.call, in.Events)
	if spend.Refused(err) {
		return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
	}
	return map[string]any{"results": results}, err
}

// usageAnswer is the answer to GET /api/v1/usage/summary. Money is in nano-USD.
type usageAnswer struct {
	GroupBy string     `json:"group_by"`
	Since   string     `json:"since"` // the first day
	Until   string     `json:"until"` // the last day, included
	Zone    string     `json:"time_zone"`
	Rows    []usageRow `json:"rows"`
	Total   usageRow   `json:"total"`
	// Unattributed is what agents have used without a task to put it down to; it
	// is in the total.
	Unattributed *usageRow `json:"unattributed,omitempty"`
	// Days has the rows' parts by day, where they are asked for with days=1.
	Days []usageDay `json:"days,omitempty"`
}

// usageDay is what one row of a summary has used on one day.
type usageDay struct {
	Day    string `json:"day"`
	Name   string `json:"name"` // of the row; "" stands for all that have no row
	Events int64  `json:"events"`
	Tokens int64  `json:"tokens"` // of all kinds
	Billed int64  `json:"billed"`
	Shadow int64  `json:"shadow"`
}

type usageRow struct {
	Name   string      `json:"name"`
	ID     string      `json:"id,omitempty"` // of the project, agent or task
	Events int64       `json:"events"`
	Tokens cost.Tokens `json:"tokens"`
	Billed int64       `json:"billed"`
	Shadow int64       `json:"shadow"`
	// Unpriced counts events whose model has no known price; Marked those whose
	// cost is not certain, for whatever reason.
	Unpriced int64 `json:"unpriced"`
	Marked   int64 `json:"marked"`
}

func rowOf(name string, t store.UsageTotals) usageRow {
	return usageRow{
		Name: name, Events: t.Events, Billed: t.Billed, Shadow: t.Shadow, Unpriced: t.Unpriced, Marked: t.Marked,
		Tokens: cost.Tokens{Input: t.Input, CacheRead: t.CacheRead, CacheWrite5m: t.CacheWrite5m, CacheWrite1h: t.CacheWrite1h, Output: t.Output},
	}
}

// span reads the days that are asked about: the last seven unless said.
func (a *API) span(q map[string]string) (first, last cost.Day, err error) {
	zone := a.spend.Ledger().Zone()
	day := func(name string, otherwise cost.Day) (cost.Day, error) {
		text := q[name]
		if text == "" {
			return otherwise, nil
		}
		if t, err := time.Parse(time.DateOnly, text); err == nil {
			return cost.DayOf(t, time.UTC), nil
		}
		// A time is in the day that it has where the workspace is.
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return 0, rest.Invalid("%s must be a date such as 2026-11-20, or a time such as 2026-11-20T15:04:05Z, not %.60q.", name, text)
		}
		return cost.DayOf(t, zone), nil
	}
	if last, err = day("until", cost.DayOf(time.Now(), zone)); err != nil {
		return 0, 0, err
	}
	first, err = day("since", last.Add(-6))
	return first, last, err
}

func (a *API) usage(r *request) (any, error) {
	q, err := r.query("group_by", "since", "until", "limit", "format", "project", "days")
	if err != nil {
		return nil, err
	}
	by := cmp.Or(q["group_by"], "model")
	if !slices.Contains(ledger.GroupBys, by) {
		return nil, rest.Invalid("There is no grouping by %.60q; there are %s.", by, strings.Join(ledger.GroupBys, ", "))
	}
	first, last, err := a.span(q)
	if err != nil {
		return nil, err
	}
	most := 100
	if text := q["limit"]; text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > ledger.MaxRows {
			return nil, rest.Invalid("limit must be a number from 1 to %d.", ledger.MaxRows)
		}
	}
	if f := q["format"]; f != "" && f != "json" && f != "csv" {
		return nil, rest.Invalid("format is json or csv.")
	}
	var answer *usageAnswer
	ids, all, err := a.board.Scope(r.Context(), r.call)
	if err != nil {
		return nil, err
	}
	if q["project"] != "" {
		p, err := a.board.Project(r.Context(), r.call, q["project"])
		if err != nil {
			return nil, err
		}
		ids, all = []string{p.ID}, false
	}
	if !all {
		answer, err = a.usageWithin(r, ids, by, first, last, most)
	} else {
		answer, err = a.usageOfAll(r, by, first, last, most)
	}
	if err != nil {
		return nil, err
	}
	if q["days"] != "" && by != "day" {
		if err := a.usageByDay(r, answer, by, first, last, all); err != nil {
			return nil, err
		}
	}
	answer.GroupBy, answer.Since, answer.Until, answer.Zone = by, first.String(), last.String(), a.spend.Ledger().Zone().String()
	if q["format"] == "csv" {
		return usageCSV(answer)
	}
	return answer, nil
}

func (a *API) usageOfAll(r *request, by string, first, last cost.Day, most int) (*usageAnswer, error) {
	s, err := a.spend.Ledger().Summarise(r.Context(), by, first, last, most)
	if err != nil {
		return nil, err
	}
	answer := &usageAnswer{Rows: []usageRow{}, Total: rowOf("", s.Total)}
	if s.Unattributed.Events > 0 {
		stray := rowOf("", s.Unattributed)
		answer.Unattributed = &stray
	}
	for _, sum := range s.Rows {
		row := rowOf(sum.Name, sum.UsageTotals)
		switch by {
		case "day":
			row.Name = cost.Day(sum.Day).String()
		case "agent", "project", "task":
			if err := a.named(r, by, &row); err != nil {
				return nil, err
			}
		}
		answer.Rows = append(answer.Rows, row)
	}
	return answer, nil
}

// maxSpread is how many sums of a name on a day are read for the days of a summary.
const maxSpread = 100_000

// usageByDay adds to a summary what each of its rows has used on which day. What
// has no row is summed up by day for whoever may see all, and else left out.
func (a *API) usageByDay(r *request, answer *usageAnswer, by string, first, last cost.Day, all bool) error {
	names := map[string]string{} // by what the store calls them
	for _, row := range answer.Rows {
		names[cmp.Or(row.ID, row.Name)] = row.Name
	}
	list, err := a.store.UsageSums(r.Context(), store.SumQuery{By: by, Daily: true, From: int64(first), To: int64(last), Limit: maxSpread})
	if err != nil {
		return err
	}
	at := map[[2]string]int{}
	for _, sum := range list {
		name, has := names[sum.Name]
		if !has && !all {
			continue
		}
		day := cost.Day(sum.Day).String()
		i, has := at[[2]string{day, name}]
		if !has {
			i = len(answer.Days)
			at[[2]string{day, name}] = i
			answer.Days = append(answer.Days, usageDay{Day: day, Name: name})
		}
		d := &answer.Days[i]
		d.Events += sum.Events
		d.Tokens += sum.Input + sum.CacheRead + sum.CacheWrite5m + sum.CacheWrite1h + sum.Output
		d.Billed += sum.Billed
		d.Shadow += sum.Shadow
	}
	return nil
}

// named shows a row of an id under the name that people know.
func (a *API) named(r *request, by string, row *usageRow) error {
	name, err := a.nameOf(r.Context(), r.call, by, row.Name)
	if control.Is(err, control.NotFound) {
		return nil // usage outlives what it was for
	}
	if err == nil {
		row.ID, row.Name = row.Name, name
	}
	return err
}

func (a *API) nameOf(ctx context.Context, c control.Call, kind, id string) (string, error) {
	c.By = control.System // the caller has been found to see it
	switch kind {
	case "agent":
		v, err := a.board.Agent(ctx, c, id)
		if err != nil {
			return "", err
		}
		return v.Slug, nil
	case "project":
		v, err := a.board.Project(ctx, c, id)
		if err != nil {
			return "", err
		}
		return v.Key, nil
	}
	v, err := a.board.Task(ctx, c, id)
	if err != nil {
		return "", err
	}
	return v.Key, nil
}

// usageWithin sums up what belongs to projects that the caller has. What is not
// kept by project cannot be told apart, and is refused.
func (a *API) usageWithin(r *request, projects []string, by string, first, last cost.Day, most int) (*usageAnswer, error) {
	has := map[string]bool{}
	answer := &usageAnswer{Rows: []usageRow{}}
	var total store.UsageTotals
	for _, p := range projects {
		has[p] = true
		t, err := a.store.UsageOf(r.Context(), "project", p, int64(first), int64(last))
		if err != nil {
			return nil, err
		}
		total.Add(t, 1)
	}
	answer.Total = rowOf("", total)
	l := a.spend.Ledger()
	switch by {
	case "project":
		s, err := l.Summarise(r.Context(), by, first, last, ledger.MaxRows)
		if err != nil {
			return nil, err
		}
		for _, sum := range s.Rows {
			if has[sum.Name] {
				answer.Rows = append(answer.Rows, rowOf(sum.Name, sum.UsageTotals))
			}
		}
	case "task":
		s, err := l.Summarise(r.Context(), by, first, last, ledger.MaxRows)
		if err != nil {
			return nil, err
		}
		for _, sum := range s.Rows {
			t, err := a.board.Task(r.Context(), r.call, sum.Name)
			if err == nil && has[t.Project] {
				answer.Rows = append(answer.Rows, rowOf(sum.Name, sum.UsageTotals))
			}
		}
	case "agent":
		if r.agent() == "" {
			return nil, rest.Invalid("Usage within a project is grouped by day, project or task.")
		}
		// Of the others it may see only what they did in its projects, which is not kept.
		t, err := a.store.UsageOf(r.Context(), "agent", r.agent(), int64(first), int64(last))
		if err != nil {
			return nil, err
		}
		answer.Rows, answer.Total = append(answer.Rows, rowOf(r.agent(), t)), rowOf("", t)
	case "day":
		days := map[cost.Day]*store.UsageTotals{}
		list, err := a.store.UsageSums(r.Context(), store.SumQuery{By: "project", Daily: true, From: int64(first), To: int64(last), Limit: 100_000})
		if err != nil {
			return nil, err
		}
		for _, sum := range list {
			if day := cost.Day(sum.Day); has[sum.Name] {
				if days[day] == nil {
					days[day] = &store.UsageTotals{}
				}
				days[day].Add(sum.UsageTotals, 1)
			}
		}
		for day := first; day <= last && len(answer.Rows) < most; day = day.Add(1) {
			if days[day] != nil {
				answer.Rows = append(answer.Rows, rowOf(day.String(), *days[day]))
			}
		}
		return answer, nil
	default:
		return nil, rest.Invalid("Usage within projects is grouped by agent, day, project or task.")
	}
	answer.Rows = answer.Rows[:min(most, len(answer.Rows))]
	for i := range answer.Rows {
		if err := a.named(r, by, &answer.Rows[i]); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// page is an answer that is no JSON.
func page(contentType string, text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(text) // for a client that has gone nothing is left to do
	})
}

// usageCSV is a summary for a spreadsheet. Money is in USD there.
func usageCSV(a *usageAnswer) (any, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	header := []string{a.GroupBy, "calls", "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "billed_usd", "shadow_usd", "unpriced", "marked"}
	rows := [][]string{header}
	for _, u := range a.Rows {
		n := func(v int64) string { return strconv.FormatInt(v, 10) }
		rows = append(rows, []string{cell(u.Name), n(u.Events), n(u.Tokens.Input), n(u.Tokens.CacheRead), n(u.Tokens.CacheWrite5m), n(u.Tokens.CacheWrite1h),
			n(u.Tokens.Output), usd(u.Billed), usd(u.Shadow), n(u.Unpriced), n(u.Marked)})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return page("text/csv; charset=utf-8", text.Bytes()), nil
}

// cell keeps a name from being taken for a formula.
func cell(name string) string {
	if name != "" && strings.ContainsRune("=+-@\t\r", rune(name[0])) {
		return "'" + name
	}
	return name
}

func usd(nano int64) string { return fmt.Sprintf("%d.%09d", nano/cost.USD, nano%cost.USD) }

// taskCost is what a task has cost, with all tries and all tasks below it.
type taskCost struct {
	Task     string     `json:"task"` // key
	Own      usageRow   `json:"own"`
	Children usageRow   `json:"children"` // with theirs
	Total    usageRow   `json:"total"`
	Rework   usageRow   `json:"rework"` // of Own: attempts after changes were requested
	Failed   usageRow   `json:"failed"` // of Own: attempts that came to nothing
	Attempts []tryCost  `json:"attempts"`
	Below    []taskCost `json:"below,omitempty"`
}

type tryCost struct {
	Attempt string        `json:"attempt"`
	Number  int64         `json:"number"`
	By      control.Party `json:"by"`
	Status  string        `json:"status"`
	Rework  bool          `json:"rework,omitempty"`
	usageRow
}

func (a *API) taskCost(r *request) (any, error) {
	t, err := a.board.Task(r.Context(), r.call, r.task())
	if err != nil {
		return nil, err
	}
	left := 500 // tasks
	c, _, err := a.costOf(r.Context(), t, &left, 0)
	return c, err
}

const always = 99991231 // the last day that is counted

type costSums struct{ own, total, rework, failed store.UsageTotals }

func (a *API) costOf(ctx context.Context, t *control.Task, left *int, depth int) (c taskCost, s costSums, err error) {
	c = taskCost{Task: t.Key, Attempts: []tryCost{}}
	if s.own, err = a.store.UsageOf(ctx, "task", t.ID, 0, always); err != nil {
		return c, s, err
	}
	if s.rework, s.failed, err = a.triesOf(ctx, t, &c); err != nil {
		return c, s, err
	}
	s.total = s.own
	found, err := a.store.Records(ctx, store.Prefix("task", "parent/"+t.ID, *left))
	if err != nil {
		return c, s, err
	}
	var below store.UsageTotals
	for _, f := range found {
		if *left--; *left < 0 || depth > 20 {
			break
		}
		child := &control.Task{}
		if err := json.Unmarshal(f.Data, child); err != nil {
			return c, s, err
		}
		cc, cs, err := a.costOf(ctx, child, left, depth+1)
		if err != nil {
			return c, s, err
		}
		below.Add(cs.total, 1)
		c.Below = append(c.Below, cc)
	}
	s.total.Add(below, 1)
	c.Own, c.Children, c.Total = rowOf("", s.own), rowOf("", below), rowOf("", s.total)
	c.Rework, c.Failed = rowOf("", s.rework), rowOf("", s.failed)
	return c, s, nil
}

// triesOf sums up the attempts at a task: those after changes were requested, and
// those that came to nothing.
func (a *API) triesOf(ctx context.Context, t *control.Task, c *taskCost) (rework, failed store.UsageTotals, err error) {
	reviews, err := a.store.Records(ctx, store.Prefix("review", "task/"+t.ID, 1000))
	if err != nil {
		return rework, failed, err
	}
	var sentBack time.Time
	for _, f := range reviews {
		var v control.Review
		if err := json.Unmarshal(f.Data, &v); err != nil {
			return rework, failed, err
		}
		if v.Kind == "deliverable" && v.Status == "changes_requested" && (sentBack.IsZero() || v.DecidedAt.Before(sentBack)) {
			sentBack = v.DecidedAt
		}
	}
	tries, err := a.store.Records(ctx, store.Prefix("attempt", "task/"+t.ID, 1000))
	if err != nil {
		return rework, failed, err
	}
	for _, f := range tries {
		var at control.Attempt
		if err := json.Unmarshal(f.Data, &at); err != nil {
			return rework, failed, err
		}
		used, err := a.store.UsageOf(ctx, "attempt", at.ID, 0, always)
		if err != nil {
			return rework, failed, err
		}
		try := tryCost{at.ID, at.Number, at.By, at.Status, !sentBack.IsZero() && !at.CreatedAt.Before(sentBack), rowOf("", used)}
		if try.Rework {
			rework.Add(used, 1)
		}
		if slices.Contains([]string{"failed", "timed_out", "lost", "cancelled"}, at.Status) {
			failed.Add(used, 1)
		}
		c.Attempts = append(c.Attempts, try)
	}
	return rework, failed, nil
}

// deliverableCost says what accepted work costs in a project, and how much of that
// was for doing it again.
func (a *API) deliverableCost(r *request) (any, error) {
	q, err := r.query("project", "since", "until")
	if err != nil {
		return nil, err
	}
	if q["project"] == "" {
		return nil, rest.Invalid("Say of which project, as project=WEB.")
	}
	first, last, err := a.span(q)
	if err != nil {
		return nil, err
	}
	p, err := a.board.Project(r.Context(), r.call, q["project"])
	if err != nil {
		return nil, err
	}
	zone := a.spend.Ledger().Zone()
	var accepted, deliverables int64
	var of costSums
	found, err := a.store.Records(r.Context(), store.Prefix("task", "project/"+p.ID+"/"+string(control.Done)+"/", mostSeen))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		t := &control.Task{}
		if err := json.Unmarshal(f.Data, t); err != nil {
			return nil, err
		}
		if day := cost.DayOf(t.StateSince, zone); day < first || day > last {
			continue
		}
		accepted++
		deliverables += int64(max(len(t.Approved), 1)) // what was accepted without any is one
		left := 0
		_, s, err := a.costOf(r.Context(), t, &left, 0)
		if err != nil {
			return nil, err
		}
		of.own.Add(s.own, 1)
		of.rework.Add(s.rework, 1)
		of.failed.Add(s.failed, 1)
	}
	share := func(part store.UsageTotals) float64 {
		if of.own.Shadow == 0 {
			return 0
		}
		return float64(part.Shadow) / float64(of.own.Shadow)
	}
	return workCost{
		Project: p.Key, Since: first.String(), Until: last.String(), Tasks: accepted, Deliverables: deliverables, Partial: len(found) == mostSeen,
		Cost: rowOf("", of.own), Rework: rowOf("", of.rework), Failed: rowOf("", of.failed), ReworkShare: share(of.rework), FailedShare: share(of.failed),
		Billed: of.own.Billed / max(deliverables, 1), Shadow: of.own.Shadow / max(deliverables, 1),
	}, nil
}

func (a *API) prices(*request) (any, error) {
	return map[string]any{"models": a.spend.Ledger().Prices()}, nil
}

// managing refuses who may not manage the workspace.
func (r *request) managing() error { return r.a.board.May(r.Context(), r.call, "", "manage") }

func (a *API) importPrices(r *request) (any, error) {
	if err := r.managing(); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, cost.MaxImport+1))
	if err != nil {
		return nil, rest.Invalid("The body could not be read: %v.", err)
	}
	if len(text) > cost.MaxImport {
		return nil, &rest.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("The body has more than %d bytes.", cost.MaxImport)}
	}
	source := r.URL.Query().Get("source")
	if source == "" || len(source) > 1000 {
		source = "imported"
	}
	in, err := cost.Import(text, source)
	if err != nil {
		return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
	}
	if err := a.spend.Ledger().SaveImport(r.Context(), in); err != nil {
		return nil, err
	}
	return map[string]any{"format": in.Format, "models": len(in.Models), "left": append([]string{}, in.Left...)}, nil
}

func (a *API) overridePrices(r *request) (any, error) {
	if err := r.managing(); err != nil {
		return nil, err
	}
	in, err := read[pricesBody](r)
	if err != nil {
		return nil, err
	}
	for i := range in.Models {
		if err := in.Models[i].Check(); err != nil {
			return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
		}
	}
	if err := a.spend.Ledger().Override(r.Context(), in.Models); err != nil {
		return nil, err
	}
	return map[string]any{"models": len(in.Models)}, nil
}

func (a *API) reprice(r *request) (any, error) {
	if err := r.managing(); err != nil {
		return nil, err
	}
	changed, err := a.spend.Ledger().Reprice(r.Context())
	return map[string]any{"changed": changed}, err
}
