package jsonata

import (
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Error says why an expression does not compile or why its evaluation stopped.
type Error struct {
	// Code is the code of the JSONata library, such as S0201 (syntax), T1006
	// (types) or D3030 (dynamic). It is empty for what the library has no code
	// for: limits, and patterns that are no regular expressions.
	Code string

	// Message is worded as the library words it, without the code.
	Message string

	// Position is the offset in the expression at which the token ends that
	// the error is about, in UTF-16 code units as the library counts; 0 where
	// no place is known.
	Position int

	// Token is the operator or the name of the function that the error is
	// about, if any.
	Token string

	// Value is the offending value, Absent if there is none.
	Value value.Value

	// Limit says that a limit of Limits was exceeded.
	Limit bool
}

// Error is the code and the message as Step Functions reports them, such as
// "T1006: Attempted to invoke a non-function"; the message alone where there is
// no code.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// fault is an Error in the making. It travels as a panic from where it is found
// to Compile or Eval; calls on the way fill in what they know.
type fault struct {
	code    string
	pos     int // offset in bytes, 0 if not known yet
	token   item
	value   item
	value2  item
	exp     item
	index   int
	kind    string // the element type of an array
	message string // for D3137, D3141 and what has no code
	name    string // the function of D3140
	limit   bool
}

func fail(code string) *fault { return &fault{code: code} }

func (f *fault) at(pos int) *fault         { f.pos = pos; return f }
func (f *fault) withToken(t string) *fault { f.token = str(t); return f }
func (f *fault) withValue(v item) *fault   { f.value = v; return f }
func (f *fault) withIndex(i int) *fault    { f.index = i; return f }

func (f *fault) raise() { panic(f) }

// error finishes a fault that an expression of this text led to.
func (f *fault) error(text string) *Error {
	e := &Error{Code: f.code, Limit: f.limit, Token: f.token.str(), Message: f.message}
	if f.pos > 0 {
		e.Position = utf16Len(text[:min(f.pos, len(text))])
	}
	if !f.value.isUndefined() {
		c := newRun(nil)
		func() {
			defer func() { _ = recover() }() // too large to show
			e.Value, _ = c.json(f.value)
		}()
	}
	if template, ok := messages[f.code]; ok {
		e.Message = f.fill(template)
	}
	return e
}

// fill replaces the placeholders of a message.
func (f *fault) fill(template string) string {
	var b strings.Builder
	for {
		i := strings.Index(template, "{{")
		if i < 0 {
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(template[:i])
		rest := template[i+2:]
		raw := strings.HasPrefix(rest, "{")
		end := strings.Index(rest, "}}")
		name := strings.Trim(rest[:end], "{}")
		template = strings.TrimPrefix(rest[end+2:], "}")
		b.WriteString(f.field(name, raw))
	}
}

func (f *fault) field(name string, raw bool) string {
	var v item
	switch name {
	case "token":
		v = f.token
	case "value":
		v = f.value
	case "value2":
		v = f.value2
	case "exp":
		v = f.exp
	case "index":
		v = integer(f.index)
	case "type":
		v = str(f.kind)
	case "message":
		v = str(f.message)
	case "functionName":
		v = str(f.name)
	}
	if raw && v.isString() {
		return v.str()
	}
	if raw && v.isUndefined() {
		return "undefined"
	}
	return showJSON(v)
}

// showJSON writes a value into a message, as JSON without spaces.
func showJSON(v item) (text string) {
	if v.isUndefined() || v.isFunction() && v.fn().native == nil {
		return "undefined"
	}
	defer func() {
		if recover() != nil {
			text = "..."
		}
	}()
	c := newRun(nil)
	w := jsonWriter{c: c, full: true}
	w.write(v, 0)
	return string(w.out)
}

// messages are the library's, word for word: people search for them, and
// machines that run on AWS match on them.
var messages = map[string]string{
	"S0101": "String literal must be terminated by a matching quote",
	"S0102": "Number out of range: {{token}}",
	"S0103": "Unsupported escape sequence: \\{{token}}",
	"S0104": "The escape sequence \\u must be followed by 4 hex digits",
	"S0105": "Quoted property name must be terminated with a backquote (`)",
	"S0106": "Comment has no closing tag",
	"S0201": "Syntax error: {{token}}",
	"S0202": "Expected {{value}}, got {{token}}",
	"S0203": "Expected {{value}} before end of expression",
	"S0204": "Unknown operator: {{token}}",
	"S0205": "Unexpected token: {{token}}",
	"S0206": "Unknown expression type: {{token}}",
	"S0207": "Unexpected end of expression",
	"S0208": "Parameter {{value}} of function definition must be a variable name (start with $)",
	"S0209": "A predicate cannot follow a grouping expression in a step",
	"S0210": "Each step can only have one grouping expression",
	"S0211": "The symbol {{token}} cannot be used as a unary operator",
	"S0212": "The left side of := must be a variable name (start with $)",
	"S0213": "The literal value {{value}} cannot be used as a step within a path expression",
	"S0214": "The right side of {{token}} must be a variable name (start with $)",
	"S0215": "A context variable binding must precede any predicates on a step",
	"S0216": "A context variable binding must precede the 'order-by' clause on a step",
	"S0217": "The object representing the 'parent' cannot be derived from this expression",
	"S0301": "Empty regular expressions are not allowed",
	"S0302": "No terminating / in regular expression",
	"S0402": "Choice groups containing parameterized types are not supported",
	"S0401": "Type parameters can only be applied to functions and arrays",
	"S0500": "Attempted to evaluate an expression containing syntax error(s)",
	"T0410": "Argument {{index}} of function {{token}} does not match function signature",
	"T0411": "Context value is not a compatible type with argument {{index}} of function {{token}}",
	"T0412": "Argument {{index}} of function {{token}} must be an array of {{type}}",
	"D1001": "Number out of range: {{value}}",
	"D1002": "Cannot negate a non-numeric value: {{value}}",
	"T1003": "Key in object structure must evaluate to a string; got: {{value}}",
	"D1004": "Regular expression matches zero length string",
	"T1005": "Attempted to invoke a non-function. Did you mean ${{{token}}}?",
	"T1006": "Attempted to invoke a non-function",
	"T1007": "Attempted to partially apply a non-function. Did you mean ${{{token}}}?",
	"T1008": "Attempted to partially apply a non-function",
	"D1009": "Multiple key definitions evaluate to same key: {{value}}",
	"T1010": "The matcher function argument passed to function {{token}} does not return the correct object structure",
	"T2001": "The left side of the {{token}} operator must evaluate to a number",
	"T2002": "The right side of the {{token}} operator must evaluate to a number",
	"T2003": "The left side of the range operator (..) must evaluate to an integer",
	"T2004": "The right side of the range operator (..) must evaluate to an integer",
	"T2006": "The right side of the function application operator ~> must be a function",
	"T2007": "Type mismatch when comparing values {{value}} and {{value2}} in order-by clause",
	"T2008": "The expressions within an order-by clause must evaluate to numeric or string values",
	"T2009": "The values {{value}} and {{value2}} either side of operator {{token}} must be of the same data type",
	"T2010": "The expressions either side of operator {{token}} must evaluate to numeric or string values",
	"T2011": "The insert/update clause of the transform expression must evaluate to an object: {{value}}",
	"T2012": "The delete clause of the transform expression must evaluate to a string or array of strings: {{value}}",
	"T2013": "The transform expression clones the input object using the $clone() function.  This has been overridden in the current scope by a non-function.",
	"D2014": "The size of the sequence allocated by the range operator (..) must not exceed 1e6.  Attempted to allocate {{value}}.",
	"D3001": "Attempting to invoke string function on Infinity or NaN",
	"D3010": "Second argument of replace function cannot be an empty string",
	"D3011": "Fourth argument of replace function must evaluate to a positive number",
	"D3012": "Attempted to replace a matched string with a non-string value",
	"D3020": "Third argument of split function must evaluate to a positive number",
	"D3030": "Unable to cast value to a number: {{value}}",
	"D3040": "Third argument of match function must evaluate to a positive number",
	"D3050": "The second argument of reduce function must be a function with at least two arguments",
	"D3060": "The sqrt function cannot be applied to a negative number: {{value}}",
	"D3061": "The power function has resulted in a value that cannot be represented as a JSON number: base={{value}}, exponent={{exp}}",
	"D3070": "The single argument form of the sort function can only be applied to an array of strings or an array of numbers.  Use the second argument to specify a comparison function",
	"D3080": "The picture string must only contain a maximum of two sub-pictures",
	"D3081": "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
	"D3082": "The sub-picture must not contain more than one instance of the 'percent' character",
	"D3083": "The sub-picture must not contain more than one instance of the 'per-mille' character",
	"D3084": "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
	"D3085": "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit character' or a member of the 'decimal digit family'",
	"D3086": "The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
	"D3087": "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator' character",
	"D3088": "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
	"D3089": "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
	"D3090": "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an instance of the 'optional digit character'",
	"D3091": "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is followed by a member of the 'decimal digit family'",
	"D3092": "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an 'exponent-separator'",
	"D3093": "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal digit family'",
	"D3100": "The radix of the formatBase function must be between 2 and 36.  It was given {{value}}",
	"D3110": "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given {{value}}",
	"D3130": "Formatting or parsing an integer as a sequence starting with {{value}} is not supported by this implementation",
	"D3131": "In a decimal digit pattern, all digits must be from the same decimal group",
	"D3132": "Unknown component specifier {{value}} in date/time picture string",
	"D3133": "The 'name' modifier can only be applied to months and days in the date/time picture string, not {{value}}",
	"D3134": "The timezone integer format specifier cannot have more than four digits",
	"D3135": "No matching closing bracket ']' in date/time picture string",
	"D3136": "The date/time picture string is missing specifiers required to parse the timestamp",
	"D3137": "{{{message}}}",
	"D3138": "The $single() function expected exactly 1 matching result.  Instead it matched more.",
	"D3139": "The $single() function expected exactly 1 matching result.  Instead it matched 0.",
	"D3140": "Malformed URL passed to ${{{functionName}}}(): {{value}}",
	"D3141": "{{{message}}}",
}

// Limits bound what one evaluation may use. They are counted, not measured, so
// an expression that is stopped here is stopped everywhere. A field that is
// zero has the default that its comment gives.
type Limits struct {
	// Steps is how many operations and items of built-in loops there may be:
	// 10,000,000, somewhat below a second of one core. Exceeding it is
	// "Expression evaluation timeout".
	Steps int

	// Bytes is what strings, arrays, objects and closures that the expression
	// makes may come to, whether they are still in use or not: 48 MiB.
	// Exceeding it is "Expression evaluation memory limit exceeded".
	Bytes int

	// Depth is how deep evaluations may nest: 10,000, counted as the library
	// counts (a recursive call with an operator and a condition around it is
	// three deep). Calls in tail position do not nest. Exceeding it is "Stack
	// overflow error".
	Depth int

	// Output is how large the result may be, as compact JSON, in bytes: 32 MiB.
	// Exceeding it is a memory limit too.
	Output int
}

const (
	defaultSteps  = 10_000_000
	defaultBytes  = 48 << 20
	defaultDepth  = 10_000
	defaultOutput = 32 << 20
)

const (
	timeoutMessage = "Expression evaluation timeout"
	memoryMessage  = "Expression evaluation memory limit exceeded"
	stackMessage   = "Stack overflow error"
)

// run is the state of one evaluation.
type run struct {
	env      *Env
	expr     *Expr
	root     item
	steps    int // left
	bytes    int // left
	check    int // steps at which the deadline is looked at next
	checkB   int // bytes at which it is, too
	depth    int // nesting so far
	deep     int // nesting allowed
	made     int // arrays and objects made
	output   int
	measured int      // values of the result
	args     []item   // the arguments of native calls under way
	calls    []*site  // the calls under way
	tail     tailCall // the call that a lambda ends with
	outer    []item   // variables from outside, once looked up
	looked   []bool   // which of them have been
	free     []*frame // frames that can be used again
	now      int64    // milliseconds
	known    bool     // now has been asked for

	// What a small evaluation needs comes in one piece with the run.
	argRoom  [4]item
	siteRoom [3]*site

	seed uint64 // where Env has no Random
}

// The deadline is looked at after so many steps or bytes.
const (
	deadlineEvery      = 1 << 14
	deadlineEveryBytes = 2 << 20
)

func newRun(env *Env) *run {
	c := &run{}
	c.begin(env)
	return c
}

func (c *run) begin(env *Env) {
	c.args, c.calls = c.argRoom[:0], c.siteRoom[:0]
	c.reset(env)
}

func (c *run) reset(env *Env) {
	if env == nil {
		env = &noEnv
	}
	c.env = env
	l := env.Limits
	c.steps, c.bytes, c.deep, c.output = or(l.Steps, defaultSteps), or(l.Bytes, defaultBytes), or(l.Depth, defaultDepth), or(l.Output, defaultOutput)
	c.check, c.checkB = max(c.steps-deadlineEvery, 0), max(c.bytes-deadlineEveryBytes, 0)
}

var noEnv Env

// quirk is something the library does because of how it is written.
type quirk uint8

const (
	unchecked       quirk = iota // a partially applied built-in function does not look at its arguments
	integerKeys                  // members whose keys look like integers come first
	fractionalRound              // $round to a fraction of a digit is NaN, on Step Functions it is rounded down
)

func or(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// step counts n operations.
func (c *run) step(n int) {
	if c.steps -= n; c.steps < c.check {
		c.pause()
	}
}

// pause looks at the limits every now and then.
func (c *run) pause() {
	if c.steps < 0 || c.env.Deadline != nil && c.env.Deadline() {
		c.limit(timeoutMessage)
	}
	c.check, c.checkB = max(c.steps-deadlineEvery, 0), max(c.bytes-deadlineEveryBytes, 0)
}

// alloc counts n bytes that are about to be made.
func (c *run) alloc(n int) {
	c.made++
	if c.bytes -= n; c.bytes < 0 || n < 0 {
		c.limit(memoryMessage)
	}
	if c.bytes < c.checkB {
		c.pause()
	}
}

func (c *run) limit(message string) {
	c.steps, c.bytes, c.check, c.checkB = 1<<30, 1<<30, 0, 0 // what shows the error may work
	panic(&fault{message: message, limit: true})
}

func (c *run) stackOverflow() { c.limit(stackMessage) }

// nest goes n evaluations deeper; the caller takes them back.
func (c *run) nest(n int) {
	if c.depth += n; c.depth > c.deep {
		c.stackOverflow()
	}
}

func itoa(i int) string { return strconv.Itoa(i) }
