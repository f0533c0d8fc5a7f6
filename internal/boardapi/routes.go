package boardapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// Register adds the board's routes to mux. What waits for something to happen
// ends when stopping does. docs/board.md lists the calls.
func (a *API) Register(mux *http.ServeMux, stopping context.Context) {
	handle := func(pattern string, do func(r *request) (any, error)) {
		mux.Handle(pattern, a.serve(do))
	}
	handle("GET /api/v1/projects", listOf("projects", func(r *request, page control.Page) ([]*control.Project, string, error) {
		return a.board.Projects(r.Context(), r.call, page)
	}))
	handle("POST /api/v1/projects", a.newProject)
	handle("GET /api/v1/projects/{project}", func(r *request) (any, error) {
		return a.board.Project(r.Context(), r.call, r.PathValue("project"))
	})
	handle("PATCH /api/v1/projects/{project}", a.changeProject)

	handle("GET /api/v1/agents", a.listAgents)
	handle("POST /api/v1/agents", a.newAgent)
	handle("GET /api/v1/agents/{agent}", func(r *request) (any, error) {
		return a.board.AgentWithStatus(r.Context(), r.call, r.PathValue("agent"))
	})
	handle("GET /api/v1/agents/{agent}/keys", a.keys)
	handle("POST /api/v1/agents/{agent}/keys", a.newKey)
	handle("DELETE /api/v1/agents/{agent}/keys/{key}", a.revoke)
	handle("POST /api/v1/agents/{agent}/pause", a.pauseAgent)
	handle("POST /api/v1/agents/{agent}/resume", a.resumeAgent)
	handle("POST /api/v1/agents/{agent}/retire", a.retireAgent)
	handle("POST /api/v1/agents/{agent}/wake", a.wakeAgent)
	handle("GET /api/v1/agents/{agent}/attempts", func(r *request) (any, error) {
		return a.listAttempts(r, control.AttemptQuery{Agent: r.PathValue("agent")})
	})
	handle("GET /api/v1/tasks/{task}/attempts", func(r *request) (any, error) {
		return a.listAttempts(r, control.AttemptQuery{Task: r.task()})
	})
	handle("GET /api/v1/users", listOf("users", func(r *request, page control.Page) ([]*control.Person, string, error) {
		return a.board.Users(r.Context(), r.call, page)
	}))

	handle("GET /api/v1/agent/me", a.me)
	handle("POST /api/v1/agent/heartbeat", a.heartbeat)
	mux.Handle("GET /api/v1/agent/next", rest.Local(a.next(stopping)))

	handle("GET /api/v1/tasks", a.listTasks)
	handle("POST /api/v1/tasks", func(r *request) (any, error) {
		in, err := read[control.NewTask](r)
		if err != nil {
			return nil, err
		}
		return a.board.CreateTask(r.Context(), r.call, in)
	})
	handle("GET /api/v1/tasks/{task}", func(r *request) (any, error) {
		return a.board.View(r.Context(), r.call, r.task())
	})
	handle("PATCH /api/v1/tasks/{task}", func(r *request) (any, error) {
		in, err := read[control.UpdateTask](r)
		if err != nil {
			return nil, err
		}
		return a.board.Update(r.Context(), r.call, r.task(), in)
	})
	handle("GET /api/v1/tasks/{task}/why", func(r *request) (any, error) {
		why, err := a.board.Why(r.Context(), r.call, r.task())
		return map[string]any{"why": append([]string{}, why...)}, err
	})
	a.registerManage(handle)
	a.registerTriggers(handle)
	a.registerThread(handle)
	a.registerReviews(handle)
	a.registerConnect(handle)
	a.registerCallbacks(handle)
	a.registerDesk(handle)
	a.registerUsage(handle)
	a.registerBudgets(handle)
	a.registerNotifications(handle)
	a.registerWebhooks(handle)
	a.registerHealth(handle)

	handle("GET /api/v1/activity", a.activity)
	mux.Handle("GET /api/v1/events", rest.Local(a.events(stopping)))
	mux.Handle("GET /api/v1/events/stream", rest.Local(a.events(stopping)))
}

func (r *request) task() string { return r.PathValue("task") }

func (a *API) newProject(r *request) (any, error) {
	in, err := read[projectBody](r)
	if err != nil {
		return nil, err
	}
	p := control.NewProject{Key: in.Key, Name: in.Name, Owner: in.Owner}
	if err := policies(&p.Policies, in.Policies); err != nil {
		return nil, err
	}
	return a.board.CreateProject(r.Context(), r.call, p)
}

