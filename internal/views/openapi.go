package views

import (
	"time"

	"github.com/lockstep-run/lockstep/internal/openapi"
)

// Routes is the table of what Register adds, for the OpenAPI document.
func Routes() []openapi.Route {
	number := func(name, description string) openapi.Param {
		return openapi.Param{Name: name, Description: description, Kind: "integer"}
	}
	text := func(name, description string) openapi.Param {
		return openapi.Param{Name: name, Description: description}
	}
	when := []openapi.Param{text("from", "Started since this time, or so long ago: 90m, 24h, 7d"), text("to", "Started before this time, or longer ago")}
	kind := openapi.Param{Name: "type", Enum: []string{"STANDARD", "EXPRESS"}}
	return []openapi.Route{
		{Pattern: "GET /api/v1/executions", Summary: "Search executions over all state machines, newest first",
			Query: openapi.Paging(append(when,
				text("status", "With commas between several"), text("machine", "Name or ARN"), number("version", "That started them"), text("alias", "That started them"), kind,
				text("error", "That they ended with"), number("min_duration_ms", ""), number("max_duration_ms", ""),
				text("name", "What their names begin with"), text("input", "FIELD:VALUE of their input, such as customer.id:42"))...),
			Out: openapi.Object{"executions": []Execution{}, "looked_at": 0, "complete": false, "next_cursor?": "", "looked_back_to?": moment(1)}},
		{Pattern: "GET /api/v1/executions/histogram", Summary: "Count starts by result over time",
			Query: append(when, number("buckets", "Usually 48"), text("machine", "Name or ARN"), kind),
			Out:   openapi.Object{"buckets": []Runs{}, "estimated": false, "recent_only?": false}},
		{Pattern: "GET /api/v1/executions/{arn}", Summary: "Show an execution", Out: Detail{}},
		{Pattern: "GET /api/v1/executions/{arn}/visits", Summary: "List the states that an execution entered",
			Query: openapi.Paging(text("state", "Name of a state"), text("status", "With commas between several"), text("path", "What their paths begin with"),
				openapi.Param{Name: "order", Enum: []string{"first", "newest", "failed_first"}}, number("changed_since", "Only those with a later event than this one"),
				openapi.Param{Name: "payloads", Enum: []string{"preview", "none"}}),
			Out: openapi.Object{"visits": []Visit{}, "last_event": int64(0), "status": "", "next_cursor?": ""}},
		{Pattern: "GET /api/v1/executions/{arn}/visits/{event}/flow", Summary: "Show the way of the data through a visit", Out: Flow{}},
		{Pattern: "GET /api/v1/executions/{arn}/events", Summary: "List events of the history",
			Query: []openapi.Param{number("from", "The first one"), number("visit", "Only those of the visit that began with this event"), number("limit", "At most 200; usually 50")},
			Out:   openapi.Object{"events": []Event{}, "last_event": int64(0), "status": "", "next?": int64(0)}},
		{Pattern: "GET /api/v1/executions/{arn}/totals", Summary: "Sum up an execution state by state",
			Out: openapi.Object{"states": []StateTotals{}, "by_status": map[string]int{}, "last_event": int64(0), "status": ""}},
		{Pattern: "GET /api/v1/executions/{arn}/payload", Summary: "Download an input, output or cause",
			Query: []openapi.Param{number("event", "Of the history"), {Name: "which", Enum: []string{"input", "output", "cause"}}}, OutType: "application/octet-stream"},
		{Pattern: "POST /api/v1/executions/{arn}/fork", Summary: "Begin a new execution in the middle of an old one", In: Fork{},
			Out: openapi.Object{"arn": "", "name": "", "started_at": moment(1), "state": "", "fork_of": ""}},
		{Pattern: "GET /api/v1/machines", Summary: "List state machines and how they do", Query: openapi.Paging(text("name", "Of the only one to show")),
			Out: openapi.Object{"machines": []Machine{}, "next_cursor?": ""}},
		{Pattern: "GET /api/v1/machines/{name}/stats", Summary: "Sum up the states of a machine's last executions",
			Out: openapi.Object{"machine": "", "executions": 0, "complete": false, "states": []StateStats{}}},
		{Pattern: "GET /api/v1/mapruns/{arn}/counts", Summary: "Show how far a Map Run is", Out: MapRun{}},
		{Pattern: "GET /api/v1/mapruns/{arn}/cells", Summary: "Show how each execution of a Map Run is", Query: []openapi.Param{number("index", "Describe only this one")},
			Out: openapi.Object{"total?": int64(0), "letters?": map[string]string{}, "cells?": "", "buckets?": []Bucket{}, "recent_only?": false}},
		{Pattern: "GET /api/v1/mapruns/{arn}/failures", Summary: "Group a Map Run's failures by error and cause",
			Out: openapi.Object{"failures": []Failure{}, "looked_at": 0, "complete": false}},
		{Pattern: "GET /api/v1/mapruns/{arn}/pace", Summary: "Show how many executions of a Map Run ran over its time",
			Out: openapi.Object{"from": time.Time{}, "to": time.Time{}, "pace": []Pace{}, "complete": false, "recent_only": false}},
	}
}
