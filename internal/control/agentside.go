package control

import (
	"cmp"
	"context"
)

// This file has what an agent asks about itself: whether there is work, what it
// holds, and where it was called by name.

// Ready reports whether Next would find a task for the calling agent, and if not
// why, in the words of Next. It only reads, so who waits may ask often. A
// project that the agent does not have is not_found.
func (b *Board) Ready(ctx context.Context, c Call, project string) (bool, string, error) {
	x := b.view(ctx, c)
	a, err := x.agentCaller()
	if err != nil {
		return false, "", err
	}
	if project != "" {
		p, err := x.seeProject(project)
		if err != nil {
			return false, "", err
		}
		project = p.ID
	}
	t, why, err := x.best(a, project)
	return t != nil, why, err
}

// Holds lists what the calling agent works on, with the tokens of its leases:
// for one that has lost its memory and not its key. Leases that have run out are
// not among them.
func (b *Board) Holds(ctx context.Context, c Call) ([]Claimed, error) {
	x := b.view(ctx, c)
	a, err := x.agentCaller()
	if err != nil {
		return nil, err
	}
	leases, err := list[Lease](x, "holder/"+string(AgentParty(a.ID)), many)
	if err != nil {
		return nil, err
	}
	var all []Claimed
	for _, l := range leases {
		if !x.At.Before(l.ExpiresAt) {
			continue
		}
		t, err := x.see(l.ID)
		if Is(err, NotFound) {
			continue // of a project that it has no more
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Claimed{Task: t, AttemptID: l.Attempt, LeaseToken: b.token(l.Attempt), LeaseExpiresAt: l.ExpiresAt})
	}
	return all, nil
}

// UnreadMentions lists the comments that call the agent by its name and that it
// has not read yet, by task and then the oldest first.
func (b *Board) UnreadMentions(ctx context.Context, c Call) ([]*Comment, error) {
	x := b.view(ctx, c)
	a, err := x.agentCaller()
	if err != nil {
		return nil, err
	}
	all, err := list[Comment](x, unread(AgentParty(a.ID)), many)
	if err != nil {
		return nil, err
	}
	var kept []*Comment
	for _, c := range all {
		if _, err := x.see(c.Task); Is(err, NotFound) {
			continue // of a project that it has no more
		} else if err != nil {
			return nil, err
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// ReadMentions notes that the calling agent has read the thread of a task. It
// writes nothing where it was not mentioned.
func (b *Board) ReadMentions(ctx context.Context, c Call, task string) error {
	look := b.view(ctx, c)
	t, err := look.see(task)
	if err != nil {
		return err
	}
	if some, err := list[Comment](look, unread(c.By)+t.ID+"/", 1); err != nil || len(some) == 0 {
		return err
	}
	_, err = write(ctx, b, c, "read_mentions", func(x *op) (struct{}, error) {
		t, err := x.see(task)
		if err != nil {
			return struct{}{}, err
		}
		all, err := list[Comment](x, unread(x.By)+t.ID+"/", many)
		for _, m := range all {
			for i := range m.Mentions {
				if m.Mentions[i].Party == x.By {
					m.Mentions[i].Read = true
				}
			}
			x.put(m)
		}
		return struct{}{}, err
	})
	return err
}

// toBeHeard keeps a comment for whoever works on the task, who is told of it
// with the next progress. Times would not do: two calls may begin in one order
// and be written in the other.
func (x *op) toBeHeard(t *Task, c *Comment) error {
	l, err := x.lease(t)
	if err != nil || l == nil || l.Holder == c.By {
		return err
	}
	l.Unheard = append(l.Unheard, c.ID)
	l.Unheard = l.Unheard[max(0, len(l.Unheard)-maxList):]
	x.put(l)
	return nil
}

func unread(p Party) string { return "unread/" + string(p) + "/" }

// unreadBy lists the keys under which the agents find a comment that it names
// and that have not read it.
func (c *Comment) unreadBy() (keys []string) {
	for _, m := range c.Mentions {
		if m.Party.isAgent() && m.Party != c.By && !m.Held && !m.Read {
			keys = append(keys, unread(m.Party)+c.Task+"/"+c.ID)
		}
	}
	return keys
}

// LastAttempt is the agent's newest attempt at a task: where the usage of a model
// belongs that it reports without saying which. It is not_found for a task that
// it has not tried.
func (b *Board) LastAttempt(ctx context.Context, c Call, task string) (*Attempt, error) {
	x := b.view(ctx, c)
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	all, err := list[Attempt](x, "task/"+t.ID, many)
	if err != nil {
		return nil, err
	}
	var newest *Attempt
	for _, a := range all {
		if a.By == x.By && (newest == nil || a.Number > newest.Number) {
			newest = a
		}
	}
	if newest == nil {
		return nil, refuse(NotFound, nil, "you have not tried %s", t.Key)
	}
	return newest, nil
}

// Attempt finds an attempt by id, for those who may see its task.
func (b *Board) Attempt(ctx context.Context, c Call, id string) (*Attempt, error) {
	x := b.view(ctx, c)
	a, err := get[Attempt](x, id)
	if err == nil {
		_, err = x.see(a.Task)
	}
	if Is(err, NotFound) {
		err = refuse(NotFound, nil, "there is no attempt %q", id)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// CallBy gives the name of a party as people write it: @slug, @name, a role. One
// that the caller may not see, or that is no more, has its id.
func (b *Board) CallBy(ctx context.Context, c Call, p Party) (string, error) {
	x := b.view(ctx, c)
	kind, id := p.Split()
	switch kind {
	case "agent":
		a, err := get[Agent](x, id)
		if err != nil {
			return string(p), ignore(err, NotFound)
		}
		if ok, err := x.knows(a); !ok || err != nil {
			return string(p), ignore(err, NotFound)
		}
		return "@" + a.Slug, nil
	case "user":
		u, err := get[Person](x, id)
		if err != nil {
			return string(p), ignore(err, NotFound)
		}
		if ok, err := x.knowsUser(u); !ok || err != nil {
			return string(p), ignore(err, NotFound)
		}
		return "@" + u.Name, nil
	}
	return cmp.Or(string(p), "nobody"), nil
}
