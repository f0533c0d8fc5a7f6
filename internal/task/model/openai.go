package model

import (
	"context"
	"net/http"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// openai is a server that speaks OpenAI's chat completions. Claude's messages
// are translated, with their images and tools, and so are the answers.
type openai struct{ remote }

func (o *openai) invoke(ctx context.Context, in *request) (*answer, error) {
	if in.embedding {
		return o.embed(ctx, in)
	}
	chat, err := o.request(in.body)
	if err != nil {
		return nil, err
	}
	text, err := o.post(ctx, "/chat/completions", chat.JSON(), in.id, o.header())
	if err != nil {
		return nil, err
	}
	body, used, err := messageOf(text)
	if err != nil {
		return nil, err
	}
	return &answer{body: body, content: "application/json", used: used}, nil
}

func (o *openai) header() http.Header {
	header := http.Header{}
	if key := o.key(); key != "" {
		header["Authorization"] = []string{"Bearer " + key}
	}
	return header
}

// request translates Claude's messages into a chat.
func (o *openai) request(body value.Value) (value.Value, error) {
	list := body.Get("messages")
	if list.Kind() != value.Array || list.Len() == 0 {
		return value.Value{}, invalid("Body has no messages; this model takes the form of Claude's messages.")
	}
	var messages []value.Value
	system, err := textOf(body.Get("system"), "system")
	if err != nil {
		return value.Value{}, err
	}
	if system != "" {
		messages = append(messages, object("role", value.Str("system"), "content", value.Str(system)))
	}
	for _, m := range list.Items() {
		turns, err := chatTurns(m)
		if err != nil {
			return value.Value{}, err
		}
		messages = append(messages, turns...)
	}
	limit := "max_tokens"
	if strings.HasPrefix(o.url, "https://api.openai.com/") {
		limit = "max_completion_tokens" // the only name that all of its models take
	}
	tools, choice := chatTools(body)
	return object(
		"model", value.Str(o.model),
		"messages", value.ArrayOf(messages),
		limit, body.Get("max_tokens"),
		"temperature", body.Get("temperature"),
		"top_p", body.Get("top_p"),
		"stop", body.Get("stop_sequences"),
		"tools", tools,
		"tool_choice", choice,
	), nil
}

// chatTurns translates a message: results of tools are messages of their own.
func chatTurns(m value.Value) ([]value.Value, error) {
	role := m.Get("role").Str()
	if role != "user" && role != "assistant" {
		return nil, invalid("A message's role must be user or assistant, not %.40q.", role)
	}
	content := m.Get("content")
	if content.Kind() == value.String {
		return []value.Value{object("role", value.Str(role), "content", content)}, nil
	}
	if content.Kind() != value.Array {
		return nil, invalid("content must be a text or a list of blocks.")
	}
	var results, parts, calls []value.Value
	plain := true
	for _, b := range content.Items() {
		switch typ := b.Get("type").Str(); typ {
		case "text":
			parts = append(parts, object("type", value.Str("text"), "text", b.Get("text")))
		case "image":
			plain = false
			source := b.Get("source")
			address := source.Get("url").Str()
			if source.Get("type").Str() == "base64" {
				address = "data:" + source.Get("media_type").Str() + ";base64," + source.Get("data").Str()
			}
			parts = append(parts, object("type", value.Str("image_url"), "image_url", object("url", value.Str(address))))
		case "tool_use":
			calls = append(calls, object("id", b.Get("id"), "type", value.Str("function"),
				"function", object("name", b.Get("name"), "arguments", value.Str(b.Get("input").JSON()))))
		case "tool_result":
			text, err := textOf(b.Get("content"), "the content of a tool_result")
			if err != nil {
				return nil, err
			}
			results = append(results, object("role", value.Str("tool"), "tool_call_id", b.Get("tool_use_id"), "content", value.Str(text)))
		default:
			return nil, invalid("A block of type %.40q cannot be passed on to an OpenAI-compatible server.", typ)
		}
	}
	if len(parts) == 0 && len(calls) == 0 {
		return results, nil
	}
	turn := value.ArrayOf(parts)
	if plain {
		var texts []string
		for _, p := range parts {
			texts = append(texts, p.Get("text").Str())
		}
		turn = value.Str(strings.Join(texts, "\n"))
	}
	var used value.Value
	if len(calls) > 0 {
		used = value.ArrayOf(calls)
	}
	return append(results, object("role", value.Str(role), "content", turn, "tool_calls", used)), nil
}

func chatTools(body value.Value) (tools, choice value.Value) {
	list := body.Get("tools")
	if list.Kind() != value.Array || list.Len() == 0 {
		return value.Value{}, value.Value{}
	}
	var all []value.Value
	for _, t := range list.Items() {
		all = append(all, object("type", value.Str("function"),
			"function", object("name", t.Get("name"), "description", t.Get("description"), "parameters", t.Get("input_schema"))))
	}
	switch c := body.Get("tool_choice"); c.Get("type").Str() {
	case "any":
		choice = value.Str("required")
	case "tool":
		choice = object("type", value.Str("function"), "function", object("name", c.Get("name")))
	case "auto", "none":
		choice = c.Get("type")
	}
	return value.ArrayOf(all), choice
}

// messageOf translates a chat completion into Claude's answer.
func messageOf(text string) (value.Value, Tokens, error) {
	chat, err := value.Parse(text)
	if err != nil {
		return value.Value{}, Tokens{}, malformed("OpenAI answered with something that is not JSON: %v", err)
	}
	choice := chat.Get("choices").At(0)
	said, calls := choice.Get("message").Get("content"), choice.Get("message").Get("tool_calls")
	var blocks []value.Value
	if said.Kind() == value.String && (said.Str() != "" || calls.Len() == 0) {
		blocks = append(blocks, textBlock(said))
	}
	for _, c := range calls.Items() {
		input, err := value.Parse(or(c.Get("function").Get("arguments").Str(), "{}"))
		if err != nil {
			return value.Value{}, Tokens{}, malformed("OpenAI answered with a call of a tool whose arguments are not JSON: %v", err)
		}
		blocks = append(blocks, object("type", value.Str("tool_use"), "id", c.Get("id"), "name", c.Get("function").Get("name"), "input", input))
	}
	if len(blocks) == 0 {
		return value.Value{}, Tokens{}, malformed("OpenAI answered without choices[0].message.content.")
	}
	stop := map[string]string{"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
	usage := chat.Get("usage")
	whole, cached := number(usage.Get("prompt_tokens")), number(usage.Get("prompt_tokens_details").Get("cached_tokens"))
	used := Tokens{Input: max(0, whole-cached), CacheRead: cached, Output: number(usage.Get("completion_tokens"))}
	m := message(chat.Get("id").Str(), chat.Get("model").Str(), blocks, or(stop[choice.Get("finish_reason").Str()], "end_turn"), used)
	return m, used, nil
}

func number(v value.Value) int64 {
	n, _ := v.Int64()
	return n
}

// embed asks for the embedding of a text, in Amazon Titan's form.
func (o *openai) embed(ctx context.Context, in *request) (*answer, error) {
	ask := object("model", value.Str(o.model), "input", in.body.Get("inputText"), "dimensions", in.body.Get("dimensions"))
	text, err := o.post(ctx, "/embeddings", ask.JSON(), in.id, o.header())
	if err != nil {
		return nil, err
	}
	got, err := value.Parse(text)
	if err != nil {
		return nil, malformed("OpenAI answered with something that is not JSON: %v", err)
	}
	vector := got.Get("data").At(0).Get("embedding")
	if vector.Kind() != value.Array {
		return nil, malformed("OpenAI answered without data[0].embedding.")
	}
	used := Tokens{Input: number(got.Get("usage").Get("prompt_tokens"))}
	return &answer{body: object("embedding", vector, "inputTextTokenCount", value.Int(used.Input)), content: "application/json", used: used}, nil
}
