package express_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// await runs an execution and returns its ARN and how it ended.
func await(ctx context.Context, r *express.Runner, s store.Start) (string, store.Execution, error) {
	var arn string
	s.ID, arn = r.Reserve(s.Machine.Name, s.Name)
	x, err := r.Sync(ctx, s)
	return arn, x, err
}

// begin starts an execution and returns its ARN and when that was.
func begin(r *express.Runner, s store.Start) (string, int64, error) {
	var arn string
	s.ID, arn = r.Reserve(s.Machine.Name, s.Name)
	at, err := r.Start(context.Background(), s)
	return arn, at, err
}

// world is a main store with its worker, over which runners come and go.
type world struct {
	t      *testing.T
	main   *memory.Store
	worker *worker.Worker
	tasks  *task.Registry
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, main: memory.New(), tasks: task.NewRegistry()}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if w.worker, err = worker.New(ctx, w.main, w.tasks, worker.Config{}); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- w.worker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return w
}

// open sets a runner in motion, until stop is called or the test ends.
func (w *world) open(change func(*express.Config)) (r *express.Runner, stop func()) {
	w.t.Helper()
	cfg := express.Config{Write: w.worker.Write, Retention: time.Minute}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := express.New(ctx, w.main, w.tasks, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return r, stop
}

// machine makes a machine and returns how it is started.
func (w *world) machine(name, definition string) store.Start {
	w.t.Helper()
	var m store.Machine
	err := w.worker.Write(context.Background(), func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name, Type: "EXPRESS"}, store.Revision{Definition: definition, RoleARN: "arn:aws:iam::1:role/r"})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return store.Start{Machine: m, Revision: m.Current, Name: "n", Input: `{"a":1}`}
}

// rows are those of executions that are to run again.
func (w *world) rows() (names []string) {
	w.t.Helper()
	list, err := w.main.Starts(context.Background(), 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names
}

const (
	fails = `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"Boom","Cause":"it went off"}}}`
	calls = `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}}`
	looks = `{"StartAt":"P","States":{"P":{"Type":"Pass","Parameters":{"x.$":"$$.Execution","in.$":"$"},"End":true}}}`
)

func waits(seconds int, more string) string {
	return fmt.Sprintf(`{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":%d,"End":true}}%s}`, seconds, more)
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func TestSync(t *testing.T) {
	w := newWorld(t)
	r, _ := w.open(nil)
	arns := map[string]bool{}
	f := func(s store.Start, want string) store.Execution {
		t.Helper()
		arn, x, err := await(t.Context(), r, s)
		if err != nil {
			t.Fatal(err)
		}
		const prefix = "arn:aws:states:us-east-1:123456789012:express:"
		if !strings.HasPrefix(arn, prefix+s.Machine.Name+":n:") || len(arn) != len(prefix)+len(s.Machine.Name)+3+36 || arns[arn] {
			t.Errorf("ARN %s", arn)
		}
		arns[arn] = true
		if got := fmt.Sprint(x.Status, " ", text(x.Error), " ", text(x.Cause)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if x.StoppedAt < x.StartedAt || x.Name != "n" {
			t.Errorf("record %+v", x)
		}
		return x
	}
	looking := w.machine("looks", looks)
	x := f(looking, "SUCCEEDED - -")
	if out := text(x.Output); !strings.Contains(out, `"in":{"a":1}`) || strings.Contains(out, "Redrive") || !strings.Contains(out, ":express:looks:n:") {
		t.Errorf("output %s", out)
	}
	f(looking, "SUCCEEDED - -") // a name may come twice
	f(w.machine("fails", fails), "FAILED Boom it went off")
	if rows := w.rows(); rows != nil {
		t.Errorf("rows of %v", rows)
	}
	gone := looking
	gone.Revision = 99
	if _, _, err := await(t.Context(), r, gone); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without a revision: %v", err)
	}
}

// An execution takes five minutes at most, whatever its machine says.
func TestTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.open(nil)
		f := func(name, definition string, want time.Duration) {
			t.Helper()
			began := time.Now()
			_, x, err := await(context.Background(), r, w.machine(name, definition))
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began).Round(time.Second); x.Status != engine.TimedOut || text(x.Error) != "States.Timeout" || took != want {
				t.Errorf("%s: %s with %s after %s, want %s", name, x.Status, text(x.Error), took, want)
			}
		}
		f("none", waits(3600, ""), 5*time.Minute)
		f("long", waits(3600, `,"TimeoutSeconds":3600`), 5*time.Minute)
		f("short", waits(3600, `,"TimeoutSeconds":10`), 10*time.Second)
	})
}

// A loop of states that need nothing outlives the limit of history that
// Standard executions have, and ends by its time; what is kept of it stays small.
func TestEndlessLoop(t *testing.T) {
	w := newWorld(t)
	r, _ := w.open(func(c *express.Config) { c.Limits.Duration = 300 * time.Millisecond })
	s := w.machine("loops", `{"StartAt":"C","States":{
		"C":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":2,"Next":"S"}],"Default":"P"},
		"P":{"Type":"Pass","Next":"C"},"S":{"Type":"Succeed"}}}`)
	_, x, err := await(t.Context(), r, s)
	if err != nil {
		t.Fatal(err)
	}
	if x.Status != engine.TimedOut {
		t.Errorf("it ended %s", x.Status)
	}
	bytes, last := 0, int64(0)
	if err := r.History(t.Context(), x.ID, 0, false, func(c engine.Chunk) bool {
		if c.First != last+1 {
			t.Errorf("a gap before event %d", c.First)
		}
		bytes, last = bytes+len(c.Data), c.First+c.Count-1
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if bytes > 1<<20 {
		t.Errorf("%d bytes of history are kept", bytes)
	}
}

func TestSyncEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.open(nil)
		s := w.machine("waits", waits(60, ""))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, _, err := await(ctx, r, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Sync returned %v", err)
		}
		synctest.Wait()
		list, err := r.Recent(context.Background(), store.ExecutionQuery{Machine: s.Machine.ID, Limit: 10})
		if err != nil || len(list) != 1 || list[0].Status != engine.Aborted {
			t.Errorf("recent: %+v, %v", list, err)
		}
		time.Sleep(2 * time.Minute) // longer than it is kept
		synctest.Wait()
		if list, _ := r.Recent(context.Background(), store.ExecutionQuery{Machine: s.Machine.ID, Limit: 10}); len(list) != 0 {
			t.Errorf("still there: %+v", list)
		}
	})
}

