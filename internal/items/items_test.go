package items

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lockstep-run/lockstep/internal/objects"
)

func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// bucket makes a store with a bucket "b" of these objects.
func bucket(files map[string]string) *objects.Memory {
	m := objects.NewMemory(clock, "b")
	for key, text := range files {
		m.Put("b", key, text)
	}
	return m
}

// readAll gives the items as JSON, one a line with key and source where asked
// for, and the error's text behind them.
func readAll(s objects.Store, spec Spec) string {
	return rest(s, spec, Cursor{}, nil)
}

func rest(s objects.Store, spec Spec, at Cursor, each func(Item)) string {
	var b strings.Builder
	ctx := context.Background()
	r, err := Open(ctx, s, spec, at)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	for {
		item, err := r.Next(ctx)
		if err == io.EOF {
			return strings.TrimSuffix(b.String(), "\n")
		}
		if err != nil {
			return b.String() + err.Error()
		}
		if each != nil {
			each(item)
		}
		if b.Len() > 1<<20 {
			return b.String() + "and so on"
		}
		if item.Key != "" {
			fmt.Fprintf(&b, "%s=", item.Key)
		}
		fmt.Fprintf(&b, "%s\n", item.Value.JSON())
		if item.Bytes != len(item.Value.JSON()) {
			fmt.Fprintf(&b, "wrong number of bytes: %d\n", item.Bytes)
		}
	}
}

// checkCursors reads the source once more from the cursor after each item, taken
// through JSON, and expects the rest.
func checkCursors(t *testing.T, s objects.Store, spec Spec, whole string) {
	t.Helper()
	ctx := context.Background()
	r, err := Open(ctx, s, spec, Cursor{})
	if err != nil {
		return
	}
	defer r.Close()
	lines := strings.Split(whole, "\n")
	for n := 0; n < 50; n++ {
		text, err := json.Marshal(r.Cursor())
		if err != nil {
			t.Fatal(err)
		}
		var c Cursor
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		want := strings.Join(lines[min(n, len(lines)):], "\n")
		if got := rest(s, spec, c, nil); got != want {
			t.Errorf("after %d items, from %s:\n%s\nwant\n%s", n, text, got, want)
		}
		if _, err := r.Next(ctx); err != nil {
			return
		}
	}
}

func read(t *testing.T, files map[string]string, spec Spec, want string) {
	t.Helper()
	s := bucket(files)
	if spec.Bucket == "" {
		spec.Bucket = "b"
	}
	if spec.Resource == "" {
		spec.Resource = GetObject
	}
	got := readAll(s, spec)
	if want = strings.TrimSpace(want); got != want {
		t.Errorf("%v\n%s\nwant\n%s", files, got, want)
	}
	checkCursors(t, s, spec, got)
}

