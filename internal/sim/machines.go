package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A random machine. Every payload in it is an object with at least
//
//	who   the execution's input names it; a Map adds the item's index
//	n     a counter that loops raise
//	v     a hash of the way so far
//
// and every task is told its state, its attempt, how often the execution has been
// redriven and what it will do, so that its outcome is a function of its input
// alone: see outcome.

const (
	functionARN  = "arn:aws:lambda:us-east-1:123456789012:function:f"
	activityARN  = "arn:aws:states:us-east-1:123456789012:activity:"
	activities   = 2
	oneItem      = `{"who.$":"$.who","n.$":"$.n","v.$":"$.v"}`
	maxDepth     = 3
	statesBudget = 26
)

// maker writes one machine.
type maker struct {
	*rand.Rand
	wild   bool // timeouts, tasks nobody answers, failures inside of branches
	large  bool // Parallel and Map states put out all that they gather
	budget int
	names  int
}

// makeMachine writes a valid definition.
func makeMachine(r *rand.Rand, wild, large bool) string {
	m := &maker{Rand: r, wild: wild, large: large, budget: statesBudget}
	extra := ""
	if wild && m.IntN(4) == 0 {
		extra = fmt.Sprintf(`"TimeoutSeconds":%d,`, 20+m.IntN(200))
	}
	return "{" + extra + m.scope(0) + "}"
}

func (m *maker) chance(n int) bool { return m.IntN(n) == 0 }

func (m *maker) name() string {
	m.names++
	return fmt.Sprintf("S%d", m.names)
}

// scope writes a chain of states; each but the last leads to the next.
func (m *maker) scope(depth int) string {
	n := 1 + m.IntN(4)
	if depth > 0 {
		n = 1 + m.IntN(2)
	}
	names := make([]string, n+1)
	for i := range names {
		names[i] = m.name()
	}
	var b strings.Builder
	fmt.Fprintf(&b, `"StartAt":%q,"States":{`, names[0])
	for i := range n {
		back := ""
		if i > 0 {
			back = names[i-1]
		}
		fmt.Fprintf(&b, "%s,", m.state(depth, names[i], names[i+1], back))
	}
	fmt.Fprintf(&b, "%q:%s}", names[n], m.last(depth))
	return b.String()
}

// last ends a scope.
func (m *maker) last(depth int) string {
	if m.chance(2) {
		return `{"Type":"Succeed"}`
	}
	return fmt.Sprintf(`{"Type":"Pass","Parameters":%s,"End":true}`, oneItem)
}

// state writes one state, or a few that belong together, named and leading to
// next; back is a state before it, if there is one.
func (m *maker) state(depth int, name, next, back string) string {
	m.budget--
	switch k := m.IntN(20); {
	case k < 2:
		return m.passes(name, next)
	case k < 4:
		return m.choice(depth, name, next, back)
	case k < 6:
		return fmt.Sprintf(`%q:%s`, name, m.wait(next))
	case k < 8 && depth < maxDepth && m.budget > 4:
		return fmt.Sprintf(`%q:%s`, name, m.parallel(depth, next))
	case k < 11 && depth < maxDepth && m.budget > 4:
		return m.mapState(depth, name, next)
	default:
		return fmt.Sprintf(`%q:%s`, name, m.task(depth, name, next))
	}
}

// passes is a Pass, or two: one that sets a variable, one that reads it later.
func (m *maker) passes(name, next string) string {
	if !m.chance(3) {
		return fmt.Sprintf(`%q:%s`, name, m.pass(next))
	}
	pause, second := m.name(), m.name()
	return fmt.Sprintf(`%q:{"Type":"Pass","Assign":{"of%s.$":"$.v"},"Next":%q},
%q:{"Type":"Wait","Seconds":%d,"Next":%q},
%q:{"Type":"Pass","Parameters":{"was.$":"$of%s"},"ResultPath":"$.q","Next":%q}`, name, name, pause, pause, m.IntN(3), second, second, name, next)
}

