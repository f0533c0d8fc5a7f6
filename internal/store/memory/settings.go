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

// Setting finds a setting by its kind and name.
func (s *Store) Setting(_ context.Context, kind, name string) (store.Setting, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.setting(kind, name)
}

func (s *Store) setting(kind, name string) (store.Setting, error) {
	r, ok := s.settings[settingKey{kind, name}]
	if !ok {
		return store.Setting{}, fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
	}
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

// Settings lists the settings of a kind by name.
func (s *Store) Settings(_ context.Context, kind, afterName string, limit int) ([]store.Setting, error) {
	list := s.someSettings(func(r store.Setting) bool { return r.Kind == kind && r.Name > afterName })
	slices.SortFunc(list, func(a, b store.Setting) int { return cmp.Compare(a.Name, b.Name) })
	return first(list, limit), nil
}

// DueSettings lists the settings of a kind that are due.
func (s *Store) DueSettings(_ context.Context, kind string, until time.Time, limit int) ([]store.Setting, error) {
	list := s.someSettings(func(r store.Setting) bool { return r.Kind == kind && r.Due > 0 && r.Due <= until.UnixMilli() })
	slices.SortFunc(list, func(a, b store.Setting) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Name, b.Name))
	})
	return first(list, limit), nil
}

func (s *Store) someSettings(wanted func(store.Setting) bool) (list []store.Setting) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.settings {
		if wanted(r) {
			r.Data = bytes.Clone(r.Data)
			list = append(list, r)
		}
	}
	return list
}

func (t *tx) Setting(_ context.Context, kind, name string) (store.Setting, error) {
	return t.s.setting(kind, name)
}

func (t *tx) PutSetting(_ context.Context, r store.Setting) error {
	r.Data = bytes.Clone(r.Data)
	set(t, t.s.settings, settingKey{r.Kind, r.Name}, &r)
	return nil
}

func (t *tx) DeleteSetting(_ context.Context, kind, name string) error {
	if _, err := t.s.setting(kind, name); err != nil {
		return err
	}
	set(t, t.s.settings, settingKey{kind, name}, nil)
	return nil
}
