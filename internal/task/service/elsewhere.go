package service

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// A call of the Step Functions API is for this server if the ARN that it names is
// of the server's own account and region. Any other is put to this server first,
// which may have what it names, and only when it has not to Step Functions in the
// region of the ARN: there the call is signed, in the name of the task's role if it
// has one. Without an ARN it is the caller's account that counts.

// absent are the errors by which the Step Functions API says that it does not
// have what an ARN names.
var absent = []string{
	"StateMachineDoesNotExistException", "ExecutionDoesNotExistException", "ActivityDoesNotExistException", "ResourceNotFoundException",
}

// notHere reports whether err is one of absent.
func notHere(err error) bool {
	var e *task.Error
	if !errors.As(err, &e) || e.Name == nil {
		return false
	}
	_, class, _ := strings.Cut(*e.Name, ".")
	return slices.Contains(absent, class)
}

// silent are the actions that do not say that there is nothing of the name: they
// succeed, or find another fault. With each stands what says it, an action and
// its parameter.
var silent = map[string]struct{ action, parameter string }{
	"CreateStateMachineAlias":   {"DescribeStateMachine", "stateMachineArn"},
	"DeleteStateMachine":        {"DescribeStateMachine", "stateMachineArn"},
	"DeleteStateMachineVersion": {"DescribeStateMachine", "stateMachineArn"},
	"DeleteActivity":            {"DescribeActivity", "activityArn"},
}

