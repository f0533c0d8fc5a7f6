// Package config reads the configuration file, lockstep.yaml. Everything in it
// may be left out. It never holds a secret, only the names of environment
// variables that do.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxSize is how long a configuration may be, in bytes.
const maxSize = 1 << 20

// Config is what the file says. Empty fields are those it leaves out.
type Config struct {
	Listen    string              `yaml:"listen"`          // host:port
	Data      string              `yaml:"data"`            // a folder
	Region    string              `yaml:"region"`          // of ARNs and of calls to AWS
	Account   string              `yaml:"account"`         // of ARNs: twelve digits
	Functions map[string]Function `yaml:"functions"`       // by name or ARN
	Models    []Model             `yaml:"models"`          // the first that matches counts
	Gates     []Gate              `yaml:"gates"`           // all that match count
	Logs      []Log               `yaml:"logs"`            // the first that matches counts
	Limits    Limits              `yaml:"limits"`          // of executions
	Throttle  bool                `yaml:"throttle"`        // calls beyond the rates of AWS
	OnAWS     bool                `yaml:"machines_on_aws"` // machines of the server's own account that it does not have are called on AWS

	Egress      Egress       `yaml:"egress"`      // where state machines may call
	Connections []Connection `yaml:"connections"` // by name; what authorizes these calls
	Schedules   []Schedule   `yaml:"schedules"`   // by name; what starts executions at times
	Triggers    []Trigger    `yaml:"triggers"`    // by name; what starts executions when something happens

	Notifications Notifications `yaml:"notifications"` // how people are told
}

// Limits are what executions may have beyond AWS's quotas, and how long they are
// kept. Zero fields are those that the file leaves out.
type Limits struct {
	Payload   int             // bytes of a state's or task's input or output
	History   int64           // events
	Spill     string          // where results over Payload go: s3://bucket/prefix
	Retention time.Duration   // from the end of an execution until it is removed, or Forever
	Machines  []MachineLimits // the first that matches counts
}

// MachineLimits are those of the machines whose names match. What they leave out
// is as for all machines.
type MachineLimits struct {
	Match     string // a machine's name, * for any text
	Payload   int
	History   int64
	Spill     string
	Retention time.Duration
}

// Bounds of what limits can be: AWS's quotas below, and above what a server
// bears without being slow or short of memory.
const (
	MinPayload = 256 << 10
	MaxPayload = 4 << 20
	MinHistory = 25_000
	MaxHistory = 250_000
)

// How long executions can be kept. The default is AWS's.
const (
	DefaultRetention               = 90 * 24 * time.Hour
	MinRetention                   = time.Hour
	Forever          time.Duration = math.MaxInt64
)

// Log says where the execution logs go that are for a log group.
type Log struct {
	Match  string // the group's name, * for any text
	Target string // the path of a file, or stdout
}

// Function is where a Lambda function answers: a URL, or else a program and how
// it runs. Fields at zero mean the defaults of package fn.
type Function struct {
	URL string `yaml:"url"`

	Command     []string          `yaml:"command"` // or one text, cut at spaces
	Worker      bool              `yaml:"worker"`  // no program: workers elsewhere serve it
	Dir         string            `yaml:"dir"`     // absolute, or seen from the file's folder
	Handler     string            `yaml:"handler"`
	Timeout     time.Duration     `yaml:"timeout"`
	Memory      int               `yaml:"memory"` // MiB
	Concurrency int               `yaml:"concurrency"`
	Idle        time.Duration     `yaml:"idle"`
	Env         map[string]string `yaml:"env"`
	PassEnv     []string          `yaml:"pass_env"`
	Retries     *int              `yaml:"retries"`
	RetryDelay  time.Duration     `yaml:"retry_delay"`
	DeadLetter  string            `yaml:"dead_letter"`
}

// Model says who answers for the models whose ModelId matches.
type Model struct {
	Match    string        `yaml:"match"`    // a ModelId, * for any text
	Provider string        `yaml:"provider"` // anthropic, bedrock, lexicon or openai
	Model    string        `yaml:"model"`    // the provider's name for it
	URL      string        `yaml:"url"`      // of the provider
	KeyEnv   string        `yaml:"key_env"`  // the environment variable with the key
	Timeout  time.Duration `yaml:"timeout"`  // "90s"; 0: the integration's own
	Script   string        `yaml:"script"`   // the file of a script's replies
	Rate     float64       `yaml:"rate"`     // requests a second; 0: no limit
	Billing  string        `yaml:"billing"`  // metered, subscription or local; "": as the provider is
}

