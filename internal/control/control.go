// Package control is the agent control plane: a board of tasks for agents and
// people, with reviews, dependencies, leases and wakeups.
//
// The one idea: a task moves by the rows of one table (Transitions) and by
// nothing else. An operation is a method of Board with a typed input; it reads
// and writes through one transaction, moves tasks by the table, and at its end
// settles what hangs on them, in the same transaction: dependants whose gate
// opened, wakeups, reviewers, the statuses of agents. What it changed is in the
// feed of events. What can be computed is not stored: gates, why a task waits,
// what an agent does.
//
// There is no clock here. Every Call says when it happens, and Sweep does what
// has become due.
package control

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Reader is what the board reads from: a store.Store.
type Reader interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
	Events(ctx context.Context, after int64, limit int) ([]store.Event, error)
	EventsOf(ctx context.Context, topic string, before int64, limit int) ([]store.Event, error)
	Secret(ctx context.Context) ([32]byte, error)
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
	UsageSums(ctx context.Context, q store.SumQuery) ([]store.UsageSum, error)
}

// Writer runs a write in a transaction and returns once it is durable, with
// the error that do returned, in which case nothing was kept: worker.Worker.
type Writer interface {
	Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
}

// Config says what the board asks of others. The zero Config asks nothing.
type Config struct {
	// Budget says why an agent may not begin anything now, "" if it may. It
	// reads through tx alone.
	Budget func(ctx context.Context, tx Records, agent, project, task string, at time.Time) (string, error)
	// Happened is told of each event in the transaction that makes it; an error
	// undoes all of it. Who delivers notifications, moves executions or counts
	// costs does it here.
	Happened func(ctx context.Context, tx store.Tx, e *Event) error
	// Times reads an expression that says when tasks recur, and its time zone.
	Times func(expression, zone string) (Times, error)
}

// Records is the part of a Reader that a transaction has as well.
type Records interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error)
	UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error)
}

// Board is the control plane. Its methods may be called concurrently.
type Board struct {
	r      Reader
	w      Writer
	cfg    Config
	secret [32]byte
	ids    *ids

	mu     sync.Mutex
	cursor string // how far Sweep has looked at pending reviews
}

// New makes a board over a store and what writes to it.
func New(r Reader, w Writer, cfg Config) (*Board, error) {
	secret, err := r.Secret(context.Background())
	return &Board{r: r, w: w, cfg: cfg, secret: secret, ids: &ids{}}, err
}

// In is the board within a transaction that is under way: its operations are
// part of that, and durable when it is. When one returns an error the whole
// write has to. Feed and Activity cannot be asked there.
func (b *Board) In(tx store.Tx) *Board {
	in := within{Reader: b.r, tx: tx}
	return &Board{r: in, w: in, cfg: b.cfg, secret: b.secret, ids: b.ids}
}

type within struct {
	Reader
	tx store.Tx
}

func (w within) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	return do(ctx, w.tx)
}

func (w within) Record(ctx context.Context, kind, id string) (store.Record, error) {
	return w.tx.Record(ctx, kind, id)
}

func (w within) Records(ctx context.Context, q store.RecordQuery) ([]store.Found, error) {
	return w.tx.Records(ctx, q)
}

func (w within) UsageOf(ctx context.Context, by, name string, from, to int64) (store.UsageTotals, error) {
	return w.tx.UsageOf(ctx, by, name, from, to)
}

// Call is what every operation wants to know.
type Call struct {
	Workspace string
	By        Party     // who asks, already known to be that party
	At        time.Time // now
	Version   int64     // of the record in question as the caller saw it; 0: whatever it is
	// Key is an idempotency key: a repeated call of the same operation gets the
	// first one's answer. It has to say what the call is about, such as its path,
	// so that a key that is used for another task is another call. "": none.
	Key    string
	Scopes []string // of a service key: read, comment, edit, manage; others are not the board's
}

// entity is a record as the board sees it.
type entity interface {
	header() *base
	kind() string
	keys() []string
}

// op is one operation: a transaction with what it has read and changed. A
// read has no tx.
type op struct {
	Call
	ctx   context.Context
	b     *Board
	r     Records
	tx    store.Tx
	known map[string]entity
	dirty []entity

	tasks  []string // to settle
	agents []string
	told   map[string]string // states of wakeups as events told them
	woken  []*Wakeup
}

