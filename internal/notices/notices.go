// Package notices brings what happens on the board to those who should hear of
// it: people, in a list of their own and by the channels they choose, and other
// programs, by webhooks of the workspace.
//
// What a person is to hear is kept in the transaction in which it happens, with
// the deliveries that their channels ask for; package notify sends those. A
// webhook is a reader of the feed: it has a place in it, and what follows is
// delivered in order, each event under an id that stays the same.
package notices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Store is what notices are read from.
type Store interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
	Events(ctx context.Context, after int64, limit int) ([]store.Event, error)
	EventsOf(ctx context.Context, topic string, before int64, limit int) ([]store.Event, error)
}

// Config says what Notices work with.
type Config struct {
	Workspace string
	Store     Store
	// Write makes a change durable and returns what do returned; it rings for
	// those who read the feed.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Rings func() <-chan struct{} // closed at the next change of the feed
	Key   *seal.Key              // seals the addresses and secrets of channels
	// Client posts where its policy lets it; it follows no redirect.
	Client notify.Doer
	// Check refuses a URL that the policy would never let through.
	Check func(u *url.URL) error
	Mail  *notify.Mail     // how mail is sent, without To; nil: not at all
	URL   func() string    // under which people reach the server; without a slash at its end
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger
}

// Notices tell people and programs. The methods may be called at any time.
type Notices struct {
	cfg    Config
	outbox *notify.Outbox
	board  *control.Board
	poke   chan struct{} // capacity 1: webhooks are to be looked at
}

// New makes Notices. Its Happened is for control.Config; Connect it with the
// board that was made so, and Run it.
func New(c Config) *Notices {
	if c.Now == nil {
		c.Now = time.Now
	}
	n := &Notices{cfg: c, poke: make(chan struct{}, 1)}
	n.outbox = notify.New(notify.Config{Store: c.Store, Write: c.Write, Channel: n.channel, Log: c.Log})
	return n
}

// Connect says which board it is about, before anything happens on it; the first
// call counts.
func (n *Notices) Connect(b *control.Board) {
	if n.board == nil {
		n.board = b
	}
}

