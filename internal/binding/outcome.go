package binding

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// The errors that a state sees when the board ends its work without a result.
const (
	ReviewRejected = "Review.Rejected"
	TaskFailed     = "Agent.TaskFailed"
	TaskCancelled  = "Task.Cancelled"
	OverBudget     = "Agent.BudgetExceeded"
	OutputInvalid  = "Lockstep.OutputInvalid"
)

// Happened tells executions what the board has decided about what they wait
// for. It is for control.Config.Happened.
func (b *Binding) Happened(ctx context.Context, tx store.Tx, e *control.Event) error {
	switch {
	case e.Type == "agent.output_refused":
		return b.refused(ctx, tx, e)
	case e.Task != "" && strings.HasPrefix(e.Type, "task."):
		return b.moved(ctx, tx, e)
	case e.Task == "" && e.Review != "" && strings.HasPrefix(e.Type, "review."):
		return b.decided(ctx, tx, e)
	}
	return nil
}

// refused notes that the present attempt has handed in what does not fit.
func (b *Binding) refused(ctx context.Context, tx store.Tx, e *control.Event) error {
	ref, _ := e.Data["task"].(string)
	t, err := b.board.In(tx).Task(ctx, b.call(), ref)
	if err != nil || t.Source == nil {
		return ignore(err, control.NotFound)
	}
	w, err := waitFor(ctx, tx, t.ID)
	if err != nil || w == nil {
		return err
	}
	w.Refused = t.Fence
	return w.save(ctx, tx)
}

func ignore(err error, code control.Code) error {
	if control.Is(err, code) {
		return nil
	}
	return err
}

// moved tells of a task that has moved, or that somebody works on.
func (b *Binding) moved(ctx context.Context, tx store.Tx, e *control.Event) error {
	from, to := state(e.Data["from"]), state(e.Data["to"])
	working := e.Type == "task.alive" || to == control.InProgress
	resting := from == control.InProgress && to != "" && !working
	if !working && !resting && !to.Terminal() {
		return nil
	}
	w, err := waitFor(ctx, tx, e.Task)
	if err != nil || w == nil {
		return err
	}
	if !to.Terminal() {
		// Whoever has a lease without an end, as people have, owes no heartbeat.
		if !w.Heartbeat || working && e.Agent == "" {
			return nil
		}
		return b.tell(ctx, tx, w, engine.TaskHeartbeat{At: e.At, Task: w.task(), Bound: true, Suspend: resting})
	}
	t, err := b.board.In(tx).Task(ctx, b.call(), e.Task)
	if err != nil {
		return err
	}
	if to == control.Done {
		output, err := b.output(ctx, tx, t)
		if err != nil {
			return err
		}
		return b.end(ctx, tx, w, engine.TaskSucceeded{At: e.At, Task: w.task(), Output: engine.Text(output)})
	}
	name, cause, err := b.failure(ctx, tx, w, t, e)
	if err != nil {
		return err
	}
	return b.end(ctx, tx, w, engine.TaskFailed{At: e.At, Task: w.task(), Error: &name, Cause: &cause})
}

// state reads a state out of an event, whose data may have been written down in
// between.
func state(v any) control.State {
	switch v := v.(type) {
	case control.State:
		return v
	case string:
		return control.State(v)
	}
	return ""
}

func (b *Binding) tell(ctx context.Context, tx store.Tx, w *wait, ev engine.Event) error {
	return b.cfg.Engine.Tell(ctx, tx, w.Execution, engine.Text(w.Submitted), ev)
}

// end tells of the end of a wait, once.
func (b *Binding) end(ctx context.Context, tx store.Tx, w *wait, ev engine.Event) error {
	w.Over = true
	if err := w.save(ctx, tx); err != nil {
		return err
	}
	return b.tell(ctx, tx, w, ev)
}

// deliverable is an approved version of an output as a state sees it. Its bytes
// stay on the board.
type deliverable struct {
	ID        string `json:"id"`
	Series    string `json:"series"`
	Version   int    `json:"version"`
	Kind      string `json:"kind"`
	Title     string `json:"title"`
	MediaType string `json:"media_type,omitempty"`
	URL       string `json:"url"`
	Hash      string `json:"hash"`
}

