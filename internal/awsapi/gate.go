package awsapi

import (
	"context"
	"sync"
)

// Bounds of what large requests cost: the values in a body take up to some
// eighty times its size, however many callers send one.
const (
	gateFrom = 8 << 10 // bytes of a body from which it has to pass the gate
	gateSize = 2 << 20 // bytes of bodies that are worked on at once
)

// gate lets in so many bytes at once, first come, first served. What is larger
// than the gate passes alone.
type gate struct {
	mu      sync.Mutex
	inside  int
	waiting []*visitor
}

type visitor struct {
	bytes int
	in    chan struct{}
}

// enter waits for room for n bytes. Unless it returns an error, which is ctx's,
// the caller calls leave with the same n.
func (g *gate) enter(ctx context.Context, n int) error {
	v := &visitor{n, make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, v)
	g.admit()
	g.mu.Unlock()
	select {
	case <-v.in:
		return nil
	case <-ctx.Done():
		g.giveUp(v)
		return ctx.Err()
	}
}

func (g *gate) leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= n
	g.admit()
}

// admit lets in those for whom there is room, in order. The lock is held.
func (g *gate) admit() {
	for len(g.waiting) > 0 {
		v := g.waiting[0]
		if g.inside > 0 && g.inside+v.bytes > gateSize {
			return
		}
		g.waiting = g.waiting[1:]
		g.inside += v.bytes
		close(v.in)
	}
}

// giveUp takes out a visitor that does not wait any more.
func (g *gate) giveUp(v *visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == v {
			g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
			g.admit()
			return
		}
	}
	g.inside -= v.bytes // it was let in at the same moment
	g.admit()
}
