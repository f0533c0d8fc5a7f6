// Package store says what is kept and what every store must keep to.
//
// There is one write door, Commit. It takes the steps of many executions and
// the writes of the control plane and makes them durable in one transaction.
// Everything else reads. Package storetest holds the contract as tests.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
)

// The errors a caller can act on.
var (
	// ErrNotFound: nothing is kept under that name or id.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict: the record has moved on since it was read.
	ErrConflict = errors.New("changed since it was read")
	// ErrFull: there is no room left on the disk. Nothing of the commit was
	// kept; the store goes on working once there is room.
	ErrFull = errors.New("no space left on the disk")
	// ErrLocked: another process has the same data open.
	ErrLocked = errors.New("in use by another process")
	// ErrBusy: more is under way than may be; try again later.
	ErrBusy = errors.New("too much is under way")
	// ErrUnknown: whether the commit was kept is not known. Read back and
	// compare versions.
	ErrUnknown = errors.New("outcome of the commit unknown")
	// ErrBroken: the disk failed while it was to make a commit durable. What
	// it holds of the commit, and of earlier ones, is not known: end the
	// process without Close. The next one reads what is there.
	ErrBroken = errors.New("the disk failed to make the commit durable")
)

// Store keeps machines, executions and their history.
//
// One goroutine at a time calls Commit; all other methods may be called
// concurrently with it and with each other. What a Commit that has returned
// nil wrote is durable and seen by every later read. A limit of 0 selects
// nothing.
type Store interface {
	// Commit makes c durable, all or nothing, except for parts that fail by
	// themselves: an execution whose guard does not hold gets its Err set, a
	// write whose function returns an error is undone alone and has its Err
	// set; the rest is committed. The error it returns means that nothing was
	// kept (ErrFull, …), except for ErrUnknown.
	Commit(ctx context.Context, c *Commit) error

	// Execution finds an execution's record.
	Execution(ctx context.Context, id ExecutionID) (Execution, error)
	// ExecutionNamed finds an execution that was given its name by the caller.
	ExecutionNamed(ctx context.Context, machine MachineID, name string) (Execution, error)
	// Executions lists executions, newest first.
	Executions(ctx context.Context, q ExecutionQuery) ([]Execution, error)
	// CountExecutions counts what Executions would list, the newest first and
	// up to q.Limit, and gives the id of the oldest that it counted, 0 if none.
	CountExecutions(ctx context.Context, q ExecutionQuery) (n int64, oldest ExecutionID, err error)
	// FirstSince is the id of the first execution that was started at or after a
	// time, in Unix milliseconds, and one after the last if there is none. It
	// takes ids to follow the times of start, which they do but for starts within
	// the same moment.
	FirstSince(ctx context.Context, at int64) (ExecutionID, error)
	// Snapshot reads what engine.Restore needs.
	Snapshot(ctx context.Context, id ExecutionID) (SnapshotRecord, error)
	// History calls yield with the chunks of an execution, oldest first or,
	// with newestFirst, the other way round, until it returns false. It begins
	// with the chunk that holds the event from; 0: with the first in that
	// order.
	History(ctx context.Context, id ExecutionID, from int64, newestFirst bool, yield func(engine.Chunk) bool) error
	// LastExecution is the highest execution id ever committed, 0 if none, whether
	// or not that execution is still kept.
	LastExecution(ctx context.Context) (ExecutionID, error)
	// Outlines lists executions by id, from after on: those of all machines and
	// the children of all Map Runs.
	Outlines(ctx context.Context, after ExecutionID, limit int) ([]Outline, error)

	// Pending lists executions, by id, that a crash would leave standing
	// (engine.Delta.Pending), from after on.
	Pending(ctx context.Context, after ExecutionID, limit int) ([]ExecutionID, error)
	// Due lists executions with a due time at or before until, earliest
	// first.
	Due(ctx context.Context, until time.Time, limit int) ([]DueExecution, error)
	// Queued lists an activity's waiting tasks in the order of Enqueue, from
	// after on.
	Queued(ctx context.Context, activity ActivityID, after int64, limit int) ([]QueuedTask, error)

	// Machine and the others find records by name or id.
	Machine(ctx context.Context, name string) (Machine, error)
	MachineByID(ctx context.Context, id MachineID) (Machine, error)
	Machines(ctx context.Context, afterName string, limit int) ([]Machine, error)
	Revision(ctx context.Context, id RevisionID) (Revision, error)
	// OldRevisions lists revisions by id, from after on, that nothing new can be
	// started with: they have no version, and were followed by another before a
	// time, in Unix milliseconds, or were made before it for a machine that is gone.
	OldRevisions(ctx context.Context, before int64, after RevisionID, limit int) ([]RevisionID, error)
	Version(ctx context.Context, machine MachineID, number int64) (Version, error)
	// Versions lists a machine's versions, newest first, before a number; 0:
	// from the newest on.
	Versions(ctx context.Context, machine MachineID, before int64, limit int) ([]Version, error)
	Alias(ctx context.Context, machine MachineID, name string) (Alias, error)
	Aliases(ctx context.Context, machine MachineID, afterName string, limit int) ([]Alias, error)
	Activity(ctx context.Context, name string) (Activity, error)
	Activities(ctx context.Context, afterName string, limit int) ([]Activity, error)

	// MapRun finds a Map Run by its name, MapRunByID by its id.
	MapRun(ctx context.Context, name string) (MapRun, error)
	MapRunByID(ctx context.Context, id MapRunID) (MapRun, error)
	// MapRuns lists the Map Runs of an execution, newest first, before an id;
	// 0: from the newest on.
	MapRuns(ctx context.Context, execution ExecutionID, before MapRunID, limit int) ([]MapRun, error)
	// OpenMapRuns lists the Map Runs that have not ended, by id, from after on.
	OpenMapRuns(ctx context.Context, after MapRunID, limit int) ([]MapRun, error)
	// Children lists the executions that a Map Run has started, with their
	// inputs and outputs, by Child.Index, from the index from on.
	Children(ctx context.Context, run MapRunID, from int64, limit int) ([]Execution, error)
	// Results calls yield with what AddResults kept for a Map Run, oldest
	// first, until it returns false.
	Results(ctx context.Context, run MapRunID, yield func([]byte) bool) error

	// Setting finds a setting by its kind and name.
	Setting(ctx context.Context, kind, name string) (Setting, error)
	// Settings lists the settings of a kind by name.
	Settings(ctx context.Context, kind, afterName string, limit int) ([]Setting, error)
	// DueSettings lists the settings of a kind with a due time at or before until,
	// earliest first.
	DueSettings(ctx context.Context, kind string, until time.Time, limit int) ([]Setting, error)

	// Starts lists the Express executions that KeepStarts has kept, by id, from
	// after on.
	Starts(ctx context.Context, after ExecutionID, limit int) ([]ExpressStart, error)

	// Record finds a record by its kind and id.
	Record(ctx context.Context, kind, id string) (Record, error)
	// Records lists records by key.
	Records(ctx context.Context, q RecordQuery) ([]Found, error)
	// Events lists the feed in order, from after on.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)
	// EventsOf lists the events with a topic, newest first, before a sequence
	// number; 0: from the newest on.
	EventsOf(ctx context.Context, topic string, before int64, limit int) ([]Event, error)

	// Usages lists usage by id, from after on.
	Usages(ctx context.Context, after int64, limit int) ([]Usage, error)
	// UsagesOfExecution lists what an execution used, by id, from after on.
	UsagesOfExecution(ctx context.Context, execution string, after int64, limit int) ([]Usage, error)
	// UsageSums lists sums, which are kept and not made for the question.
	UsageSums(ctx context.Context, q SumQuery) ([]UsageSum, error)
	// UsageOf is the sum for one name over days from from to to, both included.
	UsageOf(ctx context.Context, by, name string, from, to int64) (UsageTotals, error)

	// Secret returns the store's own random key, made on first use of the
	// store: task tokens and generated names are derived from it.
	Secret(ctx context.Context) ([32]byte, error)
	// Stats counts what the store has done since it was opened.
	Stats() Stats
	// Close ends the store. No other call may be under way.
	Close() error
}

