package quiet

import "math"

// sketch counts values in buckets whose bounds grow by growth, so that a quantile
// is at most a tenth off, whatever the values are, in a few hundred bytes.
type sketch struct {
	n      int
	counts [buckets]uint32
}

const (
	buckets = 176
	growth  = 1.2
	least   = 0.001 // what is below counts as that: a millisecond
)

var logGrowth = math.Log(growth)

func (s *sketch) add(v float64) {
	s.n++
	s.counts[bucketOf(v)]++
}

func bucketOf(v float64) int {
	if !(v > least) { // not a number neither
		return 0
	}
	return int(min(math.Ceil(math.Log(v/least)/logGrowth), buckets-1))
}

func (s *sketch) merge(o *sketch) {
	s.n += o.n
	for i, n := range o.counts {
		s.counts[i] += n
	}
}

// quantile is the value that a share q of all are at most; 0 of none.
func (s *sketch) quantile(q float64) float64 {
	if s.n == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(s.n)))
	seen := 0
	for i, n := range s.counts {
		if seen += int(n); seen >= rank && seen > 0 {
			if i == 0 {
				return 0
			}
			// The middle of the bucket, in proportion.
			return least * math.Pow(growth, float64(i)-0.5)
		}
	}
	return least * math.Pow(growth, buckets-1)
}
