package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The most that is taken of what people and agents write.
const (
	maxTitle  = 500
	maxText   = 256 << 10
	maxInline = 1 << 20 // of a deliverable's text, an input or an output
	maxBlob   = 64 << 20
	maxList   = 100
	maxNotes  = 20
)

// task finds a task by its id or key.
func (x *op) task(ref string) (*Task, error) {
	if !strings.Contains(ref, "-") {
		t, err := get[Task](x, ref)
		if Is(err, NotFound) {
			err = refuse(NotFound, nil, "there is no task %q", ref)
		}
		return t, err
	}
	found, err := list[Task](x, "key/"+x.Workspace+"/"+ref, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].Key != ref {
		return nil, refuse(NotFound, nil, "there is no task %q", ref)
	}
	return found[0], nil
}

// see finds a task for a caller who may at least read it.
func (x *op) see(ref string) (*Task, error) {
	t, err := x.task(ref)
	if err != nil {
		return nil, err
	}
	if err := x.need(t.Project, "read"); Is(err, NotFound) {
		return nil, refuse(NotFound, nil, "there is no task %q", ref)
	} else if err != nil {
		return nil, err
	}
	return t, nil
}

// toEdit finds a task for a caller who may change it and has seen its present
// version.
func (x *op) toEdit(ref string) (*Task, error) {
	t, err := x.see(ref)
	if err != nil {
		return nil, err
	}
	if err := x.needEdit(t); err != nil {
		return nil, err
	}
	return t, x.same(t)
}

// NewTask is what CreateTask wants. What is not said is as the project has it.
type NewTask struct {
	Project            string          `json:"project,omitempty"` // key or id; the template's unless said
	Title              string          `json:"title,omitempty"`
	Description        string          `json:"description,omitempty"`
	AcceptanceCriteria []string        `json:"acceptance_criteria,omitempty"`
	Priority           Priority        `json:"priority,omitempty"`
	Labels             []string        `json:"labels,omitempty"`
	Capabilities       []string        `json:"capabilities,omitempty"`
	Assignee           Party           `json:"assignee,omitempty"`
	Reviewers          []Party         `json:"reviewers,omitempty"`
	ReviewMode         ReviewMode      `json:"review_mode,omitempty"`
	RequiredApprovals  int             `json:"required_approvals,omitempty"`
	DueAt              time.Time       `json:"due_at,omitzero"`
	Parent             string          `json:"parent,omitempty"`
	HoldForChildren    bool            `json:"hold_for_children,omitempty"`
	DependsOn          []DependsOn     `json:"depends_on,omitempty"`
	Input              json.RawMessage `json:"input,omitempty"`
	OutputSchema       json.RawMessage `json:"output_schema,omitempty"`
	Budget             int64           `json:"budget,omitempty"`
	Rank               string          `json:"rank,omitempty"`
	MaxAttempts        int             `json:"max_attempts,omitempty"`
	Source             *Source         `json:"source,omitempty"`   // by the engine alone
	Template           string          `json:"template,omitempty"` // name or id: says what is not said here
}

// CreateTask makes a task.
func (b *Board) CreateTask(ctx context.Context, c Call, in NewTask) (*Task, error) {
	return write(ctx, b, c, "create", func(x *op) (*Task, error) { return x.create(in) })
}

