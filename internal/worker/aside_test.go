package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
)

const (
	quick = `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
	// It asks a few hundred times whether to go on.
	endless = `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Output":"{% ($f := function(){$f()}; $f()) %}"}}}`
	long    = `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Output":"{% $sum([1..200000].($ % 7)) %}"}}}`
)

// world is a worker over a store in memory whose rounds the test may call.
type world struct {
	*testing.T
	*Worker
	store *memory.Store
	ends  chan store.ExecutionCommit
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{T: t, store: memory.New(), ends: make(chan store.ExecutionCommit, 10)}
	cfg.Committed = func(c *store.ExecutionCommit) {
		if c.Delta.Status != engine.Running {
			w.ends <- *c
		}
	}
	var err error
	if w.Worker, err = New(t.Context(), w.store, task.NewRegistry(), cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// create keeps a machine without the worker being in motion.
func (w *world) create(name, definition string) store.Start {
	w.Helper()
	var m store.Machine
	c := store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name, Type: "STANDARD"}, store.Revision{Definition: definition, RoleARN: "arn:aws:iam::123456789012:role/r"})
		return err
	}}}}
	if err := errors.Join(w.store.Commit(w.Context(), &c), c.Writes[0].Err); err != nil {
		w.Fatal(err)
	}
	return store.Start{Machine: m, Revision: m.Current, Input: `{}`}
}

// run sets the worker in motion until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Worker.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			w.Error(err)
		}
	})
}

// occupy takes all slots, so that what leaves the round stays away until they
// are free.
func occupy() (free func()) {
	for range cap(slots) {
		slots <- struct{}{}
	}
	return func() {
		for range cap(slots) {
			<-slots
		}
	}
}

// An expression that takes long keeps nobody waiting, and its execution's
// other events wait for it.
func TestLongApplyLeavesTheRound(t *testing.T) {
	w := newWorld(t, Config{})
	slow, fast := w.create("slow", endless), w.create("fast", quick)
	w.run()
	free := occupy()
	slow.Name = "one"
	answered := make(chan error, 1)
	go func() {
		_, err := w.Start(t.Context(), slow)
		answered <- err
	}()
	for range 3 {
		if _, err := w.Start(t.Context(), fast); err != nil {
			t.Fatal(err)
		}
		if c := <-w.ends; c.Delta.Status != engine.Succeeded {
			t.Fatalf("status %v, and the long one cannot have ended", c.Delta.Status)
		}
	}
	select {
	case err := <-answered:
		t.Fatalf("answered before anything was durable: %v", err)
	default:
	}
	free()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	c := <-w.ends
	if c.Delta.Status != engine.Failed || !strings.Contains(*c.Delta.Cause, "Expression evaluation timeout") {
		t.Errorf("status %v, cause %v", c.Delta.Status, c.Delta.Cause)
	}
}

// The watchdog gives up what its counted limits would let go on.
func TestWatchdog(t *testing.T) {
	f := func(watchdog time.Duration, want engine.Status) {
		t.Helper()
		w := newWorld(t, Config{Watchdog: watchdog})
		s := w.create("long", long)
		w.run()
		if _, err := w.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if c := <-w.ends; c.Delta.Status != want {
			t.Errorf("with a watchdog of %v: %v, want %v", watchdog, c.Delta.Status, want)
		}
	}
	f(time.Nanosecond, engine.Failed)
	f(time.Hour, engine.Succeeded)
}

// What is being applied when its execution is dropped from memory is not kept.
func TestAbandonedApply(t *testing.T) {
	w := newWorld(t, Config{})
	w.beside = true
	var outcomes []error
	free := occupy()
	w.Begin(t.Context(), w.create("slow", endless), func(_ store.Execution, _ bool, err error) { outcomes = append(outcomes, err) })
	b := &Batch{}
	if w.Round(b) {
		t.Fatal("the round holds what is still being applied")
	}
	for _, x := range w.live {
		w.forget(x, nil)
	}
	free()
	w.asides.Wait()
	if w.Round(b) || len(w.live) != 0 {
		t.Error("the round took back what was abandoned")
	}
	if len(outcomes) != 1 || !errors.Is(outcomes[0], store.ErrNotFound) {
		t.Errorf("answers %v, want one: the execution is not there", outcomes)
	}
}
