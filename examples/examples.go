// Package examples holds the state machines of this folder, for the commands
// that run them.
package examples

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Files has every example in a folder of its own.
//
//go:embed */*
var Files embed.FS

//go:embed content-moderator/content-moderator.asl.json
var contentModerator string

//go:embed content-moderator/comments.jsonl
var comments string

// ReviewActivity is the name of the activity where the content moderator asks a
// person.
const ReviewActivity = "human-review"

// ContentModerator is the content moderator's definition, with the model that
// scores and the ARN of the activity where it asks a person.
func ContentModerator(modelID, reviewActivityARN string) string {
	return Substitute(contentModerator, map[string]string{
		"ModelId":           modelID,
		"ReviewActivityArn": reviewActivityARN,
	})
}

// Substitute puts values in the place of ${Name} in a definition, inside its JSON
// strings, as the DefinitionSubstitutions of AWS CloudFormation do.
func Substitute(definition string, values map[string]string) string {
	var pairs []string
	for name, v := range values {
		text, _ := json.Marshal(v) // a string always can
		pairs = append(pairs, "${"+name+"}", string(text[1:len(text)-1]))
	}
	return strings.NewReplacer(pairs...).Replace(definition)
}

// Comment is an input for the content moderator.
type Comment struct {
	ID     string `json:"commentId"`
	Author string `json:"author"`
	Text   string `json:"text"`
	Input  string `json:"-"` // all of it, as JSON text
}

// Comments are inputs for the content moderator: friendly ones, odd ones and
// some that a person should see first. They were written for this purpose.
func Comments() []Comment {
	var all []Comment
	for i, line := range strings.Split(strings.TrimSpace(comments), "\n") {
		c := Comment{Input: line}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			panic(fmt.Sprintf("examples: comments.jsonl, line %d: %v", i+1, err)) // a test reads all of them
		}
		all = append(all, c)
	}
	return all
}
