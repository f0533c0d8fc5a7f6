package service

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// rpcCBOR makes a request in Smithy's RPC protocol.
func (e *encoder) rpcCBOR(r *awscall.Request, shape *awsmodel.Shape, in value.Value) error {
	tree, err := e.forCBOR(&awsmodel.Member{Shape: shape}, in)
	if err != nil {
		return err
	}
	body, err := cbor.Marshal(tree)
	if err != nil {
		return fmt.Errorf("write CBOR: %w", err)
	}
	r.Body = string(body)
	r.EscapedPath = "/service/" + e.service.Target + "/operation/" + e.call.Name
	r.Header["Content-Type"] = []string{"application/cbor"}
	r.Header["Accept"] = []string{"application/cbor"}
	r.Header["Smithy-Protocol"] = []string{"rpc-v2-cbor"}
	return nil
}

// forCBOR is v with the types that it has in CBOR.
func (e *encoder) forCBOR(m *awsmodel.Member, v value.Value) (any, error) {
	switch m.Shape.Kind {
	case awsmodel.Structure, awsmodel.Map:
		if v.Kind() != value.Object {
			return nil, mustBe(m.Name, "an OBJECT")
		}
		out := make(map[string]any, v.Len())
		for name, x := range v.Members() {
			of, key := m.Shape.Item, name
			if m.Shape.Kind == awsmodel.Structure {
				if of = m.Shape.Member(name); of == nil {
					return nil, unknown(name)
				}
				key = of.Wire
			}
			if x.IsNull() {
				continue
			}
			var err error
			if out[key], err = e.forCBOR(of, x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case awsmodel.List:
		if v.Kind() != value.Array {
			return nil, mustBe(m.Name, "an ARRAY")
		}
		out := make([]any, 0, v.Len())
		for _, x := range v.Items() {
			y, err := e.forCBOR(m.Shape.Item, x)
			if err != nil {
				return nil, err
			}
			out = append(out, y)
		}
		return out, nil
	case awsmodel.Timestamp:
		t, err := readTime(m.Name, v)
		return cbor.Tag{Number: 1, Content: float64(t.UnixMilli()) / 1000}, err
	case awsmodel.Blob:
		return []byte(text(v)), nil
	}
	v, err := scalar(m, v)
	if err != nil {
		return nil, err
	}
	switch v.Kind() {
	case value.Bool:
		return v.Bool(), nil
	case value.Number:
		if i, ok := v.Int64(); ok && m.Shape.Kind == awsmodel.Integer {
			return i, nil
		}
		return v.Float(), nil
	}
	return v.Str(), nil
}

// cborMode bounds what an answer may cost.
var cborMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels: maxDepth, TimeTag: cbor.DecTagIgnored,
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // the options above are
	}
	return m
}()

// readCBOR reads an answer as the JSON that would say the same: times are seconds,
// binary members are text.
func readCBOR(b []byte) (value.Value, error) {
	if len(b) == 0 {
		return value.ObjectOf(nil), nil
	}
	var v any
	if err := cborMode.Unmarshal(b, &v); err != nil {
		return value.Value{}, fmt.Errorf("read CBOR: %w", err)
	}
	return fromCBOR(v), nil
}

func fromCBOR(v any) value.Value {
	switch v := v.(type) {
	case bool:
		return value.BoolOf(v)
	case uint64:
		n, _ := value.NumberText(fmt.Sprint(v))
		return n
	case int64:
		return value.Int(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return value.Str(fmt.Sprint(v))
		}
		return value.Float(v)
	case string:
		return value.Str(strings.ToValidUTF8(v, "\uFFFD"))
	case []byte:
		return value.Str(strings.ToValidUTF8(string(v), "\uFFFD"))
	case time.Time:
		return value.Float(float64(v.UnixMilli()) / 1000)
	case cbor.Tag:
		return fromCBOR(v.Content)
	case []any:
		out := make([]value.Value, len(v))
		for i, x := range v {
			out[i] = fromCBOR(x)
		}
		return value.ArrayOf(out)
	case map[any]any:
		out := make([]value.Member, 0, len(v))
		for key, x := range v {
			if key, ok := key.(string); ok {
				out = append(out, value.Member{Key: strings.ToValidUTF8(key, "\uFFFD"), Value: fromCBOR(x)})
			}
		}
		slices.SortFunc(out, func(a, b value.Member) int { return strings.Compare(a.Key, b.Key) })
		return value.ObjectOf(out)
	}
	return value.NullValue
}
