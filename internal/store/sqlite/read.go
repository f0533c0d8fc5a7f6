package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	listedColumns = "x.id, x.machine, x.revision, x.name, x.version, x.status, x.started, x.stopped, x.last_event, x.trace, x.via_version, x.via_alias, x.run, x.run_index, x.run_items" +
		", coalesce((SELECT count FROM redrives WHERE execution = x.id), 0), coalesce((SELECT at FROM redrives WHERE execution = x.id), 0)"
	detailColumns  = ", coalesce(x.input, (SELECT data FROM inputs WHERE execution = x.id)), x.output, x.error, x.cause"
	executionByID  = "SELECT " + listedColumns + detailColumns + " FROM executions x WHERE x.id = ?"
	executionNamed = "SELECT " + listedColumns + detailColumns + " FROM names n JOIN executions x ON x.id = n.execution WHERE n.machine = ? AND n.name = ?"
)

// listed says where the listedColumns go.
func listed(x *store.Execution) []any {
	return []any{&x.ID, &x.Machine, &x.Revision, &x.Name, &x.Version, &x.Status, &x.StartedAt, &x.StoppedAt, &x.LastEvent, &x.Trace, &x.Via.Number, &x.Via.Alias, &x.Child.Run, &x.Child.Index, &x.Child.Items, &x.Redrives, &x.RedrivenAt}
}

// detailed says where the listedColumns and detailColumns go.
func detailed(x *store.Execution) []any {
	return append(listed(x), &x.Input, &x.Output, &x.Error, &x.Cause)
}

// Execution finds an execution's record.
func (s *Store) Execution(ctx context.Context, id store.ExecutionID) (x store.Execution, err error) {
	if err := s.read.row(ctx, detailed(&x), executionByID, int64(id)); err != nil {
		return store.Execution{}, fmt.Errorf("execution %d: %w", id, err)
	}
	return x, nil
}

// ExecutionNamed finds an execution by the name its caller gave it.
func (s *Store) ExecutionNamed(ctx context.Context, machine store.MachineID, name string) (x store.Execution, err error) {
	if err := s.read.row(ctx, detailed(&x), executionNamed, int64(machine), name); err != nil {
		return store.Execution{}, fmt.Errorf("execution %q of machine %d: %w", name, machine, err)
	}
	return x, nil
}

// listing holds the texts that list executions: those of a status, and all.
// There is an index with the status in it for each, so that none reads more
// than five times the rows that it returns.
type listing struct {
	ofStatus, counts [engine.Aborted + 1]string
	all, count       string
}

// Some of the conditions repeat those of the partial indexes.
var (
	listMachine = newListing("x.machine = ?1 AND x.run = 0")
	listVersion = newListing("x.machine = ?1 AND x.via_version > 0 AND x.via_version = ?5")
	listAlias   = newListing("x.machine = ?1 AND x.via_alias <> '' AND x.via_alias = ?5")
	listRun     = newListing("x.run > 0 AND x.run = ?1")
	listAll     = newListing("x.run = 0")
)

func newListing(condition string) (l listing) {
	const newest = "SELECT %[1]s FROM executions x WHERE %[3]s AND x.status = %[2]d AND x.id < ?2 AND x.id > ?4 ORDER BY x.id DESC LIMIT ?3"
	const count = "SELECT count(*), coalesce(min(id), 0) FROM (%s)"
	var each []string
	for status := range l.ofStatus {
		l.ofStatus[status] = fmt.Sprintf(newest, listedColumns, status, condition)
		ids := fmt.Sprintf(newest, "x.id", status, condition)
		l.counts[status] = fmt.Sprintf(count, ids)
		each = append(each, "SELECT * FROM ("+ids+")")
	}
	ids := strings.Join(each, " UNION ALL ")
	l.all = "SELECT " + listedColumns + " FROM executions x WHERE x.id IN (" + ids + ") ORDER BY x.id DESC LIMIT ?3"
	l.count = fmt.Sprintf(count, "SELECT id FROM ("+ids+") ORDER BY id DESC LIMIT ?3")
	return l
}

