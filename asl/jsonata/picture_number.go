package jsonata

import (
	"math"
	"strconv"
	"strings"
)

// numberStyle is the signs of a number picture.
type numberStyle struct {
	decimal, grouping, exponent, minus, percent, perMille, zero, digit, pattern string
}

func styleOf(options item) numberStyle {
	get := func(name, otherwise string) string {
		if v := options.get(name); v.isString() {
			return v.str()
		}
		return otherwise
	}
	return numberStyle{
		decimal: get("decimal-separator", "."), grouping: get("grouping-separator", ","), exponent: get("exponent-separator", "e"),
		minus: get("minus-sign", "-"), percent: get("percent", "%"), perMille: get("per-mille", "‰"),
		zero: get("zero-digit", "0"), digit: get("digit", "#"), pattern: get("pattern-separator", ";"),
	}
}

// isDigit reports whether ch is one of the ten digits of the style.
func (st *numberStyle) isDigit(ch string) bool {
	zero, _ := decode(st.zero)
	r, _ := decode(ch)
	return ch != "" && zero <= r && r <= zero+9
}

func (st *numberStyle) active(ch string) bool {
	return st.isDigit(ch) || ch == st.decimal || ch == st.exponent || ch == st.grouping || ch == st.digit || ch == st.pattern
}

func (st *numberStyle) count(chars []string, also string) int {
	n := 0
	for _, ch := range chars {
		if st.isDigit(ch) || ch == also {
			n++
		}
	}
	return n
}

// subPicture is a picture for numbers of one sign, taken apart.
type subPicture struct {
	text                              []string
	prefix, suffix                    string
	active, mantissa, whole, fraction []string
	exponent                          []string
	hasExponent                       bool

	wholeGroups, fractionGroups []int
	regular                     int
	minWhole, scale             int
	minFraction, maxFraction    int
	minExponent                 int
}

