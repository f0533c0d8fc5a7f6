package sqlite

import (
	"context"
	"database/sql"
	"math"

	"github.com/lockstep-run/lockstep/internal/store"
)

// changeMapRun is what a step of an execution means to one of its runs.
func (w *writer) changeMapRun(ctx context.Context, id store.ExecutionID, c *store.MapRunChange) error {
	if c.Stop {
		_, err := w.exec(ctx, "UPDATE map_runs SET stopping = 1 WHERE name = ?", c.Name)
		return err
	}
	_, err := w.exec(ctx, `
		INSERT INTO map_runs (name, execution, frame, attempt, express, status, stopping, started, stopped, redrives, redriven, state, label)
		VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?8, 0, 0, 0, ?6, ?7)
		ON CONFLICT (name) DO UPDATE SET status = 0, stopping = 0, stopped = 0, redrives = ?9, redriven = max(?8, stopped + 1, redriven + 1) WHERE redrives < ?9`,
		c.Name, int64(id), int64(c.Task.Frame), int64(c.Task.Attempt), c.Express, c.State, c.Label, c.At, c.Redrives)
	return err
}

const (
	listedMapRun   = "SELECT id, name, execution, frame, attempt, express, status, stopping, started, stopped, redrives, redriven, state, label"
	selectMapRun   = listedMapRun + ", progress FROM map_runs"
	selectChildren = "SELECT " + listedColumns + detailColumns + " FROM executions x WHERE x.run > 0 AND x.run = ? AND x.run_index >= ? ORDER BY x.run_index LIMIT ?"
)

// listedRun says where the columns of listedMapRun go.
func listedRun(r *store.MapRun) []any {
	return []any{
		&r.ID, &r.Name, &r.Execution, &r.Task.Frame, &r.Task.Attempt, &r.Express, &r.Status, &r.Stopping,
		&r.StartedAt, &r.StoppedAt, &r.Redrives, &r.RedrivenAt, &r.State, &r.Label,
	}
}

func (s *statements) mapRun(ctx context.Context, column string, value any) (r store.MapRun, err error) {
	err = s.row(ctx, append(listedRun(&r), &r.Progress), selectMapRun+" WHERE "+column+" = ?", value)
	return r, err
}

// MapRun finds a Map Run by its name.
func (s *Store) MapRun(ctx context.Context, name string) (store.MapRun, error) {
	r, err := s.read.mapRun(ctx, "name", name)
	return r, wrap(err, "Map Run %q", name)
}

// MapRunByID finds a Map Run by its id.
func (s *Store) MapRunByID(ctx context.Context, id store.MapRunID) (store.MapRun, error) {
	r, err := s.read.mapRun(ctx, "id", int64(id))
	return r, wrap(err, "Map Run %d", id)
}

func scanMapRun(r *store.MapRun, rows *sql.Rows) error { return rows.Scan(listedRun(r)...) }

// MapRuns lists the Map Runs of an execution, newest first.
func (s *Store) MapRuns(ctx context.Context, execution store.ExecutionID, before store.MapRunID, limit int) ([]store.MapRun, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := all(ctx, s.read, scanMapRun, listedMapRun+" FROM map_runs WHERE execution = ? AND id < ? ORDER BY id DESC LIMIT ?",
		int64(execution), int64(before), max(limit, 0))
	return list, wrap(err, "list the Map Runs of execution %d", execution)
}

// OpenMapRuns lists the Map Runs that have not ended.
func (s *Store) OpenMapRuns(ctx context.Context, after store.MapRunID, limit int) ([]store.MapRun, error) {
	list, err := all(ctx, s.read, scanMapRun, listedMapRun+" FROM map_runs WHERE status = 0 AND id > ? ORDER BY id LIMIT ?",
		int64(after), max(limit, 0))
	return list, wrap(err, "list open Map Runs")
}

// Children lists the executions that a Map Run has started.
func (s *Store) Children(ctx context.Context, run store.MapRunID, from int64, limit int) ([]store.Execution, error) {
	list, err := all(ctx, s.read, func(x *store.Execution, rows *sql.Rows) error { return rows.Scan(detailed(x)...) },
		selectChildren, int64(run), from, max(limit, 0))
	return list, wrap(err, "list the children of Map Run %d", run)
}

// Results calls yield with the results of a Map Run, oldest first. No
// transaction is open meanwhile: results never change.
func (s *Store) Results(ctx context.Context, run store.MapRunID, yield func([]byte) bool) error {
	const page = 50
	type chunk struct {
		id   int64
		data []byte
	}
	for last := int64(0); ; {
		list, err := all(ctx, s.read, func(c *chunk, rows *sql.Rows) error { return rows.Scan(&c.id, &c.data) },
			"SELECT id, data FROM map_results WHERE run = ? AND id > ? ORDER BY id LIMIT ?", int64(run), last, page)
		if err != nil {
			return wrap(err, "results of Map Run %d", run)
		}
		for _, c := range list {
			data, err := unpack(c.data)
			if err != nil {
				return wrap(err, "results of Map Run %d, chunk %d", run, c.id)
			}
			if !yield(data) {
				return nil
			}
			last = c.id
		}
		if len(list) < page {
			return nil
		}
	}
}

func (t *tx) MapRun(ctx context.Context, id store.MapRunID) (store.MapRun, error) {
	r, err := t.w.mapRun(context.WithoutCancel(ctx), "id", int64(id))
	return r, t.note(err)
}

func (t *tx) SaveMapRun(ctx context.Context, r store.MapRun) error {
	n, err := t.exec(ctx, "UPDATE map_runs SET status = ?, stopped = ?, progress = ? WHERE id = ?",
		int64(r.Status), r.StoppedAt, r.Progress, int64(r.ID))
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

func (t *tx) AddResults(ctx context.Context, run store.MapRunID, data []byte) error {
	n, err := t.exec(ctx, "INSERT INTO map_results (run, data) SELECT id, ? FROM map_runs WHERE id = ?", pack(nil, data), int64(run))
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}
