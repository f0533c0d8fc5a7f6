package schedule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/schedule"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
)

// world is a server's schedules with what they have started. In it, it is the
// first of January 2000 at midnight, as always in synctest.
type world struct {
	*testing.T
	*schedule.Schedules
	store store.Store
	stop  func()

	mu      *sync.Mutex
	started map[string]string // input by name
	log     *[]string         // "time name", in order
	fail    func(name string) error
	crash   *atomic.Bool // writes fail
}

var ctx = context.Background()

func open(t *testing.T, st store.Store) *world {
	w := &world{T: t, store: st, mu: &sync.Mutex{}, started: map[string]string{}, log: new([]string), crash: &atomic.Bool{}}
	w.restart()
	return w
}

// restart makes the next process.
func (w *world) restart() {
	w.Schedules = schedule.New(schedule.Config{
		Store: w.store, Scheme: arn.Default, Log: slog.New(slog.DiscardHandler),
		Write: func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			if w.crash.Load() {
				return errors.New("crashed")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			batch := &store.Commit{Writes: []store.Write{{Do: do}}}
			return errors.Join(w.store.Commit(ctx, batch), batch.Writes[0].Err)
		},
		Start: func(_ context.Context, machine, name, input string) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fail != nil {
				if err := w.fail(name); err != nil {
					return "", err
				}
			}
			if _, taken := w.started[name]; !taken {
				w.started[name] = input
				*w.log = append(*w.log, time.Now().UTC().Format("02 15:04:05 ")+name)
			}
			return machine + "/" + name, nil
		},
	})
	running, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Schedules.Run(running); err != nil {
			w.Error(err)
		}
	}()
	w.stop = func() { cancel(); <-done }
}

func (w *world) put(s schedule.Spec) schedule.View {
	w.Helper()
	if s.Machine == "" {
		s.Machine = "m"
	}
	v, err := w.Put(ctx, s)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// pass lets time go by and compares what was started.
func (w *world) pass(d time.Duration, want ...string) {
	w.Helper()
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(*w.log) // what is due at the same moment has no order
	if diff := cmp.Diff(want, *w.log); diff != "" {
		w.Errorf("after %s (-want +got):\n%s", d, diff)
	}
	*w.log = nil
}

func inBubble(t *testing.T, do func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, memory.New())
		do(w)
		w.stop()
	})
}

func TestRun(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "hourly", Expression: "cron(0 * * * ? *)"})
		w.put(schedule.Spec{Name: "rate", Expression: "rate(40 minutes)"})
		w.put(schedule.Spec{Name: "once", Expression: "at(2000-01-01T00:30:00)"})
		w.pass(time.Hour, "01 00:00:00 hourly-20000101T000000Z", "01 00:00:00 rate-20000101T000000Z", "01 00:30:00 once-20000101T003000Z",
			"01 00:40:00 rate-20000101T004000Z", "01 01:00:00 hourly-20000101T010000Z")
		v, err := w.Get(ctx, "once")
		if err != nil || v.Next != "" || v.Last != "2000-01-01T00:30:00Z" || v.Started != 1 || !strings.HasSuffix(v.Execution, ":stateMachine:m/once-20000101T003000Z") {
			t.Errorf("%+v %v", v, err)
		}
		if v, err := w.Get(ctx, "hourly"); err != nil || v.Next != "2000-01-01T02:00:00Z" || v.ARN != "arn:aws:scheduler:us-east-1:123456789012:schedule/default/hourly" {
			t.Errorf("%+v %v", v, err)
		}
	})
}

func TestStartAndEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "rate(1 hour)", Start: "2000-01-01T02:10:00+01:00", End: "2000-01-01T03:30:00Z"})
		w.pass(10*time.Hour, "01 01:10:00 a-20000101T011000Z", "01 02:10:00 a-20000101T021000Z", "01 03:10:00 a-20000101T031000Z")
		w.put(schedule.Spec{Name: "past", Expression: "at(1999-01-01T00:00:00)"})
		w.pass(time.Hour)
	})
}

func TestZone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "cron(30 9 * * ? *)", Timezone: "Asia/Kolkata"})
		w.pass(25*time.Hour, "01 04:00:00 a-20000101T040000Z")
	})
}

func TestPause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "cron(0 * * * ? *)"})
		w.pass(0, "01 00:00:00 a-20000101T000000Z")
		if v, err := w.Pause(ctx, "a", true); err != nil || v.Next != "" {
			t.Errorf("%+v %v", v, err)
		}
		w.pass(3*time.Hour + time.Minute)
		if _, err := w.Pause(ctx, "a", false); err != nil {
			t.Error(err)
		}
		w.pass(time.Hour, "01 04:00:00 a-20000101T040000Z")
		if err := w.Delete(ctx, "a"); err != nil {
			t.Error(err)
		}
		w.pass(3 * time.Hour)
		if _, err := w.Pause(ctx, "a", true); err == nil {
			t.Error("a schedule that is gone can be paused")
		}
	})
}

