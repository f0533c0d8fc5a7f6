// Package cost says what the use of a model costs. It is arithmetic over facts
// that it is given: it knows no clock, no store and no network.
//
// Money is an int64 of nano-USD (1 USD = 1,000,000,000). A price is nano-USD for
// 1,000,000 tokens, so that every published price is a whole number. Tokens come
// in disjoint buckets, whatever their source counts together; see Normalise. A
// model without a known price is marked, and never priced like another one.
package cost

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"
)

// USD is one dollar in nano-USD.
const USD = 1_000_000_000

// The bounds of what is believed. Beyond them a figure is a mistake or an
// attack, and would spoil every sum that it goes into.
const (
	MaxTokens = 100_000_000_000     // in one bucket of one event
	MaxCost   = 1_000_000 * USD     // of one event
	MaxRate   = 10_000 * int64(USD) // for 1,000,000 tokens
)

// Tokens are what a call used. The first five are disjoint; Reasoning is within
// Output already and is only shown.
type Tokens struct {
	Input        int64 `json:"input"` // not from a cache
	CacheRead    int64 `json:"cache_read"`
	CacheWrite5m int64 `json:"cache_write_5m"` // for five minutes, or for as long as the provider likes
	CacheWrite1h int64 `json:"cache_write_1h"`
	Output       int64 `json:"output"`
	Reasoning    int64 `json:"reasoning,omitempty"`
}

// Total is the sum of the disjoint buckets.
func (t Tokens) Total() int64 { return t.TotalInput() + t.Output }

// TotalInput is all that went in: what decides on the tier of a price.
func (t Tokens) TotalInput() int64 { return t.Input + t.CacheRead + t.CacheWrite5m + t.CacheWrite1h }

// Check refuses tokens that are negative or beyond MaxTokens.
func (t Tokens) Check() error {
	for _, b := range []struct {
		name string
		n    int64
	}{{"input", t.Input}, {"cache_read", t.CacheRead}, {"cache_write_5m", t.CacheWrite5m}, {"cache_write_1h", t.CacheWrite1h}, {"output", t.Output}, {"reasoning", t.Reasoning}} {
		if b.n < 0 || b.n > MaxTokens {
			return fmt.Errorf("%s is %d tokens; it must be between 0 and %d", b.name, b.n, int64(MaxTokens))
		}
	}
	return nil
}

// Marks say what is not certain about a figure.
type Marks uint8

const (
	// PriceIncomplete: a cache bucket had no price and was priced as input.
	PriceIncomplete Marks = 1 << iota
	// TierEstimated: only a sum over several calls is known, so a price with
	// tiers was taken at its lowest.
	TierEstimated
	// NormalisationWarning: the source's figures contradicted each other.
	NormalisationWarning
	// Unpriced: no price is known.
	Unpriced
	// Repeated: the same work was done before and cost then too, as after a crash.
	Repeated
)

var markNames = []string{"price_incomplete", "tier_estimated", "normalisation_warning", "unpriced", "repeated"}

// Names lists the marks in words, nil for none.
func (m Marks) Names() (names []string) {
	for i, name := range markNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (m Marks) String() string { return strings.Join(m.Names(), " ") }

// MarshalJSON writes the names.
func (m Marks) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]string{}, m.Names()...))
}

// Billing says who pays for a call, and how.
type Billing string

const (
	Metered      Billing = "metered"      // by the token
	Subscription Billing = "subscription" // a plan that is paid anyway
	Local        Billing = "local"        // on own hardware
)

// Check refuses a Billing that is none; "" is Metered.
func (b Billing) Check() error {
	switch b {
	case "", Metered, Subscription, Local:
		return nil
	}
	return fmt.Errorf("billing %q is none of metered, subscription and local", string(b))
}

// Call is one call of a model, or a sum over several.
type Call struct {
	Provider string // "": derived from the model's name where that says it
	Model    string // as the provider names it
	At       time.Time
	Tokens   Tokens
	Sum      bool   // Tokens are a sum over several calls, whose parts are not known
	Reported *int64 // what the runtime says that it cost; nil: it does not say
	Billing  Billing
	Marks    Marks // from Normalise
}

