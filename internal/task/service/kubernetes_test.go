package service

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

// scriptedKubernetes is no Kubernetes: it is a server with TLS that keeps jobs by
// their name and answers the rest by script. Connections to it are pipes in
// memory, so that it works where time is synctest's.
type scriptedKubernetes struct {
	t         *testing.T
	server    *httptest.Server
	conns     chan net.Conn
	closed    chan struct{}
	once      sync.Once // closes it
	authority string

	mu      sync.Mutex
	log     []string
	header  http.Header
	job     value.Value
	exists  bool
	asked   []string          // what questions about the job get before its status: "503"
	status  string            // of the job, JSON
	answers map[string]string // by "GET /…": "404 {…}", or the body
}

func (k *scriptedKubernetes) Accept() (net.Conn, error) {
	select {
	case c := <-k.conns:
		return c, nil
	case <-k.closed:
		return nil, net.ErrClosed
	}
}

func (k *scriptedKubernetes) Close() error { k.once.Do(func() { close(k.closed) }); return nil }
func (k *scriptedKubernetes) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
}

func (k *scriptedKubernetes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case k.conns <- there:
		return here, nil
	case <-k.closed:
		return nil, errors.New("the server is gone")
	}
}

func newScriptedKubernetes(t *testing.T) *scriptedKubernetes {
	k := &scriptedKubernetes{t: t, conns: make(chan net.Conn), closed: make(chan struct{}), answers: map[string]string{}}
	k.server = &httptest.Server{Listener: k, Config: &http.Server{Handler: k, ErrorLog: log.New(io.Discard, "", 0)}}
	k.server.StartTLS()
	k.authority = authorityOf(k.server)
	t.Cleanup(k.server.Close)
	return k
}

func authorityOf(server *httptest.Server) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

const noSuchJob = `{"kind":"Status","status":"Failure","message":"jobs.batch \"j\" not found","reason":"NotFound","code":404}`

func (k *scriptedKubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI()
	k.log, k.header = append(k.log, strings.TrimSpace(line+" "+string(text))), r.Header
	answer, ok := k.answers[line]
	switch {
	case ok:
	case r.Method == "POST" && k.exists:
		answer = `409 {"kind":"Status","status":"Failure","reason":"AlreadyExists","code":409}`
	case r.Method == "POST":
		job, _ := value.Parse(string(text))
		k.job, k.exists = job.With("metadata", job.Get("metadata").With("uid", value.Str("u1"))), true
		answer = "201 " + k.job.JSON()
	case !k.exists:
		answer = "404 " + noSuchJob
	case r.Method == "DELETE":
		k.exists = false
		answer = `{"kind":"Status","status":"Success"}`
	case len(k.asked) > 0:
		answer, k.asked = k.asked[0], k.asked[1:]
	default:
		job := k.job
		if k.status != "" {
			status, _ := value.Parse(k.status)
			job = job.With("status", status)
		}
		answer = job.JSON()
	}
	status := 200
	if code, rest, _ := strings.Cut(answer, " "); len(code) == 3 {
		if n, err := strconv.Atoi(code); err == nil {
			status, answer = n, rest
		}
	}
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// tasks makes the integrations of a server that has just started.
func (k *scriptedKubernetes) tasks() *task.Registry {
	k.t.Helper()
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_STS": "", "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "very-secret",
		"AWS_SESSION_TOKEN": "session", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
	} {
		k.t.Setenv(name, v)
	}
	services := New(Config{Region: "eu-west-1", Clusters: func(c *tls.Config) http.RoundTripper {
		return &http.Transport{DialContext: k.dial, TLSClientConfig: c}
	}})
	k.t.Cleanup(func() { services.Close() })
	tasks := task.NewRegistry()
	services.Register(tasks)
	return tasks
}

func (k *scriptedKubernetes) call(resource, rest string) *task.Call {
	return call(resource, `{"ClusterName":"c1","CertificateAuthority":"`+k.authority+`","Endpoint":"https://127.0.0.1",`+rest+`}`)
}

// alone runs a test in a bubble of its own.
func alone(t *testing.T, f func(t *testing.T, k *scriptedKubernetes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newScriptedKubernetes(t)) })
}

