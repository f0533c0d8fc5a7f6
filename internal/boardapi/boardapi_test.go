package boardapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// world is a server with a board.
type world struct {
	*testing.T
	url string
}

func start(t *testing.T) *world { return startWith(t, nil) }

// startWith has a server tell of executions as well.
func startWith(t *testing.T, live boardapi.Live) *world {
	st := memory.New()
	api, err := boardapi.New(t.Context(), boardapi.Config{Store: st, Live: live, Bell: feed.NewBell(&storetest.Direct{Store: st}), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	stopping, stop := context.WithCancel(context.Background())
	api.Register(mux, stopping)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(stop)
	return &world{t, srv.URL}
}

// fields are members of a JSON object.
type fields = map[string]any

// do makes a call; who is an agent's key, "" for the person at the machine.
func (w *world) do(who, method, path string, body any, headers ...string) (int, fields) {
	w.Helper()
	var text []byte
	switch body := body.(type) {
	case nil:
	case string:
		text = []byte(body)
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			w.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		w.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	check(w.T, req, text, res, answer)
	var got fields
	if len(answer) > 0 && json.Unmarshal(answer, &got) != nil {
		got = fields{"text": string(answer)}
	}
	return res.StatusCode, got
}

// ok makes a call that is to be answered.
func (w *world) ok(who, method, path string, body any, headers ...string) fields {
	w.Helper()
	status, got := w.do(who, method, path, body, headers...)
	if status/100 != 2 {
		w.Fatalf("%s %s: %d %v", method, path, status, got)
	}
	return got
}

// refused makes a call that is to be refused with a code.
func (w *world) refused(status int, code, who, method, path string, body any, headers ...string) fields {
	w.Helper()
	st, got := w.do(who, method, path, body, headers...)
	e, _ := got["error"].(fields)
	if st != status || e["code"] != code || e["message"] == "" {
		w.Fatalf("%s %s: %d %v, want %d %s", method, path, st, got, status, code)
	}
	return e
}

// at reads a member of members: at(v, "task", "state").
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(fields)
		v = m[p]
	}
	return v
}

func (w *world) want(v any, want any, path ...string) {
	w.Helper()
	if got := at(v, path...); fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s is %v, want %v", strings.Join(path, "."), got, want)
	}
}

// agent registers an agent of the project WEB and returns its key.
func (w *world) agent(slug, role string) string {
	w.Helper()
	w.ok("", "POST", "agents", fields{"slug": slug, "role": role, "projects": []string{"WEB"}})
	return w.ok("", "POST", "agents/"+slug+"/keys", nil)["key"].(string)
}

