package lambda_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/lambda"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

const account = "arn:aws:lambda:us-east-1:123456789012:function:"

// service answers for Lambda and notes what it was asked.
type service struct {
	url     string
	mu      sync.Mutex
	seen    []*http.Request
	bodies  []string
	answer  http.HandlerFunc
	reached chan struct{}
}

// serve starts a service and leads AWS's endpoint to it.
func serve(t testing.TB, answer http.HandlerFunc) *service {
	s := &service{answer: answer, reached: make(chan struct{}, 1)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	environment(t, server.URL)
	return s
}

func environment(t testing.TB, url string) {
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL_LAMBDA": url, "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
		"AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "",
	} {
		t.Setenv(name, v)
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
	s.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.answer(w, r)
}

func (s *service) last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1], s.bodies[len(s.bodies)-1]
}

func (s *service) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, r := range s.seen {
		ids = append(ids, r.Header.Get("Idempotency-Key"))
	}
	return ids
}

// echo answers as AWS does for a function that returns its input.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := w.Header()
	h["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
	h["x-amzn-RequestId"] = []string{"r-1"}
	h["x-amzn-Remapped-Content-Length"] = []string{"0"}
	h.Set("X-Amz-Executed-Version", "$LATEST")
	h.Set("X-Amzn-Trace-Id", "root=1-2-3;sampled=0")
	h.Set("Connection", "keep-alive")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.Write(body)
}

func caller(t testing.TB, c lambda.Config) *lambda.Caller {
	t.Helper()
	c.Region = "us-east-1"
	l, err := lambda.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func call(resource, input string) *task.Call {
	r, err := asl.ParseResource(resource)
	if err != nil {
		panic(err)
	}
	return &task.Call{ID: "x/1", Resource: r, Input: input}
}

func invokeCall(input string) *task.Call { return call("arn:aws:states:::lambda:invoke", input) }

func TestSuite(t *testing.T) {
	hang := func(s *service) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "slow"):
				s.reached <- struct{}{}
				<-r.Context().Done()
			case strings.Contains(r.URL.Path, "bad"):
				w.Header().Set("X-Amz-Function-Error", "Unhandled")
				io.WriteString(w, `{"errorType":"Bad","errorMessage":"no"}`)
			default:
				echo(w, r)
			}
		}
	}
	subject := func(t *testing.T, c lambda.Config, s *service) *tasktest.Subject {
		return &tasktest.Subject{
			Integration: caller(t, c),
			Good:        *invokeCall(`{"FunctionName":"f","Payload":{"a":1}}`),
			Bad: []task.Call{
				*invokeCall(`{"FunctionName":"bad"}`), *invokeCall(`{}`), *invokeCall(`[]`),
				*call(account+"bad", `{}`),
			},
			Slow:    *invokeCall(`{"FunctionName":"slow"}`),
			Reached: s.reached,
			IDs:     s.ids,
		}
	}
	t.Run("Invoke", func(t *testing.T) {
		tasktest.Run(t, func(t *testing.T) *tasktest.Subject {
			s := serve(t, nil)
			s.answer = hang(s)
			return subject(t, lambda.Config{}, s)
		})
	})
	t.Run("URL", func(t *testing.T) {
		tasktest.Run(t, func(t *testing.T) *tasktest.Subject {
			s := serve(t, nil)
			s.answer = hang(s)
			t.Setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
			return subject(t, lambda.Config{Functions: map[string]lambda.Function{
				"f": {URL: s.url + "/f"}, "bad": {URL: s.url + "/bad"}, "slow": {URL: s.url + "/slow"},
			}}, s)
		})
	})
}

