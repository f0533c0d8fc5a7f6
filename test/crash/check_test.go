package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// check compares what the server kept with what it had promised. It returns a
// line for each promise that was broken.
func (l *load) check(ctx context.Context) ([]string, error) {
	c := &checker{load: l, broken: slices.Clone(l.problems), found: map[string]*seen{}, ids: map[int64]string{}}
	for _, k := range kinds {
		list, err := l.api.executions(ctx, l.machines[k.name], "")
		if err != nil {
			return nil, err
		}
		names := map[string]bool{}
		for _, x := range list {
			if names[x.Name] {
				c.fail("%s is there twice", x.ARN)
			}
			names[x.Name] = true
			c.found[x.ARN] = &seen{kind: k}
		}
	}
	if err := c.readAll(ctx); err != nil {
		return nil, err
	}
	c.starts()
	c.stops()
	c.answers()
	c.calls()
	return c.broken, nil
}

// checker holds what is known of every execution.
type checker struct {
	*load
	wrong  sync.Mutex
	broken []string
	found  map[string]*seen // by ARN
	ids    map[int64]string // of inputs → ARN
}

// seen is an execution as the server describes it.
type seen struct {
	kind      kind
	item      executionItem
	results   map[string]string // nonce of each task's result → type of event
	scheduled map[string]int    // payload → how often it was scheduled
	started   map[taskKey]int   // activity tasks → ActivityStarted
}

func (c *checker) fail(format string, args ...any) {
	c.wrong.Lock()
	defer c.wrong.Unlock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}

// readAll reads every execution with its history, eight at a time.
func (c *checker) readAll(ctx context.Context) error {
	arns := make(chan string)
	errs := make(chan error, 8)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for arn := range arns {
				if err := c.read(ctx, arn, c.found[arn]); err != nil {
					select {
					case errs <- fmt.Errorf("read %s: %w", arn, err):
					default:
					}
				}
			}
		})
	}
	for arn := range c.found {
		arns <- arn
	}
	close(arns)
	group.Wait()
	close(errs)
	return <-errs
}

func (c *checker) read(ctx context.Context, arn string, x *seen) error {
	if err := c.api.insist(ctx, "DescribeExecution", fields{"executionArn": arn}, &x.item); err != nil {
		return err
	}
	events, err := c.api.history(ctx, arn, 7+len(arn)%40)
	if err != nil {
		return err
	}
	var in payload
	if err := json.Unmarshal([]byte(x.item.Input), &in); err != nil {
		c.fail("%s has the input %q", arn, x.item.Input)
	}
	c.wrong.Lock()
	if other := c.ids[in.ID]; other != "" {
		c.broken = append(c.broken, fmt.Sprintf("start %d made two executions: %s and %s", in.ID, other, arn))
	}
	c.ids[in.ID] = arn
	c.wrong.Unlock()
	for _, problem := range x.readHistory(events) {
		c.fail("%s: %s", arn, problem)
	}
	switch x.item.Status {
	case "SUCCEEDED":
		var out payload
		if err := json.Unmarshal([]byte(x.item.Output), &out); err != nil || out.ID != in.ID || out.N != x.kind.n {
			c.fail("%s (%s) of start %d ended with %s", arn, x.kind.name, in.ID, x.item.Output)
		}
		if last := events[len(events)-1]; last.OK.Output != x.item.Output {
			c.fail("%s ended with %s, its history with %s", arn, x.item.Output, last.OK.Output)
		}
	case "ABORTED":
		c.mu.Lock()
		s := c.load.stops[arn]
		c.mu.Unlock()
		if s == nil || x.item.Error != "Halt" || x.item.Cause != s.cause {
			c.fail("%s was aborted by nobody: %s %s", arn, x.item.Error, x.item.Cause)
		}
	default:
		c.fail("%s (%s) is %s: %s %s", arn, x.kind.name, x.item.Status, x.item.Error, x.item.Cause)
	}
	return nil
}

