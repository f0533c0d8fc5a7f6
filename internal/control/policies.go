package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// policyFields are policies as JSON has them: times are seconds.
type policyFields struct {
	ReviewMode       ReviewMode    `json:"review_mode,omitempty"`
	Reviewers        []Party       `json:"reviewers,omitempty"`
	MaxAttempts      int           `json:"max_attempts,omitempty"`
	MaxRework        int           `json:"max_rework,omitempty"`
	Lease            seconds       `json:"lease,omitempty"`
	StallAfter       seconds       `json:"stall_after,omitempty"`
	AckTimeout       seconds       `json:"ack_timeout,omitempty"`
	ReviewDue        seconds       `json:"review_due,omitempty"`
	OnExpiry         OnExpiry      `json:"on_expiry,omitempty"`
	HandoffDue       seconds       `json:"handoff_due,omitempty"`
	ApproveHandoffs  bool          `json:"approve_handoffs,omitempty"`
	PauseFailing     bool          `json:"pause_failing,omitempty"`
	FailingAfter     int           `json:"failing_after,omitempty"`
	MentionsPerHour  int           `json:"mentions_per_hour,omitempty"`
	WakeTries        int           `json:"wake_tries,omitempty"`
	HeartbeatSeconds int           `json:"heartbeat_seconds,omitempty"`
	WIP              map[State]int `json:"wip,omitempty"`
}

// seconds is a time as JSON has it. Boards of the first days kept nanoseconds,
// of which the shortest lease has more than any number of seconds here.
type seconds float64

const nanoseconds = 1e9 // from here on: 31 years of seconds, or one of them

func (s seconds) duration() time.Duration {
	if s >= nanoseconds {
		return time.Duration(s)
	}
	return time.Duration(float64(s) * float64(time.Second))
}

func secondsOf(d time.Duration) seconds { return seconds(d.Seconds()) }

func (p Policies) fields() policyFields {
	return policyFields{p.ReviewMode, p.Reviewers, p.MaxAttempts, p.MaxRework, secondsOf(p.Lease), secondsOf(p.StallAfter), secondsOf(p.AckTimeout),
		secondsOf(p.ReviewDue), p.OnExpiry, secondsOf(p.HandoffDue), p.ApproveHandoffs, p.PauseFailing, p.FailingAfter, p.MentionsPerHour,
		p.WakeTries, p.HeartbeatSeconds, p.WIP}
}

func (f policyFields) policies() Policies {
	return Policies{f.ReviewMode, f.Reviewers, f.MaxAttempts, f.MaxRework, f.Lease.duration(), f.StallAfter.duration(), f.AckTimeout.duration(),
		f.ReviewDue.duration(), f.OnExpiry, f.HandoffDue.duration(), f.ApproveHandoffs, f.PauseFailing, f.FailingAfter, f.MentionsPerHour,
		f.WakeTries, f.HeartbeatSeconds, f.WIP}
}

// MarshalJSON implements json.Marshaler: times are seconds.
func (p Policies) MarshalJSON() ([]byte, error) { return json.Marshal(p.fields()) }

// UnmarshalJSON implements json.Unmarshaler. What is not said is cleared.
func (p *Policies) UnmarshalJSON(text []byte) error {
	var f policyFields
	err := json.Unmarshal(text, &f)
	*p = f.policies()
	return err
}

// OpenAPI is a value that JSON has the members of.
func (Policies) OpenAPI() any { return policyFields{} }

// Change sets what a JSON object says, and leaves the rest. Members that are not
// known are errors.
func (p *Policies) Change(text []byte) error {
	f := p.fields()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return err
	}
	*p = f.policies()
	return nil
}

// check refuses what no project can have.
func (p Policies) check() error {
	const longest = 365 * 24 * time.Hour
	for name, d := range map[string]time.Duration{"lease": p.Lease, "stall_after": p.StallAfter, "ack_timeout": p.AckTimeout, "review_due": p.ReviewDue, "handoff_due": p.HandoffDue} {
		if d < 0 || d > longest {
			return invalid("%s is a number of seconds, of a year at most", name)
		}
	}
	for name, n := range map[string]int{"max_attempts": p.MaxAttempts, "max_rework": p.MaxRework, "failing_after": p.FailingAfter,
		"mentions_per_hour": p.MentionsPerHour, "wake_tries": p.WakeTries, "heartbeat_seconds": p.HeartbeatSeconds} {
		if n < 0 || n > 100_000 {
			return invalid("%s is a number up to 100000", name)
		}
	}
	if !slices.Contains([]OnExpiry{"", Escalate, RejectOnTime, ApproveOnTime}, p.OnExpiry) {
		return invalid("on_expiry is escalate, reject or approve, not %q", p.OnExpiry)
	}
	if !slices.Contains([]ReviewMode{"", ReviewNone, ReviewHuman, ReviewLead, ReviewLeadThenHuman}, p.ReviewMode) {
		return invalid("there is no review mode %q; it is none, human, lead or lead_then_human", p.ReviewMode)
	}
	for s, n := range p.WIP {
		if s != InProgress || n < 1 {
			return invalid("wip limits in_progress to a number from 1 on")
		}
	}
	return nil
}

// withinWIP refuses to begin a task in a project where as many are under way as
// may be.
func (x *op) withinWIP(project string, p Policies) error {
	most := p.WIP[InProgress]
	if most == 0 {
		return nil
	}
	if err := x.flush(); err != nil {
		return err
	}
	under, err := x.r.Records(x.ctx, store.Prefix("task", "project/"+project+"/"+string(InProgress)+"/", most))
	if err != nil || len(under) < most {
		return err
	}
	return refuse(AtCapacity, map[string]any{"wip": most}, "%d tasks of the project are under way, and no more may be", most)
}

// limit is after how many seconds of silence an agent is offline: three
// heartbeats of the project that wants the fewest, 90 at least.
func (x *op) limit(a *Agent) (int64, error) {
	most := int64(0)
	for _, id := range a.Projects {
		p, err := get[Project](x, id)
		if err != nil {
			return 0, err
		}
		most = max(most, 3*int64(p.Policies.withDefaults().HeartbeatSeconds))
	}
	if most == 0 {
		most = 180
	}
	return max(most, 90), nil
}

// failingAfter is how many failures in a row make an agent a failing one: as the
// strictest of its projects says.
func (x *op) failingAfter(a *Agent) (int, error) {
	least := 0
	for _, id := range a.Projects {
		p, err := get[Project](x, id)
		if err != nil {
			return 0, err
		}
		if n := p.Policies.withDefaults().FailingAfter; least == 0 || n < least {
			least = n
		}
	}
	if least == 0 {
		least = Policies{}.withDefaults().FailingAfter
	}
	return least, nil
}

// listen sets how long an agent may be silent, as its projects say.
func (x *op) listen(a *Agent) error {
	n, err := x.limit(a)
	if err != nil {
		return err
	}
	s, err := get[signal](x, a.ID)
	if err != nil || s.Limit == n {
		return err
	}
	s.Limit = n
	x.put(s)
	x.touchAgent(a.ID)
	return nil
}

// listenAll does so for the agents of a project.
func (x *op) listenAll(project string) error {
	agents, err := list[Agent](x, "project/"+project, many)
	if err != nil {
		return fmt.Errorf("list the project's agents: %w", err)
	}
	for _, a := range agents {
		if err := x.listen(a); err != nil {
			return err
		}
	}
	return nil
}
