package views_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/views"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// fields are members of a JSON object.
type fields = map[string]any

// world is a worker in motion, with views over what it does.
type world struct {
	testing.TB
	*worker.Worker
	store   store.Store
	server  *views.Server
	changes *views.Changes
	mux     *http.ServeMux

	ended chan struct{} // cap 1: an execution has

	mu    sync.Mutex
	calls int
	fails func(n int, c *task.Call) error // what the n-th call of a task fails with
}

// Run calls a task: its payload comes back, unless the test wants it to fail.
func (w *world) Run(_ context.Context, c *task.Call) (task.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if w.fails != nil {
		if err := w.fails(w.calls, c); err != nil {
			return task.Result{}, err
		}
	}
	return task.Result{Output: `{"ok":true}`}, nil
}

func begin(t testing.TB, st store.Store) *world {
	w := &world{TB: t, store: st, ended: make(chan struct{}, 1)}
	tasks := task.NewRegistry()
	tasks.Add("lambda:invoke", w)
	ctx, stop := context.WithCancel(context.Background())
	var err error
	w.Worker, err = worker.New(ctx, st, tasks, worker.Config{Committed: func(c *store.ExecutionCommit) {
		w.changes.Committed(c)
		if c.Delta.Status != engine.Running {
			select {
			case w.ended <- struct{}{}:
			default:
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.fresh()
	w.changes = w.server.Changes()
	ran := make(chan error, 2)
	go func() { ran <- w.Worker.Run(ctx) }()
	go func() { ran <- w.changes.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ran; err != nil {
				t.Error(err)
			}
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// fresh makes views that remember nothing.
func (w *world) fresh() {
	w.server, w.mux = views.New(views.Config{Store: w.store, Engine: w.Worker, Scheme: arn.Default}), http.NewServeMux()
	w.server.Register(w.mux)
}

func (w *world) machine(name, definition string) store.Machine {
	w.Helper()
	var m store.Machine
	err := w.Write(context.Background(), func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: name, Type: "STANDARD"}, store.Revision{Definition: definition, RoleARN: "arn:aws:iam::123456789012:role/r"})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// start starts an execution and returns what its paths begin with.
func (w *world) start(m store.Machine, name, input string) string {
	w.Helper()
	if _, err := w.Start(context.Background(), store.Start{Machine: m, Revision: m.Current, Name: name, Input: input}); err != nil {
		w.Fatal(err)
	}
	return "executions/" + url.PathEscape(arn.Default.Execution(m.Name, name))
}

// get makes a call that is answered well.
func (w *world) get(path string) fields {
	w.Helper()
	status, answer := w.do("GET", path, nil)
	if status != http.StatusOK {
		w.Fatalf("GET %s: %d %v", path, status, answer)
	}
	return answer
}

func (w *world) do(method, path string, body any) (int, fields) {
	w.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	r := httptest.NewRequest(method, "http://localhost/api/v1/"+path, bytes.NewReader(text))
	r.RemoteAddr = "127.0.0.1:1"
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	var answer fields
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		answer = fields{"text": rec.Body.String(), "type": rec.Header().Get("Content-Type")}
	}
	return rec.Code, answer
}

func list(v any) []fields {
	var all []fields
	for _, one := range v.([]any) {
		all = append(all, one.(fields))
	}
	return all
}

// lines writes visits in a few words each.
func lines(page fields) (all []string) {
	for _, v := range list(page["visits"]) {
		line := fmt.Sprint(v["path"], " ", v["status"])
		if v["waiting_for"] != nil {
			line += fmt.Sprint(" for ", v["waiting_for"])
		}
		for _, a := range list(v["attempts"]) {
			line += fmt.Sprint(", ", a["status"])
		}
		if v["error"] != nil {
			line += fmt.Sprint(": ", v["error"])
		}
		if v["redrive"] != 0.0 {
			line += fmt.Sprint(" (redrive ", v["redrive"], ")")
		}
		all = append(all, line)
	}
	return all
}

func (w *world) visits(path string, want ...string) fields {
	w.Helper()
	page := w.get(path)
	if diff := cmp.Diff(want, lines(page)); diff != "" {
		w.Errorf("%s (-want +got):\n%s", path, diff)
	}
	return page
}

func failing(name string) error {
	cause := "because"
	return &task.Error{Name: &name, Cause: &cause}
}

const lambda = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"ResultPath":null`

// Where a state stands, in which iteration and branch, and how it ended, is in its
// visit; so is what was tried.
func TestVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"Each","States":{
			"Each":{"Type":"Map","ItemsPath":"$.items","MaxConcurrency":1,"ResultPath":null,"Next":"Both","ItemProcessor":{"StartAt":"In","States":{"In":{"Type":"Pass","End":true}}}},
			"Both":{"Type":"Parallel","ResultPath":null,"Next":"Call","Branches":[
				{"StartAt":"Left","States":{"Left":{"Type":"Pass","End":true}}},
				{"StartAt":"Right","States":{"Right":{"Type":"Pass","Next":"Rest"},"Rest":{"Type":"Wait","Seconds":60,"End":true}}}]},
			"Call":{`+lambda+`,"Retry":[{"ErrorEquals":["Again"],"IntervalSeconds":10}],"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"End"}],"Next":"End"},
			"End":{"Type":"Succeed"}}}`)
		w.fails = func(n int, _ *task.Call) error { return failing([]string{"Again", "Bad"}[n-1]) }
		x := w.start(m, "x", `{"items":[1,2]}`)
		synctest.Wait()
		done := []string{"Each succeeded, succeeded", "Each#0/In succeeded", "Each#1/In succeeded"}
		w.visits(x+"/visits", append(slices.Clip(done),
			"Both running, running", "Both#0/Left succeeded", "Both#1/Right succeeded", "Both#1/Rest waiting for timer")...)

		time.Sleep(61 * time.Second)
		synctest.Wait()
		done = append(done, "Both succeeded, succeeded", "Both#0/Left succeeded", "Both#1/Right succeeded", "Both#1/Rest succeeded")
		page := w.visits(x+"/visits", append(slices.Clip(done), "Call retrying for timer, failed: Again")...)
		if status := page["status"]; status != "RUNNING" {
			t.Errorf("the execution is %v", status)
		}

		time.Sleep(time.Minute)
		synctest.Wait()
		page = w.visits(x+"/visits", append(slices.Clip(done), "Call caught, failed, failed: Bad", "End succeeded")...)
		rows := list(page["visits"])
		if in, out := rows[1]["input"].(fields)["text"], rows[1]["output"].(fields)["text"]; in != "1" || out != "1" {
			t.Errorf("the first iteration has the input %v and the output %v", in, out)
		}
		if node := rows[2]["node"]; node != "Each#0/In" {
			t.Errorf("the second iteration is drawn at %v", node)
		}
		if first, last := rows[0]["first_event"], rows[0]["last_event"]; first != 2.0 || last.(float64) < 10 {
			t.Errorf("the Map has the events %v to %v", first, last)
		}

		// What is asked for, and no more.
		w.visits(x+"/visits?state=In&payloads=none", done[1:3]...)
		w.visits(x+"/visits?path=Both%231/", "Both#1/Right succeeded", "Both#1/Rest succeeded")
		w.visits(x+"/visits?status=caught,failed", "Call caught, failed, failed: Bad")
		w.visits(fmt.Sprintf("%s/visits?changed_since=%v", x, rows[7]["first_event"]), "Call caught, failed, failed: Bad", "End succeeded")
		w.visits(x+"/visits?order=newest&limit=1", "End succeeded")

		// Page by page, everything once.
		for _, order := range []string{"first", "newest", "failed_first"} {
			var got []string
			path := x + "/visits?limit=2&order=" + order
			for next := ""; ; {
				page := w.get(path + next)
				got = append(got, lines(page)...)
				if page["next_cursor"] == nil {
					break
				}
				next = "&cursor=" + page["next_cursor"].(string)
			}
			slices.Sort(got)
			want := append(slices.Clone(done), "Call caught, failed, failed: Bad", "End succeeded")
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in the order %s (-want +got):\n%s", order, diff)
			}
		}

		totals := w.get(x + "/totals")
		for _, s := range list(totals["states"]) {
			if s["state"] == "Call" {
				if diff := cmp.Diff(fields{"Again": 1.0, "Bad": 1.0}, s["errors"]); diff != "" || s["attempts"] != 2.0 {
					t.Errorf("the totals of Call: %v", s)
				}
			}
		}
		detail := w.get(x)
		if detail["transitions"] != 9.0 || detail["status"] != "SUCCEEDED" || detail["open_visits"] != 0.0 {
			t.Errorf("the execution: %v", detail)
		}
	})
}

// A Map that fails ends what it is in the middle of; tried again, its iterations
// are others.
func TestVisitsOfFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"Each","States":{"Each":{"Type":"Map","End":true,"Retry":[{"ErrorEquals":["Bad"],"MaxAttempts":1}],"ItemProcessor":{"StartAt":"Which","States":{
			"Which":{"Type":"Choice","Choices":[{"Variable":"$","IsString":true,"Next":"Boom"}],"Default":"Rest"},
			"Rest":{"Type":"Wait","Seconds":60,"End":true},
			"Boom":{"Type":"Fail","Error":"Bad","Cause":"it is"}}}}}}`)
		x := w.start(m, "x", `[1,"bad"]`)
		time.Sleep(time.Minute)
		synctest.Wait()
		once := []string{"Each#0/Which succeeded", "Each#0/Rest aborted", "Each#1/Which succeeded", "Each#1/Boom failed: Bad"}
		w.visits(x+"/visits", slices.Concat([]string{"Each failed, failed, failed: Bad"}, once, once)...)
		w.visits(x+"/visits?order=failed_first&limit=3", "Each failed, failed, failed: Bad", "Each#1/Boom failed: Bad", "Each#1/Boom failed: Bad")
		detail := w.get(x)
		at := detail["failed"].(fields)
		if detail["state"] != "Boom" || at["path"] != "Each#1/Boom" || at["cause"] != "it is" || detail["error"] != "Bad" {
			t.Errorf("the execution failed in %v: %v", detail["state"], at)
		}
	})
}

// A redrive goes on with the visits that had not ended well.
func TestVisitsOfRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"Before","States":{"Before":{"Type":"Pass","Next":"Both"},"Both":{"Type":"Parallel","End":true,"Branches":[
			{"StartAt":"Rest","States":{"Rest":{"Type":"Wait","Seconds":60,"End":true}}},
			{"StartAt":"Call","States":{"Call":{`+lambda+`,"End":true}}},
			{"StartAt":"Fine","States":{"Fine":{"Type":"Pass","End":true}}}]}}}`)
		w.fails = func(n int, _ *task.Call) error {
			if n == 1 {
				return failing("Bad")
			}
			return nil
		}
		x := w.start(m, "x", `{}`)
		synctest.Wait()
		w.visits(x+"/visits", "Before succeeded", "Both failed, failed: Bad", "Both#0/Rest aborted", "Both#1/Call failed, failed: Bad", "Both#2/Fine succeeded")
		found, err := w.Lookup(t.Context(), "m", "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Deliver(t.Context(), found.ID, engine.Redriven{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.visits(x+"/visits", "Before succeeded", "Both running, failed (redrive 1)", "Both#0/Rest waiting for timer (redrive 1)",
			"Both#1/Call succeeded, failed, succeeded (redrive 1)", "Both#2/Fine succeeded")
		time.Sleep(time.Minute)
		synctest.Wait()
		w.visits(x+"/visits", "Before succeeded", "Both succeeded, failed (redrive 1)", "Both#0/Rest succeeded (redrive 1)",
			"Both#1/Call succeeded, failed, succeeded (redrive 1)", "Both#2/Fine succeeded")
	})
}

