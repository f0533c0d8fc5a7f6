package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/awsapi"
	"github.com/lockstep-run/lockstep/internal/binding"
	"github.com/lockstep-run/lockstep/internal/boardapi"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/connection"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/egress"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/fn"
	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/ledger"
	"github.com/lockstep-run/lockstep/internal/logs"
	"github.com/lockstep-run/lockstep/internal/maprun"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/openapi"
	"github.com/lockstep-run/lockstep/internal/push"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/retention"
	"github.com/lockstep-run/lockstep/internal/schedule"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/spend"
	"github.com/lockstep-run/lockstep/internal/status"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
	"github.com/lockstep-run/lockstep/internal/task/gate"
	httptask "github.com/lockstep-run/lockstep/internal/task/http"
	"github.com/lockstep-run/lockstep/internal/task/mock"
	"github.com/lockstep-run/lockstep/internal/task/model"
	"github.com/lockstep-run/lockstep/internal/task/service"
	"github.com/lockstep-run/lockstep/internal/task/spill"
	"github.com/lockstep-run/lockstep/internal/trigger"
	"github.com/lockstep-run/lockstep/internal/views"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// assembly is a server being put together. Each step makes what the later ones
// need, and tells the server how it ends.
type assembly struct {
	set settings
	srv *server

	// storage
	store *sqlite.Store
	costs *ledger.Ledger // of models
	spend *spend.Keeper  // puts costs down to work, and keeps to budgets
	files objects.Store
	key   *seal.Key

	// what Task states call
	tasks       *task.Registry
	functions   *fn.Manager
	policy      *egress.Policy // where they may call
	outside     *http.Client   // as the policy has it
	connections *connection.Connections
	keeper      *spill.Keeper // of results that no payload can hold

	// what runs executions
	running context.Context // ends with the worker; all that goes through it ends before
	worker  *worker.Worker
	express *express.Runner
	mapRuns *maprun.Runner
	api     *awsapi.Server
	log     *logs.Logger // of executions, as machines wish
	ready   atomic.Bool
	views   *views.Server      // of executions, for people
	watched *views.Changes     // who is told how executions get on
	sweeper *retention.Sweeper // removes executions when their time is over

	// what starts them
	changes   *status.Teller // of executions' status, which may start others
	schedules *schedule.Schedules
	triggers  *trigger.Triggers

	bell     *feed.Bell // through which the board is written
	happened []happened // who is told of the board's events
	board    *boardapi.API
	binding  *binding.Binding // of states to the board
	ended    atomic.Bool      // a commit has told the board of waits that ended, past the bell
	notices  *notices.Notices // tells people and webhooks
	health   *health.Health   // notices quiet failures

	executions executionCounts
	tokens     tokenCounts
}

// openServer puts a server together and sets it in motion. It returns before
// recovery is through; /readyz says when it is.
func openServer(ctx context.Context, set settings) (_ *server, err error) {
	a := &assembly{set: set, srv: &server{scheme: set.scheme, data: set.data, failed: make(chan error, 1)}}
	defer func() {
		if err != nil {
			a.srv.Close(ctx)
		}
	}()
	listener, err := listen(ctx, set.listen)
	if err != nil {
		return nil, err
	}
	a.srv.url = a.set.signIn.scheme() + "://" + listener.Addr().String()
	a.srv.onClose(func(context.Context) error { return ignoreClosed(listener.Close()) })

	for _, step := range []func(context.Context) error{a.storage, a.integrations, a.engine, a.control, a.starters} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := a.serve(listener); err != nil {
		return nil, err
	}
	return a.srv, nil
}

