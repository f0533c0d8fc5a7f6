package control

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"
)

// UpdateAgent is what may be changed of an agent; what is nil stays.
type UpdateAgent struct {
	Name         *string         `json:"name,omitempty"`
	Role         *string         `json:"role,omitempty"` // worker or lead
	Capabilities *[]string       `json:"capabilities,omitempty"`
	Projects     *[]string       `json:"projects,omitempty"` // keys or ids: all of them
	Runtime      *string         `json:"runtime,omitempty"`
	Connection   json.RawMessage `json:"connection,omitempty"` // null takes it away
	Push         *bool           `json:"push,omitempty"`
	Slots        *int            `json:"slots,omitempty"`
}

// UpdateAgent changes an agent. Of a project that it is taken out of, its tasks
// go back to the inbox, and its reviews to others. Who puts it into a project
// manages that.
func (b *Board) UpdateAgent(ctx context.Context, c Call, agent string, in UpdateAgent) (*Agent, error) {
	return write(ctx, b, c, "update_agent", func(x *op) (*Agent, error) {
		a, err := x.seeAgent(agent)
		if err != nil {
			return nil, err
		}
		if err := cmp.Or(x.needManage(a), x.same(a)); err != nil {
			return nil, err
		}
		if a.Admin == Retired {
			return nil, refuse(AgentNotActive, map[string]any{"admin": a.Admin}, "@%s is retired", a.Slug)
		}
		change(&a.Name, in.Name)
		change(&a.Role, in.Role)
		change(&a.Capabilities, in.Capabilities)
		change(&a.Runtime, in.Runtime)
		change(&a.Push, in.Push)
		change(&a.Slots, in.Slots)
		if len(in.Connection) > 0 {
			a.Connection = in.Connection
			if string(in.Connection) == "null" {
				a.Connection = nil
			}
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		x.put(a)
		x.touchAgent(a.ID)
		if in.Projects != nil {
			if err := x.setProjects(a, *in.Projects); err != nil {
				return nil, err
			}
			if err := x.listen(a); err != nil {
				return nil, err
			}
		}
		if err := x.emit(Event{Type: "agent.updated", Agent: a.ID}); err != nil {
			return nil, err
		}
		return a, x.checkReviews()
	})
}

// check refuses what an agent cannot be.
func (a *Agent) check() error {
	switch {
	case a.Role != "worker" && a.Role != "lead":
		return invalid("an agent's role is worker or lead, not %q", a.Role)
	case !slices.Contains([]string{"openclaw", "claude_code", "codex", "http", "custom"}, a.Runtime):
		return invalid("there is no runtime %q", a.Runtime)
	case a.Slots < 1 || a.Slots > 1000:
		return invalid("an agent has 1 to 1000 slots")
	case len(a.Name) > maxTitle || len(a.Capabilities) > maxList || len(a.Projects) > 10*maxList:
		return invalid("the name or a list of the agent is too long")
	case len(a.Connection) > maxText || len(a.Connection) > 0 && !json.Valid(a.Connection):
		return invalid("the connection is JSON of at most %d bytes", maxText)
	}
	return nil
}

// setProjects puts an agent into projects and takes it out of all others.
func (x *op) setProjects(a *Agent, refs []string) error {
	var ids []string
	for _, ref := range refs {
		p, err := x.seeProject(ref)
		if err != nil {
			return err
		}
		if !slices.Contains(a.Projects, p.ID) {
			if err := x.need(p.ID, "manage"); err != nil {
				return err
			}
		}
		if !slices.Contains(ids, p.ID) {
			ids = append(ids, p.ID)
		}
	}
	for _, old := range a.Projects {
		if slices.Contains(ids, old) {
			continue
		}
		if ok, err := x.sees(old); err != nil {
			return err
		} else if !ok {
			ids = append(ids, old) // they do not know of it
			continue
		}
		if err := x.need(old, "manage"); err != nil {
			return err
		}
		if err := x.leave(a, old); err != nil {
			return err
		}
	}
	a.Projects = ids
	x.put(a)
	return a.check()
}

// leave gives back what an agent has to do in a project.
func (x *op) leave(a *Agent, project string) error {
	tasks, err := list[Task](x, "assignee/"+string(AgentParty(a.ID))+"/", many)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.Project != project {
			continue
		}
		if t.State == InProgress {
			if _, err := x.endLease(t, "released", nil); err != nil {
				return err
			}
			if err := x.move(t, Release, Assigned, nil); err != nil {
				return err
			}
		}
		if t.State == Assigned {
			t.Assignee = ""
			if err := x.move(t, Unassign, Inbox, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// StatusChange is one entry of the record of an agent's status.
type StatusChange struct {
	At   time.Time `json:"at"`
	From string    `json:"from"`
	To   string    `json:"to"`
	Seq  int64     `json:"seq"` // of the event
}

// StatusHistory lists how an agent's status changed, the last first: what came
// before an event, 0 for all. more is where to go on, 0 if nothing is left.
func (b *Board) StatusHistory(ctx context.Context, c Call, agent string, before int64, limit int) (all []StatusChange, more int64, err error) {
	x := b.view(ctx, c)
	a, err := x.seeAgent(agent)
	if err != nil {
		return nil, 0, err
	}
	n := pageLength(limit)
	some, err := events(b.r.EventsOf(ctx, "status/"+a.ID, before, n+1))
	if err != nil {
		return nil, 0, err
	}
	if len(some) > n {
		some, more = some[:n], some[n-1].Seq
	}
	for _, e := range some {
		from, _ := e.Data["from"].(string)
		to, _ := e.Data["to"].(string)
		all = append(all, StatusChange{At: e.At, From: from, To: to, Seq: e.Seq})
	}
	return all, more, nil
}

// Message is what somebody told an agent outside of a task.
type Message struct {
	base
	Agent string `json:"agent"`
	By    Party  `json:"by"`
	Body  string `json:"body"`
}

func (*Message) kind() string     { return "message" }
func (m *Message) keys() []string { return []string{"agent/" + m.Agent} }

// SendMessage tells an agent something. It is kept, and delivered as a wakeup
// with the text; what is told before that is out goes with it. People and leads
// may, in a project of the agent's.
func (b *Board) SendMessage(ctx context.Context, c Call, agent, body string) (*Message, error) {
	return write(ctx, b, c, "message", func(x *op) (*Message, error) {
		a, err := x.seeAgent(agent)
		if err != nil {
			return nil, err
		}
		if err := x.mayTell(a); err != nil {
			return nil, err
		}
		if a.Admin == Retired {
			return nil, refuse(AgentNotActive, map[string]any{"admin": a.Admin}, "@%s is retired", a.Slug)
		}
		if body == "" || len(body) > maxText {
			return nil, invalid("a message has 1 to %d bytes", maxText)
		}
		from, err := x.nameOf(x.By)
		if err != nil {
			return nil, err
		}
		note := "Message of " + from + ":\n" + body
		w, err := x.wakeup(a.ID, "", "manual")
		if err != nil {
			return nil, err
		}
		if w != nil && (w.State == "queued" || w.State == "skipped") && w.Note != "" {
			if note = w.Note + "\n\n" + note; len(note) > maxText {
				return nil, refuse(AtCapacity, nil, "@%s has not taken the messages before this one yet", a.Slug)
			}
		}
		m := &Message{Agent: a.ID, By: x.By, Body: body}
		x.add(m)
		if err := x.emit(Event{Type: "agent.message", Agent: a.ID, Data: map[string]any{"message": m.ID}}); err != nil {
			return nil, err
		}
		return m, x.wakeAgent(a.ID, nil, "manual", note, false)
	})
}

// mayTell refuses who may not send an agent messages.
func (x *op) mayTell(a *Agent) error {
	if x.By.isAgent() {
		caller, err := x.agentCaller()
		if err != nil {
			return err
		}
		if caller.Role != "lead" || caller.ID == a.ID {
			return refuse(Forbidden, nil, "people and leads send messages to agents")
		}
	}
	err := x.need("", "comment")
	for _, p := range a.Projects {
		if x.need(p, "comment") == nil {
			return nil
		}
	}
	return err
}

// nameOf is what somebody is called.
func (x *op) nameOf(p Party) (string, error) {
	switch kind, id := p.Split(); kind {
	case "user":
		u, err := get[Person](x, id)
		if err != nil {
			return "", err
		}
		return "@" + u.Name, nil
	case "agent":
		a, err := get[Agent](x, id)
		if err != nil {
			return "", err
		}
		return "@" + a.Slug, nil
	}
	return string(p), nil
}

// Messages lists what an agent was told, the oldest first: for itself, and for
// who may tell it something.
func (b *Board) Messages(ctx context.Context, c Call, agent string, page Page) ([]*Message, string, error) {
	x := b.view(ctx, c)
	a, err := x.seeAgent(agent)
	if err != nil {
		return nil, "", err
	}
	if AgentParty(a.ID) != x.By {
		if err := x.mayTell(a); err != nil {
			return nil, "", err
		}
	}
	return pages(x, []string{"agent/" + a.ID}, page, func(m *Message) (*Message, bool, error) { return m, true, nil })
}

// DeleteTask removes a task with all that hangs on it: one that was never
// claimed, or that has ended. What happened to it stays in the feed. A task with
// children, with open tasks that wait for it, or with a state that does, is not
// deleted. People who may edit all tasks do it.
func (b *Board) DeleteTask(ctx context.Context, c Call, task string) error {
	return second(write(ctx, b, c, "delete", func(x *op) (struct{}, error) {
		none := struct{}{}
		t, err := x.see(task)
		if err != nil {
			return none, err
		}
		if x.By.isAgent() {
			return none, refuse(Forbidden, nil, "only people delete tasks")
		}
		if err := cmp.Or(x.need(t.Project, "edit"), x.same(t)); err != nil {
			return none, err
		}
		if !t.State.Terminal() && (t.Fence > 0 || t.State != Inbox && t.State != Assigned) {
			return none, refuse(InvalidTransition, map[string]any{"state": t.State}, "%s has been begun: cancel it first", t.Key)
		}
		if t.Source != nil && t.Source.Waiting {
			return none, refuse(InvalidTransition, map[string]any{"state": t.State}, "a state of an execution waits for %s: stop the execution", t.Key)
		}
		if children, err := list[Task](x, "parent/"+t.ID, 1); err != nil {
			return none, err
		} else if len(children) > 0 {
			return none, refuse(ChildrenOpen, map[string]any{"children": []string{children[0].Key}}, "%s has children, such as %s", t.Key, children[0].Key)
		}
		on, err := list[Dependency](x, "on/"+t.ID, many)
		if err != nil {
			return none, err
		}
		for _, d := range on {
			down, err := get[Task](x, d.Task)
			if err != nil {
				return none, err
			}
			if !down.State.Terminal() {
				return none, refuse(GateClosed, map[string]any{"waiting": down.Key}, "%s waits for %s: take the dependency away first", down.Key, t.Key)
			}
			if err := x.remove(d); err != nil {
				return none, err
			}
		}
		return none, x.erase(t)
	}))
}

// erase removes a task and what hangs on it.
func (x *op) erase(t *Task) error {
	if err := x.emit(t.of("task.deleted", map[string]any{"title": t.Title})); err != nil {
		return err
	}
	if t.Assignee.isAgent() {
		x.touchAgent(t.Assignee.id())
	}
	removals := []func() error{
		func() error { return removeAll[Dependency](x, "task/"+t.ID) },
		func() error { return removeAll[Attempt](x, "task/"+t.ID) },
		func() error { return removeAll[Deliverable](x, "task/"+t.ID) },
		func() error { return removeAll[Review](x, "task/"+t.ID) },
		func() error { return removeAll[Comment](x, "task/"+t.ID+"/") },
		func() error { return removeAll[Handoff](x, "task/"+t.ID) },
		func() error { return removeAll[Wakeup](x, "task/"+t.ID) },
	}
	for _, remove := range removals {
		if err := remove(); err != nil {
			return err
		}
	}
	return x.remove(t)
}

func removeAll[E any, P interface {
	*E
	entity
}](x *op, prefix string) error {
	all, err := list[E, P](x, prefix, many)
	for _, e := range all {
		if err := x.remove(e); err != nil {
			return err
		}
	}
	return err
}
