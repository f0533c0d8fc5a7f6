package http

import (
	"cmp"
	"context"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// request is what a task's parameters say.
type request struct {
	input      string
	url        *url.URL
	method     string
	connection string
	headers    []Param
	query      []Param
	body       value.Value
	form       bool
	arrays     string
}

const formType = "application/x-www-form-urlencoded"

// readRequest reads a task's parameters. The error is one that nothing catches.
func readRequest(input string) (*request, error) {
	in, err := value.Parse(input)
	if err != nil || in.Kind() != value.Object {
		return nil, awscall.BadParameters(input, "The parameters must be a JSON object")
	}
	if bad := awscall.Check(input, in, asl.HTTPFields, "ApiEndpoint", "Method"); bad != nil {
		return nil, bad
	}
	r := &request{input: input, body: in.Get("RequestBody")}
	for _, name := range []string{"ApiEndpoint", "Method"} {
		if in.Get(name).IsAbsent() {
			return nil, r.bad("The field '" + name + "' is required but was missing")
		}
	}
	if r.url, err = url.Parse(in.Get("ApiEndpoint").Str()); err != nil || r.url.Host == "" || r.url.Opaque != "" {
		return nil, r.bad("The value of the field 'ApiEndpoint' has an invalid format")
	}
	if r.method = in.Get("Method").Str(); !slices.Contains(asl.HTTPMethods, r.method) {
		return nil, r.bad("The value of the field 'Method' has an invalid format")
	}
	if err := r.readConnection(in); err != nil {
		return nil, err
	}
	if r.headers, err = r.params(in, "Headers"); err != nil {
		return nil, err
	}
	for _, h := range r.headers {
		if !isHeader(h.Key) || strings.ContainsAny(h.Value, "\r\n\x00") {
			return nil, r.bad("The value of the field 'Headers' has an invalid format")
		}
		if asl.HTTPForbids(h.Key) {
			return nil, r.bad("The header '" + h.Key + "' is not supported by HTTP Task")
		}
	}
	if r.query, err = r.params(in, "QueryParameters"); err != nil {
		return nil, err
	}
	return r, r.readTransform(in.Get("Transform"))
}

// bad is the error of parameters that cannot be used. A user name or password in
// the address stays out of it.
func (r *request) bad(detail string) error {
	input := r.input
	if r.url != nil && r.url.User != nil {
		input = strings.ReplaceAll(input, r.url.User.String(), "")
	}
	return awscall.BadParameters(input, detail)
}

func (r *request) readConnection(in value.Value) error {
	for _, name := range []string{"InvocationConfig", "Authentication"} {
		if v := in.Get(name); !v.IsAbsent() {
			if bad := awscall.Check(r.input, v, []string{"ConnectionArn"}, "ConnectionArn"); bad != nil || v.Kind() != value.Object {
				return r.bad("The value of the field '" + name + "' has an invalid format")
			}
			r.connection = cmp.Or(v.Get("ConnectionArn").Str(), r.connection)
		}
	}
	if r.connection == "" {
		return r.bad("The field 'ConnectionArn' is required but was missing")
	}
	return nil
}

// params reads an object of texts or lists of texts.
func (r *request) params(in value.Value, name string) (list []Param, err error) {
	v := in.Get(name)
	if v.IsAbsent() || v.IsNull() {
		return nil, nil
	}
	if v.Kind() != value.Object {
		return nil, r.bad("The value of the field '" + name + "' has an invalid format")
	}
	for key, x := range v.Members() {
		values := []value.Value{x}
		if x.Kind() == value.Array {
			values = nil
			for _, item := range x.Items() {
				values = append(values, item)
			}
		}
		for _, item := range values {
			text, ok := scalar(item)
			if !ok {
				return nil, r.bad("The value of the field '" + name + "' has an invalid format")
			}
			list = append(list, Param{key, text})
		}
	}
	return list, nil
}

// scalar is a value that is not an object or a list, as text; null is "".
func scalar(v value.Value) (string, bool) {
	switch v.Kind() {
	case value.String:
		return v.Str(), true
	case value.Null:
		return "", true
	case value.Object, value.Array, value.Absent:
		return "", false
	}
	return v.JSON(), true
}

func (r *request) readTransform(v value.Value) error {
	if v.IsAbsent() {
		return nil
	}
	options := v.Get("RequestEncodingOptions")
	r.arrays = cmp.Or(options.Get("ArrayFormat").Str(), asl.HTTPArrayFormats[0])
	switch encoding := v.Get("RequestBodyEncoding").Str(); {
	case v.Kind() != value.Object || awscall.Check(r.input, v, []string{"RequestBodyEncoding", "RequestEncodingOptions"}, "RequestBodyEncoding") != nil,
		!options.IsAbsent() && (options.Kind() != value.Object || awscall.Check(r.input, options, []string{"ArrayFormat"}, "ArrayFormat") != nil),
		!slices.Contains(asl.HTTPArrayFormats, r.arrays), encoding != "" && encoding != "NONE" && encoding != "URL_ENCODED":
		return r.bad("The value of the field 'Transform' has an invalid format")
	case encoding == "URL_ENCODED":
		r.form = true
	}
	return nil
}

// build makes the request. What the connection says comes in the place of what
// the definition says under the same name.
func (r *request) build(ctx context.Context, c Config, id string, with *Authorization) (*http.Request, error) {
	h := http.Header{}
	for _, p := range r.headers {
		h.Add(p.Key, p.Value)
	}
	for _, p := range with.Headers {
		h.Del(p.Key)
	}
	for _, p := range with.Headers {
		h.Add(p.Key, p.Value)
	}
	body, kind, err := r.encode(h.Get("Content-Type"), with.Body)
	if err != nil {
		return nil, err
	}
	defaults := []Param{{"User-Agent", "Amazon|StepFunctions|HttpInvoke|" + c.Region}, {"Range", "bytes=0-" + strconv.Itoa(c.MaxResult)}, {"Content-Type", kind}}
	if r.method != http.MethodGet && r.method != http.MethodHead && r.method != http.MethodOptions {
		defaults = append(defaults, Param{"Idempotency-Key", id})
	}
	for _, p := range defaults {
		if h.Get(p.Key) == "" && p.Value != "" {
			h.Set(p.Key, p.Value)
		}
	}
	u := *r.url
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = joinQuery(u.RawQuery, r.query, with.Query)
	req, err := awscall.NewPost(ctx, &u, body)
	if err != nil {
		return nil, err
	}
	req.Method, req.Header = r.method, h
	return req, nil
}

// encode writes the body and says its type, "" without a body.
func (r *request) encode(kind string, extra []Param) (body, defaultKind string, err error) {
	v := r.body
	if len(extra) > 0 {
		switch v.Kind() {
		case value.Absent, value.Null:
			v = value.ObjectOf(nil)
		case value.Object:
		default:
			return "", "", r.bad("The connection has body parameters, which can only be added to a RequestBody that is an object")
		}
		for _, p := range extra {
			v = v.With(p.Key, value.Str(p.Value))
		}
	}
	switch {
	case v.IsAbsent():
		return "", "", nil
	case r.form:
		if media, _, _ := strings.Cut(kind, ";"); !strings.EqualFold(strings.TrimSpace(media), formType) {
			return "", "", r.bad("The header 'Content-Type' must be '" + formType + "' where RequestBodyEncoding is 'URL_ENCODED'")
		}
		if v.Kind() != value.Object {
			return "", "", r.bad("The value of the field 'RequestBody' must be an object where RequestBodyEncoding is 'URL_ENCODED'")
		}
		return r.formOf(v), formType, nil
	case v.Kind() == value.String:
		return v.Str(), "text/plain; charset=UTF-8", nil
	}
	return v.JSON(), "application/json; charset=UTF-8", nil
}

// formOf writes an object as a form: {"a":{"b":1}} as a[b]=1, lists as the format
// says.
func (r *request) formOf(v value.Value) string {
	var pairs []string
	add := func(key, text string) { pairs = append(pairs, escape(key)+"="+escape(text)) }
	var walk func(key string, v value.Value)
	walk = func(key string, v value.Value) {
		switch v.Kind() {
		case value.Object:
			for name, x := range v.Members() {
				walk(key+"["+name+"]", x)
			}
		case value.Array:
			if r.arrays == "COMMAS" {
				if text, ok := commas(v); ok {
					add(key, text)
					return
				}
			}
			for i, x := range v.Items() {
				walk(r.item(key, i, x), x)
			}
		default:
			text, _ := scalar(v)
			add(key, text)
		}
	}
	for name, x := range v.Members() {
		walk(name, x)
	}
	return strings.Join(pairs, "&")
}

// item is the key of an item in a list. An object or list in it needs a place of
// its own, whatever the format.
func (r *request) item(key string, i int, x value.Value) string {
	nested := x.Kind() == value.Object || x.Kind() == value.Array
	switch {
	case r.arrays == "REPEAT" && !nested:
		return key
	case r.arrays == "BRACKETS" && !nested:
		return key + "[]"
	}
	return key + "[" + strconv.Itoa(i) + "]"
}

// commas joins a list of texts.
func commas(v value.Value) (string, bool) {
	var texts []string
	for _, x := range v.Items() {
		text, ok := scalar(x)
		if !ok {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), true
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// joinQuery appends the definition's parameters to the address's own, without
// those that the connection gives, and then these.
func joinQuery(own string, definition, connection []Param) string {
	given := func(key string) bool {
		return slices.ContainsFunc(connection, func(p Param) bool { return p.Key == key })
	}
	var parts []string
	for part := range strings.SplitSeq(own, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); part != "" && (err != nil || !given(plain)) {
			parts = append(parts, part)
		}
	}
	for _, p := range definition {
		if !given(p.Key) {
			parts = append(parts, escape(p.Key)+"="+escape(p.Value))
		}
	}
	for _, p := range connection {
		parts = append(parts, escape(p.Key)+"="+escape(p.Value))
	}
	return strings.Join(parts, "&")
}

// isHeader reports whether a header can have this name.
func isHeader(name string) bool {
	if name == "" || textproto.TrimString(name) != name {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 127 || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}) < 0
}