// Gate says what the outputs of some states must be.
type Gate struct {
	Machine string `yaml:"machine"` // a name, * for any text; "": all
	State   string `yaml:"state"`   // the same
	Path    string `yaml:"path"`    // a JSONPath to what is looked at; "": all
	JSON    bool   `yaml:"json"`    // it is a text that holds JSON
	Schema  string `yaml:"schema"`  // the file of a JSON Schema
	Empty   string `yaml:"empty"`   // "refuse"; "": may be
	Refusal string `yaml:"refusal"` // "refuse"; "": may be
}

// keys are the fields of each mapping, in the order of messages.
var (
	configKeys   = []string{"listen", "data", "region", "account", "functions", "models", "gates", "logs", "limits", "throttle", "machines_on_aws", "egress", "connections", "schedules", "triggers", "notifications"}
	limitKeys    = []string{"payload", "history", "spill", "retention", "machines"}
	functionKeys = []string{"url", "command", "worker", "dir", "handler", "timeout", "memory", "concurrency", "idle", "env", "pass_env", "retries", "retry_delay", "dead_letter"}
	modelKeys    = []string{"match", "provider", "model", "url", "key_env", "timeout", "script", "rate", "billing"}
	gateKeys     = []string{"machine", "state", "path", "json", "schema", "empty", "refusal"}
	billings     = []string{"metered", "subscription", "local"}
	providers    = []string{"anthropic", "bedrock", "extractor", "hash-embedder", "lexicon", "openai", "script"}
)

// Load reads the file at path. The error names the file, all lines that are
// wrong and, where it can, what was meant. A missing file gives an error that
// wraps fs.ErrNotExist.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("read the configuration %s: it has more than %d bytes", path, maxSize)
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// Files that belong to the configuration lie beside it.
	beside := func(name *string) {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(filepath.Dir(path), *name)
		}
	}
	for i := range c.Models {
		beside(&c.Models[i].Script)
	}
	for i := range c.Gates {
		beside(&c.Gates[i].Schema)
	}
	return c, nil
}

// Parse reads a configuration from its text; see Load.
func Parse(text []byte) (*Config, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, plain(err)
	}
	c := &Config{}
	if len(doc.Content) == 0 {
		return c, nil
	}
	r := reader{}
	r.config(c, doc.Content[0])
	if len(r.problems) > 0 {
		return nil, errors.New(strings.Join(r.problems, "\n"))
	}
	return c, nil
}

// plain takes the library's name from its messages.
func plain(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "yaml: ")) }

// reader gathers what is wrong, so that all of it can be put right at once.
type reader struct{ problems []string }

func (r *reader) problem(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("line %d: ", n.Line)+fmt.Sprintf(format, args...))
}

func (r *reader) config(c *Config, n *yaml.Node) {
	r.fields(n, "the configuration", configKeys, func(key string, v *yaml.Node) {
		switch key {
		case "listen":
			r.text(v, key, &c.Listen)
		case "data":
			r.text(v, key, &c.Data)
		case "region":
			if r.text(v, key, &c.Region) && !regionForm.MatchString(c.Region) {
				r.problem(v, "region must be a name such as us-east-1, not %.60q", c.Region)
			}
		case "account":
			if r.text(v, key, &c.Account) && !accountForm.MatchString(c.Account) {
				r.problem(v, "account must have twelve digits, not %.60q", c.Account)
			}
		case "functions":
			c.Functions = r.functions(v)
		case "models":
			c.Models = r.models(v)
		case "gates":
			c.Gates = r.gates(v)
		case "logs":
			c.Logs = r.logs(v)
		case "limits":
			r.limits(v, "limits", limitKeys, &c.Limits)
		case "throttle":
			r.flag(v, key, &c.Throttle)
		case "machines_on_aws":
			r.flag(v, key, &c.OnAWS)
		case "egress":
			r.egress(v, &c.Egress)
		case "connections":
			c.Connections = r.connections(v)
		case "schedules":
			c.Schedules = r.schedules(v)
		case "triggers":
			c.Triggers = r.triggers(v)
		case "notifications":
			c.Notifications = r.notifications(v)
		}
	})
}

// logs reads a mapping whose order counts.
func (r *reader) logs(n *yaml.Node) []Log {
	var all []Log
	r.fields(n, "logs", nil, func(match string, v *yaml.Node) {
		l := Log{Match: match}
		if r.text(v, "where a log goes", &l.Target); l.Target == "" && len(r.problems) == 0 {
			r.problem(v, "log group %s needs the path of a file, or stdout", match)
		}
		all = append(all, l)
	})
	return all
}

