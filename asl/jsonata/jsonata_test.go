package jsonata

import (
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

// evaluate gives the outcome as text.
func evaluate(t testing.TB, expr, data string) string {
	t.Helper()
	e, err := Compile(expr)
	if err != nil {
		return "error " + err.Error()
	}
	var in value.Value
	if data != "" {
		if in, err = value.Parse(data); err != nil {
			t.Fatal(err)
		}
	}
	r, err := e.Eval(in, nil)
	switch {
	case err != nil:
		return "error " + err.Error()
	case r.Undefined:
		return "nothing"
	case r.Function:
		return "function"
	}
	return r.Value.JSON()
}

func TestStepFunctionsDialect(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if got := evaluate(t, expr, `{"n":2.7}`); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	f(`$partition([1,2,3,4,5], 2)`, `[[1,2],[3,4],[5]]`)
	f(`$partition([1,2,3,4,5], n)`, `[[1,2],[3,4],[5]]`)
	f(`$partition([], 2)`, `[]`)
	f(`$range(0, 10, 3)`, `[0,3,6,9]`)
	f(`$range(0, 10, 5)`, `[0,5,10]`)
	f(`$range(3, 1, -1)`, `[3,2,1]`)
	f(`$range(0.9, 2.9, 1.5)`, `[0,1,2]`)
	f(`$hash("input data", "SHA-1")`, `"aaff4a450a104cd177d28d18d74485e8cae074b7"`)
	f(`$hash("", "MD5")`, `"d41d8cd98f00b204e9800998ecf8427e"`)
	f(`$length($hash("x", "SHA-512"))`, `128`)
	f(`$parse('{"a": [1, 2.50]}')`, `{"a":[1,2.50]}`)
	f(`$random(42) = $random(42)`, `true`)
	f(`$random(42) < 1 and $random(42) >= 0`, `true`)
	f(`$eval("1")`, `error T1006: Attempted to invoke a non-function`)
	f(`{"10": 1, "9": 2, "x": 3}`, `{"10":1,"9":2,"x":3}`)
	f(`function($x){$x}`, `function`)
	f(`[function($x){$x}]`, `function`)
	f(`nothing`, `nothing`)
	if got := evaluate(t, `$uuid()`, ""); !regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`).MatchString(got) {
		t.Errorf("$uuid() = %s", got)
	}
}

func TestNumbersKeepTheirText(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if got := evaluate(t, expr, `{"a":1.0,"b":12345678901234567890,"c":[1e2]}`); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	f(`a`, `1.0`)
	f(`{"x": b}`, `{"x":12345678901234567890}`)
	f(`c[0]`, `1e2`)
	f(`a + 0`, `1`)
	f(`$string(b)`, `"12345678901234600000"`)
	f(`0.1 + 0.2`, `0.30000000000000004`)
	f(`$string(0.1 + 0.2)`, `"0.3"`)
	f(`1/0`, `null`)
}

func TestTimeAndChanceAreTheCallers(t *testing.T) {
	e, err := Compile(`[$now(), $millis(), $now("[Y]"), $random() != $random()]`)
	if err != nil {
		t.Fatal(err)
	}
	asked, n := 0, uint64(0)
	r, err := e.Eval(value.Value{}, &Env{
		Millis: func() int64 { asked++; return 1_700_000_000_000 },
		Random: func() uint64 { n++; return n << 60 },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := `["2023-11-14T22:13:20.000Z",1700000000000,"2023",true]`; r.Value.JSON() != want || asked != 1 {
		t.Errorf("%s, want %s; asked %d times", r.Value, want, asked)
	}
}

func TestNamesFromOutside(t *testing.T) {
	f := func(expr string, variables, states []string) {
		t.Helper()
		e, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Variables(); !slices.Equal(got, variables) {
			t.Errorf("%s: variables %q, want %q", expr, got, variables)
		}
		if got := e.StatesMembers(); !slices.Equal(got, states) {
			t.Errorf("%s: $states %q, want %q", expr, got, states)
		}
	}
	f(`$states.input.a + $x`, []string{"states", "x"}, []string{"input"})
	f(`($x := 1; $x + $y)`, []string{"x", "y"}, nil)
	f(`$sum($states.result.a[b = $states.context.State.Name])`, []string{"states"}, []string{"context", "result"})
	f(`$states`, []string{"states"}, []string{""})
	f(`function($a){$a + $b}($states.errorOutput)`, []string{"b", "states"}, []string{"errorOutput"})
}

func TestAnExprIsSafeForConcurrentUse(t *testing.T) {
	e, err := Compile(`$map([1..100], function($x){$replace($string($x), /1/, "$0$0")}) ~> $join("-") ~> $length`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if r, err := e.Eval(value.Value{}, nil); err != nil || r.Value.JSON() != "312" {
					t.Errorf("%s, %v", r.Value, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestRegularExpressions(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if got := evaluate(t, expr, ""); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	f(`$match("aXbX", /(?<=a)X/)`, `{"match":"X","index":1,"groups":[]}`)
	f(`$match("abab", /(ab)\1/).match`, `"abab"`)
	f(`$replace("2024-01-02", /(\d+)-(\d+)-(\d+)/, "$3.$2.$1")`, `"02.01.2024"`)
	f(`$split("a, b;c", /[,;]\s*/)`, `["a","b","c"]`)
	f(`$contains("foo\nbar", /^bar$/m)`, `true`)
	f(`$contains("foo\nbar", /^bar$/)`, `false`)
	f(`$contains("STRASSE", /straße/i)`, `false`)
	f(`$match("é😀", /./).index`, `[0,1,2]`)
	f(`$match("aaa", /a{2}/).match`, `"aa"`)
	f(`$match("<a><b>", /<.+?>/).match`, `["<a>","<b>"]`)
	f(`/(/`, `error S0302: No terminating / in regular expression`)
	f(`/[z-a]/`, `error Invalid regular expression: /[z-a]/: Range out of order in character class`)
}

// What the library takes for the end of a path: an empty text has no items.
func TestAnEmptyTextEndsAPath(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if got := evaluate(t, expr, `{}`); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	f(`[""][0].a`, `""`)
	f(`[""][0].a.b`, `""`)
	f(`[""][0].a#$i`, `""`)
	f(`[""][0].a@$x.b`, `""`)
	f(`[price, ""][-1].price#$i.{"i": $i, "v": $}.a`, `""`)
	f(`["x"][0].a`, `nothing`)
	f(`[""].a#$i`, `nothing`)
	f(`[[]][0].a#$i`, `[]`)
}

func FuzzCompile(f *testing.F) {
	g := newGenerator(7)
	for range 200 {
		f.Add(g.expr(3))
	}
	for _, h := range hostile {
		f.Add(h.expr)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Compile(text); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}

func FuzzEval(f *testing.F) {
	g := newGenerator(8)
	for range 300 {
		f.Add(g.expr(4), g.document(3))
	}
	env := &Env{Limits: Limits{Steps: 200_000, Bytes: 4 << 20}}
	f.Fuzz(func(t *testing.T, text, data string) {
		in, err := value.Parse(data)
		if err != nil {
			return
		}
		e, err := Compile(text)
		if err != nil {
			return
		}
		first, err1 := e.Eval(in, env)
		second, err2 := e.Eval(in, env)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !value.Equal(first.Value, second.Value) {
			t.Errorf("twice is not the same: %s, %v and %s, %v", first.Value, err1, second.Value, err2)
		}
	})
}
