// Package publisher is an agent that puts approved pages into a directory as
// HTML. It speaks the board's REST API by long poll, with the standard library
// alone, and asks no model.
package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Provider and Model are what its usage is reported under. A word counts as a
// token.
const (
	Provider = "example"
	Model    = "html-publisher"
)

// Agent publishes.
type Agent struct {
	URL string // of the server
	Key string // the agent's
	Dir string // where pages go
}

type fields = map[string]any

// refused is an answer of the board's that says no.
type refused struct{ Code, Message string }

func (r *refused) Error() string { return r.Code + ": " + r.Message }

// call calls /api/v1 and returns the answer, which it also reads into out unless
// that is nil. 204 leaves out as it is.
func (a *Agent) call(ctx context.Context, method, path, lease string, in, out any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.URL, "/")+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.Key)
	req.Header.Set("Content-Type", "application/json")
	if lease != "" {
		req.Header.Set("X-Lockstep-Lease", lease)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		var said struct{ Error refused }
		if json.Unmarshal(text, &said) != nil || said.Error.Code == "" {
			return nil, fmt.Errorf("%s %s: %s", method, path, res.Status)
		}
		return nil, fmt.Errorf("%s %s: %w", method, path, &said.Error)
	}
	if out == nil || len(text) == 0 {
		return text, nil
	}
	return text, json.Unmarshal(text, out)
}

// Run works on the agent's tasks until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		var offer struct {
			Wakeup struct{ Work bool }
			Task   struct{ Key string }
		}
		if _, err := a.call(ctx, "GET", "agent/next?wait=50", "", nil, &offer); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if offer.Wakeup.Work && offer.Task.Key != "" {
			if err := a.work(ctx, offer.Task.Key); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// work claims a task and publishes what it asks for, or says why not.
func (a *Agent) work(ctx context.Context, key string) error {
	var got struct {
		Attempt string `json:"attempt_id"`
		Lease   string `json:"lease_token"`
	}
	path := "tasks/" + url.PathEscape(key)
	_, err := a.call(ctx, "POST", path+"/claim", "", nil, &got)
	var no *refused
	if errors.As(err, &no) {
		return nil // another has it, or its gate has closed: the next wakeup tells
	}
	if err != nil {
		return err
	}
	err = a.publish(ctx, key, got.Attempt, got.Lease)
	if err == nil || errors.As(err, &no) && (no.Code == "lease_lost" || no.Code == "invalid_transition") {
		return nil
	}
	_, err = a.call(ctx, "POST", path+"/fail", got.Lease, fields{"category": "agent", "message": err.Error(), "retryable": true}, nil)
	return err
}

// publish writes the page of a task into the directory and hands that in.
func (a *Agent) publish(ctx context.Context, key, attempt, lease string) error {
	path := "tasks/" + url.PathEscape(key)
	id, err := a.source(ctx, path)
	if err != nil {
		return err
	}
	text, err := a.call(ctx, "GET", "deliverables/"+url.PathEscape(id)+"/content", "", nil, nil)
	if err != nil {
		return err
	}
	html := Render(string(text))
	name := filepath.Join(a.Dir, strings.ToLower(key)+".html")
	if err := writeFile(name, html); err != nil {
		return err
	}
	if _, err := a.call(ctx, "POST", path+"/deliverables", lease, fields{"kind": "text", "title": filepath.Base(name), "content": html, "media_type": "text/html"}, nil); err != nil {
		return err
	}
	if _, err := a.call(ctx, "POST", "usage", "", fields{"events": []fields{{
		"key": attempt, "task": key, "attempt": attempt, "provider": Provider, "model": Model,
		"usage": fields{"input": len(strings.Fields(string(text))), "output": len(strings.Fields(html))},
	}}}, nil); err != nil {
		return err
	}
	_, err = a.call(ctx, "POST", path+"/submit", lease, fields{
		"summary": fmt.Sprintf("published, %d bytes", len(html)), "output": fields{"file": filepath.ToSlash(name), "bytes": len(html)},
	}, nil)
	return err
}

// source finds the deliverable to publish: the one that the task's input names,
// as a state machine gives it, else what the task before it has delivered.
func (a *Agent) source(ctx context.Context, path string) (string, error) {
	type deliverable struct{ ID string }
	var view struct {
		Task struct {
			Input struct{ Deliverables []deliverable }
		}
		Upstream []struct{ Deliverables []deliverable }
	}
	if _, err := a.call(ctx, "GET", path, "", nil, &view); err != nil {
		return "", err
	}
	found := view.Task.Input.Deliverables
	for _, up := range view.Upstream {
		found = append(found, up.Deliverables...)
	}
	if len(found) == 0 {
		return "", errors.New("there is no deliverable to publish")
	}
	return found[0].ID, nil
}

// writeFile writes a file whole or not at all.
func writeFile(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
