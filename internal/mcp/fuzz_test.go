package mcp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/control"
)

// Whatever a client sends, the server stays, and what it answers is short and
// says what is wrong.
func FuzzDoor(f *testing.F) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"cursor":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"task_get","arguments":{"task":"WEB-1"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"task_submit","arguments":{"task":"WEB-1","lease":"x","summary":"s","output":[1,{"a":null}]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"handoff","arguments":{"task":"WEB-1","to":"","mode":"transfer","summary":"s","deliverables":["x"]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"usage_report","arguments":{"provider":"p","model":"m","input":9223372036854775807,"idempotency_key":"k"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`, `{"id":{}}`, `{}`, `null`, `[]`, ``, ` `, `"x"`,
		strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
	} {
		f.Add([]byte(body), "")
		f.Add([]byte(body), "2025-11-25")
	}
	w := start(f)
	key := w.key("boss", "lead", "WEB")
	f.Fuzz(func(t *testing.T, body []byte, version string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if strings.ContainsFunc(version, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		if strings.Contains(string(body), "subscriptions/listen") || strings.Contains(string(body), "wait_s") {
			return // they wait
		}
		if version != "" {
			req.Header.Set("Mcp-Protocol-Version", version)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var said any
		err = json.NewDecoder(res.Body).Decode(&said)
		if res.StatusCode == http.StatusOK && err != nil {
			t.Errorf("the answer is no JSON: %v", err)
		}
		if res.StatusCode >= 500 {
			t.Errorf("%d %v", res.StatusCode, said)
		}
	})
}

// Whatever a model gives as arguments, the answer is a result it can read, and
// never that the server could not do it.
func FuzzArguments(f *testing.F) {
	tools := strings.Fields("whoami task_next task_list task_get task_claim task_progress deliverable_add task_submit task_block task_fail " +
		"task_release task_create task_comment handoff review_list review_decide usage_report")
	for i, arguments := range []string{
		`{}`, `{"project":"WEB"}`, `{"status":"inbox","mine":true}`, `{"task":"WEB-1"}`, `{"task":"WEB-1"}`, `{"task":"WEB-1","lease":"x","percent":100}`,
		`{"task":"WEB-1","lease":"x","kind":"json","title":"t","content":"{"}`, `{"task":"WEB-1","lease":"x","summary":"s","output":{"a":[1e999]}}`,
		`{"task":"WEB-1","lease":"x","kind":"question","reason":"r","action":"a"}`, `{"task":"WEB-1","lease":"x","category":"tool","message":"m","retryable":true}`,
		`{"task":"WEB-1","lease":"x","note":"n"}`, `{"project":"WEB","title":"\u0000","description":"d","depends_on":["WEB-1"],"assignee":"@boss"}`,
		`{"task":"WEB-1","body":"@boss \ud800"}`, `{"task":"WEB-1","to":"@writer","mode":"follow_up","summary":"s"}`, `{}`,
		`{"review":"x","verdict":"approve"}`, `{"provider":"p","model":"m","input":9223372036854775807,"reported_cost_usd":1e300,"idempotency_key":"k"}`,
	} {
		f.Add(byte(i), []byte(arguments))
	}
	w := start(f)
	key := w.key("boss", "lead", "WEB")
	w.task(control.NewTask{Title: "one"})
	f.Fuzz(func(t *testing.T, tool byte, arguments []byte) {
		var in struct {
			WaitS json.Number `json:"wait_s"`
		}
		if !json.Valid(arguments) || json.Unmarshal(arguments, &in) == nil && in.WaitS != "" {
			return
		}
		name := tools[int(tool)%len(tools)]
		status, text, _ := (&world{TB: t, url: w.url}).post(key, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":`+string(arguments)+`}}`)
		var said struct {
			Result struct {
				Structured struct{ Error struct{ Code string } } `json:"structuredContent"`
			}
		}
		if err := json.Unmarshal([]byte(text), &said); status != http.StatusOK || err != nil || said.Result.Structured.Error.Code == "internal" {
			t.Errorf("%s: %d %s", name, status, text)
		}
	})
}
