package engine

import (
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Event is something that happened to an execution. The set is closed: Apply
// has one case for each.
type Event interface {
	isEvent()
	at() time.Time
}

// TaskID names one attempt of a task within an execution. Attempts of a frame
// are counted over its whole life, so no two tasks of an execution share one.
type TaskID struct {
	Frame   FrameID
	Attempt uint32
}

// From is where an execution begins that does not begin at its machine's StartAt.
// Its own input stays what the execution's input is.
type From struct {
	State     string // at the top level of the machine
	Input     *Data  // of the state
	Variables value.Value
}

type (
	// Started begins the execution of a fresh snapshot.
	Started struct {
		At   time.Time
		From *From // nil: the machine's StartAt
	}

	// Continued goes on after an Apply that yielded.
	Continued struct{ At time.Time }

	// TaskSubmitted says that a task that is answered later has been
	// handed over; Output is what the call itself returned.
	TaskSubmitted struct {
		At     time.Time
		Task   TaskID
		Output *Data
		// Answered says that the task's end is known already, and delivered
		// right behind this event: nobody needs to ask for it.
		Answered bool
	}

	// TaskSucceeded brings a task's result.
	TaskSucceeded struct {
		At       time.Time
		Task     TaskID
		Output   *Data
		Callback bool // by task token
	}

	// TaskFailed brings a task's error. A nil Error or Cause was not given.
	TaskFailed struct {
		At           time.Time
		Task         TaskID
		Error, Cause *string
		Callback     bool // by task token
	}

	// TaskHeartbeat restarts the heartbeat clock of a task. That of a task of
	// the board begins with its first one, and can be suspended.
	TaskHeartbeat struct {
		At      time.Time
		Task    TaskID
		Bound   bool // by the board, where Resource.OnBoard
		Suspend bool // nobody works on it: no heartbeat is due before the next one
	}

	// ActivityStarted says that a worker takes an activity task.
	ActivityStarted struct {
		At     time.Time
		Task   TaskID
		Worker string
	}

	// TimerFired says that the execution's due time has come. Whatever in it
	// is due by At moves on.
	TimerFired struct{ At time.Time }

	// MapRunEnded brings the end of a Map Run: the state's result, or the
	// error that it failed with.
	MapRunEnded struct {
		At           time.Time
		Task         TaskID
		Output       *Data // nil: it failed
		Error, Cause *string
	}

	// Kept brings what goes on in the place of a result that was to be kept, or
	// the error for which it was not.
	Kept struct {
		At           time.Time
		Task         TaskID
		Reference    *Data // nil: it failed
		Error, Cause *string
	}

	// Redriven begins an execution again that has ended without success, at
	// the states that had not ended well.
	Redriven struct{ At time.Time }

	// Stopped ends the execution from outside.
	Stopped struct {
		At           time.Time
		Error, Cause *string
	}
)

func (Started) isEvent()         {}
func (Continued) isEvent()       {}
func (TaskSubmitted) isEvent()   {}
func (TaskSucceeded) isEvent()   {}
func (TaskFailed) isEvent()      {}
func (TaskHeartbeat) isEvent()   {}
func (ActivityStarted) isEvent() {}
func (TimerFired) isEvent()      {}
func (Stopped) isEvent()         {}
func (Redriven) isEvent()        {}
func (MapRunEnded) isEvent()     {}
func (Kept) isEvent()            {}

func (e Started) at() time.Time         { return e.At }
func (e Continued) at() time.Time       { return e.At }
func (e TaskSubmitted) at() time.Time   { return e.At }
func (e TaskSucceeded) at() time.Time   { return e.At }
func (e TaskFailed) at() time.Time      { return e.At }
func (e TaskHeartbeat) at() time.Time   { return e.At }
func (e ActivityStarted) at() time.Time { return e.At }
func (e TimerFired) at() time.Time      { return e.At }
func (e Stopped) at() time.Time         { return e.At }
func (e Redriven) at() time.Time        { return e.At }
func (e MapRunEnded) at() time.Time     { return e.At }
func (e Kept) at() time.Time            { return e.At }
