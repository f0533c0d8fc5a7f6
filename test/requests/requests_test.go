// Package requests compares the requests of aws-sdk:… tasks with those that AWS's
// own SDK for Go sends for the same input. It is a module of its own, so that the
// SDK's clients are not in ours.
package requests

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/emrserverless"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/service"
)

// request is what matters of a request.
type request struct {
	Line   string
	Header map[string]string
	Body   any
}

// capture refuses every call and notes it.
type capture struct{ last *request }

func (c *capture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	query := r.URL.Query()
	query.Del("x-id") // a note for logs
	c.last = &request{
		Line:   r.Method + " " + strings.TrimSuffix(r.URL.EscapedPath(), "/") + "?" + query.Encode(),
		Header: headers(r.Header), Body: canonical(r.Header.Get("Content-Type"), body),
	}
	if scope := strings.Split(r.Header.Get("Authorization"), "/"); len(scope) > 3 {
		c.last.Header["signed for"] = scope[2] + " " + scope[3]
	}
	w.WriteHeader(http.StatusBadRequest)
}

// headers are those that say something to the service: not of transport,
// signature or the SDK itself.
func headers(all http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range all {
		if skip := []string{
			"Accept", "Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Content-Length", "User-Agent", "X-Idempotency-Key",
			"X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-User-Agent", "X-Amzn-Query-Mode",
		}; slices.Contains(skip, name) || strings.Contains(name, "Checksum") || name == "Content-Md5" {
			continue
		}
		out[name] = strings.Join(values, ",")
	}
	if t, _, ok := strings.Cut(out["Content-Type"], ";"); ok {
		out["Content-Type"] = t
	}
	return out
}

// canonical is a body without what its form leaves open.
func canonical(contentType string, body []byte) any {
	var v any
	switch {
	case json.Unmarshal(body, &v) == nil:
		return v
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		form, _ := url.ParseQuery(string(body))
		return form
	case bytes.HasPrefix(body, []byte("<")):
		return tree(xml.NewDecoder(bytes.NewReader(body)))
	}
	return string(body)
}

type node struct {
	Name     xml.Name
	Attr     map[string]string
	Text     string
	Children []*node
}

func tree(d *xml.Decoder) *node {
	top := &node{}
	stack := []*node{top}
	for {
		token, err := d.Token()
		if err != nil {
			return top
		}
		at := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			n := &node{Name: t.Name, Attr: map[string]string{}}
			for _, a := range t.Attr {
				if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
					n.Attr[a.Name.Space+a.Name.Local] = a.Value
				}
			}
			at.Children = append(at.Children, n)
			stack = append(stack, n)
		case xml.EndElement:
			slices.SortStableFunc(at.Children, func(a, b *node) int { return strings.Compare(a.Name.Local, b.Name.Local) })
			stack = stack[:len(stack)-1]
		case xml.CharData:
			at.Text += string(t)
		}
	}
}

// byName are the SDK's clients.
func byName(cfg aws.Config) map[string]any {
	return map[string]any{
		"apigateway": apigateway.NewFromConfig(cfg), "autoscaling": autoscaling.NewFromConfig(cfg), "batch": batch.NewFromConfig(cfg),
		"bedrockruntime": bedrockruntime.NewFromConfig(cfg), "cloudformation": cloudformation.NewFromConfig(cfg),
		"cloudfront": cloudfront.NewFromConfig(cfg), "cloudwatchlogs": cloudwatchlogs.NewFromConfig(cfg),
		"dynamodb": dynamodb.NewFromConfig(cfg), "ec2": ec2.NewFromConfig(cfg), "ecs": ecs.NewFromConfig(cfg), "eks": eks.NewFromConfig(cfg),
		"elasticloadbalancingv2": elasticloadbalancingv2.NewFromConfig(cfg), "emrserverless": emrserverless.NewFromConfig(cfg),
		"eventbridge": eventbridge.NewFromConfig(cfg), "glue": glue.NewFromConfig(cfg), "iam": iam.NewFromConfig(cfg), "kms": kms.NewFromConfig(cfg),
		"lambda": lambda.NewFromConfig(cfg), "rds": rds.NewFromConfig(cfg), "route53": route53.NewFromConfig(cfg),
		"s3":        s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
		"s3control": s3control.NewFromConfig(cfg), "scheduler": scheduler.NewFromConfig(cfg), "secretsmanager": secretsmanager.NewFromConfig(cfg),
		"sfn": sfn.NewFromConfig(cfg), "sns": sns.NewFromConfig(cfg), "sqs": sqs.NewFromConfig(cfg), "sts": sts.NewFromConfig(cfg),
	}
}

