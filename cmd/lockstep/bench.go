package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/lambda"
	"github.com/lockstep-run/lockstep/internal/task/noop"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// benchResult is the one JSON object that `lockstep bench` prints.
type benchResult struct {
	Work        string `json:"work"`
	Executions  int    `json:"executions"`
	Concurrency int    `json:"concurrency"`

	Seconds         float64 `json:"seconds"`
	ExecutionsPerS  float64 `json:"executions_per_s"`
	TransitionsPerS float64 `json:"transitions_per_s"` // states entered
	StepsPerS       float64 `json:"steps_per_s"`       // task results, or transitions where there are no tasks
	P50             float64 `json:"p50_ms"`            // of a whole execution; over HTTP with pass10 and express10: of StartExecution
	P99             float64 `json:"p99_ms"`
	CPUPerTransit   float64 `json:"cpu_us_per_transition"`
	Fsyncs          int64   `json:"fsyncs"` // -1: not known (another process)
	RSS             float64 `json:"rss_mib"`
	Store           string  `json:"store"`
	Durable         bool    `json:"durable"`

	Waiting  *waitingResult  `json:"waiting,omitempty"`  // work callback
	Function *functionResult `json:"function,omitempty"` // work fn
	Hostile  *hostileResult  `json:"hostile,omitempty"`  // work hostile
}

// waitingResult is what a server is like with all executions waiting.
type waitingResult struct {
	Executions int     `json:"executions"`
	RSS        float64 `json:"rss_mib"`
	Restart    float64 `json:"restart_to_ready_ms"`
}

type benchFlags struct {
	work        string
	executions  int
	concurrency int
	url         string
	data        string
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how much a server does, in this process or at a URL",
		Long: `Runs many executions of one kind and prints one JSON object with the figures.

Without --url the whole engine runs in this process on a temporary store, and
every commit is synced to the disk. The kinds of work:

  pass10      machines of 10 Pass states
  task10      10 task states whose integration does nothing, in this process
  lambda10    10 Lambda tasks, called over HTTP at an endpoint in this process
  activity10  10 activity tasks, answered by workers in this process
  sync10      StartSyncExecution of 10 Pass states, over HTTP, at a server in this
              process unless --url names another
  express10   StartExecution of the same
  wait        one Wait state of a second
  fn          calls of a function that this process runs in others, over HTTP and
              without an engine: an execution is a call
  callback    one task that waits for its token; all wait before the first is
              answered, and the server is restarted in between
  hostile     pass10 over HTTP one after the other, first alone, then while as
              many callers as --concurrency start machines whose JSONata
              expressions would run for ever or take all memory`,
		Example: `  lockstep bench --work pass10 --executions 100000 --concurrency 1000
  lockstep bench --work task10 --executions 5000 --concurrency 50
  lockstep bench --work pass10 --url http://127.0.0.1:8083 --executions 20000 --concurrency 64`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runBench(cmd.Context(), f, cmd.ErrOrStderr())
			var usage *exitError
			if errors.As(err, &usage) {
				return err
			}
			if err != nil {
				return &exitError{exitFailed, err}
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}
	cmd.AddCommand(newBoardBench(), newPipelineBench())
	cmd.Flags().StringVar(&f.work, "work", "pass10", "kind of work: "+strings.Join(workNames(), ", "))
	cmd.Flags().IntVar(&f.executions, "executions", 10000, "how many executions to run")
	cmd.Flags().IntVar(&f.concurrency, "concurrency", 100, "how many of them at a time")
	cmd.Flags().StringVar(&f.url, "url", "", "measure the server at this URL instead")
	cmd.Flags().StringVar(&f.data, "data", "", "directory for the temporary store (default: the system's)")
	return cmd
}

// work is one kind of load.
type work struct {
	name        string
	state       string // members of a state; chained `states` times
	states      int
	transitions int64 // per execution
	steps       int64 // per execution
	remote      bool  // can be asked of another server
	express     bool  // of an EXPRESS machine
	sync        bool  // its end is waited for
}

const (
	benchActivity = "bench"
	benchRole     = "arn:aws:iam::123456789012:role/bench"
)

