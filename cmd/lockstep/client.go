package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client calls the AWS Step Functions API over HTTP, as an SDK does but without
// signatures. It knows no more than the demo needs; an SDK would double the time
// that the first build takes.
type client struct {
	url   string
	http  *http.Client
	token string // that it calls with; "": none
}

func newClient(url string) *client {
	// The server is on this machine: a proxy has no part in it.
	return &client{url: url, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute}}}
}

// apiError is an error that the API answered with.
type apiError struct {
	Code    string `json:"__type"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// isAPIError reports whether err is the API's error called code.
func isAPIError(err error, code string) bool {
	var e *apiError
	return errors.As(err, &e) && e.Code == code
}

// call makes one call. out may be nil.
func (c *client) call(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if res.StatusCode != http.StatusOK {
		failed := &apiError{Code: res.Status}
		// An answer that is none leaves the status to say what happened.
		_ = json.Unmarshal(text, failed)
		if _, name, ok := bytes.Cut([]byte(failed.Code), []byte("#")); ok {
			failed.Code = string(name)
		}
		return fmt.Errorf("%s: %w", action, failed)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s: read the answer: %w", action, err)
	}
	return nil
}

// fields are members of a request.
type fields map[string]any

// execution is what DescribeExecution and ListExecutions say of one.
type execution struct {
	ARN    string `json:"executionArn"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Input  string `json:"input"`
	Output string `json:"output"`
	Error  string `json:"error"`
	Cause  string `json:"cause"`
}

func (c *client) describe(ctx context.Context, arn string) (execution, error) {
	var x execution
	return x, c.call(ctx, "DescribeExecution", fields{"executionArn": arn}, &x)
}

// executions calls yield with all executions of a machine, newest first; with
// status "" those of any status.
func (c *client) executions(ctx context.Context, machineARN, status string, yield func(execution)) error {
	in := fields{"stateMachineArn": machineARN, "maxResults": 1000}
	if status != "" {
		in["statusFilter"] = status
	}
	for {
		var page struct {
			Executions []execution `json:"executions"`
			Next       string      `json:"nextToken"`
		}
		if err := c.call(ctx, "ListExecutions", in, &page); err != nil {
			return err
		}
		for _, x := range page.Executions {
			yield(x)
		}
		if page.Next == "" {
			return nil
		}
		in["nextToken"] = page.Next
	}
}

// event is what the demo reads of an event of a history.
type event struct {
	Type    string `json:"type"`
	Started struct {
		Worker string `json:"workerName"`
	} `json:"activityStartedEventDetails"`
	Failed struct {
		Error string `json:"error"`
		Cause string `json:"cause"`
	} `json:"taskFailedEventDetails"`
}

// history reads up to limit events, the newest first if reverse.
func (c *client) history(ctx context.Context, arn string, limit int, reverse bool) ([]event, error) {
	var page struct {
		Events []event `json:"events"`
	}
	err := c.call(ctx, "GetExecutionHistory", fields{"executionArn": arn, "maxResults": limit, "reverseOrder": reverse}, &page)
	return page.Events, err
}
