package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-run/lockstep/internal/control"
)

// draft are the flags of a task that is made later.
type draft struct {
	control.NewTask
	assignee, priority, review, input, schema string
}

func (d *draft) register(flags *pflag.FlagSet) {
	flags.StringVar(&d.Title, "title", "", "`text` of the task")
	flags.StringVar(&d.Description, "text", "", "what is to be done, in `Markdown`")
	flags.StringVar(&d.assignee, "assignee", "", "`@name` of an agent or a user")
	flags.StringVar(&d.priority, "priority", "", "urgent, high, `normal` (the default) or low")
	flags.StringVar(&d.review, "review", "", "who accepts the result: none, `human`, lead or lead_then_human")
	flags.StringArrayVar(&d.AcceptanceCriteria, "criterion", nil, "`line` that the result is checked against; may be repeated")
	flags.StringArrayVar(&d.Labels, "label", nil, "`word` to find it by; may be repeated")
	flags.StringArrayVar(&d.Capabilities, "capability", nil, "`word` that an agent must have; may be repeated")
	flags.StringVar(&d.input, "input", "", "`JSON` for who does it, or @FILE")
	flags.StringVar(&d.schema, "schema", "", "JSON `Schema` that the output must fit, or @FILE")
}

func (d *draft) task() (in control.NewTask, err error) {
	in = d.NewTask
	in.Assignee, in.Priority, in.ReviewMode = control.Party(d.assignee), control.Priority(d.priority), control.ReviewMode(d.review)
	if in.Input, err = jsonFlag("input", d.input); err != nil {
		return in, err
	}
	in.OutputSchema, err = jsonFlag("schema", d.schema)
	return in, err
}

func newTemplateCommand() *cobra.Command {
	return group("template", "Keep tasks that are made again and again", "Template keeps what tasks have in common. A template is named as PROJECT:NAME.",
		"  lockstep template add page --project WEB --title 'A page' --assignee @writer\n  lockstep task add 'The first page' --project WEB --template page",
		newTemplateAdd(), newTemplateList(), newRemove("template", "templates", "WEB:page"))
}

func newTemplateAdd() *cobra.Command {
	var in control.NewTemplate
	var d draft
	cmd := boardVerb("add NAME", "Keep a template", "  lockstep template add page --project WEB --title 'A page' --assignee @writer", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) (err error) {
			in.Name = args[0]
			if in.Task, err = d.task(); err != nil {
				return err
			}
			text, err := c.call(cmd.Context(), http.MethodPost, "templates", in, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "kept %s:%s\n", in.Project, in.Name) })
			return nil
		})
	cmd.Flags().StringVar(&in.Project, "project", "", "`key` of the project")
	cmd.Flags().StringVar(&in.Description, "description", "", "`text` for people")
	d.register(cmd.Flags())
	return cmd
}

func newTemplateList() *cobra.Command {
	return newProjectPart("List templates", "templates", "NAME\tTITLE\tASSIGNEE\tDESCRIPTION", func(t *control.Template) []string {
		return []string{t.Name, oneLine(cmp.Or(t.Task.Title, "-")), cmp.Or(string(t.Task.Assignee), "-"), oneLine(t.Description)}
	})
}

// newProjectPart is the verb ls of what projects have.
func newProjectPart[T any](short, name, heading string, row func(v *T) []string) *cobra.Command {
	var project, cursor string
	cmd := listVerb(short, func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page map[string]json.RawMessage
		text, err := c.call(cmd.Context(), http.MethodGet, name+query("project", project, "cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		var list []T
		if err := json.Unmarshal(page[name], &list); err != nil {
			return err
		}
		var next string
		if len(page["next_cursor"]) > 0 {
			if err := json.Unmarshal(page["next_cursor"], &next); err != nil {
				return err
			}
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, heading, len(list), func(i int) []string { return row(&list[i]) })
			more(out, next)
		})
		return nil
	})
	cmd.Flags().StringVar(&project, "project", "", "`key` of a project")
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

// newRemove is the verb rm of what is under a path.
func newRemove(of, path, example string) *cobra.Command {
	return boardVerb("rm "+strings.ToUpper(of), "Remove a "+of, "  lockstep "+of+" rm "+example, cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		_, err := c.call(cmd.Context(), http.MethodDelete, path+"/"+url.PathEscape(args[0]), nil, nil)
		return err
	})
}

func newTaskRemove() *cobra.Command { return newRemove("task", "tasks", "WEB-1") }

func newRecurringCommand() *cobra.Command {
	return group("recurring", "Make tasks at times",
		`Recurring manages tasks that are made at times, in the words of EventBridge
Scheduler: cron(0 8 ? * MON *), rate(1 day), at(2026-03-29T09:30:00). {date} and
{time} in the title are replaced. A recurring task is named as PROJECT:NAME.`,
		`  lockstep recurring add weekly --project WEB --expression 'cron(0 8 ? * MON *)' --title 'Report of {date}' --assignee @writer
  lockstep recurring ls
  lockstep recurring pause WEB:weekly`,
		newRecurringAdd(), newRecurringList(), newRecurringPause("pause", "Make no tasks until it is resumed"), newRecurringPause("resume", "Go on after a pause"),
		newRemove("recurring", "recurring", "WEB:weekly"))
}

