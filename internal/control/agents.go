package control

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

var name = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
var projectKey = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,9}$`)

// ranks of roles: what one may, those above it may too, with one exception:
// members edit machines and reviewers do not, which is not the board's.
var ranks = map[Role]int{Viewer: 1, Member: 2, Reviewer: 3, Admin: 4, Owner: 5}

// role is what a user may do in a project.
func (x *op) role(user, project string) (Role, error) {
	u, err := get[Person](x, user)
	if err != nil || u.Removed {
		return "", err
	}
	best := u.Role
	if project != "" {
		p, err := get[Project](x, project)
		if err != nil {
			return "", err
		}
		if r := p.Members[user]; ranks[r] > ranks[best] {
			best = r
		}
		if p.Owner == User(user) {
			best = Owner
		}
	}
	return best, nil
}

// need refuses a caller who may not do something in a project: read, comment
// (and create tasks), edit (any task, not only an own one), manage (agents and
// projects) or own. To whom the project is closed it is not there.
func (x *op) need(project, what string) error {
	kind, id := x.By.Split()
	switch kind {
	case "system":
		return nil
	case "agent":
		a, err := get[Agent](x, id)
		if err != nil {
			return err
		}
		if a.Admin == Retired {
			return refuse(AgentNotActive, map[string]any{"admin": a.Admin}, "@%s is retired", a.Slug)
		}
		if project != "" && !slices.Contains(a.Projects, project) {
			return refuse(NotFound, nil, "@%s has no such project", a.Slug)
		}
		if project != "" && (what == "read" || what == "comment" || what == "edit" && a.Role == "lead") {
			return nil
		}
		return refuse(Forbidden, nil, "@%s may not %s here", a.Slug, what)
	case "user":
		r, err := x.role(id, project)
		if err != nil {
			return err
		}
		least := map[string]Role{"read": Viewer, "comment": Member, "edit": Admin, "manage": Admin, "own": Owner}[what]
		if r != "" && ranks[r] >= ranks[least] {
			return nil
		}
		if r == "" && project != "" {
			return refuse(NotFound, nil, "there is no such project") // for all that they may know
		}
		return refuse(Forbidden, map[string]any{"role": r, "needs": least}, "that takes the role %s, and yours is %q", least, r)
	case "service":
		if scope := scopes[what]; scope != "" && slices.Contains(x.Scopes, scope) {
			return nil
		}
		return refuse(Forbidden, map[string]any{"scopes": x.Scopes}, "the key has not the scope for that")
	}
	return refuse(Forbidden, nil, "%q is nobody who may do that", x.By)
}

// needEdit refuses a caller who may not change a task: what is a member's own
// or nobody's may be changed by members, what an agent works on by that agent.
func (x *op) needEdit(t *Task) error {
	err := x.need(t.Project, "edit")
	if !Is(err, Forbidden) {
		return err
	}
	own := x.By.isUser() && (t.Assignee == x.By || t.Assignee == "" || t.CreatedBy == x.By)
	if x.By.isAgent() {
		l, holds := get[Lease](x, t.ID)
		if holds != nil && !Is(holds, NotFound) {
			return holds
		}
		own = holds == nil && l.Holder == x.By
	}
	if own {
		return x.need(t.Project, "comment")
	}
	return err
}

func (x *op) needManage(a *Agent) error {
	for _, p := range a.Projects {
		if err := x.need(p, "manage"); err == nil {
			return nil
		}
	}
	return x.need("", "manage")
}

// agentCaller is the agent who asks.
func (x *op) agentCaller() (*Agent, error) {
	if !x.By.isAgent() {
		return nil, refuse(Forbidden, nil, "that is for agents")
	}
	return get[Agent](x, x.By.id())
}

// agent finds an agent by its slug, with or without @, or its id.
func (x *op) agent(ref string) (*Agent, error) {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "@"), "agent:")
	found, err := list[Agent](x, "slug/"+x.Workspace+"/"+ref, 1)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 && found[0].Slug == ref {
		return found[0], nil
	}
	return get[Agent](x, ref)
}

// user finds a user by name, with or without @, or id.
func (x *op) user(ref string) (*Person, error) {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "@"), "user:")
	found, err := list[Person](x, "name/"+x.Workspace+"/"+ref, 1)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 && found[0].Name == ref {
		return found[0], nil
	}
	return get[Person](x, ref)
}

// project finds a project by its key or id.
func (x *op) project(ref string) (*Project, error) {
	found, err := list[Project](x, "key/"+x.Workspace+"/"+ref, 1)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 && found[0].Key == ref {
		return found[0], nil
	}
	return get[Project](x, ref)
}

// party finds who is meant: a user or agent by id or name, or a role.
func (x *op) party(p Party) (Party, error) {
	kind, id := p.Split()
	switch {
	case p == "lead":
		return p, nil
	case kind == "role":
		if ranks[Role(id)] == 0 {
			return "", invalid("there is no role %q", id)
		}
		return p, nil
	case kind == "agent":
		a, err := x.agent(id)
		if err != nil {
			return "", err
		}
		return AgentParty(a.ID), nil
	case kind == "user":
		u, err := x.user(id)
		if err != nil {
			return "", err
		}
		return User(u.ID), nil
	}
	if a, err := x.agent(string(p)); err == nil {
		return AgentParty(a.ID), nil
	} else if !Is(err, NotFound) {
		return "", err
	}
	u, err := x.user(string(p))
	if Is(err, NotFound) {
		return "", invalid("%q is neither an agent nor a user", p)
	}
	if err != nil {
		return "", err
	}
	return User(u.ID), nil
}

// active lists the users and agents that a party stands for and that can act
// in the project now.
func (x *op) active(p Party, project string) (all []Party, err error) {
	kind, id := p.Split()
	switch kind {
	case "user":
		r, err := x.role(id, project)
		if err == nil && r != "" {
			all = append(all, p)
		}
		return all, ignore(err, NotFound)
	case "agent":
		a, err := get[Agent](x, id)
		if err == nil && a.Admin != Retired && slices.Contains(a.Projects, project) {
			all = append(all, p)
		}
		return all, ignore(err, NotFound)
	case "role":
		users, err := list[Person](x, "name/"+x.Workspace+"/", many)
		for _, u := range users {
			r, err := x.role(u.ID, project)
			if err != nil {
				return nil, err
			}
			if ranks[r] >= ranks[Role(id)] {
				all = append(all, User(u.ID))
			}
		}
		return all, err
	case "lead":
		agents, err := list[Agent](x, "project/"+project, many)
		for _, a := range agents {
			if a.Role == "lead" && a.Admin != Retired {
				all = append(all, AgentParty(a.ID))
			}
		}
		return all, err
	}
	return nil, nil
}

func ignore(err error, code Code) error {
	if Is(err, code) {
		return nil
	}
	return err
}

// notice addresses a notification to the users among the parties, or to the
// project's owner if there are none.
func (x *op) notice(project, kind, key string, to ...Party) (*Notice, error) {
	n := &Notice{Type: kind, Key: kind + "/" + key}
	for _, p := range to {
		all, err := x.active(p, project)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.isUser() && !slices.Contains(n.To, p) {
				n.To = append(n.To, p)
			}
		}
	}
	if len(n.To) == 0 {
		p, err := get[Project](x, project)
		if err != nil {
			return nil, err
		}
		n.To = []Party{p.Owner}
	}
	return n, nil
}

// CreateWorkspace makes a tenant with its first user, its owner.
func (b *Board) CreateWorkspace(ctx context.Context, c Call, title, owner string) (*Workspace, *Person, error) {
	var u *Person
	w, err := write(ctx, b, c, "workspace", func(x *op) (*Workspace, error) {
		if x.By != System {
			return nil, refuse(Forbidden, nil, "workspaces are made by the server")
		}
		w := &Workspace{Name: title}
		w.ID = c.Workspace
		if w.ID == "" {
			w.ID = b.ids.next(x.At)
		}
		if _, err := get[Workspace](x, w.ID); !Is(err, NotFound) {
			return nil, cmp.Or(err, refuse(AlreadyExists, nil, "the workspace %s is there", w.ID))
		}
		w.Workspace, x.Workspace = w.ID, w.ID
		x.add(w)
		u = &Person{Name: owner, Role: Owner}
		return w, x.addUser(u)
	})
	return w, u, err
}

func (x *op) addUser(u *Person) error {
	if err := x.freeName(u.Name); err != nil {
		return err
	}
	if u.Role != "" && ranks[u.Role] == 0 {
		return invalid("there is no role %q", u.Role)
	}
	x.add(u)
	return x.emit(Event{Type: "user.created", Data: map[string]any{"user": u.ID, "name": u.Name, "role": u.Role}})
}

// freeName refuses a name that is taken by a user or an agent, so that an
// @name is never ambiguous.
func (x *op) freeName(n string) error {
	if !name.MatchString(n) {
		return invalid("%q is no name: use a-z, 0-9, _, . and -", n)
	}
	if _, err := x.agent(n); !Is(err, NotFound) {
		return cmp.Or(err, refuse(AlreadyExists, nil, "@%s is taken by an agent", n))
	}
	if _, err := x.user(n); !Is(err, NotFound) {
		return cmp.Or(err, refuse(AlreadyExists, nil, "@%s is taken by a user", n))
	}
	return nil
}

// NewUser is what CreateUser wants.
type NewUser struct {
	Name, Display, Email string
	Role                 Role
}

// CreateUser adds a human to the workspace. Without a role they see nothing
// until a project has them as a member.
func (b *Board) CreateUser(ctx context.Context, c Call, in NewUser) (*Person, error) {
	return write(ctx, b, c, "user", func(x *op) (*Person, error) {
		if err := x.need("", "own"); err != nil {
			return nil, err
		}
		u := &Person{Name: in.Name, Display: in.Display, Email: in.Email, Role: in.Role}
		return u, x.addUser(u)
	})
}

// SetRole changes what a user may do in the whole workspace or, with a project,
// there. An empty role in a project takes the membership away.
func (b *Board) SetRole(ctx context.Context, c Call, user, project string, role Role) error {
	_, err := write(ctx, b, c, "role", func(x *op) (struct{}, error) {
		u, err := x.user(user)
		if err != nil {
			return struct{}{}, err
		}
		if role != "" && ranks[role] == 0 || role == "" && project == "" {
			return struct{}{}, invalid("there is no role %q", role)
		}
		e := Event{Type: "user.role", Data: map[string]any{"user": u.ID, "role": role}}
		if project == "" {
			if err := x.need("", "own"); err != nil {
				return struct{}{}, err
			}
			if role != Owner {
				if err := x.keepOwner(u); err != nil {
					return struct{}{}, err
				}
			}
			u.Role = role
			x.put(u)
		} else {
			p, err := x.project(project)
			if err != nil {
				return struct{}{}, err
			}
			if err := x.need(p.ID, "own"); err != nil {
				return struct{}{}, err
			}
			if p.Members == nil {
				p.Members = map[string]Role{}
			}
			p.Members[u.ID] = role
			if role == "" {
				delete(p.Members, u.ID)
			}
			x.put(p)
			e.Project = p.ID
		}
		if err := x.emit(e); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, x.checkReviews()
	})
	return err
}

// RemoveUser takes a user out of the workspace. Their tasks go back to the
// inbox, their reviews to the projects' owners. Who owns a project is not
// removed: give it to another first.
func (b *Board) RemoveUser(ctx context.Context, c Call, user string) error {
	_, err := write(ctx, b, c, "remove_user", func(x *op) (struct{}, error) {
		if err := x.need("", "own"); err != nil {
			return struct{}{}, err
		}
		u, err := x.user(user)
		if err != nil {
			return struct{}{}, err
		}
		if err := x.keepOwner(u); err != nil {
			return struct{}{}, err
		}
		projects, err := list[Project](x, "key/"+x.Workspace+"/", many)
		if err != nil {
			return struct{}{}, err
		}
		for _, p := range projects {
			if p.Owner == User(u.ID) {
				return struct{}{}, refuse(ProjectNeedsAnOwner, map[string]any{"project": p.Key}, "@%s owns the project %s: give it another owner first", u.Name, p.Key)
			}
		}
		u.Removed = true
		x.put(u)
		if err := x.emit(Event{Type: "user.removed", Data: map[string]any{"user": u.ID}}); err != nil {
			return struct{}{}, err
		}
		tasks, err := list[Task](x, "assignee/"+string(User(u.ID))+"/", many)
		if err != nil {
			return struct{}{}, err
		}
		for _, t := range tasks {
			if t.State == InProgress {
				if _, err := x.endLease(t, "released", nil); err != nil {
					return struct{}{}, err
				}
				if err := x.move(t, Release, Assigned, nil); err != nil {
					return struct{}{}, err
				}
			}
			if t.State == Assigned {
				t.Assignee = ""
				if err := x.move(t, Unassign, Inbox, nil); err != nil {
					return struct{}{}, err
				}
			}
		}
		return struct{}{}, x.checkReviews()
	})
	return err
}

// NewProject is what CreateProject wants.
type NewProject struct {
	Key, Name string
	Owner     Party // a user; the caller unless said
	Policies  Policies
}

// CreateProject makes a board.
func (b *Board) CreateProject(ctx context.Context, c Call, in NewProject) (*Project, error) {
	return write(ctx, b, c, "project", func(x *op) (*Project, error) {
		if err := x.need("", "manage"); err != nil {
			return nil, err
		}
		if !projectKey.MatchString(in.Key) {
			return nil, invalid("%q is no key of a project: use up to ten of A-Z and 0-9, a letter first", in.Key)
		}
		if _, err := x.project(in.Key); !Is(err, NotFound) {
			return nil, cmp.Or(err, refuse(AlreadyExists, nil, "there is a project %s", in.Key))
		}
		if err := in.Policies.check(); err != nil {
			return nil, err
		}
		p := &Project{Key: in.Key, Name: in.Name, Policies: in.Policies.withDefaults(), Next: 1}
		owner, err := x.projectOwner(cmp.Or(in.Owner, x.By))
		if err != nil {
			return nil, err
		}
		p.Owner = owner
		if p.Policies.Reviewers, err = x.parties(p.Policies.Reviewers); err != nil {
			return nil, err
		}
		x.add(p)
		return p, x.emit(Event{Type: "project.created", Project: p.ID, Data: map[string]any{"key": p.Key}})
	})
}

func (x *op) projectOwner(ref Party) (Party, error) {
	owner, err := x.party(ref)
	if err != nil {
		return "", err
	}
	if !owner.isUser() {
		return "", invalid("a project is owned by a user, not by %s", ref)
	}
	u, err := get[Person](x, owner.id())
	if err == nil && u.Removed {
		err = invalid("@%s has been removed", u.Name)
	}
	return owner, err
}

func (x *op) parties(refs []Party) (all []Party, err error) {
	for _, ref := range refs {
		p, err := x.party(ref)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}

// UpdateProject changes what is given of a project.
func (b *Board) UpdateProject(ctx context.Context, c Call, project string, change struct {
	Name     *string
	Owner    Party
	Policies *Policies
}) (*Project, error) {
	return write(ctx, b, c, "update_project", func(x *op) (*Project, error) {
		p, err := x.project(project)
		if err != nil {
			return nil, err
		}
		if err := cmp.Or(x.need(p.ID, "manage"), x.same(p)); err != nil {
			return nil, err
		}
		if change.Name != nil {
			p.Name = *change.Name
		}
		if change.Owner != "" {
			if err := x.need(p.ID, "own"); err != nil {
				return nil, err
			}
			if p.Owner, err = x.projectOwner(change.Owner); err != nil {
				return nil, err
			}
		}
		if change.Policies != nil {
			if err := change.Policies.check(); err != nil {
				return nil, err
			}
			p.Policies = change.Policies.withDefaults()
			if p.Policies.Reviewers, err = x.parties(p.Policies.Reviewers); err != nil {
				return nil, err
			}
		}
		x.put(p)
		if err := x.listenAll(p.ID); err != nil {
			return nil, err
		}
		return p, x.emit(Event{Type: "project.updated", Project: p.ID})
	})
}

// same refuses when the caller saw another version of e.
func (x *op) same(e entity) error {
	if v := e.header().Version; x.Version != 0 && x.Version != v {
		return refuse(VersionConflict, map[string]any{"version": v}, "it is at version %d now, not %d", v, x.Version)
	}
	return nil
}

// NewAgent is what CreateAgent wants.
type NewAgent struct {
	Slug, Name, Role string // role: worker unless said
	Capabilities     []string
	Projects         []string // keys or ids
	Runtime          string
	Connection       json.RawMessage
	Push             bool
	Slots            int // 1 unless said
}

// runtimes are what an agent may run in.
var runtimes = []string{"openclaw", "claude_code", "codex", "http", "custom"}

// CreateAgent registers an automated worker.
func (b *Board) CreateAgent(ctx context.Context, c Call, in NewAgent) (*Agent, error) {
	return write(ctx, b, c, "agent", func(x *op) (*Agent, error) {
		if err := x.freeName(in.Slug); err != nil {
			return nil, err
		}
		a := &Agent{Slug: in.Slug, Name: in.Name, Role: cmp.Or(in.Role, "worker"), Capabilities: in.Capabilities,
			Runtime: cmp.Or(in.Runtime, "custom"), Connection: in.Connection, Push: in.Push, Slots: max(in.Slots, 1), Admin: Active}
		for _, ref := range in.Projects {
			p, err := x.seeProject(ref)
			if err != nil {
				return nil, err
			}
			if err := x.need(p.ID, "manage"); err != nil {
				return nil, err
			}
			if !slices.Contains(a.Projects, p.ID) {
				a.Projects = append(a.Projects, p.ID)
			}
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		if len(a.Projects) == 0 {
			if err := x.need("", "manage"); err != nil {
				return nil, err
			}
		}
		silence, err := x.limit(a)
		if err != nil {
			return nil, err
		}
		x.add(a)
		x.add(&signal{base: base{ID: a.ID}, Limit: silence, Label: "never_seen", Since: x.At})
		x.touchAgent(a.ID)
		return a, x.emit(Event{Type: "agent.created", Agent: a.ID, Data: map[string]any{"slug": a.Slug}})
	})
}

// Pause keeps an agent from beginning anything; what it works on it may end.
// why is manual, budget or failures.
func (b *Board) Pause(ctx context.Context, c Call, agent, why string) (*Agent, error) {
	return b.administer(ctx, c, agent, Paused, cmp.Or(why, "manual"))
}

// Resume lets a paused agent go on, and wakes it for what has waited.
func (b *Board) Resume(ctx context.Context, c Call, agent string) (*Agent, error) {
	return b.administer(ctx, c, agent, Active, "")
}

// Retire ends an agent for good. Its leases run out; its reviews go to others.
func (b *Board) Retire(ctx context.Context, c Call, agent string) (*Agent, error) {
	return b.administer(ctx, c, agent, Retired, "")
}

func (b *Board) administer(ctx context.Context, c Call, agent string, to AgentAdmin, why string) (*Agent, error) {
	return write(ctx, b, c, "administer_"+string(to), func(x *op) (*Agent, error) {
		a, err := x.agent(agent)
		if err != nil {
			return nil, err
		}
		if err := cmp.Or(x.needManage(a), x.same(a)); err != nil {
			return nil, err
		}
		if a.Admin == Retired {
			return nil, refuse(AgentNotActive, map[string]any{"admin": a.Admin}, "@%s is retired", a.Slug)
		}
		return a, x.admin(a, to, why)
	})
}

func (x *op) admin(a *Agent, to AgentAdmin, why string) error {
	a.Admin, a.PauseReason, a.PausedBy = to, why, ""
	if to == Paused {
		a.PausedBy = x.By
	} else {
		a.Failures = 0
	}
	x.put(a)
	x.touchAgent(a.ID)
	if err := x.emit(Event{Type: "agent." + string(to), Agent: a.ID, Data: map[string]any{"reason": why}}); err != nil {
		return err
	}
	if to == Retired {
		return x.checkReviews()
	}
	return nil
}

// BudgetChanged has the board look again at an agent whose budget has: what was
// held back goes out, or is held back.
func (b *Board) BudgetChanged(ctx context.Context, c Call, agent string) error {
	_, err := write(ctx, b, c, "budget", func(x *op) (struct{}, error) {
		a, err := x.agent(agent)
		if err == nil {
			x.touchAgent(a.ID)
		}
		return struct{}{}, err
	})
	return err
}

// Signal notes a sign of life of the calling agent.
func (b *Board) Signal(ctx context.Context, c Call) error {
	_, err := write(ctx, b, c, "signal", func(x *op) (struct{}, error) {
		a, err := x.agentCaller()
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, x.seen(a.ID)
	})
	return err
}

func (s *signal) offlineAt() time.Time { return s.At.Add(time.Duration(s.Limit) * time.Second) }

// seen notes a sign of life. Signs come all the time; one is written down when
// the last one is a while ago.
func (x *op) seen(agent string) error {
	s, err := get[signal](x, agent)
	if err != nil {
		return err
	}
	if s.Active && x.At.Sub(s.At) < 15*time.Second {
		return nil
	}
	back := s.At.IsZero() || !x.At.Before(s.offlineAt())
	if s.First.IsZero() {
		s.First = x.At
	}
	s.At, s.Active = x.At, true
	x.put(s)
	x.touchAgent(agent)
	if !back {
		return nil
	}
	// It gets what it missed.
	lost, err := list[Wakeup](x, "failed/"+agent, many)
	for _, w := range lost {
		w.Tries, w.Offers, w.NotBefore = 0, w.Offers+1, time.Time{}
		x.skip(w, "at_capacity", !w.Offer)
		if w.Task != "" && !slices.Contains(x.tasks, w.Task) {
			x.tasks = append(x.tasks, w.Task)
		}
	}
	return err
}

// AgentStatus is what can be seen of an agent. It is derived from who may let
// it work, when it was last heard of and what it holds; nobody sets it.
type AgentStatus struct {
	Label        string     `json:"label"` // retired, paused, never_seen, offline, blocked, working or idle
	Admin        AgentAdmin `json:"admin"`
	Connectivity string     `json:"connectivity"` // online, offline or never_seen
	Activity     string     `json:"activity"`     // working, blocked or idle
	Stalled      bool       `json:"stalled,omitempty"`
	Failing      bool       `json:"failing,omitempty"`
	FirstSeen    time.Time  `json:"first_seen,omitzero"` // zero: it was never heard of
	LastSignal   time.Time  `json:"last_signal,omitzero"`
	Working      []string   `json:"working,omitempty"` // keys of tasks
}

func (x *op) status(a *Agent) (st AgentStatus, err error) {
	s, err := get[signal](x, a.ID)
	if err != nil {
		return st, err
	}
	st.Admin, st.FirstSeen, st.LastSignal, st.Connectivity, st.Activity = a.Admin, s.First, s.At, "online", "idle"
	switch {
	case s.At.IsZero():
		st.Connectivity = "never_seen"
	case !x.At.Before(s.offlineAt()):
		st.Connectivity = "offline"
	}
	held, err := list[Lease](x, "holder/"+string(AgentParty(a.ID)), many)
	if err != nil {
		return st, err
	}
	for _, l := range held {
		if !l.ExpiresAt.IsZero() && !x.At.Before(l.ExpiresAt) {
			continue // lost, only nobody has swept it up yet
		}
		t, err := get[Task](x, l.ID)
		if err != nil {
			return st, err
		}
		st.Working = append(st.Working, t.Key)
		st.Activity = "working"
		st.Stalled = st.Stalled || !l.StallAt.IsZero() && !x.At.Before(l.StallAt)
	}
	if len(held) == 0 {
		stuck, err := list[Task](x, "assignee/"+string(AgentParty(a.ID))+"/"+string(Blocked)+"/", 1)
		if err != nil {
			return st, err
		}
		if len(stuck) > 0 {
			st.Activity = "blocked"
		}
	}
	k, err := x.failingAfter(a)
	if err != nil {
		return st, err
	}
	st.Failing = a.Failures >= k
	switch {
	case a.Admin != Active:
		st.Label = string(a.Admin)
	case st.Connectivity == "offline":
		st.Label = "offline"
	case st.Connectivity == "never_seen" && st.Activity == "idle":
		st.Label = "never_seen"
	default:
		st.Label = st.Activity
	}
	return st, nil
}

// settleStatus tells of a status that is another than the one last told.
func (x *op) settleStatus(a *Agent) error {
	st, err := x.status(a)
	if err != nil {
		return err
	}
	s, err := get[signal](x, a.ID)
	if err != nil || s.Label == st.Label {
		return err
	}
	e := Event{Type: "agent.status", Agent: a.ID, Data: map[string]any{"from": s.Label, "to": st.Label}}
	if st.Label == "offline" && len(a.Projects) > 0 {
		if e.Notify, err = x.notice(a.Projects[0], "agent_offline", a.ID+"/"+stamp(x.At), ""); err != nil {
			return err
		}
	}
	s.Label, s.Since = st.Label, x.At
	x.put(s)
	return x.emit(e)
}
