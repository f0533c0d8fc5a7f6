package control

import (
	"fmt"
	"math"
	"time"
)

// The kinds of records, and the keys that each is found under.

func (*Workspace) kind() string   { return "workspace" }
func (*Person) kind() string      { return "user" }
func (*Project) kind() string     { return "project" }
func (*Agent) kind() string       { return "agent" }
func (*signal) kind() string      { return "signal" }
func (*Task) kind() string        { return "task" }
func (*Dependency) kind() string  { return "dependency" }
func (*Lease) kind() string       { return "lease" }
func (*Attempt) kind() string     { return "attempt" }
func (*Deliverable) kind() string { return "deliverable" }
func (*Review) kind() string      { return "review" }
func (*Comment) kind() string     { return "comment" }
func (*Handoff) kind() string     { return "handoff" }
func (*Wakeup) kind() string      { return "wakeup" }

func (w *Workspace) keys() []string { return []string{"all/" + w.ID} }

func (p *Person) keys() []string { return []string{"name/" + p.Workspace + "/" + p.Name} }

func (p *Project) keys() []string {
	keys := []string{"key/" + p.Workspace + "/" + p.Key, "of/" + string(p.Owner)}
	for user := range p.Members {
		if User(user) != p.Owner {
			keys = append(keys, "of/"+string(User(user)))
		}
	}
	return keys
}

func (a *Agent) keys() []string {
	keys := []string{"slug/" + a.Workspace + "/" + a.Slug}
	for _, p := range a.Projects {
		keys = append(keys, "project/"+p)
	}
	return keys
}

func (s *signal) keys() []string {
	if s.Active {
		return []string{"due/" + stamp(s.offlineAt())}
	}
	return nil
}

func (t *Task) keys() []string {
	keys := []string{
		"key/" + t.Workspace + "/" + t.Key,
		"project/" + t.Project + "/" + string(t.State) + "/" + t.order(),
		"rank/" + t.Project + "/" + string(t.State) + "/" + t.Rank + "/" + t.ID,
		"updated/" + t.Project + "/" + backwards(t.UpdatedAt) + "/" + t.ID,
	}
	if t.Assignee != "" {
		keys = append(keys, "assignee/"+string(t.Assignee)+"/"+string(t.State)+"/"+t.order())
	}
	if t.Parent != "" {
		keys = append(keys, "parent/"+t.Parent)
	}
	if t.Source != nil {
		keys = append(keys, t.Source.key())
	}
	return keys
}

func (d *Dependency) keys() []string {
	return []string{"task/" + d.Task, "on/" + d.DependsOn}
}

func (l *Lease) keys() []string {
	keys := []string{"holder/" + string(l.Holder)}
	switch {
	case !l.StallAt.IsZero() && !l.Stalled && l.StallAt.Before(l.ExpiresAt):
		keys = append(keys, "due/"+stamp(l.StallAt))
	case !l.ExpiresAt.IsZero():
		keys = append(keys, "due/"+stamp(l.ExpiresAt))
	}
	return keys
}

func (a *Attempt) keys() []string {
	return []string{"task/" + a.Task, "by/" + string(a.By)}
}

func (d *Deliverable) keys() []string {
	keys := []string{"task/" + d.Task}
	if d.Kind == "file" {
		keys = append(keys, "hash/"+d.Hash)
	}
	return keys
}

func (r *Review) keys() []string {
	var keys []string
	if r.Task != "" {
		keys = append(keys, "task/"+r.Task)
	}
	if r.Source != nil {
		keys = append(keys, r.Source.key())
	}
	if r.Status != "pending" {
		return append(keys, "closed/"+r.Project)
	}
	keys = append(keys, "pending/"+r.Project, "open/"+r.Workspace+"/"+r.ID)
	if due := r.nextDue(); !due.IsZero() {
		keys = append(keys, "due/"+stamp(due))
	}
	return keys
}

func (c *Comment) keys() []string {
	return append(c.unreadBy(), "task/"+c.Task+"/"+c.ID)
}

func (h *Handoff) keys() []string {
	keys := []string{"task/" + h.Task}
	if h.State == "offered" && !h.ExpiresAt.IsZero() {
		keys = append(keys, "due/"+stamp(h.ExpiresAt))
	}
	return keys
}

func (w *Wakeup) keys() []string {
	keys := []string{"of/" + w.Agent + "/" + w.Task + "/" + w.Reason}
	if w.Task != "" {
		keys = append(keys, "task/"+w.Task)
	}
	switch w.State {
	case "queued":
		keys = append(keys, "open/"+w.Agent+"/"+w.Order)
		if w.Ripe {
			keys = append(keys, "send/"+stamp(w.NotBefore))
		} else {
			keys = append(keys, "due/"+stamp(w.NotBefore))
		}
	case "sent":
		keys = append(keys, "open/"+w.Agent+"/"+w.Order, "due/"+stamp(w.AckBy))
	case "skipped":
		if w.OfAgent {
			keys = append(keys, "wait/"+w.Agent+"/"+w.Order)
		}
	case "failed":
		keys = append(keys, "failed/"+w.Agent)
	}
	return keys
}

// backwards writes a time so that the texts of later times sort first.
func backwards(t time.Time) string { return fmt.Sprintf("%016x", math.MaxInt64-t.UnixMilli()) }
