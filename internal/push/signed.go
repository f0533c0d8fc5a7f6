package push

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

	"github.com/lockstep-run/lockstep/internal/control"
)

// The headers of a signed wakeup.
const (
	TimestampHeader = "X-Board-Timestamp" // seconds since 1970
	SignatureHeader = "X-Board-Signature" // see Sign
	DeliveryHeader  = "X-Board-Delivery"  // the same at each try
)

// Tolerance is how old a signature may be.
const Tolerance = 5 * time.Minute

// Sign is the signature of a body that is sent at a time: v1=HEX, where HEX is
// the HMAC-SHA256, under the secret, of the timestamp, a dot and the body.
func Sign(secret, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(timestamp + "."))
	h.Write(body)
	return "v1=" + hex.EncodeToString(h.Sum(nil))
}

// Verify checks the headers of a signed wakeup, for receivers: it comes from
// somebody who knows the secret, and is not older than Tolerance.
func Verify(secret string, header http.Header, body []byte, now time.Time) error {
	at := header.Get(TimestampHeader)
	unix, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return errors.New("the wakeup has no timestamp")
	}
	if now.Sub(time.Unix(unix, 0)).Abs() > Tolerance {
		return errors.New("the wakeup is too old")
	}
	if !hmac.Equal([]byte(header.Get(SignatureHeader)), []byte(Sign(secret, at, body))) {
		return errors.New("the signature is of another body or another secret")
	}
	return nil
}

// Wakeup is the body of a signed wakeup. What people and agents wrote is in Task
// and Note alone: it is material to work on, not the server's word.
type Wakeup struct {
	Delivery string    `json:"delivery"` // the same at each try
	Agent    string    `json:"agent"`    // slug
	Reason   string    `json:"reason"`   // assigned, unblocked, changes_requested, approved, mentioned, handoff, answer, manual or schedule
	Task     *WakeTask `json:"task,omitempty"`
	Note     string    `json:"note,omitempty"`
	Text     string    `json:"text"` // what to do now, for a model
	URL      string    `json:"url"`  // of the API
}

// WakeTask is the task that a wakeup is about.
type WakeTask struct {
	Key   string `json:"key"`
	Title string `json:"title"`
	URL   string `json:"url"` // in the API
}

func (p *Pusher) wakeup(o control.Offer) Wakeup {
	api := p.cfg.URL() + "/api/v1"
	w := Wakeup{Delivery: o.Delivery, Agent: o.Agent.Slug, Reason: o.Wakeup.Reason, Note: o.Wakeup.Note, URL: api}
	if t := o.Task; t != nil {
		w.Task = &WakeTask{Key: t.Key, Title: t.Title, URL: api + "/tasks/" + t.Key}
		w.Text = fmt.Sprintf("Task %s is for you (%s). Read it, claim it, work on it, submit the result.", t.Key, w.Reason)
		if !o.Wakeup.Work {
			w.Text = fmt.Sprintf("There is something for you at task %s (%s). Read its thread.", t.Key, w.Reason)
		}
	} else {
		w.Text = "There is a message for you: see note."
	}
	return w
}

// signed posts a wakeup to the agent's address.
func (p *Pusher) signed(ctx context.Context, o control.Offer, to Connection, s Secrets) error {
	if s.Signing == "" {
		return errors.New("the connection has no signing secret: save it again")
	}
	body, err := json.Marshal(p.wakeup(o))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = p.post(ctx, to, to.URL, body, http.Header{
		TimestampHeader: {at}, SignatureHeader: {Sign(s.Signing, at, body)}, DeliveryHeader: {o.Delivery},
	})
	return err
}

// post makes one call and returns what was answered. Only 2xx is no error.
func (p *Pusher) post(ctx context.Context, to Connection, url string, body []byte, header http.Header) ([]byte, error) {
	c, err := p.client(to)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the connection's URL is none")
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lockstep")
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	// What is left in a connection would keep it from being used again.
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case res.StatusCode/100 == 3:
		return nil, fmt.Errorf("%s redirects, which is not followed: enter the address that it leads to", to.host())
	case res.StatusCode/100 != 2:
		text := strings.TrimSpace(string(answer[:min(len(answer), 200)]))
		if strings.HasSuffix(res.Status, text) {
			text = ""
		}
		return nil, fmt.Errorf("%s answered %s", to.host(), strings.TrimSpace(res.Status+" "+hide(text, header)))
	}
	return answer, err
}

// hide takes out of a text what was sent as a credential.
func hide(text string, header http.Header) string {
	if token := strings.TrimPrefix(header.Get("Authorization"), "Bearer "); token != "" {
		text = strings.ReplaceAll(text, token, "(token)")
	}
	return strings.ToValidUTF8(text, "")
}
