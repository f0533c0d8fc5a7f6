package control

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of refusal an Error is. Codes are stable: clients act on
// them.
type Code string

// The codes.
const (
	InvalidTransition   Code = "invalid_transition"     // details: state, allowed
	GateClosed          Code = "gate_closed"            // details: waiting_on, reason
	LeaseLost           Code = "lease_lost"             // the caller does not hold the lease (any more)
	VersionConflict     Code = "version_conflict"       // details: version
	DependencyCycle     Code = "dependency_cycle"       // details: path, keys of tasks
	BlockNeedsOwner     Code = "block_needs_owner"      // nobody can be told what unblocks
	NotAssignee         Code = "not_assignee"           // the task is another's
	AtCapacity          Code = "at_capacity"            // details: slots
	AgentNotActive      Code = "agent_not_active"       // details: admin
	OverBudget          Code = "over_budget"            // the agent may not begin anything
	ChildrenOpen        Code = "children_open"          // details: children
	SubmissionEmpty     Code = "submission_empty"       // neither deliverable, output nor summary
	OutputInvalid       Code = "output_invalid"         // details: violations
	ReviewClosed        Code = "review_closed"          // details: status; verdicts are final
	NoLongerWaiting     Code = "task_no_longer_waiting" // the engine's wait has ended
	NotFound            Code = "not_found"
	AlreadyExists       Code = "already_exists"
	Forbidden           Code = "forbidden"
	InvalidInput        Code = "invalid_input"
	HandoffClosed       Code = "handoff_closed" // details: state
	ProjectNeedsAnOwner Code = "project_needs_owner"
)

// Error is a refusal. Nothing was changed.
type Error struct {
	Code    Code
	Message string
	Details map[string]any
}

func (e *Error) Error() string { return e.Message }

// Status is the HTTP status that goes with a code.
func (c Code) Status() int {
	switch c {
	case NotFound:
		return 404
	case Forbidden:
		return 403
	case InvalidInput, BlockNeedsOwner, SubmissionEmpty, OutputInvalid:
		return 422
	default:
		return 409
	}
}

// Is reports whether err is a refusal with the code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

func refuse(code Code, details map[string]any, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Details: details}
}

func invalid(format string, args ...any) error {
	return refuse(InvalidInput, nil, format, args...)
}

func invalidTransition(t *Task, ev Trigger) error {
	allowed := Allowed(t.State)
	var names []string
	for _, a := range allowed {
		names = append(names, string(a))
	}
	return refuse(InvalidTransition, map[string]any{"state": t.State, "allowed": names},
		"%s is %s: %s is not possible, only %s", t.Key, t.State, ev, strings.Join(names, ", "))
}
