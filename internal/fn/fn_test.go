package fn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test binary is the program of the functions it tests: FN_TEST says what it
// does.
func TestMain(m *testing.M) {
	if what := os.Getenv("FN_TEST"); what != "" {
		os.Exit(program(what))
	}
	os.Exit(m.Run())
}

func program(what string) int {
	api := os.Getenv("AWS_LAMBDA_RUNTIME_API")
	handle := func(payload []byte) ([]byte, error) {
		var in struct {
			Print, Fail, Wait string
			Exit              *int
			Hold              int
			Big               int
			Env               bool
			Child             bool
		}
		if json.Unmarshal(payload, &in) != nil {
			return payload, nil
		}
		fmt.Print(in.Print)
		switch {
		case in.Fail != "":
			return nil, errors.New(in.Fail)
		case in.Exit != nil:
			os.Exit(*in.Exit)
		case in.Hold > 0:
			b := bytes.Repeat([]byte{1}, in.Hold)
			<-time.After(time.Minute)
			return b[:1], nil
		case in.Big > 0:
			return []byte(`"` + strings.Repeat("x", in.Big) + `"`), nil
		case in.Env:
			return json.Marshal(os.Environ())
		case in.Child: // a child that outlives its parent, unless it is ended
			c := exec.Command("sleep", "60")
			if err := c.Start(); err != nil {
				return nil, err
			}
			return []byte(strconv.Itoa(c.Process.Pid)), nil
		case in.Wait != "":
			if in.Wait == "ever" {
				select {}
			}
			for { // until the file is there
				if _, err := os.Stat(in.Wait); err == nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		return payload, nil
	}
	switch what {
	case "init":
		fmt.Println("no module")
		http.Post("http://"+api+"/2018-06-01/runtime/init/error", "", strings.NewReader(`{"errorType":"ImportError","errorMessage":"no module"}`))
		return 1
	case "exit":
		fmt.Println("bye")
		return 0
	case "sleep":
		<-time.After(time.Minute)
	case "twice": // asks twice without an answer
		http.Get("http://" + api + "/2018-06-01/runtime/invocation/next")
		res, err := http.Get("http://" + api + "/2018-06-01/runtime/invocation/next")
		if err == nil {
			fmt.Println("second:", res.StatusCode)
		}
		return 7
	}
	if err := Serve(api, handle); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func open(t testing.TB, c Config) *Manager {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(func() { m.Close() })
	return m
}

// self is the spec of a function that this binary serves.
func self(what string, change func(*Spec)) Spec {
	s := Spec{Command: []string{os.Args[0]}, Env: map[string]string{"FN_TEST": what}, Memory: -1, Timeout: Duration(time.Minute)}
	if change != nil {
		change(&s)
	}
	return s
}

func add(t testing.TB, m *Manager, name string, s Spec) {
	t.Helper()
	if err := m.Add(name, s); err != nil {
		t.Fatal(err)
	}
}

func invoke(m http.Handler, name, payload string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/2015-03-31/functions/"+name+"/invocations", strings.NewReader(payload))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "?" {
			r.URL.RawQuery = "Qualifier=" + header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

var (
	ids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	figures = regexp.MustCompile(`\d+(\.\d+)? (ms|MB)`)
)

func tail(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(w.Header().Get("X-Amz-Log-Result"))
	if err != nil {
		t.Fatal(err)
	}
	return figures.ReplaceAllString(ids.ReplaceAllString(string(text), "ID"), "N $2")
}

func TestInvoke(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "echo", self("serve", nil))
	f := func(name, payload string, status int, want string, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		w := invoke(m, name, payload, header...)
		if got := ids.ReplaceAllString(w.Body.String(), "ID"); w.Code != status || got != want {
			t.Errorf("invoke %s with %.100s: %d %.300s, want %d %.300s", name, payload, w.Code, got, status, want)
		}
		if ids.FindString(w.Header().Get("X-Amzn-Requestid")) == "" {
			t.Error("there is no request id")
		}
		return w
	}
	w := f("echo", `{"a": 1}`, 200, `{"a": 1}`)
	if v := w.Header().Get("X-Amz-Executed-Version"); v != "$LATEST" {
		t.Errorf("executed version %q", v)
	}
	if w.Header().Get("X-Amz-Function-Error") != "" || w.Header().Get("X-Amz-Log-Result") != "" {
		t.Errorf("headers of a success: %v", w.Header())
	}
	f("echo", ``, 200, `{}`)
	f("echo", `7`, 200, `7`)
	f("echo:prod", `1`, 200, `1`)
	f("echo:prod", `1`, 400, `{"Type":"User","message":"The derived qualifier from the function name does not match the specified qualifier."}`, "?", "beta")
	f("echo", `1`, 200, `1`, "?", "beta")
	f("arn%3Aaws%3Alambda%3Aeu-west-1%3A210987654321%3Afunction%3Aecho", `2`, 200, `2`)
	f("arn:aws:lambda:eu-west-1:210987654321:function:echo:3", `2`, 200, `2`)
	f("210987654321:function:echo", `2`, 200, `2`)
	f("echo", `{}`, 204, ``, "X-Amz-Invocation-Type", "DryRun")
	f("echo", `{}`, 400, `{"Type":"User","message":"Unsupported invocation type: \"Now\": use RequestResponse, Event or DryRun"}`, "X-Amz-Invocation-Type", "Now")
	f("echo", `{"a":`, 400, `{"Type":"User","message":"Could not parse request body into json: unexpected end of JSON input at byte 5"}`)
	f("echo", `{}`, 400, `{"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."}`, "X-Amz-Client-Context", "x")
	f("echo", `"`+strings.Repeat("x", 6<<20)+`"`, 413, `{"Type":"User","message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}`)
	f("echo", `"`+strings.Repeat("x", 1<<20)+`"`, 413, `{"Type":"User","message":"Request must be smaller than 1048576 bytes for the InvokeFunction operation"}`, "X-Amz-Invocation-Type", "Event")
	f("none", `{}`, 404, `{"Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:none","Type":"User"}`)
	f("none", `{}`, 404, `{"Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:none","Type":"User"}`, "X-Amz-Invocation-Type", "Event")

	w = f("echo", `{"Fail":"none left"}`, 200, `{"errorType":"Error","errorMessage":"none left"}`)
	if got := w.Header().Get("X-Amz-Function-Error"); got != "Unhandled" {
		t.Errorf("function error %q", got)
	}
	w = f("echo", `{"Big":6291600}`, 200, `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`)
	if got := w.Header().Get("X-Amz-Function-Error"); got != "Unhandled" {
		t.Errorf("function error %q", got)
	}
	if n := m.List()[0].Processes; n != 1 {
		t.Errorf("%d processes for one call after the other, want 1", n)
	}
}

// What goes wrong in a process has Lambda's names, and its log tells of it.
func TestFailures(t *testing.T) {
	m := open(t, Config{})
	f := func(s Spec, payload, want, log string) {
		t.Helper()
		add(t, m, "f", s)
		w := invoke(m, "f", payload, "X-Amz-Log-Type", "Tail")
		if got := ids.ReplaceAllString(w.Body.String(), "ID"); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", payload, w.Code, got, want)
		}
		if got := w.Header().Get("X-Amz-Function-Error"); got != "Unhandled" {
			t.Errorf("%s: function error %q", payload, got)
		}
		got := regexp.MustCompile(`\S+Z ID Task`).ReplaceAllString(tail(t, w), "TIME ID Task")
		if diff := cmp.Diff(log, got); diff != "" {
			t.Errorf("%s: its log (-want +got):\n%s", payload, diff)
		}
	}
	const start, report = "START RequestId: ID Version: $LATEST\n", "END RequestId: ID\nREPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\t"
	const init = "Init Duration: N ms\t"
	sized := func(mib int) func(*Spec) { return func(s *Spec) { s.Memory = mib } }
	f(self("serve", sized(500)), `{"Exit":3,"Print":"last words\n"}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 3"}`,
		start+"last words\nRequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n"+report+init+"Status: error\tError Type: Runtime.ExitError\n")
	f(self("serve", sized(500)), `{"Exit":0}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`,
		start+"RequestId: ID Error: Runtime exited without providing a reason\nRuntime.ExitError\n"+report+init+"Status: error\tError Type: Runtime.ExitError\n")
	f(self("serve", func(s *Spec) { s.Timeout, s.Memory = Duration(50*time.Millisecond), 500 }), `{"Wait":"ever","Print":"no newline"}`,
		`{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 0.05 seconds"}`,
		start+"no newline\nTIME ID Task timed out after 0.05 seconds\n"+report+init+"Status: timeout\n")
	f(self("serve", sized(100)), `{"Hold":300000000}`, `{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: killed"}`,
		start+"RequestId: ID Error: Runtime exited with error: signal: killed\nRuntime.OutOfMemory\n"+report+init+"Status: error\tError Type: Runtime.OutOfMemory\n")
	f(self("init", sized(500)), `{}`, `{"errorType":"ImportError","errorMessage":"no module"}`, "no module\n"+start+report+"\n")
	f(self("exit", sized(500)), `{}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`,
		"bye\n"+start+"RequestId: ID Error: Runtime exited without providing a reason\nRuntime.ExitError\n"+report+"Status: error\tError Type: Runtime.ExitError\n")
	f(self("twice", sized(500)), `{}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 7"}`,
		start+"second: 403\nRequestId: ID Error: Runtime exited with error: exit status 7\nRuntime.ExitError\n"+report+init+"Status: error\tError Type: Runtime.ExitError\n")
	f(Spec{Command: []string{"./not-there"}, Dir: t.TempDir()}, `{}`, `{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: ID Error: fork/exec ./not-there: no such file or directory"}`,
		start+"RequestId: ID Error: fork/exec ./not-there: no such file or directory\nRuntime.InvalidEntrypoint\n"+report+"\n")
}

// A process that failed is followed by another.
func TestLifeAfterFailure(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", self("serve", func(s *Spec) { s.Concurrency = 1; s.Timeout = Duration(time.Second) }))
	for _, payload := range []string{`{"Exit":1}`, `1`, `{"Wait":"ever"}`, `2`, `{"Fail":"x"}`, `3`} {
		w := invoke(m, "f", payload)
		if failed := w.Header().Get("X-Amz-Function-Error") != ""; failed == (len(payload) == 1) {
			t.Errorf("%s: %s", payload, w.Body)
		}
	}
	if i := m.List()[0]; i.Invocations != 6 || i.Errors != 3 || i.Busy != 0 {
		t.Errorf("after 6 calls, 3 of them failures: %+v", i)
	}
}

// What a process prints is in the log of the call it prints it in, to the byte.
func TestTail(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", self("serve", nil))
	for i := range 200 {
		text := fmt.Sprintf("call %d", i)
		got := tail(t, invoke(m, "f", `{"Print":"`+text+`\n"}`, "X-Amz-Log-Type", "Tail"))
		if want := "START RequestId: ID Version: $LATEST\n" + text + "\nEND RequestId: ID\nREPORT"; !strings.HasPrefix(got, want) {
			t.Fatalf("the log of %s is %q", text, got)
		}
	}
	w := invoke(m, "f", `{"Print":"`+strings.Repeat("x", 10000)+`"}`, "X-Amz-Log-Type", "Tail")
	if text, _ := base64.StdEncoding.DecodeString(w.Header().Get("X-Amz-Log-Result")); len(text) != maxTail {
		t.Errorf("the end of a long log has %d bytes, want %d", len(text), maxTail)
	}
	r := httptest.NewRequest("GET", "/api/v1/functions/f/logs?tail=2", nil)
	r.Header.Set("Authorization", "Bearer "+string(m.key))
	w = httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if got := figures.ReplaceAllString(ids.ReplaceAllString(w.Body.String(), "ID"), "N $2"); !regexp.MustCompile(`^\S+Z 1 END RequestId: ID\n\S+Z 1 REPORT RequestId: ID\t.*\n$`).MatchString(got) {
		t.Errorf("the last two lines are %q", got)
	}
}

// As many processes as there are calls, up to the limit; the others wait.
func TestConcurrency(t *testing.T) {
	m := open(t, Config{})
	gate := t.TempDir() + "/open"
	add(t, m, "f", self("serve", func(s *Spec) { s.Concurrency = 3; s.Idle = Duration(time.Nanosecond) }))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if w := invoke(m, "f", `{"Wait":"`+gate+`"}`); w.Code != 200 || w.Header().Get("X-Amz-Function-Error") != "" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	await(t, "three busy, seven in line", func() bool { i := m.List()[0]; return i.Busy == 3 && i.Waiting == 7 && i.Processes == 3 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	await(t, "no process that has nothing to do", func() bool { return m.List()[0].Processes == 0 })
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there has not come to be: %s", what)
		}
	}
}

// A caller who leaves the line takes its call along.
func TestLeave(t *testing.T) {
	m := open(t, Config{})
	gate := t.TempDir() + "/open"
	add(t, m, "f", self("serve", func(s *Spec) { s.Concurrency = 1 }))
	server := httptest.NewServer(m)
	defer server.Close()
	done := make(chan struct{})
	go func() { defer close(done); invoke(m, "f", `{"Wait":"`+gate+`"}`) }()
	await(t, "a busy process", func() bool { return m.List()[0].Busy == 1 })
	client := &http.Client{Timeout: 50 * time.Millisecond}
	if _, err := client.Post(server.URL+"/2015-03-31/functions/f/invocations", "", strings.NewReader(`2`)); err == nil {
		t.Error("a call in line was answered")
	}
	await(t, "an empty line", func() bool { return m.List()[0].Waiting == 0 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := m.List()[0].Invocations; n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// A process gets Lambda's variables, and of ours none that could be a secret.
func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
	t.Setenv("OPENAI_API_KEY", "s3cret")
	t.Setenv("PASSED", "on")
	dir := t.TempDir()
	m := open(t, Config{Endpoint: "http://127.0.0.1:1"})
	add(t, m, "f", self("serve", func(s *Spec) {
		s.Dir, s.Handler, s.Memory, s.PassEnv, s.Env["LEVEL"] = dir, "a.b", 256, []string{"PASSED", "ABSENT"}, "debug"
	}))
	w := invoke(m, "f:7", `{"Env":true}`)
	var list []string
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Fatal(err, w.Body)
	}
	env := map[string]string{}
	for _, entry := range list {
		name, v, _ := strings.Cut(entry, "=")
		env[name] = v
	}
	if strings.Contains(w.Body.String(), "s3cret") {
		t.Error("a secret of the server is in the function's environment")
	}
	for name, want := range map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "_HANDLER": "a.b",
		"LAMBDA_TASK_ROOT": dir, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "LEVEL": "debug", "PASSED": "on",
		"AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:1", "PATH": os.Getenv("PATH"), "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if _, ok := env["ABSENT"]; ok {
		t.Error("a variable that the server lacks is there")
	}
}

// Functions that were added, their key and their logs are there again.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	m := open(t, Config{Dir: dir})
	add(t, m, "f", self("serve", nil))
	add(t, m, "g", self("serve", nil))
	invoke(m, "f", `{"Print":"hello\n"}`)
	if err := m.Remove("g"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir})
	if w := invoke(again, "f", `1`); w.Body.String() != "1" {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	if again.Has("g", "") {
		t.Error("a function that was removed is back")
	}
	if again.Key("f") != m.Key("f") {
		t.Error("a worker's key has changed")
	}
	text, _, _, _ := (*again.names.Load())["f"].log.read(0)
	if !strings.Contains(string(text), " 1 hello\n") {
		t.Errorf("the log is lost: %q", text)
	}
	info, err := os.Stat(dir + "/functions.json")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("functions.json: %v %v", info, err)
	}
}

