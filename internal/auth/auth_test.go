package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

const (
	password = "a long enough password"
	site     = "https://lockstep.example.com"
)

// world is a server with sign-in, of which only the gate is there.
type world struct {
	*testing.T
	auth  *auth.Auth
	board *control.Board
	cfg   auth.Config
	gate  http.Handler
	now   time.Time
	seen  *auth.Principal // whom the gate let in last
	body  string          // and what they sent
	owner http.Header
}

func start(t *testing.T) *world {
	st := memory.New()
	wr := &storetest.Direct{Store: st}
	board, err := control.New(st, wr, control.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, board: board, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	_, u, err := board.CreateWorkspace(t.Context(), control.Call{Workspace: "local", By: control.System, At: w.now}, "Local", auth.LocalUser)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = auth.Config{
		Store: st, Write: wr, Board: board, Workspace: "local", Owner: u.ID, SignIn: true, PublicURL: func() string { return site },
		Key: seal.At(filepath.Join(t.TempDir(), "key")), Scheme: arn.Default, Cost: auth.Cost{Memory: 64, Passes: 1, Threads: 1},
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	w.open()
	if res := w.call(nil, "GET", "session", ""); !strings.Contains(textOf(res), `"setup":true`) {
		t.Errorf("a new server answers %s", res.Status)
	}
	link, err := w.auth.OwnerLink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	w.owner = w.session(w.post(nil, "bootstrap", fmt.Sprintf(`{"token":%q,"name":"ada","password":%q}`, tokenOf(link), password)))
	return w
}

// open makes what stands before the server.
func (w *world) open() {
	w.auth = auth.New(w.cfg)
	mux := http.NewServeMux()
	w.auth.Register(mux)
	taken := func(_ http.ResponseWriter, r *http.Request) {
		w.seen = auth.From(r.Context())
		text, _ := io.ReadAll(r.Body)
		w.body = string(text)
	}
	for _, pattern := range []string{"/", "POST /api/v1/connections", "GET /api/v1/tasks", "POST /api/v1/unheard-of", "/metrics"} {
		mux.HandleFunc(pattern, taken)
	}
	isS3 := func(r *http.Request) bool {
		return strings.Contains(r.Header.Get("Authorization")+r.URL.RawQuery, "s3")
	}
	w.gate = w.auth.Gate(auth.Doors{Mux: mux, IsS3: isS3, MaxBody: 1 << 20}, mux)
}

func textOf(res *http.Response) string {
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

func tokenOf(l *auth.Link) string {
	_, token, _ := strings.Cut(l.URL, "token=")
	return token
}

// do makes a request from some address on the Internet.
func (w *world) do(r *http.Request) *http.Response {
	if r.RemoteAddr == "192.0.2.1:1234" {
		r.RemoteAddr = "203.0.113.7:4711"
	}
	rec := httptest.NewRecorder()
	w.seen, w.body = nil, ""
	w.gate.ServeHTTP(rec, r)
	return rec.Result()
}

func (w *world) request(who http.Header, method, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(w.Context(), method, site+path, strings.NewReader(body))
	for name, values := range who {
		r.Header[name] = values
	}
	return r
}

func (w *world) call(who http.Header, method, path, body string) *http.Response {
	return w.do(w.request(who, method, "/api/v1/"+path, body))
}

func (w *world) post(who http.Header, path, body string) *http.Response {
	return w.call(who, "POST", path, body)
}

// session is what a browser sends after a sign-in.
func (w *world) session(res *http.Response) http.Header {
	w.Helper()
	var got struct{ CSRF string }
	w.read(res, 200, &got)
	var cookies []string
	for _, c := range res.Cookies() {
		if c.SameSite != http.SameSiteStrictMode || !c.Secure || c.HttpOnly != (c.Name == auth.SessionCookie) {
			w.Errorf("the cookie %s is %+v", c.Name, c)
		}
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return http.Header{"Cookie": {strings.Join(cookies, "; ")}, http.CanonicalHeaderKey(auth.CSRFHeader): {got.CSRF}}
}

func (w *world) read(res *http.Response, status int, to any) {
	w.Helper()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	if res.StatusCode != status {
		w.Fatalf("%d, not %d: %s", res.StatusCode, status, text)
	}
	if to != nil {
		if err := json.Unmarshal(text, to); err != nil {
			w.Fatalf("%v: %s", err, text)
		}
	}
}

// is checks the status and the code of an answer.
func (w *world) is(res *http.Response, status int, code string) {
	w.Helper()
	var got struct {
		Error struct{ Code string }
	}
	text, _ := io.ReadAll(res.Body)
	_ = json.Unmarshal(text, &got)
	if res.StatusCode != status || got.Error.Code != code {
		w.Errorf("%d %q, not %d %q: %s", res.StatusCode, got.Error.Code, status, code, text)
	}
}

func bearer(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }

// add makes a user who has signed in.
func (w *world) add(name, role string) http.Header {
	w.Helper()
	var made struct{ Link *auth.Link }
	w.read(w.post(w.owner, "users", fmt.Sprintf(`{"name":%q,"role":%q}`, name, role)), 200, &made)
	return w.session(w.post(nil, "bootstrap", fmt.Sprintf(`{"token":%q,"password":%q}`, tokenOf(made.Link), password)))
}

func (w *world) signIn(name, password string) *http.Response {
	return w.post(nil, "session", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
}

func TestSessionsEnd(t *testing.T) {
	w := start(t)
	s := w.session(w.signIn("ada", password))
	w.now = w.now.Add(11 * time.Hour)
	w.is(w.call(s, "GET", "session", ""), 200, "")
	w.now = w.now.Add(12*time.Hour + time.Minute)
	w.is(w.call(w.owner, "GET", "session", ""), 401, "unauthorized") // not used for a day

	s = w.session(w.signIn("ada", password))
	other := w.session(w.signIn("ada", password))
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	w.read(w.call(s, "GET", "sessions", ""), 200, &list)
	for _, x := range list.Sessions {
		if !x.Current {
			w.call(s, "DELETE", "sessions/"+x.ID, "")
		}
	}
	w.is(w.call(other, "GET", "session", ""), 401, "unauthorized")
	w.is(w.call(s, "DELETE", "session", ""), 204, "")
	w.is(w.call(s, "GET", "session", ""), 401, "unauthorized")
}

// A session that is used goes on, but for no longer than thirty days.
func TestSessionsEndAfterAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.cfg.Now = time.Now
		w.open()
		ctx, stop := context.WithCancel(t.Context())
		kept := make(chan error, 1)
		go func() { kept <- w.auth.Run(ctx) }()
		defer func() { stop(); <-kept }()
		s := w.session(w.signIn("ada", password))
		for hours := 0; hours < 30*24-6; hours += 6 {
			time.Sleep(6 * time.Hour)
			w.is(w.call(s, "GET", "session", ""), 200, "")
			synctest.Wait()
		}
		time.Sleep(6 * time.Hour)
		w.is(w.call(s, "GET", "session", ""), 401, "unauthorized")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if left, err := w.cfg.Store.Records(ctx, store.Prefix("session", "ends/", 10)); err != nil || len(left) > 1 {
			t.Errorf("sessions that have ended are kept: %v %v", left, err)
		}
	})
}

func TestWritesCarryTheCSRFToken(t *testing.T) {
	w := start(t)
	f := func(change func(http.Header), status int, code string) {
		t.Helper()
		h := w.owner.Clone()
		change(h)
		w.is(w.call(h, "POST", "connections", "{}"), status, code)
	}
	f(func(http.Header) {}, 200, "")
	f(func(h http.Header) { h.Del(auth.CSRFHeader) }, 403, "csrf")
	f(func(h http.Header) { h.Set(auth.CSRFHeader, "forged") }, 403, "csrf")
	// The cookie says nothing: a page of a sister site might have set it.
	f(func(h http.Header) {
		h.Set("Cookie", strings.Split(h.Get("Cookie"), ";")[0]+"; "+auth.CSRFCookie+"=forged")
		h.Set(auth.CSRFHeader, "forged")
	}, 403, "csrf")
	f(func(h http.Header) { h.Set("Cookie", auth.SessionCookie+"=forged-forged-forged-forged") }, 401, "unauthorized")
	h := w.owner.Clone()
	h.Del(auth.CSRFHeader)
	w.is(w.call(h, "GET", "tasks", ""), 200, "")
	// So it is on the AWS API.
	h.Set("X-Amz-Target", "AWSStepFunctions.ListStateMachines")
	if res := w.do(w.request(h, "POST", "/", "{}")); res.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("without the CSRF token the AWS API answers %s", res.Status)
	}
	h.Set(auth.CSRFHeader, w.owner.Get(auth.CSRFHeader))
	if res := w.do(w.request(h, "POST", "/", "{}")); res.StatusCode != 200 || w.seen == nil || w.seen.Name != "ada" {
		t.Errorf("with it, %s", res.Status)
	}
}

func TestPagesOfOtherSites(t *testing.T) {
	w := start(t)
	f := func(want int, headers ...string) {
		t.Helper()
		h := w.owner.Clone()
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		if res := w.call(h, "POST", "connections", "{}"); res.StatusCode != want {
			t.Errorf("%v: %d, not %d", headers, res.StatusCode, want)
		}
	}
	f(200, "Origin", site)
	f(403, "Origin", "https://evil.example")
	f(403, "Origin", "null")
	f(403, "Origin", "https://lockstep.example.com.evil.example")
	f(403, "Sec-Fetch-Site", "cross-site")
}

func TestGuessing(t *testing.T) {
	w := start(t)
	for range 5 {
		w.is(w.signIn("ada", "wrong"), 401, "wrong_password")
		w.is(w.signIn("nobody", "wrong"), 401, "wrong_password") // who is there is not told
	}
	res := w.signIn("ada", password)
	if w.is(res, 429, "too_many_tries"); res.Header.Get("Retry-After") == "" {
		t.Error("the answer does not say when to try again")
	}
	w.is(w.signIn("nobody", "wrong"), 429, "too_many_tries")
	w.add("bob", "member")
	w.is(w.signIn("bob", password), 200, "") // others are not locked out

	elsewhere := w.request(nil, "POST", "/api/v1/session", fmt.Sprintf(`{"name":"ada","password":%q}`, password))
	elsewhere.RemoteAddr = "198.51.100.9:1"
	w.is(w.do(elsewhere), 200, "") // nor is she, where she is

	w.now = w.now.Add(time.Minute)
	w.is(w.signIn("ada", password), 200, "")
}

// Whoever was let in may be looked at again, as streams do.
func TestAnew(t *testing.T) {
	w := start(t)
	s := w.session(w.signIn("ada", password))
	r := w.request(s, "GET", "/api/v1/tasks", "")
	p, err := w.auth.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	r = r.WithContext(auth.With(r.Context(), p))
	if again, err := w.auth.Identify(w.auth.Anew(r)); err != nil || again.ID != p.ID {
		t.Errorf("again it is %+v, %v", again, err)
	}
	w.is(w.call(s, "DELETE", "session", ""), 204, "")
	if _, err := w.auth.Identify(r); err != nil {
		t.Errorf("within the request: %v", err)
	}
	if again, err := w.auth.Identify(w.auth.Anew(r)); err == nil {
		t.Errorf("after the session's end it is %+v", again)
	}
}

func TestPasswordsAreHashedAnew(t *testing.T) {
	w := start(t)
	u, err := w.board.User(t.Context(), control.Call{Workspace: "local", By: control.System}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	hash := func() string {
		r, err := w.cfg.Store.Record(t.Context(), "credential", u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Data)
	}
	if !strings.Contains(hash(), "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(hash(), password) {
		t.Errorf("kept is %s", hash())
	}
	w.cfg.Cost = auth.Cost{Memory: 128, Passes: 2, Threads: 1}
	w.open()
	w.is(w.signIn("ada", password), 200, "")
	if !strings.Contains(hash(), "m=128,t=2,p=1$") {
		t.Errorf("after a sign-in at a higher cost, kept is %s", hash())
	}
	w.is(w.signIn("ada", password), 200, "")
}

func TestPasswords(t *testing.T) {
	w := start(t)
	bob := w.add("bob", "viewer")
	second := w.session(w.signIn("bob", password))
	change := func(who http.Header, old, fresh string) *http.Response {
		return w.post(who, "users/bob/password", fmt.Sprintf(`{"old":%q,"new":%q}`, old, fresh))
	}
	w.is(change(bob, "wrong", "another one of mine"), 401, "wrong_password")
	w.is(change(bob, password, "short"), 422, "weak_password")
	w.is(change(bob, password, "aaaaaaaaaaaaaaaa"), 422, "weak_password")
	w.is(change(w.owner, password, "another one of mine"), 403, "forbidden")
	w.is(change(bob, password, "another one of mine"), 204, "")
	w.is(w.call(bob, "GET", "session", ""), 200, "")
	w.is(w.call(second, "GET", "session", ""), 401, "unauthorized") // whoever else was in is out

	var l auth.Link
	w.read(w.post(w.owner, "users/bob/reset", ""), 200, &l)
	set := fmt.Sprintf(`{"token":%q,"password":"the third of them all"}`, tokenOf(&l))
	w.is(w.post(nil, "bootstrap", set), 200, "")
	w.is(w.post(nil, "bootstrap", set), 410, "link_ended")
	w.is(w.call(bob, "GET", "session", ""), 401, "unauthorized")
	w.is(w.signIn("bob", "the third of them all"), 200, "")
}

func TestLinks(t *testing.T) {
	w := start(t)
	if l, err := w.auth.OwnerLink(t.Context(), false); l != nil || err != nil {
		t.Errorf("with an owner there is another link: %v %v", l, err)
	}
	first, err := w.auth.OwnerLink(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.auth.OwnerLink(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	use := func(l *auth.Link, name string) *http.Response {
		return w.post(nil, "bootstrap", fmt.Sprintf(`{"token":%q,"name":%q,"password":%q}`, tokenOf(l), name, password))
	}
	w.is(use(first, "eve"), 410, "link_ended") // the second took its place
	w.is(use(second, "Not A Name"), 422, "invalid_input")
	w.now = w.now.Add(61 * time.Minute)
	w.is(use(second, "cleo"), 410, "link_ended")
	third, err := w.auth.OwnerLink(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var codes sync.Map
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), "POST", site+"/api/v1/bootstrap", strings.NewReader(fmt.Sprintf(`{"token":%q,"name":"cleo%d","password":%q}`, tokenOf(third), i, password)))
			rec := httptest.NewRecorder()
			w.gate.ServeHTTP(rec, r)
			codes.Store(i, rec.Code)
		})
	}
	all.Wait()
	won := 0
	codes.Range(func(_, code any) bool {
		if code == 200 {
			won++
		}
		return true
	})
	if won != 1 {
		t.Errorf("a link that works once made %d owners", won)
	}
}

