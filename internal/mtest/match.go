package mtest

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// The markers in expected values. An object with one of them as its only key
// stands for what it says.
const (
	markPartial = "$partial" // objects, at any depth, may have more members than the value
	markMatch   = "$match"   // a text that has a match of the regular expression
	markAny     = "$any"     // true: anything; or what kind: "string", "number", …
)

// marker takes a marked value apart; name "" : it is an ordinary one.
func marker(v value.Value) (name string, arg value.Value) {
	if v.Kind() == value.Object && v.Len() == 1 {
		switch name := v.Key(0); name {
		case markPartial, markMatch, markAny:
			return name, v.Get(name)
		}
	}
	return "", value.Value{}
}

// checkMarkers says what is wrong with the markers in an expected value.
func checkMarkers(v value.Value) error {
	switch name, arg := marker(v); name {
	case markMatch:
		if arg.Kind() != value.String {
			return fmt.Errorf("%s needs a regular expression as a text", markMatch)
		}
		if _, err := regexp.Compile(arg.Str()); err != nil {
			return fmt.Errorf("%s: %w", markMatch, err)
		}
		return nil
	case markAny:
		if !arg.Bool() && kindNamed(arg.Str()) == value.Absent {
			return fmt.Errorf("%s needs true, or one of object, array, string, number, boolean and null in quotes", markAny)
		}
		return nil
	}
	for _, item := range v.Items() {
		if err := checkMarkers(item); err != nil {
			return err
		}
	}
	for _, member := range v.Members() {
		if err := checkMarkers(member); err != nil {
			return err
		}
	}
	return nil
}

// kindNamed finds a kind by the name a test gives it.
func kindNamed(name string) value.Kind {
	for kind, its := range kindNames {
		if its == name {
			return value.Kind(kind)
		}
	}
	return value.Absent
}

var kindNames = [...]string{
	value.Null: "null", value.Bool: "boolean", value.Number: "number", value.String: "string",
	value.Array: "array", value.Object: "object",
}

// maxDifferences bounds what is said about one value.
const maxDifferences = 8

// differences says where got is not what is wanted, one thing in a text. Numbers
// are equal when their values are, and the order of members does not count.
func differences(at string, want, got value.Value, partial bool) []string {
	name, arg := marker(want)
	switch name {
	case markPartial:
		return differences(at, arg, got, true)
	case markAny:
		if !got.IsAbsent() && (arg.Bool() || got.Kind() == kindNamed(arg.Str())) {
			return nil
		}
		return []string{fmt.Sprintf("%s: want any %s, got %s", at, orValue(arg.Str()), shown(got))}
	case markMatch:
		// checkMarkers has seen it compile.
		if got.Kind() == value.String && regexp.MustCompile(arg.Str()).MatchString(got.Str()) {
			return nil
		}
		return []string{fmt.Sprintf("%s: want a text that matches %s, got %s", at, arg.Str(), shown(got))}
	}
	switch {
	case want.Kind() != got.Kind() || want.Kind() != value.Object && want.Kind() != value.Array:
		if value.Equal(want, got) {
			return nil
		}
		return []string{fmt.Sprintf("%s: want %s, got %s", at, shown(want), shown(got))}
	case want.Kind() == value.Array:
		return inArray(at, want, got, partial)
	}
	return inObject(at, want, got, partial)
}

func orValue(kind string) string {
	if kind == "" {
		return "value"
	}
	return kind
}

func inArray(at string, want, got value.Value, partial bool) (found []string) {
	if want.Len() != got.Len() {
		found = append(found, fmt.Sprintf("%s: want %s, got %s: %s", at, plural(want.Len(), "item"), plural(got.Len(), "item"), shown(got)))
	}
	for i := range min(want.Len(), got.Len()) {
		found = append(found, differences(fmt.Sprintf("%s[%d]", at, i), want.At(i), got.At(i), partial)...)
		if len(found) > maxDifferences {
			break
		}
	}
	return found
}

func inObject(at string, want, got value.Value, partial bool) (found []string) {
	for name, v := range want.Members() {
		found = append(found, differences(at+member(name), v, got.Get(name), partial)...)
		if len(found) > maxDifferences {
			return found
		}
	}
	if partial {
		return found
	}
	for name, v := range got.Members() {
		if want.Get(name).IsAbsent() {
			found = append(found, fmt.Sprintf("%s: not expected, got %s", at+member(name), shown(v)))
		}
		if len(found) > maxDifferences {
			break
		}
	}
	return found
}

