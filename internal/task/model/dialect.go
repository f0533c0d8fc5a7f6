package model

import (
	"path"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// dialect is the form that a family of models has for requests and answers.
// Claude's messages are the common one: a request is translated into them for
// whoever answers, and the answer back, so that a definition runs with every
// provider as it stands.
type dialect interface {
	// request makes Claude's messages of a body.
	request(body value.Value) (value.Value, error)
	// answer makes the family's answer of Claude's.
	answer(message value.Value) value.Value
}

// dialectOf is the form of a ModelId.
func dialectOf(id string) dialect {
	id = path.Base(id)
	switch {
	case strings.Contains(id, "titan-text"):
		return titan{}
	case strings.Contains(id, "meta.llama"):
		return llama{}
	case strings.Contains(id, "amazon.nova"):
		return nova{lower}
	}
	return claudes{}
}

type claudes struct{}

func (claudes) request(body value.Value) (value.Value, error) { return body, nil }
func (claudes) answer(message value.Value) value.Value        { return message }

// titan is Amazon Titan Text's form.
type titan struct{}

func (titan) request(body value.Value) (value.Value, error) {
	text := body.Get("inputText")
	if text.Kind() != value.String {
		return value.Value{}, invalid("Body has no inputText; this model takes the form of Amazon Titan Text.")
	}
	c := body.Get("textGenerationConfig")
	return object(
		"max_tokens", orInt(c.Get("maxTokenCount"), 512),
		"messages", value.ArrayOf([]value.Value{object("role", value.Str("user"), "content", text)}),
		"temperature", c.Get("temperature"),
		"top_p", c.Get("topP"),
		"stop_sequences", c.Get("stopSequences"),
	), nil
}

func (titan) answer(m value.Value) value.Value {
	reason := "FINISH"
	if m.Get("stop_reason").Str() == "max_tokens" {
		reason = "LENGTH"
	}
	return object(
		"inputTextTokenCount", m.Get("usage").Get("input_tokens"),
		"results", value.ArrayOf([]value.Value{object(
			"tokenCount", m.Get("usage").Get("output_tokens"),
			"outputText", value.Str(saidIn(m)),
			"completionReason", value.Str(reason),
		)}),
	)
}

// llama is the form of Meta's Llama. Its prompt may hold the marks of Llama 3
// that say who speaks.
type llama struct{}

func (llama) request(body value.Value) (value.Value, error) {
	prompt := body.Get("prompt")
	if prompt.Kind() != value.String {
		return value.Value{}, invalid("Body has no prompt; this model takes the form of Meta Llama.")
	}
	system, messages := turnsOf(prompt.Str())
	var said value.Value
	if system != "" {
		said = value.Str(system)
	}
	return object(
		"max_tokens", orInt(body.Get("max_gen_len"), 512),
		"system", said,
		"messages", value.ArrayOf(messages),
		"temperature", body.Get("temperature"),
		"top_p", body.Get("top_p"),
	), nil
}

// turnsOf takes a prompt of Llama 3 apart; any other is what the user says.
func turnsOf(prompt string) (system string, messages []value.Value) {
	const begin, end, over = "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
	for _, part := range strings.Split(prompt, begin)[1:] {
		role, text, ok := strings.Cut(part, end)
		if !ok {
			continue
		}
		text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), over))
		switch {
		case role == "system":
			system = text
		case text != "":
			messages = append(messages, object("role", value.Str(role), "content", value.Str(text)))
		}
	}
	if messages == nil {
		messages = []value.Value{object("role", value.Str("user"), "content", value.Str(prompt))}
	}
	return system, messages
}

func (llama) answer(m value.Value) value.Value {
	reason := "stop"
	if m.Get("stop_reason").Str() == "max_tokens" {
		reason = "length"
	}
	return object(
		"generation", value.Str(saidIn(m)),
		"prompt_token_count", m.Get("usage").Get("input_tokens"),
		"generation_token_count", m.Get("usage").Get("output_tokens"),
		"stop_reason", value.Str(reason),
	)
}

// nova is Amazon Nova's form, which is that of Bedrock's Converse too. There its
// members are written as Step Functions writes those of all services.
type nova struct{ spell func(string) string }

func lower(name string) string { return name }
func upper(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// of finds a member by its name in the form's spelling.
func (n nova) of(v value.Value, name string) value.Value { return v.Get(n.spell(name)) }

func (n nova) object(pairs ...any) value.Value {
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = n.spell(pairs[i].(string))
	}
	return object(pairs...)
}

func (n nova) request(body value.Value) (value.Value, error) {
	messages := n.of(body, "messages")
	if messages.Kind() != value.Array || messages.Len() == 0 {
		return value.Value{}, invalid("The request has no %s.", n.spell("messages"))
	}
	var turns []value.Value
	for _, m := range messages.Items() {
		var blocks []value.Value
		for _, b := range n.of(m, "content").Items() {
			block, err := n.block(b)
			if err != nil {
				return value.Value{}, err
			}
			blocks = append(blocks, block)
		}
		turns = append(turns, object("role", n.of(m, "role"), "content", value.ArrayOf(blocks)))
	}
	var system value.Value
	if list := n.of(body, "system"); list.Kind() == value.Array && list.Len() > 0 {
		var texts []string
		for _, s := range list.Items() {
			texts = append(texts, n.of(s, "text").Str())
		}
		system = value.Str(strings.Join(texts, "\n"))
	}
	c := n.of(body, "inferenceConfig")
	tools, choice := n.tools(n.of(body, "toolConfig"))
	return object(
		"max_tokens", orInt(n.of(c, "maxTokens"), 4096),
		"system", system,
		"messages", value.ArrayOf(turns),
		"temperature", n.of(c, "temperature"),
		"top_p", n.of(c, "topP"),
		"stop_sequences", n.of(c, "stopSequences"),
		"tools", tools,
		"tool_choice", choice,
	), nil
}