func (b *Board) begin(ctx context.Context, r Records, tx store.Tx, c Call) *op {
	c.At = c.At.UTC().Truncate(time.Millisecond)
	return &op{Call: c, ctx: ctx, b: b, r: r, tx: tx, known: map[string]entity{}, told: map[string]string{}}
}

// write runs an operation in a transaction.
func write[T any](ctx context.Context, b *Board, c Call, name string, do func(x *op) (T, error)) (result T, err error) {
	err = b.w.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		x := b.begin(ctx, tx, tx, c)
		answer := "" // id of the kept answer
		if c.Key != "" {
			answer = hashOf(fmt.Appendf(nil, "%s/%s/%s/%s", c.Workspace, c.By, name, c.Key))
			kept, err := tx.Record(ctx, "answer", answer)
			if err == nil {
				return json.Unmarshal(kept.Data, &result)
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		var err error
		if result, err = do(x); err != nil {
			return err
		}
		if err := x.settle(); err != nil {
			return err
		}
		if answer == "" {
			return nil
		}
		data, err := json.Marshal(result)
		if err != nil {
			return err
		}
		return tx.SaveRecord(ctx, store.Record{Kind: "answer", ID: answer, Keys: []string{"at/" + stamp(x.At)}, Data: data})
	})
	return result, err
}

// view makes an op that only reads.
func (b *Board) view(ctx context.Context, c Call) *op { return b.begin(ctx, b.r, nil, c) }

