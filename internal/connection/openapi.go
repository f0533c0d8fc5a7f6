package connection

import "github.com/lockstep-run/lockstep/internal/openapi"

// Routes is the table of what Register adds, for the OpenAPI document.
func Routes() []openapi.Route {
	return []openapi.Route{
		{Pattern: "GET /api/v1/connections", Summary: "List connections, without their secrets", Out: openapi.Object{"connections": []View{}}},
		{Pattern: "POST /api/v1/connections", Summary: "Make a connection, or change the one of that name", In: Spec{}, Out: View{}},
		{Pattern: "GET /api/v1/connections/{name}", Summary: "Show a connection", Out: View{}},
		{Pattern: "DELETE /api/v1/connections/{name}", Summary: "Remove a connection"},
		{Pattern: "POST /api/v1/connections/{name}/test", Summary: "Try a connection", In: struct {
			URL string `json:"url,omitempty"`
		}{}, Out: Test{}},
	}
}
