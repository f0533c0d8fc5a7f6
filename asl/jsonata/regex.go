package jsonata

import (
	"strconv"
	"strings"
	"unicode"
)

// Regular expressions are JavaScript's, without the flags u and v: they match
// 16-bit units and know back references and looking around. They are compiled to
// a small program that a backtracking machine runs. Its every move is a step
// of the evaluation, so a catastrophic pattern ends like an endless loop does;
// a library with a timeout of its own would need a clock.

// regex is a compiled regular expression. It is immutable.
type regex struct {
	prog   []instr
	groups int
	marks  int // registers that remember where a repetition began
	fold   bool
	lines  bool
}

type opcode uint8

const (
	opChar  opcode = iota // a unit: lo
	opSet                 // one of set
	opSplit               // try x, then y
	opJump                // x
	opSave                // the position into capture x
	opClear               // captures x … y-1 as if they had not matched
	opMark                // the position into mark x
	opMoved               // fail if the position is still mark x
	opStart               // ^
	opEnd                 // $
	opWord                // \b, or \B if no
	opBack                // what group x matched
	opLook                // the program from here to x matches; no: does not; behind: backwards
	opMatch
	opLoop // as many units of set as there are, at least x, at most y (-1: any); no: as few
)

type instr struct {
	op     opcode
	x, y   int
	lo     uint16
	set    *charSet
	no     bool
	behind bool
}

// charSet is a set of 16-bit units: ranges, possibly inverted.
type charSet struct {
	ascii  [4]uint32
	ranges []uint16 // pairs
	not    bool
	fold   bool
}

func (s *charSet) add(lo, hi uint16) {
	s.ranges = append(s.ranges, lo, hi)
}

func (s *charSet) seal(not, fold bool) *charSet {
	s.fold = fold
	for u := range uint16(128) {
		in := s.in(u)
		if fold && !in {
			in = s.in(uint16(unicode.ToLower(rune(u)))) || s.in(uint16(unicode.ToUpper(rune(u))))
			if !in {
				for _, v := range []uint16{0x017F, 0x212A} {
					in = in || foldUnit(v) == foldUnit(u) && s.in(v)
				}
			}
		}
		if in {
			s.ascii[u>>5] |= 1 << (u & 31)
		}
	}
	s.not = not
	return s
}

func (s *charSet) in(u uint16) bool {
	for i := 0; i < len(s.ranges); i += 2 {
		if s.ranges[i] <= u && u <= s.ranges[i+1] {
			return true
		}
	}
	return false
}

func (s *charSet) has(u uint16) bool {
	if u < 128 {
		return (s.ascii[u>>5]>>(u&31)&1 == 1) != s.not
	}
	in := s.in(u)
	if !in && s.fold {
		r := rune(u)
		in = s.in(uint16(unicode.ToLower(r))) || s.in(foldUnit(u))
		for o := unicode.SimpleFold(r); !in && o != r; o = unicode.SimpleFold(o) {
			in = o < 0x10000 && foldUnit(uint16(o)) == foldUnit(u) && s.in(uint16(o))
		}
	}
	return in != s.not
}

// foldUnit is what two units have in common that differ in case only: the upper
// case, unless that would turn a letter beyond ASCII into one of ASCII.
func foldUnit(u uint16) uint16 {
	if u < 128 {
		if 'a' <= u && u <= 'z' {
			return u - 32
		}
		return u
	}
	if up := unicode.ToUpper(rune(u)); up >= 128 && up < 0x10000 {
		return uint16(up)
	}
	return u
}

func isWordUnit(u uint16) bool {
	return u < 128 && (u == '_' || '0' <= u && u <= '9' || 'a' <= u && u <= 'z' || 'A' <= u && u <= 'Z')
}

func isLineEnd(u uint16) bool { return u == '\n' || u == '\r' || u == 0x2028 || u == 0x2029 }

