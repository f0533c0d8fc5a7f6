package views

import "github.com/lockstep-run/lockstep/internal/openapi"

// Routes is the table of what Register adds, for the OpenAPI document. It does
// not yet say what the answers have in them.
func Routes() []openapi.Route {
	params := func(names ...string) (all []openapi.Param) {
		for _, name := range names {
			all = append(all, openapi.Param{Name: name})
		}
		return all
	}
	something := openapi.Object{}
	return []openapi.Route{
		{Pattern: "GET /api/v1/executions", Summary: "Search executions", Out: something,
			Query: openapi.Paging(params("status", "machine", "version", "alias", "type", "error", "from", "to", "min_duration_ms", "max_duration_ms", "name", "input")...)},
		{Pattern: "GET /api/v1/executions/histogram", Summary: "Count executions over time", Query: params("from", "to", "buckets", "machine", "type"), Out: something},
		{Pattern: "GET /api/v1/executions/{arn}", Summary: "Show an execution", Out: something},
		{Pattern: "GET /api/v1/executions/{arn}/visits", Summary: "List the states that an execution entered", Out: something,
			Query: openapi.Paging(params("state", "status", "path", "order", "changed_since", "payloads")...)},
		{Pattern: "GET /api/v1/executions/{arn}/totals", Summary: "Sum up an execution's states", Out: something},
		{Pattern: "GET /api/v1/executions/{arn}/payload", Summary: "Show an input or output as a whole", Query: params("event", "which"), OutType: "application/json"},
		{Pattern: "POST /api/v1/executions/{arn}/fork", Summary: "Start an execution from the middle of another", InType: "application/json", Out: something},
		{Pattern: "GET /api/v1/machines", Summary: "List machines and what became of their executions", Query: openapi.Paging(params("name")...), Out: something},
		{Pattern: "GET /api/v1/machines/{name}/stats", Summary: "Sum up a machine's executions", Out: something},
		{Pattern: "GET /api/v1/mapruns/{arn}/counts", Summary: "Count the items of a Map Run", Out: something},
		{Pattern: "GET /api/v1/mapruns/{arn}/cells", Summary: "Show where a Map Run's items stand", Query: params("index"), OutType: "application/json"},
		{Pattern: "GET /api/v1/mapruns/{arn}/failures", Summary: "Group what failed in a Map Run", Out: something},
	}
}
