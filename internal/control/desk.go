package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// What people who look at a board and decide reviews want to know beside the
// records themselves.

// Brief is a task in a word.
type Brief struct {
	ID       string `json:"id"`
	Key      string `json:"key"`
	Title    string `json:"title"`
	State    State  `json:"state"`
	Assignee Party  `json:"assignee,omitempty"`
}

func (t *Task) brief() Brief { return Brief{t.ID, t.Key, t.Title, t.State, t.Assignee} }

// Card is what a board shows of a task beside the task.
type Card struct {
	Comments int    `json:"comments,omitempty"`
	Review   string `json:"review,omitempty"` // the id of what is to be decided about it
	Note     *Note  `json:"note,omitempty"`   // the last word of the attempt under way
	Behind   int    `json:"behind,omitempty"` // tasks that wait for it
	Parent   *Brief `json:"parent,omitempty"`
}

func (x *op) card(t *Task) (*Card, error) {
	c := &Card{}
	comments, err := x.r.Records(x.ctx, store.Prefix("comment", "task/"+t.ID+"/", many))
	if err != nil {
		return nil, err
	}
	c.Comments = len(comments)
	if t.State == InReview || t.State == InProgress || t.State == Blocked {
		reviews, err := list[Review](x, "task/"+t.ID, many)
		if err != nil {
			return nil, err
		}
		for _, r := range reviews {
			if r.Status == "pending" {
				c.Review = r.ID
			}
		}
	}
	if t.State == InProgress {
		if l, err := x.lease(t); err != nil {
			return nil, err
		} else if l != nil {
			a, err := get[Attempt](x, l.Attempt)
			if err != nil {
				return nil, err
			}
			if n := len(a.Notes); n > 0 {
				c.Note = &a.Notes[n-1]
			}
		}
	}
	behind, err := x.r.Records(x.ctx, store.Prefix("dependency", "on/"+t.ID, many))
	if err != nil {
		return nil, err
	}
	c.Behind = len(behind)
	if t.Parent != "" {
		if p, err := x.see(t.Parent); err == nil {
			b := p.brief()
			c.Parent = &b
		} else if !Is(err, NotFound) {
			return nil, err
		}
	}
	return c, nil
}

// rankOf is where a new task stands among those that nobody has moved: at the
// end. It has room on both sides, and is not as long as a rank may get.
func rankOf(number int64) string {
	text := strconv.FormatInt(number, 36)
	return "i" + strings.Repeat("0", max(0, 6-len(text))) + text
}

// Counts says how many tasks of a project stand where. States without any are
// not there.
func (b *Board) Counts(ctx context.Context, c Call, project string) (map[State]int, error) {
	x := b.view(ctx, c)
	p, err := x.seeProject(project)
	if err != nil {
		return nil, err
	}
	counts := map[State]int{}
	for _, s := range States() {
		q := store.Prefix("task", "rank/"+p.ID+"/"+string(s)+"/", 1000)
		for {
			found, err := x.r.Records(ctx, q)
			if err != nil {
				return nil, err
			}
			if len(found) > 0 {
				counts[s] += len(found)
			}
			if len(found) < q.Limit {
				break
			}
			q.From, q.AfterID = found[len(found)-1].Key, found[len(found)-1].ID
		}
	}
	return counts, nil
}

// Edge is a dependency between two tasks, by their ids.
type Edge struct {
	Task      string `json:"task"`
	DependsOn string `json:"depends_on"`
	Until     Until  `json:"until"`
	Met       bool   `json:"met"`
}

// Graph is tasks with the dependencies between them.
type Graph struct {
	Tasks []Brief `json:"tasks"`
	Edges []Edge  `json:"edges"`
	More  bool    `json:"more,omitempty"` // there are too many to show all
}

// mostDrawn is how many tasks of a graph are told.
const mostDrawn = 500

