package maprun

import (
	"context"
	"encoding/json"
	"io"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// source gives a run's items in their order. Its errors are io.EOF, a
// *engine.RunError, or ones that are worth another try.
type source interface {
	// next gives the next item, without its Index.
	next(ctx context.Context) (engine.MapItem, error)
	// cursor names the place before the next item; as JSON it opens the source
	// there again.
	cursor() any
	close()
}

// stateData is the source of items that are in the state's input.
type stateData struct {
	at     int
	values []value.Value
	keys   []string // of an object
}

func newStateData(items value.Value, cursor json.RawMessage) (*stateData, error) {
	s := &stateData{}
	if items.Kind() == value.Array {
		for _, v := range items.Items() {
			s.values = append(s.values, v)
		}
	} else {
		for key, v := range items.Members() {
			s.keys, s.values = append(s.keys, key), append(s.values, v)
		}
	}
	if len(cursor) == 0 {
		return s, nil
	}
	return s, json.Unmarshal(cursor, &s.at)
}

func (s *stateData) next(context.Context) (engine.MapItem, error) {
	if s.at >= len(s.values) {
		return engine.MapItem{}, io.EOF
	}
	item := engine.MapItem{Value: s.values[s.at], Source: engine.StateData}
	if s.keys != nil {
		item.Key = s.keys[s.at]
	}
	s.at++
	return item, nil
}

func (s *stateData) cursor() any { return s.at }
func (s *stateData) close()      {}
