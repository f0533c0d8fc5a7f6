// Package storetest holds the contract of store.Store as tests: Run for every
// store, RunDurable for those that outlive the process.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Run tests what every store must keep to. open gives an empty store and
// closes it when the test has ended.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(*world){
		"ExecutionLives":      executionLives,
		"Payloads":            payloads,
		"GuardsFailAlone":     guardsFailAlone,
		"SameExecutionTwice":  sameExecutionTwice,
		"Names":               names,
		"List":                list,
		"Pending":             pending,
		"Due":                 due,
		"Queue":               queue,
		"FramesUntilSuccess":  framesUntilSuccess,
		"FramesFreeze":        framesFreeze,
		"History":             history,
		"HistoryOfThousands":  historyOfThousands,
		"Machines":            machines,
		"Revisions":           revisions,
		"Versions":            versions,
		"Aliases":             aliases,
		"ListVia":             listVia,
		"Activities":          activities,
		"ExpressStarts":       expressStarts,
		"MapRuns":             mapRuns,
		"MapRunChildren":      mapRunChildren,
		"MapRunResults":       mapRunResults,
		"Remove":              remove,
		"RemoveIsUndone":      removeIsUndone,
		"RemoveMapRuns":       removeMapRuns,
		"RemoveTheNewest":     removeTheNewest,
		"Outlines":            outlines,
		"OldRevisions":        oldRevisions,
		"Settings":            settings,
		"Records":             records,
		"RecordsByKey":        recordsByKey,
		"Events":              events,
		"Usages":              usages,
		"UsageSums":           usageSums,
		"WritesAreUndone":     writesAreUndone,
		"WritesSeeThemselves": writesSeeThemselves,
		"NothingThere":        nothingThere,
		"Secret":              secret,
		"Stats":               stats,
		"EndedContext":        endedContext,
		"ReadersMeanwhile":    readersMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { test(&world{T: t, Store: open(t)}) })
	}
	t.Run("LikeMemory", func(t *testing.T) { likeMemory(t, open) })
}

// world is a store under test with what a test does to it all the time.
type world struct {
	*testing.T
	store.Store
}

var ctx = context.Background()

// commit commits and fails the test if the commit as a whole fails.
func (w *world) commit(c *store.Commit) {
	w.Helper()
	if err := w.Commit(ctx, c); err != nil {
		w.Fatalf("Commit: %v", err)
	}
}

// keep commits one execution, which must hold.
func (w *world) keep(x store.ExecutionCommit) {
	w.Helper()
	if err := w.try(x); err != nil {
		w.Fatalf("commit of execution %d at version %d: %v", x.ID, x.Version, err)
	}
}

// try commits one execution and returns what its guard says.
func (w *world) try(x store.ExecutionCommit) error {
	w.Helper()
	c := &store.Commit{Executions: []store.ExecutionCommit{x}}
	w.commit(c)
	return c.Executions[0].Err
}

// write commits one write, which must hold.
func (w *world) write(do func(tx store.Tx) error) {
	w.Helper()
	if err := w.tryWrite(do); err != nil {
		w.Fatalf("write: %v", err)
	}
}

func (w *world) tryWrite(do func(tx store.Tx) error) error {
	w.Helper()
	c := &store.Commit{Writes: []store.Write{{Do: func(_ context.Context, tx store.Tx) error { return do(tx) }}}}
	w.commit(c)
	return c.Writes[0].Err
}