// Around is a task with those it waits for and those that wait for it. Tasks
// that the caller may not read are not there.
func (b *Board) Around(ctx context.Context, c Call, task string) (*Graph, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	g := &Graph{Tasks: []Brief{t.brief()}, Edges: []Edge{}}
	for _, prefix := range []string{"task/", "on/"} {
		deps, err := list[Dependency](x, prefix+t.ID, many)
		if err != nil {
			return nil, err
		}
		for _, d := range deps {
			if err := x.draw(g, d); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// draw adds a dependency to a graph, with the tasks at its ends.
func (x *op) draw(g *Graph, d *Dependency) error {
	var up *Task
	for _, id := range []string{d.Task, d.DependsOn} {
		t, err := x.see(id)
		if Is(err, NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if !slices.ContainsFunc(g.Tasks, func(b Brief) bool { return b.ID == t.ID }) {
			if len(g.Tasks) == mostDrawn {
				g.More = true
				return nil
			}
			g.Tasks = append(g.Tasks, t.brief())
		}
		up = t
	}
	g.Edges = append(g.Edges, Edge{d.Task, d.DependsOn, d.Until, met(d.Until, up)})
	return nil
}

// Dependencies draws what of a project waits for what: its open tasks, and those
// that they wait for, however those stand.
func (b *Board) Dependencies(ctx context.Context, c Call, project string) (*Graph, error) {
	x := b.view(ctx, c)
	p, err := x.seeProject(project)
	if err != nil {
		return nil, err
	}
	g := &Graph{Tasks: []Brief{}, Edges: []Edge{}}
	for _, s := range open {
		tasks, err := list[Task](x, "rank/"+p.ID+"/"+string(s)+"/", many)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			deps, err := list[Dependency](x, "task/"+t.ID, many)
			if err != nil {
				return nil, err
			}
			for _, d := range deps {
				if err := x.draw(g, d); err != nil {
					return nil, err
				}
			}
		}
	}
	return g, nil
}

// ReviewDetail is a review with what is to be known to decide it.
type ReviewDetail struct {
	*Review
	TaskKey   string   `json:"task_key,omitempty"`
	Allowed   []string `json:"allowed"`    // verdicts
	MayDecide bool     `json:"may_decide"` // the caller may, if it is pending
	Deciders  []Party  `json:"deciders"`   // who is asked
	Starts    []Brief  `json:"starts"`     // tasks that an approval lets begin
	Behind    int      `json:"behind"`     // tasks that wait for this one
}

// ReviewDetail reads a review with what is to be known to decide it.
func (b *Board) ReviewDetail(ctx context.Context, c Call, id string) (*ReviewDetail, error) {
	r, err := b.Review(ctx, c, id)
	if err != nil {
		return nil, err
	}
	x := b.view(ctx, c)
	v := &ReviewDetail{Review: r, Allowed: verdicts[r.Kind], Deciders: []Party{}, Starts: []Brief{}}
	if r.Status == "pending" {
		if v.MayDecide, err = x.mayDecide(x.By, r); err != nil {
			return nil, err
		}
		who, err := x.deciders(r)
		if err != nil {
			return nil, err
		}
		v.Deciders = append(v.Deciders, who...)
	}
	if r.Task == "" {
		return v, nil
	}
	t, err := get[Task](x, r.Task)
	if err != nil {
		return nil, err
	}
	v.TaskKey = t.Key
	deps, err := list[Dependency](x, "on/"+t.ID, many)
	if err != nil {
		return nil, err
	}
	v.Behind = len(deps)
	if r.Kind != "deliverable" {
		return v, nil
	}
	for _, d := range deps {
		down, err := x.see(d.Task)
		if Is(err, NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if down.State != Inbox && down.State != Assigned {
			continue
		}
		g, err := x.gate(down)
		if err != nil {
			return nil, err
		}
		if !g.Open && !slices.ContainsFunc(g.WaitingOn, func(key string) bool { return key != t.Key }) {
			v.Starts = append(v.Starts, down.brief())
		}
	}
	slices.SortFunc(v.Starts, func(a, b Brief) int { return cmp.Compare(a.ID, b.ID) })
	return v, nil
}

// isOf reports whether a source's execution is of a machine of that name, which an
// account and a colon may stand in front of: ARNs of executions have the account,
// the type, the machine's name and the execution's at their end.
func (s *Source) isOf(machine string) bool {
	parts := strings.Split(s.Execution, ":")
	return len(parts) > 6 && (parts[6] == machine || parts[4]+":"+parts[6] == machine)
}

// Anchor is the line of a deliverable that a comment is about.
type Anchor struct {
	Deliverable string `json:"deliverable"` // id
	Line        int    `json:"line"`        // from 1
}

// CommentAt posts to a task's thread, as Comment does, about a line of one of the
// task's deliverables.
func (b *Board) CommentAt(ctx context.Context, c Call, task, body string, at Anchor) (*Comment, error) {
	return write(ctx, b, c, "comment", func(x *op) (*Comment, error) {
		m, err := x.comment(task, body)
		if err != nil {
			return nil, err
		}
		d, err := get[Deliverable](x, at.Deliverable)
		if Is(err, NotFound) || err == nil && d.Task != m.Task {
			return nil, invalid("the task has no deliverable %q", at.Deliverable)
		} else if err != nil {
			return nil, err
		}
		if at.Line < 1 {
			return nil, invalid("lines are counted from 1")
		}
		m.Anchor = &at
		x.put(m)
		return m, nil
	})
}
