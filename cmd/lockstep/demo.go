package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	demoData    = defaultData + "/demo"
	demoMachine = "content-moderator"

	// maxAtOnce is how many comments are on their way to the model at once. It is
	// for the model's sake: providers limit their callers.
	maxAtOnce = 16
)

func newDemoCommand() *cobra.Command {
	d := demo{out: os.Stdout}
	var server serverFlags
	var file, modelName string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: a content moderator, with you as the reviewer",
		Long: `Demo starts a server, gives it the state machine of a content moderator through
the AWS API, and runs comments through it: a model scores each, harmless ones are
posted, and the others wait for a person, for as long as it takes.

The model is Anthropic's with ANTHROPIC_API_KEY (ANTHROPIC_MODEL names it), an
OpenAI-compatible one with OPENAI_API_KEY or OPENAI_BASE_URL (OPENAI_MODEL), one
of Amazon Bedrock with BEDROCK_MODEL_ID, and otherwise lockstep.lexicon-v1, which
is built in, needs no network, and scores by looking words up.

On a terminal the server goes on until Ctrl-C. Everything is kept: a second demo
in the same directory adds to the first, and what waits can be decided while a
demo runs, or while none does.`,
		Example: `  lockstep demo
  lockstep demo approve 21 24
  lockstep demo reject 25 --note 'no insults, please'
  lockstep demo --exit --approve-all --file comments.jsonl`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			s, err := server.settings(cmd.Flags())
			if err != nil {
				return err
			}
			if err := requireLoopback(s.listen); err != nil {
				return err
			}
			if d.model, err = chooseModel(modelName, os.Getenv); err != nil {
				return err
			}
			s.models = append(d.model.routes, s.models...)
			s.log = quietLog()
			if d.comments, err = readComments(file); err != nil {
				return err
			}
			d.keepServing = isTerminal(os.Stdout) && !d.exit
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			anyPort := s.listen == defaultListen && !cmd.Flags().Changed("listen")
			return d.run(ctx, s, anyPort)
		}),
	}
	flags := cmd.Flags()
	server.register(flags, demoData)
	flags.StringVar(&file, "file", "", "JSON Lines `file` with comments: {\"commentId\", \"author\", \"text\"} (default: sixty that are built in)")
	flags.StringVar(&modelName, "model", "", "who scores: `anthropic, openai, bedrock or lexicon` (default: by the environment)")
	flags.BoolVar(&d.approveAll, "approve-all", false, "approve whatever waits for a person: for runs that nobody watches")
	flags.BoolVar(&d.exit, "exit", false, "end when all is done, on a terminal too")
	cmd.AddCommand(newDecideCommand("approve", "approved"), newDecideCommand("reject", "rejected"))
	return cmd
}

// demo is one run of the command.
type demo struct {
	out         *os.File
	model       demoModel
	comments    []examples.Comment
	approveAll  bool
	exit        bool
	keepServing bool

	api     *client
	desk    *desk
	machine string // ARN
	first   int    // number of the run's first comment
	rows    []row  // one for each comment
	earlier int    // comments of earlier runs that --approve-all approved
}

// row is what became of a comment.
type row struct {
	number    int
	execution string // its name
	text      string
	score     *float64
	verdict   string // posted, waiting, approved, rejected or failed
	why       string // it failed
}

const waiting = "waiting"

func (d *demo) run(ctx context.Context, s settings, anyPort bool) error {
	srv, err := openDemoServer(ctx, d.out, s, anyPort)
	if err != nil {
		return explain(err, s.data)
	}
	closeServer := sync.OnceValue(func() error { return srv.closeSoon(ctx) })
	defer closeServer()
	ctx, cancel := srv.while(ctx)
	defer cancel()

	d.api = newClient(srv.url)
	d.introduce(srv, s)
	activity, err := d.deploy(ctx, srv)
	if err != nil {
		return interrupted(ctx, err)
	}
	if err := d.resume(ctx, s.data); err != nil {
		return interrupted(ctx, err)
	}
	polling, stopPolling := context.WithCancel(ctx)
	var desk sync.WaitGroup
	desk.Go(func() { d.desk.poll(polling, activity, s.log) })
	defer desk.Wait()
	defer stopPolling()

	if err := d.moderateAll(ctx); err != nil {
		return interrupted(ctx, err)
	}
	if d.approveAll {
		if err := d.decideAll(ctx, decision{Decision: "approve", Reviewer: "lockstep demo --approve-all"}); err != nil {
			return interrupted(ctx, err)
		}
	}
	d.showTable()
	failed := d.showSummary(ctx)
	d.showNext(srv)
	if d.keepServing {
		failed = d.follow(ctx)
	}
	stopPolling()
	desk.Wait()
	return errors.Join(failed, closeServer())
}