// same compares what was read with what is wanted.
func same[T any](w *world, what string, want T) func(got T, err error) {
	w.Helper()
	return func(got T, err error) {
		w.Helper()
		if err != nil {
			w.Errorf("%s: %v", what, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// fails checks that an error is the one wanted.
func (w *world) fails(what string, got, want error) {
	w.Helper()
	if !errors.Is(got, want) {
		w.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// newExecution is a new execution of machine 1 with a generated name.
func newExecution(id store.ExecutionID, d engine.Delta) store.ExecutionCommit {
	return store.ExecutionCommit{ID: id, New: &store.NewExecution{
		Machine: 1, Revision: 1, Name: fmt.Sprint("generated-", id), Generated: true, StartedAt: 1000 + int64(id), Input: "{}",
	}, Delta: d}
}

func chunk(first, count int64) engine.Chunk {
	return engine.Chunk{First: first, Count: count, Data: fmt.Appendf(nil, "events %d to %d", first, first+count-1)}
}

func ptr[T any](v T) *T { return &v }

func executionLives(w *world) {
	w.keep(store.ExecutionCommit{
		ID:    7,
		New:   &store.NewExecution{Machine: 3, Revision: 4, Name: "n", StartedAt: 1000, Input: `{"a":1}`, Trace: "Root=1"},
		Delta: engine.Delta{Status: engine.Running, History: chunk(1, 3), Head: []byte("head 1"), Pending: true},
	})
	want := store.Execution{
		ID: 7, Machine: 3, Revision: 4, Name: "n", Version: 1, Status: engine.Running,
		StartedAt: 1000, LastEvent: 3, Trace: "Root=1", Input: `{"a":1}`,
	}
	same(w, "started", want)(w.Execution(ctx, 7))
	same(w, "snapshot", store.SnapshotRecord{Execution: want, Head: []byte("head 1")})(w.Snapshot(ctx, 7))

	w.keep(store.ExecutionCommit{ID: 7, Version: 1, Delta: engine.Delta{History: chunk(4, 2), Head: []byte("head 2"), Pending: true}})
	want.Version, want.LastEvent = 2, 5
	same(w, "moved on", store.SnapshotRecord{Execution: want, Head: []byte("head 2")})(w.Snapshot(ctx, 7))

	w.keep(store.ExecutionCommit{ID: 7, Version: 2, Delta: engine.Delta{Head: []byte("head 3"), Due: 9000}})
	want.Version = 3
	same(w, "without events", store.SnapshotRecord{Execution: want, Head: []byte("head 3")})(w.Snapshot(ctx, 7))

	w.keep(store.ExecutionCommit{ID: 7, Version: 3, Delta: engine.Delta{Status: engine.Succeeded, StoppedAt: 2000, Output: ptr(`"out"`), History: chunk(6, 1)}})
	want.Version, want.LastEvent, want.Status, want.StoppedAt, want.Output = 4, 6, engine.Succeeded, 2000, ptr(`"out"`)
	same(w, "ended", store.SnapshotRecord{Execution: want})(w.Snapshot(ctx, 7))
	same(w, "ended", want)(w.Execution(ctx, 7))
	same(w, "last", store.ExecutionID(7))(w.LastExecution(ctx))
}

// payloads shows that texts come back as they were, whatever is in them.
func payloads(w *world) {
	id := store.ExecutionID(0)
	f := func(text string) {
		w.Helper()
		id++
		w.keep(store.ExecutionCommit{
			ID:    id,
			New:   &store.NewExecution{Machine: 1, Name: "name " + text, Generated: true, Input: text, Trace: text},
			Delta: engine.Delta{Status: engine.Failed, Output: &text, Error: &text, Cause: &text, History: engine.Chunk{First: 1, Count: 1, Data: []byte(text)}},
		})
		want := store.Execution{
			ID: id, Machine: 1, Name: "name " + text, Version: 1, Status: engine.Failed, LastEvent: 1,
			Input: text, Trace: text, Output: &text, Error: &text, Cause: &text,
		}
		same(w, "execution", want)(w.Execution(ctx, id))
		err := w.History(ctx, id, 0, false, func(c engine.Chunk) bool {
			if string(c.Data) != text {
				w.Errorf("history of %d bytes came back as %d others", len(text), len(c.Data))
			}
			return true
		})
		w.fails("History", err, nil)
	}
	f("")
	f(`{"ü":"日本語 🎈"}`)
	f("a\x00b")
	f("not \xff UTF-8")
	f("'; DROP TABLE executions; --")
	for _, size := range []int{2047, 2048, 2049, 256 << 10, 1 << 20} {
		f(strings.Repeat("0123456789abcdef", size/16+1)[:size])
	}
}

func guardsFailAlone(w *world) {
	w.keep(newExecution(1, engine.Delta{History: chunk(1, 1)}))
	w.keep(newExecution(2, engine.Delta{History: chunk(1, 1)}))
	before, _ := w.Snapshot(ctx, 1)

	bad := engine.Delta{
		Status: engine.Failed, Error: ptr("Bad"), History: chunk(2, 1), Head: []byte("bad"), Due: 5, Pending: true,
		Frames: []engine.FrameRecord{{ID: 2, Data: []byte("bad")}},
	}
	enqueue := []store.QueuedTask{{Activity: 1, Task: engine.TaskID{Frame: 1, Attempt: 1}}}
	c := &store.Commit{Executions: []store.ExecutionCommit{
		{ID: 1, Version: 2, Delta: bad, Enqueue: enqueue}, // a version that is not there yet
		{ID: 2, Version: 1, Delta: engine.Delta{History: chunk(2, 1)}},
		{ID: 9, Version: 1, Delta: bad, Enqueue: enqueue}, // not there at all
		newExecution(3, engine.Delta{}),
		newExecution(1, bad), // new, but there
	}}
	w.commit(c)
	for i, want := range []error{store.ErrConflict, nil, store.ErrConflict, nil, store.ErrConflict} {
		w.fails(fmt.Sprint("execution commit ", i), c.Executions[i].Err, want)
	}

	same(w, "execution 1 is as it was", before)(w.Snapshot(ctx, 1))
	same(w, "history of 1", []engine.Chunk{chunk(1, 1)})(w.chunks(1, false))
	if x, err := w.Execution(ctx, 2); err != nil || x.Version != 2 {
		w.Errorf("execution 2: version %d, %v; want 2", x.Version, err)
	}
	if _, err := w.Execution(ctx, 3); err != nil {
		w.Errorf("execution 3: %v", err)
	}
	_, err := w.Execution(ctx, 9)
	w.fails("execution 9", err, store.ErrNotFound)
	same(w, "queue", []store.QueuedTask(nil))(w.Queued(ctx, 1, 0, 10))
	same(w, "due", []store.DueExecution(nil))(w.Due(ctx, time.UnixMilli(10), 10))
	same(w, "pending", []store.ExecutionID(nil))(w.Pending(ctx, 0, 10))

	// An old version fails too, and Err is cleared by the next try.
	w.fails("old version", w.try(store.ExecutionCommit{ID: 2, Version: 1}), store.ErrConflict)
	again := &store.Commit{Executions: []store.ExecutionCommit{{ID: 2, Version: 2, Err: store.ErrConflict}}}
	w.commit(again)
	w.fails("Err of an earlier commit", again.Executions[0].Err, nil)
}

func sameExecutionTwice(w *world) {
	c := &store.Commit{Executions: []store.ExecutionCommit{
		newExecution(1, engine.Delta{History: chunk(1, 2)}),
		{ID: 1, Version: 1, Delta: engine.Delta{History: chunk(3, 1)}},
		{ID: 1, Version: 1, Delta: engine.Delta{History: chunk(3, 1)}},
		{ID: 1, Version: 2, Delta: engine.Delta{Status: engine.Succeeded, History: chunk(4, 1)}},
	}}
	w.commit(c)
	for i, want := range []error{nil, nil, store.ErrConflict, nil} {
		w.fails(fmt.Sprint("execution commit ", i), c.Executions[i].Err, want)
	}
	same(w, "history", []engine.Chunk{chunk(1, 2), chunk(3, 1), chunk(4, 1)})(w.chunks(1, false))
}

func names(w *world) {
	named := func(id store.ExecutionID, machine store.MachineID, name string, generated bool) error {
		w.Helper()
		return w.try(store.ExecutionCommit{ID: id, New: &store.NewExecution{Machine: machine, Name: name, Generated: generated}})
	}
	w.fails("first", named(1, 1, "order", false), nil)
	w.fails("taken", named(2, 1, "order", false), store.ErrExists)
	w.fails("another case", named(3, 1, "Order", false), nil)
	w.fails("another machine", named(4, 2, "order", false), nil)
	w.fails("an id that is there is the stronger reason", named(1, 1, "order", false), store.ErrConflict)
	w.fails("a conflict", named(1, 1, "fresh", false), store.ErrConflict)
	w.fails("a name that a conflict left alone", named(5, 1, "fresh", false), nil)
	w.fails("generated", named(6, 1, "generated", true), nil)

	c := &store.Commit{Executions: []store.ExecutionCommit{
		{ID: 7, New: &store.NewExecution{Machine: 1, Name: "twice"}},
		{ID: 8, New: &store.NewExecution{Machine: 1, Name: "twice"}},
	}}
	w.commit(c)
	w.fails("first of one commit", c.Executions[0].Err, nil)
	w.fails("second of one commit", c.Executions[1].Err, store.ErrExists)

	f := func(machine store.MachineID, name string, want store.ExecutionID) {
		w.Helper()
		x, err := w.ExecutionNamed(ctx, machine, name)
		switch {
		case want == 0:
			w.fails(name, err, store.ErrNotFound)
		case err != nil || x.ID != want || x.Name != name || x.Machine != machine:
			w.Errorf("%q of machine %d is %+v, %v; want %d", name, machine, x, err, want)
		}
	}
	f(1, "order", 1)
	f(1, "Order", 3)
	f(2, "order", 4)
	f(1, "fresh", 5)
	f(1, "twice", 7)
	f(1, "generated", 0)
	f(3, "order", 0)
	f(1, "", 0)
}

func list(w *world) {
	c := &store.Commit{}
	// Ids need not come in their order.
	for _, id := range []store.ExecutionID{5, 1, 2, 9, 3, 4, 7, 6, 8, 10} {
		x := newExecution(id, engine.Delta{Status: engine.Status(id % 5)})
		if id == 10 {
			x.New.Machine = 2
		}
		c.Executions = append(c.Executions, x)
	}
	w.commit(c)
	f := func(q store.ExecutionQuery, want ...store.ExecutionID) {
		w.Helper()
		var got []store.ExecutionID
		list, err := w.Executions(ctx, q)
		for _, x := range list {
			got = append(got, x.ID)
		}
		same(w, fmt.Sprintf("%+v", q), want)(got, err)
	}
	f(store.ExecutionQuery{Machine: 1, Limit: 100}, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	f(store.ExecutionQuery{Machine: 1, Limit: 4}, 9, 8, 7, 6)
	f(store.ExecutionQuery{Machine: 1, Limit: 4, Before: 6}, 5, 4, 3, 2)
	f(store.ExecutionQuery{Machine: 1, Limit: 4, Before: 2}, 1)
	f(store.ExecutionQuery{Machine: 1, Limit: 4, Before: 1})
	f(store.ExecutionQuery{Machine: 1, Limit: 0})
	f(store.ExecutionQuery{Machine: 1, Limit: 4, After: 7}, 9, 8)
	f(store.ExecutionQuery{Machine: 1, Limit: 4, Before: 7, After: 4}, 6, 5)
	f(store.ExecutionQuery{Limit: 3}, 10, 9, 8)
	f(store.ExecutionQuery{Limit: 4, Before: 4}, 3, 2, 1)
	f(store.ExecutionQuery{Limit: 4, Status: ptr(engine.Running)}, 10, 5)
	f(store.ExecutionQuery{Limit: 4, Status: ptr(engine.Running), After: 5}, 10)
	f(store.ExecutionQuery{Machine: 2, Limit: 4}, 10)
	f(store.ExecutionQuery{Machine: 3, Limit: 4})
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Running), Limit: 4}, 5)
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Aborted), Limit: 4}, 9, 4)
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Aborted), Limit: 1}, 9)
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Aborted), Limit: 4, Before: 9}, 4)

	count := func(q store.ExecutionQuery, n int64, oldest store.ExecutionID) {
		w.Helper()
		gotN, gotOldest, err := w.CountExecutions(ctx, q)
		if gotN != n || gotOldest != oldest || err != nil {
			w.Errorf("count %+v = %d down to %d, %v, want %d down to %d", q, gotN, gotOldest, err, n, oldest)
		}
	}
	count(store.ExecutionQuery{Machine: 1, Limit: 100}, 9, 1)
	count(store.ExecutionQuery{Machine: 1, Limit: 4}, 4, 6)
	count(store.ExecutionQuery{Limit: 100}, 10, 1)
	count(store.ExecutionQuery{Limit: 100, Before: 8, After: 5}, 2, 6)
	count(store.ExecutionQuery{Limit: 100, Status: ptr(engine.Aborted)}, 2, 4)
	count(store.ExecutionQuery{Limit: 1, Status: ptr(engine.Aborted)}, 1, 9)
	count(store.ExecutionQuery{Machine: 3, Limit: 100}, 0, 0)
	count(store.ExecutionQuery{Machine: 1}, 0, 0)
	since := func(at int64, want store.ExecutionID) { // an execution starts at 1000 and its id
		w.Helper()
		same(w, fmt.Sprint("first since ", at), want)(w.FirstSince(ctx, at))
	}
	since(0, 1)
	since(1004, 4)
	since(1010, 10)
	since(1011, 11)

	// A list follows a change of the status.
	w.keep(store.ExecutionCommit{ID: 5, Version: 1, Delta: engine.Delta{Status: engine.Aborted, Error: ptr("E"), Cause: ptr("C"), Output: ptr("{}")}})
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Running), Limit: 4})
	f(store.ExecutionQuery{Machine: 1, Status: ptr(engine.Aborted), Limit: 4}, 9, 5, 4)

	// Lists carry no payloads.
	got, err := w.Executions(ctx, store.ExecutionQuery{Machine: 1, Before: 6, Limit: 1})
	same(w, "a listed execution", []store.Execution{{
		ID: 5, Machine: 1, Revision: 1, Name: "generated-5", Version: 2, Status: engine.Aborted, StartedAt: 1005,
	}})(got, err)
}

