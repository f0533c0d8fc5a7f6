// Command go takes a tour of the API with the AWS SDK for Go:
//
//	go run . ENDPOINT MACHINES
//
// It prints a line for each step, "ok NAME", "skip NAME: why" or "FAIL NAME:
// why".
package main

import (
	"context"
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
)

var role = aws.String("arn:aws:iam::123456789012:role/tour")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . ENDPOINT MACHINES")
		os.Exit(2)
	}
	t := &tour{
		folder: os.Args[2],
		sfn: sfn.New(sfn.Options{
			BaseEndpoint: aws.String(os.Args[1]),
			Region:       "us-east-1",
			Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
			Retryer:      aws.NopRetryer{},
		}),
	}
	for _, s := range []struct {
		name string
		run  func(context.Context)
	}{
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
		{"update", t.update},
		{"delete", t.delete},
	} {
		t.step(s.name, s.run)
	}
	if t.failed {
		os.Exit(1)
	}
}

type tour struct {
	sfn    *sfn.Client
	folder string
	failed bool

	// What later steps need of earlier ones.
	greet, work, one, worker *string
}

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
	for _, arn := range []*string{t.greet, t.work} {
		must(t.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: arn}))
		refused[*types.StateMachineDoesNotExist](t.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: arn}))
	}
}
