package mcp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
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
