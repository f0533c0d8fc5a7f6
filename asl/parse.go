package asl

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Options say what a definition is for.
type Options struct {
	Express bool // the machine has type EXPRESS, which can do less
	// Untried also accepts what Lockstep cannot run yet: where a state is tested
	// by itself, with a mock in the place of what it would start.
	Untried bool
	// Lacks says of a service in aws-sdk:… that it has no action of that name, and
	// false of services that it knows nothing of. Nil: every name may be one.
	Lacks func(service, action string) bool
	// Accepted: the definition has been accepted before. Rules that were younger
	// than the first release do not apply: what runs goes on running.
	Accepted bool
}

// The bounds on what Parse takes on, so that no definition costs more than its
// size warrants.
const (
	maxStateName     = 80
	maxPointerBytes  = 32 << 20 // of all states together
	maxTimeoutSecs   = 99999999
	maxRetryDelaySec = 31622400
)

// Parse checks and compiles a definition. The Machine is nil exactly when one of
// the diagnostics is an Error. Parse takes time and memory in proportion to the
// text and accepts any text.
func Parse(text string, opts Options) (*Machine, Diagnostics) {
	p := &parser{opts: opts, machine: &Machine{all: map[string]State{}}}
	p.definition(text)
	diagnostics := p.all()
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	return p.machine, diagnostics
}

// ParseState checks and compiles a single state, given as a JSON object, and
// makes a Machine of it in which it has the name. Its targets need not exist,
// and it may read variables that nothing assigns. Locations are counted from the
// state itself: /Type. Otherwise it is as Parse.
func ParseState(text, name string, opts Options) (*Machine, Diagnostics) {
	p := &parser{opts: opts, machine: &Machine{all: map[string]State{}, Version: "1.0"}}
	p.single(text, name)
	diagnostics := p.all()
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	return p.machine, diagnostics
}

// parser is one run of Parse.
type parser struct {
	reporter
	opts    Options
	machine *Machine

	graphs     []*graph           // every scope, outer before inner
	variables  []*variables       // every variable scope, outer before inner
	references map[string]nameSet // the variables each state reads
	names      map[string]bool    // the state names seen
	labels     map[string]bool    // the labels of distributed Maps seen
	failErrors map[string]bool    // the errors that Fail states raise
	handlers   []handlers         // every Retry and Catch, for lint
	express    bool               // inside something that runs as Express
	pointers   int                // bytes of Common.Pointer handed out
}

func (p *parser) definition(text string) {
	v, ok := p.json(text)
	if !ok {
		return
	}
	p.top(v)
	if p.pointers > maxPointerBytes {
		p.report(CodeTooDeep, nil, nil, "The states are too deeply nested")
	}
	p.checkGraphs(true)
	p.checkVariables()
	p.lintHandlers()
	if len(p.errors) == 0 {
		p.checkFlow()
		p.machine.references = sortedReferences(p.references)
	}
	locate(text, p.errors, p.unsupported, p.warnings)
}

// single reads the definition of one state.
func (p *parser) single(text, name string) {
	v, ok := p.json(text)
	if !ok {
		return
	}
	p.express = p.opts.Express
	vars := p.newVariables(nil, false)
	vars.open = true
	if state := p.state(name, v, nil, &graph{}, vars); state != nil {
		p.machine.StartAt, p.machine.States = name, []State{state}
		p.machine.all[name] = state
	}
	if p.pointers > maxPointerBytes {
		p.report(CodeTooDeep, nil, nil, "The states are too deeply nested")
	}
	p.checkGraphs(false)
	p.checkVariables()
	locate(text, p.errors, p.unsupported, p.warnings)
}

