package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
)

// A distributed Map hands its items over to a Map Run and waits for its end.
// The run is an entity of its own, outside this package: it reads the items,
// starts a child execution for each, and keeps the results. What it needs of
// the state is in a MapRun.

// MapRun is what a distributed Map asks for, worked out from the state's input
// and variables: the same whenever it is asked for again. It is for one
// goroutine at a time.
type MapRun struct {
	ARN      string
	State    string
	Label    string
	Express  bool
	Redrives int64 // how often the run was begun again; with another ask it goes on

	MaxConcurrency      int64    // 0: no limit
	ToleratedCount      *int64   // nil: not said
	ToleratedPercentage *float64 // nil: not said

	Reader  *ReaderCall // nil: the items are Items
	Items   value.Value // an array or an object; absent with a Reader
	Batcher *Batching   // nil: an item to a child
	Writer  *WriterCall // nil: the results become the state's, if they fit

	PayloadLimit int // bytes of a child's input
	ResultLimit  int // bytes of the state's result

	at    *apply
	frame *Frame
	state *asl.Map
}

// ReaderCall is an ItemReader with all of its fields worked out.
type ReaderCall struct {
	Action     string // "listObjectsV2", "getObject"
	Parameters value.Value
	Config     value.Value // ReaderConfig; absent where there is none
	MaxItems   int64       // 0: all
}

// Batching is an ItemBatcher with all of its fields worked out.
type Batching struct {
	MaxItems int64       // 0: no limit
	MaxBytes int64       // 0: no limit
	Input    value.Value // BatchInput; absent where there is none
}

// WriterCall is a ResultWriter with all of its fields worked out.
type WriterCall struct {
	Parameters     value.Value // absent: nothing is exported
	Transformation string      // "NONE", "COMPACT", "FLATTEN"
	OutputType     string      // "JSON", "JSONL"
}

// MapItem is an item as a run's source gives it.
type MapItem struct {
	Index  int64
	Value  value.Value
	Key    string // of a member of an object
	Source string // as $$.Map.Item.Source has it
}

// StateData is the Source of items that are in a state's input.
const StateData = "STATE_DATA"

// Select works out what a child gets of an item: ItemSelector's, or the item
// itself. The error is a *RunError.
func (m *MapRun) Select(item MapItem) (value.Value, error) {
	if m.state.ItemSelector == nil && m.state.ItemSelectorQuery == nil {
		if item.Key != "" {
			return value.ObjectOf([]value.Member{{Key: "Key", Value: value.Str(item.Key)}, {Key: "Value", Value: item.Value}}), nil
		}
		return item.Value, nil
	}
	f := m.frame
	f.item = &mapItem{index: int(item.Index), value: item.Value, key: item.Key, source: item.Source}
	seed := f.scheduled<<32 | item.Index
	input, failed := m.at.selected(f, m.state.InputPath, f.input)
	if failed == nil && m.state.ItemSelectorQuery != nil {
		input, failed = m.at.query(f, m.state.ItemSelectorQuery, states{}, input, seed)
	} else if failed == nil {
		input, failed = m.at.filled(f, m.state.ItemSelector, input, seed)
	}
	f.item = nil
	if failed != nil {
		return value.Value{}, &RunError{Name: deref(failed.name), Cause: deref(failed.cause)}
	}
	return input.Value(), nil
}

// RunError is a failure of a whole Map Run, in the words that the state
// machine sees.
type RunError struct{ Name, Cause string }

// Error names the failure.
func (e *RunError) Error() string { return e.Name + ": " + e.Cause }

