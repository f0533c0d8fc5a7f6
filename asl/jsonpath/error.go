package jsonpath

// runtimeError is the name of failed paths. The States Language has
// States.ParameterPathFailure for some of them, but the service reports
// States.Runtime (recorded).
const runtimeError = "States.Runtime"

// intrinsicFailure is the name of failed intrinsic functions (AWS's guide; no
// recording has one).
const intrinsicFailure = "States.IntrinsicFailure"

// matchFailure is the error of a ResultPath that does not fit the input.
const matchFailure = "States.ResultPathMatchFailure"

// Error is a failed evaluation, in the words of the service but without its
// prefix "An error occurred while executing the state …".
type Error struct {
	Name      string // such as States.Runtime
	Cause     string
	Missing   bool // what a path leads to does not exist
	Intrinsic bool // an intrinsic function failed, rather than a path
}

// Error returns the name and the cause.
func (e *Error) Error() string { return e.Name + ": " + e.Cause }

// failure is why a path or function gave nothing; where it was used decides
// about the words around it.
type failure struct {
	missing bool   // what the path leads to does not exist; an indefinite path forgives that
	text    string // what went wrong
	full    bool   // text is complete, as for intrinsic functions
}

func missing(text string) *failure { return &failure{missing: true, text: text} }

func invalid(text string) *failure { return &failure{text: text} }

// inPath words the failure of a path in a field such as InputPath.
func (f *failure) inPath(p *Path) *Error {
	return &Error{Name: runtimeError, Cause: "Invalid path '" + p.text + "' : " + f.text, Missing: f.missing}
}

// inField words a failure of x in a field that takes a path or an intrinsic
// function, such as 'value.$' or 'CausePath'.
func (f *failure) inField(x *Expr, field string, env *Env) *Error {
	switch {
	case f.full:
		return &Error{Name: intrinsicFailure, Cause: f.text, Intrinsic: true}
	case f.missing:
		return &Error{Name: runtimeError, Cause: "The JSONPath '" + x.text + "' specified for the field '" + field + "' could not be found in the input '" + x.path.searched(env) + "'", Missing: true}
	}
	return f.inPath(x.path)
}

// searched returns as JSON what the path was looked up in.
func (p *Path) searched(env *Env) string {
	v, fail := p.start(env)
	if fail != nil {
		v = env.Input // a variable that was never assigned
	}
	return v.JSON()
}
