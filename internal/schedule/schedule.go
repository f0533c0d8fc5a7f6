// Package schedule starts executions at times, as EventBridge Scheduler does.
//
// A schedule is a setting with the time it is due next. When that comes, the
// execution is started under a name that is made of the schedule and the time,
// and only then is the record moved on: after a crash in between, the second
// start finds the name taken, and nothing is started twice. (Names of Express
// executions are not unique: those may run twice after a crash.)
package schedule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// What happens with times that went by while no server ran.
const (
	MissedSkip = "skip" // nothing
	MissedOne  = "one"  // the last of them is made up for
	MissedAll  = "all"  // all of them, up to MissedMax, the newest
)

const (
	recordKind = "schedule"

	// late is how long after its time an execution is still started as if nothing
	// had happened: Scheduler's own precision.
	late = time.Minute
	// maxMissed bounds MissedMax, and defaultMissed is its default.
	maxMissed, defaultMissed = 1000, 100
	// maxEvent is for how long a start that fails is tried again, as on AWS.
	maxEvent = 24 * time.Hour
	// parallel is how many schedules start something at a time.
	parallel = 16
)

// Spec is a schedule as somebody sets it up.
type Spec struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Expression  string          `json:"expression"`
	Timezone    string          `json:"timezone,omitempty"` // "": UTC
	Start       string          `json:"start,omitempty"`    // RFC 3339: not before
	End         string          `json:"end,omitempty"`      // RFC 3339: not after
	Window      int             `json:"window,omitempty"`   // minutes within which an execution may start; each time has its own moment
	Machine     string          `json:"machine"`            // name or ARN, of a version or an alias too
	Input       json.RawMessage `json:"input,omitempty"`    // with <aws.scheduler.scheduled-time> and so on; "": {}
	Missed      string          `json:"missed,omitempty"`   // "": one
	MissedMax   int             `json:"missed_max,omitempty"`
	Paused      bool            `json:"paused,omitempty"`
}

// View is what is shown of a schedule.
type View struct {
	ARN       string `json:"arn"`
	From      string `json:"from"`                 // "api" or "configuration"
	Next      string `json:"next,omitempty"`       // RFC 3339; "": never again, or paused
	Last      string `json:"last,omitempty"`       // the time of the last start
	Execution string `json:"execution,omitempty"`  // that it started
	Error     string `json:"last_error,omitempty"` // of the last start
	Started   int64  `json:"started"`              // how many executions
	Spec
}

// kept is the data of a setting.
type kept struct {
	Spec     Spec
	Declared bool  // by the configuration
	Revision int64 // grows when somebody changes the schedule
	Created  int64 // Unix milliseconds: a rate counts from here on
	Next     int64 // the next time, Unix milliseconds; 0: none
	Failures int   // of starts for Next, one after the other

	Last             int64
	Execution, Error string
	Started          int64
}

// Rejected is the error of a start that will not succeed by trying again.
type Rejected struct{ Err error }

// Error implements error.
func (e *Rejected) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *Rejected) Unwrap() error { return e.Err }

// Config says what schedules need.
type Config struct {
	Store interface {
		Setting(ctx context.Context, kind, name string) (store.Setting, error)
		Settings(ctx context.Context, kind, afterName string, limit int) ([]store.Setting, error)
		DueSettings(ctx context.Context, kind string, until time.Time, limit int) ([]store.Setting, error)
	}
	Write  func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Scheme arn.Scheme
	// Start starts an execution and returns its ARN. That the name is taken is no
	// error. One that lasts is a *Rejected.
	Start func(ctx context.Context, machineARN, name, input string) (string, error)
	Log   *slog.Logger
}

// Schedules keeps schedules and runs them. It is safe for concurrent use.
type Schedules struct {
	config Config
	wake   chan struct{} // something may be due earlier
}

// New makes Schedules.
func New(c Config) *Schedules {
	return &Schedules{config: c, wake: make(chan struct{}, 1)}
}

var nameForm = regexp.MustCompile(`^[0-9a-zA-Z\-_.]{1,64}$`) // Scheduler's

// Validate says what is wrong with s, nil if it can be kept.
func (s *Spec) Validate() error {
	_, err := s.plan()
	return err
}

// plan is a spec that was understood.
type plan struct {
	*Expression
	start, end time.Time // zero: none
}

