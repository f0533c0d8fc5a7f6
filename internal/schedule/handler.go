package schedule

import (
	"net/http"

	"github.com/lockstep-run/lockstep/internal/rest"
)

// Register adds what manages schedules to mux:
//
//	GET    /api/v1/schedules                {"schedules":[View…]}
//	POST   /api/v1/schedules                Spec → View; replaces one of that name
//	GET    /api/v1/schedules/{name}         View
//	DELETE /api/v1/schedules/{name}
//	POST   /api/v1/schedules/{name}/pause   View
//	POST   /api/v1/schedules/{name}/resume  View
func (s *Schedules) Register(mux *http.ServeMux) {
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, rest.Local(rest.Handle(do)))
	}
	handle("GET /api/v1/schedules", func(r *http.Request) (any, error) {
		list, err := s.List(r.Context())
		return map[string]any{"schedules": list}, err
	})
	handle("POST /api/v1/schedules", func(r *http.Request) (any, error) {
		var spec Spec
		if err := rest.Read(r, &spec); err != nil {
			return nil, err
		}
		return s.Put(r.Context(), spec)
	})
	handle("GET /api/v1/schedules/{name}", func(r *http.Request) (any, error) {
		return s.Get(r.Context(), r.PathValue("name"))
	})
	handle("DELETE /api/v1/schedules/{name}", func(r *http.Request) (any, error) {
		return nil, s.Delete(r.Context(), r.PathValue("name"))
	})
	handle("POST /api/v1/schedules/{name}/pause", func(r *http.Request) (any, error) {
		return s.Pause(r.Context(), r.PathValue("name"), true)
	})
	handle("POST /api/v1/schedules/{name}/resume", func(r *http.Request) (any, error) {
		return s.Pause(r.Context(), r.PathValue("name"), false)
	})
}
