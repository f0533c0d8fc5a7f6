package boardapi

import (
	"encoding/json"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
)

// What calls read that the board has no type for. A member without omitempty has
// to be there.

type projectBody struct {
	Key      string          `json:"key"`
	Name     string          `json:"name,omitempty"`
	Owner    control.Party   `json:"owner,omitempty"`
	Policies json.RawMessage `json:"policies,omitempty"`
}

type projectChange struct {
	Name     *string         `json:"name,omitempty"`
	Owner    control.Party   `json:"owner,omitempty"`
	Policies json.RawMessage `json:"policies,omitempty"` // what is not said stays
}

type agentBody struct {
	Slug         string          `json:"slug"`
	Name         string          `json:"name,omitempty"`
	Role         string          `json:"role,omitempty"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Projects     []string        `json:"projects,omitempty"`
	Runtime      string          `json:"runtime,omitempty"`
	Connection   json.RawMessage `json:"connection,omitempty"`
	Push         bool            `json:"push,omitempty"`
	Slots        int             `json:"slots,omitempty"`
}

type pauseBody struct {
	Reason string `json:"reason,omitempty"`
}

type wakeBody struct {
	Task string `json:"task,omitempty"`
	Note string `json:"note,omitempty"`
}

type reviewBody struct {
	control.NewReview
	LeaseToken string `json:"lease_token,omitempty"`
}

type delegateBody struct {
	To control.Party `json:"to"`
}

type snoozeBody struct {
	Until time.Time `json:"until"`
}

type decisionsBody struct {
	Decisions []decisionBody `json:"decisions"`
}

type assignBody struct {
	Assignee control.Party `json:"assignee"`
}

type progressBody struct {
	Note       string `json:"note,omitempty"`
	Percent    *int   `json:"percent,omitempty"`
	LeaseToken string `json:"lease_token,omitempty"`
}

type submitBody struct {
	control.Submission
	LeaseToken string `json:"lease_token,omitempty"`
}

type blockBody struct {
	control.Blocking
	LeaseToken string `json:"lease_token,omitempty"`
}

type answerBody struct {
	Answer string `json:"answer"`
}

type failBody struct {
	control.Failure
	LeaseToken string `json:"lease_token,omitempty"`
}

type dependencyBody struct {
	Until            control.Until `json:"until,omitempty"`
	PassDeliverables bool          `json:"pass_deliverables,omitempty"`
}

type commentBody struct {
	Body   string          `json:"body"`
	Anchor *control.Anchor `json:"anchor,omitempty"` // the line of a deliverable that it is about
}

type deliverableBody struct {
	control.NewDeliverable
	LeaseToken string `json:"lease_token,omitempty"`
}

type handoffBody struct {
	control.NewHandoff
	LeaseToken string `json:"lease_token,omitempty"`
}

type decisionBody struct {
	Review string `json:"review"`
	control.Decision
}

type decisionResult struct {
	Review string         `json:"review"`
	Status string         `json:"status,omitempty"` // of the review
	Error  map[string]any `json:"error,omitempty"`
}