func (a *assembly) storage(ctx context.Context) (err error) {
	if a.store, err = sqlite.Open(a.set.data); err != nil {
		return err
	}
	a.srv.onClose(func(context.Context) error { return a.store.Close() })
	if err := a.srv.leaveAddress(a.set.data); err != nil {
		return err
	}
	if err := a.ledger(ctx); err != nil {
		return err
	}
	// By then the worker has ended, so that nobody else commits.
	a.srv.onClose(func(ctx context.Context) error { return a.costs.Flush(ctx, commitTo(a.store)) })
	a.key = seal.At(cmp.Or(a.set.signIn.masterKey, filepath.Join(a.set.data, seal.FileName)))
	if a.set.signIn.on {
		if err := a.key.Ready(); err != nil {
			return err
		}
	}
	a.files, err = objects.Open(ctx, a.set.objects, objects.Options{Dir: filepath.Join(a.set.data, "objects"), Region: a.set.scheme.Region})
	return err
}

// integrations registers what Task states call, but for the machines
// themselves: those come with the API.
func (a *assembly) integrations(context.Context) error {
	a.tasks = task.NewRegistry()
	a.tasks.Watch(a.taskEnded)
	local, functions, err := a.srv.openFunctions(a.set, a.tasks)
	if err != nil {
		return err
	}
	a.functions = local
	a.tasks.AddLambda(functions)
	a.tasks.Add("lambda:invoke", functions)

	models, err := model.New(model.Config{
		Region: a.set.scheme.Region, Routes: modelRoutes(a.set.models), Used: a.used, Read: readObject(a.files), Write: writeObject(a.files),
	})
	if err != nil {
		return err
	}
	a.srv.onClose(func(context.Context) error { return models.Close() })
	a.tasks.Add("bedrock:invokeModel", models)
	a.tasks.Add("aws-sdk:bedrockruntime:converse", models)

	a.policy = a.set.egress
	if a.policy == nil {
		if a.policy, err = egressPolicy(config.Egress{}); err != nil {
			return err
		}
	}
	a.outside = a.policy.Client()
	a.connections, err = connection.New(connection.Config{
		Store: a.store, Write: a.write, Key: a.key, Scheme: a.set.scheme, Client: a.outside, Declared: a.set.connections,
	})
	if err != nil {
		return err
	}
	apis := httptask.New(httptask.Config{
		Region: a.set.scheme.Region, Transport: a.outside.Transport, Connections: a.connections, Refused: refusedByPolicy,
		MaxResult: a.set.limits.LargestPayload(), MaxOf: a.largestAnswer,
	})
	a.srv.onClose(func(context.Context) error { return apis.Close() })
	a.tasks.Add("http:invoke", apis)

	if a.keeper, err = a.spill(); err != nil {
		return err
	}
	a.tasks.Carry(a.keeper)
	if len(a.set.gates) > 0 {
		outputs, err := gate.New(gateRules(a.set.gates))
		if err != nil {
			return err
		}
		a.tasks.Check(outputs.Check)
	}
	return nil
}

