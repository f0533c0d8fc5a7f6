package control

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Party is who does something or is asked to: "user:ID", "agent:ID",
// "service:ID" (a service key, which is never asked to), "role:ROLE" (whoever has it in the project), "lead" (any lead agent of the
// project) or "system". Where operations take one, "@name" and "user:NAME" or
// "agent:SLUG" do as well.
type Party string

// System is the server itself.
const System Party = "system"

// User and AgentParty name a party by its id.
func User(id string) Party       { return Party("user:" + id) }
func AgentParty(id string) Party { return Party("agent:" + id) }

// Split gives the kind of a party and its id or role.
func (p Party) Split() (kind, id string) {
	kind, id, _ = strings.Cut(string(p), ":")
	return kind, id
}

func (p Party) isAgent() bool { return strings.HasPrefix(string(p), "agent:") }
func (p Party) isUser() bool  { return strings.HasPrefix(string(p), "user:") }
func (p Party) id() string    { _, id := p.Split(); return id }

// base is what every record has.
type base struct {
	ID        string    `json:"id"`
	Workspace string    `json:"workspace"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
}

func (b *base) header() *base { return b }

// Revision is the version of a record, which a change may be bound to.
func (b *base) Revision() int64 { return b.Version }

// Workspace is a tenant.
type Workspace struct {
	base
	Name string `json:"name"`
}

// Role is what a user may do in a project or, as a member of the workspace,
// in all of them.
type Role string

// The roles, each with what those after it may do.
const (
	Owner    Role = "owner"
	Admin    Role = "admin"
	Reviewer Role = "reviewer"
	Member   Role = "member"
	Viewer   Role = "viewer"
)

// Person is a user: a human of the workspace.
type Person struct {
	base
	Name    string `json:"name"` // unique, as in @name
	Display string `json:"display,omitempty"`
	Email   string `json:"email,omitempty"`
	Role    Role   `json:"role"` // in the whole workspace; a project may say more
	Removed bool   `json:"removed,omitempty"`
}

// Project is a board with its policies.
type Project struct {
	base
	Key      string          `json:"key"` // as in WEB-12
	Name     string          `json:"name"`
	Owner    Party           `json:"owner"` // a user, who answers where nobody else can
	Members  map[string]Role `json:"members,omitempty"`
	Policies Policies        `json:"policies"`
	Next     int64           `json:"next"` // number of the next task
}

// Policies are a project's defaults for its tasks. In JSON, times are seconds.
type Policies struct {
	ReviewMode       ReviewMode    `json:"review_mode"`
	Reviewers        []Party       `json:"reviewers,omitempty"`
	MaxAttempts      int           `json:"max_attempts"`
	MaxRework        int           `json:"max_rework"`
	Lease            time.Duration `json:"lease"`
	StallAfter       time.Duration `json:"stall_after"`
	AckTimeout       time.Duration `json:"ack_timeout"`
	ReviewDue        time.Duration `json:"review_due,omitempty"` // 0: none
	OnExpiry         OnExpiry      `json:"on_expiry"`
	HandoffDue       time.Duration `json:"handoff_due"`
	ApproveHandoffs  bool          `json:"approve_handoffs,omitempty"` // hand-offs wait to be accepted
	PauseFailing     bool          `json:"pause_failing,omitempty"`
	FailingAfter     int           `json:"failing_after"`
	MentionsPerHour  int           `json:"mentions_per_hour"` // by agents of agents, for each task
	WakeTries        int           `json:"wake_tries"`
	HeartbeatSeconds int           `json:"heartbeat_seconds"`
	WIP              map[State]int `json:"wip,omitempty"` // how many tasks may be in progress at once; none: as many as like
}

// withDefaults fills in what is not said.
func (p Policies) withDefaults() Policies {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	num := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	if p.ReviewMode == "" {
		p.ReviewMode = ReviewHuman
	}
	if p.OnExpiry == "" {
		p.OnExpiry = Escalate
	}
	num(&p.MaxAttempts, 3)
	num(&p.MaxRework, 3)
	num(&p.FailingAfter, 3)
	num(&p.MentionsPerHour, 10)
	num(&p.WakeTries, 8)
	num(&p.HeartbeatSeconds, 60)
	def(&p.Lease, 10*time.Minute)
	def(&p.StallAfter, p.Lease/2)
	def(&p.AckTimeout, 5*time.Minute)
	def(&p.HandoffDue, 24*time.Hour)
	return p
}

// AgentAdmin is the part of an agent's state that people decide.
type AgentAdmin string

// The admin states.
const (
	Active  AgentAdmin = "active"
	Paused  AgentAdmin = "paused"
	Retired AgentAdmin = "retired"
)

// Agent is an automated worker.
type Agent struct {
	base
	Slug         string          `json:"slug"` // as in @slug
	Name         string          `json:"name,omitempty"`
	Role         string          `json:"role"` // worker or lead
	Capabilities []string        `json:"capabilities,omitempty"`
	Projects     []string        `json:"projects"`             // ids
	Runtime      string          `json:"runtime"`              // openclaw, claude_code, codex, http or custom
	Connection   json.RawMessage `json:"connection,omitempty"` // how it is reached; secrets are kept elsewhere
	Push         bool            `json:"push,omitempty"`       // wakeups are delivered to it; else it fetches them
	Slots        int             `json:"slots"`
	Admin        AgentAdmin      `json:"admin"`
	PausedBy     Party           `json:"paused_by,omitempty"`
	PauseReason  string          `json:"pause_reason,omitempty"` // manual, budget or failures
	Failures     int             `json:"failures,omitempty"`     // attempts in a row that failed
	Refused      int             `json:"refused,omitempty"`      // submissions with an output that does not fit
}

// signal is what was last seen of an agent, apart from the record that people
// edit, since it is written all the time.
type signal struct {
	base             // ID is the agent's
	First  time.Time `json:"first,omitzero"` // zero: it was never heard of
	At     time.Time `json:"at,omitzero"`
	Limit  int64     `json:"limit"`            // seconds of silence until it is offline
	Label  string    `json:"label"`            // the last one told in an event
	Since  time.Time `json:"since"`            // of the label
	Active bool      `json:"active,omitempty"` // offline is worth an event
}

// ReviewMode says who accepts a task's result.
type ReviewMode string

// The review modes.
const (
	ReviewNone          ReviewMode = "none"
	ReviewHuman         ReviewMode = "human"
	ReviewLead          ReviewMode = "lead"
	ReviewLeadThenHuman ReviewMode = "lead_then_human"
)

// Task is a unit of work with at most one assignee.
type Task struct {
	base
	Project            string          `json:"project"`
	Key                string          `json:"key"`
	Title              string          `json:"title"`
	Description        string          `json:"description,omitempty"`
	AcceptanceCriteria []string        `json:"acceptance_criteria,omitempty"`
	Priority           Priority        `json:"priority"`
	Labels             []string        `json:"labels,omitempty"`
	Capabilities       []string        `json:"capabilities,omitempty"`
	Assignee           Party           `json:"assignee,omitempty"`
	Reviewers          []Party         `json:"reviewers,omitempty"`
	ReviewMode         ReviewMode      `json:"review_mode"`
	RequiredApprovals  int             `json:"required_approvals"`
	DueAt              time.Time       `json:"due_at,omitzero"`
	Parent             string          `json:"parent,omitempty"`
	HoldForChildren    bool            `json:"hold_for_children,omitempty"`
	Input              json.RawMessage `json:"input,omitempty"`
	OutputSchema       json.RawMessage `json:"output_schema,omitempty"`
	Output             json.RawMessage `json:"output,omitempty"`
	Summary            string          `json:"summary,omitempty"`
	Budget             int64           `json:"budget,omitempty"` // nano-USD; 0: none of its own
	Rank               string          `json:"rank,omitempty"`
	MaxAttempts        int             `json:"max_attempts"`
	Source             *Source         `json:"source,omitempty"` // the state that waits for it
	CreatedBy          Party           `json:"created_by"`
	Recurring          string          `json:"recurring,omitempty"` // what made it
	UpdatedAt          time.Time       `json:"updated_at"`          // when anything of it changed
	TextBy             Party           `json:"text_by,omitempty"`   // the agent that last changed its texts, if one has

	State       State      `json:"state"`
	StateSince  time.Time  `json:"state_since"`
	Submitted   bool       `json:"submitted,omitempty"` // has reached review in its current round
	Round       int        `json:"round"`               // reviews of its result so far
	ReworkCount int        `json:"rework_count,omitempty"`
	Spent       int        `json:"spent,omitempty"` // attempts that count towards max_attempts
	Fence       int64      `json:"fence,omitempty"` // attempts ever made
	NotBefore   time.Time  `json:"not_before,omitzero"`
	Block       *BlockedBy `json:"block,omitempty"`
	Approved    []string   `json:"approved,omitempty"` // deliverables of the round that was approved
	Flags       []string   `json:"flags,omitempty"`
	Percent     int        `json:"percent,omitempty"`
}

// Source is the state of an execution that a task or a review is for.
type Source struct {
	Execution string `json:"execution"` // ARN
	State     string `json:"state"`
	Entry     string `json:"entry"`              // which of its entries into the state
	Waiting   bool   `json:"waiting"`            // the state waits for it, and the wait has not ended
	Detached  bool   `json:"detached,omitempty"` // the state made it and never waits
}

// BlockedBy says what a blocked task waits for.
type BlockedBy struct {
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	Owner  Party     `json:"owner"`
	Action string    `json:"action"`
	Review string    `json:"review,omitempty"`
	At     time.Time `json:"at"`
}

// Priority orders work.
type Priority string

// The priorities.
const (
	Urgent Priority = "urgent"
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

func (p Priority) digit() string {
	return map[Priority]string{Urgent: "0", High: "1", Normal: "2", Low: "3"}[p]
}

// order sorts tasks as they are to be begun: priority, due date, rank, age.
func (t *Task) order() string {
	due := "9"
	if !t.DueAt.IsZero() {
		due = stamp(t.DueAt)
	}
	return fmt.Sprintf("%s/%s/%s/%s", t.Priority.digit(), due, t.Rank, t.ID)
}

// Until is the point at which a dependency is met.
type Until string

// The points.
const (
	UntilApproved  Until = "approved"
	UntilSubmitted Until = "submitted"
	UntilFinished  Until = "finished"
)

// Dependency makes a task wait for another.
type Dependency struct {
	base
	Task             string `json:"task"`
	DependsOn        string `json:"depends_on"`
	Until            Until  `json:"until"`
	PassDeliverables bool   `json:"pass_deliverables,omitempty"`
	Told             bool   `json:"told,omitempty"` // that the upstream failed
}

// Lease is the right of one party to work on one task. Its id is the task's,
// so there cannot be two.
type Lease struct {
	base
	Attempt   string    `json:"attempt"`
	Holder    Party     `json:"holder"`
	Fence     int64     `json:"fence"`
	RenewedAt time.Time `json:"renewed_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	Length    int64     `json:"length"`              // seconds a renewal gives
	Unheard   []string  `json:"unheard,omitempty"`   // comments of others that the holder has not been told of, the newest hundred
	StallAt   time.Time `json:"stall_at,omitzero"`
	Stalled   bool      `json:"stalled,omitempty"`
}

