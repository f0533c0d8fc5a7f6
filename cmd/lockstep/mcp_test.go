package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/control"
)

// Agents come in by their keys, wherever they call from on a team's server, and
// from this machine alone on a developer's; nobody else does.
func TestWhoComesInByMCP(t *testing.T) {
	dir := t.TempDir()
	srv := openTest(t, dir)
	c := &restClient{url: srv.url}
	var key struct{ Key string }
	for _, call := range []struct {
		path string
		in   any
		out  any
	}{
		{"projects", fields{"key": "WEB"}, nil},
		{"agents", fields{"slug": "writer", "projects": []string{"WEB"}}, nil},
		{"agents/writer/keys", fields{}, &key},
	} {
		if _, err := c.call(t.Context(), http.MethodPost, call.path, call.in, call.out); err != nil {
			t.Fatal(err)
		}
	}
	f := func(srv *server, host, key string, status int, says string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status || !strings.Contains(string(text), says) {
			t.Errorf("%q: %d %.300s, want %d with %q", host, res.StatusCode, text, status, says)
		}
	}
	f(srv, "", key.Key, 200, "task_next")
	f(srv, "", "", 401, "lockstep agent key")
	f(srv, "", "lsa_wrong", 401, "no such key")
	f(srv, "board.example", key.Key, 403, string(control.Forbidden))
	if err := srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	set := testSettings(t, dir)
	set.signIn = signIn{on: true, masterKey: filepath.Join(t.TempDir(), "key")}
	team, err := openServer(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { team.closeSoon(context.Background()) })
	f(team, "board.example", key.Key, 200, "task_next")
	f(team, "board.example", "", 401, "unauthorized")
	f(team, "board.example", "lsa_wrong", 401, "no such key")
}
