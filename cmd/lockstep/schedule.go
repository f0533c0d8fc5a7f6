package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/schedule"
)

func newScheduleCommand() *cobra.Command {
	return group("schedule", "Start executions at times",
		`Schedule manages what starts executions at times, in the words of EventBridge
Scheduler: cron(0 3 * * ? *), rate(15 minutes), at(2026-03-29T09:30:00).`,
		`  lockstep schedule add nightly --expression 'cron(0 3 * * ? *)' --timezone Europe/Berlin --machine orders
  lockstep schedule ls
  lockstep schedule pause nightly`,
		newScheduleAdd(), newScheduleLs(), newScheduleShow(),
		newSchedulePause("pause", "Start nothing until it is resumed"), newSchedulePause("resume", "Go on after a pause"), newScheduleRm())
}

func newScheduleAdd() *cobra.Command {
	var s schedule.Spec
	var input, window string
	cmd := verb("add NAME", "Make a schedule, or change the one of that name", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			s.Name = args[0]
			var err error
			if s.Input, err = jsonFlag("input", input); err != nil {
				return err
			}
			if window != "" {
				d, err := time.ParseDuration(window)
				if err != nil || d < 0 || d%time.Minute != 0 {
					return usageError("--window must be whole minutes, such as 15m or 2h")
				}
				s.Window = int(d.Minutes())
			}
			var v schedule.View
			text, err := c.call(cmd.Context(), http.MethodPost, "schedules", s, &v)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "next at %s\n", cmp.Or(v.Next, "no time")) })
			return nil
		})
	cmd.Example = `  lockstep schedule add nightly --expression 'cron(0 3 * * ? *)' --timezone Europe/Berlin --machine orders
  lockstep schedule add often --expression 'rate(5 minutes)' --machine sync --input '{"at":"<aws.scheduler.scheduled-time>"}'
  lockstep schedule add monthly --expression 'cron(0 8 LW * ? *)' --machine report --missed all`
	flags := cmd.Flags()
	flags.StringVar(&s.Expression, "expression", "", "when: `cron(…)`, rate(…) or at(…)")
	flags.StringVar(&s.Timezone, "timezone", "", "`zone` of the expression's times, such as Europe/Berlin (default UTC)")
	flags.StringVar(&s.Machine, "machine", "", "`name` or ARN of the state machine, its version or its alias")
	flags.StringVar(&input, "input", "", "`JSON` for the execution, or @FILE; <aws.scheduler.scheduled-time> in it is replaced")
	flags.StringVar(&s.Start, "start", "", "`time` before which nothing is started, as 2026-03-29T09:30:00+02:00")
	flags.StringVar(&s.End, "end", "", "`time` after which nothing is started")
	flags.StringVar(&window, "window", "", "`duration` within which an execution may start, such as 15m")
	flags.StringVar(&s.Missed, "missed", "", "what to make up for when no server ran: skip, `one` (the default) or all")
	flags.IntVar(&s.MissedMax, "missed-max", 0, "with --missed all: how `many` at most (default 100)")
	flags.StringVar(&s.Description, "description", "", "`text` for people")
	flags.BoolVar(&s.Paused, "paused", false, "start nothing until it is resumed")
	return cmd
}

func newScheduleLs() *cobra.Command {
	return listing("List schedules", "schedules", "NAME\tEXPRESSION\tMACHINE\tNEXT\tLAST\tERROR", func(v *schedule.View) []string {
		return []string{v.Name, v.Expression, v.Machine, nextOf(v), cmp.Or(v.Last, "-"), v.Error}
	})
}

func nextOf(v *schedule.View) string {
	if v.Paused {
		return "paused"
	}
	return cmp.Or(v.Next, "-")
}

func newScheduleShow() *cobra.Command {
	return verb("show NAME", "Show a schedule", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		return callSchedule(cmd, c, http.MethodGet, url.PathEscape(args[0]))
	})
}

func newSchedulePause(use, short string) *cobra.Command {
	return verb(use+" NAME", short, cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		return callSchedule(cmd, c, http.MethodPost, url.PathEscape(args[0])+"/"+use)
	})
}

// callSchedule makes a call that is answered with a schedule, and shows it.
func callSchedule(cmd *cobra.Command, c *restClient, method, path string) error {
	var v schedule.View
	text, err := c.call(cmd.Context(), method, "schedules/"+path, nil, &v)
	if err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"name", v.Name}, {"arn", v.ARN}, {"from", v.From}, {"description", v.Description}, {"expression", v.Expression}, {"timezone", v.Timezone},
			{"start", v.Start}, {"end", v.End}, {"machine", v.Machine}, {"input", string(v.Input)}, {"missed", v.Missed}, {"next", nextOf(&v)},
			{"last", v.Last}, {"execution", v.Execution}, {"error", v.Error}, {"started", fmt.Sprint(v.Started)},
		} {
			if line[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", line[0], printable(line[1]))
			}
		}
		w.Flush()
	})
	return nil
}

func newScheduleRm() *cobra.Command {
	return verb("rm NAME", "Remove a schedule", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		_, err := c.call(cmd.Context(), http.MethodDelete, "schedules/"+url.PathEscape(args[0]), nil, nil)
		return err
	})
}
