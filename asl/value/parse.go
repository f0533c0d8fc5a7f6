package value

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// DefaultMaxDepth is how deep arrays and objects may nest where Options do not
// say otherwise. Everything that walks a value may recurse because of it.
const DefaultMaxDepth = 1000

// Options change what Parse accepts. The zero Options are the defaults.
type Options struct {
	MaxDepth         int  // nesting of arrays and objects; 0 means DefaultMaxDepth
	RejectDuplicates bool // a key that occurs twice in an object is an error
}

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Msg    string // what is wrong
}

// Error names the line and column and what is wrong there.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Parse reads one JSON value, strictly by RFC 8259: no comments, no trailing
// commas, UTF-8 checked, at most DefaultMaxDepth levels. When a key occurs twice
// in an object the last value wins, at the place of the first. Escapes of lone
// surrogates become U+FFFD. The value shares the text rather than copying it.
// The error is a *SyntaxError.
func Parse(text string) (Value, error) { return Options{}.Parse(text) }

// Parse reads one JSON value like the function Parse, under these options.
func (o Options) Parse(text string) (Value, error) {
	p := o.parser(text)
	v, ok := p.value()
	if !ok || !p.end() {
		return Value{}, p.err()
	}
	return v, nil
}

// Valid checks text as Parse does, without building anything.
func Valid(text string) error {
	p := Options{}.parser(text)
	p.dry = true
	if !p.skip() || !p.end() {
		return p.err()
	}
	return nil
}

func (o Options) parser(text string) parser {
	if o.MaxDepth <= 0 {
		o.MaxDepth = DefaultMaxDepth
	}
	return parser{text: text, maxDepth: o.MaxDepth, unique: o.RejectDuplicates}
}

// parser goes once over the text. Items and members gather on two stacks and are
// cut off as slices of the right length when their array or object ends, from
// blocks that serve many of them. Its methods return false when the text is
// wrong, with the reason in msg and the place in pos.
type parser struct {
	text     string
	pos      int
	depth    int
	maxDepth int
	unique   bool
	dry      bool // strings with escapes are checked, not built
	msg      string

	items   []Value
	members []Member
	buf     []byte

	itemBlock   []Value
	memberBlock []Member
}

func (p *parser) fail(at int, format string, args ...any) bool {
	p.pos, p.msg = at, fmt.Sprintf(format, args...)
	return false
}

func (p *parser) err() error {
	line, column := position(p.text, p.pos)
	return &SyntaxError{Offset: p.pos, Line: line, Column: column, Msg: p.msg}
}

// position turns an offset into a line and a column, both from 1.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

func (p *parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\n', '\t', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek returns the next byte after space, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) && p.text[p.pos] > ' ' {
		return p.text[p.pos]
	}
	p.space()
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) end() bool {
	p.space()
	if p.pos < len(p.text) {
		return p.unexpected("the end, one value is complete")
	}
	return true
}

// unexpected fails at the next character.
func (p *parser) unexpected(wanted string) bool {
	if p.pos >= len(p.text) {
		return p.fail(len(p.text), "the text ends, expected %s", wanted)
	}
	r, size := utf8.DecodeRuneInString(p.text[p.pos:])
	if r == utf8.RuneError && size == 1 {
		return p.fail(p.pos, "invalid UTF-8, expected %s", wanted)
	}
	return p.fail(p.pos, "unexpected character %q, expected %s", r, wanted)
}

func (p *parser) enter() bool {
	if p.depth >= p.maxDepth {
		return p.fail(p.pos, "nested deeper than %d levels", p.maxDepth)
	}
	p.depth++
	p.pos++
	return true
}

func (p *parser) value() (Value, bool) {
	switch c := p.peek(); c {
	case '"':
		s, isPlain, ok := p.str()
		v := Str(s)
		if isPlain {
			v.meta |= plain
		}
		return v, ok
	case '{':
		return p.object()
	case '[':
		return p.array()
	case 't':
		return True, p.word("true")
	case 'f':
		return False, p.word("false")
	case 'n':
		return NullValue, p.word("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return p.number()
		}
		return Value{}, p.unexpected("a value")
	}
}

func (p *parser) word(word string) bool {
	if !strings.HasPrefix(p.text[p.pos:], word) {
		return p.unexpected("a value")
	}
	p.pos += len(word)
	return true
}

func (p *parser) array() (Value, bool) {
	if !p.enter() {
		return Value{}, false
	}
	base := len(p.items)
	for more := p.peek() != ']'; more; {
		item, ok := p.value()
		if !ok {
			return Value{}, false
		}
		p.items = append(p.items, item)
		if more, ok = p.more(']'); !ok {
			return Value{}, false
		}
	}
	p.pos++
	p.depth--
	return ArrayOf(p.cutItems(base)), true
}

