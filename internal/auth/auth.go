// Package auth says who calls and what they may.
//
// The one idea: a Gate stands before everything a server answers. It finds the
// principal of a request, by a session's cookie, a key or an AWS signature, asks
// one table whether it may come to this door, and passes the request on with the
// principal in its context. What may be done on the board is the board's to say;
// the table says it for all else.
//
// Secrets are kept as hashes. The one exception are those of access keys, which a
// signature cannot be checked without: they are sealed with the master key.
package auth

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/seal"
)

// Right is something that principals may do.
type Right string

// The rights. Each but Own may also be the scope of a service key.
const (
	Read     Right = "read"     // see everything but settings
	Comment  Right = "comment"  // comment on tasks and create them
	Edit     Right = "edit"     // assign, change and cancel any task
	Review   Right = "review"   // decide reviews
	Manage   Right = "manage"   // agents, keys, budgets, webhooks, connections, triggers
	Start    Right = "start"    // start, stop and redrive executions, answer their tasks
	Machines Right = "machines" // create, change and delete state machines and activities
	Own      Right = "own"      // users, settings, the audit log

	Usage   Right = "usage"   // report what models were used for; a scope, people need Comment
	Metrics Right = "metrics" // read /metrics; a scope, people need Read
)

// Scopes are the rights that service keys can be given.
var Scopes = []Right{Read, Comment, Edit, Review, Manage, Start, Machines, Usage, Metrics}

// of says what the roles may.
var of = map[control.Role][]Right{
	control.Viewer:   {Read},
	control.Member:   {Read, Comment, Review, Start, Machines}, // of reviews those that name them
	control.Reviewer: {Read, Comment, Review},
	control.Admin:    {Read, Comment, Edit, Review, Manage, Start, Machines},
	control.Owner:    {Read, Comment, Edit, Review, Manage, Start, Machines, Own},
}

// Principal is who calls.
type Principal struct {
	Kind   Kind
	ID     string       // of the user, the agent or the service key
	Name   string       // of the user or the service key, or the agent's slug
	Role   control.Role // of a user, in the whole workspace
	Scopes []Right      // of a service key

	// Local: nobody has signed in; it is whoever sits at the machine of a
	// developer's server.
	Local bool

	session string // the hash of the session's secret, if there is one
	csrf    string // what the session's writes carry
}

// Kind is a kind of principal.
type Kind string

// The kinds.
const (
	User    Kind = "user"
	Agent   Kind = "agent"
	Service Kind = "service"
)

// May reports whether the principal has a right in the whole workspace. What an
// agent may is for the board to say: outside of it the answer is no.
func (p *Principal) May(r Right) bool {
	switch p.Kind {
	case User:
		switch r {
		case Usage:
			r = Comment
		case Metrics:
			r = Read
		}
		return slices.Contains(of[p.Role], r)
	case Service:
		return r != Own && slices.Contains(p.Scopes, r)
	}
	return false
}

// Party is the principal as the board knows it.
func (p *Principal) Party() control.Party {
	switch p.Kind {
	case Agent:
		return control.AgentParty(p.ID)
	case Service:
		return control.Service(p.ID)
	}
	return control.User(p.ID)
}

// Call is a call of the board by the principal.
func (p *Principal) Call(workspace string, at time.Time) control.Call {
	c := control.Call{Workspace: workspace, By: p.Party(), At: at}
	for _, s := range p.Scopes {
		c.Scopes = append(c.Scopes, string(s))
	}
	return c
}

type principalKey struct{}

// From is the principal that a Gate has found, nil if there is none.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

// With is ctx with a principal, for whoever is a gate of its own.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// Config is what Auth needs. Store, Write, Board, Workspace and Owner are always
// needed, Key wherever there is sign-in.
type Config struct {
	Store     control.Reader
	Write     control.Writer
	Board     *control.Board // whose users and agents they are
	Workspace string
	Owner     string // the id of the user that whoever is at the machine is, without SignIn

	// SignIn has everybody say who they are. Without it this is a server for
	// one developer: who calls from its machine is Owner.
	SignIn    bool
	PublicURL func() string // where people reach the server
	Key       *seal.Key
	Scheme    arn.Scheme
	Cost      Cost             // of hashing a password; the zero Cost: the usual one
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // gets no secrets
}

