package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/control"
)

// agentKeyVariable is where an agent's commands find its key. It is no flag, so
// that it is in no list of processes.
const agentKeyVariable = "LOCKSTEP_AGENT_KEY"

// boardVerb is a verb of the board's. It is the person's at this machine, or an
// agent's whose key is in the environment.
func boardVerb(use, short, example string, args cobra.PositionalArgs, do func(cmd *cobra.Command, c *restClient, args []string) error) *cobra.Command {
	cmd := verb(use, short, args, func(cmd *cobra.Command, c *restClient, args []string) error {
		c.header = http.Header{}
		if key := os.Getenv(agentKeyVariable); key != "" {
			c.header.Set("Authorization", "Bearer "+key)
		}
		return do(cmd, c, args)
	})
	cmd.Example = example
	return cmd
}

// listVerb is the verb ls of the board's.
func listVerb(short string, do func(cmd *cobra.Command, c *restClient, args []string) error) *cobra.Command {
	return boardVerb("ls", short, "", cobra.NoArgs, do)
}

// query is the text after the path of a call.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// lines prints names and values, but for those without a value.
func lines(out io.Writer, pairs ...string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], printable(pairs[i+1]))
		}
	}
	w.Flush()
}

// more says that a list goes on.
func more(out io.Writer, cursor string) {
	if cursor != "" {
		fmt.Fprintf(out, "there are more: --cursor %s\n", cursor)
	}
}

func newProjectCommand() *cobra.Command {
	return group("project", "Manage the boards that tasks are on", "Project manages boards. A project's key numbers its tasks: WEB-12 is a task of WEB.",
		"  lockstep project add WEB --name 'Web site'\n  lockstep project ls", newProjectAdd(), newProjectList(), newProjectSet())
}

func newProjectAdd() *cobra.Command {
	var in struct {
		Key  string `json:"key"`
		Name string `json:"name"`
	}
	cmd := boardVerb("add KEY", "Make a project", "  lockstep project add WEB --name 'Web site'", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		in.Key = args[0]
		var p control.Project
		text, err := c.call(cmd.Context(), http.MethodPost, "projects", in, &p)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "made %s\n", p.Key) })
		return nil
	})
	cmd.Flags().StringVar(&in.Name, "name", "", "`text` for people")
	return cmd
}

func newProjectList() *cobra.Command {
	var cursor string
	cmd := listVerb("List projects", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Projects []control.Project `json:"projects"`
			Next     string            `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "projects"+query("cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "KEY\tNAME\tREVIEW", len(page.Projects), func(i int) []string {
				p := page.Projects[i]
				return []string{p.Key, cmp.Or(p.Name, "-"), string(p.Policies.ReviewMode)}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newAgentCommand() *cobra.Command {
	return group("agent", "Manage the agents that work on tasks",
		`Agent manages automated workers. An agent calls with a key of its own, which is
shown once: as Authorization: Bearer KEY, or in `+agentKeyVariable+` with the
commands task and review.`,
		`  lockstep agent add writer --project WEB
  lockstep agent ls
  lockstep agent key writer`,
		newAgentAdd(), newAgentList(), newAgentShow(), newAgentSet(), newAgentKey(), newAgentConnect(), newAgentRun(), newAgentMessage(), newAgentHistory(),
		newAgentVerb("pause", "Begin nothing until it is resumed"), newAgentVerb("resume", "Go on after a pause"), newAgentVerb("retire", "End an agent for good"))
}

func newAgentAdd() *cobra.Command {
	var in struct {
		Slug         string   `json:"slug"`
		Name         string   `json:"name"`
		Role         string   `json:"role"`
		Runtime      string   `json:"runtime"`
		Projects     []string `json:"projects"`
		Capabilities []string `json:"capabilities"`
		Slots        int      `json:"slots"`
	}
	cmd := boardVerb("add SLUG", "Register an agent and print its key", `  lockstep agent add writer --project WEB
  lockstep agent add boss --project WEB --role lead
  lockstep agent add coder --project WEB --project APP --capability go --slots 2`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in.Slug = strings.TrimPrefix(args[0], "@")
			if len(in.Projects) == 0 {
				return usageError("--project says where the agent works; lockstep project ls shows what there is")
			}
			if _, err := c.call(cmd.Context(), http.MethodPost, "agents", in, nil); err != nil {
				return err
			}
			return printKey(cmd, c, in.Slug)
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Name, "name", "", "`text` for people")
	flags.StringVar(&in.Role, "role", "", "worker (the default) or `lead`, who reviews others' work")
	flags.StringVar(&in.Runtime, "runtime", "", "openclaw, claude_code, codex, http or `custom` (the default)")
	flags.StringArrayVar(&in.Projects, "project", nil, "`key` of a project that it works in; may be repeated")
	flags.StringArrayVar(&in.Capabilities, "capability", nil, "`word` for what it can do; may be repeated")
	flags.IntVar(&in.Slots, "slots", 0, "how `many` tasks it works on at once (default 1)")
	return cmd
}

// printKey makes a key for an agent. It cannot be shown again.
func printKey(cmd *cobra.Command, c *restClient, slug string) error {
	var key struct {
		Key string `json:"key"`
	}
	text, err := c.call(cmd.Context(), http.MethodPost, "agents/"+url.PathEscape(slug)+"/keys", nil, &key)
	if err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "key of @%s, shown this once:\n%s\n", slug, key.Key) })
	return nil
}

func newAgentKey() *cobra.Command {
	return boardVerb("key SLUG", "Make another key for an agent", "  lockstep agent key writer", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			return printKey(cmd, c, strings.TrimPrefix(args[0], "@"))
		})
}

// agentRow is what the server says of an agent.
type agentRow struct {
	control.Agent
	Status control.AgentStatus `json:"status"`
}

func newAgentList() *cobra.Command {
	var project, cursor string
	cmd := listVerb("List agents and what they do", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Agents []agentRow `json:"agents"`
			Next   string     `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "agents"+query("project", project, "cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "AGENT\tROLE\tSTATUS\tWORKS ON\tCAN", len(page.Agents), func(i int) []string {
				a := page.Agents[i]
				return []string{"@" + a.Slug, a.Role, a.Status.Label, cmp.Or(strings.Join(a.Status.Working, ","), "-"), cmp.Or(strings.Join(a.Capabilities, ","), "-")}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&project, "project", "", "`key` of the project whose agents are listed")
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newAgentVerb(use, short string) *cobra.Command {
	return boardVerb(use+" SLUG", short, "  lockstep agent "+use+" writer", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var a control.Agent
		text, err := c.call(cmd.Context(), http.MethodPost, "agents/"+url.PathEscape(strings.TrimPrefix(args[0], "@"))+"/"+use, nil, &a)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "@%s is %s\n", a.Slug, a.Admin) })
		return nil
	})
}