func (x *op) create(in NewTask) (*Task, error) {
	in, err := x.filled(in)
	if err != nil {
		return nil, err
	}
	p, err := x.seeProject(in.Project)
	if err != nil {
		return nil, err
	}
	if err := x.need(p.ID, "comment"); err != nil {
		return nil, err
	}
	policies := p.Policies.withDefaults()
	t := &Task{
		Project: p.ID, Key: fmt.Sprintf("%s-%d", p.Key, p.Next), Title: strings.TrimSpace(in.Title), Description: in.Description,
		AcceptanceCriteria: in.AcceptanceCriteria, Priority: cmp.Or(in.Priority, Normal), Labels: in.Labels, Capabilities: in.Capabilities,
		ReviewMode: cmp.Or(in.ReviewMode, policies.ReviewMode), RequiredApprovals: max(in.RequiredApprovals, 1), DueAt: in.DueAt.UTC(),
		HoldForChildren: in.HoldForChildren, Input: in.Input, OutputSchema: in.OutputSchema, Budget: in.Budget, Rank: in.Rank,
		MaxAttempts: in.MaxAttempts, CreatedBy: x.By, StateSince: x.At,
	}
	if t.MaxAttempts <= 0 {
		t.MaxAttempts = policies.MaxAttempts
	}
	if t.Rank == "" {
		t.Rank = rankOf(p.Next)
	}
	if in.Source != nil {
		if x.By != System {
			return nil, refuse(Forbidden, nil, "only the engine binds tasks to executions")
		}
		t.Source = in.Source
	}
	if t.Reviewers, err = x.parties(in.Reviewers); err != nil {
		return nil, err
	}
	if err := x.checkTask(t); err != nil {
		return nil, err
	}
	p.Next++
	x.put(p)
	to := Inbox
	if in.Assignee != "" {
		if t.Assignee, err = x.assignable(t, in.Assignee); err != nil {
			return nil, err
		}
		to = Assigned
	}
	x.add(t)
	if err := x.move(t, Create, to, map[string]any{"title": t.Title}); err != nil {
		return nil, err
	}
	if in.Parent != "" {
		if err := x.setParent(t, in.Parent); err != nil {
			return nil, err
		}
	}
	if len(in.DependsOn) > maxList {
		return nil, invalid("a task depends on at most %d others", maxList)
	}
	for _, on := range in.DependsOn {
		if err := x.addEdge(t, on); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// checkTask refuses what a task cannot be.
func (x *op) checkTask(t *Task) error {
	switch {
	case t.Title == "" || len(t.Title) > maxTitle:
		return invalid("a task needs a title of at most %d bytes", maxTitle)
	case !utf8.ValidString(t.Title) || !utf8.ValidString(t.Description):
		return invalid("title and description are text in UTF-8")
	case len(t.Description) > maxText:
		return invalid("a description has at most %d bytes", maxText)
	case len(t.Input) > maxInline || len(t.OutputSchema) > maxText:
		return invalid("the input or the schema is too long")
	case len(t.AcceptanceCriteria) > maxList || len(t.Labels) > maxList || len(t.Capabilities) > maxList || len(t.Reviewers) > maxList:
		return invalid("a list of a task has at most %d entries", maxList)
	case t.Priority.digit() == "":
		return invalid("there is no priority %q; it is urgent, high, normal or low", t.Priority)
	case !slices.Contains([]ReviewMode{ReviewNone, ReviewHuman, ReviewLead, ReviewLeadThenHuman}, t.ReviewMode):
		return invalid("there is no review mode %q; it is none, human, lead or lead_then_human", t.ReviewMode)
	case len(t.Rank) > 64 || strings.ContainsAny(t.Rank, "/\x00"):
		return invalid("a rank is a short text without /")
	case len(t.Input) > 0 && !json.Valid(t.Input):
		return invalid("the input is not JSON")
	case t.RequiredApprovals > maxList:
		return invalid("at most %d approvals", maxList)
	}
	if len(t.OutputSchema) > 0 {
		if _, err := compile(t.OutputSchema); err != nil {
			return invalid("the output's schema: %v", err)
		}
	}
	return nil
}

// assignable finds who is to do a task and refuses who cannot.
func (x *op) assignable(t *Task, ref Party) (Party, error) {
	p, err := x.party(ref)
	if err != nil {
		return "", err
	}
	if !p.isAgent() && !p.isUser() {
		return "", invalid("a task is assigned to an agent or a user, not to %s", ref)
	}
	able, err := x.active(p, t.Project)
	if err == nil && len(able) == 0 {
		err = invalid("%s cannot work in this project", ref)
	}
	return p, err
}

// UpdateTask is what may be changed of a task apart from its state; what is nil
// stays.
type UpdateTask struct {
	Title              *string         `json:"title,omitempty"`
	Description        *string         `json:"description,omitempty"`
	AcceptanceCriteria *[]string       `json:"acceptance_criteria,omitempty"`
	Priority           *Priority       `json:"priority,omitempty"`
	Labels             *[]string       `json:"labels,omitempty"`
	Capabilities       *[]string       `json:"capabilities,omitempty"`
	Reviewers          *[]Party        `json:"reviewers,omitempty"`
	ReviewMode         *ReviewMode     `json:"review_mode,omitempty"`
	RequiredApprovals  *int            `json:"required_approvals,omitempty"`
	DueAt              *time.Time      `json:"due_at,omitempty"`
	HoldForChildren    *bool           `json:"hold_for_children,omitempty"`
	OutputSchema       json.RawMessage `json:"output_schema,omitempty"`
	Budget             *int64          `json:"budget,omitempty"`
	Rank               *string         `json:"rank,omitempty"`
}

// Update changes what a task says. A pending review keeps what it was asked
// with.
func (b *Board) Update(ctx context.Context, c Call, task string, in UpdateTask) (*Task, error) {
	return write(ctx, b, c, "update", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		if x.By.isAgent() && (in.Title != nil || in.Description != nil || in.AcceptanceCriteria != nil) {
			t.TextBy = x.By
		}
		change(&t.Title, in.Title)
		change(&t.Description, in.Description)
		change(&t.AcceptanceCriteria, in.AcceptanceCriteria)
		change(&t.Priority, in.Priority)
		change(&t.Labels, in.Labels)
		change(&t.Capabilities, in.Capabilities)
		change(&t.ReviewMode, in.ReviewMode)
		change(&t.DueAt, in.DueAt)
		change(&t.Budget, in.Budget)
		change(&t.Rank, in.Rank)
		if in.RequiredApprovals != nil {
			t.RequiredApprovals = max(*in.RequiredApprovals, 1)
		}
		if in.Reviewers != nil {
			if t.Reviewers, err = x.parties(*in.Reviewers); err != nil {
				return nil, err
			}
		}
		if len(in.OutputSchema) > 0 {
			t.OutputSchema = in.OutputSchema
		}
		if in.HoldForChildren != nil && *in.HoldForChildren && !t.HoldForChildren {
			children, err := list[Task](x, "parent/"+t.ID, many)
			if err != nil {
				return nil, err
			}
			for _, child := range children {
				cycle, err := x.path(child.ID, t.ID, map[string]bool{})
				if err != nil {
					return nil, err
				}
				if cycle != nil {
					return nil, refuse(DependencyCycle, map[string]any{"path": cycle}, "%s cannot be held for %s, which waits for it", t.Key, child.Key)
				}
			}
		}
		change(&t.HoldForChildren, in.HoldForChildren)
		if err := x.checkTask(t); err != nil {
			return nil, err
		}
		x.put(t)
		x.touch(t)
		if err := x.emit(t.of("task.updated", nil)); err != nil || in.Budget == nil {
			return t, err
		}
		return t, x.budgetChanged(t)
	})
}

func change[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Assign gives a task of the inbox to an agent or a user.
func (b *Board) Assign(ctx context.Context, c Call, task string, to Party) (*Task, error) {
	return write(ctx, b, c, "assign", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		if row(t.State, Assign) == nil {
			return nil, invalidTransition(t, Assign)
		}
		if t.Assignee, err = x.assignable(t, to); err != nil {
			return nil, err
		}
		if err := x.move(t, Assign, Assigned, map[string]any{"assignee": t.Assignee}); err != nil {
			return nil, err
		}
		return t, x.wakeOpen(t, "assigned", "")
	})
}

// wakeOpen wakes the assignee, if that is an agent and the gate is open.
func (x *op) wakeOpen(t *Task, reason, note string) error {
	if !t.Assignee.isAgent() {
		return nil
	}
	g, err := x.gate(t)
	if err != nil || !g.Open {
		return err
	}
	return x.wake(t, reason, note)
}

// Unassign puts an assigned task back into the inbox.
func (b *Board) Unassign(ctx context.Context, c Call, task string) (*Task, error) {
	return write(ctx, b, c, "unassign", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		x.touch(t) // who had it, too
		if row(t.State, Unassign) == nil {
			return nil, invalidTransition(t, Unassign)
		}
		from := t.Assignee
		t.Assignee = ""
		return t, x.move(t, Unassign, Inbox, map[string]any{"assignee": from})
	})
}