// Auth knows the principals. It is safe for concurrent use. Run keeps its books.
type Auth struct {
	cfg    Config
	hasher hasher
	tries  tries
	uses   chan use

	mu   sync.Mutex
	used map[string]time.Time // when a use of a secret was last passed on
}

// New makes an Auth.
func New(cfg Config) *Auth {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Cost == (Cost{}) {
		cfg.Cost = usualCost
	}
	if cfg.Scheme == (arn.Scheme{}) {
		cfg.Scheme = arn.Default
	}
	if cfg.PublicURL == nil {
		cfg.PublicURL = func() string { return "" }
	}
	return &Auth{cfg: cfg, hasher: newHasher(cfg.Cost), uses: make(chan use, 256), used: map[string]time.Time{}, tries: tries{of: map[string]*failures{}}}
}

// SignIn reports whether callers have to say who they are.
func (a *Auth) SignIn() bool { return a.cfg.SignIn }

func (a *Auth) system() control.Call {
	return control.Call{Workspace: a.cfg.Workspace, By: control.System, At: a.cfg.Now()}
}

// Names of headers and cookies.
const (
	AgentHeader   = "X-Lockstep-Agent" // names the calling agent on a developer's server
	CSRFHeader    = "X-Lockstep-CSRF"  // repeats the CSRF token on writes
	SessionCookie = "lockstep_session"
	CSRFCookie    = "lockstep_csrf" // pages read it
)

func refuse(status int, code, message string) *rest.Error {
	return &rest.Error{Status: status, Code: code, Message: message}
}

func unauthorized(text string) *rest.Error {
	return refuse(http.StatusUnauthorized, "unauthorized", text)
}

func forbidden(text string) *rest.Error {
	return refuse(http.StatusForbidden, string(control.Forbidden), text)
}

// Identify finds out who calls: the principal that a Gate has found already, else
// by Authorization: Bearer KEY, else by the session's cookie. Without sign-in
// whoever has none is the user at the machine, or the agent that X-Lockstep-Agent
// names. Its errors are *rest.Error where the caller is at fault.
func (a *Auth) Identify(r *http.Request) (*Principal, error) {
	if p := From(r.Context()); p != nil {
		return p, nil
	}
	ctx := r.Context()
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, key, _ := strings.Cut(auth, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, unauthorized("Send the key as Authorization: Bearer KEY.")
		}
		return a.byKey(ctx, strings.TrimSpace(key))
	}
	if !a.cfg.SignIn {
		if slug := r.Header.Get(AgentHeader); slug != "" {
			agent, err := a.cfg.Board.Agent(ctx, a.system(), slug)
			if control.Is(err, control.NotFound) {
				return nil, unauthorized("There is no agent of the name in " + AgentHeader + ". lockstep agent ls shows them.")
			}
			if err != nil {
				return nil, err
			}
			return agentPrincipal(agent)
		}
		p, err := a.user(ctx, a.cfg.Owner)
		if p != nil {
			p.Local = true
		}
		return p, err
	}
	p, err := a.bySession(r)
	if err != nil {
		return nil, err
	}
	if !reads(r.Method) && !sameText(r.Header.Get(CSRFHeader), p.csrf) {
		return nil, refuse(http.StatusForbidden, "csrf", "The header "+CSRFHeader+" must repeat the cookie "+CSRFCookie+".")
	}
	return p, nil
}

type anew struct{}

// Anew is a request that Identify looks at again: long answers ask now and then
// whether the caller may still have them. It is no use of a session.
func (a *Auth) Anew(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(With(r.Context(), nil), anew{}, true))
}

// reads reports whether a method changes nothing.
func reads(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// user is the principal of a user, who may have gone.
func (a *Auth) user(ctx context.Context, id string) (*Principal, error) {
	u, err := a.cfg.Board.User(ctx, a.system(), "user:"+id)
	if control.Is(err, control.NotFound) || err == nil && (u.Removed || u.ID != id) {
		return nil, unauthorized("The user is not there any more.")
	}
	if err != nil {
		return nil, err
	}
	return &Principal{Kind: User, ID: u.ID, Name: u.Name, Role: u.Role}, nil
}

func agentPrincipal(agent *control.Agent) (*Principal, error) {
	if agent.Admin == control.Retired {
		return nil, unauthorized("The agent of this key is retired.")
	}
	return &Principal{Kind: Agent, ID: agent.ID, Name: agent.Slug}, nil
}
