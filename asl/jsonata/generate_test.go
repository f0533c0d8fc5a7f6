package jsonata

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random expressions that have something to do with the
// documents it writes: the same names occur in both.
type generator struct {
	*rand.Rand
	vars []string
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 42))}
}

func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

func (g *generator) name() string {
	return g.pick("a", "b", "c", "items", "name", "price", "tags", "zz")
}

// document writes a JSON document.
func (g *generator) document(depth int) string {
	if depth <= 0 || g.IntN(5) == 0 {
		return g.scalar()
	}
	if g.IntN(3) == 0 {
		var items []string
		for range g.IntN(4) {
			items = append(items, g.document(depth-1))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	var members []string
	used := map[string]bool{}
	for range 1 + g.IntN(4) {
		if n := g.name(); !used[n] {
			used[n] = true
			members = append(members, fmt.Sprintf("%q:%s", n, g.document(depth-1)))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g *generator) scalar() string {
	return g.pick("1", "2", "3", "0", "-1", "2.5", "10", "0.1", "1000", `"x"`, `"y"`, `""`, `"foo bar"`, `"1"`, `"é😀"`, "true", "false", "null", "100.25", `"a,b"`)
}

func (g *generator) literal() string {
	return g.pick("0", "1", "2", "-1", "1.5", "3", "10", `"x"`, `"foo"`, `"a"`, `""`, `"1"`, "true", "false", "null", "0.1", "1e2", `"é"`, "[]", "{}")
}

// expr writes an expression.
func (g *generator) expr(depth int) string {
	if depth <= 0 {
		return g.leaf()
	}
	d := depth - 1
	switch g.IntN(24) {
	case 0, 1, 2, 3:
		return g.path(d)
	case 4:
		return g.expr(d) + g.pick(" + ", " - ", " * ", " / ", " % ") + g.expr(d)
	case 5:
		return g.expr(d) + g.comparison(d)
	case 6:
		return g.expr(d) + " & " + g.expr(d)
	case 7:
		return g.expr(d) + g.pick(" and ", " or ") + g.expr(d)
	case 8:
		var parts []string
		for range g.IntN(4) {
			parts = append(parts, g.expr(d))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case 9:
		return g.object(d)
	case 10:
		return "(" + g.expr(d) + ")"
	case 11:
		return g.expr(d) + " ? " + g.expr(d) + g.pick(" : "+g.expr(d), "")
	case 12:
		return g.block(d)
	case 13, 14, 15, 16, 17:
		return g.call(d)
	case 18:
		return "[" + g.pick("1", "0", "-2", "$count("+g.expr(d)+")") + ".." + g.pick("3", "5", "1", "2.5", g.expr(d)) + "]"
	case 19:
		return g.postfix(g.path(d), d)
	case 20:
		return g.expr(d) + " ~> " + g.chained(d)
	case 21:
		return "-" + g.leaf()
	case 22:
		return g.path(d) + " ~> |" + g.path(d-1) + "|" + g.object(d-1) + g.pick("", `, "a"`, `, ["b","name"]`, ","+g.expr(d-1)) + "|"
	}
	return g.joined(d)
}

// comparison leaves objects out of in, which compares them by identity.
func (g *generator) comparison(d int) string {
	if g.IntN(7) == 0 {
		return " & \"\" in " + g.expr(d)
	}
	return g.pick(" = ", " != ", " < ", " <= ", " > ", " >= ") + g.expr(d)
}

func (g *generator) leaf() string {
	switch g.IntN(6) {
	case 0, 1:
		return g.name()
	case 2:
		// A function as a value shows how the library represents it: not here.
		if n := len(g.vars); n > 0 {
			if v := g.vars[g.IntN(n)]; v != "f" {
				return "$" + v
			}
		}
		return "$"
	case 3:
		return g.pick("$", "$$", "*", "**", "a.b", "items.price", "items", "$.a", "$$.items", "nothing")
	}
	return g.literal()
}

func (g *generator) object(d int) string {
	var parts []string
	for range g.IntN(3) + g.IntN(2) {
		key := g.pick(`"k"`, `"l"`, `"m"`, `"a"`, `"price"`, `"name"`, "name", "(\"n\" & "+g.leaf()+")", g.name())
		parts = append(parts, key+": "+g.expr(d))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g *generator) step(d int) string {
	switch g.IntN(14) {
	case 0:
		return g.pick("*", "**", "$", "%")
	case 1:
		return "(" + g.expr(d) + ")"
	case 2:
		return g.object(d)
	case 3:
		return "[" + g.expr(d) + g.pick("", ", "+g.expr(d)) + "]"
	case 4:
		return g.call(d)
	}
	return g.name()
}

func (g *generator) path(d int) string {
	s := g.pick("$", "$$", "", "", "", "", "items", "a")
	for range 1 + g.IntN(3) {
		if s != "" {
			s += "."
		}
		s += g.step(d - 1)
		s = g.postfix(s, d-1)
	}
	return s
}

func (g *generator) postfix(s string, d int) string {
	switch g.IntN(14) {
	case 0, 1:
		return s + "[" + g.expr(d) + "]"
	case 2:
		return s + "[" + g.pick("0", "1", "-1", "[0,1]", "1.5", "[0..1]", "-2") + "]"
	case 3:
		return s + "[]"
	case 4:
		return s + "^(" + g.pick("", ">", "<") + g.expr(d) + g.pick("", ", >"+g.leaf()) + ")"
	case 5:
		return s + g.object(d)
	case 6:
		return s + "#$i" + g.pick("", ".{\"i\":$i,\"v\":$}", "[$i=1]", ".$i")
	}
	return s
}

// joined writes paths that bind variables and look at parents.
func (g *generator) joined(d int) string {
	switch g.IntN(6) {
	case 0:
		return g.name() + "@$v." + g.path(d) + "{" + g.pick("$v.name", `"k"`, "name") + ": $v}"
	case 1:
		return g.pick("items", "a", "$") + "@$v." + g.pick("items", "tags", "b", "$") + "@$w[$v." + g.name() + " = $w." + g.name() + "].{\"v\":$v,\"w\":$w}"
	case 2:
		return g.name() + "." + g.name() + ".{\"p\":%." + g.name() + ",\"v\":$}"
	case 3:
		return g.pick("items", "a", "*") + "." + g.name() + "[%." + g.name() + " = " + g.leaf() + "]"
	case 4:
		return g.pick("items", "a") + "#$i[" + g.expr(d) + "]" + g.pick("", "#$j") + ".{\"i\":$i,\"x\":" + g.leaf() + "}"
	}
	return g.pick("items", "a") + "@$v#$i." + g.leaf() + g.pick("", "^($)", "[0]") + g.pick("", ".$i", ".{\"v\":$v,\"i\":$i}", ".%")
}

func (g *generator) block(d int) string {
	name := g.pick("x", "y", "f")
	value := g.expr(d)
	if name == "f" {
		value = g.lambda(d)
	}
	g.vars = append(g.vars, name)
	body := g.expr(d)
	if name == "f" && g.IntN(2) == 0 {
		body = "$f(" + g.expr(d) + g.pick("", ", "+g.leaf()) + ")"
	}
	g.vars = g.vars[:len(g.vars)-1]
	return "($" + name + " := " + value + "; " + body + ")"
}

func (g *generator) lambda(d int) string {
	names := []string{"p", "q", "r"}[:g.IntN(4)]
	var params []string
	for _, n := range names {
		params = append(params, "$"+n)
	}
	g.vars = append(g.vars, names...)
	body := g.expr(d)
	g.vars = g.vars[:len(g.vars)-len(names)]
	sig := ""
	if g.IntN(8) == 0 {
		sig = g.pick("<n:n>", "<s:s>", "<x-:x>", "<a<n>:n>", "<x?x?:x>", "<(sn):s>", "<j-:j>", "<s-n?:s>", "<an:a>", "<o:o>", "<b+:b>")
	}
	return "function(" + strings.Join(params, ", ") + ")" + sig + "{" + body + "}"
}

func (g *generator) function(d int) string {
	if g.IntN(5) == 0 {
		return "$" + g.pick("sum", "string", "uppercase", "count", "boolean", "not", "keys", "type", "length", "append", "number", "exists", "abs")
	}
	return g.lambda(d)
}

func (g *generator) chained(d int) string {
	switch g.IntN(4) {
	case 0:
		return "$" + g.pick("sum", "string", "count", "keys", "type", "reverse", "distinct", "exists", "uppercase", "merge", "spread")
	case 1:
		return g.call(d)
	case 2:
		return "$map(" + g.lambda(d) + ")"
	}
	return g.lambda(d)
}

func (g *generator) regex() string {
	return g.pick("/a/", "/o/i", "/[a-f]+/", `/(\w)(\w)?/`, `/\s/`, "/x|y/", `/^f/`, `/o+?/`, `/(?=b)/`, `/(.)\1/`, `/\d+/`, "/,/")
}

func (g *generator) call(d int) string {
	e := func() string { return g.expr(d) }
	switch g.IntN(40) {
	case 0:
		return "$sum(" + e() + ")"
	case 1:
		return "$count(" + e() + ")"
	case 2:
		return "$" + g.pick("max", "min", "average") + "(" + e() + ")"
	case 3:
		return "$string(" + e() + g.pick("", ", true") + ")"
	case 4:
		return "$length(" + g.pick("", e()) + ")"
	case 5:
		return "$substring(" + e() + ", " + g.pick("0", "1", "-2", "1.5", "10", "-10") + g.pick("", ", 2", ", -1", ", 0", ", 1.5") + ")"
	case 6:
		return "$" + g.pick("substringBefore", "substringAfter") + "(" + e() + ", " + g.pick(`"o"`, `" "`, `""`, e()) + ")"
	case 7:
		return "$" + g.pick("uppercase", "lowercase", "trim", "base64encode", "encodeUrl", "encodeUrlComponent", "decodeUrl") + "(" + e() + ")"
	case 8:
		return "$pad(" + e() + ", " + g.pick("5", "-5", "0", "8") + g.pick("", `, "#-"`) + ")"
	case 9:
		return "$contains(" + e() + ", " + g.pick(`"o"`, g.regex(), e()) + ")"
	case 10:
		return "$split(" + e() + ", " + g.pick(`","`, `" "`, `""`, g.regex()) + g.pick("", ", 1", ", 2", ", 0", ", -1") + ")"
	case 11:
		return "$join(" + e() + g.pick("", `, "-"`) + ")"
	case 12:
		return "$match(" + e() + ", " + g.regex() + g.pick("", ", 1") + ")"
	case 13:
		return "$replace(" + e() + ", " + g.pick(`"o"`, `"a"`, g.regex()) + ", " + g.pick(`"[$0]"`, `"$1-$2"`, `"$$"`, `""`, `function($m){$m.match & "!"}`, "function($m){$m.start}") + g.pick("", ", 1", ", 0") + ")"
	case 14:
		return "$number(" + e() + ")"
	case 15:
		return "$" + g.pick("abs", "floor", "ceil", "round", "sqrt") + "(" + e() + ")"
	case 16:
		return "$round(" + e() + ", " + g.pick("0", "1", "2", "-1") + ")"
	case 17:
		return "$power(" + g.pick("2", "3", "-1", "0.5", e()) + ", " + g.pick("2", "0.5", "-1", "3", e()) + ")"
	case 18:
		return "$formatBase(" + e() + g.pick("", ", 2", ", 16", ", 36", ", 37") + ")"
	case 19:
		return "$formatNumber(" + g.pick("1234.5678", "-0.256", "12", "1e6", e()) + ", " + g.pick(`"#,##0.00"`, `"0"`, `"00.0#"`, `"0%"`, `"#.##;(#.##)"`, `"0‰"`, `"#,##,##0.0#"`, `"x0y"`, `"0.0.0"`, `"0a0"`, `"#0,0.00,0"`) + ")"
	case 20:
		return "$formatInteger(" + g.pick("12", "1999", "0", "-5", "123456", "21", e()) + ", " + g.pick(`"w"`, `"W"`, `"Ww"`, `"I"`, `"i"`, `"A"`, `"a"`, `"0"`, `"000"`, `"#,##0"`, `"0;o"`, `"w;o"`, `"#"`, `"##.#:00"`, `"٠٠"`) + ")"
	case 21:
		return "$parseInteger(" + g.pick(`"12"`, `"twelve"`, `"XIV"`, `"ab"`, `"1,234"`, `"x"`, e()) + ", " + g.pick(`"0"`, `"w"`, `"I"`, `"a"`, `"#,##0"`) + ")"
	case 22:
		return "$fromMillis(" + g.pick("0", "1510067557121", "-86400000", "1e12", "1709164800000", e()) + g.pick("", `, "[Y0001]-[M01]-[D01]"`, `, "[D1o] of [MNn,*-3] [Y], [h]:[m] [PN]"`, `, "[FNn] [d] [W] [w] [X] [xNn]"`, `, "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z0101]", "+0530"`, `, "[z] [Y,2-2] [f]", "-0100"`, `, "[q]"`, `, "[Yw] [[x]] [C]"`) + ")"
	case 23:
		return "$toMillis(" + g.pick(`"2018-02-03"`, `"2018-02-03T10:11:12.123Z"`, `"2018"`, `"x"`, `"2018-13-01"`, `"2020-01-01T00:00:00+01:00"`, e()) + g.pick("", `, "[Y]-[M]-[D]"`, `, "[Y0001]-[M01]-[D01]"`) + ")"
	case 24:
		return "$map(" + e() + ", " + g.function(d) + ")"
	case 25:
		return "$filter(" + e() + ", " + g.function(d) + ")"
	case 26:
		return "$reduce(" + e() + ", " + g.pick("function($x, $y){$x + $y}", "function($x, $y){$x & $y}", "function($x, $y, $i){$append($x, $i)}", g.function(d), "$append") + g.pick("", ", "+g.leaf()) + ")"
	case 27:
		return "$" + g.pick("sift", "each") + "(" + e() + ", " + g.function(d) + ")"
	case 28:
		return "$keys(" + e() + ")"
	case 29:
		return "$lookup(" + e() + ", " + g.pick(`"a"`, `"b"`, `"items"`, e()) + ")"
	case 30:
		return "$append(" + e() + ", " + e() + ")"
	case 31:
		return "$" + g.pick("spread", "merge", "reverse", "distinct", "exists", "type", "boolean", "not", "clone", "count") + "(" + e() + ")"
	case 32:
		return "$sort(" + e() + g.pick("", ", function($l, $r){$l > $r}", ", "+g.function(d)) + ")"
	case 33:
		return "$zip(" + e() + g.pick("", ", "+e()) + ")"
	case 34:
		return "$single(" + e() + g.pick("", ", "+g.function(d)) + ")"
	case 35:
		return g.pick("$error("+e()+")", "$assert("+e()+", \"no\")", "$substring(?, 1)($string("+e()+"))", "$pad(?, 4, ?)($string("+e()+"), \"*\")", "$nothing("+e()+")", "sum("+e()+")", e()+"("+e()+")")
	case 36:
		return g.lambda(d) + "(" + e() + ")"
	case 37:
		return "$" + g.pick("uppercase", "string", "length", "boolean", "number", "keys", "abs", "trim") + "()"
	case 38:
		return "$" + g.pick("toMillis(\"3 Feb 2012\", \"[D1] [MNn,3-3] [Y0001]\")", "toMillis(\"12:30 pm 4/5/2020\", \"[h]:[m] [P] [D1]/[M1]/[Y0001]\")", "base64decode(\"Zm9v\")", "decodeUrlComponent(\"%C3%A9\")", "string(1/3)", "string(1e21)", "string(123456789.123456789)")
	}
	return "(" + g.lambda(d) + " ~> " + g.lambda(d) + ")(" + e() + ")"
}