func TestClusterCalls(t *testing.T) {
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		tasks := k.tasks()
		f := func(rest, answer, line, kind, want string) {
			t.Helper()
			request, _, _ := strings.Cut(line, " {")
			request, _, _ = strings.Cut(request, " [")
			k.answers[request] = answer
			got, err := run(t, tasks, k.call("eks:call", rest))
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", rest, diff)
			}
			if last := k.log[len(k.log)-1]; last != line || k.header.Get("Content-Type") != kind {
				t.Errorf("%s: asked %s as %q, want %s as %q", rest, last, k.header.Get("Content-Type"), line, kind)
			}
		}
		f(`"Method":"GET","Path":"/api/v1/namespaces/default/pods","QueryParameters":{"labelSelector":["job-name=a b"],"limit":["5"]}`, `{"items":[]}`,
			"GET /api/v1/namespaces/default/pods?labelSelector=job-name%3Da%20b&limit=5", "",
			`{"ResponseBody":{"items":[]},"StatusCode":200,"StatusText":"OK"}`)
		f(`"Method":"POST","Path":"api/v1/namespaces","RequestBody":{"a":null}`, `201 {"b":1}`, `POST /api/v1/namespaces {"a":null}`, "application/json",
			`{"ResponseBody":{"b":1},"StatusCode":201,"StatusText":"Created"}`)
		f(`"Method":"PATCH","Path":"/p","RequestBody":{"a":null}`, `{}`, `PATCH /p {"a":null}`, "application/merge-patch+json",
			`{"ResponseBody":{},"StatusCode":200,"StatusText":"OK"}`)
		f(`"Method":"PATCH","Path":"/p","RequestBody":"[{\"op\":\"test\"}]"`, `text`, `PATCH /p [{"op":"test"}]`, "application/json-patch+json",
			`{"ResponseBody":"text","StatusCode":200,"StatusText":"OK"}`)
		f(`"Method":"DELETE","Path":"/a%2Fb/c d"`, `404 `+noSuchJob, "DELETE /a%2Fb/c%20d", "",
			`EKS.404: {"ResponseBody":`+noSuchJob+`,"StatusCode":404,"StatusText":"Not Found"}`)
		f(`"Method":"GET","Path":"/x"`, `302 moved`, "GET /x", "", `EKS.302: {"ResponseBody":"moved","StatusCode":302,"StatusText":"Found"}`)
	})
}

// The token is a URL of STS that is signed for this cluster alone. The signature
// is computed here once more, by its definition.
func TestClusterToken(t *testing.T) {
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		k.answers["GET /x"] = "{}"
		if _, err := run(t, k.tasks(), k.call("eks:call", `"Method":"GET","Path":"/x"`)); err != nil {
			t.Fatal(err)
		}
		coded, ok := strings.CutPrefix(k.header.Get("Authorization"), "Bearer k8s-aws-v1.")
		text, err := base64.RawURLEncoding.DecodeString(coded)
		u, err2 := url.Parse(string(text))
		if !ok || err != nil || err2 != nil {
			t.Fatalf("token %q: %v, %v", k.header.Get("Authorization"), err, err2)
		}
		q := u.Query()
		at := time.Now().UTC().Format("20060102T150405Z")
		scope := at[:8] + "/eu-west-1/sts/aws4_request"
		for name, want := range map[string]string{
			"Action": "GetCallerIdentity", "Version": "2011-06-15", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Expires": "60", "X-Amz-Date": at,
			"X-Amz-SignedHeaders": "host;x-k8s-aws-id", "X-Amz-Credential": "AKTEST/" + scope, "X-Amz-Security-Token": "session",
		} {
			if got := q.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if u.Scheme != "https" || u.Host != "sts.eu-west-1.amazonaws.com" || u.Path != "/" || len(q) != 9 {
			t.Errorf("token of %s", u)
		}
		mac := func(key []byte, s string) []byte {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(s))
			return h.Sum(nil)
		}
		hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
		signature := q.Get("X-Amz-Signature")
		q.Del("X-Amz-Signature")
		request := "GET\n/\n" + q.Encode() + "\nhost:" + u.Host + "\nx-k8s-aws-id:c1\n\nhost;x-k8s-aws-id\n" + hash("")
		key := []byte("AWS4very-secret")
		for _, part := range strings.Split(scope, "/") {
			key = mac(key, part)
		}
		want := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+at+"\n"+scope+"\n"+hash(request)))
		if signature != want {
			t.Errorf("signature %s, want %s", signature, want)
		}
	})
}