// distribute begins a Map Run.
func (a *apply) distribute(f *Frame, state *asl.Map) *failure {
	if f.scheduled != 0 {
		return a.redistribute(f, state)
	}
	var length int
	if state.Reader == nil {
		items, failed := a.runItems(f, state)
		if failed != nil {
			return failed
		}
		length = items.Len()
	}
	a.follow(f, &HistoryEvent{Type: MapStateStartedType, Length: int64(length)})
	f.attempt++
	run, failed := a.mapRun(f, state, a.lastEvent)
	if failed != nil {
		return failed
	}
	f.phase, f.due, f.runs = mapping, 0, 0
	f.scheduled = a.follow(f, &HistoryEvent{Type: MapRunStartedType, MapRunARN: run.ARN})
	run.frame.scheduled = f.scheduled
	a.commands = append(a.commands, &StartMapRun{Task: TaskID{f.ID, f.attempt}, Run: run})
	a.touch(f)
	return nil
}

// redistribute begins the state's last Map Run again: children that had ended
// well keep their results.
func (a *apply) redistribute(f *Frame, state *asl.Map) *failure {
	run, failed := a.mapRun(f, state, a.lastEvent)
	if failed != nil {
		return failed
	}
	f.phase, f.due = mapping, 0
	f.runs++
	run.Redrives = f.runs
	f.scheduled = a.follow(f, &HistoryEvent{Type: MapRunRedrivenType, MapRunARN: run.ARN, Redrives: f.runs})
	run.frame.scheduled = f.scheduled
	a.commands = append(a.commands, &StartMapRun{Task: TaskID{f.ID, f.attempt}, Run: run})
	a.touch(f)
	return nil
}

// mapRunAgain is the ask for a run that is under way.
func (a *apply) mapRunAgain(f *Frame, state *asl.Map) (*StartMapRun, error) {
	run, failed := a.mapRun(f, state, f.scheduled-1)
	if failed != nil {
		return nil, fmt.Errorf("engine: the Map Run of %q of %s cannot be built again: %s", f.state, a.Execution.ARN, deref(failed.cause))
	}
	run.Redrives = f.runs
	return &StartMapRun{Task: TaskID{f.ID, f.attempt}, Run: run}, nil
}

// mapRun works out what the state asks for, on a copy of what it needs: the
// run goes on beside the execution. lastEvent is the newest event at the time.
func (a *apply) mapRun(f *Frame, state *asl.Map, lastEvent int64) (*MapRun, *failure) {
	at, own := a.apart(f, lastEvent)
	label := state.RunLabel()
	run := &MapRun{
		ARN: a.env.MapRunARN(TaskID{f.ID, f.attempt}, label), State: f.state, Label: label, Express: state.Express,
		PayloadLimit: a.payloadLimit(), ResultLimit: a.resultLimit(), at: at, frame: own, state: state,
	}
	var failed *failure
	if run.MaxConcurrency, failed = at.maxConcurrency(own, state); failed != nil {
		return nil, failed
	}
	if bound := state.ToleratedFailureCount; bound != nil {
		n, failed := at.toleratedCount(own, state, bound)
		if failed != nil {
			return nil, failed
		}
		run.ToleratedCount = &n
	}
	if bound := state.ToleratedFailurePercentage; bound != nil {
		x, failed := at.toleratedPercentage(own, state, bound)
		if failed != nil {
			return nil, failed
		}
		run.ToleratedPercentage = &x
	}
	input, failed := at.selected(own, state.InputPath, own.input)
	if failed != nil {
		return nil, failed
	}
	if run.Reader, failed = at.readerCall(own, state, input); failed != nil {
		return nil, failed
	}
	if run.Reader == nil {
		if run.Items, failed = at.runItems(own, state); failed != nil {
			return nil, failed
		}
	}
	if run.Batcher, failed = at.batching(own, state, input); failed != nil {
		return nil, failed
	}
	run.Writer, failed = at.writerCall(own, state, input)
	return run, failed
}

