package cost_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/cost"
)

var day = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// own is a catalog with one model of the provider p.
func own(prices ...cost.Price) *cost.Catalog {
	return cost.NewCatalog([]cost.Model{{Provider: "p", ID: "m", Prices: prices}}, nil)
}

var sample = cost.Rates{Input: 3 * cost.USD, Output: 15 * cost.USD, CacheRead: 300_000_000, CacheWrite5m: 3_750_000_000, CacheWrite1h: 6 * cost.USD}

func TestCost(t *testing.T) {
	c := own(cost.Price{Rates: sample})
	f := func(input, read, w5m, w1h, output, want int64) {
		t.Helper()
		got, err := c.Cost(cost.Call{Provider: "p", Model: "m", At: day, Tokens: cost.Tokens{Input: input, CacheRead: read, CacheWrite5m: w5m, CacheWrite1h: w1h, Output: output}})
		if err != nil || got.Computed != want || got.Billed != want || got.Shadow != want || got.Marks != 0 {
			t.Errorf("%d %d %d %d %d = %+v, %v; want %d", input, read, w5m, w1h, output, got, err, want)
		}
	}
	f(200, 1000, 0, 0, 34, 1_410_000)
	f(400, 2000, 0, 0, 68, 2_820_000)
	f(5, 128_955, 1_253, 0, 0, 43_400_250)
	f(0, 0, 0, 1000, 0, 6_000_000)
	f(1, 0, 0, 0, 0, 3_000)
	f(0, 0, 0, 0, 0, 0)
}

// TestOneDivision compares with arithmetic that has no bounds: half up, once.
func TestOneDivision(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		rate := func() cost.Rate { return cost.Rate(r.Int64N(int64(1) << r.IntN(43))) }
		rates := cost.Rates{Input: rate(), CacheRead: rate(), CacheWrite5m: rate(), CacheWrite1h: rate(), Output: rate()}
		n := func() int64 { return r.Int64N(int64(1) << r.IntN(36)) }
		tokens := cost.Tokens{Input: n(), CacheRead: n(), CacheWrite5m: n(), CacheWrite1h: n(), Output: n()}
		sum := new(big.Int)
		for _, p := range [][2]int64{{tokens.Input, int64(rates.Input)}, {tokens.CacheRead, int64(rates.CacheRead)}, {tokens.CacheWrite5m, int64(rates.CacheWrite5m)},
			{tokens.CacheWrite1h, int64(rates.CacheWrite1h)}, {tokens.Output, int64(rates.Output)}} {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(p[0]), big.NewInt(p[1])))
		}
		want := sum.Div(sum.Add(sum, big.NewInt(500_000)), big.NewInt(1_000_000))
		got, err := own(cost.Price{Rates: rates}).Cost(cost.Call{Provider: "p", Model: "m", At: day, Tokens: tokens})
		if want.Cmp(big.NewInt(cost.MaxCost)) > 0 {
			if err == nil {
				t.Fatalf("%+v at %+v = %d, want an error: it is above what one event may cost", tokens, rates, got.Computed)
			}
			continue
		}
		if err != nil || got.Computed != want.Int64() {
			t.Fatalf("%+v at %+v = %d, %v; want %s", tokens, rates, got.Computed, err, want)
		}
	}
}

func TestHalfUp(t *testing.T) {
	f := func(rate cost.Rate, tokens, want int64) {
		t.Helper()
		got, err := own(cost.Price{Rates: cost.Rates{Input: rate}}).Cost(cost.Call{Provider: "p", Model: "m", At: day, Tokens: cost.Tokens{Input: tokens}})
		if err != nil || got.Computed != want {
			t.Errorf("%d tokens at %d = %d, %v; want %d", tokens, rate, got.Computed, err, want)
		}
	}
	f(1, 499_999, 0)
	f(1, 500_000, 1)
	f(1, 1_499_999, 1)
	f(1, 1_500_000, 2)
}