// listingOf finds the texts for a query, and their arguments.
func listingOf(q store.ExecutionQuery) (*listing, []any) {
	before := int64(math.MaxInt64)
	if q.Before > 0 {
		before = int64(q.Before)
	}
	args := []any{int64(q.Machine), before, max(q.Limit, 0), int64(q.After)}
	switch {
	case q.Run != 0:
		args[0] = int64(q.Run)
		return &listRun, args
	case q.Machine == 0:
		return &listAll, args
	case q.Via.Alias != "":
		return &listAlias, append(args, q.Via.Alias)
	case q.Via.Number != 0:
		return &listVersion, append(args, q.Via.Number)
	}
	return &listMachine, args
}

// Executions lists executions of a machine, of all or of a Map Run, newest first.
func (s *Store) Executions(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error) {
	l, args := listingOf(q)
	text := l.all
	if q.Status != nil {
		text = l.ofStatus[*q.Status]
	}
	list, err := all(ctx, s.read, func(x *store.Execution, rows *sql.Rows) error { return rows.Scan(listed(x)...) }, text, args...)
	return list, wrap(err, "list the executions of machine %d", q.Machine)
}

// CountExecutions counts in the index alone.
func (s *Store) CountExecutions(ctx context.Context, q store.ExecutionQuery) (n int64, oldest store.ExecutionID, err error) {
	l, args := listingOf(q)
	text := l.count
	if q.Status != nil {
		text = l.counts[*q.Status]
	}
	err = s.read.row(ctx, []any{&n, &oldest}, text, args...)
	return n, oldest, wrap(err, "count the executions of machine %d", q.Machine)
}

// FirstSince looks for the place where the times of start pass at, by halves.
func (s *Store) FirstSince(ctx context.Context, at int64) (store.ExecutionID, error) {
	last, err := s.LastExecution(ctx)
	low, high := store.ExecutionID(1), last+1 // the answer is within
	for low < high && err == nil {
		middle := low + (high-low)/2
		var id store.ExecutionID
		var started int64
		err = s.read.row(ctx, []any{&id, &started}, "SELECT id, started FROM executions WHERE id >= ? ORDER BY id LIMIT 1", int64(middle))
		switch {
		case errors.Is(err, store.ErrNotFound): // those have been removed
			high, err = middle, nil
		case err != nil:
		case started < at:
			low = id + 1
		default:
			high = middle
		}
	}
	if err != nil {
		return 0, wrap(err, "first execution since %d", at)
	}
	var id store.ExecutionID
	err = s.read.row(ctx, []any{&id}, "SELECT coalesce(min(id), ?2) FROM executions WHERE id >= ?1", int64(low), int64(last+1))
	return id, wrap(err, "first execution since %d", at)
}

// Snapshot reads an execution and its frames as of one moment.
func (s *Store) Snapshot(ctx context.Context, id store.ExecutionID) (store.SnapshotRecord, error) {
	r, err := s.snapshot(ctx, id)
	return r, wrap(err, "snapshot of execution %d", id)
}

func (s *Store) snapshot(ctx context.Context, id store.ExecutionID) (r store.SnapshotRecord, err error) {
	tx, err := s.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer tx.Rollback()
	row := tx.QueryRowContext(ctx, "SELECT "+listedColumns+detailColumns+", x.head FROM executions x WHERE x.id = ?", int64(id))
	if err := row.Scan(append(detailed(&r.Execution), &r.Head)...); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = store.ErrNotFound
		}
		return store.SnapshotRecord{}, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT frame, data FROM frames WHERE execution = ? ORDER BY frame", int64(id))
	if err != nil {
		return store.SnapshotRecord{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var f engine.FrameRecord
		if err := rows.Scan(&f.ID, &f.Data); err != nil {
			return store.SnapshotRecord{}, err
		}
		r.Frames = append(r.Frames, f)
	}
	return r, rows.Err()
}

