package service

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// action is an action of an integration that Step Functions has made for a
// service. Its errors have the words of AWS's older SDK.
type action struct {
	service string // as in aws-sdk:…
	prefix  string // of its errors: "SQS"
	name    string // of the service in causes: "AmazonSQS"
	errors  string // the codes that have an exception of their own
	general string // the exception of the others

	fields []string // the parameters; nil: those of the service
	text   []string // those of them that must be strings
	// prepare makes parameters what the service takes; check looks at the answer.
	prepare func(*Services, *task.Call, value.Value) (value.Value, error)
	check   func(value.Value) *task.Error
}

var (
	sqs = action{
		service: "sqs", prefix: "SQS", name: "AmazonSQS", general: "AmazonSQSException",
		errors: "BatchEntryIdsNotDistinct BatchRequestTooLong EmptyBatchRequest InvalidAddress InvalidAttributeName " +
			"InvalidAttributeValue InvalidBatchEntryId InvalidIdFormat InvalidMessageContents InvalidSecurity " +
			"KmsAccessDenied KmsDisabled KmsInvalidKeyUsage KmsInvalidState KmsNotFound KmsOptInRequired KmsThrottled " +
			"OverLimit QueueDeletedRecently QueueDoesNotExist QueueNameExists RequestThrottled ResourceNotFoundException " +
			"TooManyEntriesInBatchRequest UnsupportedOperation",
	}
	sns = action{
		service: "sns", prefix: "SNS", name: "AmazonSNS", general: "AmazonSNSException",
		errors: "AuthorizationError EndpointDisabled InternalError InvalidParameter InvalidParameterValue InvalidSecurity " +
			"KMSAccessDenied KMSDisabled KMSInvalidState KMSNotFound KMSOptInRequired KMSThrottling NotFound " +
			"PlatformApplicationDisabled Throttled ValidationException",
	}
	dynamodb = action{
		service: "dynamodb", prefix: "DynamoDB", name: "AmazonDynamoDBv2", general: "AmazonDynamoDBException",
		errors: "ConditionalCheckFailedException InternalServerError ItemCollectionSizeLimitExceededException " +
			"LimitExceededException ProvisionedThroughputExceededException ReplicatedWriteConflictException " +
			"RequestLimitExceeded ResourceInUseException ResourceNotFoundException TransactionConflictException",
	}
	events = action{
		service: "eventbridge", prefix: "EventBridge", name: "AmazonEventBridge", general: "AmazonEventBridgeException",
		errors: "InternalException",
	}
)

// optimized are the integrations of this file by their resource.
var optimized = map[string]*action{
	"sqs:sendMessage": sqs.taking([]string{"QueueUrl", "DelaySeconds", "MessageAttributes", "MessageBody",
		"MessageDeduplicationId", "MessageGroupId"}, toQueue, nil, "QueueUrl", "MessageDeduplicationId", "MessageGroupId"),
	"sns:publish": sns.taking([]string{"TopicArn", "TargetArn", "PhoneNumber", "Message", "MessageAttributes",
		"MessageDeduplicationId", "MessageGroupId", "MessageStructure", "Subject"}, nil, nil,
		"TopicArn", "TargetArn", "PhoneNumber", "MessageDeduplicationId", "MessageGroupId", "MessageStructure", "Subject"),
	"dynamodb:getItem":    dynamodb.taking(nil, nil, nil, "TableName"),
	"dynamodb:putItem":    dynamodb.taking(nil, nil, nil, "TableName"),
	"dynamodb:updateItem": dynamodb.taking(nil, nil, nil, "TableName"),
	"dynamodb:deleteItem": dynamodb.taking(nil, nil, nil, "TableName"),
	"events:putEvents":    events.taking([]string{"Entries", "EndpointId"}, fromExecution, allAccepted),
}

func (a action) taking(fields []string, prepare func(*Services, *task.Call, value.Value) (value.Value, error),
	check func(value.Value) *task.Error, text ...string,
) *action {
	a.fields, a.prepare, a.check, a.text = fields, prepare, check, text
	return &a
}

// integration runs the tasks of an action.
type integration struct {
	services *Services
	action   *action
}

