package main

import (
	"regexp"
	"strings"
)

// Names are those of AWS's SDK for Java, which Step Functions takes them from:
// its packages' (aws-sdk:dynamodb) and its exceptions' (DynamoDb…).

var (
	notAlphanumeric = regexp.MustCompile(`[^A-Za-z0-9]+`)
	smallVersion    = regexp.MustCompile(`([^a-z]{2,})v([0-9]+)`)
	capitalVersion  = regexp.MustCompile(`([^A-Z]{2,})V([0-9]+)`)
	acronym         = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`)
	afterNumber     = regexp.MustCompile(`([0-9])([a-zA-Z])`)
	camel           = regexp.MustCompile(`([a-z])([A-Z][a-zA-Z0-9])`)
)

// pascal joins the words of a name, each with a capital letter and then small
// ones: an acronym is a word.
func pascal(name string) string {
	s := notAlphanumeric.ReplaceAllString(name, " ")
	s = smallVersion.ReplaceAllString(s, "$1 v$2 ")
	s = capitalVersion.ReplaceAllString(s, "$1 V$2 ")
	s = camel.ReplaceAllString(s, "$1 $2")
	s = acronym.ReplaceAllString(s, "$1 $2")
	s = afterNumber.ReplaceAllString(s, "$1 $2")
	var b strings.Builder
	for _, word := range strings.Fields(s) {
		b.WriteString(strings.ToUpper(word[:1]) + strings.ToLower(word[1:]))
	}
	return b.String()
}

// exceptionPrefix is what stands in front of a service's errors.
func exceptionPrefix(serviceID string) string {
	s := pascal(serviceID)
	s = strings.TrimPrefix(s, "Amazon")
	s = strings.TrimPrefix(s, "Aws")
	return strings.TrimSuffix(s, "Service")
}

func serviceName(id string) string { return strings.ToLower(exceptionPrefix(id)) }

// exceptionClass is the class of an error.
func exceptionClass(shape string) string {
	if s, ok := strings.CutSuffix(shape, "Fault"); ok {
		return pascal(s) + "Exception"
	}
	if strings.HasSuffix(shape, "Exception") {
		return pascal(shape)
	}
	return pascal(shape) + "Exception"
}

// unsupported are actions that Step Functions' guide excludes, beside those that
// stream events.
var unsupported = map[string][]string{
	"applicationdiscovery": {"DescribeExportConfigurations", "ExportConfigurations"},
	"bedrockagentruntime":  {"OptimizePrompt"},
	"codedeploy":           {"BatchGetDeploymentInstances", "GetDeploymentInstance", "ListDeploymentInstances", "SkipWaitTimeForInstanceTermination"},
	"comprehendmedical":    {"DetectEntities"},
	"efs":                  {"CreateTags"},
	"elastictranscoder":    {"TestRole"},
	"emr":                  {"DescribeJobFlows"},
	"iotdeviceadvisor":     {"ListTestCases"},
	"lambda":               {"InvokeAsync"},
	"mediapackage":         {"RotateChannelCredentials"},
	"rdsdata":              {"ExecuteSql"},
	"shield":               {"DeleteSubscription"},
}
