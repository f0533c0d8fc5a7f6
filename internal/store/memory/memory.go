// Package memory keeps everything in maps. It is the reference that the other
// stores are compared with, and runs executions that need not outlive the
// process.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Store is a store.Store that lasts as long as the process.
type Store struct {
	secret [32]byte

	mu         sync.RWMutex
	stats      store.Stats
	executions map[store.ExecutionID]*execution
	last       store.ExecutionID
	listed     map[store.MachineID][]store.ExecutionID // ascending
	names      map[name]store.ExecutionID
	pending    map[store.ExecutionID]bool
	due        map[store.ExecutionID]int64
	queues     map[store.ActivityID][]store.QueuedTask // by Seq
	lastSeq    int64

	machines     map[store.MachineID]store.Machine
	machineIDs   map[string]store.MachineID
	lastMachine  store.MachineID
	revisions    map[store.RevisionID]store.Revision
	lastRevision store.RevisionID
	versions     map[version]store.Version
	lastVersion  map[store.MachineID]int64
	aliases      map[name]store.Alias
	activities   map[string]store.Activity
	lastActivity store.ActivityID

	mapRuns    map[store.MapRunID]store.MapRun
	mapRunIDs  map[string]store.MapRunID
	lastMapRun store.MapRunID
	children   map[store.MapRunID][]store.ExecutionID // ascending
	results    map[store.MapRunID][][]byte

	starts map[store.ExecutionID]store.ExpressStart

	settings map[settingKey]store.Setting
	records  map[recordName]store.Record
	keys     map[string][]recordKey // by kind, sorted
	events   []store.Event
	topics   map[string][]int64 // ascending

	usages    []store.Usage // by id, from 1 on
	usageKeys map[[2]string]int64
	usageRuns map[string][]int64
	sums      map[store.SumKey]store.UsageTotals
}

var _ store.Store = (*Store)(nil)

type name struct {
	machine store.MachineID
	name    string
}

type settingKey struct{ kind, name string }

type version struct {
	machine store.MachineID
	number  int64
}

// execution is all that is kept of one execution.
type execution struct {
	record store.Execution
	head   []byte
	frames map[engine.FrameID][]byte
	chunks []engine.Chunk // oldest first
}

// New makes an empty store.
func New() *Store {
	s := &Store{
		executions: map[store.ExecutionID]*execution{},
		listed:     map[store.MachineID][]store.ExecutionID{},
		names:      map[name]store.ExecutionID{},
		pending:    map[store.ExecutionID]bool{},
		due:        map[store.ExecutionID]int64{},
		queues:     map[store.ActivityID][]store.QueuedTask{},
		machines:   map[store.MachineID]store.Machine{},
		machineIDs: map[string]store.MachineID{},
		revisions:  map[store.RevisionID]store.Revision{},
		activities: map[string]store.Activity{},

		versions:    map[version]store.Version{},
		lastVersion: map[store.MachineID]int64{},
		aliases:     map[name]store.Alias{},

		mapRuns:   map[store.MapRunID]store.MapRun{},
		mapRunIDs: map[string]store.MapRunID{},
		children:  map[store.MapRunID][]store.ExecutionID{},
		results:   map[store.MapRunID][][]byte{},

		starts: map[store.ExecutionID]store.ExpressStart{},

		settings: map[settingKey]store.Setting{},
		records:  map[recordName]store.Record{},
		keys:     map[string][]recordKey{},
		topics:   map[string][]int64{},

		usageKeys: map[[2]string]int64{},
		usageRuns: map[string][]int64{},
		sums:      map[store.SumKey]store.UsageTotals{},
	}
	rand.Read(s.secret[:])
	return s
}

// Commit keeps the executions first and then the writes, each in their order.
// Readers wait meanwhile, so a write must read through its Tx alone.
func (s *Store) Commit(ctx context.Context, c *store.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range c.Executions {
		x := &c.Executions[i]
		if x.Err = s.guard(x); x.Err == nil {
			s.keep(x)
		}
	}
	for i := range c.Writes {
		s.write(ctx, &c.Writes[i])
	}
	s.stats.Commits++
	return nil
}

// guard says why x cannot be kept, if so.
func (s *Store) guard(x *store.ExecutionCommit) error {
	kept := s.executions[x.ID]
	if x.New == nil {
		if kept == nil || kept.record.Version != x.Version {
			return store.ErrConflict
		}
		return nil
	}
	if kept != nil {
		return store.ErrConflict
	}
	if _, taken := s.names[name{x.New.Machine, x.New.Name}]; taken && !x.New.Generated {
		return store.ErrExists
	}
	return nil
}

