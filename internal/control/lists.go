package control

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	usualRows = 50
	mostRows  = 200
	mostSeen  = 2000 // records that a page looks at before it ends early
	mostLists = 1000 // lists that are merged into one: states of projects
)

// Page is a part of a list. A list gives the cursor of the next part, "" after
// the last. A page may be shorter than its limit, even empty, and still have a
// next one: it ends early when it has looked at much and found little.
type Page struct {
	Limit  int // 50 unless said, at most 200
	Cursor string
}

// place is where a page ended: by what its list is sorted, and the id of its
// last record.
type place struct{ Key, ID string }

func (p place) String() string {
	text, _ := json.Marshal(p) // two texts
	return base64.RawURLEncoding.EncodeToString(text)
}

// source is what is left of the records under a prefix.
type source struct {
	prefix string
	ahead  []store.Found
	query  store.RecordQuery
	done   bool
}

func (s *source) fill(x *op) error {
	for len(s.ahead) == 0 && !s.done {
		found, err := x.r.Records(x.ctx, s.query)
		if err != nil {
			return err
		}
		s.ahead, s.done = found, len(found) < s.query.Limit
		if n := len(found); n > 0 {
			s.query.From, s.query.AfterID = found[n-1].Key, found[n-1].ID
		}
		s.query.Limit = min(2*s.query.Limit, 50)
	}
	return nil
}

// head is where the next record stands.
func (s *source) head() place { return place{s.ahead[0].Key[len(s.prefix):], s.ahead[0].ID} }

// pages goes through the records under prefixes, which are one list sorted by
// what follows the prefix. keep makes a row of a record, or passes it over.
func pages[E any, P interface {
	*E
	entity
}, R any](x *op, prefixes []string, page Page, keep func(P) (row R, is bool, err error)) ([]R, string, error) {
	rows := []R{}
	var from place
	if page.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(page.Cursor)
		if err != nil || json.Unmarshal(text, &from) != nil || from.ID == "" {
			return nil, "", invalid("the cursor is not one of this list")
		}
	}
	if len(prefixes) > mostLists {
		return nil, "", invalid("that is too much for one list: name a project")
	}
	kind, n := P(new(E)).kind(), pageLength(page.Limit)
	var sources []*source
	for _, prefix := range prefixes {
		s := &source{prefix: prefix, query: store.Prefix(kind, prefix, max(4, min(50, 2*n/len(prefixes))))}
		if from.ID != "" {
			s.query.From, s.query.AfterID = prefix+from.Key, from.ID
		}
		sources = append(sources, s)
	}
	last := from
	for seen := 0; ; seen++ {
		var first *source
		for _, s := range sources {
			if err := s.fill(x); err != nil {
				return nil, "", err
			}
			if len(s.ahead) > 0 && (first == nil || cmp.Or(cmp.Compare(s.head().Key, first.head().Key), cmp.Compare(s.head().ID, first.head().ID)) < 0) {
				first = s
			}
		}
		if first == nil {
			return rows, "", nil
		}
		if len(rows) == n || seen == mostSeen {
			return rows, last.String(), nil
		}
		last = first.head()
		p, err := decode[E, P](x, first.ahead[0].Record)
		if err != nil {
			return nil, "", err
		}
		first.ahead = first.ahead[1:]
		row, is, err := keep(p)
		if err != nil {
			return nil, "", err
		}
		if is {
			rows = append(rows, row)
		}
	}
}

// Projects lists the projects that the caller may read, by their keys.
func (b *Board) Projects(ctx context.Context, c Call, page Page) ([]*Project, string, error) {
	x := b.view(ctx, c)
	return pages(x, []string{"key/" + x.Workspace + "/"}, page, func(p *Project) (*Project, bool, error) {
		ok, err := x.sees(p.ID)
		return p, ok, err
	})
}

