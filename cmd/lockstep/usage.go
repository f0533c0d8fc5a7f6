package main

import (
	"context"
	"strconv"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task/model"
)

// usageOf is what the models tell of a call, for the ledger. The key has the task
// and the time: the same call is kept once, however often it is written, while a
// call that is made again after a crash, which is paid for again, is kept again
// and marked as repeated.
func usageOf(scheme arn.Scheme, u model.Usage) ledger.Event {
	return ledger.Event{
		Source: "engine", Key: u.ID + "@" + strconv.FormatInt(u.At.UnixNano(), 36), Run: u.ID, Rank: cost.Plugin, At: u.At,
		Place:    cost.Place{Machine: machineIn(scheme, u.MachineARN), State: u.State, Execution: u.ExecutionARN},
		Provider: u.Provider, Model: u.Served, Billing: cost.Billing(u.Billing),
		Tokens: cost.Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Output: u.Output},
	}
}

// machineIn is the machine's name in its ARN, as it is kept. The ARN may go on
// with a version.
func machineIn(scheme arn.Scheme, text string) string {
	name, ok := arn.Parse(text)
	if !ok {
		return text
	}
	return scheme.Kept(name.Account, name.Parts[0])
}

// commitTo writes past the worker.
func commitTo(st store.Store) ledger.Write {
	return func(ctx context.Context, do func(context.Context, store.Tx) error) error {
		commit := &store.Commit{Writes: []store.Write{{Do: do}}}
		if err := st.Commit(ctx, commit); err != nil {
			return err
		}
		return commit.Writes[0].Err
	}
}
