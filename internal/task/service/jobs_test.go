package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// What the table says of services is what their models say: actions, parameters,
// and the paths in what they answer.
func TestJobTable(t *testing.T) {
	resolve := func(shape *awsmodel.Shape, path string) bool {
		for step := range strings.SplitSeq(path, ".") {
			switch {
			case shape == nil:
				return false
			case shape.Kind == awsmodel.List && step == "0":
				shape = shape.Item.Shape
			case shape.Kind == awsmodel.Structure && shape.Member(step) != nil:
				shape = shape.Member(step).Shape
			default:
				return false
			}
		}
		return true
	}
	for resource, j := range jobActions {
		_, action, _ := strings.Cut(resource, ":")
		model := awsmodel.Find(j.family.service)
		begin := model.Actions[or(j.begin, action)]
		if begin == nil {
			t.Errorf("%s: %s has no %s", resource, j.family.service, or(j.begin, action))
			continue
		}
		if _, err := asl.ParseResource("arn:aws:states:::" + resource); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
		_, err := asl.ParseResource("arn:aws:states:::" + resource + ".sync")
		if (err == nil) != (j.describe != "") {
			t.Errorf("%s: .sync in the language: %v; here: %q", resource, err, j.describe)
		}
		if j.describe == "" {
			continue
		}
		check := func(action string, lines []string) {
			t.Helper()
			call := model.Actions[action]
			if call == nil {
				t.Errorf("%s: no action %s", resource, action)
				return
			}
			for _, line := range lines {
				name, path, _ := strings.Cut(line, "=")
				name = strings.TrimSuffix(name, "?")
				name, list := strings.CutSuffix(name, "[]")
				m := call.Input.Member(name)
				if m == nil || list != (m.Shape.Kind == awsmodel.List) {
					t.Errorf("%s: %s of %s", resource, name, action)
				}
				if out, ok := strings.CutPrefix(path, "out."); ok && j.submitted == nil && !resolve(begin.Output, out) {
					t.Errorf("%s: %s is not in the answer to %s", resource, out, begin.Name)
				}
				if in, ok := strings.CutPrefix(path, "in."); ok && j.prepare == nil && !resolve(begin.Input, in) {
					t.Errorf("%s: %s is no parameter of %s", resource, in, begin.Name)
				}
			}
		}
		check(j.describe, j.ask)
		if j.stop != "" {
			check(j.stop, j.with)
		}
		for _, path := range []string{j.status, j.result} {
			if path != "" && !resolve(model.Actions[j.describe].Output, path) {
				t.Errorf("%s: no %s in the answer to %s", resource, path, j.describe)
			}
		}
	}
}

// script is a service that answers one call after the other as it is told. It
// notes who asked for what.
type script struct {
	t       *testing.T
	answers []string // "400 {…}": with that status
	log     []string
	times   []time.Time
	last    *http.Request
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	_, action, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		action = r.Method + " " + r.URL.RequestURI()
	}
	s.log = append(s.log, strings.TrimSpace(action+" "+body))
	s.times, s.last = append(s.times, time.Now()), r
	if len(s.answers) == 0 {
		return nil, errors.New("the script is over")
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	if answer == "mute" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status := 200
	if code, rest, ok := strings.Cut(answer, " "); ok && len(code) == 3 {
		status, answer = map[string]int{"400": 400, "404": 404, "500": 500, "429": 429}[code], rest
	}
	return &http.Response{StatusCode: status, Header: http.Header{"X-Amzn-Requestid": {"r"}}, Body: io.NopCloser(strings.NewReader(answer)),
		ContentLength: int64(len(answer)), Request: r}, nil
}

// scripted makes services of which every one follows the script.
func scripted(t *testing.T, s *script) (*task.Registry, *Services) {
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL": "http://script", "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "very-secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(name, v)
	}
	services := New(Config{Region: "us-east-1", Transport: s})
	tasks := task.NewRegistry()
	services.Register(tasks)
	return tasks, services
}

// follow runs a job to its end against a script, and returns the end and what
// was asked.
func follow(t *testing.T, resource, input string, answers ...string) (string, []string) {
	t.Helper()
	s := &script{t: t, answers: answers}
	tasks, _ := scripted(t, s)
	end := ""
	synctest.Test(t, func(t *testing.T) {
		c := call(resource, input)
		begun, err := tasks.Find(c.Resource).Run(t.Context(), c)
		if err != nil {
			end = err.Error()
			return
		}
		r, err := tasks.Poller(c.Resource).Poll(t.Context(), c, begun.Output)
		end = r.Output
		if err != nil {
			end = err.Error()
		}
	})
	return end, s.log
}

