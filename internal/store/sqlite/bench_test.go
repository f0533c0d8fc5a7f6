//go:build unix

package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// sampleHistory makes a chunk about like the one of an execution that runs
// through count/2 states: its payloads differ, its names repeat.
func sampleHistory(r *rand.Rand, first, count int64) engine.Chunk {
	data := []byte{1}
	text := func(s string) {
		data = binary.AppendUvarint(data, uint64(len(s)))
		data = append(data, s...)
	}
	for i := range count {
		data = append(data, byte(i%40), 2, byte(r.IntN(20)), 3)
		text(fmt.Sprintf("State number %d", i/2))
		if i%2 == 0 {
			text(fmt.Sprintf(`{"orderId":"%08x","customer":{"name":"Customer %d","tier":"gold"},"items":[{"sku":"%06x","qty":%d},{"sku":"%06x","qty":%d}],"total":%d.%02d,"step":%d}`,
				r.Uint32(), r.IntN(10000), r.IntN(1<<24), r.IntN(9), r.IntN(1<<24), r.IntN(9), r.IntN(1000), r.IntN(100), i))
		}
	}
	return engine.Chunk{First: first, Count: count, Data: data}
}

// BenchmarkCommitNew keeps executions that start and end in one commit.
func BenchmarkCommitNew(b *testing.B) {
	const batch = 500
	s := openForBench(b)
	r := rand.New(rand.NewPCG(1, 1))
	samples := make([]engine.Chunk, 1000)
	for i := range samples {
		samples[i] = sampleHistory(r, 1, 22)
	}
	output := `{"ok":true,"charge":"ch_1231291283","total":12.44}`
	id := store.ExecutionID(0)
	c := &store.Commit{Executions: make([]store.ExecutionCommit, batch)}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		for i := range c.Executions {
			id++
			c.Executions[i] = store.ExecutionCommit{
				ID: id,
				New: &store.NewExecution{
					Machine: 1, Revision: 1, Name: fmt.Sprintf("generated-name-%012d", id), Generated: true, StartedAt: 1767225600000,
					Input: `{"orderId":"0a1b2c3d","customer":{"name":"Customer 77","tier":"gold"},"items":[{"sku":"00aabb","qty":1}]}`,
				},
				Delta: engine.Delta{Status: engine.Succeeded, StoppedAt: 1767225600009, Output: &output, History: samples[id%1000]},
			}
		}
		commitForBench(b, s, c)
	}
	report(b, s, batch, cpuTime()-cpu)
}

// BenchmarkCommitUpdate keeps a step of executions in the midst of their
// tasks: first one that has the next task dispatched, then one that waits with
// another due time, then their end and start.
func BenchmarkCommitUpdate(b *testing.B) {
	output := `{"ok":true}`
	f := func(name string, delta func(version int64) engine.Delta) {
		b.Run(name, func(b *testing.B) { benchmarkUpdate(b, delta) })
	}
	f("dispatch", func(int64) engine.Delta { return engine.Delta{Pending: true} })
	f("timeout", func(version int64) engine.Delta {
		return engine.Delta{Pending: true, Due: 1767225600000 + version*1000}
	})
	f("wait", func(version int64) engine.Delta {
		return engine.Delta{Pending: version%2 == 0, Due: 1767225600000 * (version % 2)}
	})
	f("end", func(version int64) engine.Delta {
		if version%2 == 0 {
			return engine.Delta{Pending: true}
		}
		return engine.Delta{Status: engine.Succeeded, StoppedAt: 1767225600000, Output: &output}
	})
}

