package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/control"
)

// boardBenchResult is the one JSON object that `lockstep bench board` prints.
// Times are in milliseconds.
type boardBenchResult struct {
	Work     string `json:"work"`
	Agents   int    `json:"agents"`
	Tasks    int    `json:"tasks"` // on the board when the load begins
	Watchers int    `json:"watchers"`

	Seconds    float64           `json:"seconds"`
	Rate       float64           `json:"rate_per_s"`
	Operations int               `json:"operations"`
	Failed     int               `json:"failed"`
	Of         map[string]int    `json:"of"`    // operations by kind
	Write      spread            `json:"write"` // from when an operation was to be sent until its answer
	Kinds      map[string]spread `json:"write_by_kind"`
	Seen       spread            `json:"seen"` // from when an operation was to be sent until a watcher heard of it

	Wakeups  int    `json:"wakeups"`  // queued while the load ran
	Offered  spread `json:"offered"`  // from when a wakeup was queued until its agent had it
	Lost     int    `json:"lost"`     // wakeups whose agent never had them
	Repeated int    `json:"repeated"` // offers of what was offered and not claimed, under another delivery id

	RSS   float64 `json:"rss_mib"`         // -1: not known (another process)
	Error string  `json:"error,omitempty"` // the first that an operation had
}

// spread is how times are spread, in milliseconds.
type spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func spreadOf(all []time.Duration) spread {
	slices.Sort(all)
	return spread{len(all), millis(percentile(all, 50)), millis(percentile(all, 99)), millis(percentile(all, 100))}
}

type boardBenchFlags struct {
	agents, tasks, watchers int
	rate                    float64
	length, rest            time.Duration
	url, data               string
}

func newBoardBench() *cobra.Command {
	var f boardBenchFlags
	cmd := &cobra.Command{
		Use:   "board",
		Short: "Measure the board: agents at work, reviews, and people who watch",
		Long: `Fills a board with tasks and lets agents work on them at a fixed rate: create,
claim, progress, deliverable, comment, submit and review, in turn. An operation is
sent when its time has come, whether the ones before it have been answered or not,
and its time counts from then. Agents wait by long poll; watchers follow the stream
of events.

Without --url the server runs in this process on a temporary store.`,
		Example: `  lockstep bench board
  lockstep bench board --for 5m --url http://127.0.0.1:8083`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runBoardBench(cmd.Context(), f, cmd.ErrOrStderr())
			var usage *exitError
			if errors.As(err, &usage) {
				return err
			}
			if err != nil {
				return &exitError{exitFailed, err}
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.agents, "agents", 200, "how many agents work")
	flags.IntVar(&f.tasks, "tasks", 20000, "how many tasks are on the board to begin with")
	flags.IntVar(&f.watchers, "watchers", 50, "how many follow the stream of events")
	flags.Float64Var(&f.rate, "rate", 200, "operations a second")
	flags.DurationVar(&f.length, "for", time.Minute, "how long")
	flags.DurationVar(&f.rest, "rest", 10*time.Second, "how long to wait between filling the board and the load")
	flags.StringVar(&f.url, "url", "", "measure the server at this URL instead")
	flags.StringVar(&f.data, "data", "", "directory for the temporary store (default: the system's)")
	return cmd
}

func runBoardBench(ctx context.Context, f boardBenchFlags, progress io.Writer) (*boardBenchResult, error) {
	if f.agents < 1 || f.tasks < 0 || f.watchers < 0 || f.rate <= 0 || f.length <= 0 {
		return nil, usageError("--agents, --rate and --for must be more than nothing")
	}
	result := &boardBenchResult{Work: "board", Agents: f.agents, Tasks: f.tasks, Watchers: f.watchers, RSS: -1}
	base := f.url
	if base == "" {
		srv, err := openBenchServer(ctx, benchFlags{data: f.data})
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(srv.data)
		defer srv.closeSoon(ctx)
		base = srv.url
	}
	b := newBoardLoad(base, f)
	defer b.http.CloseIdleConnections()
	began := time.Now()
	if err := b.fill(ctx); err != nil {
		return nil, fmt.Errorf("fill the board: %w", err)
	}
	fmt.Fprintf(progress, "filled in %.1f s\n", time.Since(began).Seconds())
	if err := b.run(ctx, progress); err != nil {
		return nil, err
	}
	if f.url == "" {
		result.RSS = rss()
	}
	b.describe(result)
	return result, nil
}

// boardLoad is a board under load.
type boardLoad struct {
	f       boardBenchFlags
	base    string
	http    *http.Client
	project string // its key
	agents  []*loadAgent

	intended sync.Map // by task and type of event: when what made it was to be sent

	mu     sync.Mutex
	ready  map[string][]*loadTask // by the operation that comes next
	took   map[string][]time.Duration
	seen   []time.Duration
	failed int
	first  string // error
	sent   sync.WaitGroup

	wakeups  int
	last     time.Time
	queued   map[string]time.Time // wakeups: when they were
	offered  map[string]time.Time // and when they were fetched
	wait     []time.Duration
	repeated int
}

// loadAgent is an agent that works.
type loadAgent struct {
	slug, key string
	offers    map[string]string // by task: the delivery that was not claimed yet
}

// loadTask is a task that is worked on.
type loadTask struct {
	key, id, lease, review string
	agent                  *loadAgent
}

// boardKinds are the operations, in the order of a task's life.
var boardKinds = []string{"create", "claim", "progress", "deliverable", "comment", "submit", "review"}

func newBoardLoad(base string, f boardBenchFlags) *boardLoad {
	return &boardLoad{
		f: f, base: base, ready: map[string][]*loadTask{}, took: map[string][]time.Duration{},
		queued: map[string]time.Time{}, offered: map[string]time.Time{},
		project: fmt.Sprintf("B%X", time.Now().Unix()%0xffffff),
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000, MaxIdleConns: 2000}},
	}
}

