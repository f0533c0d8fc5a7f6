// Package views derives what people look at from what the engine keeps: the
// visits of an execution's states, sums over them, lists over all machines, and a
// stream of what changes.
//
// Nothing here is kept, and nothing is asked of the engine: a view is made of the
// history that everyone can read, when somebody looks. So a view is right as soon
// as the engine's commit is, after a crash as well, and whoever does not look pays
// nothing. What a look costs is bounded: see the limits at each view.
package views

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Store is what views read.
type Store interface {
	Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error)
	Executions(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error)
	CountExecutions(ctx context.Context, q store.ExecutionQuery) (int64, store.ExecutionID, error)
	FirstSince(ctx context.Context, at int64) (store.ExecutionID, error)
	LastExecution(ctx context.Context) (store.ExecutionID, error)
	History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error

	Machine(ctx context.Context, name string) (store.Machine, error)
	MachineByID(ctx context.Context, id store.MachineID) (store.Machine, error)
	Machines(ctx context.Context, afterName string, limit int) ([]store.Machine, error)
	Revision(ctx context.Context, id store.RevisionID) (store.Revision, error)
	Versions(ctx context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error)
	Aliases(ctx context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error)

	MapRunByID(ctx context.Context, id store.MapRunID) (store.MapRun, error)
	MapRuns(ctx context.Context, execution store.ExecutionID, before store.MapRunID, limit int) ([]store.MapRun, error)
	Children(ctx context.Context, run store.MapRunID, from int64, limit int) ([]store.Execution, error)
	OpenMapRuns(ctx context.Context, after store.MapRunID, limit int) ([]store.MapRun, error)

	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
	UsagesOfExecution(ctx context.Context, execution string, after int64, limit int) ([]store.Usage, error)
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
}

// Engine runs Standard executions.
type Engine interface {
	Lookup(ctx context.Context, machine, name string) (store.Execution, error)
	Start(ctx context.Context, s store.Start) (store.Execution, error)
	Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
}

// Express has the Express executions that can still be looked at.
type Express interface {
	Recent(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error)
	Lookup(ctx context.Context, machine, name, uuid string) (store.Execution, error)
	Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error)
	History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error
	ARN(id store.ExecutionID, machine, name string) string
}

// MapRuns has the counts of Map Runs.
type MapRuns interface {
	Find(ctx context.Context, name string) (store.MapRunView, error)
}

// MaxInput is how many bytes the input of an execution may have unless somebody
// says otherwise.
const MaxInput = 256 << 10

// Config says what views are made of.
type Config struct {
	Store   Store
	Engine  Engine
	Express Express
	MapRuns MapRuns
	Scheme  arn.Scheme
	// Redrivable says whether an execution can be redriven, and if not, why, as
	// the API does; nil: not said.
	Redrivable func(ctx context.Context, executionARN string) (status, reason string, err error)
	// Author says who made a revision, by what is kept as its configuration; nil:
	// not said.
	Author func(configuration []byte) string
	// MaxInput says how many bytes the input of a machine's executions may have;
	// nil: MaxInput.
	MaxInput func(machine string) int
	Now      func() time.Time // default time.Now
	Log      *slog.Logger     // default: none
}

// Server answers for views. Its methods may be called concurrently.
type Server struct {
	cfg Config

	mu     sync.Mutex
	graphs map[graphKey]*graph
	folds  foldCache
}

// graphKey names a definition: a revision's, or the part of it that the children
// of a state's Map Runs have.
type graphKey struct {
	revision store.RevisionID
	state    string
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxInput == nil {
		cfg.MaxInput = func(string) int { return MaxInput }
	}
	return &Server{cfg: cfg, graphs: map[graphKey]*graph{}, folds: foldCache{by: map[foldKey]*cachedFold{}}}
}

