package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

const selectRecord = "SELECT kind, name, due, data FROM records"

func recordColumns(r *store.Record) []any { return []any{&r.Kind, &r.Name, &r.Due, &r.Data} }

func scanRecord(r *store.Record, rows *sql.Rows) error { return rows.Scan(recordColumns(r)...) }

func (s *statements) record(ctx context.Context, kind, name string) (r store.Record, err error) {
	err = s.row(ctx, recordColumns(&r), selectRecord+" WHERE kind = ? AND name = ?", kind, name)
	return r, err
}

// Record finds a record by its kind and name.
func (s *Store) Record(ctx context.Context, kind, name string) (store.Record, error) {
	r, err := s.read.record(ctx, kind, name)
	return r, wrap(err, "%s %q", kind, name)
}

// Records lists the records of a kind by name.
func (s *Store) Records(ctx context.Context, kind, afterName string, limit int) ([]store.Record, error) {
	list, err := all(ctx, s.read, scanRecord, selectRecord+" WHERE kind = ? AND name > ? ORDER BY name LIMIT ?", kind, afterName, max(limit, 0))
	return list, wrap(err, "list records of the kind %s", kind)
}

// DueRecords lists the records of a kind that are due.
func (s *Store) DueRecords(ctx context.Context, kind string, until time.Time, limit int) ([]store.Record, error) {
	list, err := all(ctx, s.read, scanRecord, selectRecord+" WHERE kind = ? AND due > 0 AND due <= ? ORDER BY due, name LIMIT ?",
		kind, until.UnixMilli(), max(limit, 0))
	return list, wrap(err, "list due records of the kind %s", kind)
}

func (t *tx) Record(ctx context.Context, kind, name string) (store.Record, error) {
	r, err := t.w.record(context.WithoutCancel(ctx), kind, name)
	return r, t.note(err)
}

func (t *tx) PutRecord(ctx context.Context, r store.Record) error {
	_, err := t.exec(ctx, `
		INSERT INTO records (kind, name, due, data) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET due = excluded.due, data = excluded.data`,
		r.Kind, r.Name, r.Due, r.Data)
	return err
}

func (t *tx) DeleteRecord(ctx context.Context, kind, name string) error {
	return t.change(ctx, "DELETE FROM records WHERE kind = ? AND name = ?", kind, name)
}
