package quiet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

var monday = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)

// series feeds days of n observations each, made by make, and returns what was
// alerted: "day figure" or "day figure back".
func series(w *Watch, days, n int, make func(r *rand.Rand, day int) Observation) (alerts []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for d := range days {
		for i := range n {
			o := make(r, d)
			o.Key = "ada"
			o.At = monday.AddDate(0, 0, d).Add(time.Duration(i) * 24 * time.Hour / time.Duration(n))
			for _, a := range w.Observe(o) {
				text := fmt.Sprintf("%d %s", d, a.Figure)
				if a.Back {
					text += " back"
				}
				alerts = append(alerts, text)
			}
		}
	}
	return alerts
}

// steady is an agent at its usual work.
func steady(r *rand.Rand) Observation {
	return Observation{
		Empty: r.IntN(100) < 2, Refused: r.IntN(100) < 3, Rework: r.IntN(100) < 10,
		Length: int64(500 * math.Exp(r.NormFloat64()*0.5)), Took: time.Duration(float64(10*time.Second) * math.Exp(r.NormFloat64()*0.4)),
	}
}

func TestSeries(t *testing.T) {
	f := func(name string, change func(day int, r *rand.Rand, o *Observation), want ...string) {
		t.Helper()
		got := series(NewWatch(Rules{}), 30, 200, func(r *rand.Rand, day int) Observation {
			o := steady(r)
			change(day, r, &o)
			return o
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("nothing happens", func(int, *rand.Rand, *Observation) {})
	f("empty outputs", func(day int, r *rand.Rand, o *Observation) { o.Empty = o.Empty || day == 10 && r.IntN(100) < 30 }, "10 empty_rate", "11 empty_rate back")
	f("sent back", func(day int, r *rand.Rand, o *Observation) { o.Rework = o.Rework || day == 10 && r.IntN(100) < 40 }, "10 rework_rate", "11 rework_rate back")
	f("refused", func(day int, r *rand.Rand, o *Observation) { o.Refused = o.Refused || day == 10 && r.IntN(100) < 40 }, "10 refused_rate", "11 refused_rate back")
	f("short", func(day int, _ *rand.Rand, o *Observation) {
		if day == 10 {
			o.Length /= 5
		}
	}, "10 length_median", "11 length_median back")
	f("long", func(day int, _ *rand.Rand, o *Observation) {
		if day == 10 {
			o.Length *= 5
		}
	}, "10 length_median", "11 length_median back")
	f("slow", func(day int, _ *rand.Rand, o *Observation) {
		if day == 10 {
			o.Took *= 5
		}
	}, "10 latency_p90", "11 latency_p90 back")
	f("fast", func(day int, _ *rand.Rand, o *Observation) { o.Took /= time.Duration(1 + 4*min(day/10, 1)) })
	// What stays becomes usual within a week: no alert for ever.
	f("slow from now on", func(day int, _ *rand.Rand, o *Observation) {
		if day >= 10 {
			o.Took *= 5
		}
	}, "10 latency_p90", "11 latency_p90 back")
}

// TestFalseAlarms: an agent at its usual work gives no alert, whatever chance does.
func TestFalseAlarms(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 9))
		got := series(NewWatch(Rules{}), 20, 100, func(*rand.Rand, int) Observation { return steady(r) })
		if len(got) > 0 {
			t.Errorf("seed %d: %q", seed, got)
		}
	}
}

// TestAlwaysBad: what always fails is no news.
func TestAlwaysBad(t *testing.T) {
	if got := series(NewWatch(Rules{}), 9, 100, func(*rand.Rand, int) Observation { return Observation{Empty: true, Refused: true, Rework: true} }); got != nil {
		t.Errorf("alerts %q", got)
	}
}

// TestEdge: a figure on the edge of its band does not chatter.
func TestEdge(t *testing.T) {
	w := NewWatch(Rules{})
	at := func(day, i int) time.Time { return monday.AddDate(0, 0, day).Add(time.Duration(i) * time.Second) }
	for d := range 7 {
		for i := range 100 {
			w.Observe(Observation{Key: "k", At: at(d, i), Took: time.Second})
		}
	}
	var alerts []Alert
	for i := range 2000 {
		took := time.Second
		if i%10 == 0 || i%97 == 0 { // about a tenth: the 90th of a hundred goes up and down
			took = 3 * time.Second
		}
		alerts = append(alerts, w.Observe(Observation{Key: "k", At: at(7, i), Took: took})...)
	}
	if len(alerts) > 4 {
		t.Errorf("%d alerts: %v", len(alerts), alerts)
	}
}