func TestCSV(t *testing.T) {
	f := func(text string, headers []string, want string) {
		t.Helper()
		spec := Spec{Key: "f.csv", InputType: "CSV", HeaderLocation: "FIRST_ROW", Headers: headers}
		if headers != nil {
			spec.HeaderLocation = "GIVEN"
		}
		read(t, map[string]string{"f.csv": text}, spec, want)
	}
	h := []string{"a", "b"}
	f("a,b\n1,2\n3,4\n", nil, `{"a":"1","b":"2"}`+"\n"+`{"a":"3","b":"4"}`)
	f("a,b\r\n1,2\r\n3,4", nil, `{"a":"1","b":"2"}`+"\n"+`{"a":"3","b":"4"}`)
	f("\ufeffa,b\n1,2\n", nil, `{"a":"1","b":"2"}`)
	f("", nil, ``)
	f("a,b\n", nil, ``)
	f("1,2", h, `{"a":"1","b":"2"}`)
	f("1\n1,2,3\n,,,\n   \n", h, `{"a":"1","b":""}
{"a":"1","b":"2"}
{"a":"","b":""}
{"a":"   ","b":""}`)
	f("\n\n1,2\n\n\r\n3,4\n\n", h, `{"a":"1","b":"2"}`+"\n"+`{"a":"3","b":"4"}`)
	// A quoted field may have delimiters and newlines, and quotes by doubling them.
	f("\"x,y\",\"1\n2\"\n\"a\"\"b\",\"\"\n\"\",\"\"\"q\"\"\"", h, `{"a":"x,y","b":"1\n2"}
{"a":"a\"b","b":""}
{"a":"","b":"\"q\""}`)
	f("{\"\"k\"\":\"\"v\"\"},x \"y\" z\n", h, `{"a":"{\"k\":\"v\"}","b":"x \"y\" z"}`)
	f(`  "a","b"`, h, `{"a":"a","b":"b"}`)
	// A backslash escapes a backslash, a quote and the delimiter, and is lost before anything else.
	f(`C:\\x\y,1\,2`+"\n"+`\"q\",z\`, h, `{"a":"C:\\xy","b":"1,2"}`+"\n"+`{"a":"\"q\"","b":"z"}`)
	f("\"a\r\n", h, `States.ItemReaderFailed: s3://b/f.csv, byte 0: row 1: a quotation mark is opened and not closed before the end of the file`)
	f("1,2\n\"a\n", h, `{"a":"1","b":"2"}
States.ItemReaderFailed: s3://b/f.csv, byte 4: row 2: a quotation mark is opened and not closed before the end of the file`)
	f("a,b,a\n1,2,3\n", nil, "States.ItemReaderFailed: CSV headers cannot contain duplicates.")
	f("1,2", []string{"a", "a"}, "States.ItemReaderFailed: CSV headers cannot contain duplicates.")
	f(strings.Repeat("x", 10<<10+1)+"\n", nil, "States.ItemReaderFailed: The header of s3://b/f.csv is longer than 10 KiB.")
	f(strings.Repeat("x,", 10<<9)+"\n", nil, "States.ItemReaderFailed: CSV headers cannot contain duplicates.")
	f("1,2", []string{}, "States.ItemReaderFailed: There are no CSV headers for s3://b/f.csv: name them in CSVHeaders, with CSVHeaderLocation GIVEN.")
	f("\xff,\"\xfe\"", h, `{"a":"`+"\uFFFD"+`","b":"`+"\uFFFD"+`"}`)
}

// Members stand in the order that AWS's have, which is Java's.
func TestCSVOrder(t *testing.T) {
	read(t, map[string]string{"f": "H1,\n1,2,3\n"}, Spec{Key: "f", InputType: "CSV", HeaderLocation: "FIRST_ROW"}, `{"":"2","H1":"1"}`)
	read(t, map[string]string{"f": "userId,movieId,rating,timestamp\n1,2,3,4\n"}, Spec{Key: "f", InputType: "CSV", HeaderLocation: "FIRST_ROW"},
		`{"rating":"3","movieId":"2","userId":"1","timestamp":"4"}`)
	var header, row []string
	for i := range 30 {
		header, row = append(header, fmt.Sprint("c", i)), append(row, fmt.Sprint(i))
	}
	s := bucket(map[string]string{"f": strings.Join(header, ",") + "\n" + strings.Join(row, ",")})
	got := readAll(s, Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "CSV", HeaderLocation: "FIRST_ROW"})
	for i := range 30 {
		if !strings.Contains(got, fmt.Sprintf(`"c%d":"%d"`, i, i)) {
			t.Errorf("column %d is not right in %s", i, got)
		}
	}
}

