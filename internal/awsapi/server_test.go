package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
)

func TestProtocol(t *testing.T) {
	w := newWorld(t)
	set := func(name, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(name, v) } }
	f := func(body string, change func(*http.Request), wantStatus int, want string) {
		t.Helper()
		status, got := w.post("ListActivities", body, change)
		if !strings.HasPrefix(want, "{") {
			got = cut(got, `"__type":"`, `"`)
		}
		if status != wantStatus || got != expand(want) {
			t.Errorf("%.50q: %d %s, want %d %s", body, status, got, wantStatus, want)
		}
	}
	same := func(*http.Request) {}
	const empty = `{'activities':[]}`
	f(`{}`, same, 200, empty)
	f(``, same, 200, empty)
	f(` {"nobody":{"knows":["this"]},"maxResults":null} `, same, 200, empty)
	f(`{}`, set("Content-Type", "application/x-amz-json-1.1"), 200, empty)
	f(`{}`, set("Content-Type", "application/x-amz-json-1.0; charset=utf-8"), 200, empty)
	f(`{}`, set("Content-Type", "application/json"), 415, "UnsupportedMediaTypeException")
	f(`{}`, set("Content-Type", ""), 415, "UnsupportedMediaTypeException")
	f(`{}`, set("X-Amz-Target", ""), 400, "UnknownOperationException")
	f(`{}`, set("X-Amz-Target", "AWSStepFunctions."), 400, "UnknownOperationException")
	f(`{}`, set("X-Amz-Target", "AWSStepFunctions.Nothing"), 400, "UnknownOperationException")
	f(`{}`, set("X-Amz-Target", "DynamoDB_20120810.ListActivities"), 400, "UnknownOperationException")
	f(`{}`, func(r *http.Request) { r.Method = "GET" }, 405, "UnknownOperationException")
	f(`{}`, func(r *http.Request) { r.Host = "sync-states.example.com" }, 200, empty)
	f(`{`, same, 400, "SerializationException")
	f(`[]`, same, 400, "SerializationException")
	f(`null`, same, 400, "SerializationException")
	f(`{} {}`, same, 400, "SerializationException")
	f("{\"x\":\"\xff\"}", same, 400, "SerializationException")
	f(strings.Repeat("[", 100_000), same, 400, "SerializationException")
	f(`{"x":"`+strings.Repeat("x", maxBody)+`"}`, same, 413, "RequestEntityTooLargeException")
	f(`{"x":"`+strings.Repeat("x", maxBody)+`"}`, func(r *http.Request) { r.ContentLength = -1 }, 413, "RequestEntityTooLargeException")
	f(`{}`, func(r *http.Request) { r.Body = io.NopCloser(brokenReader{}) }, 400, "SerializationException")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestPanicIsAnInternalFailure(t *testing.T) {
	w := newWorld(t)
	actions["Panic"] = func(_ *Server, _ context.Context, in *input, _ []byte) ([]byte, error) {
		panic("secret: " + in.text("secret", bounds{}))
	}
	defer delete(actions, "Panic")
	status, body := w.post("Panic", `{"secret":"hunter2"}`)
	if status != 500 || !strings.Contains(body, `"InternalFailure"`) {
		t.Errorf("got %d %s", status, body)
	}
	log := w.log.String()
	if !strings.Contains(log, "action=Panic") || !regexp.MustCompile(`request=[0-9a-f-]{36}`).MatchString(log) || strings.Contains(log, "hunter2") {
		t.Errorf("the log: %s", log)
	}
	w.call("ListActivities", `{}`, `{'activities':[]}`)
}

// A change goes through, and the cache hears of it, though the client has gone
// while it was under way.
func TestWritesOutliveTheirRequest(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)'}`) // now the cache has it
	w.post("UpdateStateMachine", expand(`{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/new'}`), func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)'}`)
	if s := w.engine.starts; len(s) != 2 || s[0].Revision == s[1].Revision {
		t.Errorf("started %+v, want two revisions", s)
	}
}