// rx is a node of a regular expression.
type rx struct {
	kind     rxKind
	list     []*rx // of a sequence or alternatives
	sub      *rx
	unit     uint16
	set      *charSet
	min, max int // of a repetition; max -1 is any number
	lazy     bool
	group    int // the number of a capture; of a back reference
	name     string
	not      bool
	behind   bool
	from, to int // captures inside
}

type rxKind uint8

const (
	rxSeq rxKind = iota
	rxAlt
	rxUnit
	rxSet
	rxRepeat
	rxGroup // captures if group > 0
	rxBack
	rxStart
	rxEnd
	rxWord
	rxLook
)

type rxParser struct {
	pattern string
	text    []rune
	pos     int
	groups  int
	names   map[string]int
	total   int // groups in the whole pattern
	named   bool
	fold    bool
	depth   int
}

func (p *rxParser) fail(why string) {
	panic(&fault{message: "Invalid regular expression: /" + p.pattern + "/: " + why})
}

const maxProgram = 20_000

// compileRegex compiles a JavaScript pattern; it panics with a fault for what is
// none.
func compileRegex(pattern, flags string) *regex {
	for i, f := range flags {
		if strings.ContainsRune(flags[:i], f) {
			panic(&fault{message: "Invalid flags supplied to RegExp constructor '" + flags + "g'"})
		}
	}
	p := &rxParser{pattern: pattern, text: unitsOf(pattern), names: map[string]int{}, fold: strings.Contains(flags, "i")}
	p.countGroups()
	tree := p.alternatives()
	if p.pos < len(p.text) {
		p.fail("Unmatched ')'")
	}
	re := &regex{groups: p.groups, fold: p.fold, lines: strings.Contains(flags, "m")}
	g := &rxCompiler{re: re, fail: p.fail, names: p.names}
	g.emit(instr{op: opSave, x: 0})
	g.node(tree, false)
	g.emit(instr{op: opSave, x: 1})
	g.emit(instr{op: opMatch})
	return re
}

// unitsOf are the 16-bit units of s, as runes.
func unitsOf(s string) []rune {
	out := make([]rune, 0, len(s))
	for len(s) > 0 {
		r, n := decode(s)
		s = s[n:]
		if r >= 0x10000 {
			out = append(out, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
			continue
		}
		out = append(out, r)
	}
	return out
}

// countGroups counts captures ahead, since \2 may come before its group.
func (p *rxParser) countGroups() {
	class := false
	for i := 0; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '(':
			if class {
				continue
			}
			if i+1 < len(p.text) && p.text[i+1] == '?' {
				if i+3 < len(p.text) && p.text[i+2] == '<' && p.text[i+3] != '=' && p.text[i+3] != '!' {
					p.total++
					p.named = true
				}
				continue
			}
			p.total++
		}
	}
}

func (p *rxParser) peek() rune {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return -1
}

func (p *rxParser) accept(s string) bool {
	for i, r := range []rune(s) {
		if p.pos+i >= len(p.text) || p.text[p.pos+i] != r {
			return false
		}
	}
	p.pos += len([]rune(s))
	return true
}

func (p *rxParser) alternatives() *rx {
	if p.depth++; p.depth > 250 {
		p.fail("Regular expression too large")
	}
	alt := &rx{kind: rxAlt}
	for {
		seq := &rx{kind: rxSeq}
		for c := p.peek(); c >= 0 && c != '|' && c != ')'; c = p.peek() {
			seq.list = append(seq.list, p.term())
		}
		alt.list = append(alt.list, seq)
		if !p.accept("|") {
			break
		}
	}
	p.depth--
	if len(alt.list) == 1 {
		return alt.list[0]
	}
	return alt
}

