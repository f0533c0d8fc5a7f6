package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// What the board decides moves executions, and what ends a wait ends work on the
// board. Neither side may know of it alone:
//
//   - An event told in a write (Tell) is a row of that write's transaction. It is
//     delivered once the row is durable, again after a crash, and the row goes in
//     the commit of the execution that takes it.
//   - A wait that ends is told to the board (Config.WaitEnded) in the commit of
//     the execution that ends it, ahead of all other writes of that commit.
//   - A wait that has been told of its end by then cannot end otherwise: what the
//     execution did in the open batch is taken back, and the event goes first.

// told is an event for an execution that is durable in a row of its own.
type told struct {
	row string // id of the row
	key runningTask
	// submitted is what the task's submission returned. It goes before the event
	// and is passed over if the execution knows it.
	submitted *engine.Data
	ev        engine.Event
}

// inboxKind is the kind of the records that hold told events.
const inboxKind = "inbox"

// inboxRow is told as it is kept.
type inboxRow struct {
	Execution store.ExecutionID `json:"execution"`
	Frame     engine.FrameID    `json:"frame"`
	Attempt   uint32            `json:"attempt"`
	Event     string            `json:"event"` // succeeded, failed, heartbeat or suspend
	At        int64             `json:"at"`    // Unix milliseconds
	Submitted *string           `json:"submitted,omitempty"`
	Output    *string           `json:"output,omitempty"`
	Error     *string           `json:"error,omitempty"`
	Cause     *string           `json:"cause,omitempty"`
}

type writeKey struct{}

// Tell keeps an event for an execution as a part of the write that ctx and tx
// are those of: if the write is kept, the execution hears of it, whatever
// happens to this process. submitted, if set, is what the task's submission
// returned, for an execution that has not heard of that yet. ev is a
// TaskSucceeded, a TaskFailed or a TaskHeartbeat. In a write past the worker,
// as those are with which a server ends, the next process delivers it.
func (w *Worker) Tell(ctx context.Context, tx store.Tx, id store.ExecutionID, submitted *engine.Data, ev engine.Event) error {
	op, _ := ctx.Value(writeKey{}).(*write)
	row := inboxRow{Execution: id}
	var task engine.TaskID
	var at time.Time
	switch ev := ev.(type) {
	case engine.TaskSucceeded:
		output := ev.Output.JSON()
		row.Event, at, task, row.Output = "succeeded", ev.At, ev.Task, &output
	case engine.TaskFailed:
		row.Event, at, task, row.Error, row.Cause = "failed", ev.At, ev.Task, ev.Error, ev.Cause
	case engine.TaskHeartbeat:
		row.Event, at, task = "heartbeat", ev.At, ev.Task
		if ev.Suspend {
			row.Event = "suspend"
		}
	default:
		return fmt.Errorf("worker: %T cannot be told", ev)
	}
	row.Frame, row.Attempt, row.At = task.Frame, task.Attempt, at.UnixMilli()
	if submitted != nil {
		text := submitted.JSON()
		row.Submitted = &text
	}
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	name := w.nextRow()
	if err := tx.SaveRecord(ctx, store.Record{Kind: inboxKind, ID: name, Keys: []string{"seq/" + name}, Data: data}); err != nil {
		return err
	}
	if op != nil {
		op.told = append(op.told, &told{name, runningTask{execution: id, task: task}, submitted, ev})
	}
	return nil
}

// nextRow names a row of the inbox; names grow.
func (w *Worker) nextRow() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastRow = max(w.lastRow+1, w.cfg.Now().UnixNano())
	return fmt.Sprintf("%020d", w.lastRow)
}

// event is what the row says.
func (r *inboxRow) event() (engine.Event, error) {
	task, at := engine.TaskID{Frame: r.Frame, Attempt: r.Attempt}, time.UnixMilli(r.At)
	switch r.Event {
	case "succeeded":
		if r.Output != nil {
			return engine.TaskSucceeded{At: at, Task: task, Output: engine.Text(*r.Output)}, nil
		}
	case "failed":
		return engine.TaskFailed{At: at, Task: task, Error: r.Error, Cause: r.Cause}, nil
	case "heartbeat", "suspend":
		return engine.TaskHeartbeat{At: at, Task: task, Bound: true, Suspend: r.Event == "suspend"}, nil
	}
	return nil, fmt.Errorf("unknown event %q", r.Event)
}

// readInbox delivers what was told and not taken, and has not been delivered by
// this process.
func (w *Worker) readInbox(ctx context.Context) error {
	const page = 500
	if w.cfg.WaitEnded == nil {
		return nil
	}
	q := store.Prefix(inboxKind, "seq/", page)
	for {
		found, err := w.store.Records(ctx, q)
		if err != nil {
			return fmt.Errorf("read what executions are to be told: %w", err)
		}
		for _, f := range found {
			q.From, q.AfterID = f.Key, f.ID
			var row inboxRow
			err := json.Unmarshal(f.Data, &row)
			t := &told{row: f.ID}
			if err == nil {
				t.ev, err = row.event()
			}
			if err != nil {
				w.cfg.Log.Error("an event that an execution was to be told cannot be read", "row", f.ID, "error", err)
				continue
			}
			t.key = runningTask{execution: row.Execution, task: engine.TaskID{Frame: row.Frame, Attempt: row.Attempt}}
			if row.Submitted != nil {
				t.submitted = engine.Text(*row.Submitted)
			}
			w.tell(t)
		}
		if len(found) < page {
			return nil
		}
	}
}