func TestBilling(t *testing.T) {
	c := own(cost.Price{Rates: sample})
	reported := int64(999)
	f := func(model string, billing cost.Billing, reported *int64, billed, shadow int64, marks string) {
		t.Helper()
		got, err := c.Cost(cost.Call{Provider: "p", Model: model, At: day, Tokens: cost.Tokens{Input: 1000}, Billing: billing, Reported: reported})
		if err != nil || got.Billed != billed || got.Shadow != shadow || got.Marks.String() != marks {
			t.Errorf("%s %s: %+v, %v; want billed %d, shadow %d, marks %q", model, billing, got, err, billed, shadow, marks)
		}
	}
	f("m", cost.Metered, nil, 3_000_000, 3_000_000, "")
	f("m", "", &reported, 999, 3_000_000, "")
	f("m", cost.Subscription, &reported, 0, 3_000_000, "")
	f("m", cost.Local, nil, 0, 3_000_000, "")
	f("other", cost.Metered, nil, 0, 0, "unpriced")
	f("other", cost.Metered, &reported, 999, 999, "unpriced")
	f("other", cost.Subscription, &reported, 0, 999, "unpriced")
}

func TestMissingPrices(t *testing.T) {
	rates := cost.NoRates
	rates.Input, rates.Output = 1_000_000, 2_000_000
	c := own(cost.Price{Rates: rates})
	f := func(tokens cost.Tokens, want int64, marks string) {
		t.Helper()
		got, err := c.Cost(cost.Call{Provider: "p", Model: "m", At: day, Tokens: tokens})
		if err != nil || got.Computed != want || got.Marks.String() != marks {
			t.Errorf("%+v: %+v, %v; want %d, marks %q", tokens, got, err, want, marks)
		}
	}
	f(cost.Tokens{Input: 1, Output: 1}, 3, "")
	f(cost.Tokens{CacheRead: 5}, 5, "price_incomplete")
	f(cost.Tokens{CacheWrite5m: 5, CacheWrite1h: 7}, 12, "price_incomplete")
	rates.Output = cost.Unknown
	c = own(cost.Price{Rates: rates})
	f(cost.Tokens{Input: 4}, 4, "") // an embedding has no output
	f(cost.Tokens{Input: 4, Output: 1}, 0, "unpriced")
}

func TestTiersAndDates(t *testing.T) {
	at := func(input cost.Rate) cost.Rates {
		return cost.Rates{Input: input, CacheRead: 1_000_000, Output: 1_000_000}
	}
	change := time.Date(2026, 3, 13, 0, 0, 0, 0, time.UTC)
	c := own(
		cost.Price{From: change, Rates: at(2_000_000)},
		cost.Price{Rates: at(5_000_000), Tiers: []cost.Tier{{Above: 300, Rates: at(7_000_000)}, {Above: 200, Rates: at(6_000_000)}}},
	)
	f := func(when time.Time, input, read int64, sum bool, want int64, marks string) {
		t.Helper()
		got, err := c.Cost(cost.Call{Provider: "p", Model: "m", At: when, Tokens: cost.Tokens{Input: input, CacheRead: read}, Sum: sum})
		if err != nil || got.Computed != want || got.Marks.String() != marks {
			t.Errorf("%v %d+%d: %+v, %v; want %d %q", when, input, read, got, err, want, marks)
		}
	}
	before := change.Add(-1)
	f(before, 200, 0, false, 1000, "")
	f(before, 201, 0, false, 1206, "")
	f(before, 1, 200, false, 6+200, "") // what came from a cache counts for the tier
	f(before, 300, 0, false, 1800, "")  // not yet above
	f(before, 1000, 0, false, 7000, "") // all of it
	f(before, 1000, 0, true, 5000, "tier_estimated")
	f(change, 1000, 0, false, 2000, "")
	f(change, 1000, 0, true, 2000, "") // no tiers, nothing to estimate
	first := own(cost.Price{From: change, Rates: sample})
	if got, err := first.Cost(cost.Call{Provider: "p", Model: "m", At: before}); err != nil || got.Marks.String() != "unpriced" {
		t.Errorf("before the first price: %+v, %v", got, err)
	}
}