// Attempt is one try at a task.
type Attempt struct {
	base
	Task       string       `json:"task"`
	By         Party        `json:"by"`
	Number     int64        `json:"number"`
	Status     string       `json:"status"` // running, succeeded, released, blocked, failed, timed_out, cancelled or lost
	EndedAt    time.Time    `json:"ended_at,omitzero"`
	Error      *ErrorRecord `json:"error,omitempty"`
	Notes      []Note       `json:"notes,omitempty"` // the newest twenty
	RunID      string       `json:"runtime_run_id,omitempty"`
	SessionKey string       `json:"runtime_session_key,omitempty"`
}

// Note is what an agent said while it worked.
type Note struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// ErrorRecord says what went wrong in an attempt.
type ErrorRecord struct {
	Category   string    `json:"category"`
	Code       string    `json:"code,omitempty"`
	Message    string    `json:"message"`
	Retryable  bool      `json:"retryable"`
	Detail     string    `json:"detail,omitempty"`
	Agent      string    `json:"agent,omitempty"`
	Task       string    `json:"task,omitempty"`
	Attempt    string    `json:"attempt,omitempty"`
	RunID      string    `json:"runtime_run_id,omitempty"`
	SessionKey string    `json:"runtime_session_key,omitempty"`
	LastTool   string    `json:"last_tool,omitempty"`
	Model      string    `json:"model,omitempty"`
	OccurredAt time.Time `json:"occurred_at"`
}

