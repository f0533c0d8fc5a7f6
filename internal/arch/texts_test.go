package arch

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

// read gives a file's text by its path from the root.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// texts are what no file may say, apart from those that need to.
var texts = []struct {
	pattern *regexp.Regexp
	except  *regexp.Regexp // of paths; nil: none
	why     string
}{
	{regexp.MustCompile(`(^|[\s"'=(` + "`" + `])/(work|root|home|Users)/`), nil,
		"a path of one machine means nothing on another"},
	{regexp.MustCompile(`\.\./shared\b`), regexp.MustCompile(`(_test\.go|\.test\.ts|^Makefile)$`),
		"the recorded answers lie beside the checkout, or not: only what skips when they are absent may look for them"},
	{regexp.MustCompile(`"resolved": "http`), nil,
		"a lock file pins versions and sums; where packages come from is for whoever installs them (npm install --omit-lockfile-registry-resolved)"},
	{regexp.MustCompile(`^(<<<<<<< |>>>>>>> )`), nil, "a merge was left half done"},
}

func TestTexts(t *testing.T) {
	for _, name := range tracked(t) {
		text := read(t, name)
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			continue // not a text
		}
		number := 0
		for line := range strings.Lines(text) {
			number++
			for _, rule := range texts {
				if rule.except != nil && rule.except.MatchString(name) || name == "internal/arch/texts_test.go" {
					continue
				}
				if found := rule.pattern.FindString(line); found != "" {
					t.Errorf("%s:%d has %q: %s", name, number, strings.TrimSpace(found), rule.why)
				}
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)|(?:src|href|srcset)="([^"#]+)"`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			target := m[1] + m[3]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if !exists(filepath.Join(root, path.Dir(name), target)) {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
		}
	}
}

// Every page of decisions is in the index, which is how one is found.
func TestDecisionsAreListed(t *testing.T) {
	index := read(t, "docs/decisions/README.md")
	pages, err := filepath.Glob(filepath.Join(root, "docs/decisions/[0-9]*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("found no decisions (%v)", err)
	}
	for _, page := range pages {
		if !strings.Contains(index, "("+filepath.Base(page)+")") {
			t.Errorf("docs/decisions/README.md does not link to %s", filepath.Base(page))
		}
	}
}
