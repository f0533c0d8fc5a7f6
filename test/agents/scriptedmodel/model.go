// Package scriptedmodel is a scripted model, for tests: an OpenAI-compatible
// endpoint that works on a board task as its wake text says, always in the same
// steps. It understands nothing, and says so in its name.
package scriptedmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// Name is what the model is called.
const Name = "scripted-1"

// Model is the endpoint. Serve it.
type Model struct {
	Log func(format string, args ...any) // nil: nobody hears

	mu      sync.Mutex
	calls   int
	waiting int
	tools   []string // that the last call offered
}

// Calls counts the completions.
func (m *Model) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Tools lists the tools that the last call offered.
func (m *Model) Tools() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tools
}

// Waiting counts the completions that wait for ever, as they do once a task is
// claimed that says so in its title.
func (m *Model) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

func (m *Model) waits(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting += n
}

type message struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	ToolCalls []struct {
		Function struct{ Name, Arguments string } `json:"function"`
	} `json:"tool_calls"`
}

type request struct {
	Messages []message `json:"messages"`
	Stream   bool      `json:"stream"`
	Tools    []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	} `json:"tools"`
}

var (
	taskForm  = regexp.MustCompile(`Board task ([A-Z][A-Z0-9]*-\d+)`)
	entryForm = regexp.MustCompile(`([A-Za-z0-9_-]+)__task_claim`)
	leaseForm = regexp.MustCompile(`\\*"lease\\*":\s*\\*"([^"\\]+)`)
)

// step is what to do next: a tool with arguments, or "" and a last word.
func step(r *request) (tool, args, word string) {
	from := 0
	for i, msg := range r.Messages {
		if msg.Role == "user" && taskForm.Match(msg.Content) {
			from = i
		}
	}
	if len(r.Messages) == 0 || !taskForm.Match(r.Messages[from].Content) {
		return "", "", "I only work on board tasks."
	}
	text := string(r.Messages[from].Content)
	task := taskForm.FindStringSubmatch(text)[1]
	entry := entryForm.FindStringSubmatch(text)
	if entry == nil {
		return "", "", "The text names no tools."
	}
	done, lease := 0, ""
	for _, msg := range r.Messages[from:] {
		done += len(msg.ToolCalls)
		if msg.Role == "tool" {
			if found := leaseForm.FindSubmatch(msg.Content); found != nil {
				lease = string(found[1])
			}
		}
	}
	steps := []struct{ tool, args string }{
		{"task_get", fmt.Sprintf(`{"task":%q}`, task)},
		{"task_claim", fmt.Sprintf(`{"task":%q}`, task)},
		{"deliverable_add", fmt.Sprintf(`{"task":%q,"lease":%q,"kind":"text","title":"result.md","content":"# Done by a scripted model"}`, task, lease)},
		{"task_submit", fmt.Sprintf(`{"task":%q,"lease":%q,"summary":"done by a scripted model"}`, task, lease)},
	}
	if done >= len(steps) {
		return "", "", "Submitted."
	}
	return entry[1] + "__" + steps[done].tool, steps[done].args, ""
}

// ServeHTTP implements http.Handler: POST /v1/chat/completions.
func (m *Model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/models") {
		json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": []any{map[string]any{"id": Name, "object": "model"}}})
		return
	}
	var in request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20)).Decode(&in); err != nil || !strings.HasSuffix(r.URL.Path, "/chat/completions") {
		http.Error(w, "only chat completions", http.StatusNotFound)
		return
	}
	offered := map[string]bool{}
	var names []string
	for _, t := range in.Tools {
		offered[t.Function.Name] = true
		names = append(names, t.Function.Name)
	}
	tool, args, word := step(&in)
	if word == "" && strings.HasSuffix(tool, "__deliverable_add") && strings.Contains(fmt.Sprintf("%s", in.Messages), "Wait for ever") {
		m.waits(1)
		defer m.waits(-1)
		<-r.Context().Done()
		return
	}
	if tool != "" && !offered[tool] && offered["tool_call"] {
		args = fmt.Sprintf(`{"id":%q,"args":%s}`, tool, args) // OpenClaw's way to a tool that it does not show
		tool = "tool_call"
	}
	m.mu.Lock()
	m.calls++
	id := fmt.Sprintf("call_%d", m.calls)
	m.tools = names
	m.mu.Unlock()
	if m.Log != nil {
		last := ""
		if n := len(in.Messages); n > 0 {
			last = string(in.Messages[n-1].Content)
		}
		m.Log("model: after %.300s: %s %s %s", last, tool, args, word)
	}
	delta := map[string]any{"role": "assistant", "content": word}
	reason := "stop"
	if tool != "" {
		reason = "tool_calls"
		delta = map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{map[string]any{
			"index": 0, "id": id, "type": "function", "function": map[string]any{"name": tool, "arguments": args},
		}}}
	}
	usage := map[string]any{"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050, "prompt_tokens_details": map[string]any{"cached_tokens": 200}}
	base := map[string]any{"id": "scripted-" + id, "created": 1, "model": Name}
	if !in.Stream {
		base["object"] = "chat.completion"
		base["choices"] = []any{map[string]any{"index": 0, "message": delta, "finish_reason": reason}}
		base["usage"] = usage
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(base)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	base["object"] = "chat.completion.chunk"
	send := func(choices []any, usage any) {
		base["choices"], base["usage"] = choices, usage
		text, err := json.Marshal(base)
		if err == nil {
			fmt.Fprintf(w, "data: %s\n\n", text)
		}
	}
	send([]any{map[string]any{"index": 0, "delta": delta, "finish_reason": nil}}, nil)
	send([]any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": reason}}, nil)
	send([]any{}, usage)
	fmt.Fprint(w, "data: [DONE]\n\n")
}
