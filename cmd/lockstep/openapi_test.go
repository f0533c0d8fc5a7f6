package main

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// patterns lists what a mux has routes for, from the tree that it keeps.
func patterns(mux *http.ServeMux) (all []string) {
	var walk func(node reflect.Value)
	walk = func(node reflect.Value) {
		for node.Kind() == reflect.Pointer || node.Kind() == reflect.Interface {
			if node.IsNil() {
				return
			}
			node = node.Elem()
		}
		switch node.Kind() {
		case reflect.Slice:
			for i := range node.Len() {
				walk(node.Index(i))
			}
		case reflect.Map:
			for it := node.MapRange(); it.Next(); {
				walk(it.Value())
			}
		case reflect.Struct:
			if str := node.FieldByName("str"); str.IsValid() && str.Kind() == reflect.String {
				all = append(all, str.String())
				return
			}
			for _, name := range []string{"tree", "pattern", "children", "multiChild", "emptyChild", "s", "m", "value"} {
				if f := node.FieldByName(name); f.IsValid() {
					walk(f)
				}
			}
		}
	}
	walk(reflect.ValueOf(mux))
	slices.Sort(all)
	return slices.Compact(all)
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	found := map[string]bool{}
	mux, err := (&assembly{srv: &server{}, set: settings{publicURL: "http://127.0.0.1"}}).routes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patterns(mux) {
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
