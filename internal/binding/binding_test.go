package binding_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// A state waits until its task is done, with its review, and goes on with what
// came of it.
func TestTaskDoneIsSuccess(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(runTask), `{"about":"tea"}`)
		it := w.task("WEB-1")
		if it.State != control.Assigned || string(it.Input) != `{"about":"tea"}` || !it.Source.Waiting || it.Source.State != "Draft" || !strings.HasPrefix(it.Source.Execution, "arn:aws:states:") {
			t.Fatalf("the task is %+v, source %+v", it, it.Source)
		}
		lease := w.claim("writer", "WEB-1")
		d, err := w.AddDeliverable(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.NewDeliverable{Kind: "text", Title: "page.md", Content: "# Tea"})
		w.must(err)
		w.submit("writer", "WEB-1", lease, `{"headline":"Tea"}`)
		w.execution(x, engine.Running)
		w.must(w.decide(control.Decision{Verdict: "approve", Comment: "good"}))
		got := w.execution(x, engine.Succeeded)
		want := `{"task":"WEB-1","output":{"headline":"Tea"},"summary":"as asked","deliverables":[{"id":"` + d.ID + `","series":"page.md","version":1,"kind":"text","title":"page.md",` +
			`"url":"http://board/api/v1/deliverables/` + d.ID + `/content","hash":"` + d.Hash + `"}],"review":{"verdict":"approve","by":"@ana","comment":"good"},"usage":{"tokens":0,"cost_usd":0}}`
		if diff := cmp.Diff(want, deref(got.Output)); diff != "" {
			t.Error(diff)
		}
		wantHistory := "ExecutionStarted\nTaskStateEntered\nTaskScheduled agent runTask.sync\nTaskStarted agent runTask.sync\nTaskSubmitted agent runTask.sync\nTaskSucceeded agent runTask.sync\nTaskStateExited\nExecutionSucceeded"
		if diff := cmp.Diff(wantHistory, w.history(x)); diff != "" {
			t.Error(diff)
		}
		if n := w.rows("inbox"); n != 0 {
			t.Errorf("%d rows are left in the inbox", n)
		}
	})
}

// What ends a task otherwise is an error with a name of its own, and the record
// of what went wrong as its cause.
func TestTaskWithoutResultIsFailure(t *testing.T) {
	f := func(name, want, message string, fields string, end func(w *world, lease string)) {
		t.Run(name, func(t *testing.T) {
			test(t, func(w *world) {
				x := w.start(machine(cmp0(fields, runTask)), `{}`)
				end(w, w.claim("writer", "WEB-1"))
				got := w.execution(x, engine.Failed)
				var cause struct {
					Category, Message, Task string
					Key                     string    `json:"task_key"`
					At                      time.Time `json:"occurred_at"`
				}
				if err := json.Unmarshal([]byte(deref(got.Cause)), &cause); err != nil {
					t.Fatal(err, deref(got.Cause))
				}
				if deref(got.Error) != want || cause.Message != message || cause.Key != "WEB-1" || cause.Task == "" || cause.Category == "" || cause.At.IsZero() {
					t.Errorf("failed with %s: %s", deref(got.Error), deref(got.Cause))
				}
			})
		})
	}
	f("rejected", "Review.Rejected", "not like that", "", func(w *world, lease string) {
		w.submit("writer", "WEB-1", lease, `{}`)
		w.must(w.decide(control.Decision{Verdict: "reject", Comment: "not like that"}))
	})
	f("failed", "Agent.TaskFailed", "no idea", "", func(w *world, lease string) {
		_, err := w.Fail(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.Failure{Category: "agent", Message: "no idea"})
		w.must(err)
	})
	f("cancelled", "Task.Cancelled", "not needed", "", func(w *world, _ string) {
		_, err := w.Cancel(w.Context(), w.as(w.user), "WEB-1", "not needed")
		w.must(err)
	})
	f("over budget", "Agent.BudgetExceeded", "spent", "", func(w *world, lease string) {
		_, err := w.Fail(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.Failure{Category: "policy", Code: "over_budget", Message: "spent"})
		w.must(err)
	})
	schema := strings.Replace(runTask, `"Title"`, `"OutputSchema":{"type":"object","required":["headline"]},"Title"`, 1)
	f("output invalid", "Lockstep.OutputInvalid", "I cannot", schema, func(w *world, lease string) {
		_, err := w.Submit(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.Submission{Output: json.RawMessage(`{"head":1}`)})
		if !refused(err, control.OutputInvalid) {
			w.Fatalf("the submission: %v", err)
		}
		_, err = w.Fail(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.Failure{Category: "agent", Message: "I cannot"})
		w.must(err)
	})
}

