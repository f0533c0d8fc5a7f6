package service

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// executions starts executions, on this server or elsewhere, and waits for their
// end where the pattern is .sync or .sync:2. It is a task.Poller.
type executions struct{ services *Services }

// Run starts an execution. Without a name it gets one that derives from the
// task's ID, so that a call that is made again after a crash finds what it has
// started. With one, AWS's rule holds: the same name and input is the same
// execution as long as it runs. After a crash it is also the same when it has
// ended since.
func (x *executions) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	in = given(in)
	if bad := awscall.Check(c.Input, in, []string{"StateMachineArn", "Input", "Name", "TraceHeader"},
		"StateMachineArn", "Name", "TraceHeader"); bad != nil {
		return task.Result{}, bad
	}
	machine := in.Get("StateMachineArn").Str()
	if machine == "" {
		return task.Result{}, awscall.BadParameters(c.Input, "The field 'StateMachineArn' is required but was missing")
	}
	if input := in.Get("Input"); !input.IsAbsent() {
		in = in.With("Input", value.Str(text(input)))
	}
	derived := in.Get("Name").IsAbsent()
	if derived {
		in = in.With("Name", value.Str(uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.ID)).String()))
	}
	// Whoever gives up while an execution is starting still learns its ARN: it
	// may have to be stopped.
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	r, err := x.call(starting, "StartExecution", in)
	if (derived || c.Again) && isNamed(err, "ExecutionAlreadyExistsException") {
		found, lost := x.call(ctx, "DescribeExecution", value.ObjectOf([]value.Member{
			{Key: "ExecutionArn", Value: value.Str(executionARN(machine, in.Get("Name").Str()))},
		}))
		if derived || lost == nil && body(found).Get("input").Str() == startInput(in) {
			r, err = found, lost
		}
	}
	if err != nil {
		return task.Result{}, err
	}
	answer := body(r)
	return task.Result{Output: withMetadata([]value.Member{
		{Key: "ExecutionArn", Value: answer.Get("executionArn")},
		{Key: "StartDate", Value: millis(answer.Get("startDate"))},
	}, r)}, nil
}

// startInput is what an execution that is started with in has as its input.
func startInput(in value.Value) string {
	if input := in.Get("Input"); !input.IsAbsent() {
		return input.Str()
	}
	return "{}"
}

// executionARN names an execution of a machine, which may be named by a version
// or an alias.
func executionARN(machine, name string) string {
	part := strings.Split(machine, ":")
	if len(part) < 7 {
		return machine
	}
	part[5] = "execution"
	return strings.Join(part[:7], ":") + ":" + name
}

// Poll waits for the end of an execution. Its description is the result, or the
// cause of States.TaskFailed where it has not succeeded (recorded). With .sync:2
// its input and output are values in there, with .sync the texts of such.
func (x *executions) Poll(ctx context.Context, c *task.Call, submitted string) (task.Result, error) {
	begun, err := value.Parse(submitted)
	arn := begun.Get("ExecutionArn")
	if err != nil || arn.Kind() != value.String {
		return task.Result{}, task.Fail("States.Runtime", "The submission of "+c.ID+" has no ExecutionArn.")
	}
	if region := x.services.foreign(arn.Str()); region != "" {
		here, err := x.here(ctx, arn.Str())
		if err != nil {
			return task.Result{}, err
		}
		if !here {
			return x.await(ctx, c, region, arn)
		}
	}
	for {
		err := x.services.ended(ctx, arn.Str())
		var r *awscall.Response
		if err == nil {
			r, err = x.call(ctx, "DescribeExecution", value.ObjectOf([]value.Member{{Key: "ExecutionArn", Value: arn}}))
		}
		switch {
		case err == nil && body(r).Get("status").Str() != "RUNNING": // a redrive may have come first
			return ending(c.Resource.Pattern, body(r))
		case ctx.Err() != nil:
			return task.Result{}, ctx.Err()
		case err != nil && !passes(err): // such as that Express executions are not described
			return task.Result{}, err
		case err != nil:
			pause(ctx)
		}
	}
}

// pause is the time before a server that could not answer is asked again.
func pause(ctx context.Context) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ending is the end of a task whose execution has ended as d describes.
func ending(p asl.Pattern, d value.Value) (task.Result, error) {
	var out []value.Member
	for key, v := range d.Members() {
		switch {
		case strings.HasSuffix(key, "Date"):
			v = millis(v)
		case strings.HasSuffix(key, "Details"):
			v = value.ObjectOf([]value.Member{{Key: "Included", Value: v.Get("included")}})
		case p == asl.Sync2 && (key == "input" || key == "output"):
			if parsed, err := value.Parse(v.Str()); err == nil {
				v = parsed
			}
		}
		out = append(out, value.Member{Key: capital(key), Value: v})
	}
	text := value.ObjectOf(sorted(value.ObjectOf(out))).JSON()
	if d.Get("status").Str() != "SUCCEEDED" {
		return task.Result{}, task.Fail("States.TaskFailed", text)
	}
	return task.Result{Output: text}, nil
}

// Cancel stops an execution whose parent waits for it no more.
func (x *executions) Cancel(ctx context.Context, _ *task.Call, submitted string) error {
	begun, err := value.Parse(submitted)
	if err != nil {
		return err
	}
	arn := begun.Get("ExecutionArn")
	for n := 0; ; n++ {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		_, err = x.call(asking, "StopExecution", value.ObjectOf([]value.Member{{Key: "ExecutionArn", Value: arn}}))
		cancel()
		switch {
		case isNamed(err, "ExecutionDoesNotExistException"):
			return nil
		case err == nil, !passes(err), n+1 == stopTries, x.services.foreign(arn.Str()) == "":
			return err
		}
		if err := x.services.turn(ctx, statesJobs, n, 0); err != nil {
			return err
		}
	}
}

// call makes a call of the Step Functions API, where the ARN that it names says.
func (x *executions) call(ctx context.Context, action string, in value.Value) (*awscall.Response, error) {
	arn := or2(in.Get("StateMachineArn"), in.Get("ExecutionArn")).Str()
	return x.services.states(ctx, action, arn, func(client *awscall.Client) (*awscall.Response, error) {
		return x.services.callStates(ctx, client, action, in)
	})
}

// small is in with the names that its members have on the wire.
func small(in value.Value) value.Value {
	out := make([]value.Member, 0, in.Len())
	for name, v := range in.Members() {
		out = append(out, value.Member{Key: strings.ToLower(name[:1]) + name[1:], Value: v})
	}
	return value.ObjectOf(out)
}

// isNamed reports whether err is the Step Functions API's exception of the name.
func isNamed(err error, name string) bool {
	var e *task.Error
	return errors.As(err, &e) && e.Name != nil && *e.Name == "StepFunctions."+name
}

// millis is a time as the optimized integration shows it: in milliseconds since
// 1970, from seconds.
func millis(seconds value.Value) value.Value {
	return value.Int(int64(math.Round(seconds.Float() * 1000)))
}
