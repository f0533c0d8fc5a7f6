package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// likeMemory does the same random things to a store and to a memory store.
// They must answer alike at each commit and show the same afterwards.
func likeMemory(t *testing.T, open func(t *testing.T) store.Store) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			m := newModel(seed, memory.New(), open(t))
			for i := range 120 {
				m.step(t)
				if i%20 == 19 {
					if diff := difference(dump(t, m.sides[0]), dump(t, m.sides[1])); diff != "" {
						t.Fatalf("seed %d, after commit %d: memory (-) and the store (+) differ:\n%s", seed, i, diff)
					}
				}
			}
		})
	}
}

// model makes random commits for one or more stores. The stores may give out
// different ids, so what it does names records by their order of creation.
type model struct {
	rand     *rand.Rand
	sides    []*side
	versions map[store.ExecutionID]int64 // as kept
	removed  map[store.ExecutionID]bool  // maybe: true once the store says so
	last     store.ExecutionID
}

// side is one store and the ids it gave to the records.
type side struct {
	store.Store
	machines   []store.MachineID
	revisions  []store.RevisionID
	activities []store.ActivityID
}

func newModel(seed uint64, stores ...store.Store) *model {
	m := &model{rand: rand.New(rand.NewPCG(seed, 1)), versions: map[store.ExecutionID]int64{}, removed: map[store.ExecutionID]bool{}}
	for _, s := range stores {
		m.sides = append(m.sides, &side{Store: s})
	}
	return m
}

const modelMachines, modelActivities = 4, 3

// step makes one commit and compares the errors.
func (m *model) step(t *testing.T) {
	t.Helper()
	var executions []store.ExecutionCommit
	for range m.rand.IntN(6) {
		executions = append(executions, m.execution())
	}
	var writes []func(context.Context, store.Tx, *side) error
	for range m.rand.IntN(3) {
		writes = append(writes, m.write())
	}
	var answers []string
	for _, s := range m.sides {
		c := &store.Commit{}
		for _, x := range executions {
			x.Enqueue = slices.Clone(x.Enqueue) // Commit fills it in
			c.Executions = append(c.Executions, x)
		}
		for _, do := range writes {
			c.Writes = append(c.Writes, store.Write{Do: func(ctx context.Context, tx store.Tx) error { return do(ctx, tx, s) }})
		}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		answer := ""
		for _, x := range c.Executions {
			answer += fmt.Sprintf("execution %d at %d: %v\n", x.ID, x.Version, kind(x.Err))
		}
		for _, w := range c.Writes {
			answer += fmt.Sprintf("write: %v\n", kind(w.Err))
		}
		answers = append(answers, answer)
		if s == m.sides[0] {
			m.learn(c)
		}
	}
	for _, answer := range answers[1:] {
		if diff := cmp.Diff(answers[0], answer); diff != "" {
			t.Fatalf("the answers to a commit differ:\n%s", diff)
		}
	}
}

var errUndo = errors.New("undo")

