package jsonata

import (
	"math"
	"slices"

	"github.com/lockstep-run/lockstep/asl/value"
)

// A path sends a sequence through steps. Most steps evaluate an expression for
// each item and join what comes out. From the first step on that binds a
// variable (@ or #) or that a % further on refers to, the sequence becomes a
// stream of tuples: frames that carry variables along with the item.

// step is a compiled step of a path.
type step struct {
	name   string // of a step that is just a name without filters
	run    eval
	sort   *sorter
	stages []stageRun
	whole  bool // an array constructor at the start: evaluated once
	tuple  bool
	focus  bool // keeps the context of the step before
	// Slots of the variables that the step binds, or -1.
	focusSlot, indexSlot, ancestorSlot int
}

type stageRun struct {
	filter *filter // or
	index  int     // the slot that gets the position
}

// tupleVars says which slots of a tuple hold which variables.
type tupleVars struct {
	names  []string
	scope  *scope
	layout *layout
}

func (t *tupleVars) slot(name string) int {
	if i, ok := t.scope.slots[name]; ok {
		return i
	}
	return -1
}

// object is a tuple as an object, which is what the library mistakes tuples for
// once they have been sorted.
func (t *tupleVars) object(c *run, f *frame) item {
	m := newMembers(1)
	m.add(c, "@", f.at)
	for i, name := range t.names {
		if v := f.vars[t.slot(name)]; v.x != unbound.x && !slices.Contains(t.names[:i], name) {
			m.add(c, name, v)
		}
	}
	return m.object()
}

type path struct {
	steps    []step
	singleOK bool // keep a singleton an array
	tuples   *tupleVars
	first    int  // the first tuple step
	stream   bool // hand the tuples on
	relative bool // an array as context is the sequence
	group    func(c *run, f *frame, in item) item
}

func (k *compiler) path(n *node) eval {
	p := &path{singleOK: n.singleton, stream: n.tuple, first: len(n.list), relative: n.list[0].kind != nVariable}
	for i, st := range n.list {
		if st.tuple {
			p.first = i
			break
		}
	}
	if p.first == 0 && n.list[0].whole { // evaluated once, before there are tuples
		p.first = 1
	}
	for i, st := range n.list {
		if i == p.first {
			p.tuples = k.openTuples(n.list)
		}
		p.steps = append(p.steps, k.step(st, i, p.tuples))
	}
	if n.group != nil {
		p.group = k.group(n.group)
	}
	if p.tuples != nil {
		k.close()
		return p.evalTuples
	}
	if plainNames(p) {
		return p.namesOnly()
	}
	return p.eval
}

// openTuples opens the scope of the variables that these steps bind.
func (k *compiler) openTuples(steps []*node) *tupleVars {
	t := &tupleVars{}
	for _, st := range steps {
		t.names = bound(st, t.names)
	}
	t.scope = k.open(t.names, true)
	t.layout = t.scope.layout
	return t
}

// bound lists the variables that the step n puts into tuples, also on behalf of
// a path inside of it.
func bound(n *node, names []string) []string {
	for _, name := range []string{n.focus, n.index} {
		if name != "" {
			names = append(names, name)
		}
	}
	if n.ancestor != nil {
		names = append(names, n.ancestor.label)
	}
	for _, st := range n.stages {
		if st.index != "" {
			names = append(names, st.index)
		}
	}
	switch {
	case n.kind == nPath && n.tuple:
		for _, st := range n.list {
			names = bound(st, names)
		}
	case n.kind == nBlock && len(n.list) > 0:
		names = bound(n.list[len(n.list)-1], names)
	}
	return names
}