// json reads the text, or says in Jackson's words why it cannot be read.
func (p *parser) json(text string) (value.Value, bool) {
	v, err := value.Options{RejectDuplicates: true}.Parse(text)
	if err == nil && v.Kind() == value.Object {
		return v, true
	}
	if err == nil || strings.TrimSpace(text) == "" {
		p.add(&p.errors, Diagnostic{Severity: Error, Code: CodeSchema,
			Message: "Definition must be a valid JSON object", Line: 1, Column: 1})
		return v, false
	}
	d := Diagnostic{Severity: Error, Code: CodeInvalidJSON, Message: err.Error()}
	var syntax *value.SyntaxError
	if errors.As(err, &syntax) {
		d.Line, d.Column = syntax.Line, syntax.Column
	}
	j := jackson{text: text, line: 1}
	switch j.run(); {
	case j.tooDeep:
		d.Code, d.Message = CodeTooDeep, j.message
	case j.message != "":
		d.Message, d.Location = j.message, sourceLocation(text, j.line, j.column())
	case syntax != nil: // the only thing that Jackson lets pass
		d.Message = "Duplicate field '" + shorten(keyAt(text, syntax)) + "'"
		d.Location = sourceLocation(text, d.Line, d.Column)
	}
	p.add(&p.errors, d)
	return v, false
}

// keyAt is the key that the error is about.
func keyAt(text string, err *value.SyntaxError) string {
	rest := text[min(err.Offset, len(text)):]
	if !strings.HasPrefix(rest, `"`) {
		return ""
	}
	w := walker{text: text, pos: err.Offset}
	return w.string()
}

// top reads the definition itself.
func (p *parser) top(v value.Value) {
	m := p.machine
	p.fields(v, nil, "Comment", "QueryLanguage", "StartAt", "TimeoutSeconds", "Version", "States")
	m.Comment = p.text(v, nil, "Comment")
	m.QueryLanguage = languageOf(v, JSONPath)
	p.checkLanguageName(v, nil, JSONPath)
	m.Version = "1.0"
	if version := v.Get("Version"); !version.IsAbsent() {
		m.Version = p.oneOf(v, nil, "Version", "1.0")
	}
	m.TimeoutSeconds, _ = p.integer(v, nil, "TimeoutSeconds", 0, maxTimeoutSecs)
	p.express = p.opts.Express
	m.Scope = p.scope(v, nil, p.newVariables(nil, false))
}

// scope reads StartAt and States: of the definition, a branch or a processor.
func (p *parser) scope(v value.Value, at *place, vars *variables) Scope {
	g := &graph{at: at}
	p.graphs = append(p.graphs, g)
	var missing []string
	for _, field := range []string{"States", "StartAt"} {
		if v.Get(field).IsAbsent() {
			missing = append(missing, field)
		}
	}
	if missing != nil {
		g.broken = true
		p.required(at, missing...)
	}
	s := Scope{StartAt: p.text(v, at, "StartAt")}
	g.startAt = s.StartAt
	states := v.Get("States")
	if !p.isKind(states, at.key("States"), value.Object) {
		g.broken = true
		return s
	}
	if states.Len() == 0 {
		g.broken = true
		p.schema(at.key("States"), "Value cannot be empty")
	}
	in := at.key("States")
	for name, sv := range states.Members() {
		if state := p.state(name, sv, in.key(name), g, vars); state != nil {
			s.States = append(s.States, state)
			p.machine.all[name] = state
		} else {
			g.broken = true
		}
	}
	return s
}

// state reads one state. It returns nil when its type is not known.
func (p *parser) state(name string, v value.Value, at *place, g *graph, vars *variables) State {
	n := &node{name: name, at: at, v: v}
	g.nodes = append(g.nodes, n)
	p.stateName(name, at)
	if !p.isKind(v, at, value.Object) {
		return nil
	}
	if v.Get("Type").IsAbsent() {
		p.required(at, "Type")
		return nil
	}
	kind, ok := stateTypes[v.Get("Type").Str()]
	if !ok {
		p.schema(at.key("Type"), "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]")
		return nil
	}
	s := &stateParser{parser: p, v: v, at: at, node: n, vars: vars}
	s.name = name
	s.lang = languageOf(v, p.machine.QueryLanguage)
	s.checkFields(kind.bit)
	p.checkLanguageName(v, at, p.machine.QueryLanguage)
	return kind.parse(s, s.base())
}

