package engine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// defaultConcurrency is how many iterations of an inline Map run at a time
// when MaxConcurrency is not given (AWS's guide: about 40).
const defaultConcurrency = 40

// mapItem is the item that an ItemSelector is evaluated for.
type mapItem struct {
	index  int
	value  value.Value
	key    string // of a member of an object
	source string // of a distributed Map's item
}

// mapState starts as many iterations as may run at a time.
func (a *apply) mapState(f *Frame, state *asl.Map) *failure {
	if a.env.test != nil {
		return a.mockedMap(f, state)
	}
	if state.Distributed {
		return a.distribute(f, state)
	}
	items, failed := a.items(f, state)
	if failed != nil {
		return failed
	}
	limit, failed := a.concurrency(f, state)
	if failed != nil {
		return failed
	}
	begun := a.follow(f, &HistoryEvent{Type: MapStateStartedType, Length: int64(items.Len())})
	f.phase, f.due = joining, 0
	a.touch(f)
	if items.Len() == 0 {
		return a.join(f, state, MapStateSucceededType, state.ResultSelector, state.ResultPath)
	}
	first := len(a.stack)
	for range min(items.Len(), limit) {
		if failed := a.iterate(f, state, begun); failed != nil {
			a.stack = a.stack[:first]
			return failed
		}
	}
	slices.Reverse(a.stack[first:]) // the stack's top, item 0, runs first
	return nil
}

// items works out what a Map iterates over. It depends on the frame's input
// and variables alone, so it is not kept.
func (a *apply) items(f *Frame, state *asl.Map) (value.Value, *failure) {
	if !f.items.IsAbsent() {
		return f.items, nil
	}
	if state.QueryLanguage == asl.JSONata {
		return a.queriedItems(f, state)
	}
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return value.Value{}, failed
	}
	a.inspect(AfterInputPath, input)
	if input, failed = a.selected(f, state.ItemsPath, input); failed != nil {
		return value.Value{}, failed
	}
	a.inspect(AfterItemsPath, input)
	if input.Value().Kind() != value.Array {
		return value.Value{}, a.noItems(f, state, input.Value())
	}
	f.items = input.Value()
	return f.items, nil
}

// queriedItems is items for a JSONata state.
func (a *apply) queriedItems(f *Frame, state *asl.Map) (value.Value, *failure) {
	items := f.input.Value()
	if state.Items != nil {
		v, failed := a.evaluate(f, state.Items, states{}, f.entered)
		if failed != nil {
			return value.Value{}, failed
		}
		items = v
	}
	if items.Kind() != value.Array {
		return value.Value{}, a.noItems(f, state, items)
	}
	f.items = items
	return items, nil
}

// noItems says that a Map cannot go over v (texts recorded).
func (a *apply) noItems(f *Frame, state *asl.Map, v value.Value) *failure {
	if state.QueryLanguage == asl.JSONata {
		err := &asl.QueryError{Cause: "Map state input must be an array but was: " + v.JSON()}
		if state.Items != nil {
			err = state.Items.Unexpected("array", v)
		}
		return a.queryFailure(f, err)
	}
	path := "$"
	if state.ItemsPath != nil && state.ItemsPath.Path != nil {
		path = state.ItemsPath.Path.String()
	}
	return a.runtimeFailure(f, fmt.Sprintf("Reference path \"%s\" must point to array.", path))
}

// concurrency is how many iterations may run at a time.
func (a *apply) concurrency(f *Frame, state *asl.Map) (int, *failure) {
	limit, failed := a.maxConcurrency(f, state)
	if failed != nil {
		return 0, failed
	}
	if limit == 0 || limit > defaultConcurrency {
		limit = defaultConcurrency
	}
	return int(limit), nil
}

