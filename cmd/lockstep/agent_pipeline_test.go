package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/connect"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/test/agents/fakeopenclaw"
)

// mcpCall calls a tool of the board's and returns its structured result.
func mcpCall(ctx context.Context, url, key, tool string, args fields) (fields, error) {
	text, err := json.Marshal(fields{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": fields{"name": tool, "arguments": args}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/mcp", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var out struct {
		Result struct {
			IsError    bool   `json:"isError"`
			Structured fields `json:"structuredContent"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &out) != nil || out.Result.IsError || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", tool, res.StatusCode, answer)
	}
	return out.Result.Structured, nil
}

var (
	keyInKit   = regexp.MustCompile(`"Bearer (lsa_[^"]+)"`)
	tokenInKit = regexp.MustCompile(`\n    token: "([^"]+)"`)
	taskInText = regexp.MustCompile(`Board task (WEB-\d+)`)
	toolInText = regexp.MustCompile(`([a-z_]+)__task_claim`)
)

// gatewayOf starts a fake gateway with agents, connected by their kits. Each turn
// works through MCP as a scripted agent: claim, deliver, submit.
func gatewayOf(t testing.TB, srv *server, slugs ...string) *fakeopenclaw.Gateway {
	t.Helper()
	g := &fakeopenclaw.Gateway{GatewayToken: "gateway-token", Agents: slugs}
	keys, entries := map[string]string{}, map[string]string{}
	g.Play = func(ctx context.Context, turn fakeopenclaw.Turn) error {
		task, entry := taskInText.FindStringSubmatch(turn.Message), toolInText.FindStringSubmatch(turn.Message)
		if task == nil || entry == nil || entry[1] != entries[turn.AgentID] {
			t.Errorf("the text for %s: %s", turn.AgentID, turn.Message)
			return fmt.Errorf("what to do is not said")
		}
		got, err := mcpCall(ctx, srv.url, keys[turn.AgentID], "task_claim", fields{"task": task[1]})
		if err == nil {
			_, err = mcpCall(ctx, srv.url, keys[turn.AgentID], "deliverable_add", fields{"task": task[1], "lease": got["lease"], "kind": "text", "title": "page.md", "content": "# by " + turn.AgentID})
		}
		if err == nil {
			_, err = mcpCall(ctx, srv.url, keys[turn.AgentID], "task_submit", fields{"task": task[1], "lease": got["lease"], "summary": "done"})
		}
		if err != nil {
			t.Error(err)
		}
		return err
	}
	gateway := httptest.NewServer(g)
	t.Cleanup(gateway.Close)
	c := &restClient{url: srv.url}
	for _, slug := range slugs {
		if _, err := c.call(t.Context(), "POST", "agents", fields{"slug": slug, "projects": []string{"WEB"}}, nil); err != nil {
			t.Fatal(err)
		}
		var kit connect.Kit
		if _, err := c.call(t.Context(), "POST", "agents/"+slug+"/connect-kit", fields{"runtime": "openclaw", "url": gateway.URL, "allow_private": true, "gateway_token": "gateway-token"}, &kit); err != nil {
			t.Fatal(err)
		}
		for _, f := range kit.Files {
			if f.Path != "openclaw.patch.json5" {
				continue
			}
			keys[slug] = keyInKit.FindStringSubmatch(f.Text)[1]
			if token := tokenInKit.FindStringSubmatch(f.Text); token != nil {
				g.Token = token[1]
			}
			if entries[slug] = "board"; slug != slugs[0] {
				entries[slug] = "board_" + slug
			}
		}
	}
	return g
}

// waitFor waits until a task stands where it should.
func waitFor(t testing.TB, c *restClient, key string, want control.State) *control.View {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var v control.View
		if _, err := c.call(t.Context(), "GET", "tasks/"+key, nil, &v); err != nil {
			t.Fatal(err)
		}
		if v.Task.State == want {
			return &v
		}
	}
	t.Fatalf("%s is not %s", key, want)
	return nil
}

// Two agents at a fake gateway, without a network: the second begins when the
// first one's work is approved, and not before; changes that are asked for come
// back into the same conversation.
func TestPipelineOfAgents(t *testing.T) {
	srv := openTest(t, t.TempDir())
	c := &restClient{url: srv.url}
	command(t, srv.url, "project", "add", "WEB")
	g := gatewayOf(t, srv, "writer", "editor")
	command(t, srv.url, "task", "add", "Draft the page", "--project", "WEB", "--assignee", "@writer")
	command(t, srv.url, "task", "add", "Edit the page", "--project", "WEB", "--assignee", "@editor", "--after", "WEB-1")
	waitFor(t, c, "WEB-1", control.InReview)
	if n := len(g.Turns()); n != 1 {
		t.Fatalf("%d turns before anything is approved", n)
	}
	command(t, srv.url, "review", "changes", "WEB-1", "--comment", "shorter, please")
	v := waitFor(t, c, "WEB-1", control.InReview)
	for v.Task.Round < 2 {
		v = waitFor(t, c, "WEB-1", control.InReview)
	}
	command(t, srv.url, "review", "approve", "WEB-1")
	waitFor(t, c, "WEB-2", control.InReview)
	command(t, srv.url, "review", "approve", "WEB-2")
	waitFor(t, c, "WEB-2", control.Done)
	sessions := map[string]int{}
	for _, turn := range g.Turns() {
		sessions[turn.SessionKey]++
	}
	if len(sessions) != 2 || sessions["agent:writer:task-WEB-1"] != 2 || sessions["agent:editor:task-WEB-2"] != 1 {
		t.Errorf("turns by session: %v", sessions)
	}
}
