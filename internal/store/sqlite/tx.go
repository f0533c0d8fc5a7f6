package sqlite

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/lockstep-run/lockstep/internal/store"
)

// write runs one write under a savepoint of its own. The error it returns
// ends the commit.
func (w *writer) write(ctx context.Context, write *store.Write) error {
	if _, err := w.exec(ctx, "SAVEPOINT write"); err != nil {
		return err
	}
	t := &tx{w: w}
	write.Err = write.Do(ctx, t)
	if t.failed != nil {
		return t.failed
	}
	if write.Err != nil {
		if _, err := w.exec(ctx, "ROLLBACK TO write"); err != nil {
			return err
		}
	}
	_, err := w.exec(ctx, "RELEASE write")
	return err
}

// tx is the store.Tx of one write.
type tx struct {
	w      *writer
	failed error // what ends the commit whatever the write makes of it
}

// note remembers an error that is not part of the contract.
func (t *tx) note(err error) error {
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) {
		t.failed = err
	}
	return err
}

// A write is not given up half-way, so its statements do not see its context
// end.
func (t *tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	n, err := t.w.exec(context.WithoutCancel(ctx), text, args...)
	return n, t.note(err)
}

// insert is for tables where only a name can be taken already.
func (t *tx) insert(ctx context.Context, text string, args ...any) (int64, error) {
	ctx = context.WithoutCancel(ctx)
	stmt, err := t.w.prepare(ctx, text)
	if err != nil {
		return 0, t.note(err)
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, t.note(err)
	}
	if n, err := result.RowsAffected(); n == 0 {
		return 0, errors.Join(store.ErrExists, err)
	}
	return result.LastInsertId()
}

