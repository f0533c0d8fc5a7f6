package crash

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk lets the disk fill up while the server works: callers get errors,
// reads go on, and when there is room again everything continues, without a
// restart. What had been promised must hold.
func TestFullDisk(t *testing.T) {
	t.Run("fuse", func(t *testing.T) {
		d := mountDisk(t)
		testFull(t, d.dir, func() error { d.fill(); return nil }, func() error { d.free(); return nil })
		t.Logf("%d writes refused", d.full)
	})
	t.Run("tmpfs", func(t *testing.T) {
		dir := mountTmpfs(t)
		ballast := filepath.Join(dir, "ballast")
		testFull(t, dir, func() error { return writeUntilFull(ballast) }, func() error { return os.Remove(ballast) })
	})
}

// mountTmpfs mounts a file system of 64 MiB for as long as the test runs.
func mountTmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("crash", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func writeUntilFull(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; block = block[:len(block)/2] {
		for err == nil {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		err = nil
	}
	return nil
}

func testFull(t *testing.T, dir string, fill, free func() error) {
	ctx := testContext(t)
	outside, end := context.WithCancel(ctx)
	defer end()
	l := newLoad(outside, t, dir)
	if err := l.srv.startReady(ctx, l.endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	trouble, calm := context.WithCancel(ctx)
	defer calm()
	l.begin(trouble)
	for range 3 {
		pause(ctx, 500*time.Millisecond)
		if err := fill(); err != nil {
			t.Fatal(err)
		}
		refused := l.awaitStart(ctx, t, func(err error) bool { return err != nil })
		var r *refusal
		if !errors.As(refused, &r) || r.status != http.StatusServiceUnavailable && r.status != http.StatusInternalServerError {
			t.Errorf("a start with the disk full: %v", refused)
		}
		pause(ctx, 700*time.Millisecond) // results and timers come meanwhile
		l.reads(ctx, t)
		if err := free(); err != nil {
			t.Fatal(err)
		}
		l.awaitStart(ctx, t, func(err error) bool { return err == nil })
		if !l.srv.alive() {
			t.Fatal("the server ended")
		}
	}
	calm()
	l.mustHold(ctx, t, end)
	if n := l.srv.starts.Load(); n != 1 {
		t.Errorf("%d processes", n)
	}
}

// awaitStart starts executions until one has the outcome that is waited for.
func (l *load) awaitStart(ctx context.Context, t *testing.T, is func(error) bool) error {
	t.Helper()
	for {
		s := l.newStart(false)
		arn, err := l.startOnce(ctx, s, s.input)
		l.mu.Lock()
		s.arn = arn
		l.mu.Unlock()
		if is(err) {
			return err
		}
		if !pause(ctx, 5*time.Millisecond) {
			t.Fatalf("no such outcome; the last was %v", err)
		}
	}
}

// reads checks that the server answers what needs no room.
func (l *load) reads(ctx context.Context, t *testing.T) {
	t.Helper()
	l.mu.Lock()
	arn := ""
	for _, s := range l.starts {
		if s.arn != "" {
			arn = s.arn
			break
		}
	}
	l.mu.Unlock()
	for _, action := range []string{"DescribeExecution", "GetExecutionHistory"} {
		if err := l.api.call(ctx, action, fields{"executionArn": arn}, nil); err != nil {
			t.Errorf("%s with the disk full: %v", action, err)
		}
	}
	if err := l.api.call(ctx, "ListExecutions", fields{"stateMachineArn": l.machines["lambda"]}, nil); err != nil {
		t.Errorf("ListExecutions with the disk full: %v", err)
	}
	for _, page := range []string{"/healthz", "/metrics"} {
		if status, _, err := get(ctx, l.srv.base()+page); err != nil || status != http.StatusOK {
			t.Errorf("%s with the disk full: %d, %v", page, status, err)
		}
	}
}