// Claimed is what whoever claims a task gets.
type Claimed struct {
	Task           *Task     `json:"task"`
	AttemptID      string    `json:"attempt_id"`
	LeaseToken     string    `json:"-"` // secret; a repeated call makes it anew
	LeaseExpiresAt time.Time `json:"lease_expires_at,omitzero"`
}

// Claim begins work on a task. Of several who claim it at once one gets it.
func (b *Board) Claim(ctx context.Context, c Call, task string) (Claimed, error) {
	got, err := write(ctx, b, c, "claim", func(x *op) (Claimed, error) {
		t, err := x.see(task)
		if err != nil {
			return Claimed{}, err
		}
		if err := x.same(t); err != nil {
			return Claimed{}, err
		}
		return x.claim(t)
	})
	if err == nil && got.AttemptID != "" && c.By.isAgent() {
		got.LeaseToken = b.token(got.AttemptID)
	}
	return got, err
}

func (x *op) claim(t *Task) (Claimed, error) {
	if row(t.State, Claim) == nil {
		return Claimed{}, invalidTransition(t, Claim)
	}
	if t.Assignee != "" && t.Assignee != x.By {
		return Claimed{}, refuse(NotAssignee, map[string]any{"assignee": t.Assignee}, "%s is assigned to another", t.Key)
	}
	if err := x.needOpen(t); err != nil {
		return Claimed{}, err
	}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return Claimed{}, err
	}
	policies := p.Policies.withDefaults()
	if err := x.withinWIP(p.ID, policies); err != nil {
		return Claimed{}, err
	}
	t.Fence++
	a := &Attempt{Task: t.ID, By: x.By, Number: t.Fence, Status: "running"}
	l := &Lease{base: base{ID: t.ID}, Holder: x.By, Fence: t.Fence, RenewedAt: x.At}
	if x.By.isAgent() {
		if err := x.mayBegin(t); err != nil {
			return Claimed{}, err
		}
		a.SessionKey = "task-" + t.Key
		l.Length = int64(policies.Lease / time.Second)
		l.renew(x.At, policies.StallAfter)
	} else if err := x.need(t.Project, "comment"); err != nil {
		return Claimed{}, err
	} else if !x.By.isUser() {
		return Claimed{}, refuse(Forbidden, nil, "work is for agents and people; a service key does none")
	}
	x.add(a)
	l.Attempt = a.ID
	x.add(l)
	t.Assignee, t.NotBefore, t.Percent = x.By, time.Time{}, 0
	t.Submitted = false
	if err := x.move(t, Claim, InProgress, map[string]any{"attempt": a.ID}); err != nil {
		return Claimed{}, err
	}
	if err := x.emit(t.of("attempt.started", map[string]any{"attempt": a.ID, "number": a.Number})); err != nil {
		return Claimed{}, err
	}
	return Claimed{Task: t, AttemptID: a.ID, LeaseExpiresAt: l.ExpiresAt}, nil
}

