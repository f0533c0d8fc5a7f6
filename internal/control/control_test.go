package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

var ctx = context.Background()

// world is a board with a clock, a project WEB, its owner ann, the reviewer
// rob, the agents writer and editor and the lead boss.
type world struct {
	*testing.T
	*control.Board
	store store.Store
	now   time.Time
	ann   *control.Person
	rob   *control.Person
	ids   map[string]control.Party // of agents and users by name
}

func newWorld(t testing.TB, st store.Store, cfg control.Config, policies control.Policies) *world {
	w := &world{store: st, now: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), ids: map[string]control.Party{}}
	w.T, _ = t.(*testing.T)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.Board, err = control.New(st, &storetest.Direct{Store: st}, cfg)
	must(err)
	_, w.ann, err = w.CreateWorkspace(ctx, w.system(), "Acme", "ann")
	must(err)
	w.ids["ann"] = control.User(w.ann.ID)
	w.rob, err = w.CreateUser(ctx, w.as("ann"), control.NewUser{Name: "rob", Role: control.Member})
	must(err)
	w.ids["rob"] = control.User(w.rob.ID)
	_, err = w.CreateProject(ctx, w.as("ann"), control.NewProject{Key: "WEB", Name: "Web", Policies: policies})
	must(err)
	must(w.SetRole(ctx, w.as("ann"), "rob", "WEB", control.Reviewer))
	for _, slug := range []string{"writer", "editor", "boss"} {
		in := control.NewAgent{Slug: slug, Projects: []string{"WEB"}, Capabilities: []string{slug}}
		if slug == "boss" {
			in.Role = "lead"
		}
		a, err := w.CreateAgent(ctx, w.as("ann"), in)
		must(err)
		w.ids[slug] = control.AgentParty(a.ID)
	}
	return w
}

func start(t *testing.T) *world {
	return newWorld(t, memory.New(), control.Config{}, control.Policies{})
}

func (w *world) as(who string) control.Call {
	by, ok := w.ids[who]
	if !ok {
		panic("nobody is called " + who)
	}
	return control.Call{Workspace: "acme", By: by, At: w.now}
}

func (w *world) system() control.Call {
	return control.Call{Workspace: "acme", By: control.System, At: w.now}
}

func (w *world) wait(d time.Duration) {
	w.Helper()
	w.now = w.now.Add(d)
	if _, err := w.Sweep(ctx, w.now); err != nil {
		w.Fatal(err)
	}
}

func ok[V any](w *world) func(v V, err error) V {
	w.Helper()
	return func(v V, err error) V {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		return v
	}
}

func (w *world) refused(err error, code control.Code) *control.Error {
	w.Helper()
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		w.Fatalf("got %v, want a refusal with %s", err, code)
	}
	return e
}

func (w *world) task(in control.NewTask) *control.Task {
	w.Helper()
	in.Project = "WEB"
	if in.Title == "" {
		in.Title = "Draft the page"
	}
	return ok[*control.Task](w)(w.CreateTask(ctx, w.as("ann"), in))
}

func (w *world) claim(who, task string) control.Claimed {
	w.Helper()
	return ok[control.Claimed](w)(w.Claim(ctx, w.as(who), task))
}

func (w *world) submit(who, task, token string) *control.Review {
	w.Helper()
	return ok[control.Submitted](w)(w.Submit(ctx, w.as(who), task, token, control.Submission{Summary: "done"})).Review
}

func (w *world) decide(who, review, verdict string) *control.Review {
	w.Helper()
	return ok[*control.Review](w)(w.Decide(ctx, w.as(who), review, control.Decision{Verdict: verdict, Comment: verdict + "!"}))
}

func (w *world) state(task string, want control.State) *control.Task {
	w.Helper()
	t := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), task))
	if t.State != want {
		w.Fatalf("%s is %s, want %s", task, t.State, want)
	}
	return t
}

