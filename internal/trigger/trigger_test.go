package trigger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/trigger"
)

var (
	ctx     = context.Background()
	errGone = errors.New("there is no such machine")
)

type world struct {
	*testing.T
	*trigger.Triggers
	mux     *http.ServeMux
	objects objects.Store
	config  trigger.Config

	mu      sync.Mutex
	started []string          // "machine input"
	names   map[string]string // input by name
	fail    error
}

func open(t *testing.T) *world {
	st := memory.New()
	w := &world{T: t, names: map[string]string{}}
	dir := filepath.Join(t.TempDir(), "objects")
	if err := os.MkdirAll(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := objects.Open(ctx, dir, objects.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.objects = files
	w.config = trigger.Config{
		Store: st, Key: seal.At(filepath.Join(t.TempDir(), seal.FileName)), Scheme: arn.Default, Objects: files, Log: slog.New(slog.DiscardHandler),
		Write: func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			batch := &store.Commit{Writes: []store.Write{{Do: do}}}
			return errors.Join(st.Commit(ctx, batch), batch.Writes[0].Err)
		},
		Start: func(_ context.Context, machine, name, input string) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fail != nil {
				return "", w.fail
			}
			if len(name) > 80 {
				t.Errorf("the name %s is too long", name)
			}
			if _, taken := w.names[name]; !taken {
				w.names[name] = input
				w.started = append(w.started, machine[strings.LastIndex(machine, ":")+1:]+" "+input)
			}
			return "execution:" + name, nil
		},
		Lasting: func(err error) bool { return errors.Is(err, errGone) },
	}
	w.restart()
	return w
}

func (w *world) restart() {
	w.Triggers = trigger.New(w.config)
	w.mux = http.NewServeMux()
	w.Register(w.mux)
}

func (w *world) put(s trigger.Spec) {
	w.Helper()
	if s.Machine == "" {
		s.Machine = "m"
	}
	if _, err := w.Put(ctx, s); err != nil {
		w.Fatal(err)
	}
}

// ask makes a request and returns the answer.
func (w *world) ask(method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a := httptest.NewRecorder()
	w.mux.ServeHTTP(a, r)
	return a.Code, a.Body.String()
}

// took returns what was started since, and forgets it.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.started
	w.started = nil
	return list
}

// The signatures are those that openssl makes.
func TestSignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is 946684800 in Unix seconds
		const secret, body = "It's a Secret to Everybody", "Hello, World!"
		f := func(scheme, ownHeader string, want int, headers ...string) {
			t.Helper()
			w := open(t)
			w.put(trigger.Spec{Name: "h", Type: trigger.Webhook, Scheme: scheme, Header: ownHeader, Secret: secret})
			got, text := w.ask("POST", "/hooks/h", body, headers...)
			if started := len(w.took()); got != want || started != map[bool]int{true: 1}[want == 200] {
				t.Errorf("%s %q: %d %s, %d started", scheme, headers, got, text, started)
			}
		}
		const sum = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" // GitHub's own example
		f("github", "", 200, "X-Hub-Signature-256", "sha256="+sum)
		f("github", "", 401, "X-Hub-Signature-256", "sha256="+strings.Replace(sum, "7", "8", 1))
		f("github", "", 401, "X-Hub-Signature-256", "sha256=")
		f("github", "", 401, "X-Hub-Signature", "sha256="+sum)
		f("github", "", 401)
		f("hmac", "", 200, "X-Signature", sum)
		f("hmac", "X-Shop-Hmac", 200, "X-Shop-Hmac", "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=")
		f("hmac", "X-Shop-Hmac", 401, "X-Signature", sum)
		f("token", "", 200, "Authorization", "Bearer "+secret)
		f("token", "", 401, "Authorization", "Basic "+secret)
		f("token", "", 401, "Authorization", "Bearer "+secret+"x")
		f("token", "X-Token", 200, "X-Token", secret)
		f("token", "X-Token", 401, "X-Token", "")
		f("stripe", "", 401, "Stripe-Signature", "t=946684800,v1="+sum) // not over the time
		f("stripe", "", 401, "Stripe-Signature", "v1="+sum)
		f("stripe", "", 401, "Stripe-Signature", "t=,v1=")
		for offset, want := range map[int64]int{0: 200, 299: 200, -299: 200, 301: 401, -301: 401} {
			at := time.Now().Unix() + offset
			f("stripe", "", want, "Stripe-Signature", fmt.Sprintf("t=%d,v0=x,v1=00,v1=%s", at, stripe(secret, at, body)))
		}
	})
}

