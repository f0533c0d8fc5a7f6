package boardapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// purse is a world whose usage is kept, with a clock for its budgets.
type purse struct {
	*world
	store *memory.Store
	spend *spend.Keeper
	board *control.Board
	told  *notices.Notices

	mu   sync.Mutex
	late time.Duration // how far the budgets' clock is ahead
}

func startPurse(t *testing.T) *purse { return openPurse(t, memory.New()) }

func openPurse(t *testing.T, st *memory.Store) *purse {
	t.Helper()
	p := &purse{store: st}
	bell := feed.NewBell(&storetest.Direct{Store: st})
	l, err := ledger.Open(t.Context(), ledger.Config{Store: st, Write: bell.Write,
		Kept: func(ctx context.Context, tx store.Tx, list []store.Usage) error { return p.spend.Kept(ctx, tx, list) }})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	p.spend = spend.New(spend.Config{Ledger: l, Workspace: "local", Write: bell.Write, Rings: bell.Next, Log: log, Now: p.now})
	p.told = notices.New(notices.Config{
		Workspace: "local", Store: st, Write: bell.Write, Rings: bell.Next, Key: seal.At(filepath.Join(t.TempDir(), "key")), Client: http.DefaultClient, Now: p.now, Log: log,
		URL: func() string { return "https://board.example.com" },
		Check: func(u *url.URL) error {
			if u.Hostname() != "127.0.0.1" {
				return errors.New(u.Host + " is not allowed")
			}
			return nil
		},
	})
	quiet := health.New(health.Config{Workspace: "local", Store: st, Write: bell.Write, Rings: bell.Next, Log: log})
	api, err := boardapi.New(t.Context(), boardapi.Config{Store: st, Bell: bell, Log: log, Spend: p.spend, Notices: p.told, Health: quiet,
		Board: control.Config{Budget: p.spend.Blocked, Happened: p.told.Happened}})
	if err != nil {
		t.Fatal(err)
	}
	p.board = api.Board()
	mux := http.NewServeMux()
	stopping, stop := context.WithCancel(context.Background())
	api.Register(mux, stopping)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(stop)
	p.world = &world{t, srv.URL}
	return p
}

func (p *purse) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.late)
}

// report makes one report of usage that is to be recorded, and returns its result.
func (p *purse) report(who string, event fields) fields {
	p.Helper()
	r := p.reports(who, event)
	if r["status"] != "recorded" {
		p.Fatalf("%v: %v", event, r)
	}
	return r
}

func (p *purse) reports(who string, event fields) fields {
	p.Helper()
	if event["model"] == nil {
		event["provider"], event["model"] = "test", "m"
	}
	got := p.ok(who, "POST", "usage", fields{"events": []any{event}})
	return got["results"].([]any)[0].(fields)
}

// prices makes the model test/m cost what the test vectors say.
func (p *purse) prices() {
	p.Helper()
	p.ok("", "PUT", "prices/overrides", `{"models":[{"provider":"test","id":"m","prices":[{"rates":{
		"input":3000000000,"output":15000000000,"cache_read":300000000,"cache_write_5m":3750000000,"cache_write_1h":6000000000}}]}]}`)
}

func (p *purse) project() string {
	p.Helper()
	p.ok("", "POST", "projects", fields{"key": "WEB"})
	return p.agent("writer", "worker")
}

func TestUsageVectors(t *testing.T) {
	p := startPurse(t)
	p.prices()
	f := func(usage string, want int) {
		t.Helper()
		r := p.report("", fields{"key": usage, "usage": raw(usage)})
		p.want(r, want, "computed")
		p.want(r, want, "billed")
	}
	f(`{"input":200,"cache_read":1000,"output":34}`, 1_410_000)
	f(`{"input":400,"cache_read":2000,"output":68}`, 2_820_000)
	f(`{"input":5,"cache_read":128955,"cache_write_5m":1253}`, 43_400_250)
	f(`{"cache_write_1h":1000}`, 6_000_000)
	f(`{"input":1}`, 3_000)
}

