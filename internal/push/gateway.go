package push

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
)

// rpc calls a method of the gateway, by its plugin admin-http-rpc, which has to
// be on.
func (p *Pusher) rpc(ctx context.Context, to Connection, token, method string, params, out any) error {
	body, err := json.Marshal(map[string]any{"method": method, "params": params})
	if err != nil {
		return err
	}
	return p.gateway(ctx, to, token, "/api/v1/admin/rpc", body, "payload", out)
}

// gateway makes a call with the gateway's own token and reads a member of the
// answer.
func (p *Pusher) gateway(ctx context.Context, to Connection, token, path string, body []byte, member string, out any) error {
	answer, err := p.post(ctx, to, strings.TrimSuffix(to.URL, "/")+path, body, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return err
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(answer, &got); err != nil || got[member] == nil {
		return fmt.Errorf("%s%s: the answer is not a gateway's", to.host(), path)
	}
	return json.Unmarshal(got[member], out)
}

// abort stops the turn of a task that nobody wants any more. Where the gateway
// does not let it, the agent hears of it by its next call.
func (p *Pusher) abort(ctx context.Context, to Connection, s Secrets, h hook) {
	if s.GatewayToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := func() error {
		var list struct {
			Tasks []struct {
				ID         string `json:"id"`
				TaskID     string `json:"taskId"`
				Status     string `json:"status"`
				SessionKey string `json:"sessionKey"`
				Child      string `json:"childSessionKey"`
			} `json:"tasks"`
		}
		if err := p.rpc(ctx, to, s.GatewayToken, "tasks.list", map[string]any{}, &list); err != nil {
			return err
		}
		for _, t := range list.Tasks {
			if strings.EqualFold(cmp.Or(t.Child, t.SessionKey), h.SessionKey) && (t.Status == "running" || t.Status == "queued") {
				return p.rpc(ctx, to, s.GatewayToken, "tasks.cancel", map[string]any{"taskId": cmp.Or(t.TaskID, t.ID)}, new(any))
			}
		}
		return nil
	}()
	if err != nil {
		p.cfg.Log.Warn("a turn could not be stopped; its agent hears of it by its next call", "session", h.SessionKey, "reason", said(err))
	}
}

// Found is an agent of a gateway.
type Found struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// Discover asks an OpenClaw gateway for its agents, with the gateway's token: by
// the plugin admin-http-rpc if that is on, else as a tool call, else by its list
// of models. The errors are for people.
func (p *Pusher) Discover(ctx context.Context, to Connection, token string) (all []Found, err error) {
	if err := to.Allowed(p.cfg.Policy); err != nil {
		return nil, &Invalid{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var listed struct {
		DefaultID string  `json:"defaultId"`
		Agents    []Found `json:"agents"`
	}
	err = p.rpc(ctx, to, token, "agents.list", map[string]any{}, &listed)
	if err == nil {
		for i := range listed.Agents {
			listed.Agents[i].Default = listed.Agents[i].ID == listed.DefaultID
		}
		return listed.Agents, nil
	}
	var tool struct {
		Details struct {
			Agents []Found `json:"agents"`
		} `json:"details"`
	}
	err2 := p.gateway(ctx, to, token, "/tools/invoke", []byte(`{"tool":"agents_list","args":{}}`), "result", &tool)
	if err2 == nil && len(tool.Details.Agents) > 0 {
		return tool.Details.Agents, nil
	}
	return nil, &Invalid{fmt.Errorf("%s does not list its agents: %s. Is the token the gateway's own (gateway.auth.token)?", to.host(), said(err))}
}

// probe looks from time to time whether the endpoints of agents are there, which
// is a sign of life of those who only work when they are woken. It costs them no
// tokens.
func (p *Pusher) probe(ctx context.Context) {
	for {
		agents, err := p.cfg.Board.Pushed(ctx)
		if err != nil && ctx.Err() == nil {
			p.cfg.Log.Error("agents cannot be probed now", "error", err)
		}
		p.ask(ctx, agents)
		if !pause(ctx, probeEvery, nil, nil) {
			return
		}
	}
}

// ask probes the endpoints of agents, each once and some at a time.
func (p *Pusher) ask(ctx context.Context, agents []*control.Agent) {
	type endpoint struct{ runtime, url string }
	at := map[endpoint][]*control.Agent{}
	for _, a := range agents {
		if to, err := parse(a); err == nil && a.Admin == control.Active {
			e := endpoint{a.Runtime, to.URL}
			at[e] = append(at[e], a)
		}
	}
	places := make(chan struct{}, mostPerHost)
	var all sync.WaitGroup
	defer all.Wait()
	for e, agents := range at {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			to, err := parse(agents[0])
			if err != nil || !p.reaches(ctx, e.runtime, to) {
				return
			}
			for _, a := range agents {
				if err := p.sign(ctx, a); err != nil && ctx.Err() == nil {
					p.cfg.Log.Error("a sign of life could not be kept", "agent", a.Slug, "error", err)
				}
			}
		})
	}
}

// probeEvery is the board's heartbeat interval.
const probeEvery = time.Minute

// reaches reports whether an endpoint answers: a gateway that it is well, another
// anything but a failure of its own.
func (p *Pusher) reaches(ctx context.Context, runtime string, to Connection) bool {
	c, err := p.client(to)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	u, err := url.Parse(to.URL)
	if err != nil {
		return false
	}
	if runtime == "openclaw" {
		u.Path = "/health"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "lockstep")
	res, err := c.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if runtime == "openclaw" {
		return res.StatusCode == http.StatusOK
	}
	return res.StatusCode < 500
}