// kind is the part of an error that all stores agree on.
func kind(err error) error {
	for _, kind := range []error{store.ErrConflict, store.ErrExists, store.ErrNotFound, errUndo} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func (m *model) learn(c *store.Commit) {
	for _, x := range c.Executions {
		if x.Err == nil {
			m.versions[x.ID]++
			m.last = max(m.last, x.ID)
		}
	}
	for id := range m.removed {
		_, err := m.sides[0].Execution(ctx, id)
		if m.removed[id] = errors.Is(err, store.ErrNotFound); !m.removed[id] {
			delete(m.removed, id)
		}
	}
}

// execution makes a start or a step; some of them are to fail.
func (m *model) execution() store.ExecutionCommit {
	r := m.rand
	id := 1 + store.ExecutionID(r.Int64N(int64(m.last)+3))
	x := store.ExecutionCommit{ID: id, Version: m.versions[id], Delta: m.delta()}
	if r.IntN(10) == 0 {
		x.Version++
	}
	if !m.removed[id] && (x.Version == 0 || r.IntN(20) == 0) { // an id is never used again
		x.Version = 0
		x.New = &store.NewExecution{
			Machine: store.MachineID(1 + r.IntN(modelMachines)), Revision: 1, Name: fmt.Sprint("name-", r.IntN(40)),
			Generated: r.IntN(2) == 0, StartedAt: r.Int64N(1e12), Input: m.text(), Trace: m.text(), Via: m.via(),
		}
	}
	for range r.IntN(3) {
		x.Enqueue = append(x.Enqueue, store.QueuedTask{
			Activity: store.ActivityID(1 + r.IntN(modelActivities)),
			Task:     engine.TaskID{Frame: engine.FrameID(1 + r.IntN(4)), Attempt: r.Uint32N(1 << 30)},
		})
	}
	for _, q := range x.Enqueue {
		if r.IntN(3) == 0 {
			x.Dequeue = append(x.Dequeue, q.Task)
		}
	}
	// Withdraw something older, if there is anything.
	activity := store.ActivityID(1 + r.IntN(modelActivities))
	if queued, err := m.sides[0].Queued(ctx, activity, 0, 20); err == nil {
		for _, q := range queued {
			if q.Execution == id && r.IntN(2) == 0 {
				x.Dequeue = append(x.Dequeue, q.Task)
			}
		}
	}
	return x
}

func (m *model) via() (via store.Via) {
	if m.rand.IntN(2) == 0 {
		via.Number = 1 + m.rand.Int64N(3)
	}
	if via.Number > 0 && m.rand.IntN(2) == 0 {
		via.Alias = fmt.Sprint("alias-", m.rand.IntN(3))
	}
	return via
}

func (m *model) delta() engine.Delta {
	r := m.rand
	d := engine.Delta{Pending: r.IntN(3) == 0, Head: []byte(m.text())}
	if r.IntN(3) == 0 {
		d.Due = 1 + r.Int64N(1000)
	}
	d.Status = engine.Status(max(0, r.IntN(15)-10))
	if d.Status != engine.Running { // what runs has no outcome yet
		text, text2, text3 := m.text(), m.text(), m.text()
		d.StoppedAt, d.Output, d.Error, d.Cause = r.Int64N(1e12), &text, &text2, &text3
	}
	if r.IntN(4) > 0 {
		d.History = engine.Chunk{First: 1 + r.Int64N(1000), Count: 1 + r.Int64N(30), Data: []byte(m.text())}
	}
	for range r.IntN(4) {
		d.Frames = append(d.Frames, engine.FrameRecord{ID: engine.FrameID(2 + r.IntN(6)), Data: []byte("f" + m.text())})
	}
	for range r.IntN(2) {
		d.Removed = append(d.Removed, engine.FrameID(2+r.IntN(6)))
	}
	return d
}

// text is mostly short and sometimes long.
func (m *model) text() string {
	switch m.rand.IntN(12) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(fmt.Sprint(m.rand.IntN(1000), " "), 1000)
	default:
		return fmt.Sprintf(`{"n":%d}`, m.rand.IntN(1000))
	}
}

func (m *model) tags() (tags []store.Tag) {
	for range m.rand.IntN(3) {
		tags = append(tags, store.Tag{Key: m.text(), Value: m.text()})
	}
	return tags
}

// write makes a write; about one in four fails after all.
func (m *model) write() func(context.Context, store.Tx, *side) error {
	var steps []func(context.Context, store.Tx, *side) error
	for range 1 + m.rand.IntN(3) {
		steps = append(steps, m.change())
	}
	undo := m.rand.IntN(4) == 0
	return func(ctx context.Context, tx store.Tx, s *side) error {
		machines, revisions, activities := s.machines, s.revisions, s.activities
		err := error(nil)
		for _, step := range steps {
			if err = step(ctx, tx, s); err != nil {
				break
			}
		}
		if err == nil && undo {
			err = errUndo
		}
		if err != nil {
			s.machines, s.revisions, s.activities = machines, revisions, activities
		}
		return err
	}
}

