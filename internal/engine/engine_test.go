package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/asl"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func compile(t testing.TB, text string) *asl.Machine {
	t.Helper()
	m, diagnostics := asl.Parse(text, asl.Options{})
	if m == nil {
		t.Fatalf("parse: %v", diagnostics)
	}
	return m
}

func begin(input string) *Snapshot {
	return New(Execution{
		ID: 7, ARN: "arn:aws:states:us-east-1:123456789012:execution:m:x", Name: "x",
		MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m", MachineName: "m",
		RoleARN: "arn:aws:iam::123456789012:role/r", Region: "us-east-1", StartedAt: epoch, Input: Text(input),
	})
}

func testEnv(m *asl.Machine) *Env {
	return &Env{
		Machine:   m,
		Token:     func(id TaskID) string { return fmt.Sprintf("token-%d-%d", id.Frame, id.Attempt) },
		MapRunARN: func(id TaskID, label string) string { return fmt.Sprintf("run:%s:%d-%d", label, id.Frame, id.Attempt) },
	}
}

func passes(n int) string {
	text := `{"StartAt":"S1","States":{`
	for i := 1; i <= n; i++ {
		next := fmt.Sprintf(`"Next":"S%d"`, i+1)
		if i == n {
			next = `"End":true`
		}
		if i > 1 {
			text += ","
		}
		text += fmt.Sprintf(`"S%d":{"Type":"Pass",%s}`, i, next)
	}
	return text + "}}"
}

func TestPasses(t *testing.T) {
	m := compile(t, passes(3))
	s := begin(`{"a": 1}`)
	if _, err := Apply(testEnv(m), s, Started{At: epoch}); err != nil {
		t.Fatal(err)
	}
	events, err := DecodeHistory(s.Flush().History)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		t.Log(ev.ID, ev.Previous, ev.Type, ev.Name, deref(ev.Data))
	}
	if s.Status != Succeeded || s.Output.JSON() != `{"a": 1}` {
		t.Errorf("%s %s", s.Status, s.Output.JSON())
	}
}

func BenchmarkPass10(b *testing.B) {
	m := compile(b, passes(10))
	env := testEnv(m)
	b.ReportAllocs()
	for b.Loop() {
		s := begin(`{"comment":"hello, world","n":12345}`)
		if _, err := Apply(env, s, Started{At: epoch}); err != nil {
			b.Fatal(err)
		}
		d := s.Flush()
		if d.Status != Succeeded {
			b.Fatal(d.Status)
		}
	}
}

// TestHistoryLimit runs a loop of pure states: it yields on the way, and event
// 25,000 ends it.
func TestHistoryLimit(t *testing.T) {
	m := compile(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.stop","IsPresent":true,"Next":"E"}],"Default":"A"},"E":{"Type":"Succeed"}}}`)
	s := begin(`{}`)
	env := testEnv(m)
	var ev Event = Started{At: epoch}
	count, yields := int64(0), 0
	var last HistoryEvent
	for {
		step, err := Apply(env, s, ev)
		if err != nil {
			t.Fatal(err)
		}
		events, err := DecodeHistory(s.Flush().History)
		if err != nil {
			t.Fatal(err)
		}
		count += int64(len(events))
		last = events[len(events)-1]
		if !step.More {
			break
		}
		yields++
		ev = Continued{At: epoch}
	}
	if count != 25000 || last.ID != 25000 || last.Type != ExecutionFailedType || deref(last.Error) != "States.Runtime" || s.Status != Failed {
		t.Errorf("%d events, the last %d %s %s", count, last.ID, last.Type, deref(last.Cause))
	}
	if yields < 20 {
		t.Errorf("yielded %d times", yields)
	}
}

// TestResume stops between two yields, as a crash would: the store is told to
// look at the execution again, and it goes on from there.
func TestResume(t *testing.T) {
	m := compile(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.stop","IsPresent":true,"Next":"E"}],"Default":"A"},"E":{"Type":"Succeed"}}}`)
	s := begin(`{}`)
	env := testEnv(m)
	step, err := Apply(env, s, Started{At: epoch})
	if err != nil || !step.More {
		t.Fatalf("more: %t, %v", step.More, err)
	}
	d := s.Flush()
	if !d.Pending {
		t.Error("a crash now would leave it standing")
	}
	restored, err := Restore(s.Execution, d.Head, d.Frames)
	if err != nil {
		t.Fatal(err)
	}
	commands, more, err := Resume(env, restored)
	if err != nil || !more || len(commands) != 0 {
		t.Fatalf("resume: %v, more %t, %v", commands, more, err)
	}
	if _, err := Apply(env, restored, Continued{At: epoch}); err != nil {
		t.Fatal(err)
	}
	if got := restored.Flush().History.First; got != d.History.First+d.History.Count {
		t.Errorf("goes on with event %d after %d", got, d.History.First+d.History.Count-1)
	}
}

// TestResumeAsksForTheSameCall shows that a task which was being called is
// called again with the same id, input and token.
func TestResumeAsksForTheSameCall(t *testing.T) {
	m := compile(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","HeartbeatSeconds":10,"TimeoutSeconds":60,
	 "Parameters":{"FunctionName":"f","Payload":{"id.$":"States.UUID()","t.$":"$$.Task.Token"}},"End":true}}}`)
	s := begin(`{}`)
	env := testEnv(m)
	step, err := Apply(env, s, Started{At: epoch})
	if err != nil {
		t.Fatal(err)
	}
	first := step.Commands[0].(*Dispatch)
	d := s.Flush()
	restored, err := Restore(s.Execution, d.Head, d.Frames)
	if err != nil {
		t.Fatal(err)
	}
	commands, _, err := Resume(env, restored)
	if err != nil || len(commands) != 1 {
		t.Fatalf("resume: %v, %v", commands, err)
	}
	again := commands[0].(*Dispatch)
	if again.Task != first.Task || again.Input.JSON() != first.Input.JSON() || again.Token != first.Token {
		t.Errorf("asks for %+v %s, was %+v %s", again.Task, again.Input.JSON(), first.Task, first.Input.JSON())
	}
	// Both clocks are kept: a heartbeat puts the next one off, up to the timeout.
	if restored.Due() != epoch.Add(10*time.Second).UnixMilli() {
		t.Errorf("due at %d", restored.Due())
	}
	for beat := 9 * time.Second; beat < time.Minute; beat += 9 * time.Second {
		if _, err := Apply(env, restored, TaskHeartbeat{At: epoch.Add(beat), Task: first.Task}); err != nil {
			t.Fatal(err)
		}
	}
	if restored.Due() != epoch.Add(time.Minute).UnixMilli() {
		t.Errorf("with heartbeats it is due at %d, not at the timeout", restored.Due())
	}
}
