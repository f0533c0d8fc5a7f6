package cost

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rate is nano-USD for 1,000,000 tokens, or Unknown. In JSON Unknown is null.
type Rate int64

// Unknown is the rate that is not known. 0 is a price: nothing.
const Unknown Rate = -1

// MarshalJSON writes null for Unknown.
func (r Rate) MarshalJSON() ([]byte, error) {
	if r == Unknown {
		return []byte("null"), nil
	}
	return json.Marshal(int64(r))
}

// UnmarshalJSON reads what MarshalJSON writes and refuses other negative rates
// and those above MaxRate.
func (r *Rate) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*r = Unknown
		return nil
	}
	var n int64
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("a price is a whole number of nano-USD for 1,000,000 tokens: %w", err)
	}
	if n < 0 || n > MaxRate {
		return fmt.Errorf("price %d: it must be between 0 and %d nano-USD for 1,000,000 tokens", n, MaxRate)
	}
	*r = Rate(n)
	return nil
}

// Rates are the prices of the five buckets.
type Rates struct {
	Input        Rate `json:"input"`
	CacheRead    Rate `json:"cache_read"`
	CacheWrite5m Rate `json:"cache_write_5m"`
	CacheWrite1h Rate `json:"cache_write_1h"`
	Output       Rate `json:"output"`
}

// NoRates are rates of which none is known.
var NoRates = Rates{Unknown, Unknown, Unknown, Unknown, Unknown}

// UnmarshalJSON leaves what is not given Unknown.
func (r *Rates) UnmarshalJSON(text []byte) error {
	type plain Rates
	p := plain(NoRates)
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	*r = Rates(p)
	return nil
}

// Tier is what a call costs, all of it, whose total input is above so many
// tokens.
type Tier struct {
	Above int64 `json:"above"`
	Rates Rates `json:"rates"`
}

// Price is what a model costs from a time on.
type Price struct {
	From  time.Time `json:"from"` // the zero time: always
	Rates Rates     `json:"rates"`
	Tiers []Tier    `json:"tiers,omitempty"` // by Above, ascending
}

// tier is the rates for a single call with so much input.
func (p Price) tier(input int64) Rates {
	rates := p.Rates
	for _, t := range p.Tiers {
		if input > t.Above {
			rates = t.Rates
		}
	}
	return rates
}

