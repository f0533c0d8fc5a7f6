package express

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// dropAfter is how long an ended execution's row may wait for company before it
// is deleted.
const dropAfter = 100 * time.Millisecond

// ledger keeps the rows of executions that nobody waits for. One write takes all
// that has gathered while the one before was made durable; a row that is to go
// causes none by itself until it has waited for a while.
type ledger struct {
	write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	log   *slog.Logger
	wake  chan struct{} // cap 1: a start waits

	mu     sync.Mutex
	starts []store.ExpressStart
	kept   []chan<- error // told what became of starts
	drops  []store.ExecutionID
	closed bool
	failed bool // the last write was lost
}

var errClosed = errors.New("the server is stopping")

// keep returns when start is durable.
func (l *ledger) keep(ctx context.Context, start store.ExpressStart) error {
	kept := make(chan error, 1)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	l.starts, l.kept = append(l.starts, start), append(l.kept, kept)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-kept:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop has a row deleted some time soon.
func (l *ledger) drop(id store.ExecutionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drops = append(l.drops, id)
}

// run writes until ctx ends, and then what is left.
func (l *ledger) run(ctx context.Context) {
	tick := time.NewTicker(dropAfter)
	defer tick.Stop()
	for {
		select {
		case <-l.wake:
		case <-tick.C:
		case <-ctx.Done():
			l.mu.Lock()
			l.closed = true
			l.mu.Unlock()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.flush(last)
			return
		}
		l.flush(context.WithoutCancel(ctx))
	}
}

// flush writes all that has gathered.
func (l *ledger) flush(ctx context.Context) {
	l.mu.Lock()
	starts, kept, drops := l.starts, l.kept, l.drops
	l.starts, l.kept, l.drops = nil, nil, nil
	l.mu.Unlock()
	if len(starts) == 0 && len(drops) == 0 {
		return
	}
	err := l.write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.DropStarts(ctx, drops); err != nil {
			return err
		}
		return tx.KeepStarts(ctx, starts)
	})
	for _, done := range kept {
		done <- err
	}
	if err == nil {
		l.failed = false
		return
	}
	if errors.Is(err, store.ErrUnknown) { // what was refused does not run later, should it have been kept all the same
		for i := range starts {
			drops = append(drops, starts[i].ID)
		}
	}
	l.mu.Lock()
	l.drops = append(drops, l.drops...)
	l.mu.Unlock()
	if !l.failed {
		l.log.Error("rows of Express executions could not be written", "error", err)
	}
	l.failed = true
}