// The configuration comes first, and a change of it reaches calls in line.
func TestDeclare(t *testing.T) {
	m := open(t, Config{})
	gate := t.TempDir() + "/open"
	declare := func(specs map[string]Spec) {
		t.Helper()
		if err := m.Declare(specs); err != nil {
			t.Fatal(err)
		}
	}
	const mail = "arn:aws:lambda:eu-west-1:210987654321:function:mail"
	add(t, m, "f", self("exit", nil))
	declare(map[string]Spec{
		"f":      self("serve", func(s *Spec) { s.Concurrency = 1 }),
		"f:beta": self("serve", func(s *Spec) { s.Env["V"] = "beta" }),
		mail:     self("serve", func(s *Spec) { s.Env["V"] = "mail" }),
	})
	if w := invoke(m, "f", `1`); w.Body.String() != "1" {
		t.Errorf("a declared function does not come before one that was added: %s", w.Body)
	}
	for call, want := range map[string]string{"f:beta": "V=beta", mail: "V=mail", mail + ":4": "V=mail"} {
		if w := invoke(m, call, `{"Env":true}`); !strings.Contains(w.Body.String(), want) || want == "V=mail" && !strings.Contains(w.Body.String(), "AWS_REGION=eu-west-1") {
			t.Errorf("%s: %s", call, w.Body)
		}
	}
	if w := invoke(m, "mail", `{}`); w.Code != 404 {
		t.Errorf("a function declared by its ARN answers to its name: %d", w.Code)
	}
	if err := m.Add("f", self("serve", nil)); !errors.Is(err, ErrDeclared) {
		t.Errorf("adding a declared function: %v", err)
	}
	if err := m.Remove("f"); !errors.Is(err, ErrDeclared) {
		t.Errorf("removing a declared function: %v", err)
	}

	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if w := invoke(m, "f", `{"Wait":"`+gate+`"}`); w.Header().Get("X-Amz-Function-Error") != "" || w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	await(t, "one busy, one in line", func() bool { return m.List()[1].Waiting == 1 && m.List()[1].Busy == 1 })
	declare(map[string]Spec{"f": self("serve", func(s *Spec) { s.Env["V"] = "2" })})
	await(t, "the one in line with the new process", func() bool { return m.List()[0].Busy == 1 && m.List()[0].Waiting == 0 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	declare(nil)
	if w := invoke(m, "f", `1`); w.Header().Get("X-Amz-Function-Error") == "" {
		t.Error("the function that was added is not back")
	}
	await(t, "no old processes", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.all) == 1 })
}

