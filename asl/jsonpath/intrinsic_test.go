package jsonpath

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

// call evaluates an expression for the field "x.$"; an error comes back as its
// cause.
func eval(t testing.TB, expr, input string) string {
	t.Helper()
	x, err := ParseExpr(expr)
	if err != nil {
		t.Fatalf("ParseExpr(%s): %v", expr, err)
	}
	chance := uint64(0)
	v, err := x.EvalField("x.$", &Env{
		Input:   parseJSON(t, input),
		Context: func() value.Value { return parseJSON(t, `{"Execution":{"Name":"a-b","Input":{"n":2}}}`) },
		Random:  func() uint64 { chance += 0x9E3779B97F4A7C15; return chance },
	})
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Intrinsic != (e.Name == "States.IntrinsicFailure") || !e.Intrinsic && e.Name != "States.Runtime" {
			t.Fatalf("%.200s: %#v", expr, err)
		}
		return e.Cause
	}
	return v.JSON()
}

func TestIntrinsics(t *testing.T) {
	f := func(expr, input, want string) {
		t.Helper()
		if got := eval(t, expr, input); got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", expr, input, got, want)
		}
	}
	f(`States.Array()`, `{}`, `[]`)
	f(`States.Array($.a, 'x', -1.50, true, null, $$.Execution.Name)`, `{"a":{"b":1}}`, `[{"b":1},"x",-1.50,true,null,"a-b"]`)
	f(`States.Array( 1,2 , States.Array( ) )`, `{}`, `[1,2,[]]`)
	f(`States.ArrayContains($.a, $.b)`, `{"a":[[1,2],{"x":1,"y":2}],"b":{"y":2,"x":1}}`, `true`)
	f(`States.ArrayContains($.a, null)`, `{"a":[]}`, `false`)
	f(`States.ArrayGetItem($.a, 1)`, `{"a":[1,2]}`, `2`)
	f(`States.ArrayGetItem($.a, 1.9)`, `{"a":[1,2]}`, `2`)
	f(`States.ArrayLength($.a)`, `{"a":[1,[2,3]]}`, `2`)
	f(`States.ArrayPartition($.a, 2)`, `{"a":[0,1,2]}`, `[[0,1],[2]]`)
	f(`States.ArrayPartition($.a, 2.6)`, `{"a":[0,1,2]}`, `[[0,1],[2]]`)
	f(`States.ArrayPartition($.a, 1)`, `{"a":[]}`, `[]`)
	f(`States.ArrayRange(1, 9, 2)`, `{}`, `[1,3,5,7,9]`)
	f(`States.ArrayRange(1, 9, 9)`, `{}`, `[1]`)
	f(`States.ArrayRange(5, 1, -2)`, `{}`, `[5,3,1]`)
	f(`States.ArrayRange(5, 1, 2)`, `{}`, `[]`)
	f(`States.ArrayRange(5.4, -0.6, -2.4)`, `{}`, `[5,3,1]`)
	f(`States.ArrayLength(States.ArrayRange(1, 1000, 1))`, `{}`, `1000`)
	f(`States.ArrayUnique($.a)`, `{"a":[1,2,3,3,1,"a","a",null,null]}`, `[null,1,"a",2,3]`)
	f(`States.ArrayUnique($.a)`, `{"a":[true,false,true]}`, `[false,true]`)
	f(`States.ArrayUnique($.a)`, `{"a":[[1,2],[1,2],[2,1]]}`, `[[2,1],[1,2]]`)
	f(`States.ArrayUnique($.a)`, `{"a":[{"a":1,"b":2},{"b":2,"a":1}]}`, `[{"a":1,"b":2}]`)
	f(`States.Base64Encode('Data to encode')`, `{}`, `"RGF0YSB0byBlbmNvZGU="`)
	f(`States.Base64Decode('RGF0YSB0byBlbmNvZGU=')`, `{}`, `"Data to encode"`)
	f(`States.Base64Decode(' YW Jj')`, `{}`, `"abc"`)
	f(`States.Base64Decode('abc')`, `{}`, `"i`+"\uFFFD"+`"`)
	f(`States.Hash('hello', 'MD5')`, `{}`, `"5d41402abc4b2a76b9719d911017c592"`)
	f(`States.Hash('hello', 'SHA-1')`, `{}`, `"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"`)
	f(`States.Hash('hello', 'SHA-256')`, `{}`, `"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"`)
	f(`States.JsonMerge($.a, $.b, false)`, `{"a":{"x":1,"y":{"z":1}},"b":{"y":2}}`, `{"x":1,"y":2}`)
	f(`States.JsonMerge($.a, $.b, false)`, `{"a":{"constant_in_literal":1},"b":{"constant_input_field":2}}`, `{"constant_input_field":2,"constant_in_literal":1}`)
	f(`States.JsonToString($.a)`, `{"a":{"b":[1, "x"]}}`, `"{\"b\":[1,\"x\"]}"`)
	f(`States.StringToJson($.a)`, `{"a":" [1, 2.0] "}`, `[1,2.0]`)
	f(`States.StringToJson('')`, `{}`, `null`)
	f(`States.StringToJson(' ')`, `{}`, `null`)
	f(`States.StringToJson('-0')`, `{}`, `0`)
	f(`States.MathAdd(1.49, 1.5)`, `{}`, `3`)
	f(`States.MathAdd(2.5, 0)`, `{}`, `3`)
	f(`States.MathAdd(-1.5, 0)`, `{}`, `-1`)
	f(`States.MathAdd(-0.5, 0)`, `{}`, `0`)
	f(`States.MathAdd(2147483647, -1)`, `{}`, `2147483646`)
	f(`States.StringSplit(',,,,', ',')`, `{}`, `[]`)
	f(`States.StringSplit('1+2,3.4', '.+,')`, `{}`, `["1","2","3","4"]`)
	f(`States.StringSplit('abc', '')`, `{}`, `["abc"]`)
	f(`States.ArrayGetItem(States.StringSplit($$.Execution.Name, '-'), States.MathAdd(States.ArrayLength(States.StringSplit($$.Execution.Name, '-')), -1))`, `{}`, `"b"`)
	f(`States.Array($.a[?(@.x == 'a,b')], $['k)'])`, `{"a":[{"x":"a,b"}],"k)":1}`, `[[{"x":"a,b"}],1]`)
}

