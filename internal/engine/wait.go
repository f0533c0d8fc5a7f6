package engine

import (
	"fmt"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// maxWait is the longest time a state may wait, in seconds.
const maxWait = 99999999

// wait puts f to sleep until the state's time has come.
func (a *apply) wait(f *Frame, state *asl.Wait) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	a.inspect(AfterInputPath, input)
	until, failed := a.waitUntil(f, state, input)
	if failed != nil {
		return failed
	}
	if until > a.now+maxWait*1000 {
		return a.runtimeFailure(f, "Wait state delay is too long.")
	}
	if until <= a.now {
		return a.awake(f, state)
	}
	f.phase, f.due = sleeping, until
	return nil
}

// wake goes on after a Wait.
func (a *apply) wake(f *Frame) {
	if failed := a.awake(f, a.env.Machine.State(f.state).(*asl.Wait)); failed != nil {
		a.fail(f, failed)
	}
}

func (a *apply) awake(f *Frame, state *asl.Wait) *failure {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return failed
	}
	return a.passOn(f, state, input)
}

// waitUntil works out the end of the wait, in Unix milliseconds.
func (a *apply) waitUntil(f *Frame, state *asl.Wait, input *Data) (int64, *failure) {
	switch {
	case state.SecondsQuery != nil:
		seconds, failed := a.number(f, state.SecondsQuery)
		return a.now + min(seconds, maxWait+1)*1000, failed
	case state.TimestampQuery != nil:
		text, failed := a.wording(f, state.TimestampQuery)
		if failed != nil {
			return 0, failed
		}
		t, err := asl.ParseTimestamp(text)
		if err != nil {
			return 0, a.queryFailure(f, &asl.QueryError{Location: "Timestamp", Cause: "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: " + text})
		}
		return t.UnixMilli(), nil
	case state.Seconds != nil:
		return a.now + *state.Seconds*1000, nil
	case state.SecondsPath != nil:
		seconds, failed := a.secondsAt(f, state.SecondsPath, input, "SecondsPath")
		return a.now + min(seconds, maxWait+1)*1000, failed
	case state.TimestampPath != nil:
		v, err := state.TimestampPath.Eval(a.jsonpath(f, input.Value(), a.nextEvent()))
		if err != nil {
			return 0, a.runtimeFailure(f, "The TimestampPath parameter does not reference an input value: "+state.TimestampPath.String())
		}
		t, err := asl.ParseTimestamp(v.Str())
		if err != nil {
			return 0, a.runtimeFailure(f, fmt.Sprintf("The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: %s == %s", state.TimestampPath, plain(v)))
		}
		return t.UnixMilli(), nil
	default:
		t, err := asl.ParseTimestamp(state.Timestamp)
		if err != nil {
			return 0, a.runtimeFailure(f, "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: "+state.Timestamp)
		}
		return t.UnixMilli(), nil
	}
}

// secondsAt reads a whole, non-negative number of seconds from the input. The
// texts are recorded.
func (a *apply) secondsAt(f *Frame, path *jsonpath.Path, input *Data, field string) (int64, *failure) {
	v, err := path.Eval(a.jsonpath(f, input.Value(), a.nextEvent()))
	if err != nil {
		return 0, a.runtimeFailure(f, fmt.Sprintf("The %s parameter does not reference an input value: %s", field, path))
	}
	n, whole := v.Int64()
	switch {
	case v.Kind() != value.Number || !whole:
		return 0, a.runtimeFailure(f, fmt.Sprintf("The %s parameter cannot be parsed as a long value: %s == %s", field, path, plain(v)))
	case n < 0:
		return 0, a.runtimeFailure(f, fmt.Sprintf("The %s parameter references a negative value: %s == %s", field, path, plain(v)))
	}
	return n, nil
}

// plain shows a value in a message: strings without their quotes.
func plain(v value.Value) string {
	if v.Kind() == value.String {
		return v.Str()
	}
	return v.JSON()
}
