package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// write runs one write and undoes it if it fails.
func (s *Store) write(ctx context.Context, w *store.Write) {
	t := &tx{s: s}
	if w.Err = w.Do(ctx, t); w.Err != nil {
		for _, undo := range slices.Backward(t.undo) {
			undo()
		}
	}
}

// tx is the store.Tx of one write.
type tx struct {
	s    *Store
	undo []func()
}

// set changes an entry of a map, or deletes it where value is nil, and
// remembers what was there.
func set[K comparable, V any](t *tx, m map[K]V, key K, value *V) {
	old, there := m[key]
	t.undo = append(t.undo, func() {
		if there {
			m[key] = old
		} else {
			delete(m, key)
		}
	})
	if value == nil {
		delete(m, key)
	} else {
		m[key] = *value
	}
}

func (t *tx) Machine(_ context.Context, name string) (store.Machine, error) {
	return t.s.machine(name)
}

func (t *tx) MachineByID(_ context.Context, id store.MachineID) (store.Machine, error) {
	return t.s.machineByID(id)
}

func (t *tx) Revision(_ context.Context, id store.RevisionID) (store.Revision, error) {
	return t.s.revision(id)
}

func (t *tx) Version(_ context.Context, machine store.MachineID, number int64) (store.Version, error) {
	return t.s.version(machine, number)
}

func (t *tx) Versions(_ context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error) {
	return t.s.versionsOf(machine, before, limit), nil
}

func (t *tx) Alias(_ context.Context, machine store.MachineID, n string) (store.Alias, error) {
	return t.s.alias(machine, n)
}

func (t *tx) Aliases(_ context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error) {
	return t.s.aliasesOf(machine, afterName, limit), nil
}

func (t *tx) Activity(_ context.Context, name string) (store.Activity, error) {
	return t.s.activity(name)
}

func (t *tx) CreateMachine(ctx context.Context, m store.Machine, r store.Revision) (store.Machine, error) {
	if _, taken := t.s.machineIDs[m.Name]; taken {
		return store.Machine{}, store.ErrExists
	}
	t.s.lastMachine++
	m.ID, m.Tags = t.s.lastMachine, slices.Clone(m.Tags)
	set(t, t.s.machines, m.ID, &m)
	set(t, t.s.machineIDs, m.Name, &m.ID)
	r.Machine = m.ID
	if _, err := t.AddRevision(ctx, r); err != nil {
		return store.Machine{}, err
	}
	return t.s.machineByID(m.ID)
}

func (t *tx) AddRevision(_ context.Context, r store.Revision) (store.RevisionID, error) {
	m, ok := t.s.machines[r.Machine]
	if !ok {
		return 0, store.ErrNotFound
	}
	t.s.lastRevision++
	r.ID, r.Configuration = t.s.lastRevision, bytes.Clone(r.Configuration)
	m.Current = r.ID
	set(t, t.s.revisions, r.ID, &r)
	set(t, t.s.machines, m.ID, &m)
	return r.ID, nil
}

func (t *tx) SaveMachine(_ context.Context, m store.Machine) error {
	kept, ok := t.s.machines[m.ID]
	if !ok {
		return store.ErrNotFound
	}
	kept.Deleting, kept.UpdatedAt, kept.Tags = m.Deleting, m.UpdatedAt, slices.Clone(m.Tags)
	set(t, t.s.machines, m.ID, &kept)
	return nil
}

func (t *tx) DeleteMachine(_ context.Context, id store.MachineID) error {
	m, ok := t.s.machines[id]
	if !ok {
		return store.ErrNotFound
	}
	set(t, t.s.machines, id, nil)
	set(t, t.s.machineIDs, m.Name, nil)
	set(t, t.s.lastVersion, id, nil)
	for key := range t.s.versions {
		if key.machine == id {
			set(t, t.s.versions, key, nil)
		}
	}
	for key := range t.s.aliases {
		if key.machine == id {
			set(t, t.s.aliases, key, nil)
		}
	}
	return nil
}

func (t *tx) AddVersion(_ context.Context, v store.Version) (store.Version, error) {
	if _, ok := t.s.machines[v.Machine]; !ok {
		return store.Version{}, store.ErrNotFound
	}
	v.Number = t.s.lastVersion[v.Machine] + 1
	set(t, t.s.lastVersion, v.Machine, &v.Number)
	set(t, t.s.versions, version{v.Machine, v.Number}, &v)
	return v, nil
}

func (t *tx) DeleteVersion(_ context.Context, machine store.MachineID, number int64) error {
	if _, err := t.s.version(machine, number); err != nil {
		return err
	}
	set(t, t.s.versions, version{machine, number}, nil)
	return nil
}

func (t *tx) SaveAlias(_ context.Context, a store.Alias) error {
	if _, ok := t.s.machines[a.Machine]; !ok {
		return store.ErrNotFound
	}
	a.Routes = slices.Clone(a.Routes)
	set(t, t.s.aliases, name{a.Machine, a.Name}, &a)
	return nil
}

func (t *tx) DeleteAlias(_ context.Context, machine store.MachineID, n string) error {
	if _, err := t.s.alias(machine, n); err != nil {
		return err
	}
	set(t, t.s.aliases, name{machine, n}, nil)
	return nil
}

