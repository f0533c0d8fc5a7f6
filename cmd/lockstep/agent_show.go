package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/health"
	"github.com/lockstep-run/lockstep/internal/quiet"
)

func newAgentShow() *cobra.Command {
	return boardVerb("show SLUG", "Show an agent and how its work compares with the week before", "  lockstep agent show writer", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			path := "agents/" + url.PathEscape(strings.TrimPrefix(args[0], "@"))
			var a agentRow
			text, err := c.call(cmd.Context(), http.MethodGet, path, nil, &a)
			if err != nil {
				return err
			}
			if c.json {
				c.show(cmd, text, nil)
				return nil
			}
			var report health.Report
			if _, err := c.call(cmd.Context(), http.MethodGet, path+"/health", nil, &report); err != nil {
				return err
			}
			seen := ""
			if !a.Status.LastSignal.IsZero() {
				seen = a.Status.LastSignal.Local().Format(time.DateTime)
			}
			out := cmd.OutOrStdout()
			lines(out, "agent", "@"+a.Slug, "name", a.Name, "role", a.Role, "runtime", a.Runtime, "status", a.Status.Label, "paused", a.PauseReason,
				"works on", strings.Join(a.Status.Working, ", "), "can", strings.Join(a.Capabilities, ", "), "seen", seen)
			printHealth(out, &report)
			return nil
		})
}

// figureNames are figures in words, and how their numbers are written.
var figureNames = map[quiet.Figure][2]string{
	quiet.Empty: {"empty", "%"}, quiet.Refused: {"refused", "%"}, quiet.Rework: {"rework", "%"}, quiet.Length: {"length", "bytes"}, quiet.Latency: {"time", "s"},
}

func printHealth(out io.Writer, r *health.Report) {
	if len(r.Figures) == 0 || r.Figures[0].Sample == 0 && r.Figures[0].Before == 0 {
		return
	}
	fmt.Fprintf(out, "\nToday, %d pieces of work, and the week before, %d:\n", r.Figures[0].Sample, r.Figures[0].Before)
	table(out, "FIGURE\tNOW\tUSUAL\tBAND\tSTANDS", len(r.Figures), func(i int) []string {
		b := r.Figures[i]
		name, unit := figureNames[b.Figure][0], figureNames[b.Figure][1]
		amount := func(v float64) string {
			if unit == "%" {
				return fmt.Sprintf("%.0f%%", 100*v)
			}
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		stands, band := "as usual", amount(b.Low)+" to "+amount(b.High)
		if !b.Enough {
			stands, band = "too few to say", "-"
		}
		if b.Out {
			stands = "OUT OF ITS BAND"
		}
		return []string{name, amount(b.Now), amount(b.Usual), band, stands}
	})
}
