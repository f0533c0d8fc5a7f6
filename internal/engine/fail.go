package engine

import (
	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
)

// failState fails with what the state says. Nothing in the state catches it.
func (a *apply) failState(f *Frame, state *asl.Fail) *failure {
	name, failed := a.failText(f, "ErrorPath", state.Error, state.ErrorPath)
	if failed != nil {
		return failed
	}
	cause, failed := a.failText(f, "CausePath", state.Cause, state.CausePath)
	if failed != nil {
		return failed
	}
	return &failure{name: name, cause: cause}
}

func (a *apply) failText(f *Frame, field string, literal *string, path *jsonpath.Expr) (*string, *failure) {
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
