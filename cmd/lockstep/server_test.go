package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/task/model"
)

func testSettings(t testing.TB, dir string) settings {
	return settings{
		listen: "127.0.0.1:0", data: dir, scheme: arn.Default, log: slog.New(slog.DiscardHandler),
		fatal: func(err error) { t.Error(err) },
	}
}

func openTest(t *testing.T, dir string) *server {
	t.Helper()
	srv, err := openServer(t.Context(), testSettings(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	return srv
}

// A poll waits for up to a minute; a server that stops does not.
func TestCloseEndsPolls(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api := newClient(srv.url)
	var activity struct {
		ARN string `json:"activityArn"`
	}
	if err := api.call(t.Context(), "CreateActivity", fields{"name": "a"}, &activity); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(arrived) }} // the server has begun to read
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace),
		http.MethodPost, srv.url+"/", strings.NewReader(`{"activityArn":"`+activity.ARN+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions.GetActivityTask")
	req.Header.Set("Expect", "100-continue")
	patient := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	polled := make(chan string)
	go func() {
		res, err := patient.Do(req)
		if err != nil {
			polled <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		polled <- res.Status + " " + string(text)
	}()
	<-arrived
	if err := srv.closeSoon(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	// 503 where the poll had not begun to wait: the client asks again.
	if got := <-polled; got != "200 OK {}" && !strings.HasPrefix(got, "503 ") {
		t.Errorf("the poll ended with %s, want an answer without a task", got)
	}
	if _, err := http.Get(srv.url); err == nil {
		t.Error("the closed server still answers")
	}
}

// A desk that is killed between claiming a task and writing its token down leaves
// an execution that nobody can answer. The next demo runs the comment again.
func TestDemoMendsLostClaim(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	rude := examples.Comment{Text: "You are an idiot.", Input: `{"commentId":"c","author":"a","text":"You are an idiot."}`}

	srv := openTest(t, dir)
	d := &demo{out: out, model: demoModel{id: model.Lexicon}, api: newClient(srv.url)}
	activity, err := d.deploy(t.Context(), srv)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := d.api.call(ctx, "StartExecution", fields{"stateMachineArn": d.machine, "name": nameOf(1), "input": rude.Input}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.api.call(ctx, "GetActivityTask", fields{"activityArn": activity, "workerName": deskWorker}, nil); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(ctx); err != nil {
		t.Fatal(err)
	}

	d = &demo{out: out, model: d.model, comments: []examples.Comment{{Text: "Nice!", Input: `{"commentId":"d","author":"b","text":"Nice!"}`}}}
	if err := d.run(ctx, testSettings(t, dir), false); err != nil {
		t.Fatal(err)
	}
	f := func(i int, execution, verdict string) {
		t.Helper()
		if r := d.rows[i]; r.execution != execution || r.verdict != verdict || r.score == nil {
			t.Errorf("row %d = %+v, want %s %s", i, r, execution, verdict)
		}
	}
	if len(d.rows) != 2 {
		t.Fatalf("%d rows, want 2", len(d.rows))
	}
	f(0, "comment-2", "posted")
	f(1, "comment-3", "waiting")
	srv = openTest(t, dir)
	x, err := newClient(srv.url).describe(ctx, executionARN(d.machine, nameOf(1)))
	if err != nil || x.Status != "ABORTED" {
		t.Errorf("comment-1 is %s, %v; want ABORTED", x.Status, err)
	}
}

func TestChooseModel(t *testing.T) {
	f := func(provider string, env map[string]string, want string) {
		t.Helper()
		m, err := chooseModel(provider, func(name string) string { return env[name] })
		got := m.name
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s %v: %s, want %s", provider, env, got, want)
		}
	}
	type env = map[string]string
	f("", nil, "lockstep.lexicon-v1 (built in)")
	f("", env{"ANTHROPIC_API_KEY": "k"}, "claude-haiku-4-5 (Anthropic API)")
	f("", env{"ANTHROPIC_API_KEY": "k", "ANTHROPIC_MODEL": "m"}, "m (Anthropic API)")
	f("", env{"OPENAI_API_KEY": "k"}, "gpt-4.1-mini (OpenAI API)")
	f("", env{"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1", "OPENAI_MODEL": "qwen"}, "qwen (http://127.0.0.1:11434/v1)")
	f("", env{"BEDROCK_MODEL_ID": "amazon.nova"}, "amazon.nova (Amazon Bedrock)")
	f("", env{"AWS_ACCESS_KEY_ID": "a"}, "lockstep.lexicon-v1 (built in)")
	f("lexicon", env{"ANTHROPIC_API_KEY": "k"}, "lockstep.lexicon-v1 (built in)")
	f("bedrock", nil, "say which model of Bedrock is to score, with BEDROCK_MODEL_ID")
	f("gpt", nil, "--model gpt: there are anthropic, openai, bedrock and lexicon")
}

func TestExcerpt(t *testing.T) {
	f := func(text string, line, column int, want string) {
		t.Helper()
		if got := excerpt(text, line, column); got != want {
			t.Errorf("excerpt(%q, %d, %d) = %q, want %q", text, line, column, got, want)
		}
	}
	f("ab\n\tcd\r\n", 2, 2, "     cd\n     ^\n")
	f("ab", 1, 3, "    ab\n      ^\n")
	f("ab", 1, 4, "")
	f("ab", 2, 1, "")
	f("ab", 0, 0, "")
	f("a\x1b[2Jb", 1, 1, "    a?[2Jb\n    ^\n")
}

func TestShorten(t *testing.T) {
	f := func(text string, most int, want string) {
		t.Helper()
		if got := shorten(text, most); got != want {
			t.Errorf("shorten(%q, %d) = %q, want %q", text, most, got, want)
		}
	}
	f("abc", 3, "abc")
	f("abcd", 3, "ab…")
	f("ab cd", 4, "ab…")
	f("素晴らしい", 6, "素晴…")
	f("cafe\u0301s", 5, "cafe\u0301s")
}
