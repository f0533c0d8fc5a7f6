//go:build unix

// Package functions runs handlers as they are built for Lambda on a running
// server: with AWS's own library in Go, and with our bootstraps in Node and
// Python. A language that this machine lacks is skipped.
package functions

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lockstep is a running server and its commands.
type lockstep struct {
	t                 *testing.T
	binary, data, url string
	pid               int
}

func serve(t *testing.T, args ...string) *lockstep {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary and a function")
	}
	l := &lockstep{t: t, binary: filepath.Join(t.TempDir(), "lockstep"), data: t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", l.binary, "../../cmd/lockstep").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	server := exec.CommandContext(t.Context(), l.binary, "dev", "--listen", "127.0.0.1:0", "--data", l.data)
	server.Args = append(server.Args, args...)
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 20 * time.Second
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	l.pid = server.Process.Pid
	ready := regexp.MustCompile(`ready at (http://\S+)`)
	lines := bufio.NewScanner(out)
	for l.url == "" && lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			l.url = m[1]
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() { <-drained; _ = server.Wait() }) // the test's context has ended it
	if l.url == "" {
		t.Fatal("the server does not say where it is")
	}
	return l
}

// fn runs lockstep fn.
func (l *lockstep) fn(args ...string) string {
	l.t.Helper()
	cmd := exec.Command(l.binary, append([]string{"fn"}, args...)...)
	cmd.Env = append(os.Environ(), "LOCKSTEP_DATA="+l.data)
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("lockstep fn %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// invoke calls a function as an SDK does.
func (l *lockstep) invoke(name, payload string, header ...string) (answer string, h http.Header) {
	l.t.Helper()
	req, err := http.NewRequest("POST", l.url+"/2015-03-31/functions/"+name+"/invocations", strings.NewReader(payload))
	if err != nil {
		l.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text), res.Header
}

func TestLambdaGo(t *testing.T) {
	l := serve(t)
	handler := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-o", handler, ".")
	build.Dir = "go"
	if out, err := build.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "dial tcp") || strings.Contains(string(out), "no such host") {
			t.Skipf("aws-lambda-go cannot be fetched: %s", out)
		}
		t.Fatalf("build: %v\n%s", err, out)
	}
	l.fn("add", "orders", "--", handler)
	f := func(payload, want, failed string) {
		t.Helper()
		answer, h := l.invoke("orders", payload)
		if !regexp.MustCompile(want).MatchString(answer) || h.Get("X-Amz-Function-Error") != failed {
			t.Errorf("%s: %s (%s), want %s (%s)", payload, answer, h.Get("X-Amz-Function-Error"), want, failed)
		}
	}
	f(`{"number":7}`, `^{"number":7,"requestId":"[0-9a-f-]{36}","arn":"arn:aws:lambda:us-east-1:123456789012:function:orders","function":"orders","app":"","inTime":true}$`, "")
	f(`{"do":"fail"}`, `^{"errorMessage":"none left","errorType":"soldOut"}$`, "Unhandled")
	f(`{"do":"wrap"}`, `^{"errorMessage":"plain","errorType":"errorString"}$`, "Unhandled")
	f(`{"do":"panic"}`, `^{"errorMessage":"at the disco","errorType":"string","stackTrace":\[`, "Unhandled")
	f(`{"number":"x"}`, `"errorType":"UnmarshalTypeError"`, "Unhandled")
	f(`{"do":"hang"}`, `^{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: [0-9a-f-]{36} Error: Task timed out after 3.00 seconds"}$`, "Unhandled")
	f(`{"number":8}`, `^{"number":8,`, "")

	context := base64.StdEncoding.EncodeToString([]byte(`{"client":{"app_title":"till"}}`))
	answer, h := l.invoke("orders", `{"number":9}`, "X-Amz-Client-Context", context, "X-Amz-Log-Type", "Tail")
	if !strings.Contains(answer, `"app":"till"`) {
		t.Errorf("with a client context: %s", answer)
	}
	log, err := base64.StdEncoding.DecodeString(h.Get("X-Amz-Log-Result"))
	if err != nil || !regexp.MustCompile(`(?s)^START .*\norder 9\nEND .*\nREPORT `).Match(log) {
		t.Errorf("the log: %v %q", err, log)
	}

	// The same program elsewhere, as a worker of a function without processes.
	l.fn("add", "remote", "--worker")
	worker := exec.CommandContext(t.Context(), handler)
	worker.Env = append(os.Environ(), "AWS_LAMBDA_FUNCTION_NAME=remote",
		"AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(l.url, "http://")+"/workers/"+strings.TrimSpace(l.fn("key", "remote")))
	worker.Stderr = os.Stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	if answer, _ := l.invoke("remote", `{"number":10}`); !strings.Contains(answer, `"function":"remote"`) {
		t.Errorf("a worker elsewhere: %s", answer)
	}
	l.fn("rm", "remote") // which ends the worker: there are no more calls
	_ = worker.Wait()

	l.fn("reload", "orders")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(l.fn("logs", "orders"), "told to end"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the process was not told of its end:\n%s", l.fn("logs", "orders"))
		}
	}
}