// openDemoServer starts the server. When nobody asked for a certain address and
// the usual one is taken, it takes another.
func openDemoServer(ctx context.Context, out io.Writer, s settings, anyPort bool) (*server, error) {
	srv, err := openServer(ctx, s)
	if !anyPort || !errors.Is(err, errInUse) {
		return srv, err
	}
	taken := s.listen
	s.listen = "127.0.0.1:0"
	if srv, err = openServer(ctx, s); err == nil {
		fmt.Fprintf(out, "%s is in use, so this demo listens on another port.\n\n", taken)
	}
	return srv, err
}

// deploy makes the activity and the machine, or brings the machine up to date.
func (d *demo) deploy(ctx context.Context, srv *server) (activityARN string, err error) {
	var activity struct {
		ARN string `json:"activityArn"`
	}
	if err := d.api.call(ctx, "CreateActivity", fields{"name": examples.ReviewActivity}, &activity); err != nil {
		return "", err
	}
	definition := examples.ContentModerator(d.model.id, activity.ARN)
	role := "arn:aws:iam::" + srv.scheme.Account + ":role/lockstep-demo"
	var machine struct {
		ARN string `json:"stateMachineArn"`
	}
	err = d.api.call(ctx, "CreateStateMachine", fields{"name": demoMachine, "definition": definition, "roleArn": role}, &machine)
	if isAPIError(err, "StateMachineAlreadyExists") { // with another model, or of another version
		machine.ARN = srv.scheme.Machine(demoMachine)
		err = d.api.call(ctx, "UpdateStateMachine", fields{"stateMachineArn": machine.ARN, "definition": definition, "roleArn": role}, nil)
	}
	d.machine = machine.ARN
	return activity.ARN, err
}

// resume takes up what earlier runs left: their numbers, and what waits.
func (d *demo) resume(ctx context.Context, dir string) error {
	var err error
	if d.desk, err = openDesk(dir, d.api); err != nil {
		return err
	}
	running := map[string]execution{}
	err = d.api.executions(ctx, d.machine, "", func(x execution) {
		d.first = max(d.first, numberOf(x.Name))
		if x.Status == "RUNNING" && numberOf(x.Name) > 0 {
			running[x.Name] = x
		}
	})
	if err != nil {
		return err
	}
	d.first++
	lost, err := d.desk.lost(ctx, running)
	if err != nil {
		return err
	}
	for _, x := range lost {
		if err := d.again(ctx, x); err != nil {
			return err
		}
		delete(running, x.Name)
	}
	return d.desk.keep(running)
}

// again ends an execution that nobody can answer any more, and runs its comment
// with those of this run.
func (d *demo) again(ctx context.Context, x execution) error {
	x, err := d.api.describe(ctx, x.ARN)
	if err != nil {
		return err
	}
	c := examples.Comment{Input: x.Input}
	if err := json.Unmarshal([]byte(x.Input), &c); err != nil {
		return fmt.Errorf("read the input of %s: %w", x.Name, err)
	}
	d.comments = append(d.comments, c)
	fmt.Fprintf(d.out, "%s was being handed to the review desk when the last demo was killed; it is moderated again.\n", x.Name)
	return d.api.call(ctx, "StopExecution", fields{
		"executionArn": x.ARN, "error": "Demo.Again", "cause": "The demo was killed before it had written the task token down.",
	}, nil)
}