func TestVersions(t *testing.T) {
	version := func(p cost.Price) string {
		got, err := own(p).Cost(cost.Call{Provider: "p", Model: "m", At: day})
		if err != nil || got.Version == "" {
			t.Fatal(got, err)
		}
		return got.Version
	}
	a := version(cost.Price{Rates: sample})
	if b := version(cost.Price{Rates: sample}); a != b {
		t.Errorf("the same price has versions %s and %s", a, b)
	}
	other := sample
	other.Output++
	if b := version(cost.Price{Rates: other}); a == b {
		t.Error("another price has the same version")
	}
}

func TestResolve(t *testing.T) {
	c := cost.NewCatalog(nil, []cost.Model{
		{Provider: "deepinfra", ID: "meta-llama/Llama-3", Prices: []cost.Price{{Rates: sample}}},
		{Provider: "x", ID: "by-rule", Match: &cost.Match{And: []*cost.Match{{StartsWith: "Big-"}, {Or: []*cost.Match{{Contains: "blue"}, {Regex: "red$"}}}}}, Prices: []cost.Price{{Rates: sample}}},
	})
	f := func(provider, model, want string) {
		t.Helper()
		m, ok := c.Resolve(provider, model)
		got := "unpriced"
		if ok {
			got = m.Provider + " " + m.ID
		}
		if got != want {
			t.Errorf("%s %s is %s, want %s", provider, model, got, want)
		}
	}
	f("anthropic", "claude-opus-4-5", "anthropic claude-opus-4-5")
	f("anthropic", "claude-opus-4-5-20251101", "anthropic claude-opus-4-5")
	f("anthropic", "claude-opus-5-5", "anthropic claude-opus-5-5")
	f("", "claude-3-haiku-20240307", "anthropic claude-3-haiku")
	f("openrouter", "openrouter/anthropic/claude-opus-5", "anthropic claude-opus-5")
	f("aws", "us.anthropic.claude-opus-4-5-20251101-v1:0", "bedrock anthropic.claude-opus-4-5")
	f("bedrock", "global.anthropic.claude-opus-4-5-20251101-v1:0", "bedrock global.anthropic.claude-opus-4-5")
	f("bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0", "bedrock amazon.nova-lite")
	f("bedrock", "meta.llama3-1-70b-instruct-v1:0", "bedrock meta.llama3-1-70b-instruct")
	f("bedrock", "global.anthropic.claude-opus-4-1", "unpriced") // a region's price is not the global one's
	f("openai", "gpt-4o-2024-08-06", "openai gpt-4o-2024-08-06")
	f("openai", "gpt-5-mini-2025-08-07", "openai gpt-5-mini")
	f("openai", "GPT-5-Mini", "openai gpt-5-mini")
	f("gemini", "models/gemini-2.5-pro", "google gemini-2.5-pro")
	f("deepinfra", "meta-llama/Llama-3", "deepinfra meta-llama/Llama-3")
	f("x", "big-red", "x by-rule")
	f("x", "big-green", "unpriced")
	f("openai", "gpt-99", "unpriced")
	f("openai", "llama3", "unpriced")
	f("azure", "gpt-4o", "unpriced") // another provider's price is a guess
	f("", "mistral-large", "unpriced")
	f("", "", "unpriced")
	f("openai", strings.Repeat("x", 5000), "unpriced")
}

func TestOverridesWin(t *testing.T) {
	mine := cost.Rates{Input: 7, Output: 7}
	c := cost.NewCatalog([]cost.Model{{Provider: "aws", ID: "anthropic.claude-opus-4-5", Prices: []cost.Price{{Rates: mine}}}},
		[]cost.Model{{Provider: "bedrock", ID: "us.anthropic.claude-opus-4-5-20251101-v1:0", Prices: []cost.Price{{Rates: sample}}}})
	m, ok := c.Resolve("bedrock", "us.anthropic.claude-opus-4-5-20251101-v1:0")
	if !ok || m.Prices[0].Rates != mine {
		t.Errorf("resolved to %+v, want the workspace's own price", m)
	}
}