// mayBegin refuses an agent that cannot begin a task now.
func (x *op) mayBegin(t *Task) error {
	a, err := x.agentCaller()
	if err != nil {
		return err
	}
	if err := x.seen(a.ID); err != nil {
		return err
	}
	why, err := x.unfit(a, t.Project, t.ID)
	switch {
	case err != nil:
		return err
	case why == "over_budget":
		return refuse(OverBudget, nil, "@%s is over budget", a.Slug)
	case why != "":
		return refuse(AgentNotActive, map[string]any{"admin": a.Admin, "reason": a.PauseReason}, "@%s is %s", a.Slug, a.Admin)
	}
	if !capable(a, t) {
		return refuse(Forbidden, map[string]any{"needs": t.Capabilities}, "%s needs %v", t.Key, t.Capabilities)
	}
	held, err := x.leases(a.ID)
	if err == nil && len(held) >= a.Slots {
		err = refuse(AtCapacity, map[string]any{"slots": a.Slots}, "@%s works on %d of at most %d tasks already", a.Slug, len(held), a.Slots)
	}
	return err
}

func (l *Lease) renew(at time.Time, stall time.Duration) {
	l.RenewedAt, l.Stalled = at, false
	l.ExpiresAt = at.Add(time.Duration(l.Length) * time.Second)
	l.StallAt = at.Add(stall)
}

// lease is the live lease of a task, nil if there is none.
func (x *op) lease(t *Task) (*Lease, error) {
	l, err := get[Lease](x, t.ID)
	return l, ignore(err, NotFound)
}

// held finds a task that the caller works on and refuses everybody else. An
// agent shows its lease's token. Triggers that the table does not allow are
// refused first, unless the token is stale, which is what the holder of a lost
// lease has to hear.
func (x *op) held(ref, token string, ev Trigger) (*Task, *Lease, error) {
	t, err := x.see(ref)
	if err != nil {
		return nil, nil, err
	}
	l, err := x.lease(t)
	if err != nil {
		return nil, nil, err
	}
	mine := l != nil && l.Holder == x.By
	if x.By.isAgent() {
		mine = mine && token == x.b.token(l.Attempt) && x.At.Before(l.ExpiresAt)
		if err := x.seen(x.By.id()); err != nil {
			return nil, nil, err
		}
	}
	if !mine && (x.By.isAgent() && token != "" || t.State == InProgress) {
		return nil, nil, refuse(LeaseLost, nil, "you do not hold the lease of %s (any more): stop working on it", t.Key)
	}
	if row(t.State, ev) == nil || !mine {
		return nil, nil, invalidTransition(t, ev)
	}
	return t, l, x.same(t)
}

