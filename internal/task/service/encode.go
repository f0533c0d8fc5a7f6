package service

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// encoder writes the parameters of one call as its service takes them.
type encoder struct {
	service *awsmodel.Service
	call    *awsmodel.Call
	token   string // of the task, the same whenever it is called
	// asWire says that binary parameters are in base64 already, as the older
	// integrations have them.
	asWire bool
	// pathStyle puts buckets in the path, not in the host's name.
	pathStyle bool
}

// badParameter is what is wrong with parameters, in AWS's words.
type badParameter string

func (b badParameter) Error() string { return string(b) }

func unknown(name string) error {
	return badParameter("The field '" + name + "' is not supported by Step Functions")
}

func missing(name string) error {
	return badParameter("The field '" + name + "' is required but was missing")
}

func mustBe(name, kind string) error {
	return badParameter("The value for the field '" + name + "' must be " + kind)
}

// request makes the request of a call. The error is a badParameter.
func (e *encoder) request(in value.Value) (*awscall.Request, error) {
	shape := e.call.Input
	if shape == nil {
		shape = &awsmodel.Shape{Kind: awsmodel.Structure}
	}
	in, err := e.complete(shape, in)
	if err != nil {
		return nil, err
	}
	r := &awscall.Request{
		Method: e.call.Method, Header: http.Header{}, Unsigned: e.call.Unsigned, UnsignedBody: e.call.UnsignedBody,
	}
	switch e.service.Protocol {
	case awsmodel.JSON:
		err = e.rpcJSON(r, shape, in)
	case awsmodel.Query, awsmodel.EC2:
		err = e.form(r, shape, in)
	case awsmodel.CBOR:
		err = e.rpcCBOR(r, shape, in)
	default:
		err = e.rest(r, shape, in)
	}
	if err != nil {
		return nil, err
	}
	if r.HostPrefix, err = e.host(r.HostPrefix, shape, in); err != nil {
		return nil, err
	}
	for name, values := range r.Header { // would fail in this process, not at the service
		if strings.ContainsFunc(name+values[0], func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, badParameter("The value of the header '" + name + "' has an invalid format")
		}
	}
	if e.call.Checksum {
		sum := crc32.ChecksumIEEE([]byte(r.Body))
		r.Header["X-Amz-Checksum-Crc32"] = []string{base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})}
	}
	return r, nil
}

// complete refuses parameters that the action does not have, and fills in the
// token by which the service knows a call that is made again.
func (e *encoder) complete(shape *awsmodel.Shape, in value.Value) (value.Value, error) {
	for name := range in.Members() {
		if shape.Member(name) == nil {
			return in, unknown(name)
		}
	}
	for _, m := range shape.Members {
		if m.Token && in.Get(m.Name).IsAbsent() && e.token != "" {
			in = in.With(m.Name, value.Str(uuid.NewSHA1(uuid.NameSpaceURL, []byte(e.token)).String()))
		}
	}
	if m := shape.Member("AccountId"); e.service.Name == "glacier" && m != nil && in.Get(m.Name).IsAbsent() {
		in = in.With(m.Name, value.Str("-")) // whoever calls
	}
	return in, nil
}

// host is what stands in front of AWS's own host for this call.
func (e *encoder) host(prefix string, shape *awsmodel.Shape, in value.Value) (string, error) {
	text := e.call.HostPrefix
	for {
		before, rest, ok := strings.Cut(text, "{")
		if !ok {
			return text + prefix, nil
		}
		name, after, _ := strings.Cut(rest, "}")
		m := shape.OnWire(name)
		if m == nil {
			m = shape.Member(capital(name))
		}
		if m == nil {
			return "", missing(name)
		}
		label := in.Get(m.Name).Str()
		if !isHostLabel(label) {
			return "", missing(m.Name)
		}
		text = before + label + after
	}
}

func isHostLabel(s string) bool {
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}

func (e *encoder) rpcJSON(r *awscall.Request, shape *awsmodel.Shape, in value.Value) error {
	r.Header["Content-Type"] = []string{"application/x-amz-json-" + e.service.JSONVersion}
	r.Header["X-Amz-Target"] = []string{e.service.Target + "." + e.call.Name}
	body, err := e.json(&awsmodel.Member{Shape: shape}, in)
	r.Body = body.JSON()
	return err
}

