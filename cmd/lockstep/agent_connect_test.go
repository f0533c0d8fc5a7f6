package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/connect"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/push"
	"github.com/lockstep-run/lockstep/test/agents/fakeopenclaw"
)

// command runs a command line against a server and returns what it printed.
func command(t *testing.T, url string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newRootCommand()
	cmd.SetArgs(append(args, "--url", url))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("lockstep %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// agentAt is what the server says of an agent.
func agentAt(t *testing.T, url, slug string) (a struct {
	control.Agent
	Status control.AgentStatus `json:"status"`
}) {
	t.Helper()
	if _, err := (&restClient{url: url}).call(t.Context(), "GET", "agents/"+slug, nil, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// A kit with a hook connects both sides: the agent is woken with the secret that
// the kit has, and its page turns green.
func TestConnectWithHook(t *testing.T) {
	srv := openTest(t, t.TempDir())
	type call struct {
		header http.Header
		body   []byte
	}
	got := make(chan call, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			got <- call{r.Header, body}
		}
	}))
	defer receiver.Close()
	command(t, srv.url, "project", "add", "WEB")
	command(t, srv.url, "agent", "add", "writer", "--project", "WEB")
	if a := agentAt(t, srv.url, "writer"); !a.Status.FirstSeen.IsZero() {
		t.Errorf("it was seen at %s", a.Status.FirstSeen)
	}
	dir := filepath.Join(t.TempDir(), "kit")
	command(t, srv.url, "agent", "connect", "writer", "--runtime", "http", "--hook", receiver.URL, "--allow-private", "--write", dir)
	env, err := os.ReadFile(filepath.Join(dir, "env.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(env), "BOARD_SECRET='")
	secret, _, _ = strings.Cut(secret, "'")
	if info, err := os.Stat(filepath.Join(dir, "env.sh")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("env.sh is %v, %v", info.Mode(), err)
	}
	command(t, srv.url, "task", "add", "Say hello", "--project", "WEB", "--assignee", "@writer")
	c := <-got
	if err := push.Verify(secret, c.header, c.body, time.Now()); err != nil {
		t.Error(err)
	}
	for agentAt(t, srv.url, "writer").Status.FirstSeen.IsZero() {
		time.Sleep(5 * time.Millisecond)
	}
	a := agentAt(t, srv.url, "writer")
	if !a.Push || a.Runtime != "http" || strings.Contains(string(a.Connection), secret) {
		t.Errorf("the agent is %+v", a.Agent)
	}
}

// Two agents of one gateway share its token and keep to their own entries.
func TestConnectOpenClaw(t *testing.T) {
	srv := openTest(t, t.TempDir())
	c := &restClient{url: srv.url}
	gateway := httptest.NewServer(&fakeopenclaw.Gateway{GatewayToken: "gateway-token", Agents: []string{"main", "editor", "Third"}})
	defer gateway.Close()
	command(t, srv.url, "project", "add", "WEB")
	kit := func(slug string) (k connect.Kit) {
		t.Helper()
		command(t, srv.url, "agent", "add", slug, "--project", "WEB")
		if _, err := c.call(t.Context(), "POST", "agents/"+slug+"/connect-kit", fields{"runtime": "openclaw", "url": gateway.URL, "allow_private": true}, &k); err != nil {
			t.Fatal(err)
		}
		return k
	}
	text := func(k connect.Kit) string {
		for _, f := range k.Files {
			if f.Path == "openclaw.patch.json5" {
				return f.Text
			}
		}
		return ""
	}
	if first := text(kit("writer")); !strings.Contains(first, "token: ") || strings.Contains(first, "deny") {
		t.Errorf("the first kit:\n%s", first)
	}
	second := text(kit("editor"))
	for _, want := range []string{`"board_editor": {`, `"writer": { tools: { deny: ["board_editor__*"] } }`, `"editor": { tools: { deny: ["board__*"] } }`} {
		if !strings.Contains(second, want) {
			t.Errorf("the second kit has no %s:\n%s", want, second)
		}
	}
	if strings.Contains(second, "token: ") {
		t.Errorf("the second kit replaces the gateway's token:\n%s", second)
	}
	_, err := c.call(t.Context(), "PUT", "agents/writer/connection", fields{"runtime": "openclaw", "url": "http://10.0.0.1:18789", "token": "t"}, nil)
	if err == nil || !strings.Contains(err.Error(), "allow_private") {
		t.Errorf("a private address: %v", err)
	}

	var found struct {
		Agents []struct {
			ID, Slug string
			Error    *refusal
		}
	}
	if _, err := c.call(t.Context(), "POST", "agents/discover", fields{
		"url": gateway.URL, "gateway_token": "gateway-token", "token": "hooks-token", "allow_private": true, "projects": []string{"WEB"},
		"import": []fields{{"id": "Third"}, {"id": "editor"}, {"id": "main", "slug": "writer"}},
	}, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Agents) != 3 || found.Agents[0].Slug != "" || found.Agents[0].Error == nil || found.Agents[0].Error.Code != "already_exists" || found.Agents[1].Slug != "editor" || found.Agents[2].Slug != "third" {
		t.Errorf("found %+v", found.Agents)
	}
	if a := agentAt(t, srv.url, "third"); a.Runtime != "openclaw" || !a.Push {
		t.Errorf("imported: %+v", a.Agent)
	}
}

// TestPageOfAgents runs docs/agents.md, line by line. Claude Code and Codex are
// played by scripts that print what those print.
func TestPageOfAgents(t *testing.T) {
	for _, tool := range []string{"sh", "sed", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("../../docs/agents.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := t.TempDir(), t.TempDir()
	for name, script := range map[string]string{
		"claude": `grep -q 'board task WEB-2' || exit 9
			echo '{"type":"result","subtype":"success","is_error":false,"result":"The build is fixed.","session_id":"s","total_cost_usd":0.01,"usage":{"input_tokens":4,"output_tokens":50}}'`,
		"codex": `grep -q 'board task WEB-3' || exit 9
			echo '{"type":"thread.started","thread_id":"t"}'
			echo '{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"The tests are fixed."}}'
			echo '{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"output_tokens":5}}'`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	srv := openTest(t, t.TempDir())
	script := "set -eux\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	script += "until grep -q 'woken: assigned WEB-4' clerk.log; do sleep 0.1; done\nkill $!\n"
	script = strings.ReplaceAll(script, ":9090", ":"+port)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+srv.url, "PORT="+port, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "greeting world") {
		t.Errorf("the script was not heard:\n%s", out)
	}
	c := &restClient{url: srv.url}
	for key, want := range map[string]string{"WEB-1": "Hello, world", "WEB-2": "The build is fixed.", "WEB-3": "The tests are fixed."} {
		if v := waitFor(t, c, key, control.InReview); v.Task.Summary != want {
			t.Errorf("%s: %q, want %q", key, v.Task.Summary, want)
		}
	}
}

// The commands of docs/openclaw.md are those of the kit, which a test runs with a
// real gateway.
func TestPageOfOpenClaw(t *testing.T) {
	page, err := os.ReadFile("../../docs/openclaw.md")
	if err != nil {
		t.Fatal(err)
	}
	kit, err := connect.Make(connect.In{Runtime: "openclaw", Agent: "writer", AgentID: "writer", URL: "http://x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range kit.Steps[:2] {
		if !strings.Contains(string(page), "$ "+s.Command+"\n") {
			t.Errorf("the page does not have %q", s.Command)
		}
	}
}
