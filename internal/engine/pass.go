package engine

import "github.com/lockstep-run/lockstep/asl"

// pass hands its input on. A fixed Result wins over Parameters.
func (a *apply) pass(f *Frame, state *asl.Pass) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	result := input
	if !state.Result.IsAbsent() {
		result = ValueData(state.Result)
		a.inspect(Result, result)
	} else {
		a.inspect(AfterInputPath, input)
		if result, failed = a.filled(f, state.Parameters, input, a.nextEvent()); failed != nil {
			return failed
		}
		a.inspect(AfterParameters, result)
	}
	if state.QueryLanguage == asl.JSONata {
		return a.passOn(f, state, input)
	}
	return a.leave(f, state, result, nil, state.ResultPath)
}
