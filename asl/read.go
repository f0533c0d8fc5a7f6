package asl

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// The getters below read one field, report a wrong type, and return the zero
// value for what is absent or wrong.

func (p *parser) required(at *place, fields ...string) {
	p.schema(at, "These fields are required: [%s]", strings.Join(fields, ", "))
}

// isKind reports a value of another kind; absent is not reported.
func (p *parser) isKind(v value.Value, at *place, kind value.Kind) bool {
	if v.Kind() == kind {
		return true
	}
	if !v.IsAbsent() {
		p.schema(at, "Expected value of type [%s]", strings.ToUpper(kind.String()))
	}
	return false
}

func (p *parser) text(v value.Value, at *place, field string) string {
	f := v.Get(field)
	if f.IsAbsent() || !p.isKind(f, at.key(field), value.String) {
		return ""
	}
	return f.Str()
}

func (p *parser) boolean(v value.Value, at *place, field string) bool {
	f := v.Get(field)
	return !f.IsAbsent() && p.isKind(f, at.key(field), value.Bool) && f.Bool()
}

// oneOf returns what was written even if it is none of the choices.
func (p *parser) oneOf(v value.Value, at *place, field string, choices ...string) string {
	f := v.Get(field)
	if f.IsAbsent() || !p.isKind(f, at.key(field), value.String) {
		return ""
	}
	for _, c := range choices {
		if f.Str() == c {
			return c
		}
	}
	p.schema(at.key(field), "Value should be one of the following: [%s]", strings.Join(choices, ", "))
	return f.Str()
}

// integer returns false when the field is absent or wrong.
func (p *parser) integer(v value.Value, at *place, field string, least, most int64) (int64, bool) {
	f := v.Get(field)
	if f.IsAbsent() {
		return 0, false
	}
	n, ok := f.Int64()
	if f.Kind() == value.Number && !ok {
		// A number too large for int64 is out of bounds; one with a fraction is none.
		if x := f.Float(); x == math.Trunc(x) {
			n, ok = math.MaxInt64, true
			if x < 0 {
				n = math.MinInt64
			}
		}
	}
	switch {
	case !ok:
		p.schema(at.key(field), "Expected value of type Integer")
	case n < least:
		p.schema(at.key(field), "Minimum value is %d", least)
	case n > most:
		p.schema(at.key(field), "Maximum value is %d", most)
	default:
		return n, true
	}
	return 0, false
}

// exclusive reports fields that must not stand side by side.
func (p *parser) exclusive(v value.Value, at *place, fields ...string) int {
	n := 0
	for _, f := range fields {
		if !v.Get(f).IsAbsent() {
			n++
		}
	}
	if n > 1 {
		p.schema(at, "There should only be one of the following fields: [%s]", strings.Join(fields, ", "))
	}
	return n
}

// exactlyOne reports fields of which not exactly one is there.
func (p *parser) exactlyOne(v value.Value, at *place, fields ...string) bool {
	n := p.exclusive(v, at, fields...)
	if n == 0 {
		p.schema(at, "This object should have only one of the following fields: [%s]", strings.Join(fields, ", "))
	}
	return n == 1
}

// fields reports members of v that are not among the allowed ones.
func (p *parser) fields(v value.Value, at *place, allowed ...string) {
	for name := range v.Members() {
		if !slices.Contains(allowed, name) {
			p.unknownField(at, name, allowed)
		}
	}
}

func (p *parser) unknownField(at *place, name string, allowed []string) {
	if len(p.errors) >= maxDiagnostics {
		return
	}
	d := Diagnostic{Code: CodeSchema, Message: "Field '" + shorten(name) + "' is not supported"}
	for _, a := range allowed {
		if strings.EqualFold(a, name) {
			d.Hint = "write it as '" + a + "'"
		}
	}
	p.fault(d, at, at.key(name))
}

// The getters of a state's fields that hold paths and templates. They note the
// variables that are read.

// path reads a field that holds a JSONPath.
func (s *stateParser) path(v value.Value, at *place, field string) *jsonpath.Path {
	f := v.Get(field)
	if f.IsAbsent() || !s.isKind(f, at.key(field), value.String) {
		return nil
	}
	path, err := jsonpath.Parse(f.Str())
	if err != nil {
		s.badPath(at.key(field), err, "Value must be a valid JSONPath.")
		return nil
	}
	s.reads(f, at.key(field), path.Variables())
	return path
}

// badPath adds an error about a path in AWS's words, with ours as the hint.
func (s *stateParser) badPath(at *place, err error, message string) {
	s.fault(Diagnostic{Code: CodeSchema, Message: message, Hint: err.Error()}, at, at)
}

// notReference is AWS's message about a path that is no Reference Path.
func notReference(text string, err error) string {
	if !strings.HasPrefix(text, "$") {
		return "Value is not a Reference Path: Reference path didn't start with '$'"
	}
	return "Value is not a Reference Path: " + err.Error()
}

func (s *stateParser) selector(field string) *Selector {
	f := s.v.Get(field)
	if f.IsAbsent() {
		return nil
	}
	if f.IsNull() {
		return &Selector{Null: true}
	}
	path := s.path(s.v, s.at, field)
	if path == nil {
		return nil
	}
	return &Selector{Path: path}
}

// resultPath reads ResultPath of a state or a catcher.
func (s *stateParser) resultPath(v value.Value, at *place) *ResultPath {
	f := v.Get("ResultPath")
	switch {
	case f.IsAbsent():
		return nil
	case f.IsNull():
		return &ResultPath{Discard: true}
	case !s.isKind(f, at.key("ResultPath"), value.String):
		return nil
	}
	ref, err := jsonpath.ParseRef(f.Str())
	if err != nil {
		s.badPath(at.key("ResultPath"), err, notReference(f.Str(), err))
		return nil
	}
	return &ResultPath{Ref: ref}
}

// template compiles a payload template, which is an object.
func (s *stateParser) template(v value.Value, at *place, field string) *jsonpath.Template {
	f := v.Get(field)
	if f.IsAbsent() || !s.isKind(f, at.key(field), value.Object) {
		return nil
	}
	at = at.key(field)
	t, problems := jsonpath.CompileTemplate(f)
	for _, problem := range problems {
		hint := ""
		if _, err := jsonpath.ParseExpr(valueAt(f, problem.Pointer).Str()); err != nil {
			hint = err.Error()
		}
		s.fault(Diagnostic{Code: CodeSchema, Message: problem.Message, Hint: hint}, at, at.within(problem.Pointer))
	}
	if len(problems) > 0 {
		return nil
	}
	s.reads(f, at, t.Variables())
	s.lintTemplate(f, at)
	return t
}

// valueAt is what a JSON pointer leads to in v.
func valueAt(v value.Value, pointer string) value.Value {
	for pointer != "" {
		token, _, _ := strings.Cut(pointer[1:], "/")
		pointer = pointer[1+len(token):]
		if i, err := strconv.Atoi(token); err == nil && v.Kind() == value.Array {
			v = v.At(i)
		} else {
			v = v.Get(unescapeToken.Replace(token))
		}
	}
	return v
}

// isExpression says whether v is a JSONata expression.
func isExpression(v value.Value) bool {
	return v.Kind() == value.String && strings.HasPrefix(v.Str(), "{%") && strings.HasSuffix(v.Str(), "%}")
}

// integerField reads an integer which a JSONata state may compute.
func (s *stateParser) integerField(field string, least, most int64) (int64, bool) {
	if f := s.v.Get(field); s.lang == JSONata && isExpression(f) {
		return 0, false
	}
	return s.integer(s.v, s.at, field, least, most)
}
