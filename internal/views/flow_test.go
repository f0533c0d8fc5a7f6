package views_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// steps writes a flow in a line for each step.
func steps(flow fields) (all []string) {
	for _, s := range list(flow["steps"]) {
		line := fmt.Sprint(s["name"], " ", s["payload"].(fields)["text"])
		if s["recorded"] == true {
			line += " (recorded)"
		}
		all = append(all, line)
	}
	return all
}

func vars(v any) (all []string) {
	for _, one := range list(v) {
		all = append(all, fmt.Sprint(one["name"], "=", one["payload"].(fields)["text"], " by ", one["state"], " ", one["changed"]))
	}
	return all
}

// What becomes of the data within a visit is worked out again: from what the
// execution had, by its definition, without calling anything.
func TestFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("flow", `{"StartAt":"Set","States":{
			"Set":{"Type":"Pass","Assign":{"rate":2,"who.$":"$.who"},"Next":"Call"},
			"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","InputPath":"$.order",
				"Parameters":{"FunctionName":"f","Payload":{"id.$":"$.id","rate.$":"$rate","of.$":"$$.Execution.Input.who"}},
				"ResultSelector":{"fine.$":"$.ok"},"ResultPath":"$.call","OutputPath":"$.call","Assign":{"rate":3},"Next":"Each"},
			"Each":{"Type":"Map","ItemsPath":"$$.Execution.Input.items","ItemProcessor":{"StartAt":"One","States":{
				"One":{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $rate * $states.context.Map.Item.Index %}","Assign":{"mine":"{% 1 %}"},"End":true}}},
				"ResultPath":"$.all","Next":"Query"},
			"Query":{"Type":"Pass","QueryLanguage":"JSONata","Output":{"n":"{% $rate + 1 %}","chance":"{% $random() %}"},"Next":"Bad"},
			"Bad":{"Type":"Fail","Error":"Sorry"}}}`)
		x := w.start(m, "x", `{"who":"ada","order":{"id":7},"items":[5,6]}`)
		synctest.Wait()
		calls := w.calls
		ids := map[string]int64{}
		for _, v := range list(w.get(x + "/visits")["visits"]) {
			ids[v["path"].(string)] = int64(v["id"].(float64))
		}
		flow := func(path string) fields { return w.get(fmt.Sprintf("%s/visits/%d/flow", x, ids[path])) }

		call := flow("Call")
		want := []string{
			`input {"who":"ada","order":{"id":7},"items":[5,6]} (recorded)`,
			`afterInputPath {"id":7}`,
			`afterParameters {"FunctionName":"f","Payload":{"rate":2,"of":"ada","id":7}}`,
			`result {"ok":true} (recorded)`,
			`afterResultSelector {"fine":true}`,
			`afterResultPath {"who":"ada","order":{"id":7},"items":[5,6],"call":{"fine":true}}`,
			`output {"fine":true} (recorded)`,
		}
		if diff := cmp.Diff(want, steps(call)); diff != "" || call["differs"] != nil || call["problem"] != nil {
			t.Errorf("Call (-want +got):\n%s%v %v", diff, call["differs"], call["problem"])
		}
		if diff := cmp.Diff([]string{`rate=2 by Set false`, `who="ada" by Set false`}, vars(call["variables_before"])); diff != "" {
			t.Errorf("variables before Call (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{`rate=3 by Call true`, `who="ada" by Set false`}, vars(call["variables_after"])); diff != "" {
			t.Errorf("variables after Call (-want +got):\n%s", diff)
		}

		// A Map's result is put together from its iterations.
		if diff := cmp.Diff([]string{
			`input {"fine":true} (recorded)`, `afterInputPath {"fine":true}`, `afterItemsPath [5,6]`, `result [0,3] (recorded)`, `afterResultSelector [0,3]`, `afterResultPath {"fine":true,"all":[0,3]}`, `output {"fine":true,"all":[0,3]} (recorded)`,
		}, steps(flow("Each"))); diff != "" {
			t.Errorf("Each (-want +got):\n%s", diff)
		}
		// A variable of one iteration is not one of another.
		if diff := cmp.Diff([]string{`rate=3 by Call false`, `who="ada" by Set false`}, vars(flow("Each#1/One")["variables_before"])); diff != "" {
			t.Errorf("variables before One (-want +got):\n%s", diff)
		}
		if one := flow("Each#1/One"); one["differs"] != nil {
			t.Errorf("One came to something else: %v", steps(one))
		}
		if query := flow("Query"); query["differs"] != true {
			t.Errorf("chance came out the same: %v", steps(query))
		}
		if got := flow("Bad"); len(list(got["steps"])) == 0 || got["problem"] != nil {
			t.Errorf("a Fail state: %v", got)
		}
		if w.calls != calls {
			t.Error("looking called the task again")
		}
		for _, bad := range []string{"/visits/1/flow", "/visits/3/flow", "/visits/999/flow", "/visits/x/flow", "/visits/2/flow?a=b", "/events?visit=1", "/events?from=0", "/events?limit=201"} {
			if status, _ := w.do("GET", x+bad, nil); status != http.StatusNotFound && status != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, status)
			}
		}
	})
}