// A task goes to an agent, is delivered, reviewed twice, and opens the next one.
func TestStory(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	writer := w.agent("writer", "worker")
	w.want(w.ok("", "GET", "agents/writer", nil), "never_seen", "status", "label")
	w.want(w.ok(writer, "POST", "agent/heartbeat", nil), "idle", "label")
	w.want(w.ok(writer, "GET", "agent/me", nil), "writer", "slug")

	w.want(w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Draft", "assignee": "@writer", "output_schema": fields{"type": "object", "required": []string{"headline"}}}), "WEB-1", "key")
	w.want(w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Publish", "depends_on": []fields{{"task": "WEB-1", "pass_deliverables": true}}}), "inbox", "state")
	e := w.refused(409, "gate_closed", writer, "POST", "tasks/WEB-2/claim", nil)
	w.want(e, "[WEB-1]", "details", "waiting_on")

	offer := w.ok(writer, "GET", "agent/next", nil)
	w.want(offer, "assigned", "wakeup", "reason")
	w.want(offer, "WEB-1", "task", "key")
	if status, _ := w.do(writer, "GET", "agent/next", nil); status != 204 {
		t.Errorf("a second wakeup: %d", status)
	}

	claim := w.ok(writer, "POST", "tasks/WEB-1/claim", nil)
	lease := claim["lease_token"].(string)
	w.want(claim, "in_progress", "task", "state")
	w.want(w.ok("", "GET", "agents/writer", nil), "working", "status", "label")
	w.refused(409, "lease_lost", writer, "POST", "tasks/WEB-1/progress", fields{"lease_token": "x"})
	w.ok(writer, "POST", "tasks/WEB-1/progress", fields{"note": "half", "percent": 50}, "X-Lockstep-Lease", lease)
	d := w.ok(writer, "POST", "tasks/WEB-1/deliverables", fields{"lease_token": lease, "kind": "text", "title": "draft.md", "content": "# Hello"})
	w.want(w.ok(writer, "GET", "deliverables/"+d["id"].(string)+"/content", nil), "# Hello", "text")
	e = w.refused(422, "output_invalid", writer, "POST", "tasks/WEB-1/submit", fields{"lease_token": lease, "output": fields{}})
	if at(e, "details", "violations") == nil {
		t.Error("the violations are not said")
	}
	sent := w.ok(writer, "POST", "tasks/WEB-1/submit", fields{"lease_token": lease, "summary": "done", "output": fields{"headline": "Hello"}})
	w.want(sent, "review", "task", "state")

	inbox := w.ok("", "GET", "reviews?mine=1", nil)["reviews"].([]any)
	if len(inbox) != 1 {
		t.Fatalf("the inbox has %v", inbox)
	}
	review := at(inbox[0], "review", "id").(string)
	w.want(inbox[0], 1, "behind")
	w.refused(403, "forbidden", writer, "POST", "reviews/"+review+"/decision", fields{"verdict": "approve"})
	w.ok("", "POST", "reviews/"+review+"/decision", fields{"verdict": "changes_requested", "comment": "shorter"})
	w.refused(409, "review_closed", "", "POST", "reviews/"+review+"/decision", fields{"verdict": "approve"})

	w.want(w.ok(writer, "GET", "agent/next", nil), "changes_requested", "wakeup", "reason")
	lease = w.ok(writer, "POST", "tasks/WEB-1/claim", nil)["lease_token"].(string)
	sent = w.ok(writer, "POST", "tasks/WEB-1/submit", fields{"output": fields{"headline": "Hi"}}, "X-Lockstep-Lease", lease)
	w.want(w.ok("", "GET", "tasks?gate=closed", nil)["tasks"].([]any)[0], "WEB-2", "key")
	w.ok("", "POST", "reviews/"+at(sent, "review", "id").(string)+"/decision", fields{"verdict": "approve"})
	w.want(w.ok("", "GET", "tasks/WEB-1", nil), "done", "task", "state")
	w.want(w.ok("", "GET", "tasks/WEB-2", nil), "true", "gate", "open")
	w.want(w.ok(writer, "GET", "agent/next", nil), "WEB-2", "task", "key")
	w.want(w.ok(writer, "POST", "tasks/WEB-2/claim", nil), "in_progress", "task", "state")
	if got := w.ok("", "GET", "agents/writer/attempts", nil)["attempts"].([]any); len(got) != 3 {
		t.Errorf("%d attempts, want 3", len(got))
	}
}

func TestWhoMay(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	w.ok("", "POST", "projects", fields{"key": "SECRET", "name": "Secret"})
	w.ok("", "POST", "tasks", fields{"project": "SECRET", "title": "Hidden"})
	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Open"})
	w.ok("", "POST", "agents", fields{"slug": "other", "projects": []string{"SECRET"}})
	key := w.agent("writer", "worker")

	w.refused(401, "unauthorized", "lsa_wrong", "GET", "tasks", nil)
	w.refused(401, "unauthorized", "", "GET", "tasks", nil, "Authorization", "Basic eDp5")
	w.refused(401, "unauthorized", "lsa_wrong", "GET", "events/stream", nil)
	w.refused(401, "unauthorized", "lsa_wrong", "GET", "agent/next", nil)
	w.refused(403, "forbidden", "", "GET", "agent/next", nil)

	for _, call := range [][2]string{
		{"POST", "agents/writer/keys"}, {"GET", "agents/writer/keys"}, {"POST", "agents/writer/pause"}, {"POST", "projects"},
		{"POST", "agents"}, {"POST", "tasks/WEB-1/cancel"}, {"POST", "tasks/WEB-1/reopen"}, {"PATCH", "tasks/WEB-1"},
	} {
		body := any(nil)
		if call[1] == "agents" {
			body = fields{"slug": "twin", "projects": []string{"WEB"}}
		}
		w.refused(403, "forbidden", key, call[0], call[1], body)
	}
	for _, path := range []string{"projects/SECRET", "tasks/SECRET-1", "agents/other", "tasks/SECRET-1/comments", "tasks?project=SECRET", "activity?agent=other"} {
		w.refused(404, "not_found", key, "GET", path, nil)
	}
	f := func(path, list string, n int) {
		t.Helper()
		if got := w.ok(key, "GET", path, nil)[list].([]any); len(got) != n {
			t.Errorf("%s: %v, want %d", path, got, n)
		}
	}
	f("projects", "projects", 1)
	f("tasks", "tasks", 1)
	f("agents", "agents", 1)
	for _, e := range w.ok(key, "GET", "events?limit=200", nil)["events"].([]any) {
		if strings.HasPrefix(fmt.Sprint(at(e, "key")), "SECRET") {
			t.Errorf("the agent sees %v", e)
		}
	}

	id := w.ok("", "GET", "agents/writer/keys", nil)["keys"].([]any)[0]
	if at(id, "key") != nil {
		t.Error("a key is shown again")
	}
	w.ok("", "DELETE", "agents/writer/keys/"+at(id, "id").(string), nil)
	w.refused(401, "unauthorized", key, "GET", "tasks", nil)
	w.refused(404, "not_found", "", "DELETE", "agents/writer/keys/lsa_", nil)
}

func TestBadRequests(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	w.refused(400, "invalid", "", "POST", "tasks", fields{"project": "WEB", "titel": "x"})
	w.refused(400, "invalid", "", "POST", "tasks", `{"project":"WEB"`)
	w.refused(400, "invalid", "", "PATCH", "projects/WEB", fields{"policies": fields{"max_atempts": 1}})
	w.refused(413, "too_large", "", "POST", "tasks", fields{"project": "WEB", "title": "x", "description": strings.Repeat("x", 1<<20)})
	w.refused(422, "invalid_input", "", "POST", "tasks", fields{"project": "WEB"})
	w.refused(409, "already_exists", "", "POST", "projects", fields{"key": "WEB"})
	w.refused(404, "not_found", "", "POST", "tasks/WEB-9/claim", nil)
	for _, path := range []string{"tasks?stauts=done", "tasks?status=gone", "tasks?limit=0", "events?after=x", "tasks?updated_since=soon"} {
		w.refused(400, "invalid", "", "GET", path, nil)
	}
	for _, path := range []string{"tasks?cursor=x", "tasks?gate=ajar", "tasks?sort=size", "reviews?status=lost"} {
		w.refused(422, "invalid_input", "", "GET", path, nil)
	}

	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "A"})
	e := w.refused(409, "invalid_transition", "", "POST", "tasks/WEB-1/withdraw", nil)
	if at(e, "details", "allowed") == nil {
		t.Error("what is allowed is not said")
	}
	w.want(w.ok("", "PATCH", "tasks/WEB-1", fields{"title": "B"}, "If-Match", `"1"`), 2, "version")
	e = w.refused(409, "version_conflict", "", "PATCH", "tasks/WEB-1", fields{"title": "C"}, "If-Match", `"1"`)
	w.want(e, 2, "details", "version")

	once := w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Once"}, "Idempotency-Key", "k")
	again := w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Once"}, "Idempotency-Key", "k")
	w.want(again, once["id"], "id")

	w.want(w.ok("", "PATCH", "projects/WEB", fields{"policies": fields{"max_attempts": 7}}), 7, "policies", "max_attempts")
	w.want(w.ok("", "GET", "projects/WEB", nil), "human", "policies", "review_mode")
}

