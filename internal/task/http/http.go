// Package http calls HTTPS APIs: http:invoke.
//
// A task names what to call and a connection, which holds what authorizes the
// call; whoever keeps connections adds that to the request here, and nothing of
// it comes back: where an answer repeats a secret, the result does not. The
// transport decides where calls may go; redirects are not followed, since an
// authorization is for one address.
//
// Rules are those of AWS's guide, "Call HTTPS APIs in Step Functions workflows".
package http

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

const (
	// Timeout is how long a call may take, as on AWS.
	Timeout = 60 * time.Second
	// maxResult is how much of an answer a result can hold on AWS, in bytes.
	maxResult = 256 << 10
	// maxCause is how much of a refusal becomes the cause, in bytes: what the API
	// accepts as a cause.
	maxCause = 32 << 10
)

// Config says how calls are made.
type Config struct {
	Region      string            // in User-Agent
	Transport   http.RoundTripper // decides where calls may go
	Connections Connections
	MaxResult   int // bytes of an answer; 0: as on AWS, 256 KiB
	// MaxOf, if set, is how much of an answer a call takes where that is more than
	// MaxResult.
	MaxOf   func(ctx context.Context, call *task.Call) int
	Refused func(error) string // the policy's own words for an error of the transport, "" for any other error
}

// Connections says what authorizes calls.
type Connections interface {
	// Authorize returns what the connection with this ARN adds to a request. With
	// refused, which was returned before and did not satisfy the API, it gets
	// something newer, or returns nil if there is no such thing. Errors are
	// ctx's or a *task.Error, Events.ConnectionResource.….
	Authorize(ctx context.Context, arn string, refused *Authorization) (*Authorization, error)
}

// Authorization is what a connection adds to a request. It is not changed.
type Authorization struct {
	Headers, Query, Body []Param
	Secrets              []string // texts that no result may hold
}

// Param is a parameter of a request.
type Param struct{ Key, Value string }

// Caller makes the calls. It is a task.Integration.
type Caller struct {
	config Config
	client *http.Client
}

// New makes a Caller.
func New(c Config) *Caller {
	if c.MaxResult == 0 {
		c.MaxResult = maxResult
	}
	return &Caller{config: c, client: awscall.HTTPClient(c.Transport)}
}

// Close closes connections that are idle.
func (c *Caller) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

// Run makes the call. The output has Headers (small letters, with lists of
// values), ResponseBody, StatusCode and StatusText. Errors:
//
//   - States.Http.StatusCode.<n> for an answer that is not of success, with the
//     answer's text as cause: redirects too;
//   - States.Http.Socket where nobody answers in time, or at all;
//   - States.Runtime for parameters or an answer that cannot be used, which
//     nothing catches, and States.DataLimitExceeded for an answer that is too long;
//   - Events.ConnectionResource.… as Connections says;
//   - Lockstep.EgressRefused where the configuration does not let the call out.
//
// The task's ID goes along as Idempotency-Key where the method changes something,
// unless the definition has that header.
func (c *Caller) Run(ctx context.Context, call *task.Call) (task.Result, error) {
	r, err := readRequest(call.Input)
	if err != nil {
		return task.Result{}, err
	}
	if c.config.MaxOf != nil {
		larger := *c
		larger.config.MaxResult = max(c.config.MaxResult, c.config.MaxOf(ctx, call))
		c = &larger
	}
	within, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var secrets []string
	answer, err := c.authorized(within, call, r, &secrets)
	if err != nil {
		if ctx.Err() != nil {
			return task.Result{}, ctx.Err()
		}
		return task.Result{}, hideInError(c.failure(within, r, err), secrets)
	}
	return c.result(answer, secrets)
}

// authorized makes the call, and makes it again if the API does not accept the
// authorization and there is a newer one.
func (c *Caller) authorized(ctx context.Context, call *task.Call, r *request, secrets *[]string) (*awscall.Response, error) {
	with, err := c.config.Connections.Authorize(ctx, r.connection, nil)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		*secrets = append(*secrets, with.Secrets...)
		req, err := r.build(ctx, c.config, call.ID, with)
		if err != nil {
			return nil, err
		}
		answer, err := awscall.Send(c.client, req, c.config.MaxResult)
		if err != nil || again || answer.Status != http.StatusUnauthorized && answer.Status != http.StatusProxyAuthRequired {
			return answer, err
		}
		newer, err := c.config.Connections.Authorize(ctx, r.connection, with)
		if err != nil {
			return nil, err
		}
		if newer == nil {
			return answer, nil
		}
		with = newer
	}
}

