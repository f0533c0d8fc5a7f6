package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// token is one lexical unit. kind decides how the parser treats it; for
// operators id is the operator, for everything else the class in parentheses.
type token struct {
	kind tokenKind
	id   string
	text string      // name, variable without $, string contents, operator
	num  value.Value // of a number, true, false or null
	re   *regex
	pos  int // just after the token
}

type tokenKind uint8

const (
	endToken tokenKind = iota
	operatorToken
	nameToken
	variableToken
	stringToken
	numberToken
	valueToken // true, false, null
	regexToken
)

// shown is the token as messages show it.
func (t token) shown() item {
	switch t.kind {
	case endToken:
		return str("(end)")
	case numberToken, valueToken:
		return plain(t.num)
	case regexToken:
		return plain(value.EmptyObject)
	}
	return str(t.text)
}

// power is how strongly an operator binds to what stands left of it. What is
// not listed never follows an operand.
var power = map[string]int{
	".": 75, "[": 80, "{": 70, "(": 80, "@": 80, "#": 80, "?": 20, "+": 50, "-": 50, "*": 60, "/": 60, "%": 60,
	"=": 40, "<": 40, ">": 40, "^": 40, ":=": 10, "!=": 40, "<=": 40, ">=": 40, "~>": 40, "and": 30, "or": 25, "in": 40, "&": 50,
}

type lexer struct {
	text string
	pos  int
}

const spaces = " \t\n\r\v"

// next reads a token. After an operand (infix) a slash divides; otherwise it
// starts a regular expression.
func (l *lexer) next(infix bool) token {
	l.skip()
	if l.pos >= len(l.text) {
		return token{kind: endToken, id: "(end)", pos: len(l.text)}
	}
	start, c := l.pos, l.text[l.pos]
	if c == '/' && !infix {
		l.pos++
		return l.regex()
	}
	if l.pos+1 < len(l.text) {
		switch op := l.text[l.pos : l.pos+2]; op {
		case "..", ":=", "!=", ">=", "<=", "**", "~>":
			l.pos += 2
			return l.operator(op)
		}
	}
	if isOperator(c) {
		l.pos++
		return l.operator(l.text[start:l.pos])
	}
	switch {
	case c == '"' || c == '\'':
		return l.quoted(c)
	case '0' <= c && c <= '9':
		return l.number()
	case c == '`':
		l.pos++
		end := strings.IndexByte(l.text[l.pos:], '`')
		if end < 0 {
			fail("S0105").at(len(l.text)).raise()
		}
		name := l.text[l.pos : l.pos+end]
		l.pos += end + 1
		return token{kind: nameToken, id: "(name)", text: name, pos: l.pos}
	}
	return l.name()
}

func isOperator(c byte) bool { return strings.IndexByte(".[]{}(),@#;:?+-*/%|=<>^&!~", c) >= 0 }

func (l *lexer) operator(op string) token {
	if op == "!" || op == "~" {
		fail("S0204").at(l.pos).withToken(op).raise()
	}
	return token{kind: operatorToken, id: op, text: op, pos: l.pos}
}

// skip passes over white space and comments.
func (l *lexer) skip() {
	for {
		for l.pos < len(l.text) && strings.IndexByte(spaces, l.text[l.pos]) >= 0 {
			l.pos++
		}
		if !strings.HasPrefix(l.text[l.pos:], "/*") {
			return
		}
		end := strings.Index(l.text[l.pos+2:], "*/")
		if end < 0 {
			fail("S0106").at(l.pos).raise()
		}
		l.pos += end + 4
	}
}

func (l *lexer) name() token {
	start := l.pos
	for l.pos < len(l.text) && strings.IndexByte(spaces, l.text[l.pos]) < 0 && !isOperator(l.text[l.pos]) {
		l.pos++
	}
	name := l.text[start:l.pos]
	if name[0] == '$' {
		return token{kind: variableToken, id: "(name)", text: name[1:], pos: l.pos}
	}
	t := token{kind: valueToken, id: "(literal)", text: name, pos: l.pos}
	switch name {
	case "or", "in", "and":
		return token{kind: operatorToken, id: name, text: name, pos: l.pos}
	case "true":
		t.num = value.True
	case "false":
		t.num = value.False
	case "null":
		t.num = value.NullValue
	default:
		return token{kind: nameToken, id: "(name)", text: name, pos: l.pos}
	}
	return t
}