// policies sets what is said of policies.
func policies(p *control.Policies, said json.RawMessage) error {
	if len(said) == 0 {
		return nil
	}
	if err := p.Change(said); err != nil {
		return rest.Invalid("The policies cannot be used: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (a *API) changeProject(r *request) (any, error) {
	in, err := read[projectChange](r)
	if err != nil {
		return nil, err
	}
	found, err := a.board.Project(r.Context(), r.call, r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	var change struct {
		Name     *string
		Owner    control.Party
		Policies *control.Policies
	}
	change.Name, change.Owner = in.Name, in.Owner
	if len(in.Policies) > 0 {
		changed := found.Policies
		if err := policies(&changed, in.Policies); err != nil {
			return nil, err
		}
		change.Policies = &changed
		if r.call.Version == 0 {
			r.call.Version = found.Version // what was not said is as it was read
		}
	}
	return a.board.UpdateProject(r.Context(), r.call, found.ID, change)
}

func (a *API) newAgent(r *request) (any, error) {
	in, err := read[agentBody](r)
	if err != nil {
		return nil, err
	}
	return a.board.CreateAgent(r.Context(), r.call, control.NewAgent(in))
}

func (a *API) pauseAgent(r *request) (any, error) {
	in, err := read[pauseBody](r)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "manual", "budget", "failures"}, in.Reason) {
		return nil, rest.Invalid("reason is manual, budget or failures.")
	}
	return a.board.Pause(r.Context(), r.call, r.PathValue("agent"), in.Reason)
}

func (a *API) resumeAgent(r *request) (any, error) {
	return a.board.Resume(r.Context(), r.call, r.PathValue("agent"))
}

func (a *API) retireAgent(r *request) (any, error) {
	return a.board.Retire(r.Context(), r.call, r.PathValue("agent"))
}

func (a *API) wakeAgent(r *request) (any, error) {
	in, err := read[wakeBody](r)
	if err != nil {
		return nil, err
	}
	return nil, a.board.Wake(r.Context(), r.call, r.PathValue("agent"), in.Task, in.Note)
}

func (a *API) me(r *request) (any, error) {
	if r.agent() == "" {
		u, err := a.board.User(r.Context(), r.call, r.who.Name)
		return map[string]any{"user": u}, err
	}
	return a.board.AgentWithStatus(r.Context(), r.call, r.agent())
}

func (a *API) heartbeat(r *request) (any, error) {
	if err := a.board.Signal(r.Context(), r.call); err != nil {
		return nil, err
	}
	return a.board.AgentStatus(r.Context(), r.call, r.agent())
}

func (a *API) registerReviews(handle func(string, func(*request) (any, error))) {
	handle("GET /api/v1/reviews", a.listReviews)
	handle("POST /api/v1/reviews", func(r *request) (any, error) {
		in, err := read[reviewBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.RequestReview(r.Context(), r.call, r.lease(in.LeaseToken), in.NewReview)
	})
	handle("GET /api/v1/reviews/{review}", func(r *request) (any, error) {
		return a.board.ReviewDetail(r.Context(), r.call, r.PathValue("review"))
	})
	handle("POST /api/v1/reviews/{review}/decision", func(r *request) (any, error) {
		in, err := read[control.Decision](r)
		if err != nil {
			return nil, err
		}
		return a.board.Decide(r.Context(), r.call, r.PathValue("review"), in)
	})
	handle("POST /api/v1/reviews/decisions", a.decideAll)
	handle("POST /api/v1/reviews/{review}/delegate", func(r *request) (any, error) {
		in, err := read[delegateBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.Delegate(r.Context(), r.call, r.PathValue("review"), in.To)
	})
	handle("POST /api/v1/reviews/{review}/snooze", func(r *request) (any, error) {
		in, err := read[snoozeBody](r)
		if err != nil {
			return nil, err
		}
		return nil, a.board.Snooze(r.Context(), r.call, r.PathValue("review"), in.Until)
	})
}

// decideAll decides several reviews, each by itself: one that is refused does not
// hold up the others.
func (a *API) decideAll(r *request) (any, error) {
	in, err := read[decisionsBody](r)
	if err != nil {
		return nil, err
	}
	if len(in.Decisions) == 0 || len(in.Decisions) > mostPage {
		return nil, rest.Invalid("decisions is a list of 1 to %d.", mostPage)
	}
	key, results := r.call.Key, []decisionResult{}
	for _, d := range in.Decisions {
		if key != "" {
			r.call.Key = key + " " + d.Review
		}
		v, err := a.board.Decide(r.Context(), r.call, d.Review, d.Decision)
		var refused *control.Error
		switch {
		case errors.As(err, &refused):
			results = append(results, decisionResult{Review: d.Review, Error: map[string]any{"code": refused.Code, "message": rest.Sentence(refused.Message)}})
		case err != nil:
			return nil, err
		default:
			results = append(results, decisionResult{Review: d.Review, Status: v.Status})
		}
	}
	return map[string]any{"results": results}, nil
}
