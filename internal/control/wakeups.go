package control

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// wake asks the assignee, an agent, to look at a task. It is one wakeup for
// each reason as long as that is not done.
func (x *op) wake(t *Task, reason, note string) error {
	return x.wakeAgent(t.Assignee.id(), t, reason, note, true)
}

// wakeAgent asks an agent to look at a task, or at nothing in particular where
// t is nil. work says that it is to claim the task.
func (x *op) wakeAgent(agent string, t *Task, reason, note string, work bool) error {
	task, order := "", "0/"+stamp(x.At)
	if t != nil {
		task = t.ID
		if work {
			order = "1/" + t.order()
		}
	}
	if work {
		out, err := list[Wakeup](x, "of/"+agent+"/"+task+"/", many)
		if err != nil {
			return err
		}
		for _, w := range out {
			if w.Work && !w.Offer && (w.State == "queued" || w.State == "sent" || w.State == "skipped" && w.OfAgent) {
				return nil // coalesced: it is asked to claim the task already
			}
		}
	}
	w, err := x.wakeup(agent, task, reason)
	if err != nil {
		return err
	}
	if w == nil {
		w = &Wakeup{Agent: agent, Task: task, Reason: reason}
		x.add(w)
	}
	x.remember(w)
	if note != "" {
		w.Note = note
	}
	w.Work = work
	if w.State == "queued" {
		x.put(w)
		return nil // coalesced
	}
	w.Order, w.Tries, w.Offers, w.LastError, w.NotBefore = order, 0, w.Offers+1, "", time.Time{}
	if t != nil && work && t.NotBefore.After(x.At) {
		w.NotBefore = t.NotBefore
	}
	// settleAgent queues it as soon as the agent can take it.
	w.State, w.OfAgent, w.Hindrance = "skipped", true, "at_capacity"
	x.put(w)
	x.touchAgent(agent)
	return nil
}

