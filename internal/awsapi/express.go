package awsapi

import (
	"context"

	"github.com/lockstep-run/lockstep/internal/store"
)

// startExpress starts an execution that nobody waits for. It is never the same
// as an earlier one, whatever its name (AWS's guide).
func (s *Server) startExpress(ctx context.Context, in *input, test string, start store.Start, out []byte) ([]byte, error) {
	arn, err := s.readyExpress(test, &start)
	if err != nil {
		return nil, err
	}
	in.release()
	started, err := s.express.Start(ctx, start)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.text("executionArn", arn)
	o.time("startDate", started)
	return o.end(), nil
}

// readyExpress checks the input, gives the execution its names, and chooses the
// test case by which it runs, if one is asked for.
func (s *Server) readyExpress(test string, start *store.Start) (executionARN string, err error) {
	if why := checkInput(start.Input); why != "" {
		return "", invalidInput(why)
	}
	if s.express == nil {
		return "", notYet("running EXPRESS state machines")
	}
	if start.Name == "" {
		start.Name = newUUID()
	}
	start.ID, executionARN = s.express.Reserve(start.Machine.Name, start.Name)
	if test == "" { // no other execution has had this ARN
		return executionARN, nil
	}
	return executionARN, s.chooseFor(start.Machine.Name, executionARN, test)
}

// startSyncExecution runs an execution and answers with how it ended, be it well
// or not.
func (s *Server) startSyncExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
	data := in.text("includedData", includedData)
	arn, start, err := s.startOf(in)
	if err != nil {
		return nil, err
	}
	arn, test := s.testCase(arn)
	if err := s.choose(ctx, arn, &start); err != nil {
		return nil, err
	}
	if err := s.checkPayload(in, "input", start.Input, start.Machine.Name); err != nil {
		return nil, err
	}
	if start.Machine.Deleting {
		return nil, machineDeleting(arn)
	}
	if start.Machine.Type != express {
		return nil, machineType()
	}
	executionARN, err := s.readyExpress(test, &start)
	if err != nil {
		return nil, err
	}
	in.release()
	x, err := s.express.Sync(ctx, start)
	if err != nil {
		return nil, err
	}
	all := data != "METADATA_ONLY"
	o := newObject(out)
	o.text("executionArn", executionARN)
	o.text("stateMachineArn", s.scheme.Machine(start.Machine.Name))
	o.text("name", x.Name)
	o.time("startDate", x.StartedAt)
	o.time("stopDate", x.StoppedAt)
	o.text("status", x.Status.String())
	if all {
		o.optional("error", x.Error)
		o.optional("cause", x.Cause)
		o.text("input", x.Input)
		o.optional("output", x.Output)
	}
	o.raw("inputDetails", included(all))
	o.raw("outputDetails", included(all)) // even where there is none (recorded)
	o.textIf("traceHeader", x.Trace)
	o.open("billingDetails")
	o.number("billedDurationInMilliseconds", billedDuration(x.StoppedAt-x.StartedAt))
	o.number("billedMemoryUsedInMB", billedMemory)
	o.close()
	return o.end(), nil
}

// billedMemory is the smallest step of those that AWS counts in, which all
// recorded answers have. How AWS measures is not known.
const billedMemory = 64

// billedDuration rounds milliseconds up to the next hundred; a hundred at least
// (recorded).
func billedDuration(millis int64) int64 { return max((millis+99)/100, 1) * 100 }