// TestBuiltin reads the file that comes with the program.
func TestBuiltin(t *testing.T) {
	models := cost.Builtin()
	providers := map[string]int{}
	for _, m := range models {
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(m.Source, "https://") || !strings.Contains(m.Source, "seen 20") {
			t.Errorf("%s %s: source %q does not say where and when", m.Provider, m.ID, m.Source)
		}
		for _, p := range m.Prices {
			if p.Rates.Input == cost.Unknown || p.Rates.Output == cost.Unknown || p.Rates.Output < p.Rates.Input {
				t.Errorf("%s %s: prices %+v", m.Provider, m.ID, p.Rates)
			}
		}
		providers[m.Provider]++
	}
	if len(providers) != 4 || len(models) < 80 {
		t.Errorf("%d models of %v", len(models), providers)
	}
	got, err := cost.NewCatalog(nil, nil).Cost(cost.Call{Provider: "anthropic", Model: "claude-haiku-5-5", At: day, Tokens: cost.Tokens{Input: 100_001, Output: 1000}})
	if err != nil || got.Computed != 100_001*500+1000*2500 {
		t.Errorf("a long prompt: %+v, %v", got, err)
	}
}

func TestNormalise(t *testing.T) {
	f := func(form cost.Form, usage string, want cost.Tokens, marks cost.Marks) {
		t.Helper()
		got, m, err := cost.Normalise(form, []byte(usage))
		if err != nil || got != want || m != marks {
			t.Errorf("%s %s = %+v %v, %v; want %+v %v", form, usage, got, m, err, want, marks)
		}
	}
	f(cost.Anthropic, `{"input_tokens":5,"cache_read_input_tokens":128955,"cache_creation_input_tokens":1253,"output_tokens":9}`,
		cost.Tokens{Input: 5, CacheRead: 128955, CacheWrite5m: 1253, Output: 9}, 0)
	f(cost.Anthropic, `{"input_tokens":1,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":2}`,
		cost.Tokens{Input: 1, CacheWrite5m: 10, CacheWrite1h: 20, Output: 2}, 0)
	f(cost.OpenAI, `{"prompt_tokens":1200,"prompt_tokens_details":{"cached_tokens":1000},"completion_tokens":34,"completion_tokens_details":{"reasoning_tokens":30}}`,
		cost.Tokens{Input: 200, CacheRead: 1000, Output: 34, Reasoning: 30}, 0)
	f(cost.OpenAI, `{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1000,"cache_write_tokens":50},"output_tokens":34}`,
		cost.Tokens{Input: 150, CacheRead: 1000, CacheWrite5m: 50, Output: 34}, 0)
	f(cost.OpenAI, `{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":11},"completion_tokens":1}`,
		cost.Tokens{CacheRead: 11, Output: 1}, cost.NormalisationWarning)
	f(cost.OTel, `{"gen_ai.usage.input_tokens":100,"gen_ai.usage.cache_read.input_tokens":60,"gen_ai.usage.cache_creation.input_tokens":10,"gen_ai.usage.output_tokens":5}`,
		cost.Tokens{Input: 30, CacheRead: 60, CacheWrite5m: 10, Output: 5}, 0)
	f(cost.OTel, `{"input_tokens":100,"cache_read_tokens":60,"cache_write_tokens":50,"output_tokens":5}`,
		cost.Tokens{CacheRead: 60, CacheWrite5m: 50, Output: 5}, cost.NormalisationWarning)
	f(cost.Codex, `{"input_tokens":1200,"cached_input_tokens":1000,"output_tokens":34,"reasoning_output_tokens":4,"total_tokens":1234}`,
		cost.Tokens{Input: 200, CacheRead: 1000, Output: 34, Reasoning: 4}, 0)
	f(cost.OpenClaw, `{"input":200,"cacheRead":1000,"cacheWrite":7,"output":34,"total":1241}`,
		cost.Tokens{Input: 200, CacheRead: 1000, CacheWrite5m: 7, Output: 34}, 0)
	f(cost.Bedrock, `{"inputTokens":200,"cacheReadInputTokens":1000,"cacheWriteInputTokens":3,"outputTokens":34,"totalTokens":1234}`,
		cost.Tokens{Input: 200, CacheRead: 1000, CacheWrite5m: 3, Output: 34}, 0)
	f(cost.Disjoint, `{"input":1,"cache_read":2,"cache_write_5m":3,"cache_write_1h":4,"output":5,"reasoning":2}`,
		cost.Tokens{Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Reasoning: 2}, 0)
	f(cost.Anthropic, `{"input_tokens":-4,"output_tokens":2}`, cost.Tokens{Output: 2}, cost.NormalisationWarning)
	f(cost.Anthropic, `{}`, cost.Tokens{}, 0)

	bad := func(form cost.Form, usage, want string) {
		t.Helper()
		if _, _, err := cost.Normalise(form, []byte(usage)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: %v, want %q", form, usage, err, want)
		}
	}
	bad("claude", `{}`, "is not known")
	bad(cost.OpenAI, `[]`, "must be a JSON object")
	bad(cost.OpenAI, `{"prompt_tokens":1.5}`, "not a whole number")
	bad(cost.OpenAI, `{"prompt_tokens":"7"}`, "not a whole number")
	bad(cost.OpenAI, `{"prompt_tokens":100000000001}`, "at most")
	bad(cost.OpenAI, `{"prompt_tokens":99999999999999999999}`, "not a whole number")
}

