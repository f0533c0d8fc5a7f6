// Package lambda calls functions: Lambda's own ARNs as a Task's resource, and
// lambda:invoke.
//
// A function that the configuration gives a URL is called there; one of this
// process through its handler of the Invoke API; all others through that of AWS
// or whatever AWS_ENDPOINT_URL_LAMBDA names. All are told the task's ID in the header Idempotency-Key. Lambda itself does not
// look at it: a function on AWS may see a call twice after a crash.
package lambda

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// maxAnswer is how much of a function's answer is read, in bytes: Lambda's own
// limit. The engine keeps far less.
const maxAnswer = 6 << 20

// maxCause is how much of a failed function's payload becomes the cause, in
// bytes: what the API accepts as a cause.
const maxCause = 32 << 10

// Function is a function that answers at a URL of its own.
type Function struct {
	URL string
}

// Config says where functions are. The zero Config means AWS, as the environment
// describes it.
type Config struct {
	Region    string              // of AWS's endpoint and of signatures; "": the SDK's
	Functions map[string]Function // by name or ARN, with or without a qualifier
	Local     Local               // functions of this process; nil: none
	Transport http.RoundTripper   // nil: awscall.Transport()
}

// Local is a Lambda in this process: a handler of its Invoke API.
type Local interface {
	http.Handler
	// Has reports whether a function is there, by its name or ARN as it is written
	// and the qualifier beside it.
	Has(function, qualifier string) bool
}

// Caller calls functions. It is a task.Integration for both kinds of resource.
type Caller struct {
	aws       *awscall.Client
	functions atomic.Pointer[map[string]*url.URL]
	local     Local
	inside    *awscall.Client // of local
	direct    *http.Client
}

// New makes a Caller. The error names a function whose URL is none.
func New(c Config) (*Caller, error) {
	if c.Transport == nil {
		c.Transport = awscall.Transport()
	}
	l := &Caller{
		aws:    awscall.New(awscall.Service{ID: "LAMBDA", Host: "lambda", SigningName: "lambda"}, c.Region, c.Transport),
		direct: awscall.HTTPClient(c.Transport),
	}
	if c.Local != nil {
		l.local, l.inside = c.Local, awscall.NewLocal(c.Local)
	}
	return l, l.SetFunctions(c.Functions)
}

// SetFunctions replaces the functions that answer at URLs of their own. The error
// names one whose URL is none; the functions stay as they were then.
func (l *Caller) SetFunctions(functions map[string]Function) error {
	urls := make(map[string]*url.URL, len(functions))
	for name, f := range functions {
		u, err := url.Parse(f.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("function " + name + ": its url is not one with http or https")
		}
		urls[name] = u
	}
	l.functions.Store(&urls)
	return nil
}

// Close closes connections that are idle.
func (l *Caller) Close() error {
	l.aws.Close()
	l.direct.CloseIdleConnections()
	return nil
}

// Run calls a function. The output is the function's payload where the resource
// is its ARN, and an Invoke result with the members and their order as recorded
// from AWS where it is lambda:invoke.
//
// A function's own error has the name it gave itself and its payload as cause.
// Others are Lambda.<exception> in the words of AWS: SdkClientException where
// nobody answers, TooManyRequestsException, ResourceNotFoundException and so on.
func (l *Caller) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	if c.Resource.Kind == asl.LambdaResource {
		inv := invocation{id: c.ID, resource: c.Resource.ARN, function: c.Resource.ARN, payload: c.Input}
		r, err := l.invoke(ctx, &inv)
		if err != nil {
			return task.Result{}, err
		}
		return task.Result{Output: payloadOf(r)}, nil
	}
	inv, err := read(c)
	if err != nil {
		return task.Result{}, err
	}
	r, err := l.invoke(ctx, inv)
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: result(inv, r)}, nil
}

