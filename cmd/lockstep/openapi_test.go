package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryRouteIsInTheDocument(t *testing.T) {
	found := map[string]bool{}
	for _, p := range patternsOf(openTeamServer(t).routes) {
		if strings.Contains(p, " /api/v1/") {
			found[p] = true
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d routes are found below /api/v1: net/http keeps them elsewhere now", len(found))
	}
	documented := map[string]bool{}
	for _, r := range apiDocument().Routes {
		if documented[r.Pattern] {
			t.Errorf("%s is in the document twice", r.Pattern)
		}
		documented[r.Pattern] = true
		if !found[r.Pattern] && !strings.Contains(r.Pattern, "/api/v1/functions") { // a mux of their own
			t.Errorf("%s is in the document, and no route answers it", r.Pattern)
		}
		if r.Summary == "" || strings.HasSuffix(r.Summary, ".") {
			t.Errorf("the summary of %s is %q", r.Pattern, r.Summary)
		}
	}
	for p := range found {
		if !documented[p] {
			t.Errorf("%s is not in the OpenAPI document: add it to the table Routes of its package", p)
		}
	}
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	text, err := apiDocument().JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := apiDocument().JSON()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the document is another each time: %v", err)
	}
	const validator = "../../internal/openapi/testdata/validator/node_modules/.bin/validate-api"
	if _, err := os.Stat(validator); err != nil {
		t.Skip("the validator is not installed: npm ci --prefix internal/openapi/testdata/validator")
	}
	path := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), validator, path).CombinedOutput(); err != nil || !bytes.Contains(out, []byte(`"valid": true`)) {
		t.Errorf("the document is not one of OpenAPI 3.1: %v\n%s", err, out)
	}
}
