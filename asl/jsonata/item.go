package jsonata

import (
	"math"

	"github.com/lockstep-run/lockstep/asl/value"
)

// item is what an expression works on: a JSON value, nothing at all, or one of
// the things JSON does not have (see extra). The zero item is undefined.
//
// Whatever JSON can hold travels as a plain value.Value with x nil, so input
// is never copied and results need no conversion.
type item struct {
	v value.Value
	x *extra
}

// extra is what an item has beyond JSON. Where it describes an array or an
// object, v is an empty one (flagged arrays: the array itself), so that the
// kind is right.
type extra struct {
	kind   extraKind
	flags  arrayFlags
	items  []item     // ofItems
	lo     int64      // ofRange: the first number
	n      int        // ofRange: how many
	obj    *object    // ofObject
	fn     *function  // ofFunction
	num    float64    // ofNumber: NaN or an infinity
	tuples []*frame   // ofTuples
	bare   bool       // ofTuples: sorted, after which the library takes them for objects
	scope  *tupleVars // ofTuples: what the variables of the tuples are called
}

type extraKind uint8

const (
	ofFlags    extraKind = iota // v is the array, flags say what it is
	ofItems                     // an array with items that JSON does not have
	ofRange                     // an array of consecutive integers, not made yet
	ofObject                    // an object that can change or holds what JSON does not have
	ofFunction                  // a function
	ofNumber                    // NaN or an infinity
	ofTuples                    // what a path that binds variables hands to the path around it
	ofUnbound                   // the slot of a variable that has not been assigned
	ofHole                      // the placeholder ? of a partial application
)

// arrayFlags tell how an array came about, which decides how it is flattened.
type arrayFlags uint8

const (
	sequence      arrayFlags = 1 << iota // the result of a query: one item stands for itself, none for nothing
	keepSingleton                        // a sequence that stays an array
	constructed                          // written as [...] in a path: kept whole
	outerWrapper                         // holds the input, which is an array, as its only item
	asArgument                           // of a function: passed to another one, which calls it without context
)

// flagged are the extras that only carry flags; they need no allocation.
var flagged = func() (t [16]*extra) {
	for i := range t {
		t[i] = &extra{kind: ofFlags, flags: arrayFlags(i)}
	}
	return t
}()

type typ uint8

const (
	tUndefined = typ(value.Absent)
	tNull      = typ(value.Null)
	tBool      = typ(value.Bool)
	tNumber    = typ(value.Number)
	tString    = typ(value.String)
	tArray     = typ(value.Array)
	tObject    = typ(value.Object)
	tFunction  = tObject + 1
)

var (
	undefined = item{}
	null      = item{v: value.NullValue}
	yes       = item{v: value.True}
	no        = item{v: value.False}
	emptyText = str("")
	unbound   = item{x: &extra{kind: ofUnbound}}
	hole      = item{x: &extra{kind: ofHole}}
)

func plain(v value.Value) item { return item{v: v} }
func str(s string) item        { return item{v: value.Str(s)} }
func integer(i int) item       { return item{v: value.Int(int64(i))} }

func boolean(b bool) item {
	if b {
		return yes
	}
	return no
}

func number(f float64) item {
	if f-f != 0 { // NaN or an infinity
		return item{v: value.NullValue, x: &extra{kind: ofNumber, num: f}}
	}
	return item{v: value.Float(f)}
}

func (a item) typ() typ {
	if a.x == nil {
		return typ(a.v.Kind())
	}
	return a.richTyp()
}

func (a item) richTyp() typ {
	switch a.x.kind {
	case ofFlags, ofItems, ofRange, ofTuples:
		return tArray
	case ofObject:
		return tObject
	case ofFunction:
		return tFunction
	case ofNumber:
		return tNumber
	}
	return tUndefined
}

func (a item) isUndefined() bool { return a.x == nil && a.v.IsAbsent() }
func (a item) isArray() bool     { return a.v.Kind() == value.Array }
func (a item) isFunction() bool  { return a.x != nil && a.x.kind == ofFunction }
func (a item) isString() bool    { return a.v.Kind() == value.String }

// float is the number that a holds, NaN for what is no number.
func (a item) float() float64 {
	if a.x != nil {
		if a.x.kind == ofNumber {
			return a.x.num
		}
		return math.NaN()
	}
	if a.v.Kind() != value.Number {
		return math.NaN()
	}
	return a.v.Float()
}

func (a item) str() string { return a.v.Str() }

func (a item) fn() *function {
	if a.isFunction() {
		return a.x.fn
	}
	return nil
}

func (a item) flags() arrayFlags {
	if a.x == nil {
		return 0
	}
	return a.x.flags
}

func (a item) is(f arrayFlags) bool { return a.x != nil && a.x.flags&f != 0 }

