package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConnections(t *testing.T) {
	c, err := Parse([]byte(`
egress: {allow: [localhost:9000, 10.0.0.0/8], ports: [8443], proxy: true}
connections:
  stripe:
    type: api_key
    key_name: X-Key
    key_value: env:STRIPE_KEY
    headers: {X-Tenant: acme, X-Other: file:other.txt}
  erp:
    type: OAUTH_CLIENT_CREDENTIALS
    client_id: lockstep
    client_secret: file:/run/secrets/erp
    token_url: https://auth.example.com/token
    token_body: {scope: read}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Egress: Egress{Allow: []string{"localhost:9000", "10.0.0.0/8"}, Ports: []int{8443}, Proxy: true},
		Connections: []Connection{
			{Name: "stripe", Type: "API_KEY", KeyName: "X-Key", KeyValue: "env:STRIPE_KEY", Params: []Param{{"header", "X-Tenant", "acme"}, {"header", "X-Other", "file:other.txt"}}},
			{Name: "erp", Type: "OAUTH_CLIENT_CREDENTIALS", ClientID: "lockstep", ClientSecret: "file:/run/secrets/erp", TokenURL: "https://auth.example.com/token",
				TokenParams: []Param{{"body", "scope", "read"}}},
		},
	}
	if diff := cmp.Diff(want, *c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConnectionMistakes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		} else if strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: the error holds the secret: %v", text, err)
		}
	}
	f("connections: {a: {type: basic, password: swordfish}}", "line 1: password must say where the secret is, env:NAME or file:PATH; the secret itself does not belong here")
	f("connections: {a: {type: basic, password: 'env:sword fish'}}", "password must say where the secret is")
	f("connections: {a: {type: basics}}", `unknown type "basics"; did you mean basic?`)
	f("connections: {a: {}}", "connection a needs type: one of api_key, basic, oauth_client_credentials")
	f("connections: {a: {typ: basic}}", `unknown key "typ" in connection a; did you mean type?`)
	f("egress: {allow: {a: b}}", "allow must be a list")
	f("egress: {ports: [http]}", `there is no port "http"`)
	f("egress: {allowed: x}", `unknown key "allowed" in egress; did you mean allow?`)
}
