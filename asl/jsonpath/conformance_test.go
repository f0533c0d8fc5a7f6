package jsonpath

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

// TestRecordedStates runs the data flow of every recorded Pass state, and the
// templates of every recorded Task, that need nothing but this package, and
// compares with what the service had in its history, key order included.
func TestRecordedStates(t *testing.T) {
	const dir = "../../../shared/conformance/cases"
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("no recorded cases at " + dir)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := value.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases.Items() {
			if language := c.Get("definition").Get("QueryLanguage").Str(); language == "" || language == "JSONPath" {
				n += replay(t, c)
			}
		}
	}
	t.Logf("%d recorded states and tasks compared", n)
	if n < 150 {
		t.Errorf("only %d states found in the recordings, the search for them is broken", n)
	}
}

// replay goes through the history of one case and returns how much it compared.
func replay(t *testing.T, c value.Value) int {
	n := 0
	var state, input value.Value
	var name string
	for _, event := range c.Get("expected").Get("history").Items() {
		kind := event.Get("type").Str()
		switch {
		case strings.HasSuffix(kind, "StateEntered"):
			details := event.Get("stateEnteredEventDetails")
			name = details.Get("name").Str()
			state, input = findState(c.Get("definition"), name), recorded(details.Get("input"))
		case kind == "PassStateExited" && usable(state):
			got, err := runPass(state, input)
			n += compareRecorded(t, c, name, got, err, event.Get("stateExitedEventDetails").Get("output"))
		case kind == "TaskScheduled" && usable(state) && !state.Get("Parameters").IsAbsent():
			got, err := runParameters(state, input)
			n += compareRecorded(t, c, name, got, err, event.Get("taskScheduledEventDetails").Get("parameters"))
		case strings.HasSuffix(kind, "StateExited"):
			state = value.Value{}
		}
	}
	return n
}

func compareRecorded(t *testing.T, c value.Value, name string, got value.Value, err error, want value.Value) int {
	if want.IsAbsent() {
		return 0
	}
	for _, placeholder := range c.Get("placeholders").Items() {
		if strings.Contains(want.JSON(), placeholder.Str()) && !strings.Contains(got.JSON(), placeholder.Str()) {
			return 0 // the service filled in what the case does not tell
		}
	}
	want = recorded(want)
	if err != nil {
		t.Errorf("%s, state %s: %v, want %s", c.Get("id").Str(), name, err, want)
	} else if plainNumbers(got) != plainNumbers(want) {
		t.Errorf("%s, state %s:\n got %s\nwant %s", c.Get("id").Str(), name, got, want)
	}
	return 1
}

// recorded returns a payload of a history event, in which objects only have been
// parsed.
func recorded(v value.Value) value.Value {
	if parsed, err := value.Parse(v.Str()); v.Kind() == value.String && err == nil {
		return parsed
	}
	return v
}

// plainNumbers writes v with its numbers as floats, as the recordings changed
// their form.
func plainNumbers(v value.Value) string {
	switch v.Kind() {
	case value.Number:
		return value.Float(v.Float()).JSON()
	case value.Array:
		var b strings.Builder
		for _, item := range v.Items() {
			b.WriteString(plainNumbers(item) + ",")
		}
		return "[" + b.String() + "]"
	case value.Object:
		var b strings.Builder
		for key, member := range v.Members() {
			fmt.Fprintf(&b, "%q:%s,", key, plainNumbers(member))
		}
		return "{" + b.String() + "}"
	}
	return v.JSON()
}

// usable reports whether a state needs no context, no variables and no chance.
func usable(state value.Value) bool {
	if state.IsAbsent() || state.Get("QueryLanguage").Str() == "JSONata" {
		return false
	}
	for _, field := range []string{"InputPath", "OutputPath"} {
		if p, err := Parse(state.Get(field).Str()); err == nil && (p.Context() || p.Variable() != "") {
			return false
		}
	}
	template, problems := CompileTemplate(state.Get("Parameters"))
	return problems == nil && len(template.Variables()) == 0 && len(template.ContextPaths()) == 0
}

// findState looks for a state by its name, in branches and iterators too. It
// gives up where two have the same.
func findState(v value.Value, name string) value.Value {
	var found value.Value
	for key, member := range v.Members() {
		if key == "States" && !member.Get(name).IsAbsent() {
			found = member.Get(name)
		}
		if below := findState(member, name); !below.IsAbsent() {
			found = below
		}
	}
	for _, item := range v.Items() {
		if below := findState(item, name); !below.IsAbsent() {
			found = below
		}
	}
	return found
}

func runParameters(state, input value.Value) (value.Value, error) {
	in, err := runPath(state.Get("InputPath"), input)
	if err != nil || state.Get("Parameters").IsAbsent() {
		return in, err
	}
	template, problems := CompileTemplate(state.Get("Parameters"))
	if problems != nil {
		return value.Value{}, fmt.Errorf("%v", problems)
	}
	return template.Eval(&Env{Input: in})
}

func runPath(path, input value.Value) (value.Value, error) {
	switch path.Kind() {
	case value.Absent:
		return input, nil
	case value.Null:
		return value.EmptyObject, nil
	}
	p, err := Parse(path.Str())
	if err != nil {
		return value.Value{}, err
	}
	return p.Eval(&Env{Input: input})
}

func runPass(state, input value.Value) (value.Value, error) {
	result, err := runParameters(state, input)
	if err != nil {
		return result, err
	}
	if r := state.Get("Result"); !r.IsAbsent() {
		result = r
	}
	switch path := state.Get("ResultPath"); path.Kind() {
	case value.Null:
		result = input
	case value.String:
		ref, err := ParseRef(path.Str())
		if err != nil {
			return result, err
		}
		if result, err = ref.Set(input, result); err != nil {
			return result, err
		}
	}
	return runPath(state.Get("OutputPath"), result)
}
