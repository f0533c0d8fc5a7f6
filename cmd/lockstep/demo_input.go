package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/lockstep-run/lockstep/examples"
	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/task/model"
)

// demoModel is who scores the comments.
type demoModel struct {
	id     string // ModelId in the definition
	name   string // for people
	routes []config.Model
	remote bool // comments leave this machine
}

// chooseModel takes the provider that is asked for, or else the first that the
// environment has what it needs for, or else the built-in one.
func chooseModel(provider string, getenv func(string) string) (demoModel, error) {
	if provider == "" {
		switch {
		case getenv("ANTHROPIC_API_KEY") != "":
			provider = "anthropic"
		case getenv("OPENAI_API_KEY") != "" || getenv("OPENAI_BASE_URL") != "":
			provider = "openai"
		case getenv("BEDROCK_MODEL_ID") != "":
			provider = "bedrock"
		default:
			provider = "lexicon"
		}
	}
	from := func(name, otherwise string) string {
		if text := getenv(name); text != "" {
			return text
		}
		return otherwise
	}
	var id, of string
	switch provider {
	case "lexicon":
		return demoModel{id: model.Lexicon, name: model.Lexicon + " (built in)"}, nil
	case "anthropic":
		id, of = from("ANTHROPIC_MODEL", "claude-haiku-4-5"), "Anthropic API"
	case "openai":
		id, of = from("OPENAI_MODEL", "gpt-4.1-mini"), from("OPENAI_BASE_URL", "OpenAI API")
	case "bedrock":
		id, of = getenv("BEDROCK_MODEL_ID"), "Amazon Bedrock"
		if id == "" {
			return demoModel{}, usageError("say which model of Bedrock is to score, with BEDROCK_MODEL_ID")
		}
	default:
		return demoModel{}, usageError("--model %s: there are anthropic, openai, bedrock and lexicon", provider)
	}
	route := config.Model{Match: id, Provider: provider, Model: id}
	return demoModel{id: id, name: id + " (" + of + ")", routes: []config.Model{route}, remote: true}, nil
}

// readComments reads a file of JSON Lines; "" means those that are built in.
func readComments(file string) ([]examples.Comment, error) {
	if file == "" {
		return examples.Comments(), nil
	}
	text, err := readInput(file, os.Stdin)
	if err != nil {
		return nil, err
	}
	var all []examples.Comment
	err = readLines(text, func(number int, line []byte) error {
		c := examples.Comment{ID: fmt.Sprintf("line-%d", number), Author: "anonymous"}
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("%s:%d: each line must be a JSON object like {\"commentId\": \"c-1\", \"author\": \"ada\", \"text\": \"Nice!\"}: %w", file, number, err)
		}
		if strings.TrimSpace(c.Text) == "" {
			return fmt.Errorf("%s:%d: the comment has no text", file, number)
		}
		input, err := json.Marshal(c)
		if err != nil {
			return err
		}
		c.Input = string(input)
		all = append(all, c)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errors.New(file + ": there is no comment in it")
	}
	return all, err
}

// quietLog tells of trouble only: the demo has its own story to tell.
func quietLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
