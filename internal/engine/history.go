package engine

import (
	"encoding/binary"
	"fmt"
)

// HistoryEvent is one event of an execution's history, in AWS's terms
// (GetExecutionHistory). Which details apply depends on Type; texts that were
// not given are nil, numbers that were not given are 0.
type HistoryEvent struct {
	ID       int64
	Previous int64
	At       int64 // Unix time in milliseconds
	Type     HistoryType

	Name       string       // of a state, an iteration's Map, or an activity's worker
	Data       *string      // input, output or parameters: JSON text
	Error      *string      //
	Cause      *string      //
	Resource   string       // ARN, or an integration's action with its pattern
	Service    string       // an integration's resourceType
	Region     string       //
	RoleARN    string       // of the execution, or of a task's credentials
	Timeout    int64        // timeoutInSeconds
	Heartbeat  int64        // heartbeatInSeconds
	Index      int64        // of an iteration
	Length     int64        // of a Map's items
	Assigned   []Assignment // in the order of the names
	Location   string       // of a failed evaluation
	VersionARN string       //
	AliasARN   string       //
	MapRunARN  string       //
	Redrives   int64        // redriveCount
}

// Assignment is a variable that a state set on leaving.
type Assignment struct {
	Name string
	JSON string
}

// HistoryType is the type of a history event.
type HistoryType uint8

// The types AWS writes. Their numbers are stored: new ones go last.
const (
	_ HistoryType = iota
	ExecutionStartedType
	ExecutionSucceededType
	ExecutionFailedType
	ExecutionAbortedType
	ExecutionTimedOutType
	ExecutionRedrivenType
	PassStateEnteredType
	PassStateExitedType
	TaskStateEnteredType
	TaskStateExitedType
	TaskStateAbortedType
	ChoiceStateEnteredType
	ChoiceStateExitedType
	WaitStateEnteredType
	WaitStateExitedType
	WaitStateAbortedType
	SucceedStateEnteredType
	SucceedStateExitedType
	FailStateEnteredType
	ParallelStateEnteredType
	ParallelStateStartedType
	ParallelStateSucceededType
	ParallelStateFailedType
	ParallelStateAbortedType
	ParallelStateExitedType
	MapStateEnteredType
	MapStateStartedType
	MapIterationStartedType
	MapIterationSucceededType
	MapIterationFailedType
	MapIterationAbortedType
	MapStateSucceededType
	MapStateFailedType
	MapStateAbortedType
	MapStateExitedType
	LambdaFunctionScheduledType
	LambdaFunctionScheduleFailedType
	LambdaFunctionStartedType
	LambdaFunctionStartFailedType
	LambdaFunctionSucceededType
	LambdaFunctionFailedType
	LambdaFunctionTimedOutType
	ActivityScheduledType
	ActivityScheduleFailedType
	ActivityStartedType
	ActivitySucceededType
	ActivityFailedType
	ActivityTimedOutType
	TaskScheduledType
	TaskStartedType
	TaskStartFailedType
	TaskSubmittedType
	TaskSubmitFailedType
	TaskSucceededType
	TaskFailedType
	TaskTimedOutType
	EvaluationFailedType
	MapRunStartedType
	MapRunSucceededType
	MapRunFailedType
	MapRunAbortedType
	MapRunRedrivenType
	historyTypes // their number
)