// limits reads those of all machines or, where known says so, of some.
func (r *reader) limits(n *yaml.Node, what string, known []string, to *Limits) {
	r.fields(n, what, known, func(key string, v *yaml.Node) {
		var text string
		var err error
		switch key {
		case "payload":
			if r.text(v, key, &text) {
				to.Payload, err = ParsePayload(text)
			}
		case "history":
			if r.text(v, key, &text) {
				to.History, err = ParseHistory(text)
			}
		case "spill":
			if r.text(v, key, &text) {
				to.Spill, err = parseSpill(text)
			}
		case "retention":
			if r.text(v, key, &text) {
				to.Retention, err = ParseRetention(text)
			}
		case "machines":
			r.fields(v, "the limits of machines", nil, func(match string, v *yaml.Node) {
				var own Limits
				r.limits(v, "the limits of "+match, limitKeys[:len(limitKeys)-1], &own)
				to.Machines = append(to.Machines, MachineLimits{match, own.Payload, own.History, own.Spill, own.Retention})
			})
		}
		if err != nil {
			r.problem(v, "%s %v", key, err)
		}
	})
}

// ParsePayload reads a payload limit, such as 1048576, 512KiB or 1MiB.
func ParsePayload(text string) (int, error) {
	number, unit := text, 1
	for suffix, size := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if before, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = strings.TrimSpace(before), size
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("must be a size such as 512KiB or 1MiB, not %.60q", text)
	}
	if n < MinPayload/unit || n > MaxPayload/unit {
		return 0, fmt.Errorf("must be from 256KiB, which is AWS's, to 4MiB, not %.60s", text)
	}
	return n * unit, nil
}

// ParseHistory reads a limit of history events.
func ParseHistory(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("must be a number of events such as 100000, not %.60q", text)
	}
	if n < MinHistory || n > MaxHistory {
		return 0, fmt.Errorf("must be from %d, which is AWS's, to %d, not %d", MinHistory, MaxHistory, n)
	}
	return n, nil
}

// ParseRetention reads how long executions are kept: a time such as 90d, 36h or
// 1d12h, or forever.
func ParseRetention(text string) (time.Duration, error) {
	const day, maxDays = 24 * time.Hour, 36_500
	if text == "forever" {
		return Forever, nil
	}
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 32)
	var d time.Duration
	if err == nil && (rest != "" || !found) {
		d, err = time.ParseDuration(rest)
	}
	switch {
	case err != nil || d < 0:
		return 0, fmt.Errorf("must be a time such as 90d or 36h, or forever, not %.60q", text)
	case n > maxDays || d > maxDays*day:
		return 0, fmt.Errorf("must be 36500d at most, or forever, not %.60s", text)
	case time.Duration(n)*day+d < MinRetention:
		return 0, fmt.Errorf("must be an hour (1h) at least, not %.60s", text)
	}
	return time.Duration(n)*day + d, nil
}

func parseSpill(text string) (string, error) {
	if bucket, ok := strings.CutPrefix(text, "s3://"); text != "none" && (!ok || bucket == "" || bucket[0] == '/') {
		return "", fmt.Errorf("must be s3://bucket/prefix or none, not %.60q", text)
	}
	return text, nil
}

// SpillOf says where a machine's results go that are over its payload limit, ""
// or none for nowhere.
func (l *Limits) SpillOf(machine string) string {
	for _, m := range l.Machines {
		if matches(m.Match, machine) {
			return cmp.Or(m.Spill, l.Spill)
		}
	}
	return l.Spill
}

// RetentionOf says how long a machine's executions are kept when they have ended,
// or Forever.
func (l *Limits) RetentionOf(machine string) time.Duration {
	for _, m := range l.Machines {
		if matches(m.Match, machine) {
			return cmp.Or(m.Retention, l.Retention, DefaultRetention)
		}
	}
	return cmp.Or(l.Retention, DefaultRetention)
}

// ShortestRetention is the shortest time that RetentionOf says of any machine.
func (l *Limits) ShortestRetention() time.Duration {
	least := cmp.Or(l.Retention, DefaultRetention)
	for _, m := range l.Machines {
		least = min(least, cmp.Or(m.Retention, least))
	}
	return least
}

// Of gives the limits of a machine, 0 where they are AWS's.
func (l *Limits) Of(machine string) (payload int, history int64) {
	for _, m := range l.Machines {
		if matches(m.Match, machine) {
			return cmp.Or(m.Payload, l.Payload), cmp.Or(m.History, l.History)
		}
	}
	return l.Payload, l.History
}

// LargestPayload is the highest payload limit of any machine, 0 for AWS's.
func (l *Limits) LargestPayload() int {
	most := l.Payload
	for _, m := range l.Machines {
		most = max(most, m.Payload)
	}
	return most
}

