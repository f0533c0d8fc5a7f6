package maprun

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/lockstep-run/lockstep/internal/engine"
)

// feed makes children's inputs of items: an item each, or batches of them. It
// works on segment after segment, and adds segments at the end.
type feed struct {
	ask    *engine.MapRun
	open   func(ctx context.Context, cursor json.RawMessage) (source, error)
	src    source
	p      *progress
	opened bool
	cur    *segment // nil: at the beginning
	index  int64    // of the next child
	item   int64    // index of the next item
	ahead  *held    // read for the next batch
	end    bool     // of the source
	lost   bool     // the source has failed in the midst of a child's items
	texts  []string
}

// held is an item that did not fit into a batch, with the place before it.
type held struct {
	text   string
	cursor any
}

// input is what a child is started with.
type input struct {
	index, items int64
	text         string
	segment      *segment
}

func newFeed(ask *engine.MapRun, p *progress, open func(context.Context, json.RawMessage) (source, error)) *feed {
	return &feed{ask: ask, p: p, open: open}
}

func (f *feed) close() {
	if f.src != nil {
		f.src.close()
		f.src = nil
	}
}

// next gives the next child, also where that one has ended already: the caller
// passes over it. At the end of the source it returns io.EOF.
func (f *feed) next(ctx context.Context) (input, error) {
	if f.lost {
		if err := f.rewind(ctx); err != nil {
			return input{}, err
		}
	}
	s, err := f.segment(ctx)
	if err != nil {
		return input{}, err
	}
	text, n, err := f.batch(ctx)
	if err != nil {
		f.lost = err != io.EOF
		return input{}, err
	}
	in := input{index: f.index, items: n, text: text, segment: s}
	f.index++
	f.item += n
	if f.index > s.First+s.N {
		s.N++
		s.Left++
		f.p.Items = max(f.p.Items, f.item)
	}
	return in, nil
}

// rewind finds the way back to the next child after the source has failed: from
// the beginning of the segment on.
func (f *feed) rewind(ctx context.Context) error {
	next := f.index
	if err := f.reopen(ctx, f.cur); err != nil {
		return err
	}
	for f.index < next {
		_, n, err := f.batch(ctx)
		if err != nil {
			return err
		}
		f.index++
		f.item += n
	}
	f.lost = false
	return nil
}

// segment is the one that the next child is in.
func (f *feed) segment(ctx context.Context) (*segment, error) {
	for {
		if s := f.cur; s != nil && (f.index < s.First+s.N || f.grows(s)) {
			return s, nil
		}
		i := slices.IndexFunc(f.p.Segments, func(s *segment) bool { return s != f.cur && s.First >= f.index })
		if i < 0 {
			break
		}
		f.cur = f.p.Segments[i]
		if !f.opened || f.index < f.cur.First {
			if err := f.reopen(ctx, f.cur); err != nil {
				return nil, err
			}
		}
	}
	if f.p.Read {
		return nil, io.EOF
	}
	place, err := f.place(ctx)
	if err != nil {
		return nil, err
	}
	cursor, err := json.Marshal(place)
	if err != nil {
		return nil, err
	}
	f.cur = &segment{First: f.index, FirstItem: f.item, Cursor: cursor}
	f.p.Segments = append(f.p.Segments, f.cur)
	return f.cur, nil
}

// grows says whether s takes more children.
func (f *feed) grows(s *segment) bool {
	return s == f.p.Segments[len(f.p.Segments)-1] && s.N < segmentSize && !f.p.Read
}

// reopen goes to the beginning of a segment.
func (f *feed) reopen(ctx context.Context, s *segment) error {
	f.close()
	src, err := f.open(ctx, s.Cursor)
	if err != nil {
		return err
	}
	f.src, f.opened, f.ahead, f.end = src, true, nil, false
	f.index, f.item = s.First, s.FirstItem
	return nil
}

// place names the place before the next item.
func (f *feed) place(ctx context.Context) (any, error) {
	if f.ahead != nil {
		return f.ahead.cursor, nil
	}
	if !f.opened {
		src, err := f.open(ctx, nil)
		if err != nil {
			return nil, err
		}
		f.src, f.opened = src, true
	}
	return f.src.cursor(), nil
}

// batch reads the next child's input.
func (f *feed) batch(ctx context.Context) (text string, items int64, err error) {
	b := f.ask.Batcher
	if b == nil {
		text, err = f.read(ctx, f.item)
		if err == io.EOF {
			f.p.Read = true
		}
		if err == nil && len(text) > f.ask.PayloadLimit {
			err = &engine.RunError{Name: "States.DataLimitExceeded", Cause: "The input of a child execution, made of the item at index " +
				strconv.FormatInt(f.item, 10) + ", exceeds the maximum number of bytes service limit."}
		}
		return text, 1, err
	}
	limit := int64(f.ask.PayloadLimit)
	if b.MaxBytes > 0 {
		limit = min(limit, b.MaxBytes)
	}
	f.texts = f.texts[:0]
	size := int64(len(b.BatchInput(nil)))
	for b.MaxItems == 0 || int64(len(f.texts)) < b.MaxItems {
		h, err := f.hold(ctx, f.item+int64(len(f.texts)))
		if err == io.EOF && len(f.texts) > 0 {
			break
		}
		if err == io.EOF {
			f.p.Read = true
		}
		if err != nil {
			return "", 0, err
		}
		with := size + int64(len(h.text))
		if len(f.texts) > 0 {
			with++
		}
		if with > limit {
			if len(f.texts) == 0 {
				return "", 0, &engine.RunError{Name: "States.DataLimitExceeded", Cause: "The item at index " + strconv.FormatInt(f.item, 10) +
					" does not fit into a batch of at most " + strconv.FormatInt(limit, 10) + " bytes."}
			}
			f.ahead = h
			break
		}
		size = with
		f.texts = append(f.texts, h.text)
	}
	return b.BatchInput(f.texts), int64(len(f.texts)), nil
}

// hold reads an item for a batch, with the place before it: that is where the
// next segment begins if the item has to wait for it.
func (f *feed) hold(ctx context.Context, index int64) (*held, error) {
	if h := f.ahead; h != nil {
		f.ahead = nil
		return h, nil
	}
	if f.end {
		return nil, io.EOF
	}
	cursor := f.src.cursor()
	text, err := f.read(ctx, index)
	if err != nil {
		return nil, err
	}
	return &held{text, cursor}, nil
}

// read gives what a child gets of the next item.
func (f *feed) read(ctx context.Context, index int64) (string, error) {
	item, err := f.src.next(ctx)
	if err != nil {
		f.end = errors.Is(err, io.EOF)
		return "", err
	}
	item.Index = index
	v, err := f.ask.Select(item)
	if err != nil {
		return "", err
	}
	return v.JSON(), nil
}