// call makes a call of /api/v1, as an agent or as a person.
func (b *boardLoad) call(ctx context.Context, as *loadAgent, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.base+"/api/v1/"+path, body)
	if err != nil {
		return err
	}
	if as != nil {
		req.Header.Set("Authorization", "Bearer "+as.key)
	}
	res, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// fill makes the project, the agents and the tasks to begin with.
func (b *boardLoad) fill(ctx context.Context) error {
	if err := b.call(ctx, nil, "POST", "projects", fields{"key": b.project, "policies": fields{"max_rework": 1000}}, nil); err != nil {
		return err
	}
	for i := range b.f.agents {
		a := &loadAgent{slug: strings.ToLower(fmt.Sprintf("%s-%d", b.project, i)), offers: map[string]string{}}
		if err := b.call(ctx, nil, "POST", "agents", fields{"slug": a.slug, "projects": []string{b.project}}, nil); err != nil {
			return err
		}
		var key struct{ Key string }
		if err := b.call(ctx, nil, "POST", "agents/"+a.slug+"/keys", nil, &key); err != nil {
			return err
		}
		a.key = key.Key
		b.agents = append(b.agents, a)
	}
	_, err := each(b.f.tasks, 32, &atomic.Int64{}, func(i int) error { return b.create(ctx, i) })
	return err
}

func (b *boardLoad) create(ctx context.Context, n int) error {
	a := b.agents[n%len(b.agents)]
	return b.call(ctx, nil, "POST", "tasks", fields{
		"project": b.project, "title": fmt.Sprintf("Task %d", n), "assignee": "@" + a.slug, "description": "What is to be done, in a sentence or two.",
		"acceptance_criteria": []string{"It is done"},
	}, nil)
}

