package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNesting bounds how deep parentheses, filters and calls may nest in the text
// of an expression.
const maxNesting = 64

// Parse compiles a path: "$.a[0]", "$$.Execution.Id" or "$name.b". The error
// says what is wrong at which character.
func Parse(text string) (*Path, error) {
	p := parser{text: text}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if path.root == rootItem {
		return nil, p.errorf("a path begins with $, @ stands for the item inside of a filter")
	}
	if p.pos < len(text) {
		return nil, p.errorf("expected the end of the path")
	}
	return path, nil
}

// parser reads paths, the filters in them, and calls of intrinsic functions.
type parser struct {
	text    string
	pos     int
	nesting int
	inner   bool // inside of a filter or an argument list, where more characters end a name
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at character %d of %q: %s", utf8.RuneCountInString(p.text[:min(p.pos, len(p.text))])+1, shorten(p.text), fmt.Sprintf(format, args...))
}

func shorten(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// accept goes past s if it comes next.
func (p *parser) accept(s string) bool {
	if strings.HasPrefix(p.text[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) space() {
	for p.peek() == ' ' || p.peek() == '\t' || p.peek() == '\n' || p.peek() == '\r' {
		p.pos++
	}
}

// enter bounds the nesting; every call is paired with leave.
func (p *parser) enter() error {
	if p.nesting++; p.nesting > maxNesting {
		return p.errorf("nested deeper than %d levels", maxNesting)
	}
	return nil
}

func (p *parser) leave() { p.nesting-- }

// path reads a path up to where it can not go on.
func (p *parser) path() (*Path, error) {
	start := p.pos
	path := &Path{}
	if err := p.root(path); err != nil {
		return nil, err
	}
	for {
		more, err := p.step(path)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	path.text = p.text[start:p.pos]
	path.classify()
	return path, nil
}

// classify works out what the steps mean for the evaluation.
func (path *Path) classify() {
	path.definite, path.direct = true, true
	for i := range path.steps {
		s := &path.steps[i]
		last := i == len(path.steps)-1
		definite := s.kind == stepChild || s.kind == stepIndex || s.kind == stepFunction || s.kind == stepChildren && last
		path.definite = path.definite && definite && !s.deep
		path.direct = path.direct && !s.deep && (s.kind == stepChild || s.kind == stepIndex)
		path.repeats = path.repeats || s.deep || s.kind == stepChildren || s.kind == stepIndexes || s.kind == stepSlice || s.kind == stepFunction
	}
}

func (p *parser) root(path *Path) error {
	switch {
	case p.accept("$$"):
		path.root = rootContext
	case p.accept("$"):
		if path.variable = p.identifier(); path.variable != "" {
			path.root = rootVariable
		}
	case p.accept("@"):
		path.root = rootItem
	default:
		return p.errorf("a path begins with $")
	}
	return nil
}

// identifier reads a variable's name: a letter or underscore, then letters,
// digits and the like.
func (p *parser) identifier() string {
	start := p.pos
	for p.pos < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.pos:])
		if !(r == '_' || unicode.IsLetter(r) || p.pos > start && (unicode.IsDigit(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Pc, unicode.Nl))) {
			break
		}
		p.pos += size
	}
	return p.text[start:p.pos]
}

// step reads one step, if there is one.
func (p *parser) step(path *Path) (bool, error) {
	if n := len(path.steps); n > 0 && path.steps[n-1].kind == stepFunction {
		return false, nil
	}
	var s step
	switch {
	case p.accept(".."):
		s.deep = true
	case p.accept("."):
	case p.peek() == '[':
	default:
		return false, nil
	}
	var err error
	if p.accept("[") {
		err = p.brackets(&s)
	} else {
		err = p.named(&s)
	}
	path.steps = append(path.steps, s)
	return err == nil, err
}

// named reads what follows a dot: a name, * or a function.
func (p *parser) named(s *step) error {
	if p.accept("*") {
		s.kind = stepWildcard
		return nil
	}
	s.name = p.name()
	if s.name == "" {
		return p.errorf("expected a name, * or [ after the dot")
	}
	if p.peek() != '(' {
		return nil
	}
	s.kind = stepFunction
	return p.function(s)
}

// name reads up to a character that ends a name. Everything else needs no
// brackets, such as hyphens and letters of any language.
func (p *parser) name() string {
	start := p.pos
	stop := ".[( \t\r\n"
	if p.inner {
		stop = ".[( \t\r\n),=<>!~&|]"
	}
	if i := strings.IndexAny(p.text[start:], stop); i >= 0 {
		p.pos += i
	} else {
		p.pos = len(p.text)
	}
	return p.text[start:p.pos]
}

// brackets reads what is between [ and ].
func (p *parser) brackets(s *step) error {
	p.space()
	var err error
	switch c := p.peek(); {
	case p.accept("*"):
		s.kind = stepWildcard
	case c == '?':
		err = p.filterStep(s)
	case c == '\'' || c == '"':
		err = p.names(s)
	default:
		err = p.numbers(s)
	}
	if err != nil {
		return err
	}
	p.space()
	if !p.accept("]") {
		return p.errorf("expected ]")
	}
	return nil
}

// names reads 'a' or 'a','b'.
func (p *parser) names(s *step) error {
	for {
		name, err := p.quoted()
		if err != nil {
			return err
		}
		s.names = append(s.names, name)
		p.space()
		if !p.accept(",") {
			break
		}
		p.space()
	}
	if len(s.names) > 1 {
		s.kind = stepChildren
		return nil
	}
	s.kind, s.name, s.names = stepChild, s.names[0], nil
	return nil
}

// quoted reads a name in quotes. A backslash keeps a quote from ending it but
// stays part of the name: the service does not unescape (recorded).
func (p *parser) quoted() (string, error) {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		return "", p.errorf("expected a name in quotes")
	}
	start := p.pos + 1
	for i := start; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case quote:
			p.pos = i + 1
			return p.text[start:i], nil
		}
	}
	return "", p.errorf("the closing %c is missing", quote)
}

