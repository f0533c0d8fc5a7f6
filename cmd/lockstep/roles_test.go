package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// team is a server with sign-in, and somebody of each kind to call it.
type team struct {
	*testing.T
	srv     *server
	callers map[string]http.Header
	lease   string // of WEB-1, which @writer works on
	review  string // of WEB-2
	note    string // a deliverable
	comment string
	key     string // of @writer, to be revoked
}

const (
	teamPassword = "a long enough password"
)

func openTeamServer(t *testing.T) *server {
	t.Helper()
	s := testSettings(t, t.TempDir())
	s.signIn = signIn{on: true}
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	return srv
}

// do makes a call as somebody.
func (w *team) do(who, method, path, body string, header ...string) (int, map[string]any, http.Header) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.srv.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for name, values := range w.callers[who] {
		req.Header[name] = values
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	var got map[string]any
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res.StatusCode, nil, res.Header
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	if json.Unmarshal(text, &got) != nil {
		got = map[string]any{"text": string(text)}
	}
	return res.StatusCode, got, res.Header
}

func (w *team) ok(who, method, path, body string, header ...string) map[string]any {
	w.Helper()
	status, got, _ := w.do(who, method, "/api/v1/"+path, body, header...)
	if status/100 != 2 {
		w.Fatalf("%s %s as %s: %d %v", method, path, who, status, got)
	}
	return got
}

// signedIn are the headers of a new session.
func (w *team) signedIn(path, body string) http.Header {
	w.Helper()
	status, got, header := w.do("", "POST", "/api/v1/"+path, body)
	if status != 200 {
		w.Fatalf("%s: %d %v", path, status, got)
	}
	var cookies []string
	for _, c := range (&http.Response{Header: header}).Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return http.Header{"Cookie": {strings.Join(cookies, "; ")}, "X-Lockstep-Csrf": {got["csrf"].(string)}}
}

func tokenOf(url any) string {
	_, token, _ := strings.Cut(url.(string), "token=")
	return token
}

func bearer(key any) http.Header { return http.Header{"Authorization": {"Bearer " + key.(string)}} }

// whole are those who call, in the order of the table's columns.
var whole = []string{"nobody", "viewer", "member", "reviewer", "admin", "owner", "agent", "other", "lead", "service", "revoked", "stale"}

