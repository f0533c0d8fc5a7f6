package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client calls the AWS API of whatever process has the address at the moment.
type client struct {
	base func() string
	http *http.Client
}

func newClient(base func() string) *client {
	return &client{base, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		Timeout:   75 * time.Second, // longer than a long poll
	}}
}

// refusal is an answer of the API other than 200.
type refusal struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
	status  int
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.Type, r.Message) }

// code is the name of the error that the API answered with; "" for none.
func code(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.Type[strings.LastIndexByte(r.Type, '#')+1:]
	}
	return ""
}

// unsettled reports whether a call that failed may yet have done its work: the
// answer did not come, or says that the server does not know.
func unsettled(err error) bool {
	var r *refusal
	return err != nil && (!errors.As(err, &r) || r.status >= 500)
}

// call makes one call. out may be nil.
func (c *client) call(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base()+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		r := &refusal{status: resp.StatusCode}
		if err := json.Unmarshal(text, r); err != nil {
			return fmt.Errorf("status %d with a body that is no error: %.200q", resp.StatusCode, text)
		}
		return r
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// insist makes a call until it is settled.
func (c *client) insist(ctx context.Context, action string, in, out any) error {
	for {
		err := c.call(ctx, action, in, out)
		if !unsettled(err) && code(err) != "ThrottlingException" {
			return err
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%s was not settled in time: %w", action, err)
		}
	}
}

type fields = map[string]any

// executionItem is what descriptions and lists of executions share.
type executionItem struct {
	ARN      string  `json:"executionArn"`
	Name     string  `json:"name"`
	Status   string  `json:"status"`
	StopDate float64 `json:"stopDate"`
	Input    string  `json:"input"`
	Output   string  `json:"output"`
	Error    string  `json:"error"`
	Cause    string  `json:"cause"`
}

// executions lists a machine's executions; with a status, those that have it.
func (c *client) executions(ctx context.Context, machine, status string) ([]executionItem, error) {
	var all []executionItem
	in := fields{"stateMachineArn": machine, "maxResults": 1000}
	if status != "" {
		in["statusFilter"] = status
	}
	for {
		var page struct {
			Executions []executionItem
			NextToken  string
		}
		if err := c.insist(ctx, "ListExecutions", in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Executions...)
		if page.NextToken == "" {
			return all, nil
		}
		in["nextToken"] = page.NextToken
	}
}

// historyEvent is an event of a history, as far as the checks look at it.
type historyEvent struct {
	ID        int64  `json:"id"`
	Previous  int64  `json:"previousEventId"`
	Type      string `json:"type"`
	Lambda    detail `json:"lambdaFunctionScheduledEventDetails"`
	LambdaOK  detail `json:"lambdaFunctionSucceededEventDetails"`
	LambdaBad detail `json:"lambdaFunctionFailedEventDetails"`
	Task      detail `json:"taskScheduledEventDetails"`
	TaskOK    detail `json:"taskSucceededEventDetails"`
	TaskBad   detail `json:"taskFailedEventDetails"`
	Activity  detail `json:"activityScheduledEventDetails"`
	ActOK     detail `json:"activitySucceededEventDetails"`
	ActBad    detail `json:"activityFailedEventDetails"`
	OK        detail `json:"executionSucceededEventDetails"`
	Aborted   detail `json:"executionAbortedEventDetails"`
}

type detail struct {
	Input      string `json:"input"`
	Parameters string `json:"parameters"`
	Output     string `json:"output"`
	Error      string `json:"error"`
	Cause      string `json:"cause"`
}

// history reads an execution's history, in pages of the size given.
func (c *client) history(ctx context.Context, arn string, page int) ([]historyEvent, error) {
	var all []historyEvent
	in := fields{"executionArn": arn, "maxResults": page}
	for {
		var got struct {
			Events    []historyEvent
			NextToken string
		}
		if err := c.insist(ctx, "GetExecutionHistory", in, &got); err != nil {
			return nil, err
		}
		all = append(all, got.Events...)
		if got.NextToken == "" {
			return all, nil
		}
		in["nextToken"] = got.NextToken
	}
}
