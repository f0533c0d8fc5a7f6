package awsapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
)

const other = "222222222222"

func several() arn.Scheme {
	s := arn.Default
	s.Others = true
	return s
}

// as signs a request with an access key id, as far as anybody looks at it.
func as(key string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=00")
	}
}

// in sends a request in an account and returns the answer, which must be one.
func (w *world) in(account, op, body string) value.Value {
	w.t.Helper()
	status, text := w.post(op, expand(body), as(account))
	if status != http.StatusOK {
		w.t.Fatalf("%s %s in %s: %s", op, body, account, text)
	}
	v, err := value.Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) createIn(account, name string) string {
	w.t.Helper()
	return w.in(account, "CreateStateMachine", fmt.Sprintf(`{'name':%q,'definition':%q,'roleArn':'arn:aws:iam::1:role/r','tags':[{'key':'in','value':%q}]}`,
		name, waits, account)).Get("stateMachineArn").Str()
}

func TestAccountOfARequest(t *testing.T) {
	s := newWorldOf(t, several()).server
	f := func(change func(*http.Request), want string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		change(r)
		if got := s.account(r); got != want {
			t.Errorf("%s %q acts in %q, want %q", r.URL, r.Header.Get("Authorization"), got, want)
		}
	}
	header := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", text) }
	}
	query := func(text string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = text } }
	f(as("222222222222"), "222222222222")
	f(as("000000000000"), "000000000000")
	f(as("123456789012"), "") // the server's own
	f(as("AKIAIOSFODNN7EXAMPLE"), "")
	f(as("any"), "")
	f(as("22222222222"), "")
	f(as("2222222222222"), "")
	f(as(""), "")
	f(header(""), "")
	f(header("Bearer 222222222222/x"), "")
	f(header("AWS4-HMAC-SHA256 Credential=222222222222"), "")
	f(header("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=222222222222/20260101/us-east-1/states/aws4_request"), "222222222222")
	f(query("X-Amz-Credential=222222222222%2F20260101%2Fus-east-1%2Fstates%2Faws4_request&X-Amz-Signature=0"), "222222222222")
	f(query("X-Amz-Credential=any%2F20260101%2Fus-east-1%2Fstates%2Faws4_request"), "")

	alone := newWorld(t).server
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	as(other)(r)
	if got := alone.account(r); got != "" {
		t.Errorf("a server of one account acts in %q", got)
	}
}

