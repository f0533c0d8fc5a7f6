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

	ErrorQuery, CauseQuery *Query
}

func (*Fail) isState() {}

func (s *stateParser) fail(base Common) State {
	f := &Fail{Common: base}
	f.Error, f.ErrorPath, f.ErrorQuery = s.failText("Error")
	f.Cause, f.CausePath, f.CauseQuery = s.failText("Cause")
	if f.Error != nil {
		if s.failErrors == nil {
			s.failErrors = map[string]bool{}
		}
		s.failErrors[*f.Error] = true
	}
	return f
}

// failText reads Error or Cause, its Path twin (a path or an intrinsic call), or
// an expression.
func (s *stateParser) failText(field string) (*string, *jsonpath.Expr, *Query) {
	s.exclusive(s.v, s.at, field, field+"Path")
	if f, at := s.v.Get(field), s.at.key(field); !f.IsAbsent() {
		if !s.isKind(f, at, value.String) {
			return nil, nil, nil
		}
		text := f.Str()
		if s.lang == JSONata {
			if q := s.query(s.v, s.at, field); !q.Constant() {
				return nil, nil, q
			}
		} else {
			s.lintPathText(text, at, field+"Path")
		}
		return &text, nil, nil
	}
	f, at := s.v.Get(field+"Path"), s.at.key(field+"Path")
	if f.IsAbsent() || s.lang == JSONata || !s.isKind(f, at, value.String) {
		return nil, nil, nil
	}
	expr, err := jsonpath.ParseExpr(f.Str())
	if err != nil {
		s.badPath(at, err, "Value must be a valid JSONPath.")
		return nil, nil, nil
	}
	s.reads(f, at, expr.Variables())
	return nil, expr, nil
}