// engine makes what runs executions and the API over it, and sets it in motion.
func (a *assembly) engine(ctx context.Context) (err error) {
	a.log, err = logs.New(logs.Config{Region: a.set.scheme.Region, Routes: logRoutes(a.set.logs), Format: awsapi.AppendLogEntry, Log: a.set.log})
	if err != nil {
		return err
	}
	a.srv.onClose(a.log.Close)

	var tests awsapi.TestCases
	if a.set.mocks != nil {
		mocks, err := mock.New(a.set.mocks, filepath.Join(a.set.data, "mock-cases.jsonl"), a.set.log)
		if err != nil {
			return err
		}
		a.srv.onClose(func(context.Context) error { return mocks.Close() })
		a.tasks.Around(mocks.Around)
		tests = mocks
	}
	a.triggers = trigger.New(trigger.Config{
		Store: a.store, Write: a.write, Key: a.key, Scheme: a.set.scheme, Objects: a.files, Start: a.start, Lasting: isRejected, Log: a.set.log,
	})
	a.changes = a.statusChanges()
	stop, err := a.runners(ctx)
	if err != nil {
		return err
	}
	if err := a.bind(); err != nil {
		return err
	}
	a.api = awsapi.NewServer(a.store, a.worker, awsapi.Config{
		Scheme: a.set.scheme, Logger: a.set.log, Tasks: a.worker, Express: a.express, MapRuns: a.mapRuns, LogGroup: a.log.Exists, TestCases: tests,
		LimitsOf: limitsOf(a.set.limits), MaxPayload: a.set.limits.LargestPayload(), Throttle: a.set.throttle, Lacks: awsmodel.Lacks, Author: authorOf,
	})
	a.views = a.openViews()
	a.watched = a.views.Changes()
	services := service.New(service.Config{
		Region: a.set.scheme.Region, Partition: a.set.scheme.Partition, Account: a.set.scheme.Account, Others: a.set.scheme.Others, OwnToo: a.set.onAWS,
		Clusters: a.policy.TransportWith, Refused: refusedByPolicy, States: a.api, Ended: endOf(a.worker, a.set.scheme),
	})
	a.srv.onClose(func(context.Context) error { return services.Close() })
	services.Register(a.tasks)
	if a.set.tasks != nil {
		a.set.tasks(a.tasks)
	}
	a.functions.Start()

	a.srv.start(stop.worker, func() error { return a.worker.Run(a.running) })
	go awaitRecovery(a.running, a.worker, &a.ready)
	a.srv.start(stop.express, func() error { return a.express.Run(stop.short) })
	a.srv.start(stop.mapRuns, func() error { return a.mapRuns.Run(stop.items) })
	a.srv.onClose(func(context.Context) error { a.api.Close(); return nil })
	return nil
}

// stops ends the runners: each has a context of its own, within the worker's.
type stops struct {
	short, items             context.Context
	worker, express, mapRuns context.CancelFunc
}

// runners makes the worker and what runs beside it. They know each other, so
// they are made together.
func (a *assembly) runners(ctx context.Context) (_ stops, err error) {
	var s stops
	a.running, s.worker = context.WithCancel(context.WithoutCancel(ctx))
	s.short, s.express = context.WithCancel(a.running)
	s.items, s.mapRuns = context.WithCancel(a.running)
	defer func() {
		if err != nil {
			s.worker()
		}
	}()

	a.mapRuns = maprun.New(s.items, maprun.Config{Store: a.store, Scheme: a.set.scheme, Objects: a.files, Log: a.set.log})
	a.worker, err = worker.New(a.running, a.store, a.tasks, worker.Config{
		Scheme: a.set.scheme, Log: a.set.log, Fatal: a.set.fatal, LogOf: logOf(a.log), LimitsOf: limitsOf(a.set.limits), MapRuns: a.mapRuns, Keeper: a.keeper,
		WaitEnded: func(ctx context.Context, tx store.Tx, x store.ExecutionID, t engine.TaskID, why string) error {
			a.ended.Store(true)
			return a.binding.WaitEnded(ctx, tx, x, t, why)
		},
		Committed: func(c *store.ExecutionCommit) {
			if a.ended.Swap(false) {
				a.bell.Ring()
			}
			a.executions.committed(c)
			a.mapRuns.Committed(c)
			a.changes.Committed(c)
			a.watched.Committed(c)
		},
	})
	if err != nil {
		return s, err
	}
	a.express, err = express.New(s.short, a.store, a.tasks, express.Config{
		Scheme: a.set.scheme, Log: a.set.log, Write: a.worker.Write, Retention: a.set.retention, LogOf: logOf(a.log), Keeper: a.keeper,
		Committed: func(c *store.ExecutionCommit) {
			a.executions.committed(c)
			a.watched.CommittedExpress(c)
		},
		PayloadOf: func(machine string) int { payload, _ := a.set.limits.Of(machine); return payload },
	})
	if err != nil {
		return s, err
	}
	a.mapRuns.Connect(a.worker, a.express)
	return s, nil
}