func (x *op) wakeup(agent, task, reason string) (*Wakeup, error) {
	found, err := list[Wakeup](x, "of/"+agent+"/"+task+"/"+reason, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// remember notes a wakeup before it is changed, so that tellWakeups can tell
// what became of it.
func (x *op) remember(w *Wakeup) {
	if _, ok := x.told[w.ID]; !ok {
		x.told[w.ID] = w.State + w.Hindrance
		x.woken = append(x.woken, w)
	}
}

func (x *op) tellWakeups() error {
	for _, w := range x.woken {
		if x.told[w.ID] == w.State+w.Hindrance {
			continue
		}
		e := Event{Type: "wakeup." + w.State, Agent: w.Agent, Task: w.Task, Data: map[string]any{"wakeup": w.ID, "reason": w.Reason}}
		if w.Task != "" {
			t, err := get[Task](x, w.Task)
			if err != nil {
				return err
			}
			e.Project, e.Key = t.Project, t.Key
		}
		if w.Hindrance != "" {
			e.Data["hindrance"] = w.Hindrance
		}
		if w.State == "failed" && e.Project != "" {
			var err error
			if e.Notify, err = x.notice(e.Project, "failed", "wakeup/"+w.Delivery(), ""); err != nil {
				return err
			}
		}
		if err := x.emit(e); err != nil {
			return err
		}
	}
	x.woken = nil
	return nil
}

func (x *op) skip(w *Wakeup, hindrance string, ofAgent bool) {
	x.remember(w)
	w.State, w.Hindrance, w.OfAgent = "skipped", hindrance, ofAgent
	x.put(w)
}

func (x *op) acked(w *Wakeup) {
	x.remember(w)
	w.State, w.Hindrance, w.OfAgent = "acked", "", false
	x.put(w)
}

func (x *op) queue(w *Wakeup) {
	x.remember(w)
	if w.State == "skipped" && !w.SentAt.IsZero() {
		w.Offers++ // it has been out once: this is another delivery
	}
	w.State, w.Hindrance, w.OfAgent, w.SentAt = "queued", "", false, time.Time{}
	w.Ripe = !w.NotBefore.After(x.At)
	x.put(w)
}

// hindrance is what in a task keeps a wakeup back, "" if nothing does; done
// says that it has served its purpose.
func hindrance(w *Wakeup, t *Task, g Gate, l *Lease) (why string, done bool) {
	if !w.Work {
		return "", false
	}
	if t.State == InProgress && l != nil && l.Holder == AgentParty(w.Agent) {
		return "", true
	}
	switch {
	case t.State != Inbox && t.State != Assigned:
		return "task_" + string(t.State), false
	case w.Offer && t.State != Inbox, !w.Offer && t.Assignee != AgentParty(w.Agent):
		return "assigned_to_another", false
	case !g.Open:
		return "gate_closed", false
	}
	return "", false
}

// settleWakeups looks at the wakeups of a task after it has changed, and sees
// to it that an agent who is to do it has one.
func (x *op) settleWakeups(t *Task, g Gate) error {
	all, err := list[Wakeup](x, "task/"+t.ID, many)
	if err != nil {
		return err
	}
	l, err := x.lease(t)
	if err != nil {
		return err
	}
	there := false
	var back []*Wakeup // nothing in the task keeps them back any more
	for _, w := range all {
		if w.State == "acked" {
			continue
		}
		why, done := hindrance(w, t, g, l)
		switch {
		case done:
			x.acked(w)
		case why != "":
			if w.State != "failed" && (w.State != "skipped" || w.OfAgent || w.Hindrance != why) {
				x.skip(w, why, false)
				x.touchAgent(w.Agent)
			}
		case w.Work && !w.Offer && w.State == "skipped" && !w.OfAgent:
			back = append(back, w)
		case w.Work && !w.Offer:
			there = true
		}
	}
	if there || t.State != Assigned || !t.Assignee.isAgent() || !g.Open {
		return nil
	}
	if len(back) == 0 {
		return x.wake(t, "assigned", "")
	}
	w := back[len(back)-1] // one is enough
	w.Order, w.Tries, w.LastError = "1/"+t.order(), 0, ""
	x.skip(w, "at_capacity", true)
	x.touchAgent(w.Agent)
	return nil
}

// leases counts what an agent works on.
func (x *op) leases(agent string) (map[string]bool, error) {
	held, err := list[Lease](x, "holder/"+string(AgentParty(agent)), many)
	tasks := map[string]bool{}
	for _, l := range held {
		tasks[l.ID] = true
	}
	return tasks, err
}

// unfit says why an agent may not begin anything, "" if it may.
func (x *op) unfit(a *Agent, project, task string) (string, error) {
	if a.Admin != Active {
		return string(a.Admin), nil
	}
	if task != "" {
		t, err := get[Task](x, task)
		if err != nil {
			return "", err
		}
		if over, err := x.overBudget(t); over || err != nil {
			return "over_budget", err
		}
	}
	if x.b.cfg.Budget == nil {
		return "", nil
	}
	if why, err := x.b.cfg.Budget(x.ctx, x.r, a.ID, project, task, x.At); why != "" || err != nil {
		return "over_budget", err
	}
	return "", nil
}

// settleAgent gives the free slots of an agent to its wakeups, in order, and
// takes them back where there are none.
func (x *op) settleAgent(id string) error {
	a, err := get[Agent](x, id)
	if err != nil {
		return err
	}
	held, err := x.leases(id)
	if err != nil {
		return err
	}
	free := a.Slots - len(held)
	out, err := list[Wakeup](x, "open/"+id+"/", many)
	if err != nil {
		return err
	}
	// What has been sent comes first: the agent knows of it.
	slices.SortStableFunc(out, func(a, b *Wakeup) int {
		if (a.State == "sent") != (b.State == "sent") {
			if a.State == "sent" {
				return -1
			}
			return 1
		}
		return 0
	})
	fits := func(w *Wakeup) (string, error) {
		project := ""
		if w.Task != "" {
			t, err := get[Task](x, w.Task)
			if err != nil {
				return "", err
			}
			project = t.Project
		}
		why, err := x.unfit(a, project, w.Task)
		if err != nil || why != "" {
			return why, err
		}
		if held[w.Task] || w.NotBefore.After(x.At) {
			return "", nil
		}
		if free <= 0 {
			return "at_capacity", nil
		}
		free--
		return "", nil
	}
	for _, w := range out {
		why, err := fits(w)
		if err != nil {
			return err
		}
		if why != "" && w.Offer {
			x.skip(w, why, false)
			if !slices.Contains(x.tasks, w.Task) {
				x.tasks = append(x.tasks, w.Task) // for another agent
			}
		} else if why != "" {
			x.skip(w, why, true)
		} else if w.State == "queued" && !w.Ripe && !w.NotBefore.After(x.At) {
			x.queue(w)
		}
	}
	// Of those that wait, what is not work comes first: it may be about a task
	// that the agent holds. With no slot left no work can go out, so that not much
	// more is read than there is room for, however long the agent's queue is.
	page := min(max(free, 0)+2, 50)
	q := store.Prefix("wakeup", "wait/"+id+"/", page)
	for more := true; more; {
		waiting, err := query[Wakeup](x, q)
		if err != nil {
			return err
		}
		more = len(waiting) == page
		for _, w := range waiting {
			q.From, q.AfterID = "wait/"+id+"/"+w.Order, w.ID
			why, err := fits(w)
			if err != nil {
				return err
			}
			if why == "" {
				x.queue(w)
				continue
			}
			if w.Hindrance != why {
				x.skip(w, why, true)
			}
			if free <= 0 && w.Work {
				more = false
				break
			}
		}
	}
	if err := x.settleStatus(a); err != nil {
		return err
	}
	if free > 0 && a.Admin == Active {
		return x.offerTo(a)
	}
	return nil
}

// offer gives a task that nobody is assigned to, to an agent with a free slot
// whose capabilities fit: of those the one whose last offer of it is the
// longest ago. Only one has it at a time.
func (x *op) offer(t *Task) error {
	out, err := list[Wakeup](x, "task/"+t.ID, many)
	if err != nil {
		return err
	}
	last := map[string]time.Time{}
	for _, w := range out {
		if !w.Offer {
			continue
		}
		switch w.State {
		case "queued", "sent":
			return nil
		case "failed":
			last[w.Agent] = x.At.Add(time.Hour) // not again
		default:
			last[w.Agent] = w.AckBy
		}
	}
	agents, err := list[Agent](x, "project/"+t.Project, many)
	if err != nil {
		return err
	}
	var best *Agent
	for _, a := range agents {
		if last[a.ID].After(x.At) || best != nil && !last[a.ID].Before(last[best.ID]) {
			continue
		}
		if ok, err := x.canTake(a, t); err != nil {
			return err
		} else if ok {
			best = a
		}
	}
	if best == nil {
		return nil
	}
	w, err := x.wakeup(best.ID, t.ID, "schedule")
	if err != nil {
		return err
	}
	if w == nil {
		w = &Wakeup{Agent: best.ID, Task: t.ID, Reason: "schedule"}
		x.add(w)
	}
	x.remember(w)
	w.Work, w.Offer, w.Order, w.NotBefore = true, true, "1/"+t.order(), t.NotBefore
	w.Offers++
	w.SentAt = time.Time{}
	x.queue(w)
	return nil
}

// canTake reports whether an agent could begin a task that is nobody's.
func (x *op) canTake(a *Agent, t *Task) (bool, error) {
	if !capable(a, t) {
		return false, nil
	}
	if why, err := x.unfit(a, t.Project, t.ID); err != nil || why != "" {
		return false, err
	}
	held, err := x.leases(a.ID)
	if err != nil {
		return false, err
	}
	out, err := list[Wakeup](x, "open/"+a.ID+"/", many)
	if err != nil {
		return false, err
	}
	taken := len(held)
	for _, w := range out {
		if !held[w.Task] && !w.NotBefore.After(x.At) {
			taken++
		}
	}
	return taken < a.Slots, nil
}

func capable(a *Agent, t *Task) bool {
	for _, c := range t.Capabilities {
		if !slices.Contains(a.Capabilities, c) {
			return false
		}
	}
	return slices.Contains(a.Projects, t.Project)
}

// offerTo looks for a task that an agent with a free slot could take.
func (x *op) offerTo(a *Agent) error {
	const look = 50 // tasks at the head of each inbox
	for _, p := range a.Projects {
		tasks, err := list[Task](x, "project/"+p+"/"+string(Inbox)+"/", look)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if !capable(a, t) || slices.Contains(x.tasks, t.ID) {
				continue
			}
			g, err := x.gate(t)
			if err != nil {
				return err
			}
			if !g.Open {
				continue
			}
			if err := x.offer(t); err != nil {
				return err
			}
			if ok, err := x.canTake(a, t); err != nil || !ok {
				return err
			}
		}
	}
	return nil
}

// Offer is a wakeup as it is delivered.
type Offer struct {
	Wakeup   *Wakeup `json:"wakeup"`
	Delivery string  `json:"delivery"` // the same for each delivery of one offer
	Agent    *Agent  `json:"agent"`
	Task     *Task   `json:"task,omitempty"`
}

// Queued lists wakeups that are to be delivered now to agents that want them
// delivered, oldest first.
func (b *Board) Queued(ctx context.Context, at time.Time, limit int) (offers []Offer, err error) {
	x := b.view(ctx, Call{At: at})
	all, err := query[Wakeup](x, store.RecordQuery{Kind: "wakeup", From: "send/", To: "send/" + stamp(at) + "~", Limit: many})
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		a, err := get[Agent](x, w.Agent)
		if err != nil {
			return nil, err
		}
		if !a.Push {
			continue
		}
		o := Offer{Wakeup: w, Delivery: w.Delivery(), Agent: a}
		if w.Task != "" {
			if o.Task, err = get[Task](x, w.Task); err != nil {
				return nil, err
			}
		}
		if offers = append(offers, o); len(offers) >= limit {
			break
		}
	}
	return offers, nil
}

