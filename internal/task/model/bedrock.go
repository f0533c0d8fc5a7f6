package model

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// bedrock is Amazon Bedrock, or what AWS_ENDPOINT_URL_BEDROCK_RUNTIME names.
type bedrock struct {
	client *awscall.Client
	model  string // "": the one asked for
}

func (b *bedrock) invoke(ctx context.Context, in *request) (*answer, error) {
	body := ""
	if !in.body.IsAbsent() {
		body = in.body.JSON()
	}
	header := http.Header{"Content-Type": {in.content}, "Accept": {in.accept}}
	for name, text := range in.headers {
		header[name] = []string{text}
	}
	action := "invoke"
	if in.converse {
		action, body = "converse", recase(in.body, lowerFirst).JSON()
	}
	resp, err := b.client.Do(ctx, &awscall.Request{
		Path:   []string{"model", or(b.model, in.model), action},
		Body:   body,
		Header: header,
	}, maxAnswer)
	if err != nil {
		return nil, err
	}
	if !resp.OK() {
		return nil, bedrockRefusal(resp)
	}
	text := resp.Body
	if err := value.Valid(text); err != nil {
		if strings.Contains(resp.Header.Get("Content-Type"), "json") {
			return nil, malformed("Amazon Bedrock answered with something that is not JSON: %v", err)
		}
		text = value.Str(strings.ToValidUTF8(text, "\uFFFD")).JSON()
	}
	a := &answer{text: text, content: or(resp.Header.Get("Content-Type"), "application/json")}
	if in.converse {
		said, err := value.Parse(text)
		if err != nil || said.Kind() != value.Object {
			return nil, malformed("Amazon Bedrock answered with something that is no answer of Converse.")
		}
		u := said.Get("usage")
		a.used = Tokens{Input: number(u.Get("inputTokens")), Output: number(u.Get("outputTokens")),
			CacheRead: number(u.Get("cacheReadInputTokens")), CacheWrite5m: number(u.Get("cacheWriteInputTokens"))}
		a.text, a.body = "", recase(said.Without("metrics"), upper)
		return a, nil
	}
	a.used = Tokens{Input: counted(resp, "Input"), Output: counted(resp, "Output"), CacheRead: counted(resp, "Cache-Read-Input"), CacheWrite5m: counted(resp, "Cache-Write-Input")}
	return a, nil
}

// counted reads how many tokens Bedrock says that an invocation took.
func counted(resp *awscall.Response, what string) int64 {
	n, err := strconv.ParseInt(resp.Header.Get("X-Amzn-Bedrock-"+what+"-Token-Count"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// bedrockRefusal has the name that the service gives, with the suffix that all
// such names have.
func bedrockRefusal(resp *awscall.Response) error {
	f := awscall.Refusal(resp)
	name := f.Code
	if name == "" {
		name = or(statusNames[resp.Status], "BedrockRuntimeException")
	}
	if !strings.HasSuffix(name, "Exception") {
		name += "Exception"
	}
	return task.Fail("Bedrock."+name, f.CauseV2("BedrockRuntime"))
}
