// Package ledger keeps what the use of models costs. It prices usage when it is
// reported (package cost says how), keeps it through the store's one write door,
// and answers from sums that are kept with it.
//
// What the engine's own calls use comes through Note, which does not wait: it is
// durable a moment later, in batches beside the executions, or with whatever is committed after Beside. What others report
// comes through Record and is durable when that returns.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Store is what the ledger reads.
type Store interface {
	Usages(ctx context.Context, after int64, limit int) ([]store.Usage, error)
	UsageSums(ctx context.Context, q store.SumQuery) ([]store.UsageSum, error)
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
}

// Write makes a change durable and returns what do returned.
type Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error

// Config says what a ledger works with.
type Config struct {
	Store Store
	Write Write
	Zone  *time.Location // where days begin; nil: UTC
	Log   *slog.Logger   // nil: none
	// Kept is told of usage in the transaction that keeps it, the ids not yet
	// given; an error undoes all of it. nil: nobody is.
	Kept func(ctx context.Context, tx store.Tx, list []store.Usage) error
}

// Ledger keeps usage and prices. All methods may be called at any time.
type Ledger struct {
	cfg     Config
	catalog atomic.Pointer[cost.Catalog]
	pricing sync.Mutex // one change of prices at a time

	flushing sync.Mutex

	mu      sync.Mutex
	waiting []Event
	lost    int64
	posted  bool          // a write that Beside has posted takes what comes
	handed  int           // such writes that are under way
	back    *sync.Cond    // of mu: one has come back
	more    chan struct{} // capacity 1
}

// Event is usage as it is reported.
type Event struct {
	Source string // who reports it
	Key    string // with Source: what is reported twice is kept once
	// Run is what others report too, or what is done again after a crash; "" for
	// neither. Of sources of different rank the highest counts; what a source
	// reports again for the same run, with another key, is a repetition: it cost
	// again, so it counts, and is marked.
	Run  string
	Rank cost.Rank
	At   time.Time

	cost.Place
	Project string
	Labels  []string

	Provider string
	Model    string
	Tokens   cost.Tokens
	Marks    cost.Marks // from cost.Normalise
	Sum      bool       // Tokens are a sum over several calls
	Billing  cost.Billing
	Reported *int64 // nano-USD; nil: not known
}

const (
	batch      = 500                    // events in one write
	gather     = 200 * time.Millisecond // for how long events are waited for
	maxWaiting = 50_000                 // events in memory; what comes on top is lost, and counted
	maxText    = 1000                   // bytes of a name
	maxLabels  = 20
)

// Check refuses an event that cannot be kept, and says why.
func (e *Event) Check() error {
	if e.Source == "" || e.Key == "" || e.Model == "" {
		return errors.New("usage needs a source, a key and a model")
	}
	for _, text := range append([]string{e.Source, e.Key, e.Run, e.Agent, e.Task, e.Attempt, e.Machine, e.State, e.Execution, e.Project, e.Provider, e.Model}, e.Labels...) {
		if len(text) > maxText || !utf8.ValidString(text) {
			return fmt.Errorf("%.60q is longer than %d bytes or no UTF-8", text, maxText)
		}
	}
	if len(e.Labels) > maxLabels {
		return fmt.Errorf("usage has %d labels; it may have %d", len(e.Labels), maxLabels)
	}
	if y := e.At.UTC().Year(); y < 2000 || y > 9998 {
		return fmt.Errorf("usage at %s: the time is out of range", e.At)
	}
	return nil
}

// Open makes a ledger and reads the workspace's prices.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{cfg: c, more: make(chan struct{}, 1)}
	l.back = sync.NewCond(&l.mu)
	return l, l.load(ctx)
}

// Note takes what has been used and returns at once. It is kept a moment later,
// by Run. While the store does not take it, up to 50,000 events wait in memory.
func (l *Ledger) Note(e Event) {
	l.mu.Lock()
	if len(l.waiting) >= maxWaiting {
		l.lost++
		if l.lost == 1 {
			l.cfg.Log.Error("usage of models is lost: the store has taken none for too long", "waiting", maxWaiting)
		}
	} else {
		l.waiting = append(l.waiting, e)
	}
	l.mu.Unlock()
	l.signal()
}

