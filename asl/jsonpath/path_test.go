package jsonpath

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

func parseJSON(t testing.TB, text string) value.Value {
	t.Helper()
	v, err := value.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// at evaluates a path on input; an error comes back as its text.
func at(t testing.TB, path, input string) string {
	t.Helper()
	p, err := Parse(path)
	if err != nil {
		t.Fatalf("Parse(%s): %v", path, err)
	}
	v, err := p.Eval(&Env{Input: parseJSON(t, input)})
	if err != nil {
		return err.Error()
	}
	return v.JSON()
}

const store = `{"store":{"book":[
 {"category":"reference","author":"Nigel Rees","title":"Sayings","price":8.95},
 {"category":"fiction","author":"Evelyn Waugh","title":"Sword","price":12.99},
 {"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553","price":8.99},
 {"category":"fiction","author":"J. R. R. Tolkien","title":"The Lord","isbn":"0-395","price":22.99}],
 "bicycle":{"color":"red","price":19.95}},"expensive":10}`

func TestPaths(t *testing.T) {
	f := func(path, input, want string) {
		t.Helper()
		if got := at(t, path, input); got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", path, input, got, want)
		}
	}
	f(`$`, `{"a":1}`, `{"a":1}`)
	f(`$.a`, `{"a":1.0}`, `1.0`)
	f(`$.a[0].b`, `{"a":[{"b":2}]}`, `2`)
	f(`$[-1]`, `[1,2,3]`, `3`)
	f(`$['a b']["c"]`, `{"a b":{"c":null}}`, `null`)
	f(`$.['a']`, `{"a":1}`, `1`)
	f(`$.delivery-partner`, `{"delivery-partner":"UQS"}`, `"UQS"`)
	f(`$.größe`, `{"größe":3}`, `3`)
	f(`$['it\'s']`, `{"it\\'s":1}`, `1`) // names are not unescaped

	// What is missing: a definite path fails, an indefinite one gives [].
	f(`$.x`, `{}`, `States.Runtime: Invalid path '$.x' : No results for path: $['x']`)
	f(`$.no.such`, `{}`, `States.Runtime: Invalid path '$.no.such' : Missing property in path $['no']`)
	f(`$.a[3]`, `{"a":[1]}`, `States.Runtime: Invalid path '$.a[3]' : No results for path: $['a'][3]`)
	f(`$.a.b`, `{"a":"x"}`, `States.Runtime: Invalid path '$.a.b' : Expected to find an object with property ['b'] in path $['a'] but found 'java.lang.String'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonProvider'.`)
	f(`$.a[0]`, `{"a":null}`, `States.Runtime: Invalid path '$.a[0]' : The path $['a'] is null`)
	f(`$.items[*]`, `{}`, `[]`)
	f(`$.item.items[1:]`, `{}`, `[]`)
	f(`$.items[*].x`, `{"items":[{"x":1},{},3]}`, `[1]`)
	f(`$[*]`, `{}`, `[]`)
	f(`$[1:5]`, `{}`, `States.Runtime: Invalid path '$[1:5]' : Filter: [1:5] can only be applied to arrays. Current context is: {}`)

	f(`$.store.book[*].author`, store, `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`)
	f(`$..author`, store, `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`)
	f(`$.store..price`, store, `[8.95,12.99,8.99,22.99,19.95]`)
	f(`$..book[2].title`, store, `["Moby Dick"]`)
	f(`$..book[-1:].title`, store, `["The Lord"]`)
	f(`$..book[0,1].price`, store, `[8.95,12.99]`)
	f(`$..book[:2].price`, store, `[8.95,12.99]`)
	f(`$.store.*`, `{"store":{"a":1,"b":[2]}}`, `[1,[2]]`)
	f(`$..*`, `{"a":{"b":1}}`, `[{"b":1},1]`)
	f(`$[1:3]`, `[0,1,2,3]`, `[1,2]`)
	f(`$[-2:]`, `[0,1,2,3]`, `[2,3]`)
	f(`$[:-1]`, `[0,1,2,3]`, `[0,1,2]`)
	f(`$[9:]`, `[0]`, `[]`)
	f(`$[0,2,7]`, `[0,1,2]`, `[0,2]`)
	f(`$['a','c','x']`, `{"a":1,"b":2,"c":3}`, `{"a":1,"c":3}`)
	f(`$[*]['a','b']`, `[{"a":1},{"b":2,"c":3}]`, `[{"a":1},{"b":2}]`)
	f(`$['a','b'].x`, `{"a":{"x":1},"b":{"x":2}}`, `[1,2]`)
	f(`$..['a','b']`, `{"a":1,"c":{"a":1,"b":2}}`, `[{"a":1,"b":2}]`)
}

