// Package mtest tests state machines: it runs cases that stand in a file beside
// a definition. A case says what goes in, what the tasks answer (its mocks), and
// what is expected: the end, the output, the way through the states.
//
// Its one idea: the engine takes time and the answers of tasks as events, so a
// test hands it those events. Nothing is waited for, since the clock jumps to
// whatever is due next, and nothing is called. So a Wait of a year takes no time,
// and the same file gives the same report, byte for byte.
//
// Load reads a file, Run runs its cases, Coverage says what no case has reached.
package mtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// Suite is a file with cases for one machine.
type Suite struct {
	File    string // as given to Load
	Machine string // the definition's file; File where the definition stands inside
	Cases   []Case

	machine *asl.Machine
	mocks   map[string]mock // of every case that has none of its own for a state
}

// Case is one execution to try.
type Case struct {
	Name string
	Line int // in the suite's file; 0: not known

	input  string // JSON
	start  time.Time
	mocks  map[string]mock
	expect expectation
}

// expectation is what a case says must come of it. Absent parts are not
// looked at.
type expectation struct {
	status    engine.Status
	output    value.Value
	err       *string
	cause     string // part of it
	path      []string
	hasPath   bool
	variables value.Value
	calls     value.Value // by state
	elapsed   *time.Duration
}

// anything stands for any number of states in an expected path.
const anything = "..."

// Result is what came of a case.
type Result struct {
	Case     *Case
	Failures []string // what is not as expected; none: the case has passed
	Unended  bool     // the execution could not go on: a mock is missing, or it waits for ever

	Status  engine.Status
	Output  *string // JSON
	Error   *string
	Cause   *string
	Path    []string      // the states entered, in their order
	Elapsed time.Duration // on the clock of the execution
}

// Passed reports whether everything was as expected.
func (r *Result) Passed() bool { return len(r.Failures) == 0 }

// Problems are the mistakes in a suite's file or in its definition: file, line
// and column where they are known, and what is wrong.
type Problems []string

// Error gives them all, one in a line.
func (p Problems) Error() string { return strings.Join(p, "\n") }

// Run runs the cases whose name is selected, in their order, and adds what they
// reach to cover. A nil selected takes all of them.
func (s *Suite) Run(selected func(name string) bool, cover *Coverage) []Result {
	var results []Result
	for i := range s.Cases {
		c := &s.Cases[i]
		if selected != nil && !selected(c.Name) {
			continue
		}
		x := execute(s, c, cover)
		r := Result{
			Case: c, Unended: x.stuck != "", Status: x.snap.Status, Error: x.snap.Error, Cause: x.snap.Cause,
			Path: x.path, Elapsed: x.now.Sub(c.start),
		}
		if x.snap.Output != nil {
			text := x.snap.Output.JSON()
			r.Output = &text
		}
		r.Failures = x.judge(&c.expect)
		results = append(results, r)
	}
	return results
}

// epoch is when an execution starts, unless its case says otherwise.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// region, account and so on of the executions in tests.
const (
	machineARN   = "arn:aws:states:us-east-1:123456789012:stateMachine:"
	executionARN = "arn:aws:states:us-east-1:123456789012:execution:"
	roleARN      = "arn:aws:iam::123456789012:role/test"
	region       = "us-east-1"
	execution    = "test" // the execution's name
)

// name is the machine's name in tests: that of its file, without what follows
// the first dot.
func (s *Suite) name() string {
	base := s.Machine[strings.LastIndexAny(s.Machine, `/\`)+1:]
	name, _, _ := strings.Cut(base, ".")
	if name == "" {
		return "machine"
	}
	return name
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
