package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/store"
)

func TestBudgets(t *testing.T) {
	w := open(t, nil)
	save := func(b cost.Budget) {
		t.Helper()
		if err := w.write(t.Context(), func(ctx context.Context, tx store.Tx) error { return w.SaveBudget(ctx, tx, b) }); err != nil {
			t.Fatal(err)
		}
	}
	check := func(now time.Time, want ...string) {
		t.Helper()
		var got []string
		err := w.write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return w.CheckBudgets(ctx, tx, now, func(b ledger.Budget, what cost.Told) error {
				got = append(got, b.ID+" "+string(what))
				return nil
			})
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("told %q, %v; want %q", got, err, want)
		}
	}
	blocked := func(agent, project, task string, now time.Time, want string) {
		t.Helper()
		why, err := w.Blocked(t.Context(), w.store, agent, project, task, now)
		if err != nil || why != want {
			t.Errorf("Blocked(%s, %s, %s) = %q, %v; want %q", agent, project, task, why, err, want)
		}
	}
	save(cost.Budget{ID: "ada-daily", Scope: "agent", Name: "ada", Window: "day", Metric: "tokens", Soft: 1000, Hard: 2000})
	save(cost.Budget{ID: "all", Scope: "workspace", Window: "month", Metric: "billed_usd", Hard: 5_000_000, OnHard: "notify"})
	check(noon)
	w.record(event("1", nil))
	check(noon, "ada-daily budget_soft")
	check(noon)
	blocked("ada", "", "", noon, "")
	w.record(event("2", nil))
	check(noon, "ada-daily budget_hard")
	const why = "budget ada-daily of the agent ada is used up: 2200 of 2000 tokens in this day"
	blocked("ada", "W", "W-1", noon, why)
	blocked("bob", "W", "W-1", noon, "")
	w.record(event("3", func(e *ledger.Event) { e.Agent = "bob" }), event("4", func(e *ledger.Event) { e.Agent = "bob" }))
	check(noon, "all budget_hard")
	blocked("bob", "", "", noon, "") // it only tells

	tomorrow := noon.AddDate(0, 0, 1)
	blocked("ada", "", "", tomorrow, "")
	check(tomorrow, "ada-daily budget_cleared")
	save(cost.Budget{ID: "ada-daily", Scope: "agent", Name: "ada", Window: "day", Metric: "tokens", Hard: 1})
	blocked("ada", "", "", noon, strings.Replace(why, "2000", "1", 1))
	save(cost.Budget{ID: "ada-daily", Scope: "agent", Name: "ada", Window: "day", Metric: "tokens", Hard: 9000}) // raised
	blocked("ada", "", "", noon, "")
	remove := func() error {
		return w.write(t.Context(), func(ctx context.Context, tx store.Tx) error { return w.DeleteBudget(ctx, tx, "ada-daily") })
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if err := remove(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("delete what is not there: %v", err)
	}
	list, err := w.Budgets(t.Context(), noon)
	if err != nil || len(list) != 1 || list[0].ID != "all" || list[0].Standing.Used != 6_000_000 || !list[0].Standing.Hard {
		t.Errorf("budgets %+v, %v", list, err)
	}
}
