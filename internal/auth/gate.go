package auth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-run/lockstep/internal/rest"
)

// Doors are what a Gate needs to know of what it stands before.
type Doors struct {
	Mux     *http.ServeMux             // routes /api/v1
	IsS3    func(r *http.Request) bool // whether a request is for the objects; nil: never
	MaxBody int                        // bytes of a request to the AWS API
}

// Gate lets in who may: next answers them, with their principal in the request's
// context. A server without sign-in takes everybody at its own machine, and
// checks no AWS signature.
func (a *Auth) Gate(doors Doors, next http.Handler) http.Handler {
	g := &gate{a, doors, next}
	if a.cfg.SignIn {
		return a.ownPages(http.HandlerFunc(g.serve))
	}
	return a.ownPages(http.HandlerFunc(g.develop))
}

type gate struct {
	*Auth
	Doors
	next http.Handler
}

// develop is the gate of a developer's server.
func (g *gate) develop(w http.ResponseWriter, r *http.Request) {
	if !isAPI(r) {
		g.next.ServeHTTP(w, r)
		return
	}
	if rule := g.ruleOf(r); rule != ownKey && rule != open {
		if !rest.IsLocal(r) {
			rest.Fail(w, forbidden("This is for this machine only; use http://127.0.0.1 or http://localhost."))
			return
		}
		p, err := g.Identify(r)
		if err != nil {
			rest.Fail(w, g.said(r, err))
			return
		}
		if p.Kind != User { // a key says what it may, here too
			if err := g.may(p, rule, r); err != nil {
				rest.Fail(w, err)
				return
			}
		}
		r = r.WithContext(rest.Admit(With(r.Context(), p)))
	}
	g.next.ServeHTTP(w, r)
}

// isAPI reports whether a request is for the control plane.
func isAPI(r *http.Request) bool { return under(r.URL.Path, "/api") || under(r.URL.Path, "/mcp") }

func under(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/')
}

// serve is the gate of a team's server. What no case knows is refused.
func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // one-time links have their token in them
	path := r.URL.Path
	switch {
	case path == "/healthz" || path == "/readyz":
		g.next.ServeHTTP(w, r)
	case g.IsS3 != nil && g.IsS3(r):
		g.serveS3(w, r)
	case path == "/" && r.Method == http.MethodPost:
		g.serveAWS(w, r)
	case under(path, "/2015-03-31"):
		g.serveLambda(w, r)
	case under(path, "/2018-06-01/runtime"), under(path, "/workers"): // with the keys of functions
		g.next.ServeHTTP(w, r)
	case under(path, "/hooks") && r.Method == http.MethodPost: // signed, each in its way
		g.next.ServeHTTP(w, r)
	case path == "/metrics":
		g.serveMetrics(w, r)
	case isAPI(r):
		g.serveAPI(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead: // the console's pages, which hold no data
		g.next.ServeHTTP(w, r)
	default:
		rest.Fail(w, forbidden("There is nothing to write to at this path."))
	}
}

// serveAPI asks the table whether the caller may come to a route.
func (g *gate) serveAPI(w http.ResponseWriter, r *http.Request) {
	rule := g.ruleOf(r)
	if rule == ownKey && (!reads(r.Method) || !isOurs(r)) { // the handler wants a key of its own
		g.next.ServeHTTP(w, r)
		return
	}
	if rule == open {
		g.next.ServeHTTP(w, r.WithContext(rest.Admit(r.Context())))
		return
	}
	p, err := g.Identify(r)
	if err == nil {
		err = g.may(p, rule, r)
	}
	if err != nil {
		if known := (*rest.Error)(nil); errors.As(err, &known) && known.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="lockstep"`)
		}
		rest.Fail(w, g.said(r, err))
		return
	}
	g.next.ServeHTTP(w, r.WithContext(rest.Admit(With(r.Context(), p))))
}

// isOurs reports whether a request brings something that Identify knows.
func isOurs(r *http.Request) bool {
	auth := r.Header.Get("Authorization")
	return auth == "" || strings.HasPrefix(auth, "Bearer ls")
}

// serveMetrics lets in who asks from this machine, past no proxy, and who may
// read.
func (g *gate) serveMetrics(w http.ResponseWriter, r *http.Request) {
	proxied := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("Via") != ""
	if !rest.IsLocal(r) || proxied {
		p, err := g.Identify(r)
		if err == nil && !p.May(Metrics) {
			err = forbidden("That takes a service key with the scope metrics, or a role that reads.")
		}
		if err != nil {
			rest.Fail(w, g.said(r, err))
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

// ownPages refuses what a page of some other site makes a browser send, which
// could otherwise use the browser of whoever is let in. A browser names the
// page's site in Origin. Without sign-in the name must be local: a site that has
// pointed its own name at this machine names itself. With it, what such a site
// could use it does not have: its name has no session. Programs send no Origin
// and may use any Host.
func (a *Auth) ownPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin != "" && !a.isOwn(origin, r) || r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Method != http.MethodGet {
			http.Error(w, "Requests from pages of other sites are refused.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Auth) isOwn(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if public, err := url.Parse(a.cfg.PublicURL()); err == nil && public.Scheme == u.Scheme && public.Host == u.Host {
		return true
	}
	return u.Host == r.Host && (a.cfg.SignIn || rest.IsLocalHost(u.Host))
}

// body reads all of a request's body, so that its hash can be checked, and puts
// it back. It is false when the body is longer than most.
func body(r *http.Request, most int) ([]byte, bool, error) {
	if r.ContentLength > int64(most) {
		return nil, false, nil
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, 64<<10)))
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, int64(most)+1))
	if err != nil || n > int64(most) {
		return nil, false, err
	}
	r.Body = io.NopCloser(bytes.NewReader(b.Bytes()))
	r.ContentLength = n
	return b.Bytes(), true, nil
}