// AgentQuery narrows down a list of agents.
type AgentQuery struct {
	Project string // its key or id; "": any
	Status  string // a label, such as working; "": any
	Page
}

// AgentRow is an agent with what can be seen of it.
type AgentRow struct {
	*Agent
	Status AgentStatus `json:"status"`
}

// Agents lists the agents that the caller may see, by their slugs.
func (b *Board) Agents(ctx context.Context, c Call, q AgentQuery) ([]AgentRow, string, error) {
	x := b.view(ctx, c)
	if q.Project != "" {
		p, err := x.seeProject(q.Project)
		if err != nil {
			return nil, "", err
		}
		q.Project = p.ID
	}
	return pages(x, []string{"slug/" + x.Workspace + "/"}, q.Page, func(a *Agent) (row AgentRow, is bool, err error) {
		if q.Project != "" && !slices.Contains(a.Projects, q.Project) {
			return row, false, nil
		}
		if ok, err := x.knows(a); !ok || err != nil {
			return row, false, err
		}
		if row.Status, err = x.shownStatus(a); err != nil {
			return row, false, err
		}
		row.Agent, err = x.shown(a)
		return row, q.Status == "" || row.Status.Label == q.Status, err
	})
}

// AgentWithStatus finds an agent by slug or id, with what can be seen of it.
func (b *Board) AgentWithStatus(ctx context.Context, c Call, ref string) (row AgentRow, err error) {
	x := b.view(ctx, c)
	a, err := x.seeAgent(ref)
	if err != nil {
		return row, err
	}
	if row.Status, err = x.shownStatus(a); err != nil {
		return row, err
	}
	row.Agent, err = x.shown(a)
	return row, err
}

// Users lists the users that the caller may see, by their names.
func (b *Board) Users(ctx context.Context, c Call, page Page) ([]*Person, string, error) {
	x := b.view(ctx, c)
	return pages(x, []string{"name/" + x.Workspace + "/"}, page, func(u *Person) (*Person, bool, error) {
		ok, err := x.knowsUser(u)
		return x.shownUser(u), ok && !u.Removed, err
	})
}

// Sort is the order of a list of tasks.
type Sort string

// The orders.
const (
	ByPriority Sort = "priority" // as they are to be begun: priority, due date, rank, age
	ByRank     Sort = "rank"     // as people put them, then by age
	ByUpdate   Sort = "updated"  // the last changed first
)

// TaskQuery narrows down a list of tasks; what is empty does not.
type TaskQuery struct {
	Project      string // its key or id
	States       []State
	Assignee     Party // "me" is the caller; "none": nobody
	Reviewer     Party // who is asked to accept it, or will be
	Label        string
	Gate         string // open or closed: of tasks that have not begun
	Execution    string // whose states wait for it
	Machine      string // the name of a machine whose executions it is for: plain, of any account, or with an account and a colon in front
	Parent       string // its key or id
	UpdatedSince time.Time
	Q            string // words of key, title, labels or description
	Sort         Sort   // ByPriority unless said
	Cards        bool   // with what a board shows of each
	Page
}

// TaskRow is a task in a list: without description, input, output and schema,
// which may be long.
type TaskRow struct {
	*Task
	Gate *Gate `json:"gate,omitempty"` // of tasks that have not begun
	Card *Card `json:"card,omitempty"` // if it was asked for
}

