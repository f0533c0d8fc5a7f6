// Command gen makes services.zip from the models in botocore's data folder: what
// goes over the wire of each service, without documentation.
//
//	go run ./internal/task/awsmodel/gen -from botocore/data -to internal/task/awsmodel/services.zip
package main

import (
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

func main() {
	log.SetFlags(0)
	from := flag.String("from", "", "botocore's data `folder`")
	to := flag.String("to", "services.zip", "the `file` to write")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		log.Fatal(err)
	}
}

func run(from, to string) error {
	services, err := readAll(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write(f, services); err != nil {
		return err
	}
	return f.Close()
}

// write makes an archive whose bytes depend on the models alone.
func write(w io.Writer, services []*service) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, s := range services {
		e, err := z.CreateHeader(&zip.FileHeader{Name: s.Name + ".json", Method: zip.Deflate})
		if err != nil {
			return err
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := e.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}

// service is what an entry holds.
type service struct {
	awsmodel.Service
	Shapes []*awsmodel.Shape `json:"shapes"`
}

func readAll(from string) ([]*service, error) {
	folders, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	var all []*service
	for _, f := range folders {
		versions, err := filepath.Glob(filepath.Join(from, f.Name(), "*", "service-2.json*"))
		if err != nil {
			return nil, err
		}
		if len(versions) == 0 {
			continue
		}
		at := filepath.Dir(slices.Max(versions))
		s, err := readService(at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		if s != nil {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no models in %s", from)
	}
	slices.SortStableFunc(all, func(a, b *service) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b *service) bool { return a.Name == b.Name }), nil // two folders, one service
}

// source is a model as botocore has it.
type source struct {
	Metadata struct {
		APIVersion, EndpointPrefix, JSONVersion, Protocol, ServiceID, SignatureVersion, SigningName, TargetPrefix string

		Protocols    []string
		XMLNamespace string
	}
	Operations map[string]*operation
	Shapes     map[string]*shape
}

type operation struct {
	HTTP struct {
		Method, RequestURI string
	}
	Input, Output *reference
	Errors        []reference
	Endpoint      struct{ HostPrefix string }
	AuthType      string

	UnsignedPayload      bool
	HTTPChecksumRequired bool
	HTTPChecksum         struct{ RequestChecksumRequired bool }
}

type reference struct {
	Shape, LocationName, Location, QueryName, ResultWrapper, TimestampFormat string

	XMLNamespace                                                    xmlns
	IdempotencyToken, XMLAttribute, Flattened, JSONValue, Streaming bool
}

type xmlns struct{ URI string }

// UnmarshalJSON reads both forms: an object, and the URI alone.
func (x *xmlns) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &x.URI)
	}
	var o struct{ URI string }
	err := json.Unmarshal(data, &o)
	x.URI = o.URI
	return err
}

type shape struct {
	Type                                        string
	Members                                     map[string]*reference
	Member, Key, Value                          *reference
	Payload, LocationName, TimestampFormat      string
	Flattened, EventStream, Document, Streaming bool
	Exception                                   bool
	Error                                       struct{ Code string }
	XMLNamespace                                xmlns
}

// maker makes the entry of a service.
type maker struct {
	source
	out  *service
	done map[string]int // shapes by the name they have in the source
}

func readService(at string) (*service, error) {
	text, err := readFile(filepath.Join(at, "service-2.json"))
	if err != nil {
		return nil, err
	}
	m := maker{done: map[string]int{}}
	if err := json.Unmarshal(text, &m.source); err != nil {
		return nil, err
	}
	// Not SigV4: nothing in the chain of AWS credentials opens these.
	if v := m.Metadata.SignatureVersion; v == "bearer" || v == "v2" {
		return nil, nil
	}
	m.out = &service{Service: m.service()}
	rules, err := readFile(filepath.Join(at, "endpoint-rule-set-1.json"))
	if err == nil {
		if err := m.endpoint(rules); err != nil {
			return nil, err
		}
	}
	for _, name := range sortedKeys(m.Operations) {
		m.operation(name, m.Operations[name])
	}
	return m.out, nil
}

