package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// migrations make the format, one step after the other; the number of those
// that a file has seen is its format, kept in meta. They only go forward. A
// released one never changes: what is to be different goes into a new one.
//
// Statuses are engine.Status; times are Unix milliseconds; 0 means none.
var migrations = []string{
	// 1: executions and the control plane's records.
	`
CREATE TABLE executions (
	id         INTEGER PRIMARY KEY,
	machine    INTEGER NOT NULL,
	revision   INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	status     INTEGER NOT NULL,
	started    INTEGER NOT NULL,
	stopped    INTEGER NOT NULL,
	last_event INTEGER NOT NULL,
	chunk      INTEGER NOT NULL, -- newest history chunk
	due        INTEGER NOT NULL,
	pending    INTEGER NOT NULL,
	name       TEXT NOT NULL,
	trace      TEXT NOT NULL,
	error      TEXT,
	cause      TEXT,
	head       BLOB,             -- of the snapshot; NULL once succeeded
	input      TEXT,             -- NULL: in inputs
	output     TEXT
) STRICT;
-- A list without a status merges those of the five statuses.
CREATE INDEX executions_listed ON executions (machine, status);
CREATE INDEX executions_due ON executions (due) WHERE due > 0;
CREATE INDEX executions_pending ON executions (pending) WHERE pending = 1;

-- Long inputs stay out of the row that is rewritten at every step.
CREATE TABLE inputs (
	execution INTEGER PRIMARY KEY,
	data      TEXT NOT NULL
) STRICT;

-- Names given by callers. Generated ones are unique by themselves.
CREATE TABLE names (
	machine   INTEGER NOT NULL,
	name      TEXT NOT NULL,
	execution INTEGER NOT NULL,
	PRIMARY KEY (machine, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE frames (
	execution INTEGER NOT NULL,
	frame     INTEGER NOT NULL,
	data      BLOB NOT NULL,
	PRIMARY KEY (execution, frame)
) STRICT, WITHOUT ROWID;

-- Only ever grows at its end.
CREATE TABLE chunks (
	id        INTEGER PRIMARY KEY,
	execution INTEGER NOT NULL,
	prev      INTEGER NOT NULL, -- chunk before this one
	first     INTEGER NOT NULL, -- id of the first event
	count     INTEGER NOT NULL,
	data      BLOB NOT NULL     -- see pack
) STRICT;

CREATE TABLE queue (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	activity  INTEGER NOT NULL,
	execution INTEGER NOT NULL,
	frame     INTEGER NOT NULL,
	attempt   INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_activity ON queue (activity);
CREATE INDEX queue_task ON queue (execution, frame, attempt);

CREATE TABLE machines (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	name     TEXT NOT NULL UNIQUE,
	type     TEXT NOT NULL,
	current  INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	deleting INTEGER NOT NULL,
	tags     TEXT NOT NULL -- JSON: [{"Key":…,"Value":…},…]
) STRICT;

CREATE TABLE revisions (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	machine       INTEGER NOT NULL,
	uuid          TEXT NOT NULL,
	role          TEXT NOT NULL,
	created       INTEGER NOT NULL,
	configuration BLOB,
	definition    TEXT NOT NULL
) STRICT;

CREATE TABLE activities (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	name          TEXT NOT NULL UNIQUE,
	created       INTEGER NOT NULL,
	configuration BLOB,
	tags          TEXT NOT NULL
) STRICT;
`,
	// 2: versions and aliases. The table of executions is made anew: columns
	// that are added come last, behind the payloads, where each list of
	// executions would have to read past those.
	`
ALTER TABLE executions RENAME TO executions_1;
DROP INDEX executions_listed;
DROP INDEX executions_due;
DROP INDEX executions_pending;
CREATE TABLE executions (
	id          INTEGER PRIMARY KEY,
	machine     INTEGER NOT NULL,
	revision    INTEGER NOT NULL,
	version     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	started     INTEGER NOT NULL,
	stopped     INTEGER NOT NULL,
	last_event  INTEGER NOT NULL,
	chunk       INTEGER NOT NULL, -- newest history chunk
	due         INTEGER NOT NULL,
	pending     INTEGER NOT NULL,
	via_version INTEGER NOT NULL, -- of the machine, that started it; 0: none
	via_alias   TEXT NOT NULL,    -- that chose the version; '': none
	name        TEXT NOT NULL,
	trace       TEXT NOT NULL,
	error       TEXT,
	cause       TEXT,
	head        BLOB,             -- of the snapshot; NULL once succeeded
	input       TEXT,             -- NULL: in inputs
	output      TEXT
) STRICT;
INSERT INTO executions
	SELECT id, machine, revision, version, status, started, stopped, last_event, chunk, due, pending, 0, '', name, trace, error, cause, head, input, output
	FROM executions_1;
DROP TABLE executions_1;
-- A list without a status merges those of the five statuses.
CREATE INDEX executions_listed ON executions (machine, status);
CREATE INDEX executions_of_version ON executions (machine, via_version, status) WHERE via_version > 0;
CREATE INDEX executions_of_alias ON executions (machine, via_alias, status) WHERE via_alias <> '';
CREATE INDEX executions_due ON executions (due) WHERE due > 0;
CREATE INDEX executions_pending ON executions (pending) WHERE pending = 1;

ALTER TABLE machines ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0; -- highest number ever given to a version

CREATE TABLE versions (
	machine     INTEGER NOT NULL,
	number      INTEGER NOT NULL,
	revision    INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	description TEXT NOT NULL,
	PRIMARY KEY (machine, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
	machine     INTEGER NOT NULL,
	name        TEXT NOT NULL,
	created     INTEGER NOT NULL,
	updated     INTEGER NOT NULL,
	description TEXT NOT NULL,
	routes      TEXT NOT NULL, -- JSON: [{"Number":…,"Weight":…},…]
	PRIMARY KEY (machine, name)
) STRICT, WITHOUT ROWID;
`,
	// 3: redrives. Few executions have any, so their rows stay as they are.
	`
CREATE TABLE redrives (
	execution INTEGER PRIMARY KEY,
	count     INTEGER NOT NULL,
	at        INTEGER NOT NULL -- of the last one
) STRICT;
`,
	// 4: Express executions that are to run, see store.ExpressStart.
	`
CREATE TABLE express_starts (
	id          INTEGER PRIMARY KEY,
	machine     INTEGER NOT NULL,
	revision    INTEGER NOT NULL,
	started     INTEGER NOT NULL,
	via_version INTEGER NOT NULL,
	via_alias   TEXT NOT NULL,
	name        TEXT NOT NULL,
	trace       TEXT NOT NULL,
	input       TEXT NOT NULL
) STRICT;
`,
	// 5: Map Runs. The table of executions is made anew, as in 2.
	`
ALTER TABLE executions RENAME TO executions_2;
DROP INDEX executions_listed;
DROP INDEX executions_of_version;
DROP INDEX executions_of_alias;
DROP INDEX executions_due;
DROP INDEX executions_pending;
CREATE TABLE executions (
	id          INTEGER PRIMARY KEY,
	machine     INTEGER NOT NULL,
	revision    INTEGER NOT NULL,
	version     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	started     INTEGER NOT NULL,
	stopped     INTEGER NOT NULL,
	last_event  INTEGER NOT NULL,
	chunk       INTEGER NOT NULL, -- newest history chunk
	due         INTEGER NOT NULL,
	pending     INTEGER NOT NULL,
	via_version INTEGER NOT NULL, -- of the machine, that started it; 0: none
	via_alias   TEXT NOT NULL,    -- that chose the version; '': none
	run         INTEGER NOT NULL, -- Map Run that it is a child of; 0: none
	run_index   INTEGER NOT NULL, -- in the order of the items
	run_items   INTEGER NOT NULL, -- in its input
	name        TEXT NOT NULL,
	trace       TEXT NOT NULL,
	error       TEXT,
	cause       TEXT,
	head        BLOB,             -- of the snapshot; NULL once succeeded
	input       TEXT,             -- NULL: in inputs
	output      TEXT
) STRICT;
INSERT INTO executions
	SELECT id, machine, revision, version, status, started, stopped, last_event, chunk, due, pending, via_version, via_alias, 0, 0, 0, name, trace, error, cause, head, input, output
	FROM executions_2;
DROP TABLE executions_2;
-- A list without a status merges those of the five statuses.
CREATE INDEX executions_listed ON executions (machine, status) WHERE run = 0;
CREATE INDEX executions_of_version ON executions (machine, via_version, status) WHERE via_version > 0;
CREATE INDEX executions_of_alias ON executions (machine, via_alias, status) WHERE via_alias <> '';
CREATE INDEX executions_of_run ON executions (run, status) WHERE run > 0;
CREATE UNIQUE INDEX executions_in_run ON executions (run, run_index) WHERE run > 0;
CREATE INDEX executions_due ON executions (due) WHERE due > 0;
CREATE INDEX executions_pending ON executions (pending) WHERE pending = 1;

CREATE TABLE map_runs (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	name        TEXT NOT NULL UNIQUE,
	execution   INTEGER NOT NULL,
	frame       INTEGER NOT NULL,
	attempt     INTEGER NOT NULL,
	express     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	stopping    INTEGER NOT NULL,
	started     INTEGER NOT NULL,
	stopped     INTEGER NOT NULL,
	redrives    INTEGER NOT NULL,
	redriven    INTEGER NOT NULL, -- when last
	state       TEXT NOT NULL,
	label       TEXT NOT NULL,
	progress    BLOB
) STRICT;
CREATE INDEX map_runs_of ON map_runs (execution);
CREATE INDEX map_runs_open ON map_runs (status) WHERE status = 0;

-- Only ever grows at its end.
CREATE TABLE map_results (
	id   INTEGER PRIMARY KEY,
	run  INTEGER NOT NULL,
	data BLOB NOT NULL -- see pack
) STRICT;
CREATE INDEX map_results_of ON map_results (run);
`,
	// 6: what somebody has set up, see store.Setting.
	`
CREATE TABLE settings (
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	due  INTEGER NOT NULL,
	data BLOB,
	PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX settings_due ON settings (kind, due) WHERE due > 0;
`,
	// 7: records and the feed of events, see store.Record and store.Event.
	`
CREATE TABLE records (
	rowid   INTEGER PRIMARY KEY,
	kind    TEXT NOT NULL,
	id      TEXT NOT NULL,
	version INTEGER NOT NULL,
	keys    TEXT NOT NULL, -- JSON: ["…",…], so that a change finds those to take away
	data    BLOB NOT NULL,
	UNIQUE (kind, id)
) STRICT;
CREATE TABLE record_keys (
	kind TEXT NOT NULL,
	key  TEXT NOT NULL,
	id   TEXT NOT NULL,
	row  INTEGER NOT NULL, -- of records
	PRIMARY KEY (kind, key, id)
) STRICT, WITHOUT ROWID;

-- Only ever grows at its end.
CREATE TABLE events (
	seq    INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	type   TEXT NOT NULL,
	topics TEXT NOT NULL, -- JSON, as keys above
	data   BLOB NOT NULL
) STRICT;
CREATE TABLE event_topics (
	topic TEXT NOT NULL,
	seq   INTEGER NOT NULL,
	PRIMARY KEY (topic, seq)
) STRICT, WITHOUT ROWID;
`,
	// 8: what the use of models costs, see store.Usage, and the sums over it.
	`
CREATE TABLE usages (
	id             INTEGER PRIMARY KEY,
	source         TEXT NOT NULL,
	key            TEXT NOT NULL,
	run            TEXT NOT NULL,
	rank           INTEGER NOT NULL,
	at             INTEGER NOT NULL,
	day            INTEGER NOT NULL,
	provider       TEXT NOT NULL,
	model          TEXT NOT NULL,
	project        TEXT NOT NULL,
	agent          TEXT NOT NULL,
	task           TEXT NOT NULL,
	attempt        TEXT NOT NULL,
	machine        TEXT NOT NULL,
	state          TEXT NOT NULL,
	execution      TEXT NOT NULL,
	labels         TEXT NOT NULL, -- JSON, as keys of records
	input          INTEGER NOT NULL,
	cache_read     INTEGER NOT NULL,
	cache_write_5m INTEGER NOT NULL,
	cache_write_1h INTEGER NOT NULL,
	output         INTEGER NOT NULL,
	reasoning      INTEGER NOT NULL,
	several        INTEGER NOT NULL,
	billing        TEXT NOT NULL,
	reported       INTEGER,
	computed       INTEGER NOT NULL,
	billed         INTEGER NOT NULL,
	shadow         INTEGER NOT NULL,
	marks          INTEGER NOT NULL,
	price          TEXT NOT NULL,
	counted        INTEGER NOT NULL,
	UNIQUE (source, key)
) STRICT;
CREATE INDEX usages_of_run ON usages (run) WHERE run <> '';

-- Lists read all names of some days, which so stand together.
CREATE TABLE usage_sums (
	by             TEXT NOT NULL,
	day            INTEGER NOT NULL,
	name           TEXT NOT NULL,
	events         INTEGER NOT NULL,
	input          INTEGER NOT NULL,
	cache_read     INTEGER NOT NULL,
	cache_write_5m INTEGER NOT NULL,
	cache_write_1h INTEGER NOT NULL,
	output         INTEGER NOT NULL,
	billed         INTEGER NOT NULL,
	shadow         INTEGER NOT NULL,
	unpriced       INTEGER NOT NULL,
	marked         INTEGER NOT NULL,
	PRIMARY KEY (by, day, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_sums_of_name ON usage_sums (by, name);
`,
	// 9: lists of the executions of all machines, and what one of them used.
	`
CREATE INDEX executions_of_all ON executions (status) WHERE run = 0;
CREATE INDEX usages_of_execution ON usages (execution) WHERE execution <> '';
`,
	// 10: usage is summed up by attempt and execution too, and for agents by what
	// is no task's.
	sumsOf("attempt", "attempt", "attempt <> ''") + sumsOf("execution", "execution", "execution <> ''") + sumsOf("unattributed", "agent", "agent <> '' AND task = ''"),
	// 11: what is left on the disk of executions that were removed, see
	// store.Tx.RemoveExecution. The highest id ever given to an execution is in
	// meta from the time on at which that execution is removed.
	`
CREATE TABLE leftovers (
	id   INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL, -- leftoverChunks, leftoverFrames or leftoverResults
	ref  INTEGER NOT NULL  -- newest chunk, execution or Map Run
) STRICT;
`,
}