// more goes past a comma; it reports false when close follows instead.
func (p *parser) more(close byte) (more, ok bool) {
	switch p.peek() {
	case ',':
		p.pos++
		return true, true
	case close:
		return false, true
	}
	return false, p.unexpected("',' or '" + string(close) + "'")
}

func (p *parser) object() (Value, bool) {
	start := p.pos
	if !p.enter() {
		return Value{}, false
	}
	base := len(p.members)
	for more := p.peek() != '}'; more; {
		key, ok := p.key()
		if !ok {
			return Value{}, false
		}
		v, ok := p.value()
		if !ok {
			return Value{}, false
		}
		p.members = append(p.members, Member{key, v})
		if more, ok = p.more('}'); !ok {
			return Value{}, false
		}
	}
	p.pos++
	p.depth--
	v, duplicate := objectOf(p.cutMembers(base))
	if duplicate >= 0 && p.unique {
		return Value{}, p.failDuplicate(start, duplicate)
	}
	return v, true
}

// key reads a key and its colon.
func (p *parser) key() (string, bool) {
	if p.peek() != '"' {
		return "", p.unexpected("a key in double quotes")
	}
	key, _, ok := p.str()
	if !ok {
		return "", false
	}
	if p.peek() != ':' {
		return "", p.unexpected("':'")
	}
	p.pos++
	return key, true
}

// failDuplicate goes once more through the object at start, to the member that
// was one too many.
func (p *parser) failDuplicate(start, member int) bool {
	p.pos = start + 1
	for range member {
		p.key()
		p.skip()
		p.more('}')
	}
	p.peek()
	at := p.pos
	key, _, _ := p.str()
	return p.fail(at, "the key %q occurs twice", shorten(key, 60))
}

// cutItems takes the items from base on off the stack.
func (p *parser) cutItems(base int) []Value {
	n := len(p.items) - base
	if n == 0 {
		return nil
	}
	p.itemBlock = block(p.itemBlock, n, cap(p.items))
	cut := p.itemBlock[:n:n]
	p.itemBlock = p.itemBlock[n:]
	copy(cut, p.items[base:])
	p.items = p.items[:base]
	return cut
}

func (p *parser) cutMembers(base int) []Member {
	n := len(p.members) - base
	if n == 0 {
		return nil
	}
	p.memberBlock = block(p.memberBlock, n, cap(p.members))
	cut := p.memberBlock[:n:n]
	p.memberBlock = p.memberBlock[n:]
	copy(cut, p.members[base:])
	p.members = p.members[:base]
	return cut
}

// block returns a block with room for n: the rest of the last one, else a new
// one. The higher the stack has grown, the more is still to come.
func block[T any](rest []T, n, stack int) []T {
	if n <= len(rest) {
		return rest
	}
	return make([]T, max(n, min(2*stack, 256)))
}

// str reads a string. It is plain when the text between the quotes is the
// contents.
func (p *parser) str() (s string, isPlain, ok bool) {
	start := p.pos + 1
	for i := start; i < len(p.text); {
		c := p.text[i]
		switch {
		case safe[c]:
			i++
		case c == '"':
			p.pos = i + 1
			return p.text[start:i], true, true
		case c == '\\':
			s, ok := p.escaped(start, i)
			return s, false, ok
		case c < ' ':
			return "", false, p.fail(i, "control character %#U in a string, write it as an escape", c)
		default:
			size := p.runeAt(i)
			if size == 0 {
				return "", false, false
			}
			i += size
		}
	}
	return "", false, p.fail(len(p.text), "the text ends inside a string")
}

// runeAt returns the length of the character at i; 0 if it is not UTF-8.
func (p *parser) runeAt(i int) int {
	r, size := utf8.DecodeRuneInString(p.text[i:])
	if r == utf8.RuneError && size == 1 {
		p.fail(i, "invalid UTF-8 in a string")
		return 0
	}
	return size
}

// escaped reads on at i, the first escape of the string that begins at start.
func (p *parser) escaped(start, i int) (string, bool) {
	buf := append(p.buf[:0], p.text[start:i]...)
	for i < len(p.text) {
		c := p.text[i]
		switch {
		case safe[c]:
			buf = append(buf, c)
			i++
		case c == '"':
			p.pos, p.buf = i+1, buf
			if p.dry {
				return "", true
			}
			return string(buf), true
		case c == '\\':
			r, size := p.escape(i)
			if size == 0 {
				return "", false
			}
			buf = utf8.AppendRune(buf, r)
			i += size
		case c < ' ':
			return "", p.fail(i, "control character %#U in a string, write it as an escape", c)
		default:
			size := p.runeAt(i)
			if size == 0 {
				return "", false
			}
			buf = append(buf, p.text[i:i+size]...)
			i += size
		}
	}
	return "", p.fail(len(p.text), "the text ends inside a string")
}

