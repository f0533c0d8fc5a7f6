// Package awsmodel knows AWS's services: what each is called, where it is, which
// actions it has, and how their parameters and results are written on the wire.
//
// All of it stands in services.zip, an entry for each service, which gen makes
// from the models that AWS publishes. An entry is read when its service is asked
// for first; until then it costs nothing but its bytes in the program.
package awsmodel

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

//go:embed services.zip
var archive []byte

// Protocol is how a service's requests and answers are written.
type Protocol string

// The protocols, as AWS's models call them.
const (
	JSON     Protocol = "json"
	RESTJSON Protocol = "rest-json"
	RESTXML  Protocol = "rest-xml"
	Query    Protocol = "query"
	EC2      Protocol = "ec2"
	CBOR     Protocol = "smithy-rpc-v2-cbor"
)

// Service is a service's model. It and what hangs on it must not be changed.
type Service struct {
	Name         string            `json:"name"`      // in aws-sdk:…: "dynamodb"
	Exception    string            `json:"exception"` // in front of its errors' names: "DynamoDb"
	ID           string            `json:"id"`        // in AWS_ENDPOINT_URL_<ID>: "DYNAMODB"
	Host         string            `json:"host"`      // AWS's own, with {region} where the region stands
	SigningName  string            `json:"signingName"`
	SigningIn    string            `json:"signingIn,omitempty"` // the region in signatures where it is always the same
	Protocol     Protocol          `json:"protocol"`
	JSONVersion  string            `json:"jsonVersion,omitempty"` // "1.0", "1.1"
	Target       string            `json:"target,omitempty"`      // in front of the action in X-Amz-Target
	Version      string            `json:"version"`               // of the API: "2012-08-10"
	XMLNamespace string            `json:"xmlns,omitempty"`
	Actions      map[string]*Call  `json:"actions"`          // by their name with a small letter: "putItem"
	Errors       map[string]string `json:"errors,omitempty"` // the SDK's class for each error code: "NoSuchKey" → "NoSuchKeyException"

	shapes []*Shape
}

// Call is an action of a service.
type Call struct {
	Name         string `json:"name"` // "PutItem"
	Method       string `json:"method"`
	URI          string `json:"uri"`               // "/{Bucket}/{Key+}?x=y"
	Input        *Shape `json:"-"`                 // nil: takes nothing
	Output       *Shape `json:"-"`                 // nil: answers nothing
	Wrapper      string `json:"wrapper,omitempty"` // the element around the answer, in the query protocol
	Root         string `json:"root,omitempty"`    // the element around the request, in XML
	XMLNamespace string `json:"xmlns,omitempty"`   // of Root
	HostPrefix   string `json:"host,omitempty"`    // "{AccountId}."
	Unsigned     bool   `json:"unsigned,omitempty"`
	UnsignedBody bool   `json:"unsignedBody,omitempty"`
	Checksum     bool   `json:"checksum,omitempty"` // the body's sum must be sent

	In  int `json:"in"`  // of Input among the entry's shapes, -1 for none
	Out int `json:"out"` // of Output
}

// Kind is what a shape is.
type Kind string

// The kinds of shapes.
const (
	String    Kind = "string"
	Integer   Kind = "integer" // of any size
	Float     Kind = "float"
	Boolean   Kind = "boolean"
	Blob      Kind = "blob"
	Timestamp Kind = "timestamp"
	Document  Kind = "document" // any JSON
	List      Kind = "list"
	Map       Kind = "map"
	Structure Kind = "structure"
)

// Shape is a type of parameters or results.
type Shape struct {
	Kind    Kind      `json:"k"`
	Format  string    `json:"f,omitempty"`    // Timestamp: unixTimestamp, iso8601, rfc822; "": the protocol's
	JSON    bool      `json:"j,omitempty"`    // String: JSON as text, in base64 where it is a header
	Members []*Member `json:"m,omitempty"`    // Structure
	Item    *Member   `json:"i,omitempty"`    // List, Map: its items or values
	Key     string    `json:"key,omitempty"`  // Map: the element of keys where it is not "key"
	Flat    bool      `json:"flat,omitempty"` // List, Map: without an element around it, in XML and queries

	byName map[string]*Member
	byWire map[string]*Member
}