// TestUsageFormats reports one event for each way to count tokens: each is 100
// tokens of input, 1,000 read from a cache, 10 written to one and 5 of output.
func TestUsageFormats(t *testing.T) {
	p := startPurse(t)
	p.prices()
	f := func(format, usage string, want int, marks string) {
		t.Helper()
		r := p.report("", fields{"key": format + usage, "format": format, "usage": raw(usage)})
		p.want(r, want, "computed")
		p.want(fields{"marks": fmt.Sprint(r["marks"])}, marks, "marks")
	}
	const all, without = 100*3000 + 1000*300 + 10*3750 + 5*15000, 100*3000 + 1000*300 + 5*15000
	f("disjoint", `{"input":100,"cache_read":1000,"cache_write_5m":10,"output":5}`, all, "<nil>")
	f("anthropic", `{"input_tokens":100,"cache_read_input_tokens":1000,"cache_creation_input_tokens":10,"output_tokens":5}`, all, "<nil>")
	f("anthropic", `{"input_tokens":100,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":1},"output_tokens":5}`, all+6000, "<nil>")
	f("openai", `{"prompt_tokens":1100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":1000}}`, without, "<nil>")
	f("openai", `{"input_tokens":1110,"output_tokens":5,"input_tokens_details":{"cached_tokens":1000,"cache_write_tokens":10}}`, all, "<nil>")
	f("otel", `{"gen_ai.usage.input_tokens":1110,"gen_ai.usage.cache_read.input_tokens":1000,"gen_ai.usage.cache_creation.input_tokens":10,"gen_ai.usage.output_tokens":5}`, all, "<nil>")
	f("codex", `{"input_tokens":1100,"cached_input_tokens":1000,"output_tokens":5}`, without, "<nil>")
	f("openclaw", `{"input":100,"cacheRead":1000,"cacheWrite":10,"output":5}`, all, "<nil>")
	// More from the cache than there was: the rest is nothing, and that is said.
	f("codex", `{"input_tokens":10,"cached_input_tokens":1000,"output_tokens":5}`, 1000*300+5*15000, "[normalisation_warning]")
}

func TestUsageReports(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	p.ok("", "POST", "projects", fields{"key": "APP"})
	event := fields{"key": "one", "usage": fields{"input": 1000}}
	p.report(writer, event)
	p.want(p.reports(writer, event), "duplicate", "status")
	// The same key of another is another's.
	other := p.agent("other", "worker")
	p.report(other, event)

	// Of several that report a run the best counts, whoever comes first.
	r := p.report(writer, fields{"source": "gateway", "run": "r1", "usage": fields{"input": 1000}})
	p.want(r, "r1/m", "key")
	p.want(p.report(writer, fields{"key": "own", "run": "r1", "usage": fields{"input": 7000}}), false, "counted")
	p.want(p.report(writer, fields{"source": "plugin", "run": "r1", "usage": fields{"input": 2000}}), true, "counted")
	p.want(p.ok(writer, "GET", "usage/summary?group_by=agent", nil), 9_000_000, "total", "billed") // 1,000 and 2,000

	refused := func(want string, event fields) {
		t.Helper()
		if r := p.reports(writer, event); r["status"] != "refused" || !strings.Contains(fmt.Sprint(r["error"]), want) {
			t.Errorf("%v: %v, want %s", event, r, want)
		}
	}
	refused("needs a key", fields{})
	refused("no source", fields{"key": "k", "source": "moon"})
	refused("not known", fields{"key": "k", "format": "moon", "usage": fields{}})
	refused("whole number", fields{"key": "k", "usage": fields{"input": 1.5}})
	refused("in the future", fields{"key": "k", "occurred_at": time.Now().Add(time.Hour)})
	refused("what is its own", fields{"key": "k", "agent": "other"})
	refused("what state machines use", fields{"key": "k", "execution": "arn:x"})
	refused("no task", fields{"key": "k", "task": "WEB-9"})
	refused("no attempt", fields{"key": "k", "attempt": "none"})
	refused("reported_cost_usd", fields{"key": "k", "reported_cost_usd": -1})
	refused("reported_cost_usd", fields{"key": "k", "reported_cost_usd": 1e300})
	// One that is no good holds up no other.
	got := p.ok(writer, "POST", "usage", fields{"events": []any{fields{"model": "m"}, fields{"key": "good", "provider": "test", "model": "m"}}})
	if list := got["results"].([]any); at(list[0], "status") != "refused" || at(list[1], "status") != "recorded" {
		t.Errorf("%v", list)
	}
	p.refused(400, "invalid", writer, "POST", "usage", fields{"events": []any{}})
	p.refused(400, "invalid", writer, "POST", "usage", fields{"events": make([]fields, 501)})

	// What is reported as cost is what is billed, where it is by the token.
	r = p.report(writer, fields{"key": "said", "usage": fields{"input": 1000}, "reported_cost_usd": 0.0105})
	p.want(r, 10_500_000, "billed")
	p.want(r, 3_000_000, "shadow")
	r = p.report(writer, fields{"key": "plan", "usage": fields{"input": 1000}, "billing": "subscription"})
	p.want(r, 0, "billed")
	p.want(r, 3_000_000, "shadow")

	// An agent sees its projects.
	p.refused(400, "invalid", writer, "GET", "usage/summary?group_by=model", nil)
	p.refused(404, "not_found", writer, "GET", "usage/summary?group_by=day&project=APP", nil)
}

