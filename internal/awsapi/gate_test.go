package awsapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		entered := 0
		enter := func(ctx context.Context, n int) {
			go func() {
				if err := g.enter(ctx, n); err == nil {
					entered++
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		check := func(want int) {
			t.Helper()
			synctest.Wait()
			if entered != want {
				t.Errorf("%d are inside or were, want %d", entered, want)
			}
		}
		ctx := t.Context()
		enter(ctx, gateSize/2)
		enter(ctx, gateSize/2)
		check(2)
		leaving, cancel := context.WithCancel(ctx)
		enter(leaving, gateSize)
		enter(ctx, 1)
		check(2) // nobody overtakes
		cancel()
		synctest.Wait()
		g.leave(gateSize / 2)
		check(3)
		g.leave(gateSize / 2)
		enter(ctx, 2*gateSize)
		check(3)
		g.leave(1)
		check(4) // too large for the gate: alone
		g.leave(2 * gateSize)
		if g.inside != 0 || len(g.waiting) != 0 {
			t.Errorf("%d bytes inside, %d waiting", g.inside, len(g.waiting))
		}
	})
}
