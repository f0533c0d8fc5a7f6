package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/fn"
)

// functionResult is what calling a function costs.
type functionResult struct {
	PerSecond float64 `json:"invocations_per_s"`
	Processes int     `json:"processes"`
	Overhead  float64 `json:"overhead_p50_ms"` // of a call over a plain HTTP request that is echoed, one at a time
	Invoke    float64 `json:"invoke_p50_ms"`
	Direct    float64 `json:"direct_p50_ms"`
}

// functionTarget is a manager of functions with an echo in other processes, and
// beside it the same echo as a plain HTTP server in this one.
type functionTarget struct {
	f       benchFlags
	dir     string
	manager *fn.Manager
	servers []*http.Server
	client  *http.Client
	invoke  string // URL
	direct  string // URL
}

func newFunctionTarget(ctx context.Context, f benchFlags) (*functionTarget, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(f.data, "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	t := &functionTarget{f: f, dir: dir, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: f.concurrency + 1}}}
	fail := func(err error) (*functionTarget, error) { t.close(); return nil, err }
	if t.manager, err = fn.New(fn.Config{Dir: filepath.Join(dir, functionsDir)}); err != nil {
		return fail(err)
	}
	if err := t.manager.Add("echo", fn.Spec{Command: []string{program, "fn", "echo"}, Concurrency: min(f.concurrency, 1000)}); err != nil {
		return fail(err)
	}
	if t.invoke, err = t.serve(t.manager); err != nil {
		return fail(err)
	}
	t.invoke += "/2015-03-31/functions/echo/invocations"
	t.direct, err = t.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
	}))
	if err != nil {
		return fail(err)
	}
	// All processes are warm before anything is measured.
	if _, err := each(2*f.concurrency, f.concurrency, new(atomic.Int64), func(int) error { return t.call(ctx, t.invoke) }); err != nil {
		return fail(err)
	}
	return t, nil
}

func (t *functionTarget) serve(h http.Handler) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	t.servers = append(t.servers, server)
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

func (t *functionTarget) call(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(benchInput)))
	if err != nil {
		return err
	}
	res, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && (res.StatusCode != http.StatusOK || string(answer) != benchInput) {
		err = fmt.Errorf("the echo answered %s %.300s", res.Status, answer)
	}
	return err
}

// load first calls one at a time, both ways, then many at a time.
func (t *functionTarget) load(ctx context.Context, result *benchResult, done *atomic.Int64) ([]time.Duration, error) {
	n := min(t.f.executions, 5000)
	median := func(url string) (time.Duration, error) {
		times, err := each(n, 1, new(atomic.Int64), func(int) error { return t.call(ctx, url) })
		slices.Sort(times)
		return percentile(times, 50), err
	}
	direct, err := median(t.direct)
	invoke, err2 := median(t.invoke)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	began := time.Now()
	times, err := each(t.f.executions, t.f.concurrency, done, func(int) error { return t.call(ctx, t.invoke) })
	result.Function = &functionResult{
		PerSecond: round(float64(t.f.executions) / time.Since(began).Seconds()),
		Processes: t.manager.List()[0].Processes,
		Overhead:  millis(invoke - direct), Invoke: millis(invoke), Direct: millis(direct),
	}
	return times, err
}

func (t *functionTarget) describe(r *benchResult) {
	r.Store, r.Fsyncs = "none", 0
	// The figures of executions are those of calls, without the ones made to compare.
	r.ExecutionsPerS, r.TransitionsPerS, r.StepsPerS = r.Function.PerSecond, 0, r.Function.PerSecond
	r.Seconds = round(float64(r.Executions) / r.Function.PerSecond)
}

func (t *functionTarget) close() {
	for _, s := range t.servers {
		_ = s.Close()
	}
	if t.manager != nil {
		_ = t.manager.Close()
	}
	_ = os.RemoveAll(t.dir)
}
