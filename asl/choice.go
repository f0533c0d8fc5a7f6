package asl

import (
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Choice goes to the first choice whose condition holds, else to Default.
type Choice struct {
	Common
	Choices []ChoiceRule
	Default string // "": none
}

func (*Choice) isState() {}

// ChoiceRule is a top-level choice.
type ChoiceRule struct {
	Condition Condition
	Next      string
	Assign    *Assign
	Output    *Query // JSONata; nil: the state's Output
	Comment   string
}

// Condition is one of And, Or, Not, Compare and Holds.
type Condition interface{ isCondition() }

type (
	// And holds when all hold.
	And []Condition
	// Or holds when one holds.
	Or []Condition
	// Not holds when Condition does not.
	Not struct{ Condition Condition }
	// Holds holds when its expression, of a JSONata state, gives true.
	Holds struct{ *Query }
	// Compare tests the value at Variable.
	Compare struct {
		Variable *jsonpath.Path
		Operator Operator
		Literal  value.Value    // what to compare with, when Path is nil
		Path     *jsonpath.Path // …Path operators
	}
)

func (And) isCondition()      {}
func (Or) isCondition()       {}
func (Not) isCondition()      {}
func (*Compare) isCondition() {}
func (Holds) isCondition()    {}

// Operator is how a Compare compares. A …Path operator is the operator without
// Path, in a Compare that has a Path.
type Operator uint8

// The operators. Is… operators compare with true or false: false negates them.
const (
	StringEquals Operator = iota
	StringLessThan
	StringGreaterThan
	StringLessThanEquals
	StringGreaterThanEquals
	StringMatches // the literal is a pattern: * is any run of characters, \\* an asterisk
	NumericEquals
	NumericLessThan
	NumericGreaterThan
	NumericLessThanEquals
	NumericGreaterThanEquals
	BooleanEquals
	TimestampEquals
	TimestampLessThan
	TimestampGreaterThan
	TimestampLessThanEquals
	TimestampGreaterThanEquals
	IsNull
	IsPresent
	IsNumeric
	IsString
	IsBoolean
	IsTimestamp
)

var operatorNames = [...]string{
	"StringEquals", "StringLessThan", "StringGreaterThan", "StringLessThanEquals", "StringGreaterThanEquals",
	"StringMatches",
	"NumericEquals", "NumericLessThan", "NumericGreaterThan", "NumericLessThanEquals", "NumericGreaterThanEquals",
	"BooleanEquals",
	"TimestampEquals", "TimestampLessThan", "TimestampGreaterThan", "TimestampLessThanEquals", "TimestampGreaterThanEquals",
	"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp",
}

// String is the operator's name without Path.
func (o Operator) String() string { return operatorNames[o] }

// HasPath says whether the operator has a …Path twin.
func (o Operator) HasPath() bool { return o != StringMatches && o < IsNull }

// operators finds an operator by the name in a rule, with or without Path.
var operators = func() map[string]Operator {
	m := map[string]Operator{}
	for i, name := range operatorNames {
		m[name] = Operator(i)
		if Operator(i).HasPath() {
			m[name+"Path"] = Operator(i)
		}
	}
	return m
}()

// operatorList is how AWS names the operators of a rule in a message.
var operatorList = func() string {
	var names []string
	for i, name := range operatorNames {
		names = append(names, name)
		if Operator(i).HasPath() {
			names = append(names, name+"Path")
		}
	}
	return strings.Join(names, ", ")
}()

func (s *stateParser) choice(base Common) State {
	c := &Choice{Common: base, Default: s.text(s.v, s.at, "Default")}
	c.Choices = s.choices()
	if !s.v.Get("Default").IsAbsent() {
		s.node.leadsTo(c.Default, s.at.key("Default"))
	}
	return c
}

func (s *stateParser) choices() []ChoiceRule {
	v, at := s.v.Get("Choices"), s.at.key("Choices")
	if v.IsAbsent() {
		s.required(s.at, "Choices")
		return nil
	}
	if !s.isKind(v, at, value.Array) {
		return nil
	}
	if v.Len() == 0 {
		s.schema(at, "Value cannot be empty")
	}
	rules := make([]ChoiceRule, 0, v.Len())
	for i, rule := range v.Items() {
		if at := at.item(i); s.isKind(rule, at, value.Object) {
			rules = append(rules, s.rule(rule, at))
		}
	}
	return rules
}

func (s *stateParser) rule(v value.Value, at *place) ChoiceRule {
	r := ChoiceRule{
		Next:    s.text(v, at, "Next"),
		Comment: s.text(v, at, "Comment"),
		Assign:  s.assign(v, at),
	}
	if v.Get("Next").IsAbsent() {
		s.required(at, "Next")
	} else {
		s.node.leadsTo(r.Next, at.key("Next"))
	}
	r.Condition = s.condition(v, at, "Next", "Comment", "Assign", "Output")
	if s.lang == JSONata {
		r.Output = s.query(v, at, "Output")
		if q := s.query(v, at, "Condition"); q != nil {
			r.Condition = Holds{q}
		}
	}
	return r
}

// selectors are the fields of which a rule has one.
var selectors = []string{"And", "Or", "Not", "Variable", "Condition"}

// condition reads a rule at the top or inside another. The further fields are
// those that may stand beside what is compared.
func (s *stateParser) condition(v value.Value, at *place, further ...string) Condition {
	if !s.ruleFields(v, at, further) {
		return nil
	}
	switch {
	case s.lang == JSONata:
		return nil
	case !v.Get("And").IsAbsent():
		return And(s.conditions(v.Get("And"), at.key("And")))
	case !v.Get("Or").IsAbsent():
		return Or(s.conditions(v.Get("Or"), at.key("Or")))
	case !v.Get("Not").IsAbsent():
		not, at := v.Get("Not"), at.key("Not")
		if !s.isKind(not, at, value.Object) {
			return nil
		}
		return Not{s.condition(not, at, "Comment")}
	}
	return s.compare(v, at)
}

// ruleFields checks which fields a rule has.
func (s *stateParser) ruleFields(v value.Value, at *place, further []string) bool {
	before, selected := len(s.errors), 0
	for name := range v.Members() {
		_, isOperator := operators[name]
		switch {
		case slices.Contains(selectors, name):
			selected++
			if name == "Condition" {
				s.checkLanguage(at, name, "JSONata")
			} else {
				s.checkLanguage(at, name, "JSONPath")
			}
		case isOperator:
			s.checkLanguage(at, name, "JSONPath")
		case !slices.Contains(further, name):
			s.unknownField(at, name, selectors)
		case name == "Output":
			s.checkLanguage(at, name, "JSONata")
		}
	}
	if len(s.errors) == before && selected != 1 {
		s.schema(at, "The object must have only one of the following fields, [%s]", strings.Join(selectors, ", "))
	}
	return len(s.errors) == before
}

func (s *stateParser) conditions(v value.Value, at *place) []Condition {
	if !s.isKind(v, at, value.Array) {
		return nil
	}
	if v.Len() == 0 {
		s.schema(at, "Value cannot be empty")
	}
	conditions := make([]Condition, 0, v.Len())
	for i, item := range v.Items() {
		if at := at.item(i); s.isKind(item, at, value.Object) {
			conditions = append(conditions, s.condition(item, at, "Comment"))
		}
	}
	return conditions
}

func (s *stateParser) compare(v value.Value, at *place) Condition {
	c := &Compare{Variable: s.rulePath(v, at, "Variable")}
	field, n := "", 0
	for name := range v.Members() {
		if _, ok := operators[name]; ok {
			field = name
			n++
		}
	}
	switch {
	case n > 1:
		s.schema(at, "There should only be one of the following fields: [%s]", operatorList)
		return c
	case n == 0:
		s.schema(at, "This object should have only one of the following fields: [%s]", operatorList)
		return c
	}
	c.Operator = operators[field]
	if field != c.Operator.String() {
		c.Path = s.rulePath(v, at, field)
		return c
	}
	c.Literal = v.Get(field)
	s.literal(c.Operator, c.Literal, at.key(field))
	return c
}

// rulePath reads a path of a rule, about which AWS words its errors differently.
func (s *stateParser) rulePath(v value.Value, at *place, field string) *jsonpath.Path {
	f := v.Get(field)
	if !s.isKind(f, at.key(field), value.String) {
		return nil
	}
	path, err := jsonpath.Parse(f.Str())
	if err != nil {
		s.badPath(at.key(field), err, notReference(f.Str(), err))
		return nil
	}
	s.reads(f, at.key(field), path.Variables())
	return path
}

// literal checks the type of what is compared with.
func (s *stateParser) literal(o Operator, v value.Value, at *place) {
	switch {
	case o <= StringMatches:
		if s.isKind(v, at, value.String) && o != StringMatches {
			s.lintPathText(v.Str(), at, o.String()+"Path")
		}
	case o <= NumericGreaterThanEquals:
		s.isKind(v, at, value.Number)
	case o == BooleanEquals || o >= IsNull:
		s.isKind(v, at, value.Bool)
	default:
		s.timestamp(v, at)
	}
}