// maxConcurrency is what the state says about that; 0: nothing.
func (a *apply) maxConcurrency(f *Frame, state *asl.Map) (int64, *failure) {
	limit := state.MaxConcurrency
	if q := state.MaxConcurrencyQuery; q != nil {
		var failed *failure
		if limit, failed = a.number(f, q); failed != nil {
			return 0, failed
		}
	}
	if path := state.MaxConcurrencyPath; path != nil {
		var failed *failure
		if limit, failed = a.integerAt(f, state, path, "MaxConcurrencyPath"); failed != nil {
			return 0, failed
		}
		if limit < 0 {
			return 0, a.runtimeFailure(f, "MaxConcurrency cannot be negative.")
		}
	}
	return limit, nil
}

// integerAt reads a whole number from the state's input (text recorded).
func (a *apply) integerAt(f *Frame, state *asl.Map, path *jsonpath.Path, field string) (int64, *failure) {
	v, failed := a.inputAt(f, state, path)
	if failed != nil {
		return 0, failed
	}
	n, whole := v.Int64()
	if v.Kind() == value.String { // recorded: a number in quotes will do
		parsed, err := strconv.ParseInt(v.Str(), 10, 64)
		n, whole = parsed, err == nil
	}
	if !whole {
		return 0, a.runtimeFailure(f, fmt.Sprintf("The %s field refers to value \"%s\" which is not a valid integer: %s", field, plain(v), path))
	}
	return n, nil
}

// inputAt reads a path in the state's effective input.
func (a *apply) inputAt(f *Frame, state *asl.Map, path *jsonpath.Path) (value.Value, *failure) {
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return value.Value{}, failed
	}
	v, err := path.Eval(a.jsonpath(f, input.Value(), a.nextEvent()))
	if err != nil {
		return value.Value{}, a.runtimeError(f, err)
	}
	return v, nil
}

// iterate starts the next iteration, after the event previous. Iterations
// start in the order of their items, so their number says which is next.
func (a *apply) iterate(f *Frame, state *asl.Map, previous int64) *failure {
	index := len(a.children[f.ID])
	items, failed := a.items(f, state)
	if failed != nil {
		return failed
	}
	input, failed := a.itemInput(f, state, items, index)
	if failed != nil {
		return failed
	}
	begun := a.record(&HistoryEvent{Type: MapIterationStartedType, Previous: previous, Name: f.state, Index: int64(index)})
	child := &Frame{parent: f.ID, index: index, input: input, last: begun, state: state.Processor.StartAt}
	a.addFrame(child)
	a.stack = append(a.stack, child)
	return nil
}

// itemInput is an iteration's input: the item, or what ItemSelector makes of
// it and the state's effective input.
func (a *apply) itemInput(f *Frame, state *asl.Map, items value.Value, index int) (*Data, *failure) {
	if state.ItemSelector == nil && state.ItemSelectorQuery == nil {
		return ValueData(items.At(index)), nil
	}
	input, failed := a.selected(f, state.InputPath, f.input)
	if failed != nil {
		return nil, failed
	}
	f.item = &mapItem{index: index, value: items.At(index)}
	defer func() { f.item = nil }()
	if state.ItemSelectorQuery != nil {
		return a.query(f, state.ItemSelectorQuery, states{}, input, a.nextEvent())
	}
	return a.filled(f, state.ItemSelector, input, a.nextEvent())
}

// nextIteration goes on after an iteration has ended with the event last.
func (a *apply) nextIteration(f *Frame, state *asl.Map, last int64) *failure {
	items, failed := a.items(f, state)
	if failed != nil {
		return failed
	}
	if len(a.children[f.ID]) < items.Len() {
		return a.iterate(f, state, last)
	}
	if a.allDone(f) {
		return a.join(f, state, MapStateSucceededType, state.ResultSelector, state.ResultPath)
	}
	return nil
}

// join ends a Parallel or Map with the results of all below it. Its Exited
// event has the same predecessor as its Succeeded event (recorded).
func (a *apply) join(f *Frame, state asl.State, typ HistoryType, selector *jsonpath.Template, rp *asl.ResultPath) *failure {
	a.record(&HistoryEvent{Type: typ, Previous: f.last})
	result := a.results(f)
	a.removeChildren(f)
	f.items = value.Value{}
	f.phase = failing
	return a.leave(f, state, result, selector, rp)
}
