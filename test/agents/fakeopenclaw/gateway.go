// Package fakeopenclaw is a fake of OpenClaw's gateway, for tests: it answers
// the paths that Lockstep calls as release 2026.9.6 does, and has a function
// play the agent. It calls no model and no network.
package fakeopenclaw

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// Turn is what an agent is asked to do.
type Turn struct {
	Key        string // the idempotency key
	AgentID    string
	SessionKey string
	Message    string
}

// Gateway is the fake. Serve it.
type Gateway struct {
	Token        string // hooks.token
	GatewayToken string // gateway.auth.token
	Agents       []string
	// Play is the agent: it runs once for each turn. ctx ends when the turn is
	// cancelled.
	Play func(ctx context.Context, t Turn) error

	mu    sync.Mutex
	runs  map[string]*run
	wakes []string
	calls int
}

type run struct {
	id     string
	turn   Turn
	cancel context.CancelFunc
	ended  chan struct{}
	status string
}

// Turns lists the turns that were started, in no order.
func (g *Gateway) Turns() (all []Turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.runs {
		all = append(all, r.turn)
	}
	return all
}

// Calls counts the calls of /hooks/agent, those that started nothing as well.
func (g *Gateway) Calls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// Wakes lists the texts that came to /hooks/wake.
func (g *Gateway) Wakes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.wakes...)
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /health":
		answer(w, 200, map[string]any{"ok": true, "status": "live"})
	case "POST /hooks/agent":
		g.agent(w, r)
	case "POST /hooks/wake":
		g.wake(w, r)
	case "GET /":
		g.talk(w, r)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (g *Gateway) authorized(w http.ResponseWriter, r *http.Request, token string) bool {
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return false
	}
	return true
}

func (g *Gateway) agent(w http.ResponseWriter, r *http.Request) {
	if !g.authorized(w, r, g.Token) {
		return
	}
	var in struct {
		Message, Name, AgentID, SessionKey, SessionMode string
		Deliver, WaitForCompletion                      bool
		TimeoutSeconds                                  int
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 256<<10)).Decode(&in); err != nil || in.Message == "" {
		answer(w, 400, map[string]any{"ok": false, "error": "message required"})
		return
	}
	if in.SessionMode == "persistent" && !strings.HasPrefix(in.SessionKey, "agent:") {
		answer(w, 400, map[string]any{"ok": false, "error": "sessionKey is not allowed"})
		return
	}
	key := r.Header.Get("Idempotency-Key")
	g.mu.Lock()
	if g.runs == nil {
		g.runs = map[string]*run{}
	}
	g.calls++
	// The same key with another text is another run, as at the real one.
	at := key + "\n" + in.Message + "\n" + in.AgentID + "\n" + in.SessionKey
	it := g.runs[at]
	if it == nil {
		ctx, cancel := context.WithCancel(context.Background())
		it = &run{id: fmt.Sprintf("run-%d", len(g.runs)+1), cancel: cancel, ended: make(chan struct{}), turn: Turn{key, in.AgentID, in.SessionKey, in.Message}}
		g.runs[at] = it
		go func() {
			defer close(it.ended)
			defer cancel()
			it.status = "ok"
			if err := g.Play(ctx, it.turn); err != nil {
				it.status = "error"
			}
		}()
	}
	g.mu.Unlock()
	said := map[string]any{"ok": true, "runId": it.id}
	if in.WaitForCompletion {
		select {
		case <-it.ended:
		case <-r.Context().Done():
			return
		}
		said["completion"] = map[string]any{"status": it.status, "replyDisposition": "visible"}
	}
	answer(w, 200, said)
}

func (g *Gateway) wake(w http.ResponseWriter, r *http.Request) {
	if !g.authorized(w, r, g.Token) {
		return
	}
	var in struct{ Text, Mode, AgentID string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Text == "" {
		answer(w, 400, map[string]any{"ok": false, "error": "text required"})
		return
	}
	g.mu.Lock()
	g.wakes = append(g.wakes, in.AgentID+": "+in.Text)
	g.mu.Unlock()
	answer(w, 200, map[string]any{"ok": true, "mode": in.Mode, "eventOutcome": "queued"})
}

// talk is the gateway's WebSocket.
func (g *Gateway) talk(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	write := func(v map[string]any) bool {
		text, err := json.Marshal(v)
		return err == nil && conn.Write(r.Context(), websocket.MessageText, text) == nil
	}
	write(map[string]any{"type": "event", "event": "connect.challenge", "payload": map[string]any{"nonce": "n"}})
	known := false
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var in struct {
			ID, Method string
			Params     struct {
				Key                      string
				MinProtocol, MaxProtocol int
				Auth                     struct{ Token string }
			}
		}
		if json.Unmarshal(text, &in) != nil {
			return
		}
		said := map[string]any{"type": "res", "id": in.ID, "ok": true}
		switch p := in.Params; {
		case in.Method == "connect" && p.Auth.Token == g.GatewayToken && p.MinProtocol <= 4 && p.MaxProtocol >= 4:
			known = true
			said["payload"] = map[string]any{"type": "hello-ok", "protocol": 4, "features": map[string]any{"methods": []string{"agents.list", "sessions.abort"}}}
		case !known:
			said["ok"], said["error"] = false, map[string]any{"code": "INVALID_REQUEST", "message": "unauthorized: gateway token mismatch"}
		case in.Method == "agents.list":
			said["payload"] = g.list()
		case in.Method == "sessions.abort":
			said["payload"] = map[string]any{"ok": true, "status": g.abort(p.Key)}
		default:
			said["ok"], said["error"] = false, map[string]any{"code": "INVALID_REQUEST", "message": "unknown method"}
		}
		// Events come in between.
		if !write(map[string]any{"type": "event", "event": "health", "payload": map[string]any{"ok": true}}) || !write(said) {
			return
		}
	}
}

func (g *Gateway) list() map[string]any {
	list := []any{}
	for _, id := range g.Agents {
		list = append(list, map[string]any{"id": id})
	}
	payload := map[string]any{"agents": list}
	if len(g.Agents) > 0 {
		payload["defaultId"] = g.Agents[0]
	}
	return payload
}

// abort ends the turn of a session.
func (g *Gateway) abort(session string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, it := range g.runs {
		select {
		case <-it.ended:
			continue
		default:
		}
		if strings.EqualFold(it.turn.SessionKey, session) {
			it.cancel()
			return "aborted"
		}
	}
	return "no-active-run"
}
