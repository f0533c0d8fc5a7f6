package fn

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxLine and maxLineBytes are how many calls of a function wait for a process at
// most, and how long their payloads are together. Lambda refuses at once what
// exceeds a function's concurrency; here that is a number of processes on
// somebody's machine, so calls are given some time.
const (
	maxLine      = 1000
	maxLineBytes = 64 << 20
)

// initTime is how long a process may take until it asks for its first call, as
// on Lambda; a function that may take longer for a call may for this, too.
const initTime = 10 * time.Second

// function is a function with its processes.
type function struct {
	m    *Manager
	name string
	spec Spec
	log  *log
	room chan struct{} // holds one for each event that runs: no more than there are processes

	mu        sync.Mutex
	instances map[*instance]struct{}
	idle      []*instance // the one that has been idle for the shortest time is last
	guests    map[string]*instance
	line      []*invocation // calls that wait; those that are over have left
	lineBytes int           // of their payloads
	counts    [states]int   // of instances
	started   int           // ever
	gone      bool

	invocations, errors int64
}

// state is what a process is doing.
type state int

const (
	starting state = iota
	idle           // it waits for a call
	busy           // it has one
	between        // it has done one and will soon ask for the next
	tardy          // it has not done so, or has stopped waiting
	ending
	states
)

// graceTime is how long a process may take from its answer until it asks for the
// next call before another is started for a call that waits.
const graceTime = 50 * time.Millisecond

// instance is a process of a function, or a worker elsewhere for as long as it
// asks for a call and serves it.
type instance struct {
	f      *function
	number int
	next   chan *invocation // has room for one
	guest  bool

	process *process
	out     *capture
	server  *http.Server
	timer   *time.Timer // of the call, or of the start
	died    chan struct{}

	// f.mu guards what follows.
	state    state
	current  *invocation
	first    *invocation // that it was started for
	why      string      // it was ended: an error type
	retiring bool        // it gets no more calls
	began    time.Time
	since    time.Time // it is idle
	deadline time.Time
	initTook time.Duration
	initSaid []byte // what it posted to init/error
	peak     int64  // bytes
}

// invocation is one call.
type invocation struct {
	id        string
	payload   []byte
	arn       string
	qualifier string
	context   string // client context, as JSON
	trace     string
	tail      bool // the end of the log is wanted

	done  chan struct{}
	f     atomic.Pointer[function] // where it waits or runs; its mu guards what follows
	began time.Time
	over  bool
	result
}

// result is how a call ended. Read it when done is closed.
type result struct {
	answer  []byte
	failed  bool     // the answer is an error, of the function or its process
	log     []byte   // its end, if it was wanted
	refused *refusal // it was not carried out
}

func newFunction(m *Manager, name string, s Spec) *function {
	return &function{m: m, name: name, spec: s, room: make(chan struct{}, s.Concurrency),
		instances: map[*instance]struct{}{}, guests: map[string]*instance{}}
}

// enter gives a call to a process that waits, or puts it into the line. It
// reports false if the function is gone: look for it again.
func (f *function) enter(inv *invocation) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return false
	}
	inv.f.Store(f)
	switch {
	case len(f.idle) > 0:
		f.assign(f.popIdle(), inv)
	case len(f.line) >= maxLine || f.lineBytes > maxLineBytes:
		inv.end(result{refused: throttled()})
	default:
		f.line = append(f.line, inv)
		f.lineBytes += len(inv.payload)
		f.grow()
	}
	return true
}

// grow starts processes for the calls that wait, as many as there may be.
func (f *function) grow() {
	for len(f.spec.Command) > 0 && !f.gone && len(f.instances) < f.spec.Concurrency {
		soon := f.counts[starting] + f.counts[between]
		if len(f.line) <= soon {
			return
		}
		f.start(f.line[soon])
	}
}

// set says what i is doing now. f.mu is held.
func (i *instance) set(s state) {
	if !i.guest {
		i.f.counts[i.state]--
		i.f.counts[s]++
	}
	i.state = s
}

func (f *function) popIdle() *instance {
	i := f.idle[len(f.idle)-1]
	f.idle = f.idle[:len(f.idle)-1]
	return i
}

func (f *function) dropIdle(i *instance) {
	for at, other := range f.idle {
		if other == i {
			f.idle = append(f.idle[:at], f.idle[at+1:]...)
			return
		}
	}
}

