package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestPageOfDistributedMaps runs the machine of docs/distributed-maps.md: its
// files go in and out through the server's own S3 endpoint.
func TestPageOfDistributedMaps(t *testing.T) {
	page, err := os.ReadFile("../../docs/distributed-maps.md")
	if err != nil {
		t.Fatal(err)
	}
	_, definition, _ := strings.Cut(string(page), "```json\n")
	definition, _, _ = strings.Cut(definition, "```")
	srv := openTest(t, t.TempDir())
	objects := s3.New(s3.Options{
		BaseEndpoint: &srv.url, UsePathStyle: true, Region: "us-east-1",
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
	})
	for _, bucket := range []string{"orders-in", "orders-out"} {
		if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String("orders-in"), Key: sdk.String("orders.csv"), Body: strings.NewReader("id,price\n1,10\n2,20\n")})
	if err != nil {
		t.Fatal(err)
	}
	api := newClient(srv.url)
	var machine struct{ StateMachineARN string }
	if err := api.call(t.Context(), "CreateStateMachine", fields{"name": "each", "roleArn": "arn:aws:iam::123456789012:role/r", "definition": definition}, &machine); err != nil {
		t.Fatal(err)
	}
	var execution struct{ ExecutionARN string }
	if err := api.call(t.Context(), "StartExecution", fields{"stateMachineArn": machine.StateMachineARN}, &execution); err != nil {
		t.Fatal(err)
	}
	var x struct{ Status, Output, Cause string }
	for x.Status = "RUNNING"; x.Status == "RUNNING"; {
		if err := api.call(t.Context(), "DescribeExecution", fields{"executionArn": execution.ExecutionARN}, &x); err != nil {
			t.Fatal(err)
		}
	}
	var result struct {
		ResultWriterDetails struct{ Bucket, Key string }
	}
	if err := json.Unmarshal([]byte(x.Output), &result); err != nil || x.Status != "SUCCEEDED" {
		t.Fatalf("%s %s %s", x.Status, x.Output, x.Cause)
	}
	read := func(key string) string {
		t.Helper()
		out, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &result.ResultWriterDetails.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		text, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var manifest struct {
		ResultFiles struct{ SUCCEEDED []struct{ Key string } }
	}
	if err := json.Unmarshal([]byte(read(result.ResultWriterDetails.Key)), &manifest); err != nil || len(manifest.ResultFiles.SUCCEEDED) != 1 {
		t.Fatalf("%v, %v", manifest, err)
	}
	text := read(manifest.ResultFiles.SUCCEEDED[0].Key)
	for _, price := range []string{"10", "20"} {
		if !strings.Contains(text, `\"price\":\"`+price+`\"`) {
			t.Errorf("no price %s in %s", price, text)
		}
	}
}
