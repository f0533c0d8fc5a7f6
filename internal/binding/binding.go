// Package binding ties states of executions to work on the board: the tasks
// agent:runTask, agent:createTask and review:request.
//
// The one idea: two records are enough. The board's task (or review) carries
// its Source, the state's entry, so that nothing the engine does twice makes two
// of it. A wait says which attempt of the engine's task is waiting for it; it is
// found from both sides. What the board decides is told to the execution in the
// transaction of the decision (Happened), and what ends the wait from the
// engine's side ends the work in the commit that ends it (WaitEnded).
//
// Nothing here waits: a state that waits for a person is two rows on the disk.
package binding

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Board is what a Binding asks of the board: control.Board.
type Board = control.Board

// Engine is what a Binding asks of who runs executions: worker.Worker.
type Engine interface {
	ParseToken(token string) (store.ExecutionID, engine.TaskID, error)
	// Tell has an execution hear of an event if the write that ctx and tx are
	// those of is kept.
	Tell(ctx context.Context, tx store.Tx, id store.ExecutionID, submitted *engine.Data, ev engine.Event) error
}

// Config is what a Binding needs.
type Config struct {
	Workspace string
	Engine    Engine
	// Write makes a change durable through the engine.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	// URL is where people reach the server, without a slash at its end.
	URL func() string
	Now func() time.Time // default: the clock
}

// Binding is a task.Integration for the board. Connect it to the board before
// anything happens.
type Binding struct {
	cfg   Config
	board *Board
}

// New makes a binding.
func New(cfg Config) *Binding {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Binding{cfg: cfg}
}

// Connect says which board it is.
func (b *Binding) Connect(board *Board) { b.board = board }

// Resources are what a Binding is to be registered as.
var Resources = []string{"agent:runTask", "agent:createTask", "review:request"}

// wait is an attempt of a task of the engine's that waits for the board, or has
// waited.
type wait struct {
	Execution store.ExecutionID `json:"execution"`
	Frame     engine.FrameID    `json:"frame"`
	Attempt   uint32            `json:"attempt"`
	Task      string            `json:"task,omitempty"`   // id
	Review    string            `json:"review,omitempty"` // id, of a bare review
	Submitted string            `json:"submitted"`        // JSON: what the state was told when it began to wait
	Heartbeat bool              `json:"heartbeat,omitempty"`
	Refused   int64             `json:"refused,omitempty"` // number of the board's attempt whose output did not fit the schema
	Over      bool              `json:"over,omitempty"`    // it has its answer, or needs none

	version int64
}

const waitKind = "wait"

func (w *wait) id() string {
	return waitID(w.Execution, engine.TaskID{Frame: w.Frame, Attempt: w.Attempt})
}

func waitID(x store.ExecutionID, t engine.TaskID) string {
	return fmt.Sprintf("%d/%d/%d", x, t.Frame, t.Attempt)
}

func (w *wait) of() string { return of(cmp.Or(w.Task, w.Review)) }

func of(id string) string { return "of/" + id }

func (w *wait) task() engine.TaskID { return engine.TaskID{Frame: w.Frame, Attempt: w.Attempt} }

func (w *wait) save(ctx context.Context, tx store.Tx) error {
	data, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return tx.SaveRecord(ctx, store.Record{Kind: waitKind, ID: w.id(), Version: w.version, Keys: []string{w.of()}, Data: data})
}

func read(r store.Record) (*wait, error) {
	w := &wait{version: r.Version}
	if err := json.Unmarshal(r.Data, w); err != nil {
		return nil, fmt.Errorf("read the wait %s: %w", r.ID, err)
	}
	return w, nil
}

