package mcp

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// What waits for work ends when its time is over, when the server stops and when
// the client leaves; it is not late for work that comes, not even for a task
// whose back-off ends without a sound.
func TestAwait(t *testing.T) {
	f := func(name string, play func(t *testing.T, d *Door, who *caller, person control.Call, stop, leave func()), want string, after time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := memory.New()
				bell := feed.NewBell(&storetest.Direct{Store: st})
				board, err := control.New(st, bell, control.Config{})
				if err != nil {
					t.Fatal(err)
				}
				sys := control.Call{Workspace: "w", By: control.System, At: time.Now()}
				_, owner, err := board.CreateWorkspace(t.Context(), sys, "W", "owner")
				if err != nil {
					t.Fatal(err)
				}
				person := control.Call{Workspace: "w", By: control.User(owner.ID), At: time.Now()}
				if _, err := board.CreateProject(t.Context(), person, control.NewProject{Key: "WEB"}); err != nil {
					t.Fatal(err)
				}
				a, err := board.CreateAgent(t.Context(), person, control.NewAgent{Slug: "writer", Projects: []string{"WEB"}})
				if err != nil {
					t.Fatal(err)
				}
				stopping, stop := context.WithCancel(t.Context())
				gone, leave := context.WithCancel(t.Context())
				defer stop()
				defer leave()
				d := New(Config{Board: board, Bell: bell, Stopping: stopping, Log: slog.New(slog.DiscardHandler)})
				who := &caller{control.Call{Workspace: "w", By: control.AgentParty(a.ID), At: time.Now()}, a, gone}
				begin := time.Now()
				go play(t, d, who, person, stop, leave)
				got, why, err := d.await(t.Context(), who, "", mostWait)
				if err != nil {
					t.Fatal(err)
				}
				if got != nil {
					why = got.Task.Key
				}
				if took := time.Since(begin); why != want || took < after || took > after+look {
					t.Errorf("%q after %v, want %q after %v", why, took, want, after)
				}
			})
		})
	}
	create := func(t *testing.T, d *Door, person control.Call) *control.Task {
		person.At = time.Now()
		task, err := d.cfg.Board.CreateTask(t.Context(), person, control.NewTask{Project: "WEB", Title: "one"})
		if err != nil {
			t.Error(err)
		}
		return task
	}
	f("time", func(*testing.T, *Door, *caller, control.Call, func(), func()) {}, "no_task", mostWait)
	f("stop", func(_ *testing.T, _ *Door, _ *caller, _ control.Call, stop, _ func()) {
		time.Sleep(time.Second)
		stop()
	}, "no_task", time.Second)
	f("leave", func(t *testing.T, d *Door, _ *caller, person control.Call, _, leave func()) {
		time.Sleep(time.Second)
		leave()
		create(t, d, person) // for somebody else
	}, "no_task", time.Second)
	f("work", func(t *testing.T, d *Door, _ *caller, person control.Call, _, _ func()) {
		time.Sleep(20 * time.Second)
		create(t, d, person)
	}, "WEB-1", 20*time.Second)
	f("back-off", func(t *testing.T, d *Door, who *caller, person control.Call, _, _ func()) {
		task := create(t, d, person)
		got, err := d.cfg.Board.Claim(t.Context(), who.now(), task.ID)
		if err == nil {
			_, err = d.cfg.Board.Fail(t.Context(), who.now(), task.ID, got.LeaseToken, control.Failure{Category: "agent", Message: "m", Retryable: true})
		}
		if err != nil {
			t.Error(err)
		}
	}, "WEB-1", 30*time.Second)
}
