package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// A list goes to the records by their row, not through another index. A limit is
// ? + 0 here: into a bare ? SQLite looks when it plans a join, and then plans the
// statement anew each time that it runs, which takes longer than running it.
const selectRecords = `
	SELECT k.key, r.kind, r.id, r.version, r.keys, r.data
	FROM record_keys k CROSS JOIN records r ON r.rowid = k.row
	WHERE k.kind = ? AND (k.key, k.id) > (?, ?) AND k.key < ? ORDER BY k.key, k.id LIMIT ? + 0`

// lastKey is above every text: SQLite puts blobs behind texts.
var lastKey = []byte{}

func (s *statements) record(ctx context.Context, kind, id string) (store.Record, error) {
	r, keys := store.Record{Kind: kind, ID: id}, ""
	err := s.row(ctx, []any{&r.Version, &keys, &r.Data}, "SELECT version, keys, data FROM records WHERE kind = ? AND id = ?", kind, id)
	if err == nil {
		r.Keys, err = decodeTexts(keys)
	}
	return r, err
}

func (s *statements) records(ctx context.Context, q store.RecordQuery) ([]store.Found, error) {
	var to any = lastKey
	if q.To != "" {
		to = q.To
	}
	scan := func(f *store.Found, rows *sql.Rows) (err error) {
		keys := ""
		if err := rows.Scan(&f.Key, &f.Kind, &f.ID, &f.Version, &keys, &f.Data); err != nil {
			return err
		}
		f.Keys, err = decodeTexts(keys)
		return err
	}
	return all(ctx, s, scan, selectRecords, q.Kind, q.From, q.AfterID, to, max(q.Limit, 0))
}

// Record finds a record by its kind and id.
func (s *Store) Record(ctx context.Context, kind, id string) (store.Record, error) {
	r, err := s.read.record(ctx, kind, id)
	return r, wrap(err, "%s %q", kind, id)
}

// Records lists records by key.
func (s *Store) Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error) {
	list, err := s.read.records(ctx, q)
	return list, wrap(err, "list records of kind %s", q.Kind)
}

func scanEvent(e *store.Event, rows *sql.Rows) (err error) {
	topics := ""
	if err := rows.Scan(&e.Seq, &e.At, &e.Type, &topics, &e.Data); err != nil {
		return err
	}
	e.Topics, err = decodeTexts(topics)
	return err
}

// Events lists the feed in order.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]store.Event, error) {
	list, err := all(ctx, s.read, scanEvent, "SELECT seq, at, type, topics, data FROM events WHERE seq > ? ORDER BY seq LIMIT ? + 0", after, max(limit, 0))
	return list, wrap(err, "list events")
}

// EventsOf lists the events with a topic, newest first.
func (s *Store) EventsOf(ctx context.Context, topic string, before int64, limit int) ([]store.Event, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	list, err := all(ctx, s.read, scanEvent, `
		SELECT e.seq, e.at, e.type, e.topics, e.data FROM event_topics t CROSS JOIN events e ON e.seq = t.seq
		WHERE t.topic = ? AND t.seq < ? ORDER BY t.seq DESC LIMIT ? + 0`, topic, before, max(limit, 0))
	return list, wrap(err, "list events of %s", topic)
}

func (t *tx) Record(ctx context.Context, kind, id string) (store.Record, error) {
	r, err := t.w.record(context.WithoutCancel(ctx), kind, id)
	return r, wrap(t.note(err), "%s %q", kind, id)
}

func (t *tx) Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error) {
	list, err := t.w.records(context.WithoutCancel(ctx), q)
	return list, t.note(err)
}

func (t *tx) SaveRecord(ctx context.Context, r store.Record) error {
	ctx = context.WithoutCancel(ctx)
	keys := encodeTexts(r.Keys)
	var row, version int64
	kept := ""
	err := t.w.row(ctx, []any{&row, &version, &kept}, "SELECT rowid, version, keys FROM records WHERE kind = ? AND id = ?", r.Kind, r.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return t.note(err)
	}
	if version != r.Version {
		return fmt.Errorf("%s %q at version %d: %w", r.Kind, r.ID, r.Version, store.ErrConflict)
	}
	if version == 0 {
		if row, err = t.w.insert(ctx, "INSERT INTO records (kind, id, version, keys, data) VALUES (?, ?, 1, ?, ?)", r.Kind, r.ID, keys, r.Data); err != nil {
			return t.note(err)
		}
	} else if kept == keys {
		_, err := t.exec(ctx, "UPDATE records SET version = version + 1, data = ? WHERE rowid = ?", r.Data, row)
		return err
	} else if _, err := t.exec(ctx, "UPDATE records SET version = version + 1, keys = ?, data = ? WHERE rowid = ?", keys, r.Data, row); err != nil {
		return err
	}
	old, err := decodeTexts(kept)
	if err != nil {
		return t.note(err)
	}
	return t.moveKeys(ctx, r, row, old)
}

// moveKeys takes a record from under its old keys and puts it under its new
// ones.
func (t *tx) moveKeys(ctx context.Context, r store.Record, row int64, old []string) error {
	for _, key := range old {
		if slices.Contains(r.Keys, key) {
			continue
		}
		if _, err := t.exec(ctx, "DELETE FROM record_keys WHERE kind = ? AND key = ? AND id = ?", r.Kind, key, r.ID); err != nil {
			return err
		}
	}
	for _, key := range r.Keys {
		if slices.Contains(old, key) {
			continue
		}
		if _, err := t.exec(ctx, "INSERT INTO record_keys (kind, key, id, row) VALUES (?, ?, ?, ?)", r.Kind, key, r.ID, row); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) DeleteRecord(ctx context.Context, kind, id string) error {
	r, err := t.Record(ctx, kind, id)
	if err != nil {
		return err
	}
	old := r.Keys
	r.Keys = nil
	if err := t.moveKeys(ctx, r, 0, old); err != nil {
		return err
	}
	return t.change(ctx, "DELETE FROM records WHERE kind = ? AND id = ?", kind, id)
}

func (t *tx) AddEvent(ctx context.Context, e store.Event) (int64, error) {
	seq, err := t.insert(ctx, "INSERT INTO events (at, type, topics, data) VALUES (?, ?, ?, ?)", e.At, e.Type, encodeTexts(e.Topics), e.Data)
	if err != nil {
		return 0, err
	}
	for _, topic := range e.Topics {
		if _, err := t.exec(ctx, "INSERT INTO event_topics (topic, seq) VALUES (?, ?)", topic, seq); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// encodeTexts writes texts as JSON; none are "".
func encodeTexts(list []string) string {
	if len(list) == 0 {
		return ""
	}
	text, _ := json.Marshal(list) // strings alone cannot fail
	return string(text)
}

func decodeTexts(text string) (list []string, err error) {
	if text == "" {
		return nil, nil
	}
	return list, json.Unmarshal([]byte(text), &list)
}
