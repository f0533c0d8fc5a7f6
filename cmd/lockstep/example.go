package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// exampleFile says what an example consists of.
const exampleFile = "example.yaml"

// example is what an example's file says.
type example struct {
	Title    string
	Objects  string                    // a folder of buckets
	Machines map[string]exampleMachine // by name
	Make     struct {
		Reviews struct {
			Bucket, Key string
			Rows        int
		}
	}
	Run []struct {
		Machine string
		Input   any
		Fails   string // the error that it must end with
	}
	Pipeline struct{ Notes string } // of two agents and a reviewer: what the first one reads
	name     string
	dir      fs.FS
}

// exampleMachine is a file, perhaps with values for its ${Name}s.
type exampleMachine struct {
	File string
	Set  map[string]string
}

// UnmarshalYAML reads the name of a file, or a mapping.
func (m *exampleMachine) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&m.File)
	}
	type plain exampleMachine
	return n.Decode((*plain)(m))
}

func newExampleCommand() *cobra.Command {
	var e exampleRun
	cmd := &cobra.Command{
		Use:   "example [NAME]",
		Short: "Run one of the examples; without a name, list them",
		Long: `Example runs one of the examples from beginning to end on a server of its own, which
ends with it: it makes the state machines through the AWS API, runs them and shows
what came out. Nothing else is needed, not even a network.

Each example has a configuration that says who answers for its models. With
--config FILE somebody else does, and the state machines stay as they are. With
--write DIR the example's files are written there, to be changed.`,
		Example: `  lockstep example
  lockstep example rag
  lockstep example llm-chain --config my-models.yaml
  lockstep example saga --write ./saga
  lockstep example review-gated-pipeline --unattended`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			list, _ := listExamples()
			var names []string
			for _, x := range list {
				names = append(names, x.name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: act(func(cmd *cobra.Command, args []string) error {
			e.out = cmd.OutOrStdout()
			list, err := listExamples()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				for _, x := range list {
					fmt.Fprintf(e.out, "%-22s %s\n", x.name, x.Title)
				}
				return nil
			}
			i := slices.IndexFunc(list, func(x *example) bool { return x.name == args[0] })
			if i < 0 {
				return usageError("there is no example %.60q; lockstep example lists them", args[0])
			}
			if !slices.Contains(append(pipelineForms, ""), e.as) {
				return usageError("--as is machine or board")
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			return e.run(ctx, list[i])
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&e.config, "config", "", "configuration `file` in the place of the example's own")
	flags.StringVar(&e.objects, "objects", "", "where the objects are, as for lockstep dev; default: with the data")
	flags.StringVar(&e.data, "data", "", "keep everything in this `directory`; default: one that is removed afterwards")
	flags.StringVar(&e.write, "write", "", "write the example's files into this new `directory` instead of running it")
	flags.StringVar(&e.as, "as", "", "a pipeline as a state `machine` or on the board; default: once each")
	flags.BoolVar(&e.unattended, "unattended", false, "a scripted reviewer decides, not you")
	flags.IntVar(&e.rows, "rows", 0, "how many `rows` a file that is made has; default: as the example says")
	return cmd
}

// listExamples reads what is built in.
func listExamples() ([]*example, error) {
	dirs, err := fs.ReadDir(examples.Files, ".")
	if err != nil {
		return nil, err
	}
	var list []*example
	for _, d := range dirs {
		dir, err := fs.Sub(examples.Files, d.Name())
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(dir, exampleFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the demo runs it
		}
		if err != nil {
			return nil, err
		}
		x := &example{name: d.Name(), dir: dir}
		if err := yaml.Unmarshal(text, x); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", d.Name(), exampleFile, err)
		}
		list = append(list, x)
	}
	return list, nil
}

// exampleRun runs an example.
type exampleRun struct {
	out                          io.Writer
	config, objects, data, write string
	as                           string // of a pipeline: machine, board or both
	unattended                   bool   // a scripted reviewer decides
	rows                         int
}

func (e *exampleRun) run(ctx context.Context, x *example) error {
	if e.write != "" {
		if err := os.CopyFS(e.write, x.dir); err != nil {
			return err
		}
		fmt.Fprintf(e.out, "%s has the files of %s. Start with its README.md.\n", e.write, x.name)
		return nil
	}
	dir, err := os.MkdirTemp("", "lockstep-example-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := filepath.Join(dir, "files")
	if err := os.CopyFS(files, x.dir); err != nil {
		return err
	}
	cfg, err := config.Load(cmp.Or(e.config, filepath.Join(files, "lockstep.yaml")))
	if err != nil && (e.config != "" || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if cfg == nil {
		cfg = &config.Config{}
	}
	s := settings{
		listen: "127.0.0.1:0", data: cmp.Or(e.data, filepath.Join(dir, "data")), scheme: arn.Default, retention: defaultRetention,
		functions: cfg.Functions, models: cfg.Models, gates: cfg.Gates, objects: cmp.Or(e.objects, objectsByEnvironment()),
		log: quietLog(), fatal: endBroken,
	}
	srv, err := openServer(ctx, s)
	if err != nil {
		return explain(err, s.data)
	}
	defer srv.closeSoon(ctx)
	ctx, cancel := srv.while(ctx)
	defer cancel()
	machines, err := e.play(ctx, x, newClient(srv.url), s)
	if err == nil && x.Pipeline.Notes != "" {
		err = e.pipeline(ctx, x, srv, machines)
	}
	if err == nil && e.data != "" {
		fmt.Fprintf(e.out, "Kept in %s: lockstep dev --data %s\n", e.data, e.data)
	}
	if failed := failure(ctx); failed != nil {
		return failed
	}
	return err
}

// play makes what the example has and runs it. It returns the ARNs of the
// machines.
func (e *exampleRun) play(ctx context.Context, x *example, api *client, s settings) (map[string]string, error) {
	fmt.Fprintf(e.out, "%s\n\n", x.Title)
	if err := e.fill(ctx, x, s); err != nil {
		return nil, err
	}
	machines := map[string]string{}
	for _, name := range sortedKeys(x.Machines) {
		m := x.Machines[name]
		text, err := fs.ReadFile(x.dir, m.File)
		if err != nil {
			return nil, err
		}
		in := fields{"name": name, "definition": examples.Substitute(string(text), m.Set), "roleArn": "arn:aws:iam::" + s.scheme.Account + ":role/lockstep-example"}
		var made struct {
			ARN string `json:"stateMachineArn"`
		}
		err = api.call(ctx, "CreateStateMachine", in, &made)
		if isAPIError(err, "StateMachineAlreadyExists") { // of an older lockstep, in kept data
			made.ARN = s.scheme.Machine(name)
			err = api.call(ctx, "UpdateStateMachine", fields{"stateMachineArn": made.ARN, "definition": in["definition"]}, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		machines[name] = made.ARN
	}
	for _, r := range x.Run {
		if err := e.one(ctx, api, r.Machine, machines[r.Machine], r.Input, r.Fails); err != nil {
			return nil, err
		}
	}
	return machines, nil
}

// one runs an execution and shows what came of it.
func (e *exampleRun) one(ctx context.Context, api *client, name, machine string, input any, fails string) error {
	text, err := json.Marshal(input)
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintf(e.out, "%s  %s\n", name, text)
	var started struct {
		ARN string `json:"executionArn"`
	}
	if err := api.call(ctx, "StartExecution", fields{"stateMachineArn": machine, "input": string(text)}, &started); err != nil {
		return err
	}
	var end struct{ Status, Output, Error, Cause string }
	tell := time.Now().Add(2 * time.Second)
	for end.Status = "RUNNING"; end.Status == "RUNNING"; {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := api.call(ctx, "DescribeExecution", fields{"executionArn": started.ARN}, &end); err != nil {
			return err
		}
		if time.Now().After(tell) {
			tell = time.Now().Add(2 * time.Second)
			e.progress(ctx, api, started.ARN)
		}
	}
	fmt.Fprintf(e.out, "  %s in %.1f s\n", end.Status, time.Since(began).Seconds())
	if end.Status != "SUCCEEDED" {
		fmt.Fprintf(e.out, "  %s: %s\n\n", end.Error, end.Cause)
		if fails == "" || fails != end.Error {
			return fmt.Errorf("%s ended with %s", name, cmp.Or(end.Error, end.Status))
		}
		return nil
	}
	fmt.Fprintf(e.out, "  %s\n\n", end.Output)
	if fails != "" {
		return fmt.Errorf("%s was to end with %s", name, fails)
	}
	return nil
}

// progress shows how far the Map Runs of an execution are.
func (e *exampleRun) progress(ctx context.Context, api *client, execution string) {
	var list struct {
		MapRuns []struct{ MapRunArn string }
	}
	if api.call(ctx, "ListMapRuns", fields{"executionArn": execution}, &list) != nil {
		return
	}
	for _, r := range list.MapRuns {
		var run struct {
			Status     string
			ItemCounts struct{ Succeeded, Failed, Running int }
		}
		if api.call(ctx, "DescribeMapRun", fields{"mapRunArn": r.MapRunArn}, &run) == nil && run.Status == "RUNNING" {
			fmt.Fprintf(e.out, "  … %d items done, %d failed, %d under way\n", run.ItemCounts.Succeeded, run.ItemCounts.Failed, run.ItemCounts.Running)
		}
	}
}

// fill puts the example's objects where the server looks for them.
func (e *exampleRun) fill(ctx context.Context, x *example, s settings) error {
	if x.Objects == "" && x.Make.Reviews.Bucket == "" {
		return nil
	}
	if s.objects == "" {
		s.objects = filepath.Join(s.data, "objects")
	}
	st, err := objects.Open(ctx, s.objects, objects.Options{Region: s.scheme.Region})
	if err != nil {
		return err
	}
	put := func(bucket, key string, write func(io.Writer) error) error {
		if dir, ok := st.(*objects.Dir); ok {
			if err := dir.MakeBucket(bucket); err != nil {
				return err
			}
		}
		w, err := st.Create(ctx, objects.Ref{Bucket: bucket, Key: key})
		if err != nil {
			return err
		}
		defer w.Abort()
		if err := write(w); err != nil {
			return err
		}
		return w.Close()
	}
	if r := x.Make.Reviews; r.Bucket != "" {
		return put(r.Bucket, r.Key, func(w io.Writer) error { return writeReviews(w, cmp.Or(e.rows, r.Rows)) })
	}
	dir, err := fs.Sub(x.dir, x.Objects)
	if err != nil {
		return err
	}
	return fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		bucket, key, _ := strings.Cut(path.Clean(name), "/")
		return put(bucket, key, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
}

// writeReviews makes a file of reviews out of the comments that are built in.
func writeReviews(w io.Writer, rows int) error {
	comments := examples.Comments()
	out := csv.NewWriter(w)
	out.Write([]string{"id", "author", "text"})
	for i := range rows {
		c := comments[i%len(comments)]
		out.Write([]string{strconv.Itoa(i + 1), c.Author, c.Text})
	}
	out.Flush()
	return out.Error()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