// Lost counts the events that Note could not take.
func (l *Ledger) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Beside has what waits kept by a write that is part of what post commits next,
// and returns at once: whatever is handed to the store after it is not durable
// before that. post calls done once, with what became of the write; what could
// not be kept waits on, for Run. Many may call it at a time: one write is for all
// that has come by the time it is done.
func (l *Ledger) Beside(post func(do func(context.Context, store.Tx) error, done func(error))) {
	l.mu.Lock()
	if l.posted || len(l.waiting) == 0 {
		l.mu.Unlock()
		return
	}
	l.posted = true
	l.handed++
	l.mu.Unlock()

	var list []Event
	began := false
	post(func(ctx context.Context, tx store.Tx) error {
		if !began { // a store may call again what it has undone
			began = true
			list = l.take(func() { l.posted = false })
		}
		_, err := l.keepIn(ctx, tx, list)
		return err
	}, func(err error) {
		if err != nil {
			l.putBack(list)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !began {
			l.posted = false
		}
		l.handed--
		l.back.Broadcast()
	})
}

// take takes the first events that wait and can be kept; the others are logged.
func (l *Ledger) take(also func()) []Event {
	l.mu.Lock()
	n := min(batch, len(l.waiting))
	list := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	if len(l.waiting) == 0 {
		l.waiting = nil
	}
	also()
	l.mu.Unlock()
	return slices.DeleteFunc(list, func(e Event) bool {
		_, err := l.price(&e)
		if err != nil {
			l.cfg.Log.Warn("usage of a model cannot be kept", "model", e.Model, "key", e.Key, "error", err)
		}
		return err != nil
	})
}

func (l *Ledger) putBack(list []Event) {
	if len(list) == 0 {
		return
	}
	l.mu.Lock()
	l.waiting = slices.Concat(list, l.waiting)
	l.mu.Unlock()
	l.signal()
}

func (l *Ledger) signal() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Run keeps what Note is told until ctx ends. What is not kept then is for Flush.
func (l *Ledger) Run(ctx context.Context) error {
	pause := gather
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.more:
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = gather
		if err := l.Flush(ctx, l.cfg.Write); err != nil && ctx.Err() == nil {
			l.cfg.Log.Warn("usage of models is not kept yet; trying again", "error", err)
			pause = 2 * time.Second
			l.signal()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Flush keeps what waits, through write. What could not be kept waits on, except
// for events that no attempt could keep: they are logged.
func (l *Ledger) Flush(ctx context.Context, write Write) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	for l.handed > 0 {
		l.back.Wait()
	}
	l.mu.Unlock()
	for {
		list := l.take(func() {})
		if len(list) > 0 {
			if _, err := l.keep(ctx, write, list); err != nil {
				l.putBack(list)
				return err
			}
		}
		l.mu.Lock()
		more := len(l.waiting) > 0
		l.mu.Unlock()
		if !more {
			return nil
		}
	}
}

// Kept is what became of an event.
type Kept struct {
	cost.Cost
	Duplicate bool // it was kept before; nothing was changed
	Counted   bool // it is in the sums: no source that is believed more has reported the run
}

// Record keeps events, all or none, and says what became of each, in their
// order. It is durable when it returns. It fails if one is no good.
func (l *Ledger) Record(ctx context.Context, events []Event) ([]Kept, error) {
	if len(events) > batch {
		return nil, fmt.Errorf("%d events at a time; there may be %d", len(events), batch)
	}
	for i := range events {
		if _, err := l.price(&events[i]); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	return l.keep(ctx, l.cfg.Write, events)
}

// RecordIn is Record within a write that is under way.
func (l *Ledger) RecordIn(ctx context.Context, tx store.Tx, events []Event) ([]Kept, error) {
	return l.keepIn(ctx, tx, events)
}

// Price checks an event and says what it would cost.
func (l *Ledger) Price(e *Event) (cost.Cost, error) { return l.price(e) }

// Zone is where days begin.
func (l *Ledger) Zone() *time.Location { return l.cfg.Zone }

// price checks an event and says what it costs.
func (l *Ledger) price(e *Event) (cost.Cost, error) {
	if err := e.Check(); err != nil {
		return cost.Cost{}, err
	}
	c, err := l.catalog.Load().Cost(cost.Call{
		Provider: e.Provider, Model: e.Model, At: e.At, Tokens: e.Tokens, Sum: e.Sum, Reported: e.Reported, Billing: e.Billing, Marks: e.Marks,
	})
	if e.Tokens.Total() == 0 && e.Reported == nil && e.Billing != cost.Local {
		c.Marks |= cost.NormalisationWarning // a call that used nothing: its provider does not say what it used
	}
	return c, err
}

func (l *Ledger) keep(ctx context.Context, write Write, events []Event) (kept []Kept, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	err = write(ctx, func(ctx context.Context, tx store.Tx) error {
		kept, err = l.keepIn(ctx, tx, events)
		return err
	})
	return kept, err
}

// keepIn is keep within a write.
func (l *Ledger) keepIn(ctx context.Context, tx store.Tx, events []Event) ([]Kept, error) {
	b := &book{tx: tx, keys: map[[2]string]bool{}, runs: map[string][]*store.Usage{}}
	kept := make([]Kept, len(events))
	for i := range events {
		e := &events[i]
		c, err := l.price(e)
		if err != nil {
			return nil, err
		}
		u := l.usage(e, c)
		duplicate, err := b.has(ctx, &u)
		if err != nil {
			return nil, err
		}
		if kept[i] = (Kept{Cost: c, Duplicate: duplicate}); duplicate {
			continue
		}
		if err := b.add(ctx, &u); err != nil {
			return nil, err
		}
		kept[i].Counted, kept[i].Marks = u.Counted, cost.Marks(u.Marks)
	}
	if err := b.save(ctx); err != nil || l.cfg.Kept == nil || len(b.added) == 0 {
		return kept, err
	}
	list := make([]store.Usage, len(b.added))
	for i, u := range b.added {
		list[i] = *u
	}
	return kept, l.cfg.Kept(ctx, tx, list)
}

func (l *Ledger) usage(e *Event, c cost.Cost) store.Usage {
	u := store.Usage{
		Source: e.Source, Key: e.Key, Run: e.Run, Rank: int64(e.Rank), At: e.At.UnixMilli(), Day: int64(cost.DayOf(e.At, l.cfg.Zone)),
		Provider: cost.ProviderName(e.Provider), Model: e.Model, Project: e.Project, Agent: e.Agent, Task: e.Task, Attempt: e.Attempt,
		Machine: e.Machine, State: e.State, Execution: e.Execution, Billing: string(e.Billing),
		Input: e.Tokens.Input, CacheRead: e.Tokens.CacheRead, CacheWrite5m: e.Tokens.CacheWrite5m, CacheWrite1h: e.Tokens.CacheWrite1h,
		Output: e.Tokens.Output, Reasoning: e.Tokens.Reasoning, Several: e.Sum,
		Reported: e.Reported, Computed: c.Computed, Billed: c.Billed, Shadow: c.Shadow, Marks: int64(c.Marks), Price: c.Version, Counted: true,
	}
	if u.Billing == "" {
		u.Billing = string(cost.Metered)
	}
	for _, label := range e.Labels {
		if label != "" && !slices.Contains(u.Labels, label) {
			u.Labels = append(u.Labels, label)
		}
	}
	return u
}

// book is one write's view of what is kept and what is about to be.
type book struct {
	tx      store.Tx
	keys    map[[2]string]bool
	runs    map[string][]*store.Usage
	added   []*store.Usage
	changed []*store.Usage
}

func (b *book) has(ctx context.Context, u *store.Usage) (bool, error) {
	key := [2]string{u.Source, u.Key}
	if b.keys[key] {
		return true, nil
	}
	b.keys[key] = true
	_, err := b.tx.Usage(ctx, u.Source, u.Key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// maxRun is how much of one run is looked at.
const maxRun = 1000

// add ranks a usage among those of its run.
func (b *book) add(ctx context.Context, u *store.Usage) error {
	b.added = append(b.added, u)
	if u.Run == "" {
		return nil
	}
	if b.runs[u.Run] == nil {
		list, err := b.tx.UsagesOfRun(ctx, u.Run, maxRun)
		if err != nil {
			return err
		}
		for i := range list {
			b.runs[u.Run] = append(b.runs[u.Run], &list[i])
		}
	}
	for _, other := range b.runs[u.Run] {
		switch {
		case other.Rank > u.Rank:
			u.Counted = false
		case other.Rank < u.Rank && other.Counted:
			other.Counted = false
			if other.ID != 0 && !slices.Contains(b.changed, other) {
				b.changed = append(b.changed, other)
			}
		case other.Rank == u.Rank && other.Source == u.Source && other.Model == u.Model:
			u.Marks |= int64(cost.Repeated)
		}
	}
	b.runs[u.Run] = append(b.runs[u.Run], u)
	return nil
}

func (b *book) save(ctx context.Context) error {
	if len(b.added) > 0 {
		list := make([]store.Usage, len(b.added))
		for i, u := range b.added {
			list[i] = *u
		}
		if err := b.tx.AddUsages(ctx, list); err != nil {
			return fmt.Errorf("keep usage: %w", err)
		}
	}
	if len(b.changed) > 0 {
		list := make([]store.Usage, len(b.changed))
		for i, u := range b.changed {
			list[i] = *u
		}
		if err := b.tx.SaveUsages(ctx, list); err != nil {
			return fmt.Errorf("keep usage: %w", err)
		}
	}
	return nil
}

// Reprice computes the cost of all usage again, by the prices there are now, and
// returns how many events changed. What was reported stays.
func (l *Ledger) Reprice(ctx context.Context) (changed int, err error) {
	after := int64(0)
	for {
		list, err := l.cfg.Store.Usages(ctx, after, batch)
		if err != nil || len(list) == 0 {
			return changed, err
		}
		after = list[len(list)-1].ID
		n, err := l.repriceBatch(ctx, list)
		if changed += n; err != nil {
			return changed, err
		}
	}
}

func (l *Ledger) repriceBatch(ctx context.Context, list []store.Usage) (changed int, err error) {
	differ := slices.ContainsFunc(list, func(u store.Usage) bool { return l.recompute(&u) })
	if !differ {
		return 0, nil
	}
	err = l.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		changed = 0
		var save []store.Usage
		for i := range list {
			u, err := tx.Usage(ctx, list[i].Source, list[i].Key) // as it is now: it may have been ranked meanwhile
			if err != nil {
				return err
			}
			if l.recompute(&u) {
				save = append(save, u)
			}
		}
		changed = len(save)
		return tx.SaveUsages(ctx, save)
	})
	return changed, err
}

// recompute prices a usage again and says whether anything changed.
func (l *Ledger) recompute(u *store.Usage) bool {
	const fromPrices = cost.PriceIncomplete | cost.TierEstimated | cost.Unpriced
	c, err := l.catalog.Load().Cost(cost.Call{
		Provider: u.Provider, Model: u.Model, At: time.UnixMilli(u.At), Sum: u.Several, Reported: u.Reported, Billing: cost.Billing(u.Billing),
		Tokens: cost.Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Output: u.Output, Reasoning: u.Reasoning},
		Marks:  cost.Marks(u.Marks) &^ fromPrices,
	})
	if err != nil {
		return false // it would cost more than is believed: the price is a mistake
	}
	was := *u
	u.Computed, u.Billed, u.Shadow, u.Marks, u.Price = c.Computed, c.Billed, c.Shadow, int64(c.Marks), c.Version
	return u.Computed != was.Computed || u.Billed != was.Billed || u.Shadow != was.Shadow || u.Marks != was.Marks || u.Price != was.Price
}

// Prices are kept as two records: what was imported, and the workspace's own.
const (
	kindPrices = "prices"
	imported   = "imported"
	overrides  = "overrides"
)

func (l *Ledger) load(ctx context.Context) error {
	var lists [2][]cost.Model
	for i, id := range []string{overrides, imported} {
		r, err := l.cfg.Store.Record(ctx, kindPrices, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(r.Data, &lists[i])
		}
		if err != nil {
			return fmt.Errorf("read the prices: %w", err)
		}
	}
	l.catalog.Store(cost.NewCatalog(lists[0], lists[1]))
	return nil
}

// Prices lists the models with a price, those that win first.
func (l *Ledger) Prices() []cost.Model { return l.catalog.Load().Models() }

// Import puts a published file of prices (see cost.Import) in the place of the
// one before. Usage that is kept already stays as it is: see Reprice.
func (l *Ledger) Import(ctx context.Context, text []byte, source string) (*cost.Imported, error) {
	in, err := cost.Import(text, source)
	if err != nil {
		return nil, err
	}
	return in, l.SaveImport(ctx, in)
}

// SaveImport is Import of what was read already.
func (l *Ledger) SaveImport(ctx context.Context, in *cost.Imported) error {
	return l.savePrices(ctx, imported, in.Models)
}

// Override puts the workspace's own prices in the place of those before.
func (l *Ledger) Override(ctx context.Context, models []cost.Model) error {
	for i := range models {
		if models[i].Source = strings.TrimSpace(models[i].Source); models[i].Source == "" {
			models[i].Source = "this workspace"
		}
		if err := models[i].Check(); err != nil {
			return err
		}
	}
	return l.savePrices(ctx, overrides, models)
}

func (l *Ledger) savePrices(ctx context.Context, id string, models []cost.Model) error {
	data, err := json.Marshal(models)
	if err != nil {
		return fmt.Errorf("keep prices: %w", err)
	}
	l.pricing.Lock()
	defer l.pricing.Unlock()
	err = l.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		r, err := tx.Record(ctx, kindPrices, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.Kind, r.ID, r.Data = kindPrices, id, data
		return tx.SaveRecord(ctx, r)
	})
	if err != nil {
		return fmt.Errorf("keep prices: %w", err)
	}
	return l.load(ctx)
}

// Summary are sums over days, both included.
type Summary struct {
	By          string
	First, Last cost.Day
	Rows        []store.UsageSum // by what costs most; with By "day", by day
	Total       store.UsageTotals
	// Unattributed is what agents have used without a task to put it down to. It
	// is in the Total, too.
	Unattributed store.UsageTotals
}

// GroupBys are what Summarise can group by.
var GroupBys = []string{"agent", "attempt", "day", "execution", "label", "machine", "model", "project", "state", "task"}

// MaxRows is how many rows Summarise gives at most.
const MaxRows = 1000

// Summarise sums up what was used.
func (l *Ledger) Summarise(ctx context.Context, by string, first, last cost.Day, limit int) (*Summary, error) {
	if !slices.Contains(GroupBys, by) {
		return nil, fmt.Errorf("cannot group by %.60q; there are %s", by, strings.Join(GroupBys, ", "))
	}
	s := &Summary{By: by, First: first, Last: last}
	q := store.SumQuery{By: by, From: int64(first), To: int64(last), Limit: min(limit, MaxRows)}
	if by == "day" {
		q.By, q.Daily = "all", true
	}
	var err error
	if s.Rows, err = l.cfg.Store.UsageSums(ctx, q); err != nil {
		return nil, err
	}
	if s.Total, err = l.cfg.Store.UsageOf(ctx, "all", "", q.From, q.To); err != nil {
		return nil, err
	}
	stray, err := l.cfg.Store.UsageSums(ctx, store.SumQuery{By: "unattributed", From: q.From, To: q.To, Limit: maxStray})
	for _, a := range stray {
		s.Unattributed.Add(a.UsageTotals, 1)
	}
	return s, err
}

const maxStray = 10_000 // agents

// UsedBy is what a budget (package cost) looks at: the sums over its window.
func UsedBy(ctx context.Context, tx interface {
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
}, b cost.Budget, now time.Time, zone *time.Location) (cost.Used, error) {
	span := cost.SpanAt(b.Window, now, zone)
	by := b.Scope
	if by == "workspace" {
		by = "all"
	}
	t, err := tx.UsageOf(ctx, by, b.Name, int64(span.First), int64(span.Last))
	return cost.Used{Billed: t.Billed, Shadow: t.Shadow, Tokens: t.Input + t.CacheRead + t.CacheWrite5m + t.CacheWrite1h + t.Output, Runs: t.Events}, err
}
