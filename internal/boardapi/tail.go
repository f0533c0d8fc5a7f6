package boardapi

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/lockstep-run/lockstep/internal/control"
)

// tail is the newest part of the feed, read once for all who follow it: with fifty
// streams open, each event is read, decoded and written as text once, not fifty
// times. Who may hear what is still asked for each of them.
type tail struct {
	mu   sync.Mutex
	rung int64  // how often the bell had rung when it was read
	list []told // without gaps; the newest last
}

// told is an event with its text in a stream.
type told struct {
	control.Event
	text []byte
}

// mostTail is how many events the tail keeps. Who is further behind reads the
// store.
const mostTail = 4096

// recent is control.Board.Feed, of told events: those after a sequence number
// that a caller may hear, and where to go on. Take the bell's Next before.
func (a *API) recent(ctx context.Context, c control.Call, after int64, limit int) (heard []told, next int64, err error) {
	some, ok, err := a.tail.after(ctx, a, after, limit)
	if err != nil {
		return nil, after, err
	}
	if !ok {
		list, next, err := a.board.Feed(ctx, c, after, limit)
		if err != nil {
			return nil, after, err
		}
		heard, err := worded(list)
		return heard, next, err
	}
	if len(some) == 0 {
		return nil, after, nil
	}
	audible, err := a.board.Hears(ctx, c)
	if err != nil {
		return nil, after, err
	}
	for i := range some {
		if ok, err := audible(&some[i].Event); err != nil {
			return nil, after, err
		} else if ok {
			heard = append(heard, some[i])
		}
	}
	return heard, some[len(some)-1].Seq, nil
}

// after returns the events after a sequence number, if the tail reaches back that
// far.
func (t *tail) after(ctx context.Context, a *API, after int64, limit int) ([]told, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rung := a.bell.Rung(); rung != t.rung {
		if err := t.read(ctx, a); err != nil {
			return nil, false, err
		}
		t.rung = rung
	}
	if len(t.list) == 0 || after+1 < t.list[0].Seq || after > t.list[len(t.list)-1].Seq {
		return nil, false, nil
	}
	from := int(after + 1 - t.list[0].Seq)
	return t.list[from:min(from+limit, len(t.list))], true, nil
}

// read adds what the feed has got since it was read last.
func (t *tail) read(ctx context.Context, a *API) error {
	const page = 1000
	for {
		var last int64
		if n := len(t.list); n > 0 {
			last = t.list[n-1].Seq
		} else {
			newest, err := a.store.EventsOf(ctx, "workspace/"+workspace, 0, 1)
			if err != nil || len(newest) == 0 {
				return err
			}
			last = newest[0].Seq - 1
		}
		list, err := control.EventsAfter(ctx, a.store, last, page)
		if err != nil || len(list) == 0 {
			return err
		}
		more, err := worded(list)
		if err != nil {
			return err
		}
		kept := t.list[max(0, len(t.list)+len(more)-mostTail):]
		t.list = append(kept[:len(kept):len(kept)], more...) // others still read the old one
		if len(list) < page {
			return nil
		}
	}
}

// worded writes events as a stream has them.
func worded(list []control.Event) ([]told, error) {
	all := make([]told, len(list))
	for i, e := range list {
		data, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		all[i] = told{e, fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, data)}
	}
	return all, nil
}
