package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// executionRow is what the commands read of an execution.
type executionRow struct {
	ARN        string `json:"arn"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Machine    string `json:"machine"`
	StartedAt  string `json:"started_at"`
	StoppedAt  string `json:"stopped_at"`
	DurationMs int64  `json:"duration_ms"`
	Redrives   int64  `json:"redrives"`
	State      string `json:"state"`
	WaitingFor string `json:"waiting_for"`
	Error      string `json:"error"`
}

// executionDetail is an execution by itself.
type executionDetail struct {
	executionRow
	Input       payloadText `json:"input"`
	Output      payloadText `json:"output"`
	Cause       string      `json:"cause"`
	Redrivable  string      `json:"redrive_status"`
	Transitions int64       `json:"transitions"`
	Events      int64       `json:"events"`
	CostNano    int64       `json:"cost_nano"`
	Tokens      int64       `json:"tokens"`
	Parent      string      `json:"parent_execution"`
	MapRun      string      `json:"map_run"`
	ForkOf      *struct {
		ARN   string `json:"arn"`
		State string `json:"state"`
	} `json:"fork_of"`
}

type payloadText struct {
	Text string `json:"text"`
}

// visitRow is one state entry.
type visitRow struct {
	ID        int64  `json:"id"`
	Path      string `json:"path"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	Waiting   string `json:"waiting_for"`
	EnteredAt string `json:"entered_at"`
	ExitedAt  string `json:"exited_at"`
	Attempts  []any  `json:"attempts"`
	Redrive   int64  `json:"redrive"`
	Error     string `json:"error"`
}

func newExecCommand() *cobra.Command {
	return group("exec", "Look at executions, stop them and begin them again",
		`Exec works with executions of a running server. An execution is named by its ARN
or as MACHINE:NAME.`,
		`  lockstep exec ls --status failed --since 24h
  lockstep exec visits orders:order-17 --failed-first
  lockstep exec fork orders:order-17 --state Charge --input '{"amount":5}'`,
		newExecLs(), newExecShow(), newExecVisits(), newExecHistory(), newExecStop(), newExecRedrive(), newExecFork(), newExecWait())
}

// aws makes a call of the AWS API at the same server.
func (c *restClient) aws(ctx context.Context, action string, in, out any) error {
	token, err := tokenFor(c.url, c.tokenFile)
	if err != nil {
		return err
	}
	aws := newClient(strings.TrimSuffix(c.url, "/"))
	aws.token = token
	return aws.call(ctx, action, in, out)
}

// execution reads an execution.
func (c *restClient) execution(ctx context.Context, ref string) (x executionDetail, text []byte, err error) {
	text, err = c.call(ctx, http.MethodGet, "executions/"+url.PathEscape(ref), nil, &x)
	return x, text, err
}