// The members and their order are as AWS was recorded to give them.
func TestInvokeResult(t *testing.T) {
	serve(t, echo)
	r, err := caller(t, lambda.Config{}).Run(t.Context(), invokeCall(`{"FunctionName":"f","Payload":{ "n": 1.0 }}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"ExecutedVersion":"$LATEST","Payload":{"n":1.0},"SdkHttpMetadata":{"AllHttpHeaders":{` +
		`"X-Amz-Executed-Version":["$LATEST"],"x-amzn-Remapped-Content-Length":["0"],"Connection":["keep-alive"],` +
		`"x-amzn-RequestId":["r-1"],"Content-Length":["9"],"Date":["Thu, 01 Jan 2026 00:00:00 GMT"],` +
		`"X-Amzn-Trace-Id":["root=1-2-3;sampled=0"],"Content-Type":["application/json"]},"HttpHeaders":{` +
		`"Connection":"keep-alive","Content-Length":"9","Content-Type":"application/json",` +
		`"Date":"Thu, 01 Jan 2026 00:00:00 GMT","X-Amz-Executed-Version":"$LATEST","x-amzn-Remapped-Content-Length":"0",` +
		`"x-amzn-RequestId":"r-1","X-Amzn-Trace-Id":"root=1-2-3;sampled=0"},"HttpStatusCode":200},` +
		`"SdkResponseMetadata":{"RequestId":"r-1"},"StatusCode":200}`
	if diff := cmp.Diff(want, r.Output); diff != "" {
		t.Error(diff)
	}
}

func TestRequest(t *testing.T) {
	s := serve(t, echo)
	l := caller(t, lambda.Config{})
	f := func(c *task.Call, uri, body string, header ...string) {
		t.Helper()
		if _, err := l.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r, sent := s.last()
		if r.Method != "POST" || r.RequestURI != uri {
			t.Errorf("%s %s, want POST %s", r.Method, r.RequestURI, uri)
		}
		if sent != body {
			t.Errorf("sent %s, want %s", sent, body)
		}
		if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKTEST/") ||
			!strings.Contains(a, "/us-east-1/lambda/aws4_request") {
			t.Errorf("signed as %q", a)
		}
		for i := 0; i < len(header); i += 2 {
			if got := r.Header.Get(header[i]); got != header[i+1] {
				t.Errorf("%s is %q, want %q", header[i], got, header[i+1])
			}
		}
	}
	const path = "/2015-03-31/functions/"
	f(call(account+"f", `[1, 2]`), path+"arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations", `[1, 2]`)
	f(call(account+"f:live", `null`), path+"arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3Alive/invocations", `null`)
	f(invokeCall(`{"FunctionName":"f"}`), path+"f/invocations", `{}`)
	f(invokeCall(`{"FunctionName":"f","Payload":null}`), path+"f/invocations", `{}`)
	f(invokeCall(`{"FunctionName":"f","Payload":"0.0"}`), path+"f/invocations", `0.0`)
	f(invokeCall(`{"FunctionName":"f","Payload":"two words"}`), path+"f/invocations", `"two words"`)
	f(invokeCall(`{"FunctionName":"../a b?c","Qualifier":"$LATEST"}`), path+"..%2Fa%20b%3Fc/invocations?Qualifier=%24LATEST", `{}`)
	f(invokeCall(`{"FunctionName":"f","InvocationType":"Event","LogType":"Tail","ClientContext":{"a":1},"Payload":[]}`),
		path+"f/invocations", `[]`,
		"X-Amz-Invocation-Type", "Event", "X-Amz-Log-Type", "Tail", "X-Amz-Client-Context", "eyJhIjoxfQ==", "Idempotency-Key", "x/1")
}

func TestPayloads(t *testing.T) {
	var body string
	serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	l := caller(t, lambda.Config{})
	f := func(answer, want string) {
		t.Helper()
		body = answer
		r, err := l.Run(t.Context(), call(account+"f", `{}`))
		if err != nil || r.Output != want {
			t.Errorf("%q gives %q, %v; want %q", answer, r.Output, err, want)
		}
		r, err = l.Run(t.Context(), invokeCall(`{"FunctionName":"f"}`))
		var out struct{ Payload json.RawMessage }
		if err := errors.Join(err, json.Unmarshal([]byte(r.Output), &out)); err != nil || string(out.Payload) != want {
			t.Errorf("%q gives %s, %v; want %q", answer, out.Payload, err, want)
		}
	}
	f(`{"a":1}`, `{"a":1}`)
	f(" [1]\n", `[1]`)
	f(`"é"`, `"é"`)
	f(`plain text`, `"plain text"`)
	f(`{"a":`, `"{\"a\":"`)
	f("\xff\xfe", `"`+"\uFFFD"+`"`)
	f("", `""`)
}

func TestErrors(t *testing.T) {
	var status int
	var body string
	var header http.Header
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	l := caller(t, lambda.Config{})
	f := func(code int, h map[string]string, text, name, cause string) {
		t.Helper()
		status, body, header = code, text, http.Header{"X-Amzn-Requestid": {"r-1"}}
		for k, v := range h {
			header.Set(k, v)
		}
		_, err := l.Run(t.Context(), invokeCall(`{"FunctionName":"f"}`))
		check(t, err, name, cause)
	}
	failed := map[string]string{"X-Amz-Function-Error": "Unhandled"}
	f(200, failed, `{"errorType":"Oops","errorMessage":"m"}`, "Oops", `{"errorType":"Oops","errorMessage":"m"}`)
	f(200, failed, `{"errorType":""}`, "", `{"errorType":""}`)
	f(200, failed, `{"errorMessage":"Task timed out after 3.00 seconds"}`, "Lambda.Unknown",
		`The cause could not be determined because Lambda did not return an error type. Returned payload: {"errorMessage":"Task timed out after 3.00 seconds"}`)
	f(200, failed, "\xff", "Lambda.Unknown",
		"The cause could not be determined because Lambda did not return an error type. Returned payload: \uFFFD")
	code := func(c string) map[string]string { return map[string]string{"X-Amzn-ErrorType": c} }
	f(404, code("ResourceNotFoundException"), `{"Type":"User","Message":"Function not found: `+account+`f"}`,
		"Lambda.ResourceNotFoundException", "Function not found: "+account+"f:$LATEST (Service: AWSLambda; Status Code: 404; "+
			"Error Code: ResourceNotFoundException; Request ID: r-1; Proxy: null)")
	f(429, code("TooManyRequestsException:http://x"), `{"message":"Rate exceeded"}`, "Lambda.TooManyRequestsException",
		"Rate exceeded (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException; Request ID: r-1; Proxy: null)")
	f(500, code("ServiceException"), `{"Message":"m"}`, "Lambda.ServiceException",
		"m (Service: AWSLambda; Status Code: 500; Error Code: ServiceException; Request ID: r-1; Proxy: null)")
	f(503, nil, ``, "Lambda.ServiceException",
		"Service Unavailable (Service: AWSLambda; Status Code: 503; Error Code: null; Request ID: r-1; Proxy: null)")
	f(403, code("AccessDeniedException"), `{"Message":"no"}`, "Lambda.AWSLambdaException",
		"no (Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException; Request ID: r-1; Proxy: null)")
	f(400, nil, `{"__type":"com.x#InvalidRequestContentException","message":"bad"}`, "Lambda.InvalidRequestContentException",
		"bad (Service: AWSLambda; Status Code: 400; Error Code: InvalidRequestContentException; Request ID: r-1; Proxy: null)")
	f(302, map[string]string{"Location": "http://169.254.169.254/"}, ``, "Lambda.AWSLambdaException",
		"Found (Service: AWSLambda; Status Code: 302; Error Code: null; Request ID: r-1; Proxy: null)")
}

func check(t *testing.T, err error, name, cause string) {
	t.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Name == nil || e.Cause == nil {
		t.Fatalf("error %v, want %s", err, name)
	}
	if *e.Name != name {
		t.Errorf("error %q, want %q", *e.Name, name)
	}
	if !strings.HasPrefix(*e.Cause, cause) || strings.HasSuffix(cause, ")") && *e.Cause != cause {
		t.Errorf("cause %q, want %q", *e.Cause, cause)
	}
}

func TestBadParameters(t *testing.T) {
	serve(t, echo)
	l := caller(t, lambda.Config{})
	f := func(input, detail string) {
		t.Helper()
		_, err := l.Run(t.Context(), invokeCall(input))
		check(t, err, "States.Runtime", "The Parameters '"+input+"' could not be used to start the Task: ["+detail+"]")
	}
	f(`{}`, "The field 'FunctionName' is required but was missing")
	f(`{"FunctionName":1}`, "The value for the field 'FunctionName' must be a STRING")
	f(`{"FunctionName":"f","Nope":1}`, "The field 'Nope' is not supported by Step Functions")
	f(`{"FunctionName":"f","InvocationType":"a\r\nX: y"}`, "The value of the field 'InvocationType' has an invalid format")
	f(`"text"`, "The parameters must be a JSON object")
}

func TestFunctionsAtURLs(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(500)
			io.WriteString(w, `{"errorType":"Oops","errorMessage":"m"}`)
		case "/broken":
			w.WriteHeader(502)
			io.WriteString(w, `<html>bad gateway</html>`)
		case "/missing":
			http.NotFound(w, r)
		default:
			fmt.Fprintf(w, "%q", r.URL.Path)
		}
	})
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "") // functions at a URL need no credentials
	functions := map[string]lambda.Function{}
	for _, name := range []string{"plain", "plain:live", "fails", "broken", "missing"} {
		functions[name] = lambda.Function{URL: s.url + "/" + strings.ReplaceAll(name, ":", "-")}
	}
	functions["arn:aws:lambda:eu-west-1:999999999999:function:plain"] = lambda.Function{URL: s.url + "/other"}
	l := caller(t, lambda.Config{Functions: functions})
	f := func(c *task.Call, want string) {
		t.Helper()
		r, err := l.Run(t.Context(), c)
		if err != nil || !strings.Contains(r.Output, want) {
			t.Errorf("output %s, %v; want %s", r.Output, err, want)
		}
	}
	f(call(account+"plain", `{}`), `"/plain"`)
	f(call(account+"plain:live", `{}`), `"/plain-live"`)
	f(call(account+"plain:other", `{}`), `"/plain"`)
	f(call("arn:aws:lambda:eu-west-1:999999999999:function:plain", `{}`), `"/other"`)
	f(invokeCall(`{"FunctionName":"plain"}`), `{"ExecutedVersion":"$LATEST","Payload":"/plain",`)
	f(invokeCall(`{"FunctionName":"plain","Qualifier":"live"}`), `"Payload":"/plain-live"`)
	f(invokeCall(`{"FunctionName":"123456789012:function:plain"}`), `"Payload":"/plain"`)
	f(invokeCall(`{"FunctionName":"plain","InvocationType":"Event"}`), `{"Payload":"","SdkHttpMetadata"`)
	f(invokeCall(`{"FunctionName":"plain","InvocationType":"DryRun"}`), `"StatusCode":204}`)

	fail := func(name, want, cause string) {
		t.Helper()
		_, err := l.Run(t.Context(), call(account+name, `{}`))
		check(t, err, want, cause)
	}
	fail("fails", "Oops", `{"errorType":"Oops","errorMessage":"m"}`)
	fail("broken", "Lambda.ServiceException",
		"<html>bad gateway</html> (Service: AWSLambda; Status Code: 502; Error Code: null; Request ID: null; Proxy: null)")
	fail("missing", "Lambda.ResourceNotFoundException",
		"404 page not found (Service: AWSLambda; Status Code: 404; Error Code: null; Request ID: null; Proxy: null)")

	if _, err := lambda.New(lambda.Config{Functions: map[string]lambda.Function{"f": {URL: "ftp://x"}}}); err == nil {
		t.Error("a function at ftp://x was accepted")
	}
}

