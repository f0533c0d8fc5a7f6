package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/task/mock"
)

// recordings are what AWS answered for machines whose tasks are mocked here.
const recordings = "../../../shared/conformance/cases/local_mocking.json"

// recorded is a case of them.
type recorded struct {
	ID, Type       string
	Definition     json.RawMessage
	HistoryCompare string `json:"history_compare"`
	Expected       struct {
		Status  string
		History []map[string]any
	}
}

// TestMockedExecutionsLookLikeRealOnes runs machines with mocks that return what
// the services returned on AWS: the history must have the same events.
func TestMockedExecutionsLookLikeRealOnes(t *testing.T) {
	text, err := os.ReadFile(recordings)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the cases recorded on AWS are not beside this checkout")
	}
	var cases []recorded
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			if c.Type != "STANDARD" || strings.Contains(string(c.Definition), "DISTRIBUTED") {
				t.Skip("Express and distributed Map do not run yet")
			}
			compared++
			got, want := mockedHistory(t, c), events(c.Expected.History)
			if c.HistoryCompare != "exact" {
				got, want = anyOrder(got), anyOrder(want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-AWS +here):\n%s", diff)
			}
		})
	}
	if compared == 0 {
		t.Error("no case was compared")
	}
}

// anyOrder leaves of events what does not depend on the order of branches. The
// recording has no ParallelStateSucceeded, though it has a gap for its number.
func anyOrder(events []string) (list []string) {
	for _, line := range events {
		if _, rest, _ := strings.Cut(line, " "); rest != "ParallelStateSucceeded " {
			list = append(list, rest)
		}
	}
	slices.Sort(list)
	return list
}

// events writes a history's events as "previous<-id type state".
func events(history []map[string]any) (lines []string) {
	for _, ev := range history {
		name := ""
		for key, details := range ev {
			if d, ok := details.(map[string]any); ok && strings.HasPrefix(key, "state") {
				name, _ = d["name"].(string)
			}
		}
		lines = append(lines, fmt.Sprintf("%v<-%v %v %s", ev["previousEventId"], ev["id"], ev["type"], name))
	}
	return lines
}

// mockedHistory runs the machine with what its tasks returned on AWS as mocks.
func mockedHistory(t *testing.T, c recorded) []string {
	t.Helper()
	responses, states := map[string]any{}, map[string]string{}
	for name, response := range taskOutcomes(c.Expected.History) {
		states[name] = name
		responses[name] = map[string]any{"0": response}
	}
	text, err := json.Marshal(map[string]any{
		"StateMachines":   map[string]any{"m": map[string]any{"TestCases": map[string]any{"Recorded": states}}},
		"MockedResponses": responses,
	})
	if err != nil {
		t.Fatal(err)
	}
	mocks, err := mock.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := openServer(t.Context(), settings{
		listen: "127.0.0.1:0", data: t.TempDir(), scheme: arn.Default, log: slog.New(slog.DiscardHandler),
		mocks: mocks, fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(t.Context())
	call := func(action string, in map[string]any) map[string]any { return callAPI(t, srv.url, action, in) }
	machine := call("CreateStateMachine", map[string]any{"name": "m", "definition": string(c.Definition), "roleArn": "arn:aws:iam::123456789012:role/r"})
	input := `{"StateMachineArn":"a","Input":null,"Name":"n","QueueUrl":"q","Message":"m","MessageBody":"b","FunctionNameBranch1":"f","FunctionNameBranch2":"g","Payload":[]}`
	x := call("StartExecution", map[string]any{"stateMachineArn": machine["stateMachineArn"].(string) + "#Recorded", "input": input})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status := call("DescribeExecution", x)["status"]
		if status == c.Expected.Status {
			break
		}
		if status != "RUNNING" || time.Now().After(end) {
			t.Fatalf("status %v, on AWS %s", status, c.Expected.Status)
		}
	}
	var history []map[string]any
	for _, ev := range call("GetExecutionHistory", x)["events"].([]any) {
		history = append(history, ev.(map[string]any))
	}
	return events(history)
}

// taskOutcomes reads from a history what each Task state's task came to. The
// output is anything for branches whose order is not recorded.
func taskOutcomes(history []map[string]any) map[string]any {
	outcomes, state := map[string]any{}, ""
	for _, ev := range history {
		switch kind := ev["type"].(string); kind {
		case "TaskStateEntered":
			state = ev["stateEnteredEventDetails"].(map[string]any)["name"].(string)
			outcomes[state] = map[string]any{"Return": map[string]any{}}
		case "TaskFailed":
			details := ev["taskFailedEventDetails"].(map[string]any)
			outcomes[state] = map[string]any{"Throw": map[string]any{"Error": details["error"], "Cause": details["cause"]}}
		}
	}
	return outcomes
}

func callAPI(t *testing.T, url, action string, in map[string]any) map[string]any {
	t.Helper()
	delete(in, "startDate")
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %v %v", action, res.Status, out, err)
	}
	return out
}
