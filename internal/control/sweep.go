package control

import (
	"context"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Swept is the answer to Sweep.
type Swept struct {
	Done int       // things that were due
	Next time.Time // when to sweep again; zero: when something has happened
}

// sweepBatch is how much a sweep does in one transaction.
const sweepBatch = 100

// Sweep does all that has become due by a time, in all workspaces: leases that
// ran out, reminders and ends of reviews, wakeups to offer again, hand-offs
// that nobody took, agents that fell silent, tasks that recur. It also looks whether the next
// hundred pending reviews have somebody to decide them, and forgets answers to
// calls of more than a day ago.
func (b *Board) Sweep(ctx context.Context, at time.Time) (s Swept, err error) {
	c := Call{By: System, At: at}
	for {
		n, err := write(ctx, b, c, "sweep", func(x *op) (n int, err error) {
			for _, kind := range []string{"lease", "review", "wakeup", "handoff", "signal"} {
				done, err := x.sweep(kind, sweepBatch-n)
				if n += done; err != nil || n >= sweepBatch {
					return n, err
				}
			}
			return n, nil
		})
		s.Done += n
		if err != nil {
			return s, err
		}
		if n < sweepBatch {
			break
		}
	}
	n, err := b.sweepRecurring(ctx, at)
	s.Done += n
	if err != nil {
		return s, err
	}
	if err := b.sweepReviews(ctx, c); err != nil {
		return s, err
	}
	if err := b.forget(ctx, at.Add(-keepAnswers)); err != nil {
		return s, err
	}
	s.Next, err = b.due(ctx)
	return s, err
}

// keepAnswers is how long a call with an idempotency key can be repeated.
const keepAnswers = 24 * time.Hour

// forget drops answers from before a time, some at each sweep.
func (b *Board) forget(ctx context.Context, before time.Time) error {
	old := store.RecordQuery{Kind: "answer", From: "at/", To: "at/" + stamp(before), Limit: 10 * sweepBatch}
	found, err := b.r.Records(ctx, old)
	if err != nil || len(found) == 0 {
		return err
	}
	return b.w.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		found, err := tx.Records(ctx, old)
		for _, f := range found {
			if err := tx.DeleteRecord(ctx, f.Kind, f.ID); err != nil {
				return err
			}
		}
		return err
	})
}

