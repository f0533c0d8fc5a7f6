package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load drives a server with executions of every kind and is all that they deal
// with: the functions, those who answer by token, the activity's workers, and
// those who start and stop. It writes down what it was promised and what it was
// asked for; see check.
type load struct {
	srv       *server
	api       *client
	functions *httptest.Server
	machines  map[string]string // kind → ARN
	outside   sync.WaitGroup    // those who answer
	callers   sync.WaitGroup    // those who start and stop
	ctx       context.Context

	ids, nonces atomic.Int64

	mu       sync.Mutex
	rand     *rand.Rand
	starts   []*start
	names    []*start // those with a name, for starting them again
	stops    map[string]*stop
	calls    map[taskKey]*callRecord
	answers  map[string]*answered // by task token
	handed   map[taskKey]int
	problems []string
}

// start is a StartExecution.
type start struct {
	kind  *kind
	id    int64
	name  string // "": the server gives one
	input string
	arn   string // once it is acknowledged
	exist bool   // acknowledged in another way: the server said that the name is taken
}

// stop is what StopExecution was promised.
type stop struct {
	cause    string
	stopDate float64 // 0: not acknowledged
}

// taskKey names an attempt of a step.
type taskKey struct {
	execution, step string
	attempt         int
}

type callRecord struct {
	payload, id string
	processes   map[string]bool // that made the call
	repeats     int
}

// answered is what was said about a token, by whom.
type answered struct {
	key   taskKey
	said  map[int64]bool // nonce → acknowledged
	fails bool
}

// payload is what a task gets; see call in the machines.
type payload struct {
	Execution string `json:"execution"`
	Step      string `json:"step"`
	Attempt   int    `json:"attempt"`
	ID        int64  `json:"id"`
	N         int    `json:"n"`
	Token     string `json:"token"`
}

func (p *payload) key() taskKey { return taskKey{p.Execution, p.Step, p.Attempt} }

// flaky decides whether the first attempt at a step fails: about every sixth.
func (p *payload) flaky() bool {
	h := fnv.New32a()
	fmt.Fprint(h, p.ID, p.Step)
	return p.Attempt == 0 && h.Sum32()%6 == 0
}

// newLoad makes the outside. ctx ends it.
func newLoad(ctx context.Context, t *testing.T, dir string) *load {
	l := &load{
		ctx: ctx, rand: newRand(t, 1), machines: map[string]string{}, stops: map[string]*stop{},
		calls: map[taskKey]*callRecord{}, answers: map[string]*answered{}, handed: map[taskKey]int{},
	}
	l.functions = httptest.NewServer(http.HandlerFunc(l.invoked))
	t.Cleanup(l.functions.Close)
	l.srv = newServer(t, dir)
	l.api = newClient(l.srv.base)
	t.Cleanup(l.api.http.CloseIdleConnections)
	return l
}

// start starts the server. Each process has an address of its own for the
// functions, so that we see which one calls.
func (l *load) start(ctx context.Context) error { return l.srv.start(ctx, l.endpoint()) }

func (l *load) endpoint() string {
	return fmt.Sprintf("AWS_ENDPOINT_URL_LAMBDA=%s/p%d", l.functions.URL, l.srv.starts.Load()+1)
}

// prepare makes the machines and the activity.
func (l *load) prepare(ctx context.Context) error {
	if err := l.api.insist(ctx, "CreateActivity", fields{"name": "work"}, nil); err != nil {
		return err
	}
	for _, k := range kinds {
		var out struct{ StateMachineArn string }
		if err := l.api.insist(ctx, "CreateStateMachine", fields{"name": k.name, "definition": k.definition, "roleArn": roleARN}, &out); err != nil {
			return fmt.Errorf("create %s: %w", k.name, err)
		}
		l.machines[k.name] = out.StateMachineArn
	}
	return nil
}

// begin sets the load in motion; callers stop with ctx, the outside goes on.
func (l *load) begin(ctx context.Context) {
	for range 8 {
		l.callers.Go(func() { l.startMany(ctx) })
	}
	for i := range 4 {
		l.outside.Go(func() { l.work(fmt.Sprintf("worker%d", i)) })
	}
}

// chance is a number from 0 up to n.
func (l *load) chance(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.IntN(n)
}

func (l *load) millis(n int) time.Duration { return time.Duration(l.chance(n*1000)) * time.Microsecond }

