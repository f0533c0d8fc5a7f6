package views

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// fold makes visits of a history, event by event. It keeps no payloads, so that
// what it takes grows with the number of events alone.
//
// States stand in scopes: the machine's top level, a branch of a Parallel, an
// iteration of a Map. A scope is in one state at a time. Which scope an event is
// about follows from the event before it, on whose path it goes on, and from
// where the definition has the state.
type fold struct {
	graph   *graph
	unknown map[string]*place // states that the graph does not have

	visits []visit
	scopes []scope
	at     []int32 // of each event by its id: the visit, or -1-s for the scope s
	last   int64   // id of the newest event
	texts  int     // bytes of causes kept

	redriven int64   // id of the newest ExecutionRedriven
	redrives int64   //
	redo     []int32 // visits that are done again, in the order of their first events
	open     int     // visits that have not ended
}

// scope is a place where one state follows another. The first is the top level.
type scope struct {
	owner   int32 // visit of the Parallel or Map; -1: none
	index   int32 // of the branch or iteration
	current int32 // newest visit; -1: none
	done    bool  // an iteration that has succeeded
}

// visit is one state entry.
type visit struct {
	state  *place
	scope  int32
	scopes []int32         // of the newest attempt of a Parallel or Map
	items  map[int64]int32 // scopes of a Map by index

	entered, exited int64 // Unix milliseconds; 0: not yet
	first, end      int64 // ids of the events; end 0: not yet
	last            int64 // newest event about it
	output          int64 // id of the event with its output, 0: none
	status          status
	waits           waits
	failed          bool // the newest outcome of the state was a failure
	over            bool // a Parallel or Map whose attempt has failed, and that has not said so: it may be tried again
	redrive         int64
	attempts        []attempt
	error           string
	cause           string
	causeCut        bool
	causeAt         int64 // event with the whole cause
	mapRun          string
	child           string // ARN of the execution it started
	length          int64  // items of a Map
}

// attempt is one try of a Task, Parallel or Map.
type attempt struct {
	started, ended int64
	event          int64 // that began it
	status         status
	redrive        int64
	timeout        int64 // seconds
	heartbeat      int64
	worker         string
	resource       string
	error, cause   string
}

// status is how a visit or an attempt is.
type status uint8

const (
	running status = iota
	succeeded
	failed
	caught
	retrying
	waiting
	aborted
	timedOut // of attempts
)

var statusNames = [...]string{"running", "succeeded", "failed", "caught", "retrying", "waiting", "aborted", "timed_out"}

func (s status) String() string { return statusNames[s] }

// waits is what a visit waits for.
type waits uint8

const (
	forNothing waits = iota
	forTimer
	forCallback
	forTask
	forChild
	forActivity
	forMapRun
	forAgent
	forReview
)

var waitNames = [...]string{"", "timer", "callback", "task", "child", "activity", "map_run", "agent", "review"}

// waiting says whether who waits for this does so without anything being done.
func (w waits) idle() bool { return w != forNothing && w != forTask && w != forMapRun }

const (
	mostCause = 2 << 10 // bytes of a cause that are kept
	mostTexts = 8 << 20 // bytes of causes of an execution; then each is cut to few
	fewCause  = 200
)

func newFold(g *graph) *fold {
	return &fold{graph: g, scopes: []scope{{owner: -1, current: -1}}, at: []int32{-1}}
}

// size is about how many bytes it takes.
func (f *fold) size() int { return 4*len(f.at) + 400*len(f.visits) + 24*len(f.scopes) + f.texts }

// add takes the next event.
func (f *fold) add(e *engine.HistoryEvent) {
	for int64(len(f.at)) <= e.ID {
		f.at = append(f.at, -1)
	}
	f.last = e.ID
	if v := f.silent(e); v >= 0 {
		f.at[f.redriven] = v
		defer func() { f.at[f.redriven] = -1 }()
	}
	v := f.take(e)
	if v >= 0 {
		f.visits[v].last = e.ID
		f.at[e.ID] = v
	} else if f.at[e.ID] == -1 && e.Type != engine.ExecutionRedrivenType { // on the path of the one before
		f.at[e.ID] = f.before(e)
	}
}

// before is where the event before e is.
func (f *fold) before(e *engine.HistoryEvent) int32 {
	if e.Previous <= 0 || e.Previous >= e.ID {
		return -1
	}
	return f.at[e.Previous]
}

