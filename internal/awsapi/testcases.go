package awsapi

import (
	"context"
	"errors"
	"strings"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
)

// testCase cuts the name of a test case from the ARN to start; "" if there is
// none, or no test cases at all.
func (s *Server) testCase(given string) (without, test string) {
	if s.tests == nil {
		return given, ""
	}
	without, test, _ = strings.Cut(given, "#")
	return without, test
}

// chooseCase says by which test case the execution that is about to start
// runs. One that nobody named gets its name here, since a case belongs to a
// name. A name that is taken keeps its case: nothing new will start.
func (s *Server) chooseCase(ctx context.Context, machine, test string, start *store.Start) error {
	if s.tests == nil || start.Name == "" && test == "" {
		return nil
	}
	if start.Name == "" {
		start.Name = newUUID()
	} else if _, err := s.engine.Lookup(ctx, machine, start.Name); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return s.chooseFor(machine, s.scheme.Execution(machine, start.Name), test)
}

// chooseFor chooses a case of the machine's: one file of cases is for the machines
// of every account.
func (s *Server) chooseFor(machine, executionARN, test string) error {
	if err := s.tests.Choose(arn.Plain(machine), executionARN, test); err != nil {
		return invalidRequest("%s", err)
	}
	return nil
}
