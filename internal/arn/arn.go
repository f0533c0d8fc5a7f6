// Package arn writes and reads the Amazon Resource Names of the Step Functions
// API (their forms are in AWS's guide).
//
// A server keeps machines and activities by name. What belongs to its own account
// has the name that it was given; what belongs to another account has that account
// and a colon in front: "222222222222:name". No name holds a colon, so nothing else
// looks like this. Such a qualified name can stand wherever a Scheme takes the name
// of a machine or an activity: the ARN then has that account and the plain name.
package arn

import (
	"strconv"
	"strings"
)

// Scheme holds what all resources of a server have in common.
type Scheme struct {
	Partition string // "aws"
	Region    string
	Account   string // the server's own

	// Others says that resources of other accounts are served, too. Else their
	// ARNs name nothing.
	Others bool
}

// Default is the scheme of a server that was not told otherwise.
var Default = Scheme{Partition: "aws", Region: "us-east-1", Account: "123456789012"}

func (s Scheme) prefix(service string) string {
	return "arn:" + s.Partition + ":" + service + ":" + s.Region + ":" + s.Account + ":"
}

// named is the ARN of what begins with a name that may be qualified.
func (s Scheme) named(typ, name string) string {
	account, plain := Split(name)
	if account == "" {
		account = s.Account
	}
	return "arn:" + s.Partition + ":states:" + s.Region + ":" + account + typ + plain
}

// Split takes a qualified name apart. The account of a plain name is "".
func Split(name string) (account, plain string) {
	if len(name) > accountDigits && name[accountDigits] == ':' && IsAccount(name[:accountDigits]) {
		return name[:accountDigits], name[accountDigits+1:]
	}
	return "", name
}

// Plain is a name without the account that it may be qualified with.
func Plain(name string) string {
	_, plain := Split(name)
	return plain
}

// IsAccount reports whether text has the form of an account's id: twelve digits.
func IsAccount(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) == accountDigits
}

const accountDigits = 12

// Kept is the name under which a server keeps what is called name in an account:
// the plain name in the server's own, which "" stands for, a qualified one in
// another.
func (s Scheme) Kept(account, name string) string {
	if account == "" || account == s.Account {
		return name
	}
	return account + ":" + name
}

// Find is the way back from an ARN to the name of a machine or an activity: what
// Kept makes of the ARN's first part, which may have the label of a Map behind a
// slash. It is false for what cannot be on the server: ARNs of another service,
// partition or region, or of another account where that is not served.
func (s Scheme) Find(n Name) (name string, ok bool) {
	switch {
	case n.Service != "states" || n.Partition != s.Partition || n.Region != s.Region:
		return "", false
	case n.Account != s.Account && !(s.Others && IsAccount(n.Account)):
		return "", false
	}
	return s.Kept(n.Account, n.Parts[0]), true
}

// Machine names a state machine.
func (s Scheme) Machine(name string) string { return s.named(":stateMachine:", name) }

// Version names a published version of a state machine.
func (s Scheme) Version(machine string, number int64) string {
	return s.Machine(machine) + ":" + strconv.FormatInt(number, 10)
}

// Alias names an alias of a state machine.
func (s Scheme) Alias(machine, name string) string { return s.Machine(machine) + ":" + name }

// Activity names an activity.
func (s Scheme) Activity(name string) string { return s.named(":activity:", name) }

// Execution names a Standard execution.
func (s Scheme) Execution(machine, name string) string {
	return s.named(":execution:", machine) + ":" + name
}

// Express names an Express execution: several may have one name.
func (s Scheme) Express(machine, name, uuid string) string {
	return s.named(":express:", machine) + ":" + name + ":" + uuid
}

// MapRun names a Map Run of a machine's state with the label.
func (s Scheme) MapRun(machine, label, uuid string) string {
	return s.named(":mapRun:", machine) + "/" + label + ":" + uuid
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