func TestKeys(t *testing.T) {
	w := start(t)
	bob := w.add("bob", "member")
	var key auth.NewKey
	w.read(w.post(bob, "tokens", `{"name":"ci","expires_at":"2026-11-20T13:00:00Z"}`), 200, &key)
	w.is(w.call(bearer(key.Secret), "GET", "tasks", ""), 200, "")
	if w.seen.Kind != auth.User || w.seen.Name != "bob" || w.seen.Role != control.Member {
		t.Errorf("the token is %+v's", w.seen)
	}
	w.is(w.call(bearer(key.Secret+"x"), "GET", "tasks", ""), 401, "unauthorized")
	w.is(w.call(http.Header{"Authorization": {"Basic Ym9iOng="}}, "GET", "tasks", ""), 401, "unauthorized")
	w.now = w.now.Add(time.Hour)
	w.is(w.call(bearer(key.Secret), "GET", "tasks", ""), 401, "unauthorized")

	w.is(w.post(bob, "tokens", `{"scopes":["read"]}`), 400, "invalid")
	w.is(w.post(w.owner, "service-keys", `{"scopes":["own"]}`), 400, "invalid")
	w.is(w.post(w.owner, "service-keys", `{}`), 400, "invalid")
	w.read(w.post(w.owner, "service-keys", `{"name":"ci","scopes":["start","read"]}`), 200, &key)
	w.is(w.call(bearer(key.Secret), "POST", "connections", "{}"), 403, "forbidden")
	w.is(w.call(bearer(key.Secret), "GET", "tasks", ""), 200, "")
	if call := w.seen.Call("local", w.now); call.By != control.Service(key.ID) || strings.Join(call.Scopes, " ") != "read start" {
		t.Errorf("on the board the key is %+v", call)
	}
	w.is(w.call(w.owner, "DELETE", "service-keys/"+key.ID, ""), 204, "")
	w.is(w.call(bearer(key.Secret), "GET", "tasks", ""), 401, "unauthorized")

	// Who is removed is out with all their keys at once.
	w.read(w.post(bob, "tokens", `{}`), 200, &key)
	w.is(w.call(bob, "DELETE", "tokens/"+key.ID[:8], ""), 404, "not_found")
	w.is(w.call(w.owner, "DELETE", "users/bob", ""), 204, "")
	w.is(w.call(bearer(key.Secret), "GET", "tasks", ""), 401, "unauthorized")
	w.is(w.call(bob, "GET", "tasks", ""), 401, "unauthorized")
	w.is(w.signIn("bob", password), 401, "wrong_password")
	w.is(w.call(w.owner, "DELETE", "users/ada", ""), 409, "project_needs_owner") // the last owner
	w.is(w.call(w.owner, "PATCH", "users/ada", `{"role":"viewer"}`), 409, "project_needs_owner")

	var log struct{ Events []control.Event }
	w.read(w.call(w.owner, "GET", "audit", ""), 200, &log)
	var types []string
	for _, e := range log.Events {
		types = append(types, e.Type)
	}
	for _, want := range []string{"audit.key.created", "audit.key.revoked", "user.removed", "audit.link.used"} {
		if !strings.Contains(strings.Join(types, " "), want) {
			t.Errorf("the audit log has no %s: %v", want, types)
		}
	}
	for _, e := range log.Events {
		if text, _ := json.Marshal(e); bytes.Contains(text, []byte(key.Secret)) || bytes.Contains(text, []byte(password)) {
			t.Errorf("the audit log has a secret: %s", text)
		}
	}
}