func (p *rxParser) term() *rx {
	from := p.groups
	n := p.atom()
	n.from = from
	lo, hi, ok := p.quantifier()
	if !ok {
		return n
	}
	if n.kind == rxStart || n.kind == rxEnd || n.kind == rxWord || n.kind == rxLook && n.behind {
		p.fail("Nothing to repeat")
	}
	r := &rx{kind: rxRepeat, sub: n, min: lo, max: hi, from: from + 1, to: p.groups + 1}
	r.lazy = p.accept("?")
	return r
}

func (p *rxParser) quantifier() (lo, hi int, ok bool) {
	switch p.peek() {
	case '*':
		p.pos++
		return 0, -1, true
	case '+':
		p.pos++
		return 1, -1, true
	case '?':
		p.pos++
		return 0, 1, true
	case '{':
		return p.braces()
	}
	return 0, 0, false
}

// braces reads {n}, {n,} or {n,m}; anything else is text.
func (p *rxParser) braces() (lo, hi int, ok bool) {
	start := p.pos
	p.pos++
	lo, ok = p.integer()
	hi = lo
	if ok && p.accept(",") {
		if hi, ok = p.integer(); !ok {
			hi, ok = -1, true
		}
	}
	if !ok || !p.accept("}") {
		p.pos = start
		return 0, 0, false
	}
	if hi >= 0 && hi < lo {
		p.fail("numbers out of order in {} quantifier")
	}
	return lo, hi, true
}

func (p *rxParser) integer() (int, bool) {
	start, n := p.pos, 0
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		n = min(n*10+int(c-'0'), 1<<30)
		p.pos++
	}
	return n, p.pos > start
}

func (p *rxParser) atom() *rx {
	c := p.peek()
	p.pos++
	switch c {
	case '^':
		return &rx{kind: rxStart}
	case '$':
		return &rx{kind: rxEnd}
	case '.':
		s := &charSet{}
		for _, u := range []uint16{'\n', '\r', 0x2028, 0x2029} {
			s.add(u, u)
		}
		return &rx{kind: rxSet, set: s.seal(true, false)}
	case '(':
		return p.group()
	case '[':
		return p.class()
	case '\\':
		return p.escape()
	case '*', '+', '?':
		p.fail("Nothing to repeat")
	case '{':
		p.pos--
		if _, _, ok := p.braces(); ok {
			p.fail("Nothing to repeat")
		}
		p.pos++
	}
	return p.unit(uint16(c))
}

func (p *rxParser) unit(u uint16) *rx {
	if p.fold {
		u = foldUnit(u)
	}
	return &rx{kind: rxUnit, unit: u}
}

func (p *rxParser) group() *rx {
	n := &rx{kind: rxGroup}
	switch {
	case p.accept("?:"):
	case p.accept("?="):
		n.kind = rxLook
	case p.accept("?!"):
		n.kind, n.not = rxLook, true
	case p.accept("?<="):
		n.kind, n.behind = rxLook, true
	case p.accept("?<!"):
		n.kind, n.not, n.behind = rxLook, true, true
	case p.accept("?<"):
		name := p.name()
		if _, ok := p.names[name]; ok {
			p.fail("Duplicate capture group name")
		}
		p.groups++
		n.group = p.groups
		p.names[name] = n.group
	case p.accept("?"):
		p.fail("Invalid group")
	default:
		p.groups++
		n.group = p.groups
	}
	n.sub = p.alternatives()
	if !p.accept(")") {
		p.fail("Unterminated group")
	}
	return n
}

func (p *rxParser) name() string {
	start := p.pos
	for c := p.peek(); c >= 0 && c != '>'; c = p.peek() {
		if c != '$' && c != '_' && !unicode.IsLetter(c) && !(p.pos > start && unicode.IsDigit(c)) {
			p.fail("Invalid capture group name")
		}
		p.pos++
	}
	name := string(p.text[start:p.pos])
	if name == "" || !p.accept(">") {
		p.fail("Invalid capture group name")
	}
	return name
}

