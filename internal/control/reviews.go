package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lockstep-run/lockstep/internal/store"
)

// NewDeliverable is what AddDeliverable wants.
type NewDeliverable struct {
	Kind      string `json:"kind"` // text, json, file or url
	Title     string `json:"title"`
	Series    string `json:"series,omitempty"` // versions of one thing; the title unless said
	Content   string `json:"content,omitempty"`
	Blob      string `json:"blob,omitempty"` // of a file: what PutBlob answered
	URL       string `json:"url,omitempty"`
	MediaType string `json:"media_type,omitempty"`
}

// PutBlob keeps bytes under their hash, which it returns. Keeping them twice
// keeps them once.
func (b *Board) PutBlob(ctx context.Context, data []byte) (string, error) {
	if len(data) == 0 || len(data) > maxBlob {
		return "", invalid("a file has 1 to %d bytes", maxBlob)
	}
	hash := hashOf(data)
	return hash, b.w.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Record(ctx, "blob", hash)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.SaveRecord(ctx, store.Record{Kind: "blob", ID: hash, Data: data})
	})
}

// AddDeliverable posts an output, as the next version of its series. It never
// changes afterwards.
func (b *Board) AddDeliverable(ctx context.Context, c Call, task, token string, in NewDeliverable) (*Deliverable, error) {
	return write(ctx, b, c, "deliverable", func(x *op) (*Deliverable, error) {
		t, l, err := x.held(task, token, Submit)
		if err != nil {
			return nil, err
		}
		return x.deliver(t, l.Attempt, in)
	})
}

func (x *op) deliver(t *Task, attempt string, in NewDeliverable) (*Deliverable, error) {
	d := &Deliverable{Task: t.ID, Attempt: attempt, By: x.By, Series: cmp.Or(in.Series, in.Title), Kind: in.Kind, Title: in.Title,
		MediaType: in.MediaType, Content: in.Content, URL: in.URL, Size: int64(len(in.Content))}
	if in.Title == "" || len(in.Title) > maxTitle || len(d.Series) > maxTitle {
		return nil, invalid("a deliverable needs a title of at most %d bytes", maxTitle)
	}
	switch in.Kind {
	case "text", "json":
		if len(in.Content) > maxInline {
			return nil, invalid("text of more than %d bytes is a file: upload it", maxInline)
		}
		if in.Kind == "json" && !json.Valid([]byte(in.Content)) {
			return nil, invalid("the content is not JSON")
		}
		d.Hash = hashOf([]byte(in.Content))
	case "file":
		r, err := x.r.Record(x.ctx, "blob", in.Blob)
		if errors.Is(err, store.ErrNotFound) {
			return nil, invalid("there are no bytes with the hash %q: upload them first", in.Blob)
		}
		if err != nil {
			return nil, err
		}
		d.Hash, d.Size, d.Content = in.Blob, int64(len(r.Data)), ""
	case "url":
		if in.URL == "" || len(in.URL) > 4096 {
			return nil, invalid("a deliverable of kind url has a URL")
		}
		d.Hash = hashOf([]byte(in.URL))
	default:
		return nil, invalid("there is no kind %q of deliverable; it is text, json, file or url", in.Kind)
	}
	all, err := list[Deliverable](x, "task/"+t.ID, many)
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		if other.Series == d.Series {
			d.Number = max(d.Number, other.Number)
		}
	}
	d.Number++
	x.add(d)
	return d, x.emit(t.of("deliverable.created", map[string]any{"deliverable": d.ID, "series": d.Series, "number": d.Number, "title": d.Title, "hash": d.Hash}))
}

// newest pins the newest version of each series.
func (x *op) newest(t *Task) (pins []Pin, err error) {
	all, err := list[Deliverable](x, "task/"+t.ID, many)
	for _, d := range all {
		p := Pin{Deliverable: d.ID, Series: d.Series, Number: d.Number, Hash: d.Hash}
		if at := slices.IndexFunc(pins, func(p Pin) bool { return p.Series == d.Series }); at < 0 {
			pins = append(pins, p)
		} else if pins[at].Number < d.Number {
			pins[at] = p
		}
	}
	return pins, err
}

