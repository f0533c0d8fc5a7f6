package awsapi

import (
	"math/rand/v2"
	"strconv"

	"github.com/lockstep-run/lockstep/asl/value"
)

// object writes one JSON object onto a buffer, member by member. Members are
// written in the order they are added; end closes it.
type object struct {
	buf  []byte
	some bool
}

func newObject(out []byte) object { return object{buf: append(out, '{')} }

func (o *object) key(name string) {
	if o.some {
		o.buf = append(o.buf, ',')
	}
	o.some = true
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...) // names are ours: nothing to escape
	o.buf = append(o.buf, '"', ':')
}

func (o *object) text(name, s string) {
	o.key(name)
	o.buf = value.AppendString(o.buf, s)
}

// textIf writes s unless it is empty.
func (o *object) textIf(name, s string) {
	if s != "" {
		o.text(name, s)
	}
}

// optional writes *s if there is one.
func (o *object) optional(name string, s *string) {
	if s != nil {
		o.text(name, *s)
	}
}

func (o *object) number(name string, n int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, n, 10)
}

// numberIf writes n unless it is 0.
func (o *object) numberIf(name string, n int64) {
	if n != 0 {
		o.number(name, n)
	}
}

func (o *object) flag(name string, b bool) {
	o.key(name)
	o.buf = strconv.AppendBool(o.buf, b)
}

// raw writes JSON text.
func (o *object) raw(name, json string) {
	o.key(name)
	o.buf = append(o.buf, json...)
}

// time writes Unix milliseconds as the API gives times: seconds, as a number,
// with the milliseconds behind the point.
func (o *object) time(name string, millis int64) {
	o.key(name)
	o.buf = appendTime(o.buf, millis)
}

// timeIf writes a time unless it is 0.
func (o *object) timeIf(name string, millis int64) {
	if millis != 0 {
		o.time(name, millis)
	}
}

// open begins an object as a member; close ends it.
func (o *object) open(name string) {
	o.key(name)
	o.buf = append(o.buf, '{')
	o.some = false
}

func (o *object) close() {
	o.buf = append(o.buf, '}')
	o.some = true
}

// list begins an array as a member. item begins each of its objects, which
// close ends; endList ends it.
func (o *object) list(name string) {
	o.key(name)
	o.buf = append(o.buf, '[')
	o.some = false
}

func (o *object) item() {
	if o.some {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '{')
	o.some = false
}

func (o *object) endList() {
	o.buf = append(o.buf, ']')
	o.some = true
}

func (o *object) end() []byte { return append(o.buf, '}') }

// appendTime appends Unix milliseconds as seconds: 1690000000.123, exactly.
func appendTime(out []byte, millis int64) []byte {
	if millis < 0 {
		out = append(out, '-')
		millis = -millis
	}
	out = strconv.AppendInt(out, millis/1000, 10)
	ms := millis % 1000
	return append(out, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// newUUID makes a random UUID. It names things; it keeps no secret.
func newUUID() string {
	const hex = "0123456789abcdef"
	hi, lo := rand.Uint64(), rand.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0xc0<<56) | 0x80<<56
	var text [36]byte
	for i, at := 0, 0; i < 32; i++ {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			text[at] = '-'
			at++
		}
		word := hi
		if i >= 16 {
			word = lo
		}
		text[at] = hex[word>>(60-4*(i%16))&15]
		at++
	}
	return string(text[:])
}

// strings writes a list of texts. The name is not ours.
func (o *object) strings(name string, list []string) {
	if o.some {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(value.AppendString(o.buf, name), ':', '[')
	for i, s := range list {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = value.AppendString(o.buf, s)
	}
	o.buf = append(o.buf, ']')
	o.some = true
}
