package logs

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
)

// Bounds of what is written at once: those of PutLogEvents.
const (
	maxBatch        = 1 << 20 // bytes
	maxEntries      = 10000
	perEntry        = 26  // what AWS counts for each entry beside its text
	perItem         = 256 // about what an item takes beside its history
	writeTimeout    = 10 * time.Second
	firstRetryAfter = 100 * time.Millisecond
	tries           = 4
)

// item is a part of an execution's history on its way to a log.
type item struct {
	executionARN string
	redrives     int64
	chunk        engine.Chunk
	level        level
	data         bool
}

func (i *item) bytes() int64 { return int64(len(i.chunk.Data) + len(i.executionARN) + perItem) }

// entry is an event as it is written.
type entry struct {
	at   int64 // Unix milliseconds
	text []byte
}

// sink takes entries, in the order of their times. An errRefused is for good:
// the same entries would be refused again.
type sink interface {
	write(ctx context.Context, entries []entry) error
}

var errRefused = errors.New("refused")

// stream writes the log of one machine. It has a goroutine while there is
// something to write.
type stream struct {
	l   *Logger
	key streamKey
	to  sink

	mu      sync.Mutex
	queue   []item
	running bool

	// Of the goroutine.
	batch   []entry
	bytes   int
	failing bool
	missed  int64 // while failing
}

// put queues i, or leaves it out if too much waits already.
func (s *stream) put(i item) {
	if s.l.buffered.Add(i.bytes()) > int64(s.l.cfg.MaxBuffered) {
		s.l.buffered.Add(-i.bytes())
		if s.l.lost.Add(i.chunk.Count) == i.chunk.Count {
			s.l.cfg.Log.Warn("execution logs are left out: they come faster than they can be written", "group", s.key.group)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, i)
	if !s.running {
		s.l.mu.Lock()
		defer s.l.mu.Unlock()
		if s.l.closed {
			return
		}
		s.running = true
		s.l.writing.Add(1)
		go s.run()
	}
}

// run writes until nothing is left.
func (s *stream) run() {
	defer s.l.writing.Done()
	for {
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		if len(queue) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for i := range queue {
			s.unpack(&queue[i])
			s.l.buffered.Add(-queue[i].bytes())
			queue[i] = item{}
		}
		s.flush()
	}
}

// unpack words the events of i that are to be written.
func (s *stream) unpack(i *item) {
	events, err := engine.DecodeHistory(i.chunk)
	if err != nil {
		s.l.cfg.Log.Error("history cannot be logged", "execution", i.executionARN, "error", err)
		return
	}
	for n := range events {
		ev := &events[n]
		if levels[ev.Type] > i.level {
			continue
		}
		text := s.l.cfg.Format(nil, i.executionARN, i.redrives, ev, i.data)
		if len(s.batch) == maxEntries || s.bytes+len(text)+perEntry > maxBatch {
			s.flush()
		}
		s.batch = append(s.batch, entry{ev.At, text})
		s.bytes += len(text) + perEntry
	}
}

// flush writes the batch, with some patience.
func (s *stream) flush() {
	if len(s.batch) == 0 {
		return
	}
	batch := s.batch
	s.batch, s.bytes = s.batch[:0], 0
	slices.SortStableFunc(batch, func(a, b entry) int { return int(a.at - b.at) })
	err := s.write(batch)
	clear(batch)
	if err == nil {
		if s.failing {
			s.l.cfg.Log.Info("execution logs are written again", "group", s.key.group, "missed", s.missed)
		}
		s.failing, s.missed = false, 0
		return
	}
	s.l.lost.Add(int64(len(batch)))
	s.missed += int64(len(batch))
	if !s.failing {
		s.failing = true
		s.l.cfg.Log.Warn("execution logs are left out until they can be written", "group", s.key.group, "error", err)
	}
}

func (s *stream) write(batch []entry) error {
	patience, wait := tries, firstRetryAfter
	if s.failing {
		patience = 1 // nobody has answered for a while
	}
	for {
		ctx, cancel := context.WithTimeout(s.l.ctx, writeTimeout)
		err := s.to.write(ctx, batch)
		cancel()
		patience--
		if err == nil || patience == 0 || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 4
		case <-s.l.ctx.Done():
			return err
		}
	}
}

// file is a sink that writes a line for each entry.
type file struct {
	mu    sync.Mutex
	to    io.Writer
	close func() error // nil: it stays open
}

func (f *file) write(_ context.Context, entries []entry) error {
	var lines []byte
	for _, e := range entries {
		lines = append(append(lines, e.text...), '\n')
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.to.Write(lines)
	if err != nil {
		return errors.Join(errRefused, err) // a part may be there: better none twice
	}
	return nil
}
