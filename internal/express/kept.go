package express

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// maxHistory is how many bytes of one execution's history are kept to be
// looked at. Logs get all of it.
const maxHistory = 1 << 20

// kept is the store of the worker: executions in memory, machines and
// activities from the main store. Executions that have ended go when their time
// is over or others need the room.
type kept struct {
	store.Store // the main one; what is written goes to memory
	memory      *memory.Store
	first       store.ExecutionID
	retention   time.Duration
	room        int // bytes
	now         func() time.Time

	mu      sync.Mutex
	history map[store.ExecutionID]int // bytes of history kept, of those that run
	ended   []leftover                // oldest first
	bytes   int                       // of ended
}

// leftover is an execution that has ended.
type leftover struct {
	id    store.ExecutionID
	at    int64 // Unix milliseconds
	bytes int
}

func newKept(main store.Store, first store.ExecutionID, cfg Config) *kept {
	return &kept{
		Store: main, memory: memory.New(), first: first,
		retention: cfg.Retention, room: cfg.MaxRetained, now: cfg.Now,
		history: map[store.ExecutionID]int{},
	}
}

// Commit keeps c in memory, and lets go of what is not to be kept any longer.
func (k *kept) Commit(ctx context.Context, c *store.Commit) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	shown := k.shown(c)
	if err := k.memory.Commit(ctx, &shown); err != nil {
		return err
	}
	now := k.now().UnixMilli()
	for i := range c.Executions {
		x := &c.Executions[i]
		x.Err = shown.Executions[i].Err
		if x.Delta.Status == engine.Running || x.Err != nil {
			continue
		}
		size := 1<<10 + k.history[x.ID]
		if record, err := k.memory.Execution(ctx, x.ID); err == nil {
			size += len(record.Input)
			for _, text := range []*string{record.Output, record.Error, record.Cause} {
				if text != nil {
					size += len(*text)
				}
			}
		}
		delete(k.history, x.ID)
		k.ended = append(k.ended, leftover{x.ID, now, size})
		k.bytes += size
	}
	for i := range c.Writes {
		c.Writes[i].Err = shown.Writes[i].Err
	}
	k.tidy(now)
	return nil
}

// shown is c with what is to be looked at, and no more: nothing goes on from
// what is kept here.
func (k *kept) shown(c *store.Commit) store.Commit {
	limit := min(maxHistory, k.room)
	if k.retention <= 0 {
		limit = 0
	}
	shown := store.Commit{Executions: make([]store.ExecutionCommit, len(c.Executions)), Writes: c.Writes}
	copy(shown.Executions, c.Executions)
	for i := range shown.Executions {
		x := &shown.Executions[i]
		x.Delta.Head, x.Delta.Frames, x.Delta.Removed = nil, nil, nil
		before := k.history[x.ID]
		size := before + len(x.Delta.History.Data)
		if size > limit {
			x.Delta.History = engine.Chunk{}
			size = max(before, limit) // nothing follows a gap
		}
		k.history[x.ID] = size
	}
	return shown
}

// tidy lets go of what ended too long ago or has no room.
func (k *kept) tidy(now int64) {
	var gone []store.ExecutionID
	n := 0
	for _, x := range k.ended {
		if k.bytes <= k.room && x.at+k.retention.Milliseconds() > now {
			break
		}
		gone = append(gone, x.id)
		k.bytes -= x.bytes
		n++
	}
	if n == 0 {
		return
	}
	k.memory.Forget(gone...)
	if k.ended = k.ended[n:]; len(k.ended) == 0 {
		k.ended = nil
	}
}

// run lets go of what ended too long ago even if nothing is committed any more.
func (k *kept) run(ctx context.Context) {
	tick := time.NewTicker(max(min(k.retention, 10*time.Second), 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.mu.Lock()
			k.tidy(k.now().UnixMilli())
			k.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// What follows is read from memory.

func (k *kept) Execution(ctx context.Context, id store.ExecutionID) (store.Execution, error) {
	return k.memory.Execution(ctx, id)
}

func (k *kept) ExecutionNamed(ctx context.Context, machine store.MachineID, name string) (store.Execution, error) {
	return k.memory.ExecutionNamed(ctx, machine, name)
}

func (k *kept) Executions(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error) {
	return k.memory.Executions(ctx, q)
}

func (k *kept) CountExecutions(ctx context.Context, q store.ExecutionQuery) (int64, store.ExecutionID, error) {
	return k.memory.CountExecutions(ctx, q)
}

func (k *kept) FirstSince(ctx context.Context, at int64) (store.ExecutionID, error) {
	return k.memory.FirstSince(ctx, at)
}

func (k *kept) Outlines(ctx context.Context, after store.ExecutionID, limit int) ([]store.Outline, error) {
	return k.memory.Outlines(ctx, after, limit)
}

// Snapshot is asked for when an event comes for an execution that is not in the
// worker's memory. It has ended.
func (k *kept) Snapshot(_ context.Context, id store.ExecutionID) (r store.SnapshotRecord, err error) {
	return r, fmt.Errorf("Express execution %d: %w", id, engine.ErrNotWaiting)
}

func (k *kept) History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error {
	return k.memory.History(ctx, id, from, newestFirst, yield)
}

func (k *kept) LastExecution(context.Context) (store.ExecutionID, error) { return k.first, nil }

func (k *kept) Pending(ctx context.Context, after store.ExecutionID, limit int) ([]store.ExecutionID, error) {
	return k.memory.Pending(ctx, after, limit)
}

func (k *kept) Due(ctx context.Context, until time.Time, limit int) ([]store.DueExecution, error) {
	return k.memory.Due(ctx, until, limit)
}

func (k *kept) Queued(ctx context.Context, activity store.ActivityID, after int64, limit int) ([]store.QueuedTask, error) {
	return k.memory.Queued(ctx, activity, after, limit)
}

func (k *kept) Stats() store.Stats { return k.memory.Stats() }

// Close leaves the main store to whoever opened it.
func (k *kept) Close() error { return nil }
