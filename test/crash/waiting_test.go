package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	waitingRSS   = 200             // MiB
	waitingReady = 2 * time.Second // from start to ready
)

// TestWaiting has many executions wait for a task token: they cost disk and not
// memory, and the server is ready again soon after a crash.
func TestWaiting(t *testing.T) {
	ctx := testContext(t)
	var calls atomic.Int64
	var first atomic.Value // a token
	functions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			var p payload
			json.Unmarshal(body, &p)
			first.Store(p)
		}
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(functions.Close)
	srv := newServer(t, t.TempDir(), "AWS_ENDPOINT_URL_LAMBDA="+functions.URL)
	api := newClient(srv.base)
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	startWaiting(ctx, t, api)
	for calls.Load() < int64(*waiting) {
		if !pause(ctx, 10*time.Millisecond) {
			t.Fatalf("%d of %d executions came to wait", calls.Load(), *waiting)
		}
	}
	loaded := time.Since(began)
	before := rss(t, srv)
	srv.kill()
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	ready := srv.restart[1]
	fresh := rss(t, srv)
	p := first.Load().(payload)
	if err := api.call(ctx, "SendTaskSuccess", fields{"taskToken": p.Token, "output": p.done(1)}, nil); err != nil {
		t.Errorf("answer one of them: %v", err)
	}
	var x executionItem
	if err := api.call(ctx, "DescribeExecution", fields{"executionArn": p.Execution}, &x); err != nil || x.Status != "SUCCEEDED" {
		t.Errorf("the execution that was answered is %s (%v)", x.Status, err)
	}
	repeated := calls.Load() - int64(*waiting)
	t.Logf("%d executions waiting, loaded in %v: RSS %.0f MiB; after kill: ready in %v, RSS %.0f MiB, %d calls repeated",
		*waiting, loaded.Round(time.Millisecond), before, ready.Round(time.Millisecond), fresh, repeated)
	if *waiting < 100_000 {
		return
	}
	if before > waitingRSS || fresh > waitingRSS {
		t.Errorf("RSS %.0f MiB, %.0f MiB after the restart, must be below %d", before, fresh, waitingRSS)
	}
	if ready > waitingReady {
		t.Errorf("ready after %v, must be within %v", ready, waitingReady)
	}
}

func rss(t *testing.T, srv *server) float64 { return memory(t, srv, "VmRSS") }

func memory(t *testing.T, srv *server, name string) float64 {
	t.Helper()
	mib, err := srv.memory(name)
	if err != nil {
		t.Skipf("skipped: cannot read a process's memory here: %v", err)
	}
	return mib
}

// startWaiting starts the executions, some at a time.
func startWaiting(ctx context.Context, t *testing.T, api *client) {
	t.Helper()
	in := fields{"name": "waiting", "roleArn": roleARN, "definition": machine("A", ask("A", ""))}
	var made struct{ StateMachineArn string }
	if err := api.call(ctx, "CreateStateMachine", in, &made); err != nil {
		t.Fatal(err)
	}
	var id, failed atomic.Int64
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for n := id.Add(1); n <= int64(*waiting); n = id.Add(1) {
				input := fmt.Sprintf(`{"id":%d,"n":0,"by":0}`, n)
				if err := api.insist(ctx, "StartExecution", fields{"stateMachineArn": made.StateMachineArn, "input": input}, nil); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		t.Fatalf("%d starts failed", n)
	}
}