func TestWindow(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "rate(1 day)", Window: 60})
		time.Sleep(72*time.Hour - time.Second)
		synctest.Wait()
		seen := map[string]bool{}
		for i, line := range *w.log {
			at, err := time.Parse("02 15:04:05", line[:11])
			if err != nil || at.Hour() != 0 || !strings.HasSuffix(line, fmt.Sprintf("a-2000010%dT000000Z", i+1)) {
				t.Errorf("%s %v", line, err)
			}
			seen[line[3:8]] = true
		}
		if len(*w.log) != 3 || len(seen) < 2 {
			t.Errorf("%q: all at the same moment", *w.log)
		}
	})
}

// What is due while no server runs.
func TestMissed(t *testing.T) {
	f := func(missed string, most int, away time.Duration, want ...string) {
		t.Helper()
		inBubble(t, func(w *world) {
			t.Helper()
			w.put(schedule.Spec{Name: "a", Expression: "cron(0 * * * ? *)", Missed: missed, MissedMax: most})
			w.pass(30*time.Minute, "01 00:00:00 a-20000101T000000Z")
			w.stop()
			time.Sleep(away)
			w.restart()
			w.pass(0, want...)
			w.pass(time.Hour, time.Now().UTC().Add(time.Hour).Truncate(time.Hour).Format("02 15:04:05 a-20060102T150405Z"))
		})
	}
	day := 3*time.Hour + 10*time.Minute // until 03:40: one, two and three o'clock are missed
	f(schedule.MissedSkip, 0, day)
	f("", 0, day, "01 03:40:00 a-20000101T030000Z")
	f(schedule.MissedOne, 0, day, "01 03:40:00 a-20000101T030000Z")
	f(schedule.MissedAll, 0, day, "01 03:40:00 a-20000101T010000Z", "01 03:40:00 a-20000101T020000Z", "01 03:40:00 a-20000101T030000Z")
	f(schedule.MissedAll, 2, day, "01 03:40:00 a-20000101T020000Z", "01 03:40:00 a-20000101T030000Z")
	f(schedule.MissedAll, 2, 10*365*24*time.Hour+day, "29 03:40:00 a-20091229T020000Z", "29 03:40:00 a-20091229T030000Z")
	f(schedule.MissedSkip, 0, 10*time.Minute)
	f(schedule.MissedSkip, 0, 30*time.Minute+20*time.Second, "01 01:00:20 a-20000101T010000Z") // hardly late
	f(schedule.MissedOne, 0, 90*time.Minute+20*time.Second, "01 02:00:20 a-20000101T020000Z")
}

// A crash between the start and its note starts nothing twice.
func TestCrash(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "cron(0 * * * ? *)"})
		w.pass(30*time.Minute, "01 00:00:00 a-20000101T000000Z")
		w.crash.Store(true)
		w.pass(31*time.Minute, "01 01:00:00 a-20000101T010000Z")
		w.stop()
		w.crash.Store(false)
		w.restart()
		w.pass(0)
		if v, err := w.Get(ctx, "a"); err != nil || v.Next != "2000-01-01T02:00:00Z" || v.Last != "2000-01-01T01:00:00Z" {
			t.Errorf("%+v %v", v, err)
		}
		w.pass(time.Hour, "01 02:00:00 a-20000101T020000Z")
	})
}

func TestFailures(t *testing.T) {
	inBubble(t, func(w *world) {
		failing := &atomic.Bool{}
		failing.Store(true)
		w.mu.Lock()
		w.fail = func(name string) error {
			switch {
			case strings.HasPrefix(name, "gone"):
				return &schedule.Rejected{Err: errors.New("there is no such machine")}
			case failing.Load():
				return errors.New("too much is under way")
			}
			return nil
		}
		w.mu.Unlock()
		w.put(schedule.Spec{Name: "gone", Expression: "cron(0 * * * ? *)"})
		w.put(schedule.Spec{Name: "busy", Expression: "at(2000-01-01T01:00:00)"})
		w.pass(61*time.Minute + 30*time.Second)
		if v, err := w.Get(ctx, "gone"); err != nil || v.Error != "there is no such machine" || v.Next != "2000-01-01T02:00:00Z" {
			t.Errorf("%+v %v", v, err)
		}
		if v, err := w.Get(ctx, "busy"); err != nil || v.Error != "too much is under way" || v.Next != "2000-01-01T01:00:00Z" {
			t.Errorf("%+v %v", v, err)
		}
		failing.Store(false)
		w.pass(5*time.Minute, "01 01:02:06 busy-20000101T010000Z")
		if v, err := w.Get(ctx, "busy"); err != nil || v.Error != "" || v.Next != "" {
			t.Errorf("%+v %v", v, err)
		}
	})
}