// matches says whether a name is that of the pattern, in which * stands for any
// text.
func matches(pattern, name string) bool {
	first, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		_, left, ok := strings.Cut(name, part)
		if !ok {
			return false
		}
		name, rest = left, after
	}
}

var (
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)
	accountForm = regexp.MustCompile(`^\d{12}$`)
	envForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (r *reader) functions(n *yaml.Node) map[string]Function {
	all := map[string]Function{}
	r.fields(n, "functions", nil, func(name string, v *yaml.Node) { all[name] = r.function(name, v) })
	return all
}

func (r *reader) function(name string, n *yaml.Node) Function {
	var f Function
	r.fields(n, "function "+name, functionKeys, func(key string, v *yaml.Node) {
		switch key {
		case "url":
			r.address(v, key, &f.URL)
		case "command":
			f.Command = r.command(v)
		case "worker":
			r.flag(v, key, &f.Worker)
		case "dir":
			r.text(v, key, &f.Dir)
		case "handler":
			r.text(v, key, &f.Handler)
		case "timeout":
			r.duration(v, key, &f.Timeout)
		case "memory":
			r.number(v, key, &f.Memory)
		case "concurrency":
			r.number(v, key, &f.Concurrency)
		case "idle":
			r.duration(v, key, &f.Idle)
		case "env":
			f.Env = map[string]string{}
			r.fields(v, "env", nil, func(name string, v *yaml.Node) {
				var text string
				r.text(v, name, &text)
				f.Env[name] = text
			})
		case "pass_env":
			f.PassEnv = r.texts(v, key)
		case "retries":
			var n int
			if r.number(v, key, &n) {
				f.Retries = &n
			}
		case "retry_delay":
			r.duration(v, key, &f.RetryDelay)
		case "dead_letter":
			r.text(v, key, &f.DeadLetter)
		}
	})
	ways := 0
	for _, has := range []bool{f.URL != "", len(f.Command) > 0, f.Worker} {
		if has {
			ways++
		}
	}
	if ways != 1 && len(r.problems) == 0 {
		r.problem(n, "function %s needs one of url, command and worker: say where it answers, for instance url: http://127.0.0.1:9000/, or what runs it, for instance command: node index.mjs", name)
	}
	return f
}

// command reads a list of a program and its arguments, or a text of them without
// quotes.
func (r *reader) command(n *yaml.Node) []string {
	if n = resolve(n); n.Kind == yaml.SequenceNode {
		return r.texts(n, "command")
	}
	var text string
	r.text(n, "command", &text)
	if strings.ContainsAny(text, "'\"\\") {
		r.problem(n, "command with quotes must be a list, such as [sh, -c, 'echo $HOME']")
	}
	return strings.Fields(text)
}

func (r *reader) texts(n *yaml.Node, key string) []string {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		if !isNull(n) {
			r.problem(n, "%s must be a list", key)
		}
		return nil
	}
	var all []string
	for _, v := range n.Content {
		var text string
		if r.text(v, "an entry of "+key, &text) {
			all = append(all, text)
		}
	}
	return all
}

func (r *reader) number(n *yaml.Node, key string, to *int) bool {
	var text string
	if !r.text(n, key, &text) {
		return false
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		r.problem(n, "%s must be a whole number, not %.60q", key, text)
		return false
	}
	*to = v
	return true
}

func (r *reader) models(n *yaml.Node) []Model {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		if !isNull(n) {
			r.problem(n, "models must be a list: each begins with - match:")
		}
		return nil
	}
	var all []Model
	for _, v := range n.Content {
		all = append(all, r.model(v))
	}
	return all
}

func (r *reader) model(n *yaml.Node) Model {
	var m Model
	before := len(r.problems)
	r.fields(n, "a model", modelKeys, func(key string, v *yaml.Node) {
		switch key {
		case "match":
			r.text(v, key, &m.Match)
		case "provider":
			if r.text(v, key, &m.Provider) && !slices.Contains(providers, m.Provider) {
				r.problem(v, "unknown provider %.60q%s", m.Provider, hint(m.Provider, providers))
			}
		case "model":
			r.text(v, key, &m.Model)
		case "url":
			r.address(v, key, &m.URL)
		case "key_env":
			if r.text(v, key, &m.KeyEnv) && !envForm.MatchString(m.KeyEnv) {
				r.problem(v, "key_env must be the name of an environment variable, such as OPENAI_API_KEY; a key itself does not belong here")
			}
		case "timeout":
			r.duration(v, key, &m.Timeout)
		case "script":
			r.text(v, key, &m.Script)
		case "rate":
			r.perSecond(v, &m.Rate)
		case "billing":
			if r.text(v, key, &m.Billing) && !slices.Contains(billings, m.Billing) {
				r.problem(v, "billing must be one of %s, not %.60q", strings.Join(billings, ", "), m.Billing)
			}
		}
	})
	if len(r.problems) == before {
		if m.Match == "" {
			r.problem(n, "a model needs match: a ModelId, or a pattern such as anthropic.*")
		}
		if m.Provider == "" {
			r.problem(n, "a model needs provider: one of %s", strings.Join(providers, ", "))
		}
	}
	return m
}

