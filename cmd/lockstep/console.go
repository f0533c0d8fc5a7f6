package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/lockstep-run/lockstep/internal/console"
)

// registerConsole serves the web console at every path that nothing else has. A
// binary without one says at its address what it is.
func (a *assembly) registerConsole(mux *http.ServeMux) error {
	files, open := console.Files(), console.New
	if a.set.consoleDir != "" {
		files, open = os.DirFS(a.set.consoleDir), console.NewDir
	}
	if files == nil {
		mux.Handle("GET /{$}", welcome{a.publicURL(), a.set.scheme, a.set.data, a.set.signIn.on})
		return nil
	}
	pages, err := open(files, publicPath(a.publicURL()))
	if err != nil {
		return consoleError(a.set.consoleDir, err)
	}
	mux.Handle("/", onlyRead(pages))
	return nil
}

func consoleError(dir string, err error) error {
	if dir == "" {
		return err
	}
	return usageError("--console-dir %s: %v", dir, err)
}

// onlyRead answers 404 to whoever wants to change something where there is
// nothing.
func onlyRead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, fmt.Sprintf("There is nothing at this path that takes %s.", r.Method), http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// publicPath is the path of a URL, "" where it has none.
func publicPath(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// below lets what is served be reached under a path as well as without it, since
// some proxies take it off and others do not.
func below(prefix string, next http.Handler) http.Handler {
	if prefix == "" {
		return next
	}
	inside := http.StripPrefix(prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == prefix:
			http.Redirect(w, r, prefix+"/", http.StatusMovedPermanently)
		case strings.HasPrefix(r.URL.Path, prefix+"/"):
			inside.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