// call makes a call of the SDK with an input given as JSON.
func call(t *testing.T, client any, action, input string) {
	t.Helper()
	method := reflect.ValueOf(client).MethodByName(strings.ToUpper(action[:1]) + action[1:])
	in := reflect.New(method.Type().In(1).Elem())
	if err := json.Unmarshal([]byte(input), in.Interface()); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	if out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in}); out[1].IsNil() {
		t.Fatalf("%s: no error", action)
	}
}

// withBytes makes an input the SDK's: where a value begins with "bytes:", the
// rest stands for bytes, which JSON has in base64.
var withBytes = strings.NewReplacer(`"bytes:aGk="`, `"aGk="`)

// inTask is the same for a task: the text itself.
var inTask = strings.NewReplacer(`"bytes:aGk="`, `"hi"`)

func TestRequests(t *testing.T) {
	c := &capture{}
	server := httptest.NewServer(c)
	defer server.Close()
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
	} {
		t.Setenv(name, v)
	}
	clients := byName(aws.Config{
		Region: "eu-west-3", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKTEST", "secret", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String()) // whatever stands in front of the host
		}}},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
	ours := service.New(service.Config{Region: "eu-west-3", States: c, Transport: awscall.Transport()})
	defer ours.Close()
	tasks := task.NewRegistry()
	ours.Register(tasks)

	tested := map[string]bool{}
	f := func(name, action, input string) {
		t.Helper()
		t.Run(name+":"+action, func(t *testing.T) {
			tested[name] = true
			c.last = nil
			call(t, clients[name], action, withBytes.Replace(input))
			want := c.last
			c.last = nil
			resource, err := asl.ParseResource("arn:aws:states:::aws-sdk:" + name + ":" + action)
			if err != nil {
				t.Fatal(err)
			}
			_, err = tasks.Find(resource).Run(t.Context(), &task.Call{ID: "t", Resource: resource, Input: inTask.Replace(input)})
			var failed *task.Error
			if err == nil || !errors.As(err, &failed) || c.last == nil || want == nil {
				t.Fatalf("sent %v and %v; %v", want, c.last, err)
			}
			if name == "sfn" { // in this process, unsigned
				delete(want.Header, "signed for")
			}
			if diff := cmp.Diff(want, c.last); diff != "" {
				t.Errorf("the SDK's (-) and ours (+):\n%s", diff)
			}
		})
	}
	// JSON 1.0 and 1.1
	f("dynamodb", "describeTable", `{"TableName":"t"}`)
	f("dynamodb", "createTable", `{"TableName":"t","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":2}}`)
	f("sqs", "sendMessage", `{"QueueUrl":"http://q/1/a","MessageBody":"é\"","DelaySeconds":3,"MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"bytes:aGk="}}}`)
	f("kms", "encrypt", `{"KeyId":"k","Plaintext":"bytes:aGk=","EncryptionContext":{"Key":"v"}}`)
	f("ecs", "runTask", `{"TaskDefinition":"d","Count":1,"ClientToken":"t","Tags":[{"Key":"k","Value":"v"}],"NetworkConfiguration":{"AwsvpcConfiguration":{"Subnets":["s"]}}}`)
	f("cloudwatchlogs", "putLogEvents", `{"LogGroupName":"g","LogStreamName":"s","LogEvents":[{"Message":"m","Timestamp":1700000000000}]}`)
	f("secretsmanager", "putSecretValue", `{"SecretId":"s","SecretBinary":"bytes:aGk=","ClientRequestToken":"t"}`)
	f("sfn", "startExecution", `{"StateMachineArn":"arn:aws:states:eu-west-3:1:stateMachine:m","Input":"{}"}`)
	f("eventbridge", "putEvents", `{"Entries":[{"Detail":"{}","DetailType":"t","Source":"s","Time":"2026-01-02T03:04:05Z"}]}`)
	f("glue", "startJobRun", `{"JobName":"j","Arguments":{"--a":"b"},"Timeout":5}`)
	// REST with JSON
	f("lambda", "invoke", `{"FunctionName":"f:g","Qualifier":"q","InvocationType":"Event","LogType":"Tail"}`)
	f("lambda", "createFunction", `{"FunctionName":"f","Role":"r","Code":{"ZipFile":"bytes:aGk="},"Environment":{"Variables":{"A":"1"}}}`)
	f("lambda", "listFunctions", `{"MaxItems":3,"FunctionVersion":"ALL"}`)
	f("lambda", "tagResource", `{"Resource":"arn:aws:lambda:eu-west-3:1:function:f","Tags":{"a":"b"}}`)
	f("lambda", "untagResource", `{"Resource":"arn:aws:lambda:eu-west-3:1:function:f","TagKeys":["a","b c"]}`)
	f("apigateway", "getResources", `{"RestApiId":"a","Embed":["methods","x"],"Limit":4}`)
	f("apigateway", "putMethod", `{"RestApiId":"a","ResourceId":"r","HttpMethod":"GET","AuthorizationType":"NONE","RequestParameters":{"p":true}}`)
	f("batch", "submitJob", `{"JobName":"j","JobQueue":"q","JobDefinition":"d","ContainerOverrides":{"Environment":[{"Name":"n","Value":"v"}]}}`)
	f("eks", "describeNodegroup", `{"ClusterName":"a b","NodegroupName":"n/1"}`)
	f("eks", "createCluster", `{"Name":"c","RoleArn":"r","ResourcesVpcConfig":{"SubnetIds":["s"]},"ClientRequestToken":"t"}`)
	f("bedrockruntime", "applyGuardrail", `{"GuardrailIdentifier":"g","GuardrailVersion":"1","Source":"INPUT","Content":[]}`)
	f("scheduler", "createSchedule", `{"Name":"s","ScheduleExpression":"rate(1 hour)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"a","RoleArn":"r"},"StartDate":"2026-01-02T03:04:05Z","ClientToken":"t"}`)
	f("emrserverless", "startJobRun", `{"ApplicationId":"a","ClientToken":"t","ExecutionRoleArn":"r"}`)
	f("emrserverless", "listJobRuns", `{"ApplicationId":"a","CreatedAtAfter":"2026-01-02T03:04:05Z","States":["RUNNING","FAILED"]}`)
	// REST with XML
	f("s3", "getObject", `{"Bucket":"b","Key":"a b/c+d é","Range":"bytes=0-1","IfModifiedSince":"2026-01-02T03:04:05Z","ResponseContentType":"a/b"}`)
	f("s3", "listObjectsV2", `{"Bucket":"b","Prefix":"p/","MaxKeys":2,"StartAfter":"x y"}`)
	f("s3", "copyObject", `{"Bucket":"b","Key":"k","CopySource":"c/d","Metadata":{"a":"1"},"MetadataDirective":"REPLACE"}`)
	f("s3", "deleteObjects", `{"Bucket":"b","Delete":{"Objects":[{"Key":"a<"},{"Key":"b"}],"Quiet":true}}`)
	f("s3", "putBucketTagging", `{"Bucket":"b","Tagging":{"TagSet":[{"Key":"k","Value":"v"}]}}`)
	f("s3", "putBucketLifecycleConfiguration", `{"Bucket":"b","LifecycleConfiguration":{"Rules":[{"ID":"i","Status":"Enabled","Filter":{"Prefix":"p"},"Expiration":{"Days":3}}]}}`)
	f("s3", "putBucketAcl", `{"Bucket":"b","AccessControlPolicy":{"Grants":[{"Grantee":{"ID":"i","Type":"CanonicalUser"},"Permission":"READ"}],"Owner":{"ID":"o"}}}`)
	f("s3", "completeMultipartUpload", `{"Bucket":"b","Key":"k","UploadId":"u","MultipartUpload":{"Parts":[{"ETag":"e","PartNumber":1}]}}`)
	f("s3", "createBucket", `{"Bucket":"b","CreateBucketConfiguration":{"LocationConstraint":"eu-west-3"}}`)
	f("s3", "headObject", `{"Bucket":"b","Key":"k"}`)
	f("route53", "changeResourceRecordSets", `{"HostedZoneId":"/hostedzone/Z1","ChangeBatch":{"Changes":[{"Action":"UPSERT","ResourceRecordSet":{"Name":"n","Type":"A","TTL":5,"ResourceRecords":[{"Value":"1.2.3.4"}]}}]}}`)
	f("route53", "listHostedZones", `{"MaxItems":3}`)
	f("cloudfront", "createInvalidation", `{"DistributionId":"d","InvalidationBatch":{"CallerReference":"c","Paths":{"Quantity":1,"Items":["/a"]}}}`)
	f("s3control", "tagResource", `{"AccountId":"123456789012","ResourceArn":"arn:aws:s3:eu-west-3:1:x","Tags":[{"Key":"k","Value":"v"}]}`)
	// Query
	f("sns", "publish", `{"TopicArn":"t","Message":"m","MessageAttributes":{"a":{"DataType":"String","StringValue":"s"},"b":{"DataType":"Binary","BinaryValue":"bytes:aGk="}}}`)
	f("sns", "createTopic", `{"Name":"n","Attributes":{"FifoTopic":"true"},"Tags":[{"Key":"k","Value":"v"}]}`)
	f("sts", "getCallerIdentity", `{}`)
	f("iam", "createRole", `{"RoleName":"r","AssumeRolePolicyDocument":"{}","Tags":[{"Key":"k","Value":"v"}],"MaxSessionDuration":3600}`)
	f("rds", "describeDBInstances", `{"DBInstanceIdentifier":"d","Filters":[{"Name":"n","Values":["a","b"]}],"MaxRecords":20}`)
	f("autoscaling", "describeAutoScalingGroups", `{"AutoScalingGroupNames":["a","b"]}`)
	f("cloudformation", "createStack", `{"StackName":"s","TemplateBody":"{}","Parameters":[{"ParameterKey":"k","ParameterValue":"v"}],"ClientRequestToken":"t"}`)
	f("elasticloadbalancingv2", "createTargetGroup", `{"Name":"n","Port":80,"Protocol":"HTTP","HealthCheckEnabled":true}`)
	// EC2
	f("ec2", "describeInstances", `{"Filters":[{"Name":"n","Values":["a","b"]}],"InstanceIds":["i-1","i-2"],"MaxResults":5}`)
	f("ec2", "runInstances", `{"ImageId":"i","MinCount":1,"MaxCount":2,"ClientToken":"t","TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"k","Value":"v"}]}],"BlockDeviceMappings":[{"DeviceName":"d","Ebs":{"VolumeSize":8,"DeleteOnTermination":true}}],"NetworkInterfaces":[{"DeviceIndex":0,"Groups":["g"]}]}`)
	f("ec2", "getConsoleOutput", `{"InstanceId":"i","Latest":true}`)
	if len(tested) < 20 {
		t.Errorf("only %d services", len(tested))
	}
}
