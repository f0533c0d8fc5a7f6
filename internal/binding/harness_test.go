package binding_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/binding"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// world is a worker and a board in motion over a store, in a synctest bubble.
type world struct {
	*testing.T
	*control.Board
	worker    *worker.Worker
	store     store.Store
	callbacks *binding.Callbacks
	stop      func()

	user   control.Party
	agents map[string]control.Party

	mu     sync.Mutex
	events []control.Event

	lastReview string // the newest one's id
}

const tenant = "local"

// open puts a world together over a store; what is there goes on.
func open(t *testing.T, st store.Store) *world {
	w := &world{T: t, store: st, agents: map[string]control.Party{}}
	ctx, cancel := context.WithCancel(context.Background())
	tasks := task.NewRegistry()
	var b *binding.Binding
	var err error
	w.worker, err = worker.New(ctx, st, tasks, worker.Config{
		WaitEnded: func(ctx context.Context, tx store.Tx, x store.ExecutionID, t engine.TaskID, why string) error {
			return b.WaitEnded(ctx, tx, x, t, why)
		},
		Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b = binding.New(binding.Config{Workspace: tenant, Engine: w.worker, Write: w.worker.Write, URL: func() string { return "http://board" }})
	for _, r := range binding.Resources {
		tasks.Add(r, b)
	}
	tasks.Add("lambda:invoke", silent{})
	w.Board, err = control.New(st, w.worker, control.Config{Happened: func(ctx context.Context, tx store.Tx, e *control.Event) error {
		w.mu.Lock()
		w.events = append(w.events, *e)
		if e.Type == "review.created" {
			w.lastReview = e.Review
		}
		w.mu.Unlock()
		return b.Happened(ctx, tx, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Connect(w.Board)
	w.callbacks = binding.NewCallbacks(st, w.worker)
	ran := make(chan error, 1)
	go func() { ran <- w.worker.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return w
}

// silent is a task that is answered by token.
type silent struct{}

func (silent) Run(context.Context, *task.Call) (task.Result, error) {
	return task.Result{Output: "{}"}, nil
}

// test runs do in a world with a project WEB and the agents writer and editor.
func test(t *testing.T, do func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := open(t, memory.New())
		defer func() { w.stop(); st(w).Close() }()
		w.fill()
		do(w)
	})
}

func st(w *world) store.Store { return w.store }

func (w *world) fill() {
	w.Helper()
	_, u, err := w.CreateWorkspace(w.Context(), w.system(), "Local", "ana")
	w.must(err)
	w.user = control.User(u.ID)
	_, err = w.CreateProject(w.Context(), w.as(w.user), control.NewProject{Key: "WEB", Name: "Web"})
	w.must(err)
	for _, slug := range []string{"writer", "editor"} {
		a, err := w.CreateAgent(w.Context(), w.as(w.user), control.NewAgent{Slug: slug, Projects: []string{"WEB"}, Slots: 50})
		w.must(err)
		w.agents[slug] = control.AgentParty(a.ID)
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) as(p control.Party) control.Call {
	return control.Call{Workspace: tenant, By: p, At: time.Now()}
}

func (w *world) system() control.Call { return w.as(control.System) }

// start begins an execution of a definition.
func (w *world) start(definition, input string) store.ExecutionID {
	w.Helper()
	var m store.Machine
	name := fmt.Sprintf("m%x", sha256.Sum256([]byte(definition)))
	w.must(w.worker.Write(w.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		if m, err = tx.Machine(ctx, name); err == nil {
			return nil
		}
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name, Type: "STANDARD"}, store.Revision{Definition: definition})
		return err
	}))
	x, err := w.worker.Start(w.Context(), store.Start{Machine: m, Revision: m.Current, Input: input})
	w.must(err)
	synctest.Wait()
	return x.ID
}

// machine is a definition of one task with its fields.
func machine(fields string) string {
	return `{"StartAt":"Draft","States":{"Draft":{"Type":"Task",` + fields + `,"End":true}}}`
}

const runTask = `"Resource":"arn:aws:states:::agent:runTask.sync","Parameters":{"Project":"WEB","Title":"Draft the page","Assignee":"@writer","Input.$":"$"}`

// task is the one with a key.
func (w *world) task(key string) *control.Task {
	w.Helper()
	t, err := w.Task(w.Context(), w.as(w.user), key)
	w.must(err)
	return t
}

// tasks lists those of an execution, all for "".
func (w *world) tasks(execution string) []control.TaskRow {
	w.Helper()
	all, _, err := w.Tasks(w.Context(), w.as(w.user), control.TaskQuery{Project: "WEB", Execution: execution, Page: control.Page{Limit: 100}})
	w.must(err)
	return all
}

// claim makes an agent begin a task and returns the lease's token.
func (w *world) claim(slug, key string) string {
	w.Helper()
	got, err := w.Claim(w.Context(), w.as(w.agents[slug]), key)
	w.must(err)
	synctest.Wait()
	return got.LeaseToken
}

func (w *world) submit(slug, key, lease, output string) {
	w.Helper()
	_, err := w.Submit(w.Context(), w.as(w.agents[slug]), key, lease, control.Submission{Summary: "as asked", Output: json.RawMessage(output)})
	w.must(err)
	synctest.Wait()
}

// review is the pending one.
func (w *world) review() *control.Review {
	w.Helper()
	inbox, _, err := w.ReviewInbox(w.Context(), w.as(w.user), control.Page{Limit: 10})
	w.must(err)
	if len(inbox) != 1 {
		w.Fatalf("%d reviews wait, want 1", len(inbox))
	}
	return inbox[0].Review
}

func (w *world) decide(in control.Decision) error {
	w.Helper()
	_, err := w.Decide(w.Context(), w.as(w.user), w.review().ID, in)
	synctest.Wait()
	return err
}

// execution reads one that is to have a status.
func (w *world) execution(id store.ExecutionID, want engine.Status) store.Execution {
	w.Helper()
	synctest.Wait()
	x, err := w.store.Execution(w.Context(), id)
	w.must(err)
	if x.Status != want {
		w.Fatalf("the execution is %s (%s: %s), want %s\n%s", x.Status, deref(x.Error), deref(x.Cause), want, w.history(id))
	}
	return x
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// history lists an execution's events by type, service and resource.
func (w *world) history(id store.ExecutionID) string {
	w.Helper()
	var lines []string
	w.must(w.store.History(w.Context(), id, 0, false, func(c engine.Chunk) bool {
		events, err := engine.DecodeHistory(c)
		w.must(err)
		for _, e := range events {
			line := e.Type.String()
			if e.Service != "" {
				line += " " + e.Service + " " + e.Resource
			}
			if e.Error != nil {
				line += " " + *e.Error
			}
			lines = append(lines, line)
		}
		return true
	}))
	return strings.Join(lines, "\n")
}

// rows are what the board and the worker keep for each other.
func (w *world) rows(kind string) int {
	w.Helper()
	prefix := map[string]string{"inbox": "seq/", "wait": "of/"}[kind]
	found, err := w.store.Records(w.Context(), store.Prefix(kind, prefix, 100_000))
	w.must(err)
	return len(found)
}

func refused(err error, code control.Code) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Code == code
}

func storeID(n int64) store.ExecutionID { return store.ExecutionID(n) }
