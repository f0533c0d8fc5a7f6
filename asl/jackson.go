package asl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// JacksonError explains why text is not JSON in the words of Jackson, the
// library whose messages AWS passes on: for a bad definition, and as
// "Invalid State Machine Execution Input: '…'" for a bad input. The message is
// "" when nothing is wrong. Line and column, from 1, are where Jackson stood: as
// a rule just behind what it stumbled over.
//
// The two commonest messages are recorded from AWS; the others are Jackson's
// own, and what Jackson lets pass (text behind the value) is worded alike.
func JacksonError(text string) (message string, line, column int) {
	j := jackson{text: text, line: 1}
	j.run()
	return j.message, j.line, j.column()
}

// sourceLocation is how Jackson names a place in a text.
func sourceLocation(text string, line, column int) string {
	const snippet = 500
	cut := ""
	if runes := utf8.RuneCountInString(text); runes > snippet {
		cut = fmt.Sprintf("[truncated %d chars]", runes-snippet)
		text = string([]rune(text[:min(len(text), 4*snippet)])[:snippet])
	}
	return fmt.Sprintf("[Source: (String)\"%s\"%s; line: %d, column: %d]", text, cut, line, column)
}

// jackson reads a text as Jackson's parser for strings does, up to the first
// mistake. It keeps open brackets in a list, so that depth costs no stack.
type jackson struct {
	text     string
	pos      int
	line     int
	rowStart int
	open     []opened
	message  string
	tooDeep  bool
}

type opened struct {
	bracket             byte // '{' or '['
	comma               bool // an element has been read: a comma must come before the next
	pos, line, rowStart int
}

// opening is how Jackson names the place of a bracket.
func (j *jackson) opening(o opened) string {
	at := jackson{text: j.text, pos: o.pos, line: o.line, rowStart: o.rowStart}
	return sourceLocation(j.text, at.line, at.column())
}

// The values that may stand where one is expected, as Jackson lists them.
const jacksonValues = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

func (j *jackson) column() int {
	n := 1
	for _, r := range j.text[j.rowStart:min(j.pos, len(j.text))] {
		n++
		if r > 0xFFFF {
			n++ // Jackson counts UTF-16 units
		}
	}
	return n
}

func (j *jackson) fail(format string, args ...any) bool {
	if j.message == "" {
		j.message = fmt.Sprintf(format, args...)
	}
	return false
}

// unexpected fails behind the next character.
func (j *jackson) unexpected(why string) bool {
	r, size := utf8.DecodeRuneInString(j.text[j.pos:])
	if r == utf8.RuneError && size == 1 {
		return j.fail("Invalid UTF-8 start byte 0x%x", j.text[j.pos])
	}
	if r < ' ' {
		j.pos += size
		return j.fail("Illegal character (%s): only regular white space (\\r, \\n, \\t) is allowed between tokens", describe(r))
	}
	j.pos += size
	return j.fail("Unexpected character (%s)%s", describe(r), why)
}

func describe(r rune) string {
	switch {
	case unicode.IsControl(r):
		return fmt.Sprintf("(CTRL-CHAR, code %d)", r)
	case r > 255:
		return fmt.Sprintf("'%c' (code %d / 0x%x)", r, r, r)
	}
	return fmt.Sprintf("'%c' (code %d)", r, r)
}

// peek skips space and returns the next byte, 0 at the end.
func (j *jackson) peek() byte {
	for ; j.pos < len(j.text); j.pos++ {
		switch c := j.text[j.pos]; c {
		case ' ', '\t', '\r':
		case '\n':
			j.line, j.rowStart = j.line+1, j.pos+1
		default:
			return c
		}
	}
	return 0
}

func (j *jackson) atEnd() bool { return j.pos >= len(j.text) }

func (j *jackson) run() {
	if j.peek(); j.atEnd() {
		j.fail("No content to map due to end-of-input")
		return
	}
	if !j.value() {
		return
	}
	for len(j.open) > 0 {
		if !j.element() {
			return
		}
	}
	if j.peek(); !j.atEnd() {
		j.trailing()
	}
}

// element reads the next element, or the end, of the innermost open bracket.
// Each call consumes at least one character.
func (j *jackson) element() bool {
	in := &j.open[len(j.open)-1]
	kind, end := "Array", byte(']')
	if in.bracket == '{' {
		kind, end = "Object", '}'
	}
	c := j.peek()
	if j.atEnd() {
		return j.unclosed(kind, *in)
	}
	if c == ']' || c == '}' {
		if c != end {
			j.pos++
			return j.fail("Unexpected close marker '%c': expected '%c' (for %s starting at %s)",
				c, end, kind, j.opening(*in))
		}
		j.pos++
		j.open = j.open[:len(j.open)-1]
		return true
	}
	if in.comma {
		if c != ',' {
			return j.unexpected(fmt.Sprintf(": was expecting comma to separate %s entries", kind))
		}
		j.pos++
		j.peek()
		if j.atEnd() {
			return j.fail("Unexpected end-of-input within/between %s entries", kind)
		}
	}
	in.comma = true
	if kind == "Object" && !j.name() {
		return false
	}
	return j.value()
}

func (j *jackson) unclosed(kind string, in opened) bool {
	return j.fail("Unexpected end-of-input: expected close marker for %s (start marker at %s)",
		kind, j.opening(in))
}

