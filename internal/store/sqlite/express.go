package sqlite

import (
	"context"
	"database/sql"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Starts lists kept Express executions by id.
func (s *Store) Starts(ctx context.Context, after store.ExecutionID, limit int) ([]store.ExpressStart, error) {
	scan := func(x *store.ExpressStart, rows *sql.Rows) error {
		return rows.Scan(&x.ID, &x.Machine, &x.Revision, &x.StartedAt, &x.Via.Number, &x.Via.Alias, &x.Name, &x.Trace, &x.Input)
	}
	list, err := all(ctx, s.read, scan, `
		SELECT id, machine, revision, started, via_version, via_alias, name, trace, input
		FROM express_starts WHERE id > ? ORDER BY id LIMIT ?`, int64(after), max(limit, 0))
	return list, wrap(err, "list Express executions to run")
}

func (t *tx) KeepStarts(ctx context.Context, starts []store.ExpressStart) error {
	for i := range starts {
		x := &starts[i]
		_, err := t.insert(ctx, "INSERT INTO express_starts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			int64(x.ID), int64(x.Machine), int64(x.Revision), x.StartedAt, x.Via.Number, x.Via.Alias, x.Name, x.Trace, x.Input)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) DropStarts(ctx context.Context, ids []store.ExecutionID) error {
	for _, id := range ids {
		if _, err := t.exec(ctx, "DELETE FROM express_starts WHERE id = ?", int64(id)); err != nil {
			return err
		}
	}
	return nil
}