func cmp0(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// An engine's Retry is the same task again, with attempts to spend and all that
// was said and made.
func TestRetryIsTheSameTask(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(runTask+`,"Retry":[{"ErrorEquals":["Agent.TaskFailed","Task.Cancelled"],"IntervalSeconds":5}]`), `{}`)
		first := w.task("WEB-1")
		lease := w.claim("writer", "WEB-1")
		_, err := w.Fail(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, control.Failure{Category: "agent", Message: "no"})
		w.must(err)
		synctest.Wait()
		if got := w.task("WEB-1"); got.State != control.Failed || got.Source.Waiting {
			t.Errorf("before the retry it is %s, waiting %v", got.State, got.Source.Waiting)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		again := w.task("WEB-1")
		if again.ID != first.ID || again.State != control.Assigned || again.Spent != 0 || !again.Source.Waiting {
			t.Errorf("after the retry it is %+v", again)
		}
		lease = w.claim("writer", "WEB-1")
		w.submit("writer", "WEB-1", lease, `{"a":1}`)
		w.must(w.decide(control.Decision{Verdict: "approve"}))
		w.execution(x, engine.Succeeded)
		if all := w.tasks(""); len(all) != 1 {
			t.Errorf("there are %d tasks", len(all))
		}
	})
}

// A redrive is the same task again, too; one that was done is not done twice.
func TestRedrive(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(runTask), `{}`)
		w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `1`)
		w.must(w.decide(control.Decision{Verdict: "reject"}))
		w.execution(x, engine.Failed)
		w.must(w.worker.Deliver(w.Context(), x, engine.Redriven{At: time.Now()}))
		synctest.Wait()
		if it := w.task("WEB-1"); it.State != control.Assigned || !it.Source.Waiting {
			t.Errorf("the task is %s, waiting %v", it.State, it.Source.Waiting)
		}
		w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `2`)
		w.must(w.decide(control.Decision{Verdict: "approve"}))
		w.execution(x, engine.Succeeded)
	})
	test(t, func(w *world) {
		x := w.start(machine(strings.Replace(runTask, `"Input.$":"$"`, `"ReviewMode":"none"`, 1)+`,"ResultPath":"$.r"`), `"text"`)
		w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `1`)
		first := w.execution(x, engine.Failed)
		w.must(w.worker.Deliver(w.Context(), x, engine.Redriven{At: time.Now()}))
		again := w.execution(x, engine.Failed)
		if n := strings.Count(w.history(x), "TaskSucceeded"); n != 2 || deref(again.Error) != deref(first.Error) {
			t.Errorf("%d successes, %s and then %s", n, deref(first.Error), deref(again.Error))
		}
		if it := w.task("WEB-1"); it.State != control.Done || it.Fence != 1 {
			t.Errorf("the task is %s after %d attempts", it.State, it.Fence)
		}
	})
}

// A review is asked for anew when the engine tries again.
func TestReviewAgain(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(`"Resource":"arn:aws:states:::review:request.sync","Parameters":{"Project":"WEB","Title":"Go"},"Retry":[{"ErrorEquals":["Review.Rejected"],"IntervalSeconds":1}]`), `{}`)
		w.must(w.decide(control.Decision{Verdict: "reject"}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := w.review(); r.Round != 2 {
			t.Errorf("round %d", r.Round)
		}
		w.must(w.decide(control.Decision{Verdict: "approve"}))
		w.execution(x, engine.Succeeded)
	})
}

