package service

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

func (i *sdk) query(ctx context.Context, d *description, c *task.Call, in value.Value) (value.Value, error) {
	name := capital(c.Resource.Action)
	r, err := i.services.send(ctx, i.name, d.queryRequest(name, in), d.exception, c.Resource.Service,
		func(r *awscall.Response) *task.Error {
			f, _ := queryFailure(r)
			return d.refused(f, "")
		})
	if err != nil {
		return value.Value{}, err
	}
	return queryResult(r, name), nil
}

// queryRequest is a call in AWS's query protocol: a form.
func (d *description) queryRequest(action string, in value.Value) *awscall.Request {
	form := url.Values{"Action": {action}, "Version": {d.version}}
	flatten(form, "", d.toWire(in))
	return &awscall.Request{
		Body:   form.Encode(),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
	}
}

// flatten adds what v holds to a form, under names that begin with prefix.
func flatten(form url.Values, prefix string, v value.Value) {
	switch v.Kind() {
	case value.Object:
		for key, x := range v.Members() {
			switch {
			case key == "MessageAttributes" && x.Kind() == value.Object:
				entries(form, prefix+key, x, "Name", "Value")
			case key == "Attributes" && x.Kind() == value.Object:
				entries(form, prefix+key, x, "key", "value")
			case x.Kind() == value.Object:
				flatten(form, prefix+key+".", x)
			default:
				flatten(form, prefix+key, x)
			}
		}
	case value.Array:
		for i, x := range v.Items() {
			name := prefix + ".member." + strconv.Itoa(i+1)
			if x.Kind() == value.Object {
				name += "."
			}
			flatten(form, name, x)
		}
	case value.Absent, value.Null:
	default:
		form.Set(prefix, text(v))
	}
}

// entries adds a map.
func entries(form url.Values, prefix string, v value.Value, key, content string) {
	n := 0
	for name, x := range v.Members() {
		n++
		at := prefix + ".entry." + strconv.Itoa(n) + "."
		form.Set(at+key, name)
		if x.Kind() == value.Object {
			flatten(form, at+content+".", x)
		} else {
			flatten(form, at+content, x)
		}
	}
}

// queryResult reads <ActionResponse><ActionResult>…: an object without that.
func queryResult(r *awscall.Response, action string) value.Value {
	root, err := readXML(r.Body)
	if err != nil {
		return value.ObjectOf(nil)
	}
	if v := root.child(action + "Result").value(nil); v.Kind() == value.Object {
		return v
	}
	return value.ObjectOf(nil)
}

// queryFailure reads <ErrorResponse><Error>…, and <Error>… as S3 has it. There is
// nothing for clients of another protocol.
func queryFailure(r *awscall.Response) (f awscall.Failure, compatible string) {
	root, err := readXML(r.Body)
	if err != nil {
		return awscall.Refusal(r), ""
	}
	at := root
	if e := root.child("Error"); e != nil {
		at = e
	}
	f = awscall.Failure{
		Status: r.Status, RequestID: awscall.RequestID(r.Header),
		Code: awscall.Short(at.child("Code").content(), 128), Message: awscall.Short(at.child("Message").content(), 2048),
	}
	if f.RequestID == "" {
		f.RequestID = root.child("RequestId").content()
	}
	if f.Message == "" {
		f.Message = http.StatusText(r.Status)
	}
	return f, ""
}

// element is a node of an XML document. A nil one is empty.
type element struct {
	name     string
	text     strings.Builder
	children []*element
}

// maxDepth is how deep documents may be.
const maxDepth = 64

var errXML = errors.New("not a document that a service would send")

func readXML(text string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	var stack []*element
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errors.Join(errXML, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			if len(stack) == maxDepth {
				return nil, errXML
			}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.children = append(top.children, e)
			}
			stack = append(stack, e)
		case xml.EndElement:
			if len(stack) == 1 {
				return stack[0], rest(d)
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			}
		}
	}
}

// rest reads the document to its end.
func rest(d *xml.Decoder) error {
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return errors.Join(errXML, err)
		}
	}
}

func (e *element) child(name string) *element {
	if e != nil {
		for _, c := range e.children {
			if c.name == name {
				return c
			}
		}
	}
	return nil
}

func (e *element) content() string {
	if e == nil {
		return ""
	}
	return e.text.String()
}

// shape says of an element by its name what it is where that does not show.
type shape uint8

const (
	plain  shape = iota
	list         // one item of several under its name
	number       // or true, false
)

// value makes e a value: a list of its members, a map of its entries, an object,
// or text.
func (e *element) value(shapes map[string]shape) value.Value {
	switch {
	case e == nil:
		return value.Value{}
	case len(e.children) == 0:
		if shapes[e.name] == number {
			if v, err := value.Parse(e.content()); err == nil {
				return v
			}
		}
		return value.Str(e.content())
	case e.children[0].name == "member":
		items := make([]value.Value, len(e.children))
		for i, c := range e.children {
			items[i] = c.value(shapes)
		}
		return value.ArrayOf(items)
	case e.children[0].name == "entry":
		pairs := make([]value.Member, len(e.children))
		for i, c := range e.children {
			pairs[i] = value.Member{Key: c.child("key").content(), Value: c.child("value").value(shapes)}
		}
		return value.ObjectOf(pairs)
	}
	var out []value.Member
	lists := map[string][]value.Value{}
	for _, c := range e.children {
		if shapes[c.name] != list {
			out = append(out, value.Member{Key: c.name, Value: c.value(shapes)})
			continue
		}
		if lists[c.name] == nil {
			out = append(out, value.Member{Key: c.name})
		}
		lists[c.name] = append(lists[c.name], c.value(shapes))
	}
	for i := range out {
		if items := lists[out[i].Key]; items != nil {
			out[i].Value = value.ArrayOf(items)
		}
	}
	return value.ObjectOf(out)
}
