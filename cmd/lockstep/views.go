package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/awsapi"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/views"
)

// openViews makes what the console and the CLI read of executions.
func (a *assembly) openViews() *views.Server {
	return views.New(views.Config{
		Store: a.store, Engine: a.worker, Express: a.express, MapRuns: a.mapRuns, Scheme: a.set.scheme, Redrivable: redrivable(a.api), Log: a.set.log, Author: awsapi.AuthorOf,
		MaxInput: func(machine string) int {
			payload, _ := a.set.limits.Of(machine)
			return cmp.Or(payload, views.MaxInput)
		},
	})
}

// redrivable asks the API whether an execution can be redriven.
func redrivable(api http.Handler) func(context.Context, string) (status, reason string, err error) {
	client := awscall.NewLocal(api)
	return func(ctx context.Context, arn string) (status, reason string, err error) {
		body, err := json.Marshal(map[string]string{"executionArn": arn, "includedData": "METADATA_ONLY"})
		if err != nil {
			return "", "", err
		}
		answer, err := client.Do(ctx, &awscall.Request{Body: string(body), Header: http.Header{
			"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AWSStepFunctions.DescribeExecution"},
		}}, 1<<20)
		if err != nil || !answer.OK() {
			return "", "", err // that it is gone meanwhile is said elsewhere
		}
		var said struct {
			Status string `json:"redriveStatus"`
			Reason string `json:"redriveStatusReason"`
		}
		err = json.Unmarshal([]byte(answer.Body), &said)
		return said.Status, said.Reason, err
	}
}

// buildID tells builds apart, for pages that were opened with another one.
func buildID() string {
	b := readBuild()
	id := b.Version
	if b.Commit != "" {
		id += "+" + b.Commit[:min(len(b.Commit), 12)]
	}
	if b.Modified {
		id += ".modified"
	}
	return id
}

// authorOf is who makes a change by the AWS API, as the board names parties; "" if
// nobody was asked who they are.
func authorOf(ctx context.Context) string {
	if p := auth.From(ctx); p != nil {
		return string(p.Party())
	}
	return ""
}
