package awsapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
)

func TestEventDetails(t *testing.T) {
	data, name, cause, role := `{"a":1}`, "E", "why", "arn:aws:iam::1:role/r"
	f := func(ev engine.HistoryEvent, want string) {
		t.Helper()
		ev.ID, ev.Previous, ev.At = 3, 2, 1500
		describe := func(data bool) string {
			o := newObject(nil)
			describeEvent(&o, &ev, data)
			return string(o.end())
		}
		head := `{"id":3,"previousEventId":2,"timestamp":1.500,"type":"` + ev.Type.String() + `"`
		if want != "" {
			want = "," + expand(want)
		}
		if got := describe(true); got != head+want+"}" {
			t.Errorf("got  %s\nwant %s", got, head+want+"}")
		}
		if got := describe(false); strings.Contains(got, "{\\") {
			t.Errorf("without execution data: %s", got)
		}
	}
	const whole = `{'truncated':false}`
	f(engine.HistoryEvent{Type: engine.ExecutionStartedType, Data: &data, RoleARN: role},
		`'executionStartedEventDetails':{'input':'{\'a\':1}','inputDetails':`+whole+`,'roleArn':'arn:aws:iam::1:role/r'}`)
	f(engine.HistoryEvent{Type: engine.ExecutionStartedType, Data: &data, RoleARN: role, VersionARN: "v", AliasARN: "a"},
		`'executionStartedEventDetails':{'input':'{\'a\':1}','inputDetails':`+whole+`,'roleArn':'arn:aws:iam::1:role/r','stateMachineAliasArn':'a','stateMachineVersionArn':'v'}`)
	f(engine.HistoryEvent{Type: engine.ExecutionSucceededType, Data: &data}, `'executionSucceededEventDetails':{'output':'{\'a\':1}','outputDetails':`+whole+`}`)
	f(engine.HistoryEvent{Type: engine.ExecutionFailedType, Error: &name, Cause: &cause}, `'executionFailedEventDetails':{'error':'E','cause':'why'}`)
	f(engine.HistoryEvent{Type: engine.ExecutionFailedType}, `'executionFailedEventDetails':{}`)
	f(engine.HistoryEvent{Type: engine.ExecutionAbortedType}, `'executionAbortedEventDetails':{}`)
	f(engine.HistoryEvent{Type: engine.ExecutionTimedOutType, Error: &name}, `'executionTimedOutEventDetails':{'error':'E'}`)
	f(engine.HistoryEvent{Type: engine.WaitStateEnteredType, Name: "W", Data: &data}, `'stateEnteredEventDetails':{'name':'W','input':'{\'a\':1}','inputDetails':`+whole+`}`)
	f(engine.HistoryEvent{Type: engine.TaskStateExitedType, Name: "T", Data: &data}, `'stateExitedEventDetails':{'name':'T','output':'{\'a\':1}','outputDetails':`+whole+`}`)
	f(engine.HistoryEvent{Type: engine.PassStateExitedType, Name: "P", Data: &data, Assigned: []engine.Assignment{{Name: "x", JSON: `"s"`}, {Name: "y", JSON: "1"}}},
		`'stateExitedEventDetails':{'name':'P','output':'{\'a\':1}','outputDetails':`+whole+`,'assignedVariables':{'x':'\'s\'','y':'1'},'assignedVariablesDetails':`+whole+`}`)
	f(engine.HistoryEvent{Type: engine.MapStateStartedType}, `'mapStateStartedEventDetails':{'length':0}`)
	f(engine.HistoryEvent{Type: engine.MapIterationStartedType, Name: "M"}, `'mapIterationStartedEventDetails':{'name':'M','index':0}`)
	f(engine.HistoryEvent{Type: engine.MapStateSucceededType}, ``)
	f(engine.HistoryEvent{Type: engine.ParallelStateStartedType}, ``)
	f(engine.HistoryEvent{Type: engine.TaskStateAbortedType}, ``)
	f(engine.HistoryEvent{Type: engine.LambdaFunctionScheduledType, Resource: "f", Data: &data, Timeout: 5, RoleARN: role},
		`'lambdaFunctionScheduledEventDetails':{'resource':'f','input':'{\'a\':1}','inputDetails':`+whole+`,'timeoutInSeconds':5,'taskCredentials':{'roleArn':'arn:aws:iam::1:role/r'}}`)
	f(engine.HistoryEvent{Type: engine.LambdaFunctionStartedType}, ``)
	f(engine.HistoryEvent{Type: engine.ActivityScheduledType, Resource: "a", Data: &data, Timeout: 5, Heartbeat: 2},
		`'activityScheduledEventDetails':{'resource':'a','input':'{\'a\':1}','inputDetails':`+whole+`,'timeoutInSeconds':5,'heartbeatInSeconds':2}`)
	f(engine.HistoryEvent{Type: engine.ActivityStartedType, Name: "me"}, `'activityStartedEventDetails':{'workerName':'me'}`)
	f(engine.HistoryEvent{Type: engine.ActivityStartedType}, `'activityStartedEventDetails':{}`)
	f(engine.HistoryEvent{Type: engine.TaskScheduledType, Service: "sqs", Resource: "sendMessage", Region: "r", Data: &data},
		`'taskScheduledEventDetails':{'resourceType':'sqs','resource':'sendMessage','region':'r','parameters':'{\'a\':1}'}`)
	f(engine.HistoryEvent{Type: engine.TaskSubmittedType, Service: "sqs", Resource: "sendMessage", Data: &data},
		`'taskSubmittedEventDetails':{'resourceType':'sqs','resource':'sendMessage','output':'{\'a\':1}','outputDetails':`+whole+`}`)
	f(engine.HistoryEvent{Type: engine.TaskFailedType, Service: "sqs", Resource: "sendMessage"}, `'taskFailedEventDetails':{'resourceType':'sqs','resource':'sendMessage'}`)
	f(engine.HistoryEvent{Type: engine.EvaluationFailedType, Name: "S", Location: "Output", Error: &name, Cause: &cause},
		`'evaluationFailedEventDetails':{'error':'E','cause':'why','location':'Output','state':'S'}`)
	f(engine.HistoryEvent{Type: engine.MapRunRedrivenType, MapRunARN: "m", Redrives: 1}, `'mapRunRedrivenEventDetails':{'mapRunArn':'m','redriveCount':1}`)
}

