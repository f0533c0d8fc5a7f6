package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Outlines lists executions by id. Its columns stand before the payloads, whose
// pages it does not read.
func (s *Store) Outlines(ctx context.Context, after store.ExecutionID, limit int) ([]store.Outline, error) {
	scan := func(x *store.Outline, rows *sql.Rows) error {
		return rows.Scan(&x.ID, &x.Machine, &x.Revision, &x.Status, &x.StartedAt, &x.StoppedAt, &x.Run, &x.Orphan)
	}
	list, err := all(ctx, s.read, scan, `
		SELECT id, machine, revision, status, started, stopped, run, run > 0 AND NOT EXISTS (SELECT 1 FROM map_runs WHERE id = x.run)
		FROM executions x WHERE id > ? ORDER BY id LIMIT ?`, int64(after), max(limit, 0))
	return list, wrap(err, "list executions from %d on", after)
}

// OldRevisions goes through all revisions, but not through their definitions.
func (s *Store) OldRevisions(ctx context.Context, before int64, after store.RevisionID, limit int) ([]store.RevisionID, error) {
	list, err := all(ctx, s.read, func(id *store.RevisionID, rows *sql.Rows) error { return rows.Scan(id) }, `
		SELECT r.id
		FROM (SELECT id, machine, created, lead(created) OVER (PARTITION BY machine ORDER BY id) AS followed FROM revisions) r
		LEFT JOIN machines m ON m.id = r.machine
		WHERE r.id > ? AND (m.id IS NULL AND r.created < ?2 OR m.current <> r.id AND r.followed < ?2)
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.machine = r.machine AND v.revision = r.id)
		ORDER BY r.id LIMIT ?`, int64(after), before, max(limit, 0))
	return list, wrap(err, "list old revisions")
}

func (t *tx) DeleteRevision(ctx context.Context, id store.RevisionID) error {
	n, err := t.exec(ctx, `
		DELETE FROM revisions WHERE id = ?1
			AND NOT EXISTS (SELECT 1 FROM machines m WHERE m.id = revisions.machine AND m.current = ?1)
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.machine = revisions.machine AND v.revision = ?1)
			AND NOT EXISTS (SELECT 1 FROM express_starts x WHERE x.revision = ?1)`, int64(id))
	if err != nil || n == 1 {
		return err
	}
	if _, err := t.Revision(ctx, id); err != nil {
		return err
	}
	return store.ErrConflict
}

// What of an execution goes with it at once: more than most have. The rest is
// left over.
const (
	chunksAtOnce = 8
	framesAtOnce = 16
)

// Kinds of leftovers. Nothing else refers to these rows.
const (
	leftoverChunks  = iota + 1 // a chunk and those before it
	leftoverFrames             // of an execution
	leftoverResults            // of a Map Run
)

func (t *tx) RemoveExecution(ctx context.Context, id store.ExecutionID, before int64) error {
	ctx = context.WithoutCancel(ctx)
	var machine, stopped, chunk, runs, open int64
	var status engine.Status
	var name string
	var longInput, needed, newest bool
	err := t.note(t.w.row(ctx, []any{&machine, &status, &stopped, &chunk, &name, &longInput, &needed, &newest, &runs, &open}, `
		SELECT machine, status, stopped, chunk, name, input IS NULL,
			run > 0 AND EXISTS (SELECT 1 FROM map_runs WHERE id = x.run),
			NOT EXISTS (SELECT 1 FROM executions WHERE id > x.id),
			(SELECT count(*) FROM map_runs WHERE execution = x.id),
			(SELECT count(*) FROM map_runs WHERE execution = x.id AND status = 0)
		FROM executions x WHERE id = ?`, int64(id)))
	switch {
	case err != nil:
		return err
	case status == engine.Running || stopped >= before || needed || open > 0:
		return store.ErrConflict
	}
	if newest {
		if _, err := t.exec(ctx, `
			INSERT INTO meta VALUES ('last execution', ?) ON CONFLICT DO UPDATE SET value = excluded.value WHERE excluded.value > value`, int64(id)); err != nil {
			return err
		}
	}
	if err := t.removeRows(ctx, id, longInput, machine, name); err != nil {
		return err
	}
	if runs > 0 {
		if err := t.removeMapRuns(ctx, id); err != nil {
			return err
		}
	}
	if status != engine.Succeeded {
		if n, err := t.removeFrames(ctx, id, framesAtOnce); err != nil {
			return err
		} else if n == framesAtOnce {
			if err := t.leave(ctx, leftoverFrames, int64(id)); err != nil {
				return err
			}
		}
	}
	_, rest, err := t.removeChunks(ctx, chunk, chunksAtOnce)
	if err == nil && rest != 0 {
		err = t.leave(ctx, leftoverChunks, rest)
	}
	return err
}

