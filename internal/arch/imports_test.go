package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// layers says which packages of ours a package may import. The first line that
// matches counts. Tests may import more: they put the parts together.
var layers = []struct {
	pkg       string
	mayImport []string
	why       string
}{
	{"asl/value", nil,
		"every layer passes values around, so it stands below all of them"},
	{"asl/jsonpath", []string{"asl/value"},
		"an expression language sees values, not states"},
	{"asl/jsonata", []string{"asl/value"},
		"an expression language sees values, not states"},
	{"asl", []string{"asl/value", "asl/jsonpath", "asl/jsonata"},
		"the language can be used without the engine: validate needs nothing else"},
	{"internal/engine", []string{"asl/..."},
		"the core knows the language and nothing of where events come from or where steps go"},
	{"internal/mtest", []string{"asl/...", "internal/engine"},
		"a test of a machine is the core with events from a file: the same file gives the same report"},
	{"internal/store", []string{"internal/engine"},
		"what is kept is what the engine makes; a store does not know who asks"},
	{"internal/store/storetest", []string{"internal/engine", "internal/store", "internal/store/memory"},
		"one suite for every store, with the maps as the reference"},
	{"internal/store/...", []string{"internal/engine", "internal/store"},
		"a store keeps the contract and knows no other store"},
	{"internal/arn", nil, "a leaf: names only"},
	{"internal/config", nil, "a leaf: run hands its values out, nobody reads them behind its back"},
	{"internal/egress", nil, "a leaf: where a connection may go, whoever makes it"},
	{"internal/seal", nil, "a leaf: secrets at rest, whosever they are"},
	{"internal/openapi", nil, "types in, a document out; whose calls they are it does not know"},
	{"internal/rest", []string{"internal/store"}, "how a handler reads and answers; what it does is its own"},
	{"internal/connection", []string{"internal/arn", "internal/openapi", "internal/rest", "internal/seal", "internal/store", "internal/task", "internal/task/awscall", "internal/task/http"},
		"it authorizes what HTTP tasks call; where calls may go is the client's affair, which it is given"},
	{"internal/schedule", []string{"asl/value", "internal/arn", "internal/openapi", "internal/rest", "internal/store"},
		"it says when and with what; how an execution is started is told to it"},
	{"internal/trigger", []string{"asl/value", "internal/arn", "internal/objects", "internal/openapi", "internal/rest", "internal/seal", "internal/store"},
		"it says on what and with what; how an execution is started is told to it"},
	{"internal/objects", nil, "a leaf: buckets and objects, whoever reads or writes them"},
	{"internal/s3", []string{"internal/objects"}, "a protocol in front of a directory"},
	{"internal/items", []string{"asl/value", "internal/objects"},
		"it turns objects into values, and knows nothing of who maps over them"},
	{"internal/cost", nil, "arithmetic over facts: it can be read, and checked, without anything else"},
	{"internal/ledger", []string{"internal/cost", "internal/store"},
		"it keeps what was used, whoever reports it"},
	{"internal/notices", []string{"internal/control", "internal/notify", "internal/seal", "internal/store"},
		"it says in words what happened, and to whom; where calls may go is the client's affair, which it is given"},
	{"internal/spend", []string{"internal/arn", "internal/control", "internal/cost", "internal/ledger", "internal/store"},
		"it joins the ledger and the board, which do not know of each other"},
	{"internal/quiet", nil, "statistics over facts"},
	{"internal/health", []string{"internal/control", "internal/quiet", "internal/store"},
		"it makes observations of what the board and tasks do, and tells the board of what they give rise to"},
	{"internal/notify", []string{"internal/store"}, "it keeps and delivers what it is given, and does not ask why"},
	{"internal/task", []string{"asl/..."},
		"the contract of integrations is seen from both sides and knows neither"},
	{"internal/task/awsmodel", nil, "a leaf: facts about AWS's services"},
	{"internal/task/awsmodel/gen", []string{"internal/task/awsmodel"}, "it writes what awsmodel reads"},
	{"internal/task/spill", []string{"asl/...", "internal/objects", "internal/task"},
		"it stands between payloads and objects, and knows no integration"},
	{"internal/task/...", []string{"asl/...", "internal/task", "internal/task/awscall", "internal/task/awsmodel"},
		"an integration looks outwards: it cannot reach the worker or the store"},
	{"internal/worker", []string{"asl/...", "internal/arn", "internal/engine", "internal/store", "internal/task"},
		"the worker runs any store and any integration, so it names none"},
	{"internal/awsapi", []string{"asl/...", "internal/arn", "internal/engine", "internal/store"},
		"the API declares the methods it needs of the worker; it never imports it, so another node can answer"},
	{"internal/express", []string{"internal/arn", "internal/engine", "internal/store", "internal/store/memory", "internal/task", "internal/worker"},
		"Express executions are run by the same worker over the store in memory; it is told what to write through"},
	{"internal/fn", nil,
		"functions are a service beside the engine, reached by Lambda's own API: it knows no state machines"},
	{"internal/logs", []string{"asl/value", "internal/engine", "internal/task/awscall"},
		"logs see history alone; how an entry is worded is told to them"},
	{"internal/objects", nil, "a leaf: buckets and bytes"},
	{"internal/s3", []string{"internal/objects"}, "a protocol in front of a directory"},
	{"internal/items", []string{"asl/value", "internal/objects"},
		"readers of files know nothing of who asks"},
	{"internal/maprun", []string{"asl/value", "internal/arn", "internal/engine", "internal/store", "internal/items", "internal/objects"},
		"a Map Run declares what it needs of those who run its children"},
	{"internal/retention", []string{"internal/engine", "internal/store"},
		"it removes what is kept when its time is over; whose executions they are it does not know"},
	{"internal/status", []string{"asl/value", "internal/arn", "internal/engine", "internal/store", "internal/task/awscall"},
		"it watches commits and tells others; nothing waits for it"},
	{"internal/control", []string{"internal/store"},
		"the board is moved by whoever calls it; it knows neither the worker nor who is at its doors"},
	{"internal/feed", []string{"internal/store"}, "it tells that there is something to read; what it is the store has"},
	{"internal/auth", []string{"internal/arn", "internal/control", "internal/openapi", "internal/rest", "internal/seal", "internal/store"},
		"it says who calls, of the board's users and agents; what it stands before it does not know"},
	{"internal/push", []string{"internal/control", "internal/egress", "internal/feed", "internal/seal", "internal/store"},
		"it carries what the board has decided to agents, and decides nothing"},
	{"internal/connect", nil, "a leaf: it writes files for people and their agents"},
	{"internal/binding", []string{"asl/...", "internal/control", "internal/engine", "internal/store", "internal/task"},
		"it stands between states and the board, and declares what it needs of the worker"},
	{"internal/boardapi", []string{"internal/auth", "internal/binding", "internal/connect", "internal/control", "internal/cost", "internal/feed", "internal/health", "internal/ledger", "internal/notices", "internal/notify", "internal/openapi", "internal/push", "internal/rest", "internal/schedule", "internal/spend", "internal/store"},
		"a door to the board: it says who calls and what in, and leaves what may be done to the board"},
	{"internal/console", nil, "it serves files; what they ask for they ask the API like everybody else"},
	{"internal/mcp", []string{"internal/control", "internal/cost", "internal/feed", "internal/rest", "internal/spend"},
		"a door to the board for models: what may be done the board decides, and who calls is told to it"},
	{"internal/views", []string{"asl/...", "internal/arn", "internal/engine", "internal/feed", "internal/openapi", "internal/rest", "internal/store"},
		"views are made of what is kept; they declare what they need of those who run executions"},
	{"internal/sim", []string{"asl/...", "internal/arn", "internal/engine", "internal/maprun", "internal/store/...", "internal/task", "internal/worker"},
		"the simulator sets real parts in motion and comes between them at their two doors"},
	{"examples", nil, "examples are data for anyone"},
	{"examples/...", nil, "an example's agents know Lockstep's doors, as any agent does"},
	{"cmd/lockstep", []string{"asl/...", "examples/...", "internal/..."},
		"main wires everything by hand"},
	{"internal/arch", nil, "it reads the tree and does not run it"},
	{"internal/conformance", nil, "it sees the binary from outside, as a client does"},
	{"test/...", nil, "it sees the binary from outside, as a client does"},
}

