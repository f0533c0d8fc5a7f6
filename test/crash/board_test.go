package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// desk is a board under load: work for agents and reviewers, made by executions
// or on the board itself, and what agents and reviewers were promised.
type desk struct {
	srv     *server
	api     *client
	machine string // "": there are none, and tasks depend on each other

	mu       sync.Mutex
	verdicts map[string]string  // by task: the one that was acknowledged
	holders  map[string]holding // by task: the lease of a claim that was acknowledged, until it is handed in
	broken   []string
	claims   int
	given    int // claims that nobody followed up: their agents have died
}

// holding is a lease as its holder knows it.
type holding struct {
	token   string
	expires time.Time
}

const (
	// leaseTime is short, so that leases run out while servers die.
	leaseTime = 3 * time.Second
	// lateBy is how long after its end a lease may still be there: the server may
	// have been down, and the machine busy.
	lateBy = 15 * time.Second
)

// rest makes a call of /api/v1 and returns its status, 0 if no answer came.
func (d *desk) rest(ctx context.Context, method, path string, header http.Header, in, out any) (status int) {
	var body bytes.Buffer
	if in != nil {
		json.NewEncoder(&body).Encode(in)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.srv.base()+"/api/v1/"+path, &body)
	if err != nil {
		return 0
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := d.api.http.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || out != nil && resp.StatusCode < 300 && json.Unmarshal(text, out) != nil {
		return 0
	}
	return resp.StatusCode
}

func (d *desk) breach(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = append(d.broken, fmt.Sprintf(format, args...))
}

type boardTask struct {
	ID, Key, Title, State string
	Source                struct{ Execution string }
}

// agent works on what it is assigned: claims and hands in, and asks again with
// the same key where the answer did not come.
func (d *desk) agent(ctx context.Context, slug, name, key string, chance func(n int) int) {
	auth := http.Header{"Authorization": {"Bearer " + key}}
	for n := 0; ctx.Err() == nil; {
		var page struct{ Tasks []boardTask }
		if d.rest(ctx, "GET", "tasks?limit=20&status=assigned&gate=open&assignee=@"+slug, auth, nil, &page) != 200 || len(page.Tasks) == 0 {
			pause(ctx, 20*time.Millisecond)
			continue
		}
		for _, t := range page.Tasks {
			n++
			with := auth.Clone()
			with.Set("Idempotency-Key", fmt.Sprintf("%s-%d", name, n))
			var got struct {
				Token   string    `json:"lease_token"`
				Expires time.Time `json:"lease_expires_at"`
			}
			status := 0
			for status == 0 && ctx.Err() == nil {
				status = d.rest(ctx, "POST", "tasks/"+t.Key+"/claim", with, nil, &got)
			}
			if status != 200 {
				continue
			}
			d.mu.Lock()
			d.claims++
			if other := d.holders[t.Key]; other.token != "" && other.token != got.Token && other.expires.After(time.Now()) {
				d.broken = append(d.broken, t.Key+" has two live leases")
			}
			d.holders[t.Key] = holding{got.Token, got.Expires}
			dies := chance(8) == 0
			if dies {
				d.given++
			}
			d.mu.Unlock()
			if dies {
				continue // with the lease in its hand: another gets the task when that has run out
			}
			with.Set("X-Lockstep-Lease", got.Token)
			with.Set("Idempotency-Key", fmt.Sprintf("%s-%d-submit", name, n))
			pause(ctx, time.Duration(chance(40))*time.Millisecond)
			d.mu.Lock()
			delete(d.holders, t.Key) // handed in before the answer is here, at the earliest
			d.mu.Unlock()
			for status = 0; status == 0 && ctx.Err() == nil; {
				status = d.rest(ctx, "POST", "tasks/"+t.Key+"/submit", with, fields{"output": 1}, nil)
			}
		}
	}
}

// reviewer decides what waits, by chance.
func (d *desk) reviewer(ctx context.Context, chance func(n int) int) {
	for ctx.Err() == nil {
		var page struct {
			Reviews []struct {
				Review struct{ ID string }
				Task   boardTask
			}
		}
		if d.rest(ctx, "GET", "reviews?mine=1&limit=20", nil, nil, &page) != 200 || len(page.Reviews) == 0 {
			pause(ctx, 20*time.Millisecond)
			continue
		}
		for _, r := range page.Reviews {
			verdict := []string{"approve", "approve", "approve", "approve", "reject", "changes_requested"}[chance(6)]
			status := d.rest(ctx, "POST", "reviews/"+r.Review.ID+"/decision", nil, fields{"verdict": verdict}, nil)
			if status == 200 && verdict != "changes_requested" {
				d.mu.Lock()
				d.verdicts[r.Task.Key] = verdict
				d.mu.Unlock()
			}
		}
	}
}

// inspector looks again and again whether there is a lease that should have ended.
func (d *desk) inspector(ctx context.Context) {
	for pause(ctx, 200*time.Millisecond) {
		var page struct{ Tasks []boardTask }
		if d.rest(ctx, "GET", "tasks?limit=50&status=in_progress", nil, nil, &page) != 200 {
			continue
		}
		for _, t := range page.Tasks {
			var v struct {
				Lease struct {
					ExpiresAt time.Time `json:"expires_at"`
				}
			}
			if d.rest(ctx, "GET", "tasks/"+t.Key, nil, nil, &v) == 200 && !v.Lease.ExpiresAt.IsZero() && time.Since(v.Lease.ExpiresAt) > lateBy {
				d.breach("%s has a lease that ran out at %s", t.Key, v.Lease.ExpiresAt)
			}
		}
	}
}

// TestKillBoard kills the server at moments of chance while agents hand in and
// reviewers decide: what executions wait for, and tasks of the board that depend
// on each other. No verdict that was acknowledged is lost, the next one's work
// begins after an approval and not otherwise, nobody is given a lease that another
// holds, and a lease that has run out is gone, though some agents die with theirs.
func TestKillBoard(t *testing.T) {
	for _, form := range []string{"machine", "board"} {
		t.Run(form, func(t *testing.T) { killBoard(t, form) })
	}
}

func killBoard(t *testing.T, form string) {
	ctx := testContext(t)
	srv := newServer(t, t.TempDir())
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	d := &desk{srv: srv, api: newClient(srv.base), verdicts: map[string]string{}, holders: map[string]holding{}}
	const agents = 3
	var keys []string
	must := func(method, path string, in, out any) {
		t.Helper()
		if status := d.rest(ctx, method, path, nil, in, out); status != 200 {
			t.Fatalf("%s %s: status %d", method, path, status)
		}
	}
	must("POST", "projects", fields{"key": "WEB", "name": "Web", "policies": fields{"max_rework": 1000, "max_attempts": 1000, "lease": leaseTime.Seconds(), "failing_after": 1000}}, nil)
	for i := range agents {
		slug := fmt.Sprintf("a%d", i)
		var made struct{ Key string }
		must("POST", "agents", fields{"slug": slug, "projects": []string{"WEB"}, "slots": 50}, nil)
		must("POST", "agents/"+slug+"/keys", nil, &made)
		keys = append(keys, made.Key)
	}
	if form == "machine" {
		d.newMachine(ctx, t)
	}

	trouble, calm := context.WithCancel(ctx)
	working, stop := context.WithCancel(ctx)
	defer stop()
	var starters, workers sync.WaitGroup
	chance := newRand(t, 5)
	var chanceMu sync.Mutex
	random := func(n int) int {
		chanceMu.Lock()
		defer chanceMu.Unlock()
		return chance.IntN(n)
	}
	starters.Go(func() {
		for n := 0; trouble.Err() == nil && pause(trouble, 10*time.Millisecond); n++ {
			if form == "machine" {
				d.startOne(trouble, n, agents, random)
			} else {
				d.addPair(trouble, n, agents)
			}
		}
	})
	for i, key := range keys {
		for _, process := range []string{"p", "q"} { // which compete
			slug := fmt.Sprintf("a%d", i)
			workers.Go(func() { d.agent(working, slug, slug+process, key, random) })
		}
	}
	workers.Go(func() { d.reviewer(working, random) })
	workers.Go(func() { d.inspector(working) })

	for range *kills {
		if !pause(ctx, time.Duration(200+random(700))*time.Millisecond) {
			t.Fatal("no time left")
		}
		srv.kill()
		if err := srv.startReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	calm()
	starters.Wait()
	done := 0
	if form == "machine" {
		done = d.awaitExecutions(ctx, t, stop, &workers)
	} else {
		done = d.awaitPairs(ctx, t, stop, &workers)
	}
	t.Logf("%d processes, %s; %d pieces of work, %d claims, %d agents died with theirs, %d verdicts", srv.starts.Load(), srv.restarts(), done, d.claims, d.given, len(d.verdicts))
	if done < 20 || len(d.verdicts) == 0 || d.given == 0 {
		t.Errorf("too little was done to show anything")
	}
	if len(d.broken) > 0 {
		t.Errorf("%d promises were broken:\n%s", len(d.broken), firstOf(d.broken, 20))
	}
}

func (d *desk) newMachine(ctx context.Context, t *testing.T) {
	t.Helper()
	var made struct{ StateMachineArn string }
	if err := d.api.call(ctx, "CreateStateMachine", fields{"name": "board", "roleArn": roleARN, "definition": machine("A",
		`"A":{"Type":"Task","Resource":"arn:aws:states:::agent:runTask.sync","HeartbeatSeconds":3600,"Parameters":{"Project":"WEB","Title":"T","Assignee.$":"$.who"},"End":true}`)}, &made); err != nil {
		t.Fatal(err)
	}
	d.machine = made.StateMachineArn
}

// startOne starts an execution, and now and then stops an old one, at whatever it
// is.
func (d *desk) startOne(ctx context.Context, n, agents int, random func(n int) int) {
	in := fields{"stateMachineArn": d.machine, "name": fmt.Sprintf("x%d", n), "input": fmt.Sprintf(`{"who":"@a%d"}`, n%agents)}
	d.api.insist(ctx, "StartExecution", in, nil)
	if n > 20 && random(8) == 0 {
		d.api.call(ctx, "StopExecution", fields{"executionArn": strings.Replace(d.machine, "stateMachine", "execution", 1) + fmt.Sprintf(":x%d", n-random(20))}, nil)
	}
}

// addPair makes a task that is reviewed, and one that waits for it.
func (d *desk) addPair(ctx context.Context, n, agents int) {
	insist := func(key string, in fields) (made boardTask, ok bool) {
		for ctx.Err() == nil {
			if status := d.rest(ctx, "POST", "tasks", http.Header{"Idempotency-Key": {key}}, in, &made); status != 0 {
				return made, status == 200
			}
		}
		return made, false
	}
	first, ok := insist(fmt.Sprintf("draft-%d", n), fields{"project": "WEB", "title": "draft", "assignee": fmt.Sprintf("@a%d", n%agents)})
	if ok {
		insist(fmt.Sprintf("publish-%d", n), fields{
			"project": "WEB", "title": "publish " + first.Key, "assignee": fmt.Sprintf("@a%d", (n+1)%agents), "review_mode": "none",
			"depends_on": []fields{{"task": first.Key}},
		})
	}
}

// awaitExecutions waits until all have ended, and compares them with the board.
func (d *desk) awaitExecutions(ctx context.Context, t *testing.T, stop func(), workers *sync.WaitGroup) int {
	t.Helper()
	for {
		running, err := d.api.executions(ctx, d.machine, "RUNNING")
		if err != nil {
			t.Fatal(err)
		}
		if len(running) == 0 {
			break
		}
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("%d executions have not ended, such as %s", len(running), running[0].Name)
		}
	}
	stop()
	workers.Wait()
	all, err := d.api.executions(ctx, d.machine, "")
	if err != nil {
		t.Fatal(err)
	}
	d.check(ctx, t, all)
	return len(all)
}

// awaitPairs waits until nothing can be done any more, and looks whether that is
// what the verdicts say.
func (d *desk) awaitPairs(ctx context.Context, t *testing.T, stop func(), workers *sync.WaitGroup) int {
	t.Helper()
	var drafts, seconds map[string]boardTask
	for {
		drafts, seconds = d.pairs(ctx, t)
		open := ""
		for key, draft := range drafts {
			second, both := seconds[key]
			if draft.State != "done" && draft.State != "failed" || draft.State == "done" && both && second.State != "done" {
				open = key
			}
		}
		if open == "" {
			break
		}
		if !pause(ctx, 100*time.Millisecond) {
			t.Fatalf("%s is %s, and what waits for it %s", open, drafts[open].State, seconds[open].State)
		}
	}
	stop()
	workers.Wait()
	for key, draft := range drafts {
		if want := map[string]string{"approve": "done", "reject": "failed"}[d.verdicts[key]]; want != "" && want != draft.State {
			d.breach("%s was acknowledged for %s, which is %s", d.verdicts[key], key, draft.State)
		}
		if second, both := seconds[key]; both && draft.State == "failed" && second.State != "assigned" {
			d.breach("%s was rejected, and what waits for it is %s", key, second.State)
		}
	}
	return len(drafts)
}

// pairs reads all tasks: those that are reviewed, and by the key of what they wait
// for, the others.
func (d *desk) pairs(ctx context.Context, t *testing.T) (drafts, seconds map[string]boardTask) {
	t.Helper()
	drafts, seconds = map[string]boardTask{}, map[string]boardTask{}
	for cursor := ""; ; {
		var page struct {
			Tasks []boardTask
			Next  string `json:"next_cursor"`
		}
		if status := d.rest(ctx, "GET", "tasks?limit=200&project=WEB&cursor="+cursor, nil, nil, &page); status != 200 {
			t.Fatalf("list the tasks: status %d", status)
		}
		for _, it := range page.Tasks {
			if of, second := strings.CutPrefix(it.Title, "publish "); second {
				seconds[of] = it
			} else {
				drafts[it.Key] = it
			}
		}
		if cursor = page.Next; cursor == "" {
			return drafts, seconds
		}
	}
}

// check compares the board with the executions.
func (d *desk) check(ctx context.Context, t *testing.T, all []executionItem) {
	t.Helper()
	fits := map[string][]string{"SUCCEEDED": {"done"}, "FAILED": {"failed"}, "ABORTED": {"cancelled"}}
	for _, x := range all {
		var page struct{ Tasks []boardTask }
		if status := d.rest(ctx, "GET", "tasks?execution="+x.ARN, nil, nil, &page); status != 200 {
			t.Fatalf("list the tasks of %s: status %d", x.Name, status)
		}
		if n := len(page.Tasks); n > 1 || n == 0 && x.Status != "ABORTED" {
			d.breach("%s, %s, has %d tasks", x.Name, x.Status, n)
			continue
		}
		for _, it := range page.Tasks {
			if !slices.Contains(fits[x.Status], it.State) {
				d.breach("%s is %s, and its task %s is %s", x.Name, x.Status, it.Key, it.State)
			}
			if want := map[string]string{"approve": "SUCCEEDED", "reject": "FAILED"}[d.verdicts[it.Key]]; want != "" && want != x.Status {
				d.breach("%s was acknowledged for %s, whose execution is %s", d.verdicts[it.Key], it.Key, x.Status)
			}
		}
		events, err := d.api.history(ctx, x.ARN, 100)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if e.ID != int64(i+1) {
				d.breach("event %d of %s has the number %d", i+1, x.Name, e.ID)
			}
		}
	}
}
