package value

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Append appends v as compact JSON. Numbers are written with the text they came
// with, computed ones as JavaScript does; strings are escaped only where JSON
// demands it. Absent is written as null.
func (v Value) Append(dst []byte) []byte {
	switch v.Kind() {
	case Bool:
		if v.n == 1 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case Number:
		if v.m() > 0 {
			return append(dst, v.text()...)
		}
		return appendFloat(dst, math.Float64frombits(v.n))
	case String:
		if v.meta&plain != 0 {
			dst = append(dst, '"')
			dst = append(dst, v.Str()...)
			return append(dst, '"')
		}
		return AppendString(dst, v.Str())
	case Array:
		return appendArray(dst, v.items())
	case Object:
		return appendObject(dst, v.members())
	}
	return append(dst, "null"...)
}

func appendArray(dst []byte, items []Value) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = items[i].Append(dst)
	}
	return append(dst, ']')
}

func appendObject(dst []byte, members []Member) []byte {
	dst = append(dst, '{')
	for i := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, members[i].Key)
		dst = append(dst, ':')
		dst = members[i].Value.Append(dst)
	}
	return append(dst, '}')
}

// JSON returns v as compact JSON, like Append.
func (v Value) JSON() string {
	var buf [256]byte
	return string(v.Append(buf[:0]))
}

// String returns v as JSON, for messages and tests; Absent is "absent".
func (v Value) String() string {
	if v.IsAbsent() {
		return "absent"
	}
	return v.JSON()
}

// safe marks the ASCII bytes that stand for themselves in a JSON string.
var safe = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string literal. Control characters become
// \n \t \b \f \r or \u00XX, bytes that are not UTF-8 become U+FFFD, and nothing
// else but " and \ is escaped.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if safe[c] {
			continue
		}
		if c >= utf8.RuneSelf {
			if !utf8.ValidString(s[i:]) {
				s = s[:i] + strings.ToValidUTF8(s[i:], "\uFFFD")
			}
			n := multibyte(s[i:])
			i += n - 1
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// multibyte returns how many bytes at the start of s are not ASCII.
func multibyte(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] < utf8.RuneSelf {
			return i
		}
	}
	return len(s)
}

// short holds the letters of the two-byte escapes.
var short = [256]byte{'"': '"', '\\': '\\', '\n': 'n', '\t': 't', '\b': 'b', '\f': 'f', '\r': 'r'}

func appendEscape(dst []byte, c byte) []byte {
	if short[c] != 0 {
		return append(dst, '\\', short[c])
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// Size returns len(v.JSON()) without building it.
func (v Value) Size() int {
	switch v.Kind() {
	case Bool:
		if v.n == 1 {
			return len("true")
		}
		return len("false")
	case Number:
		if v.m() > 0 {
			return v.m()
		}
		var buf [32]byte
		return len(appendFloat(buf[:0], math.Float64frombits(v.n)))
	case String:
		if v.meta&plain != 0 {
			return int(v.n) + 2
		}
		return sizeOfString(v.Str())
	case Array:
		n := max(2, 1+int(v.n))
		for _, item := range v.items() {
			n += item.Size()
		}
		return n
	case Object:
		n := max(2, 1+2*int(v.n))
		for _, m := range v.members() {
			n += sizeOfString(m.Key) + m.Value.Size()
		}
		return n
	}
	return len("null")
}

func sizeOfString(s string) int {
	n, ascii := 2, true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case safe[c]:
			n++
		case c >= utf8.RuneSelf:
			n++
			ascii = false
		case short[c] != 0:
			n += 2
		default:
			n += 6
		}
	}
	if !ascii && !utf8.ValidString(s) {
		return sizeOfString(strings.ToValidUTF8(s, "\uFFFD"))
	}
	return n
}