func newRecurringAdd() *cobra.Command {
	var in control.NewRecurring
	var d draft
	var missed string
	var due time.Duration
	cmd := boardVerb("add NAME", "Make a task at times", `  lockstep recurring add weekly --project WEB --expression 'cron(0 8 ? * MON *)' --timezone Europe/Berlin --title 'Report of {date}'
  lockstep recurring add nightly --project WEB --expression 'rate(1 day)' --template check --due-in 4h`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) (err error) {
			in.Name, in.Missed, in.DueIn = args[0], control.Missed(missed), int64(due/time.Second)
			if in.Task, err = d.task(); err != nil {
				return err
			}
			var r control.Recurring
			text, err := c.call(cmd.Context(), http.MethodPost, "recurring", in, &r)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "next at %s\n", nextTask(&r)) })
			return nil
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Project, "project", "", "`key` of the project")
	flags.StringVar(&in.Expression, "expression", "", "when: `cron(…)`, rate(…) or at(…)")
	flags.StringVar(&in.Timezone, "timezone", "", "`zone` of the expression's times, such as Europe/Berlin (default UTC)")
	flags.StringVar(&d.Template, "template", "", "`name` of a template that says what is not said here")
	flags.DurationVar(&due, "due-in", 0, "`duration` after its time by which a task is due, such as 4h")
	flags.StringVar(&missed, "missed", "", "what to make up for when no server ran: skip, `one` (the default) or all")
	flags.IntVar(&in.MissedMax, "missed-max", 0, "with --missed all: how `many` at most (default 10)")
	flags.BoolVar(&in.Paused, "paused", false, "make nothing until it is resumed")
	d.register(flags)
	return cmd
}

func nextTask(r *control.Recurring) string {
	switch {
	case r.Paused:
		return "paused"
	case r.NextAt.IsZero():
		return "-"
	}
	return r.NextAt.Format(time.RFC3339)
}

func newRecurringList() *cobra.Command {
	return newProjectPart("List recurring tasks", "recurring", "NAME\tEXPRESSION\tNEXT\tLAST\tMADE\tERROR", func(r *control.Recurring) []string {
		return []string{r.Name, r.Expression, nextTask(r), cmp.Or(r.LastTask, "-"), fmt.Sprint(r.Made), oneLine(r.LastError)}
	})
}

func newRecurringPause(use, short string) *cobra.Command {
	return boardVerb(use+" RECURRING", short, "  lockstep recurring "+use+" WEB:weekly", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		paused := use == "pause"
		var r control.Recurring
		text, err := c.call(cmd.Context(), http.MethodPatch, "recurring/"+url.PathEscape(args[0]), control.UpdateRecurring{Paused: &paused}, &r)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "next at %s\n", nextTask(&r)) })
		return nil
	})
}

func newHandoffCommand() *cobra.Command {
	return group("handoff", "Pass work on to another agent", "Handoff passes a task on, or offers a new one that follows it.",
		`  lockstep handoff offer WEB-1 --to @editor --summary 'it needs an editor'
  lockstep handoff ls WEB-1
  lockstep handoff accept 01k2m3n4p5`,
		newHandoffOffer(), newHandoffList(), newHandoffAnswer("accept", "Take what is offered"), newHandoffAnswer("decline", "Leave the task with who has it"))
}

func newHandoffOffer() *cobra.Command {
	var in control.NewHandoff
	var to, lease string
	cmd := boardVerb("offer TASK", "Offer a task, or one that follows it", "  lockstep handoff offer WEB-1 --to @editor --summary 'it needs an editor'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			withLease(c, lease)
			in.To = control.Party(to)
			return showHandoff(cmd, c, http.MethodPost, taskPath(args[0], "handoffs"), in)
		})
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", "`@name` of an agent")
	flags.StringVar(&in.Capability, "capability", "", "`word`: any agent that has it, instead of --to")
	flags.StringVar(&in.Mode, "mode", "transfer", "`transfer` of this task, or follow_up: a new one that depends on it")
	flags.StringVar(&in.Summary, "summary", "", "`text` for who goes on")
	flags.StringVar(&in.Title, "title", "", "`text` of the task that follows")
	flags.StringVar(&lease, "lease", "", "`token` of the lease, for agents")
	return cmd
}

func showHandoff(cmd *cobra.Command, c *restClient, method, path string, in any) error {
	var h control.Handoff
	text, err := c.call(cmd.Context(), method, path, in, &h)
	if err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", h.ID, h.State) })
	return nil
}