// popLine takes the call that has waited longest, or nil.
func (f *function) popLine() *invocation {
	if len(f.line) == 0 {
		return nil
	}
	inv := f.line[0]
	f.line[0] = nil
	f.lineBytes -= len(inv.payload)
	if f.line = f.line[1:]; len(f.line) == 0 {
		f.line = nil
	}
	return inv
}

func (f *function) dropLine(inv *invocation) bool {
	for at, other := range f.line {
		if other == inv {
			f.line = append(f.line[:at:at], f.line[at+1:]...)
			f.lineBytes -= len(inv.payload)
			return true
		}
	}
	return false
}

func (f *function) assign(i *instance, inv *invocation) {
	i.set(busy)
	i.current = inv
	if i.guest {
		f.guests[inv.id] = i
	}
	i.next <- inv
}

// leave takes a call out of the line that nobody waits for any more. One that
// runs runs on.
func (inv *invocation) leave() {
	for {
		f := inv.f.Load()
		f.mu.Lock()
		moved := inv.f.Load() != f // to the function's next form
		if !moved && f.dropLine(inv) {
			inv.end(result{refused: throttled()})
		}
		f.mu.Unlock()
		if !moved {
			return
		}
	}
}

// end makes the result known. f.mu is held.
func (inv *invocation) end(r result) {
	if inv.over {
		return
	}
	inv.over, inv.result = true, r
	close(inv.done)
}

// start begins a process for a call. f.mu is held.
func (f *function) start(first *invocation) {
	f.started++
	i := &instance{
		f: f, number: f.started, first: first, began: time.Now(), state: starting,
		next: make(chan *invocation, 1), died: make(chan struct{}),
	}
	i.out = newCapture(f.log, i.number)
	f.instances[i] = struct{}{}
	f.counts[starting]++
	i.timer = time.AfterFunc(max(initTime, time.Duration(f.spec.Timeout)), i.expire)
	f.m.parts.Go(i.live)
}

// live starts the process, waits for its end and cleans up after it.
func (i *instance) live() {
	reason, err := i.run()
	f := i.f
	i.timer.Stop()
	f.mu.Lock()
	f.dropIdle(i)
	delete(f.instances, i)
	victim := i.current
	if i.state == starting && i.first != nil && !i.first.over && f.dropLine(i.first) {
		victim = i.first
		i.out.begin(victim.id)
	}
	i.set(ending)
	f.counts[ending]--
	if victim != nil {
		kind, answer := i.exitError(victim, reason, err)
		i.fail(victim, kind, answer)
	}
	close(i.died)
	f.grow()
	last := f.gone && len(f.instances) == 0
	f.mu.Unlock()
	if i.server != nil {
		i.server.Close()
	}
	i.out.close()
	if last {
		f.m.forget(f)
	}
}

// run gives the process an address of its own and runs it to its end. The error
// says why it could not be started.
func (i *instance) run() (reason string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	i.server = &http.Server{
		Handler:           &runtime{f: i.f, own: i, host: address},
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    2 << 20, // runtimes put a trace of an error into a header
		ErrorLog:          discard,
	}
	go i.server.Serve(listener) // its error is that it was closed
	p, err := i.f.m.spawner.start(i.f.spec.Command, i.f.spec.Dir, i.f.environment(i, address))
	if err != nil {
		i.server.Close()
		return "", err
	}
	i.out.attach(p.out)
	i.f.mu.Lock()
	i.process = p
	dead := i.why != "" || i.retiring && i.f.gone
	i.f.mu.Unlock()
	if dead { // it was ended before it was there
		p.kill()
	}
	return p.wait(), nil
}

// exitError is what a caller gets whose process has ended.
func (i *instance) exitError(inv *invocation, reason string, err error) (kind string, answer []byte) {
	switch {
	case i.initSaid != nil:
		return errorType(i.initSaid), i.initSaid
	case err != nil:
		return explain("Runtime.InvalidEntrypoint", inv.id, err.Error())
	case i.why == timedOut:
		return explain(timedOut, inv.id, timeoutText(i.f.spec.Timeout))
	case i.why != "" || reason != "exit status 0":
		return explain(cmp.Or(i.why, exited), inv.id, "Runtime exited with error: "+reason)
	}
	return explain(exited, inv.id, "Runtime exited without providing a reason")
}

const (
	timedOut    = "Sandbox.Timedout"
	outOfMemory = "Runtime.OutOfMemory"
	exited      = "Runtime.ExitError"
)

