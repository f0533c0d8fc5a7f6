package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// world is a ledger over the store in memory.
type world struct {
	*testing.T
	*ledger.Ledger
	store  *memory.Store
	mu     sync.Mutex
	fails  error // what writes fail with
	writes int
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, zone *time.Location) *world {
	t.Helper()
	w := &world{T: t, store: memory.New()}
	w.open(zone)
	return w
}

func (w *world) open(zone *time.Location) {
	var err error
	if w.Ledger, err = ledger.Open(context.Background(), ledger.Config{Store: w.store, Write: w.write, Zone: zone}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(ctx context.Context, do func(context.Context, store.Tx) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails != nil {
		return w.fails
	}
	w.writes++
	c := &store.Commit{Writes: []store.Write{{Do: do}}}
	if err := w.store.Commit(ctx, c); err != nil {
		return err
	}
	return c.Writes[0].Err
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = err
}

// sums shows the sums by something, each "name: events, $billed, $shadow".
func (w *world) sums(by string, want ...string) {
	w.Helper()
	s, err := w.Summarise(context.Background(), by, 0, 99991231, 100)
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, r := range s.Rows {
		name := r.Name
		if by == "day" {
			name = cost.Day(r.Day).String()
		}
		got = append(got, fmt.Sprintf("%s: %d, $%d, $%d", name, r.Events, r.Billed, r.Shadow))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("by %s (-want +got):\n%s", by, diff)
	}
}

func event(key string, change func(*ledger.Event)) ledger.Event {
	e := ledger.Event{
		Source: "s", Key: key, At: noon, Place: cost.Place{Agent: "ada", Task: "W-1"}, Provider: "anthropic", Model: "claude-haiku-4-5",
		Tokens: cost.Tokens{Input: 1000, Output: 100}, Rank: cost.AgentReport,
	}
	if change != nil {
		change(&e)
	}
	return e
}

func (w *world) record(events ...ledger.Event) []ledger.Kept {
	w.Helper()
	kept, err := w.Record(context.Background(), events)
	if err != nil {
		w.Fatal(err)
	}
	return kept
}

func TestRecord(t *testing.T) {
	w := open(t, nil)
	kept := w.record(event("1", nil), event("2", func(e *ledger.Event) { e.Agent, e.Labels = "bob", []string{"x", "x", "y"} }), event("1", nil))
	if kept[0].Computed != 1_500_000 || kept[0].Version == "" || !kept[0].Counted || kept[0].Duplicate || !kept[2].Duplicate {
		t.Errorf("kept %+v", kept)
	}
	w.record(event("1", func(e *ledger.Event) { e.Tokens.Input = 5 })) // the first one stays
	w.sums("agent", "ada: 1, $1500000, $1500000", "bob: 1, $1500000, $1500000")
	w.sums("task", "W-1: 2, $3000000, $3000000")
	w.sums("label", "x: 1, $1500000, $1500000", "y: 1, $1500000, $1500000")
	w.sums("model", "anthropic/claude-haiku-4-5: 2, $3000000, $3000000")

	f := func(want string, change func(*ledger.Event)) {
		t.Helper()
		if _, err := w.Record(context.Background(), []ledger.Event{event("3", nil), event("4", change)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("needs a source", func(e *ledger.Event) { e.Key = "" })
	f("longer than", func(e *ledger.Event) { e.Task = strings.Repeat("x", 1001) })
	f("no UTF-8", func(e *ledger.Event) { e.Agent = "\xff" })
	f("labels", func(e *ledger.Event) { e.Labels = make([]string, 21) })
	f("out of range", func(e *ledger.Event) { e.At = time.Time{} })
	f("input is -1", func(e *ledger.Event) { e.Tokens.Input = -1 })
	f("billing", func(e *ledger.Event) { e.Billing = "free" })
	w.sums("task", "W-1: 2, $3000000, $3000000") // all or none
}

// TestDays puts usage into the day that it is where the workspace is.
func TestDays(t *testing.T) {
	w := open(t, time.FixedZone("far east", 9*3600))
	w.record(event("1", func(e *ledger.Event) { e.At = time.Date(2026, 11, 20, 14, 59, 59, 0, time.UTC) }),
		event("2", func(e *ledger.Event) { e.At = time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC) }))
	w.sums("day", "2026-11-20: 1, $1500000, $1500000", "2026-11-21: 1, $1500000, $1500000")
}

func TestRanks(t *testing.T) {
	w := open(t, nil)
	from := func(source string, rank cost.Rank, key string, input int64) ledger.Event {
		return event(key, func(e *ledger.Event) {
			e.Source, e.Rank, e.Run, e.Tokens = source, rank, "run", cost.Tokens{Input: input}
		})
	}
	w.record(from("agent", cost.AgentReport, "1", 100))
	w.sums("agent", "ada: 1, $100000, $100000")
	w.record(from("plugin", cost.Plugin, "1", 200)) // is believed more
	w.sums("agent", "ada: 1, $200000, $200000")
	if kept := w.record(from("gateway", cost.GatewayRead, "1", 300)); kept[0].Counted {
		t.Error("what is believed less counts")
	}
	w.sums("agent", "ada: 1, $200000, $200000")
	kept := w.record(from("plugin", cost.Plugin, "2", 50)) // done again
	if !kept[0].Counted || kept[0].Marks&cost.Repeated == 0 {
		t.Errorf("a repetition: %+v", kept)
	}
	w.sums("agent", "ada: 2, $250000, $250000")

	// The same in one batch, in the other order.
	w = open(t, nil)
	w.record(from("plugin", cost.Plugin, "1", 200), from("agent", cost.AgentReport, "1", 100))
	w.record(from("agent", cost.AgentReport, "2", 100), from("plugin", cost.Plugin, "2", 7))
	w.sums("agent", "ada: 2, $207000, $207000")
	list, err := w.store.Usages(t.Context(), 0, 9)
	if err != nil || len(list) != 4 {
		t.Errorf("%d kept, %v; what does not count is kept too", len(list), err)
	}
}

func TestPricesAndReprice(t *testing.T) {
	w := open(t, nil)
	reported := int64(42)
	w.record(event("1", func(e *ledger.Event) { e.Provider, e.Model = "acme", "m1" }),
		event("2", func(e *ledger.Event) { e.Provider, e.Model, e.Reported = "acme", "m1", &reported }),
		event("3", func(e *ledger.Event) { e.Provider, e.Model, e.Billing = "acme", "m1", cost.Subscription }))
	w.sums("model", "acme/m1: 3, $42, $42")
	if _, err := w.Import(t.Context(), []byte(`[{"id":"acme","models":[{"id":"m1","match":{"equals":"m1"},"prices":{"input_mtok":1,"output_mtok":2}}]}]`), "test"); err != nil {
		t.Fatal(err)
	}
	w.sums("model", "acme/m1: 3, $42, $42") // what is kept stays
	reprice := func(want int) {
		t.Helper()
		if n, err := w.Reprice(t.Context()); err != nil || n != want {
			t.Errorf("Reprice = %d, %v; want %d", n, err, want)
		}
	}
	reprice(3)
	w.sums("model", "acme/m1: 3, $1200042, $3600000")
	reprice(0)
	if err := w.Override(t.Context(), []cost.Model{{Provider: "acme", ID: "m1", Prices: []cost.Price{{Rates: cost.Rates{Input: 10, Output: 10}}}}}); err != nil {
		t.Fatal(err)
	}
	w.open(nil) // prices outlive the process
	w.record(event("4", func(e *ledger.Event) { e.Provider, e.Model, e.Tokens = "acme", "m1", cost.Tokens{Input: 1_000_000} }))
	w.sums("model", "acme/m1: 4, $1200052, $3600010")
	if err := w.Override(t.Context(), []cost.Model{{Provider: "acme"}}); err == nil {
		t.Error("a price without a model was taken")
	}
}

// TestNote keeps what it is told a moment later, in few writes, and keeps trying.
func TestNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, nil)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Ledger.Run(ctx) })
		for i := range 1200 {
			w.Note(event(fmt.Sprint(i), nil))
		}
		w.Note(event("bad", func(e *ledger.Event) { e.Tokens.Output = -1 })) // is left out, and holds nothing up
		time.Sleep(time.Second)
		w.sums("agent", "ada: 1200, $1800000000, $1800000000")
		if w.writes != 3 {
			t.Errorf("%d writes for 1,200 events, want 3", w.writes)
		}
		w.fail(store.ErrFull)
		w.Note(event("later", nil))
		time.Sleep(time.Minute)
		w.sums("agent", "ada: 1200, $1800000000, $1800000000")
		w.fail(nil)
		time.Sleep(3 * time.Second)
		w.sums("agent", "ada: 1201, $1801500000, $1801500000")

		// What is noted when it stops is for Flush.
		w.Note(event("last", nil))
		stop()
		running.Wait()
		if err := w.Flush(t.Context(), w.write); err != nil {
			t.Fatal(err)
		}
		w.sums("agent", "ada: 1202, $1803000000, $1803000000")
	})
}