func newHandoffList() *cobra.Command {
	cmd := boardVerb("ls TASK", "List the hand-offs of a task", "  lockstep handoff ls WEB-1", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var page struct {
			Handoffs []control.Handoff `json:"handoffs"`
			Next     string            `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, taskPath(args[0], "handoffs"), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "HANDOFF\tMODE\tSTATE\tSUMMARY", len(page.Handoffs), func(i int) []string {
				h := page.Handoffs[i]
				return []string{h.ID, h.Mode, h.State, oneLine(h.Summary)}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Aliases = []string{"list"}
	return cmd
}

func newHandoffAnswer(use, short string) *cobra.Command {
	return boardVerb(use+" HANDOFF", short, "  lockstep handoff "+use+" 01k2m3n4p5", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		return showHandoff(cmd, c, http.MethodPost, "handoffs/"+url.PathEscape(args[0])+"/"+use, nil)
	})
}

func newProjectSet() *cobra.Command {
	var title, owner string
	var policies []string
	cmd := boardVerb("set KEY", "Change a project and its policies", `  lockstep project set WEB --policy lease=900 --policy max_attempts=5 --policy pause_failing=true
  lockstep project set WEB --policy 'wip={"in_progress":10}'`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in := map[string]any{}
			if title != "" {
				in["name"] = title
			}
			if owner != "" {
				in["owner"] = owner
			}
			said := map[string]json.RawMessage{}
			for _, p := range policies {
				name, value, is := strings.Cut(p, "=")
				if !is {
					return usageError("--policy is NAME=VALUE, such as lease=900; docs/board.md lists them")
				}
				if said[name] = json.RawMessage(value); !json.Valid(said[name]) {
					said[name], _ = json.Marshal(value)
				}
			}
			if len(said) > 0 {
				in["policies"] = said
			}
			text, err := c.call(cmd.Context(), http.MethodPatch, "projects/"+url.PathEscape(args[0]), in, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "changed %s\n", args[0]) })
			return nil
		})
	cmd.Flags().StringVar(&title, "name", "", "`text` for people")
	cmd.Flags().StringVar(&owner, "owner", "", "`@name` of the user who answers where nobody else can")
	cmd.Flags().StringArrayVar(&policies, "policy", nil, "`NAME=VALUE` of a policy; may be repeated")
	return cmd
}

func agentPath(slug string, more ...string) string {
	return strings.Join(append([]string{"agents", url.PathEscape(strings.TrimPrefix(slug, "@"))}, more...), "/")
}

func newAgentSet() *cobra.Command {
	var title, role, runtime, connection string
	var projects, capabilities []string
	var slots int
	cmd := boardVerb("set SLUG", "Change an agent", "  lockstep agent set writer --slots 2 --project WEB --project APP", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) (err error) {
			var in control.UpdateAgent
			for flag, set := range map[string]func(){
				"name": func() { in.Name = &title }, "role": func() { in.Role = &role }, "runtime": func() { in.Runtime = &runtime },
				"project": func() { in.Projects = &projects }, "capability": func() { in.Capabilities = &capabilities }, "slots": func() { in.Slots = &slots },
			} {
				if cmd.Flags().Changed(flag) {
					set()
				}
			}
			if in.Connection, err = jsonFlag("connection", connection); err != nil {
				return err
			}
			text, err := c.call(cmd.Context(), http.MethodPatch, agentPath(args[0]), in, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "changed %s\n", args[0]) })
			return nil
		})
	flags := cmd.Flags()
	flags.StringVar(&title, "name", "", "`text` for people")
	flags.StringVar(&role, "role", "", "worker or `lead`, who reviews others' work")
	flags.StringVar(&runtime, "runtime", "", "openclaw, claude_code, codex, http or `custom`")
	flags.StringVar(&connection, "connection", "", "`JSON` that says how it is reached, or @FILE")
	flags.StringArrayVar(&projects, "project", nil, "`key` of a project that it works in; repeated for all of them")
	flags.StringArrayVar(&capabilities, "capability", nil, "`word` for what it can do; repeated for all of them")
	flags.IntVar(&slots, "slots", 0, "how `many` tasks it works on at once")
	return cmd
}

func newAgentMessage() *cobra.Command {
	return boardVerb("message SLUG TEXT", "Tell an agent something, which wakes it", "  lockstep agent message writer 'the deadline is Monday'", cobra.ExactArgs(2),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			text, err := c.call(cmd.Context(), http.MethodPost, agentPath(args[0], "messages"), map[string]string{"body": args[1]}, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "told %s\n", args[0]) })
			return nil
		})
}

func newAgentHistory() *cobra.Command {
	return boardVerb("history SLUG", "Show how an agent's status changed", "  lockstep agent history writer", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var page struct {
			Changes []control.StatusChange `json:"changes"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, agentPath(args[0], "status-history"), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "AT\tFROM\tTO", len(page.Changes), func(i int) []string {
				s := page.Changes[i]
				return []string{s.At.Format(time.RFC3339), s.From, s.To}
			})
		})
		return nil
	})
}
