package boardapi

import "github.com/lockstep-run/lockstep/internal/health"

func (a *API) registerHealth(handle func(string, func(*request) (any, error))) {
	handle = with(handle, func(a *API) bool { return a.quiet != nil })
	handle("GET /api/v1/agents/{agent}/health", func(r *request) (any, error) {
		agent, err := a.board.Agent(r.Context(), r.call, r.PathValue("agent"))
		if err != nil {
			return nil, err
		}
		return a.quiet.Agent(r.Context(), agent.ID)
	})
	handle("GET /api/v1/machines/{name}/health", a.machineHealth)
}

// stateHealth is how a state of a machine fares.
type stateHealth struct {
	State string `json:"state"`
	health.Report
}

func (a *API) machineHealth(r *request) (any, error) {
	if err := r.people(); err != nil {
		return nil, err
	}
	states := []stateHealth{}
	for _, name := range a.quiet.States(r.PathValue("name")) {
		report, err := a.quiet.State(r.Context(), r.PathValue("name"), name)
		if err != nil {
			return nil, err
		}
		states = append(states, stateHealth{name, report})
	}
	return map[string]any{"machine": r.PathValue("name"), "states": states}, nil
}
