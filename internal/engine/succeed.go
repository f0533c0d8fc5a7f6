package engine

import "github.com/lockstep-run/lockstep/asl"

// succeed ends its scope with the state's output.
func (a *apply) succeed(f *Frame, state *asl.Succeed) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	a.inspect(AfterInputPath, input)
	return a.passOn(f, state, input)
}