func TestFilters(t *testing.T) {
	f := func(path, input, want string) {
		t.Helper()
		if got := at(t, path, input); got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", path, input, got, want)
		}
	}
	f(`$.users[?(@.status == 0)]`, `{"users":[{"y":1,"status":0},{"y":2,"status":1}]}`, `[{"y":1,"status":0}]`)
	f(`$..book[?(@.isbn)].title`, store, `["Moby Dick","The Lord"]`)
	f(`$..book[?(!@.isbn)].price`, store, `[8.95,12.99]`)
	f(`$.store.book[?(@.price < $.expensive)].title`, store, `["Sayings","Moby Dick"]`)
	f(`$..book[?(@.price<10 && @.category=='fiction' || @['author'] =~ /j\. .*/i)].title`, store, `["Moby Dick","The Lord"]`)
	f(`$..[?(@.color == 'red')].price`, store, `[19.95]`)
	f(`$[?(@.a == 1)]`, `{"a":1}`, `[{"a":1}]`) // an object is tested itself
	f(`$[?(@.a == 2)]`, `{"a":1}`, `[]`)
	f(`$[?(@ > 1)]`, `[1,2,"3",null]`, `[2]`)
	f(`$[?(@ == 1)]`, `[1,1.0,"1","1.0",true]`, `[1,1.0,"1"]`)
	f(`$[?(1 == @)]`, `[1,"1.0","x"]`, `[1,"1.0"]`)
	f(`$[?(@ === 1)]`, `[1,"1"]`, `[1]`)
	f(`$[?(@.x != 1)]`, `[{"x":1},{"x":2},{}]`, `[{"x":2},{}]`)
	f(`$[?(@.x == null)]`, `[{"x":null},{}]`, `[{"x":null}]`)
	f(`$[?(@ in ['a', "b", 1])]`, `["a","b","c","1",1]`, `["a","b","1",1]`)
	f(`$[?(@ nin [1])]`, `[1,2]`, `[2]`)
	f(`$.l[?(@ in $.ok)]`, `{"l":[1,2,3],"ok":[3,1]}`, `[1,3]`)
	f(`$[?(@.t contains 'x')]`, `[{"t":["x"]},{"t":"axb"},{"t":["y"]}]`, `[{"t":["x"]},{"t":"axb"}]`)
	f(`$[?(@.t size 2)]`, `[{"t":[1,2]},{"t":"ab"},{"t":[1]}]`, `[{"t":[1,2]},{"t":"ab"}]`)
	f(`$[?(@.t empty true)]`, `[{"t":[]},{"t":""},{"t":[1]},{}]`, `[{"t":[]},{"t":""}]`)
	f(`$[?(@.t anyof ['a','b'])]`, `[{"t":["a","c"]},{"t":["c"]}]`, `[{"t":["a","c"]}]`)
	f(`$[?(@.t noneof ['a'])]`, `[{"t":["a"]},{"t":["c"]}]`, `[{"t":["c"]}]`)
	f(`$[?(@.t subsetof ['a','b'])]`, `[{"t":["a"]},{"t":["a","c"]}]`, `[{"t":["a"]}]`)
	f(`$[?(@.t ALL ['a'])]`, `[{"t":["a","b"]},{"t":["b"]}]`, `[{"t":["a","b"]}]`)
	f(`$[?((@.a || @.b) && !(@.c))]`, `[{"a":1},{"b":1,"c":1},{}]`, `[{"a":1}]`)
	f(`$[?(@.o == {"k": [1]})].n`, `[{"o":{"k":[1]},"n":1},{"o":{},"n":2}]`, `[1]`)
	f(`$[?(@ =~ /a.c/)]`, `["abc","xabc"]`, `["abc"]`)
	f(`$[?(@.x.length() >= 2)].n`, `[{"x":[1,2],"n":1},{"x":[],"n":2}]`, `[1]`)
	f(`$.a[?(@.x)]`, `{"a":"text"}`, `States.Runtime: Invalid path '$.a[?(@.x)]' : Filter: [?] can not be applied to primitives. Current context is: text`)
}