func (s *Store) keep(x *store.ExecutionCommit) {
	if x.New != nil {
		s.start(x.ID, x.New)
	}
	d, kept := &x.Delta, s.executions[x.ID]
	r := &kept.record
	r.Version++
	r.Status, r.StoppedAt = d.Status, d.StoppedAt
	r.Redrives, r.RedrivenAt = d.Redrives, d.RedrivenAt
	r.Output, r.Error, r.Cause = d.Output, d.Error, d.Cause
	if h := d.History; h.Count > 0 {
		r.LastEvent = h.First + h.Count - 1
		h.Data = bytes.Clone(h.Data)
		kept.chunks = append(kept.chunks, h)
	}
	kept.keepFrames(d)
	s.index(x.ID, d)
	s.keepQueue(x)
	for _, c := range x.MapRuns {
		s.changeMapRun(x.ID, c)
	}
}

func (s *Store) start(id store.ExecutionID, n *store.NewExecution) {
	s.executions[id] = &execution{record: store.Execution{
		ID: id, Machine: n.Machine, Revision: n.Revision, Name: n.Name,
		StartedAt: n.StartedAt, Input: n.Input, Trace: n.Trace, Via: n.Via, Child: n.Child,
	}}
	if !n.Generated {
		s.names[name{n.Machine, n.Name}] = id
	}
	if n.Child.Run != 0 {
		s.children[n.Child.Run] = with(s.children[n.Child.Run], id)
	} else {
		s.listed[n.Machine] = with(s.listed[n.Machine], id)
	}
	s.last = max(s.last, id)
}

// with puts id into an ascending list.
func with(ids []store.ExecutionID, id store.ExecutionID) []store.ExecutionID {
	at, _ := slices.BinarySearch(ids, id)
	return slices.Insert(ids, at, id)
}

// keepFrames replaces what engine.Restore needs. Nothing of it is kept once
// the execution has succeeded.
func (x *execution) keepFrames(d *engine.Delta) {
	if d.Status == engine.Succeeded {
		x.head, x.frames = nil, nil
		return
	}
	x.head = nil
	if len(d.Head) > 0 {
		x.head = bytes.Clone(d.Head)
	}
	for _, f := range d.Frames {
		if x.frames == nil {
			x.frames = map[engine.FrameID][]byte{}
		}
		x.frames[f.ID] = bytes.Clone(f.Data)
	}
	for _, id := range d.Removed {
		delete(x.frames, id)
	}
}

func (s *Store) index(id store.ExecutionID, d *engine.Delta) {
	delete(s.pending, id)
	delete(s.due, id)
	if d.Pending {
		s.pending[id] = true
	}
	if d.Due > 0 {
		s.due[id] = d.Due
	}
}

// keepQueue adds before it takes away: the steps of a commit may have
// withdrawn what they had offered, and a task is offered once only.
func (s *Store) keepQueue(x *store.ExecutionCommit) {
	for i := range x.Enqueue {
		s.lastSeq++
		q := &x.Enqueue[i]
		q.Execution, q.Seq = x.ID, s.lastSeq
		s.queues[q.Activity] = append(s.queues[q.Activity], *q)
	}
	if len(x.Dequeue) == 0 {
		return
	}
	for activity, queue := range s.queues {
		s.queues[activity] = slices.DeleteFunc(queue, func(q store.QueuedTask) bool {
			return q.Execution == x.ID && slices.Contains(x.Dequeue, q.Task)
		})
	}
}

// Execution finds an execution's record.
func (s *Store) Execution(_ context.Context, id store.ExecutionID) (store.Execution, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x, ok := s.executions[id]
	if !ok {
		return store.Execution{}, fmt.Errorf("execution %d: %w", id, store.ErrNotFound)
	}
	return x.record, nil
}

// ExecutionNamed finds an execution by the name its caller gave it.
func (s *Store) ExecutionNamed(_ context.Context, machine store.MachineID, n string) (store.Execution, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	id, ok := s.names[name{machine, n}]
	if !ok {
		return store.Execution{}, fmt.Errorf("execution %q of machine %d: %w", n, machine, store.ErrNotFound)
	}
	return s.executions[id].record, nil
}

// Executions lists executions of a machine, of all or of a Map Run, newest
// first.
func (s *Store) Executions(_ context.Context, q store.ExecutionQuery) (list []store.Execution, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.each(q, func(x store.Execution) {
		x.Input, x.Output, x.Error, x.Cause = "", nil, nil, nil
		list = append(list, x)
	})
	return list, nil
}

// CountExecutions counts what Executions would list.
func (s *Store) CountExecutions(_ context.Context, q store.ExecutionQuery) (n int64, oldest store.ExecutionID, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.each(q, func(x store.Execution) { n, oldest = n+1, x.ID })
	return n, oldest, nil
}