func TestFormat(t *testing.T) {
	f := func(expr, input, want string) {
		t.Helper()
		if got := eval(t, expr, input); got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", expr, input, got, want)
		}
	}
	f(`States.Format('no placeholders')`, `{}`, `"no placeholders"`)
	f(`States.Format('{} {} {} {} {}', $.a, $.b, $.c, $.d, $.e)`, `{"a":"x y","b":1.10,"c":null,"d":true,"e":{"Arg1":1,"Arg2":[],"Arg3":["s",null]}}`,
		`"x y 1.10 null true {Arg1=1, Arg2=[], Arg3=[s, null]}"`)
	f(`States.Format($.t, 'Ada')`, `{"t":"Hello {}"}`, `"Hello Ada"`)
	f(`States.Format('\'{}\' \{\} \\ "{}"', 1, 2)`, `{}`, `"'1' {} \\ \"2\""`)
	f(`States.Format('{}', '{}')`, `{}`, `"{}"`)
	f(`States.Format('{}', States.StringToJson('{"a": ["x"]}'))`, `{}`, `"{\"a\":[\"x\"]}"`)
	const base = `There was an error while evaluating the intrinsic function: `
	f(`States.Format('{} {}', 1)`, `{}`, base+`States.Format('{} {}', 1). Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.`)
	f(`States.Format('{}', 1, 2)`, `{}`, base+`States.Format('{}', 1, 2). Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.`)
	f(`States.Format('a {', 1)`, `{}`, base+`States.Format('a {', 1). Invalid template in States.Format: matching '}' not found for '{'.`)
	f(`States.Format($.t)`, `{"t":1}`, base+`States.Format($.t). Invalid arguments in States.Format`)
}

