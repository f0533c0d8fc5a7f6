package model

import (
	"context"
	"net/http"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// openai is a server that speaks OpenAI's chat completions. Requests in the form
// of Claude's messages are translated, and so are the answers; text is all that
// they may hold.
type openai struct{ remote }

func (o *openai) invoke(ctx context.Context, in *request) (*answer, error) {
	chat, err := o.request(in.body)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if key := o.key(); key != "" {
		header["Authorization"] = []string{"Bearer " + key}
	}
	text, err := o.post(ctx, "/chat/completions", chat.JSON(), in.id, header)
	if err != nil {
		return nil, err
	}
	body, err := messageOf(text)
	if err != nil {
		return nil, err
	}
	return &answer{body.JSON(), "application/json"}, nil
}

// request translates Claude's messages into a chat.
func (o *openai) request(body value.Value) (value.Value, error) {
	c, err := conversationOf(body)
	if err != nil {
		return value.Value{}, err
	}
	var messages []value.Value
	if c.system != "" {
		messages = append(messages, chatMessage("system", c.system))
	}
	for _, m := range c.messages {
		messages = append(messages, chatMessage(m.role, m.text))
	}
	limit := "max_tokens"
	if strings.HasPrefix(o.url, "https://api.openai.com/") {
		limit = "max_completion_tokens" // the only name that all of its models take
	}
	return object(
		"model", value.Str(o.model),
		"messages", value.ArrayOf(messages),
		limit, body.Get("max_tokens"),
		"temperature", body.Get("temperature"),
		"top_p", body.Get("top_p"),
		"stop", body.Get("stop_sequences"),
	), nil
}

func chatMessage(role, text string) value.Value {
	return object("role", value.Str(role), "content", value.Str(text))
}

// messageOf translates a chat completion into Claude's answer.
func messageOf(text string) (value.Value, error) {
	chat, err := value.Parse(text)
	if err != nil {
		return value.Value{}, malformed("OpenAI answered with something that is not JSON: %v", err)
	}
	choice := chat.Get("choices").At(0)
	said := choice.Get("message").Get("content")
	if said.Kind() != value.String {
		return value.Value{}, malformed("OpenAI answered without choices[0].message.content.")
	}
	stop := map[string]string{"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
	return message(chat.Get("id").Str(), chat.Get("model").Str(), said.Str(),
		or(stop[choice.Get("finish_reason").Str()], "end_turn"),
		chat.Get("usage").Get("prompt_tokens"), chat.Get("usage").Get("completion_tokens")), nil
}
