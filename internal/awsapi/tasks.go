package awsapi

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// The bounds of what executions and tasks carry.
var (
	tokenText   = bounds{required: true, min: 1, max: 2048}
	payloadText = bounds{max: maxPayload, bytes: true, secret: true} // of TestState
	errorText   = bounds{max: 256, secret: true}
	causeText   = bounds{max: 32768, secret: true}
)

func (s *Server) sendTaskSuccess(ctx context.Context, in *input, out []byte) ([]byte, error) {
	token := in.text("taskToken", tokenText)
	bound := s.payloadText()
	bound.required = true
	output := in.keep("output", bound)
	if err := in.err(); err != nil {
		return nil, err
	}
	if err := s.checkOutput(ctx, in, token, output); err != nil {
		return nil, err
	}
	return s.settle(ctx, token, out, func(at time.Time, id engine.TaskID) (engine.Event, error) {
		data, why := payload(output)
		if why != "" {
			return nil, invalidOutput(why)
		}
		return engine.TaskSucceeded{At: at, Task: id, Output: data, Callback: true}, nil
	})
}

func (s *Server) sendTaskFailure(ctx context.Context, in *input, out []byte) ([]byte, error) {
	token := in.text("taskToken", tokenText)
	name, cause := in.pointer("error", errorText), in.pointer("cause", causeText)
	if err := in.err(); err != nil {
		return nil, err
	}
	return s.settle(ctx, token, out, func(at time.Time, id engine.TaskID) (engine.Event, error) {
		return engine.TaskFailed{At: at, Task: id, Error: name, Cause: cause, Callback: true}, nil
	})
}

func (s *Server) sendTaskHeartbeat(ctx context.Context, in *input, out []byte) ([]byte, error) {
	token := in.text("taskToken", tokenText)
	if err := in.err(); err != nil {
		return nil, err
	}
	return s.settle(ctx, token, out, func(at time.Time, id engine.TaskID) (engine.Event, error) {
		return engine.TaskHeartbeat{At: at, Task: id}, nil
	})
}

// settle delivers an event to the task that a token names. The token is looked at
// before what comes with it (recorded).
func (s *Server) settle(ctx context.Context, token string, out []byte, event func(time.Time, engine.TaskID) (engine.Event, error)) ([]byte, error) {
	execution, task, err := s.engine.ParseToken(token)
	if err != nil {
		return nil, invalidToken()
	}
	ev, err := event(s.now(), task)
	if err != nil {
		return nil, err
	}
	err = s.engine.Deliver(ctx, execution, ev)
	switch {
	case errors.Is(err, engine.ErrBound): // nobody steps around a review
		return nil, invalidToken()
	case errors.Is(err, engine.ErrNotWaiting):
		return nil, taskTimedOut()
	case errors.Is(err, store.ErrNotFound):
		return nil, taskMissing()
	case err != nil:
		return nil, err
	}
	return append(out, "{}"...), nil
}

// payload checks that text is JSON, or says why not in the words of AWS's JSON
// library.
func payload(text string) (data *engine.Data, why string) {
	if err := value.Valid(text); err != nil {
		if why, _, _ = asl.JacksonError(text); why == "" {
			why = err.Error()
		}
		return nil, why
	}
	return engine.Text(text), ""
}
