package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// changeMapRun is what a step of the execution id means to one of its runs.
func (s *Store) changeMapRun(id store.ExecutionID, c store.MapRunChange) {
	r, there := s.mapRuns[s.mapRunIDs[c.Name]]
	switch {
	case there && c.Stop:
		r.Stopping = true
	case c.Stop:
		return
	case there && c.Redrives > r.Redrives:
		r.Redrives, r.RedrivenAt = c.Redrives, max(c.At, r.StoppedAt+1, r.RedrivenAt+1)
		r.Status, r.StoppedAt, r.Stopping = engine.Running, 0, false
	case there:
		return
	default:
		s.lastMapRun++
		r = store.MapRun{
			ID: s.lastMapRun, Name: c.Name, Execution: id, Task: c.Task, State: c.State, Label: c.Label,
			Express: c.Express, StartedAt: c.At,
		}
		s.mapRunIDs[c.Name] = r.ID
	}
	s.mapRuns[r.ID] = r
}

// MapRun finds a Map Run by its name.
func (s *Store) MapRun(_ context.Context, name string) (store.MapRun, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mapRun(s.mapRunIDs[name])
}

// MapRunByID finds a Map Run by its id.
func (s *Store) MapRunByID(_ context.Context, id store.MapRunID) (store.MapRun, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mapRun(id)
}

func (s *Store) mapRun(id store.MapRunID) (store.MapRun, error) {
	r, ok := s.mapRuns[id]
	if !ok {
		return store.MapRun{}, fmt.Errorf("Map Run %d: %w", id, store.ErrNotFound)
	}
	return r, nil
}

// MapRuns lists the Map Runs of an execution, newest first.
func (s *Store) MapRuns(_ context.Context, execution store.ExecutionID, before store.MapRunID, limit int) ([]store.MapRun, error) {
	list := s.someMapRuns(func(r store.MapRun) bool {
		return r.Execution == execution && (before == 0 || r.ID < before)
	})
	slices.Reverse(list)
	return first(list, limit), nil
}

// OpenMapRuns lists the Map Runs that have not ended.
func (s *Store) OpenMapRuns(_ context.Context, after store.MapRunID, limit int) ([]store.MapRun, error) {
	return first(s.someMapRuns(func(r store.MapRun) bool { return r.Status == engine.Running && r.ID > after }), limit), nil
}

// someMapRuns lists Map Runs by id.
func (s *Store) someMapRuns(wanted func(store.MapRun) bool) (list []store.MapRun) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.mapRuns {
		if wanted(r) {
			r.Progress = nil
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b store.MapRun) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Children lists the executions that a Map Run has started.
func (s *Store) Children(_ context.Context, run store.MapRunID, from int64, limit int) (list []store.Execution, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, id := range s.children[run] {
		if x := s.executions[id].record; x.Child.Index >= from {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b store.Execution) int { return cmp.Compare(a.Child.Index, b.Child.Index) })
	return first(list, limit), nil
}

// Results calls yield with the results of a Map Run, oldest first.
func (s *Store) Results(_ context.Context, run store.MapRunID, yield func([]byte) bool) error {
	s.mu.RLock()
	all := s.results[run] // only ever appended to
	s.mu.RUnlock()
	for _, data := range all {
		if !yield(data) {
			break
		}
	}
	return nil
}

func (t *tx) MapRun(_ context.Context, id store.MapRunID) (store.MapRun, error) {
	return t.s.mapRun(id)
}

func (t *tx) SaveMapRun(_ context.Context, r store.MapRun) error {
	kept, err := t.s.mapRun(r.ID)
	if err != nil {
		return err
	}
	kept.Status, kept.StoppedAt, kept.Progress = r.Status, r.StoppedAt, bytes.Clone(r.Progress)
	set(t, t.s.mapRuns, r.ID, &kept)
	return nil
}

func (t *tx) AddResults(_ context.Context, run store.MapRunID, data []byte) error {
	if _, err := t.s.mapRun(run); err != nil {
		return err
	}
	all := append(slices.Clip(t.s.results[run]), bytes.Clone(data))
	set(t, t.s.results, run, &all)
	return nil
}