func TestUsagePlaces(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	n := 0
	used := func(want, by string, event fields) fields {
		t.Helper()
		n++
		event["key"], event["usage"] = fmt.Sprint(n), fields{"input": 1000}
		r := p.report(writer, event)
		p.want(r, want, "task")
		p.want(r, by, "attributed_by")
		return r
	}
	used("<nil>", "<nil>", fields{})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "parent", "assignee": "@writer", "labels": []string{"blue"}})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "child", "parent": "WEB-1", "assignee": "@writer"})
	claimed := p.ok(writer, "POST", "tasks/WEB-1/claim", nil)
	first := claimed["attempt_id"].(string)
	lease := []string{"X-Lockstep-Lease", claimed["lease_token"].(string)}
	used("WEB-1", "lease", fields{})
	p.want(used("WEB-1", "attempt", fields{"attempt": first}), first, "attempt")
	p.want(used("WEB-1", "session", fields{"session": "agent:writer:task-WEB-1"}), first, "attempt")
	used("WEB-1", "task", fields{"task": "WEB-1"})
	p.want(used("WEB-2", "task", fields{"task": "WEB-2"}), nil, "attempt")
	used("<nil>", "<nil>", fields{"occurred_at": time.Now().Add(-time.Hour)}) // before the lease
	p.ok(writer, "POST", "tasks/WEB-1/submit", fields{"summary": "done"}, lease...)
	used("WEB-1", "lease", fields{}) // reported late
	p.ok("", "POST", "reviews/decisions", fields{"decisions": []fields{{"review": p.pending(), "verdict": "changes_requested", "comment": "again"}}})
	claimed = p.ok(writer, "POST", "tasks/WEB-1/claim", nil)
	p.want(used("WEB-1", "lease", fields{}), claimed["attempt_id"], "attempt")
	p.ok(writer, "POST", "tasks/WEB-1/submit", fields{"summary": "done"}, "X-Lockstep-Lease", claimed["lease_token"].(string))
	p.ok("", "POST", "reviews/decisions", fields{"decisions": []fields{{"review": p.pending(), "verdict": "approve"}}})

	const one = 3_000_000
	c := p.ok(writer, "GET", "tasks/WEB-1/cost", nil)
	p.want(c, 6*one, "own", "billed")
	p.want(c, one, "children", "billed")
	p.want(c, 7*one, "total", "billed")
	p.want(c, one, "rework", "billed")
	s := p.ok("", "GET", "usage/summary?group_by=task", nil)
	p.want(s["rows"].([]any)[0], "WEB-1", "name")
	p.want(s, 2*one, "unattributed", "billed")
	p.want(s, 9*one, "total", "billed")
	// By day each row's part, and those who see all see what has no row, too.
	s = p.ok("", "GET", "usage/summary?group_by=task&days=1&limit=1", nil)
	p.want(s["days"].([]any)[0], s["until"], "day")
	spread := map[string]float64{}
	for _, d := range s["days"].([]any) {
		spread[at(d, "name").(string)] += at(d, "billed").(float64)
	}
	if want := map[string]float64{"WEB-1": 6 * one, "": one}; !maps.Equal(spread, want) {
		t.Errorf("by day %v, want %v", spread, want)
	}
	s = p.ok(writer, "GET", "usage/summary?group_by=task&days=1&limit=1", nil)
	if days := s["days"].([]any); len(days) != 1 {
		t.Errorf("an agent sees by day what it has no row of: %v", days)
	}
	s = p.ok("", "GET", "usage/summary?group_by=label", nil)
	p.want(s["rows"].([]any)[0], "blue", "name")
	s = p.ok(writer, "GET", "usage/summary?group_by=task", nil)
	if rows := s["rows"].([]any); len(rows) != 2 || at(rows[1], "name") != "WEB-2" {
		t.Errorf("rows %v", rows)
	}
	d := p.ok("", "GET", "usage/deliverables?project=WEB", nil)
	p.want(d, 1, "tasks")
	p.want(d, 6*one, "shadow_per_deliverable")
	if share := d["rework_share"].(float64); share < 0.16 || share > 0.17 {
		t.Errorf("a share of %v was rework", share)
	}
	res, err := http.Get(p.url + "/api/v1/usage/summary?group_by=agent&format=csv")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	csv := string(text)
	if !strings.HasPrefix(csv, "agent,calls,input") || !strings.Contains(csv, "\nwriter,9,9000,0,0,0,0,0.027000000,0.027000000,0,0\n") {
		t.Errorf("CSV:\n%s", csv)
	}
	events := p.ok(writer, "GET", "events?type=usage.recorded", nil)["events"].([]any)
	if len(events) < 8 || at(events[1], "key") != "WEB-1" || at(events[1], "data", "billed") != 3e6 {
		t.Errorf("events %v", events)
	}
	// A state machine's own use is reported by people, or measured.
	p.report("", fields{"key": "m", "machine": "nightly", "state": "Rate", "execution": "arn:aws:states:us-east-1:123456789012:execution:nightly:1", "usage": fields{"input": 1000}})
	s = p.ok("", "GET", "usage/summary?group_by=execution", nil)
	p.want(s["rows"].([]any)[0], one, "billed")
	p.want(p.ok("", "GET", "usage/summary?group_by=state", nil)["rows"].([]any)[0], "nightly/Rate", "name")
}

