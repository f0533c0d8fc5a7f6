package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

// api is the other side: it notes what it was asked and answers as told.
type api struct {
	mu      sync.Mutex
	request string   // as it came, without headers that are no matter
	ids     []string // of Idempotency-Key
	answer  func(w http.ResponseWriter, r *http.Request)
	reached chan struct{}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/slow" {
		a.reached <- struct{}{}
		<-r.Context().Done()
		return
	}
	a.mu.Lock()
	a.ids = append(a.ids, r.Header.Get("Idempotency-Key"))
	r.Header.Del("Idempotency-Key")
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.RequestURI)
	r.Header.Write(&text)
	if len(body) > 0 {
		fmt.Fprintf(&text, "\n%s", body)
	}
	a.request = strings.ReplaceAll(text.String(), "\r\n", "\n")
	a.mu.Unlock()
	w.Header()["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
	if a.answer != nil {
		a.answer(w, r)
	}
}

// fixed is a connection that never changes.
type fixed Authorization

func (f *fixed) Authorize(_ context.Context, arn string, refused *Authorization) (*Authorization, error) {
	if strings.HasSuffix(arn, "/gone") {
		return nil, task.Fail("Events.ConnectionResource.ResourceNotFound", "There is no connection "+arn+".")
	}
	if refused != nil {
		return nil, nil
	}
	return (*Authorization)(f), nil
}

const connection = "arn:aws:events:us-east-1:123456789012:connection/c/1"

func open(t *testing.T, a *api, with Connections) (*Caller, string) {
	server := httptest.NewUnstartedServer(a)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that their callers gave up
	server.StartTLS()
	t.Cleanup(server.Close)
	c := New(Config{Region: "eu-west-1", Transport: server.Client().Transport, Connections: with})
	t.Cleanup(func() { c.Close() })
	return c, server.URL
}

func call(input string) *task.Call {
	r, err := asl.ParseResource("arn:aws:states:::http:invoke")
	if err != nil {
		panic(err)
	}
	return &task.Call{ID: "id-1", Resource: r, Input: input}
}

// parameters are those of a GET with more.
func parameters(url, more string) string {
	if more != "" {
		more = "," + more
	}
	if !strings.Contains(more, `"Method"`) {
		more += `,"Method":"GET"`
	}
	return `{"ApiEndpoint":"` + url + `","Authentication":{"ConnectionArn":"` + connection + `"}` + more + `}`
}

func TestIntegration(t *testing.T) {
	tasktest.Run(t, func(t *testing.T) *tasktest.Subject {
		a := &api{reached: make(chan struct{}, 100), answer: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }}
		c, url := open(t, a, &fixed{})
		return &tasktest.Subject{
			Integration: c, Good: *call(parameters(url, `"Method":"POST"`)), Slow: *call(parameters(url+"/slow", "")), Reached: a.reached,
			Bad: []task.Call{*call("{}"), *call("[]"), *call(parameters("http://127.0.0.1:1", "")), *call(strings.Replace(parameters(url, ""), "c/1", "c/gone", 1))},
			IDs: func() []string { a.mu.Lock(); defer a.mu.Unlock(); return a.ids },
		}
	})
}

