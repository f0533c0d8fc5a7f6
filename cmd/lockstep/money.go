package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/gate"
)

// ledger makes what keeps costs, and what puts them down to work. They write
// through the bell, which is there before either does.
func (a *assembly) ledger(ctx context.Context) (err error) {
	a.costs, err = ledger.Open(ctx, ledger.Config{Store: a.store, Write: a.ring, Log: a.set.log,
		Kept: func(ctx context.Context, tx store.Tx, list []store.Usage) error { return a.spend.Kept(ctx, tx, list) }})
	if err != nil {
		return err
	}
	a.spend = spend.New(spend.Config{
		Ledger: a.costs, Workspace: "local", Scheme: a.set.scheme, Write: a.ring, Rings: func() <-chan struct{} { return a.bell.Next() }, Log: a.set.log,
	})
	return nil
}

// ring writes through the bell.
func (a *assembly) ring(ctx context.Context, do func(context.Context, store.Tx) error) error {
	return a.bell.Write(ctx, do)
}

// mailServer is the configuration's, with its password.
func mailServer(c *config.SMTP) (*notify.Mail, error) {
	if c == nil {
		return nil, nil
	}
	m := &notify.Mail{Address: c.Address, From: c.From, User: c.User, Security: c.Security}
	if c.Password != "" {
		var err error
		if m.Password, err = readReference(c.Password); err != nil {
			return nil, fmt.Errorf("notifications.smtp: %w", err)
		}
	}
	return m, nil
}

// watchTasks makes what notices quiet failures, and has it told how tasks end.
func (a *assembly) watchTasks() {
	a.health = health.New(health.Config{Workspace: "local", Store: a.store, Write: a.bell.Write, Rings: a.bell.Next, Log: a.set.log})
}

// taskEnded is told how each task ends.
func (a *assembly) taskEnded(c *task.Call, result task.Result, err error, took time.Duration) {
	var failed *task.Error
	a.health.Outcome(health.Outcome{
		Machine: machineIn(a.set.scheme, c.MachineARN), State: c.State, Output: result.Output, Took: took,
		Failed: err != nil, Refused: errors.As(err, &failed) && failed.Name != nil && *failed.Name == gate.Error,
	})
}

// notifier makes what tells people and webhooks of the board's events.
func (a *assembly) notifier() {
	a.notices = notices.New(notices.Config{
		Workspace: "local", Store: a.store, Write: a.bell.Write, Rings: a.bell.Next, Key: a.key, Client: a.outside, Check: a.policy.Check,
		Mail: a.set.mail, URL: a.publicURL, Log: a.set.log,
	})
	a.happened = append(a.happened, a.notices.Happened)
}
