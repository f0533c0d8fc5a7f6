// Package awsapi is the AWS Step Functions API over HTTP: it decodes a request,
// checks it as AWS does, calls the engine or the store, and encodes the answer.
//
// A request takes one road: ServeHTTP finds the action in the table in
// actions.go; its handler reads the members it knows through an input, which
// gathers what breaks the service model's constraints; what it then refuses is
// an *Error from errors.go, the one place with AWS's error names and wording.
// Nothing is answered before it is durable: Engine.Start, Deliver and Write
// return after the commit.
//
// Texts and shapes are those of the service model and of answers recorded from
// AWS; where neither says anything, a comment does.
package awsapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Engine moves executions. The worker is one.
type Engine interface {
	// Start returns when the execution is durable. While an execution with the
	// same name and input runs, it returns that one; when the name is taken
	// otherwise, store.ErrExists together with the execution that has it.
	Start(ctx context.Context, s store.Start) (store.Execution, error)
	// Deliver hands an event to an execution and returns when what it caused is
	// durable, or engine.ErrNotWaiting when nothing waits for it.
	Deliver(ctx context.Context, id store.ExecutionID, ev engine.Event) error
	// Write makes a change of the control plane durable and returns what do
	// returned.
	Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	// Lookup finds an execution with its input and output by the names of its
	// machine and its own, or returns store.ErrNotFound.
	Lookup(ctx context.Context, machine, name string) (store.Execution, error)
	// ParseToken takes a task token apart, or says that it is none of ours.
	ParseToken(token string) (store.ExecutionID, engine.TaskID, error)
	// Poll waits for a task of the activity and claims it for the worker. The
	// token is "" when ctx ends first.
	Poll(ctx context.Context, a store.Activity, worker string) (token, input string, err error)
}

// Tasks calls what the Task states call. The worker does.
type Tasks interface {
	// Try calls a task of a state that is tested by itself and returns what came
	// of it: engine.TaskSucceeded or engine.TaskFailed. It ends soon after ctx.
	Try(ctx context.Context, x *engine.Execution, d *engine.Dispatch) engine.Event
}