// statusChanges tells of executions' changes of status: to the bus that the
// environment names, else to this server's own triggers.
func (a *assembly) statusChanges() *status.Teller {
	cfg := status.Config{Store: a.store, Scheme: a.set.scheme, Log: a.set.log}
	if cfg.Send = status.Bus(a.set.scheme.Region, awscall.Transport()); cfg.Send == nil {
		cfg.Send = func(ctx context.Context, e status.Event) error {
			return a.triggers.Send(ctx, status.Source, status.DetailType, e.ARN, e.At, e.Detail)
		}
		cfg.Wanted = func() bool { return a.triggers.Hears(status.Source, status.DetailType) }
	}
	return status.New(cfg)
}

// used takes down what a model was used for. The commit that has the model's answer
// has that too, or one before: the task delivers its answer after this.
func (a *assembly) used(u model.Usage) {
	a.tokens.add(u)
	a.costs.Note(usageOf(a.set.scheme, u))
	a.costs.Beside(func(do func(context.Context, store.Tx) error, done func(error)) {
		a.worker.WriteAhead(do, func(err error) {
			done(err)
			a.bell.Ring()
		})
	})
}

// publicURL is where people and agents reach the server, without a slash at its
// end.
func (a *assembly) publicURL() string { return cmp.Or(a.set.publicURL, a.srv.url) }

// write goes through the worker, as every write does once it is there.
func (a *assembly) write(ctx context.Context, do func(context.Context, store.Tx) error) error {
	return a.worker.Write(ctx, do)
}

// start starts an execution by the API, as its clients do.
func (a *assembly) start(ctx context.Context, machineARN, name, input string) (string, error) {
	return newStarter(a.api).start(ctx, machineARN, name, input)
}

