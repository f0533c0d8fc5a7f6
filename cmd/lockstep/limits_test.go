package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/config"
)

const mebibyte = 1 << 20

// text is a JSON string that takes n bytes, quotes included. Nothing in it is
// longer in a request than it is.
func text(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

// limited is a server where machines called big… have payloads up to a mebibyte.
func limited(t *testing.T) *client {
	s := testSettings(t, t.TempDir())
	s.limits = config.Limits{History: 26_000, Machines: []config.MachineLimits{{Match: "big*", Payload: mebibyte}}}
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(srv.url)
	t.Cleanup(func() { c.http.CloseIdleConnections(); srv.closeSoon(t.Context()) })
	return c
}

func (c *client) must(t *testing.T, action string, in, out any) {
	t.Helper()
	if err := c.call(t.Context(), action, in, out); err != nil {
		t.Fatal(err)
	}
}

func (c *client) createFor(t *testing.T, name, typ, definition string) string {
	t.Helper()
	c.must(t, "CreateStateMachine", fields{"name": name, "type": typ, "roleArn": "arn:aws:iam::123456789012:role/r", "definition": definition}, nil)
	return arn.Default.Machine(name)
}

// end waits for the end of an execution.
func (c *client) end(t *testing.T, execution string) (x struct{ Status, Error, Output string }) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		c.must(t, "DescribeExecution", fields{"executionArn": execution}, &x)
		if x.Status != "RUNNING" {
			return x
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s has not ended", execution)
	return x
}

type started struct {
	ARN    string `json:"executionArn"`
	Status string `json:"status"`
	Output string `json:"output"`
}

func TestPayloadLimits(t *testing.T) {
	c := limited(t)
	for _, m := range []struct {
		name  string
		limit int
	}{{"small", 256 << 10}, {"big", mebibyte}, {"bigger", mebibyte}} {
		same := c.createFor(t, m.name, "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		quick := c.createFor(t, m.name+"-express", "EXPRESS", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		f := func(action, machine string) {
			t.Helper()
			var x started
			c.must(t, action, fields{"stateMachineArn": machine, "input": text(m.limit)}, &x)
			if x.Output == "" {
				x.Output = c.end(t, x.ARN).Output
			}
			if x.Output != text(m.limit) {
				t.Errorf("%s of %s: the output has %d bytes, not those of the input", action, machine, len(x.Output))
			}
			err := c.call(t.Context(), action, fields{"stateMachineArn": machine, "input": text(m.limit + 1)}, nil)
			want := "Member must have length less than or equal to " + strconv.Itoa(m.limit)
			if !isAPIError(err, "ValidationException") || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s of %s with a byte more: %.200v", action, machine, err)
			}
		}
		f("StartExecution", same)
		f("StartSyncExecution", quick)

		// Nothing that a state makes may be larger either.
		g := func(name, definition, input, status, failure string) {
			t.Helper()
			var x started
			c.must(t, "StartExecution", fields{"stateMachineArn": c.createFor(t, m.name+name, "STANDARD", definition), "input": input}, &x)
			if got := c.end(t, x.ARN); got.Status != status || got.Error != failure {
				t.Errorf("%s: %s %s, want %s %s", m.name+name, got.Status, got.Error, status, failure)
			}
		}
		output := `{"StartAt":"A","States":{"A":{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% [$states.input] %}","End":true}}}` // two bytes more
		g("-output", output, text(m.limit-2), "SUCCEEDED", "")
		g("-output", output, text(m.limit-1), "FAILED", "States.DataLimitExceeded")
		variable := `{"StartAt":"A","States":{"A":{"Type":"Pass","QueryLanguage":"JSONata","Assign":{"x":"{% [$states.input] %}"},"Output":1,"End":true}}}`
		g("-variable", variable, text(m.limit-20), "SUCCEEDED", "")
		g("-variable", variable, text(m.limit), "FAILED", "States.DataLimitExceeded")

		var activity struct {
			ARN string `json:"activityArn"`
		}
		c.must(t, "CreateActivity", fields{"name": m.name}, &activity)
		work := c.createFor(t, m.name+"-work", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"`+activity.ARN+`","End":true}}}`)
		var x started
		c.must(t, "StartExecution", fields{"stateMachineArn": work, "input": text(m.limit)}, &x)
		var task struct {
			Token string `json:"taskToken"`
			Input string `json:"input"`
		}
		c.must(t, "GetActivityTask", fields{"activityArn": activity.ARN}, &task)
		if len(task.Input) != m.limit {
			t.Errorf("%s: the task's input has %d bytes", m.name, len(task.Input))
		}
		err := c.call(t.Context(), "SendTaskSuccess", fields{"taskToken": task.Token, "output": text(m.limit + 1)}, nil)
		if !isAPIError(err, "ValidationException") {
			t.Errorf("%s: an output with a byte too many: %.200v", m.name, err)
		}
		c.must(t, "SendTaskSuccess", fields{"taskToken": task.Token, "output": text(m.limit)}, nil)
		if got := c.end(t, x.ARN); got.Output != text(m.limit) {
			t.Errorf("%s: %s with an output of %d bytes", m.name, got.Status, len(got.Output))
		}
	}
	// A request that no machine takes is not even read to its end.
	if err := c.call(t.Context(), "StartExecution", fields{"input": text(4 * mebibyte)}, nil); !isAPIError(err, "RequestEntityTooLargeException") {
		t.Errorf("a request of four mebibytes: %.200v", err)
	}
	if err := c.call(t.Context(), "CreateStateMachine", fields{"definition": text(mebibyte)}, nil); !isAPIError(err, "RequestEntityTooLargeException") {
		t.Errorf("a definition of more than a mebibyte: %.200v", err)
	}
}

func TestHistoryLimit(t *testing.T) {
	c := limited(t)
	loop := c.createFor(t, "loop", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.stop","IsPresent":true,"Next":"B"}],"Default":"A"},"B":{"Type":"Succeed"}}}`)
	var x started
	c.must(t, "StartExecution", fields{"stateMachineArn": loop}, &x)
	if got := c.end(t, x.ARN); got.Status != "FAILED" || got.Error != "States.Runtime" {
		t.Errorf("the loop has ended with %s %s", got.Status, got.Error)
	}
	var page struct {
		Events []struct{ ID int64 } `json:"events"`
	}
	c.must(t, "GetExecutionHistory", fields{"executionArn": x.ARN, "reverseOrder": true, "maxResults": 1}, &page)
	if len(page.Events) != 1 || page.Events[0].ID != 26_000 {
		t.Errorf("the last event is %v, not 26000", page.Events)
	}
	if err := c.call(t.Context(), "RedriveExecution", fields{"executionArn": x.ARN}, nil); !isAPIError(err, "ExecutionNotRedrivable") || !strings.Contains(err.Error(), "history event limit exceeded") {
		t.Errorf("redrive with a full history: %v", err)
	}
}