// problem notes something that must not happen.
func (l *load) problem(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

func (l *load) startMany(ctx context.Context) {
	for pause(ctx, l.millis(50)) {
		if l.chance(12) == 0 {
			l.startAgain(ctx)
			continue
		}
		s := l.newStart(l.chance(5) < 2)
		l.begun(ctx, s)
		if s.arn != "" && l.chance(10) == 0 {
			l.callers.Go(func() { l.stop(s) })
		}
	}
}

func (l *load) newStart(named bool) *start {
	id := l.ids.Add(1)
	s := &start{kind: &kinds[l.chance(len(kinds))], id: id}
	s.input = fmt.Sprintf(`{"id":%d,"n":0,"by":0,"wait":%d,"items":[1,2,3]}`, id, 1+id%2)
	l.mu.Lock()
	defer l.mu.Unlock()
	if named {
		s.name = "run-" + strconv.FormatInt(id, 10)
		l.names = append(l.names, s)
	}
	l.starts = append(l.starts, s)
	return s
}

// begun starts an execution. One with a name is asked for until there is an
// answer; without, asking again would make another.
func (l *load) begun(ctx context.Context, s *start) {
	arn, err := l.startOnce(l.ctx, s, s.input)
	for s.name != "" && (unsettled(err) || code(err) == "ThrottlingException") && pause(l.ctx, 20*time.Millisecond) {
		arn, err = l.startOnce(l.ctx, s, s.input)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		s.arn = arn
	case code(err) == "ExecutionAlreadyExists" && s.name != "":
		s.exist = true // it has ended by the time we asked again
	case !unsettled(err):
		l.problems = append(l.problems, fmt.Sprintf("start %d of %s was refused: %v", s.id, s.kind.name, err))
	}
}

func (l *load) startOnce(ctx context.Context, s *start, input string) (arn string, err error) {
	in := fields{"stateMachineArn": l.machines[s.kind.name], "input": input}
	if s.name != "" {
		in["name"] = s.name
	}
	var out struct{ ExecutionArn string }
	err = l.api.call(ctx, "StartExecution", in, &out)
	return out.ExecutionArn, err
}

// startAgain repeats a start of before, or asks for its name with another input.
func (l *load) startAgain(ctx context.Context) {
	l.mu.Lock()
	if len(l.names) == 0 {
		l.mu.Unlock()
		return
	}
	recent := l.names[max(0, len(l.names)-20):]
	s := recent[l.rand.IntN(len(recent))]
	other := l.rand.IntN(2) == 0
	acknowledged := s.arn
	l.mu.Unlock()
	input := s.input
	if other {
		if acknowledged == "" {
			return // this one could come first
		}
		input = `{"id":-1}`
	}
	arn, err := l.startOnce(l.ctx, s, input)
	switch {
	case unsettled(err), code(err) == "ThrottlingException", code(err) == "ExecutionAlreadyExists":
	case err != nil:
		l.problem("repeated start of %s was refused: %v", s.name, err)
	case other:
		l.problem("%s was started again with another input", s.name)
	case acknowledged != "" && arn != acknowledged:
		l.problem("repeated start of %s gave %s, was %s", s.name, arn, acknowledged)
	}
}

// stop stops an execution some time after its start.
func (l *load) stop(s *start) {
	if !pause(l.ctx, l.millis(1500)) {
		return
	}
	want := &stop{cause: strconv.FormatInt(l.nonces.Add(1), 10)}
	l.mu.Lock()
	l.stops[s.arn] = want
	l.mu.Unlock()
	var out struct{ StopDate float64 }
	err := l.api.insist(l.ctx, "StopExecution", fields{"executionArn": s.arn, "error": "Halt", "cause": want.cause}, &out)
	if err != nil && l.ctx.Err() == nil {
		l.problem("stop %s: %v", s.arn, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	want.stopDate = out.StopDate
}

// invoked is every function: "step" does a step, "ask" passes a token on.
func (l *load) invoked(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // p1/2015-03-31/functions/NAME/invocations
	body, err := io.ReadAll(r.Body)
	var p payload
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || len(parts) != 5 {
		if !errors.Is(err, io.ErrUnexpectedEOF) { // the caller was killed
			l.problem("a function was called at %s with %q: %v", r.URL.Path, body, err)
		}
		return
	}
	l.noteCall(parts[0], r.Header.Get("Idempotency-Key"), p, string(body))
	if p.Token != "" {
		l.askSomebody(p)
		pause(r.Context(), l.millis(20))
		fmt.Fprint(w, "{}")
		return
	}
	delay := l.millis(30)
	if l.chance(10) == 0 {
		delay = l.millis(400)
	}
	pause(r.Context(), delay)
	if p.flaky() {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		fmt.Fprint(w, `{"errorType":"Flaky","errorMessage":"not the first time"}`)
		return
	}
	fmt.Fprint(w, p.done(l.nonces.Add(1)))
}

// done is the result of a step.
func (p *payload) done(by int64) string {
	return fmt.Sprintf(`{"id":%d,"n":%d,"by":%d}`, p.ID, p.N+1, by)
}

// noteCall checks a call against those before: another process may repeat it,
// with the same words; the same process may not.
func (l *load) noteCall(process, id string, p payload, body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[p.key()]
	if c == nil {
		l.calls[p.key()] = &callRecord{payload: body, id: id, processes: map[string]bool{process: true}}
		return
	}
	c.repeats++
	if c.processes[process] {
		l.problems = append(l.problems, fmt.Sprintf("process %s called %v twice", process, p.key()))
	}
	c.processes[process] = true
	if c.payload != body || c.id != id {
		l.problems = append(l.problems, fmt.Sprintf("%v was called with %s %s, then with %s %s", p.key(), c.id, c.payload, id, body))
	}
}

// askSomebody has a token answered, sometimes by two at once.
func (l *load) askSomebody(p payload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers[p.Token] != nil {
		return // asked again after a crash
	}
	l.answers[p.Token] = &answered{key: p.key(), said: map[int64]bool{}, fails: p.flaky()}
	count := 1
	if l.rand.IntN(6) == 0 {
		count = 2
	}
	for range count {
		delay := time.Duration(l.rand.IntN(200)) * time.Millisecond
		l.outside.Go(func() {
			if pause(l.ctx, delay) {
				l.answer(p)
			}
		})
	}
}

// answer answers a token until that is settled.
func (l *load) answer(p payload) {
	nonce := l.nonces.Add(1)
	l.mu.Lock()
	a := l.answers[p.Token]
	if a == nil {
		a = &answered{key: p.key(), said: map[int64]bool{}}
		l.answers[p.Token] = a
	}
	a.said[nonce] = false
	l.mu.Unlock()
	var err error
	if a.fails {
		err = l.api.insist(l.ctx, "SendTaskFailure", fields{"taskToken": p.Token, "error": "Flaky", "cause": strconv.FormatInt(nonce, 10)}, nil)
	} else {
		err = l.api.insist(l.ctx, "SendTaskSuccess", fields{"taskToken": p.Token, "output": p.done(nonce)}, nil)
	}
	switch {
	case err == nil:
		l.mu.Lock()
		a.said[nonce] = true
		l.mu.Unlock()
	case code(err) != "TaskTimedOut" && l.ctx.Err() == nil:
		l.problem("answer for %v: %v", p.key(), err)
	}
}

// work takes the activity's tasks and does them, or forgets them.
func (l *load) work(name string) {
	for l.ctx.Err() == nil {
		var task struct{ TaskToken, Input string }
		err := l.api.call(l.ctx, "GetActivityTask", fields{"activityArn": activityARN, "workerName": name}, &task)
		if err != nil {
			if !unsettled(err) {
				l.problem("poll for tasks: %v", err)
			}
			pause(l.ctx, 10*time.Millisecond)
			continue
		}
		if task.TaskToken == "" {
			continue
		}
		var p payload
		if err := json.Unmarshal([]byte(task.Input), &p); err != nil {
			l.problem("a task with the input %q", task.Input)
			continue
		}
		p.Token = task.TaskToken
		l.mu.Lock()
		l.handed[p.key()]++
		l.mu.Unlock()
		if l.chance(40) == 0 {
			continue
		}
		pause(l.ctx, l.millis(20))
		if l.chance(5) == 0 {
			l.api.insist(l.ctx, "SendTaskHeartbeat", fields{"taskToken": p.Token}, nil)
		}
		l.answer(p)
	}
}

// drain waits until every execution has ended, and ends the outside.
func (l *load) drain(ctx context.Context, end context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l.callers.Wait()
	for {
		running := 0
		var sample executionItem
		for _, arn := range l.machines {
			list, err := l.api.executions(ctx, arn, "RUNNING")
			if err != nil {
				return err
			}
			if running += len(list); len(list) > 0 {
				sample = list[0]
			}
		}
		if running == 0 {
			break
		}
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("%d executions do not end, such as %s%s", running, sample.ARN, l.lastEvents(sample.ARN))
		}
	}
	end()
	l.outside.Wait()
	return nil
}

func (l *load) lastEvents(arn string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	events, err := l.api.history(ctx, arn, 1000)
	if err != nil {
		return fmt.Sprintf(" (%v)", err)
	}
	var out strings.Builder
	for _, ev := range events[max(0, len(events)-6):] {
		fmt.Fprintf(&out, "\n  %d after %d %s", ev.ID, ev.Previous, ev.Type)
	}
	return out.String()
}
