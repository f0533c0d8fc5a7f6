package awsapi

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

var mapRunText = bounds{required: true, min: 1, max: 2000}

// mapRunMissing's text is not recorded.
func mapRunMissing(given string) *Error {
	return failed("ResourceNotFound", "Resource not found: '%s'", given)
}

// mapRun finds a Map Run by its ARN, and the name of its machine.
func (s *Server) mapRun(ctx context.Context, given string) (view store.MapRunView, machine string, err error) {
	parts, ours, err := s.resource(given, "mapRun")
	if err != nil {
		return view, "", err
	}
	machine, label, labelled := strings.Cut(parts[0], "/")
	if !ours || !labelled || len(parts) != 2 || s.mapRuns == nil {
		return view, "", mapRunMissing(given)
	}
	view, err = s.mapRuns.Find(ctx, parts[1])
	if err == nil && view.Record.Label != label {
		err = store.ErrNotFound
	}
	if err != nil {
		return view, "", orMissing(err, mapRunMissing(given))
	}
	_, parent, err := s.parent(ctx, view.Record.Execution)
	if root, _, _ := strings.Cut(parent, "/"); err == nil && root != "" && root != machine {
		err = store.ErrNotFound // that of another machine, maybe in another account
	}
	return view, machine, orMissing(err, mapRunMissing(given))
}

// parent is the execution that a run belongs to, with the name of its machine.
func (s *Server) parent(ctx context.Context, id store.ExecutionID) (x store.Execution, machine string, err error) {
	if x, err = s.store.Execution(ctx, id); err != nil {
		return x, "", err
	}
	m, err := s.store.MachineByID(ctx, x.Machine)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return x, "", err
	}
	machine = m.Name
	if x.Child.Run != 0 {
		r, err := s.store.MapRunByID(ctx, x.Child.Run)
		if err != nil {
			return x, "", err
		}
		machine += "/" + r.Label
	}
	return x, machine, nil
}

func (s *Server) describeMapRun(ctx context.Context, in *input, out []byte) ([]byte, error) {
	given := in.text("mapRunArn", mapRunText)
	if err := in.err(); err != nil {
		return nil, err
	}
	v, _, err := s.mapRun(ctx, given)
	if err != nil {
		return nil, err
	}
	x, machine, err := s.parent(ctx, v.Record.Execution)
	if err != nil {
		return nil, err
	}
	r := &v.Record
	o := newObject(out)
	o.text("mapRunArn", given)
	o.text("executionArn", s.scheme.Execution(machine, x.Name))
	o.text("status", r.Status.String())
	o.time("startDate", r.StartedAt)
	o.timeIf("stopDate", r.StoppedAt)
	o.number("maxConcurrency", orZero(v.Settings.MaxConcurrency))
	o.key("toleratedFailurePercentage")
	o.buf = appendFloat(o.buf, orZero(v.Settings.ToleratedPercentage))
	o.number("toleratedFailureCount", orZero(v.Settings.ToleratedCount))
	counts := func(name string, c store.MapRunCounts) {
		o.open(name)
		o.number("pending", c.Pending)
		o.number("running", c.Running)
		o.number("succeeded", c.Succeeded)
		o.number("failed", c.Failed)
		o.number("timedOut", c.TimedOut)
		o.number("aborted", c.Aborted)
		o.number("total", c.Total)
		o.number("resultsWritten", c.Written)
		o.close()
	}
	counts("itemCounts", v.Items)
	counts("executionCounts", v.Children)
	o.number("redriveCount", r.Redrives)
	o.timeIf("redriveDate", r.RedrivenAt)
	return o.end(), nil
}

// appendFloat writes a number that is one also where it is whole: 0.0.
func appendFloat(out []byte, x float64) []byte {
	if x == math.Trunc(x) {
		return strconv.AppendFloat(out, x, 'f', 1, 64)
	}
	return strconv.AppendFloat(out, x, 'f', -1, 64)
}

func orZero[N int64 | float64](n *N) N {
	if n == nil {
		return 0
	}
	return *n
}

func (s *Server) listMapRuns(ctx context.Context, in *input, out []byte) ([]byte, error) {
	p, err := in.page(maxToken, "ListMapRuns", in.text("executionArn", bounds{}))
	if err != nil {
		return nil, err
	}
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	before := int64(0)
	if p.after != "" {
		if before, err = strconv.ParseInt(p.after, 10, 64); err != nil {
			return nil, invalidToken()
		}
	}
	list, err := s.store.MapRuns(ctx, x.ID, store.MapRunID(before), p.limit+1)
	if err != nil {
		return nil, err
	}
	root, _, _ := strings.Cut(x.machine, "/")
	o := newObject(out)
	o.list("mapRuns")
	for _, r := range list[:min(len(list), p.limit)] {
		o.item()
		o.text("executionArn", x.arn)
		o.text("mapRunArn", s.scheme.MapRun(root, r.Label, r.Name))
		o.text("stateMachineArn", s.scheme.Machine(root+"/"+r.Label))
		o.time("startDate", r.StartedAt)
		o.timeIf("stopDate", r.StoppedAt)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(strconv.FormatInt(int64(list[p.limit-1].ID), 10)))
	}
	return o.end(), nil
}

