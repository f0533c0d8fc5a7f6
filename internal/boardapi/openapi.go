package boardapi

import (
	"reflect"

	"github.com/lockstep-run/lockstep/internal/binding"
	"github.com/lockstep-run/lockstep/internal/connect"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/openapi"
)

// Enums are the texts that types of the board can be.
func Enums() map[reflect.Type][]string {
	return map[reflect.Type][]string{
		reflect.TypeFor[control.State]():      texts(control.States()),
		reflect.TypeFor[control.Priority]():   {"urgent", "high", "normal", "low"},
		reflect.TypeFor[control.ReviewMode](): {"none", "human", "lead", "lead_then_human"},
		reflect.TypeFor[control.OnExpiry]():   {"escalate", "reject", "approve"},
		reflect.TypeFor[control.AgentAdmin](): {"active", "paused", "retired"},
		reflect.TypeFor[control.Until]():      {"approved", "submitted", "finished"},
		reflect.TypeFor[control.Missed]():     {"skip", "one", "all"},
	}
}

func texts[T ~string](list []T) (all []string) {
	for _, v := range list {
		all = append(all, string(v))
	}
	return all
}

// Routes is the table of what Register adds, for the OpenAPI document.
func Routes() []openapi.Route {
	const base = "/api/v1/"
	project := openapi.Param{Name: "project", Description: "the key or id of a project"}
	before := []openapi.Param{{Name: "before", Kind: "integer", Description: "the sequence number of an event: what came before it"},
		{Name: "limit", Kind: "integer", Description: "how many rows at most: 50 unless said, and no more than 200"}}
	var all []openapi.Route
	add := func(pattern, summary string, in, out any, more ...func(r *openapi.Route)) {
		r := openapi.Route{Summary: summary, In: in, Out: out}
		for i := range pattern {
			if pattern[i] == ' ' {
				r.Pattern = pattern[:i+1] + base + pattern[i+1:]
			}
		}
		if t := reflect.TypeOf(out); t != nil {
			_, r.Tagged = reflect.New(t).Elem().Interface().(interface{ Revision() int64 })
		}
		for _, m := range more {
			m(&r)
		}
		all = append(all, r)
	}
	query := func(params ...openapi.Param) func(r *openapi.Route) {
		return func(r *openapi.Route) { r.Query = params }
	}
	paged := func(params ...openapi.Param) func(r *openapi.Route) { return query(openapi.Paging(params...)...) }
	lease := func(r *openapi.Route) { r.Lease = true }

	add("GET projects", "List projects", nil, openapi.List("projects", &control.Project{}), paged())
	add("POST projects", "Make a project", struct {
		Key      string            `json:"key"`
		Name     string            `json:"name,omitempty"`
		Owner    control.Party     `json:"owner,omitempty"`
		Policies *control.Policies `json:"policies,omitempty"`
	}{}, &control.Project{})
	add("GET projects/{project}", "Show a project", nil, &control.Project{})
	add("PATCH projects/{project}", "Change a project; policies that are not said stay", struct {
		Name     *string           `json:"name,omitempty"`
		Owner    control.Party     `json:"owner,omitempty"`
		Policies *control.Policies `json:"policies,omitempty"`
	}{}, &control.Project{})

	add("GET projects/{project}/counts", "Count the tasks of a project by state", nil, openapi.Object{"counts": map[string]int{}})
	add("GET projects/{project}/dependencies", "Draw what of a project waits for what", nil, &control.Graph{})
	add("GET users", "List users", nil, openapi.List("users", &control.Person{}), paged())
	add("GET agents", "List agents with their statuses", nil, openapi.List("agents", control.AgentRow{}),
		paged(project, openapi.Param{Name: "status", Enum: []string{"retired", "paused", "never_seen", "offline", "blocked", "working", "idle"}}))
	add("POST agents", "Register an agent", agentBody{}, &control.Agent{})
	add("GET agents/{agent}", "Show an agent with its status", nil, control.AgentRow{})
	add("PATCH agents/{agent}", "Change an agent; projects are given as a whole", control.UpdateAgent{}, &control.Agent{})
	add("GET agents/{agent}/keys", "List an agent's keys, without their secrets", nil, openapi.Object{"keys": []Key{}})
	add("POST agents/{agent}/keys", "Make a key, which is shown this once", nil, Key{})
	add("DELETE agents/{agent}/keys/{key}", "End a key", nil, nil)
	add("POST agents/{agent}/pause", "Keep an agent from beginning anything", pauseBody{}, &control.Agent{})
	add("POST agents/{agent}/resume", "Let a paused agent go on", nil, &control.Agent{})
	add("POST agents/{agent}/retire", "End an agent for good", nil, &control.Agent{})
	add("POST agents/{agent}/wake", "Ask an agent to look at a task, or to come", wakeBody{}, nil)
	add("GET agents/{agent}/attempts", "List an agent's attempts", nil, openapi.List("attempts", &control.Attempt{}), paged())
	add("GET agents/{agent}/status-history", "List how an agent's status changed, the last first", nil,
		openapi.Object{"changes": []control.StatusChange{}, "before?": int64(0)}, query(before...))
	add("GET agents/{agent}/messages", "List what an agent was told outside of tasks", nil, openapi.List("messages", &control.Message{}), paged())
	add("POST agents/{agent}/messages", "Send an agent a message, which wakes it", newMessage{}, &control.Message{})

	add("PUT agents/{agent}/connection", "Say how an agent is reached; secrets are written and never shown", connectionBody{},
		openapi.Object{"agent": &control.Agent{}, "signing_secret?": ""})
	add("POST agents/{agent}/connect-kit", "Make a key, and the files and commands that connect a runtime", kitBody{}, connect.Kit{})
	add("POST agents/discover", "Ask an OpenClaw gateway for its agents, and import some", discoverBody{}, openapi.Object{"agents": []discovered{}})

	add("GET agent/me", "Show who calls", nil, openapi.Object{})
	add("GET agent/next", "Take the next wakeup, for which it waits; 204 when there is none", nil, control.Offer{},
		query(openapi.Param{Name: "wait", Kind: "integer", Description: "seconds, at most 55"}))
	add("POST agent/heartbeat", "Give a sign of life", nil, control.AgentStatus{})

	add("GET tasks", "List tasks", nil, openapi.List("tasks", control.TaskRow{}), paged(project,
		openapi.Param{Name: "status", Description: "states, with commas between them"},
		openapi.Param{Name: "assignee", Description: "@name, agent:SLUG, user:NAME, me or none"},
		openapi.Param{Name: "reviewer", Description: "who is asked to accept it, or will be"},
		openapi.Param{Name: "label"},
		openapi.Param{Name: "gate", Enum: []string{"open", "closed"}},
		openapi.Param{Name: "execution", Description: "the ARN of an execution whose states wait for it"},
		openapi.Param{Name: "machine", Description: "the name of a machine whose executions it is for"},
		openapi.Param{Name: "parent"},
		openapi.Param{Name: "updated_since", Description: "a time in RFC 3339"},
		openapi.Param{Name: "q", Description: "words of key, title, labels and description"},
		openapi.Param{Name: "sort", Enum: []string{"priority", "rank", "updated"}},
		openapi.Param{Name: "cards", Description: "1: with what a board shows of each task"}))
	add("POST tasks", "Make a task", control.NewTask{}, &control.Task{})
	add("GET tasks/{task}", "Show a task with all that belongs to it", nil, &control.View{})
	add("PATCH tasks/{task}", "Change what a task says", control.UpdateTask{}, &control.Task{})
	add("DELETE tasks/{task}", "Delete a task that was never claimed or has ended", nil, nil)
	add("GET tasks/{task}/why", "Say what keeps a task from moving", nil, openapi.Object{"why": []string{}})
	add("GET tasks/{task}/dependencies", "Show what a task waits for, and what waits for it", nil, &control.Graph{})
	add("GET tasks/{task}/attempts", "List a task's attempts", nil, openapi.List("attempts", &control.Attempt{}), paged())
	add("POST tasks/{task}/assign", "Give a task to an agent or a user", assignBody{}, &control.Task{})
	add("POST tasks/{task}/unassign", "Put a task back into the inbox", nil, &control.Task{})
	add("POST tasks/{task}/claim", "Begin work on a task", nil, claimed{})
	add("POST tasks/{task}/progress", "Say that work goes on, and renew the lease", progressBody{}, control.Progressed{}, lease)
	add("POST tasks/{task}/submit", "Hand the result in", submitBody{}, control.Submitted{}, lease)
	add("POST tasks/{task}/withdraw", "Take a submission back", nil, &control.Task{})
	add("POST tasks/{task}/block", "Say what keeps the work from going on", blockBody{}, &control.Task{}, lease)
	add("POST tasks/{task}/answer", "Answer the question of a blocked task", answerBody{}, &control.Task{})
	add("POST tasks/{task}/unblock", "Let a blocked task go on", note{}, &control.Task{})
	add("POST tasks/{task}/fail", "Give an attempt up", failBody{}, &control.Task{}, lease)
	add("POST tasks/{task}/release", "Give a task back", note{}, &control.Task{}, lease)
	add("POST tasks/{task}/cancel", "End a task that nobody wants any more", note{}, &control.Task{})
	add("POST tasks/{task}/reopen", "Begin an ended task anew", note{}, &control.Task{})
	add("PUT tasks/{task}/dependencies/{other}", "Let a task wait for another", dependencyBody{}, &control.Task{})
	add("DELETE tasks/{task}/dependencies/{other}", "Let a task wait no longer", nil, &control.Task{})
	add("GET tasks/{task}/comments", "List a task's thread", nil, openapi.List("comments", &control.Comment{}), paged())
	add("POST tasks/{task}/comments", "Comment on a task", commentBody{}, &control.Comment{})
	add("POST comments/{comment}/release", "Let mentions go that the loop guard holds", nil, &control.Comment{})
	add("GET tasks/{task}/deliverables", "List what was delivered", nil, openapi.List("deliverables", &control.Deliverable{}), paged())
	add("POST tasks/{task}/deliverables", "Deliver a version of an output", deliverableBody{}, &control.Deliverable{}, lease)
	add("POST blobs", "Upload the bytes of a file, which a deliverable then names", nil, openapi.Object{"blob": "", "size": 0},
		func(r *openapi.Route) { r.InType = "application/octet-stream" })
	add("GET deliverables/{deliverable}/content", "Download what was delivered", nil, nil,
		func(r *openapi.Route) { r.OutType = "application/octet-stream" })
	add("GET tasks/{task}/handoffs", "List a task's hand-offs", nil, openapi.List("handoffs", &control.Handoff{}), paged())
	add("POST tasks/{task}/handoffs", "Pass work on", handoffBody{}, &control.Handoff{}, lease)
	add("POST handoffs/{handoff}/accept", "Accept a hand-off", nil, &control.Handoff{})
	add("POST handoffs/{handoff}/decline", "Decline a hand-off", note{}, &control.Handoff{})

	add("GET templates", "List templates of tasks", nil, openapi.List("templates", &control.Template{}), paged(project))
	add("POST templates", "Keep a template of tasks", control.NewTemplate{}, &control.Template{})
	add("GET templates/{template}", "Show a template", nil, &control.Template{})
	add("PATCH templates/{template}", "Change a template", control.UpdateTemplate{}, &control.Template{})
	add("DELETE templates/{template}", "Remove a template", nil, nil)
	add("GET recurring", "List recurring tasks", nil, openapi.List("recurring", &control.Recurring{}), paged(project))
	add("POST recurring", "Make a task at times", control.NewRecurring{}, &control.Recurring{})
	add("GET recurring/{recurring}", "Show a recurring task", nil, &control.Recurring{})
	add("PATCH recurring/{recurring}", "Change a recurring task", control.UpdateRecurring{}, &control.Recurring{})
	add("DELETE recurring/{recurring}", "End a recurring task", nil, nil)

	add("GET reviews", "List reviews, or with mine=1 what the caller is asked to decide", nil, openapi.List("reviews", openapi.Object{}), paged(
		openapi.Param{Name: "mine", Description: "1: the caller's inbox, with the task of each review and how much waits behind it"},
		project, openapi.Param{Name: "status", Description: "pending (unless said), closed, or one that a review ends with"}, openapi.Param{Name: "kind"}))
	add("POST reviews", "Ask for a decision", reviewBody{}, &control.Review{}, lease)
	add("GET reviews/{review}", "Show a review with what is to be known to decide it", nil, control.ReviewDetail{})
	add("POST reviews/{review}/decision", "Decide a review", control.Decision{}, &control.Review{})
	add("POST reviews/decisions", "Decide several reviews, each by itself", decisionsBody{}, openapi.Object{"results": []decisionResult{}})
	add("POST reviews/{review}/delegate", "Pass a review on", delegateBody{}, &control.Review{})
	add("GET callbacks", "List tasks of executions that wait for an answer by token, apart from the board's", nil, openapi.List("callbacks", binding.Callback{}), paged())
	add("POST callbacks/{id}/success", "Answer a callback with a result", callbackResult{}, nil)
	add("POST callbacks/{id}/failure", "Answer a callback with an error", callbackError{}, nil)
	add("POST reviews/{review}/snooze", "Hide a review from one's own inbox for a time", snoozeBody{}, nil)

	feed := []openapi.Param{{Name: "after", Kind: "integer", Description: "the sequence number of an event"}, project, {Name: "task"},
		{Name: "type", Description: "types, with commas between them; * at the end stands for the rest"}}
	add("GET activity", "List what happened, the last first", nil, openapi.Object{"events": []control.Event{}, "before?": int64(0)},
		query(append(before, project, openapi.Param{Name: "task"}, openapi.Param{Name: "agent"}, feed[3])...))
	add("GET events", "List events in order", nil, openapi.Object{"events": []control.Event{}, "next": int64(0)},
		query(append(feed, before[1])...))
	add("GET events/stream", "Follow events, as server-sent events", nil, nil, query(append(feed,
		openapi.Param{Name: "topics", Description: "with commas between several; execution, visit and maprun are told of executions"},
		openapi.Param{Name: "execution", Description: "ARN of the only one to hear of"}, openapi.Param{Name: "machine", Description: "name of the only one to hear of"},
		openapi.Param{Name: "map_run", Description: "ARN of the only one to hear of"})...),
		func(r *openapi.Route) { r.OutType = "text/event-stream" })
	return append(all, moneyRoutes()...)
}
