package jsonata

import (
	"encoding/base64"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

func fnString(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	c.alloc(32)
	return str(textOf(c, a, arg(args, 1).v.Bool()))
}

// whole is a number as Step Functions passes it to built-in functions: rounded
// down.
func whole(a item, otherwise int) int {
	f := math.Floor(a.float())
	switch {
	case f != f:
		return otherwise
	case f > 1<<40:
		return 1 << 40
	case f < -1<<40:
		return -1 << 40
	}
	return int(f)
}

func fnSubstring(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	s := a.str()
	c.step(len(s) / 16)
	n := runeLen(s)
	from := truncated(arg(args, 1))
	if n+from < 0 {
		from = 0
	}
	to := n
	if l := arg(args, 2); !l.isUndefined() {
		if l.float() <= 0 {
			return emptyText
		}
		start := arg(args, 1).float()
		if n+truncated(arg(args, 1)) < 0 {
			start = 0
		}
		end := start + l.float()
		if start < 0 {
			end = float64(n) + start + l.float()
		}
		to = sliceIndex(end, n)
	}
	start := sliceIndex(float64(from), n)
	if start >= to {
		return emptyText
	}
	first := runeOffset(s, start)
	return str(s[first : first+runeOffset(s[first:], to-start)])
}

func truncated(a item) int {
	f := math.Trunc(a.float())
	if f != f {
		return 0
	}
	return int(max(min(f, 1<<40), -1<<40))
}

// sliceIndex is a position as JavaScript's slice takes it, of n items.
func sliceIndex(f float64, n int) int {
	f = math.Trunc(f)
	if f < 0 {
		f += float64(n)
	}
	return int(max(0, min(f, float64(n))))
}

func fnSubstringBefore(c *run, args []item, _ item) item {
	a, b := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	c.step(len(a.str()) / 16)
	before, _, found := strings.Cut(a.str(), separator(b))
	if !found {
		return a
	}
	return str(before)
}

func fnSubstringAfter(c *run, args []item, _ item) item {
	a, b := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	c.step(len(a.str()) / 16)
	_, after, found := strings.Cut(a.str(), separator(b))
	if !found {
		return a
	}
	return str(after)
}

// separator is the text looked for; JavaScript looks for "undefined" where
// there is none.
func separator(a item) string {
	if a.isUndefined() {
		return "undefined"
	}
	return a.str()
}

func fnLowercase(c *run, args []item, _ item) item { return cased(c, arg(args, 0), lowercase) }
func fnUppercase(c *run, args []item, _ item) item { return cased(c, arg(args, 0), uppercase) }

func cased(c *run, a item, f func(string) string) item {
	if a.isUndefined() {
		return a
	}
	s := a.str()
	c.step(len(s)/8 + 1)
	c.alloc(len(s) + 16)
	return str(f(s))
}

// mapRunes maps each character, lone surrogates untouched.
func mapRunes(s string, f func(out []byte, r rune, i int) []byte) string {
	out := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); {
		r, n := decode(s[i:])
		if r >= 0xD800 && r < 0xE000 || r == utf8.RuneError {
			out = append(out, s[i:i+n]...)
		} else {
			out = f(out, r, i)
		}
		i += n
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func lowercase(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return mapRunes(s, func(out []byte, r rune, i int) []byte {
		switch r {
		case 'İ':
			return append(out, "i̇"...)
		case 'Σ':
			if finalSigma(s, i) {
				return append(out, "ς"...)
			}
		}
		return utf8.AppendRune(out, unicode.ToLower(r))
	})
}

// finalSigma reports whether the Σ at i ends a word.
func finalSigma(s string, i int) bool {
	cased := func(r rune) bool { return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) }
	ignorable := func(r rune) bool {
		return r == '\'' || r == '.' || r == ':' || r == '^' || r == '`' || r == 0xA8 || r == 0xAD || r == 0xB7 || r == 0x2019 || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
	}
	before := false
	for at := i; at > 0; {
		r, n := utf8.DecodeLastRuneInString(s[:at])
		at -= n
		if ignorable(r) {
			continue
		}
		before = cased(r)
		break
	}
	if !before {
		return false
	}
	for _, r := range s[i+len("Σ"):] {
		if ignorable(r) {
			continue
		}
		return !cased(r)
	}
	return true
}

func uppercase(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return mapRunes(s, func(out []byte, r rune, _ int) []byte {
		if special, ok := specialUpper(r); ok {
			return append(out, special...)
		}
		return utf8.AppendRune(out, unicode.ToUpper(r))
	})
}

// specialUpper gives the characters whose upper case are several.
func specialUpper(r rune) (string, bool) {
	switch {
	case r == 'ß':
		return "SS", true
	case r < 0x149:
		return "", false
	case 0x1F80 <= r && r <= 0x1FAF: // with iota below: capital, then iota
		base := []rune{0x1F08, 0x1F28, 0x1F68}[(r-0x1F80)/16]
		return string([]rune{base + r&7, 'Ι'}), true
	}
	s, ok := manyUpper[r]
	return s, ok
}

var manyUpper = map[rune]string{
	'ŉ': "ʼN", 'ǰ': "J̌", 'ΐ': "Ϊ́", 'ΰ': "Ϋ́", 'և': "ԵՒ", 'ẖ': "H̱", 'ẗ': "T̈", 'ẘ': "W̊", 'ẙ': "Y̊", 'ẚ': "Aʾ",
	'ὐ': "Υ̓", 'ὒ': "Υ̓̀", 'ὔ': "Υ̓́", 'ὖ': "Υ̓͂", 'ᾲ': "ᾺΙ", 'ᾳ': "ΑΙ", 'ᾴ': "ΆΙ", 'ᾶ': "Α͂", 'ᾷ': "Α͂Ι", 'ᾼ': "ΑΙ",
	'ῂ': "ῊΙ", 'ῃ': "ΗΙ", 'ῄ': "ΉΙ", 'ῆ': "Η͂", 'ῇ': "Η͂Ι", 'ῌ': "ΗΙ", 'ῒ': "Ϊ̀", '\u1fd3': "Ϊ́", 'ῖ': "Ι͂", 'ῗ': "Ϊ͂",
	'ῢ': "Ϋ̀", '\u1fe3': "Ϋ́", 'ῤ': "Ρ̓", 'ῦ': "Υ͂", 'ῧ': "Ϋ͂", 'ῲ': "ῺΙ", 'ῳ': "ΩΙ", 'ῴ': "ΏΙ", 'ῶ': "Ω͂", 'ῷ': "Ω͂Ι", 'ῼ': "ΩΙ",
	'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST",
	'ﬓ': "ՄՆ", 'ﬔ': "ՄԵ", 'ﬕ': "ՄԻ", 'ﬖ': "ՎՆ", 'ﬗ': "ՄԽ",
}

func fnLength(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	c.step(len(a.str()) / 16)
	return integer(runeLen(a.str()))
}

// fnTrim makes single spaces of runs of white space and drops them at the ends.
func fnTrim(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	s := a.str()
	c.step(len(s) / 4)
	c.alloc(len(s))
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(" \t\n\r", s[i]) < 0 {
			out = append(out, s[i])
		} else if len(out) == 0 || out[len(out)-1] != ' ' {
			out = append(out, ' ')
		}
	}
	t := string(out)
	t = strings.TrimPrefix(t, " ")
	return str(strings.TrimSuffix(t, " "))
}

