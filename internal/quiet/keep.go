package quiet

import (
	"encoding/json"
	"fmt"
)

// Band is where a figure stands today, and where it usually is.
type Band struct {
	Figure Figure  `json:"figure"`
	Now    float64 `json:"now"`
	Usual  float64 `json:"usual"` // over the week before
	Low    float64 `json:"low"`   // the band
	High   float64 `json:"high"`
	Sample int     `json:"sample"` // observations today
	Before int     `json:"before"` // in the week before
	Enough bool    `json:"enough"` // to compare: else there is no alert, and the band says little
	Out    bool    `json:"out"`    // an alert stands
}

// Bands says how each figure of a key stands, nil for one that nothing is known
// of.
func (w *Watch) Bands(key string) (all []Band) {
	h := w.keys[key]
	if h == nil {
		return nil
	}
	today := &h.days[0]
	var before day
	for i := range h.days[1:] {
		before.merge(&h.days[1+i])
	}
	for i, figure := range Figures {
		b := Band{Figure: figure, Sample: today.n, Before: before.n, Enough: today.n >= w.rules.MinNow && before.n >= w.rules.MinWeek, Out: h.out[i]}
		if today.n > 0 && before.n > 0 {
			a := w.band(figure, today, &before)
			b.Now, b.Usual, b.Low, b.High = a.Now, a.Usual, a.Low, a.High
		}
		all = append(all, b)
	}
	return all
}

// Forget drops a key.
func (w *Watch) Forget(key string) { delete(w.keys, key) }

// kept is a history as Save writes it.
type kept struct {
	Today int64     `json:"today"`
	Days  []keptDay `json:"days"`
	Out   [5]bool   `json:"out"`
	Since [5]int    `json:"since"`
}

type keptDay struct {
	Age     int         `json:"age"`
	N       int         `json:"n"`
	Empty   int         `json:"empty,omitempty"`
	Refused int         `json:"refused,omitempty"`
	Rework  int         `json:"rework,omitempty"`
	Length  [][2]uint32 `json:"length,omitempty"` // buckets with their counts
	Took    [][2]uint32 `json:"took,omitempty"`
}

// Save writes what is known of a key, nil for nothing, in a few hundred bytes a
// day.
func (w *Watch) Save(key string) []byte {
	h := w.keys[key]
	if h == nil {
		return nil
	}
	k := kept{Today: h.today, Out: h.out, Since: h.since}
	for age := range h.days {
		if d := &h.days[age]; d.n > 0 {
			k.Days = append(k.Days, keptDay{age, d.n, d.empty, d.refused, d.rework, d.length.save(), d.took.save()})
		}
	}
	text, _ := json.Marshal(k) // numbers
	return text
}

// Load takes back what Save wrote, in the place of what is known of the key.
func (w *Watch) Load(key string, text []byte) error {
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("what is kept of %s cannot be read: %w", key, err)
	}
	h := &history{today: k.Today, out: k.Out, since: k.Since}
	for _, d := range k.Days {
		if d.Age < 0 || d.Age > week {
			return fmt.Errorf("what is kept of %s has a day of an age of %d", key, d.Age)
		}
		to := &h.days[d.Age]
		to.n, to.empty, to.refused, to.rework = d.N, d.Empty, d.Refused, d.Rework
		to.length.load(d.Length)
		to.took.load(d.Took)
	}
	if w.keys[key] == nil && len(w.keys) >= w.rules.Keys {
		w.forget()
	}
	w.order++
	h.heard = w.order
	w.keys[key] = h
	return nil
}

func (s *sketch) save() (all [][2]uint32) {
	for i, n := range s.counts {
		if n > 0 {
			all = append(all, [2]uint32{uint32(i), n})
		}
	}
	return all
}

func (s *sketch) load(all [][2]uint32) {
	for _, b := range all {
		if b[0] < buckets {
			s.counts[b[0]] += b[1]
			s.n += int(b[1])
		}
	}
}