func (a item) isTuples() bool { return a.x != nil && a.x.kind == ofTuples }

// with returns the array a with these flags instead of its own.
func (a item) with(f arrayFlags) item {
	switch {
	case a.flags() == f:
		return a
	case a.x == nil || a.x.kind == ofFlags:
		if f == 0 {
			return item{v: a.v}
		}
		return item{v: a.v, x: flagged[f]}
	}
	x := *a.x
	x.flags = f
	return item{v: a.v, x: &x}
}

// len is the number of items of an array; what is no array has none.
func (a item) len() int {
	if a.x == nil {
		if a.v.Kind() == value.Array {
			return a.v.Len()
		}
		return 0
	}
	switch a.x.kind {
	case ofFlags:
		return a.v.Len()
	case ofItems:
		return len(a.x.items)
	case ofRange:
		return a.x.n
	case ofTuples:
		return len(a.x.tuples)
	}
	return 0
}

// at is item i of an array.
func (a item) at(i int) item {
	if a.x == nil || a.x.kind == ofFlags {
		return item{v: a.v.At(i)}
	}
	switch {
	case a.x.kind == ofItems && i >= 0 && i < len(a.x.items):
		return a.x.items[i]
	case a.x.kind == ofRange && i >= 0 && i < a.x.n:
		return item{v: value.Int(a.x.lo + int64(i))}
	case a.x.kind == ofTuples && i >= 0 && i < len(a.x.tuples):
		return a.x.tuples[i].at
	}
	return undefined
}

// rangeOf is the sequence lo … lo+n-1. The numbers are not made before someone
// looks at them: counting to ten million is common, holding them is not.
func rangeOf(c *run, lo int64, n int) item {
	c.alloc(extraBytes)
	return item{v: value.EmptyArray, x: &extra{kind: ofRange, flags: sequence, lo: lo, n: n}}
}

func functionItem(f *function) item { return item{x: &extra{kind: ofFunction, fn: f}} }

// list collects the items of an array, as plain values for as long as they are.
type list struct {
	plain []value.Value
	items []item
	rich  bool
}

func (l *list) len() int {
	if l.rich {
		return len(l.items)
	}
	return len(l.plain)
}

func (l *list) at(i int) item {
	if l.rich {
		return l.items[i]
	}
	return item{v: l.plain[i]}
}

// What things take in memory.
const itemBytes, memberBytes, extraBytes = 24, 40, 176

func (l *list) push(c *run, a item) {
	if a.x == nil && !l.rich {
		if len(l.plain) == cap(l.plain) {
			l.grow(c, len(l.plain)+4)
		}
		l.plain = append(l.plain, a.v)
		return
	}
	l.pushRich(c, a)
}

func (l *list) pushRich(c *run, a item) {
	if !l.rich {
		c.alloc(len(l.plain) * 32)
		l.items = make([]item, len(l.plain), len(l.plain)+4)
		for i, v := range l.plain {
			l.items[i] = item{v: v}
		}
		l.plain, l.rich = nil, true
	}
	if n := len(l.items); n == cap(l.items) {
		c.alloc((2*n + 4) * 32)
		l.items = append(make([]item, 0, 2*n+4), l.items...)
	}
	l.items = append(l.items, a)
}

// grow makes room for n more items, which are all plain.
func (l *list) grow(c *run, n int) {
	if l.rich || cap(l.plain)-len(l.plain) >= n {
		return
	}
	c.alloc((len(l.plain) + n) * itemBytes)
	bigger := make([]value.Value, len(l.plain), len(l.plain)+n)
	copy(bigger, l.plain)
	l.plain = bigger
}

// pushAll pushes the items of the array a.
func (l *list) pushAll(c *run, a item) {
	n := a.len()
	c.step(n)
	if a.x == nil || a.x.kind != ofItems {
		if cap(l.plain)-len(l.plain) < n {
			l.grow(c, max(n, len(l.plain))) // at least double: many small arrays cost linear time
		}
	}
	for i := range n {
		l.push(c, a.at(i))
	}
}

// array returns the collected items as an array with flags.
func (l *list) array(f arrayFlags) item {
	if l.rich {
		return item{v: value.EmptyArray, x: &extra{kind: ofItems, flags: f, items: l.items}}
	}
	v := value.ArrayOf(l.plain)
	if f == 0 {
		return item{v: v}
	}
	return item{v: v, x: flagged[f]}
}

// sequenceOf is a sequence of these items.
func sequenceOf(c *run, items ...item) item {
	var l list
	for _, a := range items {
		l.push(c, a)
	}
	return l.array(sequence)
}

