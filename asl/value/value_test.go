package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func parse(t testing.TB, text string) Value {
	t.Helper()
	v, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return v
}

func TestSizeOfValue(t *testing.T) {
	if got := unsafe.Sizeof(Value{}); got != 24 {
		t.Errorf("a Value takes %d bytes, want 24: values fill the memory of every execution", got)
	}
}

func TestParseWritesBackWhatItRead(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		v := parse(t, in)
		if got := v.JSON(); got != want {
			t.Errorf("%s comes back as %s, want %s", in, got, want)
		}
		if got := v.Size(); got != len(want) {
			t.Errorf("Size of %s = %d, want %d", in, got, len(want))
		}
	}
	f(` null `, `null`)
	f(`true`, `true`)
	f(`false`, `false`)
	f("\t[ 1 ,\r\n2 ]", `[1,2]`)
	f(`{"b":1,"a":{},"c":[]}`, `{"b":1,"a":{},"c":[]}`)
	f(`1.0`, `1.0`)
	f(`-0`, `-0`)
	f(`1e3`, `1e3`)
	f(`12345678901234567890.10`, `12345678901234567890.10`)
	f(`"a\/b\u0041\n\u001f\u007f<>&"`, "\"a/bA\\n\\u001f\u007f<>&\"")
	f(`"\"\\\b\f\r\t"`, `"\"\\\b\f\r\t"`)
	f(`"héé \ud83d\ude00"`, `"héé 😀"`)
	f(`"\ud800"`, `"`+"\uFFFD"+`"`)
	f(`"\udc00\ud800x\ud800\ud83d\ude00"`, `"`+"\uFFFD\uFFFDx\uFFFD😀"+`"`)
	f(`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`)
	f(`{"":{"":[]}}`, `{"":{"":[]}}`)
}

