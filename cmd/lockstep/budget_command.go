package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/cost"
)

func newBudgetCommand() *cobra.Command {
	return group("budget", "Limit what agents may use",
		`Budget limits what the workspace, a project, an agent or a task may use in a
window of time: money, tokens or calls of models. At the soft limit people are
told; at the hard one agents are paused until the window turns, the limit is
raised, or the budget is removed.`,
		`  lockstep budget set writer-daily --agent writer --window day --hard 5.00 --soft 4.00
  lockstep budget set web --project WEB --window month --metric tokens --hard 50000000
  lockstep budget ls
  lockstep budget rm web`, newBudgetList(), newBudgetSet(), newBudgetRemove())
}

// budgetRow is what the server says of a budget.
type budgetRow struct {
	cost.Budget
	Standing cost.Standing `json:"standing"`
	Ends     time.Time     `json:"window_ends"`
}

func newBudgetList() *cobra.Command {
	return listVerb("List budgets and how they stand", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Budgets []budgetRow `json:"budgets"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "budgets", nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "BUDGET\tOF\tWINDOW\tUSED\tSOFT\tHARD\tAT HARD\tSTANDS", len(page.Budgets), func(i int) []string {
				b := page.Budgets[i]
				amount := func(n int64) string { return amountOf(b.Metric, n) }
				limit := func(n int64) string {
					if n == 0 {
						return "-"
					}
					return amount(n)
				}
				return []string{b.ID, strings.TrimSpace(b.Scope + " " + b.Name), b.Window, amount(b.Standing.Used), limit(b.Soft), limit(b.Hard), cmp.Or(b.OnHard, "pause"), standing(b)}
			})
		})
		return nil
	})
}

func standing(b budgetRow) string {
	switch {
	case b.Standing.Pauses:
		return "paused"
	case b.Standing.BlocksNew:
		return "nothing new"
	case b.Standing.Hard:
		return "over"
	case b.Standing.SoftTold:
		return "near the limit"
	}
	return "free"
}

// amountOf writes an amount of a budget's metric.
func amountOf(metric string, n int64) string {
	if strings.HasSuffix(metric, "_usd") {
		return dollars(n)
	}
	return fmt.Sprintf("%d %s", n, metric)
}

func newBudgetSet() *cobra.Command {
	var project, agent, task, machine, soft, hard string
	b := cost.Budget{Window: "month", Metric: "billed_usd"}
	cmd := boardVerb("set NAME", "Make a budget, or change the one with that name", `  lockstep budget set all --window month --hard 200
  lockstep budget set writer-daily --agent writer --window day --metric tokens --soft 800000 --hard 1000000
  lockstep budget set web --project WEB --hard 50 --at-hard block_new`, cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		b.Scope, b.Name = "workspace", ""
		for _, of := range [][2]string{{"project", project}, {"agent", agent}, {"task", task}, {"machine", machine}} {
			if of[1] == "" {
				continue
			}
			if b.Name != "" {
				return usageError("a budget is of one thing; say --%s or --%s", b.Scope, of[0])
			}
			b.Scope, b.Name = of[0], of[1]
		}
		var err error
		if b.Soft, err = limitOf("soft", b.Metric, soft); err != nil {
			return err
		}
		if b.Hard, err = limitOf("hard", b.Metric, hard); err != nil {
			return err
		}
		b.ID = args[0]
		text, err := c.call(cmd.Context(), http.MethodPut, "budgets/"+url.PathEscape(b.ID), b, nil)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "set %s\n", printable(b.ID)) })
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&project, "project", "", "`key` of the project that it is of (default: the whole workspace)")
	flags.StringVar(&agent, "agent", "", "`slug` of the agent that it is of")
	flags.StringVar(&task, "task", "", "`key` of the task that it is of")
	flags.StringVar(&machine, "machine", "", "`name` of the state machine that it is of; it tells and stops nothing")
	flags.StringVar(&b.Window, "window", b.Window, "day, week, `month` or task, for the whole life of a task")
	flags.StringVar(&b.Metric, "metric", b.Metric, "`billed_usd`, shadow_usd (what a plan's calls would cost), tokens or runs")
	flags.StringVar(&soft, "soft", "", "`amount` at which people are told: USD, tokens or calls")
	flags.StringVar(&hard, "hard", "", "`amount` at which agents are stopped")
	flags.StringVar(&b.OnHard, "at-hard", "", "what happens there: `pause` (the default), block_new or notify")
	return cmd
}

// limitOf reads an amount: of USD for metrics of money, else a whole number.
func limitOf(name, metric, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if !strings.HasSuffix(metric, "_usd") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return 0, usageError("--%s is %q; %s are a whole number", name, text, metric)
		}
		return n, nil
	}
	v, err := strconv.ParseFloat(strings.TrimPrefix(text, "$"), 64)
	if err != nil || !(v >= 0 && v <= 1e6) {
		return 0, usageError("--%s is %q; it is an amount in USD such as 5.00", name, text)
	}
	return int64(math.Round(v * cost.USD)), nil
}

func newBudgetRemove() *cobra.Command {
	return boardVerb("rm NAME", "Remove a budget; whom it held back goes on", "  lockstep budget rm web", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		text, err := c.call(cmd.Context(), http.MethodDelete, "budgets/"+url.PathEscape(args[0]), nil, nil)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "removed %s\n", printable(args[0])) })
		return nil
	})
}
