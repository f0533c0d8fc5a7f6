package control

import (
	"fmt"
	"slices"
	"strings"
)

// State is where a task stands.
type State string

// The states.
const (
	Inbox      State = "inbox"
	Assigned   State = "assigned"
	InProgress State = "in_progress"
	Blocked    State = "blocked"
	InReview   State = "review"
	Done       State = "done"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// States lists all states in the order of a board's columns.
func States() []State {
	return []State{Inbox, Assigned, InProgress, Blocked, InReview, Done, Failed, Cancelled}
}

// Terminal reports whether a task that stands there has ended.
func (s State) Terminal() bool { return s == Done || s == Failed || s == Cancelled }

// Trigger is an event of the transition table: what moves a task.
type Trigger string

// The triggers.
const (
	Create           Trigger = "create"
	Assign           Trigger = "assign"
	Unassign         Trigger = "unassign"
	Claim            Trigger = "claim"
	Progress         Trigger = "progress"
	Release          Trigger = "release"
	Submit           Trigger = "submit"
	Approve          Trigger = "approve"
	ChangesRequested Trigger = "changes_requested"
	Reject           Trigger = "reject"
	Withdraw         Trigger = "withdraw"
	Expired          Trigger = "expired"
	Block            Trigger = "block"
	Answer           Trigger = "answer"
	Unblock          Trigger = "unblock"
	EdgeOpened       Trigger = "dependency_met"
	Fail             Trigger = "fail"
	LeaseExpired     Trigger = "lease_expired"
	HandedOff        Trigger = "handoff_accepted"
	Cancel           Trigger = "cancel"
	Retry            Trigger = "retry"
	Reopen           Trigger = "reopen"
)

// Transition is one row of the table.
type Transition struct {
	From    []State // none: the task is new
	Trigger Trigger
	To      []State // which of them: see Note
	Note    string  // what must hold, and what else happens
}

var open = []State{Inbox, Assigned, InProgress, Blocked, InReview}

// transitions is all that a task can do. Whatever is not here is refused with
// InvalidTransition; there is no other way to change a state.
var transitions = []Transition{
	{nil, Create, []State{Inbox, Assigned}, "`assigned` if an assignee is given; dependencies make no cycle"},
	{[]State{Inbox}, Assign, []State{Assigned}, "wakes the assignee once the gate is open"},
	{[]State{Assigned}, Unassign, []State{Inbox}, ""},
	{[]State{Inbox, Assigned}, Claim, []State{InProgress}, "the gate is open; an agent is active, within budget and has a free slot; makes a lease and an attempt. A user's lease has no expiry"},
	{[]State{InProgress}, Progress, []State{InProgress}, "renews the lease"},
	{[]State{InProgress}, Release, []State{Assigned}, "the attempt ends `released` and is not counted"},
	{[]State{InProgress}, Submit, []State{InReview, Done}, "`done` when the review mode is `none`; there is a deliverable, an output or a summary, the output fits its schema, held children have ended; the review pins what was submitted"},
	{[]State{InReview}, Approve, []State{Done}, "once as many as required have approved; dependants are woken in the same transaction"},
	{[]State{InReview}, ChangesRequested, []State{Assigned, Blocked}, "wakes the assignee with the comments; `blocked` (kind `decision`) above the limit of rework"},
	{[]State{InReview}, Reject, []State{Failed}, ""},
	{[]State{InReview}, Withdraw, []State{Assigned}, "the review ends `withdrawn`"},
	{[]State{InReview}, Expired, []State{InReview, Failed, Done}, "as the review's `on_expiry` says: `escalate`, `reject`, `approve`"},
	{[]State{InProgress}, Block, []State{Blocked}, "names kind, reason, an owner who can be told, and the action that unblocks; the lease ends"},
	{[]State{Blocked}, Answer, []State{Assigned}, "answers the question; wakes the assignee"},
	{[]State{Blocked}, Unblock, []State{Assigned}, "wakes the assignee"},
	{[]State{Blocked}, EdgeOpened, []State{Assigned}, "of kind `dependency`: by itself when the gate opens; wakes the assignee"},
	{[]State{InProgress}, Fail, []State{Assigned, Failed}, "`assigned` while it may be tried again, with a back-off before the next wakeup; else `failed`"},
	{[]State{InProgress}, LeaseExpired, []State{Assigned, Failed}, "the attempt ends `lost`; then as a failure that may be tried again"},
	{[]State{Assigned, InProgress}, HandedOff, []State{Assigned}, "to the new agent; the old lease is fenced off"},
	{open, Cancel, []State{Cancelled}, "pending reviews are withdrawn, the lease ends"},
	{[]State{Failed, Cancelled}, Retry, []State{Assigned, Inbox}, "by the engine, of a bound task: the same task with attempts to spend anew; `inbox` if nobody is assigned"},
	{[]State{Done, Failed, Cancelled}, Reopen, []State{Inbox, Assigned}, "by people only; dependants that have started are flagged, not reset; not once the engine's wait has ended"},
}

// Transitions lists the rows of the table.
func Transitions() []Transition { return slices.Clone(transitions) }

// Allowed lists what can move a task that stands there.
func Allowed(s State) (list []Trigger) {
	for _, row := range transitions {
		if slices.Contains(row.From, s) {
			list = append(list, row.Trigger)
		}
	}
	return list
}

// row finds the row for a task that stands at from; "": a new one.
func row(from State, ev Trigger) *Transition {
	for i := range transitions {
		r := &transitions[i]
		if r.Trigger == ev && (slices.Contains(r.From, from) || from == "" && r.From == nil) {
			return r
		}
	}
	return nil
}

// Markdown writes the table as documentation shows it.
func Markdown() string {
	names := func(list []State) string {
		if list == nil {
			return "–"
		}
		if len(list) == len(open) {
			return "any open"
		}
		var texts []string
		for _, s := range list {
			texts = append(texts, "`"+string(s)+"`")
		}
		return strings.Join(texts, ", ")
	}
	var b strings.Builder
	b.WriteString("| From | Event | To | What must hold, what else happens |\n|---|---|---|---|\n")
	for _, r := range transitions {
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", names(r.From), r.Trigger, names(r.To), r.Note)
	}
	return b.String()
}
