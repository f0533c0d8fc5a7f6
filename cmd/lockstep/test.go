package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/mtest"
)

func newTestCommand() *cobra.Command {
	t := testRun{}
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Try state machines on cases, without a server",
		Long: `Test runs the cases in test files: what goes into a state machine, what its tasks
answer, and what must come of it. Nothing is called and nothing is waited for: a
Wait of a year takes no time. docs/testing.md shows how to write them.

FILE may be a directory: all files in it and below that are called NAME.test.yaml,
NAME.test.yml or NAME.test.json. At the end stands what no case has reached.

The exit code is 1 when a case has failed or --cover is not reached, 2 when a file
is wrong, and otherwise 0.`,
		Example: `  lockstep test flow.test.yaml
  lockstep test --cover 90 --junit report.xml flows/
  lockstep test --run 'approve|reject' flow.test.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the test files, or a directory that has some")
			}
			return nil
		},
		RunE: act(func(cmd *cobra.Command, args []string) error {
			t.out = cmd.OutOrStdout()
			t.hasMinimum = cmd.Flags().Changed("cover")
			return t.run(args)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&t.pattern, "run", "", "run only the cases whose name has a match of this regular `expression`")
	flags.StringVar(&t.junit, "junit", "", "write a report in JUnit's XML to `file` too")
	flags.Float64Var(&t.minimum, "cover", 0, "fail when less than `percent` of the states and transitions of a machine are reached")
	flags.BoolVar(&t.json, "json", false, "write one JSON object for each file, and then one for each machine's coverage")
	return cmd
}

// testRun is one run of the command.
type testRun struct {
	pattern, junit string
	minimum        float64
	hasMinimum     bool
	json           bool
	out            io.Writer
}

func (t *testRun) run(args []string) error {
	selected, err := regexp.Compile(t.pattern)
	if err != nil {
		return usageError("--run: %w", err)
	}
	if t.minimum < 0 || t.minimum > 100 {
		return usageError("--cover %v: give a number from 0 to 100", t.minimum)
	}
	suites, err := loadSuites(args)
	if err != nil {
		return err
	}
	var reports []mtest.Report
	var covers []*mtest.Coverage
	for _, s := range suites {
		cover := coverOf(&covers, s)
		if results := s.Run(selected.MatchString, cover); len(results) > 0 {
			reports = append(reports, mtest.Report{Suite: s, Results: results})
		}
	}
	if len(reports) == 0 {
		return usageError("--run %s: no case has a name like that", t.pattern)
	}
	if err := t.report(reports, covers); err != nil {
		return err
	}
	return t.verdict(reports, covers)
}

// loadSuites reads all files, so that no case runs while a file is wrong.
func loadSuites(args []string) ([]*mtest.Suite, error) {
	files, err := testFiles(args)
	if err != nil {
		return nil, err
	}
	var suites []*mtest.Suite
	var wrong []string
	for _, file := range files {
		text, err := readInput(file, nil)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		s, err := mtest.Load(file, text, func(name string) (string, []byte, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(file), name)
			}
			text, err := readInput(name, nil)
			return name, text, err
		})
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		suites = append(suites, s)
	}
	if wrong != nil {
		return nil, &exitError{exitUsage, errors.New("the test files are wrong\n" + strings.Join(wrong, "\n"))}
	}
	return suites, nil
}

// testFiles finds the files that the arguments mean, each once.
func testFiles(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		if !info.IsDir() {
			files = append(files, filepath.Clean(arg))
			continue
		}
		before := len(files)
		err = filepath.WalkDir(arg, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && isTestFile(name) {
				files = append(files, filepath.Clean(name))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, usageError("%s: there is no file called NAME.test.yaml, NAME.test.yml or NAME.test.json", arg)
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(files, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	}), nil
}

func isTestFile(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	return slices.ContainsFunc([]string{".test.yaml", ".test.yml", ".test.json"}, func(end string) bool { return strings.HasSuffix(base, end) })
}

// coverOf finds the coverage that suites of one machine share.
func coverOf(covers *[]*mtest.Coverage, s *mtest.Suite) *mtest.Coverage {
	for _, c := range *covers {
		if c.Machine == s.Machine {
			return c
		}
	}
	c := mtest.NewCoverage(s)
	*covers = append(*covers, c)
	return c
}

func (t *testRun) report(reports []mtest.Report, covers []*mtest.Coverage) error {
	var text bytes.Buffer
	if t.json {
		for i := range reports {
			fmt.Fprintln(&text, reports[i].JSON().JSON())
		}
		for _, c := range covers {
			fmt.Fprintln(&text, c.JSON().JSON())
		}
	} else {
		t.write(&text, reports, covers)
	}
	if _, err := t.out.Write(text.Bytes()); err != nil {
		return err
	}
	if t.junit == "" {
		return nil
	}
	var xml bytes.Buffer
	if err := mtest.WriteJUnit(&xml, reports); err != nil {
		return err
	}
	if err := os.WriteFile(t.junit, xml.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	return nil
}

func (t *testRun) write(w io.Writer, reports []mtest.Report, covers []*mtest.Coverage) {
	cases, failed := 0, 0
	for i := range reports {
		reports[i].WriteText(w)
		cases, failed = cases+len(reports[i].Results), failed+reports[i].Failed()
	}
	fmt.Fprintln(w)
	for _, c := range covers {
		c.WriteText(w)
	}
	fmt.Fprintf(w, "\n%d passed, %d failed\n", cases-failed, failed)
}

// verdict is the exit code, with what was not said yet.
func (t *testRun) verdict(reports []mtest.Report, covers []*mtest.Coverage) error {
	for _, c := range covers {
		if t.hasMinimum && c.Percent() < t.minimum {
			return fmt.Errorf("%s: %.1f %% of its states and transitions are reached, less than --cover %v", c.Machine, c.Percent(), t.minimum)
		}
	}
	for i := range reports {
		if reports[i].Failed() > 0 {
			return &exitError{code: exitFailed}
		}
	}
	return nil
}