// Each entry into a state has a task of its own.
func TestEntriesHaveTasksOfTheirOwn(t *testing.T) {
	test(t, func(w *world) {
		loop := `{"StartAt":"Draft","States":{"Draft":{"Type":"Task",` + strings.Replace(runTask, `"Title"`, `"ReviewMode":"none","Title"`, 1) +
			`,"ResultPath":"$.r","Next":"Again"},"Again":{"Type":"Choice","Choices":[{"Variable":"$.r.task","StringEquals":"WEB-2","Next":"End"}],"Default":"Draft"},"End":{"Type":"Succeed"}}}`
		x := w.start(loop, `{}`)
		for _, key := range []string{"WEB-1", "WEB-2"} {
			w.submit("writer", key, w.claim("writer", key), `{}`)
		}
		w.execution(x, engine.Succeeded)
	})
}

// Whatever ends the wait ends the work, in the commit that ends it, and later
// verdicts are refused.
func TestEndOfTheWait(t *testing.T) {
	f := func(name, definition string, end func(w *world, x int64)) {
		t.Run(name, func(t *testing.T) {
			test(t, func(w *world) {
				x := w.start(definition, `{"items":[1]}`)
				w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `{}`)
				r := w.review()
				end(w, int64(x))
				synctest.Wait()
				got := w.task("WEB-1")
				if got.State != control.Cancelled || got.Source.Waiting {
					t.Fatalf("the task is %s, waiting %v\n%s", got.State, got.Source.Waiting, w.history(x))
				}
				withdrawn, err := w.Review(w.Context(), w.as(w.user), r.ID)
				w.must(err)
				if withdrawn.Status != "withdrawn" {
					t.Errorf("the review is %s", withdrawn.Status)
				}
				_, err = w.Decide(w.Context(), w.as(w.user), r.ID, control.Decision{Verdict: "approve"})
				if !refused(err, control.NoLongerWaiting) {
					t.Errorf("a verdict then: %v", err)
				}
				heard := false
				w.mu.Lock()
				for _, e := range w.events {
					heard = heard || e.Type == "task.cancel" && e.Key == "WEB-1"
				}
				w.mu.Unlock()
				if !heard {
					t.Error("nobody heard of task.cancel")
				}
			})
		})
	}
	stop := func(w *world, x int64) {
		w.must(w.worker.Deliver(w.Context(), storeID(x), engine.Stopped{At: time.Now()}))
	}
	draft := `"Draft":{"Type":"Task",` + runTask + `,"End":true}`
	f("stop", machine(runTask), stop)
	f("state's timeout", machine(runTask+`,"TimeoutSeconds":60`), func(*world, int64) { time.Sleep(61 * time.Second) })
	f("execution's timeout", `{"TimeoutSeconds":60,"StartAt":"Draft","States":{`+draft+`}}`, func(*world, int64) { time.Sleep(61 * time.Second) })
	f("a branch beside it", `{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"Draft","States":{`+draft+`}},
	  {"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"Next":"F"},"F":{"Type":"Fail"}}}]}}}`, func(*world, int64) { time.Sleep(61 * time.Second) })
	f("Map", `{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.items","End":true,"ItemProcessor":{"StartAt":"Draft","States":{`+draft+`}}}}}`, stop)
}

