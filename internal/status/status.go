// Package status tells of changes of Standard executions' status, in the events
// that AWS sends to EventBridge: "Step Functions Execution Status Change".
// Delivery is best effort, as it is on AWS: what nobody takes in time is lost,
// and logged.
package status

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// Source and DetailType are what the events have in these members.
const (
	Source     = "aws.states"
	DetailType = "Step Functions Execution Status Change"
)

const (
	maxWaiting = 10_000
	maxAnswer  = 1 << 20
	// maxData is how large input and output together may be to be in an event
	// (AWS's quota); else they are left out.
	maxData = 248 << 10
)

// Event is a change of an execution's status.
type Event struct {
	ARN    string // of the execution
	Detail string // JSON text
	At     time.Time
}

// Config says where events go.
type Config struct {
	Store  store.Store
	Scheme arn.Scheme
	Log    *slog.Logger
	// Send gets one event after the other. An error is logged.
	Send func(ctx context.Context, e Event) error
	// Wanted reports whether anybody hears now. It must be quick. Nil: always.
	Wanted func() bool
}

// Teller tells of changes. Call Run to set it in motion.
type Teller struct {
	cfg     Config
	changes chan change
	lost    atomic.Int64 // since it was last said
}

// change is what is known of a change when it becomes durable.
type change struct {
	id     store.ExecutionID
	status engine.Status
	at     time.Time
}

// New makes a Teller.
func New(cfg Config) *Teller { return &Teller{cfg: cfg, changes: make(chan change, maxWaiting)} }

// Committed is told of every commit of a Standard execution. It never waits.
func (t *Teller) Committed(c *store.ExecutionCommit) {
	if !t.wanted() {
		return
	}
	begins := c.New != nil || c.Delta.Redrives > 0 && c.Delta.Status == engine.Running && c.Delta.History.Count > 0 && begun(c)
	if begins {
		t.tell(change{c.ID, engine.Running, time.Now()})
	}
	if c.Delta.Status != engine.Running {
		t.tell(change{c.ID, c.Delta.Status, time.Now()})
	}
}

func (t *Teller) wanted() bool { return t.cfg.Wanted == nil || t.cfg.Wanted() }

// begun says whether a commit has the event of a redrive in it.
func begun(c *store.ExecutionCommit) bool {
	events, err := engine.DecodeHistory(c.Delta.History)
	if err != nil {
		return false
	}
	for i := range events {
		if events[i].Type == engine.ExecutionRedrivenType {
			return true
		}
	}
	return false
}

func (t *Teller) tell(c change) {
	select {
	case t.changes <- c:
	default:
		t.lost.Add(1)
	}
}

