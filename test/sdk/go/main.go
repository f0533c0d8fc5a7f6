// Command go takes a tour of the API with the AWS SDK for Go: every action that
// the SDK knows is called, and its answer looked at.
//
//	go run . ENDPOINT MACHINES
//
// With docs/terraform.md as a third argument it makes the calls of Terraform's
// provider instead. With MAP_RUNS=yes in the environment, actions on map runs are called too. It
// prints a line for each step, "ok NAME", "skip NAME: why" or "FAIL NAME:
// why".
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var role = aws.String("arn:aws:iam::123456789012:role/tour")

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . ENDPOINT MACHINES [docs/terraform.md]")
		os.Exit(2)
	}
	t := &tour{folder: os.Args[2], called: map[string]bool{}}
	t.sfn = sfn.New(sfn.Options{
		BaseEndpoint: aws.String(os.Args[1]),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider(cmp.Or(os.Getenv("TOUR_KEY"), "any"), cmp.Or(os.Getenv("TOUR_SECRET"), "any"), ""),
		Retryer:      aws.NopRetryer{},
		APIOptions:   []func(*middleware.Stack) error{t.watch},
	})
	steps := t.steps()
	if len(os.Args) > 3 {
		steps = (&terraform{tour: t, page: os.Args[3]}).steps()
	}
	for _, s := range steps {
		t.step(s.name, s.run)
	}
	if t.failed {
		os.Exit(1)
	}
}

// step is a part of a tour. It may need those before it.
type step struct {
	name string
	run  func(context.Context)
}

func (t *tour) steps() []step {
	return []step{
		{"create", t.create},
		{"create again", t.createAgain},
		{"describe", t.describe},
		{"validate", t.validate},
		{"start and succeed", t.startAndSucceed},
		{"fail", t.fail},
		{"history", t.history},
		{"list executions", t.listExecutions},
		{"start twice and stop", t.startTwiceAndStop},
		{"tags", t.tags},
		{"activity", t.activity},
		{"task failure", t.taskFailure},
		{"redrive", t.redrive},
		{"callback", t.callback},
		{"versions", t.versions},
		{"aliases", t.aliases},
		{"express", t.express},
		{"test state", t.testState},
		{"map runs", t.mapRuns},
		{"update", t.update},
		{"delete", t.delete},
		{"every action", t.everyAction},
	}
}

type tour struct {
	sfn    *sfn.Client
	folder string
	failed bool
	called map[string]bool // the actions that have answered well

	// What later steps need of earlier ones.
	greet, work, one, worker, published *string
}

// watch notes the actions that answer well, and leaves the host as it is where
// the SDK would put sync- before it.
func (t *tour) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Tour",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			if err == nil {
				t.called[middleware.GetOperationName(ctx)] = true
			}
			return out, metadata, err
		}), middleware.After)
}

// skipped ends a step that is not for now.
type skipped struct{ why string }

// broken ends a step.
type broken struct{ why string }

func (t *tour) step(name string, run func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer func() {
		switch r := recover().(type) {
		case nil:
			fmt.Println("ok", name)
		case broken:
			t.failed = true
			fmt.Printf("FAIL %s: %s\n", name, strings.ReplaceAll(r.why, "\n", " "))
		case skipped:
			fmt.Printf("skip %s: %s\n", name, r.why)
		default:
			panic(r)
		}
	}()
	run(ctx)
}

// must returns the answer of a call that has to succeed.
func must[T any](answer T, err error) T {
	if err != nil {
		panic(broken{err.Error()})
	}
	return answer
}

// equal wants got to be the values that follow it.
func equal(got []any, want ...any) {
	for i, v := range got {
		if s := reflect.ValueOf(v); s.Kind() == reflect.Pointer && !s.IsNil() {
			got[i] = s.Elem().Interface()
		}
	}
	if !reflect.DeepEqual(got, want) {
		panic(broken{fmt.Sprintf("got %v, want %v", got, want)})
	}
}

