package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The tests that docs/control-plane.md names for its acceptance checks are there.
func TestAcceptanceChecksHaveTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/control-plane.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := bytes.Cut(page, []byte("\n## Acceptance checks\n"))
	named := regexp.MustCompile("`(Test\\w+)` in ([\\w/]+)").FindAllSubmatch(table, -1)
	if !found || len(named) < 15 {
		t.Fatalf("the page names %d tests", len(named))
	}
	for _, n := range named {
		files, err := filepath.Glob(filepath.Join("..", "..", string(n[2]), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			has = has || bytes.Contains(text, append([]byte("func "), append(n[1], '(')...))
		}
		if !has {
			t.Errorf("docs/control-plane.md names %s in %s, which is not there", n[1], n[2])
		}
	}
}
