package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lockstep": main})
}

// TestScripts runs the scripts of test/ with this program as the command
// lockstep.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../test",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": awaitServer,
			"get":   get,
			"aws":   aws,
			"ended": awaitEnd,
		},
		Setup: func(env *testscript.Env) error {
			examples, err := os.Getwd()
			env.Setenv("EXAMPLES", examples+"/../../examples")
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program takes a second to end
			return err
		},
	})
}

// awaitServer waits until the server that has a data directory open is ready,
// and puts its address into $URL and $ADDR: await DIR.
func awaitServer(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: await DIR")
	}
	file := ts.MkAbs(args[0] + "/" + urlFile)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(file)
		url := strings.TrimSpace(string(text))
		if err != nil || url == "" {
			continue
		}
		res, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			ts.Setenv("URL", url)
			ts.Setenv("ADDR", strings.TrimPrefix(url, "http://"))
			return
		}
	}
	ts.Fatalf("no server has become ready in %s", args[0])
}

// get requests a page and shows it on stdout: get STATUS URL.
func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: get STATUS URL")
	}
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	request(ts, req, args[0])
}

// aws calls the API at $URL and shows the answer on stdout:
// aws STATUS ACTION BODY [HEADER:VALUE]...
func aws(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: aws STATUS ACTION BODY [HEADER:VALUE]...")
	}
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+"/", strings.NewReader(args[2]))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+args[1])
	for _, header := range args[3:] {
		name, value, _ := strings.Cut(header, ":")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	request(ts, req, args[0])
}

// awaitEnd waits until an execution has ended and shows its description on
// stdout: ended MACHINE:NAME, or ended ARN.
func awaitEnd(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ended MACHINE:NAME, or ended ARN")
	}
	if !strings.HasPrefix(args[0], "arn:") {
		args[0] = "arn:aws:states:us-east-1:123456789012:execution:" + args[0]
	}
	body := `{"executionArn":"` + args[0] + `"}`
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+"/", strings.NewReader(body))
		ts.Check(err)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		req.Header.Set("X-Amz-Target", "AWSStepFunctions.DescribeExecution")
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		ts.Check(err)
		if !strings.Contains(string(text), `"status":"RUNNING"`) {
			fmt.Fprintf(ts.Stdout(), "%s\n", text)
			return
		}
	}
	ts.Fatalf("%s has not ended", args[0])
}

func request(ts *testscript.TestScript, req *http.Request, status string) {
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
	if got := fmt.Sprint(res.StatusCode); got != status {
		ts.Fatalf("%s %s: status %s, want %s: %s", req.Method, req.URL, got, status, text)
	}
}
