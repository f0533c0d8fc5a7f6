package control

import (
	"cmp"
	"context"
	"slices"
)

// Gate says whether a task may be begun. It is computed whenever it is asked
// for and never kept.
type Gate struct {
	Open      bool     `json:"open"`
	WaitingOn []string `json:"waiting_on,omitempty"` // keys of tasks
	Reason    string   `json:"reason,omitempty"`     // dependency or upstream_failed
}

// gate looks at what a task depends on.
func (x *op) gate(t *Task) (Gate, error) {
	g := Gate{Open: true}
	deps, err := list[Dependency](x, "task/"+t.ID, many)
	if err != nil {
		return g, err
	}
	for _, d := range deps {
		if d.Task != t.ID {
			continue
		}
		up, err := get[Task](x, d.DependsOn)
		if err != nil {
			return g, err
		}
		if met(d.Until, up) {
			continue
		}
		g.Open = false
		g.WaitingOn = append(g.WaitingOn, up.Key)
		if hopeless(d.Until, up) {
			g.Reason = "upstream_failed"
		}
	}
	if !g.Open {
		g.Reason = cmp.Or(g.Reason, "dependency")
		slices.Sort(g.WaitingOn)
	}
	return g, nil
}

// met reports whether up has reached the point.
func met(until Until, up *Task) bool {
	switch until {
	case UntilSubmitted:
		return up.Submitted
	case UntilFinished:
		return up.State.Terminal()
	default:
		return up.State == Done
	}
}

// hopeless reports whether up has ended without reaching the point.
func hopeless(until Until, up *Task) bool {
	return (up.State == Failed || up.State == Cancelled) && !met(until, up)
}

// needOpen refuses a task whose gate is closed.
func (x *op) needOpen(t *Task) error {
	g, err := x.gate(t)
	if err != nil || g.Open {
		return err
	}
	return refuse(GateClosed, map[string]any{"waiting_on": g.WaitingOn, "reason": g.Reason},
		"%s waits for %v (%s)", t.Key, g.WaitingOn, g.Reason)
}

// path finds how from waits for to, directly or through others: what from
// depends on, and the children that it is held for.
func (x *op) path(from, to string, seen map[string]bool) ([]string, error) {
	t, err := get[Task](x, from)
	if err != nil {
		return nil, err
	}
	if from == to {
		return []string{t.Key}, nil
	}
	if seen[from] {
		return nil, nil
	}
	seen[from] = true
	var next []string
	deps, err := list[Dependency](x, "task/"+from, many)
	if err != nil {
		return nil, err
	}
	for _, d := range deps {
		next = append(next, d.DependsOn)
	}
	if t.HoldForChildren {
		children, err := list[Task](x, "parent/"+from, many)
		if err != nil {
			return nil, err
		}
		for _, c := range children {
			next = append(next, c.ID)
		}
	}
	for _, id := range next {
		found, err := x.path(id, to, seen)
		if found != nil || err != nil {
			return append([]string{t.Key}, found...), err
		}
	}
	return nil, nil
}

// addEdge makes t wait for another task.
func (x *op) addEdge(t *Task, in DependsOn) error {
	up, err := x.see(in.Task) // who passes on what it gives may read it
	if err != nil {
		return err
	}
	switch in.Until {
	case "":
		in.Until = UntilApproved
	case UntilApproved, UntilSubmitted, UntilFinished:
	default:
		return invalid("until is %q; it is approved, submitted or finished", in.Until)
	}
	cycle, err := x.path(up.ID, t.ID, map[string]bool{})
	if err != nil {
		return err
	}
	if cycle != nil {
		cycle = append([]string{t.Key}, cycle...)
		return refuse(DependencyCycle, map[string]any{"path": cycle}, "%s cannot wait for %s, which waits for it: %v", t.Key, up.Key, cycle)
	}
	id := t.ID + "." + up.ID
	d, err := get[Dependency](x, id)
	if Is(err, NotFound) {
		d = &Dependency{base: base{ID: id}, Task: t.ID, DependsOn: up.ID}
		x.add(d)
	} else if err != nil {
		return err
	}
	d.Until, d.PassDeliverables, d.Told = in.Until, in.PassDeliverables, false
	x.put(d)
	x.touch(t)
	return x.emit(t.of("task.dependency_added", map[string]any{"depends_on": up.Key, "until": d.Until}))
}

// setParent puts t under another task.
func (x *op) setParent(t *Task, ref string) error {
	p, err := x.see(ref)
	if err != nil {
		return err
	}
	for up := p; ; {
		if up.ID == t.ID {
			return refuse(DependencyCycle, map[string]any{"path": []string{t.Key, p.Key, t.Key}}, "%s is above %s already", t.Key, p.Key)
		}
		if up.Parent == "" {
			break
		}
		if up, err = get[Task](x, up.Parent); err != nil {
			return err
		}
	}
	if p.State.Terminal() {
		return invalid("%s is %s: it takes no children", p.Key, p.State)
	}
	if p.HoldForChildren {
		// p is to wait for t, so t must not wait for p.
		cycle, err := x.path(t.ID, p.ID, map[string]bool{})
		if err != nil {
			return err
		}
		if cycle != nil {
			cycle = append([]string{p.Key}, cycle...)
			return refuse(DependencyCycle, map[string]any{"path": cycle}, "%s is held for its children and cannot have one that waits for it: %v", p.Key, cycle)
		}
	}
	t.Parent = p.ID
	x.put(t)
	return nil
}

// openChildren lists the keys of children that have not ended.
func (x *op) openChildren(t *Task) (keys []string, err error) {
	children, err := list[Task](x, "parent/"+t.ID, many)
	for _, c := range children {
		if !c.State.Terminal() {
			keys = append(keys, c.Key)
		}
	}
	return keys, err
}

// DependsOn names a task to wait for, by id or key.
type DependsOn struct {
	Task             string `json:"task"`
	Until            Until  `json:"until,omitempty"` // approved unless said
	PassDeliverables bool   `json:"pass_deliverables,omitempty"`
}

// AddDependency makes a task wait for another, or changes until which point.
func (b *Board) AddDependency(ctx context.Context, c Call, task string, on DependsOn) (*Task, error) {
	return write(ctx, b, c, "dependency", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		if t.State.Terminal() {
			return nil, invalid("%s is %s: it waits for nothing", t.Key, t.State)
		}
		x.put(t)
		return t, x.addEdge(t, on)
	})
}

// RemoveDependency lets a task go on without another.
func (b *Board) RemoveDependency(ctx context.Context, c Call, task, on string) (*Task, error) {
	return write(ctx, b, c, "independency", func(x *op) (*Task, error) {
		t, err := x.toEdit(task)
		if err != nil {
			return nil, err
		}
		up, err := x.task(on)
		if err != nil {
			return nil, err
		}
		d, err := get[Dependency](x, t.ID+"."+up.ID)
		if err != nil {
			return nil, err
		}
		if err := x.remove(d); err != nil {
			return nil, err
		}
		x.put(t)
		x.touch(t)
		return t, x.emit(t.of("task.dependency_removed", map[string]any{"depends_on": up.Key}))
	})
}
