package awsapi

import (
	"golang.org/x/time/rate"
)

// bucket is a token bucket: how many calls may come at once, and how many a
// second after that.
type bucket struct {
	size   int
	refill rate.Limit
}

// Actions share numbers, not buckets.
var (
	startBucket  = bucket{1300, 300}
	answerBucket = bucket{3000, 500}
	readBucket   = bucket{200, 1}
	rareBucket   = bucket{100, 1}
)

// expressStart stands for StartExecution of an EXPRESS machine, which has a bucket
// of its own.
const expressStart = "StartExecution of EXPRESS"

// quotas are the buckets of an account in us-east-1 (AWS's guide).
// StartSyncExecution has none.
var quotas = map[string]bucket{
	"StartExecution":   startBucket,
	expressStart:       {6000, 6000},
	"RedriveExecution": startBucket,

	"GetActivityTask":   answerBucket,
	"SendTaskSuccess":   answerBucket,
	"SendTaskFailure":   answerBucket,
	"SendTaskHeartbeat": answerBucket,

	"StopExecution":        {1000, 200},
	"DescribeExecution":    {300, 15},
	"GetExecutionHistory":  {400, 20},
	"DescribeStateMachine": {200, 20},
	"ListExecutions":       {200, 5},
	"ListActivities":       {100, 10},
	"ListStateMachines":    {100, 5},
	"TestState":            {50, 10},

	"DescribeActivity":                 readBucket,
	"DescribeMapRun":                   readBucket,
	"DescribeStateMachineAlias":        readBucket,
	"DescribeStateMachineForExecution": readBucket,
	"TagResource":                      readBucket,
	"UntagResource":                    readBucket,

	"CreateActivity":                 rareBucket,
	"CreateStateMachine":             rareBucket,
	"CreateStateMachineAlias":        rareBucket,
	"DeleteActivity":                 rareBucket,
	"DeleteStateMachine":             rareBucket,
	"DeleteStateMachineAlias":        rareBucket,
	"DeleteStateMachineVersion":      rareBucket,
	"ListMapRuns":                    rareBucket,
	"ListStateMachineAliases":        rareBucket,
	"ListStateMachineVersions":       rareBucket,
	"ListTagsForResource":            rareBucket,
	"PublishStateMachineVersion":     rareBucket,
	"UpdateMapRun":                   rareBucket,
	"UpdateStateMachine":             rareBucket,
	"UpdateStateMachineAlias":        rareBucket,
	"ValidateStateMachineDefinition": rareBucket,
}

// throttle holds a full bucket for each quota. The zero throttle lets everything
// pass.
type throttle map[string]*rate.Limiter

func newThrottle() throttle {
	t := throttle{}
	for action, b := range quotas {
		t[action] = rate.NewLimiter(b.refill, b.size)
	}
	return t
}

// pass takes a token out of an action's bucket, or refuses the call.
func (s *Server) pass(action string) error {
	if l := s.throttle[action]; l != nil && !l.AllowN(s.now(), 1) {
		return errThrottled
	}
	return nil
}
