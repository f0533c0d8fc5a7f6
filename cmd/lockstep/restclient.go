package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// restClient calls /api/v1 of a running server.
type restClient struct {
	url  string
	json bool // print answers as they come

	tokenFile string      // has the token to call with; "": see tokenFor
	header    http.Header // of each call; nil: none
}

func (c *restClient) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "url", "http://"+defaultListen, "`URL` of the server")
	flags.BoolVar(&c.json, "json", false, "print JSON, for programs")
	flags.StringVar(&c.tokenFile, "token-file", "", "`file` with the token to call with (default: "+tokenVariable+", else that of lockstep login)")
	withEnv(flags, "url", "token-file")
}

// call makes one call and returns the answer, which it also decodes into out
// unless that is nil. Nothing of in is in the error.
func (c *restClient) call(ctx context.Context, method, path string, in, out any) ([]byte, error) {
	base, err := url.Parse(c.url)
	if err != nil || base.Host == "" || base.User != nil {
		return nil, usageError("--url must be the address of a server, such as http://%s", defaultListen)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.url, "/")+"/api/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if req.Header.Get("Authorization") == "" {
		token, err := tokenFor(c.url, c.tokenFile)
		if err != nil {
			return nil, err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return send(req, nil, out)
}

// send makes a request and returns the answer, which it also decodes into out
// unless that is nil. Nothing of the request is in the error.
func send(req *http.Request, jar http.CookieJar, out any) ([]byte, error) {
	transport := &http.Transport{} // a server on this machine: a proxy has no part in it
	if !isLoopback(req.URL.Hostname()) {
		transport.Proxy = http.ProxyFromEnvironment
	}
	client := http.Client{Transport: transport, Timeout: 2 * time.Minute, Jar: jar}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // keys stay here
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is a server running? lockstep dev starts one, and --url says where it is", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		var failed struct {
			Error refusal `json:"error"`
		}
		if json.Unmarshal(text, &failed) == nil && failed.Error.Message != "" {
			if res.StatusCode == http.StatusUnauthorized && req.Header.Get("Authorization") == "" && jar == nil {
				return nil, fmt.Errorf("you are not signed in to %s: lockstep login %[1]s does that", originOf(req.URL.String()))
			}
			return nil, &failed.Error
		}
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	if out == nil || len(text) == 0 {
		return text, nil
	}
	return text, json.Unmarshal(text, out)
}

// refusal is an answer of the server's that says no.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return r.Message }

// refusedAs reports whether err is a refusal with the code.
func refusedAs(err error, code string) bool {
	var r *refusal
	return errors.As(err, &r) && r.Code == code
}

// show prints an answer as it came with --json, and else what print makes of it.
func (c *restClient) show(cmd *cobra.Command, text []byte, print func(out io.Writer)) {
	if c.json {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", bytes.TrimSpace(text))
		return
	}
	print(cmd.OutOrStdout())
}

// group is a command that only has others below it.
func group(use, short, long, example string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(below...)
	return cmd
}

// verb is a command that makes one call.
func verb(use, short string, args cobra.PositionalArgs, do func(cmd *cobra.Command, c *restClient, args []string) error) *cobra.Command {
	c := &restClient{}
	cmd := &cobra.Command{Use: use, Short: short, Args: args, RunE: act(func(cmd *cobra.Command, args []string) error { return do(cmd, c, args) })}
	if use == "ls" {
		cmd.Aliases = []string{"list"}
	}
	c.register(cmd.Flags())
	return cmd
}

// listing is the verb ls of what a path lists in a member of the same name.
func listing[T any](short, path, heading string, row func(v *T) []string) *cobra.Command {
	return verb("ls", short, cobra.NoArgs, func(cmd *cobra.Command, c *restClient, _ []string) error {
		var answer map[string][]T
		text, err := c.call(cmd.Context(), http.MethodGet, path, nil, &answer)
		if err != nil {
			return err
		}
		list := answer[path]
		c.show(cmd, text, func(out io.Writer) {
			table(out, heading, len(list), func(i int) []string { return row(&list[i]) })
		})
		return nil
	})
}

// jsonFlag reads a flag that is JSON or names a file with it.
func jsonFlag(name, value string) (json.RawMessage, error) {
	if path, ok := strings.CutPrefix(value, "@"); ok {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		value = string(text)
	}
	if value == "" {
		return nil, nil
	}
	if !json.Valid([]byte(value)) {
		return nil, usageError("--%s is not JSON", name)
	}
	return json.RawMessage(value), nil
}
