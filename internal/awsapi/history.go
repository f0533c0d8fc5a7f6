package awsapi

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// maxPage is about how many bytes of events one page holds: pages may be
// shorter than asked for, so that a history of large payloads does not have to
// be in memory at once.
const maxPage = 4 << 20

func (s *Server) getExecutionHistory(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("executionArn", arnText)
	reverse := in.flag("reverseOrder", false)
	data := in.flag("includeExecutionData", true)
	p, err := in.page(maxToken, "GetExecutionHistory", arn, strconv.FormatBool(reverse), strconv.FormatBool(data))
	if err != nil {
		return nil, err
	}
	h := historyPage{limit: p.limit, reverse: reverse, data: data}
	if p.after != "" {
		if h.last, err = strconv.ParseInt(p.after, 10, 64); err != nil {
			return nil, invalidToken()
		}
	}
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	h.object = newObject(out)
	h.list("events")
	h.start = len(h.buf)
	read := s.store.History
	if x.express != "" {
		read = s.express.History
	}
	err = read(ctx, x.ID, h.last, reverse, h.chunk)
	if err = errors.Join(err, h.err); err != nil {
		return nil, err
	}
	h.endList()
	if h.more {
		h.text("nextToken", p.token(strconv.FormatInt(h.last, 10)))
	}
	return h.end(), nil
}

// historyPage writes one page of a history as its chunks come by.
type historyPage struct {
	object
	start   int // length of what was written before the events
	limit   int
	reverse bool
	data    bool  // includeExecutionData
	last    int64 // id of the newest event written, here or on the page before; 0: none
	count   int
	more    bool
	err     error
}

// chunk writes those events of a chunk that belong to the page. It returns
// false when the page is full.
func (h *historyPage) chunk(c engine.Chunk) bool {
	if h.passed(c.First) && h.passed(c.First+c.Count-1) {
		return true
	}
	events, err := engine.DecodeHistory(c)
	if err != nil {
		h.err = err
		return false
	}
	if h.reverse {
		slices.Reverse(events)
	}
	for i := range events {
		if h.passed(events[i].ID) {
			continue
		}
		if h.count == h.limit || len(h.buf)-h.start > maxPage {
			h.more = true
			return false
		}
		h.item()
		describeEvent(&h.object, &events[i], h.data)
		h.close()
		h.last = events[i].ID
		h.count++
	}
	return true
}

// passed says whether an event comes before the page's next one.
func (h *historyPage) passed(id int64) bool {
	if h.last == 0 {
		return false
	}
	if h.reverse {
		return id >= h.last
	}
	return id <= h.last
}

// detail is the shape of an event's details. AWS has a member for nearly every
// type, and a handful of shapes.
type detail uint8

const (
	none           detail = iota
	entered               // name, input
	exited                // name, output, assignedVariables
	failure               // error, cause
	taskFailure           // resourceType, resource, error, cause
	taskName              // resourceType, resource
	taskOutput            // resourceType, resource, output
	taskCall              // TaskScheduled
	lambdaCall            // LambdaFunctionScheduled
	activityCall          // ActivityScheduled
	activityTaken         // ActivityStarted
	resultOutput          // output
	started               // ExecutionStarted
	redriven              // redriveCount
	mapLength             // length
	iteration             // name, index
	mapRun                // mapRunArn
	mapRunRedriven        // mapRunArn, redriveCount
	evaluation            // state, location, error, cause
)