// json is v as JSON protocols write it.
func (e *encoder) json(m *awsmodel.Member, v value.Value) (value.Value, error) {
	return e.tree(m, v, func(m *awsmodel.Member, v value.Value) (value.Value, error) {
		switch m.Shape.Kind {
		case awsmodel.Timestamp:
			t, err := readTime(m.Name, v)
			if err != nil {
				return v, err
			}
			text := timeText(t, format(m, "unixTimestamp"))
			if n, err := value.NumberText(text); err == nil {
				return n, nil
			}
			return value.Str(text), nil
		case awsmodel.Blob:
			return value.Str(e.blob(v)), nil
		}
		return scalar(m, v)
	})
}

// tree writes v member by member under the names of the wire; leaf writes what
// is neither a structure nor a list nor a map.
func (e *encoder) tree(m *awsmodel.Member, v value.Value, leaf func(*awsmodel.Member, value.Value) (value.Value, error)) (value.Value, error) {
	switch m.Shape.Kind {
	case awsmodel.Structure:
		if v.Kind() != value.Object {
			return v, mustBe(m.Name, "an OBJECT")
		}
		out := make([]value.Member, 0, v.Len())
		for name, x := range v.Members() {
			of := m.Shape.Member(name)
			if of == nil {
				return v, unknown(name)
			}
			if x.IsNull() || of.Place != awsmodel.InBody {
				continue
			}
			x, err := e.tree(of, x, leaf)
			if err != nil {
				return v, err
			}
			out = append(out, value.Member{Key: of.Wire, Value: x})
		}
		return value.ObjectOf(out), nil
	case awsmodel.List:
		if v.Kind() != value.Array {
			return v, mustBe(m.Name, "an ARRAY")
		}
		out := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			x, err := e.item(m, x, leaf)
			if err != nil {
				return v, err
			}
			out = append(out, x)
		}
		return value.ArrayOf(out), nil
	case awsmodel.Map:
		if v.Kind() != value.Object {
			return v, mustBe(m.Name, "an OBJECT")
		}
		out := make([]value.Member, 0, v.Len())
		for key, x := range v.Members() {
			x, err := e.item(m, x, leaf)
			if err != nil {
				return v, err
			}
			out = append(out, value.Member{Key: key, Value: x})
		}
		return value.ObjectOf(out), nil
	}
	return leaf(m, v)
}

func (e *encoder) item(m *awsmodel.Member, x value.Value, leaf func(*awsmodel.Member, value.Value) (value.Value, error)) (value.Value, error) {
	if x.IsNull() {
		return x, nil
	}
	of := *m.Shape.Item
	of.Name = m.Name // for what is said about it
	return e.tree(&of, x, leaf)
}

// scalar is a text, a number or a truth value: what can be read as one is.
func scalar(m *awsmodel.Member, v value.Value) (value.Value, error) {
	switch m.Shape.Kind {
	case awsmodel.String:
		return value.Str(text(v)), nil
	case awsmodel.Boolean:
		switch {
		case v.Kind() == value.Bool:
			return v, nil
		case strings.EqualFold(v.Str(), "true"), strings.EqualFold(v.Str(), "false"):
			return value.BoolOf(strings.EqualFold(v.Str(), "true")), nil
		}
		return v, mustBe(m.Name, "a BOOLEAN")
	case awsmodel.Integer, awsmodel.Float:
		if v.Kind() == value.String {
			n, err := value.NumberText(v.Str())
			if err != nil {
				if f := v.Str(); m.Shape.Kind == awsmodel.Float && (f == "NaN" || f == "Infinity" || f == "-Infinity") {
					return v, nil
				}
				return v, mustBe(m.Name, "a NUMBER")
			}
			v = n
		}
		if v.Kind() != value.Number {
			return v, mustBe(m.Name, "a NUMBER")
		}
		if f := v.Float(); m.Shape.Kind == awsmodel.Integer {
			if f != math.Trunc(f) {
				return v, mustBe(m.Name, "an INTEGER")
			}
			if i, ok := v.Int64(); ok {
				return value.Int(i), nil // 1.0 too
			}
		}
	}
	return v, nil
}

// blob is a binary parameter in base64.
func (e *encoder) blob(v value.Value) string {
	if e.asWire && v.Kind() == value.String {
		return v.Str()
	}
	return base64.StdEncoding.EncodeToString([]byte(text(v)))
}

