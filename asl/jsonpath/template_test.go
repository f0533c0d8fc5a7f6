package jsonpath

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl/value"
)

func compileTemplate(t testing.TB, text string) *Template {
	t.Helper()
	template, problems := CompileTemplate(parseJSON(t, text))
	if len(problems) > 0 {
		t.Fatalf("%s: %v", text, problems)
	}
	return template
}

func TestTemplates(t *testing.T) {
	f := func(template, input, want string) {
		t.Helper()
		v, err := compileTemplate(t, template).Eval(&Env{Input: parseJSON(t, input)})
		got := v.JSON()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", template, input, got, want)
		}
	}
	f(`{}`, `{}`, `{}`)
	f(`[1,"$.a"]`, `{}`, `[1,"$.a"]`)
	f(`"$.a"`, `{}`, `"$.a"`)
	f(`{"a":"$.a","b":{"c":[1.0]}}`, `{}`, `{"a":"$.a","b":{"c":[1.0]}}`)
	f(`{"a.$":"$.x","s":1}`, `{"x":[2]}`, `{"s":1,"a":[2]}`)
	f(`{"l":["$.x",{"a.$":"$.x"},[{"b.$":"$.y"}]]}`, `{"x":1,"y":2}`, `{"l":["$.x",{"a":1},[{"b":2}]]}`)
	f(`{"o":{"deep":{"a.$":"States.Format('{}!', $.x)"},"k":1},"z.$":"$"}`, `{"x":1}`, `{"o":{"deep":{"a":"1!"},"k":1},"z":{"x":1}}`)
	// Dynamic keys come in the order of a HashMap: here both the reverse of how
	// they are written.
	f(`{"name.$":"$","id.$":"$","s":0}`, `1`, `{"s":0,"name":1,"id":1}`)
	f(`{"b.$":"$","a.$":"$"}`, `1`, `{"a":1,"b":1}`)
	f(`{"value.$":"$.x"}`, `{"int-literal":0}`, `States.Runtime: The JSONPath '$.x' specified for the field 'value.$' could not be found in the input '{"int-literal":0}'`)
	f(`{"o":{"v.$":"$.a.b.c"}}`, `{"a":{}}`, `States.Runtime: The JSONPath '$.a.b.c' specified for the field 'v.$' could not be found in the input '{"a":{}}'`)
	f(`{"v.$":"$.a[*].b"}`, `{}`, `{"v":[]}`)
	f(`{"v.$":"States.MathAdd($.a, 1)"}`, `{"a":"x"}`, `States.IntrinsicFailure: There was an error while evaluating the intrinsic function: States.MathAdd($.a, 1). Invalid arguments in States.MathAdd`)
}

func TestTemplateProblems(t *testing.T) {
	f := func(text string, want ...Problem) {
		t.Helper()
		template, got := CompileTemplate(parseJSON(t, text))
		if diff := cmp.Diff(want, got); diff != "" || template != nil {
			t.Errorf("%s: template %v, problems (-want +got):\n%s", text, template, diff)
		}
	}
	const must = " must be a valid JSONPath or a valid intrinsic function call"
	f(`{"x.$":"x"}`, Problem{"/x.$", "x.$", "The value for the field 'x.$'" + must})
	f(`{"x.$":1,"l":[0,{"a/b":{"~.$":"States.Nope()"}}]}`,
		Problem{"/x.$", "x.$", "The value for the field 'x.$'" + must},
		Problem{"/l/1/a~1b/~0.$", "~.$", "The value for the field '~.$'" + must})
	f(`{"x":1,"x.$":"$"}`, Problem{"/x.$", "x.$", "The field 'x' occurs twice, once with and once without '.$'"})
}

func TestTemplateReferences(t *testing.T) {
	template := compileTemplate(t, `{"a.$":"$b.x","l":[{"b.$":"States.Array($$.Task.Token, $a)"}],"c.$":"$$.Execution.Id","d.$":"$.x"}`)
	if got := strings.Join(template.Variables(), " "); got != "a b" {
		t.Errorf("variables: %s", got)
	}
	if got := strings.Join(template.ContextPaths(), " "); got != "$$.Execution.Id $$.Task.Token" {
		t.Errorf("context paths: %s", got)
	}
}

func TestContextIsAskedOnlyWhenUsed(t *testing.T) {
	env := &Env{
		Input:   parseJSON(t, `{"a":1}`),
		Context: func() value.Value { t.Error("the context was asked for"); return value.EmptyObject },
	}
	if _, err := compileTemplate(t, `{"a.$":"$.a","b":"$$.x"}`).Eval(env); err != nil {
		t.Error(err)
	}
}

func TestTemplateResultsAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"a":[{}`)
	for range 100 {
		text.WriteString(`,{"x.$":"$"}`)
	}
	text.WriteString(`]}`)
	_, err := compileTemplate(t, text.String()).Eval(&Env{Input: value.Str(strings.Repeat("x", 250_000))})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Cause, "too large") {
		t.Errorf("a result of 25 MB gives the error %v", err)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{`{"a.$":"$.a","b":[{"c.$":"States.Array($..b)"}],"d":"$"}`, `{"a":1,"a.$":"$"}`, `{".$":"$$.x"}`, `[{"x.$":"$v"}]`} {
		f.Add(seed, `{"a":{"b":1}}`)
	}
	f.Fuzz(func(t *testing.T, text, input string) {
		v, err := value.Parse(text)
		if err != nil {
			return
		}
		in, err := value.Parse(input)
		if err != nil {
			return
		}
		template, problems := CompileTemplate(v)
		if (template == nil) != (len(problems) > 0) {
			t.Fatalf("template %v, problems %v", template, problems)
		}
		if template == nil {
			return
		}
		got, err := template.Eval(&Env{Input: in})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error %#v", err)
		}
		if err == nil && !strings.Contains(text, ".$") && got.JSON() != v.JSON() {
			t.Fatalf("%s, which is fixed, has become %s", v, got)
		}
		if err == nil && value.Valid(got.JSON()) != nil {
			t.Fatalf("%s gives %s", text, got)
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	template := compileTemplate(b, `{"FunctionName":"moderate","Payload":{"id.$":"$.id","text.$":"$.post.text","fixed":{"a":[1,2]},"run.$":"$$.Execution.Id"}}`)
	context := parseJSON(b, `{"Execution":{"Id":"x"}}`)
	env := &Env{Input: parseJSON(b, `{"id":1,"post":{"text":"hello"}}`), Context: func() value.Value { return context }}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Eval(env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFormat(b *testing.B) {
	x, err := ParseExpr(`States.Format('{}-{}', $.a, $.b)`)
	if err != nil {
		b.Fatal(err)
	}
	env := &Env{Input: parseJSON(b, `{"a":"order","b":12}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Eval(env); err != nil {
			b.Fatal(err)
		}
	}
}