func TestFunctions(t *testing.T) {
	f := func(path, input, want string) {
		t.Helper()
		if got := at(t, path, input); got != want {
			t.Errorf("%s on %s\n got %s\nwant %s", path, input, got, want)
		}
	}
	f(`$.a.length()`, `{"a":[1,2]}`, `2`)
	f(`$.length()`, `{"a":1}`, `1`)
	f(`$.a.length()`, `{"a":"text"}`, `null`)
	f(`$.keys()`, `{"b":1,"a":2}`, `["b","a"]`)
	f(`$.a.min()`, `{"a":[3,1.5,2]}`, `1.5`)
	f(`$.a.max()`, `{"a":[3,1,2]}`, `3.0`)
	f(`$.a.sum()`, `{"a":[1,2,"x",3]}`, `6.0`)
	f(`$.a.sum()`, `{"a":[5000000,5000000]}`, `1.0E7`)
	f(`$.a.avg()`, `{"a":[1,2]}`, `1.5`)
	f(`$.a.stddev()`, `{"a":[1,3]}`, `1.0`)
	f(`$.sum($.a, $.b.c)`, `{"a":1,"b":{"c":[2,3]}}`, `6.0`)
	f(`$.concat($.a, '-', $.b)`, `{"a":"x","b":1}`, `"x-1"`)
	f(`$.a.append(3)`, `{"a":[1]}`, `[1,3]`)
	f(`$.a.first()`, `{"a":[1,2]}`, `1`)
	f(`$.a.last()`, `{"a":[1,2]}`, `2`)
	f(`$.a.index(-2)`, `{"a":[1,2]}`, `1`)
	f(`$.l[*].a.length()`, `{"l":[{"a":[1]},{"a":[]}]}`, `[1,0]`)
	f(`$.a.sum()`, `{"a":[]}`, `States.Runtime: Invalid path '$.a.sum()' : Aggregation function attempted to calculate value using empty array`)
}

func TestPathErrors(t *testing.T) {
	f := func(path, message string) {
		t.Helper()
		if p, err := Parse(path); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("Parse(%s) = %v, %v, want an error with %q", path, p, err, message)
		}
	}
	f(``, "begins with $")
	f(`a.b`, "begins with $")
	f(`@.a`, "@ stands for")
	f(`$.`, "at character 3")
	f(`$..`, "expected a name")
	f(`$.a b`, "expected the end")
	f(`$[`, "between the brackets")
	f(`$[1`, "expected ]")
	f(`$['a]`, "closing ' is missing")
	f(`$[99999999999]`, "no index")
	f(`$[1,]`, "expected a number")
	f(`$[::2]`, "expected ]")
	f(`$.foo()`, "no function foo()")
	f(`$.length().a`, "expected the end")
	f(`$[?(@.a ~~ 1)]`, "no operator ~~")
	f(`$[?(@.a like 'x')]`, "no operator like")
	f(`$[?(@.a == )]`, "is no value")
	f(`$[?(@.a =~ /x)]`, "closing / of the pattern")
	f(`$[?(@.a =~ /(/)]`, "pattern can not be used")
	f(`$[?(@.a =~ /x/q)]`, "flag q")
	f(`$[?(@.a]`, "expected ), && or ||")
	f(`$[?(@.a == $$.x)]`, "can not refer to $$.x")
	f("$[?("+strings.Repeat("(", 1000), "nested deeper")
	f("$[?("+strings.Repeat("!", 1000), "nested deeper")
}