func (l *lexer) number() token {
	start := l.pos
	if l.text[l.pos] == '0' {
		l.pos++
	} else {
		l.digits()
	}
	if rest := l.text[l.pos:]; len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
		l.pos++
		l.digits()
	}
	if rest := l.text[l.pos:]; len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') {
		n := 1
		if rest[1] == '-' || rest[1] == '+' {
			n = 2
		}
		if len(rest) > n && isDigit(rest[n]) {
			l.pos += n
			l.digits()
		}
	}
	text := l.text[start:l.pos]
	f, _ := strconv.ParseFloat(text, 64)
	if math.IsInf(f, 0) {
		fail("S0102").at(start).withToken(text).raise()
	}
	return token{kind: numberToken, id: "(literal)", text: text, num: value.Float(f), pos: l.pos}
}

func (l *lexer) digits() {
	for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
		l.pos++
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (l *lexer) quoted(quote byte) token {
	l.pos++
	if end := strings.IndexByte(l.text[l.pos:], quote); end >= 0 {
		if s := l.text[l.pos : l.pos+end]; strings.IndexByte(s, '\\') < 0 { // nothing to unescape
			l.pos += end + 1
			return token{kind: stringToken, id: "(literal)", text: s, pos: l.pos}
		}
	}
	var out []byte
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; c {
		case quote:
			l.pos++
			return token{kind: stringToken, id: "(literal)", text: joinSurrogates(string(out)), pos: l.pos}
		case '\\':
			l.pos++
			out = l.escape(out)
		default:
			out = append(out, c)
			l.pos++
		}
	}
	fail("S0101").at(len(l.text)).raise()
	return token{}
}

const escapes, escaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

func (l *lexer) escape(out []byte) []byte {
	if l.pos >= len(l.text) {
		fail("S0103").at(l.pos).withToken("").raise()
	}
	c := l.text[l.pos]
	if i := strings.IndexByte(escapes, c); i >= 0 {
		l.pos++
		return append(out, escaped[i])
	}
	if c != 'u' {
		_, size := utf8.DecodeRuneInString(l.text[l.pos:])
		fail("S0103").at(l.pos).withToken(l.text[l.pos : l.pos+size]).raise()
	}
	hex := l.text[l.pos+1:]
	if len(hex) > 4 {
		hex = hex[:4]
	}
	code, err := strconv.ParseUint(hex, 16, 16)
	if err != nil {
		fail("S0104").at(l.pos).raise()
	}
	l.pos = min(l.pos+5, len(l.text))
	return appendUnit(out, uint16(code))
}

// regex reads a regular expression whose slash has been read. It ends at the
// first slash that is neither escaped nor inside of brackets.
func (l *lexer) regex() token {
	start, depth := l.pos, 0
	for ; l.pos < len(l.text); l.pos++ {
		c := l.text[l.pos]
		slashes := l.pos
		for slashes > 0 && l.text[slashes-1] == '\\' {
			slashes--
		}
		if c == '/' && depth == 0 && (l.pos-slashes)%2 == 0 {
			return l.flags(l.text[start:l.pos])
		}
		if l.pos > slashes {
			continue
		}
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
	}
	fail("S0302").at(len(l.text)).raise()
	return token{}
}

func (l *lexer) flags(pattern string) token {
	if pattern == "" {
		fail("S0301").at(l.pos).raise()
	}
	l.pos++
	start := l.pos
	for l.pos < len(l.text) && (l.text[l.pos] == 'i' || l.text[l.pos] == 'm') {
		l.pos++
	}
	re := compileRegex(pattern, l.text[start:l.pos])
	return token{kind: regexToken, id: "(regex)", re: re, pos: l.pos}
}
