package engine

import "github.com/lockstep-run/lockstep/asl"

// Command is something to do outside, once the step that asks for it is
// durable.
type Command interface{ isCommand() }

type (
	// Dispatch asks for a task to be run. After a crash the same task is
	// asked for again, with the same ID and the same Input. An activity's
	// Dispatch answers ActivityStarted: it is what the worker gets.
	Dispatch struct {
		Task     TaskID
		State    string
		Resource asl.Resource
		Input    *Data  // the effective input: what the resource is called with
		Token    string // the task token, where the pattern has one
		RoleARN  string // Credentials of the state; "" : the machine's role
		Retry    int64  // how often the state has been tried again since it was entered
		Again    bool   // it may have been carried out before a crash

		Entered   int64 // id of the event with which the state was entered: the same for each time it is tried
		Heartbeat bool  // the state has a heartbeat, see TaskHeartbeat
	}

	// Enqueue offers an activity task to the activity's workers.
	Enqueue struct {
		Task     TaskID
		Activity string // ARN
	}

	// Dequeue takes an activity task out of the activity's queue: a worker has
	// it, or it is not wanted any more.
	Dequeue struct {
		Task     TaskID
		Activity string
	}

	// Poll asks for the end of a job that the task has submitted: it is the
	// task's answer. After a crash the same is asked for again.
	Poll struct {
		Dispatch
		Submitted *Data // what the submission returned
	}

	// StartMapRun asks for a Map Run, or for it to go on after a redrive. It
	// ends with MapRunEnded. After a crash the same is asked for again.
	StartMapRun struct {
		Task TaskID
		Run  *MapRun
	}

	// StopMapRun says that a Map Run's end is not awaited any more: its
	// children are to be stopped.
	StopMapRun struct {
		Task TaskID
		ARN  string
	}

	// Keep asks for the result of a state to be kept outside, since no payload can
	// hold it. It ends with Kept, which brings what goes on in its place. After a
	// crash the same is asked for again, with what expressions without chance make
	// of it.
	Keep struct {
		Task   TaskID
		State  string
		Result *Data
	}

	// Cancel tells a task that is running, or whose job is being awaited, that
	// its answer is not wanted any more.
	Cancel struct {
		Task     TaskID
		Resource asl.Resource
		// Submitted, if set, is what the submission of a job returned that is
		// to be cancelled too, as well as that can be done.
		Submitted *Data
		// Call is what that job was begun with; nil without Submitted.
		Call *Dispatch
	}
)

func (*Dispatch) isCommand()    {}
func (*Enqueue) isCommand()     {}
func (*Dequeue) isCommand()     {}
func (*Cancel) isCommand()      {}
func (*StartMapRun) isCommand() {}
func (*StopMapRun) isCommand()  {}
func (*Keep) isCommand()        {}