func pending(w *world) {
	c := &store.Commit{}
	for id := store.ExecutionID(1); id <= 6; id++ {
		c.Executions = append(c.Executions, newExecution(id, engine.Delta{Pending: id != 3}))
	}
	w.commit(c)
	f := func(after store.ExecutionID, limit int, want ...store.ExecutionID) {
		w.Helper()
		same(w, fmt.Sprint("pending after ", after), want)(w.Pending(ctx, after, limit))
	}
	f(0, 10, 1, 2, 4, 5, 6)
	f(0, 2, 1, 2)
	f(2, 2, 4, 5)
	f(6, 2)
	f(0, 0)
	w.keep(store.ExecutionCommit{ID: 4, Version: 1, Delta: engine.Delta{}})
	w.keep(store.ExecutionCommit{ID: 5, Version: 1, Delta: engine.Delta{Status: engine.Succeeded}})
	w.keep(store.ExecutionCommit{ID: 3, Version: 1, Delta: engine.Delta{Pending: true}})
	f(0, 10, 1, 2, 3, 6)
}

func due(w *world) {
	c := &store.Commit{}
	for i, due := range []int64{500, 0, 300, 300, 900} {
		c.Executions = append(c.Executions, newExecution(store.ExecutionID(i+1), engine.Delta{Due: due}))
	}
	w.commit(c)
	f := func(until int64, limit int, want ...store.DueExecution) {
		w.Helper()
		same(w, fmt.Sprint("due until ", until), want)(w.Due(ctx, time.UnixMilli(until), limit))
	}
	f(299, 10)
	f(300, 10, store.DueExecution{ID: 3, Due: 300}, store.DueExecution{ID: 4, Due: 300})
	f(899, 10, store.DueExecution{ID: 3, Due: 300}, store.DueExecution{ID: 4, Due: 300}, store.DueExecution{ID: 1, Due: 500})
	f(math.MaxInt32, 1, store.DueExecution{ID: 3, Due: 300})
	w.keep(store.ExecutionCommit{ID: 3, Version: 1, Delta: engine.Delta{Due: 950}})
	w.keep(store.ExecutionCommit{ID: 4, Version: 1, Delta: engine.Delta{}})
	w.keep(store.ExecutionCommit{ID: 2, Version: 1, Delta: engine.Delta{Due: 1}})
	f(950, 10, store.DueExecution{ID: 2, Due: 1}, store.DueExecution{ID: 1, Due: 500}, store.DueExecution{ID: 5, Due: 900}, store.DueExecution{ID: 3, Due: 950})
}

