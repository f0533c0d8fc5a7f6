package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Usages lists usage by id.
func (s *Store) Usages(_ context.Context, after int64, limit int) (list []store.Usage, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	after = min(max(after, 0), int64(len(s.usages)))
	for _, u := range first(s.usages[after:], limit) {
		list = append(list, own(u))
	}
	return list, nil
}

// UsagesOfExecution lists what an execution used, by id.
func (s *Store) UsagesOfExecution(_ context.Context, execution string, after int64, limit int) (list []store.Usage, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, u := range s.usages {
		if len(list) >= limit {
			break
		}
		if execution != "" && u.Execution == execution && u.ID > after {
			list = append(list, own(u))
		}
	}
	return list, nil
}

// own shares nothing with the store.
func own(u store.Usage) store.Usage {
	u.Labels = slices.Clone(u.Labels)
	if u.Reported != nil {
		n := *u.Reported
		u.Reported = &n
	}
	return u
}

// UsageSums lists sums.
func (s *Store) UsageSums(_ context.Context, q store.SumQuery) ([]store.UsageSum, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := map[store.SumKey]store.UsageTotals{}
	for key, totals := range s.sums {
		if key.By != q.By || key.Day < q.From || key.Day > q.To {
			continue
		}
		if !q.Daily {
			key.Day = 0
		}
		sum := found[key]
		sum.Add(totals, 1)
		found[key] = sum
	}
	var list []store.UsageSum
	for key, totals := range found {
		list = append(list, store.UsageSum{SumKey: key, UsageTotals: totals})
	}
	slices.SortFunc(list, func(a, b store.UsageSum) int {
		if q.Daily {
			return cmp.Or(cmp.Compare(a.Day, b.Day), strings.Compare(a.Name, b.Name))
		}
		return cmp.Or(cmp.Compare(b.Shadow, a.Shadow), strings.Compare(a.Name, b.Name))
	})
	return first(list, q.Limit), nil
}

// UsageOf is the sum for one name.
func (s *Store) UsageOf(_ context.Context, by, name string, from, to int64) (store.UsageTotals, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usageOf(by, name, from, to), nil
}

func (s *Store) usageOf(by, name string, from, to int64) (sum store.UsageTotals) {
	for key, totals := range s.sums {
		if key.By == by && key.Name == name && from <= key.Day && key.Day <= to {
			sum.Add(totals, 1)
		}
	}
	return sum
}

func (t *tx) UsageOf(_ context.Context, by, name string, from, to int64) (store.UsageTotals, error) {
	return t.s.usageOf(by, name, from, to), nil
}

func (t *tx) Usage(_ context.Context, source, key string) (store.Usage, error) {
	id, ok := t.s.usageKeys[[2]string{source, key}]
	if !ok {
		return store.Usage{}, fmt.Errorf("usage %q of %q: %w", key, source, store.ErrNotFound)
	}
	return own(t.s.usages[id-1]), nil
}

func (t *tx) UsagesOfRun(_ context.Context, run string, limit int) (list []store.Usage, err error) {
	for _, id := range first(t.s.usageRuns[run], limit) {
		list = append(list, own(t.s.usages[id-1]))
	}
	return list, nil
}

func (t *tx) AddUsages(_ context.Context, list []store.Usage) error {
	seen := map[[2]string]bool{}
	for i := range list {
		key := [2]string{list[i].Source, list[i].Key}
		if _, there := t.s.usageKeys[key]; there || seen[key] {
			return fmt.Errorf("usage %q of %q: %w", list[i].Key, list[i].Source, store.ErrExists)
		}
		seen[key] = true
	}
	for i := range list {
		u := own(list[i])
		u.ID = int64(len(t.s.usages)) + 1
		t.s.usages = append(t.s.usages, u)
		set(t, t.s.usageKeys, [2]string{u.Source, u.Key}, &u.ID)
		if u.Run != "" {
			ids := append(slices.Clone(t.s.usageRuns[u.Run]), u.ID)
			set(t, t.s.usageRuns, u.Run, &ids)
		}
		t.undo = append(t.undo, func() { t.s.usages = t.s.usages[:u.ID-1] })
		t.sum(&u, 1)
	}
	return nil
}

func (t *tx) SaveUsages(_ context.Context, list []store.Usage) error {
	for i := range list {
		u := &list[i]
		if u.ID < 1 || u.ID > int64(len(t.s.usages)) {
			return fmt.Errorf("usage %d: %w", u.ID, store.ErrNotFound)
		}
		kept := &t.s.usages[u.ID-1]
		old := *kept
		t.sum(kept, -1)
		kept.Computed, kept.Billed, kept.Shadow = u.Computed, u.Billed, u.Shadow
		kept.Marks, kept.Price, kept.Counted = u.Marks, u.Price, u.Counted
		t.sum(kept, 1)
		t.undo = append(t.undo, func() { t.s.usages[old.ID-1] = old })
	}
	return nil
}

// sum adds a usage to its sums, or takes it out again.
func (t *tx) sum(u *store.Usage, sign int64) {
	if !u.Counted {
		return
	}
	for _, key := range u.Sums() {
		totals := t.s.sums[key]
		totals.Add(u.Totals(), sign)
		set(t, t.s.sums, key, &totals)
	}
}
