// Package gate looks at what tasks return and refuses what only looks like
// success: an answer that does not fit a JSON Schema, is empty, or is a model's
// refusal. The state machine sees Lockstep.OutputInvalid with the list of
// violations, so Retry and Catch handle it like any other failure.
package gate

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Error is the name of the failure.
const Error = "Lockstep.OutputInvalid"

// maxViolations is how many violations a cause lists.
const maxViolations = 20

// Rule says what the results of some states must be.
type Rule struct {
	Machine string // a name, * for any text; "": all
	State   string // the same
	Path    string // a JSONPath to what is looked at; "": the whole result
	JSON    bool   // what is looked at is a text that holds JSON, as models answer
	Schema  string // the file of a JSON Schema; "": none
	// RefuseEmpty: what is looked at may not be missing, null, or an empty text,
	// list or object. RefuseRefusal: the result may not say that the model
	// refused to answer.
	RefuseEmpty, RefuseRefusal bool
}

// Gate holds compiled rules.
type Gate struct{ rules []rule }

type rule struct {
	Rule
	path   *jsonpath.Path
	schema *jsonschema.Schema
}

// New compiles rules. The error names the rule that is no good. Schemas refer to
// nothing outside their file.
func New(rules []Rule) (*Gate, error) {
	g := &Gate{}
	for _, r := range rules {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("gate of %s: %w", orAll(r.State), err)
		}
		g.rules = append(g.rules, c)
	}
	return g, nil
}

func orAll(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

func compile(r Rule) (c rule, err error) {
	c.Rule = r
	if r.Path != "" {
		if c.path, err = jsonpath.Parse(r.Path); err != nil {
			return c, fmt.Errorf("path %s: %w", r.Path, err)
		}
	}
	if r.Schema == "" {
		if !r.RefuseEmpty && !r.RefuseRefusal {
			return c, errors.New("it asks for nothing: give a schema, empty: refuse or refusal: refuse")
		}
		return c, nil
	}
	text, err := os.ReadFile(r.Schema)
	if err != nil {
		return c, err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return c, fmt.Errorf("%s: %w", r.Schema, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothing{})
	if err := compiler.AddResource("schema.json", doc); err != nil {
		return c, fmt.Errorf("%s: %w", r.Schema, err)
	}
	if c.schema, err = compiler.Compile("schema.json"); err != nil {
		return c, fmt.Errorf("%s: %w", r.Schema, err)
	}
	return c, nil
}

// nothing loads no schema from anywhere.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the file: put it under $defs", url)
}

// Check looks at the output of a task, JSON text, and returns a *task.Error if a
// rule refuses it.
func (g *Gate) Check(c *task.Call, output string) error {
	machine := c.Machine
	if machine == "" { // of a state that is tested by itself
		machine = c.MachineARN[strings.LastIndexByte(c.MachineARN, ':')+1:]
		machine, _, _ = strings.Cut(machine, "/")
	}
	var whole value.Value
	for i := range g.rules {
		r := &g.rules[i]
		if !matches(r.Machine, machine) || !matches(r.State, c.State) {
			continue
		}
		if whole.IsAbsent() {
			var err error
			if whole, err = value.Parse(output); err != nil {
				return refuse(c, []string{"it is not JSON"})
			}
		}
		if wrong := r.check(whole); len(wrong) > 0 {
			return refuse(c, wrong)
		}
	}
	return nil
}

func refuse(c *task.Call, wrong []string) error {
	more := ""
	if n := len(wrong) - maxViolations; n > 0 {
		wrong, more = wrong[:maxViolations], fmt.Sprintf("; and %d more", n)
	}
	return task.Fail(Error, fmt.Sprintf("The output of %s was refused: %s%s", c.State, strings.Join(wrong, "; "), more))
}

// check lists what is wrong with a result.
func (r *rule) check(whole value.Value) []string {
	if r.RefuseRefusal {
		if why := refusal(whole); why != "" {
			return []string{"the model refused to answer (" + why + ")"}
		}
	}
	looked, where := whole, "the result"
	if r.path != nil {
		where = r.Path
		v, err := r.path.Eval(&jsonpath.Env{Input: whole})
		if err != nil {
			return []string{"there is nothing at " + where}
		}
		looked = v
	}
	if r.JSON {
		if looked.Kind() != value.String {
			return []string{where + " is not a text"}
		}
		v, err := value.Parse(unfenced(looked.Str()))
		if err != nil {
			return []string{fmt.Sprintf("%s is not JSON: %v", where, err)}
		}
		looked = v
	}
	if r.RefuseEmpty && empty(looked) {
		return []string{where + " is empty"}
	}
	if r.schema == nil {
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(looked.JSON()))
	if err != nil {
		return []string{err.Error()}
	}
	return violations(r.schema.Validate(doc))
}

// unfenced takes the marks of a code block away that models like to put around
// JSON.
func unfenced(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "```"); ok {
		if _, rest, ok := strings.Cut(inner, "\n"); ok {
			return strings.TrimSuffix(strings.TrimSpace(rest), "```")
		}
	}
	return text
}

func empty(v value.Value) bool {
	switch v.Kind() {
	case value.Absent, value.Null:
		return true
	case value.String:
		return strings.TrimSpace(v.Str()) == ""
	case value.Array, value.Object:
		return v.Len() == 0
	}
	return false
}

// refusal says how a model's answer tells that it refused; "": it does not.
func refusal(v value.Value) string {
	if body := v.Get("Body"); !body.IsAbsent() {
		v = body
	}
	for _, found := range []string{v.Get("stop_reason").Str(), v.Get("stopReason").Str(), v.Get("StopReason").Str()} {
		if slices.Contains([]string{"refusal", "content_filtered", "guardrail_intervened"}, found) {
			return found
		}
	}
	return ""
}

var english = message.NewPrinter(language.English)

// violations lists what a schema says is wrong: where, and what.
func violations(err error) (list []string) {
	var e *jsonschema.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) {
		return []string{err.Error()}
	}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			list = append(list, "at /"+strings.Join(e.InstanceLocation, "/")+": "+e.ErrorKind.LocalizedString(english))
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(e)
	slices.Sort(list)
	return list
}

// matches says whether a name is that of the pattern, in which * stands for any
// text.
func matches(pattern, name string) bool {
	if pattern == "" || pattern == "*" {
		return true
	}
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	for ok {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		_, name, ok = strings.Cut(name, part)
		rest = after
	}
	return false
}