// apart copies f and the frames around it, so that expressions can be
// evaluated while the execution goes on elsewhere.
func (a *apply) apart(f *Frame, lastEvent int64) (*apply, *Frame) {
	s := &Snapshot{
		Execution: a.Execution, lastEvent: lastEvent, redrives: a.redrives, redriven: a.redriven,
		frames: map[FrameID]*Frame{},
	}
	s.Execution.Input = Text(a.Execution.Input.JSON())
	for g := f; g != nil; g = a.frames[g.parent] {
		c := *g
		if g.input != nil {
			c.input = Text(g.input.JSON())
		}
		c.item, c.items, c.result = nil, value.Value{}, nil
		s.frames[c.ID] = &c
	}
	env := *a.env
	return &apply{env: &env, Snapshot: s, now: f.enteredAt}, s.frames[f.ID]
}

// runItems are the items of a Map without a reader: an array, or an object of
// which each member is an item.
func (a *apply) runItems(f *Frame, state *asl.Map) (value.Value, *failure) {
	var items value.Value
	if state.QueryLanguage == asl.JSONata {
		items = f.input.Value()
		if state.Items != nil {
			v, failed := a.evaluate(f, state.Items, states{}, f.entered)
			if failed != nil {
				return value.Value{}, failed
			}
			items = v
		}
	} else {
		input, failed := a.selected(f, state.InputPath, f.input)
		if failed != nil {
			return value.Value{}, failed
		}
		if input, failed = a.selected(f, state.ItemsPath, input); failed != nil {
			return value.Value{}, failed
		}
		items = input.Value()
	}
	if k := items.Kind(); k == value.Array || k == value.Object {
		return items, nil
	}
	return value.Value{}, a.noItems(f, state, items)
}

// readerCall works out the ItemReader. ItemsPath has no effect beside one
// (recorded).
func (a *apply) readerCall(f *Frame, state *asl.Map, input *Data) (*ReaderCall, *failure) {
	r := state.Reader
	if r == nil {
		return nil, nil
	}
	call := &ReaderCall{Action: r.Resource.Action, Config: r.Config}
	var failed *failure
	if call.Parameters, failed = a.argument(f, r.Parameters, r.Arguments, input); failed != nil {
		return nil, failed
	}
	if q := r.ConfigQuery(); q != nil {
		if call.Config, failed = a.evaluate(f, q, states{}, a.nextEvent()); failed != nil {
			return nil, failed
		}
	}
	call.MaxItems, failed = a.whole(f, state, r.MaxItems, "MaxItemsPath")
	return call, failed
}

func (a *apply) batching(f *Frame, state *asl.Map, input *Data) (*Batching, *failure) {
	b := state.Batcher
	if b == nil {
		return nil, nil
	}
	batch := &Batching{}
	var failed *failure
	if batch.MaxItems, failed = a.whole(f, state, b.MaxItems, "MaxItemsPerBatchPath"); failed != nil {
		return nil, failed
	}
	if batch.MaxBytes, failed = a.whole(f, state, b.MaxBytes, "MaxInputBytesPerBatchPath"); failed != nil {
		return nil, failed
	}
	if b.Input != nil || b.InputQuery != nil {
		batch.Input, failed = a.argument(f, b.Input, b.InputQuery, input)
	}
	return batch, failed
}

func (a *apply) writerCall(f *Frame, state *asl.Map, input *Data) (*WriterCall, *failure) {
	w := state.Writer
	if w == nil {
		return nil, nil
	}
	call := &WriterCall{Transformation: w.Transformation, OutputType: w.OutputType}
	if call.OutputType == "" {
		call.OutputType = "JSON"
	}
	if call.Transformation == "" {
		call.Transformation = "COMPACT"
		if w.Resource != nil {
			call.Transformation = "NONE"
		}
	}
	if w.Resource == nil {
		return call, nil
	}
	var failed *failure
	call.Parameters, failed = a.argument(f, w.Parameters, w.Arguments, input)
	return call, failed
}