// TestBeside keeps what was noted with the next commit, all in one write; what
// cannot be kept waits on, and Flush waits for what is under way.
func TestBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, nil)
		type posted struct {
			do   func(context.Context, store.Tx) error
			done func(error)
		}
		var posts []posted
		post := func(do func(context.Context, store.Tx) error, done func(error)) {
			posts = append(posts, posted{do, done})
		}
		commit := func() {
			t.Helper()
			for _, p := range posts {
				p.done(w.write(t.Context(), p.do))
			}
			posts = nil
		}
		w.Beside(post) // nothing waits
		for i := range 40 {
			w.Note(event(fmt.Sprint(i), nil))
			w.Beside(post)
		}
		w.Note(event("bad", func(e *ledger.Event) { e.Tokens.Output = -1 }))
		if len(posts) != 1 {
			t.Errorf("%d writes, want 1", len(posts))
		}
		commit()
		w.sums("agent", "ada: 40, $60000000, $60000000")

		w.fail(store.ErrFull)
		w.Note(event("later", nil))
		w.Beside(post)
		commit()
		w.fail(nil)
		w.Note(event("latest", nil))
		w.Beside(post)
		var flushing sync.WaitGroup
		flushing.Go(func() {
			if err := w.Flush(t.Context(), w.write); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w.sums("agent", "ada: 40, $60000000, $60000000")
		posts[0].done(context.Canceled) // the worker has ended before
		flushing.Wait()
		w.sums("agent", "ada: 42, $63000000, $63000000")
	})
}