// A server that is killed takes its processes along, and theirs.
func TestKilledServer(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("this system does not show the environments of processes")
	}
	l := serve(t)
	mark := "LOCKSTEP_TEST_MARK=" + filepath.Base(l.data) + filepath.Base(filepath.Dir(l.data))
	l.fn("add", "plain", "--env", mark, "--", l.binary, "fn", "echo")
	l.fn("add", "wrapped", "--env", mark, "--", "sh", "-c", l.binary+" fn echo; true")
	l.invoke("plain", "1")
	l.invoke("wrapped", "1")
	alive := func() (n int) {
		list, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range list {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), mark) {
				n++
			}
		}
		return n
	}
	if n := alive(); n != 3 {
		t.Fatalf("%d processes of functions run, want 3", n)
	}
	if err := syscall.Kill(l.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); alive() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d processes have outlived the server", alive())
		}
	}
}

// AWS's own client invokes functions at the server's address.
func TestAWSCLI(t *testing.T) {
	cli := ""
	for _, aws := range []string{"/usr/bin/aws", "aws"} {
		if cli == "" && exec.Command(aws, "--version").Run() == nil {
			cli = aws
		}
	}
	if cli == "" {
		t.Skip("the AWS CLI is not installed (apt-get install awscli)")
	}
	l := serve(t)
	l.fn("add", "echo", "--", l.binary, "fn", "echo")
	out := filepath.Join(t.TempDir(), "out.json")
	f := func(want string, args ...string) string {
		t.Helper()
		cmd := exec.Command(cli, append(append([]string{"lambda", "invoke"}, args...), "--endpoint-url", l.url, "--region", "us-east-1", "--output", "json", out)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_EC2_METADATA_DISABLED=true")
		said, _ := cmd.CombinedOutput() // what it says tells whether it worked
		if !regexp.MustCompile(want).Match(said) {
			t.Errorf("aws lambda invoke %s: %s, want %s", strings.Join(args, " "), said, want)
		}
		text, _ := os.ReadFile(out)
		return string(text)
	}
	payload := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(payload, []byte(`{"from":"a file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f(`"StatusCode": 200`, "--function-name", "echo", "--payload", "fileb://"+payload, "--log-type", "Tail"); got != `{"from":"a file"}` {
		t.Errorf("the answer is %q", got)
	}
	f(`"StatusCode": 200`, "--function-name", "arn:aws:lambda:eu-west-1:210987654321:function:echo", "--qualifier", "live")
	f(`"StatusCode": 202`, "--function-name", "echo", "--invocation-type", "Event")
	f(`"StatusCode": 204`, "--function-name", "echo", "--invocation-type", "DryRun")
	f(`\(ResourceNotFoundException\).*Function not found: arn:aws:lambda:us-east-1:123456789012:function:none`, "--function-name", "none")
}

// The signal has the configuration read again.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "lockstep.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("functions: {first: {command: [sh, -c, 'exit 1']}}")
	l := serve(t, "--config", config)
	write("functions: {second: {command: [" + l.binary + ", fn, echo], dir: sub, timeout: 20s}}")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(l.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	answer := ""
	for end := time.Now().Add(20 * time.Second); answer != "1"; time.Sleep(10 * time.Millisecond) {
		if answer, _ = l.invoke("second", "1"); time.Now().After(end) {
			t.Fatalf("the function is not there: %s", answer)
		}
	}
	if answer, _ = l.invoke("first", "1"); !strings.Contains(answer, "Function not found") {
		t.Errorf("the function that was taken out is there: %s", answer)
	}
	if list := l.fn("ls", "--json"); !strings.Contains(list, `"dir":"`+filepath.Join(dir, "sub")+`"`) {
		t.Errorf("dir is not seen from the configuration's folder: %s", list)
	}
}

func TestNode(t *testing.T) {
	if exec.Command("node", "-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)").Run() != nil {
		t.Skip("node 18 or newer is not installed (apt-get install nodejs)")
	}
	bootstrap(t, "node", []string{"node", "bootstrap.mjs"}, "handler.mjs", `
let calls = 0
export async function handle(event, context) {
  console.log('for', context.functionName)
  if (event.fail) throw new RangeError('too far')
  if (event.exit) process.exit(5)
  return { n: ++calls, left: context.getRemainingTimeInMillis() > 0, word: 'größer' }
}
`, `^{"errorType":"RangeError","errorMessage":"too far","trace":\["RangeError: too far","    at `, `throw new Error('not today')`, `^{"errorType":"Error","errorMessage":"not today"`)
}

func TestPython(t *testing.T) {
	if exec.Command("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run() != nil {
		t.Skip("python 3.8 or newer is not installed (apt-get install python3)")
	}
	bootstrap(t, "python", []string{"python3", "bootstrap.py"}, "handler.py", `
import os
calls = 0
def handle(event, context):
    global calls
    print("for", context.function_name)
    if event.get("fail"): raise IndexError("too far")
    if event.get("exit"): os._exit(5)
    calls += 1
    return {"n": calls, "left": context.get_remaining_time_in_millis() > 0, "word": "größer"}
`, `^{"errorType": "IndexError", "errorMessage": "too far", "stackTrace": \["  File `, `raise Exception("not today")`, `^{"errorType": "Exception", "errorMessage": "not today"`)
}

// bootstrap makes a function of what fn init writes, first as it is, then with a
// handler of the test's.
func bootstrap(t *testing.T, runtime string, command []string, file, handler, raised, broken, unready string) {
	l := serve(t)
	dir := filepath.Join(t.TempDir(), "made")
	said := l.fn("init", "--runtime", runtime, dir)
	if want := "lockstep fn add made --dir " + dir + " --handler handler.handle -- " + strings.Join(command, " "); !strings.Contains(said, want) {
		t.Errorf("fn init says %q, want %q", said, want)
	}
	add := append([]string{"add", "made", "--dir", dir, "--handler", "handler.handle", "--"}, command...)
	l.fn(add...)
	f := func(name, payload, want string) {
		t.Helper()
		answer, _ := l.invoke(name, payload)
		var value any
		if !regexp.MustCompile(want).MatchString(answer) || json.Unmarshal([]byte(answer), &value) != nil {
			t.Errorf("%s: %s, want %s", payload, answer, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l.fn("reload", "made")
	}
	f("made", `{"name":"Ada"}`, `^{"hello": ?"Ada"}$`)
	f("arn:aws:lambda:eu-west-1:210987654321:function:made:live", `{}`, `^{"hello": ?"world"}$`)
	write(handler)
	f("made", `{}`, `^{"n": ?1, ?"left": ?true, ?"word": ?"gr(ö|\\u00f6)(ß|\\u00df)er"}$`)
	f("made", `{}`, `^{"n": ?2,`)
	f("made", `{"fail":1}`, raised)
	f("made", `{}`, `^{"n": ?3,`)
	f("made", `{"exit":1}`, `Runtime exited with error: exit status 5`)
	f("made", `{}`, `^{"n": ?1,`)
	if log := l.fn("logs", "made"); !strings.Contains(log, " for made\n") {
		t.Errorf("the log lacks what the function printed:\n%s", log)
	}
	write(broken)
	f("made", `{}`, unready)
}
