package sqlite

import (
	"context"
	"fmt"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
)

// manyUsages makes usage of 20 models by 50 agents on 500 tasks in 20 machines
// over 90 days.
func manyUsages(from, count int) []store.Usage {
	list := make([]store.Usage, count)
	for i := range list {
		n := from + i
		list[i] = store.Usage{
			Source: "engine", Key: fmt.Sprintf("execution-%d/1@k", n), Run: fmt.Sprintf("execution-%d/1", n), Rank: 3, At: int64(n) * 1000, Day: int64(20260100 + n/100_000%9*100 + n/1000%28 + 1),
			Provider: "anthropic", Model: fmt.Sprintf("model-%d", n%20), Agent: fmt.Sprintf("agent-%d", n%50), Task: fmt.Sprintf("W-%d", n%500),
			Machine: fmt.Sprintf("machine-%d", n%20), State: "Ask", Execution: fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:machine-%d:%d", n%20, n),
			Billing: "metered", Labels: []string{"a"}, Input: 1000, Output: 100, Computed: 1, Billed: 1, Shadow: 1, Price: "0123456789ab", Counted: true,
		}
	}
	return list
}

// BenchmarkUsages keeps a million events in batches of 500, then asks for sums.
func BenchmarkUsages(b *testing.B) {
	const many, batch = 1_000_000, 500
	for b.Loop() {
		s, err := Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		begin := b.Elapsed()
		for n := 0; n < many; n += batch {
			c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error { return tx.AddUsages(ctx, manyUsages(n, batch)) }}}}
			if err := s.Commit(ctx, c); err != nil || c.Writes[0].Err != nil {
				b.Fatal(err, c.Writes[0].Err)
			}
		}
		kept := b.Elapsed()
		b.ReportMetric(float64((kept-begin).Microseconds())/many, "µs/event")
		for _, by := range []string{"all", "model", "agent", "task"} {
			asked := b.Elapsed()
			for range 10 {
				if _, err := s.UsageSums(ctx, store.SumQuery{By: by, To: 99999999, Limit: 100}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((b.Elapsed()-asked).Microseconds())/10, "µs/sums-by-"+by)
		}
		asked := b.Elapsed()
		for range 10 {
			if _, err := s.UsageOf(ctx, "agent", "agent-7", 20260301, 20260331); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((b.Elapsed()-asked).Microseconds())/10, "µs/budget")
		s.Close()
	}
}
