package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// integerPicture says how integers are written: as digits, words, letters or
// Roman numerals.
type integerPicture struct {
	style     integerStyle
	letters   letterCase
	ordinal   bool
	token     string // of a style that is not supported
	zero      rune   // of the family of digits
	mandatory int
	optional  int
	regular   int // the size of groups, if they are all of one size
	groups    []groupSign
	width     int // how many digits to read, if digits follow that are not this integer's
}

type integerStyle uint8

const (
	inDigits integerStyle = iota
	inLetters
	inRoman
	inWords
	inUnknown
)

type letterCase uint8

const (
	lowerCase letterCase = iota
	upperCase
	titleCase
)

// groupSign is a separator between digits, at a position counted from the right.
type groupSign struct {
	position int
	sign     string
}

// digitZero is the zero of the decimal digits that r is one of, or -1. Unicode
// keeps digits in runs of ten.
func digitZero(r rune) rune {
	if r < 0x80 {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return -1
	}
	for _, run := range unicode.Nd.R16 {
		if lo, hi := rune(run.Lo), rune(run.Hi); lo <= r && r <= hi && run.Stride == 1 {
			return lo + (r-lo)/10*10
		}
	}
	return -1
}

func parseIntegerPicture(picture string) *integerPicture {
	p := &integerPicture{zero: '0'}
	primary, modifier := picture, ""
	if i := strings.LastIndexByte(picture, ';'); i >= 0 {
		primary, modifier = picture[:i], picture[i+1:]
	}
	p.ordinal = strings.HasPrefix(modifier, "o")
	switch primary {
	case "A":
		p.style, p.letters = inLetters, upperCase
	case "a":
		p.style = inLetters
	case "I":
		p.style, p.letters = inRoman, upperCase
	case "i":
		p.style = inRoman
	case "W":
		p.style, p.letters = inWords, upperCase
	case "Ww":
		p.style, p.letters = inWords, titleCase
	case "w":
		p.style = inWords
	default:
		p.digits(primary)
	}
	return p
}

func (p *integerPicture) digits(picture string) {
	runes := []rune(picture)
	p.zero = -1
	at := 0
	for i := len(runes) - 1; i >= 0; i-- {
		switch zero := digitZero(runes[i]); {
		case zero >= 0:
			if p.zero >= 0 && p.zero != zero {
				fail("D3131").raise()
			}
			p.zero = zero
			p.mandatory++
			at++
		case runes[i] == '#':
			p.optional++
			at++
		default:
			p.groups = append(p.groups, groupSign{at, string(runes[i])})
		}
	}
	if p.mandatory == 0 {
		p.style, p.token = inUnknown, picture
		return
	}
	p.regular = regularGroups(p.groups)
}

// regularGroups is the size of the groups if separators are alike and evenly
// spaced, else 0.
func regularGroups(groups []groupSign) int {
	positions := make([]int, len(groups))
	for i, g := range groups {
		if g.sign != groups[0].sign {
			return 0
		}
		positions[i] = g.position
	}
	return evenly(positions)
}

// evenly is the distance between positions that are its multiples, else 0.
func evenly(positions []int) int {
	if len(positions) == 0 {
		return 0
	}
	factor := positions[0]
	for _, p := range positions[1:] {
		a, b := factor, p
		for b != 0 {
			a, b = b, a%b
		}
		factor = a
	}
	found := make(map[int]bool, len(positions))
	for _, p := range positions {
		found[p] = true
	}
	for i := 1; i <= len(positions); i++ {
		if !found[i*factor] {
			return 0
		}
	}
	return factor
}

func fnFormatInteger(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	c.step(len(arg(args, 1).str()))
	c.alloc(80 * len(arg(args, 1).str()))
	return str(parseIntegerPicture(arg(args, 1).str()).format(c, math.Floor(a.float())))
}

func (p *integerPicture) format(c *run, f float64) string {
	c.step(10)
	negative := f < 0
	f = math.Abs(f)
	var s string
	switch p.style {
	case inLetters:
		first := byte('a')
		if p.letters == upperCase {
			first = 'A'
		}
		s = lettersOf(f, first)
	case inRoman:
		s = romanOf(c, f)
		if p.letters == upperCase {
			s = strings.ToUpper(s)
		}
	case inWords:
		if !(f <= math.MaxFloat64) { // of a date that is none; the library's recursion has no end
			c.stackOverflow()
		}
		s = wordsOf(f, false, p.ordinal)
		switch p.letters {
		case upperCase:
			s = strings.ToUpper(s)
		case lowerCase:
			s = strings.ToLower(s)
		}
	case inUnknown:
		fail("D3130").withValue(str(p.token)).raise()
	default:
		s = p.inDigits(c, f)
	}
	if negative {
		return "-" + s
	}
	return s
}

