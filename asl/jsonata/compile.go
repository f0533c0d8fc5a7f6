package jsonata

import (
	"math"
	"sort"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// eval is a compiled expression: it gives what the expression comes to for the
// context value in, with the variables of f.
type eval func(c *run, f *frame, in item) item

// frame holds the variables of one call of a function, of one tuple of a path,
// or of one evaluation of a block whose variables a function may keep.
type frame struct {
	vars []item
	up   *frame
	at   item // a tuple: its context value
}

// layout says what the frames of one part of the expression hold.
type layout struct {
	up   *layout
	size int
}

// scope is what names mean in one part of the expression. Several scopes may
// share a layout: what a block assigns lives in the frame of the function around.
type scope struct {
	up     *scope
	layout *layout
	slots  map[string]int
	always bool // all of its names are bound from the start: parameters
}

type compiler struct {
	scope    *scope
	depth    int // how many evaluations nest here, since the function around began
	outer    []string
	dialect  map[string]*function
	outerIdx map[string]int
}

func (k *compiler) open(names []string, own bool) *scope {
	s := &scope{up: k.scope, slots: make(map[string]int, len(names))}
	if own {
		s.layout = &layout{}
		if k.scope != nil {
			s.layout.up = k.scope.layout
		}
	} else {
		s.layout = k.scope.layout
	}
	for _, name := range names {
		if _, ok := s.slots[name]; !ok {
			s.slots[name] = s.layout.size
			s.layout.size++
		}
	}
	k.scope = s
	return s
}

func (k *compiler) close() { k.scope = k.scope.up }

// assigned lists the variables that n assigns in the scope that it stands in.
func assigned(n *node, names []string) []string {
	if n == nil {
		return names
	}
	switch n.kind {
	case nBlock, nLambda, nTransform:
		if n.kind != nTransform {
			return assignedAround(n, names)
		}
		return names
	case nBind:
		names = append(names, n.text)
	}
	names = assigned(n.left, names)
	names = assigned(n.right, names)
	for _, x := range n.list {
		names = assigned(x, names)
	}
	for _, p := range n.pairs {
		names = assigned(p[1], assigned(p[0], names))
	}
	for _, t := range n.terms {
		names = assigned(t.expr, names)
	}
	return assignedAround(n, names)
}

// assignedAround lists what predicates and grouping of n assign.
func assignedAround(n *node, names []string) []string {
	for _, st := range n.predicates {
		names = assigned(st.filter, names)
	}
	for _, st := range n.stages {
		names = assigned(st.filter, names)
	}
	return assigned(n.group, names)
}

// captures reports whether evaluating n makes a function that keeps its frame.
func captures(n *node) bool {
	if n == nil {
		return false
	}
	if n.kind == nLambda || n.kind == nTransform {
		return true
	}
	for _, x := range n.list {
		if captures(x) {
			return true
		}
	}
	for _, p := range n.pairs {
		if captures(p[0]) || captures(p[1]) {
			return true
		}
	}
	for _, t := range n.terms {
		if captures(t.expr) {
			return true
		}
	}
	for _, st := range append(append([]stage(nil), n.predicates...), n.stages...) {
		if captures(st.filter) {
			return true
		}
	}
	return captures(n.left) || captures(n.right) || captures(n.group)
}

// compile makes the evaluation of n, with the filters and the grouping that
// follow it.
func (k *compiler) compile(n *node) eval {
	k.depth++
	defer func() { k.depth-- }()
	run, unsettled := k.compileKind(n)
	if n.kind == nCall && n.tail {
		return run // whoever called the function settles it; a grouping is lost, as in the library
	}
	for _, st := range n.predicates {
		run, unsettled = k.filtered(run, k.filter(st)), true
	}
	if n.group != nil && n.kind != nPath {
		inner, group := run, k.group(n.group)
		run = func(c *run_, f *frame, in item) item { return group(c, f, inner(c, f, in)) }
	}
	if !unsettled {
		return run
	}
	if n.keepArray {
		return func(c *run_, f *frame, in item) item {
			a := run(c, f, in)
			if a.x != nil && a.x.flags&sequence != 0 && a.x.kind != ofTuples {
				a = a.with(a.x.flags | keepSingleton)
			}
			return settle(a)
		}
	}
	return func(c *run_, f *frame, in item) item {
		a := run(c, f, in)
		if a.x == nil {
			return a
		}
		return settle(a)
	}
}

// run_ is run, where a variable of that name is in the way.
type run_ = run

// compileKind also reports whether the result may be a sequence that has to be
// settled.
func (k *compiler) compileKind(n *node) (eval, bool) {
	switch n.kind {
	case nPath:
		return k.path(n), true
	case nName:
		name := n.text
		return func(c *run, _ *frame, in item) item { return lookup(c, in, name) }, true
	case nString, nNumber, nLiteral:
		v := plain(n.num)
		return func(c *run, _ *frame, _ item) item { c.step(1); return v }, false
	case nVariable:
		return k.variable(n), true
	case nWildcard:
		return wildcard, true
	case nDescendant:
		return descendants, true
	case nParent:
		return k.lookup(n.slot.label, false), true
	case nBinary:
		return k.binary(n), false
	case nUnary:
		return k.negate(n), false
	case nArray:
		return k.array(n), true
	case nObject:
		return k.group(n), false
	case nBlock:
		return k.block(n), true
	case nCondition:
		return k.condition(n), true
	case nBind:
		return k.bind(n), true
	case nLambda:
		return k.lambda(n), false
	case nCall:
		return k.call(n), true
	case nPartial:
		return k.partial(n), false
	case nApply:
		return k.apply(n), true
	case nTransform:
		return k.transform(n), false
	case nRegex:
		f := functionItem(n.re.function())
		passed(f)
		return func(*run, *frame, item) item { return f }, false
	case nHole:
		return func(*run, *frame, item) item { return hole }, false
	case nSort:
		fail("S0206").at(n.pos).withToken("^").raise()
	}
	fail("S0206").at(n.pos).withToken(n.text).raise()
	return nil, false
}

// slotRef leads to a variable from a frame.
type slotRef struct{ hops, slot int }

// resolve lists where the variable name may be, innermost first. The last one
// is certain to be bound if certain says so.
func (k *compiler) resolve(name string) (refs []slotRef, certain bool) {
	hops := 0
	for s := k.scope; s != nil; s = s.up {
		if i, ok := s.slots[name]; ok {
			refs = append(refs, slotRef{hops, i})
			if s.always {
				return refs, true
			}
		}
		if s.up != nil && s.up.layout != s.layout {
			hops++
		}
	}
	return refs, false
}

func (r slotRef) find(f *frame) *item {
	for range r.hops {
		f = f.up
	}
	return &f.vars[r.slot]
}

func (k *compiler) variable(n *node) eval {
	switch n.text {
	case "":
		return func(c *run, _ *frame, in item) item {
			c.step(1)
			if in.is(outerWrapper) {
				return in.at(0)
			}
			return in
		}
	case "$":
		return func(c *run, _ *frame, _ item) item { c.step(1); return c.root }
	}
	return k.lookup(n.text, true)
}

// lookup compiles the reading of a variable; free says that one from outside
// or a built-in function of that name will do.
func (k *compiler) lookup(name string, free bool) eval {
	refs, certain := k.resolve(name)
	if certain && len(refs) == 1 {
		ref := refs[0]
		switch ref.hops {
		case 0:
			return func(c *run, f *frame, _ item) item { c.step(1); return f.vars[ref.slot] }
		case 1:
			return func(c *run, f *frame, _ item) item { c.step(1); return f.up.vars[ref.slot] }
		}
	}
	otherwise := func(*run) item { return undefined }
	if free && !certain {
		otherwise = k.free(name)
	}
	if len(refs) == 0 {
		return func(c *run, _ *frame, _ item) item { c.step(1); return otherwise(c) }
	}
	return func(c *run, f *frame, _ item) item {
		c.step(1)
		for _, ref := range refs {
			if v := ref.find(f); v.x != unbound.x {
				return *v
			}
		}
		return otherwise(c)
	}
}

// free compiles the reading of a variable from outside, or of a built-in
// function if there is none.
func (k *compiler) free(name string) func(c *run) item {
	i, ok := k.outerIdx[name]
	if !ok {
		i = len(k.outer)
		k.outer = append(k.outer, name)
		k.outerIdx[name] = i
	}
	var builtin item
	if f, ok := k.dialect[name]; ok {
		builtin = functionItem(f)
	}
	return func(c *run) item {
		if c.outer == nil {
			return builtin
		}
		if !c.looked[i] {
			c.looked[i] = true
			c.outer[i] = builtin
			if v, ok := c.env.Variables(name); ok {
				c.outer[i] = plain(v)
			}
		}
		return c.outer[i]
	}
}

func (k *compiler) bind(n *node) eval {
	right := k.compile(n.right)
	var ref slotRef
	for s, hops := k.scope, 0; s != nil; s = s.up {
		if i, ok := s.slots[n.text]; ok {
			ref = slotRef{hops, i}
			break
		}
		if s.up != nil && s.up.layout != s.layout {
			hops++
		}
	}
	return func(c *run, f *frame, in item) item {
		v := right(c, f, in)
		*ref.find(f) = v
		return v
	}
}

// opened compiles what stands in a scope of its own that n opens: run is
// compiled inside, and what is returned readies the scope around it.
func (k *compiler) opened(n []*node, compile func() eval) eval {
	var names []string
	makesFunctions := false
	for _, x := range n {
		names = assigned(x, names)
		makesFunctions = makesFunctions || captures(x)
	}
	if len(names) == 0 {
		return compile()
	}
	if makesFunctions || k.scope == nil {
		s := k.open(names, true)
		run := compile()
		k.close()
		return func(c *run_, f *frame, in item) item {
			return run(c, newFrame(c, s.layout.size, f), in)
		}
	}
	s := k.open(names, false)
	run := compile()
	k.close()
	slots := make([]int, 0, len(s.slots))
	for _, slot := range s.slots {
		slots = append(slots, slot)
	}
	sort.Ints(slots)
	return func(c *run_, f *frame, in item) item {
		for _, slot := range slots {
			f.vars[slot] = unbound
		}
		return run(c, f, in)
	}
}

func newFrame(c *run, size int, up *frame) *frame {
	c.alloc(64 + 32*size)
	f := &frame{vars: make([]item, size), up: up}
	for i := range f.vars {
		f.vars[i] = unbound
	}
	return f
}

func (k *compiler) block(n *node) eval {
	return k.opened(n.list, func() eval {
		runs := make([]eval, len(n.list))
		for i, x := range n.list {
			runs[i] = k.compile(x)
		}
		switch len(runs) {
		case 0:
			return func(*run, *frame, item) item { return undefined }
		case 1:
			return runs[0]
		}
		last := runs[len(runs)-1]
		runs = runs[:len(runs)-1]
		return func(c *run, f *frame, in item) item {
			for _, r := range runs {
				r(c, f, in)
			}
			return last(c, f, in)
		}
	})
}

func (k *compiler) condition(n *node) eval {
	test, then := k.compile(n.list[0]), k.compile(n.list[1])
	otherwise := func(*run, *frame, item) item { return undefined }
	if n.list[2] != nil {
		otherwise = k.compile(n.list[2])
	}
	return func(c *run, f *frame, in item) item {
		if truthy(c, test(c, f, in)) {
			return then(c, f, in)
		}
		return otherwise(c, f, in)
	}
}

func (k *compiler) negate(n *node) eval {
	operand, pos := k.compile(n.left), n.pos
	return func(c *run, f *frame, in item) item {
		a := operand(c, f, in)
		if a.isUndefined() {
			return a
		}
		if !isNumeric(a) {
			fail("D1002").at(pos).withToken("-").withValue(a).raise()
		}
		return number(-a.float())
	}
}

func (k *compiler) array(n *node) eval {
	type part struct {
		run   eval
		whole bool
	}
	parts := make([]part, len(n.list))
	for i, x := range n.list {
		parts[i] = part{k.compile(x), x.kind == nArray}
	}
	flags := arrayFlags(0)
	if n.whole {
		flags = constructed
	}
	if len(parts) == 1 && n.list[0].kind == nBinary && n.list[0].text == ".." {
		return func(c *run, f *frame, in item) item { // [a..b] is not copied
			a := parts[0].run(c, f, in)
			if a.isUndefined() {
				return plain(value.EmptyArray).with(flags)
			}
			return a.with(flags)
		}
	}
	return func(c *run, f *frame, in item) item {
		var l list
		if len(parts) > 4 {
			l.grow(c, len(parts))
		}
		for i := range parts {
			a := parts[i].run(c, f, in)
			switch {
			case a.isUndefined():
			case parts[i].whole || !a.isArray():
				l.push(c, a)
			default:
				l.pushAll(c, a)
			}
		}
		return l.array(flags)
	}
}

func (k *compiler) binary(n *node) eval {
	left, right, op, pos := k.compile(n.left), k.compile(n.right), n.text, n.pos
	inOrder := func(f *fault) *fault { return f.at(pos).withToken(op) }
	self := &site{name: str(op), pos: pos, force: true}
	blamed := func(c *run, f *frame, in item) item {
		c.calls = append(c.calls, self)
		a := right(c, f, in)
		c.calls = c.calls[:len(c.calls)-1]
		return a
	}
	switch op {
	case "+", "-", "*", "/", "%":
		return arithmetic(left, right, op, pos)
	case "and":
		return func(c *run, f *frame, in item) item {
			return boolean(truthy(c, left(c, f, in)) && truthy(c, blamed(c, f, in)))
		}
	case "or":
		return func(c *run, f *frame, in item) item {
			return boolean(truthy(c, left(c, f, in)) || truthy(c, blamed(c, f, in)))
		}
	case "=", "!=":
		want := op == "="
		return func(c *run, f *frame, in item) item {
			a, b := left(c, f, in), right(c, f, in)
			c.step(1)
			if a.isUndefined() || b.isUndefined() {
				return no
			}
			return boolean(equal(c, a, b) == want)
		}
	case "<", "<=", ">", ">=":
		return comparison(left, right, op, inOrder)
	case "&":
		return k.concatenation(n, left, right)
	case "in":
		return func(c *run, f *frame, in item) item {
			a, b := left(c, f, in), right(c, f, in)
			return boolean(contained(c, a, b))
		}
	case "..":
		return func(c *run, f *frame, in item) item {
			a, b := left(c, f, in), right(c, f, in)
			return numberRange(c, a, b, inOrder)
		}
	}
	fail("S0204").at(pos).withToken(op).raise()
	return nil
}

// concatenation joins a & b & c at once.
func (k *compiler) concatenation(n *node, left, right eval) eval {
	parts := []eval{left, right}
	for l := n.left; l.kind == nBinary && l.text == "&" && l.predicates == nil && l.group == nil && !l.keepArray; l = l.left {
		k.depth++
		parts = append([]eval{k.compile(l.left), k.compile(l.right)}, parts[1:]...)
	}
	for l := n.left; l.kind == nBinary && l.text == "&" && l.predicates == nil && l.group == nil && !l.keepArray; l = l.left {
		k.depth--
	}
	return func(c *run, f *frame, in item) item {
		var buf [8]string
		texts := buf[:0]
		size := 0
		a, b := parts[0](c, f, in), parts[1](c, f, in)
		texts = append(texts, text(c, a), text(c, b))
		for _, part := range parts[2:] {
			texts = append(texts, text(c, part(c, f, in)))
		}
		split := false
		for _, t := range texts {
			size += len(t)
			split = split || isHighSurrogateEnd(t)
		}
		c.step(1 + size>>6)
		c.alloc(size + 16)
		joined := strings.Join(texts, "")
		if split {
			joined = joinSurrogates(joined)
		}
		return str(joined)
	}
}

func arithmetic(left, right eval, op string, pos int) eval {
	slow := func(a, b item) (item, bool) {
		if !a.isUndefined() && !numericAt(a, op, pos) {
			fail("T2001").at(pos).withToken(op).withValue(a).raise()
		}
		if !b.isUndefined() && !numericAt(b, op, pos) {
			fail("T2002").at(pos).withToken(op).withValue(b).raise()
		}
		return undefined, a.isUndefined() || b.isUndefined()
	}
	operate := func(a, b float64) float64 { return a + b }
	switch op {
	case "-":
		operate = func(a, b float64) float64 { return a - b }
	case "*":
		operate = func(a, b float64) float64 { return a * b }
	case "/":
		operate = func(a, b float64) float64 { return a / b }
	case "%":
		operate = math.Mod
	}
	return func(c *run, f *frame, in item) item {
		a, b := left(c, f, in), right(c, f, in)
		c.step(1)
		if a.x != nil || b.x != nil || a.v.Kind() != value.Number || b.v.Kind() != value.Number {
			if v, done := slow(a, b); done {
				return v
			}
		}
		x, y := a.v.Float(), b.v.Float()
		if x-x != 0 || y-y != 0 {
			slow(number(x), number(y))
		}
		return number(operate(x, y))
	}
}

func comparison(left, right eval, op string, inOrder func(*fault) *fault) eval {
	comparable := func(a item) bool { t := a.typ(); return t == tUndefined || t == tString || t == tNumber }
	return func(c *run, f *frame, in item) item {
		a, b := left(c, f, in), right(c, f, in)
		c.step(1)
		if !comparable(a) || !comparable(b) {
			v := a
			if t := a.typ(); t == tString || t == tNumber {
				v = b
			}
			inOrder(fail("T2010").withValue(v)).raise()
		}
		if a.isUndefined() || b.isUndefined() {
			return undefined
		}
		if a.typ() != b.typ() {
			x := fail("T2009").withValue(a)
			x.value2 = b
			inOrder(x).raise()
		}
		var less, same bool
		if a.typ() == tString {
			o := compareText(a.str(), b.str())
			less, same = o < 0, o == 0
		} else {
			x, y := a.float(), b.float()
			less, same = x < y, x == y
			if x != x || y != y {
				return no
			}
		}
		switch op {
		case "<":
			return boolean(less)
		case "<=":
			return boolean(less || same)
		case ">":
			return boolean(!less && !same)
		}
		return boolean(!less)
	}
}

// isNumeric reports whether a is a number; an infinity is an error.
func isNumeric(a item) bool {
	if a.typ() != tNumber {
		return false
	}
	f := a.float()
	if math.IsInf(f, 0) {
		fail("D1001").withValue(a).raise()
	}
	return f == f
}

func numericAt(a item, op string, pos int) bool {
	if a.typ() == tNumber && math.IsInf(a.float(), 0) {
		fail("D1001").withValue(a).at(pos).withToken(op).raise()
	}
	return isNumeric(a)
}

func contained(c *run, a, b item) bool {
	if a.isUndefined() || b.isUndefined() {
		return false
	}
	if !b.isArray() {
		return identical(a, b)
	}
	c.step(b.len())
	for i := range b.len() {
		if identical(a, b.at(i)) {
			return true
		}
	}
	return false
}

// identical is equality of what has no parts; two arrays or objects made apart
// are never identical.
func identical(a, b item) bool {
	if a.typ() != b.typ() {
		return false
	}
	switch a.typ() {
	case tNumber:
		return a.float() == b.float()
	case tString:
		return a.str() == b.str()
	case tBool:
		return a.v.Bool() == b.v.Bool()
	case tNull:
		return true
	case tFunction:
		return a.x.fn == b.x.fn
	}
	return false
}

const maxRange = 10_000_000

func numberRange(c *run, a, b item, inOrder func(*fault) *fault) item {
	whole := func(a item) bool {
		f := a.float()
		return a.typ() == tNumber && f == math.Trunc(f) && !math.IsInf(f, 0)
	}
	if !a.isUndefined() && !whole(a) {
		inOrder(fail("T2003").withValue(a)).raise()
	}
	if !b.isUndefined() && !whole(b) {
		inOrder(fail("T2004").withValue(b)).raise()
	}
	if a.isUndefined() || b.isUndefined() || a.float() > b.float() {
		return undefined
	}
	lo, hi := a.float(), b.float()
	if hi-lo+1 > maxRange {
		inOrder(fail("D2014").withValue(number(hi - lo + 1))).raise()
	}
	return rangeOf(c, int64(lo), int(hi-lo+1))
}

// truthy is what $boolean makes of a, nothing counting as false.
func truthy(c *run, a item) bool {
	switch a.typ() {
	case tBool:
		return a.v.Bool()
	case tString:
		return a.str() != ""
	case tNumber:
		return isNumeric(a) && a.float() != 0
	case tObject:
		return a.size() > 0
	case tFunction: // an object to the library, unless it came as an argument
		return !a.is(asArgument) && !a.x.fn.script
	case tArray:
		if a.len() == 1 {
			return truthy(c, a.at(0))
		}
		c.step(a.len())
		found := false
		for i := range a.len() { // all of them: an infinity among them is an error
			found = truthy(c, a.at(i)) || found
		}
		return found
	}
	return false
}

// equal compares the contents of values.
func equal(c *run, a, b item) bool {
	if a.x == nil && b.x == nil {
		switch ka, kb := a.v.Kind(), b.v.Kind(); {
		case ka != kb:
			return false
		case ka == value.String:
			c.step(len(a.str()) >> 5)
			return a.str() == b.str()
		case ka == value.Number:
			return a.v.Float() == b.v.Float()
		}
	}
	return equalParts(c, a, b, 0)
}

func equalParts(c *run, a, b item, depth int) bool {
	if c.step(1); depth > value.DefaultMaxDepth+100 {
		c.stackOverflow()
	}
	if a.typ() != b.typ() {
		return false
	}
	switch a.typ() {
	case tArray:
		if a.len() != b.len() {
			return false
		}
		for i := range a.len() {
			if !equalParts(c, a.at(i), b.at(i), depth+1) {
				return false
			}
		}
		return true
	case tObject:
		if a.size() != b.size() {
			return false
		}
		for i := range a.size() {
			key, x := a.member(i)
			y := b.get(key)
			if !equalParts(c, x, y, depth+1) {
				return false
			}
		}
		return true
	}
	return a.isUndefined() || identical(a, b)
}

// lookup is the member name of an object, or of each object in an array.
func lookup(c *run, in item, name string) item {
	c.step(1)
	if in.x == nil {
		switch in.v.Kind() {
		case value.Object:
			return item{v: in.v.Get(name)}
		case value.Array:
			return lookupAll(c, in, name, 0)
		}
		return undefined
	}
	if in.x.kind == ofObject {
		return in.get(name)
	}
	if in.isArray() {
		return lookupAll(c, in, name, 0)
	}
	return undefined
}

func lookupAll(c *run, in item, name string, depth int) item {
	if depth > value.DefaultMaxDepth {
		c.stackOverflow()
	}
	var l list
	c.step(in.len())
	for i := range in.len() {
		var a item
		if x := in.at(i); x.isArray() {
			a = lookupAll(c, x, name, depth+1)
		} else {
			a = x.get(name)
		}
		switch {
		case a.isUndefined():
		case a.isArray():
			l.pushAll(c, a)
		default:
			l.push(c, a)
		}
	}
	return l.array(sequence)
}

// wildcard gives the values of all members, arrays flattened.
func wildcard(c *run, _ *frame, in item) item {
	if in.is(outerWrapper) && in.len() > 0 {
		in = in.at(0)
	}
	var l list
	flags := sequence
	add := func(a item) {
		c.step(1)
		if a.isUndefined() {
			return
		}
		if !a.isArray() {
			l.push(c, a)
			return
		}
		flatten(c, &l, a, 0)
		flags = 0 // joining arrays gives an array that is no sequence
	}
	switch in.typ() {
	case tObject:
		for i := range in.size() {
			_, a := in.member(i)
			add(a)
		}
	case tArray:
		for i := range in.len() {
			add(in.at(i))
		}
		// To the library the marks of a sequence are members like any other.
		for _, mark := range []arrayFlags{sequence, keepSingleton} {
			if in.is(mark) {
				add(yes)
			}
		}
	}
	return l.array(flags)
}

func flatten(c *run, l *list, a item, depth int) {
	c.step(1)
	if depth > value.DefaultMaxDepth {
		c.stackOverflow()
	}
	if !a.isArray() {
		l.push(c, a)
		return
	}
	for i := range a.len() {
		flatten(c, l, a.at(i), depth+1)
	}
}

// descendants gives the context and everything below it except arrays
// themselves.
func descendants(c *run, _ *frame, in item) item {
	if in.isUndefined() {
		return undefined
	}
	var l list
	descend(c, &l, in, 0)
	if l.len() == 1 {
		return l.at(0)
	}
	return l.array(sequence)
}

func descend(c *run, l *list, a item, depth int) {
	c.step(1)
	if depth > value.DefaultMaxDepth {
		c.stackOverflow()
	}
	switch a.typ() {
	case tArray:
		for i := range a.len() {
			descend(c, l, a.at(i), depth+1)
		}
		return
	case tObject:
		l.push(c, a)
		for i := range a.size() {
			_, x := a.member(i)
			descend(c, l, x, depth+1)
		}
		return
	}
	l.push(c, a)
}

// concat joins two strings; the halves of a surrogate pair become one.
func concat(c *run, a, b string) string {
	c.step(1 + (len(a)+len(b))>>6)
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	c.alloc(len(a) + len(b) + 16)
	s := a + b
	if isHighSurrogateEnd(a) {
		s = joinSurrogates(s)
	}
	return s
}
