package model_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/model"
	"github.com/lockstep-run/lockstep/internal/task/tasktest"
)

const (
	haiku  = "us.anthropic.claude-3-haiku-20240307-v1:0"
	key    = "sk-very-secret"
	hello  = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"system":"Be kind.","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}`
	claude = `{"id":"m","content":[{"type":"text","text":"Hi"}]}`
	chat   = `{"id":"c","model":"local-1","choices":[{"message":{"content":"Hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`
)

// server stands for each of the providers and notes what it was asked.
type server struct {
	url     string
	mu      sync.Mutex
	seen    []*http.Request
	bodies  []string
	answer  http.HandlerFunc
	reached chan struct{}
}

func serve(t *testing.T, answer http.HandlerFunc) *server {
	s := &server{answer: answer, reached: make(chan struct{}, 1)}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
		s.mu.Unlock()
		s.answer(w, r)
	}))
	t.Cleanup(h.Close)
	s.url = h.URL
	for name, v := range map[string]string{
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": h.URL, "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "aws-secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_SESSION_TOKEN": "", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "",
		"ANTHROPIC_BASE_URL": h.URL, "ANTHROPIC_API_KEY": key, "OPENAI_BASE_URL": h.URL + "/v1", "OPENAI_API_KEY": key,
	} {
		t.Setenv(name, v)
	}
	return s
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Requestid", "r-1")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func models(t *testing.T, routes ...model.Route) *model.Models {
	t.Helper()
	m, err := model.New(model.Config{Region: "us-east-1", Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func call(id, body string) *task.Call {
	return &task.Call{ID: "x/1", Input: `{"ModelId":"` + id + `","Body":` + body + `}`}
}

func TestSuite(t *testing.T) {
	open := func(id, answer string, routes ...model.Route) func(t *testing.T) *tasktest.Subject {
		return func(t *testing.T) *tasktest.Subject {
			s := serve(t, nil)
			s.answer = func(w http.ResponseWriter, r *http.Request) {
				s.mu.Lock()
				body := s.bodies[len(s.bodies)-1]
				s.mu.Unlock()
				switch {
				case strings.Contains(body, "wait"):
					s.reached <- struct{}{}
					<-r.Context().Done()
				case strings.Contains(body, "fail"):
					says(529, `{"error":{"message":"Overloaded"}}`)(w, r)
				default:
					says(200, answer)(w, r)
				}
			}
			subject := &tasktest.Subject{
				Integration: models(t, routes...),
				Good:        *call(id, hello),
				Bad:         []task.Call{*call(id, strings.Replace(hello, "user", "fail", 1)), {Input: `{}`}, {Input: `7`}, *call(id+`","X":"`, `{}`)},
				Slow:        *call(id, strings.Replace(hello, "Hello", "wait", 1)),
				Reached:     s.reached,
			}
			if len(routes) == 0 && id == model.Lexicon {
				subject.Reached = nil
			}
			return subject
		}
	}
	t.Run("bedrock", func(t *testing.T) { tasktest.Run(t, open(haiku, claude)) })
	t.Run("anthropic", func(t *testing.T) {
		tasktest.Run(t, open(haiku, claude, model.Route{Match: "*anthropic.*", Provider: "anthropic"}))
	})
	t.Run("openai", func(t *testing.T) {
		tasktest.Run(t, open(haiku, chat, model.Route{Match: "*", Provider: "openai", Model: "local"}))
	})
	t.Run("lexicon", func(t *testing.T) { tasktest.Run(t, open(model.Lexicon, "")) })
}

func TestProviders(t *testing.T) {
	s := serve(t, nil)
	f := func(r *model.Route, id, answer, uri, sent, output string, header ...string) {
		t.Helper()
		s.answer = says(200, answer)
		var routes []model.Route
		if r != nil {
			routes = append(routes, *r)
		}
		got, err := models(t, routes...).Run(t.Context(), call(id, hello))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(output, got.Output); diff != "" {
			t.Error(diff)
		}
		last, body := s.seen[len(s.seen)-1], s.bodies[len(s.bodies)-1]
		if last.RequestURI != uri {
			t.Errorf("called %s, want %s", last.RequestURI, uri)
		}
		if diff := cmp.Diff(sent, body); diff != "" {
			t.Error(diff)
		}
		for i := 0; i < len(header); i += 2 {
			if got := last.Header.Get(header[i]); !strings.HasPrefix(got, header[i+1]) {
				t.Errorf("%s is %q, want %q", header[i], got, header[i+1])
			}
		}
	}
	passed := `{"Body":` + claude + `,"ContentType":"application/json"}`
	f(nil, haiku, claude, "/model/us.anthropic.claude-3-haiku-20240307-v1%3A0/invoke", hello, passed,
		"Authorization", "AWS4-HMAC-SHA256 Credential=AKTEST/", "Accept", "application/json")
	f(&model.Route{Match: "*haiku*", Provider: "bedrock", Model: "other"}, haiku, claude, "/model/other/invoke", hello, passed)

	native := `{"max_tokens":9,"system":"Be kind.","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}],"model":"claude-3-haiku-20240307"}`
	f(&model.Route{Match: "*.anthropic.*", Provider: "anthropic"}, haiku, claude, "/v1/messages", native, passed,
		"X-Api-Key", key, "Anthropic-Version", "2023-06-01", "Idempotency-Key", "x/1")
	f(&model.Route{Match: "anthropic.*", Provider: "anthropic", Model: "m"},
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x", claude,
		"/v1/messages", strings.Replace(native, "claude-3-haiku-20240307", "m", 1), passed)

	translated := `{"Body":{"id":"c","type":"message","role":"assistant","model":"local-1","content":[{"type":"text","text":"Hi"}],` +
		`"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}},"ContentType":"application/json"}`
	f(&model.Route{Match: "*", Provider: "openai", Model: "local"}, haiku, chat, "/v1/chat/completions",
		`{"model":"local","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hello"}],"max_tokens":9}`,
		translated, "Authorization", "Bearer "+key)
}

func TestFailures(t *testing.T) {
	s := serve(t, nil)
	f := func(provider string, status int, body, name, cause string) {
		t.Helper()
		s.answer = says(status, body)
		m := models(t, model.Route{Match: "*", Provider: provider, Model: "m"})
		_, err := m.Run(t.Context(), call("some.model", hello))
		check(t, err, name, cause)
	}
	f("anthropic", 429, `{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}`,
		"Bedrock.ThrottlingException", "Slow down (Service: Anthropic, Status Code: 429, Request ID: r-1)")
	f("anthropic", 529, `{"error":{"message":"Overloaded"}}`, "Bedrock.ServiceUnavailableException", "Overloaded (")
	f("anthropic", 401, `{"error":{"message":"invalid key `+key+`"}}`, "Bedrock.AccessDeniedException",
		"The server refused the key in the environment variable ANTHROPIC_API_KEY. (")
	f("openai", 400, `{"error":{"message":"`+key+` is odd"}}`, "Bedrock.ValidationException", "(key) is odd (Service: OpenAI, ")
	f("openai", 404, `{"error":{"message":"no such model"}}`, "Bedrock.ResourceNotFoundException", "no such model (")
	f("openai", 502, `<html>`, "Bedrock.ServiceUnavailableException", "<html> (")
	f("openai", 200, `{"choices":[]}`, "Bedrock.ModelErrorException", "OpenAI answered without choices[0]")
	f("openai", 200, `<html>`, "Bedrock.ModelErrorException", "OpenAI answered with something that is not JSON")
	f("anthropic", 200, `{"a":`, "Bedrock.ModelErrorException", "Anthropic answered with something that is not JSON")
	f("bedrock", 200, `{"a":`, "Bedrock.ModelErrorException", "Amazon Bedrock answered with something that is not JSON")
	f("bedrock", 429, `{"__type":"ThrottlingException","message":"Too many requests"}`,
		"Bedrock.ThrottlingException", "Too many requests (Service: BedrockRuntime, Status Code: 429, Request ID: r-1)")
	f("bedrock", 403, `{"code":"AccessDenied","message":"no"}`, "Bedrock.AccessDeniedException", "no (")
	f("bedrock", 503, ``, "Bedrock.ServiceUnavailableException", "Service Unavailable (")
	f("anthropic", 200, `"`+strings.Repeat("x", 5<<20)+`"`, "States.DataLimitExceeded", "The state/task 'bedrock' returned")

	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
	f("anthropic", 200, ``, "Bedrock.ServiceUnavailableException", "Unable to execute HTTP request: dial tcp 127.0.0.1:1")

	s.answer = func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	m := models(t, model.Route{Match: "*", Provider: "openai", Model: "m", Timeout: time.Millisecond})
	_, err := m.Run(t.Context(), call("some.model", hello))
	check(t, err, "Bedrock.ModelTimeoutException", "The model did not answer within 1ms.")
}

func check(t *testing.T, err error, name, cause string) {
	t.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Name == nil || e.Cause == nil {
		t.Fatalf("error %v, want %s", err, name)
	}
	if *e.Name != name || !strings.HasPrefix(*e.Cause, cause) {
		t.Errorf("error %q, want %s: %s", e, name, cause)
	}
	if strings.Contains(e.Error(), key) || strings.Contains(e.Error(), "aws-secret") {
		t.Errorf("a key is in %q", e)
	}
}

func TestRejectedRequests(t *testing.T) {
	s := serve(t, says(200, chat))
	m := models(t, model.Route{Match: "local.*", Provider: "openai", Model: "m"})
	f := func(input, name, cause string) {
		t.Helper()
		_, err := m.Run(t.Context(), &task.Call{Input: input})
		check(t, err, name, cause)
	}
	bad := func(input, detail string) {
		t.Helper()
		f(input, "States.Runtime", "The Parameters '"+input+"' could not be used to start the Task: ["+detail)
	}
	bad(`{"Body":{}}`, "The field 'ModelId' is required but was missing")
	bad(`{"ModelId":7}`, "The value for the field 'ModelId' must be a STRING")
	bad(`{"ModelId":"m","Nope":1}`, "The field 'Nope' is not supported by Step Functions")
	bad(`{"ModelId":"m","Accept":"a\nb"}`, "The value of the field 'Accept' has an invalid format")
	const validation = "Bedrock.ValidationException"
	f(`{"ModelId":"m","Input":{"S3Uri":"s3://b/k"}}`, validation, "Input in S3 is not supported here")
	f(`{"ModelId":"local.m"}`, validation, "Body has no messages")
	f(`{"ModelId":"local.m","Body":{"messages":[{"role":"system","content":""}]}}`, validation, "A message's role")
	f(`{"ModelId":"local.m","Body":{"messages":[{"role":"user","content":[{"type":"document"}]}]}}`, validation, `A block of type "document" cannot be passed on`)
	f(`{"ModelId":"lockstep.lexicon-v1","Body":{"messages":[{"role":"user","content":[{"type":"image"}]}]}}`, validation, "content may hold blocks of type text only")
	f(`{"ModelId":"lockstep.lexicon-v1","Body":{"messages":[{"role":"assistant","content":""}]}}`, validation, "The last message must be the user's")
	if len(s.seen) > 0 {
		t.Errorf("the server was called: %q", s.bodies)
	}
}

func TestRoutes(t *testing.T) {
	f := func(r model.Route, want string) {
		t.Helper()
		if _, err := model.New(model.Config{Routes: []model.Route{r}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %s", r, err, want)
		}
	}
	f(model.Route{Match: "a", Provider: "gpt"}, `model a: unknown provider "gpt"; there are anthropic, bedrock, extractor, hash-embedder, lexicon, openai, script`)
	f(model.Route{Match: "a", Provider: "script"}, "script is missing")
	f(model.Route{Match: "a", Provider: "script", Script: "/none"}, "no such file")
	f(model.Route{Match: "a", Provider: "lexicon", Rate: -1}, "its rate is below 0")
	f(model.Route{Provider: "lexicon"}, "match is empty")
	f(model.Route{Match: "a", Provider: "openai"}, "model is missing")
	f(model.Route{Match: "a", Provider: "anthropic", URL: "file:///x"}, "its url is not one")
	f(model.Route{Match: "a", Provider: "bedrock", KeyEnv: "K"}, "bedrock takes no url")
}

// The built-in model answers as Claude does, so definitions need not know it.
func TestLexicon(t *testing.T) {
	r, err := models(t).Run(t.Context(), call(model.Lexicon,
		`{"system":"No idiots.","messages":[{"role":"user","content":"Rate: <comment>You are an idiot.</comment>"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		ContentType string
		Body        struct {
			Model      string
			Content    []struct{ Type, Text string }
			StopReason string `json:"stop_reason"`
			Usage      struct {
				Input int `json:"input_tokens"`
			}
		}
	}
	if err := json.Unmarshal([]byte(r.Output), &out); err != nil {
		t.Fatal(err)
	}
	want := `{"score":0.84,"reasons":["insult \"idiot\", aimed at the reader"]}`
	if b := out.Body; b.Model != model.Lexicon || b.StopReason != "end_turn" || b.Usage.Input == 0 ||
		len(b.Content) != 1 || b.Content[0].Type != "text" || b.Content[0].Text != want {
		t.Errorf("answered %s", r.Output)
	}
}
