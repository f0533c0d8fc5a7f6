package model

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// conversation is a request in the form of Claude's messages, as text.
type conversation struct {
	system   string
	messages []turn
}

type turn struct{ role, text string }

func conversationOf(body value.Value) (*conversation, error) {
	messages := body.Get("messages")
	if messages.Kind() != value.Array || messages.Len() == 0 {
		return nil, invalid("Body has no messages; this model takes the form of Claude's messages.")
	}
	system, err := textOf(body.Get("system"), "system")
	if err != nil {
		return nil, err
	}
	c := &conversation{system: system}
	for _, m := range messages.Items() {
		role := m.Get("role").Str()
		if role != "user" && role != "assistant" {
			return nil, invalid("A message's role must be user or assistant, not %.40q.", role)
		}
		text, err := textOf(m.Get("content"), "content")
		if err != nil {
			return nil, err
		}
		c.messages = append(c.messages, turn{role, text})
	}
	return c, nil
}

// textOf reads a text, or a list of blocks with text.
func textOf(v value.Value, field string) (string, error) {
	switch v.Kind() {
	case value.Absent:
		return "", nil
	case value.String:
		return v.Str(), nil
	case value.Array:
		var parts []string
		for _, block := range v.Items() {
			if block.Get("type").Str() != "text" || block.Get("text").Kind() != value.String {
				return "", invalid("%s may hold blocks of type text only here.", field)
			}
			parts = append(parts, block.Get("text").Str())
		}
		return strings.Join(parts, "\n"), nil
	}
	return "", invalid("%s must be a text or a list of blocks.", field)
}

// message is an answer in the form of Claude's.
func message(id, model string, content []value.Value, stop string, used Tokens) value.Value {
	return object(
		"id", value.Str(id),
		"type", value.Str("message"),
		"role", value.Str("assistant"),
		"model", value.Str(model),
		"content", value.ArrayOf(content),
		"stop_reason", value.Str(stop),
		"stop_sequence", value.NullValue,
		"usage", object("input_tokens", value.Int(used.Input), "output_tokens", value.Int(used.Output)),
	)
}

// object makes an object of names and values in turn; Absent ones are left out.
func object(pairs ...any) value.Value {
	var members []value.Member
	for i := 0; i < len(pairs); i += 2 {
		if v := pairs[i+1].(value.Value); !v.IsAbsent() {
			members = append(members, value.Member{Key: pairs[i].(string), Value: v})
		}
	}
	return value.ObjectOf(members)
}
