// Package jsonata evaluates JSONata 2.0.6, in the dialect of AWS Step Functions.
//
// An expression is compiled once and evaluated often:
//
//	expr, err := jsonata.Compile(`$sum(items.(price * quantity))`)
//	if err != nil { … }
//	result, err := expr.Eval(input, nil)
//
// What an evaluation depends on besides its input is given to it: variables, the
// time and chance come from Env, and what it may use is bounded by counted
// Limits. So the same call gives the same result, and an expression that is
// stopped here is stopped everywhere. Nothing in this package reads a clock or
// starts a goroutine.
//
// The dialect is the library's, except that there is no $eval and that
// $partition, $range, $hash, $random with a seed, $uuid and $parse are there.
// Where JavaScript would order the members of an object that look like integers
// first, the order in which they were written is kept, as Step Functions does.
package jsonata

import (
	"slices"
	"sync"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Expr is a compiled expression. It is immutable and may be evaluated by many
// goroutines at once.
type Expr struct {
	text   string
	run    eval
	size   int // of the outermost frame
	outer  []string
	states []string

	// What most expressions are: names that lead from the context, or from a
	// variable, to a value.
	direct   bool
	variable string
	names    []string
}

// Env is what an evaluation may use. The zero Env gives it no variables, the
// time 0 and the same chance every time.
type Env struct {
	// Variables gives the value of $name, for each name at most once per
	// evaluation; ok is false where there is none. A variable hides the
	// built-in function of its name.
	Variables func(name string) (v value.Value, ok bool)

	// Millis is the time of $now and $millis, in milliseconds since 1970 (UTC),
	// asked for at most once per evaluation.
	Millis func() int64

	// Random gives the chance behind $random, $shuffle and $uuid: 64 bits each
	// time.
	Random func() uint64

	// Limits bound what the evaluation may use.
	Limits Limits

	// Deadline is asked now and then, some thousand times per second, whether
	// to give up; the error is then that of a timeout. It is meant as the last
	// resort of a caller that has a clock.
	Deadline func() bool

	// note is told of what the library does in a way of its own. It is for tests.
	note func(quirk)
}

// Result is what an expression comes to.
type Result struct {
	// Value is the result as JSON, Absent where there is none.
	Value value.Value

	// Undefined says that the expression came to nothing at all.
	Undefined bool

	// Function says that the result is a function or contains one, which JSON
	// cannot hold; in Value it is null.
	Function bool
}

// Compile reads an expression. The error is an *Error. Bytes that are not UTF-8
// stand for U+FFFD, but for halves of surrogate pairs, which JavaScript's strings
// may hold.
func Compile(text string) (expr *Expr, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*fault)
			if !ok {
				panic(r)
			}
			expr, err = nil, f.error(text)
		}
	}()
	text = decoded(text)
	tree := shape(parse(text))
	k := &compiler{dialect: builtins, outerIdx: map[string]int{}}
	e := &Expr{text: text}
	s := k.open(assigned(tree, nil), true)
	e.run = k.compile(tree)
	e.size = s.layout.size
	e.outer = k.outer
	e.states = statesOf(tree)
	e.findNames(tree)
	return e, nil
}

// findNames notes the names if the expression is nothing else.
func (e *Expr) findNames(n *node) {
	if n.kind != nPath || n.singleton || n.keepArray || n.group != nil || n.tuple {
		return
	}
	for i, st := range n.list {
		isVariable := i == 0 && st.kind == nVariable && st.text != "" && st.text != "$" && len(n.list) > 1
		if !isVariable && st.kind != nName || st.stages != nil || st.predicates != nil || st.group != nil || st.tuple || st.keepArray {
			return
		}
		if isVariable {
			e.variable = st.text
		} else {
			e.names = append(e.names, st.text)
		}
	}
	e.direct = true
}

// follow goes along the names for as long as that is all there is to it; where
// an array is met on the way the expression has to be evaluated.
func (e *Expr) follow(in value.Value, env *Env) (value.Value, bool) {
	if e.variable != "" {
		if env == nil || env.Variables == nil {
			return in, false
		}
		v, ok := env.Variables(e.variable)
		if in = v; !ok {
			return in, false
		}
	}
	for _, name := range e.names {
		if in.Kind() != value.Object {
			return in, false
		}
		in = in.Get(name)
	}
	return in, !in.IsAbsent()
}

// Text is the text that the expression was compiled from.
func (e *Expr) Text() string { return e.text }