// moderateAll runs an execution for each comment and returns when every one has
// ended or waits for a person.
func (d *demo) moderateAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.rows = make([]row, len(d.comments))
	p := newProgress(d.out, len(d.rows))
	defer p.close()
	slots := make(chan struct{}, maxAtOnce)
	var all sync.WaitGroup
	for i, c := range d.comments {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			r, err := d.moderate(ctx, d.first+i, c)
			if err != nil {
				cancel(err)
				return
			}
			d.rows[i] = r
			p.add(r.verdict)
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// moderate runs one comment.
func (d *demo) moderate(ctx context.Context, number int, c examples.Comment) (row, error) {
	r := row{number: number, execution: nameOf(number), text: c.Text}
	var started execution
	err := d.api.call(ctx, "StartExecution", fields{"stateMachineArn": d.machine, "name": r.execution, "input": c.Input}, &started)
	if err != nil {
		return r, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		if claimed, ok := d.desk.find(r.execution); ok {
			r.verdict, r.score = waiting, claimed.Review.Score
			return r, nil
		}
		x, err := d.api.describe(ctx, started.ARN)
		if err != nil {
			return r, err
		}
		if x.Status != "RUNNING" {
			r.end(x)
			return r, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// end fills in what became of an execution that has ended.
func (r *row) end(x execution) {
	if x.Status != "SUCCEEDED" {
		r.verdict, r.why = "failed", strings.TrimSpace(x.Error+" "+x.Cause)
		return
	}
	var output struct {
		Verdict string   `json:"verdict"`
		Score   *float64 `json:"score"`
	}
	if err := json.Unmarshal([]byte(x.Output), &output); err != nil || output.Verdict == "" {
		r.verdict, r.why = "failed", "its output is not that of the content moderator"
		return
	}
	r.verdict, r.score = output.Verdict, output.Score
}

// decideAll decides about everything that waits, also from earlier runs.
func (d *demo) decideAll(ctx context.Context, say decision) error {
	for _, c := range d.desk.waiting() {
		x, err := d.desk.settle(ctx, executionARN(d.machine, c.Execution), c, say)
		if err != nil {
			return err
		}
		if i := c.number() - d.first; i >= 0 && i < len(d.rows) {
			d.rows[i].end(x)
		} else {
			d.earlier++
		}
	}
	return nil
}

// settle decides about a comment, which leaves the desk, and waits until its
// execution has ended.
func (d *desk) settle(ctx context.Context, arn string, c claim, say decision) (execution, error) {
	if err := d.decide(ctx, c, say); err != nil && !isOver(err) {
		return execution{}, err
	}
	d.forget(c)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		x, err := d.api.describe(ctx, arn)
		if err != nil || x.Status != "RUNNING" {
			return x, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return x, ctx.Err()
		}
	}
}

// follow serves until Ctrl-C, and tells of decisions as they are made.
func (d *demo) follow(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := failure(ctx); err != nil {
				return err
			}
			fmt.Fprintln(d.out, "\nStopping. What waits goes on waiting.")
			return nil
		case <-tick.C:
		}
		for i := range d.rows {
			r := &d.rows[i]
			if r.verdict != waiting {
				continue
			}
			x, err := d.api.describe(ctx, executionARN(d.machine, r.execution))
			if err != nil || x.Status == "RUNNING" {
				continue // asked again at the next tick
			}
			r.end(x)
			fmt.Fprintf(d.out, "%s  comment %d is %s\n", time.Now().Format(time.TimeOnly), r.number, r.verdict)
		}
	}
}

// newDecideCommand makes "demo approve" and "demo reject".
func newDecideCommand(verb, done string) *cobra.Command {
	var say decision
	var dir string
	cmd := &cobra.Command{
		Use:   verb + " NUMBER...",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " comments that wait for a person",
		Long: fmt.Sprintf(`This answers the tasks of comments that wait for a person: they are %s.
NUMBER is that of the demo's table; "all" means every one that waits.

It works while a demo runs in the same directory, and while none does.`, done),
		Example: fmt.Sprintf(`  lockstep demo %s 21
  lockstep demo %s 21 24 25 --note 'fine by me'
  lockstep demo %s all`, verb, verb, verb),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("give the numbers of the comments to %s, or all", verb)
			}
			return nil
		},
		RunE: act(func(cmd *cobra.Command, args []string) error {
			say.Decision = verb
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runDecide(ctx, cmd.OutOrStdout(), dir, args, say)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data", "./"+demoData, "the demo's data `directory`")
	flags.StringVar(&say.Reviewer, "as", reviewerName(), "your `name`, which is kept with the decision")
	flags.StringVar(&say.Note, "note", "", "a `text` to keep with the decision")
	withEnv(flags, "data")
	return cmd
}

func reviewerName() string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if text := os.Getenv(name); text != "" {
			return text
		}
	}
	return "somebody"
}

