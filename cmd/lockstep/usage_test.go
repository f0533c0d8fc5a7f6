package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/config"
)

// TestUsageArrives runs a machine that calls a model, and finds what it cost,
// also what was used just before the server closed.
func TestUsageArrives(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":1000,"output_tokens":100,"cache_read_input_tokens":10000}}`)
	}))
	defer provider.Close()
	dir := t.TempDir()
	s := testSettings(t, dir)
	s.models = []config.Model{{Match: "*", Provider: "anthropic", URL: provider.URL}}
	start := func() *server {
		srv, err := openServer(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return srv
	}
	srv := start()
	api := newClient(srv.url)
	var machine struct {
		ARN string `json:"stateMachineArn"`
	}
	definition := `{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","End":true,
		"Parameters":{"ModelId":"anthropic.claude-haiku-4-5-20251001-v1:0","Body":{"max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}}}}}`
	if err := api.call(t.Context(), "CreateStateMachine", fields{"name": "asker", "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/r"}, &machine); err != nil {
		t.Fatal(err)
	}
	run := func() {
		t.Helper()
		var started struct {
			ARN string `json:"executionArn"`
		}
		if err := api.call(t.Context(), "StartExecution", fields{"stateMachineArn": machine.ARN}, &started); err != nil {
			t.Fatal(err)
		}
		for {
			var x struct{ Status, Cause string }
			if err := api.call(t.Context(), "DescribeExecution", fields{"executionArn": started.ARN}, &x); err != nil {
				t.Fatal(err)
			}
			if x.Status == "SUCCEEDED" {
				return
			}
			if x.Status != "RUNNING" {
				t.Fatalf("the execution ended with %+v", x)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	row := func(by string) (name string, events, billed int64) {
		t.Helper()
		var a struct {
			Rows []struct {
				Name           string
				Events, Billed int64
			}
		}
		res, err := http.Get(srv.url + "/api/v1/usage?group_by=" + by)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		if len(a.Rows) == 0 {
			return "", 0, 0
		}
		return a.Rows[0].Name, a.Rows[0].Events, a.Rows[0].Billed
	}
	const each = 1000*1000 + 100*5000 + 10000*100
	run()
	if _, events, _ := row("machine"); events != 1 { // at once
		t.Errorf("%d events are kept when the execution has ended, want 1", events)
	}
	run()
	if err := srv.closeSoon(context.Background()); err != nil { // at once
		t.Fatal(err)
	}
	srv = start()
	defer srv.closeSoon(context.Background())
	for by, want := range map[string]string{"machine": "asker", "state": "asker/Ask", "model": "anthropic/claude-haiku-4-5-20251001"} {
		if name, events, billed := row(by); name != want || events != 2 || billed != 2*each {
			t.Errorf("by %s: %s, %d events, %d nano-USD; want %s, 2, %d", by, name, events, billed, want, 2*each)
		}
	}
	var out strings.Builder
	cmd := newRootCommand()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"usage", "--by", "state", "--data", dir})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "asker/Ask") || !strings.Contains(out.String(), "$0.005") {
		t.Errorf("lockstep usage says\n%s", out.String())
	}
}