func fnPad(c *run, args []item, _ item) item {
	a, w, p := arg(args, 0), arg(args, 1), arg(args, 2)
	if a.isUndefined() {
		return a
	}
	s, pad := a.str(), p.str()
	if pad == "" {
		pad = " "
	}
	width := w.float()
	n := math.Abs(width) - float64(runeLen(s))
	if !(n > 0) {
		return a
	}
	if n > 1<<40 {
		c.alloc(1 << 50)
	}
	missing := int(n)
	padLen := runeLen(pad)
	bytes := (missing/padLen + 1) * len(pad)
	c.alloc(bytes + len(s))
	c.step(bytes / 16)
	fill := strings.Repeat(pad, missing/padLen) + pad[:runeOffset(pad, missing%padLen)]
	if width < 0 {
		return str(joinSurrogates(fill + s))
	}
	return str(joinSurrogates(s + fill))
}

func fnJoin(c *run, args []item, _ item) item {
	a, sep := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	n, between := a.len(), sep.str()
	size := n * len(between)
	for i := range n {
		size += len(a.at(i).str())
	}
	c.step(n + size/32)
	c.alloc(size)
	var out strings.Builder
	out.Grow(size)
	for i := range n {
		if i > 0 {
			out.WriteString(between)
		}
		out.WriteString(a.at(i).str())
	}
	return str(joinSurrogates(out.String()))
}

