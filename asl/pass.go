package asl

import (
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Pass hands its input on, or a fixed result.
type Pass struct {
	Common
	Parameters *jsonpath.Template // nil: none
	Result     value.Value        // absent: none
	ResultPath *ResultPath        // nil: "$"
}

func (*Pass) isState() {}

func (s *stateParser) pass(base Common) State {
	if s.lang == JSONata {
		return &Pass{Common: base}
	}
	pass := &Pass{
		Common:     base,
		Parameters: s.template(s.v, s.at, "Parameters"),
		Result:     s.v.Get("Result"),
		ResultPath: s.resultPath(s.v, s.at),
	}
	s.lintResult(pass.Result, s.at.key("Result"))
	return pass
}
