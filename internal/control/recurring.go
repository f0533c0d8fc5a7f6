package control

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/store"
)

// Times says when something is due: internal/schedule has the expressions of
// EventBridge Scheduler.
type Times interface {
	// Next is the first time after a moment, false if there is none. A rate counts
	// from anchor on.
	Next(after, anchor time.Time) (time.Time, bool)
}

// Missed says what becomes of times that went by while nobody looked.
type Missed string

// What can become of them.
const (
	MissedSkip Missed = "skip" // nothing
	MissedOne  Missed = "one"  // a task for the last of them
	MissedAll  Missed = "all"  // a task for each, at most missed_max, for the newest
)

const (
	late          = time.Minute // how long after its time a task is still made as if nothing had happened
	defaultMissed = 10
	mostMissed    = 100
	mostTimes     = 10_000 // times that are looked at in one step
)

// Recurring makes a task at times. The task and the time of the next are one
// write, so that a time makes one task, whatever happens in between.
type Recurring struct {
	base
	Project    string    `json:"project"`
	Name       string    `json:"name"` // unique in the project
	Expression string    `json:"expression"`
	Timezone   string    `json:"timezone,omitempty"` // "": UTC
	Task       NewTask   `json:"task"`
	DueIn      int64     `json:"due_in,omitempty"` // seconds from its time until the task is due; 0: never
	Missed     Missed    `json:"missed"`
	MissedMax  int       `json:"missed_max,omitempty"`
	Paused     bool      `json:"paused,omitempty"`
	CreatedBy  Party     `json:"created_by"` // who makes the tasks: they are refused what that one may not
	Anchor     time.Time `json:"anchor"`     // a rate counts from here on
	NextAt     time.Time `json:"next_at,omitzero"`
	LastAt     time.Time `json:"last_at,omitzero"`
	LastTask   string    `json:"last_task,omitempty"` // key
	LastError  string    `json:"last_error,omitempty"`
	Made       int64     `json:"made"`
}

func (*Recurring) kind() string { return "recurring" }

func (r *Recurring) keys() []string {
	keys := []string{"project/" + r.Project + "/" + r.Name}
	if !r.Paused && !r.NextAt.IsZero() {
		keys = append(keys, "due/"+stamp(r.NextAt))
	}
	return keys
}

// NewRecurring is what CreateRecurring wants.
type NewRecurring struct {
	Project    string  `json:"project"` // key or id
	Name       string  `json:"name"`
	Expression string  `json:"expression"`         // cron(…), rate(…) or at(…)
	Timezone   string  `json:"timezone,omitempty"` // of the IANA database; "": UTC
	Task       NewTask `json:"task"`               // {date} and {time} in title and description are replaced; a template may fill it in
	DueIn      int64   `json:"due_in,omitempty"`   // seconds
	Missed     Missed  `json:"missed,omitempty"`   // one unless said
	MissedMax  int     `json:"missed_max,omitempty"`
	Paused     bool    `json:"paused,omitempty"`
}

// UpdateRecurring is what may be changed; what is nil stays.
type UpdateRecurring struct {
	Expression *string  `json:"expression,omitempty"`
	Timezone   *string  `json:"timezone,omitempty"`
	Task       *NewTask `json:"task,omitempty"` // as a whole
	DueIn      *int64   `json:"due_in,omitempty"`
	Missed     *Missed  `json:"missed,omitempty"`
	MissedMax  *int     `json:"missed_max,omitempty"`
	Paused     *bool    `json:"paused,omitempty"`
}

// CreateRecurring makes tasks at times from now on. People do it.
func (b *Board) CreateRecurring(ctx context.Context, c Call, in NewRecurring) (*Recurring, error) {
	return write(ctx, b, c, "recurring", func(x *op) (*Recurring, error) {
		p, err := x.forPeople(in.Project)
		if err != nil {
			return nil, err
		}
		if !name.MatchString(in.Name) {
			return nil, invalid("%q is no name: use a-z, 0-9, _, . and -", in.Name)
		}
		if _, err := x.recurring(p.ID, in.Name); !Is(err, NotFound) {
			return nil, cmp.Or(err, refuse(AlreadyExists, nil, "the project has a recurring task %s", in.Name))
		}
		r := &Recurring{Project: p.ID, Name: in.Name, Expression: in.Expression, Timezone: in.Timezone, Task: in.Task, DueIn: in.DueIn,
			Missed: in.Missed, MissedMax: in.MissedMax, Paused: in.Paused, CreatedBy: x.By}
		if err := x.plan(r); err != nil {
			return nil, err
		}
		x.add(r)
		return r, x.emit(Event{Type: "recurring.created", Project: p.ID, Data: map[string]any{"recurring": r.ID, "name": r.Name}})
	})
}

