package asl

import (
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Fail ends its scope with an error.
type Fail struct {
	Common
	Error, Cause         *string // nil: absent
	ErrorPath, CausePath *jsonpath.Expr
}

func (*Fail) isState() {}

func (s *stateParser) fail(base Common) State {
	f := &Fail{Common: base}
	f.Error, f.ErrorPath = s.failText("Error")
	f.Cause, f.CausePath = s.failText("Cause")
	if f.Error != nil {
		if s.failErrors == nil {
			s.failErrors = map[string]bool{}
		}
		s.failErrors[*f.Error] = true
	}
	return f
}

// failText reads Error or Cause, or its Path twin: a path or an intrinsic call.
func (s *stateParser) failText(field string) (*string, *jsonpath.Expr) {
	s.exclusive(s.v, s.at, field, field+"Path")
	if f, at := s.v.Get(field), s.at.key(field); !f.IsAbsent() {
		if !s.isKind(f, at, value.String) {
			return nil, nil
		}
		text := f.Str()
		if s.lang == JSONata {
			s.jsonata(f, at)
		} else {
			s.lintPathText(text, at, field+"Path")
		}
		return &text, nil
	}
	f, at := s.v.Get(field+"Path"), s.at.key(field+"Path")
	if f.IsAbsent() || s.lang == JSONata || !s.isKind(f, at, value.String) {
		return nil, nil
	}
	expr, err := jsonpath.ParseExpr(f.Str())
	if err != nil {
		s.badPath(at, err, "Value must be a valid JSONPath.")
		return nil, nil
	}
	s.reads(f, at, expr.Variables())
	return nil, expr
}