// endLease ends the work on a task.
func (x *op) endLease(t *Task, status string, e *ErrorRecord) (*Attempt, error) {
	l, err := x.lease(t)
	if err != nil || l == nil {
		return nil, err
	}
	a, err := get[Attempt](x, l.Attempt)
	if err != nil {
		return nil, err
	}
	if err := x.remove(l); err != nil {
		return nil, err
	}
	a.Status, a.EndedAt = status, x.At
	if e != nil {
		e.Task, e.Attempt, e.OccurredAt = t.ID, a.ID, x.At
		e.RunID, e.SessionKey = cmp.Or(e.RunID, a.RunID), cmp.Or(e.SessionKey, a.SessionKey)
		if a.By.isAgent() {
			e.Agent = a.By.id()
		}
		a.Error = e
	}
	x.put(a)
	x.touch(t)
	if a.By.isAgent() {
		x.touchAgent(a.By.id())
		if err := x.countFailure(t, a); err != nil {
			return nil, err
		}
	}
	ev := t.of("attempt.ended", map[string]any{"attempt": a.ID, "status": status})
	if e != nil {
		ev.Data["category"], ev.Data["message"] = e.Category, e.Message
	}
	return a, x.emit(ev)
}

// countFailure keeps count of failures in a row, and pauses an agent that
// fails all the time if the project says so.
func (x *op) countFailure(t *Task, a *Attempt) error {
	ag, err := get[Agent](x, a.By.id())
	if err != nil {
		return err
	}
	switch a.Status {
	case "succeeded":
		if ag.Failures == 0 {
			return nil
		}
		ag.Failures = 0
	case "failed", "timed_out", "lost":
		ag.Failures++
	default:
		return nil
	}
	x.put(ag)
	p, err := get[Project](x, t.Project)
	if err != nil {
		return err
	}
	policies := p.Policies.withDefaults()
	if policies.PauseFailing && ag.Failures >= policies.FailingAfter && ag.Admin == Active {
		return x.admin(ag, Paused, "failures")
	}
	return nil
}

// Progressed is the answer to Progress.
type Progressed struct {
	LeaseExpiresAt time.Time  `json:"lease_expires_at,omitzero"`
	Comments       []*Comment `json:"comments,omitempty"` // since the last progress
	Paused         bool       `json:"paused,omitempty"`   // begin nothing after this
}

// Progress says that work goes on, and renews the lease. percent below 0 says
// nothing.
func (b *Board) Progress(ctx context.Context, c Call, task, token, note string, percent int) (Progressed, error) {
	return write(ctx, b, c, "progress", func(x *op) (Progressed, error) {
		t, l, err := x.held(task, token, Progress)
		if err != nil {
			return Progressed{}, err
		}
		return x.progress(t, l, note, percent)
	})
}

// KeepAlive renews the lease of a task whose run is known to go on, for agents
// that do not call by themselves.
func (b *Board) KeepAlive(ctx context.Context, c Call, task string) (Progressed, error) {
	return write(ctx, b, c, "keep_alive", func(x *op) (Progressed, error) {
		if x.By != System {
			return Progressed{}, refuse(Forbidden, nil, "leases are kept alive by the server")
		}
		t, err := x.task(task)
		if err != nil {
			return Progressed{}, err
		}
		l, err := x.lease(t)
		if err != nil {
			return Progressed{}, err
		}
		if l == nil || !l.ExpiresAt.IsZero() && !x.At.Before(l.ExpiresAt) {
			return Progressed{}, refuse(LeaseLost, nil, "nobody holds a lease of %s", t.Key)
		}
		return x.progress(t, l, "", -1)
	})
}

func (x *op) progress(t *Task, l *Lease, note string, percent int) (p Progressed, err error) {
	if len(note) > maxText {
		return p, invalid("a note has at most %d bytes", maxText)
	}
	unheard := l.Unheard
	if x.By == l.Holder { // a lease kept alive by the server tells its holder nothing
		l.Unheard = nil
	}
	if l.Length > 0 {
		project, err := get[Project](x, t.Project)
		if err != nil {
			return p, err
		}
		stalled := l.Stalled
		l.renew(x.At, project.Policies.withDefaults().StallAfter)
		if stalled {
			x.touchAgent(l.Holder.id())
		}
	} else {
		l.RenewedAt = x.At
	}
	x.put(l)
	p.LeaseExpiresAt = l.ExpiresAt
	data := map[string]any{}
	if note != "" {
		a, err := get[Attempt](x, l.Attempt)
		if err != nil {
			return p, err
		}
		a.Notes = append(a.Notes, Note{At: x.At, Text: note})
		a.Notes = a.Notes[max(0, len(a.Notes)-maxNotes):]
		x.put(a)
		data["note"] = note
	}
	if percent >= 0 {
		t.Percent = min(percent, 100)
		data["percent"] = t.Percent
	}
	for _, id := range unheard {
		c, err := get[Comment](x, id)
		if err != nil {
			return p, err
		}
		p.Comments = append(p.Comments, c)
	}
	if l.Holder.isAgent() {
		a, err := get[Agent](x, l.Holder.id())
		if err != nil {
			return p, err
		}
		p.Paused = a.Admin != Active
	}
	if note == "" && percent < 0 {
		return p, x.alive(t) // nothing but a sign of life, which is no news
	}
	e := t.of("task.progress", data)
	data["from"], data["to"] = t.State, t.State
	x.put(t)
	return p, x.emit(e)
}

