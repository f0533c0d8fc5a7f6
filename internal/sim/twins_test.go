package sim

import (
	"errors"
	"testing"
)

// Every safeguard has a twin without it. If the simulator does not notice
// that within a thousand worlds, it is not looking.
func TestTwins(t *testing.T) {
	const worlds = 1000
	f := func(name string, twin Twin) {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= worlds; seed++ {
				if act := newWorld(seed, Options{Twin: twin}, true).later; act.aboutRuns() != twin.aboutRuns() {
					continue
				}
				_, err := Run(seed, Options{Twin: twin})
				var noticed *Violation
				if errors.As(err, &noticed) {
					t.Logf("noticed in world %d: %s: %.300s", seed, noticed.Check, noticed.Detail)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("nobody noticed in %d worlds", worlds)
		})
	}
	f("the store takes commits against older versions", NoVersionGuard)
	f("the store answers before it has kept", AnswersEarly)
	f("the store loses its newest commit in a crash", NotSynced)
	f("the store lets two executions have one name", SameNameTwice)
	f("callers are answered before the commit", AcknowledgedFirst)
	f("what a failed batch had consumed is forgotten", NotRequeued)
	f("what grew on a failed batch is committed", HalfRolledBack)
	f("what grew on a refused commit is committed", NotPruned)
	f("events are dropped if their execution cannot be read", NotReread)
	f("nobody looks after a commit of unknown outcome", NotDoubted)
	f("a new node does not ask again for tasks", NotRecovered)
	f("a new node does not read the timers", TimersNotReloaded)
	f("a task that is asked for again has another ID", OtherTaskID)
	f("early callbacks are dropped", EarlyDropped)
	f("ids of what was removed are given out again", SameIDs)
	f("nobody asks which Map Runs are to be given up", RunsNotReloaded)
	f("a Map Run does not look what became of a save", SavesNotRead)
	f("an answer counts for whatever attempt is waiting", AttemptIgnored)
}
