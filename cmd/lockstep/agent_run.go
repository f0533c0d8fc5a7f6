package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/control"
)

// newAgentRun makes the command that plays an agent with a program: a long poll
// for work, and one process for each task.
func newAgentRun() *cobra.Command {
	var r agentRunner
	var keyFile string
	cmd := boardVerb("run SLUG -- COMMAND [ARG]...", "Work on tasks as an agent, with a program of yours", `  lockstep agent run writer -- ./write.sh
  lockstep agent run coder --as claude-code -- claude -p --output-format json
  lockstep agent run coder --as codex -- codex exec --json -`, cobra.MinimumNArgs(2),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			if cmd.ArgsLenAtDash() != 1 {
				return usageError("give the command after --: lockstep agent run %s -- COMMAND", args[0])
			}
			r.c, r.slug, r.command, r.log = c, strings.TrimPrefix(args[0], "@"), args[1:], cmd.ErrOrStderr()
			switch r.as {
			case "plain", "claude-code", "codex":
			default:
				return usageError("--as is plain, claude-code or codex")
			}
			key, err := agentKey(cmd.Context(), c, r.slug, keyFile)
			if err != nil {
				return err
			}
			r.key = key
			c.header.Set("Authorization", "Bearer "+key)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return r.run(ctx)
		})
	cmd.Long = `Run waits for tasks of an agent and starts the command for each, as many at a time
as the agent has slots. The command reads the task's brief as JSON from its
standard input. What it prints last is the result: a line of JSON with any of
output, summary, deliverables, usage, cost and error, or else text, which becomes
the summary. With exit status 0 the result is submitted; otherwise the attempt
fails, with the end of what the command wrote to standard error.

The command finds LOCKSTEP_URL, LOCKSTEP_TASK, LOCKSTEP_LEASE, LOCKSTEP_ATTEMPT and
` + agentKeyVariable + ` in its environment, so lockstep task works within it. A task
that is cancelled ends its command and all that it started. So does a signal to
run; the tasks then go back.`
	flags := cmd.Flags()
	flags.StringVar(&keyFile, "key-file", "", "`file` with the agent's key (default: "+agentKeyVariable+", or a new key)")
	flags.StringVar(&r.as, "as", "plain", "what the command prints: plain, claude-code or `codex`")
	flags.BoolVar(&r.once, "once", false, "end after one task")
	flags.DurationVar(&r.grace, "grace", 10*time.Second, "how long a command may take to end when it is told to")
	return cmd
}

// agentKey finds an agent's key: in a file, in the environment, or by making one.
func agentKey(ctx context.Context, c *restClient, slug, file string) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err
	}
	if key := os.Getenv(agentKeyVariable); key != "" {
		return key, nil
	}
	var key struct {
		Key string `json:"key"`
	}
	_, err := c.call(ctx, http.MethodPost, "agents/"+url.PathEscape(slug)+"/keys", nil, &key)
	return key.Key, err
}

// agentRunner plays an agent.
type agentRunner struct {
	c       *restClient
	slug    string
	key     string
	command []string
	as      string // plain, claude-code or codex
	once    bool
	grace   time.Duration

	mu  sync.Mutex
	log io.Writer
}

func (r *agentRunner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.log, format+"\n", args...)
}

// run works until ctx ends, and returns when every task has been handed in or
// given back.
func (r *agentRunner) run(ctx context.Context) error {
	var me agentRow
	if _, err := r.c.call(ctx, http.MethodGet, "agent/me", nil, &me); err != nil {
		return err
	}
	if me.Slug != r.slug {
		return fmt.Errorf("the key is of @%s, not of @%s", cmp.Or(me.Slug, "nobody"), r.slug)
	}
	r.say("@%s waits for tasks, %d at a time", me.Slug, me.Slots)
	slots := make(chan struct{}, max(me.Slots, 1))
	var work sync.WaitGroup
	defer work.Wait()
	down := time.Duration(0)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		task, err := r.next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case refusedAs(err, "unauthorized"):
			return err
		case err != nil:
			if down == 0 {
				r.say("%v", err)
			}
			down = min(max(2*down, time.Second), 30*time.Second)
			<-slots
			if !wait(ctx, down) {
				return nil
			}
			continue
		}
		down = 0
		if task == nil {
			<-slots
			continue
		}
		work.Go(func() {
			defer func() { <-slots }()
			r.work(ctx, task)
		})
		if r.once {
			return nil
		}
	}
}

// wait waits for a time. It is false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// claimedTask is a task that is worked on.
type claimedTask struct {
	Task    *control.Task `json:"task"`
	Attempt string        `json:"attempt_id"`
	Lease   string        `json:"lease_token"`
	Expires time.Time     `json:"lease_expires_at"`
}