// pending is the id of the one review that waits.
func (p *purse) pending() string {
	p.Helper()
	all := p.ok("", "GET", "reviews?mine=1", nil)["reviews"].([]any)
	if len(all) != 1 {
		p.Fatalf("%d reviews wait", len(all))
	}
	return at(all[0], "review", "id").(string)
}

func (p *purse) agentIs(admin, reason string) {
	p.Helper()
	a := p.ok("", "GET", "agents/writer", nil)
	p.want(a, admin, "admin")
	if reason != "" {
		p.want(a, reason, "pause_reason")
	}
}

func TestHealthRoutes(t *testing.T) {
	p := startPurse(t)
	writer := p.project()
	p.want(p.ok(writer, "GET", "agents/writer/health", nil), "[]", "alerts")
	p.want(p.ok("", "GET", "machines/nightly/health", nil), "nightly", "machine")
	p.refused(404, "not_found", "", "GET", "agents/nobody/health", nil)
	p.refused(403, "forbidden", writer, "GET", "machines/nightly/health", nil)
}

// types lists the events of a kind since the beginning.
func (p *purse) types(kind string) (list []string) {
	p.Helper()
	for _, e := range p.ok("", "GET", "events?limit=200&type="+kind, nil)["events"].([]any) {
		list = append(list, at(e, "type").(string))
	}
	return list
}