func (m *maker) pass(next string) string {
	return fmt.Sprintf([]string{
		`{"Type":"Pass","Next":%q}`,
		`{"Type":"Pass","Parameters":{"who.$":"$.who","n.$":"$.n","v.$":"States.Hash($.v, 'MD5')"},"Next":%q}`,
		`{"Type":"Pass","Result":{"c":[1,2]},"ResultPath":"$.c","Next":%q}`,
		`{"Type":"Pass","Parameters":{"was.$":"$$.Execution.Input.who"},"ResultPath":"$.q","Next":%q}`,
	}[m.IntN(4)], next)
}

// choice goes on, back (a loop that n ends), or to an end.
func (m *maker) choice(depth int, name, next, back string) string {
	switch {
	case m.chance(40): // so many states at once that the engine stops to let others run
		up := m.name()
		return fmt.Sprintf(`%q:{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":400,"Next":%q}],"Default":%q},
%q:{"Type":"Pass","Parameters":{"who.$":"$.who","n.$":"States.MathAdd($.n, 1)","v.$":"$.v"},"Next":%q}`, name, up, next, up, name)
	case back != "" && m.chance(2):
		up := m.name()
		return fmt.Sprintf(`%q:{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":%d,"Next":%q}],"Default":%q},
%q:{"Type":"Pass","Parameters":{"who.$":"$.who","n.$":"States.MathAdd($.n, 1)","v.$":"States.Hash($.v, 'MD5')"},"Next":%q}`,
			name, 1+m.IntN(3), up, next, up, back)
	case depth == 0 && m.chance(3):
		end := m.name()
		return fmt.Sprintf(`%q:{"Type":"Choice","Choices":[{"Variable":"$.v","StringLessThan":"4","Next":%q}],"Default":%q},
%q:{"Type":"Fail","Error":"Gone","Cause":"v is small"}`, name, end, next, end)
	default:
		side := m.name()
		return fmt.Sprintf(`%q:{"Type":"Choice","Choices":[{"Or":[{"Variable":"$.v","StringGreaterThan":"8"},{"Variable":"$.n","NumericGreaterThan":2}],"Next":%q}],"Default":%q},
%q:%s`, name, side, next, side, m.pass(next))
	}
}

func (m *maker) wait(next string) string {
	switch m.IntN(4) {
	case 0:
		return fmt.Sprintf(`{"Type":"Wait","TimestampPath":"$$.Execution.Input.t","Next":%q}`, next)
	case 1:
		return fmt.Sprintf(`{"Type":"Wait","Seconds":%d,"Next":%q}`, m.IntN(100000), next)
	default:
		return fmt.Sprintf(`{"Type":"Wait","Seconds":%d,"Next":%q}`, m.IntN(70), next)
	}
}

func (m *maker) parallel(depth int, next string) string {
	var b strings.Builder
	b.WriteString(`{"Type":"Parallel","Branches":[`)
	for i := range 2 + m.IntN(2) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "{%s}", m.scope(depth+1))
	}
	fmt.Fprintf(&b, `],"ResultSelector":{%s},"ResultPath":"$.p"%s,"Next":%q}`, m.gathered(), m.handlers(next), next)
	return b.String()
}

// mapState comes with a Pass before it that makes the items.
func (m *maker) mapState(depth int, name, next string) string {
	each := m.name()
	return fmt.Sprintf(`%q:{"Type":"Pass","Parameters":{"list.$":"States.ArrayRange(1, %d, 1)"},"ResultPath":"$.items","Next":%q},
%q:{"Type":"Map","ItemsPath":"$.items.list","MaxConcurrency":%d,"ItemSelector":{"who.$":"States.Format('{}.{}', $.who, $$.Map.Item.Index)","n.$":"$.n","v.$":"$.v"},
"ItemProcessor":{%s},"ResultSelector":{%s},"ResultPath":"$.m"%s,"Next":%q}`,
		name, 1+m.IntN(4), each, each, m.IntN(4), m.scope(depth+1), m.gathered(), m.handlers(next), next)
}

