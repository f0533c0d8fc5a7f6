package model

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"github.com/lockstep-run/lockstep/asl/value"
)

// HashEmbedder is the ModelId of the embedder that is built in. It is no language
// model: it counts words by their hashes, so that retrieval can be tried with
// nothing else installed. Texts that share words are near each other. The same
// text always gets the same vector.
const HashEmbedder = "lockstep.hash-embed-v1"

const hashDimensions = 256

type hashEmbedder struct{}

// invoke answers in the form of Amazon Titan's embeddings:
// {"inputText": text} gives {"embedding": [256 numbers of length 1], "inputTextTokenCount": n}.
func (hashEmbedder) invoke(_ context.Context, in *request) (*answer, error) {
	text := in.body.Get("inputText")
	if text.Kind() != value.String {
		return nil, invalid("Body has no inputText; this model takes the form of Amazon Titan's embeddings.")
	}
	vector := embedding(text.Str())
	items := make([]value.Value, len(vector))
	for i, x := range vector {
		items[i] = value.Float(math.Round(x*1e6) / 1e6)
	}
	used := Tokens{Input: tokensIn(len(text.Str()))}
	return &answer{body: object("embedding", value.ArrayOf(items), "inputTextTokenCount", value.Int(used.Input)), content: "application/json", used: used}, nil
}

// embedding counts the words of a text, and their stems, in as many places as
// the vector has, and makes it of length 1.
func embedding(text string) []float64 {
	vector := make([]float64, hashDimensions)
	add := func(word string, weight float64) {
		h := fnv.New64a()
		h.Write([]byte(word))
		sum := h.Sum64()
		if sum>>32&1 == 1 {
			weight = -weight
		}
		vector[sum%hashDimensions] += weight
	}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		if len(word) < 3 || common[word] {
			continue
		}
		add(word, 1)
		if len(word) > 5 {
			add(word[:5], 0.5)
		}
	}
	length := 0.0
	for _, x := range vector {
		length += x * x
	}
	if length == 0 {
		return vector
	}
	for i := range vector {
		vector[i] /= math.Sqrt(length)
	}
	return vector
}

// common words say little about what a text is about.
var common = func() map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields("the and for are was were with that this these those from has have had not but you your his her its our their they what when where which who how why can will would should could about into than then them there here been being does did done also any all some each take takes long much many until") {
		set[word] = true
	}
	return set
}()
