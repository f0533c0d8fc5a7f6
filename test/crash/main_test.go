// Package crash treats the built binary badly and looks at what it kept: it is
// killed, the power goes, the disk fills up, and callers send rubbish. The tests
// speak the AWS API to it over HTTP as any client does.
//
// They are a module of their own, since the file system that forgets what was
// not synced needs a library that the product does not.
package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	kills   = flag.Int("kills", 5, "how often TestKill kills the server")
	cuts    = flag.Int("cuts", 5, "how often TestPowerCut cuts the power")
	waiting = flag.Int("waiting", 2000, "how many executions wait in TestWaiting; its limits are checked from 100000")
	rows    = flag.Int("rows", 50_000, "how many rows TestMapRun has; its limits are checked from 1000000")
	bad     = flag.Int("bad", 60, "how often TestBadInput sends each bad request")
	seed    = flag.Uint64("seed", 0, "where chance comes from; 0: from the clock")
	binary  = flag.String("binary", "", "the `program` to test; default: build ./cmd/lockstep")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	code, err := withBinary(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withBinary builds the program that the tests run, for as long as run runs.
func withBinary(run func() int) (int, error) {
	if *binary != "" {
		return run(), nil
	}
	dir, err := os.MkdirTemp("", "lockstep-crash-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "lockstep")
	build := exec.Command("go", "build", "-o", *binary, "./cmd/lockstep")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build lockstep: %w\n%s", err, out)
	}
	return run(), nil
}

// newRand is a source of chance for one part of a test. The seed is in the
// message of a test that fails.
func newRand(t *testing.T, part uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("chance came from -seed=%d; what the system scheduled when did not", *seed)
		}
	})
	return rand.New(rand.NewPCG(*seed, part))
}

// testContext ends shortly before the test's deadline, so that there is time to
// end processes and to unmount.
func testContext(t *testing.T) context.Context {
	ctx := t.Context()
	if at, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, at.Add(-15*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}

// pause waits for d, or less if ctx ends; then it returns false.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
