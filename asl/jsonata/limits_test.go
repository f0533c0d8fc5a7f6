package jsonata

import (
	"runtime"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

// hostile are expressions that would run for ever or take all memory, with the
// messages that they may end with.
var hostile = []struct{ expr, message string }{
	{`($f := function(){$f()}; $f())`, timeoutMessage},
	{`($f := function($n){1 + $f($n + 1)}; $f(0))`, stackMessage},
	{`($f := function($s){$f($s & $s)}; $f("xxxxxxxx"))`, memoryMessage},
	{`($f := function($a){$f([$a, $a])}; $f([1]))`, memoryMessage},
	{`($f := function($a){$f($append($a, $a))}; $f([1]))`, memoryMessage},
	{`[1..9e6]`, memoryMessage},
	{`[1..9e6].($ * 2)`, memoryMessage},
	{`$sum([1..9e6].[1..9e6].$)`, memoryMessage},
	{`$map([1..9e6], function($x){function(){$x}})`, memoryMessage},
	{`$reduce([1..9e6], function($a, $b){[[$a]]}, 0)`, ""},
	{`$reduce([1..9e6], $append)`, memoryMessage},
	{`$string([1..9e6])`, memoryMessage},
	{`$join($map([1..9e6], $string))`, memoryMessage},
	{`$pad("x", 1e12)`, memoryMessage},
	{`$pad("x", 9e15)`, memoryMessage},
	{`$reduce([1..100], function($s, $i){$replace($s, "x", "xxxx")}, "x")`, memoryMessage},
	{`$contains($pad("a", 200, "a"), /^(a+)+$b/)`, timeoutMessage},
	{`$contains($pad("a", 500000, "a"), /(a*)*(a*)*b/)`, ""},
	{`$contains($pad("a", 40, "a") & "!", /^(a|a)*$/)`, timeoutMessage},
	{`$match($pad("x", 100000, "xy"), /(x|y)*z/)`, ""},
	{`$sort([1..1e6], function($a, $b){$a < $b})`, ""},
	{`$zip([1..9e6], [1..9e6])`, memoryMessage},
	{`$shuffle([1..9e6])`, memoryMessage},
	{`$distinct([1..1e6].{"a": $})`, ""},
	{`$formatInteger(1e300, "I")`, stackMessage},
	{`$formatInteger(16000000000, "I")`, ""},
	{`$formatNumber(0, "0.0e0")`, timeoutMessage},
	{`$formatInteger(5, $pad("0", 30000000, "0"))`, ""},
	{`$range(1, 1e15, 1)`, memoryMessage},
	{`$partition([1..9e6], 1)`, memoryMessage},
	{`$merge([1..1e6].{"k" & $: $})`, ""},
	{`{"a": [1..9e6].{"b": $}}`, memoryMessage},
	{`[1..9e6]{$string($): $}`, memoryMessage},
	{`[1..9e6]^(-$)`, memoryMessage},
	{`[1..1e6]@$x.[1..1e6]@$y.($x + $y)`, memoryMessage},
	{`$ ~> |**|{"a": $, "b": $}|`, ""},
	{`$split($pad("a", 9000000, "a"), "")`, ""},
	{`$reduce([1..60], function($a, $b){[[$a, $a]]}, 1)`, memoryMessage},
	{`$string($reduce([1..60], function($a, $b){[[$a, $a]]}, 1))`, memoryMessage},
	{`$reduce([1..60], function($a, $b){{"a": $a, "b": $a}}, 1) = $reduce([1..60], function($a, $b){{"a": $a, "b": $a}}, 1)`, timeoutMessage},
	{`$filter([1..1e7], function($x){$filter([1..1e7], function($y){false})})`, timeoutMessage},
	{`[1..1e7][$ < 0]`, timeoutMessage},
	{`$count([1..1e7][[1..1e7][$ > 5]])`, ""},
}

func TestHostile(t *testing.T) {
	in, err := value.Parse(`{"x":[{"y":1},{"z":[{"w":2}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hostile {
		e, err := Compile(h.expr)
		if err != nil {
			t.Fatalf("%s: %v", h.expr, err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err = e.Eval(in, nil)
		runtime.ReadMemStats(&after)
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 80 {
			t.Errorf("%s made %d MiB", h.expr, made)
		}
		if h.message == "" {
			continue // may end in any way, as long as it ends
		}
		if x, ok := err.(*Error); !ok || !x.Limit || x.Message != h.message {
			t.Errorf("%s: %v, want %q", h.expr, err, h.message)
		}
	}
}

// TestHostileText is about what is written too deep or too long.
func TestHostileText(t *testing.T) {
	f := func(text string) {
		t.Helper()
		_, err := Compile(text)
		if x, ok := err.(*Error); !ok || !x.Limit || x.Message != stackMessage {
			t.Errorf("%.30s…: %v", text, err)
		}
	}
	f(strings.Repeat("(", 100_000) + strings.Repeat(")", 100_000))
	f(strings.Repeat("[", 100_000))
	f(strings.Repeat("-", 100_000) + "1")
	f(strings.Repeat("function(){", 100_000))
	f("1" + strings.Repeat("+1", 100_000))
	f("a" + strings.Repeat(".a", 100_000))
	f("a" + strings.Repeat("[0]", 100_000))
	f(strings.Repeat("a ? ", 100_000) + "1")
}

func TestLimitsAreTheCallers(t *testing.T) {
	f := func(expr string, l Limits, message string) {
		t.Helper()
		e, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Eval(value.Value{}, &Env{Limits: l})
		if got := ""; err != nil {
			if got = err.Error(); got != message {
				t.Errorf("%s: %q, want %q", expr, got, message)
			}
		} else if message != "" {
			t.Errorf("%s: no error, want %q", expr, message)
		}
	}
	f(`$sum([1..1000])`, Limits{}, "")
	f(`$sum([1..1000])`, Limits{Steps: 500}, timeoutMessage)
	f(`[1..1000].$`, Limits{Bytes: 5000}, memoryMessage)
	f(`($f := function($n){$n = 0 ? 0 : 1 + $f($n - 1)}; $f(90))`, Limits{Depth: 300}, "")
	f(`($f := function($n){$n = 0 ? 0 : 1 + $f($n - 1)}; $f(200))`, Limits{Depth: 300}, stackMessage)
	f(`($f := function($n){$n = 0 ? 0 : $f($n - 1)}; $f(10000))`, Limits{Depth: 300}, "")
	f(`$pad("x", 1000)`, Limits{Output: 100}, memoryMessage)
}

func TestDeadline(t *testing.T) {
	e, err := Compile(`($f := function(){$f()}; $f())`)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	_, err = e.Eval(value.Value{}, &Env{Deadline: func() bool { asked++; return asked == 3 }})
	if err == nil || err.Error() != timeoutMessage || asked != 3 {
		t.Errorf("%v after asking %d times", err, asked)
	}
}
