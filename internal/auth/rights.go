package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// rule says who may come to a route.
type rule string

const (
	open   rule = "open"    // anybody
	known  rule = "known"   // any principal: the board, or the handler, decides
	people rule = "people"  // users
	report rule = "report"  // agents, and who may report usage
	worker rule = "worker"  // agents, and who may comment in some project
	ownKey rule = "own key" // calls that change something have a key of their own
	none   rule = ""        // nobody but owners: the table does not know the route
)

// right is the rule that a right is needed for.
func right(r Right) rule { return rule("right " + string(r)) }

// Routes says, for every route under /api/v1 and the MCP server, who may come to
// it. What is not here only owners reach.
var Routes = func() map[string]rule {
	m := map[string]rule{}
	add := func(r rule, patterns string) {
		for line := range strings.Lines(patterns) {
			if line = strings.TrimSpace(line); line != "" {
				method, path, _ := strings.Cut(line, " ")
				m[method+" /api/v1/"+strings.TrimSpace(path)] = r
			}
		}
	}
	add(open, `
		GET  session
		POST session
		POST bootstrap
	`)
	add(known, `
		DELETE session
		GET    openapi.json
		GET    users
		GET    users/{name}
		GET    projects
		POST   projects
		GET    projects/{project}
		PATCH  projects/{project}
		GET    projects/{project}/members
		GET    projects/{project}/counts
		GET    projects/{project}/dependencies
		GET    agents
		POST   agents
		GET    agents/{agent}
		PATCH  agents/{agent}
		GET    agents/{agent}/keys
		POST   agents/{agent}/keys
		DELETE agents/{agent}/keys/{key}
		POST   agents/{agent}/pause
		POST   agents/{agent}/resume
		POST   agents/{agent}/retire
		POST   agents/{agent}/wake
		GET    agents/{agent}/attempts
		GET    agents/{agent}/status-history
		GET    agents/{agent}/messages
		POST   agents/{agent}/messages
		PUT    agents/{agent}/connection
		POST   agents/{agent}/connect-kit
		POST   agents/discover
		GET    agent/me
		GET    agent/next
		POST   agent/heartbeat
		GET    tasks
		POST   tasks
		GET    tasks/{task}
		PATCH  tasks/{task}
		DELETE tasks/{task}
		GET    tasks/{task}/attempts
		GET    tasks/{task}/handoffs
		GET    templates
		POST   templates
		GET    templates/{template}
		PATCH  templates/{template}
		DELETE templates/{template}
		GET    recurring
		POST   recurring
		GET    recurring/{recurring}
		PATCH  recurring/{recurring}
		DELETE recurring/{recurring}
		GET    tasks/{task}/why
		GET    tasks/{task}/dependencies
		POST   tasks/{task}/assign
		POST   tasks/{task}/unassign
		POST   tasks/{task}/claim
		POST   tasks/{task}/progress
		POST   tasks/{task}/submit
		POST   tasks/{task}/withdraw
		POST   tasks/{task}/block
		POST   tasks/{task}/answer
		POST   tasks/{task}/unblock
		POST   tasks/{task}/fail
		POST   tasks/{task}/release
		POST   tasks/{task}/cancel
		POST   tasks/{task}/reopen
		PUT    tasks/{task}/dependencies/{other}
		DELETE tasks/{task}/dependencies/{other}
		GET    tasks/{task}/comments
		POST   tasks/{task}/comments
		POST   comments/{comment}/release
		GET    tasks/{task}/deliverables
		POST   tasks/{task}/deliverables
		POST   tasks/{task}/handoffs
		POST   handoffs/{handoff}/accept
		POST   handoffs/{handoff}/decline
		GET    deliverables/{deliverable}
		GET    deliverables/{deliverable}/content
		GET    reviews
		POST   reviews
		GET    reviews/{review}
		POST   reviews/{review}/decision
		POST   reviews/{review}/delegate
		POST   reviews/{review}/snooze
		POST   reviews/decisions
		GET    notifications
		POST   notifications/read
		GET    notifications/preferences
		PUT    notifications/preferences
		GET    notifications/deliveries
		POST   notifications/test
		GET    webhooks
		POST   webhooks
		GET    webhooks/{webhook}
		DELETE webhooks/{webhook}
		POST   webhooks/{webhook}/enable
		GET    webhooks/{webhook}/deliveries
		POST   webhooks/{webhook}/deliveries/{delivery}/redeliver
		GET    usage
		GET    usage/summary
		GET    agents/{agent}/health
		GET    usage/deliverables
		GET    tasks/{task}/cost
		GET    budgets
		PUT    budgets/{budget}
		DELETE budgets/{budget}
		GET    activity
		GET    events
		GET    events/stream
	`)
	add(people, `
		GET    sessions
		DELETE sessions/{session}
		PATCH  users/{name}
		POST   users/{name}/password
		GET    tokens
		POST   tokens
		DELETE tokens/{key}
		GET    access-keys
		POST   access-keys
		DELETE access-keys/{key}
		PUT    projects/{project}/members/{user}
		DELETE projects/{project}/members/{user}
	`)
	add(right(Own), `
		POST   users
		DELETE users/{name}
		POST   users/{name}/reset
		GET    audit
	`)
	add(right(Read), `
		GET connections
		GET connections/{name}
		GET schedules
		GET schedules/{name}
		GET triggers
		GET triggers/{name}
		GET prices
		GET executions
		GET executions/histogram
		GET executions/{arn}
		GET executions/{arn}/visits
		GET executions/{arn}/visits/{event}/flow
		GET executions/{arn}/events
		GET executions/{arn}/totals
		GET executions/{arn}/payload
		GET examples
		GET resources
		GET machines
		GET machines/{name}/stats
		GET machines/{name}/health
		GET mapruns/{arn}/counts
		GET mapruns/{arn}/cells
		GET mapruns/{arn}/failures
		GET mapruns/{arn}/pace
	`)
	add(right(Review), `
		GET  callbacks
		POST callbacks/{id}/success
		POST callbacks/{id}/failure
	`)
	add(right(Manage), `
		GET    service-keys
		POST   service-keys
		DELETE service-keys/{key}
		POST   connections
		DELETE connections/{name}
		POST   connections/{name}/test
		POST   triggers
		DELETE triggers/{name}
		PUT    prices
		PUT    prices/overrides
		POST   prices/reprice
	`)
	add(right(Start), `
		POST   executions/{arn}/fork
		POST   events
		POST   schedules
		DELETE schedules/{name}
		POST   schedules/{name}/pause
		POST   schedules/{name}/resume
	`)
	add(report, `
		POST usage
	`)
	add(worker, `
		POST blobs
	`)
	m["/api/v1/functions"] = ownKey
	m["/api/v1/functions/{rest...}"] = ownKey
	m["/api/"] = known // nothing is there
	for _, path := range []string{"/mcp", "/mcp/", "GET /mcp", "POST /mcp", "DELETE /mcp"} {
		m[path] = known
	}
	return m
}()

