package push_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/egress"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/push"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
	"github.com/lockstep-run/lockstep/test/agents/fakeopenclaw"
)

// world is a board with what delivers its wakeups.
type world struct {
	testing.TB
	store store.Store
	bell  *feed.Bell
	board *control.Board
	key   *seal.Key
	owner control.Party
	push  *push.Pusher
}

func open(t testing.TB) *world {
	w := &world{TB: t, store: memory.New()}
	w.bell = feed.NewBell(&storetest.Direct{Store: w.store})
	var err error
	if w.board, err = control.New(w.store, w.bell, control.Config{}); err != nil {
		t.Fatal(err)
	}
	w.key = seal.At(filepath.Join(t.TempDir(), seal.FileName))
	_, u, err := w.board.CreateWorkspace(t.Context(), control.Call{Workspace: "w", By: control.System, At: time.Now()}, "W", "owner")
	w.must(err)
	w.owner = control.User(u.ID)
	_, err = w.board.CreateProject(t.Context(), w.call(), control.NewProject{Key: "WEB"})
	w.must(err)
	w.push = w.pusher()
	return w
}

func (w *world) pusher() *push.Pusher {
	policy, err := egress.New(egress.Config{})
	w.must(err)
	return push.New(push.Config{
		Board: w.board, Store: w.store, Bell: w.bell, Key: w.key, Policy: policy, URL: func() string { return "http://lockstep.test" },
		Log: slog.New(slog.NewTextHandler(w.Output(), nil)),
	})
}

// run delivers until the function that it returns is called.
func (w *world) run(p *push.Pusher) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	stop = func() { cancel(); <-done }
	w.Cleanup(stop)
	return stop
}

func (w *world) call() control.Call {
	return control.Call{Workspace: "w", By: w.owner, At: time.Now()}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// agent registers an agent that is woken at an address and returns the secret
// that signs.
func (w *world) agent(slug, runtime, url string, s push.Secrets) (*control.Agent, string) {
	w.Helper()
	a, err := w.board.CreateAgent(w.Context(), w.call(), control.NewAgent{Slug: slug, Projects: []string{"WEB"}, Runtime: runtime})
	w.must(err)
	var made string
	w.must(w.put(a, runtime, push.Connection{URL: url, Private: push.HostPort(url)}, s, &a, &made))
	return a, made
}

func (w *world) put(a *control.Agent, runtime string, to push.Connection, s push.Secrets, agent **control.Agent, made *string) error {
	return w.bell.Write(w.Context(), func(ctx context.Context, tx store.Tx) error {
		var err error
		*agent, *made, err = w.push.Put(ctx, tx, w.call(), a, runtime, to, s)
		return err
	})
}

func (w *world) task(title, assignee string, after ...string) *control.Task {
	w.Helper()
	in := control.NewTask{Project: "WEB", Title: title, Assignee: control.Party(assignee)}
	for _, key := range after {
		in.DependsOn = append(in.DependsOn, control.DependsOn{Task: key})
	}
	t, err := w.board.CreateTask(w.Context(), w.call(), in)
	w.must(err)
	return t
}

// until waits for the board to be as wanted.
func (w *world) until(what string, is func() bool) {
	w.Helper()
	for ctx := w.Context(); !is(); {
		rings := w.bell.Next()
		if is() {
			return
		}
		select {
		case <-rings:
		case <-time.After(10 * time.Millisecond): // what is waited for may not ring
		case <-ctx.Done():
			w.Fatalf("%s: %v", what, ctx.Err())
		}
	}
}

func (w *world) wakeups(task string) (all []*control.Wakeup) {
	w.Helper()
	found, err := w.store.Records(w.Context(), store.Prefix("wakeup", "task/"+task, 100))
	w.must(err)
	for _, f := range found {
		var wk control.Wakeup
		w.must(json.Unmarshal(f.Data, &wk))
		all = append(all, &wk)
	}
	return all
}

// A wakeup comes signed, with what is needed to begin, and is then sent.
func TestSignedWakeup(t *testing.T) {
	w := open(t)
	type call struct {
		header http.Header
		body   []byte
	}
	got := make(chan call, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			got <- call{r.Header, body}
		}
	}))
	defer srv.Close()
	a, secret := w.agent("writer", "http", srv.URL+"/wake", push.Secrets{})
	w.run(w.push)
	task := w.task("Draft", "@writer")
	c := <-got
	if err := push.Verify(secret, c.header, c.body, time.Now()); err != nil {
		t.Error(err)
	}
	if err := push.Verify(secret, c.header, append(c.body, ' '), time.Now()); err == nil {
		t.Error("another body has the same signature")
	}
	if err := push.Verify(secret, c.header, c.body, time.Now().Add(push.Tolerance+time.Minute)); err == nil {
		t.Error("an old wakeup is taken")
	}
	var wake push.Wakeup
	w.must(json.Unmarshal(c.body, &wake))
	if wake.Task == nil || wake.Task.Key != task.Key || wake.Task.URL != "http://lockstep.test/api/v1/tasks/WEB-1" || wake.Reason != "assigned" || wake.Delivery != c.header.Get(push.DeliveryHeader) {
		t.Errorf("the wakeup is %s", c.body)
	}
	w.until("sent", func() bool { return w.wakeups(task.ID)[0].State == "sent" })
	w.until("online", func() bool {
		st, err := w.board.AgentStatus(t.Context(), w.call(), a.ID)
		return err == nil && st.Connectivity == "online"
	})
	if strings.Contains(string(a.Connection), secret) {
		t.Error("the connection shows the secret")
	}
	r, err := w.store.Record(t.Context(), "agent_secret", a.ID)
	w.must(err)
	if strings.Contains(string(r.Data), secret) {
		t.Error("the secret is kept as it is")
	}
}

