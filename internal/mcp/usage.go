package mcp

import (
	"context"
	"encoding/json"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/spend"
)

// usageKept is the answer to usage_report.
type usageKept struct {
	next
	Duplicate bool     `json:"duplicate,omitempty"` // it was reported before; nothing was changed
	Counted   bool     `json:"counted"`
	BilledUSD float64  `json:"billed_usd"`
	Task      string   `json:"task,omitempty"` // whom it is put down to
	Marks     []string `json:"marks,omitempty"`
}

// usageReport keeps what an agent says that it has used. It is put down to the
// attempt that it names, to the task's, or to what the agent holds.
func (d *Door) usageReport(ctx context.Context, who *caller, in usageArgs) (*usageKept, error) {
	if in.Key == "" || len(in.Key) > 200 {
		return nil, invalid("an idempotency_key has 1 to 200 bytes")
	}
	tokens, err := json.Marshal(map[string]int64{
		"input": in.Input, "cache_read": in.CacheRead, "cache_write_5m": in.CacheWrite5m, "cache_write_1h": in.CacheWrite1h,
		"output": in.Output, "reasoning": in.Reasoning,
	})
	if err != nil {
		return nil, err
	}
	results, err := d.cfg.Usage.Report(ctx, who.Call, []spend.Report{{
		Key: in.Key, Task: in.Task, Attempt: in.Attempt, Provider: in.Provider, Model: in.Model,
		Format: cost.Disjoint, Usage: tokens, Cost: in.ReportedUSD,
	}})
	if err != nil {
		return nil, err
	}
	r := results[0]
	if r.Error != "" {
		return nil, invalid("%s", r.Error)
	}
	return &usageKept{
		next: next{"go on"}, Duplicate: r.Status == "duplicate", Counted: r.Counted, Marks: r.Marks, BilledUSD: float64(r.Billed) / 1e9, Task: r.Task,
	}, nil
}