// What has one name in two accounts is two things.
func TestOneNameInTwoAccounts(t *testing.T) {
	w := newWorldOf(t, several())
	own, theirs := w.createIn("any", "m"), w.createIn(other, "m")
	if own != several().Machine("m") || theirs != strings.Replace(own, "123456789012", other, 1) {
		t.Fatalf("made %s and %s", own, theirs)
	}
	if again := w.createIn(other, "m"); again != theirs { // idempotent in each
		t.Errorf("made %s again as %s", theirs, again)
	}
	w.in(other, "CreateActivity", `{'name':'work'}`)

	// Who asks makes no difference to what an ARN names.
	for _, account := range []string{"any", other, "333333333333"} {
		in := func(op, body string) string { return w.in(account, op, body).JSON() }
		has := func(got string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(got, part) {
					t.Errorf("in %s: %s is not in %s", account, part, got)
				}
			}
		}
		has(in("DescribeStateMachine", `{'stateMachineArn':'`+theirs+`'}`), theirs, `"name":"m"`)
		has(in("ListTagsForResource", `{'resourceArn':'`+theirs+`'}`), `"value":"222222222222"`)
		has(in("ListTagsForResource", `{'resourceArn':'`+own+`'}`), `"value":"any"`)
		has(in("DescribeActivity", `{'activityArn':'arn:aws:states:us-east-1:222222222222:activity:work'}`), `"name":"work"`, "222222222222:activity:work")
	}
	w.call("DescribeActivity", `{'activityArn':'$act(work)'}`, "ActivityDoesNotExist: Activity Does Not Exist: ~$act(work)~")

	execution := strings.Replace(theirs, ":stateMachine:", ":execution:", 1) + ":x"
	got := w.in("any", "StartExecution", `{'stateMachineArn':'`+theirs+`','name':'x'}`)
	if got.Get("executionArn").Str() != execution {
		t.Fatalf("started %s, want %s", got.JSON(), execution)
	}
	w.in("any", "StartExecution", `{'stateMachineArn':'`+own+`','name':'x'}`)
	status, text := w.post("StartExecution", `{"stateMachineArn":"`+theirs+`","name":"x","input":"1"}`)
	if status != http.StatusBadRequest || !strings.Contains(text, "'"+execution+"'") {
		t.Errorf("a taken name: %d %s", status, text)
	}
	described := w.in(other, "DescribeExecution", `{'executionArn':'`+execution+`'}`)
	if described.Get("executionArn").Str() != execution || described.Get("stateMachineArn").Str() != theirs || described.Get("name").Str() != "x" {
		t.Errorf("described %s", described.JSON())
	}
	listed := w.in("any", "ListExecutions", `{'stateMachineArn':'`+theirs+`'}`).Get("executions")
	if listed.Len() != 1 || listed.At(0).Get("executionArn").Str() != execution {
		t.Errorf("listed %s", listed.JSON())
	}
	of := w.in("any", "DescribeStateMachineForExecution", `{'executionArn':'`+execution+`'}`)
	if of.Get("name").Str() != "m" || of.Get("stateMachineArn").Str() != theirs {
		t.Errorf("the machine of the execution: %s", of.JSON())
	}
	w.in("any", "StopExecution", `{'executionArn':'`+execution+`'}`)
	if x := w.in("any", "DescribeExecution", `{'executionArn':'$ex(m:x)'}`); x.Get("status").Str() != "RUNNING" {
		t.Errorf("stopped the wrong one: %s", x.JSON())
	}

	version := w.in("any", "PublishStateMachineVersion", `{'stateMachineArn':'`+theirs+`'}`).Get("stateMachineVersionArn").Str()
	alias := w.in("any", "CreateStateMachineAlias", `{'name':'prod','routingConfiguration':[{'stateMachineVersionArn':'`+version+`','weight':100}]}`).Get("stateMachineAliasArn").Str()
	if version != theirs+":1" || alias != theirs+":prod" {
		t.Errorf("published %s, led to by %s", version, alias)
	}
	if a := w.in(other, "DescribeStateMachineAlias", `{'stateMachineAliasArn':'`+alias+`'}`).JSON(); !strings.Contains(a, version) {
		t.Errorf("the alias: %s", a)
	}
	if l := w.in("any", "ListStateMachineVersions", `{'stateMachineArn':'`+own+`'}`).Get("stateMachineVersions"); l.Len() != 0 {
		t.Errorf("versions of the wrong one: %s", l.JSON())
	}
	w.in("any", "StartExecution", `{'stateMachineArn':'`+alias+`','name':'y'}`)
	y := w.in("any", "DescribeExecution", `{'executionArn':'`+strings.TrimSuffix(execution, "x")+`y'}`)
	if y.Get("stateMachineVersionArn").Str() != version || y.Get("stateMachineAliasArn").Str() != alias {
		t.Errorf("started by the alias: %s", y.JSON())
	}

	// The same store under a server that serves one account: the others' things
	// are kept, and name nothing.
	alone := *w
	alone.server = NewServer(w.engine.Store, w.engine, Config{})
	t.Cleanup(alone.server.Close)
	for op, body := range map[string]string{
		"DescribeStateMachine": `{'stateMachineArn':'` + theirs + `'}`, "StartExecution": `{'stateMachineArn':'` + theirs + `'}`,
		"DescribeExecution": `{'executionArn':'` + execution + `'}`, "ListTagsForResource": `{'resourceArn':'` + theirs + `'}`,
		"DescribeActivity":          `{'activityArn':'arn:aws:states:us-east-1:222222222222:activity:work'}`,
		"DescribeStateMachineAlias": `{'stateMachineAliasArn':'` + alias + `'}`,
	} {
		if status, text := alone.post(op, expand(body), as(other)); status != http.StatusBadRequest || !strings.Contains(text, "ot") {
			t.Errorf("%s of another account: %d %s", op, status, text)
		}
	}
	if l := alone.in(other, "ListStateMachines", `{}`).Get("stateMachines"); l.Len() != 1 || l.At(0).Get("stateMachineArn").Str() != own {
		t.Errorf("a server of one account lists %s", l.JSON())
	}

	// And under one of several that has just begun.
	again := *w
	again.server = NewServer(w.engine.Store, w.engine, Config{Scheme: several()})
	t.Cleanup(again.server.Close)
	again.in("any", "DescribeExecution", `{'executionArn':'`+execution+`'}`)
	again.in("any", "DeleteStateMachine", `{'stateMachineArn':'`+theirs+`'}`)
	if m := again.in("any", "DescribeStateMachine", `{'stateMachineArn':'`+own+`'}`); m.Get("status").Str() != "ACTIVE" {
		t.Errorf("deleted the wrong one: %s", m.JSON())
	}
}

