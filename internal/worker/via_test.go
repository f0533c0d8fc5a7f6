package worker_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// TestStartVia starts executions by a version, an alias and the machine
// itself: the record and the first history event say by which.
func TestStartVia(t *testing.T) {
	st := openSQLite(t)
	h := start(t, st, nil)
	m := h.machine("m", chain(passState, 1))
	f := func(via store.Via, version, alias string) {
		t.Helper()
		x, err := h.Start(t.Context(), store.Start{Machine: m, Revision: m.Current, Input: `{}`, Via: via})
		if err != nil {
			t.Fatal(err)
		}
		h.wait(x.ID)
		kept, err := st.Execution(t.Context(), x.ID)
		if err != nil || x.Via != via || kept.Via != via {
			t.Errorf("started via %+v, answered %+v, kept %+v, %v", via, x.Via, kept.Via, err)
		}
		var first engine.HistoryEvent
		err = st.History(t.Context(), x.ID, 0, false, func(c engine.Chunk) bool {
			events, err := engine.DecodeHistory(c)
			if err != nil {
				t.Fatal(err)
			}
			first = events[0]
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{version, alias}, []string{first.VersionARN, first.AliasARN}); diff != "" {
			t.Errorf("via %+v: %s says (-want +got):\n%s", via, first.Type, diff)
		}
	}
	f(store.Via{}, "", "")
	f(store.Via{Number: 3}, arn.Default.Version("m", 3), "")
	f(store.Via{Number: 3, Alias: "prod"}, arn.Default.Version("m", 3), arn.Default.Alias("m", "prod"))
}