func (s *Spec) plan() (p plan, err error) {
	if !nameForm.MatchString(s.Name) {
		return p, errors.New("a name has 1 to 64 letters, digits, dots, hyphens and underscores")
	}
	if p.Expression, err = Parse(s.Expression, s.Timezone); err != nil {
		return p, err
	}
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"start", s.Start, &p.start}, {"end", s.End, &p.end}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil || t.to.Unix() < 0 || t.to.Year() > 2199 {
			return p, fmt.Errorf("%s must be a time such as 2026-03-29T09:30:00+02:00", t.name)
		}
	}
	switch {
	case s.Start != "" && s.End != "" && !p.end.After(p.start):
		return p, errors.New("end must come after start")
	case s.Machine == "" || len(s.Machine) > 256 || strings.ContainsAny(s.Machine, " \"\\\r\n"):
		return p, errors.New("machine must be the name or the ARN of a state machine")
	case s.Window < 0 || s.Window > 1440:
		return p, errors.New("window must be from 0 to 1440 minutes")
	case s.Missed != "" && s.Missed != MissedSkip && s.Missed != MissedOne && s.Missed != MissedAll:
		return p, errors.New("missed must be skip, one or all")
	case s.MissedMax < 0 || s.MissedMax > maxMissed:
		return p, fmt.Errorf("missed_max must be from 1 to %d", maxMissed)
	case len(s.Description) > 512:
		return p, errors.New("the description has more than 512 bytes")
	case len(s.Input) > 256<<10:
		return p, errors.New("the input has more than 256 KiB")
	case len(s.Input) > 0 && value.Valid(string(s.Input)) != nil:
		return p, errors.New("the input is not JSON")
	}
	return p, nil
}

// next is the first time after a moment, as Unix milliseconds, 0 for none.
func (p plan) next(after time.Time, k *kept) int64 {
	anchor := time.UnixMilli(k.Created)
	if !p.start.IsZero() {
		anchor = p.start
	}
	if p.rate == 0 && p.start.IsZero() {
		anchor = time.UnixMilli(0)
	}
	t, ok := p.Next(after, anchor)
	if !ok || !p.end.IsZero() && t.After(p.end) {
		return 0
	}
	return t.UnixMilli()
}

// due is when a time's execution is started: within the window, at a moment that
// is always the same for it.
func (k *kept) due() int64 {
	if k.Next == 0 || k.Spec.Paused {
		return 0
	}
	at := k.Next
	if k.Spec.Window > 0 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %d", k.Spec.Name, k.Next)
		at += int64(h.Sum64()>>1) % (int64(k.Spec.Window) * time.Minute.Milliseconds())
	}
	return at
}

// Put keeps s, in the place of a schedule of that name if there is one. Times
// before now are never made up for.
func (s *Schedules) Put(ctx context.Context, spec Spec) (View, error) {
	return s.change(ctx, spec.Name, func(k *kept) (*kept, error) {
		if k != nil && k.Declared {
			return nil, rest.Conflict("Schedule %s is declared in the configuration file; change it there.", spec.Name)
		}
		return renew(k, spec, false)
	})
}

// renew is a schedule with a new spec. It begins now.
func renew(k *kept, spec Spec, declared bool) (*kept, error) {
	p, err := spec.plan()
	if err != nil {
		return nil, rest.Invalid("The schedule cannot be used: %v.", err)
	}
	now := time.Now()
	if k == nil {
		k = &kept{Created: now.UnixMilli()}
	} else if k.Spec.Expression != spec.Expression || k.Spec.Start != spec.Start {
		k.Created = now.UnixMilli()
	}
	k.Spec, k.Declared = spec, declared
	k.Next, k.Failures = p.next(now.Add(-time.Millisecond), k), 0
	return k, nil
}

// Pause pauses or resumes a schedule. What would have been due meanwhile is not
// made up for.
func (s *Schedules) Pause(ctx context.Context, name string, paused bool) (View, error) {
	return s.change(ctx, name, func(k *kept) (*kept, error) {
		switch {
		case k == nil:
			return nil, missing(name)
		case k.Declared:
			return nil, rest.Conflict("Schedule %s is declared in the configuration file; say there whether it is paused.", name)
		}
		spec := k.Spec
		spec.Paused = paused
		return renew(k, spec, false)
	})
}

func missing(name string) error { return rest.NotFound("There is no schedule %.64q.", name) }

// change changes a schedule, nil if there is none, in one transaction.
func (s *Schedules) change(ctx context.Context, name string, do func(*kept) (*kept, error)) (v View, err error) {
	err = s.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		k, err := read(tx.Setting(ctx, recordKind, name))
		if err != nil {
			return err
		}
		if k, err = do(k); err != nil {
			return err
		}
		k.Revision++
		v = s.view(k)
		return put(ctx, tx, k, k.due())
	})
	s.wakeUp()
	return v, err
}

// read decodes a setting, nil if there is none.
func read(r store.Setting, err error) (*kept, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &kept{}
	return k, json.Unmarshal(r.Data, k)
}

func put(ctx context.Context, tx store.Tx, k *kept, due int64) error {
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return tx.PutSetting(ctx, store.Setting{Kind: recordKind, Name: k.Spec.Name, Due: due, Data: data})
}