// wakeups shows the wakeups of an agent.
func (w *world) wakeups(who string) string {
	w.Helper()
	found, err := w.store.Records(ctx, store.Prefix("wakeup", "of/"+strings.TrimPrefix(string(w.ids[who]), "agent:")+"/", 1000))
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		var k control.Wakeup
		if err := json.Unmarshal(f.Data, &k); err != nil {
			w.Fatal(err)
		}
		key := "-"
		if k.Task != "" {
			key = ok[*control.Task](w)(w.Task(ctx, w.as("ann"), k.Task)).Key
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", key, k.Reason, k.State, k.Hindrance)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func (w *world) woken(who, want string) {
	w.Helper()
	if got := w.wakeups(who); got != want {
		w.Errorf("wakeups of %s:\ngot  %s\nwant %s", who, got, want)
	}
}

func TestATaskFromDraftToDone(t *testing.T) {
	w := start(t)
	a := w.task(control.NewTask{Assignee: "@writer", OutputSchema: json.RawMessage(`{"type":"object","required":["headline"]}`)})
	if a.Key != "WEB-1" || a.State != control.Assigned {
		t.Fatalf("created %+v", a)
	}
	w.woken("writer", "WEB-1 assigned queued")
	w.refused(second(w.Claim(ctx, w.as("editor"), "WEB-1")), control.NotAssignee)
	got := w.claim("writer", "WEB-1")
	w.woken("writer", "WEB-1 assigned acked")
	p := ok[control.Progressed](w)(w.Progress(ctx, w.as("writer"), "WEB-1", got.LeaseToken, "half", 50))
	if want := w.now.Add(10 * time.Minute); !p.LeaseExpiresAt.Equal(want) {
		t.Errorf("the lease goes until %s, want %s", p.LeaseExpiresAt, want)
	}
	d := ok[*control.Deliverable](w)(w.AddDeliverable(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.NewDeliverable{Kind: "text", Title: "Page", Content: "hello"}))
	_, err := w.Submit(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.Submission{Output: json.RawMessage(`{"head":1}`)})
	if e := w.refused(err, control.OutputInvalid); len(e.Details["violations"].([]string)) != 1 {
		t.Errorf("violations: %v", e.Details)
	}
	if a := ok[*control.Agent](w)(w.Agent(ctx, w.as("ann"), "writer")); a.Refused != 1 {
		t.Errorf("%d submissions were refused", a.Refused)
	}
	s := ok[control.Submitted](w)(w.Submit(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.Submission{Output: json.RawMessage(`{"headline":"x"}`)}))
	if s.Review.Round != 1 || len(s.Review.Pinned) != 1 || s.Review.Pinned[0].Hash != d.Hash || s.Review.OutputHash == "" {
		t.Errorf("the review: %+v", s.Review)
	}
	w.state("WEB-1", control.InReview)
	w.refused(second(w.Decide(ctx, w.as("writer"), s.Review.ID, control.Decision{Verdict: "approve"})), control.Forbidden)
	w.decide("rob", s.Review.ID, "approve")
	if done := w.state("WEB-1", control.Done); !slices.Equal(done.Approved, []string{d.ID}) {
		t.Errorf("approved %v", done.Approved)
	}
	e := w.refused(second(w.Decide(ctx, w.as("ann"), s.Review.ID, control.Decision{Verdict: "reject"})), control.ReviewClosed)
	if e.Details["status"] != "approved" {
		t.Error(e.Details)
	}
}

func second[V any](_ V, err error) error { return err }

func TestADependantStartsWithTheApproval(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	w.task(control.NewTask{Assignee: "editor", DependsOn: []control.DependsOn{{Task: "WEB-1", PassDeliverables: true}}})
	w.woken("editor", "")
	got := w.claim("writer", "WEB-1")
	ok[*control.Deliverable](w)(w.AddDeliverable(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.NewDeliverable{Kind: "json", Title: "Page", Content: `{"a":1}`}))
	r := w.submit("writer", "WEB-1", got.LeaseToken)
	e := w.refused(second(w.Claim(ctx, w.as("editor"), "WEB-2")), control.GateClosed)
	if diff := cmp.Diff([]string{"WEB-1"}, e.Details["waiting_on"]); diff != "" {
		t.Error(diff)
	}
	before := w.store.Stats().Commits
	w.decide("rob", r.ID, "approve")
	if n := w.store.Stats().Commits - before; n != 1 {
		t.Errorf("the approval took %d transactions", n)
	}
	w.woken("editor", "WEB-2 unblocked queued")
	v := ok[*control.View](w)(w.View(ctx, w.as("editor"), "WEB-2"))
	if len(v.Upstream) != 1 || len(v.Upstream[0].Deliverables) != 1 || !v.Gate.Open {
		t.Errorf("the editor sees %+v", v)
	}
	w.claim("editor", "WEB-2")
}

func TestChangesRequestedTwice(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	var pins []control.Pin
	for round := 1; round <= 3; round++ {
		got := w.claim("writer", "WEB-1")
		ok[*control.Deliverable](w)(w.AddDeliverable(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.NewDeliverable{Kind: "text", Title: "Page", Content: fmt.Sprint(round)}))
		r := w.submit("writer", "WEB-1", got.LeaseToken)
		if r.Round != round {
			t.Errorf("round %d, want %d", r.Round, round)
		}
		pins = append(pins, r.Pinned...)
		if round < 3 {
			w.decide("rob", r.ID, "changes_requested")
			w.state("WEB-1", control.Assigned)
			if got := w.wakeups("writer"); !strings.Contains(got, "WEB-1 changes_requested queued") {
				t.Errorf("round %d: %s", round, got)
			}
		} else {
			w.decide("rob", r.ID, "approve")
		}
	}
	if len(pins) != 3 || pins[0].Hash == pins[1].Hash || pins[1].Hash == pins[2].Hash || pins[2].Number != 3 {
		t.Errorf("pinned %+v", pins)
	}
	w.state("WEB-1", control.Done)
}

func TestALostLease(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	old := w.claim("writer", "WEB-1")
	w.wait(10 * time.Minute)
	w.state("WEB-1", control.Assigned)
	for range 2 {
		w.refused(second(w.Submit(ctx, w.as("writer"), "WEB-1", old.LeaseToken, control.Submission{Summary: "late"})), control.LeaseLost)
	}
	w.refused(second(w.Progress(ctx, w.as("writer"), "WEB-1", old.LeaseToken, "", -1)), control.LeaseLost)
	w.state("WEB-1", control.Assigned)
	v := ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-1"))
	if len(v.Comments) != 1 || v.Comments[0].Marker != "late_result" || v.Attempts[0].Status != "lost" {
		t.Errorf("comments %+v, attempts %+v", v.Comments, v.Attempts[0])
	}
	got := w.claim("writer", "WEB-1")
	w.refused(second(w.Submit(ctx, w.as("writer"), "WEB-1", old.LeaseToken, control.Submission{Summary: "late"})), control.LeaseLost)
	w.submit("writer", "WEB-1", got.LeaseToken)
}

func TestOneWinsTheClaim(t *testing.T) {
	w := start(t)
	for i := range 1000 {
		task := w.task(control.NewTask{ReviewMode: control.ReviewNone})
		var wait sync.WaitGroup
		errs := map[string]error{}
		got := map[string]control.Claimed{}
		var mu sync.Mutex
		for _, who := range []string{"writer", "editor"} {
			wait.Go(func() {
				claimed, err := w.Claim(ctx, w.as(who), task.Key)
				mu.Lock()
				defer mu.Unlock()
				errs[who], got[who] = err, claimed
			})
		}
		wait.Wait()
		winner, loser := "writer", "editor"
		if errs[winner] != nil {
			winner, loser = loser, winner
		}
		if errs[winner] != nil {
			t.Fatalf("round %d: nobody won: %v", i, errs)
		}
		w.refused(errs[loser], control.InvalidTransition)
		w.submit(winner, task.Key, got[winner].LeaseToken)
	}
}

func TestFiveTasksInOneSlot(t *testing.T) {
	w := start(t)
	for range 5 {
		w.task(control.NewTask{Assignee: "writer", ReviewMode: control.ReviewNone})
	}
	for range 5 {
		o := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
		if o == nil {
			t.Fatalf("no wakeup: %s", w.wakeups("writer"))
		}
		if again := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer"))); again != nil {
			t.Fatalf("a second wakeup for one slot: %s", again.Task.Key)
		}
		w.submit("writer", o.Task.Key, w.claim("writer", o.Task.Key).LeaseToken)
	}
	for i := range 5 {
		w.state(fmt.Sprint("WEB-", i+1), control.Done)
	}
}

func TestDocsShowTheTable(t *testing.T) {
	const page = "../../docs/control-plane.md"
	text, err := os.ReadFile(filepath.FromSlash(page))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), control.Markdown()) {
		t.Errorf("docs/control-plane.md does not have the table of the code, which is:\n%s", control.Markdown())
	}
}

func open(t testing.TB) store.Store {
	st, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func (w *world) inbox(who string) []control.Waiting {
	w.Helper()
	list, _, err := w.ReviewInbox(ctx, w.as(who), control.Page{Limit: 200})
	if err != nil {
		w.Fatal(err)
	}
	return list
}

// feed lists all that happened.
func (w *world) feed() []control.Event {
	w.Helper()
	list, _, err := w.Feed(ctx, w.system(), 0, 1<<20)
	if err != nil {
		w.Fatal(err)
	}
	return list
}
