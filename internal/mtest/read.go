package mtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// The fields of each mapping, in the order of messages.
var (
	suiteFields  = []string{"machine", "type", "set", "mocks", "cases"}
	caseFields   = []string{"name", "input", "start", "mocks", "expect"}
	answerFields = []string{"return", "error", "cause", "timeout", "after", "when", "times"}
	expectFields = []string{"status", "output", "error", "cause", "path", "variables", "calls", "elapsed"}
)

// Load reads a suite, in YAML or JSON. read gives the definition that the suite
// names, relative to its file, with the name to show for it. What is wrong with
// either file comes back as Problems, all of it at once.
func Load(file string, text []byte, read func(name string) (shown string, text []byte, err error)) (*Suite, error) {
	source, err := asl.Load(file, text, nil) // what it has to say about ${…} is for the definition
	if err != nil {
		return nil, Problems{strings.TrimPrefix(err.Error(), "read definition ")}
	}
	v, err := value.Parse(source.JSON)
	if err != nil {
		return nil, Problems{fmt.Sprintf("%s: %v", file, err)}
	}
	l := loader{suite: &Suite{File: file, Machine: file}, source: source, isJSON: strings.HasSuffix(string(text), source.JSON)}
	l.load(v, read)
	problems := append(l.place(), l.others...)
	if len(problems) > 0 {
		return nil, problems
	}
	return l.suite, nil
}

// loader reads a suite and gathers what is wrong with it.
type loader struct {
	suite    *Suite
	source   asl.Source
	isJSON   bool // the file is, rather than YAML
	problems asl.Diagnostics
	others   Problems // in another file
	lines    []lineOf
}

// lineOf is a line that is wanted once everything has been read.
type lineOf struct {
	at   pointer
	into *int
}

// pointer is a JSON pointer into the suite's file.
type pointer string

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

func (p pointer) key(name string) pointer { return p + pointer("/"+escaper.Replace(name)) }
func (p pointer) item(i int) pointer      { return p + pointer("/"+strconv.Itoa(i)) }

func (l *loader) problem(at pointer, format string, args ...any) {
	l.problems = append(l.problems, asl.Diagnostic{Pointer: string(at), Message: fmt.Sprintf(format, args...)})
}

// place finds the lines of all problems and of what was asked for.
func (l *loader) place() Problems {
	all := slices.Clone(l.problems)
	for _, w := range l.lines {
		all = append(all, asl.Diagnostic{Pointer: string(w.at)})
	}
	if !strings.HasPrefix(strings.TrimSpace(l.source.JSON), "{") {
		return l.unplaced()
	}
	for i := range all {
		if l.isJSON { // in YAML, Place finds it, without reading everything each time
			all[i].Line, all[i].Column, _ = value.Locate(l.source.JSON, all[i].Pointer)
		}
	}
	all = l.source.Place(all)
	for i, w := range l.lines {
		*w.into = all[len(l.problems)+i].Line
	}
	problems := make(Problems, len(l.problems))
	for i, d := range all[:len(l.problems)] {
		problems[i] = fmt.Sprintf("%s:%d:%d: %s", l.suite.File, d.Line, d.Column, d.Message)
	}
	return problems
}

func (l *loader) unplaced() (problems Problems) {
	for _, d := range l.problems {
		problems = append(problems, l.suite.File+": "+d.Message)
	}
	return problems
}

func (l *loader) load(v value.Value, read func(string) (string, []byte, error)) {
	if !l.fields(v, "", "a test file", suiteFields) {
		return
	}
	l.machine(v, read)
	if l.suite.machine == nil {
		return // what names its states cannot be judged
	}
	l.suite.mocks = l.mocks(v.Get("mocks"), pointer("").key("mocks"))
	cases, at := v.Get("cases"), pointer("").key("cases")
	if cases.IsAbsent() || l.kind(cases, at, value.Array) && cases.Len() == 0 {
		l.problem("", "there are no cases: give a list of them under cases")
	}
	names := map[string]bool{}
	l.suite.Cases = make([]Case, cases.Len())
	for i, c := range cases.Items() {
		at := at.item(i)
		if l.fields(c, at, "a case", caseFields) {
			l.readCase(&l.suite.Cases[i], c, at, names)
		}
	}
}

// fields checks that v is an object with nothing but the allowed members.
func (l *loader) fields(v value.Value, at pointer, what string, allowed []string) bool {
	if !l.kind(v, at, value.Object) {
		return false
	}
	for name := range v.Members() {
		if !slices.Contains(allowed, name) {
			l.problem(at.key(name), "unknown field %q: %s has %s", name, what, strings.Join(allowed, ", "))
		}
	}
	return true
}

// kind checks what v is. Absent is fine with it.
func (l *loader) kind(v value.Value, at pointer, want value.Kind) bool {
	if v.Kind() == want {
		return true
	}
	if !v.IsAbsent() {
		l.problem(at, "want %s here, not %s", kindName(want), brief(v.JSON()))
	}
	return false
}

