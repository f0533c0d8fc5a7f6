package sim

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// removal is what a world does that keeps executions for a short time only: some
// that have ended are removed while nodes, clients and timers still have to do with
// them. What they were stays here, for the checks. Its chance is its own: a world
// is otherwise as it would be without it.
type removal struct {
	rng     *rand.Rand // nil: nothing is removed
	removed map[store.ExecutionID]*remains
}

// remains is a removed execution as it was.
type remains struct {
	record store.Execution
	chunks []engine.Chunk
}

func newRemoval(seed uint64, twin Twin) removal {
	rng := rand.New(rand.NewPCG(seed, 3))
	if twin != Whole && twin != SameIDs || rng.IntN(2) == 0 {
		rng = nil
	}
	return removal{rng, map[store.ExecutionID]*remains{}}
}

// maybeRemove removes an execution that was not given a name: clients ask for the
// others again, and would start them anew. In the second act clients want executions
// to be redriven; the wild ones can do without. Map Runs have children that they read.
func (w *world) maybeRemove() {
	r := w.disk.removal.rng
	if r == nil || w.second != nil && (!w.wild || w.second.runs) || len(w.disk.ids) == 0 || r.IntN(6) > 0 {
		return
	}
	ctx := context.Background()
	id := w.disk.ids[r.IntN(len(w.disk.ids))]
	x, err := w.disk.base.Execution(ctx, id)
	if errors.Is(err, store.ErrNotFound) && w.disk.removed[id] != nil {
		return
	}
	if err != nil {
		w.violated("acknowledged is durable", "execution %d: %v", id, err)
	}
	for _, s := range w.starts {
		if s.name == x.Name {
			return
		}
	}
	was := &remains{record: x}
	if err := w.disk.base.History(ctx, id, 0, false, func(c engine.Chunk) bool { was.chunks = append(was.chunks, c); return true }); err != nil {
		w.violated("acknowledged is durable", "history of execution %d: %v", id, err)
	}
	before := x.StoppedAt + r.Int64N(2)
	c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error { return tx.RemoveExecution(ctx, id, before) }}}}
	if err := w.disk.base.Commit(ctx, c); err != nil {
		panic(err)
	}
	due := x.Status != engine.Running && x.StoppedAt < before
	w.tell("remove execution %d: %v", id, c.Writes[0].Err)
	switch err := c.Writes[0].Err; {
	case due && err == nil:
		w.disk.removed[id] = was
	case due || !errors.Is(err, store.ErrConflict):
		w.violated("what is due is removed", "execution %d is %s since %d; to remove it if it ended before %d gives %v", id, x.Status, x.StoppedAt, before, err)
	}
}

// recordOf finds an execution that is kept or was removed.
func (d *disk) recordOf(ctx context.Context, id store.ExecutionID) (store.Execution, error) {
	if was := d.removed[id]; was != nil {
		return was.record, d.stillGone(ctx, id)
	}
	return d.base.Execution(ctx, id)
}

// historyOf is that of an execution that is kept or was removed.
func (d *disk) historyOf(ctx context.Context, id store.ExecutionID, yield func(engine.Chunk) bool) error {
	if was := d.removed[id]; was != nil {
		for _, c := range was.chunks {
			if !yield(c) {
				break
			}
		}
		return d.stillGone(ctx, id)
	}
	return d.base.History(ctx, id, 0, false, yield)
}

func (d *disk) stillGone(ctx context.Context, id store.ExecutionID) error {
	if _, err := d.base.Execution(ctx, id); !errors.Is(err, store.ErrNotFound) {
		d.broken("what is removed stays so", "execution %d is there again: %v", id, err)
	}
	return nil
}

// LastExecution is where a new node goes on to give out ids.
func (v *view) LastExecution(ctx context.Context) (last store.ExecutionID, err error) {
	if v.twin != SameIDs {
		return v.base.LastExecution(ctx)
	}
	list, err := v.base.Outlines(ctx, 0, 1000)
	for _, x := range list {
		last = x.ID
	}
	return last, err
}
