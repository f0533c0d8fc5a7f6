package engine

import (
	"errors"
	"fmt"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// How data flows through a state: InputPath and Parameters on the way in,
// ResultSelector, ResultPath, OutputPath and Assign on the way out.

// env is what the paths of f's state are evaluated against: input as "$", the
// context object as "$$", and f's variables. Chance comes from the execution
// and the event number seed, so that the same evaluation gives the same
// values when it is repeated.
func (a *apply) jsonpath(f *Frame, input value.Value, seed int64) *jsonpath.Env {
	return &jsonpath.Env{
		Input:    input,
		Context:  func() value.Value { return a.context(f) },
		Variable: func(name string) (value.Value, bool) { return a.variable(f, name) },
		Random:   chance(uint64(a.Execution.ID), uint64(seed)),
	}
}

// nextEvent is the seed of an evaluation: the id of the event that it leads
// to.
func (a *apply) nextEvent() int64 { return a.lastEvent + 1 }

// selected applies an InputPath or OutputPath.
func (a *apply) selected(f *Frame, sel *asl.Selector, d *Data) (*Data, *failure) {
	switch {
	case sel == nil:
		return d, nil
	case sel.Null:
		return Text("{}"), nil
	case sel.Path.String() == "$":
		return d, nil
	}
	v, err := sel.Path.Eval(a.jsonpath(f, d.Value(), a.nextEvent()))
	if err != nil {
		return nil, a.runtimeError(f, err)
	}
	return ValueData(v), nil
}

// filled evaluates a payload template, or hands d on where there is none.
func (a *apply) filled(f *Frame, t *jsonpath.Template, d *Data, seed int64) (*Data, *failure) {
	if t == nil {
		return d, nil
	}
	v, err := t.Eval(a.jsonpath(f, d.Value(), seed))
	if err != nil {
		return nil, a.runtimeError(f, err)
	}
	return ValueData(v), nil
}

// argument evaluates a field that is a payload template or a JSONata query; null
// where it is neither.
func (a *apply) argument(f *Frame, t *jsonpath.Template, q *asl.Query, input *Data) (value.Value, *failure) {
	switch {
	case q != nil:
		return a.evaluate(f, q, states{}, a.nextEvent())
	case t != nil:
		d, failed := a.filled(f, t, input, a.nextEvent())
		if failed != nil {
			return value.Value{}, failed
		}
		return d.Value(), nil
	}
	return value.NullValue, nil
}

// placed puts result where ResultPath says, in the state's raw input.
func (a *apply) placed(f *Frame, rp *asl.ResultPath, result *Data) (*Data, *failure) {
	switch {
	case rp == nil:
		return result, nil
	case rp.Discard:
		return f.input, nil
	case rp.Ref.String() == "$":
		return result, nil
	}
	v, err := rp.Ref.Set(f.input.Value(), result.Value())
	if err != nil {
		return nil, a.runtimeError(f, err)
	}
	return ValueData(v), nil
}

// leave takes f out of a state that has a result. What no payload can hold is
// kept first, where somebody does that.
func (a *apply) leave(f *Frame, state asl.State, result *Data, selector *jsonpath.Template, rp *asl.ResultPath) *failure {
	output, large, failed := a.output(f, state, result, selector, rp, nil)
	if failed != nil {
		return failed
	}
	if output.Size() > a.payloadLimit() && a.keep(f, state, result, large) {
		return nil
	}
	return a.depart(f, state, output, result, states{result: result})
}

// output works out what a state puts out. If that is too large, it is large that
// can be kept elsewhere, with a reference in its place: the result as ResultPath
// would put it down, or all that a JSONata state puts out.
func (a *apply) output(f *Frame, state asl.State, result *Data, selector *jsonpath.Template, rp *asl.ResultPath, reference *Data) (output, large *Data, failed *failure) {
	effective, failed := a.filled(f, selector, result, a.nextEvent())
	if failed != nil {
		return nil, nil, failed
	}
	a.inspect(AfterResultSelector, effective)
	base := state.Base()
	if reference != nil && base.QueryLanguage == asl.JSONata {
		return reference, nil, nil
	}
	if reference != nil {
		effective = reference
	}
	if output, failed = a.placed(f, rp, effective); failed != nil {
		return nil, nil, failed
	}
	a.inspect(AfterResultPath, output)
	if output, failed = a.selected(f, base.OutputPath, output); failed != nil {
		return nil, nil, failed
	}
	if output, failed = a.query(f, base.Output, states{result: result}, output, a.nextEvent()); failed != nil {
		return nil, nil, failed
	}
	if base.QueryLanguage == asl.JSONata {
		effective = output
	}
	return output, effective, nil
}

// passOn takes f out of a state without a result, which puts out its input: it
// applies OutputPath or Output, and Assign.
func (a *apply) passOn(f *Frame, state asl.State, input *Data) *failure {
	base := state.Base()
	output, failed := a.selected(f, base.OutputPath, input)
	if failed != nil {
		return failed
	}
	if output, failed = a.query(f, base.Output, states{}, output, a.nextEvent()); failed != nil {
		return failed
	}
	return a.depart(f, state, output, input, states{})
}

// depart applies Assign, in which "$" is from where it is JSONPath, and goes to the
// state's Next with its output.
func (a *apply) depart(f *Frame, state asl.State, output, from *Data, s states) *failure {
	vars, failed := a.assigned(f, state.Base().Assign, from, s)
	if failed != nil {
		return failed
	}
	return a.exit(f, state, output, vars, state.Base().Next)
}

// exit records that f leaves its state, sets variables and goes to next; with
// next "" the frame's scope ends.
func (a *apply) exit(f *Frame, state asl.State, output *Data, vars value.Value, next string) *failure {
	if output.Size() > a.payloadLimit() {
		return tooLarge(f.state)
	}
	text := output.JSON()
	ev := HistoryEvent{Type: exitedType(state), Name: f.state, Data: &text}
	for name, v := range vars.Members() {
		ev.Assigned = append(ev.Assigned, Assignment{Name: name, JSON: v.JSON()})
	}
	a.follow(f, &ev)
	a.remember(f, vars)
	f.input = output
	if a.env.test.leaves(next) {
		next = "" // the test ends with its state
	}
	if next == "" {
		a.end(f, output)
		return nil
	}
	a.goTo(f, next)
	return nil
}

// assigned evaluates an Assign field; absent when there is none.
func (a *apply) assigned(f *Frame, assign *asl.Assign, from *Data, s states) (vars value.Value, failed *failure) {
	if assign == nil {
		return value.Value{}, nil
	}
	if assign.Query != nil {
		vars, failed = a.evaluate(f, assign.Query, s, a.nextEvent())
	} else if v, err := assign.Template.Eval(a.jsonpath(f, from.Value(), a.nextEvent())); err != nil {
		failed = a.runtimeError(f, err)
	} else {
		vars = v
	}
	if failed != nil {
		return value.Value{}, failed
	}
	if vars.Size() > a.payloadLimit() {
		return value.Value{}, tooLarge(f.state)
	}
	return vars, nil
}

// remember stores variables in f's scope.
func (a *apply) remember(f *Frame, vars value.Value) {
	if vars.Len() == 0 {
		return
	}
	if f.vars.IsAbsent() {
		f.vars = value.EmptyObject
	}
	for name, v := range vars.Members() {
		f.vars = f.vars.With(name, v)
	}
}

// variable looks a variable up in f's scope and those around it.
func (a *apply) variable(f *Frame, name string) (value.Value, bool) {
	for ; f != nil; f = a.frames[f.parent] {
		if v := f.vars.Get(name); !v.IsAbsent() {
			return v, true
		}
	}
	return value.Value{}, false
}

// context builds the context object as f's state sees it.
func (a *apply) context(f *Frame) value.Value {
	x := &a.Execution
	member := func(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }
	state := []value.Member{
		member("Name", value.Str(f.state)),
		member("EnteredTime", value.Str(timestamp(f.enteredAt))),
	}
	var token string
	switch st := a.env.Machine.State(f.state).(type) {
	case *asl.Task:
		state = append(state, member("RetryCount", value.Int(f.retried)))
		if st.Resource.Pattern != asl.RequestResponse || st.Resource.Kind == asl.ActivityResource {
			token = a.env.Token(TaskID{f.ID, f.attempt})
		}
	case *asl.Map, *asl.Parallel:
		state = append(state, member("RetryCount", value.Int(f.retried)))
	}
	execution := []value.Member{
		member("Id", value.Str(x.ARN)),
		member("Input", x.Input.Value()),
		member("StartTime", value.Str(timestamp(x.StartedAt.UnixMilli()))),
		member("Name", value.Str(x.Name)),
		member("RoleArn", value.Str(x.RoleARN)),
	}
	if !x.Sync { // recorded
		execution = append(execution, member("RedriveCount", value.Int(a.redrives)))
	}
	if a.redriven != 0 {
		execution = append(execution, member("RedriveTime", value.Str(timestamp(a.redriven))))
	}
	object := []value.Member{
		member("Execution", value.ObjectOf(execution)),
		member("StateMachine", value.ObjectOf([]value.Member{
			member("Id", value.Str(x.MachineARN)),
			member("Name", value.Str(x.MachineName)),
		})),
		member("State", value.ObjectOf(state)),
	}
	if token != "" {
		object = append(object, member("Task", value.ObjectOf([]value.Member{member("Token", value.Str(token))})))
	}
	if item, ok := a.mapItem(f); ok {
		members := []value.Member{member("Index", value.Int(int64(item.index))), member("Value", item.value)}
		if item.key != "" {
			members = append(members, member("Key", value.Str(item.key)))
		}
		if item.source != "" {
			members = append(members, member("Source", value.Str(item.source)))
		}
		object = append(object, member("Map", value.ObjectOf([]value.Member{member("Item", value.ObjectOf(members))})))
	}
	return a.env.test.context(value.ObjectOf(object))
}

// mapItem finds the item of the innermost Map iteration that f is part of.
func (a *apply) mapItem(f *Frame) (item mapItem, ok bool) {
	if f.item != nil {
		return *f.item, true
	}
	for f.parent != 0 {
		parent := a.frames[f.parent]
		if m, isMap := a.env.Machine.State(parent.state).(*asl.Map); isMap {
			items, failed := a.items(parent, m)
			if failed != nil {
				return mapItem{}, false
			}
			return mapItem{index: f.index, value: items.At(f.index)}, true
		}
		f = parent
	}
	return mapItem{}, false
}

// runtimeError wraps a failed evaluation as AWS words it.
func (a *apply) runtimeError(f *Frame, err error) *failure {
	var e *jsonpath.Error
	if !errors.As(err, &e) {
		return a.runtimeFailure(f, err.Error())
	}
	failed := a.runtimeFailure(f, e.Cause)
	failed.name = &e.Name
	failed.fatal = e.Name == "States.Runtime"
	return failed
}

// runtimeFailure is States.Runtime: nothing catches it.
func (a *apply) runtimeFailure(f *Frame, what string) *failure {
	name := "States.Runtime"
	cause := fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). %s", f.state, f.entered, what)
	return &failure{name: &name, cause: &cause, fatal: true}
}

// tooLarge says that a state's or task's payload is over the limit.
func tooLarge(who string) *failure {
	name := "States.DataLimitExceeded"
	cause := fmt.Sprintf("The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", who)
	return &failure{name: &name, cause: &cause, fatal: true}
}

// chance gives a stream of random numbers that depends on its seeds alone
// (SplitMix64).
func chance(execution, event uint64) func() uint64 {
	state := execution*0x9e3779b97f4a7c15 ^ event*0xbf58476d1ce4e5b9
	return func() uint64 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
}
