package awsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// world is a server over a memory store, with an engine that applies events on
// the spot and a clock that the test sets.
type world struct {
	t      testing.TB
	server *Server
	engine *fakeEngine
	log    *strings.Builder
}

const noon = 1_700_000_000_120 // Unix milliseconds

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, arn.Default)
}

func newWorldOf(t testing.TB, scheme arn.Scheme) *world {
	t.Helper()
	w := &world{t: t, engine: &fakeEngine{Store: memory.New(), now: noon}, log: &strings.Builder{}}
	w.server = NewServer(w.engine.Store, w.engine, Config{
		Scheme: scheme,
		Now:    func() time.Time { return time.UnixMilli(w.engine.now) },
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	t.Cleanup(w.server.Close)
	return w
}

// post sends a request and returns the answer's status and body.
func (w *world) post(op, body string, change ...func(*http.Request)) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "AWSStepFunctions."+op)
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if len(rec.Header().Get("x-amzn-RequestId")) != 36 {
		w.t.Errorf("%s: no request id", op)
	}
	if got := rec.Header().Get("Content-Type"); got != "application/x-amz-json-1.0" {
		w.t.Errorf("%s: content type %q", op, got)
	}
	return rec.Code, rec.Body.String()
}

// call sends a request in short hand and compares the answer in short hand. In
// both, $sm(x), $ex(m:x) and $act(x) stand for ARNs, ' for " and ~ for '. An
// error is wanted as "Code: message".
func (w *world) call(op, body, want string) {
	w.t.Helper()
	if got := w.ask(op, body); got != expand(want) {
		w.t.Errorf("%s %s\n got %s\nwant %s", op, body, got, expand(want))
	}
}

// ask sends a request in short hand and returns the answer, an error as
// "Code: message".
func (w *world) ask(op, body string) string {
	w.t.Helper()
	status, got := w.post(op, expand(body))
	if status == http.StatusOK {
		return got
	}
	in, err := decode(got)
	if err != nil {
		w.t.Fatalf("%s: %d %s", op, status, got)
	}
	code := in.text("__type", bounds{})
	if status != http.StatusBadRequest {
		code = fmt.Sprint(code, " ", status)
	}
	return code + ": " + in.text("message", bounds{})
}

func expand(s string) string {
	for mark, prefix := range map[string]string{
		"$sm(": arn.Default.Machine(""), "$ex(": strings.TrimSuffix(arn.Default.Execution("", ""), ":"), "$act(": arn.Default.Activity(""),
	} {
		for {
			before, rest, ok := strings.Cut(s, mark)
			if !ok {
				break
			}
			name, after, _ := strings.Cut(rest, ")")
			s = before + prefix + name + after
		}
	}
	return shorthand.Replace(s)
}

var shorthand = strings.NewReplacer("'", `"`, "~", "'")

// create makes a state machine that the test goes on with.
func (w *world) create(name, definition string, more ...string) {
	w.t.Helper()
	status, body := w.post("CreateStateMachine", fmt.Sprintf(`{"name":%q,"definition":%q,"roleArn":"arn:aws:iam::123456789012:role/r"%s}`,
		name, definition, strings.Join(more, "")))
	if status != http.StatusOK {
		w.t.Fatalf("CreateStateMachine: %s", body)
	}
}

const (
	passes = `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`
	waits  = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"Next":"P"},"P":{"Type":"Pass","End":true}}}`
	asks   = `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:work","End":true}}}`
)

// fakeEngine runs executions in the calling goroutine.
type fakeEngine struct {
	*memory.Store
	now int64

	mu     sync.Mutex
	last   store.ExecutionID
	starts []store.Start
	fail   error  // what every call returns, if set
	hook   func() // called by Deliver
}

