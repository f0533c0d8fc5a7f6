package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxImport is how large a file of prices may be, in bytes.
const MaxImport = 16 << 20

// Imported is what was read of a file.
type Imported struct {
	Format string   `json:"format"` // "genai-prices" or "litellm"
	Models []Model  `json:"-"`
	Left   []string `json:"left"` // what was left out, a line each
}

// Import reads prices in the format of genai-prices (data_slim.json or
// data.json) or of LiteLLM (model_prices_and_context_window.json). Models whose
// price it cannot say exactly are left out, and listed: they stay unpriced. It
// fails on a file that is neither, or too large.
func Import(text []byte, source string) (*Imported, error) {
	if len(text) > MaxImport {
		return nil, fmt.Errorf("the file has %d bytes; it may have %d", len(text), MaxImport)
	}
	trimmed := bytes.TrimLeft(text, " \t\r\n\ufeff")
	var in *Imported
	var err error
	switch {
	case bytes.HasPrefix(trimmed, []byte("[")):
		in, err = importGenai(trimmed, source)
	case bytes.HasPrefix(trimmed, []byte("{")):
		in, err = importLiteLLM(trimmed, source)
	default:
		err = errors.New("it is neither a list, as genai-prices has, nor an object, as LiteLLM has")
	}
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	if len(in.Models) == 0 {
		return nil, fmt.Errorf("read prices: the file has the form of %s but no model with a price", in.Format)
	}
	return in, nil
}

func (in *Imported) leave(format string, args ...any) {
	const most = 1000
	if len(in.Left) < most {
		in.Left = append(in.Left, fmt.Sprintf(format, args...))
	}
}

func (in *Imported) keep(m Model) {
	m.Provider = ProviderName(m.Provider)
	if m.Match != nil {
		if err := m.Match.compile(0); err != nil { // such as what Go's regular expressions do not have
			m.Match = nil
			in.leave("%s %s is known by this name only: %v", m.Provider, m.ID, err)
		}
	}
	if err := m.Check(); err != nil {
		in.leave("%v", err)
		return
	}
	m.sort()
	in.Models = append(in.Models, m)
}

// genaiPrice is a number or {"base": …, "tiers": [{"start": …, "price": …}]}.
type genaiPrice struct {
	base  json.Number
	tiers []genaiTier
}

type genaiTier struct {
	Start json.Number `json:"start"`
	Price json.Number `json:"price"`
}

func (p *genaiPrice) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var tiered struct {
			Base  json.Number `json:"base"`
			Tiers []genaiTier `json:"tiers"`
		}
		if err := json.Unmarshal(text, &tiered); err != nil {
			return err
		}
		p.base, p.tiers = tiered.Base, tiered.Tiers
		return nil
	}
	return json.Unmarshal(text, &p.base)
}

type genaiConditional struct {
	Constraint *struct {
		StartDate string `json:"start_date"`
		StartTime string `json:"start_time"`
	} `json:"constraint"`
	Prices map[string]json.RawMessage `json:"prices"`
}

func importGenai(text []byte, source string) (*Imported, error) {
	var providers []struct {
		ID     string `json:"id"`
		Models []struct {
			ID     string          `json:"id"`
			Match  json.RawMessage `json:"match"`
			Prices json.RawMessage `json:"prices"`
		} `json:"models"`
	}
	if err := json.Unmarshal(text, &providers); err != nil {
		return nil, err
	}
	in := &Imported{Format: "genai-prices"}
	for _, p := range providers {
		for _, m := range p.Models {
			model := Model{Provider: p.ID, ID: m.ID, Source: source}
			if len(m.Match) > 0 {
				if err := json.Unmarshal(m.Match, &model.Match); err != nil {
					in.leave("%s %s: its rule: %v", p.ID, m.ID, err)
					continue
				}
			}
			prices, err := genaiPrices(m.Prices)
			if err != nil {
				in.leave("%s %s: %v", p.ID, m.ID, err)
				continue
			}
			model.Prices = prices
			in.keep(model)
		}
	}
	return in, nil
}

func genaiPrices(text json.RawMessage) ([]Price, error) {
	list := []genaiConditional{{}}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, err
		}
	} else if err := json.Unmarshal(text, &list[0].Prices); err != nil {
		return nil, err
	}
	var prices []Price
	for _, c := range list {
		var from time.Time
		if c.Constraint != nil {
			if c.Constraint.StartTime != "" {
				return nil, errors.New("its price depends on the time of day")
			}
			var err error
			if from, err = time.Parse(time.DateOnly, c.Constraint.StartDate); err != nil {
				return nil, fmt.Errorf("its start date: %w", err)
			}
		}
		p, err := genaiRates(c.Prices)
		if err != nil {
			return nil, err
		}
		p.From = from
		prices = append(prices, p)
	}
	return prices, nil
}

// buckets are the names that the two formats have for the five prices.
type buckets [5]string

var (
	genaiBuckets   = buckets{"input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok"}
	liteLLMBuckets = buckets{"input_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
		"cache_creation_input_token_cost_above_1hr", "output_cost_per_token"}
)