// get reads a record into e, or returns the one that the operation knows.
func get[E any, P interface {
	*E
	entity
}](x *op, id string) (P, error) {
	p := P(new(E))
	if e, ok := x.known[p.kind()+"/"+id]; ok && e != nil {
		return e.(P), nil
	}
	r, err := x.r.Record(x.ctx, p.kind(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse(NotFound, nil, "there is no %s %s", p.kind(), id)
	}
	if err != nil {
		return nil, err
	}
	return decode[E, P](x, r)
}

func decode[E any, P interface {
	*E
	entity
}](x *op, r store.Record) (P, error) {
	at := r.Kind + "/" + r.ID
	if e, ok := x.known[at]; ok && e != nil {
		return e.(P), nil
	}
	p := P(new(E))
	if err := json.Unmarshal(r.Data, p); err != nil {
		return nil, fmt.Errorf("read %s: %w", at, err)
	}
	h := p.header()
	h.Version = r.Version
	if h.Workspace != x.Workspace && x.Workspace != "" {
		return nil, refuse(NotFound, nil, "there is no %s %s", r.Kind, r.ID)
	}
	x.known[at] = p
	return p, nil
}

// list reads the records under the keys with a prefix, in their order.
func list[E any, P interface {
	*E
	entity
}](x *op, prefix string, limit int) ([]P, error) {
	return query[E, P](x, store.Prefix(P(new(E)).kind(), prefix, limit))
}

func query[E any, P interface {
	*E
	entity
}](x *op, q store.RecordQuery) (all []P, err error) {
	if err := x.flush(); err != nil {
		return nil, err
	}
	found, err := x.r.Records(x.ctx, q)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		p, err := decode[E, P](x, f.Record)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// many is as far as a list goes that has to be whole.
const many = 100_000

// add makes e a new record; its id is made up if it has none.
func (x *op) add(e entity) {
	h := e.header()
	if h.ID == "" {
		h.ID = x.b.ids.next(x.At)
	}
	if h.Workspace == "" {
		h.Workspace = x.Workspace
	}
	h.CreatedAt = x.At
	x.put(e)
}

// put keeps what was changed in e.
func (x *op) put(e entity) {
	if t, is := e.(*Task); is {
		t.UpdatedAt = x.At
	}
	x.known[e.kind()+"/"+e.header().ID] = e
	if !slices.Contains(x.dirty, e) {
		x.dirty = append(x.dirty, e)
	}
}

// remove deletes a record that is kept.
func (x *op) remove(e entity) error {
	if at := slices.Index(x.dirty, e); at >= 0 {
		x.dirty = slices.Delete(x.dirty, at, at+1)
	}
	delete(x.known, e.kind()+"/"+e.header().ID)
	if e.header().Version == 0 {
		return nil
	}
	return x.tx.DeleteRecord(x.ctx, e.kind(), e.header().ID)
}

// flush writes what was put, so that lists see it.
func (x *op) flush() error {
	for _, e := range x.dirty {
		h := e.header()
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := x.tx.SaveRecord(x.ctx, store.Record{Kind: e.kind(), ID: h.ID, Version: h.Version, Keys: e.keys(), Data: data}); err != nil {
			return err
		}
		h.Version++
	}
	x.dirty = x.dirty[:0]
	return nil
}

// Event is one entry of the feed.
type Event struct {
	Seq       int64          `json:"seq"`
	At        time.Time      `json:"at"`
	Type      string         `json:"type"` // such as task.claim, review.created, wakeup.queued
	Workspace string         `json:"workspace"`
	By        Party          `json:"by"`
	Project   string         `json:"project,omitempty"`
	Task      string         `json:"task,omitempty"`
	Key       string         `json:"key,omitempty"` // of the task
	Agent     string         `json:"agent,omitempty"`
	Review    string         `json:"review,omitempty"`
	Data      map[string]any `json:"data,omitempty"`
	Notify    *Notice        `json:"notify,omitempty"`
}

// Notice asks for a notification of people, which others deliver: at most one
// to each for a dedupe key.
type Notice struct {
	Type string  `json:"type"` // review_requested, review_due, mentioned, blocked, failed, agent_offline, agent_stalled, handoff or done
	To   []Party `json:"to"`   // users
	Key  string  `json:"key"`
}

// AuditTopic is what events about users, their roles and their keys are found
// under.
const AuditTopic = "audit"

// emit appends to the feed.
func (x *op) emit(e Event) error {
	e.At, e.By = x.At, x.By
	if e.Workspace == "" {
		e.Workspace = x.Workspace
	}
	topics := []string{"workspace/" + e.Workspace}
	for _, t := range [][2]string{{"project/", e.Project}, {"task/", e.Task}, {"agent/", e.Agent}} {
		if t[1] != "" {
			topics = append(topics, t[0]+t[1])
		}
	}
	if strings.HasPrefix(e.Type, "user.") {
		topics = append(topics, AuditTopic)
	}
	if e.Type == "agent.status" {
		topics = append(topics, "status/"+e.Agent)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if e.Seq, err = x.tx.AddEvent(x.ctx, store.Event{At: x.At.UnixMilli(), Type: e.Type, Topics: topics, Data: data}); err != nil {
		return err
	}
	if x.b.cfg.Happened == nil {
		return nil
	}
	if err := x.flush(); err != nil { // the hook reads what the event tells of
		return err
	}
	return x.b.cfg.Happened(x.ctx, x.tx, &e)
}

// of fills in what an event says of a task.
func (t *Task) of(kind string, data map[string]any) Event {
	e := Event{Type: kind, Workspace: t.Workspace, Project: t.Project, Task: t.ID, Key: t.Key, Data: data}
	if t.Assignee.isAgent() {
		e.Agent = t.Assignee.id()
	}
	return e
}

func events(kept []store.Event, err error) (list []Event, _ error) {
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		var e Event
		if err := json.Unmarshal(k.Data, &e); err != nil {
			return nil, fmt.Errorf("read event %d: %w", k.Seq, err)
		}
		e.Seq = k.Seq
		list = append(list, e)
	}
	return list, nil
}

// token is the secret of a lease. It is derived, so that nobody can read it
// from the store.
func (b *Board) token(attempt string) string {
	mac := hmac.New(sha256.New, b.secret[:])
	mac.Write([]byte("lease " + attempt))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ids makes ids that sort by the time they were made at: 48 bits of time, 80
// bits of chance which grow within a millisecond, in Crockford's base 32.
type ids struct {
	mu   sync.Mutex
	last [16]byte
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

func (g *ids) next(at time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var id [16]byte
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	if [6]byte(id[:6]) == [6]byte(g.last[:6]) {
		id = g.last
		for i := 15; i >= 6; i-- {
			if id[i]++; id[i] != 0 {
				break
			}
		}
	} else {
		rand.Read(id[6:])
		id[6] &= 0x7f // room to grow
	}
	g.last = id
	return spell(id)
}

// idsFrom is where the ids begin that are made from a time on.
func idsFrom(at time.Time) string {
	var id [16]byte
	for i := range 6 {
		id[i] = byte(at.UnixMilli() >> (40 - 8*i))
	}
	return spell(id)[:10]
}

func spell(id [16]byte) string {
	// 26 digits of 5 bits hold the 128, from the left with two of padding.
	out := make([]byte, 26)
	for i := range out {
		v := 0
		for bit := i*5 - 2; bit < i*5+3; bit++ {
			v <<= 1
			if bit >= 0 {
				v |= int(id[bit/8]>>(7-bit%8)) & 1
			}
		}
		out[i] = alphabet[v]
	}
	return string(out)
}
