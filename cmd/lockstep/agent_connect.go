package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/connect"
)

// newAgentConnect makes the command that prints, or writes, what it takes to
// connect an agent.
func newAgentConnect() *cobra.Command {
	var in struct {
		Runtime      string `json:"runtime"`
		URL          string `json:"url,omitempty"`
		AllowPrivate bool   `json:"allow_private,omitempty"`
		AgentID      string `json:"agent_id,omitempty"`
		MCPEntry     string `json:"mcp_entry,omitempty"`
		GatewayToken string `json:"gateway_token,omitempty"`
	}
	var dir string
	cmd := boardVerb("connect SLUG", "Print, or write, what connects an agent", `  lockstep agent connect writer --runtime openclaw --hook http://127.0.0.1:18789 --allow-private --write ./kit
  lockstep agent connect coder --runtime claude_code
  lockstep agent connect coder --runtime codex --write ./kit
  lockstep agent connect mine --runtime http --hook https://agents.example.com/wake`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in.GatewayToken = os.Getenv("OPENCLAW_GATEWAY_TOKEN")
			if in.Runtime != "openclaw" {
				in.GatewayToken = ""
			}
			slug := strings.TrimPrefix(args[0], "@")
			var kit connect.Kit
			text, err := c.call(cmd.Context(), http.MethodPost, "agents/"+url.PathEscape(slug)+"/connect-kit", in, &kit)
			if err != nil {
				return err
			}
			if dir != "" {
				if err := writeKit(dir, &kit); err != nil {
					return err
				}
			}
			c.show(cmd, text, func(out io.Writer) { printKit(out, dir, &kit) })
			return nil
		})
	cmd.Long = `Connect makes a key for an agent and prints the files and commands that connect a
runtime with it: OpenClaw, Claude Code, Codex, your own HTTP service or any program.
With --hook the agent is woken at that address from then on; an owner may allow one
on this machine or a private network, for that host and port alone. For OpenClaw the
gateway's own token is taken from OPENCLAW_GATEWAY_TOKEN, if it is there: with it the
turn of a task that is cancelled is stopped.`
	flags := cmd.Flags()
	flags.StringVar(&in.Runtime, "runtime", "", "openclaw, claude_code, codex, http or `custom` (default: the agent's)")
	flags.StringVar(&in.URL, "hook", "", "`URL` where the agent is woken; for OpenClaw the gateway's")
	flags.BoolVar(&in.AllowPrivate, "allow-private", false, "the hook may be on this machine or a private network")
	flags.StringVar(&in.AgentID, "agent-id", "", "what OpenClaw `calls` the agent (default: the slug)")
	flags.StringVar(&in.MCPEntry, "entry", "", "what the runtime `calls` this server among its MCP servers (default board)")
	flags.StringVar(&dir, "write", "", "`directory` to write the files into")
	return cmd
}

// writeKit writes a kit's files. Those with secrets are for their owner alone;
// none takes the place of another.
func writeKit(dir string, kit *connect.Kit) error {
	root := filepath.Clean(dir)
	for _, f := range kit.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return fmt.Errorf("the kit has a file outside of its directory: %s", f.Path)
		}
		to := filepath.Join(root, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return fmt.Errorf("%w: give --write a directory that has no kit yet", err)
		}
		_, err = out.WriteString(f.Text)
		if closed := out.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printKit(out io.Writer, dir string, kit *connect.Kit) {
	fmt.Fprint(out, kit.Text())
	if dir != "" {
		fmt.Fprintf(out, "\nThe files are in %s; run the commands there.\n", dir)
		return
	}
	for _, f := range kit.Files {
		fmt.Fprintf(out, "\n--- %s\n%s", f.Path, f.Text)
	}
	if len(kit.Files) > 0 {
		fmt.Fprintln(out, "\nWith --write DIR the files are written; each run makes a new key.")
	}
}
