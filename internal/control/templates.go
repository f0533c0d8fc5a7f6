package control

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
)

// Template is a task as it is made again and again. What it says is filled in
// where a new task says nothing itself.
type Template struct {
	base
	Project     string  `json:"project"`
	Name        string  `json:"name"` // unique in the project
	Description string  `json:"description,omitempty"`
	Task        NewTask `json:"task"`
	CreatedBy   Party   `json:"created_by"`
}

func (*Template) kind() string     { return "template" }
func (t *Template) keys() []string { return []string{"project/" + t.Project + "/" + t.Name} }

// NewTemplate is what CreateTemplate wants.
type NewTemplate struct {
	Project     string  `json:"project"` // key or id
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	Task        NewTask `json:"task"`
}

// UpdateTemplate is what may be changed of a template; what is nil stays.
type UpdateTemplate struct {
	Name        *string  `json:"name,omitempty"`
	Description *string  `json:"description,omitempty"`
	Task        *NewTask `json:"task,omitempty"` // as a whole
}

// CreateTemplate keeps a template. People do it.
func (b *Board) CreateTemplate(ctx context.Context, c Call, in NewTemplate) (*Template, error) {
	return write(ctx, b, c, "template", func(x *op) (*Template, error) {
		p, err := x.forPeople(in.Project)
		if err != nil {
			return nil, err
		}
		t := &Template{Project: p.ID, Name: in.Name, Description: in.Description, Task: in.Task, CreatedBy: x.By}
		if err := x.checkTemplate(t); err != nil {
			return nil, err
		}
		x.add(t)
		return t, x.emit(Event{Type: "template.created", Project: p.ID, Data: map[string]any{"template": t.ID, "name": t.Name}})
	})
}

// forPeople finds a project in which the caller, a person, may make tasks.
func (x *op) forPeople(project string) (*Project, error) {
	p, err := x.seeProject(project)
	if err != nil {
		return nil, err
	}
	if x.By.isAgent() {
		return nil, refuse(Forbidden, nil, "that is for people")
	}
	return p, x.need(p.ID, "comment")
}

func (x *op) checkTemplate(t *Template) error {
	if !name.MatchString(t.Name) {
		return invalid("%q is no name: use a-z, 0-9, _, . and -", t.Name)
	}
	if len(t.Description) > maxText {
		return invalid("a description has at most %d bytes", maxText)
	}
	same, err := x.template(t.Project, t.Name)
	if err == nil && same.ID != t.ID {
		return refuse(AlreadyExists, nil, "the project has a template %s", t.Name)
	} else if err != nil && !Is(err, NotFound) {
		return err
	}
	t.Task.Project, t.Task.Template, t.Task.Source = "", "", nil
	return x.checkDraft(t.Task)
}

// checkDraft refuses what no task can say. What it names, such as an assignee,
// is looked for when the task is made.
func (x *op) checkDraft(in NewTask) error {
	return x.checkTask(&Task{Title: cmp.Or(in.Title, "-"), Description: in.Description, AcceptanceCriteria: in.AcceptanceCriteria,
		Priority: cmp.Or(in.Priority, Normal), Labels: in.Labels, Capabilities: in.Capabilities, Reviewers: in.Reviewers,
		ReviewMode: cmp.Or(in.ReviewMode, ReviewHuman), RequiredApprovals: in.RequiredApprovals, Input: in.Input, OutputSchema: in.OutputSchema, Rank: in.Rank})
}

// template finds a template by its name in a project, as PROJECT:NAME, or by its id.
func (x *op) template(project, ref string) (*Template, error) {
	return named(x, project, ref, "template", func(t *Template) (name, in string) { return t.Name, t.Project })
}