// take does what an event says, and returns the visit that it is about; -1: none.
func (f *fold) take(e *engine.HistoryEvent) int32 {
	switch e.Type {
	case engine.ExecutionStartedType:
		return -1
	case engine.ExecutionSucceededType:
		f.close(0, e, -1)
		return -1
	case engine.ExecutionFailedType:
		return f.fail(e)
	case engine.ExecutionAbortedType, engine.ExecutionTimedOutType:
		f.close(0, e, -1)
		return -1
	case engine.ExecutionRedrivenType:
		f.redriven, f.redrives = e.ID, e.Redrives
		f.redo = f.redo[:0]
		f.again(0)
		return -1

	case engine.PassStateEnteredType, engine.TaskStateEnteredType, engine.ChoiceStateEnteredType, engine.WaitStateEnteredType,
		engine.SucceedStateEnteredType, engine.FailStateEnteredType, engine.ParallelStateEnteredType, engine.MapStateEnteredType:
		return f.enter(e)
	case engine.PassStateExitedType, engine.TaskStateExitedType, engine.ChoiceStateExitedType, engine.WaitStateExitedType,
		engine.SucceedStateExitedType, engine.ParallelStateExitedType, engine.MapStateExitedType:
		return f.exit(e)
	case engine.EvaluationFailedType:
		v := f.named(e)
		if v >= 0 {
			f.failure(v, e, failed)
			f.branchOver(v, true)
		}
		return v

	case engine.TaskStateAbortedType, engine.WaitStateAbortedType, engine.ParallelStateAbortedType, engine.MapStateAbortedType, engine.MapRunAbortedType:
		f.abandoned(e)
		return -1
	case engine.MapIterationStartedType:
		return f.iterate(e)
	case engine.MapIterationSucceededType:
		if s := f.iteration(e); s >= 0 {
			f.scopes[s].done = true
		}
		return -1
	case engine.MapIterationFailedType, engine.MapIterationAbortedType:
		if s := f.iteration(e); s >= 0 {
			f.close(s, e, f.visitAt(f.before(e)))
			if e.Type == engine.MapIterationFailedType {
				f.visits[f.scopes[s].owner].over = true
			}
		}
		return -1
	case engine.ParallelStateStartedType, engine.MapStateStartedType:
		return f.begin(e)
	case engine.ParallelStateSucceededType, engine.MapStateSucceededType:
		if v := f.container(e); v >= 0 {
			f.outcome(v, e, succeeded)
		}
		return -1
	case engine.ParallelStateFailedType, engine.MapStateFailedType:
		return f.containerFailed(e)
	}
	return f.taskEvent(e)
}

// enter begins a visit.
func (f *fold) enter(e *engine.HistoryEvent) int32 {
	p := f.place(e)
	s := f.scopeOf(p, e)
	v := int32(len(f.visits))
	if old := f.scopes[s].current; old >= 0 && f.visits[old].end == 0 {
		f.finish(old, e, aborted) // cannot be; a scope is in one state
	}
	f.scopes[s].current = v
	f.visits = append(f.visits, visit{state: p, scope: s, entered: e.At, first: e.ID, last: e.ID, redrive: f.redrives})
	f.open++
	switch e.Type {
	case engine.WaitStateEnteredType:
		f.visits[v].waits = forTimer
	case engine.FailStateEnteredType:
		x := &f.visits[v]
		x.failed, x.error, x.cause = true, p.error, p.cause
		f.finish(v, e, failed)
		f.branchOver(v, true)
	}
	return v
}

// exit ends a visit well, or with a failure that was caught.
func (f *fold) exit(e *engine.HistoryEvent) int32 {
	v := f.named(e)
	if v < 0 {
		return v
	}
	x := &f.visits[v]
	x.output = e.ID
	for _, s := range x.scopes {
		f.close(s, e, -1)
	}
	if x.failed {
		f.branchOver(v, false)
		f.finish(v, e, caught)
	} else {
		f.outcome(v, e, succeeded)
		f.finish(v, e, succeeded)
	}
	return v
}

