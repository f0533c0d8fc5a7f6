package awsapi

import (
	"context"
	"strconv"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Logging is what a revision's loggingConfiguration asks for.
type Logging struct {
	Group string // ARN of the log group
	Level string // "ALL", "ERROR" or "FATAL"
	Data  bool   // includeExecutionData
}

// LoggingOf says what of a revision's executions is to be logged; false:
// nothing.
func LoggingOf(r store.Revision) (Logging, bool) {
	c, err := configurationOf(r.Configuration)
	if err != nil || c.Logging == nil || c.Logging.Level == "OFF" || len(c.Logging.Destinations) == 0 {
		return Logging{}, false
	}
	return Logging{Group: c.Logging.Destinations[0], Level: c.Logging.Level, Data: c.Logging.Data}, true
}

// AppendLogEntry appends a history event as AWS writes it to a log group: a JSON
// object (recorded).
func AppendLogEntry(out []byte, executionARN string, redrives int64, ev *engine.HistoryEvent, data bool) []byte {
	o := newObject(out)
	o.text("id", strconv.FormatInt(ev.ID, 10))
	o.text("type", ev.Type.String())
	o.open("details")
	if d, ok := details[ev.Type]; ok {
		eventDetails{&o, ev, data, true}.describe(d.detail)
	}
	o.close()
	o.text("previous_event_id", strconv.FormatInt(ev.Previous, 10))
	o.text("event_timestamp", strconv.FormatInt(ev.At, 10))
	o.text("execution_arn", executionARN)
	o.text("redrive_count", strconv.FormatInt(redrives, 10))
	return o.end()
}

// maxLogged is how much of a payload is logged (AWS's quota).
const maxLogged = 248 << 10

// logged writes the event's data as far as there is room for it. Without data
// nothing is said about it either (recorded).
func (e eventDetails) logged(member, about string) {
	if !e.data {
		return
	}
	text, cut := *e.ev.Data, false
	if len(text) > maxLogged {
		n := maxLogged
		for !utf8.RuneStart(text[n]) {
			n--
		}
		text, cut = text[:n], true
	}
	e.text(member, text)
	switch {
	case about == "":
	case cut:
		e.raw(about, `{"truncated":true}`)
	default:
		e.raw(about, `{"truncated":false}`)
	}
}

// checkLogGroup refuses a log group that is known not to be there (recorded).
func (s *Server) checkLogGroup(ctx context.Context, c configuration) error {
	if s.logGroup == nil || c.Logging == nil {
		return nil
	}
	for _, group := range c.Logging.Destinations {
		if !s.logGroup(ctx, group) {
			return invalidLogging("Log Destination not found.")
		}
	}
	return nil
}