// Deliverable is one version of an output. It never changes.
type Deliverable struct {
	base
	Task      string `json:"task"`
	Attempt   string `json:"attempt,omitempty"`
	By        Party  `json:"by"`
	Series    string `json:"series"`
	Number    int    `json:"number"` // version within its series
	Kind      string `json:"kind"`   // text, json, file or url
	Title     string `json:"title"`
	MediaType string `json:"media_type,omitempty"`
	Content   string `json:"content,omitempty"` // text and JSON
	URL       string `json:"url,omitempty"`
	Size      int64  `json:"size,omitempty"`
	Hash      string `json:"hash"` // SHA-256; the name of the bytes of a file
}

// OnExpiry says what happens to a review that nobody decides in time.
type OnExpiry string

// What can happen then.
const (
	Escalate      OnExpiry = "escalate"
	RejectOnTime  OnExpiry = "reject"
	ApproveOnTime OnExpiry = "approve"
)

// Review is a request for a decision.
type Review struct {
	base
	Project           string               `json:"project"`
	Task              string               `json:"task,omitempty"`
	Kind              string               `json:"kind"`   // deliverable, plan, action or question
	Status            string               `json:"status"` // pending, approved, changes_requested, rejected, answered, withdrawn or expired
	Title             string               `json:"title"`
	Payload           json.RawMessage      `json:"payload,omitempty"`
	Choices           []string             `json:"choices,omitempty"`
	Round             int                  `json:"round"`
	Author            Party                `json:"author"` // whose work it is about
	Reviewers         []Party              `json:"reviewers"`
	Stage             string               `json:"stage,omitempty"` // of lead_then_human: lead, then human
	RequiredApprovals int                  `json:"required_approvals"`
	Pinned            []Pin                `json:"pinned,omitempty"`
	Output            json.RawMessage      `json:"output,omitempty"`
	OutputHash        string               `json:"output_hash,omitempty"`
	Summary           string               `json:"summary,omitempty"`
	Verdicts          []Verdict            `json:"verdicts,omitempty"`
	Delegations       []Delegation         `json:"delegations,omitempty"`
	Snoozed           map[string]time.Time `json:"snoozed,omitempty"` // by user
	DueAt             time.Time            `json:"due_at,omitzero"`
	OnExpiry          OnExpiry             `json:"on_expiry"`
	Reminders         int                  `json:"reminders,omitempty"`
	Escalated         bool                 `json:"escalated,omitempty"`
	DecidedAt         time.Time            `json:"decided_at,omitzero"`
	Source            *Source              `json:"source,omitempty"` // the state that waits for it, of a review without a task
}