func TestIntrinsicFailures(t *testing.T) {
	f := func(expr, input, message string) {
		t.Helper()
		if got := eval(t, expr, input); !strings.HasPrefix(got, "There was an error while evaluating the intrinsic function: States.") || !strings.HasSuffix(got, message) {
			t.Errorf("%s on %s: %s, want %s", expr, input, got, message)
		}
	}
	for _, expr := range []string{
		`States.ArrayContains('x', 1)`, `States.ArrayGetItem($.a, 2)`, `States.ArrayGetItem($.a, -1)`, `States.ArrayGetItem($.a, '0')`, `States.ArrayLength('x')`,
		`States.ArrayPartition($.a, 0)`, `States.ArrayPartition($.a, 0.6)`, `States.ArrayPartition($.a, null)`, `States.ArrayPartition('x', 1)`,
		`States.ArrayRange(1, 10, 0)`, `States.ArrayRange(1, 10, 0.49)`, `States.ArrayRange(1, 1001, 1)`, `States.ArrayRange('a', 5, 1)`,
		`States.ArrayRange(-2147483648, 2147483647, 1)`, `States.ArrayUnique($)`, `States.Base64Decode(123)`, `States.Base64Encode($.long)`, `States.Base64Encode($)`,
		`States.Hash('x', 'sha-256')`, `States.Hash($.long, 'MD5')`, `States.Hash('x', 1)`, `States.JsonMerge($, $.a, false)`, `States.JsonMerge($, $, true)`,
		`States.MathAdd('1', 2)`, `States.MathAdd(null, 2)`, `States.MathAdd(2147483647, 1)`, `States.MathAdd(3000000000, 1)`, `States.MathAdd(1e309, 1)`,
		`States.MathRandom(1, 1)`, `States.MathRandom(10, 5)`, `States.MathRandom(1.4, 1.6)`, `States.MathRandom(1, 10, null)`, `States.MathRandom(1, 10, 1e300)`,
		`States.StringSplit(1, ',')`, `States.StringSplit('a', null)`, `States.StringToJson('{bad json}')`, `States.StringToJson(1)`,
	} {
		name, _, _ := strings.Cut(expr, "(")
		f(expr, `{"a":[1,2],"long":"`+strings.Repeat("x", 10_001)+`"}`, "Invalid arguments in "+name)
	}
	f(`States.MathAdd(1)`, `{}`, `Invalid number of arguments in States.MathAdd`)
	f(`States.UUID(1)`, `{}`, `Invalid number of arguments in States.UUID`)
	f(`States.Array(States.MathAdd($.a, 1))`, `{"b":1}`, `: States.MathAdd($.a, 1). The JsonPath argument for the field '$.a' could not be found in the input '{"b":1}'`)
	f(`States.JsonToString($$.Task.Token)`, `{}`, `could not be found in the input '{"Execution":{"Name":"a-b","Input":{"n":2}}}'`)
}