// updateMapRun changes a run under way. That it needs at least one setting is
// AWS's rule; the texts are not recorded.
func (s *Server) updateMapRun(ctx context.Context, in *input, out []byte) ([]byte, error) {
	given := in.text("mapRunArn", mapRunText)
	settings := store.MapRunSettings{
		MaxConcurrency: in.count("maxConcurrency"), ToleratedCount: in.count("toleratedFailureCount"),
		ToleratedPercentage: in.percentage("toleratedFailurePercentage"),
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	v, _, err := s.mapRun(ctx, given)
	if err != nil {
		return nil, err
	}
	if settings == (store.MapRunSettings{}) {
		e := invalidRequest("At least one of maxConcurrency, toleratedFailurePercentage and toleratedFailureCount must be specified")
		e.Reason = "MISSING_REQUIRED_PARAMETER"
		return nil, e
	}
	ended := invalidRequest("The Map Run '%s' is %s and cannot be updated", given, v.Record.Status)
	ended.Reason = "CANNOT_UPDATE_COMPLETED_MAP_RUN"
	if v.Record.Status != engine.Running {
		return nil, ended
	}
	switch err := s.mapRuns.Update(ctx, v.Record.Name, settings); {
	case errors.Is(err, store.ErrEnded):
		return nil, ended
	case err != nil:
		return nil, orMissing(err, mapRunMissing(given))
	}
	return append(out, "{}"...), nil
}

// listChildren lists the executions that a Map Run has started, newest first.
// Express ones can be seen for as long as other Express executions.
func (s *Server) listChildren(ctx context.Context, given, filter, redriven string, p page, out []byte) ([]byte, error) {
	v, machine, err := s.mapRun(ctx, given)
	if err != nil {
		return nil, err
	}
	machine += "/" + v.Record.Label
	q := store.ExecutionQuery{Run: v.Record.ID, Limit: p.limit + 1}
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
	var list []store.Execution
	switch {
	case filter == "PENDING_REDRIVE": // none stays so: those to be redriven are, or run
	case v.Record.Express && s.express != nil:
		list, err = s.express.Recent(ctx, q)
	default:
		list, err = s.store.Executions(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.list("executions")
	for i := range list[:min(len(list), p.limit)] {
		x := &list[i]
		if redriven != "" && (redriven == "REDRIVEN") != (x.Redrives > 0) {
			continue
		}
		o.item()
		arn := ""
		if v.Record.Express {
			arn = s.express.ARN(x.ID, machine, x.Name)
		}
		s.describeItem(&o, arn, machine, x)
		o.text("mapRunArn", given)
		o.number("itemCount", x.Child.Items)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(strconv.FormatInt(int64(list[p.limit-1].ID), 10)))
	}
	return o.end(), nil
}

// expressChild finds an Express execution that a Map Run has started, if given
// is its ARN. No other Express execution can be asked for (AWS's guide).
func (s *Server) expressChild(ctx context.Context, given string) (x found, ok bool, err error) {
	name, ok := arn.Parse(given)
	if !ok || name.Service != "states" || name.Type != "express" || !strings.Contains(name.Parts[0], "/") {
		return x, false, nil
	}
	missing := executionMissing(given)
	machine, ours := s.scheme.Find(name)
	if !ours || len(name.Parts) != 3 || s.express == nil {
		return x, true, missing
	}
	x.arn, x.express, x.machine = given, given, machine
	x.Execution, err = s.express.Lookup(ctx, machine, name.Parts[1], name.Parts[2])
	if err == nil && x.Child.Run == 0 {
		err = store.ErrNotFound
	}
	return x, true, orMissing(err, missing)
}

// mapRunOf is the ARN of the run that an execution is a child of.
func (s *Server) mapRunOf(ctx context.Context, x *found) (string, error) {
	r, err := s.store.MapRunByID(ctx, x.Child.Run)
	if err != nil {
		return "", err
	}
	root, _, _ := strings.Cut(x.machine, "/")
	return s.scheme.MapRun(root, r.Label, r.Name), nil
}

// childDefinition is the part of a definition that the children of a
// distributed Map run.
func childDefinition(definition, state string) string {
	machine, _ := asl.Parse(definition, asl.Options{Accepted: true})
	if machine == nil || machine.State(state) == nil {
		return definition
	}
	whole, err := value.Parse(definition)
	if err != nil {
		return definition
	}
	for _, field := range []string{"ItemProcessor", "Iterator"} {
		if part := at(whole, machine.State(state).Base().Pointer+"/"+field); !part.IsAbsent() {
			return part.JSON()
		}
	}
	return definition
}

// at follows a JSON pointer.
func at(v value.Value, pointer string) value.Value {
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		if i, err := strconv.Atoi(token); err == nil && v.Kind() == value.Array && i >= 0 && i < v.Len() {
			v = v.At(i)
		} else {
			v = v.Get(token)
		}
	}
	return v
}

// count reads a whole number that may be absent.
func (in *input) count(name string) *int64 {
	if !in.has(name) {
		return nil
	}
	v := in.member(name, false)
	n, ok := v.Int64()
	if v.Kind() != value.Number || !ok {
		in.mistyped(v, "a Long")
		return nil
	}
	if n < 0 {
		in.violate(name, "'"+strconv.FormatInt(n, 10)+"'", "Member must have value greater than or equal to 0")
	}
	return &n
}

// percentage reads a number from 0 to 100 that may be absent.
func (in *input) percentage(name string) *float64 {
	if !in.has(name) {
		return nil
	}
	v := in.member(name, false)
	if v.Kind() != value.Number {
		in.mistyped(v, "a Float")
		return nil
	}
	x := v.Float()
	switch {
	case x > 100:
		in.violate(name, "'"+v.JSON()+"'", "Member must have value less than or equal to 100")
	case x < 0:
		in.violate(name, "'"+v.JSON()+"'", "Member must have value greater than or equal to 0")
	}
	return &x
}
