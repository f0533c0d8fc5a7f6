package model

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

// script answers from a file: for tests, and for examples that run with nothing
// else installed. Its answers say that they are scripted.
type script struct {
	mu      sync.Mutex
	replies []reply
}

// reply is one of a script's answers. The first that fits counts.
type reply struct {
	When  string         `yaml:"when"`  // is in the last message; "": always
	Reply string         `yaml:"reply"` // the answer's text
	Tool  string         `yaml:"tool"`  // the answer calls this tool instead
	Input map[string]any `yaml:"input"` // with this
	Error string         `yaml:"error"` // it fails: ThrottlingException
	Times int            `yaml:"times"` // how often it is given; 0: always
	used  int
}

const maxScript = 1 << 20

// readScript reads a file of replies: a list in YAML or JSON.
func readScript(path string) (*script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(text) > maxScript {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxScript)
	}
	s := &script{}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&s.replies); err != nil {
		return nil, fmt.Errorf("%s: %w; it must be a list of {when, reply} or {when, tool, input} or {when, error}", path, err)
	}
	if len(s.replies) == 0 {
		return nil, fmt.Errorf("%s has no replies", path)
	}
	return s, nil
}

func (s *script) invoke(_ context.Context, in *request) (*answer, error) {
	said, err := lastOf(in.body)
	if err != nil {
		return nil, err
	}
	r, ok := s.next(said)
	if !ok {
		return nil, malformed("The script has no reply to: %.200s", said)
	}
	if r.Error != "" {
		return nil, task.Fail("Bedrock."+r.Error, "scripted")
	}
	used := Tokens{Input: tokensIn(len(said)), Output: tokensIn(len(r.Reply))}
	block, stop := textBlock(value.Str(r.Reply)), "end_turn"
	if r.Tool != "" {
		input, err := valueOf(r.Input)
		if err != nil {
			return nil, malformed("The script's input for %s is no JSON: %v", r.Tool, err)
		}
		block, stop = object("type", value.Str("tool_use"), "id", value.Str("toolu_script"), "name", value.Str(r.Tool), "input", input), "tool_use"
	}
	return &answer{body: message("msg_script", "scripted", []value.Value{block}, stop, used), content: "application/json", used: used}, nil
}

// next finds the reply to what was said.
func (s *script) next(said string) (reply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.replies {
		r := &s.replies[i]
		if strings.Contains(said, r.When) && (r.Times == 0 || r.used < r.Times) {
			r.used++
			return *r, true
		}
	}
	return reply{}, false
}

// lastOf is the text of the last message, with the results of tools in it.
func lastOf(body value.Value) (string, error) {
	messages := body.Get("messages")
	if messages.Kind() != value.Array || messages.Len() == 0 {
		return "", invalid("Body has no messages; this model takes the form of Claude's messages.")
	}
	content := messages.At(messages.Len() - 1).Get("content")
	if content.Kind() == value.String {
		return content.Str(), nil
	}
	return content.JSON(), nil
}

// valueOf makes a value of what YAML gave.
func valueOf(v any) (value.Value, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return value.Value{}, err
	}
	return value.Parse(string(text))
}
