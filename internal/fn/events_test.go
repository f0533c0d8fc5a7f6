package fn

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func accept(t *testing.T, m *Manager, name, payload string) {
	t.Helper()
	if w := invoke(m, name, payload, "X-Amz-Invocation-Type", "Event"); w.Code != 202 || w.Body.Len() > 0 {
		t.Fatalf("an event: %d %s", w.Code, w.Body)
	}
}

func files(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(dir + "/events/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// An event runs without anybody waiting, and leaves nothing behind.
func TestEvent(t *testing.T) {
	dir := t.TempDir()
	m := open(t, Config{Dir: dir})
	add(t, m, "f", self("serve", nil))
	accept(t, m, "f", `{"Print":"done\n"}`)
	await(t, "an event that is done", func() bool {
		return m.List()[0].Invocations == 1 && m.List()[0].Events == 0 && files(t, dir) == 0
	})
}

// An event that has failed too often goes to the dead letter, in Lambda's form.
func TestDeadLetter(t *testing.T) {
	records := make(chan string, 10)
	refused := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused.CompareAndSwap(false, true) {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		text, _ := io.ReadAll(r.Body)
		records <- string(text)
	}))
	defer server.Close()
	dir := t.TempDir()
	m := open(t, Config{Dir: dir, Forward: func(_ context.Context, target string, record []byte) error {
		if target != "arn:aws:sqs:us-east-1:123456789012:q" {
			return errors.New("no such queue")
		}
		records <- string(record)
		return nil
	}})
	one, none := 1, 0
	f := func(name, dead string, retries *int, count float64) {
		t.Helper()
		add(t, m, name, self("serve", func(s *Spec) { s.Retries, s.RetryDelay, s.DeadLetter = retries, Duration(time.Millisecond), dead }))
		accept(t, m, name, `{"Fail":"no"}`)
		var got, want any
		if err := json.Unmarshal([]byte(<-records), &got); err != nil {
			t.Fatal(err)
		}
		id := got.(map[string]any)["requestContext"].(map[string]any)["requestId"]
		want = map[string]any{
			"version":   "1.0",
			"timestamp": got.(map[string]any)["timestamp"],
			"requestContext": map[string]any{
				"requestId": id, "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:" + name + ":$LATEST",
				"condition": "RetriesExhausted", "approximateInvokeCount": count,
			},
			"requestPayload":  map[string]any{"Fail": "no"},
			"responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST", "functionError": "Unhandled"},
			"responsePayload": map[string]any{"errorType": "Error", "errorMessage": "no"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f("url", server.URL, &one, 2) // which is refused once and brought again
	f("queue", "arn:aws:sqs:us-east-1:123456789012:q", &none, 1)
	await(t, "no events", func() bool { return files(t, dir) == 0 })

	// A function as a dead letter gets the record as an event. Its own failure is the end.
	add(t, m, "undertaker", self("serve", func(s *Spec) { s.DeadLetter, s.Retries = "undertaker", &none }))
	add(t, m, "dying", self("serve", func(s *Spec) {
		s.DeadLetter, s.Retries = "arn:aws:lambda:us-east-1:123456789012:function:undertaker", &none
	}))
	accept(t, m, "dying", `{"Exit":1}`)
	await(t, "an undertaker at work", func() bool { return m.find("undertaker", "").info().Invocations == 1 && files(t, dir) == 0 })
}

// An event that has been accepted runs after a restart, with its attempts
// counted.
func TestEventOutlivesServer(t *testing.T) {
	dir := t.TempDir()
	m := open(t, Config{Dir: dir})
	add(t, m, "f", self("serve", func(s *Spec) { s.RetryDelay = Duration(time.Hour) }))
	add(t, m, "g", self("serve", nil))
	gate := t.TempDir() + "/open"
	accept(t, m, "f", `{"Fail":"later"}`)
	accept(t, m, "g", `{"Wait":"`+gate+`"}`)
	await(t, "one that failed and one that runs", func() bool { return m.List()[0].Errors == 1 && m.List()[1].Busy == 1 })
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if n := files(t, dir); n != 2 {
		t.Fatalf("%d events are kept, want 2", n)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/events/broken.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir})
	await(t, "the event that was cut short", func() bool { return again.List()[1].Invocations == 1 && again.List()[1].Events == 0 })
	if i := again.List()[0]; i.Invocations != 0 || i.Events != 1 {
		t.Errorf("the event that waits for its second attempt: %+v", i)
	}
}

// Workers elsewhere serve a function with its key, as header or in the path, and
// nobody else does.
func TestWorkers(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", Spec{Timeout: Duration(100 * time.Millisecond)})
	add(t, m, "other", Spec{})
	server := httptest.NewServer(m)
	defer server.Close()
	for _, key := range []string{"", "f", "f.0123", m.Key("gone"), string(m.key)} {
		for _, url := range []string{"/2018-06-01/runtime/invocation/next", "/workers/" + key + "/2018-06-01/runtime/invocation/next"} {
			req, err := http.NewRequest("GET", server.URL+url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+key)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode/100 == 2 {
				t.Errorf("with the key %q: %s", key, res.Status)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(method, path, body string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(ctx, method, server.URL+"/workers/"+m.Key("f")+"/2018-06-01/runtime/"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, ""
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res, string(text)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			res, payload := ask("GET", "invocation/next", "")
			if res == nil || res.StatusCode != 200 {
				return
			}
			if payload == `"sleep"` {
				continue
			}
			id := res.Header.Get("Lambda-Runtime-Aws-Request-Id")
			if res, text := ask("POST", "invocation/"+id+"/response", payload); res == nil || res.StatusCode != 202 {
				t.Errorf("an answer is refused: %s", text)
			}
			if res, text := ask("POST", "invocation/"+id+"/response", payload); res != nil && res.StatusCode != 400 {
				t.Errorf("a second answer: %s %s", res.Status, text)
			}
		}
	}()
	for range 20 {
		if w := invoke(m, "f", `{"a":1}`); w.Body.String() != `{"a":1}` {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	w := invoke(m, "f", `"sleep"`, "X-Amz-Log-Type", "Tail")
	if !strings.Contains(w.Body.String(), "Sandbox.Timedout") || !strings.Contains(tail(t, w), "Task timed out") {
		t.Errorf("a worker that does not answer: %s", w.Body)
	}
	if w := invoke(m, "f", `1`); w.Body.String() != `1` {
		t.Fatalf("the next call: %d %s", w.Code, w.Body)
	}
	if err := m.Remove("f"); err != nil { // which ends the poll
		t.Fatal(err)
	}
	<-served
}

// The address of a process is for that process alone.
func TestAddressOfProcess(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", self("serve", nil))
	w := invoke(m, "f", `{"Env":true}`)
	_, rest, _ := strings.Cut(w.Body.String(), "AWS_LAMBDA_RUNTIME_API=")
	address, _, _ := strings.Cut(rest, `"`)
	f := func(status int, method, path string, header ...string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s %s %v: %s, want %d", method, path, header, res.Status, status)
		}
	}
	const next = "/2018-06-01/runtime/invocation/next"
	f(403, "GET", next, "Origin", "http://evil.example")
	f(403, "GET", next, "Sec-Fetch-Site", "cross-site")
	f(403, "GET", next, "Host", "evil.example")
	f(400, "POST", "/2018-06-01/runtime/invocation/none/response")
	f(404, "GET", "/2018-06-01/runtime/")
	f(404, "GET", "/api/v1/functions")
	f(200, "POST", "/2020-01-01/extension/register")
}

// Management takes the key, and nothing else will do.
func TestManagement(t *testing.T) {
	m := open(t, Config{})
	f := func(method, path, key, body string, status int, want string) {
		t.Helper()
		r := httptest.NewRequest(method, "/api/v1/functions"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, want)
		}
	}
	key := string(m.key)
	f("PUT", "/f", "", `{"command":["x"]}`, 403, "functions/key")
	f("PUT", "/f", m.Key("f"), `{"command":["x"]}`, 403, "functions/key")
	f("PUT", "/f", key, `{"comand":["x"]}`, 400, "unknown field")
	f("PUT", "/f", key, `{"timeout":"1 hour"}`, 400, "a time such as 3s")
	f("PUT", "/f", key, `{"command":["x"],"env":{"TOKEN":"s3cret"},"timeout":"5s"}`, 200, `"arn:aws:lambda:us-east-1:123456789012:function:f"`)
	f("GET", "", key, "", 200, `"TOKEN":"…"`)
	f("GET", "", key, "", 200, `"timeout":"5s"`)
	f("GET", "/f/key", key, "", 200, m.Key("f"))
	f("GET", "/g/logs", key, "", 404, "no such function")
	f("DELETE", "/g", key, "", 404, "no such function")
	f("DELETE", "/f", key, "", 200, "{}")
	f("POST", "/reload", key, "", 200, "{}")
}

func FuzzInvoke(f *testing.F) {
	m, err := New(Config{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { m.Close() })
	f.Add("f", "q", "Event", "e30=", []byte(`{}`))
	f.Add("arn:aws:lambda:eu-west-1:210987654321:function:f:1", "", "DryRun", "", []byte(`{`))
	f.Fuzz(func(t *testing.T, name, qualifier, mode, context string, body []byte) {
		r := httptest.NewRequest("POST", "/2015-03-31/functions/f/invocations", strings.NewReader(string(body)))
		r.SetPathValue("function", name)
		r.URL.RawQuery = "Qualifier=" + qualifier
		r.Header["X-Amz-Invocation-Type"] = []string{mode}
		r.Header["X-Amz-Client-Context"] = []string{context}
		w := httptest.NewRecorder()
		m.serveInvoke(w, r)
		if w.Code/100 != 4 {
			t.Errorf("there are no functions, and the answer is %d %s", w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is no JSON: %q", w.Body)
		}
	})
}