func queue(w *world) {
	task := func(frame engine.FrameID, attempt uint32) engine.TaskID {
		return engine.TaskID{Frame: frame, Attempt: attempt}
	}
	x := newExecution(1, engine.Delta{})
	x.Enqueue = []store.QueuedTask{{Activity: 1, Task: task(1, 1)}, {Activity: 2, Task: task(2, 1)}, {Activity: 1, Task: task(3, 1)}}
	c := &store.Commit{Executions: []store.ExecutionCommit{x}}
	w.commit(c)
	for i, q := range c.Executions[0].Enqueue {
		if q.Execution != 1 || q.Seq <= 0 || i > 0 && q.Seq <= c.Executions[0].Enqueue[i-1].Seq {
			w.Errorf("task %d was filled in as %+v", i, q)
		}
	}
	first := c.Executions[0].Enqueue
	y := newExecution(2, engine.Delta{})
	y.Enqueue = []store.QueuedTask{{Activity: 1, Task: task(1, 1)}}
	c = &store.Commit{Executions: []store.ExecutionCommit{y}}
	w.commit(c)
	second := c.Executions[0].Enqueue

	same(w, "queue of 1", []store.QueuedTask{first[0], first[2], second[0]})(w.Queued(ctx, 1, 0, 10))
	same(w, "its first", []store.QueuedTask{first[0]})(w.Queued(ctx, 1, 0, 1))
	same(w, "its rest", []store.QueuedTask{first[2], second[0]})(w.Queued(ctx, 1, first[0].Seq, 10))
	same(w, "queue of 2", []store.QueuedTask{first[1]})(w.Queued(ctx, 2, 0, 10))
	same(w, "queue of 3", []store.QueuedTask(nil))(w.Queued(ctx, 3, 0, 10))

	// A guard that fails leaves the queue alone.
	w.fails("conflict", w.try(store.ExecutionCommit{ID: 1, Version: 5, Dequeue: []engine.TaskID{task(1, 1)}}), store.ErrConflict)
	// What a commit offers and withdraws does not appear; what is not there
	// may be withdrawn.
	w.keep(store.ExecutionCommit{
		ID: 1, Version: 1,
		Enqueue: []store.QueuedTask{{Activity: 1, Task: task(4, 1)}, {Activity: 1, Task: task(4, 2)}},
		Dequeue: []engine.TaskID{task(1, 1), task(4, 1), task(1, 9)},
	})
	got, err := w.Queued(ctx, 1, 0, 10)
	if err != nil || len(got) != 3 || got[0] != first[2] || got[1] != second[0] || got[2].Task != task(4, 2) {
		w.Errorf("queue of 1 is %+v, %v", got, err)
	}
	// A place in the queue is not given out twice: a reader that goes on
	// after it would miss the second.
	last := got[2].Seq
	w.keep(store.ExecutionCommit{ID: 1, Version: 2, Dequeue: []engine.TaskID{task(4, 2)}})
	w.keep(store.ExecutionCommit{ID: 1, Version: 3, Enqueue: []store.QueuedTask{{Activity: 1, Task: task(4, 3)}}})
	if got, err := w.Queued(ctx, 1, last, 10); err != nil || len(got) != 1 || got[0].Task != task(4, 3) {
		w.Errorf("queue of 1 after %d is %+v, %v", last, got, err)
	}
}

func frame(id engine.FrameID, data string) engine.FrameRecord {
	return engine.FrameRecord{ID: id, Data: []byte(data)}
}

// frames reads the frames of execution 1.
func (w *world) frames() ([]engine.FrameRecord, error) {
	r, err := w.Snapshot(ctx, 1)
	return r.Frames, err
}

func framesUntilSuccess(w *world) {
	w.keep(newExecution(1, engine.Delta{Head: []byte("h"), Frames: []engine.FrameRecord{frame(3, "c"), frame(2, "b"), frame(40, "d")}}))
	w.keep(newExecution(2, engine.Delta{Frames: []engine.FrameRecord{frame(2, "other")}}))
	same(w, "by id", []engine.FrameRecord{frame(2, "b"), frame(3, "c"), frame(40, "d")})(w.frames())
	w.keep(store.ExecutionCommit{ID: 1, Version: 1, Delta: engine.Delta{
		Frames: []engine.FrameRecord{frame(2, "b2"), frame(5, "e")}, Removed: []engine.FrameID{3, 99},
	}})
	same(w, "changed", []engine.FrameRecord{frame(2, "b2"), frame(5, "e"), frame(40, "d")})(w.frames())
	w.keep(store.ExecutionCommit{ID: 1, Version: 2, Delta: engine.Delta{
		Status: engine.Succeeded, Head: []byte("h"), Frames: []engine.FrameRecord{frame(6, "f")}, Removed: []engine.FrameID{2},
	}})
	r, err := w.Snapshot(ctx, 1)
	if err != nil || r.Head != nil || r.Frames != nil {
		w.Errorf("after success: head %q, frames %v, %v; want nothing", r.Head, r.Frames, err)
	}
	if r, err := w.Snapshot(ctx, 2); err != nil || len(r.Frames) != 1 {
		w.Errorf("frames of execution 2: %v, %v; want its one", r.Frames, err)
	}
}

// framesFreeze shows that an execution that ends otherwise keeps all that it
// needs to be run again.
func framesFreeze(w *world) {
	for i, status := range []engine.Status{engine.Failed, engine.TimedOut, engine.Aborted} {
		id := store.ExecutionID(i + 1)
		w.keep(newExecution(id, engine.Delta{Head: []byte("h"), Frames: []engine.FrameRecord{frame(2, "b"), frame(3, "c")}}))
		w.keep(store.ExecutionCommit{ID: id, Version: 1, Delta: engine.Delta{
			Status: status, StoppedAt: 5, Error: ptr("E"), Head: []byte("h2"), Frames: []engine.FrameRecord{frame(3, "c2")},
		}})
		want := []engine.FrameRecord{frame(2, "b"), frame(3, "c2")}
		r, err := w.Snapshot(ctx, id)
		if err != nil || string(r.Head) != "h2" || !cmp.Equal(r.Frames, want) {
			w.Errorf("after %v: head %q, frames %v, %v; want h2, %v", status, r.Head, r.Frames, err, want)
		}
		// Run again, it is as if it had not stopped.
		w.keep(store.ExecutionCommit{ID: id, Version: 2, Delta: engine.Delta{Status: engine.Running, Head: []byte("h3"), Pending: true}})
		x, err := w.Execution(ctx, id)
		if err != nil || x.Status != engine.Running || x.StoppedAt != 0 || x.Error != nil {
			w.Errorf("run again after %v: %+v, %v", status, x, err)
		}
	}
	same(w, "pending", []store.ExecutionID{1, 2, 3})(w.Pending(ctx, 0, 10))
}

// chunks collects an execution's history.
func (w *world) chunks(id store.ExecutionID, newestFirst bool) (list []engine.Chunk, err error) {
	err = w.History(ctx, id, 0, newestFirst, func(c engine.Chunk) bool {
		list = append(list, c)
		return true
	})
	return list, err
}

