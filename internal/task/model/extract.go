package model

import (
	"context"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Extractor is the ModelId of the model that is built in for questions about
// documents. It is no language model: it quotes the sentence of the documents
// that shares most words with the question, where a document on an earlier line
// counts more, so that retrieval can be tried with nothing else installed.
const Extractor = "lockstep.extract-v1"

type extractor struct{}

// invoke answers what stands between <question> and </question> in the last
// message of the user with a sentence from between <documents> and </documents>.
func (extractor) invoke(_ context.Context, in *request) (*answer, error) {
	c, err := conversationOf(in.body)
	if err != nil {
		return nil, err
	}
	said := c.messages[len(c.messages)-1].text
	question, documents := between(said, "question"), between(said, "documents")
	if question == "" {
		return nil, invalid("The last message has no <question>.")
	}
	best, text := 0.0, "The documents do not say."
	wanted := embedding(question)
	for line, document := range strings.Split(documents, "\n") {
		for _, sentence := range sentences(document) {
			if len(strings.Fields(sentence)) < 3 {
				continue // a title
			}
			if near := dot(wanted, embedding(sentence)) / (1 + float64(line)/2); near > best {
				best, text = near, sentence
			}
		}
	}
	used := Tokens{Input: tokensIn(len(said)), Output: tokensIn(len(text))}
	body := message("msg_extract", Extractor, []value.Value{textBlock(value.Str(text))}, "end_turn", used)
	return &answer{body: body, content: "application/json", used: used}, nil
}

func between(text, tag string) string {
	_, text, _ = strings.Cut(text, "<"+tag+">")
	i := strings.LastIndex(text, "</"+tag+">")
	if i < 0 {
		return ""
	}
	return strings.TrimSpace(text[:i])
}

// sentences splits a text where one ends and a space follows.
func sentences(text string) (list []string) {
	start := 0
	for i := 0; i+1 < len(text); i++ {
		if strings.IndexByte(".!?", text[i]) < 0 || text[i+1] != ' ' {
			continue
		}
		list = append(list, text[start:i+1])
		start = i + 1
	}
	list = append(list, text[start:])
	kept := list[:0]
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
