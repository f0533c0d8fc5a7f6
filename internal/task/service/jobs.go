package service

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// family is what the jobs of one service share: the words of their errors, which
// are those of AWS's older SDK.
type family struct {
	service string // as in aws-sdk:…
	prefix  string // of its errors: "Batch"
	name    string // of the service in causes: "AWSBatch", whose general error is AWSBatchException
	slow    bool   // asked once a minute, and less often later
}

// job is an action by which a service begins what takes time, and how its end is
// learnt. Its paths lead into what the submission returned ("out.JobId") or into
// the task's parameters ("in.JobName"); numbers index lists.
type job struct {
	family *family
	begin  string // the service's action where it is not the task's
	// prepare makes parameters those of begin; submitted makes begin's answer the
	// task's result, or what its end is asked for with.
	prepare   func(value.Value) (value.Value, error)
	named     *named // what it is about is found by its name first
	submitted func(in, answer value.Value) (value.Value, *task.Error)

	describe string   // the action that tells how it stands; "": there is no .sync
	ask      []string // its parameters: "JobName=in.JobName", "Jobs[]=out.JobId" in a list
	status   string   // the path of the status in the description
	good     []string // the statuses that end it well
	bad      []string // those that end it otherwise
	gone     bool     // it has ended well when it is not there any more
	failed   func(value.Value) bool
	result   string // the path of the result in the description; "": all of it
	as       string // the member that the result becomes, "" for none
	keep     string // a member of the submission that stands beside it

	stop string   // the action that stops it; "": it goes on
	with []string // its parameters
}

// jobs runs the tasks of a job's action. It is a task.Poller.
type jobs struct {
	services *Services
	job      *job
}

// Run begins a job, or makes a call that ends at once.
func (j *jobs) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	if j.job.describe == "" && (c.Resource.Pattern == asl.Sync || c.Resource.Pattern == asl.Sync2) {
		return task.Result{}, task.Unsupported(c.Resource)
	}
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	in = given(in)
	send := in
	if j.job.prepare != nil {
		if send, err = j.job.prepare(in); err != nil {
			return task.Result{}, describe(c.Input, err)
		}
	}
	// Whoever gives up while a job begins still learns what it is: it may have to
	// be stopped.
	if c.Resource.Pattern == asl.Sync {
		starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		ctx = starting
	}
	if j.job.named != nil {
		if send, err = j.find(ctx, c, send); err != nil {
			return task.Result{}, err
		}
	}
	action := or(j.job.begin, c.Resource.Action)
	out, r, err := j.call(ctx, c, action, send)
	if err != nil {
		return task.Result{}, err
	}
	if j.job.submitted != nil {
		answer, bad := j.job.submitted(in, out)
		if bad != nil {
			return task.Result{}, bad
		}
		out = answer
	}
	return task.Result{Output: withMetadata(sorted(out), r)}, nil
}

// call makes a call in the words of the older integrations.
func (j *jobs) call(ctx context.Context, c *task.Call, action string, in value.Value) (value.Value, *awscall.Response, error) {
	f := j.job.family
	model := awsmodel.Find(f.service)
	call := model.Actions[action]
	e := &encoder{service: model, call: call, token: c.ID, asWire: true}
	r, err := j.services.do(ctx, e, c, in, f.prefix, func(r *awscall.Response) *task.Error {
		failure := failure(model, r)
		class := f.name + "Exception"
		if model.Errors[failure.Code] != "" {
			class = exception(failure.Code)
		}
		return task.Fail(f.prefix+"."+class, failure.CauseV1(f.name))
	})
	if err != nil {
		return value.Value{}, r, err
	}
	d := decoder{service: model, call: call, asWire: true}
	return value.ObjectOf(d.result(r)), r, nil
}

// named says how a part of a cluster is found that a task names and the service
// wants by its id.
type named struct {
	parameter string // of the task: "InstanceFleetName"
	list      string // the action that lists the parts
	of        string // their member in its answer
	config    string // the parameter that gets the id: "InstanceFleet"
	id        string // the id's name in there: "InstanceFleetId"
	as        string // what the service calls config where it wants a list of them
}

