package service

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// sdk runs the tasks of aws-sdk:<name>, as the service's model describes them.
type sdk struct {
	services *Services
	name     string
}

// Run makes the call. The result has the members of the service's answer alone,
// errors are those of AWS's newer SDK: DynamoDb.ResourceNotFoundException.
func (i *sdk) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	service := awsmodel.Find(i.name)
	action := service.Actions[c.Resource.Action]
	if action == nil { // from before a definition's actions were checked
		return task.Result{}, task.Unsupported(c.Resource)
	}
	e := encoder{service: service, call: action, token: c.ID}
	r, err := i.services.do(ctx, &e, c, given(in), service.Exception, func(r *awscall.Response) *task.Error {
		return refused(service, action, given(in), r)
	})
	if err != nil {
		return task.Result{}, err
	}
	d := decoder{service: service, call: action}
	return task.Result{Output: value.ObjectOf(d.result(r)).JSON()}, nil
}

// do makes the call that e describes.
func (s *Services) do(ctx context.Context, e *encoder, c *task.Call, in value.Value, prefix string, refused refusal) (*awscall.Response, error) {
	client := s.client(e.service)
	e.pathStyle = client.Elsewhere()
	r, err := e.request(in)
	if err != nil {
		return nil, describe(c.Input, err)
	}
	send := func(client *awscall.Client) (*awscall.Response, error) {
		return s.send(ctx, client, r, prefix, c.Resource.Service, refused)
	}
	if e.service.Name == "sfn" {
		if arn := statesARN(e.call.Input, in); arn != "" {
			return s.states(ctx, e.call.Name, arn, send)
		}
		return s.statesFor(caller(c), r, send)
	}
	answer, err := send(client)
	if err == nil && e.service.Name == "s3" && failed(e.call, answer) {
		return nil, refused(answer)
	}
	return answer, err
}

// refused is an error in the words of AWS's newer SDK.
func refused(s *awsmodel.Service, call *awsmodel.Call, in value.Value, r *awscall.Response) *task.Error {
	f := failure(s, r)
	if f.Code == "" && s.Name == "s3" && call.Method == http.MethodHead && r.Status == http.StatusNotFound {
		f.Code = "NoSuchKey" // an answer to HEAD has no body to say it
		if in.Get("Key").IsAbsent() {
			f.Code = "NoSuchBucket"
		}
	}
	class := s.Errors[f.Code]
	if class == "" || s.Name == "s3" && s3General[f.Code] {
		class = s.Exception + "Exception"
	}
	cause := f.CauseV2(s.Exception)
	if id := r.Header.Get("X-Amz-Id-2"); id != "" && s.Name == "s3" {
		cause = strings.TrimSuffix(cause, ")") + ", Extended Request ID: " + awscall.Short(id, 256) + ")"
	}
	return task.Fail(s.Exception+"."+class, cause)
}

// s3General are codes that S3's model has come to define after AWS's answers
// were recorded: S3.S3Exception is what they say.
var s3General = map[string]bool{"AccessDenied": true}

// failure reads what a service says when it refuses a call.
func failure(s *awsmodel.Service, r *awscall.Response) awscall.Failure {
	switch s.Protocol {
	case awsmodel.RESTXML, awsmodel.Query, awsmodel.EC2:
		return xmlFailure(r)
	case awsmodel.CBOR:
		if v, err := readCBOR([]byte(r.Body)); err == nil {
			r = &awscall.Response{Status: r.Status, Header: r.Header, Body: v.JSON()}
		}
	}
	return awscall.Refusal(r)
}

// xmlFailure reads <ErrorResponse><Error>…, <Response><Errors><Error>… as EC2 has
// it, and <Error>… as S3 does.
func xmlFailure(r *awscall.Response) awscall.Failure {
	root, err := readXML(r.Body)
	if err != nil {
		return awscall.Refusal(r)
	}
	at := root
	if e := root.child("Errors").child("Error"); e != nil {
		at = e
	} else if e := root.child("Error"); e != nil {
		at = e
	}
	f := awscall.Failure{
		Status: r.Status, RequestID: awscall.RequestID(r.Header),
		Code: awscall.Short(at.child("Code").content(), 128), Message: awscall.Short(at.child("Message").content(), 2048),
	}
	for _, name := range []string{"RequestId", "RequestID"} {
		if f.RequestID == "" {
			f.RequestID = root.child(name).content()
		}
	}
	if f.Message == "" {
		f.Message = http.StatusText(r.Status)
	}
	return f
}

func capital(name string) string {
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// exception is an error code as AWS's SDKs name its class.
func exception(code string) string { return strings.TrimSuffix(code, "Exception") + "Exception" }

// failed reports whether an answer of success is none: S3 begins to answer some
// calls before it knows how they end.
func failed(call *awsmodel.Call, r *awscall.Response) bool {
	return slices.Contains([]string{"CopyObject", "CompleteMultipartUpload", "UploadPartCopy"}, call.Name) && strings.Contains(r.Body, "<Error>")
}
