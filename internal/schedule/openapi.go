package schedule

import "github.com/lockstep-run/lockstep/internal/openapi"

// Routes is the table of what Register adds, for the OpenAPI document.
func Routes() []openapi.Route {
	return []openapi.Route{
		{Pattern: "GET /api/v1/schedules", Summary: "List schedules of executions", Out: openapi.Object{"schedules": []View{}}},
		{Pattern: "POST /api/v1/schedules", Summary: "Make a schedule, or change the one of that name", In: Spec{}, Out: View{}},
		{Pattern: "GET /api/v1/schedules/{name}", Summary: "Show a schedule", Out: View{}},
		{Pattern: "DELETE /api/v1/schedules/{name}", Summary: "Remove a schedule"},
		{Pattern: "POST /api/v1/schedules/{name}/pause", Summary: "Start nothing until it is resumed", Out: View{}},
		{Pattern: "POST /api/v1/schedules/{name}/resume", Summary: "Go on after a pause", Out: View{}},
	}
}
