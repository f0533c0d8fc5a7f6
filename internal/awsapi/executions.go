package awsapi

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

var (
	traceText       = bounds{max: 256, pattern: &pattern{`\p{ASCII}*`, isASCII}}
	statusNames     = newEnum("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING")
	redriveNames    = newEnum("REDRIVEN", "NOT_REDRIVEN")
	executionFilter = bounds{enum: statusNames}
)

// startExecution is idempotent while the execution runs: the same name and the
// same input, compared as text, give the same answer.
func (s *Server) startExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
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
	name, quota := start.Machine.Name, "StartExecution"
	if start.Machine.Type == express {
		quota = expressStart
	}
	if err := s.pass(quota); err != nil {
		return nil, err
	}
	if start.Machine.Deleting {
		return nil, machineDeleting(arn)
	}
	if start.Machine.Type == express {
		return s.startExpress(ctx, in, test, start, out)
	}
	if why := checkInput(start.Input); why != "" {
		return nil, invalidInput(why)
	}
	if err := s.chooseCase(ctx, name, test, &start); err != nil {
		return nil, err
	}
	x, err := s.engine.Start(ctx, start)
	if err != nil {
		if errors.Is(err, store.ErrExists) {
			return nil, executionExists(s.scheme.Execution(name, start.Name))
		}
		return nil, err
	}
	o := newObject(out)
	o.key("executionArn")
	o.buf = s.appendExecution(o.buf, name, x.Name)
	o.time("startDate", x.StartedAt)
	return o.end(), nil
}

// appendExecution appends an execution's ARN as a JSON string: names hold
// nothing that needs an escape.
func (s *Server) appendExecution(out []byte, machine, name string) []byte {
	if account, _ := arn.Split(machine); account != "" {
		return value.AppendString(out, s.scheme.Execution(machine, name))
	}
	out = append(out, '"')
	out = append(out, s.prefixes.execution...)
	out = append(out, machine...)
	out = append(out, ':')
	out = append(out, name...)
	return append(out, '"')
}

// startOf reads what the two ways to start an execution have in common.
func (s *Server) startOf(in *input) (arn string, start store.Start, err error) {
	arn = in.text("stateMachineArn", arnText)
	start.Name = in.keep("name", bounds{min: 1, max: 80})
	text, given := in.optional("input", s.payloadText())
	if start.Input = "{}"; given {
		start.Input = strings.Clone(text)
	}
	start.Trace = in.keep("traceHeader", traceText)
	if h := in.trace; h != "" && len(h) <= 256 && isASCII(h) {
		start.Trace = strings.Clone(h) // the header of the request wins (AWS's guide)
	}
	if err := in.err(); err != nil {
		return "", start, err
	}
	return arn, start, checkName(start.Name)
}

// checkInput says why a text cannot be an execution's input.
func checkInput(text string) (why string) {
	if strings.Trim(text, " \t\r\n") == "" {
		return "Invalid execution input."
	}
	_, why = payload(text)
	return why
}

// found is an execution that a request names.
type found struct {
	store.Execution
	machine  string // its machine's name
	arn      string
	express  string // arn, of an Express execution
	included string // includedData, "" if not given
}

// execution reads the request's executionArn and includedData and finds the
// execution.
func (s *Server) execution(ctx context.Context, in *input) (x found, err error) {
	x.arn = in.text("executionArn", arnText)
	x.included = in.text("includedData", includedData)
	if err := in.err(); err != nil {
		return x, err
	}
	if child, ok, err := s.expressChild(ctx, x.arn); ok {
		child.included = x.included
		return child, err
	}
	machine, name, err := s.executionNames(x.arn)
	if err != nil {
		return x, err
	}
	if machine == "" {
		return x, executionMissing(x.arn)
	}
	x.machine = machine
	x.Execution, err = s.engine.Lookup(ctx, machine, name)
	return x, orMissing(err, executionMissing(x.arn))
}

func (s *Server) describeExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	all := x.included != "METADATA_ONLY"
	o := newObject(out)
	s.describeItem(&o, x.express, x.machine, &x.Execution)
	if x.Child.Run != 0 {
		run, err := s.mapRunOf(ctx, &x)
		if err != nil {
			return nil, err
		}
		o.text("mapRunArn", run)
	}
	o.textIf("traceHeader", x.Trace)
	if all {
		o.text("input", x.Input)
	}
	o.raw("inputDetails", included(all))
	if x.Output != nil {
		if all {
			o.text("output", *x.Output)
		}
		o.raw("outputDetails", included(all))
	}
	if all && x.Status != engine.TimedOut { // recorded: no error where the execution's own time was over
		o.optional("error", x.Error)
		o.optional("cause", x.Cause)
	}
	why, err := s.notRedrivable(ctx, &x)
	if err != nil {
		return nil, err
	}
	switch {
	case why == "":
		o.text("redriveStatus", "REDRIVABLE")
	case x.Child.Run != 0 && x.Status != engine.Running && x.Status != engine.Succeeded:
		o.text("redriveStatus", "REDRIVABLE_BY_MAP_RUN")
	default:
		o.text("redriveStatus", "NOT_REDRIVABLE")
		o.text("redriveStatusReason", why)
	}
	return o.end(), nil
}