// What was not taken is told on the task's page and delivered again, by the next
// process as well, under the same id.
func TestDeliveredAgainAfterRestart(t *testing.T) {
	w := open(t)
	var healthy atomic.Bool
	got := make(chan string, 100)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		if !healthy.Load() {
			got <- r.Header.Get(push.DeliveryHeader)
			http.Redirect(rw, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		got <- r.Header.Get(push.DeliveryHeader)
	}))
	defer srv.Close()
	w.agent("writer", "http", srv.URL, push.Secrets{})
	stop := w.run(w.push)
	task := w.task("Draft", "@writer")
	first := <-got
	w.until("noted", func() bool { return w.wakeups(task.ID)[0].Tries == 1 })
	wk := w.wakeups(task.ID)[0]
	if !strings.Contains(wk.LastError, "redirect") || wk.State != "queued" {
		t.Errorf("it is %s after %q", wk.State, wk.LastError)
	}
	why, err := w.board.Why(t.Context(), w.call(), task.ID)
	w.must(err)
	if !strings.Contains(strings.Join(why, " "), "redirect") {
		t.Errorf("why: %q", why)
	}
	stop()

	healthy.Store(true)
	// The time that the board waits until it is tried again is over.
	_, err = w.board.Sweep(t.Context(), time.Now().Add(time.Minute))
	w.must(err)
	offers, err := w.board.Queued(t.Context(), time.Now().Add(time.Minute), 10)
	w.must(err)
	if len(offers) != 1 || offers[0].Delivery != first {
		t.Fatalf("there are %d offers, the first was %s", len(offers), first)
	}
}

// Without an owner's word nothing goes to this machine.
func TestPrivateAddresses(t *testing.T) {
	w := open(t)
	a, err := w.board.CreateAgent(t.Context(), w.call(), control.NewAgent{Slug: "writer", Projects: []string{"WEB"}, Runtime: "http"})
	w.must(err)
	var made string
	err = w.put(a, "http", push.Connection{URL: "http://127.0.0.1:9999/"}, push.Secrets{}, new(*control.Agent), &made)
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a loopback address is taken: %v", err)
	}
	err = w.put(a, "http", push.Connection{URL: "http://127.0.0.1:9999/", Private: "127.0.0.1:1111"}, push.Secrets{}, new(*control.Agent), &made)
	if err == nil {
		t.Error("another port was confirmed, and it is taken")
	}
	member, err := w.board.CreateUser(t.Context(), w.call(), control.NewUser{Name: "admin", Role: control.Admin})
	w.must(err)
	err = w.bell.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		c := w.call()
		c.By = control.User(member.ID)
		_, _, err := w.push.Put(ctx, tx, c, a, "http", push.Connection{URL: "http://127.0.0.1:9999/", Private: "127.0.0.1:9999"}, push.Secrets{})
		return err
	})
	if !control.Is(err, control.Forbidden) {
		t.Errorf("who is no owner confirms a private address: %v", err)
	}
	if _, err := w.store.Record(t.Context(), "agent_secret", a.ID); err == nil {
		t.Error("what was refused has left a secret")
	}
}