var works = []work{
	{name: "pass10", states: 10, transitions: 10, steps: 10, remote: true, state: `"Type":"Pass"`},
	{name: "sync10", states: 10, transitions: 10, steps: 10, remote: true, express: true, sync: true, state: `"Type":"Pass"`},
	{name: "express10", states: 10, transitions: 10, steps: 10, remote: true, express: true, state: `"Type":"Pass"`},
	{name: "task10", states: 10, transitions: 10, steps: 10,
		state: `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"noop","Payload.$":"$"},"ResultPath":null`},
	{name: "lambda10", states: 10, transitions: 10, steps: 10,
		state: `"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:echo","ResultPath":null`},
	{name: "activity10", states: 10, transitions: 10, steps: 10, remote: true,
		state: `"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:bench","ResultPath":null`},
	{name: "fn", states: 1, transitions: 1, steps: 1, state: `"Type":"Pass"`},
	{name: "wait", states: 1, transitions: 1, steps: 1, remote: true, state: `"Type":"Wait","Seconds":1`},
	{name: "callback", states: 1, transitions: 1, steps: 1,
		state: `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"noop","Payload":{"token.$":"$$.Task.Token"}}`},
}

func workNames() []string {
	var names []string
	for _, w := range works {
		names = append(names, w.name)
	}
	return append(names, "hostile")
}

// definition chains the work's states.
func (w *work) definition() string {
	var b strings.Builder
	b.WriteString(`{"StartAt":"S1","States":{`)
	for i := 1; i <= w.states; i++ {
		next := fmt.Sprintf(`"Next":"S%d"`, i+1)
		if i == w.states {
			next = `"End":true`
		}
		fmt.Fprintf(&b, `"S%d":{%s,%s}`, i, w.state, next)
		if i < w.states {
			b.WriteByte(',')
		}
	}
	b.WriteString("}}")
	return b.String()
}

const benchInput = `{"commentId":"c-1042","author":"mira","text":"Thanks, that fixed it for me.","n":12345}`

func runBench(ctx context.Context, f benchFlags, progress io.Writer) (*benchResult, error) {
	if f.work == "hostile" && f.url == "" && f.executions > 0 && f.concurrency > 0 {
		return runHostile(ctx, f)
	}
	i := slices.IndexFunc(works, func(w work) bool { return w.name == f.work })
	switch {
	case i < 0:
		return nil, usageError("unknown work %q: use one of %s", f.work, strings.Join(workNames(), ", "))
	case f.executions < 1 || f.concurrency < 1:
		return nil, usageError("--executions and --concurrency must be at least 1")
	case f.url != "" && !works[i].remote:
		return nil, usageError("work %q needs parts inside the server: leave out --url", f.work)
	}
	var target benchTarget
	var err error
	if works[i].express && f.url == "" {
		srv, err := openBenchServer(ctx, f)
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(srv.data)
		defer srv.closeSoon(ctx)
		f.url = srv.url
	}
	switch {
	case f.work == "fn":
		target, err = newFunctionTarget(ctx, f)
	case f.url != "":
		target, err = newRemoteTarget(ctx, &works[i], f)
	default:
		target, err = newLocalTarget(ctx, &works[i], f)
	}
	if err != nil {
		return nil, err
	}
	defer target.close()

	result := &benchResult{Work: f.work, Executions: f.executions, Concurrency: f.concurrency}
	var done atomic.Int64
	stop := showProgress(progress, f.executions, &done)
	cpu, began := cpuTime(), time.Now()
	times, err := target.load(ctx, result, &done)
	elapsed := time.Since(began).Seconds()
	stop()
	if err != nil {
		return nil, err
	}
	n := float64(f.executions)
	slices.Sort(times)
	result.Seconds = round(elapsed)
	result.ExecutionsPerS = round(n / elapsed)
	result.TransitionsPerS = round(n * float64(works[i].transitions) / elapsed)
	result.StepsPerS = round(n * float64(works[i].steps) / elapsed)
	result.P50 = millis(percentile(times, 50))
	result.P99 = millis(percentile(times, 99))
	result.CPUPerTransit = round((cpuTime() - cpu).Seconds() * 1e6 / n / float64(works[i].transitions))
	result.RSS = rss()
	target.describe(result)
	return result, nil
}

