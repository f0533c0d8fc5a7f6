// Package quiet notices failures that make no error: an agent that begins to
// answer with nothing, whose work is sent back more often, whose answers grow
// short or slow.
//
// A Watch keeps statistics for each key, such as an agent or a state of a
// machine, and compares today with the week before. It is bounded in memory, is
// told what time it is, and gives the same alerts for the same observations. An
// alert comes when a figure has left its band, for a few observations, and again
// when it has been back well within it for more, not in between: so a figure on
// the edge does not chatter.
package quiet

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Observation is one finished piece of work.
type Observation struct {
	Key     string // whose: an agent's or a state's
	At      time.Time
	Empty   bool          // it came to nothing
	Refused bool          // it was refused by its schema
	Rework  bool          // it was sent back to be done again
	Length  int64         // of the output, in bytes or tokens
	Took    time.Duration // how long it took
}

// Figure is what is watched.
type Figure string

const (
	Empty   Figure = "empty_rate"
	Refused Figure = "refused_rate"
	Rework  Figure = "rework_rate"
	Length  Figure = "length_median"
	Latency Figure = "latency_p90" // seconds
)

// Figures lists what is watched.
var Figures = []Figure{Empty, Refused, Rework, Length, Latency}

// Alert says that a figure has left its band, or is back in it.
type Alert struct {
	Key    string    `json:"key"`
	Figure Figure    `json:"figure"`
	At     time.Time `json:"at"`
	Back   bool      `json:"back"` // it is within its band again
	Now    float64   `json:"now"`
	Low    float64   `json:"low"` // the band
	High   float64   `json:"high"`
	Usual  float64   `json:"usual"` // over the week before
	Sample int       `json:"sample"`
}

// String is the alert as a sentence.
func (a Alert) String() string {
	what := "has left its band"
	if a.Back {
		what = "is back in its band"
	}
	return fmt.Sprintf("%s of %s %s: %.3g, where %.3g is usual and %.3g to %.3g the band (%d observations)", a.Figure, a.Key, what, a.Now, a.Usual, a.Low, a.High, a.Sample)
}

// Rules say when an alert is due. The zero Rules are the usual ones.
type Rules struct {
	MinNow  int // observations today before it is compared; 0: 20
	MinWeek int // in the week before; 0: 50
	// Surprise is how unlikely today's share must be, were it the usual one, as
	// the negative natural logarithm of a bound on its probability; 0: 12. It is
	// looked at after each observation, so that must be unlikely indeed.
	Surprise float64
	// MinRate is by how much a share must be above it in any case; 0: 0.05.
	MinRate float64
	// Factor is how many times longer or slower may be than usual, or shorter; 0: 2.5.
	Factor float64
	// Inside is how much of the band, from its middle, a figure must be back in
	// for an alert to be over; 0: 0.8.
	Inside float64
	Keys   int // that are watched at a time; the one heard of longest ago goes first; 0: 2,000, which take 25 MB
}

func (r Rules) filled() Rules {
	r.MinNow, r.MinWeek, r.Keys = cmp.Or(r.MinNow, 20), cmp.Or(r.MinWeek, 50), cmp.Or(r.Keys, 2000)
	r.Surprise, r.MinRate = cmp.Or(r.Surprise, 12), cmp.Or(r.MinRate, 0.05)
	r.Factor, r.Inside = cmp.Or(r.Factor, 2.5), cmp.Or(r.Inside, 0.8)
	return r
}

// week is how many days today is compared with.
const week = 7

// Watch compares. It is for one goroutine at a time.
type Watch struct {
	rules Rules
	keys  map[string]*history
	order uint64 // grows with each observation
}

// NewWatch makes a Watch.
func NewWatch(r Rules) *Watch {
	return &Watch{rules: r.filled(), keys: map[string]*history{}}
}

// history is what is known of a key: today and the days before.
type history struct {
	today int64 // days since 1970, in UTC
	days  [week + 1]day
	out   [5]bool // by figure: it has left its band
	since [5]int  // by figure: for how many observations it has been otherwise
	heard uint64
}

// day is one day's statistics. Its size does not depend on how much there was.
type day struct {
	n                      int
	empty, refused, rework int
	length, took           sketch
}

// Observe takes one observation and returns the alerts that it gives rise to.
// One that is older than today counts for its own day, if that is within the
// week, and gives no alert.
func (w *Watch) Observe(o Observation) []Alert {
	h := w.history(o)
	if h == nil {
		return nil
	}
	number := o.At.Unix() / 86400
	h.turn(number)
	age := h.today - number
	if age > week {
		return nil
	}
	h.days[age].add(o)
	if age > 0 {
		return nil
	}
	return w.compare(o, h)
}

func (w *Watch) history(o Observation) *history {
	w.order++
	h := w.keys[o.Key]
	if h == nil {
		if len(w.keys) >= w.rules.Keys {
			w.forget()
		}
		h = &history{today: o.At.Unix() / 86400}
		w.keys[o.Key] = h
	}
	h.heard = w.order
	return h
}

// forget drops the key that was heard of longest ago.
func (w *Watch) forget() {
	oldest, heard := "", uint64(math.MaxUint64)
	for key, h := range w.keys {
		if h.heard < heard {
			oldest, heard = key, h.heard
		}
	}
	delete(w.keys, oldest)
}

