package notices

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	kindHook      = "webhook"
	kindHookState = "webhook_state"
	// KindDelivery is the kind of the records that are deliveries of webhooks.
	KindDelivery = "webhook_delivery"

	maxHooks    = 100
	keptLog     = 200             // deliveries of each
	giveUpAfter = 24 * time.Hour  // of nothing but failures
	firstPause  = 5 * time.Second // after a failure, doubling
	mostPause   = 10 * time.Minute
	sendTimeout = 30 * time.Second
	eventsBatch = 100
	mostText    = 300 // of an answer in the log
)

// Hook is a webhook of the workspace: what it hears of, and how it fares.
type Hook struct {
	ID        string        `json:"id"`
	Host      string        `json:"host"`
	Types     []string      `json:"types,omitempty"`    // of events, * at the end for any text; none: all
	Projects  []string      `json:"projects,omitempty"` // ids; none: all, and what belongs to none
	CreatedBy control.Party `json:"created_by"`
	CreatedAt time.Time     `json:"created_at"`

	Place        int64     `json:"after"` // the event up to which all is delivered
	FailingSince time.Time `json:"failing_since,omitzero"`
	Failures     int       `json:"failures,omitempty"`
	NextTry      time.Time `json:"next_try,omitzero"`
	LastError    string    `json:"last_error,omitempty"`
	Disabled     bool      `json:"disabled"` // it failed for a day, or its receiver says that it is gone
}

type hookRecord struct {
	Hook
	To *sealed `json:"to"`
}

