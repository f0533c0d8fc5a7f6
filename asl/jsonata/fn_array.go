package jsonata

import (
	"github.com/lockstep-run/lockstep/asl/value"
)

func fnBoolean(c *run, args []item, _ item) item {
	if arg(args, 0).isUndefined() {
		return undefined
	}
	return boolean(truthy(c, args[0]))
}

func fnNot(c *run, args []item, _ item) item {
	if arg(args, 0).isUndefined() {
		return undefined
	}
	return boolean(!truthy(c, args[0]))
}

func fnExists(_ *run, args []item, _ item) item { return boolean(!arg(args, 0).isUndefined()) }

func fnType(_ *run, args []item, _ item) item {
	switch arg(args, 0).typ() {
	case tUndefined:
		return undefined
	case tNull:
		return str("null")
	case tNumber:
		if !isNumeric(args[0]) { // NaN
			return str("object")
		}
		return str("number")
	case tString:
		return str("string")
	case tBool:
		return str("boolean")
	case tArray:
		return str("array")
	case tFunction:
		return str("function")
	}
	return str("object")
}

// callback is a function that a built-in one calls for each of many items.
type callback struct {
	c  *run
	fn item
	n  int // arguments it looks at
}

func (c *run) callback(fn item) callback {
	b := callback{c: c, fn: fn}
	if f := fn.fn(); f != nil {
		b.n = f.arity
	}
	return b
}

// call passes as many of item, position and whole as the function looks at.
func (b *callback) call(a, at, whole item) item {
	c := b.c
	c.step(1)
	base := len(c.args)
	c.args = append(c.args, a)
	if b.n >= 2 {
		c.args = append(c.args, at)
	}
	if b.n >= 3 {
		c.args = append(c.args, whole)
	}
	r := c.anonymous(b.fn, c.args[base:len(c.args):len(c.args)])
	c.args = c.args[:base]
	return r
}

func fnMap(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	f := c.callback(arg(args, 1))
	var out list
	if n := a.len(); n < 1000 {
		out.grow(c, n)
	}
	for i := range a.len() {
		if r := f.call(a.at(i), integer(i), a); !r.isUndefined() {
			out.push(c, r)
		}
	}
	return out.array(sequence)
}

func fnFilter(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	f := c.callback(arg(args, 1))
	var out list
	for i := range a.len() {
		x := a.at(i)
		if truthy(c, f.call(x, integer(i), a)) {
			out.push(c, x)
		}
	}
	return out.array(sequence)
}

func fnSingle(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	f := c.callback(arg(args, 1))
	found, result := false, undefined
	for i := range a.len() {
		x := a.at(i)
		if !f.fn.isUndefined() && !truthy(c, f.call(x, integer(i), a)) {
			continue
		}
		if found {
			fail("D3138").withIndex(i).raise()
		}
		found, result = true, x
	}
	if !found {
		fail("D3139").raise()
	}
	return result
}

func fnReduce(c *run, args []item, _ item) item {
	a, fn, acc := arg(args, 0), arg(args, 1), arg(args, 2)
	if a.isUndefined() {
		return a
	}
	n := 0
	if f := fn.fn(); f != nil {
		n = f.arity
	}
	if n < 2 {
		fail("D3050").withIndex(1).raise()
	}
	i := 0
	if acc.isUndefined() && a.len() > 0 {
		acc, i = a.at(0), 1
	}
	for ; i < a.len(); i++ {
		c.step(1)
		switch {
		case n >= 4:
			acc = c.invoke(fn, acc, a.at(i), integer(i), a)
		case n == 3:
			acc = c.invoke(fn, acc, a.at(i), integer(i))
		default:
			acc = c.invoke(fn, acc, a.at(i))
		}
	}
	return acc
}

func fnZip(c *run, args []item, _ item) item {
	n := -1
	for _, a := range args {
		m := 0
		if a.isArray() {
			m = a.len()
		}
		if n < 0 || m < n {
			n = m
		}
	}
	var out list
	for i := range max(n, 0) {
		var t list
		for _, a := range args {
			t.push(c, a.at(i))
		}
		out.push(c, t.array(0))
	}
	return out.array(0)
}

func fnSift(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	f := c.callback(arg(args, 1))
	m := newMembers(0)
	n := 0
	for i := range a.size() {
		key, x := a.member(i)
		if truthy(c, f.call(x, str(key), a)) {
			m.add(c, key, x)
			n++
		}
	}
	if n == 0 {
		return undefined
	}
	return m.object()
}

func fnEach(c *run, args []item, _ item) item {
	a := arg(args, 0)
	f := c.callback(arg(args, 1))
	var out list
	for i := range a.size() {
		key, x := a.member(i)
		if r := f.call(x, str(key), a); !r.isUndefined() {
			out.push(c, r)
		}
	}
	return out.array(sequence)
}

func fnKeys(c *run, args []item, _ item) item {
	var out list
	seen := map[string]bool{}
	var walk func(a item, depth int)
	walk = func(a item, depth int) {
		if depth > value.DefaultMaxDepth {
			c.stackOverflow()
		}
		c.step(1)
		if a.isArray() {
			for i := range a.len() {
				walk(a.at(i), depth+1)
			}
			return
		}
		for i := range a.size() {
			key, _ := a.member(i)
			c.step(1)
			if !seen[key] {
				c.alloc(40)
				seen[key] = true
				out.push(c, str(key))
			}
		}
	}
	walk(arg(args, 0), 0)
	return out.array(sequence)
}