func (s *Schedules) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Declare makes the schedules of the configuration what specs say. Those that are
// as they were go on where they stood, and what was missed is made up for.
func (s *Schedules) Declare(ctx context.Context, specs []Spec) error {
	wanted := map[string]Spec{}
	for _, spec := range specs {
		if err := spec.Validate(); err != nil {
			return fmt.Errorf("schedule %s: %w", spec.Name, err)
		}
		wanted[spec.Name] = spec
	}
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		spec, ok := wanted[k.Spec.Name]
		if ok && k.Declared && equal(spec, k.Spec) {
			delete(wanted, k.Spec.Name)
		} else if !ok && k.Declared {
			if err := s.config.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSetting(ctx, recordKind, k.Spec.Name) }); err != nil {
				return err
			}
		}
	}
	for name, spec := range wanted {
		if _, err := s.change(ctx, name, func(k *kept) (*kept, error) { return renew(k, spec, true) }); err != nil {
			return err
		}
	}
	return nil
}

func equal(a, b Spec) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// Get shows a schedule.
func (s *Schedules) Get(ctx context.Context, name string) (View, error) {
	k, err := read(s.config.Store.Setting(ctx, recordKind, name))
	if err != nil {
		return View{}, err
	}
	if k == nil {
		return View{}, missing(name)
	}
	return s.view(k), nil
}

// List shows all schedules by name.
func (s *Schedules) List(ctx context.Context) ([]View, error) {
	all, err := s.all(ctx)
	views := make([]View, len(all))
	for i, k := range all {
		views[i] = s.view(k)
	}
	return views, err
}

func (s *Schedules) all(ctx context.Context) (list []*kept, err error) {
	const most = 200
	for after := ""; ; {
		page, err := s.config.Store.Settings(ctx, recordKind, after, most)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			k, err := read(r, nil)
			if err != nil {
				return nil, fmt.Errorf("schedule %s: %w", r.Name, err)
			}
			list = append(list, k)
			after = r.Name
		}
		if len(page) < most {
			return list, nil
		}
	}
}

func (s *Schedules) view(k *kept) View {
	v := View{ARN: s.config.Scheme.Schedule(k.Spec.Name), From: "api", Execution: k.Execution, Error: k.Error, Started: k.Started, Spec: k.Spec}
	if k.Declared {
		v.From = "configuration"
	}
	if !k.Spec.Paused {
		v.Next = shown(k.Next)
	}
	v.Last = shown(k.Last)
	return v
}

func shown(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// Delete removes a schedule. Executions that it has started go on.
func (s *Schedules) Delete(ctx context.Context, name string) error {
	return s.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		k, err := read(tx.Setting(ctx, recordKind, name))
		switch {
		case err != nil:
			return err
		case k == nil:
			return missing(name)
		case k.Declared:
			return rest.Conflict("Schedule %s is declared in the configuration file; remove it there.", name)
		}
		return tx.DeleteSetting(ctx, recordKind, name)
	})
}

