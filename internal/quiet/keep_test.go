package quiet_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/quiet"
)

// TestKeep: a Watch that is written down and read back after any observation says
// what one says that never was.
func TestKeep(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole, parts := quiet.NewWatch(quiet.Rules{}), quiet.NewWatch(quiet.Rules{})
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	alerts := 0
	for i := range 3000 {
		at = at.Add(time.Duration(r.IntN(600)) * time.Second)
		bad := i/500%2 == 1
		o := quiet.Observation{Key: "k", At: at, Empty: bad && r.IntN(2) == 0, Refused: r.IntN(9) == 0, Rework: r.IntN(5) == 0, Length: int64(r.IntN(5000)), Took: time.Duration(r.IntN(90)) * time.Second}
		want := whole.Observe(o)
		alerts += len(want)
		if diff := cmp.Diff(want, parts.Observe(o)); diff != "" {
			t.Fatalf("observation %d (-whole +parts):\n%s", i, diff)
		}
		again := quiet.NewWatch(quiet.Rules{})
		if err := again.Load("k", parts.Save("k")); err != nil {
			t.Fatal(err)
		}
		parts = again
	}
	if diff := cmp.Diff(whole.Bands("k"), parts.Bands("k")); diff != "" || alerts == 0 {
		t.Errorf("%d alerts; (-whole +parts):\n%s", alerts, diff)
	}
	if n := len(parts.Save("k")); n > 20_000 {
		t.Errorf("it takes %d bytes", n)
	}
}

func FuzzLoad(f *testing.F) {
	w := quiet.NewWatch(quiet.Rules{})
	w.Observe(quiet.Observation{Key: "k", At: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Length: 5, Took: time.Second})
	f.Add(w.Save("k"))
	f.Add([]byte(`{"today":-1,"days":[{"age":9}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := quiet.NewWatch(quiet.Rules{})
		if w.Load("k", text) == nil {
			w.Observe(quiet.Observation{Key: "k", At: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)})
			w.Bands("k")
		}
	})
}
