package jsonata

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Strings are UTF-8, but JavaScript's are sequences of 16-bit units, halves of
// surrogate pairs included. A half that stands alone is kept as the three bytes
// that UTF-8 would give it if it allowed that (WTF-8); two halves that meet
// become one character.

// isSurrogate reports whether a lone surrogate starts at s[i].
func isSurrogate(s string, i int) bool {
	return i+2 < len(s) && s[i] == 0xED && s[i+1] >= 0xA0 && s[i+1] <= 0xBF && s[i+2]&0xC0 == 0x80
}

// decode reads the character at the start of s, a lone surrogate included.
func decode(s string) (rune, int) {
	if isSurrogate(s, 0) {
		return rune(0xD000) | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
	}
	return utf8.DecodeRuneInString(s)
}

// appendRune appends a character, which may be a lone surrogate.
func appendRune(dst []byte, r rune) []byte {
	if r >= 0xD800 && r <= 0xDFFF {
		return append(dst, 0xED, 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
	}
	return utf8.AppendRune(dst, r)
}

func appendUnit(dst []byte, u uint16) []byte { return appendRune(dst, rune(u)) }

func isHighSurrogateEnd(s string) bool {
	n := len(s)
	return n >= 3 && s[n-3] == 0xED && s[n-2] >= 0xA0 && s[n-2] <= 0xAF
}

// joinSurrogates makes one character of each high half followed by a low half.
func joinSurrogates(s string) string {
	if strings.IndexByte(s, 0xED) < 0 {
		return s
	}
	var out []byte
	for i := 0; i < len(s); {
		if isSurrogate(s, i) && s[i+1] < 0xB0 && isSurrogate(s, i+3) && s[i+4] >= 0xB0 {
			high, _ := decode(s[i:])
			low, _ := decode(s[i+3:])
			out = utf8.AppendRune(out, (high-0xD800)<<10+(low-0xDC00)+0x10000)
			i += 6
			continue
		}
		out = append(out, s[i])
		i++
	}
	return string(out)
}

// utf16Len is the length of s in 16-bit units.
func utf16Len(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x80 || c >= 0xC0 && c < 0xF0:
			n++
		case c >= 0xF0:
			n += 2
		}
	}
	return n
}

// runeLen is the length of s in characters.
func runeLen(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i]&0xC0 != 0x80 {
			n++
		}
	}
	return n
}

// runeOffset is where character n of s starts, len(s) beyond its end.
func runeOffset(s string, n int) int {
	if n <= 0 {
		return 0
	}
	for i := 0; i < len(s); i++ {
		if s[i]&0xC0 != 0x80 {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return len(s)
}

// compareText orders strings as JavaScript does, by 16-bit units: characters
// beyond U+FFFF come before U+E000 to U+FFFF.
func compareText(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	switch {
	case i == len(a) && i == len(b):
		return 0
	case i == len(a):
		return -1
	case i == len(b):
		return 1
	}
	x, y := a[i], b[i]
	if x >= 0xEE && y >= 0xF0 && x < 0xF0 { // the pair comes first
		return 1
	}
	if y >= 0xEE && x >= 0xF0 && y < 0xF0 {
		return -1
	}
	if x < y {
		return -1
	}
	return 1
}

// numberText writes a number as JavaScript does.
func numberText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return value.Float(f).NumberText()
}

// round15 is f to 15 significant digits, which is all that $string shows.
func round15(f float64) float64 {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return f
	}
	var buf [32]byte
	shortest := strconv.AppendFloat(buf[:0], math.Abs(f), 'e', -1, 64)
	digits := bytes.IndexByte(shortest, 'e') - 1 // without the point
	if digits <= 15 {
		return f
	}
	if digits == 16 && shortest[16] == '5' {
		// Halfway between two numbers, toPrecision takes the larger one and
		// FormatFloat the even one.
		if exact := strconv.FormatFloat(math.Abs(f), 'e', 40, 64); strings.Trim(exact[17:42], "0") == "" {
			shortest[16] = '9'
			up, _ := strconv.ParseFloat(string(shortest), 64)
			f = math.Copysign(up, f)
		}
	}
	g, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'e', 14, 64), 64)
	return g
}

// shownNumber writes f to 15 digits, as $string does.
func shownNumber(f float64) string {
	if abs := math.Abs(f); 1e-6 <= abs && abs < 1e21 {
		var buf [40]byte
		out := strconv.AppendFloat(buf[:0], f, 'f', -1, 64)
		if len(out) <= 15 { // a digit each, and fewer still
			return string(out)
		}
	}
	return numberText(round15(f))
}

