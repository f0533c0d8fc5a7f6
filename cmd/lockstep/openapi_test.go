package main

import (
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
