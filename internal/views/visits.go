package views

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	mostPreview = 32 << 10 // bytes of a payload in an answer
	pagePreview = 2 << 20  // of all payloads on a page
	mostBare    = 1000     // visits of a page without payloads
)

// Visit is one state entry of an execution.
type Visit struct {
	ID        int64      `json:"id"`   // of its StateEntered event: it stays
	Path      string     `json:"path"` // "Each ticket#3/Enrich#2/Cool down": with iterations and branches
	Node      string     `json:"node"` // the same in the definition, where a Map has #0 alone
	State     string     `json:"state"`
	Type      string     `json:"type"`
	Branch    *int32     `json:"branch,omitempty"`    // the innermost
	Iteration *int32     `json:"iteration,omitempty"` // the innermost
	EnteredAt *time.Time `json:"entered_at"`
	ExitedAt  *time.Time `json:"exited_at"` // null: not yet
	// Status is running, waiting, retrying, succeeded, caught, failed or aborted.
	Status string `json:"status"`
	// WaitingFor is timer, callback, task, child, activity, map_run, agent or
	// review; empty when it waits for nothing.
	WaitingFor     string    `json:"waiting_for,omitempty"`
	Attempts       []Attempt `json:"attempts"`
	Input          *Payload  `json:"input,omitempty"`
	Output         *Payload  `json:"output,omitempty"`
	Error          string    `json:"error,omitempty"`
	Cause          string    `json:"cause,omitempty"`
	CauseTruncated bool      `json:"cause_truncated,omitempty"`
	CauseURL       string    `json:"cause_url,omitempty"` // of a truncated one
	FirstEvent     int64     `json:"first_event"`
	LastEvent      int64     `json:"last_event"`
	Redrive        int64     `json:"redrive"` // the one in which it was last worked on; 0: none
	MapRun         string    `json:"map_run,omitempty"`
	Items          int64     `json:"items,omitempty"` // of a Map
	Child          string    `json:"child_execution,omitempty"`
	CostNano       *int64    `json:"cost_nano,omitempty"` // billed for models it called, in nano-USD
	Tokens         *int64    `json:"tokens,omitempty"`
}

// Attempt is one try of a visit.
type Attempt struct {
	N         int        `json:"n"` // from 1 on
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Status    string     `json:"status"` // running, succeeded, failed, timed_out or aborted
	Resource  string     `json:"resource,omitempty"`
	Worker    string     `json:"worker,omitempty"` // of an activity
	Error     string     `json:"error,omitempty"`
	Cause     string     `json:"cause,omitempty"`
	Timeout   int64      `json:"timeout_seconds,omitempty"`
	Heartbeat int64      `json:"heartbeat_seconds,omitempty"`
	Redrive   int64      `json:"redrive"`
	Event     int64      `json:"event"` // that began it
}

// Payload is an input or output. Of a long one Text is the beginning, or missing
// where the page has enough already; URL gives all of it.
type Payload struct {
	Text      string `json:"text,omitempty"` // JSON
	Bytes     int    `json:"bytes"`
	Truncated bool   `json:"truncated,omitempty"`
	URL       string `json:"url"`
}

// foldKey names an execution.
type foldKey struct {
	express bool
	id      store.ExecutionID
}

// foldCache keeps the folds of executions that were looked at not long ago, so
// that the next look at one goes on where the last one ended.
type foldCache struct {
	mu    sync.Mutex
	by    map[foldKey]*cachedFold
	bytes int
	turn  int64
}

type cachedFold struct {
	mu   sync.Mutex // for what follows
	fold *fold

	size int   // as counted in the cache
	turn int64 // when it was last used
}

const (
	mostFolds     = 256
	mostFoldBytes = 128 << 20
)

// use finds or makes the place of a fold.
func (c *foldCache) use(key foldKey) *cachedFold {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	f := c.by[key]
	if f == nil {
		f = &cachedFold{}
		c.by[key] = f
	}
	f.turn = c.turn
	return f
}

