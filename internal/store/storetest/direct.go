package storetest

import (
	"context"
	"sync"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Direct is a store for tests of what writes to one: each write is a commit of
// its own. Write may be called concurrently.
type Direct struct {
	mu sync.Mutex
	store.Store
}

// Write makes a change durable and returns what do returned.
func (d *Direct) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &store.Commit{Writes: []store.Write{{Do: do}}}
	if err := d.Commit(ctx, c); err != nil {
		return err
	}
	return c.Writes[0].Err
}