func (p *rxParser) escape() *rx {
	c := p.peek()
	if c < 0 {
		p.fail("\\ at end of pattern")
	}
	switch {
	case c == 'b' || c == 'B':
		p.pos++
		return &rx{kind: rxWord, not: c == 'B'}
	case c == 'k' && p.named:
		p.pos++
		if !p.accept("<") {
			p.fail("Invalid named reference")
		}
		return &rx{kind: rxBack, name: p.name()}
	case c >= '1' && c <= '9':
		start := p.pos
		if n, _ := p.integer(); n <= p.total {
			return &rx{kind: rxBack, group: n}
		}
		p.pos = start
	}
	if s := p.classEscape(); s != nil {
		return &rx{kind: rxSet, set: s}
	}
	return p.unit(p.unitEscape())
}

// classEscape reads \d \w \s and their opposites.
func (p *rxParser) classEscape() *charSet {
	c := p.peek()
	s := &charSet{}
	switch c | 0x20 {
	case 'd':
		s.add('0', '9')
	case 'w':
		s.add('0', '9')
		s.add('A', 'Z')
		s.add('_', '_')
		s.add('a', 'z')
	case 's':
		for _, r := range [][2]uint16{{9, 13}, {32, 32}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}} {
			s.add(r[0], r[1])
		}
	default:
		return nil
	}
	if c != 'd' && c != 'D' && c != 'w' && c != 'W' && c != 's' && c != 'S' {
		return nil
	}
	p.pos++
	return s.seal(c < 'a', false)
}

// unitEscape reads an escape that stands for one unit.
func (p *rxParser) unitEscape() uint16 {
	c := p.peek()
	p.pos++
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'v':
		return '\v'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	case 'c':
		if l := p.peek(); l >= 'a' && l <= 'z' || l >= 'A' && l <= 'Z' {
			p.pos++
			return uint16(l & 31)
		}
		p.pos--
		return '\\'
	case 'x', 'u':
		n := 2
		if c == 'u' {
			n = 4
		}
		if p.pos+n <= len(p.text) {
			if u, err := strconv.ParseUint(string(p.text[p.pos:p.pos+n]), 16, 16); err == nil {
				p.pos += n
				return uint16(u)
			}
		}
	case '0', '1', '2', '3', '4', '5', '6', '7': // octal, as browsers have it
		n := uint16(c - '0')
		for i := 0; i < 2 && p.peek() >= '0' && p.peek() <= '7' && n*8 < 256; i++ {
			n = n*8 + uint16(p.peek()-'0')
			p.pos++
		}
		return n
	}
	return uint16(c)
}

func (p *rxParser) class() *rx {
	not := p.accept("^")
	s := &charSet{}
	for p.peek() != ']' {
		if p.peek() < 0 {
			p.fail("Unterminated character class")
		}
		lo, set := p.classAtom()
		if p.peek() != '-' || p.pos+1 < len(p.text) && p.text[p.pos+1] == ']' || p.pos+1 >= len(p.text) {
			p.addTo(s, lo, set)
			continue
		}
		p.pos++
		hi, set2 := p.classAtom()
		if set != nil || set2 != nil {
			p.addTo(s, lo, set)
			s.add('-', '-')
			p.addTo(s, hi, set2)
			continue
		}
		if hi < lo {
			p.fail("Range out of order in character class")
		}
		s.add(lo, hi)
	}
	p.pos++
	return &rx{kind: rxSet, set: s.seal(not, p.fold)}
}

func (p *rxParser) addTo(s *charSet, u uint16, set *charSet) {
	if set == nil {
		s.add(u, u)
		return
	}
	if !set.not {
		s.ranges = append(s.ranges, set.ranges...)
		return
	}
	next := 0
	for i := 0; i < len(set.ranges); i += 2 {
		if lo := int(set.ranges[i]); lo > next {
			s.add(uint16(next), uint16(lo-1))
		}
		next = int(set.ranges[i+1]) + 1
	}
	if next <= 0xFFFF {
		s.add(uint16(next), 0xFFFF)
	}
}

