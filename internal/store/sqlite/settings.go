package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

const selectSetting = "SELECT kind, name, due, data FROM settings"

func settingColumns(r *store.Setting) []any { return []any{&r.Kind, &r.Name, &r.Due, &r.Data} }

func scanSetting(r *store.Setting, rows *sql.Rows) error { return rows.Scan(settingColumns(r)...) }

func (s *statements) setting(ctx context.Context, kind, name string) (r store.Setting, err error) {
	err = s.row(ctx, settingColumns(&r), selectSetting+" WHERE kind = ? AND name = ?", kind, name)
	return r, err
}

// Setting finds a setting by its kind and name.
func (s *Store) Setting(ctx context.Context, kind, name string) (store.Setting, error) {
	r, err := s.read.setting(ctx, kind, name)
	return r, wrap(err, "%s %q", kind, name)
}

// Settings lists the settings of a kind by name.
func (s *Store) Settings(ctx context.Context, kind, afterName string, limit int) ([]store.Setting, error) {
	list, err := all(ctx, s.read, scanSetting, selectSetting+" WHERE kind = ? AND name > ? ORDER BY name LIMIT ?", kind, afterName, max(limit, 0))
	return list, wrap(err, "list settings of the kind %s", kind)
}

// DueSettings lists the settings of a kind that are due.
func (s *Store) DueSettings(ctx context.Context, kind string, until time.Time, limit int) ([]store.Setting, error) {
	list, err := all(ctx, s.read, scanSetting, selectSetting+" WHERE kind = ? AND due > 0 AND due <= ? ORDER BY due, name LIMIT ?",
		kind, until.UnixMilli(), max(limit, 0))
	return list, wrap(err, "list due settings of the kind %s", kind)
}

func (t *tx) Setting(ctx context.Context, kind, name string) (store.Setting, error) {
	r, err := t.w.setting(context.WithoutCancel(ctx), kind, name)
	return r, t.note(err)
}

func (t *tx) PutSetting(ctx context.Context, r store.Setting) error {
	_, err := t.exec(ctx, `
		INSERT INTO settings (kind, name, due, data) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET due = excluded.due, data = excluded.data`,
		r.Kind, r.Name, r.Due, r.Data)
	return err
}

func (t *tx) DeleteSetting(ctx context.Context, kind, name string) error {
	return t.change(ctx, "DELETE FROM settings WHERE kind = ? AND name = ?", kind, name)
}
