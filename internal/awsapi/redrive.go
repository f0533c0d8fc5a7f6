package awsapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// A client token stands for the same redrive for this long, and so many of
// them are remembered (AWS's guide).
const (
	tokenLife   = 15 * time.Minute
	tokensPerID = 10
)

var clientToken = bounds{min: 1, max: 64}

// redriveExecution begins an execution again that has ended without success.
func (s *Server) redriveExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
	token := in.text("clientToken", clientToken)
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	if at, ok := s.redrives.find(x.ID, token, s.now()); ok {
		return redriveAnswer(out, at), nil
	}
	why, err := s.notRedrivable(ctx, &x)
	if err != nil {
		return nil, err
	}
	if why != "" {
		return nil, notRedrivable(why)
	}
	now := s.now()
	switch err := s.engine.Deliver(ctx, x.ID, engine.Redriven{At: now}); {
	case errors.Is(err, engine.ErrNotWaiting): // somebody else was faster
		return nil, notRedrivable("Execution is " + engine.Running.String() + " and cannot be redriven")
	case err != nil:
		return nil, orMissing(err, executionMissing(x.arn))
	}
	s.redrives.keep(x.ID, token, now)
	return redriveAnswer(out, now), nil
}

func redriveAnswer(out []byte, at time.Time) []byte {
	o := newObject(out)
	o.time("redriveDate", at.UnixMilli())
	return o.end()
}

// notRedrivable's text follows the pattern of the others: not recorded.
func notRedrivable(why string) *Error {
	return failed("ExecutionNotRedrivable", "Execution Not Redrivable: '%s'", why)
}

// redriveTokens remembers the client tokens of redrives. They only matter for
// minutes, so they are not kept.
type redriveTokens struct {
	mu sync.Mutex
	by map[store.ExecutionID][]redriveToken
}

type redriveToken struct {
	text string
	at   time.Time
}

func (r *redriveTokens) find(id store.ExecutionID, token string, now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.by[id] {
		if token != "" && t.text == token && now.Sub(t.at) < tokenLife {
			return t.at, true
		}
	}
	return time.Time{}, false
}

// keep adds a token, and forgets those of all executions that are too old.
func (r *redriveTokens) keep(id store.ExecutionID, token string, now time.Time) {
	if token == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, list := range r.by {
		if now.Sub(list[len(list)-1].at) >= tokenLife {
			delete(r.by, other)
		}
	}
	if r.by == nil {
		r.by = map[store.ExecutionID][]redriveToken{}
	}
	list := append(r.by[id], redriveToken{token, now})
	r.by[id] = list[max(0, len(list)-tokensPerID):]
}