func TestNobodyAnswers(t *testing.T) {
	f := func(url, cause string) {
		t.Helper()
		environment(t, url)
		_, err := caller(t, lambda.Config{}).Run(t.Context(), invokeCall(`{"FunctionName":"f"}`))
		check(t, err, "Lambda.SdkClientException", cause)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f("http://"+closed.Addr().String(), "Unable to execute HTTP request: dial tcp "+closed.Addr().String())
	f("not a url", "the endpoint of lambda is not a URL with http or https: ")

	environment(t, "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err = caller(t, lambda.Config{}).Run(t.Context(), invokeCall(`{"FunctionName":"f"}`))
	check(t, err, "Lambda.SdkClientException", "Unable to load AWS credentials from any provider in the chain")
}

// Whatever the other side does, a call ends with an error and bounded memory.
func TestHostile(t *testing.T) {
	var raw string
	server := raws(t, func(c net.Conn) { io.WriteString(c, raw) })
	environment(t, "http://"+server)
	l := caller(t, lambda.Config{})
	f := func(answer, name, cause string) {
		t.Helper()
		raw = answer
		_, err := l.Run(t.Context(), call(account+"f", `{}`))
		check(t, err, name, cause)
	}
	const client = "Lambda.SdkClientException"
	f("", client, "Unable to execute HTTP request: EOF")
	f("garbage\r\n\r\n", client, "Unable to execute HTTP request: ")
	f("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", client, "Unable to execute HTTP request: unexpected EOF")
	f("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20), client, "Unable to execute HTTP request: ")
	const tooLong = "The state/task '" + account + "f' returned a result with a size exceeding the maximum number of bytes service limit."
	f("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "States.DataLimitExceeded", tooLong)
	f("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 7<<20), "States.DataLimitExceeded", tooLong)
}

// raws serves connections by hand: it reads a request's head and lets answer
// write what it likes before it closes the connection.
func raws(t *testing.T, answer func(net.Conn)) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 4096)
			c.Read(head)
			answer(c)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

// A kept connection that the server has closed meanwhile is no failure.
func TestStaleConnection(t *testing.T) {
	s := serve(t, echo)
	server := httptest.NewServer(s)
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", server.URL)
	l := caller(t, lambda.Config{})
	for range 20 {
		if _, err := l.Run(t.Context(), call(account+"f", `{}`)); err != nil {
			t.Fatal(err)
		}
		server.CloseClientConnections()
	}
}

func BenchmarkCall(b *testing.B) {
	run := func(name string, c *task.Call, config func(url string) lambda.Config) {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(echo))
			defer server.Close()
			environment(b, server.URL)
			l := caller(b, config(server.URL))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Run(b.Context(), c); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	aws := func(string) lambda.Config { return lambda.Config{} }
	run("arn", call(account+"f", `{"a":1}`), aws)
	run("invoke", invokeCall(`{"FunctionName":"f","Payload":{"a":1}}`), aws)
	run("url", invokeCall(`{"FunctionName":"f","Payload":{"a":1}}`), func(url string) lambda.Config {
		return lambda.Config{Functions: map[string]lambda.Function{"f": {URL: url}}}
	})
}

// local is a Lambda in this process that has one function.
type local struct{ *service }

func (l local) Has(function, qualifier string) bool {
	return strings.Contains(function, "inside") && qualifier != "gone"
}

func (l local) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.service.ServeHTTP(w, r) }

// A function of this process is called there, unless the configuration gives it a
// URL; all others go where they went.
func TestLocal(t *testing.T) {
	aws, in, url := serve(t, echo), serve(t, echo), serve(t, echo)
	environment(t, aws.url)
	l := caller(t, lambda.Config{Local: local{in}, Functions: map[string]lambda.Function{"inside2": {URL: url.url}}})
	f := func(c *task.Call, want *service) {
		t.Helper()
		before := len(want.seen)
		if _, err := l.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if len(want.seen) != before+1 {
			t.Errorf("%s %s went elsewhere", c.Resource.ARN, c.Input)
		}
	}
	f(call(account+"inside", `{}`), in)
	f(call("arn:aws:lambda:eu-west-1:210987654321:function:inside:live", `{}`), in)
	f(invokeCall(`{"FunctionName":"inside","Payload":1}`), in)
	f(invokeCall(`{"FunctionName":"inside","Qualifier":"gone","Payload":1}`), aws)
	f(call(account+"outside", `{}`), aws)
	f(call(account+"inside2", `{}`), url)
	if err := l.SetFunctions(nil); err != nil {
		t.Fatal(err)
	}
	f(call(account+"inside2", `{}`), in)
	if err := l.SetFunctions(map[string]lambda.Function{"x": {URL: "ftp://x"}}); err == nil {
		t.Error("a URL that is none is taken")
	}
	if auth := in.seen[0].Header.Get("Authorization"); auth != "" {
		t.Errorf("a call within the process is signed: %s", auth)
	}
}
