package control

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Comment posts to a task's thread. Those whose @name is in it hear of it.
func (b *Board) Comment(ctx context.Context, c Call, task, body string) (*Comment, error) {
	return write(ctx, b, c, "comment", func(x *op) (*Comment, error) { return x.comment(task, body) })
}

func (x *op) comment(task, body string) (*Comment, error) {
	t, err := x.see(task)
	if err != nil {
		return nil, err
	}
	if err := x.need(t.Project, "comment"); err != nil {
		return nil, err
	}
	if strings.TrimSpace(body) == "" || len(body) > maxText {
		return nil, invalid("a comment has 1 to %d bytes", maxText)
	}
	if x.By.isAgent() {
		if err := x.seen(x.By.id()); err != nil {
			return nil, err
		}
	}
	return x.post(t, "message", "", body, "")
}

// say posts to a task's thread in the course of something else.
func (x *op) say(t *Task, kind, marker, body, review string) error {
	_, err := x.post(t, kind, marker, body, review)
	return err
}

func (x *op) post(t *Task, kind, marker, body, review string) (*Comment, error) {
	c := &Comment{Task: t.ID, By: x.By, Kind: kind, Marker: marker, Body: body, Review: review}
	if kind == "message" {
		var err error
		if c.Mentions, err = x.mentions(t, body); err != nil {
			return nil, err
		}
	}
	x.add(c)
	if err := x.toBeHeard(t, c); err != nil {
		return nil, err
	}
	e := t.of("comment.created", map[string]any{"comment": c.ID, "kind": kind})
	if len(c.Mentions) > 0 {
		e.Data["mentions"] = c.Mentions
	}
	if slices.ContainsFunc(c.Mentions, func(m Mention) bool { return m.Held }) {
		var err error
		if e.Notify, err = x.notice(t.Project, "mentioned", c.ID+"/held", ""); err != nil {
			return nil, err
		}
	}
	if err := x.emit(e); err != nil {
		return nil, err
	}
	return c, x.tellMentioned(t, c)
}

// commentsSince lists the comments on a task from a time on.
func (x *op) commentsSince(t *Task, at time.Time) ([]*Comment, error) {
	q := store.Prefix("comment", "task/"+t.ID+"/", many)
	q.From += idsFrom(at)
	return query[Comment](x, q)
}

// tellMentioned wakes or notifies who is mentioned and not held back.
func (x *op) tellMentioned(t *Task, c *Comment) error {
	for _, m := range c.Mentions {
		if m.Held {
			continue
		}
		if m.Party.isAgent() {
			if m.Party == c.By {
				continue // nobody wakes themselves
			}
			if err := x.wakeAgent(m.Party.id(), t, "mentioned", "", false); err != nil {
				return err
			}
			continue
		}
		n, err := x.notice(t.Project, "mentioned", c.ID, m.Party)
		if err != nil {
			return err
		}
		e := t.of("comment.mentioned", map[string]any{"comment": c.ID})
		e.Notify = n
		if err := x.emit(e); err != nil {
			return err
		}
	}
	return nil
}

var mention = regexp.MustCompile(`@([a-z0-9][a-z0-9_.-]{0,62})`)

// mentions finds who is named in a text. Names that nobody has in this project
// stay text.
func (x *op) mentions(t *Task, body string) (all []Mention, err error) {
	text := withoutCode(body)
	for _, at := range mention.FindAllStringSubmatchIndex(text, -1) {
		if at[0] > 0 && wordly(text[at[0]-1]) {
			continue // as in an e-mail address
		}
		n := strings.TrimRight(text[at[2]:at[3]], ".-_")
		var p Party
		if a, err := x.agent(n); err == nil && a.Slug == n {
			p = AgentParty(a.ID)
		} else if u, err2 := x.user(n); err2 == nil && u.Name == n {
			p = User(u.ID)
		} else if err := cmp.Or(ignore(err, NotFound), ignore(err2, NotFound)); err != nil {
			return nil, err
		}
		if p == "" || slices.ContainsFunc(all, func(m Mention) bool { return m.Party == p }) {
			continue
		}
		able, err := x.active(p, t.Project)
		if err != nil {
			return nil, err
		}
		if len(able) > 0 && len(all) < maxList {
			all = append(all, Mention{Party: p, Name: n})
		}
	}
	return all, x.guardLoop(t, all)
}

func wordly(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

// guardLoop holds an agent's mentions of agents back when there were too many
// of them at this task within an hour: they may be talking in circles.
func (x *op) guardLoop(t *Task, all []Mention) error {
	if !x.By.isAgent() || !slices.ContainsFunc(all, func(m Mention) bool { return m.Party.isAgent() && m.Party != x.By }) {
		return nil
	}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return err
	}
	comments, err := x.commentsSince(t, x.At.Add(-time.Hour))
	if err != nil {
		return err
	}
	n := 0
	for _, c := range comments {
		if !c.By.isAgent() || x.At.Sub(c.CreatedAt) >= time.Hour {
			continue
		}
		for _, m := range c.Mentions {
			if m.Party.isAgent() && m.Party != c.By && !m.Held {
				n++
			}
		}
	}
	for i := range all {
		if m := &all[i]; m.Party.isAgent() && m.Party != x.By {
			n++
			m.Held = n > p.Policies.withDefaults().MentionsPerHour
		}
	}
	return nil
}

