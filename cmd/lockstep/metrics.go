package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/fn"
	"github.com/lockstep-run/lockstep/internal/retention"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task/model"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// metrics serves counts in Prometheus' text format. A dozen numbers that exist
// already need no library: the format is a line each.
type metrics struct {
	executions *executionCounts
	tokens     *tokenCounts
	worker     *worker.Worker
	express    *express.Runner
	store      store.Store
	functions  *fn.Manager
	sweeper    *retention.Sweeper
}

// executionCounts counts executions as their commits become durable.
type executionCounts struct {
	started atomic.Int64
	ended   [engine.Aborted + 1]atomic.Int64 // by status; that of Running stays 0
}

// tokenCounts counts what models have used, by provider and ModelId.
type tokenCounts struct {
	mu sync.Mutex
	by map[[2]string]*model.Tokens
}

// maxModels bounds how many models are counted apart: a ModelId may be anything.
const maxModels = 500

// add is the models' Config.Used.
func (c *tokenCounts) add(u model.Usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{u.Provider, u.Model}
	t := c.by[key]
	if t == nil {
		if len(c.by) >= maxModels {
			key[1] = "other"
		}
		if c.by == nil {
			c.by = map[[2]string]*model.Tokens{}
		}
		if t = c.by[key]; t == nil {
			t = &model.Tokens{}
			c.by[key] = t
		}
	}
	t.Input += u.Input
	t.CacheRead += u.CacheRead
	t.CacheWrite5m += u.CacheWrite5m
	t.CacheWrite1h += u.CacheWrite1h
	t.Output += u.Output
}

func (c *tokenCounts) write(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(c.by), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		t := c.by[key]
		for _, kind := range []struct {
			name string
			n    int64
		}{{"input", t.Input}, {"cache_read", t.CacheRead}, {"cache_write_5m", t.CacheWrite5m}, {"cache_write_1h", t.CacheWrite1h}, {"output", t.Output}} {
			fmt.Fprintf(w, "lockstep_model_tokens_total{provider=%q,model=%q,kind=%q} %d\n", key[0], key[1], kind.name, kind.n)
		}
	}
}

// committed is the worker's Config.Committed.
func (c *executionCounts) committed(x *store.ExecutionCommit) {
	if x.New != nil {
		c.started.Add(1)
	}
	if x.Delta.Status != engine.Running {
		c.ended[x.Delta.Status].Add(1)
	}
}

func (m metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m.write(w)
}

func (m metrics) write(w io.Writer) {
	family := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	one := func(name, kind, help string, value any) {
		family(name, kind, help)
		fmt.Fprintf(w, "%s %v\n", name, value)
	}
	work, more, kept := m.worker.Stats(), m.express.Stats(), m.store.Stats()
	one("lockstep_executions_started_total", "counter", "Executions started.", m.executions.started.Load())
	family("lockstep_executions_ended_total", "counter", "Executions ended, by status.")
	for s := engine.Succeeded; s <= engine.Aborted; s++ {
		fmt.Fprintf(w, "lockstep_executions_ended_total{status=%q} %d\n", s.String(), m.executions.ended[s].Load())
	}
	one("lockstep_executions_removed_total", "counter", "Executions removed when their retention was over.", m.sweeper.Removed())
	one("lockstep_executions_live", "gauge", "Executions held in memory; others wait on disk.", work.Live+more.Live)
	one("lockstep_transitions_total", "counter", "States entered.", work.Transitions+more.Transitions)
	one("lockstep_tasks_total", "counter", "Calls of services begun.", work.Tasks+more.Tasks)
	var calls, failed int64
	processes := 0
	for _, f := range m.functions.List() {
		calls, failed, processes = calls+f.Invocations, failed+f.Errors, processes+f.Processes
	}
	one("lockstep_function_calls_total", "counter", "Calls of functions that this server runs.", calls)
	one("lockstep_function_errors_total", "counter", "Those of them that failed.", failed)
	one("lockstep_function_processes", "gauge", "Processes of functions.", processes)
	family("lockstep_model_tokens_total", "counter", "Tokens that models have used, by provider, ModelId and kind.")
	m.tokens.write(w)
	one("lockstep_store_commits_total", "counter", "Transactions committed.", kept.Commits)
	one("lockstep_store_syncs_total", "counter", "Times the disk was asked to make writes durable.", kept.Syncs)
	one("lockstep_store_written_bytes_total", "counter", "Bytes written to the store's log.", kept.Bytes)

	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b := readBuild()
	family("lockstep_build_info", "gauge", "Always 1; the labels say which build this is.")
	fmt.Fprintf(w, "lockstep_build_info{version=%q,commit=%q,goversion=%q} 1\n", b.Version, b.Commit, b.Go)
	one("go_goroutines", "gauge", "Goroutines.", runtime.NumGoroutine())
	one("go_memstats_heap_alloc_bytes", "gauge", "Bytes of heap in use.", mem.HeapAlloc)
	one("go_memstats_sys_bytes", "gauge", "Bytes taken from the system.", mem.Sys)
	one("go_gc_cycles_total", "counter", "Garbage collections.", mem.NumGC)
	one("go_memstats_alloc_bytes_total", "counter", "Bytes ever allocated.", mem.TotalAlloc)
}
