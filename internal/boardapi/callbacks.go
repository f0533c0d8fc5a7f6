package boardapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/lockstep-run/lockstep/internal/binding"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// Callbacks finds the tasks that wait for an answer by token in the executions
// themselves, page by page: binding.Callbacks.
type Callbacks interface {
	List(ctx context.Context, cursor string, limit int) ([]binding.Callback, string, error)
	Succeed(ctx context.Context, id, by string, output json.RawMessage) error
	Fail(ctx context.Context, id, by, name, cause string) error
}

var errCallbacksAbsent = &rest.Error{Status: http.StatusNotFound, Code: "not_found", Message: "This server has no callbacks."}

// callbackResult and callbackError are what callbacks are answered with.
type (
	callbackResult struct {
		Output json.RawMessage `json:"output"`
	}
	callbackError struct {
		Error string `json:"error"`
		Cause string `json:"cause"`
	}
)

func (a *API) registerCallbacks(handle func(string, func(*request) (any, error))) {
	handle("GET /api/v1/callbacks", a.listCallbacks)
	handle("POST /api/v1/callbacks/{id}/success", a.callbackSuccess)
	handle("POST /api/v1/callbacks/{id}/failure", a.callbackFailure)
}

// answers refuses who may not answer callbacks: agents, and everybody where there
// are none.
func (r *request) answers() error {
	if err := r.people(); err != nil {
		return err
	}
	if r.a.callbacks == nil {
		return errCallbacksAbsent
	}
	return nil
}

func (a *API) listCallbacks(r *request) (any, error) {
	if err := r.answers(); err != nil {
		return nil, err
	}
	page, _, err := r.page()
	if err != nil {
		return nil, err
	}
	list, next, err := a.callbacks.List(r.Context(), page.Cursor, page.Limit)
	if errors.Is(err, binding.ErrCursor) {
		return nil, rest.Invalid("The cursor is not one of this list.")
	}
	return answer("callbacks", list, next, err)
}

func (a *API) callbackSuccess(r *request) (any, error) {
	if err := r.answers(); err != nil {
		return nil, err
	}
	in, err := read[callbackResult](r)
	if err != nil {
		return nil, err
	}
	if len(in.Output) == 0 {
		return nil, rest.Invalid(`Say the output, as in {"output": {"approved": true}}; it may be null.`)
	}
	return nil, answered(a.callbacks.Succeed(r.Context(), r.PathValue("id"), string(r.call.By), in.Output))
}

func (a *API) callbackFailure(r *request) (any, error) {
	if err := r.answers(); err != nil {
		return nil, err
	}
	in, err := read[callbackError](r)
	if err != nil {
		return nil, err
	}
	return nil, answered(a.callbacks.Fail(r.Context(), r.PathValue("id"), string(r.call.By), in.Error, in.Cause))
}

func answered(err error) error {
	switch {
	case errors.Is(err, binding.ErrNoCallback):
		return &rest.Error{Status: http.StatusNotFound, Code: "not_found", Message: "Nothing waits for that callback (any more)."}
	case errors.Is(err, binding.ErrAnswer):
		return rest.Invalid("%s.", strings.TrimSuffix(rest.Sentence(err.Error()), "."))
	}
	return err
}
