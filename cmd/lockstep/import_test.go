package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
)

// fakeAWS answers by the action and the ARN that it is about: "Action ARN", or
// "Action" alone.
type fakeAWS map[string]string

func (f fakeAWS) call(_ context.Context, action string, in, out any) error {
	about := ""
	for _, v := range in.(fields) {
		if text, ok := v.(string); ok && strings.HasPrefix(text, "arn:") {
			about = " " + text
		}
	}
	answer, ok := f[action+about]
	if !ok {
		answer, ok = f[action]
	}
	if !ok {
		return fmt.Errorf("%s: %w", action, &apiError{"UnexpectedCall", action + about})
	}
	return json.Unmarshal([]byte(answer), out)
}

const there = "arn:aws:states:eu-west-1:111122223333:"

// machineThere is the answer to DescribeStateMachine.
func machineThere(name, definition string) string {
	text, _ := json.Marshal(fields{"name": name, "type": "STANDARD", "status": "ACTIVE", "definition": definition, "roleArn": "arn:aws:iam::111122223333:role/r"})
	return string(text)
}

// importFrom copies what a fake has into a fresh server and returns what the
// command says, and the server's client.
func importFrom(t *testing.T, source fakeAWS) (run func() (string, error), here *client) {
	t.Helper()
	srv, err := openServer(t.Context(), settings{listen: "127.0.0.1:0", data: t.TempDir(), scheme: arn.Default, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close(context.Background()) })
	here = newClient(srv.url)
	t.Cleanup(here.http.CloseIdleConnections)
	return func() (string, error) {
		var out strings.Builder
		err := (&importer{from: source, to: here, out: &out}).run(t.Context())
		return out.String(), err
	}, here
}

const good = `{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`

func TestImportOfWhatDoesNotRunHere(t *testing.T) {
	source := fakeAWS{
		"ListActivities":    `{"activities":[]}`,
		"ListStateMachines": `{"stateMachines":[{"name":"bad","stateMachineArn":"` + there + `stateMachine:bad"},{"name":"good","stateMachineArn":"` + there + `stateMachine:good"}]}`,
		"DescribeStateMachine " + there + "stateMachine:bad":    machineThere("bad", `{"StartAt":"A","States":{"A":{"Type":"Future"}}}`),
		"DescribeStateMachine " + there + "stateMachine:good":   machineThere("good", good),
		"DescribeStateMachine " + there + "stateMachine:good:1": machineThere("good", `{"StartAt":"A","States":{"A":{"Type":"Future"}}}`),
		"DescribeStateMachine " + there + "stateMachine:good:2": machineThere("good", good),
		"ListTagsForResource":                                     `{"tags":[{"key":"aws:cloudformation:stack-name","value":"s"},{"key":"k","value":""}]}`,
		"ListStateMachineVersions":                                `{"stateMachineVersions":[]}`,
		"ListStateMachineVersions " + there + "stateMachine:good": `{"stateMachineVersions":[{"stateMachineVersionArn":"` + there + `stateMachine:good:2"},{"stateMachineVersionArn":"` + there + `stateMachine:good:1"}]}`,
		"ListStateMachineAliases":                                 `{"stateMachineAliases":[]}`,
		"ListStateMachineAliases " + there + "stateMachine:good":  `{"stateMachineAliases":[{"stateMachineAliasArn":"` + there + `stateMachine:good:old"}]}`,
		"DescribeStateMachineAlias":                               `{"name":"old","routingConfiguration":[{"stateMachineVersionArn":"` + there + `stateMachine:good:1","weight":100}]}`,
	}
	run, here := importFrom(t, source)
	said, err := run()
	if failed := (*exitError)(nil); !errors.As(err, &failed) || failed.code != exitFailed {
		t.Errorf("the command ends with %v, not with exit code %d", err, exitFailed)
	}
	want := `      account 111122223333, region eu-west-1, into account 123456789012, region us-east-1

[1/2] machine  bad  does not run here yet
      SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type
[2/2] machine  good  failed: version 2
      version 1 does not run here yet and is left out: SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type
      alias old: it leads to version 1, which is not here

0 activities and 2 state machines: 0 copied, 0 changed, 0 the same, 1 not running here yet, 1 failed
`
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("it says something else:\n%s", diff)
	}
	var versions, tags any
	if err := here.call(t.Context(), "ListStateMachineVersions", fields{"stateMachineArn": arn.Default.Machine("good")}, &versions); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(versions); strings.Count(got, "stateMachineVersionArn") != 1 || !strings.Contains(got, arn.Default.Version("good", 2)) {
		t.Errorf("version 2 has not kept its number: %s", got)
	}
	if err := here.call(t.Context(), "ListTagsForResource", fields{"resourceArn": arn.Default.Machine("good")}, &tags); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(tags); got != "map[tags:[map[key:k value:]]]" {
		t.Errorf("tags are %s", got)
	}
}