func (k *compiler) step(n *node, i int, t *tupleVars) step {
	s := step{whole: i == 0 && n.whole, tuple: n.tuple, focus: n.focus != "", focusSlot: -1, indexSlot: -1, ancestorSlot: -1}
	if t != nil {
		if n.focus != "" {
			s.focusSlot = t.slot(n.focus)
		}
		if n.index != "" {
			s.indexSlot = t.slot(n.index)
		}
		if n.ancestor != nil {
			s.ancestorSlot = t.slot(n.ancestor.label)
		}
	}
	if n.kind == nSort {
		s.sort = k.sorter(n)
	} else {
		s.run = k.inTuple(t, n)
		if n.kind == nName && len(n.predicates) == 0 && n.group == nil && !n.keepArray {
			s.name = n.text
		}
	}
	for _, st := range n.stages {
		sr := stageRun{index: -1}
		if st.filter != nil {
			sr.filter = k.filter(st)
		} else if t != nil {
			sr.index = t.slot(st.index)
		}
		s.stages = append(s.stages, sr)
	}
	return s
}

// inTuple compiles what is evaluated per tuple. What it assigns stays in there.
func (k *compiler) inTuple(t *tupleVars, n *node) eval {
	if t == nil {
		return k.compile(n)
	}
	return k.opened([]*node{n}, func() eval { return k.compile(n) })
}

func plainNames(p *path) bool {
	for _, s := range p.steps {
		if s.name == "" || s.stages != nil {
			return false
		}
	}
	return p.group == nil && !p.singleOK
}

// namesOnly is the path that almost every path is: a.b.c. As long as it meets
// no array it makes nothing.
func (p *path) namesOnly() eval {
	names := make([]string, len(p.steps))
	for i := range p.steps {
		names[i] = p.steps[i].name
	}
	return func(c *run, f *frame, in item) item {
		a := in
		for i, name := range names {
			c.step(1)
			if a.x != nil || a.v.Kind() != value.Object {
				if a.isArray() || a.x != nil {
					if i == 0 {
						return p.eval(c, f, in)
					}
					return p.from(c, f, i, a)
				}
				return undefined
			}
			a.v = a.v.Get(name)
		}
		return a
	}
}

func (p *path) eval(c *run, f *frame, in item) item {
	if in.isArray() && p.relative {
		return p.from(c, f, 0, in)
	}
	return p.through(c, f, 0, in, true)
}

// from goes on with step i, on what the step before gave.
func (p *path) from(c *run, f *frame, i int, a item) item {
	if a.isArray() {
		return p.through(c, f, i, a, false)
	}
	return p.through(c, f, i, a, true)
}

// through sends an item, or the items of an array, through the steps from i on.
func (p *path) through(c *run, f *frame, i int, a item, single bool) item {
	for ; i < len(p.steps); i++ {
		s := &p.steps[i]
		last := i == len(p.steps)-1
		switch {
		case s.whole && i == 0:
			if single {
				a = sequenceOf(c, a)
			}
			a, single = s.run(c, f, a), false
			if !a.isArray() { // filtered, and came to something else
				if a.isUndefined() || last || a.isString() && a.str() == "" {
					return p.done(c, f, a)
				}
				a = charactersOf(c, a)
			}
		case s.sort != nil:
			if single {
				a, single = sequenceOf(c, a), false
			}
			a = s.sort.sort(c, f, a)
			for _, st := range s.stages {
				if st.filter != nil {
					a = st.filter.apply(c, f, a)
				}
			}
		case single:
			r := s.once(c, f, a)
			switch {
			case r.isUndefined():
				return p.done(c, f, emptySequence)
			case !r.isArray() || r.is(constructed) && !last, r.is(constructed) && r.is(sequence):
				a = r
				if last {
					if p.group == nil && !p.singleOK {
						return r // as the sequence of one would settle
					}
					a, single = sequenceOf(c, r), false
				}
			case last && !r.is(sequence):
				a, single = r, false
			case r.is(constructed):
				a, single = sequenceOf(c, r), false
			default:
				a, single = r.with(sequence), false
			}
		default:
			a = s.each(c, f, a, last)
		}
		if !single && a.len() == 0 {
			break
		}
	}
	return p.done(c, f, a)
}