var historyTypeNames = [historyTypes]string{
	ExecutionStartedType:             "ExecutionStarted",
	ExecutionSucceededType:           "ExecutionSucceeded",
	ExecutionFailedType:              "ExecutionFailed",
	ExecutionAbortedType:             "ExecutionAborted",
	ExecutionTimedOutType:            "ExecutionTimedOut",
	ExecutionRedrivenType:            "ExecutionRedriven",
	PassStateEnteredType:             "PassStateEntered",
	PassStateExitedType:              "PassStateExited",
	TaskStateEnteredType:             "TaskStateEntered",
	TaskStateExitedType:              "TaskStateExited",
	TaskStateAbortedType:             "TaskStateAborted",
	ChoiceStateEnteredType:           "ChoiceStateEntered",
	ChoiceStateExitedType:            "ChoiceStateExited",
	WaitStateEnteredType:             "WaitStateEntered",
	WaitStateExitedType:              "WaitStateExited",
	WaitStateAbortedType:             "WaitStateAborted",
	SucceedStateEnteredType:          "SucceedStateEntered",
	SucceedStateExitedType:           "SucceedStateExited",
	FailStateEnteredType:             "FailStateEntered",
	ParallelStateEnteredType:         "ParallelStateEntered",
	ParallelStateStartedType:         "ParallelStateStarted",
	ParallelStateSucceededType:       "ParallelStateSucceeded",
	ParallelStateFailedType:          "ParallelStateFailed",
	ParallelStateAbortedType:         "ParallelStateAborted",
	ParallelStateExitedType:          "ParallelStateExited",
	MapStateEnteredType:              "MapStateEntered",
	MapStateStartedType:              "MapStateStarted",
	MapIterationStartedType:          "MapIterationStarted",
	MapIterationSucceededType:        "MapIterationSucceeded",
	MapIterationFailedType:           "MapIterationFailed",
	MapIterationAbortedType:          "MapIterationAborted",
	MapStateSucceededType:            "MapStateSucceeded",
	MapStateFailedType:               "MapStateFailed",
	MapStateAbortedType:              "MapStateAborted",
	MapStateExitedType:               "MapStateExited",
	LambdaFunctionScheduledType:      "LambdaFunctionScheduled",
	LambdaFunctionScheduleFailedType: "LambdaFunctionScheduleFailed",
	LambdaFunctionStartedType:        "LambdaFunctionStarted",
	LambdaFunctionStartFailedType:    "LambdaFunctionStartFailed",
	LambdaFunctionSucceededType:      "LambdaFunctionSucceeded",
	LambdaFunctionFailedType:         "LambdaFunctionFailed",
	LambdaFunctionTimedOutType:       "LambdaFunctionTimedOut",
	ActivityScheduledType:            "ActivityScheduled",
	ActivityScheduleFailedType:       "ActivityScheduleFailed",
	ActivityStartedType:              "ActivityStarted",
	ActivitySucceededType:            "ActivitySucceeded",
	ActivityFailedType:               "ActivityFailed",
	ActivityTimedOutType:             "ActivityTimedOut",
	TaskScheduledType:                "TaskScheduled",
	TaskStartedType:                  "TaskStarted",
	TaskStartFailedType:              "TaskStartFailed",
	TaskSubmittedType:                "TaskSubmitted",
	TaskSubmitFailedType:             "TaskSubmitFailed",
	TaskSucceededType:                "TaskSucceeded",
	TaskFailedType:                   "TaskFailed",
	TaskTimedOutType:                 "TaskTimedOut",
	EvaluationFailedType:             "EvaluationFailed",
	MapRunStartedType:                "MapRunStarted",
	MapRunSucceededType:              "MapRunSucceeded",
	MapRunFailedType:                 "MapRunFailed",
	MapRunAbortedType:                "MapRunAborted",
	MapRunRedrivenType:               "MapRunRedriven",
}

// String gives AWS's name of the type.
func (t HistoryType) String() string {
	if int(t) < len(historyTypeNames) && historyTypeNames[t] != "" {
		return historyTypeNames[t]
	}
	return fmt.Sprintf("HistoryType(%d)", uint8(t))
}

// Chunk is a run of history events, packed. Chunks of an execution follow one
// another without a gap; DecodeHistory unpacks one.
type Chunk struct {
	First int64 // id of the first event
	Count int64
	Data  []byte
}

const chunkVersion = 1

// Fields present in a packed event.
const (
	hasName = 1 << iota
	hasData
	sameData // the same payload text as the last one in the chunk
	hasError
	hasCause
	hasResource
	hasRegion
	hasRole
	hasTimeout
	hasHeartbeat
	hasIndex
	hasLength
	hasAssigned
	hasLocation
	hasVersion
	hasAlias
	hasMapRun
	hasRedrives
)

// historyWriter packs events as the engine writes them.
type historyWriter struct {
	chunk    Chunk
	lastAt   int64
	lastData string
}

