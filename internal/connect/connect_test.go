package connect_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/connect"
	"github.com/lockstep-run/lockstep/internal/push"
)

func in(runtime string) connect.In {
	return connect.In{
		Runtime: runtime, Agent: "writer", URL: "http://127.0.0.1:8083", Key: "lsa_KEY", Hook: "http://127.0.0.1:18789",
		Secret: "lsw_SECRET", Token: "lsw_TOKEN", AgentID: "writer", Neighbours: map[string]string{"writer": "board", "editor": "board_editor"},
	}
}

func file(t *testing.T, k *connect.Kit, path string) connect.File {
	t.Helper()
	for _, f := range k.Files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("the kit has no %s", path)
	return connect.File{}
}

// Every runtime has a kit; nothing in it is left open, and who may read a file
// follows from what is in it.
func TestKits(t *testing.T) {
	for _, runtime := range connect.Runtimes {
		k, err := connect.Make(in(runtime))
		if err != nil {
			t.Fatal(err)
		}
		if len(k.Steps) < 2 || len(k.Files) == 0 {
			t.Errorf("%s: %d steps, %d files", runtime, len(k.Steps), len(k.Files))
		}
		text := k.Text()
		for _, f := range k.Files {
			text += f.Text
			if strings.Contains(f.Text, "lsa_") && !f.Secret {
				t.Errorf("%s: anybody may read %s, which has the key", runtime, f.Path)
			}
			if strings.HasSuffix(f.Path, ".json") && !json.Valid([]byte(f.Text)) {
				t.Errorf("%s: %s is no JSON:\n%s", runtime, f.Path, f.Text)
			}
		}
		if at := regexp.MustCompile(`<%|%>|<no value>`).FindStringIndex(text); at != nil {
			t.Errorf("%s: something is left open: %.80s", runtime, text[at[0]:])
		}
		if !strings.Contains(text, "lsa_KEY") || !strings.Contains(text, "http://127.0.0.1:8083") {
			t.Errorf("%s: the kit lacks the key or the address", runtime)
		}
	}
	if _, err := connect.Make(in("fax")); err == nil {
		t.Error("there is a kit for fax")
	}
}

// Agents of one gateway keep to their own entries.
func TestNeighbours(t *testing.T) {
	k, err := connect.Make(in("openclaw"))
	if err != nil {
		t.Fatal(err)
	}
	text := file(t, k, "openclaw.patch.json5").Text
	for _, want := range []string{`"writer": { tools: { deny: ["board_editor__*"] } }`, `"editor": { tools: { deny: ["board__*"] } }`, `token: "lsw_TOKEN"`, `url: "http://127.0.0.1:8083/mcp"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	again := in("openclaw")
	again.Token = ""
	if k, err = connect.Make(again); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file(t, k, "openclaw.patch.json5").Text, "token:") {
		t.Error("a token that the gateway has is replaced")
	}
}

// write writes a kit into a directory.
func write(t *testing.T, k *connect.Kit) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range k.Files {
		to := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(f.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each receiver, run as the kit has it, takes what was signed, once, and nothing
// else.
func TestReceivers(t *testing.T) {
	for _, it := range []struct{ file, command string }{
		{"receiver.py", "python3 receiver.py"}, {"receiver.mjs", "node receiver.mjs"}, {"receiver.go", "go run receiver.go"},
	} {
		t.Run(it.file, func(t *testing.T) {
			command := strings.Fields(it.command)
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip(err)
			}
			k, err := connect.Make(in("http"))
			if err != nil {
				t.Fatal(err)
			}
			dir := write(t, k)
			port := freePort(t)
			cmd := exec.Command("sh", "-c", ". ./env.sh && exec "+it.command)
			if it.file == "receiver.go" {
				// go run would leave its child behind.
				if out, err := run(dir, "go", "build", "-o", "receiver", "receiver.go"); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				cmd = exec.Command("sh", "-c", ". ./env.sh && exec ./receiver")
			}
			cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), "PORT="+strconv.Itoa(port)), t.Output()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
			url := fmt.Sprintf("http://127.0.0.1:%d/", port)
			await(t, url)

			body := []byte(`{"delivery":"w.1","reason":"assigned","task":{"key":"WEB-1","url":"u"}}`)
			now := strconv.FormatInt(time.Now().Unix(), 10)
			old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
			for _, c := range []struct {
				at, signature string
				body          []byte
				want          int
			}{
				{now, push.Sign("lsw_SECRET", now, body), body, 204},
				{now, push.Sign("lsw_SECRET", now, body), body, 204}, // again
				{now, push.Sign("another", now, body), body, 401},
				{now, push.Sign("lsw_SECRET", now, body), append(slices.Clone(body), ' '), 401},
				{old, push.Sign("lsw_SECRET", old, body), body, 401},
				{"", "", body, 401},
			} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set(push.TimestampHeader, c.at)
				req.Header.Set(push.SignatureHeader, c.signature)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != c.want {
					t.Errorf("%+v is answered %d, want %d", c, res.StatusCode, c.want)
				}
			}
			cmd.Process.Kill()
			var lines []string
			for s := bufio.NewScanner(out); s.Scan(); {
				lines = append(lines, s.Text())
			}
			if !slices.Equal(lines, []string{"woken: assigned WEB-1"}) {
				t.Errorf("it printed %q", lines)
			}
		})
	}
}

func run(dir string, command ...string) ([]byte, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
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

// await waits until a server answers.
func await(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			return
		}
	}
	t.Fatal("the receiver does not answer")
}
