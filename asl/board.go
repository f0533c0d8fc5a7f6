package asl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// BoardProblem is what is wrong with the parameters of a task of the board.
type BoardProblem struct {
	Path []string // of members and indexes, from the parameters down
	Text string
}

// String names the parameter and what is wrong with it.
func (p BoardProblem) String() string {
	if len(p.Path) == 0 {
		return p.Text
	}
	return strings.Join(p.Path, ".") + ": " + p.Text
}

// BoardProblems checks the parameters of agent:runTask, agent:createTask and
// review:request as they are known at run time; other resources have no
// problems. Whether what they name exists is for the board to say.
func BoardProblems(r Resource, parameters value.Value) []BoardProblem {
	return boardProblems(r, parameters, func(value.Value) bool { return false }, false)
}

// boardParameters checks what of them is written down in the definition.
func (s *stateParser) boardParameters(r Resource, given value.Value, at *place) {
	dynamic := func(v value.Value) bool {
		return s.lang == JSONata && v.Kind() == value.String && strings.HasPrefix(v.Str(), "{%")
	}
	for _, p := range boardProblems(r, given, dynamic, s.lang == JSONPath) {
		where := at
		for _, step := range p.Path {
			if i, err := strconv.Atoi(step); err == nil {
				where = where.item(i)
			} else {
				where = where.key(step)
			}
		}
		s.schema(where, "%s", p.Text)
	}
}

// boardCheck says what is wrong with a parameter, at which path below it.
type boardCheck func(v value.Value, dynamic func(value.Value) bool) []BoardProblem

var boardTask = map[string]boardCheck{
	"Project": boardText(1, 64), "Title": boardText(1, 500), "Description": boardText(0, 256<<10),
	"Assignee": boardText(1, 100), "Capability": boardText(1, 100),
	"Input": nil, "ReviewMode": boardWord("none", "human", "lead", "lead_then_human"), "Reviewers": boardTexts, "AcceptanceCriteria": boardTexts,
	"OutputSchema": boardObject, "Labels": boardTexts, "Priority": boardWord("urgent", "high", "normal", "low"),
	"DueInSeconds": boardNumber(1, maxTimeoutSecs, true), "BudgetUsd": boardNumber(0, 1e9, false), "MaxAttempts": boardNumber(1, 1000, true),
	"DependsOn": boardTexts,
}

var boardReview = map[string]boardCheck{
	"Project": boardText(1, 64), "Title": boardText(1, 500), "Payload": nil, "Reviewers": boardTexts,
	"RequiredApprovals": boardNumber(1, 100, true), "DueInSeconds": boardNumber(1, maxTimeoutSecs, true),
	"OnExpiry": boardWord("escalate", "reject", "approve"), "Choices": boardTexts,
}

func boardProblems(r Resource, given value.Value, dynamic func(value.Value) bool, paths bool) (all []BoardProblem) {
	var checks map[string]boardCheck
	switch r.Service + ":" + r.Action {
	case "agent:runTask", "agent:createTask":
		checks = boardTask
	case "review:request":
		checks = boardReview
	default:
		return nil
	}
	if given.Kind() != value.Object {
		return []BoardProblem{{Text: "The parameters are not an object"}}
	}
	has := func(name string) bool {
		return !given.Get(name).IsAbsent() || paths && !given.Get(name+".$").IsAbsent()
	}
	for _, name := range []string{"Project", "Title"} {
		if !has(name) {
			all = append(all, BoardProblem{Text: fmt.Sprintf("The field '%s' is required but was missing", name)})
		}
	}
	for name, v := range given.Members() {
		plain, isPath := name, false
		if paths {
			plain, isPath = strings.CutSuffix(name, ".$")
		}
		check, known := checks[plain]
		if !known {
			all = append(all, BoardProblem{[]string{name}, fmt.Sprintf("The field '%s' is not supported by %s:%s", plain, r.Service, r.Action)})
			continue
		}
		if isPath || check == nil || dynamic(v) {
			continue
		}
		for _, p := range check(v, dynamic) {
			all = append(all, BoardProblem{append([]string{name}, p.Path...), p.Text})
		}
	}
	if has("Assignee") && has("Capability") {
		all = append(all, BoardProblem{Text: "Give Assignee or Capability, not both"})
	}
	return all
}

func boardText(least, most int) boardCheck {
	return func(v value.Value, _ func(value.Value) bool) []BoardProblem {
		if v.Kind() != value.String || len(v.Str()) < least || len(v.Str()) > most {
			return []BoardProblem{{Text: fmt.Sprintf("This must be a text of %d to %d bytes", least, most)}}
		}
		return nil
	}
}

func boardWord(words ...string) boardCheck {
	return func(v value.Value, _ func(value.Value) bool) []BoardProblem {
		if v.Kind() != value.String || !slices.Contains(words, v.Str()) {
			return []BoardProblem{{Text: "This must be one of " + strings.Join(words, ", ")}}
		}
		return nil
	}
}

func boardNumber(least, most float64, whole bool) boardCheck {
	return func(v value.Value, _ func(value.Value) bool) []BoardProblem {
		n := v.Float()
		if v.Kind() != value.Number || n < least || n > most || whole && n != float64(int64(n)) {
			kind := "number"
			if whole {
				kind = "whole number"
			}
			return []BoardProblem{{Text: fmt.Sprintf("This must be a %s from %.0f to %.0f", kind, least, most)}}
		}
		return nil
	}
}

func boardTexts(v value.Value, dynamic func(value.Value) bool) (all []BoardProblem) {
	const most = 100
	if v.Kind() != value.Array || v.Len() > most {
		return []BoardProblem{{Text: fmt.Sprintf("This must be an array of at most %d texts", most)}}
	}
	for i, item := range v.Items() {
		if !dynamic(item) && (item.Kind() != value.String || item.Str() == "") {
			all = append(all, BoardProblem{[]string{strconv.Itoa(i)}, "This must be a text"})
		}
	}
	return all
}

func boardObject(v value.Value, _ func(value.Value) bool) []BoardProblem {
	if v.Kind() != value.Object && v.Kind() != value.Bool {
		return []BoardProblem{{Text: "This must be a JSON Schema, an object"}}
	}
	return nil
}