func (p *rxParser) classAtom() (uint16, *charSet) {
	c := p.peek()
	p.pos++
	if c != '\\' {
		return uint16(c), nil
	}
	if p.peek() == 'b' {
		p.pos++
		return '\b', nil
	}
	if p.peek() < 0 {
		p.fail("\\ at end of pattern")
	}
	if s := p.classEscape(); s != nil {
		return 0, s
	}
	return p.unitEscape(), nil
}

// rxCompiler writes the program of a regex.
type rxCompiler struct {
	re    *regex
	names map[string]int
	fail  func(string)
}

func (g *rxCompiler) emit(i instr) int {
	if len(g.re.prog) > maxProgram {
		g.fail("Regular expression too large")
	}
	g.re.prog = append(g.re.prog, i)
	return len(g.re.prog) - 1
}

func (g *rxCompiler) here() int { return len(g.re.prog) }

func (g *rxCompiler) node(n *rx, back bool) {
	switch n.kind {
	case rxSeq:
		for i := range n.list {
			if back {
				i = len(n.list) - 1 - i
			}
			g.node(n.list[i], back)
		}
	case rxAlt:
		var ends []int
		for i, x := range n.list {
			if i == len(n.list)-1 {
				g.node(x, back)
				break
			}
			split := g.emit(instr{op: opSplit})
			g.re.prog[split].x = g.here()
			g.node(x, back)
			ends = append(ends, g.emit(instr{op: opJump}))
			g.re.prog[split].y = g.here()
		}
		for _, e := range ends {
			g.re.prog[e].x = g.here()
		}
	case rxUnit:
		g.emit(instr{op: opChar, lo: n.unit, behind: back})
	case rxSet:
		g.emit(instr{op: opSet, set: n.set, behind: back})
	case rxRepeat:
		g.repeat(n, back)
	case rxGroup:
		if n.group == 0 {
			g.node(n.sub, back)
			return
		}
		a, b := 2*n.group, 2*n.group+1
		if back {
			a, b = b, a
		}
		g.emit(instr{op: opSave, x: a})
		g.node(n.sub, back)
		g.emit(instr{op: opSave, x: b})
	case rxBack:
		if n.name != "" {
			group, ok := g.names[n.name]
			if !ok {
				g.fail("Invalid named capture referenced")
			}
			n.group = group
		}
		g.emit(instr{op: opBack, x: n.group, behind: back})
	case rxStart:
		g.emit(instr{op: opStart})
	case rxEnd:
		g.emit(instr{op: opEnd})
	case rxWord:
		g.emit(instr{op: opWord, no: n.not})
	case rxLook:
		look := g.emit(instr{op: opLook, no: n.not})
		g.node(n.sub, n.behind)
		g.emit(instr{op: opMatch})
		g.re.prog[look].x = g.here()
	}
}

func (g *rxCompiler) repeat(n *rx, back bool) {
	if !back && (n.sub.kind == rxSet || n.sub.kind == rxUnit) {
		set := n.sub.set
		if set == nil {
			s := &charSet{}
			s.add(n.sub.unit, n.sub.unit)
			set = s.seal(false, g.re.fold)
		}
		g.emit(instr{op: opLoop, set: set, x: n.min, y: n.max, no: n.lazy})
		return
	}
	if n.min > 1000 || n.max > 1000 {
		g.fail("Regular expression too large")
	}
	once := func() {
		if n.to > n.from {
			g.emit(instr{op: opClear, x: 2 * n.from, y: 2 * n.to})
		}
		g.node(n.sub, back)
	}
	for range n.min {
		once()
	}
	split := func() int {
		s := g.emit(instr{op: opSplit, no: n.lazy})
		return s
	}
	finish := func(s, body, after int) {
		if n.lazy {
			body, after = after, body
		}
		g.re.prog[s].x, g.re.prog[s].y = body, after
	}
	mark := g.re.marks
	g.re.marks++
	if n.max < 0 {
		s := split()
		body := g.emit(instr{op: opMark, x: mark})
		once()
		g.emit(instr{op: opMoved, x: mark})
		g.emit(instr{op: opJump, x: s})
		finish(s, body, g.here())
		return
	}
	var splits, bodies []int
	for range n.max - n.min {
		splits = append(splits, split())
		bodies = append(bodies, g.emit(instr{op: opMark, x: mark}))
		once()
		g.emit(instr{op: opMoved, x: mark})
	}
	for i, s := range splits {
		finish(s, bodies[i], g.here())
	}
}

