package awscall

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

var lambda = Service{ID: "LAMBDA", Host: "lambda", SigningName: "lambda"}

// clean makes the AWS configuration that of pairs alone.
func clean(t *testing.T, pairs ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

func TestEndpoint(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte("[default]\nregion = eu-west-3\nendpoint_url = http://profile:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(region, want string, pairs ...string) {
		t.Helper()
		clean(t, pairs...)
		s, err := New(lambda, region, Transport()).load()
		got := ""
		if err == nil {
			got = s.endpoint.String() + " " + s.region
		} else {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("with %q: %s, want %s", pairs, got, want)
		}
	}
	f("eu-west-1", "https://lambda.eu-west-1.amazonaws.com eu-west-1", "AWS_REGION", "us-west-2")
	f("", "https://lambda.us-west-2.amazonaws.com us-west-2", "AWS_REGION", "us-west-2")
	f("cn-north-1", "https://lambda.cn-north-1.amazonaws.com.cn cn-north-1")
	f("us-east-1", "http://all:1 us-east-1", "AWS_ENDPOINT_URL", "http://all:1")
	f("us-east-1", "http://own:1/x us-east-1", "AWS_ENDPOINT_URL", "http://all:1", "AWS_ENDPOINT_URL_LAMBDA", "http://own:1/x")
	f("us-east-1", "https://lambda.us-east-1.amazonaws.com us-east-1", "AWS_ENDPOINT_URL_LAMBDA", "http://own:1",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
	f("", "http://profile:1 eu-west-3", "AWS_CONFIG_FILE", profile)
	f("", "no AWS region: set AWS_REGION")
	f("us-east-1", "the endpoint of lambda is not a URL with http or https", "AWS_ENDPOINT_URL", "own:1")
	f("us-east-1", "read the AWS configuration: ", "AWS_PROFILE", "missing")
}

// A path in the endpoint stays, and what a segment has of its own is escaped.
func TestPath(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RequestURI }))
	defer server.Close()
	clean(t, "AWS_ENDPOINT_URL", server.URL+"/a%2Fb/", "AWS_ACCESS_KEY_ID", "a", "AWS_SECRET_ACCESS_KEY", "b")
	c := New(lambda, "us-east-1", Transport())
	defer c.Close()
	if _, err := c.Do(context.Background(), &Request{Path: []string{"x:y", "é/~"}, Query: "q=1"}, 10); err != nil {
		t.Fatal(err)
	}
	if want := "/a%2Fb/x%3Ay/%C3%A9%2F~?q=1"; seen != want {
		t.Errorf("called %s, want %s", seen, want)
	}
}

func TestShort(t *testing.T) {
	f := func(s string, n int, want string) {
		t.Helper()
		if got := Short(s, n); got != want {
			t.Errorf("Short(%q, %d) = %q, want %q", s, n, got, want)
		}
	}
	f("abc", 3, "abc")
	f("abc", 2, "ab")
	f("aé", 2, "a")
	f("é", 1, "")
	f("a\xffb", 9, "a\uFFFDb")
	f("\xff\xff\xff", 2, "\uFFFD")
}

// However odd the headers are, the metadata is JSON.
func TestMetadata(t *testing.T) {
	r := &Response{Status: 200, Header: http.Header{"X": {"\xff\"", "2"}, "Empty": {}, "X-Amzn-Requestid": {"r"}}}
	text := "{" + string(AppendMetadata(nil, r, "r\n")) + "}"
	v, err := value.Parse(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	headers := v.Get("SdkHttpMetadata").Get("HttpHeaders")
	if headers.JSON() != `{"X":"2","x-amzn-RequestId":"r"}` {
		t.Errorf("headers %s", headers)
	}
}

func TestRefusal(t *testing.T) {
	f := func(body, errorType, code, message string) {
		t.Helper()
		h := http.Header{}
		if errorType != "" {
			h.Set("X-Amzn-Errortype", errorType)
		}
		got := Refusal(&Response{Status: 400, Header: h, Body: body})
		if got.Code != code || got.Message != message {
			t.Errorf("%s with %s: %q and %q, want %q and %q", body, errorType, got.Code, got.Message, code, message)
		}
	}
	f(`{"Message":"m"}`, "AException:http://internal", "AException", "m")
	f(`{"__type":"com.x#BException","message":"m"}`, "", "BException", "m")
	f(`{"code":"C"}`, "", "C", `{"code":"C"}`)
	f(``, "", "", "Bad Request")
	f(` text `, "", "", "text")
	f("\xff", "", "", "\uFFFD")
}
