package asl

import (
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// What the parameters of http:invoke can be, by AWS's guide, "Call HTTPS APIs in
// Step Functions workflows".
var (
	HTTPFields       = []string{"ApiEndpoint", "Method", "Authentication", "InvocationConfig", "Headers", "QueryParameters", "RequestBody", "Transform"}
	HTTPMethods      = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"}
	HTTPArrayFormats = []string{"INDICES", "REPEAT", "COMMAS", "BRACKETS"}
)

// HTTPForbids reports whether a definition cannot have a header of this name. A
// connection may have Authorization.
func HTTPForbids(header string) bool {
	header = strings.ToLower(header)
	return forbiddenHeaders[header] || strings.HasPrefix(header, "x-forwarded") || strings.HasPrefix(header, "x-amz-") || strings.HasPrefix(header, "x-amzn-")
}

var forbiddenHeaders = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.Fields(`A-IM Accept-Charset Accept-Datetime Accept-Encoding Authorization
		Cache-Control Connection Content-Encoding Content-Length Content-MD5 Date Expect Forwarded From Host HTTP2-Settings
		If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Max-Forwards Origin Pragma
		Proxy-Authorization Referer Server TE Trailer Transfer-Encoding Upgrade Via Warning`) {
		names[strings.ToLower(name)] = true
	}
	return names
}()

// httpParameters checks what of the parameters of http:invoke is written down in
// the definition; the rest is for the task. The words are those of the task.
func (s *stateParser) httpParameters(given value.Value, at *place) {
	in := httpObject{s, given, at}
	in.only(HTTPFields)
	for _, name := range []string{"ApiEndpoint", "Method"} {
		if !in.has(name) {
			s.schema(at, "The field '%s' is required but was missing", name)
		}
	}
	if v, at, ok := in.text("ApiEndpoint"); ok {
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.Opaque != "" {
			s.httpFormat(at, "ApiEndpoint")
		}
	}
	if v, at, ok := in.text("Method"); ok && !slices.Contains(HTTPMethods, v) {
		s.httpFormat(at, "Method")
	}
	connected := false
	for _, name := range []string{"InvocationConfig", "Authentication"} {
		connected = connected || in.has(name)
		if inner, ok := in.object(name); ok {
			inner.only([]string{"ConnectionArn"})
			inner.text("ConnectionArn")
			if !inner.has("ConnectionArn") {
				s.schema(inner.at, "The field 'ConnectionArn' is required but was missing")
			}
		}
	}
	if !connected {
		s.schema(at, "The field 'Authentication' is required but was missing")
	}
	if headers, ok := in.object("Headers"); ok {
		headers.params("Headers")
		for name := range headers.v.Members() {
			if plain, _ := headers.plain(name); HTTPForbids(plain) {
				s.schema(headers.at.key(name), "The header '%s' is not supported by HTTP Task", plain)
			}
		}
	}
	if query, ok := in.object("QueryParameters"); ok {
		query.params("QueryParameters")
	}
	if transform, ok := in.object("Transform"); ok {
		transform.only([]string{"RequestBodyEncoding", "RequestEncodingOptions"})
		transform.word("RequestBodyEncoding", []string{"NONE", "URL_ENCODED"})
		if !transform.has("RequestBodyEncoding") {
			s.schema(transform.at, "The field 'RequestBodyEncoding' is required but was missing")
		}
		if options, ok := transform.object("RequestEncodingOptions"); ok {
			options.only([]string{"ArrayFormat"})
			options.word("ArrayFormat", HTTPArrayFormats)
		}
	}
}

func (s *stateParser) httpFormat(at *place, field string) {
	s.schema(at, "The value of the field '%s' has an invalid format", field)
}

// httpObject is an object among the parameters.
type httpObject struct {
	s  *stateParser
	v  value.Value
	at *place
}

// plain is a member's name without what says that a path gives its value.
func (o httpObject) plain(name string) (string, bool) {
	if o.s.lang == JSONata {
		return name, false
	}
	return strings.CutSuffix(name, ".$")
}

// dynamic reports whether an expression gives a value.
func (o httpObject) dynamic(v value.Value) bool {
	return o.s.lang == JSONata && v.Kind() == value.String && strings.HasPrefix(v.Str(), "{%")
}

func (o httpObject) has(name string) bool {
	return !o.v.Get(name).IsAbsent() || o.s.lang == JSONPath && !o.v.Get(name+".$").IsAbsent()
}

// only reports members that the object cannot have.
func (o httpObject) only(known []string) {
	for name := range o.v.Members() {
		if plain, _ := o.plain(name); !slices.Contains(known, plain) {
			o.s.schema(o.at.key(name), "The field '%s' is not supported by Step Functions", plain)
		}
	}
}

// text gives a member that is written down and is a text; another kind is
// reported.
func (o httpObject) text(name string) (string, *place, bool) {
	v, at := o.v.Get(name), o.at.key(name)
	switch {
	case v.IsAbsent() || o.dynamic(v):
		return "", nil, false
	case v.Kind() != value.String:
		o.s.schema(at, "The value for the field '%s' must be a STRING", name)
		return "", nil, false
	}
	return v.Str(), at, true
}

func (o httpObject) word(name string, words []string) {
	if v, at, ok := o.text(name); ok && !slices.Contains(words, v) {
		o.s.httpFormat(at, name)
	}
}

// object gives a member that is written down and is an object; another kind is
// reported.
func (o httpObject) object(name string) (httpObject, bool) {
	v, at := o.v.Get(name), o.at.key(name)
	switch {
	case v.IsAbsent() || o.dynamic(v):
		return httpObject{}, false
	case v.Kind() != value.Object:
		if !v.IsNull() || name == "Authentication" || name == "InvocationConfig" || name == "Transform" {
			o.s.httpFormat(at, name)
		}
		return httpObject{}, false
	}
	return httpObject{o.s, v, at}, true
}

// params reports values that are neither texts, numbers and the like nor lists of
// them.
func (o httpObject) params(field string) {
	scalar := func(v value.Value) bool { return v.Kind() != value.Object && v.Kind() != value.Array }
	for name, v := range o.v.Members() {
		if v.Kind() != value.Array {
			if !scalar(v) {
				o.s.httpFormat(o.at.key(name), field)
			}
			continue
		}
		for i, item := range v.Items() {
			if !scalar(item) {
				o.s.httpFormat(o.at.key(name).item(i), field)
			}
		}
	}
}
