// Package boardapi is the REST door of the board: projects, agents, tasks,
// reviews and the feed of events under /api/v1.
//
// The one idea: a handler finds out who calls, reads what is asked, and calls
// one method of control.Board, which decides. What is here besides is what the
// board does not have: the keys of agents, lists in pages, and waiting until
// something happens.
package boardapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/push"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Workspace is the only one so far.
const Workspace = workspace

const workspace = "local"

// Live tells of what changes and is not in the feed of events: how executions get
// on. The errors of Watch are answers.
type Live interface {
	Watch(ctx context.Context, wish feed.Wish) (feed.Watcher, error)
}

// Config is what an API needs.
type Config struct {
	Store control.Reader // what the board is kept in
	Bell  *feed.Bell     // what writes to it, and tells of it
	Board control.Config // what the board asks of others
	Auth  auth.Config    // how callers are known; the board and the store are filled in
	Live  Live           // nil: nothing is told of executions
	Build string         // what the server calls itself in the stream's hello
	Log   *slog.Logger

	Callbacks Callbacks        // nil: there are none
	Spend     *spend.Keeper    // what was used, prices and budgets; nil: there are no such calls
	Notices   *notices.Notices // notifications and webhooks; nil: the same
	Health    *health.Health   // quiet failures; nil: the same
}

// API is the board with its door. Register its routes, and Run it.
type API struct {
	board *control.Board
	store control.Reader
	log   *slog.Logger
	bell  *feed.Bell // through which all is written
	auth  *auth.Auth
	push  *push.Pusher  // nil: wakeups are fetched
	url   func() string // where agents reach the server
	live  Live
	build string
	spend *spend.Keeper
	told  *notices.Notices
	quiet *health.Health

	callbacks Callbacks
	tail      tail // of the feed, for streams

	mu   sync.Mutex
	seen map[string]time.Time // when an agent's last sign of life was passed on
}

// New makes a board over a store. A store that has none gets a workspace, whose
// owner is the user at this machine.
func New(ctx context.Context, cfg Config) (*API, error) {
	a := &API{store: cfg.Store, bell: cfg.Bell, log: cfg.Log, live: cfg.Live, build: cfg.Build, callbacks: cfg.Callbacks, spend: cfg.Spend, told: cfg.Notices, quiet: cfg.Health, seen: map[string]time.Time{}}
	if cfg.Board.Times == nil {
		cfg.Board.Times = times
	}
	var err error
	if a.board, err = control.New(cfg.Store, a.bell, cfg.Board); err != nil {
		return nil, err
	}
	if a.spend != nil {
		a.spend.Connect(a.board)
	}
	if a.told != nil {
		a.told.Connect(a.board)
	}
	if a.quiet != nil {
		a.quiet.Connect(a.board)
	}
	cfg.Auth.Store, cfg.Auth.Write, cfg.Auth.Board, cfg.Auth.Workspace = cfg.Store, a.bell, a.board, workspace
	if cfg.Auth.Log == nil {
		cfg.Auth.Log = cfg.Log
	}
	if cfg.Auth.Owner, err = a.owner(ctx); err != nil {
		return nil, err
	}
	a.auth = auth.New(cfg.Auth)
	return a, nil
}