// plainText is a scalar in a header, a path, a query or an element.
func (e *encoder) plainText(m *awsmodel.Member, v value.Value, times string) (string, error) {
	switch m.Shape.Kind {
	case awsmodel.Timestamp:
		t, err := readTime(m.Name, v)
		return timeText(t, format(m, times)), err
	case awsmodel.Blob:
		return e.blob(v), nil
	case awsmodel.List, awsmodel.Map, awsmodel.Structure:
		return "", mustBe(m.Name, "a STRING")
	}
	v, err := scalar(m, v)
	if s := text(v); m.JSON && m.Place == awsmodel.InHeader {
		return base64.StdEncoding.EncodeToString([]byte(s)), err
	}
	return text(v), err
}

// format is how a time is written: as the model says, or as the protocol does.
func format(m *awsmodel.Member, protocols string) string {
	if m.Format != "" {
		return m.Format
	}
	if m.Shape.Format != "" {
		return m.Shape.Format
	}
	return protocols
}

func readTime(name string, v value.Value) (time.Time, error) {
	if v.Kind() == value.Number {
		if s := v.Float(); math.Abs(s) < 1e11 {
			return time.UnixMilli(int64(math.Round(s * 1000))).UTC(), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02", http.TimeFormat} {
		if t, err := time.Parse(layout, v.Str()); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, mustBe(name, "a TIMESTAMP")
}

func timeText(t time.Time, format string) string {
	switch format {
	case "rfc822":
		return t.Format(http.TimeFormat)
	case "unixTimestamp":
		if ms := t.UnixMilli(); ms%1000 != 0 {
			return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64)
		}
		return strconv.FormatInt(t.Unix(), 10)
	}
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// rest makes a request whose path, query, headers and body the model describes.
func (e *encoder) rest(r *awscall.Request, shape *awsmodel.Shape, in value.Value) error {
	path, fixed, _ := strings.Cut(e.call.URI, "?")
	query, _ := url.ParseQuery(fixed)
	bodily := false
	for _, m := range shape.Members {
		bodily = bodily || m.Place == awsmodel.InBody
		v := in.Get(m.Name)
		if v.IsAbsent() || v.IsNull() {
			continue
		}
		if err := e.bind(r, m, v, query); err != nil {
			return err
		}
	}
	if err := e.path(r, path, shape, in); err != nil {
		return err
	}
	switch e.service.Name { // what the SDKs know of services beyond their models
	case "apigateway":
		r.Header["Accept"] = []string{"application/json"} // HAL otherwise
	case "glacier":
		r.Header["X-Amz-Glacier-Version"] = []string{e.service.Version}
	}
	r.Query = strings.ReplaceAll(query.Encode(), "+", "%20")
	if payload := shape.Payload(); payload != nil {
		return e.payload(r, payload, in.Get(payload.Name))
	}
	if bodily {
		return e.document(r, &awsmodel.Member{Shape: shape, Wire: e.call.Root, XMLNamespace: e.call.XMLNamespace}, in)
	}
	return nil
}

// bind puts a parameter into the query or the headers, if that is its place.
func (e *encoder) bind(r *awscall.Request, m *awsmodel.Member, v value.Value, query url.Values) error {
	switch m.Place {
	case awsmodel.InQuery:
		return e.inQuery(m, v, query)
	case awsmodel.InHeader:
		parts := []value.Value{v}
		of := m
		if m.Shape.Kind == awsmodel.List {
			if v.Kind() != value.Array {
				return mustBe(m.Name, "an ARRAY")
			}
			parts = slices.Collect(valuesOf(v))
			of = &awsmodel.Member{Name: m.Name, Shape: m.Shape.Item.Shape, Format: m.Shape.Item.Format, Place: m.Place}
		}
		texts := make([]string, len(parts))
		for i, p := range parts {
			s, err := e.plainText(of, p, "rfc822")
			if err != nil {
				return err
			}
			if m.Shape.Kind == awsmodel.List && strings.ContainsAny(s, `,"`) && of.Shape.Kind == awsmodel.String {
				s = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
			}
			texts[i] = s
		}
		if s := strings.Join(texts, ","); s != "" {
			r.Header[http.CanonicalHeaderKey(m.Wire)] = []string{s}
		}
	case awsmodel.InHeaders:
		if v.Kind() != value.Object {
			return mustBe(m.Name, "an OBJECT")
		}
		for key, x := range v.Members() {
			r.Header[http.CanonicalHeaderKey(m.Wire+key)] = []string{text(x)}
		}
	}
	return nil
}

func valuesOf(v value.Value) func(func(value.Value) bool) {
	return func(yield func(value.Value) bool) {
		for _, x := range v.Items() {
			if !yield(x) {
				return
			}
		}
	}
}

func (e *encoder) inQuery(m *awsmodel.Member, v value.Value, query url.Values) error {
	add := func(key string, m *awsmodel.Member, v value.Value) error {
		s, err := e.plainText(m, v, "iso8601")
		query.Add(key, s)
		return err
	}
	each := func(key string, list *awsmodel.Shape, v value.Value) error {
		if v.Kind() != value.Array {
			return mustBe(m.Name, "an ARRAY")
		}
		for _, x := range v.Items() {
			if err := add(key, list.Item, x); err != nil {
				return err
			}
		}
		return nil
	}
	switch m.Shape.Kind {
	case awsmodel.List:
		return each(m.Wire, m.Shape, v)
	case awsmodel.Map:
		if v.Kind() != value.Object {
			return mustBe(m.Name, "an OBJECT")
		}
		for key, x := range v.Members() {
			if query.Has(key) {
				continue // what has a name of its own counts
			}
			if of := m.Shape.Item; of.Shape.Kind == awsmodel.List {
				if err := each(key, of.Shape, x); err != nil {
					return err
				}
			} else if err := add(key, of, x); err != nil {
				return err
			}
		}
		return nil
	}
	return add(m.Wire, m, v)
}

// path fills the path's variables in.
func (e *encoder) path(r *awscall.Request, path string, shape *awsmodel.Shape, in value.Value) error {
	var out strings.Builder
	if bucket := shape.Member("Bucket"); e.service.Name == "s3" && bucket != nil && bucket.Place == awsmodel.InURI {
		name := text(in.Get("Bucket"))
		switch {
		case in.Get("Bucket").IsAbsent() || name == "":
			return missing("Bucket")
		case !e.pathStyle && isHostLabel(name) && name == strings.ToLower(name) && len(name) >= 3:
			r.HostPrefix = name + "."
		default:
			out.WriteString("/" + awscall.EscapePath(name))
			if path == "/" {
				path = ""
			}
		}
	}
	for {
		before, rest, ok := strings.Cut(path, "{")
		out.WriteString(before)
		if !ok {
			r.EscapedPath = out.String()
			return nil
		}
		label, after, _ := strings.Cut(rest, "}")
		label, greedy := strings.CutSuffix(label, "+")
		m := shape.OnWire(label)
		if m == nil || in.Get(m.Name).IsAbsent() {
			return missing(capital(label))
		}
		s, err := e.plainText(m, in.Get(m.Name), "iso8601")
		if err != nil {
			return err
		}
		if s == "" {
			return missing(m.Name)
		}
		if e.service.Name == "route53" && m.Name != "DNSName" { // as the service gives ids: /hostedzone/Z1
			s = s[strings.LastIndexByte(s, '/')+1:]
		}
		parts := []string{s}
		if greedy {
			parts = strings.Split(s, "/")
		}
		for i, p := range parts {
			parts[i] = awscall.EscapePath(p)
		}
		out.WriteString(strings.Join(parts, "/"))
		path = after
	}
}

// payload writes a parameter that is the whole body.
func (e *encoder) payload(r *awscall.Request, m *awsmodel.Member, v value.Value) error {
	given := !v.IsAbsent() && !v.IsNull()
	switch m.Shape.Kind {
	case awsmodel.Blob, awsmodel.String:
		if !given {
			return nil
		}
		r.Body = v.JSON() // a string keeps its quotes (recorded)
		if m.Shape.Kind == awsmodel.String {
			r.Body = text(v)
		}
		if r.Header["Content-Type"] == nil {
			r.Header["Content-Type"] = []string{e.payloadType(m)}
		}
		return nil
	case awsmodel.Document:
		if given {
			r.Body = v.JSON()
			r.Header["Content-Type"] = []string{"application/json"}
		}
		return nil
	}
	if !given {
		if e.service.Protocol == awsmodel.RESTJSON {
			r.Body, r.Header["Content-Type"] = "{}", []string{"application/json"}
		}
		return nil
	}
	return e.document(r, m, v)
}

func (e *encoder) payloadType(m *awsmodel.Member) string {
	switch {
	case e.service.Name == "s3", m.Shape.Kind == awsmodel.String:
		return "text/plain; charset=UTF-8" // recorded
	case e.service.Name == "lambda":
		return "application/json"
	}
	return "application/octet-stream"
}

// document writes a body of members.
func (e *encoder) document(r *awscall.Request, m *awsmodel.Member, v value.Value) error {
	if e.service.Protocol == awsmodel.RESTXML {
		r.Header["Content-Type"] = []string{"application/xml"}
		if m.XMLNamespace == "" {
			of := *m
			of.XMLNamespace = e.service.XMLNamespace
			m = &of
		}
		x, err := e.xml(m, v)
		r.Body = x
		return err
	}
	r.Header["Content-Type"] = []string{"application/json"}
	body, err := e.json(m, v)
	r.Body = body.JSON()
	return err
}

// form makes a request in the query protocols.
func (e *encoder) form(r *awscall.Request, shape *awsmodel.Shape, in value.Value) error {
	form := url.Values{"Action": {e.call.Name}, "Version": {e.service.Version}}
	if err := e.flatten(form, "", &awsmodel.Member{Shape: shape}, in); err != nil {
		return err
	}
	r.Body = form.Encode()
	r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded; charset=utf-8"}
	return nil
}

// flatten adds v to a form, under names that begin with prefix.
func (e *encoder) flatten(form url.Values, prefix string, m *awsmodel.Member, v value.Value) error {
	ec2 := e.service.Protocol == awsmodel.EC2
	flat := ec2 || m.Flat || m.Shape.Flat
	switch m.Shape.Kind {
	case awsmodel.Structure:
		if v.Kind() != value.Object {
			return mustBe(m.Name, "an OBJECT")
		}
		if prefix != "" {
			prefix += "."
		}
		for name, x := range v.Members() {
			of := m.Shape.Member(name)
			if of == nil {
				return unknown(name)
			}
			if x.IsNull() {
				continue
			}
			if err := e.flatten(form, prefix+e.formName(of), of, x); err != nil {
				return err
			}
		}
		return nil
	case awsmodel.List:
		if v.Kind() != value.Array {
			return mustBe(m.Name, "an ARRAY")
		}
		if v.Len() == 0 && !ec2 {
			form.Set(prefix, "")
		}
		item := *m.Shape.Item
		item.Name = m.Name
		switch {
		case ec2:
		case flat && item.Wire != "": // the list's own name gives way
			prefix = prefix[:strings.LastIndexByte(prefix, '.')+1] + item.Wire
		case !flat && item.Wire != "":
			prefix += "." + item.Wire
		case !flat:
			prefix += ".member"
		}
		for i, x := range v.Items() {
			if err := e.flatten(form, prefix+"."+strconv.Itoa(i+1), &item, x); err != nil {
				return err
			}
		}
		return nil
	case awsmodel.Map:
		if v.Kind() != value.Object {
			return mustBe(m.Name, "an OBJECT")
		}
		if !flat {
			prefix += ".entry"
		}
		n := 0
		for key, x := range v.Members() {
			n++
			at := prefix + "." + strconv.Itoa(n) + "."
			form.Set(at+or(m.Shape.Key, "key"), key)
			if err := e.flatten(form, at+or(m.Shape.Item.Wire, "value"), m.Shape.Item, x); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := e.plainText(m, v, "iso8601")
	form.Set(prefix, s)
	return err
}

// formName is a member's name in the query protocols.
func (e *encoder) formName(m *awsmodel.Member) string {
	switch {
	case e.service.Protocol != awsmodel.EC2:
		return m.Wire
	case m.QueryName != "":
		return m.QueryName
	}
	return capital(m.Wire)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// describe makes an error of encoding one of the task.
func describe(input string, err error) error {
	var bad badParameter
	if errors.As(err, &bad) {
		return awscall.BadParameters(input, string(bad))
	}
	return fmt.Errorf("write the request: %w", err)
}
