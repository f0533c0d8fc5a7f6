package main

import (
	"slices"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/connection"
	"github.com/lockstep-run/lockstep/internal/fn"
	"github.com/lockstep-run/lockstep/internal/openapi"
	"github.com/lockstep-run/lockstep/internal/schedule"
	"github.com/lockstep-run/lockstep/internal/trigger"
	"github.com/lockstep-run/lockstep/internal/views"
)

// apiDocument describes all that is below /api/v1. A test holds it against the
// routes that there are.
func apiDocument() openapi.Document {
	one := []openapi.Route{
		{Pattern: "GET /api/v1/openapi.json", Summary: "This document", Out: openapi.Object{}},
		{Pattern: "GET /api/v1/functions", Summary: "List functions", Out: openapi.Object{"functions": []openapi.Object{}}},
		{Pattern: "PUT /api/v1/functions/{name}", Summary: "Add a function, or change it", In: fn.Spec{}, Out: openapi.Object{}},
		{Pattern: "DELETE /api/v1/functions/{name}", Summary: "Remove a function"},
		{Pattern: "GET /api/v1/functions/{name}/logs", Summary: "Show what a function wrote", OutType: "text/plain"},
		{Pattern: "GET /api/v1/functions/{name}/key", Summary: "Show the key of a function's workers", Out: openapi.Object{}},
		{Pattern: "POST /api/v1/functions/reload", Summary: "Start functions anew from their files", Out: openapi.Object{}},
	}
	return openapi.Document{
		Title: "Lockstep", Version: "1",
		Description: "The REST API of Lockstep: the board of agents and people, and what starts and pays for executions. " +
			"Executions are started and stopped by AWS's API, at /. Bodies have no members that are not known.",
		Routes: slices.Concat(one, auth.Table(), boardapi.Routes(), schedule.Routes(), trigger.Routes(), connection.Routes(), views.Routes(), catalogueRoutes()),
		Enums:  boardapi.Enums(),
	}
}
