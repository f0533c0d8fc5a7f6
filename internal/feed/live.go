package feed

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Note tells of something that is different now, in a few words. Notes are not
// kept: who was not there, or could not keep up, reads anew what they are about.
type Note struct {
	Topic     string // "execution", "visit", "maprun"
	Type      string // "execution.status"
	Execution string // ARN of the execution it is about
	Machine   string // its state machine
	MapRun    string // ARN; "" if it is about none
	Data      []byte // JSON
}

// Wish is which notes somebody wants; what is empty does not narrow it down.
type Wish struct {
	Topics    []string
	Execution string // ARN
	Machine   string // name
	MapRun    string // ARN
}

// Wants reports whether a note is wished for.
func (w *Wish) Wants(n *Note) bool {
	return slices.Contains(w.Topics, n.Topic) && (w.Execution == "" || w.Execution == n.Execution) &&
		(w.Machine == "" || w.Machine == n.Machine) && (w.MapRun == "" || w.MapRun == n.MapRun)
}

// mostNotes is how many notes wait for one watch. With more of them it is too slow
// to be told everything, and loses what waits.
const mostNotes = 512

// Live passes notes on to those who watch. Its zero value is ready, and its methods
// may be called concurrently; none of them waits for a watch.
type Live struct {
	watching atomic.Int64

	mu      sync.Mutex
	watches map[*Watch]bool
}

// Watch is somebody who wants to be told.
type Watch struct {
	Wish Wish

	live *Live
	wake chan struct{} // cap 1

	mu    sync.Mutex
	notes []Note
	lost  bool
}

// Watching is how many watch.
func (l *Live) Watching() int { return int(l.watching.Load()) }

// Watch begins to watch. Close the watch in the end.
func (l *Live) Watch(wish Wish) *Watch {
	w := &Watch{Wish: wish, live: l, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watches == nil {
		l.watches = map[*Watch]bool{}
	}
	l.watches[w] = true
	l.watching.Store(int64(len(l.watches)))
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.live.mu.Lock()
	defer w.live.mu.Unlock()
	delete(w.live.watches, w)
	w.live.watching.Store(int64(len(w.live.watches)))
}

// Tell passes a note on to those who want it.
func (l *Live) Tell(n Note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watches {
		if w.Wish.Wants(&n) {
			w.put(n)
		}
	}
}

// Lose says to those whom meant picks that notes for them are missing.
func (l *Live) Lose(meant func(*Wish) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watches {
		if meant(&w.Wish) {
			w.lose()
		}
	}
}

// Wishes lists what those who watch want.
func (l *Live) Wishes() (list []Wish) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watches {
		list = append(list, w.Wish)
	}
	return list
}

func (w *Watch) put(n Note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.notes) >= mostNotes {
		w.notes, w.lost = nil, true
	}
	w.notes = append(w.notes, n)
	w.signal()
}

func (w *Watch) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes, w.lost = nil, true
	w.signal()
}

func (w *Watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Watcher is a Watch, as doors see it.
type Watcher interface {
	// Next receives when there may be something to Take.
	Next() <-chan struct{}
	// Take gives what has come since the last time. With lost, notes before those
	// are missing.
	Take() (notes []Note, lost bool)
	Close()
}

// Next receives when there may be something to Take.
func (w *Watch) Next() <-chan struct{} { return w.wake }

// Take gives what has come since the last time. With lost, notes before those are
// missing.
func (w *Watch) Take() (notes []Note, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notes, lost = w.notes, w.lost
	w.notes, w.lost = nil, false
	return notes, lost
}
