package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// overFlag marks a task whose budget was told to be used up.
const overFlag = "over_budget"

// lastDay is after any day that usage is kept under.
const lastDay = 99991231

// overBudget reports whether a task has used what it may: what it cost, or, where
// a plan pays, what it would have.
func (x *op) overBudget(t *Task) (bool, error) {
	if t.Budget <= 0 {
		return false, nil
	}
	used, err := x.r.UsageOf(x.ctx, "task", t.ID, 0, lastDay)
	return err == nil && max(used.Billed, used.Shadow) >= t.Budget, err
}

func overBudgetError(t *Task) *ErrorRecord {
	return &ErrorRecord{Category: "policy", Code: "over_budget", Message: "the budget of " + t.Key + " is used up"}
}

// spentAll has no attempt follow one that failed where a state waits for the task
// and there is nothing left to spend.
func (x *op) spentAll(t *Task, e *ErrorRecord) error {
	if !e.Retryable || t.Source == nil {
		return nil
	}
	over, err := x.overBudget(t)
	if !over {
		return err
	}
	why := overBudgetError(t)
	e.Detail = e.Message
	e.Category, e.Code, e.Message, e.Retryable = why.Category, why.Code, why.Message, false
	return nil
}

// OverBudget looks at a task that has used something. Where that was more than
// its budget, work on it ends: it fails, with the code over_budget, if a state
// waits for it, and else is blocked until its budget is raised. The project's
// owner hears of it once. Where nothing is over, nothing happens.
func (b *Board) OverBudget(ctx context.Context, c Call, task string) error {
	_, err := write(ctx, b, c, "over_budget", func(x *op) (struct{}, error) {
		t, err := x.task(task)
		if err != nil {
			return struct{}{}, err
		}
		if x.By != System {
			return struct{}{}, refuse(Forbidden, nil, "budgets are watched by the server")
		}
		over, err := x.overBudget(t)
		if err != nil || !over || t.State.Terminal() || slices.Contains(t.Flags, overFlag) && t.State != InProgress {
			return struct{}{}, err
		}
		return struct{}{}, x.stopSpending(t)
	})
	return err
}

func (x *op) stopSpending(t *Task) error {
	if !slices.Contains(t.Flags, overFlag) {
		t.Flags = append(t.Flags, overFlag)
		x.put(t)
		e := t.of("budget.hard", map[string]any{"scope": "task", "hard": t.Budget})
		var err error
		if e.Notify, err = x.notice(t.Project, "budget_hard", fmt.Sprintf("task/%s/%d", t.ID, t.Budget)); err != nil {
			return err
		}
		if err := x.emit(e); err != nil {
			return err
		}
	}
	x.touch(t)
	l, err := x.lease(t)
	if err != nil || l == nil || t.State != InProgress || !l.Holder.isAgent() {
		return err
	}
	if t.Source != nil {
		return x.failed1(t, Fail, "failed", overBudgetError(t))
	}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return err
	}
	if _, err := x.endLease(t, "blocked", nil); err != nil {
		return err
	}
	return x.block(t, Block, Blocking{Kind: "budget", Reason: "its budget is used up", Action: "raise the budget of " + t.Key + ", or cancel it"}, p.Owner, []Party{p.Owner})
}

// budgetChanged lets a task go on whose budget was raised.
func (x *op) budgetChanged(t *Task) error {
	over, err := x.overBudget(t)
	if err != nil || over {
		return err
	}
	t.Flags = slices.DeleteFunc(t.Flags, func(f string) bool { return f == overFlag })
	x.put(t)
	if t.State == Blocked && t.Block.Kind == "budget" {
		return x.unblock(t, Unblock, "unblocked", map[string]any{"note": "its budget was raised"})
	}
	return nil
}

// Stint is a stretch of work on a task: an attempt, and when it was held.
type Stint struct {
	Task    *Task
	Attempt string
	By      Party
	From    time.Time
	Until   time.Time // zero: it still is
	Session string    // of the runtime
}

func (x *op) stint(a *Attempt) (Stint, error) {
	t, err := x.see(a.Task)
	if err != nil {
		return Stint{}, err
	}
	return Stint{Task: t, Attempt: a.ID, By: a.By, From: a.CreatedAt, Until: a.EndedAt, Session: a.SessionKey}, nil
}

