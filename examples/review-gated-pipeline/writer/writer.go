// Package writer is an agent that writes pages out of notes. It speaks MCP, by
// the official SDK, and asks no model: it takes the notes' own sentences, and
// heeds a reviewer who says "at most 60 words" or keep "the shop".
package writer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Provider and Model are what its usage is reported under. A word counts as a
// token.
const (
	Provider = "example"
	Model    = "extractive-writer"
)

// Run works on tasks of the agent whose key it is until ctx ends, at the server
// with the URL.
func Run(ctx context.Context, url, key string) error {
	transport := &mcp.StreamableClientTransport{
		Endpoint: strings.TrimSuffix(url, "/") + "/mcp", HTTPClient: &http.Client{Transport: bearer(key)}, DisableStandaloneSSE: true,
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "writer", Version: "1"}, nil).Connect(ctx, transport, nil)
	if err != nil {
		return fmt.Errorf("connect to the board: %w", err)
	}
	defer session.Close()
	w := worker{session}
	for ctx.Err() == nil {
		if err := w.next(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// bearer sends a key with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

type worker struct{ session *mcp.ClientSession }

type fields = map[string]any

// refused is an answer of the board's that says no.
type refused struct{ Code, Message string }

func (r *refused) Error() string { return r.Code + ": " + r.Message }

// call calls a tool of the board's.
func (w worker) call(ctx context.Context, tool string, args fields, out any) error {
	res, err := w.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	text, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	if res.IsError {
		var said struct{ Error refused }
		if err := json.Unmarshal(text, &said); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		return fmt.Errorf("%s: %w", tool, &said.Error)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// job is a task with what there is to know about it.
type job struct {
	Attempt string
	Lease   string
	Brief   struct {
		Task               string
		AcceptanceCriteria []string `json:"acceptance_criteria"`
		Input              struct{ Notes string }
		Reviews            []struct {
			Verdicts []struct{ Verdict, Comment string }
		}
	}
}

// next waits for a task, and does it.
func (w worker) next(ctx context.Context) error {
	var got struct {
		Attempt, Lease string
		Brief          json.RawMessage
	}
	if err := w.call(ctx, "task_next", fields{"wait_s": 50}, &got); err != nil || got.Lease == "" {
		return err
	}
	j := job{Attempt: got.Attempt, Lease: got.Lease}
	if err := json.Unmarshal(got.Brief, &j.Brief); err != nil {
		return fmt.Errorf("the brief: %w", err)
	}
	err := w.write(ctx, &j)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	var no *refused
	if errors.As(err, &no) && (no.Code == "lease_lost" || no.Code == "invalid_transition") {
		return nil // it is not ours any more
	}
	return w.call(ctx, "task_fail", fields{"task": j.Brief.Task, "lease": j.Lease, "category": "agent", "message": err.Error(), "retryable": false}, nil)
}

// write makes the page that a task asks for, with what reviewers have said, and
// hands it in.
func (w worker) write(ctx context.Context, j *job) error {
	b := &j.Brief
	var wishes Wishes
	wishes.Heed(b.AcceptanceCriteria...)
	for _, r := range b.Reviews {
		for _, v := range r.Verdicts {
			wishes.Heed(v.Comment)
		}
	}
	page, err := Write(b.Input.Notes, wishes)
	if err != nil {
		return err
	}
	on := func(more fields) fields {
		more["task"], more["lease"] = b.Task, j.Lease
		return more
	}
	if err := w.call(ctx, "deliverable_add", on(fields{"kind": "text", "title": "page.md", "content": page.Text}), nil); err != nil {
		return err
	}
	if err := w.call(ctx, "usage_report", fields{
		"task": b.Task, "attempt": j.Attempt, "provider": Provider, "model": Model, "idempotency_key": j.Attempt,
		"input": len(words(b.Input.Notes)), "output": page.Words,
	}, nil); err != nil {
		return err
	}
	summary := fmt.Sprintf("%d words out of %d", page.Words, len(words(b.Input.Notes)))
	return w.call(ctx, "task_submit", on(fields{"summary": summary, "output": page}), nil)
}
