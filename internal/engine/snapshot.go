package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Status is where an execution stands.
type Status uint8

// The statuses of the API. Their numbers are stored.
const (
	Running Status = iota
	Succeeded
	Failed
	TimedOut
	Aborted
)

// String gives the API's name of the status.
func (s Status) String() string {
	return [...]string{"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}[s]
}

// ParseStatus finds a status by the API's name.
func ParseStatus(name string) (Status, bool) {
	for s := Running; s <= Aborted; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// Execution holds the facts about an execution that never change.
type Execution struct {
	ID          int64 // dense, positive; also the seed of its chance
	ARN         string
	Name        string
	MachineARN  string
	MachineName string
	VersionARN  string // of the machine's version that was started; "": the machine itself was
	AliasARN    string // of the alias that chose the version; "": none did
	RoleARN     string
	Region      string
	Sync        bool      // of StartSyncExecution: not one that could be redriven
	StartedAt   time.Time // in whole milliseconds
	Input       *Data
}

// Snapshot is all that the engine needs to continue an execution. It belongs
// to whoever applies events to it, one at a time; Apply changes it in place.
// Flush says what has changed since the last time, for the store.
type Snapshot struct {
	Execution Execution
	Status    Status
	Output    *Data   // Succeeded
	Error     *string // Failed, TimedOut, Aborted
	Cause     *string
	StoppedAt int64 // Unix milliseconds; 0 while Running

	lastEvent int64   // id of the newest history event
	lastFrame FrameID // newest frame
	lastAt    int64   // Unix milliseconds of the newest event applied
	redrives  int64   // how often the execution was begun again
	redriven  int64   // when last, in Unix milliseconds; 0: never
	deadline  int64   // Unix milliseconds at which the machine's TimeoutSeconds are over; 0: none
	frames    map[FrameID]*Frame
	children  map[FrameID][]FrameID // of Parallel and Map frames, by index

	history historyWriter
	dirty   []FrameID
	removed []FrameID
}

// FrameID names a frame within its execution. The root frame is 1; ids are
// never used again.
type FrameID uint32

const rootFrame FrameID = 1

// phase says what a frame is doing.
type phase uint8

// The phases of a frame. Their numbers are stored.
const (
	ready     phase = iota // about to enter State
	sleeping               // a Wait state, until due
	backoff                // between two attempts of State, until due
	dispatch               // a task that is being called: ask again after a crash
	submitted              // a task that is answered later
	queued                 // an activity task that no worker has taken
	started                // an activity task that a worker has
	joining                // waits for the frames below it
	done                   // a branch or iteration that has ended: result is its output
	failing                // its state has failed, and what follows is being worked out
	inside                 // in State, which needs nothing from outside: seen only where it failed
	redo                   // about to do State again, without entering it
	mapping                // a distributed Map whose Map Run is under way
	keeping                // in a state whose result is being kept elsewhere, since no payload can hold it
)

// Frame is one running branch or iteration, or the top level of a machine:
// the state it is in and what it waits for.
type Frame struct {
	ID     FrameID
	parent FrameID // 0: the root
	index  int     // of the branch or iteration
	phase  phase

	state     string // current state
	input     *Data  // its raw input
	result    *Data  // phases done and keeping; phase submitted: what the submission returned of a job whose end is awaited
	vars      value.Value
	enteredAt int64  // Unix milliseconds
	entered   int64  // id of the StateEntered event
	before    int64  // id of the event before that
	last      int64  // id of the newest event on this frame's path
	scheduled int64  // id of the event that scheduled the task or began the Map Run: the seed of its parameters
	attempt   uint32 // of tasks, counted over the frame's life
	retries   []int64
	retried   int64 // $$.State.RetryCount
	runs      int64 // how often the Map Run was begun again

	due       int64 // Unix milliseconds at which something happens by itself; 0: never
	timeoutAt int64 // when the task's TimeoutSeconds are over; 0: never
	heartbeat int64 // milliseconds between heartbeats; 0: none

	item  *mapItem    // set while an ItemSelector is evaluated
	items value.Value // of a Map: worked out again when needed

	dirty bool // changed since the last Flush
	saved bool // has a row of its own in the store
}

// polled reports whether f waits for the end of a job that somebody must ask
// for: no callback brings it.
func (f *Frame) polled() bool { return f.phase == submitted && f.result != nil }

// New makes the snapshot of an execution that has not started.
func New(x Execution) *Snapshot {
	s := &Snapshot{Execution: x, frames: map[FrameID]*Frame{}}
	s.addFrame(&Frame{input: x.Input})
	return s
}

// Running reports whether the execution has not ended.
func (s *Snapshot) Running() bool { return s.Status == Running }

// Due is when TimerFired is to be applied, in Unix milliseconds; 0: never.
func (s *Snapshot) Due() int64 {
	if !s.Running() {
		return 0
	}
	due := s.deadline
	for _, f := range s.frames {
		if f.due != 0 && (due == 0 || f.due < due) {
			due = f.due
		}
	}
	return due
}

// addFrame gives f its id and files it.
func (s *Snapshot) addFrame(f *Frame) {
	s.lastFrame++
	f.ID = s.lastFrame
	s.frames[f.ID] = f
	s.adopt(f)
	s.touch(f)
}

func (s *Snapshot) adopt(f *Frame) {
	if f.parent == 0 {
		return
	}
	if s.children == nil {
		s.children = map[FrameID][]FrameID{}
	}
	s.children[f.parent] = append(s.children[f.parent], f.ID)
}

// touch marks f as changed since the last Flush.
func (s *Snapshot) touch(f *Frame) {
	if !f.dirty {
		f.dirty = true
		s.dirty = append(s.dirty, f.ID)
	}
}

// removeChildren drops the frames below f, all the way down.
func (s *Snapshot) removeChildren(f *Frame) {
	for _, id := range s.children[f.ID] {
		child := s.frames[id]
		s.removeChildren(child)
		delete(s.frames, id)
		if child.saved {
			s.removed = append(s.removed, id)
		}
	}
	delete(s.children, f.ID)
}

// Delta is what has changed in a snapshot since the last Flush, as the store
// keeps it.
type Delta struct {
	Status    Status
	StoppedAt int64 // Unix milliseconds
	Output    *string
	Error     *string
	Cause     *string

	Redrives   int64 // how often the execution was begun again
	RedrivenAt int64 // when last, in Unix milliseconds

	Due     int64 // see Snapshot.Due
	Pending bool  // must be looked at after a crash: see Resume
	History Chunk // Count 0: no new events
	Head    []byte
	Frames  []FrameRecord // new or changed; the root's is in Head
	Removed []FrameID
}

// FrameRecord is a frame as the store keeps it.
type FrameRecord struct {
	ID   FrameID
	Data []byte
}

// Flush returns what has changed since the last Flush and starts anew.
func (s *Snapshot) Flush() Delta {
	d := Delta{
		Status:    s.Status,
		StoppedAt: s.StoppedAt,
		Redrives:  s.redrives, RedrivenAt: s.redriven,
		Error:   s.Error,
		Cause:   s.Cause,
		Due:     s.Due(),
		Pending: s.pending(),
		History: s.history.chunk,
		Removed: s.removed,
	}
	if s.Output != nil {
		text := s.Output.JSON()
		d.Output = &text
	}
	for _, id := range s.dirty {
		f := s.frames[id]
		if f == nil {
			continue
		}
		f.dirty = false
		if id == rootFrame {
			continue
		}
		f.saved = true
		d.Frames = append(d.Frames, FrameRecord{ID: id, Data: s.encodeFrame(f)})
	}
	if s.Status != Succeeded {
		d.Head = s.encodeHead()
	}
	s.history.chunk = Chunk{}
	s.dirty, s.removed = s.dirty[:0], nil
	return d
}

// pending reports whether a frame would stand still for ever if the process
// died now: what it waits for is being done by this process alone.
func (s *Snapshot) pending() bool {
	if !s.Running() {
		return false
	}
	for _, f := range s.frames {
		switch f.phase {
		case ready, redo, dispatch, mapping, keeping:
			return true
		}
		if f.polled() {
			return true
		}
	}
	return false
}

const snapshotVersion = 1

func (s *Snapshot) encodeHead() []byte {
	e := encoder{make([]byte, 0, 128)}
	e.byte(snapshotVersion)
	e.int(s.lastEvent)
	e.uint(uint64(s.lastFrame))
	e.int(s.lastAt)
	e.int(s.redrives)
	e.int(s.redriven)
	e.int(s.deadline)
	e.buf = append(e.buf, s.encodeFrame(s.frames[rootFrame])...)
	return e.buf
}

func (s *Snapshot) encodeFrame(f *Frame) []byte {
	e := encoder{make([]byte, 0, 96)}
	e.byte(snapshotVersion)
	e.uint(uint64(f.ID))
	e.uint(uint64(f.parent))
	e.int(int64(f.index))
	e.byte(byte(f.phase))
	e.string(f.state)
	if f.input == s.Execution.Input {
		e.byte(2) // the execution's own input is kept once
	} else {
		s.encodeData(&e, f.input)
	}
	s.encodeData(&e, f.result)
	if f.vars.IsAbsent() {
		e.string("")
	} else {
		e.string(f.vars.JSON())
	}
	for _, n := range [...]int64{f.enteredAt, f.entered, f.before, f.last, f.scheduled, int64(f.attempt), f.retried, f.due, f.timeoutAt, f.heartbeat} {
		e.int(n)
	}
	e.uint(uint64(len(f.retries)))
	for _, n := range f.retries {
		e.int(n)
	}
	if f.runs != 0 { // snapshots from before there were Map Runs end here
		e.int(f.runs)
	}
	return e.buf
}

func (s *Snapshot) encodeData(e *encoder, d *Data) {
	if d == nil {
		e.byte(0)
		return
	}
	e.byte(1)
	e.string(d.JSON())
}

// Restore makes a snapshot again from what Flush gave the store.
func Restore(x Execution, head []byte, frames []FrameRecord) (*Snapshot, error) {
	s := &Snapshot{Execution: x, frames: make(map[FrameID]*Frame, len(frames)+1)}
	d := decoder{buf: head}
	if v := d.byte(); v != snapshotVersion {
		return nil, fmt.Errorf("snapshot of %s: unknown format version %d", x.ARN, v)
	}
	s.lastEvent = d.int()
	s.lastFrame = FrameID(d.uint())
	s.lastAt = d.int()
	s.redrives = d.int()
	s.redriven = d.int()
	s.deadline = d.int()
	all := []*Frame{s.decodeFrame(&d)}
	for _, r := range frames {
		fd := decoder{buf: r.Data}
		all = append(all, s.decodeFrame(&fd))
		d.err = errors.Join(d.err, fd.err)
	}
	if d.err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", x.ARN, d.err)
	}
	slices.SortFunc(all, func(a, b *Frame) int {
		return cmp.Or(cmp.Compare(a.parent, b.parent), cmp.Compare(a.ID, b.ID))
	})
	for _, f := range all {
		f.saved = f.ID != rootFrame
		s.frames[f.ID] = f
		s.adopt(f)
	}
	return s, nil
}

func (s *Snapshot) decodeFrame(d *decoder) *Frame {
	if v := d.byte(); v != snapshotVersion && d.err == nil {
		d.fail(fmt.Errorf("unknown frame format version %d", v))
	}
	f := &Frame{
		ID:     FrameID(d.uint()),
		parent: FrameID(d.uint()),
		index:  int(d.int()),
		phase:  phase(d.byte()),
		state:  d.string(),
	}
	f.input = s.decodeData(d)
	f.result = s.decodeData(d)
	if text := d.string(); text != "" {
		vars, err := stored.Parse(text)
		if err != nil {
			d.fail(err)
		}
		f.vars = vars
	}
	var attempt int64
	for _, n := range [...]*int64{&f.enteredAt, &f.entered, &f.before, &f.last, &f.scheduled, &attempt, &f.retried, &f.due, &f.timeoutAt, &f.heartbeat} {
		*n = d.int()
	}
	f.attempt = uint32(attempt)
	for n := d.uint(); n > 0 && d.err == nil; n-- {
		f.retries = append(f.retries, d.int())
	}
	if len(d.buf) > 0 && d.err == nil {
		f.runs = d.int()
	}
	return f
}

func (s *Snapshot) decodeData(d *decoder) *Data {
	switch d.byte() {
	case 1:
		return Text(d.string())
	case 2:
		return s.Execution.Input
	}
	return nil
}
