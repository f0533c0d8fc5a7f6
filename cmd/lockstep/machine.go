package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/asl"
)

// machineRow is what the commands read of a state machine.
type machineRow struct {
	Name          string   `json:"name"`
	ARN           string   `json:"arn"`
	Type          string   `json:"type"`
	QueryLanguage string   `json:"query_language"`
	UpdatedAt     string   `json:"updated_at"`
	Versions      int      `json:"versions"`
	SuccessRate   *float64 `json:"success_rate"`
	P50           *int64   `json:"p50_ms"`
	P95           *int64   `json:"p95_ms"`
	Running       int64    `json:"running"`
	CostNano      int64    `json:"cost_nano"`
}

func newMachineCommand() *cobra.Command {
	return group("machine", "Create, change and start state machines",
		`Machine works with the state machines of a running server. A definition is a file
in the Amazon States Language, as JSON or YAML.`,
		`  lockstep machine create orders.asl.json
  lockstep machine start orders --input '{"id":17}' --wait
  lockstep machine ls`,
		newMachineLs(), newMachineShow(), newMachineCreate(), newMachineUpdate(), newMachineStart(), newMachineRm())
}

func newMachineLs() *cobra.Command {
	return verb("ls", "List state machines and how they do", cobra.NoArgs, func(cmd *cobra.Command, c *restClient, _ []string) error {
		var list []machineRow
		raw := []json.RawMessage{}
		q := url.Values{"limit": {"200"}}
		for {
			var page struct {
				Machines []json.RawMessage `json:"machines"`
				Next     string            `json:"next_cursor"`
			}
			if _, err := c.call(cmd.Context(), http.MethodGet, "machines?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			for _, text := range page.Machines {
				var m machineRow
				if err := json.Unmarshal(text, &m); err != nil {
					return err
				}
				list = append(list, m)
			}
			raw = append(raw, page.Machines...)
			if page.Next == "" {
				break
			}
			q.Set("cursor", page.Next)
		}
		text, err := json.Marshal(map[string]any{"machines": raw})
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "NAME\tTYPE\tLANGUAGE\tUPDATED\tRUNNING\tSUCCESS\tP50\tP95", len(list), func(i int) []string {
				m := &list[i]
				return []string{m.Name, m.Type, m.QueryLanguage, m.UpdatedAt, fmt.Sprint(m.Running), rate(m.SuccessRate), tookOr(m.P50), tookOr(m.P95)}
			})
		})
		return nil
	})
}

func rate(r *float64) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*(*r))
}

func tookOr(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return took(*ms)
}

// machine finds a state machine by its name or ARN.
func (c *restClient) machine(cmd *cobra.Command, name string) (machineRow, error) {
	var page struct {
		Machines []machineRow `json:"machines"`
	}
	_, err := c.call(cmd.Context(), http.MethodGet, "machines?name="+url.QueryEscape(name), nil, &page)
	if err != nil {
		return machineRow{}, err
	}
	if len(page.Machines) != 1 {
		return machineRow{}, fmt.Errorf("there is no state machine %q", name)
	}
	return page.Machines[0], nil
}

func newMachineShow() *cobra.Command {
	return verb("show NAME", "Show a state machine with its definition", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		m, err := c.machine(cmd, args[0])
		if err != nil {
			return err
		}
		var text json.RawMessage
		if err := c.aws(cmd.Context(), "DescribeStateMachine", fields{"stateMachineArn": m.ARN}, &text); err != nil {
			return err
		}
		var about struct {
			Status     string `json:"status"`
			RoleARN    string `json:"roleArn"`
			Definition string `json:"definition"`
		}
		if err := json.Unmarshal(text, &about); err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{
				{"arn", m.ARN}, {"status", about.Status}, {"type", m.Type}, {"language", m.QueryLanguage}, {"role", about.RoleARN}, {"updated", m.UpdatedAt},
				{"versions", fmt.Sprint(m.Versions)}, {"running", fmt.Sprint(m.Running)}, {"success", rate(m.SuccessRate)}, {"p50", tookOr(m.P50)}, {"p95", tookOr(m.P95)},
			} {
				fmt.Fprintf(w, "%s\t%s\n", line[0], printable(line[1]))
			}
			w.Flush()
			fmt.Fprintln(out, strings.TrimRight(about.Definition, "\n"))
		})
		return nil
	})
}

