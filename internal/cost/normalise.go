package cost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Form says how a source counts tokens.
type Form string

const (
	// Anthropic: the usage of Anthropic's messages; its parts are disjoint.
	Anthropic Form = "anthropic"
	// OpenAI: the usage of chat completions or responses; the prompt includes
	// what came from a cache.
	OpenAI Form = "openai"
	// OTel: attributes of OpenTelemetry's conventions for generative AI, or
	// totals as genai-prices has them; the input includes what went through a
	// cache.
	OTel Form = "otel"
	// Codex: the usage that Codex's events have; the input includes what came
	// from a cache.
	Codex Form = "codex"
	// OpenClaw: input, cacheRead, cacheWrite and output; disjoint.
	OpenClaw Form = "openclaw"
	// Bedrock: the usage of Converse; disjoint.
	Bedrock Form = "bedrock"
	// Disjoint: the buckets by our own names; see Tokens.
	Disjoint Form = "disjoint"
)

// Forms are the names that Normalise takes.
var Forms = []Form{Anthropic, Bedrock, Codex, Disjoint, OpenAI, OpenClaw, OTel}

// Normalise makes disjoint buckets of a source's usage, a JSON object. Where
// parts are larger than the whole they are said to be in, the rest is 0 and the
// marks have NormalisationWarning. What is missing is 0. It fails on what is no
// object, and on counts that are no whole numbers or beyond MaxTokens.
func Normalise(form Form, usage []byte) (Tokens, Marks, error) {
	if !slices.Contains(Forms, form) {
		return Tokens{}, 0, fmt.Errorf("usage of form %q is not known; there are %v", string(form), Forms)
	}
	d := json.NewDecoder(bytes.NewReader(usage))
	d.UseNumber()
	r := &reader{}
	if err := d.Decode(&r.object); err != nil {
		return Tokens{}, 0, fmt.Errorf("usage must be a JSON object: %w", err)
	}
	t := r.tokens(form)
	if r.err == nil {
		r.err = t.Check()
	}
	if r.err != nil {
		return Tokens{}, 0, fmt.Errorf("usage of form %s: %w", form, r.err)
	}
	return t, r.marks, nil
}

func (r *reader) tokens(form Form) (t Tokens) {
	switch form {
	case Anthropic:
		t.Input, t.Output, t.CacheRead = r.n("input_tokens"), r.n("output_tokens"), r.n("cache_read_input_tokens")
		t.Reasoning = r.n("output_tokens_details.thinking_tokens")
		if r.has("cache_creation") {
			t.CacheWrite5m, t.CacheWrite1h = r.n("cache_creation.ephemeral_5m_input_tokens"), r.n("cache_creation.ephemeral_1h_input_tokens")
		} else {
			t.CacheWrite5m = r.n("cache_creation_input_tokens")
		}
	case OpenAI:
		in, out := "prompt_tokens", "completion_tokens"
		if r.has("input_tokens") {
			in, out = "input_tokens", "output_tokens"
		}
		t.CacheRead, t.CacheWrite5m = r.n(in+"_details.cached_tokens"), r.n(in+"_details.cache_write_tokens")
		t.Output, t.Reasoning = r.n(out), r.n(out+"_details.reasoning_tokens")
		t.Input = r.rest(r.n(in), t.CacheRead, t.CacheWrite5m)
	case OTel:
		t.CacheRead = r.n("gen_ai.usage.cache_read.input_tokens", "cache_read_tokens", "cache_read_input_tokens")
		t.CacheWrite5m = r.n("gen_ai.usage.cache_creation.input_tokens", "cache_write_tokens", "cache_creation_input_tokens")
		t.Output = r.n("gen_ai.usage.output_tokens", "output_tokens")
		t.Input = r.rest(r.n("gen_ai.usage.input_tokens", "input_tokens"), t.CacheRead, t.CacheWrite5m)
	case Codex:
		t.CacheRead, t.Output, t.Reasoning = r.n("cached_input_tokens"), r.n("output_tokens"), r.n("reasoning_output_tokens")
		t.Input = r.rest(r.n("input_tokens"), t.CacheRead, 0)
	case OpenClaw:
		t.Input, t.CacheRead, t.CacheWrite5m, t.Output = r.n("input"), r.n("cacheRead"), r.n("cacheWrite"), r.n("output")
	case Bedrock:
		t.Input, t.CacheRead, t.CacheWrite5m, t.Output = r.n("inputTokens"), r.n("cacheReadInputTokens"), r.n("cacheWriteInputTokens"), r.n("outputTokens")
	case Disjoint:
		t.Input, t.CacheRead, t.Output, t.Reasoning = r.n("input"), r.n("cache_read"), r.n("output"), r.n("reasoning")
		t.CacheWrite5m, t.CacheWrite1h = r.n("cache_write_5m"), r.n("cache_write_1h")
	}
	return t
}

// reader takes counts out of an object and remembers what was wrong with them.
type reader struct {
	object map[string]any
	marks  Marks
	err    error
}

// find follows a name with dots, which a member may have in its name too.
func (r *reader) find(name string) any {
	if v, ok := r.object[name]; ok {
		return v
	}
	head, tail, _ := strings.Cut(name, ".")
	inner, _ := r.object[head].(map[string]any)
	return inner[tail]
}

func (r *reader) has(name string) bool { return r.find(name) != nil }

// n is the count under the first of some names that is there, else 0.
func (r *reader) n(names ...string) int64 {
	for _, name := range names {
		v := r.find(name)
		if v == nil {
			continue
		}
		number, ok := v.(json.Number)
		n, err := number.Int64()
		if !ok || err != nil {
			if r.err == nil {
				r.err = fmt.Errorf("%s is %.40q, not a whole number", name, fmt.Sprint(v))
			}
			return 0
		}
		if n < 0 {
			r.marks |= NormalisationWarning
			return 0
		}
		if n > MaxTokens {
			if r.err == nil {
				r.err = fmt.Errorf("%s is %d; it must be at most %d", name, n, int64(MaxTokens))
			}
			return 0
		}
		return n
	}
	return 0
}

// rest is a total without two parts of it.
func (r *reader) rest(total, a, b int64) int64 {
	if a+b > total {
		r.marks |= NormalisationWarning
		return 0
	}
	return total - a - b
}
