package control_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

func TestPoliciesInJSON(t *testing.T) {
	p := control.Policies{Lease: 15 * time.Minute, StallAfter: 1500 * time.Millisecond, MaxAttempts: 5}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"max_attempts":5,"lease":900,"stall_after":1.5}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	f := func(text string, want control.Policies) {
		t.Helper()
		var got control.Policies
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	f(string(text), p)
	f(`{"lease":600000000000,"ack_timeout":1000000000}`, control.Policies{Lease: 10 * time.Minute, AckTimeout: time.Second}) // as it was kept
	if err := p.Change([]byte(`{"lease":60}`)); err != nil || p.Lease != time.Minute || p.MaxAttempts != 5 {
		t.Errorf("%+v: %v", p, err)
	}
	if err := p.Change([]byte(`{"leese":60}`)); err == nil {
		t.Error("a slip of the pen is passed over")
	}
}

func (w *world) policies(p control.Policies) {
	w.Helper()
	ok[*control.Project](w)(w.UpdateProject(ctx, w.as("ann"), "WEB", struct {
		Name     *string
		Owner    control.Party
		Policies *control.Policies
	}{Policies: &p}))
}

func TestPoliciesOfAProject(t *testing.T) {
	status := func(w *world) control.AgentStatus {
		return ok[control.AgentStatus](w)(w.AgentStatus(ctx, w.as("ann"), "writer"))
	}
	t.Run("heartbeat", func(t *testing.T) {
		w := start(t)
		if err := w.Signal(ctx, w.as("writer")); err != nil {
			t.Fatal(err)
		}
		w.policies(control.Policies{HeartbeatSeconds: 200})
		w.now = w.now.Add(599 * time.Second)
		if st := status(w); st.Connectivity != "online" {
			t.Errorf("it is %s within three heartbeats", st.Connectivity)
		}
		w.wait(time.Second)
		if st := status(w); st.Connectivity != "offline" {
			t.Errorf("it is %s after three heartbeats", st.Connectivity)
		}
	})
	t.Run("failing", func(t *testing.T) {
		w := newWorld(t, memory.New(), control.Config{}, control.Policies{FailingAfter: 2, PauseFailing: true, MaxAttempts: 9})
		for i := range 2 {
			w.task(control.NewTask{Title: "A", Assignee: "@writer"})
			got := w.claim("writer", []string{"WEB-1", "WEB-2"}[i])
			ok[*control.Task](w)(w.Fail(ctx, w.as("writer"), got.Task.Key, got.LeaseToken, control.Failure{Category: "agent", Message: "no", Retryable: true}))
			if st := status(w); st.Failing != (i == 1) || (st.Label == "paused") != (i == 1) {
				t.Errorf("after %d failures: %+v", i+1, st)
			}
		}
	})
	t.Run("work in progress", func(t *testing.T) {
		w := newWorld(t, memory.New(), control.Config{}, control.Policies{WIP: map[control.State]int{control.InProgress: 2}})
		for range 3 {
			w.task(control.NewTask{Title: "A"})
		}
		w.claim("writer", "WEB-1")
		w.claim("ann", "WEB-2")
		w.refused(second(w.Claim(ctx, w.as("editor"), "WEB-3")), control.AtCapacity)
		if _, why, err := w.Next(ctx, w.as("editor"), ""); err != nil || why != "wip_limit" {
			t.Errorf("next: %s, %v", why, err)
		}
		ok[*control.Task](w)(w.Release(ctx, w.as("ann"), "WEB-2", "", ""))
		w.claim("editor", "WEB-3")
	})
	t.Run("refused", func(t *testing.T) {
		w := start(t)
		for _, p := range []control.Policies{{Lease: -1}, {MaxAttempts: -1}, {OnExpiry: "never"}, {ReviewMode: "all"}, {WIP: map[control.State]int{control.Done: 1}}} {
			_, err := w.CreateProject(ctx, w.as("ann"), control.NewProject{Key: "BAD", Policies: p})
			w.refused(err, control.InvalidInput)
		}
	})
}
