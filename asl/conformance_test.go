package asl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const conformance = "../../shared/conformance/cases"

// recorded is a case of the conformance suite, as far as a definition goes.
type recorded struct {
	ID             string
	Kind           string
	Type           string
	Definition     json.RawMessage
	DefinitionText string `json:"definition_text"`
	Params         struct{ Type string }
	Steps          []recordedStep
	Expected       json.RawMessage
}

type recordedStep struct {
	Op     string
	Params struct {
		Definition json.RawMessage
		Type       string
	}
	Expect      map[string]json.RawMessage
	ExpectError struct{ Code, Message string } `json:"expect_error"`
}

func readRecorded(t *testing.T) []recorded {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(conformance, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("the recorded answers of AWS are not here: no " + conformance)
	}
	var all []recorded
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []recorded
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, cases...)
	}
	return all
}

// text is a definition as it is sent: JSON, or the text of a string.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		raw = []byte(s)
	}
	r := strings.NewReplacer("<partition>", "aws", "<region>", "us-east-1",
		"${1.activityArn}", "arn:aws:states:us-east-1:111111111111:activity:a")
	return r.Replace(string(raw))
}

// supported leaves out what is valid and not supported yet.
func supported(ds Diagnostics) Diagnostics {
	return slices.DeleteFunc(ds.Errors(), func(d Diagnostic) bool { return d.Code == CodeNotYet })
}

// AWS accepted these definitions, so we do.
func TestRecordedDefinitionsAreAccepted(t *testing.T) {
	accepted := 0
	accept := func(id, definition string, express bool) {
		t.Helper()
		if !strings.Contains(definition, `"States"`) || strings.Contains(definition, "${definition}") {
			return
		}
		accepted++
		_, ds := Parse(definition, Options{Express: express})
		for _, d := range supported(ds) {
			t.Errorf("%s: %s (%s)", id, d, d.Hint)
		}
	}
	for _, c := range readRecorded(t) {
		if c.Kind == "validate" || c.Kind == "test_state" {
			continue
		}
		refused := false
		for _, s := range c.Steps {
			if s.Op != "CreateStateMachine" && s.Op != "UpdateStateMachine" {
				continue
			}
			if s.ExpectError.Code == "InvalidDefinition" {
				refused = true
			} else {
				accept(c.ID, text(s.Params.Definition), s.Params.Type == "EXPRESS")
			}
		}
		if !refused {
			accept(c.ID, text(c.Definition), c.Type == "EXPRESS")
		}
	}
	t.Logf("%d definitions", accepted)
}

// AWS refused these definitions, with these words.
func TestRecordedDefinitionsAreRefused(t *testing.T) {
	refused := 0
	for _, c := range readRecorded(t) {
		for _, s := range c.Steps {
			if s.ExpectError.Code != "InvalidDefinition" {
				continue
			}
			definition := s.Params.Definition
			if strings.Contains(string(definition), "${definition}") {
				definition = c.Definition
			}
			_, ds := Parse(text(definition), Options{})
			if got := ds.InvalidDefinition(); got != s.ExpectError.Message {
				t.Errorf("%s:\n got %s\nwant %s", c.ID, got, s.ExpectError.Message)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Error("no recorded refusals found")
	}
}

// ValidateStateMachineDefinition answers with these diagnostics.
func TestRecordedValidation(t *testing.T) {
	type diagnostic struct{ Severity, Code, Message, Location string }
	for _, c := range readRecorded(t) {
		if c.Kind != "validate" {
			continue
		}
		var want struct {
			Result struct{ Diagnostics []diagnostic }
		}
		if err := json.Unmarshal(c.Expected, &want); err != nil {
			t.Fatal(err)
		}
		var got []diagnostic
		_, ds := Parse(text(c.Definition), Options{Express: c.Params.Type == "EXPRESS"})
		for _, d := range ds.Errors() {
			if d.Code != CodeNotYet {
				got = append(got, diagnostic{d.Severity, d.Code, d.Message, d.Location})
			}
		}
		if !slices.Equal(got, want.Result.Diagnostics) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.ID, got, want.Result.Diagnostics)
		}
	}
}

// DescribeStateMachine tells which states read which variables.
func TestRecordedVariableReferences(t *testing.T) {
	compared := 0
	for _, c := range readRecorded(t) {
		if !strings.HasPrefix(c.ID, "sfn_api_variable_references/") {
			continue
		}
		var definition string
		for _, s := range c.Steps {
			switch s.Op {
			case "CreateStateMachine":
				definition = text(s.Params.Definition)
			case "DescribeStateMachine":
				p := &parser{machine: &Machine{all: map[string]State{}}}
				p.definition(definition) // the parser knows them even where a feature is missing
				got := map[string][]string{}
				for state, names := range p.references {
					got[state] = sortedNames(names)
				}
				want := map[string][]string{}
				if raw := s.Expect["variableReferences"]; raw != nil {
					if err := json.Unmarshal(raw, &want); err != nil {
						t.Fatal(err)
					}
				}
				if g, w := mustJSON(got), mustJSON(want); g != w {
					t.Errorf("%s: got %s, want %s", c.ID, g, w)
				}
				compared++
			}
		}
	}
	if compared == 0 {
		t.Error("no recorded variable references found")
	}
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