// text is what & and $string make of a value, "" of nothing.
func text(c *run, a item) string {
	if a.x == nil {
		switch a.v.Kind() {
		case value.String:
			return a.v.Str()
		case value.Absent:
			return ""
		case value.Number:
			return shownNumber(a.v.Float())
		}
	}
	return textOf(c, a, false)
}

func textOf(c *run, a item, pretty bool) string {
	switch a.typ() {
	case tUndefined, tFunction:
		return ""
	case tString:
		return a.str()
	case tNumber:
		f := a.float()
		if f-f != 0 {
			fail("D3001").withValue(a).raise()
		}
		return shownNumber(f)
	}
	if a.is(outerWrapper) {
		a = a.at(0)
	}
	w := jsonWriter{c: c, pretty: pretty}
	w.write(a, 0)
	return string(w.out)
}

// jsonWriter writes values as JSON.stringify does.
type jsonWriter struct {
	c      *run
	out    []byte
	pretty bool // indented by two
	full   bool // as messages show values: numbers in full, functions left out
}

func (w *jsonWriter) newline(depth int) {
	if w.pretty {
		w.out = append(w.out, '\n')
		for range depth {
			w.out = append(w.out, "  "...)
		}
	}
}

func (w *jsonWriter) write(a item, depth int) {
	w.c.step(1)
	if n := len(w.out); n+64 > cap(w.out) {
		w.c.alloc(2*n + 128)
		w.out = append(make([]byte, 0, 2*n+128), w.out...)
	}
	if depth > value.DefaultMaxDepth+100 {
		w.c.stackOverflow()
	}
	switch a.typ() {
	case tNull, tBool:
		w.out = a.v.Append(w.out)
	case tUndefined:
		w.out = append(w.out, "null"...)
	case tNumber:
		f := a.float()
		if !w.full {
			isNumeric(a) // fails for an infinity
		}
		if f-f != 0 {
			w.out = append(w.out, "null"...)
			return
		}
		if !w.full {
			f = round15(f)
		}
		w.out = value.Float(f).Append(w.out)
	case tString:
		w.text(a.str())
	case tFunction:
		w.function(a.fn())
	case tArray:
		if a.len() == 0 {
			w.out = append(w.out, "[]"...)
			return
		}
		w.out = append(w.out, '[')
		for i := range a.len() {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.newline(depth + 1)
			if x := a.at(i); w.full && x.isFunction() && (x.fn().native == nil || x.fn().name == "") {
				w.out = append(w.out, "null"...)
			} else {
				w.write(x, depth+1)
			}
		}
		w.newline(depth)
		w.out = append(w.out, ']')
	case tObject:
		w.members(a, depth)
	}
}

func (w *jsonWriter) members(a item, depth int) {
	w.out = append(w.out, '{')
	first := true
	for i := range a.size() {
		key, v := a.member(i)
		if v.isUndefined() || w.full && v.isFunction() && (v.fn().native == nil || v.fn().name == "") {
			continue
		}
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		w.newline(depth + 1)
		w.text(key)
		w.out = append(w.out, ':')
		if w.pretty {
			w.out = append(w.out, ' ')
		}
		w.write(v, depth+1)
	}
	if !first {
		w.newline(depth)
	}
	w.out = append(w.out, '}')
}

// function writes what is left of a function in JSON.
func (w *jsonWriter) function(f *function) {
	if !w.full || f.sig == nil {
		w.out = append(w.out, `""`...)
		return
	}
	w.out = append(w.out, `{"_jsonata_function":true,"signature":{"definition":`...)
	w.text(f.sig.text)
	w.out = append(w.out, `}}`...)
}

// text writes a string; lone surrogates are escaped.
func (w *jsonWriter) text(s string) {
	if strings.IndexByte(s, 0xED) < 0 {
		w.out = value.AppendString(w.out, s)
		return
	}
	start := 0
	w.out = append(w.out, '"')
	piece := func(p string) {
		q := value.AppendString(nil, p)
		w.out = append(w.out, q[1:len(q)-1]...)
	}
	for i := 0; i < len(s); i++ {
		if !isSurrogate(s, i) {
			continue
		}
		piece(s[start:i])
		r, _ := decode(s[i:])
		w.out = append(w.out, `\u`...)
		w.out = append(w.out, strconv.FormatInt(int64(r), 16)...)
		start = i + 3
	}
	piece(s[start:])
	w.out = append(w.out, '"')
}

// decoded replaces the bytes of s that are neither UTF-8 nor the encoding of half a
// surrogate pair.
func decoded(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			if half := s[i:]; len(half) >= 3 && half[0] == 0xED && half[1]&0xE0 == 0xA0 && half[2]&0xC0 == 0x80 {
				b.WriteString(half[:3])
				i += 3
				continue
			}
			b.WriteRune(utf8.RuneError)
			i++
			continue
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}