// Notification is one entry of a person's list.
type Notification struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Type    string    `json:"type"` // one of notify.Types
	At      time.Time `json:"at"`
	Title   string    `json:"title"`
	Text    string    `json:"text,omitempty"`
	URL     string    `json:"url,omitempty"`
	Project string    `json:"project,omitempty"`
	Task    string    `json:"task,omitempty"` // key
	Review  string    `json:"review,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	ReadAt  time.Time `json:"read_at,omitzero"`
}

const kindNotification = "notification"

// Prefixes are those of the keys of a person's notifications, for lists: unread
// ones first, each newest first.
func Prefixes(user string) []string {
	return []string{"unread/" + user + "/", "read/" + user + "/"}
}

// KindNotification is the kind of the records that are notifications.
const KindNotification = kindNotification

func (v *Notification) record(version int64) store.Record {
	data, _ := json.Marshal(v) // texts and times
	prefix := Prefixes(v.User)[0]
	if !v.ReadAt.IsZero() {
		prefix = Prefixes(v.User)[1]
	}
	newest := fmt.Sprintf("%016x", math.MaxInt64-v.At.UnixMilli())
	return store.Record{Kind: kindNotification, ID: v.ID, Version: version, Keys: []string{prefix + newest}, Data: data}
}

func idOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Happened keeps what people are to hear of an event, in the transaction that
// makes it: control.Config.Happened. Each hears of a thing once for its key.
func (n *Notices) Happened(ctx context.Context, tx store.Tx, e *control.Event) error {
	if e.Notify == nil {
		return nil
	}
	v, err := n.word(ctx, tx, e)
	if err != nil {
		return err
	}
	for _, to := range e.Notify.To {
		kind, user := to.Split()
		if kind != "user" {
			continue
		}
		if err := n.keep(ctx, tx, user, e.Notify.Key, v); err != nil {
			return fmt.Errorf("notify %s: %w", user, err)
		}
	}
	return nil
}

func (n *Notices) keep(ctx context.Context, tx store.Tx, user, key string, v Notification) error {
	p, _, err := preferencesOf(ctx, tx, user)
	if err != nil {
		return err
	}
	v.ID, v.User = idOf(key, user), user
	if slices.Contains(p.wants(v.Type), InApp) {
		err := tx.SaveRecord(ctx, v.record(0))
		if errors.Is(err, store.ErrConflict) {
			return nil // told before
		}
		if err != nil {
			return err
		}
	}
	_, err = n.outbox.Post(ctx, tx, notify.Notification{Type: v.Type, Key: key, At: v.At, Title: v.Title, Text: v.Text, URL: v.URL}, []notify.Preferences{p.outside(user)})
	return err
}

// Read marks notifications of a person as read: those that are named, or all of
// them. It says how many were not before.
func (n *Notices) Read(ctx context.Context, user string, ids []string) (marked int, err error) {
	err = n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		marked = 0
		var list []store.Record
		if len(ids) == 0 {
			found, err := tx.Records(ctx, store.Prefix(kindNotification, Prefixes(user)[0], 1000))
			if err != nil {
				return err
			}
			for _, f := range found {
				list = append(list, f.Record)
			}
		}
		for _, id := range ids {
			r, err := tx.Record(ctx, kindNotification, id)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil {
				list = append(list, r)
			}
		}
		for _, r := range list {
			var v Notification
			if err := json.Unmarshal(r.Data, &v); err != nil {
				return fmt.Errorf("read notification %s: %w", r.ID, err)
			}
			if v.User != user || !v.ReadAt.IsZero() {
				continue
			}
			v.ReadAt = n.cfg.Now().UTC().Truncate(time.Millisecond)
			if err := tx.SaveRecord(ctx, v.record(r.Version)); err != nil {
				return err
			}
			marked++
		}
		return nil
	})
	return marked, err
}

// Deliveries lists what was sent to a person's channels, oldest first.
func (n *Notices) Deliveries(ctx context.Context, user string, limit int) ([]notify.Delivery, error) {
	return n.outbox.Deliveries(ctx, user, limit)
}

// word says in words what has happened.
func (n *Notices) word(ctx context.Context, tx store.Tx, e *control.Event) (Notification, error) {
	v := Notification{Type: e.Notify.Type, At: e.At, Project: e.Project, Task: e.Key, Review: e.Review}
	c := control.Call{Workspace: e.Workspace, By: control.System, At: e.At}
	board := n.board.In(tx)
	title, agent := "", ""
	var blocked *control.BlockedBy
	if e.Task != "" {
		t, err := board.Task(ctx, c, e.Task)
		if err != nil {
			return v, err
		}
		title, blocked, v.Task = t.Title, t.Block, t.Key
	}
	if e.Agent != "" {
		a, err := board.Agent(ctx, c, e.Agent)
		if err != nil && !control.Is(err, control.NotFound) {
			return v, err
		}
		if err == nil {
			agent, v.Agent = "@"+a.Slug, a.Slug
		}
	}
	text := func(name string) string {
		if s, ok := e.Data[name]; ok && s != nil {
			return fmt.Sprint(s)
		}
		return ""
	}
	path := ""
	switch {
	case e.Review != "":
		path = "/reviews/" + e.Review
	case v.Task != "":
		path = "/tasks/" + v.Task
	case strings.HasPrefix(v.Type, "budget"):
		path = "/costs"
	case v.Agent != "":
		path = "/agents/" + v.Agent
	}
	task := strings.TrimSpace(v.Task + " " + title)
	switch v.Type {
	case "review_requested":
		v.Title = "Please review: " + first(text("title"), task)
	case "review_due":
		v.Title = "A review is due: " + first(text("title"), task)
	case "mentioned":
		v.Title = "You are mentioned in " + task
	case "blocked":
		v.Title = task + " is blocked"
		if blocked != nil {
			v.Text = blocked.Reason + "\nTo do: " + blocked.Action
		}
	case "failed":
		v.Title = task + " has failed"
		switch e.Type {
		case "wakeup.failed":
			v.Title = agent + " could not be woken for " + task
		case "task.upstream_failed":
			v.Title = task + " cannot begin: " + text("upstream") + " has failed"
		}
	case "done":
		v.Title = task + " is done"
	case "handoff":
		v.Title = task + " is offered to be handed off"
	case "agent_offline":
		v.Title = agent + " is offline"
	case "agent_stalled":
		v.Title = agent + " has not been heard of while it works on " + task
	case "budget_soft", "budget_hard":
		about := first(text("budget"), "of "+task)
		v.Title = "The budget " + about + " is nearly used up"
		if v.Type == "budget_hard" {
			v.Title = "The budget " + about + " is used up"
		}
		if text("metric") != "" {
			v.Text = fmt.Sprintf("Used: %s of %s %s in this %s.", text("used"), first(text("hard"), text("soft")), text("metric"), text("window"))
		}
	default:
		v.Title = first(text("title"), strings.ReplaceAll(v.Type, "_", " "))
		v.Text = text("text")
	}
	v.Title, v.Text = short(v.Title, 400), short(v.Text, 4000)
	if path != "" {
		v.URL = n.cfg.URL() + path
	}
	return v, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" && t != "0" {
			return t
		}
	}
	return ""
}

func short(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// Run sends what is due until ctx ends.
func (n *Notices) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { n.serveWebhooks(ctx) })
	both.Go(func() { n.send(ctx) })
	both.Wait()
	return nil
}

// apart is for how long what happens in a burst is gathered.
const apart = 100 * time.Millisecond

// send sends deliveries to people.
func (n *Notices) send(ctx context.Context) {
	for ctx.Err() == nil {
		rings := n.cfg.Rings()
		next, err := n.outbox.Round(ctx, n.cfg.Now())
		wait := time.Hour
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.cfg.Log.Error("notifications could not be sent; it is tried again", "error", err)
			wait, rings = 5*time.Second, nil
		case !next.IsZero():
			wait = min(next.Sub(n.cfg.Now()), wait)
		}
		sleep(ctx, apart, nil, nil)
		sleep(ctx, wait-apart, rings, nil)
	}
}

// sleep waits for a time, or until one of two is there.
func sleep(ctx context.Context, d time.Duration, rings, poke <-chan struct{}) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-rings:
	case <-poke:
	case <-t.C:
	}
}
