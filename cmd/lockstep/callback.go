package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/binding"
)

func newCallbackCommand() *cobra.Command {
	return group("callback", "Answer tasks that wait for a callback",
		`Callback lists the tasks of running executions that wait for somebody to send
back their task token, and answers them without it. What waits for the board is
not among them: see lockstep review.`,
		`  lockstep callback ls
  lockstep callback success cb-12-1-1 --output '{"approved":true}'
  lockstep callback failure cb-12-1-1 --error Declined --cause 'not this quarter'`,
		newCallbackList(), newCallbackSuccess(), newCallbackFailure())
}

func newCallbackList() *cobra.Command {
	var cursor string
	cmd := listVerb("List what waits for a callback", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Callbacks []binding.Callback `json:"callbacks"`
			Next      string             `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "callbacks"+query("cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "CALLBACK\tSTATE\tSINCE\tUNTIL\tEXECUTION\tINPUT", len(page.Callbacks), func(i int) []string {
				cb, until := page.Callbacks[i], "-"
				if !cb.TimeoutAt.IsZero() {
					until = cb.TimeoutAt.Format(time.RFC3339)
				}
				return []string{cb.ID, oneLine(cb.State), cb.Since.Format(time.RFC3339), until, cb.Execution, oneLine(string(cb.Input))}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func newCallbackSuccess() *cobra.Command {
	var output string
	cmd := boardVerb("success CALLBACK", "Answer with a result", "  lockstep callback success cb-12-1-1 --output '{\"approved\":true}'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			data, err := jsonFlag("output", output)
			if err != nil {
				return err
			}
			if len(data) == 0 {
				data = json.RawMessage("{}")
			}
			return answerCallback(cmd, c, args[0], "success", map[string]any{"output": data})
		})
	cmd.Flags().StringVar(&output, "output", "{}", "the result as `JSON`, or @FILE")
	return cmd
}

func newCallbackFailure() *cobra.Command {
	var in struct {
		Error string `json:"error"`
		Cause string `json:"cause"`
	}
	cmd := boardVerb("failure CALLBACK", "Answer with an error", "  lockstep callback failure cb-12-1-1 --error Declined --cause 'not this quarter'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			return answerCallback(cmd, c, args[0], "failure", in)
		})
	cmd.Flags().StringVar(&in.Error, "error", "", "`name` that Retry and Catch can match")
	cmd.Flags().StringVar(&in.Cause, "cause", "", "`text` that says why")
	return cmd
}

func answerCallback(cmd *cobra.Command, c *restClient, id, how string, in any) error {
	text, err := c.call(cmd.Context(), http.MethodPost, "callbacks/"+url.PathEscape(id)+"/"+how, in, nil)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		text = []byte("{}\n")
	}
	c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is answered\n", id) })
	return nil
}
