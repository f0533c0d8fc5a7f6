package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

func TestReviews(t *testing.T) {
	submitted := func(in control.NewTask) (*world, *control.Review) {
		t.Helper()
		w := start(t)
		in.Assignee = "writer"
		w.task(in)
		return w, w.submit("writer", "WEB-1", w.claim("writer", "WEB-1").LeaseToken)
	}
	t.Run("two of many", func(t *testing.T) {
		w, r := submitted(control.NewTask{RequiredApprovals: 2})
		w.decide("rob", r.ID, "approve")
		w.decide("rob", r.ID, "approve") // counts once
		w.state("WEB-1", control.InReview)
		w.decide("ann", r.ID, "approve")
		w.state("WEB-1", control.Done)
	})
	t.Run("one reject ends it", func(t *testing.T) {
		w, r := submitted(control.NewTask{RequiredApprovals: 2})
		w.decide("rob", r.ID, "approve")
		w.decide("ann", r.ID, "reject")
		w.state("WEB-1", control.Failed)
	})
	t.Run("first the lead, then a human", func(t *testing.T) {
		w, r := submitted(control.NewTask{ReviewMode: control.ReviewLeadThenHuman, Reviewers: []control.Party{"rob"}})
		w.woken("boss", "WEB-1 manual queued")
		if r = w.decide("boss", r.ID, "approve"); r.Stage != "human" || !slices.Equal(r.Reviewers, []control.Party{w.ids["rob"]}) {
			t.Errorf("after the lead: %+v", r)
		}
		w.refused(second(w.Decide(ctx, w.as("boss"), r.ID, control.Decision{Verdict: "approve"})), control.Forbidden)
		w.state("WEB-1", control.InReview)
		w.decide("rob", r.ID, "approve")
		w.state("WEB-1", control.Done)
	})
	t.Run("edited and approved", func(t *testing.T) {
		w, r := submitted(control.NewTask{OutputSchema: nil})
		r = ok[*control.Review](w)(w.Decide(ctx, w.as("rob"), r.ID, control.Decision{Verdict: "approve", FollowUps: []string{"Publish"}, Edited: &control.Edited{
			Output: json.RawMessage(`{"better":true}`), Deliverables: []control.NewDeliverable{{Kind: "text", Title: "Page", Content: "better"}}}}))
		done := w.state("WEB-1", control.Done)
		if string(done.Output) != `{"better":true}` || len(r.Pinned) != 1 || !slices.Equal(done.Approved, []string{r.Pinned[0].Deliverable}) {
			t.Errorf("done %+v, review %+v", done, r)
		}
		if d := ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-1")).Deliverables; len(d) != 1 || d[0].By != w.ids["rob"] {
			t.Errorf("deliverables: %+v", d)
		}
		if v := ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-2")); !v.Gate.Open || len(v.Upstream) != 1 {
			t.Errorf("the follow-up: %+v", v)
		}
	})
	t.Run("too much rework needs a decision", func(t *testing.T) {
		w, r := submitted(control.NewTask{})
		for range 3 {
			w.decide("rob", r.ID, "changes_requested")
			r = w.submit("writer", "WEB-1", w.claim("writer", "WEB-1").LeaseToken)
		}
		w.decide("rob", r.ID, "changes_requested")
		if b := w.state("WEB-1", control.Blocked).Block; b.Kind != "decision" || b.Owner != w.ids["ann"] {
			t.Errorf("blocked by %+v", b)
		}
	})
	t.Run("the last reviewer goes", func(t *testing.T) {
		w, r := submitted(control.NewTask{Reviewers: []control.Party{"rob"}})
		if err := w.RemoveUser(ctx, w.as("ann"), "rob"); err != nil {
			t.Fatal(err)
		}
		inbox := w.inbox("ann")
		if len(inbox) != 1 || inbox[0].Review.ID != r.ID {
			t.Errorf("the owner's inbox: %+v", inbox)
		}
		w.refused(w.RemoveUser(ctx, w.as("ann"), "ann"), control.ProjectNeedsAnOwner)
	})
	t.Run("passed on, hidden", func(t *testing.T) {
		w, r := submitted(control.NewTask{Reviewers: []control.Party{"rob"}})
		if err := w.Snooze(ctx, w.as("rob"), r.ID, w.now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		f := func(who string, want int) {
			t.Helper()
			if got := w.inbox(who); len(got) != want {
				t.Errorf("%s has %d reviews, want %d", who, len(got), want)
			}
		}
		f("rob", 0)
		w.wait(time.Hour)
		f("rob", 1)
		w.refused(second(w.Delegate(ctx, w.as("rob"), r.ID, "writer")), control.InvalidInput)
		ok[*control.Review](w)(w.Delegate(ctx, w.as("rob"), r.ID, "ann"))
		f("rob", 0)
		f("ann", 1)
	})
	t.Run("passed on by one of a role", func(t *testing.T) {
		w, r := submitted(control.NewTask{Reviewers: []control.Party{"role:reviewer"}})
		f := func(who string, want int) {
			t.Helper()
			if got := w.inbox(who); len(got) != want {
				t.Errorf("%s has %d reviews, want %d", who, len(got), want)
			}
		}
		f("rob", 1)
		ok[*control.Review](w)(w.Delegate(ctx, w.as("rob"), r.ID, "ann"))
		f("rob", 0)
		f("ann", 1)
		ok[*control.Review](w)(w.Delegate(ctx, w.as("ann"), r.ID, "rob"))
		f("rob", 1)
		f("ann", 0)
	})
	t.Run("nobody decides", func(t *testing.T) {
		for expiry, want := range map[control.OnExpiry]control.State{control.Escalate: control.InReview, control.RejectOnTime: control.Failed, control.ApproveOnTime: control.Done} {
			w := newWorld(t, memory.New(), control.Config{}, control.Policies{ReviewDue: 2 * time.Hour, OnExpiry: expiry})
			w.task(control.NewTask{Assignee: "writer", Reviewers: []control.Party{"rob"}})
			w.submit("writer", "WEB-1", w.claim("writer", "WEB-1").LeaseToken)
			w.wait(time.Hour)
			w.state("WEB-1", control.InReview)
			w.wait(time.Hour)
			w.state("WEB-1", want)
			var told []string
			for _, e := range w.feed() {
				if strings.HasPrefix(e.Type, "review.") {
					told = append(told, strings.TrimPrefix(e.Type, "review."))
				}
			}
			last := map[control.OnExpiry]string{control.Escalate: "escalated"}[expiry]
			if last == "" {
				last = "expired"
			}
			if diff := cmp.Diff([]string{"created", "reminder", last}, told); diff != "" {
				t.Errorf("%s (-want +got):\n%s", expiry, diff)
			}
		}
	})
	t.Run("a plan goes back to the agent", func(t *testing.T) {
		w := start(t)
		w.task(control.NewTask{Assignee: "writer"})
		got := w.claim("writer", "WEB-1")
		ask := control.NewReview{Task: "WEB-1", Kind: "plan", Title: "May I?"}
		first := ok[*control.Review](w)(w.RequestReview(ctx, w.as("writer"), got.LeaseToken, ask))
		r := ok[*control.Review](w)(w.RequestReview(ctx, w.as("writer"), got.LeaseToken, ask))
		if first = ok[*control.Review](w)(w.Review(ctx, w.as("ann"), first.ID)); r.Round != 2 || first.Status != "withdrawn" {
			t.Errorf("rounds: %+v, %+v", first, r)
		}
		w.decide("ann", r.ID, "approve")
		w.state("WEB-1", control.InProgress)
		if got := w.wakeups("writer"); !strings.Contains(got, "WEB-1 answer queued") {
			t.Error(got)
		}
	})
}

