//go:build !noconsole

package console

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func handler(t *testing.T, files fs.FS, base string) *Handler {
	t.Helper()
	h, err := New(files, base)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, target string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var named = regexp.MustCompile(`(?:src|href)="\./([^"]+)"`)

// first are the files that index.html names: what a browser fetches first.
func first(t *testing.T) []string {
	t.Helper()
	page, err := fs.ReadFile(Files(), "index.html")
	if err != nil {
		t.Fatalf("the bundle is not there: run make console: %v", err)
	}
	var names []string
	for _, m := range named.FindAllSubmatch(page, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 2 {
		t.Fatalf("index.html names %q: that cannot be all", names)
	}
	return names
}

func TestBundleIsWhole(t *testing.T) {
	h := handler(t, Files(), "/")
	for _, name := range append(first(t), "THIRD_PARTY_LICENSES.txt") {
		if got := get(h, "/"+name); got.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", name, got.StatusCode)
		}
	}
	// What a script fetches later stands in it by name.
	imported := regexp.MustCompile("[\"'`]\\./([A-Za-z0-9_.-]+\\.(?:js|css))[\"'`]")
	scripts, err := fs.Glob(Files(), "*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		code, err := fs.ReadFile(Files(), script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range imported.FindAllSubmatch(code, -1) {
			if _, err := fs.Stat(Files(), string(m[1])); err != nil {
				t.Errorf("%s names %s: %v", script, m[1], err)
			}
		}
	}
}

func TestBundleIsSmall(t *testing.T) {
	const (
		firstScripts = 300 << 10 // gzip, of what index.html names
		firstStyles  = 50 << 10
		all          = 3 << 20 // as it is
	)
	packed := func(name string) int {
		body, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	scripts, styles, total := 0, 0, 0
	for _, name := range first(t) {
		switch path.Ext(name) {
		case ".js":
			scripts += packed(name)
		case ".css":
			styles += packed(name)
		}
	}
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += int(info.Size())
		if path.Ext(name) == ".map" {
			t.Errorf("%s: source maps stay out of the binary", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first scripts %d B, styles %d B (gzip); all %d B", scripts, styles, total)
	for what, is := range map[string][2]int{"first scripts": {scripts, firstScripts}, "first styles": {styles, firstStyles}, "the bundle": {total, all}} {
		if is[0] > is[1] {
			t.Errorf("%s have %d bytes, and may have %d: load later what is not needed at first, or find out what grew", what, is[0], is[1])
		}
	}
}

var small = fstest.MapFS{
	"index.html": {Data: []byte(`<html><base href="/" /><script src="./app.js"></script>` + strings.Repeat(" ", 600))},
	"app.js":     {Data: []byte(strings.Repeat("x()\n", 400))},
	"a.woff2":    {Data: bytes.Repeat([]byte{1}, 2000)},
}

func TestPathsWithoutAFileArePages(t *testing.T) {
	h := handler(t, small, "/")
	f := func(target string, status int, page bool) {
		t.Helper()
		got := get(h, target)
		if got.StatusCode != status {
			t.Errorf("%s: status %d, want %d", target, got.StatusCode, status)
		}
		if is := strings.Contains(text(t, got), "<base"); is != page {
			t.Errorf("%s: is the page: %v, want %v", target, is, page)
		}
	}
	f("/", 200, true)
	f("/executions/arn:aws:states:us-east-1:123456789012:execution:m:run.1", 200, true)
	f("/machines/my.machine", 200, true)
	f("/board/WEB?task=WEB-1", 200, true)
	f("/app.js", 200, false)
	f("/gone.js", 404, false)
	f("/../console.go", 404, false)
}

func TestBrowsersAskWhetherItIsStillTheSame(t *testing.T) {
	h := handler(t, small, "/")
	for target, cache := range map[string]string{"/": "no-cache", "/app.js": "max-age=0, must-revalidate"} {
		got := get(h, target)
		if got.Header.Get("Cache-Control") != cache {
			t.Errorf("%s: Cache-Control %q, want %q", target, got.Header.Get("Cache-Control"), cache)
		}
		again := get(h, target, "If-None-Match", `W/`+got.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || text(t, again) != "" {
			t.Errorf("%s again: status %d", target, again.StatusCode)
		}
	}
	if a, b := get(h, "/").Header.Get("ETag"), get(handler(t, small, "/x"), "/").Header.Get("ETag"); a == b {
		t.Error("a page with another base has the same tag")
	}
}

func TestGzip(t *testing.T) {
	h := handler(t, small, "/")
	f := func(target, accepted, want string) {
		t.Helper()
		got := get(h, target, "Accept-Encoding", accepted)
		if got.Header.Get("Content-Encoding") != want {
			t.Errorf("%s for %q: encoded as %q, want %q", target, accepted, got.Header.Get("Content-Encoding"), want)
		}
	}
	f("/app.js", "gzip, deflate, br", "gzip")
	f("/app.js", "", "")
	f("/app.js", "gzip;q=0", "")
	f("/a.woff2", "gzip", "")
	z, err := gzip.NewReader(get(h, "/app.js", "Accept-Encoding", "gzip").Body)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil || b.String() != string(small["app.js"].Data) {
		t.Errorf("unpacked %d bytes (%v), want what the file has", b.Len(), err)
	}
}

func TestBase(t *testing.T) {
	f := func(base, want string) {
		t.Helper()
		if got := text(t, get(handler(t, small, base), "/")); !strings.Contains(got, `<base href="`+want+`" />`) {
			t.Errorf("base %q: %.60s", base, got)
		}
	}
	f("", "/")
	f("/", "/")
	f("/tools/lockstep", "/tools/lockstep/")
	f(`/a"><script>`, "/a&#34;&gt;&lt;script&gt;/")
}

func TestHeaders(t *testing.T) {
	got := get(handler(t, small, "/"), "/").Header
	for name, want := range map[string]string{
		"Content-Security-Policy": "script-src 'self';", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
	} {
		if !strings.Contains(got.Get(name), want) {
			t.Errorf("%s: %q, want %q in it", name, got.Get(name), want)
		}
	}
	if strings.Contains(got.Get("Content-Security-Policy"), "script-src 'self' 'unsafe") {
		t.Error("scripts in the page would run")
	}
}

func TestAFolderIsReadAnew(t *testing.T) {
	files := fstest.MapFS{"index.html": small["index.html"], "app.js": {Data: []byte("one")}}
	h, err := NewDir(files, "/")
	if err != nil {
		t.Fatal(err)
	}
	before := text(t, get(h, "/app.js"))
	files["app.js"] = &fstest.MapFile{Data: []byte("two")}
	if after := text(t, get(h, "/app.js")); before != "one" || after != "two" {
		t.Errorf("first %q, then %q", before, after)
	}
}

func TestABundleWithoutAPageIsRefused(t *testing.T) {
	if _, err := New(fstest.MapFS{}, "/"); err == nil {
		t.Error("an empty bundle was taken")
	}
}
