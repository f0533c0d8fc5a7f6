//go:build unix

// Package mcp lets clients of the Model Context Protocol, as they are, work on
// the board of a running server: the official SDKs for Go and for TypeScript,
// over HTTP and through lockstep mcp --stdio. A client that this machine lacks is
// skipped.
package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// server is a running server.
type server struct {
	*testing.T
	binary, url string
}

func serve(t *testing.T) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary and calls a running server")
	}
	s := &server{T: t, binary: filepath.Join(t.TempDir(), "lockstep")}
	if out, err := exec.Command("go", "build", "-o", s.binary, "../../cmd/lockstep").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), s.binary, "dev", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := regexp.MustCompile(`ready at (http://\S+)`)
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() { // t.Context has ended by now, and with it the server
		<-drained
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	if s.url == "" {
		t.Fatal("the server does not say where it is")
	}
	return s
}

// person makes a call of the person at the machine.
func (s *server) person(path, body string) map[string]any {
	s.Helper()
	res, err := http.Post(s.url+"/api/v1/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s %v %v", path, res.Status, got, err)
	}
	return got
}

func TestGoOverStdio(t *testing.T) {
	s := serve(t)
	s.person("projects", `{"key":"WEB"}`)
	s.person("agents", `{"slug":"writer","projects":["WEB"]}`)
	key := s.person("agents/writer/keys", `{}`)["key"].(string)
	s.person("tasks", `{"project":"WEB","title":"Draft","assignee":"@writer"}`)

	file := filepath.Join(t.TempDir(), "writer.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.binary, "mcp", "--stdio", "--url", s.url, "--key-file", file)
	cmd.Stderr = os.Stderr
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call := func(tool string, args map[string]any) (map[string]any, bool) {
		t.Helper()
		res, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		got, _ := res.StructuredContent.(map[string]any)
		return got, res.IsError
	}
	list, err := session.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 15 {
		t.Fatalf("%d tools, %v", len(list.Tools), err)
	}
	got, _ := call("task_next", nil)
	if got["task"] != "WEB-1" {
		t.Fatalf("task_next: %v", got)
	}
	held := map[string]any{"task": "WEB-1", "lease": "stale", "summary": "there"}
	if got, failed := call("task_submit", held); !failed || fmt.Sprint(got["error"].(map[string]any)["code"]) != "lease_lost" {
		t.Errorf("a stale lease: %v", got)
	}
	held["lease"] = got["lease"]
	if got, failed := call("task_submit", held); failed || got["status"] != "review" {
		t.Errorf("task_submit: %v", got)
	}
}

// Without a key, or with a wrong one, the command says so at once.
func TestStdioWithoutKey(t *testing.T) {
	s := serve(t)
	f := func(want string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), s.binary, append([]string{"mcp", "--url", s.url}, args...)...)
		cmd.Env = append(os.Environ(), "LOCKSTEP_KEY=")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	wrong := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(wrong, []byte("lsa_wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("LOCKSTEP_KEY", "--stdio")
	f("There is no such key", "--stdio", "--key-file", wrong)
	f("say --stdio", "--key-file", wrong)
}

func TestTypeScript(t *testing.T) {
	if exec.Command("node", "-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)").Run() != nil {
		t.Skip("the TypeScript SDK needs Node.js 18 or newer")
	}
	if exec.Command("npm", "--version").Run() != nil {
		t.Skip("npm is not installed")
	}
	s := serve(t)
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "tour.mjs"} {
		text, err := os.ReadFile(filepath.Join("ts", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if why := offline.Find(out); why != nil {
			t.Skipf("npm ci could not fetch what it needs: %s", why)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tour := exec.CommandContext(ctx, "node", "--no-warnings", "tour.mjs", s.url, s.binary)
	tour.Dir = dir
	tour.Stderr = os.Stderr
	out, err := tour.Output()
	steps := 0
	for line := range strings.Lines(string(out)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, why, _ := strings.Cut(rest, ": ")
		steps++
		t.Run(name, func(t *testing.T) {
			if word != "ok" {
				t.Error(why)
			}
		})
	}
	if err != nil && !t.Failed() || steps < 27 {
		t.Errorf("the tour took %d steps and ended with %v:\n%s", steps, err, out)
	}
}

var offline = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH`)