func TestParseSaysWhatIsWrongWhere(t *testing.T) {
	f := func(in string, line, column int, msg string) {
		t.Helper()
		_, err := Parse(in)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%s) = %v, want a SyntaxError", in, err)
			return
		}
		if syntax.Line != line || syntax.Column != column || !strings.Contains(syntax.Msg, msg) {
			t.Errorf("Parse(%s): %v, want %d:%d and %q", in, err, line, column, msg)
		}
		if Valid(in) == nil {
			t.Errorf("Valid(%s) = nil", in)
		}
	}
	f(``, 1, 1, "the text ends")
	f("{\n \"é\": x}", 2, 7, "unexpected character 'x', expected a value")
	f(`{"a":1,}`, 1, 8, "a key in double quotes")
	f(`[1,]`, 1, 4, "expected a value")
	f(`[1 2]`, 1, 4, "expected ',' or ']'")
	f(`{"a" 1}`, 1, 6, "expected ':'")
	f(`1 2`, 1, 3, "one value is complete")
	f(`01`, 1, 1, "must not begin with 0")
	f(`-`, 1, 2, "a digit")
	f(`1.`, 1, 3, "a digit after the point")
	f(`1e+`, 1, 4, "a digit in the exponent")
	f(`.5`, 1, 1, "a value")
	f(`tru`, 1, 1, "a value")
	f(`"a`, 1, 3, "inside a string")
	f(`"a\`, 1, 4, "inside a string")
	f(`"\x"`, 1, 2, "invalid escape")
	f(`"\u12g4"`, 1, 2, "invalid escape")
	f("\"\n\"", 1, 2, "control character U+000A")
	f("\"\xff\"", 1, 2, "invalid UTF-8")
	f("\"\\n\xff\"", 1, 4, "invalid UTF-8")
	f("\ufeff1", 1, 1, "unexpected")
	f(strings.Repeat("[", 1001), 1, 1001, "deeper than 1000")
	f(strings.Repeat(`{"a":`, 1001), 1, 5001, "deeper than 1000")
}

func TestDepthOfNeighboursDoesNotAdd(t *testing.T) {
	deep := strings.Repeat("[", 999) + strings.Repeat("]", 999)
	parse(t, "["+deep+","+deep+"]")
}

func TestOptions(t *testing.T) {
	if _, err := (Options{MaxDepth: 2}).Parse(`[[1]]`); err != nil {
		t.Error(err)
	}
	if _, err := (Options{MaxDepth: 2}).Parse(`[[[]]]`); err == nil {
		t.Error("three levels pass where two are allowed")
	}
	var many strings.Builder
	for i := range 30 {
		many.WriteString(`"k` + Int(int64(i)).JSON() + `":[{"x":"\n"}],`)
	}
	for _, in := range []string{`{"a":1,` + "\n" + ` "a":2}`, `{` + many.String() + "\n" + ` "k7":2}`} {
		_, err := Options{RejectDuplicates: true}.Parse(in)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != 2 || syntax.Column != 2 || !strings.Contains(syntax.Msg, "twice") {
			t.Errorf("a repeated key gives %v, want an error at 2:2", err)
		}
	}
}

func TestLocate(t *testing.T) {
	const text = "{\n  \"a\": [1, {\"b/c\": 2}],\n  \"d\": {\"\": 3, \"~\": 4}, \"e\": 1,\n\"e\": [5]}"
	f := func(pointer string, line, column int) {
		t.Helper()
		l, c, ok := Locate(text, pointer)
		if want := line > 0; ok != want || l != line || c != column {
			t.Errorf("Locate(%q) = %d, %d, %v, want %d, %d", pointer, l, c, ok, line, column)
		}
	}
	f("", 1, 1)
	f("/a", 2, 3)
	f("/a/0", 2, 9)
	f("/a/1/b~1c", 2, 13)
	f("/d/", 3, 9)
	f("/d/~0", 3, 16)
	f("/e/0", 4, 7) // the last one counts
	f("/x", 0, 0)
	f("/a/2", 0, 0)
	f("/a/00", 0, 0)
	f("/a/-1", 0, 0)
	f("/a/0/x", 0, 0)
	f("a", 0, 0)
	if _, _, ok := Locate(`{"a":`, "/a"); ok {
		t.Error("Locate finds something where there is nothing")
	}
}

func TestNumbers(t *testing.T) {
	f := func(text string, float float64, integer int64, exact bool) {
		t.Helper()
		v, err := NumberText(text)
		if err != nil {
			t.Errorf("NumberText(%s): %v", text, err)
		}
		if got := v.Float(); got != float {
			t.Errorf("%s is %v, want %v", text, got, float)
		}
		if got, ok := v.Int64(); ok != exact || ok && got != integer {
			t.Errorf("%s as integer is %d, %v, want %d, %v", text, got, ok, integer, exact)
		}
		if v.NumberText() != text {
			t.Errorf("%s has become %s", text, v.NumberText())
		}
	}
	f("0", 0, 0, true)
	f("-0", 0, 0, true)
	f("-12.50", -12.5, 0, false)
	f("1.0", 1, 1, true)
	f("1e3", 1000, 1000, true)
	f("12.5e1", 125, 125, true)
	f("1e-1", 0.1, 0, false)
	f("0e99999999999999999999", 0, 0, true)
	f("1e99999999999999999999", math.Inf(1), 0, false)
	f("1e-99999999999999999999", 0, 0, false)
	f("1.00000000000000000001", 1, 0, false)
	f("123456789012345", 123456789012345, 123456789012345, true)
	f("0.300000000000000", 0.3, 0, false)
	f("0.1234567890123456789", 0.1234567890123456789, 0, false)
	f("9007199254740993", 9007199254740992, 9007199254740993, true)
	f("9007199254740993.0", 9007199254740992, 9007199254740993, true)
	f("9223372036854775807", 1<<63, math.MaxInt64, true)
	f("-9223372036854775808", -1<<63, math.MinInt64, true)
	f("9223372036854775808", 1<<63, 0, false)
	for _, bad := range []string{"", " 1", "1 ", "+1", "x", "1x", "NaN", "0x1", "1_0"} {
		if v, err := NumberText(bad); err == nil {
			t.Errorf("NumberText(%q) = %s", bad, v)
		}
	}
}

func TestComputedNumbersLookLikeJavaScript(t *testing.T) {
	f := func(v Value, want string) {
		t.Helper()
		if got := v.JSON(); got != want || v.Size() != len(want) {
			t.Errorf("got %s (size %d), want %s", got, v.Size(), want)
		}
	}
	f(Float(1), "1")
	f(Float(-1.5), "-1.5")
	f(Float(math.Copysign(0, -1)), "0")
	f(Float(parse(t, "0.1").Float()+0.2), "0.30000000000000004")
	f(Float(1e20), "100000000000000000000")
	f(Float(1e21), "1e+21")
	f(Float(1.5e300), "1.5e+300")
	f(Float(1e-6), "0.000001")
	f(Float(1e-7), "1e-7")
	f(Float(123456789012345680000), "123456789012345680000")
	f(Float(math.NaN()), "null")
	f(Float(math.Inf(-1)), "null")
	f(Int(math.MaxInt64), "9223372036854775807")
	f(Int(-7), "-7")
}

func TestAccessorsOfTheWrongKind(t *testing.T) {
	for _, v := range []Value{{}, NullValue, True, Int(1), Str("x"), EmptyArray, EmptyObject} {
		if v.Get("a").Kind() != Absent || v.At(0).Kind() != Absent || v.At(-1).Kind() != Absent || v.Key(0) != "" || v.Len() != 0 {
			t.Errorf("%s has something inside", v)
		}
		if v.Kind() != String && v.Str() != "" || v.Kind() != Number && v.NumberText() != "" {
			t.Errorf("%s gives the text of another kind", v)
		}
	}
}

func TestWithAndWithout(t *testing.T) {
	v := parse(t, `{"a":1,"b":2}`)
	f := func(got Value, want string) {
		t.Helper()
		if got.JSON() != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if v.JSON() != `{"a":1,"b":2}` {
			t.Fatalf("the value has changed to %s", v)
		}
	}
	f(v.With("a", NullValue), `{"a":null,"b":2}`)
	f(v.With("c", Str("x")), `{"a":1,"b":2,"c":"x"}`)
	f(v.With("a", Value{}), `{"b":2}`)
	f(v.Without("b"), `{"a":1}`)
	f(v.Without("c"), `{"a":1,"b":2}`)
	f(Int(1).With("a", True), `{"a":true}`)
	f(NullValue.Without("a"), `{}`)
}

func TestLargeObjects(t *testing.T) {
	var members []Member
	for i := range 300 {
		members = append(members, Member{"key" + Int(int64(i%200)).JSON(), Int(int64(i))})
	}
	v := ObjectOf(members)
	if v.Len() != 200 || v.Key(0) != "key0" || v.Get("key5").JSON() != "205" || v.Get("key150").JSON() != "150" || !v.Get("key200").IsAbsent() {
		t.Errorf("of 200 keys, 100 of them twice, there are %d: %s", v.Len(), v)
	}
	w := v.With("key7", Str("seven")).With("more", True).Without("key0")
	if w.Len() != 200 || w.Get("key7").Str() != "seven" || w.Key(199) != "more" || !w.Get("key0").IsAbsent() || w.Get("key199").JSON() != "199" {
		t.Errorf("after changes: %s", w)
	}
	if !Equal(parse(t, v.JSON()), v) || Equal(v, w) {
		t.Error("Equal is wrong about large objects")
	}
}

func TestEqual(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := Equal(parse(t, a), parse(t, b)); got != want {
			t.Errorf("Equal(%s, %s) = %v", a, b, got)
		}
		if got := Equal(parse(t, b), parse(t, a)); got != want {
			t.Errorf("Equal(%s, %s) = %v", b, a, got)
		}
	}
	f(`1`, `1.0`, true)
	f(`100`, `1e2`, true)
	f(`0`, `-0`, true)
	f(`9007199254740993`, `9007199254740992`, false)
	f(`9007199254740992`, `9007199254740992.0`, true)
	f(`{"a":1,"b":[2]}`, `{"b":[2.0],"a":1}`, true)
	f(`{"a":1}`, `{"b":1}`, false)
	f(`{"a":1}`, `{"a":1,"b":1}`, false)
	f(`[1,2]`, `[2,1]`, false)
	f(`"1"`, `1`, false)
	f(`null`, `false`, false)
	f(`"\u0041"`, `"A"`, true)
}

func TestIteration(t *testing.T) {
	v := parse(t, `{"a":[10,20],"b":2}`)
	var got []string
	for key, member := range v.Members() {
		got = append(got, key)
		for i, item := range member.Items() {
			got = append(got, Int(int64(i)).JSON()+"="+item.JSON())
			break
		}
	}
	if want := []string{"a", "0=10", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestInvalidUTF8IsReplacedWhenWritten(t *testing.T) {
	for _, s := range []string{"\xff", "a\xffb", "é\xff\xfe\n", "\n\xc3", "ok"} {
		v := Str(s)
		if !json.Valid(v.Append(nil)) || Valid(v.JSON()) != nil {
			t.Errorf("%q becomes %s", s, v.JSON())
		}
		if v.Size() != len(v.JSON()) {
			t.Errorf("%q: size %d, but %d bytes", s, v.Size(), len(v.JSON()))
		}
	}
}

// FuzzParse compares with encoding/json, which differs in three ways: it allows
// 10,000 levels, repairs strings that are not UTF-8, and allows them so.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5,-0,1e3,"x\u00e9\ud800\n"],"a":null}`, `[[],{},true,false]`, `"\"`, `{"a":{"b":{"c":[{}]}}}`, "\xff", `1E+2`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if valid := Valid(text); (valid == nil) != (err == nil) || valid != nil && valid.Error() != err.Error() {
			t.Fatalf("Parse says %v, Valid says %v", err, valid)
		}
		if err != nil {
			if json.Valid([]byte(text)) && !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "deeper") {
				t.Fatalf("encoding/json takes what we refuse: %v", err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("encoding/json refuses what we take: %s", text)
		}
		again := v.JSON()
		if v.Size() != len(again) {
			t.Fatalf("Size = %d, JSON has %d bytes: %s", v.Size(), len(again), again)
		}
		if w := parse(t, again); !Equal(v, w) || w.JSON() != again {
			t.Fatalf("%s is not what it was: %s", w, again)
		}
		if got, want := decoded(t, again), decoded(t, text); !bytes.Equal(got, want) {
			t.Fatalf("encoding/json reads %s as\n%s, and the original as\n%s", again, got, want)
		}
		if _, _, ok := Locate(text, ""); !ok {
			t.Fatal("Locate does not find the whole text")
		}
	})
}

func decoded(t *testing.T, text string) []byte {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// document is JSON of about size bytes as APIs give it.
func document(size int) string {
	const order = `{"orderId":"A-1029384","customer":{"name":"Zoë Müller","email":"zoe@example.com","active":true},"total":1299.95,"items":[{"sku":"X1","quantity":2,"price":19.5,"note":null},{"sku":"Y-22","quantity":1,"price":1260.95,"note":"gift \"wrapped\"\n"}],"tags":["new","priority","eu"],"created":"2024-05-01T10:00:00Z"}`
	var b strings.Builder
	b.WriteString(`{"orders":[` + order)
	for b.Len() < size-len(order) {
		b.WriteString("," + order)
	}
	b.WriteString(`]}`)
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{1_200, 20_000, 250_000} {
		text := document(size)
		b.Run(Int(int64(size)).JSON(), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValid(b *testing.B) {
	text := document(20_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Valid(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	v := parse(b, document(20_000))
	buf := v.Append(nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = v.Append(buf[:0])
	}
}

func BenchmarkSize(b *testing.B) {
	v := parse(b, document(20_000))
	b.ReportAllocs()
	for b.Loop() {
		v.Size()
	}
}

func BenchmarkGet(b *testing.B) {
	v := parse(b, document(1_200)).Get("orders").At(0)
	b.ReportAllocs()
	for b.Loop() {
		if v.Get("created").IsAbsent() {
			b.Fatal("lost")
		}
	}
}