// version is derived from the price alone: the same price has the same one
// everywhere.
func (p Price) version() string {
	text, _ := json.Marshal(p) // numbers and a time alone cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Model is a model with its prices.
type Model struct {
	Provider string  `json:"provider"`
	ID       string  `json:"id"`
	Match    *Match  `json:"match,omitempty"` // other names that it goes by; nil: none
	Prices   []Price `json:"prices"`          // by From, ascending
	Source   string  `json:"source"`          // where the prices are from
}

// at is the price that was valid at a time.
func (m *Model) at(t time.Time) (Price, bool) {
	for _, p := range slices.Backward(m.Prices) {
		if p.From.IsZero() || !t.Before(p.From) {
			return p, true
		}
	}
	return Price{}, false
}

// Check refuses a model that cannot be used, and says why.
func (m *Model) Check() error {
	if m.Provider == "" || m.ID == "" || len(m.Provider) > 100 || len(m.ID) > 300 {
		return fmt.Errorf("model %.60q of provider %.60q: both need a name, of at most 300 and 100 bytes", m.ID, m.Provider)
	}
	if len(m.Prices) == 0 {
		return fmt.Errorf("%s %s has no price", m.Provider, m.ID)
	}
	for _, p := range m.Prices {
		for _, r := range append([]Tier{{Rates: p.Rates}}, p.Tiers...) {
			for _, rate := range []Rate{r.Rates.Input, r.Rates.CacheRead, r.Rates.CacheWrite5m, r.Rates.CacheWrite1h, r.Rates.Output} {
				if rate < Unknown || rate > Rate(MaxRate) {
					return fmt.Errorf("%s %s: price %d must be between 0 and %d nano-USD for 1,000,000 tokens", m.Provider, m.ID, rate, MaxRate)
				}
			}
		}
	}
	if m.Match != nil {
		if err := m.Match.compile(0); err != nil {
			return fmt.Errorf("%s %s: %w", m.Provider, m.ID, err)
		}
	}
	return nil
}

func (m *Model) sort() {
	slices.SortStableFunc(m.Prices, func(a, b Price) int { return a.From.Compare(b.From) })
	for _, p := range m.Prices {
		slices.SortFunc(p.Tiers, func(a, b Tier) int { return int(a.Above - b.Above) })
	}
}

// Match says which names of models are meant. Exactly one of its fields is set.
// Letters compare without case.
type Match struct {
	Equals     string   `json:"equals,omitempty"`
	StartsWith string   `json:"starts_with,omitempty"`
	EndsWith   string   `json:"ends_with,omitempty"`
	Contains   string   `json:"contains,omitempty"`
	Regex      string   `json:"regex,omitempty"`
	Or         []*Match `json:"or,omitempty"`
	And        []*Match `json:"and,omitempty"`

	regex *regexp.Regexp
}

func (m *Match) compile(depth int) error {
	if m == nil || depth > 5 {
		return fmt.Errorf("a rule is empty or is nested more than five times")
	}
	set := 0
	for _, text := range []*string{&m.Equals, &m.StartsWith, &m.EndsWith, &m.Contains} {
		if *text != "" {
			set++
			*text = strings.ToLower(*text)
		}
	}
	if m.Regex != "" {
		set++
		if len(m.Regex) > 300 {
			return fmt.Errorf("a rule's regular expression is longer than 300 bytes")
		}
		r, err := regexp.Compile("(?i)" + m.Regex)
		if err != nil {
			return err
		}
		m.regex = r
	}
	if len(m.Or) > 0 {
		set++
	}
	if len(m.And) > 0 {
		set++
	}
	if set != 1 {
		return fmt.Errorf("a rule must be exactly one of equals, starts_with, ends_with, contains, regex, or, and")
	}
	for _, part := range slices.Concat(m.Or, m.And) {
		if err := part.compile(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// matches takes an id in lower case.
func (m *Match) matches(id string) bool {
	switch {
	case m.Equals != "":
		return id == m.Equals
	case m.StartsWith != "":
		return strings.HasPrefix(id, m.StartsWith)
	case m.EndsWith != "":
		return strings.HasSuffix(id, m.EndsWith)
	case m.Contains != "":
		return strings.Contains(id, m.Contains)
	case m.regex != nil:
		return m.regex.MatchString(id)
	case len(m.Or) > 0:
		return slices.ContainsFunc(m.Or, func(p *Match) bool { return p.matches(id) })
	}
	return len(m.And) > 0 && !slices.ContainsFunc(m.And, func(p *Match) bool { return !p.matches(id) })
}

// Catalog finds the price of a model. It is not changed once made, so that any
// number of goroutines may use it.
type Catalog struct {
	overrides []layer // one
	rest      []layer // what was imported, then what is built in
}

type layer struct {
	exact map[string]*Model
	rules map[string][]*Model // by provider
	list  []*Model
}

// NewCatalog makes a catalog of the workspace's own prices, which win, of
// imported ones, and of those that are built in. A model that is no good is left
// out; check with Model.Check before.
func NewCatalog(overrides, imported []Model) *Catalog {
	return &Catalog{overrides: []layer{newLayer(overrides)}, rest: []layer{newLayer(imported), builtinLayer()}}
}

func newLayer(models []Model) layer {
	l := layer{exact: map[string]*Model{}, rules: map[string][]*Model{}}
	for _, m := range models {
		m.Provider = ProviderName(m.Provider)
		if m.Check() != nil {
			continue
		}
		m.Prices = slices.Clone(m.Prices)
		m.sort()
		key := m.Provider + " " + strings.ToLower(m.ID)
		if old := l.exact[key]; old != nil { // said again: the later one counts
			l.list = slices.DeleteFunc(l.list, func(o *Model) bool { return o == old })
			l.rules[m.Provider] = slices.DeleteFunc(l.rules[m.Provider], func(o *Model) bool { return o == old })
		}
		l.exact[key] = &m
		l.list = append(l.list, &m)
		if m.Match != nil {
			l.rules[m.Provider] = append(l.rules[m.Provider], &m)
		}
	}
	return l
}

// Models lists all models, those that win first.
func (c *Catalog) Models() (list []Model) {
	for _, l := range slices.Concat(c.overrides, c.rest) {
		for _, m := range l.list {
			list = append(list, *m)
		}
	}
	return list
}

// Resolve finds a model: among the workspace's own prices, then by provider and
// exact id, then by provider and rule, and again under the name without what is
// known to make no difference to the model: a path, an ARN, a region, a version
// of the API, a date. It reports false where nothing fits: there is no default.
func (c *Catalog) Resolve(provider, model string) (Model, bool) {
	names := namesOf(ProviderName(provider), model)
	for _, layers := range [][]layer{c.overrides, c.rest} {
		for _, n := range names {
			for _, l := range layers {
				if m := l.exact[n.provider+" "+n.id]; m != nil {
					return *m, true
				}
			}
			for _, l := range layers {
				for _, m := range l.rules[n.provider] {
					if m.Match.matches(n.id) {
						return *m, true
					}
				}
			}
		}
	}
	return Model{}, false
}

type name struct{ provider, id string }

var (
	apiVersion = regexp.MustCompile(`(-v\d+)?(:\d+)+$`)
	apiSuffix  = regexp.MustCompile(`-v\d+$`)
	dateSuffix = regexp.MustCompile(`[-@](20\d{6}|20\d\d-\d\d-\d\d)$`)
	// global. is not among them: Bedrock has other prices for it.
	regionPrefix = regexp.MustCompile(`^(us|us-gov|eu|apac|jp|au|ca|uk|sa|me|il)\.`)
)

// routers stand before a name without saying who makes the model.
var routers = []string{"openrouter/", "litellm/", "bedrock/", "converse/", "vertex_ai/", "models/"}

// vendors stand before a name and say whose price it has.
var vendors = map[string]string{
	"anthropic": "anthropic", "openai": "openai", "google": "google", "gemini": "google", "amazon": "bedrock", "amazon-bedrock": "bedrock",
}

// namesOf lists the names to look for, from the most exact on.
func namesOf(provider, model string) (list []name) {
	id := strings.ToLower(model)
	if len(id) > 2048 {
		return nil
	}
	add := func() {
		n := name{provider, id}
		if n.provider == "" {
			n.provider = makerOf(id)
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	add()
	for range 3 {
		for _, router := range routers {
			if rest, ok := strings.CutPrefix(id, router); ok {
				if id = rest; router == "openrouter/" || router == "litellm/" {
					provider = ""
				}
				add()
			}
		}
	}
	if strings.HasPrefix(id, "arn:") {
		id = id[strings.LastIndexByte(id, '/')+1:]
		add()
	}
	if vendor, rest, ok := strings.Cut(id, "/"); ok && vendors[vendor] != "" && (provider == "" || provider == vendors[vendor] || provider == "openrouter" || provider == "litellm") {
		provider, id = vendors[vendor], rest
		add()
	}
	for _, strip := range []*regexp.Regexp{regionPrefix, apiVersion, apiSuffix, dateSuffix} {
		if rest := strip.ReplaceAllString(id, ""); rest != id && rest != "" {
			id = rest
			add()
		}
	}
	return list
}

// makerOf is the provider whose names look like that, where only one's do.
func makerOf(id string) string {
	id = regionPrefix.ReplaceAllString(id, "")
	switch {
	case strings.HasPrefix(id, "claude-"):
		return "anthropic"
	case strings.HasPrefix(id, "gpt-"), len(id) > 1 && id[0] == 'o' && '1' <= id[1] && id[1] <= '9':
		return "openai"
	case strings.HasPrefix(id, "gemini-"):
		return "google"
	}
	for _, prefix := range []string{"global.", "anthropic.", "amazon.", "meta."} {
		if strings.HasPrefix(id, prefix) {
			return "bedrock"
		}
	}
	return ""
}

// ProviderName is our name for a provider: anthropic, openai, bedrock, google.
// Others keep their own, in lower case.
func ProviderName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "aws", "amazon", "amazon-bedrock", "aws.bedrock", "aws_bedrock", "bedrock_converse":
		return "bedrock"
	case "gemini", "gcp.gemini", "gcp.vertex_ai", "google-vertex", "google-gla", "vertex_ai", "vertex_ai-language-models":
		return "google"
	case "openai-codex", "openai_codex", "text-completion-openai":
		return "openai"
	}
	return name
}
