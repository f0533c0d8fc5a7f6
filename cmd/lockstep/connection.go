package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/connection"
)

func newConnectionCommand() *cobra.Command {
	return group("connection", "Manage what authorizes the calls of HTTP tasks",
		`Connection manages what HTTP tasks (http:invoke) name as their connection: a user
name and password, an API key, or an OAuth client. Secrets go into the server and
never come out of it again, and are no part of any history.`,
		`  lockstep connection add stripe --type api-key --key-name X-Api-Key
  lockstep connection add erp --type oauth --client-id lockstep --token-url https://auth.example.com/token --secret-env ERP_SECRET
  lockstep connection test erp
  lockstep connection ls`,
		newConnectionAdd(), newConnectionLs(), newConnectionShow(), newConnectionTest(), newConnectionRm())
}

func newConnectionAdd() *cobra.Command {
	var s connection.Spec
	var kind, secretEnv, secretFile string
	var given [6][]string // parameters: of calls and of requests for tokens
	places := []string{"header", "query", "body"}
	cmd := verb("add NAME", "Make a connection, or change the one of that name", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			s.Name = args[0]
			secret := &s.Password
			switch kind {
			case "basic":
				s.Kind = connection.Basic
			case "api-key":
				s.Kind, secret = connection.APIKey, &s.KeyValue
			case "oauth":
				s.Kind, secret = connection.OAuth, &s.ClientSecret
			default:
				return usageError("--type must be basic, api-key or oauth")
			}
			var err error
			if *secret, err = askSecret(cmd, secretEnv, secretFile); err != nil {
				return err
			}
			for i, list := range given {
				to := &s.Params
				if i >= len(places) {
					to = &s.TokenParams
				}
				more, err := parseParams(places[i%len(places)], list)
				if err != nil {
					return err
				}
				*to = append(*to, more...)
			}
			var v connection.View
			text, err := c.call(cmd.Context(), http.MethodPost, "connections", s, &v)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintln(out, v.ARN) })
			return nil
		})
	cmd.Long = `Add makes a connection and prints its ARN, which HTTP tasks name. The secret (the
password, the key's value, the client's secret) is asked for, or read from an
environment variable or a file, and is never an argument. A parameter's value is
secret, too, where it is env:NAME or file:PATH.`
	cmd.Example = `  lockstep connection add crm --type basic --username ann
  lockstep connection add stripe --type api-key --key-name X-Api-Key --secret-file key.txt --header X-Tenant=acme`
	flags := cmd.Flags()
	flags.StringVar(&kind, "type", "", "`kind` of authorization: basic, api-key or oauth")
	flags.StringVar(&s.Description, "description", "", "`text` for people")
	flags.StringVar(&s.Username, "username", "", "basic: `name` of the user")
	flags.StringVar(&s.KeyName, "key-name", "", "api-key: `name` of the header")
	flags.StringVar(&s.ClientID, "client-id", "", "oauth: `id` of the client")
	flags.StringVar(&s.TokenURL, "token-url", "", "oauth: `URL` that gives tokens")
	flags.StringVar(&s.TokenMethod, "token-method", "", "oauth: `method` of that call: POST (the default), GET or PUT")
	flags.StringVar(&s.TokenAuth, "token-auth", "", "oauth: `where` the client's secret goes: body (the default) or basic, for an Authorization header")
	flags.StringVar(&secretEnv, "secret-env", "", "environment `variable` that holds the secret")
	flags.StringVar(&secretFile, "secret-file", "", "`file` that holds the secret")
	for i, name := range []string{"header", "query", "body", "token-header", "token-query", "token-body"} {
		flags.StringArrayVar(&given[i], name, nil, "parameter to add to each call, or request for a token: `KEY=VALUE`; may be given more than once")
	}
	return cmd
}

// parseParams reads KEY=VALUE.
func parseParams(in string, list []string) ([]connection.Param, error) {
	var all []config.Param
	for _, text := range list {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, usageError("a parameter must be KEY=VALUE")
		}
		all = append(all, config.Param{In: in, Key: key, Value: value})
	}
	return params(all)
}

// askSecret reads a secret from where the flags say, or from the terminal without
// showing it, or else from standard input.
func askSecret(cmd *cobra.Command, env, file string) (string, error) {
	switch {
	case env != "" && file != "":
		return "", usageError("give --secret-env or --secret-file, not both")
	case env != "":
		return readReference("env:" + env)
	case file != "":
		return readReference("file:" + file)
	}
	if in, ok := cmd.InOrStdin().(*os.File); ok && isatty.IsTerminal(in.Fd()) {
		fmt.Fprint(cmd.ErrOrStderr(), "Secret: ")
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", err
		}
		return readSecret(strings.NewReader(string(text)), "the secret")
	}
	return readSecret(cmd.InOrStdin(), "the secret on standard input")
}

func newConnectionLs() *cobra.Command {
	return listing("List connections", "connections", "NAME\tTYPE\tFROM\tARN", func(v *connection.View) []string {
		return []string{v.Name, string(v.Kind), v.From, v.ARN}
	})
}

// table prints rows under a heading, or that there are none.
func table(out io.Writer, heading string, n int, row func(i int) []string) {
	if n == 0 {
		fmt.Fprintln(out, "none")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	for i := range n {
		cells := row(i)
		for j := range cells {
			cells[j] = printable(cells[j])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush()
}

func newConnectionShow() *cobra.Command {
	return verb("show NAME", "Show a connection, without its secrets", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var v connection.View
		text, err := c.call(cmd.Context(), http.MethodGet, "connections/"+url.PathEscape(args[0]), nil, &v)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { showConnection(out, &v) })
		return nil
	})
}

func showConnection(out io.Writer, v *connection.View) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", key, printable(value))
		}
	}
	line("name", v.Name)
	line("type", string(v.Kind))
	line("arn", v.ARN)
	line("from", v.From)
	line("description", v.Description)
	line("username", v.Username)
	line("key name", v.KeyName)
	line("client id", v.ClientID)
	line("token url", v.TokenURL)
	line("changed", v.UpdatedAt)
	for what, list := range map[string][]connection.Param{"": v.Params, "token ": v.TokenParams} {
		for _, p := range list {
			value := p.Value
			if p.Secret {
				value = "(secret)"
			}
			line(what+p.In, p.Key+"="+value)
		}
	}
	w.Flush()
}

func newConnectionTest() *cobra.Command {
	var address string
	cmd := verb("test NAME", "Try a connection", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		var result connection.Test
		text, err := c.call(cmd.Context(), http.MethodPost, "connections/"+url.PathEscape(args[0])+"/test", map[string]string{"url": address}, &result)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) { fmt.Fprintln(out, printable(result.Message)) })
		if !result.OK {
			return &exitError{code: exitFailed}
		}
		return nil
	})
	cmd.Long = `Test looks whether a connection's secrets can be read and, with OAuth, whether they
get a token. With --get it also calls an address, with GET, and says what the
answer's status is. The exit code is 1 when it does not work.`
	cmd.Flags().StringVar(&address, "get", "", "`URL` to call with the connection")
	return cmd
}

func newConnectionRm() *cobra.Command {
	return verb("rm NAME", "Remove a connection with its secrets", cobra.ExactArgs(1), func(cmd *cobra.Command, c *restClient, args []string) error {
		_, err := c.call(cmd.Context(), http.MethodDelete, "connections/"+url.PathEscape(args[0]), nil, nil)
		return err
	})
}