// Who may change an agent neither has its secrets sent elsewhere nor opens what
// only an owner opens.
func TestChangedConnection(t *testing.T) {
	w := open(t)
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer evil.Close()
	a, _ := w.agent("writer", "openclaw", "http://127.0.0.1:9", push.Secrets{Token: "hook-token"})
	admin, err := w.board.CreateUser(t.Context(), w.call(), control.NewUser{Name: "admin", Role: control.Admin})
	w.must(err)
	c := w.call()
	c.By = control.User(admin.ID)
	text, err := json.Marshal(push.Connection{URL: evil.URL, Private: push.HostPort(evil.URL)})
	w.must(err)
	_, err = w.board.UpdateAgent(t.Context(), c, a.ID, control.UpdateAgent{Connection: text})
	w.must(err)
	w.run(w.push)
	task := w.task("Draft", "@writer")
	w.until("refused", func() bool { return w.wakeups(task.ID)[0].Tries == 1 })
	if why := w.wakeups(task.ID)[0].LastError; !strings.Contains(why, "save it again") {
		t.Errorf("why: %s", why)
	}
}

// A host that answers slowly holds up neither the others nor more calls than its
// share.
func TestSlowHost(t *testing.T) {
	w := open(t)
	release := make(chan struct{})
	var most, now atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		now.Add(-1)
	}))
	defer slow.Close()
	got := make(chan struct{}, 1)
	quick := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			got <- struct{}{}
		}
	}))
	defer quick.Close()
	var tasks []*control.Task
	for i := range 20 {
		slug := fmt.Sprintf("slow%d", i)
		w.agent(slug, "http", slow.URL, push.Secrets{})
		tasks = append(tasks, w.task("Draft", "@"+slug))
	}
	w.agent("quick", "http", quick.URL, push.Secrets{})
	w.run(w.push)
	w.until("the slow host has its share", func() bool { return now.Load() == 8 })
	w.task("Draft", "@quick")
	<-got
	close(release)
	w.until("all are sent", func() bool {
		return !slices.ContainsFunc(tasks, func(task *control.Task) bool { return w.wakeups(task.ID)[0].State != "sent" })
	})
	if most.Load() != 8 {
		t.Errorf("%d calls at once to one host", most.Load())
	}
}

// gateway serves a fake gateway and connects an agent to it.
func (w *world) gateway(play func(ctx context.Context, t fakeopenclaw.Turn) error) (*fakeopenclaw.Gateway, *control.Agent) {
	g := &fakeopenclaw.Gateway{Token: "hook-token", GatewayToken: "gateway-token", Agents: []string{"main", "writer"}, Play: play}
	srv := httptest.NewServer(g)
	w.Cleanup(srv.Close)
	a, _ := w.agent("writer", "openclaw", srv.URL, push.Secrets{Token: g.Token, GatewayToken: g.GatewayToken})
	return g, a
}

// as is a call of the agent's.
func as(a *control.Agent) control.Call {
	return control.Call{Workspace: "w", By: control.AgentParty(a.ID), At: time.Now()}
}

// An agent at a gateway is woken by a turn of its own for each task, with the ids
// of the tools to call; the turn is followed, not started twice.
func TestOpenClaw(t *testing.T) {
	w := open(t)
	played := make(chan fakeopenclaw.Turn, 1)
	end := make(chan struct{})
	g, a := w.gateway(func(_ context.Context, turn fakeopenclaw.Turn) error {
		played <- turn
		<-end
		return nil
	})
	w.run(w.push)
	task := w.task("Draft", "@writer")
	turn := <-played
	wk := w.wakeups(task.ID)[0]
	if turn.Key != wk.Delivery() || turn.AgentID != "writer" || turn.SessionKey != "agent:writer:task-WEB-1" {
		t.Errorf("the turn is %+v", turn)
	}
	for _, want := range []string{`"Draft"`, "assigned", `board__task_claim {"task":"WEB-1"}`, "board__task_submit"} {
		if !strings.Contains(turn.Message, want) {
			t.Errorf("the text has no %s: %s", want, turn.Message)
		}
	}
	w.until("followed", func() bool { return g.Calls() == 2 })
	got, err := w.board.Claim(t.Context(), as(a), task.Key)
	w.must(err)
	_, err = w.board.Submit(t.Context(), as(a), task.Key, got.LeaseToken, control.Submission{Summary: "done"})
	w.must(err)
	close(end)
	if n := len(g.Turns()); n != 1 {
		t.Errorf("%d turns for one delivery", n)
	}
	w.must(w.board.Wake(t.Context(), w.call(), a.ID, "", "please say hello"))
	w.until("nudged", func() bool { return len(g.Wakes()) == 1 })
	if text := g.Wakes()[0]; text != `writer: Message from the board, quoted: "please say hello"` {
		t.Errorf("the nudge is %q", text)
	}
}

