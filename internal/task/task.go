// Package task says what a Task state can call. Each kind of resource is an
// Integration, in a folder of its own; a Registry finds the one for a
// resource.
package task

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/asl"
)

// Integration runs tasks of one kind.
type Integration interface {
	// Run makes the call and returns its output, or an *Error with the name
	// and cause that the state machine sees; any other error becomes
	// States.TaskFailed. When ctx ends, the task is not waited for any more.
	//
	// Run may be called again with the same ID after a crash: an integration
	// that can pass the ID on as an idempotency key does so. Where the
	// resource's pattern is asl.WaitForTaskToken the output is that of the
	// submission; the result comes later, by token.
	Run(ctx context.Context, c *Call) (Result, error)
}

// Poller is an Integration that begins jobs. Where a resource's pattern is
// asl.Sync or asl.Sync2, the output of its Run is that of the submission, and
// Poll brings the task's own.
type Poller interface {
	Integration

	// Poll returns when the job has ended, with its output or the error that
	// Run would give. When ctx ends, nobody waits for it any more. After a crash
	// it is called again; submitted is the output of Run, JSON text.
	Poll(ctx context.Context, c *Call, submitted string) (Result, error)

	// Cancel stops the job, as well as that can be done: the execution that
	// waited for it has ended, or goes on without it.
	Cancel(ctx context.Context, c *Call, submitted string) error
}

// Call is one task.
type Call struct {
	ID           string // the same whenever this attempt is called
	ExecutionARN string
	MachineARN   string
	Machine      string // the machine's name as it is kept, with its account where that is not the server's
	State        string
	Resource     asl.Resource
	Input        string        // JSON text: the state's effective input
	Token        string        // where the pattern has one
	RoleARN      string        // the state's Credentials; "": the machine's own role
	MachineRole  string        // the machine's own role
	Timeout      time.Duration // 0: none
	Retry        int64         // how often the state has been tried again since it was entered
	Entered      int64         // number of the state's entry within its execution: the same for each attempt
	Heartbeat    bool          // the state has a heartbeat
	Again        bool          // this attempt may have been called before, by a server that has crashed since
}

// Result is a task's outcome.
type Result struct {
	Output string // JSON text

	// Submitted, if set, is the JSON text that the submission returned, of a
	// task that would be answered later and has been already: by Output, or by
	// the error that stands beside the Result.
	Submitted string
}

// Error is a failure with a name that Retry and Catch can match. Nil fields
// are absent, as an error without a type has no name.
type Error struct {
	Name  *string
	Cause *string
}

// Fail makes an Error.
func Fail(name, cause string) *Error { return &Error{Name: &name, Cause: &cause} }

// Unsupported is the failure of a task whose resource has no integration.
func Unsupported(r asl.Resource) *Error {
	return Fail("Lockstep.ResourceNotSupported", "This server has no integration for "+r.ARN+".")
}

// Error implements error.
func (e *Error) Error() string {
	text := "task failed"
	if e.Name != nil {
		text = *e.Name
	}
	if e.Cause != nil {
		text += ": " + *e.Cause
	}
	return text
}

// Registry finds integrations.
type Registry struct {
	exact    map[string]Integration // by service and action
	services map[string]Integration
	lambda   Integration
	around   func(Integration) Integration
	check    func(*Call, string) error
	watch    func(c *Call, result Result, err error, took time.Duration)
	carrier  Carrier
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	return &Registry{exact: map[string]Integration{}, services: map[string]Integration{}}
}

// Add registers i for an integration resource, named without its pattern:
// "lambda:invoke", "bedrock:invokeModel".
func (r *Registry) Add(resource string, i Integration) { r.exact[resource] = i }

// Resources lists what was added, sorted; a service stands for all its actions,
// as "aws-sdk:dynamodb:*".
func (r *Registry) Resources() []string {
	list := slices.Collect(maps.Keys(r.exact))
	for service := range r.services {
		list = append(list, service+":*")
	}
	slices.Sort(list)
	return list
}

// AddService registers i for the actions of a service that have none of their
// own: "aws-sdk:dynamodb".
func (r *Registry) AddService(service string, i Integration) { r.services[service] = i }

// AddLambda registers i for functions named by their own ARN.
func (r *Registry) AddLambda(i Integration) { r.lambda = i }

// Around puts something between every call and its integration, which is nil
// for resources that have none.
func (r *Registry) Around(wrap func(Integration) Integration) { r.around = wrap }

// Check has every task's output looked at: what check returns instead of nil is
// the task's error. Outputs that come by token are not among them.
func (r *Registry) Check(check func(c *Call, output string) error) { r.check = check }