// rateForm is a number of requests in a time, a second where none is given.
var rateForm = regexp.MustCompile(`^(\d+(?:\.\d+)?)\s*(?:/\s*(s|m|h))?$`)

func (r *reader) perSecond(n *yaml.Node, to *float64) {
	var text string
	if !r.text(n, "rate", &text) {
		return
	}
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		r.problem(n, "rate must be a number of requests, such as 50/s or 600/m, not %.60q", text)
		return
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil || x <= 0 {
		r.problem(n, "rate must be more than 0, not %.60q", text)
		return
	}
	*to = x / map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[m[2]]
}

func (r *reader) gates(n *yaml.Node) []Gate {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		if !isNull(n) {
			r.problem(n, "gates must be a list: each begins with - state:")
		}
		return nil
	}
	var all []Gate
	for _, v := range n.Content {
		var g Gate
		refuse := func(v *yaml.Node, key string, to *string) {
			if r.text(v, key, to) && *to != "refuse" {
				r.problem(v, "%s must be refuse, or be left out, not %.60q", key, *to)
			}
		}
		r.fields(v, "a gate", gateKeys, func(key string, v *yaml.Node) {
			switch key {
			case "machine":
				r.text(v, key, &g.Machine)
			case "state":
				r.text(v, key, &g.State)
			case "path":
				r.text(v, key, &g.Path)
			case "json":
				r.flag(v, key, &g.JSON)
			case "schema":
				r.text(v, key, &g.Schema)
			case "empty":
				refuse(v, key, &g.Empty)
			case "refusal":
				refuse(v, key, &g.Refusal)
			}
		})
		all = append(all, g)
	}
	return all
}

// fields goes through the members of a mapping. Where known is not nil it
// complains about others.
func (r *reader) fields(n *yaml.Node, what string, known []string, field func(key string, v *yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			r.problem(n, "%s must be written as key: value", what)
		}
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch first, twice := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			r.problem(k, "a key of %s must be a text", what)
		case twice:
			r.problem(k, "%.60q stands twice in %s, first in line %d", k.Value, what, first)
		case known != nil && !slices.Contains(known, k.Value):
			r.problem(k, "unknown key %.60q in %s%s", k.Value, what, hint(k.Value, known))
		default:
			field(k.Value, v)
		}
		seen[k.Value] = k.Line
	}
}

// resolve follows an alias to its anchor. An alias is no way to make a small file
// big here: every value has one fixed place.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text reads a text; a number that stands for one is taken as it is written.
func (r *reader) text(n *yaml.Node, key string, to *string) bool {
	n = resolve(n)
	if isNull(n) {
		return false
	}
	if n.Kind != yaml.ScalarNode {
		r.problem(n, "%s must be a text", key)
		return false
	}
	*to = n.Value
	return true
}

func (r *reader) flag(n *yaml.Node, key string, to *bool) {
	n = resolve(n)
	if !isNull(n) && n.Decode(to) != nil {
		r.problem(n, "%s must be true or false", key)
	}
}

func (r *reader) address(n *yaml.Node, key string, to *string) {
	if !r.text(n, key, to) {
		return
	}
	if u, err := url.Parse(*to); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.problem(n, "%s must be an address with http:// or https://", key)
	} else if u.User != nil {
		r.problem(n, "%s must not hold a password", key)
	}
}

func (r *reader) duration(n *yaml.Node, key string, to *time.Duration) {
	var text string
	if !r.text(n, key, &text) {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		r.problem(n, "%s must be a time such as 90s or 2m, not %.60q", key, text)
		return
	}
	*to = d
}

// hint names the word that was probably meant, or else all there are.
func hint(word string, known []string) string {
	for _, k := range known {
		if near(strings.ToLower(word), k) {
			return fmt.Sprintf("; did you mean %s?", k)
		}
	}
	return "; there are " + strings.Join(known, ", ")
}

// near reports whether a becomes b by one or two changes of a letter.
func near(a, b string) bool {
	if len(a) > 2*len(b)+2 {
		return false
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)] <= min(2, len(b)/2)
}
