package mcp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
)

const (
	mostWait = 55 * time.Second       // of task_next
	look     = 5 * time.Second        // how often it looks though nothing rings: a back-off may be over
	apart    = 100 * time.Millisecond // what happens in a burst is looked at once
	mostRows = 100                    // of a list
)

// me is the answer to whoami.
type me struct {
	next
	Agent          self         `json:"agent"`
	Projects       []projectRow `json:"projects"`
	Leases         []held       `json:"leases"`
	UnreadMentions []mentioned  `json:"unread_mentions"`
}

type self struct {
	Slug         string   `json:"slug"`
	Name         string   `json:"name,omitempty"`
	Role         string   `json:"role"`
	Capabilities []string `json:"capabilities,omitempty"`
	Slots        int      `json:"slots"`
	Status       string   `json:"status"`
}

type projectRow struct {
	Key  string `json:"key"`
	Name string `json:"name,omitempty"`
}

// held is a task with the lease of the caller.
type held struct {
	Task           string    `json:"task"`
	Attempt        string    `json:"attempt"`
	Lease          string    `json:"lease"`
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
}

type mentioned struct {
	Task    string    `json:"task"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Comment any       `json:"comment"`
}

func (d *Door) whoami(ctx context.Context, who *caller, _ none) (*me, error) {
	b, n := d.cfg.Board, d.names(ctx, who)
	a, err := b.Agent(ctx, who.Call, who.agent.ID)
	if err != nil {
		return nil, err
	}
	st, err := b.AgentStatus(ctx, who.Call, a.ID)
	if err != nil {
		return nil, err
	}
	out := &me{Agent: self{a.Slug, a.Name, a.Role, a.Capabilities, a.Slots, st.Label}, Projects: []projectRow{}, Leases: []held{}, UnreadMentions: []mentioned{}}
	for _, id := range a.Projects {
		p, err := b.Project(ctx, who.Call, id)
		if err != nil {
			return nil, err
		}
		out.Projects = append(out.Projects, projectRow{p.Key, p.Name})
	}
	leases, err := b.Holds(ctx, who.Call)
	if err != nil {
		return nil, err
	}
	for _, l := range leases {
		out.Leases = append(out.Leases, held{l.Task.Key, l.AttemptID, l.LeaseToken, l.LeaseExpiresAt})
	}
	unread, err := b.UnreadMentions(ctx, who.Call)
	if err != nil {
		return nil, err
	}
	for _, c := range unread[:min(len(unread), mostRows)] {
		t, err := b.Task(ctx, who.Call, c.Task)
		if err != nil {
			return nil, err
		}
		out.UnreadMentions = append(out.UnreadMentions, mentioned{t.Key, n.of(c.By), c.CreatedAt, n.said(c.By, short(c.Body))})
	}
	switch {
	case len(out.Leases) > 0:
		out.Next = "go on with " + out.Leases[0].Task + ": task_get, then task_progress with its lease"
	case len(out.UnreadMentions) > 0:
		out.Next = "read where you were mentioned: task_get " + out.UnreadMentions[0].Task
	default:
		out.Next = "task_next gives you work"
	}
	return out, n.err
}

// given is the answer to task_next.
type given struct {
	next
	None   bool   `json:"none,omitempty"`   // there is no task
	Reason string `json:"reason,omitempty"` // why
	*lease
	Brief *brief `json:"brief,omitempty"`
}

// lease is the right to work on a task, as its holder gets it.
type lease struct {
	Task           string     `json:"task"`
	Attempt        string     `json:"attempt"`
	Lease          string     `json:"lease"`
	LeaseExpiresAt *time.Time `json:"lease_expires_at,omitempty"`
}

func leaseOf(c control.Claimed) *lease {
	return &lease{c.Task.Key, c.AttemptID, c.LeaseToken, &c.LeaseExpiresAt}
}

const begun = "do the task; call task_progress with the lease every few minutes, deliverable_add for what you make, then task_submit"

// whyNone says in a sentence why there is no task.
var whyNone = map[string]string{
	"no_task":     "stop: there is nothing for you now, and you will be woken",
	"gate_closed": "stop: your tasks wait for others, and you will be woken",
	"not_yet":     "stop: your task is tried again a little later, and you will be woken",
	"at_capacity": "end what you hold first: whoami lists it with its leases",
	"paused":      "stop: you are paused, and will be woken",
	"retired":     "stop: you are retired",
	"over_budget": "stop: you are over budget, and will be woken when you are not",
}

func (d *Door) taskNext(ctx context.Context, who *caller, in nextArgs) (*given, error) {
	if in.WaitS < 0 {
		return nil, invalid("wait_s is a number of seconds from 0 to 55")
	}
	got, why, err := d.await(ctx, who, in.Project, min(time.Duration(in.WaitS)*time.Second, mostWait))
	if err != nil {
		return nil, err
	}
	if got == nil {
		return &given{next: next{whyNone[why]}, None: true, Reason: why}, nil
	}
	who.Call = who.now()
	v, err := d.brief(ctx, who, got.Task.ID)
	if err != nil {
		return nil, err
	}
	v.Next = ""
	return &given{next: next{begun}, lease: leaseOf(*got), Brief: v}, nil
}

// await claims the best task, for which it waits. It looks before it writes: who
// waits looks often.
func (d *Door) await(ctx context.Context, who *caller, project string, wait time.Duration) (*control.Claimed, string, error) {
	waiting, cancel := context.WithTimeout(who.gone, wait)
	defer cancel()
	defer context.AfterFunc(d.cfg.Stopping, cancel)()
	defer context.AfterFunc(ctx, cancel)()
	for {
		rings := d.cfg.Bell.Next()
		found, why, err := d.cfg.Board.Ready(ctx, who.now(), project)
		if err != nil {
			return nil, "", err
		}
		if who.gone.Err() != nil {
			return nil, why, nil // nobody would hear of the claim
		}
		if found {
			got, reason, err := d.cfg.Board.Next(ctx, who.now(), project)
			if err != nil || got.AttemptID != "" {
				return &got, "", err
			}
			why = reason // another was faster
		}
		if !sleep(waiting, apart, nil) || !sleep(waiting, look, rings) {
			return nil, why, nil
		}
	}
}

// sleep waits for a time or until early is closed. It is false when ctx has
// ended.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// rows is the answer to task_list.
type rows struct {
	next
	Tasks []row `json:"tasks"`
	More  bool  `json:"more,omitempty"`
}

// row is a task in a list.
type row struct {
	Task     string           `json:"task"`
	Title    any              `json:"title"`
	Status   control.State    `json:"status"`
	Priority control.Priority `json:"priority"`
	Assignee string           `json:"assignee,omitempty"`
	DueAt    *time.Time       `json:"due_at,omitempty"`
	WaitsFor []string         `json:"waits_for,omitempty"` // tasks: its gate is closed
}

func (n *names) row(t *control.Task) row {
	r := row{Task: t.Key, Title: n.said(writer(t), t.Title), Status: t.State, Priority: t.Priority}
	if t.Assignee != "" {
		r.Assignee = n.of(t.Assignee)
	}
	if !t.DueAt.IsZero() {
		r.DueAt = &t.DueAt
	}
	return r
}

func (d *Door) taskList(ctx context.Context, who *caller, in listArgs) (*rows, error) {
	states := slices.DeleteFunc(slices.Clone(control.States()), control.State.Terminal)
	if in.Status != "" {
		if states = []control.State{control.State(in.Status)}; !slices.Contains(control.States(), states[0]) {
			return nil, invalid("there is no status %q; there are %v", in.Status, control.States())
		}
	}
	q := control.TaskQuery{Project: in.Project, States: states, Page: control.Page{Limit: mostRows}}
	if in.Mine {
		q.Assignee = "me"
	}
	tasks, more, err := d.cfg.Board.Tasks(ctx, who.Call, q)
	if err != nil {
		return nil, err
	}
	n := d.names(ctx, who)
	out := &rows{next: next{"task_get shows all of one, task_claim begins it"}, Tasks: []row{}, More: more != ""}
	for _, t := range tasks {
		row := n.row(t.Task)
		if t.Gate != nil && !t.Gate.Open {
			row.WaitsFor = t.Gate.WaitingOn
		}
		out.Tasks = append(out.Tasks, row)
	}
	return out, n.err
}

func (d *Door) taskGet(ctx context.Context, who *caller, in taskArgs) (*brief, error) {
	v, err := d.brief(ctx, who, in.Task)
	if err != nil {
		return nil, err
	}
	return v, d.cfg.Board.ReadMentions(ctx, who.Call, in.Task)
}

// claimed is the answer to task_claim.
type claimed struct {
	next
	*lease
}

func (d *Door) taskClaim(ctx context.Context, who *caller, in taskArgs) (*claimed, error) {
	got, err := d.cfg.Board.Claim(ctx, who.Call, in.Task)
	if err != nil {
		return nil, err
	}
	return &claimed{next{"task_get shows all of it, if you have not read it; " + begun}, leaseOf(got)}, nil
}

// progressed is the answer to task_progress.
type progressed struct {
	next
	LeaseExpiresAt *time.Time `json:"lease_expires_at,omitempty"`
	Cancelled      bool       `json:"cancelled,omitempty"`
	Paused         bool       `json:"paused,omitempty"`
	Comments       []comment  `json:"comments,omitempty"` // since the last call
}

func (d *Door) taskProgress(ctx context.Context, who *caller, in progressArgs) (*progressed, error) {
	percent := -1
	if in.Percent != nil {
		if percent = *in.Percent; percent < 0 || percent > 100 {
			return nil, invalid("percent is from 0 to 100")
		}
	}
	p, err := d.cfg.Board.Progress(ctx, who.Call, in.Task, in.Lease, in.Note, percent)
	if control.Is(err, control.LeaseLost) {
		if t, err2 := d.cfg.Board.Task(ctx, who.Call, in.Task); err2 == nil && t.State == control.Cancelled && t.Assignee == who.By {
			return &progressed{next: next{"stop: the task was cancelled"}, Cancelled: true}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	n := d.names(ctx, who)
	out := &progressed{next: next{"go on"}, LeaseExpiresAt: &p.LeaseExpiresAt, Paused: p.Paused}
	for _, c := range p.Comments {
		out.Comments = append(out.Comments, n.comment(c))
	}
	switch {
	case p.Paused:
		out.Next = "end or release this task and begin nothing after it: you are paused"
	case len(p.Comments) > 0:
		out.Next = "read the comments, then go on"
	}
	if len(p.Comments) > 0 {
		if err := d.cfg.Board.ReadMentions(ctx, who.Call, in.Task); err != nil {
			return nil, err
		}
	}
	return out, n.err
}

// delivered is the answer to deliverable_add.
type delivered struct {
	next
	ID      string `json:"id"`
	Series  string `json:"series"`
	Version int    `json:"version"`
}

func (d *Door) deliverableAdd(ctx context.Context, who *caller, in deliverableArgs) (*delivered, error) {
	if in.Kind == "file" {
		return nil, invalid("a file is posted over REST: POST /api/v1/blobs, then /api/v1/tasks/%s/deliverables", in.Task)
	}
	v, err := d.cfg.Board.AddDeliverable(ctx, who.Call, in.Task, in.Lease, control.NewDeliverable{
		Kind: in.Kind, Title: in.Title, Series: in.Series, Content: in.Content, URL: in.URL,
	})
	if err != nil {
		return nil, err
	}
	return &delivered{next{"task_submit when all is there"}, v.ID, v.Series, v.Number}, nil
}

// submitted is the answer to task_submit.
type submitted struct {
	next
	Task   string        `json:"task"`
	Status control.State `json:"status"`
	Review string        `json:"review,omitempty"`
}

func (d *Door) taskSubmit(ctx context.Context, who *caller, in submitArgs) (*submitted, error) {
	s, err := d.cfg.Board.Submit(ctx, who.Call, in.Task, in.Lease, control.Submission{Summary: in.Summary, Output: in.Output})
	if err != nil {
		return nil, err
	}
	out := &submitted{next{"done; stop here, you will be woken"}, s.Task.Key, s.Task.State, ""}
	if s.Review != nil {
		out.Next, out.Review = "submitted; stop here, you will be woken", s.Review.ID
	}
	return out, nil
}

// stands is where a task stands after something happened to it.
type stands struct {
	next
	Task   string        `json:"task"`
	Status control.State `json:"status"`
	Review string        `json:"review,omitempty"` // of a question
}

func standing(t *control.Task, err error, step string) (*stands, error) {
	if err != nil {
		return nil, err
	}
	s := &stands{next: next{step}, Task: t.Key, Status: t.State}
	if t.Block != nil {
		s.Review = t.Block.Review
	}
	return s, nil
}

func (d *Door) taskBlock(ctx context.Context, who *caller, in blockArgs) (*stands, error) {
	block := control.Blocking{Kind: in.Kind, Reason: in.Reason, Owner: control.Party(in.Owner), Action: in.Action, Question: in.Question}
	if in.DependsOn != "" {
		block.DependsOn = &control.DependsOn{Task: in.DependsOn, PassDeliverables: true}
	} else if in.Owner == "" {
		t, err := d.cfg.Board.Task(ctx, who.Call, in.Task)
		if err != nil {
			return nil, err
		}
		p, err := d.cfg.Board.Project(ctx, who.Call, t.Project)
		if err != nil {
			return nil, err
		}
		block.Owner = p.Owner
	}
	t, err := d.cfg.Board.Block(ctx, who.Call, in.Task, in.Lease, block)
	return standing(t, err, "blocked; stop here, you will be woken when it is not")
}

func (d *Door) taskFail(ctx context.Context, who *caller, in failArgs) (*stands, error) {
	t, err := d.cfg.Board.Fail(ctx, who.Call, in.Task, in.Lease, control.Failure{Category: in.Category, Message: in.Message, Retryable: in.Retryable})
	step := "failed; stop here"
	if err == nil && !t.State.Terminal() {
		step = "noted; stop here, you will be woken for the next try"
	}
	return standing(t, err, step)
}

func (d *Door) taskRelease(ctx context.Context, who *caller, in releaseArgs) (*stands, error) {
	t, err := d.cfg.Board.Release(ctx, who.Call, in.Task, in.Lease, in.Note)
	return standing(t, err, "released; stop here, or task_next")
}

func (d *Door) taskCreate(ctx context.Context, who *caller, in createArgs) (*stands, error) {
	c, err := keyed(who.Call, in.Key)
	if err != nil {
		return nil, err
	}
	task := control.NewTask{
		Project: in.Project, Title: in.Title, Description: in.Description, Parent: in.Parent,
		Assignee: control.Party(in.Assignee), ReviewMode: control.ReviewMode(in.ReviewMode),
	}
	for _, on := range in.DependsOn {
		task.DependsOn = append(task.DependsOn, control.DependsOn{Task: on, PassDeliverables: true})
	}
	t, err := d.cfg.Board.CreateTask(ctx, c, task)
	return standing(t, err, "made; go on with what you do")
}

// keyed is a call that may be repeated.
func keyed(c control.Call, key string) (control.Call, error) {
	if len(key) > 200 {
		return c, invalid("an idempotency_key has at most 200 bytes")
	}
	if key != "" {
		c.Key = "mcp " + key
	}
	return c, nil
}

// posted is the answer to task_comment.
type posted struct {
	next
	ID       string   `json:"id"`
	Mentions []string `json:"mentions,omitempty"` // who hears of it
	Held     []string `json:"held,omitempty"`     // who does once a person agrees: agents were mentioned too often
}

func (d *Door) taskComment(ctx context.Context, who *caller, in commentArgs) (*posted, error) {
	c, err := d.cfg.Board.Comment(ctx, who.Call, in.Task, in.Body)
	if err != nil {
		return nil, err
	}
	out := &posted{next: next{"go on"}, ID: c.ID}
	for _, m := range c.Mentions {
		if m.Held {
			out.Held = append(out.Held, "@"+m.Name)
		} else {
			out.Mentions = append(out.Mentions, "@"+m.Name)
		}
	}
	return out, nil
}

// handed is the answer to handoff.
type handed struct {
	next
	ID       string `json:"id"`
	State    string `json:"state"`
	To       string `json:"to"`
	FollowUp string `json:"follow_up,omitempty"` // key of the new task
}

func (d *Door) handoff(ctx context.Context, who *caller, in handoffArgs) (*handed, error) {
	b := d.cfg.Board
	offer := control.NewHandoff{Mode: in.Mode, Summary: in.Summary, Deliverables: in.Deliverables}
	// A name is an agent; what no agent is called is a capability.
	if in.To == "" {
		return nil, invalid("to is an @agent or a capability")
	}
	a, err := b.Agent(ctx, who.Call, in.To)
	switch {
	case err == nil:
		offer.To = control.AgentParty(a.ID)
	case !control.Is(err, control.NotFound) || strings.HasPrefix(in.To, "@"):
		return nil, err
	default:
		offer.Capability = strings.TrimPrefix(in.To, "capability:")
	}
	h, err := b.OfferHandoff(ctx, who.Call, in.Task, in.Lease, offer)
	if err != nil {
		return nil, err
	}
	n := d.names(ctx, who)
	out := &handed{ID: h.ID, State: h.State, To: n.of(h.To)}
	switch {
	case h.State == "offered" && h.Mode == "transfer":
		out.Next = "offered: it is yours until a person agrees; go on or task_release"
	case h.Mode == "transfer":
		out.Next = "handed over; stop here"
	default:
		out.Next = "go on; the other begins when this task is approved"
	}
	if h.FollowUp != "" {
		t, err := b.Task(ctx, who.Call, h.FollowUp)
		if err != nil {
			return nil, err
		}
		out.FollowUp = t.Key
	}
	return out, n.err
}

// reviews is the answer to review_list.
type reviews struct {
	next
	Reviews []waiting `json:"reviews"`
	More    bool      `json:"more,omitempty"`
}

// waiting is a review that the caller is asked to decide.
type waiting struct {
	Review    string     `json:"review"`
	Kind      string     `json:"kind"`
	Title     any        `json:"title"`
	Task      string     `json:"task,omitempty"`
	Round     int        `json:"round,omitempty"`
	By        string     `json:"by"`
	Summary   any        `json:"summary,omitempty"`
	Payload   any        `json:"payload,omitempty"`
	Choices   []string   `json:"choices,omitempty"`
	Behind    int        `json:"behind"` // tasks that wait for it
	DueAt     *time.Time `json:"due_at,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
}

