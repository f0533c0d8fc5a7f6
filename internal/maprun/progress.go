package maprun

import (
	"encoding/json"
	"fmt"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// segmentSize is how many children a segment has.
const segmentSize = 1000

// progress is what is saved of a run.
type progress struct {
	Saves    int64      // counts the times that it was saved
	Segments []*segment // those with children that have not ended, and the last one
	Read     bool       // the source has been read to its end
	Items    int64      // read
	Total    int64      // where that is known from the beginning: the items
	Single   bool       // a child has one item
	Redrives int64      // how often the run was begun again

	store.MapRunSettings
	Ended   tally // children that have ended
	EndedOf tally // the items in them

	Failure *engine.RunError
	Output  *string // with Failure nil: it succeeded
}

// tally counts by outcome.
type tally struct{ Succeeded, Failed, TimedOut, Aborted int64 }

func (t *tally) add(s engine.Status, n int64) {
	switch s {
	case engine.Succeeded:
		t.Succeeded += n
	case engine.TimedOut:
		t.TimedOut += n
	case engine.Aborted:
		t.Aborted += n
	default:
		t.Failed += n
	}
}

// badly counts those that a run has to bear.
func (t *tally) badly() int64 { return t.Failed + t.TimedOut }

// segment is a stretch of children, in the order of the items.
type segment struct {
	First     int64           // index of the first child
	FirstItem int64           // index of its first item
	Cursor    json.RawMessage // of the source, before that item
	N         int64           // children in it; more may come where it is the last
	Done      []byte          // a bit for each that has ended
	Left      int64           // of N, those that have not ended
}

func (s *segment) done(index int64) bool {
	i := index - s.First
	return i>>3 < int64(len(s.Done)) && s.Done[i>>3]&(1<<(i&7)) != 0
}

func (s *segment) mark(index int64) {
	i := index - s.First
	for i>>3 >= int64(len(s.Done)) {
		s.Done = append(s.Done, 0)
	}
	if s.Done[i>>3]&(1<<(i&7)) == 0 {
		s.Done[i>>3] |= 1 << (i & 7)
		s.Left--
	}
}

// holding finds the segment of a child, nil where all of it has ended.
func (p *progress) holding(index int64) *segment {
	for _, s := range p.Segments {
		if index >= s.First && index < s.First+s.N {
			return s
		}
	}
	return nil
}

// drop forgets segments that are over.
func (p *progress) drop() {
	kept := p.Segments[:0]
	for i, s := range p.Segments {
		if s.Left > 0 || i == len(p.Segments)-1 {
			kept = append(kept, s)
		}
	}
	clear(p.Segments[len(kept):])
	p.Segments = kept
}

// children counts those that are known of.
func (p *progress) children() int64 {
	if len(p.Segments) == 0 {
		return 0
	}
	last := p.Segments[len(p.Segments)-1]
	return last.First + last.N
}

func readProgress(data []byte) (*progress, error) {
	p := &progress{}
	if len(data) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("progress of a Map Run: %w", err)
	}
	return p, nil
}

func (p *progress) encode() ([]byte, error) { return json.Marshal(p) }

// view shows the run with so many children under way, and items in them.
func (p *progress) view(children, items int64) store.MapRunView {
	v := store.MapRunView{Settings: p.MapRunSettings}
	total, all := max(p.Items, p.Total), p.children()
	if p.Single {
		all = max(all, p.Total)
	}
	v.Children = counts(p.Ended, all, children)
	v.Items = counts(p.EndedOf, total, items)
	return v
}

// counts are t's with what has not ended of total, which is not known yet of
// children that a process before this one has started.
func counts(t tally, total, running int64) store.MapRunCounts {
	total = max(total, running+t.Succeeded+t.Failed+t.TimedOut+t.Aborted)
	c := store.MapRunCounts{Succeeded: t.Succeeded, Failed: t.Failed, TimedOut: t.TimedOut, Aborted: t.Aborted, Running: running, Total: total}
	c.Written = c.Succeeded // also where nothing is written anywhere (recorded)
	c.Pending = total - running - t.Succeeded - t.Failed - t.TimedOut - t.Aborted
	return c
}
