package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/notices"
)

func newNotificationCommand() *cobra.Command {
	return group("notification", "Read notifications, and say where they go",
		`Notification lists what you should know: reviews that wait for you, mentions,
tasks that are blocked, failed or done, budgets, agents that fall silent. They
can also go to mail, to a webhook of yours, or to a chat.`,
		`  lockstep notification ls
  lockstep notification read
  lockstep notification set --slack-url-env SLACK_URL --quiet 22:00-07:00 --time-zone Europe/Berlin
  lockstep notification test slack`,
		newNotificationList(), newNotificationRead(), newNotificationSet(), newNotificationTest())
}

func newNotificationList() *cobra.Command {
	var cursor string
	unread := false
	cmd := listVerb("List your notifications, unread ones first", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Notifications []notices.Notification `json:"notifications"`
			Next          string                 `json:"next_cursor"`
		}
		only := ""
		if unread {
			only = "1"
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "notifications"+query("cursor", cursor, "unread", only), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "WHEN\tWHAT\t\tLINK", len(page.Notifications), func(i int) []string {
				n := page.Notifications[i]
				mark := "new"
				if !n.ReadAt.IsZero() {
					mark = ""
				}
				return []string{n.At.Local().Format(time.DateTime), oneLine(n.Title), mark, n.URL}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	cmd.Flags().BoolVar(&unread, "unread", false, "those alone that are not read")
	return cmd
}

func newNotificationRead() *cobra.Command {
	return boardVerb("read [ID]...", "Mark notifications as read: those named, or all", "  lockstep notification read", cobra.ArbitraryArgs,
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in := map[string]any{"ids": args}
			if len(args) == 0 {
				in = map[string]any{"all": true}
			}
			var answer struct{ Read int }
			text, err := c.call(cmd.Context(), http.MethodPost, "notifications/read", in, &answer)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%d marked as read\n", answer.Read) })
			return nil
		})
}

func newNotificationSet() *cobra.Command {
	var email, hookEnv, secretEnv, slackEnv, quiet, zone string
	var types, off []string
	muted := false
	cmd := boardVerb("set", "Say where your notifications go", `  lockstep notification set --email me@example.com
  lockstep notification set --slack-url-env SLACK_URL --only done=in_app --only failed=slack,email
  lockstep notification set --webhook-url-env HOOK_URL --webhook-secret-env HOOK_SECRET
  lockstep notification set --quiet 22:00-07:00 --time-zone Europe/Berlin
  lockstep notification set --off email --mute=false`, cobra.NoArgs, func(cmd *cobra.Command, c *restClient, _ []string) error {
		in := map[string]any{}
		if email != "" {
			in["email"] = map[string]string{"address": email}
		}
		for _, ch := range []struct{ name, url, secret string }{{notices.Webhook, hookEnv, secretEnv}, {notices.Slack, slackEnv, ""}} {
			if ch.url == "" {
				continue
			}
			set := map[string]string{}
			for member, variable := range map[string]string{"url": ch.url, "secret": ch.secret} {
				if variable == "" {
					continue
				}
				if set[member] = os.Getenv(variable); set[member] == "" {
					return usageError("the environment has no %s", variable)
				}
			}
			in[ch.name] = set
		}
		for _, name := range off {
			in[name] = nil
		}
		if len(types) > 0 {
			to := map[string][]string{}
			for _, t := range types {
				kind, channels, ok := strings.Cut(t, "=")
				if !ok {
					return usageError("--only is a type and its channels, such as done=in_app,slack")
				}
				to[kind] = []string{}
				if channels != "" && channels != "none" {
					to[kind] = strings.Split(channels, ",")
				}
			}
			in["types"] = to
		}
		if quiet == "none" {
			in["quiet_hours"] = nil
		} else if quiet != "" {
			from, to, _ := strings.Cut(quiet, "-")
			in["quiet_hours"] = map[string]string{"from": from, "to": to, "time_zone": zone}
		}
		if cmd.Flags().Changed("mute") {
			in["muted"] = muted
		}
		var p notices.Preferences
		text, err := c.call(cmd.Context(), http.MethodPut, "notifications/preferences", in, &p)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { printPreferences(out, &p) })
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&email, "email", "", "`address` of mail")
	flags.StringVar(&hookEnv, "webhook-url-env", "", "environment `variable` with the URL of a webhook")
	flags.StringVar(&secretEnv, "webhook-secret-env", "", "environment `variable` with the secret that signs what it gets")
	flags.StringVar(&slackEnv, "slack-url-env", "", "environment `variable` with the URL of an incoming webhook of Slack")
	flags.StringArrayVar(&types, "only", nil, "`type=channels` that a type goes to, or none; sets all types anew; may be repeated")
	flags.StringArrayVar(&off, "off", nil, "`channel` to take away: email, webhook or slack; may be repeated")
	flags.StringVar(&quiet, "quiet", "", "`hours` in which nothing is sent, such as 22:00-07:00, or none")
	flags.StringVar(&zone, "time-zone", "", "`zone` of these hours, such as Europe/Berlin (default: UTC)")
	flags.BoolVar(&muted, "mute", false, "send nothing; the list goes on")
	return cmd
}

func printPreferences(out io.Writer, p *notices.Preferences) {
	address := func(a *notices.Address) string {
		if a == nil {
			return ""
		}
		return a.Address + a.Host
	}
	quiet, muted := "", ""
	if p.Quiet != nil {
		quiet = strings.TrimSpace(p.Quiet.From + " to " + p.Quiet.To + " " + p.Quiet.Zone)
	}
	if p.Muted {
		muted = "yes"
	}
	lines(out, "channels", strings.Join(p.Offers, ", "), "email", address(p.Email), "webhook", address(p.Hook), "slack", address(p.Slack), "quiet", quiet, "muted", muted)
	for _, kind := range p.Kinds {
		if channels, ok := p.Types[kind]; ok {
			lines(out, kind, "goes to "+strings.Join(append([]string{}, channels...), ", "))
		}
	}
}

func newNotificationTest() *cobra.Command {
	return boardVerb("test CHANNEL", "Send a notification to one of your channels, to see that it works", "  lockstep notification test email", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			text, err := c.call(cmd.Context(), http.MethodPost, "notifications/test", map[string]string{"channel": args[0]}, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s works\n", printable(args[0])) })
			return nil
		})
}

func newWebhookCommand() *cobra.Command {
	return group("webhook", "Have other programs told what happens",
		`Webhook posts the events of the feed to a URL, in order, signed, and again until
they are taken. A private address needs egress.allow in the configuration.`,
		`  lockstep webhook add https://hooks.example.com/lockstep --type 'task.*' --project WEB
  lockstep webhook ls
  lockstep webhook deliveries wh_0123456789abcdef
  lockstep webhook redeliver wh_0123456789abcdef wh_0123456789abcdef.42`,
		newWebhookAdd(), newWebhookList(), newWebhookDeliveries(),
		newWebhookVerb("rm ID", "Remove a webhook", "removed", http.MethodDelete, ""),
		newWebhookVerb("enable ID", "Let a webhook go on that was disabled, from where it was", "enabled", http.MethodPost, "/enable"),
		newWebhookRedeliver())
}

func newWebhookAdd() *cobra.Command {
	var in struct {
		URL      string   `json:"url"`
		Secret   string   `json:"secret,omitempty"`
		Types    []string `json:"types,omitempty"`
		Projects []string `json:"projects,omitempty"`
	}
	var secretEnv string
	cmd := boardVerb("add URL", "Make a webhook and print its secret", "  lockstep webhook add https://hooks.example.com/lockstep --type 'task.*' --type review.created", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in.URL = args[0]
			if secretEnv != "" {
				if in.Secret = os.Getenv(secretEnv); in.Secret == "" {
					return usageError("the environment has no %s", secretEnv)
				}
			}
			var made struct{ ID, Secret string }
			text, err := c.call(cmd.Context(), http.MethodPost, "webhooks", in, &made)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				fmt.Fprintf(out, "made %s\nsecret of its signatures, shown this once:\n%s\n", made.ID, made.Secret)
			})
			return nil
		})
	flags := cmd.Flags()
	flags.StringArrayVar(&in.Types, "type", nil, "`type` of events, with * at the end for several (default: all); may be repeated")
	flags.StringArrayVar(&in.Projects, "project", nil, "`key` of a project whose events it gets (default: all); may be repeated")
	flags.StringVar(&secretEnv, "secret-env", "", "environment `variable` with the secret (default: one is made)")
	return cmd
}