// runUntilClose runs a part that goes on by itself.
func (a *assembly) runUntilClose(run func(context.Context) error) {
	ctx, stop := context.WithCancel(a.running)
	a.srv.start(stop, func() error {
		if err := run(ctx); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// happened is told of an event of the board in the transaction that makes it; an
// error undoes all of it.
type happened func(ctx context.Context, tx store.Tx, e *control.Event) error

// bind ties states to the board: before executions move, since the first one may
// end what is on it.
func (a *assembly) bind() error {
	a.bell = feed.NewBell(a.worker)
	a.binding = binding.New(binding.Config{Workspace: boardapi.Workspace, Engine: a.worker, Write: a.bell.Write, URL: a.publicURL})
	a.happened = append(a.happened, a.binding.Happened)
	a.notifier()
	a.watchTasks()
	board, err := control.New(a.store, a.bell, a.boardConfig())
	if err != nil {
		return err
	}
	a.binding.Connect(board)
	a.spend.Connect(board)
	a.notices.Connect(board)
	a.health.Connect(board)
	for _, resource := range binding.Resources {
		a.tasks.Add(resource, a.binding)
	}
	return nil
}

// boardConfig is what the board asks of others.
func (a *assembly) boardConfig() control.Config {
	return control.Config{
		Budget: a.spend.Blocked,
		Happened: func(ctx context.Context, tx store.Tx, e *control.Event) error {
			for _, tell := range a.happened {
				if err := tell(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// control makes the board of agents' tasks. Who wants to be told of its events
// has said so before.
func (a *assembly) control(ctx context.Context) (err error) {
	who := auth.Config{SignIn: a.set.signIn.on, PublicURL: a.publicURL, Key: a.key, Scheme: a.set.scheme, Log: a.set.log}
	a.board, err = boardapi.New(ctx, boardapi.Config{
		Store: a.store, Bell: a.bell, Log: a.set.log, Auth: who, Board: a.boardConfig(),
		Live: a.watched, Build: buildID(), Callbacks: binding.NewCallbacks(a.store, a.worker),
		Spend: a.spend, Notices: a.notices, Health: a.health,
	})
	if err != nil {
		return err
	}
	a.srv.auth = a.board.Auth()
	a.runUntilClose(a.board.Run)
	a.runUntilClose(a.watched.Run)
	a.runUntilClose(a.srv.auth.Run)
	wakeups := push.New(push.Config{
		Board: a.board.Board(), Store: a.store, Bell: a.bell, Key: a.key, Policy: a.policy, URL: a.publicURL, Log: a.set.log,
	})
	a.board.Connects(wakeups, a.publicURL)
	a.runUntilClose(wakeups.Run)
	a.runUntilClose(a.notices.Run)
	a.runUntilClose(a.health.Run)
	return nil
}

// starters sets in motion what starts executions by itself.
func (a *assembly) starters(context.Context) error {
	a.schedules = schedule.New(schedule.Config{Store: a.store, Write: a.write, Scheme: a.set.scheme, Start: a.start, Log: a.set.log})
	a.runUntilClose(func(ctx context.Context) error {
		if err := a.schedules.Declare(ctx, a.set.schedules); err != nil {
			return err
		}
		return a.schedules.Run(ctx)
	})
	a.sweeper = retention.New(retention.Config{
		Store: a.store, Write: a.write, KeepOf: a.set.limits.RetentionOf, Shortest: a.set.limits.ShortestRetention(),
		Express: a.set.retention, Log: a.set.log,
	})
	a.runUntilClose(a.sweeper.Run)
	a.runUntilClose(a.changes.Run)
	a.runUntilClose(a.costs.Run)
	a.runUntilClose(a.spend.Run)
	a.runUntilClose(func(ctx context.Context) error {
		if err := a.triggers.Declare(ctx, a.set.triggers); err != nil {
			return err
		}
		return a.triggers.Run(ctx)
	})
	return nil
}

// serve answers on listener until the server closes.
func (a *assembly) serve(listener net.Listener) error {
	stopping, stopPolls := context.WithCancel(a.running)
	a.srv.stopping = stopPolls

	mux, err := a.routes(stopping)
	if err != nil {
		return err
	}
	handler, isS3, err := withObjects(mux, a.files, a.triggers.Written, a.set.log)
	if err != nil {
		return err
	}
	a.srv.routes = mux

	web := &http.Server{
		Handler:           below(publicPath(a.publicURL()), a.srv.auth.Gate(auth.Doors{Mux: mux, IsS3: isS3, MaxBody: a.api.MaxBody()}, handler)),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute, // not shorter than a long poll: when it is over, so is the request
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.set.log.Handler(), slog.LevelWarn),
	}
	a.srv.onClose(func(ctx context.Context) error { return shutDown(ctx, web) })
	go func() {
		serve := func() error { return web.Serve(listener) }
		if cert := a.set.signIn.cert; cert != nil {
			web.TLSConfig = &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}
			serve = func() error { return web.ServeTLS(listener, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			a.srv.fail(fmt.Errorf("serve %s: %w", a.srv.url, err))
		}
	}()
	return nil
}

// routes is all that a server answers. What waits ends when stopping does.
func (a *assembly) routes(stopping context.Context) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.Handle("POST /{$}", withEvents(a.triggers.PutEvents, allowTime(endPollsWith(stopping, a.api))))
	mux.HandleFunc("GET /healthz", serveAlive)
	mux.Handle("GET /readyz", serveReady(&a.ready))
	mux.Handle("GET /metrics", metrics{&a.executions, &a.tokens, a.worker, a.express, a.store, a.functions, a.sweeper})
	mux.HandleFunc("/api/", serveNotFound)
	a.connections.Register(mux)
	a.schedules.Register(mux)
	a.triggers.Register(mux)
	a.board.Register(mux, stopping)
	mux.Handle("GET /api/v1/openapi.json", openapi.Handler(apiDocument()))
	a.srv.auth.Register(mux)
	mux.Handle("/mcp", rest.Local(a.agentDoor(stopping)))
	a.views.Register(mux)
	a.registerCatalogue(mux)
	for _, path := range fn.Paths {
		mux.Handle(path, endFunctionPollsWith(stopping, withKeyOfFunctions(a.functions)))
	}
	return mux, a.registerConsole(mux)
}
