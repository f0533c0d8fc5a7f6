package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/control"
)

func newTaskCommand() *cobra.Command {
	cmd := group("task", "Manage the board's tasks",
		`Task manages work for agents and people. What moves a task is named as in the
board's table; docs/control-plane.md has it. Without a key in `+agentKeyVariable+`
you are the person at this machine.`,
		`  lockstep task add 'Draft the page' --project WEB --assignee @writer
  lockstep task add 'Publish it' --project WEB --after WEB-1
  lockstep task ls --project WEB
  lockstep task show WEB-1`,
		newTaskAdd(), newTaskList(), newTaskShow(), newTaskComment(), newTaskClaim(), newTaskSubmit(), newTaskProgress(), newTaskFail(), newTaskBlock(), newTaskRemove())
	add := func(use, short, flag, member, usage string) {
		cmd.AddCommand(newTaskMove(use, short, flag, member, usage))
	}
	add("assign", "Give a task to somebody", "to", "assignee", "`@name` of an agent or a user")
	add("unassign", "Put a task back into the inbox", "", "", "")
	add("withdraw", "Take a submission back", "", "", "")
	add("unblock", "Let a blocked task go on", "note", "note", "`text` for who goes on")
	add("answer", "Answer the question that a task is blocked by", "text", "answer", "the answer's `text`")
	add("release", "Give a task back without a result", "note", "note", "`text` for who goes on")
	add("cancel", "End a task that nobody wants any more", "note", "note", "`text` that says why")
	add("reopen", "Begin an ended task anew", "note", "note", "`text` that says why")
	return cmd
}

func newTaskAdd() *cobra.Command {
	var in control.NewTask
	var assignee, priority, review, input, schema string
	var after []string
	cmd := boardVerb("add TITLE", "Make a task", `  lockstep task add 'Draft the page' --project WEB --assignee @writer
  lockstep task add 'Publish it' --project WEB --after WEB-1 --review none
  lockstep task add 'Fix the build' --project APP --capability go --priority urgent`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) (err error) {
			if in.Project == "" && !strings.Contains(in.Template, ":") {
				return usageError("--project says where the task belongs; lockstep project ls shows what there is")
			}
			in.Title = args[0]
			in.Assignee, in.Priority, in.ReviewMode = control.Party(assignee), control.Priority(priority), control.ReviewMode(review)
			if in.Input, err = jsonFlag("input", input); err != nil {
				return err
			}
			if in.OutputSchema, err = jsonFlag("schema", schema); err != nil {
				return err
			}
			for _, key := range after {
				in.DependsOn = append(in.DependsOn, control.DependsOn{Task: key, PassDeliverables: true})
			}
			return moved(cmd, c, "tasks", in)
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Project, "project", "", "`key` of the project")
	flags.StringVar(&in.Template, "template", "", "`name` of a template that says what is not said here")
	flags.StringVar(&in.Description, "description", "", "what is to be done, in `Markdown`")
	flags.StringArrayVar(&in.AcceptanceCriteria, "criterion", nil, "`line` that the result is checked against; may be repeated")
	flags.StringVar(&assignee, "assignee", "", "`@name` of an agent or a user")
	flags.StringVar(&priority, "priority", "", "urgent, high, `normal` (the default) or low")
	flags.StringVar(&review, "review", "", "who accepts the result: none, `human`, lead or lead_then_human (default: as the project says)")
	flags.StringArrayVar(&after, "after", nil, "`key` of a task that is to be approved first; may be repeated")
	flags.StringVar(&in.Parent, "parent", "", "`key` of the task that this is a part of")
	flags.StringArrayVar(&in.Labels, "label", nil, "`word` to find it by; may be repeated")
	flags.StringArrayVar(&in.Capabilities, "capability", nil, "`word` that an agent must have; may be repeated")
	flags.StringVar(&input, "input", "", "`JSON` for who does it, or @FILE")
	flags.StringVar(&schema, "schema", "", "JSON `Schema` that the output must fit, or @FILE")
	return cmd
}

// moved makes a call that is answered with a task, and says where that stands.
func moved(cmd *cobra.Command, c *restClient, path string, in any) error {
	var t control.Task
	text, err := c.call(cmd.Context(), http.MethodPost, path, in, &t)
	if err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", t.Key, t.State) })
	return nil
}

func taskPath(ref string, more ...string) string {
	return strings.Join(append([]string{"tasks", url.PathEscape(ref)}, more...), "/")
}