func TestLimitsAreDescribed(t *testing.T) {
	c := limited(t)
	f := func(name, typ, want string) {
		t.Helper()
		var m struct {
			Limits json.RawMessage `json:"lockstepLimits"`
		}
		c.must(t, "DescribeStateMachine", fields{"stateMachineArn": c.createFor(t, name, typ, good)}, &m)
		if got := string(m.Limits); got != want {
			t.Errorf("limits of %s: %s, want %s", name, got, want)
		}
	}
	f("small", "STANDARD", `{"payloadBytes":262144,"historyEvents":26000}`)
	f("big", "STANDARD", `{"payloadBytes":1048576,"historyEvents":26000}`)
	f("quick", "EXPRESS", ``)
	f("big-quick", "EXPRESS", `{"payloadBytes":1048576}`)
}

// One call a second is what AWS lets through of most actions: sooner or later a
// server that throttles says so to a client that does not wait.
func TestThrottle(t *testing.T) {
	s := testSettings(t, t.TempDir())
	s.throttle = true
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(srv.url)
	t.Cleanup(func() { c.http.CloseIdleConnections(); srv.closeSoon(t.Context()) })
	for n := 0; ; n++ {
		err := c.call(t.Context(), "ValidateStateMachineDefinition", fields{"definition": good}, nil)
		if isAPIError(err, "ThrottlingException") && n >= 100 {
			break
		}
		if err != nil || n > 100_000 {
			t.Fatalf("call %d: %v", n+1, err)
		}
	}
}