func history(w *world) {
	w.keep(newExecution(1, engine.Delta{}))
	same(w, "of none", []engine.Chunk(nil))(w.chunks(1, false))
	same(w, "of none", []engine.Chunk(nil))(w.chunks(1, true))
	// Another execution's chunks lie in between.
	w.keep(newExecution(2, engine.Delta{History: chunk(1, 2)}))
	w.keep(store.ExecutionCommit{ID: 1, Version: 1, Delta: engine.Delta{History: chunk(1, 4)}})
	w.keep(store.ExecutionCommit{ID: 2, Version: 1, Delta: engine.Delta{History: chunk(3, 1)}})
	w.keep(store.ExecutionCommit{ID: 1, Version: 2, Delta: engine.Delta{}})
	w.keep(store.ExecutionCommit{ID: 1, Version: 3, Delta: engine.Delta{History: chunk(5, 1)}})
	w.keep(store.ExecutionCommit{ID: 1, Version: 4, Delta: engine.Delta{Status: engine.Succeeded, History: chunk(6, 3)}})
	a, b, c := chunk(1, 4), chunk(5, 1), chunk(6, 3)
	same(w, "oldest first", []engine.Chunk{a, b, c})(w.chunks(1, false))
	same(w, "newest first", []engine.Chunk{c, b, a})(w.chunks(1, true))
	same(w, "of the other", []engine.Chunk{chunk(1, 2), chunk(3, 1)})(w.chunks(2, false))
	from := func(event int64, newestFirst bool, want ...engine.Chunk) {
		w.Helper()
		var got []engine.Chunk
		err := w.History(ctx, 1, event, newestFirst, func(c engine.Chunk) bool {
			got = append(got, c)
			return true
		})
		same(w, fmt.Sprintf("from event %d, newest first %t", event, newestFirst), want)(got, err)
	}
	from(1, false, a, b, c)
	from(4, false, a, b, c)
	from(5, false, b, c)
	from(8, false, c)
	from(8, true, c, b, a)
	from(6, true, c, b, a)
	from(5, true, b, a)
	from(2, true, a)
	for _, newestFirst := range []bool{false, true} {
		calls := 0
		err := w.History(ctx, 1, 0, newestFirst, func(engine.Chunk) bool { calls++; return calls < 2 })
		if err != nil || calls != 2 {
			w.Errorf("yield stopped at its second call and was called %d times: %v", calls, err)
		}
	}
	_, err := w.chunks(3, false)
	w.fails("of nobody", err, store.ErrNotFound)
	_, err = w.chunks(3, true)
	w.fails("of nobody", err, store.ErrNotFound)

	// yield may read, and even commit.
	err = w.History(ctx, 1, 0, false, func(c engine.Chunk) bool {
		x, err := w.Execution(ctx, 2)
		w.fails("Execution in yield", err, nil)
		w.keep(store.ExecutionCommit{ID: 2, Version: x.Version, Delta: engine.Delta{History: chunk(x.LastEvent+1, 1)}})
		return true
	})
	w.fails("History", err, nil)
}

// historyOfThousands has about as many chunks as an execution can have: an
// event limit of 25,000 with two events to a commit.
func historyOfThousands(w *world) {
	const count = 12_000
	w.keep(newExecution(1, engine.Delta{History: chunk(1, 2)}))
	for version := int64(1); version < count; {
		c := &store.Commit{}
		for range 1000 {
			if version < count {
				c.Executions = append(c.Executions, store.ExecutionCommit{ID: 1, Version: version, Delta: engine.Delta{History: chunk(2*version+1, 2)}})
				version++
			}
		}
		w.commit(c)
	}
	f := func(newestFirst bool, next, step int64) {
		w.Helper()
		n := 0
		err := w.History(ctx, 1, 0, newestFirst, func(c engine.Chunk) bool {
			n++
			ok := c.First == next && string(c.Data) == string(chunk(next, 2).Data)
			next += step
			return ok
		})
		if err != nil || n != count {
			w.Errorf("newest first %v: %d chunks in order, %v; want %d", newestFirst, n, err, count)
		}
	}
	f(false, 1, 2)
	f(true, 2*count-1, -2)
}

func machines(w *world) {
	m := store.Machine{Name: "b", Type: "STANDARD", CreatedAt: 10, UpdatedAt: 10, Tags: []store.Tag{{Key: "k", Value: "v"}, {Key: "a", Value: `"`}}}
	r := store.Revision{Definition: "{}", RoleARN: "role", CreatedAt: 10, Configuration: []byte(`{"l":1}`)}
	w.write(func(tx store.Tx) (err error) { m, err = tx.CreateMachine(ctx, m, r); return err })
	if m.ID == 0 || m.Current == 0 || m.Name != "b" || len(m.Tags) != 2 {
		w.Fatalf("CreateMachine returned %+v", m)
	}
	r.ID, r.Machine = m.Current, m.ID
	same(w, "by name", m)(w.Machine(ctx, "b"))
	same(w, "by id", m)(w.MachineByID(ctx, m.ID))
	same(w, "revision", r)(w.Revision(ctx, m.Current))
	w.fails("taken", w.tryWrite(func(tx store.Tx) error { _, err := tx.CreateMachine(ctx, m, r); return err }), store.ErrExists)

	// Only these three change.
	changed := store.Machine{ID: m.ID, Name: "x", Type: "EXPRESS", CreatedAt: 1, UpdatedAt: 20, Deleting: true, Tags: []store.Tag{{Key: "new"}}}
	w.write(func(tx store.Tx) error { return tx.SaveMachine(ctx, changed) })
	m.UpdatedAt, m.Deleting, m.Tags = 20, true, []store.Tag{{Key: "new"}}
	same(w, "saved", m)(w.Machine(ctx, "b"))
	m.Tags = nil
	w.write(func(tx store.Tx) error { return tx.SaveMachine(ctx, m) })
	same(w, "without tags", m)(w.Machine(ctx, "b"))

	var all []store.Machine
	for _, name := range []string{"B", "a", "c", "ä"} {
		other := store.Machine{Name: name, Type: "EXPRESS", CreatedAt: 30}
		w.write(func(tx store.Tx) (err error) { other, err = tx.CreateMachine(ctx, other, store.Revision{}); return err })
		all = append(all, other)
	}
	all = []store.Machine{all[0], all[1], m, all[2], all[3]}
	same(w, "all", all)(w.Machines(ctx, "", 100))
	same(w, "two", all[:2])(w.Machines(ctx, "", 2))
	same(w, "the next two", all[2:4])(w.Machines(ctx, "a", 2))
	same(w, "after the last", []store.Machine(nil))(w.Machines(ctx, "ä", 2))

	// What a deleted machine leaves stays readable; its name is free, its id
	// is not.
	w.keep(store.ExecutionCommit{ID: 1, New: &store.NewExecution{Machine: m.ID, Revision: m.Current, Name: "n"}})
	w.write(func(tx store.Tx) error { return tx.DeleteMachine(ctx, m.ID) })
	_, err := w.Machine(ctx, "b")
	w.fails("deleted", err, store.ErrNotFound)
	_, err = w.MachineByID(ctx, m.ID)
	w.fails("deleted", err, store.ErrNotFound)
	same(w, "revision of a deleted machine", r)(w.Revision(ctx, m.Current))
	if _, err := w.ExecutionNamed(ctx, m.ID, "n"); err != nil {
		w.Errorf("execution of a deleted machine: %v", err)
	}
	again := store.Machine{Name: "b"}
	w.write(func(tx store.Tx) (err error) { again, err = tx.CreateMachine(ctx, again, store.Revision{}); return err })
	for _, old := range all {
		if again.ID == old.ID || again.Current == old.Current {
			w.Errorf("ids given out twice: %+v and %+v", again, old)
		}
	}
	last := again.ID
	w.write(func(tx store.Tx) error { return tx.DeleteMachine(ctx, last) })
	w.write(func(tx store.Tx) (err error) { again, err = tx.CreateMachine(ctx, again, store.Revision{}); return err })
	if again.ID <= last {
		w.Errorf("id %d comes after %d", again.ID, last)
	}
}

