// Package arch holds tests that read the tree: which package may import which,
// what the pure ones may not touch, and what we have agreed on besides. Each
// rule carries its reason, since that is what whoever breaks it needs to know.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.." // of the repository, seen from here
	module = "github.com/lockstep-run/lockstep"
)

// file is a Go source file of the product's module.
type file struct {
	path string // from the root, with slashes
	pkg  string // its folder, "." for the root
	test bool
	ast  *ast.File
}

var fset = token.NewFileSet()

// sources parses every Go file once. Folders with a go.mod of their own are
// other modules.
var sources = sync.OnceValues(func() ([]file, error) {
	var all []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := relative(name)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || exists(filepath.Join(name, "go.mod"))) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, file{path: rel, pkg: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), ast: parsed})
		return nil
	})
	return all, err
})

func goFiles(t *testing.T) []file {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("found no Go files: is this test where it was?")
	}
	return all
}

// imports gives the paths that a file imports.
func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// calls gives, with its position, each name that f takes from the package
// imported as pkg: for "time", "Now" and so on.
func (f file) calls(pkg string) map[string]token.Position {
	local := path.Base(pkg)
	for _, spec := range f.ast.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p == pkg && spec.Name != nil {
			local = spec.Name.Name
		}
	}
	if !slices.Contains(f.imports(), pkg) {
		return nil
	}
	found := map[string]token.Position{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
			found[sel.Sel.Name] = fset.Position(sel.Pos())
		}
		return true
	})
	return found
}

// tracked lists the files that are, or are about to be, in the repository.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skip("not in a git checkout: cannot tell which files belong to the repository")
	}
	var names []string
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if exists(filepath.Join(root, name)) { // not deleted since
			names = append(names, name)
		}
	}
	return names
}

func relative(name string) string {
	rel, _ := filepath.Rel(root, name)
	return filepath.ToSlash(rel)
}

// under says whether pkg is the package pattern, or below it where the pattern
// ends in "/...".
func under(pkg, pattern string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pkg == pattern
}