// run lets agents and watchers come, and sends operations at their times.
func (b *boardLoad) run(ctx context.Context, progress io.Writer) error {
	around, leave := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer leave()
	var present sync.WaitGroup
	for range b.f.watchers {
		present.Add(1)
		others.Go(func() { b.watch(around, false, present.Done) })
	}
	present.Add(1)
	others.Go(func() { b.watch(around, true, present.Done) })
	present.Wait()
	for _, a := range b.agents {
		others.Go(func() { b.poll(around, a) })
	}
	total := int(b.f.length.Seconds() * b.f.rate)
	// The first offers are out before the clock starts.
	for end := time.Now().Add(30 * time.Second); b.waiting("claim") < min(len(b.agents), b.f.tasks) && time.Now().Before(end); {
		if !wait(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	// What follows from filling the board, such as notices, is done by then.
	if !wait(ctx, b.f.rest) {
		return ctx.Err()
	}
	began := time.Now()
	for i := range total {
		at := began.Add(time.Duration(float64(i) / b.f.rate * float64(time.Second)))
		if !wait(ctx, time.Until(at)) {
			break
		}
		if i%int(b.f.rate*10+1) == 0 {
			fmt.Fprintf(progress, "%d of %d operations sent\n", i, total)
		}
		b.sent.Go(func() { b.operate(ctx, i, at) })
	}
	b.sent.Wait()
	// What was queued at the end has still to be told of, and to arrive.
	for end := time.Now().Add(10 * time.Second); (b.lost() > 0 || time.Since(b.told()) < time.Second) && time.Now().Before(end); {
		if !wait(ctx, 50*time.Millisecond) {
			break
		}
	}
	return ctx.Err()
}

// told is when something was last told of a wakeup.
func (b *boardLoad) told() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

func (b *boardLoad) waiting(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ready[kind])
}

// take gets the task that has waited longest for a kind of operation.
func (b *boardLoad) take(kind string) *loadTask {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.ready[kind]
	if len(list) == 0 {
		return nil
	}
	b.ready[kind] = list[1:]
	return list[0]
}

func (b *boardLoad) put(kind string, t *loadTask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready[kind] = append(b.ready[kind], t)
}

// operate sends the operation whose turn it is. Where no task is ready for it, a
// task is created.
func (b *boardLoad) operate(ctx context.Context, i int, at time.Time) {
	kind := boardKinds[i%len(boardKinds)]
	var t *loadTask
	if kind != "create" {
		if t = b.take(kind); t == nil {
			kind = "create"
		}
	}
	err := b.do(ctx, i, at, kind, t)
	took := time.Since(at)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took[kind] = append(b.took[kind], took)
	if err != nil {
		b.failed++
		if b.first == "" {
			b.first = kind + ": " + err.Error()
		}
	}
}

// do makes an operation about a task, and has the next one wait for it.
func (b *boardLoad) do(ctx context.Context, i int, at time.Time, kind string, t *loadTask) error {
	on := func(verb string, in fields, out any) error {
		if t.lease != "" {
			in["lease_token"] = t.lease
		}
		return b.call(ctx, t.agent, "POST", "tasks/"+t.key+"/"+verb, in, out)
	}
	switch kind {
	case "create":
		return b.create(ctx, b.f.tasks+i)
	case "claim":
		b.intended.Store(t.id+"task.claim", at)
		b.mu.Lock()
		delete(t.agent.offers, t.id)
		b.mu.Unlock()
		var got struct {
			Lease string `json:"lease_token"`
		}
		if err := b.call(ctx, t.agent, "POST", "tasks/"+t.key+"/claim", nil, &got); err != nil {
			return err
		}
		t.lease = got.Lease
		b.put("progress", t)
	case "progress":
		if err := on("progress", fields{"note": "half of it", "percent": 50}, nil); err != nil {
			return err
		}
		b.put("deliverable", t)
	case "deliverable":
		if err := on("deliverables", fields{"kind": "text", "title": "page.md", "content": fmt.Sprintf("# Page %d\n\n%s", i, strings.Repeat("What it says. ", 40))}, nil); err != nil {
			return err
		}
		b.put("comment", t)
	case "comment":
		if err := b.call(ctx, t.agent, "POST", "tasks/"+t.key+"/comments", fields{"body": "nearly there"}, nil); err != nil {
			return err
		}
		b.put("submit", t)
	case "submit":
		b.intended.Store(t.id+"task.submit", at)
		var got struct{ Review struct{ ID string } }
		if err := on("submit", fields{"summary": "done"}, &got); err != nil {
			return err
		}
		b.put("review", &loadTask{id: t.id, key: t.key, review: got.Review.ID})
	case "review":
		verdict, event := "approve", "task.approve"
		if i%10 == 0 {
			verdict, event = "changes_requested", "task.changes_requested"
		}
		b.intended.Store(t.id+event, at)
		return b.call(ctx, nil, "POST", "reviews/"+t.review+"/decision", fields{"verdict": verdict, "comment": "as it should be"}, nil)
	}
	return nil
}

// poll is an agent that waits for work.
func (b *boardLoad) poll(ctx context.Context, a *loadAgent) {
	for ctx.Err() == nil {
		var o control.Offer
		if err := b.call(ctx, a, "GET", "agent/next?wait=50", nil, &o); err != nil {
			if ctx.Err() == nil {
				b.note(err)
				wait(ctx, time.Second)
			}
			continue
		}
		if o.Wakeup == nil {
			continue
		}
		now := time.Now()
		b.mu.Lock()
		b.offered[o.Wakeup.ID] = now
		if at, ok := b.queued[o.Wakeup.ID]; ok {
			b.wait = append(b.wait, now.Sub(at))
			delete(b.queued, o.Wakeup.ID)
		}
		if !o.Wakeup.Work || o.Task == nil {
			b.mu.Unlock()
			continue
		}
		before := a.offers[o.Task.ID]
		a.offers[o.Task.ID] = o.Delivery
		if before != "" && before != o.Delivery {
			b.repeated++
		}
		b.mu.Unlock()
		if before == "" {
			b.put("claim", &loadTask{key: o.Task.Key, id: o.Task.ID, agent: a})
		}
	}
}

func (b *boardLoad) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed++
	if b.first == "" {
		b.first = err.Error()
	}
}

