package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Outlines lists executions by id.
func (s *Store) Outlines(_ context.Context, after store.ExecutionID, limit int) (list []store.Outline, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, x := range s.executions {
		if id <= after {
			continue
		}
		r := &x.record
		_, there := s.mapRuns[r.Child.Run]
		list = append(list, store.Outline{
			ID: id, Machine: r.Machine, Revision: r.Revision, Status: r.Status, StartedAt: r.StartedAt, StoppedAt: r.StoppedAt,
			Run: r.Child.Run, Orphan: r.Child.Run != 0 && !there,
		})
	}
	slices.SortFunc(list, func(a, b store.Outline) int { return cmp.Compare(a.ID, b.ID) })
	return first(list, limit), nil
}

// OldRevisions lists revisions that nothing new can be started with.
func (s *Store) OldRevisions(_ context.Context, before int64, after store.RevisionID, limit int) (list []store.RevisionID, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, r := range s.revisions {
		if id > after && s.isOld(r, before) && !s.hasVersion(r) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return first(list, limit), nil
}

func (s *Store) isOld(r store.Revision, before int64) bool {
	m, there := s.machines[r.Machine]
	if !there {
		return r.CreatedAt < before
	}
	var next *store.Revision
	for _, other := range s.revisions {
		if other.Machine == r.Machine && other.ID > r.ID && (next == nil || other.ID < next.ID) {
			next = &other
		}
	}
	return m.Current != r.ID && next != nil && next.CreatedAt < before
}

func (s *Store) hasVersion(r store.Revision) bool {
	for _, v := range s.versions {
		if v.Machine == r.Machine && v.Revision == r.ID {
			return true
		}
	}
	return false
}

func (t *tx) DeleteRevision(_ context.Context, id store.RevisionID) error {
	r, err := t.s.revision(id)
	if err != nil {
		return err
	}
	if m, there := t.s.machines[r.Machine]; there && m.Current == id || t.s.hasVersion(r) {
		return store.ErrConflict
	}
	for _, x := range t.s.starts {
		if x.Revision == id {
			return store.ErrConflict
		}
	}
	set(t, t.s.revisions, id, nil)
	return nil
}

func (t *tx) RemoveExecution(_ context.Context, id store.ExecutionID, before int64) error {
	x, there := t.s.executions[id]
	if !there {
		return fmt.Errorf("execution %d: %w", id, store.ErrNotFound)
	}
	r := x.record
	if _, needed := t.s.mapRuns[r.Child.Run]; needed || r.Status == engine.Running || r.StoppedAt >= before {
		return store.ErrConflict
	}
	var runs []store.MapRun
	for _, run := range t.s.mapRuns {
		if run.Execution == id {
			runs = append(runs, run)
		}
		if run.Execution == id && run.Status == engine.Running {
			return store.ErrConflict
		}
	}
	for _, run := range runs {
		set(t, t.s.mapRuns, run.ID, nil)
		set(t, t.s.mapRunIDs, run.Name, nil)
		set(t, t.s.results, run.ID, nil)
	}
	t.unlist(r)
	if key := (name{r.Machine, r.Name}); t.s.names[key] == id {
		set(t, t.s.names, key, nil)
	}
	for activity, queue := range t.s.queues {
		kept := slices.DeleteFunc(slices.Clone(queue), func(q store.QueuedTask) bool { return q.Execution == id })
		set(t, t.s.queues, activity, &kept)
	}
	set(t, t.s.pending, id, nil)
	set(t, t.s.due, id, nil)
	set(t, t.s.executions, id, nil)
	return nil
}

// unlist takes an execution out of the list that it is in.
func (t *tx) unlist(r store.Execution) {
	ids := func() []store.ExecutionID {
		if r.Child.Run != 0 {
			return t.s.children[r.Child.Run]
		}
		return t.s.listed[r.Machine]
	}
	keep := func(ids []store.ExecutionID) {
		if r.Child.Run != 0 {
			t.s.children[r.Child.Run] = ids
		} else {
			t.s.listed[r.Machine] = ids
		}
	}
	keep(without(ids(), r.ID))
	t.undo = append(t.undo, func() { keep(with(ids(), r.ID)) })
}

// RemoveLeftovers finds nothing: RemoveExecution removes everything.
func (t *tx) RemoveLeftovers(context.Context, int) (more bool, err error) { return false, nil }
