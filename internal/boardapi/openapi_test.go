package boardapi_test

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/openapi"
)

// contract is the OpenAPI document, which every answer in the tests of this
// package is held against.
type contract struct {
	mux      *http.ServeMux
	routes   map[string]openapi.Route
	compiler *jsonschema.Compiler

	mu   sync.Mutex
	seen map[string]bool // patterns whose answers were looked at
}

var theContract = sync.OnceValues(func() (*contract, error) {
	c := &contract{mux: http.NewServeMux(), routes: map[string]openapi.Route{}, compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	d := openapi.Document{Title: "The board", Version: "1", Routes: boardapi.Routes(), Enums: boardapi.Enums()}
	text, err := d.JSON()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, r := range d.Routes {
		c.routes[r.Pattern] = r
		c.mux.Handle(r.Pattern, http.NotFoundHandler())
	}
	return c, c.compiler.AddResource("mem:///board.json", doc)
})

// schema finds the schema at a place within an operation.
func (c *contract) schema(pattern, place string) (*jsonschema.Schema, error) {
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
	return c.compiler.Compile("mem:///board.json#/paths/" + path + "/" + strings.ToLower(method) + "/" + place + "/content/application~1json/schema")
}

// check holds a call that was answered against the document.
func check(t *testing.T, req *http.Request, in []byte, res *http.Response, out []byte) {
	t.Helper()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode/100 != 2 {
		return
	}
	_, pattern := c.mux.Handler(req)
	r, known := c.routes[pattern]
	if !known {
		t.Fatalf("%s %s is in no route of the document", req.Method, req.URL.Path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[pattern] = true
	fits := func(place string, text []byte) {
		t.Helper()
		s, err := c.schema(pattern, place)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("the document does not tell the truth about the %s of %s: %v\n%s", place, pattern, err, text)
		}
	}
	if r.In != nil && len(in) > 0 {
		fits("requestBody", in)
	}
	switch {
	case r.OutType != "":
	case len(out) == 0:
		if res.StatusCode != http.StatusNoContent || r.Out != nil && pattern != "GET /api/v1/agent/next" {
			t.Errorf("%s answers with nothing", pattern)
		}
	case r.Out == nil:
		t.Errorf("%s answers with %s, of which the document says nothing", pattern, out)
	default:
		fits("responses/200", out)
	}
	for name := range req.URL.Query() {
		if !slices.ContainsFunc(r.Query, func(p openapi.Param) bool { return p.Name == name }) {
			t.Errorf("the parameter %s of %s is not in the document", name, pattern)
		}
	}
	if tag := res.Header.Get("ETag"); r.Tagged {
		if n, err := strconv.Atoi(strings.Trim(tag, `"`)); err != nil || n < 1 {
			t.Errorf("%s answers with the ETag %q", pattern, tag)
		}
	}
}

// TestAnswersFitTheDocument makes calls that the other tests do not: all of them
// are held against the document.
func TestAnswersFitTheDocument(t *testing.T) {
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web", "policies": fields{"max_attempts": 5}})
	w.ok("", "GET", "projects", nil)
	w.ok("", "GET", "users?limit=1", nil)
	key := w.agent("writer", "worker")
	w.ok("", "GET", "agents?project=WEB&status=never_seen", nil)
	w.ok("", "GET", "agents/writer/keys", nil)
	w.want(w.ok("", "PATCH", "agents/writer", fields{"slots": 3, "capabilities": []string{"text"}, "connection": fields{"url": "http://x"}}), 3, "slots")
	w.refused(409, "version_conflict", "", "PATCH", "agents/writer", fields{"slots": 2}, "If-Match", `"1"`)
	w.refused(403, "forbidden", key, "PATCH", "agents/writer", fields{"slots": 2})
	w.ok("", "POST", "agents/writer/messages", fields{"body": "hello"})
	w.ok(key, "GET", "agents/writer/messages", nil)
	w.want(w.ok(key, "GET", "agent/next", nil), "Message of @local:\nhello", "wakeup", "note")
	w.ok(key, "GET", "agent/next?wait=0", nil)
	w.ok(key, "POST", "agent/heartbeat", nil)
	w.ok(key, "GET", "agent/me", nil)
	w.ok("", "GET", "agents/writer/status-history", nil)
	w.ok("", "GET", "agents/writer", nil)

	w.ok("", "POST", "templates", fields{"project": "WEB", "name": "page", "task": fields{"title": "A page", "priority": "high"}})
	w.ok("", "PATCH", "templates/WEB:page", fields{"description": "for pages"})
	w.ok("", "GET", "templates/WEB:page", nil)
	w.ok("", "GET", "templates?project=WEB", nil)
	w.want(w.ok("", "POST", "tasks", fields{"project": "WEB", "template": "page"}), "high", "priority")
	w.ok("", "DELETE", "templates/WEB:page", nil)

	w.ok("", "POST", "recurring", fields{"project": "WEB", "name": "weekly", "expression": "cron(0 8 ? * MON *)", "timezone": "Europe/Berlin", "task": fields{"title": "Report"}})
	w.refused(422, "invalid_input", "", "POST", "recurring", fields{"project": "WEB", "name": "never", "expression": "cron(0 8)", "task": fields{"title": "Report"}})
	w.ok("", "PATCH", "recurring/WEB:weekly", fields{"paused": true})
	w.ok("", "GET", "recurring/WEB:weekly", nil)
	w.ok("", "GET", "recurring", nil)
	w.ok("", "DELETE", "recurring/WEB:weekly", nil)

	w.ok("", "GET", "tasks?sort=updated&updated_since=2026-01-01T00:00:00Z", nil)
	w.ok("", "GET", "tasks/WEB-1/attempts", nil)
	w.ok("", "GET", "tasks/WEB-1/handoffs", nil)
	w.ok("", "GET", "tasks/WEB-1/comments", nil)
	w.ok("", "GET", "activity?type=task.*&agent=writer", nil)
	w.ok("", "POST", "tasks/WEB-1/assign", fields{"assignee": "@writer"})
	w.ok("", "POST", "tasks/WEB-1/unassign", nil)
	w.ok("", "DELETE", "tasks/WEB-1", nil)
	w.refused(404, "not_found", "", "GET", "tasks/WEB-1", nil)

	one := w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "A"})["key"].(string)
	two := w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "B"})["key"].(string)
	// A key that is used for another task is another call.
	w.want(w.ok("", "POST", "tasks/"+one+"/claim", nil, "Idempotency-Key", "k"), one, "task", "key")
	w.want(w.ok("", "POST", "tasks/"+two+"/claim", nil, "Idempotency-Key", "k"), two, "task", "key")
	w.ok("", "POST", "tasks/"+one+"/release", fields{"note": "later"})
	w.ok("", "POST", "tasks/"+one+"/cancel", nil)
	w.ok("", "POST", "tasks/"+one+"/reopen", nil)
	w.ok("", "GET", "reviews?status=closed&kind=plan", nil)
	w.ok("", "POST", "agents/writer/pause", fields{"reason": "manual"})
	w.ok("", "POST", "agents/writer/resume", nil)
	w.ok("", "POST", "agents/writer/wake", fields{"note": "come"})
	w.ok("", "POST", "agents/writer/retire", nil)
}