func TestCSVDelimiters(t *testing.T) {
	for name, d := range delimiters {
		d := string(d)
		read(t, map[string]string{"f.csv": "a" + d + "b\n1" + d + "\\" + d + "\n\"" + d + "\"" + d + "2\n"},
			Spec{Key: "f.csv", InputType: "CSV", HeaderLocation: "FIRST_ROW", Delimiter: name},
			fmt.Sprintf("{\"a\":\"1\",\"b\":%s}\n{\"a\":%[1]s,\"b\":\"2\"}", quote(d)))
	}
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

func TestJSON(t *testing.T) {
	f := func(text, pointer, want string) {
		t.Helper()
		read(t, map[string]string{"f.json": text}, Spec{Key: "f.json", InputType: "JSON", Pointer: pointer}, want)
	}
	f(`[1,"a",null,{"x":[1]},[],{}]`, "", "1\n\"a\"\nnull\n{\"x\":[1]}\n[]\n{}")
	f(" [ 1 , \"]\\\"\" ] \n", "", "1\n\"]\\\"\"")
	f("\ufeff[true]", "", "true")
	f("[]", "", "")
	f("[1 ", "", "1\nStates.ItemReaderFailed: s3://b/f.json, byte 3: the JSON ends too early")
	f("", "", "States.ItemReaderFailed: s3://b/f.json, byte 0: the JSON ends too early")
	f("[1] x", "", "1\nStates.ItemReaderFailed: s3://b/f.json, byte 4: expected nothing after the array, found 'x'")
	f("[1,]", "", "1\nStates.ItemReaderFailed: s3://b/f.json, byte 3: expected another item after the comma, found ']'")
	f("[1 2]", "", "1\nStates.ItemReaderFailed: s3://b/f.json, byte 3: expected a comma or the end of the array, found '2'")
	f("[,1]", "", "States.ItemReaderFailed: s3://b/f.json, byte 1: a value is missing")
	f(`[{"a":1]`, "", "States.ItemReaderFailed: s3://b/f.json, byte 7: brackets do not match")
	f(`[truth]`, "", "States.ItemReaderFailed: s3://b/f.json, byte 1: unexpected character 't', expected a value")
	f(`{"Hello":"world"}`, "", "States.ItemReaderFailed: Attempting to map over non-iterable node.")
	f(`"x"`, "", "States.ItemReaderFailed: Attempting to map over non-iterable node.")

	f(`{"a":{"b":[1,2]},"c":3}`, "/a/b", "1\n2")
	f(`{"x":["\"]",{"y":1}],"a/b":{"~":[1]},"c":`, "/a~1b/~0", "1")
	f(`[[0],[1,2]]`, "/1", "1\n2")
	f(`{"a":{"x":1,"y":[2]}}`, "/a", "x=1\ny=[2]")
	f(`{"a":{"x":1,"y" 2}}`, "/a", "x=1\nStates.ItemReaderFailed: s3://b/f.json, byte 16: expected a colon, found '2'")
	f(`{"a":{}}`, "/a", "")
	f(`{"a":1}`, "/a", "States.ItemReaderFailed: Attempting to map over non-iterable node.")
	f(`{"a":[]}`, "/b", "States.ItemReaderFailed: ItemsPointer /b leads to nothing in s3://b/f.json.")
	f(`{"a":1}`, "/a/b", "States.ItemReaderFailed: ItemsPointer /a/b leads to nothing in s3://b/f.json.")
	f(`{}`, "a", "States.ItemReaderFailed: ItemsPointer is not a JSON pointer of at most 2000 characters that begins with a slash.")
	f(`{"x":`+strings.Repeat("[", 2000), "/a", "States.ItemReaderFailed: s3://b/f.json, byte 1005: arrays and objects are nested too deeply")
}

func TestJSONL(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		read(t, map[string]string{"f.jsonl": text}, Spec{Key: "f.jsonl", InputType: "JSONL"}, want)
	}
	f("{\"a\":1}\n[2]\r\n\n  \n\"x\"", "{\"a\":1}\n[2]\n\"x\"")
	f("\ufeff1\n", "1")
	f("", "")
	f("1\n  {\"a\"}\n", "1\nStates.ItemReaderFailed: s3://b/f.jsonl, byte 8: item 2 is not JSON: unexpected character '}', expected ':'")
}

func TestListObjects(t *testing.T) {
	files := map[string]string{"x/": "", "x/1.csv": "hello", "x/2": "", "y": ""}
	read(t, files, Spec{Resource: ListObjects, Prefix: "x/"}, `
{"Etag":"\"d41d8cd98f00b204e9800998ecf8427e\"","LastModified":1772366400,"Key":"x/","Size":0,"StorageClass":"STANDARD"}
{"Etag":"\"5d41402abc4b2a76b9719d911017c592\"","LastModified":1772366400,"Key":"x/1.csv","Size":5,"StorageClass":"STANDARD"}
{"Etag":"\"d41d8cd98f00b204e9800998ecf8427e\"","LastModified":1772366400,"Key":"x/2","Size":0,"StorageClass":"STANDARD"}`)
	read(t, files, Spec{Resource: ListObjects, Prefix: "z"}, ``)
	read(t, files, Spec{Resource: ListObjects, Bucket: "none"},
		"States.ItemReaderFailed: The items cannot be read: list s3://none in memory: there is no such bucket")
}

