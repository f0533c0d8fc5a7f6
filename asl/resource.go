package asl

import (
	"fmt"
	"strings"
)

// Pattern is how a Task waits for its result.
type Pattern uint8

const (
	RequestResponse  Pattern = iota // the call's answer is the result
	Sync                            // ".sync": wait for the job to end
	Sync2                           // ".sync:2": the same, with parsed output
	WaitForTaskToken                // ".waitForTaskToken": somebody answers later
)

// String is the pattern as it is written behind the action, with its dot.
func (p Pattern) String() string {
	return [...]string{"", ".sync", ".sync:2", ".waitForTaskToken"}[p]
}

// ResourceKind groups resources by the history events they write.
type ResourceKind uint8

const (
	LambdaResource      ResourceKind = iota // a function's own ARN: Lambda* events
	ActivityResource                        // an activity's ARN: Activity* events
	IntegrationResource                     // arn:aws:states:::service:action: Task* events
)

// Resource is a Task's Resource, taken apart.
type Resource struct {
	ARN     string // as written
	Kind    ResourceKind
	Service string // IntegrationResource: "lambda", "aws-sdk:dynamodb"
	Action  string // IntegrationResource: "invoke", without the pattern
	Pattern Pattern
}

// OnBoard reports whether the task is work on the board that its state waits
// for: agent:runTask or review:request. The board says how it ends; no job is
// asked for, and no token from outside answers it.
func (r Resource) OnBoard() bool {
	return r.Pattern != RequestResponse && (r.Service == "agent" || r.Service == "review")
}

// ParseResource takes a Task's Resource apart. The error has AWS's words for a
// text that is no ARN, and for an ARN that leads to nothing a Task can call.
func ParseResource(arn string) (Resource, error) {
	part := strings.SplitN(arn, ":", 7)
	if len(part) < 6 || part[0] != "arn" || part[1] == "" || part[2] == "" {
		return Resource{}, fmt.Errorf("Value is not a valid resource ARN")
	}
	r := Resource{ARN: arn}
	name := ""
	if len(part) == 7 {
		name = part[6]
	}
	switch {
	case part[2] == "lambda" && part[5] == "function" && name != "" && part[3] != "" && part[4] != "":
		r.Kind = LambdaResource
		return r, nil
	case part[2] == "states" && part[5] == "activity" && name != "" && part[3] != "" && part[4] != "":
		r.Kind = ActivityResource
		return r, nil
	case part[2] == "states" && part[3] == "" && part[4] == "" && r.integration(part[5], name):
		r.Kind = IntegrationResource
		return r, nil
	}
	return Resource{}, unrecognized(arn)
}

func unrecognized(arn string) error {
	return fmt.Errorf("The resource provided %s is not recognized. The value is not a valid resource ARN, "+
		"or the resource is not available in this region.", shorten(arn))
}

// integration reads what stands behind arn:aws:states:::.
func (r *Resource) integration(service, action string) bool {
	if service == "aws-sdk" {
		name, rest, ok := strings.Cut(action, ":")
		if !ok || !sdkServices[name] {
			return false
		}
		r.Service, action = "aws-sdk:"+name, rest
	} else {
		r.Service = service
	}
	r.Action, r.Pattern = cutPattern(action)
	if service == "aws-sdk" {
		return r.Pattern != Sync && r.Pattern != Sync2 && isAction(r.Action) && !streaming[strings.TrimPrefix(r.Service, "aws-sdk:")+":"+r.Action]
	}
	return integrations[service][r.Action]&(1<<r.Pattern) != 0
}

func cutPattern(action string) (string, Pattern) {
	for p := Sync; p <= WaitForTaskToken; p++ {
		if name, ok := strings.CutSuffix(action, p.String()); ok {
			return name, p
		}
	}
	return action, RequestResponse
}

// isAction says whether name is an API action as SDK integrations write it:
// letters and digits, the first one a small letter.
func isAction(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || i > 0 && (c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
		if !letter {
			return false
		}
	}
	return name != ""
}

// required are the parameters without which AWS refuses the integration, as
// measured by others for the most used ones and as the guide has it for EKS.
func (r Resource) required() []string { return requiredParameters[r.Service+":"+r.Action] }