// The history can be read from anywhere, and that of one visit alone.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"Both","States":{"Both":{"Type":"Parallel","End":true,"Branches":[
			{"StartAt":"L","States":{"L":{`+lambda+`,"End":true}}},{"StartAt":"R","States":{"R":{"Type":"Pass","Assign":{"v":1},"End":true}}}]}}}`)
		x := w.start(m, "x", `"`+strings.Repeat("a", 5000)+`"`)
		synctest.Wait()
		types := func(page fields) (all []string) {
			for _, e := range list(page["events"]) {
				all = append(all, fmt.Sprint(e["type"]))
			}
			return all
		}
		var left string
		for _, v := range list(w.get(x + "/visits?state=L")["visits"]) {
			left = fmt.Sprint(v["id"])
		}
		page := w.get(x + "/events?visit=" + left)
		if diff := cmp.Diff([]string{"TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"}, types(page)); diff != "" {
			t.Errorf("events of L (-want +got):\n%s", diff)
		}
		if first := list(page["events"])[0]["payload"].(fields); first["truncated"] != true || first["bytes"] != 5002.0 || len(first["text"].(string)) != 4096 {
			t.Errorf("a long payload: %v bytes, %d shown", first["bytes"], len(first["text"].(string)))
		}
		failed := w.start(w.machine("f", `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"because"}}}`), "f", `{}`)
		synctest.Wait()
		if events := list(w.get(failed + "/events")["events"]); events[len(events)-1]["cause"] != "because" || events[len(events)-1]["error"] != "E" {
			t.Errorf("the last event: %v", events[len(events)-1])
		}
		var all []string
		for from := "1"; from != "<nil>"; {
			page := w.get(x + "/events?limit=3&from=" + from)
			all = append(all, types(page)...)
			from = fmt.Sprint(page["next"])
		}
		if n := int(w.get(x + "/events")["last_event"].(float64)); len(all) != n || all[0] != "ExecutionStarted" || all[n-1] != "ExecutionSucceeded" {
			t.Errorf("page by page there are %d of %d events: %v", len(all), n, all)
		}
	})
}

// Lists say what executions cost, and nothing of those that cost nothing.
func TestSearchCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, memory.New())
		m := w.machine("m", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)
		w.start(m, "dear", `{}`)
		w.start(m, "free", `{}`)
		synctest.Wait()
		var used []store.Usage
		for i := range 201 {
			used = append(used, store.Usage{Source: "test", Key: fmt.Sprint(i), Execution: arn.Default.Execution("m", "dear"), Billed: 5, Counted: i != 0})
		}
		err := w.Write(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.AddUsages(ctx, used) })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range list(w.get("executions")["executions"]) {
			got = append(got, fmt.Sprint(x["name"], " ", x["cost_nano"], " ", x["cost_is_part"]))
		}
		if diff := cmp.Diff([]string{"free <nil> <nil>", "dear 995 true"}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
