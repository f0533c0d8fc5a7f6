package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// longInput is the length from which an input has a row of its own.
const longInput = 2048

// writer is the connection that writes.
type writer struct {
	*statements
	conn      *sql.Conn
	lastChunk int64 // chunk ids are given out here
	pageSize  int64
	packed    []byte // reused by pack
	args      []any  // reused by update
}

// resume finds where the last process stopped.
func (w *writer) resume(ctx context.Context) error {
	if err := w.row(ctx, []any{&w.lastChunk}, "SELECT coalesce(max(id), 0) FROM chunks"); err != nil {
		return err
	}
	return w.row(ctx, []any{&w.pageSize}, "PRAGMA page_size")
}

func (w *writer) close() error {
	w.statements.close()
	return w.conn.Close()
}

// discard closes the connection for good, whatever it is in the midst of,
// where close would let it be used again.
func (w *writer) discard() {
	w.statements.close()
	w.conn.Raw(func(any) error { return driver.ErrBadConn })
	w.conn.Close()
}

// Commit keeps the executions first and then the writes, each in their order.
// Once begun it goes on even if ctx ends. An error that is ErrBroken is
// permanent.
func (s *Store) Commit(ctx context.Context, c *store.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.broken != nil {
		return s.broken
	}
	// A context that can end costs a goroutine per statement.
	ctx = context.WithoutCancel(ctx)
	err := s.commit(ctx, c)
	if errors.Is(err, store.ErrBroken) {
		s.broken = err
	}
	return err
}