func TestRequest(t *testing.T) {
	a := &api{}
	with := &fixed{}
	c, url := open(t, a, with)
	f := func(path, more, want string) {
		t.Helper()
		_, err := c.Run(t.Context(), call(parameters(url+path, more)))
		got := a.request
		if err != nil {
			got = err.Error()
			if _, detail, ok := strings.Cut(got, "start the Task: "); ok {
				got = detail
			}
		}
		if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", path, more, diff)
		}
	}
	const agent = "Range: bytes=0-262144\nUser-Agent: Amazon|StepFunctions|HttpInvoke|eu-west-1\n"
	f("/a/b?x=1#part", "", "GET /a/b?x=1\n"+agent)
	f("/", `"QueryParameters":{"q":"a b&c","n":1,"list":["x","y"],"none":null}`, "GET /?q=a%20b%26c&n=1&list=x&list=y&none=\n"+agent)
	f("/", `"Headers":{"X-One":"1","x-two":["2","3"],"User-Agent":"me"}`, "GET /\nRange: bytes=0-262144\nUser-Agent: me\nX-One: 1\nX-Two: 2\nX-Two: 3\n")
	f("/", `"Method":"POST","RequestBody":{"a":[1,"é"]}`, "POST /\nContent-Length: 14\nContent-Type: application/json; charset=UTF-8\n"+agent+"\n{\"a\":[1,\"é\"]}")
	f("/", `"Method":"PUT","RequestBody":"<a/>","Headers":{"Content-Type":"text/xml"}`, "PUT /\nContent-Length: 4\nContent-Type: text/xml\n"+agent+"\n<a/>")

	form := func(options, body, want string) {
		t.Helper()
		f("/", `"Method":"POST","Headers":{"content-type":"application/x-www-form-urlencoded"},"Transform":{"RequestBodyEncoding":"URL_ENCODED"`+options+`},"RequestBody":`+body,
			fmt.Sprintf("POST /\nContent-Length: %d\nContent-Type: application/x-www-form-urlencoded\n%s\n%s", len(want), agent, want))
	}
	form("", `{"a":"x y","b":{"c":true,"d":[1]},"e":null}`, "a=x%20y&b%5Bc%5D=true&b%5Bd%5D%5B0%5D=1&e=")
	list := `{"l":["a","b,c",{"k":1}]}`
	form(`,"RequestEncodingOptions":{"ArrayFormat":"INDICES"}`, list, "l%5B0%5D=a&l%5B1%5D=b%2Cc&l%5B2%5D%5Bk%5D=1")
	form(`,"RequestEncodingOptions":{"ArrayFormat":"REPEAT"}`, list, "l=a&l=b%2Cc&l%5B2%5D%5Bk%5D=1")
	form(`,"RequestEncodingOptions":{"ArrayFormat":"BRACKETS"}`, list, "l%5B%5D=a&l%5B%5D=b%2Cc&l%5B2%5D%5Bk%5D=1")
	form(`,"RequestEncodingOptions":{"ArrayFormat":"COMMAS"}`, `{"l":["a",1],"m":[{"k":1}]}`, "l=a%2C1&m%5B0%5D%5Bk%5D=1")

	// What the connection says comes in the place of what the definition says.
	*with = fixed{Headers: []Param{{"Authorization", "Bearer t"}, {"X-One", "c"}}, Query: []Param{{"q", "c"}}}
	f("/?q=1&r=2", `"QueryParameters":{"q":"d","s":3},"Headers":{"x-one":"d"}`, "GET /?r=2&s=3&q=c\nAuthorization: Bearer t\n"+agent+"X-One: c\n")
	*with = fixed{Body: []Param{{"key", "c"}}}
	f("/", `"Method":"POST","RequestBody":{"key":1,"a":2}`, "POST /\nContent-Length: 17\nContent-Type: application/json; charset=UTF-8\n"+agent+"\n{\"key\":\"c\",\"a\":2}")
	f("/", `"Method":"POST"`, "POST /\nContent-Length: 11\nContent-Type: application/json; charset=UTF-8\n"+agent+"\n{\"key\":\"c\"}")
	f("/", `"Method":"POST","RequestBody":"text"`, "[The connection has body parameters, which can only be added to a RequestBody that is an object]")

	*with = fixed{}
	f("/", `"Method":"TRACE"`, "[The value of the field 'Method' has an invalid format]")
	f("/", `"Methods":1`, "[The field 'Methods' is not supported by Step Functions]")
	f("/", `"Headers":{"Authorization":"x"}`, "[The header 'Authorization' is not supported by HTTP Task]")
	f("/", `"Headers":{"X-Amz-Date":"x"}`, "[The header 'X-Amz-Date' is not supported by HTTP Task]")
	f("/", `"Headers":{"x-forwarded-for":"x"}`, "[The header 'x-forwarded-for' is not supported by HTTP Task]")
	f("/", `"Headers":{"a b":"x"}`, "[The value of the field 'Headers' has an invalid format]")
	f("/", `"Headers":{"a":"x\r\nb: y"}`, "[The value of the field 'Headers' has an invalid format]")
	f("/", `"Headers":{"a":{}}`, "[The value of the field 'Headers' has an invalid format]")
	f("/", `"QueryParameters":"a=b"`, "[The value of the field 'QueryParameters' has an invalid format]")
	f("/", `"Method":"POST","Transform":{"RequestBodyEncoding":"URL_ENCODED"},"RequestBody":{}`,
		"[The header 'Content-Type' must be 'application/x-www-form-urlencoded' where RequestBodyEncoding is 'URL_ENCODED']")
	f("/", `"Transform":{"RequestBodyEncoding":"XML"}`, "[The value of the field 'Transform' has an invalid format]")
	f("/", `"Transform":{"RequestEncodingOptions":{"ArrayFormat":"X"}}`, "[The value of the field 'Transform' has an invalid format]")
}

