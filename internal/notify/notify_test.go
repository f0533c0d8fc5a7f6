package notify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// fake is a channel that answers with what is left in its list, then takes all.
type fake struct {
	mu      sync.Mutex
	answers []error
	got     []string
}

func (f *fake) Send(_ context.Context, d *notify.Delivery, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, fmt.Sprintf("%s %s to %s", now.Sub(start), d.Notification.Title, d.User))
	if len(f.answers) == 0 {
		return nil
	}
	err := f.answers[0]
	f.answers = f.answers[1:]
	return err
}

// world is an outbox over the store in memory.
type world struct {
	*testing.T
	*notify.Outbox
	store    *memory.Store
	channels map[string]notify.Channel
	failed   []string
}

func open(t *testing.T) *world {
	w := &world{T: t, store: memory.New(), channels: map[string]notify.Channel{}}
	w.Outbox = notify.New(notify.Config{
		Store: w.store, Write: w.write, Chance: func() float64 { return 1 }, Failed: func(d notify.Delivery) { w.failed = append(w.failed, d.Notification.Title) },
		Channel: func(_ context.Context, _, name string) (notify.Channel, error) {
			if c := w.channels[name]; c != nil {
				return c, nil
			}
			return nil, store.ErrNotFound
		},
	})
	return w
}

func (w *world) write(ctx context.Context, do func(context.Context, store.Tx) error) error {
	c := &store.Commit{Writes: []store.Write{{Do: do}}}
	if err := w.store.Commit(ctx, c); err != nil {
		return err
	}
	return c.Writes[0].Err
}

