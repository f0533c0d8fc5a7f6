package boardapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// The topics of the stream. What is live is not kept; all else is in the feed.
var (
	liveTopics  = []string{"execution", "visit", "maprun"}
	boardTopics = []string{
		"task", "agent", "review", "attempt", "deliverable", "comment", "project", "user", "wakeup", "usage", "budget", "notification", "schema",
	}
)

// nobody is a watch that nothing comes to.
type nobody struct{}

func (nobody) Next() <-chan struct{}             { return nil }
func (nobody) Take() (notes []feed.Note, _ bool) { return nil, false }
func (nobody) Close()                            {}

// watch begins to watch the live topics that a caller asks for.
func (a *API) watch(r *request, f *filter, q map[string]string) (feed.Watcher, error) {
	wish := feed.Wish{Execution: q["execution"], Machine: q["machine"], MapRun: q["map_run"]}
	for _, topic := range f.topics {
		if slices.Contains(liveTopics, topic) {
			wish.Topics = append(wish.Topics, topic)
		}
	}
	if len(wish.Topics) == 0 {
		if wish.Execution+wish.Machine+wish.MapRun != "" {
			return nil, rest.Invalid("execution, machine and map_run are for the topics execution, visit and maprun; ask for one of them.")
		}
		return nobody{}, nil
	}
	if !r.who.May(auth.Read) {
		return nil, &rest.Error{Status: http.StatusForbidden, Code: string(control.Forbidden), Message: "Executions are for people and service keys that may read; leave the topics execution, visit and maprun out."}
	}
	if a.live == nil {
		return nobody{}, nil
	}
	return a.live.Watch(r.Context(), wish)
}

// hello is the first event of a stream: which build the server is, so that a page
// that is older can say so, and where in the feed the stream begins. Whoever comes
// back has missed live notes, and is told so.
func (a *API) hello(w io.Writer, after int64, missed bool) error {
	data, err := json.Marshal(map[string]any{"build": a.build, "seq": after})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "event: hello\ndata: %s\n\n", data); err != nil || !missed {
		return err
	}
	return resync(w, "reconnected")
}

// resync says that live notes are missing: what they are about is to be read anew.
func resync(w io.Writer, why string) error {
	_, err := fmt.Fprintf(w, "event: resync\ndata: {\"reason\":%q}\n\n", why)
	return err
}

// tell sends the notes that have come.
func tell(w io.Writer, live feed.Watcher) error {
	notes, lost := live.Take()
	if lost {
		if err := resync(w, "too_slow"); err != nil {
			return err
		}
	}
	for i := range notes {
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", notes[i].Type, notes[i].Data); err != nil {
			return err
		}
	}
	return nil
}

// sleepOr is sleep with a second way to be woken.
func sleepOr(ctx context.Context, d time.Duration, early, other <-chan struct{}) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-other:
	case <-t.C:
	}
	return ctx.Err() == nil
}