// Refresh has new processes take the place of the old.
func TestRefresh(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", self("serve", nil))
	invoke(m, "f", `1`)
	if err := m.Refresh("g"); !errors.Is(err, ErrNotFound) {
		t.Errorf("refreshing what is not there: %v", err)
	}
	if err := m.Refresh(""); err != nil {
		t.Fatal(err)
	}
	got := tail(t, invoke(m, "f", `1`, "X-Amz-Log-Type", "Tail"))
	if !strings.Contains(got, "Init Duration") {
		t.Errorf("the old process still serves: %s", got)
	}
}

// Nothing of a function outlives its end: neither children nor zombies.
func TestNobodyIsLeft(t *testing.T) {
	m := open(t, Config{})
	add(t, m, "f", self("serve", nil))
	w := invoke(m, "f", `{"Child":true}`)
	child, err := strconv.Atoi(w.Body.String())
	if err != nil {
		t.Fatal(w.Body)
	}
	if err := m.Remove("f"); err != nil {
		t.Fatal(err)
	}
	await(t, "no child of a function that is gone", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(text), ") Z ") // whoever adopts it collects it
	})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); len(bytes.Fields(text)) > 0 {
		t.Errorf("children are left: %s", text)
	}
}

func TestWrongSpecs(t *testing.T) {
	m := open(t, Config{})
	f := func(name string, s Spec, want string) {
		t.Helper()
		if err := m.Add(name, s); err == nil || err.Error() != want {
			t.Errorf("Add(%s): %v, want %s", name, err, want)
		}
	}
	f("a/b", Spec{}, `the name of a function has 1 to 64 letters, digits, - and _, not "a/b"`)
	f("a", Spec{Timeout: Duration(time.Hour)}, "timeout must be between 1ms and 15m0s, not 1h0m0s")
	f("a", Spec{Memory: -2, Concurrency: -1}, "memory must be a number of MiB, or -1 for any, not -2\nconcurrency must be between 1 and 1000, not -1")
	f("a", Spec{Dir: "x"}, `dir must be an absolute path, not "x"`)
	f("a", Spec{Env: map[string]string{"A-B": ""}}, `"A-B" is no name of an environment variable`)
	f("a", Spec{Env: map[string]string{"_HANDLER": ""}}, `the variable _HANDLER is set by Lambda, and here too`)
	f("a", Spec{Command: []string{"a\x00"}}, `a NUL byte cannot be passed to a process`)
}

func BenchmarkInvoke(b *testing.B) {
	m := open(b, Config{})
	add(b, m, "f", self("serve", nil))
	server := httptest.NewServer(m)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	call := func() error {
		res, err := client.Post(server.URL+"/2015-03-31/functions/f/invocations", "application/json", strings.NewReader(`{"a":1}`))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("eight at a time", func(b *testing.B) {
		b.SetParallelism(4)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	})
}