// refused wants a call to fail with the SDK's own type for that error.
func refused[E error, T any](_ T, err error) {
	var kind E
	if !errors.As(err, &kind) {
		panic(broken{fmt.Sprintf("not refused with %T but %v", kind, err)})
	}
}

func (t *tour) read(name string) *string {
	return aws.String(string(must(os.ReadFile(filepath.Join(t.folder, name+".json")))))
}

func (t *tour) ended(ctx context.Context, arn *string) *sfn.DescribeExecutionOutput {
	for {
		x := must(t.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: arn}))
		if x.Status != types.ExecutionStatusRunning {
			return x
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (t *tour) createGreet(ctx context.Context) *sfn.CreateStateMachineOutput {
	return must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("go-greet"), Definition: t.read("greet"), RoleArn: role,
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}))
}

func (t *tour) create(ctx context.Context) {
	m := t.createGreet(ctx)
	t.greet = m.StateMachineArn
	equal([]any{m.CreationDate.Year() >= 2024}, true)
}

func (t *tour) createAgain(ctx context.Context) {
	equal([]any{t.createGreet(ctx).StateMachineArn}, *t.greet)
	refused[*types.StateMachineAlreadyExists](t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-greet"), Definition: t.read("wait"), RoleArn: role}))
	refused[*types.InvalidDefinition](t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-bad"), Definition: aws.String("{}"), RoleArn: role}))
}

func (t *tour) describe(ctx context.Context) {
	m := must(t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: t.greet}))
	equal([]any{m.Status, m.Type, m.Definition}, types.StateMachineStatusActive, types.StateMachineTypeStandard, *t.read("greet"))
	all := must(t.sfn.ListStateMachines(ctx, &sfn.ListStateMachinesInput{}))
	equal([]any{slices.ContainsFunc(all.StateMachines, func(m types.StateMachineListItem) bool { return *m.StateMachineArn == *t.greet })}, true)
	refused[*types.StateMachineDoesNotExist](t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(*t.greet + "x")}))
	refused[*types.InvalidArn](t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String("nonsense")}))
}

func (t *tour) validate(ctx context.Context) {
	good := must(t.sfn.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: t.read("greet")}))
	equal([]any{good.Result, len(good.Diagnostics)}, types.ValidateStateMachineDefinitionResultCodeOk, 0)
	bad := must(t.sfn.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: aws.String("{}")}))
	equal([]any{bad.Result, len(bad.Diagnostics) > 0}, types.ValidateStateMachineDefinitionResultCodeFail, true)
}

func (t *tour) startAndSucceed(ctx context.Context) {
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.greet, Name: aws.String("one"), Input: aws.String(`{"name": "Ada"}`)}))
	t.one = x.ExecutionArn
	done := t.ended(ctx, t.one)
	equal([]any{done.Status, done.Output}, types.ExecutionStatusSucceeded, `{"greeting":"Hello Ada"}`)
	refused[*types.ExecutionAlreadyExists](t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.greet, Name: aws.String("one"), Input: aws.String(`{"name": "Bob"}`)}))
	refused[*types.InvalidExecutionInput](t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.greet, Input: aws.String("{")}))
	refused[*types.ExecutionDoesNotExist](t.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(*t.one + "x")}))
}

func (t *tour) fail(ctx context.Context) {
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.greet, Input: aws.String(`{"name": ""}`)}))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.Error, done.Cause}, types.ExecutionStatusFailed, "Nobody", "there is no name")
}

func (t *tour) history(ctx context.Context) {
	whole := must(t.sfn.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: t.one})).Events
	equal([]any{len(whole), whole[0].Type, whole[len(whole)-1].Type}, 8, types.HistoryEventTypeExecutionStarted, types.HistoryEventTypeExecutionSucceeded)
	var paged []types.HistoryEvent
	for pages := sfn.NewGetExecutionHistoryPaginator(t.sfn, &sfn.GetExecutionHistoryInput{ExecutionArn: t.one, MaxResults: 2}); pages.HasMorePages(); {
		paged = append(paged, must(pages.NextPage(ctx)).Events...)
	}
	equal([]any{paged}, whole)
	back := must(t.sfn.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: t.one, ReverseOrder: true, IncludeExecutionData: aws.Bool(false)})).Events
	equal([]any{len(back), back[0].Id, back[7].Id, back[7].ExecutionStartedEventDetails.Input}, 8, int64(8), int64(1), (*string)(nil))
	refused[*types.InvalidToken](t.sfn.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: t.one, NextToken: aws.String("nonsense")}))
}

