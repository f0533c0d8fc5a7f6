package jsonata

import "github.com/lockstep-run/lockstep/asl/value"

// function is a function as a value.
type function struct {
	name  string // of a built-in one
	site  *site  // of a built-in one
	arity int    // how many arguments it looks at, which decides what $map passes
	sig   *signature

	native native // or
	body   eval   // a lambda
	params int
	size   int // of its frame
	frame  *frame
	in     item // the context it was defined in
	reuse  bool // nothing keeps its frames

	re     *regex // a regular expression, which is a function of a string
	script bool   // a JavaScript function to the library rather than an object
	arg    *extra // the function as an argument, once it has been one
}

// native implements a function in Go. in is the context value of the call.
// The arguments belong to the caller: keep none of the slice.
type native func(c *run, args []item, in item) item

// tailCall is the call that a lambda ended with, to be made once it is gone.
type tailCall struct {
	fn   item
	args []item
	name string
	pos  int
}

var tailMark = item{x: &extra{kind: ofHole}}

func arg(args []item, i int) item {
	if i < len(args) {
		return args[i]
	}
	return undefined
}

func (k *compiler) lambda(n *node) eval {
	names := make([]string, len(n.list))
	for i, p := range n.list {
		names[i] = p.text
	}
	s := k.open(nil, true)
	s.always = true
	for _, name := range names { // a name given twice is its last value
		s.slots[name] = s.layout.size
		s.layout.size++
	}
	depth := k.depth
	k.depth = 0
	body := k.opened([]*node{n.right}, func() eval { return k.compile(n.right) })
	k.depth = depth
	k.close()
	layout, sig, params, reuse := s.layout, n.sig, len(names), !captures(n.right)
	return func(c *run, f *frame, in item) item {
		c.alloc(512)
		return functionItem(&function{arity: params, sig: sig, body: body, params: params, size: layout.size, frame: f, in: in, reuse: reuse})
	}
}

// compiledCall is a call in an expression.
type compiledCall struct {
	site   // what faults are blamed on: the name of the function, and where it stands
	callee eval
	args   []eval
	hint   func(c *run, f *frame) bool
	nest   int
}

func (k *compiler) callOf(n *node) *compiledCall {
	x := &compiledCall{callee: k.compile(n.left), site: site{pos: n.pos}, nest: k.depth}
	for _, a := range n.list {
		x.args = append(x.args, k.compile(a))
	}
	switch n.left.kind {
	case nPath:
		first := n.left.list[0]
		x.name = str(first.text)
		switch {
		case first.kind == nVariable && first.text == "$":
			x.hint = func(c *run, _ *frame) bool { return truthyJS(c.root) }
		case first.kind == nName, first.kind == nVariable && first.text != "":
			look := k.lookup(first.text, true)
			x.hint = func(c *run, f *frame) bool { return truthyJS(look(c, f, undefined)) }
		}
	case nVariable, nString, nName:
		x.name = str(n.left.text)
	case nNumber, nLiteral:
		x.name = plain(n.left.num)
	case nCall, nPartial, nArray, nObject:
		x.name = n.left.shown()
	}
	return x
}

func (k *compiler) call(n *node) eval {
	x := k.callOf(n)
	if n.tail {
		return func(c *run, f *frame, in item) item {
			fn := x.callee(c, f, in)
			c.step(1)
			base := len(c.args)
			for _, a := range x.args {
				v := a(c, f, in)
				c.args = append(c.args, v)
			}
			c.tail.args = append(c.tail.args[:0], c.args[base:]...)
			c.args = c.args[:base]
			c.tail.fn, c.tail.name, c.tail.pos = fn, "", 0
			if n.left.kind == nVariable {
				c.tail.name, c.tail.pos = x.name.str(), x.pos
			}
			return tailMark
		}
	}
	if quick := k.total(n, x); quick != nil {
		return quick
	}
	return func(c *run, f *frame, in item) item { return x.run(c, f, in, undefined, false) }
}