// Two versions of the source may say the same: each keeps its number. A version
// that is otherwise here stays as it is.
func TestImportOfVersions(t *testing.T) {
	source := fakeAWS{
		"ListActivities":       `{"activities":[]}`,
		"ListStateMachines":    `{"stateMachines":[{"name":"m","stateMachineArn":"` + there + `stateMachine:m"}]}`,
		"DescribeStateMachine": machineThere("m", good),
		"ListTagsForResource":  `{"tags":[]}`,
		"ListStateMachineVersions": `{"stateMachineVersions":[{"stateMachineVersionArn":"` + there + `stateMachine:m:5"},
			{"stateMachineVersionArn":"` + there + `stateMachine:m:3"},{"stateMachineVersionArn":"` + there + `stateMachine:m:2"}]}`,
		"ListStateMachineAliases": `{"stateMachineAliases":[]}`,
	}
	run, here := importFrom(t, source)
	f := func(want string) {
		t.Helper()
		said, _ := run()
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q but:\n%s", want, said)
		}
		var page struct {
			Versions []struct {
				ARN string `json:"stateMachineVersionArn"`
			} `json:"stateMachineVersions"`
		}
		if err := here.call(t.Context(), "ListStateMachineVersions", fields{"stateMachineArn": arn.Default.Machine("m")}, &page); err != nil {
			t.Fatal(err)
		}
		var numbers []int64
		for _, v := range page.Versions {
			numbers = append(numbers, versionNumber(v.ARN))
		}
		if diff := cmp.Diff([]int64{5, 3, 2}, numbers); diff != "" {
			t.Errorf("versions here: %s", diff)
		}
	}
	f("copied: version 2, version 3, version 5\n")
	f("the same\n")
	source["DescribeStateMachine "+there+"stateMachine:m:3"] = machineThere("m", `{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}`)
	f("version 3 is another one here, and versions never change")
	delete(source, "DescribeStateMachine "+there+"stateMachine:m:3")
	source["ListStateMachineVersions"] = strings.Replace(source["ListStateMachineVersions"], "m:2", "m:4", 1)
	f("version 4 cannot be copied: the server has numbers up to 5 already")
}

// A machine that goes away there is left out, and a list without end given up.
func TestImportOfOddSources(t *testing.T) {
	source := fakeAWS{
		"ListActivities":           `{"activities":[]}`,
		"ListStateMachines":        `{"stateMachines":[{"name":"m","stateMachineArn":"` + there + `stateMachine:m"}]}`,
		"DescribeStateMachine":     strings.Replace(machineThere("m", good), "ACTIVE", "DELETING", 1),
		"ListTagsForResource":      `{"tags":[]}`,
		"ListStateMachineVersions": `{"stateMachineVersions":[]}`,
		"ListStateMachineAliases":  `{"stateMachineAliases":[]}`,
	}
	run, here := importFrom(t, source)
	said, err := run()
	if err != nil || !strings.Contains(said, "it is being deleted there, and left out") {
		t.Errorf("%v, saying\n%s", err, said)
	}
	var list struct {
		Machines []any `json:"stateMachines"`
	}
	if err := here.call(t.Context(), "ListStateMachines", fields{}, &list); err != nil || len(list.Machines) > 0 {
		t.Errorf("the server has %v (%v)", list.Machines, err)
	}
	source["ListStateMachines"] = `{"stateMachines":[],"nextToken":"again"}`
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "ListStateMachines: there are more than 10000 pages") {
		t.Errorf("pages without end: %v", err)
	}
	source["ListStateMachines"] = `{"stateMachines":[{"name":"m","stateMachineArn":"m"}]}`
	if _, err := run(); err == nil || !strings.Contains(err.Error(), `"m" is no ARN`) {
		t.Errorf("a machine without an ARN: %v", err)
	}
}

