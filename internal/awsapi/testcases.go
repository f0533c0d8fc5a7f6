package awsapi

import (
	"context"
	"errors"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// testCase cuts the name of a test case from the ARN to start; "" if there is
// none, or no test cases at all.
func (s *Server) testCase(arn string) (without, test string) {
	if s.tests == nil {
		return arn, ""
	}
	without, test, _ = strings.Cut(arn, "#")
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

func (s *Server) chooseFor(machine, executionARN, test string) error {
	if err := s.tests.Choose(machine, executionARN, test); err != nil {
		return invalidRequest("%s", err)
	}
	return nil
}