func TestDoors(t *testing.T) {
	w := start(t)
	f := func(who http.Header, method, path, from, host string, want int) {
		t.Helper()
		r := w.request(who, method, path, "{}")
		r.RemoteAddr, r.Host = from, host
		if res := w.do(r); res.StatusCode != want {
			t.Errorf("%s %s from %s: %d, not %d", method, path, from, res.StatusCode, want)
		}
	}
	const far, here = "203.0.113.7:1", "127.0.0.1:1"
	f(nil, "GET", "/healthz", far, "x", 200)
	f(nil, "GET", "/", far, "x", 200)
	f(nil, "GET", "/assets/app.js", far, "x", 200)
	f(nil, "POST", "/assets/app.js", far, "x", 403)
	f(nil, "PUT", "/hooks/x", far, "x", 403)
	f(nil, "POST", "/hooks/x", far, "x", 200) // signed
	f(nil, "GET", "/2018-06-01/runtime/invocation/next", far, "x", 200)
	f(nil, "GET", "/api/v1/tasks", here, "localhost", 401)
	f(nil, "GET", "/api/v2/tasks", far, "x", 401)
	f(nil, "POST", "/mcp", far, "x", 401)
	f(w.owner, "POST", "/mcp", far, "x", 200)
	f(w.owner, "POST", "/api/v1/unheard-of", far, "x", 200)
	bob := w.add("bob", "admin")
	f(bob, "POST", "/api/v1/unheard-of", far, "x", 403) // the table does not know it

	f(nil, "GET", "/metrics", here, "localhost:8083", 200)
	f(nil, "GET", "/metrics", far, "localhost:8083", 401)
	f(nil, "GET", "/metrics", here, "lockstep.example.com", 401)                                       // through a proxy
	f(http.Header{"X-Forwarded-For": {"203.0.113.7"}}, "GET", "/metrics", here, "localhost:8083", 401) // or one that changes the name
	f(bob, "GET", "/metrics", far, "x", 200)
	var key auth.NewKey
	w.read(w.post(w.owner, "service-keys", `{"scopes":["metrics"]}`), 200, &key)
	f(bearer(key.Secret), "GET", "/metrics", far, "x", 200)
	f(bearer(key.Secret), "GET", "/api/v1/tasks", far, "x", 403)
	w.read(w.post(w.owner, "service-keys", `{"scopes":["start"]}`), 200, &key)
	f(bearer(key.Secret), "GET", "/metrics", far, "x", 403)
}