// plan checks what recurs and works out when it does next. It begins now.
func (x *op) plan(r *Recurring) error {
	r.Missed, r.MissedMax = cmp.Or(r.Missed, MissedOne), cmp.Or(r.MissedMax, defaultMissed)
	switch {
	case r.Missed != MissedSkip && r.Missed != MissedOne && r.Missed != MissedAll:
		return invalid("missed is skip, one or all, not %q", r.Missed)
	case r.MissedMax < 1 || r.MissedMax > mostMissed:
		return invalid("missed_max is from 1 to %d", mostMissed)
	case r.DueIn < 0 || r.DueIn > 10*365*24*3600:
		return invalid("due_in is a number of seconds, of ten years at most")
	case r.Task.Title == "" && r.Task.Template == "":
		return invalid("a recurring task needs a title or a template")
	}
	r.Task.Project, r.Task.Source = "", nil
	if err := x.checkDraft(r.Task); err != nil {
		return err
	}
	times, err := x.b.times(r)
	if err != nil {
		return invalid("the expression: %v", err)
	}
	r.Anchor, r.LastError = x.At, ""
	r.NextAt, _ = times.Next(x.At, r.Anchor)
	return nil
}

func (b *Board) times(r *Recurring) (Times, error) {
	if b.cfg.Times == nil {
		return nil, errors.New("this board knows no times")
	}
	return b.cfg.Times(r.Expression, r.Timezone)
}

// recurring finds one by its name in a project, as PROJECT:NAME, or by its id.
func (x *op) recurring(project, ref string) (*Recurring, error) {
	return named(x, project, ref, "recurring task", func(r *Recurring) (name, in string) { return r.Name, r.Project })
}

// Recurring finds a recurring task by id or as PROJECT:NAME.
func (b *Board) Recurring(ctx context.Context, c Call, id string) (*Recurring, error) {
	return b.view(ctx, c).recurring("", id)
}

// RecurringTasks lists those that the caller may read, by their names; of one
// project unless that is "".
func (b *Board) RecurringTasks(ctx context.Context, c Call, project string, page Page) ([]*Recurring, string, error) {
	x := b.view(ctx, c)
	prefixes, err := x.under("project/", project)
	if err != nil {
		return nil, "", err
	}
	return pages(x, prefixes, page, func(r *Recurring) (*Recurring, bool, error) {
		ok, err := x.sees(r.Project)
		return r, ok, err
	})
}

func (x *op) recurringToEdit(id string) (*Recurring, error) {
	r, err := x.recurring("", id)
	if err != nil {
		return nil, err
	}
	if err := x.ownOrEdit(r.CreatedBy, r.Project); err != nil {
		return nil, err
	}
	return r, x.same(r)
}

// UpdateRecurring changes what recurs. What would have been due before now is
// not made up for.
func (b *Board) UpdateRecurring(ctx context.Context, c Call, id string, in UpdateRecurring) (*Recurring, error) {
	return write(ctx, b, c, "update_recurring", func(x *op) (*Recurring, error) {
		r, err := x.recurringToEdit(id)
		if err != nil {
			return nil, err
		}
		change(&r.Expression, in.Expression)
		change(&r.Timezone, in.Timezone)
		change(&r.Task, in.Task)
		change(&r.DueIn, in.DueIn)
		change(&r.Missed, in.Missed)
		change(&r.MissedMax, in.MissedMax)
		change(&r.Paused, in.Paused)
		if err := x.plan(r); err != nil {
			return nil, err
		}
		x.put(r)
		return r, x.emit(Event{Type: "recurring.updated", Project: r.Project, Data: map[string]any{"recurring": r.ID, "name": r.Name}})
	})
}

