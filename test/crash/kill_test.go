package crash

import (
	"context"
	"testing"
	"time"
)

// TestKill kills the server at moments of chance while it works, some of them
// while it still recovers. What it had promised must hold.
func TestKill(t *testing.T) {
	ctx := testContext(t)
	outside, end := context.WithCancel(ctx)
	defer end()
	l := newLoad(outside, t, t.TempDir())
	if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	trouble, calm := context.WithCancel(ctx)
	defer calm()
	l.begin(trouble)
	moments := newRand(t, 2)
	for range *kills {
		if !pause(ctx, time.Duration(20+moments.IntN(700))*time.Millisecond) {
			t.Fatal("no time left")
		}
		l.srv.kill()
		for moments.IntN(5) == 0 { // again while it recovers
			if err := l.start(ctx); err != nil {
				t.Fatal(err)
			}
			pause(ctx, time.Duration(moments.IntN(20))*time.Millisecond)
			l.srv.kill()
		}
		if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
			t.Fatal(err)
		}
	}
	calm()
	l.mustHold(ctx, t, end)
}

// mustHold lets all executions end and fails the test if a promise was broken.
func (l *load) mustHold(ctx context.Context, t *testing.T, end context.CancelFunc) {
	t.Helper()
	if err := l.drain(ctx, end); err != nil {
		t.Fatal(err)
	}
	broken, err := l.check(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d processes, %s; %s", l.srv.starts.Load(), l.srv.restarts(), l.summary())
	if len(broken) > 0 {
		t.Errorf("%d promises were broken:\n%s", len(broken), firstOf(broken, 20))
	}
}