// Register adds the routes to mux; docs/views.md lists the calls. Who may call is
// for what stands before mux to say.
func (s *Server) Register(mux *http.ServeMux) {
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, rest.Local(rest.Handle(func(r *http.Request) (any, error) {
			v, err := do(r)
			var known *rest.Error
			if err != nil && !errors.As(err, &known) && !errors.Is(err, store.ErrNotFound) && r.Context().Err() == nil {
				s.cfg.Log.Error("a view failed", "method", r.Method, "path", r.URL.Path, "error", err)
			}
			return v, err
		})))
	}
	handle("GET /api/v1/executions", s.search)
	handle("GET /api/v1/executions/histogram", s.histogram)
	handle("GET /api/v1/executions/{arn}", s.execution)
	handle("GET /api/v1/executions/{arn}/visits", s.visits)
	handle("GET /api/v1/executions/{arn}/totals", s.totals)
	handle("GET /api/v1/executions/{arn}/payload", s.payload)
	handle("GET /api/v1/executions/{arn}/events", s.events)
	handle("GET /api/v1/executions/{arn}/visits/{event}/flow", s.flow)
	handle("POST /api/v1/executions/{arn}/fork", s.fork)
	handle("GET /api/v1/machines", s.machines)
	handle("GET /api/v1/machines/{name}/stats", s.machineStats)
	handle("GET /api/v1/mapruns/{arn}/counts", s.counts)
	handle("GET /api/v1/mapruns/{arn}/cells", s.cells)
	handle("GET /api/v1/mapruns/{arn}/failures", s.failures)
	handle("GET /api/v1/mapruns/{arn}/pace", s.pace)
}

// found is an execution that a request names.
type found struct {
	store.Execution
	arn     string
	machine string // its machine's name, with the label of a Map for a child
	express bool
}