// grown notes how large a fold is, and lets go of those that were not used for
// longest.
func (c *foldCache) grown(key foldKey, f *cachedFold, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[key] != f {
		return // let go of meanwhile
	}
	c.bytes += size - f.size
	f.size = size
	for len(c.by) > 1 && (c.bytes > mostFoldBytes || len(c.by) > mostFolds) {
		var oldest foldKey
		least := c.turn + 1
		for k, f := range c.by {
			if f.turn < least {
				oldest, least = k, f.turn
			}
		}
		c.bytes -= c.by[oldest].size
		delete(c.by, oldest)
	}
}

// folded calls do with the fold of an execution up to its newest event.
func (s *Server) folded(ctx context.Context, x *found, do func(f *fold) error) error {
	g, err := s.graphOf(ctx, &x.Execution)
	if err != nil {
		return err
	}
	key := foldKey{x.express, x.ID}
	c := s.folds.use(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fold == nil {
		c.fold = newFold(g)
	}
	f := c.fold
	if err := s.again(ctx, x); err != nil { // as of the history that is read now
		return err
	}
	if f.last < x.LastEvent {
		err := s.history(ctx, x, f.last+1, false, func(events []engine.HistoryEvent) bool {
			for i := range events {
				if events[i].ID > f.last {
					f.add(&events[i])
				}
			}
			return true
		})
		if err != nil {
			return err
		}
		s.folds.grown(key, c, f.size())
	}
	return do(f)
}

// visits lists the visits of an execution.
func (s *Server) visits(r *http.Request) (any, error) {
	q, err := query(r, "state", "status", "path", "order", "changed_since", "payloads", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	most := int64(mostPage)
	if q["payloads"] == "none" {
		most = mostBare
	}
	size, err := number(q, "limit", usualPage, 1, most)
	if err != nil {
		return nil, err
	}
	delete(q, "limit")
	_, cursor, err := pageOf(q)
	if err != nil {
		return nil, err
	}
	limit := int(size)
	since, err := number(q, "changed_since", 0, 0, 1<<62)
	if err != nil {
		return nil, err
	}
	var statuses []string
	if q["status"] != "" {
		statuses = strings.Split(q["status"], ",")
		for _, want := range statuses {
			if !slices.Contains(statusNames[:timedOut], want) {
				return nil, rest.Invalid("There is no status %q of a visit; there are %s.", want, strings.Join(statusNames[:timedOut], ", "))
			}
		}
	}
	order := q["order"]
	if order != "" && order != "first" && order != "newest" && order != "failed_first" {
		return nil, rest.Invalid("order is first, newest or failed_first.")
	}
	if p := q["payloads"]; p != "" && p != "none" && p != "preview" {
		return nil, rest.Invalid("payloads is preview or none.")
	}
	x, err := s.find(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	var rows []Visit
	var needs []payloadNeed
	page := map[string]any{}
	err = s.folded(r.Context(), x, func(f *fold) error {
		picked, next := f.pick(limit, cursor, order, func(v int32) bool {
			x := &f.visits[v]
			return x.last > since && (q["state"] == "" || x.state.name == q["state"]) && (statuses == nil || slices.Contains(statuses, x.now().String())) &&
				(q["path"] == "" || f.under(v, q["path"]))
		})
		if next != 0 {
			page["next_cursor"] = cursorOf(next)
		}
		rows = make([]Visit, 0, len(picked))
		for _, v := range picked {
			rows = append(rows, s.row(f, v, x))
			needs = append(needs, payloadNeed{len(rows) - 1, false, f.visits[v].first})
			if f.visits[v].output != 0 {
				needs = append(needs, payloadNeed{len(rows) - 1, true, f.visits[v].output})
			}
		}
		page["last_event"] = f.last
		return nil
	})
	if err != nil {
		return nil, err
	}
	if q["payloads"] != "none" {
		if err := s.fill(r.Context(), x, rows, needs); err != nil {
			return nil, err
		}
	}
	if err := s.price(r.Context(), x, rows); err != nil {
		return nil, err
	}
	page["visits"] = rows
	page["status"] = x.Status.String()
	return page, nil
}

// under reports whether a visit's path begins with a prefix.
func (f *fold) under(v int32, prefix string) bool {
	path, _, _, _ := f.paths(v)
	return strings.HasPrefix(path, prefix)
}

// pick chooses the visits of a page, and says where the next one begins; 0:
// nowhere. With failed_first, visits that have failed come before the others.
func (f *fold) pick(limit int, cursor int64, order string, wanted func(int32) bool) (picked []int32, next int64) {
	n := int64(len(f.visits))
	if order == "newest" {
		from := n
		if cursor > 0 {
			from = min(cursor, n)
		}
		for v := from - 1; v >= 0; v-- {
			if !wanted(int32(v)) {
				continue
			}
			if len(picked) == limit {
				return picked, v + 1
			}
			picked = append(picked, int32(v))
		}
		return picked, 0
	}
	rounds := int64(1)
	if order == "failed_first" {
		rounds = 2 // those that have failed, and the others
	}
	for at := max(cursor-1, 0); at < rounds*n; at++ {
		v := int32(at % n)
		if rounds == 2 && (f.visits[v].now() == failed) != (at < n) || !wanted(v) {
			continue
		}
		if len(picked) == limit {
			return picked, at + 1
		}
		picked = append(picked, v)
	}
	return picked, 0
}

// row writes a visit.
func (s *Server) row(f *fold, v int32, of *found) Visit {
	x := &f.visits[v]
	row := Visit{
		ID: x.first, State: x.state.name, Type: x.state.kind, EnteredAt: moment(x.entered), ExitedAt: moment(x.exited),
		Status: x.now().String(), WaitingFor: waitNames[x.waits], Attempts: make([]Attempt, 0, len(x.attempts)),
		Error: x.error, Cause: x.cause, CauseTruncated: x.causeCut, FirstEvent: x.first, LastEvent: x.last,
		Redrive: x.redrive, MapRun: x.mapRun, Items: x.length, Child: x.child,
	}
	row.Path, row.Node, row.Branch, row.Iteration = f.paths(v)
	if x.causeCut {
		row.CauseURL = payloadURL(of.arn, x.causeAt, "cause")
	}
	for i := range x.attempts {
		a := &x.attempts[i]
		row.Attempts = append(row.Attempts, Attempt{
			N: i + 1, StartedAt: moment(a.started), EndedAt: moment(a.ended), Status: a.status.String(), Resource: a.resource, Worker: a.worker,
			Error: a.error, Cause: a.cause, Timeout: a.timeout, Heartbeat: a.heartbeat, Redrive: a.redrive, Event: a.event,
		})
	}
	return row
}

func payloadURL(executionARN string, event int64, which string) string {
	return "/api/v1/executions/" + url.PathEscape(executionARN) + "/payload?event=" + strconv.FormatInt(event, 10) + "&which=" + which
}

// payloadNeed is a payload that a row is to show.
type payloadNeed struct {
	row    int
	output bool
	event  int64
}

// How a page's payloads are read: going on through events in between is cheaper
// than beginning anew, up to a point, and beginning anew may happen only so often.
const (
	mostGap   = 2000
	mostReads = 20
)

// fill reads the payloads of a page.
func (s *Server) fill(ctx context.Context, x *found, rows []Visit, needs []payloadNeed) error {
	slices.SortFunc(needs, func(a, b payloadNeed) int { return int(a.event - b.event) })
	room := pagePreview
	put := func(n payloadNeed, text string, known bool) {
		which, row := "input", &rows[n.row]
		if n.output {
			which = "output"
		}
		p := &Payload{Bytes: len(text), URL: payloadURL(x.arn, n.event, which)}
		switch {
		case !known || len(text) > room:
			p.Truncated = true
		case len(text) > mostPreview:
			p.Text, p.Truncated = beginning(text, mostPreview), true
		default:
			p.Text = text
		}
		room -= len(p.Text)
		if n.output {
			row.Output = p
		} else {
			row.Input = p
		}
	}
	for reads := 0; len(needs) > 0; reads++ {
		if reads == mostReads {
			for _, n := range needs {
				put(n, "", false)
			}
			break
		}
		err := s.history(ctx, x, needs[0].event, false, func(events []engine.HistoryEvent) bool {
			for i := range events {
				e := &events[i]
				for len(needs) > 0 && needs[0].event == e.ID {
					if e.Data != nil {
						put(needs[0], *e.Data, true)
					}
					needs = needs[1:]
				}
			}
			last := events[len(events)-1].ID
			for len(needs) > 0 && needs[0].event <= last {
				needs = needs[1:] // cannot be; it would be looked for for ever
			}
			return len(needs) > 0 && needs[0].event-last < mostGap
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// beginning cuts a text at a character.
func beginning(text string, n int) string {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// mostUsages is how much usage of one execution is looked at.
const mostUsages = 5000

// price adds what the models cost that visits called. What cannot be told apart,
// because several visits of a state overlap, is in the execution's sum alone.
func (s *Server) price(ctx context.Context, x *found, rows []Visit) error {
	used, err := s.cfg.Store.UsagesOfExecution(ctx, x.arn, 0, mostUsages)
	if err != nil || len(used) == 0 {
		return err
	}
	for i := range used {
		u := &used[i]
		if !u.Counted {
			continue
		}
		var at *Visit
		several := false
		for j := range rows {
			r := &rows[j]
			if r.State == u.State && r.EnteredAt.UnixMilli() <= u.At && (r.ExitedAt == nil || u.At <= r.ExitedAt.UnixMilli()) {
				several = several || at != nil
				at = r
			}
		}
		if at == nil || several {
			continue
		}
		if at.CostNano == nil {
			at.CostNano, at.Tokens = new(int64), new(int64)
		}
		*at.CostNano += u.Billed
		*at.Tokens += tokens(u)
	}
	return nil
}

func tokens(u *store.Usage) int64 {
	return u.Input + u.CacheRead + u.CacheWrite5m + u.CacheWrite1h + u.Output
}

// payload answers with the input, output or cause of one event, whole.
func (s *Server) payload(r *http.Request) (any, error) {
	q, err := query(r, "event", "which")
	if err != nil {
		return nil, err
	}
	id, err := number(q, "event", 0, 1, 1<<62)
	if err != nil {
		return nil, err
	}
	which := q["which"]
	if id == 0 || which != "input" && which != "output" && which != "cause" {
		return nil, rest.Invalid("Say which event, and which of it: input, output or cause.")
	}
	x, err := s.find(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	var data *string
	none := rest.NotFound("Event %d of the execution has no %s.", id, which)
	if id > x.LastEvent {
		return nil, none
	}
	err = s.history(r.Context(), x, id, false, func(events []engine.HistoryEvent) bool {
		for i := range events {
			e := &events[i]
			switch {
			case e.ID != id:
			case which == "cause":
				data = e.Cause
			case isInput(e.Type) == (which == "input"):
				data = e.Data
			}
		}
		return false
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if data == nil {
		return nil, none
	}
	kind, name := "application/json", "json"
	if which == "cause" {
		kind, name = "text/plain; charset=utf-8", "txt"
	}
	text := *data
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="event-`+strconv.FormatInt(id, 10)+"-"+which+"."+name+`"`)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write([]byte(text)) // nothing is left to do for a client that has gone
	}), nil
}

// isInput reports whether what an event carries is an input.
func isInput(t engine.HistoryType) bool {
	switch t {
	case engine.ExecutionStartedType, engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
		return true
	}
	return strings.HasSuffix(t.String(), "StateEntered")
}