// TestUnknownOutcome: a write that took effect and failed is written again, and
// counts once.
func TestUnknownOutcome(t *testing.T) {
	w := open(t, nil)
	w.Note(event("1", nil))
	err := w.Flush(t.Context(), func(ctx context.Context, do func(context.Context, store.Tx) error) error {
		if err := w.write(ctx, do); err != nil {
			return err
		}
		return store.ErrUnknown
	})
	if !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context(), w.write); err != nil {
		t.Fatal(err)
	}
	w.sums("agent", "ada: 1, $1500000, $1500000")
}

func TestBounded(t *testing.T) {
	w := open(t, nil)
	for range 50_003 {
		w.Note(event("x", nil))
	}
	if w.Lost() != 3 {
		t.Errorf("lost %d, want 3", w.Lost())
	}
}

func TestUsedBy(t *testing.T) {
	w := open(t, nil)
	w.record(event("1", nil), event("2", func(e *ledger.Event) { e.At = noon.AddDate(0, 0, -1) }), event("3", func(e *ledger.Event) { e.At = noon.AddDate(0, -1, 0) }))
	f := func(scope, name, window string, want cost.Used) {
		t.Helper()
		got, err := ledger.UsedBy(t.Context(), w.store, cost.Budget{Scope: scope, Name: name, Window: window}, noon, time.UTC)
		if err != nil || got != want {
			t.Errorf("%s %s in a %s: %+v, %v; want %+v", scope, name, window, got, err, want)
		}
	}
	one := cost.Used{Billed: 1_500_000, Shadow: 1_500_000, Tokens: 1100, Runs: 1}
	f("agent", "ada", "day", one)
	f("agent", "ada", "week", cost.Used{Billed: 3_000_000, Shadow: 3_000_000, Tokens: 2200, Runs: 2})
	f("workspace", "", "month", cost.Used{Billed: 3_000_000, Shadow: 3_000_000, Tokens: 2200, Runs: 2})
	f("task", "W-1", "task", cost.Used{Billed: 4_500_000, Shadow: 4_500_000, Tokens: 3300, Runs: 3})
	f("agent", "bob", "day", cost.Used{})
}