// Exactly these types have no details (AWS's model, and recorded).
func TestEventsWithoutDetails(t *testing.T) {
	var got []string
	for typ := engine.ExecutionStartedType; typ <= engine.MapRunRedrivenType; typ++ {
		if _, ok := details[typ]; !ok {
			got = append(got, typ.String())
		}
	}
	slices.Sort(got)
	want := []string{
		"LambdaFunctionStarted", "MapRunAborted", "MapRunSucceeded", "MapStateAborted", "MapStateFailed", "MapStateSucceeded",
		"ParallelStateAborted", "ParallelStateFailed", "ParallelStateStarted", "ParallelStateSucceeded", "TaskStateAborted", "WaitStateAborted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every recorded event, turned into ours and written again, has the members it
// was recorded with: no more, no less.
func TestRecordedEventShapes(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/conformance/cases/*.json")
	if len(files) == 0 {
		t.Skip("no recordings beside this repository")
	}
	types := map[string]engine.HistoryType{}
	for typ := engine.ExecutionStartedType; typ <= engine.MapRunRedrivenType; typ++ {
		types[typ.String()] = typ
	}
	seen := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			typ, _ := v["type"].(string)
			if _, ok := v["previousEventId"]; ok && types[typ] != 0 {
				seen++
				checkShape(t, types[typ], v)
				return
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases any
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		walk(cases)
	}
	if seen < 1000 {
		t.Errorf("found %d events in %d files: not looking in the right place", seen, len(files))
	}
}

func checkShape(t *testing.T, typ engine.HistoryType, recorded map[string]any) {
	t.Helper()
	recorded = maps.Clone(recorded)
	recorded["timestamp"] = 0
	ev := engine.HistoryEvent{Type: typ}
	for key, value := range recorded {
		d, ok := value.(map[string]any)
		if !ok || !strings.HasSuffix(key, "Details") {
			continue
		}
		text := func(key string) string {
			if d[key] == nil {
				return ""
			}
			return fmt.Sprint(d[key])
		}
		pointer := func(keys ...string) *string {
			for _, key := range keys {
				if s := text(key); d[key] != nil {
					return &s
				}
			}
			return nil
		}
		number := func(key string) int64 {
			if d[key] == nil {
				return 0
			}
			return 1
		}
		ev.Name = text("name") + text("state") + text("workerName")
		ev.Data = pointer("input", "output", "parameters")
		ev.Error, ev.Cause = pointer("error"), pointer("cause")
		ev.Resource, ev.Service, ev.Region = text("resource"), text("resourceType"), text("region")
		ev.RoleARN = text("roleArn") + text("taskCredentials")
		ev.Timeout, ev.Heartbeat = number("timeoutInSeconds"), number("heartbeatInSeconds")
		ev.Location, ev.MapRunARN = text("location"), text("mapRunArn")
		variables, _ := d["assignedVariables"].(map[string]any)
		for name := range variables {
			ev.Assigned = append(ev.Assigned, engine.Assignment{Name: name, JSON: "1"})
		}
	}
	o := newObject(nil)
	describeEvent(&o, &ev, true)
	var written map[string]any
	if err := json.Unmarshal(o.end(), &written); err != nil {
		t.Fatalf("%s: %v", o.buf, err)
	}
	if diff := cmp.Diff(shape(recorded, 0), shape(written, 0)); diff != "" {
		t.Errorf("%s (-recorded +written):\n%s", typ, diff)
	}
}

// shape replaces all values by their keys, down to what payloads hold.
func shape(v any, depth int) any {
	m, ok := v.(map[string]any)
	if !ok || depth == 2 {
		return nil
	}
	out := map[string]any{}
	for key, value := range m {
		switch key {
		case "input", "output", "parameters", "cause":
			value = nil
		}
		out[key] = shape(value, depth+1)
	}
	return out
}

func TestGetExecutionHistory(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'x','input':'[1]'}`)
	f := func(more, want string) {
		t.Helper()
		w.call("GetExecutionHistory", `{'executionArn':'$ex(m:x)'`+more+`}`, want)
	}
	const when, whole = `'timestamp':1700000000.120`, `{'truncated':false}`
	e := []string{
		`{'id':1,'previousEventId':0,` + when + `,'type':'ExecutionStarted','executionStartedEventDetails':{'input':'[1]','inputDetails':` + whole + `,'roleArn':'arn:aws:iam::123456789012:role/r'}}`,
		`{'id':2,'previousEventId':0,` + when + `,'type':'PassStateEntered','stateEnteredEventDetails':{'name':'P','input':'[1]','inputDetails':` + whole + `}}`,
		`{'id':3,'previousEventId':2,` + when + `,'type':'PassStateExited','stateExitedEventDetails':{'name':'P','output':'[1]','outputDetails':` + whole + `}}`,
		`{'id':4,'previousEventId':3,` + when + `,'type':'ExecutionSucceeded','executionSucceededEventDetails':{'output':'[1]','outputDetails':` + whole + `}}`,
	}
	all := func(events ...string) string { return `{'events':[` + strings.Join(events, ",") + `]` }
	f(``, all(e...)+`}`)
	f(`,'reverseOrder':true`, all(e[3], e[2], e[1], e[0])+`}`)
	f(`,'maxResults':4`, all(e...)+`}`)
	f(`,'includeExecutionData':false`, strings.NewReplacer(`'input':'[1]',`, "", `'output':'[1]',`, "").Replace(all(e...))+`}`)

	next := func(more string) string {
		return cut(w.ask("GetExecutionHistory", `{'executionArn':'$ex(m:x)'`+more+`}`), `"nextToken":"`, `"`)
	}
	token := next(`,'maxResults':3`)
	f(`,'maxResults':3`, all(e[:3]...)+`,'nextToken':'`+token+`'}`)
	f(`,'maxResults':3,'nextToken':'`+token+`'`, all(e[3])+`}`)
	back := next(`,'reverseOrder':true,'maxResults':1`)
	f(`,'reverseOrder':true,'nextToken':'`+back+`'`, all(e[2], e[1], e[0])+`}`)
	f(`,'nextToken':'`+back+`'`, "InvalidToken: Invalid Token: ~Invalid token~")
	f(`,'nextToken':'x'`, "InvalidToken: Invalid Token: ~Invalid token~")
	f(`,'reverseOrder':'yes'`, "SerializationException: STRING_VALUE can not be converted to a Boolean")
	w.call("GetExecutionHistory", `{'executionArn':'$ex(m:gone)'}`, "ExecutionDoesNotExist: Execution Does Not Exist: ~$ex(m:gone)~")
}

// A history of several chunks comes whole and in order, page by page, in both
// directions, and a page of large payloads ends early.
func TestHistoryPages(t *testing.T) {
	w := newWorld(t)
	loop := `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$[0]","IsNull":true,"Next":"E"}],"Default":"W"},"E":{"Type":"Succeed"}}}`
	w.create("m", loop)
	big := `["` + strings.Repeat("x", 200_000) + `"]`
	w.post("StartExecution", fmt.Sprintf(`{"stateMachineArn":%q,"name":"big","input":%q}`, expand("$sm(m)"), big))
	w.post("StartExecution", fmt.Sprintf(`{"stateMachineArn":%q,"name":"small","input":"[1]"}`, expand("$sm(m)")))
	for _, name := range []string{"big", "small"} {
		x, err := w.engine.Lookup(t.Context(), "m", name)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			w.engine.now += 1000
			if err := w.engine.Deliver(t.Context(), x.ID, engine.TimerFired{At: w.server.now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(name string, reverse bool, limit int) (ids []int64, pages int) {
		t.Helper()
		token := ""
		for {
			pages++
			status, body := w.post("GetExecutionHistory", fmt.Sprintf(`{"executionArn":%q,"reverseOrder":%v,"maxResults":%d%s}`,
				expand("$ex(m:"+name+")"), reverse, limit, token))
			var page struct {
				Events    []struct{ ID int64 }
				NextToken string
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 {
				t.Fatalf("%d %.200s", status, body)
			}
			if len(body) > maxPage+500_000 {
				t.Errorf("a page of %d bytes", len(body))
			}
			for _, ev := range page.Events {
				ids = append(ids, ev.ID)
			}
			if page.NextToken == "" {
				return ids, pages
			}
			token = `,"nextToken":"` + page.NextToken + `"`
		}
	}
	f := func(name string, reverse bool, limit, wantPages int) {
		t.Helper()
		ids, pages := read(name, reverse, limit)
		if reverse {
			slices.Reverse(ids)
		}
		want := make([]int64, 1+1+20*4)
		for i := range want {
			want[i] = int64(i + 1)
		}
		if diff := cmp.Diff(want, ids); diff != "" || pages != wantPages {
			t.Errorf("%s, reverse %v, %d at a time: %d pages, want %d\n%s", name, reverse, limit, pages, wantPages, diff)
		}
	}
	f("small", false, 7, 12)
	f("small", true, 7, 12)
	f("small", false, 41, 2)
	f("small", true, 1000, 1)
	f("big", false, 1000, 4)
	f("big", true, 1000, 4)
}
