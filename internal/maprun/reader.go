package maprun

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/items"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// objectSource is the source of items that a reader finds in the object store.
type objectSource struct{ reader *items.Reader }

func openReader(ctx context.Context, st objects.Store, call *engine.ReaderCall, at json.RawMessage) (source, error) {
	if st == nil {
		return nil, &engine.RunError{Name: items.Name, Cause: "This server has no object store."}
	}
	var place items.Cursor
	if len(at) > 0 {
		if err := json.Unmarshal(at, &place); err != nil {
			return nil, err
		}
	}
	reader, err := items.Open(ctx, st, specOf(call), place)
	if err != nil {
		return nil, readFailure(err)
	}
	return objectSource{reader}, nil
}

func specOf(call *engine.ReaderCall) items.Spec {
	text := func(v value.Value, key string) string { return v.Get(key).Str() }
	p, c := call.Parameters, call.Config
	spec := items.Spec{
		Resource: items.GetObject, Bucket: text(p, "Bucket"), Key: text(p, "Key"), Prefix: text(p, "Prefix"),
		VersionID: text(p, "VersionId"), Owner: text(p, "ExpectedBucketOwner"),
		InputType: text(c, "InputType"), Delimiter: text(c, "CSVDelimiter"), HeaderLocation: text(c, "CSVHeaderLocation"),
		Pointer: text(c, "ItemsPointer"), Transformation: text(c, "Transformation"), ManifestType: text(c, "ManifestType"),
		MaxItems: call.MaxItems,
	}
	if call.Action == "listObjectsV2" {
		spec.Resource = items.ListObjects
	}
	for _, header := range c.Get("CSVHeaders").Items() {
		spec.Headers = append(spec.Headers, header.Str())
	}
	return spec
}

// readFailure makes what cannot be helped the run's own failure. A store that
// did not answer is worth another try.
func readFailure(err error) error {
	var e *items.Error
	if !errors.As(err, &e) {
		return err
	}
	known := errors.Is(err, objects.ErrNotFound) || errors.Is(err, objects.ErrChanged) || errors.Is(err, objects.ErrDenied)
	if e.Err != nil && !known {
		return err
	}
	return &engine.RunError{Name: items.Name, Cause: e.Cause}
}

func (s objectSource) next(ctx context.Context) (engine.MapItem, error) {
	item, err := s.reader.Next(ctx)
	if err != nil {
		return engine.MapItem{}, readFailure(err)
	}
	return engine.MapItem{Value: item.Value, Key: item.Key, Source: item.Source}, nil
}

func (s objectSource) cursor() any { return s.reader.Cursor() }
func (s objectSource) close()      { s.reader.Close() }

// causeOf is what the state machine hears of a store that did not answer.
func causeOf(err error) string {
	if e := (*items.Error)(nil); errors.As(err, &e) {
		return e.Cause
	}
	return err.Error()
}
