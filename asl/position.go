package asl

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// locate fills in the line and column of every diagnostic, by one walk over the
// text, which is valid JSON.
func locate(text string, lists ...Diagnostics) {
	root := &wanted{}
	for _, list := range lists {
		for i := range list {
			root.want(list[i].Pointer, &list[i])
		}
	}
	if root.children == nil && root.diagnostics == nil {
		return
	}
	w := walker{text: text, line: 1, column: 1}
	w.space()
	w.mark(root)
	w.value(root)
}

// wanted is a tree of the pointers that somebody wants the position of.
type wanted struct {
	children    map[string]*wanted
	diagnostics []*Diagnostic
}

func (n *wanted) want(pointer string, d *Diagnostic) {
	for pointer != "" {
		token, _, _ := strings.Cut(pointer[1:], "/")
		pointer = pointer[1+len(token):]
		token = unescapeToken.Replace(token)
		child := n.children[token]
		if child == nil {
			child = &wanted{}
			if n.children == nil {
				n.children = map[string]*wanted{}
			}
			n.children[token] = child
		}
		n = child
	}
	n.diagnostics = append(n.diagnostics, d)
}

// walker goes over a valid JSON text and counts lines and columns only up to
// what is wanted.
type walker struct {
	text         string
	pos          int
	counted      int // line and column are those of this offset
	line, column int
}

func (w *walker) mark(n *wanted) {
	if len(n.diagnostics) == 0 {
		return
	}
	for w.counted < w.pos {
		r, size := utf8.DecodeRuneInString(w.text[w.counted:])
		w.counted += size
		w.column++
		if r == '\n' {
			w.line, w.column = w.line+1, 1
		}
	}
	for _, d := range n.diagnostics {
		d.Line, d.Column = w.line, w.column
	}
}

func (w *walker) space() {
	for w.pos < len(w.text) && w.text[w.pos] <= ' ' {
		w.pos++
	}
}

// value walks the value at pos; n says what is wanted inside, nil for nothing.
func (w *walker) value(n *wanted) {
	if n == nil || n.children == nil {
		w.skip()
		return
	}
	switch w.text[w.pos] {
	case '{':
		w.each('}', func(int) {
			start := w.pos
			child := n.children[w.string()]
			if child != nil {
				end := w.pos
				w.pos = start
				w.mark(child)
				w.pos = end
			}
			w.space()
			w.pos++ // the colon
			w.space()
			w.value(child)
		})
	case '[':
		w.each(']', func(i int) {
			child := n.children[strconv.Itoa(i)]
			if child != nil {
				w.mark(child)
			}
			w.value(child)
		})
	default:
		w.skip()
	}
}

// each calls f at every element between brackets.
func (w *walker) each(end byte, f func(i int)) {
	w.pos++
	w.space()
	for i := 0; w.text[w.pos] != end; i++ {
		f(i)
		w.space()
		if w.text[w.pos] == ',' {
			w.pos++
			w.space()
		}
	}
	w.pos++
}

// string reads the string at pos.
func (w *walker) string() string {
	start := w.pos
	w.skipString()
	raw := w.text[start:w.pos]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	v, err := value.Parse(raw)
	if err != nil {
		return ""
	}
	return v.Str()
}

func (w *walker) skipString() {
	for w.pos++; w.text[w.pos] != '"'; w.pos++ {
		if w.text[w.pos] == '\\' {
			w.pos++
		}
	}
	w.pos++
}

// skip goes past the value at pos.
func (w *walker) skip() {
	depth := 0
	for w.pos < len(w.text) {
		switch c := w.text[w.pos]; {
		case c == '"':
			w.skipString()
		case c == '{' || c == '[':
			depth++
			w.pos++
		case c == '}' || c == ']':
			if depth == 0 {
				return // a number or word that ended here
			}
			depth--
			w.pos++
		case depth == 0 && (c == ',' || c <= ' '):
			return
		default:
			w.pos++
			continue
		}
		if depth == 0 {
			return
		}
	}
}