// change makes one change with the facts drawn now, so that each side does
// the same.
func (m *model) change() func(context.Context, store.Tx, *side) error {
	r := m.rand
	name, which, tags, text, at := fmt.Sprint("record-", r.IntN(6)), r.IntN(1000), m.tags(), m.text(), r.Int64N(1e12)
	number := 1 + r.Int64N(6)
	switch r.IntN(20) {
	case 0, 1:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			created, err := tx.CreateMachine(ctx, store.Machine{Name: name, Type: "STANDARD", CreatedAt: at, UpdatedAt: at, Tags: tags},
				store.Revision{Definition: text, RoleARN: name, CreatedAt: at})
			if err == nil {
				s.machines, s.revisions = append(s.machines, created.ID), append(s.revisions, created.Current)
			}
			return err
		}
	case 2:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			id, err := tx.AddRevision(ctx, store.Revision{Machine: pick(s.machines, which), UUID: name, Definition: text, CreatedAt: at, Configuration: []byte(name)})
			if err == nil {
				s.revisions = append(s.revisions, id)
			}
			return err
		}
	case 3:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.SaveMachine(ctx, store.Machine{ID: pick(s.machines, which), UpdatedAt: at, Deleting: at%2 == 0, Tags: tags})
		}
	case 4:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.DeleteMachine(ctx, pick(s.machines, which))
		}
	case 5:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			created, err := tx.CreateActivity(ctx, store.Activity{Name: name, CreatedAt: at, Configuration: []byte(name), Tags: tags})
			if err == nil {
				s.activities = append(s.activities, created.ID)
			}
			return err
		}
	case 6:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.SaveActivity(ctx, store.Activity{ID: pick(s.activities, which), Tags: tags})
		}
	case 7, 8:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			_, err := tx.AddVersion(ctx, store.Version{Machine: pick(s.machines, which), Revision: store.RevisionID(number), Description: text, CreatedAt: at})
			return err
		}
	case 9:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.DeleteVersion(ctx, pick(s.machines, which), number)
		}
	case 10:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.SaveAlias(ctx, store.Alias{Machine: pick(s.machines, which), Name: name, Description: text, Routes: []store.Route{{Number: number, Weight: at}}})
		}
	case 11:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.DeleteAlias(ctx, pick(s.machines, which), name)
		}
	case 12, 13:
		rec := store.Record{Kind: "k", ID: name, Version: number - 1, Data: []byte("{" + text)}
		for key := range r.IntN(4) {
			rec.Keys = append(rec.Keys, fmt.Sprint(key, " ", r.IntN(3)))
		}
		blind := r.IntN(3) == 0
		return func(ctx context.Context, tx store.Tx, s *side) error {
			if kept, err := tx.Record(ctx, "k", name); !blind && !errors.Is(err, store.ErrNotFound) {
				if err != nil {
					return err
				}
				rec.Version = kept.Version
			} else if !blind {
				rec.Version = 0
			}
			return tx.SaveRecord(ctx, rec)
		}
	case 14:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.DeleteRecord(ctx, "k", name)
		}
	case 15:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			_, err := tx.AddEvent(ctx, store.Event{At: at, Type: text, Topics: []string{name, "all"}, Data: []byte("{" + text)})
			return err
		}
	case 16, 17:
		id, before := 1+store.ExecutionID(r.Int64N(int64(m.last)+1)), r.Int64N(2e12)
		if m.versions[id] > 0 {
			m.removed[id] = false
		}
		return func(ctx context.Context, tx store.Tx, _ *side) error { return tx.RemoveExecution(ctx, id, before) }
	case 18:
		return func(ctx context.Context, tx store.Tx, _ *side) error {
			_, err := tx.RemoveLeftovers(ctx, 1+which%5)
			return err
		}
	default:
		return func(ctx context.Context, tx store.Tx, s *side) error {
			return tx.DeleteActivity(ctx, pick(s.activities, which))
		}
	}
}

// pick chooses an id, some of which are gone; with none there, one that never
// was.
func pick[ID ~int64](ids []ID, which int) ID {
	if len(ids) == 0 {
		return 12345
	}
	return ids[which%len(ids)]
}

// shown is all that a store shows, with the ids it gave out replaced by their
// order.
type shown struct {
	Last       store.ExecutionID
	Executions []shownExecution
	Named      []string
	Lists      []string
	Pending    []store.ExecutionID
	Due        []store.DueExecution
	Queues     [][]store.QueuedTask
	Machines   []store.Machine
	Versions   [][]store.Version
	Aliases    [][]store.Alias
	Revisions  []store.Revision
	Activities []store.Activity
	Records    []store.Found
	Events     []store.Event
	Topics     [][]store.Event
}

type shownExecution struct {
	Execution      store.Execution
	Snapshot       store.SnapshotRecord
	Oldest, Newest []engine.Chunk
}

// difference is cmp.Diff, but fast where there is none.
func difference(a, b shown) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	return cmp.Diff(a, b)
}

