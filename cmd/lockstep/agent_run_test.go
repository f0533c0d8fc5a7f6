//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
)

// agentWorld is a server with an agent, and a runner that plays it.
type agentWorld struct {
	*testing.T
	c   *restClient
	log *lockedBuffer
	r   *agentRunner
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newAgentWorld(t *testing.T, as, script string) *agentWorld {
	t.Helper()
	srv := openTest(t, t.TempDir())
	w := &agentWorld{T: t, c: &restClient{url: srv.url}, log: &lockedBuffer{}}
	w.call("POST", "projects", fields{"key": "WEB"}, nil)
	w.call("POST", "agents", fields{"slug": "writer", "projects": []string{"WEB"}}, nil)
	key, err := agentKey(t.Context(), w.c, "writer", "")
	if err != nil {
		t.Fatal(err)
	}
	w.r = &agentRunner{
		c: &restClient{url: srv.url, header: http.Header{"Authorization": {"Bearer " + key}}}, slug: "writer", key: key,
		command: []string{"sh", "-c", script}, as: as, grace: 100 * time.Millisecond, log: w.log,
	}
	return w
}

// start plays the agent until the function that it returns is called.
func (w *agentWorld) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.r.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("run: %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

func (w *agentWorld) call(method, path string, in, out any) {
	w.Helper()
	if _, err := w.c.call(w.Context(), method, path, in, out); err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
}

func (w *agentWorld) task(in fields) string {
	w.Helper()
	in["project"], in["assignee"] = "WEB", "@writer"
	var t control.Task
	w.call("POST", "tasks", in, &t)
	return t.Key
}

// until waits until a task is as wanted.
func (w *agentWorld) until(key string, is func(v *control.View) bool) *control.View {
	w.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var v control.View
		w.call("GET", "tasks/"+key, nil, &v)
		if is(&v) {
			return &v
		}
	}
	w.Fatalf("%s is not as wanted; the runner said:\n%s", key, w.log)
	return nil
}

func state(s control.State) func(*control.View) bool {
	return func(v *control.View) bool { return v.Task.State == s }
}

// A shell script of a few lines is an agent: it reads the brief and prints a
// result.
func TestRunScript(t *testing.T) {
	w := newAgentWorld(t, "plain", `
		title=$(sed 's/.*"title":"\([^"]*\)".*/\1/')
		echo "working on $LOCKSTEP_TASK" >&2
		echo hello > "$LOCKSTEP_ATTEMPT.txt"
		echo some chatter
		echo "{\"summary\":\"did $title\",\"output\":{\"headline\":\"Hi\"},\"deliverables\":[{\"title\":\"note\",\"content\":\"# Hi\"},{\"file\":\"$LOCKSTEP_ATTEMPT.txt\"}]}"`)
	t.Chdir(t.TempDir())
	w.start()
	key := w.task(fields{"title": "Draft", "output_schema": fields{"type": "object", "required": []string{"headline"}}})
	v := w.until(key, state(control.InReview))
	if v.Task.Summary != "did Draft" || string(v.Task.Output) != `{"headline":"Hi"}` || len(v.Deliverables) != 2 || v.Deliverables[1].Kind != "file" {
		t.Errorf("submitted: %q %s, %d deliverables", v.Task.Summary, v.Task.Output, len(v.Deliverables))
	}
	if !strings.Contains(w.log.String(), "working on WEB-1") {
		t.Errorf("what the command says is not shown:\n%s", w.log)
	}
}

// A command that fails says why: by its exit status and the end of its errors, or
// in its result.
func TestRunFails(t *testing.T) {
	w := newAgentWorld(t, "plain", `echo "no such model" >&2; exit 3`)
	w.start()
	key := w.task(fields{"title": "Draft", "max_attempts": 1})
	v := w.until(key, state(control.Failed))
	e := v.Attempts[0].Error
	if e == nil || e.Category != "agent" || !strings.Contains(e.Message, "exit status 3") || !strings.Contains(e.Detail, "no such model") {
		t.Errorf("the attempt says %+v", e)
	}
}

// What does not fit the task's schema is not accepted, and the attempt says so.
func TestRunSchema(t *testing.T) {
	w := newAgentWorld(t, "plain", `echo '{"output":{"head":1}}'`)
	w.start()
	key := w.task(fields{"title": "Draft", "max_attempts": 1, "output_schema": fields{"type": "object", "required": []string{"headline"}}})
	v := w.until(key, state(control.Failed))
	if e := v.Attempts[0].Error; e == nil || e.Code != "not_accepted" {
		t.Errorf("the attempt says %+v", e)
	}
}

// running reports whether a process is there.
func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

// pids reads what a script wrote down.
func (w *agentWorld) pids(file string) (all []int) {
	w.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil || strings.Count(string(text), "\n") < 2 {
			continue
		}
		for line := range strings.Lines(string(text)) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				w.Fatal(err)
			}
			all = append(all, pid)
		}
		return all
	}
	w.Fatalf("the command did not begin:\n%s", w.log)
	return nil
}

// A task that is cancelled ends its command and what that has started, although
// both would rather not.
func TestRunCancelled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	w := newAgentWorld(t, "plain", `trap '' TERM; sleep 1000 & echo $! >> `+file+`; echo $$ >> `+file+`; while :; do sleep 1; done`)
	w.start()
	key := w.task(fields{"title": "Draft"})
	pids := w.pids(file)
	w.call("POST", "tasks/"+key+"/cancel", fields{"note": "not needed"}, nil)
	w.gone(pids)
}