var requiredParameters = map[string][]string{
	"lambda:invoke":         {"FunctionName"},
	"sqs:sendMessage":       {"QueueUrl", "MessageBody"},
	"sns:publish":           {"Message"},
	"dynamodb:putItem":      {"TableName", "Item"},
	"dynamodb:getItem":      {"TableName", "Key"},
	"states:startExecution": {"StateMachineArn"},
	"events:putEvents":      {"Entries"},
	"ecs:runTask":           {"TaskDefinition"},
	"glue:startJobRun":      {"JobName"},
	"bedrock:invokeModel":   {"ModelId"},
	"eks:call":              {"ClusterName", "CertificateAuthority", "Endpoint", "Method", "Path"},
	"eks:runJob":            {"ClusterName", "CertificateAuthority", "Endpoint", "Job"},
}

// The sets of patterns in the table below.
const (
	plain    = 1 << RequestResponse
	job      = plain | 1<<Sync
	token    = plain | 1<<WaitForTaskToken
	jobToken = job | token
	board    = 1<<Sync | 1<<WaitForTaskToken // which mean the same there
)

// integrations are the services with an integration of their own, their actions,
// and how each can wait. agent and review are Lockstep's.
var integrations = map[string]map[string]uint8{
	"agent":      {"runTask": board, "createTask": plain},
	"review":     {"request": board},
	"apigateway": {"invoke": token},
	"athena": {"startQueryExecution": job, "stopQueryExecution": plain, "getQueryExecution": plain,
		"getQueryResults": plain},
	"batch":   {"submitJob": job},
	"bedrock": {"invokeModel": token, "createModelCustomizationJob": job},
	"codebuild": {"startBuild": job, "stopBuild": plain, "batchDeleteBuilds": plain, "batchGetReports": plain,
		"startBuildBatch": job, "stopBuildBatch": plain, "retryBuildBatch": job, "deleteBuildBatch": plain},
	"databrew": {"startJobRun": job},
	"dynamodb": {"getItem": plain, "putItem": plain, "deleteItem": plain, "updateItem": plain},
	"ecs":      {"runTask": jobToken},
	"eks": {"createCluster": job, "deleteCluster": job, "createNodegroup": job, "deleteNodegroup": job,
		"createFargateProfile": job, "deleteFargateProfile": job, "call": token, "runJob": jobToken},
	"elasticmapreduce": {"createCluster": job, "terminateCluster": job, "addStep": job, "cancelStep": plain,
		"setClusterTerminationProtection": plain, "modifyInstanceFleetByName": plain, "modifyInstanceGroupByName": plain},
	"emr-containers": {"createVirtualCluster": plain, "deleteVirtualCluster": job, "startJobRun": job},
	"emr-serverless": {"createApplication": job, "startApplication": job, "stopApplication": job,
		"deleteApplication": job, "startJobRun": job, "cancelJobRun": job},
	"events":       {"putEvents": token},
	"glue":         {"startJobRun": job},
	"http":         {"invoke": plain},
	"lambda":       {"invoke": token},
	"mediaconvert": {"createJob": job},
	"sagemaker": {"createTrainingJob": job, "createTransformJob": job, "createProcessingJob": job,
		"createHyperParameterTuningJob": job, "createLabelingJob": job, "createModel": plain, "createEndpoint": plain,
		"createEndpointConfig": plain, "updateEndpoint": plain},
	"sns":    {"publish": token},
	"sqs":    {"sendMessage": token},
	"states": {"startExecution": jobToken | 1<<Sync2},
}

// streaming are actions of SDK services that answer with a stream, which a Task
// cannot take. They are written with their service.
var streaming = map[string]bool{
	"bedrockruntime:invokeModelWithResponseStream":  true,
	"bedrockruntime:converseStream":                 true,
	"bedrockagentruntime:invokeAgent":               true,
	"bedrockagentruntime:invokeFlow":                true,
	"bedrockagentruntime:invokeInlineAgent":         true,
	"bedrockagentruntime:optimizePrompt":            true,
	"bedrockagentruntime:retrieveAndGenerateStream": true,
	"cloudwatchlogs:startLiveTail":                  true,
}