func TestImportsPointInwards(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		at := slices.IndexFunc(layers, func(l struct {
			pkg       string
			mayImport []string
			why       string
		}) bool {
			return under(f.pkg, l.pkg)
		})
		if at < 0 {
			t.Errorf("%s: package %s is not in the table of layers; say there what it may import, and why", f.path, f.pkg)
			continue
		}
		layer := layers[at]
		for _, imported := range f.imports() {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if !ok || slices.ContainsFunc(layer.mayImport, func(p string) bool { return under(ours, p) }) {
				continue
			}
			t.Errorf("%s imports %s: %s", f.path, ours, layer.why)
		}
	}
}

// The pure packages: the language, the core, and tests of machines on it.
var pure = []string{"asl/...", "internal/engine", "internal/mtest"}

// pureImports are the packages a pure one may use: they compute.
var pureImports = []string{
	"bytes", "cmp", "errors", "fmt", "iter", "math", "math/big", "math/bits", "path", "regexp", "slices", "sort",
	"strconv", "strings", "unicode", "unicode/utf16", "unicode/utf8",
	"crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512", // States.Hash
	"encoding/base64", "encoding/binary", "encoding/hex",
	"net/url",            // takes addresses apart; nothing is called
	"hash/maphash",       // finds keys; its seed differs from run to run, so no order may come from it
	"encoding/xml", "io", // reports of tests, to a writer
	"time",               // to read and write times, see below
	"unsafe",             // asl/value: text and bytes without a copy
	"go.yaml.in/yaml/v3", // definitions in YAML

	// The layers are tested above.
	module + "/asl", module + "/asl/value", module + "/asl/jsonpath", module + "/asl/jsonata", module + "/internal/engine",
}