// Without sign-in there is one user, and agents say who they are.
func TestDevelopers(t *testing.T) {
	w := start(t)
	c := control.Call{Workspace: "local", By: control.System, At: w.now}
	if _, err := w.board.CreateProject(t.Context(), c, control.NewProject{Key: "WEB", Owner: "user:ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.board.CreateAgent(t.Context(), c, control.NewAgent{Slug: "writer", Projects: []string{"WEB"}}); err != nil {
		t.Fatal(err)
	}
	w.cfg.SignIn = false
	w.open()
	f := func(from, host string, who http.Header, status int, kind auth.Kind) {
		t.Helper()
		r := w.request(who, "GET", "/api/v1/tasks", "")
		r.RemoteAddr, r.Host = from, host
		res := w.do(r)
		if res.StatusCode != status || status == 200 && w.seen.Kind != kind {
			t.Errorf("%s %v: %d %+v", from, who, res.StatusCode, w.seen)
		}
	}
	f("127.0.0.1:1", "localhost:8083", nil, 200, auth.User)
	f("[::1]:1", "[::1]:8083", nil, 200, auth.User)
	f("127.0.0.1:1", "localhost", http.Header{auth.AgentHeader: {"writer"}}, 200, auth.Agent)
	f("127.0.0.1:1", "localhost", http.Header{auth.AgentHeader: {"nobody"}}, 401, "")
	f("203.0.113.7:1", "localhost", nil, 403, "")
	f("127.0.0.1:1", "evil.example", nil, 403, "")
	f("127.0.0.1:1", "localhost", bearer("lsa_wrong"), 401, "")
	var s struct {
		Dev  bool
		User struct{ Email string }
	}
	r := w.request(nil, "GET", "/api/v1/session", "")
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	if w.read(w.do(r), 200, &s); !s.Dev || s.User.Email != "dev@localhost" {
		t.Errorf("the session is %+v", s)
	}
}

// access makes an access key of a user's.
func (w *world) access(who http.Header) aws.Credentials {
	w.Helper()
	var k auth.NewKey
	w.read(w.post(who, "access-keys", `{"name":"laptop"}`), 200, &k)
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Access}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// signed is a request as an SDK makes it.
func (w *world) signed(c aws.Credentials, service, method, target, body string, headers ...string) *http.Request {
	w.Helper()
	r := w.request(nil, method, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	opts := func(*v4.SignerOptions) {}
	if service == "s3" {
		opts = func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
		r.Header.Set("X-Amz-Content-Sha256", hashOf(body))
	}
	if err := v4.NewSigner(opts).SignHTTP(w.Context(), c, r, hashOf(body), service, "us-east-1", w.now); err != nil {
		w.Fatal(err)
	}
	return r
}

const sfn = "AWSStepFunctions."

// TestSignatures: what AWS's own signer signs is let in, and nothing else is.
func TestSignatures(t *testing.T) {
	w := start(t)
	bob := w.access(w.add("bob", "member"))
	list := func() *http.Request {
		return w.signed(bob, "states", "POST", "/", `{}`, "X-Amz-Target", sfn+"ListStateMachines")
	}
	f := func(name string, r *http.Request, code string) {
		t.Helper()
		res := w.do(r)
		if got := res.Header.Get("X-Amzn-Errortype"); got != code || (code == "") != (res.StatusCode == 200) {
			t.Errorf("%s: %d %q, not %q", name, res.StatusCode, got, code)
		}
	}
	f("as it is", list(), "")
	if w.seen.Name != "bob" || w.body != "{}" {
		t.Errorf("let in was %+v with %q", w.seen, w.body)
	}
	change := func(name, code string, change func(*http.Request)) {
		t.Helper()
		r := list()
		change(r)
		f(name, r, code)
	}
	change("nothing", "MissingAuthenticationTokenException", func(r *http.Request) { r.Header.Del("Authorization") })
	change("another body", "InvalidSignatureException", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{ ")) })
	change("another action", "InvalidSignatureException", func(r *http.Request) { r.Header.Set("X-Amz-Target", sfn+"CreateActivity") })
	change("another host", "InvalidSignatureException", func(r *http.Request) { r.Host = "other.example" })
	change("another query", "InvalidSignatureException", func(r *http.Request) { r.URL.RawQuery = "a=b" })
	change("a header less", "InvalidSignatureException", func(r *http.Request) { r.Header.Del("X-Amz-Target") })
	change("no date", "IncompleteSignatureException", func(r *http.Request) { r.Header.Del("X-Amz-Date") })
	change("half a signature", "IncompleteSignatureException", func(r *http.Request) {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+bob.AccessKeyID)
	})
	change("another scheme", "IncompleteSignatureException", func(r *http.Request) { r.Header.Set("Authorization", "Digest x") })
	change("temporary credentials", "UnrecognizedClientException", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") })
	change("an unknown key", "UnrecognizedClientException", func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), bob.AccessKeyID, "AKIAIOSFODNN7EXAMPLE", 1))
	})
	f("another secret", w.signed(aws.Credentials{AccessKeyID: bob.AccessKeyID, SecretAccessKey: "x"}, "states", "POST", "/", `{}`, "X-Amz-Target", sfn+"ListStateMachines"), "InvalidSignatureException")
	f("another service", w.signed(bob, "sqs", "POST", "/", `{}`, "X-Amz-Target", sfn+"ListStateMachines"), "InvalidSignatureException")
	f("too much", w.signed(bob, "states", "POST", "/", strings.Repeat(" ", 1<<20+1), "X-Amz-Target", sfn+"ListStateMachines"), "RequestEntityTooLargeException")

	old := list()
	w.now = w.now.Add(14 * time.Minute)
	f("not long ago", old, "")
	old = list()
	w.now = w.now.Add(16 * time.Minute)
	f("too long ago", old, "InvalidSignatureException")
	early := list()
	w.now = w.now.Add(-16 * time.Minute)
	f("from the future", early, "InvalidSignatureException")

	f("events", w.signed(bob, "events", "POST", "/", `{}`, "X-Amz-Target", "AWSEvents.PutEvents"), "")
	f("lambda", w.signed(bob, "lambda", "POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations", `{"a":1}`), "")
	f("lambda, unsigned", w.request(nil, "POST", "/2015-03-31/functions/f/invocations", ""), "MissingAuthenticationTokenException")
}