func newExecLs() *cobra.Command {
	var status, machine, failure, since, until, name, input string
	var limit int
	express := false
	cmd := verb("ls", "List executions over all state machines, newest first", cobra.NoArgs, func(cmd *cobra.Command, c *restClient, _ []string) error {
		q := url.Values{"limit": {strconv.Itoa(limit)}}
		for name, value := range map[string]string{
			"status": strings.ToUpper(status), "machine": machine, "error": failure, "from": since, "to": until, "name": name, "input": input,
		} {
			if value != "" {
				q.Set(name, value)
			}
		}
		if express {
			q.Set("type", "EXPRESS")
		}
		var page struct {
			Executions []executionRow `json:"executions"`
			Complete   bool           `json:"complete"`
			BackTo     string         `json:"looked_back_to"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "executions?"+q.Encode(), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "EXECUTION\tSTATUS\tSTARTED\tDURATION\tSTATE\tERROR", len(page.Executions), func(i int) []string {
				x := &page.Executions[i]
				return []string{x.Machine + ":" + x.Name, x.Status, x.StartedAt, took(x.DurationMs), stateOf(x), cmp.Or(x.Error, "-")}
			})
			if !page.Complete {
				fmt.Fprintf(out, "looked back to %s only; --since and --machine narrow it down\n", page.BackTo)
			}
		})
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&status, "status", "", "`statuses`: running, succeeded, failed, timed_out, aborted; with commas between")
	flags.StringVar(&machine, "machine", "", "`name` of a state machine")
	flags.StringVar(&failure, "error", "", "`error` that they ended with, such as States.Timeout")
	flags.StringVar(&since, "since", "", "started since a `time`, or so long ago: 90m, 24h, 7d")
	flags.StringVar(&until, "until", "", "started before a `time`, or longer ago")
	flags.StringVar(&name, "name", "", "`beginning` of their name")
	flags.StringVar(&input, "input", "", "`field:value` of their input, such as customer.id:42")
	flags.BoolVar(&express, "express", false, "Express executions, as long as they can be looked at")
	flags.IntVar(&limit, "limit", 50, "how `many` at most (1 to 200)")
	return cmd
}

// stateOf is where an execution is, and what it waits for.
func stateOf(x *executionRow) string {
	if x.WaitingFor != "" {
		return x.State + " (" + x.WaitingFor + ")"
	}
	return cmp.Or(x.State, "-")
}

// took writes milliseconds for people.
func took(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d > time.Minute {
		d = d.Round(time.Second)
	}
	return d.String()
}

func newExecShow() *cobra.Command {
	return verb("show EXECUTION", "Show an execution", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		x, text, err := c.execution(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			fork := ""
			if x.ForkOf != nil {
				fork = x.ForkOf.ARN + " from " + x.ForkOf.State
			}
			cost := ""
			if x.Tokens > 0 {
				cost = fmt.Sprintf("$%.4f for %d tokens", float64(x.CostNano)/1e9, x.Tokens)
			}
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{
				{"arn", x.ARN}, {"status", x.Status}, {"state", strings.TrimPrefix(stateOf(&x.executionRow), "-")}, {"started", x.StartedAt}, {"stopped", x.StoppedAt},
				{"took", took(x.DurationMs)}, {"transitions", fmt.Sprint(x.Transitions)}, {"events", fmt.Sprint(x.Events)}, {"error", x.Error}, {"cause", x.Cause},
				{"redrives", zeroless(x.Redrives)}, {"redrive", x.Redrivable}, {"cost", cost}, {"parent", x.Parent}, {"map run", x.MapRun}, {"fork of", fork},
				{"input", x.Input.Text}, {"output", x.Output.Text},
			} {
				if line[1] != "" {
					fmt.Fprintf(w, "%s\t%s\n", line[0], printable(line[1]))
				}
			}
			w.Flush()
		})
		return nil
	})
}

func zeroless(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func newExecVisits() *cobra.Command {
	var state, status, path string
	var limit int
	failedFirst := false
	cmd := verb("visits EXECUTION", "List the states that an execution entered", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var list []visitRow
		var raw []json.RawMessage
		q := url.Values{"payloads": {"none"}}
		if c.json {
			q.Del("payloads")
		}
		for name, value := range map[string]string{"state": state, "status": status, "path": path} {
			if value != "" {
				q.Set(name, value)
			}
		}
		if failedFirst {
			q.Set("order", "failed_first")
		}
		for limit > 0 {
			q.Set("limit", strconv.Itoa(min(limit, 200)))
			var page struct {
				Visits []json.RawMessage `json:"visits"`
				Next   string            `json:"next_cursor"`
			}
			if _, err := c.call(cmd.Context(), http.MethodGet, "executions/"+url.PathEscape(args[0])+"/visits?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			for _, text := range page.Visits {
				var v visitRow
				if err := json.Unmarshal(text, &v); err != nil {
					return err
				}
				list = append(list, v)
			}
			raw = append(raw, page.Visits...)
			limit -= len(page.Visits)
			if page.Next == "" {
				break
			}
			q.Set("cursor", page.Next)
		}
		text, err := json.Marshal(map[string]any{"visits": append([]json.RawMessage{}, raw...)})
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "ID\tPATH\tTYPE\tSTATUS\tENTERED\tATTEMPTS\tERROR", len(list), func(i int) []string {
				v := &list[i]
				how := v.Status
				if v.Waiting != "" {
					how += " (" + v.Waiting + ")"
				}
				if v.Redrive > 0 {
					how += fmt.Sprintf(", redrive %d", v.Redrive)
				}
				return []string{fmt.Sprint(v.ID), v.Path, v.Type, how, v.EnteredAt, cmp.Or(zeroless(int64(len(v.Attempts))), "-"), cmp.Or(v.Error, "-")}
			})
		})
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&state, "state", "", "`name` of a state")
	flags.StringVar(&status, "status", "", "`statuses`: running, waiting, retrying, succeeded, caught, failed, aborted; with commas between")
	flags.StringVar(&path, "path", "", "`beginning` of their path, such as 'Each ticket#3/'")
	flags.BoolVar(&failedFirst, "failed-first", false, "those that failed first")
	flags.IntVar(&limit, "limit", 1000, "how `many` at most")
	return cmd
}

func newExecHistory() *cobra.Command {
	reverse := false
	var limit int
	cmd := verb("history EXECUTION", "List the events of an execution's history", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		x, _, err := c.execution(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		type named struct {
			Name  string `json:"name"`
			Error string `json:"error"`
		}
		events := []json.RawMessage{}
		in := fields{"executionArn": x.ARN, "reverseOrder": reverse, "includeExecutionData": c.json}
		for len(events) < limit {
			in["maxResults"] = min(limit-len(events), 1000)
			var page struct {
				Events []json.RawMessage `json:"events"`
				Next   string            `json:"nextToken"`
			}
			if err := c.aws(cmd.Context(), "GetExecutionHistory", in, &page); err != nil {
				return err
			}
			events = append(events, page.Events...)
			if page.Next == "" {
				break
			}
			in["nextToken"] = page.Next
		}
		text, err := json.Marshal(map[string]any{"events": events})
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "ID\tPREVIOUS\tTIME\tTYPE\tNAME\tERROR", len(events), func(i int) []string {
				var e map[string]json.RawMessage
				var about named
				if json.Unmarshal(events[i], &e) == nil {
					for member, value := range e {
						if strings.HasSuffix(member, "Details") {
							_ = json.Unmarshal(value, &about) // what has other members has no name
						}
					}
				}
				seconds, _ := strconv.ParseFloat(string(e["timestamp"]), 64)
				at := time.UnixMilli(int64(seconds*1000 + 0.5)).UTC().Format("2006-01-02T15:04:05.000Z")
				return []string{string(e["id"]), string(e["previousEventId"]), at, strings.Trim(string(e["type"]), `"`), cmp.Or(about.Name, "-"), cmp.Or(about.Error, "-")}
			})
		})
		return nil
	})
	cmd.Flags().BoolVar(&reverse, "reverse", false, "newest first")
	cmd.Flags().IntVar(&limit, "limit", 1000, "how `many` at most")
	return cmd
}