func revisions(w *world) {
	m := store.Machine{Name: "m"}
	w.write(func(tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, m, store.Revision{Definition: "1"})
		return err
	})
	r := store.Revision{Machine: m.ID, UUID: "u", Definition: strings.Repeat("x", 1<<20), RoleARN: "role", CreatedAt: 20, Configuration: []byte{0, 255}}
	w.write(func(tx store.Tx) (err error) { r.ID, err = tx.AddRevision(ctx, r); return err })
	if r.ID <= m.Current {
		w.Errorf("revision %d comes after %d", r.ID, m.Current)
	}
	same(w, "the new one", r)(w.Revision(ctx, r.ID))
	same(w, "the old one", store.Revision{ID: m.Current, Machine: m.ID, Definition: "1"})(w.Revision(ctx, m.Current))
	m.Current = r.ID
	same(w, "machine", m)(w.Machine(ctx, "m"))
}

// machine makes a machine of that name.
func (w *world) machine(name string) (m store.Machine) {
	w.Helper()
	w.write(func(tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name}, store.Revision{})
		return err
	})
	return m
}

func versions(w *world) {
	m, other := w.machine("m"), w.machine("other")
	add := func(m store.Machine, want int64) (v store.Version) {
		w.Helper()
		v = store.Version{Machine: m.ID, Number: 77, Revision: m.Current, Description: fmt.Sprint("d", want), CreatedAt: want}
		w.write(func(tx store.Tx) (err error) { v, err = tx.AddVersion(ctx, v); return err })
		if v.Number != want {
			w.Errorf("version %d, want %d", v.Number, want)
		}
		return v
	}
	one, two, three := add(m, 1), add(m, 2), add(m, 3)
	add(other, 1)
	same(w, "two", two)(w.Version(ctx, m.ID, 2))
	same(w, "all", []store.Version{three, two, one})(w.Versions(ctx, m.ID, 0, 10))
	same(w, "first page", []store.Version{three, two})(w.Versions(ctx, m.ID, 0, 2))
	same(w, "second page", []store.Version{one})(w.Versions(ctx, m.ID, 2, 2))
	same(w, "none", []store.Version(nil))(w.Versions(ctx, m.ID, 1, 2))
	same(w, "limit 0", []store.Version(nil))(w.Versions(ctx, m.ID, 0, 0))

	// A number is not used again, not even by an undone write.
	w.write(func(tx store.Tx) error { return tx.DeleteVersion(ctx, m.ID, 3) })
	_, err := w.Version(ctx, m.ID, 3)
	w.fails("deleted", err, store.ErrNotFound)
	w.fails("twice", w.tryWrite(func(tx store.Tx) error { return tx.DeleteVersion(ctx, m.ID, 3) }), store.ErrNotFound)
	refused := errors.New("refused")
	w.fails("undone", w.tryWrite(func(tx store.Tx) error {
		v, err := tx.AddVersion(ctx, store.Version{Machine: m.ID})
		same(w, "seen by its own write", []store.Version{v})(tx.Versions(ctx, m.ID, 0, 1))
		same(w, "seen by its own write", v)(tx.Version(ctx, m.ID, v.Number))
		return errors.Join(err, tx.DeleteVersion(ctx, m.ID, 1), refused)
	}), refused)
	same(w, "undone", []store.Version{two, one})(w.Versions(ctx, m.ID, 0, 10))
	four := add(m, 4)

	w.write(func(tx store.Tx) error { return tx.DeleteMachine(ctx, other.ID) })
	same(w, "of a deleted machine", []store.Version(nil))(w.Versions(ctx, other.ID, 0, 10))
	same(w, "of the one that stays", []store.Version{four, two, one})(w.Versions(ctx, m.ID, 0, 10))
	add(w.machine("other"), 1)
}

func aliases(w *world) {
	m, other := w.machine("m"), w.machine("other")
	save := func(m store.Machine, name string, at int64, routes ...store.Route) store.Alias {
		a := store.Alias{Machine: m.ID, Name: name, Description: fmt.Sprint("d", at), Routes: routes, CreatedAt: at, UpdatedAt: at + 1}
		w.write(func(tx store.Tx) error { return tx.SaveAlias(ctx, a) })
		return a
	}
	b := save(m, "b", 1, store.Route{Number: 1, Weight: 100})
	a := save(m, "a", 2, store.Route{Number: 1, Weight: 30}, store.Route{Number: 7, Weight: 70})
	c := save(m, "C", 3)
	save(other, "b", 4)
	same(w, "a", a)(w.Alias(ctx, m.ID, "a"))
	same(w, "all", []store.Alias{c, a, b})(w.Aliases(ctx, m.ID, "", 10))
	same(w, "first page", []store.Alias{c, a})(w.Aliases(ctx, m.ID, "", 2))
	same(w, "second page", []store.Alias{b})(w.Aliases(ctx, m.ID, "a", 2))
	a = save(m, "a", 5, store.Route{Number: 2, Weight: 100})
	same(w, "saved again", a)(w.Alias(ctx, m.ID, "a"))

	refused := errors.New("refused")
	w.fails("undone", w.tryWrite(func(tx store.Tx) error {
		changed := a
		changed.Routes = nil
		err := errors.Join(tx.DeleteAlias(ctx, m.ID, "b"), tx.SaveAlias(ctx, changed), tx.SaveAlias(ctx, store.Alias{Machine: m.ID, Name: "new"}))
		same(w, "seen by its own write", changed)(tx.Alias(ctx, m.ID, "a"))
		same(w, "seen by its own write", []store.Alias{c, changed})(tx.Aliases(ctx, m.ID, "", 2))
		return errors.Join(err, refused)
	}), refused)
	same(w, "undone", []store.Alias{c, a, b})(w.Aliases(ctx, m.ID, "", 10))

	w.write(func(tx store.Tx) error { return tx.DeleteAlias(ctx, m.ID, "b") })
	_, err := w.Alias(ctx, m.ID, "b")
	w.fails("deleted", err, store.ErrNotFound)
	w.write(func(tx store.Tx) error { return tx.DeleteMachine(ctx, other.ID) })
	same(w, "of a deleted machine", []store.Alias(nil))(w.Aliases(ctx, other.ID, "", 10))
	same(w, "of the one that stays", []store.Alias{c, a})(w.Aliases(ctx, m.ID, "", 10))
}