// block makes a block of Claude's of one of the form's.
func (n nova) block(b value.Value) (value.Value, error) {
	if text := n.of(b, "text"); text.Kind() == value.String {
		return textBlock(text), nil
	}
	if image := n.of(b, "image"); !image.IsAbsent() {
		return object("type", value.Str("image"), "source", object(
			"type", value.Str("base64"),
			"media_type", value.Str("image/"+n.of(image, "format").Str()),
			"data", n.of(n.of(image, "source"), "bytes"),
		)), nil
	}
	if use := n.of(b, "toolUse"); !use.IsAbsent() {
		return object("type", value.Str("tool_use"), "id", n.of(use, "toolUseId"), "name", n.of(use, "name"), "input", n.of(use, "input")), nil
	}
	if result := n.of(b, "toolResult"); !result.IsAbsent() {
		var parts []value.Value
		for _, c := range n.of(result, "content").Items() {
			if j := n.of(c, "json"); !j.IsAbsent() {
				parts = append(parts, textBlock(value.Str(j.JSON())))
				continue
			}
			part, err := n.block(c)
			if err != nil {
				return value.Value{}, err
			}
			parts = append(parts, part)
		}
		var failed value.Value
		if n.of(result, "status").Str() == "error" {
			failed = value.BoolOf(true)
		}
		return object("type", value.Str("tool_result"), "tool_use_id", n.of(result, "toolUseId"), "content", value.ArrayOf(parts), "is_error", failed), nil
	}
	return value.Value{}, invalid("A content block holds none of text, image, toolUse and toolResult: %.200s", b.JSON())
}

func textBlock(text value.Value) value.Value { return object("type", value.Str("text"), "text", text) }

// tools makes Claude's tools of a toolConfig.
func (n nova) tools(config value.Value) (tools, choice value.Value) {
	list := n.of(config, "tools")
	if list.Kind() != value.Array {
		return value.Value{}, value.Value{}
	}
	var all []value.Value
	for _, t := range list.Items() {
		spec := n.of(t, "toolSpec")
		all = append(all, object("name", n.of(spec, "name"), "description", n.of(spec, "description"), "input_schema", n.of(n.of(spec, "inputSchema"), "json")))
	}
	switch c := n.of(config, "toolChoice"); {
	case !n.of(c, "any").IsAbsent():
		choice = object("type", value.Str("any"))
	case !n.of(c, "tool").IsAbsent():
		choice = object("type", value.Str("tool"), "name", n.of(n.of(c, "tool"), "name"))
	case !n.of(c, "auto").IsAbsent():
		choice = object("type", value.Str("auto"))
	}
	return value.ArrayOf(all), choice
}

func (n nova) answer(m value.Value) value.Value {
	var blocks []value.Value
	for _, b := range m.Get("content").Items() {
		switch b.Get("type").Str() {
		case "text":
			blocks = append(blocks, n.object("text", b.Get("text")))
		case "tool_use":
			blocks = append(blocks, n.object("toolUse", n.object("toolUseId", b.Get("id"), "name", b.Get("name"), "input", b.Get("input"))))
		}
	}
	in, _ := m.Get("usage").Get("input_tokens").Int64()
	out, _ := m.Get("usage").Get("output_tokens").Int64()
	return n.object(
		"output", n.object("message", n.object("role", value.Str("assistant"), "content", value.ArrayOf(blocks))),
		"stopReason", value.Str(or(m.Get("stop_reason").Str(), "end_turn")),
		"usage", n.object("inputTokens", value.Int(in), "outputTokens", value.Int(out), "totalTokens", value.Int(in+out)),
	)
}

// recase spells the members of a request or an answer of Converse as the other
// side does. What is a document of the caller's own stays as it is.
func recase(v value.Value, spell func(string) string) value.Value {
	switch v.Kind() {
	case value.Array:
		items := make([]value.Value, 0, v.Len())
		for _, item := range v.Items() {
			items = append(items, recase(item, spell))
		}
		return value.ArrayOf(items)
	case value.Object:
		members := make([]value.Member, 0, v.Len())
		for name, member := range v.Members() {
			switch name {
			case "json", "Json", "input", "Input", "additionalModelRequestFields", "AdditionalModelRequestFields", "additionalModelResponseFields":
			default:
				member = recase(member, spell)
			}
			if name != "" {
				name = spell(name)
			}
			members = append(members, value.Member{Key: name, Value: member})
		}
		return value.ObjectOf(members)
	}
	return v
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// saidIn is the text of Claude's answer.
func saidIn(m value.Value) string {
	var parts []string
	for _, b := range m.Get("content").Items() {
		if b.Get("type").Str() == "text" {
			parts = append(parts, b.Get("text").Str())
		}
	}
	return strings.Join(parts, "\n")
}

func orInt(v value.Value, otherwise int64) value.Value {
	if v.Kind() == value.Number {
		return v
	}
	return value.Int(otherwise)
}