func (d *Door) reviewList(ctx context.Context, who *caller, _ none) (*reviews, error) {
	all, more, err := d.cfg.Board.ReviewInbox(ctx, who.Call, control.Page{Limit: mostRows})
	if err != nil {
		return nil, err
	}
	n := d.names(ctx, who)
	out := &reviews{next: next{"stop: nothing waits for you"}, Reviews: []waiting{}, More: more != ""}
	for _, w := range all {
		r := w.Review
		row := waiting{Review: r.ID, Kind: r.Kind, Title: n.said(r.Author, r.Title), Round: r.Round, By: n.of(r.Author), Behind: w.Behind, Choices: r.Choices, CreatedAt: r.CreatedAt}
		if r.Summary != "" {
			row.Summary = n.said(r.Author, short(r.Summary))
		}
		if len(r.Payload) > 0 {
			row.Payload = n.said(r.Author, r.Payload)
		}
		if w.Task != nil {
			row.Task = w.Task.Key
		}
		if !r.DueAt.IsZero() {
			row.DueAt = &r.DueAt
		}
		out.Reviews = append(out.Reviews, row)
	}
	if len(out.Reviews) > 0 {
		out.Next = "task_get shows what is to be judged and by which criteria; then review_decide"
	}
	return out, n.err
}