// finish ends a visit.
func (f *fold) finish(v int32, e *engine.HistoryEvent, s status) {
	x := &f.visits[v]
	if x.end == 0 {
		f.open--
	}
	if n := len(x.attempts); n > 0 && x.attempts[n-1].status == running {
		a := &x.attempts[n-1]
		a.ended, a.status = e.At, s
		if s == caught {
			a.status = failed
		}
	}
	x.status, x.waits, x.exited, x.end, x.last = s, forNothing, e.At, e.ID, e.ID
}

// close ends what a scope is in the middle of. The visit cause is what has failed.
func (f *fold) close(s int32, e *engine.HistoryEvent, cause int32) {
	v := f.scopes[s].current
	if i := slices.Index(f.redo, v); i >= 0 && v >= 0 {
		f.redo = slices.Delete(f.redo, i, i+1) // given up before it was done again
	}
	if v < 0 || f.visits[v].end != 0 {
		return
	}
	for _, inner := range f.visits[v].scopes {
		f.close(inner, e, cause)
	}
	how := aborted
	if f.visits[v].failed || v == cause {
		how = failed
	}
	f.finish(v, e, how)
}

// fail ends the execution with the failure of the state that e follows.
func (f *fold) fail(e *engine.HistoryEvent) int32 {
	v := f.visitAt(f.before(e))
	for v >= 0 && f.scopes[f.visits[v].scope].owner >= 0 && f.visits[v].end != 0 {
		v = f.scopes[f.visits[v].scope].owner
	}
	if v < 0 {
		v = f.scopes[0].current
	}
	if v >= 0 && f.visits[v].status != caught && f.visits[v].status != succeeded {
		x := &f.visits[v]
		if x.error == "" {
			f.blame(x, e)
		}
		x.failed = true
		if x.end != 0 {
			x.status = failed
		}
	}
	f.close(0, e, v)
	return v
}

