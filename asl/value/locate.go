package value

import (
	"strconv"
	"strings"
)

// Locate returns the line and column, from 1, of what a JSON pointer (RFC 6901)
// leads to in text: of its key for a member of an object, of the value itself
// for an item of an array and for the whole text, "". Where a key occurs twice
// it is the last, whose value counts. It reads the text on every call, so it is
// meant for messages; ok is false where nothing is there or text is not JSON.
func Locate(text, pointer string) (line, column int, ok bool) {
	if pointer != "" && pointer[0] != '/' {
		return 0, 0, false
	}
	p := Options{}.parser(text)
	p.peek()
	at := p.pos
	for token := range tokens(pointer) {
		if at, ok = p.child(token); !ok {
			return 0, 0, false
		}
	}
	if !p.skip() {
		return 0, 0, false
	}
	line, column = position(text, at)
	return line, column, true
}

// tokens goes through the unescaped steps of a pointer.
func tokens(pointer string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for pointer != "" && pointer[0] == '/' {
			token, rest, more := strings.Cut(pointer[1:], "/")
			if !yield(unescapeToken.Replace(token)) || !more {
				return
			}
			pointer = "/" + rest
		}
	}
}

var unescapeToken = strings.NewReplacer("~1", "/", "~0", "~")

// child moves from the value at pos to its child and returns where that is
// shown: at its key or at itself.
func (p *parser) child(token string) (at int, ok bool) {
	switch p.peek() {
	case '{':
		return p.member(token)
	case '[':
		return p.item(token)
	}
	return 0, false
}

func (p *parser) member(name string) (at int, ok bool) {
	value, found := 0, false
	p.pos++
	for more := p.peek() != '}'; more; {
		p.peek()
		start := p.pos
		key, ok := p.key()
		if !ok {
			return 0, false
		}
		p.peek()
		if key == name {
			at, value, found = start, p.pos, true
		}
		if !p.skip() {
			return 0, false
		}
		if more, ok = p.more('}'); !ok {
			return 0, false
		}
	}
	p.pos = value
	return at, found
}

func (p *parser) item(token string) (at int, ok bool) {
	index, err := strconv.Atoi(token)
	if err != nil || index < 0 || strconv.Itoa(index) != token {
		return 0, false
	}
	p.pos++
	if p.peek() == ']' {
		return 0, false
	}
	for range index {
		if !p.skip() {
			return 0, false
		}
		if more, ok := p.more(']'); !more || !ok {
			return 0, false
		}
	}
	p.peek()
	return p.pos, true
}
