package views

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// What a search looks at before it ends early. It then says so, and its cursor
// goes on from there.
const (
	mostSeen = 20_000 // executions in lists
	mostRead = 2_000  // of them read whole, for their error or input
	// rowUsages is how many usages of each of a page's executions are summed up.
	rowUsages = 200
)

// want is what a search is for.
type want struct {
	machine  store.Machine // with ID 0: all
	express  bool
	via      store.Via
	statuses []engine.Status // none: all
	error    string
	prefix   string
	from, to int64 // Unix milliseconds; 0: open
	least    int64 // of the duration, in milliseconds
	most     int64 // 0: open
	field    []string
	value    string
}

// search lists executions over all machines, newest first.
func (s *Server) search(r *http.Request) (any, error) {
	q, err := query(r, "status", "machine", "version", "alias", "type", "error", "from", "to", "min_duration_ms", "max_duration_ms", "name", "input", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	limit, cursor, err := pageOf(q)
	if err != nil {
		return nil, err
	}
	w, err := s.want(r.Context(), q)
	if err != nil {
		return nil, err
	}
	p := &searchPage{limit: limit, rows: []Execution{}}
	if err := s.look(r.Context(), w, store.ExecutionID(cursor), p); err != nil {
		return nil, err
	}
	for i := range p.rows {
		if _, _, err := s.cost(r.Context(), &p.rows[i], rowUsages); err != nil {
			return nil, err
		}
	}
	page := map[string]any{"executions": p.rows, "looked_at": p.seen, "complete": p.next == 0 || len(p.rows) == limit}
	if p.next != 0 {
		page["next_cursor"] = cursorOf(int64(p.next))
		page["looked_back_to"] = moment(p.back)
	}
	return page, nil
}

// want reads the parameters of a search.
func (s *Server) want(ctx context.Context, q map[string]string) (w want, err error) {
	if q["status"] != "" {
		for name := range strings.SplitSeq(q["status"], ",") {
			status, ok := engine.ParseStatus(strings.ToUpper(name))
			if !ok {
				return w, rest.Invalid("There is no status %q; there are RUNNING, SUCCEEDED, FAILED, TIMED_OUT and ABORTED.", name)
			}
			if !slices.Contains(w.statuses, status) {
				w.statuses = append(w.statuses, status)
			}
		}
	}
	switch strings.ToUpper(q["type"]) {
	case "", "STANDARD":
	case "EXPRESS":
		w.express = true
	default:
		return w, rest.Invalid("type is STANDARD or EXPRESS.")
	}
	if name := q["machine"]; name != "" {
		if w.machine, err = s.machine(ctx, name); err != nil {
			return w, err
		}
		w.express = w.machine.Type == "EXPRESS"
	} else if q["version"] != "" || q["alias"] != "" {
		return w, rest.Invalid("Say which machine the version or alias is of.")
	}
	if w.via.Number, err = number(q, "version", 0, 1, 1<<62); err != nil {
		return w, err
	}
	w.via.Alias, w.error, w.prefix = q["alias"], q["error"], q["name"]
	if w.from, err = s.timeIn(q, "from", 0); err != nil {
		return w, err
	}
	if w.to, err = s.timeIn(q, "to", 0); err != nil {
		return w, err
	}
	if w.least, err = number(q, "min_duration_ms", 0, 0, 1<<62); err != nil {
		return w, err
	}
	if w.most, err = number(q, "max_duration_ms", 0, 0, 1<<62); err != nil {
		return w, err
	}
	if in := q["input"]; in != "" {
		field, value, ok := strings.Cut(in, ":")
		if !ok || field == "" {
			return w, rest.Invalid("input is FIELD:VALUE, such as customer.id:42.")
		}
		w.field, w.value = strings.Split(field, "."), value
	}
	return w, nil
}

// machine finds a machine by its name or ARN.
func (s *Server) machine(ctx context.Context, name string) (store.Machine, error) {
	if n, ok := arn.Parse(name); ok && n.Type == "stateMachine" && len(n.Parts) == 1 {
		if kept, ours := s.cfg.Scheme.Find(n); ours {
			name = kept
		}
	}
	m, err := s.cfg.Store.Machine(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return m, rest.NotFound("There is no state machine %q.", name)
	}
	return m, err
}

// searchPage is a page being filled.
type searchPage struct {
	limit int
	rows  []Execution
	seen  int
	read  int
	next  store.ExecutionID // where the next page begins; 0: nowhere
	back  int64             // when the last one looked at was started
}

// look fills a page with what is wanted, from before an id on.
func (s *Server) look(ctx context.Context, w want, before store.ExecutionID, p *searchPage) error {
	after := store.ExecutionID(0)
	if !w.express {
		if w.to != 0 {
			end, err := s.cfg.Store.FirstSince(ctx, w.to)
			if err != nil {
				return err
			}
			if before == 0 || end < before {
				before = end
			}
		}
		if w.from != 0 {
			first, err := s.cfg.Store.FirstSince(ctx, w.from)
			if err != nil {
				return err
			}
			after = first - 1
		}
		if before != 0 && before <= after+1 {
			return nil
		}
	}
	names := map[store.MachineID]string{}
	for {
		list, err := s.batch(ctx, w, before, after)
		if err != nil {
			return err
		}
		for i := range list {
			x := &list[i]
			if len(p.rows) == p.limit || p.seen == mostSeen || p.read == mostRead {
				p.next = before
				return nil
			}
			p.seen++
			before, p.back = x.ID, x.StartedAt
			if err := s.keep(ctx, w, x, names, p); err != nil {
				return err
			}
		}
		if len(list) < batchSize {
			return nil
		}
	}
}

// batchSize is how many executions are listed at a time.
const batchSize = 250

// batch lists the next executions that may be wanted.
func (s *Server) batch(ctx context.Context, w want, before, after store.ExecutionID) (all []store.Execution, err error) {
	list := s.cfg.Store.Executions
	if w.express {
		list = s.cfg.Express.Recent
	}
	q := store.ExecutionQuery{Machine: w.machine.ID, Via: w.via, Before: before, After: after, Limit: batchSize}
	if len(w.statuses) == 0 {
		return list(ctx, q)
	}
	for _, status := range w.statuses {
		q.Status = &status
		some, err := list(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b store.Execution) int { return int(b.ID - a.ID) })
	return all[:min(len(all), batchSize)], nil
}

// keep adds an execution to the page if it is wanted.
func (s *Server) keep(ctx context.Context, w want, x *store.Execution, names map[store.MachineID]string, p *searchPage) error {
	took := x.StoppedAt - x.StartedAt
	if x.StoppedAt == 0 {
		took = s.cfg.Now().UnixMilli() - x.StartedAt
	}
	if !strings.HasPrefix(x.Name, w.prefix) || took < w.least || w.most > 0 && took > w.most ||
		w.from != 0 && x.StartedAt < w.from || w.to != 0 && x.StartedAt >= w.to {
		return nil
	}
	f := &found{Execution: *x, express: w.express}
	if w.error != "" || w.field != nil {
		if w.error != "" && (x.Status == engine.Running || x.Status == engine.Succeeded) {
			return nil
		}
		p.read++
		if err := s.again(ctx, f); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return nil // an Express execution that has gone meanwhile
			}
			return err
		}
		if w.error != "" && text(f.Error) != w.error && !(w.error == "States.Timeout" && f.Status == engine.TimedOut) || w.field != nil && !hasField(f.Input, w.field, w.value) {
			return nil
		}
	}
	name, ok := names[x.Machine]
	if !ok {
		m, err := s.cfg.Store.MachineByID(ctx, x.Machine)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		name = m.Name
		names[x.Machine] = name
	}
	f.machine = name
	if w.express {
		f.arn = s.cfg.Express.ARN(x.ID, name, x.Name)
	} else {
		f.arn = s.cfg.Scheme.Execution(name, x.Name)
	}
	row := s.item(f)
	if err := s.glance(ctx, f, &row); err != nil {
		return err
	}
	p.rows = append(p.rows, row)
	return nil
}