// DeleteRecurring ends one. The tasks that it made stay.
func (b *Board) DeleteRecurring(ctx context.Context, c Call, id string) error {
	return second(write(ctx, b, c, "delete_recurring", func(x *op) (struct{}, error) {
		r, err := x.recurringToEdit(id)
		if err != nil {
			return struct{}{}, err
		}
		if err := x.remove(r); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, x.emit(Event{Type: "recurring.deleted", Project: r.Project, Data: map[string]any{"recurring": r.ID, "name": r.Name}})
	}))
}

// sweepRecurring makes the tasks whose time has come, each in a write of its
// own: one that is refused does not hold up others.
func (b *Board) sweepRecurring(ctx context.Context, at time.Time) (n int, err error) {
	for {
		due, err := b.r.Records(ctx, store.RecordQuery{Kind: "recurring", From: "due/", To: "due/" + stamp(at) + "~", Limit: sweepBatch})
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, f := range due {
			err := b.recur(ctx, at, f.ID, nil)
			var refused *Error
			if errors.As(err, &refused) {
				err = b.recur(ctx, at, f.ID, refused)
			}
			if err != nil {
				return n, err
			}
			n++
		}
	}
}

// recur makes the task of the next time, unless that is known to be refused, and
// moves on to the time after it.
func (b *Board) recur(ctx context.Context, at time.Time, id string, refused *Error) error {
	return second(write(ctx, b, Call{By: System, At: at}, "recur", func(x *op) (struct{}, error) {
		none := struct{}{}
		r, err := get[Recurring](x, id)
		if Is(err, NotFound) || err == nil && (r.Paused || r.NextAt.IsZero() || r.NextAt.After(x.At)) {
			return none, nil
		} else if err != nil {
			return none, err
		}
		x.Workspace = r.Workspace
		times, err := b.times(r)
		if err != nil {
			return none, err
		}
		due, next := r.due(times, x.At)
		defer x.put(r) // it is written when the operation settles
		if due.IsZero() {
			r.NextAt = next
			return none, nil
		}
		r.NextAt, _ = times.Next(due, r.Anchor)
		r.LastAt = due
		if refused != nil {
			r.LastError = refused.Message
			e := Event{Type: "recurring.failed", Project: r.Project, Data: map[string]any{"recurring": r.ID, "name": r.Name, "error": refused.Message}}
			if e.Notify, err = x.notice(r.Project, "failed", "recurring/"+r.ID, r.CreatedBy); err != nil {
				return none, err
			}
			return none, x.emit(e)
		}
		x.By = r.CreatedBy
		t, err := x.create(r.task(due))
		if err != nil {
			return none, err
		}
		t.Recurring = r.ID
		x.put(t)
		r.LastTask, r.LastError, r.Made = t.Key, "", r.Made+1
		return none, x.emit(Event{Type: "recurring.made", Project: r.Project, Task: t.ID, Key: t.Key, Data: map[string]any{"recurring": r.ID, "at": due}})
	}))
}

// due is the oldest time for which a task is to be made now, zero if there is
// none, and where to go on then.
func (r *Recurring) due(times Times, now time.Time) (due, next time.Time) {
	keep := map[Missed]int{MissedSkip: 1, MissedOne: 1, MissedAll: r.MissedMax}[r.Missed]
	var list []time.Time
	next = r.NextAt
	for n := 0; !next.IsZero() && !next.After(now) && n < mostTimes; n++ {
		if r.Missed != MissedSkip || now.Sub(next) < late {
			if list = append(list, next); len(list) > keep {
				list = slices.Delete(list, 0, 1)
			}
		}
		next, _ = times.Next(next, r.Anchor)
	}
	if !next.IsZero() && !next.After(now) || len(list) == 0 {
		return time.Time{}, next // there is more to look at, or nothing to make
	}
	return list[0], next
}

// task is the task of a time.
func (r *Recurring) task(at time.Time) NewTask {
	in := r.Task
	in.Project = r.Project
	if zone, err := time.LoadLocation(r.Timezone); err == nil {
		at = at.In(zone)
	}
	said := strings.NewReplacer("{date}", at.Format(time.DateOnly), "{time}", at.Format("15:04"))
	in.Title, in.Description = said.Replace(in.Title), said.Replace(in.Description)
	if r.DueIn > 0 {
		in.DueAt = at.Add(time.Duration(r.DueIn) * time.Second).UTC()
	}
	return in
}