// A person decides about a payload that no task is about.
func TestReview(t *testing.T) {
	f := func(name, parameters string, in control.Decision, status engine.Status, want string) {
		t.Run(name, func(t *testing.T) {
			test(t, func(w *world) {
				x := w.start(machine(`"Resource":"arn:aws:states:::review:request.sync","Parameters":{"Project":"WEB","Title":"Go live?","Payload":{"v":1}`+parameters+`}`), `{}`)
				if r := w.review(); string(r.Payload) != `{"v":1}` || r.Source == nil || !r.Source.Waiting {
					t.Errorf("asked for %+v", r)
				}
				w.must(w.decide(in))
				got := w.execution(x, status)
				text := deref(got.Output)
				if status == engine.Failed {
					text = deref(got.Error)
				}
				if text != want {
					t.Errorf("got %s, want %s", text, want)
				}
			})
		})
	}
	f("approve", ``, control.Decision{Verdict: "approve", Comment: "yes & <b>"}, engine.Succeeded, `{"Verdict":"approve","By":"@ana","Comment":"yes & <b>"}`)
	f("edit", ``, control.Decision{Verdict: "approve", Edited: &control.Edited{Output: json.RawMessage(`{"v":2}`)}}, engine.Succeeded,
		`{"Verdict":"approve","By":"@ana","Comment":"","Edited":{"v":2}}`)
	f("changes", ``, control.Decision{Verdict: "changes_requested", Comment: "later"}, engine.Succeeded, `{"Verdict":"changes_requested","By":"@ana","Comment":"later"}`)
	f("reject", ``, control.Decision{Verdict: "reject"}, engine.Failed, "Review.Rejected")
	f("choice", `,"Choices":["blue","green"]`, control.Decision{Verdict: "answer", Comment: "green"}, engine.Succeeded, `{"Verdict":"green","By":"@ana","Comment":""}`)
}

// A review that nobody decides in time ends as it says.
func TestReviewExpires(t *testing.T) {
	test(t, func(w *world) {
		start := func(onExpiry string) { //nolint:unparam // reads better
			w.start(machine(`"Resource":"arn:aws:states:::review:request.sync","Parameters":{"Project":"WEB","Title":"Go","DueInSeconds":60,"OnExpiry":"`+onExpiry+`"}`), `{}`)
		}
		start("reject")
		time.Sleep(time.Second)
		start("approve")
		for range 3 {
			time.Sleep(time.Minute)
			_, err := w.Sweep(w.Context(), time.Now())
			w.must(err)
		}
		w.execution(1, engine.Failed)
		if got := w.execution(2, engine.Succeeded); deref(got.Output) != `{"Verdict":"approve","By":"","Comment":"nobody decided in time"}` {
			t.Error(deref(got.Output))
		}
	})
}

// The engine's end of the wait withdraws a bare review.
func TestStopWithdrawsReview(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(`"Resource":"arn:aws:states:::review:request.waitForTaskToken","Parameters":{"Project":"WEB","Title":"Go"}`), `{}`)
		r := w.review()
		w.must(w.worker.Deliver(w.Context(), x, engine.Stopped{At: time.Now()}))
		_, err := w.Decide(w.Context(), w.as(w.user), r.ID, control.Decision{Verdict: "approve"})
		if !refused(err, control.NoLongerWaiting) {
			t.Errorf("a verdict then: %v", err)
		}
	})
}

// createTask answers as soon as the task is there, and leaves it to itself.
func TestCreateTask(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(strings.Replace(runTask, "runTask.sync", "createTask", 1)), `{}`)
		it := w.task("WEB-1")
		want := `{"TaskId":"` + it.ID + `","TaskKey":"WEB-1","Url":"http://board/board/WEB?task=WEB-1"}`
		if got := w.execution(x, engine.Succeeded); deref(got.Output) != want {
			t.Errorf("got %s, want %s", deref(got.Output), want)
		}
		w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `{}`)
		w.must(w.decide(control.Decision{Verdict: "approve"}))
		if it := w.task("WEB-1"); it.State != control.Done {
			t.Errorf("the task is %s", it.State)
		}
		if of := w.tasks(it.Source.Execution); len(of) != 1 || of[0].ID != it.ID {
			t.Errorf("the execution's tasks are %v", of)
		}
	})
}