func (w *historyWriter) add(ev *HistoryEvent) {
	c := &w.chunk
	if c.Count == 0 {
		c.First = ev.ID
		c.Data = append(c.Data, chunkVersion)
		w.lastAt, w.lastData = 0, ""
	}
	c.Count++

	mask := uint64(0)
	set := func(present bool, bit uint64) {
		if present {
			mask |= bit
		}
	}
	set(ev.Name != "", hasName)
	if ev.Data != nil {
		if *ev.Data == w.lastData && w.lastData != "" {
			mask |= sameData
		} else {
			mask |= hasData
			w.lastData = *ev.Data
		}
	}
	set(ev.Error != nil, hasError)
	set(ev.Cause != nil, hasCause)
	set(ev.Resource != "", hasResource)
	set(ev.Region != "", hasRegion)
	set(ev.RoleARN != "", hasRole)
	set(ev.Timeout != 0, hasTimeout)
	set(ev.Heartbeat != 0, hasHeartbeat)
	set(ev.Index != 0, hasIndex)
	set(ev.Length != 0, hasLength)
	set(len(ev.Assigned) != 0, hasAssigned)
	set(ev.Location != "", hasLocation)
	set(ev.VersionARN != "", hasVersion)
	set(ev.AliasARN != "", hasAlias)
	set(ev.MapRunARN != "", hasMapRun)
	set(ev.Redrives != 0, hasRedrives)

	e := encoder{c.Data}
	e.byte(byte(ev.Type))
	e.int(ev.ID - ev.Previous)
	e.int(ev.At - w.lastAt)
	w.lastAt = ev.At
	e.uint(mask)
	if mask&hasName != 0 {
		e.string(ev.Name)
	}
	if mask&hasData != 0 {
		e.string(*ev.Data)
	}
	if mask&hasError != 0 {
		e.string(*ev.Error)
	}
	if mask&hasCause != 0 {
		e.string(*ev.Cause)
	}
	if mask&hasResource != 0 {
		e.string(ev.Resource)
		e.string(ev.Service)
	}
	if mask&hasRegion != 0 {
		e.string(ev.Region)
	}
	if mask&hasRole != 0 {
		e.string(ev.RoleARN)
	}
	for _, n := range [...]int64{ev.Timeout, ev.Heartbeat, ev.Index, ev.Length} {
		if n != 0 {
			e.int(n)
		}
	}
	if mask&hasAssigned != 0 {
		e.uint(uint64(len(ev.Assigned)))
		for _, a := range ev.Assigned {
			e.string(a.Name)
			e.string(a.JSON)
		}
	}
	for _, s := range [...]string{ev.Location, ev.VersionARN, ev.AliasARN, ev.MapRunARN} {
		if s != "" {
			e.string(s)
		}
	}
	if mask&hasRedrives != 0 {
		e.int(ev.Redrives)
	}
	c.Data = e.buf
}

// DecodeHistory unpacks a chunk, oldest event first.
func DecodeHistory(c Chunk) ([]HistoryEvent, error) {
	d := decoder{buf: c.Data}
	if v := d.byte(); v != chunkVersion {
		return nil, fmt.Errorf("history chunk from event %d: unknown format version %d", c.First, v)
	}
	events := make([]HistoryEvent, 0, min(c.Count, int64(len(c.Data))))
	var at int64
	var last *string
	for id := c.First; id < c.First+c.Count && d.err == nil; id++ {
		ev := HistoryEvent{ID: id, Type: HistoryType(d.byte())}
		ev.Previous = id - d.int()
		at += d.int()
		ev.At = at
		mask := d.uint()
		text := func(bit uint64) string {
			if mask&bit == 0 {
				return ""
			}
			return d.string()
		}
		number := func(bit uint64) int64 {
			if mask&bit == 0 {
				return 0
			}
			return d.int()
		}
		ev.Name = text(hasName)
		if mask&hasData != 0 {
			s := d.string()
			last = &s
		}
		if mask&(hasData|sameData) != 0 {
			ev.Data = last
		}
		if mask&hasError != 0 {
			s := d.string()
			ev.Error = &s
		}
		if mask&hasCause != 0 {
			s := d.string()
			ev.Cause = &s
		}
		if mask&hasResource != 0 {
			ev.Resource = d.string()
			ev.Service = d.string()
		}
		ev.Region = text(hasRegion)
		ev.RoleARN = text(hasRole)
		ev.Timeout = number(hasTimeout)
		ev.Heartbeat = number(hasHeartbeat)
		ev.Index = number(hasIndex)
		ev.Length = number(hasLength)
		if mask&hasAssigned != 0 {
			for n := d.uint(); n > 0 && d.err == nil; n-- {
				ev.Assigned = append(ev.Assigned, Assignment{Name: d.string(), JSON: d.string()})
			}
		}
		ev.Location = text(hasLocation)
		ev.VersionARN = text(hasVersion)
		ev.AliasARN = text(hasAlias)
		ev.MapRunARN = text(hasMapRun)
		ev.Redrives = number(hasRedrives)
		events = append(events, ev)
	}
	if d.err != nil {
		return nil, fmt.Errorf("history chunk from event %d: %w", c.First, d.err)
	}
	return events, nil
}

// encoder appends the few shapes that snapshots and history are made of.
type encoder struct{ buf []byte }

func (e *encoder) byte(b byte)   { e.buf = append(e.buf, b) }
func (e *encoder) uint(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }
func (e *encoder) int(n int64)   { e.buf = binary.AppendVarint(e.buf, n) }
func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

// decoder reads what encoder wrote; after the first error it yields zeros.
type decoder struct {
	buf []byte
	err error
}

var errShort = fmt.Errorf("data ends early")

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail(errShort)
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.buf)
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.buf = d.buf[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.buf)
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.buf = d.buf[size:]
	return n
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail(errShort)
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.buf = nil
}