func TestImportRewritesARNs(t *testing.T) {
	im := &importer{rewrite: true, to: fakeAWS{"TestState": `{"output":"\"arn:aws:states:us-east-1:123456789012:express:x:y:z\""}`}, out: &strings.Builder{}}
	if err := im.meet(t.Context(), there+"stateMachine:m"); err != nil {
		t.Fatal(err)
	}
	f := func(definition, want string) {
		t.Helper()
		if got := im.rewritten(definition); got != want {
			t.Errorf("%s becomes %s, want %s", definition, got, want)
		}
	}
	here := "arn:aws:states:us-east-1:123456789012:"
	f(`"`+there+`activity:a"`, `"`+here+`activity:a"`)
	f(`"`+there+`stateMachine:m:3"`, `"`+here+`stateMachine:m:3"`)
	f(`"{% '`+there+`stateMachine:' & $x %}"`, `"{% '`+here+`stateMachine:' & $x %}"`)
	f(`"States.Format('`+there+`stateMachine:{}', $.m)"`, `"States.Format('`+here+`stateMachine:{}', $.m)"`)
	f(`"arn:aws:states:eu-west-1:444455556666:activity:a"`, `"arn:aws:states:eu-west-1:444455556666:activity:a"`)
	f(`"arn:aws:lambda:eu-west-1:111122223333:function:f"`, `"arn:aws:lambda:eu-west-1:111122223333:function:f"`)
	f(`"arn:aws:states:::lambda:invoke"`, `"arn:aws:states:::lambda:invoke"`)
}

// throttled answers after so many refusals.
type throttled struct{ refusals, calls int }

func (c *throttled) call(context.Context, string, any, any) error {
	if c.calls++; c.calls <= c.refusals {
		return fmt.Errorf("Act: %w", &apiError{Code: "ThrottlingException", Message: "Rate exceeded"})
	}
	return nil
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(refusals int, took time.Duration, ok bool) {
			t.Helper()
			began := time.Now()
			c := &throttled{refusals: refusals}
			err := patient{c}.call(t.Context(), "Act", nil, nil)
			if (err == nil) != ok || time.Since(began) != took {
				t.Errorf("after %d refusals: %v, having taken %v, want %v", refusals, err, time.Since(began), took)
			}
		}
		f(0, 0, true)
		f(1, 250*time.Millisecond, true)
		f(3, 1750*time.Millisecond, true)
		f(maxPatience-1, 15750*time.Millisecond+5*longPause, true)
		f(1000, 15750*time.Millisecond+5*longPause, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := (patient{&throttled{refusals: 1000}}).call(ctx, "Act", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call whose time is over ends with %v", err)
		}
	})
}

// withoutGroups is a server that finds no log group.
type withoutGroups struct{ caller }

func (c withoutGroups) call(ctx context.Context, action string, in, out any) error {
	if l, _ := in.(fields)["loggingConfiguration"].(*loggingState); l != nil && l.Level != "OFF" {
		return fmt.Errorf("%s: %w", action, &apiError{"InvalidLoggingConfiguration", "Log Destination not found."})
	}
	return c.caller.call(ctx, action, in, out)
}

func TestImportWithoutLogGroup(t *testing.T) {
	logged := strings.TrimSuffix(machineThere("m", good), "}") + `,"loggingConfiguration":{"level":"ALL","destinations":[{"cloudWatchLogsLogGroup":{"logGroupArn":"arn:aws:logs:eu-west-1:111122223333:log-group:g:*"}}]}}`
	source := fakeAWS{
		"ListActivities":           `{"activities":[]}`,
		"ListStateMachines":        `{"stateMachines":[{"name":"m","stateMachineArn":"` + there + `stateMachine:m"}]}`,
		"DescribeStateMachine":     logged,
		"ListTagsForResource":      `{"tags":[]}`,
		"ListStateMachineVersions": `{"stateMachineVersions":[{"stateMachineVersionArn":"` + there + `stateMachine:m:1"}]}`,
		"ListStateMachineAliases":  `{"stateMachineAliases":[]}`,
	}
	_, here := importFrom(t, source)
	for _, want := range []string{"copied: version 1", "the same"} {
		var out strings.Builder
		if err := (&importer{from: source, to: withoutGroups{here}, out: &out}).run(t.Context()); err != nil {
			t.Error(err)
		}
		for _, text := range []string{"machine  m  " + want + "\n", "logging is left out: InvalidLoggingConfiguration: Log Destination not found.\n"} {
			if strings.Count(out.String(), text) != 1 {
				t.Errorf("it does not say %q once but:\n%s", text, &out)
			}
		}
	}
}