// settle is what a sequence comes to as the value of an expression: nothing
// when it is empty, its item when it has one and need not stay an array.
func settle(a item) item {
	if a.x == nil || a.x.flags&sequence == 0 || a.x.kind == ofTuples {
		return a
	}
	switch a.len() {
	case 0:
		return undefined
	case 1:
		if a.x.flags&keepSingleton == 0 {
			return a.at(0)
		}
	}
	return a
}

// object is an object that has an identity: it can be changed in place by a
// transform, and its members may be what JSON does not have.
type object struct {
	keys  []string
	vals  []item
	index map[string]int // only above 16 members
}

func (o *object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range o.keys {
		if k == key {
			return i
		}
	}
	return -1
}

func (o *object) set(c *run, key string, a item) {
	if i := o.find(key); i >= 0 {
		o.vals[i] = a
		return
	}
	c.alloc(64)
	o.keys, o.vals = append(o.keys, key), append(o.vals, a)
	if o.index != nil {
		o.index[key] = len(o.keys) - 1
	} else if len(o.keys) > 16 {
		o.reindex()
	}
}

func (o *object) reindex() {
	o.index = make(map[string]int, 2*len(o.keys))
	for i, k := range o.keys {
		o.index[k] = i
	}
}

func (o *object) remove(key string) {
	i := o.find(key)
	if i < 0 {
		return
	}
	o.keys = append(o.keys[:i], o.keys[i+1:]...)
	o.vals = append(o.vals[:i], o.vals[i+1:]...)
	if o.index != nil {
		o.reindex()
	}
}

func objectItem(o *object) item { return item{v: value.EmptyObject, x: &extra{kind: ofObject, obj: o}} }

// size is the number of members of an object.
func (a item) size() int {
	if a.x == nil {
		if a.v.Kind() == value.Object {
			return a.v.Len()
		}
		return 0
	}
	if a.x.kind == ofObject {
		return len(a.x.obj.keys)
	}
	return 0
}

// member is member i of an object.
func (a item) member(i int) (string, item) {
	if a.x == nil {
		return a.v.Key(i), item{v: a.v.At(i)}
	}
	return a.x.obj.keys[i], a.x.obj.vals[i]
}

// get is the member key of an object, undefined where there is none.
func (a item) get(key string) item {
	if a.x == nil {
		return item{v: a.v.Get(key)}
	}
	if a.x.kind == ofObject {
		if i := a.x.obj.find(key); i >= 0 {
			return a.x.obj.vals[i]
		}
	}
	return undefined
}

// members collects the members of an object, as plain ones for as long as they
// are. Keys given to add must differ; put looks for an earlier one.
type members struct {
	plain []value.Member
	obj   *object
}

func (m *members) add(c *run, key string, a item) {
	if a.x == nil && m.obj == nil {
		if n := len(m.plain); n == cap(m.plain) {
			c.alloc((2*n + 2) * memberBytes)
			m.plain = append(make([]value.Member, 0, 2*n+2), m.plain...)
		}
		m.plain = append(m.plain, value.Member{Key: key, Value: a.v})
		return
	}
	if m.obj == nil {
		m.obj = &object{}
		for _, p := range m.plain {
			m.obj.set(c, p.Key, item{v: p.Value})
		}
	}
	m.obj.set(c, key, a)
}

func (m *members) object() item {
	if m.obj != nil {
		return objectItem(m.obj)
	}
	return item{v: value.ObjectOf(m.plain)}
}

// json turns an item into JSON. Functions become null; the second result says
// that there was one.
func (c *run) json(a item) (value.Value, bool) {
	if a.x == nil {
		return a.v, false
	}
	found := false
	var walk func(a item, depth int) value.Value
	walk = func(a item, depth int) value.Value {
		c.step(1)
		if a.x == nil || a.x.kind == ofFlags {
			return a.v
		}
		if depth > value.DefaultMaxDepth {
			c.stackOverflow()
		}
		switch a.x.kind {
		case ofItems, ofRange, ofTuples:
			n := a.len()
			c.alloc(n * itemBytes)
			items := make([]value.Value, n)
			for i := range n {
				if items[i] = walk(a.at(i), depth+1); items[i].IsAbsent() {
					items[i] = value.NullValue
				}
			}
			return value.ArrayOf(items)
		case ofObject:
			c.alloc(a.size() * memberBytes)
			ms := make([]value.Member, 0, a.size())
			for i := range a.size() {
				k, m := a.member(i)
				if v := walk(m, depth+1); !v.IsAbsent() {
					ms = append(ms, value.Member{Key: k, Value: v})
				}
			}
			return value.ObjectOf(ms)
		case ofFunction:
			found = true
			return value.NullValue
		case ofNumber:
			return value.NullValue
		}
		return value.Value{}
	}
	v := walk(a, 0)
	return v, found
}

var emptySequence = item{v: value.EmptyArray, x: flagged[sequence]}