// Release gives a task back without a result. The project's admins may do it
// for others.
func (b *Board) Release(ctx context.Context, c Call, task, token, note string) (*Task, error) {
	return write(ctx, b, c, "release", func(x *op) (*Task, error) {
		t, err := x.see(task)
		if err != nil {
			return nil, err
		}
		if l, err := x.lease(t); err != nil {
			return nil, err
		} else if !x.By.isUser() || l == nil || l.Holder == x.By {
			if t, _, err = x.held(task, token, Release); err != nil {
				return nil, err
			}
		} else if err := cmp.Or(x.need(t.Project, "edit"), x.same(t)); err != nil {
			return nil, err
		}
		if row(t.State, Release) == nil {
			return nil, invalidTransition(t, Release)
		}
		if _, err := x.endLease(t, "released", nil); err != nil {
			return nil, err
		}
		if note != "" {
			if err := x.say(t, "system", "release", note, ""); err != nil {
				return nil, err
			}
		}
		if x.By == t.Assignee {
			if err := x.later(t); err != nil { // it has just been there
				return nil, err
			}
		}
		if err := x.move(t, Release, Assigned, nil); err != nil {
			return nil, err
		}
		return t, x.wakeOpen(t, "assigned", "")
	})
}

// later keeps a task from being offered again at once.
func (x *op) later(t *Task) error {
	p, err := get[Project](x, t.Project)
	if err == nil {
		t.NotBefore = x.At.Add(p.Policies.withDefaults().AckTimeout)
	}
	return err
}