// matches calls visit for each match that a matcher finds in s, until it
// returns false; the next match is looked for first, as it may be an error. A
// matcher is a regular expression or a function that keeps its
// protocol: it is given the string, and returns match, start, end, groups and
// next.
func (c *run) matches(matcher item, s string, visit func(found) bool) {
	if f := matcher.fn(); f != nil && f.re != nil {
		c.regexMatches(f.re, s, visit)
		return
	}
	m := c.invoke(matcher, str(s))
	for truthyJS(m) {
		next := m.get("next")
		start, end, groups := m.get("start"), m.get("end"), m.get("groups")
		if start.typ() != tNumber && end.typ() != tNumber && !groups.isArray() && !next.isFunction() {
			fail("T1010").withIndex(1).raise()
		}
		f := found{start: truncated(start), end: truncated(end), groups: groups, item: m, text: m.get("match")}
		if !visit(f) {
			return
		}
		m = c.invoke(next)
	}
}

// found is a match; start and end are in 16-bit units.
type found struct {
	start, end int
	text       item
	groups     item
	item       item // as an object, if it is one already
}

func truthyJS(a item) bool {
	switch a.typ() {
	case tUndefined, tNull:
		return false
	case tBool:
		return a.v.Bool()
	case tString:
		return a.str() != ""
	case tNumber:
		f := a.float()
		return f == f && f != 0
	}
	return true
}

func (c *run) regexMatches(re *regex, s string, visit func(found) bool) {
	in := c.units(s)
	m := re.matcher(c, in)
	for at, first := 0, true; at <= len(in) && m.find(at); first = false {
		start, end := m.caps[0], m.caps[1]
		if start == end && !first {
			fail("D1004").withValue(emptyText).raise()
		}
		text := c.fromUnits(in[start:end])
		if !visit(found{start: start, end: end, text: str(text), groups: m.groups()}) {
			return
		}
		if at = end; at >= len(in) {
			return
		}
	}
}

func fnMatch(c *run, args []item, _ item) item {
	a, fn, limit := arg(args, 0), arg(args, 1), arg(args, 2)
	if a.isUndefined() {
		return a
	}
	if limit.float() < 0 {
		fail("D3040").withIndex(3).withValue(limit).raise()
	}
	var out list
	if limit.isUndefined() || limit.float() > 0 {
		c.matches(fn, a.str(), func(f found) bool {
			if !limit.isUndefined() && float64(out.len()) >= limit.float() {
				return false
			}
			m := newMembers(3)
			m.add(c, "match", f.text)
			m.add(c, "index", integer(f.start))
			m.add(c, "groups", f.groups)
			out.push(c, m.object())
			return true
		})
	}
	return out.array(sequence)
}

func fnContains(c *run, args []item, _ item) item {
	a, b := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	if b.isString() {
		c.step(len(a.str()) / 16)
		return boolean(strings.Contains(a.str(), b.str()))
	}
	matched := false
	c.matches(b, a.str(), func(found) bool { matched = true; return false })
	return boolean(matched)
}

