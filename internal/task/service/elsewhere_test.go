package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// world is a server and AWS around it. Each answers an action by what is said
// for it, one answer after the other, the last again and again: "400 …" with
// that status, "down" and "mute" not at all. The server has nothing it was not told of.
type world struct {
	here map[string][]string // by action
	aws  map[string][]string
	log  []string // who was asked for what
}

func (w *world) next(of map[string][]string, action string) (status int, text string) {
	answers := of[action]
	if len(answers) == 0 {
		return 500, "{}"
	}
	if len(answers) > 1 {
		of[action] = answers[1:]
	}
	if text, failed := strings.CutPrefix(answers[0], "400 "); failed {
		if action == "AssumeRole" {
			return 400, `<ErrorResponse><Error><Code>` + text + `</Code></Error></ErrorResponse>`
		}
		return 400, `{"__type":"` + text + `","message":"m"}`
	}
	return 200, answers[0]
}

// ServeHTTP is the server's own API.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.log = append(w.log, "here "+action+" "+string(body))
	if _, account, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		w.log = append(w.log, "for "+strings.TrimSuffix(account, "/"))
	}
	status, text := 400, `{"__type":"StateMachineDoesNotExist","message":"not here"}`
	if w.here[action] != nil {
		status, text = w.next(w.here, action)
	} else if strings.Contains(string(body), `"executionArn"`) {
		text = `{"__type":"ExecutionDoesNotExist","message":"not here"}`
	} else if strings.Contains(string(body), `"resourceArn"`) {
		text = `{"__type":"ResourceNotFound","message":"not here"}`
	} else if strings.HasPrefix(action, "Delete") || strings.HasPrefix(action, "Create") || strings.HasPrefix(action, "Send") {
		status, text = 200, "{}"
	}
	out.WriteHeader(status)
	io.WriteString(out, text)
}

