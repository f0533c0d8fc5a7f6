package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A schedule that is due starts its execution through the API, once for each time.
func TestScheduleStarts(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api := newClient(srv.url)
	machine := createPass(t, api)
	c := &restClient{url: srv.url}
	at := time.Now().UTC().Add(-time.Second).Truncate(time.Second)
	body := map[string]any{"name": "s", "expression": "rate(100 days)", "machine": "m", "input": json.RawMessage(`{"at":"<aws.scheduler.scheduled-time>"}`)}
	if _, err := c.call(t.Context(), http.MethodPost, "schedules", body, nil); err != nil {
		t.Fatal(err)
	}
	x := awaitOne(t, api, machine)
	if !strings.HasPrefix(x.Name, "s-20") || !strings.HasPrefix(x.Input, `{"at":"20`) || x.Name < "s-"+at.Format("20060102T150405Z") {
		t.Errorf("%+v", x)
	}
}

func createPass(t *testing.T, api *client) string {
	t.Helper()
	var m struct {
		ARN string `json:"stateMachineArn"`
	}
	definition := `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
	if err := api.call(t.Context(), "CreateStateMachine", fields{"name": "m", "roleArn": "arn:aws:iam::123456789012:role/r", "definition": definition}, &m); err != nil {
		t.Fatal(err)
	}
	return m.ARN
}

// awaitOne waits for an execution of a machine to be there, and describes it.
func awaitOne(t *testing.T, api *client, machine string) execution {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		found := ""
		if err := api.executions(t.Context(), machine, "", func(x execution) { found = x.ARN }); err != nil {
			t.Fatal(err)
		}
		if found != "" {
			x, err := api.describe(t.Context(), found)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatal("nothing was started")
	return execution{}
}

// EventBridge's own call reaches the triggers at the address of the AWS API, also
// from a task of this server.
func TestPutEventsStarts(t *testing.T) {
	for name, v := range map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, v)
	}
	s := testSettings(t, t.TempDir())
	address := freeAddress(t)
	s.listen = address
	t.Setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://"+address)
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	api := newClient(srv.url)
	machine := createPass(t, api)
	c := &restClient{url: srv.url}
	body := map[string]any{"name": "tr", "type": "event", "machine": "m", "pattern": json.RawMessage(`{"source":["shop"]}`)}
	if _, err := c.call(t.Context(), http.MethodPost, "triggers", body, nil); err != nil {
		t.Fatal(err)
	}
	definition := `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::events:putEvents","End":true,
		"Parameters":{"Entries":[{"Source":"shop","DetailType":"Order","Detail":{"total":1}}]}}}}`
	var sender struct {
		ARN string `json:"stateMachineArn"`
	}
	if err := api.call(t.Context(), "CreateStateMachine", fields{"name": "sender", "roleArn": "arn:aws:iam::123456789012:role/r", "definition": definition}, &sender); err != nil {
		t.Fatal(err)
	}
	if err := api.call(t.Context(), "StartExecution", fields{"stateMachineArn": sender.ARN}, nil); err != nil {
		t.Fatal(err)
	}
	x := awaitOne(t, api, machine)
	if !strings.Contains(x.Input, `"detail-type":"Order","source":"shop"`) || !strings.Contains(x.Input, `"resources":["`+sender.ARN) || !strings.HasSuffix(x.Input, `"detail":{"total":1}}`) {
		t.Errorf("%+v", x)
	}
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The end of one execution starts another.
func TestStatusChangeStarts(t *testing.T) {
	srv := openTest(t, t.TempDir())
	api := newClient(srv.url)
	first := createPass(t, api)
	var next struct {
		ARN string `json:"stateMachineArn"`
	}
	if err := api.call(t.Context(), "CreateStateMachine", fields{
		"name": "next", "roleArn": "arn:aws:iam::123456789012:role/r", "definition": `{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`,
	}, &next); err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"name": "ended", "type": "event", "machine": "next", "pattern": json.RawMessage(
		`{"source":["aws.states"],"detail":{"status":["SUCCEEDED"],"stateMachineArn":[{"suffix":":m"}]}}`)}
	if _, err := (&restClient{url: srv.url}).call(t.Context(), http.MethodPost, "triggers", body, nil); err != nil {
		t.Fatal(err)
	}
	if err := api.call(t.Context(), "StartExecution", fields{"stateMachineArn": first, "name": "one", "input": `{"a":1}`}, nil); err != nil {
		t.Fatal(err)
	}
	var event struct {
		DetailType string `json:"detail-type"`
		Resources  []string
		Detail     struct{ Status, Name, Input, Output string }
	}
	x := awaitOne(t, api, next.ARN)
	if err := json.Unmarshal([]byte(x.Input), &event); err != nil {
		t.Fatal(err)
	}
	if d := event.Detail; event.DetailType != "Step Functions Execution Status Change" || d.Status != "SUCCEEDED" || d.Name != "one" || d.Input != `{"a":1}` || d.Output != `{"a":1}` {
		t.Errorf("the input is %s", x.Input)
	}
}