// owner is the id of the user whom somebody at this machine is without sign-in:
// the one that was made with the workspace, or its first owner.
func (a *API) owner(ctx context.Context) (string, error) {
	c := control.Call{Workspace: workspace, By: control.System, At: time.Now()}
	u, err := a.board.User(ctx, c, auth.LocalUser)
	if err == nil && u.Role == control.Owner && !u.Removed {
		return u.ID, nil
	}
	if err != nil && !control.Is(err, control.NotFound) {
		return "", err
	}
	page := control.Page{}
	for {
		users, next, err := a.board.Users(ctx, c, page)
		if err != nil {
			return "", err
		}
		for _, u := range users {
			if u.Role == control.Owner {
				return u.ID, nil
			}
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	_, u, err = a.board.CreateWorkspace(ctx, c, "Local", auth.LocalUser)
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

// Board is what the API is a door to.
func (a *API) Board() *control.Board { return a.board }

// Run does what becomes due on the board, when it does, until ctx ends.
func (a *API) Run(ctx context.Context) error {
	const (
		apart   = 100 * time.Millisecond // what happens in a burst is looked at once
		longest = time.Minute            // reviews are looked through now and then
	)
	for {
		rings := a.bell.Next()
		wait := longest
		swept, err := a.board.Sweep(ctx, time.Now())
		if swept.Done > 0 {
			a.bell.Ring() // a wakeup whose back-off is over is no event
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			a.log.Error("the board could not be swept; it is tried again", "error", err)
			wait, rings = 5*time.Second, nil
		case !swept.Next.IsZero():
			wait = min(time.Until(swept.Next), longest)
		}
		if !sleep(ctx, apart, nil) || !sleep(ctx, wait-apart, rings) {
			return nil
		}
	}
}

// sleep waits for a time or until early is closed. It is false when ctx has
// ended.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// request is a call of somebody known.
type request struct {
	*http.Request
	a    *API
	who  *auth.Principal
	call control.Call
}

// agent is the id of the agent that calls, "" for a person.
func (r *request) agent() string {
	if kind, id := r.call.By.Split(); kind == "agent" {
		return id
	}
	return ""
}

// people refuses agents.
func (r *request) people() error {
	if r.agent() != "" {
		return &rest.Error{Status: http.StatusForbidden, Code: string(control.Forbidden), Message: "That is for people; an agent's key does not do."}
	}
	return nil
}

// lease is the secret of a lease: in a header, or in the body.
func (r *request) lease(body string) string {
	if body != "" {
		return body
	}
	return r.Header.Get("X-Lockstep-Lease")
}

// query returns the parameters, of which only those may be there.
func (r *request) query(names ...string) (map[string]string, error) {
	got := map[string]string{}
	for name, values := range r.URL.Query() {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			return nil, rest.Invalid("There is no parameter %q here; there are %s.", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return nil, rest.Invalid("The parameter %q is given twice.", name)
		}
		got[name] = values[0]
	}
	return got, nil
}

// read reads the body into a new T. An empty one is an object without members.
func read[T any](r *request) (in T, err error) {
	if r.ContentLength == 0 {
		return in, nil
	}
	return in, rest.Read(r.Request, &in)
}

// Identify finds out who calls, for doors beside this one, see auth.Identify. Its
// errors are answers, see rest.Fail.
func (a *API) Identify(r *http.Request) (control.Call, error) {
	q, err := a.identify(r)
	if err != nil {
		return control.Call{}, a.said(r, err)
	}
	return q.call, nil
}

// Auth is who knows the callers.
func (a *API) Auth() *auth.Auth { return a.auth }

// identify finds out who calls and how.
func (a *API) identify(r *http.Request) (*request, error) {
	p, err := a.auth.Identify(r)
	if err != nil {
		return nil, err
	}
	q := &request{Request: r, a: a, who: p, call: p.Call(workspace, time.Now())}
	if agent := q.agent(); agent != "" {
		if err := a.alive(r.Context(), q.call, agent); err != nil {
			return nil, err
		}
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if len(key) > 200 {
			return nil, rest.Invalid("An Idempotency-Key has at most 200 bytes.")
		}
		q.call.Key = r.Method + " " + r.URL.Path + " " + key
	}
	if match := r.Header.Get("If-Match"); match != "" && match != "*" {
		v, err := strconv.ParseInt(strings.Trim(match, `"`), 10, 64)
		if err != nil || v <= 0 {
			return nil, rest.Invalid(`If-Match is the version that was seen, such as "3".`)
		}
		q.call.Version = v
	}
	return q, nil
}

// alive passes a sign of life on, unless it has just done so.
func (a *API) alive(ctx context.Context, c control.Call, agent string) error {
	a.mu.Lock()
	recent := c.At.Sub(a.seen[agent]) < 15*time.Second
	a.mu.Unlock()
	if recent {
		return nil
	}
	if err := a.board.Signal(ctx, c); err != nil {
		return err
	}
	a.mu.Lock()
	a.seen[agent] = c.At
	a.mu.Unlock()
	return nil
}

// serve makes a handler of what a known caller is answered with.
func (a *API) serve(do func(r *request) (any, error)) http.Handler {
	return rest.Local(rest.Handle(func(r *http.Request) (any, error) {
		q, err := a.identify(r)
		if err != nil {
			return nil, a.said(r, err)
		}
		v, err := do(q)
		if err != nil {
			return nil, a.said(r, err)
		}
		return tagged(v), nil
	}))
}

// said turns the board's refusals into answers, and logs what is none.
func (a *API) said(r *http.Request, err error) error {
	if r.Context().Err() != nil {
		return err // for nobody
	}
	var refused *control.Error
	var known *rest.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &rest.Error{Status: refused.Code.Status(), Code: string(refused.Code), Message: rest.Sentence(refused.Message), Details: refused.Details}
	case errors.As(err, &known), errors.Is(err, store.ErrNotFound):
		return err
	}
	a.log.Error("a call of the board failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return err
}