// A heartbeat is owed while an agent holds the lease, and at no other time.
func TestHeartbeat(t *testing.T) {
	const half = `,"HeartbeatSeconds":1800`
	test(t, func(w *world) { // two days of review, and of waiting for a claim
		x := w.start(machine(runTask+half), `{}`)
		time.Sleep(48 * time.Hour)
		lease := w.claim("writer", "WEB-1")
		time.Sleep(5 * time.Minute)
		w.submit("writer", "WEB-1", lease, `{}`)
		time.Sleep(48 * time.Hour)
		w.execution(x, engine.Running)
		w.must(w.decide(control.Decision{Verdict: "approve"}))
		w.execution(x, engine.Succeeded)
	})
	test(t, func(w *world) { // progress is a heartbeat, with or without a word
		x := w.start(machine(runTask+half), `{}`)
		lease := w.claim("writer", "WEB-1")
		for i := range 20 {
			time.Sleep(9 * time.Minute)
			note := ""
			if i%2 == 0 {
				note = "going on"
			}
			_, err := w.Progress(w.Context(), w.as(w.agents["writer"]), "WEB-1", lease, note, -1)
			w.must(err)
		}
		w.execution(x, engine.Running)
		time.Sleep(31 * time.Minute) // nobody sweeps here: the lease is as good as live
		w.execution(x, engine.Failed)
		if it := w.task("WEB-1"); it.State != control.Cancelled {
			t.Errorf("the task is %s", it.State)
		}
	})
	test(t, func(w *world) { // blocked is at rest
		x := w.start(machine(runTask+half), `{}`)
		_, err := w.Block(w.Context(), w.as(w.agents["writer"]), "WEB-1", w.claim("writer", "WEB-1"),
			control.Blocking{Kind: "access", Reason: "no key", Owner: "@ana", Action: "give me one"})
		w.must(err)
		time.Sleep(48 * time.Hour)
		w.execution(x, engine.Running)
	})
	test(t, func(w *world) { // TimeoutSeconds bounds the whole
		x := w.start(machine(runTask+half+`,"TimeoutSeconds":7200`), `{}`)
		w.submit("writer", "WEB-1", w.claim("writer", "WEB-1"), `{}`)
		time.Sleep(2*time.Hour + time.Second)
		w.execution(x, engine.Failed)
	})
}

// Parameters that are only known at run time are checked then.
func TestParametersAtRunTime(t *testing.T) {
	f := func(input, name, want string) {
		t.Helper()
		test(t, func(w *world) {
			x := w.start(machine(`"Resource":"arn:aws:states:::agent:runTask.sync","Parameters":{"Project.$":"$.p","Title.$":"$.t","Priority.$":"$.q"}`), input)
			got := w.execution(x, engine.Failed)
			if deref(got.Error) != name || !strings.Contains(deref(got.Cause), want) {
				t.Errorf("%s: %s: %s", input, deref(got.Error), deref(got.Cause))
			}
		})
	}
	f(`{"p":"WEB","t":7,"q":"high"}`, "States.Runtime", "Title: This must be a text")
	f(`{"p":"WEB","t":"T","q":"soon"}`, "States.Runtime", "one of urgent, high, normal, low")
	f(`{"p":"NONE","t":"T","q":"high"}`, "States.TaskFailed", "NONE")
}

// No token answers for the board, and none is shown to agents.
func TestTokenIsNobodys(t *testing.T) {
	test(t, func(w *world) {
		x := w.start(machine(`"Resource":"arn:aws:states:::agent:runTask.waitForTaskToken","Parameters":{"Project":"WEB","Title":"T","Input":{"secret.$":"$$.Task.Token"}}`), `{}`)
		if got := string(w.task("WEB-1").Input); got != `{"secret":"(token)"}` {
			t.Errorf("the agent is shown %s", got)
		}
		for _, ev := range []engine.Event{
			engine.TaskSucceeded{At: time.Now(), Task: engine.TaskID{Frame: 1, Attempt: 1}, Output: engine.Text("{}"), Callback: true},
			engine.TaskHeartbeat{At: time.Now(), Task: engine.TaskID{Frame: 1, Attempt: 1}},
		} {
			if err := w.worker.Deliver(w.Context(), x, ev); err == nil || !strings.Contains(err.Error(), "the board answers") {
				t.Errorf("%T: %v", ev, err)
			}
		}
		w.execution(x, engine.Running)
	})
}
