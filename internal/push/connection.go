package push

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/egress"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Connection is how an agent is reached, as control.Agent.Connection has it. It
// holds no secrets.
type Connection struct {
	// URL is what is called: of an http or custom agent the address that takes
	// wakeups, of an OpenClaw agent its gateway. "": wakeups are fetched.
	URL string `json:"url,omitempty"`
	// Private is the host:port of URL where an owner has confirmed that it may be
	// on this machine or a private network; "": it is public.
	Private string `json:"private,omitempty"`

	AgentID   string `json:"agent_id,omitempty"`        // what OpenClaw calls the agent; "": its slug
	MCPEntry  string `json:"mcp_entry,omitempty"`       // what the agent's runtime calls this server; "": board
	HooksPath string `json:"hooks_path,omitempty"`      // of the gateway; "": /hooks
	TurnTime  int    `json:"timeout_seconds,omitempty"` // of a turn at the gateway; 0: an hour

	// Secrets names those that are kept.
	Secrets []string `json:"secrets,omitempty"`
}

// Secrets are what a connection needs and nobody is shown.
type Secrets struct {
	Token        string `json:"token,omitempty"`          // OpenClaw's hooks.token
	GatewayToken string `json:"gateway_token,omitempty"`  // OpenClaw's gateway.auth.token: to find agents and to stop runs
	Signing      string `json:"signing_secret,omitempty"` // of signed wakeups
}

// names lists which secrets are there.
func (s Secrets) names() (all []string) {
	for _, it := range []struct{ name, secret string }{{"token", s.Token}, {"gateway_token", s.GatewayToken}, {"signing_secret", s.Signing}} {
		if it.secret != "" {
			all = append(all, it.name)
		}
	}
	return all
}

// NewSecret makes a secret that signs wakeups.
func NewSecret() string {
	var b [24]byte
	rand.Read(b[:])
	return "lsw_" + base64.RawURLEncoding.EncodeToString(b[:])
}

var (
	entryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)
	agentForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	pathForm  = regexp.MustCompile(`^/[A-Za-z0-9/_-]{1,64}$`)
)

// Check says what is wrong with a connection of a runtime, nil if it can be kept.
// It makes none.
func (c *Connection) Check(runtime string, s Secrets) error {
	for _, text := range []string{s.Token, s.GatewayToken, s.Signing} {
		if len(text) > 500 || strings.ContainsAny(text, "\r\n\x00") {
			return errors.New("a secret is longer than 500 bytes, or has more than one line")
		}
	}
	switch {
	case c.MCPEntry != "" && !entryForm.MatchString(c.MCPEntry):
		return errors.New("mcp_entry is a word of letters, digits, _ and -")
	case c.AgentID != "" && !agentForm.MatchString(c.AgentID):
		return errors.New("agent_id is a word of letters, digits, _ and -")
	case c.HooksPath != "" && !pathForm.MatchString(c.HooksPath):
		return errors.New("hooks_path is a path such as /hooks")
	case c.TurnTime < 0 || c.TurnTime > 7*24*3600:
		return errors.New("timeout_seconds is from 0 to a week")
	case c.URL == "":
		return nil
	case runtime != "openclaw" && runtime != "http" && runtime != "custom":
		return fmt.Errorf("an agent of the runtime %s fetches its wakeups: leave url out, and run lockstep agent run beside it", runtime)
	case runtime == "openclaw" && s.Token == "":
		return errors.New("token is missing: what hooks.token is in the gateway's configuration")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url is an address such as https://agents.example.com/wake, without a user name")
	}
	if runtime == "openclaw" && (u.RawQuery != "" || strings.Trim(u.Path, "/") != "") {
		return errors.New("url is the gateway's address without a path, such as http://127.0.0.1:18789")
	}
	return nil
}

// Allowed says whether a policy lets a connection go where its URL leads, as far
// as that can be told without calling.
func (c *Connection) Allowed(p *egress.Policy) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	if c.Private != "" {
		if p, err = egress.New(egress.Config{Allow: []string{c.Private}}); err != nil {
			return err
		}
	}
	return p.Check(u)
}