func TestPages(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	w.ok("", "POST", "projects", fields{"key": "APP", "name": "App"})
	for i := range 7 {
		w.ok("", "POST", "tasks", fields{"project": []string{"WEB", "APP"}[i%2], "title": fmt.Sprint("T", i), "assignee": []string{"", "user:local"}[i%2]})
	}
	f := func(query string, want int) {
		t.Helper()
		seen, cursor := map[string]bool{}, ""
		for {
			page := w.ok("", "GET", "tasks?limit=2&"+query+cursor, nil)
			for _, row := range page["tasks"].([]any) {
				seen[at(row, "key").(string)] = true
			}
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
		}
		if len(seen) != want {
			t.Errorf("%s: %v, want %d", query, seen, want)
		}
	}
	f("", 7)
	f("project=WEB", 4)
	f("assignee=me", 3)
	f("q=t3", 1)
	f("status=assigned,done", 3)
	f("status=done", 0)

	for i := range 3 {
		w.ok("", "POST", "tasks/WEB-1/comments", fields{"body": fmt.Sprint(i)})
	}
	page := w.ok("", "GET", "tasks/WEB-1/comments?limit=2", nil)
	page = w.ok("", "GET", "tasks/WEB-1/comments?limit=2&cursor="+page["next_cursor"].(string), nil)
	if list := page["comments"].([]any); len(list) != 1 || at(list[0], "body") != "2" || page["next_cursor"] != nil {
		t.Errorf("the second page is %v", page)
	}
}