// listVia lists the executions that one version, or one alias, has started.
func listVia(w *world) {
	start := func(id store.ExecutionID, machine store.MachineID, via store.Via, status engine.Status) {
		w.keep(store.ExecutionCommit{ID: id, Delta: engine.Delta{Status: status},
			New: &store.NewExecution{Machine: machine, Name: fmt.Sprint(id), Generated: true, Via: via}})
	}
	prod := store.Via{Number: 1, Alias: "prod"}
	start(1, 1, store.Via{}, engine.Running)
	start(2, 1, prod, engine.Failed)
	start(3, 1, store.Via{Number: 1}, engine.Running)
	start(4, 1, store.Via{Number: 2, Alias: "prod"}, engine.Running)
	start(5, 1, store.Via{Number: 2}, engine.Succeeded)
	start(6, 2, prod, engine.Running)
	start(7, 1, prod, engine.Running)

	f := func(via store.Via, before store.ExecutionID, limit int, want ...store.ExecutionID) {
		w.Helper()
		list, err := w.Executions(ctx, store.ExecutionQuery{Machine: 1, Via: via, Before: before, Limit: limit})
		var got []store.ExecutionID
		for _, x := range list {
			got = append(got, x.ID)
		}
		same(w, fmt.Sprintf("%+v before %d", via, before), want)(got, err)
	}
	f(store.Via{}, 0, 10, 7, 5, 4, 3, 2, 1)
	f(store.Via{Number: 1}, 0, 10, 7, 3, 2)
	f(store.Via{Number: 2}, 0, 10, 5, 4)
	f(store.Via{Number: 3}, 0, 10)
	f(store.Via{Alias: "prod"}, 0, 10, 7, 4, 2)
	f(store.Via{Alias: "prod"}, 0, 2, 7, 4)
	f(store.Via{Alias: "prod"}, 4, 2, 2)
	f(store.Via{Number: 1}, 7, 1, 3)
	f(store.Via{Alias: "gone"}, 0, 10)
	running := engine.Running
	q := store.ExecutionQuery{Machine: 1, Via: store.Via{Alias: "prod"}, Status: &running, Limit: 10}
	if list, err := w.Executions(ctx, q); err != nil || len(list) != 2 || list[0].ID != 7 || list[1].ID != 4 || list[0].Via != prod {
		w.Errorf("running ones: %+v, %v", list, err)
	}
	w.keep(store.ExecutionCommit{ID: 7, Version: 1, Delta: engine.Delta{Status: engine.Succeeded}})
	if list, err := w.Executions(ctx, q); err != nil || len(list) != 1 || list[0].ID != 4 {
		w.Errorf("after one has ended: %+v, %v", list, err)
	}
	for _, id := range []store.ExecutionID{2, 7} {
		if x, err := w.Execution(ctx, id); err != nil || x.Via != prod {
			w.Errorf("execution %d: %+v, %v", id, x, err)
		}
		if r, err := w.Snapshot(ctx, id); err != nil || r.Execution.Via != prod {
			w.Errorf("snapshot of %d: %+v, %v", id, r.Execution, err)
		}
	}
}

func activities(w *world) {
	a := store.Activity{Name: "b", CreatedAt: 10, Configuration: []byte("{}"), Tags: []store.Tag{{Key: "k", Value: "v"}}}
	w.write(func(tx store.Tx) (err error) { a, err = tx.CreateActivity(ctx, a); return err })
	same(w, "created", a)(w.Activity(ctx, "b"))
	w.fails("taken", w.tryWrite(func(tx store.Tx) error { _, err := tx.CreateActivity(ctx, a); return err }), store.ErrExists)

	a.Configuration, a.Tags = nil, []store.Tag{{Key: "x"}, {Key: "y", Value: "z"}}
	w.write(func(tx store.Tx) error {
		return tx.SaveActivity(ctx, store.Activity{ID: a.ID, Name: "other", CreatedAt: 1, Tags: a.Tags})
	})
	same(w, "saved", a)(w.Activity(ctx, "b"))

	var c store.Activity
	w.write(func(tx store.Tx) (err error) { c, err = tx.CreateActivity(ctx, store.Activity{Name: "c"}); return err })
	same(w, "all", []store.Activity{a, c})(w.Activities(ctx, "", 10))
	same(w, "one", []store.Activity{a})(w.Activities(ctx, "", 1))
	same(w, "the next", []store.Activity{c})(w.Activities(ctx, "b", 1))

	w.write(func(tx store.Tx) error { return tx.DeleteActivity(ctx, c.ID) })
	_, err := w.Activity(ctx, "c")
	w.fails("deleted", err, store.ErrNotFound)
	old := c.ID
	w.write(func(tx store.Tx) (err error) { c, err = tx.CreateActivity(ctx, store.Activity{Name: "c"}); return err })
	if c.ID <= old {
		w.Errorf("id %d comes after %d", c.ID, old)
	}
}

func writesAreUndone(w *world) {
	kept := store.Machine{Name: "kept", UpdatedAt: 1}
	var activity store.Activity
	w.write(func(tx store.Tx) (err error) {
		if kept, err = tx.CreateMachine(ctx, kept, store.Revision{}); err != nil {
			return err
		}
		activity, err = tx.CreateActivity(ctx, store.Activity{Name: "kept"})
		return err
	})
	refused := errors.New("refused")
	c := &store.Commit{
		Executions: []store.ExecutionCommit{newExecution(1, engine.Delta{})},
		Writes: []store.Write{
			{Do: func(ctx context.Context, tx store.Tx) error {
				_, err := tx.CreateActivity(ctx, store.Activity{Name: "before"})
				return err
			}},
			{Do: func(ctx context.Context, tx store.Tx) error {
				changed := kept
				changed.UpdatedAt = 2
				_, err1 := tx.AddRevision(ctx, store.Revision{Machine: kept.ID})
				_, err2 := tx.CreateMachine(ctx, store.Machine{Name: "gone"}, store.Revision{})
				_, err3 := tx.CreateActivity(ctx, store.Activity{Name: "gone"})
				if err := errors.Join(
					err1, err2, err3,
					tx.SaveMachine(ctx, changed), tx.DeleteMachine(ctx, kept.ID),
					tx.SaveActivity(ctx, store.Activity{ID: activity.ID, Tags: []store.Tag{{Key: "x"}}}),
					tx.DeleteActivity(ctx, activity.ID),
				); err != nil {
					w.Error(err)
				}
				return refused
			}},
			{Do: func(ctx context.Context, tx store.Tx) error {
				_, err := tx.CreateMachine(ctx, store.Machine{Name: "kept"}, store.Revision{})
				return fmt.Errorf("create: %w", err)
			}},
			{Err: refused, Do: func(ctx context.Context, tx store.Tx) error {
				_, err := tx.CreateActivity(ctx, store.Activity{Name: "after"})
				return err
			}},
		},
	}
	w.commit(c)
	for i, want := range []error{nil, refused, store.ErrExists, nil} {
		w.fails(fmt.Sprint("write ", i), c.Writes[i].Err, want)
	}
	same(w, "kept", kept)(w.Machine(ctx, "kept"))
	same(w, "kept", activity)(w.Activity(ctx, "kept"))
	for name, want := range map[string]error{"before": nil, "after": nil, "gone": store.ErrNotFound} {
		_, err := w.Activity(ctx, name)
		w.fails("activity "+name, err, want)
	}
	_, err := w.Machine(ctx, "gone")
	w.fails("machine gone", err, store.ErrNotFound)
	_, err = w.Execution(ctx, 1)
	w.fails("the execution beside the writes", err, nil)
}

func writesSeeThemselves(w *world) {
	w.write(func(tx store.Tx) error {
		m, err := tx.CreateMachine(ctx, store.Machine{Name: "m", Tags: []store.Tag{{Key: "k"}}}, store.Revision{Definition: "1"})
		if err != nil {
			return err
		}
		same(w, "by name", m)(tx.Machine(ctx, "m"))
		same(w, "by id", m)(tx.MachineByID(ctx, m.ID))
		same(w, "revision", store.Revision{ID: m.Current, Machine: m.ID, Definition: "1"})(tx.Revision(ctx, m.Current))
		a, err := tx.CreateActivity(ctx, store.Activity{Name: "a"})
		if err != nil {
			return err
		}
		same(w, "activity", a)(tx.Activity(ctx, "a"))
		m.Deleting = true
		w.fails("SaveMachine", tx.SaveMachine(ctx, m), nil)
		same(w, "saved", m)(tx.Machine(ctx, "m"))
		w.fails("DeleteMachine", tx.DeleteMachine(ctx, m.ID), nil)
		_, err = tx.Machine(ctx, "m")
		w.fails("deleted", err, store.ErrNotFound)
		return nil
	})
}

