package asl

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = os.Getenv("UPDATE") != ""

// Each file of testdata has definitions, each followed by what Parse has to say
// about it: the position, the severity, the text as AWS writes it, the pointer
// where it leads elsewhere, and the hint. Load reads them, with values for
// ${Function} and ${Number}; those called express… are for Express. UPDATE=1
// rewrites what is said (read the diff).
func TestDiagnostics(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkArchive(t, archive)
			if update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// checkArchive goes through the parts: each definition is followed by what is
// said about it.
func checkArchive(t *testing.T, archive *txtar.Archive) {
	for i := 0; i+1 < len(archive.Files); i += 2 {
		name := archive.Files[i].Name
		source, err := Load(name, archive.Files[i].Data, map[string]string{"Function": "resize", "Number": "7"})
		got := ""
		if err != nil {
			got = err.Error() + "\n"
		} else {
			machine, ds := Parse(source.JSON, Options{Express: strings.HasPrefix(name, "express")})
			if (machine == nil) != ds.HasErrors() {
				t.Errorf("%s: machine is nil: %v, has errors: %v", name, machine == nil, ds.HasErrors())
			}
			got = render(append(source.Unfilled, source.Place(ds)...))
		}
		if update {
			archive.Files[i+1].Data = []byte(got)
		} else if want := string(archive.Files[i+1].Data); got != want {
			t.Errorf("%s:\ngot:\n%swant:\n%s", name, got, want)
		}
	}
}

func render(ds Diagnostics) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "%d:%d %s %s\n", d.Line, d.Column, d.Severity, d)
		if !strings.HasSuffix(d.Location, d.Pointer) {
			fmt.Fprintf(&b, "\tpointer: %s\n", d.Pointer)
		}
		if d.Hint != "" {
			fmt.Fprintf(&b, "\thint: %s\n", d.Hint)
		}
	}
	return b.String()
}

// The message of InvalidDefinition as recorded, and what AWS says of a
// diagnostic without location.
func TestInvalidDefinition(t *testing.T) {
	f := func(definition, want string) {
		t.Helper()
		_, ds := Parse(definition, Options{})
		if got := ds.InvalidDefinition(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", definition, got, want)
		}
	}
	f(`{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`, ``)
	f(`{}`, `Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /'`)
	f(`not a definition`, `Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false') at [Source: (String)"not a definition"; line: 1, column: 4]'`)
	f(`{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"A"}}}`, `Invalid State Machine Definition: 'MISSING_END_STATE: Workflow has no terminal state at null'`)
	f(`{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"},"B":{"Type":"Pass","End":true}}}`,
		`Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: C at /States/A/Next, MISSING_TRANSITION_TARGET: State "B" is not reachable. at /States/B'`)
}

// What is hopeless costs little and gives an answer.
func TestHopelessDefinitions(t *testing.T) {
	f := func(name, definition, code string) {
		t.Helper()
		start := time.Now()
		_, ds := Parse(definition, Options{})
		if len(ds) == 0 || ds[0].Code != code {
			t.Errorf("%s: got %.300v, want code %s", name, ds, code)
		}
		if len(ds) > 2*maxDiagnostics {
			t.Errorf("%s: %d diagnostics", name, len(ds))
		}
		size := 0
		for _, d := range ds {
			size += len(d.Message) + len(d.Location) + len(d.Pointer) + len(d.Hint)
		}
		if size > 64<<20 {
			t.Errorf("%s: diagnostics of %d bytes", name, size)
		}
		t.Logf("%s: %d bytes, %d diagnostics of %d bytes, %v", name, len(definition), len(ds), size, time.Since(start))
	}
	const mb = 1 << 20
	fill := func(before, repeated, after string) string {
		return before + strings.Repeat(repeated, (mb-len(before)-len(after))/len(repeated)) + after
	}
	f("nothing", "", CodeSchema)
	f("space", "  \n", CodeSchema)
	f("an array", "[]", CodeSchema)
	f("10,000 open brackets", strings.Repeat(`{"a":[`, 5000), CodeTooDeep)
	f("10,000 levels", strings.Repeat(`{"a":`, 10000)+"1"+strings.Repeat("}", 10000), CodeTooDeep)
	f("1 MB of brackets", strings.Repeat("[", mb), CodeTooDeep)
	f("1 MB of closed brackets", strings.Repeat("[", mb/2)+strings.Repeat("]", mb/2), CodeTooDeep)
	f("1 MB of rubbish", strings.Repeat("x", mb), CodeInvalidJSON)
	f("1 MB of quotes", strings.Repeat(`"`, mb), CodeInvalidJSON)
	f("invalid UTF-8", "{\"Comment\":\"\xff\"}", CodeInvalidJSON)
	f("a NUL", "{\"Comment\":\x00}", CodeInvalidJSON)
	f("the same key twice", `{"StartAt":"A","StartAt":"B"}`, CodeInvalidJSON)
	f("unknown fields", fill(`{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}`, `,"x":1`, `}`), CodeInvalidJSON)

	unknown := &strings.Builder{}
	for i := range 100000 {
		fmt.Fprintf(unknown, `,"x%d":1`, i)
	}
	f("100,000 unknown fields", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true`+unknown.String()+`}}}`, CodeSchema)

	nested := strings.Repeat(`{"StartAt":"A","States":{"A":{"Type":"Map","End":true,"ItemProcessor":`, 200) +
		`{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}` + strings.Repeat(`}}}`, 200)
	f("200 nested Maps", nested, CodeDuplicateState)

	wide := &strings.Builder{}
	for i := range 20000 {
		fmt.Fprintf(wide, `"s%d":{"Type":"Pass","End":true},`, i)
	}
	deep := func(name string) string {
		return fmt.Sprintf(`{"StartAt":%[1]q,"States":{%[1]q:{"Type":"Map","End":true,"ItemProcessor":`, name)
	}
	prefix := ""
	for i := range 200 {
		prefix += deep(strings.Repeat("n", 70) + strconv.Itoa(i))
	}
	f("many states deep inside", prefix+`{"StartAt":"z","States":{`+wide.String()+`"z":{"Type":"Pass","End":true}}}`+
		strings.Repeat(`}}}`, 200), CodeTooDeep)

	f("a long name around many mistakes", `{"StartAt":"A","States":{"`+strings.Repeat("n", mb/2)+`":{"Type":"Pass"`+unknown.String()+`}}}`, CodeStateName)

	chain := &strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(chain, `"s%d":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$","c.$":"$"},"Next":"s%d"},`, i, i+1)
	}
	f("a loop in which data grows", `{"StartAt":"c","States":{`+chain.String()+
		`"s5000":{"Type":"Pass","Parameters":{"$.x":"$.y"},"Next":"c"},"end":{"Type":"Succeed"},"c":{"Type":"Choice",
		"Choices":[{"Variable":"$.a","IsNull":true,"Next":"s0"}],"Default":"end"}}}`, CodeNoDollar)
}