func TestBudgetPauses(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	p.ok("", "PUT", "budgets/daily", fields{"scope": "agent", "name": "@writer", "window": "day", "metric": "tokens", "soft": 1500, "hard": 2000})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "work", "assignee": "@writer"})
	use := func(key string) { p.report(writer, fields{"key": key, "usage": fields{"input": 1000}}) }
	use("1")
	p.agentIs("active", "")
	use("2")
	p.agentIs("paused", "budget")
	use("3") // nothing is told twice
	if got := strings.Join(p.types("budget.*"), " "); got != "budget.saved budget.soft budget.hard" {
		t.Errorf("told %s", got)
	}
	p.refused(409, "agent_not_active", writer, "POST", "tasks/WEB-1/claim", nil)
	status, _ := p.do(writer, "GET", "agent/next", nil)
	if status != 204 {
		t.Errorf("a wakeup goes out to a paused agent: %d", status)
	}

	// A server that starts in the middle of the window knows all that.
	again := openPurse(t, p.store)
	again.agentIs("paused", "budget")
	b := again.ok("", "GET", "budgets", nil)["budgets"].([]any)[0]
	p.want(b, "writer", "name")
	p.want(b, 3000, "standing", "used")
	p.want(b, true, "standing", "soft_told")

	// The limit is raised: it goes on, and what waited goes out.
	p.ok("", "PUT", "budgets/daily", fields{"scope": "agent", "name": "writer", "window": "day", "metric": "tokens", "soft": 1500, "hard": 9000})
	p.agentIs("active", "")
	if offer := p.ok(writer, "GET", "agent/next", nil); at(offer, "task", "key") != "WEB-1" {
		t.Errorf("offered %v", offer)
	}

	// Whom a person has paused a budget does not let go.
	p.ok("", "PUT", "budgets/daily", fields{"scope": "agent", "name": "writer", "window": "day", "metric": "tokens", "hard": 1})
	p.agentIs("paused", "budget")
	p.ok("", "POST", "agents/writer/pause", nil)
	p.ok("", "DELETE", "budgets/daily", nil)
	p.agentIs("paused", "manual")
	p.refused(404, "not_found", "", "DELETE", "budgets/daily", nil)
	p.refused(403, "forbidden", writer, "PUT", "budgets/x", fields{"scope": "workspace", "window": "day", "metric": "runs", "hard": 1})
}

func TestBudgetWindowTurns(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	p.ok("", "PUT", "budgets/all", fields{"scope": "workspace", "window": "day", "metric": "runs", "hard": 1})
	p.report(writer, fields{"key": "1"})
	p.agentIs("paused", "budget")
	p.mu.Lock()
	p.late = 24 * time.Hour
	p.mu.Unlock()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.spend.Run(ctx) }()
	await(p, "budget.cleared")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.agentIs("active", "")
}

// await waits until the feed has an event of a kind.
func await(p *purse, kind string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	for after := int64(0); ctx.Err() == nil; {
		list, next, err := p.board.Feed(ctx, control.Call{By: control.System}, after, 100)
		if err != nil {
			p.Fatal(err)
		}
		after = next
		for _, e := range list {
			if e.Type == kind {
				return
			}
		}
	}
	p.Fatalf("no %s came", kind)
}