// find finds an execution by its ARN, or by what comes last in it: MACHINE:NAME,
// which another account may stand in front of.
func (s *Server) find(ctx context.Context, text string) (x *found, err error) {
	if !strings.HasPrefix(text, "arn:") {
		text = s.longARN(text)
	}
	name, ok := arn.Parse(text)
	x = &found{arn: text}
	machine, ours := "", false
	if ok {
		machine, ours = s.cfg.Scheme.Find(name)
	}
	switch {
	case ours && name.Type == "execution" && len(name.Parts) == 2:
		x.machine = machine
		x.Execution, err = s.cfg.Engine.Lookup(ctx, machine, name.Parts[1])
	case ours && name.Type == "express" && len(name.Parts) == 3 && s.cfg.Express != nil:
		x.machine, x.express = machine, true
		x.Execution, err = s.cfg.Express.Lookup(ctx, machine, name.Parts[1], name.Parts[2])
	case ok:
		err = store.ErrNotFound
	default:
		return nil, rest.Invalid("%q is neither the ARN of an execution nor MACHINE:NAME; in a path, write slashes as %%2F.", text)
	}
	if errors.Is(err, store.ErrNotFound) {
		why := " If there was one, it is no longer kept."
		if x.express {
			why = " Express executions can be looked at for a while after their end only."
		}
		return nil, rest.NotFound("There is no execution %s.%s", text, why)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// longARN is the ARN that is written in short as MACHINE:NAME or, of an Express
// execution, MACHINE:NAME:UUID. Other text stays as it is.
func (s *Server) longARN(short string) string {
	parts := strings.Split(short, ":")
	const uuid = 36 // characters
	if n := len(parts); n == 4 || n == 3 && len(parts[2]) != uuid {
		if account, _ := arn.Split(short); account != "" {
			parts = append([]string{account + ":" + parts[1]}, parts[2:]...)
		}
	}
	switch len(parts) {
	case 2:
		return s.cfg.Scheme.Execution(parts[0], parts[1])
	case 3:
		return s.cfg.Scheme.Express(parts[0], parts[1], parts[2])
	}
	return short
}

// history reads the events of an execution.
func (s *Server) history(ctx context.Context, x *found, from int64, newestFirst bool, yield func([]engine.HistoryEvent) bool) error {
	read := s.cfg.Store.History
	if x.express {
		read = s.cfg.Express.History
	}
	var broken error
	err := read(ctx, x.ID, from, newestFirst, func(c engine.Chunk) bool {
		var events []engine.HistoryEvent
		if broken = ctx.Err(); broken == nil {
			events, broken = engine.DecodeHistory(c)
		}
		return broken == nil && yield(events)
	})
	return errors.Join(err, broken)
}

// again reads the record of an execution once more.
func (s *Server) again(ctx context.Context, x *found) (err error) {
	if x.express {
		x.Execution, err = s.cfg.Express.Execution(ctx, x.ID)
	} else {
		x.Execution, err = s.cfg.Store.Execution(ctx, x.ID)
	}
	return err
}

// mostGraphs is how many definitions are kept in memory.
const mostGraphs = 200

// graphOf is where the states of an execution are.
func (s *Server) graphOf(ctx context.Context, x *store.Execution) (*graph, error) {
	key := graphKey{revision: x.Revision}
	if x.Child.Run != 0 {
		run, err := s.cfg.Store.MapRunByID(ctx, x.Child.Run)
		if err != nil {
			return nil, err
		}
		key.state = run.State
	}
	s.mu.Lock()
	g := s.graphs[key]
	s.mu.Unlock()
	if g != nil {
		return g, nil
	}
	m, author, err := s.definition(ctx, x.Revision)
	if err != nil {
		return nil, err
	}
	if m != nil && key.state != "" {
		m = m.Child(key.state)
	}
	g = newGraph(m)
	g.author = author
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.graphs) >= mostGraphs {
		clear(s.graphs)
	}
	s.graphs[key] = g
	return g, nil
}

// definition compiles a revision, and says who made it; nil: it cannot be.
func (s *Server) definition(ctx context.Context, id store.RevisionID) (m *asl.Machine, author string, err error) {
	r, err := s.cfg.Store.Revision(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if s.cfg.Author != nil {
		author = s.cfg.Author(r.Configuration)
	}
	// It was accepted once, so it is not checked for what a newer version of this
	// program may refuse.
	m, _ = asl.Parse(r.Definition, asl.Options{Untried: true, Accepted: true})
	return m, author, nil
}

// query returns the parameters of a request, of which only those may be there.
func query(r *http.Request, names ...string) (map[string]string, error) {
	got := map[string]string{}
	for name, values := range r.URL.Query() {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		switch {
		case !known && len(names) == 0:
			return nil, rest.Invalid("There are no parameters here, so no %q.", name)
		case !known:
			return nil, rest.Invalid("There is no parameter %q here; there are %s.", name, strings.Join(names, ", "))
		case len(values) > 1:
			return nil, rest.Invalid("The parameter %q is given twice.", name)
		}
		got[name] = values[0]
	}
	return got, nil
}

// number reads a whole number between two others.
func number(q map[string]string, name string, usual, least, most int64) (int64, error) {
	if q[name] == "" {
		return usual, nil
	}
	n, err := strconv.ParseInt(q[name], 10, 64)
	if err != nil || n < least || n > most {
		return 0, rest.Invalid("%s is a number from %d to %d.", name, least, most)
	}
	return n, nil
}

const (
	usualPage = 50
	mostPage  = 200
)

// pageOf reads the parameters limit and cursor, which is a number here.
func pageOf(q map[string]string) (limit int, cursor int64, err error) {
	n, err := number(q, "limit", usualPage, 1, mostPage)
	if err != nil {
		return 0, 0, err
	}
	if q["cursor"] != "" {
		if cursor, err = strconv.ParseInt(q["cursor"], 36, 64); err != nil || cursor <= 0 {
			return 0, 0, rest.Invalid("The cursor is not one of this list.")
		}
	}
	return int(n), cursor, nil
}

func cursorOf(n int64) string { return strconv.FormatInt(n, 36) }

// timeIn reads a time: as RFC 3339 has it, or how long ago, such as 90m or 7d.
func (s *Server) timeIn(q map[string]string, name string, usual int64) (int64, error) {
	text := q[name]
	if text == "" {
		return usual, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UnixMilli(), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return s.cfg.Now().AddDate(0, 0, -n).UnixMilli(), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return s.cfg.Now().Add(-d).UnixMilli(), nil
	}
	return 0, rest.Invalid("%s is a time such as 2026-11-20T16:00:00Z, or how long ago, such as 90m, 24h or 7d.", name)
}

// moment is a time for an answer; 0 is none.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