// HostPort is the host and port of a URL, "" of one that has none.
func HostPort(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func (c *Connection) host() string { return HostPort(c.URL) }

// parse reads how an agent is reached.
func parse(a *control.Agent) (c Connection, err error) {
	if len(a.Connection) > 0 {
		err = json.Unmarshal(a.Connection, &c)
	}
	if err != nil || c.URL == "" {
		return c, fmt.Errorf("it is not known how @%s is reached: save its connection again", a.Slug)
	}
	return c, nil
}

// secretKind is the kind of the records with agents' secrets; the id is the
// agent's.
const secretKind = "agent_secret"

// kept is what only Put writes: a connection itself may be changed by who may
// change the agent, who then neither gets its secrets sent elsewhere nor reaches
// what only an owner opens.
type kept struct {
	Sealed  []byte `json:"sealed"`
	Host    string `json:"host"` // host:port that the secrets are for
	Private bool   `json:"private,omitempty"`
}

func sealName(agent string) string { return "agent/" + agent }

// reach reads how an agent is reached, and its secrets for that. They go nowhere
// but to the host that they were entered for.
func (p *Pusher) reach(ctx context.Context, a *control.Agent) (to Connection, s Secrets, err error) {
	if to, err = parse(a); err != nil {
		return to, s, err
	}
	s, k, err := p.secrets(ctx, p.cfg.Store, a.ID)
	if err != nil {
		return to, s, err
	}
	if host := to.host(); k.Host != host {
		return to, s, fmt.Errorf("the connection leads to %s since it was saved: save it again with its secrets", host)
	}
	to.Private = ""
	if k.Private {
		to.Private = k.Host
	}
	return to, s, nil
}

func (p *Pusher) secrets(ctx context.Context, from interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
}, agent string) (s Secrets, k kept, err error) {
	r, err := from.Record(ctx, secretKind, agent)
	if errors.Is(err, store.ErrNotFound) {
		return s, k, nil
	}
	if err != nil {
		return s, k, err
	}
	if err := json.Unmarshal(r.Data, &k); err != nil {
		return s, k, err
	}
	plain, err := p.cfg.Key.Open(sealName(agent), k.Sealed)
	if err != nil {
		return s, k, fmt.Errorf("the secrets of the agent's connection: %w", err)
	}
	return s, k, json.Unmarshal(plain, &s)
}

// Put keeps a connection with its secrets within a transaction. Secrets that are
// left out stay, as long as the host is the same; an agent that is woken by signed calls gets a secret for that,
// which Put returns, once, if it has none. The errors of a connection that cannot
// be kept are *Invalid.
func (p *Pusher) Put(ctx context.Context, tx store.Tx, c control.Call, a *control.Agent, runtime string, to Connection, s Secrets) (agent *control.Agent, made string, err error) {
	old, was, err := p.secrets(ctx, tx, a.ID)
	if err != nil || was.Host != to.host() {
		old = Secrets{} // what cannot be opened, or was for another host, is entered anew
	}
	for _, it := range []struct {
		now *string
		was string
	}{{&s.Token, old.Token}, {&s.GatewayToken, old.GatewayToken}, {&s.Signing, old.Signing}} {
		if *it.now == "" {
			*it.now = it.was
		}
	}
	if to.URL != "" && runtime != "openclaw" && s.Signing == "" {
		made = NewSecret()
		s.Signing = made
	}
	if err := to.Check(runtime, s); err != nil {
		return nil, "", &Invalid{err}
	}
	if to.URL != "" {
		if err := to.Allowed(p.cfg.Policy); err != nil {
			return nil, "", &Invalid{err}
		}
	}
	to.Secrets = s.names()
	shown, err := json.Marshal(to)
	if err != nil {
		return nil, "", err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, "", err
	}
	k := kept{Host: to.host(), Private: to.Private != ""}
	if k.Sealed, err = p.cfg.Key.Seal(sealName(a.ID), plain); err != nil {
		return nil, "", err
	}
	data, err := json.Marshal(k)
	if err != nil {
		return nil, "", err
	}
	r := store.Record{Kind: secretKind, ID: a.ID, Data: data}
	if was, err := tx.Record(ctx, secretKind, a.ID); err == nil {
		r.Version = was.Version
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, "", err
	}
	if err := tx.SaveRecord(ctx, r); err != nil {
		return nil, "", err
	}
	agent, err = p.cfg.Board.In(tx).Connect(ctx, c, a.ID, control.Reach{Runtime: runtime, Connection: shown, Push: to.URL != "", Private: to.Private != ""})
	return agent, made, err
}

// Invalid is the error of a connection that cannot be kept.
type Invalid struct{ Err error }

// Error says what is wrong with it.
func (e *Invalid) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *Invalid) Unwrap() error { return e.Err }

// At reports whether an agent is reached at a gateway, and what it is called
// there.
func At(a *control.Agent, gateway string) (id string, ok bool) {
	c, err := parse(a)
	if err != nil || a.Runtime != "openclaw" || strings.TrimSuffix(c.URL, "/") != strings.TrimSuffix(gateway, "/") {
		return "", false
	}
	if c.AgentID == "" {
		return a.Slug, true
	}
	return c.AgentID, true
}

// Neighbours lists the agents of a workspace that are reached at a gateway, by
// their ids there, with what each calls this server; and the gateway's hook
// token, "" if none of them has one.
func (p *Pusher) Neighbours(ctx context.Context, tx store.Tx, workspace, gateway string) (entries map[string]string, token string, err error) {
	agents, err := p.cfg.Board.In(tx).Pushed(ctx)
	if err != nil {
		return nil, "", err
	}
	entries = map[string]string{}
	for _, a := range agents {
		id, ok := At(a, gateway)
		if !ok || a.Workspace != workspace {
			continue
		}
		c, err := parse(a)
		if err != nil {
			return nil, "", err
		}
		entries[id] = cmp.Or(c.MCPEntry, "board")
		// What cannot be opened is entered anew.
		if s, k, err := p.secrets(ctx, tx, a.ID); err == nil && token == "" && k.Host == c.host() {
			token = s.Token
		}
	}
	return entries, token, nil
}