// Of those who claim a task at once one gets it.
func TestClaimRace(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	keys := []string{""}
	for i := range 4 {
		keys = append(keys, w.agent(fmt.Sprint("a", i), "worker"))
	}
	for round := range 5 {
		w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "T", "review_mode": "none"})
		path := fmt.Sprintf("tasks/WEB-%d/", round+1)
		var wg sync.WaitGroup
		got := make([]int, len(keys))
		for i, key := range keys {
			wg.Go(func() { got[i], _ = w.do(key, "POST", path+"claim", nil) })
		}
		wg.Wait()
		won := 0
		for _, status := range got {
			if status == 200 {
				won++
			} else if status != 409 {
				t.Errorf("a claim was answered with %d", status)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %v", round, got)
		}
		w.ok("", "POST", path+"cancel", nil)
	}
}

// sse reads a stream.
type sse struct {
	*testing.T
	lines *bufio.Scanner
	close func() error
}

func (w *world) stream(who, path string, headers ...string) *sse {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), "GET", w.url+"/api/v1/"+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		w.Fatal(res.Status, res.Header)
	}
	w.Cleanup(func() { res.Body.Close() })
	s := &sse{w.T, bufio.NewScanner(res.Body), res.Body.Close}
	if id, kind := s.next(); id != "" || kind != "hello" {
		w.Fatalf("a stream begins with a %s", kind)
	}
	return s
}

// next is the id and type of the next event.
func (s *sse) next() (id, kind string) {
	s.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = v
		}
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			kind = v
		}
		if line == "" && kind != "" {
			return id, kind
		}
	}
	s.Fatal("the stream has ended", s.lines.Err())
	return "", ""
}

// A stream goes on after the last event that its reader has seen: each comes once.
func TestStreamResumes(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	s := w.stream("", "events/stream?after=0&type=task.*")
	var ids []string
	for i := range 3 {
		w.ok("", "POST", "tasks", fields{"project": "WEB", "title": fmt.Sprint(i)})
		id, kind := s.next()
		if kind != "task.create" {
			t.Errorf("a %s", kind)
		}
		ids = append(ids, id)
	}
	s.close()
	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "meanwhile"})
	s = w.stream("", "events", "Accept", "text/event-stream", "Last-Event-ID", ids[0])
	if first, _ := s.next(); first != ids[1] {
		t.Errorf("goes on with %s, want %s", first, ids[1])
	}
	last := 0
	for _, e := range w.ok("", "GET", "events?limit=200", nil)["events"].([]any) {
		last++
		w.want(e, last, "seq")
	}
	if page := w.ok("", "GET", "events?limit=2&after=3", nil); len(page["events"].([]any)) != 2 || at(page, "next") != 5.0 {
		t.Errorf("a page of two after 3 is %v", page)
	}
}

