package model

import (
	"context"
	"net/http"
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
	resp, err := b.client.Do(ctx, &awscall.Request{
		Path:   []string{"model", or(b.model, in.model), "invoke"},
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
	return &answer{text, or(resp.Header.Get("Content-Type"), "application/json")}, nil
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
