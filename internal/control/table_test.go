package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// stage brings a new task to a state and returns the token of its lease, if it
// has one. A bound task is one that an execution waits for.
func (w *world) stage(s control.State, block control.Blocking, bound bool) (key, token string) {
	w.Helper()
	in := control.NewTask{Project: "WEB", Title: "T"}
	if bound {
		in.Source = &control.Source{Execution: "e", State: "s", Entry: "1", Waiting: true}
	}
	if s != control.Inbox {
		in.Assignee = "writer"
	}
	key = ok[*control.Task](w)(w.CreateTask(ctx, w.system(), in)).Key
	switch s {
	case control.Inbox, control.Assigned:
		return key, ""
	case control.Cancelled:
		ok[*control.Task](w)(w.Board.Cancel(ctx, w.as("ann"), key, ""))
		return key, ""
	}
	token = w.claim("writer", key).LeaseToken
	switch s {
	case control.Blocked:
		ok[*control.Task](w)(w.Board.Block(ctx, w.as("writer"), key, token, block))
	case control.Failed:
		ok[*control.Task](w)(w.Board.Fail(ctx, w.as("writer"), key, token, control.Failure{Category: "tool", Message: "m"}))
	case control.InReview, control.Done:
		r := w.submit("writer", key, token)
		if s == control.Done {
			w.decide("ann", r.ID, "approve")
		}
	case control.InProgress:
		return key, token
	}
	return key, ""
}

// Every trigger is tried on a task in every state: what the table has happens,
// and leads where it says; the rest is refused, and the refusal lists what is
// allowed.
func TestEachTriggerInEachState(t *testing.T) {
	question := control.Blocking{Kind: "question", Reason: "r", Owner: "ann", Action: "a"}
	decide := func(verdict string) func(w *world, key, token string) error {
		return func(w *world, key, token string) error {
			for _, r := range ok[*control.View](w)(w.View(ctx, w.as("ann"), key)).Reviews {
				if r.Kind == "deliverable" {
					return second(w.Decide(ctx, w.as("ann"), r.ID, control.Decision{Verdict: verdict}))
				}
			}
			return &control.Error{Code: control.ReviewClosed}
		}
	}
	later := func(w *world, key, token string) error {
		w.wait(2 * time.Hour)
		return nil
	}
	for trigger, do := range map[control.Trigger]func(w *world, key, token string) error{
		control.Assign: func(w *world, key, token string) error {
			return second(w.Board.Assign(ctx, w.as("ann"), key, "writer"))
		},
		control.Unassign: func(w *world, key, token string) error { return second(w.Board.Unassign(ctx, w.as("ann"), key)) },
		control.Claim:    func(w *world, key, token string) error { return second(w.Board.Claim(ctx, w.as("writer"), key)) },
		control.Progress: func(w *world, key, token string) error {
			return second(w.Board.Progress(ctx, w.as("writer"), key, token, "note", 3))
		},
		control.Release: func(w *world, key, token string) error {
			return second(w.Board.Release(ctx, w.as("writer"), key, token, ""))
		},
		control.Submit: func(w *world, key, token string) error {
			return second(w.Board.Submit(ctx, w.as("writer"), key, token, control.Submission{Summary: "s"}))
		},
		control.Approve:          decide("approve"),
		control.ChangesRequested: decide("changes_requested"),
		control.Reject:           decide("reject"),
		control.Withdraw:         func(w *world, key, token string) error { return second(w.Board.Withdraw(ctx, w.as("ann"), key)) },
		control.Expired:          later,
		control.Block: func(w *world, key, token string) error {
			return second(w.Board.Block(ctx, w.as("writer"), key, token, question))
		},
		control.Answer:  func(w *world, key, token string) error { return second(w.AnswerBlock(ctx, w.as("ann"), key, "yes")) },
		control.Unblock: func(w *world, key, token string) error { return second(w.Board.Unblock(ctx, w.as("ann"), key, "")) },
		control.EdgeOpened: func(w *world, key, token string) error {
			return second(w.Board.Cancel(ctx, w.as("ann"), "WEB-1", "")) // what it waits for is finished
		},
		control.Fail: func(w *world, key, token string) error {
			return second(w.Board.Fail(ctx, w.as("writer"), key, token, control.Failure{Category: "tool", Message: "m", Retryable: true}))
		},
		control.LeaseExpired: later,
		control.HandedOff: func(w *world, key, token string) error {
			who := "ann"
			if token != "" {
				who = "writer"
			}
			return second(w.OfferHandoff(ctx, w.as(who), key, token, control.NewHandoff{To: "editor", Mode: "transfer", Summary: "s"}))
		},
		control.Cancel: func(w *world, key, token string) error { return second(w.Board.Cancel(ctx, w.as("ann"), key, "")) },
		control.Retry:  func(w *world, key, token string) error { return second(w.Board.Retry(ctx, w.system(), key)) },
		control.Reopen: func(w *world, key, token string) error { return second(w.Board.Reopen(ctx, w.as("ann"), key, "")) },
	} {
		for _, s := range control.States() {
			w := newWorld(t, memory.New(), control.Config{}, control.Policies{ReviewDue: time.Hour, OnExpiry: control.RejectOnTime})
			w.task(control.NewTask{Assignee: "ann"})
			block := question
			if trigger == control.EdgeOpened {
				block = control.Blocking{Kind: "dependency", Reason: "r", Action: "a", Owner: "ann", DependsOn: &control.DependsOn{Task: "WEB-1", Until: control.UntilFinished}}
			}
			key, token := w.stage(s, block, trigger == control.Retry)
			var rows []control.Transition
			for _, r := range control.Transitions() {
				if r.Trigger == trigger && slices.Contains(r.From, s) {
					rows = append(rows, r)
				}
			}
			before := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), key))
			err := do(w, key, token)
			after := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), key))
			happened := false
			events, _, failed := w.Activity(ctx, w.as("ann"), control.ActivityQuery{Task: after.ID, Limit: 200})
			if failed != nil {
				t.Fatal(failed)
			}
			for _, e := range events {
				happened = happened || e.Type == "task."+string(trigger) && e.Data["from"] == string(s)
			}
			switch {
			case len(rows) > 1:
				t.Errorf("%s of %s is in the table %d times", trigger, s, len(rows))
			case len(rows) == 1:
				if err != nil || !happened || !slices.Contains(rows[0].To, after.State) {
					t.Errorf("%s of a task that is %s: %v; it is %s now, the table says %v", trigger, s, err, after.State, rows[0].To)
				}
			case happened:
				t.Errorf("%s of a task that is %s happened, and is not in the table", trigger, s)
			case err == nil:
				if trigger != control.Expired && trigger != control.LeaseExpired && trigger != control.EdgeOpened {
					t.Errorf("%s of a task that is %s was not refused", trigger, s)
				}
			case control.Is(err, control.ReviewClosed):
			default:
				e := w.refused(err, control.InvalidTransition)
				var allowed []string
				for _, a := range control.Allowed(s) {
					allowed = append(allowed, string(a))
				}
				if diff := cmp.Diff(allowed, e.Details["allowed"]); diff != "" {
					t.Errorf("%s of a task that is %s lists as allowed (-want +got):\n%s", trigger, s, diff)
				}
				if before.Version != after.Version {
					t.Errorf("%s of a task that is %s was refused and changed it", trigger, s)
				}
			}
		}
	}
}