func TestConnectionField(t *testing.T) {
	c, url := open(t, &api{}, &fixed{})
	f := func(input, want string) {
		t.Helper()
		got := "ok"
		if _, err := c.Run(t.Context(), call(input)); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s", input, got)
		}
	}
	f(`{"ApiEndpoint":"`+url+`","Method":"GET","InvocationConfig":{"ConnectionArn":"`+connection+`"}}`, "ok")
	f(`{"ApiEndpoint":"`+url+`","Method":"GET"}`, "[The field 'ConnectionArn' is required but was missing]")
	f(`{"ApiEndpoint":"`+url+`","Method":"GET","Authentication":{"ConnectionArn":1}}`, "[The value of the field 'Authentication' has an invalid format]")
	f(`{"Method":"GET"}`, "[The field 'ApiEndpoint' is required but was missing]")
	f(`{"ApiEndpoint":"api","Method":"GET"}`, "[The value of the field 'ApiEndpoint' has an invalid format]")
}

func TestAnswer(t *testing.T) {
	a := &api{}
	c, url := open(t, a, &fixed{})
	f := func(status int, kind, body, want string) {
		t.Helper()
		a.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
		r, err := c.Run(t.Context(), call(parameters(url, "")))
		got := r.Output
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d %s %.40q (-want +got):\n%s", status, kind, body, diff)
		}
	}
	result := func(kind string, length int, body string) string {
		return fmt.Sprintf(`{"Headers":{"content-length":["%d"],"content-type":["%s"],"date":["Thu, 01 Jan 2026 00:00:00 GMT"]},"ResponseBody":%s,"StatusCode":200,"StatusText":"OK"}`, length, kind, body)
	}
	f(200, "application/json; charset=utf-8", `{"a":1.50}`, result("application/json; charset=utf-8", 10, `{"a":1.50}`))
	f(200, "application/problem+json", `[]`, result("application/problem+json", 2, `[]`))
	f(200, "application/json", `{`, result("application/json", 1, `"{"`))
	f(200, "text/plain", `{"a":1}`, result("text/plain", 7, `"{\"a\":1}"`))
	f(200, "text/html; charset=iso-8859-1", "\xe9", result("text/html; charset=iso-8859-1", 1, `"é"`))
	f(200, "text/plain", "\xe9", "States.Runtime: The HTTP Task got a response that cannot be read as text.")
	for _, kind := range []string{"application/octet-stream", "image/png", "audio/mpeg", "video/mp4"} {
		f(200, kind, "x", "States.Runtime: The HTTP Task got a response with the content type "+kind+", which is not supported.")
	}
	f(404, "application/json", `{"message":"no"}`, `States.Http.StatusCode.404: {"message":"no"}`)
	f(503, "text/html", "", "States.Http.StatusCode.503: Service Unavailable")
	f(500, "image/png", "\xff", "States.Http.StatusCode.500: Internal Server Error")
	f(301, "text/plain", "moved", "States.Http.StatusCode.301: moved")
	f(200, "text/plain", strings.Repeat("x", 256<<10), result("text/plain", 256<<10, `"`+strings.Repeat("x", 256<<10)+`"`))
	f(200, "text/plain", strings.Repeat("x", 256<<10+1),
		"States.DataLimitExceeded: The state/task 'http' returned a result with a size exceeding the maximum number of bytes service limit.")
	f(404, "text/plain", strings.Repeat("x", 100<<10), "States.Http.StatusCode.404: "+strings.Repeat("x", 32<<10))
}

