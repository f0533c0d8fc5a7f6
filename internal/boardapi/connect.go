package boardapi

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/lockstep-run/lockstep/internal/connect"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/push"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Connects gives the API what delivers wakeups, and the address that kits tell
// agents. Call it before Register; without it agents fetch their wakeups.
func (a *API) Connects(p *push.Pusher, url func() string) { a.push, a.url = p, url }

// registerConnect adds how agents are reached.
func (a *API) registerConnect(handle func(string, func(*request) (any, error))) {
	if a.push == nil {
		return
	}
	handle("PUT /api/v1/agents/{agent}/connection", a.putConnection)
	handle("POST /api/v1/agents/{agent}/connect-kit", a.connectKit)
	handle("POST /api/v1/agents/discover", a.discover)
}

type connectionBody struct {
	Runtime        string `json:"runtime,omitempty"`
	URL            string `json:"url,omitempty"`
	AgentID        string `json:"agent_id,omitempty"`
	MCPEntry       string `json:"mcp_entry,omitempty"`
	HooksPath      string `json:"hooks_path,omitempty"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty"`
	AllowPrivate   bool   `json:"allow_private,omitempty"`
	Token          string `json:"token,omitempty"`
	GatewayToken   string `json:"gateway_token,omitempty"`
	SigningSecret  string `json:"signing_secret,omitempty"`
}

// putConnection says how an agent is reached. Its secrets are written and never
// shown; those left out stay.
func (a *API) putConnection(r *request) (any, error) {
	in, err := read[connectionBody](r)
	if err != nil {
		return nil, err
	}
	agent, err := r.managed()
	if err != nil {
		return nil, err
	}
	to := push.Connection{URL: in.URL, AgentID: in.AgentID, MCPEntry: in.MCPEntry, HooksPath: in.HooksPath, TurnTime: in.TimeoutSeconds}
	if in.AllowPrivate {
		to.Private = push.HostPort(in.URL)
	}
	var made string
	err = a.bell.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		var err error
		agent, made, err = a.push.Put(ctx, tx, r.call, agent, cmp.Or(in.Runtime, agent.Runtime), to, push.Secrets{Token: in.Token, GatewayToken: in.GatewayToken, Signing: in.SigningSecret})
		return err
	})
	if err != nil {
		return nil, invalidConnection(err)
	}
	answer := map[string]any{"agent": agent}
	if made != "" {
		answer["signing_secret"] = made // this once
	}
	return answer, nil
}

