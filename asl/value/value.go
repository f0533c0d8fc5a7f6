// Package value holds the JSON value that the whole of Lockstep passes around.
//
// A Value is ordered (object members keep the order they were written in, as
// AWS does), immutable (every change makes a new value that shares what did not
// change) and small: 24 bytes, without a pointer per number or string. It is
// safe to read from many goroutines.
//
// Numbers remember the text they came with, so that 1.0 and 1e3 leave as they
// entered; only numbers that were computed are formatted, as JavaScript does.
package value

import (
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"strconv"
	"unsafe"
)

// Kind says which of the JSON types a Value has.
type Kind uint8

// The kinds. Absent is the kind of the zero Value: nothing at all, as opposed
// to a JSON null.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"absent", "null", "boolean", "number", "string", "array", "object"}

// String names the kind in lower case: absent, null, boolean, number, string,
// array, object.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Value is an immutable JSON value. The zero Value is Absent.
//
// What p, n and m hold depends on the kind:
//
//	Bool    n is 0 or 1
//	Number  p and m are the text, if it came with one; n are the bits of the
//	        float64, unless the flag unparsed says that only the text is known
//	String  p and n are the data and length
//	Array   p and n are the first item and the number of items
//	Object  p and n are the first member and the number of members, or, with
//	        the flag indexed, p is a *table
//
// Values are compared with Equal; the empty array of funcs makes == an error.
//
// Four fields are as many as the compiler keeps in registers; that is why the
// kind, the flags and m share one.
type Value struct {
	_    [0]func()
	p    unsafe.Pointer
	n    uint64
	meta uint64 // the kind in the low byte, flags in the next, m in the upper half
}

const (
	unparsed uint64 = 1 << (iota + 8) // Number: n is not set
	indexed                           // Object: p is a *table
	plain                             // String: needs no escape when written as JSON
)

// Member is one key and value of an object.
type Member struct {
	Key   string
	Value Value
}

// The values that need no making.
var (
	NullValue   = Value{meta: uint64(Null)}
	True        = Value{meta: uint64(Bool), n: 1}
	False       = Value{meta: uint64(Bool)}
	EmptyObject = Value{meta: uint64(Object)}
	EmptyArray  = Value{meta: uint64(Array)}
)

// BoolOf returns True or False.
func BoolOf(b bool) Value {
	if b {
		return True
	}
	return False
}

// maxSafe is the largest integer up to which every integer has a float64.
const maxSafe = 1 << 53

// Int returns an exact integer.
func Int(i int64) Value {
	if -maxSafe <= i && i <= maxSafe {
		return Value{meta: uint64(Number), n: math.Float64bits(float64(i))}
	}
	return numberText(strconv.FormatInt(i, 10))
}

// Float returns a computed number, written as JavaScript writes doubles. NaN
// and the infinities, which JSON does not have, become NullValue.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return NullValue
	}
	return Value{meta: uint64(Number), n: math.Float64bits(f)}
}

// NumberText returns the number written as text, which must be a JSON number
// without surrounding space. The value keeps the text.
func NumberText(text string) (Value, error) {
	p := parser{text: text, maxDepth: 1}
	if v, ok := p.number(); ok && p.pos == len(text) {
		return v, nil
	}
	return Value{}, fmt.Errorf("%q is not a JSON number", shorten(text, 60))
}

// numberText trusts its caller that text is a JSON number.
func numberText(text string) Value {
	return Value{meta: uint64(Number) | unparsed | uint64(len(text))<<32, p: unsafe.Pointer(unsafe.StringData(text))}
}

// Str returns a string. Bytes that are not UTF-8 are written as U+FFFD.
func Str(s string) Value {
	return Value{meta: uint64(String), p: unsafe.Pointer(unsafe.StringData(s)), n: uint64(len(s))}
}

// ArrayOf returns an array of items, which belong to the value from now on: the
// caller must not change them any more. Absent items are written as null.
func ArrayOf(items []Value) Value {
	return Value{meta: uint64(Array), p: unsafe.Pointer(unsafe.SliceData(items)), n: uint64(len(items))}
}

// ObjectOf returns an object of members, which belong to the value from now on.
// When a key occurs twice the last value wins, at the place of the first.
func ObjectOf(members []Member) Value {
	v, _ := objectOf(members)
	return v
}

