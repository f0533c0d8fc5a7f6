package requests

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Admiral-Piett/goaws/app/models"
	"github.com/Admiral-Piett/goaws/app/router"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

// State machines on the binary call servers that are not AWS's: SQS (JSON) and SNS
// (query), DynamoDB (JSON) and S3 (REST with XML), the last one another Lockstep.
// What goes in comes out by the other integration.
func TestMachinesCallServers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lockstep")
	build := exec.Command("go", "build", "-o", program, "./cmd/lockstep")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	messages := goaws(t)
	buckets := dev(t, program)
	env := []string{"AWS_ENDPOINT_URL_SQS=" + messages, "AWS_ENDPOINT_URL_SNS=" + messages, "AWS_ENDPOINT_URL_S3=" + buckets}

	t.Run("messages", func(t *testing.T) {
		run := runner(t, dev(t, program, env...))
		f := func(input, want, definition string) {
			t.Helper()
			if diff := cmp.Diff(want, run(definition, input)); diff != "" {
				t.Error(diff)
			}
		}
		f(`{"n":1.50}`, `{"sent":32,"got":{"n":1.50},"left":0}`, machine("Make", `
			"Make":    {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:createQueue","Arguments":{"QueueName":"orders"},
			            "Assign":{"in":"{% $states.input %}","url":"{% $states.result.QueueUrl %}"},"Next":"Send"},
			"Send":    {"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Arguments":{"QueueUrl":"{% $url %}","MessageBody":"{% $in %}"},
			            "Assign":{"sent":"{% $length($states.result.MD5OfMessageBody) %}"},"Next":"Receive"},
			"Receive": {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:receiveMessage","Arguments":{"QueueUrl":"{% $url %}","MaxNumberOfMessages":10},
			            "Assign":{"m":"{% $states.result.Messages[0] %}"},"Next":"Delete"},
			"Delete":  {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:deleteMessage","Arguments":{"QueueUrl":"{% $url %}","ReceiptHandle":"{% $m.ReceiptHandle %}"},"Next":"Again"},
			"Again":   {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:receiveMessage","Arguments":{"QueueUrl":"{% $url %}"},
			            "Output":{"sent":"{% $sent %}","got":"{% $parse($m.Body) %}","left":"{% $count($states.result.Messages) %}"},"End":true}`))

		f(`{}`, `"{\"hello\":\"all\"}"`, machine("Topic", `
			"Topic":   {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sns:createTopic","Arguments":{"Name":"news"},"Assign":{"topic":"{% $states.result.TopicArn %}"},"Next":"Queue"},
			"Queue":   {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:createQueue","Arguments":{"QueueName":"readers"},"Assign":{"url":"{% $states.result.QueueUrl %}"},"Next":"Arn"},
			"Arn":     {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:getQueueAttributes","Arguments":{"QueueUrl":"{% $url %}","AttributeNames":["QueueArn"]},
			            "Assign":{"arn":"{% $states.result.Attributes.QueueArn %}"},"Next":"Follow"},
			"Follow":  {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sns:subscribe","Arguments":{"TopicArn":"{% $topic %}","Protocol":"sqs","Endpoint":"{% $arn %}","Attributes":{"RawMessageDelivery":"true"}},"Next":"Publish"},
			"Publish": {"Type":"Task","Resource":"arn:aws:states:::sns:publish","Arguments":{"TopicArn":"{% $topic %}","Message":{"hello":"all"}},"Next":"Read"},
			"Read":    {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:receiveMessage","Arguments":{"QueueUrl":"{% $url %}","WaitTimeSeconds":5},
			            "Output":"{% $states.result.Messages[0].Body %}","End":true}`))

		// Where AWS has a type, goaws has a code that no model of SQS knows.
		f(`{}`, `"SQS.AmazonSQSException"`, machine("Send", `
			"Send": {"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Arguments":{"QueueUrl":"`+messages+`/queue/nobodys","MessageBody":"m"},
			         "Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"Say","Output":"{% $states.errorOutput.Error %}"}],"End":true},
			"Say":  {"Type":"Succeed"}`))

		f(`{"rows":[1,2]}`, `{"etag":34,"body":"{\"rows\":[1,2]}","keys":["a b/ü"]}`, machine("Bucket", `
			"Bucket": {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:createBucket","Arguments":{"Bucket":"things"},"Assign":{"in":"{% $states.input %}"},"Next":"Put"},
			"Put":    {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Arguments":{"Bucket":"things","Key":"a b/ü","Body":"{% $in %}"},"Assign":{"etag":"{% $length($states.result.ETag) %}"},"Next":"Get"},
			"Get":    {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Arguments":{"Bucket":"things","Key":"a b/ü"},"Assign":{"body":"{% $states.result.Body %}"},"Next":"List"},
			"List":   {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:listObjectsV2","Arguments":{"Bucket":"things"},
			           "Output":{"etag":"{% $etag %}","body":"{% $body %}","keys":"{% [$states.result.Contents.Key] %}"},"End":true}`))
	})

	t.Run("tables", func(t *testing.T) {
		run := runner(t, dev(t, program, append(env, "AWS_ENDPOINT_URL_DYNAMODB="+dynalite(t))...))
		got := run(machine("Table", `
			"Table":  {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:createTable","Next":"Put","Assign":{"in":"{% $states.input %}"},"Arguments":{"TableName":"orders",
			           "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}},
			"Put":    {"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Next":"Update","Arguments":{"TableName":"orders","Item":{"id":{"S":"{% $in.id %}"},"n":{"N":"5"}}}},
			"Update": {"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Next":"Get","Arguments":{"TableName":"orders","Key":{"id":{"S":"{% $in.id %}"}},
			           "UpdateExpression":"SET n = n + :x","ExpressionAttributeValues":{":x":{"N":"2"}}}},
			"Get":    {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:getItem","Next":"Query","Arguments":{"TableName":"orders","Key":{"id":{"S":"{% $in.id %}"}}},
			           "Assign":{"item":"{% $states.result.Item %}"}},
			"Query":  {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Next":"Once","Arguments":{"TableName":"orders","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"{% $in.id %}"}}},
			           "Assign":{"count":"{% $states.result.Count %}"}},
			"Once":   {"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:putItem","End":true,"Arguments":{"TableName":"orders","Item":{"id":{"S":"{% $in.id %}"}},"ConditionExpression":"attribute_not_exists(id)"},
			           "Catch":[{"ErrorEquals":["DynamoDb.ConditionalCheckFailedException"],"Next":"Say","Output":{"item":"{% $item %}","count":"{% $count %}"}}]},
			"Say":    {"Type":"Succeed"}`), `{"id":"o-1"}`)
		if diff := cmp.Diff(`{"item":{"id":{"S":"o-1"},"n":{"N":"7"}},"count":1}`, got); diff != "" {
			t.Error(diff)
		}
	})
}

