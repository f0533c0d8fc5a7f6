package jsonpath

import (
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Template is a compiled payload template: JSON in which the fields that end in
// ".$" hold a path or a call of an intrinsic function. It is immutable.
type Template struct {
	root  node
	refs  refs
	exprs int
}

// Problem is a mistake in a template.
type Problem struct {
	Pointer string // JSON pointer to the field, relative to the template
	Field   string // the key of the field, such as "a.$"
	Message string // in the words of the service
}

// node is a part of a template: an expression, an object or array with
// expressions somewhere inside, or, with none of these set, a value.
type node struct {
	expr    *Expr
	field   string // the key that held expr
	members []member
	items   []node
	v       value.Value
}

type member struct {
	key  string
	node node
}

// fixed reports whether there is nothing to evaluate.
func (n *node) fixed() bool { return n.expr == nil && n.members == nil && n.items == nil }

// CompileTemplate compiles v, which may be any JSON: what holds no ".$" field is
// its own value. If there are problems the template is nil.
func CompileTemplate(v value.Value) (*Template, []Problem) {
	c := compiler{template: &Template{}}
	c.template.root = c.node(v, "")
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return c.template, nil
}

type compiler struct {
	template *Template
	problems []Problem
}

func (c *compiler) node(v value.Value, pointer string) node {
	switch v.Kind() {
	case value.Object:
		return c.object(v, pointer)
	case value.Array:
		return c.array(v, pointer)
	}
	return node{v: v}
}

func (c *compiler) array(v value.Value, pointer string) node {
	items, fixed := make([]node, v.Len()), true
	for i, x := range v.Items() {
		items[i] = c.node(x, pointer+"/"+strconv.Itoa(i))
		fixed = fixed && items[i].fixed()
	}
	if fixed {
		return node{v: v}
	}
	return node{items: items}
}

// object puts the members into the order in which the service gives them: first
// those with fixed keys as they are written, then those whose keys end in ".$"
// in the order of a Java HashMap (recorded).
func (c *compiler) object(v value.Value, pointer string) node {
	var members, dynamic []member
	var hashes []int32
	fixed, seen := true, map[string]bool{}
	for key, x := range v.Members() {
		at := pointer + "/" + escapeToken.Replace(key)
		name, isDynamic := strings.CutSuffix(key, ".$")
		if seen[name] {
			c.problems = append(c.problems, Problem{at, key, "The field '" + name + "' occurs twice, once with and once without '.$'"})
		}
		seen[name] = true
		if isDynamic {
			dynamic = append(dynamic, member{name, c.expr(x, key, at)})
			hashes = append(hashes, hashString(name))
			continue
		}
		members = append(members, member{key, c.node(x, at)})
		fixed = fixed && members[len(members)-1].node.fixed()
	}
	if fixed && dynamic == nil {
		return node{v: v}
	}
	return node{members: append(members, ordered(dynamic, hashOrder(hashes, grown(len(hashes))))...)}
}

var escapeToken = strings.NewReplacer("~", "~0", "/", "~1")

func (c *compiler) expr(v value.Value, key, pointer string) node {
	if v.Kind() == value.String {
		if x, err := ParseExpr(v.Str()); err == nil {
			c.template.refs = append(c.template.refs, x.refs...)
			c.template.exprs++
			return node{expr: x, field: key}
		}
	}
	c.problems = append(c.problems, Problem{pointer, key, "The value for the field '" + key + "' must be a valid JSONPath or a valid intrinsic function call"})
	return node{}
}

// Variables returns the names of the variables that the template refers to.
func (t *Template) Variables() []string { return t.refs.variables() }

// ContextPaths returns the paths into the context object, as they are written.
func (t *Template) ContextPaths() []string { return t.refs.contextPaths() }

// Eval fills the template in. The error is an *Error that names the field.
func (t *Template) Eval(env *Env) (value.Value, error) {
	f := filler{env: env, size: maxResult, weigh: t.exprs > 32}
	v, err := f.fill(&t.root)
	if err != nil {
		return value.Value{}, err
	}
	return v, nil
}

// filler is one evaluation of a template.
type filler struct {
	env   *Env
	size  int
	weigh bool // few fields can not make much of what they share
}

func (f *filler) fill(n *node) (value.Value, *Error) {
	switch {
	case n.expr != nil:
		return f.expr(n)
	case n.members != nil:
		return f.object(n)
	case n.items != nil:
		return f.array(n)
	}
	return n.v, nil
}

func (f *filler) expr(n *node) (value.Value, *Error) {
	v, fail := n.expr.eval(f.env)
	if fail != nil {
		return value.Value{}, fail.inField(n.expr, n.field, f.env)
	}
	if f.weigh {
		if f.size -= v.Size(); f.size < 0 {
			return value.Value{}, &Error{Name: runtimeError, Cause: "The result of the payload template is too large"}
		}
	}
	return v, nil
}

func (f *filler) object(n *node) (value.Value, *Error) {
	members := make([]value.Member, len(n.members))
	for i := range n.members {
		v, err := f.fill(&n.members[i].node)
		if err != nil {
			return value.Value{}, err
		}
		members[i] = value.Member{Key: n.members[i].key, Value: v}
	}
	return value.ObjectOf(members), nil
}

func (f *filler) array(n *node) (value.Value, *Error) {
	items := make([]value.Value, len(n.items))
	for i := range n.items {
		v, err := f.fill(&n.items[i])
		if err != nil {
			return value.Value{}, err
		}
		items[i] = v
	}
	return value.ArrayOf(items), nil
}