// withoutCode blanks out code spans and blocks of Markdown.
func withoutCode(body string) string {
	out := []byte(body)
	for i := 0; i < len(out); {
		if out[i] != '`' {
			i++
			continue
		}
		n := run(body, i)
		end := -1
		for j := i + n; j < len(body); {
			if body[j] != '`' {
				j++
			} else if m := run(body, j); m == n || n >= 3 && m > n {
				end = j + m
				break
			} else {
				j += m
			}
		}
		if end < 0 {
			if n < 3 {
				i += n // not closed: it is text
				continue
			}
			end = len(body) // a block that is not closed goes to the end
		}
		for ; i < end; i++ {
			out[i] = ' '
		}
	}
	return string(out)
}

// run counts the backticks at i.
func run(s string, i int) (n int) {
	for i+n < len(s) && s[i+n] == '`' {
		n++
	}
	return n
}

// ReleaseMentions lets mentions go that the loop guard has held. People do it.
func (b *Board) ReleaseMentions(ctx context.Context, c Call, comment string) (*Comment, error) {
	return write(ctx, b, c, "release_mentions", func(x *op) (*Comment, error) {
		m, err := get[Comment](x, comment)
		if err != nil {
			return nil, err
		}
		t, err := get[Task](x, m.Task)
		if err != nil {
			return nil, err
		}
		if !x.By.isUser() {
			return nil, refuse(Forbidden, nil, "that is for people")
		}
		if err := x.need(t.Project, "comment"); err != nil {
			return nil, err
		}
		released := &Comment{By: m.By}
		for i := range m.Mentions {
			if m.Mentions[i].Held {
				m.Mentions[i].Held = false
				released.Mentions = append(released.Mentions, m.Mentions[i])
			}
		}
		x.put(m)
		if err := x.emit(t.of("comment.released", map[string]any{"comment": m.ID})); err != nil {
			return nil, err
		}
		return m, x.tellMentioned(t, released)
	})
}

// NewHandoff is what OfferHandoff wants.
type NewHandoff struct {
	To           Party    `json:"to"`                   // an agent
	Capability   string   `json:"capability,omitempty"` // or any agent that has it
	Mode         string   `json:"mode"`                 // transfer or follow_up
	Summary      string   `json:"summary"`
	Deliverables []string `json:"deliverables,omitempty"`
	Title        string   `json:"title,omitempty"` // of the follow-up
}

// OfferHandoff passes work on: this task (transfer), or a new one that depends
// on it (follow_up). It is accepted at once unless the project wants hand-offs
// to be approved.
func (b *Board) OfferHandoff(ctx context.Context, c Call, task, token string, in NewHandoff) (*Handoff, error) {
	return write(ctx, b, c, "handoff", func(x *op) (*Handoff, error) {
		t, err := x.see(task)
		if err != nil {
			return nil, err
		}
		if x.By.isAgent() && (t.State == InProgress || token != "") {
			if _, _, err := x.held(task, token, HandedOff); err != nil {
				return nil, err
			}
		} else if x.By != t.Assignee {
			if err := x.needEdit(t); err != nil {
				return nil, err
			}
		}
		if in.Summary == "" || len(in.Summary) > maxText || len(in.Deliverables) > maxList {
			return nil, invalid("a hand-off needs a summary of at most %d bytes", maxText)
		}
		switch in.Mode {
		case "transfer":
			if row(t.State, HandedOff) == nil {
				return nil, invalidTransition(t, HandedOff)
			}
		case "follow_up":
		default:
			return nil, invalid("the mode is transfer or follow_up, not %q", in.Mode)
		}
		to, err := x.receiver(t, in)
		if err != nil {
			return nil, err
		}
		h := &Handoff{Task: t.ID, From: x.By, To: to, Capability: in.Capability, Mode: in.Mode, State: "offered", Summary: in.Summary, Deliverables: in.Deliverables}
		p, err := get[Project](x, t.Project)
		if err != nil {
			return nil, err
		}
		policies := p.Policies.withDefaults()
		h.ExpiresAt = x.At.Add(policies.HandoffDue)
		x.add(h)
		if err := x.say(t, "handoff", "", in.Summary, ""); err != nil {
			return nil, err
		}
		if policies.ApproveHandoffs {
			e := t.of("task.handoff_offered", map[string]any{"handoff": h.ID, "to_party": to, "mode": h.Mode})
			if e.Notify, err = x.notice(t.Project, "handoff", h.ID, ""); err != nil {
				return nil, err
			}
			if err := x.emit(e); err != nil {
				return nil, err
			}
			return h, x.wakeAgent(to.id(), t, "handoff", in.Summary, false)
		}
		return h, x.accept(h, t, in.Title)
	})
}

