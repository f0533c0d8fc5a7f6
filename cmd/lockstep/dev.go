package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task/mock"
)

const (
	defaultListen = "127.0.0.1:8083" // as Step Functions Local
	defaultData   = "lockstep-data"

	defaultRetention = 5 * time.Minute // of Express executions
)

func newDevCommand() *cobra.Command {
	var f serverFlags
	var mockConfig string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a server for your own machine",
		Long: `Dev runs a server for a developer: it answers the AWS Step Functions API without
sign-in, takes any AWS credentials, and listens on this machine only. What it
accepted is on disk before it answers, and goes on after a restart or a crash.
An access key id of twelve digits acts in the account with that number.`,
		Example: `  lockstep dev
  lockstep dev --listen 127.0.0.1:9000 --data /tmp/flows
  AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:9001 lockstep dev --config lockstep.yaml`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd.Flags())
			if err != nil {
				return err
			}
			if err := requireLoopback(s.listen); err != nil {
				return err
			}
			if mockConfig != "" {
				if s.mocks, err = mock.Load(mockConfig); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			s.scheme.Others = true
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			return runDev(ctx, cmd.OutOrStdout(), s)
		}),
	}
	flags := cmd.Flags()
	f.register(flags, defaultData)
	flags.StringVar(&mockConfig, "mock-config", "", "answer tasks from a mock configuration `file` of Step Functions Local, in executions started with ARN#CASE")
	withEnv(flags, "mock-config")
	also := flags.Lookup("mock-config")
	also.Usage += " [SFN_MOCK_CONFIG]" // as Step Functions Local calls it
	also.Annotations[envAnnotation] = append(also.Annotations[envAnnotation], "SFN_MOCK_CONFIG")
	return cmd
}

func runDev(ctx context.Context, out io.Writer, s settings) error {
	srv, err := openServer(ctx, s)
	if err != nil {
		return explain(err, s.data)
	}
	defer srv.reloadAtHangup(s.log)()
	fmt.Fprintf(out, `Lockstep is ready at %s
  data      %s
  store     %s
  region    %s, account %s
  for development: any credentials are accepted, from this machine only
%s
Try it:
  %s

Ctrl-C ends it.
`, srv.url, s.data, filepath.Join(s.data, "lockstep.db"), s.scheme.Region, s.scheme.Account, mockLine(s.mocks), awsCommand(srv, "list-state-machines"))
	return srv.serve(ctx, s.log)
}

// mockLine says that mocks are in force; "" when they are not.
func mockLine(c *mock.Config) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("  mocks     %s: executions started with ARN#CASE get their answers from it\n", c.Summary())
}

// serve waits until ctx ends or the server fails, and closes it.
func (s *server) serve(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := s.while(ctx)
	defer cancel()
	<-ctx.Done()
	failed := failure(ctx)
	if failed == nil {
		log.Info("stopping; a second signal ends it at once")
	}
	return errors.Join(failed, s.closeSoon(ctx))
}