// charactersOf is what the library takes for the items of something that is no
// array: those of a string are its 16-bit units, anything else has none.
func charactersOf(c *run, a item) item {
	var out list
	if a.isString() {
		for _, u := range c.units(a.str()) {
			out.push(c, str(string(appendUnit(nil, u))))
		}
	}
	return out.array(sequence)
}

// done finishes the sequence that came out of the last step.
func (p *path) done(c *run, f *frame, a item) item {
	if p.singleOK && a.isArray() {
		if a.is(constructed) && !a.is(sequence) {
			a = sequenceOf(c, a)
		}
		a = a.with(a.flags() | keepSingleton)
	}
	if p.group != nil {
		return p.group(c, f, a)
	}
	return a
}

// once is the step for one item, with its filters but without flattening.
func (s *step) once(c *run, f *frame, a item) item {
	r := s.run(c, f, a)
	for _, st := range s.stages {
		if st.filter == nil {
			continue
		}
		if one, ok := st.filter.pick(r); ok {
			r = one // a sequence of one comes to the same
			continue
		}
		r = st.filter.apply(c, f, r)
	}
	return r
}

// pick is the item that a literal index selects, if it is no array itself.
func (fl *filter) pick(in item) (item, bool) {
	if !fl.literal || in.x != nil || !in.isArray() {
		return undefined, false
	}
	i := fl.index
	if i < 0 {
		i += float64(in.len())
	}
	if !(i >= 0 && i < float64(in.len())) {
		return undefined, false
	}
	a := in.at(int(i))
	return a, !a.isArray() && !a.isUndefined()
}

// each is the step for every item of an array: the results in one sequence,
// arrays among them flattened.
func (s *step) each(c *run, f *frame, a item, last bool) item {
	var out list
	var first item
	results, pending := 0, false
	n := a.len()
	for i := range n {
		var r item
		x := a.at(i)
		if s.name != "" && s.stages == nil && x.x == nil && x.v.Kind() == value.Object {
			c.step(1)
			r = item{v: x.v.Get(s.name)}
		} else {
			r = s.once(c, f, x)
		}
		if r.isUndefined() {
			continue
		}
		if results++; results == 1 && r.isArray() {
			first, pending = r, true
			continue
		}
		if pending {
			pending = false
			pushFlat(c, &out, first)
		}
		if results == 1 && n > 4 {
			out.grow(c, n)
		}
		pushFlat(c, &out, r)
	}
	if pending {
		if last && !first.is(sequence) {
			return first
		}
		if !first.is(constructed) {
			return first.with(sequence)
		}
		pushFlat(c, &out, first)
	}
	return out.array(sequence)
}

func pushFlat(c *run, out *list, r item) {
	if !r.isArray() || r.is(constructed) {
		out.push(c, r)
		return
	}
	out.pushAll(c, r)
}

// filter is a compiled predicate.
type filter struct {
	index   float64 // of a literal number
	literal bool
	test    eval
}

func (k *compiler) filter(st stage) *filter {
	if st.filter.kind == nNumber {
		return &filter{index: math.Floor(st.filter.num.Float()), literal: true}
	}
	return &filter{test: k.compile(st.filter)}
}

func (k *compiler) filtered(run eval, fl *filter) eval {
	return func(c *run_, f *frame, in item) item { return fl.apply(c, f, run(c, f, in)) }
}

// apply keeps the items of in that pass; what is no array counts as one item.
func (fl *filter) apply(c *run, f *frame, in item) item {
	if in.isTuples() {
		return fl.tuples(c, in)
	}
	c.step(1)
	n := 1
	if in.isArray() {
		n = in.len()
	}
	nth := func(i int) item {
		if in.isArray() {
			return in.at(i)
		}
		return in
	}
	var out list
	if fl.literal {
		i := fl.index
		if i < 0 {
			i += float64(n)
		}
		if i >= 0 && i < float64(n) {
			a := nth(int(i))
			if a.isArray() {
				return a
			}
			if !a.isUndefined() {
				out.push(c, a)
			}
		}
		return out.array(sequence)
	}
	for i := range n {
		a := nth(i)
		fl.keep(c, fl.test(c, f, a), i, n, func() { out.push(c, a) })
	}
	return out.array(sequence)
}