// decided is the answer to review_decide.
type decided struct {
	next
	Review string `json:"review"`
	Status string `json:"status"`
}

func (d *Door) reviewDecide(ctx context.Context, who *caller, in decideArgs) (*decided, error) {
	r, err := d.cfg.Board.Decide(ctx, who.Call, in.Review, control.Decision{Verdict: in.Verdict, Comment: in.Comment})
	if err != nil {
		return nil, err
	}
	return &decided{next{"review_list shows what else waits; if nothing does, stop"}, r.ID, r.Status}, nil
}

// names finds what parties are called, and marks what other agents wrote. The
// first error stays.
type names struct {
	ctx   context.Context
	who   *caller
	board *control.Board
	known map[control.Party]string
	err   error
	marks bool // something is marked
}

func (d *Door) names(ctx context.Context, who *caller) *names {
	return &names{ctx: ctx, who: who, board: d.cfg.Board, known: map[control.Party]string{}}
}

// of is the name of a party.
func (n *names) of(p control.Party) string {
	name, ok := n.known[p]
	if ok {
		return name
	}
	name, err := n.board.CallBy(n.ctx, n.who.Call, p)
	n.err = errors.Join(n.err, err)
	n.known[p] = name
	return name
}

// quoted is what another agent wrote.
type quoted struct {
	From string `json:"quoted_from"`
	Said any    `json:"said"`
}

// said is what a party wrote: as it is, or quoted if that is another agent.
func (n *names) said(by control.Party, v any) any {
	if kind, _ := by.Split(); kind != "agent" || by == n.who.By {
		return v
	}
	n.marks = true
	return quoted{n.of(by), v}
}

// longest is how much of a text is shown in a list.
const longest = 2000

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + " … (task_get shows all of it)"
}