type kitBody struct {
	Runtime      string `json:"runtime,omitempty"` // the agent's unless said
	URL          string `json:"url,omitempty"`     // where it is woken: of OpenClaw the gateway
	AllowPrivate bool   `json:"allow_private,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	MCPEntry     string `json:"mcp_entry,omitempty"`
	GatewayToken string `json:"gateway_token,omitempty"`
}

// connectKit makes a key for an agent, says how the agent is reached if an address
// is given, and answers with the files and commands that connect it.
func (a *API) connectKit(r *request) (any, error) {
	in, err := read[kitBody](r)
	if err != nil {
		return nil, err
	}
	agent, err := r.managed()
	if err != nil {
		return nil, err
	}
	runtime := cmp.Or(in.Runtime, agent.Runtime)
	kit := connect.In{Runtime: runtime, Agent: agent.Slug, URL: a.url(), Hook: in.URL, Entry: in.MCPEntry, AgentID: cmp.Or(in.AgentID, agent.Slug)}
	if _, err := connect.Make(kit); err != nil {
		return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
	}
	key, record, err := makeKey(r, agent)
	if err != nil {
		return nil, err
	}
	err = a.bell.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := r.keepKey(ctx, tx, agent, key, record); err != nil || in.URL == "" {
			return err
		}
		return a.reach(ctx, tx, r, agent, push.Connection{URL: in.URL, AgentID: in.AgentID, MCPEntry: in.MCPEntry}, in.AllowPrivate, in.GatewayToken, &kit)
	})
	if err != nil {
		return nil, invalidConnection(err)
	}
	kit.Key = key.Key
	return connect.Make(kit)
}

// reach has an agent be woken at an address, and puts into its kit what both
// sides need for that.
func (a *API) reach(ctx context.Context, tx store.Tx, r *request, agent *control.Agent, to push.Connection, private bool, gatewayToken string, kit *connect.In) error {
	if private {
		to.Private = push.HostPort(to.URL)
	}
	var s push.Secrets
	if kit.Runtime == "openclaw" {
		neighbours, token, err := a.push.Neighbours(ctx, tx, workspace, to.URL)
		if err != nil {
			return err
		}
		delete(neighbours, kit.AgentID)
		if to.MCPEntry == "" && len(neighbours) > 0 {
			to.MCPEntry = "board_" + strings.NewReplacer(".", "_", "-", "_").Replace(agent.Slug)
		}
		kit.Entry = cmp.Or(to.MCPEntry, "board")
		neighbours[kit.AgentID], kit.Neighbours = kit.Entry, neighbours
		s = push.Secrets{Token: token, GatewayToken: gatewayToken}
		if token == "" {
			s.Token = push.NewSecret()
			kit.Token = s.Token // the gateway's from now on
		}
	}
	_, made, err := a.push.Put(ctx, tx, r.call, agent, kit.Runtime, to, s)
	kit.Secret = made
	return err
}

func invalidConnection(err error) error {
	var wrong *push.Invalid
	if !errors.As(err, &wrong) {
		return err
	}
	text := rest.Sentence(wrong.Error())
	if strings.Contains(text, "does not connect to") {
		text = rest.Sentence(strings.Split(wrong.Error(), ". If it is meant to")[0]) + " An owner may allow it for this host and port: allow_private."
	}
	return rest.Invalid("%s", text)
}

// imported is an agent of a gateway that is to be registered here.
type imported struct {
	ID   string `json:"id"`             // at the gateway
	Slug string `json:"slug,omitempty"` // here; the id unless said
	Name string `json:"name,omitempty"`
	MCP  string `json:"mcp_entry,omitempty"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// discovered is an agent that a gateway has.
type discovered struct {
	push.Found
	Slug  string   `json:"slug,omitempty"`  // of an agent here that is reached there
	Error *failure `json:"error,omitempty"` // why it could not be imported
}

type discoverBody struct {
	URL          string     `json:"url"`
	GatewayToken string     `json:"gateway_token"`
	Token        string     `json:"token,omitempty"` // hooks.token, for those that are imported
	AllowPrivate bool       `json:"allow_private,omitempty"`
	Projects     []string   `json:"projects,omitempty"`
	Import       []imported `json:"import,omitempty"`
}

// discover asks an OpenClaw gateway for its agents. Those that are named in
// import are registered and connected.
func (a *API) discover(r *request) (any, error) {
	in, err := read[discoverBody](r)
	if err != nil {
		return nil, err
	}
	if err := r.people(); err != nil {
		return nil, err
	}
	if in.URL == "" || in.GatewayToken == "" {
		return nil, rest.Invalid("url is the gateway's address and gateway_token what gateway.auth.token is in its configuration.")
	}
	to := push.Connection{URL: in.URL}
	if in.AllowPrivate {
		to.Private = push.HostPort(in.URL)
	}
	if err := to.Check("http", push.Secrets{GatewayToken: in.GatewayToken}); err != nil {
		return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
	}
	if err := a.board.MayConnect(r.Context(), r.call, in.AllowPrivate); err != nil {
		return nil, err
	}
	found, err := a.push.Discover(r.Context(), to, in.GatewayToken)
	if err != nil {
		return nil, invalidConnection(err)
	}
	known, err := a.slugsAt(r.Context(), to.URL)
	if err != nil {
		return nil, err
	}
	rows := make([]discovered, len(found))
	for i, f := range found {
		rows[i] = discovered{Found: f, Slug: known[f.ID]}
		for _, p := range in.Import {
			if p.ID != f.ID || rows[i].Slug != "" {
				continue
			}
			slug := cmp.Or(p.Slug, strings.ToLower(p.ID))
			at := to
			at.AgentID, at.MCPEntry = f.ID, p.MCP
			err := a.bell.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
				agent, err := a.board.In(tx).CreateAgent(ctx, r.call, control.NewAgent{Slug: slug, Name: cmp.Or(p.Name, f.Name), Projects: in.Projects, Runtime: "openclaw"})
				if err != nil {
					return err
				}
				_, _, err = a.push.Put(ctx, tx, r.call, agent, "openclaw", at, push.Secrets{Token: in.Token, GatewayToken: in.GatewayToken})
				return err
			})
			if err != nil {
				var no *rest.Error
				if err = a.said(r.Request, invalidConnection(err)); !errors.As(err, &no) {
					return nil, err
				}
				rows[i].Error = &failure{no.Code, no.Message}
				continue
			}
			rows[i].Slug = slug
		}
	}
	return map[string]any{"agents": rows}, nil
}

// slugsAt lists the agents that are reached at a gateway, by their ids there.
func (a *API) slugsAt(ctx context.Context, url string) (map[string]string, error) {
	agents, err := a.board.Pushed(ctx)
	known := map[string]string{}
	for _, agent := range agents {
		if id, ok := push.At(agent, url); ok && agent.Workspace == workspace {
			known[id] = agent.Slug
		}
	}
	return known, err
}
