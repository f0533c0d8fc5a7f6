package mcp

import (
	"context"
	"math"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
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
	e := ledger.Event{
		Source: "agent/" + who.agent.ID, Key: in.Key, Run: "", Rank: cost.AgentReport, At: who.At,
		Place: cost.Place{Agent: who.agent.ID}, Provider: in.Provider, Model: in.Model,
		Tokens: cost.Tokens{Input: in.Input, CacheRead: in.CacheRead, CacheWrite5m: in.CacheWrite5m, CacheWrite1h: in.CacheWrite1h, Output: in.Output, Reasoning: in.Reasoning},
	}
	if in.ReportedUSD != nil {
		usd := *in.ReportedUSD
		if !(usd >= 0 && usd <= 1_000_000) {
			return nil, invalid("reported_cost_usd is an amount from 0 to 1,000,000")
		}
		nano := int64(math.Round(usd * 1e9))
		e.Reported = &nano
	}
	t, err := d.attribute(ctx, who, in, &e)
	if err != nil {
		return nil, err
	}
	if err := e.Check(); err != nil {
		return nil, invalid("%v", err)
	}
	if err := e.Tokens.Check(); err != nil {
		return nil, invalid("%v", err)
	}
	kept, err := d.cfg.Usage.Record(ctx, []ledger.Event{e})
	if err != nil {
		return nil, err
	}
	k := kept[0]
	out := &usageKept{next: next{"go on"}, Duplicate: k.Duplicate, Counted: k.Counted, Marks: k.Marks.Names(), BilledUSD: float64(k.Billed) / 1e9}
	if t != nil {
		out.Task = t.Key
	}
	return out, nil
}

// attribute says whom usage is put down to, and returns the task if there is
// one.
func (d *Door) attribute(ctx context.Context, who *caller, in usageArgs, e *ledger.Event) (*control.Task, error) {
	b := d.cfg.Board
	place := func(task, attempt string) (*control.Task, error) {
		t, err := b.Task(ctx, who.Call, task)
		if err == nil {
			e.Task, e.Attempt, e.Project, e.Labels = t.ID, attempt, t.Project, t.Labels[:min(len(t.Labels), 20)]
		}
		return t, err
	}
	switch {
	case in.Attempt != "":
		a, err := b.Attempt(ctx, who.Call, in.Attempt)
		if err != nil {
			return nil, err
		}
		if a.By != who.By {
			return nil, &control.Error{Code: control.Forbidden, Message: "that is another's attempt"}
		}
		return place(a.Task, a.ID)
	case in.Task != "":
		a, err := b.LastAttempt(ctx, who.Call, in.Task)
		if err != nil {
			return nil, err
		}
		return place(a.Task, a.ID)
	}
	holds, err := b.Holds(ctx, who.Call)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	newest := holds[0]
	for _, h := range holds {
		if h.AttemptID > newest.AttemptID { // ids sort by when they were made
			newest = h
		}
	}
	return place(newest.Task.ID, newest.AttemptID)
}