func TestBlocks(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	w.task(control.NewTask{Title: "Other"})
	got := w.claim("writer", "WEB-1")
	f := func(in control.Blocking, code control.Code) {
		t.Helper()
		in.Reason, in.Action = "r", "a"
		w.refused(second(w.Block(ctx, w.as("writer"), "WEB-1", got.LeaseToken, in)), code)
		w.state("WEB-1", control.InProgress)
	}
	f(control.Blocking{Kind: "access"}, control.BlockNeedsOwner)
	f(control.Blocking{Kind: "access", Owner: "nobody"}, control.BlockNeedsOwner)
	f(control.Blocking{Kind: "access", Owner: "writer"}, control.BlockNeedsOwner) // itself
	f(control.Blocking{Kind: "mood", Owner: "ann"}, control.InvalidInput)
	f(control.Blocking{Kind: "dependency", Owner: "ann", DependsOn: &control.DependsOn{Task: "WEB-1"}}, control.DependencyCycle)
	ok[*control.Task](w)(w.Block(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.Blocking{Kind: "question", Reason: "Which tone?", Owner: "role:reviewer", Action: "answer"}))
	ok[*control.Task](w)(w.AnswerBlock(ctx, w.as("rob"), "WEB-1", "friendly"))
	w.state("WEB-1", control.Assigned)
	w.woken("writer", "WEB-1 assigned acked; WEB-1 unblocked queued")
	got = w.claim("writer", "WEB-1")
	ok[*control.Task](w)(w.Block(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.Blocking{Kind: "dependency", Reason: "r", Action: "a", DependsOn: &control.DependsOn{Task: "WEB-2", Until: control.UntilFinished}}))
	if st := ok[control.AgentStatus](w)(w.AgentStatus(ctx, w.as("ann"), "writer")); st.Label != "blocked" {
		t.Errorf("the writer is %s", st.Label)
	}
	ok[*control.Task](w)(w.Board.Cancel(ctx, w.as("ann"), "WEB-2", ""))
	w.state("WEB-1", control.Assigned)
}

