package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	kindBudget = "budget"
	maxBudgets = 1000
)

// Budget is a kept budget with how it stood when it was last looked at.
type Budget struct {
	cost.Budget
	Standing cost.Standing `json:"standing"`
}

// Sums is what a budget is looked at with: a store.Store or a store.Tx.
type Sums interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
}

// budgetsIn lists the budgets that are kept, with the version of each.
func budgetsIn(ctx context.Context, tx Sums) (list []Budget, versions []int64, err error) {
	found, err := tx.Records(ctx, store.Prefix(kindBudget, "", maxBudgets))
	if err != nil {
		return nil, nil, fmt.Errorf("list budgets: %w", err)
	}
	for _, f := range found {
		var b Budget
		if err := json.Unmarshal(f.Data, &b); err != nil {
			return nil, nil, fmt.Errorf("read budget %s: %w", f.ID, err)
		}
		list, versions = append(list, b), append(versions, f.Version)
	}
	return list, versions, nil
}

// SaveBudget keeps a budget in the place of the one with the same ID, and what it
// has told in this window. One of another scope, window or metric begins anew.
func (l *Ledger) SaveBudget(ctx context.Context, tx store.Tx, b cost.Budget) error {
	if b.ID == "" || len(b.ID) > 100 || len(b.Name) > maxText {
		return errors.New("a budget needs an id, of at most 100 bytes")
	}
	if err := b.Check(); err != nil {
		return err
	}
	r, err := tx.Record(ctx, kindBudget, b.ID)
	kept := Budget{}
	switch {
	case err == nil:
		if err := json.Unmarshal(r.Data, &kept); err != nil {
			return fmt.Errorf("read budget %s: %w", b.ID, err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if was := kept.Budget; was.Scope != b.Scope || was.Name != b.Name || was.Window != b.Window || was.Metric != b.Metric {
		kept.Standing = cost.Standing{}
	}
	kept.Budget = b
	return saveBudget(ctx, tx, kept, r.Version)
}

// Budget finds a budget as it is kept, or store.ErrNotFound.
func (l *Ledger) Budget(ctx context.Context, tx Sums, id string) (b Budget, err error) {
	r, err := tx.Record(ctx, kindBudget, id)
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(r.Data, &b)
}

func saveBudget(ctx context.Context, tx store.Tx, b Budget, version int64) error {
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("keep budget %s: %w", b.ID, err)
	}
	return tx.SaveRecord(ctx, store.Record{Kind: kindBudget, ID: b.ID, Version: version, Keys: []string{b.Scope + "\x00" + b.Name}, Data: data})
}

// DeleteBudget removes a budget, or returns store.ErrNotFound.
func (l *Ledger) DeleteBudget(ctx context.Context, tx store.Tx, id string) error {
	return tx.DeleteRecord(ctx, kindBudget, id)
}

// Standings lists the budgets as they were when they were last looked at.
func (l *Ledger) Standings(ctx context.Context, tx Sums) ([]Budget, error) {
	list, _, err := budgetsIn(ctx, tx)
	return list, err
}

// Turns is when the first window of any budget ends after now, the zero time if
// none does.
func (l *Ledger) Turns(ctx context.Context, now time.Time) (next time.Time, err error) {
	list, _, err := budgetsIn(ctx, l.cfg.Store)
	for _, b := range list {
		if ends := cost.SpanAt(b.Window, now, l.cfg.Zone).Ends; !ends.IsZero() && (next.IsZero() || ends.Before(next)) {
			next = ends
		}
	}
	return next, err
}

// Budgets lists the budgets and how they stand at a time.
func (l *Ledger) Budgets(ctx context.Context, now time.Time) ([]Budget, error) {
	list, _, err := budgetsIn(ctx, l.cfg.Store)
	if err != nil {
		return nil, err
	}
	for i := range list {
		used, err := UsedBy(ctx, l.cfg.Store, list[i].Budget, now, l.cfg.Zone)
		if err != nil {
			return nil, err
		}
		list[i].Standing, _ = list[i].Evaluate(list[i].Standing, used, now, l.cfg.Zone)
	}
	return list, nil
}

// Blocked says why nothing new may begin for an agent, a project and a task, ""
// if it may; names that are "" are of nothing. It looks at the sums as they are,
// so that what a budget has held back is free when its window turns or its limit
// is raised.
func (l *Ledger) Blocked(ctx context.Context, tx Sums, agent, project, task string, now time.Time) (string, error) {
	list, _, err := budgetsIn(ctx, tx)
	if err != nil {
		return "", err
	}
	about := map[string]string{"agent": agent, "project": project, "task": task}
	for _, b := range list {
		if name, named := about[b.Scope]; b.Scope != "workspace" && (!named || name == "" || name != b.Name) {
			continue
		}
		used, err := UsedBy(ctx, tx, b.Budget, now, l.cfg.Zone)
		if err != nil {
			return "", err
		}
		if s, _ := b.Evaluate(b.Standing, used, now, l.cfg.Zone); s.BlocksNew {
			return fmt.Sprintf("budget %s of the %s is used up: %d of %d %s in this %s", b.ID, strings.TrimSpace(b.Scope+" "+b.Name), s.Used, b.Hard, b.Metric, b.Window), nil
		}
	}
	return "", nil
}

// CheckBudgets looks at all budgets within a write, keeps how they stand, and
// tells of what has changed, each thing once.
func (l *Ledger) CheckBudgets(ctx context.Context, tx store.Tx, now time.Time, tell func(Budget, cost.Told) error) error {
	list, versions, err := budgetsIn(ctx, tx)
	if err != nil {
		return err
	}
	for i, b := range list {
		used, err := UsedBy(ctx, tx, b.Budget, now, l.cfg.Zone)
		if err != nil {
			return err
		}
		standing, told := b.Evaluate(b.Standing, used, now, l.cfg.Zone)
		if standing == b.Standing {
			continue
		}
		b.Standing = standing
		if err := saveBudget(ctx, tx, b, versions[i]); err != nil {
			return err
		}
		for _, what := range told {
			if err := tell(b, what); err != nil {
				return err
			}
		}
	}
	return nil
}

// Moved reports whether any budget stands otherwise than when it was last looked
// at.
func (l *Ledger) Moved(ctx context.Context, now time.Time) (bool, error) {
	list, _, err := budgetsIn(ctx, l.cfg.Store)
	if err != nil {
		return false, err
	}
	for _, b := range list {
		used, err := UsedBy(ctx, l.cfg.Store, b.Budget, now, l.cfg.Zone)
		if err != nil {
			return false, err
		}
		if s, _ := b.Evaluate(b.Standing, used, now, l.cfg.Zone); s != b.Standing {
			return true, nil
		}
	}
	return false, nil
}
