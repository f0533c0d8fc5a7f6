package push

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/lockstep-run/lockstep/internal/control"
)

// session is a talk with a gateway over its WebSocket: requests with answers,
// and events, which are passed over.
type session struct {
	conn    *websocket.Conn
	last    int
	methods []string
}

// frame is what goes either way.
type frame struct {
	Type    string          `json:"type"` // req, res or event
	ID      string          `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Event   string          `json:"event,omitempty"`
	Params  any             `json:"params,omitempty"`
	OK      bool            `json:"ok,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Error   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// dial begins a talk with a gateway, with its own token. Close it.
func (p *Pusher) dial(ctx context.Context, to Connection, token string) (*session, error) {
	c, err := p.client(to)
	if err != nil {
		return nil, err
	}
	conn, res, err := websocket.Dial(ctx, strings.TrimSuffix(to.URL, "/")+"/", &websocket.DialOptions{HTTPClient: c})
	if res != nil && res.Body != nil && err != nil {
		res.Body.Close()
	}
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("%s is no OpenClaw gateway: it answered %s", to.host(), res.Status)
		}
		return nil, err
	}
	conn.SetReadLimit(16 << 20) // the welcome has all that a gateway can do
	s := &session{conn: conn}
	if err := s.hello(ctx, token); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", to.host(), err)
	}
	return s, nil
}

// hello introduces this server. Which protocol is spoken the gateway chooses out
// of a range, since a number of its own would end with its next release.
func (s *session) hello(ctx context.Context, token string) error {
	for {
		f, err := s.read(ctx)
		if err != nil {
			return err
		}
		if f.Event == "connect.challenge" {
			break
		}
	}
	var welcome struct {
		Features struct {
			Methods []string `json:"methods"`
		} `json:"features"`
	}
	err := s.call(ctx, "connect", map[string]any{
		"minProtocol": 3, "maxProtocol": 9,
		"client": map[string]any{"id": "gateway-client", "version": "1", "platform": "server", "mode": "backend"},
		"role":   "operator", "scopes": []string{"operator.read", "operator.write"},
		"auth": map[string]any{"token": token},
	}, &welcome)
	s.methods = welcome.Features.Methods
	return err
}

func (s *session) read(ctx context.Context) (f frame, err error) {
	_, text, err := s.conn.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("what it says is not a gateway's: %w", err)
	}
	return f, nil
}

// call makes a request and reads its answer into out.
func (s *session) call(ctx context.Context, method string, params, out any) error {
	if len(s.methods) > 0 && !slices.Contains(s.methods, method) {
		return fmt.Errorf("the gateway has no %s", method)
	}
	s.last++
	id := strconv.Itoa(s.last)
	text, err := json.Marshal(frame{Type: "req", ID: id, Method: method, Params: params})
	if err != nil {
		return err
	}
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return err
	}
	for {
		f, err := s.read(ctx)
		if err != nil {
			return err
		}
		if f.Type != "res" || f.ID != id {
			continue
		}
		if !f.OK {
			if f.Error != nil {
				return fmt.Errorf("the gateway refuses %s: %s", method, cmp.Or(f.Error.Message, f.Error.Code))
			}
			return fmt.Errorf("the gateway refuses %s", method)
		}
		return json.Unmarshal(f.Payload, out)
	}
}

// Close ends the talk.
func (s *session) Close() { _ = s.conn.CloseNow() }

// abort stops the turn of a task that nobody wants any more. Without the
// gateway's own token it cannot; the agent then hears of it by its next call.
func (p *Pusher) abort(ctx context.Context, to Connection, s Secrets, h hook) {
	if s.GatewayToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := func() error {
		talk, err := p.dial(ctx, to, s.GatewayToken)
		if err != nil {
			return err
		}
		defer talk.Close()
		return talk.call(ctx, "sessions.abort", map[string]any{"key": h.SessionKey}, new(any))
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

// Discover asks an OpenClaw gateway for its agents, with the gateway's own token.
// The errors are for people.
func (p *Pusher) Discover(ctx context.Context, to Connection, token string) ([]Found, error) {
	if err := to.Allowed(p.cfg.Policy); err != nil {
		return nil, &Invalid{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var listed struct {
		DefaultID string  `json:"defaultId"`
		Agents    []Found `json:"agents"`
	}
	talk, err := p.dial(ctx, to, token)
	if err == nil {
		defer talk.Close()
		err = talk.call(ctx, "agents.list", map[string]any{}, &listed)
	}
	if err != nil {
		return nil, &Invalid{fmt.Errorf("%s. The token is to be the gateway's own, gateway.auth.token", strings.TrimSuffix(said(err), "."))}
	}
	for i := range listed.Agents {
		listed.Agents[i].Default = listed.Agents[i].ID == listed.DefaultID
	}
	return listed.Agents, nil
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
			to, _, err := p.reach(ctx, agents[0])
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