func TestPathProperties(t *testing.T) {
	f := func(path string, definite, context bool, variable string) {
		t.Helper()
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if p.Definite() != definite || p.Context() != context || p.Variable() != variable || p.String() != path {
			t.Errorf("%s: definite %v, context %v, variable %q", p, p.Definite(), p.Context(), p.Variable())
		}
	}
	f(`$`, true, false, "")
	f(`$.a['b'][0]`, true, false, "")
	f(`$['a','b']`, true, false, "")
	f(`$['a','b'].c`, false, false, "")
	f(`$.a.length()`, true, false, "")
	f(`$..a`, false, false, "")
	f(`$.a[0:1]`, false, false, "")
	f(`$$`, true, true, "")
	f(`$$.Task.Token`, true, true, "")
	f(`$x`, true, false, "x")
	f(`$größe_1[*]`, false, false, "größe_1")
}

func TestRoots(t *testing.T) {
	env := &Env{
		Input:   parseJSON(t, `{"a":"input"}`),
		Context: func() value.Value { return parseJSON(t, `{"a":"context"}`) },
		Variable: func(name string) (value.Value, bool) {
			return parseJSON(t, `{"a":["variable"]}`), name == "v"
		},
	}
	f := func(path, want string) {
		t.Helper()
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := p.Eval(env); err != nil || v.JSON() != want {
			t.Errorf("%s = %s, %v, want %s", path, v, err, want)
		}
	}
	f(`$.a`, `"input"`)
	f(`$$.a`, `"context"`)
	f(`$v.a[0]`, `"variable"`)
	f(`$v.a[*]`, `["variable"]`)
	p, err := Parse(`$w.a`)
	if err != nil {
		t.Fatal(err)
	}
	var failed *Error
	if _, err := p.Eval(env); !errors.As(err, &failed) || failed.Name != "States.Runtime" || !strings.Contains(failed.Cause, "'w'") {
		t.Errorf("a variable that was never assigned gives %v", err)
	}
}

func TestRef(t *testing.T) {
	f := func(path, into, want string) {
		t.Helper()
		r, err := ParseRef(path)
		if err != nil {
			t.Fatalf("ParseRef(%s): %v", path, err)
		}
		v, err := r.Set(parseJSON(t, into), value.Str("x"))
		got := v.JSON()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s into %s\n got %s\nwant %s", path, into, got, want)
		}
	}
	f(`$`, `{"a":1}`, `"x"`)
	f(`$.a`, `{"a":1,"b":2}`, `{"a":"x","b":2}`)
	f(`$.c`, `{"a":1}`, `{"a":1,"c":"x"}`)
	f(`$.c.d['e f']`, `{"a":1}`, `{"a":1,"c":{"d":{"e f":"x"}}}`)
	f(`$.l[1].a`, `{"l":[1,{"b":2}]}`, `{"l":[1,{"b":2,"a":"x"}]}`)
	f(`$.l[2]`, `{"l":[1,2]}`, `States.ResultPathMatchFailure: Unable to apply ReferencePath $.l[2] to input {"l":[1,2]}`)
	f(`$.a.b`, `{"a":1}`, `States.ResultPathMatchFailure: Unable to apply ReferencePath $.a.b to input {"a":1}`)
	f(`$.a`, `"text"`, `States.ResultPathMatchFailure: Unable to apply ReferencePath $.a to input "text"`)
	for _, bad := range []string{`$$.a`, `$v`, `$.a[*]`, `$..a`, `$.a[0:1]`, `$.a[?(@.b)]`, `$['a','b']`, `$.a[-1]`, `$.a.length()`, `a`} {
		if r, err := ParseRef(bad); err == nil {
			t.Errorf("ParseRef(%s) = %v", bad, r)
		}
	}
}