// Variables lists the names, without $, that the expression may read from
// outside, in the order in which they occur. Parameters of functions and names
// of built-in functions are not among them; a name that the expression assigns
// is, since it may be read before.
func (e *Expr) Variables() []string {
	var names []string
	for _, name := range e.outer {
		if _, ok := builtins[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// StatesMembers lists the members of $states that the expression names, such as
// "input" or "errorOutput", sorted. Where $states is used as a whole, "" is
// among them.
func (e *Expr) StatesMembers() []string { return slices.Clone(e.states) }

// Eval evaluates the expression for the context value in, which is what $ and
// the names in the expression refer to; Absent is no context. The error is an
// *Error.
func (e *Expr) Eval(in value.Value, env *Env) (result Result, err error) {
	if e.direct {
		if v, ok := e.follow(in, env); ok {
			return Result{Value: v}, nil
		}
	}
	return e.eval(in, env)
}

func (e *Expr) eval(in value.Value, env *Env) (result Result, err error) {
	c := runs.Get().(*run)
	c.begin(env)
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*fault)
			if !ok {
				panic(r)
			}
			c.blame(f)
			result, err = Result{}, f.error(e.text)
		}
	}()
	c.expr = e
	if n := len(e.outer); n > 0 && c.env.Variables != nil {
		c.outer, c.looked = make([]item, n), make([]bool, n)
	}
	f := noFrame
	if e.size > 0 {
		f = newFrame(c, e.size, nil)
	}
	root := plain(in)
	if in.Kind() == value.Array {
		root = plain(value.ArrayOf([]value.Value{in})).with(sequence | outerWrapper)
	}
	c.root = root
	result = c.result(c.finish(e.run(c, f, root), root))
	// Nothing of the run is in its result. One that has failed may be in its error.
	*c = run{}
	runs.Put(c)
	return result, nil
}

// runs are ready for use again: most evaluations are short, and making the run
// was a good part of them.
var runs = sync.Pool{New: func() any { return &run{} }}

var noFrame = &frame{}

// result turns the outcome into JSON, within the limits.
func (c *run) result(r item) Result {
	if r.isUndefined() || r.isTuples() && r.len() == 0 {
		return Result{Undefined: true}
	}
	if r.isFunction() {
		return Result{Value: value.NullValue, Function: true}
	}
	v, hasFunction := c.json(r)
	if c.made > 0 {
		c.measure(v, 0)
	}
	return Result{Value: v, Function: hasFunction}
}

// measure stops a result that is too deep, or too large as JSON: parts that are
// used many times take little memory but as much text as they are used.
func (c *run) measure(v value.Value, depth int) {
	if depth > value.DefaultMaxDepth {
		c.stackOverflow()
	}
	if c.measured++; c.measured%deadlineEvery == 0 {
		c.pause()
	}
	switch v.Kind() {
	case value.Array:
		c.output -= 2 + v.Len()
		for i := range v.Len() {
			c.measure(v.At(i), depth+1)
		}
	case value.Object:
		c.output -= 2 + 4*v.Len()
		for i := range v.Len() {
			c.output -= len(v.Key(i))
			c.measure(v.At(i), depth+1)
		}
	case value.String:
		c.output -= 2 + len(v.Str())
	default:
		c.output--
	}
	if c.output < 0 {
		c.limit(memoryMessage)
	}
}

// statesOf finds the members of $states that an expression uses.
func statesOf(root *node) []string {
	found := map[string]bool{}
	var walk func(n *node)
	use := func(n *node) { found[""] = found[""] || n.kind == nVariable && n.text == "states" }
	walk = func(n *node) {
		if n == nil {
			return
		}
		list := n.list
		if n.kind == nPath && list[0].kind == nVariable && list[0].text == "states" && len(list) > 1 && list[1].kind == nName && len(list[0].stages)+len(list[0].predicates) == 0 {
			found[list[1].text] = true
			walkStages(list[1], walk)
			list = list[2:]
		}
		use(n)
		walk(n.left)
		walk(n.right)
		for _, x := range list {
			walk(x)
		}
		for _, p := range n.pairs {
			walk(p[0])
			walk(p[1])
		}
		for _, t := range n.terms {
			walk(t.expr)
		}
		walkStages(n, walk)
	}
	walk(root)
	var names []string
	for name, ok := range found {
		if ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func walkStages(n *node, walk func(*node)) {
	for _, st := range n.predicates {
		walk(st.filter)
	}
	for _, st := range n.stages {
		walk(st.filter)
	}
	walk(n.group)
}