func TestLoadAndFlatten(t *testing.T) {
	read(t, map[string]string{"p/": "", "p/1": "[1,2]", "p/2": "[]", "p/3": "[3]", "q": "x"},
		Spec{Resource: ListObjects, Prefix: "p/", Transformation: "LOAD_AND_FLATTEN", InputType: "JSON"}, "1\n2\n3")
	read(t, map[string]string{"p/1": "a,b\n1,2\n", "p/2": "b,a\n2,1\n2,2\n"},
		Spec{Resource: ListObjects, Prefix: "p/", Transformation: "LOAD_AND_FLATTEN", InputType: "CSV", HeaderLocation: "FIRST_ROW"},
		`{"a":"1","b":"2"}`+"\n"+`{"a":"1","b":"2"}`+"\n"+`{"a":"2","b":"2"}`)
	read(t, map[string]string{"1": "1\n2\n", "2": "x"}, Spec{Resource: ListObjects, Transformation: "LOAD_AND_FLATTEN", InputType: "JSONL"},
		"1\n2\nStates.ItemReaderFailed: s3://b/2, byte 0: item 1 is not JSON: unexpected character 'x', expected a value")
}

func TestManifests(t *testing.T) {
	inventory := `{"sourceBucket":"src","destinationBucket":"arn:aws:s3:::b","version":"2016-11-30","creationTimestamp":"1","fileFormat":"CSV",
"fileSchema":"Bucket, Key, Size","files":[{"key":"d/1.csv.gz","size":1,"MD5checksum":"x"},{"key":"d/2.csv.gz"}]}`
	files := map[string]string{"m/manifest.json": inventory, "d/1.csv.gz": gz("\"src\",\"a%20b\",\"1\"\n"), "d/2.csv.gz": gz("src,c\nsrc,d,4\n")}
	want := `{"Bucket":"src","Size":"1","Key":"a%20b"}
{"Bucket":"src","Size":"","Key":"c"}
{"Bucket":"src","Size":"4","Key":"d"}`
	read(t, files, Spec{Key: "m/manifest.json", ManifestType: "S3_INVENTORY"}, want)
	read(t, files, Spec{Key: "m/manifest.json", InputType: "MANIFEST"}, want)
	read(t, map[string]string{"m": `{"fileFormat":"ORC"}`}, Spec{Key: "m", InputType: "MANIFEST"},
		`States.ItemReaderFailed: The manifest s3://b/m is of files in the format "ORC"; only inventories in CSV can be read.`)

	athena := map[string]string{"q-manifest.csv": "s3://b/u/1.gz\ns3://b/u/2\n", "u/1.gz": gz("1,2\n"), "u/2": "3,4\n"}
	read(t, athena, Spec{Key: "q-manifest.csv", ManifestType: "ATHENA_DATA", InputType: "CSV", HeaderLocation: "GIVEN", Headers: []string{"a", "b"}},
		`{"a":"1","b":"2"}`+"\n"+`{"a":"3","b":"4"}`)
	read(t, map[string]string{"m": "s3://b/1\nnonsense\n"}, Spec{Key: "m", ManifestType: "ATHENA_DATA", InputType: "JSONL"},
		`States.ItemReaderFailed: Line 2 of the manifest s3://b/m is not the address of an object: "nonsense"`)
}

func gz(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func zst(text string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(text), nil))
}

func TestCompression(t *testing.T) {
	spec := Spec{InputType: "CSV", HeaderLocation: "FIRST_ROW"}
	const text, want = "a,b\n1,2\n3,4\n", `{"a":"1","b":"2"}` + "\n" + `{"a":"3","b":"4"}`
	f := func(key, contents, want string) {
		t.Helper()
		spec.Key = key
		read(t, map[string]string{key: contents}, spec, want)
	}
	f("f.csv.gz", gz(text), want)
	f("f.csv.gz", gz("a,b\n1,2\n")+gz("3,4\n"), want)
	f("f.csv.zst", zst(text), want)
	f("f.csv.zstd", zst(text), want)
	f("f.gz", "", "")
	f("f.gz", text, "States.ItemReaderFailed: s3://b/f.gz cannot be decompressed as GZIP: gzip: invalid header")
	f("f.zst", text, "States.ItemReaderFailed: s3://b/f.zst cannot be decompressed as ZSTD: invalid input: magic number mismatch")
}

