package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Next claims the best task that the calling agent can begin: one of its own
// first, then one of the inbox that fits; by priority, due date, rank and age.
// project narrows it down; "": any of its projects. Without a task it says why.
func (b *Board) Next(ctx context.Context, c Call, project string) (Claimed, string, error) {
	why := ""
	got, err := write(ctx, b, c, "next", func(x *op) (Claimed, error) {
		a, err := x.agentCaller()
		if err != nil {
			return Claimed{}, err
		}
		if err := x.seen(a.ID); err != nil {
			return Claimed{}, err
		}
		if project != "" {
			p, err := x.project(project)
			if err != nil {
				return Claimed{}, err
			}
			project = p.ID
		}
		t, hindrance, err := x.best(a, project)
		if t == nil || err != nil {
			why = hindrance
			return Claimed{}, err
		}
		return x.claim(t)
	})
	if err == nil && got.AttemptID != "" {
		got.LeaseToken = b.token(got.AttemptID)
	}
	return got, why, err
}

func (x *op) best(a *Agent, project string) (*Task, string, error) {
	if why, err := x.unfit(a, project, ""); why != "" || err != nil {
		return nil, why, err
	}
	held, err := x.leases(a.ID)
	if err != nil || len(held) >= a.Slots {
		return nil, "at_capacity", err
	}
	why := "no_task"
	try := func(prefix string) (*Task, error) {
		tasks, err := list[Task](x, prefix, many)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			if project != "" && t.Project != project || !capable(a, t) {
				continue
			}
			if t.NotBefore.After(x.At) {
				why = "not_yet"
				continue
			}
			g, err := x.gate(t)
			if err != nil {
				return nil, err
			}
			if !g.Open {
				why = "gate_closed"
				continue
			}
			p, err := get[Project](x, t.Project)
			if err != nil {
				return nil, err
			}
			if err := x.withinWIP(p.ID, p.Policies); Is(err, AtCapacity) {
				why = "wip_limit"
				continue
			} else if err != nil {
				return nil, err
			}
			if hindrance, err := x.unfit(a, t.Project, t.ID); err != nil {
				return nil, err
			} else if hindrance != "" {
				why = hindrance
				continue
			}
			return t, nil
		}
		return nil, nil
	}
	prefixes := []string{"assignee/" + string(AgentParty(a.ID)) + "/" + string(Assigned) + "/"}
	for _, p := range a.Projects {
		prefixes = append(prefixes, "project/"+p+"/"+string(Inbox)+"/")
	}
	for _, prefix := range prefixes {
		if t, err := try(prefix); t != nil || err != nil {
			return t, "", err
		}
	}
	return nil, why, nil
}

// Why says what keeps a task from being begun or from moving on, the strongest
// reason first; nothing if all is well.
func (b *Board) Why(ctx context.Context, c Call, task string) ([]string, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	return x.why(t)
}

func (x *op) why(t *Task) (all []string, err error) {
	say := func(format string, args ...any) { all = append(all, strings.TrimSpace(fmt.Sprintf(format, args...))) }
	switch t.State {
	case Blocked:
		say("blocked (%s): %s. To do: %s, by %s", t.Block.Kind, t.Block.Reason, t.Block.Action, t.Block.Owner)
	case InReview:
		r, err := x.pending(t)
		if err != nil || r == nil {
			return nil, err
		}
		who, err := x.deciders(r)
		if err != nil {
			return nil, err
		}
		say("waits for a review by %v", who)
	case Inbox, Assigned:
	default:
		return nil, nil
	}
	if t.State != Inbox && t.State != Assigned {
		return all, nil
	}
	g, err := x.gate(t)
	if err != nil {
		return nil, err
	}
	if !g.Open {
		say("waits for %v (%s)", g.WaitingOn, g.Reason)
	}
	if t.NotBefore.After(x.At) {
		say("is tried again at %s", stamp(t.NotBefore))
	}
	if t.Assignee == "" {
		say("nobody is assigned")
	}
	if t.Assignee.isAgent() {
		a, err := get[Agent](x, t.Assignee.id())
		if err != nil {
			return nil, err
		}
		st, err := x.status(a)
		if err != nil {
			return nil, err
		}
		if hindrance, err := x.unfit(a, t.Project, t.ID); err != nil {
			return nil, err
		} else if hindrance != "" {
			say("@%s is %s %s", a.Slug, hindrance, a.PauseReason)
		}
		switch st.Connectivity {
		case "never_seen":
			say("@%s has not connected yet", a.Slug)
		case "offline":
			say("@%s is offline", a.Slug)
		}
		if len(st.Working) >= a.Slots {
			if st.Working, err = x.readable(st.Working); err != nil {
				return nil, err
			}
			say("@%s is at capacity with %v", a.Slug, st.Working)
		}
	}
	wakeups, err := list[Wakeup](x, "task/"+t.ID, many)
	for _, w := range wakeups {
		switch {
		case w.State == "failed":
			say("a wakeup (%s) failed: %s", w.Reason, w.LastError)
		case w.State == "queued" || w.State == "sent":
			say("a wakeup (%s) is %s %s", w.Reason, w.State, w.LastError)
		}
	}
	return all, err
}

