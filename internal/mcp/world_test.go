package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/mcp"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// world is a server with a board and its door for agents.
type world struct {
	testing.TB
	url   string
	board *control.Board
	stop  func() // ends what waits, as a server that stops does
	human control.Call
}

func start(t testing.TB) *world {
	st := memory.New()
	writes := &storetest.Direct{Store: st}
	bell := feed.NewBell(writes)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	api, err := boardapi.New(t.Context(), boardapi.Config{Store: st, Bell: bell, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	costs, err := ledger.Open(t.Context(), ledger.Config{Store: st, Write: writes.Write, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	used := spend.New(spend.Config{Ledger: costs, Workspace: "local", Write: bell.Write, Rings: bell.Next, Log: log})
	used.Connect(api.Board())
	stopping, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	api.Register(mux, stopping)
	mux.Handle("/mcp", rest.Local(mcp.New(mcp.Config{
		Board: api.Board(), Bell: bell, Identify: api.Identify, Usage: used, Stopping: stopping, Version: "test", Log: log,
	})))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(stop)
	w := &world{TB: t, url: srv.URL, board: api.Board(), stop: stop}
	u, err := w.board.User(t.Context(), control.Call{Workspace: "local", By: control.System}, "local")
	if err != nil {
		t.Fatal(err)
	}
	w.human = control.Call{Workspace: "local", By: control.User(u.ID)}
	w.project("WEB")
	return w
}

// by is a call of the person at the machine.
func (w *world) by() control.Call {
	c := w.human
	c.At = time.Now()
	return c
}

func must[T any](w *world, v T, err error) T {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return v
}

func (w *world) project(key string) {
	p, err := w.board.CreateProject(w.Context(), w.by(), control.NewProject{Key: key, Policies: control.Policies{FailingAfter: 100}})
	must(w, p, err)
}

// task makes a task of the project WEB.
func (w *world) task(in control.NewTask) *control.Task {
	w.Helper()
	in.Project = "WEB"
	t, err := w.board.CreateTask(w.Context(), w.by(), in)
	return must(w, t, err)
}

// key registers an agent and makes its key.
func (w *world) key(slug, role string, projects ...string) string {
	w.Helper()
	_, err := w.board.CreateAgent(w.Context(), w.by(), control.NewAgent{Slug: slug, Role: role, Projects: projects})
	if err != nil {
		w.Fatal(err)
	}
	res, err := http.Post(w.url+"/api/v1/agents/"+slug+"/keys", "application/json", strings.NewReader("{}"))
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	var k struct{ Key string }
	if err := json.NewDecoder(res.Body).Decode(&k); err != nil || k.Key == "" {
		w.Fatalf("no key: %v", err)
	}
	return k.Key
}

// bearer sends a key with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// agent is an agent with a session of the SDK's client.
type agent struct {
	*world
	session *sdk.ClientSession
}

func (w *world) connect(key string) *agent {
	w.Helper()
	return w.over(&sdk.StreamableClientTransport{Endpoint: w.url + "/mcp", HTTPClient: &http.Client{Transport: bearer(key)}})
}

func (w *world) over(transport sdk.Transport) *agent {
	w.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(w.Context(), transport, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { session.Close() })
	return &agent{w, session}
}

// worker is a new worker of WEB.
func (w *world) worker(slug string) *agent { return w.connect(w.key(slug, "worker", "WEB")) }

type fields = map[string]any

// call calls a tool.
func (a *agent) call(tool string, args fields) (fields, bool) {
	a.Helper()
	res, err := a.session.CallTool(a.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.Fatalf("%s: %v", tool, err)
	}
	got, _ := res.StructuredContent.(fields)
	if got == nil {
		a.Fatalf("%s: no structured content: %+v", tool, res)
	}
	// Who reads the text alone learns as much.
	var text fields
	last := res.Content[len(res.Content)-1].(*sdk.TextContent).Text
	if err := json.Unmarshal([]byte(last), &text); err != nil || fmt.Sprint(text) != fmt.Sprint(got) {
		a.Errorf("%s: the text differs from the structured content: %s", tool, last)
	}
	if first := res.Content[0].(*sdk.TextContent).Text; len(res.Content) == 2 && first != got["next"] {
		a.Errorf("%s: the first text is %q, not the next step %q", tool, first, got["next"])
	}
	return got, res.IsError
}

// ok calls a tool that is to do what it is asked.
func (a *agent) ok(tool string, args fields) fields {
	a.Helper()
	got, failed := a.call(tool, args)
	if failed {
		a.Fatalf("%s: %v", tool, got)
	}
	return got
}

// refused calls a tool that is to refuse with a code, and returns the details.
func (a *agent) refused(code, tool string, args fields) any {
	a.Helper()
	got, failed := a.call(tool, args)
	if !failed || at(got, "error", "code") != code || at(got, "error", "message") == "" {
		a.Fatalf("%s: %v, want it refused with %s", tool, got, code)
	}
	return at(got, "error", "details")
}

// at reads a member: names of members, numbers of lists.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(fields)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (w *world) want(v any, want any, path ...any) {
	w.Helper()
	if got := at(v, path...); fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%v is %v, want %v", path, got, want)
	}
}