// find puts a part's id in the place of its name.
func (j *jobs) find(ctx context.Context, c *task.Call, in value.Value) (value.Value, error) {
	n := j.job.named
	for _, name := range []string{"ClusterId", n.parameter, n.config} {
		if in.Get(name).IsAbsent() {
			return in, describe(c.Input, missing(name))
		}
	}
	if in.Get(n.config).Kind() != value.Object {
		return in, describe(c.Input, mustBe(n.config, "an OBJECT"))
	}
	ask := value.ObjectOf([]value.Member{{Key: "ClusterId", Value: in.Get("ClusterId")}})
	for page := 0; page < 100; page++ {
		answer, _, err := j.call(ctx, c, n.list, ask)
		if err != nil {
			return in, err
		}
		for _, part := range answer.Get(n.of).Items() {
			if part.Get("Name").Str() != in.Get(n.parameter).Str() {
				continue
			}
			config := in.Get(n.config).With(n.id, part.Get("Id"))
			if n.as != "" {
				return in.Without(n.parameter).Without(n.config).With(n.as, value.ArrayOf([]value.Value{config})), nil
			}
			return in.Without(n.parameter).With(n.config, config), nil
		}
		marker := answer.Get("Marker")
		if marker.Str() == "" {
			break
		}
		ask = ask.With("Marker", marker)
	}
	return in, task.Fail(j.job.family.prefix+"."+j.job.family.name+"Exception",
		"The cluster has no "+n.config+" of the name "+in.Get(n.parameter).Str()+".")
}

// Poll asks how a job stands until it has ended, at growing intervals. A service
// that does not answer now, or has too much to do, is asked again.
func (j *jobs) Poll(ctx context.Context, c *task.Call, submitted string) (task.Result, error) {
	about, err := j.about(c, submitted)
	if err != nil {
		return task.Result{}, err
	}
	ask, err := fill(j.job.ask, about)
	if err != nil {
		return task.Result{}, err
	}
	begun := time.Now()
	for n := 0; ; n++ {
		if err := j.services.turn(ctx, j.job.family, n, time.Since(begun)); err != nil {
			return task.Result{}, err
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		d, _, err := j.call(asking, c, j.job.describe, ask)
		cancel()
		switch {
		case ctx.Err() != nil:
			return task.Result{}, ctx.Err()
		case err != nil && j.job.gone && isGone(err):
			return j.end(about, value.ObjectOf(nil))
		case err != nil && passes(err):
			continue
		case err != nil:
			return task.Result{}, err
		}
		status := at(d, j.job.status).Str()
		switch {
		case slices.Contains(j.job.bad, status), slices.Contains(j.job.good, status) && j.job.failed != nil && j.job.failed(d):
			return task.Result{}, task.Fail("States.TaskFailed", at(d, j.job.result).JSON())
		case slices.Contains(j.job.good, status):
			return j.end(about, d)
		}
	}
}

// end is the result of a job that has ended well as d describes.
func (j *jobs) end(about, d value.Value) (task.Result, error) {
	out := at(d, j.job.result)
	if out.IsAbsent() {
		out = value.ObjectOf(nil)
	}
	if j.job.as != "" {
		out = value.ObjectOf([]value.Member{{Key: j.job.as, Value: out}})
	}
	if j.job.keep != "" {
		out = out.With(j.job.keep, or2(at(about, "out."+j.job.keep), at(about, "in."+j.job.keep)))
	}
	return task.Result{Output: out.JSON()}, nil
}

func or2(a, b value.Value) value.Value {
	if a.IsAbsent() {
		return b
	}
	return a
}

// Cancel stops a job. One that has ended meanwhile cannot be stopped, which is
// what was wanted.
func (j *jobs) Cancel(ctx context.Context, c *task.Call, submitted string) error {
	if j.job.stop == "" {
		return nil
	}
	about, err := j.about(c, submitted)
	if err != nil {
		return err
	}
	with, err := fill(j.job.with, about)
	if err != nil {
		return err
	}
	_, _, err = j.call(ctx, c, j.job.stop, with)
	if isGone(err) {
		return nil
	}
	return err
}

// about is what is known of a job: the task's parameters, and what the
// submission returned.
func (j *jobs) about(c *task.Call, submitted string) (value.Value, error) {
	out, err := value.Parse(submitted)
	if err != nil {
		return value.Value{}, task.Fail("States.Runtime", "The submission of "+c.ID+" cannot be read.")
	}
	in, err := parameters(c.Input)
	if err != nil {
		return value.Value{}, err
	}
	return value.ObjectOf([]value.Member{{Key: "in", Value: in}, {Key: "out", Value: out}}), nil
}

// fill makes parameters: "Name=path", "Name[]=path" in a list, "Name=:text".
func fill(lines []string, about value.Value) (value.Value, error) {
	out := value.ObjectOf(nil)
	for _, line := range lines {
		name, path, _ := strings.Cut(line, "=")
		name, optional := strings.CutSuffix(name, "?")
		name, list := strings.CutSuffix(name, "[]")
		v := at(about, path)
		if text, ok := strings.CutPrefix(path, ":"); ok {
			v = value.Str(text)
		}
		if v.IsAbsent() || v.IsNull() {
			if optional {
				continue
			}
			return out, task.Fail("States.Runtime", "The submission has no "+path+" by which the job could be found.")
		}
		if list {
			v = value.ArrayOf([]value.Value{v})
		}
		out = out.With(name, v)
	}
	return out, nil
}

// at follows a path of members and indices.
func at(v value.Value, path string) value.Value {
	if path == "" {
		return v
	}
	for _, step := range strings.Split(path, ".") {
		if i, err := strconv.Atoi(step); err == nil {
			if v.Kind() != value.Array || i >= v.Len() {
				return value.Value{}
			}
			v = v.At(i)
			continue
		}
		v = v.Get(step)
	}
	return v
}

// The pace of asking: a job's first question comes after a second, later ones at
// growing intervals; all jobs of a service ask at most so often.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
	perSecond    = 10

	askTimeout = time.Minute // for an answer, before the question is asked again

	// Of slow families, as Step Functions' guide has it.
	slowPause  = time.Minute
	slowLater  = 5 * time.Minute
	slowBecome = 10 * time.Minute
)