func (w *world) post(n notify.Notification, want int, to ...notify.Preferences) {
	w.Helper()
	err := w.write(context.Background(), func(ctx context.Context, tx store.Tx) error {
		added, err := w.Post(ctx, tx, n, to)
		if added != want {
			w.Errorf("%d new deliveries, want %d", added, want)
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

// round runs a round so long after start, and returns how long after that the next is due.
func (w *world) round(after time.Duration) string {
	w.Helper()
	next, err := w.Round(context.Background(), start.Add(after))
	if err != nil {
		w.Fatal(err)
	}
	if next.IsZero() {
		return "never"
	}
	return next.Sub(start.Add(after)).String()
}

func note(title string) notify.Notification {
	return notify.Notification{Type: "review_requested", Key: "k-" + title, At: start, Title: title}
}

var ada = notify.Preferences{User: "ada", Channels: []string{"hook", "mail"}, Types: map[string][]string{"done": {}, "failed": {"mail", "gone"}}}

func TestPreferences(t *testing.T) {
	f := func(p notify.Preferences, kind string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, append([]string(nil), p.Wants(kind)...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	f(ada, "mentioned", "hook", "mail")
	f(ada, "failed", "mail")
	f(ada, "done")
	f(notify.Preferences{Channels: []string{"hook"}, Muted: true}, "failed")
}

func TestOutbox(t *testing.T) {
	w := open(t)
	hook, post := &fake{}, &fake{}
	w.channels["hook"], w.channels["mail"] = hook, post
	bob := notify.Preferences{User: "bob", Channels: []string{"hook"}}
	w.post(note("one"), 3, ada, bob)
	w.post(note("one"), 0, ada, bob) // once for its key
	if next := w.round(0); next != "never" {
		t.Errorf("next %s", next)
	}
	w.round(time.Hour) // nothing is sent twice
	if len(hook.got) != 2 || len(post.got) != 1 {
		t.Errorf("hook got %q, mail got %q", hook.got, post.got)
	}
	w.post(note("one"), 0, ada, bob) // also when it has been sent
	list, err := w.Deliveries(t.Context(), "ada", 9)
	if err != nil || len(list) != 2 || list[0].State != notify.Sent || len(list[0].Log) != 1 || list[0].Log[0].Error != "" {
		t.Errorf("the log is %+v, %v", list, err)
	}
	if err := w.Again(t.Context(), list[0].ID, start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.round(2 * time.Hour)
	if len(hook.got)+len(post.got) != 4 {
		t.Errorf("after Again: hook got %q, mail got %q", hook.got, post.got)
	}
	if err := w.Again(t.Context(), "none", start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Again of what is not there: %v", err)
	}
}

func TestRetry(t *testing.T) {
	w := open(t)
	down := errors.New("down")
	hook := &fake{answers: []error{down, &notify.Refusal{Reason: "busy", After: 90 * time.Second}, down}}
	w.channels["hook"] = hook
	w.post(note("one"), 1, notify.Preferences{User: "ada", Channels: []string{"hook"}})
	at := time.Duration(0)
	for _, want := range []string{"5s", "1m30s", "20s", "never"} {
		next := w.round(at)
		if next != want {
			t.Errorf("at %s the next is in %s, want %s", at, next, want)
		}
		if d, err := time.ParseDuration(next); err == nil {
			w.round(at + d - time.Millisecond) // not before
			at += d
		}
	}
	if len(hook.got) != 4 {
		t.Errorf("tried %q", hook.got)
	}

	// Given up: after eight tries, and at once where nothing else would help.
	w = open(t)
	hook = &fake{answers: []error{down, down, down, down, down, down, down, down, down}}
	w.channels["hook"] = hook
	w.post(note("hopeless"), 1, notify.Preferences{User: "ada", Channels: []string{"hook"}})
	at = 0
	for range 20 {
		next, err := time.ParseDuration(w.round(at))
		if err != nil {
			break
		}
		at += next
	}
	if len(hook.got) != notify.MaxTries || len(w.failed) != 1 {
		t.Errorf("tried %q, failed %q", hook.got, w.failed)
	}
	if want := 5*time.Second + 10*time.Second + 20*time.Second + 40*time.Second + 80*time.Second + 160*time.Second + 320*time.Second; at != want {
		t.Errorf("tried for %s, want %s", at, want)
	}
	w = open(t)
	w.channels["hook"] = &fake{answers: []error{&notify.Refusal{Reason: "no such thing", Final: true}}}
	w.post(note("refused"), 2, notify.Preferences{User: "ada", Channels: []string{"hook", "gone"}})
	if next := w.round(0); next != "never" || len(w.failed) != 2 {
		t.Errorf("next %s, failed %q", next, w.failed)
	}
}

// TestCrash: what a process had sent when it died, without a note of it, is sent
// again, with the same id, when its claim is over.
func TestCrash(t *testing.T) {
	w := open(t)
	var ids []string
	w.channels["hook"] = channelFunc(func(d *notify.Delivery) error {
		ids = append(ids, d.ID)
		return nil
	})
	w.post(note("one"), 1, notify.Preferences{User: "ada", Channels: []string{"hook"}})
	crash, writes := errors.New("crash"), 0
	dying := notify.New(notify.Config{
		Store:   w.store,
		Channel: func(context.Context, string, string) (notify.Channel, error) { return w.channels["hook"], nil },
		Write: func(ctx context.Context, do func(context.Context, store.Tx) error) error {
			if writes++; writes > 1 { // the claim is the first
				return crash
			}
			return w.write(ctx, do)
		},
	})
	if _, err := dying.Round(t.Context(), start); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	if next := w.round(time.Second); next != "1m59s" {
		t.Errorf("next %s", next)
	}
	w.round(2 * time.Minute)
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("sent %q", ids)
	}
}

type channelFunc func(*notify.Delivery) error

func (f channelFunc) Send(_ context.Context, d *notify.Delivery, _ time.Time) error { return f(d) }

func TestCheck(t *testing.T) {
	f := func(n notify.Notification, want string) {
		t.Helper()
		if err := n.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", n, err, want)
		}
	}
	f(notify.Notification{Type: "spam"}, "of type")
	f(notify.Notification{Type: "done", Key: "k"}, "a key and a title")
	f(notify.Notification{Type: "done", Key: "k", Title: strings.Repeat("x", 501)}, "500 bytes")
	f(notify.Notification{Type: "done", Key: "k", Title: "t", Data: []byte("{")}, "must be JSON")
}

var delivery = &notify.Delivery{ID: "d1", User: "ada", Notification: notify.Notification{
	Type: "failed", Key: "k", At: start, Title: "Täsk <!channel> failed\nBcc: all@example.com", Text: "1 < 2\n.\nend", URL: "https://x.example/t?a=1|2", Data: json.RawMessage(`{"n":1}`),
}}

func TestWebhook(t *testing.T) {
	var body []byte
	var header http.Header
	status, answer := 200, ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer srv.Close()
	hook := &notify.Webhook{URL: srv.URL + "/secret-path", Secret: "s3cret", Client: srv.Client()}
	if err := hook.Send(t.Context(), delivery, start); err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID, Type, Title string
		Data            struct{ N int }
	}
	if err := json.Unmarshal(body, &got); err != nil || got.ID != "d1" || got.Type != "failed" || got.Data.N != 1 || header.Get(notify.DeliveryHeader) != "d1" {
		t.Errorf("sent %s with %v: %v", body, header, err)
	}
	signature := header.Get(notify.SignatureHeader)
	verify := func(secret, signature, body string, at time.Time, want string) {
		t.Helper()
		err := notify.Verify(secret, signature, []byte(body), at, 5*time.Minute)
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("Verify = %s, want %s", got, want)
		}
	}
	verify("s3cret", signature, string(body), start.Add(time.Minute), "nil")
	verify("other", signature, string(body), start, "another body or another secret")
	verify("s3cret", signature, string(body)+" ", start, "another body or another secret")
	verify("s3cret", signature, string(body), start.Add(time.Hour), "off")
	verify("s3cret", "", string(body), start, "no time")
	verify("s3cret", "t=1", string(body), time.Unix(1, 0), "another")
	// Made with: printf '1.{}' | openssl dgst -sha256 -hmac k
	if got := notify.Sign("k", []byte("{}"), time.Unix(1, 0)); got != "t=1,v1=3dd49b2593d0f9a349e9e71c4bde3e2b862c2be4003fe9b4ba81332029310158" {
		t.Errorf("signature %s", got)
	}

	refused := func(code int, final bool) {
		t.Helper()
		status, answer = code, "see "+hook.URL
		err := hook.Send(t.Context(), delivery, start)
		var r *notify.Refusal
		if !errors.As(err, &r) || r.Final != final || r.After != 7*time.Second || strings.Contains(r.Reason, "secret-path") {
			t.Errorf("%d: %+v", code, err)
		}
	}
	refused(500, false)
	refused(503, false)
	refused(429, false)
	refused(404, true)
	refused(410, true)
	refused(301, true)
	srv.Close()
	if err := hook.Send(t.Context(), delivery, start); err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestSlack(t *testing.T) {
	var got struct{ Text string }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "ok")
	}))
	defer srv.Close()
	if err := (&notify.Slack{URL: srv.URL, Client: srv.Client()}).Send(t.Context(), delivery, start); err != nil {
		t.Fatal(err)
	}
	want := "*Täsk &lt;!channel&gt; failed\nBcc: all@example.com*\n1 &lt; 2\n.\nend\n<https://x.example/t?a=1%7C2>"
	if diff := cmp.Diff(want, got.Text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// mailServer speaks just enough SMTP. Its answers to some commands can be set.
type mailServer struct {
	listener net.Listener
	tls      *tls.Config
	roots    *x509.CertPool
	answers  map[string]string // by the first word of a command
	noTLS    bool

	mu   sync.Mutex
	said []string
	text string
}

func serveMail(t *testing.T) *mailServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{answers: map[string]string{}, roots: x509.NewCertPool()}
	s.roots.AddCert(cert)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if s.listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { s.listener.Close(); serving.Wait() })
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	in := bufio.NewReader(conn)
	say := func(text string) { io.WriteString(conn, text+"\r\n") }
	encrypted := false
	say("220 test")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		word, _, _ := strings.Cut(line, " ")
		s.mu.Lock()
		s.said = append(s.said, line)
		answer := s.answers[word]
		s.mu.Unlock()
		switch {
		case answer != "":
			say(answer)
		case word == "EHLO":
			say("250-test")
			if !encrypted && !s.noTLS {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case word == "STARTTLS":
			say("220 go")
			conn = tls.Server(conn, s.tls)
			in = bufio.NewReader(conn)
			encrypted = true
		case word == "AUTH":
			say("235 ok")
		case word == "DATA":
			say("354 go")
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.text = text.String()
			s.mu.Unlock()
			say("250 taken")
		case word == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func TestMail(t *testing.T) {
	s := serveMail(t)
	m := &notify.Mail{Address: s.listener.Addr().String(), From: "Lockstep <from@example.com>", To: "ada@example.com", User: "u", Password: "p", TLS: &tls.Config{RootCAs: s.roots}}
	if err := m.Send(t.Context(), delivery, start); err != nil {
		t.Fatal(err)
	}
	got, err := mail.ReadMessage(strings.NewReader(s.text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, s.text)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "Täsk <!channel> failed Bcc: all@example.com" || got.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, %v; headers %v", subject, err, got.Header)
	}
	if got.Header.Get("Message-Id") != "<d1@example.com>" || got.Header.Get("Date") != "Fri, 20 Nov 2026 12:00:00 +0000" {
		t.Errorf("headers %v", got.Header)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if want := "Täsk <!channel> failed\r\nBcc: all@example.com\r\n\r\n1 < 2\r\n.\r\nend\r\n\r\nhttps://x.example/t?a=1|2\r\n"; err != nil || string(text) != want {
		t.Errorf("text %q, %v; want %q", text, err, want)
	}
	said := strings.Join(s.said, "\n")
	if !strings.Contains(said, "STARTTLS\nEHLO") || !strings.Contains(said, "AUTH PLAIN AHUAcA==") || !strings.Contains(said, "MAIL FROM:<from@example.com>") || !strings.Contains(said, "RCPT TO:<ada@example.com>") {
		t.Errorf("said\n%s", said)
	}

	f := func(word, answer string, want string, final bool) {
		t.Helper()
		s.mu.Lock()
		s.answers = map[string]string{word: answer}
		s.mu.Unlock()
		err := m.Send(t.Context(), delivery, start)
		var r *notify.Refusal
		if err == nil || !strings.Contains(err.Error(), want) || (errors.As(err, &r) && r.Final) != final || strings.Contains(err.Error(), "AHUAcA") {
			t.Errorf("%s answered %s: %v, final %v", word, answer, err, r)
		}
	}
	f("RCPT", "550 no such user", "no such user", true)
	f("RCPT", "451 later", "451 ", false)
	f("AUTH", "535 wrong", "535 ", true)
	f("DATA", "452 full", "452 ", false)
	s.answers = nil
	s.noTLS = true
	f("NOOP", "250 ok", "STARTTLS", true)
	s.noTLS = false
	m.TLS = nil // the certificate is nobody's
	f("NOOP", "250 ok", "certificate", false)
	m.To = "nobody"
	f("NOOP", "250 ok", "is no address", true)
}

func TestQuietHours(t *testing.T) {
	f := func(q notify.Quiet, at, want string) {
		t.Helper()
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.After(when).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%v at %s: %s, want %s", q, at, got, want)
		}
	}
	night := notify.Quiet{From: "22:00", To: "07:00", Zone: "Europe/Berlin"}
	f(night, "2026-11-20T20:59:59Z", "2026-11-20T20:59:59Z") // 21:59 there
	f(night, "2026-11-20T21:00:00Z", "2026-11-21T06:00:00Z")
	f(night, "2026-11-21T05:59:59Z", "2026-11-21T06:00:00Z")
	f(night, "2026-11-21T06:00:00Z", "2026-11-21T06:00:00Z")
	f(night, "2026-03-28T22:30:00Z", "2026-03-29T05:00:00Z") // the night has an hour less
	lunch := notify.Quiet{From: "12:00", To: "13:30"}
	f(lunch, "2026-11-20T12:10:00Z", "2026-11-20T13:30:00Z")
	f(lunch, "2026-11-20T13:30:00Z", "2026-11-20T13:30:00Z")
	for _, bad := range []notify.Quiet{{From: "22", To: "07:00"}, {From: "22:00", To: "22:00"}, {From: "22:00", To: "07:00", Zone: "Moon"}} {
		if bad.Check() == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