// failure is why a context from while has ended, nil if somebody wanted it to.
func failure(ctx context.Context) error {
	if err := context.Cause(ctx); ctx.Err() != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// awsCommand is a command line for the AWS CLI that works in any shell, with
// nothing set up.
func awsCommand(s *server, command string) string {
	return "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local aws stepfunctions " + command +
		" --region " + s.scheme.Region + " --endpoint-url " + s.url
}

// explain adds to an error of openServer what a person can do about it.
func explain(err error, dir string) error {
	if !errors.Is(err, store.ErrLocked) {
		return err
	}
	if text, readErr := os.ReadFile(filepath.Join(dir, urlFile)); readErr == nil {
		return fmt.Errorf("%w with --data. That one answers at %s", err, strings.TrimSpace(string(text)))
	}
	return fmt.Errorf("%w with --data", err)
}

// objectsByEnvironment is s3 where the environment says which endpoint S3 has,
// as it does for AWS's SDKs.
func objectsByEnvironment() string {
	if os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != "" {
		return "s3"
	}
	return ""
}

// serverFlags are the flags of every command that runs a server.
type serverFlags struct {
	listen, data, store, config, objects string
	publicURL, consoleDir                string
	payload, history, keep               string
	throttle                             bool
	retention                            time.Duration
}

func (f *serverFlags) register(flags *pflag.FlagSet, data string) {
	flags.StringVar(&f.listen, "listen", defaultListen, "`host:port` to listen on; port 0 means any free one")
	flags.StringVar(&f.data, "data", "./"+data, "`directory` for everything that is kept")
	flags.StringVar(&f.store, "store", "", "`URL` of the store: sqlite:DIRECTORY (default: sqlite: and the data directory)")
	flags.StringVar(&f.config, "config", "", "configuration `file`, such as lockstep.yaml: functions, models, logs, limits, connections, region, account")
	flags.DurationVar(&f.retention, "express-retention", defaultRetention, "how long Express executions can be looked at when they have ended; 0: not at all")
	flags.StringVar(&f.objects, "objects", "", "where the objects are that distributed Maps read and write: a `directory` of buckets, s3, or the URL of an S3 endpoint; default: s3 if AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is set, else objects in the data directory")
	flags.StringVar(&f.payload, "payload-limit", "", "`size` that an input or output may have, up to 4MiB (default 256KiB, as on AWS)")
	flags.StringVar(&f.history, "history-limit", "", "`number` of events that a history may have, up to 250000 (default 25000, as on AWS)")
	flags.StringVar(&f.keep, "retention", "", "`time` that executions are kept when they have ended, such as 30d or 36h, or forever (default 90d, as on AWS)")
	flags.StringVar(&f.publicURL, "public-url", "", "`URL` under which people and agents reach this server, for links and commands (default: the address it listens on)")
	flags.StringVar(&f.consoleDir, "console-dir", "", "`directory` with a built web console to serve instead of the one in this program; for those who work on it")
	flags.BoolVar(&f.throttle, "throttle", false, "refuse calls beyond the rates of an account on AWS, with ThrottlingException")
	withEnv(flags, "listen", "data", "store", "config", "express-retention", "objects", "payload-limit", "history-limit", "retention", "throttle", "public-url", "console-dir")
}

// settings joins the command line, the environment, the configuration file and
// the defaults; what comes first in this list counts.
func (f *serverFlags) settings(flags *pflag.FlagSet) (settings, error) {
	cfg := &config.Config{}
	if f.config != "" {
		var err error
		if cfg, err = config.Load(f.config); err != nil {
			return settings{}, err
		}
	}
	choose := func(flag, value, configured string) string {
		if configured != "" && !flags.Changed(flag) {
			return configured
		}
		return value
	}
	if f.data == "" {
		return settings{}, usageError("--data is empty: name a directory")
	}
	s := settings{
		listen: choose("listen", f.listen, cfg.Listen),
		data:   choose("data", f.data, cfg.Data),
		scheme: arn.Default, config: f.config, functions: cfg.Functions, models: cfg.Models, gates: cfg.Gates, logs: cfg.Logs,
		limits: cfg.Limits, onAWS: cfg.OnAWS, throttle: f.throttle || cfg.Throttle && !flags.Changed("throttle"), retention: f.retention, objects: cmp.Or(f.objects, objectsByEnvironment()),
		log:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
		fatal: endBroken,
	}
	if err := f.setLimits(&s.limits); err != nil {
		return s, err
	}
	var err error
	if s.publicURL, err = publicURL(f.publicURL); err != nil {
		return s, err
	}
	s.consoleDir = f.consoleDir
	if s.egress, err = egressPolicy(cfg.Egress); err != nil {
		return s, fmt.Errorf("%s: %w", f.config, err)
	}
	if s.schedules, err = declaredSchedules(cfg.Schedules); err != nil {
		return s, fmt.Errorf("%s: %w", f.config, err)
	}
	if s.triggers, err = declaredTriggers(cfg.Triggers); err != nil {
		return s, fmt.Errorf("%s: %w", f.config, err)
	}
	if s.mail, err = mailServer(cfg.Notifications.SMTP); err != nil {
		return s, fmt.Errorf("%s: %w", f.config, err)
	}
	if s.connections, err = declaredConnections(cfg.Connections); err != nil {
		return s, fmt.Errorf("%s: %w", f.config, err)
	}
	if cfg.Region != "" {
		s.scheme.Region = cfg.Region
	}
	if cfg.Account != "" {
		s.scheme.Account = cfg.Account
	}
	if f.store != "" {
		kind, dir, _ := strings.Cut(f.store, ":")
		if kind != "sqlite" || dir == "" {
			return s, usageError("--store %s: give sqlite:DIRECTORY, which is all there is so far", f.store)
		}
		s.data = strings.TrimPrefix(dir, "//")
	}
	return s, nil
}

// publicURL reads --public-url; "" stays "".
func publicURL(text string) (string, error) {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		return "", usageError("--public-url %s: give a URL such as https://lockstep.example.com", text)
	}
	return strings.TrimSuffix(text, "/"), nil
}

// setLimits has the flags count before the configuration file, where that speaks
// of all machines.
func (f *serverFlags) setLimits(l *config.Limits) (err error) {
	if f.payload != "" {
		if l.Payload, err = config.ParsePayload(f.payload); err != nil {
			return usageError("--payload-limit %v", err)
		}
	}
	if f.history != "" {
		if l.History, err = config.ParseHistory(f.history); err != nil {
			return usageError("--history-limit %v", err)
		}
	}
	if f.keep != "" {
		if l.Retention, err = config.ParseRetention(f.keep); err != nil {
			return usageError("--retention %v", err)
		}
	}
	return nil
}

// endBroken ends the process without closing the store: what the disk holds is
// not known, and only a fresh look at it will tell.
func endBroken(err error) {
	fmt.Fprintf(os.Stderr, "lockstep: %v: the process ends; check the disk and start again\n", err)
	os.Exit(exitBroken)
}
