package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What can be read of a Map Run is the same for children of both types; the stream
// says when there is something.
func TestMapRunViews(t *testing.T) {
	set := testSettings(t, t.TempDir())
	set.retention = time.Hour // of Express executions
	srv, err := openServer(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.closeSoon(t.Context())
	rest, api := &restClient{url: srv.url}, newClient(srv.url)
	get := func(path string, out any) {
		t.Helper()
		if _, err := rest.call(t.Context(), http.MethodGet, path, nil, out); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		res, err := http.Get(srv.url + "/api/v1/events/stream?topics=execution&machine=" + kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		var made struct {
			ARN string `json:"stateMachineArn"`
		}
		err = api.call(t.Context(), "CreateStateMachine", fields{"name": kind, "roleArn": benchRole, "definition": fmt.Sprintf(`{"StartAt":"Each","States":{"Each":{
			"Type":"Map","ToleratedFailurePercentage":100,"End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":%q},"StartAt":"Which","States":{
			"Which":{"Type":"Choice","Choices":[{"Variable":"$","NumericEquals":2,"Next":"Bad"}],"Default":"Fine"},
			"Bad":{"Type":"Fail","Error":"Two","Cause":"it is two"},"Fine":{"Type":"Succeed"}}}}}}`, kind)}, &made)
		if err != nil {
			t.Fatal(err)
		}
		var begun execution
		if err := api.call(t.Context(), "StartExecution", fields{"stateMachineArn": made.ARN, "input": "[0,1,2,3]"}, &begun); err != nil {
			t.Fatal(err)
		}
		told := executionRow{}
		for lines := bufio.NewScanner(res.Body); told.ARN != begun.ARN || told.Status != "SUCCEEDED"; {
			if !lines.Scan() {
				t.Fatal("the stream has ended", lines.Err())
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &told); err != nil {
					t.Fatal(err)
				}
			}
		}

		var detail struct {
			MapRuns []struct {
				ARN string `json:"arn"`
			} `json:"map_runs"`
		}
		get("executions/"+url.PathEscape(begun.ARN), &detail)
		if len(detail.MapRuns) != 1 {
			t.Fatalf("%s: %d Map Runs", kind, len(detail.MapRuns))
		}
		path := "mapruns/" + url.PathEscape(detail.MapRuns[0].ARN)
		var run struct {
			Execution, Status, Type string
			Items                   struct{ Succeeded, Failed, Total int64 }
		}
		get(path+"/counts", &run)
		if run.Execution != begun.ARN || run.Status != "SUCCEEDED" || run.Type != kind || run.Items.Succeeded != 3 || run.Items.Failed != 1 || run.Items.Total != 4 {
			t.Errorf("%s: the counts are %+v", kind, run)
		}
		var cells struct{ Cells string }
		if get(path+"/cells", &cells); cells.Cells != "ssfs" {
			t.Errorf("%s: the cells are %q", kind, cells.Cells)
		}
		var child executionRow
		if get(path+"/cells?index=2", &child); child.Status != "FAILED" || child.State != "Bad" || child.Error != "Two" {
			t.Errorf("%s: the third child is %+v", kind, child)
		}
		var failed struct {
			Complete bool
			Failures []struct {
				Error, Cause string
				Count        int
				Examples     []string
				Indexes      []int64
			}
		}
		get(path+"/failures", &failed)
		if f := failed.Failures; !failed.Complete || len(f) != 1 || f[0].Error != "Two" || f[0].Cause != "it is two" || f[0].Count != 1 || f[0].Examples[0] != child.ARN || f[0].Indexes[0] != 2 {
			t.Errorf("%s: the failures are %+v", kind, failed)
		}
		var visits struct {
			Visits []visitRow `json:"visits"`
		}
		get("executions/"+url.PathEscape(child.ARN)+"/visits", &visits)
		if v := visits.Visits; len(v) != 2 || v[0].Path != "Which" || v[1].Path != "Bad" || v[1].Status != "failed" {
			t.Errorf("%s: the third child's visits are %+v", kind, v)
		}
		var of struct {
			Parent string `json:"parent_execution"`
			MapRun string `json:"map_run"`
		}
		if get("executions/"+url.PathEscape(child.ARN), &of); of.Parent != begun.ARN || of.MapRun != detail.MapRuns[0].ARN {
			t.Errorf("%s: the third child is of %+v", kind, of)
		}
	}
}
