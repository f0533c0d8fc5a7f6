package model_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/model"
)

// TestForms asks in the forms of several families and lets a server of another
// kind answer.
func TestForms(t *testing.T) {
	s := serve(t, nil)
	f := func(provider, id, body, answer, sent, output string) {
		t.Helper()
		s.answer = says(200, answer)
		got, err := models(t, model.Route{Match: "*", Provider: provider, Model: "m"}).Run(t.Context(), call(id, body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, s.bodies[len(s.bodies)-1]); diff != "" {
			t.Errorf("%s sent (-want +got):\n%s", id, diff)
		}
		if diff := cmp.Diff(`{"Body":`+output+`,"ContentType":"application/json"}`, got.Output); diff != "" {
			t.Errorf("%s answered (-want +got):\n%s", id, diff)
		}
	}
	const said = `{"id":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}`
	f("anthropic", "amazon.titan-text-express-v1", `{"inputText":"Hello","textGenerationConfig":{"maxTokenCount":9,"temperature":0.5}}`, said,
		`{"max_tokens":9,"messages":[{"role":"user","content":"Hello"}],"temperature":0.5,"model":"m"}`,
		`{"inputTextTokenCount":3,"results":[{"tokenCount":1,"outputText":"Hi","completionReason":"FINISH"}]}`)
	f("anthropic", "meta.llama3-8b-instruct-v1:0", `{"prompt":"Hello","max_gen_len":9}`, said,
		`{"max_tokens":9,"messages":[{"role":"user","content":"Hello"}],"model":"m"}`,
		`{"generation":"Hi","prompt_token_count":3,"generation_token_count":1,"stop_reason":"stop"}`)
	f("openai", "meta.llama3-8b-instruct-v1:0", `{"prompt":"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n"}`, chat,
		`{"model":"m","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hello"}],"max_tokens":512}`,
		`{"generation":"Hi","prompt_token_count":3,"generation_token_count":1,"stop_reason":"length"}`)
	f("openai", "amazon.nova-lite-v1:0", `{"messages":[{"role":"user","content":[{"text":"What is it?"},{"image":{"format":"png","source":{"bytes":"QUJD"}}}]}],"inferenceConfig":{"maxTokens":9}}`, chat,
		`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}}]}],"max_tokens":9}`,
		`{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"max_tokens","usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4}}`)

	// Tools: a call, and its result.
	const tools = `"tools":[{"name":"find","description":"finds","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}`
	const asks = `{"id":"c","model":"l","choices":[{"message":{"content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"find","arguments":"{\"q\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens":2}}`
	f("openai", haiku, `{"max_tokens":9,`+tools+`,"messages":[{"role":"user","content":"go"}]}`, asks,
		`{"model":"m","messages":[{"role":"user","content":"go"}],"max_tokens":9,"tools":[{"type":"function","function":{"name":"find","description":"finds","parameters":{"type":"object"}}}],"tool_choice":"required"}`,
		`{"id":"c","type":"message","role":"assistant","model":"l","content":[{"type":"tool_use","id":"t1","name":"find","input":{"q":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`)
	f("openai", haiku, `{"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"text","text":"Let me look."},{"type":"tool_use","id":"t1","name":"find","input":{"q":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"found"}]},{"type":"text","text":"and?"}]}]}`, chat,
		`{"model":"m","messages":[{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"t1","type":"function","function":{"name":"find","arguments":"{\"q\":1}"}}]},{"role":"tool","tool_call_id":"t1","content":"found"},{"role":"user","content":"and?"}],"max_tokens":9}`,
		`{"id":"c","type":"message","role":"assistant","model":"local-1","content":[{"type":"text","text":"Hi"}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}`)
	f("openai", "amazon.titan-embed-text-v2:0", `{"inputText":"Hello","dimensions":256}`, `{"data":[{"embedding":[0.5,1]}],"usage":{"prompt_tokens":1}}`,
		`{"model":"m","input":"Hello","dimensions":256}`, `{"embedding":[0.5,1],"inputTextTokenCount":1}`)
}

func TestConverse(t *testing.T) {
	s := serve(t, nil)
	f := func(provider, answer, uri, sent, output string) {
		t.Helper()
		s.answer = says(200, answer)
		c := &task.Call{ID: "x/1", Resource: asl.Resource{Service: "aws-sdk:bedrockruntime", Action: "converse"},
			Input: `{"ModelId":"anthropic.claude-x","Messages":[{"Role":"user","Content":[{"Text":"Hello"}]}],"System":[{"Text":"Be kind."}],"InferenceConfig":{"MaxTokens":9},` +
				`"ToolConfig":{"Tools":[{"ToolSpec":{"Name":"find","InputSchema":{"Json":{"type":"object","Upper":1}}}}]}}`}
		got, err := models(t, model.Route{Match: "*", Provider: provider}).Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if last := s.seen[len(s.seen)-1]; last.RequestURI != uri {
			t.Errorf("called %s", last.RequestURI)
		}
		if diff := cmp.Diff(sent, s.bodies[len(s.bodies)-1]); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		v, err := value.Parse(got.Output)
		if err != nil || v.Get("Metrics").Get("LatencyMs").Kind() != value.Number {
			t.Errorf("%s, %v", got.Output, err)
		}
		if diff := cmp.Diff(output, v.Without("Metrics").JSON()); diff != "" {
			t.Errorf("answered (-want +got):\n%s", diff)
		}
	}
	const output = `{"Output":{"Message":{"Role":"assistant","Content":[{"Text":"Hi"},{"ToolUse":{"ToolUseId":"t","Name":"find","Input":{"q":1}}}]}},"StopReason":"tool_use","Usage":{"InputTokens":3,"OutputTokens":1,"TotalTokens":4}}`
	f("bedrock", `{"output":{"message":{"role":"assistant","content":[{"text":"Hi"},{"toolUse":{"toolUseId":"t","name":"find","input":{"q":1}}}]}},"stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4},"metrics":{"latencyMs":5}}`,
		"/model/anthropic.claude-x/converse",
		`{"messages":[{"role":"user","content":[{"text":"Hello"}]}],"system":[{"text":"Be kind."}],"inferenceConfig":{"maxTokens":9},"toolConfig":{"tools":[{"toolSpec":{"name":"find","inputSchema":{"json":{"type":"object","Upper":1}}}}]}}`,
		output)
	f("anthropic", `{"id":"m","content":[{"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"find","input":{"q":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":1}}`,
		"/v1/messages",
		`{"max_tokens":9,"system":"Be kind.","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}],"tools":[{"name":"find","input_schema":{"type":"object","Upper":1}}],"model":"claude-x"}`,
		output)
	s.answer = says(429, `{"__type":"ThrottlingException","message":"slow"}`)
	_, err := models(t).Run(t.Context(), &task.Call{Resource: asl.Resource{Action: "converse"}, Input: `{"ModelId":"m","Messages":[]}`})
	check(t, err, "BedrockRuntime.ThrottlingException", "slow (")
}

func TestUsage(t *testing.T) {
	s := serve(t, nil)
	f := func(provider, answer string, header http.Header, want model.Tokens) {
		t.Helper()
		s.answer = func(w http.ResponseWriter, r *http.Request) {
			for name, values := range header {
				w.Header()[name] = values
			}
			says(200, answer)(w, r)
		}
		var got []model.Usage
		m, err := model.New(model.Config{Region: "us-east-1", Routes: []model.Route{{Match: "*", Provider: provider, Model: "m"}}, Used: func(u model.Usage) { got = append(got, u) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		c := call(haiku, hello)
		c.ExecutionARN, c.MachineARN, c.State = "x", "m", "S"
		if _, err := m.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Tokens != want || got[0].Provider != provider || got[0].Model != haiku || got[0].State != "S" || got[0].ID != "x/1" {
			t.Errorf("%s: %+v, want %+v", provider, got, want)
		}
	}
	f("anthropic", `{"content":[],"usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}}}`, nil,
		model.Tokens{Input: 1, Output: 2, CacheRead: 3, CacheWrite5m: 4, CacheWrite1h: 5})
	f("anthropic", `{"content":[],"usage":{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":6}}`, nil, model.Tokens{Input: 1, Output: 2, CacheWrite5m: 6})
	f("openai", `{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens":2}}`, nil,
		model.Tokens{Input: 5, CacheRead: 4, Output: 2})
	f("bedrock", claude, http.Header{"X-Amzn-Bedrock-Input-Token-Count": {"7"}, "X-Amzn-Bedrock-Output-Token-Count": {"8"}}, model.Tokens{Input: 7, Output: 8})
}

// TestRate begins no more requests than a provider may get, and none fails.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := model.New(model.Config{Routes: []model.Route{{Match: "*", Provider: "lexicon", Rate: 50}}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var going sync.WaitGroup
		for range 501 {
			going.Go(func() {
				if _, err := m.Run(t.Context(), call("any", hello)); err != nil {
					t.Error(err)
				}
			})
		}
		going.Wait()
		if took := time.Since(began); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("501 requests at 50 a second took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Run(ctx, call("any", hello)); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that is given up while it waits: %v", err)
		}
	})
}