// next waits for a wakeup and claims its task; nil: there was none to claim.
func (r *agentRunner) next(ctx context.Context) (*claimedTask, error) {
	var offer control.Offer
	if _, err := r.c.call(ctx, http.MethodGet, "agent/next?wait=50", nil, &offer); err != nil {
		return nil, err
	}
	if offer.Wakeup == nil {
		return nil, nil
	}
	if offer.Task == nil || !offer.Wakeup.Work {
		r.say("a wakeup with nothing to claim (%s) is passed over", offer.Wakeup.Reason)
		return nil, nil
	}
	var got claimedTask
	_, err := r.c.call(ctx, http.MethodPost, "tasks/"+offer.Task.Key+"/claim", nil, &got)
	var no *refusal
	if errors.As(err, &no) {
		r.say("%s: %v", offer.Task.Key, err) // another has it, or its gate has closed
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &got, nil
}

// on makes a call about a task that is worked on. It does not end with the
// runner: what was begun is brought to an end.
func (r *agentRunner) on(ctx context.Context, t *claimedTask, verb string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	c := *r.c
	c.header = r.c.header.Clone()
	c.header.Set("X-Lockstep-Lease", t.Lease)
	_, err := c.call(ctx, http.MethodPost, "tasks/"+t.Task.Key+"/"+verb, in, out)
	return err
}

// work runs the command for a task and tells the board what came of it.
func (r *agentRunner) work(ctx context.Context, t *claimedTask) {
	key := t.Task.Key
	r.say("%s: begun", key)
	var err error
	switch result, ended := r.execute(ctx, t); ended {
	case taskLost:
		r.say("%s: it is not ours any more; the command was ended", key)
		return
	case runnerStopped:
		err = r.on(ctx, t, "release", map[string]any{"note": "the runner was stopped"}, nil)
		if err == nil {
			r.say("%s: given back", key)
		}
	default:
		err = r.finish(ctx, t, result)
	}
	if err != nil {
		r.say("%s: %v", key, err)
	}
}

// ending is why a command has ended.
type ending int

const (
	byItself ending = iota
	taskLost
	runnerStopped
)

const (
	mostOutput = 8 << 20 // of a command; the end of it is kept
	mostErrors = 4 << 10
)

// execute runs the command until it ends, or has to.
func (r *agentRunner) execute(ctx context.Context, t *claimedTask) (*runResult, ending) {
	failed := func(err error) (*runResult, ending) {
		return &runResult{Error: &runError{Category: "runtime", Code: "not_started", Message: err.Error(), Retryable: true}}, byItself
	}
	brief, err := r.c.call(ctx, http.MethodGet, "tasks/"+t.Task.Key, nil, nil)
	if err != nil {
		return failed(fmt.Errorf("the brief could not be read: %w", err))
	}
	cmd := exec.Command(r.command[0], r.command[1:]...)
	cmd.Stdin = bytes.NewReader(r.input(t, brief))
	out, errs := &tail{most: mostOutput}, &tail{most: mostErrors}
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(r.stderr(), errs)
	cmd.WaitDelay = r.grace
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+r.c.url, "LOCKSTEP_TASK="+t.Task.Key, "LOCKSTEP_LEASE="+t.Lease,
		"LOCKSTEP_ATTEMPT="+t.Attempt, agentKeyVariable+"="+r.key)
	own := ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return failed(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	watched, unwatch := context.WithCancel(ctx)
	defer unwatch()
	lost := make(chan struct{})
	go func() {
		if r.watch(watched, t) {
			close(lost)
		}
	}()
	why := byItself
	select {
	case <-done:
		own.kill(cmd) // what it has left behind
		return r.result(t, out.Bytes(), errs.String(), cmd.ProcessState), byItself
	case <-lost:
		why = taskLost
	case <-ctx.Done():
		why = runnerStopped
	}
	own.terminate(cmd)
	select {
	case <-done:
	case <-time.After(r.grace):
	}
	own.kill(cmd)
	return nil, why
}

// stderr is where a command's errors go, a write at a time.
func (r *agentRunner) stderr() io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.log.Write(p)
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// tail keeps the end of what is written to it.
type tail struct {
	bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	n, _ := t.Buffer.Write(p)
	if over := t.Len() - 2*t.most; over > 0 {
		t.Next(t.Len() - t.most)
	}
	return n, nil
}

// watch renews the lease until ctx ends, and is true as soon as it is lost: the
// task was cancelled, or given to another.
func (r *agentRunner) watch(ctx context.Context, t *claimedTask) (lost bool) {
	news := make(chan struct{}, 1)
	go r.listen(ctx, t, news)
	for {
		every := min(max(time.Until(t.Expires)/3, time.Second), 5*time.Minute)
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-news:
		case <-timer.C:
		}
		timer.Stop()
		var p control.Progressed
		err := r.on(ctx, t, "progress", map[string]any{}, &p)
		switch {
		case err == nil:
			t.Expires = p.LeaseExpiresAt
		case refusedAs(err, string(control.LeaseLost)), refusedAs(err, string(control.InvalidTransition)), refusedAs(err, string(control.NotFound)):
			return ctx.Err() == nil
		case time.Now().After(t.Expires):
			return ctx.Err() == nil // the server was not reached for all that time
		}
	}
}