// bucket is where a price goes.
func (r *Rates) bucket(i int) *Rate {
	return []*Rate{&r.Input, &r.CacheRead, &r.CacheWrite5m, &r.CacheWrite1h, &r.Output}[i]
}

func genaiRates(in map[string]json.RawMessage) (Price, error) {
	p := Price{Rates: NoRates}
	tiers := map[int64]*Rates{}
	var parsed [5]genaiPrice
	for i, name := range genaiBuckets {
		text, ok := in[name]
		if !ok || string(text) == "null" {
			continue
		}
		if err := json.Unmarshal(text, &parsed[i]); err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		rate, err := rateOf(string(parsed[i].base), 9)
		if err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		*p.Rates.bucket(i) = rate
		for _, t := range parsed[i].tiers {
			above, err := t.Start.Int64()
			if err != nil || above < 0 {
				return p, fmt.Errorf("%s: a tier starts at %q", name, t.Start)
			}
			tiers[above] = nil
		}
	}
	// A bucket without a tier there has the price of the tier below.
	below := p.Rates
	for _, above := range slices.Sorted(maps.Keys(tiers)) {
		rates := below
		for i := range parsed {
			for _, t := range parsed[i].tiers {
				if start, _ := t.Start.Int64(); start != above {
					continue
				}
				rate, err := rateOf(string(t.Price), 9)
				if err != nil {
					return p, fmt.Errorf("%s: %w", genaiBuckets[i], err)
				}
				*rates.bucket(i) = rate
			}
		}
		p.Tiers = append(p.Tiers, Tier{Above: above, Rates: rates})
		below = rates
	}
	if p.Rates == NoRates {
		return p, errors.New("it has no price by the token")
	}
	return p, nil
}

var liteLLMTier = regexp.MustCompile(`^(.+)_above_(\d{1,6})k_tokens$`)

func importLiteLLM(text []byte, source string) (*Imported, error) {
	var models map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &models); err != nil {
		return nil, err
	}
	in := &Imported{Format: "litellm"}
	for _, id := range slices.Sorted(maps.Keys(models)) {
		if id == "sample_spec" {
			continue
		}
		fields := models[id]
		provider := ""
		if err := json.Unmarshal(fields["litellm_provider"], &provider); err != nil || provider == "" {
			in.leave("%s: it has no litellm_provider", id)
			continue
		}
		price, err := liteLLMPrice(fields)
		if err != nil {
			in.leave("%s: %v", id, err)
			continue
		}
		m := Model{Provider: provider, ID: strings.TrimPrefix(id, provider+"/"), Prices: []Price{price}, Source: source}
		if from := ""; json.Unmarshal(fields["source"], &from) == nil && from != "" && len(from) < 300 {
			m.Source += " (" + from + ")"
		}
		in.keep(m)
	}
	return in, nil
}

func liteLLMPrice(fields map[string]json.RawMessage) (Price, error) {
	p := Price{Rates: NoRates}
	tiers := map[int64]map[int]Rate{}
	for name, text := range fields {
		above := int64(0)
		base := name
		if m := liteLLMTier.FindStringSubmatch(name); m != nil {
			above, _ = strconv.ParseInt(m[2], 10, 64) // at most six digits
			base, above = m[1], above*1000
		}
		i := slices.Index(liteLLMBuckets[:], base)
		if i < 0 || string(text) == "null" {
			continue
		}
		rate, err := rateOf(strings.Trim(string(text), `"`), 15)
		if err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		if above == 0 {
			*p.Rates.bucket(i) = rate
			continue
		}
		if tiers[above] == nil {
			tiers[above] = map[int]Rate{}
		}
		tiers[above][i] = rate
	}
	below := p.Rates
	for _, above := range slices.Sorted(maps.Keys(tiers)) {
		rates := below
		for i, rate := range tiers[above] {
			*rates.bucket(i) = rate
		}
		p.Tiers = append(p.Tiers, Tier{Above: above, Rates: rates})
		below = rates
	}
	if p.Rates == NoRates {
		return p, errors.New("it has no price by the token")
	}
	if max(p.Rates.Input, p.Rates.Output) <= 0 {
		return p, errors.New("its prices are 0, which that format has for what is not known too")
	}
	return p, nil
}

// rateOf reads a decimal number and shifts it so many digits: 9 from USD for a
// million tokens, 15 from USD for one. What is beyond a nano-USD is rounded.
func rateOf(text string, digits int) (Rate, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > 40 || f < 0 || f > 1e9 || f != 0 && f < 1e-20 {
		return 0, fmt.Errorf("%.40q is no price", text)
	}
	if f == 0 {
		return 0, nil // also 1e-999999, whose exact value would take long
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("%.40q is no price", text)
	}
	exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
	rounded, ok := new(big.Int).SetString(exact.FloatString(0), 10)
	if !ok || !rounded.IsInt64() || rounded.Int64() > MaxRate {
		return 0, fmt.Errorf("%.40q is above %d nano-USD for 1,000,000 tokens", text, MaxRate)
	}
	return Rate(rounded.Int64()), nil
}