// Tasks lists the tasks that the caller may read.
func (b *Board) Tasks(ctx context.Context, c Call, q TaskQuery) ([]TaskRow, string, error) {
	x := b.view(ctx, c)
	prefixes, err := x.tasksUnder(&q)
	if err != nil {
		return nil, "", err
	}
	past := q.Sort == ByUpdate && !q.UpdatedSince.IsZero()
	rows, next, err := pages(x, prefixes, q.Page, func(t *Task) (row TaskRow, is bool, err error) {
		if ok, err := x.fits(t, &q); !ok || err != nil {
			return row, false, err
		}
		short := *t
		short.Description, short.Input, short.Output, short.OutputSchema = "", nil, nil, nil
		row.Task = &short
		if t.State == Inbox || t.State == Assigned {
			g, err := x.gate(t)
			if err != nil {
				return row, false, err
			}
			row.Gate = &g
		}
		if q.Gate != "" && (row.Gate == nil || row.Gate.Open != (q.Gate == "open")) {
			return row, false, nil
		}
		if q.Cards {
			row.Card, err = x.card(t)
		}
		return row, true, err
	})
	if past && len(rows) == 0 {
		next = "" // the rest is older still
	}
	return rows, next, err
}

// tasksUnder checks a query, finds whom and what it names, and says under which
// keys the tasks are.
func (x *op) tasksUnder(q *TaskQuery) (prefixes []string, err error) {
	q.Sort = cmp.Or(q.Sort, ByPriority)
	switch {
	case q.Sort != ByPriority && q.Sort != ByRank && q.Sort != ByUpdate:
		return nil, invalid("tasks are sorted by priority, rank or updated, not by %q", q.Sort)
	case q.Gate != "" && q.Gate != "open" && q.Gate != "closed":
		return nil, invalid("a gate is open or closed, not %q", q.Gate)
	}
	for _, s := range q.States {
		if !slices.Contains(States(), s) {
			return nil, invalid("there is no status %q; there are %v", s, States())
		}
	}
	if len(q.States) == 0 {
		q.States = States()
	}
	projects, err := x.scope()
	if err != nil {
		return nil, err
	}
	if q.Project != "" {
		p, err := x.seeProject(q.Project)
		if err != nil {
			return nil, err
		}
		q.Project, projects = p.ID, []string{p.ID}
	}
	for _, who := range []*Party{&q.Assignee, &q.Reviewer} {
		if *who, err = x.named(*who); err != nil {
			return nil, err
		}
	}
	if q.Parent != "" {
		t, err := x.see(q.Parent)
		if err != nil {
			return nil, err
		}
		q.Parent = t.ID
		return []string{"parent/" + t.ID}, nil
	}
	if q.Execution != "" {
		return []string{"source/" + q.Execution + "/"}, nil
	}
	if q.Sort == ByUpdate {
		for _, p := range projects {
			prefixes = append(prefixes, "updated/"+p+"/")
		}
		return prefixes, nil
	}
	for _, s := range slices.Compact(slices.Sorted(slices.Values(q.States))) {
		if q.Assignee != "" && q.Assignee != "none" && q.Sort == ByPriority {
			prefixes = append(prefixes, "assignee/"+string(q.Assignee)+"/"+string(s)+"/")
			continue
		}
		under := map[Sort]string{ByPriority: "project/", ByRank: "rank/"}[q.Sort]
		for _, p := range projects {
			prefixes = append(prefixes, under+p+"/"+string(s)+"/")
		}
	}
	return prefixes, nil
}

// named finds the user or agent that a filter names; "me" is the caller.
func (x *op) named(p Party) (Party, error) {
	switch p {
	case "", "none":
		return p, nil
	case "me":
		return x.By, nil
	}
	kind, id := p.Split()
	if kind != "user" {
		a, err := x.seeAgent(strings.TrimPrefix(string(p), "agent:"))
		if err == nil {
			return AgentParty(a.ID), nil
		}
		if kind == "agent" || !Is(err, NotFound) {
			return "", err
		}
		id = string(p)
	}
	u, err := x.seeUser(id)
	if err != nil {
		return "", err
	}
	return User(u.ID), nil
}