// total compiles $sum(name) and $count(name), which are what groups are mostly
// asked for: over an array of objects the values need not be gathered first.
// Anything unusual is left to the call as it is written.
func (k *compiler) total(n *node, x *compiledCall) eval {
	if n.left.kind != nVariable || len(n.left.predicates) > 0 || len(n.list) != 1 || n.left.text != "sum" && n.left.text != "count" {
		return nil
	}
	if refs, _ := k.resolve(n.left.text); len(refs) > 0 {
		return nil
	}
	path := n.list[0]
	if path.kind != nPath || len(path.list) != 1 || path.singleton || path.keepArray || path.group != nil || path.tuple {
		return nil
	}
	st := path.list[0]
	if st.kind != nName || st.stages != nil || st.predicates != nil || st.group != nil || st.tuple || st.keepArray {
		return nil
	}
	builtin, name, counts := builtins[n.left.text], st.text, n.left.text == "count"
	return func(c *run, f *frame, in item) item {
		if in.x == nil && in.v.Kind() == value.Array && x.callee(c, f, in).fn() == builtin {
			sum, found, plain := totalOf(c, in.v, name, counts)
			switch {
			case plain && counts:
				return integer(found)
			case plain && found > 0:
				return number(sum)
			}
		}
		return x.run(c, f, in, undefined, false)
	}
}

// totalOf adds up or counts the member name of the objects in an array; ok is
// false unless they all are objects, and the members numbers (or, to be counted,
// no arrays).
func totalOf(c *run, array value.Value, name string, counts bool) (sum float64, found int, ok bool) {
	n := array.Len()
	c.step(n)
	for i := range n {
		o := array.At(i)
		if o.Kind() != value.Object {
			return 0, 0, false
		}
		v := o.Get(name)
		switch v.Kind() {
		case value.Absent:
			continue
		case value.Number:
			sum += v.Float()
		case value.Array:
			return 0, 0, false
		default:
			if !counts {
				return 0, 0, false
			}
		}
		found++
	}
	return sum, found, true
}

// run evaluates callee and arguments and makes the call. With applied, the
// value left of ~> comes first.
func (x *compiledCall) run(c *run, f *frame, in, first item, applied bool) item {
	c.step(1)
	fn := x.callee(c, f, in)
	if fn.isUndefined() && x.hint != nil && x.hint(c, f) {
		t := fail("T1005").at(x.pos)
		t.token = x.name
		t.raise()
	}
	base := len(c.args)
	if applied {
		c.args = append(c.args, first)
	}
	for _, a := range x.args {
		v := a(c, f, in)
		if v.x != nil && v.x.kind == ofFunction {
			v = passed(v)
		}
		c.args = append(c.args, v)
	}
	c.nest(x.nest)
	r := c.callAs(fn, c.args[base:len(c.args):len(c.args)], in, &x.site)
	c.depth -= x.nest
	c.args = c.args[:base]
	return r
}

// passed is a function as its callee sees it: called without a context.
func passed(a item) item {
	f := a.x.fn
	if f.arg == nil {
		f.arg = &extra{kind: ofFunction, fn: f, flags: asArgument}
	}
	return item{x: f.arg}
}

// callAs makes a call; what fails in it is blamed on name where nothing inside
// has a name.
func (c *run) callAs(fn item, args []item, in item, at *site) item {
	f := fn.fn()
	if f == nil {
		t := fail("T1006").at(at.pos)
		t.token = at.name
		t.raise()
	}
	c.calls = append(c.calls, at)
	r := c.apply(fn, args, in)
	c.calls = c.calls[:len(c.calls)-1]
	return r
}

// site is a call under way: what a fault inside is blamed on.
type site struct {
	name  item
	pos   int
	force bool // the right side of and, or: takes the blame for whatever fails in it
}

// blame completes a fault with what the calls under way know.
func (c *run) blame(f *fault) {
	for i := len(c.calls) - 1; i >= 0; i-- {
		at := c.calls[i]
		if f.pos == 0 || at.force {
			f.pos = at.pos
		}
		if f.token.isUndefined() || at.force {
			f.token = at.name
		}
	}
}

// invoke calls a function from inside a built-in one.
func (c *run) invoke(fn item, args ...item) item {
	base := len(c.args)
	c.args = append(c.args, args...)
	r := c.anonymous(fn, c.args[base:len(c.args):len(c.args)])
	c.args = c.args[:base]
	return r
}

// anonymous makes a call that is not written as one: a built-in function goes
// by its own name.
func (c *run) anonymous(fn item, args []item) item {
	f := fn.fn()
	if f == nil || f.site == nil {
		return c.apply(fn, args, null)
	}
	c.calls = append(c.calls, f.site)
	r := c.apply(fn, args, null)
	c.calls = c.calls[:len(c.calls)-1]
	return r
}

