// Package arn writes and reads the Amazon Resource Names of the Step Functions
// API (their forms are in AWS's guide).
package arn

import (
	"strconv"
	"strings"
)

// Scheme holds what all resources of a server have in common.
type Scheme struct {
	Partition string // "aws"
	Region    string
	Account   string
}

// Default is the scheme of a server that was not told otherwise.
var Default = Scheme{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

func (s Scheme) prefix(service string) string {
	return "arn:" + s.Partition + ":" + service + ":" + s.Region + ":" + s.Account + ":"
}

// Machine names a state machine.
func (s Scheme) Machine(name string) string { return s.prefix("states") + "stateMachine:" + name }

// Version names a published version of a state machine.
func (s Scheme) Version(machine string, number int64) string {
	return s.Machine(machine) + ":" + strconv.FormatInt(number, 10)
}

// Alias names an alias of a state machine.
func (s Scheme) Alias(machine, name string) string { return s.Machine(machine) + ":" + name }

// Activity names an activity.
func (s Scheme) Activity(name string) string { return s.prefix("states") + "activity:" + name }

// Execution names a Standard execution.
func (s Scheme) Execution(machine, name string) string {
	return s.prefix("states") + "execution:" + machine + ":" + name
}

// Express names an Express execution: several may have one name.
func (s Scheme) Express(machine, name, uuid string) string {
	return s.prefix("states") + "express:" + machine + ":" + name + ":" + uuid
}

// MapRun names a Map Run of a machine's state with the label.
func (s Scheme) MapRun(machine, label, uuid string) string {
	return s.prefix("states") + "mapRun:" + machine + "/" + label + ":" + uuid
}

// Connection names one of EventBridge's connections.
func (s Scheme) Connection(name, uuid string) string {
	return s.prefix("events") + "connection/" + name + "/" + uuid
}

// Schedule names one of EventBridge Scheduler's schedules, of the default group.
func (s Scheme) Schedule(name string) string {
	return s.prefix("scheduler") + "schedule/default/" + name
}

// Rule names one of EventBridge's rules, of the default bus: what a trigger is there.
func (s Scheme) Rule(name string) string { return s.prefix("events") + "rule/" + name }

// Name is an ARN taken apart: arn:Partition:Service:Region:Account:Type:Parts.
type Name struct {
	Partition, Service, Region, Account string
	Type                                string   // "stateMachine", "execution", "activity", …
	Parts                               []string // what follows the type, split at ":"
}

// Parse takes an ARN apart. It reports false for text of another form.
func Parse(text string) (Name, bool) {
	f := strings.Split(text, ":")
	if len(f) < 7 || f[0] != "arn" || f[5] == "" {
		return Name{}, false
	}
	for _, part := range f[6:] {
		if part == "" {
			return Name{}, false
		}
	}
	return Name{Partition: f[1], Service: f[2], Region: f[3], Account: f[4], Type: f[5], Parts: f[6:]}, true
}