func newWebhookList() *cobra.Command {
	return listVerb("List webhooks and how they fare", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Webhooks []notices.Hook `json:"webhooks"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "webhooks", nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "WEBHOOK\tTO\tTYPES\tSTANDS", len(page.Webhooks), func(i int) []string {
				h := page.Webhooks[i]
				stands, types := "works", strings.Join(h.Types, ",")
				if types == "" {
					types = "all"
				}
				if h.Failures > 0 {
					stands = fmt.Sprintf("has failed %d times: %s", h.Failures, oneLine(h.LastError))
				}
				if h.Disabled {
					stands = "disabled: " + oneLine(h.LastError)
				}
				return []string{h.ID, h.Host, types, stands}
			})
		})
		return nil
	})
}

func newWebhookDeliveries() *cobra.Command {
	var cursor string
	cmd := boardVerb("deliveries ID", "List what a webhook was sent, newest first", "  lockstep webhook deliveries wh_0123456789abcdef", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			var page struct {
				Deliveries []notices.HookDelivery `json:"deliveries"`
				Next       string                 `json:"next_cursor"`
			}
			text, err := c.call(cmd.Context(), http.MethodGet, "webhooks/"+url.PathEscape(args[0])+"/deliveries"+query("cursor", cursor), nil, &page)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				table(out, "DELIVERY\tEVENT\tSTATE\tTRIES\tLAST", len(page.Deliveries), func(i int) []string {
					d := page.Deliveries[i]
					last := ""
					if n := len(d.Tries); n > 0 {
						last = d.Tries[n-1].At.Local().Format(time.DateTime) + " " + oneLine(d.Tries[n-1].Error)
					}
					return []string{d.ID, d.Type, d.State, fmt.Sprint(len(d.Tries)), strings.TrimSpace(last)}
				})
				more(out, page.Next)
			})
			return nil
		})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newWebhookVerb(use, short, did, method, path string) *cobra.Command {
	name, _, _ := strings.Cut(use, " ")
	return boardVerb(use, short, "  lockstep webhook "+name+" wh_0123456789abcdef", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		text, err := c.call(cmd.Context(), method, "webhooks/"+url.PathEscape(args[0])+path, nil, nil)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s %s\n", did, printable(args[0])) })
		return nil
	})
}

func newWebhookRedeliver() *cobra.Command {
	return boardVerb("redeliver ID DELIVERY", "Send an event once more, under the same id", "  lockstep webhook redeliver wh_0123456789abcdef wh_0123456789abcdef.42", cobra.ExactArgs(2),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			text, err := c.call(cmd.Context(), http.MethodPost, "webhooks/"+url.PathEscape(args[0])+"/deliveries/"+url.PathEscape(args[1])+"/redeliver", nil, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is sent again\n", printable(args[1])) })
			return nil
		})
}