func timeoutText(d Duration) string {
	return fmt.Sprintf("Task timed out after %.2f seconds", time.Duration(d).Seconds())
}

// explain makes the answer of Lambda for a call that its own code did not answer.
func explain(kind, id, text string) (string, []byte) {
	answer, _ := json.Marshal(errorBody{kind, "RequestId: " + id + " Error: " + text}) // strings always can
	return kind, answer
}

// errorBody is what an error's payload has for people and programs.
type errorBody struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// errorType is the errorType of a payload; "" where it has none.
func errorType(payload []byte) string { return readError(payload).Type }

func errorMessage(payload []byte) string { return readError(payload).Message }

func readError(payload []byte) (body errorBody) {
	_ = json.Unmarshal(payload, &body) // what is none has no type
	return body
}

// fail ends a call with an error. f.mu is held.
func (i *instance) fail(inv *invocation, kind string, answer []byte) {
	i.finish(inv, result{answer: answer, failed: true}, kind)
}

// finish ends the call of a process and writes the last lines of its log; kind
// is the type of an error. f.mu is held.
func (i *instance) finish(inv *invocation, r result, kind string) {
	if inv.over {
		return
	}
	f := i.f
	f.invocations++
	if r.failed {
		f.errors++
	}
	if i.current == inv {
		i.current, i.deadline = nil, time.Time{}
	}
	if i.guest {
		delete(f.guests, inv.id)
	}
	if i.out != nil {
		var took time.Duration
		if !inv.began.IsZero() {
			took = time.Since(inv.began)
		}
		if kind == timedOut {
			took = time.Duration(f.spec.Timeout)
		}
		if i.peak == 0 && i.process != nil {
			i.peak = i.process.memory()
		}
		i.out.end(report{inv.id, took, i.initTook, f.memory(), i.peak, kind, r.answer})
		i.initTook = 0
		if inv.tail {
			r.log = i.out.tail()
		}
	}
	inv.end(r)
}

// expire ends a call, or a start, that takes too long.
func (i *instance) expire() {
	f := i.f
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case i.state == starting:
		i.why = timedOut
	case i.state == busy && i.current != nil && !i.deadline.IsZero() && !time.Now().Before(i.deadline):
		i.why = timedOut
		inv := i.current
		kind, answer := explain(timedOut, inv.id, timeoutText(f.spec.Timeout))
		i.set(ending)
		i.fail(inv, kind, answer)
	case i.state == between:
		i.set(tardy)
		f.grow()
		return
	default:
		return
	}
	i.kill()
}

// kill ends the process and its group at once. f.mu is held.
func (i *instance) kill() {
	if i.process != nil {
		i.process.kill()
	}
}

// terminate asks the process to end, and ends it if it does not. f.mu is held.
func (i *instance) terminate() {
	i.set(ending)
	if i.guest || i.process == nil {
		return
	}
	i.process.terminate()
	time.AfterFunc(terminateTime, i.process.kill)
}

// terminateTime is what Lambda leaves a process that was told to end.
const terminateTime = 500 * time.Millisecond

// retire ends the processes that fit: now if they have nothing to do, otherwise
// after their call.
func (f *function) retire(fits func(*instance) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.instances {
		if !fits(i) {
			continue
		}
		i.retiring = true
		if i.state == idle || i.state == between || i.state == tardy {
			f.dropIdle(i)
			i.terminate()
		}
	}
}

// replaced says that next has taken f's place, nil for nobody. Calls in line go
// there.
func (f *function) replaced(next *function) {
	f.retire(func(*instance) bool { return true })
	f.mu.Lock()
	f.gone = true
	line, size := f.line, f.lineBytes
	f.line, f.lineBytes = nil, 0
	last := len(f.instances) == 0
	for _, i := range f.guests {
		i.retiring = true
	}
	for _, inv := range line {
		if next == nil {
			inv.end(result{refused: notFound(inv.arn)})
		}
	}
	for _, i := range f.idle { // workers elsewhere: their poll ends without a call
		close(i.next)
	}
	f.idle = nil
	f.mu.Unlock()
	if next != nil && len(line) > 0 {
		next.mu.Lock()
		for _, inv := range line {
			inv.f.Store(next)
		}
		next.line = append(next.line, line...)
		next.lineBytes += size
		next.grow()
		next.mu.Unlock()
	}
	if last {
		go f.m.forget(f) // whoever replaces holds m.mu
	}
}

