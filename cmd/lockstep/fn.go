package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/fn"
)

func newFnCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fn",
		Short: "Functions without AWS: programs that a server runs when they are called",
		Long: `Fn manages the functions of a running server. A function is a program that speaks
Lambda's Runtime API, as every handler built for Lambda does. The server starts as
many processes of it as there are calls, up to a limit, and ends those that have
nothing to do.

The commands find the server by its data directory, and show it the key that lies
there; with --url and --key they reach it from elsewhere.`,
		Example: `  lockstep fn init --runtime python hello
  lockstep fn add hello --dir hello --handler handler.handle -- python3 bootstrap.py
  lockstep fn invoke hello --payload '{"name":"Ada"}'
  lockstep fn logs hello -f`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFnAddCommand(), newFnLsCommand(), newFnLogsCommand(), newFnInvokeCommand(), newFnRmCommand(),
		newFnReloadCommand(), newFnKeyCommand(), newFnInitCommand(), newFnEchoCommand())
	return cmd
}

// fnClient reaches the functions of a server.
type fnClient struct {
	data, url, key string
}

func (c *fnClient) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.data, "data", "./"+defaultData, "data `directory` of the server: its address and its key are there")
	flags.StringVar(&c.url, "url", "", "`URL` of the server, where its data directory is not at hand")
	flags.StringVar(&c.key, "key", "", "`key` of its functions: what is in functions/key of its data directory")
	withEnv(flags, "data", "url", "key")
}

// find completes what the flags leave out from the data directory.
func (c *fnClient) find() error {
	if c.url == "" {
		text, err := os.ReadFile(filepath.Join(c.data, urlFile))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("no server runs with the data directory %s: start one with lockstep dev, or name another with --data or --url", c.data)
		}
		if err != nil {
			return err
		}
		c.url = strings.TrimSpace(string(text))
	}
	c.url = strings.TrimSuffix(c.url, "/")
	if c.key == "" {
		text, err := os.ReadFile(filepath.Join(c.data, functionsDir, fn.KeyFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.key = strings.TrimSpace(string(text))
	}
	return nil
}

// send makes a request; the caller closes the answer's body. Answers that are no
// success are errors.
func (c *fnClient) send(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	if err := c.find(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the server's URL cannot be used: %w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the status says enough
	var said struct{ Message string }                       // "message" fits too
	_ = json.Unmarshal(text, &said)
	return nil, errors.New(cmp.Or(said.Message, res.Status))
}

func (c *fnClient) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := c.send(ctx, method, "/api/v1/functions"+path, body, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(io.LimitReader(res.Body, 16<<20)).Decode(out)
}

func newFnAddCommand() *cobra.Command {
	var c fnClient
	var s fn.Spec
	var timeout, idle, delay time.Duration
	var env []string
	var retries int
	var worker bool
	cmd := &cobra.Command{
		Use:   "add NAME -- COMMAND...",
		Short: "Add a function, or change it",
		Long: `Add has the server run a program whenever the function is called, and keep that
over restarts. The program gets Lambda's environment variables and of the server's
own only PATH, HOME and the like; it inherits no secrets unless --env or --pass-env
says so. It runs in --dir, by default the directory you are in.

State machines reach it by its name and by every ARN that ends in its name, so
definitions written for AWS stay as they are.`,
		Example: `  lockstep fn add resize -- ./bootstrap
  lockstep fn add hello --handler handler.handle --env LEVEL=debug -- python3 bootstrap.py
  lockstep fn add mail --retries 5 --dead-letter arn:aws:sqs:us-east-1:123456789012:lost -- node bootstrap.mjs
  lockstep fn add render --worker      # no program here: lockstep fn key render`,
		Args: cobra.MinimumNArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash > 1 || dash < 0 && len(args) > 1 {
				return usageError("put -- in front of the command: lockstep fn add %s -- %s", args[0], strings.Join(args[1:], " "))
			}
			s.Command = args[1:]
			if worker == (len(s.Command) > 0) {
				return usageError("say what runs the function: lockstep fn add %s -- COMMAND, or else --worker", args[0])
			}
			var err error
			if s.Dir, err = filepath.Abs(s.Dir); err != nil {
				return err
			}
			s.Env = map[string]string{}
			for _, text := range env {
				name, v, ok := strings.Cut(text, "=")
				if !ok {
					return usageError("--env %s: give NAME=VALUE; --pass-env passes a variable of the server", text)
				}
				s.Env[name] = v
			}
			s.Timeout, s.Idle, s.RetryDelay, s.Retries = fn.Duration(timeout), fn.Duration(idle), fn.Duration(delay), &retries
			var made struct{ Name, ARN string }
			if err := c.call(cmd.Context(), http.MethodPut, "/"+url.PathEscape(args[0]), s, &made); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.ARN)
			return nil
		}),
	}
	flags := cmd.Flags()
	c.register(flags)
	flags.StringVar(&s.Dir, "dir", ".", "`directory` where it runs (LAMBDA_TASK_ROOT)")
	flags.StringVar(&s.Handler, "handler", "", "its handler, for runtimes that ask (_HANDLER)")
	flags.DurationVar(&timeout, "timeout", 3*time.Second, "how long a call may take")
	flags.IntVar(&s.Memory, "memory", 128, "MiB that a process and its children may hold; -1: any")
	flags.IntVar(&s.Concurrency, "concurrency", 10, "how many processes there may be")
	flags.DurationVar(&idle, "idle", 5*time.Minute, "how long a process may have nothing to do")
	flags.StringArrayVar(&env, "env", nil, "`NAME=VALUE` for its environment; more than one may be given")
	flags.StringArrayVar(&s.PassEnv, "pass-env", nil, "`name` of a variable that it gets from the server's environment")
	flags.IntVar(&retries, "retries", 2, "how often a call that nobody waits for is tried again")
	flags.DurationVar(&delay, "retry-delay", time.Minute, "time before the first of these; then it doubles")
	flags.StringVar(&s.DeadLetter, "dead-letter", "", "`URL`, function, or ARN of a function, an SQS queue or an SNS topic that is told when all have failed")
	flags.BoolVar(&worker, "worker", false, "no program: workers elsewhere serve it")
	return cmd
}

