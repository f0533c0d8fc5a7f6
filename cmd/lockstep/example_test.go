package main

import (
	"os"
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
		"saga":          {`"status":"shipped"`, "The order was undone"},
	}
	for _, x := range list {
		t.Run(x.name, func(t *testing.T) {
			if x.Title == "" || len(x.Run) == 0 || len(shows[x.name]) == 0 {
				t.Errorf("%+v, shows %v", x, shows[x.name])
			}
			var out strings.Builder
			e := exampleRun{out: &out, rows: 20}
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
