package ledger

import (
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/openapi"
)

// Routes is the table of what Register adds, for the OpenAPI document.
func Routes() []openapi.Route {
	usage := []openapi.Param{{Name: "group_by", Description: "agent, task, machine, execution, model, label or day; model unless said"},
		{Name: "since", Description: "the first day, or a time"}, {Name: "until", Description: "the last day, or a time"},
		{Name: "limit", Kind: "integer", Description: "rows; 100 unless said"}}
	return []openapi.Route{
		{Pattern: "GET /api/v1/usage", Summary: "Sum up what models cost", Query: usage, Out: usageAnswer{}},
		{Pattern: "GET /api/v1/usage/summary", Summary: "Sum up what models cost", Query: usage, Out: usageAnswer{}},
		{Pattern: "GET /api/v1/prices", Summary: "List prices of models", Out: openapi.Object{"models": []cost.Model{}}},
		{Pattern: "PUT /api/v1/prices", Summary: "Import prices in the format of genai-prices or LiteLLM", InType: "application/json",
			Query: []openapi.Param{{Name: "source", Description: "where they come from"}},
			Out:   openapi.Object{"format": "", "models": 0, "left": []string{}}},
		{Pattern: "PUT /api/v1/prices/overrides", Summary: "Set prices that win over all others", In: struct {
			Models []cost.Model `json:"models"`
		}{}, Out: openapi.Object{"models": 0}},
		{Pattern: "POST /api/v1/prices/reprice", Summary: "Work costs out anew with the prices of now", Out: openapi.Object{"changed": 0}},
		{Pattern: "GET /api/v1/budgets", Summary: "List budgets and how they stand", Out: openapi.Object{"budgets": []Budget{}}},
		{Pattern: "PUT /api/v1/budgets/{id}", Summary: "Keep a budget", In: cost.Budget{}, Out: cost.Budget{}},
		{Pattern: "DELETE /api/v1/budgets/{id}", Summary: "Remove a budget", Out: openapi.Object{}},
	}
}