func fnSplit(c *run, args []item, _ item) item {
	a, b, limit := arg(args, 0), arg(args, 1), arg(args, 2)
	if a.isUndefined() {
		return a
	}
	if limit.float() < 0 {
		fail("D3020").withIndex(3).withValue(limit).raise()
	}
	s := a.str()
	var out list
	if !b.isFunction() {
		most := len(s) + 1
		if !limit.isUndefined() {
			most = int(min(limit.float(), float64(most)))
		}
		splitText(c, &out, s, b, most)
		return out.array(0)
	}
	count := func() bool { return limit.isUndefined() || float64(out.len()) < limit.float() }
	if limit.isUndefined() || limit.float() > 0 {
		in := c.units(s)
		start, any := 0, false
		c.matches(b, s, func(f found) bool {
			if !count() {
				return false
			}
			any = true
			out.push(c, str(c.fromUnits(in[clamp(start, len(in)):max(clamp(start, len(in)), clamp(f.start, len(in)))])))
			start = f.end
			return true
		})
		if !any {
			out.push(c, a)
		} else if count() {
			out.push(c, str(c.fromUnits(in[clamp(start, len(in)):])))
		}
	}
	return out.array(0)
}

func clamp(i, n int) int { return max(0, min(i, n)) }

func splitText(c *run, out *list, s string, sep item, most int) {
	if sep.isUndefined() {
		if most > 0 {
			out.push(c, str(s))
		}
		return
	}
	if sep.str() == "" {
		in := c.units(s)
		c.step(len(in))
		for _, u := range in {
			if out.len() >= most {
				return
			}
			c.alloc(8)
			out.push(c, str(string(appendUnit(nil, u))))
		}
		return
	}
	pieces := 1 + strings.Count(s, sep.str())
	c.step(len(s) / 16)
	out.grow(c, max(0, min(pieces, most)))
	for out.len() < most {
		piece, rest, more := strings.Cut(s, sep.str())
		c.step(1 + len(piece)/16)
		out.push(c, str(piece))
		if !more {
			return
		}
		s = rest
	}
}

func fnReplace(c *run, args []item, _ item) item {
	a, pattern, with, limit := arg(args, 0), arg(args, 1), arg(args, 2), arg(args, 3)
	if a.isUndefined() {
		return a
	}
	if pattern.isString() && pattern.str() == "" {
		fail("D3010").withIndex(2).withValue(pattern).raise()
	}
	if limit.float() < 0 {
		fail("D3011").withIndex(4).withValue(limit).raise()
	}
	if limit.typ() == tNumber && limit.float() == 0 {
		return a
	}
	n := 0
	more := func() bool { return limit.isUndefined() || float64(n) < limit.float() }
	var out []byte
	add := func(s string) {
		c.step(1 + len(s)/32)
		if len(out)+len(s) > cap(out) {
			c.alloc(2 * (len(out) + len(s)))
		}
		out = append(out, s...)
	}
	if !pattern.isFunction() {
		s := a.str()
		replacement := jsText(c, with)
		for more() {
			before, rest, ok := strings.Cut(s, pattern.str())
			if !ok {
				break
			}
			add(before)
			add(replacement)
			s = rest
			n++
		}
		add(s)
		return str(joinSurrogates(string(out)))
	}
	in := c.units(a.str())
	at := 0
	c.matches(pattern, a.str(), func(f found) bool {
		if !more() {
			return false
		}
		add(c.fromUnits(in[clamp(at, len(in)):max(clamp(at, len(in)), clamp(f.start, len(in)))]))
		add(c.replacement(with, f))
		at = f.start + utf16Len(f.text.str())
		n++
		return true
	})
	if n == 0 {
		return a
	}
	add(c.fromUnits(in[clamp(at, len(in)):]))
	return str(joinSurrogates(string(out)))
}

// replacement is what a match is replaced with: what a function says, or a text
// in which $0 stands for the match and $1 … for its groups.
func (c *run) replacement(with item, f found) string {
	if with.isFunction() {
		m := f.item
		if m.isUndefined() {
			o := newMembers(4)
			o.add(c, "match", f.text)
			o.add(c, "start", integer(f.start))
			o.add(c, "end", integer(f.end))
			o.add(c, "groups", f.groups)
			m = o.object()
		}
		r := c.invoke(with, m)
		if !r.isString() {
			fail("D3012").withValue(r).raise()
		}
		return r.str()
	}
	s := with.str()
	if strings.IndexByte(s, '$') < 0 {
		return s
	}
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i+1:]
		switch {
		case strings.HasPrefix(s, "$"):
			out.WriteByte('$')
			s = s[1:]
		case strings.HasPrefix(s, "0"):
			out.WriteString(f.text.str())
			s = s[1:]
		default:
			s = f.group(&out, s)
		}
		c.step(1)
	}
}

