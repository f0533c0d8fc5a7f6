package jsonpath

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// operators are the comparisons of Jayway, by their name in lower case.
var operators = map[string]func(left, right result) bool{
	"==":  func(l, r result) bool { return loose(l.v, r.v) },
	"!=":  func(l, r result) bool { return !loose(l.v, r.v) },
	"<>":  func(l, r result) bool { return !loose(l.v, r.v) },
	"===": func(l, r result) bool { return strict(l.v, r.v) },
	"!==": func(l, r result) bool { return !strict(l.v, r.v) },
	"<":   func(l, r result) bool { c, ok := compare(l.v, r.v); return ok && c < 0 },
	"<=":  func(l, r result) bool { c, ok := compare(l.v, r.v); return ok && c <= 0 },
	">":   func(l, r result) bool { c, ok := compare(l.v, r.v); return ok && c > 0 },
	">=":  func(l, r result) bool { c, ok := compare(l.v, r.v); return ok && c >= 0 },
	"=~":  matches,

	"in":       func(l, r result) bool { return contains(r.v, l.v) },
	"nin":      func(l, r result) bool { return !contains(r.v, l.v) },
	"contains": func(l, r result) bool { return holdsInside(l.v, r.v) },
	"all":      func(l, r result) bool { return isArrays(l.v, r.v) && everyOf(r.v, l.v) },
	"subsetof": func(l, r result) bool { return isArrays(l.v, r.v) && everyOf(l.v, r.v) },
	"anyof":    func(l, r result) bool { return isArrays(l.v, r.v) && someOf(l.v, r.v) },
	"noneof":   func(l, r result) bool { return isArrays(l.v, r.v) && !someOf(l.v, r.v) },
	"size":     func(l, r result) bool { n, ok := length(l.v); return ok && isInt(r.v, n) },
	"empty": func(l, r result) bool {
		n, ok := length(l.v)
		return ok && r.v.Kind() == value.Bool && r.v.Bool() == (n == 0)
	},
}

// loose is Jayway's ==: a number and a string are equal when the right side,
// read as what the left side is, equals it; so '1' == 1 holds.
func loose(a, b value.Value) bool {
	switch {
	case a.IsAbsent() || b.IsAbsent():
		return false
	case a.Kind() == value.Number && b.Kind() == value.String:
		n, err := value.NumberText(strings.TrimSpace(b.Str()))
		return err == nil && value.Equal(a, n)
	case a.Kind() == value.String && b.Kind() == value.Number:
		return a.Str() == b.NumberText()
	}
	return value.Equal(a, b)
}

func strict(a, b value.Value) bool {
	return !a.IsAbsent() && value.Equal(a, b)
}

// compare orders two numbers or two strings; nothing else has an order.
func compare(a, b value.Value) (int, bool) {
	switch {
	case a.Kind() == value.Number && b.Kind() == value.Number:
		x, y := a.Float(), b.Float()
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	case a.Kind() == value.String && b.Kind() == value.String:
		return strings.Compare(a.Str(), b.Str()), true
	}
	return 0, false
}

// matches handles =~, whose pattern may be on either side.
func matches(l, r result) bool {
	switch {
	case l.pattern != nil && r.pattern == nil:
		return matchesAny(l, r.v)
	case r.pattern != nil && l.pattern == nil:
		return matchesAny(r, l.v)
	}
	return false
}

// matchesAny looks for the pattern in v or in any item of v.
func matchesAny(pattern result, v value.Value) bool {
	switch v.Kind() {
	case value.Array:
		for _, item := range v.Items() {
			if item.Kind() != value.Array && matchesAny(pattern, item) {
				return true
			}
		}
		return false
	case value.String:
		return pattern.pattern.MatchString(v.Str())
	case value.Number, value.Bool:
		return pattern.pattern.MatchString(v.JSON())
	}
	return pattern.pattern.MatchString("")
}

func contains(list, x value.Value) bool {
	for _, item := range list.Items() {
		if loose(x, item) {
			return true
		}
	}
	return false
}

// holdsInside handles contains: a text within a text, or an item of an array.
func holdsInside(l, r value.Value) bool {
	if l.Kind() == value.String && r.Kind() == value.String {
		return strings.Contains(l.Str(), r.Str())
	}
	return contains(l, r)
}

func isArrays(a, b value.Value) bool {
	return a.Kind() == value.Array && b.Kind() == value.Array
}

func everyOf(xs, list value.Value) bool {
	for _, x := range xs.Items() {
		if !contains(list, x) {
			return false
		}
	}
	return true
}

func someOf(xs, list value.Value) bool {
	for _, x := range xs.Items() {
		if contains(list, x) {
			return true
		}
	}
	return false
}

// length returns the length of a string, array or object.
func length(v value.Value) (int, bool) {
	switch v.Kind() {
	case value.String:
		return units(v.Str()), true
	case value.Array, value.Object:
		return v.Len(), true
	}
	return 0, false
}

// units counts the characters of s as Java does, in UTF-16.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

func isInt(v value.Value, n int) bool {
	i, ok := v.Int64()
	return ok && i == int64(n)
}
