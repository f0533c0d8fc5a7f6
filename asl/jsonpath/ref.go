package jsonpath

import (
	"errors"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Ref is a compiled reference path: it leads to one node and can be written to,
// as ResultPath does. It is immutable.
type Ref struct {
	text  string
	steps []step
}

// ParseRef compiles a reference path: $ and the names and indexes of one node.
func ParseRef(text string) (*Ref, error) {
	p, err := Parse(text)
	switch {
	case err != nil:
		return nil, err
	case p.root != rootInput:
		return nil, errors.New("a reference path begins with $, not at the context object or a variable")
	case !p.direct:
		return nil, errors.New("a reference path leads to one node: it has names and indexes only")
	}
	for _, s := range p.steps {
		if s.kind == stepIndex && s.index < 0 {
			return nil, errors.New("a reference path has no negative index")
		}
	}
	return &Ref{text, p.steps}, nil
}

// String returns the path as it was written.
func (r *Ref) String() string { return r.text }

// Root reports whether the path is $, which replaces everything.
func (r *Ref) Root() bool { return len(r.steps) == 0 }

// Set returns into with x at the path. Objects that are missing on the way are
// made; a new member comes last (recorded). The error is an *Error with the name
// States.ResultPathMatchFailure where the path does not fit: a name meets what is
// no object, or an index an array that does not have it.
func (r *Ref) Set(into, x value.Value) (value.Value, error) {
	v, ok := set(into, x, r.steps)
	if !ok {
		return value.Value{}, &Error{Name: matchFailure, Cause: "Unable to apply ReferencePath " + r.text + " to input " + into.JSON()}
	}
	return v, nil
}

func set(into, x value.Value, steps []step) (value.Value, bool) {
	if len(steps) == 0 {
		return x, true
	}
	s := &steps[0]
	if s.kind == stepIndex {
		return setItem(into, x, steps)
	}
	if into.IsAbsent() {
		into = value.EmptyObject
	}
	if into.Kind() != value.Object {
		return value.Value{}, false
	}
	v, ok := set(into.Get(s.name), x, steps[1:])
	return into.With(s.name, v), ok
}

func setItem(into, x value.Value, steps []step) (value.Value, bool) {
	if into.Kind() != value.Array || steps[0].index >= into.Len() {
		return value.Value{}, false
	}
	v, ok := set(into.At(steps[0].index), x, steps[1:])
	items := make([]value.Value, 0, into.Len())
	for _, item := range into.Items() {
		items = append(items, item)
	}
	items[steps[0].index] = v
	return value.ArrayOf(items), ok
}