func kindName(k value.Kind) string {
	switch k {
	case value.Object:
		return "an object"
	case value.Array:
		return "a list"
	case value.Bool:
		return "true or false"
	case value.Number:
		return "a number"
	}
	return "a text"
}

// text reads a text member; nil if it is absent or none.
func (l *loader) text(v value.Value, at pointer, name string) *string {
	member := v.Get(name)
	if !l.kind(member, at.key(name), value.String) {
		return nil
	}
	text := member.Str()
	return &text
}

// machine reads the definition and compiles it.
func (l *loader) machine(v value.Value, read func(string) (string, []byte, error)) {
	set := map[string]string{}
	at := pointer("").key("set")
	if given := v.Get("set"); l.kind(given, at, value.Object) {
		for name, text := range given.Members() {
			if l.kind(text, at.key(name), value.String) {
				set[name] = text.Str()
			}
		}
	}
	options := asl.Options{}
	if kind := l.text(v, "", "type"); kind != nil {
		options.Express = *kind == "EXPRESS"
		if *kind != "EXPRESS" && *kind != "STANDARD" {
			l.problem(pointer("").key("type"), "want STANDARD or EXPRESS, not %q", *kind)
		}
	}
	at = pointer("").key("machine")
	switch m := v.Get("machine"); m.Kind() {
	case value.String:
		shown, text, err := read(m.Str())
		if err != nil {
			l.problem(at, "the definition cannot be read: %v", err)
			return
		}
		l.suite.Machine = shown
		source, err := asl.Load(shown, text, set)
		if err != nil {
			l.others = append(l.others, strings.TrimPrefix(err.Error(), "read definition "))
			return
		}
		l.compile(source, options, func(d asl.Diagnostic) {
			l.others = append(l.others, fmt.Sprintf("%s:%d:%d: %s: %s", shown, d.Line, d.Column, d.Code, d.Message))
		})
	case value.Object:
		source, err := asl.Load("machine.json", []byte(m.JSON()), set)
		if err != nil {
			l.problem(at, "%v", err)
			return
		}
		l.compile(source, options, func(d asl.Diagnostic) {
			l.problem(at+pointer(d.Pointer), "%s: %s", d.Code, d.Message)
		})
	case value.Absent:
		l.problem("", "there is no machine: give the definition's file, or the definition itself")
	default:
		l.problem(at, "want the definition's file or the definition itself, not %s", brief(m.JSON()))
	}
}

func (l *loader) compile(source asl.Source, options asl.Options, report func(asl.Diagnostic)) {
	for _, d := range source.Unfilled {
		d.Message += "; give it under set"
		report(d)
	}
	machine, found := asl.Parse(source.JSON, options)
	if len(source.Unfilled) > 0 {
		return
	}
	for _, d := range source.Place(found.Errors()) {
		report(d)
	}
	if !found.HasErrors() {
		l.suite.machine = machine
	}
}

// mocks reads what tasks answer.
func (l *loader) mocks(v value.Value, at pointer) map[string]mock {
	if !l.kind(v, at, value.Object) {
		return nil
	}
	mocks := map[string]mock{}
	for state, answers := range v.Members() {
		at := at.key(state)
		l.taskState(state, at)
		m := mock{}
		if answers.Kind() == value.Array {
			for i, a := range answers.Items() {
				m.answers = append(m.answers, l.answer(a, at.item(i), true))
			}
		} else {
			m.answers = []answer{l.answer(answers, at, false)}
		}

		m.line = new(int)
		l.lines = append(l.lines, lineOf{at, m.line})
		mocks[state] = m
	}
	return mocks
}

// taskState checks that a state of that name can be mocked: a Task, or a Map
// whose items are read from outside.
func (l *loader) taskState(name string, at pointer) {
	switch state := l.suite.machine.State(name).(type) {
	case nil:
		l.problem(at, "the machine has no state %q", name)
	case *asl.Task:
	default:
		if m, ok := state.(*asl.Map); ok && m.Reader != nil {
			return
		}
		l.problem(at, "%q is a %s state: only what a Task calls, or an ItemReader reads, can be mocked", name, state.Base().Type)
	}
}

func (l *loader) answer(v value.Value, at pointer, listed bool) answer {
	a := answer{when: v.Get("when")}
	if !l.fields(v, at, "an answer", answerFields) {
		return a
	}
	if err := checkMarkers(a.when); err != nil {
		l.problem(at.key("when"), "%v", err)
	}
	a.err, a.cause = l.text(v, at, "error"), l.text(v, at, "cause")
	if t := v.Get("timeout"); l.kind(t, at.key("timeout"), value.Bool) {
		a.timeout = t.Bool()
	}
	kinds := 0
	if returned := v.Get("return"); !returned.IsAbsent() {
		a.output = returned.JSON()
		kinds++
	}
	if a.fails = a.err != nil || a.cause != nil; a.fails {
		kinds++
	}
	if a.timeout {
		kinds++
	}
	if kinds != 1 {
		l.problem(at, "an answer has one of return, error and timeout: true")
	}
	if d := l.duration(v, at, "after"); d != nil {
		a.after = *d
	}
	if listed && a.when.IsAbsent() {
		a.times = 1
	}
	switch times := v.Get("times"); {
	case times.IsAbsent():
	case times.Str() == "always":
		a.times = 0
	default:
		n, ok := times.Int64()
		if !ok || n < 1 || n > 1e6 {
			l.problem(at.key("times"), "want a number from 1 on, or always, not %s", brief(times.JSON()))
		}
		a.times = int(n)
	}
	return a
}

