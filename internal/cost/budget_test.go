package cost_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/lockstep-run/lockstep/internal/cost"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestSpans(t *testing.T) {
	f := func(window, at, place, want string) {
		t.Helper()
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		s := cost.SpanAt(window, when, zone(t, place))
		if got := fmt.Sprintf("%s to %s, next %s", s.First, s.Last, s.Ends.UTC().Format(time.RFC3339)); got != want {
			t.Errorf("%s at %s in %s = %s, want %s", window, at, place, got, want)
		}
	}
	f("day", "2026-11-20T23:30:00Z", "UTC", "2026-11-20 to 2026-11-20, next 2026-11-21T00:00:00Z")
	f("day", "2026-11-20T23:30:00Z", "Europe/Berlin", "2026-11-21 to 2026-11-21, next 2026-11-21T23:00:00Z")
	f("day", "2026-11-20T23:30:00Z", "America/Los_Angeles", "2026-11-20 to 2026-11-20, next 2026-11-21T08:00:00Z")
	// A day of 23 hours, one of 25, and one without a midnight.
	f("day", "2026-03-29T12:00:00Z", "Europe/Berlin", "2026-03-29 to 2026-03-29, next 2026-03-29T22:00:00Z")
	f("day", "2026-10-25T12:00:00Z", "Europe/Berlin", "2026-10-25 to 2026-10-25, next 2026-10-25T23:00:00Z")
	f("day", "2024-09-07T12:00:00Z", "America/Santiago", "2024-09-07 to 2024-09-07, next 2024-09-08T04:00:00Z")
	f("week", "2026-11-20T12:00:00Z", "UTC", "2026-11-16 to 2026-11-22, next 2026-11-23T00:00:00Z")
	f("week", "2026-11-16T00:00:00Z", "UTC", "2026-11-16 to 2026-11-22, next 2026-11-23T00:00:00Z")
	f("week", "2026-11-22T23:59:59Z", "UTC", "2026-11-16 to 2026-11-22, next 2026-11-23T00:00:00Z")
	f("week", "2027-01-01T12:00:00Z", "UTC", "2026-12-28 to 2027-01-03, next 2027-01-04T00:00:00Z")
	f("month", "2026-12-31T23:30:00Z", "Europe/Berlin", "2027-01-01 to 2027-01-31, next 2027-01-31T23:00:00Z")
	f("month", "2028-02-10T12:00:00Z", "UTC", "2028-02-01 to 2028-02-29, next 2028-03-01T00:00:00Z")
	if s := cost.SpanAt("task", day, time.UTC); !s.Ends.IsZero() || s.First != 0 {
		t.Errorf("the life of a task is %+v", s)
	}
}

func TestBudget(t *testing.T) {
	type sums = cost.Used
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	var standing cost.Standing
	f := func(b cost.Budget, used sums, when string, want string, told ...cost.Told) {
		t.Helper()
		var got []cost.Told
		standing, got = b.Evaluate(standing, used, at(when), zone(t, "Europe/Berlin"))
		state := fmt.Sprint(standing.Used)
		for name, on := range map[string]bool{" pauses": standing.Pauses, " blocks": standing.BlocksNew && !standing.Pauses, " hard": standing.Hard && !standing.BlocksNew} {
			if on {
				state += name
			}
		}
		if state != want || !slices.Equal(got, told) {
			t.Errorf("%s: %s, told %v; want %s, %v", when, state, got, want, told)
		}
	}
	b := cost.Budget{Scope: "agent", Name: "ada", Window: "day", Metric: "billed_usd", Soft: 80, Hard: 100}
	f(b, sums{Billed: 79, Shadow: 1000}, "2026-11-20T10:00:00Z", "79")
	f(b, sums{Billed: 80}, "2026-11-20T11:00:00Z", "80", cost.ToldSoft)
	f(b, sums{Billed: 99}, "2026-11-20T12:00:00Z", "99")
	f(b, sums{Billed: 100}, "2026-11-20T13:00:00Z", "100 pauses", cost.ToldHard)
	f(b, sums{Billed: 130}, "2026-11-20T22:59:59Z", "130 pauses")
	f(b, sums{Billed: 0}, "2026-11-20T23:00:00Z", "0", cost.ToldCleared) // midnight in Berlin
	f(b, sums{Billed: 200}, "2026-11-21T10:00:00Z", "200 pauses", cost.ToldSoft, cost.ToldHard)
	b.Hard = 300 // raised
	f(b, sums{Billed: 200}, "2026-11-21T10:01:00Z", "200", cost.ToldCleared)
	b.Soft = 250
	f(b, sums{Billed: 200}, "2026-11-21T10:02:00Z", "200")
	f(b, sums{Billed: 260}, "2026-11-21T10:03:00Z", "260") // told today already
	f(b, sums{Billed: 260}, "2026-11-22T10:00:00Z", "260", cost.ToldSoft)

	standing = cost.Standing{}
	b = cost.Budget{Scope: "workspace", Window: "month", Metric: "tokens", Hard: 1000, OnHard: "block_new"}
	f(b, sums{Tokens: 1000}, "2026-11-20T10:00:00Z", "1000 blocks", cost.ToldHard) // a plan that reports no money
	b.OnHard = "notify"
	f(b, sums{Tokens: 1001}, "2026-11-20T10:00:00Z", "1001 hard")
	standing = cost.Standing{}
	b = cost.Budget{Scope: "task", Name: "W-1", Window: "task", Metric: "runs", Hard: 3}
	f(b, sums{Runs: 3}, "2026-11-20T10:00:00Z", "3 pauses", cost.ToldHard)
	f(b, sums{Runs: 3}, "2027-11-20T10:00:00Z", "3 pauses") // its window never turns

	bad := func(b cost.Budget, want string) {
		t.Helper()
		if err := b.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", b, err, want)
		}
	}
	bad(cost.Budget{Scope: "moon"}, "scope")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "year"}, "window")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "day", Metric: "eur"}, "metric")
	bad(cost.Budget{Scope: "agent", Window: "day", Metric: "runs", Hard: 1}, "needs the name")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "day", Metric: "runs"}, "one is needed")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "day", Metric: "runs", Soft: 2, Hard: 1}, "never be told")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "day", Metric: "runs", Soft: -1}, "above 0")
	bad(cost.Budget{Scope: "agent", Name: "a", Window: "day", Metric: "runs", Hard: 1, OnHard: "explode"}, "on_hard")
}