// ExecutionID names an execution: dense and growing, given out by whoever
// starts it.
type ExecutionID int64

// MachineID and the others name records. They are given out by
// the store, grow, and are never used again.
type (
	MachineID  int64
	RevisionID int64
	ActivityID int64
	MapRunID   int64
)

// Commit is one transaction: the executions are kept first and then the
// writes, each in their order. An execution may come more than once.
type Commit struct {
	Executions []ExecutionCommit
	Writes     []Write
}

// ExecutionCommit is what one or more steps changed in one execution.
type ExecutionCommit struct {
	ID      ExecutionID
	Version int64         // what the steps grew on: 0 for a new execution, else the kept version; kept becomes Version+1
	New     *NewExecution // set exactly when Version is 0
	Delta   engine.Delta
	Enqueue []QueuedTask    // Execution and Seq are filled in by the store
	Dequeue []engine.TaskID // after Enqueue; those that are not queued are passed over
	MapRuns []MapRunChange

	// Err is set by Commit: ErrConflict when the version is another one,
	// ErrExists when the name of a new execution is taken. Nothing of this
	// execution was kept then.
	Err error
}

// NewExecution is what is known of an execution from its start.
type NewExecution struct {
	Machine   MachineID
	Revision  RevisionID
	Name      string
	Generated bool  // the name encodes the id: unique without an index, see Execution
	StartedAt int64 // Unix milliseconds
	Input     string
	Trace     string // X-Ray trace header, "" if none
	Via       Via
	Child     Child
}

