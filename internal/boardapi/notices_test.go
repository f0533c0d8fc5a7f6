package boardapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/sqlite"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

// receiver takes what is posted to it.
type receiver struct {
	*httptest.Server
	got chan post

	mu      sync.Mutex
	answers []int // what it answers, one after the other; then 200
}

type post struct {
	id, signature string
	body          fields
	text          []byte
}

func receive(t *testing.T, answers ...int) *receiver {
	r := &receiver{got: make(chan post, 1000), answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(q.Body)
		p := post{id: q.Header.Get(notify.DeliveryHeader), signature: q.Header.Get(notify.SignatureHeader), text: text}
		_ = json.Unmarshal(text, &p.body)
		status := 200
		r.mu.Lock()
		if len(r.answers) > 0 {
			status, r.answers = r.answers[0], r.answers[1:]
		}
		r.mu.Unlock()
		w.WriteHeader(status)
		r.got <- p
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(p *purse) post {
	p.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(time.Minute):
		p.Fatal("nothing was posted")
		return post{}
	}
}

// run has notifications and webhooks sent until stop is called.
func (p *purse) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.told.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	p.Cleanup(stop)
	return stop
}

func TestNotifications(t *testing.T) {
	p := startPurse(t)
	p.prices()
	writer := p.project()
	hook, chat := receive(t), receive(t)
	p.run()
	put := func(body any) fields {
		t.Helper()
		return p.ok("", "PUT", "notifications/preferences", body)
	}
	set := put(fields{"webhook": fields{"url": hook.URL + "/secret-path", "secret": "s3cret"}, "slack": fields{"url": chat.URL + "/other-secret"},
		"types": fields{"done": []string{"in_app", "slack"}, "blocked": []string{}}})
	p.want(set, true, "webhook", "signed")
	if text := fmt.Sprint(set); strings.Contains(text, "secret-path") || strings.Contains(text, "s3cret") {
		t.Errorf("it shows what is secret: %s", text)
	}
	put(fields{"muted": false}) // what is not said stays
	for body, want := range map[string]string{
		`{"webhook":{"url":"http://10.0.0.1/"}}`: "not allowed", `{"types":{"spam":["email"]}}`: "no type", `{"types":{"done":["pigeon"]}}`: "no channel",
		`{"quiet_hours":{"from":"25:00","to":"1"}}`: "such as 22:00", `{"email":{"address":"a@example.com"}}`: "sends no mail", `{"slack":{"url":"x"}}`: "a url such as",
	} {
		if e := p.refused(400, "invalid", "", "PUT", "notifications/preferences", body); !strings.Contains(e["message"].(string), want) && !strings.Contains(strings.ToLower(e["message"].(string)), strings.ToLower(want)) {
			t.Errorf("%s: %v", body, e)
		}
	}

	// A review is asked for: it is in the list, and goes to both channels.
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Draft <!channel>", "assignee": "@writer"})
	lease := []string{"X-Lockstep-Lease", p.ok(writer, "POST", "tasks/WEB-1/claim", nil)["lease_token"].(string)}
	p.ok(writer, "POST", "tasks/WEB-1/submit", fields{"summary": "done"}, lease...)
	got := hook.next(p)
	p.want(got.body, "review_requested", "type")
	if url, _ := got.body["url"].(string); !strings.HasPrefix(url, "https://board.example.com/reviews/") {
		t.Errorf("it leads to %q", url)
	}
	if err := notify.Verify("s3cret", got.signature, got.text, time.Now(), time.Minute); err != nil {
		t.Error(err)
	}
	if text := chat.next(p).body["text"].(string); !strings.Contains(text, "&lt;!channel&gt;") {
		t.Errorf("the chat got %q", text)
	}
	list := p.ok("", "GET", "notifications", nil)
	p.want(list, 1, "unread")
	first := list["notifications"].([]any)[0].(fields)
	p.want(first, "WEB-1", "task")
	p.refused(403, "forbidden", writer, "GET", "notifications", nil)

	// It is done: that goes to the chat alone. Read ones come last.
	p.ok("", "POST", "notifications/read", fields{"ids": []any{first["id"], "none"}})
	p.ok("", "POST", "reviews/decisions", fields{"decisions": []fields{{"review": p.pending(), "verdict": "approve"}}})
	if text := chat.next(p).body["text"].(string); !strings.Contains(text, "is done") {
		t.Errorf("the chat got %q", text)
	}
	page := p.ok("", "GET", "notifications?limit=1", nil)
	p.want(page["notifications"].([]any)[0], "done", "type")
	page = p.ok("", "GET", "notifications?limit=1&cursor="+page["next_cursor"].(string), nil)
	p.want(page["notifications"].([]any)[0], "review_requested", "type")
	p.want(page, nil, "next_cursor")
	p.want(p.ok("", "POST", "notifications/read", fields{"all": true}), 1, "read")
	p.want(p.ok("", "GET", "notifications?unread=1", nil), 0, "unread")

	// A budget is used up.
	p.ok("", "PUT", "budgets/b", fields{"scope": "agent", "name": "writer", "window": "day", "metric": "tokens", "hard": 1})
	p.report(writer, fields{"key": "1", "usage": fields{"input": 10}})
	got = hook.next(p)
	p.want(got.body, "The budget b is used up", "title")
	p.want(got.body, "Used: 10 of 1 tokens in this day.", "text")

	// What is muted for a type is nowhere; a test says what came of it.
	p.ok("", "POST", "notifications/test", fields{"channel": "webhook"})
	p.want(hook.next(p).body, "test", "type")
	hook.mu.Lock()
	hook.answers = []int{500}
	hook.mu.Unlock()
	if e := p.refused(400, "invalid", "", "POST", "notifications/test", fields{"channel": "webhook"}); !strings.Contains(e["message"].(string), "500") {
		t.Errorf("%v", e)
	}
	p.refused(400, "invalid", "", "POST", "notifications/test", fields{"channel": "email"})
	if n := len(p.ok("", "GET", "notifications/deliveries", nil)["deliveries"].([]any)); n != 5 {
		t.Errorf("%d deliveries", n)
	}
}