// describeItem writes what descriptions and lists of executions share. The ARN
// is "" for Standard ones: it follows from the names.
func (s *Server) describeItem(o *object, arn, machine string, x *store.Execution) {
	o.key("executionArn")
	if arn == "" {
		o.buf = s.appendExecution(o.buf, machine, x.Name)
	} else {
		o.buf = value.AppendString(o.buf, arn)
	}
	o.text("stateMachineArn", s.scheme.Machine(machine))
	if x.Via.Number != 0 {
		o.text("stateMachineVersionArn", s.scheme.Version(machine, x.Via.Number))
	}
	if x.Via.Alias != "" {
		o.text("stateMachineAliasArn", s.scheme.Alias(machine, x.Via.Alias))
	}
	o.text("name", x.Name)
	o.text("status", x.Status.String())
	o.time("startDate", x.StartedAt)
	o.timeIf("stopDate", x.StoppedAt)
	o.number("redriveCount", x.Redrives)
	o.timeIf("redriveDate", x.RedrivenAt)
}

func included(yes bool) string {
	if yes {
		return `{"included":true}`
	}
	return `{"included":false}`
}

// The bounds of redriving (AWS's guide).
const (
	redriveWindow = 14 * 24 * time.Hour
	maxOpen       = 365 * 24 * time.Hour
)

// notRedrivable says in AWS's words why an execution cannot be redriven, ""
// if it can.
func (s *Server) notRedrivable(ctx context.Context, x *found) (why string, err error) {
	switch x.Status {
	case engine.Running, engine.Succeeded:
		return "Execution is " + x.Status.String() + " and cannot be redriven", nil
	}
	if x.Child.Run != 0 { // with its Map Run only
		return "Execution was started by a Map Run and is redriven with it", nil
	}
	switch {
	case x.LastEvent >= s.limits(x.machine).History-1:
		return "Execution history event limit exceeded", nil
	case x.StoppedAt-x.StartedAt >= maxOpen.Milliseconds():
		return "Execution has exceeded the max execution time", nil
	case s.millis()-x.StoppedAt >= redriveWindow.Milliseconds():
		return "Execution redrivable period exceeded", nil
	}
	m, err := s.machine(ctx, x.machine)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if err != nil || m.Deleting {
		return "State machine is in DELETING status", nil
	}
	return "", nil
}

// listExecutions lists the executions of a machine, or those that a version or
// an alias has started, newest first.
func (s *Server) listExecutions(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn, byMachine := in.optional("stateMachineArn", bounds{min: 1, max: 256})
	run, byRun := in.optional("mapRunArn", bounds{min: 1, max: 2000})
	filter := in.text("statusFilter", executionFilter)
	redriven := in.text("redriveFilter", bounds{enum: redriveNames})
	p, err := in.page(3096, "ListExecutions", arn, run, filter, redriven)
	if err != nil {
		return nil, err
	}
	switch {
	case byMachine == byRun:
		return nil, invalidRequest("Exactly one of stateMachineArn and mapRunArn must be specified")
	case byRun:
		return s.listChildren(ctx, run, filter, redriven, p, out)
	case filter == "PENDING_REDRIVE":
		return nil, invalidRequest("The status PENDING_REDRIVE can only be used with a mapRunArn")
	}
	name, qualifier, err := s.machineNames(arn)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return nil, orMissing(err, machineMissing(arn))
	}
	if m.Type == express {
		return nil, machineType()
	}
	q := store.ExecutionQuery{Machine: m.ID, Limit: p.limit + 1}
	if qualifier != "" {
		t, err := s.target(ctx, m, qualifier)
		if err != nil {
			return nil, orMissing(err, machineMissing(arn))
		}
		q.Via = t.via()
	}
	if status, ok := engine.ParseStatus(filter); ok {
		q.Status = &status
	}
	if p.after != "" {
		before, err := strconv.ParseInt(p.after, 10, 64)
		if err != nil {
			return nil, invalidToken()
		}
		q.Before = store.ExecutionID(before)
	}
	list, err := s.store.Executions(ctx, q)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.list("executions")
	for i := range list[:min(len(list), p.limit)] {
		x := &list[i]
		if redriven != "" && (redriven == "REDRIVEN") != (x.Redrives > 0) {
			continue // a page may be shorter than asked for
		}
		o.item()
		s.describeItem(&o, "", name, x)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(strconv.FormatInt(int64(list[p.limit-1].ID), 10)))
	}
	return o.end(), nil
}

// stopExecution leaves an execution that has ended as it is and answers with
// when that was (what AWS does then is not recorded).
func (s *Server) stopExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
	name, cause := in.pointer("error", errorText), in.pointer("cause", causeText)
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	if x.Status == engine.Running {
		err := s.engine.Deliver(ctx, x.ID, engine.Stopped{At: s.now(), Error: name, Cause: cause})
		if err != nil && !errors.Is(err, engine.ErrNotWaiting) {
			return nil, orMissing(err, executionMissing(x.arn))
		}
		if x.Execution, err = s.engine.Lookup(ctx, x.machine, x.Name); err != nil {
			return nil, orMissing(err, executionMissing(x.arn))
		}
	}
	o := newObject(out)
	o.time("stopDate", x.StoppedAt)
	return o.end(), nil
}