// matcher runs a regex on a subject.
type matcher struct {
	c     *run
	re    *regex
	in    []uint16
	caps  []int
	marks []int
	stack []choice
}

// choice is what to do when a branch fails: go on at pc, or first put back a
// register.
type choice struct {
	pc, pos int // pc < 0: put pos back into capture ^pc, or mark ^pc-len(caps)
	more    int // a loop that may give back units: the least position (greedy), or how many more it may take (lazy)
	loop    bool
}

func (re *regex) matcher(c *run, in []uint16) *matcher {
	return &matcher{c: c, re: re, in: in, caps: make([]int, 2*re.groups+2), marks: make([]int, re.marks)}
}

// find looks for the first match that starts at from or later.
func (m *matcher) find(from int) bool {
	for at := from; at <= len(m.in); at++ {
		m.c.step(1)
		for i := range m.caps {
			m.caps[i] = -1
		}
		if first := m.re.prog[1]; first.op == opChar && !m.re.fold { // skip to where it can start
			for at < len(m.in) && m.in[at] != first.lo {
				at++
			}
			m.c.step((at - from) / 16)
		}
		m.stack = m.stack[:0]
		if m.run(1, at, 0) >= 0 {
			m.caps[0] = at
			return true
		}
	}
	return false
}

func (m *matcher) push(ch choice) {
	if len(m.stack) == cap(m.stack) {
		m.c.alloc(len(m.stack)*48 + 256)
	}
	m.stack = append(m.stack, ch)
}

func (m *matcher) set(slot, pos int) {
	m.push(choice{pc: ^slot, pos: m.caps[slot]})
	m.caps[slot] = pos
}

func (m *matcher) unit(pos int) uint16 {
	if m.re.fold {
		return foldUnit(m.in[pos])
	}
	return m.in[pos]
}