// turn moves the days on, as far as time has gone.
func (h *history) turn(to int64) {
	steps := to - h.today
	if steps <= 0 {
		return
	}
	h.today = to
	if steps > week {
		h.days = [week + 1]day{}
		return
	}
	copy(h.days[steps:], h.days[:])
	for i := range h.days[:steps] {
		h.days[i] = day{}
	}
}

func (d *day) add(o Observation) {
	d.n++
	for _, c := range []struct {
		yes bool
		n   *int
	}{{o.Empty, &d.empty}, {o.Refused, &d.refused}, {o.Rework, &d.rework}} {
		if c.yes {
			*c.n++
		}
	}
	if !o.Empty { // nothing has no length
		d.length.add(float64(max(o.Length, 0)))
	}
	d.took.add(max(o.Took.Seconds(), 0))
}

func (d *day) merge(o *day) {
	d.n += o.n
	d.empty += o.empty
	d.refused += o.refused
	d.rework += o.rework
	d.length.merge(&o.length)
	d.took.merge(&o.took)
}

// compare looks at each figure of today.
func (w *Watch) compare(o Observation, h *history) (alerts []Alert) {
	today := &h.days[0]
	if today.n < w.rules.MinNow {
		return nil
	}
	var before day
	for i := range h.days[1:] {
		before.merge(&h.days[1+i])
	}
	if before.n < w.rules.MinWeek {
		return nil
	}
	for i, figure := range Figures {
		a := w.band(figure, today, &before)
		a.Key, a.Figure, a.At, a.Sample = o.Key, figure, o.At, today.n
		long := w.rules.MinNow / 4
		otherwise := a.Now < a.Low || a.Now > a.High
		if h.out[i] {
			a.Back, long = true, w.rules.MinNow
			otherwise = a.Now <= a.Usual+(a.High-a.Usual)*w.rules.Inside && a.Now >= a.Usual-(a.Usual-a.Low)*w.rules.Inside
		}
		if h.since[i]++; !otherwise {
			h.since[i] = 0
		}
		if h.since[i] == 0 || h.since[i] < long {
			continue
		}
		h.since[i] = 0
		h.out[i] = !a.Back
		alerts = append(alerts, a)
	}
	return alerts
}

func (w *Watch) band(figure Figure, today, before *day) Alert {
	share := func(now, was int) Alert {
		// One more of each kind, so that what never happened is not impossible,
		// and what the week leaves uncertain on top.
		p := float64(was+1) / float64(before.n+2)
		p = min(p+2*math.Sqrt(p*(1-p)/float64(before.n)), 0.999999)
		return Alert{
			Now: float64(now) / float64(today.n), Usual: float64(was) / float64(before.n),
			Low: 0, High: max(unlikely(p, w.rules.Surprise/float64(today.n)), min(p+w.rules.MinRate, 1)),
		}
	}
	quantile := func(now, was *sketch, q float64) Alert {
		usual := was.quantile(q)
		a := Alert{Now: now.quantile(q), Usual: usual, Low: usual / w.rules.Factor, High: usual * w.rules.Factor}
		if now.n < w.rules.MinNow || was.n < w.rules.MinWeek {
			a.Now = usual // too few to say
		}
		return a
	}
	switch figure {
	case Empty:
		return share(today.empty, before.empty)
	case Refused:
		return share(today.refused, before.refused)
	case Rework:
		return share(today.rework, before.rework)
	case Length:
		return quantile(&today.length, &before.length, 0.5)
	default:
		a := quantile(&today.took, &before.took, 0.9)
		a.Low = 0 // nobody minds what is fast
		return a
	}
}

// unlikely is the share above p whose divergence from p is d: by Chernoff's bound
// n trials of a chance of p come to it or more with a probability of at most
// exp(-n*d). It holds for small samples and rare events, where standard errors
// do not.
func unlikely(p, d float64) float64 {
	low, high := p, 1.0
	for range 40 {
		x := (low + high) / 2
		divergence := x * math.Log(x/p)
		if x < 1 {
			divergence += (1 - x) * math.Log((1-x)/(1-p))
		}
		if divergence < d {
			low = x
		} else {
			high = x
		}
	}
	return high
}

// Stat is what is known of a key over some days.
type Stat struct {
	Key                         string
	N                           int
	Empty, Refused, Rework      float64 // shares
	Length, Latency             float64 // median; 90 of 100, in seconds
	UsualLength, UsualLatency   float64 // over the week before
	UsualEmpty, UsualReworkRate float64
}

// Today lists what is known, by key.
func (w *Watch) Today() []Stat {
	var list []Stat
	for key, h := range w.keys {
		var before day
		for i := range h.days[1:] {
			before.merge(&h.days[1+i])
		}
		d := &h.days[0]
		rate := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
		list = append(list, Stat{
			Key: key, N: d.n, Empty: rate(d.empty, d.n), Refused: rate(d.refused, d.n), Rework: rate(d.rework, d.n),
			Length: d.length.quantile(0.5), Latency: d.took.quantile(0.9), UsualLength: before.length.quantile(0.5), UsualLatency: before.took.quantile(0.9),
			UsualEmpty: rate(before.empty, before.n), UsualReworkRate: rate(before.rework, before.n),
		})
	}
	slices.SortFunc(list, func(a, b Stat) int { return cmp.Compare(a.Key, b.Key) })
	return list
}
