package health_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/quiet"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// world is a board with an agent, whose work is watched.
type world struct {
	*testing.T
	store *memory.Store
	bell  *feed.Bell
	board *control.Board
	mu    sync.Mutex // one write at a time
	at    time.Time
}

var ctx = context.Background()

func open(t *testing.T) *world {
	w := &world{T: t, store: memory.New(), at: time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC)}
	w.bell = feed.NewBell(w)
	var err error
	if w.board, err = control.New(w.store, w.bell, control.Config{}); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.board.CreateWorkspace(ctx, control.Call{Workspace: "local", By: control.System, At: w.at}, "Local", "ann")
	w.must(err)
	ann, err := w.board.User(ctx, w.as(control.System), "ann")
	w.must(err)
	_, err = w.board.CreateProject(ctx, w.as(control.User(ann.ID)), control.NewProject{Key: "WEB"})
	w.must(err)
	_, err = w.board.CreateAgent(ctx, w.as(control.System), control.NewAgent{Slug: "writer", Projects: []string{"WEB"}})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) Write(ctx context.Context, do func(context.Context, store.Tx) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &store.Commit{Writes: []store.Write{{Do: do}}}
	if err := w.store.Commit(ctx, c); err != nil {
		return err
	}
	return c.Writes[0].Err
}

func (w *world) as(p control.Party) control.Call {
	return control.Call{Workspace: "local", By: p, At: w.at}
}

func (w *world) writer() control.Party {
	w.Helper()
	a, err := w.board.Agent(ctx, w.as(control.System), "writer")
	w.must(err)
	return control.AgentParty(a.ID)
}

// work has the agent do a task and hand a text in.
func (w *world) work(text string) {
	w.Helper()
	agent := w.writer()
	t, err := w.board.CreateTask(ctx, w.as(control.System), control.NewTask{Project: "WEB", Title: "work", Assignee: agent, ReviewMode: control.ReviewNone})
	w.must(err)
	got, err := w.board.Claim(ctx, w.as(agent), t.ID)
	w.must(err)
	w.at = w.at.Add(time.Minute)
	_, err = w.board.Submit(ctx, w.as(agent), t.ID, got.LeaseToken, control.Submission{Output: []byte(text)})
	w.must(err)
}

// watch runs a Health until stop.
func (w *world) watch() (h *health.Health, stop func()) {
	h = health.New(health.Config{Workspace: "local", Store: w.store, Write: w.bell.Write, Rings: w.bell.Next, Now: func() time.Time { return w.at }, Log: slog.New(slog.DiscardHandler)})
	h.Connect(w.board)
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- h.Run(running) }()
	return h, func() {
		w.Helper()
		cancel()
		w.must(<-done)
	}
}

// seen waits until so much of the agent's work is known.
func (w *world) seen(h *health.Health, today, before int) health.Report {
	w.Helper()
	_, id := w.writer().Split()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		r, err := h.Agent(ctx, id)
		w.must(err)
		if len(r.Figures) > 0 && r.Figures[0].Sample == today && r.Figures[0].Before == before {
			return r
		}
	}
	w.Fatalf("%d and %d pieces of work never came", today, before)
	return health.Report{}
}

func (w *world) told() (list []string) {
	w.Helper()
	all, _, err := w.board.Feed(ctx, control.Call{By: control.System}, 0, 1<<20)
	w.must(err)
	for _, e := range all {
		if e.Type == "agent.quiet_failure" || e.Type == "agent.quiet_failure_over" {
			line := fmt.Sprint(e.Type, " ", e.Data["figure"])
			if e.Notify != nil {
				line += fmt.Sprintf(" to %d", len(e.Notify.To))
			}
			list = append(list, line)
		}
	}
	return list
}

// TestAgentTurnsQuiet: an agent that begins to hand in nothing is noticed, once,
// also when the server was restarted meanwhile.
func TestAgentTurnsQuiet(t *testing.T) {
	w := open(t)
	for day := range 6 {
		w.at = time.Date(2026, 11, 12+day, 9, 0, 0, 0, time.UTC)
		for range 12 {
			w.work(`{"text":"as it should be"}`)
		}
	}
	h, stop := w.watch()
	w.seen(h, 12, 60)
	stop()
	if got := w.told(); len(got) != 0 {
		t.Fatalf("told %v", got)
	}

	w.at = time.Date(2026, 11, 18, 9, 0, 0, 0, time.UTC)
	h, stop = w.watch()
	for range 15 {
		w.work(`{}`)
	}
	w.seen(h, 15, 72)
	stop() // all of it is kept, with the place in the feed
	h, stop = w.watch()
	w.seen(h, 15, 72)
	for range 15 {
		w.work(`{}`)
	}
	r := w.seen(h, 30, 72)
	if r.Figures[0].Figure != quiet.Empty || !r.Figures[0].Out || r.Figures[0].Now != 1 || len(r.Alerts) != 1 || r.Alerts[0].Figure != quiet.Empty {
		t.Errorf("%+v", r)
	}
	stop()
	h, stop = w.watch()
	if r := w.seen(h, 30, 72); len(r.Alerts) != 1 || !r.Figures[0].Out {
		t.Errorf("after a restart: %+v", r)
	}
	stop()
	if got := fmt.Sprint(w.told()); got != "[agent.quiet_failure empty_rate to 1]" {
		t.Errorf("told %s", got)
	}
}

// TestCrash: what was not kept when a process died is read again, once.
func TestCrash(t *testing.T) {
	w := open(t)
	h, stop := w.watch()
	w.work(`{"a":1}`)
	w.seen(h, 1, 0)
	stop()
	for range 3 { // processes that die before they keep anything
		dying := health.New(health.Config{Workspace: "local", Store: w.store, Rings: w.bell.Next, Log: slog.New(slog.DiscardHandler),
			Write: func(context.Context, func(context.Context, store.Tx) error) error { return context.Canceled }})
		running, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- dying.Run(running) }()
		w.seen(dying, 1, 0)
		cancel()
		<-done
	}
	w.work(`{"a":2}`)
	h, stop = w.watch()
	w.seen(h, 2, 0)
	stop()
}

func TestStates(t *testing.T) {
	w := open(t)
	h, stop := w.watch()
	h.Outcome(health.Outcome{Machine: "nightly", State: "Rate", Output: `{"a":1}`, Took: time.Second})
	h.Outcome(health.Outcome{Machine: "nightly", State: "Rate", Refused: true, Failed: true})
	h.Outcome(health.Outcome{Machine: "nightly", State: "Rate", Failed: true}) // that is loud
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if r, err := h.State(ctx, "nightly", "Rate"); err != nil || len(r.Figures) > 0 && r.Figures[0].Sample == 2 {
			w.must(err)
			break
		}
	}
	stop()
	h, stop = w.watch()
	defer stop()
	for end := time.Now().Add(time.Minute); len(h.States("nightly")) == 0 && time.Now().Before(end); {
	}
	if got := h.States("nightly"); len(got) != 1 || got[0] != "Rate" {
		t.Errorf("states %v", got)
	}
}