// ruleOf is the rule of the route that a request takes.
func (d *Doors) ruleOf(r *http.Request) rule {
	_, pattern := d.Mux.Handler(r)
	return Routes[pattern]
}

// may refuses a principal that a rule does not let in.
func (a *Auth) may(p *Principal, rule rule, r *http.Request) error {
	ok := false
	text := "You may not do that."
	switch rule {
	case open:
		return nil
	case known:
		return mayKnock(p, r)
	case people:
		return person(p)
	case report:
		ok, text = p.Kind == Agent || p.May(Usage), "That is for agents, members, and service keys with the scope usage."
	case worker:
		return a.worksSomewhere(r.Context(), p)
	case ownKey: // what is read
		ok, text = p.May(Manage), "That takes the role admin."
	case none:
		ok, text = p.May(Own), "That takes the role owner."
	default:
		needs := Right(strings.TrimPrefix(string(rule), "right "))
		ok, text = p.May(needs), needed(p, needs)
	}
	if ok {
		return nil
	}
	return forbidden(text)
}

// worksSomewhere refuses whoever only reads, in every project.
func (a *Auth) worksSomewhere(ctx context.Context, p *Principal) error {
	if p.Kind == Agent || p.May(Comment) {
		return nil
	}
	if p.Kind == User {
		projects, err := a.projects(ctx)
		if err != nil {
			return err
		}
		for _, project := range projects {
			if project.Owner == p.Party() || slices.Contains(of[project.Members[p.ID]], Comment) {
				return nil
			}
		}
	}
	return forbidden(needed(p, Comment))
}

// mayKnock refuses service keys that have no scope for what a route does, whatever
// the board would say.
func mayKnock(p *Principal, r *http.Request) error {
	if p.Kind != Service || r.URL.Path == "/api/v1/session" {
		return nil
	}
	wanted := []Right{Comment, Edit, Review, Manage}
	if reads(r.Method) {
		wanted = []Right{Read}
	}
	if slices.ContainsFunc(wanted, p.May) {
		return nil
	}
	return forbidden(needed(p, wanted[0]))
}

// needed says what is missing for a right.
func needed(p *Principal, r Right) string {
	switch {
	case p.Kind == Agent:
		return "That is for people and service keys; an agent's key does not do."
	case p.Kind == Service && r != Own:
		return "That takes a service key with the scope " + string(r) + "."
	case r == Own:
		return "That takes the role owner."
	case r == Manage || r == Edit:
		return "That takes the role admin."
	case r == Start || r == Machines:
		return "That takes the role member, admin or owner."
	case r == Comment:
		return "That takes the role member, at least."
	}
	return "That takes the role viewer, at least."
}
