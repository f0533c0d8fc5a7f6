package asl

import (
	"regexp"
	"time"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Wait waits for a time span or until an instant. Exactly one field is set.
type Wait struct {
	Common
	Seconds       *int64
	SecondsPath   *jsonpath.Path
	Timestamp     string
	TimestampPath *jsonpath.Path

	SecondsQuery   *Query
	TimestampQuery *Query
}

func (*Wait) isState() {}

func (s *stateParser) wait(base Common) State {
	w := &Wait{Common: base}
	s.exactlyOne(s.v, s.at, "SecondsPath", "Seconds", "TimestampPath", "Timestamp")
	if n, ok := s.integerField("Seconds", 0, maxTimeoutSecs); ok {
		w.Seconds = &n
	}
	if f := s.v.Get("Timestamp"); !f.IsAbsent() && !(s.lang == JSONata && isExpression(f)) {
		w.Timestamp = s.timestamp(f, s.at.key("Timestamp"))
	}
	w.SecondsQuery = s.computed(s.v, s.at, "Seconds")
	w.TimestampQuery = s.computed(s.v, s.at, "Timestamp")
	if s.lang == JSONPath {
		w.SecondsPath = s.path(s.v, s.at, "SecondsPath")
		w.TimestampPath = s.path(s.v, s.at, "TimestampPath")
	}
	return w
}

func (s *stateParser) timestamp(v value.Value, at *place) string {
	if !s.isKind(v, at, value.String) {
		return ""
	}
	if _, err := ParseTimestamp(v.Str()); err != nil {
		s.schema(at, "String does not match RFC3339 timestamp")
	}
	return v.Str()
}

// rfc3339 is the profile that the language asks for: T and Z in upper case.
// time.Parse checks the numbers.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)

// ParseTimestamp reads a timestamp as the language writes them: RFC 3339 with T
// and Z in upper case, as in 2016-03-14T01:59:00Z or with an offset.
func ParseTimestamp(text string) (time.Time, error) {
	if !rfc3339.MatchString(text) {
		return time.Time{}, &time.ParseError{Layout: time.RFC3339, Value: text, Message: ": not an RFC 3339 timestamp"}
	}
	return time.Parse(time.RFC3339Nano, text)
}