// taskFunc is a function that is an integration.
type taskFunc func(context.Context, *task.Call) (task.Result, error)

func (f taskFunc) Run(ctx context.Context, c *task.Call) (task.Result, error) { return f(ctx, c) }

// What was accepted runs until it has ended once, through as many processes as
// that takes, and not again.
func TestAtLeastOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var runs []string
		w.tasks.Add("lambda:invoke", taskFunc(func(ctx context.Context, c *task.Call) (task.Result, error) {
			runs = append(runs, c.ExecutionARN)
			if len(runs) < 3 {
				<-ctx.Done() // the process ends before the answer comes
				return task.Result{}, ctx.Err()
			}
			return task.Result{Output: `{}`}, nil
		}))
		s := w.machine("calls", calls)
		r, stop := w.open(nil)
		arn, started, err := begin(r, s)
		if err != nil {
			t.Fatal(err)
		}
		if rows := w.rows(); len(rows) != 1 {
			t.Fatalf("rows of %v when Start had returned", rows)
		}
		for range 3 {
			synctest.Wait()
			stop()
			time.Sleep(time.Minute)
			r, stop = w.open(nil)
		}
		synctest.Wait()
		if len(runs) != 3 || runs[0] != arn || runs[1] != arn || runs[2] != arn {
			t.Errorf("ran as %q, want three times %s", runs, arn)
		}
		if rows := w.rows(); rows != nil {
			t.Errorf("rows of %v after the end", rows)
		}
		if now, _, err := begin(r, s); err != nil || now == arn {
			t.Errorf("the next start: %s, %v", now, err)
		}
		if started != time.Now().Add(-3*time.Minute).UnixMilli() {
			t.Errorf("started at %d", started)
		}
	})
}

// A clock that was turned back gives no id for a second time.
func TestIDsAreAboveThoseThatWait(t *testing.T) {
	w := newWorld(t)
	w.tasks.Add("lambda:invoke", taskFunc(func(ctx context.Context, _ *task.Call) (task.Result, error) {
		<-ctx.Done()
		return task.Result{}, ctx.Err()
	}))
	s := w.machine("calls", calls)
	at := func(now time.Time) func(*express.Config) {
		return func(c *express.Config) { c.Now = func() time.Time { return now } }
	}
	start := func(now time.Time) {
		t.Helper()
		r, stop := w.open(at(now))
		if _, _, err := begin(r, s); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	start(time.Unix(2_000_000_000, 0))
	start(time.Unix(1_900_000_000, 0))
	if rows := w.rows(); len(rows) != 2 {
		t.Errorf("%d rows", len(rows))
	}
}

// An execution whose machine has gone cannot be run, and does not come back at
// every start.
func TestOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		err := w.worker.Write(context.Background(), func(ctx context.Context, tx store.Tx) error {
			return tx.KeepStarts(ctx, []store.ExpressStart{{ID: 7, Machine: 8, Revision: 9, Name: "orphan", Input: "{}"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.open(nil)
		time.Sleep(time.Second)
		if rows := w.rows(); rows != nil {
			t.Errorf("rows of %v", rows)
		}
	})
}

// Many starts share a commit, and so do the rows that go.
func TestStartsShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.open(nil)
		s := w.machine("passes", looks)
		before := w.main.Stats().Commits
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				if _, _, err := begin(r, s); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		if rows := w.rows(); rows != nil {
			t.Errorf("%d rows after the end", len(rows))
		}
		if commits := w.main.Stats().Commits - before; commits > 100 {
			t.Errorf("%d commits for 500 starts", commits)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.open(func(c *express.Config) { c.MaxRunning, c.MaxRetained, c.Retention = 10<<10, 64<<10, time.Hour })
		s := w.machine("waits", waits(60, ""))
		s.Input = `"` + strings.Repeat("x", 4<<10) + `"`
		begun := 0
		for range 5 {
			if _, _, err := begin(r, s); err == nil {
				begun++
			} else if !errors.Is(err, store.ErrBusy) {
				t.Error(err)
			}
		}
		if begun != 1 && begun != 2 {
			t.Errorf("%d executions under way", begun)
		}
		time.Sleep(2 * time.Minute)
		passes := w.machine("passes", looks)
		passes.Input = s.Input
		for range 10 { // there is room again
			if _, _, err := await(context.Background(), r, passes); err != nil {
				t.Fatal(err)
			}
		}
		list, err := r.Recent(context.Background(), store.ExecutionQuery{Machine: passes.Machine.ID, Limit: 100})
		if err != nil || len(list) < 1 || len(list) > 3 {
			t.Errorf("%d executions are kept, %v", len(list), err)
		}
	})
}