// Who waits for work is answered when there is some.
func TestNextWaits(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	key := w.agent("writer", "worker")
	s := w.stream("", "events/stream")
	got := make(chan fields)
	go func() {
		_, offer := w.do(key, "GET", "agent/next?wait=50", nil)
		got <- offer
	}()
	if _, kind := s.next(); kind != "agent.status" { // it has called
		t.Errorf("a %s, want the agent's status", kind)
	}
	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "T", "assignee": "@writer"})
	w.want(<-got, "WEB-1", "task", "key")
}

// A lead decides in its projects, an agent asks and is answered, files go by their
// hash, and work is handed on.
func TestWorkTogether(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	writer, boss := w.agent("writer", "worker"), w.agent("boss", "lead")
	w.agent("editor", "worker")
	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "T", "assignee": "@writer", "review_mode": "lead"})
	claim := func() string {
		t.Helper()
		return w.ok(writer, "POST", "tasks/WEB-1/claim", nil)["lease_token"].(string)
	}

	lease := claim()
	w.refused(422, "block_needs_owner", writer, "POST", "tasks/WEB-1/block", fields{"lease_token": lease, "kind": "external", "reason": "r", "action": "a"})
	w.ok(writer, "POST", "tasks/WEB-1/block", fields{"lease_token": lease, "kind": "question", "reason": "which logo?", "owner": "@local", "action": "name one"})
	w.want(w.ok("", "GET", "agents/writer", nil), "blocked", "status", "label")
	w.refused(403, "forbidden", writer, "POST", "tasks/WEB-1/answer", fields{"answer": "any"})
	w.want(w.ok("", "POST", "tasks/WEB-1/answer", fields{"answer": "the new one"}), "assigned", "state")

	lease = claim()
	blob := w.ok(writer, "POST", "blobs", "\x00bytes")["blob"]
	d := w.ok(writer, "POST", "tasks/WEB-1/deliverables", fields{"lease_token": lease, "kind": "file", "title": "logo", "blob": blob})
	w.want(w.ok("", "GET", "deliverables/"+d["id"].(string)+"/content", nil), "\x00bytes", "text")
	review := at(w.ok(writer, "POST", "tasks/WEB-1/submit", fields{"lease_token": lease, "summary": "s"}), "review", "id").(string)
	if list := w.ok(writer, "GET", "reviews?mine=1", nil)["reviews"].([]any); len(list) != 0 {
		t.Errorf("the author's inbox has %v", list)
	}
	if list := w.ok(boss, "GET", "reviews?mine=1", nil)["reviews"].([]any); len(list) != 1 {
		t.Errorf("the lead's inbox has %v", list)
	}
	w.ok(boss, "POST", "reviews/"+review+"/decision", fields{"verdict": "changes_requested", "comment": "larger"})

	lease = claim()
	h := w.ok(writer, "POST", "tasks/WEB-1/handoffs", fields{"lease_token": lease, "to": "@editor", "mode": "transfer", "summary": "it needs an editor"})
	w.want(h, "accepted", "state")
	w.refused(409, "lease_lost", writer, "POST", "tasks/WEB-1/submit", fields{"lease_token": lease, "summary": "late"})
	results := w.ok("", "POST", "reviews/decisions", fields{"decisions": []fields{{"review": review, "verdict": "approve"}, {"review": "none", "verdict": "approve"}}})["results"].([]any)
	w.want(results[0], "review_closed", "error", "code")
	w.want(results[1], "not_found", "error", "code")
	v := w.ok("", "GET", "tasks/WEB-1", nil)
	w.want(v, "assigned", "task", "state")
	w.want(v, h["to"], "task", "assignee")
	if got := w.ok(boss, "GET", "agents/editor", nil); got["connection"] != nil {
		t.Errorf("an agent sees %v of another", got)
	}
}
