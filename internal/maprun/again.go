package maprun

import (
	"io"
	"slices"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// pageSize is how many children are looked at together.
const pageSize = 1000

// again gives children that are to be begun again: those of which nothing came
// because too much was under way, and after a redrive those that had not ended
// well.
type again struct {
	r    *run
	list []*child
	rest *again // comes after list

	scan  bool    // after a redrive
	from  int64   // Standard: the next child to look at
	bad   []int64 // Express: those to be begun again, ascending; nil: not known yet
	known bool
}

// next gives the next one, or io.EOF.
func (a *again) next() (*child, error) {
	for {
		if len(a.list) > 0 {
			c := a.list[0]
			a.list = a.list[1:]
			return c, nil
		}
		if a.rest != nil {
			return a.rest.next()
		}
		if !a.scan {
			return nil, io.EOF
		}
		read := a.executions
		if a.r.record.Express {
			read = a.results
		}
		if err := read(); err != nil {
			return nil, err
		}
	}
}

// executions looks at the next Standard children.
func (a *again) executions() error {
	r := a.r
	list, err := r.r.cfg.Store.Children(r.ctx, r.record.ID, a.from, pageSize)
	if err != nil {
		return err
	}
	for i := range list {
		x := &list[i]
		a.from = x.Child.Index + 1
		c := &child{in: input{index: x.Child.Index, items: x.Child.Items}, id: x.ID, started: x.StartedAt, before: x}
		switch {
		case r.inflight[x.Child.Index] != nil || x.Status == engine.Succeeded:
			continue
		case x.Status == engine.Running:
			c.how = adopted
		case x.RedrivenAt >= r.record.RedrivenAt: // has ended again
			continue
		default:
			c.how = redriven
		}
		a.list = append(a.list, c)
	}
	a.scan = len(list) == pageSize
	return nil
}

// results looks for Express children whose last result is a bad one from before
// the redrive. First it finds which these are, then their inputs, page by page.
func (a *again) results() error {
	r := a.r
	if !a.known {
		bad := map[int64]bool{}
		err := r.eachKept(func(this *result) bool {
			if this.status != engine.Succeeded && this.round < r.p.Redrives {
				bad[this.index] = true
			} else {
				delete(bad, this.index)
			}
			return true
		})
		if err != nil {
			return err
		}
		for index := range bad {
			a.bad = append(a.bad, index)
		}
		slices.Sort(a.bad)
		a.known = true
	}
	page := a.bad[:min(len(a.bad), pageSize)]
	found := map[int64]*child{}
	if len(page) > 0 {
		err := r.eachKept(func(this *result) bool {
			if _, wanted := slices.BinarySearch(page, this.index); wanted {
				found[this.index] = &child{in: input{index: this.index, items: this.items, text: this.input}, round: r.p.Redrives}
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	for _, index := range page {
		a.list = append(a.list, found[index])
	}
	a.bad = a.bad[len(page):]
	a.scan = len(a.bad) > 0
	return nil
}

// eachKept calls yield with the results that are kept, in the order in which
// they came.
func (r *run) eachKept(yield func(*result) bool) error {
	var damaged error
	err := r.r.cfg.Store.Results(r.ctx, r.record.ID, func(row []byte) bool {
		more := true
		damaged = eachResult(row, func(this *result) bool {
			more = yield(this)
			return more
		})
		return damaged == nil && more
	})
	if err == nil {
		err = damaged
	}
	return err
}

// recount counts the Standard children of a run that was redriven: what was
// counted may be from before a crash. Those that adopt finds are counted when
// they end.
func (r *run) recount() error {
	if r.record.Express {
		return nil
	}
	known := r.p.children()
	return r.tally(func(x *store.Execution) bool {
		s := r.p.holding(x.Child.Index)
		waits := x.Status == engine.Running || x.Status != engine.Succeeded && x.RedrivenAt < r.record.RedrivenAt
		return !waits && x.Child.Index < known && (s == nil || s.done(x.Child.Index))
	})
}

// recountEnded counts the Standard children when all have ended, where some were
// not counted as they did: a run that was redriven may not have come to begin all
// of them again, and one that was given up not to where they are in its source.
func (r *run) recountEnded() error {
	if r.record.Express || r.record.Redrives == 0 && len(r.early) == 0 {
		return nil
	}
	return r.tally(func(x *store.Execution) bool { return x.Status != engine.Running })
}

// tally counts those of the Standard children that belong.
func (r *run) tally(belongs func(*store.Execution) bool) error {
	var ended, of tally
	err := r.eachExecution(0, func(x *store.Execution) bool {
		if belongs(x) {
			ended.add(x.Status, 1)
			of.add(x.Status, x.Child.Items)
		}
		return true
	})
	if err == nil {
		r.p.Ended, r.p.EndedOf = ended, of
	}
	return err
}

// eachExecution calls yield with the Standard children, by index, from one on.
func (r *run) eachExecution(from int64, yield func(*store.Execution) bool) error {
	for {
		list, err := r.r.cfg.Store.Children(r.ctx, r.record.ID, from, pageSize)
		if err != nil {
			return err
		}
		for i := range list {
			from = list[i].Child.Index + 1
			if !yield(&list[i]) {
				return nil
			}
		}
		if len(list) < pageSize {
			return nil
		}
	}
}
