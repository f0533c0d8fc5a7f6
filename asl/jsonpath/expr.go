package jsonpath

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// maxCalls is how deep calls of intrinsic functions may nest (AWS guide).
const maxCalls = 10

// Expr is a compiled path or call of an intrinsic function, as it stands in the
// fields of a payload template that end in ".$" and in ErrorPath and CausePath.
// It is immutable.
type Expr struct {
	text string
	path *Path // or
	call *call
	refs refs
}

// call is a call of an intrinsic function.
type call struct {
	text string
	fn   *intrinsic
	args []argument
}

// argument is a path, a call or a value.
type argument struct {
	path *Path
	call *call
	v    value.Value
	raw  string // a string as it was written, with its escapes
}

// ParseExpr compiles a path or a call of an intrinsic function, for example
// "States.Format('{}-{}', $.a, $$.Execution.Name)". A wrong number of arguments
// is no error here: the service, too, notices when it runs.
func ParseExpr(text string) (*Expr, error) {
	if !strings.HasPrefix(text, "States.") {
		path, err := Parse(text)
		if err != nil {
			return nil, err
		}
		return &Expr{text: text, path: path, refs: refs{path}}, nil
	}
	p := parser{text: text, inner: true}
	c, err := p.call(1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(text) {
		return nil, p.errorf("expected the end of the call")
	}
	x := &Expr{text: text, call: c}
	c.paths(&x.refs)
	return x, nil
}

// paths adds the paths in the arguments to found.
func (c *call) paths(found *refs) {
	for _, arg := range c.args {
		if arg.path != nil {
			*found = append(*found, arg.path)
		}
		if arg.call != nil {
			arg.call.paths(found)
		}
	}
}

// String returns the expression as it was written.
func (x *Expr) String() string { return x.text }

// Path returns the path that the expression is, nil for a call.
func (x *Expr) Path() *Path { return x.path }

// Variables returns the names of the variables that the expression refers to.
func (x *Expr) Variables() []string { return x.refs.variables() }

// ContextPaths returns the paths into the context object, as they are written.
func (x *Expr) ContextPaths() []string { return x.refs.contextPaths() }

// Eval returns the value of the expression. The error is an *Error, worded as
// for Path.Eval.
func (x *Expr) Eval(env *Env) (value.Value, error) {
	v, fail := x.eval(env)
	switch {
	case fail == nil:
		return v, nil
	case x.path != nil:
		return value.Value{}, fail.inPath(x.path)
	}
	return value.Value{}, fail.inField(x, "", env)
}

// EvalField returns the value of the expression for a field, such as "CausePath"
// or "value.$". Its errors name the field and the input, as the service does for
// templates, ErrorPath and CausePath (recorded).
func (x *Expr) EvalField(field string, env *Env) (value.Value, error) {
	v, fail := x.eval(env)
	if fail != nil {
		return value.Value{}, fail.inField(x, field, env)
	}
	return v, nil
}

func (x *Expr) eval(env *Env) (value.Value, *failure) {
	if x.path != nil {
		return x.path.eval(env)
	}
	r := run{env: env, size: maxResult}
	return r.call(x.call)
}

// call reads States.Name(…).
func (p *parser) call(depth int) (*call, error) {
	if depth > maxCalls {
		return nil, p.errorf("intrinsic functions nest at most %d deep", maxCalls)
	}
	start := p.pos
	name := p.functionName()
	fn, ok := intrinsics[name]
	if !ok {
		p.pos = start
		return nil, p.errorf("there is no intrinsic function %q", shorten(name))
	}
	c := &call{fn: fn}
	p.space()
	if !p.accept("(") {
		return nil, p.errorf("expected ( after %s", name)
	}
	for p.space(); !p.accept(")"); p.space() {
		if len(c.args) > 0 {
			if !p.accept(",") {
				return nil, p.errorf("expected , or )")
			}
			p.space()
		}
		arg, err := p.argument(depth)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, arg)
	}
	c.text = p.text[start:p.pos]
	return c, nil
}

