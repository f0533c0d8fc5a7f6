// Package console serves the web console: the built bundle of web/, which is part
// of the binary.
//
// Every path that names no file answers with index.html, whose script reads the
// path; so links into the console work. File names carry no hash: browsers keep
// what they have and ask whether it is still the same, by the hash of its content.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// csp lets pages use what this server has and nothing else. Styles may stand in
// the document, since components place themselves by them.
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

const index = "index.html"

// Handler serves a console to browsers. Its answers may be used by any number of
// requests at once.
type Handler struct {
	files fs.FS
	base  string // path below which it is seen, with a slash at both ends
	fresh bool   // read files anew at each request
	build string

	mu   sync.Mutex
	kept map[string]*file
}

// New serves the files of a bundle below the path base, such as "/" or "/prefix",
// which is what the browser sees in front of the console's own paths. Files are
// read once.
func New(files fs.FS, base string) (*Handler, error) {
	h := &Handler{files: files, base: cleanBase(base), kept: map[string]*file{}}
	if _, err := h.file(index); err != nil {
		return nil, fmt.Errorf("the console has no %s: build it with make console: %w", index, err)
	}
	var err error
	h.build, err = buildOf(files)
	return h, err
}

// NewDir is New for a folder that changes while it is served.
func NewDir(files fs.FS, base string) (*Handler, error) {
	h, err := New(files, base)
	if err == nil {
		h.fresh = true
	}
	return h, err
}

// Build identifies the bundle: another bundle has another one.
func (h *Handler) Build() string { return h.build }

// ServeHTTP answers GET and HEAD. Paths with an extension that name no file are
// 404; all others without a file are pages.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	f, err := h.file(name)
	if err != nil {
		if path.Dir(name) == "." && path.Ext(name) != "" {
			http.NotFound(w, r)
			return
		}
		if f, err = h.file(index); err != nil {
			http.Error(w, "The console is not there.", http.StatusInternalServerError)
			return
		}
	}
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("ETag", f.tag)
	header.Set("Vary", "Accept-Encoding")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer") // one-time links have their token in them
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", csp)
	header.Set("Cache-Control", "max-age=0, must-revalidate")
	if f.page {
		header.Set("Cache-Control", "no-cache")
		header.Set("X-Frame-Options", "DENY")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	if packed := f.packed(); packed != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		body = packed
	}
	header.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		// Nothing is left to do for a browser that has gone.
		_, _ = w.Write(body)
	}
}

// file is what is sent for a path.
type file struct {
	body []byte
	kind string
	tag  string
	page bool

	pack   sync.Once
	zipped []byte // nil: not worth it
}

func (h *Handler) file(name string) (*file, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.kept[name]; f != nil && !h.fresh {
		return f, nil
	}
	if info, err := fs.Stat(h.files, name); err != nil || info.IsDir() {
		return nil, fs.ErrNotExist
	}
	body, err := fs.ReadFile(h.files, name)
	if err != nil {
		return nil, err
	}
	f := &file{body: body, kind: kindOf(name), page: name == index}
	if f.page {
		f.body = withBase(body, h.base)
	}
	sum := sha256.Sum256(f.body)
	f.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h.kept[name] = f
	return f, nil
}

// packed is the file in gzip, nil where that is not shorter.
func (f *file) packed() []byte {
	f.pack.Do(func() {
		if strings.HasPrefix(f.kind, "font/") || len(f.body) < 512 {
			return
		}
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is one there is
		// A buffer takes all.
		_, _ = z.Write(f.body)
		_ = z.Close()
		if out.Len() < len(f.body) {
			f.zipped = out.Bytes()
		}
	})
	return f.zipped
}

func acceptsGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" || coding == "*" {
			q := strings.ReplaceAll(quality, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}

// kinds are the files that a bundle has. The system's own table differs from
// machine to machine.
var kinds = map[string]string{
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".json":  "application/json",
	".woff2": "font/woff2",
	".png":   "image/png",
}

func kindOf(name string) string {
	if kind := kinds[path.Ext(name)]; kind != "" {
		return kind
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

const ownBase = `<base href="/" />`

// withBase tells the page what stands in front of its paths.
func withBase(page []byte, base string) []byte {
	return bytes.Replace(page, []byte(ownBase), []byte(`<base href="`+html.EscapeString(base)+`" />`), 1)
}

func cleanBase(base string) string {
	if base = strings.Trim(base, "/"); base == "" {
		return "/"
	}
	return "/" + base + "/"
}

// buildOf is a hash over all files, by name and content.
func buildOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintf(sum, "%s\n", name)
		_, err = io.Copy(sum, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the console: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:9]), nil
}
