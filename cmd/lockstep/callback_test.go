package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPageOfAgentsInMachines runs docs/agents-in-machines.md, line by line.
func TestPageOfAgentsInMachines(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed", "tr", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("../../docs/agents-in-machines.md")
	if err != nil {
		t.Fatal(err)
	}
	srv := openTest(t, t.TempDir())
	script := ""
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	script = strings.ReplaceAll(script, "http://"+defaultListen, srv.url)
	cmd := exec.CommandContext(t.Context(), "sh", "-eux", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+srv.url, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`does not fit the schema`, `\"review\":{\"verdict\":\"approve\",\"by\":\"@local\",\"comment\":\"good\"}`,
		`\"live\":{\"by\":\"@local\",\"when\":\"monday\"}`, `\"announced\":{\"readers\":40}`, `"state":"Draft"`, "cb-1-1-",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page does not lead to %q:\n%s", want, out)
		}
	}
}