// each goes through what a query selects. The lock is held.
func (s *Store) each(q store.ExecutionQuery, do func(store.Execution)) {
	var lists [][]store.ExecutionID
	switch {
	case q.Run != 0:
		lists = append(lists, s.children[q.Run])
	case q.Machine != 0:
		lists = append(lists, s.listed[q.Machine])
	default:
		for _, ids := range s.listed {
			lists = append(lists, ids)
		}
	}
	if q.Before > 0 {
		for i, ids := range lists {
			at, _ := slices.BinarySearch(ids, q.Before)
			lists[i] = ids[:at]
		}
	}
	for n := 0; n < q.Limit; {
		newest := -1
		for i, ids := range lists {
			if len(ids) > 0 && (newest < 0 || ids[len(ids)-1] > lists[newest][len(lists[newest])-1]) {
				newest = i
			}
		}
		if newest < 0 {
			return
		}
		ids := lists[newest]
		id := ids[len(ids)-1]
		if id <= q.After {
			return
		}
		lists[newest] = ids[:len(ids)-1]
		x := s.executions[id].record
		if q.Status != nil && x.Status != *q.Status || !started(x.Via, q.Via) {
			continue
		}
		n++
		do(x)
	}
}

// FirstSince finds the first execution since a time.
func (s *Store) FirstSince(_ context.Context, at int64) (store.ExecutionID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	first := s.last + 1
	for id, x := range s.executions {
		if x.record.StartedAt >= at {
			first = min(first, id)
		}
	}
	return first, nil
}

// started reports whether an execution started by via belongs in a list of
// those that want started.
func started(via, want store.Via) bool {
	if want.Alias != "" {
		return via.Alias == want.Alias
	}
	return want.Number == 0 || via.Number == want.Number
}

// Snapshot reads what engine.Restore needs.
func (s *Store) Snapshot(_ context.Context, id store.ExecutionID) (r store.SnapshotRecord, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x, ok := s.executions[id]
	if !ok {
		return r, fmt.Errorf("snapshot of execution %d: %w", id, store.ErrNotFound)
	}
	r.Execution, r.Head = x.record, x.head
	for _, frame := range slices.Sorted(maps.Keys(x.frames)) {
		r.Frames = append(r.Frames, engine.FrameRecord{ID: frame, Data: x.frames[frame]})
	}
	return r, nil
}

// History calls yield with the chunks of an execution, as they were when it
// was called.
func (s *Store) History(_ context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error {
	s.mu.RLock()
	x, ok := s.executions[id]
	var chunks []engine.Chunk
	if ok {
		chunks = x.chunks // only ever appended to
	}
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("history of execution %d: %w", id, store.ErrNotFound)
	}
	if from != 0 {
		holding := sort.Search(len(chunks), func(i int) bool { return chunks[i].First+chunks[i].Count > from })
		if newestFirst {
			chunks = chunks[:min(holding+1, len(chunks))]
		} else {
			chunks = chunks[holding:]
		}
	}
	for i := range chunks {
		if newestFirst {
			i = len(chunks) - 1 - i
		}
		if !yield(chunks[i]) {
			break
		}
	}
	return nil
}

// LastExecution is the highest execution id, 0 if there is none.
func (s *Store) LastExecution(context.Context) (store.ExecutionID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last, nil
}

// Pending lists executions that have to be looked at after a crash.
func (s *Store) Pending(_ context.Context, after store.ExecutionID, limit int) (list []store.ExecutionID, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id := range s.pending {
		if id > after {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return first(list, limit), nil
}

// Due lists executions whose time has come, earliest first.
func (s *Store) Due(_ context.Context, until time.Time, limit int) (list []store.DueExecution, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, due := range s.due {
		if due <= until.UnixMilli() {
			list = append(list, store.DueExecution{ID: id, Due: due})
		}
	}
	slices.SortFunc(list, func(a, b store.DueExecution) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
	return first(list, limit), nil
}

// Queued lists an activity's waiting tasks in the order in which they came.
func (s *Store) Queued(_ context.Context, activity store.ActivityID, after int64, limit int) (list []store.QueuedTask, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, q := range s.queues[activity] {
		if q.Seq > after {
			list = append(list, q)
		}
	}
	return first(list, limit), nil
}

// first returns the first limit elements, nil if there are none.
func first[T any](list []T, limit int) []T {
	if len(list) == 0 || limit <= 0 {
		return nil
	}
	return list[:min(len(list), limit)]
}

// Secret returns the store's random key.
func (s *Store) Secret(context.Context) ([32]byte, error) { return s.secret, nil }

// Stats counts commits; there is nothing to sync or write.
func (s *Store) Stats() store.Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stats
}

// Close does nothing: what is kept goes with the Store.
func (s *Store) Close() error { return nil }