func TestDependencies(t *testing.T) {
	w := start(t)
	for range 3 {
		w.task(control.NewTask{Assignee: "writer"})
	}
	depend := func(task, on string) error {
		return second(w.AddDependency(ctx, w.as("ann"), task, control.DependsOn{Task: on}))
	}
	for _, err := range []error{depend("WEB-2", "WEB-1"), depend("WEB-3", "WEB-2")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e := w.refused(depend("WEB-1", "WEB-3"), control.DependencyCycle)
	if diff := cmp.Diff([]string{"WEB-1", "WEB-3", "WEB-2", "WEB-1"}, e.Details["path"]); diff != "" {
		t.Error(diff)
	}
	w.refused(depend("WEB-1", "WEB-1"), control.DependencyCycle)
	// A child cannot wait for a parent that is held for it.
	w.task(control.NewTask{HoldForChildren: true, Assignee: "editor"})
	w.task(control.NewTask{Parent: "WEB-4", Assignee: "boss"})
	w.refused(depend("WEB-5", "WEB-4"), control.DependencyCycle)
	got := w.claim("editor", "WEB-4")
	e = w.refused(second(w.Submit(ctx, w.as("editor"), "WEB-4", got.LeaseToken, control.Submission{Summary: "s"})), control.ChildrenOpen)
	if diff := cmp.Diff([]string{"WEB-5"}, e.Details["children"]); diff != "" {
		t.Error(diff)
	}
	ok[*control.Task](w)(w.Board.Cancel(ctx, w.as("ann"), "WEB-5", ""))
	w.submit("editor", "WEB-4", got.LeaseToken)
	// What cannot come any more is told once.
	ok[*control.Task](w)(w.Board.Cancel(ctx, w.as("ann"), "WEB-1", ""))
	v := ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-2"))
	if v.Gate.Reason != "upstream_failed" {
		t.Errorf("the gate: %+v", v.Gate)
	}
	ok[*control.Task](w)(w.Board.Reopen(ctx, w.as("ann"), "WEB-1", ""))
	if v = ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-2")); v.Gate.Reason != "dependency" {
		t.Errorf("the gate: %+v", v.Gate)
	}
}

func TestAttemptsAndBackOff(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	fail := func(in control.Failure) *control.Task {
		t.Helper()
		in.Message = "m"
		return ok[*control.Task](w)(w.Board.Fail(ctx, w.as("writer"), "WEB-1", w.claim("writer", "WEB-1").LeaseToken, in))
	}
	if task := fail(control.Failure{Category: "tool", Retryable: true}); task.State != control.Assigned || !task.NotBefore.Equal(w.now.Add(30*time.Second)) {
		t.Errorf("after a failure: %s until %s", task.State, task.NotBefore)
	}
	if o := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer"))); o != nil {
		t.Error("woken before its time")
	}
	w.wait(30 * time.Second)
	if o := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer"))); o == nil {
		t.Errorf("not woken: %s", w.wakeups("writer"))
	}
	fail(control.Failure{Category: "model_provider", Code: "rate_limit", Retryable: true})
	fail(control.Failure{Category: "tool", Retryable: true})
	w.state("WEB-1", control.Failed)
	ok[*control.Task](w)(w.Board.Reopen(ctx, w.as("ann"), "WEB-1", ""))
	fail(control.Failure{Category: "model_provider", Code: "billing", Retryable: true})
	w.state("WEB-1", control.Failed)
	a := ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-1")).Attempts
	if e := a[1].Error; len(a) != 4 || e == nil || e.Code != "rate_limit" || e.Task == "" || e.Attempt != a[1].ID {
		t.Errorf("attempts: %+v", a)
	}
}

