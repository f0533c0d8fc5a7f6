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

// modelCosts puts what models are used for into the ledger. The book is there
// before the first call.
type modelCosts struct{ book *ledger.Ledger }

// add is the models' Config.Used. The key has the task and the time: the same
// call is kept once, however often it is written, while a call that is made again
// after a crash, which is paid for again, is kept again and marked as repeated.
func (c *modelCosts) add(u model.Usage) {
	c.book.Note(ledger.Event{
		Source: "engine", Key: u.ID + "@" + strconv.FormatInt(u.At.UnixNano(), 36), Run: u.ID, Rank: cost.Plugin, At: u.At,
		Place:    cost.Place{Machine: lastPart(u.MachineARN), State: u.State, Execution: u.ExecutionARN},
		Provider: u.Provider, Model: u.Served, Billing: cost.Billing(u.Billing),
		Tokens: cost.Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Output: u.Output},
	})
}

// lastPart is the name that an ARN ends in.
func lastPart(text string) string {
	name, ok := arn.Parse(text)
	if !ok || len(name.Parts) == 0 {
		return text
	}
	return name.Parts[0]
}

// flush keeps what is left when the worker has ended: nobody else commits then.
func (c *modelCosts) flush(ctx context.Context, st store.Store) error {
	if c.book == nil {
		return nil
	}
	return c.book.Flush(ctx, func(ctx context.Context, do func(context.Context, store.Tx) error) error {
		commit := &store.Commit{Writes: []store.Write{{Do: do}}}
		if err := st.Commit(ctx, commit); err != nil {
			return err
		}
		return commit.Writes[0].Err
	})
}
