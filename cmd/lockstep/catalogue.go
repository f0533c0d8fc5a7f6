package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/openapi"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// startingPoint is a state machine that the console offers to begin with.
type startingPoint struct {
	Name        string          `json:"name"` // that the machine may have
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Definition  string          `json:"definition"`
	Input       json.RawMessage `json:"input"` // that an execution can be started with
	// Activities are names of activities that it asks, to be made first.
	Activities []string `json:"activities"`
	// Needs says what must be there for an execution to get through; empty: nothing.
	Needs []string `json:"needs"`
}

// catalogueModel is the model that the templates name; a configuration may have
// another behind that name.
const catalogueModel = "anthropic.claude-3-5-sonnet-20241022-v2:0"

// catalogue is the templates, in the order in which they are shown.
func catalogue(scheme arn.Scheme) []startingPoint {
	file := func(name string) string {
		text, err := examples.Files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded; a test reads all of them
		}
		return string(text)
	}
	return []startingPoint{
		{
			Name: "content-moderator", Title: "Content moderator",
			Description: "A model scores a comment. What looks harmless is posted; about the rest a person decides.",
			Definition:  examples.ContentModerator(catalogueModel, scheme.Activity(examples.ReviewActivity)),
			Input:       json.RawMessage(examples.Comments()[0].Input),
			Activities:  []string{examples.ReviewActivity},
			Needs:       []string{},
		},
		{
			Name: "rag-answer", Title: "RAG pipeline",
			Description: "Finds the passages nearest to a question among your documents, and lets a model answer from them.",
			Definition:  file("rag/answer.asl.json"),
			Input:       json.RawMessage(`{"bucket": "handbook", "question": "How long does a refund take until the money is there?"}`),
			Activities:  []string{},
			Needs:       []string{"A model that embeds and one that answers: models: in the configuration", "Documents in a bucket: lockstep example rag --write ./rag shows how they get there"},
		},
		{
			Name: "review-gated-agents", Title: "Review-gated agents",
			Description: "One agent researches, another writes, and a person approves before anything is published.",
			Definition:  file("review-gated-agents/review-gated-agents.asl.json"),
			Input:       json.RawMessage(`{"topic": "How bees find their way home"}`),
			Activities:  []string{},
			Needs:       []string{"The project DEMO on the board", "Two agents: @researcher and @writer"},
		},
	}
}

// registerCatalogue adds what the console's editor offers to begin with.
func (a *assembly) registerCatalogue(mux *http.ServeMux) {
	list := catalogue(a.set.scheme)
	mux.Handle("GET /api/v1/examples", rest.Local(rest.Handle(func(*http.Request) (any, error) {
		return map[string]any{"examples": list}, nil
	})))
	mux.Handle("GET /api/v1/resources", rest.Local(rest.Handle(func(*http.Request) (any, error) {
		return map[string]any{"resources": callable(a.tasks.Resources())}, nil
	})))
}

// callable are the ARNs of resources as Task states name them. Services that
// stand for all their actions are left out: there is no list of these.
func callable(names []string) []string {
	list := []string{}
	for _, name := range names {
		if name == "" || strings.HasSuffix(name, ":*") || strings.Contains(name, "s3:listObjectsV2") {
			continue
		}
		list = append(list, "arn:aws:states:::"+name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// catalogueRoutes is the table of what registerCatalogue adds, for the OpenAPI
// document.
func catalogueRoutes() []openapi.Route {
	return []openapi.Route{
		{Pattern: "GET /api/v1/examples", Summary: "List state machines to begin with", Out: openapi.Object{"examples": []startingPoint{}}},
		{Pattern: "GET /api/v1/resources", Summary: "List the resources that Task states can call", Out: openapi.Object{"resources": []string{}}},
	}
}