// details says for each type of event which member its details are in and what
// they look like. Types that are missing have none (recorded).
var details = map[engine.HistoryType]struct {
	member string
	detail detail
}{
	engine.ExecutionStartedType:   {"executionStartedEventDetails", started},
	engine.ExecutionSucceededType: {"executionSucceededEventDetails", resultOutput},
	engine.ExecutionFailedType:    {"executionFailedEventDetails", failure},
	engine.ExecutionAbortedType:   {"executionAbortedEventDetails", failure},
	engine.ExecutionTimedOutType:  {"executionTimedOutEventDetails", failure},
	engine.ExecutionRedrivenType:  {"executionRedrivenEventDetails", redriven},

	engine.PassStateEnteredType:     {"stateEnteredEventDetails", entered},
	engine.TaskStateEnteredType:     {"stateEnteredEventDetails", entered},
	engine.ChoiceStateEnteredType:   {"stateEnteredEventDetails", entered},
	engine.WaitStateEnteredType:     {"stateEnteredEventDetails", entered},
	engine.SucceedStateEnteredType:  {"stateEnteredEventDetails", entered},
	engine.FailStateEnteredType:     {"stateEnteredEventDetails", entered},
	engine.ParallelStateEnteredType: {"stateEnteredEventDetails", entered},
	engine.MapStateEnteredType:      {"stateEnteredEventDetails", entered},

	engine.PassStateExitedType:     {"stateExitedEventDetails", exited},
	engine.TaskStateExitedType:     {"stateExitedEventDetails", exited},
	engine.ChoiceStateExitedType:   {"stateExitedEventDetails", exited},
	engine.WaitStateExitedType:     {"stateExitedEventDetails", exited},
	engine.SucceedStateExitedType:  {"stateExitedEventDetails", exited},
	engine.ParallelStateExitedType: {"stateExitedEventDetails", exited},
	engine.MapStateExitedType:      {"stateExitedEventDetails", exited},

	engine.MapStateStartedType:       {"mapStateStartedEventDetails", mapLength},
	engine.MapIterationStartedType:   {"mapIterationStartedEventDetails", iteration},
	engine.MapIterationSucceededType: {"mapIterationSucceededEventDetails", iteration},
	engine.MapIterationFailedType:    {"mapIterationFailedEventDetails", iteration},
	engine.MapIterationAbortedType:   {"mapIterationAbortedEventDetails", iteration},
	engine.MapRunStartedType:         {"mapRunStartedEventDetails", mapRun},
	engine.MapRunFailedType:          {"mapRunFailedEventDetails", failure},
	engine.MapRunRedrivenType:        {"mapRunRedrivenEventDetails", mapRunRedriven},

	engine.LambdaFunctionScheduledType:      {"lambdaFunctionScheduledEventDetails", lambdaCall},
	engine.LambdaFunctionScheduleFailedType: {"lambdaFunctionScheduleFailedEventDetails", failure},
	engine.LambdaFunctionStartFailedType:    {"lambdaFunctionStartFailedEventDetails", failure},
	engine.LambdaFunctionSucceededType:      {"lambdaFunctionSucceededEventDetails", resultOutput},
	engine.LambdaFunctionFailedType:         {"lambdaFunctionFailedEventDetails", failure},
	engine.LambdaFunctionTimedOutType:       {"lambdaFunctionTimedOutEventDetails", failure},

	engine.ActivityScheduledType:      {"activityScheduledEventDetails", activityCall},
	engine.ActivityScheduleFailedType: {"activityScheduleFailedEventDetails", failure},
	engine.ActivityStartedType:        {"activityStartedEventDetails", activityTaken},
	engine.ActivitySucceededType:      {"activitySucceededEventDetails", resultOutput},
	engine.ActivityFailedType:         {"activityFailedEventDetails", failure},
	engine.ActivityTimedOutType:       {"activityTimedOutEventDetails", failure},

	engine.TaskScheduledType:    {"taskScheduledEventDetails", taskCall},
	engine.TaskStartedType:      {"taskStartedEventDetails", taskName},
	engine.TaskStartFailedType:  {"taskStartFailedEventDetails", taskFailure},
	engine.TaskSubmittedType:    {"taskSubmittedEventDetails", taskOutput},
	engine.TaskSubmitFailedType: {"taskSubmitFailedEventDetails", taskFailure},
	engine.TaskSucceededType:    {"taskSucceededEventDetails", taskOutput},
	engine.TaskFailedType:       {"taskFailedEventDetails", taskFailure},
	engine.TaskTimedOutType:     {"taskTimedOutEventDetails", taskFailure},

	engine.EvaluationFailedType: {"evaluationFailedEventDetails", evaluation},
}