func newFnLsCommand() *cobra.Command {
	var c fnClient
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the functions and what they are doing",
		Example: "  lockstep fn ls\n  lockstep fn ls --json",
		Args:    cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			var list struct {
				Functions []fn.Info `json:"functions"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "", nil, &list); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list.Functions)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tPROCESSES\tBUSY\tWAITING\tEVENTS\tCALLS\tERRORS\tCOMMAND")
			for _, f := range list.Functions {
				command := strings.Join(strings.Fields(strings.Join(f.Command, " ")), " ")
				if command == "" {
					command = "(workers)"
				}
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", f.Name, f.Processes, f.Busy, f.Waiting, f.Events, f.Invocations, f.Errors, command)
			}
			return w.Flush()
		}),
	}
	c.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func newFnLogsCommand() *cobra.Command {
	var c fnClient
	var follow bool
	var tail int
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what a function has written",
		Long: `Logs shows what the processes of a function have written, with Lambda's lines
around each call. In front of a line are its time and the number of the process.`,
		Example: "  lockstep fn logs hello\n  lockstep fn logs hello -f --tail 10",
		Args:    cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			query := url.Values{"follow": {strconv.FormatBool(follow)}}
			if tail >= 0 {
				query.Set("tail", strconv.Itoa(tail))
			}
			res, err := c.send(ctx, http.MethodGet, "/api/v1/functions/"+url.PathEscape(args[0])+"/logs?"+query.Encode(), nil, nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if _, err = io.Copy(cmd.OutOrStdout(), res.Body); ctx.Err() != nil {
				return nil
			}
			return err
		}),
	}
	c.register(cmd.Flags())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().IntVar(&tail, "tail", -1, "only so many `lines`; -1: all that is kept at hand")
	return cmd
}

func newFnInvokeCommand() *cobra.Command {
	var c fnClient
	var payload, mode, qualifier string
	var logs bool
	cmd := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Call a function and show its answer",
		Long: `Invoke calls a function and writes its answer. Where the function fails, the error
is the answer and the exit code is 1.`,
		Example: `  lockstep fn invoke hello --payload '{"name":"Ada"}'
  lockstep fn invoke hello --payload - < event.json
  lockstep fn invoke hello --event`,
		Args: cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			body := []byte(payload)
			if payload == "-" {
				var err error
				if body, err = io.ReadAll(cmd.InOrStdin()); err != nil {
					return err
				}
			}
			header := http.Header{"X-Amz-Invocation-Type": {mode}}
			if logs {
				header.Set("X-Amz-Log-Type", "Tail")
			}
			path := "/2015-03-31/functions/" + url.PathEscape(args[0]) + "/invocations"
			if qualifier != "" {
				path += "?Qualifier=" + url.QueryEscape(qualifier)
			}
			res, err := c.send(cmd.Context(), http.MethodPost, path, body, header)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if text, err := base64.StdEncoding.DecodeString(res.Header.Get("X-Amz-Log-Result")); err == nil {
				cmd.ErrOrStderr().Write(text)
			}
			answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
			if err != nil {
				return err
			}
			if len(answer) > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", bytes.TrimRight(answer, "\n"))
			}
			if res.Header.Get("X-Amz-Function-Error") != "" {
				return &exitError{code: exitFailed}
			}
			return nil
		}),
	}
	c.register(cmd.Flags())
	cmd.Flags().StringVar(&payload, "payload", "", "`JSON` to call it with; - reads it from standard input")
	cmd.Flags().StringVar(&mode, "type", "RequestResponse", "RequestResponse, Event (not waited for) or DryRun")
	cmd.Flags().StringVar(&qualifier, "qualifier", "", "version or alias")
	cmd.Flags().BoolVar(&logs, "log", false, "show the end of the call's log on standard error")
	return cmd
}

func newFnRmCommand() *cobra.Command {
	var c fnClient
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a function",
		Long:    "Rm removes a function that was added. Calls under way come to their end.",
		Example: "  lockstep fn rm hello",
		Args:    cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			return c.call(cmd.Context(), http.MethodDelete, "/"+url.PathEscape(args[0]), nil, &struct{}{})
		}),
	}
	c.register(cmd.Flags())
	return cmd
}

func newFnReloadCommand() *cobra.Command {
	var c fnClient
	cmd := &cobra.Command{
		Use:   "reload [NAME]",
		Short: "Take up a changed configuration and changed programs",
		Long: `Reload has the server read the functions of its configuration file again, and start
new processes, of one function or of all: calls under way come to their end in the
old ones. The signal SIGHUP does the former alone.`,
		Example: "  lockstep fn reload\n  lockstep fn reload hello",
		Args:    cobra.MaximumNArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			path := "/reload"
			if len(args) > 0 {
				path += "?name=" + url.QueryEscape(args[0])
			}
			return c.call(cmd.Context(), http.MethodPost, path, nil, &struct{}{})
		}),
	}
	c.register(cmd.Flags())
	return cmd
}

func newFnKeyCommand() *cobra.Command {
	var c fnClient
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Show the key that a worker elsewhere needs to serve a function",
		Long: `Key shows a key for one function. Whoever has it can take the calls of this function
and answer them, by Lambda's Runtime API at the server's own address: with the
header Authorization: Bearer KEY, or at the path /workers/KEY. A runtime built for
Lambda gets there with AWS_LAMBDA_RUNTIME_API=HOST:PORT/workers/KEY.`,
		Example: `  AWS_LAMBDA_RUNTIME_API=10.0.0.5:8083/workers/$(lockstep fn key render) ./bootstrap`,
		Args:    cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			var made struct{ Key string }
			if err := c.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(args[0])+"/key", nil, &made); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.Key)
			return nil
		}),
	}
	c.register(cmd.Flags())
	return cmd
}

func newFnInitCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "init DIRECTORY",
		Short: "Write a function to start from",
		Long: `Init writes a handler as Lambda has them, and a bootstrap that runs it: some thirty
lines that ask for calls and answer them. It overwrites nothing.`,
		Example: "  lockstep fn init --runtime python hello\n  lockstep fn init --runtime node hello",
		Args:    cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			r, ok := examples.Runtimes[name]
			if !ok {
				return usageError("--runtime %s: give node or python", name)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, file := range r.Files {
				if err := writeNew(filepath.Join(args[0], file.Name), file.Text); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Add it to a running server with\n  lockstep fn add %s --dir %s --handler %s -- %s\n",
				filepath.Base(args[0]), args[0], r.Handler, strings.Join(r.Command, " "))
			return nil
		}),
	}
	cmd.Flags().StringVar(&name, "runtime", "node", "node or python")
	return cmd
}

func newFnEchoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "echo",
		Short: "Be a function that answers with what it gets",
		Long: `Echo is a function, to try things with and to measure: it asks for calls where
AWS_LAMBDA_RUNTIME_API says, and answers each with its payload.`,
		Example: `  lockstep fn add echo -- lockstep fn echo`,
		Args:    cobra.NoArgs,
		RunE: act(func(*cobra.Command, []string) error {
			address := os.Getenv("AWS_LAMBDA_RUNTIME_API")
			if address == "" {
				return usageError("this is a function: a server runs it, after lockstep fn add echo -- lockstep fn echo")
			}
			err := fn.Serve(address, func(payload []byte) ([]byte, error) { return payload, nil })
			if errors.Is(err, io.EOF) { // the server has ended
				return nil
			}
			return err
		}),
	}
}

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