type verdict struct {
	Verdict string `json:"verdict"`
	By      string `json:"by"`
	Comment string `json:"comment"`
}

// output is the result of a state whose task is done.
func (b *Binding) output(ctx context.Context, tx store.Tx, t *control.Task) (string, error) {
	v, err := b.board.In(tx).View(ctx, b.call(), t.ID)
	if err != nil {
		return "", err
	}
	out := struct {
		Task         string          `json:"task"`
		Output       json.RawMessage `json:"output"`
		Summary      string          `json:"summary"`
		Deliverables []deliverable   `json:"deliverables"`
		Review       *verdict        `json:"review"`
		Usage        struct {
			Tokens  int64       `json:"tokens"`
			CostUSD json.Number `json:"cost_usd"`
		} `json:"usage"`
	}{Task: t.Key, Output: t.Output, Summary: t.Summary, Deliverables: []deliverable{}}
	if len(out.Output) == 0 {
		out.Output = json.RawMessage("null")
	}
	for _, d := range v.Deliverables {
		if !slices.Contains(t.Approved, d.ID) {
			continue
		}
		url := d.URL
		if url == "" {
			url = b.cfg.URL() + "/api/v1/deliverables/" + d.ID + "/content"
		}
		out.Deliverables = append(out.Deliverables, deliverable{d.ID, d.Series, d.Number, d.Kind, d.Title, d.MediaType, url, d.Hash})
	}
	if r := last(v.Reviews); r != nil && t.ReviewMode != control.ReviewNone {
		if out.Review, err = b.verdict(ctx, tx, r); err != nil {
			return "", err
		}
	}
	used, err := tx.UsageOf(ctx, "task", t.ID, 0, lastDay)
	if err != nil {
		return "", err
	}
	out.Usage.Tokens = used.Input + used.CacheRead + used.CacheWrite5m + used.CacheWrite1h + used.Output
	out.Usage.CostUSD = usd(used.Billed)
	return mustJSON(out), nil
}

// lastDay is after any day that usage is kept under.
const lastDay = 99991231

// last is the newest review of a task's result.
func last(reviews []*control.Review) (r *control.Review) {
	for _, other := range reviews {
		if other.Kind == "deliverable" && (r == nil || other.Round >= r.Round) {
			r = other
		}
	}
	return r
}

// verdict is how a review ended and by whom.
func (b *Binding) verdict(ctx context.Context, tx store.Tx, r *control.Review) (*verdict, error) {
	if r.Status == "expired" {
		return &verdict{Verdict: string(r.OnExpiry), Comment: "nobody decided in time"}, nil
	}
	if len(r.Verdicts) == 0 {
		return &verdict{}, nil
	}
	v := r.Verdicts[len(r.Verdicts)-1]
	by, err := b.name(ctx, tx, v.By)
	return &verdict{v.Verdict, by, v.Comment}, err
}

// name is a party as people write it.
func (b *Binding) name(ctx context.Context, tx store.Tx, p control.Party) (string, error) {
	board := b.board.In(tx)
	switch kind, id := p.Split(); kind {
	case "user":
		u, err := board.User(ctx, b.call(), id)
		if err != nil {
			return string(p), ignore(err, control.NotFound)
		}
		return "@" + u.Name, nil
	case "agent":
		a, err := board.Agent(ctx, b.call(), id)
		if err != nil {
			return string(p), ignore(err, control.NotFound)
		}
		return "@" + a.Slug, nil
	}
	return string(p), nil
}