func TestMinimum(t *testing.T) {
	// 49 in the week: too few to compare with.
	w := NewWatch(Rules{})
	for i := range 49 {
		w.Observe(Observation{Key: "k", At: monday, Length: 100, Took: time.Second, Empty: i < 0})
	}
	for i := range 100 {
		if a := w.Observe(Observation{Key: "k", At: monday.AddDate(0, 0, 1).Add(time.Duration(i)), Empty: true}); a != nil {
			t.Fatalf("compared with too little: %v", a)
		}
	}
	// 19 today are too few to compare, and four more too few to say that it is so.
	w = NewWatch(Rules{})
	for range 1000 {
		w.Observe(Observation{Key: "k", At: monday, Length: 100, Took: time.Second})
	}
	for i := range 24 {
		a := w.Observe(Observation{Key: "k", At: monday.AddDate(0, 0, 1), Empty: true, Took: time.Second})
		if (len(a) > 0) != (i == 23) {
			t.Errorf("after %d today: %v", i+1, a)
		}
		if len(a) > 0 && !strings.Contains(a[0].String(), "empty_rate of k has left its band: 1, where 0 is usual") {
			t.Errorf("says %s", a[0])
		}
	}
}

// TestOldNews: what comes late counts for its day; what is older than a week for none.
func TestOldNews(t *testing.T) {
	w := NewWatch(Rules{})
	w.Observe(Observation{Key: "k", At: monday.AddDate(0, 0, 9)})
	w.Observe(Observation{Key: "k", At: monday.AddDate(0, 0, 8)})
	w.Observe(Observation{Key: "k", At: monday.AddDate(0, 0, 2)})
	w.Observe(Observation{Key: "k", At: monday})
	h := w.keys["k"]
	if h.days[0].n != 1 || h.days[1].n != 1 || h.days[7].n != 1 {
		t.Errorf("today %d, yesterday %d, a week ago %d; want one each", h.days[0].n, h.days[1].n, h.days[7].n)
	}
	w.Observe(Observation{Key: "k", At: monday.AddDate(1, 0, 0)})
	if h.days[0].n != 1 || h.days[1].n != 0 || h.days[7].n != 0 {
		t.Error("a year later there is still something of before")
	}
}

func TestBounded(t *testing.T) {
	w := NewWatch(Rules{Keys: 10})
	for i := range 1000 {
		w.Observe(Observation{Key: fmt.Sprint(i), At: monday})
		w.Observe(Observation{Key: "kept", At: monday})
	}
	if len(w.keys) != 10 || w.keys["kept"].days[0].n != 1000 {
		t.Errorf("%d keys are watched, want 10", len(w.keys))
	}
	if size := unsafe.Sizeof(history{}); size > 16<<10 {
		t.Errorf("a key takes %d bytes", size)
	}
	if list := w.Today(); len(list) != 10 || !slices.IsSortedFunc(list, func(a, b Stat) int { return strings.Compare(a.Key, b.Key) }) {
		t.Errorf("%d keys listed", len(list))
	}
}

func TestSketch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var s sketch
		var all []float64
		scale := math.Exp(r.Float64()*20 - 6)
		for range 1000 {
			v := scale * math.Exp(r.NormFloat64())
			s.add(v)
			all = append(all, v)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.9, 1} {
			want := all[max(0, int(math.Ceil(q*1000))-1)]
			if got := s.quantile(q); want > least && math.Abs(got-want) > want*0.1 {
				t.Errorf("quantile %g = %g, want %g", q, got, want)
			}
		}
	}
	var s sketch
	for _, v := range []float64{math.NaN(), math.Inf(1), -1, 0, math.MaxFloat64} {
		s.add(v)
	}
	if s.n != 5 || math.IsNaN(s.quantile(0.5)) {
		t.Errorf("odd values: %+v", s)
	}
	if got := (&sketch{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %g", got)
	}
}