var finals = []string{"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}

// readHistory checks that ids have no gap, that there is one end, and that each
// attempt of a task has one result; and it notes tasks and results.
func (x *seen) readHistory(events []historyEvent) (problems []string) {
	x.results, x.scheduled, x.started = map[string]string{}, map[string]int{}, map[taskKey]int{}
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(events) == 0 {
		bad("the history is empty")
		return problems
	}
	results := map[int64]int{} // of a Scheduled event
	starts := map[int64]int{}
	for i, ev := range events {
		if ev.ID != int64(i)+1 {
			bad("event %d has the id %d", i+1, ev.ID)
			return problems
		}
		if ev.Previous >= ev.ID {
			bad("event %d comes after event %d", ev.ID, ev.Previous)
			return problems
		}
		if slices.Contains(finals, ev.Type) != (i == len(events)-1) {
			bad("event %d of %d is %s", i+1, len(events), ev.Type)
		}
		if (ev.Type == "ExecutionStarted") != (i == 0) {
			bad("event %d is %s", i+1, ev.Type)
		}
		switch ev.Type {
		case "LambdaFunctionScheduled":
			x.scheduled[canonical(ev.Lambda.Input)]++
			results[ev.ID] = 0
		case "TaskScheduled":
			x.scheduled[canonical(inner(ev.Task.Parameters))]++
			results[ev.ID] = 0
		case "ActivityScheduled":
			results[ev.ID] = 0
		case "ActivityStarted":
			at := scheduledBy(events, ev)
			starts[at]++
			if at > 0 {
				var p payload
				json.Unmarshal([]byte(events[at-1].Activity.Input), &p)
				x.started[p.key()]++
			}
		case "LambdaFunctionSucceeded", "LambdaFunctionFailed", "LambdaFunctionTimedOut", "TaskSucceeded", "TaskFailed", "TaskTimedOut",
			"ActivitySucceeded", "ActivityFailed", "ActivityTimedOut":
			results[scheduledBy(events, ev)]++
			for _, nonce := range []string{by(ev.LambdaOK.Output), by(ev.TaskOK.Output), by(ev.ActOK.Output), ev.TaskBad.Cause, ev.ActBad.Cause} {
				if nonce != "" {
					x.results[nonce] = ev.Type
				}
			}
		}
	}
	aborted := events[len(events)-1].Type == "ExecutionAborted"
	for at, n := range results {
		if n > 1 || n == 0 && !aborted {
			bad("the task that event %d scheduled has %d results", at, n)
		}
	}
	for at, n := range starts {
		if n > 1 {
			bad("the task that event %d scheduled was started %d times", at, n)
		}
	}
	return problems
}

// scheduledBy follows an event back to the one that scheduled its task; 0: there
// is none.
func scheduledBy(events []historyEvent, ev historyEvent) int64 {
	for ev.Previous > 0 {
		ev = events[ev.Previous-1]
		if strings.HasSuffix(ev.Type, "Scheduled") {
			return ev.ID
		}
		if strings.HasSuffix(ev.Type, "StateEntered") {
			return 0
		}
	}
	return 0
}

// by says who made a result; "" if it is none.
func by(output string) string {
	var out struct {
		By *int64 `json:"by"`
	}
	if output == "" || json.Unmarshal([]byte(output), &out) != nil || out.By == nil {
		return ""
	}
	return strconv.FormatInt(*out.By, 10)
}

// inner is the payload in the parameters of lambda:invoke.
func inner(parameters string) string {
	var p struct{ Payload json.RawMessage }
	json.Unmarshal([]byte(parameters), &p)
	return string(p.Payload)
}

// canonical is a JSON text with the members in the order of their names.
func canonical(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// starts checks that what was acknowledged is there, once.
func (c *checker) starts() {
	possible := map[int64]bool{}
	for _, s := range c.load.starts {
		possible[s.id] = true
		arn := c.ids[s.id]
		switch {
		case s.arn != "" && c.found[s.arn] == nil:
			c.fail("acknowledged start is lost: %s", s.arn)
		case s.arn != "" && arn != s.arn:
			c.fail("start %d was acknowledged as %s and runs as %s", s.id, s.arn, arn)
		case s.exist && arn == "":
			c.fail("acknowledged start is lost: %s, which was said to exist", s.name)
		}
	}
	for id, arn := range c.ids {
		if !possible[id] {
			c.fail("%s was started by nobody", arn)
		}
	}
}

func (c *checker) stops() {
	for arn, s := range c.load.stops {
		x := c.found[arn]
		if s.stopDate != 0 && x != nil && x.item.StopDate != s.stopDate {
			c.fail("%s stopped at %f, StopExecution had answered %f", arn, x.item.StopDate, s.stopDate)
		}
	}
}

// answers checks that an acknowledged answer is the one in the history.
func (c *checker) answers() {
	for _, a := range c.load.answers {
		x := c.found[a.key.execution]
		acknowledged := 0
		for nonce, ok := range a.said {
			if !ok {
				continue
			}
			acknowledged++
			if x == nil || x.results[strconv.FormatInt(nonce, 10)] == "" {
				c.fail("acknowledged answer is lost: %d to %v", nonce, a.key)
			}
		}
		if acknowledged > 1 {
			c.fail("%d answers to %v were acknowledged", acknowledged, a.key)
		}
	}
	for key, n := range c.handed {
		x := c.found[key.execution]
		if n > 1 || x == nil || x.started[key] == 0 {
			c.fail("the activity task %v was handed out %d times and is not so in the history", key, n)
		}
	}
}

// calls checks that nothing was done outside before it was durable: what a
// function was called with is in the history.
func (c *checker) calls() {
	for key, r := range c.load.calls {
		x := c.found[key.execution]
		if x == nil {
			c.fail("a function was called for %s, which is not there", key.execution)
		} else if n := x.scheduled[canonical(r.payload)]; n != 1 {
			c.fail("a function was called with %s, which the history has %d times", r.payload, n)
		}
	}
}

// summary says what the load was.
func (l *load) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	acknowledged, repeats := 0, 0
	for _, s := range l.starts {
		if s.arn != "" || s.exist {
			acknowledged++
		}
	}
	for _, c := range l.calls {
		repeats += c.repeats
	}
	return fmt.Sprintf("%d starts (%d acknowledged), %d stops, %d function calls (%d repeated), %d tokens answered, %d activity tasks handed out",
		len(l.starts), acknowledged, len(l.stops), len(l.calls), repeats, len(l.answers), len(l.handed))
}

// firstOf is the first n lines, and how many more there are.
func firstOf(lines []string, n int) string {
	more := ""
	if len(lines) > n {
		more = fmt.Sprintf("\n… and %d more", len(lines)-n)
	}
	return strings.Join(lines[:min(n, len(lines))], "\n") + more
}
