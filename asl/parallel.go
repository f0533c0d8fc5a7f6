package asl

import (
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Parallel runs its branches side by side.
type Parallel struct {
	Common
	Branches       []Scope
	Parameters     *jsonpath.Template
	ResultSelector *jsonpath.Template
	ResultPath     *ResultPath
	Arguments      *Query // JSONata; nil: the input
	Retry          []Retrier
	Catch          []Catcher
}

func (*Parallel) isState() {}

func (s *stateParser) parallel(base Common) State {
	p := &Parallel{Common: base}
	if s.lang == JSONPath {
		p.Parameters = s.template(s.v, s.at, "Parameters")
		p.ResultSelector = s.template(s.v, s.at, "ResultSelector")
		p.ResultPath = s.resultPath(s.v, s.at)
	} else {
		p.Arguments = s.query(s.v, s.at, "Arguments")
	}
	p.Branches = s.branches()
	p.Retry = s.retry()
	p.Catch = s.catch()
	return p
}

func (s *stateParser) branches() []Scope {
	v, at := s.v.Get("Branches"), s.at.key("Branches")
	if v.IsAbsent() {
		s.required(s.at, "Branches")
		return nil
	}
	if !s.isKind(v, at, value.Array) {
		return nil
	}
	if v.Len() == 0 {
		s.schema(at, "Value cannot be empty")
	}
	branches := make([]Scope, 0, v.Len())
	for i, branch := range v.Items() {
		at := at.item(i)
		if !s.isKind(branch, at, value.Object) {
			continue
		}
		s.fields(branch, at, "StartAt", "States", "Comment")
		s.text(branch, at, "Comment")
		branches = append(branches, s.inner(branch, at, s.newVariables(s.vars, false)))
	}
	return branches
}

// inner reads a scope inside the state.
func (s *stateParser) inner(v value.Value, at *place, vars *variables) Scope {
	first := len(s.graphs)
	scope := s.scope(v, at, vars)
	s.node.inner = append(s.node.inner, s.graphs[first])
	return scope
}