// Sent notes that an offer has reached its agent. An offer that is no longer
// the wakeup's is passed over.
func (b *Board) Sent(ctx context.Context, c Call, wakeup, delivery string) error {
	_, err := write(ctx, b, c, "sent", func(x *op) (struct{}, error) {
		w, err := get[Wakeup](x, wakeup)
		if err != nil || w.State != "queued" || w.Delivery() != delivery {
			return struct{}{}, err
		}
		return struct{}{}, x.sent(w)
	})
	return err
}

func (x *op) sent(w *Wakeup) error {
	x.remember(w)
	w.SentAt, w.Tries, w.LastError = x.At, 0, ""
	if !w.Work {
		x.acked(w)
		x.touchAgent(w.Agent)
		return nil
	}
	p, err := x.policiesOf(w)
	if err != nil {
		return err
	}
	w.State, w.AckBy = "sent", x.At.Add(p.AckTimeout)
	x.put(w)
	return nil
}

func (x *op) policiesOf(w *Wakeup) (Policies, error) {
	if w.Task == "" {
		return Policies{}.withDefaults(), nil
	}
	t, err := get[Task](x, w.Task)
	if err != nil {
		return Policies{}, err
	}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return Policies{}, err
	}
	return p.Policies.withDefaults(), nil
}

