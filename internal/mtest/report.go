package mtest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Report is what came of a suite. What Report and Coverage write depends on the
// files alone: no times, no order that changes.
type Report struct {
	Suite   *Suite
	Results []Result
}

// Failed counts the cases that have not passed.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if !r.Results[i].Passed() {
			n++
		}
	}
	return n
}

// WriteText writes a line for each case, and below it what was not as expected.
func (r *Report) WriteText(w io.Writer) {
	fmt.Fprintln(w, r.Suite.File)
	for i := range r.Results {
		c := &r.Results[i]
		if c.Passed() {
			fmt.Fprintf(w, "  ok    %s\n", c.Case.Name)
			continue
		}
		fmt.Fprintf(w, "  FAIL  %s (line %d)\n", c.Case.Name, c.Case.Line)
		for _, f := range c.Failures {
			fmt.Fprintf(w, "          %s\n", strings.ReplaceAll(printable(f), "\n", "\n          "))
		}
		fmt.Fprintf(w, "          went %s\n", printable(route(c.Path)))
	}
}

// printable takes control characters out of a text for the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// WriteText writes how much was reached and lists what was not.
func (c *Coverage) WriteText(w io.Writer) {
	states, transitions := missed(c.States), missed(c.Transitions)
	fmt.Fprintf(w, "coverage of %s: %.1f %%\n", c.Machine, c.Percent())
	fmt.Fprintf(w, "  states       %d of %d\n", len(c.States)-len(states), len(c.States))
	for _, name := range states {
		fmt.Fprintf(w, "    not entered  %s\n", printable(name))
	}
	fmt.Fprintf(w, "  transitions  %d of %d\n", len(c.Transitions)-len(transitions), len(c.Transitions))
	for _, name := range transitions {
		fmt.Fprintf(w, "    not taken    %s\n", printable(name))
	}
}

// The parts of a JUnit report, in the form that CI systems read. There are no
// times in it: the cases take none.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
		Error   *junitFailure `xml:"error,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the reports as JUnit XML. A case that could not be run to
// its end is an error there, one that ended otherwise than expected a failure.
func WriteJUnit(w io.Writer, reports []Report) error {
	all := junitSuites{}
	for i := range reports {
		r := &reports[i]
		s := junitSuite{Name: r.Suite.File, Tests: len(r.Results), Time: "0"}
		for j := range r.Results {
			c := r.Results[j].junit(r.Suite)
			if c.Failure != nil {
				s.Failures++
			}
			if c.Error != nil {
				s.Errors++
			}
			s.Cases = append(s.Cases, c)
		}
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Result) junit(s *Suite) junitCase {
	c := junitCase{Name: r.Case.Name, Class: s.name(), File: s.File, Line: r.Case.Line, Time: "0"}
	if r.Passed() {
		return c
	}
	first, _, _ := strings.Cut(r.Failures[0], "\n")
	f := &junitFailure{
		Message: first, Type: "unexpected",
		Text: strings.Join(r.Failures, "\n") + "\nwent " + route(r.Path) + "\n",
	}
	if r.Unended {
		f.Type = "unended"
		c.Error = f
	} else {
		c.Failure = f
	}
	return c
}

// JSON gives the report as an object, for programs.
func (r *Report) JSON() value.Value {
	var cases []value.Value
	for i := range r.Results {
		cases = append(cases, r.Results[i].json())
	}
	return object("file", value.Str(r.Suite.File), "machine", value.Str(r.Suite.Machine),
		"passed", value.Int(int64(len(r.Results)-r.Failed())), "failed", value.Int(int64(r.Failed())),
		"cases", value.ArrayOf(cases))
}

func (r *Result) json() value.Value {
	result := "PASS"
	if !r.Passed() {
		result = "FAIL"
	}
	text := func(s *string) value.Value {
		if s == nil {
			return value.Value{}
		}
		return value.Str(*s)
	}
	var output value.Value
	if r.Output != nil {
		output, _ = value.Options{MaxDepth: len(*r.Output) + 1}.Parse(*r.Output)
	}
	return object("name", value.Str(r.Case.Name), "line", value.Int(int64(r.Case.Line)), "result", value.Str(result),
		"failures", texts(r.Failures), "status", value.Str(r.Status.String()), "output", output,
		"error", text(r.Error), "cause", text(r.Cause), "path", texts(r.Path),
		"elapsedSeconds", value.Float(r.Elapsed.Seconds()))
}

// JSON gives the coverage as an object, for programs.
func (c *Coverage) JSON() value.Value {
	list := func(all []Covered) value.Value {
		var items []value.Value
		for _, item := range all {
			items = append(items, object("name", value.Str(item.Name), "times", value.Int(int64(item.Times))))
		}
		return value.ArrayOf(items)
	}
	reached, all := c.Reached()
	return object("machine", value.Str(c.Machine), "reached", value.Int(int64(reached)), "all", value.Int(int64(all)),
		"states", list(c.States), "transitions", list(c.Transitions))
}

// object makes an object of names and values by turns; absent values are left
// out.
func object(parts ...any) value.Value {
	var members []value.Member
	for i := 0; i+1 < len(parts); i += 2 {
		if v := parts[i+1].(value.Value); !v.IsAbsent() {
			members = append(members, value.Member{Key: parts[i].(string), Value: v})
		}
	}
	return value.ObjectOf(members)
}

func texts(list []string) value.Value {
	items := make([]value.Value, len(list))
	for i, s := range list {
		items[i] = value.Str(s)
	}
	return value.ArrayOf(items)
}
