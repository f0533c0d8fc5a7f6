package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDisk looks at the disk itself: what was synced survives a cut, and without
// torn pages nothing else does.
func TestDisk(t *testing.T) {
	d := mountDisk(t)
	d.torn = false
	name := filepath.Join(d.dir, "a")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	syncs := func(f *os.File) {
		t.Helper()
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Repeat("kept ", 2000))
	syncs(f)
	write("lost")
	dir, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	syncs(dir)
	dir.Close()
	f.Close()
	if err := os.WriteFile(filepath.Join(d.dir, "b"), []byte("nobody synced its name"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.cut(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != strings.Repeat("kept ", 2000) {
		t.Errorf("after the cut: %d bytes ending in %.20q, %v", len(got), got[max(0, len(got)-8):], err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "b")); !os.IsNotExist(err) {
		t.Errorf("a name that was not synced survived: %v", err)
	}
}

// TestPowerCut cuts the power while the server works: the process ends, and so
// does whatever it had written and not synced. What it had promised must hold.
func TestPowerCut(t *testing.T) {
	ctx := testContext(t)
	outside, end := context.WithCancel(ctx)
	defer end()
	d := mountDisk(t)
	l := newLoad(outside, t, d.dir)
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
	for range *cuts {
		l.cutOnce(ctx, t, d, moments)
	}
	calm()
	l.mustHold(ctx, t, end)
	t.Logf("%d syncs, %d pages lost or torn", d.syncs, d.lost)
	if d.lost == 0 && *cuts >= 5 {
		t.Error("no cut hit anything: is the disk between the server and its files?")
	}
}

func (l *load) cutOnce(ctx context.Context, t *testing.T, d *disk, moments *rand.Rand) {
	t.Helper()
	if !pause(ctx, time.Duration(20+moments.IntN(700))*time.Millisecond) {
		t.Fatal("no time left")
	}
	l.srv.kill()
	for {
		d.torn = moments.IntN(4) > 0
		if err := d.cut(); err != nil {
			t.Fatal(err)
		}
		if moments.IntN(5) > 0 {
			break
		}
		if err := l.start(ctx); err != nil { // once more while it recovers
			t.Fatal(err)
		}
		pause(ctx, time.Duration(moments.IntN(20))*time.Millisecond)
		l.srv.kill()
	}
	if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
		t.Fatal(err)
	}
}

// TestPowerCutIsNoticed takes the sync of the log away, as a server would that
// does not wait for it: promises must turn out broken. So we know that
// TestPowerCut is looking.
func TestPowerCutIsNoticed(t *testing.T) {
	ctx := testContext(t)
	outside, end := context.WithCancel(ctx)
	defer end()
	d := mountDisk(t)
	d.torn = false
	l := newLoad(outside, t, d.dir)
	if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	d.lie("-wal")
	trouble, calm := context.WithCancel(ctx)
	defer calm()
	l.begin(trouble)
	l.awaitWork(ctx, t)
	l.srv.kill()
	if err := errors.Join(d.cut(), l.srv.startReady(ctx, l.endpoint())); err != nil {
		t.Fatal(err)
	}
	calm()
	if err := l.drain(ctx, end); err != nil {
		t.Fatal(err)
	}
	broken, err := l.check(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"acknowledged start is lost", "a function was called for"} {
		if !strings.Contains(strings.Join(broken, "\n"), sign) {
			t.Errorf("no %q among the %d promises broken:\n%s", sign, len(broken), firstOf(broken, 10))
		}
	}
}

// awaitWork waits until some starts were acknowledged and functions called.
func (l *load) awaitWork(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		l.mu.Lock()
		enough := len(l.starts) > 100 && len(l.calls) > 50
		l.mu.Unlock()
		if enough {
			return
		}
		if !pause(ctx, 10*time.Millisecond) {
			t.Fatal("nothing happens")
		}
	}
}

// TestFailedSync has the disk refuse to sync, which leaves nobody knowing what it
// holds: the server ends by itself, and what it had promised holds when it is
// started again.
func TestFailedSync(t *testing.T) {
	ctx := testContext(t)
	outside, end := context.WithCancel(ctx)
	defer end()
	d := mountDisk(t)
	l := newLoad(outside, t, d.dir)
	if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	trouble, calm := context.WithCancel(ctx)
	defer calm()
	l.begin(trouble)
	l.awaitWork(ctx, t)
	d.refuseSyncs(true)
	select {
	case <-l.srv.exited:
	case <-ctx.Done():
		t.Fatal("the server goes on although the disk does not sync")
	}
	if got := l.srv.cmd.ProcessState.ExitCode(); got != 3 {
		t.Errorf("the server ended with %d, want 3", got)
	}
	d.refuseSyncs(false)
	if err := errors.Join(d.cut(), l.srv.startReady(ctx, l.endpoint())); err != nil {
		t.Fatal(err)
	}
	l.awaitWork(ctx, t)
	calm()
	l.mustHold(ctx, t, end)
}
