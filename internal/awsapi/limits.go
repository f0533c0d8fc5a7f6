package awsapi

import (
	"cmp"
	"context"
	"errors"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// AWS's quotas for an execution.
const (
	maxPayload = 256 << 10 // bytes of an input or output
	maxHistory = 25_000    // events
)

// limits are those of a machine's executions, with AWS's where none are set.
func (s *Server) limits(machine string) engine.Limits {
	l := engine.Limits{}
	if s.limitsOf != nil {
		l = s.limitsOf(machine)
	}
	l.Payload, l.History = cmp.Or(l.Payload, maxPayload), cmp.Or(l.History, maxHistory)
	return l
}

// payloadText bounds what any machine takes. What one of them takes is for
// checkPayload, once it is known which.
func (s *Server) payloadText() bounds { return bounds{max: s.maxPayload, bytes: true, secret: true} }

// checkPayload refuses a payload that is too large for a machine, in the words
// for all that is too long.
func (s *Server) checkPayload(in *input, name, text, machine string) error {
	if len(text) > maxPayload {
		in.check(name, text, bounds{max: s.limits(machine).Payload, bytes: true, secret: true})
	}
	return in.err()
}

// checkOutput is checkPayload for a task's output: which machine it is for is
// looked up where that matters. A token that names nothing is for settle.
func (s *Server) checkOutput(ctx context.Context, in *input, token, output string) error {
	if len(output) <= maxPayload {
		return nil
	}
	id, _, err := s.engine.ParseToken(token)
	if err != nil {
		return nil
	}
	x, err := s.store.Execution(ctx, id)
	if err == nil {
		var m store.Machine
		if m, err = s.store.MachineByID(ctx, x.Machine); err == nil {
			return s.checkPayload(in, "output", output, m.Name)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// describeLimits writes the limits of a machine where they are not AWS's. It is
// a member of ours, which AWS's clients ignore.
func (s *Server) describeLimits(o *object, m store.Machine) {
	l := s.limits(m.Name)
	history := m.Type != express && l.History != maxHistory // there is none to be limited
	if l.Payload == maxPayload && !history {
		return
	}
	o.open("lockstepLimits")
	o.number("payloadBytes", int64(l.Payload))
	if history {
		o.number("historyEvents", l.History)
	}
	o.close()
}