// Member is a member of a structure, or what a list or map holds.
type Member struct {
	Name         string `json:"n,omitempty"` // in tasks: "TableName"
	Wire         string `json:"w,omitempty"` // on the wire; "" in a list or map: the protocol's
	Shape        *Shape `json:"-"`
	Place        Place  `json:"p,omitempty"`
	QueryName    string `json:"q,omitempty"` // in the EC2 protocol where it is not Wire's
	Token        bool   `json:"t,omitempty"` // filled in where it is not given
	Streams      bool   `json:"s,omitempty"` // it is the body, of any size
	Attribute    bool   `json:"a,omitempty"` // of the element, in XML
	Flat         bool   `json:"flat,omitempty"`
	Format       string `json:"f,omitempty"`
	JSON         bool   `json:"j,omitempty"`
	XMLNamespace string `json:"x,omitempty"`

	Is int `json:"is"` // of Shape among the entry's shapes
}

// Place is where a member stands in a request or answer.
type Place string

// The places.
const (
	InBody    Place = ""
	InPayload Place = "payload" // it is the body
	InURI     Place = "uri"
	InQuery   Place = "querystring"
	InHeader  Place = "header"
	InHeaders Place = "headers" // a map, in all headers that begin with Wire
	InStatus  Place = "statusCode"
)

// Member finds a structure's member by its name in tasks.
func (s *Shape) Member(name string) *Member { return s.byName[name] }

// OnWire finds a structure's member by its name on the wire.
func (s *Shape) OnWire(name string) *Member { return s.byWire[name] }

// Payload is the member of a structure that is the whole body, or nil.
func (s *Shape) Payload() *Member {
	if s != nil {
		for _, m := range s.Members {
			if m.Place == InPayload {
				return m
			}
		}
	}
	return nil
}

type entry struct {
	once sync.Once
	file *zip.File
	of   *Service
}

var entries = sync.OnceValue(func() map[string]*entry {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic("awsmodel: services.zip: " + err.Error()) // built in, and read by a test
	}
	m := make(map[string]*entry, len(r.File))
	for _, f := range r.File {
		m[strings.TrimSuffix(f.Name, ".json")] = &entry{file: f}
	}
	return m
})

// Names are the services that there are models of, in no order.
func Names() []string {
	var list []string
	for name := range entries() {
		list = append(list, name)
	}
	return list
}

// Find is the model of a service by its name in aws-sdk:…, or nil.
func Find(name string) *Service {
	e := entries()[name]
	if e == nil {
		return nil
	}
	e.once.Do(func() {
		s, err := read(e.file)
		if err != nil {
			panic("awsmodel: " + name + ": " + err.Error()) // built in, and read by a test
		}
		e.of = s
	})
	return e.of
}

// Lacks reports whether a service that there is a model of has no action of the
// name, written as in aws-sdk:…. Of other services nothing is known.
func Lacks(service, action string) bool {
	s := Find(service)
	return s != nil && s.Actions[action] == nil
}

func read(f *zip.File) (*Service, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all struct {
		Service
		Shapes []*Shape `json:"shapes"`
	}
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return nil, err
	}
	s := &all.Service
	s.shapes = all.Shapes
	return s, s.link()
}

// link puts shapes in the place of their numbers.
func (s *Service) link() error {
	for _, shape := range s.shapes {
		if shape.Item != nil {
			if shape.Item.Is >= len(s.shapes) {
				return fmt.Errorf("no shape %d", shape.Item.Is)
			}
			shape.Item.Shape = s.shapes[shape.Item.Is]
		}
		if shape.Kind == Structure {
			shape.byName = make(map[string]*Member, len(shape.Members))
			shape.byWire = make(map[string]*Member, len(shape.Members))
		}
		for _, m := range shape.Members {
			if m.Is >= len(s.shapes) {
				return fmt.Errorf("no shape %d", m.Is)
			}
			m.Shape = s.shapes[m.Is]
			if m.Wire == "" {
				m.Wire = m.Name
			}
			shape.byName[m.Name], shape.byWire[m.Wire] = m, m
		}
	}
	for _, c := range s.Actions {
		if c.In >= 0 {
			c.Input = s.shapes[c.In]
		}
		if c.Out >= 0 {
			c.Output = s.shapes[c.Out]
		}
	}
	return nil
}