// Express runs the executions of EXPRESS machines. The names of the machine and
// of the execution are set in what it gets.
type Express interface {
	// Reserve gives out the id and the ARN of an execution that is to be
	// started. The id goes into what Start or Sync gets.
	Reserve(machine, name string) (id store.ExecutionID, executionARN string)
	// Start returns when the execution started, in Unix milliseconds, as soon
	// as it cannot be lost any more.
	Start(ctx context.Context, s store.Start) (startedAt int64, err error)
	// Sync returns how the execution ended. It ends with ctx.
	Sync(ctx context.Context, s store.Start) (store.Execution, error)
	// Recent lists executions that run or ended not long ago, as the store's
	// Executions does.
	Recent(ctx context.Context, q store.ExecutionQuery) ([]store.Execution, error)
	// Lookup finds one of these by the three parts of its ARN, or returns
	// store.ErrNotFound.
	Lookup(ctx context.Context, machine, name, uuid string) (store.Execution, error)
	// ARN is the ARN of one.
	ARN(id store.ExecutionID, machine, name string) string
	// History reads its history, as the store's History does.
	History(ctx context.Context, id store.ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error
}

// MapRuns knows how Map Runs are doing. Their names are what their ARNs end in.
type MapRuns interface {
	// Find returns store.ErrNotFound for a run that is not there.
	Find(ctx context.Context, name string) (store.MapRunView, error)
	// Update returns when the change is durable. A run that has ended gives
	// store.ErrEnded.
	Update(ctx context.Context, name string, s store.MapRunSettings) error
}

// Config is what a Server is set up with. Zero fields have defaults.
type Config struct {
	Scheme arn.Scheme       // partition, region and account of all ARNs; default arn.Default
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // gets no payloads; default slog.Default()
	Tasks  Tasks            // for TestState; nil: it needs a mock where it would call one

	// Lacks says that a service in aws-sdk:… has no action of that name, as in
	// asl.Options.
	Lacks func(service, action string) bool

	Express Express // nil: EXPRESS machines can be kept, not run
	MapRuns MapRuns // nil: there are none
	// LogGroup says whether there is a log group of that ARN; nil: any is taken.
	LogGroup func(ctx context.Context, arn string) bool

	// LimitsOf says the limits of a machine's executions; nil: AWS's quotas.
	// MaxPayload is the highest payload limit among them, in bytes; 0: AWS's.
	LimitsOf   func(machine string) engine.Limits
	MaxPayload int

	// Author says who calls, in words of the caller's own; it is kept with what
	// they make of a machine. nil: nobody is.
	Author func(ctx context.Context) string

	// Throttle has calls refused that exceed the quotas of an account on AWS.
	Throttle bool

	// TestCases, if set, lets the ARN in StartExecution end in # and the name of
	// a test case, as Step Functions Local does.
	TestCases TestCases
}

// TestCases keeps by which test case an execution runs.
type TestCases interface {
	// Choose is called before an execution starts under the ARN, with "" for
	// one that was started without a case. The error, about a case that the
	// machine does not have, is for the caller.
	Choose(machine, executionARN, test string) error
}

// Server answers the AWS Step Functions API on POST /. It is an http.Handler
// and safe for concurrent use.
type Server struct {
	store    store.Store
	engine   Engine
	scheme   arn.Scheme
	now      func() time.Time
	log      *slog.Logger
	tests    TestCases
	prefixes prefixes
	machines machineCache
	pollers  pollers
	gate     gate
	slow     gate // of TestState, whose tasks take their time
	tasks    Tasks
	sweeps   sweeps
	redrives redriveTokens
	express  Express
	mapRuns  MapRuns
	logGroup func(ctx context.Context, arn string) bool
	author   func(ctx context.Context) string // nil: nobody is
	lacks    func(service, action string) bool

	limitsOf   func(machine string) engine.Limits // nil: AWS's
	maxPayload int                                // of any machine
	throttle   throttle
}

// NewServer makes a Server over a store and the engine that writes to it. Close
// it before them.
func NewServer(st store.Store, eng Engine, cfg Config) *Server {
	if cfg.Scheme == (arn.Scheme{}) {
		cfg.Scheme = arn.Default
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{store: st, engine: eng, scheme: cfg.Scheme, now: cfg.Now, log: cfg.Logger, tasks: cfg.Tasks, tests: cfg.TestCases}
	s.express, s.mapRuns, s.logGroup, s.lacks = cfg.Express, cfg.MapRuns, cfg.LogGroup, cfg.Lacks
	s.author = cfg.Author
	if cfg.Throttle {
		s.throttle = newThrottle()
	}
	s.limitsOf, s.maxPayload = cfg.LimitsOf, max(cfg.MaxPayload, maxPayload)
	s.prefixes = prefixes{
		machine:   cfg.Scheme.Machine(""),
		activity:  cfg.Scheme.Activity(""),
		execution: strings.TrimSuffix(cfg.Scheme.Execution("", ""), ":"),
	}
	s.sweeps.ctx, s.sweeps.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends what the server does in the background: the deletion of machines
// that still had executions running. Such a deletion goes on when the machine
// is next asked for.
func (s *Server) Close() {
	s.sweeps.cancel()
	s.sweeps.running.Wait()
}

const (
	targetPrefix = "AWSStepFunctions."
	contentType  = "application/x-amz-json-1.0"
	maxBody      = 1 << 20      // AWS's quota for a request
	maxPollBody  = gateFrom - 1 // of GetActivityTask, which holds it for a minute
)

// buffers holds what a request needs for reading and writing, for the next one.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer struct{ in, out []byte }

// maxKept is the largest buffer that is kept for the next request.
const maxKept = 64 << 10

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := buffers.Get().(*buffer)
	id := newUUID()
	out, err := s.answer(r, id, b)
	w.Header()["Content-Type"] = contentTypes
	w.Header()["X-Amzn-Requestid"] = []string{id}
	status := http.StatusOK
	if err != nil {
		e := s.failure(r, id, err)
		status, out = e.Status, e.append(b.out[:0])
		w.Header()["X-Amzn-Errortype"] = []string{e.Code}
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(out))}
	w.WriteHeader(status)
	w.Write(out) // the client may have gone: nobody is left to tell
	if b.out = out; cap(b.out) <= maxKept && cap(b.in) <= maxKept {
		buffers.Put(b)
	}
}

var contentTypes = []string{contentType}

// answer runs the action that the request names. A panic in it becomes an
// error, so that one request cannot take the others with it.
func (s *Server) answer(r *http.Request, id string, b *buffer) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value may hold a payload: its type has to do.
			s.log.Error("request panicked", "request", id, "action", actionName(r), "panic", panicText(p), "stack", string(debug.Stack()))
			err = errInternal
		}
	}()
	do, err := route(r)
	if err != nil {
		return nil, err
	}
	if name := actionName(r); name != "StartExecution" { // which is asked once its machine is known
		if err := s.pass(name); err != nil {
			return nil, err
		}
	}
	if err := s.readBody(r, b); err != nil {
		return nil, err
	}
	if n := len(b.in); n >= gateFrom {
		g := s.gateOf(r)
		if err := g.enter(r.Context(), n); err != nil {
			return nil, err
		}
		leave := sync.OnceFunc(func() { g.leave(n) })
		defer leave()
		in, err := decode(string(b.in))
		if err != nil {
			return nil, err
		}
		in.leave = leave
		return s.do(do, r, in, b)
	}
	in, err := decode(string(b.in))
	if err != nil {
		return nil, err
	}
	return s.do(do, r, in, b)
}