// Child says which part of a Map Run an execution is; the zero Child: none.
// Children are not among the executions of their machine.
type Child struct {
	Run   MapRunID
	Index int64 // in the order of the items
	Items int64 // in its input
}

// Via is what an execution was started by when that was not its machine
// itself. It stays when the version or the alias goes.
type Via struct {
	Number int64  // of the version; 0: by the machine itself
	Alias  string // that chose the version; "" if none did
}

// Start asks for a new execution of a machine.
type Start struct {
	Machine  Machine
	Revision RevisionID
	Name     string // "": one is made up
	Input    string // JSON text, known to be valid
	Trace    string // X-Ray trace header, "" if none
	Via      Via
	Child    Child
	From     *engine.From // nil: from the beginning

	// Of Express executions alone.
	ID        ExecutionID // reserved for it
	StartedAt int64       // Unix milliseconds; 0: now
	Sync      bool        // somebody waits for its end
}

// ExpressStart is an Express execution that nobody waits for, kept from before
// its start is answered until after its end. One that is found after a crash
// is run again: at least once.
type ExpressStart struct {
	ID        ExecutionID
	Machine   MachineID
	Revision  RevisionID
	Name      string
	StartedAt int64 // Unix milliseconds
	Input     string
	Trace     string
	Via       Via
}

// Execution is an execution's record.
type Execution struct {
	ID        ExecutionID
	Machine   MachineID
	Revision  RevisionID
	Name      string
	Version   int64
	Status    engine.Status
	StartedAt int64 // Unix milliseconds
	StoppedAt int64 // 0 while it runs
	LastEvent int64 // id of the newest history event
	Trace     string

	Redrives   int64 // how often it was begun again
	RedrivenAt int64 // when last, in Unix milliseconds; 0: never
	Via        Via
	Child      Child

	// Executions leaves these empty.
	Input  string
	Output *string
	Error  *string
	Cause  *string
}

// Outline is what says whether an execution is still to be kept.
type Outline struct {
	ID        ExecutionID
	Machine   MachineID
	Revision  RevisionID
	Status    engine.Status
	StartedAt int64    // Unix milliseconds
	StoppedAt int64    // 0 while it runs
	Run       MapRunID // that it is a child of; 0: none
	Orphan    bool     // its Map Run has been removed
}

// ExecutionQuery selects executions of one machine or one Map Run, or those of
// all machines but no Map Run's, by id descending.
type ExecutionQuery struct {
	Machine MachineID      // 0: all
	Run     MapRunID       // its children, in the place of the machine's executions; 0: those
	Via     Via            // only those started by this alias or, without one, by this version; zero: all
	Status  *engine.Status // nil: all
	Before  ExecutionID    // only smaller ids; 0: from the newest on
	After   ExecutionID    // only greater ids; 0: to the oldest
	Limit   int
}

// SnapshotRecord is an execution with what engine.Restore needs.
type SnapshotRecord struct {
	Execution Execution
	Head      []byte
	Frames    []engine.FrameRecord
}

// DueExecution is an execution whose due time has come.
type DueExecution struct {
	ID  ExecutionID
	Due int64 // Unix milliseconds
}

// QueuedTask is an activity task that waits for a worker.
type QueuedTask struct {
	Seq       int64 // position in the queue of all activities
	Activity  ActivityID
	Execution ExecutionID
	Task      engine.TaskID
}

// Machine is a state machine, without its definition.
type Machine struct {
	ID        MachineID
	Name      string
	Type      string // "STANDARD" or "EXPRESS"
	Current   RevisionID
	CreatedAt int64 // Unix milliseconds
	UpdatedAt int64
	Deleting  bool // no new executions; gone when the running ones have ended
	Tags      []Tag
}

