package binding

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Callback is a task of an execution that waits for an answer from outside and
// is not work on the board.
type Callback struct {
	ID          string          `json:"id"` // not the task token, and no way to it
	Execution   string          `json:"execution"`
	Machine     string          `json:"machine"` // ARN
	State       string          `json:"state"`
	Resource    string          `json:"resource"`
	Input       json.RawMessage `json:"input"`
	Since       time.Time       `json:"since"`
	TimeoutAt   time.Time       `json:"timeout_at,omitzero"`   // when its time is over
	HeartbeatBy time.Time       `json:"heartbeat_by,omitzero"` // when it is given up unless it shows life
}

// The errors of Callbacks.
var (
	ErrNoCallback = errors.New("nothing waits for that callback (any more)")
	ErrAnswer     = errors.New("the answer cannot be used")
	ErrCursor     = errors.New("not a cursor of this list")
)

// Executions is what Callbacks asks of the store.
type Executions interface {
	Machine(ctx context.Context, name string) (store.Machine, error)
	Machines(ctx context.Context, afterName string, limit int) ([]store.Machine, error)
	Executions(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error)
	OpenMapRuns(ctx context.Context, after store.MapRunID, limit int) ([]store.MapRun, error)
}

// Open is what Callbacks asks of who runs executions: worker.Worker, by way of
// OpenTasks.
type Open interface {
	OpenTasks(ctx context.Context, id store.ExecutionID) (execution, machine string, tasks []engine.OpenTask, err error)
	Deliver(ctx context.Context, id store.ExecutionID, ev engine.Event) error
}

// Callbacks finds the tasks that wait for an answer by token in the executions
// themselves. Nothing is kept for them: a million of them cost nothing until
// somebody turns the pages.
type Callbacks struct {
	in   Executions
	open Open
	now  func() time.Time
}

// NewCallbacks makes Callbacks over a store and who runs its executions.
func NewCallbacks(in Executions, open Open) *Callbacks {
	return &Callbacks{in, open, time.Now}
}

// cursor is where a page ended: the machines come first, by name, then the Map
// Runs under way, each with its executions from the newest on.
type cursor struct {
	Machine string            `json:"m,omitempty"` // all before it are done
	Runs    bool              `json:"r,omitempty"` // all machines are done
	Run     store.MapRunID    `json:"n,omitempty"` // all before it are done
	Before  store.ExecutionID `json:"b,omitempty"` // of its executions
	Skip    int               `json:"s,omitempty"` // of the tasks of the next execution
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(mustJSON(c)))
}

// mostSeen is how many executions a page looks at before it ends early.
const mostSeen = 1000

// page is one page under way.
type page struct {
	*Callbacks
	ctx   context.Context
	limit int
	seen  int
	list  []Callback
	at    cursor
}

// List returns at most limit callbacks from a cursor on, and the cursor to go on
// from, "" after the last. A page may be short, or empty, and not the last.
func (c *Callbacks) List(ctx context.Context, from string, limit int) ([]Callback, string, error) {
	p := &page{Callbacks: c, ctx: ctx, limit: limit}
	if from != "" {
		text, err := base64.RawURLEncoding.DecodeString(from)
		if err != nil || json.Unmarshal(text, &p.at) != nil || p.at.Skip < 0 {
			return nil, "", ErrCursor
		}
	}
	more, err := p.fill()
	if err != nil || !more {
		return p.list, "", err
	}
	return p.list, p.at.String(), nil
}

func (p *page) fill() (more bool, err error) {
	for !p.at.Runs {
		more, err := p.machines()
		if more || err != nil {
			return more, err
		}
	}
	for {
		// Those after the one before it, so that it is found again.
		runs, err := p.in.OpenMapRuns(p.ctx, max(p.at.Run-1, 0), 100)
		if err != nil || len(runs) == 0 {
			return false, err
		}
		for _, r := range runs {
			if r.ID > p.at.Run {
				p.at.Run, p.at.Before, p.at.Skip = r.ID, 0, 0
			}
			if more, err := p.executions(store.ExecutionQuery{Run: r.ID}); more || err != nil {
				return more, err
			}
			p.at.Run, p.at.Before, p.at.Skip = r.ID+1, 0, 0
		}
	}
}

// machines looks through the next machines, and goes over to the Map Runs when
// there are none.
func (p *page) machines() (more bool, err error) {
	if p.at.Before != 0 || p.at.Skip != 0 { // in the middle of one
		m, err := p.in.Machine(p.ctx, p.at.Machine)
		switch {
		case err == nil:
			if more, err := p.executions(store.ExecutionQuery{Machine: m.ID}); more || err != nil {
				return more, err
			}
		case !errors.Is(err, store.ErrNotFound):
			return false, err
		}
		p.at.Before, p.at.Skip = 0, 0
	}
	found, err := p.in.Machines(p.ctx, p.at.Machine, 100)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		p.at = cursor{Runs: true}
	}
	for _, m := range found {
		p.at.Machine = m.Name
		if m.Type == "EXPRESS" {
			continue
		}
		if more, err := p.executions(store.ExecutionQuery{Machine: m.ID}); more || err != nil {
			return more, err
		}
		p.at.Before, p.at.Skip = 0, 0
	}
	return false, nil
}