// History follows the chain of chunks back from the newest one. To go the
// other way it first collects their ids, eight bytes each. No transaction is
// open while yield runs: chunks never change.
func (s *Store) History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error {
	return wrap(s.history(ctx, id, from, newestFirst, yield), "history of execution %d", id)
}

func (s *Store) history(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error {
	var chunk int64
	if err := s.read.row(ctx, []any{&chunk}, "SELECT chunk FROM executions WHERE id = ?", int64(id)); err != nil {
		return err
	}
	if newestFirst {
		for chunk != 0 {
			if from != 0 {
				held, err := s.chunkHolding(ctx, chunk, from)
				if err != nil {
					return err
				}
				chunk, from = held, 0
			}
			c, prev, err := s.chunk(ctx, chunk)
			if err != nil || !yield(c) {
				return err
			}
			chunk = prev
		}
		return nil
	}
	chain, err := all(ctx, s.read, func(id *int64, rows *sql.Rows) error { return rows.Scan(id) }, `
		WITH RECURSIVE chain (id, prev, first) AS (
			SELECT id, prev, first FROM chunks WHERE id = ?
			UNION ALL
			SELECT c.id, c.prev, c.first FROM chain JOIN chunks c ON c.id = chain.prev WHERE chain.first > ?)
		SELECT id FROM chain`, chunk, from)
	if err != nil {
		return err
	}
	for _, chunk := range slices.Backward(chain) {
		c, _, err := s.chunk(ctx, chunk)
		if err != nil || !yield(c) {
			return err
		}
	}
	return nil
}

// chunkHolding goes back from a chunk to the one that holds the event from.
func (s *Store) chunkHolding(ctx context.Context, newest, from int64) (id int64, err error) {
	err = s.read.row(ctx, []any{&id}, `
		WITH RECURSIVE chain (id, prev, first) AS (
			SELECT id, prev, first FROM chunks WHERE id = ?
			UNION ALL
			SELECT c.id, c.prev, c.first FROM chain JOIN chunks c ON c.id = chain.prev WHERE chain.first > ?)
		SELECT min(id) FROM chain`, newest, from)
	return id, err
}

// chunk reads one chunk and the id of the one before it.
func (s *Store) chunk(ctx context.Context, id int64) (c engine.Chunk, prev int64, err error) {
	var packed []byte
	if err := s.read.row(ctx, []any{&prev, &c.First, &c.Count, &packed}, "SELECT prev, first, count, data FROM chunks WHERE id = ?", id); err != nil {
		return c, 0, fmt.Errorf("chunk %d: %w", id, err)
	}
	if c.Data, err = unpack(packed); err != nil {
		return c, 0, fmt.Errorf("chunk %d: %w", id, err)
	}
	return c, prev, nil
}

// LastExecution is the highest execution id ever kept, 0 if there is none.
func (s *Store) LastExecution(ctx context.Context) (id store.ExecutionID, err error) {
	err = s.read.row(ctx, []any{&id}, `
		SELECT max(coalesce((SELECT max(id) FROM executions), 0), coalesce((SELECT value FROM meta WHERE key = 'last execution'), 0))`)
	return id, wrap(err, "last execution")
}

// Pending lists executions that have to be looked at after a crash.
func (s *Store) Pending(ctx context.Context, after store.ExecutionID, limit int) ([]store.ExecutionID, error) {
	list, err := all(ctx, s.read, func(id *store.ExecutionID, rows *sql.Rows) error { return rows.Scan(id) },
		"SELECT id FROM executions WHERE pending = 1 AND id > ? ORDER BY id LIMIT ?", int64(after), max(limit, 0))
	return list, wrap(err, "list pending executions")
}

// Due lists executions whose time has come, earliest first.
func (s *Store) Due(ctx context.Context, until time.Time, limit int) ([]store.DueExecution, error) {
	list, err := all(ctx, s.read, func(d *store.DueExecution, rows *sql.Rows) error { return rows.Scan(&d.ID, &d.Due) },
		"SELECT id, due FROM executions WHERE due > 0 AND due <= ? ORDER BY due, id LIMIT ?", until.UnixMilli(), max(limit, 0))
	return list, wrap(err, "list due executions")
}

// Queued lists an activity's waiting tasks in the order in which they came.
func (s *Store) Queued(ctx context.Context, activity store.ActivityID, after int64, limit int) ([]store.QueuedTask, error) {
	scan := func(t *store.QueuedTask, rows *sql.Rows) error {
		return rows.Scan(&t.Seq, &t.Activity, &t.Execution, &t.Task.Frame, &t.Task.Attempt)
	}
	list, err := all(ctx, s.read, scan,
		"SELECT seq, activity, execution, frame, attempt FROM queue WHERE activity = ? AND seq > ? ORDER BY seq LIMIT ?",
		int64(activity), after, max(limit, 0))
	return list, wrap(err, "list the queue of activity %d", activity)
}

// Machine finds a machine by its name.
func (s *Store) Machine(ctx context.Context, name string) (store.Machine, error) {
	m, err := s.read.machine(ctx, "name", name)
	return m, wrap(err, "machine %q", name)
}

// MachineByID finds a machine by its id.
func (s *Store) MachineByID(ctx context.Context, id store.MachineID) (store.Machine, error) {
	m, err := s.read.machine(ctx, "id", int64(id))
	return m, wrap(err, "machine %d", id)
}

// Machines lists machines by name.
func (s *Store) Machines(ctx context.Context, afterName string, limit int) ([]store.Machine, error) {
	list, err := all(ctx, s.read, func(m *store.Machine, rows *sql.Rows) error { return scanMachine(m, rows.Scan) },
		selectMachine+" WHERE name > ? ORDER BY name LIMIT ?", afterName, max(limit, 0))
	return list, wrap(err, "list machines")
}

// Revision finds a revision by its id.
func (s *Store) Revision(ctx context.Context, id store.RevisionID) (store.Revision, error) {
	r, err := s.read.revision(ctx, id)
	return r, wrap(err, "revision %d", id)
}

// Version finds a version of a machine by its number.
func (s *Store) Version(ctx context.Context, machine store.MachineID, number int64) (store.Version, error) {
	v, err := s.read.version(ctx, machine, number)
	return v, wrap(err, "version %d of machine %d", number, machine)
}

// Versions lists a machine's versions, newest first.
func (s *Store) Versions(ctx context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error) {
	list, err := s.read.versions(ctx, machine, before, limit)
	return list, wrap(err, "list the versions of machine %d", machine)
}

// Alias finds an alias of a machine by its name.
func (s *Store) Alias(ctx context.Context, machine store.MachineID, name string) (store.Alias, error) {
	a, err := s.read.alias(ctx, machine, name)
	return a, wrap(err, "alias %q of machine %d", name, machine)
}

// Aliases lists a machine's aliases by name.
func (s *Store) Aliases(ctx context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error) {
	list, err := s.read.aliases(ctx, machine, afterName, limit)
	return list, wrap(err, "list the aliases of machine %d", machine)
}

// Activity finds an activity by its name.
func (s *Store) Activity(ctx context.Context, name string) (store.Activity, error) {
	a, err := s.read.activity(ctx, name)
	return a, wrap(err, "activity %q", name)
}

// Activities lists activities by name.
func (s *Store) Activities(ctx context.Context, afterName string, limit int) ([]store.Activity, error) {
	list, err := all(ctx, s.read, func(a *store.Activity, rows *sql.Rows) error { return scanActivity(a, rows.Scan) },
		selectActivity+" WHERE name > ? ORDER BY name LIMIT ?", afterName, max(limit, 0))
	return list, wrap(err, "list activities")
}

const (
	selectMachine  = "SELECT id, name, type, current, created, updated, deleting, tags FROM machines"
	selectVersion  = "SELECT machine, number, revision, created, description FROM versions"
	selectAlias    = "SELECT machine, name, created, updated, description, routes FROM aliases"
	selectActivity = "SELECT id, name, created, configuration, tags FROM activities"
)

func (s *statements) machine(ctx context.Context, column string, value any) (m store.Machine, err error) {
	err = scanMachine(&m, func(dest ...any) error {
		return s.row(ctx, dest, selectMachine+" WHERE "+column+" = ?", value)
	})
	return m, err
}

func scanMachine(m *store.Machine, scan func(...any) error) (err error) {
	var tags string
	if err := scan(&m.ID, &m.Name, &m.Type, &m.Current, &m.CreatedAt, &m.UpdatedAt, &m.Deleting, &tags); err != nil {
		return err
	}
	m.Tags, err = decodeTags(tags)
	return err
}

func (s *statements) revision(ctx context.Context, id store.RevisionID) (r store.Revision, err error) {
	err = s.row(ctx, []any{&r.ID, &r.Machine, &r.UUID, &r.Definition, &r.RoleARN, &r.CreatedAt, &r.Configuration},
		"SELECT id, machine, uuid, definition, role, created, configuration FROM revisions WHERE id = ?", int64(id))
	return r, err
}

func (s *statements) version(ctx context.Context, machine store.MachineID, number int64) (v store.Version, err error) {
	err = scanVersion(&v, func(dest ...any) error {
		return s.row(ctx, dest, selectVersion+" WHERE machine = ? AND number = ?", int64(machine), number)
	})
	return v, err
}

func (s *statements) versions(ctx context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	return all(ctx, s, func(v *store.Version, rows *sql.Rows) error { return scanVersion(v, rows.Scan) },
		selectVersion+" WHERE machine = ? AND number < ? ORDER BY number DESC LIMIT ?", int64(machine), before, max(limit, 0))
}

func scanVersion(v *store.Version, scan func(...any) error) error {
	return scan(&v.Machine, &v.Number, &v.Revision, &v.CreatedAt, &v.Description)
}

func (s *statements) alias(ctx context.Context, machine store.MachineID, name string) (a store.Alias, err error) {
	err = scanAlias(&a, func(dest ...any) error {
		return s.row(ctx, dest, selectAlias+" WHERE machine = ? AND name = ?", int64(machine), name)
	})
	return a, err
}

func (s *statements) aliases(ctx context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error) {
	return all(ctx, s, func(a *store.Alias, rows *sql.Rows) error { return scanAlias(a, rows.Scan) },
		selectAlias+" WHERE machine = ? AND name > ? ORDER BY name LIMIT ?", int64(machine), afterName, max(limit, 0))
}

func scanAlias(a *store.Alias, scan func(...any) error) (err error) {
	var routes string
	if err := scan(&a.Machine, &a.Name, &a.CreatedAt, &a.UpdatedAt, &a.Description, &routes); err != nil {
		return err
	}
	a.Routes, err = decodeRoutes(routes)
	return err
}

func (s *statements) activity(ctx context.Context, name string) (a store.Activity, err error) {
	err = scanActivity(&a, func(dest ...any) error {
		return s.row(ctx, dest, selectActivity+" WHERE name = ?", name)
	})
	return a, err
}

func scanActivity(a *store.Activity, scan func(...any) error) (err error) {
	var tags string
	if err := scan(&a.ID, &a.Name, &a.CreatedAt, &a.Configuration, &tags); err != nil {
		return err
	}
	a.Tags, err = decodeTags(tags)
	return err
}

// all collects the rows of a query.
func all[T any](ctx context.Context, s *statements, scan func(*T, *sql.Rows) error, text string, args ...any) (list []T, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		var one T
		if err := scan(&one, rows); err != nil {
			return err
		}
		list = append(list, one)
		return nil
	}, text, args...)
	return list, err
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