func chars(s string) []string {
	out := make([]string, 0, len(s))
	for len(s) > 0 {
		_, n := decode(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

func indexOf(list []string, ch string, from int) int {
	for i := max(from, 0); i < len(list); i++ {
		if list[i] == ch {
			return i
		}
	}
	return -1
}

func lastIndexOf(list []string, ch string) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == ch {
			return i
		}
	}
	return -1
}

func (st *numberStyle) split(c *run, picture string) *subPicture {
	p := &subPicture{text: chars(picture)}
	n := len(p.text)
	from, to := -1, -1
	for i, ch := range p.text {
		if st.active(ch) && ch != st.exponent {
			if from < 0 {
				from = i
			}
			to = i + 1
		}
	}
	if from < 0 {
		c.complain("Cannot read properties of undefined (reading 'length')") // where the library stumbles
	}
	p.prefix, p.suffix = strings.Join(p.text[:from], ""), strings.Join(p.text[to:], "")
	p.active = p.text[from:to]
	p.mantissa = p.active
	if e := indexOf(p.text, st.exponent, from); e >= 0 && e <= n-(n-to) {
		cut := min(e, len(p.active)) // counted from the start of the picture, as the library does
		p.mantissa, p.hasExponent = p.active[:cut], true
		p.exponent = p.active[min(cut+1, len(p.active)):]
		if e+1 > len(p.active) {
			p.exponent = nil
		}
	}
	p.whole, p.fraction = p.mantissa, p.text[to:]
	if d := indexOf(p.mantissa, st.decimal, 0); d >= 0 {
		p.whole, p.fraction = p.mantissa[:d], p.mantissa[d+1:]
	}
	return p
}

// check finds what is wrong with a picture. Of several errors the last counts.
func (st *numberStyle) check(p *subPicture) {
	code := ""
	wrong := func(is bool, as string) {
		if is {
			code = as
		}
	}
	text := strings.Join(p.text, "")
	twice := func(s string) bool { return strings.Index(text, s) != strings.LastIndex(text, s) }
	has := func(s string) bool { return strings.Contains(text, s) }
	at := func(i int) string {
		if i < 0 || i >= len(p.text) {
			return ""
		}
		return p.text[i]
	}
	decimal := indexOf(p.text, st.decimal, 0)
	wrong(twice(st.decimal), "D3081")
	wrong(twice(st.percent), "D3082")
	wrong(twice(st.perMille), "D3083")
	wrong(has(st.percent) && has(st.perMille), "D3084")
	wrong(st.count(p.mantissa, st.digit) == 0, "D3085")
	for _, ch := range p.active {
		wrong(!st.active(ch), "D3086")
	}
	if decimal >= 0 {
		wrong(at(decimal-1) == st.grouping || at(decimal+1) == st.grouping, "D3087")
	} else {
		wrong(len(p.whole) > 0 && p.whole[len(p.whole)-1] == st.grouping, "D3088")
	}
	for i := range p.text {
		wrong(i > 0 && p.text[i] == st.grouping && p.text[i-1] == st.grouping, "D3089")
	}
	if i := indexOf(p.whole, st.digit, 0); i >= 0 {
		wrong(st.count(p.whole[:i], "\x00") > 0, "D3090")
	}
	if i := lastIndexOf(p.fraction, st.digit); i >= 0 {
		wrong(st.count(p.fraction[i:], "\x00") > 0, "D3091")
	}
	wrong(p.hasExponent && len(p.exponent) > 0 && (has(st.percent) || has(st.perMille)), "D3092")
	wrong(p.hasExponent && (len(p.exponent) == 0 || st.count(p.exponent, "\x00") < len(p.exponent)), "D3093")
	if code != "" {
		fail(code).raise()
	}
}

func (st *numberStyle) analyse(c *run, p *subPicture) {
	groups := func(part []string, left bool) (positions []int) {
		for i := indexOf(part, st.grouping, 0); i >= 0; i = indexOf(p.whole, st.grouping, i+1) { // in the integer part also for the fraction, as the library does
			c.step(1 + len(part)/4)
			if left {
				positions = append(positions, st.count(part[:min(i, len(part))], st.digit))
			} else {
				positions = append(positions, st.count(part[min(i, len(part)):], st.digit))
			}
		}
		return positions
	}
	p.wholeGroups = groups(p.whole, false)
	p.regular = evenly(p.wholeGroups)
	p.fractionGroups = groups(p.fraction, true)
	p.minWhole = st.count(p.whole, "\x00")
	p.scale = p.minWhole
	p.minFraction, p.maxFraction = st.count(p.fraction, "\x00"), st.count(p.fraction, st.digit)
	if p.minWhole == 0 && p.maxFraction == 0 {
		if p.hasExponent {
			p.minFraction, p.maxFraction = 1, 1
		} else {
			p.minWhole = 1
		}
	}
	if p.hasExponent && p.minWhole == 0 && indexOf(p.whole, st.digit, 0) >= 0 {
		p.minWhole = 1
	}
	if p.minWhole == 0 && p.minFraction == 0 {
		p.minFraction = 1
	}
	if p.hasExponent {
		p.minExponent = st.count(p.exponent, "\x00")
	}
}

func fnFormatNumber(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	st := styleOf(arg(args, 2))
	picture := arg(args, 1).str()
	c.step(20 + 20*len(picture))
	c.alloc(60 * len(picture))
	pictures := strings.Split(picture, st.pattern)
	if len(pictures) > 2 {
		fail("D3080").raise()
	}
	parts := make([]*subPicture, len(pictures))
	for i, text := range pictures {
		parts[i] = st.split(c, text)
	}
	for _, p := range parts {
		st.check(p)
	}
	for _, p := range parts {
		st.analyse(c, p)
	}
	f := a.float()
	p := parts[0]
	if !(f >= 0) {
		p = parts[len(parts)-1]
		if len(parts) == 1 {
			p.prefix = st.minus + p.prefix
		}
	}
	return str(st.format(c, f, p))
}

func (st *numberStyle) format(c *run, f float64, p *subPicture) string {
	switch all := strings.Join(p.text, ""); {
	case strings.Contains(all, st.percent):
		f *= 100
	case strings.Contains(all, st.perMille):
		f *= 1000
	}
	mantissa, exponent := f, 0
	if p.minExponent > 0 {
		most, least := raise(10, float64(p.scale)), raise(10, float64(p.scale-1))
		for mantissa < least { // for what is not positive the library never ends
			c.step(1)
			if mantissa <= 0 {
				c.limit(timeoutMessage)
			}
			mantissa *= 10
			exponent--
		}
		for mantissa > most {
			c.step(1)
			mantissa /= 10
			exponent++
		}
	}
	rounded := fnRound(c, []item{number(mantissa), integer(p.maxFraction)}, undefined).float()
	s := chars(st.fixed(c, rounded, p.maxFraction))
	if i := indexOf(s, ".", 0); i >= 0 {
		s[i] = st.decimal
	} else {
		s = append(s, st.decimal)
	}
	for len(s) > 0 && s[0] == st.zero {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] == st.zero {
		s = s[:len(s)-1]
	}
	point := func() int { return indexOf(s, st.decimal, 0) }
	at := point()
	padLeft, padRight := p.minWhole-at, p.minFraction-(len(s)-at-1)
	s = append(st.zeros(padLeft), s...)
	s = append(s, st.zeros(padRight)...)
	insert := func(i int, ch string) {
		c.step(1 + len(s)/8)
		c.alloc(16 * len(s))
		i = max(0, min(i, len(s)))
		s = append(s[:i:i], append([]string{ch}, s[i:]...)...)
	}
	at = point()
	if p.regular > 0 {
		for g := 1; g <= (at-1)/p.regular; g++ {
			insert(at-g*p.regular, st.grouping)
		}
	} else {
		for _, pos := range p.wholeGroups {
			i := at - pos
			if i < 0 {
				i += len(s)
			}
			insert(i, st.grouping)
			at++
		}
	}
	at = point()
	for _, pos := range p.fractionGroups {
		insert(pos+at+1, st.grouping)
	}
	if at = point(); indexOf(p.text, st.decimal, 0) < 0 || at == len(s)-1 {
		s = s[:len(s)-1]
	}
	text := strings.Join(s, "")
	if p.minExponent > 0 {
		e := chars(st.fixed(c, math.Abs(float64(exponent)), 0))
		e = append(st.zeros(p.minExponent-len(e)), e...)
		sign := ""
		if exponent < 0 {
			sign = st.minus
		}
		text += st.exponent + sign + strings.Join(e, "")
	}
	c.alloc(len(text) * 8)
	return p.prefix + text + p.suffix
}

func (st *numberStyle) zeros(n int) []string {
	var out []string
	for range max(n, 0) {
		out = append(out, st.zero)
	}
	return out
}

// fixed is JavaScript's toFixed, in the digits of the style.
func (st *numberStyle) fixed(c *run, f float64, places int) string {
	if places > 100 {
		c.complain("toFixed() digits argument must be between 0 and 100")
	}
	f = math.Abs(f)
	s := strconv.FormatFloat(f, 'f', places, 64)
	if f >= 1e21 || f != f {
		s = numberText(f)
	}
	if st.zero == "0" {
		return s
	}
	zero, _ := decode(st.zero)
	return mapRunes(s, func(out []byte, r rune, _ int) []byte {
		if r >= '0' && r <= '9' {
			r += zero - '0'
		}
		return appendRune(out, r)
	})
}
