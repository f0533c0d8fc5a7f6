package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	usageColumns = `source, key, run, rank, at, day, provider, model, project, agent, task, attempt, machine, state, execution, labels,
		input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, several, billing, reported, computed, billed, shadow, marks, price, counted`
	selectUsage = "SELECT id, " + usageColumns + " FROM usages"
	sumColumns  = "events, input, cache_read, cache_write_5m, cache_write_1h, output, billed, shadow, unpriced, marked"
)

func scanUsage(u *store.Usage, rows *sql.Rows) error {
	labels := ""
	err := rows.Scan(&u.ID, &u.Source, &u.Key, &u.Run, &u.Rank, &u.At, &u.Day, &u.Provider, &u.Model, &u.Project, &u.Agent, &u.Task, &u.Attempt,
		&u.Machine, &u.State, &u.Execution, &labels, &u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning, &u.Several,
		&u.Billing, &u.Reported, &u.Computed, &u.Billed, &u.Shadow, &u.Marks, &u.Price, &u.Counted)
	if err != nil {
		return err
	}
	u.Labels, err = decodeTexts(labels)
	return err
}

// Usages lists usage by id.
func (s *Store) Usages(ctx context.Context, after int64, limit int) ([]store.Usage, error) {
	list, err := all(ctx, s.read, scanUsage, selectUsage+" WHERE id > ? ORDER BY id LIMIT ?", after, max(limit, 0))
	return list, wrap(err, "list usage")
}

// UsagesOfExecution lists what an execution used, by id.
func (s *Store) UsagesOfExecution(ctx context.Context, execution string, after int64, limit int) ([]store.Usage, error) {
	list, err := all(ctx, s.read, scanUsage, selectUsage+" WHERE execution <> '' AND execution = ? AND id > ? ORDER BY id LIMIT ?", execution, after, max(limit, 0))
	return list, wrap(err, "list the usage of an execution")
}

// summed is the columns of a sum over days.
var summed = func() string {
	var list []string
	for _, column := range strings.Split(sumColumns, ", ") {
		list = append(list, "sum("+column+")")
	}
	return strings.Join(list, ", ")
}()

// UsageSums lists sums.
func (s *Store) UsageSums(ctx context.Context, q store.SumQuery) ([]store.UsageSum, error) {
	scan := func(u *store.UsageSum, rows *sql.Rows) error {
		dest := []any{&u.Name, &u.Day}
		for _, field := range u.Fields() {
			dest = append(dest, field)
		}
		u.By = q.By
		return rows.Scan(dest...)
	}
	if q.Daily {
		list, err := all(ctx, s.read, scan, "SELECT name, day, "+sumColumns+" FROM usage_sums WHERE by = ? AND day BETWEEN ? AND ? ORDER BY day, name LIMIT ?",
			q.By, q.From, q.To, max(q.Limit, 0))
		return list, wrap(err, "list sums of usage by %s", q.By)
	}
	list, err := all(ctx, s.read, scan, "SELECT name, 0, "+summed+" FROM usage_sums WHERE by = ? AND day BETWEEN ? AND ? GROUP BY name ORDER BY sum(shadow) DESC, name LIMIT ?",
		q.By, q.From, q.To, max(q.Limit, 0))
	return list, wrap(err, "list sums of usage by %s", q.By)
}

func (s *statements) usageOf(ctx context.Context, by, name string, from, to int64) (t store.UsageTotals, err error) {
	var dest []any
	for _, field := range t.Fields() {
		dest = append(dest, field)
	}
	err = s.row(ctx, dest, "SELECT "+summed+" FROM usage_sums WHERE by = ? AND name = ? AND day BETWEEN ? AND ? HAVING count(*) > 0", by, name, from, to)
	if errors.Is(err, store.ErrNotFound) {
		return t, nil
	}
	return t, err
}

// UsageOf is the sum for one name.
func (s *Store) UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error) {
	t, err := s.read.usageOf(ctx, by, name, from, to)
	return t, wrap(err, "sum usage of %s %q", by, name)
}

func (t *tx) UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error) {
	sum, err := t.w.usageOf(context.WithoutCancel(ctx), by, name, from, to)
	return sum, t.note(err)
}

func (t *tx) Usage(ctx context.Context, source, key string) (store.Usage, error) {
	list, err := all(context.WithoutCancel(ctx), t.w.statements, scanUsage, selectUsage+" WHERE source = ? AND key = ?", source, key)
	if err == nil && len(list) == 0 {
		return store.Usage{}, fmt.Errorf("usage %q of %q: %w", key, source, store.ErrNotFound)
	}
	if err != nil {
		return store.Usage{}, t.note(err)
	}
	return list[0], nil
}

