// Package notify brings notifications to people: to a webhook of theirs, to a
// chat that takes Slack's incoming webhooks, by e-mail.
//
// A notification becomes one delivery for each person and channel that wants it,
// kept before anything is sent and once for its key, however often it is posted.
// Round sends what is due; it is told what time it is and says when to come
// again. What cannot be delivered is tried again, ever more rarely, and given up
// after MaxTries or at once where trying again would not help. Each try is in
// the delivery's log. A delivery that is sent twice, as after a crash, carries
// the same id.
package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Types are what notifications are about.
var Types = []string{
	"review_requested", "review_due", "mentioned", "blocked", "failed", "budget_soft", "budget_hard",
	"agent_offline", "agent_stalled", "handoff", "done", "quiet_failure", "webhook_disabled",
}

// Notification is something that people should hear of.
type Notification struct {
	Type string    `json:"type"` // one of Types
	Key  string    `json:"key"`  // posted again under the same key, it is not sent again
	At   time.Time `json:"at"`
	// Title is a line, Text what there is to say, both plain; URL leads to it.
	Title string          `json:"title"`
	Text  string          `json:"text,omitempty"`
	URL   string          `json:"url,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"` // for programs; webhooks alone carry it
}

// Check refuses a notification that cannot be delivered.
func (n *Notification) Check() error {
	switch {
	case !slices.Contains(Types, n.Type):
		return fmt.Errorf("notification of type %.60q; there are %s", n.Type, strings.Join(Types, ", "))
	case n.Key == "" || n.Title == "":
		return errors.New("a notification needs a key and a title")
	case len(n.Key) > 500 || len(n.Title) > 500 || len(n.Text) > 64<<10 || len(n.URL) > 2000 || len(n.Data) > 256<<10:
		return errors.New("a notification's key and title may have 500 bytes, its text 64 KiB, its URL 2,000 bytes and its data 256 KiB")
	case len(n.Data) > 0 && !json.Valid(n.Data):
		return errors.New("a notification's data must be JSON")
	}
	return nil
}

// Preferences say what a person wants to hear of, and where.
type Preferences struct {
	User     string   `json:"user"`
	Channels []string `json:"channels"` // names of the person's channels
	// Types says for a type which channels it goes to, none for an empty list;
	// types that are not in it go to all Channels.
	Types map[string][]string `json:"types,omitempty"`
	Muted bool                `json:"muted,omitempty"` // nothing at all
	Quiet *Quiet              `json:"quiet,omitempty"` // hours in which nothing is sent
}

// Quiet are hours of each day, at a place. What falls into them is sent at their
// end. From may be after To: over midnight.
type Quiet struct {
	From string `json:"from"`                // "22:00"
	To   string `json:"to"`                  // "07:00"
	Zone string `json:"time_zone,omitempty"` // as "Europe/Berlin"; "": UTC
}

// Check refuses hours that cannot be understood.
func (q *Quiet) Check() error {
	for _, at := range []string{q.From, q.To} {
		if _, err := time.Parse("15:04", at); err != nil {
			return fmt.Errorf("quiet hours are times such as 22:00, not %.20q", at)
		}
	}
	if q.From == q.To {
		return errors.New("quiet hours begin and end at the same time; mute instead")
	}
	if _, err := time.LoadLocation(q.Zone); err != nil {
		return fmt.Errorf("there is no time zone %.60q; it is one such as Europe/Berlin", q.Zone)
	}
	return nil
}

// After is when something that happens at a time may be sent: then, or at the end
// of the quiet hours that it falls into.
func (q *Quiet) After(at time.Time) time.Time {
	if q == nil || q.Check() != nil {
		return at
	}
	zone, _ := time.LoadLocation(q.Zone)
	local := at.In(zone)
	clock := local.Format("15:04")
	within := q.From <= clock && clock < q.To
	if q.From > q.To {
		within = clock >= q.From || clock < q.To
	}
	if !within {
		return at
	}
	end, _ := time.Parse("15:04", q.To)
	wake := time.Date(local.Year(), local.Month(), local.Day(), end.Hour(), end.Minute(), 0, 0, zone)
	if !wake.After(at) {
		wake = time.Date(local.Year(), local.Month(), local.Day()+1, end.Hour(), end.Minute(), 0, 0, zone)
	}
	return wake
}

// Wants lists the channels that a type goes to.
func (p Preferences) Wants(kind string) []string {
	if p.Muted {
		return nil
	}
	if chosen, ok := p.Types[kind]; ok {
		return slices.DeleteFunc(slices.Clone(chosen), func(name string) bool { return !slices.Contains(p.Channels, name) })
	}
	return p.Channels
}

// State is how far a delivery is.
type State string