// named finds a record of a project by its name there, as PROJECT:NAME, or by its
// id: what the caller may not read is not there. of says the name and the project
// of a record, kind what people call it.
func named[R any, P interface {
	*R
	entity
}](x *op, project, ref, kind string, of func(P) (name, in string)) (P, error) {
	if key, name, is := strings.Cut(ref, ":"); is {
		p, err := x.seeProject(key)
		if err != nil {
			return nil, err
		}
		project, ref = p.ID, name
	}
	if project != "" {
		found, err := list[R, P](x, "project/"+project+"/"+ref, 1)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			if name, _ := of(found[0]); name == ref {
				return found[0], nil
			}
		}
	}
	r, err := get[R, P](x, ref)
	if err == nil {
		if _, in := of(r); x.need(in, "read") != nil {
			err = refuse(NotFound, nil, "")
		}
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no %s %q", kind, ref)
	}
	return r, err
}

// Template finds a template by id or as PROJECT:NAME.
func (b *Board) Template(ctx context.Context, c Call, id string) (*Template, error) {
	return b.view(ctx, c).template("", id)
}

// Templates lists the templates that the caller may read, by their names; of one
// project unless that is "".
func (b *Board) Templates(ctx context.Context, c Call, project string, page Page) ([]*Template, string, error) {
	x := b.view(ctx, c)
	prefixes, err := x.under("project/", project)
	if err != nil {
		return nil, "", err
	}
	return pages(x, prefixes, page, func(t *Template) (*Template, bool, error) {
		ok, err := x.sees(t.Project)
		return t, ok, err
	})
}

// under makes prefixes of keys for a project, or for all that the caller may
// read.
func (x *op) under(prefix, project string) (all []string, err error) {
	scope, err := x.scope()
	if err != nil {
		return nil, err
	}
	if project != "" {
		p, err := x.seeProject(project)
		if err != nil {
			return nil, err
		}
		scope = []string{p.ID}
	}
	for _, id := range scope {
		all = append(all, prefix+id+"/")
	}
	return all, nil
}

// UpdateTemplate changes a template: who made it, or who may edit all tasks.
func (b *Board) UpdateTemplate(ctx context.Context, c Call, id string, in UpdateTemplate) (*Template, error) {
	return write(ctx, b, c, "update_template", func(x *op) (*Template, error) {
		t, err := x.templateToEdit(id)
		if err != nil {
			return nil, err
		}
		change(&t.Name, in.Name)
		change(&t.Description, in.Description)
		change(&t.Task, in.Task)
		if err := x.checkTemplate(t); err != nil {
			return nil, err
		}
		x.put(t)
		return t, x.emit(Event{Type: "template.updated", Project: t.Project, Data: map[string]any{"template": t.ID, "name": t.Name}})
	})
}

// DeleteTemplate removes a template. Tasks made from it stay.
func (b *Board) DeleteTemplate(ctx context.Context, c Call, id string) error {
	return second(write(ctx, b, c, "delete_template", func(x *op) (struct{}, error) {
		t, err := x.templateToEdit(id)
		if err != nil {
			return struct{}{}, err
		}
		if err := x.remove(t); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, x.emit(Event{Type: "template.deleted", Project: t.Project, Data: map[string]any{"template": t.ID, "name": t.Name}})
	}))
}

func (x *op) templateToEdit(id string) (*Template, error) {
	t, err := x.template("", id)
	if err != nil {
		return nil, err
	}
	if err := x.ownOrEdit(t.CreatedBy, t.Project); err != nil {
		return nil, err
	}
	return t, x.same(t)
}

// ownOrEdit refuses who has not made a thing and may not edit all tasks.
func (x *op) ownOrEdit(by Party, project string) error {
	if x.By == by {
		return x.need(project, "comment")
	}
	return x.need(project, "edit")
}

// filled is a new task with what its template says where it says nothing itself.
func (x *op) filled(in NewTask) (NewTask, error) {
	if in.Template == "" {
		return in, nil
	}
	project := ""
	if in.Project != "" {
		p, err := x.seeProject(in.Project)
		if err != nil {
			return in, err
		}
		project = p.ID
	}
	t, err := x.template(project, in.Template)
	if err != nil {
		return in, err
	}
	said, err := json.Marshal(in) // what is empty is not in it
	if err != nil {
		return in, err
	}
	full := t.Task
	err = json.Unmarshal(said, &full)
	full.Project = t.Project
	return full, err
}
