package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Doer makes requests: an *http.Client, or what decides where requests may go.
// It must not follow a redirect to where requests may not go.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Webhook posts deliveries as JSON, signed. The body is the notification with
// the delivery's id.
type Webhook struct {
	URL    string
	Secret string // signs; "": there is no signature
	Client Doer
}

// The headers of a webhook's request.
const (
	DeliveryHeader  = "Lockstep-Delivery"  // the delivery's id: the same at each try
	SignatureHeader = "Lockstep-Signature" // see Sign
)

type webhookBody struct {
	ID string `json:"id"`
	Notification
}

// Send posts d. Any 2xx answer means that it was taken.
func (h *Webhook) Send(ctx context.Context, d *Delivery, now time.Time) error {
	body, err := json.Marshal(webhookBody{d.ID, d.Notification})
	if err != nil {
		return &Refusal{Reason: "the notification cannot be written as JSON", Final: true}
	}
	header := http.Header{DeliveryHeader: {d.ID}}
	if h.Secret != "" {
		header.Set(SignatureHeader, Sign(h.Secret, body, now))
	}
	return post(ctx, h.Client, h.URL, body, header)
}

// Sign is the signature of a body that is sent at a time: t=UNIX,v1=HEX, where
// HEX is the HMAC-SHA256, under the secret, of UNIX, a dot and the body.
func Sign(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(secret, t, body))
}

func mac(secret, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify checks what Sign has made, for receivers: the body is from somebody who
// knows the secret, and was sent no longer ago than tolerance, nor as far ahead.
func Verify(secret, signature string, body []byte, now time.Time, tolerance time.Duration) error {
	var t string
	var sums [][]byte
	for part := range strings.SplitSeq(signature, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			t = text
		case "v1":
			if sum, err := hex.DecodeString(text); err == nil {
				sums = append(sums, sum)
			}
		}
	}
	unix, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return errors.New("the signature has no time")
	}
	if age := now.Sub(time.Unix(unix, 0)).Abs(); age > tolerance {
		return fmt.Errorf("the signature is %s off; %s are allowed", age, tolerance)
	}
	want := mac(secret, t, body)
	for _, sum := range sums {
		if hmac.Equal(sum, want) {
			return nil
		}
	}
	return errors.New("the signature is of another body or another secret")
}

// Slack posts to an incoming webhook of Slack, or of a chat that takes the same.
type Slack struct {
	URL    string // is the secret
	Client Doer
}

// Send posts d as one message.
func (s *Slack) Send(ctx context.Context, d *Delivery, _ time.Time) error {
	n := d.Notification
	text := "*" + slackText(n.Title) + "*"
	if n.Text != "" {
		text += "\n" + slackText(cut(n.Text, 3000))
	}
	if n.URL != "" {
		text += "\n<" + slackText(strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20", "\n", "").Replace(n.URL)) + ">"
	}
	body, err := json.Marshal(map[string]any{"text": text, "unfurl_links": false})
	if err != nil {
		return &Refusal{Reason: "the notification cannot be written as JSON", Final: true}
	}
	return post(ctx, s.Client, s.URL, body, http.Header{})
}

// slackText takes the meaning out of what Slack would take for a link or a
// mention: the text may be an agent's.
func slackText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// post makes one request. No error has the URL in it: it may be the secret.
func post(ctx context.Context, client Doer, url string, body []byte, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return &Refusal{Reason: "the channel's URL is none", Final: true}
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lockstep")
	res, err := client.Do(req)
	if err != nil {
		return errors.New(strings.ReplaceAll(WithoutURL(err), url, "(url)"))
	}
	defer res.Body.Close()
	// What is left in a connection would keep it from being used again.
	said, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	return Answer(res, said, url)
}

// Answer is nil for an answer that takes what was posted, and else a *Refusal,
// without the URL in it: it may be the secret.
func Answer(res *http.Response, said []byte, url string) error {
	if res.StatusCode/100 == 2 {
		return nil
	}
	r := &Refusal{Reason: fmt.Sprintf("the receiver answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))}
	if text := strings.TrimSpace(string(said)); text != "" {
		r.Reason += ": " + strings.ReplaceAll(cut(text, 200), url, "(url)")
	}
	switch res.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
	default:
		r.Final = res.StatusCode < 500
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.After = time.Duration(min(seconds, 3600)) * time.Second
	}
	return r
}

// WithoutURL is an error's text without the URL that net/http puts before it.
func WithoutURL(err error) string {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) && wrapped.Unwrap() != nil {
		return wrapped.Unwrap().Error()
	}
	return err.Error()
}