func newReviewCommand() *cobra.Command {
	return group("review", "Decide what waits for a decision",
		`Review lists what waits for your decision and decides it. A review is named by
its id, or by the task whose result is to be accepted.`,
		`  lockstep review ls
  lockstep review approve WEB-1
  lockstep review changes WEB-1 --comment 'shorter, please'
  lockstep review reject WEB-1 --comment 'not what was asked for'`,
		newReviewList(),
		newReviewVerb("approve", "approve", "Accept a result or a plan"), newReviewVerb("changes", "changes_requested", "Ask for changes"),
		newReviewVerb("reject", "reject", "Refuse a result or a plan for good"), newReviewVerb("answer", "answer", "Answer a question, with --comment"))
}

func newReviewList() *cobra.Command {
	var cursor string
	cmd := listVerb("List what waits for your decision, the most pressing first", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Reviews []control.Waiting `json:"reviews"`
			Next    string            `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "reviews"+query("mine", "1", "cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "REVIEW\tKIND\tTASK\tROUND\tBEHIND\tTITLE", len(page.Reviews), func(i int) []string {
				r, task := page.Reviews[i].Review, "-"
				if t := page.Reviews[i].Task; t != nil {
					task = t.Key
				}
				return []string{r.ID, r.Kind, task, fmt.Sprint(r.Round), fmt.Sprint(page.Reviews[i].Behind), oneLine(r.Title)}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newReviewVerb(use, verdict, short string) *cobra.Command {
	in := control.Decision{Verdict: verdict}
	cmd := boardVerb(use+" REVIEW|TASK", short, "  lockstep review "+use+" WEB-1 --comment 'as we said'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			id, err := findReview(cmd, c, args[0])
			if err != nil {
				return err
			}
			var r control.Review
			text, err := c.call(cmd.Context(), http.MethodPost, "reviews/"+url.PathEscape(id)+"/decision", in, &r)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", oneLine(r.Title), r.Status) })
			return nil
		})
	cmd.Flags().StringVar(&in.Comment, "comment", "", "`text` for who did the work")
	return cmd
}

// findReview finds the pending review that is meant: itself, or a task's.
func findReview(cmd *cobra.Command, c *restClient, ref string) (string, error) {
	if !strings.Contains(ref, "-") {
		return ref, nil
	}
	var v control.View
	if _, err := c.call(cmd.Context(), http.MethodGet, "tasks/"+url.PathEscape(ref), nil, &v); err != nil {
		return "", err
	}
	id := ""
	for _, r := range v.Reviews {
		if r.Status != "pending" {
			continue
		}
		if id != "" {
			return "", fmt.Errorf("%s has several pending reviews: name one by its id, as lockstep review ls shows them", ref)
		}
		id = r.ID
	}
	if id == "" {
		return "", fmt.Errorf("no review of %s is pending; the task is %s", ref, v.Task.State)
	}
	return id, nil
}