// A cluster whose certificate another authority vouches for is not called, also
// if that is one that the system trusts.
func TestWrongAuthority(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	other, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		tasks := k.tasks()
		k.authority = base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other}))
		_, err := run(t, tasks, k.call("eks:call", `"Method":"GET","Path":"/x"`))
		if err == nil || !strings.HasPrefix(err.Error(), "EKS.SdkClientException: Unable to execute HTTP request: tls: failed to verify certificate") || len(k.log) != 0 {
			t.Errorf("called with %v: %v", err, k.log)
		}
	})
}

func TestClusterParameters(t *testing.T) {
	k := &scriptedKubernetes{t: t, authority: "bm8gUEVN"}
	tasks := k.tasks()
	where := func(name, authority, endpoint string) string {
		return `"ClusterName":"` + name + `","CertificateAuthority":"` + authority + `","Endpoint":"` + endpoint + `"`
	}
	f := func(resource, rest, detail string) {
		t.Helper()
		input := "{" + rest + "}"
		_, err := run(t, tasks, call(resource, input))
		if want := "States.Runtime: The Parameters '" + input + "' could not be used to start the Task: [" + detail + "]"; err == nil || err.Error() != want {
			t.Errorf("%s %s: %v, want %s", resource, input, err, want)
		}
	}
	invalid := func(name string) string { return "The value of the field '" + name + "' has an invalid format" }
	get := `,"Method":"GET","Path":"/x"`
	f("eks:call", where("c", "bm8gUEVN", "https://h")+get, invalid("CertificateAuthority"))
	f("eks:call", where("c", "!", "https://h")+get, invalid("CertificateAuthority"))
	f("eks:call", where("c\\n", "bm8gUEVN", "https://h")+get, invalid("ClusterName"))
	f("eks:call", where("c", "bm8gUEVN", "http://h")+get, invalid("Endpoint"))
	f("eks:call", where("c", "bm8gUEVN", "https://u@h")+get, invalid("Endpoint"))
	f("eks:call", where("c", "bm8gUEVN", "")+get, "The field 'Endpoint' is required but was missing")
	f("eks:call", where("c", "bm8gUEVN", "https://h")+`,"Method":"GET"`, "The field 'Path' is required but was missing")
	f("eks:call", where("c", "bm8gUEVN", "https://h")+`,"Method":"TRACE","Path":"/"`, invalid("Method"))
	f("eks:call", where("c", "bm8gUEVN", "https://h")+`,"Method":"GET","Path":"/%"`, invalid("Path"))
	f("eks:call", where("c", "bm8gUEVN", "https://h")+get+`,"QueryParameters":{"a":"b"}`, invalid("QueryParameters"))
	f("eks:call", where("c", "bm8gUEVN", "https://h")+get+`,"Headers":{}`, "The field 'Headers' is not supported by Step Functions")
	f("eks:runJob", where("c", "bm8gUEVN", "https://h"), "The field 'Job' is required but was missing")
	f("eks:runJob", where("c", "bm8gUEVN", "https://h")+`,"Job":"no JSON"`, invalid("Job"))
	f("eks:runJob", where("c", "bm8gUEVN", "https://h")+`,"Job":{},"Namespace":"a/b"`, invalid("Namespace"))
	f("eks:runJob", where("c", "bm8gUEVN", "https://h")+`,"Job":{},"LogOptions":{"RetrieveLogs":"true"}`, "The value for the field 'RetrieveLogs' must be a BOOLEAN")
	f("eks:runJob", where("c", "bm8gUEVN", "https://h")+`,"Job":{},"LogOptions":{"Lines":1}`, "The field 'Lines' is not supported by Step Functions")
}

func TestClusterSuite(t *testing.T) {
	tasktest.Run(t, func(t *testing.T) *tasktest.Subject {
		f := &far{answer: `{}`, reached: make(chan struct{}, 1)}
		tasks, s := open(t, f)
		server := httptest.NewUnstartedServer(f)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		with := func(rest string) task.Call {
			return *call("eks:call", `{"ClusterName":"c","CertificateAuthority":"`+authorityOf(server)+`","Endpoint":"`+server.URL+`","Path":"/",`+rest+`}`)
		}
		good := with(`"Method":"GET"`)
		return &tasktest.Subject{
			Integration: struct {
				task.Integration
				io.Closer
			}{tasks.Find(good.Resource), s},
			Good: good, Bad: []task.Call{with(`"Method":"?"`), *call("eks:call", `[]`)}, Slow: with(`"Method":"POST","RequestBody":"slow"`), Reached: f.reached,
		}
	})
}

