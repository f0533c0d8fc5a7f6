package awsmodel

import (
	"strings"
	"testing"
)

// Every entry can be read, and says what a call needs.
func TestEveryService(t *testing.T) {
	names := Names()
	if len(names) < 400 {
		t.Fatalf("%d services", len(names))
	}
	actions := 0
	for _, name := range names {
		s := Find(name)
		if s.Name != name || s.Name != strings.ToLower(s.Exception) || s.ID == "" || s.Host == "" || s.SigningName == "" || len(s.Actions) == 0 {
			t.Errorf("%s: incomplete", name)
		}
		switch s.Protocol {
		case JSON:
			if s.Target == "" || s.JSONVersion == "" {
				t.Errorf("%s has no target", name)
			}
		case RESTJSON, RESTXML, Query, EC2, CBOR:
		default:
			t.Errorf("%s has the protocol %q", name, s.Protocol)
		}
		for _, c := range s.Actions {
			actions++
			if c.Method == "" || c.URI == "" || c.Input != nil && c.Input.Kind != Structure || c.Output != nil && c.Output.Kind != Structure {
				t.Errorf("%s:%s: incomplete", name, c.Name)
			}
		}
		for _, s := range s.shapes {
			if (s.Kind == List || s.Kind == Map) && s.Item == nil {
				t.Errorf("%s: a %s of nothing", name, s.Kind)
			}
		}
	}
	t.Logf("%d services, %d actions", len(names), actions)
}

// Names are those of AWS's SDK for Java, as Step Functions' guide lists them.
func TestNames(t *testing.T) {
	f := func(service, exception, id string) {
		t.Helper()
		s := Find(service)
		if s == nil || s.Exception != exception || s.ID != id {
			t.Errorf("%s: %v, want %s and %s", service, s, exception, id)
		}
	}
	f("dynamodb", "DynamoDb", "DYNAMODB")
	f("sfn", "Sfn", "SFN")
	f("cognitoidentityprovider", "CognitoIdentityProvider", "COGNITO_IDENTITY_PROVIDER")
	f("acmpca", "AcmPca", "ACM_PCA")
	f("applicationdiscovery", "ApplicationDiscovery", "APPLICATION_DISCOVERY_SERVICE")
	f("iotwireless", "IotWireless", "IOT_WIRELESS")
	f("iotsecuretunneling", "IoTSecureTunneling", "IOTSECURETUNNELING")
	f("sesv2", "SesV2", "SESV2")
	f("fsx", "FSx", "FSX")
	f("xray", "XRay", "XRAY")
	f("config", "Config", "CONFIG_SERVICE")
	f("mturk", "MTurk", "MTURK")
}

func TestErrors(t *testing.T) {
	f := func(service, code, class string) {
		t.Helper()
		if got := Find(service).Errors[code]; got != class {
			t.Errorf("%s: %s is %q, want %q", service, code, got, class)
		}
	}
	f("s3", "NoSuchKey", "NoSuchKeyException")
	f("sfn", "InvalidToken", "InvalidTokenException")
	f("rds", "DBInstanceNotFound", "DbInstanceNotFoundException")
	f("dynamodb", "ValidationException", "")
	f("kms", "KMSInvalidStateException", "KmsInvalidStateException")
}

func TestLacks(t *testing.T) {
	f := func(service, action string, want bool) {
		t.Helper()
		if got := Lacks(service, action); got != want {
			t.Errorf("%s:%s: %v, want %v", service, action, got, want)
		}
	}
	f("dynamodb", "putItem", false)
	f("dynamodb", "PutItem", true)
	f("dynamodb", "putThing", true)
	f("bedrockruntime", "converse", false)
	f("bedrockruntime", "converseStream", true) // a stream
	f("kinesis", "subscribeToShard", true)
	f("s3", "selectObjectContent", true)
	f("lambda", "invokeAsync", true) // the guide says so
	f("nobody", "anything", false)
}

// What goes over the wire, in the four ways in which models say it.
func TestShapes(t *testing.T) {
	s3 := Find("s3").Actions["getObject"]
	if m := s3.Input.Member("Range"); m.Place != InHeader || m.Wire != "Range" {
		t.Errorf("s3 Range: %+v", m)
	}
	if m := s3.Output.Payload(); m == nil || m.Name != "Body" || !m.Streams {
		t.Errorf("s3 Body: %+v", m)
	}
	if m := Find("ec2").Actions["describeInstances"].Input.Member("Filters"); m.Wire != "Filter" {
		t.Errorf("ec2 Filters: %+v", m)
	}
	if m := Find("ecs").Actions["runTask"].Input.Member("TaskDefinition"); m.Wire != "taskDefinition" {
		t.Errorf("ecs TaskDefinition: %+v", m)
	}
}

func BenchmarkFind(b *testing.B) {
	f := entries()["ec2"].file
	for b.Loop() {
		if _, err := read(f); err != nil {
			b.Fatal(err)
		}
	}
}
