package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// choice goes to the first rule that holds. A rule's Assign replaces the
// state's.
func (a *apply) choice(f *Frame, state *asl.Choice) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	a.inspect(AfterInputPath, input)
	c := condition{apply: a, frame: f, env: a.jsonpath(f, input.Value(), a.nextEvent())}
	next, assign, query := state.Default, state.Assign, state.Output
	way, index := ByDefault, 0
	for i := range state.Choices {
		rule := &state.Choices[i]
		holds, failed := c.holds(rule.Condition)
		if failed != nil {
			return failed
		}
		if holds {
			next, way, index = rule.Next, ByRule, i
			assign, query = cmp.Or(rule.Assign, assign), cmp.Or(rule.Output, query)
			break
		}
	}
	if next == "" {
		e := a.runtimeFailure(f, "No choice matched and no Default was given.")
		e.name = ptr("States.NoChoiceMatched")
		return e
	}
	output, failed := a.selected(f, state.OutputPath, input)
	if failed != nil {
		return failed
	}
	if output, failed = a.query(f, query, states{}, output, a.nextEvent()); failed != nil {
		return failed
	}
	vars, failed := a.assigned(f, assign, input, states{})
	if failed != nil {
		return failed
	}
	a.took(f, way, index)
	return a.exit(f, state, output, vars, next)
}

// condition evaluates the conditions of a Choice state.
type condition struct {
	apply *apply
	frame *Frame
	env   *jsonpath.Env
}

func (c *condition) holds(cond asl.Condition) (bool, *failure) {
	switch cond := cond.(type) {
	case asl.And:
		for _, part := range cond {
			if ok, failed := c.holds(part); !ok || failed != nil {
				return false, failed
			}
		}
		return true, nil
	case asl.Or:
		for _, part := range cond {
			if ok, failed := c.holds(part); ok || failed != nil {
				return ok, failed
			}
		}
		return false, nil
	case asl.Not:
		ok, failed := c.holds(cond.Condition)
		return !ok && failed == nil, failed
	case asl.Holds:
		v, failed := c.apply.evaluate(c.frame, cond.Query, states{}, c.apply.nextEvent())
		if failed == nil && v.Kind() != value.Bool {
			failed = c.apply.queryFailure(c.frame, cond.Unexpected("boolean", v))
		}
		return failed == nil && v.Bool(), failed
	case *asl.Compare:
		return c.compare(cond)
	default:
		return false, c.apply.runtimeFailure(c.frame, fmt.Sprintf("unknown condition %T", cond))
	}
}

func (c *condition) compare(rule *asl.Compare) (bool, *failure) {
	v, err := rule.Variable.Eval(c.env)
	if rule.Operator == asl.IsPresent {
		return (err == nil) == rule.Literal.Bool(), nil
	}
	if err != nil {
		return false, c.invalidPath(rule.Variable)
	}
	want := rule.Literal
	if rule.Path != nil {
		if want, err = rule.Path.Eval(c.env); err != nil {
			return false, c.invalidPath(rule.Path)
		}
	}
	if rule.Operator >= asl.IsNull {
		return is(rule.Operator, v) == want.Bool(), nil
	}
	return compare(rule.Operator, v, want), nil
}

func (c *condition) invalidPath(p *jsonpath.Path) *failure {
	return c.apply.runtimeFailure(c.frame, fmt.Sprintf("Invalid path '%s': The choice state's condition path references an invalid value.", p))
}

// is tests the type of v.
func is(op asl.Operator, v value.Value) bool {
	switch op {
	case asl.IsNull:
		return v.IsNull()
	case asl.IsNumeric:
		return v.Kind() == value.Number
	case asl.IsString:
		return v.Kind() == value.String
	case asl.IsBoolean:
		return v.Kind() == value.Bool
	case asl.IsTimestamp:
		_, ok := instant(v)
		return ok
	}
	return false
}

// compare compares v with want; values of another type than the operator's
// are never equal, less or greater.
func compare(op asl.Operator, v, want value.Value) bool {
	switch {
	case op == asl.BooleanEquals:
		return v.Kind() == value.Bool && want.Kind() == value.Bool && v.Bool() == want.Bool()
	case op == asl.StringMatches:
		return v.Kind() == value.String && want.Kind() == value.String && matches(v.Str(), want.Str())
	case op <= asl.StringGreaterThanEquals:
		return v.Kind() == value.String && want.Kind() == value.String &&
			ordered(op-asl.StringEquals, compareText(v.Str(), want.Str()))
	case op >= asl.NumericEquals && op <= asl.NumericGreaterThanEquals:
		return v.Kind() == value.Number && want.Kind() == value.Number &&
			ordered(op-asl.NumericEquals, cmp.Compare(v.Float(), want.Float()))
	default:
		x, ok := instant(v)
		y, okWant := instant(want)
		return ok && okWant && ordered(op-asl.TimestampEquals, x.Compare(y))
	}
}

// ordered reads a comparison's outcome as the n-th operator of its family:
// Equals, LessThan, GreaterThan, LessThanEquals, GreaterThanEquals.
func ordered(n asl.Operator, outcome int) bool {
	switch n {
	case 0:
		return outcome == 0
	case 1:
		return outcome < 0
	case 2:
		return outcome > 0
	case 3:
		return outcome <= 0
	default:
		return outcome >= 0
	}
}

// compareText orders strings by their UTF-16 code units.
func compareText(x, y string) int {
	for x != "" && y != "" {
		r, n := utf8.DecodeRuneInString(x)
		s, m := utf8.DecodeRuneInString(y)
		if r != s {
			return cmp.Compare(firstUnit(r), firstUnit(s))
		}
		x, y = x[n:], y[m:]
	}
	return cmp.Compare(len(x), len(y))
}

// firstUnit places characters outside the basic plane where their surrogates
// are: below U+E000.
func firstUnit(r rune) rune {
	if r >= 0x10000 {
		return 0xd800<<12 + r
	}
	return r << 12
}

func instant(v value.Value) (time.Time, bool) {
	if v.Kind() != value.String {
		return time.Time{}, false
	}
	t, err := asl.ParseTimestamp(v.Str())
	return t, err == nil
}

// matches compares with a pattern in which * stands for any run of characters
// and \\ takes the special meaning from what follows.
func matches(text, pattern string) bool {
	star, mark := -1, 0 // where to go on after a mismatch
	i, p := 0, 0
	for i < len(text) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, i
				p++
				continue
			}
			want, size := pattern[p], 1
			if want == '\\' && p+1 < len(pattern) {
				want, size = pattern[p+1], 2
			}
			if text[i] == want {
				i, p = i+1, p+size
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		i, p = mark, star+1
	}
	return strings.Trim(pattern[p:], "*") == ""
}
