package boardapi

// registerDesk adds what is read by those who look at a board.
func (a *API) registerDesk(handle func(string, func(*request) (any, error))) {
	handle("GET /api/v1/projects/{project}/counts", func(r *request) (any, error) {
		counts, err := a.board.Counts(r.Context(), r.call, r.PathValue("project"))
		return map[string]any{"counts": counts}, err
	})
	handle("GET /api/v1/projects/{project}/dependencies", func(r *request) (any, error) {
		return a.board.Dependencies(r.Context(), r.call, r.PathValue("project"))
	})
	handle("GET /api/v1/tasks/{task}/dependencies", func(r *request) (any, error) {
		return a.board.Around(r.Context(), r.call, r.task())
	})
}