// do runs the action on what was read.
func (s *Server) do(do action, r *http.Request, in *input, b *buffer) ([]byte, error) {
	in.trace, in.account = r.Header.Get("X-Amzn-Trace-Id"), s.account(r)
	out, err := do(s, r.Context(), in, b.out[:0])
	if err == nil && in.failed() {
		err = in.err() // a handler that forgot to ask
	}
	return out, err
}

// gateOf is the gate that the request has to pass. TestState has its own: while a
// task is called, nothing else waits for it.
func (s *Server) gateOf(r *http.Request) *gate {
	if actionName(r) == "TestState" {
		return &s.slow
	}
	return &s.gate
}

// panicText says what panicked where that cannot hold anybody's data.
func panicText(p any) string {
	if err, ok := p.(interface{ RuntimeError() }); ok {
		return err.(error).Error()
	}
	return "a value that is not shown"
}

// route checks what the headers say and finds the action. Only requests with
// the protocol's own content type pass: a web page cannot make a browser send
// one to another origin without asking first.
func route(r *http.Request) (action, error) {
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	do := actions[name]
	if !ok || do == nil {
		return nil, errUnknownOperation
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch media = strings.TrimSpace(media); {
	case strings.EqualFold(media, contentType), strings.EqualFold(media, "application/x-amz-json-1.1"):
		return do, nil
	}
	return nil, errContentType
}

// actionName names the request's action for the log, if it is one.
func actionName(r *http.Request) string {
	name, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if actions[name] == nil {
		return "unknown"
	}
	return name
}

// readBody reads the request's body into b.in. An empty one stands for {}.
func (s *Server) readBody(r *http.Request, b *buffer) error {
	limit := s.maxBodyOf(actionName(r))
	if r.ContentLength > int64(limit) {
		return errTooLarge
	}
	var err error
	if b.in, err = readAll(r.Body, b.in[:0], limit+1); err != nil {
		return errBody
	}
	if len(b.in) > limit {
		return errTooLarge
	}
	return nil
}

// maxBodyOf is how long a request for an action may be, in bytes. Where payloads
// may be larger than AWS's, so may be the requests that bring them: text in a
// JSON string takes more than it has, twice as much being plenty.
func (s *Server) maxBodyOf(action string) int {
	switch action {
	case "GetActivityTask":
		return maxPollBody
	case "StartExecution", "StartSyncExecution", "SendTaskSuccess":
		return s.MaxBody()
	}
	return maxBody
}

// MaxBody is how long a request for any action may be, in bytes.
func (s *Server) MaxBody() int { return maxBody + 2*(s.maxPayload-maxPayload) }

// readAll appends what src holds to buf, up to limit bytes.
func readAll(src io.Reader, buf []byte, limit int) ([]byte, error) {
	for len(buf) < limit {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(512, len(buf)))...)[:len(buf)]
		}
		n, err := src.Read(buf[len(buf):min(cap(buf), limit)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// failure turns any error into one the API knows, and logs those that are not
// the caller's doing.
func (s *Server) failure(r *http.Request, id string, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrBusy):
		return errThrottled
	case r.Context().Err() != nil:
		return errUnavailable // nobody listens any more
	case errors.Is(err, store.ErrFull):
		e = errFull
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = errUnavailable
	default:
		e = errInternal
	}
	s.log.Error("request failed", "request", id, "action", actionName(r), "error", err)
	return e
}

// millis is the present, as the store counts it.
func (s *Server) millis() int64 { return s.now().UnixMilli() }
