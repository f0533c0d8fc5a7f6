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
	case "POST /api/v1/admin/rpc":
		g.rpc(w, r)
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

func (g *Gateway) rpc(w http.ResponseWriter, r *http.Request) {
	if !g.authorized(w, r, g.GatewayToken) {
		return
	}
	var in struct {
		Method string
		Params map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, 400, map[string]any{"ok": false})
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	payload := map[string]any{}
	switch in.Method {
	case "agents.list":
		list := []any{}
		for _, id := range g.Agents {
			list = append(list, map[string]any{"id": id})
		}
		payload["agents"] = list
		if len(g.Agents) > 0 {
			payload["defaultId"] = g.Agents[0]
		}
	case "tasks.list":
		list := []any{}
		for _, it := range g.runs {
			status := "running"
			select {
			case <-it.ended:
				status = "succeeded"
			default:
			}
			list = append(list, map[string]any{"taskId": it.id, "status": status, "childSessionKey": strings.ToLower(it.turn.SessionKey)})
		}
		payload["tasks"] = list
	case "tasks.cancel":
		for _, it := range g.runs {
			if it.id == in.Params["taskId"] {
				it.cancel()
			}
		}
	default:
		answer(w, 400, map[string]any{"ok": false, "error": map[string]any{"code": "INVALID_REQUEST", "message": "method not allowed"}})
		return
	}
	answer(w, 200, map[string]any{"ok": true, "payload": payload})
}
