package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

// far answers for all services and notes what it was asked last.
type far struct {
	mu      sync.Mutex
	request *http.Request
	body    string
	count   int

	status  int
	header  map[string]string
	answer  string
	reached chan struct{} // if set, a slow call is answered when its client has gone
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if f.reached != nil && strings.Contains(string(body), "slow") {
		f.reached <- struct{}{}
		<-r.Context().Done()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.request, f.body, f.count = r, string(body), f.count+1
	w.Header()["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
	for name, v := range f.header {
		w.Header()[http.CanonicalHeaderKey(name)] = []string{v}
	}
	if f.status != 0 {
		w.WriteHeader(f.status)
	}
	io.WriteString(w, f.answer)
}

// open leads AWS's endpoints to a server.
func open(t *testing.T, f *far) (*task.Registry, *Services) {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "very-secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(name, v)
	}
	s := New(Config{Region: "us-east-1", States: f, Ended: func(context.Context, string) error { return nil }})
	t.Cleanup(func() { s.Close() })
	tasks := task.NewRegistry()
	s.Register(tasks)
	return tasks, s
}

func call(resource, input string) *task.Call {
	r, err := asl.ParseResource("arn:aws:states:::" + resource)
	if err != nil {
		panic(err)
	}
	return &task.Call{
		ID: "x:1:1", Resource: r, Input: input,
		MachineARN:   "arn:aws:states:us-east-1:123456789012:stateMachine:m",
		ExecutionARN: "arn:aws:states:us-east-1:123456789012:execution:m:x",
	}
}

func run(t *testing.T, tasks *task.Registry, c *task.Call) (string, *task.Error) {
	t.Helper()
	i := tasks.Find(c.Resource)
	if i == nil {
		t.Fatalf("nothing runs %s", c.Resource.ARN)
	}
	r, err := i.Run(t.Context(), c)
	var failed *task.Error
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v", c.Resource.ARN, err)
	}
	return r.Output, failed
}

func TestSuite(t *testing.T) {
	suite := func(name string, good, bad, slow *task.Call) {
		t.Run(name, func(t *testing.T) {
			tasktest.Run(t, func(t *testing.T) *tasktest.Subject {
				f := &far{answer: `{}`, reached: make(chan struct{}, 1)}
				tasks, s := open(t, f)
				return &tasktest.Subject{
					Integration: struct {
						task.Integration
						io.Closer
					}{tasks.Find(good.Resource), s},
					Good: *good, Bad: []task.Call{*bad, *call(strings.TrimPrefix(good.Resource.ARN, "arn:aws:states:::"), `[]`)},
					Slow: *slow, Reached: f.reached,
				}
			})
		})
	}
	queue := `{"QueueUrl":"http://localhost/q","MessageBody":%q}`
	suite("sqs", call("sqs:sendMessage", fmt.Sprintf(queue, "m")), call("sqs:sendMessage", `{"Nope":1}`),
		call("sqs:sendMessage", fmt.Sprintf(queue, "slow")))
	suite("aws-sdk", call("aws-sdk:dynamodb:query", `{}`), call("aws-sdk:dynamodb:query", `"text"`),
		call("aws-sdk:dynamodb:query", `{"TableName":"slow"}`))
}