// executions adds what waits in the running executions that q selects, from
// p.at on. more says that the page is full.
func (p *page) executions(q store.ExecutionQuery) (more bool, err error) {
	running := engine.Running
	q.Status, q.Limit = &running, 100
	for {
		q.Before = p.at.Before
		found, err := p.in.Executions(p.ctx, q)
		if err != nil {
			return false, err
		}
		for _, x := range found {
			if len(p.list) == p.limit || p.seen == mostSeen {
				p.at.Before = x.ID + 1
				return true, nil
			}
			p.seen++
			if more, err := p.add(x.ID); more || err != nil {
				return more, err
			}
			p.at.Before, p.at.Skip = x.ID, 0
		}
		if len(found) < q.Limit {
			return false, nil
		}
	}
}

func (p *page) add(id store.ExecutionID) (more bool, err error) {
	execution, machine, tasks, err := p.open.OpenTasks(p.ctx, id)
	if err != nil {
		return false, err
	}
	for i, t := range tasks {
		if i < p.at.Skip && id == p.at.Before-1 {
			continue
		}
		if len(p.list) == p.limit {
			p.at.Before, p.at.Skip = id+1, i
			return true, nil
		}
		c := Callback{
			ID: callbackID(id, t.Task), Execution: execution, Machine: machine, State: t.State, Resource: t.Resource.ARN,
			Input: json.RawMessage(t.Input.JSON()), Since: time.UnixMilli(t.Since).UTC(),
		}
		if t.TimeoutAt != 0 {
			c.TimeoutAt = time.UnixMilli(t.TimeoutAt).UTC()
		}
		if t.HeartbeatBy != 0 {
			c.HeartbeatBy = time.UnixMilli(t.HeartbeatBy).UTC()
		}
		p.list = append(p.list, c)
	}
	return false, nil
}

// callbackID names a task. Unlike its token it lets nobody answer who may not
// call this server.
func callbackID(x store.ExecutionID, t engine.TaskID) string {
	return fmt.Sprintf("cb-%d-%d-%d", x, t.Frame, t.Attempt)
}

func parseCallbackID(id string) (x store.ExecutionID, t engine.TaskID, err error) {
	if n, err := fmt.Sscanf(id, "cb-%d-%d-%d", &x, &t.Frame, &t.Attempt); err != nil || n != 3 || callbackID(x, t) != id {
		return 0, t, ErrNoCallback
	}
	return x, t, nil
}

// Succeed answers a callback with its output, JSON. by is who does.
func (c *Callbacks) Succeed(ctx context.Context, id, by string, output json.RawMessage) error {
	if err := value.Valid(string(output)); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return c.answer(ctx, id, by, func(t engine.TaskID) engine.Event {
		return engine.TaskSucceeded{At: c.at(), Task: t, Output: engine.Text(string(output)), Callback: true}
	})
}

// Fail answers a callback with an error. An empty name or cause is not given.
func (c *Callbacks) Fail(ctx context.Context, id, by, name, cause string) error {
	if len(name) > 256 || len(cause) > 32768 {
		return fmt.Errorf("%w: an error has at most 256 bytes and a cause 32,768", ErrAnswer)
	}
	given := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return c.answer(ctx, id, by, func(t engine.TaskID) engine.Event {
		return engine.TaskFailed{At: c.at(), Task: t, Error: given(name), Cause: given(cause), Callback: true}
	})
}

func (c *Callbacks) at() time.Time { return c.now().Truncate(time.Millisecond) }

func (c *Callbacks) answer(ctx context.Context, id, by string, event func(engine.TaskID) engine.Event) error {
	x, t, err := parseCallbackID(id)
	if err != nil {
		return err
	}
	_, _, tasks, err := c.open.OpenTasks(ctx, x)
	if err != nil {
		return gone(err)
	}
	for _, open := range tasks {
		if open.Task != t {
			continue
		}
		if open.Queued { // whoever answers has taken it
			if err := c.open.Deliver(ctx, x, engine.ActivityStarted{At: c.at(), Task: t, Worker: strings.TrimPrefix(by, "user:")}); err != nil {
				return gone(err)
			}
		}
		return gone(c.open.Deliver(ctx, x, event(t)))
	}
	return ErrNoCallback
}

func gone(err error) error {
	if errors.Is(err, engine.ErrNotWaiting) || errors.Is(err, store.ErrNotFound) {
		return ErrNoCallback
	}
	return err
}