// hasField reports whether a JSON text has a value at the end of a path of names
// and indexes: a text with those characters, or what is written so in JSON.
func hasField(doc string, path []string, want string) bool {
	var v any
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return false
	}
	for _, name := range path {
		switch in := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = in[name]; !ok {
				return false
			}
		case []any:
			i := slices.IndexFunc(in, func(v any) bool { return hasValue(v, name) })
			if n := index(name); n >= 0 && n < len(in) {
				i = n
			}
			if i < 0 {
				return false
			}
			v = in[i]
		default:
			return false
		}
	}
	return hasValue(v, want)
}

func hasValue(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return v == want
	case []any:
		return slices.ContainsFunc(v, func(v any) bool { return hasValue(v, want) })
	case map[string]any:
		return false
	}
	text, err := json.Marshal(v)
	return err == nil && string(text) == want
}

func index(text string) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<20 {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	if text == "" {
		return -1
	}
	return n
}

// glance adds which state an execution is in, or ended in without success, from
// the newest events of its history.
func (s *Server) glance(ctx context.Context, x *found, row *Execution) error {
	if x.Status == engine.Succeeded {
		return nil
	}
	const most = 3 // chunks
	chunks := 0
	err := s.history(ctx, x, 0, true, func(events []engine.HistoryEvent) bool {
		chunks++
		for i := len(events) - 1; i >= 0; i-- {
			e := &events[i]
			switch {
			case e.Type == engine.ExecutionFailedType || e.Type == engine.ExecutionAbortedType:
				row.Error = text(e.Error)
			case e.Type == engine.ExecutionTimedOutType:
				row.Error = "States.Timeout"
			case row.WaitingFor == "" && x.Status == engine.Running:
				row.WaitingFor = waitNames[waitsAfter(e)]
			}
			if strings.HasSuffix(e.Type.String(), "StateEntered") {
				row.State = e.Name
				return false
			}
		}
		return chunks < most
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// waitsAfter is what an execution waits for when an event is its newest.
func waitsAfter(e *engine.HistoryEvent) waits {
	switch e.Type {
	case engine.WaitStateEnteredType, engine.TaskFailedType, engine.TaskTimedOutType, engine.LambdaFunctionFailedType, engine.LambdaFunctionTimedOutType,
		engine.ActivityFailedType, engine.ActivityTimedOutType:
		return forTimer
	case engine.ActivityScheduledType:
		return forActivity
	case engine.MapRunStartedType, engine.MapRunRedrivenType:
		return forMapRun
	case engine.TaskScheduledType, engine.TaskStartedType, engine.LambdaFunctionScheduledType, engine.LambdaFunctionStartedType, engine.ActivityStartedType:
		return forTask
	case engine.TaskSubmittedType:
		return submitted(e)
	}
	return forNothing
}

// submitted is what a task waits for that has been handed over.
func submitted(e *engine.HistoryEvent) waits {
	switch {
	case e.Service == "agent":
		return forAgent
	case e.Service == "review":
		return forReview
	case strings.HasSuffix(e.Resource, ".waitForTaskToken"):
		return forCallback
	case e.Service == "states" && strings.HasPrefix(e.Resource, "startExecution"):
		return forChild
	}
	return forTask
}