// functionName reads letters, digits and dots.
func (p *parser) functionName() string {
	start := p.pos
	for c := p.peek(); 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '.'; c = p.peek() {
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *parser) argument(depth int) (argument, error) {
	switch c := p.peek(); {
	case c == '$':
		path, err := p.path()
		return argument{path: path}, err
	case c == '\'':
		return p.quotedArgument()
	case strings.HasPrefix(p.text[p.pos:], "States."):
		c, err := p.call(depth + 1)
		return argument{call: c}, err
	}
	return p.word()
}

// quotedArgument reads a string in single quotes. Only \' \{ \} and \\ are
// escapes; the service refuses all others.
func (p *parser) quotedArgument() (argument, error) {
	start := p.pos + 1
	for i := start; i < len(p.text); i++ {
		switch p.text[i] {
		case '\'':
			p.pos = i + 1
			raw := p.text[start:i]
			return argument{v: value.Str(unescape(raw)), raw: raw}, nil
		case '\\':
			if i++; i == len(p.text) || strings.IndexByte(`'{}\`, p.text[i]) < 0 {
				p.pos = i - 1
				return argument{}, p.errorf(`a backslash may only stand before ', {, } or \`)
			}
		}
	}
	return argument{}, p.errorf("the closing ' is missing")
}

// word reads a number, true, false or null.
func (p *parser) word() (argument, error) {
	end := len(p.text)
	if i := strings.IndexAny(p.text[p.pos:], ",) \t\r\n"); i >= 0 {
		end = p.pos + i
	}
	switch word := p.text[p.pos:end]; word {
	case "true", "false", "null":
		p.pos = end
		return argument{v: map[string]value.Value{"true": value.True, "false": value.False, "null": value.NullValue}[word]}, nil
	default:
		v, err := value.NumberText(word)
		if err != nil {
			return argument{}, p.errorf("expected a path, a string in single quotes, a number, true, false, null or a function")
		}
		p.pos = end
		return argument{v: v}, nil
	}
}

// run is one evaluation of a call and those inside of it.
type run struct {
	env  *Env
	size int // bytes of results that may still be made
}

func (r *run) call(c *call) (value.Value, *failure) {
	args := make([]value.Value, len(c.args))
	for i := range c.args {
		v, fail := r.argument(&c.args[i])
		if fail != nil {
			return value.Value{}, fail.inCall(c, c.args[i].path, r.env)
		}
		args[i] = v
	}
	if len(args) < c.fn.min || c.fn.max >= 0 && len(args) > c.fn.max {
		return value.Value{}, invalid("Invalid number of arguments in "+c.fn.name).inCall(c, nil, r.env)
	}
	v, err := c.fn.apply(r, c, args)
	if err != nil {
		return value.Value{}, invalid(err.Error()).inCall(c, nil, r.env)
	}
	if r.size -= v.Size(); r.size < 0 {
		return value.Value{}, invalid("The result of "+c.fn.name+" is too large").inCall(c, nil, r.env)
	}
	return v, nil
}

func (r *run) argument(arg *argument) (value.Value, *failure) {
	switch {
	case arg.path != nil:
		return arg.path.eval(r.env)
	case arg.call != nil:
		return r.call(arg.call)
	}
	return arg.v, nil
}

// inCall words a failure in c, at an argument that is path if path is not nil.
func (f *failure) inCall(c *call, path *Path, env *Env) *failure {
	if f.full {
		return f // said by the call inside
	}
	text := f.text
	if path != nil && f.missing {
		text = "The JsonPath argument for the field '" + path.text + "' could not be found in the input '" + path.searched(env) + "'"
	}
	return &failure{full: true, text: "There was an error while evaluating the intrinsic function: " + c.text + ". " + text}
}