const aJob = `"Job":{"metadata":{"name":"j"},"spec":{"selector":{"matchLabels":{"batch.kubernetes.io/controller-uid":"u1"}}}}`

// mark is the annotation of what the calls in these tests make.
const mark = `"annotations":{"lockstep.run/task":"63deda2a53a79f1356d2"}`

// follow runs a job to its end, and returns the end.
func (k *scriptedKubernetes) follow(c *task.Call) string {
	k.t.Helper()
	tasks := k.tasks()
	begun, failed := run(k.t, tasks, c)
	if failed != nil {
		return failed.Error()
	}
	r, err := tasks.Poller(c.Resource).Poll(k.t.Context(), c, begun)
	if err != nil {
		return err.Error()
	}
	return r.Output
}

func TestClusterJobs(t *testing.T) {
	const (
		complete = `{"conditions":[{"type":"Suspended","status":"False"},{"type":"Complete","status":"True"}]}`
		failed   = `{"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded"}]}`
		spec     = `"spec":{"selector":{"matchLabels":{"batch.kubernetes.io/controller-uid":"u1"}}},"apiVersion":"batch/v1","kind":"Job"`
		post     = `POST /apis/batch/v1/namespaces/default/jobs {"metadata":{"name":"j",` + mark + `},` + spec + `}`
		get      = `GET /apis/batch/v1/namespaces/default/jobs/j`
		pods     = `GET /api/v1/namespaces/default/pods?labelSelector=batch.kubernetes.io%2Fcontroller-uid%3Du1&limit=50`
		job      = `{"metadata":{"name":"j",` + mark + `,"uid":"u1"},` + spec + `,"status":`
	)
	logOf := func(pod, container, more string) string {
		return "GET /api/v1/namespaces/default/pods/" + pod + "/log?container=" + container + more
	}
	f := func(rest, status, want string, answers map[string]string, log ...string) {
		t.Helper()
		alone(t, func(t *testing.T, k *scriptedKubernetes) {
			k.status, k.answers, k.asked = status, answers, []string{"503 busy", "{}", "429 slower"}
			got := k.follow(k.call("eks:runJob.sync", rest))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", rest, diff)
			}
			if diff := cmp.Diff(append([]string{post, get, get, get, get}, log...), k.log); diff != "" {
				t.Errorf("%s: asked %s", rest, diff)
			}
		})
	}
	f(aJob, complete, job+complete+`}`, nil)
	f(aJob, failed, `States.TaskFailed: `+job+failed+`}`, nil)

	two := map[string]string{
		pods:                 `{"metadata":{"continue":"next"},"items":[{"metadata":{"name":"p1"},"spec":{"containers":[{"name":"a"},{"name":"b"}]}}]}`,
		logOf("p1", "a", ""): "{\"pi\":3.14}\n", logOf("p1", "b", ""): "one\ntwo\n",
		strings.Replace(pods, "?", "?continue=next&", 1): `{"items":[{"metadata":{"name":"p2"},"spec":{"containers":[{"name":"a"}]}}]}`,
		logOf("p2", "a", ""):                             "400 waiting",
	}
	const refused = `{"error":"EKS.400","cause":"{\"ResponseBody\":\"waiting\",\"StatusCode\":400,\"StatusText\":\"Bad Request\"}"}`
	asked := []string{pods, logOf("p1", "a", ""), logOf("p1", "b", ""), strings.Replace(pods, "?", "?continue=next&", 1), logOf("p2", "a", "")}
	logs := `,"logs":{"pods":{"p1":{"containers":{"a":{"log":{"pi":3.14}},"b":{"log":"one\ntwo\n"}}},"p2":{"containers":{"a":` + refused + `}}}}}`
	f(aJob+`,"LogOptions":{"RetrieveLogs":true}`, complete, job+complete+logs, two, asked...)
	f(aJob+`,"LogOptions":{"RetrieveLogs":true}`, failed, `States.TaskFailed: `+job+failed+logs, two, asked...)

	one := map[string]string{
		pods:                             `{"items":[{"metadata":{"name":"p1"},"spec":{"containers":[{"name":"a"}]}}]}`,
		logOf("p1", "a", "&tailLines=6"): "7\n",
	}
	f(aJob+`,"LogOptions":{"RetrieveLogs":true,"RawLogs":true,"LogParameters":{"tailLines":["6"]}}`, complete,
		job+complete+`,"logs":{"pods":{"p1":{"containers":{"a":{"log":"7\n"}}}}}}`, one, pods, logOf("p1", "a", "&tailLines=6"))
	f(aJob+`,"LogOptions":{"RetrieveLogs":true}`, complete,
		job+complete+`,"logs":{"error":"EKS.403","cause":"{\"ResponseBody\":\"no\",\"StatusCode\":403,\"StatusText\":\"Forbidden\"}","pods":{}}}`,
		map[string]string{pods: "403 no"}, pods)

	// A cause takes the ends of long logs.
	long := map[string]string{pods: one[pods], logOf("p1", "a", ""): strings.Repeat("x", 100_000) + "why"}
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		k.status, k.answers = failed, long
		got := k.follow(k.call("eks:runJob.sync", aJob+`,"LogOptions":{"RetrieveLogs":true}`))
		if len(got) > maxCause+len("States.TaskFailed: ") || len(got) < maxCause/3 || !strings.HasSuffix(got, `xwhy"}}}}}}`) {
			t.Errorf("a cause of %d bytes: …%s", len(got), got[max(0, len(got)-100):])
		}
	})
}