func FuzzNormalise(f *testing.F) {
	for i := range cost.Forms {
		f.Add(uint8(i), `{"input_tokens":3,"cached_input_tokens":9,"output_tokens":-1,"cache_creation":{"ephemeral_5m_input_tokens":1}}`)
	}
	f.Fuzz(func(t *testing.T, form uint8, usage string) {
		tokens, _, err := cost.Normalise(cost.Forms[int(form)%len(cost.Forms)], []byte(usage))
		if err == nil && tokens.Check() != nil {
			t.Errorf("%s: %+v: %v", usage, tokens, tokens.Check())
		}
	})
}

func TestTooMuch(t *testing.T) {
	c := own(cost.Price{Rates: sample})
	f := func(call cost.Call, want string) {
		t.Helper()
		call.Provider, call.Model, call.At = "p", "m", day
		if _, err := c.Cost(call); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", call, err, want)
		}
	}
	huge, below := int64(math.MaxInt64), int64(-1)
	f(cost.Call{Tokens: cost.Tokens{Input: huge}}, "input is")
	f(cost.Call{Tokens: cost.Tokens{Output: -1}}, "output is -1")
	f(cost.Call{Reported: &huge}, "reported cost")
	f(cost.Call{Reported: &below}, "reported cost")
	f(cost.Call{Billing: "free"}, "billing")
}

const genai = `[{"id":"aws","name":"AWS","models":[
 {"id":"amazon.nova-x","match":{"contains":"amazon.nova-x"},"prices":{"input_mtok":0.00875,"cache_read_mtok":{"base":1,"tiers":[{"start":200000,"price":2}]},"output_mtok":{"base":3,"tiers":[{"start":200000,"price":4},{"start":500000,"price":5}]}}},
 {"id":"dated","match":{"equals":"dated"},"prices":[{"prices":{"input_mtok":10,"output_mtok":40}},{"constraint":{"start_date":"2025-06-10","type":"start_date"},"prices":{"input_mtok":2,"output_mtok":8}}]},
 {"id":"night","match":{"equals":"night"},"prices":[{"prices":{"input_mtok":1}},{"constraint":{"start_time":"00:30:00Z","end_time":"16:30:00Z"},"prices":{"input_mtok":2}}]},
 {"id":"odd","match":{"regex":"^(?!x)"},"prices":{"input_mtok":1,"output_mtok":1}},
 {"id":"pictures","match":{"equals":"pictures"},"prices":{"output_image_mtok":1}}]}]`