// numbers reads 0, 0,2 or a slice.
func (p *parser) numbers(s *step) error {
	first, err := p.bound()
	if err != nil {
		return err
	}
	p.space()
	if p.accept(":") {
		p.space()
		s.kind, s.from = stepSlice, first
		s.to, err = p.bound()
		return err
	}
	if !first.set {
		return p.errorf("expected a name in quotes, a number, * or ?(…) between the brackets")
	}
	s.kind, s.index = stepIndex, first.at
	for p.accept(",") {
		p.space()
		next, err := p.bound()
		if err != nil {
			return err
		}
		if !next.set {
			return p.errorf("expected a number")
		}
		if s.kind == stepIndex {
			s.kind, s.indexes = stepIndexes, []int{first.at}
		}
		s.indexes = append(s.indexes, next.at)
		p.space()
	}
	return nil
}

// bound reads an integer, if there is one.
func (p *parser) bound() (bound, error) {
	start := p.pos
	p.accept("-")
	for '0' <= p.peek() && p.peek() <= '9' {
		p.pos++
	}
	if start == p.pos {
		return bound{}, nil
	}
	i, err := strconv.ParseInt(p.text[start:p.pos], 10, 32)
	if err != nil {
		return bound{}, p.errorf("%s is no index", shorten(p.text[start:p.pos]))
	}
	return bound{true, int(i)}, nil
}

// function reads the arguments of s.name, which is a function.
func (p *parser) function(s *step) error {
	known, ok := functions[s.name]
	if !ok {
		return p.errorf("there is no function %s()", shorten(s.name))
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	inner := p.inner
	p.inner = true
	defer func() { p.inner = inner }()
	p.pos++ // (
	s.function = &function{name: s.name, run: known}
	for p.space(); p.peek() != ')'; p.space() {
		x, err := p.operand()
		if err != nil {
			return err
		}
		s.function.args = append(s.function.args, x)
		if p.space(); p.peek() != ')' && !p.accept(",") {
			return p.errorf("expected , or )")
		}
	}
	p.pos++
	return nil
}
