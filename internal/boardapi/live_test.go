package boardapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// notes is a Live that tells what a test tells.
type notes struct{ feed.Live }

func (n *notes) Watch(_ context.Context, wish feed.Wish) (feed.Watcher, error) {
	if wish.Execution == "gone" {
		return nil, rest.NotFound("There is no execution gone.")
	}
	return n.Live.Watch(wish), nil
}

// One stream has the board's events, with ids, and what is told of executions,
// without: so that a reader goes on in the feed where it was.
func TestOneStream(t *testing.T) {
	live := &notes{}
	w := startWith(t, live)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	s := w.stream("", "events/stream?topics=execution,task&execution=x1")
	live.Tell(feed.Note{Topic: "execution", Type: "execution.status", Execution: "x2", Data: []byte("{}")}) // of another
	live.Tell(feed.Note{Topic: "visit", Type: "visit.changed", Execution: "x1", Data: []byte("{}")})        // not asked for
	live.Tell(feed.Note{Topic: "execution", Type: "execution.status", Execution: "x1", Data: []byte("{}")})
	if id, kind := s.next(); kind != "execution.status" || id != "" {
		t.Errorf("%s with id %q, want execution.status without one", kind, id)
	}
	w.ok("", "POST", "tasks", fields{"project": "WEB", "title": "T"})
	id, kind := s.next()
	if kind != "task.create" || id == "" {
		t.Errorf("%s with id %q, want task.create with one", kind, id)
	}
	s.close()

	// Who comes back has missed notes, and is told so.
	s = w.stream("", "events/stream?topics=execution,task", "Last-Event-ID", id)
	if _, kind := s.next(); kind != "resync" {
		t.Errorf("a %s for who comes back, want resync", kind)
	}
	// Without live topics, nothing is missed.
	s = w.stream("", "events/stream?topics=task&after=0")
	if again, kind := s.next(); again != id || kind != "task.create" {
		t.Errorf("%s %s, want the task's event again", kind, again)
	}
}

func TestOneStreamRefuses(t *testing.T) {
	w := startWith(t, &notes{})
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	key := w.agent("writer", "worker")
	f := func(who, query string, status int, text string) {
		t.Helper()
		got, answer := w.do(who, "GET", "events/stream?"+query, nil)
		if got != status || !strings.Contains(at(answer, "error", "message").(string), text) {
			t.Errorf("%s: %d %v, want %d %s", query, got, answer, status, text)
		}
	}
	f("", "topics=weather", http.StatusBadRequest, `no topic "weather"`)
	f("", "topics=task&execution=x", http.StatusBadRequest, "execution, visit and maprun")
	f("", "topics=visit&execution=gone", http.StatusNotFound, "no execution gone")
	f(key, "topics=execution", http.StatusForbidden, "leave the topics")
}
