package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Schedule says when executions of a machine are started. What its fields may be
// is known to internal/schedule, which checks them.
type Schedule struct {
	Name, Description    string
	Expression, Timezone string
	Start, End           string
	Window               time.Duration
	Machine              string
	Input                json.RawMessage // nil: none
	Missed               string
	MissedMax            int
	Paused               bool
}

var scheduleKeys = []string{"description", "expression", "timezone", "start", "end", "window", "machine", "input", "missed", "missed_max", "paused"}

func (r *reader) schedules(n *yaml.Node) (all []Schedule) {
	r.fields(n, "schedules", nil, func(name string, v *yaml.Node) {
		s := Schedule{Name: name}
		r.fields(v, "schedule "+name, scheduleKeys, func(key string, v *yaml.Node) { r.schedule(&s, key, v) })
		all = append(all, s)
	})
	return all
}

func (r *reader) schedule(s *Schedule, key string, v *yaml.Node) {
	plain := map[string]*string{"description": &s.Description, "expression": &s.Expression, "timezone": &s.Timezone,
		"start": &s.Start, "end": &s.End, "machine": &s.Machine, "missed": &s.Missed}
	switch {
	case plain[key] != nil:
		r.text(v, key, plain[key])
	case key == "window":
		var text string
		if r.text(v, key, &text) {
			d, err := time.ParseDuration(text)
			if err != nil || d < time.Minute || d%time.Minute != 0 {
				r.problem(v, "window must be whole minutes, such as 15m or 2h, not %.60q", text)
			}
			s.Window = d
		}
	case key == "missed_max":
		var text string
		if r.text(v, key, &text) {
			var err error
			if s.MissedMax, err = strconv.Atoi(text); err != nil || s.MissedMax < 1 {
				r.problem(v, "missed_max must be a number from 1 on, not %.60q", text)
			}
		}
	case key == "paused":
		r.flag(v, key, &s.Paused)
	case key == "input":
		s.Input = r.json(v, key)
	}
}

// json reads any value as JSON text. A text is taken for JSON itself.
func (r *reader) json(n *yaml.Node, key string) json.RawMessage {
	n = resolve(n)
	if isNull(n) {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if !json.Valid([]byte(n.Value)) {
			r.problem(n, "%s must be JSON, or a value in YAML", key)
		}
		return json.RawMessage(strings.TrimSpace(n.Value))
	}
	var v any
	err := n.Decode(&v)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(v); err == nil {
			return text
		}
	}
	r.problem(n, "%s cannot be written as JSON: %v", key, fmt.Errorf("%.200s", err.Error()))
	return nil
}
