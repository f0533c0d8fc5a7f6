package lambda

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// fields are lambda:invoke's parameters.
var fields = []string{"FunctionName", "Payload", "Qualifier", "InvocationType", "ClientContext", "LogType"}

// read takes the parameters of lambda:invoke from a call.
func read(c *task.Call) (*invocation, error) {
	in, err := value.Parse(c.Input)
	if err != nil || in.Kind() != value.Object {
		return nil, awscall.BadParameters(c.Input, "The parameters must be a JSON object")
	}
	if bad := awscall.Check(c.Input, in, fields, "FunctionName", "Qualifier", "InvocationType", "LogType"); bad != nil {
		return nil, bad
	}
	inv := &invocation{
		id:        c.ID,
		resource:  "lambda",
		function:  in.Get("FunctionName").Str(),
		qualifier: in.Get("Qualifier").Str(),
		payload:   payload(in.Get("Payload")),
		mode:      in.Get("InvocationType").Str(),
		logs:      in.Get("LogType").Str(),
	}
	if inv.function == "" {
		return nil, awscall.BadParameters(c.Input, "The field 'FunctionName' is required but was missing")
	}
	switch extra := in.Get("ClientContext"); extra.Kind() {
	case value.Absent, value.Null:
	case value.String:
		inv.context = extra.Str()
	default:
		inv.context = base64.StdEncoding.EncodeToString([]byte(extra.JSON()))
	}
	// What cannot stand in a header would fail in this process, not at the service.
	for name, v := range map[string]string{"InvocationType": inv.mode, "ClientContext": inv.context, "LogType": inv.logs} {
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, awscall.BadParameters(c.Input, "The value of the field '"+name+"' has an invalid format")
		}
	}
	return inv, nil
}

// payload is what a function gets for the parameter Payload: an empty object for
// none or null, and the text itself for a string that holds JSON (both recorded).
func payload(v value.Value) string {
	switch v.Kind() {
	case value.Absent, value.Null:
		return "{}"
	case value.String:
		if text := v.Str(); value.Valid(text) == nil {
			return text
		}
	}
	return v.JSON()
}

// result is the output of lambda:invoke.
func result(inv *invocation, r *awscall.Response) string {
	out := make([]byte, 0, len(r.Body)+1200)
	out = append(out, '{')
	version := r.Header.Get("X-Amz-Executed-Version")
	if version == "" && inv.direct && inv.mode != "Event" {
		version = "$LATEST"
	}
	if version != "" {
		out = appendMember(out, "ExecutedVersion", version)
	}
	// Who asked for the log finds it, empty where the endpoint keeps none.
	if log := r.Header.Get("X-Amz-Log-Result"); log != "" || inv.logs == "Tail" {
		out = appendMember(out, "LogResult", log)
	}
	out = append(out, `"Payload":`...)
	if r.Body == "" {
		out = append(out, `""`...) // of an event that was accepted
	} else {
		out = append(out, payloadOf(r)...)
	}
	out = append(out, ',')
	id := awscall.RequestID(r.Header)
	if id == "" {
		id = uuid.NewString()
	}
	out = awscall.AppendMetadata(out, r, id)
	out = append(out, `,"StatusCode":`...)
	out = strconv.AppendInt(out, int64(r.Status), 10)
	return string(append(out, '}'))
}

func appendMember(out []byte, name, text string) []byte {
	out = value.AppendString(out, name)
	out = append(out, ':')
	out = value.AppendString(out, strings.ToValidUTF8(text, "\uFFFD"))
	return append(out, ',')
}

// failure is the error of a function that failed or a call that was refused, nil
// of one that succeeded.
func failure(inv *invocation, r *awscall.Response) error {
	switch {
	case r.Header.Get("X-Amz-Function-Error") != "":
		return functionError(r.Body)
	case r.OK():
		return nil
	case inv.direct && isErrorPayload(r.Body):
		return functionError(r.Body)
	}
	return refusal(inv, r)
}

// functionError is named by the function. AWS's words for one that has no name
// are from its guide.
func functionError(payload string) error {
	body, err := value.Parse(payload)
	name := body.Get("errorType")
	if err == nil {
		payload = body.JSON() // recorded: without the spaces of the function's runtime
	}
	payload = awscall.Short(payload, maxCause)
	if err != nil || name.Kind() != value.String {
		return task.Fail("Lambda.Unknown", "The cause could not be determined because Lambda did not return "+
			"an error type. Returned payload: "+payload)
	}
	return task.Fail(awscall.Short(name.Str(), 256), payload)
}

func isErrorPayload(text string) bool {
	body, err := value.Parse(text)
	return err == nil && body.Get("errorType").Kind() == value.String
}

// exceptions are those that Invoke is documented to answer with.
var exceptions = map[string]bool{
	"DurableExecutionAlreadyStartedException": true,
	"EC2AccessDeniedException":                true, "EC2ThrottledException": true, "EC2UnexpectedException": true,
	"EFSIOException": true, "EFSMountConnectivityException": true, "EFSMountFailureException": true, "EFSMountTimeoutException": true,
	"ENILimitReachedException": true, "InvalidParameterValueException": true, "InvalidRequestContentException": true,
	"InvalidRuntimeException": true, "InvalidSecurityGroupIDException": true, "InvalidSubnetIDException": true,
	"InvalidZipFileException": true, "KMSAccessDeniedException": true, "KMSDisabledException": true,
	"KMSInvalidStateException": true, "KMSNotFoundException": true,
	"RecursiveInvocationException": true, "RequestTooLargeException": true, "ResourceConflictException": true,
	"ResourceNotFoundException": true, "ResourceNotReadyException": true, "SerializedRequestEntityTooLargeException": true,
	"ServiceException": true, "SnapStartException": true, "SnapStartNotReadyException": true, "SnapStartTimeoutException": true,
	"SubnetIPAddressLimitReachedException": true, "TooManyRequestsException": true, "UnsupportedMediaTypeException": true,
}

// refusal is the error of a call that the service did not carry out. Codes that
// the SDK does not know have the service's general name.
func refusal(inv *invocation, r *awscall.Response) error {
	f := awscall.Refusal(r)
	name := f.Code
	switch {
	case exceptions[name]:
	case r.Status == http.StatusTooManyRequests:
		name = "TooManyRequestsException"
	case r.Status >= 500 && name == "":
		name = "ServiceException"
	case r.Status == http.StatusNotFound && inv.direct:
		name = "ResourceNotFoundException"
	default:
		name = "AWSLambdaException"
	}
	if name == "ResourceNotFoundException" {
		f.Message = latest(inv, f.Message)
	}
	return task.Fail("Lambda."+name, f.CauseV1("AWSLambda"))
}

// latest adds the version to the message about a missing function, which AWS
// names also where none was asked for (recorded).
func latest(inv *invocation, message string) string {
	name, qualifier := split(inv.function)
	if qualifier == "" && inv.qualifier == "" && strings.HasPrefix(message, "Function not found: ") &&
		strings.HasSuffix(message, ":function:"+name) {
		return message + ":$LATEST"
	}
	return message
}
