package service

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// gateway runs apigateway:invoke: a call of an API that stands behind Amazon API
// Gateway, or behind AWS_ENDPOINT_URL_EXECUTE_API in its place.
type gateway struct{ services *Services }

var gatewayFields = []string{"ApiEndpoint", "Method", "Headers", "Stage", "Path", "QueryParameters", "RequestBody", "AllowNullValues", "AuthType", "TaskToken"}

// gatewayHost is the host of an API: nothing else is called, since the host comes
// with a task's input.
var gatewayHost = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})\.execute-api\.([a-z]{2}(?:-[a-z]+)+-[0-9])\.amazonaws\.com(?:\.cn)?$`)

// notForGateway are headers that belong to the connection or to the signature.
var notForGateway = []string{
	"Authorization", "Connection", "Content-Md5", "Expect", "Host", "Max-Forwards", "Proxy-Authenticate", "Server", "Te",
	"Trailer", "Transfer-Encoding", "Upgrade", "Via", "Www-Authenticate",
}

func malformed(name string) error {
	return badParameter("The value of the field '" + name + "' has an invalid format")
}

// Run makes the call. What is no answer of success becomes ApiGateway.<status>,
// with the answer's body as its cause (recorded).
func (g *gateway) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	if bad := awscall.Check(c.Input, given(in), gatewayFields, "ApiEndpoint", "Method", "Stage", "Path", "AuthType"); bad != nil {
		return task.Result{}, bad
	}
	client, r, err := g.request(given(in))
	if err != nil {
		return task.Result{}, describe(c.Input, err)
	}
	answer, err := client.Do(ctx, r, maxAnswer)
	var long *awscall.Oversize
	var refused *task.Error
	switch {
	case err == nil && answer.OK():
		return task.Result{Output: gatewayResult(answer).JSON()}, nil
	case err == nil:
		return task.Result{}, task.Fail("ApiGateway."+strconv.Itoa(answer.Status), awscall.Short(answer.Body, maxCause))
	case ctx.Err() != nil:
		return task.Result{}, ctx.Err()
	case errors.As(err, &long):
		return task.Result{}, tooLarge(c.Resource.Service)
	case errors.As(err, &refused):
		return task.Result{}, refused
	}
	return task.Result{}, task.Fail("ApiGateway.SdkClientException", err.Error())
}

// maxCause is how much of a refusal is kept, in bytes.
const maxCause = 32768

func (g *gateway) request(in value.Value) (*awscall.Client, *awscall.Request, error) {
	for _, name := range []string{"ApiEndpoint", "Method"} {
		if in.Get(name).Str() == "" {
			return nil, nil, missing(name)
		}
	}
	host := in.Get("ApiEndpoint").Str()
	part := gatewayHost.FindStringSubmatch(host)
	if part == nil {
		return nil, nil, malformed("ApiEndpoint")
	}
	method := in.Get("Method").Str()
	if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}, method) {
		return nil, nil, malformed("Method")
	}
	r := &awscall.Request{Method: method, Header: http.Header{}, HostPrefix: part[1] + ".", Host: host}
	switch in.Get("AuthType").Str() {
	case "", "NO_AUTH":
		r.Unsigned = true
	case "IAM_ROLE", "RESOURCE_POLICY":
	default:
		return nil, nil, malformed("AuthType")
	}
	if err := headersOf(r, in.Get("Headers")); err != nil {
		return nil, nil, err
	}
	query, err := lists("QueryParameters", in.Get("QueryParameters"))
	if err != nil {
		return nil, nil, err
	}
	r.Query = strings.ReplaceAll(url.Values(query).Encode(), "+", "%20")
	r.Path = strings.Split(strings.Trim(in.Get("Stage").Str(), "/")+"/"+strings.TrimPrefix(in.Get("Path").Str(), "/"), "/")
	r.Path = slices.DeleteFunc(r.Path, func(s string) bool { return s == "" })
	if len(r.Path) == 0 {
		r.EscapedPath = "/"
	}
	if body := in.Get("RequestBody"); !body.IsAbsent() {
		if body.Kind() == value.Object && !in.Get("AllowNullValues").Bool() {
			body = given(body)
		}
		r.Body = text(body)
		if r.Header["Content-Type"] == nil {
			r.Header["Content-Type"] = []string{"application/json"}
		}
	}
	return g.services.gatewayIn(part[2]), r, nil
}

// gatewayIn is the client of the APIs in a region.
func (s *Services) gatewayIn(region string) *awscall.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := "execute-api " + region
	if s.clients[name] == nil {
		at := awscall.Service{ID: "EXECUTE_API", Host: "execute-api", SigningName: "execute-api"}
		s.clients[name] = awscall.New(at, region, s.transport)
	}
	return s.clients[name]
}

// headersOf adds a task's headers to a request.
func headersOf(r *awscall.Request, v value.Value) error {
	all, err := lists("Headers", v)
	if err != nil {
		return err
	}
	for name, values := range all {
		key := http.CanonicalHeaderKey(name)
		if slices.Contains(notForGateway, key) || strings.HasPrefix(key, "X-Forwarded") || strings.HasPrefix(key, "X-Amz") {
			return malformed("Headers")
		}
		if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) ||
			strings.ContainsFunc(strings.Join(values, ""), func(r rune) bool { return r < ' ' || r > '~' }) {
			return malformed("Headers")
		}
		r.Header[key] = values
	}
	return nil
}

// lists reads an object whose values are lists of texts: a text alone is refused
// (recorded).
func lists(name string, v value.Value) (map[string][]string, error) {
	if v.IsAbsent() {
		return nil, nil
	}
	if v.Kind() != value.Object {
		return nil, malformed(name)
	}
	out := map[string][]string{}
	for key, items := range v.Members() {
		if items.Kind() != value.Array {
			return nil, malformed(name)
		}
		for _, x := range items.Items() {
			out[key] = append(out[key], text(x))
		}
	}
	return out, nil
}

func gatewayResult(r *awscall.Response) value.Value {
	var headers []value.Member
	for name, values := range r.Header {
		var list []value.Value
		for _, v := range values {
			list = append(list, value.Str(strings.ToValidUTF8(v, "\uFFFD")))
		}
		if list != nil {
			headers = append(headers, value.Member{Key: name, Value: value.ArrayOf(list)})
		}
	}
	body, err := value.Parse(r.Body)
	if err != nil {
		body = value.Str(strings.ToValidUTF8(r.Body, "\uFFFD"))
	}
	return value.ObjectOf([]value.Member{
		{Key: "Headers", Value: value.ObjectOf(sorted(value.ObjectOf(headers)))},
		{Key: "ResponseBody", Value: body},
		{Key: "StatusCode", Value: value.Int(int64(r.Status))},
		{Key: "StatusText", Value: value.Str(http.StatusText(r.Status))},
	})
}