// objectOf also reports the first member whose key occurred before, or -1.
func objectOf(members []Member) (Value, int) {
	if len(members) > indexAbove {
		return tableOf(members)
	}
	kept, duplicate := members[:0], -1
	for i := range members {
		if j := find(kept, members[i].Key); j >= 0 {
			kept[j].Value = members[i].Value
			if duplicate < 0 {
				duplicate = i
			}
			continue
		}
		kept = append(kept, members[i])
	}
	return plainObject(kept), duplicate
}

// plainObject returns an object whose keys are known to differ and to be few.
func plainObject(members []Member) Value {
	return Value{meta: uint64(Object), p: unsafe.Pointer(unsafe.SliceData(members)), n: uint64(len(members))}
}

// indexAbove is the number of members up to which looking at each of them is as
// fast as an index.
const indexAbove = 16

// table is an object with many members: slots is a hash table with linear
// probing, of 1 + the member's position, 0 where empty.
type table struct {
	members []Member
	slots   []uint32
}

// seed keeps senders from choosing keys that collide. It decides nothing but
// where in its table a key is kept.
var seed = maphash.MakeSeed()

func tableOf(members []Member) (Value, int) {
	size := 32
	for size < 2*len(members) {
		size *= 2
	}
	t := &table{members: members[:0], slots: make([]uint32, size)}
	duplicate := -1
	for i := range members {
		slot := t.slot(members[i].Key)
		if at := t.slots[slot]; at != 0 {
			t.members[at-1].Value = members[i].Value
			if duplicate < 0 {
				duplicate = i
			}
			continue
		}
		t.members = append(t.members, members[i])
		t.slots[slot] = uint32(len(t.members))
	}
	return Value{meta: uint64(Object) | indexed, p: unsafe.Pointer(t), n: uint64(len(t.members))}, duplicate
}

// slot returns where key is, or where it would go.
func (t *table) slot(key string) uint64 {
	mask := uint64(len(t.slots) - 1)
	at := maphash.String(seed, key) & mask
	for t.slots[at] != 0 && t.members[t.slots[at]-1].Key != key {
		at = (at + 1) & mask
	}
	return at
}

func find(members []Member, key string) int {
	for i := range members {
		if members[i].Key == key {
			return i
		}
	}
	return -1
}

// Kind returns the kind of v.
func (v Value) Kind() Kind { return Kind(v.meta) }

// m is the length of the text that a number came with.
func (v Value) m() int { return int(v.meta >> 32) }

// IsAbsent reports whether v is no value at all.
func (v Value) IsAbsent() bool { return v.Kind() == Absent }

// IsNull reports whether v is a JSON null.
func (v Value) IsNull() bool { return v.Kind() == Null }

// Bool reports whether v is the boolean true.
func (v Value) Bool() bool { return v.Kind() == Bool && v.n == 1 }

// Float returns the number nearest to v, 0 for what is no number. A number too
// large for a float64 gives an infinity.
func (v Value) Float() float64 {
	if v.Kind() != Number {
		return 0
	}
	if v.meta&unparsed != 0 {
		f, _ := strconv.ParseFloat(v.text(), 64) // the text is known to be a number; out of range gives ±Inf
		return f
	}
	return math.Float64frombits(v.n)
}

// Int64 returns v as an integer if it is one exactly, however it is written:
// 1, 1.0 and 1e0 are, 1.5 and numbers beyond the int64 range are not.
func (v Value) Int64() (int64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f := v.Float()
	if -maxSafe < f && f < maxSafe {
		// A tiny fraction may have been lost in a long text.
		i := int64(f)
		return i, float64(i) == f && (v.meta&unparsed == 0 || exactInt(v.text(), i))
	}
	if v.m() > 0 {
		return parseInt(v.text())
	}
	if -math.MaxInt64-1 <= f && f < math.MaxInt64 {
		return int64(f), true
	}
	return 0, false
}

// Str returns the contents of a string, "" for what is none.
func (v Value) Str() string {
	if v.Kind() != String {
		return ""
	}
	return unsafe.String((*byte)(v.p), int(v.n))
}

// NumberText returns a number as it is written in JSON, "" for what is none.
func (v Value) NumberText() string {
	if v.Kind() != Number {
		return ""
	}
	if v.m() > 0 {
		return v.text()
	}
	var buf [32]byte
	return string(appendFloat(buf[:0], math.Float64frombits(v.n)))
}

// text is the text that a number came with.
func (v Value) text() string { return unsafe.String((*byte)(v.p), v.m()) }

func (v Value) items() []Value {
	if v.Kind() != Array {
		return nil
	}
	return unsafe.Slice((*Value)(v.p), int(v.n))
}