// due is when the next thing is.
func (b *Board) due(ctx context.Context) (next time.Time, err error) {
	for _, kind := range []string{"lease", "review", "wakeup", "handoff", "signal", "recurring"} {
		first, err := b.r.Records(ctx, store.Prefix(kind, "due/", 1))
		if err != nil {
			return next, err
		}
		if len(first) == 0 {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, first[0].Key[len("due/"):])
		if err != nil {
			return next, err
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// sweep does what is due of one kind, each at most once.
func (x *op) sweep(kind string, limit int) (n int, err error) {
	q := store.RecordQuery{Kind: kind, From: "due/", To: "due/" + stamp(x.At) + "~", Limit: limit}
	found, err := x.r.Records(x.ctx, q)
	if err != nil {
		return 0, err
	}
	for _, f := range found {
		if err := x.sweepOne(f.Record); err != nil {
			return n, err
		}
		if err := x.settle(); err != nil {
			return n, err
		}
		n++
	}
	x.Workspace = ""
	return n, nil
}

func (x *op) sweepOne(r store.Record) error {
	x.Workspace = ""
	switch r.Kind {
	case "lease":
		l, err := get[Lease](x, r.ID)
		if err != nil {
			return ignore(err, NotFound)
		}
		x.Workspace = l.Workspace
		return x.leaseDue(l)
	case "review":
		v, err := get[Review](x, r.ID)
		if err != nil || v.Status != "pending" {
			return err
		}
		x.Workspace = v.Workspace
		return x.expire(v)
	case "wakeup":
		w, err := get[Wakeup](x, r.ID)
		if err != nil {
			return err
		}
		x.Workspace = w.Workspace
		return x.wakeupDue(w)
	case "handoff":
		h, err := get[Handoff](x, r.ID)
		if err != nil || h.State != "offered" {
			return err
		}
		x.Workspace = h.Workspace
		t, err := get[Task](x, h.Task)
		if err != nil {
			return err
		}
		return x.endHandoff(h, t, "expired", "")
	default:
		s, err := get[signal](x, r.ID)
		if err != nil || !s.Active || x.At.Before(s.offlineAt()) {
			return err
		}
		x.Workspace = s.Workspace
		s.Active = false
		x.put(s)
		x.touchAgent(s.ID)
		return nil
	}
}

// leaseDue ends a lease that ran out, or notes that nothing has been heard of
// its holder for a while.
func (x *op) leaseDue(l *Lease) error {
	t, err := get[Task](x, l.ID)
	if err != nil {
		return err
	}
	if l.ExpiresAt.IsZero() {
		return nil
	}
	if !x.At.Before(l.ExpiresAt) {
		return x.failed1(t, LeaseExpired, "lost", &ErrorRecord{Category: "lost", Message: "the lease ran out: nothing was heard of it", Retryable: true})
	}
	if l.Stalled || x.At.Before(l.StallAt) {
		return nil
	}
	l.Stalled = true
	x.put(l)
	e := t.of("agent.stalled", nil)
	e.Agent = l.Holder.id()
	if e.Notify, err = x.notice(t.Project, "agent_stalled", l.Attempt, ""); err != nil {
		return err
	}
	return x.emit(e)
}

// wakeupDue queues a wakeup whose time has come, and offers one anew that was
// sent and not followed by a claim.
func (x *op) wakeupDue(w *Wakeup) error {
	switch w.State {
	case "queued":
		x.touchAgent(w.Agent)
		if !w.NotBefore.After(x.At) {
			w.Ripe = true
			x.put(w)
		}
		return nil
	case "sent":
	default:
		return nil
	}
	p, err := x.policiesOf(w)
	if err != nil {
		return err
	}
	if w.Offers >= p.WakeTries {
		w.LastError = "it was offered and not claimed, time after time"
		x.failed(w)
	} else if w.Offer {
		x.skip(w, "unclaimed", false)
	} else {
		w.Offers++
		x.remember(w)
		w.State, w.SentAt, w.NotBefore, w.Ripe = "queued", time.Time{}, time.Time{}, true
		x.put(w)
		x.touchAgent(w.Agent)
		return x.emit(Event{Type: "wakeup.offered_again", Agent: w.Agent, Task: w.Task, Data: map[string]any{"wakeup": w.ID, "offers": w.Offers}})
	}
	if w.Task == "" {
		return nil
	}
	t, err := get[Task](x, w.Task)
	if err == nil {
		x.touch(t)
		x.touchAgent(w.Agent)
	}
	return err
}

// sweepReviews goes round all pending reviews, some at each sweep.
func (b *Board) sweepReviews(ctx context.Context, c Call) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, err := b.r.Records(ctx, store.RecordQuery{Kind: "review", From: "open/" + b.cursor, AfterID: "~", To: "open0", Limit: sweepBatch})
	if err != nil {
		return err
	}
	b.cursor = ""
	if len(found) == sweepBatch {
		b.cursor = found[len(found)-1].Key[len("open/"):]
	}
	x := b.view(ctx, c)
	for _, f := range found {
		r, err := decode[Review](x, f.Record)
		if err != nil {
			return err
		}
		x.Workspace = r.Workspace
		who, err := x.deciders(r)
		x.Workspace = ""
		if err != nil {
			return err
		}
		if len(who) > 0 {
			continue
		}
		mend := c
		mend.Workspace = r.Workspace
		if _, err := write(ctx, b, mend, "mend", func(x *op) (struct{}, error) { return struct{}{}, x.checkReviews() }); err != nil {
			return err
		}
	}
	return nil
}
