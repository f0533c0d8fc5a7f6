package asl

import (
	"strconv"
	"strings"
)

// place is where something stands in a definition. It is a list from the inside
// out, so that a text is made only for what is reported. nil is the whole
// definition.
type place struct {
	up    *place
	name  string
	index int // in an array; -1 for a member called name
}

func (p *place) key(name string) *place { return &place{up: p, name: name, index: -1} }
func (p *place) item(i int) *place      { return &place{up: p, index: i} }

// location is how AWS writes a place: /States/X/Choices[0]/Next, and / for the
// definition itself. Names are not escaped.
func (p *place) location() string {
	p = p.bounded()
	if p == nil {
		return "/"
	}
	var b strings.Builder
	p.writeLocation(&b)
	return b.String()
}

func (p *place) writeLocation(b *strings.Builder) {
	if p == nil {
		return
	}
	p.up.writeLocation(b)
	if p.index >= 0 {
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(p.index))
		b.WriteByte(']')
		return
	}
	b.WriteByte('/')
	b.WriteString(shorten(p.name))
}

// maxPointer bounds a pointer or location, in bytes. What stands deeper, behind names longer
// than any that are valid, is pointed at from further out.
const maxPointer = 16 << 10

// pointer is the place as a JSON pointer (RFC 6901): /States/X/Choices/0/Next,
// and "" for the definition itself.
func (p *place) pointer() string {
	var b strings.Builder
	p.bounded().writePointer(&b)
	return b.String()
}

func (p *place) writePointer(b *strings.Builder) {
	if p == nil {
		return
	}
	p.up.writePointer(b)
	b.WriteByte('/')
	if p.index >= 0 {
		b.WriteString(strconv.Itoa(p.index))
		return
	}
	escapeToken.WriteString(b, p.name)
}

// bounded is p, or what of it can be written with maxPointer bytes.
func (p *place) bounded() *place {
	excess := p.steps() - maxPointer
	for ; p != nil && excess > 0; p = p.up {
		excess -= 1 + len(p.name)
	}
	return p
}

// steps is the length that the pointer has at least.
func (p *place) steps() int {
	n := 0
	for ; p != nil; p = p.up {
		n += 1 + len(p.name)
	}
	return n
}

var escapeToken = strings.NewReplacer("~", "~0", "/", "~1")

// within is the place that pointer, a JSON pointer from p on, leads to. Tokens
// that are numbers are taken for names, which makes no difference to pointers.
func (p *place) within(pointer string) *place {
	for pointer != "" && pointer[0] == '/' {
		token, rest, more := strings.Cut(pointer[1:], "/")
		p = p.key(unescapeToken.Replace(token))
		if !more {
			break
		}
		pointer = "/" + rest
	}
	return p
}

var unescapeToken = strings.NewReplacer("~1", "/", "~0", "~")

// shown is how much of a text from the definition a message repeats. State names
// may have 80 characters of up to four bytes.
const shown = 400

// shorten keeps a text from the definition from filling a message.
func shorten(s string) string {
	if len(s) <= shown {
		return s
	}
	return strings.ToValidUTF8(s[:shown], "") + "…"
}