func (t *tour) listExecutions(ctx context.Context) {
	all := must(t.sfn.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: t.greet})).Executions
	equal([]any{len(all)}, 2)
	good := must(t.sfn.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: t.greet, StatusFilter: types.ExecutionStatusSucceeded})).Executions
	equal([]any{len(good), good[0].Name}, 1, "one")
	var paged []types.ExecutionListItem
	for pages := sfn.NewListExecutionsPaginator(t.sfn, &sfn.ListExecutionsInput{StateMachineArn: t.greet, MaxResults: 1}); pages.HasMorePages(); {
		paged = append(paged, must(pages.NextPage(ctx)).Executions...)
	}
	equal([]any{paged}, all)
}

func (t *tour) startTwiceAndStop(ctx context.Context) {
	m := must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-wait"), Definition: t.read("wait"), RoleArn: role}))
	start := &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Name: aws.String("same"), Input: aws.String("{}")}
	first := must(t.sfn.StartExecution(ctx, start))
	again := must(t.sfn.StartExecution(ctx, start))
	equal([]any{again.ExecutionArn, again.StartDate}, *first.ExecutionArn, *first.StartDate)
	must(t.sfn.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: first.ExecutionArn, Error: aws.String("Enough"), Cause: aws.String("by hand")}))
	done := t.ended(ctx, first.ExecutionArn)
	equal([]any{done.Status, done.Error, done.Cause}, types.ExecutionStatusAborted, "Enough", "by hand")
	of := must(t.sfn.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: first.ExecutionArn}))
	equal([]any{of.StateMachineArn}, *m.StateMachineArn)
	must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: m.StateMachineArn}))
}

func (t *tour) tags(ctx context.Context) {
	must(t.sfn.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: t.greet, Tags: []types.Tag{{Key: aws.String("stage"), Value: aws.String("test")}}}))
	must(t.sfn.UntagResource(ctx, &sfn.UntagResourceInput{ResourceArn: t.greet, TagKeys: []string{"team"}}))
	tags := must(t.sfn.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: t.greet})).Tags
	equal([]any{len(tags), tags[0].Key, tags[0].Value}, 1, "stage", "test")
	refused[*types.ResourceNotFound](t.sfn.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: aws.String(*t.greet + "x")}))
}

func (t *tour) activity(ctx context.Context) {
	t.worker = must(t.sfn.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String("go-activity")})).ActivityArn
	all := must(t.sfn.ListActivities(ctx, &sfn.ListActivitiesInput{})).Activities
	equal([]any{slices.ContainsFunc(all, func(a types.ActivityListItem) bool { return *a.ActivityArn == *t.worker })}, true)
	equal([]any{must(t.sfn.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: t.worker})).Name}, "go-activity")
	definition := strings.ReplaceAll(*t.read("work"), "ACTIVITY", *t.worker)
	t.work = must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-work"), Definition: &definition, RoleArn: role})).StateMachineArn

	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.work, Input: aws.String(`{"n":1}`)}))
	task := must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker, WorkerName: aws.String("tour")}))
	equal([]any{task.Input}, `{"n":1}`)
	must(t.sfn.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: task.TaskToken}))
	success := &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: aws.String(`{"n":2}`)}
	must(t.sfn.SendTaskSuccess(ctx, success))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.Output}, types.ExecutionStatusSucceeded, `{"n":2}`)
	refused[*types.TaskTimedOut](t.sfn.SendTaskSuccess(ctx, success))
	refused[*types.InvalidToken](t.sfn.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: aws.String("nonsense")}))
}