func TestWakeups(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	first := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
	w.wait(5 * time.Minute)
	again := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
	if again == nil || again.Wakeup.ID != first.Wakeup.ID || again.Delivery == first.Delivery {
		t.Errorf("offered %+v, then %+v", first, again)
	}
	ok[*control.Agent](w)(w.Pause(ctx, w.as("ann"), "writer", ""))
	w.woken("writer", "WEB-1 assigned skipped paused")
	if why := ok[[]string](w)(w.Why(ctx, w.as("ann"), "WEB-1")); !strings.Contains(fmt.Sprint(why), "paused manual") {
		t.Errorf("why: %q", why)
	}
	w.refused(second(w.Claim(ctx, w.as("writer"), "WEB-1")), control.AgentNotActive)
	ok[*control.Agent](w)(w.Resume(ctx, w.as("ann"), "writer"))
	w.woken("writer", "WEB-1 assigned queued")
	for range 20 {
		w.wait(6 * time.Minute)
		ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
	}
	w.woken("writer", "WEB-1 assigned failed")
	w.wait(time.Hour) // it has been away, and comes back
	if err := w.Signal(ctx, w.as("writer")); err != nil {
		t.Fatal(err)
	}
	w.woken("writer", "WEB-1 assigned queued")
}

func TestAnInboxTaskIsOfferedInTurn(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{})
	var order []string
	for range 4 {
		for _, who := range []string{"writer", "editor", "boss"} {
			if o := ok[*control.Offer](w)(w.Fetch(ctx, w.as(who))); o != nil {
				order = append(order, who)
			}
		}
		w.wait(5 * time.Minute)
	}
	if diff := cmp.Diff([]string{"writer", "editor", "boss", "writer"}, order); diff != "" {
		t.Errorf("offered to (-want +got):\n%s", diff)
	}
	w.task(control.NewTask{Capabilities: []string{"boss"}, Priority: control.Urgent})
	got, why, err := w.Next(ctx, w.as("boss"), "WEB")
	if err != nil || got.Task == nil || got.Task.Key != "WEB-2" {
		t.Errorf("next: %+v, %s, %v", got.Task, why, err)
	}
}

func TestMentions(t *testing.T) {
	w := newWorld(t, memory.New(), control.Config{}, control.Policies{MentionsPerHour: 2})
	w.task(control.NewTask{})
	f := func(body string, want ...string) {
		t.Helper()
		c := ok[*control.Comment](w)(w.Board.Comment(ctx, w.as("rob"), "WEB-1", body))
		var got []string
		for _, m := range c.Mentions {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mentions in %q (-want +got):\n%s", body, diff)
		}
	}
	f("hello @writer, and @ann.", "writer", "ann")
	f("`@writer` ``a ` @writer`` @nobody mail@writer.example @Writer")
	f("```\n@writer\n```\n@editor", "editor")
	f("a ` that is not closed @writer", "writer")
	f("```\nnot closed @writer")
	f("@writer @writer", "writer")
	var held []bool
	for range 3 {
		c := ok[*control.Comment](w)(w.Board.Comment(ctx, w.as("writer"), "WEB-1", "@editor @writer"))
		held = append(held, c.Mentions[0].Held)
		if held[len(held)-1] {
			ok[*control.Comment](w)(w.ReleaseMentions(ctx, w.as("ann"), c.ID))
		}
	}
	if !slices.Equal(held, []bool{false, false, true}) {
		t.Errorf("held: %v", held)
	}
	if got := w.wakeups("writer"); strings.Count(got, "mentioned") != 1 {
		t.Errorf("the writer woke itself: %s", got)
	}
}