// Run sends events until ctx ends.
func (t *Teller) Run(ctx context.Context) error {
	for {
		select {
		case c := <-t.changes:
			if !t.wanted() {
				t.lost.Store(0)
				continue
			}
			e, err := t.event(ctx, c)
			if err == nil {
				err = t.cfg.Send(ctx, e)
			}
			if err != nil && ctx.Err() == nil {
				t.cfg.Log.Error("tell of a change of status", "execution", c.id, "error", err)
			}
			if n := t.lost.Swap(0); n > 0 {
				t.cfg.Log.Error("changes of status were not told: too many waited", "changes", n)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// event words a change.
func (t *Teller) event(ctx context.Context, c change) (Event, error) {
	x, err := t.cfg.Store.Execution(ctx, c.id)
	if err != nil {
		return Event{}, fmt.Errorf("read execution: %w", err)
	}
	m, err := t.cfg.Store.MachineByID(ctx, x.Machine)
	if err != nil {
		return Event{}, fmt.Errorf("read its machine: %w", err)
	}
	name := m.Name
	if x.Child.Run != 0 {
		r, err := t.cfg.Store.MapRunByID(ctx, x.Child.Run)
		if err != nil {
			return Event{}, fmt.Errorf("read its Map Run: %w", err)
		}
		name += "/" + r.Label
	}
	if c.status == engine.Running { // as it was then
		x.Status, x.StoppedAt, x.Output, x.Error, x.Cause = engine.Running, 0, nil, nil, nil
	}
	executionARN := t.cfg.Scheme.Execution(name, x.Name)
	return Event{ARN: executionARN, Detail: t.detail(&x, executionARN, name), At: c.at}, nil
}

// detail has the members that AWS's events have, null where there is nothing
// (recorded).
func (t *Teller) detail(x *store.Execution, executionARN, machine string) string {
	var members []value.Member
	add := func(key string, v value.Value) { members = append(members, value.Member{Key: key, Value: v}) }
	text := func(key string, s *string) {
		if s == nil {
			add(key, value.NullValue)
			return
		}
		add(key, value.Str(*s))
	}
	number := func(key string, n int64) {
		if n == 0 {
			add(key, value.NullValue)
			return
		}
		add(key, value.Int(n))
	}
	given := func(is bool, arn string) *string {
		if !is {
			return nil
		}
		return &arn
	}
	size := len(x.Input)
	if x.Output != nil {
		size += len(*x.Output)
	}
	included := size <= maxData
	details := func(there bool) value.Value {
		if !there {
			return value.NullValue
		}
		return value.ObjectOf([]value.Member{{Key: "included", Value: value.BoolOf(included)}})
	}
	input, output := &x.Input, x.Output
	if !included {
		input, output = nil, nil
	}
	add("executionArn", value.Str(executionARN))
	add("stateMachineArn", value.Str(t.cfg.Scheme.Machine(machine)))
	add("name", value.Str(x.Name))
	add("status", value.Str(x.Status.String()))
	add("startDate", value.Int(x.StartedAt))
	number("stopDate", x.StoppedAt)
	text("input", input)
	text("output", output)
	text("stateMachineVersionArn", given(x.Via.Number != 0, t.cfg.Scheme.Version(machine, x.Via.Number)))
	text("stateMachineAliasArn", given(x.Via.Alias != "", t.cfg.Scheme.Alias(machine, x.Via.Alias)))
	add("redriveCount", value.Int(x.Redrives))
	number("redriveDate", x.RedrivenAt)
	status, why := "REDRIVABLE", (*string)(nil)
	if x.Status == engine.Running || x.Status == engine.Succeeded {
		reason := "Execution is " + x.Status.String() + " and cannot be redriven"
		status, why = "NOT_REDRIVABLE", &reason
	}
	add("redriveStatus", value.Str(status))
	text("redriveStatusReason", why)
	add("inputDetails", details(true))
	add("outputDetails", details(x.Output != nil))
	text("error", x.Error)
	text("cause", x.Cause)
	return value.ObjectOf(members).JSON()
}

// Bus sends events to the default bus of an EventBridge that is not AWS's own:
// AWS takes no events of its services from others. It returns nil where the
// environment names none.
func Bus(region string, transport http.RoundTripper) func(ctx context.Context, e Event) error {
	client := awscall.New(awscall.Service{ID: "EVENTBRIDGE", Host: "events", SigningName: "events"}, region, transport)
	if !client.Elsewhere() {
		return nil
	}
	return func(ctx context.Context, e Event) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		entry := value.ObjectOf([]value.Member{
			{Key: "Source", Value: value.Str(Source)},
			{Key: "DetailType", Value: value.Str(DetailType)},
			{Key: "Resources", Value: value.ArrayOf([]value.Value{value.Str(e.ARN)})},
			{Key: "Time", Value: value.Int(e.At.Unix())},
			{Key: "Detail", Value: value.Str(e.Detail)},
		})
		resp, err := client.Do(ctx, &awscall.Request{
			Body:   `{"Entries":[` + entry.JSON() + `]}`,
			Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AWSEvents.PutEvents"}},
		}, maxAnswer)
		if err != nil {
			return err
		}
		if !resp.OK() {
			return fmt.Errorf("EventBridge answered with status %d", resp.Status)
		}
		answer, err := value.Parse(resp.Body)
		if n, _ := answer.Get("FailedEntryCount").Int64(); err == nil && n > 0 {
			return fmt.Errorf("EventBridge refused the event: %s", answer.Get("Entries").At(0).Get("ErrorMessage").Str())
		}
		return nil
	}
}