func TestObjects(t *testing.T) {
	kept := map[string]string{"b/in": hello}
	m, err := model.New(model.Config{
		Read: func(_ context.Context, bucket, key string) ([]byte, error) {
			text, ok := kept[bucket+"/"+key]
			if !ok {
				return nil, errors.New("no such key")
			}
			return []byte(text), nil
		},
		Write: func(_ context.Context, bucket, key string, data []byte) error {
			kept[bucket+"/"+key] = string(data)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(input string) (task.Result, error) {
		return m.Run(t.Context(), &task.Call{Input: `{"ModelId":"lockstep.lexicon-v1",` + input + `}`})
	}
	got, err := run(`"Input":{"S3Uri":"s3://b/in"},"Output":{"S3Uri":"s3://b/x/out"}`)
	if err != nil || got.Output != `{"Body":"s3://b/x/out","ContentType":"application/json"}` || !strings.Contains(kept["b/x/out"], `"model":"lockstep.lexicon-v1"`) {
		t.Errorf("%s, %v, %v", got.Output, err, kept)
	}
	_, err = run(`"Input":{"S3Uri":"s3://b/none"}`)
	check(t, err, "Bedrock.ValidationException", "Input could not be read: no such key")
	_, err = run(`"Input":{"S3Uri":"s3://b/in"},"Body":{}`)
	check(t, err, "Bedrock.ValidationException", "Give either Body or Input")
	_, err = run(`"Input":"s3://b/in"`)
	check(t, err, "Bedrock.ValidationException", "Input must be {")
}

func TestScript(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replies.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
- {when: Hello, error: ThrottlingException, times: 1}
- {when: Hello, tool: find, input: {q: [1, two]}, times: 1}
- {when: Hello, reply: Hi}
`)
	m := models(t, model.Route{Match: "*", Provider: "script", Script: path})
	_, err := m.Run(t.Context(), call(haiku, hello))
	check(t, err, "Bedrock.ThrottlingException", "scripted")
	f := func(body, want string) {
		t.Helper()
		got, err := m.Run(t.Context(), call(haiku, body))
		if err != nil || !strings.Contains(got.Output, want) || !strings.Contains(got.Output, `"model":"scripted"`) {
			t.Errorf("%s, %v, want %s", got.Output, err, want)
		}
	}
	f(hello, `"content":[{"type":"tool_use","id":"toolu_script","name":"find","input":{"q":[1,"two"]}}],"stop_reason":"tool_use"`)
	f(hello, `"content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"`)
	_, err = m.Run(t.Context(), call(haiku, `{"messages":[{"role":"user","content":"Bye"}]}`))
	check(t, err, "Bedrock.ModelErrorException", "The script has no reply to: Bye")
	for text, want := range map[string]string{"[]": "has no replies", "- {repply: x}": "field repply not found", "a: b": "it must be a list"} {
		write(text)
		if _, err := model.New(model.Config{Routes: []model.Route{{Match: "*", Provider: "script", Script: path}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestHashEmbedder finds the text that is about the same thing.
func TestHashEmbedder(t *testing.T) {
	m := models(t)
	vector := func(text string) (list []float64) {
		t.Helper()
		got, err := m.Run(t.Context(), call(model.HashEmbedder, `{"inputText":`+value.Str(text).JSON()+`}`))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := value.Parse(got.Output)
		for _, x := range v.Get("Body").Get("embedding").Items() {
			list = append(list, x.Float())
		}
		return list
	}
	near := func(a, b []float64) (sum float64) {
		for i := range a {
			sum += a[i] * b[i]
		}
		return sum
	}
	question := vector("How long do refunds take?")
	if len(question) != 256 || math.Abs(near(question, question)-1) > 1e-4 {
		t.Errorf("%d numbers of length %v", len(question), near(question, question))
	}
	refunds, shipping := vector("A refund takes five days after the parcel came back."), vector("We ship to all of Europe.")
	if near(question, refunds) <= near(question, shipping) {
		t.Errorf("refunds %v, shipping %v", near(question, refunds), near(question, shipping))
	}
	if diff := cmp.Diff(question, vector("How long do refunds take?")); diff != "" {
		t.Error(diff)
	}
}

func TestExtractor(t *testing.T) {
	f := func(question, want string) {
		t.Helper()
		text := "<documents>Refunds take five days. We ship to all of Europe!\nGift cards never expire.</documents><question>" + question + "</question>"
		got, err := models(t).Run(t.Context(), call(model.Extractor, `{"messages":[{"role":"user","content":`+value.Str(text).JSON()+`}]}`))
		if err != nil || !strings.Contains(got.Output, `"text":"`+want+`"`) {
			t.Errorf("%s, %v, want %s", got.Output, err, want)
		}
	}
	f("How many days do refunds take?", "Refunds take five days.")
	f("Where in Europe do you ship?", "We ship to all of Europe!")
	f("Do gift cards expire?", "Gift cards never expire.")
	f("Quantum?", "The documents do not say.")
	_, err := models(t).Run(t.Context(), call(model.Extractor, hello))
	check(t, err, "Bedrock.ValidationException", "The last message has no <question>")
}