// Stint finds an attempt.
func (b *Board) Stint(ctx context.Context, c Call, attempt string) (Stint, error) {
	x := b.view(ctx, c)
	a, err := get[Attempt](x, attempt)
	var s Stint
	if err == nil {
		s, err = x.stint(a)
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no attempt %q", attempt)
	}
	return s, err
}

// Stints lists what an agent may have worked on at a time, as far as it began at
// most two days before that or is still at it, and then did not end more than
// ten minutes before: oldest first.
func (b *Board) Stints(ctx context.Context, c Call, agent string, at time.Time) (all []Stint, err error) {
	const back, grace, most = 48 * time.Hour, 10 * time.Minute, 2000
	x := b.view(ctx, c)
	a, err := x.seeAgent(agent)
	if err != nil {
		return nil, err
	}
	agent = a.ID
	held, err := list[Lease](x, "holder/"+string(AgentParty(agent)), many)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	add := func(a *Attempt) error {
		if seen[a.ID] || a.CreatedAt.After(at) || !a.EndedAt.IsZero() && a.EndedAt.Add(grace).Before(at) {
			return nil
		}
		seen[a.ID] = true
		s, err := x.stint(a)
		if err == nil {
			all = append(all, s)
		}
		return ignore(err, NotFound) // of a project that is closed to the caller
	}
	for _, l := range held {
		a, err := get[Attempt](x, l.Attempt)
		if err != nil {
			return nil, err
		}
		if err := add(a); err != nil {
			return nil, err
		}
	}
	by := "by/" + string(AgentParty(agent))
	recent, err := query[Attempt](x, store.RecordQuery{Kind: "attempt", From: by, To: by + "\x00", AfterID: idsFrom(at.Add(-back)), Limit: most})
	if err != nil {
		return nil, err
	}
	for _, a := range recent {
		if err := add(a); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Stint) int { return a.From.Compare(b.From) })
	return all, nil
}

// StintsOf lists the attempts at a task, oldest first.
func (b *Board) StintsOf(ctx context.Context, c Call, task string) (all []Stint, err error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	tries, err := list[Attempt](x, "task/"+t.ID, many)
	if err != nil {
		return nil, err
	}
	for _, a := range tries {
		s, err := x.stint(a)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// May refuses a caller who may not do something in a project, or, for project "",
// in the whole workspace: read, comment, edit, manage or own.
func (b *Board) May(ctx context.Context, c Call, project, what string) error {
	return b.view(ctx, c).need(project, what)
}

// Scope lists the ids of the projects that the caller may read; all says that
// these are all that there are, and those to come.
func (b *Board) Scope(ctx context.Context, c Call) (ids []string, all bool, err error) {
	x := b.view(ctx, c)
	if all, err = x.everywhere(); err != nil {
		return nil, false, err
	}
	ids, err = x.scope()
	return ids, all, err
}

// Tell appends to the feed what others have done with what is theirs, in the
// transaction that the Board is in (see In). To names who is to be notified, as
// notice would: users and roles, or else the project's owner, or, without a
// project, the owners of the workspace.
func (b *Board) Tell(ctx context.Context, c Call, e Event, notify, key string, to ...Party) error {
	_, err := write(ctx, b, c, "tell", func(x *op) (struct{}, error) {
		if notify != "" {
			var err error
			if e.Notify, err = x.address(e.Project, notify, key, to); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, x.emit(e)
	})
	return err
}

func (x *op) address(project, kind, key string, to []Party) (*Notice, error) {
	if project != "" {
		return x.notice(project, kind, key, to...)
	}
	n := &Notice{Type: kind, Key: kind + "/" + key}
	for _, p := range to {
		if p.isUser() {
			n.To = append(n.To, p)
		}
	}
	if len(n.To) > 0 {
		return n, nil
	}
	users, err := list[Person](x, "name/"+x.Workspace+"/", many)
	for _, u := range users {
		if u.Role == Owner && !u.Removed {
			n.To = append(n.To, User(u.ID))
		}
	}
	return n, err
}