// The region becomes part of a host's name, and may come from an input.
var (
	isRegion  = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]{1,12}){1,3}-[0-9]{1,2}$`)
	isAccount = regexp.MustCompile(`^[0-9]{12}$`)
)

// foreign is the region in an ARN that may be elsewhere: of another account or
// region than the server's own, or of these where that is wanted; "" for any other
// text. An ARN of another partition is none: no
// credentials hold in two of them, so nobody could be asked about it.
func (s *Services) foreign(arn string) string {
	f := strings.SplitN(arn, ":", 7)
	if len(f) < 7 || f[0] != "arn" || f[1] != s.partition || f[2] != "states" || f[6] == "" {
		return ""
	}
	region, account := f[3], f[4]
	if s.account == "" || s.region == "" || region == s.region && account == s.account && !s.ownToo || !isRegion.MatchString(region) || !isAccount.MatchString(account) {
		return ""
	}
	return region
}

// statesARN is the ARN of the service states that parameters of a shape name, ""
// if there is none. What stands in texts such as an Input or a Definition is not
// looked at, even if it is written as JSON.
func statesARN(shape *awsmodel.Shape, in value.Value) string {
	switch {
	case shape == nil:
		return ""
	case shape.Kind == awsmodel.List:
		for _, v := range in.Items() {
			if arn := statesARN(shape.Item.Shape, v); arn != "" {
				return arn
			}
		}
	case shape.Kind == awsmodel.Structure:
		for name, v := range in.Members() {
			m := shape.Member(name)
			if m == nil {
				continue
			}
			if text := v.Str(); strings.HasSuffix(name, "Arn") && strings.HasPrefix(text, "arn:") && strings.Contains(text, ":states:") {
				return text
			}
			if arn := statesARN(m.Shape, v); arn != "" {
				return arn
			}
		}
	}
	return ""
}

// states makes a call of the Step Functions API that names arn: send makes it
// through a client, action is its name on the wire.
func (s *Services) states(ctx context.Context, action, arn string, send func(*awscall.Client) (*awscall.Response, error)) (*awscall.Response, error) {
	region := s.foreign(arn)
	if probe, ok := silent[action]; ok && region != "" && notHere(s.has(ctx, probe.action, probe.parameter, arn)) {
		return s.statesIn(region, arn, send)
	}
	answer, err := send(s.client(awsmodel.Find("sfn")))
	if region == "" || !notHere(err) {
		return answer, err
	}
	return s.statesIn(region, arn, send)
}

// statesFor makes a call of the Step Functions API that names no ARN, r: what it
// makes or lists is of the caller's account.
func (s *Services) statesFor(account string, r *awscall.Request, send func(*awscall.Client) (*awscall.Response, error)) (*awscall.Response, error) {
	switch {
	case s.account == "" || account == s.account || !isAccount.MatchString(account):
	case !s.others:
		return send(s.stepFunctions(s.region))
	default: // nobody signs what stays in this process, nor checks it
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+account+"/")
	}
	return send(s.client(awsmodel.Find("sfn")))
}

// caller is the account that a call is made in: its role's, else its machine's.
func caller(c *task.Call) string {
	of := c.RoleARN
	if of == "" {
		of = c.MachineARN
	}
	if f := strings.SplitN(of, ":", 6); len(f) == 6 {
		return f[4]
	}
	return ""
}

// has returns no error if this server has what arn names.
func (s *Services) has(ctx context.Context, action, parameter, arn string) error {
	_, err := s.callStates(ctx, s.client(awsmodel.Find("sfn")), action, value.ObjectOf([]value.Member{{Key: parameter, Value: value.Str(arn)}}))
	return err
}

// statesIn makes a call at Step Functions in a region.
func (s *Services) statesIn(region, arn string, send func(*awscall.Client) (*awscall.Response, error)) (*awscall.Response, error) {
	answer, err := send(s.stepFunctions(region))
	var e *task.Error
	if errors.As(err, &e) && e.Name != nil && strings.HasSuffix(*e.Name, ".SdkClientException") {
		why := "" // there is no answer
		if e.Cause != nil {
			why = *e.Cause
		}
		return nil, task.Fail(*e.Name, "This server does not have "+awscall.Short(arn, 512)+", and Step Functions in "+region+" could not be asked for it: "+why)
	}
	return answer, err
}

// maxRegions is of how many regions clients are kept: regions may come from
// inputs.
const maxRegions = 64

// stepFunctions is the client of Step Functions in a region.
func (s *Services) stepFunctions(region string) *awscall.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.regions[region]
	if c == nil {
		if len(s.regions) >= maxRegions {
			clear(s.regions)
		}
		if s.aws == nil {
			s.aws = awscall.New(place(awsmodel.Find("sfn")), s.region, s.transport)
		}
		c = s.aws.In(region)
		s.regions[region] = c
	}
	return c
}

// callStates makes a call of the Step Functions API through a client, in the
// words of the optimized integration.
func (s *Services) callStates(ctx context.Context, client *awscall.Client, action string, in value.Value) (*awscall.Response, error) {
	model := awsmodel.Find("sfn")
	request := &awscall.Request{Body: small(in).JSON(), Header: http.Header{
		"Content-Type": {"application/x-amz-json-" + model.JSONVersion}, "X-Amz-Target": {model.Target + "." + action},
	}}
	return s.send(ctx, client, request, "StepFunctions", "states", func(r *awscall.Response) *task.Error {
		f := awscall.Refusal(r)
		name := "AWSStepFunctionsException"
		if model.Errors[f.Code] != "" {
			name = exception(f.Code)
		}
		return task.Fail("StepFunctions."+name, f.CauseV1("AWSStepFunctions"))
	})
}

// statesJobs paces the questions about executions elsewhere: together they stay
// under what AWS lets an account ask DescribeExecution.
var statesJobs = &family{service: "sfn", prefix: "StepFunctions", name: "AWSStepFunctions"}

// stopTries is how often an execution elsewhere is told to stop that AWS has no
// time to hear.
const stopTries = 5

// here reports whether this server has an execution.
func (x *executions) here(ctx context.Context, arn string) (bool, error) {
	for {
		err := x.services.has(ctx, "DescribeExecution", "executionArn", arn)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil || !passes(err):
			return err == nil, nil
		}
		pause(ctx)
	}
}

// await asks Step Functions in a region how an execution stands until it has
// ended, at growing intervals.
func (x *executions) await(ctx context.Context, c *task.Call, region string, arn value.Value) (task.Result, error) {
	ask := value.ObjectOf([]value.Member{{Key: "ExecutionArn", Value: arn}})
	for n := 0; ; n++ {
		if err := x.services.turn(ctx, statesJobs, n, 0); err != nil {
			return task.Result{}, err
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		r, err := x.services.callStates(asking, x.services.stepFunctions(region), "DescribeExecution", ask)
		cancel()
		switch {
		case ctx.Err() != nil:
			return task.Result{}, ctx.Err()
		case err != nil && !passes(err):
			return task.Result{}, err
		case err == nil && slices.Contains(ended, body(r).Get("status").Str()):
			return ending(c.Resource.Pattern, body(r))
		}
	}
}

// ended are the statuses of executions that have ended.
var ended = []string{"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}
