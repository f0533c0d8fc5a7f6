package boardapi

import (
	"time"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/openapi"
	"github.com/lockstep-run/lockstep/internal/spend"
)

// moneyRoutes is the part of Routes that is about costs, budgets, notifications
// and webhooks.
func moneyRoutes() []openapi.Route {
	days := []openapi.Param{{Name: "since", Description: "the first day, or a time"}, {Name: "until", Description: "the last day, or a time"}}
	usage := append([]openapi.Param{{Name: "group_by", Enum: ledger.GroupBys, Description: "model unless said"}}, append(days,
		openapi.Param{Name: "project", Description: "key or id of the one project that is meant"},
		openapi.Param{Name: "limit", Kind: "integer", Description: "rows; 100 unless said"},
		openapi.Param{Name: "format", Enum: []string{"json", "csv"}},
		openapi.Param{Name: "days", Description: "1: what each row used on which day, besides"})...)
	limit := openapi.Param{Name: "limit", Kind: "integer", Description: "how many rows at most: 50 unless said, and no more than 200"}
	return []openapi.Route{
		{Pattern: "POST /api/v1/usage", Summary: "Report what models were used for", In: usageBody{}, Out: openapi.Object{"results": []spend.Result{}}},
		{Pattern: "GET /api/v1/usage", Summary: "Sum up what models cost", Query: usage, Out: usageAnswer{}},
		{Pattern: "GET /api/v1/usage/summary", Summary: "Sum up what models cost", Query: usage, Out: usageAnswer{}},
		{Pattern: "GET /api/v1/usage/deliverables", Summary: "Say what accepted work costs in a project, and how much of that was rework",
			Query: append([]openapi.Param{{Name: "project", Description: "key or id"}}, days...), Out: workCost{}},
		{Pattern: "GET /api/v1/tasks/{task}/cost", Summary: "Say what a task cost, with all tries and what is below it", Out: taskCost{}},
		{Pattern: "GET /api/v1/prices", Summary: "List prices of models", Out: openapi.Object{"models": []cost.Model{}}},
		{Pattern: "PUT /api/v1/prices", Summary: "Import prices in the format of genai-prices or LiteLLM", InType: "application/json",
			Query: []openapi.Param{{Name: "source", Description: "where they come from"}}, Out: openapi.Object{"format": "", "models": 0, "left": []string{}}},
		{Pattern: "PUT /api/v1/prices/overrides", Summary: "Set prices that win over all others", In: pricesIn{}, Out: openapi.Object{"models": 0}},
		{Pattern: "POST /api/v1/prices/reprice", Summary: "Work costs out anew with the prices of now", Out: openapi.Object{"changed": 0}},
		{Pattern: "GET /api/v1/budgets", Summary: "List budgets and how they stand", Out: openapi.Object{"budgets": []budgetView{}}},
		{Pattern: "PUT /api/v1/budgets/{budget}", Summary: "Keep a budget", In: cost.Budget{}, Out: cost.Budget{}},
		{Pattern: "DELETE /api/v1/budgets/{budget}", Summary: "Remove a budget"},

		{Pattern: "GET /api/v1/notifications", Summary: "List your notifications, unread ones first",
			Query: openapi.Paging(openapi.Param{Name: "unread", Kind: "boolean", Description: "those alone that are not read"}),
			Out:   openapi.Object{"notifications": []notices.Notification{}, "unread": 0, "next_cursor?": ""}},
		{Pattern: "POST /api/v1/notifications/read", Summary: "Mark notifications as read", In: readBody{}, Out: openapi.Object{"read": 0}},
		{Pattern: "GET /api/v1/notifications/preferences", Summary: "Show where your notifications go", Out: notices.Preferences{}},
		{Pattern: "PUT /api/v1/notifications/preferences", Summary: "Change where your notifications go; null takes a channel away", In: notices.Change{}, Out: notices.Preferences{}},
		{Pattern: "GET /api/v1/notifications/deliveries", Summary: "List what was sent to your channels, newest first", Query: []openapi.Param{limit},
			Out: openapi.Object{"deliveries": []notify.Delivery{}}},
		{Pattern: "POST /api/v1/notifications/test", Summary: "Send a notification to one of your channels", In: testBody{}, Out: openapi.Object{"delivered": true, "message": ""}},

		{Pattern: "GET /api/v1/agents/{agent}/health", Summary: "Say how an agent's work compares with the week before", Out: health.Report{}},
		{Pattern: "GET /api/v1/machines/{name}/health", Summary: "Say how the tasks of a machine's states compare with the week before",
			Out: openapi.Object{"machine": "", "states": []stateHealth{}}},

		{Pattern: "GET /api/v1/webhooks", Summary: "List webhooks and how they fare", Out: openapi.Object{"webhooks": []notices.Hook{}}},
		{Pattern: "POST /api/v1/webhooks", Summary: "Make a webhook; its secret is in this answer alone", In: notices.NewHook{}, Out: madeWebhook{}},
		{Pattern: "GET /api/v1/webhooks/{webhook}", Summary: "Show a webhook", Out: notices.Hook{}},
		{Pattern: "DELETE /api/v1/webhooks/{webhook}", Summary: "Remove a webhook"},
		{Pattern: "POST /api/v1/webhooks/{webhook}/enable", Summary: "Let a webhook go on that was disabled", In: enableBody{}},
		{Pattern: "GET /api/v1/webhooks/{webhook}/deliveries", Summary: "List what a webhook was sent, newest first", Query: openapi.Paging(),
			Out: openapi.List("deliveries", notices.HookDelivery{})},
		{Pattern: "POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", Summary: "Send an event once more, under the same id"},
	}
}

