package engine

import (
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
)

// parallel starts every branch with a copy of the effective input.
func (a *apply) parallel(f *Frame, state *asl.Parallel) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	if input, failed = a.filled(f, state.Parameters, input, a.nextEvent()); failed != nil {
		return failed
	}
	if input, failed = a.query(f, state.Arguments, states{}, input, a.nextEvent()); failed != nil {
		return failed
	}
	if a.env.test != nil {
		return a.mocked(f, state, state.ResultSelector, state.ResultPath)
	}
	begun := a.follow(f, &HistoryEvent{Type: ParallelStateStartedType})
	f.phase, f.due = joining, 0
	a.touch(f)
	branches := make([]*Frame, len(state.Branches))
	for i := range state.Branches {
		branches[i] = &Frame{parent: f.ID, index: i, input: input, last: begun, state: state.Branches[i].StartAt}
		a.addFrame(branches[i])
	}
	slices.Reverse(branches) // the stack's top, branch 0, runs first
	a.stack = append(a.stack, branches...)
	return nil
}

// joined is called when a branch or iteration has ended well.
func (a *apply) joined(f *Frame) {
	parent := a.frames[f.parent]
	var failed *failure
	switch state := a.env.Machine.State(parent.state).(type) {
	case *asl.Parallel:
		if a.allDone(parent) {
			parent.last = f.last
			failed = a.join(parent, state, ParallelStateSucceededType, state.ResultSelector, state.ResultPath)
		}
	case *asl.Map:
		parent.last = a.record(&HistoryEvent{Type: MapIterationSucceededType, Previous: f.last, Name: parent.state, Index: int64(f.index)})
		failed = a.nextIteration(parent, state, f.last)
	}
	if failed != nil {
		a.fail(parent, failed)
	}
}

// allDone reports whether no branch of f is left.
func (a *apply) allDone(f *Frame) bool {
	return !slices.ContainsFunc(a.children[f.ID], func(id FrameID) bool { return a.frames[id].phase != done })
}

// results gathers the outputs of f's branches or iterations, by index, each
// with the text it has.
func (a *apply) results(f *Frame) *Data {
	var b strings.Builder
	b.WriteByte('[')
	for i, id := range a.children[f.ID] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a.frames[id].result.JSON())
	}
	b.WriteByte(']')
	return Text(b.String())
}