const (
	Queued State = "queued"
	Sent   State = "sent"
	Failed State = "failed" // given up
)

// Delivery is one notification on its way to one person's channel.
type Delivery struct {
	ID           string       `json:"id"` // the same at each try
	User         string       `json:"user"`
	Channel      string       `json:"channel"`
	Notification Notification `json:"notification"`
	State        State        `json:"state"`
	Next         time.Time    `json:"next"` // when it is tried again, while it is queued
	Log          []Try        `json:"log,omitempty"`
}

// Try is one attempt to deliver.
type Try struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // "": it was taken
}

// MaxTries is how often a delivery is tried.
const MaxTries = 8

const (
	firstPause, longestPause = 5 * time.Second, 10 * time.Minute
	// claim is for how long one sender has a delivery for itself: longer than a
	// try may take. When a process dies meanwhile, it is tried again then.
	claim      = 2 * time.Minute
	tryTimeout = 30 * time.Second
	atOnce     = 8  // tries at the same time
	perRound   = 64 // deliveries
)

// pause is for how long to wait after so many tries: twice as long each time,
// and half of it by chance, so that what failed together does not return together.
func pause(tries int, chance float64) time.Duration {
	d := longestPause
	if tries-1 < 10 {
		d = min(firstPause<<(tries-1), longestPause)
	}
	return d/2 + time.Duration(chance*float64(d/2))
}

// Channel delivers. It must give up when ctx ends.
type Channel interface {
	// Send brings a delivery to its receiver. An error that is a *Refusal says
	// whether trying again can help; others may pass.
	Send(ctx context.Context, d *Delivery, now time.Time) error
}

// Refusal is an error that the receiver answered with.
type Refusal struct {
	Reason string
	Final  bool          // trying again would not help
	After  time.Duration // the receiver asks to be left alone for so long; 0: it does not say
}

func (r *Refusal) Error() string { return r.Reason }

// Config says what an Outbox works with.
type Config struct {
	Store interface {
		Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
		Record(ctx context.Context, kind, id string) (store.Record, error)
	}
	// Write makes a change durable and returns what do returned.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	// Channel finds a person's channel, with its secrets, which are no part of
	// what is kept here. store.ErrNotFound: it is gone, and so is the delivery.
	Channel func(ctx context.Context, user, name string) (Channel, error)
	// Failed is told, by Round, of deliveries that are given up; nil: nobody is.
	Failed func(Delivery)
	Log    *slog.Logger   // nil: none
	Chance func() float64 // from 0 up to 1; nil: math/rand
}

// Outbox keeps deliveries and sends them.
type Outbox struct{ cfg Config }

// New makes an Outbox.
func New(c Config) *Outbox {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Chance == nil {
		c.Chance = rand.Float64
	}
	return &Outbox{c}
}

const kindDelivery = "delivery"

// Post keeps the deliveries of a notification within a write, so that what it
// tells of and the telling become durable together. It returns how many are new.
func (o *Outbox) Post(ctx context.Context, tx store.Tx, n Notification, to []Preferences) (int, error) {
	if err := n.Check(); err != nil {
		return 0, err
	}
	added := 0
	for _, p := range to {
		for _, channel := range p.Wants(n.Type) {
			d := Delivery{ID: deliveryID(n.Key, p.User, channel), User: p.User, Channel: channel, Notification: n, State: Queued, Next: p.Quiet.After(n.At)}
			err := tx.SaveRecord(ctx, recordOf(&d, 0))
			if errors.Is(err, store.ErrConflict) {
				continue // posted before
			}
			if err != nil {
				return added, fmt.Errorf("keep a notification: %w", err)
			}
			added++
		}
	}
	return added, nil
}

func deliveryID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// recordOf finds a delivery by when it is due, while it is queued, and by whom
// it is for.
func recordOf(d *Delivery, version int64) store.Record {
	data, _ := json.Marshal(d) // texts, times and JSON that was checked
	keys := []string{"user\x00" + d.User + "\x00" + stamp(d.Notification.At)}
	if d.State == Queued {
		keys = append(keys, "due\x00"+stamp(d.Next))
	}
	return store.Record{Kind: kindDelivery, ID: d.ID, Version: version, Keys: keys, Data: data}
}

// stamp is a time as text that sorts like it.
func stamp(t time.Time) string {
	return fmt.Sprintf("%016x", max(t.UnixMilli(), 0))
}