// Failure is what Fail wants.
type Failure struct {
	Category  string `json:"category"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	Detail    string `json:"detail,omitempty"`
	LastTool  string `json:"last_tool,omitempty"`
	Model     string `json:"model,omitempty"`
}

var categories = []string{"agent", "runtime", "model_provider", "tool", "timeout", "lost", "policy"}

// Fail ends an attempt without a result. The task is tried again while it may
// be.
func (b *Board) Fail(ctx context.Context, c Call, task, token string, in Failure) (*Task, error) {
	return write(ctx, b, c, "fail", func(x *op) (*Task, error) {
		t, _, err := x.held(task, token, Fail)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(categories, in.Category) {
			return nil, invalid("there is no category %q; it is one of %s", in.Category, strings.Join(categories, ", "))
		}
		if in.Message == "" || len(in.Message)+len(in.Detail) > maxText {
			return nil, invalid("say in a message what went wrong, in at most %d bytes", maxText)
		}
		status := "failed"
		if in.Category == "timeout" {
			status = "timed_out"
		}
		if in.Category == "model_provider" && (in.Code == "billing" || in.Code == "auth") {
			in.Retryable = false // trying again does not help
		}
		return t, x.failed1(t, Fail, status, &ErrorRecord{Category: in.Category, Code: in.Code, Message: in.Message,
			Retryable: in.Retryable, Detail: in.Detail, LastTool: in.LastTool, Model: in.Model})
	})
}

// failed1 ends an attempt and has the task tried again, later, or fail.
func (x *op) failed1(t *Task, ev Trigger, status string, e *ErrorRecord) error {
	if _, err := x.endLease(t, status, e); err != nil {
		return err
	}
	t.Spent++
	if err := x.spentAll(t, e); err != nil {
		return err
	}
	if !e.Retryable || t.Spent >= t.MaxAttempts {
		if err := x.closeReviews(t, "withdrawn"); err != nil {
			return err
		}
		if err := x.move(t, ev, Failed, map[string]any{"category": e.Category, "message": e.Message}); err != nil {
			return err
		}
		return x.notify(t, "failed", t.CreatedBy)
	}
	t.NotBefore = x.At.Add(min(30*time.Second<<min(t.Spent-1, 10), 10*time.Minute))
	if err := x.move(t, ev, Assigned, map[string]any{"category": e.Category, "message": e.Message, "not_before": t.NotBefore}); err != nil {
		return err
	}
	return x.wakeOpen(t, "assigned", e.Message)
}

// notify asks for a notification about a task.
func (x *op) notify(t *Task, kind string, to ...Party) error {
	n, err := x.notice(t.Project, kind, fmt.Sprintf("%s/%d/%s", t.ID, t.Fence, stamp(t.StateSince)), to...)
	if err != nil {
		return err
	}
	e := t.of("task.notify", nil)
	e.Notify = n
	return x.emit(e)
}

// Blocking is what Block wants.
type Blocking struct {
	Kind      string     `json:"kind"` // question, dependency, external, access, budget, decision or error
	Reason    string     `json:"reason"`
	Owner     Party      `json:"owner,omitempty"`
	Action    string     `json:"action"`
	Question  string     `json:"question,omitempty"`   // the reason unless said
	DependsOn *DependsOn `json:"depends_on,omitempty"` // of kind dependency
}

var blockKinds = []string{"question", "dependency", "external", "access", "budget", "decision", "error"}

// Block stops work on a task until something happens.
func (b *Board) Block(ctx context.Context, c Call, task, token string, in Blocking) (*Task, error) {
	return write(ctx, b, c, "block", func(x *op) (*Task, error) {
		t, _, err := x.held(task, token, Block)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(blockKinds, in.Kind) {
			return nil, invalid("there is no kind %q of block; it is one of %s", in.Kind, strings.Join(blockKinds, ", "))
		}
		if in.Reason == "" || in.Action == "" || len(in.Reason)+len(in.Action)+len(in.Question) > maxText {
			return nil, invalid("a block needs a reason and the action that unblocks, in at most %d bytes", maxText)
		}
		if in.Kind == "dependency" {
			if in.DependsOn == nil {
				return nil, invalid("a block of kind dependency names the task to wait for in depends_on")
			}
			if in.Owner == "" {
				up, err := x.task(in.DependsOn.Task)
				if err != nil {
					return nil, err
				}
				p, err := get[Project](x, up.Project)
				if err != nil {
					return nil, err
				}
				in.Owner = cmp.Or(up.Assignee, p.Owner)
			}
		}
		if in.Owner == "" {
			return nil, refuse(BlockNeedsOwner, nil, "say who can unblock %s: a user, an agent or a role", t.Key)
		}
		owner, err := x.party(in.Owner)
		if err != nil && !Is(err, InvalidInput) && !Is(err, NotFound) {
			return nil, err
		}
		able, err2 := x.active(owner, t.Project)
		if err2 != nil {
			return nil, err2
		}
		able = slices.DeleteFunc(able, func(p Party) bool { return p == x.By })
		if err != nil || len(able) == 0 {
			return nil, refuse(BlockNeedsOwner, nil, "%s is nobody who can be told: name another user, agent or role", in.Owner)
		}
		if _, err := x.endLease(t, "blocked", nil); err != nil {
			return nil, err
		}
		if in.Kind == "dependency" {
			if err := x.addEdge(t, *in.DependsOn); err != nil {
				return nil, err
			}
		}
		return t, x.block(t, Block, in, owner, able)
	})
}

func (x *op) block(t *Task, ev Trigger, in Blocking, owner Party, able []Party) error {
	t.Block = &BlockedBy{Kind: in.Kind, Reason: in.Reason, Owner: owner, Action: in.Action, At: x.At}
	if in.Kind == "question" {
		r, err := x.request(&Review{Project: t.Project, Task: t.ID, Kind: "question", Title: cmp.Or(in.Question, in.Reason), Reviewers: []Party{owner}})
		if err != nil {
			return err
		}
		t.Block.Review = r.ID
	}
	if err := x.move(t, ev, Blocked, map[string]any{"kind": in.Kind, "reason": in.Reason, "owner": owner, "action": in.Action}); err != nil {
		return err
	}
	for _, p := range able {
		if p.isAgent() {
			if err := x.wakeAgent(p.id(), t, "manual", in.Action, false); err != nil {
				return err
			}
		}
	}
	return x.notify(t, "blocked", owner)
}

// Unblock lets a blocked task go on.
func (b *Board) Unblock(ctx context.Context, c Call, task, note string) (*Task, error) {
	return write(ctx, b, c, "unblock", func(x *op) (*Task, error) {
		t, err := x.see(task)
		if err != nil {
			return nil, err
		}
		if row(t.State, Unblock) == nil {
			return nil, invalidTransition(t, Unblock)
		}
		owners, err := x.active(t.Block.Owner, t.Project)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(owners, x.By) {
			if err := x.needEdit(t); err != nil {
				return nil, err
			}
		}
		if err := x.same(t); err != nil {
			return nil, err
		}
		if note != "" {
			if err := x.say(t, "message", "", note, ""); err != nil {
				return nil, err
			}
		}
		return t, x.unblock(t, Unblock, "unblocked", map[string]any{"note": note})
	})
}

func (x *op) unblock(t *Task, ev Trigger, reason string, data map[string]any) error {
	note, _ := data["note"].(string)
	t.Block = nil
	if err := x.closeReviews(t, "withdrawn"); err != nil {
		return err
	}
	if err := x.move(t, ev, Assigned, data); err != nil {
		return err
	}
	return x.wakeOpen(t, reason, note)
}

// Cancel ends a task that nobody wants any more.
func (b *Board) Cancel(ctx context.Context, c Call, task, note string) (*Task, error) {
	return write(ctx, b, c, "cancel", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		return t, x.cancel(t, note)
	})
}

func (x *op) cancel(t *Task, note string) error {
	if row(t.State, Cancel) == nil {
		return invalidTransition(t, Cancel)
	}
	if _, err := x.endLease(t, "cancelled", nil); err != nil {
		return err
	}
	if err := x.closeReviews(t, "withdrawn"); err != nil {
		return err
	}
	if err := x.closeHandoffs(t); err != nil {
		return err
	}
	t.Block = nil
	return x.move(t, Cancel, Cancelled, map[string]any{"note": note})
}

// Reopen begins an ended task anew. Only people do that; dependants that have
// started are flagged.
func (b *Board) Reopen(ctx context.Context, c Call, task, note string) (*Task, error) {
	return write(ctx, b, c, "reopen", func(x *op) (*Task, error) {
		if !x.By.isUser() {
			return nil, refuse(Forbidden, nil, "only people reopen tasks")
		}
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		if row(t.State, Reopen) == nil {
			return nil, invalidTransition(t, Reopen)
		}
		if t.Source.over() {
			return nil, refuse(NoLongerWaiting, nil, "the state that waited for %s has gone on: make a follow-up task, or redrive the execution", t.Key)
		}
		deps, err := list[Dependency](x, "on/"+t.ID, many)
		if err != nil {
			return nil, err
		}
		for _, d := range deps {
			down, err := get[Task](x, d.Task)
			if err != nil {
				return nil, err
			}
			if flag := "upstream_reopened:" + t.Key; down.State != Inbox && down.State != Assigned && !slices.Contains(down.Flags, flag) {
				down.Flags = append(down.Flags, flag)
				x.put(down)
				if err := x.emit(down.of("task.flagged", map[string]any{"flag": flag})); err != nil {
					return nil, err
				}
			}
		}
		return t, x.again(t, Reopen, note)
	})
}

// EndWait says that the state which waited for a task has gone on without it:
// it was stopped, timed out or aborted. The task is cancelled, if it is open.
func (b *Board) EndWait(ctx context.Context, c Call, task, note string) (*Task, error) {
	return write(ctx, b, c, "end_wait", func(x *op) (*Task, error) {
		t, err := x.task(task)
		if err != nil {
			return nil, err
		}
		if x.By != System || t.Source == nil {
			return nil, refuse(Forbidden, nil, "only the engine ends a wait, and only for its own tasks")
		}
		t.Source.Waiting = false
		x.put(t)
		if t.State.Terminal() {
			return t, nil
		}
		return t, x.cancel(t, note)
	})
}

// Retry begins an ended task of the engine anew, with attempts to spend.
func (b *Board) Retry(ctx context.Context, c Call, task string) (*Task, error) {
	return write(ctx, b, c, "retry", func(x *op) (*Task, error) {
		t, err := x.task(task)
		if err != nil {
			return nil, err
		}
		if x.By != System || t.Source == nil {
			return nil, refuse(Forbidden, nil, "only the engine retries, and only its own tasks")
		}
		if row(t.State, Retry) == nil {
			return nil, invalidTransition(t, Retry)
		}
		t.Source.Waiting = true
		return t, x.again(t, Retry, "")
	})
}

func (x *op) again(t *Task, ev Trigger, note string) error {
	t.Spent, t.ReworkCount, t.Submitted, t.NotBefore, t.Percent = 0, 0, false, time.Time{}, 0
	to := Inbox
	if t.Assignee != "" {
		able, err := x.active(t.Assignee, t.Project)
		if err != nil {
			return err
		}
		if to = Assigned; len(able) == 0 {
			to, t.Assignee = Inbox, ""
		}
	}
	if err := x.move(t, ev, to, map[string]any{"note": note}); err != nil {
		return err
	}
	return x.wakeOpen(t, "assigned", note)
}