// sumsOf sums up the usage that is there by a column, where a condition holds.
func sumsOf(by, column, where string) string {
	return `
INSERT INTO usage_sums (by, day, name, events, input, cache_read, cache_write_5m, cache_write_1h, output, billed, shadow, unpriced, marked)
SELECT '` + by + `', day, ` + column + `, count(*), sum(input), sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(output),
	sum(billed), sum(shadow), sum(marks & 8 <> 0), sum(marks <> 0)
FROM usages WHERE counted AND ` + where + ` GROUP BY day, ` + column + `;
`
}

// migrate brings the file to the newest format, in one transaction, and
// returns its secret. It refuses a file that is newer than this program, and
// one that is not ours.
func (w *writer) migrate(ctx context.Context) (secret [32]byte, err error) {
	err = w.transaction(ctx, func() error {
		format, err := w.format(ctx)
		if err != nil {
			return err
		}
		if format > len(migrations) {
			return fmt.Errorf("the data has format %d, made by a newer lockstep; this one knows formats up to %d: use the newer lockstep", format, len(migrations))
		}
		for ; format < len(migrations); format++ {
			if _, err := w.conn.ExecContext(ctx, migrations[format]); err != nil {
				return fmt.Errorf("migrate to format %d: %w", format+1, err)
			}
		}
		if _, err := w.conn.ExecContext(ctx, "UPDATE meta SET value = ? WHERE key = 'format' AND value <> ?1", format); err != nil {
			return err
		}
		secret, err = w.secret(ctx)
		return err
	})
	return secret, err
}

// format reads the format of the file, 0 for an empty one.
func (w *writer) format(ctx context.Context) (format int, err error) {
	var tables, ours int
	err = w.conn.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(name = 'meta'), 0) FROM sqlite_schema WHERE type = 'table'").Scan(&tables, &ours)
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		_, err := w.conn.ExecContext(ctx, `
			CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
			INSERT INTO meta VALUES ('format', 0)`)
		return 0, err
	case ours == 0:
		return 0, errors.New("the file is a database of another program")
	}
	return format, w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'format'").Scan(&format)
}

// secret reads the random key, or makes it.
func (w *writer) secret(ctx context.Context) (secret [32]byte, err error) {
	fresh := make([]byte, len(secret))
	rand.Read(fresh)
	if _, err := w.conn.ExecContext(ctx, "INSERT INTO meta VALUES ('secret', ?) ON CONFLICT DO NOTHING", fresh); err != nil {
		return secret, err
	}
	var kept []byte
	if err := w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'secret'").Scan(&kept); err != nil {
		return secret, err
	}
	if copy(secret[:], kept) != len(secret) {
		return secret, fmt.Errorf("the secret has %d bytes instead of %d", len(kept), len(secret))
	}
	return secret, nil
}