func TestSpecs(t *testing.T) {
	read(t, map[string]string{"f": "[1,2,3]"}, Spec{Key: "f", InputType: "JSON", MaxItems: 2}, "1\n2")
	read(t, nil, Spec{Key: "f", InputType: "JSON", MaxItems: -1}, "States.ItemReaderFailed: field MaxItems must be positive")
	read(t, nil, Spec{Key: "f", InputType: "XML"}, `States.ItemReaderFailed: The field InputType of the ItemReader is "XML", which is none of CSV, JSON, JSONL, PARQUET, MANIFEST.`)
	read(t, nil, Spec{Key: "f", InputType: "JSON"}, "States.ItemReaderFailed: The items cannot be read: read s3://b/f in memory: there is no such object")
}

// An object that changes between two readers is an error, whatever is read.
func TestChanges(t *testing.T) {
	ctx := context.Background()
	for _, spec := range []Spec{
		{Resource: GetObject, Key: "f", InputType: "CSV", HeaderLocation: "FIRST_ROW"},
		{Resource: GetObject, Key: "f", InputType: "JSONL"},
		{Resource: ListObjects, InputType: "JSONL", Transformation: "LOAD_AND_FLATTEN"},
	} {
		spec.Bucket = "b"
		s := bucket(map[string]string{"f": "1\n2\n3\n"})
		r, err := Open(ctx, s, spec, Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(ctx); err != nil {
			t.Fatal(err)
		}
		at := r.Cursor()
		r.Close()
		s.Put("b", "f", "1\n2\n4\n")
		_, err = Open(ctx, s, spec, at)
		var e *Error
		if !errors.Is(err, objects.ErrChanged) || !errors.As(err, &e) {
			t.Errorf("%v: the object changed; got %v", spec, err)
		}
	}
}

// endless is a store whose only object never ends, and blocks where asked to.
type endless struct {
	objects.Store
	head  string
	text  string // again and again
	block chan struct{}
}

func (e endless) Open(ctx context.Context, ref objects.Ref, offset int64) (io.ReadCloser, objects.Info, error) {
	return io.NopCloser(&endlessReader{e: e, ctx: ctx}), objects.Info{ETag: "x", Size: 1}, nil
}

type endlessReader struct {
	e   endless
	ctx context.Context
	at  int
}

func (r *endlessReader) Read(p []byte) (int, error) {
	if r.e.block != nil {
		close(r.e.block)
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	}
	n := copy(p, r.e.head)
	r.e.head = ""
	for ; n < len(p); n++ {
		p[n] = r.e.text[r.at%len(r.e.text)]
		r.at++
	}
	return n, nil
}

// What has no end where an item should have one is given up, not collected.
func TestEndlessItems(t *testing.T) {
	f := func(spec Spec, head, text, want string) {
		t.Helper()
		spec.Resource, spec.Bucket, spec.Key = GetObject, "b", "f"
		got := readAll(endless{head: head, text: text}, spec)
		if !strings.Contains(got, want) {
			t.Errorf("endless %q: %.300s", text, got)
		}
	}
	given := Spec{InputType: "CSV", HeaderLocation: "GIVEN", Headers: []string{"a"}}
	f(Spec{InputType: "CSV", HeaderLocation: "FIRST_ROW"}, "", "x", "The header of s3://b/f is longer than 10 KiB.")
	f(Spec{InputType: "CSV", HeaderLocation: "FIRST_ROW"}, "\"", "x\n", "The header of s3://b/f is longer than 10 KiB.")
	f(given, "", "x", "more than 8 MB")
	f(given, "\"", "x\n", "more than 8 MB")
	f(given, "x", ",x", "more than 8 MB")
	f(Spec{InputType: "JSONL"}, "", "x", "more than 8 MB")
	f(Spec{InputType: "JSON"}, "", "[", "nested")
	f(Spec{InputType: "JSON"}, `"`, "x", "more than 8 MB")
	f(Spec{InputType: "JSON"}, `["`, "x", "more than 8 MB")
	f(Spec{InputType: "JSON", Pointer: "/a"}, `{"x":"`, "x", "does not begin within the first 16 MB")
	f(Spec{InputType: "JSON", Pointer: "/a"}, `{`, `"x":1,`, "does not begin within the first 16 MB")
	f(Spec{InputType: "MANIFEST"}, "", `x`, "larger than 16 MB")
}

func TestContextEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e := endless{block: make(chan struct{})}
	go func() {
		<-e.block
		cancel()
	}()
	_, err := Open(ctx, e, Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "JSON"}, Cursor{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