// newTaskMove is a verb for a trigger with at most one text.
func newTaskMove(use, short, flag, member, usage string) *cobra.Command {
	var text, lease string
	example := "  lockstep task " + use + " WEB-1"
	if use == "assign" {
		example += " --to @writer"
	}
	cmd := boardVerb(use+" TASK", short, example, cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		withLease(c, lease)
		body := map[string]string{}
		if text != "" {
			body[member] = text
		}
		return moved(cmd, c, taskPath(args[0], use), body)
	})
	if flag != "" {
		cmd.Flags().StringVar(&text, flag, "", usage)
	}
	if use == "release" {
		leaseFlag(cmd, &lease)
	}
	return cmd
}

// leaseFlag is for what only the holder of a lease may do.
func leaseFlag(cmd *cobra.Command, lease *string) {
	cmd.Flags().StringVar(lease, "lease", "", "`token` of an agent's lease, as claim printed it")
	withEnv(cmd.Flags(), "lease")
}

func withLease(c *restClient, lease string) {
	if lease != "" {
		c.header.Set("X-Lockstep-Lease", lease)
	}
}

func newTaskList() *cobra.Command {
	var project, status, assignee, label, gate, words, cursor string
	cmd := listVerb("List tasks by where they stand, each column in the order of work", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Tasks []struct {
				control.Task
				Gate *control.Gate `json:"gate"`
			} `json:"tasks"`
			Next string `json:"next_cursor"`
		}
		path := "tasks" + query("project", project, "status", status, "assignee", assignee, "label", label, "gate", gate, "q", words, "cursor", cursor)
		text, err := c.call(cmd.Context(), http.MethodGet, path, nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "TASK\tSTATUS\tPRIORITY\tWAITS FOR\tTITLE", len(page.Tasks), func(i int) []string {
				t, waits := page.Tasks[i], "-"
				if t.Gate != nil && !t.Gate.Open {
					waits = strings.Join(t.Gate.WaitingOn, ",")
				}
				return []string{t.Key, string(t.State), string(t.Priority), waits, oneLine(t.Title)}
			})
			more(out, page.Next)
		})
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&project, "project", "", "`key` of the project")
	flags.StringVar(&status, "status", "", "`states`, such as inbox,assigned")
	flags.StringVar(&assignee, "assignee", "", "`@name` of an agent or a user, or me")
	flags.StringVar(&label, "label", "", "`word` that a task has")
	flags.StringVar(&gate, "gate", "", "`open` or closed: whether a task that has not begun may")
	flags.StringVar(&words, "search", "", "`text` in the title or the description")
	flags.StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newTaskShow() *cobra.Command {
	return boardVerb("show TASK", "Show a task and why it does not move", "  lockstep task show WEB-1", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			var v control.View
			text, err := c.call(cmd.Context(), http.MethodGet, taskPath(args[0]), nil, &v)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { showTask(out, &v) })
			return nil
		})
}

func showTask(out io.Writer, v *control.View) {
	t := v.Task
	lines(out, "task", t.Key, "title", oneLine(t.Title), "status", string(t.State), "priority", string(t.Priority), "assignee", string(t.Assignee),
		"review", string(t.ReviewMode), "waits for", strings.Join(v.Gate.WaitingOn, ", "), "summary", oneLine(t.Summary), "output", string(t.Output))
	for _, why := range v.Why {
		fmt.Fprintf(out, "why       %s\n", oneLine(why))
	}
	for _, a := range v.Attempts {
		failed := ""
		if a.Error != nil {
			failed = ": " + oneLine(a.Error.Message)
		}
		fmt.Fprintf(out, "attempt   %d %s%s\n", a.Number, a.Status, failed)
	}
	for _, d := range v.Deliverables {
		fmt.Fprintf(out, "delivered %s, version %d\n", oneLine(d.Title), d.Number)
	}
	for _, r := range v.Reviews {
		fmt.Fprintf(out, "review    %s %s, round %d: %s\n", r.ID, r.Kind, r.Round, r.Status)
	}
	for _, c := range v.Comments {
		fmt.Fprintf(out, "comment   %s\n", oneLine(c.Body))
	}
}