type usageBody struct {
	Events []spend.Report `json:"events"`
}

type pricesBody struct {
	Models []cost.Model `json:"models"`
}

// pricesIn is what a pricesBody may leave out.
type pricesIn struct {
	Models []modelIn `json:"models"`
}

type modelIn struct {
	Provider string      `json:"provider"`
	ID       string      `json:"id"`
	Match    *cost.Match `json:"match,omitempty"`
	Prices   []struct {
		From  time.Time `json:"from,omitzero"`
		Rates ratesIn   `json:"rates"`
		Tiers []struct {
			Above int64   `json:"above"`
			Rates ratesIn `json:"rates"`
		} `json:"tiers,omitempty"`
	} `json:"prices"`
	Source string `json:"source,omitempty"`
}

type ratesIn struct {
	Input        *int64 `json:"input,omitempty"`
	CacheRead    *int64 `json:"cache_read,omitempty"`
	CacheWrite5m *int64 `json:"cache_write_5m,omitempty"`
	CacheWrite1h *int64 `json:"cache_write_1h,omitempty"`
	Output       *int64 `json:"output,omitempty"`
}

type readBody struct {
	IDs []string `json:"ids,omitempty"`
	All bool     `json:"all,omitempty"`
}

type testBody struct {
	Channel string `json:"channel"`
}

type enableBody struct {
	Skip bool `json:"skip,omitempty"` // what happened meanwhile
}

type madeWebhook struct {
	notices.Hook
	Secret string `json:"secret"`
}

// workCost is what accepted work costs in a project. Money is in nano-USD.
type workCost struct {
	Project      string   `json:"project"`
	Since        string   `json:"since"`
	Until        string   `json:"until"`
	Tasks        int64    `json:"tasks"` // accepted in these days
	Deliverables int64    `json:"deliverables"`
	Partial      bool     `json:"partial"` // there are more tasks than are looked at
	Cost         usageRow `json:"cost"`
	Rework       usageRow `json:"rework"`
	Failed       usageRow `json:"failed"`
	ReworkShare  float64  `json:"rework_share"` // of what it is worth
	FailedShare  float64  `json:"failed_share"`
	Billed       int64    `json:"billed_per_deliverable"`
	Shadow       int64    `json:"shadow_per_deliverable"`
}