func TestHandoffs(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Assignee: "writer"})
	got := w.claim("writer", "WEB-1")
	h := ok[*control.Handoff](w)(w.OfferHandoff(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.NewHandoff{Capability: "editor", Mode: "follow_up", Summary: "polish"}))
	next := ok[*control.View](w)(w.View(ctx, w.as("ann"), h.FollowUp))
	if next.Task.Assignee != w.ids["editor"] || next.Gate.Open {
		t.Errorf("the follow-up: %+v", next)
	}
	ok[*control.Handoff](w)(w.OfferHandoff(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.NewHandoff{To: "editor", Mode: "transfer", Summary: "yours"}))
	w.refused(second(w.Submit(ctx, w.as("writer"), "WEB-1", got.LeaseToken, control.Submission{Summary: "s"})), control.LeaseLost)
	if task := w.state("WEB-1", control.Assigned); task.Assignee != w.ids["editor"] || task.Spent != 0 {
		t.Errorf("handed over: %+v", task)
	}
	w.claim("editor", "WEB-1")
}

func TestCallsAreGuarded(t *testing.T) {
	w := start(t)
	call := w.as("ann")
	call.Key = "k1"
	a := ok[*control.Task](w)(w.CreateTask(ctx, call, control.NewTask{Project: "WEB", Title: "T"}))
	b := ok[*control.Task](w)(w.CreateTask(ctx, call, control.NewTask{Project: "WEB", Title: "T"}))
	if a.ID != b.ID {
		t.Errorf("one key made %s and %s", a.Key, b.Key)
	}
	w.wait(25 * time.Hour)
	call.At = w.now
	if c := ok[*control.Task](w)(w.CreateTask(ctx, call, control.NewTask{Project: "WEB", Title: "T"})); c.ID == a.ID {
		t.Error("an answer is kept for ever")
	}
	claim := w.as("writer")
	claim.Key = "k2"
	one := ok[control.Claimed](w)(w.Claim(ctx, claim, "WEB-1"))
	two := ok[control.Claimed](w)(w.Claim(ctx, claim, "WEB-1"))
	if one.LeaseToken == "" || one.LeaseToken != two.LeaseToken {
		t.Error("a repeated claim has another token")
	}
	title := "New"
	call = w.as("ann")
	call.Version = 1
	w.refused(second(w.Board.Update(ctx, call, "WEB-1", control.UpdateTask{Title: &title})), control.VersionConflict)
	w.refused(second(w.Board.Update(ctx, w.as("editor"), "WEB-1", control.UpdateTask{Title: &title})), control.Forbidden)
	w.refused(second(w.Board.Reopen(ctx, w.as("boss"), "WEB-1", "")), control.Forbidden)
	w.refused(second(w.CreateProject(ctx, w.as("rob"), control.NewProject{Key: "X"})), control.Forbidden)
	other := w.as("ann")
	other.Workspace = "other"
	w.refused(second(w.Task(ctx, other, a.ID)), control.NotFound)
	w.refused(second(w.CreateTask(ctx, w.as("ann"), control.NewTask{Project: "WEB", Title: "T", OutputSchema: json.RawMessage(`{"$ref":"file:///etc/passwd"}`)})), control.InvalidInput)
}

// What was left out of a transaction would be found here: a board over the same
// file goes on where the last one stopped.
func TestItIsAllInTheStore(t *testing.T) {
	st := open(t)
	w := newWorld(t, st, control.Config{}, control.Policies{})
	w.task(control.NewTask{Assignee: "writer"})
	got := w.claim("writer", "WEB-1")
	var err error
	if w.Board, err = control.New(st, &storetest.Direct{Store: st}, control.Config{}); err != nil {
		t.Fatal(err)
	}
	r := w.submit("writer", "WEB-1", got.LeaseToken)
	w.decide("ann", r.ID, "approve")
	w.state("WEB-1", control.Done)
}

func TestATaskOfTheEngine(t *testing.T) {
	w := start(t)
	source := control.Source{Execution: "e", State: "s", Entry: "1", Waiting: true}
	bound := ok[*control.Task](w)(w.CreateTask(ctx, w.system(), control.NewTask{Project: "WEB", Title: "T", Assignee: "writer", Source: &source}))
	if found := ok[*control.Task](w)(w.TaskOf(ctx, w.store, source)); found.ID != bound.ID {
		t.Errorf("found %s", found.Key)
	}
	w.refused(second(w.CreateTask(ctx, w.as("ann"), control.NewTask{Project: "WEB", Title: "T", Source: &source})), control.Forbidden)
	r := w.submit("writer", "WEB-1", w.claim("writer", "WEB-1").LeaseToken)
	w.decide("ann", r.ID, "reject")
	w.refused(second(w.Board.Reopen(ctx, w.as("ann"), "WEB-1", "")), control.NoLongerWaiting)
	ok[*control.Task](w)(w.Board.Retry(ctx, w.system(), "WEB-1"))
	r = w.submit("writer", "WEB-1", w.claim("writer", "WEB-1").LeaseToken)
	// The execution is stopped by a write that fails, and by one that does not.
	d := &storetest.Direct{Store: w.store}
	undone := errors.New("undone")
	for _, want := range []error{undone, nil} {
		err := d.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			if _, err := w.In(tx).EndWait(ctx, w.system(), "WEB-1", "stopped"); err != nil {
				return err
			}
			return want
		})
		if err != want {
			t.Fatal(err)
		}
		if want != nil {
			w.state("WEB-1", control.InReview)
		}
	}
	w.state("WEB-1", control.Cancelled)
	w.refused(second(w.Decide(ctx, w.as("ann"), r.ID, control.Decision{Verdict: "approve"})), control.NoLongerWaiting)
}

