// Package spend puts what models cost down to the work on the board, and keeps
// agents to their budgets.
//
// Agents report what they used; a Keeper finds out for which task, prices it in
// the ledger, and looks at the budgets, all in one transaction: after it the
// agent that has used up its budget is paused, and its owner's notification is
// on its way. When a window turns or a limit is raised the agent goes on, without
// anybody's doing.
package spend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Config says what a Keeper works with.
type Config struct {
	Ledger    *ledger.Ledger
	Workspace string // whose usage it is
	Scheme    arn.Scheme
	// Write makes a change durable and returns what do returned; it rings for
	// those who read the feed.
	Write func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Rings func() <-chan struct{} // closed at the next change of the feed
	Now   func() time.Time       // nil: time.Now
	Log   *slog.Logger
}

// Keeper joins the ledger and the board. Its methods may be called at any time
// once Connect was.
type Keeper struct {
	cfg   Config
	board *control.Board
}

// New makes a Keeper. Its Blocked is for control.Config, its Kept for
// ledger.Config; with the board that was made so, Connect it.
func New(c Config) *Keeper {
	if c.Scheme == (arn.Scheme{}) {
		c.Scheme = arn.Default
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Keeper{cfg: c}
}

// Connect says which board it is about, before anything is used; the first call
// counts.
func (k *Keeper) Connect(b *control.Board) {
	if k.board == nil {
		k.board = b
	}
}

// Ledger is what usage is kept in.
func (k *Keeper) Ledger() *ledger.Ledger { return k.cfg.Ledger }

func (k *Keeper) system(at time.Time) control.Call {
	return control.Call{Workspace: k.cfg.Workspace, By: control.System, At: at}
}

// Blocked says why an agent may not begin anything: control.Config.Budget.
func (k *Keeper) Blocked(ctx context.Context, tx control.Records, agent, project, task string, at time.Time) (string, error) {
	return k.cfg.Ledger.Blocked(ctx, tx, agent, project, task, at)
}

// Kept tells the feed what was used, stops work whose own budget is used up, and
// looks at the budgets, in the transaction that keeps the usage.
func (k *Keeper) Kept(ctx context.Context, tx store.Tx, list []store.Usage) error {
	if k.board == nil {
		return nil
	}
	board, now := k.board.In(tx), k.cfg.Now()
	if err := k.tell(ctx, board, now, list); err != nil {
		return err
	}
	tasks := map[string]bool{}
	for _, u := range list {
		if u.Task != "" && u.Counted {
			tasks[u.Task] = true
		}
	}
	for _, task := range slices.Sorted(maps.Keys(tasks)) {
		if err := board.OverBudget(ctx, k.system(now), task); err != nil && !control.Is(err, control.NotFound) {
			return err
		}
	}
	return k.check(ctx, tx, now)
}

// whose is what one event of the feed sums up.
type whose struct{ agent, task, attempt, project, machine string }

// tell adds a usage.recorded to the feed for each attempt, agent or machine that
// has used something.
func (k *Keeper) tell(ctx context.Context, board *control.Board, now time.Time, list []store.Usage) error {
	sums := map[whose]*store.UsageTotals{}
	runs, models := map[whose]map[string]bool{}, map[whose]map[string]bool{}
	var order []whose
	for i := range list {
		u := &list[i]
		w := whose{u.Agent, u.Task, u.Attempt, u.Project, u.Machine}
		if sums[w] == nil {
			sums[w], runs[w], models[w] = &store.UsageTotals{}, map[string]bool{}, map[string]bool{}
			order = append(order, w)
		}
		sums[w].Add(u.Totals(), 1)
		runs[w][u.Execution] = true
		models[w][u.Model] = true
	}
	for _, w := range order {
		t := sums[w]
		e := control.Event{Type: "usage.recorded", Project: w.project, Agent: w.agent, Task: w.task, Data: map[string]any{
			"calls": t.Events, "tokens": t.Input + t.CacheRead + t.CacheWrite5m + t.CacheWrite1h + t.Output, "billed": t.Billed, "shadow": t.Shadow,
			"models": slices.Sorted(maps.Keys(models[w])),
		}}
		if w.attempt != "" {
			e.Data["attempt"] = w.attempt
		}
		if w.machine != "" {
			e.Data["machine"] = w.machine
		}
		if len(runs[w]) == 1 {
			for execution := range runs[w] {
				if execution != "" {
					e.Data["execution"] = execution
				}
			}
		}
		if w.task != "" {
			t, err := board.Task(ctx, k.system(now), w.task)
			if err != nil && !control.Is(err, control.NotFound) {
				return err
			}
			if err == nil {
				e.Key = t.Key
			}
		}
		c := k.system(now)
		if w.agent != "" {
			c.By = control.AgentParty(w.agent)
		}
		if err := board.Tell(ctx, c, e, "", ""); err != nil {
			return err
		}
	}
	return nil
}

// check looks at the budgets and has the board look at whom they are about.
func (k *Keeper) check(ctx context.Context, tx store.Tx, now time.Time) error {
	board := k.board.In(tx)
	var moved []cost.Budget
	err := k.cfg.Ledger.CheckBudgets(ctx, tx, now, func(b ledger.Budget, what cost.Told) error {
		if what != cost.ToldSoft {
			moved = append(moved, b.Budget)
		}
		return k.announce(ctx, board, now, b, what)
	})
	if err != nil || len(moved) == 0 {
		return err
	}
	return k.settle(ctx, tx, now, moved...)
}

func (k *Keeper) announce(ctx context.Context, board *control.Board, now time.Time, b ledger.Budget, what cost.Told) error {
	e := control.Event{Type: "budget." + strings.TrimPrefix(string(what), "budget_"), Data: map[string]any{
		"budget": b.ID, "scope": b.Scope, "window": b.Window, "metric": b.Metric, "used": b.Standing.Used, "soft": b.Soft, "hard": b.Hard,
	}}
	c := k.system(now)
	switch b.Scope {
	case "project":
		e.Project = b.Name
	case "agent":
		e.Agent = b.Name
		a, err := board.Agent(ctx, c, b.Name)
		if err == nil && len(a.Projects) > 0 {
			e.Project = a.Projects[0] // whose owner hears of it
		} else if err != nil && !control.Is(err, control.NotFound) {
			return err
		}
	case "task":
		t, err := board.Task(ctx, c, b.Name)
		if err == nil {
			e.Project, e.Task, e.Key = t.Project, t.ID, t.Key
		} else if !control.Is(err, control.NotFound) {
			return err
		}
	case "machine":
		e.Data["machine"] = b.Name
	}
	notice := ""
	if what != cost.ToldCleared {
		notice = string(what)
	}
	return board.Tell(ctx, c, e, notice, fmt.Sprintf("%s/%d/%d/%d", b.ID, b.Standing.First, b.Soft, b.Hard))
}

// settle pauses and resumes the agents that budgets are about, and has their
// wakeups looked at again.
func (k *Keeper) settle(ctx context.Context, tx store.Tx, now time.Time, moved ...cost.Budget) error {
	board, c := k.board.In(tx), k.system(now)
	budgets, err := k.cfg.Ledger.Standings(ctx, tx)
	if err != nil {
		return err
	}
	agents, err := k.agents(ctx, tx)
	if err != nil {
		return err
	}
	for i := range agents {
		a := &agents[i]
		if a.Admin == control.Retired {
			continue
		}
		concerned := false
		for _, b := range moved {
			concerned = concerned || concerns(b, a) || b.Scope == "task"
		}
		if !concerned {
			continue
		}
		wanted := pauses(budgets, a)
		switch {
		case wanted && a.Admin == control.Active:
			_, err = board.Pause(ctx, c, a.ID, "budget")
		case !wanted && a.Admin == control.Paused && a.PauseReason == "budget":
			_, err = board.Resume(ctx, c, a.ID)
		default:
			err = board.BudgetChanged(ctx, c, a.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func concerns(b cost.Budget, a *control.Agent) bool {
	switch b.Scope {
	case "workspace":
		return true
	case "agent":
		return b.Name == a.ID
	case "project":
		return slices.Contains(a.Projects, b.Name)
	}
	return false
}

// pauses reports whether an agent is to be paused as a whole. A project's budget
// does that to those who have no other project; for others it holds back the
// work of that project alone.
func pauses(budgets []ledger.Budget, a *control.Agent) bool {
	closed := map[string]bool{}
	for _, b := range budgets {
		if !b.Standing.Pauses || !concerns(b.Budget, a) {
			continue
		}
		if b.Scope != "project" {
			return true
		}
		closed[b.Name] = true
	}
	return len(a.Projects) > 0 && len(closed) == len(a.Projects)
}

func (k *Keeper) agents(ctx context.Context, tx store.Tx) ([]control.Agent, error) {
	found, err := tx.Records(ctx, store.Prefix("agent", "slug/"+k.cfg.Workspace+"/", 100_000))
	if err != nil {
		return nil, err
	}
	list := make([]control.Agent, len(found))
	for i, f := range found {
		if err := json.Unmarshal(f.Data, &list[i]); err != nil {
			return nil, fmt.Errorf("read agent %s: %w", f.ID, err)
		}
	}
	return list, nil
}

// SaveBudget keeps a budget in the place of the one with the same ID, and lets go
// or holds back whom that concerns, at once.
func (k *Keeper) SaveBudget(ctx context.Context, c control.Call, b cost.Budget) error {
	return k.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		was, err := k.cfg.Ledger.Budget(ctx, tx, b.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := k.cfg.Ledger.SaveBudget(ctx, tx, b); err != nil {
			return err
		}
		return k.changed(ctx, tx, c, "budget.saved", was.Budget, b)
	})
}

// DeleteBudget removes a budget and lets go whom it held back. It returns
// store.ErrNotFound where there is none.
func (k *Keeper) DeleteBudget(ctx context.Context, c control.Call, id string) error {
	return k.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		was, err := k.cfg.Ledger.Budget(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := k.cfg.Ledger.DeleteBudget(ctx, tx, id); err != nil {
			return err
		}
		return k.changed(ctx, tx, c, "budget.deleted", was.Budget)
	})
}

func (k *Keeper) changed(ctx context.Context, tx store.Tx, c control.Call, event string, about ...cost.Budget) error {
	b := about[len(about)-1]
	c.Key, c.Version = "", 0
	e := control.Event{Type: event, Data: map[string]any{"budget": b.ID, "scope": b.Scope, "soft": b.Soft, "hard": b.Hard, "window": b.Window, "metric": b.Metric}}
	switch b.Scope {
	case "project":
		e.Project = b.Name
	case "agent":
		e.Agent = b.Name
	}
	if err := k.board.In(tx).Tell(ctx, c, e, "", ""); err != nil {
		return err
	}
	now := k.cfg.Now()
	if err := k.check(ctx, tx, now); err != nil {
		return err
	}
	return k.settle(ctx, tx, now, about...)
}

// Run looks at the budgets when a window turns, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	const longest = time.Hour // the clock may be set
	for {
		rings := k.cfg.Rings()
		now := k.cfg.Now()
		err := k.turn(ctx, now)
		wait := longest
		var next time.Time
		if err == nil {
			next, err = k.cfg.Ledger.Turns(ctx, now)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			k.cfg.Log.Error("the budgets could not be looked at; it is tried again", "error", err)
			wait = 5 * time.Second
		case next.IsZero():
		default:
			wait = min(next.Sub(now), longest)
		}
		if !k.sleep(ctx, wait, next, rings) {
			return nil
		}
	}
}

// sleep waits for a time, or until a budget has another window that ends sooner.
func (k *Keeper) sleep(ctx context.Context, wait time.Duration, next time.Time, rings <-chan struct{}) bool {
	const apart = time.Second // what happens in a burst is looked at once
	t := time.NewTimer(max(wait, 0))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		case <-rings:
		}
		pause := time.NewTimer(apart)
		select {
		case <-ctx.Done():
			pause.Stop()
			return false
		case <-pause.C:
		}
		rings = k.cfg.Rings()
		if turns, err := k.cfg.Ledger.Turns(ctx, k.cfg.Now()); err != nil || !turns.Equal(next) {
			return true
		}
	}
}

// turn looks at the budgets, and writes only where something has changed.
func (k *Keeper) turn(ctx context.Context, now time.Time) error {
	moved, err := k.cfg.Ledger.Moved(ctx, now)
	if err != nil || !moved {
		return err
	}
	return k.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) error { return k.check(ctx, tx, now) })
}
