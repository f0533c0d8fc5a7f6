package binding

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Whatever a state passes is either refused or can be put on the board.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		`{"Project":"WEB","Title":"T","BudgetUsd":0.5,"DueInSeconds":60,"Reviewers":["a"],"Input":[1]}`,
		`{"Project":"WEB","Title":"T","BudgetUsd":1e-999999999,"MaxAttempts":1e2}`, `{"project":"WEB","Title":"\u0000"}`,
		`{"Project":"WEB","Title":"T","Payload":null,"Choices":["a"],"RequiredApprovals":1.0}`, `[]`, `{"Project":"WEB","Title":"T","Title":2}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, input string, review bool) {
		if value.Valid(input) != nil {
			return // the engine passes JSON
		}
		r := asl.Resource{Kind: asl.IntegrationResource, Service: "agent", Action: "runTask", Pattern: asl.Sync}
		if review {
			r.Service, r.Action = "review", "request"
		}
		p, err := parse(&task.Call{Input: input, Resource: r, Token: "secret"})
		if err != nil {
			return
		}
		if p.Project == "" || p.Title == "" || nano(p.BudgetUsd) < 0 || p.DueInSeconds < 0 {
			t.Errorf("%s passes as %+v", input, p)
		}
	})
}

// Ids and cursors that somebody made up lead nowhere.
func FuzzCallbackID(f *testing.F) {
	f.Add("cb-1-2-3")
	f.Add("cb--1-2-3")
	f.Add(cursor{Machine: "m", Before: 3}.String())
	f.Fuzz(func(t *testing.T, text string) {
		if x, id, err := parseCallbackID(text); err == nil && callbackID(x, id) != text {
			t.Errorf("%q is read as %s", text, callbackID(x, id))
		}
		c := NewCallbacks(nowhere{}, nil)
		if _, _, err := c.List(context.Background(), text, 10); err != nil && err != ErrCursor {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// nowhere has no executions.
type nowhere struct{}

func (nowhere) Machine(context.Context, string) (store.Machine, error) {
	return store.Machine{}, store.ErrNotFound
}
func (nowhere) Machines(context.Context, string, int) ([]store.Machine, error) { return nil, nil }
func (nowhere) Executions(context.Context, store.ExecutionQuery) ([]store.Execution, error) {
	return nil, nil
}
func (nowhere) OpenMapRuns(context.Context, store.MapRunID, int) ([]store.MapRun, error) {
	return nil, nil
}

func TestMoney(t *testing.T) {
	f := func(usd string, want int64, back string) {
		t.Helper()
		if n := nano(json.Number(usd)); n != want || string(costOf(n)) != back {
			t.Errorf("%s is %d nano-USD, which is %s", usd, n, costOf(n))
		}
	}
	f("0.5", 500_000_000, "0.5")
	f("0.000000001", 1, "0.000000001")
	f("12", 12_000_000_000, "12")
	f("0", 0, "0")
	f("1e-999", 0, "0")
}

func costOf(n int64) json.Number { return usd(n) }