// Lists have what is in the caller's account, by name, whatever lies in between.
func TestListsOfAccounts(t *testing.T) {
	w := newWorldOf(t, several())
	names := map[string][]string{
		"any":          {"1", "22", "222222222222", "222222222222x", "4", "a", "b"},
		other:          {"1", "22", "a", "b", "c"},
		"000000000000": {"z"},
		"333333333333": {"1", "2", "3", "4"},
		"999999999999": {"a"},
	}
	for account, list := range names {
		for _, name := range list {
			w.createIn(account, name)
			w.in(account, "CreateActivity", `{'name':'`+name+`'}`)
		}
	}
	names["444444444444"] = nil
	for account, want := range names {
		scheme := several()
		if account != "any" {
			scheme.Account = account
		}
		for limit := 1; limit <= 8; limit++ {
			for _, kind := range []string{"ListStateMachines", "ListActivities"} {
				members, id, make := "stateMachines", "stateMachineArn", scheme.Machine
				if kind == "ListActivities" {
					members, id, make = "activities", "activityArn", scheme.Activity
				}
				var got []string
				for token, pages := "", 0; ; pages++ {
					answer := w.in(account, kind, fmt.Sprintf(`{'maxResults':%d%s}`, limit, token))
					for _, item := range answer.Get(members).Items() {
						got = append(got, item.Get("name").Str())
						if item.Get(id).Str() != make(item.Get("name").Str()) {
							t.Errorf("in %s: %s", account, item.JSON())
						}
					}
					next := answer.Get("nextToken")
					if next.IsAbsent() {
						if least := max(0, (len(want)-1)/limit); pages != least {
							t.Errorf("%s of %s by %d took %d pages after the first, want %d", kind, account, limit, pages, least)
						}
						break
					}
					token = `,'nextToken':'` + next.Str() + `'`
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s of %s by %d: %q, want %q", kind, account, limit, got, want)
				}
			}
		}
	}
	// A token continues the list of the account that it came from.
	token := w.in(other, "ListStateMachines", `{'maxResults':1}`).Get("nextToken").Str()
	if status, text := w.post("ListStateMachines", `{"nextToken":"`+token+`"}`); status != http.StatusBadRequest || !strings.Contains(text, "InvalidToken") {
		t.Errorf("another account's token: %d %s", status, text)
	}
}

// A state that is tested by itself is in the caller's account.
func TestStateInAnAccount(t *testing.T) {
	w := newWorldOf(t, several())
	definition := `{"Type":"Pass","Parameters":{"id.$":"$$.StateMachine.Id","name.$":"$$.StateMachine.Name","x.$":"$$.Execution.Id"},"End":true}`
	got := w.in(other, "TestState", fmt.Sprintf(`{'definition':%q}`, definition)).Get("output").Str()
	if strings.Count(got, ":222222222222:") != 2 {
		t.Errorf("the context object: %s", got)
	}
	if v, err := value.Parse(got); err != nil || strings.Contains(v.Get("name").Str(), ":") {
		t.Errorf("the machine's name: %s", got)
	}
}

// oneRun is a Map Run of the first execution.
type oneRun struct{ execution store.ExecutionID }

func (r oneRun) Find(context.Context, string) (v store.MapRunView, err error) {
	v.Record.Execution, v.Record.Label, v.Record.Name = r.execution, "each", "run"
	return v, nil
}

func (oneRun) Update(context.Context, string, store.MapRunSettings) error { return nil }

// A Map Run has one ARN: the one with the account and the name of its machine.
func TestMapRunOfItsMachine(t *testing.T) {
	w := newWorldOf(t, several())
	theirs := w.createIn(other, "m")
	w.createIn("any", "m")
	w.createIn(other, "n")
	w.in("any", "StartExecution", `{'stateMachineArn':'`+theirs+`','name':'x'}`)
	x, err := w.engine.Lookup(t.Context(), other+":m", "x")
	if err != nil {
		t.Fatal(err)
	}
	w.server = NewServer(w.engine.Store, w.engine, Config{Scheme: several(), MapRuns: oneRun{x.ID}})
	t.Cleanup(w.server.Close)
	run := w.in("any", "DescribeMapRun", `{'mapRunArn':'arn:aws:states:us-east-1:222222222222:mapRun:m/each:run'}`)
	if got := run.Get("executionArn").Str(); got != several().Execution(other+":m", "x") {
		t.Errorf("the Map Run is of %s", got)
	}
	for _, wrong := range []string{"123456789012:mapRun:m/each", "222222222222:mapRun:n/each", "222222222222:mapRun:m/all", "333333333333:mapRun:m/each"} {
		text := "arn:aws:states:us-east-1:" + wrong + ":run"
		w.call("DescribeMapRun", `{'mapRunArn':'`+text+`'}`, "ResourceNotFound: Resource not found: ~"+text+"~")
	}
}
