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
	if g.IntN(4) == 0 {
		return g.table()
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
	if g.IntN(4) == 0 {
		return g.any(d) // expr alone seldom writes what fits together
	}
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

// table writes a document that most of typed's paths find something in: items
// with names, prices, tags and an object of their own, some without.
func (g *generator) table() string {
	var items []string
	for range 1 + g.IntN(5) {
		item := `{"name":` + g.pick(`"x"`, `"y"`, `"foo bar"`, `"é😀"`, `"Ab,c"`, `"n1"`)
		item += `,"price":` + g.pick("1", "2", "2.5", "10", "-1", "0", `"2"`, "100.25")
		item += g.pick("", `,"tags":[]`, `,"tags":["p"]`, `,"tags":["p","q","p"]`, `,"tags":"p"`, `,"tags":[["p"],"q"]`, `,"tags":[[]]`)
		item += g.pick("", `,"a":{"b":1}`, `,"a":{"b":[1,2]}`, `,"a":[{"b":1},{"b":2,"c":true}]`, `,"a":[[{"b":3}],{"b":[]}]`, `,"a":null`)
		items = append(items, item+"}")
	}
	list := "[" + strings.Join(items, ",") + "]"
	switch g.IntN(5) {
	case 0:
		return list
	case 1:
		return `{"items":[` + list + `],"a":{"b":{"c":[1,[2,[3]]]}}}`
	case 2:
		return `{"a":[{"items":` + list + `,"name":"left"},{"items":` + items[0] + `,"name":"right"}],"price":3}`
	}
	return `{"items":` + list + `,"name":"all","a":[1,2,3],"b":[[1,2],[3],[]],"c":{"a":1,"b":"x"}}`
}

// any, num, text, list, record and truth write expressions that mostly have a
// value of their kind.
func (g *generator) any(d int) string {
	switch g.IntN(10) {
	case 0, 1:
		return g.num(d)
	case 2, 3:
		return g.text(d)
	case 4, 5, 6, 7:
		return g.list(d)
	case 8:
		return g.record(d)
	}
	return g.truth(d)
}

func (g *generator) num(d int) string {
	if d <= 0 {
		return g.pick("0", "1", "2", "3", "-1", "2.5", "0.1", "1e3", "$count(items)", "price", "items[0].price", "$sum(items.price)", "a.b", "12345.678")
	}
	d--
	switch g.IntN(20) {
	case 0, 1, 2:
		return "(" + g.num(d) + g.pick(" + ", " - ", " * ", " / ", " % ") + g.num(d) + ")"
	case 3:
		return "$" + g.pick("sum", "max", "min", "average", "count") + "(" + g.list(d) + ")"
	case 4:
		return "$round(" + g.num(d) + g.pick("", ", 1", ", 2", ", -1", ", 0", ", 3") + ")"
	case 5:
		return "$" + g.pick("abs", "floor", "ceil", "sqrt") + "(" + g.num(d) + ")"
	case 6:
		return "$power(" + g.num(d) + ", " + g.pick("2", "3", "0.5", "-1", "-2", "10", g.num(d)) + ")"
	case 7:
		return "$length(" + g.text(d) + ")"
	case 8:
		return "$number(" + g.pick(`"0x1F"`, `"0b101"`, `"0o17"`, `"1e3"`, `" 1"`, `"-0"`, `".5"`, `"5."`, `"+1"`, `"1e400"`, "true", "false", g.text(d)) + ")"
	case 9:
		return "$reduce(" + g.list(d) + ", function($l, $r){" + g.pick("$l + $r", "$l * $r", "$l > $r ? $l : $r", "$count([$l, $r])") + "}" + g.pick("", ", 0", ", 1") + ")"
	case 10:
		return "(" + g.truth(d) + " ? " + g.num(d) + " : " + g.num(d) + ")"
	case 11:
		return "($n := function($k){$k <= 1 ? " + g.pick("1", g.num(d)) + " : $k " + g.pick("*", "+", "-") + " $n($k - 1)}; $n(" + g.pick("3", "5", "20") + "))"
	case 12:
		return g.list(d) + "[" + g.pick("0", "1", "-1", "1.5", "-0.5") + "]"
	case 13:
		return "$toMillis(" + g.pick(`"2018-02-03T10:11:12.123Z"`, `"2018-02-03"`, `"2018"`, `"2018-02-03T10:11:12+0100"`, "$fromMillis("+g.instant()+", "+g.datePicture()+"), "+g.datePicture()) + ")"
	case 14:
		return "$parseInteger(" + g.pick("$formatInteger("+g.num(d)+", "+g.integerPicture()+")", g.text(d)) + ", " + g.integerPicture() + ")"
	case 15:
		return "-" + g.num(d)
	}
	return g.num(d)
}

func (g *generator) instant() string {
	return g.pick("0", "1", "-1", "1510067557121", "-86400000", "1e12", "1709164800000", "1704067199999", "951782400000", "-62135596800000", "253402300799999", "1230768000000", fmt.Sprint(g.Int64N(4e12)-1e12))
}

// datePicture writes a picture of date components and text between them.
func (g *generator) datePicture() string {
	var b strings.Builder
	for range 1 + g.IntN(5) {
		b.WriteString("[" + g.pick("Y", "M", "D", "d", "F", "W", "w", "X", "x", "H", "h", "P", "m", "s", "f", "Z", "z", "C", "E") +
			g.pick("", "", "", "0", "1", "01", "001", "0001", "N", "n", "Nn", "I", "i", "w", "W", "Ww", "A", "a", "00:00", "0101", "#1", "٠", "9,999") +
			g.pick("", "", "", "o", "c", "t") + g.pick("", "", "", "", ",2", ",2-2", ",*-3", ",3-3", ",1-4", ",*", ",4-*") + "]" +
			g.pick("", "-", " ", "/", ":", "T", ", ", "[[", "]]", "of "))
	}
	return fmt.Sprintf("%q", b.String())
}

func (g *generator) integerPicture() string {
	return g.pick(`"w"`, `"W"`, `"Ww"`, `"I"`, `"i"`, `"A"`, `"a"`, `"0"`, `"000"`, `"#,##0"`, `"0;o"`, `"w;o"`, `"Ww;o"`, `"#"`, `"##.#:00"`, `"٠٠"`, `"0,0,0"`, `"#,##,##0"`, `"00;c"`, `"##0"`, `"1"`, `"9"`, `"*"`, `""`, `"0_0"`)
}

func (g *generator) numberPicture() string {
	digits := func() string { return g.pick("0", "#", "00", "#0", "##0", "#,##0", "0,00", "", "#,#", "1", "9,9") }
	s := g.pick("", "", "$", "a ", "-") + digits()
	if g.IntN(2) == 0 {
		s += "." + g.pick("0", "00", "0#", "##", "#", "", "0,0", "###,###")
	}
	s += g.pick("", "", "", "%", "‰", "e0", "e00", " kg", "e", "0e0")
	if g.IntN(5) == 0 {
		s += ";" + g.pick("(", "-", "neg ") + digits() + g.pick("", ".0") + g.pick("", ")")
	}
	return fmt.Sprintf("%q", s) + g.pick("", "", "", `, {"decimal-separator": ",", "grouping-separator": "."}`, `, {"zero-digit": "٠"}`, `, {"minus-sign": "~", "percent": "p"}`, `, {"exponent-separator": "E"}`, `, {}`)
}

func (g *generator) pattern() string {
	piece := func() string {
		return g.pick("a", "b", "o", "x", ".", `\d`, `\w`, `\s`, `\b`, "[a-c]", "[^x]", "(a)", "(o|x)", "(?:b)", "(?=o)", "(?!x)", "^", "$", `\W`, `\/`, "é", "(?<=f)", "(?<n>o)", `\u0061`, `[\d,]`) +
			g.pick("", "", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,2}", "{0,}")
	}
	s := piece()
	for range g.IntN(3) {
		s += g.pick("", "", "|") + piece()
	}
	return "/" + s + "/" + g.pick("", "", "i", "m", "im", "mi")
}

func (g *generator) text(d int) string {
	if d <= 0 {
		return g.pick(`"x"`, `"foo bar"`, `""`, `"a,b"`, `"é😀"`, "name", "items[0].name", "items.name[1]", `"abcABC"`, "$string(price)", `"  a  b "`, "c.b")
	}
	d--
	switch g.IntN(24) {
	case 0, 1:
		return "(" + g.text(d) + " & " + g.any(d) + ")"
	case 2:
		return "$" + g.pick("uppercase", "lowercase", "trim", "base64encode", "encodeUrl", "encodeUrlComponent", "decodeUrlComponent", "type", "string") + "(" + g.text(d) + ")"
	case 3:
		return "$string(" + g.any(d) + g.pick("", ", true", ", false") + ")"
	case 4:
		return "$substring(" + g.text(d) + ", " + g.num(0) + g.pick("", ", "+g.num(0)) + ")"
	case 5:
		return "$" + g.pick("substringBefore", "substringAfter") + "(" + g.text(d) + ", " + g.text(0) + ")"
	case 6:
		return "$pad(" + g.text(d) + ", " + g.pick("5", "-5", "0", "8", "2.5", "-7") + g.pick("", `, "#-"`, `, ""`, `, "😀"`) + ")"
	case 7:
		return "$join(" + g.list(d) + ".$string()" + g.pick("", `, "-"`, ", "+g.text(0)) + ")"
	case 8, 9:
		return "$replace(" + g.text(d) + ", " + g.pick(g.text(0)+", "+g.pick(`"[$0]"`, `"$$"`, `""`),
			g.pattern()+", "+g.pick(`"[$0]"`, `"$1-$2"`, `"$$"`, `""`, `"$12"`, `"$"`, `"$n"`, `function($m){$m.match & "!"}`, "function($m){$m.groups[0] & $string($m.start)}")) + g.pick("", ", 1", ", 2") + ")"
	case 10, 11:
		return "$formatNumber(" + g.pick("1234.5678", "-0.256", "12", "1e6", "0", "0.00001", "123456789012", g.num(d)) + ", " + g.numberPicture() + ")"
	case 12:
		return "$formatInteger(" + g.pick("12", "1999", "0", "-5", "123456", "21", "1000000", "1e15", "3.7", g.num(d)) + ", " + g.integerPicture() + ")"
	case 13, 14:
		return "$fromMillis(" + g.instant() + g.pick("", ", "+g.datePicture(), ", "+g.datePicture(), ", "+g.datePicture()+", "+g.pick(`"+0530"`, `"-0100"`, `"0000"`, `"+1400"`, `"x"`, `"+05:30"`)) + ")"
	case 15:
		return "$formatBase(" + g.num(d) + g.pick("", ", 2", ", 16", ", 36", ", 2.5") + ")"
	case 16:
		return g.text(d) + " ~> " + g.pick("$uppercase", "$trim", "$substring(1)", `$substringBefore("o")`, "$length", "$string ~> $uppercase", `$pad(?, 4, "-")`, "function($s){$s & $s}", `$split(" ")`)
	case 17:
		return "(" + g.truth(d) + " ? " + g.text(d) + ")"
	case 18:
		return "($p := $" + g.pick("pad(?, 6, ?)", "substring(?, ?, 2)", "join(?, ?)", "replace(?, \"o\", ?)") + "; $p(" + g.text(d) + ", " + g.any(0) + "))"
	case 19:
		return "$match(" + g.text(d) + ", " + g.pattern() + g.pick("", ", 1", ", 2") + ")" + g.pick("", ".match", ".groups", ".index", "[0]")
	}
	return g.text(d)
}

func (g *generator) list(d int) string {
	if d <= 0 {
		return g.pick("items", "items.price", "items.name", "items.tags", "a", "b", "[1,2,3]", `["x","y","x"]`, "[]", "[1]", "[[1,2],[3]]", "[1..4]", "*", "**", "items.a.b", "items.*", "$$.a.items", "[[]]", "[[[1]]]", "a.items", "a.items.tags", "[nothing]", "[1,nothing,null]", "b.$", "a[]", "items[]", "items.tags[]")
	}
	d--
	switch g.IntN(34) {
	case 0:
		return "[" + g.any(d) + ", " + g.any(d) + "]"
	case 1:
		return g.list(d) + "[" + g.truth(d) + "]"
	case 2:
		return g.list(d) + "." + g.pick("name", "price", "a.b", "tags", "*", "$", "("+g.any(d)+")", "["+g.any(d)+"]", "$string()", "{\"k\": $}")
	case 3:
		return g.list(d) + "^(" + g.pick("", ">", "<") + g.pick("price", "name", "$", "a.b", g.any(d)) + g.pick("", ", >name", ", <price", ", $string($)") + ")"
	case 4, 5:
		return "$map(" + g.list(d) + ", function(" + g.pick("$p){", "$p, $i){$i & ", "$p, $i, $l){$count($l) + ", "){") + g.any(d) + "})"
	case 6:
		return "$filter(" + g.list(d) + ", function($p" + g.pick("", ", $i", ", $i, $l") + "){" + g.truth(d) + "})"
	case 7:
		return "$" + g.pick("reverse", "distinct", "spread", "keys", "sort") + "(" + g.list(d) + ")"
	case 8:
		return "$append(" + g.list(d) + ", " + g.any(d) + ")"
	case 9:
		return "$zip(" + g.list(d) + ", " + g.list(d) + g.pick("", ", "+g.list(d)) + ")"
	case 10:
		return "$sort(" + g.list(d) + ", function($l, $r){" + g.pick("$l > $r", "$l.price > $r.price", "$l < $r", "$string($l) > $string($r)", "$length($l.name) > $length($r.name)", "true", "false") + "})"
	case 11:
		return "[" + g.num(d) + ".." + g.pick("3", "5", "$count(items)", g.num(0)) + "]"
	case 12:
		return "$split(" + g.text(d) + ", " + g.pick(`","`, `" "`, `""`, g.pattern()) + g.pick("", ", 1", ", 2") + ")"
	case 13:
		return "$match(" + g.text(d) + ", " + g.pattern() + ")"
	case 14:
		return "$each(" + g.record(d) + ", function($v, $k){" + g.pick("$k & $string($v)", "$v", "{$k: $v}", "[$v]", g.any(d)) + "})"
	case 15:
		return g.list(d) + "#$i" + g.pick("[$i < 2]", "[$i = 0 or $i = 2]", "^(>price)", "") + ".{\"i\": $i, \"v\": " + g.any(d) + "}"
	case 16:
		return "items@$p" + g.pick("", "#$i", "[price > 1]", "[$p.price > 1]") + "." + g.pick("tags", "a", "tags@$q", "a.b") + ".{\"n\": $p.name, \"t\": " + g.pick("$", "%.name", "$i", "$q", g.any(d)) + "}"
	case 17:
		return "a.items" + g.pick("", "[0]", "[price > 1]") + "." + g.pick("tags", "a", "name", "a.b") + "." + g.pick("{\"p\": %.%.name, \"v\": $}", "[%.name, %.%.name]", "(%.price)", "%.%.name", "%.tags", "("+g.any(d)+")")
	case 18:
		return g.list(d) + "[" + g.pick("[0,1]", "[1..2]", "[-1,0]", "[0,0]", "0", "-1", "[0.9]", "$count($)", "[]", "[[0]]") + "]"
	case 19:
		return "(" + g.list(d) + ")[]"
	case 20:
		return g.list(d) + "[]" + g.pick("", ".name", "[0]", ".($)", ".tags[]")
	case 21:
		return "(" + g.list(d) + " ~> " + g.pick("$map(function($p){"+g.any(d)+"})", "$filter(function($p){"+g.truth(d)+"})", "$reverse", "$distinct", "$map(?, $string)", "|"+g.pick("$", "*", "**", "items", "a")+"|"+g.record(0)+"|", "$append("+g.any(0)+")", "$sort") + ")"
	case 22:
		return "**" + g.pick("[0]", ".name", ".price", "[$ = 1]", ".b", "[]", "."+g.list(0))
	case 23:
		return "($m := " + g.list(d) + "; [" + g.pick("$m", "$m[0]", "$m.$", "$append($m, $m)", "$count($m)", "$m[]") + ", " + g.pick("$m", "$count($m)", "$string($m)", "$m[-1]", "$m = $m") + "])"
	case 24:
		return "($f := function($h){function($p){" + g.pick("$h & $p", "[$h, $p]", g.any(d)) + "}}; $map(" + g.list(d) + ", $f(" + g.any(0) + ")))"
	case 25:
		return "$reduce(" + g.list(d) + ", function($l, $p){" + g.pick("$append($l, $p)", "[$l, $p]", "$append([$p], $l)", g.any(d)) + "}" + g.pick("", ", []", ", 0") + ")"
	case 26:
		return "$lookup(" + g.list(d) + ", " + g.pick(`"name"`, `"tags"`, `"a"`) + ")"
	case 27:
		return g.record(d) + ".*" + g.pick("", "[0]", "^($string($))")
	}
	return g.list(d)
}

func (g *generator) record(d int) string {
	if d <= 0 {
		return g.pick("$", "items[0]", "c", `{"a": 1, "b": [1,2]}`, "{}", `{"name": name}`, `{"k": nothing, "l": null}`, "a[0]")
	}
	d--
	switch g.IntN(14) {
	case 0:
		return `{"k": ` + g.any(d) + `, ` + g.pick(`"l"`, `"k"`, g.text(0)) + ": " + g.any(d) + "}"
	case 1, 2:
		return g.list(d) + "{" + g.pick("name", `"n" & price`, `"k"`, `"n" & $string($)`, "$type($)", g.text(d)) + ": " + g.pick("$", "price", "$sum(price)", "$count($)", "[$]", "tags", "$.name", "$[0]", g.any(d)) + g.pick("", `, "z": $count($)`, ", name: price") + "}"
	case 3:
		return "$merge(" + g.pick("["+g.record(d)+", "+g.record(d)+"]", "items.{name: price}", "items") + ")"
	case 4:
		return "$sift(" + g.record(d) + ", function($v" + g.pick("", ", $k", ", $k, $o") + "){" + g.pick("$v = 1", "$exists($v)", "$type($v) = \"string\"", g.truth(d)) + "})"
	case 5, 6:
		return "(" + g.record(d) + " ~> |" + g.pick("$", "*", "**", "items", "a", "items[price > 1]", "**[name]", "items.a", "nothing") + "|" + g.pick(g.record(d), `{"z": `+g.any(d)+`}`, `{"price": price * 2}`) + g.pick("", `, "name"`, `, ["a", "b"]`, `, nothing`, ", []") + "|)"
	case 7:
		return g.list(d) + "[" + g.pick("0", "-1") + "]"
	case 8:
		return "$clone(" + g.record(d) + ")"
	case 9:
		return "(" + g.record(d) + " ~> |" + g.pick("**", "$", "items") + "|{\"y\": ($ ~> |" + g.pick("$", "*", "a") + "|{\"w\": " + g.any(0) + "}|)}|)"
	case 10:
		return "$single(" + g.list(d) + ", function($p){" + g.truth(d) + "})"
	}
	return g.record(d)
}

func (g *generator) truth(d int) string {
	if d <= 0 {
		return g.pick("true", "false", "$ = 1", "price > 1", `name = "x"`, "$p > 1", "$exists(tags)", "$boolean($)", "a", `"p" in tags`, "$i = 0", "null", "$v")
	}
	d--
	switch g.IntN(12) {
	case 0:
		return g.num(d) + g.pick(" = ", " != ", " < ", " <= ", " > ", " >= ") + g.num(d)
	case 1:
		return g.text(d) + g.pick(" = ", " != ", " < ", " <= ", " > ", " >= ") + g.text(d)
	case 2:
		return g.list(d) + g.pick(" = ", " != ") + g.list(d)
	case 3:
		return g.record(d) + g.pick(" = ", " != ") + g.record(d)
	case 4:
		return "(" + g.truth(d) + g.pick(" and ", " or ") + g.truth(d) + ")"
	case 5:
		return "$not(" + g.truth(d) + ")"
	case 6:
		return g.pick(g.text(0), "("+g.num(0)+` & "")`) + " in " + g.list(d)
	case 7:
		return "$contains(" + g.text(d) + ", " + g.pattern() + ")"
	case 8:
		return "$boolean(" + g.any(d) + ")"
	case 9:
		return "$exists(" + g.any(d) + ")"
	}
	return g.truth(d)
}
