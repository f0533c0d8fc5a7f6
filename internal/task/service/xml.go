package service

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// xml writes a member and what it holds as an element.
func (e *encoder) xml(m *awsmodel.Member, v value.Value) (string, error) {
	var b strings.Builder
	err := e.element(&b, m.Wire, m, v)
	return b.String(), err
}

func (e *encoder) element(b *strings.Builder, name string, m *awsmodel.Member, v value.Value) error {
	flat := m.Flat || m.Shape.Flat
	switch m.Shape.Kind {
	case awsmodel.Structure:
		return e.structure(b, name, m, v)
	case awsmodel.List:
		if v.Kind() != value.Array {
			return mustBe(m.Name, "an ARRAY")
		}
		item := *m.Shape.Item
		item.Name = m.Name
		each := or(item.Wire, "member")
		if flat {
			each = name
		} else {
			begin(b, name, m.XMLNamespace)
		}
		for _, x := range v.Items() {
			if err := e.element(b, each, &item, x); err != nil {
				return err
			}
		}
		if !flat {
			b.WriteString("</" + name + ">")
		}
		return nil
	case awsmodel.Map:
		if v.Kind() != value.Object {
			return mustBe(m.Name, "an OBJECT")
		}
		each := "entry"
		if flat {
			each = name
		} else {
			begin(b, name, m.XMLNamespace)
		}
		for key, x := range v.Members() {
			begin(b, each, "")
			k := or(m.Shape.Key, "key")
			begin(b, k, "")
			escape(b, key)
			b.WriteString("</" + k + ">")
			if err := e.element(b, or(m.Shape.Item.Wire, "value"), m.Shape.Item, x); err != nil {
				return err
			}
			b.WriteString("</" + each + ">")
		}
		if !flat {
			b.WriteString("</" + name + ">")
		}
		return nil
	}
	s, err := e.plainText(m, v, "iso8601")
	if err != nil {
		return err
	}
	begin(b, name, m.XMLNamespace)
	escape(b, s)
	b.WriteString("</" + name + ">")
	return nil
}

func (e *encoder) structure(b *strings.Builder, name string, m *awsmodel.Member, v value.Value) error {
	if v.Kind() != value.Object {
		return mustBe(m.Name, "an OBJECT")
	}
	b.WriteString("<" + name)
	if prefix, _, ok := cutType(m); ok { // S3's Grantee has a type, xsi:type
		b.WriteString(` xmlns:` + prefix + `="` + m.XMLNamespace + `"`)
	} else if m.XMLNamespace != "" {
		b.WriteString(` xmlns="` + m.XMLNamespace + `"`)
	}
	for key, x := range v.Members() {
		of := m.Shape.Member(key)
		if of == nil {
			return unknown(key)
		}
		if of.Attribute && !x.IsNull() {
			b.WriteString(" " + of.Wire + `="`)
			escape(b, text(x))
			b.WriteString(`"`)
		}
	}
	b.WriteString(">")
	for key, x := range v.Members() {
		of := m.Shape.Member(key)
		if of.Attribute || of.Place != awsmodel.InBody || x.IsNull() {
			continue
		}
		if err := e.element(b, of.Wire, of, x); err != nil {
			return err
		}
	}
	b.WriteString("</" + name + ">")
	return nil
}

// cutType finds a member that is an attribute with a namespace's prefix.
func cutType(m *awsmodel.Member) (prefix, name string, ok bool) {
	for _, of := range m.Shape.Members {
		if of.Attribute {
			return strings.Cut(of.Wire, ":")
		}
	}
	return "", "", false
}

func begin(b *strings.Builder, name, namespace string) {
	b.WriteString("<" + name)
	if namespace != "" {
		b.WriteString(` xmlns="` + namespace + `"`)
	}
	b.WriteString(">")
}

func escape(b *strings.Builder, s string) { _ = xml.EscapeText(b, []byte(s)) } // a Builder takes all