func TestBudgetsAndHooks(t *testing.T) {
	over, fail, heard := true, false, 0
	w := newWorld(t, memory.New(), control.Config{
		Budget: func(_ context.Context, _ control.Records, agent, project, task string, _ time.Time) (string, error) {
			if over {
				return "the week's 5 USD are spent", nil
			}
			return "", nil
		},
		Happened: func(_ context.Context, tx store.Tx, e *control.Event) error {
			if heard++; fail && e.Type == "task.claim" {
				return errors.New("no")
			}
			if e.Type == "task.claim" { // the hook sees what the event tells of
				if t, err := tx.Record(ctx, "task", e.Task); err != nil || !strings.Contains(string(t.Data), `"state":"in_progress"`) {
					return fmt.Errorf("%s, %w", t.Data, err)
				}
			}
			return nil
		},
	}, control.Policies{})
	w.task(control.NewTask{Assignee: "writer"})
	w.woken("writer", "WEB-1 assigned skipped over_budget")
	w.refused(second(w.Claim(ctx, w.as("writer"), "WEB-1")), control.OverBudget)
	over = false
	if err := w.BudgetChanged(ctx, w.system(), "writer"); err != nil {
		t.Fatal(err)
	}
	w.woken("writer", "WEB-1 assigned queued")
	fail = true
	if _, err := w.Claim(ctx, w.as("writer"), "WEB-1"); err == nil {
		t.Error("claimed against the hook")
	}
	w.state("WEB-1", control.Assigned)
	fail = false
	w.claim("writer", "WEB-1")
	if list := w.feed(); heard <= len(list)-1 || list[len(list)-1].Seq != int64(len(list)) {
		t.Errorf("%d events, heard of %d", len(list), heard)
	}
}

func TestPushedWakeups(t *testing.T) {
	w := start(t)
	a := ok[*control.Agent](w)(w.CreateAgent(ctx, w.as("ann"), control.NewAgent{Slug: "pushed", Projects: []string{"WEB"}, Push: true, Runtime: "http"}))
	w.ids["pushed"] = control.AgentParty(a.ID)
	w.task(control.NewTask{Assignee: "pushed"})
	tries := 0
	for ; tries < 20; tries++ {
		offers := ok[[]control.Offer](w)(w.Queued(ctx, w.now, 10))
		if len(offers) == 0 {
			break
		}
		if err := w.NotSent(ctx, w.system(), offers[0].Wakeup.ID, offers[0].Delivery, "connection refused"); err != nil {
			t.Fatal(err)
		}
		w.wait(13 * time.Minute)
	}
	if tries != 8 {
		t.Errorf("%d deliveries were tried", tries)
	}
	w.woken("pushed", "WEB-1 assigned failed")
	if why := ok[[]string](w)(w.Why(ctx, w.as("ann"), "WEB-1")); !strings.Contains(fmt.Sprint(why), "connection refused") {
		t.Errorf("why: %q", why)
	}
	if err := w.Wake(ctx, w.as("ann"), "pushed", "WEB-1", "now"); err != nil {
		t.Fatal(err)
	}
	o := ok[[]control.Offer](w)(w.Queued(ctx, w.now, 10))
	if len(o) != 1 {
		t.Fatalf("offers: %+v", o)
	}
	for range 2 { // told twice
		if err := w.Sent(ctx, w.system(), o[0].Wakeup.ID, o[0].Delivery); err != nil {
			t.Fatal(err)
		}
	}
	w.woken("pushed", "WEB-1 assigned failed; WEB-1 manual acked")
}
