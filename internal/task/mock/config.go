// Package mock answers tasks from the mock configuration of Step Functions
// Local, MockConfigFile.json, in executions that were started by a test case
// of it: with the machine's ARN, # and the case's name. All other tasks go to
// their integration, also those of states that a case does not name.
package mock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

// maxSize is how long a mock configuration may be, in bytes.
const maxSize = 16 << 20

// Config is a mock configuration.
type Config struct {
	path      string
	machines  map[string]map[string]testCase // by name, then by the case's
	responses map[string][]response
	cases     int
}

// testCase has the names of responses by state.
type testCase map[string]string

// response is what the attempts from first to last of a state get. Attempt 0
// is the first, as AWS's guide counts.
type response struct {
	first, last int64
	output      string // JSON
	err         *task.Error
}

// Load reads the file at path. The error names the file and all that is wrong
// in it, with where it stands.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the mock configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the mock configuration %s: %w", path, err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("read the mock configuration %s: it has more than %d bytes", path, maxSize)
	}
	c, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("mock configuration %s: %w", path, err)
	}
	c.path = path
	return c, nil
}

// Parse reads a mock configuration from its text; see Load.
func Parse(text string) (*Config, error) {
	v, err := value.Parse(strings.TrimPrefix(text, "\uFEFF"))
	if err != nil {
		return nil, err
	}
	r := reader{text: text, c: &Config{machines: map[string]map[string]testCase{}, responses: map[string][]response{}}}
	r.read(v)
	if len(r.problems) > 0 {
		return nil, errors.New(strings.Join(r.problems, "\n"))
	}
	return r.c, nil
}

// Summary says in a few words what there is.
func (c *Config) Summary() string {
	return fmt.Sprintf("%s has %d test cases of %d state machines", c.path, c.cases, len(c.machines))
}

// check refuses a case that a machine does not have.
func (c *Config) check(machine, test string) error {
	cases := c.machines[machine]
	if _, ok := cases[test]; ok {
		return nil
	}
	if cases == nil {
		return fmt.Errorf("the mock configuration has no state machine %s: it has %s", machine, list(keys(c.machines)))
	}
	return fmt.Errorf("the mock configuration has no test case %s for the state machine %s: it has %s", test, machine, list(keys(cases)))
}

// answer finds what a state's attempt gets; mocked is false where the case
// leaves the state to its integration.
func (c *Config) answer(machine, test, state string, attempt int64) (r response, mocked bool, err error) {
	name, mocked := c.machines[machine][test][state]
	if !mocked {
		return r, false, nil
	}
	for _, r := range c.responses[name] {
		if r.first <= attempt && attempt <= r.last {
			return r, true, nil
		}
	}
	return r, true, task.Fail("States.Runtime",
		fmt.Sprintf("The mocked response %s has nothing for attempt %d of the state %s in the test case %s.", name, attempt, state, test))
}

func keys[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// reader gathers what is wrong, so that all of it can be put right at once.
type reader struct {
	text     string
	c        *Config
	problems []string
}

func (r *reader) problem(at, format string, args ...any) {
	line, column, _ := value.Locate(r.text, at)
	r.problems = append(r.problems, fmt.Sprintf("line %d, column %d: ", line, column)+fmt.Sprintf(format, args...))
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// members goes through an object; allowed, if there are any, are its fields.
func (r *reader) members(v value.Value, at, what string, allowed []string, each func(name string, v value.Value, at string)) {
	if v.Kind() != value.Object {
		r.problem(at, "%s must be an object", what)
		return
	}
	for name, member := range v.Members() {
		at := at + "/" + escaper.Replace(name)
		if allowed != nil && !slices.Contains(allowed, name) {
			r.problem(at, "unknown field %q: %s has %s", name, what, list(allowed))
			continue
		}
		each(name, member, at)
	}
}

func (r *reader) read(v value.Value) {
	r.members(v, "", "a mock configuration", []string{"StateMachines", "MockedResponses"}, func(name string, v value.Value, at string) {
		if name == "StateMachines" {
			r.members(v, at, name, nil, r.machine)
		} else {
			r.members(v, at, name, nil, r.response)
		}
	})
	r.references(v.Get("StateMachines"))
}

func (r *reader) machine(machine string, v value.Value, at string) {
	r.c.machines[machine] = map[string]testCase{}
	r.members(v, at, "a state machine", []string{"TestCases"}, func(_ string, v value.Value, at string) {
		r.members(v, at, "TestCases", nil, func(name string, v value.Value, at string) {
			r.c.cases++
			test := testCase{}
			r.c.machines[machine][name] = test
			r.members(v, at, "a test case", nil, func(state string, v value.Value, at string) {
				if v.Kind() != value.String {
					r.problem(at, "a state must have the name of a mocked response")
				}
				test[state] = v.Str()
			})
		})
	})
}

// references checks that the responses are there that the cases name.
func (r *reader) references(machines value.Value) {
	for machine, v := range machines.Members() {
		for name, states := range v.Get("TestCases").Members() {
			for state, response := range states.Members() {
				if _, ok := r.c.responses[response.Str()]; !ok && response.Kind() == value.String {
					at := ""
					for _, step := range []string{"StateMachines", machine, "TestCases", name, state} {
						at += "/" + escaper.Replace(step)
					}
					r.problem(at, "MockedResponses has no %q", response.Str())
				}
			}
		}
	}
}

func (r *reader) response(name string, v value.Value, at string) {
	all := []response{}
	r.members(v, at, "a mocked response", nil, func(attempts string, v value.Value, at string) {
		given := response{}
		var ok bool
		if given.first, given.last, ok = span(attempts); !ok {
			r.problem(at, "want the number of an attempt, from 0 on, or a range such as 1-2, not %q", attempts)
			return
		}
		if slices.ContainsFunc(all, func(other response) bool { return given.first <= other.last && other.first <= given.last }) {
			r.problem(at, "an attempt has two responses")
		}
		r.outcome(&given, v, at)
		all = append(all, given)
	})
	if v.Kind() == value.Object && v.Len() == 0 {
		r.problem(at, "a mocked response must say what the attempt 0 gets")
	}
	r.c.responses[name] = all
}

func (r *reader) outcome(to *response, v value.Value, at string) {
	if v.Kind() == value.Object && v.Len() != 1 {
		r.problem(at, "want one of Return and Throw")
		return
	}
	r.members(v, at, "a response", []string{"Return", "Throw"}, func(name string, v value.Value, at string) {
		if name == "Return" {
			to.output = v.JSON()
			return
		}
		to.err = &task.Error{}
		r.members(v, at, "Throw", []string{"Error", "Cause"}, func(name string, v value.Value, at string) {
			if v.Kind() != value.String {
				r.problem(at, "%s must be a text", name)
			}
			text := v.Str()
			if name == "Error" {
				to.err.Name = &text
			} else {
				to.err.Cause = &text
			}
		})
	})
}

// span reads the number of an attempt, or the first and the last of some.
func span(text string) (first, last int64, ok bool) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err := strconv.ParseInt(from, 10, 32)
	last, errLast := strconv.ParseInt(to, 10, 32)
	return first, last, err == nil && errLast == nil && 0 <= first && first <= last
}
