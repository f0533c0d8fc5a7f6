package cost

import "time"

// Rank says how far a source is believed: of several that report one run, those
// of the highest rank count, the others are kept and shown only.
type Rank int64

const (
	AgentReport Rank = 1 // what an agent says of itself
	GatewayRead Rank = 2 // read from the gateway that the agent runs in
	Plugin      Rank = 3 // sent by a plugin within the runtime, or measured by ourselves
)

// Place is whom a cost is put down to. Parts that are not known are empty.
type Place struct {
	Agent, Task, Attempt      string
	Machine, State, Execution string
}

// Claim is what a usage event says of itself.
type Claim struct {
	At      time.Time
	Agent   string // whose key sent it
	Attempt string
	Session string // of the runtime
	Place          // Machine, State and Execution, where a state machine made the call
}

// Lease is the right of an agent to work on a task, for a while.
type Lease struct {
	Agent, Task, Attempt string
	From, Until          time.Time // the zero Until: it is still held
}

// Facts are what is known of the claims of one agent.
type Facts struct {
	Attempts map[string]Place // by the attempt's id
	Sessions map[string]Place // by the runtime's session key
	Leases   []Lease
}

// LeaseGrace is for how long after a lease its usage may be reported.
const LeaseGrace = 10 * time.Minute

// Attribute says whom a cost is put down to: by the attempt that the event
// carries; by the execution that made the call; by the runtime's session; by the
// lease that the agent held at the time, or had held at most LeaseGrace before;
// else to the agent alone, which reports false. Of several leases the one that
// began last counts, and one that was held comes before one that had ended.
func Attribute(c Claim, f Facts) (Place, bool) {
	if p, ok := f.Attempts[c.Attempt]; ok && c.Attempt != "" {
		return p, true
	}
	if c.Execution != "" {
		return Place{Agent: c.Agent, Machine: c.Machine, State: c.State, Execution: c.Execution}, true
	}
	if p, ok := f.Sessions[c.Session]; ok && c.Session != "" {
		return p, true
	}
	var best *Lease
	held := false
	for i := range f.Leases {
		l := &f.Leases[i]
		if l.Agent != c.Agent || c.At.Before(l.From) {
			continue
		}
		live := l.Until.IsZero() || c.At.Before(l.Until)
		if !live && c.At.After(l.Until.Add(LeaseGrace)) {
			continue
		}
		if best == nil || live && !held || live == held && l.From.After(best.From) {
			best, held = l, live
		}
	}
	if best != nil {
		return Place{Agent: c.Agent, Task: best.Task, Attempt: best.Attempt}, true
	}
	return Place{Agent: c.Agent}, false
}