// keep calls push for each time that the outcome of the test selects item i of n.
func (fl *filter) keep(c *run, r item, i, n int, push func()) {
	if r.x == nil && r.v.Kind() == value.Bool { // the usual case
		if r.v.Bool() {
			push()
		}
		return
	}
	selected := func(a item) bool {
		at := math.Floor(a.float())
		if at < 0 {
			at += float64(n)
		}
		return at == float64(i)
	}
	switch {
	case isNumeric(r):
		if selected(r) {
			push()
		}
	case isArrayOfNumbers(c, r):
		c.step(r.len())
		for j := range r.len() {
			if selected(r.at(j)) {
				push()
			}
		}
	case truthy(c, r):
		push()
	}
}

func isArrayOfNumbers(c *run, a item) bool {
	if !a.isArray() {
		return false
	}
	c.step(a.len())
	for i := range a.len() {
		if !isNumeric(a.at(i)) {
			return false
		}
	}
	return true
}

func isArrayOfStrings(c *run, a item) bool {
	if !a.isArray() {
		return false
	}
	c.step(a.len())
	for i := range a.len() {
		if !a.at(i).isString() {
			return false
		}
	}
	return true
}

func tuplesItem(t *tupleVars, tuples []*frame) item {
	return item{v: value.EmptyArray, x: &extra{kind: ofTuples, flags: sequence, tuples: tuples, scope: t}}
}

func (fl *filter) tuples(c *run, in item) item {
	tuples, n := in.x.tuples, len(in.x.tuples)
	var out []*frame
	if fl.literal {
		i := fl.index
		if i < 0 {
			i += float64(n)
		}
		if i >= 0 && i < float64(n) {
			out = append(out, tuples[int(i)])
		}
		return tuplesItem(in.x.scope, out)
	}
	for i, t := range tuples {
		c.step(1)
		env, at := t, t.at
		if in.x.bare {
			env, at = newFrame(c, len(t.vars), t.up), in.x.scope.object(c, t)
		}
		fl.keep(c, fl.test(c, env, at), i, n, func() { out = append(out, t) })
	}
	kept := tuplesItem(in.x.scope, out)
	kept.x.bare = in.x.bare
	return kept
}

// evalTuples is the path that binds variables on the way.
func (p *path) evalTuples(c *run, f *frame, in item) item {
	a := in
	if !in.isArray() || !p.relative {
		a = sequenceOf(c, in)
	}
	i := 0
	for ; i < p.first; i++ {
		s := &p.steps[i]
		switch {
		case s.whole:
			if a = s.run(c, f, a); a.isArray() {
				break
			}
			if a.isString() && a.str() == "" && !s.tuple {
				return p.ended(c, f, a)
			}
			a = charactersOf(c, a)
		case s.sort != nil:
			a = s.sort.sort(c, f, a)
			for _, st := range s.stages {
				a = st.filter.apply(c, f, a)
			}
		default:
			a = s.each(c, f, a, false)
		}
		if a.len() == 0 && !s.tuple {
			return p.ended(c, f, a)
		}
	}
	var tuples item
	if s := &p.steps[i]; s.sort == nil {
		tuples = p.start(c, f, a)
	} else {
		tuples = p.number(c, s, p.start(c, f, s.sort.sort(c, f, a)))
		i++
	}
	for ; i < len(p.steps); i++ {
		tuples = p.tupleStep(c, &p.steps[i], tuples)
	}
	if p.group != nil {
		if tuples.x.bare {
			var objects list
			for _, t := range tuples.x.tuples {
				objects.push(c, p.tuples.object(c, t))
			}
			return p.group(c, newFrame(c, p.tuples.layout.size, f), objects.array(sequence))
		}
		return p.group(c, newFrame(c, p.tuples.layout.size, f), tuples)
	}
	if p.stream {
		return tuples
	}
	var out list
	for _, t := range tuples.x.tuples {
		out.push(c, t.at)
	}
	return p.done(c, f, out.array(sequence))
}