// run executes the program from pc on and returns the position at which it
// matched, or -1. Choices below base belong to someone else.
func (m *matcher) run(pc, pos, depth int) int {
	base := len(m.stack)
	steps := 0
	for {
		if steps++; steps&63 == 0 {
			m.c.step(64)
		}
		i := &m.re.prog[pc]
		ok := true
		switch i.op {
		case opChar:
			if i.behind {
				if ok = pos > 0 && m.unit(pos-1) == i.lo; ok {
					pos--
				}
			} else if ok = pos < len(m.in) && m.unit(pos) == i.lo; ok {
				pos++
			}
		case opSet:
			if i.behind {
				if ok = pos > 0 && i.set.has(m.in[pos-1]); ok {
					pos--
				}
			} else if ok = pos < len(m.in) && i.set.has(m.in[pos]); ok {
				pos++
			}
		case opSplit:
			m.push(choice{pc: i.y, pos: pos})
			pc = i.x
			continue
		case opJump:
			pc = i.x
			continue
		case opSave:
			m.set(i.x, pos)
			if i.x == 1 {
				m.caps[1] = pos
			}
		case opClear:
			for slot := i.x; slot < i.y; slot++ {
				if m.caps[slot] >= 0 {
					m.set(slot, -1)
				}
			}
		case opMark:
			m.push(choice{pc: ^(i.x + len(m.caps)), pos: m.marks[i.x]})
			m.marks[i.x] = pos
		case opMoved:
			ok = m.marks[i.x] != pos
		case opStart:
			ok = pos == 0 || m.re.lines && isLineEnd(m.in[pos-1])
		case opEnd:
			ok = pos == len(m.in) || m.re.lines && isLineEnd(m.in[pos])
		case opWord:
			before := pos > 0 && isWordUnit(m.in[pos-1])
			after := pos < len(m.in) && isWordUnit(m.in[pos])
			ok = (before != after) != i.no
		case opBack:
			pos, ok = m.back(i, pos)
		case opLook:
			if depth > 200 {
				m.c.stackOverflow()
			}
			kept := len(m.stack)
			found := m.run(pc+1, pos, depth+1) >= 0
			if i.no && found {
				m.undo(kept)
			}
			if found && !i.no { // its captures stay, its choices do not
				out := m.stack[:kept]
				for _, ch := range m.stack[kept:] {
					if ch.pc < 0 {
						out = append(out, ch)
					}
				}
				m.stack = out
			}
			if ok = found != i.no; ok {
				pc = i.x
				continue
			}
		case opLoop:
			pos, ok = m.loop(i, pc, pos)
		case opMatch:
			m.c.step(steps & 63)
			return pos
		}
		if ok {
			pc++
			continue
		}
		if pc, pos = m.retreat(base); pc < 0 {
			m.c.step(steps & 63)
			return -1
		}
	}
}

// loop takes units of a set: as many as there are, leaving the choice to give
// some back, or as few as possible, leaving the choice to take more.
func (m *matcher) loop(i *instr, pc, pos int) (int, bool) {
	most := len(m.in) - pos
	if i.y >= 0 {
		most = min(most, i.y)
	}
	want := most
	if i.no {
		want = min(most, i.x)
	}
	n := 0
	for n < want && i.set.has(m.in[pos+n]) {
		n++
	}
	m.c.step(n / 4)
	if n < i.x {
		return pos, false
	}
	switch {
	case i.no && n < most:
		m.push(choice{pc: pc, pos: pos + n, more: most - n, loop: true})
	case !i.no && n > i.x:
		m.push(choice{pc: pc, pos: pos + n, more: pos + i.x, loop: true})
	}
	return pos + n, true
}

