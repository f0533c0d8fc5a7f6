package awsapi

import (
	"slices"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
)

// A mocked result is checked against what the state could have got: an array of
// a Map's or Parallel's outputs, or the answer of the API that a Task calls.

// How strictly the fields of a mocked answer are checked.
const (
	strictFields  = "STRICT"  // those that are there, and that none is missing
	presentFields = "PRESENT" // those that are there
	anyFields     = "NONE"
)

// check says what is wrong with the mocked result.
func (m *testMock) check(state asl.State, result value.Value) error {
	switch state := state.(type) {
	case *asl.Map:
		if state.Writer != nil {
			if result.Kind() != value.Object {
				return invalidRequest("Mocked result must be a JSON object.")
			}
			return nil
		}
		if result.Kind() != value.Array {
			return mockNotArray()
		}
	case *asl.Parallel:
		if result.Kind() != value.Array {
			return mockNotArray()
		}
		if result.Len() != len(state.Branches) {
			return invalidRequest("Mocked result must contain the same number of items as number of Parallel branches.")
		}
	case *asl.Task:
		if s := answerOf(state.Resource); s != nil && m.validation != anyFields {
			if why := s.check("", result, m.validation == strictFields); why != "" {
				return badMock(why)
			}
		}
	}
	return nil
}

// answerOf is the shape of a resource's answer, nil where it is not known or
// where the state gets something else: what is sent back with a task token.
func answerOf(r asl.Resource) *answerShape {
	if r.Kind != asl.IntegrationResource || r.Pattern == asl.WaitForTaskToken {
		return nil
	}
	return answers[r.Service+":"+r.Action+r.Pattern.String()]
}

// answerShape is what a value in an answer must be, by AWS's service models. The zero
// answerShape takes anything.
type answerShape struct {
	kind     value.Kind              // Absent: any
	least    *float64                // of a number, or of a text's length; nil: none
	most     *float64                // of a number; nil: none
	values   []string                // of a text; nil: any
	required []string                // of an object, in the model's order
	members  map[string]*answerShape // of an object; others are not looked at
	item     *answerShape            // of an array
}

var (
	aText   = &answerShape{kind: value.String} // times are texts, too
	aNumber = &answerShape{kind: value.Number}
	aBool   = &answerShape{kind: value.Bool}
	aBlob   = &answerShape{kind: value.String, least: new(1.0)}
)

func between(least, most float64) *answerShape {
	return &answerShape{kind: value.Number, least: &least, most: &most}
}

func from(least float64) *answerShape {
	return &answerShape{kind: value.Number, least: &least}
}

func oneOf(values ...string) *answerShape { return &answerShape{kind: value.String, values: values} }

func listOf(item *answerShape) *answerShape { return &answerShape{kind: value.Array, item: item} }

func objectWith(members map[string]*answerShape, required ...string) *answerShape {
	return &answerShape{kind: value.Object, members: members, required: required}
}