func (p *parser) stateName(name string, at *place) {
	if p.names == nil {
		p.names = map[string]bool{}
	}
	if p.names[name] {
		p.report(CodeDuplicateState, at, at, "Duplicate State name: %s", shorten(name))
	}
	p.names[name] = true
	if n := utf8.RuneCountInString(name); n > maxStateName || n == 0 {
		p.report(CodeStateName, at, at, "The state name must have 1 to %d characters, but has %d", maxStateName, n)
	}
}

// stateTypes are the values of Type, with the file that reads each.
var stateTypes map[string]stateType

type stateType struct {
	bit   stateSet
	parse func(*stateParser, Common) State
}

func init() {
	stateTypes = map[string]stateType{
		"Task":     {onTask, (*stateParser).task},
		"Wait":     {onWait, (*stateParser).wait},
		"Pass":     {onPass, (*stateParser).pass},
		"Succeed":  {onSucceed, (*stateParser).succeed},
		"Fail":     {onFail, (*stateParser).fail},
		"Choice":   {onChoice, (*stateParser).choice},
		"Parallel": {onParallel, (*stateParser).parallel},
		"Map":      {onMap, (*stateParser).mapState},
	}
}

// stateParser reads one state.
type stateParser struct {
	*parser
	v    value.Value
	at   *place
	name string
	lang QueryLanguage
	node *node
	vars *variables
}

// base reads what all states have.
func (s *stateParser) base() Common {
	b := Common{
		Name:          s.name,
		Type:          s.v.Get("Type").Str(),
		Comment:       s.text(s.v, s.at, "Comment"),
		QueryLanguage: s.lang,
	}
	if s.pointers += s.at.steps(); s.pointers <= maxPointerBytes {
		b.Pointer = s.at.pointer()
	}
	switch b.Type {
	case "Succeed", "Fail":
		s.node.terminal = true
	case "Choice":
	default:
		s.transition(&b)
	}
	if b.Type != "Fail" && s.lang == JSONPath {
		b.InputPath = s.selector("InputPath")
		b.OutputPath = s.selector("OutputPath")
	}
	if s.lang == JSONata {
		b.Output = s.query(s.v, s.at, "Output", s.ofResult()...)
	}
	if b.Type != "Fail" && b.Type != "Succeed" {
		b.Assign = s.assign(s.v, s.at, s.ofResult()...)
	}
	return b
}

// transition reads Next and End, of which there must be one.
func (s *stateParser) transition(b *Common) {
	b.Next = s.text(s.v, s.at, "Next")
	b.End = s.boolean(s.v, s.at, "End")
	hasNext := !s.v.Get("Next").IsAbsent()
	switch {
	case hasNext && b.End:
		s.schema(s.at, "There should only be one of the following fields: [Next, End]")
	case !hasNext && !b.End:
		s.schema(s.at, "This object should have only one of the following fields: [Next, End]")
	}
	s.node.terminal = b.End
	if hasNext {
		s.node.leadsTo(b.Next, s.at.key("Next"))
	}
}

// languageOf reads QueryLanguage. Only the exact name JSONPath means JSONPath: a
// value that is neither is reported and taken for JSONata, as AWS does.
func languageOf(v value.Value, outer QueryLanguage) QueryLanguage {
	switch field := v.Get("QueryLanguage"); {
	case field.IsAbsent():
		return outer
	case field.Str() == "JSONPath":
		return JSONPath
	}
	return JSONata
}

func (p *parser) checkLanguageName(v value.Value, at *place, outer QueryLanguage) {
	if p.oneOf(v, at, "QueryLanguage", "JSONPath", "JSONata") == "JSONPath" && outer == JSONata {
		p.report(CodeSchema, at, at.key("QueryLanguage"),
			"'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
	}
}