const liteLLM = `{"sample_spec":{"input_cost_per_token":0,"litellm_provider":"one of many"},
 "claude-x":{"litellm_provider":"anthropic","input_cost_per_token":3e-06,"output_cost_per_token":1.5e-05,"cache_read_input_token_cost":3e-07,"cache_creation_input_token_cost":3.75e-06,"cache_creation_input_token_cost_above_1hr":6e-06,
   "input_cost_per_token_above_200k_tokens":6e-06,"output_cost_per_token_above_200k_tokens":2.25e-05,"source":"https://example.com/prices"},
 "deepinfra/a/b":{"litellm_provider":"deepinfra","input_cost_per_token":8e-08,"output_cost_per_token":9e-08},
 "free":{"litellm_provider":"ollama","input_cost_per_token":0,"output_cost_per_token":0.0},
 "dall-e":{"litellm_provider":"openai","output_cost_per_image":0.06}}`

func TestImport(t *testing.T) {
	read := func(text string) (*cost.Imported, *cost.Catalog) {
		t.Helper()
		in, err := cost.Import([]byte(text), "a file")
		if err != nil {
			t.Fatal(err)
		}
		return in, cost.NewCatalog(nil, in.Models)
	}
	price := func(c *cost.Catalog, provider, model, at string, tokens cost.Tokens, want int64) {
		t.Helper()
		when, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Cost(cost.Call{Provider: provider, Model: model, At: when, Tokens: tokens})
		if err != nil || got.Computed != want || got.Marks != 0 {
			t.Errorf("%s %s: %+v, %v; want %d", provider, model, got, err, want)
		}
	}
	in, c := read(genai)
	if in.Format != "genai-prices" || len(in.Models) != 3 || len(in.Left) != 3 {
		t.Errorf("%s: %d models; left out %q", in.Format, len(in.Models), in.Left)
	}
	price(c, "bedrock", "us.amazon.nova-x-v1:0", "2026-01-01", cost.Tokens{Input: 100_000, Output: 10}, 875_000+30_000)
	price(c, "bedrock", "us.amazon.nova-x-v1:0", "2026-01-01", cost.Tokens{CacheRead: 300_000, Output: 10}, 600_000_000+40_000)
	price(c, "bedrock", "us.amazon.nova-x-v1:0", "2026-01-01", cost.Tokens{CacheRead: 500_001, Output: 10}, 1_000_002_000+50_000)
	price(c, "aws", "dated", "2025-06-09", cost.Tokens{Input: 100}, 1_000_000)
	price(c, "aws", "dated", "2025-06-10", cost.Tokens{Input: 100}, 200_000)

	in, c = read(liteLLM)
	if in.Format != "litellm" || len(in.Models) != 2 || len(in.Left) != 2 {
		t.Errorf("%s: %d models; left out %q", in.Format, len(in.Models), in.Left)
	}
	price(c, "anthropic", "claude-x", "2026-01-01", cost.Tokens{Input: 200, CacheRead: 1000, Output: 34}, 1_410_000)
	price(c, "anthropic", "claude-x", "2026-01-01", cost.Tokens{CacheWrite1h: 1000}, 6_000_000)
	price(c, "anthropic", "claude-x", "2026-01-01", cost.Tokens{Input: 200_001}, 200_001*6000)
	price(c, "deepinfra", "a/b", "2026-01-01", cost.Tokens{Input: 1000, Output: 1000}, 170_000)

	// What was imported is kept as JSON and read back.
	text, err := json.Marshal(in.Models)
	if err != nil {
		t.Fatal(err)
	}
	var back []cost.Model
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in.Models, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	price(cost.NewCatalog(nil, back), "anthropic", "claude-x", "2026-01-01", cost.Tokens{Input: 200_001}, 200_001*6000)

	bad := func(text, want string) {
		t.Helper()
		if _, err := cost.Import([]byte(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	bad(``, "neither")
	bad(`<html>`, "neither")
	bad(`[{]`, "invalid character")
	bad(`[]`, "no model")
	bad(`{"a":{"litellm_provider":"x","input_cost_per_token":-1}}`, "no model")
	bad(`{"a":{"litellm_provider":"x","input_cost_per_token":1e-999999999}}`, "no model")
	bad(`[{"id":"p","models":[{"id":"m","prices":{"input_mtok":1e300}}]}]`, "no model")
	bad(strings.Repeat(" ", cost.MaxImport+1), "bytes")
}

// TestImportWhole reads a whole published file, where one is named.
func TestImportWhole(t *testing.T) {
	path := os.Getenv("LOCKSTEP_TEST_PRICES")
	if path == "" {
		t.Skip("LOCKSTEP_TEST_PRICES names no file of genai-prices or LiteLLM")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := cost.Import(text, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d models, %d left out", in.Format, len(in.Models), len(in.Left))
	for _, line := range in.Left {
		t.Log(line)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(genai)
	f.Add(liteLLM)
	f.Fuzz(func(t *testing.T, text string) {
		in, err := cost.Import([]byte(text), "fuzz")
		if err != nil {
			return
		}
		c := cost.NewCatalog(nil, in.Models)
		for _, m := range in.Models {
			if _, ok := c.Resolve(m.Provider, m.ID); !ok && m.ID == strings.TrimSpace(m.ID) && m.Provider == cost.ProviderName(m.Provider) {
				t.Errorf("%q %q was imported and is not found", m.Provider, m.ID)
			}
		}
	})
}

func TestAttribute(t *testing.T) {
	at := func(minute int) time.Time { return day.Add(time.Duration(minute) * time.Minute) }
	facts := cost.Facts{
		Attempts: map[string]cost.Place{"a1": {Agent: "ada", Task: "W-1", Attempt: "a1"}},
		Sessions: map[string]cost.Place{"s1": {Agent: "ada", Task: "W-2", Attempt: "a2"}},
		Leases: []cost.Lease{
			{Agent: "ada", Task: "W-3", Attempt: "a3", From: at(0), Until: at(30)},
			{Agent: "ada", Task: "W-4", Attempt: "a4", From: at(32)},
			{Agent: "bob", Task: "W-5", Attempt: "a5", From: at(0)},
		},
	}
	f := func(c cost.Claim, want cost.Place, wantOK bool) {
		t.Helper()
		c.Agent = "ada"
		got, ok := cost.Attribute(c, facts)
		if got != want || ok != wantOK {
			t.Errorf("%+v: %+v %v, want %+v", c, got, ok, want)
		}
	}
	f(cost.Claim{Attempt: "a1", Session: "s1", At: at(5)}, cost.Place{Agent: "ada", Task: "W-1", Attempt: "a1"}, true)
	f(cost.Claim{Place: cost.Place{Machine: "m", State: "s", Execution: "x"}, Session: "s1"}, cost.Place{Agent: "ada", Machine: "m", State: "s", Execution: "x"}, true)
	f(cost.Claim{Session: "s1", At: at(5)}, cost.Place{Agent: "ada", Task: "W-2", Attempt: "a2"}, true)
	f(cost.Claim{Attempt: "unknown", At: at(5)}, cost.Place{Agent: "ada", Task: "W-3", Attempt: "a3"}, true)
	f(cost.Claim{At: at(31)}, cost.Place{Agent: "ada", Task: "W-3", Attempt: "a3"}, true) // reported late
	f(cost.Claim{At: at(33)}, cost.Place{Agent: "ada", Task: "W-4", Attempt: "a4"}, true) // the one that is held
	f(cost.Claim{At: at(-1)}, cost.Place{Agent: "ada"}, false)
	facts.Leases = facts.Leases[:1]
	f(cost.Claim{At: at(40)}, cost.Place{Agent: "ada", Task: "W-3", Attempt: "a3"}, true)
	f(cost.Claim{At: at(41)}, cost.Place{Agent: "ada"}, false)
}
