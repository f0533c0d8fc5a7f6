package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/schedule"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/trigger"
)

// starter starts executions through the API, so that what starts them by itself
// keeps to the rules that everyone does.
type starter struct{ api *awscall.Client }

func newStarter(api http.Handler) starter { return starter{awscall.NewLocal(api)} }

// start starts an execution and returns its ARN. One whose name is taken counts as
// started: the name says what it is for. An error that lasts is a
// *schedule.Rejected.
func (s starter) start(ctx context.Context, machineARN, name, input string) (string, error) {
	body, err := json.Marshal(map[string]string{"stateMachineArn": machineARN, "name": name, "input": input})
	if err != nil {
		return "", err
	}
	answer, err := s.api.Do(ctx, &awscall.Request{Body: string(body), Header: http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AWSStepFunctions.StartExecution"},
	}}, 1<<20)
	if err != nil {
		return "", err
	}
	if answer.OK() {
		var started struct {
			ARN string `json:"executionArn"`
		}
		return started.ARN, json.Unmarshal([]byte(answer.Body), &started)
	}
	refusal := awscall.Refusal(answer)
	err = fmt.Errorf("%s: %s", refusal.Code, refusal.Message)
	switch {
	case refusal.Code == "ExecutionAlreadyExists":
		return "", nil
	case answer.Status == http.StatusBadRequest && refusal.Code != "ThrottlingException" && refusal.Code != "ExecutionLimitExceeded":
		return "", &schedule.Rejected{Err: err}
	}
	return "", err
}

// isRejected reports whether an error of start lasts.
func isRejected(err error) bool {
	var rejected *schedule.Rejected
	return errors.As(err, &rejected)
}

// withEvents has events answer calls of EventBridge's API, and next all others.
func withEvents(events http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents.") {
			events(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// declaredTriggers are those of the configuration file, with their secrets.
func declaredTriggers(in []config.Trigger) (all []trigger.Spec, err error) {
	for _, c := range in {
		s := trigger.Spec{
			Name: c.Name, Type: c.Type, Description: c.Description, Machine: c.Machine, Paused: c.Paused, Scheme: c.Scheme, Header: c.Header,
			Pattern: c.Pattern, Bucket: c.Bucket, Prefix: c.Prefix, Suffix: c.Suffix,
		}
		if c.Secret != "" {
			if s.Secret, err = readReference(c.Secret); err != nil {
				return nil, fmt.Errorf("trigger %s: %w", c.Name, err)
			}
		}
		if err := s.Validate(); err != nil {
			return nil, fmt.Errorf("trigger %s: %w", c.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// declaredSchedules are those of the configuration file.
func declaredSchedules(in []config.Schedule) (all []schedule.Spec, err error) {
	for _, s := range in {
		spec := schedule.Spec{
			Name: s.Name, Description: s.Description, Expression: s.Expression, Timezone: s.Timezone, Start: s.Start, End: s.End,
			Window: int(s.Window.Minutes()), Machine: s.Machine, Input: s.Input, Missed: s.Missed, MissedMax: s.MissedMax, Paused: s.Paused,
		}
		if err := spec.Validate(); err != nil {
			return nil, fmt.Errorf("schedule %s: %w", s.Name, err)
		}
		all = append(all, spec)
	}
	return all, nil
}