// A script for each kind of job: what is asked, and how it ends.
func TestJobs(t *testing.T) {
	f := func(resource, input, want string, log []string, answers ...string) {
		t.Helper()
		got, asked := follow(t, resource, input, answers...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
		if diff := cmp.Diff(log, asked); diff != "" {
			t.Errorf("%s asked %s", resource, diff)
		}
	}
	f("batch:submitJob.sync", `{"JobName":"j","JobQueue":"q","JobDefinition":"d"}`, `{"JobId":"1","JobName":"j","Status":"SUCCEEDED","StoppedAt":3}`,
		[]string{`POST /v1/submitjob {"jobName":"j","jobQueue":"q","jobDefinition":"d"}`,
			`POST /v1/describejobs {"jobs":["1"]}`, `POST /v1/describejobs {"jobs":["1"]}`, `POST /v1/describejobs {"jobs":["1"]}`},
		`{"jobId":"1","jobName":"j"}`, `{"jobs":[]}`, `{"jobs":[{"jobId":"1","status":"RUNNING"}]}`,
		`{"jobs":[{"jobId":"1","jobName":"j","status":"SUCCEEDED","stoppedAt":3}]}`)
	f("batch:submitJob.sync", `{"JobName":"j","JobQueue":"q","JobDefinition":"d"}`, `States.TaskFailed: {"JobId":"1","Status":"FAILED"}`,
		[]string{`POST /v1/submitjob {"jobName":"j","jobQueue":"q","jobDefinition":"d"}`, `POST /v1/describejobs {"jobs":["1"]}`},
		`{"jobId":"1","jobName":"j"}`, `{"jobs":[{"jobId":"1","status":"FAILED"}]}`)

	const ran = `RunTask {"cluster":"c","taskDefinition":"d","clientToken":"t"}`
	const asked = `DescribeTasks {"cluster":"c","tasks":["a"]}`
	f("ecs:runTask.sync", `{"Cluster":"c","TaskDefinition":"d","ClientToken":"t"}`,
		`{"Containers":[{"ExitCode":0}],"LastStatus":"STOPPED","StoppedAt":1700000000500,"TaskArn":"a"}`, []string{ran, asked, asked},
		`{"tasks":[{"taskArn":"a"}],"failures":[]}`, `{"tasks":[{"taskArn":"a","lastStatus":"PENDING"}]}`,
		`{"tasks":[{"taskArn":"a","lastStatus":"STOPPED","stoppedAt":1700000000.5,"containers":[{"exitCode":0}]}]}`)
	f("ecs:runTask.sync", `{"Cluster":"c","TaskDefinition":"d","ClientToken":"t"}`,
		`States.TaskFailed: {"Containers":[{"ExitCode":1}],"LastStatus":"STOPPED"}`, []string{ran, asked},
		`{"tasks":[{"taskArn":"a"}],"failures":[]}`, `{"tasks":[{"lastStatus":"STOPPED","containers":[{"exitCode":1}]}]}`)
	f("ecs:runTask.sync", `{"Cluster":"c","TaskDefinition":"d","ClientToken":"t"}`,
		`ECS.AmazonECSException: {"Failures":[{"Reason":"RESOURCE:MEMORY"}],"Tasks":[]}`, []string{ran},
		`{"tasks":[],"failures":[{"reason":"RESOURCE:MEMORY"}]}`)

	f("glue:startJobRun.sync", `{"JobName":"j"}`, `{"Id":"r","JobRunState":"SUCCEEDED"}`,
		[]string{`StartJobRun {"JobName":"j"}`, `GetJobRun {"JobName":"j","RunId":"r"}`, `GetJobRun {"JobName":"j","RunId":"r"}`, `GetJobRun {"JobName":"j","RunId":"r"}`, `GetJobRun {"JobName":"j","RunId":"r"}`},
		`{"JobRunId":"r"}`, `500 {}`, `mute`, `400 {"__type":"ThrottlingException"}`, `{"JobRun":{"Id":"r","JobRunState":"SUCCEEDED"}}`)
	f("glue:startJobRun.sync", `{"JobName":"j"}`, `Glue.EntityNotFoundException: no (Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException; Request ID: r; Proxy: null)`,
		[]string{`StartJobRun {"JobName":"j"}`}, `400 {"__type":"EntityNotFoundException","message":"no"}`)
	f("databrew:startJobRun.sync", `{"Name":"n"}`, `{"RunId":"r","State":"SUCCEEDED"}`,
		[]string{`POST /jobs/n/startJobRun`, `GET /jobs/n/jobRun/r`}, `{"RunId":"r"}`, `{"RunId":"r","State":"SUCCEEDED"}`)
	f("sagemaker:createTrainingJob.sync", `{"TrainingJobName":"n","RoleArn":"r"}`, `{"TrainingJobName":"n","TrainingJobStatus":"Completed"}`,
		[]string{`CreateTrainingJob {"TrainingJobName":"n","RoleArn":"r"}`, `DescribeTrainingJob {"TrainingJobName":"n"}`},
		`{"TrainingJobArn":"a"}`, `{"TrainingJobName":"n","TrainingJobStatus":"Completed"}`)
	f("elasticmapreduce:createCluster.sync", `{"Name":"n","Instances":{}}`, `{"Cluster":{"Id":"c","Status":{"State":"WAITING"}},"ClusterId":"c"}`,
		[]string{`RunJobFlow {"Name":"n","Instances":{}}`, `DescribeCluster {"ClusterId":"c"}`},
		`{"JobFlowId":"c","ClusterArn":"a"}`, `{"Cluster":{"Id":"c","Status":{"State":"WAITING"}}}`)
	f("elasticmapreduce:addStep.sync", `{"ClusterId":"c","Step":{"Name":"s","HadoopJarStep":{"Jar":"j"}}}`, `{"Step":{"Id":"s","Status":{"State":"COMPLETED"}}}`,
		[]string{`AddJobFlowSteps {"JobFlowId":"c","Steps":[{"Name":"s","HadoopJarStep":{"Jar":"j"}}]}`, `DescribeStep {"ClusterId":"c","StepId":"s"}`},
		`{"StepIds":["s"]}`, `{"Step":{"Id":"s","Status":{"State":"COMPLETED"}}}`)
	f("emr-containers:startJobRun.sync", `{"VirtualClusterId":"v","ClientToken":"t"}`, `{"Id":"i","State":"COMPLETED"}`,
		[]string{`POST /virtualclusters/v/jobruns {"clientToken":"t"}`, `GET /virtualclusters/v/jobruns/i`},
		`{"id":"i"}`, `{"jobRun":{"id":"i","state":"COMPLETED"}}`)
	f("emr-serverless:startJobRun.sync", `{"ApplicationId":"a","ExecutionRoleArn":"r","ClientToken":"t"}`, `{"JobRun":{"JobRunId":"i","State":"SUCCESS"}}`,
		[]string{`POST /applications/a/jobruns {"executionRoleArn":"r","clientToken":"t"}`, `GET /applications/a/jobruns/i`},
		`{"jobRunId":"i"}`, `{"jobRun":{"jobRunId":"i","state":"SUCCESS"}}`)
	f("codebuild:startBuild.sync", `{"ProjectName":"p"}`, `{"Build":{"BuildStatus":"SUCCEEDED","Id":"p:1"}}`,
		[]string{`StartBuild {"projectName":"p"}`, `BatchGetBuilds {"ids":["p:1"]}`},
		`{"build":{"id":"p:1"}}`, `{"builds":[{"id":"p:1","buildStatus":"SUCCEEDED"}]}`)
	f("athena:startQueryExecution.sync", `{"QueryString":"q","ClientRequestToken":"t"}`, `{"QueryExecution":{"Status":{"State":"SUCCEEDED"}}}`,
		[]string{`StartQueryExecution {"QueryString":"q","ClientRequestToken":"t"}`, `GetQueryExecution {"QueryExecutionId":"i"}`},
		`{"QueryExecutionId":"i"}`, `{"QueryExecution":{"Status":{"State":"SUCCEEDED"}}}`)
	f("eks:deleteCluster.sync", `{"Name":"c"}`, `{}`, []string{`DELETE /clusters/c`, `GET /clusters/c`, `GET /clusters/c`},
		`{"cluster":{"name":"c"}}`, `{"cluster":{"status":"DELETING"}}`, `404 {"__type":"ResourceNotFoundException","message":"no"}`)
	f("bedrock:createModelCustomizationJob.sync", `{"JobName":"j","ClientRequestToken":"t"}`, `{"JobArn":"a:1","Status":"Completed"}`,
		[]string{`POST /model-customization-jobs {"jobName":"j","clientRequestToken":"t"}`, `GET /model-customization-jobs/a%3A1`},
		`{"jobArn":"a:1"}`, `{"jobArn":"a:1","status":"Completed"}`)
	f("mediaconvert:createJob.sync", `{"Role":"r","Settings":{},"ClientRequestToken":"t"}`, `{"Job":{"Id":"i","Status":"COMPLETE"}}`,
		[]string{`POST /2017-08-29/jobs {"role":"r","settings":{},"clientRequestToken":"t"}`, `GET /2017-08-29/jobs/i`},
		`{"job":{"id":"i"}}`, `{"job":{"id":"i","status":"COMPLETE"}}`)
}

// A part of a cluster is named by tasks, and has an id for the service.
func TestPartsByName(t *testing.T) {
	f := func(action, input string, want ...string) {
		t.Helper()
		s := &script{t: t, answers: []string{`{"InstanceFleets":[{"Id":"0","Name":"x"}],"InstanceGroups":[{"Id":"0","Name":"x"}],"Marker":"m"}`,
			`{"InstanceFleets":[{"Id":"1","Name":"n"}],"InstanceGroups":[{"Id":"1","Name":"n"}]}`, `{}`}}
		tasks, _ := scripted(t, s)
		if _, err := run(t, tasks, call("elasticmapreduce:"+action, input)); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		if diff := cmp.Diff(want, s.log); diff != "" {
			t.Errorf("%s: %s", action, diff)
		}
	}
	f("modifyInstanceFleetByName", `{"ClusterId":"c","InstanceFleetName":"n","InstanceFleet":{"TargetSpotCapacity":2}}`,
		`ListInstanceFleets {"ClusterId":"c"}`, `ListInstanceFleets {"ClusterId":"c","Marker":"m"}`,
		`ModifyInstanceFleet {"ClusterId":"c","InstanceFleet":{"TargetSpotCapacity":2,"InstanceFleetId":"1"}}`)
	f("modifyInstanceGroupByName", `{"ClusterId":"c","InstanceGroupName":"n","InstanceGroup":{"InstanceCount":2}}`,
		`ListInstanceGroups {"ClusterId":"c"}`, `ListInstanceGroups {"ClusterId":"c","Marker":"m"}`,
		`ModifyInstanceGroups {"ClusterId":"c","InstanceGroups":[{"InstanceCount":2,"InstanceGroupId":"1"}]}`)
}

// A job that nobody waits for any more is stopped; one that has ended before is
// no trouble.
func TestCancelJob(t *testing.T) {
	s := &script{t: t, answers: []string{`{"tasks":[{"taskArn":"a"}],"failures":[]}`, `{}`}}
	tasks, _ := scripted(t, s)
	c := call("ecs:runTask.sync", `{"Cluster":"c","TaskDefinition":"d","ClientToken":"t"}`)
	begun, err := tasks.Find(c.Resource).Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := tasks.Poller(c.Resource).Cancel(t.Context(), c, begun.Output); err != nil {
		t.Error(err)
	}
	if want := `StopTask {"cluster":"c","task":"a","reason":"` + whyStopped + `"}`; s.log[1] != want {
		t.Errorf("asked for %s, want %s", s.log[1], want)
	}
}

// The longer a job takes, the less often it is asked about; and many jobs
// together ask no service more often than so many times a second.
func TestPaceOfAsking(t *testing.T) {
	s := &script{t: t}
	for range 30 {
		s.answers = append(s.answers, `{"JobRun":{"JobRunState":"RUNNING"}}`)
	}
	s.answers = append(s.answers, `{"JobRun":{"JobRunState":"SUCCEEDED"}}`)
	tasks, services := scripted(t, s)
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		c := call("glue:startJobRun.sync", `{"JobName":"j"}`)
		if _, err := tasks.Poller(c.Resource).Poll(t.Context(), c, `{"JobRunId":"r"}`); err != nil {
			t.Fatal(err)
		}
		if first := s.times[0].Sub(begun); first != firstPause {
			t.Errorf("first asked after %v", first)
		}
		if last := s.times[30].Sub(s.times[29]); last != longestPause {
			t.Errorf("asked at last after %v", last)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		done := make(chan struct{})
		for range 50 {
			go func() {
				_ = services.turn(t.Context(), batchJobs, 0, 0)
				done <- struct{}{}
			}()
		}
		for range 50 {
			<-done
		}
		if took := time.Since(begun); took != firstPause+49*time.Second/perSecond {
			t.Errorf("50 questions in %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := services.turn(ctx, batchJobs, 0, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled question: %v", err)
		}
	})
}

func TestPath(t *testing.T) {
	v, _ := value.Parse(`{"a":[{"b":1}]}`)
	f := func(path, want string) {
		t.Helper()
		got := ""
		if x := at(v, path); !x.IsAbsent() {
			got = x.JSON()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	f("", `{"a":[{"b":1}]}`)
	f("a.0.b", `1`)
	f("a.1.b", ``)
	f("a.b", ``)
	f("a.0.b.c", ``)
}