// Whatever a request looks like, the signer and the gate agree on what it is.
func TestSignaturesOfAnything(t *testing.T) {
	w := start(t)
	c := w.access(w.add("bob", "member"))
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 1))
	const letters = "aZ0-._~ +/%&=?#@:;,!'()*$[]äß日"
	text := func(most int) string {
		var b strings.Builder
		for range chance.IntN(most + 1) {
			runes := []rune(letters)
			b.WriteRune(runes[chance.IntN(len(runes))])
		}
		return b.String()
	}
	for i := range 300 {
		q := url.Values{}
		for range chance.IntN(4) {
			q.Add("k"+text(4), text(8))
		}
		service, path := "s3", "/bucket/"+text(12)
		if i%2 == 0 {
			service, path = "lambda", "/2015-03-31/"+text(12)
		}
		u := url.URL{Path: path, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
		r := w.signed(c, service, "PUT", u.EscapedPath()+"?"+u.RawQuery, text(30), "X-Amz-Meta-A", "  a   b ", "X-Amz-Meta-A", text(0)+"c")
		if res := w.do(r); res.StatusCode >= 400 { // the mux has other ideas of //
			said, _ := io.ReadAll(res.Body)
			t.Errorf("seed %d, request %d: %s %s is refused: %s", seed, i, service, r.URL, said)
		}
	}
}

