// Package asl is the Amazon States Language: it turns the text of a definition
// into a Machine, in which everything is checked and compiled, or says what is
// wrong with it and where.
//
// Parse is the whole way in. It goes over the definition once, state by state
// (one file per state type, as in the engine), gathering what it finds wrong as
// Diagnostics in AWS's codes and wording; then over the graph of each scope
// (graph.go), the variables (assign.go) and what flows between states (flow.go).
// Nothing here looks at a clock, and the same text always gives the same answer.
package asl

import "github.com/lockstep-run/lockstep/asl/jsonpath"

// QueryLanguage says how a state's fields compute values.
type QueryLanguage uint8

const (
	JSONPath QueryLanguage = iota // the default
	JSONata
)

// String gives the name used in definitions.
func (q QueryLanguage) String() string {
	if q == JSONata {
		return "JSONata"
	}
	return "JSONPath"
}

// Machine is a validated definition with everything in it compiled: paths,
// payload templates, intrinsic calls, retriers. It is immutable and safe for
// concurrent use.
type Machine struct {
	Comment        string
	Version        string
	TimeoutSeconds int64 // 0: none
	QueryLanguage  QueryLanguage
	Scope

	all        map[string]State // every state of the machine, nested ones included
	references map[string][]string
}

// State finds a state by name anywhere in the machine: names are unique
// across all nested scopes. It returns nil when there is none.
func (m *Machine) State(name string) State { return m.all[name] }

// Len returns the number of states, nested ones included.
func (m *Machine) Len() int { return len(m.all) }

// Walk calls f for every state, each before the states nested in it and
// otherwise in the order they were written, with the state that contains it:
// nil at the top level. It stops when f returns false.
func (m *Machine) Walk(f func(s, parent State) bool) { m.Scope.walk(nil, f) }

func (s *Scope) walk(parent State, f func(s, parent State) bool) bool {
	for _, state := range s.States {
		if !f(state, parent) {
			return false
		}
		for _, scope := range Scopes(state) {
			if !scope.walk(state, f) {
				return false
			}
		}
	}
	return true
}

// VariableReferences returns, for each state that reads variables, their names
// in order. States that read none are left out. The caller must not change it.
func (m *Machine) VariableReferences() map[string][]string { return m.references }

// Scope is a set of states that can reach each other: the top level of a
// machine, a Parallel branch or a Map's item processor.
type Scope struct {
	StartAt string
	States  []State // in the order they were written
}

// Scopes returns the scopes inside a state: the branches of a Parallel, the
// item processor of a Map, none for the others.
func Scopes(s State) []*Scope {
	switch s := s.(type) {
	case *Parallel:
		scopes := make([]*Scope, len(s.Branches))
		for i := range s.Branches {
			scopes[i] = &s.Branches[i]
		}
		return scopes
	case *Map:
		return []*Scope{&s.Processor}
	}
	return nil
}

// State is one of Task, Pass, Choice, Wait, Succeed, Fail, Parallel and Map.
type State interface {
	// Base gives the fields that every state has.
	Base() *Common
	isState()
}

// Common holds the fields that every state has.
type Common struct {
	Name          string
	Type          string // "Task", "Pass", …
	Comment       string
	Pointer       string // JSON pointer of the state in the definition
	QueryLanguage QueryLanguage
	Next          string // "" when the state ends its scope
	End           bool

	InputPath  *Selector // nil: "$"
	OutputPath *Selector // nil: "$"
	Assign     *Assign   // nil: none
	Output     *Query    // JSONata; nil: the result, or the input where there is none
}

// Base returns c, so that every state type has the method.
func (c *Common) Base() *Common { return c }

// Selector is an InputPath, OutputPath or ItemsPath: a path, or null, which
// selects the empty object.
type Selector struct {
	Null bool
	Path *jsonpath.Path
}

// ResultPath says where a result goes in the state's raw input.
type ResultPath struct {
	Discard bool          // "ResultPath": null
	Ref     *jsonpath.Ref // nil when Discard
}

// Seconds is a duration: a literal, or what a path or an expression gives.
type Seconds struct {
	Literal int64 // holds when the others are nil
	Path    *jsonpath.Path
	Query   *Query
}