func (e *fakeEngine) Start(ctx context.Context, s store.Start) (store.Execution, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return store.Execution{}, e.fail
	}
	e.starts = append(e.starts, s)
	if s.Name != "" {
		if x, err := e.ExecutionNamed(ctx, s.Machine.ID, s.Name); err == nil {
			if x.Status == engine.Running && x.Input == s.Input {
				return x, nil
			}
			return x, store.ErrExists
		}
	} else {
		s.Name = fmt.Sprintf("made-up-%d", e.last+1)
	}
	e.last++
	r, err := e.Revision(ctx, s.Revision)
	if err != nil {
		return store.Execution{}, err
	}
	facts := engine.Execution{
		ID: int64(e.last), ARN: arn.Default.Execution(s.Machine.Name, s.Name), Name: s.Name, MachineName: s.Machine.Name,
		RoleARN: r.RoleARN, Region: "us-east-1", StartedAt: time.UnixMilli(e.now), Input: engine.Text(s.Input),
	}
	if s.Via.Number != 0 {
		facts.VersionARN = arn.Default.Version(s.Machine.Name, s.Via.Number)
	}
	snapshot := engine.New(facts)
	new := &store.NewExecution{Machine: s.Machine.ID, Revision: s.Revision, Name: s.Name, StartedAt: e.now, Input: s.Input, Trace: s.Trace, Via: s.Via}
	if err := e.apply(ctx, r, snapshot, store.ExecutionCommit{ID: e.last, New: new}, engine.Started{At: time.UnixMilli(e.now)}); err != nil {
		return store.Execution{}, err
	}
	return e.Execution(ctx, e.last)
}

func (e *fakeEngine) Deliver(ctx context.Context, id store.ExecutionID, ev engine.Event) error {
	if e.hook != nil {
		e.hook()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	kept, err := e.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	x := kept.Execution
	if x.Status != engine.Running {
		return engine.ErrNotWaiting
	}
	r, err := e.Revision(ctx, x.Revision)
	if err != nil {
		return err
	}
	snapshot, err := engine.Restore(engine.Execution{ID: int64(id), Name: x.Name, RoleARN: r.RoleARN, Input: engine.Text(x.Input)}, kept.Head, kept.Frames)
	if err != nil {
		return err
	}
	return e.apply(ctx, r, snapshot, store.ExecutionCommit{ID: id, Version: x.Version}, ev)
}

func (e *fakeEngine) apply(ctx context.Context, r store.Revision, snapshot *engine.Snapshot, c store.ExecutionCommit, ev engine.Event) error {
	machine, problems := asl.Parse(r.Definition, asl.Options{})
	if machine == nil {
		return fmt.Errorf("stored definition: %v", problems)
	}
	env := &engine.Env{Machine: machine, Token: tokenOf, ActivityExists: func(string) bool { return true }}
	if _, err := engine.Apply(env, snapshot, ev); err != nil {
		return err
	}
	c.Delta = snapshot.Flush()
	batch := store.Commit{Executions: []store.ExecutionCommit{c}}
	return errors.Join(e.Commit(ctx, &batch), batch.Executions[0].Err)
}

func tokenOf(id engine.TaskID) string { return fmt.Sprintf("token-%d-%d", id.Frame, id.Attempt) }

func (e *fakeEngine) Write(ctx context.Context, do func(context.Context, store.Tx) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	c := store.Commit{Writes: []store.Write{{Do: do}}}
	return errors.Join(e.Commit(ctx, &c), c.Writes[0].Err)
}

func (e *fakeEngine) Lookup(ctx context.Context, machine, name string) (store.Execution, error) {
	m, err := e.Machine(ctx, machine)
	if err != nil {
		return store.Execution{}, err
	}
	return e.ExecutionNamed(ctx, m.ID, name)
}

// ParseToken knows tokens of the form execution/frame/attempt.
func (e *fakeEngine) ParseToken(token string) (id store.ExecutionID, task engine.TaskID, err error) {
	_, err = fmt.Sscanf(token, "%d/%d/%d", &id, &task.Frame, &task.Attempt)
	return id, task, err
}

func (e *fakeEngine) Poll(ctx context.Context, a store.Activity, worker string) (token, input string, err error) {
	if worker == "busy" {
		return "1/1/1", `{"for":"` + a.Name + `"}`, nil
	}
	<-ctx.Done()
	return "", "", ctx.Err()
}
