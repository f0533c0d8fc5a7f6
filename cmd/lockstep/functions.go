package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/fn"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/lambda"
)

// openFunctions makes what answers for functions: processes of this server's, and
// the caller that knows these, URLs, and AWS.
func (s *server) openFunctions(set settings, tasks *task.Registry) (*fn.Manager, *lambda.Caller, error) {
	local, err := fn.New(fn.Config{
		Dir:       filepath.Join(set.data, functionsDir),
		Partition: set.scheme.Partition, Region: set.scheme.Region, Account: set.scheme.Account,
		Endpoint: s.url, Forward: forwardBy(tasks), Reload: func() error { return s.reload() }, Log: set.log,
	})
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func(context.Context) error { return local.Close() })
	caller, err := lambda.New(lambda.Config{Region: set.scheme.Region, Local: local})
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func(context.Context) error { return caller.Close() })

	apply := func(functions map[string]config.Function) error {
		urls, specs := splitFunctions(functions, filepath.Dir(set.config))
		if err := local.Declare(specs); err != nil {
			return err
		}
		return caller.SetFunctions(urls)
	}
	s.reload = func() error {
		if set.config == "" {
			return nil
		}
		cfg, err := config.Load(set.config)
		if err != nil {
			return err
		}
		return apply(cfg.Functions)
	}
	return local, caller, apply(set.functions)
}

// functionsDir is where a data directory has its functions.
const functionsDir = "functions"

// splitFunctions tells functions at URLs from those with a program. Folders are
// seen from base.
func splitFunctions(in map[string]config.Function, base string) (map[string]lambda.Function, map[string]fn.Spec) {
	urls, specs := map[string]lambda.Function{}, map[string]fn.Spec{}
	for name, f := range in {
		if f.URL != "" {
			urls[name] = lambda.Function{URL: f.URL}
			continue
		}
		dir := f.Dir
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(base, dir)
			if abs, err := filepath.Abs(dir); err == nil {
				dir = abs
			}
		}
		specs[name] = fn.Spec{
			Command: f.Command, Dir: dir, Handler: f.Handler, Timeout: fn.Duration(f.Timeout), Memory: f.Memory,
			Concurrency: f.Concurrency, Idle: fn.Duration(f.Idle), Env: f.Env, PassEnv: f.PassEnv,
			Retries: f.Retries, RetryDelay: fn.Duration(f.RetryDelay), DeadLetter: f.DeadLetter,
		}
	}
	return urls, specs
}

// forwardBy brings dead letters to other services, by the integrations that
// state machines use.
func forwardBy(tasks *task.Registry) func(context.Context, string, []byte) error {
	return func(ctx context.Context, target string, record []byte) error {
		part := strings.SplitN(target, ":", 6)
		if len(part) < 6 || part[0] != "arn" {
			return fmt.Errorf("%.200q is no URL, function or ARN", target)
		}
		var action string
		var input map[string]string
		switch part[2] {
		case "sqs":
			action = "sqs:sendMessage"
			input = map[string]string{"QueueUrl": "https://sqs." + part[3] + ".amazonaws.com/" + part[4] + "/" + part[5], "MessageBody": string(record)}
		case "sns":
			action = "sns:publish"
			input = map[string]string{"TopicArn": target, "Message": string(record)}
		case "lambda":
			action = "lambda:invoke"
			input = map[string]string{"FunctionName": target, "InvocationType": "Event", "Payload": string(record)}
		default:
			return fmt.Errorf("%.200q is no URL and no ARN of a function, a queue or a topic", target)
		}
		resource, err := asl.ParseResource("arn:aws:states:::" + action)
		if err != nil {
			return err
		}
		text, err := json.Marshal(input)
		if err != nil {
			return err
		}
		i := tasks.Find(resource)
		if i == nil {
			return task.Unsupported(resource)
		}
		_, err = i.Run(ctx, &task.Call{Resource: resource, Input: string(text)})
		return err
	}
}

// reloadAtHangup reads the configuration of functions again whenever the process
// gets SIGHUP, until the returned function is called.
func (s *server) reloadAtHangup(log *slog.Logger) func() {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-signals:
				if err := s.reload(); err != nil {
					log.Error("the configuration has not been read again", "error", err)
				} else {
					log.Info("the functions of the configuration have been read again")
				}
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// endFunctionPollsWith ends, when the server stops, what waits for long and would
// not end by itself: workers that wait for a call, and readers of logs.
func endFunctionPollsWith(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}