// mapRunEnded takes in what became of a run.
func (a *apply) mapRunEnded(ev MapRunEnded) error {
	f := a.frames[ev.Task.Frame]
	if f == nil || f.attempt != ev.Task.Attempt || f.phase != mapping {
		return ErrNotWaiting
	}
	state, ok := a.env.Machine.State(f.state).(*asl.Map)
	if !ok {
		return fmt.Errorf("engine: state %q of %s is not a Map", f.state, a.Execution.ARN)
	}
	a.touch(f)
	failed := &failure{name: ev.Error, cause: ev.Cause}
	if ev.Output != nil {
		f.scheduled = 0
		a.follow(f, &HistoryEvent{Type: MapRunSucceededType})
		a.record(&HistoryEvent{Type: MapStateSucceededType, Previous: f.last})
		f.phase = failing
		if failed = a.leave(f, state, ev.Output, state.ResultSelector, state.ResultPath); failed == nil {
			return nil
		}
	} else {
		switch deref(ev.Error) {
		case "States.DataLimitExceeded", "States.Runtime": // a redrive begins a new run
			f.scheduled = 0
		}
		a.follow(f, &HistoryEvent{Type: MapRunFailedType, Error: ev.Error, Cause: ev.Cause})
		f.phase = joining
	}
	a.fail(f, failed)
	return nil
}

// stopMapRun gives up the run that f waits for.
func (a *apply) stopMapRun(f *Frame) {
	state, ok := a.env.Machine.State(f.state).(*asl.Map)
	if !ok {
		return
	}
	id := TaskID{f.ID, f.attempt}
	a.commands = append(a.commands, &StopMapRun{Task: id, ARN: a.env.MapRunARN(id, state.RunLabel())})
}

// whole evaluates an amount without a fraction; 0 where there is none.
func (a *apply) whole(f *Frame, state *asl.Map, amount *asl.Amount, field string) (int64, *failure) {
	switch {
	case amount == nil:
		return 0, nil
	case amount.Query != nil:
		return a.number(f, amount.Query)
	case amount.Path == nil:
		return int64(amount.Literal), nil
	}
	return a.integerAt(f, state, amount.Path, field)
}

func (a *apply) toleratedCount(f *Frame, state *asl.Map, bound *asl.Amount) (int64, *failure) {
	n, failed := a.whole(f, state, bound, "ToleratedFailureCountPath")
	if failed == nil && n < 0 {
		failed = a.runtimeFailure(f, "ToleratedFailureCount cannot be negative.")
	}
	return n, failed
}

func (a *apply) toleratedPercentage(f *Frame, state *asl.Map, bound *asl.Amount) (float64, *failure) {
	x := bound.Literal
	switch {
	case bound.Query != nil:
		v, failed := a.evaluate(f, bound.Query, states{}, a.nextEvent())
		if failed != nil {
			return 0, failed
		}
		if v.Kind() != value.Number {
			return 0, a.queryFailure(f, bound.Query.Unexpected("number", v))
		}
		x = v.Float()
	case bound.Path != nil:
		v, failed := a.inputAt(f, state, bound.Path)
		if failed != nil {
			return 0, failed
		}
		var err error
		if x, err = strconv.ParseFloat(plain(v), 64); err != nil {
			return 0, a.runtimeFailure(f, fmt.Sprintf("The ToleratedFailurePercentagePath field refers to value \"%s\" which is not a valid float: %s", plain(v), bound.Path))
		}
	}
	if !(x >= 0 && x <= 100) {
		return 0, a.runtimeFailure(f, "ToleratedFailurePercentage must be between 0 and 100.")
	}
	return x, nil
}

// BatchInput is a child's input that holds several items.
func (b *Batching) BatchInput(items []string) string {
	var text strings.Builder
	text.WriteByte('{')
	if !b.Input.IsAbsent() {
		text.WriteString(`"BatchInput":`)
		text.WriteString(b.Input.JSON())
		text.WriteByte(',')
	}
	text.WriteString(`"Items":[`)
	for i, item := range items {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(item)
	}
	text.WriteString("]}")
	return text.String()
}