// tell delivers what is durable in a row, once.
func (w *Worker) tell(t *told) {
	w.mu.Lock()
	for _, other := range w.told[t.key] {
		if other.row == t.row {
			w.mu.Unlock()
			return
		}
	}
	w.told[t.key] = append(w.told[t.key], t)
	w.mu.Unlock()
	w.post(w.ctx, t.key.execution, w.deliveries(t)...)
}

func (w *Worker) deliveries(t *told) (list []delivery) {
	if t.submitted != nil {
		list = append(list, delivery{ev: engine.TaskSubmitted{At: w.now(), Task: t.key.task, Output: t.submitted, Answered: true}})
	}
	return append(list, delivery{ev: t.ev, told: t})
}

// taken forgets what deliveries were told by: nothing is to be done about them
// any more.
func (w *Worker) taken(deliveries ...delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range deliveries {
		if d.told == nil {
			continue
		}
		rest := slices.DeleteFunc(w.told[d.told.key], func(t *told) bool { return t.row == d.told.row })
		if w.told[d.told.key] = rest; len(rest) == 0 {
			delete(w.told, d.told.key)
		}
	}
}

// reconsider takes out of b, which is about to be closed, the steps by which
// executions gave up waits that had been told how they end: they are done again
// after what was told.
func (w *Worker) reconsider(b *Batch) {
	w.mu.Lock()
	nothing := len(w.told) == 0
	w.mu.Unlock()
	if nothing {
		return
	}
	for _, e := range slices.Clone(b.entries) {
		first := w.overlooked(e)
		if len(first) == 0 {
			continue
		}
		x := e.x
		b.entries = slices.DeleteFunc(b.entries, func(other *entry) bool { return other == e })
		deliveries := slices.Concat(first, e.deliveries)
		b.late = slices.DeleteFunc(b.late, func(l lateAnswer) bool {
			if l.x == x {
				deliveries = append(deliveries, l.d)
			}
			return l.x == x
		})
		w.pin(x, len(first))
		w.forget(x, deliveries)
	}
}

// overlooked lists what e has not taken in of what its waits were told that it
// gives up.
func (w *Worker) overlooked(e *entry) (list []delivery) {
	for _, c := range e.commands {
		cancel, ok := c.(*engine.Cancel)
		if !ok || !cancel.Resource.OnBoard() {
			continue
		}
		w.mu.Lock()
		waiting := slices.Clone(w.told[runningTask{execution: e.x.id, task: cancel.Task}])
		w.mu.Unlock()
		for _, t := range waiting {
			if !slices.ContainsFunc(e.deliveries, func(d delivery) bool { return d.told != nil && d.told.row == t.row }) {
				list = append(list, w.deliveries(t)...)
			}
		}
	}
	return list
}

// bind adds to b, which is being closed, the writes that tell the board of
// waits that have ended, and those that drop the rows which were taken.
func (w *Worker) bind(b *Batch) {
	if w.cfg.WaitEnded == nil {
		return
	}
	var first, last []*write
	var taken []takenRow
	for i, e := range b.entries {
		c := &b.commit.Executions[i]
		for _, command := range e.commands {
			if cancel, ok := command.(*engine.Cancel); ok && cancel.Resource.OnBoard() {
				first = append(first, w.waitEnded(c, cancel.Task))
				// Once more behind the others: one of them may begin the work, for the
				// call that is being given up.
				last = append(last, w.waitEnded(c, cancel.Task))
			}
		}
		for _, d := range e.deliveries {
			if d.told != nil {
				taken = append(taken, takenRow{d.told.row, c})
			}
		}
	}
	for _, l := range b.late {
		if l.d.told == nil {
			continue
		}
		row := takenRow{row: l.d.told.row}
		if i := slices.IndexFunc(b.entries, func(e *entry) bool { return e.x == l.x }); i >= 0 {
			row.with = &b.commit.Executions[i]
		}
		taken = append(taken, row)
	}
	if len(taken) > 0 {
		first = append(first, newWrite(func(ctx context.Context, tx store.Tx) error { return dropRows(ctx, tx, taken) }))
	}
	if len(first) > 0 {
		b.writes = slices.Concat(first, b.writes, last)
	}
}

// takenRow is a row of the inbox that goes if an execution's part of the commit
// is kept; nil: in any case.
type takenRow struct {
	row  string
	with *store.ExecutionCommit
}

func dropRows(ctx context.Context, tx store.Tx, rows []takenRow) error {
	for _, r := range rows {
		if r.with != nil && r.with.Err != nil {
			continue
		}
		if err := tx.DeleteRecord(ctx, inboxKind, r.row); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// waitEnded is the write that tells of the end of a wait, if c is kept.
func (w *Worker) waitEnded(c *store.ExecutionCommit, task engine.TaskID) *write {
	why := whyEnded(c)
	op := newWrite(nil)
	op.Do = func(ctx context.Context, tx store.Tx) error {
		op.told = nil
		if c.Err != nil {
			return nil
		}
		err := w.cfg.WaitEnded(context.WithValue(ctx, writeKey{}, op), tx, c.ID, task, why)
		if err != nil {
			w.cfg.Log.Error("the board was not told of the end of a wait", "execution", c.ID, "task", task, "error", err)
		}
		return err
	}
	return op
}

// whyEnded says for people why an execution gave up its waits.
func whyEnded(c *store.ExecutionCommit) string {
	switch c.Delta.Status {
	case engine.Aborted:
		return "the execution was stopped"
	case engine.TimedOut:
		return "the execution has timed out"
	case engine.Failed:
		return "the execution has failed"
	}
	return "the state has gone on without it: it timed out, or a branch beside it failed"
}

// newWrite is a write that nobody waits for.
func newWrite(do func(ctx context.Context, tx store.Tx) error) *write {
	op := &write{done: make(chan error, 1)}
	op.Do = do
	return op
}