// hookState is what changes as a webhook works, apart from what people set.
type hookState struct {
	Place        int64     `json:"after"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Failures     int       `json:"failures,omitempty"`
	NextTry      time.Time `json:"next_try,omitzero"`
	LastError    string    `json:"last_error,omitempty"`
	Disabled     bool      `json:"disabled,omitempty"`
}

// HookDelivery is one event on its way to a webhook.
type HookDelivery struct {
	ID      string    `json:"id"` // the same each time it is sent
	Webhook string    `json:"webhook"`
	Seq     int64     `json:"seq"` // of the event
	Type    string    `json:"type"`
	State   string    `json:"state"`           // delivered, failed (passed over), retrying, or queued to be sent again
	Tries   []HookTry `json:"tries,omitempty"` // the newest ten
}

// HookTry is one attempt at it.
type HookTry struct {
	At    time.Time     `json:"at"`
	Took  time.Duration `json:"took_ns"`
	Error string        `json:"error,omitempty"`
}

// NewHook is a webhook as it is made.
type NewHook struct {
	URL      string   `json:"url"`
	Secret   string   `json:"secret,omitempty"` // "": one is made
	Types    []string `json:"types,omitempty"`
	Projects []string `json:"projects,omitempty"` // ids
}

// AddHook makes a webhook, which hears of what happens from now on, its own making
// first, and returns its secret.
func (n *Notices) AddHook(ctx context.Context, c control.Call, in NewHook) (Hook, string, error) {
	if len(in.Types) > 50 || len(in.Projects) > 100 {
		return Hook{}, "", invalid("a webhook has at most 50 types and 100 projects")
	}
	for _, t := range in.Types {
		if t == "" || len(t) > 100 || strings.Contains(strings.TrimSuffix(t, "*"), "*") {
			return Hook{}, "", invalid("%.100q is no type of events; it is one such as task.submit, or task.* for several", t)
		}
	}
	if in.Secret == "" {
		in.Secret = "whsec_" + random(24)
	}
	h := hookRecord{Hook: Hook{ID: "wh_" + strings.ToLower(rand.Text()[:16]), Types: in.Types, Projects: in.Projects, CreatedBy: c.By, CreatedAt: c.At.UTC().Truncate(time.Millisecond)}}
	var err error
	if h.To, err = n.seal("webhook/"+h.ID, in.URL, in.Secret); err != nil {
		return Hook{}, "", err
	}
	h.Host = h.To.Host
	if h.Place, err = n.newest(ctx); err != nil {
		return Hook{}, "", err
	}
	err = n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		there, err := tx.Records(ctx, store.Prefix(kindHook, "of/"+n.cfg.Workspace+"/", maxHooks))
		if err != nil {
			return err
		}
		if len(there) >= maxHooks {
			return invalid("there are %d webhooks, which is as many as there may be", maxHooks)
		}
		data, err := json.Marshal(h)
		if err != nil {
			return err
		}
		if err := tx.SaveRecord(ctx, store.Record{Kind: kindHook, ID: h.ID, Keys: []string{"of/" + n.cfg.Workspace + "/" + h.ID}, Data: data}); err != nil {
			return err
		}
		c.Key, c.Version = "", 0
		if err := n.board.In(tx).Tell(ctx, c, control.Event{Type: "webhook.created", Data: map[string]any{"webhook": h.ID, "host": h.Host}}, "", ""); err != nil {
			return err
		}
		return saveState(ctx, tx, h.ID, 0, hookState{Place: h.Place})
	})
	return h.Hook, in.Secret, err
}

// newest is the sequence number of the last event, 0 if there is none.
func (n *Notices) newest(ctx context.Context) (int64, error) {
	list, err := n.cfg.Store.EventsOf(ctx, "workspace/"+n.cfg.Workspace, 0, 1)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Seq, nil
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func saveState(ctx context.Context, tx store.Tx, id string, version int64, s hookState) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.SaveRecord(ctx, store.Record{Kind: kindHookState, ID: id, Version: version, Keys: []string{"all"}, Data: data})
}

func stateOf(ctx context.Context, r reader, id string) (s hookState, version int64, err error) {
	found, err := r.Record(ctx, kindHookState, id)
	if err == nil {
		err = json.Unmarshal(found.Data, &s)
	}
	return s, found.Version, err
}

func (n *Notices) hookOf(ctx context.Context, r reader, id string) (h hookRecord, err error) {
	found, err := r.Record(ctx, kindHook, id)
	if err == nil {
		err = json.Unmarshal(found.Data, &h)
	}
	return h, err
}

// Hooks lists the webhooks.
func (n *Notices) Hooks(ctx context.Context) ([]Hook, error) {
	found, err := n.cfg.Store.Records(ctx, store.Prefix(kindHook, "of/"+n.cfg.Workspace+"/", maxHooks))
	if err != nil {
		return nil, err
	}
	list := []Hook{}
	for _, f := range found {
		h, err := n.Hook(ctx, f.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

// Hook finds a webhook, or returns store.ErrNotFound.
func (n *Notices) Hook(ctx context.Context, id string) (Hook, error) {
	h, err := n.hookOf(ctx, n.cfg.Store, id)
	if err != nil {
		return Hook{}, err
	}
	s, _, err := stateOf(ctx, n.cfg.Store, id)
	h.Place, h.FailingSince, h.Failures, h.NextTry, h.LastError, h.Disabled = s.Place, s.FailingSince, s.Failures, s.NextTry, s.LastError, s.Disabled
	return h.Hook, err
}

// RemoveHook ends a webhook, or returns store.ErrNotFound.
func (n *Notices) RemoveHook(ctx context.Context, c control.Call, id string) error {
	return n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.DeleteRecord(ctx, kindHook, id); err != nil {
			return err
		}
		if err := tx.DeleteRecord(ctx, kindHookState, id); err != nil {
			return err
		}
		log, err := tx.Records(ctx, store.Prefix(KindDelivery, LogPrefix(id), 2*keptLog))
		if err != nil {
			return err
		}
		for _, f := range log {
			if err := tx.DeleteRecord(ctx, KindDelivery, f.ID); err != nil {
				return err
			}
		}
		c.Key, c.Version = "", 0
		return n.board.In(tx).Tell(ctx, c, control.Event{Type: "webhook.deleted", Data: map[string]any{"webhook": id}}, "", "")
	})
}

// EnableHook lets a webhook go on that was disabled: from where it was, or, with
// skip, from now on.
func (n *Notices) EnableHook(ctx context.Context, id string, skip bool) error {
	newest, err := n.newest(ctx)
	if err != nil {
		return err
	}
	err = n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		s, version, err := stateOf(ctx, tx, id)
		if err != nil {
			return err
		}
		s = hookState{Place: s.Place}
		if skip {
			s.Place = max(s.Place, newest)
		}
		return saveState(ctx, tx, id, version, s)
	})
	n.look()
	return err
}

// LogPrefix is that of the keys of a webhook's deliveries, newest first.
func LogPrefix(hook string) string { return "of/" + hook + "/" }

func deliveryID(hook string, seq int64) string { return fmt.Sprintf("%s.%d", hook, seq) }

func (d *HookDelivery) record(version int64) store.Record {
	data, _ := json.Marshal(d) // texts and times
	keys := []string{LogPrefix(d.Webhook) + fmt.Sprintf("%016x", math.MaxInt64-d.Seq)}
	if d.State == "queued" {
		keys = append(keys, "again/"+d.Webhook+"/"+fmt.Sprintf("%016x", d.Seq))
	}
	return store.Record{Kind: KindDelivery, ID: d.ID, Version: version, Keys: keys, Data: data}
}

// Redeliver queues a delivery that is in the log, to be sent once more under its
// id, or returns store.ErrNotFound.
func (n *Notices) Redeliver(ctx context.Context, hook, id string) error {
	err := n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		d, version, err := logged(ctx, tx, id)
		if err != nil {
			return err
		}
		if d.Webhook != hook {
			return store.ErrNotFound
		}
		d.State = "queued"
		return tx.SaveRecord(ctx, d.record(version))
	})
	n.look()
	return err
}

func logged(ctx context.Context, r reader, id string) (d HookDelivery, version int64, err error) {
	found, err := r.Record(ctx, KindDelivery, id)
	if err == nil {
		err = json.Unmarshal(found.Data, &d)
	}
	return d, found.Version, err
}

func (n *Notices) look() {
	select {
	case n.poke <- struct{}{}:
	default:
	}
}

// serveWebhooks has each webhook that has something to do served by a goroutine,
// so that a slow receiver holds up no other.
func (n *Notices) serveWebhooks(ctx context.Context) {
	ended := make(chan hookEnd)
	working, due := map[string]bool{}, map[string]bool{}
	next := map[string]time.Time{} // when one that fails is tried again
	defer func() {
		for range working {
			<-ended
		}
	}()
	rings, all := n.cfg.Rings(), true // all are to be looked at
	var looked time.Time
	for ctx.Err() == nil {
		wait := time.Hour
		if all {
			hooks, err := n.cfg.Store.Records(ctx, store.Prefix(kindHook, "of/"+n.cfg.Workspace+"/", maxHooks))
			if all = err != nil; all && ctx.Err() == nil {
				n.cfg.Log.Error("webhooks could not be looked up; it is tried again", "error", err)
				wait = firstPause
			}
			for _, h := range hooks {
				due[h.ID] = true
			}
		}
		now := n.cfg.Now()
		for id, at := range next {
			if delete(due, id); at.After(now) {
				wait = min(wait, at.Sub(now))
				continue
			}
			delete(next, id)
			due[id] = true
		}
		for id := range due {
			if working[id] {
				continue // it may have looked already: again when it has ended
			}
			delete(due, id)
			working[id] = true
			go func() {
				again, err := n.serveHook(ctx, id)
				ended <- hookEnd{id, again, err}
			}()
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-rings:
			sleep(ctx, apart-time.Since(looked), nil, nil)
			rings, all, looked = n.cfg.Rings(), true, time.Now()
		case <-n.poke:
			clear(next)
			all = true
		case e := <-ended:
			delete(working, e.id)
			if e.err != nil && ctx.Err() == nil {
				n.cfg.Log.Error("a webhook could not be served; it is tried again", "webhook", e.id, "error", e.err)
				e.again = n.cfg.Now().Add(firstPause)
			}
			if !e.again.IsZero() {
				next[e.id] = e.again
			}
		}
		t.Stop()
	}
}

type hookEnd struct {
	id    string
	again time.Time // zero: when something happens
	err   error
}

// serveHook delivers what there is for a webhook, and says when to come again.
func (n *Notices) serveHook(ctx context.Context, id string) (time.Time, error) {
	for ctx.Err() == nil {
		h, err := n.hookOf(ctx, n.cfg.Store, id)
		if errors.Is(err, store.ErrNotFound) {
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, err
		}
		s, _, err := stateOf(ctx, n.cfg.Store, id)
		if err != nil {
			return time.Time{}, err
		}
		if err := n.sendAgain(ctx, &h); err != nil {
			return time.Time{}, err
		}
		if s.Disabled {
			return time.Time{}, nil
		}
		if s.NextTry.After(n.cfg.Now()) {
			return s.NextTry, nil
		}
		events, err := n.cfg.Store.Events(ctx, s.Place, eventsBatch)
		if err != nil || len(events) == 0 {
			return time.Time{}, err
		}
		if again, err := n.sendEvents(ctx, &h, s, events); err != nil || !again.IsZero() {
			return again, err
		}
	}
	return time.Time{}, nil
}

// passes says whether a webhook wants an event.
func (h *Hook) passes(e *control.Event, workspace string) bool {
	if e.Workspace != workspace || len(h.Projects) > 0 && !slices.Contains(h.Projects, e.Project) {
		return false
	}
	return len(h.Types) == 0 || slices.ContainsFunc(h.Types, func(t string) bool {
		all, some := strings.CutSuffix(t, "*")
		return e.Type == t || some && strings.HasPrefix(e.Type, all)
	})
}

// sendEvents delivers events in order. It ends at one that is not delivered, and
// says when that is to be tried again.
func (n *Notices) sendEvents(ctx context.Context, h *hookRecord, s hookState, events []store.Event) (time.Time, error) {
	begun := n.cfg.Now()
	var log []HookDelivery
	for _, kept := range events {
		if ctx.Err() != nil || n.cfg.Now().Sub(begun) > sendTimeout {
			break
		}
		var e control.Event
		if err := json.Unmarshal(kept.Data, &e); err != nil {
			return time.Time{}, fmt.Errorf("read event %d: %w", kept.Seq, err)
		}
		e.Seq = kept.Seq
		if !h.passes(&e, n.cfg.Workspace) {
			s.Place = kept.Seq
			continue
		}
		d := HookDelivery{ID: deliveryID(h.ID, e.Seq), Webhook: h.ID, Seq: e.Seq, Type: e.Type}
		err := n.try(ctx, h, &d, &e)
		if ctx.Err() != nil {
			break // it ends: what came of it is not known
		}
		if err == nil || passOver(err) {
			s = hookState{Place: e.Seq}
			d.State = "delivered"
			if err != nil {
				d.State, s.LastError = "failed", short(err.Error(), mostText)
			}
			log = append(log, d)
			continue
		}
		d.State = "retrying"
		log = append(log, d)
		if n.failed(&s, err); s.Disabled {
			s.NextTry = time.Time{}
		}
		return s.NextTry, n.saveHook(ctx, h, s, log)
	}
	return time.Time{}, n.saveHook(ctx, h, s, log)
}

// passOver says whether a receiver refuses this event and not the next: it has
// answered, and trying again would not help.
func passOver(err error) bool {
	var r *notify.Refusal
	return errors.As(err, &r) && r.Final && !errors.Is(err, errGone)
}

var errGone = errors.New("the receiver answered 410 Gone")

func (n *Notices) failed(s *hookState, err error) {
	now := n.cfg.Now()
	s.Failures++
	if s.FailingSince.IsZero() {
		s.FailingSince = now.UTC()
	}
	s.LastError = short(err.Error(), mostText)
	pause := mostPause
	if s.Failures < 10 {
		pause = min(firstPause<<(s.Failures-1), mostPause)
	}
	var r *notify.Refusal
	if errors.As(err, &r) {
		pause = max(pause, min(r.After, mostPause))
	}
	s.NextTry = now.Add(pause).UTC()
	s.Disabled = errors.Is(err, errGone) || now.Sub(s.FailingSince) >= giveUpAfter
}

// saveHook notes how far a webhook is.
func (n *Notices) saveHook(ctx context.Context, h *hookRecord, s hookState, log []HookDelivery) error {
	// What was sent must be noted, or it is sent again.
	return n.cfg.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx store.Tx) error {
		was, version, err := stateOf(ctx, tx, h.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		if s.Place < was.Place {
			s.Place = was.Place // it was let go on from further on
		}
		if err := saveState(ctx, tx, h.ID, version, s); err != nil {
			return err
		}
		for i := range log {
			if err := note(ctx, tx, &log[i]); err != nil {
				return err
			}
		}
		if err := trim(ctx, tx, h.ID); err != nil {
			return err
		}
		if s.Disabled && !was.Disabled {
			return n.disabled(ctx, tx, h, s)
		}
		return nil
	})
}

// note adds tries to a delivery's log.
func note(ctx context.Context, tx store.Tx, d *HookDelivery) error {
	was, version, err := logged(ctx, tx, d.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.Tries = append(was.Tries, d.Tries...)
	d.Tries = d.Tries[max(0, len(d.Tries)-10):]
	return tx.SaveRecord(ctx, d.record(version))
}

// trim forgets the oldest deliveries.
func trim(ctx context.Context, tx store.Tx, hook string) error {
	found, err := tx.Records(ctx, store.Prefix(KindDelivery, LogPrefix(hook), keptLog+eventsBatch))
	if err != nil || len(found) <= keptLog {
		return err
	}
	for _, f := range found[keptLog:] {
		if err := tx.DeleteRecord(ctx, KindDelivery, f.ID); err != nil {
			return err
		}
	}
	return nil
}

func (n *Notices) disabled(ctx context.Context, tx store.Tx, h *hookRecord, s hookState) error {
	e := control.Event{Type: "webhook.disabled", Data: map[string]any{
		"webhook": h.ID, "host": h.Host, "title": "The webhook to " + h.Host + " was disabled",
		"text": "The last error: " + cmp.Or(s.LastError, "none") + "\nlockstep webhook enable " + h.ID + " lets it go on from where it was.",
	}}
	c := control.Call{Workspace: n.cfg.Workspace, By: control.System, At: n.cfg.Now()}
	return n.board.In(tx).Tell(ctx, c, e, "webhook_disabled", fmt.Sprintf("%s/%d", h.ID, s.FailingSince.UnixMilli()), h.CreatedBy)
}

// sendAgain sends what people want to be sent once more.
func (n *Notices) sendAgain(ctx context.Context, h *hookRecord) error {
	found, err := n.cfg.Store.Records(ctx, store.Prefix(KindDelivery, "again/"+h.ID+"/", 20))
	if err != nil {
		return err
	}
	for _, f := range found {
		var d HookDelivery
		if err := json.Unmarshal(f.Data, &d); err != nil {
			return err
		}
		events, err := n.cfg.Store.Events(ctx, d.Seq-1, 1)
		if err != nil || len(events) == 0 || events[0].Seq != d.Seq {
			return cmp.Or(err, fmt.Errorf("event %d of a delivery is gone", d.Seq))
		}
		var e control.Event
		if err := json.Unmarshal(events[0].Data, &e); err != nil {
			return err
		}
		e.Seq, d.Tries = d.Seq, nil
		err = n.try(ctx, h, &d, &e)
		if ctx.Err() != nil {
			return nil
		}
		if d.State = "delivered"; err != nil {
			d.State = "failed"
		}
		err = n.cfg.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx store.Tx) error { return note(ctx, tx, &d) })
		if err != nil {
			return err
		}
	}
	return nil
}

// hookBody is what a webhook is sent.
type hookBody struct {
	ID      string         `json:"id"`
	Webhook string         `json:"webhook"`
	Event   *control.Event `json:"event"`
}

// try posts one event, and notes in d what came of it.
func (n *Notices) try(ctx context.Context, h *hookRecord, d *HookDelivery, e *control.Event) error {
	begun := n.cfg.Now()
	err := n.post(ctx, h, d, e)
	t := HookTry{At: begun.UTC(), Took: n.cfg.Now().Sub(begun)}
	if err != nil {
		t.Error = short(err.Error(), mostText)
	}
	d.Tries = append(d.Tries, t)
	return err
}

func (n *Notices) post(ctx context.Context, h *hookRecord, d *HookDelivery, e *control.Event) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	address, secret, err := n.open("webhook/"+h.ID, h.To)
	if err != nil {
		return err
	}
	e.Notify = nil // whom it was told to is nobody else's business
	body, err := json.Marshal(hookBody{d.ID, h.ID, e})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &notify.Refusal{Reason: "the webhook's URL is none", Final: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lockstep")
	req.Header.Set(notify.DeliveryHeader, d.ID)
	req.Header.Set(notify.SignatureHeader, notify.Sign(secret, body, n.cfg.Now()))
	res, err := n.cfg.Client.Do(req)
	if err != nil {
		return errors.New(strings.ReplaceAll(notify.WithoutURL(err), address, "(url)"))
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // the rest would keep the connection from being used again
	if res.StatusCode == http.StatusGone {
		return errGone
	}
	return notify.Answer(res, said, address)
}
