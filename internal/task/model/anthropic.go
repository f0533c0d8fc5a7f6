package model

import (
	"context"
	"net/http"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// anthropic is the Anthropic Messages API. Its bodies are those that Bedrock has
// for Claude, apart from where the model and the version stand.
type anthropic struct{ remote }

func (a *anthropic) invoke(ctx context.Context, in *request) (*answer, error) {
	if in.body.Kind() != value.Object {
		return nil, invalid("Body must be an object in the form of Claude's messages.")
	}
	header := http.Header{"Anthropic-Version": {"2023-06-01"}}
	if key := a.key(); key != "" {
		header["X-Api-Key"] = []string{key}
	}
	for _, beta := range in.body.Get("anthropic_beta").Items() {
		if text := beta.Str(); !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			header["Anthropic-Beta"] = append(header["Anthropic-Beta"], text)
		}
	}
	body := in.body.Without("anthropic_version").Without("anthropic_beta").Without("stream").
		With("model", value.Str(or(a.model, claude(in.model))))
	text, err := a.post(ctx, "/v1/messages", body.JSON(), in.id, header)
	if err != nil {
		return nil, err
	}
	said := &answer{text: text, content: "application/json"}
	said.used = tokensOf(said.value().Get("usage"))
	return said, nil
}

// claude is Anthropic's own name for a model that Bedrock has as
// "us.anthropic.claude-3-haiku-20240307-v1:0".
func claude(id string) string {
	id = id[strings.LastIndexByte(id, '/')+1:]
	if _, after, ok := strings.Cut(id, "anthropic."); ok {
		id = after
	}
	id, _, _ = strings.Cut(id, ":")
	if i := strings.LastIndex(id, "-v"); i > 0 && len(id) == i+3 && '0' <= id[i+2] && id[i+2] <= '9' {
		id = id[:i]
	}
	return id
}

// tokensOf reads the usage of Claude's answers, whose parts are disjoint.
func tokensOf(u value.Value) Tokens {
	t := Tokens{Input: number(u.Get("input_tokens")), Output: number(u.Get("output_tokens")), CacheRead: number(u.Get("cache_read_input_tokens"))}
	if c := u.Get("cache_creation"); c.Kind() == value.Object {
		t.CacheWrite5m, t.CacheWrite1h = number(c.Get("ephemeral_5m_input_tokens")), number(c.Get("ephemeral_1h_input_tokens"))
		return t
	}
	t.CacheWrite5m = number(u.Get("cache_creation_input_tokens"))
	return t
}