func TestWebhook(t *testing.T) {
	w := open(t)
	const secret = "long enough"
	w.put(trigger.Spec{Name: "h", Type: trigger.Webhook, Scheme: "token", Secret: secret})
	code, text := w.ask("POST", "/hooks/h?a=1", `{"n":1}`, "Authorization", "Bearer "+secret, "X-Github-Delivery", "d1", "X-Event", "push", "Cookie", "c", "X-Echo", "has "+secret)
	if code != 200 || !strings.HasPrefix(text, `{"executionArn":"execution:h-`) {
		t.Errorf("%d %s", code, text)
	}
	list := w.took()
	if len(list) != 1 || !strings.HasPrefix(list[0], "m ") {
		t.Fatalf("%q", list)
	}
	var event struct {
		Source     string
		DetailType string `json:"detail-type"`
		Resources  []string
		Detail     json.RawMessage
	}
	if err := json.Unmarshal([]byte(list[0][2:]), &event); err != nil {
		t.Fatal(err)
	}
	if want := `{"webhook":"h","headers":{"x-event":"push","x-github-delivery":"d1"},"query":{"a":"1"},"body":{"n":1}}`; string(event.Detail) != want ||
		event.Source != "lockstep.webhook" || event.Resources[0] != "arn:aws:events:us-east-1:123456789012:rule/h" {
		t.Errorf("%s", list[0])
	}

	// The same delivery once more starts nothing.
	w.ask("POST", "/hooks/h", `{"n":1}`, "Authorization", "Bearer "+secret, "X-Github-Delivery", "d1")
	if list := w.took(); len(list) > 0 {
		t.Errorf("%q", list)
	}
	f := func(path, body string, want int) {
		t.Helper()
		if code, text := w.ask("POST", path, body, "Authorization", "Bearer "+secret); code != want || strings.Contains(text, secret) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	f("/hooks/none", "", 404)
	f("/hooks/h", strings.Repeat("x", 256<<10+1), 413)
	f("/hooks/h", "text", 200)
	w.fail = errors.New("too much is under way")
	f("/hooks/h", "", 503)
	w.fail = errGone
	f("/hooks/h", "", 422)
	w.fail = nil
	w.put(trigger.Spec{Name: "h", Type: trigger.Webhook, Scheme: "token", Paused: true}) // keeps its secret
	f("/hooks/h", "", 503)
	if _, text := w.ask("GET", "/api/v1/triggers/h", ""); strings.Contains(text, secret) || !strings.Contains(text, `"path":"/hooks/h"`) {
		t.Error(text)
	}
}

func TestEvents(t *testing.T) {
	w := open(t)
	w.put(trigger.Spec{Name: "orders", Type: trigger.Event, Machine: "orders", Pattern: json.RawMessage(`{"source":["shop"],"detail":{"total":[{"numeric":[">",100]}]}}`)})
	w.put(trigger.Spec{Name: "all", Type: trigger.Event, Machine: "arn:aws:states:us-east-1:123456789012:stateMachine:all", Pattern: json.RawMessage(`{"source":[{"prefix":""}]}`)})
	w.put(trigger.Spec{Name: "paused", Type: trigger.Event, Paused: true, Pattern: json.RawMessage(`{"source":["shop"]}`)})

	event := `{"id":"e1","source":"shop","detail-type":"Order","time":"2026-01-02T03:04:05Z","resources":["r"],"detail":{"total":150}}`
	code, text := w.ask("POST", "/api/v1/events", event)
	if code != 200 || text != `{"ids":["e1"]}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	want := `{"version":"0","id":"e1","detail-type":"Order","source":"shop","account":"123456789012","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":["r"],"detail":{"total":150}}`
	if diff := cmp.Diff([]string{"all " + want, "orders " + want}, w.took()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.ask("POST", "/api/v1/events", "["+event+"]") // again
	if list := w.took(); len(list) > 0 {
		t.Errorf("%q", list)
	}
	w.ask("POST", "/api/v1/events", strings.NewReplacer("150", "50", "e1", "e2").Replace(event))
	if list := w.took(); len(list) != 1 {
		t.Errorf("%q", list)
	}
	f := func(body string, want int) {
		t.Helper()
		if code, text := w.ask("POST", "/api/v1/events", body); code != want {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	f(`{}`, 400)
	f(`{"source":"a","detail-type":"b","detail":"c"}`, 400)
	f(`[]`, 400)
	f(`{`, 400)
	f(strings.Replace(event, "2026-01-02T03:04:05Z", "today", 1), 400)
	w.fail = errGone // for good: the event is taken all the same
	f(strings.Replace(event, "e1", "e3", 1), 200)
	if v, err := w.Get(ctx, "all"); err != nil || v.Error != errGone.Error() {
		t.Errorf("%+v %v", v, err)
	}
	w.fail = errors.New("busy")
	f(strings.Replace(event, "e1", "e4", 1), 503)
}

func TestPutEvents(t *testing.T) {
	w := open(t)
	w.put(trigger.Spec{Name: "a", Type: trigger.Event, Pattern: json.RawMessage(`{"detail-type":["T"]}`)})
	ask := func(target, body string) (int, string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		a := httptest.NewRecorder()
		w.PutEvents(a, r)
		text, _ := io.ReadAll(a.Body)
		return a.Code, string(text)
	}
	code, text := ask("AWSEvents.PutEvents", `{"Entries":[
		{"Source":"s","DetailType":"T","Detail":"{\"a\":1}","Time":1767225600,"Resources":["r"],"EventBusName":"default"},
		{"Source":"s","DetailType":"T","Detail":"[]"},{"Source":"s","Detail":"{}"}]}`)
	if code != 200 || !strings.Contains(text, `"FailedEntryCount":2`) || !strings.Contains(text, `"ErrorCode":"MalformedDetail"`) || !strings.Contains(text, `"ErrorCode":"InvalidArgument"`) {
		t.Errorf("%d %s", code, text)
	}
	if list := w.took(); len(list) != 1 || !strings.Contains(list[0], `"time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["r"],"detail":{"a":1}}`) {
		t.Errorf("%q", list)
	}
	if code, text := ask("AWSEvents.PutRule", `{}`); code != 400 || !strings.Contains(text, "UnknownOperationException") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := ask("AWSEvents.PutEvents", `{"Entries":[]}`); code != 400 || !strings.Contains(text, "ValidationException") {
		t.Errorf("%d %s", code, text)
	}
}

func (w *world) write(key, text string) {
	w.Helper()
	o, err := w.objects.Create(ctx, objects.Ref{Bucket: "b", Key: key})
	if err != nil {
		w.Fatal(err)
	}
	defer o.Abort()
	if _, err := io.WriteString(o, text); err != nil {
		w.Fatal(err)
	}
	if err := o.Close(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) look(want ...string) {
	w.Helper()
	if err := w.Look(ctx); err != nil {
		w.Error(err)
	}
	var got []string
	for _, text := range w.took() {
		var e struct {
			Detail struct {
				Bucket struct{ Name string }
				Object struct {
					Key  string
					Size int
				}
			}
		}
		if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &e); err != nil {
			w.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s/%s %d", e.Detail.Bucket.Name, e.Detail.Object.Key, e.Detail.Object.Size))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("(-want +got):\n%s", diff)
	}
}

func TestObjects(t *testing.T) {
	w := open(t)
	w.write("in/old.csv", "1")
	w.put(trigger.Spec{Name: "o", Type: trigger.Object, Bucket: "b", Prefix: "in/", Suffix: ".csv"})
	w.put(trigger.Spec{Name: "later", Type: trigger.Object, Bucket: "to-come"})
	w.look() // what is there is not new
	w.write("in/a.csv", "12")
	w.write("in/b.txt", "123")
	w.write("out/c.csv", "1234")
	w.look("b/in/a.csv 2")
	w.look()
	w.write("in/a.csv", "12345") // written anew
	w.look("b/in/a.csv 5")
	w.restart()
	w.look()

	// What cannot be started now is started later.
	w.fail = errors.New("busy")
	w.write("in/d.csv", "1")
	w.look()
	w.fail = nil
	w.look("b/in/d.csv 1")
	w.look()
}

// Who writes through the server does not wait for the next look.
func TestObjectsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		w.put(trigger.Spec{Name: "o", Type: trigger.Object, Bucket: "b"})
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- w.Triggers.Run(ctx) }()
		synctest.Wait() // what is there is not new
		time.Sleep(time.Second)
		w.write("a", "1")
		w.write("b", "22")
		w.Written()
		w.Written()
		synctest.Wait()
		if started := w.took(); len(started) != 2 {
			t.Errorf("started %v", started)
		}
		w.write("c", "333")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if started := w.took(); len(started) != 1 {
			t.Errorf("started %v", started)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestDeclare(t *testing.T) {
	w := open(t)
	spec := trigger.Spec{Name: "d", Type: trigger.Webhook, Machine: "m", Scheme: "token", Secret: "long enough"}
	if err := w.Declare(ctx, []trigger.Spec{spec}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Put(ctx, spec); err == nil {
		t.Error("a declared trigger is replaced")
	}
	if err := w.Delete(ctx, "d"); err == nil {
		t.Error("a declared trigger is deleted")
	}
	w.put(trigger.Spec{Name: "own", Type: trigger.Event, Pattern: json.RawMessage(`{"a":[1]}`)})
	if err := w.Declare(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if list, err := w.List(ctx); err != nil || len(list) != 1 || list[0].Name != "own" {
		t.Errorf("%+v %v", list, err)
	}
	if err := w.Delete(ctx, "own"); err != nil {
		t.Error(err)
	}
	if err := w.Delete(ctx, "own"); err == nil {
		t.Error("deleted twice")
	}
}

func TestValidate(t *testing.T) {
	f := func(s trigger.Spec, want string) {
		t.Helper()
		if s.Name == "" {
			s.Name, s.Machine = "a", "m"
		}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(trigger.Spec{Name: "a b"}, "a name has")
	f(trigger.Spec{Name: "a"}, "machine must be")
	f(trigger.Spec{}, "type must be webhook, event or object")
	f(trigger.Spec{Type: "webhook"}, "scheme must be one of github, hmac, stripe, token")
	f(trigger.Spec{Type: "webhook", Scheme: "token", Secret: "short"}, "secret must have")
	f(trigger.Spec{Type: "webhook", Scheme: "token", Secret: "long enough", Header: "a b"}, "header must be")
	f(trigger.Spec{Type: "event"}, "pattern: ")
	f(trigger.Spec{Type: "object"}, "bucket must be")
}

func TestOwnEvents(t *testing.T) {
	w := open(t)
	if !w.Hears("aws.states", "Changed") {
		t.Error("before the triggers are read nobody knows")
	}
	send := func() {
		t.Helper()
		if err := w.Send(ctx, "aws.states", "Changed", "arn:x", time.Unix(60, 0), `{"status":"FAILED"}`); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if w.Hears("aws.states", "Changed") {
		t.Error("nobody is there")
	}
	w.put(trigger.Spec{Name: "other", Type: trigger.Event, Pattern: json.RawMessage(`{"source":["shop"]}`)})
	send()
	if w.Hears("aws.states", "Changed") || !w.Hears("shop", "Changed") {
		t.Error("it goes by the source")
	}
	w.put(trigger.Spec{Name: "failed", Type: trigger.Event, Pattern: json.RawMessage(`{"source":["aws.states"],"detail":{"status":["FAILED"]}}`)})
	send()
	got := w.took()
	if len(got) != 1 || !strings.Contains(got[0], `"source":"aws.states","account":"123456789012","time":"1970-01-01T00:01:00Z"`) ||
		!strings.HasSuffix(got[0], `"resources":["arn:x"],"detail":{"status":"FAILED"}}`) {
		t.Errorf("started %q", got)
	}
	if !w.Hears("aws.states", "Changed") {
		t.Error("one is there now")
	}
}