func (s *Store) commit(ctx context.Context, c *store.Commit) error {
	if s.writer == nil {
		if err := s.openWriter(ctx); err != nil {
			return fmt.Errorf("reopen the connection that writes: %w", err)
		}
		if err := s.writer.resume(ctx); err != nil {
			return err
		}
	}
	w := s.writer
	err := w.transaction(ctx, func() error {
		for i := range c.Executions {
			if err := w.keep(ctx, &c.Executions[i]); err != nil {
				return fmt.Errorf("keep execution %d: %w", c.Executions[i].ID, err)
			}
		}
		for i := range c.Writes {
			if err := w.write(ctx, &c.Writes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errInDoubt) {
		s.writer = nil
		w.discard()
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.count(w)
	return nil
}

// count adds what the last transaction wrote to the Stats.
func (s *Store) count(w *writer) {
	pages := 0
	w.conn.Raw(func(conn any) (err error) {
		pages, _, err = conn.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
		return err
	})
	if pages == 0 {
		return
	}
	const frameHeader = 24
	s.commits.Add(1)
	s.syncs.Add(1)
	s.bytes.Add(int64(pages) * (w.pageSize + frameHeader))
}

// errInDoubt marks errors after which the connection is not used again.
var errInDoubt = errors.New("the transaction could not be rolled back")

// transaction runs do in a transaction, which it commits if do returns nil
// and rolls back if do returns an error or panics.
func (w *writer) transaction(ctx context.Context, do func() error) (err error) {
	if _, err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failure(err, false)
	}
	open := true
	defer func() {
		if !open {
			return
		}
		if _, rollback := w.exec(ctx, "ROLLBACK"); rollback != nil && !noTransaction(rollback) {
			err = errors.Join(err, errInDoubt, rollback)
		}
	}()
	if err := do(); err != nil {
		return failure(err, false)
	}
	if _, err := w.exec(ctx, "COMMIT"); err != nil {
		return failure(err, true)
	}
	open = false
	return nil
}

// keep writes what is new in one execution. Where a guard does not hold it
// sets x.Err and has written nothing; the error it returns ends the commit.
func (w *writer) keep(ctx context.Context, x *store.ExecutionCommit) (err error) {
	x.Err = nil
	if x.New != nil {
		x.Err, err = w.start(ctx, x)
	} else {
		x.Err, err = w.update(ctx, x)
	}
	if x.Err != nil || err != nil {
		return err
	}
	if x.Delta.Status != engine.Succeeded {
		if err := w.keepFrames(ctx, x); err != nil {
			return err
		}
	}
	for i := range x.MapRuns {
		if err := w.changeMapRun(ctx, x.ID, &x.MapRuns[i]); err != nil {
			return err
		}
	}
	return w.keepQueue(ctx, x)
}

// start inserts a new execution.
func (w *writer) start(ctx context.Context, x *store.ExecutionCommit) (guard, err error) {
	n, d := x.New, &x.Delta
	if !n.Generated {
		if guard, err := w.takeName(ctx, x); guard != nil || err != nil {
			return guard, err
		}
	}
	var input any = n.Input
	if len(n.Input) >= longInput {
		input = nil
	}
	chunk, last := int64(0), int64(0)
	if d.History.Count > 0 {
		chunk, last = w.lastChunk+1, d.History.First+d.History.Count-1
	}
	inserted, err := w.exec(ctx, `
		INSERT INTO executions (id, machine, revision, version, status, started, stopped, last_event, chunk, due, pending, via_version, via_alias, run, run_index, run_items, name, trace, error, cause, head, input, output)
		VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		int64(x.ID), int64(n.Machine), int64(n.Revision), int64(d.Status), n.StartedAt, d.StoppedAt, last, chunk, d.Due, d.Pending,
		n.Via.Number, n.Via.Alias, int64(n.Child.Run), n.Child.Index, n.Child.Items, n.Name, n.Trace, text(d.Error), text(d.Cause), head(d), input, text(d.Output))
	if err != nil {
		return nil, err
	}
	if inserted == 0 {
		if !n.Generated {
			_, err = w.exec(ctx, "DELETE FROM names WHERE machine = ? AND name = ?", int64(n.Machine), n.Name)
		}
		return store.ErrConflict, err
	}
	if input == nil {
		if _, err := w.exec(ctx, "INSERT INTO inputs VALUES (?, ?)", int64(x.ID), n.Input); err != nil {
			return nil, err
		}
	}
	return nil, w.addChunk(ctx, x, 0)
}

// takeName makes the name of a new execution its own.
func (w *writer) takeName(ctx context.Context, x *store.ExecutionCommit) (guard, err error) {
	taken, err := w.exec(ctx, "INSERT INTO names VALUES (?, ?, ?) ON CONFLICT DO NOTHING", int64(x.New.Machine), x.New.Name, int64(x.ID))
	if err != nil || taken == 1 {
		return nil, err
	}
	// An execution that is already there is the stronger reason.
	var id int64
	switch err := w.row(ctx, []any{&id}, "SELECT id FROM executions WHERE id = ?", int64(x.ID)); {
	case err == nil:
		return store.ErrConflict, nil
	case errors.Is(err, store.ErrNotFound):
		return store.ErrExists, nil
	default:
		return nil, err
	}
}

// What an update has to write beside the hot columns. Each of these columns
// has an index, which costs as much as the row; so each is left alone while it
// stays the same, which it mostly does.
const (
	setStatus = 1 << iota // with the outcome
	setDue
	setPending
)

// updates holds the statement for each set of the above.
var updates = func() (texts [8]string) {
	for set := range texts {
		text := "UPDATE executions SET version = version + 1, last_event = ?, chunk = ?, head = ?"
		if set&setStatus != 0 {
			text += ", status = ?, stopped = ?, error = ?, cause = ?, output = ?"
		}
		if set&setDue != 0 {
			text += ", due = ?"
		}
		if set&setPending != 0 {
			text += ", pending = ?"
		}
		texts[set] = text + " WHERE id = ?"
	}
	return texts
}()

// update writes what has changed in an execution.
func (w *writer) update(ctx context.Context, x *store.ExecutionCommit) (guard, err error) {
	d := &x.Delta
	var version, status, due, pending, chunk, last int64
	err = w.row(ctx, []any{&version, &status, &due, &pending, &chunk, &last},
		"SELECT version, status, due, pending, chunk, last_event FROM executions WHERE id = ?", int64(x.ID))
	if errors.Is(err, store.ErrNotFound) || err == nil && version != x.Version {
		return store.ErrConflict, nil
	}
	if err != nil {
		return nil, err
	}
	if err := w.addChunk(ctx, x, chunk); err != nil {
		return nil, err
	}
	if d.History.Count > 0 {
		chunk, last = w.lastChunk, d.History.First+d.History.Count-1
	}
	set, args := 0, append(w.args[:0], last, chunk, head(d))
	if engine.Status(status) != engine.Running || d.Status != engine.Running {
		set |= setStatus
		args = append(args, int64(d.Status), d.StoppedAt, text(d.Error), text(d.Cause), text(d.Output))
	}
	if due != d.Due {
		set |= setDue
		args = append(args, d.Due)
	}
	if (pending == 1) != d.Pending {
		set |= setPending
		args = append(args, d.Pending)
	}
	w.args = append(args, int64(x.ID))
	if _, err := w.exec(ctx, updates[set], w.args...); err != nil {
		return nil, err
	}
	if d.Redrives > 0 && engine.Status(status) != engine.Running {
		if _, err := w.exec(ctx, "INSERT INTO redrives VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count, at = excluded.at", int64(x.ID), d.Redrives, d.RedrivenAt); err != nil {
			return nil, err
		}
	}
	if d.Status == engine.Succeeded {
		_, err = w.exec(ctx, "DELETE FROM frames WHERE execution = ?", int64(x.ID))
	}
	return nil, err
}

// addChunk appends the new history events, if there are any, and chains them
// to the chunk before.
func (w *writer) addChunk(ctx context.Context, x *store.ExecutionCommit, prev int64) error {
	h := &x.Delta.History
	if h.Count == 0 {
		return nil
	}
	w.lastChunk++
	w.packed = pack(w.packed, h.Data)
	_, err := w.exec(ctx, "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", w.lastChunk, int64(x.ID), prev, h.First, h.Count, w.packed)
	return err
}

func (w *writer) keepFrames(ctx context.Context, x *store.ExecutionCommit) error {
	for _, f := range x.Delta.Frames {
		if _, err := w.exec(ctx, "INSERT INTO frames VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
			int64(x.ID), int64(f.ID), f.Data); err != nil {
			return err
		}
	}
	for _, id := range x.Delta.Removed {
		if _, err := w.exec(ctx, "DELETE FROM frames WHERE execution = ? AND frame = ?", int64(x.ID), int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// keepQueue adds before it takes away: the steps of a commit may have
// withdrawn what they had offered, and a task is offered once only.
func (w *writer) keepQueue(ctx context.Context, x *store.ExecutionCommit) error {
	for i := range x.Enqueue {
		q := &x.Enqueue[i]
		seq, err := w.insert(ctx, "INSERT INTO queue (activity, execution, frame, attempt) VALUES (?, ?, ?, ?)",
			int64(q.Activity), int64(x.ID), int64(q.Task.Frame), int64(q.Task.Attempt))
		if err != nil {
			return err
		}
		q.Execution, q.Seq = x.ID, seq
	}
	for _, task := range x.Dequeue {
		if _, err := w.exec(ctx, "DELETE FROM queue WHERE execution = ? AND frame = ? AND attempt = ?",
			int64(x.ID), int64(task.Frame), int64(task.Attempt)); err != nil {
			return err
		}
	}
	return nil
}

// head is the snapshot's head as it is kept: none once succeeded.
func head(d *engine.Delta) any {
	if d.Status == engine.Succeeded || len(d.Head) == 0 {
		return nil
	}
	return d.Head
}

// text passes an optional string to the driver.
func text(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}
