package asl

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Assign sets variables when a state ends: an object from variable name to
// value, in the state's query language.
type Assign struct {
	Template *jsonpath.Template
	Query    *Query
	Names    []string // as written, without ".$"
}

// maxVariableName is the length of a variable's name, in characters.
const maxVariableName = 80

// variables are those of one scope: what is assigned in it and what is read.
type variables struct {
	outer    *variables
	sealed   bool // a distributed Map: the outer ones cannot be read
	open     bool // around a single state: who assigns what is not known
	assigned map[string]*place
	read     []variableUse
}

// variableUse is a read of a variable, somewhere in v, which stands at a place.
type variableUse struct {
	name string
	v    value.Value
	at   *place
}

// exactly is the place of the expression that reads the variable.
func (u variableUse) exactly() *place {
	if at := reader(u.v, u.at, u.name); at != nil {
		return at
	}
	return u.at
}

func reader(v value.Value, at *place, name string) *place {
	switch v.Kind() {
	case value.String:
		if x, err := jsonpath.ParseExpr(v.Str()); err == nil && slices.Contains(x.Variables(), name) {
			return at
		}
	case value.Array:
		for i, item := range v.Items() {
			if found := reader(item, at.item(i), name); found != nil && item.Kind() != value.String {
				return found
			}
		}
	case value.Object:
		for key, member := range v.Members() {
			if found := reader(member, at.key(key), name); found != nil &&
				(member.Kind() != value.String || strings.HasSuffix(key, ".$")) {
				return found
			}
		}
	}
	return nil
}

type nameSet map[string]bool

func (p *parser) newVariables(outer *variables, sealed bool) *variables {
	v := &variables{outer: outer, sealed: sealed, assigned: map[string]*place{}}
	p.variables = append(p.variables, v)
	return v
}

// assign reads the Assign of a state, a choice rule or a catcher.
func (s *stateParser) assign(v value.Value, at *place, states ...string) *Assign {
	f, in := v.Get("Assign"), at.key("Assign")
	if f.IsAbsent() || !s.isKind(f, in, value.Object) {
		return nil
	}
	a := &Assign{}
	for key := range f.Members() {
		name := key
		if s.lang == JSONPath {
			name = strings.TrimSuffix(key, ".$")
		}
		s.variableName(name, in, in.key(key))
		a.Names = append(a.Names, name)
		if s.vars.assigned[name] == nil {
			s.vars.assigned[name] = in.key(key)
		}
	}
	if s.lang == JSONata {
		a.Query = s.query(v, at, "Assign", states...)
		return a
	}
	a.Template = s.template(v, at, "Assign")
	return a
}

func (s *stateParser) variableName(name string, at, key *place) {
	switch {
	case name == "states":
		s.report(CodeReservedName, at, key, "Cannot assign to reserved variable '$states'.")
	case utf8.RuneCountInString(name) > maxVariableName:
		s.report(CodeVariableName, at, key, "Invalid variable name '%s': the variable name is longer than %d characters.", shorten(name), maxVariableName)
	case !isVariableName(name):
		s.report(CodeVariableName, at, key, "Invalid variable name '%s': the variable name contains invalid characters.", shorten(name))
	}
}

// isVariableName says whether name is made as Unicode makes identifiers:
// ID_Start, then ID_Continue.
func isVariableName(name string) bool {
	for i, r := range name {
		if r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.Nl, unicode.Other_ID_Start) &&
			(i == 0 || !unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)) {
			return false
		}
	}
	return name != ""
}

// reads notes that the state reads variables in v, which stands at a place.
func (s *stateParser) reads(v value.Value, at *place, names []string) {
	for _, name := range names {
		s.vars.read = append(s.vars.read, variableUse{name, v, at})
	}
	s.refers(names)
}

// refers notes the variables that the state names. In a JSONata state that is
// all: there, one that was never assigned is undefined when it is read.
func (s *stateParser) refers(names []string) {
	for _, name := range names {
		if s.references == nil {
			s.references = map[string]nameSet{}
		}
		if s.references[s.name] == nil {
			s.references[s.name] = nameSet{}
		}
		s.references[s.name][name] = true
	}
}

// checkVariables reports inner variables that hide outer ones, and reads of what
// nothing assigns. Which state assigns it, and whether that state has run, does
// not matter here: only the scope does.
func (p *parser) checkVariables() {
	for _, v := range p.variables {
		for _, name := range sortedNames(v.assigned) {
			if v.outer != nil && !v.sealed && v.outer.has(name) {
				at := v.assigned[name]
				p.report(CodeSchema, at.up, at, "The variable '%s' is already assigned in an outer scope", shorten(name))
			}
		}
		for _, use := range v.read {
			if len(p.errors) < maxDiagnostics && !v.has(use.name) && !v.inOpen() {
				p.report(CodeSchema, use.at, use.exactly(), "The variable '$%s' is read here, but no state assigns it in this scope or around it", shorten(use.name))
			}
		}
	}
}

// has says whether the variable can be read in this scope.
func (v *variables) has(name string) bool {
	for ; v != nil; v = v.outer {
		if v.assigned[name] != nil {
			return true
		}
		if v.sealed {
			return false
		}
	}
	return false
}

// inOpen says whether the scope can see variables that are not known here.
func (v *variables) inOpen() bool {
	for ; v != nil; v = v.outer {
		if v.open {
			return true
		}
		if v.sealed {
			return false
		}
	}
	return false
}

func sortedNames[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func sortedReferences(m map[string]nameSet) map[string][]string {
	out := make(map[string][]string, len(m))
	for state, names := range m {
		out[state] = sortedNames(names)
	}
	return out
}