// duration reads seconds, or a text such as 90s or 24h.
func (l *loader) duration(v value.Value, at pointer, name string) *time.Duration {
	member := v.Get(name)
	var d time.Duration
	switch {
	case member.IsAbsent():
		return nil
	case member.Kind() == value.Number:
		d = time.Duration(member.Float()*1000) * time.Millisecond
	default:
		var err error
		if d, err = time.ParseDuration(member.Str()); err != nil {
			d = -1
		}
	}
	if d < 0 || d > 100*365*24*time.Hour {
		l.problem(at.key(name), "want seconds, or a time such as 90s or 24h, not %s", brief(member.JSON()))
	}
	return &d
}

func (l *loader) readCase(c *Case, v value.Value, at pointer, names map[string]bool) {
	l.lines = append(l.lines, lineOf{at, &c.Line})
	if name := l.text(v, at, "name"); name != nil {
		c.Name = *name
	}
	switch {
	case strings.TrimSpace(c.Name) == "" || strings.ContainsAny(c.Name, "\n\r\t"):
		l.problem(at, "a case needs a name, in one line")
	case names[c.Name]:
		l.problem(at.key("name"), "there are two cases with the name %q", c.Name)
	}
	names[c.Name] = true
	c.input = "{}"
	if in := v.Get("input"); !in.IsAbsent() {
		c.input = in.JSON()
	}
	c.start = epoch
	if text := l.text(v, at, "start"); text != nil {
		t, err := time.Parse(time.RFC3339, *text)
		if err != nil || t.UnixMilli() <= 0 {
			l.problem(at.key("start"), "want a time such as 2026-01-31T09:00:00Z, not %q", *text)
		}
		c.start = t.UTC().Truncate(time.Millisecond)
	}
	c.mocks = l.mocks(v.Get("mocks"), at.key("mocks"))
	c.expect = l.expectation(v.Get("expect"), at.key("expect"))
}

func (l *loader) expectation(v value.Value, at pointer) expectation {
	e := expectation{status: engine.Succeeded, output: v.Get("output"), variables: v.Get("variables"), calls: v.Get("calls")}
	if v.IsAbsent() || !l.fields(v, at, "expect", expectFields) {
		return e
	}
	e.err = l.text(v, at, "error")
	if cause := l.text(v, at, "cause"); cause != nil {
		e.cause = *cause
	}
	if e.err != nil || e.cause != "" {
		e.status = engine.Failed
	}
	if status := l.text(v, at, "status"); status != nil {
		var ok bool
		if e.status, ok = engine.ParseStatus(*status); !ok || e.status == engine.Running || e.status == engine.Aborted {
			l.problem(at.key("status"), "want SUCCEEDED, FAILED or TIMED_OUT, not %q", *status)
		}
	}
	if !e.output.IsAbsent() && e.status != engine.Succeeded {
		l.problem(at.key("output"), "an execution that ends as %s has no output", e.status)
	}
	e.elapsed = l.duration(v, at, "elapsed")
	e.hasPath = l.kind(v.Get("path"), at.key("path"), value.Array)
	for i, state := range v.Get("path").Items() {
		at := at.key("path").item(i)
		if !l.kind(state, at, value.String) {
			continue
		}
		if state.Str() != anything && l.suite.machine.State(state.Str()) == nil {
			l.problem(at, "the machine has no state %q", state.Str())
		}
		e.path = append(e.path, state.Str())
	}
	l.kind(e.variables, at.key("variables"), value.Object)
	if l.kind(e.calls, at.key("calls"), value.Object) {
		l.calls(e.calls, at.key("calls"))
	}
	for _, name := range []string{"output", "variables", "calls"} {
		if err := checkMarkers(v.Get(name)); err != nil {
			l.problem(at.key(name), "%v", err)
		}
	}
	return e
}

// calls checks what a task is expected to be called with.
func (l *loader) calls(v value.Value, at pointer) {
	for state, want := range v.Members() {
		at := at.key(state)
		l.taskState(state, at)
		if _, ok := want.Int64(); !ok && want.Kind() != value.Array && want.Kind() != value.Object {
			l.problem(at, "want the number of calls, or a list of their inputs, not %s", brief(want.JSON()))
		}
	}
}