func TestExprErrors(t *testing.T) {
	f := func(expr, message string) {
		t.Helper()
		if _, err := ParseExpr(expr); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("ParseExpr(%s): %v, want an error with %q", expr, err, message)
		}
	}
	f(`States.Foo()`, "no intrinsic function")
	f(`States.Array`, "expected (")
	f(`States.Array(`, "expected a path")
	f(`States.Array(1`, "expected , or )")
	f(`States.Array(1,)`, "expected a path")
	f(`States.Array(1) x`, "expected the end")
	f(`States.Array(1)[0]`, "expected the end")
	f(`States.Array('a)`, "closing '")
	f(`States.Array('a\n')`, "a backslash")
	f(`States.Array('a\`, "a backslash")
	f(`States.Array("a")`, "expected a path")
	f(`States.Array(01)`, "expected a path")
	f(`Format('x')`, "begins with $")
	f(`$.a, $.b`, "expected the end")
	nested := `1`
	for range 10 {
		nested = `States.Array(` + nested + `)`
	}
	if _, err := ParseExpr(nested); err != nil {
		t.Error(err)
	}
	f(`States.Array(`+nested+`)`, "at most 10 deep")
}

func TestExprReferences(t *testing.T) {
	x, err := ParseExpr(`States.Format('{}', $b.x, States.Array($a, $$.Task.Token, $.a, $b, $$.Execution.Id, $$.Task.Token))`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(x.Variables(), " "); got != "a b" {
		t.Errorf("variables: %s", got)
	}
	if got := strings.Join(x.ContextPaths(), " "); got != "$$.Execution.Id $$.Task.Token" {
		t.Errorf("context paths: %s", got)
	}
}

func TestErrorWordingOfFields(t *testing.T) {
	x, err := ParseExpr(`$.NoSuchCausePath`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.EvalField("CausePath", &Env{Input: parseJSON(t, `{"Error": "error-value"}`)})
	if want := `States.Runtime: The JSONPath '$.NoSuchCausePath' specified for the field 'CausePath' could not be found in the input '{"Error":"error-value"}'`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestChance(t *testing.T) {
	if got := eval(t, `States.UUID()`, `{}`); !regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`).MatchString(got) {
		t.Errorf("no UUID: %s", got)
	}
	f := func(expr, want string) {
		t.Helper()
		if got := eval(t, expr, `{}`); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	// Values of java.util.Random: new Random(seed).nextInt(n).
	f(`States.MathRandom(0, 10, 42)`, `0`)
	f(`States.MathRandom(0, 100, 42)`, `30`)
	f(`States.MathRandom(0, 100, 0)`, `60`)
	f(`States.MathRandom(5, 15, 42)`, `5`)
	f(`States.MathRandom(0, 100, -1)`, eval(t, `States.MathRandom(0, 100, -1)`, `{}`))
	for range 3 {
		f(`States.ArrayContains(States.ArrayRange(1, 5, 1), States.MathRandom(1.6, 5.4))`, `true`)
		f(`States.MathRandom(-2147483648, 2147483647, 7)`, eval(t, `States.MathRandom(-2147483648, 2147483647, 7)`, `{}`))
	}
}

func TestIntrinsicResultsAreBounded(t *testing.T) {
	args := strings.TrimSuffix(strings.Repeat("$,", 20), ",")
	nested := `$`
	for range 9 {
		nested = `States.Array(` + strings.TrimSuffix(strings.Repeat(nested+",", 3), ",") + `)`
	}
	f := func(expr string) {
		t.Helper()
		if got := eval(t, expr, `"`+strings.Repeat("x", 250_000)+`"`); !strings.Contains(got[:min(len(got), 2_000_000)], "too large") {
			t.Errorf("%.60s gives %.100s", expr, got)
		}
	}
	f(nested)
	f(`States.Array(` + args + `,` + args + `)`)
	f(`States.Format('` + strings.Repeat("{}", 40) + `',` + args + `,` + args + `)`)
}

func FuzzIntrinsic(f *testing.F) {
	for _, seed := range []string{
		`States.Format('{} \{ {}', $.a, States.JsonToString($.b))`, `States.ArrayUnique(States.StringSplit($.s, ','))`, `States.ArrayRange(1, 1e3, -2)`,
		`States.JsonMerge($, States.StringToJson('{"x":1}'), false)`, `States.MathRandom(1, 10, -3)`, `States.Base64Decode('a=b')`, `States.Hash($, 'MD5')`,
		`States.ArrayPartition($.b, 0.5)`, `States.UUID()`, `States.ArrayGetItem($v.x, 0)`,
	} {
		f.Add(seed, `{"a":1,"b":[1,[2],{"c":null}],"s":"x,y"}`)
	}
	f.Fuzz(func(t *testing.T, text, input string) {
		x, err := ParseExpr(text)
		if err != nil {
			return
		}
		v, err := value.Parse(input)
		if err != nil {
			return
		}
		got, err := x.EvalField("f.$", &Env{Input: v, Random: func() uint64 { return 1 << 40 }})
		var e *Error
		switch {
		case err == nil && got.IsAbsent():
			t.Fatalf("%s gives nothing and no error", text)
		case err == nil && value.Valid(got.JSON()) != nil:
			t.Fatalf("%s gives %s", text, got)
		case err != nil && (!errors.As(err, &e) || e.Cause == ""):
			t.Fatalf("%s: error %#v", text, err)
		}
	})
}
