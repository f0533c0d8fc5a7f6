package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/task"
	httptask "github.com/lockstep-run/lockstep/internal/task/http"
)

const (
	// early is how long before its end a token is not used any more, as on AWS.
	early = time.Minute
	// tokenTimeout is how long an answer with a token may take.
	tokenTimeout = 20 * time.Second
	maxToken     = 64 << 10
)

// token is an access token.
type token struct {
	kind, text string
	until      time.Time // zero: not known
}

func (t *token) usable(now time.Time) bool {
	return t.text != "" && (t.until.IsZero() || now.Before(t.until.Add(-early)))
}

// tokens holds a connection's token. Whoever needs a new one asks for it while the
// others wait for the same.
type tokens struct {
	mu   chan struct{} // holds one value while nobody is asking
	last token
}

// forget drops a connection's token: it may be another client's now.
func (c *Connections) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, name)
}

// token returns a token of the connection, a new one if the last is about to end
// or is the one that was refused.
func (c *Connections) token(ctx context.Context, s *Spec, refused *httptask.Authorization) (token, error) {
	c.mu.Lock()
	t := c.tokens[s.Name]
	if t == nil {
		t = &tokens{mu: make(chan struct{}, 1)}
		t.mu <- struct{}{}
		c.tokens[s.Name] = t
	}
	c.mu.Unlock()
	select {
	case <-t.mu:
	case <-ctx.Done():
		return token{}, ctx.Err()
	}
	defer func() { t.mu <- struct{}{} }()
	if t.last.usable(time.Now()) && !uses(refused, t.last.text) {
		return t.last, nil
	}
	next, err := c.requestToken(ctx, s)
	if err != nil {
		return token{}, err
	}
	t.last = next
	return next, nil
}

func uses(a *httptask.Authorization, text string) bool {
	if a == nil {
		return false
	}
	for _, h := range a.Headers {
		if h.Key == "Authorization" && strings.HasSuffix(h.Value, " "+text) {
			return true
		}
	}
	return false
}

// requestToken asks the authorization server (RFC 6749, 4.4). Nothing of its
// answer is in the error but the status and an error code in its usual form: it
// may repeat what it was sent.
func (c *Connections) requestToken(ctx context.Context, s *Spec) (token, error) {
	within, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	failed := func(format string, args ...any) (token, error) {
		if ctx.Err() != nil {
			return token{}, ctx.Err()
		}
		return token{}, task.Fail("Events.ConnectionResource.InvalidConnectionState",
			fmt.Sprintf("Connection %s got no token: ", s.Name)+fmt.Sprintf(format, args...)+".")
	}
	req, err := tokenRequest(within, s)
	if err != nil {
		return failed("its token_url cannot be used")
	}
	res, err := c.config.Client.Do(req)
	if err != nil {
		var asURL *url.Error
		if errors.As(err, &asURL) {
			err = asURL.Err // without the URL, whose query may hold the secret
		}
		return failed("%v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxToken))
	if err != nil {
		return failed("the answer broke off")
	}
	var answer struct {
		Token   string      `json:"access_token"`
		Kind    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
		Error   string      `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); res.StatusCode/100 != 2 {
		if err == nil && errorForm.MatchString(answer.Error) {
			return failed("the authorization server answered with status %d, %s", res.StatusCode, answer.Error)
		}
		return failed("the authorization server answered with status %d", res.StatusCode)
	} else if err != nil || answer.Token == "" || strings.ContainsAny(answer.Token+answer.Kind, "\r\n\x00") {
		return failed("the authorization server's answer has no access_token")
	}
	t := token{kind: "Bearer", text: answer.Token}
	if answer.Kind != "" && !strings.EqualFold(answer.Kind, "bearer") {
		t.kind = answer.Kind
	}
	if seconds, err := answer.Expires.Float64(); err == nil && seconds > 0 && seconds < 1e9 {
		t.until = time.Now().Add(time.Duration(seconds * float64(time.Second)))
	}
	return t, nil
}

// errorForm is the form of RFC 6749's error codes, short enough to hold no secret
// that is worth anything.
var errorForm = regexp.MustCompile(`^(invalid_request|invalid_client|invalid_grant|unauthorized_client|unsupported_grant_type|invalid_scope|access_denied|server_error|temporarily_unavailable)$`)

func tokenRequest(ctx context.Context, s *Spec) (*http.Request, error) {
	form, query, header := url.Values{"grant_type": {"client_credentials"}}, url.Values{}, http.Header{}
	if s.TokenAuth != "basic" {
		form.Set("client_id", s.ClientID)
		form.Set("client_secret", s.ClientSecret)
	}
	for _, p := range s.TokenParams {
		switch p.In {
		case "header":
			header.Set(p.Key, p.Value)
		case "query":
			query.Set(p.Key, p.Value)
		case "body":
			form.Set(p.Key, p.Value)
		}
	}
	u, err := url.Parse(s.TokenURL)
	if err != nil {
		return nil, err
	}
	method, body := s.TokenMethod, form.Encode()
	if method == "" {
		method = http.MethodPost
	}
	if method == http.MethodGet {
		for key, v := range form {
			query[key] = v
		}
		body = ""
	}
	if extra := query.Encode(); extra != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+extra, "&")
	}
	kind := "application/x-www-form-urlencoded"
	if strings.HasPrefix(header.Get("Content-Type"), "application/json") && body != "" {
		kind, body = header.Get("Content-Type"), asJSON(form)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	if s.TokenAuth == "basic" {
		req.SetBasicAuth(url.QueryEscape(s.ClientID), url.QueryEscape(s.ClientSecret)) // RFC 6749, 2.3.1
	}
	return req, nil
}

// asJSON is a form for those servers that take JSON.
func asJSON(form url.Values) string {
	members := map[string]string{}
	for key := range form {
		members[key] = form.Get(key)
	}
	text, _ := json.Marshal(members) // texts alone cannot fail
	return string(text)
}