func (t *tour) taskFailure(ctx context.Context) {
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: t.work}))
	task := must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker}))
	must(t.sfn.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: task.TaskToken, Error: aws.String("Broken"), Cause: aws.String("on purpose")}))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.Error, done.Cause}, types.ExecutionStatusFailed, "Broken", "on purpose")
}

// take starts an execution of a machine and takes the task that it waits for.
func (t *tour) take(ctx context.Context, machine *string) (execution, token *string) {
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine}))
	return x.ExecutionArn, must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker})).TaskToken
}

func (t *tour) redrive(ctx context.Context) {
	x, token := t.take(ctx, t.work)
	refused[*types.ExecutionNotRedrivable](t.sfn.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: x}))
	must(t.sfn.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: token, Error: aws.String("Broken")}))
	equal([]any{t.ended(ctx, x).RedriveStatus}, types.ExecutionRedriveStatusRedrivable)
	again := must(t.sfn.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: x}))
	task := must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker}))
	must(t.sfn.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: aws.String("2")}))
	done := t.ended(ctx, x)
	equal([]any{done.Status, done.Output, done.RedriveCount, done.RedriveDate}, types.ExecutionStatusSucceeded, "2", int32(1), *again.RedriveDate)
}

// callback has a task wait for its token, which the execution that it starts has
// in its input.
func (t *tour) callback(ctx context.Context) {
	definition := strings.ReplaceAll(*t.read("call"), "MACHINE", *t.greet)
	m := must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-call"), Definition: &definition, RoleArn: role}))
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn}))
	called := t.greeted(ctx, "called")
	var in struct{ Token string }
	must(0, json.Unmarshal([]byte(*t.ended(ctx, called).Input), &in))
	must(t.sfn.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &in.Token}))
	must(t.sfn.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &in.Token, Output: aws.String(`"back"`)}))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.Output}, types.ExecutionStatusSucceeded, `"back"`)
	must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: m.StateMachineArn}))
}

// greeted waits until an execution of the greeting machine has that name.
func (t *tour) greeted(ctx context.Context, name string) *string {
	for {
		for _, x := range must(t.sfn.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: t.greet})).Executions {
			if *x.Name == name {
				return x.ExecutionArn
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (t *tour) versions(ctx context.Context) {
	m := must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("go-versions"), Definition: t.read("greet"), RoleArn: role, Publish: true, VersionDescription: aws.String("first"),
	}))
	t.published = m.StateMachineArn
	arn := *t.published
	equal([]any{m.StateMachineVersionArn}, arn+":1")
	second := must(t.sfn.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &arn, Definition: t.read("wait"), Publish: true}))
	equal([]any{second.StateMachineVersionArn}, arn+":2")
	third := must(t.sfn.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &arn, Definition: t.read("greet")}))
	refused[*types.ConflictException](t.sfn.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: &arn, RevisionId: second.RevisionId}))
	publish := &sfn.PublishStateMachineVersionInput{StateMachineArn: &arn, RevisionId: third.RevisionId, Description: aws.String("third")}
	equal([]any{must(t.sfn.PublishStateMachineVersion(ctx, publish)).StateMachineVersionArn}, arn+":3")
	equal([]any{must(t.sfn.PublishStateMachineVersion(ctx, publish)).StateMachineVersionArn}, arn+":3")
	var list []string
	for _, v := range must(t.sfn.ListStateMachineVersions(ctx, &sfn.ListStateMachineVersionsInput{StateMachineArn: &arn})).StateMachineVersions {
		list = append(list, *v.StateMachineVersionArn)
	}
	equal([]any{list}, []string{arn + ":3", arn + ":2", arn + ":1"})
	v := must(t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: m.StateMachineVersionArn}))
	equal([]any{v.StateMachineArn, v.Description, v.Definition}, arn+":1", "first", *t.read("greet"))
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineVersionArn, Input: aws.String(`{"name": "Ada"}`)}))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.StateMachineArn, done.StateMachineVersionArn}, types.ExecutionStatusSucceeded, arn, arn+":1")
}

