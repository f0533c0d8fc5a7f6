package items

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/objects"
)

// some reads at most 200 items from a cursor and gives them with the error that
// ended it, and the cursor after each.
func some(s objects.Store, spec Spec, at Cursor, limit int) (items []string, cursors []Cursor) {
	ctx := context.Background()
	r, err := Open(ctx, s, spec, at)
	if err != nil {
		return []string{err.Error()}, nil
	}
	defer r.Close()
	for len(items) < limit {
		item, err := r.Next(ctx)
		if err != nil {
			return append(items, err.Error()), cursors
		}
		items = append(items, fmt.Sprintf("%s=%s %d", item.Key, item.Value.JSON(), item.Bytes))
		cursors = append(cursors, r.Cursor())
	}
	return items, cursors
}

// fuzz expects of any contents that reading them ends without a panic, that what
// is read is JSON, and that reading on from a cursor gives the same rest.
func fuzz(t *testing.T, text string, n uint8, spec Spec) {
	t.Helper()
	spec.Bucket = "b"
	if spec.Resource == "" {
		spec.Resource, spec.Key = GetObject, "f"
	}
	s := bucket(map[string]string{"f": text, "x": "1,2\n3\n", "y": text})
	items, cursors := some(s, spec, Cursor{}, 200)
	if len(cursors) == 0 {
		return
	}
	k := int(n) % len(cursors)
	var at Cursor
	if c, err := json.Marshal(cursors[k]); err != nil || json.Unmarshal(c, &at) != nil || len(c) > 4096 {
		t.Fatalf("the cursor %s, %v", c, err)
	}
	rest, _ := some(s, spec, at, 200-k-1)
	if got, want := strings.Join(rest, "\n"), strings.Join(items[k+1:], "\n"); got != want {
		t.Fatalf("after %d items of %q:\n%s\nwant\n%s", k+1, text, got, want)
	}
	for _, item := range items[:len(cursors)] {
		_, v, _ := strings.Cut(item, "=")
		if v = v[:strings.LastIndexByte(v, ' ')]; !json.Valid([]byte(v)) && !strings.Contains(item[:len(item)-len(v)], "=") {
			t.Fatalf("%s is not JSON", v)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{"a,b\n1,2\n", "a,\"b\nc\"\n\"x\"\"y\",\\,\n", "\ufeffa\r\n\r\n1\r\n", "a b\n\"1\" \\\"\n", "a,a\n"} {
		f.Add(text, uint8(0), true)
		f.Add(text, uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, text string, n uint8, first bool) {
		spec := Spec{InputType: "CSV", HeaderLocation: "FIRST_ROW"}
		if !first {
			spec.HeaderLocation, spec.Headers, spec.Delimiter = "GIVEN", []string{"x", "y"}, "SPACE"
		}
		fuzz(t, text, n, spec)
	})
}

func FuzzJSON(f *testing.F) {
	for _, text := range []string{`[1,"a",{"b":[]},null]`, ` [ ] `, `{"a":[1,2]}`, `{"x":["]"],"a":{"b":1,"c":2}}`, `[1,`, `["\"",[[]]`, "\ufeff[0]"} {
		f.Add(text, uint8(1), false)
		f.Add(text, uint8(0), true)
	}
	f.Fuzz(func(t *testing.T, text string, n uint8, pointer bool) {
		spec := Spec{InputType: "JSON"}
		if pointer {
			spec.Pointer = "/a"
		}
		fuzz(t, text, n, spec)
		// What is JSON is read, and what is read is JSON.
		if items, cursors := some(bucket(map[string]string{"f": text}), Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "JSON"}, Cursor{}, 1000); !pointer {
			var list []json.RawMessage
			if json.Unmarshal([]byte(text), &list) == nil && list != nil && len(list) < 1000 && len(items)-len(cursors) == 1 && items[len(cursors)] == "EOF" && len(list) != len(cursors) {
				t.Fatalf("%q has %d elements, %d were read", text, len(list), len(cursors))
			}
		}
	})
}

func FuzzJSONL(f *testing.F) {
	f.Add("1\n{\"a\":2}\r\n\n\"x\"", uint8(1))
	f.Add("\ufeff[\n", uint8(0))
	f.Fuzz(func(t *testing.T, text string, n uint8) { fuzz(t, text, n, Spec{InputType: "JSONL"}) })
}

func FuzzManifest(f *testing.F) {
	f.Add(`{"fileFormat":"CSV","fileSchema":"a, b","destinationBucket":"arn:aws:s3:::b","files":[{"key":"x"},{"key":"x"}]}`, uint8(1), false)
	f.Add("s3://b/x\ns3://b/x\n\n\"s3://b/none\"\n", uint8(2), true)
	f.Fuzz(func(t *testing.T, text string, n uint8, athena bool) {
		spec := Spec{InputType: "MANIFEST"}
		if athena {
			spec = Spec{ManifestType: "ATHENA_DATA", InputType: "CSV", HeaderLocation: "GIVEN", Headers: []string{"p", "q"}}
		}
		fuzz(t, text, n, spec)
	})
}

func FuzzCompressed(f *testing.F) {
	f.Add(gz("1\n2\n3\n"), uint8(1))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		s := bucket(map[string]string{"f.gz": text, "f.zst": text})
		for _, key := range []string{"f.gz", "f.zst"} {
			some(s, Spec{Resource: GetObject, Bucket: "b", Key: key, InputType: "JSONL"}, Cursor{}, 100)
		}
	})
}

// Shortening what the fuzzer finds takes it long here: -fuzzminimizetime 10x.
func FuzzParquet(f *testing.F) {
	f.Add(parquetOf(smallRows(20), 7), uint8(3))
	f.Add(parquetOf([]sensor{{ID: 1, Tags: []string{"x"}, Visits: []place{{}, {}}}, {}}, 7), uint8(0))
	f.Add(parquetOf(encodedRows(40), 30), uint8(9))
	for name, h := range hostileParquet() {
		if !h.slow {
			f.Add(h.text, uint8(len(name)))
		}
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) { fuzz(t, text, n, Spec{InputType: "PARQUET"}) })
}