func fnLookup(c *run, args []item, _ item) item {
	return lookup(c, arg(args, 0), arg(args, 1).str())
}

func fnAppend(c *run, args []item, _ item) item {
	a, b := arg(args, 0), arg(args, 1)
	switch {
	case a.isUndefined():
		return b
	case b.isUndefined():
		return a
	}
	var out list
	n := 2
	if a.isArray() {
		n += a.len()
	}
	if b.isArray() {
		n += b.len()
	}
	if a.x == nil || a.x.kind == ofFlags {
		out.grow(c, n)
	}
	push(c, &out, a)
	push(c, &out, b)
	return out.array(0)
}

func fnSpread(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.typ() != tArray && a.typ() != tObject {
		return a
	}
	var out list
	flags := sequence
	var spread func(a item, depth int)
	spread = func(a item, depth int) {
		if depth > value.DefaultMaxDepth {
			c.stackOverflow()
		}
		c.step(1)
		switch a.typ() {
		case tArray:
			for i := range a.len() {
				flags = 0 // joined, not collected
				spread(a.at(i), depth+1)
			}
		case tObject:
			for i := range a.size() {
				key, x := a.member(i)
				m := newMembers(1)
				c.alloc(64)
				m.add(c, key, x)
				out.push(c, m.object())
			}
		case tUndefined:
		default:
			out.push(c, a)
		}
	}
	spread(a, 0)
	return out.array(flags)
}

func fnMerge(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	if !a.isArray() {
		return a
	}
	m := newMembers(0)
	index := map[string]int{}
	o := &object{}
	rich := false
	for i := range a.len() {
		x := a.at(i)
		rich = rich || x.x != nil
		for j := range x.size() {
			c.step(1)
			key, v := x.member(j)
			if rich {
				continue
			}
			if at, ok := index[key]; ok {
				m.plain[at].Value = v.v
				continue
			}
			index[key] = len(m.plain)
			m.add(c, key, v)
		}
	}
	if !rich {
		return m.object()
	}
	for i := range a.len() {
		x := a.at(i)
		for j := range x.size() {
			key, v := x.member(j)
			o.set(c, key, v)
		}
	}
	return objectItem(o)
}

func fnReverse(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.len() <= 1 {
		return a
	}
	var out list
	out.grow(c, a.len())
	c.step(a.len())
	for i := a.len() - 1; i >= 0; i-- {
		out.push(c, a.at(i))
	}
	return out.array(0)
}

func fnError(_ *run, args []item, _ item) item {
	f := fail("D3137")
	f.message = arg(args, 0).str()
	if f.message == "" {
		f.message = "$error() function evaluated"
	}
	f.raise()
	return undefined
}

func fnAssert(c *run, args []item, _ item) item {
	if truthy(c, arg(args, 0)) {
		return undefined
	}
	f := fail("D3141")
	f.message = arg(args, 1).str()
	if f.message == "" {
		f.message = "$assert() statement failed"
	}
	f.raise()
	return undefined
}

func fnSort(c *run, args []item, _ item) item {
	a, fn := arg(args, 0), arg(args, 1)
	if a.isUndefined() || a.len() <= 1 {
		return a
	}
	after := func(x, y item) bool { c.step(1); return truthyJS(c.invoke(fn, x, y)) }
	if fn.isUndefined() {
		switch {
		case isArrayOfNumbers(c, a):
			after = func(x, y item) bool { c.step(1); return x.float() > y.float() }
		case isArrayOfStrings(c, a):
			after = func(x, y item) bool { c.step(1); return compareText(x.str(), y.str()) > 0 }
		default:
			fail("D3070").withIndex(1).withValue(a).raise()
		}
	}
	c.alloc(32 * a.len())
	items := make([]item, a.len())
	for i := range items {
		items[i] = a.at(i)
	}
	var out list
	out.grow(c, len(items))
	for _, x := range mergeSort(c, items, after) {
		out.push(c, x)
	}
	return out.array(0)
}

func fnShuffle(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.len() <= 1 {
		return a
	}
	c.step(a.len())
	c.alloc(32 * a.len())
	items := make([]item, a.len())
	for i := range items {
		j := int(c.randomFloat() * float64(i+1))
		items[i] = items[j]
		items[j] = a.at(i)
	}
	var out list
	for _, x := range items {
		out.push(c, x)
	}
	return out.array(0)
}

func fnDistinct(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if !a.isArray() || a.len() <= 1 {
		return a
	}
	var out list
	flags := a.flags() & sequence
	simple := map[string]bool{} // what is no array and no object, by its text
	for i := range a.len() {
		x := a.at(i)
		c.step(1)
		key := ""
		switch x.typ() {
		case tString:
			key = "s" + x.str()
		case tNumber:
			key = "n" + numberText(x.float())
		case tBool, tNull:
			key = x.v.JSON()
		}
		if key != "" && key != "nNaN" {
			if !simple[key] {
				c.alloc(len(key) + 40)
				simple[key] = true
				out.push(c, x)
			}
			continue
		}
		known := false
		for j := 0; j < out.len() && !known; j++ {
			known = equalParts(c, x, out.at(j), 0)
		}
		if !known {
			out.push(c, x)
		}
	}
	return out.array(flags)
}

// fnClone goes through JSON as the library does: numbers lose what $string
// does not show, functions become empty strings.
func fnClone(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	v, err := value.Parse(textOf(c, a, false))
	if err != nil {
		c.stackOverflow()
	}
	return plain(v)
}
