package control

import (
	"context"
	"errors"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// What a caller may see: users what their role in the workspace or in a project
// opens, agents their projects. What is closed to a caller is not there: reads
// of it are refused with NotFound, and lists pass it over. System sees all.

// sees reports whether the caller may read a project.
func (x *op) sees(project string) (bool, error) {
	err := x.need(project, "read")
	return err == nil, ignore(err, NotFound)
}

// everywhere reports whether the caller may read every project there is, and
// those to come.
func (x *op) everywhere() (bool, error) {
	switch kind, _ := x.By.Split(); kind {
	case "system":
		return true, nil
	case "service":
		return slices.Contains(x.Scopes, "read"), nil
	case "agent":
		return false, nil
	}
	r, err := x.role(x.By.id(), "")
	return r != "", err
}

// scope lists the ids of the projects that the caller may read.
func (x *op) scope() (ids []string, err error) {
	all, err := x.everywhere()
	if err != nil {
		return nil, err
	}
	prefix := "of/" + string(x.By)
	switch {
	case all:
		prefix = "key/" + x.Workspace + "/"
	case x.By.isAgent():
		a, err := get[Agent](x, x.By.id())
		if err != nil {
			return nil, err
		}
		return a.Projects, nil
	}
	projects, err := list[Project](x, prefix, many)
	for _, p := range projects {
		if ok, err := x.sees(p.ID); err != nil {
			return nil, err
		} else if ok {
			ids = append(ids, p.ID)
		}
	}
	return ids, err
}

// knows reports whether the caller may see an agent: itself, and those of
// projects that the caller may read.
func (x *op) knows(a *Agent) (bool, error) {
	if all, err := x.everywhere(); all || err != nil {
		return all, err
	}
	if AgentParty(a.ID) == x.By {
		return true, nil
	}
	for _, p := range a.Projects {
		if ok, err := x.sees(p); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// shown is an agent as the caller may see it. How it is reached is for those who
// manage it, and for itself; other projects are not there.
func (x *op) shown(a *Agent) (*Agent, error) {
	c := *a
	if AgentParty(a.ID) == x.By {
		return &c, nil
	}
	if err := x.needManage(a); err != nil {
		c.Connection = nil
	}
	c.Projects = nil
	for _, p := range a.Projects {
		if ok, err := x.sees(p); err != nil {
			return nil, err
		} else if ok {
			c.Projects = append(c.Projects, p)
		}
	}
	return &c, nil
}

// knowsUser reports whether the caller may see a user: themselves, and who has a
// role in a project that the caller may read.
func (x *op) knowsUser(u *Person) (bool, error) {
	if all, err := x.everywhere(); all || err != nil {
		return all, err
	}
	if User(u.ID) == x.By {
		return true, nil
	}
	scope, err := x.scope()
	for _, p := range scope {
		if r, err := x.role(u.ID, p); r != "" || err != nil {
			return r != "", err
		}
	}
	return false, err
}

// shownUser is a user as the caller may see them: an address is for themselves
// and for who manages the workspace.
func (x *op) shownUser(u *Person) *Person {
	c := *u
	if User(u.ID) != x.By && x.need("", "manage") != nil {
		c.Email = ""
	}
	return &c
}

// readable keeps of keys of tasks those that the caller may read.
func (x *op) readable(keys []string) (kept []string, err error) {
	for _, key := range keys {
		if _, err := x.see(key); Is(err, NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		kept = append(kept, key)
	}
	return kept, nil
}

// hears reports whether an event is for the caller: who may read its project, or
// see its agent; what is of no project, for users of the whole workspace.
func (x *op) hears(e *Event) (bool, error) {
	if e.Workspace != x.Workspace && x.Workspace != "" {
		return false, nil
	}
	all, err := x.everywhere()
	if all || err != nil {
		return all, err
	}
	project := e.Project
	if project == "" && e.Task != "" {
		t, err := get[Task](x, e.Task)
		if err != nil {
			return false, ignore(err, NotFound)
		}
		project = t.Project
	}
	if project != "" {
		return x.sees(project)
	}
	if e.Agent == "" {
		return false, nil
	}
	a, err := get[Agent](x, e.Agent)
	if err != nil {
		return false, ignore(err, NotFound)
	}
	return x.knows(a)
}

// Task finds a task by key or id.
func (b *Board) Task(ctx context.Context, c Call, ref string) (*Task, error) {
	return b.view(ctx, c).see(ref)
}

// Project finds a project by key or id.
func (b *Board) Project(ctx context.Context, c Call, ref string) (*Project, error) {
	return b.view(ctx, c).seeProject(ref)
}

func (x *op) seeProject(ref string) (*Project, error) {
	p, err := x.project(ref)
	if err == nil {
		err = x.need(p.ID, "read")
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no project %s", ref)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Agent finds an agent by slug or id. Its connection is there for those who
// manage it and for itself.
func (b *Board) Agent(ctx context.Context, c Call, ref string) (*Agent, error) {
	x := b.view(ctx, c)
	a, err := x.seeAgent(ref)
	if err != nil {
		return nil, err
	}
	return x.shown(a)
}

func (x *op) seeAgent(ref string) (*Agent, error) {
	a, err := x.agent(ref)
	known := false
	if err == nil {
		known, err = x.knows(a)
	}
	if Is(err, NotFound) || err == nil && !known {
		return nil, refuse(NotFound, nil, "there is no agent %q", ref)
	}
	return a, err
}

// AgentStatus derives the status of an agent at the time of the call. Of what it
// works on, it names the tasks that the caller may read.
func (b *Board) AgentStatus(ctx context.Context, c Call, agent string) (AgentStatus, error) {
	x := b.view(ctx, c)
	a, err := x.seeAgent(agent)
	if err != nil {
		return AgentStatus{}, err
	}
	return x.shownStatus(a)
}

func (x *op) shownStatus(a *Agent) (AgentStatus, error) {
	st, err := x.status(a)
	if err == nil {
		st.Working, err = x.readable(st.Working)
	}
	return st, err
}

// User finds a user by name or id. The address is there for themselves and for
// who manages the workspace.
func (b *Board) User(ctx context.Context, c Call, ref string) (*Person, error) {
	x := b.view(ctx, c)
	u, err := x.seeUser(ref)
	if err != nil {
		return nil, err
	}
	return x.shownUser(u), nil
}

func (x *op) seeUser(ref string) (*Person, error) {
	u, err := x.user(ref)
	known := false
	if err == nil {
		known, err = x.knowsUser(u)
	}
	if Is(err, NotFound) || err == nil && !known {
		return nil, refuse(NotFound, nil, "there is no user %q", ref)
	}
	return u, err
}

// Review finds a review by id.
func (b *Board) Review(ctx context.Context, c Call, id string) (*Review, error) {
	x := b.view(ctx, c)
	r, err := get[Review](x, id)
	if err == nil {
		err = x.need(r.Project, "read")
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no review %q", id)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Deliverable finds a deliverable by id.
func (b *Board) Deliverable(ctx context.Context, c Call, id string) (*Deliverable, error) {
	x := b.view(ctx, c)
	d, err := get[Deliverable](x, id)
	if err == nil {
		_, err = x.see(d.Task)
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no deliverable %q", id)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Blob returns the bytes that PutBlob kept under a hash, for who may read a
// deliverable that is made of them.
func (b *Board) Blob(ctx context.Context, c Call, hash string) ([]byte, error) {
	x := b.view(ctx, c)
	none := refuse(NotFound, nil, "there are no bytes with the hash %s", hash)
	if x.By != System {
		of, err := list[Deliverable](x, "hash/"+hash, many)
		if err != nil {
			return nil, err
		}
		may := func(d *Deliverable) bool { return second(x.see(d.Task)) == nil }
		if !slices.ContainsFunc(of, may) {
			return nil, none
		}
	}
	r, err := b.r.Record(ctx, "blob", hash)
	if errors.Is(err, store.ErrNotFound) {
		err = none
	}
	return r.Data, err
}

func second[T any](_ T, err error) error { return err }

// Feed lists events after a sequence number, in order: those that are for the
// caller among at most limit that it looks at; of all workspaces for System
// without one. next is where to go on: the last that it looked at.
func (b *Board) Feed(ctx context.Context, c Call, after int64, limit int) (all []Event, next int64, err error) {
	some, err := events(b.r.Events(ctx, after, limit))
	if err != nil || len(some) == 0 {
		return nil, after, err
	}
	next = some[len(some)-1].Seq
	all, err = b.view(ctx, c).audible(some)
	return all, next, err
}

// EventsAfter reads the feed for those who keep it for others: all of it, whoever
// may hear it. Ask Hears before anything of it is told.
func EventsAfter(ctx context.Context, r Reader, after int64, limit int) ([]Event, error) {
	return events(r.Events(ctx, after, limit))
}

// Hears returns what says, for as long as nothing changes, which events a caller
// may hear of: those that Feed would list.
func (b *Board) Hears(ctx context.Context, c Call) (func(e *Event) (bool, error), error) {
	x := b.view(ctx, c)
	_, err := x.everywhere()
	return x.hears, err
}

func (x *op) audible(some []Event) (all []Event, err error) {
	for i := range some {
		if ok, err := x.hears(&some[i]); err != nil {
			return nil, err
		} else if ok {
			all = append(all, some[i])
		}
	}
	return all, nil
}

// Newest is the sequence number of the newest event of the workspace; 0: there
// is none.
func (b *Board) Newest(ctx context.Context, c Call) (int64, error) {
	newest, err := b.r.EventsOf(ctx, "workspace/"+c.Workspace, 0, 1)
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Seq, nil
}

// ActivityQuery says which events are asked for; what is empty does not narrow
// it down.
type ActivityQuery struct {
	Project, Task, Agent string // refs
	Types                []string
	Before               int64 // a sequence number: what came before it
	Limit                int   // 50 unless said, at most 200
}

// Activity lists what happened, newest first. more is the Before of what
// follows, 0 if nothing does.
func (b *Board) Activity(ctx context.Context, c Call, q ActivityQuery) (all []Event, more int64, err error) {
	x := b.view(ctx, c)
	topic := "workspace/" + x.Workspace
	if q.Project != "" {
		p, err := x.seeProject(q.Project)
		if err != nil {
			return nil, 0, err
		}
		q.Project, topic = p.ID, "project/"+p.ID
	}
	if q.Agent != "" {
		a, err := x.seeAgent(q.Agent)
		if err != nil {
			return nil, 0, err
		}
		q.Agent, topic = a.ID, "agent/"+a.ID
	}
	if q.Task != "" {
		t, err := x.see(q.Task)
		if err != nil {
			return nil, 0, err
		}
		q.Task, topic = t.ID, "task/"+t.ID
	}
	n, before := pageLength(q.Limit), q.Before
	for seen := 0; seen < mostSeen; {
		some, err := events(b.r.EventsOf(ctx, topic, before, mostRows))
		if err != nil {
			return nil, 0, err
		}
		for i := range some {
			e := &some[i]
			seen++
			if before = e.Seq; q.passes(e) {
				if ok, err := x.hears(e); err != nil {
					return nil, 0, err
				} else if ok {
					all = append(all, *e)
				}
			}
			if len(all) == n {
				return all, before, nil
			}
		}
		if len(some) < mostRows {
			return all, 0, nil
		}
	}
	return all, before, nil
}

func (q *ActivityQuery) passes(e *Event) bool {
	return (q.Project == "" || e.Project == q.Project) && (q.Task == "" || e.Task == q.Task) && (q.Agent == "" || e.Agent == q.Agent) &&
		(len(q.Types) == 0 || slices.ContainsFunc(q.Types, e.Is))
}

// Is reports whether an event is of a type, or of one with that beginning if it
// ends with "*".
func (e *Event) Is(kind string) bool {
	n := len(kind) - 1
	return e.Type == kind || n >= 0 && kind[n] == '*' && len(e.Type) >= n && e.Type[:n] == kind[:n]
}

// pageLength is how many rows a page has.
func pageLength(n int) int {
	if n <= 0 {
		return usualRows
	}
	return min(n, mostRows)
}
