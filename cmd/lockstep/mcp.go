package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/mcp"
)

// agentDoor is /mcp: the board for agents that speak MCP.
func (a *assembly) agentDoor(stopping context.Context) http.Handler {
	return mcp.New(mcp.Config{
		Board: a.board.Board(), Bell: a.bell, Identify: a.board.Identify, Usage: a.spend,
		Stopping: stopping, Version: readBuild().Version, Log: a.set.log,
	})
}

func newMCPCommand() *cobra.Command {
	var (
		proxy   mcpProxy
		keyFile string
		stdio   bool
	)
	cmd := &cobra.Command{
		Use:   "mcp --stdio",
		Short: "The board as tools for an agent that starts its tools itself",
		Long: `An agent that speaks MCP over HTTP needs no command: give it the address of the
server with /mcp at its end, and its key. For one that starts its tools as
programs, lockstep mcp --stdio passes on between the agent and a running server.
The key is the agent's, from lockstep agent key.`,
		Example: `  LOCKSTEP_KEY=lsa_… lockstep mcp --stdio
  lockstep mcp --stdio --url http://127.0.0.1:8083 --key-file ~/.config/lockstep/writer.key`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			if !stdio {
				return usageError("say --stdio: that is all this command does")
			}
			if err := proxy.readKey(keyFile); err != nil {
				return err
			}
			return proxy.run(cmd.Context())
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&stdio, "stdio", false, "speak MCP over standard input and output")
	flags.StringVar(&proxy.url, "url", "http://"+defaultListen, "`URL` of the server")
	flags.StringVar(&keyFile, "key-file", "", "`FILE` with the agent's key; else it is in LOCKSTEP_KEY")
	withEnv(flags, "url", "key-file")
	return cmd
}

// mcpProxy answers an agent on standard input and output with what the server
// answers over HTTP. It keeps nothing, so the server may be started anew meanwhile.
type mcpProxy struct {
	url, key string
	client   http.Client
}

func (p *mcpProxy) readKey(file string) error {
	p.key = os.Getenv("LOCKSTEP_KEY")
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		p.key = string(text)
	}
	if p.key = strings.TrimSpace(p.key); p.key == "" {
		return usageError("the agent's key is missing: put it into LOCKSTEP_KEY or a --key-file; lockstep agent key SLUG makes one")
	}
	base, err := url.Parse(p.url)
	if err != nil || base.Host == "" || base.User != nil {
		return usageError("--url must be the address of a server, such as http://%s", defaultListen)
	}
	return nil
}

func (p *mcpProxy) run(ctx context.Context) error {
	p.client = http.Client{Timeout: 2 * time.Minute}
	defer p.client.CloseIdleConnections()
	var list struct {
		Tools []*sdk.Tool `json:"tools"`
	}
	text, err := p.call(ctx, "tools/list", map[string]any{})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("the server's list of tools: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler)
	server := sdk.NewServer(&sdk.Implementation{Name: "lockstep", Title: "Lockstep", Version: readBuild().Version}, &sdk.ServerOptions{
		Instructions: mcp.Instructions, Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}}, Logger: quiet,
	})
	for _, tool := range list.Tools {
		server.AddTool(tool, p.forward)
	}
	err = server.Run(ctx, &sdk.StdioTransport{})
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil // the agent has gone
	}
	return err
}

// forward is a tool whose answer the server gives. That the server cannot be
// reached is an answer too: the agent may try again.
func (p *mcpProxy) forward(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	params := map[string]any{"name": req.Params.Name}
	if len(req.Params.Arguments) > 0 {
		params["arguments"] = req.Params.Arguments
	}
	text, err := p.call(ctx, "tools/call", params)
	if err != nil {
		return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: err.Error()}}}, nil
	}
	res := &sdk.CallToolResult{}
	if err := json.Unmarshal(text, res); err != nil {
		return nil, err
	}
	var exact struct {
		Structured json.RawMessage `json:"structuredContent"`
	}
	if json.Unmarshal(text, &exact) == nil && len(exact.Structured) > 0 {
		res.StructuredContent = exact.Structured // with its numbers as they came
	}
	return res, nil
}

// call makes one JSON-RPC call and returns its result.
func (p *mcpProxy) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.url, "/")+"/mcp", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is a server running? --url says where it is", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	var said struct {
		Result json.RawMessage `json:"result"`
		Error  struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	known := json.Unmarshal(text, &said) == nil
	switch {
	case known && said.Error.Message != "":
		return nil, errors.New(said.Error.Message)
	case res.StatusCode != http.StatusOK || !known || len(said.Result) == 0:
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	return said.Result, nil
}