func (v Value) members() []Member {
	if v.Kind() != Object {
		return nil
	}
	if v.meta&indexed != 0 {
		return (*table)(v.p).members
	}
	return unsafe.Slice((*Member)(v.p), int(v.n))
}

// Len returns the number of items of an array or members of an object, 0 for
// everything else.
func (v Value) Len() int {
	if v.Kind() != Array && v.Kind() != Object {
		return 0
	}
	return int(v.n)
}

// At returns item i of an array, Absent outside of it. On an object it returns
// the value of member i.
func (v Value) At(i int) Value {
	if i < 0 || i >= v.Len() {
		return Value{}
	}
	if v.Kind() == Object {
		return v.members()[i].Value
	}
	return v.items()[i]
}

// Key returns the key of member i of an object, "" outside of it.
func (v Value) Key(i int) string {
	if v.Kind() != Object || i < 0 || i >= v.Len() {
		return ""
	}
	return v.members()[i].Key
}

// Get returns the value of the member key, Absent when there is none or v is
// not an object.
func (v Value) Get(key string) Value {
	if v.Kind() != Object || v.meta&indexed != 0 {
		return v.getIndexed(key)
	}
	members := unsafe.Slice((*Member)(v.p), int(v.n))
	for i := range members {
		if members[i].Key == key {
			return members[i].Value
		}
	}
	return Value{}
}

func (v Value) getIndexed(key string) Value {
	if i := v.find(key); i >= 0 {
		return v.members()[i].Value
	}
	return Value{}
}

// find returns the position of the member key, or -1.
func (v Value) find(key string) int {
	if v.Kind() != Object {
		return -1
	}
	if v.meta&indexed != 0 {
		t := (*table)(v.p)
		return int(t.slots[t.slot(key)]) - 1
	}
	return find(v.members(), key)
}

// Items goes through an array in order; there are none in what is no array.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		for i, item := range v.items() {
			if !yield(i, item) {
				return
			}
		}
	}
}

// Members goes through an object in order; there are none in what is no object.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, m := range v.members() {
			if !yield(m.Key, m.Value) {
				return
			}
		}
	}
}

// With returns v with the member key set to x: in its place if v has it, else
// last. What is no object counts as an empty one. Setting a member to Absent
// removes it.
func (v Value) With(key string, x Value) Value {
	if x.IsAbsent() {
		return v.Without(key)
	}
	old := v.members()
	i := v.find(key)
	if i < 0 {
		i = len(old)
	}
	changed := make([]Member, max(len(old), i+1))
	copy(changed, old)
	changed[i] = Member{key, x}
	return distinct(changed)
}

// Without returns v without the member key.
func (v Value) Without(key string) Value {
	i := v.find(key)
	if i < 0 {
		if v.Kind() != Object {
			return EmptyObject
		}
		return v
	}
	old := v.members()
	changed := make([]Member, 0, len(old)-1)
	changed = append(changed, old[:i]...)
	return distinct(append(changed, old[i+1:]...))
}

// distinct returns an object of members whose keys are known to differ.
func distinct(members []Member) Value {
	if len(members) > indexAbove {
		v, _ := tableOf(members)
		return v
	}
	return plainObject(members)
}

// Equal reports whether a and b are the same JSON value: numbers by their
// value, objects regardless of the order of their members.
func Equal(a, b Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case Bool:
		return a.n == b.n
	case Number:
		return equalNumbers(a, b)
	case String:
		return a.Str() == b.Str()
	case Array:
		return equalArrays(a.items(), b.items())
	case Object:
		return equalObjects(a, b)
	}
	return true
}

// Equal reports whether v and w are the same JSON value; see the function Equal.
func (v Value) Equal(w Value) bool { return Equal(v, w) }

func equalNumbers(a, b Value) bool {
	if a.Float() != b.Float() {
		return false
	}
	if f := a.Float(); -maxSafe < f && f < maxSafe {
		return true
	}
	// Neighbouring large integers share a float64.
	i, aInt := a.Int64()
	j, bInt := b.Int64()
	return aInt == bInt && i == j
}

func equalArrays(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalObjects(a, b Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	bs := b.members()
	for i, m := range a.members() {
		at := i // mostly the order is the same
		if bs[at].Key != m.Key {
			if at = b.find(m.Key); at < 0 {
				return false
			}
		}
		if !Equal(m.Value, bs[at].Value) {
			return false
		}
	}
	return true
}