func (t *tx) CreateActivity(_ context.Context, a store.Activity) (store.Activity, error) {
	if _, taken := t.s.activities[a.Name]; taken {
		return store.Activity{}, store.ErrExists
	}
	t.s.lastActivity++
	a.ID, a.Configuration, a.Tags = t.s.lastActivity, bytes.Clone(a.Configuration), slices.Clone(a.Tags)
	set(t, t.s.activities, a.Name, &a)
	return t.s.activity(a.Name)
}

func (t *tx) SaveActivity(_ context.Context, a store.Activity) error {
	kept, ok := t.s.activityByID(a.ID)
	if !ok {
		return store.ErrNotFound
	}
	kept.Configuration, kept.Tags = bytes.Clone(a.Configuration), slices.Clone(a.Tags)
	set(t, t.s.activities, kept.Name, &kept)
	return nil
}

func (t *tx) DeleteActivity(_ context.Context, id store.ActivityID) error {
	a, ok := t.s.activityByID(id)
	if !ok {
		return store.ErrNotFound
	}
	set(t, t.s.activities, a.Name, nil)
	return nil
}

// Machine finds a machine by its name.
func (s *Store) Machine(_ context.Context, name string) (store.Machine, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.machine(name)
}

func (s *Store) machine(name string) (store.Machine, error) {
	id, ok := s.machineIDs[name]
	if !ok {
		return store.Machine{}, fmt.Errorf("machine %q: %w", name, store.ErrNotFound)
	}
	return s.machineByID(id)
}

// MachineByID finds a machine by its id.
func (s *Store) MachineByID(_ context.Context, id store.MachineID) (store.Machine, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.machineByID(id)
}

func (s *Store) machineByID(id store.MachineID) (store.Machine, error) {
	m, ok := s.machines[id]
	if !ok {
		return store.Machine{}, fmt.Errorf("machine %d: %w", id, store.ErrNotFound)
	}
	m.Tags = slices.Clone(m.Tags)
	return m, nil
}

// Machines lists machines by name.
func (s *Store) Machines(_ context.Context, afterName string, limit int) (list []store.Machine, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.machines {
		if m.Name > afterName {
			m.Tags = slices.Clone(m.Tags)
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b store.Machine) int { return cmp.Compare(a.Name, b.Name) })
	return first(list, limit), nil
}

// Revision finds a revision by its id.
func (s *Store) Revision(_ context.Context, id store.RevisionID) (store.Revision, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision(id)
}

func (s *Store) revision(id store.RevisionID) (store.Revision, error) {
	r, ok := s.revisions[id]
	if !ok {
		return r, fmt.Errorf("revision %d: %w", id, store.ErrNotFound)
	}
	return r, nil
}

// Version finds a version of a machine by its number.
func (s *Store) Version(_ context.Context, machine store.MachineID, number int64) (store.Version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version(machine, number)
}

func (s *Store) version(machine store.MachineID, number int64) (store.Version, error) {
	v, ok := s.versions[version{machine, number}]
	if !ok {
		return v, fmt.Errorf("version %d of machine %d: %w", number, machine, store.ErrNotFound)
	}
	return v, nil
}

// Versions lists a machine's versions, newest first.
func (s *Store) Versions(_ context.Context, machine store.MachineID, before int64, limit int) ([]store.Version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.versionsOf(machine, before, limit), nil
}

func (s *Store) versionsOf(machine store.MachineID, before int64, limit int) (list []store.Version) {
	for key, v := range s.versions {
		if key.machine == machine && (before <= 0 || key.number < before) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b store.Version) int { return cmp.Compare(b.Number, a.Number) })
	return first(list, limit)
}

// Alias finds an alias of a machine by its name.
func (s *Store) Alias(_ context.Context, machine store.MachineID, n string) (store.Alias, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.alias(machine, n)
}

func (s *Store) alias(machine store.MachineID, n string) (store.Alias, error) {
	a, ok := s.aliases[name{machine, n}]
	if !ok {
		return a, fmt.Errorf("alias %q of machine %d: %w", n, machine, store.ErrNotFound)
	}
	a.Routes = slices.Clone(a.Routes)
	return a, nil
}

// Aliases lists a machine's aliases by name.
func (s *Store) Aliases(_ context.Context, machine store.MachineID, afterName string, limit int) ([]store.Alias, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.aliasesOf(machine, afterName, limit), nil
}

func (s *Store) aliasesOf(machine store.MachineID, afterName string, limit int) (list []store.Alias) {
	for key, a := range s.aliases {
		if key.machine == machine && key.name > afterName {
			a.Routes = slices.Clone(a.Routes)
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b store.Alias) int { return cmp.Compare(a.Name, b.Name) })
	return first(list, limit)
}

// Activity finds an activity by its name.
func (s *Store) Activity(_ context.Context, name string) (store.Activity, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.activity(name)
}

func (s *Store) activity(name string) (store.Activity, error) {
	a, ok := s.activities[name]
	if !ok {
		return a, fmt.Errorf("activity %q: %w", name, store.ErrNotFound)
	}
	a.Tags = slices.Clone(a.Tags)
	return a, nil
}

func (s *Store) activityByID(id store.ActivityID) (store.Activity, bool) {
	for _, a := range s.activities {
		if a.ID == id {
			return a, true
		}
	}
	return store.Activity{}, false
}

// Activities lists activities by name.
func (s *Store) Activities(_ context.Context, afterName string, limit int) (list []store.Activity, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.activities {
		if a.Name > afterName {
			a.Tags = slices.Clone(a.Tags)
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b store.Activity) int { return cmp.Compare(a.Name, b.Name) })
	return first(list, limit), nil
}