// A long payload is a beginning and a link to all of it.
func TestPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		long := `"` + strings.Repeat("ä", 20_000) + `"`
		x := w.start(m, "x", long)
		synctest.Wait()
		in := list(w.get(x + "/visits")["visits"])[0]["input"].(fields)
		if text := in["text"].(string); in["truncated"] != true || in["bytes"] != float64(len(long)) || !strings.HasPrefix(long, text) || len(text) > 32<<10 || len(text) < 32<<10-2 {
			t.Errorf("the input: %d bytes of %v", len(text), in["bytes"])
		}
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://localhost"+in["url"].(string), nil)
		r.RemoteAddr = "127.0.0.1:1"
		w.mux.ServeHTTP(rec, r)
		if rec.Body.String() != long || rec.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(rec.Header().Get("Content-Disposition"), "attachment") {
			t.Errorf("the link leads to %d bytes, %v", rec.Body.Len(), rec.Header())
		}
		for _, bad := range []string{"event=2&which=output", "event=99&which=input", "which=input", "event=2&which=it"} {
			if status, _ := w.do("GET", x+"/payload?"+bad, nil); status != http.StatusNotFound && status != http.StatusBadRequest {
				t.Errorf("payload?%s: %d", bad, status)
			}
		}
	})
}

// Searching looks over all machines, and so far as it says.
func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		good := w.machine("good", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		bad := w.machine("bad", `{"StartAt":"A","States":{"A":{"Type":"Fail","ErrorPath":"$.error","Cause":"c"}}}`)
		rest := w.machine("rest", `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}`)
		w.start(good, "g1", `{"who":{"id":42},"tags":["a","b"]}`)
		w.start(bad, "b1", `{"error":"One"}`)
		synctest.Wait()
		time.Sleep(time.Hour)
		w.start(bad, "b2", `{"error":"Two"}`)
		w.start(good, "g2", `{"who":{"id":"x:y"}}`)
		w.start(rest, "r1", `{}`)
		synctest.Wait()
		f := func(query string, want ...string) fields {
			t.Helper()
			page := w.get("executions?" + query)
			var got []string
			for _, x := range list(page["executions"]) {
				got = append(got, x["name"].(string))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
			return page
		}
		f("", "r1", "g2", "b2", "b1", "g1")
		f("status=FAILED", "b2", "b1")
		f("status=running,succeeded", "r1", "g2", "g1")
		f("machine=bad&error=One", "b1")
		f("error=Two", "b2")
		f("from=30m", "r1", "g2", "b2")
		f("to=30m", "b1", "g1")
		f("name=b", "b2", "b1")
		f("input=who.id:42", "g1")
		f("input=who.id:x:y", "g2")
		f("input=tags.1:b", "g1")
		f("input=tags:a", "g1")
		f("input=who:42")
		page := f("limit=2", "r1", "g2")
		page = f("limit=2&cursor="+page["next_cursor"].(string), "b2", "b1")
		f("limit=2&cursor="+page["next_cursor"].(string), "g1")
		rows := list(w.get("executions?status=RUNNING")["executions"])
		if rows[0]["state"] != "W" || rows[0]["waiting_for"] != "timer" {
			t.Errorf("the one that runs: %v", rows[0])
		}
		for _, wrong := range []string{"status=lost", "limit=0", "cursor=!", "from=then", "input=x", "version=1", "colour=red", "min_duration_ms=-1"} {
			if status, _ := w.do("GET", "executions?"+wrong, nil); status != http.StatusBadRequest {
				t.Errorf("executions?%s: %d", wrong, status)
			}
		}

		// What starts at the end of a stretch is not in it any more.
		buckets := list(w.get("executions/histogram?from=2h&buckets=2")["buckets"])
		for i, want := range []float64{0, 1} {
			if b := buckets[i]; b["succeeded"] != want || b["failed"] != want || b["running"] != 0.0 {
				t.Errorf("bucket %d: %v, want %v of each", i, b, want)
			}
		}

		for _, row := range list(w.get("machines")["machines"]) {
			if row["name"] == "bad" && (row["success_rate"] != 0.0 || row["p50_ms"] != 0.0) || row["name"] == "rest" && row["running"] != 1.0 {
				t.Errorf("the machine %v", row)
			}
		}
		if stats := list(w.get("machines/bad/stats")["states"]); stats[0]["failure_rate"] != 1.0 || stats[0]["visits"] != 2.0 {
			t.Errorf("the states of bad: %v", stats)
		}
	})
}