func benchmarkUpdate(b *testing.B, delta func(version int64) engine.Delta) {
	const batch, population = 50, 2000
	s := openForBench(b)
	r := rand.New(rand.NewPCG(1, 1))
	samples := make([]engine.Chunk, 1000)
	for i := range samples {
		samples[i] = sampleHistory(r, 1, 5)
	}
	head := make([]byte, 200)
	sample := func(n int, version int64) engine.Delta {
		d := delta(version)
		d.Head, d.History = head, samples[n%1000]
		return d
	}
	start := &store.Commit{}
	for n := range population {
		start.Executions = append(start.Executions, store.ExecutionCommit{
			ID:    store.ExecutionID(n + 1),
			New:   &store.NewExecution{Machine: 1, Revision: 1, Name: fmt.Sprintf("generated-name-%012d", n), Generated: true, Input: `{"a":1}`},
			Delta: sample(n, 0),
		})
	}
	commitForBench(b, s, start)
	turn := 0
	c := &store.Commit{Executions: make([]store.ExecutionCommit, batch)}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		for i := range c.Executions {
			n := turn*batch + i
			version := int64(n/population + 1)
			c.Executions[i] = store.ExecutionCommit{ID: store.ExecutionID(n%population + 1), Version: version, Delta: sample(n, version)}
		}
		turn++
		commitForBench(b, s, c)
	}
	report(b, s, batch, cpuTime()-cpu)
}

// BenchmarkRemove removes executions that have ended after three commits.
func BenchmarkRemove(b *testing.B) {
	const batch, population = 50, 20_000
	s := openForBench(b)
	r := rand.New(rand.NewPCG(1, 1))
	output := `{"ok":true}`
	last, next := store.ExecutionID(0), store.ExecutionID(1)
	fill := func() {
		for first := last + 1; last < first+population-1; {
			c := &store.Commit{}
			for range 500 {
				last++
				started := &store.NewExecution{Machine: 1, Revision: 1, Name: fmt.Sprint("order-", last), StartedAt: 1767225600000, Input: `{"order":1}`}
				c.Executions = append(c.Executions,
					store.ExecutionCommit{ID: last, New: started, Delta: engine.Delta{Pending: true, History: sampleHistory(r, 1, 5)}},
					store.ExecutionCommit{ID: last, Version: 1, Delta: engine.Delta{Pending: true, History: sampleHistory(r, 6, 5)}},
					store.ExecutionCommit{ID: last, Version: 2, Delta: engine.Delta{Status: engine.Succeeded, StoppedAt: 1767225600009, Output: &output, History: sampleHistory(r, 11, 5)}})
			}
			commitForBench(b, s, c)
		}
	}
	b.ReportAllocs()
	var used time.Duration
	var written int64
	for b.Loop() {
		if next > last {
			b.StopTimer()
			fill()
			b.StartTimer()
		}
		cpu, bytes := cpuTime(), s.Stats().Bytes
		c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error {
			for range batch {
				if err := tx.RemoveExecution(ctx, next, 1767225700000); err != nil {
					return err
				}
				next++
			}
			return nil
		}}}}
		commitForBench(b, s, c)
		if err := c.Writes[0].Err; err != nil {
			b.Fatal(err)
		}
		used += cpuTime() - cpu
		written += s.Stats().Bytes - bytes
	}
	n := float64(b.N * batch)
	b.ReportMetric(float64(used.Nanoseconds())/n, "cpu-ns/execution")
	b.ReportMetric(float64(written)/n, "logB/execution")
}

func openForBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func commitForBench(b *testing.B, s *Store, c *store.Commit) {
	b.Helper()
	if err := s.Commit(context.Background(), c); err != nil {
		b.Fatal(err)
	}
	for _, x := range c.Executions {
		if x.Err != nil {
			b.Fatal(x.ID, x.Err)
		}
	}
}

// report gives the wall clock, which waits for the disk, and the CPU time,
// which is what a busy machine has too little of.
func report(b *testing.B, s *Store, batch int, cpu time.Duration) {
	n := float64(b.N * batch)
	b.ReportMetric(n/b.Elapsed().Seconds(), "executions/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/execution")
	b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/execution")
	b.ReportMetric(float64(s.Stats().Bytes)/n, "logB/execution")
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
