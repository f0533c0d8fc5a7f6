package boardapi_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// counted counts writes.
type counted struct {
	control.Writer
	n atomic.Int64
}

func (c *counted) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	c.n.Add(1)
	return c.Writer.Write(ctx, do)
}

// What is due is done at its time, and a board where nothing happens rests.
func TestRunSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		st := memory.New()
		writes := &counted{Writer: &storetest.Direct{Store: st}}
		api, err := boardapi.New(ctx, boardapi.Config{Store: st, Bell: feed.NewBell(writes), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- api.Run(ctx) }()

		b := api.Board()
		call := control.Call{Workspace: "local", By: control.System, At: time.Now()}
		u, err := b.User(ctx, call, "local")
		if err != nil {
			t.Fatal(err)
		}
		call.By = control.User(u.ID)
		if _, err := b.CreateProject(ctx, call, control.NewProject{Key: "WEB"}); err != nil {
			t.Fatal(err)
		}
		a, err := b.CreateAgent(ctx, call, control.NewAgent{Slug: "writer", Projects: []string{"WEB"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.CreateTask(ctx, call, control.NewTask{Project: "WEB", Title: "T"}); err != nil {
			t.Fatal(err)
		}
		agent := call
		agent.By = control.AgentParty(a.ID)
		claim, err := b.Claim(ctx, agent, "WEB-1")
		if err != nil {
			t.Fatal(err)
		}
		f := func(after time.Duration, want control.State) {
			t.Helper()
			time.Sleep(time.Until(call.At.Add(after)))
			synctest.Wait()
			got, err := b.Task(ctx, call, "WEB-1")
			if err != nil || got.State != want {
				t.Errorf("after %v the task is %s (%v), want %s", after, got.State, err, want)
			}
		}
		lease := claim.LeaseExpiresAt.Sub(call.At)
		f(lease-time.Millisecond, control.InProgress)
		f(lease+time.Millisecond, control.Assigned)

		time.Sleep(2 * time.Hour)
		before := writes.n.Load()
		time.Sleep(time.Hour)
		if n := writes.n.Load() - before; n > 70 {
			t.Errorf("%d writes in an hour in which nothing happens", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// An agent that waits has its task again as soon as the back-off after a failure
// is over, and not when its poll ends.
func TestBackOffEndsAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		st := memory.New()
		bell := feed.NewBell(&storetest.Direct{Store: st})
		api, err := boardapi.New(ctx, boardapi.Config{Store: st, Bell: bell, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- api.Run(ctx) }()
		b := api.Board()
		call := func(by control.Party) control.Call { return control.Call{Workspace: "local", By: by, At: time.Now()} }
		u, err := b.User(ctx, call(control.System), "local")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.CreateProject(ctx, call(control.User(u.ID)), control.NewProject{Key: "WEB"}); err != nil {
			t.Fatal(err)
		}
		a, err := b.CreateAgent(ctx, call(control.User(u.ID)), control.NewAgent{Slug: "writer", Projects: []string{"WEB"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.CreateTask(ctx, call(control.User(u.ID)), control.NewTask{Project: "WEB", Title: "T", Assignee: control.AgentParty(a.ID)}); err != nil {
			t.Fatal(err)
		}
		agent := control.AgentParty(a.ID)
		if _, err := b.Fetch(ctx, call(agent)); err != nil {
			t.Fatal(err)
		}
		claim, err := b.Claim(ctx, call(agent), "WEB-1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Fail(ctx, call(agent), "WEB-1", claim.LeaseToken, control.Failure{Category: "agent", Message: "no", Retryable: true}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for {
			rings := bell.Of("agent/" + a.ID)
			o, err := b.Fetch(ctx, call(agent))
			if err != nil {
				t.Fatal(err)
			}
			if o != nil {
				break
			}
			<-rings
		}
		if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("it is offered again after %v", took)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
