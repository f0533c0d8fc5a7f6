package crash

import (
	"fmt"
	"strings"
)

const (
	roleARN     = "arn:aws:iam::123456789012:role/crash"
	functionARN = "arn:aws:lambda:us-east-1:123456789012:function:step"
	activityARN = "arn:aws:states:us-east-1:123456789012:activity:work"
)

// kind is a machine that the load starts. Its executions take
// {"id":N,"n":0,"by":0,…} and end with the same id and n, where n counts the
// steps that were taken; by is who answered last.
type kind struct {
	name       string
	n          int
	definition string
}

var kinds = []kind{
	{"chain", 5, machine("A", add("A", "B"), add("B", "C"), add("C", "D"), add("D", "E"), add("E", ""))},
	{"lambda", 3, machine("A", invoke("A", "B"), invoke("B", "C"), invoke("C", ""))},
	{"callback", 2, machine("A", ask("A", "B"), ask("B", ""))},
	{"activity", 2, machine("A", work("A", "B"), work("B", ""))},
	{"timed", 2, machine("A", add("A", "W"), `"W":{"Type":"Wait","SecondsPath":"$.wait","Next":"B"}`, add("B", ""))},
	{"tree", 3, machine("P", tree, `"Q":{"Type":"Pass","Parameters":{"id.$":"$[0].id","n.$":"States.ArrayLength($[1])","by.$":"$[0].by"},"End":true}`)},
}

func machine(startAt string, states ...string) string {
	return fmt.Sprintf(`{"StartAt":%q,"States":{%s}}`, startAt, strings.Join(states, ","))
}

func next(state string) string {
	if state == "" {
		return `"End":true`
	}
	return fmt.Sprintf(`"Next":%q`, state)
}

// add is a state that takes a step by itself.
func add(name, to string) string {
	return fmt.Sprintf(`%q:{"Type":"Pass","Parameters":{"id.$":"$.id","n.$":"States.MathAdd($.n, 1)","by.$":"$.by","wait.$":"$.wait"},%s}`, name, next(to))
}

// call is what a task gets: who asks, for which step and which attempt of it,
// and what the step before has made.
func call(step string) string {
	return `"execution.$":"$$.Execution.Id","attempt.$":"$$.State.RetryCount","id.$":"$.id","n.$":"$.n","by.$":"$.by",` + step
}

const again = `"Retry":[{"ErrorEquals":["Flaky","States.Timeout"],"IntervalSeconds":1,"BackoffRate":1,"MaxAttempts":60}]`

// invoke is a state that a function takes the step of.
func invoke(name, to string) string {
	return fmt.Sprintf(`%q:{"Type":"Task","Resource":%q,"Parameters":{%s},%s,%s}`,
		name, functionARN, call(fmt.Sprintf(`"step":%q`, name)), again, next(to))
}

// ask is a state whose function passes a token on; somebody else answers.
func ask(name, to string) string {
	return fmt.Sprintf(`%q:{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","TimeoutSeconds":3600,
		"Parameters":{"FunctionName":"ask","Payload":{%s,"token.$":"$$.Task.Token"}},%s,%s}`,
		name, call(fmt.Sprintf(`"step":%q`, name)), again, next(to))
}

// work is a state whose task is polled for. A task that was handed out to
// somebody who is not there any more is handed out again when its time is over.
func work(name, to string) string {
	return fmt.Sprintf(`%q:{"Type":"Task","Resource":%q,"TimeoutSeconds":3,"Parameters":{%s},%s,%s}`,
		name, activityARN, call(fmt.Sprintf(`"step":%q`, name)), again, next(to))
}

// tree has a branch that waits and a branch that maps.
var tree = `"P":{"Type":"Parallel","Next":"Q","Branches":[` +
	machine("L", invoke("L", "W"), `"W":{"Type":"Wait","Seconds":1,"End":true}`) + `,` +
	machine("M", `"M":{"Type":"Map","ItemsPath":"$.items","MaxConcurrency":2,"End":true,
		"ItemSelector":{"id.$":"$.id","n":0,"by":0,"item.$":"$$.Map.Item.Value"},
		"ItemProcessor":`+machine("I", fmt.Sprintf(`"I":{"Type":"Task","Resource":%q,"Parameters":{%s},%s,"End":true}`,
		functionARN, call(`"step.$":"States.Format('I{}', $.item)"`), again))+`}`) + `]}`
