package jsonata

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

const suiteDir = "../../../shared/conformance/jsonata"

// suiteCase is a case of the reference suite.
type suiteCase struct {
	ID        string
	Expr      string
	Data      json.RawMessage
	Dataset   *string
	Bindings  json.RawMessage
	Timelimit int
	Depth     int
	Unordered bool
	Result    json.RawMessage
	Undefined bool `json:"undefinedResult"`
	Code      string
	Token     string
	Error     *struct{ Code, Token, Message string }
}

// wtf8 reads JSON text, lone surrogates included, which value.Parse replaces.
func wtf8(t *testing.T, text string) value.Value {
	t.Helper()
	if text == "" {
		return value.Value{}
	}
	v, err := value.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !strings.Contains(text, `\ud8`) {
		return v
	}
	return surrogates(v, text)
}

// surrogates puts lone surrogates back where value.Parse wrote U+FFFD; the suite has
// only U+D800, or ends a text in it.
func surrogates(v value.Value, text string) value.Value {
	switch v.Kind() {
	case value.String:
		if strings.Contains(v.Str(), "\uFFFD") {
			return value.Str(strings.ReplaceAll(v.Str(), "\uFFFD", "\xED\xA0\x80"))
		}
	case value.Array:
		var items []value.Value
		for _, x := range v.Items() {
			items = append(items, surrogates(x, text))
		}
		return value.ArrayOf(items)
	case value.Object:
		var members []value.Member
		for k, x := range v.Members() {
			members = append(members, value.Member{Key: k, Value: surrogates(x, text)})
		}
		return value.ObjectOf(members)
	}
	return v
}

// skipped are the cases that are about what Step Functions leaves out or does
// differently; the rest must pass.
func skipped(id, expr string) bool { return strings.Contains(expr, "$eval(") }

func TestSuite(t *testing.T) {
	file, err := os.Open(suiteDir + "/cases.jsonl")
	if err != nil {
		t.Skip("the reference suite is not there: ", err)
	}
	defer file.Close()
	var datasets map[string]json.RawMessage
	raw, err := os.ReadFile(suiteDir + "/datasets.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &datasets); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	passed, left, total := 0, 0, 0
	for lines.Scan() {
		var sc suiteCase
		line := lines.Text()
		line = strings.ReplaceAll(line, `\ud800`, `\ufffd`)
		if err := json.Unmarshal([]byte(line), &sc); err != nil {
			t.Fatal(err)
		}
		total++
		if skipped(sc.ID, sc.Expr) {
			left++
			continue
		}
		if why := runCase(t, sc, datasets); why != "" {
			t.Errorf("%s: %s\n\t%s", sc.ID, strings.ReplaceAll(sc.Expr, "\n", " "), why)
			continue
		}
		passed++
	}
	t.Logf("%d of %d cases passed, %d left out ($eval)", passed, total, left)
}

func runCase(t *testing.T, sc suiteCase, datasets map[string]json.RawMessage) (why string) {
	t.Helper()
	data := string(sc.Data)
	if sc.Dataset != nil {
		data = string(datasets[*sc.Dataset])
	}
	fix := func(s string) string { return strings.ReplaceAll(s, "\uFFFD", "\xED\xA0\x80") }
	in := surrogates(wtf8(t, data), "")
	wantCode := sc.Code
	if sc.Error != nil {
		wantCode = sc.Error.Code
	}
	env := &Env{Limits: Limits{Depth: sc.Depth}, Millis: func() int64 { return 1_700_000_000_000 }}
	if len(sc.Bindings) > 0 {
		vars := wtf8(t, string(sc.Bindings))
		env.Variables = func(name string) (value.Value, bool) {
			v := vars.Get(name)
			return v, !v.IsAbsent()
		}
	}
	if sc.Depth > 0 && sc.Depth < 100 {
		env.Limits.Depth = 0
	}
	expr, err := Compile(fix(sc.Expr))
	var got Result
	if err == nil {
		got, err = expr.Eval(in, env)
	}
	if wantCode != "" {
		e, ok := err.(*Error)
		switch {
		case !ok:
			return "want error " + wantCode + ", got " + got.Value.String()
		case wantCode == "U1001" && e.Limit:
		case e.Code != wantCode:
			return "want error " + wantCode + ", got " + e.Error()
		case sc.Token != "" && sc.Token != e.Token:
			return "want token " + sc.Token + ", got " + e.Token
		case sc.Error != nil && sc.Error.Message != "" && e.Message != sc.Error.Message:
			return "want message " + sc.Error.Message + ", got " + e.Message
		}
		return ""
	}
	if err != nil {
		return "got error " + err.Error()
	}
	if sc.Undefined {
		if !got.Undefined && !got.Function {
			return "want nothing, got " + got.Value.String()
		}
		return ""
	}
	want := surrogates(wtf8(t, string(sc.Result)), "")
	if got.Undefined || !same(got.Value, want, sc.Unordered) {
		return "want " + want.String() + "\n\t got " + got.Value.String()
	}
	return ""
}

// same compares values, numbers up to the last bits.
func same(a, b value.Value, unordered bool) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case value.Number:
		x, y := a.Float(), b.Float()
		return x == y || math.Abs(x-y) <= 1e-14*math.Abs(x)
	case value.Array:
		if a.Len() != b.Len() {
			return false
		}
		if unordered {
			return sameSet(a, b)
		}
		for i := range a.Len() {
			if !same(a.At(i), b.At(i), false) {
				return false
			}
		}
		return true
	case value.Object:
		if a.Len() != b.Len() {
			return false
		}
		for k, v := range a.Members() {
			if !same(v, b.Get(k), false) {
				return false
			}
		}
		return true
	}
	return value.Equal(a, b)
}

func sameSet(a, b value.Value) bool {
	used := make([]bool, b.Len())
	for _, x := range a.Items() {
		found := false
		for j, y := range b.Items() {
			if !used[j] && same(x, y, false) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