// View is everything that is to be known to work on a task or to judge it.
type View struct {
	Task         *Task          `json:"task"`
	Gate         Gate           `json:"gate"`
	Dependencies []*Dependency  `json:"dependencies,omitempty"`
	Lease        *LeaseView     `json:"lease,omitempty"`
	Attempts     []*Attempt     `json:"attempts,omitempty"`
	Deliverables []*Deliverable `json:"deliverables,omitempty"`
	Reviews      []*Review      `json:"reviews,omitempty"`
	Comments     []*Comment     `json:"comments,omitempty"`
	Handoffs     []*Handoff     `json:"handoffs,omitempty"`
	Children     []*Task        `json:"children,omitempty"`
	Upstream     []Upstream     `json:"upstream,omitempty"` // of dependencies that pass deliverables
	Parent       *Upstream      `json:"parent,omitempty"`
	Why          []string       `json:"why,omitempty"`
}

// Revision is the version of the task.
func (v *View) Revision() int64 { return v.Task.Version }

// LeaseView is what others see of a lease.
type LeaseView struct {
	Holder    Party     `json:"holder"`
	Attempt   string    `json:"attempt"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	RenewedAt time.Time `json:"renewed_at"`
}

// Upstream is what a task may know of another that came before it.
type Upstream struct {
	Key                string         `json:"key"`
	Title              string         `json:"title"`
	Description        string         `json:"description,omitempty"`
	AcceptanceCriteria []string       `json:"acceptance_criteria,omitempty"`
	Summary            string         `json:"summary,omitempty"`
	Output             any            `json:"output,omitempty"`
	Deliverables       []*Deliverable `json:"deliverables,omitempty"` // as approved
}

// View reads a task with all that belongs to it.
func (b *Board) View(ctx context.Context, c Call, task string) (*View, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	v := &View{Task: t}
	if v.Gate, err = x.gate(t); err != nil {
		return nil, err
	}
	if l, err := x.lease(t); err != nil {
		return nil, err
	} else if l != nil {
		v.Lease = &LeaseView{Holder: l.Holder, Attempt: l.Attempt, ExpiresAt: l.ExpiresAt, RenewedAt: l.RenewedAt}
	}
	var errs [8]error
	v.Dependencies, errs[0] = list[Dependency](x, "task/"+t.ID, many)
	v.Attempts, errs[1] = list[Attempt](x, "task/"+t.ID, many)
	v.Deliverables, errs[2] = list[Deliverable](x, "task/"+t.ID, many)
	v.Reviews, errs[3] = list[Review](x, "task/"+t.ID, many)
	v.Comments, errs[4] = list[Comment](x, "task/"+t.ID+"/", many)
	v.Handoffs, errs[5] = list[Handoff](x, "task/"+t.ID, many)
	v.Children, errs[6] = list[Task](x, "parent/"+t.ID, many)
	v.Why, errs[7] = x.why(t)
	if err := cmp.Or(errs[:]...); err != nil {
		return nil, err
	}
	v.Children = slices.DeleteFunc(v.Children, func(t *Task) bool { return x.need(t.Project, "read") != nil })
	for _, d := range v.Dependencies {
		if !d.PassDeliverables {
			continue
		}
		up, err := x.upstream(d.DependsOn, false)
		if err != nil {
			return nil, err
		}
		v.Upstream = append(v.Upstream, *up)
	}
	if t.Parent != "" {
		if _, err := x.see(t.Parent); Is(err, NotFound) {
			return v, nil
		}
		if v.Parent, err = x.upstream(t.Parent, true); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (x *op) upstream(id string, brief bool) (*Upstream, error) {
	t, err := get[Task](x, id)
	if err != nil {
		return nil, err
	}
	u := &Upstream{Key: t.Key, Title: t.Title}
	if brief {
		u.Description, u.AcceptanceCriteria = t.Description, t.AcceptanceCriteria
	}
	if t.State == Done {
		u.Summary = t.Summary
		if len(t.Output) > 0 {
			u.Output = t.Output
		}
	}
	for _, id := range t.Approved {
		d, err := get[Deliverable](x, id)
		if err != nil {
			return nil, err
		}
		u.Deliverables = append(u.Deliverables, d)
	}
	return u, nil
}