func newExecStop() *cobra.Command {
	var failure, cause string
	cmd := verb("stop EXECUTION", "Stop an execution", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		x, _, err := c.execution(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		in := fields{"executionArn": x.ARN}
		if failure != "" {
			in["error"] = failure
		}
		if cause != "" {
			in["cause"] = cause
		}
		return c.act(cmd, "StopExecution", in, x.ARN)
	})
	cmd.Flags().StringVar(&failure, "error", "", "`name` of an error to end it with")
	cmd.Flags().StringVar(&cause, "cause", "", "`text` that says why")
	return cmd
}

func newExecRedrive() *cobra.Command {
	return verb("redrive EXECUTION", "Go on with an execution where it failed", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		x, _, err := c.execution(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.act(cmd, "RedriveExecution", fields{"executionArn": x.ARN}, x.ARN)
	})
}

// act makes a call of the AWS API and says how the execution is then.
func (c *restClient) act(cmd *cobra.Command, action string, in fields, arn string) error {
	if err := c.aws(cmd.Context(), action, in, nil); err != nil {
		return err
	}
	x, text, err := c.execution(cmd.Context(), arn)
	if err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) { fmt.Fprintln(out, x.Status) })
	return nil
}

func newExecFork() *cobra.Command {
	var state, input, name string
	var event int64
	var variables []string
	cmd := verb("fork EXECUTION", "Begin a new execution in the middle of an old one", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		in := fields{}
		data, err := jsonFlag("input", input)
		if err != nil {
			return err
		}
		if data != nil {
			in["input"] = data
		}
		if state != "" {
			in["state"] = state
		}
		if event != 0 {
			in["event"] = event
		}
		if name != "" {
			in["name"] = name
		}
		vars := map[string]json.RawMessage{}
		for _, text := range variables {
			key, value, ok := strings.Cut(text, "=")
			if vars[key], err = jsonFlag("var", value); err != nil || !ok || vars[key] == nil {
				return usageError("--var is NAME=JSON, such as retries=3 or 'customer={\"id\":42}'")
			}
		}
		if len(vars) > 0 {
			in["variables"] = vars
		}
		var made struct {
			ARN string `json:"arn"`
		}
		text, err := c.call(cmd.Context(), http.MethodPost, "executions/"+url.PathEscape(args[0])+"/fork", in, &made)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintln(out, made.ARN) })
		return nil
	})
	cmd.Long = `Fork starts a new execution of the same definition in a state at the top level,
with the input and the variables that the old one had there, or with others. The
old one stays as it is.`
	flags := cmd.Flags()
	flags.StringVar(&state, "state", "", "`name` of the state to begin in")
	flags.Int64Var(&event, "event", 0, "`id` of the visit to begin with, where a state was entered several times")
	flags.StringVar(&input, "input", "", "`JSON` for the state, or @FILE")
	flags.StringVar(&name, "name", "", "`name` of the new execution")
	flags.StringArrayVar(&variables, "var", nil, "`NAME=JSON` of a variable; may be given several times")
	return cmd
}

func newExecWait() *cobra.Command {
	var timeout time.Duration
	cmd := verb("wait EXECUTION", "Wait until an execution has ended; fails unless it succeeded", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		return c.wait(cmd, args[0], timeout)
	})
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how `long` to wait at most (default: for ever)")
	return cmd
}

// wait waits for the end of an execution and shows it.
func (c *restClient) wait(cmd *cobra.Command, ref string, timeout time.Duration) error {
	ctx := cmd.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	pause := 20 * time.Millisecond
	for {
		x, text, err := c.execution(ctx, ref)
		if ctx.Err() != nil {
			return fmt.Errorf("%s still runs", ref)
		}
		if err != nil {
			return err
		}
		if x.Status != "RUNNING" {
			c.show(cmd, text, func(out io.Writer) {
				fmt.Fprintln(out, strings.TrimSpace(x.Status+" "+x.Error))
				if x.Output.Text != "" {
					fmt.Fprintln(out, printable(x.Output.Text))
				}
			})
			if x.Status != "SUCCEEDED" {
				return &exitError{exitFailed, fmt.Errorf("the execution ended as %s", x.Status)}
			}
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}
