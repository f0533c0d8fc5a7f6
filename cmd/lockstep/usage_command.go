package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/spf13/pflag"

	"github.com/lockstep-run/lockstep/internal/cost"
)

// serverAddress says which server a command is about.
type serverAddress struct{ url, data string }

func (a *serverAddress) register(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", "", "`URL` of the server (default: the one that runs in the data directory)")
	flags.StringVar(&a.data, "data", "./"+defaultData, "`directory` of the server that is meant")
	withEnv(flags, "url", "data")
}

// call makes one call of /api/v1 and reads the answer into out.
func (a *serverAddress) call(ctx context.Context, method, path string, body []byte, out any) error {
	address := a.url
	if address == "" {
		text, err := os.ReadFile(filepath.Join(a.data, urlFile))
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("no server runs in %s: start one with lockstep dev, or name one with --url or --data", a.data)
		}
		if err != nil {
			return fmt.Errorf("find the server: %w", err)
		}
		address = strings.TrimSpace(string(text))
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(address, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", address, err)
	}
	token, err := tokenFor(address, "")
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := newClient(address).http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var refused struct{ Error struct{ Message string } }
		// An answer that is none leaves the status to say what happened.
		_ = json.Unmarshal(text, &refused)
		return fmt.Errorf("the server answers: %s", cmp.Or(refused.Error.Message, res.Status))
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

func newUsageCommand() *cobra.Command {
	var server serverAddress
	var by, since, until string
	limit, asJSON := 100, false
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Say what models have used and cost",
		Long: `Usage says how many tokens models have used and what that cost, for the last
seven days or those that are given. Billed is what somebody pays by the token;
worth is what it would cost by the token, also where a plan or the own machine
pays. A model without a known price is counted as unpriced, never guessed.`,
		Example: `  lockstep usage
  lockstep usage --by machine --since 2026-11-01
  lockstep usage --by day --json | jq .total.billed   # in nano-USD`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"group_by": {by}, "limit": {fmt.Sprint(limit)}}
			if since != "" {
				q.Set("since", since)
			}
			if until != "" {
				q.Set("until", until)
			}
			var text []byte
			if err := server.call(cmd.Context(), http.MethodGet, "/api/v1/usage?"+q.Encode(), nil, &text); err != nil {
				return err
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			return writeUsage(cmd.OutOrStdout(), text)
		}),
	}
	flags := cmd.Flags()
	server.register(flags)
	flags.StringVar(&by, "by", "model", "what to sum up by: agent, attempt, day, execution, label, machine, `model`, project, state or task")
	flags.StringVar(&since, "since", "", "first `date` (default: a week ago)")
	flags.StringVar(&until, "until", "", "last `date` (default: today)")
	flags.IntVar(&limit, "limit", limit, "`number` of rows at most")
	flags.BoolVar(&asJSON, "json", false, "write one JSON object, with money in nano-USD")
	return cmd
}

type usageLine struct {
	Name             string
	Events           int64
	Tokens           cost.Tokens
	Billed, Shadow   int64
	Unpriced, Marked int64
}

func writeUsage(out io.Writer, text []byte) error {
	var a struct {
		GroupBy string `json:"group_by"`
		Since   string
		Until   string
		Rows    []usageLine
		Total   usageLine
		// Unattributed is in the total.
		Unattributed usageLine
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if a.Total.Events == 0 {
		_, err := fmt.Fprintf(out, "Nothing was used from %s to %s.\n", a.Since, a.Until)
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(u usageLine, name string) {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%s\t%s\t  %s%s\n", u.Events, u.Tokens.Input, u.Tokens.CacheRead, u.Tokens.CacheWrite5m+u.Tokens.CacheWrite1h,
			u.Tokens.Output, dollars(u.Billed), dollars(u.Shadow), name, unpricedNote(u.Unpriced))
	}
	fmt.Fprintf(t, "calls\tinput\tcache read\tcache write\toutput\tbilled\tworth\t  %s\n", a.GroupBy)
	for _, u := range a.Rows {
		line(u, printable(u.Name))
	}
	if a.Unattributed.Events > 0 {
		line(a.Unattributed, "(agents', of no task)")
	}
	line(a.Total, fmt.Sprintf("in all, %s to %s", a.Since, a.Until))
	return t.Flush()
}

func unpricedNote(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d unpriced)", n)
}

// dollars writes nano-USD in dollars: cents, and smaller amounts with as many
// digits as they need, up to six.
func dollars(nano int64) string {
	text := fmt.Sprintf("$%d.%09d", nano/cost.USD, nano%cost.USD)
	whole := strings.IndexByte(text, '.')
	short := text[:whole+7]
	if strings.Trim(short, "$0.") == "" && nano > 0 {
		return "<$0.000001"
	}
	for strings.HasSuffix(short, "0") && len(short) > whole+3 {
		short = short[:len(short)-1]
	}
	return short
}

func newPricesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "Say what models cost, or import prices",
		Long:  "Prices are what the cost of models is computed with: those that come with the\nprogram, those of an imported file, and the workspace's own, which win.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPricesListCommand(), newPricesImportCommand())
	return cmd
}

func newPricesListCommand() *cobra.Command {
	var server serverAddress
	asJSON := false
	cmd := &cobra.Command{
		Use:     "ls [TEXT]",
		Short:   "List models with their prices, or those with a text in their name",
		Aliases: []string{"list"},
		Example: "  lockstep prices ls haiku",
		Args:    cobra.MaximumNArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			var text []byte
			if err := server.call(cmd.Context(), http.MethodGet, "/api/v1/prices", nil, &text); err != nil {
				return err
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			var a struct{ Models []cost.Model }
			if err := json.Unmarshal(text, &a); err != nil {
				return fmt.Errorf("read the server's answer: %w", err)
			}
			return writePrices(cmd.OutOrStdout(), a.Models, strings.ToLower(strings.Join(args, "")))
		}),
	}
	server.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object, with prices in nano-USD for 1,000,000 tokens")
	return cmd
}

func writePrices(out io.Writer, models []cost.Model, part string) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USD for 1,000,000 tokens\tinput\tcache read\twrite 5m\twrite 1h\toutput\tfrom\tsource")
	rate := func(r cost.Rate) string {
		if r == cost.Unknown {
			return "-"
		}
		return strings.TrimPrefix(dollars(int64(r)), "$")
	}
	line := func(name string, r cost.Rates, from, source string) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(name), rate(r.Input), rate(r.CacheRead), rate(r.CacheWrite5m), rate(r.CacheWrite1h), rate(r.Output), from, printable(source))
	}
	for _, m := range models {
		name := m.Provider + " " + m.ID
		if !strings.Contains(strings.ToLower(name), part) {
			continue
		}
		for _, p := range m.Prices {
			from := ""
			if !p.From.IsZero() {
				from = p.From.UTC().Format(time.DateOnly)
			}
			line(name, p.Rates, from, m.Source)
			for _, tier := range p.Tiers {
				line(fmt.Sprintf("  above %d tokens", tier.Above), tier.Rates, "", "")
			}
		}
	}
	return t.Flush()
}

func newPricesImportCommand() *cobra.Command {
	var server serverAddress
	reprice := false
	cmd := &cobra.Command{
		Use:   "import FILE|URL",
		Short: "Import prices in the format of genai-prices or LiteLLM",
		Long: `Import reads a published file of prices, data_slim.json of genai-prices or
model_prices_and_context_window.json of LiteLLM, and puts it in the place of the
one imported before. What is used from then on costs what it says; with
--reprice, what was used before does so too.`,
		Example: "  lockstep prices import data_slim.json\n  lockstep prices import https://example.com/data_slim.json --reprice",
		Args:    cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			text, err := readPrices(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var a struct {
				Format string
				Models int
				Left   []string
			}
			if err := server.call(cmd.Context(), http.MethodPut, "/api/v1/prices?source="+url.QueryEscape(args[0]), text, &a); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "Imported %d models in the format of %s.\n", a.Models, a.Format)
			if n := len(a.Left); n > 0 {
				fmt.Fprintf(out, "%d were left out or cut, as they cannot be priced exactly:\n", n)
				for _, line := range a.Left {
					fmt.Fprintln(out, "  "+printable(line))
				}
			}
			if !reprice {
				return nil
			}
			var b struct{ Changed int }
			if err := server.call(cmd.Context(), http.MethodPost, "/api/v1/prices/reprice", nil, &b); err != nil {
				return err
			}
			fmt.Fprintf(out, "The cost of %d calls changed.\n", b.Changed)
			return nil
		}),
	}
	server.register(cmd.Flags())
	cmd.Flags().BoolVar(&reprice, "reprice", false, "compute the cost of what was used before again")
	return cmd
}

// readPrices reads a file, or what a URL leads to.
func readPrices(ctx context.Context, from string) ([]byte, error) {
	var in io.ReadCloser
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
		if err != nil {
			return nil, fmt.Errorf("read prices: %w", err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, fmt.Errorf("read prices: %w", err)
		}
		if res.StatusCode != http.StatusOK {
			res.Body.Close()
			return nil, fmt.Errorf("read prices from %s: %s", from, res.Status)
		}
		in = res.Body
	} else {
		f, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("read prices: %w", err)
		}
		in = f
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, cost.MaxImport+1))
	if err != nil {
		return nil, fmt.Errorf("read prices from %s: %w", from, err)
	}
	if len(text) > cost.MaxImport {
		return nil, fmt.Errorf("read prices from %s: it has more than %d bytes", from, cost.MaxImport)
	}
	return text, nil
}
