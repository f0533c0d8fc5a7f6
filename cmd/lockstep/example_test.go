package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExamples runs every example as it is written, offline.
func TestExamples(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	list, err := listExamples()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 5 {
		t.Errorf("%d examples", len(list))
	}
	shows := map[string][]string{
		"agent-loop":    {"Maya has spent 42 euros"},
		"batch-reviews": {"shop-reviews", "manifest.json"},
		"llm-chain":     {`"sentiment":"positive"`, "Das Paket"},
		"rag":           {"five working days after the parcel has reached us", "A gift card never expires.", `"sources":["Refunds"`},
		"review-gated-pipeline": {
			"the scripted reviewer says: changes_requested", "the scripted reviewer says: approve", "@writer posted page.md version 2",
			"the reviewer is notified: Please review: Draft the page http", "approve to claim: @publisher had claimed it", "the execution has SUCCEEDED",
			`"approvedBy":"@local"`, "@writer     idle     attempts 4  errors 0  cost $0.00", "@publisher  idle     attempts 2  errors 0  cost $0.00",
		},
		"saga": {`"status":"shipped"`, "The order was undone"},
	}
	for _, x := range list {
		t.Run(x.name, func(t *testing.T) {
			if x.Title == "" || len(x.Run) == 0 && x.Pipeline.Notes == "" || len(shows[x.name]) == 0 {
				t.Errorf("%+v, shows %v", x, shows[x.name])
			}
			var out strings.Builder
			e := exampleRun{out: &out, rows: 20, unattended: true}
			if err := e.run(t.Context(), x); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			for _, want := range shows[x.name] {
				if !strings.Contains(out.String(), want) {
					t.Errorf("shows no %q:\n%s", want, &out)
				}
			}
		})
	}
	dir := t.TempDir() + "/files"
	var out strings.Builder
	e := exampleRun{out: &out, write: dir}
	if err := e.run(t.Context(), list[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/README.md"); err != nil {
		t.Error(err)
	}
}

// A person reviews the pipeline where no script does; what is published is what
// they have approved, and is kept with the data.
func TestPipelineWithAPerson(t *testing.T) {
	list, err := listExamples()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(x *example) bool { return x.Pipeline.Notes != "" })
	out := &reader{lines: make(chan string, 1000)}
	e := exampleRun{out: out, as: "board", data: t.TempDir()}
	done := make(chan error, 1)
	go func() { done <- e.run(t.Context(), list[i]) }()
	var all []string
	until := func(part string) string {
		t.Helper()
		for {
			select {
			case line := <-out.lines:
				all = append(all, line)
				if strings.Contains(line, part) {
					return line
				}
			case err := <-done:
				t.Fatalf("it ended before %q: %v\n%s", part, err, strings.Join(all, "\n"))
			}
		}
	}
	line := until("lockstep review approve")
	url := regexp.MustCompile(`--url (\S+)`).FindStringSubmatch(line)[1]
	command(t, url, "review", "changes", "WEB-1", "--comment", `at most 30 words, keep "soup"`)
	until("lockstep review approve")
	command(t, url, "review", "approve", "WEB-1")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(e.data, "site", "web-2.html"))
	if err != nil || !strings.Contains(string(page), "There is soup.") || len(strings.Fields(string(page))) > 45 {
		t.Errorf("%v\n%s", err, page)
	}
}

// reader takes lines as they are written.
type reader struct {
	lines chan string
	rest  string
}

func (r *reader) Write(p []byte) (int, error) {
	r.rest += string(p)
	for {
		line, rest, whole := strings.Cut(r.rest, "\n")
		if !whole {
			return len(p), nil
		}
		r.lines <- line
		r.rest = rest
	}
}