// Watch has the outcome of every task that answers at once told, with its output
// checked and how long it took. watch must not wait.
func (r *Registry) Watch(watch func(c *Call, result Result, err error, took time.Duration)) {
	r.watch = watch
}

// Carrier changes what goes into tasks and what comes out of them, where something
// else stands for it: see package spill. Errors are those of the task.
type Carrier interface {
	// Input is the input that the call's integration gets, JSON text.
	Input(ctx context.Context, c *Call) (string, error)
	// Output is what goes on of the output of the task, JSON text.
	Output(ctx context.Context, c *Call, output string) (string, error)
}

// Carry has c change inputs before anything else sees them, and outputs after
// everything else has. Outputs that come by token are not among them.
func (r *Registry) Carry(c Carrier) { r.carrier = c }

// Find returns the integration for a resource, or nil.
func (r *Registry) Find(res asl.Resource) Integration {
	i := r.find(res)
	if r.around != nil {
		i = r.around(i)
	}
	if i == nil {
		return nil
	}
	if r.check != nil && res.Pattern == asl.RequestResponse {
		i = checked{i, r.check}
	}
	if r.watch != nil && res.Pattern == asl.RequestResponse {
		i = watched{i, r.watch}
	}
	if r.carrier != nil {
		i = carried{i, r.carrier}
	}
	return i
}

type carried struct {
	Integration
	by Carrier
}

func (i carried) Run(ctx context.Context, c *Call) (Result, error) {
	c, err := withInput(ctx, c, i.by)
	if err != nil {
		return Result{}, err
	}
	result, err := i.Integration.Run(ctx, c)
	if err == nil && (c.Resource.Pattern == asl.RequestResponse || result.Submitted != "") { // else it is that of a submission
		result.Output, err = i.by.Output(ctx, c, result.Output)
	}
	return result, err
}

type carriedPoller struct {
	Poller
	by Carrier
}

func (p carriedPoller) Poll(ctx context.Context, c *Call, submitted string) (Result, error) {
	c, err := withInput(ctx, c, p.by)
	if err != nil {
		return Result{}, err
	}
	result, err := p.Poller.Poll(ctx, c, submitted)
	if err == nil {
		result.Output, err = p.by.Output(ctx, c, result.Output)
	}
	return result, err
}

func (p carriedPoller) Cancel(ctx context.Context, c *Call, submitted string) error {
	if changed, err := withInput(ctx, c, p.by); err == nil {
		c = changed
	}
	return p.Poller.Cancel(ctx, c, submitted)
}

// withInput is c with the input that by makes of its own.
func withInput(ctx context.Context, c *Call, by Carrier) (*Call, error) {
	input, err := by.Input(ctx, c)
	if err != nil || input == c.Input {
		return c, err
	}
	changed := *c
	changed.Input = input
	return &changed, nil
}

// watched tells how calls end.
type watched struct {
	Integration
	watch func(*Call, Result, error, time.Duration)
}

func (i watched) Run(ctx context.Context, c *Call) (Result, error) {
	begun := time.Now()
	result, err := i.Integration.Run(ctx, c)
	if ctx.Err() == nil { // else nobody waits for it any more
		i.watch(c, result, err, time.Since(begun))
	}
	return result, err
}

// checked looks at what an integration returns.
type checked struct {
	Integration
	check func(*Call, string) error
}

func (i checked) Run(ctx context.Context, c *Call) (Result, error) {
	result, err := i.Integration.Run(ctx, c)
	if err == nil {
		err = i.check(c, result.Output)
	}
	return result, err
}

// checkedPoller looks at what comes of jobs.
type checkedPoller struct {
	Poller
	check func(*Call, string) error
}

func (p checkedPoller) Poll(ctx context.Context, c *Call, submitted string) (Result, error) {
	result, err := p.Poller.Poll(ctx, c, submitted)
	if err == nil {
		err = p.check(c, result.Output)
	}
	return result, err
}

// Poller returns the integration that knows how the resource's jobs end, or nil.
func (r *Registry) Poller(res asl.Resource) Poller {
	p, ok := r.find(res).(Poller)
	if ok && r.check != nil {
		p = checkedPoller{p, r.check}
	}
	if ok && r.carrier != nil {
		p = carriedPoller{p, r.carrier}
	}
	return p
}

func (r *Registry) find(res asl.Resource) Integration {
	if res.Kind == asl.LambdaResource {
		return r.lambda
	}
	if i := r.exact[res.Service+":"+res.Action]; i != nil {
		return i
	}
	return r.services[res.Service]
}