func newTaskComment() *cobra.Command {
	return boardVerb("comment TASK TEXT", "Post to a task's thread; @names hear of it", "  lockstep task comment WEB-1 '@writer the logo is new'", cobra.ExactArgs(2),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			text, err := c.call(cmd.Context(), http.MethodPost, taskPath(args[0], "comments"), map[string]string{"body": args[1]}, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(io.Writer) {})
			return nil
		})
}

func newTaskClaim() *cobra.Command {
	return boardVerb("claim TASK", "Begin work on a task", "  lockstep task claim WEB-1", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			var got struct {
				Task  control.Task `json:"task"`
				Token string       `json:"lease_token"`
				Until string       `json:"lease_expires_at"`
			}
			text, err := c.call(cmd.Context(), http.MethodPost, taskPath(args[0], "claim"), nil, &got)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				lines(out, "task", got.Task.Key, "status", string(got.Task.State), "lease", got.Token, "until", got.Until)
			})
			return nil
		})
}

func newTaskSubmit() *cobra.Command {
	var in control.Submission
	var output, lease string
	cmd := boardVerb("submit TASK", "Hand the result in", `  lockstep task submit WEB-1 --summary 'as asked' --output '{"headline":"Hello"}'`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) (err error) {
			if in.Output, err = jsonFlag("output", output); err != nil {
				return err
			}
			withLease(c, lease)
			var got control.Submitted
			text, err := c.call(cmd.Context(), http.MethodPost, taskPath(args[0], "submit"), in, &got)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", got.Task.Key, got.Task.State) })
			return nil
		})
	cmd.Flags().StringVar(&in.Summary, "summary", "", "`text` about the result")
	cmd.Flags().StringVar(&output, "output", "", "the result as `JSON`, or @FILE")
	leaseFlag(cmd, &lease)
	return cmd
}

func newTaskProgress() *cobra.Command {
	var note, lease string
	var percent int
	cmd := boardVerb("progress TASK", "Say that work goes on, which renews the lease", "  lockstep task progress WEB-1 --note 'the first half is there' --percent 50", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			withLease(c, lease)
			body := map[string]any{"note": note}
			if cmd.Flags().Changed("percent") {
				body["percent"] = percent
			}
			var got struct {
				Until    string            `json:"lease_expires_at"`
				Comments []control.Comment `json:"comments"`
			}
			text, err := c.call(cmd.Context(), http.MethodPost, taskPath(args[0], "progress"), body, &got)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				fmt.Fprintf(out, "the lease ends %s\n", cmp.Or(got.Until, "never"))
				for _, m := range got.Comments {
					fmt.Fprintf(out, "comment   %s\n", oneLine(m.Body))
				}
			})
			return nil
		})
	cmd.Flags().StringVar(&note, "note", "", "`text` about what has been done")
	cmd.Flags().IntVar(&percent, "percent", 0, "how `much` of it")
	leaseFlag(cmd, &lease)
	return cmd
}

func newTaskFail() *cobra.Command {
	var in control.Failure
	var lease string
	cmd := boardVerb("fail TASK", "End an attempt without a result", "  lockstep task fail WEB-1 --message 'the site is down' --category tool --retryable", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			withLease(c, lease)
			return moved(cmd, c, taskPath(args[0], "fail"), in)
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Message, "message", "", "`text` that says what went wrong")
	flags.StringVar(&in.Category, "category", "agent", "`kind` of error: agent, runtime, model_provider, tool, timeout, lost or policy")
	flags.BoolVar(&in.Retryable, "retryable", false, "trying again may help")
	leaseFlag(cmd, &lease)
	return cmd
}

func newTaskBlock() *cobra.Command {
	var in control.Blocking
	var owner, after, lease string
	cmd := boardVerb("block TASK", "Stop work until something happens", "  lockstep task block WEB-1 --kind question --reason 'which logo?' --owner @local --action 'name one'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in.Owner = control.Party(owner)
			if after != "" {
				in.DependsOn = &control.DependsOn{Task: after}
			}
			withLease(c, lease)
			return moved(cmd, c, taskPath(args[0], "block"), in)
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Kind, "kind", "", "question, dependency, `external`, access, budget, decision or error")
	flags.StringVar(&in.Reason, "reason", "", "`text` that says what is missing")
	flags.StringVar(&in.Action, "action", "", "`text` that says what unblocks it")
	flags.StringVar(&owner, "owner", "", "`@name` of who can unblock it")
	flags.StringVar(&after, "after", "", "with --kind dependency: `key` of the task to wait for")
	leaseFlag(cmd, &lease)
	return cmd
}
