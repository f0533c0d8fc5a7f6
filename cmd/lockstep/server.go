package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/awsapi"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/connection"
	"github.com/lockstep-run/lockstep/internal/egress"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/logs"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/schedule"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/gate"
	"github.com/lockstep-run/lockstep/internal/task/mock"
	"github.com/lockstep-run/lockstep/internal/task/model"
	"github.com/lockstep-run/lockstep/internal/trigger"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// settings say what a server is to be. Only data and listen are needed.
type settings struct {
	listen string // host:port; port 0 for a free one
	// publicURL is where people and agents reach the server; "": where it listens.
	publicURL  string
	consoleDir string // the web console is read from here; "": it is in the binary
	data       string // directory
	scheme     arn.Scheme

	config    string // the configuration file; "": none
	functions map[string]config.Function
	models    []config.Model
	gates     []config.Gate
	logs      []config.Log
	mocks     *mock.Config // nil: none
	limits    config.Limits
	throttle  bool
	onAWS     bool           // machines of the own account that are not here are called on AWS
	retention time.Duration  // of Express executions that have ended
	egress    *egress.Policy // where state machines may call; nil: what is public
	objects   string         // where they are, see objects.Open; "": in the data directory
	signIn    signIn         // the zero one: for one developer, without

	connections []connection.Spec // declared, with their secrets
	schedules   []schedule.Spec   // declared
	mail        *notify.Mail      // how mail is sent; nil: not at all
	triggers    []trigger.Spec    // declared, with their secrets

	tasks func(*task.Registry) // registers more integrations
	log   *slog.Logger
	fatal func(error) // the store cannot go on: end the process
}

// server is a running server. Close it.
type server struct {
	url    string // http://host:port
	data   string // directory
	scheme arn.Scheme

	auth   *auth.Auth     // who knows the callers
	routes *http.ServeMux // what it answers

	failed   chan error   // has the reason when the server ends by itself
	reload   func() error // reads what the configuration says of functions again
	stopping context.CancelFunc
	stop     []func(context.Context) error // what Close does, last first
}

// onClose adds to what Close does. What was made last ends first.
func (s *server) onClose(f func(context.Context) error) { s.stop = append(s.stop, f) }

// start runs a part of the server until Close, which calls end and waits.
func (s *server) start(end func(), run func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(); err != nil {
			s.fail(err)
		}
	}()
	s.onClose(func(context.Context) error { end(); <-done; return nil })
}

// fail says why the server ends by itself. The first reason stands.
func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Close takes no more requests, lets those under way end for as long as ctx
// allows, then stops the worker and closes the store. What is durable goes on at
// the next start.
func (s *server) Close(ctx context.Context) error {
	if s.stopping != nil {
		s.stopping()
	}
	var errs []error
	for i := len(s.stop) - 1; i >= 0; i-- {
		errs = append(errs, s.stop[i](ctx))
	}
	s.stop = nil
	return errors.Join(errs...)
}

// while returns a context that also ends when the server fails, with the reason
// as its cause.
func (s *server) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case err := <-s.failed:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// closeSoon is Close with a limit to how long requests under way may take. It
// does not mind that ctx has ended.
func (s *server) closeSoon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	return s.Close(ctx)
}

// shutdownTime is how long requests under way may take when a server closes.
const shutdownTime = 10 * time.Second

// shutDown lets requests end, and cuts off those that ctx leaves no time for.
func shutDown(ctx context.Context, web *http.Server) error {
	err := web.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return web.Close()
	}
	return err
}

// urlFile is where in its data directory a server says what its address is, for
// commands that find the directory in use.
const urlFile = "lockstep.url"

func (s *server) leaveAddress(dir string) error {
	path := filepath.Join(dir, urlFile)
	if err := os.WriteFile(path, []byte(s.url+"\n"), 0o600); err != nil {
		return fmt.Errorf("leave the server's address: %w", err)
	}
	s.onClose(func(context.Context) error { return os.Remove(path) })
	return nil
}

// awaitRecovery sets ready when the worker is through with what the last
// process left and has committed something: an empty write.
func awaitRecovery(ctx context.Context, w *worker.Worker, ready *atomic.Bool) {
	if w.Write(ctx, func(context.Context, store.Tx) error { return nil }) == nil {
		ready.Store(true)
	}
}

// endOf waits for the end of an execution by its ARN. One that is not there
// has ended too.
func endOf(w *worker.Worker, scheme arn.Scheme) func(ctx context.Context, executionARN string) error {
	return func(ctx context.Context, executionARN string) error {
		name, ok := arn.Parse(executionARN)
		if !ok || name.Type != "execution" || len(name.Parts) != 2 {
			return nil
		}
		machine, ours := scheme.Find(name)
		if !ours {
			return nil
		}
		x, err := w.Lookup(ctx, machine, name.Parts[1])
		if err == nil {
			err = w.Ended(ctx, x.ID)
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
}

// listen takes the port. Its errors say what to do.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %s; stop what listens there, or choose another address with --listen (port 0 means any free one)", errInUse, address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

var errInUse = errors.New("the address is in use")

// requireLoopback refuses an address that others could reach: a server without
// sign-in is for its own machine.
func requireLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError("--listen %s: give host:port, such as 127.0.0.1:8083", address)
	}
	if isLoopback(host) {
		return nil
	}
	return usageError("--listen %s: this server has no sign-in, so it only listens on this machine; use 127.0.0.1, [::1] or localhost, or lockstep serve, which has one", address)
}

func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func modelRoutes(in []config.Model) []model.Route {
	out := make([]model.Route, len(in))
	for i, m := range in {
		out[i] = model.Route(m)
	}
	return out
}

func gateRules(in []config.Gate) []gate.Rule {
	out := make([]gate.Rule, len(in))
	for i, g := range in {
		out[i] = gate.Rule{
			Machine: g.Machine, State: g.State, Path: g.Path, JSON: g.JSON, Schema: g.Schema,
			RefuseEmpty: g.Empty == "refuse", RefuseRefusal: g.Refusal == "refuse",
		}
	}
	return out
}

// maxObject is how much of an object a model is sent, in bytes.
const maxObject = 25<<20 + 1

// readObject and writeObject reach the objects for models.
func readObject(files objects.Store) func(context.Context, string, string) ([]byte, error) {
	return func(ctx context.Context, bucket, key string) ([]byte, error) {
		r, _, err := files.Open(ctx, objects.Ref{Bucket: bucket, Key: key}, 0)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(io.LimitReader(r, maxObject))
	}
}

func writeObject(files objects.Store) func(context.Context, string, string, []byte) error {
	return func(ctx context.Context, bucket, key string, data []byte) error {
		w, err := files.Create(ctx, objects.Ref{Bucket: bucket, Key: key})
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := w.Write(data); err != nil {
			return err
		}
		return w.Close()
	}
}

func logRoutes(in []config.Log) []logs.Route {
	out := make([]logs.Route, len(in))
	for i, l := range in {
		out[i] = logs.Route(l)
	}
	return out
}

// limitsOf says what a machine's executions may have.
func limitsOf(l config.Limits) func(machine string) engine.Limits {
	return func(machine string) engine.Limits {
		payload, history := l.Of(machine)
		return engine.Limits{Payload: payload, History: history}
	}
}

// logOf has the executions of machines logged as their configuration says.
func logOf(records *logs.Logger) func(string, store.Revision) func(string, int64, engine.Chunk) {
	return func(machine string, r store.Revision) func(string, int64, engine.Chunk) {
		wanted, ok := awsapi.LoggingOf(r)
		if !ok {
			return nil
		}
		return records.For(machine, logs.Settings(wanted))
	}
}