func TestInput(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put(schedule.Spec{Name: "a", Expression: "rate(1 hour)", Input: json.RawMessage(`{"at":"<aws.scheduler.scheduled-time>","by":"<aws.scheduler.schedule-arn>","id":"<aws.scheduler.execution-id>","n":"<aws.scheduler.attempt-number>"}`)})
		w.put(schedule.Spec{Name: "b", Expression: "rate(1 hour)"})
		time.Sleep(0)
		synctest.Wait()
		want := `{"at":"2000-01-01T00:00:00Z","by":"arn:aws:scheduler:us-east-1:123456789012:schedule/default/a","id":"2f1d36b7-7c1b-1e6c-6c6b-5f5d2b9e6a49","n":"1"}`
		w.mu.Lock()
		defer w.mu.Unlock()
		got := w.started["a-20000101T000000Z"]
		if len(got) != len(want) || got[:90] != want[:90] || w.started["b-20000101T000000Z"] != "{}" {
			t.Errorf("%q", w.started)
		}
	})
}

func TestDeclare(t *testing.T) {
	inBubble(t, func(w *world) {
		spec := schedule.Spec{Name: "d", Expression: "cron(0 * * * ? *)", Machine: "m"}
		declare := func(specs ...schedule.Spec) {
			t.Helper()
			if err := w.Declare(ctx, specs); err != nil {
				t.Error(err)
			}
		}
		declare(spec)
		w.put(schedule.Spec{Name: "own", Expression: "at(2030-01-01T00:00:00)"})
		w.pass(30*time.Minute, "01 00:00:00 d-20000101T000000Z")
		w.stop()
		time.Sleep(time.Hour)
		declare(spec) // as it was: what was missed is made up for
		w.restart()
		w.pass(0, "01 01:30:00 d-20000101T010000Z")
		if _, err := w.Put(ctx, spec); err == nil {
			t.Error("a declared schedule is replaced")
		}
		if err := w.Delete(ctx, "d"); err == nil {
			t.Error("a declared schedule is deleted")
		}
		spec.Expression = "cron(15 * * * ? *)"
		declare(spec)
		w.pass(time.Hour, "01 02:15:00 d-20000101T021500Z")
		declare()
		w.pass(3 * time.Hour)
		list, err := w.List(ctx)
		if err != nil || len(list) != 1 || list[0].Name != "own" {
			t.Errorf("%+v %v", list, err)
		}
		spec.Expression = "cron(x)"
		if err := w.Declare(ctx, []schedule.Spec{spec}); err == nil {
			t.Error("a bad schedule is accepted")
		}
	})
}

func TestManyOnSQLite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w := open(t, st)
		for i := range 300 {
			w.put(schedule.Spec{Name: fmt.Sprintf("s%d", i), Expression: "rate(1 hour)"})
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if len(w.started) != 600 {
			t.Errorf("%d executions were started", len(w.started))
		}
		w.stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestValidate(t *testing.T) {
	f := func(change func(*schedule.Spec), want string) {
		t.Helper()
		s := schedule.Spec{Name: "a", Expression: "rate(1 day)", Machine: "m"}
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(func(s *schedule.Spec) { s.Name = "a b" }, "a name has")
	f(func(s *schedule.Spec) { s.Expression = "daily" }, "is none of cron(…)")
	f(func(s *schedule.Spec) { s.Start = "tomorrow" }, "start must be a time")
	f(func(s *schedule.Spec) { s.Start, s.End = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z" }, "end must come after start")
	f(func(s *schedule.Spec) { s.Machine = "" }, "machine must be")
	f(func(s *schedule.Spec) { s.Window = 1441 }, "window must be")
	f(func(s *schedule.Spec) { s.Missed = "none" }, "missed must be")
	f(func(s *schedule.Spec) { s.MissedMax = 1001 }, "missed_max must be")
	f(func(s *schedule.Spec) { s.Input = json.RawMessage("{") }, "the input is not JSON")
}

func TestExecutionName(t *testing.T) {
	at := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	f := func(name, want string) {
		t.Helper()
		if got := schedule.ExecutionName(name, at); got != want || len(got) > 80 {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f("nightly", "nightly-20260329T013000Z")
	f(strings.Repeat("x", 63), strings.Repeat("x", 63)+"-20260329T013000Z")
	f(strings.Repeat("x", 64), strings.Repeat("x", 54)+"-7ce10097-20260329T013000Z")
}