// NotSent notes that an offer could not be delivered. It is tried again after
// a time that doubles from 5 s to 10 min, eight times in all.
func (b *Board) NotSent(ctx context.Context, c Call, wakeup, delivery, why string) error {
	_, err := write(ctx, b, c, "not_sent", func(x *op) (struct{}, error) {
		w, err := get[Wakeup](x, wakeup)
		if err != nil || w.State != "queued" || w.Delivery() != delivery {
			return struct{}{}, err
		}
		p, err := x.policiesOf(w)
		if err != nil {
			return struct{}{}, err
		}
		x.remember(w)
		w.Tries++
		w.LastError = why
		if w.Tries >= p.WakeTries {
			x.failed(w)
			return struct{}{}, nil
		}
		wait := min(5*time.Second<<(w.Tries-1), 10*time.Minute)
		wait += time.Duration(rand.Int64N(int64(wait)/5 + 1)) // so that not all come back at once
		w.NotBefore = x.At.Add(wait)
		w.Ripe = false
		x.put(w)
		x.touchAgent(w.Agent)
		return struct{}{}, nil
	})
	return err
}

func (x *op) failed(w *Wakeup) {
	x.remember(w)
	w.State, w.Hindrance, w.OfAgent = "failed", "", false
	x.put(w)
	x.touchAgent(w.Agent)
}

// Fetch gives an agent its next wakeup, which counts as sent, or nil if there
// is none.
func (b *Board) Fetch(ctx context.Context, c Call) (*Offer, error) {
	return write(ctx, b, c, "fetch", func(x *op) (*Offer, error) {
		a, err := x.agentCaller()
		if err != nil {
			return nil, err
		}
		out, err := list[Wakeup](x, "open/"+a.ID+"/", many)
		if err != nil {
			return nil, err
		}
		for _, w := range out {
			if w.State != "queued" || w.NotBefore.After(x.At) {
				continue
			}
			o := &Offer{Wakeup: w, Delivery: w.Delivery(), Agent: a}
			if w.Task != "" {
				if o.Task, err = get[Task](x, w.Task); err != nil {
					return nil, err
				}
			}
			return o, x.sent(w)
		}
		return nil, nil
	})
}

// Wake asks an agent to look at a task, or to come with no task in mind.
func (b *Board) Wake(ctx context.Context, c Call, agent, task, note string) error {
	_, err := write(ctx, b, c, "wake", func(x *op) (struct{}, error) {
		a, err := x.agent(agent)
		if err != nil {
			return struct{}{}, err
		}
		var t *Task
		if task != "" {
			if t, err = x.task(task); err != nil {
				return struct{}{}, err
			}
			if err := x.need(t.Project, "comment"); err != nil {
				return struct{}{}, err
			}
		} else if err := x.needManage(a); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, x.wakeAgent(a.ID, t, "manual", note, false)
	})
	return err
}
