package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// maxInput is how much of a file the commands read, in bytes: more than any
// definition may have.
const maxInput = 16 << 20

func newValidateCommand() *cobra.Command {
	v := validation{set: map[string]string{}, options: asl.Options{Lacks: awsmodel.Lacks}}
	var set []string
	var setFile string
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Say what is wrong with a definition, and where",
		Long: `Validate checks definitions of state machines, written in JSON or YAML, and says
what is wrong with them, with file, line and column, in AWS's codes and words.
Warnings are about what AWS accepts and probably nobody meant.

${Name} in a definition is filled in from --set and --set-file, as AWS does with
DefinitionSubstitutions. FILE may be - for the standard input.

The exit code is 1 when there are errors, with --strict also when there are
warnings, and otherwise 0.`,
		Example: `  lockstep validate flow.asl.json
  lockstep validate --set ModelId=lockstep.lexicon-v1 --strict flows/*.yaml
  lockstep validate --json - < flow.json | jq .diagnostics`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the files to validate, or - for the standard input")
			}
			return nil
		},
		RunE: act(func(cmd *cobra.Command, args []string) error {
			if err := readSubstitutions(v.set, setFile, set); err != nil {
				return err
			}
			v.out, v.source = cmd.OutOrStdout(), isTerminal(os.Stdout)
			return v.run(args, cmd.InOrStdin())
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&set, "set", nil, "fill in ${NAME}: `NAME=VALUE`; may be given more than once")
	flags.StringVar(&setFile, "set-file", "", "YAML or JSON `file` with NAME: VALUE for each ${NAME}; --set comes first")
	flags.BoolVar(&v.options.Express, "express", false, "check for an Express workflow")
	flags.BoolVar(&v.strict, "strict", false, "fail on warnings too")
	flags.BoolVar(&v.json, "json", false, "write one JSON object for each file, in a line of its own")
	return cmd
}

// validation is one run of the command.
type validation struct {
	set          map[string]string
	options      asl.Options
	strict, json bool
	source       bool // show the line with a caret below
	out          io.Writer
}

// run validates all files, and fails when one of them is bad.
func (v *validation) run(files []string, stdin io.Reader) error {
	bad := false
	for _, name := range files {
		text, err := readInput(name, stdin)
		if err != nil {
			return err
		}
		if name == "-" {
			name = "<stdin>"
		}
		found, err := v.check(name, text)
		if err != nil {
			return err
		}
		if err := v.report(name, string(text), found); err != nil {
			return err
		}
		bad = bad || found.HasErrors() || v.strict && len(found) > 0
	}
	if bad {
		return &exitError{code: exitFailed}
	}
	return nil
}

// check says what there is to say about a definition.
func (v *validation) check(name string, text []byte) (asl.Diagnostics, error) {
	source, err := asl.Load(name, text, v.set)
	if err != nil {
		return nil, err
	}
	_, found := asl.Parse(source.JSON, v.options)
	return append(source.Unfilled, source.Place(found)...), nil
}

func (v *validation) report(name, text string, found asl.Diagnostics) error {
	if v.json {
		return v.reportJSON(name, found)
	}
	w := bufio.NewWriter(v.out)
	for _, d := range found {
		fmt.Fprintf(w, "%s: %s %s: %s", position(name, d), strings.ToLower(d.Severity), d.Code, oneLine(d.Message))
		if d.Location != "" {
			fmt.Fprintf(w, " at %s", oneLine(d.Location))
		}
		if d.Hint != "" {
			fmt.Fprintf(w, " (%s)", oneLine(d.Hint))
		}
		fmt.Fprintln(w)
		if v.source {
			fmt.Fprint(w, excerpt(text, d.Line, d.Column))
		}
	}
	if len(found) == 0 {
		fmt.Fprintf(w, "%s: valid\n", name)
	}
	return w.Flush()
}

// position is file:line:column, as far as it is known.
func position(name string, d asl.Diagnostic) string {
	if d.Line == 0 {
		return name
	}
	return fmt.Sprintf("%s:%d:%d", name, d.Line, d.Column)
}

// excerptWidth is how much of a line an excerpt shows, in characters.
const excerptWidth = 100

// excerpt shows a line of text and points at a column; "" where there is none.
func excerpt(text string, line, column int) string {
	for ; line > 1; line-- {
		_, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return ""
		}
		text = rest
	}
	shown, _, _ := strings.Cut(text, "\n")
	characters := []rune(strings.ReplaceAll(strings.TrimRight(shown, "\r"), "\t", " "))
	at := column - 1
	if line != 1 || at < 0 || at > len(characters) {
		return ""
	}
	if at > excerptWidth*3/4 { // a long line: what is around the column
		cut := at - excerptWidth/2
		characters, at = characters[cut:], at-cut
	}
	if len(characters) > excerptWidth {
		characters = append(characters[:excerptWidth:excerptWidth], '…')
	}
	return "    " + printable(string(characters)) + "\n    " + strings.Repeat(" ", at) + "^\n"
}

// oneLine joins the lines of a text.
func oneLine(text string) string { return printable(strings.Join(strings.Fields(text), " ")) }

// printable takes control characters out of a text for the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// finding is a diagnostic in JSON.
type finding struct {
	Severity string `json:"severity"` // ERROR or WARNING
	Code     string `json:"code"`
	Message  string `json:"message"`
	Location string `json:"location,omitempty"` // in AWS's notation
	Pointer  string `json:"pointer"`            // JSON pointer
	Line     int    `json:"line,omitempty"`     // from 1
	Column   int    `json:"column,omitempty"`   // from 1, in characters
	Hint     string `json:"hint,omitempty"`
}

func (v *validation) reportJSON(name string, found asl.Diagnostics) error {
	report := struct {
		File        string    `json:"file"`
		Result      string    `json:"result"` // OK or FAIL, as of ValidateStateMachineDefinition
		Diagnostics []finding `json:"diagnostics"`
	}{name, "OK", []finding{}}
	if found.HasErrors() {
		report.Result = "FAIL"
	}
	for _, d := range found {
		report.Diagnostics = append(report.Diagnostics,
			finding{d.Severity, d.Code, d.Message, d.Location, d.Pointer, d.Line, d.Column, d.Hint})
	}
	e := json.NewEncoder(v.out)
	e.SetEscapeHTML(false)
	return e.Encode(report)
}

// readInput reads a file, or stdin for "-".
func readInput(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxInput {
		return nil, fmt.Errorf("read %s: it has more than %d bytes", name, maxInput)
	}
	return text, nil
}

// readSubstitutions adds those of a file and then those of --set to set.
func readSubstitutions(set map[string]string, file string, flags []string) error {
	if file != "" {
		text, err := readInput(file, nil)
		if err != nil {
			return err
		}
		if err := yaml.Unmarshal(text, &set); err != nil {
			return fmt.Errorf("%s: give NAME: VALUE in each line: %s", file, strings.TrimPrefix(firstLine(err), "yaml: "))
		}
	}
	for _, f := range flags {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" {
			return usageError("--set %s: give NAME=VALUE", f)
		}
		set[name] = value
	}
	return nil
}