// A turn that ended with an error ends the attempt; nobody waits for the lease to
// run out.
func TestTurnFails(t *testing.T) {
	w := open(t)
	var a *control.Agent
	_, a = w.gateway(func(ctx context.Context, _ fakeopenclaw.Turn) error {
		_, err := w.board.Claim(context.Background(), as(a), "WEB-1")
		if err != nil {
			w.Error(err)
		}
		return fmt.Errorf("the model is out")
	})
	w.run(w.push)
	task := w.task("Draft", "@writer")
	w.until("given back", func() bool {
		got, err := w.board.Task(t.Context(), w.call(), task.ID)
		return err == nil && got.Spent == 1 && got.State == control.Assigned
	})
	v, err := w.board.View(t.Context(), w.call(), task.ID)
	w.must(err)
	if e := v.Attempts[0].Error; e == nil || e.Category != "runtime" || !e.Retryable {
		t.Errorf("the attempt says %+v", e)
	}
}

// A task that is cancelled has its turn stopped.
func TestCancelStopsTurn(t *testing.T) {
	w := open(t)
	var a *control.Agent
	began, stopped := make(chan struct{}), make(chan struct{})
	_, a = w.gateway(func(ctx context.Context, _ fakeopenclaw.Turn) error {
		_, err := w.board.Claim(context.Background(), as(a), "WEB-1")
		if err != nil {
			w.Error(err)
		}
		close(began)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	})
	w.run(w.push)
	task := w.task("Draft", "@writer")
	<-began
	_, err := w.board.Cancel(t.Context(), w.call(), task.ID, "not needed")
	w.must(err)
	<-stopped
}

// A gateway tells which agents it has.
func TestDiscover(t *testing.T) {
	w := open(t)
	g := &fakeopenclaw.Gateway{GatewayToken: "gateway-token", Agents: []string{"main", "writer"}}
	srv := httptest.NewServer(g)
	defer srv.Close()
	to := push.Connection{URL: srv.URL, Private: push.HostPort(srv.URL)}
	found, err := w.push.Discover(t.Context(), to, "gateway-token")
	w.must(err)
	if len(found) != 2 || found[0].ID != "main" || !found[0].Default || found[1].ID != "writer" {
		t.Errorf("found %+v", found)
	}
	if _, err := w.push.Discover(t.Context(), to, "wrong"); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong token: %v", err)
	}
	if _, err := w.push.Discover(t.Context(), push.Connection{URL: srv.URL}, "gateway-token"); err == nil {
		t.Error("a private address was asked without confirmation")
	}
}

// BenchmarkApproveToHook measures from the verdict on one task until the hook of
// the next one's agent is called.
func BenchmarkApproveToHook(b *testing.B) {
	w := open(b)
	got := make(chan time.Time, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			got <- time.Now()
		}
	}))
	defer srv.Close()
	a, err := w.board.CreateAgent(b.Context(), w.call(), control.NewAgent{Slug: "first", Projects: []string{"WEB"}})
	w.must(err)
	second, _ := w.agent("second", "http", srv.URL, push.Secrets{})
	w.run(w.push)
	var took []time.Duration
	for b.Loop() {
		one := w.task("A", "@first")
		two := w.task("B", "@second", one.Key)
		c, err := w.board.Claim(b.Context(), as(a), one.Key)
		w.must(err)
		s, err := w.board.Submit(b.Context(), as(a), one.Key, c.LeaseToken, control.Submission{Summary: "done"})
		w.must(err)
		began := time.Now()
		_, err = w.board.Decide(b.Context(), w.call(), s.Review.ID, control.Decision{Verdict: "approve"})
		w.must(err)
		took = append(took, (<-got).Sub(began))
		_, err = w.board.Claim(b.Context(), as(second), two.Key)
		w.must(err)
		_, err = w.board.Cancel(b.Context(), w.call(), two.Key, "")
		w.must(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