// failure words what went wrong below HTTP.
func (c *Caller) failure(ctx context.Context, r *request, err error) error {
	var known *task.Error
	var long *awscall.Oversize
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &long):
		return tooLarge()
	case ctx.Err() != nil:
		return task.Fail("States.Http.Socket", fmt.Sprintf("%s did not answer within %d seconds.", r.url.Host, Timeout/time.Second))
	}
	if c.config.Refused != nil {
		if why := c.config.Refused(err); why != "" {
			return task.Fail("Lockstep.EgressRefused", capital(why)+".")
		}
	}
	return task.Fail("States.Http.Socket", err.Error())
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func tooLarge() *task.Error {
	return task.Fail("States.DataLimitExceeded", "The state/task 'http' returned a result with a size exceeding the maximum number of bytes service limit.")
}

// result makes an answer the task's output or error.
func (c *Caller) result(r *awscall.Response, secrets []string) (task.Result, error) {
	if r.Status == http.StatusPartialContent && c.cutOff(r.Header.Get("Content-Range")) {
		return task.Result{}, tooLarge()
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	text, readable := decode(r.Body, params["charset"])
	if !r.OK() {
		if !readable || isBinary(kind) || strings.TrimSpace(text) == "" {
			text = http.StatusText(r.Status)
		}
		return task.Result{}, hideInError(task.Fail("States.Http.StatusCode."+strconv.Itoa(r.Status), awscall.Short(text, maxCause)), secrets)
	}
	if isBinary(kind) && r.Body != "" {
		return task.Result{}, task.Fail("States.Runtime", "The HTTP Task got a response with the content type "+awscall.Short(kind, 100)+", which is not supported.")
	}
	if !readable {
		return task.Result{}, task.Fail("States.Runtime", "The HTTP Task got a response that cannot be read as text.")
	}
	body := value.Str(text)
	if kind == "application/json" || strings.HasSuffix(kind, "+json") {
		if parsed, err := value.Parse(text); err == nil {
			body = parsed
		}
	}
	out := value.ObjectOf([]value.Member{
		{Key: "Headers", Value: headers(r.Header)},
		{Key: "ResponseBody", Value: body},
		{Key: "StatusCode", Value: value.Int(int64(r.Status))},
		{Key: "StatusText", Value: value.Str(http.StatusText(r.Status))},
	})
	return task.Result{Output: hideInJSON(out.JSON(), secrets)}, nil
}

// cutOff reports whether a range, as "bytes 0-99/1000", is not the whole.
func (c *Caller) cutOff(contentRange string) bool {
	_, size, ok := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(size, 10, 64)
	return ok && err == nil && n > int64(c.config.MaxResult)
}

func isBinary(kind string) bool {
	family, _, _ := strings.Cut(kind, "/")
	return kind == "application/octet-stream" || family == "image" || family == "audio" || family == "video"
}

// decode reads a body as text, and reports whether it is one.
func decode(body, charset string) (string, bool) {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1":
		out := make([]rune, len(body))
		for i := range len(body) {
			out[i] = rune(body[i])
		}
		return string(out), true
	}
	body = strings.TrimPrefix(body, "\ufeff")
	return body, utf8.ValidString(body)
}

func headers(h http.Header) value.Value {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	members := make([]value.Member, len(names))
	for i, name := range names {
		values := make([]value.Value, len(h[name]))
		for j, v := range h[name] {
			values[j] = value.Str(strings.ToValidUTF8(v, "\uFFFD"))
		}
		members[i] = value.Member{Key: strings.ToLower(name), Value: value.ArrayOf(values)}
	}
	return value.ObjectOf(members)
}

const hidden = "[secret]"

// hide takes secrets out of a text, also where they stand escaped, for a URL or
// in JSON, even in JSON within JSON. A secret of fewer than four bytes is left:
// it would be found everywhere.
func hide(text string, secrets []string) string {
	var forms []string
	for _, s := range secrets {
		if len(s) >= 4 {
			once := inJSON(s)
			forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), escape(s), once, inJSON(once))
		}
	}
	// The longest first, so that what contains another is hidden as a whole.
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, hidden)
	}
	return text
}

func inJSON(s string) string {
	quoted := value.AppendString(nil, s)
	return string(quoted[1 : len(quoted)-1])
}

// hideInJSON is hide for JSON text, which stays that.
func hideInJSON(text string, secrets []string) string {
	if text = hide(text, secrets); value.Valid(text) != nil {
		return strconv.Quote(hidden) // a secret was part of the JSON itself
	}
	return text
}

func hideInError(err error, secrets []string) error {
	var e *task.Error
	if errors.As(err, &e) && e.Cause != nil {
		cause := hide(*e.Cause, secrets)
		return &task.Error{Name: e.Name, Cause: &cause}
	}
	return err
}