func machine(start, states string) string {
	return `{"QueryLanguage":"JSONata","StartAt":"` + start + `","States":{` + states + `}}`
}

// goaws is a server that speaks SQS and SNS, for the time of the test.
func goaws(t *testing.T) string {
	logrus.SetOutput(io.Discard)
	server := httptest.NewServer(router.New())
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	models.CurrentEnvironment = models.Environment{Host: u.Hostname(), Port: u.Port(), AccountID: "123456789012",
		QueueAttributeDefaults: models.EnvQueueAttributes{VisibilityTimeout: 30, MaximumMessageSize: 262144, MessageRetentionPeriod: 345600}}
	return server.URL
}

// dev starts the binary for the time of the test and returns where it is.
func dev(t *testing.T, program string, env ...string) string {
	data := t.TempDir()
	server := exec.Command(program, "dev", "--listen", "127.0.0.1:0", "--data", data)
	server.Env = append(os.Environ(), append([]string{
		"AWS_ACCESS_KEY_ID=AKTEST", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_ENDPOINT_URL=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
	}, env...)...)
	var out strings.Builder
	server.Stdout, server.Stderr = &out, &out
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("the server says:\n%s", out.String())
		}
	})
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(data, "lockstep.url"))
		at := strings.TrimSpace(string(text))
		if at == "" {
			continue
		}
		if res, err := http.Get(at + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return at
			}
		}
	}
	t.Fatal("the server does not become ready")
	return ""
}

// runner runs machines at a server, and returns their output.
func runner(t *testing.T, at string) func(definition, input string) string {
	client := sfn.New(sfn.Options{Region: "us-east-1", BaseEndpoint: &at, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return func(definition, input string) string {
		t.Helper()
		made, err := client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String(strings.ReplaceAll(t.Name(), "/", "-") + time.Now().Format("150405.000000000")), Definition: &definition, RoleArn: aws.String("arn:aws:iam::123456789012:role/r"),
		})
		if err != nil {
			t.Fatal(err)
		}
		begun, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: made.StateMachineArn, Input: &input})
		if err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
			x, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: begun.ExecutionArn})
			switch {
			case err != nil:
				t.Fatal(err)
			case x.Status == types.ExecutionStatusSucceeded:
				return *x.Output
			case x.Status != types.ExecutionStatusRunning:
				why, _ := json.Marshal(map[string]*string{"error": x.Error, "cause": x.Cause})
				return string(why)
			}
		}
		t.Fatal("an execution has not ended")
		return ""
	}
}