// blame takes down what went wrong.
func (f *fold) blame(x *visit, e *engine.HistoryEvent) {
	x.error, x.cause, x.causeCut = text(e.Error), text(e.Cause), false
	most := mostCause
	if f.texts > mostTexts {
		most = fewCause
	}
	if len(x.cause) > most {
		x.cause, x.causeCut = strings.Clone(strings.ToValidUTF8(x.cause[:most], "")), true
	}
	if len(x.error) > mostCause {
		x.error = strings.Clone(strings.ToValidUTF8(x.error[:mostCause], ""))
	}
	x.causeAt = e.ID
	f.texts += len(x.error) + len(x.cause)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// failure notes that the state has failed; whether it is tried again or caught
// comes later.
func (f *fold) failure(v int32, e *engine.HistoryEvent, how status) {
	x := &f.visits[v]
	x.failed, x.waits = true, forTimer
	x.status = retrying
	f.blame(x, e)
	f.outcome(v, e, how)
}

// outcome ends the newest attempt.
func (f *fold) outcome(v int32, e *engine.HistoryEvent, how status) {
	x := &f.visits[v]
	if n := len(x.attempts); n > 0 && x.attempts[n-1].status == running {
		a := &x.attempts[n-1]
		a.ended, a.status = e.At, how
		if how != succeeded {
			a.error, a.cause = x.error, x.cause
		}
	}
	if how == succeeded {
		x.failed = false
		x.error, x.cause, x.causeCut, x.causeAt = "", "", false, 0
	}
}

// try begins an attempt.
func (f *fold) try(v int32, e *engine.HistoryEvent) *attempt {
	x := &f.visits[v]
	if x.end != 0 { // begun again by a redrive
		f.open++
		x.end, x.exited, x.output = 0, 0, 0
		x.error, x.cause, x.causeCut, x.causeAt = "", "", false, 0
		f.scopes[x.scope].current = v
	}
	x.redrive, x.failed = f.redrives, false
	x.status, x.waits = running, forNothing
	if len(x.attempts) > 0 && x.attempts[len(x.attempts)-1].redrive == f.redrives {
		x.status = retrying
	}
	x.attempts = append(x.attempts, attempt{started: e.At, event: e.ID, redrive: f.redrives, timeout: e.Timeout, heartbeat: e.Heartbeat})
	return &x.attempts[len(x.attempts)-1]
}

// begin begins a Parallel or Map, or tries it again.
func (f *fold) begin(e *engine.HistoryEvent) int32 {
	v := f.container(e)
	if v < 0 {
		return v
	}
	x := &f.visits[v]
	for _, s := range x.scopes {
		f.close(s, e, f.visitAt(f.before(e)))
	}
	if n := len(x.attempts); n > 0 && x.attempts[n-1].status == running {
		if cause := f.visitAt(f.before(e)); cause >= 0 {
			x.error, x.cause = f.visits[cause].error, f.visits[cause].cause
		}
		f.outcome(v, e, failed)
	}
	f.try(v, e)
	x = &f.visits[v]
	x.scopes, x.items, x.length, x.over = nil, nil, e.Length, false
	return v
}

// iterate begins an iteration of a Map.
func (f *fold) iterate(e *engine.HistoryEvent) int32 {
	v := f.climb(e, func(x *visit) bool { return x.state.name == e.Name })
	if v < 0 {
		return -1
	}
	s := int32(len(f.scopes))
	f.scopes = append(f.scopes, scope{owner: v, index: int32(e.Index), current: -1})
	x := &f.visits[v]
	x.last = e.ID
	x.scopes = append(x.scopes, s)
	if x.items == nil {
		x.items = map[int64]int32{}
	}
	x.items[e.Index] = s
	f.at[e.ID] = -1 - s
	return -1
}

// iteration finds the scope of an iteration; -1: none.
func (f *fold) iteration(e *engine.HistoryEvent) int32 {
	v := f.climb(e, func(x *visit) bool { return x.state.name == e.Name })
	if v < 0 {
		return -1
	}
	f.visits[v].last = e.ID
	if s, ok := f.visits[v].items[e.Index]; ok {
		return s
	}
	return -1
}

// container finds the Parallel or Map that an event without a name is about: the
// innermost one that has not ended.
func (f *fold) container(e *engine.HistoryEvent) int32 {
	parallel := e.Type == engine.ParallelStateStartedType || e.Type == engine.ParallelStateSucceededType || e.Type == engine.ParallelStateFailedType
	want := "Map"
	if parallel {
		want = "Parallel"
	}
	if e.Type == engine.ParallelStateStartedType || e.Type == engine.MapStateStartedType {
		if v := f.nextAgain(e, want); v >= 0 {
			return v
		}
	}
	return f.climb(e, func(x *visit) bool { return x.state.kind == want && x.end == 0 })
}

// containerFailed ends a Parallel or Map that is not tried again; it may yet be
// caught.
func (f *fold) containerFailed(e *engine.HistoryEvent) int32 {
	v := f.container(e)
	if v < 0 {
		return v
	}
	cause := f.visitAt(f.before(e))
	for _, s := range f.visits[v].scopes {
		f.close(s, e, cause)
	}
	x := &f.visits[v]
	x.failed, x.waits = true, forNothing
	if cause >= 0 && cause != v {
		x.error, x.cause = f.visits[cause].error, f.visits[cause].cause
		x.causeCut, x.causeAt = f.visits[cause].causeCut, f.visits[cause].causeAt
	}
	f.outcome(v, e, failed)
	f.finish(v, e, failed)
	f.visits[v].over = false
	f.branchOver(v, true)
	return v
}

// branchOver notes whether the Parallel that a state is directly in has failed with
// the state. It has unless the failure is caught.
func (f *fold) branchOver(v int32, over bool) {
	if owner := f.scopes[f.visits[v].scope].owner; owner >= 0 && f.visits[owner].state.kind == "Parallel" {
		f.visits[owner].over = over
	}
}

// abandoned closes what a failed Parallel gives up. What a Map gives up is closed
// by iteration.
func (f *fold) abandoned(e *engine.HistoryEvent) {
	cause := f.before(e)
	if v := f.visitAt(cause); e.Type == engine.TaskStateAbortedType && v >= 0 && f.visits[v].failed && f.visits[v].causeAt == e.Previous {
		f.branchOver(v, true) // a task is given up for its own failure when that is its branch's
	}
	v := f.climb(e, func(x *visit) bool { return x.end == 0 && (x.state.kind == "Parallel" || x.state.kind == "Map") })
	if v < 0 || f.visits[v].state.kind == "Map" || f.visitAt(cause) == v {
		return
	}
	for _, s := range f.visits[v].scopes {
		f.close(s, e, f.visitAt(cause))
	}
}

// visitAt is the visit at a place of at: itself, or the Map whose iteration the
// scope is; -1: none.
func (f *fold) visitAt(at int32) int32 {
	if at >= 0 {
		return at
	}
	return f.scopes[-1-at].owner
}

// climb goes outwards from where the event before e is, to the first visit that
// is meant; -1: none.
func (f *fold) climb(e *engine.HistoryEvent, meant func(*visit) bool) int32 {
	for v := f.visitAt(f.before(e)); v >= 0; v = f.scopes[f.visits[v].scope].owner {
		if meant(&f.visits[v]) {
			return v
		}
	}
	if e.Previous == f.redriven || e.Previous == 0 {
		return f.search(0, meant)
	}
	return -1
}

// search goes inwards from a scope.
func (f *fold) search(s int32, meant func(*visit) bool) int32 {
	v := f.scopes[s].current
	if v < 0 {
		return -1
	}
	if meant(&f.visits[v]) {
		return v
	}
	for _, inner := range f.visits[v].scopes {
		if found := f.search(inner, meant); found >= 0 {
			return found
		}
	}
	return -1
}

// scopeOf finds, or makes, the scope in which a state is after an event.
func (f *fold) scopeOf(p *place, e *engine.HistoryEvent) int32 {
	if p.within == "" {
		return 0
	}
	at := f.before(e)
	for {
		if at < 0 { // in a scope, not in a state
			s := -1 - at
			owner := f.scopes[s].owner
			if owner < 0 {
				break
			}
			if f.visits[owner].state.name == p.within && f.visits[owner].state.kind == "Map" {
				return s
			}
			at = owner
			continue
		}
		if f.visits[at].state.name == p.within && f.visits[at].state.kind == "Parallel" {
			return f.branch(at, p.branch)
		}
		at = -1 - f.visits[at].scope
	}
	v := f.search(0, func(x *visit) bool { return x.state.name == p.within })
	if v < 0 {
		return 0
	}
	return f.branch(v, p.branch)
}

// branch finds, or makes, the scope of a branch.
func (f *fold) branch(v, index int32) int32 {
	for _, s := range f.visits[v].scopes {
		if f.scopes[s].index == index {
			return s
		}
	}
	s := int32(len(f.scopes))
	f.scopes = append(f.scopes, scope{owner: v, index: index, current: -1})
	f.visits[v].scopes = append(f.visits[v].scopes, s)
	return s
}

// named finds the visit of the state that an event names.
func (f *fold) named(e *engine.HistoryEvent) int32 {
	if e.Previous == f.redriven && f.redriven != 0 {
		oldest := -1 // timers that are due at once fire in the order of their scopes
		for i, v := range f.redo {
			if f.visits[v].state.name == e.Name && (oldest < 0 || f.visits[v].scope < f.visits[f.redo[oldest]].scope) {
				oldest = i
			}
		}
		if oldest >= 0 {
			v := f.redo[oldest]
			f.redo = slices.Delete(f.redo, oldest, oldest+1)
			f.reopen(v)
			return v
		}
	}
	for v := f.visitAt(f.before(e)); v >= 0; v = f.scopes[f.visits[v].scope].owner {
		if f.visits[v].state.name == e.Name {
			return v
		}
	}
	v := f.scopes[f.scopeOf(f.place(e), e)].current
	if v < 0 || f.visits[v].state.name != e.Name {
		return f.search(0, func(x *visit) bool { return x.state.name == e.Name })
	}
	return v
}

// taskEvent takes an event of a call that a state makes.
func (f *fold) taskEvent(e *engine.HistoryEvent) int32 {
	v := int32(-1)
	switch e.Type {
	case engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
		v = f.nextAgain(e, "Task")
	case engine.MapRunRedrivenType:
		v = f.nextAgain(e, "Map")
	}
	if v < 0 {
		v = f.visitAt(f.before(e))
	}
	if v < 0 {
		return v
	}
	x := &f.visits[v]
	switch e.Type {
	case engine.TaskScheduledType, engine.LambdaFunctionScheduledType, engine.ActivityScheduledType:
		a := f.try(v, e)
		a.resource = e.Resource
		if e.Service != "" {
			a.resource = e.Service + ":" + e.Resource
		}
		x = &f.visits[v]
		x.waits = forTask
		if e.Type == engine.ActivityScheduledType {
			x.waits = forActivity
		}
	case engine.ActivityStartedType:
		x.waits = forTask
		if n := len(x.attempts); n > 0 {
			x.attempts[n-1].worker = e.Name
		}
	case engine.TaskSubmittedType:
		x.waits = submitted(e)
		f.childOf(x, e)
	case engine.TaskSucceededType, engine.LambdaFunctionSucceededType, engine.ActivitySucceededType, engine.MapRunSucceededType:
		f.childOf(x, e)
		f.outcome(v, e, succeeded)
		x.waits, x.status = forNothing, running
	case engine.TaskFailedType, engine.TaskStartFailedType, engine.TaskSubmitFailedType, engine.LambdaFunctionFailedType,
		engine.LambdaFunctionScheduleFailedType, engine.LambdaFunctionStartFailedType, engine.ActivityFailedType, engine.ActivityScheduleFailedType,
		engine.MapRunFailedType:
		f.failure(v, e, failed)
	case engine.TaskTimedOutType, engine.LambdaFunctionTimedOutType, engine.ActivityTimedOutType:
		f.failure(v, e, timedOut)
	case engine.MapRunStartedType:
		x.mapRun, x.waits = e.MapRunARN, forMapRun
	case engine.MapRunRedrivenType:
		f.try(v, e)
		x = &f.visits[v]
		x.mapRun, x.waits = e.MapRunARN, forMapRun
	}
	return v
}

// childOf takes down which execution a state has started.
func (f *fold) childOf(x *visit, e *engine.HistoryEvent) {
	if e.Service != "states" || e.Data == nil || x.child != "" || !strings.HasPrefix(e.Resource, "startExecution") {
		return
	}
	var started struct{ ExecutionArn, ExecutionARN string }
	if json.Unmarshal([]byte(*e.Data), &started) == nil {
		if x.child = started.ExecutionArn; x.child == "" {
			x.child = started.ExecutionARN
		}
	}
}

// again opens what a redrive goes on with in a scope: the states in the middle of
// which the execution ended, innermost first in line.
func (f *fold) again(s int32) {
	v := f.scopes[s].current
	if v < 0 || f.scopes[s].done {
		return
	}
	x := &f.visits[v]
	switch {
	case x.status == succeeded || x.status == caught:
		return
	case len(x.scopes) > 0 && !x.over && !f.allDone(x):
		f.reopen(v)
		for _, inner := range f.visits[v].scopes {
			f.again(inner)
		}
	default:
		f.redo = append(f.redo, v)
		if x.state.kind == "Wait" { // no event says that it waits again
			f.reopen(v)
		}
	}
}

// allDone reports whether all branches or iterations of a state have ended well.
func (f *fold) allDone(x *visit) bool {
	for _, s := range x.scopes {
		c := &f.scopes[s]
		if c.done {
			continue
		}
		if c.current < 0 || x.state.kind == "Map" {
			return false
		}
		if last := &f.visits[c.current]; last.status != succeeded && last.status != caught || !last.state.last {
			return false
		}
	}
	return x.state.kind == "Map" || len(x.scopes) == x.state.branches
}

// reopen makes a visit that has ended one that goes on.
func (f *fold) reopen(v int32) {
	x := &f.visits[v]
	if x.end == 0 {
		return
	}
	f.open++
	x.end, x.exited, x.output, x.status, x.failed, x.redrive = 0, 0, 0, running, false, f.redrives
	x.error, x.cause, x.causeCut, x.causeAt = "", "", false, 0
	if x.state.kind == "Wait" {
		x.waits = forTimer
	}
	f.scopes[x.scope].current = v
}

// silent finds the state that, done again after a redrive, has failed without an
// event of its own, as Fail states do: e is the event of what that means to what it
// is in. -1: e is not about such a one.
func (f *fold) silent(e *engine.HistoryEvent) int32 {
	if f.redriven == 0 || e.Previous != f.redriven {
		return -1
	}
	meant := func(v int32) bool {
		s := &f.scopes[f.visits[v].scope]
		if e.Type == engine.ExecutionFailedType {
			return s.owner < 0
		}
		if s.owner < 0 {
			return false
		}
		kind := f.visits[s.owner].state.kind
		return e.Type == engine.ParallelStateFailedType && kind == "Parallel" || e.Type == engine.MapIterationFailedType && kind == "Map" && int64(s.index) == e.Index
	}
	i := slices.IndexFunc(f.redo, func(v int32) bool { return f.visits[v].state.kind == "Fail" && meant(v) })
	if i < 0 {
		i = slices.IndexFunc(f.redo, meant)
	}
	if i < 0 {
		return -1
	}
	v := f.redo[i]
	f.redo = slices.Delete(f.redo, i, i+1)
	f.reopen(v)
	x := &f.visits[v]
	x.failed, x.error, x.cause = true, x.state.error, x.state.cause
	f.finish(v, e, failed)
	return v
}

// nextAgain finds the visit of a kind that is next in line after a redrive; -1: none.
func (f *fold) nextAgain(e *engine.HistoryEvent, kind string) int32 {
	if f.redriven == 0 || e.Previous != f.redriven {
		return -1
	}
	for i, v := range f.redo {
		x := &f.visits[v]
		if x.state.kind != kind || kind == "Task" && x.state.resource != "" && e.Resource != "" && !strings.Contains(x.state.resource, e.Resource) {
			continue
		}
		f.redo = slices.Delete(f.redo, i, i+1)
		f.reopen(v)
		return v
	}
	return -1
}

// now is how a visit is.
func (x *visit) now() status {
	if x.end == 0 && x.status == running && x.waits.idle() {
		return waiting
	}
	return x.status
}

// paths writes where a visit is: with the indexes of branches and iterations, and
// as in the definition, where a Map has one place for all its iterations.
func (f *fold) paths(v int32) (path, node string, branch, iteration *int32) {
	x := &f.visits[v]
	path, node = x.state.name, x.state.name
	for s := x.scope; f.scopes[s].owner >= 0; {
		c := &f.scopes[s]
		owner := &f.visits[c.owner]
		path = owner.state.name + "#" + strconv.Itoa(int(c.index)) + "/" + path
		at := c.index
		if owner.state.kind == "Map" {
			at = 0
			if iteration == nil {
				iteration = &c.index
			}
		} else if branch == nil {
			branch = &c.index
		}
		node = owner.state.name + "#" + strconv.Itoa(int(at)) + "/" + node
		s = owner.scope
	}
	return path, node, branch, iteration
}

// graph says where the states of a definition are. It does not change.
type graph struct {
	language string // JSONPath or JSONata; "" where it is not known
	author   string // who made the revision; "" where it is not known
	places   map[string]*place
}

// place is a state of a definition.
type place struct {
	name, kind   string
	within       string // the Parallel or Map it is in, "" at the top level
	branch       int32
	branches     int  // of a Parallel
	last         bool // ends its scope
	resource     string
	error, cause string // of a Fail
}

// newGraph takes down a machine; nil: of none.
func newGraph(m *asl.Machine) *graph {
	g := &graph{places: map[string]*place{}}
	if m != nil {
		g.language = m.QueryLanguage.String()
		g.add(&m.Scope, "", 0)
	}
	return g
}

func (g *graph) add(s *asl.Scope, within string, branch int) {
	for _, state := range s.States {
		base := state.Base()
		p := &place{name: base.Name, kind: base.Type, within: within, branch: int32(branch), last: base.End || base.Type == "Succeed"}
		switch state := state.(type) {
		case *asl.Task:
			p.resource = state.Resource.ARN
		case *asl.Fail:
			p.error, p.cause = text(state.Error), text(state.Cause)
		case *asl.Parallel:
			p.branches = len(state.Branches)
		}
		g.places[base.Name] = p
		if m, ok := state.(*asl.Map); ok && m.Distributed {
			continue // its states run in executions of their own
		}
		for i, inner := range asl.Scopes(state) {
			g.add(inner, base.Name, i)
		}
	}
}

// place finds the state that an event names. One that the definition does not
// have stands at the top level.
func (f *fold) place(e *engine.HistoryEvent) *place {
	p := f.graph.places[e.Name]
	if p == nil {
		p = f.unknown[e.Name]
	}
	if p == nil {
		kind, _, _ := strings.Cut(e.Type.String(), "State")
		p = &place{name: strings.Clone(e.Name), kind: kind}
		if f.unknown == nil {
			f.unknown = map[string]*place{}
		}
		f.unknown[p.name] = p
	}
	return p
}
