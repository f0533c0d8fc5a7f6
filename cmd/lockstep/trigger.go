package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/trigger"
)

func newTriggerCommand() *cobra.Command {
	return group("trigger", "Start executions when something happens",
		`Trigger manages what starts executions when a webhook is called, when an event
arrives that a pattern describes, or when an object appears in a bucket.`,
		`  lockstep trigger add push --type webhook --scheme github --machine build
  lockstep trigger add big --type event --pattern '{"source":["shop"],"detail":{"total":[{"numeric":[">",100]}]}}' --machine orders
  lockstep trigger add inbox --type object --bucket inbox --suffix .csv --machine load`,
		newTriggerAdd(), newTriggerLs(), newTriggerShow(), newTriggerRm())
}

func newTriggerAdd() *cobra.Command {
	var s trigger.Spec
	var pattern, secretEnv, secretFile string
	cmd := verb("add NAME", "Make a trigger, or change the one of that name", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			s.Name = args[0]
			var err error
			if s.Pattern, err = jsonFlag("pattern", pattern); err != nil {
				return err
			}
			if s.Type == trigger.Webhook {
				if s.Secret, err = askSecret(cmd, secretEnv, secretFile); err != nil {
					return err
				}
			}
			var v trigger.View
			text, err := c.call(cmd.Context(), http.MethodPost, "triggers", s, &v)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				if v.Path != "" {
					fmt.Fprintln(out, strings.TrimSuffix(c.url, "/")+v.Path)
				}
			})
			return nil
		})
	cmd.Long = `Add makes a trigger. A webhook's secret, with which its calls are signed, is asked
for, or read from an environment variable or a file, and is never an argument.`
	flags := cmd.Flags()
	flags.StringVar(&s.Type, "type", "", "`kind` of trigger: webhook, event or object")
	flags.StringVar(&s.Machine, "machine", "", "`name` or ARN of the state machine, its version or its alias")
	flags.StringVar(&s.Description, "description", "", "`text` for people")
	flags.BoolVar(&s.Paused, "paused", false, "start nothing")
	flags.StringVar(&s.Scheme, "scheme", "", "webhook: how calls are signed: github, `hmac`, stripe or token")
	flags.StringVar(&s.Header, "header", "", "webhook: `name` of the header with the signature or token, where it is not the scheme's own")
	flags.StringVar(&secretEnv, "secret-env", "", "webhook: environment `variable` that holds the secret")
	flags.StringVar(&secretFile, "secret-file", "", "webhook: `file` that holds the secret")
	flags.StringVar(&pattern, "pattern", "", "event: EventBridge's event pattern in `JSON`, or @FILE")
	flags.StringVar(&s.Bucket, "bucket", "", "object: `name` of the bucket")
	flags.StringVar(&s.Prefix, "prefix", "", "object: how keys `begin`")
	flags.StringVar(&s.Suffix, "suffix", "", "object: how keys `end`")
	return cmd
}

func newTriggerLs() *cobra.Command {
	return listing("List triggers", "triggers", "NAME\tTYPE\tMACHINE\tLAST\tERROR", func(v *trigger.View) []string {
		return []string{v.Name, v.Type, v.Machine, cmp.Or(v.Last, "-"), v.Error}
	})
}

func newTriggerShow() *cobra.Command {
	return verb("show NAME", "Show a trigger, without its secret", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var v trigger.View
		text, err := c.call(cmd.Context(), http.MethodGet, "triggers/"+url.PathEscape(args[0]), nil, &v)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{
				{"name", v.Name}, {"arn", v.ARN}, {"from", v.From}, {"type", v.Type}, {"description", v.Description}, {"machine", v.Machine},
				{"path", v.Path}, {"scheme", v.Scheme}, {"header", v.Header}, {"pattern", string(v.Pattern)},
				{"bucket", v.Bucket}, {"prefix", v.Prefix}, {"suffix", v.Suffix}, {"last", v.Last}, {"execution", v.Execution}, {"error", v.Error},
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

func newTriggerRm() *cobra.Command {
	return verb("rm NAME", "Remove a trigger", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		_, err := c.call(cmd.Context(), http.MethodDelete, "triggers/"+url.PathEscape(args[0]), nil, nil)
		return err
	})
}
