package mcp_test

import (
	"slices"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/lockstep-run/lockstep/internal/control"
)

// BenchmarkProgress is task_progress over HTTP, over the store in memory: what
// the door itself costs.
func BenchmarkProgress(b *testing.B) {
	w := start(b)
	a := w.worker("writer")
	w.task(control.NewTask{Title: "one", Assignee: "@writer"})
	lease := a.ok("task_claim", fields{"task": "WEB-1"})["lease"]
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		res, err := a.session.CallTool(b.Context(), &sdk.CallToolParams{Name: "task_progress", Arguments: fields{"task": "WEB-1", "lease": lease, "percent": 50}})
		if err != nil || res.IsError {
			b.Fatal(res, err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}
