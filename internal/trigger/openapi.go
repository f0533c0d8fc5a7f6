package trigger

import "github.com/lockstep-run/lockstep/internal/openapi"

// Routes is the table of what Register adds below /api/v1, for the OpenAPI
// document.
func Routes() []openapi.Route {
	return []openapi.Route{
		{Pattern: "GET /api/v1/triggers", Summary: "List triggers", Out: openapi.Object{"triggers": []View{}}},
		{Pattern: "POST /api/v1/triggers", Summary: "Make a trigger, or change the one of that name", In: Spec{}, Out: View{}},
		{Pattern: "GET /api/v1/triggers/{name}", Summary: "Show a trigger", Out: View{}},
		{Pattern: "DELETE /api/v1/triggers/{name}", Summary: "Remove a trigger"},
		{Pattern: "POST /api/v1/events", Summary: "Put an event in EventBridge's form, or a list of them", InType: "application/json", Out: openapi.Object{"ids": []string{}}},
	}
}