// Run makes the call. The result is the service's answer and what AWS adds to
// it; errors are those of AWS's older SDK: SQS.AmazonSQSException.
func (i *integration) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	a := i.action
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	if bad := a.verify(c.Input, given(in)); bad != nil {
		return task.Result{}, bad
	}
	in = given(in)
	if a.prepare != nil {
		if in, err = a.prepare(i.services, c, in); err != nil {
			return task.Result{}, err
		}
	}
	model := awsmodel.Find(a.service)
	call := model.Actions[c.Resource.Action]
	r, err := i.services.do(ctx, &encoder{service: model, call: call, token: c.ID, asWire: true}, c, in, a.prefix,
		func(r *awscall.Response) *task.Error {
			return a.refused(failure(model, r), r.Header.Get("X-Amzn-Query-Error"))
		})
	if err != nil {
		return task.Result{}, err
	}
	d := decoder{service: model, call: call, asWire: true}
	out := value.ObjectOf(d.result(r))
	if a.check != nil {
		if failed := a.check(out); failed != nil {
			return task.Result{}, failed
		}
	}
	return task.Result{Output: withMetadata(sorted(out), r)}, nil
}

func (a *action) verify(input string, in value.Value) *task.Error {
	fields := a.fields
	if fields == nil { // the service itself says what it does not know
		for key := range in.Members() {
			fields = append(fields, key)
		}
	}
	return awscall.Check(input, in, fields, a.text...)
}

// refused names an error. Where a service has changed its protocol, compatible is
// what it says for clients of the one before: "<code>;Sender".
func (a *action) refused(f awscall.Failure, compatible string) *task.Error {
	name := a.general
	for _, code := range strings.Fields(a.errors) {
		if code == f.Code {
			name = exception(code)
		}
	}
	if code, _, _ := strings.Cut(compatible, ";"); code != "" {
		f.Code = awscall.Short(code, 128)
	}
	return task.Fail(a.prefix+"."+name, f.CauseV1(a.name))
}

// toQueue writes the message as text. AWS sends it to where the queue's URL says;
// this server only to where it has been told that SQS is, but a URL that leads
// nowhere fails as it does on AWS (recorded).
func toQueue(s *Services, _ *task.Call, in value.Value) (value.Value, error) {
	if v := in.Get("MessageBody"); !v.IsAbsent() {
		in = in.With("MessageBody", value.Str(text(v)))
	}
	u, err := url.Parse(in.Get("QueueUrl").Str())
	if err != nil || u.Hostname() == "" {
		return in, nil // a name, or what the service will refuse
	}
	if at, err := s.client(awsmodel.Find("sqs")).Endpoint(); err == nil && (u.Hostname() == at.Hostname() || isAnywhere(u.Hostname())) {
		return in, nil
	}
	return in, task.Fail("SQS.SdkClientException", "Unable to execute HTTP request: "+u.Hostname()+": Name or service not known")
}

// isAnywhere reports whether a queue's host is one that AWS or an emulator gives
// to queues wherever the emulator's endpoint is.
func isAnywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback() || strings.HasSuffix(host, ".amazonaws.com") ||
		strings.HasSuffix(host, ".amazonaws.com.cn") || strings.HasSuffix(host, "localhost.localstack.cloud") ||
		strings.HasSuffix(host, ".localhost")
}

// fromExecution writes details as text, and has each entry name the machine and
// the execution that it comes from (recorded).
func fromExecution(_ *Services, c *task.Call, in value.Value) (value.Value, error) {
	entries := in.Get("Entries")
	if entries.Kind() != value.Array {
		return in, nil
	}
	out := make([]value.Value, 0, entries.Len())
	for _, e := range entries.Items() {
		if e.Kind() != value.Object {
			return in, awscall.BadParameters(c.Input, "The value for the field 'Entries' must be an ARRAY of objects")
		}
		if d := e.Get("Detail"); !d.IsAbsent() {
			e = e.With("Detail", value.Str(text(d)))
		}
		resources := []value.Value{value.Str(c.MachineARN), value.Str(c.ExecutionARN)}
		for _, r := range e.Get("Resources").Items() {
			resources = append(resources, r)
		}
		out = append(out, e.With("Resources", value.ArrayOf(resources)))
	}
	return in.With("Entries", value.ArrayOf(out)), nil
}

// allAccepted fails where a bus has not taken every event (recorded).
func allAccepted(out value.Value) *task.Error {
	if n, ok := out.Get("FailedEntryCount").Int64(); ok && n == 0 {
		return nil
	}
	return task.Fail("EventBridge.FailedEntry", value.ObjectOf(sorted(out)).JSON())
}