// member writes a step of a path in a message.
func member(name string) string {
	if k := key(name); k != name || name == "" {
		return "[" + value.Str(name).JSON() + "]"
	}
	return "." + name
}

// shown writes a value in a message.
func shown(v value.Value) string {
	if v.IsAbsent() {
		return "nothing"
	}
	return brief(v.JSON())
}

// briefly is how long texts in messages may get, in bytes.
const briefly = 300

func brief(text string) string {
	if len(text) <= briefly {
		return text
	}
	cut := briefly
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// judge compares what came of the execution with what a case expects.
func (r *run) judge(want *expectation) []string {
	if r.stuck != "" {
		return []string{r.stuck}
	}
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	got := r.snap
	if got.Status != want.status {
		say("status: want %s, got %s%s", want.status, got.Status, why(got))
	}
	if want.err != nil && (got.Error == nil || *got.Error != *want.err) {
		say("error: want %s, got %s", *want.err, orNothing(got.Error))
	}
	if want.cause != "" && (got.Cause == nil || !strings.Contains(*got.Cause, want.cause)) {
		say("cause: want a text with %q, got %s", want.cause, orNothing(got.Cause))
	}
	// Without an output there is a reason, which the status has said.
	if !want.output.IsAbsent() && got.Output != nil {
		found = append(found, differences("output", want.output, got.Output.Value(), false)...)
	}
	if want.hasPath && !alongPath(want.path, r.path) {
		found = append(found, pathDifference(want.path, r.path))
	}
	for name, v := range want.variables.Members() {
		var is value.Value
		if text, ok := r.vars[name]; ok {
			is, _ = value.Parse(text)
		}
		found = append(found, differences("variables"+member(name), v, is, false)...)
	}
	for state, list := range want.calls.Members() {
		found = append(found, r.judgeCalls(state, list)...)
	}
	if elapsed := r.now.Sub(epochOf(r)); want.elapsed != nil && elapsed != *want.elapsed {
		say("elapsed: want %s, got %s", *want.elapsed, elapsed)
	}
	return found
}

// epochOf is when the execution started.
func epochOf(r *run) time.Time { return r.snap.Execution.StartedAt }

// judgeCalls compares what a state's task was called with: their number, or the
// inputs one by one.
func (r *run) judgeCalls(state string, want value.Value) []string {
	var inputs []value.Value
	for _, c := range r.calls {
		if c.state == state {
			inputs = append(inputs, c.input)
		}
	}
	at := "calls" + member(state)
	if n, ok := want.Int64(); ok {
		if int64(len(inputs)) != n {
			return []string{fmt.Sprintf("%s: want %s, got %d", at, plural(int(n), "call"), len(inputs))}
		}
		return nil
	}
	return differences(at, want, value.ArrayOf(inputs), false)
}

// why says in brackets how an execution ended that did not succeed.
func why(s *engine.Snapshot) string {
	if s.Error == nil && s.Cause == nil {
		return ""
	}
	text := " ("
	if s.Error != nil {
		text += *s.Error
	}
	if s.Cause != nil {
		text += ": " + brief(*s.Cause)
	}
	return text + ")"
}

func orNothing(s *string) string {
	if s == nil {
		return "nothing"
	}
	return brief(*s)
}

// alongPath reports whether got is the wanted way, in which "..." stands for any
// number of states.
func alongPath(want, got []string) bool {
	// The usual matching of wildcards: on a mismatch, the last one takes one more.
	i, w, star, mark := 0, 0, -1, 0
	for i < len(got) {
		switch {
		case w < len(want) && want[w] == anything:
			star, mark = w, i
			w++
		case w < len(want) && want[w] == got[i]:
			i, w = i+1, w+1
		case star >= 0:
			mark++
			i, w = mark, star+1
		default:
			return false
		}
	}
	for w < len(want) && want[w] == anything {
		w++
	}
	return w == len(want)
}

// pathDifference says where two ways part.
func pathDifference(want, got []string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	at := func(path []string) string {
		if i < len(path) {
			return path[i]
		}
		return "the end"
	}
	if i < len(want) && want[i] == anything {
		return "path: want " + route(want)
	}
	return fmt.Sprintf("path: want %s as state %d, got %s; want %s", at(want), i+1, at(got), route(want))
}

// route writes a way through the states.
func route(path []string) string {
	const most = 40
	if len(path) > most {
		return strings.Join(path[:most/2], " → ") + fmt.Sprintf(" → (%d more) → ", len(path)-most) + strings.Join(path[len(path)-most/2:], " → ")
	}
	return strings.Join(path, " → ")
}