// long turns the letter of a two-byte escape into what it stands for.
var long = [256]byte{'"': '"', '\\': '\\', '/': '/', 'n': '\n', 't': '\t', 'b': '\b', 'f': '\f', 'r': '\r'}

// escape reads the escape at i; size 0 means that it is none.
func (p *parser) escape(i int) (r rune, size int) {
	rest := p.text[i:]
	if len(rest) < 2 {
		p.fail(len(p.text), "the text ends inside a string")
		return 0, 0
	}
	if c := long[rest[1]]; c != 0 {
		return rune(c), 2
	}
	first := hex4(rest)
	if first < 0 {
		p.fail(i, "invalid escape in a string")
		return 0, 0
	}
	if 0xD800 <= first && first <= 0xDFFF {
		if second := hex4(rest[6:]); first < 0xDC00 && 0xDC00 <= second && second <= 0xDFFF {
			return (first-0xD800)<<10 + (second - 0xDC00) + 0x10000, 12
		}
		return utf8.RuneError, 6
	}
	return first, 6
}

// hex4 reads \uXXXX at the start of s, -1 if it is not there.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// number reads a number. Its float64 is worked out on the way where that is
// exact, up to 15 digits without an exponent, and else when someone asks.
func (p *parser) number() (Value, bool) {
	start, t := p.pos, p.text
	i := start
	if i < len(t) && t[i] == '-' {
		i++
	}
	negative := i > start
	first, mantissa := i, uint64(0)
	for i < len(t) && '0' <= t[i] && t[i] <= '9' {
		mantissa = mantissa*10 + uint64(t[i]-'0')
		i++
	}
	if i == first {
		p.pos = i
		return Value{}, p.unexpected("a digit")
	}
	if t[first] == '0' && i > first+1 {
		return Value{}, p.fail(first, "a number must not begin with 0")
	}
	digits, fraction := i-first, 0
	if i < len(t) && t[i] == '.' {
		dot := i
		for i++; i < len(t) && '0' <= t[i] && t[i] <= '9'; i++ {
			mantissa = mantissa*10 + uint64(t[i]-'0')
		}
		if fraction = i - dot - 1; fraction == 0 {
			p.pos = i
			return Value{}, p.unexpected("a digit after the point")
		}
	}
	exponent := i < len(t) && t[i]|0x20 == 'e'
	if exponent {
		if i = p.exponent(i); i < 0 {
			return Value{}, false
		}
	}
	if i-start > math.MaxInt32 {
		return Value{}, p.fail(start, "a number of more than 2 GB")
	}
	p.pos = i
	v := numberText(t[start:i])
	if !exponent && digits+fraction <= 15 {
		v.n = exactFloat(mantissa, fraction, negative)
		v.meta &^= unparsed
	}
	return v, true
}

// exponent reads the exponent at i and returns where it ends, -1 if it is none.
func (p *parser) exponent(i int) int {
	i++
	if i < len(p.text) && (p.text[i] == '+' || p.text[i] == '-') {
		i++
	}
	first := i
	for i < len(p.text) && '0' <= p.text[i] && p.text[i] <= '9' {
		i++
	}
	if i == first {
		p.pos = i
		p.unexpected("a digit in the exponent")
		return -1
	}
	return i
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// exactFloat returns the bits of mantissa / 10^fraction: both are exact, so the
// one division rounds correctly.
func exactFloat(mantissa uint64, fraction int, negative bool) uint64 {
	f := float64(mantissa) / powers[fraction]
	if negative {
		f = -f
	}
	return math.Float64bits(f)
}

// skip goes over one value without building it.
func (p *parser) skip() bool {
	switch c := p.peek(); c {
	case '{':
		return p.skipObject()
	case '[':
		return p.skipArray()
	case '"':
		_, _, ok := p.str()
		return ok
	default:
		_, ok := p.value()
		return ok
	}
}

func (p *parser) skipArray() bool {
	if !p.enter() {
		return false
	}
	for more := p.peek() != ']'; more; {
		ok := p.skip()
		if !ok {
			return false
		}
		if more, ok = p.more(']'); !ok {
			return false
		}
	}
	p.pos++
	p.depth--
	return true
}

func (p *parser) skipObject() bool {
	if !p.enter() {
		return false
	}
	for more := p.peek() != '}'; more; {
		_, ok := p.key()
		if !ok || !p.skip() {
			return false
		}
		if more, ok = p.more('}'); !ok {
			return false
		}
	}
	p.pos++
	p.depth--
	return true
}
