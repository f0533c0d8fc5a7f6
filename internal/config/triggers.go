package config

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// Trigger says what starts executions of a machine when something happens. What
// its fields may be is known to internal/trigger, which checks them.
type Trigger struct {
	Name, Type, Description string
	Machine                 string
	Paused                  bool
	Scheme, Header          string
	Secret                  string // a reference: env:NAME or file:PATH
	Pattern                 json.RawMessage
	Bucket, Prefix, Suffix  string
}

var triggerKeys = []string{"type", "description", "machine", "paused", "scheme", "header", "secret", "pattern", "bucket", "prefix", "suffix"}

func (r *reader) triggers(n *yaml.Node) (all []Trigger) {
	r.fields(n, "triggers", nil, func(name string, v *yaml.Node) {
		t := Trigger{Name: name}
		plain := map[string]*string{"type": &t.Type, "description": &t.Description, "machine": &t.Machine, "scheme": &t.Scheme,
			"header": &t.Header, "bucket": &t.Bucket, "prefix": &t.Prefix, "suffix": &t.Suffix}
		r.fields(v, "trigger "+name, triggerKeys, func(key string, v *yaml.Node) {
			switch key {
			case "paused":
				r.flag(v, key, &t.Paused)
			case "secret":
				r.reference(v, key, &t.Secret)
			case "pattern":
				t.Pattern = r.json(v, key)
			default:
				r.text(v, key, plain[key])
			}
		})
		all = append(all, t)
	})
	return all
}
