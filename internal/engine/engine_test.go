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
	return &Env{Machine: m, Token: func(id TaskID) string { return fmt.Sprintf("token-%d-%d", id.Frame, id.Attempt) }}
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