// apply calls fn, and then what it ends with, for as long as that is a call.
func (c *run) apply(fn item, args []item, in item) item {
	r := c.applyOnce(fn, args, in)
	for r.x == tailMark.x {
		next, name, pos := c.tail.fn, c.tail.name, c.tail.pos
		c.step(1)
		if next.fn() == nil {
			t := fail("T1006").at(pos)
			if name != "" {
				t.withToken(name)
			}
			t.raise()
		}
		if next.x.fn.body != nil && next.x.fn.sig == nil {
			r = c.applyOnce(next, c.tail.args, in)
			continue
		}
		base := len(c.args)
		c.args = append(c.args, c.tail.args...)
		r = c.tailApply(next, c.args[base:len(c.args):len(c.args)], in, name, pos)
		c.args = c.args[:base]
	}
	return r
}

func (c *run) tailApply(next item, args []item, in item, name string, pos int) item {
	if name == "" {
		return c.applyOnce(next, args, in)
	}
	c.calls = append(c.calls, &site{name: str(name), pos: pos})
	r := c.applyOnce(next, args, in)
	c.calls = c.calls[:len(c.calls)-1]
	return r
}

func (c *run) applyOnce(fn item, args []item, in item) item {
	f := fn.fn()
	if f == nil {
		fail("T1006").raise()
	}
	if fn.x.flags&asArgument != 0 {
		in = null
	}
	if f.native != nil {
		c.nest(2)
		if f.sig != nil {
			args = f.sig.check(c, args, in)
		}
		r := f.native(c, args, in)
		c.depth -= 2
		return r
	}
	if f.sig != nil {
		args = f.sig.check(c, args, in)
	}
	return c.lambda(f, args)
}

// lambda runs the body of a function defined in the expression.
func (c *run) lambda(f *function, args []item) item {
	if c.depth >= c.deep {
		c.stackOverflow()
	}
	var env *frame
	if n := len(c.free); f.reuse && n > 0 && cap(c.free[n-1].vars) >= f.size {
		env, c.free = c.free[n-1], c.free[:n-1]
		env.vars, env.up = env.vars[:f.size], f.frame
	} else {
		env = newFrame(c, f.size, f.frame)
	}
	n := copy(env.vars[:f.params], args)
	for i := n; i < f.params; i++ {
		env.vars[i] = undefined
	}
	for i := f.params; i < f.size; i++ {
		env.vars[i] = unbound
	}
	r := f.body(c, env, f.in)
	if f.reuse {
		c.free = append(c.free, env)
	}
	return r
}

// partial compiles f(?, x): a function of the arguments left open.
func (k *compiler) partial(n *node) eval {
	x := k.callOf(n)
	return func(c *run, f *frame, in item) item {
		c.step(1)
		fixed := make([]item, len(x.args))
		c.alloc(32*len(fixed) + 64)
		for i, a := range x.args {
			fixed[i] = a(c, f, in)
		}
		fn := x.callee(c, f, in)
		if fn.fn() == nil {
			t := fail("T1008").at(x.pos)
			if fn.isUndefined() && x.hint != nil && x.hint(c, f) {
				t = fail("T1007").at(x.pos)
			}
			t.token = x.name
			t.raise()
		}
		return functionItem(partially(fn.fn(), fixed, in))
	}
}

// partially fixes some of the arguments of f. The result takes the others; it
// has no signature, so what it is given is not checked.
func partially(f *function, fixed []item, in item) *function {
	params := f.params
	if f.native != nil {
		params = nativeParams(f)
	}
	if len(fixed) > params {
		fixed = fixed[:params]
	}
	open := 0
	for _, a := range fixed {
		if a.x == hole.x {
			open++
		}
	}
	return &function{arity: open, params: open, native: func(c *run, args []item, _ item) item {
		all := make([]item, params)
		next := 0
		for i, a := range fixed {
			if a.x == hole.x {
				a = arg(args, next)
				next++
			}
			all[i] = a
		}
		if f.native != nil {
			if f.sig != nil && c.env.note != nil && !f.sig.accepts(c, all, in) {
				c.env.note(unchecked)
			}
			return f.native(c, all, in)
		}
		return c.finish(c.lambda(f, all), in)
	}}
}

// finish makes the call that r stands for, if it stands for one.
func (c *run) finish(r, in item) item {
	if r.x != tailMark.x {
		return r
	}
	next, args := c.tail.fn, append([]item(nil), c.tail.args...)
	return c.apply(next, args, in)
}

