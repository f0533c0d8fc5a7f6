package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/config"
)

// A cluster on this machine is only called where the configuration lists it.
func TestClustersUnderTheEgressPolicy(t *testing.T) {
	setCredentials(t)
	asked := 0
	cluster := startCluster(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		io.WriteString(w, `{"gitVersion":"v1"}`)
	})
	state, err := json.Marshal(map[string]any{"Type": "Task", "Resource": "arn:aws:states:::eks:call", "End": true, "Parameters": map[string]any{
		"ClusterName": "c", "CertificateAuthority": authorityOf(cluster), "Endpoint": cluster.URL, "Method": "GET", "Path": "/version",
	}})
	if err != nil {
		t.Fatal(err)
	}
	test := func(allow ...string) map[string]any {
		t.Helper()
		s := testSettings(t, t.TempDir())
		if s.egress, err = egressPolicy(config.Egress{Allow: allow}); err != nil {
			t.Fatal(err)
		}
		srv, err := openServer(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.closeSoon(t.Context())
		return callAPI(t, srv.url, "TestState", map[string]any{"definition": string(state), "roleArn": "arn:aws:iam::123456789012:role/r", "input": "{}"})
	}
	got := test()
	cause, _ := got["cause"].(string)
	if got["error"] != "Lockstep.EgressRefused" || !strings.Contains(cause, "that is a loopback address") || asked != 0 {
		t.Errorf("by default: %v, asked %d times", got, asked)
	}
	if got := test("127.0.0.1"); got["output"] != `{"ResponseBody":{"gitVersion":"v1"},"StatusCode":200,"StatusText":"OK"}` || asked != 1 {
		t.Errorf("where it is allowed: %v, asked %d times", got, asked)
	}
}

// A job of a stopped execution is deleted, by what its task was called with.
func TestStoppedExecutionDeletesItsJob(t *testing.T) {
	setCredentials(t)
	asked := make(chan string, 100)
	cluster := startCluster(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		io.WriteString(w, `{"metadata":{"name":"j","uid":"u"}}`)
	})
	s := testSettings(t, t.TempDir())
	var err error
	if s.egress, err = egressPolicy(config.Egress{Allow: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	api := newClient(srv.url)
	machine := api.createFor(t, "m", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::eks:runJob.sync","End":true,
		"Parameters":{"ClusterName":"c","CertificateAuthority":"`+authorityOf(cluster)+`","Endpoint":"`+cluster.URL+`","Namespace.$":"$.in","Job":{}}}}}`)
	var x struct{ ExecutionArn string }
	api.must(t, "StartExecution", fields{"stateMachineArn": machine, "input": `{"in":"n"}`}, &x)
	f := func(want string) {
		t.Helper()
		select {
		case got := <-asked:
			if got != want {
				t.Fatalf("asked %s, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody asked %s", want)
		}
	}
	f("POST /apis/batch/v1/namespaces/n/jobs")
	f("GET /apis/batch/v1/namespaces/n/jobs/j")
	api.must(t, "StopExecution", fields{"executionArn": x.ExecutionArn}, nil)
	f("DELETE /apis/batch/v1/namespaces/n/jobs/j")
}

func setCredentials(t *testing.T) {
	for name, v := range map[string]string{"AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_CONFIG_FILE": "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_STS": "", "AWS_SESSION_TOKEN": ""} {
		t.Setenv(name, v)
	}
}

// startCluster starts a server that answers in the place of a Kubernetes API.
func startCluster(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	cluster := httptest.NewUnstartedServer(answer)
	cluster.Config.ErrorLog = log.New(io.Discard, "", 0)
	cluster.StartTLS()
	t.Cleanup(cluster.Close)
	return cluster
}

func authorityOf(server *httptest.Server) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}
