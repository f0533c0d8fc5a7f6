package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPageOfAgentsInMachines runs docs/agents-in-machines.md, line by line.
func TestPageOfAgentsInMachines(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed", "tr", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("../../docs/agents-in-machines.md")
	if err != nil {
		t.Fatal(err)
	}
	srv := openTest(t, t.TempDir())
	script := ""
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	script = strings.ReplaceAll(script, "http://"+defaultListen, srv.url)
	cmd := exec.CommandContext(t.Context(), "sh", "-eux", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+srv.url, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`does not fit the schema`, `\"review\":{\"verdict\":\"approve\",\"by\":\"@local\",\"comment\":\"good\"}`,
		`\"live\":{\"by\":\"@local\",\"when\":\"monday\"}`, `\"announced\":{\"readers\":40}`, `"state":"Draft"`, "cb-1-1-",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page does not lead to %q:\n%s", want, out)
		}
	}
}

// A token answers for no task of the board, and callbacks are for people.
func TestTokensOfTheBoard(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api, rest := newClient(srv.url), &restClient{url: srv.url}
	call := func(method, path string, in, out any) error {
		t.Helper()
		_, err := rest.call(t.Context(), method, path, in, out)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(call("POST", "projects", fields{"key": "WEB", "name": "Web"}, nil))
	must(call("POST", "agents", fields{"slug": "writer", "projects": []string{"WEB"}}, nil))
	m := api.createFor(t, "m", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::agent:runTask.waitForTaskToken",
	  "Parameters":{"Project":"WEB","Title":"T","Input":{"t.$":"$$.Task.Token"}},"End":true}}}`)
	var x struct {
		ARN string `json:"executionArn"`
	}
	api.must(t, "StartExecution", fields{"stateMachineArn": m, "input": "{}"}, &x)
	var history struct {
		Events []struct {
			Scheduled struct{ Parameters string } `json:"taskScheduledEventDetails"`
		}
	}
	api.must(t, "GetExecutionHistory", fields{"executionArn": x.ARN}, &history)
	token := regexp.MustCompile(`"t":"([^"]+)"`).FindStringSubmatch(history.Events[2].Scheduled.Parameters)[1]
	for action, in := range map[string]fields{
		"SendTaskSuccess": {"taskToken": token, "output": "{}"}, "SendTaskFailure": {"taskToken": token}, "SendTaskHeartbeat": {"taskToken": token},
	} {
		if err := api.call(t.Context(), action, in, nil); err == nil || !strings.Contains(err.Error(), "InvalidToken") {
			t.Errorf("%s: %v", action, err)
		}
	}
	var page struct{ Callbacks []any }
	must(call("GET", "callbacks", nil, &page))
	if page.Callbacks == nil || len(page.Callbacks) != 0 {
		t.Errorf("callbacks: %v", page.Callbacks)
	}
	var key struct{ Key string }
	must(call("POST", "agents/writer/keys", nil, &key))
	rest.header = http.Header{"Authorization": {"Bearer " + key.Key}}
	for _, c := range [][2]string{{"GET", "callbacks"}, {"POST", "callbacks/cb-1-1-1/success"}} {
		if err := call(c[0], c[1], fields{"output": 1}, nil); err == nil || !strings.Contains(err.Error(), "agent's key does not do") {
			t.Errorf("an agent's %s %s: %v", c[0], c[1], err)
		}
	}
}

// Whoever listens hears at once of work that ends with its execution.
func TestStopIsHeard(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api, rest := newClient(srv.url), &restClient{url: srv.url}
	for path, in := range map[string]fields{"projects": {"key": "WEB", "name": "Web"}} {
		if _, err := rest.call(t.Context(), "POST", path, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := api.createFor(t, "m", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::agent:runTask.sync","Parameters":{"Project":"WEB","Title":"T"},"End":true}}}`)
	var x struct {
		ARN string `json:"executionArn"`
	}
	api.must(t, "StartExecution", fields{"stateMachineArn": m, "input": "{}"}, &x)
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.url+"/api/v1/events/stream?type=task.*", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	await := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == "event: "+want {
				return
			}
		}
		t.Fatalf("the stream has ended without %s: %v", want, lines.Err())
	}
	await("task.create")
	api.must(t, "StopExecution", fields{"executionArn": x.ARN}, nil)
	await("task.cancel")
}

// Express executions make tasks, and do not wait for them.
func TestCreateTaskOfExpress(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api, rest := newClient(srv.url), &restClient{url: srv.url}
	if _, err := rest.call(t.Context(), "POST", "projects", fields{"key": "WEB", "name": "Web"}, nil); err != nil {
		t.Fatal(err)
	}
	m := api.createFor(t, "m", "EXPRESS", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::agent:createTask","Parameters":{"Project":"WEB","Title":"T"},"End":true}}}`)
	var x struct{ Status, Output string }
	api.must(t, "StartSyncExecution", fields{"stateMachineArn": m, "input": "{}"}, &x)
	if x.Status != "SUCCEEDED" || !strings.Contains(x.Output, `"TaskKey":"WEB-1"`) {
		t.Errorf("%+v", x)
	}
}
