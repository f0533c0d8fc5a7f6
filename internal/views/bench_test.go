package views_test

import (
	"strings"
	"testing"
)

// long runs an execution of about 25,000 events: a loop over a Parallel.
func long(b testing.TB) (w *world, path string) {
	w = begin(b, openSQLite(b))
	m := w.machine("m", `{"StartAt":"Both","States":{
		"Both":{"Type":"Parallel","ResultPath":null,"Next":"Count","Branches":[{"StartAt":"L","States":{"L":{"Type":"Pass","End":true}}},{"StartAt":"R","States":{"R":{"Type":"Pass","End":true}}}]},
		"Count":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, 1)","pad.$":"$.pad"},"Next":"More"},
		"More":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":2000,"Next":"Both"}],"Default":"End"},
		"End":{"Type":"Succeed"}}}`)
	path = w.start(m, "x", `{"n":0,"pad":"`+strings.Repeat("x", 500)+`"}`)
	<-w.ended
	x, err := w.Lookup(b.Context(), "m", "x")
	if err != nil || x.LastEvent < 24_000 {
		b.Fatalf("%s after %d events, %v", x.Status, x.LastEvent, err)
	}
	return w, path
}

// BenchmarkFirstPage is the first page of an execution that nobody has looked at.
func BenchmarkFirstPage(b *testing.B) {
	w, path := long(b)
	b.ReportAllocs()
	for b.Loop() {
		w.fresh()
		w.get(path + "/visits?limit=100")
	}
}

// BenchmarkNextPage is a page of one that was looked at before.
func BenchmarkNextPage(b *testing.B) {
	w, path := long(b)
	b.ReportAllocs()
	for b.Loop() {
		w.get(path + "/visits?limit=100&cursor=5zz")
	}
}