// apply compiles a ~> b.
func (k *compiler) apply(n *node) eval {
	left := k.compile(n.left)
	if n.right.kind == nCall && len(n.right.predicates) == 0 || n.right.kind == nCall {
		x := k.callOf(n.right)
		return func(c *run, f *frame, in item) item {
			return x.run(c, f, in, left(c, f, in), true)
		}
	}
	right, pos, nest := k.compile(n.right), n.pos, k.depth
	return func(c *run, f *frame, in item) item {
		c.step(1)
		a := left(c, f, in)
		fn := right(c, f, in)
		if !fn.isFunction() {
			fail("T2006").at(pos).withValue(fn).raise()
		}
		if a.isFunction() {
			return functionItem(chain(a, fn))
		}
		c.nest(nest)
		r := c.invoke(fn, a)
		c.depth -= nest
		return r
	}
}

// chain is the function that applies first and then second.
func chain(first, second item) *function {
	return &function{arity: 1, params: 1, native: func(c *run, args []item, in item) item {
		c.calls = append(c.calls, &site{name: str("f")}) // as the library names them
		a := settle(c.apply(first, []item{arg(args, 0)}, null))
		c.calls[len(c.calls)-1] = &site{name: str("g")}
		a = c.apply(second, []item{a}, in)
		c.calls = c.calls[:len(c.calls)-1]
		return a
	}}
}

// transform compiles |pattern|update,delete|: a function that changes a copy.
func (k *compiler) transform(n *node) eval {
	pattern, update := k.compile(n.list[0]), k.compile(n.list[1])
	var remove eval
	if n.list[2] != nil {
		remove = k.compile(n.list[2])
	}
	clone := k.lookup("clone", true)
	sig := parseSignature("<(oa):o>", 0)
	updatePos := n.list[1].pos
	removePos := 0
	if n.list[2] != nil {
		removePos = n.list[2].pos
	}
	pos := n.pos
	return func(c *run, f *frame, _ item) item {
		c.alloc(256)
		return functionItem(&function{arity: 1, params: 1, sig: sig, native: func(c *run, args []item, in item) item {
			a := arg(args, 0)
			if a.isUndefined() {
				return a
			}
			copier := clone(c, f, in)
			if !copier.isFunction() {
				fail("T2013").at(pos).raise()
			}
			root := thaw(c, c.invoke(copier, a), 0)
			found := pattern(c, f, root)
			n := 1
			if found.isUndefined() {
				n = 0
			} else if found.isArray() {
				n = found.len()
			}
			for i := range n {
				match := found
				if found.isArray() {
					match = found.at(i)
				}
				c.change(f, match, update, remove, updatePos, removePos)
			}
			return root
		}})
	}
}

func (c *run) change(f *frame, match item, update, remove eval, updatePos, removePos int) {
	if match.typ() == tObject && match.x == nil { // no part of the copy: changed to no effect
		match = thaw(c, match, 0)
	}
	u := update(c, f, match)
	if !u.isUndefined() {
		if u.typ() != tObject {
			fail("T2011").at(updatePos).withValue(u).raise()
		}
		if o := match.object(); o != nil {
			for i := range u.size() {
				key, v := u.member(i)
				c.step(1)
				o.set(c, key, v)
			}
		}
	}
	if remove == nil {
		return
	}
	d := remove(c, f, match)
	if d.isUndefined() {
		return
	}
	keys := d
	if !d.isArray() {
		keys = sequenceOf(c, d)
	}
	if !isArrayOfStrings(c, keys) {
		fail("T2012").at(removePos).withValue(d).raise()
	}
	if o := match.object(); o != nil {
		for i := range keys.len() {
			o.remove(keys.at(i).str())
		}
	}
}

func (a item) object() *object {
	if a.x != nil {
		return a.x.obj
	}
	return nil
}

// thaw copies a value so that its objects can be changed in place.
func thaw(c *run, a item, depth int) item {
	if c.step(1); depth > value.DefaultMaxDepth {
		c.stackOverflow()
	}
	switch a.typ() {
	case tArray:
		var l list
		l.rich = true
		for i := range a.len() {
			l.push(c, thaw(c, a.at(i), depth+1))
		}
		return l.array(0)
	case tObject:
		o := &object{}
		for i := range a.size() {
			key, v := a.member(i)
			o.set(c, key, thaw(c, v, depth+1))
		}
		return objectItem(o)
	}
	return a
}
