package service

import (
	"context"
	"encoding/base64"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// sdk runs the tasks of aws-sdk:<name>.
type sdk struct {
	services *Services
	name     string
}

// Run makes the call. The result has the members of the service's answer alone,
// errors are those of AWS's newer SDK: DynamoDb.ResourceNotFoundException.
func (i *sdk) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	d := descriptions[i.name]
	var out value.Value
	switch d.protocol {
	case jsonProtocol:
		out, err = i.json(ctx, d, c, given(in))
	case queryProtocol:
		out, err = i.query(ctx, d, c, given(in))
	case objects:
		return i.object(ctx, d, c, given(in))
	case functions:
		return i.invoke(ctx, d, c, given(in))
	}
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: value.ObjectOf(sorted(out)).JSON()}, nil
}

func (i *sdk) json(ctx context.Context, d *description, c *task.Call, in value.Value) (value.Value, error) {
	r, err := i.services.send(ctx, i.name, d.jsonRequest(capital(c.Resource.Action), in), d.exception, c.Resource.Service, d.refusedJSON)
	if err != nil {
		return value.Value{}, err
	}
	return d.fromWire(body(r)), nil
}

// jsonRequest is a call in AWS's JSON protocol.
func (d *description) jsonRequest(action string, in value.Value) *awscall.Request {
	return &awscall.Request{
		Body: d.toWire(in).JSON(),
		Header: http.Header{
			"Content-Type": {"application/x-amz-json-" + d.version},
			"X-Amz-Target": {d.target + "." + action},
		},
	}
}

func (d *description) refusedJSON(r *awscall.Response) *task.Error {
	return d.refused(awscall.Refusal(r), "")
}

// refused is an error in the words of AWS's newer SDK. More stands behind what
// the cause says of the call.
func (d *description) refused(f awscall.Failure, more string) *task.Error {
	cause := f.CauseV2(d.exception)
	if more != "" {
		cause = strings.TrimSuffix(cause, ")") + more + ")"
	}
	return task.Fail(d.exception+"."+d.exceptionFor(f.Code), cause)
}

// exceptionFor is the SDK's class for an error code.
func (d *description) exceptionFor(code string) string {
	if code == "" || strings.ContainsAny(code, ". /") || general[code] && !slices.Contains(d.modelled, code) {
		return d.exception + "Exception"
	}
	return exception(code)
}

// exception is an error code as AWS's SDKs name its class.
func exception(code string) string { return strings.TrimSuffix(code, "Exception") + "Exception" }

// toWire writes parameters as the service takes them.
func (d *description) toWire(v value.Value) value.Value {
	if !d.camel && d.texts == nil && d.blobs == nil {
		return v
	}
	return members(v, func(key string, x value.Value) (string, value.Value) {
		switch {
		case slices.Contains(d.texts, key) && x.Kind() != value.String:
			x = value.Str(x.JSON())
		case slices.Contains(d.blobs, key):
			x = value.Str(base64.StdEncoding.EncodeToString([]byte(text(x))))
		case !freeKeys(key, x):
			x = d.toWire(x)
		}
		if d.camel {
			key = small(key)
		}
		return key, x
	})
}

// fromWire writes an answer as a task's result has it. Times are texts there,
// and seconds on the wire: without the service's model they are known by their
// name and size.
func (d *description) fromWire(v value.Value) value.Value {
	return members(v, func(key string, x value.Value) (string, value.Value) {
		if d.camel {
			key = capital(key)
		}
		switch {
		case slices.Contains(d.blobs, key):
			if b, err := base64.StdEncoding.DecodeString(x.Str()); err == nil {
				x = value.Str(strings.ToValidUTF8(string(b), "\uFFFD"))
			}
		case x.Kind() == value.Number && isTime(key, x.Float()):
			x = value.Str(timestamp(x.Float()))
		case !freeKeys(key, x):
			x = d.fromWire(x)
		}
		return key, x
	})
}

// members changes the members of v, or of the objects in it if it is an array.
func members(v value.Value, change func(string, value.Value) (string, value.Value)) value.Value {
	switch v.Kind() {
	case value.Object:
		out := make([]value.Member, 0, v.Len())
		for key, x := range v.Members() {
			key, x := change(key, x)
			out = append(out, value.Member{Key: key, Value: x})
		}
		return value.ObjectOf(out)
	case value.Array:
		out := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			out = append(out, members(x, change))
		}
		return value.ArrayOf(out)
	}
	return v
}

// freeKeys reports whether x is an object whose keys are somebody's own, not
// names of members.
func freeKeys(name string, x value.Value) bool {
	if x.Kind() != value.Object {
		return false
	}
	switch capital(name) {
	case "Tags", "Labels", "DockerLabels", "Options", "DriverOpts", "AssignedVariables", "Item", "Key", "ExpressionAttributeValues":
		return true
	}
	return false
}

func isTime(name string, seconds float64) bool {
	if seconds < 1e8 || seconds > 1e11 {
		return false
	}
	for _, end := range [...]string{"Date", "Time", "Timestamp", "At"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// timestamp writes seconds since 1970 as AWS writes times in results.
func timestamp(seconds float64) string {
	t := time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

func capital(name string) string {
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func small(name string) string {
	if name == "" {
		return name
	}
	return strings.ToLower(name[:1]) + name[1:]
}
