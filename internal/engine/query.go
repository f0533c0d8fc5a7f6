package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonata"
	"github.com/lockstep-run/lockstep/asl/value"
)

// How data flows through a JSONata state: expressions see the state's input,
// result and error as members of $states, and variables by their names.

// states is what $states has besides input and context.
type states struct {
	result      *Data
	errorOutput *Data
}

// query evaluates a field, or hands d on where there is none. Its only chance
// is the event number seed.
func (a *apply) query(f *Frame, q *asl.Query, s states, d *Data, seed int64) (*Data, *failure) {
	if q == nil {
		return d, nil
	}
	v, failed := a.evaluate(f, q, s, seed)
	if failed != nil {
		return nil, failed
	}
	return ValueData(v), nil
}

func (a *apply) evaluate(f *Frame, q *asl.Query, s states, seed int64) (value.Value, *failure) {
	var object value.Value // built when an expression asks for it
	v, err := q.Eval(&jsonata.Env{
		Variables: func(name string) (value.Value, bool) {
			if name != "states" {
				return a.variable(f, name)
			}
			if object.IsAbsent() {
				object = a.states(f, s, q.States())
			}
			return object, true
		},
		Millis: func() int64 { return a.now },
		Random: chance(uint64(a.Execution.ID), uint64(seed)),
		Deadline: func() bool {
			a.asked++
			return a.env.Interrupt != nil && a.env.Interrupt()
		},
	})
	if err != nil {
		return value.Value{}, a.queryFailure(f, err)
	}
	return v, nil
}

// states builds $states, as far as it is used.
func (a *apply) states(f *Frame, s states, used []string) value.Value {
	var members []value.Member
	add := func(name string, v func() value.Value) {
		if slices.Contains(used, name) || slices.Contains(used, "") {
			members = append(members, value.Member{Key: name, Value: v()})
		}
	}
	add("input", f.input.Value)
	add("context", func() value.Value { return a.context(f) })
	if s.result != nil {
		add("result", s.result.Value)
	}
	if s.errorOutput != nil {
		add("errorOutput", s.errorOutput.Value)
	}
	return value.ObjectOf(members)
}

// queryFailure words a failed evaluation as AWS does. Unlike States.Runtime it
// can be tried again and caught.
func (a *apply) queryFailure(f *Frame, err error) *failure {
	var e *asl.QueryError
	if !errors.As(err, &e) {
		e = &asl.QueryError{Cause: err.Error()}
	}
	failed := a.runtimeFailure(f, e.Cause)
	failed.name, failed.fatal = ptr("States.QueryEvaluationError"), false
	failed.evaluation, failed.location = true, e.Location
	return failed
}

// number evaluates a field that must give a whole number, not negative.
func (a *apply) number(f *Frame, q *asl.Query) (int64, *failure) {
	v, failed := a.evaluate(f, q, states{}, a.nextEvent())
	if failed != nil {
		return 0, failed
	}
	n, whole := v.Int64()
	if !whole {
		return 0, a.queryFailure(f, q.Unexpected("integer", v))
	}
	if n < 0 {
		return 0, a.queryFailure(f, &asl.QueryError{Location: q.Field(), Cause: fmt.Sprintf("The field '%s' must not be negative, but was %d", q.Field(), n)})
	}
	return n, nil
}

// wording evaluates a field that must give a string.
func (a *apply) wording(f *Frame, q *asl.Query) (string, *failure) {
	v, failed := a.evaluate(f, q, states{}, a.nextEvent())
	if failed != nil {
		return "", failed
	}
	if v.Kind() != value.String {
		return "", a.queryFailure(f, q.Unexpected("string", v))
	}
	return v.Str(), nil
}