// turn waits until a service may be asked for the n-th time about a job.
func (s *Services) turn(ctx context.Context, f *family, n int, age time.Duration) error {
	wait := firstPause
	for range n {
		if wait = wait * 3 / 2; wait > longestPause {
			wait = longestPause
			break
		}
	}
	if f.slow && n > 2 {
		if wait = slowPause; age > slowBecome {
			wait = slowLater
		}
	}
	s.mu.Lock()
	due := time.Now().Add(wait)
	if next := s.nextAsk[f.service]; next.After(due) {
		due = next
	}
	s.nextAsk[f.service] = due.Add(time.Second / perSecond)
	s.mu.Unlock()
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passes reports whether an error of a service says nothing about the job.
func passes(err error) bool {
	var e *task.Error
	if !errors.As(err, &e) || e.Name == nil {
		return true
	}
	name := *e.Name
	if strings.HasSuffix(name, ".SdkClientException") || strings.Contains(name, "Throttl") || strings.Contains(name, "TooManyRequests") {
		return true
	}
	if e.Cause == nil {
		return false
	}
	for _, sign := range []string{
		"; Status Code: 5", ", Status Code: 5", "Status Code: 429", "Error Code: Throttling",
		"could not be assumed: Unable to ", // STS does not answer, or cannot be asked
	} {
		if strings.Contains(*e.Cause, sign) {
			return true
		}
	}
	return false
}

// isGone reports whether a service says that there is no such thing.
func isGone(err error) bool {
	var e *task.Error
	return errors.As(err, &e) && e.Name != nil && (strings.HasSuffix(*e.Name, ".ResourceNotFoundException") || strings.HasSuffix(*e.Name, ".NotFoundException"))
}
