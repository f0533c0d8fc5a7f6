package awsapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Error is an error of the API: what a client sees.
type Error struct {
	Code    string // AWS's name: what follows "#" in __type
	Message string
	Status  int    // of the HTTP answer
	Reason  string // of a ValidationException; "" for none
	// Resource is the resourceName of ResourceNotFound and TooManyTags.
	Resource string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// append writes the error as the body of an answer.
func (e *Error) append(out []byte) []byte {
	o := newObject(out)
	o.text("__type", e.Code)
	o.text("message", e.Message)
	o.textIf("reason", e.Reason)
	o.textIf("resourceName", e.Resource)
	return o.end()
}

// failed makes an error of the service model. All of them have HTTP status 400
// but for ConflictException (409) and ServiceQuotaExceededException (402).
func failed(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// The errors of the protocol, before an action is known.
var (
	errMethod           = &Error{Code: "UnknownOperationException", Message: "The API takes POST requests only.", Status: http.StatusMethodNotAllowed}
	errUnknownOperation = failed("UnknownOperationException", "The header X-Amz-Target does not name an operation of AWSStepFunctions.")
	errContentType      = &Error{Code: "UnsupportedMediaTypeException", Message: "The Content-Type must be application/x-amz-json-1.0.", Status: http.StatusUnsupportedMediaType}
	errTooLarge         = &Error{Code: "RequestEntityTooLargeException", Message: "The request is larger than this operation takes.", Status: http.StatusRequestEntityTooLarge}
	errBody             = failed("SerializationException", "The request's body could not be read to its end.")
)

// The errors that are not about the request.
var (
	errThrottled   = failed("ThrottlingException", "Rate exceeded")
	errUnavailable = &Error{Code: "ServiceUnavailable", Message: "The request was not finished. Please try again.", Status: http.StatusServiceUnavailable}
	errFull        = &Error{Code: "ServiceUnavailable", Message: "There is no space left to store the request.", Status: http.StatusServiceUnavailable}
	errInternal    = &Error{Code: "InternalFailure", Message: "An internal error occurred. The server's log has more under this request's id.", Status: http.StatusInternalServerError}
)

// serialization refuses a body that is not what the protocol asks for.
func serialization(format string, args ...any) *Error {
	return failed("SerializationException", format, args...)
}

// notYet refuses something that AWS does and Lockstep does not. Every use is a
// feature to come: delete the call when it is there.
func notYet(what string) *Error {
	return failed("ValidationException", "Lockstep does not support %s yet.", what)
}

func invalidRequest(format string, args ...any) *Error {
	return failed("ValidationException", format, args...)
}

// The errors of the service model. Texts are recorded from AWS unless a comment
// says otherwise.

func invalidArn(given string) *Error {
	return failed("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: %s'", given)
}

func invalidArnType(typ string) *Error {
	return failed("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: %s'", typ)
}

// invalidRole's text is not recorded.
func invalidRole(given string) *Error {
	return failed("InvalidArn", "Invalid Arn: 'Invalid Role Arn: %s'", given)
}

// labelledArn's text is not recorded, its reason is the guide's.
func labelledArn() *Error {
	e := invalidRequest("State machine ARNs with a Map Run label are not supported by this API.")
	e.Reason = "API_DOES_NOT_SUPPORT_LABELED_ARNS"
	return e
}

func invalidName(name string) *Error { return failed("InvalidName", "Invalid Name: '%s'", name) }

func machineMissing(arn string) *Error {
	return failed("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", arn)
}

func machineExists(arn string) *Error {
	return failed("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", arn)
}

// machineDeleting's text follows the pattern of the others: not recorded.
func machineDeleting(arn string) *Error {
	return failed("StateMachineDeleting", "State Machine Deleting: '%s'", arn)
}

func machineType() *Error {
	return failed("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
}

// conflict is what stands in the way of a change.
func conflict(format string, args ...any) *Error {
	e := failed("ConflictException", format, args...)
	e.Status = http.StatusConflict
	return e
}

func staleRevision(given, current string) *Error {
	return conflict("Failed to publish the State Machine version for revision %s. The current State Machine revision is %s.", given, current)
}

func versionInUse(aliases []string) *Error {
	return conflict("Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [%s]", strings.Join(aliases, ", "))
}

func aliasExists() *Error {
	return conflict("Failed to create alias because an alias with the same name and a different routing configuration already exists.")
}

// overQuota's text is not recorded.
func overQuota(what string, most int) *Error {
	e := failed("ServiceQuotaExceededException", "The state machine has reached the limit of %d %s.", most, what)
	e.Status = http.StatusPaymentRequired
	return e
}

// notAVersion's text is not recorded.
func notAVersion(arn string) *Error {
	return invalidRequest("A state machine version ARN is required. Received: %s", arn)
}

func invalidRouting(format string, args ...any) *Error {
	e := invalidRequest(format, args...)
	e.Reason = "INVALID_ROUTING_CONFIGURATION"
	return e
}

func executionMissing(arn string) *Error {
	return failed("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", arn)
}

func executionExists(arn string) *Error {
	return failed("ExecutionAlreadyExists", "Execution Already Exists: '%s'", arn)
}

func invalidInput(why string) *Error {
	return failed("InvalidExecutionInput", "Invalid State Machine Execution Input: '%s'", why)
}

// invalidOutput's text follows invalidInput's: not recorded.
func invalidOutput(why string) *Error { return failed("InvalidOutput", "Invalid Output: '%s'", why) }

func invalidToken() *Error { return failed("InvalidToken", "Invalid Token: 'Invalid token'") }

// taskMissing and taskTimedOut: the texts are not recorded.
func taskMissing() *Error {
	return failed("TaskDoesNotExist", "Task Does Not Exist: 'Provided task does not exist'")
}

func taskTimedOut() *Error {
	return failed("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
}

func activityMissing(arn string) *Error {
	return failed("ActivityDoesNotExist", "Activity Does Not Exist: '%s'", arn)
}

func activityExists(arn string) *Error {
	return failed("ActivityAlreadyExists", "Activity Already Exists: '%s'", arn)
}

// tooManyPollers' text is not recorded.
func tooManyPollers() *Error {
	return failed("ActivityWorkerLimitExceeded", "Activity Worker Limit Exceeded: '%d'", maxPollers)
}

func resourceMissing(arn string) *Error {
	e := failed("ResourceNotFound", "Request references a resource that does not exist.")
	e.Resource = arn
	return e
}

// tooManyTags' text is not recorded.
func tooManyTags(arn string) *Error {
	e := failed("TooManyTags", "The resource has too many tags: the limit is %d.", maxTags)
	e.Resource = arn
	return e
}

func invalidLogging(why string) *Error {
	return failed("InvalidLoggingConfiguration", "Invalid Logging Configuration: %s", why)
}

// invalidEncryption's text is not recorded.
func invalidEncryption(why string) *Error {
	return failed("InvalidEncryptionConfiguration", "Invalid Encryption Configuration: '%s'", why)
}

func nothingToUpdate() *Error {
	return failed("MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
}

// nothingToRoute's text is not recorded, its reason is the guide's.
func nothingToRoute() *Error {
	e := invalidRequest("Either the description or the routing configuration must be specified")
	e.Reason = "MISSING_REQUIRED_PARAMETER"
	return e
}

func invalidDefinition(message string) *Error { return failed("InvalidDefinition", "%s", message) }

// The errors of TestState.

func stateMissing() *Error { return invalidRequest("State not found in definition") }

func mockChoice() *Error {
	return invalidRequest("A test mock should have only one of the following fields: [result, errorOutput].")
}

func mockUnsupported(stateType string) *Error {
	return invalidRequest("State type '%s' is not supported when a mock is specified", stateType)
}

func mockNotJSON() *Error  { return invalidRequest("Mocked result must be valid JSON") }
func mockNotArray() *Error { return invalidRequest("Mocked result must be an array.") }

func badMock(why string) *Error {
	return invalidRequest("Mock result schema validation error: %s", why)
}

// mockNeeded's text is not recorded.
func mockNeeded() *Error {
	return invalidRequest("TestState supports Activity tasks and the '.sync' and '.waitForTaskToken' service integration patterns only when a mock is specified.")
}

func notWithMock(what string) *Error {
	return invalidRequest("TestState does not support %s when a mock is specified.", what)
}

func onlyWithMock(what string) *Error {
	return invalidRequest("TestState does not support %s when a mock is not specified.", what)
}

func tooManyFailures() *Error {
	return invalidRequest("Map iteration failure count must be less than or equal to the number of Map iterations")
}

func badContext(why string) *Error {
	return invalidRequest("Invalid Context object provided: %s", why)
}

// badVariables' text is not recorded.
func badVariables() *Error { return invalidRequest("Variables must be a JSON object") }

// constraints joins what breaks the service model's constraints into the one
// error that AWS makes of it.
func constraints(broken []string) *Error {
	noun := "error"
	if len(broken) > 1 {
		noun = "errors"
	}
	return invalidRequest("%s validation %s detected: %s", strconv.Itoa(len(broken)), noun, strings.Join(broken, "; "))
}