func (j *jackson) name() bool {
	if j.peek() != '"' {
		return j.unexpected(": was expecting double-quote to start field name")
	}
	if !j.string("in field name", "name") {
		return false
	}
	if c := j.peek(); j.atEnd() {
		return j.fail("Unexpected end-of-input within/between Object entries")
	} else if c != ':' {
		return j.unexpected(": was expecting a colon to separate field name and value")
	}
	j.pos++
	if j.peek(); j.atEnd() {
		return j.fail("Unexpected end-of-input within/between Object entries")
	}
	return true
}

func (j *jackson) value() bool {
	switch c := j.peek(); {
	case c == '"':
		return j.string(": was expecting closing quote for a string value", "string value")
	case c == '{' || c == '[':
		if len(j.open) >= value.DefaultMaxDepth {
			j.tooDeep = true
			return j.fail("Document nesting depth (%d) exceeds the maximum allowed (%d)", len(j.open)+1, value.DefaultMaxDepth)
		}
		j.open = append(j.open, opened{bracket: c, pos: j.pos, line: j.line, rowStart: j.rowStart})
		j.pos++
		return true
	case c == '-' || c >= '0' && c <= '9':
		return j.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest, ok := strings.CutPrefix(j.text[j.pos:], word); ok && !startsWithLetter(rest) {
			j.pos += len(word)
			return true
		}
	}
	return j.token()
}

func startsWithLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return isIdentifier(r)
}

func isIdentifier(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) && r != utf8.RuneError || unicode.IsDigit(r)
}

// token fails at a word that is none of JSON's, or at some other character.
func (j *jackson) token() bool {
	end := j.pos
	for i, r := range j.text[j.pos:] {
		if !isIdentifier(r) || i > 256 {
			break
		}
		end = j.pos + i + utf8.RuneLen(r)
	}
	if end == j.pos {
		return j.unexpected(": expected a valid value " + jacksonValues)
	}
	word := j.text[j.pos:end]
	j.pos = end
	return j.fail("Unrecognized token '%s': was expecting %s", word, jacksonValues)
}

func (j *jackson) trailing() bool {
	if startsWithLetter(j.text[j.pos:]) {
		return j.token()
	}
	return j.unexpected(": expected nothing after the end of the value")
}

func (j *jackson) string(atEnd, where string) bool {
	for j.pos++; !j.atEnd(); {
		r, size := utf8.DecodeRuneInString(j.text[j.pos:])
		switch {
		case r == '"':
			j.pos++
			return true
		case r == utf8.RuneError && size == 1:
			return j.fail("Invalid UTF-8 start byte 0x%x", j.text[j.pos])
		case r < ' ':
			j.pos++
			return j.fail("Illegal unquoted character (%s): has to be escaped using backslash to be included in %s", describe(r), where)
		case r == '\\':
			if !j.escape() {
				return false
			}
		default:
			j.pos += size
		}
	}
	separator := " "
	if strings.HasPrefix(atEnd, ":") {
		separator = ""
	}
	return j.fail("Unexpected end-of-input%s%s", separator, atEnd)
}

func (j *jackson) escape() bool {
	j.pos++
	if j.atEnd() {
		return j.fail("Unexpected end-of-input in character escape sequence")
	}
	r, size := utf8.DecodeRuneInString(j.text[j.pos:])
	j.pos += size
	if strings.ContainsRune(`"\/bfnrt`, r) {
		return true
	}
	if r != 'u' {
		return j.fail("Unrecognized character escape %s", describe(r))
	}
	for range 4 {
		if j.atEnd() {
			return j.fail("Unexpected end-of-input in character escape sequence")
		}
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(j.text[j.pos])) {
			return j.unexpected(": expected a hex-digit for character escape sequence")
		}
		j.pos++
	}
	return true
}

func (j *jackson) number() bool {
	if j.text[j.pos] == '-' {
		j.pos++
		if !j.isDigit() {
			return j.inNumber("expected digit (0-9) to follow minus sign, for valid numeric value")
		}
	}
	if j.text[j.pos] == '0' {
		j.pos++
		if j.isDigit() {
			return j.fail("Invalid numeric value: Leading zeroes not allowed")
		}
	}
	j.digits()
	if !j.atEnd() && j.text[j.pos] == '.' {
		j.pos++
		if !j.isDigit() {
			return j.inNumber("Decimal point not followed by a digit")
		}
		j.digits()
	}
	if !j.atEnd() && (j.text[j.pos] == 'e' || j.text[j.pos] == 'E') {
		j.pos++
		if !j.atEnd() && (j.text[j.pos] == '+' || j.text[j.pos] == '-') {
			j.pos++
		}
		if !j.isDigit() {
			return j.inNumber("Exponent indicator not followed by a digit")
		}
		j.digits()
	}
	if len(j.open) == 0 && !j.atEnd() && startsWithLetter(j.text[j.pos:]) {
		return j.unexpected(": Expected space separating root-level values")
	}
	return true
}

func (j *jackson) isDigit() bool {
	return !j.atEnd() && j.text[j.pos] >= '0' && j.text[j.pos] <= '9'
}

func (j *jackson) digits() {
	for j.isDigit() {
		j.pos++
	}
}

func (j *jackson) inNumber(why string) bool {
	if j.atEnd() {
		return j.fail("Unexpected end-of-input in a Number value")
	}
	return j.unexpected(" in numeric value: " + why)
}