// describeEvent writes the members of a HistoryEvent. Without data, payloads
// and the values of variables are left out.
func describeEvent(o *object, ev *engine.HistoryEvent, data bool) {
	o.number("id", ev.ID)
	o.number("previousEventId", ev.Previous)
	o.time("timestamp", ev.At)
	o.text("type", ev.Type.String())
	d, ok := details[ev.Type]
	if !ok {
		return
	}
	e := eventDetails{o, ev, data, false}
	o.open(d.member)
	e.describe(d.detail)
	o.close()
}

// eventDetails writes the details of one event.
type eventDetails struct {
	*object
	ev   *engine.HistoryEvent
	data bool
	log  bool // an entry of a log, not an answer of the API
}

func (e eventDetails) describe(d detail) {
	ev := e.ev
	switch d {
	case entered:
		e.text("name", ev.Name)
		e.payload("input", "inputDetails")
	case exited:
		e.text("name", ev.Name)
		e.payload("output", "outputDetails")
		e.assigned()
	case failure:
		e.failure()
	case taskFailure:
		e.task()
		e.failure()
	case taskName:
		e.task()
	case taskOutput:
		e.task()
		e.payload("output", "outputDetails")
	case taskCall:
		e.task()
		e.text("region", ev.Region)
		e.payload("parameters", "")
		e.clocks()
		e.credentials()
	case lambdaCall:
		e.text("resource", ev.Resource)
		e.payload("input", "inputDetails")
		e.clocks()
		e.credentials()
	case activityCall:
		e.text("resource", ev.Resource)
		e.payload("input", "inputDetails")
		e.clocks()
	case activityTaken:
		e.textIf("workerName", ev.Name)
	case resultOutput:
		e.payload("output", "outputDetails")
	case started:
		e.payload("input", "inputDetails")
		e.text("roleArn", ev.RoleARN)
		e.textIf("stateMachineAliasArn", ev.AliasARN)
		e.textIf("stateMachineVersionArn", ev.VersionARN)
	case redriven:
		e.number("redriveCount", ev.Redrives)
	case mapLength:
		e.number("length", ev.Length)
	case iteration:
		e.text("name", ev.Name)
		e.number("index", ev.Index)
	case mapRun:
		e.text("mapRunArn", ev.MapRunARN)
	case mapRunRedriven:
		e.text("mapRunArn", ev.MapRunARN)
		e.number("redriveCount", ev.Redrives)
	case evaluation:
		e.failure()
		e.textIf("location", ev.Location)
		e.text("state", ev.Name)
	}
}

// payload writes the event's data, and that nothing of it was cut off: AWS
// does that in logs alone.
func (e eventDetails) payload(member, about string) {
	if e.ev.Data == nil {
		return
	}
	if e.log {
		e.logged(member, about)
		return
	}
	if e.data {
		e.text(member, *e.ev.Data)
	}
	if about != "" {
		e.raw(about, `{"truncated":false}`)
	}
}

func (e eventDetails) assigned() {
	if len(e.ev.Assigned) == 0 || e.log && !e.data {
		return
	}
	if e.data {
		e.open("assignedVariables")
		for i, a := range e.ev.Assigned {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.buf = append(value.AppendString(e.buf, a.Name), ':')
			e.buf = value.AppendString(e.buf, a.JSON)
		}
		e.close()
	}
	e.raw("assignedVariablesDetails", `{"truncated":false}`)
}

func (e eventDetails) failure() {
	e.optional("error", e.ev.Error)
	e.optional("cause", e.ev.Cause)
}

func (e eventDetails) task() {
	e.text("resourceType", e.ev.Service)
	e.text("resource", e.ev.Resource)
}

func (e eventDetails) clocks() {
	e.numberIf("timeoutInSeconds", e.ev.Timeout)
	e.numberIf("heartbeatInSeconds", e.ev.Heartbeat)
}

func (e eventDetails) credentials() {
	if e.ev.RoleARN != "" {
		e.open("taskCredentials")
		e.text("roleArn", e.ev.RoleARN)
		e.object.close()
	}
}