// gathered is what a Parallel or Map keeps of its results.
func (m *maker) gathered() string {
	if m.large {
		return `"vs.$":"$[*].v","all.$":"$"`
	}
	return `"vs.$":"$[*].v"`
}

// handlers are those of a Parallel or Map: only wild branches fail.
func (m *maker) handlers(next string) string {
	if !m.wild || m.chance(2) {
		return ""
	}
	text := ""
	if m.chance(2) {
		text = `,"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":1}]`
	}
	if m.chance(2) {
		text += fmt.Sprintf(`,"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":%q}]`, next)
	}
	return text
}

// task writes a Task state. How often it fails before it succeeds is written
// into its input; in worlds that are not wild nothing fails for good inside
// of a branch.
func (m *maker) task(depth int, name, next string) string {
	kind := m.IntN(6)
	if kind > 4 {
		kind = 0
	}
	will := "ok"
	if m.wild && (kind == 1 || kind == 3) && m.chance(6) {
		will = "never"
	}
	fails, attempts := 0, 0
	if m.chance(3) {
		fails = 1 + m.IntN(3)
		attempts = fails
	}
	caught := false
	if fails > 0 && m.chance(3) {
		attempts = fails - 1
		caught = depth > 0 && !m.wild || m.chance(2)
	}
	input := fmt.Sprintf(`"who.$":"$.who","n.$":"$.n","v.$":"$.v","try.$":"$$.State.RetryCount","life.$":"$$.Execution.RedriveCount","state":%q,"will":%q,"fails":%d`, name, will, fails)
	var b strings.Builder
	b.WriteString(`{"Type":"Task",`)
	switch kind {
	case 0:
		fmt.Fprintf(&b, `"Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f",%s}`, input)
	case 1:
		fmt.Fprintf(&b, `"Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f",%s,"token.$":"$$.Task.Token"}`, input)
	case 2:
		fmt.Fprintf(&b, `"Resource":%q,"Parameters":{%s}`, functionARN, input)
	case 4:
		fmt.Fprintf(&b, `"Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn":"m",%s,"token.$":"$$.Task.Token"}`, input)
	case 3:
		fmt.Fprintf(&b, `"Resource":"%sa%d","Parameters":{%s,"token.$":"$$.Task.Token"}`, activityARN, m.IntN(activities), input)
	}
	switch m.IntN(4) {
	case 0:
		b.WriteString(`,"ResultSelector":` + oneItem)
	case 1:
		b.WriteString(`,"ResultPath":"$.r"`)
	case 2:
		b.WriteString(`,"ResultPath":null`)
	}
	m.timeouts(&b)
	if attempts > 0 {
		name := []string{"States.ALL", "States.TaskFailed", "E.fail"}[m.IntN(3)]
		fmt.Fprintf(&b, `,"Retry":[{"ErrorEquals":["E.other"],"MaxAttempts":3},{"ErrorEquals":[%q],"IntervalSeconds":%d,"MaxAttempts":%d,"BackoffRate":%d`,
			name, 1+m.IntN(9), attempts, 1+m.IntN(3))
		if m.chance(2) {
			b.WriteString(`,"MaxDelaySeconds":10`)
		}
		if m.chance(2) {
			b.WriteString(`,"JitterStrategy":"FULL"`)
		}
		b.WriteString(`}]`)
	}
	if caught {
		fmt.Fprintf(&b, `,"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":%q}]`, next)
	}
	fmt.Fprintf(&b, `,"Next":%q}`, next)
	return b.String()
}

func (m *maker) timeouts(b *strings.Builder) {
	if !m.wild || m.chance(2) {
		return
	}
	seconds := 3 + m.IntN(60)
	fmt.Fprintf(b, `,"TimeoutSeconds":%d`, seconds)
	if m.chance(2) {
		fmt.Fprintf(b, `,"HeartbeatSeconds":%d`, 1+m.IntN(seconds-1))
	}
}
