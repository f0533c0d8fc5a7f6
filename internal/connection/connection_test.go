package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/connection"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	httptask "github.com/lockstep-run/lockstep/internal/task/http"
)

// authority answers requests for tokens: token-1, token-2, …
type authority struct {
	mu       sync.Mutex
	requests []string
	answer   func(n int) (status int, body string)
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body))
	status, text := 200, fmt.Sprintf(`{"access_token":"token-%d","token_type":"bearer","expires_in":3600}`, len(a.requests))
	if a.answer != nil {
		status, text = a.answer(len(a.requests))
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

type world struct {
	*testing.T
	*connection.Connections
	store     store.Store
	authority *authority
}

func open(t *testing.T, declared ...connection.Spec) *world {
	return openOn(t, memory.New(), filepath.Join(t.TempDir(), seal.FileName), declared...)
}

func openOn(t *testing.T, st store.Store, key string, declared ...connection.Spec) *world {
	a := &authority{}
	c, err := connection.New(connection.Config{
		Store: st, Key: seal.At(key), Scheme: arn.Default, Declared: declared, Client: &http.Client{Transport: a},
		Write: func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			batch := &store.Commit{Writes: []store.Write{{Do: do}}}
			return errors.Join(st.Commit(ctx, batch), batch.Writes[0].Err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, c, st, a}
}

var ctx = context.Background()

func (w *world) put(s connection.Spec) connection.View {
	w.Helper()
	v, err := w.Put(ctx, s)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// adds is what a connection adds, in a line.
func (w *world) adds(arn string) string {
	a, err := w.Authorize(ctx, arn, nil)
	if err != nil {
		return err.Error()
	}
	return show(a)
}

func show(a *httptask.Authorization) string { return fmt.Sprint(a.Headers, a.Query, a.Body) }

const prefix = "arn:aws:events:us-east-1:123456789012:connection/"

func basic(name string) connection.Spec {
	return connection.Spec{Name: name, Kind: connection.Basic, Username: "ann", Password: "swordfish"}
}

func client(name string) connection.Spec {
	return connection.Spec{Name: name, Kind: connection.OAuth, ClientID: "id", ClientSecret: "swordfish", TokenURL: "https://auth.example.com/token"}
}

func TestKinds(t *testing.T) {
	w := open(t)
	f := func(s connection.Spec, want string) {
		t.Helper()
		if got := w.adds(w.put(s).ARN); got != want {
			t.Errorf("%s adds %s, want %s", s.Name, got, want)
		}
	}
	f(basic("a"), "[{Authorization Basic YW5uOnN3b3JkZmlzaA==}] [] []")
	f(connection.Spec{Name: "b", Kind: connection.APIKey, KeyName: "X-Key", KeyValue: "swordfish", Params: []connection.Param{
		{In: "header", Key: "H", Value: "1"}, {In: "query", Key: "q", Value: "2", Secret: true}, {In: "body", Key: "b", Value: "3"}}},
		"[{X-Key swordfish} {H 1}] [{q 2}] [{b 3}]")
	f(client("c"), "[{Authorization Bearer token-1}] [] []")
}

func TestNames(t *testing.T) {
	w := open(t, basic("declared"))
	v := w.put(basic("a"))
	if !strings.HasPrefix(v.ARN, prefix+"a/") {
		t.Error(v.ARN)
	}
	f := func(arn string, found bool) {
		t.Helper()
		if got := w.adds(arn); strings.Contains(got, "Authorization") != found {
			t.Errorf("%s: %s", arn, got)
		}
	}
	f(v.ARN, true)
	f("arn:aws:events:eu-west-1:999999999999:connection/a/81210c42-8af1-456b-9c4a-6ff02fc664ac", true) // of a definition from elsewhere
	f(prefix+"declared/x", true)
	f(prefix+"b/x", false)
	f("arn:aws:events:us-east-1:123456789012:rule/a", false)
	f("a", false)
	f("", false)
	if got, want := w.adds(prefix+"b/x"), "Events.ConnectionResource.ResourceNotFound: There is no connection b on this server. Make it: lockstep connection add b"; got != want {
		t.Error(got)
	}
}

func TestReplaceAndDelete(t *testing.T) {
	w := open(t, basic("declared"))
	first := w.put(basic("a"))
	changed := basic("a")
	changed.Username, changed.Password = "bob", "" // the secret stays
	if second := w.put(changed); second.ARN != first.ARN {
		t.Errorf("%s became %s", first.ARN, second.ARN)
	}
	if got, want := w.adds(first.ARN), "[{Authorization Basic Ym9iOnN3b3JkZmlzaA==}] [] []"; got != want {
		t.Error(got)
	}
	other := connection.Spec{Name: "a", Kind: connection.APIKey, KeyName: "K"}
	if _, err := w.Put(ctx, other); err == nil || !strings.Contains(err.Error(), "API_KEY needs key_value") {
		t.Error(err)
	}
	if err := w.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := w.Delete(ctx, "a"); err == nil || err.Error() != `There is no connection "a".` {
		t.Error(err)
	}
	if _, err := w.Put(ctx, basic("declared")); err == nil {
		t.Error("a declared connection is replaced")
	}
	if err := w.Delete(ctx, "declared"); err == nil {
		t.Error("a declared connection is deleted")
	}
}

func TestValidate(t *testing.T) {
	f := func(change func(*connection.Spec), want string) {
		t.Helper()
		s := client("a")
		change(&s)
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(func(s *connection.Spec) { s.Kind = "X" }, "type must be BASIC, API_KEY or OAUTH_CLIENT_CREDENTIALS")
	f(func(s *connection.Spec) { s.Name = "a b" }, "a name has 1 to 64 letters, digits, dots, hyphens and underscores")
	f(func(s *connection.Spec) { s.ClientSecret = "" }, "OAUTH_CLIENT_CREDENTIALS needs client_secret")
	f(func(s *connection.Spec) { s.TokenURL = "https://a:b@c" }, "token_url must be an address with https://, without a password")
	f(func(s *connection.Spec) { s.TokenMethod = "PATCH" }, "token_method must be POST, GET or PUT")
	f(func(s *connection.Spec) { s.TokenAuth = "both" }, "token_auth must be body or basic")
	f(func(s *connection.Spec) { s.ClientID = "a\nb" }, "client_id is longer than 2048 bytes, or has more than one line")
	f(func(s *connection.Spec) { s.Params = []connection.Param{{In: "path", Key: "a"}} }, "params: in must be header, query or body")
	f(func(s *connection.Spec) { s.Params = []connection.Param{{In: "header", Key: "a b"}} }, `params: "a b" cannot be a header`)
	f(func(s *connection.Spec) { s.TokenParams = []connection.Param{{In: "query"}} }, "token_params: a key or value is empty or has more than 512 bytes")
	s := basic("a")
	s.Username = "a:b"
	if err := s.Validate(); err == nil {
		t.Error("a user name with a colon passes")
	}
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		at := w.put(client("c")).ARN
		f := func(want string, requests int) {
			t.Helper()
			if got := w.adds(at); got != "[{Authorization Bearer "+want+"}] [] []" || len(w.authority.requests) != requests {
				t.Errorf("%s after %d requests, want %s after %d", got, len(w.authority.requests), want, requests)
			}
		}
		var wg sync.WaitGroup
		for range 20 { // all wait for the one
			wg.Go(func() { w.adds(at) })
		}
		wg.Wait()
		f("token-1", 1)
		time.Sleep(58 * time.Minute)
		f("token-1", 1)
		time.Sleep(2 * time.Minute) // less than a minute is left
		f("token-2", 2)

		// One that the API refused is not used again, and what two calls saw
		// refused is renewed once.
		old, err := w.Authorize(ctx, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			a, err := w.Authorize(ctx, at, old)
			if err != nil || show(a) != "[{Authorization Bearer token-3}] [] []" {
				t.Errorf("%v %v", a, err)
			}
		}
		w.put(client("c")) // whoever changes a connection wants to see it work
		f("token-4", 4)
	})
}

func TestTokenRequests(t *testing.T) {
	f := func(change func(*connection.Spec), want string) {
		t.Helper()
		w := open(t)
		s := client("c")
		change(&s)
		w.adds(w.put(s).ARN)
		if diff := cmp.Diff([]string{want}, w.authority.requests); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f(func(*connection.Spec) {}, "POST https://auth.example.com/token  client_id=id&client_secret=swordfish&grant_type=client_credentials")
	f(func(s *connection.Spec) { s.TokenAuth = "basic" }, "POST https://auth.example.com/token Basic aWQ6c3dvcmRmaXNo grant_type=client_credentials")
	f(func(s *connection.Spec) {
		s.TokenParams = []connection.Param{{In: "body", Key: "scope", Value: "read"}, {In: "query", Key: "v", Value: "2"}}
	}, "POST https://auth.example.com/token?v=2  client_id=id&client_secret=swordfish&grant_type=client_credentials&scope=read")
	f(func(s *connection.Spec) { s.TokenMethod = "GET" },
		"GET https://auth.example.com/token?client_id=id&client_secret=swordfish&grant_type=client_credentials  ")
	f(func(s *connection.Spec) {
		s.TokenParams = []connection.Param{{In: "header", Key: "Content-Type", Value: "application/json"}}
	}, `POST https://auth.example.com/token  {"client_id":"id","client_secret":"swordfish","grant_type":"client_credentials"}`)
}

func TestTokenFailures(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		w := open(t)
		w.authority.answer = func(int) (int, string) { return status, body }
		got := w.adds(w.put(client("c")).ARN)
		if want = "Events.ConnectionResource.InvalidConnectionState: Connection c got no token: " + want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(401, `{"error":"invalid_client","error_description":"swordfish is wrong"}`, "the authorization server answered with status 401, invalid_client.")
	f(400, `{"error":"swordfish"}`, "the authorization server answered with status 400.")
	f(500, `swordfish`, "the authorization server answered with status 500.")
	f(302, ``, "the authorization server answered with status 302.")
	f(200, `{}`, "the authorization server's answer has no access_token.")
	f(200, `swordfish`, "the authorization server's answer has no access_token.")
	f(200, `{"access_token":"a\r\nX: y"}`, "the authorization server's answer has no access_token.")
}

// Whatever is read, and whatever is on the disk, no secret is in it.
func TestSecretsStayIn(t *testing.T) {
	dir := t.TempDir()
	st, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := openOn(t, st, filepath.Join(dir, seal.FileName), basic("declared"))
	mux := http.NewServeMux()
	w.Register(mux)
	var seen strings.Builder
	ask := func(method, path, body string, status int) {
		t.Helper()
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1"
		a := httptest.NewRecorder()
		mux.ServeHTTP(a, r)
		if a.Code != status {
			t.Errorf("%s %s: %d %s", method, path, a.Code, a.Body)
		}
		fmt.Fprintf(&seen, "%s %s: %s\n", method, path, a.Body)
	}
	secret := connection.Param{In: "header", Key: "S", Value: "swordfish", Secret: true}
	for _, s := range []connection.Spec{basic("a"), client("b"), {Name: "c", Kind: connection.APIKey, KeyName: "K", KeyValue: "swordfish"}} {
		s.Params, s.TokenParams = []connection.Param{secret}, []connection.Param{secret}
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		ask("POST", "/api/v1/connections", string(body), 200)
		ask("GET", "/api/v1/connections/"+s.Name, "", 200)
		ask("POST", "/api/v1/connections/"+s.Name+"/test", `{}`, 200)
	}
	w.authority.answer = func(int) (int, string) { return 500, "swordfish" }
	ask("POST", "/api/v1/connections/b/test", `{}`, 200)
	ask("GET", "/api/v1/connections", "", 200)
	ask("GET", "/api/v1/connections/declared", "", 200)
	ask("POST", "/api/v1/connections", `{"name":"a","type":"BASIC","username":"a:b","password":"swordfish"}`, 400)
	ask("POST", "/api/v1/connections", `{"password":"swordfish","passwort":1}`, 400)
	ask("DELETE", "/api/v1/connections/a", "", 204)
	ask("GET", "/api/v1/connections/a", "", 404)
	for _, form := range []string{"swordfish", "YW5uOnN3b3JkZmlzaA"} {
		if strings.Contains(seen.String(), form) {
			t.Errorf("an answer holds the secret:\n%s", seen.String())
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "swordfish") {
			t.Errorf("%s holds the secret", path)
		}
	}
}

func TestOtherMachinesAreRefused(t *testing.T) {
	w := open(t)
	mux := http.NewServeMux()
	w.Register(mux)
	f := func(remote, host string, want int) {
		t.Helper()
		r := httptest.NewRequest("GET", "http://"+host+"/api/v1/connections", nil)
		r.RemoteAddr = remote
		a := httptest.NewRecorder()
		if mux.ServeHTTP(a, r); a.Code != want {
			t.Errorf("%s asks %s: %d", remote, host, a.Code)
		}
	}
	f("127.0.0.1:5", "127.0.0.1:8083", 200)
	f("[::1]:5", "localhost:8083", 200)
	f("10.0.0.1:5", "127.0.0.1:8083", 403)
	f("127.0.0.1:5", "evil.example:8083", 403) // a page that pointed its own name here
}

// A connection whose key is gone says so where it is used.
func TestLostKey(t *testing.T) {
	st := memory.New()
	at := openOn(t, st, filepath.Join(t.TempDir(), seal.FileName)).put(basic("a")).ARN
	w := openOn(t, st, filepath.Join(t.TempDir(), seal.FileName))
	if got := w.adds(at); !strings.HasPrefix(got, "Events.ConnectionResource.InvalidConnectionState: the secrets of connection a: ") || !strings.Contains(got, "the master key is missing") {
		t.Error(got)
	}
	var failed *task.Error
	if _, err := w.Authorize(ctx, at, nil); !errors.As(err, &failed) {
		t.Error(err)
	}
	w.put(basic("a")) // entered anew
	if got := w.adds(at); !strings.Contains(got, "Authorization") {
		t.Error(got)
	}
}
