package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// cloud is a second server, of another account and region, in the place of AWS.
// In front of it stands what notes who called, and how.
type cloud struct {
	api    *client
	scheme arn.Scheme
	url    string
	sts    string

	mu    sync.Mutex
	calls map[string]int // "StartExecution by SESSION for eu-west-1"
}

func openCloud(t *testing.T) *cloud {
	return openCloudAs(t, arn.Scheme{Partition: "aws", Region: "eu-west-1", Account: "222222222222"})
}

func openCloudAs(t *testing.T, scheme arn.Scheme) *cloud {
	t.Helper()
	c := &cloud{scheme: scheme, calls: map[string]int{}}
	s := testSettings(t, t.TempDir())
	s.scheme = c.scheme
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	c.api = newClient(srv.url)
	behind, err := url.Parse(srv.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		part := strings.Split(scope+"////", "/")
		c.mu.Lock()
		c.calls[action+" by "+part[0]+" for "+part[2]]++
		c.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("RoleArn") != "arn:aws:iam::222222222222:role/trusted" {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>SESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
			`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(sts.Close)
	c.url, c.sts = front.URL, sts.URL
	setCredentials(t)
	t.Setenv("AWS_ENDPOINT_URL_SFN", c.url)
	t.Setenv("AWS_ENDPOINT_URL_STS", c.sts)
	return c
}

// machine makes one there.
func (c *cloud) machine(t *testing.T, name, typ, state string) string {
	t.Helper()
	c.api.createFor(t, name, typ, `{"StartAt":"A","States":{"A":`+state+`}}`)
	return c.scheme.Machine(name)
}

// begin starts an execution here that calls resource.
func begin(t *testing.T, here *client, name, resource, task string) string {
	t.Helper()
	machine := here.createFor(t, name, "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::`+resource+`","End":true,`+task+`}}}`)
	var x started
	here.must(t, "StartExecution", fields{"stateMachineArn": machine, "name": "x"}, &x)
	return x.ARN
}

// Machines that are still on AWS are called there, by definitions as they are,
// and in the name of the task's role.
func TestMachinesElsewhere(t *testing.T) {
	aws := openCloud(t)
	good := aws.machine(t, "good", "STANDARD", `{"Type":"Pass","End":true}`)
	bad := aws.machine(t, "bad", "STANDARD", `{"Type":"Fail","Error":"E","Cause":"why"}`)
	short := aws.machine(t, "short", "EXPRESS", `{"Type":"Pass","End":true}`)
	srv := openTest(t, t.TempDir())
	here := newClient(srv.url)
	with := func(machine, more string) string {
		return `"Parameters":{"StateMachineArn":"` + machine + `","Input":{"n":1}}` + more
	}
	f := func(name, resource, task, status string, parts ...string) {
		t.Helper()
		x := here.end(t, begin(t, here, name, resource, task))
		if x.Status != status {
			t.Errorf("%s: %+v", name, x)
		}
		var full struct{ Cause string }
		here.must(t, "DescribeExecution", fields{"executionArn": arn.Default.Execution(name, "x")}, &full)
		for _, part := range parts {
			if !strings.Contains(x.Output+x.Error+full.Cause, part) {
				t.Errorf("%s: %+v %s lacks %s", name, x, full.Cause, part)
			}
		}
	}
	const trusted = `,"Credentials":{"RoleArn":"arn:aws:iam::222222222222:role/trusted"}`
	f("request", "states:startExecution", with(good, ""), "SUCCEEDED", `"ExecutionArn":"arn:aws:states:eu-west-1:222222222222:execution:good:`, `"SdkHttpMetadata":`)
	f("sync", "states:startExecution.sync", with(good, ""), "SUCCEEDED", `"Output":"{\"n\":1}"`, `"Status":"SUCCEEDED"`)
	f("sync2", "states:startExecution.sync:2", with(good, trusted), "SUCCEEDED", `"Output":{"n":1}`)
	f("fails", "states:startExecution.sync:2", with(bad, trusted), "FAILED", "States.TaskFailed", `"Cause":"why"`, `"Error":"E"`, `"Status":"FAILED"`)
	f("express", "aws-sdk:sfn:startSyncExecution", with(short, ""), "SUCCEEDED", `"Output":"{\"n\":1}"`)
	f("nowhere", "states:startExecution", with(aws.scheme.Machine("none"), ""), "FAILED", "StepFunctions.StateMachineDoesNotExistException")
	f("stranger", "states:startExecution", with(good, strings.Replace(trusted, "trusted", "else", 1)), "FAILED", "States.TaskFailed",
		"is not authorized to assume the task state's role, arn:aws:iam::222222222222:role/else.")
	f("own", "states:startExecution", with(arn.Default.Machine("none"), trusted), "FAILED", "StepFunctions.StateMachineDoesNotExistException")
	want := map[string]int{
		"StartExecution by AKTEST for eu-west-1": 3, "DescribeExecution by AKTEST for eu-west-1": 1, "StartSyncExecution by AKTEST for eu-west-1": 1,
		"StartExecution by SESSION for eu-west-1": 2, "DescribeExecution by SESSION for eu-west-1": 2,
	}
	aws.mu.Lock()
	defer aws.mu.Unlock()
	if diff := cmp.Diff(want, aws.calls); diff != "" {
		t.Error(diff)
	}
}

// Of an account whose machines move one after the other, those that have are called
// here and the others on AWS, by definitions that nobody has touched.
func TestMachinesOfOneAccountInTwoPlaces(t *testing.T) {
	aws := openCloudAs(t, arn.Default)
	aws.machine(t, "there", "STANDARD", `{"Type":"Pass","Result":"on AWS","End":true}`)
	aws.machine(t, "both", "STANDARD", `{"Type":"Pass","Result":"on AWS","End":true}`)
	s := testSettings(t, t.TempDir())
	s.onAWS = true
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	here := newClient(srv.url)
	here.createFor(t, "both", "STANDARD", `{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"moved","End":true}}}`)
	f := func(machine, status, part string) {
		t.Helper()
		x := here.end(t, begin(t, here, "calls-"+machine, "states:startExecution.sync:2", `"Parameters":{"StateMachineArn":"`+arn.Default.Machine(machine)+`"}`))
		if x.Status != status || !strings.Contains(x.Output+x.Error, part) {
			t.Errorf("%s: %+v", machine, x)
		}
	}
	f("there", "SUCCEEDED", `"Output":"on AWS"`)
	f("both", "SUCCEEDED", `"Output":"moved"`)
	f("none", "FAILED", "StepFunctions.StateMachineDoesNotExistException")
	want := map[string]int{"StartExecution by AKTEST for us-east-1": 2, "DescribeExecution by AKTEST for us-east-1": 1}
	aws.mu.Lock()
	defer aws.mu.Unlock()
	if diff := cmp.Diff(want, aws.calls); diff != "" {
		t.Error(diff)
	}
}

// What an execution waits for elsewhere is waited for again after a restart, and
// stopped when nobody waits for it any more.
func TestRestartWhileWaitingElsewhere(t *testing.T) {
	aws := openCloud(t)
	aws.api.must(t, "CreateActivity", fields{"name": "a"}, nil)
	machine := aws.machine(t, "waits", "STANDARD", `{"Type":"Task","Resource":"`+aws.scheme.Activity("a")+`","End":true}`)
	child := func(token *string) {
		t.Helper()
		var task struct{ TaskToken string }
		aws.api.must(t, "GetActivityTask", fields{"activityArn": aws.scheme.Activity("a")}, &task)
		*token = task.TaskToken
	}
	with := func(name string) string {
		return `"Parameters":{"StateMachineArn":"` + machine + `","Name":"` + name + `"},"Credentials":{"RoleArn":"arn:aws:iam::222222222222:role/trusted"}`
	}
	dir := t.TempDir()
	first, err := openServer(t.Context(), testSettings(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	token := ""
	x := begin(t, newClient(first.url), "parent", "states:startExecution.sync:2", with("c1"))
	child(&token)
	if err := first.closeSoon(t.Context()); err != nil {
		t.Fatal(err)
	}
	aws.api.must(t, "SendTaskSuccess", fields{"taskToken": token, "output": `{"done":true}`}, nil)

	here := newClient(openTest(t, dir).url)
	if x := here.end(t, x); x.Status != "SUCCEEDED" || !strings.Contains(x.Output, `"Output":{"done":true}`) {
		t.Errorf("after the restart: %+v", x)
	}
	x = begin(t, here, "stopped", "states:startExecution.sync", with("c2"))
	child(&token)
	here.must(t, "StopExecution", fields{"executionArn": x}, nil)
	if x := aws.api.end(t, aws.scheme.Execution("waits", "c2")); x.Status != "ABORTED" {
		t.Errorf("the child of a stopped execution: %+v", x)
	}
}

// A server that is told that it is AWS itself answers that it does not have the
// machine, and asks nobody again.
func TestElsewhereIsHere(t *testing.T) {
	setCredentials(t)
	s := testSettings(t, t.TempDir())
	s.listen = freeAddress(t)
	t.Setenv("AWS_ENDPOINT_URL_SFN", "http://"+s.listen)
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	here := newClient(srv.url)
	x := here.end(t, begin(t, here, "m", "states:startExecution.sync",
		`"Parameters":{"StateMachineArn":"arn:aws:states:eu-west-1:222222222222:stateMachine:m"}`))
	if x.Status != "FAILED" || x.Error != "StepFunctions.StateMachineDoesNotExistException" {
		t.Errorf("%+v", x)
	}
}

// Every action that takes an ARN is called where the ARN says: none takes what is
// elsewhere for a mistake, or says that it has done what it cannot do.
func TestActionsElsewhere(t *testing.T) {
	aws := openCloud(t)
	here := newClient(openTest(t, t.TempDir()).url)
	machine := aws.scheme.Machine("m")
	of := map[string]string{
		"StateMachineArn": machine, "StateMachineVersionArn": machine + ":1", "StateMachineAliasArn": machine + ":live", "ResourceArn": machine,
		"ExecutionArn": aws.scheme.Execution("m", "x"), "ActivityArn": aws.scheme.Activity("a"), "MapRunArn": aws.scheme.MapRun("m", "l", "u"),
	}
	route := `"RoutingConfiguration":[{"StateMachineVersionArn":"` + machine + `:1","Weight":100}]`
	more := map[string]string{
		"createStateMachineAlias": `"Name":"live",` + route, "updateStateMachineAlias": route, "updateMapRun": `"MaxConcurrency":1`,
		"tagResource": `"Tags":[{"Key":"k","Value":"v"}]`, "untagResource": `"TagKeys":["k"]`, "updateStateMachine": `"RoleArn":"arn:aws:iam::222222222222:role/r"`,
	}
	for action, call := range awsmodel.Find("sfn").Actions {
		parameters := []string{}
		if more[action] != "" {
			parameters = append(parameters, more[action])
		}
		for _, m := range call.Input.Members {
			if arn := of[m.Name]; arn != "" && (action != "listExecutions" || m.Name == "MapRunArn") {
				parameters = append(parameters, `"`+m.Name+`":"`+arn+`"`)
			}
		}
		if len(parameters) == 0 {
			continue
		}
		t.Run(action, func(t *testing.T) {
			here.end(t, begin(t, here, action, "aws-sdk:sfn:"+action, `"Parameters":{`+strings.Join(parameters, ",")+`}`))
			aws.mu.Lock()
			defer aws.mu.Unlock()
			if aws.calls[call.Name+" by AKTEST for eu-west-1"] != 1 {
				t.Errorf("it was not called there: %v", aws.calls)
			}
		})
	}
}