func openTeam(t *testing.T) *team {
	w := &team{T: t, srv: openTeamServer(t), callers: map[string]http.Header{}}
	link, err := w.srv.auth.OwnerLink(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	w.callers["owner"] = w.signedIn("bootstrap", fmt.Sprintf(`{"token":%q,"name":"ada","password":%q}`, tokenOf(link.URL), teamPassword))
	for _, role := range []string{"viewer", "member", "reviewer", "admin"} {
		made := w.ok("owner", "POST", "users", fmt.Sprintf(`{"name":"a-%s","role":%q}`, role, role))
		w.callers[role] = w.signedIn("bootstrap", fmt.Sprintf(`{"token":%q,"password":%q}`, tokenOf(made["link"].(map[string]any)["url"]), teamPassword))
	}
	w.ok("owner", "POST", "users", `{"name":"victim","role":"viewer"}`)
	w.ok("owner", "POST", "projects", `{"key":"WEB"}`)
	w.ok("owner", "POST", "projects", `{"key":"APP"}`)
	for _, a := range []string{`{"slug":"writer","projects":["WEB"],"slots":1000}`, `{"slug":"stranger","projects":["APP"]}`, `{"slug":"boss","projects":["WEB"],"role":"lead"}`, `{"slug":"spare","projects":["WEB"]}`} {
		w.ok("owner", "POST", "agents", a)
	}
	w.callers["agent"] = bearer(w.ok("owner", "POST", "agents/writer/keys", ``)["key"])
	w.callers["other"] = bearer(w.ok("owner", "POST", "agents/stranger/keys", ``)["key"])
	w.callers["lead"] = bearer(w.ok("owner", "POST", "agents/boss/keys", ``)["key"])
	revoked := w.ok("owner", "POST", "agents/writer/keys", ``)
	w.callers["revoked"] = bearer(revoked["key"])
	w.ok("owner", "DELETE", "agents/writer/keys/"+revoked["id"].(string), "")
	w.key = w.ok("owner", "POST", "agents/spare/keys", ``)["id"].(string)
	w.callers["service"] = bearer(w.ok("owner", "POST", "service-keys", `{"name":"scrape","scopes":["metrics"]}`)["key"])
	w.callers["stale"] = w.signedIn("session", fmt.Sprintf(`{"name":"ada","password":%q}`, teamPassword))
	w.ok("stale", "DELETE", "session", "")

	w.ok("owner", "POST", "tasks", `{"project":"WEB","title":"one","assignee":"@writer","review_mode":"human"}`)
	w.ok("owner", "POST", "tasks", `{"project":"WEB","title":"two","assignee":"@writer"}`)
	w.ok("owner", "POST", "tasks", `{"project":"WEB","title":"three","assignee":"user:ada"}`)
	w.lease = w.ok("agent", "POST", "tasks/WEB-1/claim", "")["lease_token"].(string)
	second := w.ok("agent", "POST", "tasks/WEB-2/claim", "")["lease_token"].(string)
	w.note = w.ok("agent", "POST", "tasks/WEB-2/deliverables", `{"kind":"text","title":"t","content":"c","lease_token":"`+second+`"}`)["id"].(string)
	w.review = w.ok("agent", "POST", "tasks/WEB-2/submit", `{"summary":"s","lease_token":"`+second+`"}`)["review"].(map[string]any)["id"].(string)
	w.ok("owner", "POST", "templates", `{"project":"WEB","name":"page","task":{"title":"t"}}`)
	w.ok("owner", "POST", "recurring", `{"project":"WEB","name":"weekly","expression":"cron(0 8 ? * MON *)","task":{"title":"t"}}`)
	w.comment = w.ok("owner", "POST", "tasks/WEB-1/comments", `{"body":"hello"}`)["id"].(string)
	return w
}

// patternsOf lists what is registered. The mux does not say, so this looks into
// it; that it finds what is known to be there is tested below.
func patternsOf(mux *http.ServeMux) []string {
	found := map[string]bool{}
	add := func(patterns reflect.Value) {
		for i := range patterns.Len() {
			found[patterns.Index(i).Elem().FieldByName("str").String()] = true
		}
	}
	index := reflect.ValueOf(mux).Elem().FieldByName("index")
	add(index.FieldByName("multis"))
	for segments := index.FieldByName("segments").MapRange(); segments.Next(); {
		add(segments.Value())
	}
	var list []string
	for p := range found {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// bodies are what calls say, where nothing does not do.
var bodies = map[string]string{
	"POST /api/v1/projects": `{"key":"P%d"}`, "PATCH /api/v1/projects/{project}": `{"name":"n"}`,
	"POST /api/v1/agents": `{"slug":"bot%d","projects":["WEB"]}`, "PATCH /api/v1/agents/{agent}": `{"name":"n"}`,
	"POST /api/v1/agents/{agent}/wake": `{"task":"WEB-1"}`,
	"POST /api/v1/tasks":               `{"project":"WEB","title":"t"}`, "PATCH /api/v1/tasks/{task}": `{"title":"t"}`,
	"POST /api/v1/tasks/{task}/assign": `{"assignee":"@writer"}`, "POST /api/v1/tasks/{task}/progress": `{"note":"n"}`,
	"POST /api/v1/tasks/{task}/submit": `{"summary":"s"}`, "POST /api/v1/tasks/{task}/block": `{"kind":"external","reason":"r","action":"a"}`,
	"POST /api/v1/tasks/{task}/answer": `{"answer":"a"}`, "POST /api/v1/tasks/{task}/fail": `{"message":"m","category":"agent"}`,
	"POST /api/v1/tasks/{task}/comments": `{"body":"b"}`, "POST /api/v1/tasks/{task}/deliverables": `{"kind":"text","title":"t","content":"c"}`,
	"POST /api/v1/tasks/{task}/handoffs": `{"to":"@boss","mode":"follow_up","summary":"s"}`,
	"POST /api/v1/reviews":               `{"kind":"question","project":"WEB","title":"t"}`, "POST /api/v1/reviews/{review}/decision": `{"verdict":"approve"}`,
	"POST /api/v1/reviews/{review}/delegate": `{"to":"user:ada"}`, "POST /api/v1/reviews/{review}/snooze": `{"until":"2030-01-01T00:00:00Z"}`,
	"POST /api/v1/reviews/decisions": `{"decisions":[{"review":"x","verdict":"approve"}]}`,
	"POST /api/v1/users":             `{"name":"u%d"}`, "PATCH /api/v1/users/{name}": `{"display":"d"}`,
	"POST /api/v1/users/{name}/password": `{"old":"x","new":"` + teamPassword + `"}`,
	"POST /api/v1/tokens":                `{"name":"n"}`, "POST /api/v1/access-keys": `{"name":"n"}`, "POST /api/v1/service-keys": `{"scopes":["read"]}`,
	"PUT /api/v1/projects/{project}/members/{user}": `{"role":"viewer"}`,
	"POST /api/v1/session":                          `{"who":"?"}`, "POST /api/v1/bootstrap": `{"token":"x"}`,
	"PUT /api/v1/budgets/{budget}": `{"scope":"workspace","window":"day","metric":"billed_usd","hard":1000000000}`,
	"POST /api/v1/blobs":           "bytes", "POST /api/v1/agents/{agent}/messages": `{"body":"b"}`,

	"POST /api/v1/templates": `{"project":"WEB","name":"n%d","task":{"title":"t"}}`, "PATCH /api/v1/templates/{template}": `{"description":"d"}`,
	"POST /api/v1/recurring":              `{"project":"WEB","name":"n%d","expression":"cron(0 8 ? * MON *)","task":{"title":"t"}}`,
	"PATCH /api/v1/recurring/{recurring}": `{"paused":true}`,
	"POST /api/v1/agents/discover":        `{"url":"http://gateway.invalid:1","gateway_token":"t"}`,
}

// fresh makes a task in the state that a route is about, and says its key, the
// secret of @writer's lease on it and its review.
func (w *team) fresh(pattern string) (task, lease, review string) {
	w.Helper()
	verb := pattern[strings.LastIndex(pattern, "/")+1:]
	assignee := "@writer"
	if verb == "claim" || verb == "assign" {
		assignee = ""
	}
	task = w.ok("owner", "POST", "tasks", fmt.Sprintf(`{"project":"WEB","title":"t","assignee":%q}`, assignee))["key"].(string)
	begin := func() {
		lease = w.ok("agent", "POST", "tasks/"+task+"/claim", "")["lease_token"].(string)
	}
	submit := func() {
		begin()
		review = w.ok("agent", "POST", "tasks/"+task+"/submit", `{"summary":"s","lease_token":"`+lease+`"}`)["review"].(map[string]any)["id"].(string)
	}
	switch verb {
	case "progress", "submit", "block", "fail", "release", "deliverables", "handoffs":
		begin()
	case "withdraw", "decision", "delegate", "snooze":
		submit()
	case "answer", "unblock":
		begin()
		kind := map[string]string{"answer": "question", "unblock": "external"}[verb]
		w.ok("agent", "POST", "tasks/"+task+"/block", `{"kind":"`+kind+`","reason":"r","owner":"@ada","action":"a","lease_token":"`+lease+`"}`)
	case "reopen":
		w.ok("owner", "POST", "tasks/"+task+"/cancel", "")
	}
	return task, lease, review
}

// fill puts what there is into a pattern's path.
func (w *team) fill(pattern string) (method, path, lease string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "GET", pattern
	}
	task, review := "WEB-1", w.review
	if method != "GET" && (strings.Contains(path, "{task}") || strings.Contains(path, "{review}")) {
		task, lease, review = w.fresh(pattern)
	}
	for name, value := range map[string]string{
		"{project}": "WEB", "{agent}": "spare", "{task}": task, "{other}": "WEB-3", "{review}": review, "{deliverable}": w.note,
		"{comment}": w.comment, "{handoff}": "none", "{name}": "victim", "{user}": "victim", "{key}": w.key, "{session}": "none", "{id}": "none",
		"{template}": "WEB:page", "{recurring}": "WEB:weekly",
	} {
		path = strings.ReplaceAll(path, name, value)
	}
	for strings.Contains(path, "{") {
		i, j := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:i] + "none" + path[j+1:]
	}
	return method, path, lease
}

// TestWhoMay calls every route as everybody and compares what came of it with the
// table in testdata/roles.txt: y let in, n refused (also for want of the lease, or
// since the task is another's), - not there for the caller, or not there at all. A route that the table does not know fails the test: say in
// internal/auth/rights.go who may come to it, add it to the table with
// UPDATE=1 go test ./cmd/lockstep -run TestWhoMay, and read what that wrote.
//
// What is forged has tests elsewhere: CSRF tokens, origins and AWS signatures in
// internal/auth, webhooks' signatures in internal/trigger (TestSignatures), leases
// in internal/control (TestALostLease).
func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := openTeam(t)
	file := filepath.Join("testdata", "roles.txt")
	want := map[string]string{}
	text, err := os.ReadFile(file)
	if err != nil && os.Getenv("UPDATE") == "" {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if columns, pattern, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && !strings.HasPrefix(line, "#") {
			want[strings.TrimSpace(pattern)] = columns
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Who may come to which route: y let in, n refused (401, 403, lease_lost, not_assignee), - not found (404).\n# %s\n", strings.Join(whole, " "))
	seen := 0
	patterns := patternsOf(w.srv.routes)
	slices.SortStableFunc(patterns, func(a, b string) int { return rank(a) - rank(b) }) // what takes away comes last
	for _, pattern := range patterns {
		if !strings.Contains(pattern, "/api/v1/") {
			continue
		}
		seen++
		var got []string
		for i, who := range whole {
			method, path, lease := w.fill(pattern)
			body := bodies[pattern]
			if strings.Contains(body, "%d") {
				body = fmt.Sprintf(body, i)
			}
			var header []string
			if who == "agent" && lease != "" {
				header = []string{"X-Lockstep-Lease", lease}
			}
			status, answer, _ := w.do(who, method, path, body, header...)
			failed, _ := answer["error"].(map[string]any)
			letter := "y"
			switch {
			case status == http.StatusUnauthorized, status == http.StatusForbidden, failed["code"] == "lease_lost", failed["code"] == "not_assignee":
				letter = "n"
			case status == http.StatusNotFound:
				letter = "-"
			case status == http.StatusInternalServerError:
				letter = "!"
			}
			got = append(got, letter)
		}
		line := strings.Join(got, " ")
		fmt.Fprintf(&out, "%s  %s\n", line, pattern)
		if want[pattern] == "" {
			t.Errorf("%s is new: who may come to it? The table does not say.", pattern)
		} else if line != want[pattern] && os.Getenv("UPDATE") == "" {
			t.Errorf("%s:\nwho  %s\ngot  %s\nwant %s", pattern, strings.Join(whole, " "), line, want[pattern])
		}
		delete(want, pattern)
	}
	for pattern := range want {
		t.Errorf("%s is in the table, and is not registered any more", pattern)
	}
	if seen < 80 {
		t.Errorf("found %d routes: has http.ServeMux changed?", seen)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rank sorts what changes little before what ends things.
func rank(pattern string) int {
	switch {
	case strings.HasPrefix(pattern, "GET "):
		return 0
	case strings.HasSuffix(pattern, "DELETE /api/v1/session"):
		return 9
	case strings.HasPrefix(pattern, "DELETE "), strings.HasSuffix(pattern, "/retire"):
		return 5
	case strings.HasSuffix(pattern, "/decision"), strings.HasSuffix(pattern, "/withdraw"), strings.HasSuffix(pattern, "/cancel"):
		return 4
	}
	return 1
}