// close ends all processes at once; calls fail.
func (f *function) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	for _, inv := range f.line {
		inv.end(result{refused: closing()})
	}
	f.line = nil
	for i := range f.instances {
		if i.current != nil {
			i.current.end(result{refused: closing()})
			i.current = nil
		}
		i.retiring = true
		i.why = cmp.Or(i.why, exited)
		i.kill()
	}
	for _, i := range f.guests {
		i.current.end(result{refused: closing()})
	}
	for _, i := range f.idle {
		if i.guest {
			close(i.next)
		}
	}
	f.idle = nil
}

// measure looks at the memory of processes that do something, and ends those
// that hold too much.
func (f *function) measure() {
	f.mu.Lock()
	var all []*instance
	for i := range f.instances {
		if i.process != nil && i.state != idle && i.state != ending {
			all = append(all, i)
		}
	}
	f.mu.Unlock()
	for _, i := range all {
		size := i.process.memory()
		f.mu.Lock()
		i.peak = max(i.peak, size)
		if f.spec.Memory > 0 && size > int64(f.spec.Memory)<<20 && i.why == "" && i.state != ending {
			i.why = outOfMemory
			i.kill()
		}
		f.mu.Unlock()
	}
}

func (f *function) info() Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := Info{
		Name: f.name, ARN: f.m.arn(f.name, ""), Spec: f.spec, Processes: len(f.instances), Waiting: len(f.line),
		Invocations: f.invocations, Errors: f.errors, Busy: len(f.guests),
	}
	for p := range f.instances {
		if p.state == busy {
			i.Busy++
		}
	}
	return i
}

// memory is what a process is told that it may hold, in MiB: where it is not
// limited, Lambda's most.
func (f *function) memory() int {
	if f.spec.Memory < 0 {
		return 10240
	}
	return f.spec.Memory
}

// inherited are the variables of the server that every process gets. None of
// them is a secret; LC_* comes along too.
var inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"SYSTEMROOT", "WINDIR", "PATHEXT", "COMSPEC", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
}

// environment is that of a process: Lambda's, some of the server's, and what the
// function asks for, which comes last and so counts.
func (f *function) environment(i *instance, address string) []string {
	short, qualifier := split(f.name)
	region := f.m.c.Region
	if part := strings.Split(f.name, ":"); strings.HasPrefix(f.name, "arn:") && len(part) > 4 {
		region = part[3]
	}
	dir := f.spec.Dir
	if dir == "" {
		dir, _ = os.Getwd() // "" then: nothing better is known
	}
	var env []string
	set := func(name, value string) { env = append(env, name+"="+value) }
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			set(name, v)
		}
	}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "LC_") {
			env = append(env, entry)
		}
	}
	set("AWS_REGION", region)
	set("AWS_DEFAULT_REGION", region)
	if f.m.c.Endpoint != "" {
		set("AWS_ENDPOINT_URL_SFN", f.m.c.Endpoint)
	}
	for _, name := range f.spec.PassEnv {
		if v, ok := os.LookupEnv(name); ok {
			set(name, v)
		}
	}
	for name, v := range f.spec.Env {
		set(name, v)
	}
	set("AWS_LAMBDA_RUNTIME_API", address)
	set("AWS_LAMBDA_FUNCTION_NAME", short)
	set("AWS_LAMBDA_FUNCTION_VERSION", version(qualifier))
	set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", strconv.Itoa(f.memory()))
	set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
	set("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/"+short)
	set("AWS_LAMBDA_LOG_STREAM_NAME", i.began.UTC().Format("2006/01/02")+"/["+version(qualifier)+"]"+strconv.Itoa(i.number))
	set("LAMBDA_TASK_ROOT", filepath.Clean(dir))
	set("_HANDLER", f.spec.Handler)
	return env
}

// version is the version that a qualifier names, as far as it can be known here:
// an alias stands for the only one there is.
func version(qualifier string) string {
	if _, err := strconv.Atoi(qualifier); err == nil {
		return qualifier
	}
	return "$LATEST"
}

// wait returns when the call has ended. If ctx ends first, nobody is told how.
func (inv *invocation) wait(ctx context.Context) error {
	select {
	case <-inv.done:
		return nil
	case <-ctx.Done():
		inv.leave()
		return ctx.Err()
	}
}