// Cost is what a call cost. All figures are nano-USD.
type Cost struct {
	Computed int64 // by tokens and prices; 0 where Unpriced
	Billed   int64 // what somebody pays for it
	Shadow   int64 // what it would cost by the token, whoever pays
	Marks    Marks
	// Version names the price that Computed was made with, "" for none. Another
	// price has another version.
	Version string
}

// Cost prices a call. It fails only on figures that no call can have.
func (c *Catalog) Cost(call Call) (Cost, error) {
	if err := call.Tokens.Check(); err != nil {
		return Cost{}, err
	}
	if err := call.Billing.Check(); err != nil {
		return Cost{}, err
	}
	if r := call.Reported; r != nil && (*r < 0 || *r > MaxCost) {
		return Cost{}, fmt.Errorf("the reported cost is %d nano-USD; it must be between 0 and %d", *r, int64(MaxCost))
	}
	out := Cost{Marks: call.Marks &^ Unpriced}
	computed, marks, version, err := c.compute(call)
	if err != nil {
		return Cost{}, err
	}
	out.Marks |= marks
	out.Computed, out.Version = computed, version
	out.Shadow = computed
	if marks&Unpriced != 0 && call.Reported != nil {
		out.Shadow = *call.Reported
	}
	if call.Billing == "" || call.Billing == Metered {
		out.Billed = computed
		if call.Reported != nil {
			out.Billed = *call.Reported
		}
	}
	return out, nil
}

func (c *Catalog) compute(call Call) (int64, Marks, string, error) {
	found, ok := c.Resolve(call.Provider, call.Model)
	if !ok {
		return 0, Unpriced, "", nil
	}
	price, ok := found.at(call.At)
	if !ok {
		return 0, Unpriced, "", nil
	}
	rates, marks := price.Rates, Marks(0)
	if len(price.Tiers) > 0 {
		if call.Sum {
			marks |= TierEstimated
		} else {
			rates = price.tier(call.Tokens.TotalInput())
		}
	}
	nano, incomplete, err := rates.of(call.Tokens)
	if errors.Is(err, errNoRate) {
		return 0, Unpriced, "", nil
	}
	if err != nil {
		return 0, 0, "", fmt.Errorf("%s %s: %w", found.Provider, call.Model, err)
	}
	if incomplete {
		marks |= PriceIncomplete
	}
	return nano, marks, price.version(), nil
}

// errNoRate: input or output has no price, and there is nothing to take instead.
var errNoRate = errors.New("no price")

// of multiplies tokens with prices. The sum is exact in 128 bits and divided
// once, half up.
func (r Rates) of(t Tokens) (nano int64, incomplete bool, err error) {
	var hi, lo uint64
	add := func(tokens int64, rate Rate, instead Rate) error {
		if tokens == 0 {
			return nil
		}
		if rate == Unknown {
			if rate = instead; rate == Unknown {
				return errNoRate
			}
			incomplete = true
		}
		h, l := bits.Mul64(uint64(tokens), uint64(rate))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, carry = bits.Add64(hi, h, carry)
		if carry != 0 {
			return errTooMuch
		}
		return nil
	}
	for _, err := range []error{
		add(t.Input, r.Input, Unknown),
		add(t.CacheRead, r.CacheRead, r.Input),
		add(t.CacheWrite5m, r.CacheWrite5m, r.Input),
		add(t.CacheWrite1h, r.CacheWrite1h, r.Input),
		add(t.Output, r.Output, Unknown),
	} {
		if err != nil {
			return 0, false, err
		}
	}
	const million = 1_000_000
	if hi >= million {
		return 0, false, errTooMuch
	}
	quotient, rest := bits.Div64(hi, lo, million)
	if rest >= million/2 {
		quotient++
	}
	if quotient > MaxCost || quotient > math.MaxInt64 {
		return 0, false, errTooMuch
	}
	return int64(quotient), incomplete, nil
}

var errTooMuch = fmt.Errorf("the cost is above %d nano-USD", int64(MaxCost))