// fits reports whether a task is asked for and may be read.
func (x *op) fits(t *Task, q *TaskQuery) (bool, error) {
	switch {
	case q.Project != "" && t.Project != q.Project,
		!slices.Contains(q.States, t.State),
		q.Assignee == "none" && t.Assignee != "",
		q.Assignee != "" && q.Assignee != "none" && t.Assignee != q.Assignee,
		q.Label != "" && !slices.Contains(t.Labels, q.Label),
		q.Parent != "" && t.Parent != q.Parent,
		q.Execution != "" && (t.Source == nil || t.Source.Execution != q.Execution),
		q.Machine != "" && (t.Source == nil || !t.Source.isOf(q.Machine)),
		t.UpdatedAt.Before(q.UpdatedSince):
		return false, nil
	}
	text := strings.ToLower(t.Key + " " + t.Title + "\n" + strings.Join(t.Labels, " ") + "\n" + t.Description)
	for word := range strings.FieldsSeq(strings.ToLower(q.Q)) {
		if !strings.Contains(text, word) {
			return false, nil
		}
	}
	if ok, err := x.sees(t.Project); !ok || err != nil || q.Reviewer == "" {
		return ok, err
	}
	return x.reviewedBy(t, q.Reviewer)
}

// reviewedBy reports whether somebody is asked to accept a task, or will be.
func (x *op) reviewedBy(t *Task, who Party) (bool, error) {
	if t.State == InReview {
		r, err := x.pending(t)
		if err != nil || r == nil {
			return false, err
		}
		all, err := x.deciders(r)
		return slices.Contains(all, who), err
	}
	for _, p := range t.Reviewers {
		all, err := x.active(p, t.Project)
		if err != nil || slices.Contains(all, who) {
			return err == nil, err
		}
	}
	return false, nil
}

// AttemptQuery says whose attempts are asked for, or at what. One of both has to
// be said.
type AttemptQuery struct {
	Agent string // slug or id
	Task  string // key or id
	Page
}

// Attempts lists attempts that the caller may read, the oldest first.
func (b *Board) Attempts(ctx context.Context, c Call, q AttemptQuery) ([]*Attempt, string, error) {
	x := b.view(ctx, c)
	var prefix string
	var by Party
	if q.Agent != "" {
		a, err := x.seeAgent(q.Agent)
		if err != nil {
			return nil, "", err
		}
		by = AgentParty(a.ID)
		prefix = "by/" + string(by)
	}
	if q.Task != "" {
		t, err := x.see(q.Task)
		if err != nil {
			return nil, "", err
		}
		prefix = "task/" + t.ID
	}
	if prefix == "" {
		return nil, "", invalid("say of which agent or task")
	}
	return pages(x, []string{prefix}, q.Page, func(a *Attempt) (*Attempt, bool, error) {
		if by != "" && a.By != by {
			return nil, false, nil
		}
		_, err := x.see(a.Task)
		return a, err == nil, ignore(err, NotFound)
	})
}

// ReviewQuery narrows down a list of reviews; what is empty does not.
type ReviewQuery struct {
	Project string // its key or id
	Status  string // pending (unless said), closed, or one of those a review ends with
	Kind    string
	Page
}

// Reviews lists the reviews that the caller may read, the oldest first.
func (b *Board) Reviews(ctx context.Context, c Call, q ReviewQuery) ([]*Review, string, error) {
	x := b.view(ctx, c)
	q.Status = cmp.Or(q.Status, "pending")
	ends := []string{"approved", "changes_requested", "rejected", "answered", "withdrawn", "expired"}
	under := "closed/"
	switch {
	case q.Status == "pending":
		under = "pending/"
	case q.Status != "closed" && !slices.Contains(ends, q.Status):
		return nil, "", invalid("there is no status %q; there are pending, closed, %s", q.Status, strings.Join(ends, ", "))
	}
	projects, err := x.scope()
	if err != nil {
		return nil, "", err
	}
	if q.Project != "" {
		p, err := x.seeProject(q.Project)
		if err != nil {
			return nil, "", err
		}
		projects = []string{p.ID}
	}
	var prefixes []string
	for _, p := range projects {
		prefixes = append(prefixes, under+p)
	}
	return pages(x, prefixes, q.Page, func(r *Review) (*Review, bool, error) {
		ok, err := x.sees(r.Project)
		return r, ok && (q.Kind == "" || r.Kind == q.Kind) && (q.Status == "closed" || r.Status == q.Status), err
	})
}

