package control

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Reach is how an agent is to be reached, for Connect.
type Reach struct {
	Runtime    string          // openclaw, claude_code, codex, http or custom; "": as it is
	Connection json.RawMessage // shown to whoever may see the agent: no secrets
	Push       bool            // wakeups are delivered to it; else it fetches them
	// Private says that Connection leads to this machine or a private network,
	// which takes an owner.
	Private bool
}

// Connect says how an agent is reached. What waits for it goes that way from
// then on.
func (b *Board) Connect(ctx context.Context, c Call, agent string, in Reach) (*Agent, error) {
	return write(ctx, b, c, "connect", func(x *op) (*Agent, error) {
		a, err := x.agent(agent)
		if err != nil {
			return nil, err
		}
		if err := x.needManage(a); err != nil {
			return nil, err
		}
		if in.Private {
			if err := x.need("", "own"); err != nil {
				return nil, err
			}
		}
		if err := x.same(a); err != nil {
			return nil, err
		}
		if a.Admin == Retired {
			return nil, refuse(AgentNotActive, map[string]any{"admin": a.Admin}, "@%s is retired", a.Slug)
		}
		if in.Runtime != "" {
			if !slices.Contains(runtimes, in.Runtime) {
				return nil, invalid("there is no runtime %q", in.Runtime)
			}
			a.Runtime = in.Runtime
		}
		a.Connection, a.Push = in.Connection, in.Push
		x.put(a)
		x.touchAgent(a.ID)
		return a, x.emit(Event{Type: "agent.connected", Agent: a.ID, Data: map[string]any{"runtime": a.Runtime, "push": a.Push}})
	})
}

// Pushed lists the agents of all workspaces that wakeups are delivered to, but
// for retired ones.
func (b *Board) Pushed(ctx context.Context) ([]*Agent, error) {
	x := b.view(ctx, Call{})
	var all []*Agent
	q := store.Prefix("agent", "slug/", 500)
	for {
		page, err := query[Agent](x, q)
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			if a.Push && a.Admin != Retired {
				all = append(all, a)
			}
		}
		if len(page) < q.Limit {
			return all, nil
		}
		last := page[len(page)-1]
		q.From, q.AfterID = last.keys()[0], last.ID
	}
}

// LeaseOf reports whether an agent, by id, holds the lease of a task, and where
// that stands.
func (b *Board) LeaseOf(ctx context.Context, c Call, agent, task string) (bool, State, error) {
	x := b.view(ctx, c)
	t, err := x.task(task)
	if err != nil {
		return false, "", err
	}
	l, err := x.lease(t)
	if err != nil {
		return false, "", err
	}
	return t.State == InProgress && l != nil && l.Holder == AgentParty(agent), t.State, nil
}

// RunEnded says that the run in which an agent, by id, works on a task has
// ended with an error and that the agent cannot say so itself. The attempt
// fails, and the task is tried again while it may be. It changes nothing if the
// agent does not hold the lease.
func (b *Board) RunEnded(ctx context.Context, c Call, agent, task string, in Failure) error {
	_, err := write(ctx, b, c, "run_ended", func(x *op) (struct{}, error) {
		if x.By != System {
			return struct{}{}, refuse(Forbidden, nil, "only the server says how a run has ended")
		}
		t, err := x.task(task)
		if err != nil {
			return struct{}{}, err
		}
		l, err := x.lease(t)
		if err != nil || t.State != InProgress || l == nil || l.Holder != AgentParty(agent) {
			return struct{}{}, err
		}
		return struct{}{}, x.failed1(t, Fail, "failed", &ErrorRecord{Category: in.Category, Code: in.Code, Message: in.Message, Retryable: in.Retryable, Detail: in.Detail})
	})
	return err
}

// MayConnect refuses a caller who may not say how agents are reached; private as
// in Reach.
func (b *Board) MayConnect(ctx context.Context, c Call, private bool) error {
	what := "manage"
	if private {
		what = "own"
	}
	return b.view(ctx, c).need("", what)
}
