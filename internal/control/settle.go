package control

import (
	"fmt"
	"slices"
	"time"
)

// touch has settle look at a task and those who hang on it.
func (x *op) touch(t *Task) {
	if !slices.Contains(x.tasks, t.ID) {
		x.tasks = append(x.tasks, t.ID)
	}
	if t.Assignee.isAgent() {
		x.touchAgent(t.Assignee.id())
	}
}

func (x *op) touchAgent(id string) {
	if !slices.Contains(x.agents, id) {
		x.agents = append(x.agents, id)
	}
}

// move takes a task through a row of the table.
func (x *op) move(t *Task, ev Trigger, to State, data map[string]any) error {
	r := row(t.State, ev)
	if r == nil {
		return invalidTransition(t, ev)
	}
	if !slices.Contains(r.To, to) {
		return fmt.Errorf("control: %s of %s leads to %v, not to %s", ev, t.Key, r.To, to)
	}
	e := t.of("task."+string(ev), data)
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	e.Data["from"], e.Data["to"] = t.State, to
	if t.State != to {
		t.State, t.StateSince = to, x.At
	}
	if to.Terminal() && t.Source != nil {
		t.Source.Waiting = false // what waited hears of the end now
	}
	x.put(t)
	x.touch(t)
	return x.emit(e)
}

// settle makes what follows from an operation part of it, until nothing more
// follows, and writes everything down.
func (x *op) settle() error {
	if x.tx == nil {
		return nil
	}
	for len(x.tasks)+len(x.agents) > 0 {
		for len(x.tasks) > 0 {
			id := x.tasks[0]
			x.tasks = x.tasks[1:]
			t, err := get[Task](x, id)
			if err != nil {
				return err
			}
			if err := x.settleTask(t); err != nil {
				return fmt.Errorf("settle %s: %w", t.Key, err)
			}
		}
		if len(x.agents) > 0 {
			id := x.agents[0]
			x.agents = x.agents[1:]
			if err := x.settleAgent(id); err != nil {
				return fmt.Errorf("settle agent %s: %w", id, err)
			}
		}
	}
	if err := x.tellWakeups(); err != nil {
		return err
	}
	return x.flush()
}

// settleTask looks after what a task's state means to others.
func (x *op) settleTask(t *Task) error {
	deps, err := list[Dependency](x, "on/"+t.ID, many)
	if err != nil {
		return err
	}
	for _, d := range deps {
		if err := x.settleDependant(d, t); err != nil {
			return err
		}
	}
	g, err := x.gate(t)
	if err != nil {
		return err
	}
	if t.State == Blocked && t.Block.Kind == "dependency" && g.Open {
		if err := x.unblock(t, EdgeOpened, "unblocked", nil); err != nil {
			return err
		}
	}
	if t.State == InReview {
		if err := x.needReviewer(t); err != nil {
			return err
		}
	}
	if err := x.settleWakeups(t, g); err != nil {
		return err
	}
	if t.State == Inbox && t.Assignee == "" && g.Open {
		return x.offer(t)
	}
	return nil
}

// settleDependant looks at a task that waits for up.
func (x *op) settleDependant(d *Dependency, up *Task) error {
	t, err := get[Task](x, d.Task)
	if err != nil || t.State.Terminal() {
		return err
	}
	if bad := hopeless(d.Until, up); bad != d.Told {
		d.Told = bad
		x.put(d)
		if bad {
			e := t.of("task.upstream_failed", map[string]any{"upstream": up.Key})
			if e.Notify, err = x.notice(t.Project, "failed", "upstream/"+d.ID+"/"+up.StateSince.Format(time.RFC3339Nano), t.Assignee); err != nil {
				return err
			}
			if err := x.emit(e); err != nil {
				return err
			}
		}
	}
	switch t.State {
	case Inbox, Assigned, Blocked:
	default:
		return nil
	}
	g, err := x.gate(t)
	if err != nil {
		return err
	}
	if t.State == Assigned && g.Open && t.Assignee.isAgent() {
		if err := x.wake(t, "unblocked", "what it waited for is there: "+up.Key); err != nil {
			return err
		}
	}
	if !slices.Contains(x.tasks, t.ID) {
		x.tasks = append(x.tasks, t.ID)
	}
	return nil
}