// A job without a name gets one that is the same when the task is begun again
// after a crash; and one that an earlier try has made is not made twice.
func TestClusterJobBegunAgain(t *testing.T) {
	f := func(job, name string) {
		t.Helper()
		alone(t, func(t *testing.T, k *scriptedKubernetes) {
			c := k.call("eks:runJob", job)
			first, err := run(t, k.tasks(), c)
			if err != nil {
				t.Fatal(err)
			}
			if got := nameOf(k.job); got != name {
				t.Errorf("%s: named %s, want %s", job, got, name)
			}
			again, err := run(t, k.tasks(), c)
			if err != nil || again != first {
				t.Errorf("%s: again %s, %v, first %s", job, again, err, first)
			}
			c.ID = "another"
			if _, err := run(t, k.tasks(), c); err == nil && name == "j" || err != nil && *err.Name != "EKS.409" {
				t.Errorf("%s: another task's job: %v", job, err)
			}
		})
	}
	f(aJob, "j")
	f(`"Job":"{\"metadata\":{\"name\":\"j\"}}"`, "j")
	f(`"Job":{"spec":{}}`, "lockstep-63deda2a53a79f1356d2")
	f(`"Job":{"metadata":{"generateName":"nightly-"}}`, "nightly-63deda2a53a79f1356d2")
}

// A server that starts anew goes on waiting for the same job.
func TestClusterJobAfterRestart(t *testing.T) {
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		c := k.call("eks:runJob.sync", aJob)
		begun, err := run(t, k.tasks(), c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err := k.tasks().Poller(c.Resource).Poll(ctx, c, begun); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it runs: %v", err)
		}
		if n := len(k.log); n < 120 || n > 140 {
			t.Errorf("asked %d times in an hour", n)
		}
		k.status = `{"conditions":[{"type":"Complete","status":"True"}]}`
		r, failed := k.tasks().Poller(c.Resource).Poll(t.Context(), c, begun)
		if failed != nil || !strings.Contains(r.Output, `"Complete"`) {
			t.Errorf("after a restart: %s, %v", r.Output, failed)
		}
		k.job = k.job.With("metadata", k.job.Get("metadata").With("uid", value.Str("u2")))
		if _, err := k.tasks().Poller(c.Resource).Poll(t.Context(), c, begun); err == nil || err.Error() != "States.TaskFailed: The job j is gone, and another has its name." {
			t.Errorf("another job of its name: %v", err)
		}
		k.exists = false
		if _, err := k.tasks().Poller(c.Resource).Poll(t.Context(), c, begun); err == nil || !strings.HasPrefix(err.Error(), "EKS.404: ") {
			t.Errorf("a job that is gone: %v", err)
		}
	})
}

func TestCancelClusterJob(t *testing.T) {
	alone(t, func(t *testing.T, k *scriptedKubernetes) {
		c := k.call("eks:runJob.sync", `"Namespace":"n",`+aJob)
		begun, err := run(t, k.tasks(), c)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing left
			if err := k.tasks().Poller(c.Resource).Cancel(t.Context(), c, begun); err != nil {
				t.Error(err)
			}
		}
		want := `DELETE /apis/batch/v1/namespaces/n/jobs/j {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background","preconditions":{"uid":"u1"}}`
		if k.exists || len(k.log) != 3 || k.log[1] != want {
			t.Errorf("asked %v, want %s", k.log, want)
		}
	})
}