func dump(t *testing.T, s *side) (d shown) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{T: t, Store: s.Store}
	var err error
	d.Last, err = s.LastExecution(ctx)
	check(err)
	for id := store.ExecutionID(1); id <= d.Last; id++ {
		x := shownExecution{}
		x.Execution, err = s.Execution(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		check(err)
		x.Snapshot, err = s.Snapshot(ctx, id)
		check(err)
		x.Oldest, err = w.chunks(id, false)
		check(err)
		x.Newest, err = w.chunks(id, true)
		check(err)
		slices.Reverse(x.Newest)
		if !reflect.DeepEqual(x.Oldest, x.Newest) {
			t.Errorf("history of %d differs with the direction", id)
		}
		d.Executions = append(d.Executions, x)
	}
	for machine := store.MachineID(1); machine <= modelMachines; machine++ {
		for i := range 40 {
			x, err := s.ExecutionNamed(ctx, machine, fmt.Sprint("name-", i))
			if !errors.Is(err, store.ErrNotFound) {
				check(err)
				d.Named = append(d.Named, fmt.Sprint(machine, " ", i, " ", x.ID))
			}
		}
		for status := engine.Running; status <= engine.Aborted+1; status++ {
			for _, via := range []store.Via{{}, {Number: 2}, {Alias: "alias-1"}} {
				q := store.ExecutionQuery{Machine: machine, Via: via, Status: &status, Limit: 3}
				if status > engine.Aborted {
					q.Status = nil
				}
				d.Lists = append(d.Lists, pages(t, s, q))
			}
		}
	}
	d.Pending, err = s.Pending(ctx, 0, 1000)
	check(err)
	d.Due, err = s.Due(ctx, time.UnixMilli(700), 1000)
	check(err)
	order := store.ExecutionID(0)
	for activity := store.ActivityID(1); activity <= modelActivities; activity++ {
		queued, err := s.Queued(ctx, activity, 0, 10000)
		check(err)
		for i := range queued {
			if i > 0 && store.ExecutionID(queued[i].Seq) <= order {
				t.Errorf("queue out of order: %+v", queued)
			}
			order = store.ExecutionID(queued[i].Seq)
			queued[i].Seq = 0
		}
		d.Queues = append(d.Queues, queued)
	}
	d.Machines, err = s.Store.Machines(ctx, "", 1000)
	check(err)
	for i := range d.Machines {
		m := &d.Machines[i]
		versions, err := s.Store.Versions(ctx, m.ID, 0, 1000)
		check(err)
		for i := range versions {
			versions[i].Machine = 0
		}
		aliases, err := s.Store.Aliases(ctx, m.ID, "", 1000)
		check(err)
		for i := range aliases {
			aliases[i].Machine = 0
		}
		d.Versions, d.Aliases = append(d.Versions, versions), append(d.Aliases, aliases)
		m.ID = store.MachineID(slices.Index(s.machines, m.ID))
		m.Current = store.RevisionID(slices.Index(s.revisions, m.Current))
	}
	for i, id := range s.revisions {
		r, err := s.Revision(ctx, id)
		check(err)
		r.ID, r.Machine = store.RevisionID(i), store.MachineID(slices.Index(s.machines, r.Machine))
		d.Revisions = append(d.Revisions, r)
	}
	d.Activities, err = s.Store.Activities(ctx, "", 1000)
	check(err)
	d.Records, err = s.Store.Records(ctx, store.RecordQuery{Kind: "k", Limit: 1000})
	check(err)
	d.Events, err = s.Store.Events(ctx, 0, 10000)
	check(err)
	for i := range 6 {
		list, err := s.Store.EventsOf(ctx, fmt.Sprint("record-", i), 0, 1000)
		check(err)
		d.Topics = append(d.Topics, list)
	}
	for i := range d.Activities {
		d.Activities[i].ID = store.ActivityID(slices.Index(s.activities, d.Activities[i].ID))
	}
	return d
}

// pages lists executions page by page.
func pages(t *testing.T, s store.Store, q store.ExecutionQuery) string {
	t.Helper()
	text := ""
	for {
		list, err := s.Executions(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			text += fmt.Sprint(x, " ")
			q.Before = x.ID
		}
		if len(list) < q.Limit {
			return text
		}
		text += "| "
	}
}