// listen says when something has moved the task, until ctx ends. Where it cannot
// hear, renewing the lease tells as much, later.
func (r *agentRunner) listen(ctx context.Context, t *claimedTask, news chan<- struct{}) {
	for ; ctx.Err() == nil; wait(ctx, 5*time.Second) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.c.url, "/")+"/api/v1/events/stream?type=task.*&task="+url.QueryEscape(t.Task.Key), nil)
		if err != nil {
			return
		}
		req.Header = r.c.header.Clone()
		req.Header.Set("Accept", "text/event-stream")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			event, is := strings.CutPrefix(lines.Text(), "event: ")
			if !is || event == "task.progress" || event == "task.claim" {
				continue
			}
			select {
			case news <- struct{}{}:
			default:
			}
		}
		res.Body.Close()
	}
}

// finish hands a result in, or says why there is none.
func (r *agentRunner) finish(ctx context.Context, t *claimedTask, result *runResult) error {
	if len(result.Usage) > 0 {
		if err := r.report(ctx, t, result.Usage); err != nil {
			r.say("%s: its usage could not be reported: %v", t.Task.Key, err)
		}
	}
	if result.Error == nil {
		err := r.submit(ctx, t, result)
		if err == nil {
			r.say("%s: submitted", t.Task.Key)
			return nil
		}
		if refusedAs(err, string(control.LeaseLost)) || refusedAs(err, string(control.InvalidTransition)) {
			r.say("%s: the command has handed it in itself", t.Task.Key)
			return nil
		}
		result.Error = &runError{Category: "agent", Code: "not_accepted", Message: err.Error(), Retryable: true}
	}
	e := result.Error
	err := r.on(ctx, t, "fail", control.Failure{Category: e.Category, Code: e.Code, Message: e.Message, Retryable: e.Retryable, Detail: e.Detail}, nil)
	if refusedAs(err, string(control.LeaseLost)) || refusedAs(err, string(control.InvalidTransition)) {
		r.say("%s: the command has handed it in itself", t.Task.Key)
		return nil
	}
	if err == nil {
		r.say("%s: failed: %s", t.Task.Key, e.Message)
	}
	return err
}

func (r *agentRunner) submit(ctx context.Context, t *claimedTask, result *runResult) error {
	for _, d := range result.Deliverables {
		if d.File != "" {
			if err := r.upload(ctx, &d); err != nil {
				return err
			}
		}
		d.Kind = cmp.Or(d.Kind, map[bool]string{true: "url", false: "text"}[d.URL != ""])
		if err := r.on(ctx, t, "deliverables", d.NewDeliverable, nil); err != nil {
			return err
		}
	}
	return r.on(ctx, t, "submit", control.Submission{Summary: result.Summary, Output: result.Output}, nil)
}

// upload keeps a file's bytes at the server.
func (r *agentRunner) upload(ctx context.Context, d *runDeliverable) error {
	data, err := os.ReadFile(d.File)
	if err != nil {
		return fmt.Errorf("the deliverable: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.c.url, "/")+"/api/v1/blobs", bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header = r.c.header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var got struct {
		Blob  string  `json:"blob"`
		Error refusal `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&got); err != nil {
		return err
	}
	if got.Blob == "" {
		return &got.Error
	}
	d.Kind, d.Blob, d.Title = "file", got.Blob, cmp.Or(d.Title, filepath.Base(d.File))
	return nil
}

// report tells what the run has used.
func (r *agentRunner) report(ctx context.Context, t *claimedTask, usage []usageReport) error {
	for i := range usage {
		u := &usage[i]
		u.Task, u.Attempt, u.Session = t.Task.Key, t.Attempt, "task-"+t.Task.Key
		u.Key = cmp.Or(u.Key, fmt.Sprintf("%s/%s/%d", t.Attempt, u.Model, i))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := r.c.call(ctx, http.MethodPost, "usage", map[string]any{"events": usage}, nil)
	return err
}
