package boardapi

import (
	"errors"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

func (a *API) registerBudgets(handle func(string, func(*request) (any, error))) {
	handle = with(handle, func(a *API) bool { return a.spend != nil })
	handle("GET /api/v1/budgets", a.budgets)
	handle("PUT /api/v1/budgets/{budget}", a.saveBudget)
	handle("DELETE /api/v1/budgets/{budget}", a.deleteBudget)
}

// budgetView is a budget with the name that people know of what it is about.
type budgetView struct {
	ledger.Budget
	About string    `json:"about,omitempty"` // the id
	Ends  time.Time `json:"window_ends,omitzero"`
}

func (a *API) budgets(r *request) (any, error) {
	list, err := a.spend.Ledger().Budgets(r.Context(), time.Now())
	if err != nil {
		return nil, err
	}
	ids, all, err := a.board.Scope(r.Context(), r.call)
	if err != nil {
		return nil, err
	}
	views := []budgetView{}
	for _, b := range list {
		if !all && !(b.Scope == "project" && slices.Contains(ids, b.Name) || b.Scope == "agent" && b.Name == r.agent()) {
			continue
		}
		v := budgetView{Budget: b, Ends: cost.SpanAt(b.Window, time.Now(), a.spend.Ledger().Zone()).Ends.UTC()}
		if b.Scope == "agent" || b.Scope == "project" || b.Scope == "task" {
			name, err := a.nameOf(r.Context(), r.call, b.Scope, b.Name)
			if err == nil {
				v.About, v.Name = b.Name, name
			} else if !control.Is(err, control.NotFound) {
				return nil, err
			}
		}
		views = append(views, v)
	}
	return map[string]any{"budgets": views}, nil
}

func (a *API) saveBudget(r *request) (any, error) {
	b, err := read[cost.Budget](r)
	if err != nil {
		return nil, err
	}
	b.ID = r.PathValue("budget")
	if len(b.ID) > 100 || len(b.Name) > 1000 {
		return nil, rest.Invalid("A budget's id may have 100 bytes, its name 1,000.")
	}
	if err := b.Check(); err != nil {
		return nil, rest.Invalid("%s", rest.Sentence(err.Error()))
	}
	if err := a.mayBudget(r, b); err != nil {
		return nil, err
	}
	if err := a.resolve(r, &b); err != nil {
		return nil, err
	}
	// Who takes another's place has to be allowed to set that, too.
	was, err := a.spend.Ledger().Budget(r.Context(), a.store, b.ID)
	if err == nil {
		err = a.mayBudget(r, was.Budget)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return b, a.spend.SaveBudget(r.Context(), r.call, b)
}

// resolve has a budget be about an id, which stays when a name changes.
func (a *API) resolve(r *request, b *cost.Budget) error {
	switch b.Scope {
	case "agent":
		v, err := a.board.Agent(r.Context(), r.call, b.Name)
		if err != nil {
			return err
		}
		b.Name = v.ID
	case "project":
		v, err := a.board.Project(r.Context(), r.call, b.Name)
		if err != nil {
			return err
		}
		b.Name = v.ID
	case "task":
		v, err := a.board.Task(r.Context(), r.call, b.Name)
		if err != nil {
			return err
		}
		b.Name = v.ID
	}
	return nil
}

// mayBudget refuses who does not manage what a budget is about.
func (a *API) mayBudget(r *request, b cost.Budget) error {
	project := ""
	switch b.Scope {
	case "project":
		p, err := a.board.Project(r.Context(), r.call, b.Name)
		if err != nil {
			return err
		}
		project = p.ID
	case "task":
		t, err := a.board.Task(r.Context(), r.call, b.Name)
		if err != nil {
			return err
		}
		project = t.Project
	}
	return a.board.May(r.Context(), r.call, project, "manage")
}

func (a *API) deleteBudget(r *request) (any, error) {
	id := r.PathValue("budget")
	was, err := a.spend.Ledger().Budget(r.Context(), a.store, id)
	if err == nil {
		if err = a.mayBudget(r, was.Budget); err == nil {
			err = a.spend.DeleteBudget(r.Context(), r.call, id)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = rest.NotFound("There is no budget %.60q.", id)
	}
	return nil, err
}
