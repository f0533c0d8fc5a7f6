package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

func newImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Copy state machines from elsewhere into a server",
		Long:  "Import copies state machines and what belongs to them into a running server.",
		Example: `  lockstep import aws --dry-run
  lockstep import aws --profile work --match 'orders-*'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportAWSCommand())
	return cmd
}

func newImportAWSCommand() *cobra.Command {
	var im importer
	var from awscall.Account
	var to string
	var match []string
	cmd := &cobra.Command{
		Use:   "aws",
		Short: "Copy state machines from AWS into a running server",
		Long: `Aws copies state machines from AWS, or from whatever else answers the Step
Functions API, into a running server: definition, role, type, logging and
tracing, versions under their numbers, aliases and tags; and activities.
Credentials are found as by every AWS tool. Nothing is changed there, and nothing
is taken away here, so it may be run again: it copies what has changed since.

What the server does not run yet is not copied, and listed with the reason. ARNs
of the account's state machines and activities within definitions are listed,
where the server has another account or region; --rewrite-arns writes the
server's in their place.

The exit code is 1 when something could not be copied, and otherwise 0.`,
		Example: `  lockstep import aws --dry-run
  lockstep import aws --profile work --region eu-west-1 --match 'orders-*'
  lockstep import aws --endpoint-url http://localhost:4566 --rewrite-arns`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			var err error
			if im.match, err = globs(match); err != nil {
				return err
			}
			aws := awscall.NewFor(stepFunctions, from, awscall.Transport())
			defer aws.Close()
			endpoint, err := aws.Endpoint()
			if err != nil {
				return err
			}
			server, err := url.Parse(to)
			if err != nil || server.Host == "" || server.User != nil || server.Scheme != "http" && server.Scheme != "https" {
				return usageError("--to must be the address of a server, such as http://%s", defaultListen)
			}
			to = strings.TrimSuffix(to, "/")
			target := newClient(to)
			if target.token, err = tokenFor(to, ""); err != nil {
				return err
			}
			im.from, im.to = patient{signedClient{aws}}, patient{target}
			im.out = cmd.OutOrStdout()
			fmt.Fprintf(im.out, "from  %s\nto    %s\n", endpoint.Redacted(), to)
			return im.run(cmd.Context())
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&from.Profile, "profile", "", "`name` of a profile in the AWS configuration")
	flags.StringVar(&from.Region, "region", "", "AWS `region` to copy from")
	flags.StringVar(&from.Endpoint, "endpoint-url", "", "`URL` that answers in the place of AWS")
	flags.StringVar(&to, "to", "http://"+defaultListen, "`URL` of the server to copy to")
	flags.StringArrayVar(&match, "match", nil, "copy only what has such a name: `pattern`, * for any text; may be given more than once")
	flags.BoolVar(&im.dryRun, "dry-run", false, "change nothing; say what would be")
	flags.BoolVar(&im.rewrite, "rewrite-arns", false, "in definitions, write the server's account and region into ARNs of the account's state machines and activities")
	withEnv(flags, "to")
	return cmd
}

var stepFunctions = awscall.Service{ID: "SFN", Host: "states", SigningName: "states"}

// globs makes one pattern of several; nil: all names match.
func globs(patterns []string) (*regexp.Regexp, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	var alternatives []string
	for _, p := range patterns {
		if p == "" {
			return nil, usageError("--match is empty: give a name, or a pattern such as orders-*")
		}
		alternatives = append(alternatives, strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*"))
	}
	return regexp.Compile("^(?s:" + strings.Join(alternatives, "|") + ")$")
}

// caller calls the Step Functions API. Errors of the API are *apiError.
type caller interface {
	call(ctx context.Context, action string, in, out any) error
}

// signedClient calls it as an SDK does.
type signedClient struct{ aws *awscall.Client }

// maxAnswer is more than any answer of the API takes: a definition has a
// megabyte at most, which JSON may write six times as long.
const maxAnswer = 16 << 20

func (c signedClient) call(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	answer, err := c.aws.Do(ctx, &awscall.Request{Body: string(body), Header: http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AWSStepFunctions." + action},
	}}, maxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if !answer.OK() {
		f := awscall.Refusal(answer)
		return fmt.Errorf("%s: %w", action, &apiError{cmp.Or(f.Code, fmt.Sprint("HTTP ", f.Status)), f.Message})
	}
	if err := json.Unmarshal([]byte(answer.Body), out); err != nil {
		return fmt.Errorf("%s: read the answer: %w", action, err)
	}
	return nil
}

// patient calls again, later and later, while it is told to slow down: AWS lets
// a caller read the tags of one resource a second, once a hundred are through.
type patient struct{ caller }

const (
	maxPatience = 12
	firstPause  = 250 * time.Millisecond
	longPause   = 10 * time.Second
)

func (p patient) call(ctx context.Context, action string, in, out any) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := p.caller.call(ctx, action, in, out)
		if !isAPIError(err, "ThrottlingException") || try == maxPatience {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, longPause)
	}
}