// retreat goes back to the last choice.
func (m *matcher) retreat(base int) (pc, pos int) {
	for len(m.stack) > base {
		top := &m.stack[len(m.stack)-1]
		switch {
		case top.pc < 0:
			m.restore(*top)
			m.stack = m.stack[:len(m.stack)-1]
		case !top.loop:
			pc, pos = top.pc, top.pos
			m.stack = m.stack[:len(m.stack)-1]
			return pc, pos
		case m.re.prog[top.pc].no: // lazy: one more
			pc, pos = top.pc+1, top.pos+1
			if !m.re.prog[top.pc].set.has(m.in[top.pos]) {
				m.stack = m.stack[:len(m.stack)-1]
				continue
			}
			top.pos++
			if top.more--; top.more == 0 {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos
		default: // greedy: one less
			top.pos--
			pc, pos = top.pc+1, top.pos
			if top.pos == top.more {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos
		}
	}
	return -1, 0
}

func (m *matcher) restore(ch choice) {
	if slot := ^ch.pc; slot < len(m.caps) {
		m.caps[slot] = ch.pos
	} else {
		m.marks[slot-len(m.caps)] = ch.pos
	}
}

func (m *matcher) undo(to int) {
	for len(m.stack) > to {
		if top := m.stack[len(m.stack)-1]; top.pc < 0 {
			m.restore(top)
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
}

func (m *matcher) back(i *instr, pos int) (int, bool) {
	from, to := m.caps[2*i.x], m.caps[2*i.x+1]
	if from < 0 || to < 0 {
		return pos, true
	}
	n := to - from
	m.c.step(n / 4)
	at := pos
	if i.behind {
		at = pos - n
	}
	if at < 0 || at+n > len(m.in) {
		return pos, false
	}
	for k := range n {
		if m.unit(from+k) != m.unit(at+k) {
			return pos, false
		}
	}
	if i.behind {
		return at, true
	}
	return at + n, true
}

// units are the 16-bit units of a string that is to be searched.
func (c *run) units(s string) []uint16 {
	c.step(len(s) / 8)
	c.alloc(2 * len(s))
	out := make([]uint16, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] < 0x80 {
			out = append(out, uint16(s[i]))
			i++
			continue
		}
		r, n := decode(s[i:])
		i += n
		if r >= 0x10000 {
			out = append(out, uint16(0xD800+(r-0x10000)>>10), uint16(0xDC00+(r-0x10000)&0x3FF))
			continue
		}
		out = append(out, uint16(r))
	}
	return out
}

// fromUnits is the string of these units.
func (c *run) fromUnits(u []uint16) string {
	c.alloc(len(u))
	out := make([]byte, 0, len(u))
	for i := 0; i < len(u); i++ {
		r := rune(u[i])
		if r >= 0xD800 && r < 0xDC00 && i+1 < len(u) && u[i+1] >= 0xDC00 && u[i+1] < 0xE000 {
			r = (r-0xD800)<<10 + rune(u[i+1]) - 0xDC00 + 0x10000
			i++
		}
		out = appendRune(out, r)
	}
	return string(out)
}

// function is the regex as a function of a string: its first match, with a
// function for the next one.
func (re *regex) function() *function {
	return &function{arity: 2, params: 2, re: re, script: true, native: func(c *run, args []item, _ item) item {
		subject := arg(args, 0)
		if !subject.isString() {
			subject = str(jsText(c, subject))
		}
		in := c.units(subject.str())
		from := 0
		if f := arg(args, 1).float(); f > 0 {
			from = int(min(f, 1<<30))
		}
		return re.matchItem(c, in, from)
	}}
}

// jsText is what JavaScript makes of a value where it wants a string.
func jsText(c *run, a item) string {
	switch a.typ() {
	case tUndefined:
		return "undefined"
	case tNull:
		return "null"
	case tObject:
		return "[object Object]"
	case tNumber:
		return numberText(a.float())
	case tArray:
		s := ""
		for i := range a.len() {
			if i > 0 {
				s += ","
			}
			if x := a.at(i); x.typ() != tNull && !x.isUndefined() {
				s = concat(c, s, jsText(c, x))
			}
		}
		return s
	case tBool:
		return strconv.FormatBool(a.v.Bool())
	}
	return a.str()
}

func (re *regex) matchItem(c *run, in []uint16, from int) item {
	m := re.matcher(c, in)
	if from > len(in) || !m.find(from) {
		return undefined
	}
	start, end := m.caps[0], m.caps[1]
	o := newMembers(5)
	o.add(c, "match", str(c.fromUnits(in[start:end])))
	o.add(c, "start", integer(start))
	o.add(c, "end", integer(end))
	o.add(c, "groups", m.groups())
	o.add(c, "next", functionItem(&function{script: true, native: func(c *run, _ []item, _ item) item {
		if end >= len(in) {
			return undefined
		}
		next := re.matchItem(c, in, end)
		if !next.isUndefined() && next.get("match").str() == "" {
			fail("D1004").withValue(str("")).raise()
		}
		return next
	}}))
	return o.object()
}

// groups are the captures of the match, undefined where a group took no part.
func (m *matcher) groups() item {
	var l list
	for g := 1; g <= m.re.groups; g++ {
		from, to := m.caps[2*g], m.caps[2*g+1]
		if from < 0 || to < 0 {
			l.push(m.c, undefined)
			continue
		}
		l.push(m.c, str(m.c.fromUnits(m.in[from:to])))
	}
	return l.array(0)
}