// RoundTrip is AWS.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	authorization := r.Header.Get("Authorization")
	_, scope, _ := strings.Cut(authorization, "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	if key, rest, ok := strings.Cut(scope, "/"); ok {
		_, rest, _ = strings.Cut(rest, "/") // the day
		scope = key + "/" + rest
	}
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		scope += " token=" + token
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		action, body = form.Get("Action"), []byte(form.Get("RoleArn")+" "+form.Get("ExternalId"))
	}
	w.log = append(w.log, r.Method+" "+r.URL.String()+" "+scope+" "+action+" "+string(body))
	if action == "AssumeRole" && w.aws[action] == nil {
		w.aws[action] = []string{fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>SESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
			`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))}
	}
	status, text := w.next(w.aws, action)
	switch text {
	case "down":
		return nil, errors.New("connection refused")
	case "mute":
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"X-Amzn-Requestid": {"r"}, "Date": {"Thu, 01 Jan 2026 00:00:00 GMT"}},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r}, nil
}

// services makes those of a server of the account 123456789012 in us-east-1.
func (w *world) services(t *testing.T, env ...string) *task.Registry {
	t.Helper()
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_STS", "AWS_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	set := append([]string{"AWS_ACCESS_KEY_ID", "OWN", "AWS_SECRET_ACCESS_KEY", "very-secret", "AWS_CONFIG_FILE", "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE", "/dev/null", "AWS_EC2_METADATA_DISABLED", "true"}, env...)
	for i := 0; i < len(set); i += 2 {
		t.Setenv(set[i], set[i+1])
	}
	s := New(Config{Region: "us-east-1", Partition: "aws", Account: "123456789012", Transport: w, States: w,
		Ended: func(context.Context, string) error { return nil }})
	tasks := task.NewRegistry()
	s.Register(tasks)
	return tasks
}

const (
	away      = "arn:aws:states:eu-west-1:222222222222:stateMachine:m"
	awayRun   = "arn:aws:states:eu-west-1:222222222222:execution:m:x"
	own       = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
	otherRole = "arn:aws:iam::222222222222:role/other"
	begun     = `{"executionArn":"` + awayRun + `","startDate":1700000000.125}`
	running   = `{"executionArn":"` + awayRun + `","status":"RUNNING"}`
	succeeded = `{"executionArn":"` + awayRun + `","status":"SUCCEEDED","startDate":1700000000.125,"stopDate":1700000001,` +
		`"input":"{\"a\":1}","inputDetails":{"included":true},"output":"{\"b\":2}","outputDetails":{"included":true}}`
)

// compare holds what was asked against what should have been.
func (w *world) compare(t *testing.T, name string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Errorf("%s asked %s", name, diff)
	}
}

// What is sent, and where: a call goes to AWS in the region of its ARN, in the
// name of the task's role, if this server does not have what it names.
func TestElsewhere(t *testing.T) {
	f := func(resource, role, input string, want ...string) {
		t.Helper()
		w := &world{aws: map[string][]string{"StartExecution": {begun}, "DescribeExecution": {running}, "StartSyncExecution": {`{"status":"SUCCEEDED"}`},
			"TagResource": {`{}`}, "GetActivityTask": {`{}`}, "DeleteStateMachine": {`{}`}, "CreateStateMachineAlias": {`{}`}, "DescribeMapRun": {`{}`}}}
		tasks := w.services(t)
		c := call(resource, input)
		c.RoleARN = role
		if _, err := tasks.Find(c.Resource).Run(task.With(t.Context(), c), c); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
		w.compare(t, resource, want...)
	}
	const at, scope = "POST https://states.eu-west-1.amazonaws.com", "/eu-west-1/states/aws4_request"
	const start = `StartExecution {"stateMachineArn":"` + away + `","input":"{\"a\":1}","name":"n"}`
	const parameters = `{"StateMachineArn":"` + away + `","Input":{"a":1},"Name":"n"}`
	for _, resource := range []string{"states:startExecution", "states:startExecution.sync", "states:startExecution.sync:2", "states:startExecution.waitForTaskToken"} {
		f(resource, "", parameters, "here "+start, at+" OWN"+scope+" "+start)
	}
	f("states:startExecution", otherRole, parameters, "here "+start,
		"POST https://sts.us-east-1.amazonaws.com OWN/us-east-1/sts/aws4_request AssumeRole "+otherRole+" "+own,
		at+" SESSION"+scope+" token=t "+start)
	const derived = `StartExecution {"stateMachineArn":"` + away + `","name":"7e4d91cf-b7aa-5f96-8e37-d3ca2ec64b95"}`
	f("states:startExecution", "", `{"StateMachineArn":"`+away+`"}`, "here "+derived, at+" OWN"+scope+" "+derived)

	const ask = `{"executionArn":"` + awayRun + `"}`
	f("aws-sdk:sfn:describeExecution", "", `{"ExecutionArn":"`+awayRun+`"}`, "here DescribeExecution "+ask, at+" OWN"+scope+" DescribeExecution "+ask)
	f("aws-sdk:sfn:startSyncExecution", "", `{"StateMachineArn":"`+away+`"}`, `here StartSyncExecution {"stateMachineArn":"`+away+`"}`,
		"POST https://sync-states.eu-west-1.amazonaws.com OWN"+scope+` StartSyncExecution {"stateMachineArn":"`+away+`"}`)
	f("aws-sdk:sfn:tagResource", "", `{"ResourceArn":"`+away+`","Tags":[]}`, `here TagResource {"resourceArn":"`+away+`","tags":[]}`,
		at+" OWN"+scope+` TagResource {"resourceArn":"`+away+`","tags":[]}`)
	f("aws-sdk:sfn:deleteStateMachine", "", `{"StateMachineArn":"`+away+`"}`, `here DescribeStateMachine {"stateMachineArn":"`+away+`"}`,
		at+" OWN"+scope+` DeleteStateMachine {"stateMachineArn":"`+away+`"}`)
}

// What this server has stays here, and so does what names its own account, no
// place, or none that there can be.
func TestStaysHere(t *testing.T) {
	f := func(resource, input string, here map[string][]string) {
		t.Helper()
		w := &world{here: here}
		c := call(resource, input)
		c.RoleARN = otherRole
		_, err := w.services(t).Find(c.Resource).Run(task.With(t.Context(), c), c)
		if here != nil && err != nil {
			t.Errorf("%s %s: %v", resource, input, err)
		}
		if here == nil && !notHere(err) {
			t.Errorf("%s %s: %v", resource, input, err)
		}
		for _, line := range w.log {
			if !strings.HasPrefix(line, "here ") {
				t.Errorf("%s: %s", resource, line)
			}
		}
	}
	start := func(arn string) string { return `{"StateMachineArn":"` + arn + `"}` }
	f("states:startExecution", start(away), map[string][]string{"StartExecution": {begun}})
	f("aws-sdk:sfn:deleteStateMachine", start(away), map[string][]string{"DescribeStateMachine": {`{}`}, "DeleteStateMachine": {`{}`}})
	f("states:startExecution", start(own), nil)
	f("aws-sdk:sfn:startExecution", start(own), nil)
	f("states:startExecution", start("arn:aws-cn:states:cn-north-1:222222222222:stateMachine:m"), nil)
	f("states:startExecution", start("arn:aws:states:evil.example/:222222222222:stateMachine:m"), nil)
	f("states:startExecution", start("arn:aws:states:a@evil-east-1:222222222222:stateMachine:m"), nil)
	f("states:startExecution", start("arn:aws:states:us-east-1:1:stateMachine:m"), nil)
	f("states:startExecution", start("m"), nil)
}

// A call without an ARN is for the account of the task's role, else of its machine:
// this server, AWS, or this server in the place of that account.
func TestCallersAccount(t *testing.T) {
	f := func(machine, role string, others bool, want ...string) {
		t.Helper()
		w := &world{aws: map[string][]string{"CreateActivity": {`{}`}}}
		tasks := w.services(t)
		if others {
			s := New(Config{Region: "us-east-1", Partition: "aws", Account: "123456789012", Others: true, Transport: w, States: w})
			tasks = task.NewRegistry()
			s.Register(tasks)
		}
		c := call("aws-sdk:sfn:createActivity", `{"Name":"n"}`)
		c.MachineARN, c.RoleARN = machine, role
		if _, err := tasks.Find(c.Resource).Run(task.With(t.Context(), c), c); err != nil {
			t.Error(err)
		}
		w.compare(t, machine+" "+role, want...)
	}
	const create = `CreateActivity {"name":"n"}`
	const ownRole, theirs = "arn:aws:iam::123456789012:role/own", "arn:aws:states:us-east-1:222222222222:stateMachine:m"
	f(own, "", false, "here "+create)
	f(own, ownRole, false, "here "+create)
	f(own, otherRole, false, "POST https://sts.us-east-1.amazonaws.com OWN/us-east-1/sts/aws4_request AssumeRole "+otherRole+" "+own,
		"POST https://states.us-east-1.amazonaws.com SESSION/us-east-1/states/aws4_request token=t "+create)
	f(own, "not a role", false, "here "+create)
	f(own, otherRole, true, "here "+create, "for 222222222222")
	f(theirs, "", true, "here "+create, "for 222222222222")
	f(theirs, ownRole, true, "here "+create)
}

// Every ARN that an action takes is found, and nothing within texts.
func TestARNsOfParameters(t *testing.T) {
	f := func(action, input, want string) {
		t.Helper()
		in, err := parameters(input)
		if err != nil {
			t.Fatal(err)
		}
		if got := statesARN(awsmodel.Find("sfn").Actions[action].Input, in); got != want {
			t.Errorf("%s %s: %q, want %q", action, input, got, want)
		}
	}
	for action, c := range awsmodel.Find("sfn").Actions {
		for _, m := range c.Input.Members {
			want := ""
			if strings.HasSuffix(m.Name, "Arn") && m.Name != "RoleArn" {
				want = away
			}
			if m.Name == "RoleArn" {
				f(action, `{"RoleArn":"`+otherRole+`"}`, "")
				continue
			}
			f(action, `{"`+m.Name+`":"`+away+`"}`, want)
		}
	}
	f("createStateMachineAlias", `{"Name":"a","RoutingConfiguration":[{"StateMachineVersionArn":"`+away+`:1","Weight":100}]}`, away+":1")
	f("startExecution", `{"Input":{"StateMachineArn":"`+away+`"}}`, "")
}

// wait runs a task that waits for its end, in a bubble of time.
func (w *world) wait(t *testing.T, tasks *task.Registry, resource string) string {
	t.Helper()
	end := ""
	synctest.Test(t, func(t *testing.T) {
		c := call(resource, `{"StateMachineArn":"`+away+`","Name":"n"}`)
		r, err := tasks.Find(c.Resource).Run(t.Context(), c)
		if err == nil {
			r, err = tasks.Poller(c.Resource).Poll(t.Context(), c, r.Output)
		}
		if end = r.Output; err != nil {
			end = err.Error()
		}
	})
	return end
}

// An execution elsewhere is waited for by asking; AWS's haste or silence is no
// end of it. After a crash the submission says where it is.
func TestWaitElsewhere(t *testing.T) {
	f := func(resource, want string, answers ...string) {
		t.Helper()
		w := &world{aws: map[string][]string{"StartExecution": {begun}, "DescribeExecution": answers}}
		if diff := cmp.Diff(want, w.wait(t, w.services(t), resource)); diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	const shape = `{"ExecutionArn":"` + awayRun + `","Input":%s,"InputDetails":{"Included":true},"Output":%s,"OutputDetails":{"Included":true},` +
		`"StartDate":1700000000125,"Status":"SUCCEEDED","StopDate":1700000001000}`
	f("states:startExecution.sync", fmt.Sprintf(shape, `"{\"a\":1}"`, `"{\"b\":2}"`), running, succeeded)
	f("states:startExecution.sync:2", fmt.Sprintf(shape, `{"a":1}`, `{"b":2}`), running, "400 ThrottlingException", "down", "mute", `not JSON`, succeeded)
	f("states:startExecution.sync:2", `States.TaskFailed: {"Error":"E","Status":"FAILED"}`, `{"status":"FAILED","error":"E"}`)
	f("states:startExecution.sync", `States.TaskFailed: {"Status":"ABORTED"}`, `{"status":"ABORTED"}`)
	f("states:startExecution.sync", `StepFunctions.ExecutionDoesNotExistException: m (Service: AWSStepFunctions; Status Code: 400; Error Code: ExecutionDoesNotExist; Request ID: r; Proxy: null)`,
		"400 ExecutionDoesNotExist")
	f("states:startExecution.sync", `StepFunctions.AWSStepFunctionsException: m (Service: AWSStepFunctions; Status Code: 400; Error Code: AccessDeniedException; Request ID: r; Proxy: null)`,
		"400 AccessDeniedException")
}

// The session of a role ends while an execution takes its time: that STS does not
// answer when a new one is needed is no end either.
func TestWaitElsewhereWithRole(t *testing.T) {
	w := &world{aws: map[string][]string{"DescribeExecution": {succeeded}, "AssumeRole": {"down", "400 Throttling"}}}
	tasks := w.services(t)
	synctest.Test(t, func(t *testing.T) {
		c := call("states:startExecution.sync", `{"StateMachineArn":"`+away+`"}`)
		c.RoleARN = otherRole
		ctx, cancel := context.WithTimeout(task.With(t.Context(), c), time.Minute)
		defer cancel()
		if _, err := tasks.Poller(c.Resource).Poll(ctx, c, `{"ExecutionArn":"`+awayRun+`"}`); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		w.aws["AssumeRole"] = nil
		if _, err := tasks.Poller(c.Resource).Poll(task.With(t.Context(), c), c, `{"ExecutionArn":"`+awayRun+`"}`); err != nil {
			t.Error(err)
		}
	})
}

// An execution of another account that this server has is waited for here.
func TestWaitHereForAnotherAccount(t *testing.T) {
	w := &world{here: map[string][]string{"StartExecution": {begun}, "DescribeExecution": {succeeded}}}
	if end := w.wait(t, w.services(t), "states:startExecution.sync:2"); !strings.Contains(end, `"Output":{"b":2}`) {
		t.Error(end)
	}
	const ask = `here DescribeExecution {"executionArn":"` + awayRun + `"}`
	w.compare(t, "the wait", `here StartExecution {"stateMachineArn":"`+away+`","name":"n"}`, ask, ask)
}

// An Express execution cannot be described, so it cannot be waited for: that ends
// the task, while a server without time for an answer does not.
func TestWaitForExpress(t *testing.T) {
	w := &world{here: map[string][]string{"StartExecution": {begun}, "DescribeExecution": {succeeded, "400 ThrottlingException", "400 InvalidArn"}}}
	const want = "StepFunctions.InvalidArnException: m (Service: AWSStepFunctions; Status Code: 400; Error Code: InvalidArn; Request ID: null; Proxy: null)"
	if end := w.wait(t, w.services(t), "states:startExecution.sync"); end != want {
		t.Errorf("the task ended with\n%s, want\n%s", end, want)
	}
}

// What is begun again after a crash finds what was begun before.
func TestBegunAgainElsewhere(t *testing.T) {
	w := &world{aws: map[string][]string{"StartExecution": {"400 ExecutionAlreadyExists"}, "DescribeExecution": {succeeded}}}
	out, err := run(t, w.services(t), call("states:startExecution", `{"StateMachineArn":"`+away+`"}`))
	if err != nil || !strings.HasPrefix(out, `{"ExecutionArn":"`+awayRun+`"`) {
		t.Errorf("%s, %v", out, err)
	}
}

// An execution that nobody waits for any more is stopped, also where AWS has no
// time at first.
func TestStopElsewhere(t *testing.T) {
	w := &world{aws: map[string][]string{"StopExecution": {"400 ThrottlingException", "mute", `{"stopDate":1}`}}}
	tasks := w.services(t)
	synctest.Test(t, func(t *testing.T) {
		c := call("states:startExecution.sync", `{"StateMachineArn":"`+away+`"}`)
		c.RoleARN = otherRole
		if err := tasks.Poller(c.Resource).Cancel(task.With(t.Context(), c), c, `{"ExecutionArn":"`+awayRun+`"}`); err != nil {
			t.Error(err)
		}
	})
	const stop = `StopExecution {"executionArn":"` + awayRun + `"}`
	const there = `POST https://states.eu-west-1.amazonaws.com SESSION/eu-west-1/states/aws4_request token=t ` + stop
	w.compare(t, "Cancel", "here "+stop, "POST https://sts.us-east-1.amazonaws.com OWN/us-east-1/sts/aws4_request AssumeRole "+otherRole+" "+own,
		there, "here "+stop, there, "here "+stop, there)
}

// A server without credentials says so, and what to do.
func TestElsewhereWithoutCredentials(t *testing.T) {
	w := &world{}
	_, err := run(t, w.services(t, "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", ""), call("states:startExecution", `{"StateMachineArn":"`+away+`"}`))
	if err == nil || *err.Name != "StepFunctions.SdkClientException" ||
		!strings.HasPrefix(*err.Cause, "This server does not have "+away+", and Step Functions in eu-west-1 could not be asked for it: Unable to load AWS credentials") ||
		!strings.HasSuffix(*err.Cause, "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, where the server runs") {
		t.Error(err)
	}
}

// An emulator is called in the place of AWS, and signed for the ARN's region:
// with the server's own credentials, as nobody answers for roles there.
func TestElsewhereAtAnEndpoint(t *testing.T) {
	f := func(env ...string) {
		t.Helper()
		w := &world{aws: map[string][]string{"StartSyncExecution": {`{}`}}}
		c := call("aws-sdk:sfn:startSyncExecution", `{"StateMachineArn":"`+away+`"}`)
		c.RoleARN = otherRole
		if _, err := w.services(t, env...).Find(c.Resource).Run(task.With(t.Context(), c), c); err != nil {
			t.Error(err)
		}
		w.compare(t, strings.Join(env, " "), `here StartSyncExecution {"stateMachineArn":"`+away+`"}`,
			`POST http://emulator:4566 OWN/eu-west-1/states/aws4_request StartSyncExecution {"stateMachineArn":"`+away+`"}`)
	}
	f("AWS_ENDPOINT_URL", "http://emulator:4566")
	f("AWS_ENDPOINT_URL_SFN", "http://emulator:4566", "AWS_ENDPOINT_URL", "http://other")
}

// Clients are kept for so many regions at most, whatever inputs name.
func TestRegionsAreBounded(t *testing.T) {
	s := New(Config{Region: "us-east-1"})
	for n := range 1000 {
		s.stepFunctions(fmt.Sprintf("eu-%c%c-1", 'a'+n%26, 'a'+n/26%26))
	}
	if len(s.regions) > maxRegions {
		t.Errorf("%d clients", len(s.regions))
	}
}