// answers are the APIs whose answers are checked: the few that mocks are most
// often written for. A mock for any other API passes as it is.
var answers = map[string]*answerShape{
	"aws-sdk:kms:encrypt": objectWith(map[string]*answerShape{
		"CiphertextBlob": aBlob, "KeyId": aText,
	}),
	"aws-sdk:lambda:getFunction": objectWith(map[string]*answerShape{
		"Configuration": objectWith(map[string]*answerShape{
			"FunctionName": aText, "FunctionArn": aText, "Runtime": aText, "Role": aText, "Handler": aText,
			"CodeSize": aNumber, "Description": aText, "Timeout": from(1), "MemorySize": between(128, 10240),
			"LastModified": aText, "CodeSha256": aText, "Version": aText,
			"State": oneOf("Pending", "Active", "Inactive", "Failed"),
		}),
		"Code": objectWith(map[string]*answerShape{"RepositoryType": aText, "Location": aText, "ImageUri": aText}),
	}),
	"aws-sdk:s3:getObject": objectWith(map[string]*answerShape{
		"ContentLength": aNumber, "ContentType": aText, "ETag": aText, "LastModified": aText,
		"VersionId": aText, "DeleteMarker": aBool, "MissingMeta": aNumber, "PartsCount": aNumber,
	}),
	"dynamodb:getItem":    objectWith(map[string]*answerShape{"Item": {kind: value.Object}}),
	"dynamodb:putItem":    objectWith(map[string]*answerShape{"Attributes": {kind: value.Object}}),
	"dynamodb:updateItem": objectWith(map[string]*answerShape{"Attributes": {kind: value.Object}}),
	"dynamodb:deleteItem": objectWith(map[string]*answerShape{"Attributes": {kind: value.Object}}),
	"events:putEvents": objectWith(map[string]*answerShape{
		"FailedEntryCount": aNumber,
		"Entries":          listOf(objectWith(map[string]*answerShape{"EventId": aText, "ErrorCode": aText, "ErrorMessage": aText})),
	}),
	"lambda:invoke": objectWith(map[string]*answerShape{
		"StatusCode": aNumber, "FunctionError": aText, "LogResult": aText, "ExecutedVersion": aText,
	}),
	"sns:publish": objectWith(map[string]*answerShape{"MessageId": aText, "SequenceNumber": aText}),
	"sqs:sendMessage": objectWith(map[string]*answerShape{
		"MD5OfMessageBody": aText, "MD5OfMessageAttributes": aText, "MD5OfMessageSystemAttributes": aText,
		"MessageId": aText, "SequenceNumber": aText,
	}),
	"states:startExecution": objectWith(map[string]*answerShape{"ExecutionArn": aText, "StartDate": aText},
		"ExecutionArn", "StartDate"),
	"states:startExecution.sync":   describedExecution,
	"states:startExecution.sync:2": describedExecution,
}

// describedExecution is what the end of a nested execution is read from. Its
// input and output are text or, in .sync:2, any JSON.
var describedExecution = objectWith(map[string]*answerShape{
	"ExecutionArn": aText, "StateMachineArn": aText, "Name": aText, "StartDate": aText, "StopDate": aText,
	"Status": oneOf("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"),
	"Error":  aText, "Cause": aText,
}, "ExecutionArn", "StateMachineArn", "Status", "StartDate")

// check says what is wrong with v, the field called name, in AWS's words where
// they are recorded; "" where nothing is. What is missing counts only if strict.
func (s *answerShape) check(name string, v value.Value, strict bool) string {
	field := "Field '" + name + "'"
	if s.kind != value.Absent && v.Kind() != s.kind {
		if name == "" {
			return "The result must be " + article[s.kind]
		}
		return field + " must be " + article[s.kind]
	}
	switch s.kind {
	case value.Number:
		switch x := v.Float(); {
		case s.least != nil && x < *s.least:
			return field + " is less than the minimum value"
		case s.most != nil && x > *s.most:
			return field + " exceeds the maximum value"
		}
	case value.String:
		if s.least != nil && float64(length(v.Str())) < *s.least {
			return field + " is smaller than the minimum length"
		}
		if s.values != nil && !slices.Contains(s.values, v.Str()) {
			return field + " is not an expected value"
		}
	case value.Array:
		for _, item := range v.Items() {
			if why := s.item.check(name, item, strict); why != "" {
				return why
			}
		}
	case value.Object:
		return s.checkMembers(v, strict)
	}
	return ""
}

func (s *answerShape) checkMembers(v value.Value, strict bool) string {
	if strict {
		for _, name := range s.required {
			if v.Get(name).IsAbsent() {
				return "Required field '" + name + "' is missing"
			}
		}
	}
	for name, member := range v.Members() {
		if m := s.members[name]; m != nil {
			if why := m.check(name, member, strict); why != "" {
				return why
			}
		}
	}
	return ""
}

var article = map[value.Kind]string{
	value.String: "a string", value.Number: "a number", value.Bool: "a boolean",
	value.Array: "an array", value.Object: "an object",
}
