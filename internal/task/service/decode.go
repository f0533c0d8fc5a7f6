package service

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// decoder reads the answers of one call as a task's result has them.
type decoder struct {
	service *awsmodel.Service
	call    *awsmodel.Call
	// asWire says that binary members stay in base64 and times are numbers, of
	// milliseconds, as the older integrations have them.
	asWire bool
	read   bool // binary members are text already
}

// result is an answer's members by name, a stream last (recorded). What the model
// does not know is left out, as the SDK does.
func (d *decoder) result(r *awscall.Response) []value.Member {
	shape := d.call.Output
	if shape == nil {
		return nil
	}
	var out, last []value.Member
	for _, m := range shape.Members {
		v := d.bound(m, r)
		switch {
		case v.IsAbsent():
		case m.Streams:
			last = append(last, value.Member{Key: m.Name, Value: v})
		default:
			out = append(out, value.Member{Key: m.Name, Value: v})
		}
	}
	if shape.Payload() == nil {
		out = append(out, d.body(shape, r)...)
	}
	return append(sorted(value.ObjectOf(out)), last...)
}

// body reads the members that stand in the body.
func (d *decoder) body(shape *awsmodel.Shape, r *awscall.Response) []value.Member {
	switch d.service.Protocol {
	case awsmodel.JSON, awsmodel.RESTJSON:
		return membersOf(d.json(&awsmodel.Member{Shape: shape}, body(r)))
	case awsmodel.CBOR:
		v, err := readCBOR([]byte(r.Body))
		if err != nil {
			return nil
		}
		return membersOf((&decoder{read: true}).json(&awsmodel.Member{Shape: shape}, v))
	}
	if r.Body == "" {
		return nil
	}
	root, err := readXML(r.Body)
	if err != nil {
		return nil
	}
	if d.call.Wrapper != "" {
		root = root.child(d.call.Wrapper)
	}
	if d.service.Name == "s3" && d.call.Name == "GetBucketLocation" {
		return []value.Member{{Key: "LocationConstraint", Value: value.Str(root.content())}}
	}
	return root.members(shape)
}

func membersOf(v value.Value) []value.Member {
	out := make([]value.Member, 0, v.Len())
	for key, x := range v.Members() {
		out = append(out, value.Member{Key: key, Value: x})
	}
	return out
}

// bound reads a member that does not stand among others in the body; it is
// absent if the answer does not have it.
func (d *decoder) bound(m *awsmodel.Member, r *awscall.Response) value.Value {
	switch m.Place {
	case awsmodel.InStatus:
		return value.Int(int64(r.Status))
	case awsmodel.InHeader:
		text := r.Header.Get(m.Wire)
		if text == "" {
			return value.Value{}
		}
		if m.Shape.Kind == awsmodel.List {
			var items []value.Value
			for _, part := range strings.Split(text, ",") {
				items = append(items, fromText(m.Shape.Item, strings.TrimSpace(part), "rfc822"))
			}
			return value.ArrayOf(items)
		}
		return fromText(m, text, "rfc822")
	case awsmodel.InHeaders:
		prefix := http.CanonicalHeaderKey(m.Wire)
		var out []value.Member
		for name, values := range r.Header {
			if key, ok := strings.CutPrefix(name, prefix); ok && len(values) > 0 {
				out = append(out, value.Member{Key: strings.ToLower(key), Value: value.Str(strings.ToValidUTF8(values[0], "\uFFFD"))})
			}
		}
		return value.ObjectOf(sorted(value.ObjectOf(out)))
	case awsmodel.InPayload:
		return d.payload(m, r)
	}
	return value.Value{}
}

func (d *decoder) payload(m *awsmodel.Member, r *awscall.Response) value.Value {
	switch m.Shape.Kind {
	case awsmodel.Blob, awsmodel.String:
		if r.Body == "" && !m.Streams {
			return value.Value{}
		}
		return value.Str(strings.ToValidUTF8(r.Body, "\uFFFD"))
	}
	if r.Body == "" {
		return value.Value{}
	}
	if d.service.Protocol == awsmodel.RESTXML {
		root, err := readXML(r.Body)
		if err != nil {
			return value.Value{}
		}
		return root.value(m)
	}
	v, err := value.Parse(r.Body)
	if err != nil {
		return value.Value{}
	}
	return d.json(m, v)
}

// json reads what a JSON protocol has written: members under the names that
// they have in tasks, times as texts, binary members as the text they hold.
func (d *decoder) json(m *awsmodel.Member, v value.Value) value.Value {
	switch m.Shape.Kind {
	case awsmodel.Structure:
		if v.Kind() != value.Object {
			return v
		}
		var out []value.Member
		for _, of := range m.Shape.Members {
			if x := v.Get(of.Wire); of.Place == awsmodel.InBody && !x.IsAbsent() && !x.IsNull() {
				out = append(out, value.Member{Key: of.Name, Value: d.json(of, x)})
			}
		}
		return value.ObjectOf(out)
	case awsmodel.List:
		out := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			out = append(out, d.json(m.Shape.Item, x))
		}
		return value.ArrayOf(out)
	case awsmodel.Map:
		out := make([]value.Member, 0, v.Len())
		for key, x := range v.Members() {
			out = append(out, value.Member{Key: key, Value: d.json(m.Shape.Item, x)})
		}
		return value.ObjectOf(out)
	case awsmodel.Timestamp:
		if t, err := readTime(m.Name, v); err == nil && d.asWire {
			return value.Int(t.UnixMilli())
		}
		return fromTime(m, v, "unixTimestamp")
	case awsmodel.Blob:
		if v.Kind() == value.String && !d.asWire && !d.read {
			return fromBase64(v.Str())
		}
	}
	return v
}

// fromTime is a time as a text; protocols is the way it is written where the
// model does not say.
func fromTime(m *awsmodel.Member, v value.Value, protocols string) value.Value {
	if v.Kind() == value.Number {
		return value.Str(timestamp(v.Float()))
	}
	s := strings.TrimSpace(v.Str())
	if format(m, protocols) == "unixTimestamp" {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return value.Str(timestamp(f))
		}
	}
	for _, layout := range []string{time.RFC3339Nano, http.TimeFormat, "Mon, 2 Jan 2006 15:04:05 MST", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return value.Str(timeText(t.UTC(), "iso8601"))
		}
	}
	return v
}

// timestamp writes seconds since 1970 as AWS writes times in results.
func timestamp(seconds float64) string {
	return timeText(time.UnixMilli(int64(math.Round(seconds*1000))).UTC(), "iso8601")
}