// Run starts what is due until ctx ends, and then returns nil.
func (s *Schedules) Run(ctx context.Context) error {
	for {
		wait, err := s.Round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.config.Log.Error("schedules: trying again soon", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// Round starts what is due now and says how long to wait for the next: a minute
// at most, since clocks may be set.
func (s *Schedules) Round(ctx context.Context) (wait time.Duration, err error) {
	const most = 200
	wait = time.Minute
	list, err := s.config.Store.DueSettings(ctx, recordKind, time.Now(), most)
	if err != nil {
		return wait, err
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	errs := make([]error, len(list))
	for i, r := range list {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			errs[i] = s.serve(ctx, r)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 5 * time.Second, err
	}
	next, err := s.config.Store.DueSettings(ctx, recordKind, time.Now().Add(wait), 1)
	if err == nil && len(next) > 0 {
		wait = max(time.Until(time.UnixMilli(next[0].Due)), 0)
	}
	return wait, err
}

// serve starts what a schedule has due, and moves it on.
func (s *Schedules) serve(ctx context.Context, r store.Setting) error {
	k, err := read(r, nil)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", r.Name, err)
	}
	p, err := k.Spec.plan()
	if err != nil {
		return fmt.Errorf("schedule %s: %w", r.Name, err)
	}
	now, revision := time.Now(), k.Revision
	var again time.Duration
	for _, at := range p.wanted(k, now) {
		if again = s.startAt(ctx, k, at, now); again > 0 {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	due := now.Add(again).UnixMilli()
	if again == 0 {
		k.Next, k.Failures = p.next(now, k), 0
		due = k.due()
	}
	return s.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		current, err := read(tx.Setting(ctx, recordKind, r.Name))
		if err != nil || current == nil || current.Revision != revision {
			return err // somebody has changed it meanwhile; what they say counts
		}
		return put(ctx, tx, k, due)
	})
}

// startAt starts the execution of a time. A duration says that it did not work and
// when to try again: k.Next is then that time.
func (s *Schedules) startAt(ctx context.Context, k *kept, at int64, now time.Time) time.Duration {
	name := ExecutionName(k.Spec.Name, time.UnixMilli(at))
	machine := k.Spec.Machine
	if !strings.HasPrefix(machine, "arn:") {
		machine = s.config.Scheme.Machine(machine)
	}
	started, err := s.config.Start(ctx, machine, name, s.input(k, at))
	if err == nil {
		k.Last, k.Execution, k.Error, k.Failures = at, started, "", 0
		k.Started++
		return 0
	}
	k.Error = err.Error()
	var rejected *Rejected
	if errors.As(err, &rejected) || now.UnixMilli()-at > maxEvent.Milliseconds() {
		s.config.Log.Warn("a schedule could not start an execution", "schedule", k.Spec.Name, "time", shown(at), "error", err)
		return 0
	}
	if k.Next != at {
		k.Next, k.Failures = at, 0
	}
	k.Failures++
	return min(time.Second<<min(k.Failures, 10), 5*time.Minute)
}

// wanted are the times up to now for which an execution is to be started.
func (p plan) wanted(k *kept, now time.Time) []int64 {
	missed := 0
	switch cmp.Or(k.Spec.Missed, MissedOne) {
	case MissedOne:
		missed = 1
	case MissedAll:
		missed = cmp.Or(k.Spec.MissedMax, defaultMissed)
	}
	list := p.last(k, now, missed+int(late/time.Minute)+1)
	onTime := now.Add(-late - time.Duration(k.Spec.Window)*time.Minute).UnixMilli()
	old := 0
	for old < len(list) && list[old] < onTime {
		old++
	}
	if missed == 1 && old < len(list) {
		missed = 0 // the one that is on time makes up for it
	}
	list = list[max(old-missed, 0):]
	if k.Failures > 0 && (len(list) == 0 || list[0] != k.Next) { // it was not missed: it could not be started
		list = slices.Insert(list, 0, k.Next)
	}
	return list
}

// last are the newest times of a schedule from its next one to now, n at most.
func (p plan) last(k *kept, now time.Time, n int) []int64 {
	for back := time.Hour; ; back *= 4 {
		from := now.Add(-back)
		whole := back > 200*365*24*time.Hour || from.UnixMilli() < k.Next
		if whole {
			from = time.UnixMilli(k.Next - 1)
		}
		var list []int64
		for at := p.next(from, k); at > 0 && at <= now.UnixMilli(); at = p.next(time.UnixMilli(at), k) {
			if list = append(list, at); len(list) > 4*n {
				list = slices.Clone(list[len(list)-n:])
			}
		}
		if whole || len(list) >= n {
			return list[max(len(list)-n, 0):]
		}
	}
}

// ExecutionName is the name of the execution that a schedule starts for a time.
func ExecutionName(schedule string, at time.Time) string {
	const most = 80 - len("-20060102T150405Z")
	if len(schedule) > most {
		sum := sha256.Sum256([]byte(schedule))
		schedule = schedule[:most-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return schedule + "-" + at.UTC().Format("20060102T150405Z")
}

// input is a schedule's input with what Scheduler calls context attributes.
func (s *Schedules) input(k *kept, at int64) string {
	if len(k.Spec.Input) == 0 {
		return "{}"
	}
	sum := sha256.Sum256([]byte(ExecutionName(k.Spec.Name, time.UnixMilli(at))))
	id := hex.EncodeToString(sum[:16])
	attributes := strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", s.config.Scheme.Schedule(k.Spec.Name),
		"<aws.scheduler.scheduled-time>", shown(at),
		"<aws.scheduler.execution-id>", id[:8]+"-"+id[8:12]+"-"+id[12:16]+"-"+id[16:20]+"-"+id[20:],
		"<aws.scheduler.attempt-number>", "1", // the same at each attempt, so that they are one execution
	)
	v, err := value.Parse(string(k.Spec.Input))
	if err != nil {
		return "{}" // it was checked when it was kept
	}
	return fill(v, attributes).JSON()
}

// fill replaces attributes in the texts of a value.
func fill(v value.Value, attributes *strings.Replacer) value.Value {
	switch v.Kind() {
	case value.String:
		return value.Str(attributes.Replace(v.Str()))
	case value.Array:
		items := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			items = append(items, fill(x, attributes))
		}
		return value.ArrayOf(items)
	case value.Object:
		members := make([]value.Member, 0, v.Len())
		for key, x := range v.Members() {
			members = append(members, value.Member{Key: key, Value: fill(x, attributes)})
		}
		return value.ObjectOf(members)
	}
	return v
}
