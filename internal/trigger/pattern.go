package trigger

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Pattern says which events are meant, in the language of EventBridge's event
// patterns: an object that looks like the event, with a list of alternatives for
// each field.
type Pattern struct{ root node }

// node is what an object of the event must be: all fields match and, where there
// are any, one of the choices.
type node struct {
	fields  []field
	choices []node // $or
}

// field is what one field of an object must be: an object again, or one of the
// alternatives.
type field struct {
	name  string
	below *node
	alts  []alternative
}

// alternative reports whether a value is meant. It gets an absent one where the
// event has no such field, or an object in its place.
type alternative func(v value.Value) bool

const (
	maxPattern = 4096 // bytes, AWS's
	maxDepth   = 50
	maxChoices = 1000 // of $or, in all
)

// ParsePattern reads a pattern. The error says where and what.
func ParsePattern(text string) (*Pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern has more than %d bytes", maxPattern)
	}
	v, err := value.Parse(text)
	if err != nil {
		return nil, err
	}
	root, err := parseNode(v, "$", 0)
	if err != nil {
		return nil, err
	}
	return &Pattern{root}, nil
}

func parseNode(v value.Value, at string, depth int) (n node, err error) {
	if v.Kind() != value.Object || v.Len() == 0 {
		return n, fmt.Errorf("%s must be an object that is not empty, or a list of alternatives", at)
	}
	if depth > maxDepth {
		return n, errors.New("the pattern is too deep")
	}
	for name, x := range v.Members() {
		place := at + "." + name
		switch {
		case name == "$or" && x.Kind() == value.Array:
			if x.Len() < 2 || x.Len() > maxChoices {
				return n, fmt.Errorf("%s must have at least two choices", place)
			}
			for i, choice := range x.Items() {
				c, err := parseNode(choice, fmt.Sprintf("%s[%d]", place, i), depth+1)
				if err != nil {
					return n, err
				}
				n.choices = append(n.choices, c)
			}
		case x.Kind() == value.Array:
			f := field{name: name}
			if x.Len() == 0 {
				return n, fmt.Errorf("%s has no alternatives", place)
			}
			for i, y := range x.Items() {
				alt, err := parseAlternative(y)
				if err != nil {
					return n, fmt.Errorf("%s[%d]: %w", place, i, err)
				}
				f.alts = append(f.alts, alt)
			}
			n.fields = append(n.fields, f)
		default:
			below, err := parseNode(x, place, depth+1)
			if err != nil {
				return n, err
			}
			n.fields = append(n.fields, field{name: name, below: &below})
		}
	}
	return n, nil
}

func parseAlternative(v value.Value) (alternative, error) {
	switch v.Kind() {
	case value.Array:
		return nil, errors.New("a list stands within a list")
	case value.Object:
	default:
		return func(x value.Value) bool { return value.Equal(v, x) }, nil
	}
	if v.Len() != 1 {
		return nil, errors.New("an operator stands alone in its object")
	}
	name, arg := v.Key(0), v.At(0)
	switch name {
	case "exists":
		if arg.Kind() != value.Bool {
			return nil, errors.New("exists must be true or false")
		}
		return func(x value.Value) bool { return x.IsAbsent() != arg.Bool() }, nil
	case "anything-but":
		return parseAnythingBut(arg)
	case "numeric":
		return parseNumeric(arg)
	case "cidr":
		network, err := netip.ParsePrefix(arg.Str())
		if err != nil {
			return nil, errors.New("cidr must be a network such as 10.0.0.0/24")
		}
		return func(x value.Value) bool {
			addr, err := netip.ParseAddr(x.Str())
			return err == nil && network.Contains(addr)
		}, nil
	}
	return parseText(name, arg)
}

// parseText reads the operators that look at texts.
func parseText(name string, arg value.Value) (alternative, error) {
	if (name == "prefix" || name == "suffix") && arg.Kind() == value.Object && arg.Len() == 1 && arg.Key(0) == "equals-ignore-case" && arg.At(0).Kind() == value.String {
		want := fold(arg.At(0).Str())
		has := map[string]func(string, string) bool{"prefix": strings.HasPrefix, "suffix": strings.HasSuffix}[name]
		return func(x value.Value) bool { return x.Kind() == value.String && has(fold(x.Str()), want) }, nil
	}
	tests := map[string]func(text, want string) bool{
		"prefix": strings.HasPrefix, "suffix": strings.HasSuffix,
		"equals-ignore-case": func(text, want string) bool { return fold(text) == fold(want) },
		"wildcard":           wildcard,
	}
	test := tests[name]
	switch {
	case test == nil:
		return nil, fmt.Errorf("there is no operator %.40q", name)
	case arg.Kind() != value.String:
		return nil, fmt.Errorf("%s must be a text", name)
	case name == "wildcard" && strings.Contains(arg.Str(), "**"):
		return nil, errors.New("wildcard must not have two * in a row")
	}
	want := arg.Str()
	return func(x value.Value) bool { return x.Kind() == value.String && test(x.Str(), want) }, nil
}

