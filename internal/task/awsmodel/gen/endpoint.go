package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// probe is a region without rules of its own.
const probe = "eu-west-3"

// rule is a part of the rules by which AWS's SDKs find an endpoint.
type rule struct {
	Type       string
	Conditions []condition
	Rules      []*rule
	Endpoint   struct {
		URL        json.RawMessage
		Properties struct {
			AuthSchemes []struct{ Name, SigningName, SigningRegion string }
		}
	}
}

type condition struct {
	Fn     string
	Argv   []json.RawMessage
	Assign string
}

// endpoint sets where a service is in AWS's own partition, without FIPS or dual
// stack, as its rules say. What they say of single calls is left out.
func (m *maker) endpoint(text []byte) error {
	var rules struct {
		Parameters map[string]struct{ Default any }
		Rules      []*rule
	}
	if err := json.Unmarshal(text, &rules); err != nil {
		return err
	}
	world := scope{}
	for name, p := range rules.Parameters {
		if p.Default != nil {
			world[name] = p.Default
		}
	}
	world["Region"] = probe
	end := world.find(rules.Rules)
	if end == nil {
		return nil // needs to know the call: the prefix has to do
	}
	address, _ := end.in.value(end.at.Endpoint.URL).(string)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("no endpoint in %q", address)
	}
	m.out.Host = strings.ReplaceAll(u.Host, probe, "{region}") + strings.TrimSuffix(u.Path, "/")
	for _, s := range end.at.Endpoint.Properties.AuthSchemes {
		if s.Name != "sigv4" {
			continue
		}
		if s.SigningName != "" {
			m.out.SigningName = s.SigningName
		}
		if r := end.in.fill(s.SigningRegion); r != probe {
			m.out.SigningIn = r
		}
	}
	return nil
}

type scope map[string]any

type found struct {
	at *rule
	in scope
}

// find is the first endpoint whose conditions hold, or nil where an error comes
// before it.
func (s scope) find(rules []*rule) *found {
	for _, r := range rules {
		inner := scope{}
		for k, v := range s {
			inner[k] = v
		}
		if !inner.hold(r.Conditions) {
			continue
		}
		switch r.Type {
		case "endpoint":
			return &found{r, inner}
		case "tree":
			return inner.find(r.Rules)
		default:
			return nil
		}
	}
	return nil
}

func (s scope) hold(conditions []condition) bool {
	for _, c := range conditions {
		v := s.call(c)
		if v == nil || v == false {
			return false
		}
		if c.Assign != "" {
			s[c.Assign] = v
		}
	}
	return true
}

func (s scope) call(c condition) any {
	arg := func(i int) any { return s.value(c.Argv[i]) }
	switch c.Fn {
	case "isSet":
		return arg(0) != nil
	case "not":
		v := arg(0)
		return v == nil || v == false
	case "booleanEquals", "stringEquals":
		return arg(0) == arg(1)
	case "isValidHostLabel":
		return arg(0) != nil
	case "aws.partition":
		return map[string]any{
			"name": "aws", "dnsSuffix": "amazonaws.com", "dualStackDnsSuffix": "api.aws", "supportsFIPS": true,
			"supportsDualStack": true, "implicitGlobalRegion": "us-east-1",
		}
	case "getAttr":
		of, _ := arg(0).(map[string]any)
		name, _ := arg(1).(string)
		return of[name]
	case "coalesce":
		for i := range c.Argv {
			if v := arg(i); v != nil {
				return v
			}
		}
	}
	return nil // of single calls: ARNs, buckets, accounts
}

// value is an argument: a text to fill in, a reference, or a call.
func (s scope) value(text json.RawMessage) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	switch v := v.(type) {
	case string:
		return s.fill(v)
	case map[string]any:
		if name, ok := v["ref"].(string); ok {
			return s[name]
		}
		var c condition
		if json.Unmarshal(text, &c) != nil {
			return nil
		}
		return s.call(c)
	}
	return v
}

// fill puts values in the place of {Region} and {partition#dnsSuffix}.
func (s scope) fill(text string) string {
	for {
		before, rest, ok := strings.Cut(text, "{")
		if !ok {
			return text
		}
		name, after, _ := strings.Cut(rest, "}")
		name, attribute, has := strings.Cut(name, "#")
		v := s[name]
		if of, ok := v.(map[string]any); ok && has {
			v = of[attribute]
		}
		text = before + fmt.Sprint(v) + after
	}
}
