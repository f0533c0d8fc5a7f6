package requests

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/service"
)

// caller runs tasks against a server at a URL.
func caller(t *testing.T, url string) func(resource, input string) string {
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
	} {
		t.Setenv(name, v)
	}
	services := service.New(service.Config{Region: "us-east-1", Transport: awscall.Transport()})
	t.Cleanup(func() { services.Close() })
	tasks := task.NewRegistry()
	services.Register(tasks)
	return func(resource, input string) string {
		t.Helper()
		r, err := asl.ParseResource("arn:aws:states:::" + resource)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tasks.Find(r).Run(t.Context(), &task.Call{ID: "t", Resource: r, Input: input})
		var failed *task.Error
		if errors.As(err, &failed) {
			return *failed.Name
		}
		if err != nil {
			t.Fatalf("%s: %v", resource, err)
		}
		return out.Output
	}
}

// member is a member of a JSON object.
func member(t *testing.T, text, name string) string {
	t.Helper()
	var v map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return string(v[name])
}

// Objects are written, listed, read and deleted in a server that speaks S3.
func TestS3Server(t *testing.T) {
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	defer server.Close()
	call := caller(t, server.URL)
	f := func(resource, input, name, want string) {
		t.Helper()
		got := call(resource, input)
		if strings.HasPrefix(got, "{") && name != "" {
			got = member(t, got, name)
		}
		if diff := cmp.Diff(want, got); want != "*" && diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	f("aws-sdk:s3:createBucket", `{"Bucket":"bucket"}`, "", "*")
	f("aws-sdk:s3:putObject", `{"Bucket":"bucket","Key":"a b/ü+1","Body":{"n":1},"Metadata":{"k":"v"}}`, "", "*")
	f("aws-sdk:s3:putObject", `{"Bucket":"bucket","Key":"c","Body":"text"}`, "ETag", `"\"20cd815523e5806aec29a57282b0d49f\""`)
	f("aws-sdk:s3:getObject", `{"Bucket":"bucket","Key":"a b/ü+1"}`, "Body", `"{\"n\":1}"`)
	f("aws-sdk:s3:headObject", `{"Bucket":"bucket","Key":"a b/ü+1"}`, "Metadata", `{"k":"v"}`)
	f("aws-sdk:s3:copyObject", `{"Bucket":"bucket","Key":"d","CopySource":"bucket/c"}`, "", "*")
	f("aws-sdk:s3:listObjectsV2", `{"Bucket":"bucket","Prefix":"a "}`, "KeyCount", `1`)
	f("aws-sdk:s3:getObject", `{"Bucket":"bucket","Key":"nothing"}`, "", "S3.NoSuchKeyException")
	f("aws-sdk:s3:listObjectsV2", `{"Bucket":"no-such-bucket"}`, "", "S3.NoSuchBucketException")
	f("aws-sdk:s3:deleteObjects", `{"Bucket":"bucket","Delete":{"Objects":[{"Key":"c"},{"Key":"d"},{"Key":"a b/ü+1"}]}}`, "", "*")
	f("aws-sdk:s3:listObjectsV2", `{"Bucket":"bucket"}`, "Contents", "")
	f("aws-sdk:s3:deleteBucket", `{"Bucket":"bucket"}`, "", `{}`)
}

// A table is made, filled, asked and dropped in a server that speaks DynamoDB.
func TestDynamoDBServer(t *testing.T) {
	call := caller(t, dynalite(t))
	f := func(resource, input, name, want string) {
		t.Helper()
		got := call(resource, input)
		if strings.HasPrefix(got, "{") && name != "" {
			got = member(t, got, name)
		}
		if diff := cmp.Diff(want, got); want != "*" && diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	f("aws-sdk:dynamodb:createTable", `{"TableName":"table","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],`+
		`"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`, "", "*")
	f("dynamodb:putItem", `{"TableName":"table","Item":{"id":{"S":"1"},"n":{"N":"5"}}}`, "SdkHttpMetadata", "*")
	f("dynamodb:getItem", `{"TableName":"table","Key":{"id":{"S":"1"}}}`, "Item", `{"id":{"S":"1"},"n":{"N":"5"}}`)
	f("aws-sdk:dynamodb:updateItem", `{"TableName":"table","Key":{"id":{"S":"1"}},"UpdateExpression":"SET n = n + :x",`+
		`"ExpressionAttributeValues":{":x":{"N":"2"}},"ReturnValues":"UPDATED_NEW"}`, "Attributes", `{"n":{"N":"7"}}`)
	f("aws-sdk:dynamodb:query", `{"TableName":"table","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"1"}}}`, "Count", `1`)
	f("aws-sdk:dynamodb:putItem", `{"TableName":"table","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_not_exists(id)"}`, "",
		"DynamoDb.ConditionalCheckFailedException")
	f("dynamodb:getItem", `{"TableName":"nothing","Key":{"id":{"S":"1"}}}`, "", "DynamoDB.ResourceNotFoundException")
	f("aws-sdk:dynamodb:getItem", `{"TableName":"table","Key":{"wrong":{"S":"1"}}}`, "", "DynamoDb.DynamoDbException")
	f("aws-sdk:dynamodb:deleteTable", `{"TableName":"table"}`, "", "*")
}

// dynalite starts a server for the time of the test and returns its URL.
func dynalite(t *testing.T) string {
	if exec.Command("npm", "--version").Run() != nil {
		t.Skip("npm is not installed")
	}
	program := filepath.Join("node_modules", "dynalite", "cli.js")
	if matches, _ := filepath.Glob(filepath.Join("dynalite", program)); matches == nil {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		install.Dir = "dynalite"
		if out, err := install.CombinedOutput(); err != nil {
			t.Skipf("dynalite cannot be installed: %v\n%s", err, out)
		}
	}
	server := exec.CommandContext(t.Context(), "node", program, "--host", "127.0.0.1", "--port", "0", "--createTableMs", "0", "--deleteTableMs", "0")
	server.Dir = "dynalite"
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() }) // t.Context has ended by now, and with it the server
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "listening at: "); ok {
			return strings.Replace(strings.TrimSpace(url), "localhost", "127.0.0.1", 1)
		}
	}
	t.Fatal("dynalite does not say where it is")
	return ""
}