// watch follows the stream of events, and says when it has begun. One of them
// takes note of wakeups.
func (b *boardLoad) watch(ctx context.Context, wakeups bool, begun func()) {
	begin := sync.OnceFunc(begun)
	defer begin()
	var seen []time.Duration
	defer func() {
		b.mu.Lock()
		b.seen = append(b.seen, seen...)
		b.mu.Unlock()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/api/v1/events/stream?project="+b.project, nil)
	if err != nil {
		b.note(err)
		return
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.note(err)
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	kind := ""
	for lines.Scan() {
		begin()
		line := lines.Text()
		if is, ok := strings.CutPrefix(line, "event: "); ok {
			kind = is
			continue
		}
		data, ok := strings.CutPrefix(line, "data: ")
		switch {
		case !ok:
		case wakeups && strings.HasPrefix(kind, "wakeup."):
			b.wakeup(kind, data)
		case !wakeups && (kind == "task.claim" || kind == "task.submit" || kind == "task.approve" || kind == "task.changes_requested"):
			if at, ok := b.intended.Load(memberOf(data, "task") + kind); ok {
				seen = append(seen, time.Since(at.(time.Time)))
			}
		}
	}
	if ctx.Err() == nil {
		b.note(fmt.Errorf("a watcher's stream has ended: %w", cmp.Or(lines.Err(), errStreamEnded)))
	}
}

// memberOf finds a member that is a text, without reading all of an object.
func memberOf(data, name string) string {
	_, rest, _ := strings.Cut(data, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// wakeup takes note of a wakeup that was queued, or that nobody waits for any
// more.
func (b *boardLoad) wakeup(kind, data string) {
	id, now := memberOf(data, "wakeup"), time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = now
	switch kind {
	case "wakeup.queued":
		var e control.Event
		if json.Unmarshal([]byte(data), &e) != nil {
			return
		}
		b.wakeups++
		if at, ok := b.offered[id]; ok && !at.Before(e.At) { // the agent was faster than the stream
			b.wait = append(b.wait, at.Sub(e.At))
			return
		}
		b.queued[id] = e.At
	case "wakeup.acked", "wakeup.skipped":
		if at, ok := b.queued[id]; ok && now.After(at) {
			delete(b.queued, id)
		}
	}
}

// lost counts wakeups that their agents have not had.
func (b *boardLoad) lost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queued)
}

func (b *boardLoad) describe(r *boardBenchResult) {
	r.Lost = b.lost()
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Of, r.Kinds = map[string]int{}, map[string]spread{}
	var all []time.Duration
	for kind, took := range b.took {
		r.Of[kind] = len(took)
		r.Kinds[kind] = spreadOf(took)
		all = append(all, took...)
	}
	r.Operations, r.Failed, r.Error = len(all), b.failed, b.first
	r.Seconds, r.Rate = b.f.length.Seconds(), b.f.rate
	r.Write, r.Seen, r.Offered = spreadOf(all), spreadOf(b.seen), spreadOf(b.wait)
	r.Wakeups, r.Repeated = b.wakeups, b.repeated
}