// removeRows removes what there is one row of for each execution.
func (t *tx) removeRows(ctx context.Context, id store.ExecutionID, longInput bool, machine int64, name string) error {
	if longInput {
		if _, err := t.exec(ctx, "DELETE FROM inputs WHERE execution = ?", int64(id)); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, "DELETE FROM names WHERE machine = ? AND name = ? AND execution = ?", machine, name, int64(id)); err != nil {
		return err
	}
	for _, text := range []string{
		"DELETE FROM redrives WHERE execution = ?",
		"DELETE FROM queue WHERE execution = ?",
		"DELETE FROM executions WHERE id = ?",
	} {
		if _, err := t.exec(ctx, text, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) removeMapRuns(ctx context.Context, id store.ExecutionID) error {
	_, err := t.exec(ctx, "INSERT INTO leftovers (kind, ref) SELECT ?, id FROM map_runs WHERE execution = ?", leftoverResults, int64(id))
	if err == nil {
		_, err = t.exec(ctx, "DELETE FROM map_runs WHERE execution = ?", int64(id))
	}
	return err
}

func (t *tx) leave(ctx context.Context, kind, ref int64) error {
	_, err := t.exec(ctx, "INSERT INTO leftovers (kind, ref) VALUES (?, ?)", kind, ref)
	return err
}

// removeChunks removes up to limit chunks, back from one. rest is the one to go
// on with, 0 if there is none.
func (t *tx) removeChunks(ctx context.Context, chunk int64, limit int) (n int, rest int64, err error) {
	for ; chunk != 0 && n < limit; n++ {
		err := t.w.row(ctx, []any{&chunk}, "DELETE FROM chunks WHERE id = ? RETURNING prev", chunk)
		if errors.Is(err, store.ErrNotFound) {
			return n, 0, nil
		}
		if err != nil {
			return n, 0, t.note(err)
		}
	}
	return n, chunk, nil
}

func (t *tx) removeFrames(ctx context.Context, id store.ExecutionID, limit int) (int64, error) {
	return t.exec(ctx, "DELETE FROM frames WHERE execution = ?1 AND frame IN (SELECT frame FROM frames WHERE execution = ?1 ORDER BY frame LIMIT ?2)", int64(id), limit)
}

func (t *tx) RemoveLeftovers(ctx context.Context, limit int) (more bool, err error) {
	ctx = context.WithoutCancel(ctx)
	for limit > 0 {
		var id, kind, ref int64
		err := t.w.row(ctx, []any{&id, &kind, &ref}, "SELECT id, kind, ref FROM leftovers ORDER BY id LIMIT 1")
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, t.note(err)
		}
		n, rest, err := t.removeLeftover(ctx, kind, ref, limit)
		if err != nil {
			return false, err
		}
		if rest == 0 {
			_, err = t.exec(ctx, "DELETE FROM leftovers WHERE id = ?", id)
		} else {
			_, err = t.exec(ctx, "UPDATE leftovers SET ref = ? WHERE id = ?", rest, id)
		}
		if err != nil {
			return false, err
		}
		limit -= max(n, 1)
	}
	return true, nil
}

// removeLeftover removes up to limit rows. rest is what to refer to from now on,
// 0 if nothing is left.
func (t *tx) removeLeftover(ctx context.Context, kind, ref int64, limit int) (n int, rest int64, err error) {
	var rows int64
	switch kind {
	case leftoverChunks:
		return t.removeChunks(ctx, ref, limit)
	case leftoverFrames:
		rows, err = t.removeFrames(ctx, store.ExecutionID(ref), limit)
	case leftoverResults:
		rows, err = t.exec(ctx, "DELETE FROM map_results WHERE id IN (SELECT id FROM map_results WHERE run = ? ORDER BY id LIMIT ?)", ref, limit)
	}
	if n = int(rows); n < limit {
		ref = 0
	}
	return n, ref, err
}