// group writes the group that s starts with the number of, and returns what
// follows. Of several digits as many count as there are groups for.
func (f found) group(out *strings.Builder, s string) string {
	n := f.groups.len()
	digits := len(itoa(n))
	if n == 0 {
		digits = 1
	}
	for ; digits > 0; digits-- {
		number, used := leadingInt(s, digits)
		if used == 0 {
			out.WriteByte('$')
			return s
		}
		if digits > 1 && number > n {
			continue
		}
		if n > 0 && number >= 1 && number <= n {
			out.WriteString(f.groups.at(number - 1).str())
		}
		return s[used:]
	}
	return s
}

func leadingInt(s string, most int) (n, used int) {
	for used < len(s) && used < most && isDigit(s[used]) {
		n = n*10 + int(s[used]-'0')
		used++
	}
	return n, used
}

// fnBase64Encode takes each 16-bit unit for a byte, as the library does: what
// lies above 255 is cut off.
func fnBase64Encode(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	units := c.units(a.str())
	bytes := make([]byte, len(units))
	for i, u := range units {
		bytes[i] = byte(u)
	}
	c.alloc(len(bytes) * 3)
	return str(base64.StdEncoding.EncodeToString(bytes))
}

func fnBase64Decode(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	s := a.str()
	c.step(len(s) / 4)
	c.alloc(3 * len(s))
	out := make([]byte, 0, len(s))
	bits, n := uint32(0), 0
	for i := 0; i < len(s) && s[i] != '='; i++ {
		d := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", s[i])
		switch s[i] {
		case '-':
			d = 62
		case '_':
			d = 63
		}
		if d < 0 {
			continue // as lenient as Node's Buffer
		}
		bits, n = bits<<6|uint32(d), n+6
		if n >= 8 {
			n -= 8
			out = utf8.AppendRune(out, rune(byte(bits>>n)))
		}
	}
	return str(string(out))
}

const urlPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"

func urlEncoder(name, reserved string) native {
	return func(c *run, args []item, _ item) item {
		a := arg(args, 0)
		if a.isUndefined() {
			return a
		}
		s := a.str()
		c.step(len(s))
		c.alloc(3 * len(s))
		out := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			switch b := s[i]; {
			case isSurrogate(s, i):
				f := fail("D3140").withValue(a)
				f.name = name
				f.raise()
			case strings.IndexByte(urlPlain, b) >= 0 || strings.IndexByte(reserved, b) >= 0:
				out = append(out, b)
			default:
				const hex = "0123456789ABCDEF"
				out = append(out, '%', hex[b>>4], hex[b&15])
			}
		}
		return str(string(out))
	}
}

// urlDecoder decodes %XX, but not the reserved characters.
func urlDecoder(name, reserved string) native {
	return func(c *run, args []item, _ item) item {
		a := arg(args, 0)
		if a.isUndefined() {
			return a
		}
		s := a.str()
		c.step(len(s))
		c.alloc(len(s))
		bad := func() {
			f := fail("D3140").withValue(a)
			f.name = name
			f.raise()
		}
		octet := func(i int) byte {
			if i+2 >= len(s) || s[i] != '%' {
				bad()
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				bad()
			}
			return hi<<4 | lo
		}
		out := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				out = append(out, s[i])
				continue
			}
			b := octet(i)
			if b < 0x80 {
				if strings.IndexByte(reserved, b) >= 0 {
					out = append(out, s[i:i+3]...)
				} else {
					out = append(out, b)
				}
				i += 2
				continue
			}
			n := 2
			switch {
			case b >= 0xF0:
				n = 4
			case b >= 0xE0:
				n = 3
			}
			char := make([]byte, 0, 4)
			for k := range n {
				char = append(char, octet(i+3*k))
			}
			if r, size := utf8.DecodeRune(char); size != n || r == utf8.RuneError && size == 1 {
				bad()
			}
			out = append(out, char...)
			i += 3*n - 1
		}
		return str(string(out))
	}
}

func unhex(b byte) byte {
	switch {
	case isDigit(b):
		return b - '0'
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10
	}
	return 255
}
