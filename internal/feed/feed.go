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
	of    map[string]chan struct{} // by topic
	count int64
}

// NewBell makes a bell over what writes.
func NewBell(to Writer) *Bell {
	return &Bell{to: to, rings: make(chan struct{}), of: map[string]chan struct{}{}}
}

// Next returns what is closed at the next ring. Take it before reading the feed,
// and wait on it after: so nothing falls between the two.
func (b *Bell) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rings
}

// Of is Next for those who wait for one topic alone: it is closed by a write that
// adds an event with the topic, and by Ring. So a thousand who wait for something
// of their own are not all woken for each other's.
func (b *Bell) Of(topic string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	rings := b.of[topic]
	if rings == nil {
		rings = make(chan struct{})
		b.of[topic] = rings
	}
	return rings
}

// Rung counts the rings so far: as long as it is the same, the feed is.
func (b *Bell) Rung() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Ring wakes all who wait: for events that were written past the bell, and for
// what has become different without an event.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring()
	for _, rings := range b.of {
		close(rings)
	}
	clear(b.of)
}

func (b *Bell) ring() {
	b.count++
	close(b.rings)
	b.rings = make(chan struct{})
}

// ringFor wakes those who wait for anything, or for one of the topics.
func (b *Bell) ringFor(topics []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring()
	for _, topic := range topics {
		if rings := b.of[topic]; rings != nil {
			close(rings)
			delete(b.of, topic)
		}
	}
}

// Write implements Writer.
func (b *Bell) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	var heard *listening
	err := b.to.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		heard = &listening{Tx: tx}
		return do(ctx, heard)
	})
	if err == nil && heard != nil && heard.event {
		b.ringFor(heard.topics)
	}
	return err
}

// listening notes what a transaction adds to the feed.
type listening struct {
	store.Tx
	event  bool
	topics []string
}

func (l *listening) AddEvent(ctx context.Context, e store.Event) (int64, error) {
	l.event = true
	l.topics = append(l.topics, e.Topics...)
	return l.Tx.AddEvent(ctx, e)
}