// Waiting is a review in somebody's inbox.
type Waiting struct {
	Review *Review `json:"review"`
	Task   *Task   `json:"task,omitempty"`
	Behind int     `json:"behind"` // tasks that wait for this one
}

// passedOn reports whether a party has passed a review on to another who is
// still asked. It may be asked itself all the same, by a role that it has.
func (r *Review) passedOn(by Party, asked []Party) bool {
	for _, d := range slices.Backward(r.Delegations) {
		if d.To == by {
			return false
		}
		if d.From == by {
			return slices.Contains(asked, d.To)
		}
	}
	return false
}

// ReviewInbox lists the pending reviews that the caller is asked to decide and
// has neither snoozed nor passed on: overdue first, then by how much waits
// behind them, then the oldest.
func (b *Board) ReviewInbox(ctx context.Context, c Call, page Page) (inbox []Waiting, next string, err error) {
	x := b.view(ctx, c)
	all, err := list[Review](x, "open/"+x.Workspace+"/", many)
	if err != nil {
		return nil, "", err
	}
	for _, r := range all {
		who, err := x.deciders(r)
		if err != nil {
			return nil, "", err
		}
		if !slices.Contains(who, x.By) || r.Snoozed[x.By.id()].After(x.At) || r.passedOn(x.By, who) {
			continue
		}
		w := Waiting{Review: r}
		if r.Task != "" {
			deps, err := list[Dependency](x, "on/"+r.Task, many)
			if err != nil {
				return nil, "", err
			}
			w.Behind = len(deps)
		}
		inbox = append(inbox, w)
	}
	overdue := func(r *Review) int {
		if !r.DueAt.IsZero() && !x.At.Before(r.DueAt) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(inbox, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(overdue(a.Review), overdue(b.Review)), cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.Review.ID, b.Review.ID))
	})
	if page.Cursor != "" { // its last review; if that is decided meanwhile, from the beginning
		at := slices.IndexFunc(inbox, func(w Waiting) bool { return w.Review.ID == page.Cursor })
		inbox = inbox[at+1:]
	}
	if n := pageLength(page.Limit); len(inbox) > n {
		inbox, next = inbox[:n], inbox[n-1].Review.ID
	}
	for i := range inbox {
		if id := inbox[i].Review.Task; id != "" {
			if inbox[i].Task, err = get[Task](x, id); err != nil {
				return nil, "", err
			}
		}
	}
	return inbox, next, nil
}

// Comments lists a task's thread, the oldest first.
func (b *Board) Comments(ctx context.Context, c Call, task string, page Page) ([]*Comment, string, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, "", err
	}
	return pages(x, []string{"task/" + t.ID + "/"}, page, func(c *Comment) (*Comment, bool, error) { return c, true, nil })
}

// Deliverables lists what was delivered to a task, the oldest first. What is
// longer than 64 KiB has no content here.
func (b *Board) Deliverables(ctx context.Context, c Call, task string, page Page) ([]*Deliverable, string, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, "", err
	}
	return pages(x, []string{"task/" + t.ID}, page, func(d *Deliverable) (*Deliverable, bool, error) {
		short := *d
		if len(short.Content) > 64<<10 {
			short.Content = ""
		}
		return &short, true, nil
	})
}

// Handoffs lists the hand-offs of a task, the oldest first.
func (b *Board) Handoffs(ctx context.Context, c Call, task string, page Page) ([]*Handoff, string, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, "", err
	}
	return pages(x, []string{"task/" + t.ID}, page, func(h *Handoff) (*Handoff, bool, error) { return h, true, nil })
}