// failure is the error of a state whose task has ended without a result, with
// the record of what went wrong as its cause.
func (b *Binding) failure(ctx context.Context, tx store.Tx, w *wait, t *control.Task, e *control.Event) (name, cause string, err error) {
	v, err := b.board.In(tx).View(ctx, b.call(), t.ID)
	if err != nil {
		return "", "", err
	}
	record := struct {
		control.ErrorRecord
		TaskKey string `json:"task_key"`
		By      string `json:"by,omitempty"` // who decided
	}{TaskKey: t.Key}
	switch e.Type {
	case "task.reject", "task.expired":
		name = ReviewRejected
		record.Category, record.Code = "review", "rejected"
		if r := last(v.Reviews); r != nil {
			said, err := b.verdict(ctx, tx, r)
			if err != nil {
				return "", "", err
			}
			record.Message, record.By = said.Comment, said.By
		}
	case "task.cancel":
		name = TaskCancelled
		record.Category, record.Code = "cancelled", "cancelled"
		record.Message, _ = e.Data["note"].(string)
		if record.By, err = b.name(ctx, tx, e.By); err != nil {
			return "", "", err
		}
	default:
		name = TaskFailed
		if n := len(v.Attempts); n > 0 {
			newest := slices.MaxFunc(v.Attempts, func(a, b *control.Attempt) int { return int(a.Number - b.Number) })
			if newest.Error != nil {
				record.ErrorRecord = *newest.Error
			}
		}
		switch {
		case record.Code == "over_budget":
			name = OverBudget
		case w.Refused != 0 && w.Refused == t.Fence, record.Code == string(control.OutputInvalid):
			name = OutputInvalid
		}
	}
	record.Task = t.ID
	if record.OccurredAt.IsZero() {
		record.OccurredAt = e.At
	}
	record.Detail = clip(record.Detail)
	record.Message = clip(record.Message)
	return name, mustJSON(record), nil
}

// clip keeps a cause within what AWS lets one be, whole.
func clip(text string) string {
	const most = 8 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}

// decided tells of the end of a bare review.
func (b *Binding) decided(ctx context.Context, tx store.Tx, e *control.Event) error {
	switch e.Type {
	case "review.approved", "review.rejected", "review.changes_requested", "review.answered", "review.expired", "review.withdrawn":
	default:
		return nil
	}
	w, err := waitFor(ctx, tx, e.Review)
	if err != nil || w == nil {
		return err
	}
	r, err := b.board.In(tx).Review(ctx, b.call(), e.Review)
	if err != nil {
		return err
	}
	said, err := b.verdict(ctx, tx, r)
	if err != nil {
		return err
	}
	switch {
	case e.Type == "review.withdrawn":
		return b.rejected(ctx, tx, w, e.At, TaskCancelled, said, "the review was withdrawn", r.ID)
	case said.Verdict == "reject":
		return b.rejected(ctx, tx, w, e.At, ReviewRejected, said, said.Comment, r.ID)
	}
	out := struct {
		Verdict string
		By      string
		Comment string
		Edited  json.RawMessage `json:",omitempty"`
	}{Verdict: said.Verdict, By: said.By, Comment: said.Comment}
	if n := len(r.Verdicts); n > 0 && r.Status != "expired" {
		given := r.Verdicts[n-1].Edited
		var choice string
		if r.Kind == "question" && json.Unmarshal(given, &choice) == nil {
			out.Verdict = choice // one of Choices
		} else {
			out.Edited = given
		}
	}
	return b.end(ctx, tx, w, engine.TaskSucceeded{At: e.At, Task: w.task(), Output: engine.Text(mustJSON(out))})
}

func (b *Binding) rejected(ctx context.Context, tx store.Tx, w *wait, at time.Time, name string, said *verdict, message, review string) error {
	cause := mustJSON(struct {
		Category   string    `json:"category"`
		Code       string    `json:"code"`
		Message    string    `json:"message"`
		Retryable  bool      `json:"retryable"`
		Review     string    `json:"review"`
		By         string    `json:"by,omitempty"`
		OccurredAt time.Time `json:"occurred_at"`
	}{"review", "rejected", clip(message), false, review, said.By, at})
	return b.end(ctx, tx, w, engine.TaskFailed{At: at, Task: w.task(), Error: &name, Cause: &cause})
}

// usd writes nano-USD as a number of USD, exactly.
func usd(nano int64) json.Number {
	text := big.NewRat(nano, 1e9).FloatString(9)
	return json.Number(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

// nano reads USD as nano-USD, to the nearest.
func nano(usd json.Number) int64 {
	f, _ := usd.Float64() // at most 1e9: it was looked at
	return int64(math.Round(f * 1e9))
}

// mustJSON writes down what is known to be writable.
func mustJSON(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // of texts, numbers and JSON that was read as such
	}
	return strings.TrimSuffix(text.String(), "\n")
}