// change is exec for a row that has to be there.
func (t *tx) change(ctx context.Context, text string, args ...any) error {
	n, err := t.exec(ctx, text, args...)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

func (t *tx) Machine(ctx context.Context, name string) (store.Machine, error) {
	m, err := t.w.machine(context.WithoutCancel(ctx), "name", name)
	return m, t.note(err)
}

func (t *tx) MachineByID(ctx context.Context, id store.MachineID) (store.Machine, error) {
	m, err := t.w.machine(context.WithoutCancel(ctx), "id", int64(id))
	return m, t.note(err)
}

func (t *tx) Revision(ctx context.Context, id store.RevisionID) (store.Revision, error) {
	r, err := t.w.revision(context.WithoutCancel(ctx), id)
	return r, t.note(err)
}

func (t *tx) Version(ctx context.Context, machine store.MachineID, number int64) (store.Version, error) {
	v, err := t.w.version(context.WithoutCancel(ctx), machine, number)
	return v, t.note(err)
}

func (t *tx) Versions(ctx context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error) {
	list, err := t.w.versions(context.WithoutCancel(ctx), machine, before, limit)
	return list, t.note(err)
}

func (t *tx) Alias(ctx context.Context, machine store.MachineID, name string) (store.Alias, error) {
	a, err := t.w.alias(context.WithoutCancel(ctx), machine, name)
	return a, t.note(err)
}

func (t *tx) Aliases(ctx context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error) {
	list, err := t.w.aliases(context.WithoutCancel(ctx), machine, afterName, limit)
	return list, t.note(err)
}

func (t *tx) Activity(ctx context.Context, name string) (store.Activity, error) {
	a, err := t.w.activity(context.WithoutCancel(ctx), name)
	return a, t.note(err)
}

func (t *tx) CreateMachine(ctx context.Context, m store.Machine, r store.Revision) (store.Machine, error) {
	id, err := t.insert(ctx, `
		INSERT INTO machines (name, type, current, created, updated, deleting, tags) VALUES (?, ?, 0, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		m.Name, m.Type, m.CreatedAt, m.UpdatedAt, m.Deleting, encodeTags(m.Tags))
	if err != nil {
		return store.Machine{}, err
	}
	m.ID, r.Machine = store.MachineID(id), store.MachineID(id)
	m.Current, err = t.AddRevision(ctx, r)
	return m, err
}

func (t *tx) AddRevision(ctx context.Context, r store.Revision) (store.RevisionID, error) {
	id, err := t.insert(ctx, `
		INSERT INTO revisions (machine, uuid, role, created, configuration, definition)
		SELECT id, ?, ?, ?, ?, ? FROM machines WHERE id = ?`,
		r.UUID, r.RoleARN, r.CreatedAt, r.Configuration, r.Definition, int64(r.Machine))
	if errors.Is(err, store.ErrExists) {
		return 0, store.ErrNotFound // nothing was selected: no such machine
	}
	if err != nil {
		return 0, err
	}
	return store.RevisionID(id), t.change(ctx, "UPDATE machines SET current = ? WHERE id = ?", id, int64(r.Machine))
}

func (t *tx) SaveMachine(ctx context.Context, m store.Machine) error {
	return t.change(ctx, "UPDATE machines SET deleting = ?, updated = ?, tags = ? WHERE id = ?",
		m.Deleting, m.UpdatedAt, encodeTags(m.Tags), int64(m.ID))
}

func (t *tx) DeleteMachine(ctx context.Context, id store.MachineID) error {
	if err := t.change(ctx, "DELETE FROM machines WHERE id = ?", int64(id)); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "DELETE FROM versions WHERE machine = ?", int64(id)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM aliases WHERE machine = ?", int64(id))
	return err
}

func (t *tx) AddVersion(ctx context.Context, v store.Version) (store.Version, error) {
	if err := t.change(ctx, "UPDATE machines SET last_version = last_version + 1 WHERE id = ?", int64(v.Machine)); err != nil {
		return store.Version{}, err
	}
	if err := t.note(t.w.row(context.WithoutCancel(ctx), []any{&v.Number}, "SELECT last_version FROM machines WHERE id = ?", int64(v.Machine))); err != nil {
		return store.Version{}, err
	}
	_, err := t.exec(ctx, "INSERT INTO versions (machine, number, revision, created, description) VALUES (?, ?, ?, ?, ?)",
		int64(v.Machine), v.Number, int64(v.Revision), v.CreatedAt, v.Description)
	return v, err
}

func (t *tx) DeleteVersion(ctx context.Context, machine store.MachineID, number int64) error {
	return t.change(ctx, "DELETE FROM versions WHERE machine = ? AND number = ?", int64(machine), number)
}

func (t *tx) SaveAlias(ctx context.Context, a store.Alias) error {
	return t.change(ctx, `
		INSERT INTO aliases (machine, name, created, updated, description, routes)
		SELECT id, ?, ?, ?, ?, ? FROM machines WHERE id = ?
		ON CONFLICT (machine, name) DO UPDATE
		SET created = excluded.created, updated = excluded.updated, description = excluded.description, routes = excluded.routes`,
		a.Name, a.CreatedAt, a.UpdatedAt, a.Description, encodeRoutes(a.Routes), int64(a.Machine))
}

func (t *tx) DeleteAlias(ctx context.Context, machine store.MachineID, name string) error {
	return t.change(ctx, "DELETE FROM aliases WHERE machine = ? AND name = ?", int64(machine), name)
}

func (t *tx) CreateActivity(ctx context.Context, a store.Activity) (store.Activity, error) {
	id, err := t.insert(ctx, "INSERT INTO activities (name, created, configuration, tags) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		a.Name, a.CreatedAt, a.Configuration, encodeTags(a.Tags))
	if err != nil {
		return store.Activity{}, err
	}
	a.ID = store.ActivityID(id)
	return a, nil
}

func (t *tx) SaveActivity(ctx context.Context, a store.Activity) error {
	return t.change(ctx, "UPDATE activities SET configuration = ?, tags = ? WHERE id = ?",
		a.Configuration, encodeTags(a.Tags), int64(a.ID))
}

func (t *tx) DeleteActivity(ctx context.Context, id store.ActivityID) error {
	return t.change(ctx, "DELETE FROM activities WHERE id = ?", int64(id))
}

// encodeTags writes tags as JSON; no tags are "".
func encodeTags(tags []store.Tag) string {
	if len(tags) == 0 {
		return ""
	}
	text, _ := json.Marshal(tags) // strings alone cannot fail
	return string(text)
}

// encodeRoutes writes routes as JSON; no routes are "".
func encodeRoutes(routes []store.Route) string {
	if len(routes) == 0 {
		return ""
	}
	text, _ := json.Marshal(routes) // numbers alone cannot fail
	return string(text)
}

func decodeRoutes(text string) (routes []store.Route, err error) {
	if text == "" {
		return nil, nil
	}
	return routes, json.Unmarshal([]byte(text), &routes)
}

func decodeTags(text string) (tags []store.Tag, err error) {
	if text == "" {
		return nil, nil
	}
	return tags, json.Unmarshal([]byte(text), &tags)
}