func nothingThere(w *world) {
	_, err := w.Execution(ctx, 1)
	w.fails("Execution", err, store.ErrNotFound)
	_, err = w.Snapshot(ctx, 1)
	w.fails("Snapshot", err, store.ErrNotFound)
	_, err = w.Machine(ctx, "m")
	w.fails("Machine", err, store.ErrNotFound)
	_, err = w.MachineByID(ctx, 1)
	w.fails("MachineByID", err, store.ErrNotFound)
	_, err = w.Revision(ctx, 1)
	w.fails("Revision", err, store.ErrNotFound)
	_, err = w.Version(ctx, 1, 1)
	w.fails("Version", err, store.ErrNotFound)
	_, err = w.Alias(ctx, 1, "a")
	w.fails("Alias", err, store.ErrNotFound)
	_, err = w.Activity(ctx, "a")
	w.fails("Activity", err, store.ErrNotFound)
	same(w, "LastExecution", store.ExecutionID(0))(w.LastExecution(ctx))
	w.write(func(tx store.Tx) error {
		_, err := tx.Machine(ctx, "m")
		w.fails("tx.Machine", err, store.ErrNotFound)
		_, err = tx.MachineByID(ctx, 1)
		w.fails("tx.MachineByID", err, store.ErrNotFound)
		_, err = tx.Revision(ctx, 1)
		w.fails("tx.Revision", err, store.ErrNotFound)
		_, err = tx.Activity(ctx, "a")
		w.fails("tx.Activity", err, store.ErrNotFound)
		_, err = tx.AddRevision(ctx, store.Revision{Machine: 1})
		w.fails("tx.AddRevision", err, store.ErrNotFound)
		w.fails("tx.SaveMachine", tx.SaveMachine(ctx, store.Machine{ID: 1}), store.ErrNotFound)
		w.fails("tx.DeleteMachine", tx.DeleteMachine(ctx, 1), store.ErrNotFound)
		_, err = tx.Version(ctx, 1, 1)
		w.fails("tx.Version", err, store.ErrNotFound)
		_, err = tx.Alias(ctx, 1, "a")
		w.fails("tx.Alias", err, store.ErrNotFound)
		_, err = tx.AddVersion(ctx, store.Version{Machine: 1})
		w.fails("tx.AddVersion", err, store.ErrNotFound)
		w.fails("tx.DeleteVersion", tx.DeleteVersion(ctx, 1, 1), store.ErrNotFound)
		w.fails("tx.SaveAlias", tx.SaveAlias(ctx, store.Alias{Machine: 1, Name: "a"}), store.ErrNotFound)
		w.fails("tx.DeleteAlias", tx.DeleteAlias(ctx, 1, "a"), store.ErrNotFound)
		w.fails("tx.SaveActivity", tx.SaveActivity(ctx, store.Activity{ID: 1}), store.ErrNotFound)
		w.fails("tx.DeleteActivity", tx.DeleteActivity(ctx, 1), store.ErrNotFound)
		return nil
	})
	w.commit(&store.Commit{})
}

func secret(w *world) {
	a, err := w.Secret(ctx)
	if err != nil || a == [32]byte{} {
		w.Errorf("Secret = %x, %v; want 32 random bytes", a, err)
	}
	same(w, "again", a)(w.Secret(ctx))
}

func stats(w *world) {
	before := w.Stats()
	w.keep(newExecution(1, engine.Delta{}))
	w.keep(newExecution(2, engine.Delta{}))
	after := w.Stats()
	if got := after.Commits - before.Commits; got != 2 {
		w.Errorf("%d commits counted, want 2", got)
	}
	if after.Syncs < before.Syncs || after.Bytes < before.Bytes {
		w.Errorf("counters went back: %+v, then %+v", before, after)
	}
}

func endedContext(w *world) {
	ended, end := context.WithCancel(ctx)
	end()
	err := w.Commit(ended, &store.Commit{Executions: []store.ExecutionCommit{newExecution(1, engine.Delta{})}})
	w.fails("Commit", err, context.Canceled)
	_, err = w.Execution(ctx, 1)
	w.fails("Execution", err, store.ErrNotFound)

	// A commit that has begun is not given up half-way.
	c := &store.Commit{Writes: []store.Write{{}}}
	running, end := context.WithCancel(ctx)
	c.Writes[0].Do = func(ctx context.Context, tx store.Tx) error {
		end()
		_, err := tx.CreateActivity(running, store.Activity{Name: "a"})
		return err
	}
	w.fails("Commit", w.Commit(running, c), nil)
	w.fails("Write", c.Writes[0].Err, nil)
	_, err = w.Activity(ctx, "a")
	w.fails("Activity", err, nil)
}

// readersMeanwhile reads all the time while executions are committed, and
// must never see half of a commit.
func readersMeanwhile(w *world) {
	const executions, versions, readers = 20, 30, 4
	commit := func(version int64) {
		c := &store.Commit{}
		for id := store.ExecutionID(1); id <= executions; id++ {
			x := store.ExecutionCommit{ID: id, Version: version}
			if version == 0 {
				x = newExecution(id, engine.Delta{})
			}
			text := fmt.Sprint(version + 1)
			x.Delta = engine.Delta{
				Due: version + 1, Pending: true, Head: []byte(text), History: chunk(version+1, 1),
				Frames: []engine.FrameRecord{frame(2, text), frame(3, text)},
			}
			c.Executions = append(c.Executions, x)
		}
		w.commit(c)
	}
	commit(0)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			for id := store.ExecutionID(1); ; id = id%executions + 1 {
				select {
				case <-stop:
					return
				default:
					w.readOne(id, executions)
				}
			}
		})
	}
	for version := range int64(versions) {
		commit(version + 1)
	}
	close(stop)
	group.Wait()
}

func (w *world) readOne(id store.ExecutionID, executions int) {
	r, err := w.Snapshot(ctx, id)
	want := fmt.Sprint(r.Execution.Version)
	if err != nil || string(r.Head) != want || len(r.Frames) != 2 || string(r.Frames[0].Data) != want || string(r.Frames[1].Data) != want {
		w.Errorf("snapshot at version %s: head %q, frames %v, %v", want, r.Head, r.Frames, err)
	}
	chunks, err := w.chunks(id, id%2 == 0)
	if err != nil || int64(len(chunks)) < r.Execution.Version {
		w.Errorf("%d chunks at version %s or later, %v", len(chunks), want, err)
	}
	due, err := w.Due(ctx, time.UnixMilli(math.MaxInt32), 2*executions)
	if err != nil || len(due) != executions || due[0].Due != due[len(due)-1].Due {
		w.Errorf("due between two commits: %v, %v", due, err)
	}
	list, err := w.Executions(ctx, store.ExecutionQuery{Machine: 1, Limit: 2 * executions})
	if err != nil || len(list) != executions || list[0].Version != list[len(list)-1].Version {
		w.Errorf("%d executions listed, %v", len(list), err)
	}
}