// loadDefinition reads a definition from a file.
func loadDefinition(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	source, err := asl.Load(path, data, nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return source.JSON, nil
}

func newMachineCreate() *cobra.Command {
	var name, kind, role string
	cmd := verb("create FILE", "Create a state machine", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		definition, err := loadDefinition(args[0])
		if err != nil {
			return err
		}
		if name == "" {
			name, _, _ = strings.Cut(filepath.Base(args[0]), ".")
		}
		return c.said(cmd, "CreateStateMachine", fields{
			"name": name, "type": strings.ToUpper(kind), "roleArn": role, "definition": definition,
		}, "stateMachineArn")
	})
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "`name` of the state machine (default: the file's, up to the first dot)")
	flags.StringVar(&kind, "type", "standard", "standard or `express`")
	flags.StringVar(&role, "role", "arn:aws:iam::123456789012:role/lockstep", "`ARN` of the role it runs with")
	return cmd
}

func newMachineUpdate() *cobra.Command {
	var name, role string
	publish := false
	cmd := verb("update FILE", "Change the definition of a state machine", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		definition, err := loadDefinition(args[0])
		if err != nil {
			return err
		}
		if name == "" {
			name, _, _ = strings.Cut(filepath.Base(args[0]), ".")
		}
		m, err := c.machine(cmd, name)
		if err != nil {
			return err
		}
		in := fields{"stateMachineArn": m.ARN, "definition": definition}
		if role != "" {
			in["roleArn"] = role
		}
		if publish {
			in["publish"] = true
		}
		return c.said(cmd, "UpdateStateMachine", in, "stateMachineVersionArn", "revisionId")
	})
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "`name` of the state machine (default: the file's, up to the first dot)")
	flags.StringVar(&role, "role", "", "`ARN` of another role")
	flags.BoolVar(&publish, "publish", false, "make a version of it")
	return cmd
}

// said makes a call of the AWS API and prints the first of some members of the
// answer that is there.
func (c *restClient) said(cmd *cobra.Command, action string, in fields, members ...string) error {
	var text json.RawMessage
	if err := c.aws(cmd.Context(), action, in, &text); err != nil {
		return err
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	c.show(cmd, text, func(out io.Writer) {
		for _, member := range members {
			if value, ok := answer[member].(string); ok {
				fmt.Fprintln(out, value)
				return
			}
		}
	})
	return nil
}

func newMachineStart() *cobra.Command {
	var input, name string
	var timeout time.Duration
	wait := false
	cmd := verb("start NAME", "Start an execution", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		data, err := jsonFlag("input", input)
		if err != nil {
			return err
		}
		arn := args[0]
		if !strings.HasPrefix(arn, "arn:") {
			m, err := c.machine(cmd, arn)
			if err != nil {
				return err
			}
			arn = m.ARN
		}
		in := fields{"stateMachineArn": arn, "input": cmp.Or(string(data), "{}")}
		if name != "" {
			in["name"] = name
		}
		if !wait {
			return c.said(cmd, "StartExecution", in, "executionArn")
		}
		var begun execution
		if err := c.aws(cmd.Context(), "StartExecution", in, &begun); err != nil {
			return err
		}
		return c.wait(cmd, begun.ARN, timeout)
	})
	flags := cmd.Flags()
	flags.StringVar(&input, "input", "", "`JSON` of the input, or @FILE (default {})")
	flags.StringVar(&name, "name", "", "`name` of the execution")
	flags.BoolVar(&wait, "wait", false, "wait for its end; fails unless it succeeded")
	flags.DurationVar(&timeout, "timeout", 0, "with --wait: how `long` at most")
	return cmd
}

func newMachineRm() *cobra.Command {
	return verb("rm NAME", "Delete a state machine once its executions have ended", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		m, err := c.machine(cmd, args[0])
		if err != nil {
			return err
		}
		return c.said(cmd, "DeleteStateMachine", fields{"stateMachineArn": m.ARN})
	})
}
