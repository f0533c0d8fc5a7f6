// Package conformance plays the cases recorded on AWS against the binary, as a
// client sees it. The cases and the program that plays them are not part of
// this repository; the test skips where they are absent.
package conformance

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const recordings = "../../../shared/conformance"

// knownFailures holds the ids of cases that fail, with the reason above each.
const knownFailures = "known-failures.txt"

// wanted is the share, in percent, that must pass of the cases that can.
const wanted = 98

// notOurs begins the reason of a case that nobody can pass who answers as AWS
// does today.
const notOurs = "Not ours:"

// recorded is what the selection looks at in a case.
type recorded struct {
	ID     string
	Group  string
	Kind   string
	Type   string
	Origin string
	Needs  []string
	Steps  []struct{ Service, Op string }
}

func (c *recorded) needs(services ...string) bool {
	for _, s := range services {
		if slices.Contains(c.Needs, s) {
			return true
		}
	}
	return false
}

// onlyDefines is true of conversations that start nothing, so that the services
// their definitions mention are never called.
func (c *recorded) onlyDefines() bool {
	if c.Kind == "validate" {
		return true
	}
	for _, s := range c.Steps {
		if s.Service != "" || s.Op == "StartExecution" {
			return false
		}
	}
	return c.Kind == "api"
}

// later are the parts that are still to come. A case that needs one is left
// out; the first line that holds is its reason.
var later = []struct {
	reason string
	holds  func(*recorded) bool
}{
	{"apigateway:invoke", func(c *recorded) bool {
		return c.Kind != "test_state" && !c.onlyDefines() && c.needs("apigateway")
	}},
}

// report is what the runner writes.
type report struct {
	Passed, Failed, Skipped int
	Cases                   []struct {
		ID, Status string
		Lines      []string
	}
	Skips   []struct{ ID, Reason string }
	Crashes []struct{ Log string }
}

func TestRecorded(t *testing.T) {
	if testing.Short() {
		t.Skip("plays hundreds of cases against the binary")
	}
	python := findPython(t)
	selected := choose(t)
	got := play(t, python, selected)

	known := readKnown(t)
	status, impossible := map[string]string{}, 0
	for _, c := range got.Cases {
		status[c.ID] = c.Status
		if c.Status != "failed" {
			continue
		}
		switch reason, ok := known[c.ID]; {
		case strings.HasPrefix(reason, notOurs):
			impossible++
		case !ok:
			t.Errorf("%s: not as AWS answered:\n    %s", c.ID, strings.Join(c.Lines[:min(len(c.Lines), 15)], "\n    "))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		switch status[id] {
		case "passed":
			t.Errorf("%s passes now: take it out of %s", id, knownFailures)
		case "":
			t.Errorf("%s is in %s and was not run: take it out", id, knownFailures)
		}
	}
	for _, c := range got.Crashes {
		t.Errorf("the server ended by itself; its last words:\n%s", c.Log)
	}
	ran := got.Passed + got.Failed
	t.Logf("recorded cases: %d of %d pass; %d failures are known, %d of them for reasons that are not ours", got.Passed, ran, len(known), impossible)
	for _, s := range got.Skips {
		t.Logf("the runner left out %s: %s", s.ID, s.Reason)
	}
	if can := ran - impossible; can == 0 || got.Passed*100 < wanted*can {
		t.Errorf("%d of %d cases pass: fewer than %d %%", got.Passed, can, wanted)
	}
}

// findPython finds the Python that the runner needs.
func findPython(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(recordings, "run.py")); err != nil {
		t.Skip("the cases recorded on AWS are not here: no " + recordings)
	}
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import sys; sys.exit(sys.version_info < (3, 11))").Run() == nil {
			return name
		}
	}
	t.Skip("the runner of the recorded cases needs Python 3.11 or newer")
	return ""
}

// choose writes the cases of what exists so far into a folder, and says how many
// are left out for which reason.
func choose(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings, "cases", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s (%v)", recordings, err)
	}
	dir := t.TempDir()
	chosen := 0
	left := map[string]int{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var all []json.RawMessage
		keep := []json.RawMessage{} // never null
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, raw := range all {
			var c recorded
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if reason := c.later(); reason != "" {
				left[reason]++
				continue
			}
			keep = append(keep, raw)
		}
		chosen += len(keep)
		text, err = json.Marshal(keep)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("chosen: %d cases", chosen)
	for _, reason := range slices.SortedFunc(maps.Keys(left), func(a, b string) int { return cmp.Compare(left[b], left[a]) }) {
		t.Logf("left out: %d for %s", left[reason], reason)
	}
	return dir
}

// later is the reason for which a case is left out, or "".
func (c *recorded) later() string {
	for _, l := range later {
		if l.holds(c) {
			return l.reason
		}
	}
	return ""
}

// play runs the cases in dir against a fresh build.
func play(t *testing.T, python, dir string) report {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lockstep")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/lockstep")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	result := filepath.Join(t.TempDir(), "report.json")
	run := exec.CommandContext(t.Context(), python, filepath.Join(recordings, "run.py"),
		"--exec", "'"+binary+"' dev --listen 127.0.0.1:{port} --data {dir}",
		"--cases", dir, "--json", result)
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) } // it ends its server then
	run.WaitDelay = 20 * time.Second
	out, err := run.CombinedOutput()
	text, readErr := os.ReadFile(result)
	if readErr != nil {
		t.Fatalf("the runner did not finish: %v\n%s", err, out)
	}
	var got report
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("read the runner's report: %v", err)
	}
	return got
}

// readKnown reads the ids that are known to fail, each with the reason in the
// comment that begins its group.
func readKnown(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(knownFailures)
	if err != nil {
		t.Fatal(err)
	}
	known, reason := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			reason = ""
		case strings.HasPrefix(line, "#"):
			reason = strings.TrimSpace(reason + " " + strings.TrimSpace(line[1:]))
		default:
			if reason == "" {
				t.Errorf("%s: %s has no reason above it", knownFailures, line)
			}
			known[line] = reason
		}
	}
	return known
}

func TestEachCaseHasOneReason(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var c recorded
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if got := c.later(); got != want {
			t.Errorf("%s is left out for %q, want %q", text, got, want)
		}
	}
	f(`{"kind":"execution","type":"STANDARD","definition":{"StartAt":"A"}}`, "")
	f(`{"kind":"execution","needs":["lambda","activity"]}`, "")
	f(`{"kind":"test_state"}`, "")
	f(`{"kind":"execution","definition":{"QueryLanguage":"JSONata"}}`, "")
	f(`{"kind":"execution","needs":["sqs"]}`, "")
	f(`{"kind":"execution","needs":["apigateway"]}`, "apigateway:invoke")
	f(`{"kind":"api","steps":[{"op":"CreateStateMachine","account":"222222222222"}]}`, "")
	f(`{"kind":"api","needs":["sqs"],"steps":[{"op":"CreateStateMachine"}]}`, "")
}
