package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/retention"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// What ended 90 days ago is as if it had never been, and what runs goes on.
func TestAfterNinetyDays(t *testing.T) {
	dir := t.TempDir()
	srv := openTest(t, dir)
	c := newClient(srv.url)
	pass := c.createFor(t, "pass", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
	fail := c.createFor(t, "fail", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Fail"}}}`)
	waits := c.createFor(t, "waits", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":99999999,"End":true}}}`)
	nested := c.createFor(t, "nested", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2",
		"Parameters":{"StateMachineArn":"`+waits+`","Name":"child"},"End":true}}}`)
	each := c.createFor(t, "each", "STANDARD", `{"StartAt":"Each","States":{"Each":{"Type":"Map","Label":"L","End":true,"ItemProcessor":{
		"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}}}}`)
	start := func(machine, name, input string) (x started) {
		t.Helper()
		c.must(t, "StartExecution", fields{"stateMachineArn": machine, "name": name, "input": input}, &x)
		return x
	}
	first, second, third := start(pass, "order", "{}"), start(fail, "order", "{}"), start(each, "order", "[1,2,3]")
	parent := start(nested, "parent", "{}")
	for _, x := range []started{first, second, third} {
		c.end(t, x.ARN)
	}
	var runs struct {
		MapRuns []struct{ MapRunARN string }
	}
	c.must(t, "ListMapRuns", fields{"executionArn": third.ARN}, &runs)
	var children struct {
		Executions []struct{ ExecutionARN string }
	}
	c.must(t, "ListExecutions", fields{"mapRunArn": runs.MapRuns[0].MapRunARN}, &children)
	c.http.CloseIdleConnections()
	if err := srv.closeSoon(t.Context()); err != nil {
		t.Fatal(err)
	}

	walk := func(limits config.Limits) (removed retention.Removed) {
		t.Helper()
		st, err := sqlite.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		s := retention.New(retention.Config{
			Store: st, Write: (&storetest.Direct{Store: st}).Write, Now: func() time.Time { return time.Now().Add(91 * 24 * time.Hour) },
			KeepOf: limits.RetentionOf, Shortest: limits.ShortestRetention(),
		})
		if removed, err = s.Walk(context.Background()); err != nil {
			t.Fatal(err)
		}
		return removed
	}
	if removed := walk(config.Limits{Retention: config.Forever}); removed.Executions != 0 {
		t.Errorf("%d executions are removed that are to be kept for ever", removed.Executions)
	}
	if removed := walk(config.Limits{}); removed.Executions != 6 { // with the three children
		t.Errorf("%d executions are removed", removed.Executions)
	}

	srv = openTest(t, dir)
	c = newClient(srv.url)
	t.Cleanup(c.http.CloseIdleConnections)
	refused := func(action string, in fields, code string) {
		t.Helper()
		if err := c.call(t.Context(), action, in, nil); !isAPIError(err, code) {
			t.Errorf("%s of what is gone: %v, want %s", action, err, code)
		}
	}
	for _, x := range []started{first, second, third, {ARN: children.Executions[0].ExecutionARN}} {
		for _, action := range []string{"DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution", "DescribeStateMachineForExecution"} {
			refused(action, fields{"executionArn": x.ARN}, "ExecutionDoesNotExist")
		}
		_, err := (&restClient{url: srv.url}).call(t.Context(), http.MethodGet, "executions/"+url.PathEscape(x.ARN), nil, nil)
		if err == nil || !strings.Contains(err.Error(), "no longer kept") {
			t.Errorf("the view of %s: %v", x.ARN, err)
		}
	}
	refused("DescribeMapRun", fields{"mapRunArn": runs.MapRuns[0].MapRunARN}, "ResourceNotFound")
	refused("ListExecutions", fields{"mapRunArn": runs.MapRuns[0].MapRunARN}, "ResourceNotFound")
	var list struct{ Executions []struct{ Name string } }
	c.must(t, "ListExecutions", fields{"stateMachineArn": pass}, &list)
	if len(list.Executions) != 0 {
		t.Errorf("still listed: %v", list.Executions)
	}

	// The name is free, and what waited all the time goes on.
	if again := start(pass, "order", `{"again":true}`); c.end(t, again.ARN).Status != "SUCCEEDED" {
		t.Error("the name cannot be used again")
	}
	child := arn.Default.Execution("waits", "child")
	c.must(t, "StopExecution", fields{"executionArn": child, "error": "Enough"}, nil)
	if got := c.end(t, parent.ARN); got.Status != "FAILED" {
		t.Errorf("the parent has ended with %+v", got)
	}
}