// Every operation of the service is there.
func TestEveryOperation(t *testing.T) {
	w := newWorld(t)
	if len(actions) != 37 {
		t.Errorf("%d operations, the service has 37", len(actions))
	}
	for name := range actions {
		status, body := w.post(name, `{}`)
		if status >= 500 || strings.Contains(body, "UnknownOperation") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestTimes(t *testing.T) {
	f := func(millis int64, want string) {
		t.Helper()
		if got := string(appendTime(nil, millis)); got != want {
			t.Errorf("%d ms = %s, want %s", millis, got, want)
		}
	}
	f(0, "0.000")
	f(1, "0.001")
	f(1_690_000_000_123, "1690000000.123")
	f(1_690_000_000_000, "1690000000.000")
	f(-1_500, "-1.500")
}

func TestUUID(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := newUUID()
		if !shape.MatchString(id) || seen[id] {
			t.Fatalf("%s is no new UUID", id)
		}
		seen[id] = true
	}
}

// Whatever a request holds, there is an answer, it is JSON, and no defect shows.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m","input":"{}"}`,
		`{"name":"n","definition":"{}","roleArn":"arn:aws:iam::1:role/r","tags":[{"key":"k"}]}`,
		`{"stateMachineArn":"arn:aws:states:us-east-1:222222222222:stateMachine:m:1","name":"222222222222","input":"{}"}`,
		`{"executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:x","nextToken":"AAAAAAAAAAAx","maxResults":5}`,
		`{"taskToken":"1/1/1","output":"1","error":null}`, `{"loggingConfiguration":{"destinations":[{}]}}`,
	} {
		for op := range actions {
			if op != "GetActivityTask" { // waits
				f.Add(op, seed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, op, body string) {
		if op == "GetActivityTask" {
			return
		}
		w := newWorldOf(t, several())
		w.create("m", passes)
		status, answer := w.post(op, body, as(other))
		if _, err := decode(answer); err != nil {
			t.Errorf("%s %q: the answer %q: %v", op, body, answer, err)
		}
		if status == http.StatusInternalServerError {
			t.Errorf("%s %q: %s\n%s", op, body, answer, w.log)
		}
	})
}

// instantEngine starts executions without doing anything.
type instantEngine struct {
	*fakeEngine
	started atomic.Int64
}

func (e *instantEngine) Start(_ context.Context, s store.Start) (store.Execution, error) {
	id := e.started.Add(1)
	return store.Execution{ID: store.ExecutionID(id), Name: "an-execution-with-a-generated-name", StartedAt: noon}, nil
}

func benchmarkServer(b testing.TB) (*Server, string) {
	w := newWorld(b)
	w.create("machine", passes)
	s := NewServer(w.engine.Store, &instantEngine{fakeEngine: w.engine}, Config{})
	b.Cleanup(s.Close)
	return s, fmt.Sprintf(`{"stateMachineArn":%q,"input":%q}`, expand("$sm(machine)"), `{"order":12345,"items":["a","b","c"],"customer":{"name":"Somebody","city":"Somewhere"}}`)
}

// The handler alone.
func BenchmarkStartExecution(b *testing.B) {
	s, body := benchmarkServer(b)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		r := &http.Request{Method: "POST", Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Header: http.Header{
			"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AWSStepFunctions.StartExecution"}}}
		w.Body.Reset()
		s.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// Over HTTP, with the clients in the same process.
func BenchmarkStartExecutionHTTP(b *testing.B) {
	s, body := benchmarkServer(b)
	server := httptest.NewServer(s)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r, _ := http.NewRequest("POST", server.URL, strings.NewReader(body))
			r.Header["Content-Type"] = []string{"application/x-amz-json-1.0"}
			r.Header["X-Amz-Target"] = []string{"AWSStepFunctions.StartExecution"}
			resp, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				b.Error(resp.Status)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "starts/s")
}
