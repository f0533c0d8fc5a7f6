package asl

// stateSet is a set of state types.
type stateSet uint8

const (
	onTask stateSet = 1 << iota
	onPass
	onChoice
	onWait
	onSucceed
	onFail
	onParallel
	onMap

	onAll     = onTask | onPass | onChoice | onWait | onSucceed | onFail | onParallel | onMap
	onNext    = onAll &^ (onChoice | onSucceed | onFail) // those that have Next or End
	onHandled = onTask | onParallel | onMap              // those that can fail and be retried
)

// fieldRule says where a field may stand.
type fieldRule struct {
	on   stateSet
	only string // the name of the only query language that has it; "": both
}

// stateFields are the fields of states, measured against AWS by others with
// ValidateStateMachineDefinition (8 types by 50 fields); asl.md has the same.
var stateFields = map[string]fieldRule{
	"Type":          {on: onAll},
	"Comment":       {on: onAll},
	"QueryLanguage": {on: onAll},
	"Next":          {on: onNext},
	"End":           {on: onNext},
	"Assign":        {on: onAll &^ (onSucceed | onFail)},
	"Output":        {on: onAll &^ onFail, only: "JSONata"},
	"InputPath":     {on: onAll &^ onFail, only: "JSONPath"},
	"OutputPath":    {on: onAll &^ onFail, only: "JSONPath"},
	"ResultPath":    {on: onHandled | onPass, only: "JSONPath"},
	"Parameters":    {on: onHandled | onPass, only: "JSONPath"},

	"ResultSelector": {on: onHandled, only: "JSONPath"},
	"Arguments":      {on: onTask | onParallel, only: "JSONata"},
	"Retry":          {on: onHandled},
	"Catch":          {on: onHandled},

	"Resource":             {on: onTask},
	"Credentials":          {on: onTask},
	"TimeoutSeconds":       {on: onTask},
	"HeartbeatSeconds":     {on: onTask},
	"TimeoutSecondsPath":   {on: onTask, only: "JSONPath"},
	"HeartbeatSecondsPath": {on: onTask, only: "JSONPath"},

	"Result": {on: onPass, only: "JSONPath"},

	"Seconds":       {on: onWait},
	"Timestamp":     {on: onWait},
	"SecondsPath":   {on: onWait, only: "JSONPath"},
	"TimestampPath": {on: onWait, only: "JSONPath"},

	"Choices": {on: onChoice},
	"Default": {on: onChoice},

	"Error":     {on: onFail},
	"Cause":     {on: onFail},
	"ErrorPath": {on: onFail, only: "JSONPath"},
	"CausePath": {on: onFail, only: "JSONPath"},

	"Branches": {on: onParallel},

	"ItemProcessor":                  {on: onMap},
	"Iterator":                       {on: onMap},
	"Items":                          {on: onMap, only: "JSONata"},
	"ItemsPath":                      {on: onMap, only: "JSONPath"},
	"ItemSelector":                   {on: onMap},
	"ItemReader":                     {on: onMap},
	"ItemBatcher":                    {on: onMap},
	"ResultWriter":                   {on: onMap},
	"MaxConcurrency":                 {on: onMap},
	"MaxConcurrencyPath":             {on: onMap, only: "JSONPath"},
	"ToleratedFailurePercentage":     {on: onMap},
	"ToleratedFailurePercentagePath": {on: onMap, only: "JSONPath"},
	"ToleratedFailureCount":          {on: onMap},
	"ToleratedFailureCountPath":      {on: onMap, only: "JSONPath"},
	"Label":                          {on: onMap},
}

// fieldNames are the fields a state type may have, for hints.
func fieldNames(of stateSet) []string {
	var names []string
	for name, rule := range stateFields {
		if rule.on&of != 0 {
			names = append(names, name)
		}
	}
	return names
}

// checkFields reports the members of a state that do not belong there.
func (s *stateParser) checkFields(kind stateSet) {
	for name := range s.v.Members() {
		rule, ok := stateFields[name]
		if !ok || rule.on&kind == 0 {
			s.unknownField(s.at, name, fieldNames(kind))
			continue
		}
		s.checkLanguage(s.at, name, rule.only)
	}
}

// checkLanguage reports a field of the other query language.
func (s *stateParser) checkLanguage(at *place, field, only string) {
	if only == "" || only == s.lang.String() || s.downgraded() {
		return
	}
	s.report(CodeSchema, at, at.key(field),
		"The QueryLanguage is set to '%s', but field '%s' is only supported for the '%s' QueryLanguage",
		s.lang, field, only)
}

// downgraded says whether the state chose JSONPath in a JSONata machine. AWS
// reports that and nothing about the languages of its fields.
func (s *stateParser) downgraded() bool {
	return s.lang == JSONPath && s.machine.QueryLanguage == JSONata
}
