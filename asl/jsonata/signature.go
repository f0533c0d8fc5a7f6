package jsonata

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// signature says which arguments a function takes: a letter per parameter for
// its type (see letterOf), with ? for one that may be left out, + for one that
// takes several, and - for one that defaults to the context value.
type signature struct {
	text   string
	params []param
}

type param struct {
	accepts  string // letters of the types that match
	letters  uint32 // the same as bits, a's the lowest
	kind     byte   // its letter, ( for a choice
	optional bool
	several  bool
	context  bool
	sub      string // a<sub>: the type of the items
}

// letterOf is the letter of a value's type in signatures.
func letterOf(a item) byte {
	switch a.typ() {
	case tNull:
		return 'l'
	case tBool:
		return 'b'
	case tNumber:
		return 'n'
	case tString:
		return 's'
	case tArray:
		return 'a'
	case tObject:
		return 'o'
	case tFunction:
		return 'f'
	}
	return 'm'
}

// parseSignature reads <…>; pos is where it starts in the expression.
func parseSignature(text string, pos int) *signature {
	s := &signature{text: text}
	for i := 1; i < len(text) && text[i] != ':'; i++ {
		p := param{kind: text[i]}
		var prev *param
		if len(s.params) > 0 {
			prev = &s.params[len(s.params)-1]
		}
		switch c := text[i]; c {
		case 's', 'n', 'b', 'l', 'o':
			p.accepts = string(c) + "m"
		case 'a', 'x':
			p.accepts = "asnblfom"
		case 'f':
			p.accepts = "f"
		case 'j':
			p.accepts = "asnblom"
		case '(':
			end := closing(text, i, '(', ')')
			if strings.Contains(text[i:end], "<") {
				fail("S0402").at(pos + i).withValue(str(text[i+1 : end])).raise()
			}
			p.accepts = text[i+1:end] + "m"
			i = end
		case '-', '?', '+':
			if prev != nil {
				prev.context = prev.context || c == '-'
				prev.optional = prev.optional || c != '+'
				prev.several = prev.several || c == '+'
			}
			continue
		case '<':
			end := closing(text, i, '<', '>')
			if prev == nil || prev.kind != 'a' && prev.kind != 'f' {
				f := fail("S0401").at(pos + i)
				if prev != nil {
					f.withValue(str(string(prev.kind)))
				}
				f.raise()
			}
			prev.sub = text[i+1 : end]
			i = end
			continue
		default:
			continue
		}
		for i := range len(p.accepts) {
			if l := p.accepts[i]; 'a' <= l && l <= 'z' {
				p.letters |= 1 << (l - 'a')
			}
		}
		s.params = append(s.params, p)
	}
	return s
}

// closing finds the bracket that closes the one at i.
func closing(text string, i int, open, end byte) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case open:
			depth++
		case end:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text) - 1
}

// check returns the arguments as the function gets them: the context value
// filled in, single values made arrays. It fails where they do not match.
func (s *signature) check(c *run, args []item, context item) []item {
	if s.fits(c, args) {
		return args
	}
	letters := make([]byte, len(args))
	for i, a := range args {
		letters[i] = letterOf(a)
	}
	counts := make([]int, len(s.params))
	if !s.match(letters, 0, 0, counts, true, len(s.params)) {
		s.mismatch(letters, args)
	}
	return s.fill(c, args, letters, counts, context)
}

// fits reports whether the arguments can stay as they are: one for each
// parameter, but for optional ones at the end.
func (s *signature) fits(c *run, args []item) bool {
	if len(args) > len(s.params) {
		return false
	}
	for i := range s.params {
		p := &s.params[i]
		if p.several || i >= len(args) && (p.context || !p.optional) {
			return false
		}
		if i >= len(args) {
			continue
		}
		letter := letterOf(args[i])
		if p.letters>>(letter-'a')&1 == 0 {
			return false
		}
		if p.kind == 'a' && letter != 'm' && (letter != 'a' || p.sub != "" && !p.holds(c, args[i], letter, 1)) {
			return false
		}
	}
	return true
}

// match assigns letters[at:] to the parameters from i up to n, greedily with
// backtracking, and returns where it got to, or -1. With all, no letter may be
// left.
func (s *signature) match(letters []byte, at, i int, counts []int, all bool, n int) bool {
	return s.matchTo(letters, at, i, counts, all, n) >= 0
}

func (s *signature) matchTo(letters []byte, at, i int, counts []int, all bool, n int) int {
	if i == n {
		if all && at < len(letters) {
			return -1
		}
		return at
	}
	p := &s.params[i]
	most := 0
	for at+most < len(letters) && (p.several || most < 1) && strings.IndexByte(p.accepts, letters[at+most]) >= 0 {
		most++
	}
	least := 1
	if p.optional {
		least = 0
	}
	for k := most; k >= least; k-- {
		counts[i] = k
		if to := s.matchTo(letters, at+k, i+1, counts, all, n); to >= 0 {
			return to
		}
	}
	return -1
}

// mismatch reports the first argument that does not fit.
func (s *signature) mismatch(letters []byte, args []item) {
	good := 0
	counts := make([]int, len(s.params))
	for n := 1; n <= len(s.params); n++ {
		to := s.matchTo(letters, 0, 0, counts, false, n)
		if to < 0 {
			break
		}
		good = to
	}
	f := fail("T0410").withIndex(good + 1)
	if good < len(args) {
		f.withValue(args[good])
	}
	f.raise()
}

// elements are what messages call arrays of a type.
var elements = map[string]string{"a": "arrays", "b": "booleans", "f": "functions", "n": "numbers", "o": "objects", "s": "strings"}

func (s *signature) fill(c *run, args []item, letters []byte, counts []int, context item) []item {
	filled := make([]item, 0, len(s.params))
	at := 0
	for i := range s.params {
		p := &s.params[i]
		if counts[i] == 0 {
			switch {
			case p.context && strings.IndexByte(p.accepts, letterOf(context)) >= 0:
				filled = append(filled, context)
			case p.context:
				fail("T0411").withIndex(at + 1).withValue(context).raise()
			default:
				if at < len(args) {
					filled = append(filled, args[at])
				} else {
					filled = append(filled, undefined)
				}
				at++
			}
			continue
		}
		for range counts[i] {
			a := args[at]
			if p.kind == 'a' && letters[at] != 'm' {
				if p.sub != "" && !p.holds(c, a, letters[at], counts[i]) {
					f := fail("T0412").withIndex(at + 1).withValue(a)
					f.kind = elements[p.sub]
					f.raise()
				}
				if letters[at] != 'a' {
					a = plain(value.ArrayOf([]value.Value{a.v}))
					if args[at].x != nil {
						a = item{v: value.EmptyArray, x: &extra{kind: ofItems, items: []item{args[at]}}}
					}
				}
			}
			filled = append(filled, a)
			at++
		}
	}
	return filled
}

// holds reports whether a is an array of what the parameter wants, or one such
// value.
func (p *param) holds(c *run, a item, letter byte, count int) bool {
	if letter != 'a' {
		return count == 1 && string(letter) == p.sub
	}
	n := a.len()
	c.step(n / 4)
	for i := range n {
		if letterOf(a.at(i)) != p.sub[0] {
			return false
		}
	}
	return true
}

// accepts says whether check would.
func (s *signature) accepts(c *run, args []item, context item) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, isFault := r.(*fault); !isFault {
				panic(r)
			}
			ok = false
		}
	}()
	s.check(c, args, context)
	return true
}