func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// wildcard matches * with any text; \* and \\ are those characters.
func wildcard(text, pattern string) bool {
	var parts []string
	part := ""
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
			part += string(pattern[i])
		case c == '*':
			parts, part = append(parts, part), ""
		default:
			part += string(c)
		}
	}
	if len(parts) == 0 {
		return text == part
	}
	text, ok := strings.CutPrefix(text, parts[0])
	for _, p := range parts[1:] {
		if !ok {
			return false
		}
		_, text, ok = strings.Cut(text, p)
	}
	return ok && strings.HasSuffix(text, part)
}

// parseAnythingBut reads what a value must not be. The field must be there.
func parseAnythingBut(arg value.Value) (alternative, error) {
	var not []alternative
	add := func(alt alternative, err error) error {
		not = append(not, alt)
		return err
	}
	var err error
	switch arg.Kind() {
	case value.Array:
		for _, x := range arg.Items() {
			if x.Kind() != value.String && x.Kind() != value.Number {
				return nil, errors.New("anything-but must have texts or numbers")
			}
			err = errors.Join(err, add(parseAlternative(x)))
		}
	case value.Object:
		if arg.Len() != 1 {
			return nil, errors.New("an operator stands alone in its object")
		}
		name, x := arg.Key(0), arg.At(0)
		if x.Kind() == value.Array {
			for _, y := range x.Items() {
				err = errors.Join(err, add(parseText(name, y)))
			}
		} else {
			err = add(parseText(name, x))
		}
	case value.String, value.Number:
		err = add(parseAlternative(arg))
	default:
		return nil, errors.New("anything-but must have texts or numbers")
	}
	if err != nil {
		return nil, fmt.Errorf("anything-but: %w", err)
	}
	if len(not) == 0 {
		return nil, errors.New("anything-but has nothing")
	}
	return func(x value.Value) bool {
		if x.IsAbsent() {
			return false
		}
		for _, alt := range not {
			if alt(x) {
				return false
			}
		}
		return true
	}, nil
}

// parseNumeric reads [">", 0, "<=", 5].
func parseNumeric(arg value.Value) (alternative, error) {
	type bound struct {
		op string
		n  float64
	}
	var bounds []bound
	if arg.Kind() != value.Array || arg.Len() != 2 && arg.Len() != 4 {
		return nil, errors.New(`numeric must be like [">", 0] or [">=", 0, "<", 5]`)
	}
	for i := 0; i < arg.Len(); i += 2 {
		op, n := arg.At(i).Str(), arg.At(i+1)
		if !strings.Contains(" = < <= > >= ", " "+op+" ") || op == "" || n.Kind() != value.Number {
			return nil, errors.New("numeric has operators = < <= > >= and numbers")
		}
		bounds = append(bounds, bound{op, n.Float()})
	}
	return func(x value.Value) bool {
		if x.Kind() != value.Number {
			return false
		}
		for _, b := range bounds {
			f := x.Float()
			if !map[string]bool{"=": f == b.n, "<": f < b.n, "<=": f <= b.n, ">": f > b.n, ">=": f >= b.n}[b.op] {
				return false
			}
		}
		return true
	}, nil
}

// Match reports whether an event is meant. Where the event has a list, one of its
// items has to be.
func (p *Pattern) Match(event value.Value) bool { return p.root.match(event) }

// allows reports whether events of a source and type can be meant, as far as
// the pattern's own members of these names go.
func (p *Pattern) allows(source, detailType string) bool {
	for _, f := range p.root.fields {
		if f.name == "source" && !f.match(value.Str(source)) || f.name == "detail-type" && !f.match(value.Str(detailType)) {
			return false
		}
	}
	return true
}

func (n *node) match(v value.Value) bool {
	if v.Kind() == value.Array {
		for _, x := range v.Items() {
			if n.match(x) {
				return true
			}
		}
		return false
	}
	for _, f := range n.fields {
		if !f.match(v.Get(f.name)) {
			return false
		}
	}
	for i := range n.choices {
		if n.choices[i].match(v) {
			return true
		}
	}
	return len(n.choices) == 0
}

func (f *field) match(v value.Value) bool {
	if f.below != nil {
		// Nothing is below what is absent: only exists: false can still match.
		return f.below.match(v)
	}
	switch v.Kind() {
	case value.Object:
		return f.any(value.Value{})
	case value.Array:
		for _, x := range v.Items() {
			if x.Kind() != value.Object && x.Kind() != value.Array && f.any(x) {
				return true
			}
		}
		return v.Len() == 0 && f.any(value.Value{})
	}
	return f.any(v)
}

func (f *field) any(v value.Value) bool {
	for _, alt := range f.alts {
		if alt(v) {
			return true
		}
	}
	return false
}