// clocks are what time has that a pure package may not use.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

const whyPure = "the same event must give the same bytes, today and in a replay next year"

func TestPurity(t *testing.T) {
	seen := 0
	for _, f := range goFiles(t) {
		if f.test || !slices.ContainsFunc(pure, func(p string) bool { return under(f.pkg, p) }) {
			continue
		}
		seen++
		for _, imported := range f.imports() {
			if !slices.Contains(pureImports, imported) && imported != "sync" {
				t.Errorf("%s imports %s, which is not known to be pure: %s", f.path, imported, whyPure)
			}
		}
		for name, at := range f.calls("time") {
			if slices.Contains(clocks, name) {
				t.Errorf("%s uses time.%s: take the time from the event; %s", at, name, whyPure)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if of, ok := s.X.(*ast.Ident); ok && of.Name == "sync" && s.Sel.Name != "Pool" {
					t.Errorf("%s: of sync only Pool, for what is zeroed before it is used again; %s", fset.Position(n.Pos()), whyPure)
				}
			}
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: goroutines and channels bring an order of their own; %s", fset.Position(n.Pos()), whyPure)
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("found none of the pure packages")
	}
}

// mayTest are the packages outside _test.go files that may import testing.
var mayTest = []string{"internal/store/storetest", "internal/task/tasktest"}

func TestTestCodeStaysOutOfTheBinary(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || slices.Contains(mayTest, f.pkg) {
			continue
		}
		for _, imported := range f.imports() {
			if imported == "testing" || strings.HasPrefix(imported, "testing/") {
				t.Errorf("%s imports %s: it would bring its flags and code into the binary", f.path, imported)
			}
			if slices.ContainsFunc(mayTest, func(p string) bool { return imported == module+"/"+p }) {
				t.Errorf("%s imports %s: only tests may", f.path, imported)
			}
		}
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range goFiles(t) {
		commented[f.pkg] = commented[f.pkg] || f.ast.Doc.Text() != ""
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("package %s has no package comment: say what it is for and what its one idea is", pkg)
		}
	}
}

// A loop may sleep between two looks at what another process does.
func TestNobodySleepsInTests(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test || slices.Contains(f.imports(), "testing/synctest") {
			continue // in a bubble of synctest, sleeping costs nothing and is exact
		}
		loops := map[ast.Node]bool{}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if loop, ok := n.(*ast.ForStmt); ok {
				ast.Inspect(loop, func(n ast.Node) bool { loops[n] = true; return true })
			}
			if sel, ok := n.(*ast.SelectorExpr); ok && !loops[n] && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s: wait for a state, or own the time with testing/synctest: a sleep is too long or too short", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