// readFile reads a file, or the same in gzip, as the wheel on PyPI has it.
func readFile(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	f, err := os.Open(name + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func (m *maker) service() awsmodel.Service {
	d := m.Metadata
	name := serviceName(d.ServiceID)
	protocol := awsmodel.Protocol(d.Protocol)
	if protocol == awsmodel.CBOR && slices.Contains(d.Protocols, "json") {
		protocol = awsmodel.JSON // the service takes both
		if d.JSONVersion == "" {
			d.JSONVersion = "1.0"
		}
	}
	s := awsmodel.Service{
		Name: name, Exception: exceptionPrefix(d.ServiceID),
		ID:   strings.ToUpper(strings.ReplaceAll(d.ServiceID, " ", "_")),
		Host: d.EndpointPrefix + ".{region}.amazonaws.com", SigningName: d.SigningName,
		Protocol: protocol, JSONVersion: d.JSONVersion, Target: d.TargetPrefix, Version: d.APIVersion,
		XMLNamespace: d.XMLNamespace, Actions: map[string]*awsmodel.Call{}, Errors: map[string]string{},
	}
	if s.SigningName == "" {
		s.SigningName = d.EndpointPrefix
	}
	return s
}

func (m *maker) operation(name string, o *operation) {
	action := strings.ToLower(name[:1]) + name[1:]
	if slices.Contains(unsupported[m.out.Name], name) || m.streams(o.Input) || m.streams(o.Output) {
		return
	}
	c := &awsmodel.Call{
		Name: name, Method: o.HTTP.Method, URI: o.HTTP.RequestURI, HostPrefix: o.Endpoint.HostPrefix, In: -1, Out: -1,
		Unsigned: o.AuthType == "none", UnsignedBody: o.AuthType == "v4-unsigned-body" || o.UnsignedPayload,
		Checksum: o.HTTPChecksumRequired || o.HTTPChecksum.RequestChecksumRequired,
	}
	if m.out.Name == "s3" { // the bucket is put where the endpoint wants it
		c.URI = strings.Replace(strings.Replace(c.URI, "/{Bucket}/", "/", 1), "/{Bucket}", "/", 1)
	}
	if o.Input != nil {
		c.In, c.Root, c.XMLNamespace = m.shape(o.Input.Shape), o.Input.LocationName, o.Input.XMLNamespace.URI
	}
	if o.Output != nil {
		c.Out, c.Wrapper = m.shape(o.Output.Shape), o.Output.ResultWrapper
	}
	for _, e := range o.Errors {
		code := e.Shape
		if s := m.source.Shapes[e.Shape]; s != nil && s.Error.Code != "" {
			code = s.Error.Code
			m.out.Errors[e.Shape] = exceptionClass(e.Shape)
		}
		m.out.Errors[code] = exceptionClass(e.Shape)
	}
	m.out.Actions[action] = c
}

// streams reports whether events come or go one by one, which no task can take.
func (m *maker) streams(r *reference) bool {
	if r == nil {
		return false
	}
	for _, x := range m.source.Shapes[r.Shape].Members {
		if m.source.Shapes[x.Shape].EventStream {
			return true
		}
	}
	return false
}

var kinds = map[string]awsmodel.Kind{
	"string": awsmodel.String, "character": awsmodel.String, "integer": awsmodel.Integer, "long": awsmodel.Integer,
	"float": awsmodel.Float, "double": awsmodel.Float, "boolean": awsmodel.Boolean, "blob": awsmodel.Blob,
	"timestamp": awsmodel.Timestamp, "list": awsmodel.List, "map": awsmodel.Map, "structure": awsmodel.Structure,
}

// shape adds a shape, and what it is made of, and returns its number.
func (m *maker) shape(name string) int {
	s := m.source.Shapes[name]
	id := name
	simple := s.Type != "list" && s.Type != "map" && s.Type != "structure"
	if simple { // all that are alike are one
		id = fmt.Sprint(s.Type, s.TimestampFormat)
	}
	if s.Document {
		simple, id = true, "document"
	}
	if at, ok := m.done[id]; ok {
		return at
	}
	at := len(m.out.Shapes)
	m.done[id] = at
	out := &awsmodel.Shape{Kind: kinds[s.Type], Format: s.TimestampFormat, Flat: s.Flattened}
	if out.Kind == "" {
		panic("a shape of type " + s.Type)
	}
	m.out.Shapes = append(m.out.Shapes, out)
	switch {
	case s.Document:
		out.Kind = awsmodel.Document
	case s.Type == "list":
		out.Item = m.member("", s.Member)
	case s.Type == "map":
		out.Item, out.Key = m.member("", s.Value), s.Key.LocationName
	case s.Type == "structure":
		for _, name := range sortedKeys(s.Members) {
			x := m.member(name, s.Members[name])
			if name == s.Payload {
				x.Place = awsmodel.InPayload
			}
			out.Members = append(out.Members, x)
		}
	}
	return at
}

func (m *maker) member(name string, r *reference) *awsmodel.Member {
	of := m.source.Shapes[r.Shape]
	x := &awsmodel.Member{
		Name: memberName(name), Wire: r.LocationName, Place: awsmodel.Place(r.Location), QueryName: r.QueryName,
		Token: r.IdempotencyToken, Attribute: r.XMLAttribute, Flat: r.Flattened, Format: r.TimestampFormat,
		JSON: r.JSONValue, Streams: r.Streaming || of.Streaming, XMLNamespace: r.XMLNamespace.URI,
	}
	if x.Wire == "" && x.Place == "" && of.LocationName != "" && m.out.Protocol == awsmodel.RESTXML {
		x.Wire = of.LocationName
	}
	if x.XMLNamespace == "" {
		x.XMLNamespace = of.XMLNamespace.URI
	}
	if x.Wire == "" && name != x.Name {
		x.Wire = name
	}
	if x.Wire == x.Name {
		x.Wire = ""
	}
	x.Is = m.shape(r.Shape)
	return x
}

// memberName is the name that a member has in a task.
func memberName(name string) string {
	if name == "" {
		return ""
	}
	if name == "equals" {
		return "EqualsValue"
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
