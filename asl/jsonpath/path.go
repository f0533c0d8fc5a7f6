// Package jsonpath is the JSONPath query language of the Amazon States Language:
// paths, reference paths, payload templates and intrinsic functions.
//
// Paths follow the Jayway dialect, which the service uses, with the rules that
// Step Functions lays on top: a path may start at the context object ($$) or at
// a variable ($name), and an indefinite path without a match gives an empty
// array, whatever it was that is missing.
//
// Everything is compiled once, when a definition is read, and is immutable from
// then on. Evaluation is pure: input, context, variables and chance come in
// through Env, and the work and the size of a result are bounded.
package jsonpath

import (
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Env is what an expression may look at. Functions that are nil count as giving
// nothing: an empty context, no variables, and always 0 for chance.
type Env struct {
	Input    value.Value
	Context  func() value.Value                    // the context object; called only when $$ is used
	Variable func(name string) (value.Value, bool) // called only when a variable is used
	Random   func() uint64                         // chance for States.UUID and States.MathRandom
}

// Path is a compiled path. It is immutable.
type Path struct {
	text     string
	root     root
	variable string
	steps    []step
	definite bool // gives one value or fails
	direct   bool // children and indexes only
	repeats  bool // may give the same node, or a node and its parts
}

type root uint8

const (
	rootInput    root = iota // $
	rootContext              // $$
	rootVariable             // $name
	rootItem                 // @, inside a filter
)

type stepKind uint8

const (
	stepChild    stepKind = iota // .name
	stepChildren                 // ['a','b']
	stepIndex                    // [0]
	stepIndexes                  // [0,2]
	stepSlice                    // [1:3]
	stepWildcard                 // *
	stepFilter                   // [?(…)]
	stepFunction                 // .length()
)

// step is one step of a path. What is set depends on the kind.
type step struct {
	kind     stepKind
	deep     bool // written with .. before it: applies to every node below, too
	name     string
	names    []string
	index    int
	indexes  []int
	from, to bound
	filter   condition
	function *function
}

// bound is one end of a slice.
type bound struct {
	set bool
	at  int
}

// String returns the path as it was written.
func (p *Path) String() string { return p.text }

// Definite reports whether the path leads to one value at most. Others, with a
// wildcard, slice, filter, union or .., give an array of what they find.
func (p *Path) Definite() bool { return p.definite }

// Variable returns the name of the variable at which the path starts, "" if it
// starts elsewhere.
func (p *Path) Variable() string { return p.variable }

// Context reports whether the path starts at the context object, $$.
func (p *Path) Context() bool { return p.root == rootContext }

// Variables returns the names of the variables that the path refers to.
func (p *Path) Variables() []string { return p.refs().variables() }

// ContextPaths returns the paths into the context object, as they are written.
func (p *Path) ContextPaths() []string { return p.refs().contextPaths() }

func (p *Path) refs() refs { return refs{p} }

// refs are the paths of an expression.
type refs []*Path

func (r refs) variables() []string {
	return r.collect(func(p *Path) string { return p.variable })
}

func (r refs) contextPaths() []string {
	return r.collect(func(p *Path) string {
		if p.root != rootContext {
			return ""
		}
		return p.text
	})
}

// collect returns the different texts that get gives, "" left out, sorted.
func (r refs) collect(get func(*Path) string) []string {
	var found []string
	for _, p := range r {
		if s := get(p); s != "" {
			found = append(found, s)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Eval returns what the path leads to. The error is an *Error with the text of
// the service for paths in fields such as InputPath.
func (p *Path) Eval(env *Env) (value.Value, error) {
	v, fail := p.eval(env)
	if fail != nil {
		return value.Value{}, fail.inPath(p)
	}
	return v, nil
}

// Find returns what the path leads to, like Eval, but without an explanation
// where there is nothing: then it reports false.
func (p *Path) Find(env *Env) (value.Value, bool) {
	if !p.direct {
		v, fail := p.eval(env)
		return v, fail == nil
	}
	v, fail := p.start(env)
	for i := 0; fail == nil && i < len(p.steps) && !v.IsAbsent(); i++ {
		v = p.steps[i].next(v)
	}
	return v, fail == nil && !v.IsAbsent()
}

func (p *Path) eval(env *Env) (value.Value, *failure) {
	start, fail := p.start(env)
	if fail != nil {
		return value.Value{}, fail
	}
	if p.direct {
		return p.follow(start)
	}
	e := evaluator{root: start, steps: maxSteps, size: maxResult}
	return e.eval(p, start)
}

// start returns the value at which the path starts.
func (p *Path) start(env *Env) (value.Value, *failure) {
	switch p.root {
	case rootContext:
		if env.Context == nil {
			return value.EmptyObject, nil
		}
		return env.Context(), nil
	case rootVariable:
		if env.Variable != nil {
			if v, ok := env.Variable(p.variable); ok {
				return v, nil
			}
		}
		return value.Value{}, &failure{missing: true, text: "No variable with the name '" + p.variable + "' has been assigned"}
	}
	if env.Input.IsAbsent() {
		return value.EmptyObject, nil
	}
	return env.Input, nil
}

// follow goes along a direct path. It is the hot path of every machine.
func (p *Path) follow(v value.Value) (value.Value, *failure) {
	for i := range p.steps {
		next := p.steps[i].next(v)
		if next.IsAbsent() {
			return value.Value{}, p.stuck(v, i)
		}
		v = next
	}
	return v, nil
}

// next goes one child or index further; Absent where there is none.
func (s *step) next(v value.Value) value.Value {
	if s.kind == stepChild {
		return v.Get(s.name)
	}
	return item(v, s.index)
}

// item returns item i of an array, from its end if i is negative.
func item(v value.Value, i int) value.Value {
	if v.Kind() != value.Array {
		return value.Value{}
	}
	if i < 0 {
		i += v.Len()
	}
	return v.At(i)
}

// stuck explains why step i does not lead on from v.
func (p *Path) stuck(v value.Value, i int) *failure {
	s, last := &p.steps[i], i == len(p.steps)-1
	switch {
	case s.kind == stepIndex && v.IsNull():
		return missing("The path " + p.compiled(i) + " is null")
	case s.kind == stepIndex && v.Kind() != value.Array:
		return missing("Filter: " + s.String() + " can only be applied to arrays. Current context is: " + javaString(v))
	case s.kind == stepChild && v.Kind() != value.Object:
		return missing("Expected to find an object with property " + s.String() + " in path " + p.compiled(i) + " but found '" + javaClass(v) +
			"'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonProvider'.")
	case s.kind == stepChild && !last:
		return missing("Missing property in path " + p.compiled(i+1))
	}
	return missing("No results for path: " + p.compiled(len(p.steps)))
}

// compiled writes the first n steps as the service does in its messages.
func (p *Path) compiled(n int) string {
	var b strings.Builder
	b.WriteByte('$')
	if p.root == rootItem {
		b.Reset()
		b.WriteByte('@')
	}
	for i := range p.steps[:n] {
		if p.steps[i].deep {
			b.WriteString("..")
		}
		b.WriteString(p.steps[i].String())
	}
	return b.String()
}

// String writes the step in brackets.
func (s *step) String() string {
	switch s.kind {
	case stepChild:
		return "['" + s.name + "']"
	case stepChildren:
		return "['" + strings.Join(s.names, "','") + "']"
	case stepIndex:
		return "[" + strconv.Itoa(s.index) + "]"
	case stepIndexes:
		texts := make([]string, len(s.indexes))
		for i, index := range s.indexes {
			texts[i] = strconv.Itoa(index)
		}
		return "[" + strings.Join(texts, ",") + "]"
	case stepSlice:
		return "[" + s.from.String() + ":" + s.to.String() + "]"
	case stepWildcard:
		return "[*]"
	case stepFilter:
		return "[?]"
	}
	return "." + s.name + "()"
}

func (b bound) String() string {
	if !b.set {
		return ""
	}
	return strconv.Itoa(b.at)
}
