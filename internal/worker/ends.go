package worker

import (
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// ends holds, by execution, who waits for its end. A channel is closed when it
// is time to look into the store again.
type ends map[store.ExecutionID][]chan struct{}

// Ended returns when the execution has ended, or with the error of ctx or of the
// store. Nothing is asked while it runs.
func (w *Worker) Ended(ctx context.Context, id store.ExecutionID) error {
	for {
		look := make(chan struct{})
		w.mu.Lock()
		w.ends[id] = append(w.ends[id], look)
		w.mu.Unlock()
		// An end from before the lines above is in the store, a later one closes
		// the channel.
		x, err := w.store.Execution(ctx, id)
		if err == nil && x.Status == engine.Running {
			select {
			case <-look:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		} else if err != nil {
			err = fmt.Errorf("read execution %d: %w", id, err)
		}
		w.stopWaiting(id, look)
		return err
	}
}

func (w *Worker) stopWaiting(id store.ExecutionID, look chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[id] = slices.DeleteFunc(w.ends[id], func(c chan struct{}) bool { return c == look })
	if len(w.ends[id]) == 0 {
		delete(w.ends, id)
	}
}

// tell has those look again who wait for the end of id.
func (e ends) tell(id store.ExecutionID) {
	for _, look := range e[id] {
		close(look)
	}
	delete(e, id)
}

// tellAll is tell for every execution.
func (e ends) tellAll() {
	for id := range e {
		e.tell(id)
	}
}