// A fork begins in the middle, with the input of the visit or another, the
// variables as they were there, and the same $$.Execution.Input.
func TestFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"A","States":{
			"A":{"Type":"Pass","Assign":{"v":1,"u":"x"},"Result":{"n":2},"Next":"B"},
			"B":{"Type":"Pass","Parameters":{"in.$":"$.n","v.$":"$v","u.$":"$u","begun.$":"$$.Execution.Input.id"},"Assign":{"v":99},"Next":"C"},
			"C":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"Inner","States":{"Inner":{"Type":"Pass","End":true}}}]}}}`)
		x := w.start(m, "x", `{"id":7}`)
		synctest.Wait()
		fork := func(body fields) fields {
			t.Helper()
			status, answer := w.do("POST", x+"/fork", body)
			if status != http.StatusOK {
				t.Fatalf("fork %v: %d %v", body, status, answer)
			}
			synctest.Wait()
			return answer
		}
		output := func(of fields) any {
			t.Helper()
			page := w.get("executions/" + url.PathEscape(of["arn"].(string)) + "/visits?limit=1")
			return list(page["visits"])[0]["output"].(fields)["text"]
		}
		made := fork(fields{"state": "B"})
		if got := output(made); got != `{"in":2,"u":"x","v":1,"begun":7}` {
			t.Errorf("a fork as it was: %v", got)
		}
		detail := w.get("executions/" + url.PathEscape(made["arn"].(string)))
		if of := detail["fork_of"].(fields); of["arn"] != arn.Default.Execution("m", "x") || of["state"] != "B" {
			t.Errorf("the fork is one of %v", of)
		}
		if forks := list(w.get(x)["forks"]); len(forks) != 1 || forks[0]["arn"] != made["arn"] {
			t.Errorf("the execution has the forks %v", forks)
		}
		made = fork(fields{"event": 4, "input": fields{"n": 5}, "variables": fields{"v": fields{"deep": true}}, "name": "mine"})
		if got := output(made); got != `{"in":5,"u":"x","v":{"deep":true},"begun":7}` || made["name"] != "mine" {
			t.Errorf("a fork with another input: %v", got)
		}
		f := func(body fields, status int, text string) {
			t.Helper()
			got, answer := w.do("POST", x+"/fork", body)
			said, _ := json.Marshal(answer)
			if got != status || !strings.Contains(string(said), text) {
				t.Errorf("fork %v: %d %s, want %d %s", body, got, said, status, text)
			}
		}
		f(fields{"state": "Inner"}, 400, `\"Inner\" is inside \"C\"`)
		f(fields{"state": "None"}, 400, "no state")
		f(fields{}, 400, "either which state")
		f(fields{"state": "A", "event": 2}, 400, "either which state")
		f(fields{"event": 1}, 400, "Event 1 is not one of a state")
		f(fields{"event": 999}, 400, "Event 999 is not one of a state")
		f(fields{"state": "B", "name": "mine"}, 409, "already")
		f(fields{"state": "B", "name": "a b"}, 400, "cannot be used")
		f(fields{"state": "B", "input": strings.Repeat("x", 300<<10)}, 400, "at most 262144")
	})
}

func openSQLite(t testing.TB) store.Store {
	st, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return st
}