// invoke makes the call and returns the answer of a function that succeeded.
func (l *Caller) invoke(ctx context.Context, inv *invocation) (*awscall.Response, error) {
	r, err := l.send(ctx, inv)
	var long *awscall.Oversize
	var refused *task.Error
	switch {
	case err == nil:
		return r, failure(inv, r)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &long):
		return nil, task.Fail("States.DataLimitExceeded", "The state/task '"+inv.resource+
			"' returned a result with a size exceeding the maximum number of bytes service limit.")
	case errors.As(err, &refused):
		return nil, refused
	}
	return nil, task.Fail("Lambda.SdkClientException", err.Error())
}

func (l *Caller) send(ctx context.Context, inv *invocation) (*awscall.Response, error) {
	if u := l.url(inv); u != nil {
		return l.post(ctx, u, inv)
	}
	req := awscall.Request{
		Path:   []string{"2015-03-31", "functions", inv.function, "invocations"},
		Body:   inv.payload,
		Header: inv.header(),
	}
	if inv.qualifier != "" {
		req.Query = "Qualifier=" + url.QueryEscape(inv.qualifier)
	}
	if l.local != nil && l.local.Has(inv.function, inv.qualifier) {
		return l.inside.Do(ctx, &req, maxAnswer)
	}
	return l.aws.Do(ctx, &req, maxAnswer)
}

// post calls a function at its URL. A dry run ends here: a URL has no other way
// to say whether it would answer.
func (l *Caller) post(ctx context.Context, u *url.URL, inv *invocation) (*awscall.Response, error) {
	if inv.mode == "DryRun" {
		return &awscall.Response{Status: http.StatusNoContent, Header: http.Header{}}, nil
	}
	inv.direct = true
	req, err := awscall.NewPost(ctx, u, inv.payload)
	if err != nil {
		return nil, err
	}
	for name, values := range inv.header() {
		req.Header[name] = values
	}
	r, err := awscall.Send(l.direct, req, maxAnswer)
	if err == nil && inv.mode == "Event" && r.OK() {
		r.Status, r.Body = http.StatusAccepted, ""
	}
	return r, err
}

// url finds the configured URL of a function: with its qualifier first, and as
// it is written before by its name alone.
func (l *Caller) url(inv *invocation) *url.URL {
	functions := *l.functions.Load()
	if len(functions) == 0 {
		return nil
	}
	name, qualifier := split(inv.function)
	names := []string{inv.function, name + ":" + qualifier, name}
	if inv.qualifier != "" {
		names = []string{inv.function + ":" + inv.qualifier, name + ":" + inv.qualifier, inv.function, name}
	}
	for _, n := range names {
		if u := functions[n]; u != nil {
			return u
		}
	}
	return nil
}

// split takes the name and the qualifier from a function's name, partial ARN or
// ARN: name[:q], 123456789012:function:name[:q], arn:…:function:name[:q].
func split(function string) (name, qualifier string) {
	if _, after, ok := strings.Cut(function, "function:"); ok {
		function = after
	}
	name, qualifier, _ = strings.Cut(function, ":")
	return name, qualifier
}

// invocation is one call of a function.
type invocation struct {
	id        string
	resource  string // as AWS's messages name it
	function  string // name or ARN
	qualifier string
	payload   string // JSON text
	mode      string // InvocationType; "": RequestResponse
	context   string // in base64
	logs      string // LogType
	direct    bool   // went to a URL of its own
}

func (inv *invocation) header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	set := func(name, v string) {
		if v != "" {
			h[name] = []string{v}
		}
	}
	set("Idempotency-Key", inv.id)
	set("X-Amz-Invocation-Type", inv.mode)
	set("X-Amz-Client-Context", inv.context)
	set("X-Amz-Log-Type", inv.logs)
	return h
}

// payloadOf is what a function returned, as JSON text. Text that is no JSON
// becomes a string.
func payloadOf(r *awscall.Response) string {
	text := strings.Trim(r.Body, " \t\r\n")
	if value.Valid(text) == nil {
		return text
	}
	return value.Str(strings.ToValidUTF8(r.Body, "\uFFFD")).JSON()
}