// TestReminders: a review that nobody decides reminds who is asked, and then goes
// to the project's owner.
func TestReminders(t *testing.T) {
	p := startPurse(t)
	writer := p.project()
	p.ok("", "PATCH", "projects/WEB", fields{"policies": fields{"review_due": int64(time.Hour)}})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "Draft", "assignee": "@writer"})
	lease := []string{"X-Lockstep-Lease", p.ok(writer, "POST", "tasks/WEB-1/claim", nil)["lease_token"].(string)}
	p.ok(writer, "POST", "tasks/WEB-1/submit", fields{"summary": "done"}, lease...)
	for _, after := range []time.Duration{31 * time.Minute, 61 * time.Minute, 90 * time.Minute} {
		if _, err := p.board.Sweep(t.Context(), time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range p.ok("", "GET", "notifications", nil)["notifications"].([]any) {
			if kind := at(n, "type").(string); kind != "agent_offline" {
				got = append(got, kind)
			}
		}
		if len(got) < 2 || got[len(got)-1] != "review_requested" || got[0] != "review_due" {
			t.Errorf("after %s: %v", after, got)
		}
	}
}

func (p *purse) webhook(r *receiver, more fields) string {
	p.Helper()
	in := fields{"url": r.URL + "/hook"}
	for k, v := range more {
		in[k] = v
	}
	made := p.ok("", "POST", "webhooks", in)
	if made["secret"] == "" {
		p.Error("no secret")
	}
	return made["id"].(string)
}

func TestWebhooks(t *testing.T) {
	p := startPurse(t)
	writer := p.project()
	p.refused(403, "forbidden", writer, "GET", "webhooks", nil)
	p.ok("", "POST", "projects", fields{"key": "APP"})
	r := receive(t)
	id := p.webhook(r, fields{"types": []string{"task.*", "webhook.created"}, "projects": []string{"WEB"}})
	for _, key := range []string{"WEB", "APP", "WEB", "WEB"} {
		p.ok("", "POST", "tasks", fields{"project": key, "title": "x"})
	}
	stop := p.run()
	for _, want := range []string{"WEB-1", "WEB-2", "WEB-3"} {
		got := r.next(p)
		p.want(got.body, want, "event", "key")
		if at(got.body, "event", "notify") != nil {
			t.Errorf("it tells whom it was told to: %v", got.body)
		}
	}
	// The receiver fails for a while: the event is sent again under its id, and
	// what comes after it waits.
	r.mu.Lock()
	r.answers = []int{503}
	r.mu.Unlock()
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "four"})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "five"})
	failed := r.next(p)
	p.want(failed.body, "WEB-4", "event", "key")
	p.until(func() bool { return p.ok("", "GET", "webhooks/"+id, nil)["failures"] == 1.0 })
	stop()
	h := p.ok("", "GET", "webhooks/"+id, nil)
	p.want(h, "the receiver answered 503 Service Unavailable", "last_error")
	p.mu.Lock()
	p.late = time.Minute
	p.mu.Unlock()
	stop = p.run()
	again := r.next(p)
	if again.id != failed.id || r.next(p).id == failed.id {
		t.Errorf("sent %s, then %s", failed.id, again.id)
	}
	// What it refuses is passed over, and can be sent again.
	r.mu.Lock()
	r.answers = []int{400}
	r.mu.Unlock()
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "six"})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "seven"})
	refused := r.next(p)
	p.want(r.next(p).body, "WEB-7", "event", "key")
	p.until(func() bool {
		log := p.ok("", "GET", "webhooks/"+id+"/deliveries", nil)["deliveries"].([]any)
		return at(log[0], "seq") != at(log[1], "seq") && at(log[1], "state") == "failed"
	})
	stop()
	log := p.ok("", "GET", "webhooks/"+id+"/deliveries", nil)["deliveries"].([]any)
	p.want(log[1], "failed", "state")
	p.want(log[1], refused.id, "id")
	p.ok("", "POST", "webhooks/"+id+"/deliveries/"+refused.id+"/redeliver", nil)
	stop = p.run()
	if got := r.next(p); got.id != refused.id {
		t.Errorf("sent %s again, want %s", got.id, refused.id)
	}
	stop()
	p.refused(404, "not_found", "", "POST", "webhooks/"+id+"/deliveries/none/redeliver", nil)

	p.ok("", "DELETE", "webhooks/"+id, nil)
	p.refused(404, "not_found", "", "GET", "webhooks/"+id, nil)
	p.refused(400, "invalid", "", "POST", "webhooks", fields{"url": "http://169.254.169.254/"})
	p.refused(400, "invalid", "", "POST", "webhooks", fields{"url": r.URL, "types": []string{"*x*"}})
}

