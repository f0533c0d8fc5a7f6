// Command lockstep is a durable workflow engine that speaks the language and the
// API of AWS Step Functions, in one program.
//
// Each command has a file of its own. What a server consists of and how its
// parts fit is in server.go, in openServer.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes. Scripts may rely on them.
const (
	exitFailed = 1 // what was asked for could not be done, or the answer is no
	exitUsage  = 2 // the command line is wrong
	exitBroken = 3 // the disk failed; see store.ErrBroken
)

func main() { os.Exit(runMain()) }

// runMain runs the command line and returns the exit code.
func runMain() int {
	cmd, err := newRootCommand().ExecuteC()
	var failed *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		if failed.err != nil {
			fmt.Fprintln(os.Stderr, "lockstep: "+failed.Error())
		}
		return failed.code
	}
	fmt.Fprintf(os.Stderr, "lockstep: %s\nSee %s --help.\n", firstLine(err), cmd.CommandPath())
	return exitUsage
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockstep",
		Short: "Durable workflows in the language and API of AWS Step Functions",
		Long: `Lockstep runs state machines written in the Amazon States Language and answers
the AWS Step Functions API, so that the AWS CLI and every AWS SDK work with it.
It is one program that keeps everything in one file.`,
		Example: `  lockstep demo                  see it work: comments, a model, and you as the reviewer
  lockstep dev                   a server for your own machine, on 127.0.0.1:8083
  lockstep validate flow.json    what is wrong with a definition, and where
  lockstep test flow.test.yaml   does it do what it should
  lockstep fn add hello -- node bootstrap.mjs   a function for your state machines`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newDemoCommand(), newDevCommand(), newServeCommand(), newExampleCommand(),
		newValidateCommand(), newTestCommand(), newImportCommand(), newBenchCommand(),
		newMachineCommand(), newExecCommand(), newFnCommand(), newConnectionCommand(), newScheduleCommand(), newTriggerCommand(),
		newProjectCommand(), newAgentCommand(), newTaskCommand(), newReviewCommand(), newCallbackCommand(), newHandoffCommand(), newTemplateCommand(), newRecurringCommand(), newMCPCommand(),
		newUsageCommand(), newPricesCommand(), newBudgetCommand(), newNotificationCommand(), newWebhookCommand(),
		newLoginCommand(), newLogoutCommand(), newUserCommand(), newKeyCommand(), newVersionCommand())
	return root
}

// exitError is an error that ends the program with a code of its own. Without an
// err everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is an error about the command line, for a command's RunE.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// act makes a RunE whose errors exit with code 1 unless they say otherwise. What
// cobra itself complains about stays apart from them: that is usage.
func act(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := fillFromEnv(cmd.Flags()); err != nil {
			return &exitError{exitUsage, err}
		}
		err := do(cmd, args)
		var known *exitError
		if err != nil && !errors.As(err, &known) {
			return &exitError{exitFailed, err}
		}
		return err
	}
}

// withEnv says that flags may also be given in the environment: --data as
// LOCKSTEP_DATA. The command line comes first.
func withEnv(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := flags.Lookup(name)
		f.Usage += " [" + envName(name) + "]"
		f.Annotations = map[string][]string{envAnnotation: {envName(name)}}
	}
}

const envAnnotation = "environment"

func envName(flag string) string {
	return "LOCKSTEP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fillFromEnv sets the flags that only the environment gives.
func fillFromEnv(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Annotations[envAnnotation] == nil {
			return
		}
		for _, name := range f.Annotations[envAnnotation] {
			text := os.Getenv(name)
			if text == "" {
				continue
			}
			if err := flags.Set(f.Name, text); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
			return
		}
	})
	return errors.Join(errs...)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