// Submission is what Submit wants.
type Submission struct {
	Summary string          `json:"summary,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
}

// Submitted is the answer to Submit.
type Submitted struct {
	Task   *Task   `json:"task"`
	Review *Review `json:"review,omitempty"` // none when nobody reviews
}

// Submit hands the result in. What comes from an attempt that was given up as
// lost is kept as a comment, and refused.
func (b *Board) Submit(ctx context.Context, c Call, task, token string, in Submission) (Submitted, error) {
	got, err := write(ctx, b, c, "submit", func(x *op) (Submitted, error) {
		t, _, err := x.held(task, token, Submit)
		if err != nil {
			return Submitted{}, err
		}
		return x.submit(t, in)
	})
	switch {
	case Is(err, LeaseLost) && c.By.isAgent():
		return got, errors.Join(err, b.keepLate(ctx, c, task, token, in))
	case Is(err, OutputInvalid) && c.By.isAgent():
		c.Key = ""
		_, counted := write(ctx, b, c, "refused", func(x *op) (struct{}, error) {
			a, err := x.agentCaller()
			if err != nil {
				return struct{}{}, err
			}
			a.Refused++
			x.put(a)
			return struct{}{}, x.emit(Event{Type: "agent.output_refused", Agent: a.ID, Data: map[string]any{"task": task}})
		})
		return got, errors.Join(err, counted)
	}
	return got, err
}

// keepLate keeps the result of a lost attempt as a comment, once.
func (b *Board) keepLate(ctx context.Context, c Call, task, token string, in Submission) error {
	c.Key = ""
	_, err := write(ctx, b, c, "late", func(x *op) (struct{}, error) {
		t, err := x.task(task)
		if err != nil {
			return struct{}{}, err
		}
		attempts, err := list[Attempt](x, "task/"+t.ID, many)
		if err != nil {
			return struct{}{}, err
		}
		for _, a := range attempts {
			if a.By != x.By || a.Status != "lost" || token != b.token(a.ID) {
				continue
			}
			body := fmt.Sprintf("Late result of attempt %d, which was lost by then:\n\n%s\n", a.Number, in.Summary)
			if len(in.Output) > 0 {
				body += "\n```json\n" + string(in.Output) + "\n```\n"
			}
			comments, err := list[Comment](x, "task/"+t.ID+"/", many)
			if err != nil || slices.ContainsFunc(comments, func(c *Comment) bool { return c.Marker == "late_result" && c.Body == body }) {
				return struct{}{}, err
			}
			return struct{}{}, x.say(t, "system", "late_result", body[:min(len(body), maxText)], "")
		}
		return struct{}{}, nil
	})
	return err
}

func (x *op) submit(t *Task, in Submission) (Submitted, error) {
	children, err := x.openChildren(t)
	if err != nil {
		return Submitted{}, err
	}
	if t.HoldForChildren && len(children) > 0 {
		return Submitted{}, refuse(ChildrenOpen, map[string]any{"children": children}, "%s waits for its children %v", t.Key, children)
	}
	pins, err := x.newest(t)
	if err != nil {
		return Submitted{}, err
	}
	if len(pins) == 0 && len(in.Output) == 0 && in.Summary == "" {
		return Submitted{}, refuse(SubmissionEmpty, nil, "hand in a deliverable, an output or a summary")
	}
	if len(in.Summary) > maxText || len(in.Output) > maxInline {
		return Submitted{}, invalid("the summary or the output is too long: post a deliverable")
	}
	if err := checkOutput(t.OutputSchema, in.Output); err != nil {
		return Submitted{}, err
	}
	if t.Source.over() {
		return Submitted{}, refuse(NoLongerWaiting, nil, "the state that waited for %s has gone on", t.Key)
	}
	author := t.Assignee
	if _, err := x.endLease(t, "succeeded", nil); err != nil {
		return Submitted{}, err
	}
	if err := x.closeReviews(t, "withdrawn"); err != nil { // plans, actions and questions of the attempt
		return Submitted{}, err
	}
	if err := x.closeHandoffs(t); err != nil {
		return Submitted{}, err
	}
	t.Output, t.Summary, t.Submitted = in.Output, in.Summary, true
	if t.ReviewMode == ReviewNone {
		t.approved(pins)
		if err := x.move(t, Submit, Done, nil); err != nil {
			return Submitted{}, err
		}
		return Submitted{Task: t}, x.notify(t, "done", t.CreatedBy)
	}
	t.Round++
	r := &Review{Project: t.Project, Task: t.ID, Kind: "deliverable", Title: t.Title, Round: t.Round, Author: author, Pinned: pins,
		Output: in.Output, Summary: in.Summary, RequiredApprovals: t.RequiredApprovals}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return Submitted{}, err
	}
	human := t.Reviewers
	if len(human) == 0 {
		human = p.Policies.Reviewers
	}
	if len(human) == 0 {
		human = []Party{"role:reviewer"}
	}
	switch t.ReviewMode {
	case ReviewHuman:
		r.Reviewers = human
	case ReviewLead:
		r.Reviewers = []Party{"lead"}
	case ReviewLeadThenHuman:
		r.Reviewers, r.Stage = []Party{"lead"}, "lead"
		if leads, err := x.deciders(r); err != nil {
			return Submitted{}, err
		} else if len(leads) == 0 {
			r.Reviewers, r.Stage = human, "human"
		}
	}
	if err := x.move(t, Submit, InReview, map[string]any{"round": t.Round}); err != nil {
		return Submitted{}, err
	}
	r, err = x.request(r)
	return Submitted{Task: t, Review: r}, err
}

func (t *Task) approved(pins []Pin) {
	t.Approved = nil
	for _, p := range pins {
		t.Approved = append(t.Approved, p.Deliverable)
	}
}

// nothing loads no schema from anywhere.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema: put it under $defs", url)
}

func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

// checkOutput refuses an output that does not fit its schema.
func checkOutput(schema, output json.RawMessage) error {
	if len(output) > 0 && !json.Valid(output) {
		return refuse(OutputInvalid, map[string]any{"violations": []string{"it is not JSON"}}, "the output is not JSON")
	}
	if len(schema) == 0 {
		return nil
	}
	s, err := compile(schema)
	if err != nil {
		return err
	}
	var violations []string
	if len(output) == 0 {
		violations = []string{"there is no output"}
	} else {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(output))
		if err != nil {
			return err
		}
		var e *jsonschema.ValidationError
		switch err := s.Validate(doc); {
		case err == nil:
			return nil
		case errors.As(err, &e):
			for _, u := range e.BasicOutput().Errors {
				if u.Error != nil {
					violations = append(violations, fmt.Sprintf("%s: %s", cmp.Or(u.InstanceLocation, "/"), u.Error))
				}
			}
		default:
			violations = []string{err.Error()}
		}
	}
	return refuse(OutputInvalid, map[string]any{"violations": violations}, "the output does not fit the schema: %v", violations)
}

// request makes a pending review and tells who can decide it.
func (x *op) request(r *Review) (*Review, error) {
	p, err := get[Project](x, r.Project)
	if err != nil {
		return nil, err
	}
	policies := p.Policies.withDefaults()
	r.Status, r.Author, r.RequiredApprovals = "pending", cmp.Or(r.Author, x.By), max(r.RequiredApprovals, 1)
	r.OnExpiry = cmp.Or(r.OnExpiry, policies.OnExpiry)
	r.Round = max(r.Round, 1)
	if len(r.Output) > 0 {
		r.OutputHash = hashOf(r.Output)
	}
	if r.DueAt.IsZero() && policies.ReviewDue > 0 {
		r.DueAt = x.At.Add(policies.ReviewDue)
	}
	x.add(r)
	return r, x.tell(r, "review.created", "review_requested", "")
}

// tell emits an event about a review with a notification of its deciders, and
// wakes those who are agents. Without deciders the project's owner becomes one.
func (x *op) tell(r *Review, kind, notice, extra string) error {
	who, err := x.deciders(r)
	if err != nil {
		return err
	}
	p, err := get[Project](x, r.Project)
	if err != nil {
		return err
	}
	if len(who) == 0 {
		r.Reviewers = append(r.Reviewers, p.Owner)
		who = []Party{p.Owner}
	}
	x.put(r)
	e := Event{Type: kind, Project: r.Project, Task: r.Task, Review: r.ID,
		Data: map[string]any{"kind": r.Kind, "title": r.Title, "round": r.Round, "reviewers": r.Reviewers, "stage": r.Stage}}
	var t *Task
	if r.Task != "" {
		if t, err = get[Task](x, r.Task); err != nil {
			return err
		}
		e.Key = t.Key
	}
	if e.Notify, err = x.notice(r.Project, notice, r.ID+"/"+r.Stage+extra, who...); err != nil {
		return err
	}
	if !slices.ContainsFunc(who, Party.isUser) {
		e.Notify = nil
	}
	for _, w := range who {
		if w.isAgent() && t != nil {
			if err := x.wakeAgent(w.id(), t, "manual", "a review waits for you: "+r.Title, false); err != nil {
				return err
			}
		}
	}
	return x.emit(e)
}

// deciders lists who is asked to decide a review: active, and not its author
// where that is an agent.
func (x *op) deciders(r *Review) (all []Party, err error) {
	for _, p := range r.Reviewers {
		some, err := x.active(p, r.Project)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			if !slices.Contains(all, p) && !(p == r.Author && p.isAgent()) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// mayDecide reports whether a party may decide a review: who is asked to, and
// people who review in this project anyway.
func (x *op) mayDecide(p Party, r *Review) (bool, error) {
	if p.isAgent() && p == r.Author {
		return false, nil
	}
	who, err := x.deciders(r)
	if err != nil || slices.Contains(who, p) {
		return err == nil, err
	}
	if !p.isUser() {
		return false, nil
	}
	role, err := x.role(p.id(), r.Project)
	return ranks[role] >= ranks[Reviewer], err
}

// needReviewer keeps the promise that a task in review has a pending review
// that somebody active can decide.
func (x *op) needReviewer(t *Task) error {
	r, err := x.pending(t)
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("control: %s is in review without a review", t.Key)
	}
	who, err := x.deciders(r)
	if err != nil || len(who) > 0 {
		return err
	}
	return x.tell(r, "review.reassigned", "review_requested", "/reassigned/"+stamp(x.At))
}

// checkReviews looks at all pending reviews after somebody has gone.
func (x *op) checkReviews() error {
	all, err := list[Review](x, "open/"+x.Workspace+"/", many)
	for _, r := range all {
		who, err := x.deciders(r)
		if err != nil {
			return err
		}
		if len(who) == 0 {
			if err := x.tell(r, "review.reassigned", "review_requested", "/reassigned/"+stamp(x.At)); err != nil {
				return err
			}
		}
	}
	return err
}

// pending is the review that a task in review waits for.
func (x *op) pending(t *Task) (*Review, error) {
	all, err := list[Review](x, "task/"+t.ID, many)
	for _, r := range all {
		if r.Kind == "deliverable" && r.Status == "pending" {
			return r, nil
		}
	}
	return nil, err
}

// closeReviews ends all pending reviews of a task.
func (x *op) closeReviews(t *Task, status string) error {
	all, err := list[Review](x, "task/"+t.ID, many)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Status == "pending" {
			if err := x.close(r, status); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *op) close(r *Review, status string) error {
	r.Status, r.DecidedAt = status, x.At
	if r.Source != nil {
		r.Source.Waiting = false // what waited hears of the end now
	}
	x.put(r)
	e := Event{Type: "review." + status, Project: r.Project, Task: r.Task, Review: r.ID, Data: map[string]any{"kind": r.Kind, "round": r.Round}}
	if r.Task != "" {
		t, err := get[Task](x, r.Task)
		if err != nil {
			return err
		}
		e.Key = t.Key
	}
	return x.emit(e)
}

// NewReview is what RequestReview wants.
type NewReview struct {
	Project           string          `json:"project,omitempty"` // of a review without a task
	Task              string          `json:"task,omitempty"`
	Kind              string          `json:"kind"` // plan, action or question; without a task deliverable, too
	Title             string          `json:"title"`
	Payload           json.RawMessage `json:"payload,omitempty"`
	Choices           []string        `json:"choices,omitempty"`
	Reviewers         []Party         `json:"reviewers,omitempty"`
	RequiredApprovals int             `json:"required_approvals,omitempty"`
	DueAt             time.Time       `json:"due_at,omitzero"`
	OnExpiry          OnExpiry        `json:"on_expiry,omitempty"`
	Source            *Source         `json:"source,omitempty"` // by the engine alone
}

// RequestReview asks for a decision about work that goes on, or one that no
// task is about. Only Submit asks for the acceptance of a task's result. A plan
// of a task that is pending already is withdrawn: this is its next round.
func (b *Board) RequestReview(ctx context.Context, c Call, token string, in NewReview) (*Review, error) {
	return write(ctx, b, c, "request", func(x *op) (*Review, error) {
		if in.Title == "" || len(in.Title) > maxTitle || len(in.Payload) > maxInline || len(in.Payload) > 0 && !json.Valid(in.Payload) {
			return nil, invalid("a review needs a title, and its payload is JSON of at most %d bytes", maxInline)
		}
		if !slices.Contains([]OnExpiry{"", Escalate, RejectOnTime, ApproveOnTime}, in.OnExpiry) {
			return nil, invalid("on_expiry is escalate, reject or approve, not %q", in.OnExpiry)
		}
		r := &Review{Kind: in.Kind, Title: in.Title, Payload: in.Payload, Choices: in.Choices, RequiredApprovals: in.RequiredApprovals,
			DueAt: in.DueAt.UTC(), OnExpiry: in.OnExpiry}
		kinds := []string{"plan", "action", "question"}
		if in.Task == "" {
			p, err := x.project(in.Project)
			if err != nil {
				return nil, err
			}
			if err := x.need(p.ID, "comment"); err != nil {
				return nil, err
			}
			r.Project = p.ID
			if err := x.bindReview(r, in.Source); err != nil {
				return nil, err
			}
			kinds = append(kinds, "deliverable")
		} else {
			t, _, err := x.held(in.Task, token, Progress)
			if err != nil {
				return nil, err
			}
			r.Project, r.Task, r.Pinned = t.Project, t.ID, nil
			if in.Kind == "plan" {
				if r.Pinned, err = x.newest(t); err != nil {
					return nil, err
				}
			}
			all, err := list[Review](x, "task/"+t.ID, many)
			if err != nil {
				return nil, err
			}
			for _, old := range all {
				if old.Kind == in.Kind && in.Kind == "plan" {
					r.Round = max(r.Round, old.Round+1)
					if old.Status == "pending" {
						if err := x.close(old, "withdrawn"); err != nil {
							return nil, err
						}
					}
				}
			}
		}
		if !slices.Contains(kinds, in.Kind) {
			return nil, invalid("there is no such kind %q; it is one of %v", in.Kind, kinds)
		}
		var err error
		if r.Reviewers, err = x.parties(in.Reviewers); err != nil {
			return nil, err
		}
		if len(r.Reviewers) == 0 {
			r.Reviewers = []Party{"role:reviewer"}
		}
		return x.request(r)
	})
}

// Decision is what Decide wants.
type Decision struct {
	Verdict   string          `json:"verdict"` // approve, changes_requested or reject; accept, edit, respond or ignore; answer
	Comment   string          `json:"comment,omitempty"`
	Edited    *Edited         `json:"edited,omitempty"`
	FollowUps []string        `json:"follow_ups,omitempty"` // titles of tasks that depend on this one
	Response  json.RawMessage `json:"response,omitempty"`   // of an edit or a respond
}

// Edited is what a reviewer changed before they approved.
type Edited struct {
	Output       json.RawMessage  `json:"output,omitempty"`
	Deliverables []NewDeliverable `json:"deliverables,omitempty"`
}

var verdicts = map[string][]string{
	"deliverable": {"approve", "changes_requested", "reject"},
	"plan":        {"approve", "changes_requested", "reject"},
	"action":      {"accept", "edit", "respond", "ignore"},
	"question":    {"answer"},
}

var outcomes = map[string]string{
	"approve": "approved", "changes_requested": "changes_requested", "reject": "rejected",
	"accept": "approved", "edit": "approved", "respond": "answered", "ignore": "rejected", "answer": "answered",
}

// Decide gives a verdict. It is final once it has counted.
func (b *Board) Decide(ctx context.Context, c Call, review string, in Decision) (*Review, error) {
	return write(ctx, b, c, "decide", func(x *op) (*Review, error) {
		r, err := get[Review](x, review)
		if err != nil {
			return nil, err
		}
		if err := x.need(r.Project, "read"); err != nil {
			return nil, err
		}
		if ok, err := x.mayDecide(x.By, r); err != nil || !ok {
			return nil, cmp.Or(err, refuse(Forbidden, nil, "you are not asked to decide this review"))
		}
		if r.Status != "pending" {
			return nil, x.closed(r)
		}
		if err := x.same(r); err != nil {
			return nil, err
		}
		if !slices.Contains(verdicts[r.Kind], in.Verdict) {
			return nil, invalid("%q is no verdict on a %s; it is one of %v", in.Verdict, r.Kind, verdicts[r.Kind])
		}
		if len(in.Comment) > maxText || len(in.Response) > maxInline || len(in.Response) > 0 && !json.Valid(in.Response) {
			return nil, invalid("the comment or the response is too long, or no JSON")
		}
		return r, x.decide(r, in)
	})
}

// closed refuses a verdict on a review that is not pending.
func (x *op) closed(r *Review) error {
	if r.Status == "withdrawn" && r.Task != "" {
		t, err := get[Task](x, r.Task)
		if err != nil {
			return err
		}
		if t.Source.over() {
			return refuse(NoLongerWaiting, nil, "the state that waited for %s has gone on", t.Key)
		}
	}
	if r.Status == "withdrawn" && r.Source != nil {
		return refuse(NoLongerWaiting, nil, "the state that waited for this decision has gone on")
	}
	return refuse(ReviewClosed, map[string]any{"status": r.Status}, "the review is %s: verdicts are final", r.Status)
}

func (x *op) decide(r *Review, in Decision) error {
	var t *Task
	if r.Task != "" {
		var err error
		if t, err = get[Task](x, r.Task); err != nil {
			return err
		}
		if t.Source.over() {
			return refuse(NoLongerWaiting, nil, "the state that waited for %s has gone on", t.Key)
		}
	}
	if t == nil && in.Edited != nil {
		if in.Verdict != "approve" || len(in.Edited.Deliverables) > 0 {
			return invalid("of a payload that is approved the output can be edited, nothing else")
		}
		in.Response, in.Edited = in.Edited.Output, nil
	}
	if err := r.choose(&in); err != nil {
		return err
	}
	if in.Edited != nil {
		if in.Verdict != "approve" || r.Kind != "deliverable" || t == nil {
			return invalid("only a result that is approved can be edited")
		}
		if err := x.edit(r, t, in.Edited); err != nil {
			return err
		}
	}
	v := Verdict{By: x.By, Verdict: in.Verdict, Comment: in.Comment, Stage: r.Stage, Edited: in.Response, At: x.At}
	r.Verdicts = slices.DeleteFunc(r.Verdicts, func(old Verdict) bool { return old.By == x.By && old.Stage == r.Stage })
	r.Verdicts = append(r.Verdicts, v)
	x.put(r)
	if t != nil && in.Comment != "" {
		if err := x.say(t, "message", "", in.Comment, r.ID); err != nil {
			return err
		}
	}
	if t != nil {
		for _, title := range in.FollowUps {
			if _, err := x.create(NewTask{Project: t.Project, Title: title, DependsOn: []DependsOn{{Task: t.ID, PassDeliverables: true}}}); err != nil {
				return err
			}
		}
	}
	if in.Verdict == "approve" {
		approvals, required := 0, r.RequiredApprovals
		for _, v := range r.Verdicts {
			if v.Verdict == "approve" && v.Stage == r.Stage {
				approvals++
			}
		}
		if r.Stage == "lead" {
			required = 1
		}
		if approvals < required {
			return x.emit(Event{Type: "review.verdict", Project: r.Project, Task: r.Task, Review: r.ID, Data: map[string]any{"approvals": approvals, "required": required}})
		}
		if r.Stage == "lead" {
			return x.humanStage(r, t)
		}
	}
	if err := x.close(r, outcomes[in.Verdict]); err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	if r.Kind != "deliverable" {
		return x.answer(r, t, in)
	}
	return x.judge(r, t, in.Verdict, in.Comment)
}

// humanStage passes a review on after a lead has approved.
func (x *op) humanStage(r *Review, t *Task) error {
	p, err := get[Project](x, r.Project)
	if err != nil {
		return err
	}
	r.Stage, r.Reviewers = "human", t.Reviewers
	if len(r.Reviewers) == 0 {
		r.Reviewers = p.Policies.Reviewers
	}
	if len(r.Reviewers) == 0 {
		r.Reviewers = []Party{"role:reviewer"}
	}
	return x.tell(r, "review.stage", "review_requested", "")
}

// edit keeps a reviewer's version of the result and pins it.
func (x *op) edit(r *Review, t *Task, e *Edited) error {
	if len(e.Output) > 0 {
		if err := checkOutput(t.OutputSchema, e.Output); err != nil {
			return err
		}
		r.Output, r.OutputHash, t.Output = e.Output, hashOf(e.Output), e.Output
		x.put(t)
	}
	for _, in := range e.Deliverables {
		d, err := x.deliver(t, "", in)
		if err != nil {
			return err
		}
		pin := Pin{Deliverable: d.ID, Series: d.Series, Number: d.Number, Hash: d.Hash}
		if at := slices.IndexFunc(r.Pinned, func(p Pin) bool { return p.Series == d.Series }); at >= 0 {
			r.Pinned[at] = pin
		} else {
			r.Pinned = append(r.Pinned, pin)
		}
	}
	return nil
}

// judge moves a task as its review ended.
func (x *op) judge(r *Review, t *Task, verdict, comment string) error {
	data := map[string]any{"review": r.ID, "round": r.Round}
	switch verdict {
	case "approve":
		t.approved(r.Pinned)
		if err := x.move(t, Approve, Done, data); err != nil {
			return err
		}
		return x.notify(t, "done", t.CreatedBy)
	case "reject":
		if err := x.move(t, Reject, Failed, data); err != nil {
			return err
		}
		return x.notify(t, "failed", t.CreatedBy)
	}
	p, err := get[Project](x, t.Project)
	if err != nil {
		return err
	}
	t.ReworkCount++
	t.Submitted = false
	if t.ReworkCount > p.Policies.withDefaults().MaxRework {
		return x.block(t, ChangesRequested, Blocking{Kind: "decision", Reason: fmt.Sprintf("changes were requested %d times", t.ReworkCount),
			Action: "decide how this goes on: reword the task, reassign it or cancel it"}, p.Owner, nil)
	}
	if err := x.move(t, ChangesRequested, Assigned, data); err != nil {
		return err
	}
	return x.wakeOpen(t, "changes_requested", comment)
}

// answer takes the verdict on a plan, an action or a question to who asked.
func (x *op) answer(r *Review, t *Task, in Decision) error {
	if t.State == Blocked && t.Block.Review == r.ID {
		return x.unblock(t, Answer, "unblocked", map[string]any{"review": r.ID, "note": in.Comment})
	}
	if r.Author.isAgent() && !t.State.Terminal() {
		return x.wakeAgent(r.Author.id(), t, "answer", in.Comment, false)
	}
	return nil
}

// AnswerBlock answers the question that a task is blocked by.
func (b *Board) AnswerBlock(ctx context.Context, c Call, task, text string) (*Task, error) {
	return write(ctx, b, c, "answer", func(x *op) (*Task, error) {
		t, err := x.see(task)
		if err != nil {
			return nil, err
		}
		if row(t.State, Answer) == nil || t.Block.Review == "" {
			return nil, invalidTransition(t, Answer)
		}
		r, err := get[Review](x, t.Block.Review)
		if err != nil {
			return nil, err
		}
		if ok, err := x.mayDecide(x.By, r); err != nil || !ok {
			return nil, cmp.Or(err, refuse(Forbidden, nil, "the question is not for you"))
		}
		if err := x.same(t); err != nil {
			return nil, err
		}
		return t, x.decide(r, Decision{Verdict: "answer", Comment: text})
	})
}

// Withdraw takes a submission back: by who made it, or whoever may edit the
// task.
func (b *Board) Withdraw(ctx context.Context, c Call, task string) (*Task, error) {
	return write(ctx, b, c, "withdraw", func(x *op) (*Task, error) {
		t, err := x.see(task)
		if err != nil {
			return nil, err
		}
		if err := x.needEdit(t); err != nil && t.Assignee != x.By {
			return nil, err
		}
		if err := x.same(t); err != nil {
			return nil, err
		}
		if row(t.State, Withdraw) == nil {
			return nil, invalidTransition(t, Withdraw)
		}
		if err := x.closeReviews(t, "withdrawn"); err != nil {
			return nil, err
		}
		t.Submitted = false
		if t.Assignee == x.By {
			if err := x.later(t); err != nil {
				return nil, err
			}
		}
		if err := x.move(t, Withdraw, Assigned, nil); err != nil {
			return nil, err
		}
		return t, x.wakeOpen(t, "assigned", "the submission was withdrawn")
	})
}

// Delegate passes a review on to another who may decide it.
func (b *Board) Delegate(ctx context.Context, c Call, review string, to Party) (*Review, error) {
	return write(ctx, b, c, "delegate", func(x *op) (*Review, error) {
		r, err := get[Review](x, review)
		if err != nil {
			return nil, err
		}
		if ok, err := x.mayDecide(x.By, r); err != nil || !ok {
			return nil, cmp.Or(err, refuse(Forbidden, nil, "you are not asked to decide this review"))
		}
		if r.Status != "pending" {
			return nil, refuse(ReviewClosed, map[string]any{"status": r.Status}, "the review is %s", r.Status)
		}
		if to, err = x.party(to); err != nil {
			return nil, err
		}
		who, err := x.active(to, r.Project)
		if err != nil {
			return nil, err
		}
		able := len(who) == 1 && who[0] == to && !(to == r.Author && to.isAgent())
		if able && to.isAgent() {
			a, err := get[Agent](x, to.id())
			if err != nil {
				return nil, err
			}
			able = a.Role == "lead"
		} else if able {
			role, err := x.role(to.id(), r.Project)
			if err != nil {
				return nil, err
			}
			able = ranks[role] >= ranks[Member]
		}
		if !able {
			return nil, invalid("%s may not decide this review", to)
		}
		r.Reviewers = slices.DeleteFunc(r.Reviewers, func(p Party) bool { return p == x.By || p == to })
		r.Reviewers = append(r.Reviewers, to)
		r.Delegations = append(r.Delegations, Delegation{From: x.By, To: to, At: x.At})
		return r, x.tell(r, "review.delegated", "review_requested", "/"+string(to))
	})
}

// Snooze hides a review from the calling user's inbox until a time.
func (b *Board) Snooze(ctx context.Context, c Call, review string, until time.Time) error {
	_, err := write(ctx, b, c, "snooze", func(x *op) (struct{}, error) {
		r, err := get[Review](x, review)
		if err != nil {
			return struct{}{}, err
		}
		if err := x.need(r.Project, "read"); err != nil {
			return struct{}{}, err
		}
		if !x.By.isUser() || r.Status != "pending" {
			return struct{}{}, refuse(ReviewClosed, map[string]any{"status": r.Status}, "only people snooze, and only pending reviews")
		}
		if r.Snoozed == nil {
			r.Snoozed = map[string]time.Time{}
		}
		r.Snoozed[x.By.id()] = until.UTC()
		x.put(r)
		return struct{}{}, x.emit(Event{Type: "review.snoozed", Project: r.Project, Task: r.Task, Review: r.ID, Data: map[string]any{"until": until}})
	})
	return err
}

// nextDue is when a pending review wants attention next: at half its time, and
// at its end.
func (r *Review) nextDue() time.Time {
	switch {
	case r.DueAt.IsZero() || r.Escalated:
		return time.Time{}
	case r.Reminders == 0:
		return r.CreatedAt.Add(r.DueAt.Sub(r.CreatedAt) / 2)
	default:
		return r.DueAt
	}
}

// expire does what is due of a pending review.
func (x *op) expire(r *Review) error {
	r.Reminders++
	x.put(r)
	if x.At.Before(r.DueAt) {
		return x.tell(r, "review.reminder", "review_due", fmt.Sprint("/", r.Reminders))
	}
	var t *Task
	if r.Task != "" {
		var err error
		if t, err = get[Task](x, r.Task); err != nil {
			return err
		}
	}
	if r.OnExpiry == Escalate || r.Kind == "question" {
		p, err := get[Project](x, r.Project)
		if err != nil {
			return err
		}
		r.Escalated = true
		if !slices.Contains(r.Reviewers, p.Owner) {
			r.Reviewers = append(r.Reviewers, p.Owner)
		}
		if t != nil && t.State == InReview {
			if err := x.move(t, Expired, InReview, map[string]any{"review": r.ID}); err != nil {
				return err
			}
		}
		return x.tell(r, "review.escalated", "review_due", "/escalated")
	}
	if err := x.close(r, "expired"); err != nil || t == nil {
		return err
	}
	if r.Kind != "deliverable" {
		if r.Author.isAgent() {
			return x.wakeAgent(r.Author.id(), t, "answer", "nobody decided in time: "+string(r.OnExpiry), false)
		}
		return nil
	}
	if r.OnExpiry == ApproveOnTime {
		t.approved(r.Pinned)
		if err := x.move(t, Expired, Done, map[string]any{"review": r.ID}); err != nil {
			return err
		}
		return x.notify(t, "done", t.CreatedBy)
	}
	if err := x.move(t, Expired, Failed, map[string]any{"review": r.ID}); err != nil {
		return err
	}
	return x.notify(t, "failed", t.CreatedBy)
}