func (p *integerPicture) inDigits(c *run, f float64) string {
	s := numberText(f)
	if n := p.mandatory - len(s); n > 0 {
		c.alloc(n)
		s = strings.Repeat("0", n) + s
	}
	runes := []rune(s)
	if p.zero != '0' {
		for i := range runes {
			runes[i] += p.zero - '0'
		}
	}
	insert := func(pos int, sign string) {
		c.step(len(runes) / 8)
		c.alloc(16 * len(runes))
		// A position left of the number counts from its end, as JavaScript's
		// substr does.
		head, tail := runes[:max(pos, 0)], runes[max(pos, 0):]
		if pos < 0 {
			tail = runes[max(len(runes)+pos, 0):]
		}
		runes = append(append(append([]rune(nil), head...), []rune(sign)...), tail...)
	}
	if p.regular > 0 {
		for i := (len(runes) - 1) / p.regular; i > 0; i-- {
			insert(len(runes)-i*p.regular, p.groups[0].sign)
		}
	} else {
		for i := len(p.groups) - 1; i >= 0; i-- {
			insert(len(runes)-p.groups[i].position, p.groups[i].sign)
		}
	}
	if p.ordinal {
		n := len(runes)
		suffix := map[rune]string{'1': "st", '2': "nd", '3': "rd"}[runes[n-1]]
		if suffix == "" || n > 1 && runes[n-2] == '1' {
			suffix = "th"
		}
		return string(runes) + suffix
	}
	return string(runes)
}

func lettersOf(f float64, first byte) string {
	var letters []byte
	for f > 0 {
		letters = append(letters, first+byte(math.Mod(f-1, 26)))
		f = math.Floor((f - 1) / 26)
	}
	for i, j := 0, len(letters)-1; i < j; i, j = i+1, j-1 {
		letters[i], letters[j] = letters[j], letters[i]
	}
	return string(letters)
}

var romans = []struct {
	value float64
	text  string
}{{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"}, {10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"}}

func romanOf(c *run, f float64) string {
	var b strings.Builder
	if f/1000 > 1<<24 {
		c.stackOverflow()
	}
	for _, r := range romans {
		for ; f >= r.value; f -= r.value {
			c.step(1)
			c.alloc(1)
			b.WriteString(r.text)
		}
	}
	return b.String()
}

var (
	fewWords     = strings.Fields("Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen Seventeen Eighteen Nineteen")
	ordinalWords = strings.Fields("Zeroth First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth Eleventh Twelfth Thirteenth Fourteenth Fifteenth Sixteenth Seventeenth Eighteenth Nineteenth")
	decadeWords  = strings.Fields("Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety")
	powerWords   = strings.Fields("Thousand Million Billion Trillion")
)

// wordsOf writes a number in words; follows says that something stands before.
func wordsOf(f float64, follows, ordinal bool) string {
	and, comma := "", ""
	if follows {
		and, comma = " and ", ", "
	}
	rest := func(s string, f float64) string {
		switch {
		case f > 0:
			return s + wordsOf(f, true, ordinal)
		case ordinal:
			return s + "th"
		}
		return s
	}
	switch {
	case f <= 19:
		if ordinal {
			return and + ordinalWords[int(f)]
		}
		return and + fewWords[int(f)]
	case f < 100:
		s := and + decadeWords[int(f)/10-2]
		if one := int(f) % 10; one > 0 {
			return s + "-" + wordsOf(float64(one), false, ordinal)
		}
		if ordinal {
			return s[:len(s)-1] + "ieth"
		}
		return s
	case f < 1000:
		return rest(comma+fewWords[int(f)/100]+" Hundred", math.Mod(f, 100))
	}
	power := min(int(math.Floor(math.Log10(f)/3)), len(powerWords))
	factor := raise(10, float64(power*3))
	many := math.Floor(f / factor)
	return rest(comma+wordsOf(many, false, false)+" "+powerWords[power-1], f-many*factor)
}