// A server that keeps to Range sends no more than a result can hold; what it
// leaves out must not go unnoticed.
func TestRange(t *testing.T) {
	whole := strings.Repeat("x", 300<<10)
	a := &api{answer: func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", httpTime, strings.NewReader(whole))
	}}
	c, url := open(t, a, &fixed{})
	var failed *task.Error
	if _, err := c.Run(t.Context(), call(parameters(url, ""))); !errors.As(err, &failed) || *failed.Name != "States.DataLimitExceeded" {
		t.Errorf("%v", err)
	}
	whole = "short"
	if r, err := c.Run(t.Context(), call(parameters(url, ""))); err != nil || !strings.Contains(r.Output, `"ResponseBody":"short","StatusCode":206`) {
		t.Errorf("%s %v", r.Output, err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other server was called") }))
	defer other.Close()
	a := &api{answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }}
	c, url := open(t, a, &fixed{})
	var failed *task.Error
	if _, err := c.Run(t.Context(), call(parameters(url, ""))); !errors.As(err, &failed) || *failed.Name != "States.Http.StatusCode.302" {
		t.Errorf("%v", err)
	}
}

// never answers.
type never struct{}

func (never) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Transport: never{}, Connections: &fixed{}})
		_, err := c.Run(t.Context(), call(parameters("https://api.example.com", "")))
		if err == nil || err.Error() != "States.Http.Socket: api.example.com did not answer within 60 seconds." {
			t.Error(err)
		}
	})
}

func TestSocket(t *testing.T) {
	a := &api{}
	_, url := open(t, a, &fixed{})
	c := New(Config{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}, Connections: &fixed{}}) // does not know the server's roots
	defer c.Close()
	var failed *task.Error
	if _, err := c.Run(t.Context(), call(parameters(url, ""))); !errors.As(err, &failed) || *failed.Name != "States.Http.Socket" {
		t.Errorf("%v", err)
	}
}

// renewed has another token at each refusal, two in all.
type renewed struct{ asked []string }

func (r *renewed) Authorize(_ context.Context, _ string, refused *Authorization) (*Authorization, error) {
	token := "old-token"
	if refused != nil {
		token = "new-token"
	}
	r.asked = append(r.asked, token)
	return &Authorization{Headers: []Param{{"Authorization", "Bearer " + token}}, Secrets: []string{token}}, nil
}

func TestRefusedAuthorization(t *testing.T) {
	f := func(accepts, want string) {
		t.Helper()
		a := &api{answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+accepts {
				w.WriteHeader(http.StatusUnauthorized)
			}
			io.WriteString(w, "you said "+r.Header.Get("Authorization"))
		}}
		with := &renewed{}
		c, url := open(t, a, with)
		r, err := c.Run(t.Context(), call(parameters(url, "")))
		got := r.Output
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "-token") {
			t.Errorf("%s", got)
		}
	}
	f("old-token", `"you said Bearer [secret]"`)
	f("new-token", `"you said Bearer [secret]"`)
	f("other", `States.Http.StatusCode.401: you said Bearer [secret]`)
}

// An API that repeats what it was sent gives no secret away.
func TestSecretsStayOut(t *testing.T) {
	secret := `p"a\s/s wörd`
	with := &fixed{Headers: []Param{{"X-Key", secret}}, Query: []Param{{"k", secret}}, Secrets: []string{secret, "abc"}}
	a := &api{}
	c, url := open(t, a, with)
	for _, status := range []int{200, 400} {
		for _, kind := range []string{"text/plain", "application/json"} {
			a.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", kind)
				w.Header().Set("X-Echo", r.Header.Get("X-Key"))
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"key":"p\"a\\s/s wörd","query":%q,"abc":1}`, r.URL.RawQuery)
			}
			r, err := c.Run(t.Context(), call(parameters(url, "")))
			got := r.Output + fmt.Sprint(err)
			for _, part := range []string{`s/s`, `s%2Fs`, "wörd"} {
				if strings.Contains(got, part) {
					t.Errorf("%d %s: %s", status, kind, got)
				}
			}
			if !strings.Contains(got, "abc") {
				t.Errorf("a short text is hidden: %s", got)
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(parameters("https://api.example.com/a?b=c", `"Method":"POST","RequestBody":{"a":[1]},"Transform":{"RequestBodyEncoding":"URL_ENCODED"},"Headers":{"Content-Type":"application/x-www-form-urlencoded"}`))
	f.Fuzz(func(t *testing.T, input string) {
		r, err := readRequest(input)
		if err != nil {
			return
		}
		req, err := r.build(t.Context(), Config{MaxResult: 1}, "id", &Authorization{Query: []Param{{"a", "b"}}})
		if err == nil && req.URL.Host == "" {
			t.Errorf("%s: no host", input)
		}
	})
}

var httpTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