func TestBudgetKinds(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	p.ok("", "POST", "projects", fields{"key": "APP"})
	p.ok("", "POST", "agents", fields{"slug": "both", "projects": []string{"WEB", "APP"}})
	both := p.ok("", "POST", "agents/both/keys", nil)["key"].(string)
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "one", "assignee": "@both"})
	p.ok("", "POST", "tasks", fields{"project": "APP", "title": "two", "assignee": "@both"})
	p.ok("", "PUT", "budgets/web", fields{"scope": "project", "name": "WEB", "window": "month", "metric": "shadow_usd", "hard": 1})
	p.report(writer, fields{"key": "1", "usage": fields{"input": 10}})
	p.agentIs("paused", "budget") // it has no other project
	p.want(p.ok("", "GET", "agents/both", nil), "active", "admin")
	p.refused(409, "over_budget", both, "POST", "tasks/WEB-1/claim", nil)
	p.ok(both, "POST", "tasks/APP-1/claim", nil)

	// block_new lets what runs end; notify only tells.
	p.ok("", "PUT", "budgets/web", fields{"scope": "project", "name": "WEB", "window": "month", "metric": "shadow_usd", "hard": 1, "on_hard": "block_new"})
	p.agentIs("active", "")
	p.refused(409, "over_budget", both, "POST", "tasks/WEB-1/claim", nil)
	p.ok("", "PUT", "budgets/web", fields{"scope": "project", "name": "WEB", "window": "month", "metric": "shadow_usd", "hard": 1, "on_hard": "notify"})
	p.ok("", "PUT", "budgets/app", fields{"scope": "project", "name": "APP", "window": "month", "metric": "shadow_usd", "hard": 1, "on_hard": "block_new"})
	p.report(both, fields{"key": "2", "usage": fields{"input": 10}})
	claim := p.ok("", "GET", "tasks/APP-1", nil)
	p.want(claim, "in_progress", "task", "state")
}

func TestTaskBudget(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "dear", "assignee": "@writer", "budget": 2_000_000})
	claimed := p.ok(writer, "POST", "tasks/WEB-1/claim", nil)
	p.report(writer, fields{"key": "1", "usage": fields{"input": 1000}, "billing": "subscription"}) // worth 3,000,000
	v := p.ok("", "GET", "tasks/WEB-1", nil)
	p.want(v, "blocked", "task", "state")
	p.want(v, "budget", "task", "block", "kind")
	p.refused(409, "lease_lost", writer, "POST", "tasks/WEB-1/progress", fields{"percent": 1}, "X-Lockstep-Lease", claimed["lease_token"].(string))
	p.ok("", "PATCH", "tasks/WEB-1", fields{"budget": 4_000_000})
	p.want(p.ok("", "GET", "tasks/WEB-1", nil), "assigned", "task", "state")
	p.ok(writer, "POST", "tasks/WEB-1/claim", nil)

	// A task that a state waits for fails, so that the state hears why.
	c := control.Call{Workspace: "local", By: control.System, At: time.Now()}
	other := p.agent("other", "worker")
	bound, err := p.board.CreateTask(t.Context(), c, control.NewTask{Project: "WEB", Title: "bound", Budget: 1, Assignee: "@other", ReviewMode: "none",
		Source: &control.Source{Execution: "arn:aws:states:us-east-1:123456789012:execution:nightly:1", State: "Draft", Entry: "1", Waiting: true}})
	if err != nil {
		t.Fatal(err)
	}
	p.ok(other, "POST", "tasks/"+bound.Key+"/claim", nil)
	p.report(other, fields{"key": "1", "usage": fields{"input": 1000}})
	v = p.ok("", "GET", "tasks/"+bound.Key, nil)
	p.want(v, "failed", "task", "state")
	p.want(v["attempts"].([]any)[0], "over_budget", "error", "code")
	p.want(p.ok("", "GET", "usage/summary?group_by=execution", nil)["rows"].([]any)[0], 3_000_000, "billed")
	p.want(p.ok("", "GET", "usage/summary?group_by=state", nil)["rows"].([]any)[0], "nightly/Draft", "name")
}

