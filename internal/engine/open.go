package engine

import "github.com/lockstep-run/lockstep/asl"

// OpenTask is a task that waits for an answer by its token.
type OpenTask struct {
	Task     TaskID
	State    string
	Resource asl.Resource
	Input    *Data // what it was called with
	Since    int64 // when its state was entered, in Unix milliseconds
	Queued   bool  // of an activity: no worker has taken it
	// TimeoutAt and HeartbeatBy are when it is given up, in Unix milliseconds; 0:
	// never, or not known yet.
	TimeoutAt, HeartbeatBy int64
}

// OpenTasks lists the tasks of s that wait for an answer by token, in the order
// of their frames. Those of the board are not among them: it answers for them.
func OpenTasks(env *Env, s *Snapshot) (list []OpenTask, err error) {
	if !s.Running() {
		return nil, nil
	}
	a := apply{env: env, Snapshot: s}
	for _, f := range a.inOrder() {
		state, ok := env.Machine.State(f.state).(*asl.Task)
		if !ok {
			continue
		}
		switch f.phase {
		case submitted:
			if state.Resource.Pattern != asl.WaitForTaskToken || state.Resource.OnBoard() {
				continue
			}
		case queued, started:
		default:
			continue
		}
		call, err := a.callAgain(f, state)
		if err != nil {
			return nil, err
		}
		open := OpenTask{Task: call.Task, State: f.state, Resource: state.Resource, Input: call.Input, Since: f.enteredAt, Queued: f.phase == queued}
		if !open.Queued {
			open.TimeoutAt = f.timeoutAt
			if f.heartbeat > 0 && f.due != f.timeoutAt {
				open.HeartbeatBy = f.due
			}
		}
		list = append(list, open)
	}
	return list, nil
}