func runDecide(ctx context.Context, out io.Writer, dir string, args []string, say decision) error {
	if _, err := os.Stat(filepath.Join(dir, deskFile)); err != nil {
		return fmt.Errorf("no demo has run in %s: run %s demo first, or name its directory with --data", dir, programName())
	}
	ctx, url, closeServer, err := serverOf(ctx, dir)
	if err != nil {
		return explain(err, dir)
	}
	defer closeServer()
	d, err := openDesk(dir, newClient(url))
	if err != nil {
		return err
	}
	machine, err := d.machineARN(ctx)
	if err != nil {
		return err
	}
	chosen, err := d.choose(ctx, machine, args)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		x, err := d.settle(ctx, executionARN(machine, c.Execution), c, say)
		if err != nil {
			return err
		}
		var r row
		r.end(x)
		fmt.Fprintf(out, "Comment %d is %s: %s\n", c.number(), r.verdict, shorten(printable(c.Text), 60))
	}
	return nil
}

// choose finds the claims with the given numbers, or all that still wait.
func (d *desk) choose(ctx context.Context, machineARN string, args []string) ([]claim, error) {
	running := map[string]execution{}
	err := d.api.executions(ctx, machineARN, "RUNNING", func(x execution) { running[x.Name] = x })
	if err != nil {
		return nil, err
	}
	d.forgetBut(running)
	if len(args) == 1 && args[0] == "all" {
		all := d.waiting()
		if len(all) == 0 {
			return nil, errors.New("no comment waits for a person")
		}
		return all, nil
	}
	var chosen []claim
	for _, arg := range args {
		c, ok := d.find(namePrefix + strings.TrimPrefix(arg, namePrefix))
		if !ok {
			return nil, d.notWaiting(arg)
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func (d *desk) notWaiting(arg string) error {
	others := d.waiting()
	if len(others) == 0 {
		return fmt.Errorf("comment %s does not wait for a person; no comment does", arg)
	}
	return fmt.Errorf("comment %s does not wait for a person; these do: %s", arg, numbers(others))
}

// serverOf finds the server that has the directory open, or else opens one until
// closeServer is called. The context it returns ends with that server.
func serverOf(ctx context.Context, dir string) (_ context.Context, url string, closeServer func(), err error) {
	m, err := chooseModel("", os.Getenv)
	if err != nil {
		return nil, "", nil, err
	}
	srv, err := openServer(ctx, settings{
		listen: "127.0.0.1:0", data: dir, scheme: arn.Default, models: m.routes, log: quietLog(), fatal: endBroken,
	})
	if err == nil {
		while, cancel := srv.while(ctx)
		return while, srv.url, func() { cancel(); srv.closeSoon(ctx) }, nil
	}
	if !errors.Is(err, store.ErrLocked) {
		return nil, "", nil, err
	}
	text, readErr := os.ReadFile(filepath.Join(dir, urlFile))
	if readErr != nil {
		return nil, "", nil, err
	}
	return ctx, strings.TrimSpace(string(text)), func() {}, nil
}

// machineARN finds the demo's machine: region and account may be any.
func (d *desk) machineARN(ctx context.Context) (string, error) {
	var page struct {
		Machines []struct {
			Name string `json:"name"`
			ARN  string `json:"stateMachineArn"`
		} `json:"stateMachines"`
	}
	if err := d.api.call(ctx, "ListStateMachines", fields{"maxResults": 1000}, &page); err != nil {
		return "", err
	}
	for _, m := range page.Machines {
		if m.Name == demoMachine {
			return m.ARN, nil
		}
	}
	return "", fmt.Errorf("there is no machine %s in this directory", demoMachine)
}

func executionARN(machineARN, name string) string {
	return strings.Replace(machineARN, ":stateMachine:", ":execution:", 1) + ":" + name
}

// interrupted says what an error means that came because ctx ended.
func interrupted(ctx context.Context, err error) error {
	if failed := failure(ctx); failed != nil {
		return failed
	}
	if ctx.Err() != nil {
		return errors.New("stopped before the end; what was started goes on with the next demo in this directory")
	}
	return err
}