// Deliveries lists a person's deliveries, oldest first.
func (o *Outbox) Deliveries(ctx context.Context, user string, limit int) ([]Delivery, error) {
	found, err := o.cfg.Store.Records(ctx, store.Prefix(kindDelivery, "user\x00"+user+"\x00", limit))
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	var list []Delivery
	for _, f := range found {
		d, err := deliveryOf(f.Record)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func deliveryOf(r store.Record) (d Delivery, err error) {
	if err := json.Unmarshal(r.Data, &d); err != nil {
		return d, fmt.Errorf("read delivery %s: %w", r.ID, err)
	}
	return d, nil
}

// Again queues a delivery that was sent or given up, with all tries before it.
func (o *Outbox) Again(ctx context.Context, id string, now time.Time) error {
	return o.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		r, err := tx.Record(ctx, kindDelivery, id)
		if err != nil {
			return err
		}
		d, err := deliveryOf(r)
		if err != nil {
			return err
		}
		d.State, d.Next, d.Log = Queued, now, nil
		return tx.SaveRecord(ctx, recordOf(&d, r.Version))
	})
}

// Round tries what is due at now, and says when the next one is, the zero time
// for none. It fails only when the store does.
func (o *Outbox) Round(ctx context.Context, now time.Time) (next time.Time, err error) {
	found, err := o.cfg.Store.Records(ctx, store.RecordQuery{Kind: kindDelivery, From: "due\x00", To: "due\x00" + stamp(now.Add(time.Millisecond)), Limit: perRound})
	if err != nil {
		return time.Time{}, fmt.Errorf("list what is to be delivered: %w", err)
	}
	due, err := o.claimAll(ctx, found, now)
	if err != nil {
		return time.Time{}, err
	}
	var trying sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range due {
		slots <- struct{}{}
		trying.Go(func() {
			o.try(ctx, &due[i], now)
			<-slots
		})
	}
	trying.Wait()
	if err := o.saveAll(ctx, due); err != nil {
		return time.Time{}, err
	}
	return o.next(ctx)
}

// next is when the first delivery is due.
func (o *Outbox) next(ctx context.Context) (time.Time, error) {
	found, err := o.cfg.Store.Records(ctx, store.Prefix(kindDelivery, "due\x00", 1))
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(strings.TrimPrefix(found[0].Key, "due\x00"), 16, 64)
	return time.UnixMilli(ms), err
}

// claimed is a delivery that nobody else tries meanwhile.
type claimed struct {
	Delivery
	version int64
	failure bool // it is given up
}

func (o *Outbox) claimAll(ctx context.Context, found []store.Found, now time.Time) (due []claimed, err error) {
	if len(found) == 0 {
		return nil, nil
	}
	err = o.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		due = nil
		for _, f := range found {
			d, err := deliveryOf(f.Record)
			if err != nil {
				return err
			}
			waiting := d
			waiting.Next = now.Add(claim)
			err = tx.SaveRecord(ctx, recordOf(&waiting, f.Version))
			if errors.Is(err, store.ErrConflict) {
				continue // somebody else has it
			}
			if err != nil {
				return err
			}
			due = append(due, claimed{Delivery: d, version: f.Version + 1})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return due, nil
}

// try makes one attempt and says in c what came of it.
func (o *Outbox) try(ctx context.Context, c *claimed, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	channel, err := o.cfg.Channel(ctx, c.User, c.Channel)
	if errors.Is(err, store.ErrNotFound) {
		err = &Refusal{Reason: "the channel " + c.Channel + " is there no more", Final: true}
	}
	if err == nil {
		err = channel.Send(ctx, &c.Delivery, now)
	}
	if err == nil {
		c.State, c.Log = Sent, append(c.Log, Try{At: now})
		return
	}
	c.Log = append(c.Log, Try{At: now, Error: short(err.Error())})
	wait := pause(len(c.Log), o.cfg.Chance())
	var refusal *Refusal
	if errors.As(err, &refusal) {
		wait = max(wait, min(refusal.After, longestPause))
	}
	c.Next = now.Add(wait)
	if len(c.Log) >= MaxTries || refusal != nil && refusal.Final {
		c.State, c.failure = Failed, true
		o.cfg.Log.Warn("a notification is not delivered", "delivery", c.ID, "user", c.User, "channel", c.Channel, "tries", len(c.Log), "error", short(err.Error()))
	}
}

func short(text string) string {
	const most = 500
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func (o *Outbox) saveAll(ctx context.Context, due []claimed) error {
	if len(due) == 0 {
		return nil
	}
	// What was sent must be noted, or it is sent again.
	err := o.cfg.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx store.Tx) error {
		for i := range due {
			err := tx.SaveRecord(ctx, recordOf(&due[i].Delivery, due[i].version))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note deliveries: %w", err)
	}
	for i := range due {
		if due[i].failure && o.cfg.Failed != nil {
			o.cfg.Failed(due[i].Delivery)
		}
	}
	return nil
}
