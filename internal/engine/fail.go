package engine

import (
	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
)

// failState fails with what the state says. Nothing in the state catches it.
func (a *apply) failState(f *Frame, state *asl.Fail) *failure {
	name, failed := a.failText(f, "ErrorPath", state.Error, state.ErrorPath, state.ErrorQuery)
	if failed != nil {
		return failed
	}
	cause, failed := a.failText(f, "CausePath", state.Cause, state.CausePath, state.CauseQuery)
	if failed != nil {
		return failed
	}
	return &failure{name: name, cause: cause}
}

func (a *apply) failText(f *Frame, field string, literal *string, path *jsonpath.Expr, query *asl.Query) (*string, *failure) {
	if query != nil {
		text, failed := a.wording(f, query)
		return &text, failed
	}
	if path == nil {
		return literal, nil
	}
	v, err := path.EvalField(field, a.jsonpath(f, f.input.Value(), a.nextEvent()))
	if err != nil {
		return nil, a.runtimeError(f, err)
	}
	text := v.Str()
	return &text, nil
}
