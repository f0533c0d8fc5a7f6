package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Record finds a record by its kind and name.
func (s *Store) Record(_ context.Context, kind, name string) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.record(kind, name)
}

func (s *Store) record(kind, name string) (store.Record, error) {
	r, ok := s.records[record{kind, name}]
	if !ok {
		return store.Record{}, fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
	}
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

// Records lists the records of a kind by name.
func (s *Store) Records(_ context.Context, kind, afterName string, limit int) ([]store.Record, error) {
	list := s.someRecords(func(r store.Record) bool { return r.Kind == kind && r.Name > afterName })
	slices.SortFunc(list, func(a, b store.Record) int { return cmp.Compare(a.Name, b.Name) })
	return first(list, limit), nil
}

// DueRecords lists the records of a kind that are due.
func (s *Store) DueRecords(_ context.Context, kind string, until time.Time, limit int) ([]store.Record, error) {
	list := s.someRecords(func(r store.Record) bool { return r.Kind == kind && r.Due > 0 && r.Due <= until.UnixMilli() })
	slices.SortFunc(list, func(a, b store.Record) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Name, b.Name))
	})
	return first(list, limit), nil
}

func (s *Store) someRecords(wanted func(store.Record) bool) (list []store.Record) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.records {
		if wanted(r) {
			r.Data = bytes.Clone(r.Data)
			list = append(list, r)
		}
	}
	return list
}

func (t *tx) Record(_ context.Context, kind, name string) (store.Record, error) {
	return t.s.record(kind, name)
}

func (t *tx) PutRecord(_ context.Context, r store.Record) error {
	r.Data = bytes.Clone(r.Data)
	set(t, t.s.records, record{r.Kind, r.Name}, &r)
	return nil
}

func (t *tx) DeleteRecord(_ context.Context, kind, name string) error {
	if _, err := t.s.record(kind, name); err != nil {
		return err
	}
	set(t, t.s.records, record{kind, name}, nil)
	return nil
}
