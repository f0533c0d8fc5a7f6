package awsapi

import (
	"context"
	"slices"
	"strings"
)

// action answers one operation: it reads its members from in and appends the
// answer's body to out.
type action func(s *Server, ctx context.Context, in *input, out []byte) ([]byte, error)

// actions holds every operation of the service by its name in X-Amz-Target.
var actions = map[string]action{
	"CreateStateMachine":               (*Server).createStateMachine,
	"UpdateStateMachine":               (*Server).updateStateMachine,
	"DeleteStateMachine":               (*Server).deleteStateMachine,
	"DescribeStateMachine":             (*Server).describeStateMachine,
	"DescribeStateMachineForExecution": (*Server).describeStateMachineForExecution,
	"ListStateMachines":                (*Server).listStateMachines,
	"ValidateStateMachineDefinition":   (*Server).validateStateMachineDefinition,

	"StartExecution":      (*Server).startExecution,
	"StartSyncExecution":  (*Server).startSyncExecution,
	"DescribeExecution":   (*Server).describeExecution,
	"ListExecutions":      (*Server).listExecutions,
	"StopExecution":       (*Server).stopExecution,
	"GetExecutionHistory": (*Server).getExecutionHistory,

	"CreateActivity":    (*Server).createActivity,
	"DeleteActivity":    (*Server).deleteActivity,
	"DescribeActivity":  (*Server).describeActivity,
	"ListActivities":    (*Server).listActivities,
	"GetActivityTask":   (*Server).getActivityTask,
	"SendTaskSuccess":   (*Server).sendTaskSuccess,
	"SendTaskFailure":   (*Server).sendTaskFailure,
	"SendTaskHeartbeat": (*Server).sendTaskHeartbeat,

	"TagResource":         (*Server).tagResource,
	"UntagResource":       (*Server).untagResource,
	"ListTagsForResource": (*Server).listTagsForResource,

	"PublishStateMachineVersion": (*Server).publishStateMachineVersion,
	"DeleteStateMachineVersion":  (*Server).deleteStateMachineVersion,
	"ListStateMachineVersions":   (*Server).listStateMachineVersions,

	"CreateStateMachineAlias":   (*Server).createStateMachineAlias,
	"UpdateStateMachineAlias":   (*Server).updateStateMachineAlias,
	"DeleteStateMachineAlias":   (*Server).deleteStateMachineAlias,
	"DescribeStateMachineAlias": (*Server).describeStateMachineAlias,
	"ListStateMachineAliases":   (*Server).listStateMachineAliases,

	"RedriveExecution": (*Server).redriveExecution,
	"TestState":        (*Server).testState,
}

// toCome are the operations that are refused, with what they are about.
var toCome = map[string]string{
	"DescribeMapRun": "distributed maps",
	"ListMapRuns":    "distributed maps",
	"UpdateMapRun":   "distributed maps",
}

func init() {
	for name, what := range toCome {
		err := notYet(what)
		actions[name] = func(*Server, context.Context, *input, []byte) ([]byte, error) { return nil, err }
	}
}

// Operation is an operation of the API. Missing says what it needs that is still
// to come; "" : it works.
type Operation struct{ Name, Missing string }

// Operations lists all operations of the service, by name.
func Operations() []Operation {
	var list []Operation
	for name := range actions {
		list = append(list, Operation{name, toCome[name]})
	}
	slices.SortFunc(list, func(a, b Operation) int { return strings.Compare(a.Name, b.Name) })
	return list
}
