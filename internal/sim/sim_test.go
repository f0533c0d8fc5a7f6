package sim

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this world only, and tell what happens in it")
	seeds   = flag.Uint64("seeds", 2000, "number of worlds")
)

const workers = 2

// each calls f with the seeds from 1 to n, two at a time, until one fails.
func each(n uint64, f func(seed uint64) error) error {
	var next atomic.Uint64
	var failed atomic.Bool
	errs := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for seed := next.Add(1); seed <= n && !failed.Load(); seed = next.Add(1) {
				if errs[i] = f(seed); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func TestSim(t *testing.T) {
	if *oneSeed != 0 {
		out, err := Run(*oneSeed, Options{Trace: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", out.History)
		return
	}
	n := *seeds
	if testing.Short() {
		n = min(n, 300)
	}
	var executions, crashes, commits, kept, removed, redrives, runs atomic.Int64
	err := each(n, func(seed uint64) error {
		out, err := Run(seed, Options{})
		executions.Add(int64(out.Executions))
		crashes.Add(int64(out.Crashes))
		commits.Add(int64(out.Commits))
		kept.Add(int64(out.Kept))
		removed.Add(int64(out.Removed))
		redrives.Add(out.Redrives)
		runs.Add(int64(out.MapRuns))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d worlds: %d executions, %d commits, %d crashes, %d results kept, %d executions removed, %d redrives, %d Map Runs",
		n, executions.Load(), commits.Load(), crashes.Load(), kept.Load(), removed.Load(), redrives.Load(), runs.Load())
	if n >= 300 && (removed.Load() == 0 || redrives.Load() == 0 || runs.Load() == 0) {
		t.Error("nothing was removed, nothing redriven, or no Map Run begun")
	}
	if n >= 300 && kept.Load() == 0 {
		t.Error("no result was too large for a payload")
	}
}

// Seeds that found a bug once are run for ever.
func TestSeeds(t *testing.T) {
	files, err := filepath.Glob("testdata/seeds/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			word, about, _ := strings.Cut(strings.TrimSpace(line), " ")
			if word == "" || word == "#" {
				continue
			}
			seed, err := strconv.ParseUint(word, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if _, err := Run(seed, Options{}); err != nil {
				t.Errorf("%s (%s)", err, about)
			}
		}
	}
}

func TestSameBytes(t *testing.T) {
	run := func(seed uint64, o Options) []byte {
		t.Helper()
		out, err := Run(seed, o)
		if err != nil {
			t.Fatal(err)
		}
		return out.History
	}
	for seed := uint64(1); seed <= 100; seed++ {
		if !bytes.Equal(run(seed, Options{}), run(seed, Options{})) {
			t.Fatalf("seed %d gave other bytes the second time", seed)
		}
	}
}

func TestSQLite(t *testing.T) {
	n := uint64(40)
	if testing.Short() {
		n = 10
	}
	for seed := uint64(1); seed <= n; seed++ {
		want, err := Run(seed, Options{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		got, err := Run(seed, Options{Open: func() (store.Store, error) { return sqlite.Open(dir) }})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.History, want.History) {
			t.Fatalf("seed %d: on SQLite the histories are\n%s\nin memory\n%s", seed, got.History, want.History)
		}
	}
}