func (t *tour) aliases(ctx context.Context) {
	to := func(weights ...int32) (list []types.RoutingConfigurationListItem) {
		for i, weight := range weights {
			list = append(list, types.RoutingConfigurationListItem{StateMachineVersionArn: aws.String(fmt.Sprint(*t.published, ":", 2*i+1)), Weight: weight})
		}
		return list
	}
	a := must(t.sfn.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{Name: aws.String("live"), RoutingConfiguration: to(100)}))
	alias := a.StateMachineAliasArn
	equal([]any{alias}, *t.published+":live")
	refused[*types.ConflictException](t.sfn.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: aws.String(*t.published + ":1")}))
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: alias, Input: aws.String(`{"name": "Ada"}`)}))
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.StateMachineAliasArn, done.StateMachineVersionArn}, *alias, *t.published+":1")
	must(t.sfn.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{StateMachineAliasArn: alias, Description: aws.String("half"), RoutingConfiguration: to(50, 50)}))
	now := must(t.sfn.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias}))
	equal([]any{now.Name, now.Description, len(now.RoutingConfiguration), now.RoutingConfiguration[1].StateMachineVersionArn}, "live", "half", 2, *t.published+":3")
	all := must(t.sfn.ListStateMachineAliases(ctx, &sfn.ListStateMachineAliasesInput{StateMachineArn: t.published})).StateMachineAliases
	equal([]any{len(all), all[0].StateMachineAliasArn}, 1, *alias)
	must(t.sfn.DeleteStateMachineAlias(ctx, &sfn.DeleteStateMachineAliasInput{StateMachineAliasArn: alias}))
	refused[*types.ResourceNotFound](t.sfn.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias}))
	must(t.sfn.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: aws.String(*t.published + ":1")}))
	refused[*types.StateMachineDoesNotExist](t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(*t.published + ":1")}))
}

func (t *tour) express(ctx context.Context) {
	m := must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-express"), Definition: t.read("greet"), RoleArn: role, Type: types.StateMachineTypeExpress}))
	good := must(t.sfn.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: m.StateMachineArn, Input: aws.String(`{"name": "Ada"}`)}))
	equal([]any{good.Status, good.Output, good.BillingDetails.BilledMemoryUsedInMB}, types.SyncExecutionStatusSucceeded, `{"greeting":"Hello Ada"}`, int64(64))
	bad := must(t.sfn.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: m.StateMachineArn, Input: aws.String(`{"name": ""}`)}))
	equal([]any{bad.Status, bad.Error, bad.Cause}, types.SyncExecutionStatusFailed, "Nobody", "there is no name")
	refused[*types.StateMachineTypeNotSupported](t.sfn.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: t.greet}))
	must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: m.StateMachineArn}))
}