// openBenchServer opens a server in this process, on a temporary store.
func openBenchServer(ctx context.Context, f benchFlags) (*server, error) {
	dir, err := os.MkdirTemp(f.data, "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	srv, err := openServer(ctx, settings{
		listen: "127.0.0.1:0", data: dir, scheme: arn.Default, retention: defaultRetention,
		log: slog.New(slog.DiscardHandler), fatal: endBroken,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return srv, nil
}

// benchTarget is a server under load.
type benchTarget interface {
	// load runs all executions and returns how long each took.
	load(ctx context.Context, result *benchResult, done *atomic.Int64) ([]time.Duration, error)
	describe(*benchResult)
	close()
}

// each calls f for 0 … n-1, on so many goroutines, and returns the times.
func each(n, concurrency int, done *atomic.Int64, f func(i int) error) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range min(concurrency, n) {
		all.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				if err := f(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				times[i] = time.Since(began)
				done.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return times, nil
}

// localTarget is an engine in this process, without HTTP in front.
type localTarget struct {
	work        *work
	f           benchFlags
	dir         string
	store       *sqlite.Store
	worker      *worker.Worker
	machine     store.Machine
	stop        func()
	lambda      *http.Server
	tokens      chan string
	activity    store.Activity
	mu          sync.Mutex
	ended       map[store.ExecutionID]chan struct{}
	fsyncsSoFar int64
}

func newLocalTarget(ctx context.Context, w *work, f benchFlags) (*localTarget, error) {
	dir, err := os.MkdirTemp(f.data, "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	t := &localTarget{work: w, f: f, dir: dir, ended: map[store.ExecutionID]chan struct{}{}, tokens: make(chan string, f.executions)}
	if err := t.prepare(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *localTarget) prepare(ctx context.Context) error {
	if t.work.name == "lambda10" {
		if err := t.serveLambda(); err != nil {
			return err
		}
	}
	if err := t.start(ctx); err != nil {
		return err
	}
	return t.worker.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		if t.activity, err = tx.CreateActivity(ctx, store.Activity{Name: benchActivity}); err != nil {
			return err
		}
		t.machine, err = tx.CreateMachine(ctx, store.Machine{Name: "bench", Type: "STANDARD"}, store.Revision{Definition: t.work.definition(), RoleARN: benchRole})
		return err
	})
}

// start opens the store and sets a worker in motion.
func (t *localTarget) start(ctx context.Context) error {
	st, err := sqlite.Open(t.dir)
	if err != nil {
		return err
	}
	tasks := task.NewRegistry()
	switch t.work.name {
	case "callback":
		tasks.Add("lambda:invoke", benchTokens(t.tokens))
	case "lambda10":
		fn, err := lambda.New(lambda.Config{Region: "us-east-1"})
		if err != nil {
			return errors.Join(err, st.Close())
		}
		tasks.AddLambda(fn)
	default:
		tasks.Add("lambda:invoke", noop.Echo{})
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := worker.New(ctx, st, tasks, worker.Config{Committed: t.committed})
	if err != nil {
		cancel()
		return errors.Join(err, st.Close())
	}
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	t.store, t.worker = st, w
	t.stop = func() {
		cancel()
		<-ran
		t.fsyncsSoFar += st.Stats().Syncs
		st.Close()
	}
	return nil
}

func (t *localTarget) committed(c *store.ExecutionCommit) {
	if c.Delta.Status == engine.Running {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ch := t.ended[c.ID]
	if ch == nil {
		ch = make(chan struct{})
		t.ended[c.ID] = ch
	}
	close(ch)
}

// wait returns when an execution has ended.
func (t *localTarget) wait(ctx context.Context, id store.ExecutionID) error {
	t.mu.Lock()
	ch := t.ended[id]
	if ch == nil {
		ch = make(chan struct{})
		t.ended[id] = ch
	}
	t.mu.Unlock()
	select {
	case <-ch:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ended, id)
	return nil
}

func (t *localTarget) begin(ctx context.Context) (store.ExecutionID, error) {
	x, err := t.worker.Start(ctx, store.Start{Machine: t.machine, Revision: t.machine.Current, Input: benchInput})
	return x.ID, err
}

func (t *localTarget) load(ctx context.Context, result *benchResult, done *atomic.Int64) ([]time.Duration, error) {
	if t.work.name == "callback" {
		return t.loadCallbacks(ctx, result, done)
	}
	if t.work.name == "activity10" {
		ctx, cancel := context.WithCancel(ctx)
		var workers sync.WaitGroup
		for range min(t.f.concurrency, 64) {
			workers.Go(func() { t.serveActivity(ctx) })
		}
		defer workers.Wait()
		defer cancel()
	}
	return each(t.f.executions, t.f.concurrency, done, func(int) error {
		id, err := t.begin(ctx)
		if err != nil {
			return err
		}
		return t.wait(ctx, id)
	})
}

// loadCallbacks lets all executions wait, restarts the server, and then
// answers them.
func (t *localTarget) loadCallbacks(ctx context.Context, result *benchResult, done *atomic.Int64) ([]time.Duration, error) {
	var begun atomic.Int64
	if _, err := each(t.f.executions, t.f.concurrency, &begun, func(int) error {
		_, err := t.begin(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	tokens := make([]string, t.f.executions)
	for i := range tokens {
		tokens[i] = <-t.tokens
	}
	runtime.GC()
	result.Waiting = &waitingResult{Executions: t.f.executions, RSS: rss()}
	t.stop()
	began := time.Now()
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	// Ready is when a call is answered that goes all the way to the disk.
	if err := t.answer(ctx, tokens[0]); err != nil {
		return nil, err
	}
	result.Waiting.Restart = millis(time.Since(began))
	done.Add(1)
	return each(len(tokens)-1, t.f.concurrency, done, func(i int) error { return t.answer(ctx, tokens[i+1]) })
}

// answer completes a task by its token. A token may come before the
// submission it belongs to is durable; the worker keeps the answer until then.
func (t *localTarget) answer(ctx context.Context, token string) error {
	id, taskID, err := t.worker.ParseToken(token)
	if err != nil {
		return err
	}
	return t.worker.Deliver(ctx, id, engine.TaskSucceeded{At: time.Now(), Task: taskID, Output: engine.Text(`{"ok":true}`), Callback: true})
}

// benchTokens is a task that hands its token to the bench.
type benchTokens chan string

func (b benchTokens) Run(_ context.Context, c *task.Call) (task.Result, error) {
	b <- c.Token
	return task.Result{Output: `{}`}, nil
}

func (t *localTarget) serveActivity(ctx context.Context) {
	for ctx.Err() == nil {
		token, input, err := t.worker.Poll(ctx, t.activity, "bench")
		if err != nil || token == "" {
			continue
		}
		id, taskID, err := t.worker.ParseToken(token)
		if err != nil {
			continue
		}
		_ = t.worker.Deliver(ctx, id, engine.TaskSucceeded{At: time.Now(), Task: taskID, Output: engine.Text(input), Callback: true})
	}
}

// serveLambda answers Invoke with the payload, in this process.
func (t *localTarget) serveLambda() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.lambda = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 6<<20))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("X-Amz-Executed-Version", "$LATEST")
			_, _ = w.Write(body)
		}),
	}
	go func() { _ = t.lambda.Serve(listener) }()
	return errors.Join(
		os.Setenv("AWS_ENDPOINT_URL_LAMBDA", "http://"+listener.Addr().String()),
		os.Setenv("AWS_ACCESS_KEY_ID", "bench"), os.Setenv("AWS_SECRET_ACCESS_KEY", "bench"),
	)
}

func (t *localTarget) describe(r *benchResult) {
	r.Fsyncs = t.fsyncsSoFar + t.store.Stats().Syncs
	r.Store, r.Durable = "sqlite", true
}

func (t *localTarget) close() {
	if t.stop != nil {
		t.stop()
	}
	if t.lambda != nil {
		_ = t.lambda.Close()
	}
	_ = os.RemoveAll(t.dir)
}

// remoteTarget is a server at a URL, spoken to in the AWS API.
type remoteTarget struct {
	work    *work
	f       benchFlags
	client  *http.Client
	machine string
}

func newRemoteTarget(ctx context.Context, w *work, f benchFlags) (*remoteTarget, error) {
	t := &remoteTarget{work: w, f: f, client: &http.Client{
		Timeout:   90 * time.Second,
		Transport: &http.Transport{MaxIdleConns: f.concurrency + 64, MaxIdleConnsPerHost: f.concurrency + 64},
	}}
	name := "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	var activity struct{ ActivityArn string }
	if w.name == "activity10" {
		if err := t.call(ctx, "CreateActivity", map[string]any{"name": name}, &activity); err != nil {
			return nil, err
		}
	}
	definition := strings.ReplaceAll(w.definition(), "arn:aws:states:us-east-1:123456789012:activity:bench", activity.ActivityArn)
	var made struct{ StateMachineArn string }
	kind := "STANDARD"
	if w.express {
		kind = "EXPRESS"
	}
	err := t.call(ctx, "CreateStateMachine", map[string]any{"name": name, "definition": definition, "roleArn": benchRole, "type": kind}, &made)
	t.machine = made.StateMachineArn
	if w.name == "activity10" {
		for range min(f.concurrency, 64) {
			go t.serveActivity(ctx, activity.ActivityArn)
		}
	}
	return t, err
}

func (t *remoteTarget) call(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := t.post(ctx, action, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// post sends a request and returns the body of an answer of success.
func (t *remoteTarget) post(ctx context.Context, action string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.f.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP %d: %.300s", action, resp.StatusCode, answer)
	}
	return answer, nil
}

func (t *remoteTarget) load(ctx context.Context, _ *benchResult, done *atomic.Int64) ([]time.Duration, error) {
	start := map[string]any{"stateMachineArn": t.machine, "input": benchInput}
	if t.work.sync {
		return t.loadSync(ctx, start, done)
	}
	return each(t.f.executions, t.f.concurrency, done, func(int) error {
		var begun struct{ ExecutionArn string }
		if err := t.call(ctx, "StartExecution", start, &begun); err != nil {
			return err
		}
		if t.work.name == "pass10" || t.work.express { // it ends in the commit that starts it, or cannot be asked about
			return nil
		}
		return t.wait(ctx, begun.ExecutionArn)
	})
}

// loadSync keeps its own part small, for it may run on the same cores.
func (t *remoteTarget) loadSync(ctx context.Context, start map[string]any, done *atomic.Int64) ([]time.Duration, error) {
	body, err := json.Marshal(start)
	if err != nil {
		return nil, err
	}
	return each(t.f.executions, t.f.concurrency, done, func(int) error {
		answer, err := t.post(ctx, "StartSyncExecution", body)
		if err == nil && !bytes.Contains(answer, []byte(`"status":"SUCCEEDED"`)) {
			err = fmt.Errorf("StartSyncExecution: %.300s", answer)
		}
		return err
	})
}

func (t *remoteTarget) wait(ctx context.Context, arn string) error {
	pause := 2 * time.Millisecond
	for {
		var x struct{ Status string }
		if err := t.call(ctx, "DescribeExecution", map[string]any{"executionArn": arn}, &x); err != nil {
			return err
		}
		switch x.Status {
		case "SUCCEEDED":
			return nil
		case "RUNNING":
		default:
			return fmt.Errorf("%s ended %s", arn, x.Status)
		}
		select {
		case <-time.After(pause):
			pause = min(pause*3/2, 100*time.Millisecond)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *remoteTarget) serveActivity(ctx context.Context, arn string) {
	for ctx.Err() == nil {
		var task struct{ TaskToken, Input string }
		if err := t.call(ctx, "GetActivityTask", map[string]any{"activityArn": arn}, &task); err != nil {
			return
		}
		if task.TaskToken != "" {
			_ = t.call(ctx, "SendTaskSuccess", map[string]any{"taskToken": task.TaskToken, "output": task.Input}, &struct{}{})
		}
	}
}

func (t *remoteTarget) describe(r *benchResult) {
	r.Fsyncs, r.Store, r.Durable = -1, t.f.url, !t.work.sync
}

func (t *remoteTarget) close() {
	_ = t.call(context.Background(), "DeleteStateMachine", map[string]any{"stateMachineArn": t.machine}, &struct{}{})
}

// showProgress writes how far a load is, on a terminal only.
func showProgress(w io.Writer, n int, done *atomic.Int64) (stop func()) {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(w, "\r%d of %d executions", done.Load(), n)
			case <-quit:
				fmt.Fprint(w, "\r\033[K")
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func millis(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }

// round keeps three decimals.
func round(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }

// rss is this process's resident memory in MiB, 0 where the system does not
// say.
func rss() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return round(float64(pages*int64(os.Getpagesize())) / (1 << 20))
}