func TestObjects(t *testing.T) {
	w := start(t)
	bob, vic := w.access(w.add("bob", "member")), w.access(w.add("vic", "viewer"))
	f := func(name string, r *http.Request, code string) {
		t.Helper()
		res := w.do(r)
		text, _ := io.ReadAll(res.Body)
		if code == "" && res.StatusCode != 200 || code != "" && !strings.Contains(string(text), "<Code>"+code+"</Code>") {
			t.Errorf("%s: %d %s, not %q", name, res.StatusCode, text, code)
		}
	}
	f("write", w.signed(bob, "s3", "PUT", "/b/k", "hello"), "")
	f("read", w.signed(vic, "s3", "GET", "/b/k", ""), "")
	f("write as a viewer", w.signed(vic, "s3", "PUT", "/b/k", "hello"), "AccessDenied")
	f("another secret", w.signed(aws.Credentials{AccessKeyID: bob.AccessKeyID, SecretAccessKey: "x"}, "s3", "GET", "/b/k", ""), "SignatureDoesNotMatch")
	f("an unknown key", w.signed(aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "x"}, "s3", "GET", "/b/k", ""), "InvalidAccessKeyId")
	r := w.signed(bob, "s3", "PUT", "/b/k", "hello")
	r.Body = io.NopCloser(strings.NewReader("jello"))
	if w.do(r); w.body == "jello" && w.seen == nil {
		t.Error("nobody came in")
	}

	presign := func(expires string) *http.Request {
		r := w.request(nil, "GET", "/b/k?X-Amz-Expires="+expires, "")
		signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(), bob, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", w.now)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(signed)
		return w.request(nil, "GET", u.RequestURI(), "")
	}
	f("a link", presign("600"), "")
	f("a link of a year", presign("31536000"), "AuthorizationHeaderMalformed")
	late := presign("60")
	w.now = w.now.Add(2 * time.Minute)
	f("a link that has ended", late, "RequestTimeTooSkewed")
	longer := presign("600")
	longer.URL.RawQuery = strings.Replace(longer.URL.RawQuery, "X-Amz-Expires=600", "X-Amz-Expires=6000", 1)
	f("a link made longer", longer, "SignatureDoesNotMatch")
}

