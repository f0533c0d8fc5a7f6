package trigger

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// The ways in which a webhook's calls are signed.
const (
	schemeGitHub = "github" // X-Hub-Signature-256: sha256=<hex of HMAC-SHA256 of the body>
	schemeHMAC   = "hmac"   // X-Signature: the same, in hex or base64, with sha256= or without
	schemeStripe = "stripe" // Stripe-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA256 of t.body>
	schemeToken  = "token"  // Authorization: Bearer <secret>, or a header with the secret alone
)

var schemeNames = []string{schemeGitHub, schemeHMAC, schemeStripe, schemeToken}

// tolerance is how far a signed time may be from now, as Stripe has it.
const tolerance = 5 * time.Minute

// signatureHeader is where a webhook's signature is.
func (s *Spec) signatureHeader() string {
	if s.Header != "" {
		return s.Header
	}
	return map[string]string{schemeGitHub: "X-Hub-Signature-256", schemeHMAC: "X-Signature", schemeStripe: "Stripe-Signature", schemeToken: "Authorization"}[s.Scheme]
}

// signed reports whether a call has the webhook's signature.
func (s *Spec) signed(secret, header, body string, now time.Time) bool {
	switch s.Scheme {
	case schemeGitHub, schemeHMAC:
		return isMAC(strings.TrimPrefix(header, "sha256="), mac(secret, body), s.Scheme == schemeHMAC)
	case schemeStripe:
		return isStripe(secret, header, body, now)
	case schemeToken:
		if s.Header == "" {
			kind, token, _ := strings.Cut(header, " ")
			if !strings.EqualFold(kind, "Bearer") {
				return false
			}
			header = token
		}
		// Of equal length, so that the time taken says nothing.
		given, wanted := sha256.Sum256([]byte(header)), sha256.Sum256([]byte(secret))
		return subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
	}
	return false
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, text)
	return h.Sum(nil)
}

func isMAC(text string, want []byte, alsoBase64 bool) bool {
	got, err := hex.DecodeString(text)
	if err != nil && alsoBase64 {
		got, err = base64.StdEncoding.DecodeString(text)
	}
	return err == nil && hmac.Equal(got, want)
}

// isStripe checks t=1492774577,v1=…,v1=…: any of the signatures counts.
func isStripe(secret, header, body string, now time.Time) bool {
	at, signatures := "", []string{}
	for part := range strings.SplitSeq(header, ",") {
		key, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case key == "t" && at == "":
			at = v
		case key == "v1" && len(signatures) < 10:
			signatures = append(signatures, v)
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	want := mac(secret, at+"."+body)
	for _, signature := range signatures {
		if isMAC(signature, want, false) {
			return true
		}
	}
	return false
}

// serveHook takes a call of a webhook. The answer comes when the execution is
// durable.
func (t *Triggers) serveHook(r *http.Request) (any, error) {
	ctx := r.Context()
	l, err := t.find(ctx, r.PathValue("name"))
	if err != nil || l.Spec.Type != Webhook {
		return nil, rest.NotFound("There is no such webhook.")
	}
	s := &l.Spec
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, &rest.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: "The body has more than 256 KiB."}
	}
	if err != nil {
		return nil, rest.Invalid("The body broke off.")
	}
	secret, err := t.secret(l.kept)
	if err != nil {
		return nil, err
	}
	signature := r.Header.Get(s.signatureHeader())
	if !s.signed(secret, signature, string(body), time.Now()) {
		return nil, &rest.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "The signature is missing or does not fit."}
	}
	if s.Paused {
		return nil, &rest.Error{Status: http.StatusServiceUnavailable, Code: "paused", Message: "The webhook is paused."}
	}
	e := &event{id: uuidOf(rand.Text()), source: "lockstep.webhook", detailType: "Webhook Received", at: time.Now(),
		resources: []string{t.arn(s.Name)}, detail: hookDetail(s, r, string(body), secret)}
	execution, err := t.start(ctx, s, deliveryOf(s, r, signature, e.id), e)
	switch {
	case err != nil && t.config.Lasting(err):
		return nil, &rest.Error{Status: http.StatusUnprocessableEntity, Code: "not_started", Message: "The execution could not be started."}
	case err != nil:
		return nil, &rest.Error{Status: http.StatusServiceUnavailable, Code: "try_again", Message: "The execution could not be started now; try again."}
	}
	return map[string]string{"executionArn": execution}, nil
}

// deliveryOf is what the sender calls a call: the same when it is made again.
func deliveryOf(s *Spec, r *http.Request, signature, id string) string {
	for _, name := range []string{"X-Github-Delivery", "Webhook-Id", "Idempotency-Key"} {
		if v := r.Header.Get(name); v != "" {
			return name + " " + v
		}
	}
	if s.Scheme == schemeStripe {
		return signature // is over a time: whoever repeats it repeats the call
	}
	return id
}

// hookDetail is the detail of a webhook's event. What proves who called is no part
// of it.
func hookDetail(s *Spec, r *http.Request, body, secret string) value.Value {
	var headers, query []value.Member
	for name, values := range r.Header {
		if v := strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD"); !strings.EqualFold(name, s.signatureHeader()) && !hidden[name] && !strings.Contains(v, secret) {
			headers = append(headers, value.Member{Key: strings.ToLower(name), Value: value.Str(v)})
		}
	}
	for name, values := range r.URL.Query() {
		query = append(query, value.Member{Key: strings.ToValidUTF8(name, "\uFFFD"), Value: value.Str(strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD"))})
	}
	content, err := value.Parse(body)
	if err != nil {
		content = value.Str(strings.ToValidUTF8(body, "\uFFFD"))
	}
	return value.ObjectOf([]value.Member{
		{Key: "webhook", Value: value.Str(s.Name)},
		{Key: "headers", Value: value.ObjectOf(byKey(headers))},
		{Key: "query", Value: value.ObjectOf(byKey(query))},
		{Key: "body", Value: content},
	})
}

var hidden = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true}