func TestRequests(t *testing.T) {
	f := &far{}
	tasks, _ := open(t, f)
	check := func(resource, input, line, body string, header ...string) {
		t.Helper()
		f.answer = "{}"
		if _, err := run(t, tasks, call(resource, input)); err != nil {
			t.Fatalf("%s: %v", resource, err)
		}
		if got := f.request.Method + " " + f.request.RequestURI; got != line {
			t.Errorf("%s: %s, want %s", resource, got, line)
		}
		if diff := cmp.Diff(body, f.body); diff != "" {
			t.Errorf("%s: body %s", resource, diff)
		}
		for i := 0; i < len(header); i += 2 {
			if got := f.request.Header.Get(header[i]); got != header[i+1] {
				t.Errorf("%s: %s is %q, want %q", resource, header[i], got, header[i+1])
			}
		}
		if a := f.request.Header.Get("Authorization"); !strings.Contains(a, "Credential=AKTEST/") {
			t.Errorf("%s: signed as %q", resource, a)
		}
	}
	check("sqs:sendMessage", `{"QueueUrl":"http://localhost/q","MessageBody":{"a":1},"DelaySeconds":null}`,
		"POST /", `{"QueueUrl":"http://localhost/q","MessageBody":"{\"a\":1}"}`,
		"X-Amz-Target", "AmazonSQS.SendMessage", "Content-Type", "application/x-amz-json-1.0")
	check("dynamodb:putItem", `{"TableName":"t","Item":{"id":{"S":"1"}}}`,
		"POST /", `{"TableName":"t","Item":{"id":{"S":"1"}}}`, "X-Amz-Target", "DynamoDB_20120810.PutItem")
	check("aws-sdk:dynamodb:query", `{"TableName":"t"}`, "POST /", `{"TableName":"t"}`, "X-Amz-Target", "DynamoDB_20120810.Query")
	check("aws-sdk:secretsmanager:putSecretValue", `{"SecretId":"s","SecretString":{"a":1},"SecretBinary":"b","ClientRequestToken":"t"}`,
		"POST /", `{"SecretId":"s","SecretString":"{\"a\":1}","SecretBinary":"Yg==","ClientRequestToken":"t"}`,
		"X-Amz-Target", "secretsmanager.PutSecretValue", "Content-Type", "application/x-amz-json-1.1")
	check("aws-sdk:ecs:runTask", `{"TaskDefinition":"d","Tags":[{"Key":"k"}],"Overrides":{"ContainerOverrides":[{"Name":"c"}]},"ClientToken":"t"}`,
		"POST /", `{"taskDefinition":"d","tags":[{"key":"k"}],"overrides":{"containerOverrides":[{"name":"c"}]},"clientToken":"t"}`)
	check("aws-sdk:cloudwatchlogs:createLogGroup", `{"LogGroupName":"g","Tags":{"Key":"v"}}`,
		"POST /", `{"logGroupName":"g","tags":{"Key":"v"}}`)
	check("sns:publish", `{"TopicArn":"t","Message":{"a":1},"MessageAttributes":{"x":{"DataType":"String","StringValue":"é"}}}`,
		"POST /", "Action=Publish&Message=%7B%22a%22%3A1%7D&MessageAttributes.entry.1.Name=x&"+
			"MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=%C3%A9&TopicArn=t&Version=2010-03-31")
	check("aws-sdk:sns:createTopic", `{"Name":"n","Attributes":{"FifoTopic":"true"},"Tags":[{"Key":"k","Value":"v"}]}`,
		"POST /", "Action=CreateTopic&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true&Name=n&"+
			"Tags.member.1.Key=k&Tags.member.1.Value=v&Version=2010-03-31")
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"a b/c+d","VersionId":"v","Range":"bytes=0-1"}`,
		"GET /b/a%20b/c%2Bd?versionId=v", "", "Range", "bytes=0-1",
		"X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	check("aws-sdk:s3:putObject", `{"Bucket":"b","Key":"k","Body":"text","Metadata":{"m":"1"}}`,
		"PUT /b/k", `"text"`, "Content-Type", "text/plain; charset=UTF-8", "X-Amz-Meta-M", "1")
	check("aws-sdk:s3:listObjectsV2", `{"Bucket":"b","Prefix":"p/","MaxKeys":2}`, "GET /b?list-type=2&max-keys=2&prefix=p%2F", "")
	check("aws-sdk:lambda:invoke", `{"FunctionName":"f","Payload":{"a":1},"Qualifier":"q"}`,
		"POST /2015-03-31/functions/f/invocations?Qualifier=q", `{"a":1}`)

	f.answer = `{"FailedEntryCount":0,"Entries":[]}`
	if _, err := run(t, tasks, call("events:putEvents", `{"Entries":[{"Detail":{"a":1},"Resources":["r"]}]}`)); err != nil {
		t.Fatal(err)
	}
	want := `{"Entries":[{"Detail":"{\"a\":1}","Resources":["arn:aws:states:us-east-1:123456789012:stateMachine:m",` +
		`"arn:aws:states:us-east-1:123456789012:execution:m:x","r"]}]}`
	if diff := cmp.Diff(want, f.body); diff != "" {
		t.Errorf("putEvents: %s", diff)
	}
}

func TestResults(t *testing.T) {
	f := &far{}
	tasks, _ := open(t, f)
	check := func(resource, answer, want string, header ...string) {
		t.Helper()
		f.answer, f.header = answer, map[string]string{}
		for i := 0; i < len(header); i += 2 {
			f.header[header[i]] = header[i+1]
		}
		input := `{"Bucket":"b","Key":"k"}`
		switch {
		case strings.HasSuffix(resource, "listBuckets"), !strings.Contains(resource, ":s3:") && !strings.Contains(resource, "lambda"):
			input = `{}`
		case strings.Contains(resource, ":s3:list"):
			input = `{"Bucket":"b"}`
		case strings.Contains(resource, "lambda"):
			input = `{"FunctionName":"f"}`
		}
		got, err := run(t, tasks, call(resource, input))
		if err != nil {
			t.Fatalf("%s: %v", resource, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	const metadata = `"SdkHttpMetadata":{"AllHttpHeaders":{"x-amzn-RequestId":["r"],"Content-Length":["%[1]d"],` +
		`"Date":["Thu, 01 Jan 2026 00:00:00 GMT"],"Content-Type":["text/plain; charset=utf-8"]},"HttpHeaders":{` +
		`"Content-Length":"%[1]d","Content-Type":"text/plain; charset=utf-8","Date":"Thu, 01 Jan 2026 00:00:00 GMT",` +
		`"x-amzn-RequestId":"r"},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"r"}`
	optimized := func(resource, answer, before, after string) {
		t.Helper()
		check(resource, answer, "{"+before+fmt.Sprintf(metadata, len(answer))+after+"}", "X-Amzn-Requestid", "r")
	}
	optimized("dynamodb:getItem", `{"Item":{"b":1,"a":2}}`, `"Item":{"b":1,"a":2},`, ``)
	optimized("dynamodb:putItem", `{}`, ``, ``)
	optimized("sqs:sendMessage", `{"SequenceNumber":"1","MessageId":"m"}`, `"MessageId":"m",`, `,"SequenceNumber":"1"`)

	check("aws-sdk:dynamodb:query", `{"Items":[{"b":{"N":"1"}}],"Count":1}`, `{"Count":1,"Items":[{"b":{"N":"1"}}]}`)
	check("aws-sdk:secretsmanager:getSecretValue", `{"CreatedDate":1.7e9,"SecretBinary":"Yg==","Name":"n"}`,
		`{"CreatedDate":"2023-11-14T22:13:20Z","Name":"n","SecretBinary":"b"}`)
	check("aws-sdk:sfn:describeExecution", `{"executionArn":"a","startDate":1700000000.125,"inputDetails":{"included":true}}`,
		`{"ExecutionArn":"a","InputDetails":{"Included":true},"StartDate":"2023-11-14T22:13:20.125Z"}`)
	check("aws-sdk:sns:listTopics", `<ListTopicsResponse><ListTopicsResult><Topics><member><TopicArn>a</TopicArn></member>`+
		`</Topics></ListTopicsResult></ListTopicsResponse>`, `{"Topics":[{"TopicArn":"a"}]}`)
	check("aws-sdk:sns:getTopicAttributes", `<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes><entry><key>Owner`+
		`</key><value>1</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>`, `{"Attributes":{"Owner":"1"}}`)
	check("aws-sdk:s3:getObject", "hé", `{"ContentLength":3,"ContentType":"binary/octet-stream","ETag":"\"e\"",`+
		`"LastModified":"2026-01-01T00:00:00Z","Metadata":{"a":"1"},"Body":"hé"}`,
		"Content-Type", "binary/octet-stream", "Etag", `"e"`, "Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT", "X-Amz-Meta-A", "1")
	check("aws-sdk:s3:putObject", "", `{"ETag":"\"e\""}`, "Etag", `"e"`)
	check("aws-sdk:s3:listObjectsV2", `<?xml version="1.0"?><ListBucketResult xmlns="x"><Name>b</Name><IsTruncated>false</IsTruncated>`+
		`<KeyCount>1</KeyCount><Contents><Key>k</Key><Size>3</Size></Contents></ListBucketResult>`,
		`{"Contents":[{"Key":"k","Size":3}],"IsTruncated":false,"KeyCount":1,"Name":"b"}`)
	check("aws-sdk:s3:listBuckets", `<R><Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets></R>`,
		`{"Buckets":[{"Name":"a"},{"Name":"b"}]}`)
	check("aws-sdk:lambda:invoke", `{"a":1}`, `{"ExecutedVersion":"1","FunctionError":"Unhandled","Payload":"{\"a\":1}","StatusCode":200}`,
		"X-Amz-Executed-Version", "1", "X-Amz-Function-Error", "Unhandled")
}

func TestErrors(t *testing.T) {
	f := &far{header: map[string]string{"X-Amzn-Requestid": "r"}}
	tasks, _ := open(t, f)
	check := func(resource, input string, status int, answer, name, cause string) {
		t.Helper()
		f.status, f.answer = status, answer
		_, err := run(t, tasks, call(resource, input))
		if err == nil {
			t.Fatalf("%s: no error, want %s", resource, name)
		}
		if diff := cmp.Diff(name+": "+cause, err.Error()); diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	code := func(name string) string { return `{"__type":"` + name + `","message":"m"}` }
	const old = "m (Service: %s; Status Code: 400; Error Code: %s; Request ID: r; Proxy: null)"
	check("dynamodb:getItem", `{}`, 400, code("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"),
		"DynamoDB.ResourceNotFoundException", fmt.Sprintf(old, "AmazonDynamoDBv2", "ResourceNotFoundException"))
	check("dynamodb:getItem", `{}`, 400, code("com.amazon.coral.validate#ValidationException"),
		"DynamoDB.AmazonDynamoDBException", fmt.Sprintf(old, "AmazonDynamoDBv2", "ValidationException"))
	check("states:startExecution", `{"StateMachineArn":"a"}`, 400, code("StateMachineDoesNotExist"),
		"StepFunctions.StateMachineDoesNotExistException", fmt.Sprintf(old, "AWSStepFunctions", "StateMachineDoesNotExist"))
	check("sns:publish", `{"Message":"m"}`, 400, `<ErrorResponse><Error><Code>InvalidParameter</Code><Message>m</Message></Error></ErrorResponse>`,
		"SNS.InvalidParameterException", fmt.Sprintf(old, "AmazonSNS", "InvalidParameter"))
	check("events:putEvents", `{"Entries":[]}`, 200, `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"c"}]}`,
		"EventBridge.FailedEntry", `{"Entries":[{"ErrorCode":"c"}],"FailedEntryCount":1}`)
	check("aws-sdk:dynamodb:putItem", `{}`, 400, code("ValidationException"),
		"DynamoDb.DynamoDbException", "m (Service: DynamoDb, Status Code: 400, Request ID: r)")
	check("aws-sdk:sfn:sendTaskSuccess", `{}`, 400, code("InvalidToken"),
		"Sfn.InvalidTokenException", "m (Service: Sfn, Status Code: 400, Request ID: r)")
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"k"}`, 404, `<Error><Code>NoSuchKey</Code><Message>m</Message></Error>`,
		"S3.NoSuchKeyException", "m (Service: S3, Status Code: 404, Request ID: r)")
	check("aws-sdk:s3:headBucket", `{"Bucket":"b"}`, 404, ``,
		"S3.NoSuchBucketException", "Not Found (Service: S3, Status Code: 404, Request ID: r)")
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"k"}`, 403, `<Error><Code>AccessDenied</Code><Message>m</Message></Error>`,
		"S3.S3Exception", "m (Service: S3, Status Code: 403, Request ID: r)")
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"k","Nope":1}`, 0, ``, "States.Runtime",
		`The Parameters '{"Bucket":"b","Key":"k","Nope":1}' could not be used to start the Task: [The field 'Nope' is not supported by Step Functions]`)

	check("aws-sdk:s3:getObject", `{"Bucket":"","Key":"k"}`, 0, ``, "States.Runtime",
		`The Parameters '{"Bucket":"","Key":"k"}' could not be used to start the Task: [The field 'Bucket' is required but was missing]`)
	check("aws-sdk:s3:getObject", `{"Bucket":"b"}`, 0, ``, "States.Runtime",
		`The Parameters '{"Bucket":"b"}' could not be used to start the Task: [The field 'Key' is required but was missing]`)

	f.header["X-Amzn-Query-Error"] = "AWS.SimpleQueueService.NonExistentQueue;Sender"
	check("sqs:sendMessage", `{"QueueUrl":"http://localhost/q","MessageBody":"m"}`, 400, code("com.amazonaws.sqs#QueueDoesNotExist"),
		"SQS.QueueDoesNotExistException", fmt.Sprintf(old, "AmazonSQS", "AWS.SimpleQueueService.NonExistentQueue"))

	f.header = map[string]string{"X-Amz-Request-Id": "r", "X-Amz-Id-2": "h"}
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"k"}`, 404, `<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>`,
		"S3.NoSuchBucketException", "m (Service: S3, Status Code: 404, Request ID: r, Extended Request ID: h)")
	f.header = nil
	check("aws-sdk:s3:getObject", `{"Bucket":"b","Key":"k"}`, 200, strings.Repeat("x", maxAnswer+1), "States.DataLimitExceeded",
		"The state/task 'aws-sdk:s3' returned a result with a size exceeding the maximum number of bytes service limit.")
}

// A queue's URL comes with a task's input: it does not say where this server
// sends signed requests.
func TestQueueElsewhere(t *testing.T) {
	f := &far{answer: `{}`}
	tasks, _ := open(t, f)
	check := func(url string, sent bool) {
		t.Helper()
		before := f.count
		_, err := run(t, tasks, call("sqs:sendMessage", `{"QueueUrl":"`+url+`","MessageBody":"m"}`))
		if got := f.count > before; got != sent || sent != (err == nil) {
			t.Errorf("%s: sent %v, %v; want %v", url, got, err, sent)
		}
	}
	check("https://sqs.us-east-1.amazonaws.com/123456789012/q", true)
	check("http://localhost:4566/000000000000/q", true)
	check("http://127.0.0.1:9324/000000000000/q", true)
	check("q", true)
	check("http://169.254.169.254/latest", false)
	check("http://sqs.us-east-1.amazonaws.com.example.com/q", false)
	check("http://no-such-queue/", false)
}

func TestStartExecution(t *testing.T) {
	f := &far{answer: `{"executionArn":"arn:aws:states:r:1:execution:m:n","startDate":1700000000.125}`}
	tasks, s := open(t, f)
	c := call("states:startExecution", `{"StateMachineArn":"arn:aws:states:r:1:stateMachine:m:live","Input":{"a":1}}`)
	check := func(want string) {
		t.Helper()
		out, err := run(t, tasks, c)
		v, _ := value.Parse(out)
		if err != nil || v.Get("ExecutionArn").Str() != want || v.Get("StartDate").NumberText() != "1700000000125" {
			t.Errorf("output %s, %v; want %s", out, err, want)
		}
	}
	check("arn:aws:states:r:1:execution:m:n")
	first := f.body
	check("arn:aws:states:r:1:execution:m:n")
	if first != f.body || !strings.Contains(first, `"input":"{\"a\":1}"`) {
		t.Errorf("the same task sent %s and %s", first, f.body)
	}

	// What a call before a crash has started, and that has ended since, is its own.
	taken := &again{}
	s.clients["sfn"] = New(Config{States: taken}).clients["sfn"]
	out, err := run(t, tasks, c)
	if err != nil || taken.described == "" || !strings.Contains(out, taken.described) {
		t.Errorf("output %s, %v; want the execution %s", out, err, taken.described)
	}
	c.Input = `{"StateMachineArn":"arn:aws:states:r:1:stateMachine:m","Name":"mine"}`
	if out, err := run(t, tasks, c); err == nil || *err.Name != "StepFunctions.ExecutionAlreadyExistsException" {
		t.Errorf("output %s, %v; want ExecutionAlreadyExistsException", out, err)
	}
	// A name that was given may be somebody else's: not so after a crash, with the same input.
	c.Again = true
	c.Input = `{"StateMachineArn":"arn:aws:states:r:1:stateMachine:m","Name":"mine","Input":{"a":1}}`
	if out, err := run(t, tasks, c); err != nil || !strings.Contains(out, "execution:m:mine") {
		t.Errorf("output %s, %v; want the execution", out, err)
	}
	c.Input = `{"StateMachineArn":"arn:aws:states:r:1:stateMachine:m","Name":"mine","Input":{"a":2}}`
	if out, err := run(t, tasks, c); err == nil || *err.Name != "StepFunctions.ExecutionAlreadyExistsException" {
		t.Errorf("output %s, %v; want ExecutionAlreadyExistsException", out, err)
	}
}

// again is a server on which every name is taken.
type again struct{ described string }

func (a *again) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ ExecutionArn string }
	json.NewDecoder(r.Body).Decode(&in)
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "DescribeExecution") {
		a.described = in.ExecutionArn
		fmt.Fprintf(w, `{"executionArn":%q,"startDate":1700000000.125,"input":"{\"a\":1}"}`, in.ExecutionArn)
		return
	}
	w.WriteHeader(400)
	io.WriteString(w, `{"__type":"ExecutionAlreadyExists","message":"m"}`)
}

func TestEndOfExecution(t *testing.T) {
	poll := func(pattern, answer string) (string, error) {
		t.Helper()
		s := New(Config{States: &far{answer: answer}, Ended: func(context.Context, string) error { return nil }})
		tasks := task.NewRegistry()
		s.Register(tasks)
		c := call("states:startExecution"+pattern, `{}`)
		r, err := tasks.Poller(c.Resource).Poll(t.Context(), c, `{"ExecutionArn":"x"}`)
		return r.Output, err
	}
	check := func(pattern, status, want string) {
		t.Helper()
		got, err := poll(pattern, `{"executionArn":"x","status":"`+status+`","input":"{\"a\": 1}","output":"2","stopDate":1700000000.5,`+
			`"inputDetails":{"included":true},"redriveCount":0}`)
		var failed *task.Error
		if errors.As(err, &failed) {
			got = failed.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: %s", pattern, status, diff)
		}
	}
	check(".sync", "SUCCEEDED", `{"ExecutionArn":"x","Input":"{\"a\": 1}","InputDetails":{"Included":true},"Output":"2","RedriveCount":0,"Status":"SUCCEEDED","StopDate":1700000000500}`)
	check(".sync:2", "SUCCEEDED", `{"ExecutionArn":"x","Input":{"a":1},"InputDetails":{"Included":true},"Output":2,"RedriveCount":0,"Status":"SUCCEEDED","StopDate":1700000000500}`)
	check(".sync", "ABORTED", `States.TaskFailed: {"ExecutionArn":"x","Input":"{\"a\": 1}","InputDetails":{"Included":true},"Output":"2","RedriveCount":0,"Status":"ABORTED","StopDate":1700000000500}`)
}

// A server that cannot answer now is asked again: the job is not lost.
func TestPollIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := New(Config{
			States: &far{answer: `{"status":"SUCCEEDED"}`},
			Ended: func(context.Context, string) error {
				if asked++; asked < 4 {
					return errors.New("the store does not answer")
				}
				return nil
			},
		})
		c := call("states:startExecution.sync", `{}`)
		r, err := (&executions{s}).Poll(t.Context(), c, `{"ExecutionArn":"x"}`)
		if err != nil || r.Output != `{"Status":"SUCCEEDED"}` || asked != 4 {
			t.Errorf("output %s, %v after %d tries", r.Output, err, asked)
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add("<a><b>1</b><member/></a>")
	f.Add("<E><Error><Code>c</Code></Error></E>")
	f.Add(strings.Repeat("<a>", 200))
	f.Add("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := readXML(text)
		if err != nil {
			return
		}
		for _, action := range []string{"listObjectsV2", "getBucketAcl", "listParts"} {
			call := awsmodel.Find("s3").Actions[action]
			out := root.value(&awsmodel.Member{Shape: call.Output}).JSON()
			if value.Valid(out) != nil {
				t.Errorf("%q gives %q", text, out)
			}
		}
	})
}

// Where AWS itself is called: the host, with what stands in front of it, and what
// the signature is for.
func TestHosts(t *testing.T) {
	s := &script{t: t}
	tasks, _ := scripted(t, s)
	t.Setenv("AWS_ENDPOINT_URL", "")
	f := func(resource, input, url, scope string) {
		t.Helper()
		s.answers = []string{`{}`}
		if _, err := run(t, tasks, call(resource, input)); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
		if got := s.last.URL.String(); got != url {
			t.Errorf("%s: %s, want %s", resource, got, url)
		}
		if a := s.last.Header.Get("Authorization"); scope == "" && a != "" || !strings.Contains(a, scope) {
			t.Errorf("%s: signed as %q, want %s", resource, a, scope)
		}
	}
	f("aws-sdk:s3:headObject", `{"Bucket":"bucket","Key":"a/b"}`, "https://bucket.s3.us-east-1.amazonaws.com/a/b", "/us-east-1/s3/")
	f("aws-sdk:s3:headObject", `{"Bucket":"with.dots","Key":"a"}`, "https://s3.us-east-1.amazonaws.com/with.dots/a", "/us-east-1/s3/")
	f("aws-sdk:s3:listBuckets", `{}`, "https://s3.us-east-1.amazonaws.com/", "/us-east-1/s3/")
	f("aws-sdk:s3control:listJobs", `{"AccountId":"123456789012"}`, "https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/jobs", "/us-east-1/s3/")
	f("aws-sdk:iam:listUsers", `{}`, "https://iam.amazonaws.com", "/us-east-1/iam/")
	f("aws-sdk:networkmanager:listCoreNetworks", `{}`, "https://networkmanager.us-west-2.amazonaws.com/core-networks", "/us-west-2/networkmanager/")
	f("aws-sdk:sesv2:getAccount", `{}`, "https://email.us-east-1.amazonaws.com/v2/email/account", "/us-east-1/ses/")
	f("aws-sdk:cognitoidentity:getId", `{"IdentityPoolId":"i"}`, "https://cognito-identity.us-east-1.amazonaws.com", "")
	f("apigateway:invoke", `{"ApiEndpoint":"abc.execute-api.eu-west-1.amazonaws.com","Method":"GET","Path":"p"}`,
		"https://abc.execute-api.eu-west-1.amazonaws.com/p", "")
}

// S3 may begin to answer before it knows that it will fail.
func TestLateError(t *testing.T) {
	f := &far{answer: `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>m</Message></Error>`}
	tasks, _ := open(t, f)
	_, err := run(t, tasks, call("aws-sdk:s3:copyObject", `{"Bucket":"b","Key":"k","CopySource":"b/c"}`))
	if err == nil || *err.Name != "S3.S3Exception" {
		t.Errorf("failed with %v", err)
	}
}

// Whatever a task is called with, its request is made or refused.
func FuzzParameters(f *testing.F) {
	actions := []struct{ service, action string }{
		{"dynamodb", "putItem"}, {"s3", "putBucketAcl"}, {"s3", "putObject"}, {"ec2", "runInstances"}, {"sns", "publish"}, {"lambda", "createFunction"},
		{"route53", "changeResourceRecordSets"}, {"eventbridgev2", "putEvents"}, {"s3control", "createJob"}, {"iotdataplane", "publish"}, {"rds", "describeDBInstances"},
	}
	f.Add(uint8(0), `{"TableName":"t","Item":{"a":{"L":[{"S":"x"}]}}}`)
	f.Add(uint8(1), `{"Bucket":"b","AccessControlPolicy":{"Grants":[{"Grantee":{"Type":"x"}}]}}`)
	f.Add(uint8(2), `{"Bucket":"..","Key":"/../a","Body":null,"Metadata":{"a\n":"b"}}`)
	f.Add(uint8(3), `{"TagSpecifications":[{"Tags":[]}],"UserData":1}`)
	f.Add(uint8(4), `{"MessageAttributes":{"a":{"BinaryValue":{}}}}`)
	f.Fuzz(func(t *testing.T, n uint8, input string) {
		in, err := value.Parse(input)
		if err != nil || in.Kind() != value.Object {
			return
		}
		a := actions[int(n)%len(actions)]
		s := awsmodel.Find(a.service)
		e := encoder{service: s, call: s.Actions[a.action], token: "t", pathStyle: n > 127}
		r, err := e.request(given(in))
		var bad badParameter
		if err != nil && !errors.As(err, &bad) {
			t.Errorf("%s:%s with %s: %v", a.service, a.action, input, err)
		}
		if err == nil && r.EscapedPath != "" && r.EscapedPath[0] != '/' {
			t.Errorf("%s:%s with %s: the path is %s", a.service, a.action, input, r.EscapedPath)
		}
	})
}

// CBOR is held against the codec of AWS's own SDK.
func TestCBOR(t *testing.T) {
	answer := cbor.Encode(cbor.Map{
		"SubscriberArn": cbor.String("a"), "LastModifiedTime": &cbor.Tag{ID: 1, Value: cbor.Float64(1700000000.5)}, "Unknown": &cbor.Nil{},
		"StartingPosition": cbor.String("é"),
	})
	f := &far{answer: string(answer), header: map[string]string{"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}}
	tasks, _ := open(t, f)
	got, failed := run(t, tasks, call("aws-sdk:eventbridgev2:updateSubscriber", `{"SubscriberArn":"a","Description":"d","BatchConfiguration":{}}`))
	if want := `{"LastModifiedTime":"2023-11-14T22:13:20.500Z","StartingPosition":"é","SubscriberArn":"a"}`; failed != nil || got != want {
		t.Errorf("%s, %v; want %s", got, failed, want)
	}
	if want := "POST /service/AWSEventsV2/operation/UpdateSubscriber"; f.request.Method+" "+f.request.RequestURI != want || f.request.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("%s %s with %v, want %s", f.request.Method, f.request.RequestURI, f.request.Header, want)
	}
	sent, err := cbor.Decode([]byte(f.body))
	want := cbor.Map{"SubscriberArn": cbor.String("a"), "Description": cbor.String("d"), "BatchConfiguration": cbor.Map{}}
	if diff := cmp.Diff(cbor.Value(want), sent); err != nil || diff != "" {
		t.Errorf("sent %v: %s", err, diff)
	}
	f.status, f.answer = 400, string(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.x#ResourceNotFoundException"), "message": cbor.String("m")}))
	_, failed = run(t, tasks, call("aws-sdk:eventbridgev2:deleteSubscriber", `{"SubscriberArn":"a"}`))
	if failed == nil || *failed.Name != "EventBridgeV2.ResourceNotFoundException" {
		t.Errorf("failed with %v", failed)
	}
}

func FuzzCBOR(f *testing.F) {
	f.Add([]byte("\xa1\x61a\xc1\xfb\x41\xd9\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x9f\x9f\x9f"))
	f.Add([]byte("\xbf\x61a\x41\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := readCBOR(b); err == nil && !v.IsAbsent() && value.Valid(v.JSON()) != nil {
			t.Errorf("%x gives %s", b, v.JSON())
		}
	})
}