// wordValues are the words of numbers, in lower case.
var wordValues = func() map[string]float64 {
	m := map[string]float64{}
	for i := range fewWords {
		m[strings.ToLower(fewWords[i])] = float64(i)
		m[strings.ToLower(ordinalWords[i])] = float64(i)
	}
	for i, w := range decadeWords {
		w = strings.ToLower(w)
		m[w] = float64(i+2) * 10
		m[w[:len(w)-1]+"ieth"] = float64(i+2) * 10
	}
	m["hundred"], m["hundredth"] = 100, 100
	for i, w := range powerWords {
		m[strings.ToLower(w)] = raise(10, float64(i+1)*3)
		m[strings.ToLower(w)+"th"] = raise(10, float64(i+1)*3)
	}
	return m
}()

// splitWords cuts a text at commas, "and", spaces and hyphens.
func splitWords(s string) []string {
	var parts []string
	start := 0
	isSpace := func(i int) bool { return i < len(s) && strings.IndexByte(" \t\n\r\v\f", s[i]) >= 0 }
	for i := 0; i < len(s); {
		n := 0
		switch {
		case s[i] == ',' && isSpace(i+1):
			n = 2
		case isSpace(i) && strings.HasPrefix(s[i+1:], "and") && isSpace(i+4):
			n = 5
		case isSpace(i) || s[i] == '-' || s[i] == '\\':
			n = 1
		}
		if n == 0 {
			i++
			continue
		}
		parts = append(parts, s[start:i])
		i += n
		start = i
	}
	return append(parts, s[start:])
}

func wordsToNumber(s string) float64 {
	sums := []float64{0}
	for _, word := range splitWords(s) {
		v, ok := wordValues[word]
		if !ok {
			v = math.NaN()
		}
		top := sums[len(sums)-1]
		switch {
		case v < 100 && top >= 1000:
			sums = append(sums, v)
		case v < 100:
			sums[len(sums)-1] = top + v
		default:
			sums[len(sums)-1] = top * v
		}
	}
	total := 0.0
	for _, f := range sums {
		total += f
	}
	return total
}

func romanToNumber(s string) float64 {
	total, most := 0.0, 1.0
	for i := len(s) - 1; i >= 0; i-- {
		v, ok := map[byte]float64{'M': 1000, 'D': 500, 'C': 100, 'L': 50, 'X': 10, 'V': 5, 'I': 1}[s[i]]
		if !ok {
			v = math.NaN()
		}
		if v < most {
			total -= v
		} else {
			most = v
			total += v
		}
	}
	return total
}

func lettersToNumber(c *run, s string, first rune) float64 {
	total := 0.0
	units := c.units(s)
	for i := range units {
		total += float64(rune(units[len(units)-i-1])-first+1) * raise(26, float64(i))
	}
	return total
}

func fnParseInteger(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	c.step(len(arg(args, 1).str()) + len(a.str()))
	c.alloc(80*len(arg(args, 1).str()) + 8*len(a.str()))
	return number(parseIntegerPicture(arg(args, 1).str()).parse(c, a.str()))
}

// parse reads an integer; what it cannot read is NaN.
func (p *integerPicture) parse(c *run, s string) float64 {
	switch p.style {
	case inLetters:
		if p.letters == upperCase {
			return lettersToNumber(c, s, 'A')
		}
		return lettersToNumber(c, s, 'a')
	case inRoman:
		if p.letters != upperCase {
			s = uppercase(s)
		}
		return romanToNumber(s)
	case inWords:
		return wordsToNumber(lowercase(s))
	case inUnknown:
		fail("D3130").withValue(str(p.token)).raise()
	}
	if p.ordinal {
		s = s[:runeOffset(s, max(runeLen(s)-2, 0))]
	}
	if p.regular > 0 {
		s = strings.ReplaceAll(s, ",", "")
	} else {
		for _, g := range p.groups {
			c.step(1 + len(s)/16)
			s = strings.ReplaceAll(s, g.sign, "")
		}
	}
	if p.zero != '0' {
		s = mapRunes(s, func(out []byte, r rune, _ int) []byte { return appendRune(out, r-p.zero+'0') })
	}
	return parseInt(s)
}

// parseInt is JavaScript's parseInt: as many digits as there are.
func parseInt(s string) float64 {
	s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == 0xFEFF })
	sign := 1.0
	if strings.HasPrefix(s, "-") {
		sign = -1
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if len(s) == 0 {
		return math.NaN()
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		n := 2
		for n < len(s) && unhex(s[n]) < 16 {
			n++
		}
		f, ok := parseRadix(s[2:n], 16)
		if !ok || n == 2 {
			return math.NaN()
		}
		return sign * f
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	f, err := strconv.ParseFloat(s[:n], 64)
	if n == 0 || err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return sign * f
}
