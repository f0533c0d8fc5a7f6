//go:build unix

// Package agents runs real agent runtimes against the binary.
package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/test/agents/scriptedmodel"
)

// program runs a program until the test ends.
func program(t *testing.T, env []string, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, dir, t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); cmd.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
	})
}

// once runs a program to its end.
func once(t *testing.T, env []string, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = env, dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && t.Context().Err() == nil; time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within a minute", what)
}

// board is a server's REST door.
type board struct {
	*testing.T
	url string
}

func (b *board) call(method, path string, in any) map[string]any {
	b.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.Context(), method, b.url+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	var out map[string]any
	if res.StatusCode/100 != 2 || len(answer) > 0 && json.Unmarshal(answer, &out) != nil {
		b.Fatalf("%s %s: %d %s", method, path, res.StatusCode, answer)
	}
	return out
}

func (b *board) state(task string) string {
	b.Helper()
	t, _ := b.call("GET", "tasks/"+task, nil)["task"].(map[string]any)
	state, _ := t["state"].(string)
	return state
}

// TestOpenClaw runs the pipeline of two agents with a real OpenClaw gateway and a
// scripted model: woken by push, connected by the kit as it is printed, working
// through MCP. docs/openclaw.md says how to run it.
func TestOpenClaw(t *testing.T) {
	openclaw := os.Getenv("LOCKSTEP_OPENCLAW")
	if openclaw == "" {
		t.Skip("LOCKSTEP_OPENCLAW is not set: it names the program openclaw of an installation with a fitting node beside it; see docs/openclaw.md")
	}
	home := t.TempDir()
	env := append(os.Environ(), "HOME="+home, "OPENCLAW_STATE_DIR="+home+"/.openclaw", "OPENCLAW_CONFIG_PATH="+home+"/.openclaw/openclaw.json",
		"PATH="+filepath.Dir(openclaw)+string(os.PathListSeparator)+os.Getenv("PATH"), "OPENCLAW_GATEWAY_TOKEN=gateway-secret", "NO_COLOR=1")

	lockstep := os.Getenv("LOCKSTEP_BIN")
	if lockstep == "" {
		lockstep = filepath.Join(home, "lockstep")
		once(t, os.Environ(), "../..", "go", "build", "-o", lockstep, "./cmd/lockstep")
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	program(t, env, home, lockstep, "dev", "--listen", strings.TrimPrefix(url, "http://"), "--data", filepath.Join(home, "data"))
	ready(t, url+"/readyz")
	env = append(env, "LOCKSTEP_URL="+url)

	model := &scriptedmodel.Model{Log: t.Logf}
	endpoint := httptest.NewServer(model)
	t.Cleanup(endpoint.Close)
	port := freePort(t)
	gateway := fmt.Sprintf("http://127.0.0.1:%d", port)
	configure(t, home, endpoint.URL, port)

	// As the kit says, for each of two agents.
	run := func(args ...string) string { t.Helper(); return once(t, env, home, lockstep, args...) }
	run("project", "add", "WEB")
	for _, slug := range []string{"writer", "editor"} {
		run("agent", "add", slug, "--project", "WEB")
		kit := filepath.Join(home, "kit-"+slug)
		t.Log(run("agent", "connect", slug, "--runtime", "openclaw", "--hook", gateway, "--allow-private", "--write", kit))
		if slug == "writer" {
			t.Log(once(t, env, kit, openclaw, "plugins", "install", "--force", "--accept-capabilities", "./lockstep-usage"))
		}
		t.Log(once(t, env, kit, openclaw, "config", "patch", "--file", "./openclaw.patch.json5"))
	}
	t.Log(once(t, env, home, openclaw, "config", "validate"))
	program(t, env, home, openclaw, "gateway", "run", "--port", fmt.Sprint(port))
	ready(t, gateway+"/health")

	began := time.Now()
	run("task", "add", "Draft the page", "--project", "WEB", "--assignee", "@writer")
	run("task", "add", "Edit the page", "--project", "WEB", "--assignee", "@editor", "--after", "WEB-1")
	b := &board{t, url}
	until(t, "WEB-1 is in review", func() bool { return b.state("WEB-1") == "review" })
	t.Logf("the first task was submitted after %s; tools offered: %v", time.Since(began), model.Tools())
	if s := b.state("WEB-2"); s != "assigned" {
		t.Errorf("WEB-2 is %s before WEB-1 is approved", s)
	}
	approved := time.Now()
	run("review", "approve", "WEB-1")
	until(t, "WEB-2 is in review", func() bool { return b.state("WEB-2") == "review" })
	t.Logf("the second task was submitted %s after the approval", time.Since(approved))
	run("review", "approve", "WEB-2")
	if s := b.state("WEB-2"); s != "done" {
		t.Errorf("WEB-2 is %s", s)
	}

	t.Run("cancelled", func(t *testing.T) {
		once(t, env, home, lockstep, "task", "add", "Wait for ever", "--project", "WEB", "--assignee", "@writer")
		until(t, "the turn waits", func() bool { return model.Waiting() == 1 })
		once(t, env, home, lockstep, "task", "cancel", "WEB-3")
		cancelled := time.Now()
		until(t, "the turn is stopped", func() bool { return model.Waiting() == 0 })
		t.Logf("the turn was stopped %s after its task was cancelled", time.Since(cancelled))
	})
	t.Run("discovered", func(t *testing.T) {
		b := &board{t, url}
		found, _ := b.call("POST", "agents/discover", map[string]any{"url": gateway, "gateway_token": "gateway-secret", "allow_private": true})["agents"].([]any)
		if len(found) != 2 {
			t.Errorf("the gateway has %v", found)
		}
	})
	// Five calls each, of 800 tokens at 3, 200 at 0.3 and 50 at 15 USD for a million.
	t.Run("cost", func(t *testing.T) {
		b := &board{t, url}
		until(t, "each task has its cost", func() bool {
			cost := map[any]any{}
			rows, _ := b.call("GET", "usage/summary?group_by=task", nil)["rows"].([]any)
			for _, row := range rows {
				row, _ := row.(map[string]any)
				cost[row["name"]] = row["billed"]
			}
			return cost["WEB-1"] == 16_050_000.0 && cost["WEB-2"] == 16_050_000.0
		})
	})
}

// configure writes a gateway's configuration: two agents, and the scripted model.
func configure(t *testing.T, home, model string, port int) {
	t.Helper()
	config := map[string]any{
		"gateway": map[string]any{"mode": "local", "port": port, "bind": "loopback", "auth": map[string]any{"mode": "token", "token": "gateway-secret"}},
		"agents": map[string]any{
			"ownership": "explicit",
			"defaults":  map[string]any{"model": map[string]any{"primary": "scripted/" + scriptedmodel.Name}, "workspace": home + "/workspace", "skipBootstrap": true},
			"entries":   map[string]any{"writer": map[string]any{}, "editor": map[string]any{}},
		},
		"models": map[string]any{"mode": "merge", "providers": map[string]any{"scripted": map[string]any{
			"baseUrl": model + "/v1", "apiKey": "none", "api": "openai-completions",
			"models": []any{map[string]any{
				"id": scriptedmodel.Name, "name": "Scripted", "reasoning": false, "input": []string{"text"},
				"cost":          map[string]any{"input": 3, "output": 15, "cacheRead": 0.3, "cacheWrite": 3.75},
				"contextWindow": 120000, "maxTokens": 8192,
			}},
		}}},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(home+"/.openclaw", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home+"/.openclaw/openclaw.json", text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ready waits until a server answers with 200.
func ready(t *testing.T, url string) {
	t.Helper()
	until(t, url+" answers", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}