// element is a node of an XML document. A nil one is empty.
type element struct {
	name       string
	text       strings.Builder
	children   []*element
	attributes []xml.Attr
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
			e := &element{name: t.Name.Local, attributes: t.Attr}
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

// named are the children of a name.
func (e *element) named(name string) []*element {
	var list []*element
	for _, c := range e.children {
		if c.name == name {
			list = append(list, c)
		}
	}
	return list
}

func (e *element) content() string {
	if e == nil {
		return ""
	}
	return e.text.String()
}

// members reads a structure's members from the children of an element.
func (e *element) members(shape *awsmodel.Shape) []value.Member {
	if e == nil {
		return nil
	}
	byName := make(map[string]*element, len(e.children))
	for _, c := range e.children {
		if byName[c.name] == nil {
			byName[c.name] = c
		}
	}
	var out []value.Member
	for _, m := range shape.Members {
		if m.Place != awsmodel.InBody {
			continue
		}
		if m.Attribute {
			_, local, _ := strings.Cut(m.Wire, ":")
			for _, a := range e.attributes {
				if a.Name.Local == local {
					out = append(out, value.Member{Key: m.Name, Value: value.Str(a.Value)})
				}
			}
			continue
		}
		c := byName[m.Wire]
		if flat := m.Flat || m.Shape.Flat; flat && m.Shape.Kind == awsmodel.List {
			name := m.Wire
			if byName[name] == nil && m.Shape.Item.Wire != "" { // the query protocol's way
				name = m.Shape.Item.Wire
			}
			if items := e.named(name); len(items) > 0 {
				out = append(out, value.Member{Key: m.Name, Value: list(m, items)})
			}
			continue
		} else if flat && m.Shape.Kind == awsmodel.Map {
			if pairs := e.named(m.Wire); len(pairs) > 0 {
				out = append(out, value.Member{Key: m.Name, Value: pairsOf(m, pairs)})
			}
			continue
		}
		if c != nil {
			out = append(out, value.Member{Key: m.Name, Value: c.value(m)})
		}
	}
	return out
}

func list(m *awsmodel.Member, items []*element) value.Value {
	out := make([]value.Value, len(items))
	for i, c := range items {
		out[i] = c.value(m.Shape.Item)
	}
	return value.ArrayOf(out)
}

func pairsOf(m *awsmodel.Member, pairs []*element) value.Value {
	out := make([]value.Member, len(pairs))
	for i, c := range pairs {
		of := c.child(or(m.Shape.Item.Wire, "value"))
		out[i] = value.Member{Key: c.child(or(m.Shape.Key, "key")).content(), Value: of.value(m.Shape.Item)}
	}
	return value.ObjectOf(out)
}

// value reads an element as what the model says that it is.
func (e *element) value(m *awsmodel.Member) value.Value {
	if e == nil {
		return value.Str("")
	}
	switch m.Shape.Kind {
	case awsmodel.Structure:
		return value.ObjectOf(e.members(m.Shape))
	case awsmodel.List:
		return list(m, e.children)
	case awsmodel.Map:
		return pairsOf(m, e.children)
	}
	return fromText(m, e.content(), "iso8601")
}

// fromText reads a scalar from a text: an element's, a header's.
func fromText(m *awsmodel.Member, s, times string) value.Value {
	s = strings.ToValidUTF8(s, "\uFFFD")
	switch m.Shape.Kind {
	case awsmodel.Integer, awsmodel.Float:
		if n, err := value.NumberText(strings.TrimSpace(s)); err == nil {
			return n
		}
	case awsmodel.Boolean:
		return value.BoolOf(strings.EqualFold(strings.TrimSpace(s), "true"))
	case awsmodel.Timestamp:
		return fromTime(m, value.Str(s), times)
	case awsmodel.Blob:
		return fromBase64(s)
	case awsmodel.String:
		if m.JSON && m.Place == awsmodel.InHeader {
			return fromBase64(s)
		}
	}
	return value.Str(s)
}

func fromBase64(s string) value.Value {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return value.Str(s)
	}
	return value.Str(strings.ToValidUTF8(string(b), "\uFFFD"))
}
