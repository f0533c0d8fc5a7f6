package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	f := func(markdown, title, body string) {
		t.Helper()
		want := "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>" + title + "</title>\n" + body + "</html>\n"
		if got := Render(markdown); got != want {
			t.Errorf("%q gives\n%s", markdown, got)
		}
	}
	f("# A & B\n\nOne\ntwo.\n\n## C\n", "A &amp; B", "<h1>A &amp; B</h1>\n<p>One two.</p>\n<h2>C</h2>\n")
	f("", "Page", "")
	f("#no heading\r\n\r\n### deeper", "Page", "<p>#no heading</p>\n<p>### deeper</p>\n")
	f("<script>alert(1)</script>", "Page", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n")
}

func FuzzRender(f *testing.F) {
	f.Add("# A\n\n<b>")
	f.Fuzz(func(t *testing.T, markdown string) {
		got := Render(markdown)
		for _, tag := range []string{"<!doctype html>", `<html lang="en">`, `<meta charset="utf-8">`, "<title>", "</title>", "</html>", "<h1>", "</h1>", "<h2>", "</h2>", "<p>", "</p>"} {
			got = strings.ReplaceAll(got, tag, "")
		}
		if strings.ContainsAny(got, "<>") {
			t.Errorf("%q brings in markup: %q", markdown, got)
		}
	})
}

func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "site", "a.html")
	for _, text := range []string{"one", "two"} {
		if err := writeFile(name, text); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
}
