package boardapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/auth"
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	keepAlive = 15 * time.Second // between two lines of a stream where nothing happens
	mostWait  = 55 * time.Second // of agent/next
)

// next gives an agent its next wakeup, for which it waits as long as it says.
func (a *API) next(stopping context.Context) http.Handler {
	return rest.Handle(func(r *http.Request) (any, error) {
		q, err := a.identify(r)
		if err != nil {
			return nil, a.said(r, err)
		}
		v, err := a.await(q, stopping)
		return v, a.said(r, err)
	})
}

func (a *API) await(r *request, stopping context.Context) (any, error) {
	if r.agent() == "" {
		return nil, &rest.Error{Status: http.StatusForbidden, Code: string(control.Forbidden), Message: "That is for agents: send the agent's key as Authorization: Bearer KEY."}
	}
	q, err := r.query("wait")
	if err != nil {
		return nil, err
	}
	wait := 0
	if q["wait"] != "" {
		if wait, err = strconv.Atoi(q["wait"]); err != nil || wait < 0 {
			return nil, rest.Invalid("wait is a number of seconds.")
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(wait)*time.Second, mostWait))
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	for {
		rings := a.bell.Of("agent/" + r.agent())
		r.call.At = time.Now()
		// Not within the wait's time: what is fetched counts as sent.
		offer, err := a.fetch(r)
		if offer != nil || err != nil {
			return offer, err
		}
		if !sleep(ctx, mostWait, rings) {
			return nil, nil
		}
	}
}

// fetch gets an agent's next wakeup. It looks before it writes: who waits looks
// often.
func (a *API) fetch(r *request) (*control.Offer, error) {
	open, err := a.store.Records(r.Context(), store.Prefix("wakeup", "open/"+r.agent()+"/", 1))
	if err != nil || len(open) == 0 {
		return nil, err
	}
	return a.board.Fetch(r.Context(), r.call)
}

// filter is what of the feed a caller wants. What they may see is the board's
// to say.
type filter struct {
	project string // ids
	task    string
	types   []string
	topics  []string // what the types begin with; none: all of the board's
}

func (f *filter) passes(e *control.Event) bool {
	topic, _, _ := strings.Cut(e.Type, ".")
	return (len(f.topics) == 0 || slices.Contains(f.topics, topic)) && (f.project == "" || e.Project == f.project) && (f.task == "" || e.Task == f.task) && (len(f.types) == 0 || slices.ContainsFunc(f.types, e.Is))
}

// filter reads what a caller wants of the feed.
func (r *request) filter(q map[string]string) (f filter, err error) {
	if q["project"] != "" {
		p, err := r.a.board.Project(r.Context(), r.call, q["project"])
		if err != nil {
			return f, err
		}
		f.project = p.ID
	}
	if q["task"] != "" {
		t, err := r.a.board.Task(r.Context(), r.call, q["task"])
		if err != nil {
			return f, err
		}
		f.task = t.ID
	}
	if q["type"] != "" {
		f.types = strings.Split(q["type"], ",")
	}
	if q["topics"] != "" {
		f.topics = strings.Split(q["topics"], ",")
		for _, t := range f.topics {
			if !slices.Contains(boardTopics, t) && !slices.Contains(liveTopics, t) {
				return f, rest.Invalid("There is no topic %q; there are %s.", t, strings.Join(slices.Concat(liveTopics, boardTopics), ", "))
			}
		}
	}
	return f, nil
}

// events answers with a page of the feed, or streams it to who asks for an event
// stream.
func (a *API) events(stopping context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, h *http.Request) {
		fail := func(err error) { rest.Fail(w, a.said(h, err)) }
		r, err := a.identify(h)
		if err != nil {
			fail(err)
			return
		}
		streams := strings.HasSuffix(h.URL.Path, "/stream") || strings.Contains(h.Header.Get("Accept"), "text/event-stream")
		known := []string{"after", "project", "task", "type", "topics", "limit"}
		if streams {
			known = append(known, "execution", "machine", "map_run")
		}
		q, err := r.query(known...)
		if err != nil {
			fail(err)
			return
		}
		f, err := r.filter(q)
		if err != nil {
			fail(err)
			return
		}
		from := q["after"]
		if last := h.Header.Get("Last-Event-ID"); streams && last != "" {
			from = last
		}
		after := int64(0)
		if from != "" {
			if after, err = strconv.ParseInt(from, 10, 64); err != nil || after < 0 {
				fail(rest.Invalid("The sequence number %q is none.", from))
				return
			}
		}
		if !streams {
			page, err := a.eventPage(r, f, after, q["limit"])
			if err != nil {
				fail(err)
				return
			}
			rest.Write(w, http.StatusOK, page)
			return
		}
		if from == "" { // from now on
			if after, err = a.board.Newest(h.Context(), r.call); err != nil {
				fail(err)
				return
			}
		}
		live, err := a.watch(r, &f, q)
		if err != nil {
			fail(err)
			return
		}
		defer live.Close()
		a.stream(w, r, f, after, live, from != "", stopping)
	})
}

func (a *API) eventPage(r *request, f filter, after int64, most string) (any, error) {
	n, err := limit(most)
	if err != nil {
		return nil, err
	}
	list := []control.Event{}
	for seen := 0; seen < mostSeen && len(list) < n; {
		some, next, err := a.board.Feed(r.Context(), r.call, after, n-len(list))
		if err != nil {
			return nil, err
		}
		if next == after {
			break
		}
		seen += int(next - after)
		after = next
		for _, e := range some {
			if f.passes(&e) {
				list = append(list, e)
			}
		}
	}
	return map[string]any{"events": list, "next": after}, nil
}

// stream sends the feed as server-sent events. The id of each is its sequence
// number, and so is that of what is passed over, so that a reader who comes back
// goes on where it was. Between them come the notes of live, which have no id: of
// those, a reader who comes back is told to read anew.
func (a *API) stream(w http.ResponseWriter, r *request, f filter, after int64, live feed.Watcher, back bool, stopping context.Context) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	out := http.NewResponseController(w)
	// Where the connection has no deadline, none is in the way.
	_ = out.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, "retry: 2000\n\n")
	if a.hello(w, after, back && live.Next() != nil) != nil || out.Flush() != nil {
		return
	}
	alive := time.Now()
	const (
		batch = 500
		apart = 25 * time.Millisecond // what happens in a burst is told at once
	)
	for {
		rings := a.bell.Next()
		list, next, err := a.recent(ctx, r.call, after, batch)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Error("the feed could not be read", "error", err)
			}
			return
		}
		told := after
		behind := next-after >= batch
		after = next
		for _, e := range list {
			if !f.passes(&e.Event) {
				continue
			}
			if _, err := w.Write(e.text); err != nil {
				return
			}
			told = e.Seq
		}
		if told < after {
			fmt.Fprintf(w, "id: %d\n\n", after)
		}
		if tell(w, live) != nil || out.Flush() != nil {
			return
		}
		if behind {
			continue
		}
		if !sleep(ctx, apart, nil) || !sleepOr(ctx, keepAlive-time.Since(alive), rings, live.Next()) {
			return
		}
		if time.Since(alive) >= keepAlive {
			alive = time.Now()
			// Who listens is there as long as their key or session is.
			now, err := a.identify(a.auth.Anew(r.Request))
			if err != nil || live.Next() != nil && !now.who.May(auth.Read) {
				return
			}
			r.call = now.call
			fmt.Fprint(w, ": nothing new\n\n")
		}
	}
}
