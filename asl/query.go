package asl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/jsonata"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Query is a field of a JSONata state: JSON in which every string of the form
// {% … %} is an expression. It is immutable and safe for concurrent use.
type Query struct {
	root      queryNode
	field     string // as errors name it: "Output", "Arguments"
	variables []string
	states    []string
}

// QueryError is a failed evaluation, in the service's words without its prefix
// "An error occurred while executing the state …" (recorded).
type QueryError struct {
	Cause    string
	Location string // the field to blame, as in "Output/total"; "": none
}

// Error returns the cause.
func (e *QueryError) Error() string { return e.Cause }

// Eval computes the field. Its error is a *QueryError.
func (q *Query) Eval(env *jsonata.Env) (value.Value, error) { return q.root.eval(env) }

// Field is the field's name as errors have it: "Output", "Items".
func (q *Query) Field() string { return q.field }

// Variables are the names of the variables that the field reads, sorted.
func (q *Query) Variables() []string { return q.variables }

// States are the members of $states that the field reads, such as "input",
// sorted; "" is among them where it reads $states as a whole.
func (q *Query) States() []string { return q.states }

// Constant says whether the field has no expression in it.
func (q *Query) Constant() bool {
	_, ok := q.root.(constant)
	return ok
}

// Unexpected is the error of a field whose value is not of the kind it must
// have.
func (q *Query) Unexpected(want string, got value.Value) *QueryError {
	what := "value"
	if x, ok := q.root.(*expression); ok {
		what = "JSONata expression '" + x.text + "'"
	}
	return &QueryError{Location: q.field, Cause: fmt.Sprintf(
		"The %s specified for the field '%s' returned an unexpected result type. Expected '%s', but was '%s' for value: %s",
		what, q.field, want, got.Kind(), got.JSON())}
}

// queryNode is a part of a Query: constant, expression, or something that
// holds such parts.
type queryNode interface {
	eval(env *jsonata.Env) (value.Value, error)
}

type (
	constant    struct{ value.Value }
	queryArray  []queryNode
	queryObject struct {
		keys  []string
		nodes []queryNode
	}
	expression struct {
		text     string // between the marks, trimmed
		location string
		compiled *jsonata.Expr
	}
)

func (c constant) eval(*jsonata.Env) (value.Value, error) { return c.Value, nil }

func (a queryArray) eval(env *jsonata.Env) (value.Value, error) {
	items := make([]value.Value, len(a))
	for i, n := range a {
		v, err := n.eval(env)
		if err != nil {
			return value.Value{}, err
		}
		items[i] = v
	}
	return value.ArrayOf(items), nil
}

func (o *queryObject) eval(env *jsonata.Env) (value.Value, error) {
	members := make([]value.Member, len(o.nodes))
	for i, n := range o.nodes {
		v, err := n.eval(env)
		if err != nil {
			return value.Value{}, err
		}
		members[i] = value.Member{Key: o.keys[i], Value: v}
	}
	return value.ObjectOf(members), nil
}

func (x *expression) eval(env *jsonata.Env) (value.Value, error) {
	r, err := x.compiled.Eval(value.Value{}, env)
	switch {
	case err != nil:
		return value.Value{}, x.failed("threw an error during evaluation. " + err.Error())
	case r.Function:
		return value.Value{}, x.failed("returned an unsupported result type.")
	case r.Undefined || r.Value.IsAbsent():
		return value.Value{}, x.failed("returned nothing (undefined).")
	}
	return r.Value, nil
}

func (x *expression) failed(how string) *QueryError {
	return &QueryError{Location: x.location, Cause: "The JSONata expression '" + x.text + "' specified for the field '" + x.location + "' " + how}
}

// queryCompiler compiles one field.
type queryCompiler struct {
	*stateParser
	allowed   []string // members of $states that the field may use
	variables []string
	states    []string
}

// query compiles a field of a JSONata state; nil when it is absent.
// Besides input and context, the field may use the named members of $states.
func (s *stateParser) query(v value.Value, at *place, field string, states ...string) *Query {
	f := v.Get(field)
	if f.IsAbsent() {
		return nil
	}
	c := &queryCompiler{stateParser: s, allowed: states}
	root := c.node(f, at.key(field), field)
	q := &Query{root: root, field: field, variables: unique(c.variables), states: unique(c.states)}
	s.refers(q.variables)
	return q
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// ofResult is what Output and Assign of the state may use besides.
func (s *stateParser) ofResult() []string {
	switch s.v.Get("Type").Str() {
	case "Task", "Parallel", "Map":
		return []string{"result"}
	}
	return nil
}

// computed compiles a field that may hold a literal of its own kind or an
// expression; nil when it is no expression.
func (s *stateParser) computed(v value.Value, at *place, field string) *Query {
	if s.lang != JSONata || !isExpression(v.Get(field)) {
		return nil
	}
	return s.query(v, at, field)
}

func (c *queryCompiler) node(v value.Value, at *place, location string) queryNode {
	switch v.Kind() {
	case value.String:
		return c.text(v, at, location)
	case value.Array:
		nodes, fixed := make(queryArray, 0, v.Len()), true
		for i, item := range v.Items() {
			n := c.node(item, at.item(i), location+"["+strconv.Itoa(i)+"]")
			_, isFixed := n.(constant)
			nodes, fixed = append(nodes, n), fixed && isFixed
		}
		if fixed {
			return constant{v}
		}
		return nodes
	case value.Object:
		o, fixed := &queryObject{}, true
		for key, member := range v.Members() {
			n := c.node(member, at.key(key), location+"/"+key)
			_, isFixed := n.(constant)
			o.keys, o.nodes, fixed = append(o.keys, key), append(o.nodes, n), fixed && isFixed
		}
		if fixed {
			return constant{v}
		}
		return o
	}
	return constant{v}
}

func (c *queryCompiler) text(v value.Value, at *place, location string) queryNode {
	text := v.Str()
	if strings.HasPrefix(text, "{%") != strings.HasSuffix(text, "%}") || text == "{%}" {
		c.schema(at, "JSONata string must start with {%% and end with %%}")
		return constant{v}
	}
	if !isExpression(v) {
		return constant{v}
	}
	text = strings.TrimSpace(text[2 : len(text)-2])
	compiled, err := jsonata.Compile(text)
	if err != nil {
		c.fault(Diagnostic{Code: CodeSchema, Message: "The JSONata expression is not valid: " + err.Error()}, at, at)
		return constant{v}
	}
	for _, member := range compiled.StatesMembers() {
		if (member == "result" || member == "errorOutput") && !slices.Contains(c.allowed, member) {
			c.schema(at, "The variable '$states.%s' is not available in this field", member)
		}
	}
	c.states = append(c.states, compiled.StatesMembers()...)
	for _, name := range compiled.Variables() {
		if name != "states" {
			c.variables = append(c.variables, name)
		}
	}
	return &expression{text: text, location: location, compiled: compiled}
}
