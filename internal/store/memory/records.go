package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

type recordName struct{ kind, id string }

// recordKey is one key of one record.
type recordKey struct{ key, id string }

func compareKeys(a, b recordKey) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
}

// Record finds a record by its kind and id.
func (s *Store) Record(_ context.Context, kind, id string) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.record(kind, id)
}

// record shares nothing with the store but Data, which is never changed.
func (s *Store) record(kind, id string) (store.Record, error) {
	r, ok := s.records[recordName{kind, id}]
	if !ok {
		return r, fmt.Errorf("%s %q: %w", kind, id, store.ErrNotFound)
	}
	r.Keys = slices.Clone(r.Keys)
	return r, nil
}

// Records lists records by key.
func (s *Store) Records(_ context.Context, q store.RecordQuery) ([]store.Found, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.recordsOf(q), nil
}

func (s *Store) recordsOf(q store.RecordQuery) (list []store.Found) {
	keys := s.keys[q.Kind]
	from := recordKey{q.From, q.AfterID}
	at, there := slices.BinarySearchFunc(keys, from, compareKeys)
	if there && q.AfterID != "" {
		at++
	}
	for ; at < len(keys) && len(list) < q.Limit; at++ {
		k := keys[at]
		if q.To != "" && k.key >= q.To {
			break
		}
		r := s.records[recordName{q.Kind, k.id}]
		r.Keys = slices.Clone(r.Keys)
		list = append(list, store.Found{Key: k.key, Record: r})
	}
	return list
}

// Events lists the feed in order.
func (s *Store) Events(_ context.Context, after int64, limit int) ([]store.Event, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	after = min(max(after, 0), int64(len(s.events)))
	return slices.Clone(first(s.events[after:], limit)), nil
}

// EventsOf lists the events with a topic, newest first.
func (s *Store) EventsOf(_ context.Context, topic string, before int64, limit int) (list []store.Event, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, seq := range slices.Backward(s.topics[topic]) {
		if len(list) >= limit {
			break
		}
		if before <= 0 || seq < before {
			list = append(list, s.events[seq-1])
		}
	}
	return list, nil
}

func (t *tx) Record(_ context.Context, kind, id string) (store.Record, error) {
	return t.s.record(kind, id)
}

func (t *tx) Records(_ context.Context, q store.RecordQuery) ([]store.Found, error) {
	return t.s.recordsOf(q), nil
}

func (t *tx) SaveRecord(_ context.Context, r store.Record) error {
	at := recordName{r.Kind, r.ID}
	kept := t.s.records[at]
	if kept.Version != r.Version {
		return fmt.Errorf("%s %q at version %d: %w", r.Kind, r.ID, r.Version, store.ErrConflict)
	}
	r.Version++
	r.Keys, r.Data = slices.Clone(r.Keys), bytes.Clone(r.Data)
	t.moveKeys(r.Kind, r.ID, kept.Keys, r.Keys)
	set(t, t.s.records, at, &r)
	return nil
}

func (t *tx) DeleteRecord(_ context.Context, kind, id string) error {
	kept, err := t.s.record(kind, id)
	if err != nil {
		return err
	}
	t.moveKeys(kind, id, kept.Keys, nil)
	set(t, t.s.records, recordName{kind, id}, nil)
	return nil
}

// moveKeys takes a record from under its old keys and puts it under its new
// ones.
func (t *tx) moveKeys(kind, id string, old, keys []string) {
	t.s.moveKeys(kind, id, old, keys)
	t.undo = append(t.undo, func() { t.s.moveKeys(kind, id, keys, old) })
}

func (s *Store) moveKeys(kind, id string, old, keys []string) {
	list := s.keys[kind]
	for _, key := range old {
		if slices.Contains(keys, key) {
			continue
		}
		if at, there := slices.BinarySearchFunc(list, recordKey{key, id}, compareKeys); there {
			list = slices.Delete(list, at, at+1)
		}
	}
	for _, key := range keys {
		if slices.Contains(old, key) {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, recordKey{key, id}, compareKeys)
		list = slices.Insert(list, at, recordKey{key, id})
	}
	s.keys[kind] = list
}

func (t *tx) AddEvent(_ context.Context, e store.Event) (int64, error) {
	e.Seq = int64(len(t.s.events)) + 1
	e.Topics, e.Data = slices.Clone(e.Topics), bytes.Clone(e.Data)
	t.s.events = append(t.s.events, e)
	for _, topic := range e.Topics {
		t.s.topics[topic] = append(t.s.topics[topic], e.Seq)
	}
	t.undo = append(t.undo, func() {
		t.s.events = t.s.events[:e.Seq-1]
		for _, topic := range e.Topics {
			t.s.topics[topic] = t.s.topics[topic][:len(t.s.topics[topic])-1]
		}
	})
	return e.Seq, nil
}