// Revision is what a state machine was between two updates. It never changes
// and stays at least as long as an execution refers to it.
type Revision struct {
	ID            RevisionID
	Machine       MachineID
	UUID          string // the API's revisionId; "" for the initial one
	Definition    string
	RoleARN       string
	CreatedAt     int64  // Unix milliseconds
	Configuration []byte // logging, tracing, encryption: JSON, as the API layer keeps it
}

// Version is a revision of a state machine under a number that keeps it.
type Version struct {
	Machine     MachineID
	Number      int64 // from 1 on, growing with each machine's versions, never used again
	Revision    RevisionID
	Description string
	CreatedAt   int64 // Unix milliseconds
}

// Alias is a name for one version of a state machine, or for two with a
// chance for each.
type Alias struct {
	Machine     MachineID
	Name        string
	Description string
	Routes      []Route
	CreatedAt   int64 // Unix milliseconds
	UpdatedAt   int64
}

// Route is where an alias leads in Weight of a hundred cases.
type Route struct{ Number, Weight int64 }

// MapRun is the work of one distributed Map: an execution for each of its
// items or batches of them.
type MapRun struct {
	ID        MapRunID
	Name      string // unique: what its ARN ends in
	Execution ExecutionID
	Task      engine.TaskID // the attempt of its state
	State     string
	Label     string
	Express   bool
	Status    engine.Status // Running, Succeeded, Failed or Aborted
	StartedAt int64         // Unix milliseconds
	StoppedAt int64         // 0 while it runs

	Redrives   int64 // how often it was begun again
	RedrivenAt int64 // when last, in Unix milliseconds, later than its last end and redrive; 0: never

	// Stopping says that nobody waits for its end any more: its children are to
	// be stopped.
	Stopping bool
	// Progress is how far it is, as whoever runs it keeps that. MapRuns and
	// OpenMapRuns leave it empty.
	Progress []byte
}

// MapRunChange is what a step of an execution means to one of its Map Runs.
type MapRunChange struct {
	Name string
	Stop bool // it is to be stopped

	// Where Stop is not set, the run begins, or begins again after a redrive.
	Task     engine.TaskID
	State    string
	Label    string
	Express  bool
	Redrives int64
	At       int64 // Unix milliseconds
}

// Activity is a queue that workers outside poll.
type Activity struct {
	ID            ActivityID
	Name          string
	CreatedAt     int64
	Configuration []byte
	Tags          []Tag
}

// Setting is a small thing that somebody has set up: a connection, a schedule, a
// trigger. What is in its data is known to the package that keeps it.
type Setting struct {
	Kind string
	Name string
	Due  int64 // Unix milliseconds; 0: never
	Data []byte
}

// Tag is a resource tag.
type Tag struct{ Key, Value string }

// Write is a change by the control plane with its guards, in one closure. Do
// reads and writes through tx alone: a call to the store itself may block.
type Write struct {
	Do  func(ctx context.Context, tx Tx) error
	Err error // set by Commit: what Do returned; nothing of it was kept then
}

