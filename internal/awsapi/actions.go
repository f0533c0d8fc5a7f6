package awsapi

import (
	"context"
	"maps"
	"slices"
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

	"DescribeMapRun": (*Server).describeMapRun,
	"ListMapRuns":    (*Server).listMapRuns,
	"UpdateMapRun":   (*Server).updateMapRun,
}

// Operations lists the names of all operations of the service, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(actions)) }