// The rights of §17 hold on the AWS API as well.
func TestRolesOnTheAWSAPI(t *testing.T) {
	w := start(t)
	f := func(role string, list, startExecution, update bool) {
		t.Helper()
		c := w.access(w.add("a-"+role, role))
		for action, want := range map[string]bool{"ListExecutions": list, "StartExecution": startExecution, "StopExecution": startExecution, "RedriveExecution": startExecution, "UpdateStateMachine": update, "TestState": update} {
			body := `{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m"}`
			res := w.do(w.signed(c, "states", "POST", "/", body, "X-Amz-Target", sfn+action))
			if want {
				if res.StatusCode != 200 || w.body != body {
					t.Errorf("%s by a %s: %s", action, role, res.Status)
				}
				continue
			}
			var got struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			w.read(res, 400, &got)
			text := "User: arn:aws:iam::123456789012:user/a-" + role + " is not authorized to perform: states:" + action +
				" on resource: arn:aws:states:us-east-1:123456789012:stateMachine:m because no identity-based policy allows the states:" + action + " action"
			if got.Type != "AccessDeniedException" || got.Message != text {
				t.Errorf("%s by a %s: %+v", action, role, got)
			}
		}
	}
	f("viewer", true, false, false)
	f("member", true, true, true)
	f("reviewer", true, false, false)
	f("admin", true, true, true)
	f("owner", true, true, true)
}

func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20261120/us-east-1/states/aws4_request, SignedHeaders=host, Signature=00", "20261120T120000Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261120%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261120T120000Z&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=0")
	f.Add("Bearer lsu_x", "", "")
	var w *world
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		if w == nil {
			w = start(t)
		}
		w.T = t
		w.cfg.Log = slog.New(slog.DiscardHandler)
		w.open()
		for _, path := range []string{"/", "/b/k", "/api/v1/tasks", "/2015-03-31/functions/f/invocations"} {
			r := w.request(http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}}, "POST", path, "{}")
			r.URL.RawQuery = query
			if w.do(r); w.seen != nil {
				t.Errorf("%q %q %q came in at %s", authorization, date, query, path)
			}
		}
	})
}