func (t *tx) UsagesOfRun(ctx context.Context, run string, limit int) ([]store.Usage, error) {
	list, err := all(context.WithoutCancel(ctx), t.w.statements, scanUsage, selectUsage+" WHERE run = ? AND run <> '' ORDER BY id LIMIT ?", run, max(limit, 0))
	return list, t.note(err)
}

func (t *tx) AddUsages(ctx context.Context, list []store.Usage) error {
	seen := map[[2]string]bool{}
	for i := range list {
		u := &list[i]
		var n int64
		err := t.w.row(context.WithoutCancel(ctx), []any{&n}, "SELECT id FROM usages WHERE source = ? AND key = ?", u.Source, u.Key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return t.note(err)
		}
		if err == nil || seen[[2]string{u.Source, u.Key}] {
			return fmt.Errorf("usage %q of %q: %w", u.Key, u.Source, store.ErrExists)
		}
		seen[[2]string{u.Source, u.Key}] = true
	}
	sums := deltas{}
	for i := range list {
		u := &list[i]
		_, err := t.exec(ctx, "INSERT INTO usages ("+usageColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			u.Source, u.Key, u.Run, u.Rank, u.At, u.Day, u.Provider, u.Model, u.Project, u.Agent, u.Task, u.Attempt, u.Machine, u.State, u.Execution,
			encodeTexts(u.Labels), u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning, u.Several, u.Billing, u.Reported,
			u.Computed, u.Billed, u.Shadow, u.Marks, u.Price, u.Counted)
		if err != nil {
			return err
		}
		sums.add(u, 1)
	}
	return t.keepSums(ctx, sums)
}

func (t *tx) SaveUsages(ctx context.Context, list []store.Usage) error {
	sums := deltas{}
	for i := range list {
		u := &list[i]
		kept, err := all(context.WithoutCancel(ctx), t.w.statements, scanUsage, selectUsage+" WHERE id = ?", u.ID)
		if err == nil && len(kept) == 0 {
			return fmt.Errorf("usage %d: %w", u.ID, store.ErrNotFound)
		}
		if err != nil {
			return t.note(err)
		}
		if _, err := t.exec(ctx, "UPDATE usages SET computed = ?, billed = ?, shadow = ?, marks = ?, price = ?, counted = ? WHERE id = ?",
			u.Computed, u.Billed, u.Shadow, u.Marks, u.Price, u.Counted, u.ID); err != nil {
			return err
		}
		k := kept[0]
		sums.add(&k, -1)
		k.Computed, k.Billed, k.Shadow, k.Marks, k.Price, k.Counted = u.Computed, u.Billed, u.Shadow, u.Marks, u.Price, u.Counted
		sums.add(&k, 1)
	}
	return t.keepSums(ctx, sums)
}

// deltas are what a batch changes in the sums: each is written once.
type deltas map[store.SumKey]*store.UsageTotals

func (d deltas) add(u *store.Usage, sign int64) {
	if !u.Counted {
		return
	}
	totals := u.Totals()
	for _, key := range u.Sums() {
		if d[key] == nil {
			d[key] = &store.UsageTotals{}
		}
		d[key].Add(totals, sign)
	}
}

// upsertSum bounds each sum as UsageTotals.Add does.
var upsertSum = func() string {
	var set []string
	for _, column := range strings.Split(sumColumns, ", ") {
		set = append(set, fmt.Sprintf("%[1]s = max(-%[2]d, min(%[2]d, %[1]s + excluded.%[1]s))", column, int64(store.MaxUsageTotal)))
	}
	return "INSERT INTO usage_sums (by, name, day, " + sumColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (by, day, name) DO UPDATE SET " +
		strings.Join(set, ", ")
}()

func (t *tx) keepSums(ctx context.Context, sums deltas) error {
	keys := make([]store.SumKey, 0, len(sums))
	for key := range sums {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b store.SumKey) int {
		return cmp.Or(strings.Compare(a.By, b.By), strings.Compare(a.Name, b.Name), cmp.Compare(a.Day, b.Day))
	})
	for _, key := range keys {
		args := []any{key.By, key.Name, key.Day}
		for _, field := range sums[key].Fields() {
			args = append(args, *field)
		}
		if _, err := t.exec(ctx, upsertSum, args...); err != nil {
			return err
		}
	}
	return nil
}