// Pin is a deliverable as it was submitted.
type Pin struct {
	Deliverable string `json:"deliverable"`
	Series      string `json:"series"`
	Number      int    `json:"number"`
	Hash        string `json:"hash"`
}

// Verdict is what one reviewer said.
type Verdict struct {
	By      Party           `json:"by"`
	Verdict string          `json:"verdict"`
	Comment string          `json:"comment,omitempty"`
	Stage   string          `json:"stage,omitempty"`
	Edited  json.RawMessage `json:"edited,omitempty"`
	At      time.Time       `json:"at"`
}

// Delegation is a review passed on.
type Delegation struct {
	From Party     `json:"from"`
	To   Party     `json:"to"`
	At   time.Time `json:"at"`
}

// Comment is one entry of a task's thread.
type Comment struct {
	base
	Task     string    `json:"task"`
	By       Party     `json:"by"`
	Kind     string    `json:"kind"` // message, system, handoff or error
	Marker   string    `json:"marker,omitempty"`
	Body     string    `json:"body"`
	Review   string    `json:"review,omitempty"`
	Mentions []Mention `json:"mentions,omitempty"`
	Anchor   *Anchor   `json:"anchor,omitempty"` // the line of a deliverable that it is about
}

// Mention is an @name that somebody has.
type Mention struct {
	Party Party  `json:"party"`
	Name  string `json:"name"`
	Held  bool   `json:"held,omitempty"` // by the loop guard, until a person lets it go
	Read  bool   `json:"read,omitempty"` // by the agent that is meant
}

// Handoff passes work on.
type Handoff struct {
	base
	Task         string    `json:"task"`
	From         Party     `json:"from"`
	To           Party     `json:"to"`
	Capability   string    `json:"capability,omitempty"`
	Mode         string    `json:"mode"`  // transfer or follow_up
	State        string    `json:"state"` // offered, accepted, declined or expired
	Summary      string    `json:"summary"`
	Deliverables []string  `json:"deliverables,omitempty"`
	ExpiresAt    time.Time `json:"expires_at,omitzero"`
	FollowUp     string    `json:"follow_up,omitempty"` // the task it made
}

// Wakeup is a request to make an agent look at something: one for each agent,
// task and reason.
type Wakeup struct {
	base
	Agent     string    `json:"agent"`
	Task      string    `json:"task,omitempty"`
	Reason    string    `json:"reason"` // assigned, unblocked, changes_requested, approved, mentioned, handoff, answer, manual or schedule
	Note      string    `json:"note,omitempty"`
	Work      bool      `json:"work,omitempty"`  // done only when the task is claimed
	Offer     bool      `json:"offer,omitempty"` // of a task that nobody is assigned to
	State     string    `json:"state"`           // queued, sent, acked, failed or skipped
	Hindrance string    `json:"hindrance,omitempty"`
	OfAgent   bool      `json:"of_agent,omitempty"` // the hindrance is the agent's, not the task's
	Order     string    `json:"order"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Ripe      bool      `json:"ripe,omitempty"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	AckBy     time.Time `json:"ack_by,omitzero"`
	Offers    int       `json:"offers"`          // how often it was offered
	Tries     int       `json:"tries,omitempty"` // deliveries of this offer that failed
	LastError string    `json:"last_error,omitempty"`
}

// Delivery is the id of a wakeup's present offer: what is delivered twice
// carries it twice.
func (w *Wakeup) Delivery() string { return fmt.Sprintf("%s.%d", w.ID, w.Offers) }

// stamp writes a time so that texts sort as times do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