// TestDocumentedCalls makes the calls that docs/costs.md shows.
func TestDocumentedCalls(t *testing.T) {
	p := startPurse(t)
	doc, err := os.ReadFile("../../docs/costs.md")
	if err != nil {
		t.Fatal(err)
	}
	p.project()
	p.ok("", "POST", "agents", fields{"slug": "ada", "projects": []string{"WEB"}})
	example := func(after, end string) string {
		t.Helper()
		_, text, ok := strings.Cut(string(doc), after)
		text, _, ok2 := strings.Cut(text, end)
		if !ok || !ok2 {
			t.Fatalf("docs/costs.md has no %q", after)
		}
		return text
	}
	p.ok("", "PUT", "prices/overrides", example("`PUT /api/v1/prices/overrides` with\n   `", "`"))
	p.ok("", "PUT", "budgets/doc", example("```json budget\n", "```"))
	got := p.ok("", "POST", "usage", example("```json usage\n", "```"))
	for _, r := range got["results"].([]any) {
		p.want(r, "recorded", "status")
	}
	p.refused(400, "invalid", "", "GET", "usage?group_by=moon", nil)
	p.refused(400, "invalid", "", "GET", "usage?since=yesterday", nil)
	p.refused(400, "invalid", "", "PUT", "prices", "hello")
	p.ok("", "PUT", "prices?source=here", `{"m":{"litellm_provider":"acme","input_cost_per_token":1e-6,"output_cost_per_token":1e-6}}`)
	p.ok("", "POST", "prices/reprice", nil)
}

type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// want is the world's, for numbers as JSON has them.
func (p *purse) want(v, want any, path ...string) {
	p.Helper()
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	p.world.want(v, want, path...)
}

// BenchmarkReport reports usage, alone and 100 at a time, of an agent with a task
// and a budget.
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n, " a call"), func(b *testing.B) {
			st, err := sqlite.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			bell := feed.NewBell(&storetest.Direct{Store: st})
			var k *spend.Keeper
			l, err := ledger.Open(b.Context(), ledger.Config{Store: st, Write: bell.Write,
				Kept: func(ctx context.Context, tx store.Tx, list []store.Usage) error { return k.Kept(ctx, tx, list) }})
			if err != nil {
				b.Fatal(err)
			}
			k = spend.New(spend.Config{Ledger: l, Workspace: "w", Write: bell.Write, Rings: bell.Next})
			board, err := control.New(st, bell, control.Config{Budget: k.Blocked})
			if err != nil {
				b.Fatal(err)
			}
			k.Connect(board)
			c := control.Call{Workspace: "w", By: control.System, At: time.Now()}
			_, u, err := board.CreateWorkspace(b.Context(), c, "W", "ann")
			if err != nil {
				b.Fatal(err)
			}
			ann := c
			ann.By = control.User(u.ID)
			_, err = board.CreateProject(b.Context(), ann, control.NewProject{Key: "WEB"})
			if err != nil {
				b.Fatal(err)
			}
			a, err := board.CreateAgent(b.Context(), c, control.NewAgent{Slug: "writer", Projects: []string{"WEB"}})
			if err != nil {
				b.Fatal(err)
			}
			if err := k.SaveBudget(b.Context(), ann, cost.Budget{ID: "b", Scope: "agent", Name: a.ID, Window: "day", Metric: "tokens", Hard: 1 << 50}); err != nil {
				b.Fatal(err)
			}
			t, err := board.CreateTask(b.Context(), c, control.NewTask{Project: "WEB", Title: "t", Assignee: control.AgentParty(a.ID)})
			if err != nil {
				b.Fatal(err)
			}
			c.By = control.AgentParty(a.ID)
			if _, err := board.Claim(b.Context(), c, t.ID); err != nil {
				b.Fatal(err)
			}
			key := 0
			for b.Loop() {
				list := make([]spend.Report, n)
				for i := range list {
					key++
					list[i] = spend.Report{Key: fmt.Sprint(key), Provider: "anthropic", Model: "claude-haiku-4-5", Format: "anthropic", Usage: []byte(`{"input_tokens":200,"output_tokens":34}`)}
				}
				if got, err := k.Report(b.Context(), c, list); err != nil || got[0].Status != "recorded" || got[0].Task != "WEB-1" {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(key), "µs/event")
		})
	}
}