// ended is done for a path that ends before it has bound a variable.
func (p *path) ended(c *run, f *frame, a item) item {
	if p.group != nil { // it may look for variables, and finds none bound
		f = newFrame(c, p.tuples.layout.size, f)
	}
	return p.done(c, f, a)
}

// start makes a tuple without variables of each item.
func (p *path) start(c *run, f *frame, a item) item {
	tuples := make([]*frame, 0, a.len())
	for i := range a.len() {
		t := newFrame(c, p.tuples.layout.size, f)
		t.at = a.at(i)
		tuples = append(tuples, t)
	}
	return tuplesItem(p.tuples, tuples)
}

// number binds the position variable of a sort step and applies its filters.
func (p *path) number(c *run, s *step, tuples item) item {
	if s.indexSlot >= 0 {
		for i, t := range tuples.x.tuples {
			t.vars[s.indexSlot] = integer(i)
		}
	}
	return p.stages(c, s, tuples)
}

func (p *path) stages(c *run, s *step, tuples item) item {
	for _, st := range s.stages {
		if st.filter != nil {
			tuples = st.filter.tuples(c, tuples)
			continue
		}
		if st.index < 0 { // "#$": the variable without a name is the context, which stays
			continue
		}
		for i, t := range tuples.x.tuples {
			t.vars[st.index] = integer(i)
		}
	}
	return tuples
}

func (t *frame) extend(c *run) *frame {
	n := newFrame(c, len(t.vars), t.up)
	copy(n.vars, t.vars)
	n.at = t.at
	return n
}

func (p *path) tupleStep(c *run, s *step, in item) item {
	if s.sort != nil {
		sorted := tuplesItem(p.tuples, s.sort.tuples(c, in.x.tuples))
		sorted.x.bare = len(in.x.tuples) > 1
		return p.stages(c, s, sorted)
	}
	var out []*frame
	for _, t := range in.x.tuples {
		r := s.run(c, t, t.at)
		if r.isUndefined() {
			continue
		}
		if r.isTuples() {
			for _, inner := range r.x.tuples {
				n := t.extend(c)
				n.at = inner.at
				for _, name := range r.x.scope.names {
					if from, to := r.x.scope.slot(name), p.tuples.slot(name); from >= 0 && to >= 0 && inner.vars[from].x != unbound.x {
						n.vars[to] = inner.vars[from]
					}
				}
				out = append(out, n)
			}
			continue
		}
		n := 1
		if r.isArray() {
			n = r.len()
		}
		for i := range n {
			a := r
			if r.isArray() {
				a = r.at(i)
			}
			next := t.extend(c)
			if s.focusSlot >= 0 {
				next.vars[s.focusSlot] = a
			} else {
				next.at = a
			}
			if s.indexSlot >= 0 {
				next.vars[s.indexSlot] = integer(i)
			}
			if s.ancestorSlot >= 0 {
				next.vars[s.ancestorSlot] = t.at
			}
			out = append(out, next)
		}
	}
	return p.stages(c, s, tuplesItem(p.tuples, out))
}

// sorter is a compiled order-by clause.
type sorter struct {
	pos   int
	terms []sortKey
}

type sortKey struct {
	run        eval
	descending bool
}

func (k *compiler) sorter(n *node) *sorter {
	s := &sorter{pos: n.pos}
	for _, t := range n.terms {
		s.terms = append(s.terms, sortKey{k.compile(t.expr), t.descending})
	}
	return s
}