// Tx is what a Write can do. Reads in it see the transaction's own writes.
type Tx interface {
	Machine(ctx context.Context, name string) (Machine, error)
	MachineByID(ctx context.Context, id MachineID) (Machine, error)
	Revision(ctx context.Context, id RevisionID) (Revision, error)
	Version(ctx context.Context, machine MachineID, number int64) (Version, error)
	Versions(ctx context.Context, machine MachineID, before int64, limit int) ([]Version, error)
	Alias(ctx context.Context, machine MachineID, name string) (Alias, error)
	Aliases(ctx context.Context, machine MachineID, afterName string, limit int) ([]Alias, error)
	Activity(ctx context.Context, name string) (Activity, error)

	// CreateMachine keeps m with its first revision and returns their ids
	// filled in, or ErrExists.
	CreateMachine(ctx context.Context, m Machine, r Revision) (Machine, error)
	// AddRevision keeps r and makes it the machine's current one.
	AddRevision(ctx context.Context, r Revision) (RevisionID, error)
	// SaveMachine keeps m's Deleting, UpdatedAt and Tags.
	SaveMachine(ctx context.Context, m Machine) error
	// DeleteMachine removes the machine with its versions and aliases; its
	// revisions and executions stay readable by id.
	DeleteMachine(ctx context.Context, id MachineID) error
	// DeleteRevision removes a revision. It returns ErrConflict if that is the
	// current one of a machine, has a version, or is to run a kept Express start.
	// That no execution refers to it is for the caller to see to.
	DeleteRevision(ctx context.Context, id RevisionID) error

	// RemoveExecution removes an execution that has ended before a time, in Unix
	// milliseconds, with its history, its name, and its Map Runs with their results.
	// Nobody finds it any more; its id is never used again. It returns ErrConflict
	// if the execution runs or has ended later, if one of its Map Runs has not ended,
	// or if it is a child of a Map Run that is kept. The children of its Map Runs
	// are orphans from then on, and for the caller to remove.
	//
	// So that it is short, much of a long history may stay on the disk, where
	// nobody sees it, until RemoveLeftovers.
	RemoveExecution(ctx context.Context, id ExecutionID, before int64) error
	// RemoveLeftovers removes up to limit pieces of what RemoveExecution has left,
	// and reports whether there may be more.
	RemoveLeftovers(ctx context.Context, limit int) (more bool, err error)

	// AddVersion keeps v under the machine's next number, which it fills in.
	AddVersion(ctx context.Context, v Version) (Version, error)
	// DeleteVersion removes a version. That no alias leads to it is for the
	// caller to see to.
	DeleteVersion(ctx context.Context, machine MachineID, number int64) error
	// SaveAlias keeps a, in the place of the machine's alias of that name if
	// there is one.
	SaveAlias(ctx context.Context, a Alias) error
	DeleteAlias(ctx context.Context, machine MachineID, name string) error

	// MapRun finds a Map Run by its id.
	MapRun(ctx context.Context, id MapRunID) (MapRun, error)
	// SaveMapRun keeps r's Status, StoppedAt and Progress.
	SaveMapRun(ctx context.Context, r MapRun) error
	// AddResults appends to the results of a Map Run.
	AddResults(ctx context.Context, run MapRunID, data []byte) error

	// KeepStarts keeps Express executions that are to run, or returns ErrExists
	// if one with the same id is kept.
	KeepStarts(ctx context.Context, starts []ExpressStart) error
	// DropStarts forgets those that have run. Ids that are not kept are passed
	// over.
	DropStarts(ctx context.Context, ids []ExecutionID) error

	// Setting finds a setting by its kind and name.
	Setting(ctx context.Context, kind, name string) (Setting, error)
	// PutSetting keeps s, in the place of the one of that kind and name if there
	// is one.
	PutSetting(ctx context.Context, s Setting) error
	DeleteSetting(ctx context.Context, kind, name string) error

	// Record and Records are as those of the Store.
	Record(ctx context.Context, kind, id string) (Record, error)
	Records(ctx context.Context, q RecordQuery) ([]Found, error)
	// SaveRecord keeps r, whose Version is that of the record as it was read, 0
	// for a new one; what is kept has the next one. It returns ErrConflict when
	// another version is kept.
	SaveRecord(ctx context.Context, r Record) error
	// DeleteRecord removes a record, or returns ErrNotFound.
	DeleteRecord(ctx context.Context, kind, id string) error
	// AddEvent appends to the feed and returns the event's sequence number.
	AddEvent(ctx context.Context, e Event) (int64, error)

	// Usage finds a usage by its source and key.
	Usage(ctx context.Context, source, key string) (Usage, error)
	// UsagesOfRun lists what is kept of a run, by id.
	UsagesOfRun(ctx context.Context, run string, limit int) ([]Usage, error)
	// UsageOf is as that of the Store.
	UsageOf(ctx context.Context, by, name string, from, to int64) (UsageTotals, error)
	// AddUsages keeps usages and adds those that are Counted to the sums. It
	// returns ErrExists, and has kept none, if one with the same source and key
	// is there.
	AddUsages(ctx context.Context, list []Usage) error
	// SaveUsages keeps the Computed, Billed, Shadow, Marks, Price and Counted of
	// usages that are there, by ID; the sums follow.
	SaveUsages(ctx context.Context, list []Usage) error

	CreateActivity(ctx context.Context, a Activity) (Activity, error)
	SaveActivity(ctx context.Context, a Activity) error
	DeleteActivity(ctx context.Context, id ActivityID) error
}

// Stats counts what a store has done since it was opened.
type Stats struct {
	Commits int64 // transactions
	Syncs   int64 // times the disk was asked to make writes durable
	Bytes   int64 // written to the log, before any compression by the disk
}
