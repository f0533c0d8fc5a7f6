package feed_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

func TestBell(t *testing.T) {
	bell := feed.NewBell(&storetest.Direct{Store: memory.New()})
	var any, one, other <-chan struct{}
	listen := func() { any, one, other = bell.Next(), bell.Of("agent/1"), bell.Of("agent/2") }
	heard := func(what string, wantAny, wantOne, wantOther bool, rung int64) {
		t.Helper()
		f := func(name string, rings <-chan struct{}, want bool) {
			t.Helper()
			got := false
			select {
			case <-rings:
				got = true
			default:
			}
			if got != want {
				t.Errorf("%s: who waits for %s hears it: %v", what, name, got)
			}
		}
		f("anything", any, wantAny)
		f("agent 1", one, wantOne)
		f("agent 2", other, wantOther)
		if got := bell.Rung(); got != rung {
			t.Errorf("%s: it has rung %d times, want %d", what, got, rung)
		}
	}
	write := func(err error, topics ...string) {
		t.Helper()
		got := bell.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			if topics != nil {
				if _, err := tx.AddEvent(ctx, store.Event{Type: "wakeup.queued", Topics: topics, Data: []byte("{}")}); err != nil {
					return err
				}
			}
			return err
		})
		if !errors.Is(got, err) {
			t.Errorf("Write returns %v, want %v", got, err)
		}
	}
	listen()
	write(nil)
	heard("a write without an event", false, false, false, 0)
	write(errors.ErrUnsupported, "agent/1")
	heard("a write that is undone", false, false, false, 0)
	write(nil, "project/9", "agent/1")
	heard("an event of agent 1", true, true, false, 1)
	listen()
	write(nil, "project/9")
	heard("an event of a project", true, false, false, 2)
	bell.Ring()
	heard("a ring", true, true, true, 3)
}