// entry is what is sorted, with the keys that have been evaluated so far.
type entry struct {
	item item
	f    *frame
	keys []item
}

func (s *sorter) key(c *run, e *entry, i int) item {
	for len(e.keys) <= i {
		e.keys = append(e.keys, s.terms[len(e.keys)].run(c, e.f, e.item))
	}
	return e.keys[i]
}

// entries makes room for n entries and their keys.
func (s *sorter) entries(c *run, n int) []*entry {
	c.alloc(n * (80 + 32*len(s.terms)))
	entries, backing, keys := make([]*entry, n), make([]entry, n), make([]item, n*len(s.terms))
	for i := range entries {
		backing[i].keys = keys[i*len(s.terms) : i*len(s.terms) : (i+1)*len(s.terms)]
		entries[i] = &backing[i]
	}
	return entries
}

func (s *sorter) sort(c *run, f *frame, a item) item {
	if a.len() <= 1 {
		return a
	}
	entries := s.entries(c, a.len())
	for i, e := range entries {
		e.item, e.f = a.at(i), f
	}
	var out list
	out.grow(c, len(entries))
	for _, e := range mergeSort(c, entries, s.after(c)) {
		out.push(c, e.item)
	}
	return out.array(0)
}

func (s *sorter) tuples(c *run, tuples []*frame) []*frame {
	entries := s.entries(c, len(tuples))
	for i, t := range tuples {
		entries[i].item, entries[i].f = t.at, t
	}
	byItem := make([]*frame, 0, len(tuples))
	for _, e := range mergeSort(c, entries, s.after(c)) {
		byItem = append(byItem, e.f)
	}
	return byItem
}

// after reports whether a comes after b.
func (s *sorter) after(c *run) func(a, b *entry) bool {
	return func(a, b *entry) bool {
		c.step(1)
		for i, t := range s.terms {
			x, y := s.key(c, a, i), s.key(c, b, i)
			if order := s.order(x, y, t.descending); order != 0 {
				return order > 0
			}
		}
		return false
	}
}

func (s *sorter) order(x, y item, descending bool) int {
	tx, ty := x.typ(), y.typ()
	switch {
	case tx == tUndefined && ty == tUndefined:
		return 0
	case tx == tUndefined: // last in either direction
		return 1
	case ty == tUndefined:
		return -1
	case tx != tString && tx != tNumber:
		fail("T2008").at(s.pos).withValue(x).raise()
	case ty != tString && ty != tNumber:
		fail("T2008").at(s.pos).withValue(y).raise()
	case tx != ty:
		f := fail("T2007").at(s.pos).withValue(x)
		f.value2 = y
		f.raise()
	}
	order := 0
	if tx == tString {
		order = compareText(x.str(), y.str())
	} else if a, b := x.float(), y.float(); a < b {
		order = -1
	} else if a != b { // NaN comes after whatever it is compared with
		order = 1
	}
	if descending {
		return -order
	}
	return order
}

// mergeSort sorts stably and in place, comparing in the order in which the
// library compares: which pair is found first to be not comparable is part of
// the error.
func mergeSort[T any](c *run, items []T, after func(a, b T) bool) []T {
	c.alloc(len(items) * 16)
	mergeInto(items, make([]T, (len(items)+1)/2), after)
	return items
}

func mergeInto[T any](items, scratch []T, after func(a, b T) bool) {
	if len(items) <= 1 {
		return
	}
	middle := len(items) / 2
	mergeInto(items[:middle], scratch, after)
	mergeInto(items[middle:], scratch, after)
	left, right, out := scratch[:copy(scratch, items[:middle])], items[middle:], items
	for len(left) > 0 && len(right) > 0 {
		if after(left[0], right[0]) {
			out[0], right = right[0], right[1:]
		} else {
			out[0], left = left[0], left[1:]
		}
		out = out[1:]
	}
	copy(out, left) // what is left on the right is in its place
}