// What a path may cost is bounded, whatever it and the input are.
func TestPathsAreBounded(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 400) + `1` + strings.Repeat(`]}`, 400)
	wide := `{"l":[` + strings.Repeat(`"abcdefgh",`, 20_000) + `1]}`
	f := func(path, input string) {
		t.Helper()
		if got := at(t, path, input); !strings.Contains(got, "too many nodes") && !strings.Contains(got, "too large") {
			t.Errorf("%s gives %.100s", path, got)
		}
	}
	f(`$..*..*..*..*`, deep)
	f(`$.l[?(@ in $.l)]`, wide)
	f(`$.l[?($.l anyof $.l)]`, wide)
	f(`$.l[?($.l == $.l)]`, wide)
	f(`$.l[?($.concat($.l) == 'x')]`, wide)
	f(`$.l[?($..x)]`, wide)
	f(`$[`+strings.Repeat(`'l',`, 100)+`'l']..*`, wide)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`$.a[0].b`, `$..book[?(@.a =~ /x/i && !(@.b in ['c', 1]) || @.x.length() > 2)]`, `$['a','b'][1:-1]`, `$$.x`, `$v..*`, `$.concat($.a,'x')`, `$[0,-1]`} {
		f.Add(seed, `{"a":[{"b":1,"c":"x"}],"x":[[1,2],null]}`)
	}
	f.Fuzz(func(t *testing.T, text, input string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Fatalf("Parse(%q).String() = %q", text, p)
		}
		v, err := value.Parse(input)
		if err != nil {
			return
		}
		got, err := p.Eval(&Env{Input: v})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Name == "" || e.Cause == "" {
				t.Fatalf("%s: error %#v", text, err)
			}
			return
		}
		if got.IsAbsent() {
			t.Fatalf("%s gives nothing and no error", text)
		}
		if !p.Definite() && got.Kind() != value.Array {
			t.Fatalf("%s is indefinite, but gives %s", text, got)
		}
	})
}

func benchmarkPath(b *testing.B, path, input string) {
	p, err := Parse(path)
	if err != nil {
		b.Fatal(err)
	}
	env := &Env{Input: parseJSON(b, input)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Eval(env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPathDefinite(b *testing.B) {
	benchmarkPath(b, `$.a.b[0]`, `{"x":1,"a":{"y":2,"b":[1,2]}}`)
}
func BenchmarkPathWildcard(b *testing.B) { benchmarkPath(b, `$.store.book[*].author`, store) }
func BenchmarkPathFilter(b *testing.B) {
	benchmarkPath(b, `$.store.book[?(@.price < 10)].title`, store)
}

func TestDefinitePathsDoNotAllocate(t *testing.T) {
	p, err := Parse(`$.a.b[0]`)
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Input: parseJSON(t, `{"x":1,"a":{"y":2,"b":[1,2]}}`)}
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Eval(env) }); n != 0 {
		t.Errorf("%s allocates %v times", p, n)
	}
}

func TestFind(t *testing.T) {
	f := func(path, want string, found bool) {
		t.Helper()
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		env := &Env{Input: parseJSON(t, `{"a":[{"b":null}]}`)}
		v, ok := p.Find(env)
		if ok != found || ok && v.JSON() != want {
			t.Errorf("Find(%s) = %s, %v, want %s, %v", path, v, ok, want, found)
		}
		var e *Error
		if _, err := p.Eval(env); found != (err == nil) || err != nil && (!errors.As(err, &e) || !e.Missing) {
			t.Errorf("Eval(%s): %#v, want one that says missing: %v", path, err, !found)
		}
	}
	f(`$`, `{"a":[{"b":null}]}`, true)
	f(`$.a[0].b`, `null`, true)
	f(`$.a[1].b`, ``, false)
	f(`$.a.b`, ``, false)
	f(`$.x`, ``, false)
	f(`$v`, ``, false)
	f(`$$.x`, ``, false)
	f(`$.a[*].b`, `[null]`, true)
	f(`$.x.length()`, ``, false)
}
