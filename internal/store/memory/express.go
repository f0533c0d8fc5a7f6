package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Starts lists kept Express executions by id.
func (s *Store) Starts(_ context.Context, after store.ExecutionID, limit int) (list []store.ExpressStart, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, start := range s.starts {
		if id > after {
			list = append(list, start)
		}
	}
	slices.SortFunc(list, func(a, b store.ExpressStart) int { return cmp.Compare(a.ID, b.ID) })
	return first(list, limit), nil
}

func (t *tx) KeepStarts(_ context.Context, starts []store.ExpressStart) error {
	for i := range starts {
		if _, there := t.s.starts[starts[i].ID]; there {
			return fmt.Errorf("start of execution %d: %w", starts[i].ID, store.ErrExists)
		}
		set(t, t.s.starts, starts[i].ID, &starts[i])
	}
	return nil
}

func (t *tx) DropStarts(_ context.Context, ids []store.ExecutionID) error {
	for _, id := range ids {
		set(t, t.s.starts, id, nil)
	}
	return nil
}

// Forget drops executions with all that is kept of them, which no other store
// does: a process that runs Express executions would fill its memory. Those
// that are not there are passed over.
func (s *Store) Forget(ids ...store.ExecutionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		x := s.executions[id]
		if x == nil {
			continue
		}
		r := &x.record
		if s.names[name{r.Machine, r.Name}] == id {
			delete(s.names, name{r.Machine, r.Name})
		}
		if run := r.Child.Run; run != 0 {
			if s.children[run] = without(s.children[run], id); len(s.children[run]) == 0 {
				delete(s.children, run)
			}
		} else if s.listed[r.Machine] = without(s.listed[r.Machine], id); len(s.listed[r.Machine]) == 0 {
			delete(s.listed, r.Machine)
		}
		delete(s.pending, id)
		delete(s.due, id)
		delete(s.executions, id)
	}
}

// without takes id out of an ascending list. Mostly it is near the beginning,
// so that the little before it moves.
func without(ids []store.ExecutionID, id store.ExecutionID) []store.ExecutionID {
	at, there := slices.BinarySearch(ids, id)
	if !there {
		return ids
	}
	copy(ids[1:at+1], ids[:at])
	return ids[1:]
}