func (w *agentWorld) gone(pids []int) {
	w.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !running(pids[0]) && !running(pids[1]) {
			return
		}
	}
	w.Errorf("%v go on:\n%s", pids, w.log)
}

// A runner that is stopped gives its task back; it does not count as an attempt.
func TestRunStopped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	w := newAgentWorld(t, "plain", `sleep 1000 & echo $! >> `+file+`; echo $$ >> `+file+`; wait`)
	stop := w.start()
	key := w.task(fields{"title": "Draft"})
	pids := w.pids(file)
	stop()
	w.gone(pids)
	v := w.until(key, state(control.Assigned))
	if v.Task.Spent != 0 || v.Attempts[0].Status != "released" {
		t.Errorf("spent %d, the attempt is %s", v.Task.Spent, v.Attempts[0].Status)
	}
}

// A command may hand its task in itself.
func TestRunHandsInItself(t *testing.T) {
	w := newAgentWorld(t, "plain", `curl -sf -H "Authorization: Bearer $LOCKSTEP_AGENT_KEY" -H "X-Lockstep-Lease: $LOCKSTEP_LEASE" "$LOCKSTEP_URL/api/v1/tasks/$LOCKSTEP_TASK/submit" -d '{"summary":"by itself"}' >&2`)
	w.start()
	key := w.task(fields{"title": "Draft"})
	v := w.until(key, state(control.InReview))
	if v.Task.Summary != "by itself" {
		t.Errorf("the summary is %q", v.Task.Summary)
	}
}

// The results of Claude Code and Codex are read as those print them.
func TestResultsOfRuntimes(t *testing.T) {
	f := func(got *runResult, want runResult) {
		t.Helper()
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	f(claudeResult([]byte(`{"type":"result","subtype":"success","is_error":false,"duration_ms":5321,"num_turns":3,"result":"Done.","session_id":"s-1","total_cost_usd":0.0123,
"usage":{"input_tokens":4,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"output_tokens":50},
"modelUsage":{"claude-sonnet-4-5":{"inputTokens":4,"outputTokens":50,"cacheReadInputTokens":2000,"cacheCreationInputTokens":100,"costUSD":0.0123}}}`)),
		runResult{Summary: "Done.", Usage: []usageReport{{
			Run: "s-1", Provider: "anthropic", Model: "claude-sonnet-4-5", Format: "anthropic", Several: true, Cost: "0.0123",
			Usage: json.RawMessage(`{"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"input_tokens":4,"output_tokens":50}`),
		}}})
	f(claudeResult([]byte(`{"type":"result","subtype":"error_max_turns","is_error":true,"session_id":"s-2","total_cost_usd":0.5,"usage":{"input_tokens":1}}`)),
		runResult{
			Usage: []usageReport{{Run: "s-2", Provider: "anthropic", Model: "claude", Format: "anthropic", Several: true, Cost: "0.5", Usage: json.RawMessage(`{"input_tokens":1}`)}},
			Error: &runError{Category: "agent", Code: "error_max_turns", Message: "Claude Code ended with error_max_turns", Retryable: true},
		})
	f(codexResult([]byte(`{"type":"thread.started","thread_id":"t-1"}
{"type":"turn.started"}
not an event
{"type":"error","message":"Reconnecting... 1/5"}
{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"hm"}}
{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Fixed."}}
{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}
`)), runResult{Summary: "Fixed.", Usage: []usageReport{{
		Run: "t-1", Provider: "openai", Model: "codex", Format: "codex", Several: true,
		Usage: json.RawMessage(`{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}`),
	}}})
	f(codexResult([]byte(`{"type":"turn.failed","error":{"message":"out of credits"}}`)),
		runResult{Error: &runError{Category: "agent", Code: "turn_failed", Message: "out of credits", Retryable: true}})
	f(plainResult([]byte("one\ntwo\n")), runResult{Summary: "one\ntwo"})
	f(plainResult([]byte("chatter\n{\n  \"summary\": \"ok\",\n  \"usage\": {\"model\":\"m\",\"input\":3},\n  \"cost\": 0.25\n}\n")), runResult{Summary: "ok", Usage: []usageReport{{
		Model: "m", Format: "disjoint", Several: true, Cost: "0.25",
		Usage: json.RawMessage(`{"cache_read":0,"cache_write_1h":0,"cache_write_5m":0,"input":3,"output":0}`),
	}}})
	f(plainResult([]byte(`{"error":{"category":"tool","message":"no disk","retryable":false}}`)), runResult{Error: &runError{Category: "tool", Message: "no disk"}})
}

// FuzzResults reads whatever a command may print.
func FuzzResults(f *testing.F) {
	f.Add([]byte(`{"summary":"ok"}`))
	f.Add([]byte("{\n{\n}"))
	f.Add([]byte(`{"type":"turn.completed","usage":{}}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, r := range []*runResult{plainResult(out), claudeResult(out), codexResult(out)} {
			if len(r.Summary) > mostSummary+10 {
				t.Errorf("a summary of %d bytes", len(r.Summary))
			}
		}
	})
}