// known finds the wait of an attempt, nil if there is none.
func known(ctx context.Context, tx store.Tx, id string) (*wait, error) {
	r, err := tx.Record(ctx, waitKind, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return read(r)
}

// waitFor finds the wait for a task or review that is not over, nil if there is
// none.
func waitFor(ctx context.Context, tx store.Tx, id string) (*wait, error) {
	found, err := tx.Records(ctx, store.RecordQuery{Kind: waitKind, From: of(id), To: of(id) + "\x00", Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	w, err := read(found[0].Record)
	if err != nil || w.Over {
		return nil, err
	}
	return w, nil
}

// begin makes w the only wait for what it waits for: earlier attempts' are over.
func (w *wait) begin(ctx context.Context, tx store.Tx) error {
	earlier, err := tx.Records(ctx, store.RecordQuery{Kind: waitKind, From: w.of(), To: w.of() + "\x00", Limit: 1000})
	if err != nil {
		return err
	}
	for _, r := range earlier {
		if err := tx.DeleteRecord(ctx, waitKind, r.ID); err != nil {
			return err
		}
	}
	return w.save(ctx, tx)
}

// Run implements task.Integration: it puts the work on the board, once for each
// entry into the state. What comes of it is told to the execution later.
func (b *Binding) Run(ctx context.Context, c *task.Call) (result task.Result, err error) {
	p, err := parse(c)
	if err != nil {
		return result, err
	}
	var at *wait
	if c.Resource.OnBoard() {
		x, t, err := b.cfg.Engine.ParseToken(c.Token)
		if err != nil { // the token of a state that is tested by itself
			return result, task.Fail("States.Runtime", c.Resource.ARN+" needs an execution that waits for it. Mock the task to test its state.")
		}
		at = &wait{Execution: x, Frame: t.Frame, Attempt: t.Attempt, Heartbeat: c.Heartbeat}
	}
	err = b.cfg.Write(ctx, func(wctx context.Context, tx store.Tx) (err error) {
		if ctx.Err() != nil { // nobody waits any more
			return ctx.Err()
		}
		result, err = b.put(wctx, tx, c, p, at)
		return err
	})
	var refused *control.Error
	if errors.As(err, &refused) {
		err = task.Fail("States.TaskFailed", refused.Message)
	}
	return result, err
}

func (b *Binding) call() control.Call {
	return control.Call{Workspace: b.cfg.Workspace, By: control.System, At: b.cfg.Now()}
}

// put finds what the state's entry has on the board, or puts it there.
func (b *Binding) put(ctx context.Context, tx store.Tx, c *task.Call, p *parameters, at *wait) (result task.Result, err error) {
	source := control.Source{Execution: c.ExecutionARN, State: c.State, Entry: fmt.Sprint(c.Entered), Waiting: at != nil, Detached: at == nil}
	if at != nil {
		w, err := known(ctx, tx, at.id())
		if err != nil {
			return result, err
		}
		if w != nil { // asked for again, after a crash
			return task.Result{Output: w.Submitted}, nil
		}
	}
	if c.Resource.Service == "review" {
		return b.putReview(ctx, tx, p, source, at)
	}
	return b.putTask(ctx, tx, p, source, at)
}

func (b *Binding) putTask(ctx context.Context, tx store.Tx, p *parameters, source control.Source, at *wait) (result task.Result, err error) {
	board := b.board.In(tx)
	t, err := board.TaskOf(ctx, tx, source)
	switch {
	case control.Is(err, control.NotFound):
		if t, err = board.CreateTask(ctx, b.call(), p.task(source, b.cfg.Now())); err != nil {
			return result, err
		}
	case err != nil:
		return result, err
	}
	result.Output = b.submitted(t)
	if at == nil {
		return result, nil
	}
	at.Task, at.Submitted = t.ID, result.Output
	switch {
	case t.State == control.Done: // it was, before something else failed the state
		at.Over = true
		output, err := b.output(ctx, tx, t)
		if err != nil {
			return result, err
		}
		return task.Result{Submitted: result.Output, Output: output}, at.begin(ctx, tx)
	case t.State.Terminal():
		if _, err := board.Retry(ctx, b.call(), t.ID); err != nil {
			return result, err
		}
	}
	return result, at.begin(ctx, tx)
}

func (b *Binding) putReview(ctx context.Context, tx store.Tx, p *parameters, source control.Source, at *wait) (result task.Result, err error) {
	board := b.board.In(tx)
	r, err := board.ReviewOf(ctx, tx, source)
	if control.Is(err, control.NotFound) || err == nil && r.Status != "pending" {
		r, err = board.RequestReview(ctx, b.call(), "", p.review(source, b.cfg.Now()))
	}
	if err != nil {
		return result, err
	}
	result.Output = mustJSON(struct {
		ReviewID string `json:"ReviewId"`
		URL      string `json:"Url"`
	}{r.ID, b.cfg.URL() + "/reviews/" + r.ID})
	at.Review, at.Submitted = r.ID, result.Output
	return result, at.begin(ctx, tx)
}

// submitted is what a state is told of the task that was made for it.
func (b *Binding) submitted(t *control.Task) string {
	return mustJSON(struct {
		TaskID  string `json:"TaskId"`
		TaskKey string
		URL     string `json:"Url"`
	}{t.ID, t.Key, b.page(t.Key)})
}

// page is where people look at a task.
func (b *Binding) page(key string) string {
	project, _, _ := strings.Cut(key, "-")
	return b.cfg.URL() + "/board/" + project + "?task=" + key
}

// WaitEnded ends the work that a state has waited for. It is for the engine to
// call in the commit that ends the wait; a wait that it does not know is none.
func (b *Binding) WaitEnded(ctx context.Context, tx store.Tx, x store.ExecutionID, t engine.TaskID, why string) error {
	w, err := known(ctx, tx, waitID(x, t))
	if err != nil || w == nil || w.Over {
		return err
	}
	w.Over = true
	if err := w.save(ctx, tx); err != nil {
		return err
	}
	board := b.board.In(tx)
	if w.Review != "" {
		_, err = board.EndReview(ctx, b.call(), w.Review)
	} else {
		_, err = board.EndWait(ctx, b.call(), w.Task, why)
	}
	return err
}

// parameters are what a state says of the work, checked.
type parameters struct {
	Project, Title, Description string
	Assignee, Capability        string
	Input, Payload              json.RawMessage
	ReviewMode                  control.ReviewMode
	Reviewers                   []control.Party
	AcceptanceCriteria          []string
	OutputSchema                json.RawMessage
	Labels                      []string
	Priority                    control.Priority
	DueInSeconds                int64
	BudgetUsd                   json.Number //nolint:revive // as it is written in a definition
	MaxAttempts                 int
	DependsOn                   []string
	RequiredApprovals           int
	OnExpiry                    control.OnExpiry
	Choices                     []string
}

// parse reads a call's input. The task's token is for nobody's eyes: where the
// definition passes it on, a placeholder goes.
func parse(c *task.Call) (*parameters, error) {
	input := c.Input
	if c.Token != "" {
		input = strings.ReplaceAll(input, c.Token, "(token)")
	}
	v, err := value.Parse(input)
	if err != nil {
		return nil, fmt.Errorf("read the parameters: %w", err)
	}
	if problems := asl.BoardProblems(c.Resource, v); len(problems) > 0 {
		var texts []string
		for _, p := range problems {
			texts = append(texts, p.String())
		}
		return nil, task.Fail("States.Runtime", fmt.Sprintf("The parameters of state '%s' cannot be used to start the task: [%s]", c.State, strings.Join(texts, "; ")))
	}
	p := &parameters{}
	if err := json.Unmarshal([]byte(input), p); err != nil {
		return nil, task.Fail("States.Runtime", fmt.Sprintf("The parameters of state '%s' cannot be used to start the task: %s", c.State, err))
	}
	return p, nil
}

func (p *parameters) due(now time.Time) time.Time {
	if p.DueInSeconds == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(p.DueInSeconds) * time.Second)
}

func (p *parameters) task(source control.Source, now time.Time) control.NewTask {
	n := control.NewTask{
		Project: p.Project, Title: p.Title, Description: p.Description, AcceptanceCriteria: p.AcceptanceCriteria, Priority: p.Priority,
		Labels: p.Labels, Assignee: control.Party(p.Assignee), Reviewers: p.Reviewers, ReviewMode: p.ReviewMode, DueAt: p.due(now),
		Input: p.Input, OutputSchema: p.OutputSchema, Budget: nano(p.BudgetUsd), MaxAttempts: p.MaxAttempts, Source: &source,
	}
	if p.Capability != "" {
		n.Capabilities = []string{p.Capability}
	}
	for _, key := range p.DependsOn {
		n.DependsOn = append(n.DependsOn, control.DependsOn{Task: key, PassDeliverables: true})
	}
	return n
}

func (p *parameters) review(source control.Source, now time.Time) control.NewReview {
	kind := "deliverable" // approve, changes_requested or reject
	if len(p.Choices) > 0 {
		kind = "question"
	}
	return control.NewReview{
		Project: p.Project, Kind: kind, Title: p.Title, Payload: p.Payload, Choices: p.Choices, Reviewers: p.Reviewers,
		RequiredApprovals: p.RequiredApprovals, DueAt: p.due(now), OnExpiry: p.OnExpiry, Source: &source,
	}
}
