package service

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGateway(t *testing.T) {
	f := &far{}
	tasks, _ := open(t, f)
	const host = `"ApiEndpoint":"abc123.execute-api.eu-west-1.amazonaws.com"`
	check := func(input, line, body, want string) {
		t.Helper()
		f.answer, f.header = `{"a":1}`, map[string]string{"Content-Type": "application/json"}
		got, err := run(t, tasks, call("apigateway:invoke", input))
		if err != nil {
			got = err.Error()
		} else if sent := f.request.Method + " " + f.request.Host + f.request.RequestURI; sent != line || f.body != body {
			t.Errorf("%s: sent %s with %q, want %s with %q", input, sent, f.body, line, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", input, diff)
		}
	}
	const good = `{"Headers":{"Content-Length":["7"],"Content-Type":["application/json"],"Date":["Thu, 01 Jan 2026 00:00:00 GMT"]},` +
		`"ResponseBody":{"a":1},"StatusCode":200,"StatusText":"OK"}`
	check(`{`+host+`,"Method":"GET","Stage":"prod","Path":"/a b/c","QueryParameters":{"q":["1","x y"]},"Headers":{"X-My":["v"]}}`,
		"GET abc123.execute-api.eu-west-1.amazonaws.com/prod/a%20b/c?q=1&q=x%20y", "", good)
	if f.request.Header.Get("X-My") != "v" || f.request.Header.Get("Authorization") != "" {
		t.Errorf("headers %v", f.request.Header)
	}
	check(`{`+host+`,"Method":"POST","RequestBody":{"a":null,"b":1},"AuthType":"IAM_ROLE"}`,
		"POST abc123.execute-api.eu-west-1.amazonaws.com/", `{"b":1}`, good)
	if a := f.request.Header.Get("Authorization"); !strings.Contains(a, "/eu-west-1/execute-api/") {
		t.Errorf("signed as %q", a)
	}
	bad := func(input, detail string) {
		t.Helper()
		before := f.count
		check(input, "", "", "States.Runtime: The Parameters '"+input+"' could not be used to start the Task: ["+detail+"]")
		if f.count != before {
			t.Errorf("%s: was sent", input)
		}
	}
	bad(`{`+host+`,"Method":"GET","Headers":{"a":"b"}}`, "The value of the field 'Headers' has an invalid format")
	bad(`{`+host+`,"Method":"GET","Headers":{"Host":["b"]}}`, "The value of the field 'Headers' has an invalid format")
	bad(`{`+host+`}`, "The field 'Method' is required but was missing")
	bad(`{"ApiEndpoint":"169.254.169.254","Method":"GET"}`, "The value of the field 'ApiEndpoint' has an invalid format")
	bad(`{"ApiEndpoint":"a.execute-api.eu-west-1.amazonaws.com.evil.example","Method":"GET"}`, "The value of the field 'ApiEndpoint' has an invalid format")

	f.status = 403
	check(`{`+host+`,"Method":"GET"}`, "", "", `ApiGateway.403: {"a":1}`)
}
