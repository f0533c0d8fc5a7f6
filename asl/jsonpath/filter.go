package jsonpath

import (
	"regexp"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// condition is what a filter asks of an item.
type condition interface {
	holds(e *evaluator, item value.Value) bool
}

type (
	either     struct{ any []condition } // ||
	both       struct{ all []condition } // &&
	negation   struct{ of condition }    // !
	exists     struct{ x operand }       // @.a
	comparison struct {
		left, right operand
		test        func(left, right result) bool
		lists       bool // compares each item with each
	}
)

func (c either) holds(e *evaluator, item value.Value) bool {
	for _, x := range c.any {
		if x.holds(e, item) {
			return true
		}
	}
	return false
}

func (c both) holds(e *evaluator, item value.Value) bool {
	for _, x := range c.all {
		if !x.holds(e, item) {
			return false
		}
	}
	return true
}

func (c negation) holds(e *evaluator, item value.Value) bool { return !c.of.holds(e, item) }

// holds reports whether the path leads to something. An indefinite path always
// does: to an array, which may be empty.
func (c exists) holds(e *evaluator, item value.Value) bool {
	if c.x.path == nil {
		return true
	}
	return !c.x.result(e, item).v.IsAbsent()
}

func (c comparison) holds(e *evaluator, item value.Value) bool {
	left, right := c.left.result(e, item), c.right.result(e, item)
	work := 1 + weight(left.v) + weight(right.v)
	if c.lists {
		work *= 1 + min(left.v.Len(), right.v.Len())
	}
	if e.steps -= work; e.steps < 0 {
		return false // the walk ends with the next node
	}
	return c.test(left, right)
}

// weight estimates, in nodes looked at, what it takes to read v.
func weight(v value.Value) int {
	switch v.Kind() {
	case value.String:
		return len(v.Str()) / 16
	case value.Array, value.Object:
		return v.Size() / 8
	}
	return 0
}

// operand is one side of a comparison or an argument of a function: a path, a
// value or a pattern.
type operand struct {
	path    *Path
	v       value.Value
	pattern *regexp.Regexp
}

// result is what an operand comes to for an item; Absent where a path leads
// nowhere.
type result struct {
	v       value.Value
	pattern *regexp.Regexp
}

func (x operand) result(e *evaluator, item value.Value) result {
	if x.path == nil {
		return result{x.v, x.pattern}
	}
	start := item
	if x.path.root == rootInput {
		start = e.root
	}
	v, fail := e.eval(x.path, start)
	if fail != nil {
		v = value.Value{}
	}
	return result{v: v}
}

// filterStep reads ?(…).
func (p *parser) filterStep(s *step) error {
	p.pos++ // ?
	inner := p.inner
	p.inner = true
	defer func() { p.inner = inner }()
	p.space()
	if !p.accept("(") {
		return p.errorf("expected ( after ?")
	}
	c, err := p.anyOf()
	if err != nil {
		return err
	}
	if p.space(); !p.accept(")") {
		return p.errorf("expected ), && or ||")
	}
	s.kind, s.filter = stepFilter, c
	return nil
}

func (p *parser) anyOf() (condition, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var all []condition
	for {
		c, err := p.allOf()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		if p.space(); !p.accept("||") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return either{all}, nil
}

func (p *parser) allOf() (condition, error) {
	var all []condition
	for {
		c, err := p.term()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		if p.space(); !p.accept("&&") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return both{all}, nil
}

func (p *parser) term() (condition, error) {
	p.space()
	switch {
	case p.accept("!"):
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		c, err := p.term()
		return negation{c}, err
	case p.accept("("):
		c, err := p.anyOf()
		if err != nil {
			return nil, err
		}
		if p.space(); !p.accept(")") {
			return nil, p.errorf("expected )")
		}
		return c, nil
	}
	return p.comparison()
}

func (p *parser) comparison() (condition, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	operator := strings.ToLower(p.operator())
	if operator == "" {
		return exists{left}, nil
	}
	test, ok := operators[operator]
	if !ok {
		return nil, p.errorf("there is no operator %s", shorten(operator))
	}
	p.space()
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	lists := operator == "all" || strings.HasSuffix(operator, "of")
	return comparison{left, right, test, lists}, nil
}

// operator reads an operator of signs or letters, "" if there is none.
func (p *parser) operator() string {
	start := p.pos
	for strings.IndexByte("=<>!~", p.peek()) >= 0 && p.peek() != 0 {
		p.pos++
	}
	if start < p.pos {
		return p.text[start:p.pos]
	}
	for 'a' <= p.peek()|0x20 && p.peek()|0x20 <= 'z' {
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *parser) operand() (operand, error) {
	p.space()
	switch p.peek() {
	case '$', '@':
		path, err := p.path()
		if err == nil && (path.root == rootContext || path.root == rootVariable) {
			err = p.errorf("a filter can not refer to %s", shorten(path.text))
		}
		return operand{path: path}, err
	case '/':
		return p.pattern()
	case '\'':
		s, err := p.quoted()
		return operand{v: value.Str(unescape(s))}, err
	}
	return p.literal()
}

// unescape takes backslashes away that protect what follows.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// literal reads a JSON value; strings inside of arrays may be in single quotes.
func (p *parser) literal() (operand, error) {
	start := p.pos
	if p.accept("[") {
		return p.list()
	}
	end, err := p.literalEnd()
	if err != nil {
		return operand{}, err
	}
	v, parseErr := value.Options{MaxDepth: maxNesting}.Parse(p.text[start:end])
	if parseErr != nil {
		return operand{}, p.errorf("%s is no value", shorten(p.text[start:end]))
	}
	p.pos = end
	return operand{v: v}, nil
}

// list reads the items of an array literal.
func (p *parser) list() (operand, error) {
	if err := p.enter(); err != nil {
		return operand{}, err
	}
	defer p.leave()
	var items []value.Value
	for p.space(); !p.accept("]"); p.space() {
		x, err := p.operand()
		if err != nil {
			return operand{}, err
		}
		if x.path != nil || x.pattern != nil {
			return operand{}, p.errorf("an array may hold values only")
		}
		items = append(items, x.v)
		if p.space(); p.peek() != ']' && !p.accept(",") {
			return operand{}, p.errorf("expected , or ]")
		}
	}
	return operand{v: value.ArrayOf(items)}, nil
}

// literalEnd finds where a number, word, string or object ends.
func (p *parser) literalEnd() (int, error) {
	depth, quoted := 0, false
	for i := p.pos; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1, nil
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']') && depth > 0:
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case depth == 0 && strings.IndexByte(" \t\r\n),]&|=<>!", c) >= 0:
			return i, nil
		}
	}
	if quoted || depth > 0 {
		return 0, p.errorf("the value does not end")
	}
	return len(p.text), nil
}

// pattern reads /…/ with the flags of Java that the standard library has, too.
func (p *parser) pattern() (operand, error) {
	start := p.pos + 1
	end := start
	for end < len(p.text) && p.text[end] != '/' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) {
		return operand{}, p.errorf("the closing / of the pattern is missing")
	}
	p.pos = end + 1
	flags := ""
	for 'a' <= p.peek()|0x20 && p.peek()|0x20 <= 'z' {
		switch c := p.peek(); c {
		case 'i', 'm', 's':
			flags += string(c)
		case 'd', 'u', 'U': // what they ask for is so already
		default:
			return operand{}, p.errorf("a pattern can not have the flag %c", c)
		}
		p.pos++
	}
	source := strings.ReplaceAll(p.text[start:end], `\/`, "/")
	if flags != "" {
		flags = "(?" + flags + ")"
	}
	// The whole text has to match (Java's matches).
	re, err := regexp.Compile(flags + `\A(?:` + source + `)\z`)
	if err != nil {
		return operand{}, p.errorf("the pattern can not be used: %v", err)
	}
	return operand{pattern: re}, nil
}