// TestWebhookCrash: what a process had sent when it died is sent again under its
// id, and nothing is left out.
func TestWebhookCrash(t *testing.T) {
	p := startPurse(t)
	p.project()
	r := receive(t)
	p.webhook(r, fields{"types": []string{"task.*"}})
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "one"})
	before, err := p.store.Records(t.Context(), stateQuery)
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	stop := p.run()
	sent := r.next(p)
	stop()
	p.lose(before[0].Data)
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "two"})
	p.run()
	if got := r.next(p); got.id != sent.id {
		t.Errorf("sent %s, then %s", sent.id, got.id)
	}
	p.want(r.next(p).body, "WEB-2", "event", "key")
}

func TestWebhookDisabled(t *testing.T) {
	p := startPurse(t)
	p.project()
	r := receive(t, 410)
	id := p.webhook(r, fields{"types": []string{"task.*"}})
	p.run()
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "one"})
	r.next(p)
	await(p, "webhook.disabled")
	p.want(p.ok("", "GET", "webhooks/"+id, nil), true, "disabled")
	n := p.ok("", "GET", "notifications", nil)["notifications"].([]any)
	p.want(n[0], "webhook_disabled", "type")
	// It goes on from where it was.
	p.ok("", "POST", "tasks", fields{"project": "WEB", "title": "two"})
	p.ok("", "POST", "webhooks/"+id+"/enable", nil)
	p.want(r.next(p).body, "WEB-1", "event", "key")
	p.want(r.next(p).body, "WEB-2", "event", "key")
}

// until waits for what it is not told of.
func (p *purse) until(is func() bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(end) {
			p.Fatal("it never came to that")
		}
	}
}

var stateQuery = store.Prefix("webhook_state", "", 10)

// lose puts a webhook's place back to what it was, as after a crash.
func (p *purse) lose(state []byte) {
	p.Helper()
	c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error {
		now, err := tx.Records(ctx, stateQuery)
		if err != nil {
			return err
		}
		r := now[0].Record
		r.Data = state
		return tx.SaveRecord(ctx, r)
	}}}}
	if err := p.store.Commit(p.Context(), c); err != nil || c.Writes[0].Err != nil {
		p.Fatal(err, c.Writes[0].Err)
	}
}

// BenchmarkNotification is from the change on the board until a person's channel,
// and a webhook, has heard of it. One follows the other, so that most of it is the
// tenth of a second for which what happens in a burst is gathered.
func BenchmarkNotification(b *testing.B) {
	for _, kind := range []string{"channel", "webhook"} {
		b.Run(kind, func(b *testing.B) {
			heard := make(chan struct{}, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard <- struct{}{} }))
			defer srv.Close()
			st, err := sqlite.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			bell := feed.NewBell(&storetest.Direct{Store: st})
			n := notices.New(notices.Config{Workspace: "w", Store: st, Write: bell.Write, Rings: bell.Next, Key: seal.At(filepath.Join(b.TempDir(), "key")),
				Client: http.DefaultClient, Check: func(*url.URL) error { return nil }, URL: func() string { return "" }, Log: slog.New(slog.NewTextHandler(b.Output(), nil))})
			board, err := control.New(st, bell, control.Config{Happened: n.Happened})
			if err != nil {
				b.Fatal(err)
			}
			n.Connect(board)
			c := control.Call{Workspace: "w", By: control.System, At: time.Now()}
			_, u, err := board.CreateWorkspace(b.Context(), c, "W", "ann")
			if err != nil {
				b.Fatal(err)
			}
			if kind == "webhook" {
				_, _, err = n.AddHook(b.Context(), c, notices.NewHook{URL: srv.URL, Types: []string{"x"}})
			} else {
				_, err = n.Prefer(b.Context(), u.ID, notices.Change{Slack: []byte(`{"url":"` + srv.URL + `"}`)})
			}
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = n.Run(ctx) }()
			key := 0
			for b.Loop() {
				key++
				c.At = time.Now()
				err := bell.Write(b.Context(), func(ctx context.Context, tx store.Tx) error {
					return board.In(tx).Tell(ctx, c, control.Event{Type: "x"}, "done", fmt.Sprint(key))
				})
				if err != nil {
					b.Fatal(err)
				}
				<-heard
			}
			stop()
			<-done
			sent, err := n.Deliveries(b.Context(), u.ID, 10_000)
			if err != nil {
				b.Fatal(err)
			}
			for _, d := range sent {
				if len(d.Log) > 1 {
					b.Logf("tried %d times: %s", len(d.Log), d.Log[0].Error)
				}
			}
		})
	}
}