// receiver finds the agent that a hand-off goes to: the one named, or of those
// with the capability the one with the fewest tasks in hand.
func (x *op) receiver(t *Task, in NewHandoff) (Party, error) {
	if in.To != "" {
		to, err := x.assignable(t, in.To)
		if err == nil && (!to.isAgent() || to == x.By) {
			err = invalid("a hand-off goes to another agent")
		}
		return to, err
	}
	agents, err := list[Agent](x, "project/"+t.Project, many)
	if err != nil {
		return "", err
	}
	best, least := Party(""), 0
	for _, a := range agents {
		if a.Admin != Active || AgentParty(a.ID) == x.By || AgentParty(a.ID) == t.Assignee || !slices.Contains(a.Capabilities, in.Capability) {
			continue
		}
		held, err := x.leases(a.ID)
		if err != nil {
			return "", err
		}
		if best == "" || len(held) < least {
			best, least = AgentParty(a.ID), len(held)
		}
	}
	if best == "" {
		return "", invalid("no other active agent of the project has the capability %q", in.Capability)
	}
	return best, nil
}

// accept does what a hand-off says.
func (x *op) accept(h *Handoff, t *Task, title string) error {
	h.State = "accepted"
	x.put(h)
	if h.Mode == "follow_up" {
		follow, err := x.create(NewTask{Project: t.Project, Title: cmp.Or(title, "Follow-up of "+t.Key+": "+t.Title), Description: h.Summary,
			Assignee: h.To, DependsOn: []DependsOn{{Task: t.ID, PassDeliverables: true}}})
		if err != nil {
			return err
		}
		h.FollowUp = follow.ID
		return x.emit(t.of("task.handoff", map[string]any{"handoff": h.ID, "follow_up": follow.Key}))
	}
	if row(t.State, HandedOff) == nil {
		return invalidTransition(t, HandedOff)
	}
	x.touch(t) // who had it
	if _, err := x.endLease(t, "released", nil); err != nil {
		return err
	}
	if err := x.closeReviews(t, "withdrawn"); err != nil {
		return err
	}
	t.Assignee, t.NotBefore = h.To, time.Time{}
	if err := x.move(t, HandedOff, Assigned, map[string]any{"handoff": h.ID, "from_party": h.From, "to_party": h.To}); err != nil {
		return err
	}
	return x.wakeOpen(t, "handoff", h.Summary)
}

// AcceptHandoff and DeclineHandoff answer an offered hand-off: the agent that
// it is offered to, or whoever may edit the task.
func (b *Board) AcceptHandoff(ctx context.Context, c Call, handoff string) (*Handoff, error) {
	return write(ctx, b, c, "accept_handoff", func(x *op) (*Handoff, error) {
		h, t, err := x.offered(handoff)
		if err != nil {
			return nil, err
		}
		return h, x.accept(h, t, "")
	})
}

// DeclineHandoff leaves the task with who has it.
func (b *Board) DeclineHandoff(ctx context.Context, c Call, handoff, note string) (*Handoff, error) {
	return write(ctx, b, c, "decline_handoff", func(x *op) (*Handoff, error) {
		h, t, err := x.offered(handoff)
		if err != nil {
			return nil, err
		}
		return h, x.endHandoff(h, t, "declined", note)
	})
}

func (x *op) offered(handoff string) (*Handoff, *Task, error) {
	h, err := get[Handoff](x, handoff)
	if err != nil {
		return nil, nil, err
	}
	t, err := get[Task](x, h.Task)
	if err != nil {
		return nil, nil, err
	}
	if x.By != h.To {
		if err := x.need(t.Project, "edit"); err != nil {
			return nil, nil, err
		}
	}
	if h.State != "offered" {
		return nil, nil, refuse(HandoffClosed, map[string]any{"state": h.State}, "the hand-off is %s", h.State)
	}
	return h, t, nil
}

func (x *op) endHandoff(h *Handoff, t *Task, state, note string) error {
	h.State = state
	x.put(h)
	return x.emit(t.of("task.handoff_"+state, map[string]any{"handoff": h.ID, "note": note}))
}

// closeHandoffs withdraws what has been offered of a task and cannot be taken
// any more.
func (x *op) closeHandoffs(t *Task) error {
	all, err := list[Handoff](x, "task/"+t.ID, many)
	for _, h := range all {
		if h.State == "offered" && h.Mode == "transfer" {
			if err := x.endHandoff(h, t, "expired", ""); err != nil {
				return err
			}
		}
	}
	return err
}
