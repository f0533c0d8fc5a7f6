// Package feed tells who waits that the feed of events has got longer.
//
// A Bell rings after the commit, never before it: whoever hears it finds what
// it rang for in the store. It carries nothing, so that a slow listener costs
// nothing and misses nothing: it reads on from where it was.
package feed

import (
	"context"
	"sync"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Writer makes a change durable and returns what do returned.
type Writer interface {
	Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
}

// Bell writes as another Writer does and rings when a write has added to the
// feed. Its methods may be called concurrently.
type Bell struct {
	to Writer

	mu    sync.Mutex
	rings chan struct{}
}

// NewBell makes a bell over what writes.
func NewBell(to Writer) *Bell { return &Bell{to: to, rings: make(chan struct{})} }

// Next returns what is closed at the next ring. Take it before reading the feed,
// and wait on it after: so nothing falls between the two.
func (b *Bell) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rings
}

// Ring wakes all who wait: for events that were written past the bell.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rings)
	b.rings = make(chan struct{})
}

// Write implements Writer.
func (b *Bell) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	var heard *listening
	err := b.to.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		heard = &listening{Tx: tx}
		return do(ctx, heard)
	})
	if err == nil && heard != nil && heard.event {
		b.Ring()
	}
	return err
}

// listening notes whether a transaction adds to the feed.
type listening struct {
	store.Tx
	event bool
}

func (l *listening) AddEvent(ctx context.Context, e store.Event) (int64, error) {
	l.event = true
	return l.Tx.AddEvent(ctx, e)
}