func (t *tour) testState(ctx context.Context) {
	whole := must(t.sfn.TestState(ctx, &sfn.TestStateInput{Definition: t.read("greet"), StateName: aws.String("Greet"), Input: aws.String(`{"name":"Ada"}`), InspectionLevel: types.InspectionLevelDebug}))
	equal([]any{whole.Status, whole.Output, whole.NextState, whole.InspectionData.AfterParameters},
		types.TestExecutionStatusSucceeded, `{"greeting":"Hello Ada"}`, "Known", `{"greeting":"Hello Ada"}`)
	mocked := &sfn.TestStateInput{
		Definition: aws.String(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"OutputPath":"$.Payload","Retry":[{"ErrorEquals":["Busy"]}],"End":true}`),
		Mock:       &types.MockInput{Result: aws.String(`{"StatusCode":200,"Payload":7}`)},
	}
	good := must(t.sfn.TestState(ctx, mocked))
	equal([]any{good.Status, good.Output}, types.TestExecutionStatusSucceeded, "7")
	mocked.Mock = &types.MockInput{ErrorOutput: &types.MockErrorOutput{Error: aws.String("Busy"), Cause: aws.String("too much")}}
	again := must(t.sfn.TestState(ctx, mocked))
	equal([]any{again.Status, again.Error, again.Cause}, types.TestExecutionStatusRetriable, "Busy", "too much")
	refused[*types.InvalidDefinition](t.sfn.TestState(ctx, &sfn.TestStateInput{Definition: aws.String(`{"Type":"Paas"}`)}))
}

// mapRuns has a map work on two items, first one at a time, then both at once.
func (t *tour) mapRuns(ctx context.Context) {
	if os.Getenv("MAP_RUNS") == "" {
		panic(skipped{"distributed maps are still to come"})
	}
	definition := strings.ReplaceAll(*t.read("each"), "ACTIVITY", *t.worker)
	m := must(t.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("go-each"), Definition: &definition, RoleArn: role}))
	x := must(t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Input: aws.String("[1,2]")}))
	first := must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker}))
	runs := must(t.sfn.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: x.ExecutionArn})).MapRuns
	equal([]any{len(runs), runs[0].ExecutionArn, runs[0].StateMachineArn}, 1, *x.ExecutionArn, *m.StateMachineArn+"/each")
	run := runs[0].MapRunArn
	one := must(t.sfn.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: run}))
	equal([]any{one.Status, one.MaxConcurrency, one.ItemCounts.Running}, types.MapRunStatusRunning, int32(1), int64(1))

	must(t.sfn.UpdateMapRun(ctx, &sfn.UpdateMapRunInput{MapRunArn: run, MaxConcurrency: aws.Int32(2), ToleratedFailureCount: aws.Int64(1)}))
	second := must(t.sfn.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: t.worker}))
	both := must(t.sfn.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: run}))
	equal([]any{both.MaxConcurrency, both.ToleratedFailureCount, both.ExecutionCounts.Running, both.ItemCounts.Total}, int32(2), int64(1), int64(2), int64(2))
	children := must(t.sfn.ListExecutions(ctx, &sfn.ListExecutionsInput{MapRunArn: run})).Executions
	equal([]any{len(children), children[0].MapRunArn}, 2, *run)
	for _, task := range []*sfn.GetActivityTaskOutput{first, second} {
		must(t.sfn.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: task.Input}))
	}
	done := t.ended(ctx, x.ExecutionArn)
	equal([]any{done.Status, done.Output}, types.ExecutionStatusSucceeded, "[1,2]")
	end := must(t.sfn.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: run}))
	equal([]any{end.Status, end.ItemCounts.Succeeded, end.StopDate != nil}, types.MapRunStatusSucceeded, int64(2), true)
	refused[*types.ValidationException](t.sfn.UpdateMapRun(ctx, &sfn.UpdateMapRunInput{MapRunArn: run, MaxConcurrency: aws.Int32(3)}))
	must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: m.StateMachineArn}))
}

// everyAction wants all that the SDK can call to have been called.
func (t *tour) everyAction(context.Context) {
	var missing []string
	actions := 0
	client := reflect.TypeFor[*sfn.Client]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() < 3 || m.Type.In(2).String() != "*sfn."+m.Name+"Input" {
			continue
		}
		actions++
		if !t.called[m.Name] && (os.Getenv("MAP_RUNS") != "" || !strings.Contains(m.Name, "MapRun")) {
			missing = append(missing, m.Name)
		}
	}
	equal([]any{missing, actions >= 37}, []string(nil), true)
}

func (t *tour) update(ctx context.Context) {
	must(t.sfn.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: t.greet, Definition: t.read("wait")}))
	equal([]any{must(t.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: t.greet})).Definition}, *t.read("wait"))
	old := must(t.sfn.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: t.one}))
	equal([]any{old.Definition}, *t.read("greet"))
	refused[*types.MissingRequiredParameter](t.sfn.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: t.greet}))
}

func (t *tour) delete(ctx context.Context) {
	must(t.sfn.DeleteActivity(ctx, &sfn.DeleteActivityInput{ActivityArn: t.worker}))
	refused[*types.ActivityDoesNotExist](t.sfn.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: t.worker}))
	for _, arn := range []*string{t.greet, t.work, t.published} {
		must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: arn}))
		refused[*types.StateMachineDoesNotExist](t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: arn}))
	}
}
