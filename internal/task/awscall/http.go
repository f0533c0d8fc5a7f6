package awscall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Transport makes connections for calls that may be many at a time and long. It
// keeps them for a while, takes the system's proxy settings, and bounds what an
// answer's headers may take. It stays with HTTP/1.1, as AWS's own service does
// for Lambda.
func Transport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true, // a result shows the headers as they came
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// HTTPClient makes a client that follows no redirects: a signature is for one
// address, and so is a key.
func HTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// NewPost makes a POST of body. A kept connection that the other side has just
// closed, without a byte of an answer, is replaced and the request sent again,
// as AWS's SDKs do.
func NewPost(ctx context.Context, u *url.URL, body string) (*http.Request, error) {
	return NewRequest(ctx, "", u, body)
}

// NewRequest is NewPost for another method; "" is POST.
func NewRequest(ctx context.Context, method string, u *url.URL, body string) (*http.Request, error) {
	req := &http.Request{
		Method: cmp.Or(method, http.MethodPost), URL: u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"User-Agent": {"lockstep"}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(strings.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil },
	}
	if body == "" {
		req.Body, req.GetBody = http.NoBody, func() (io.ReadCloser, error) { return http.NoBody, nil }
	}
	req.Header["X-Idempotency-Key"] = []string{} // for net/http only: an empty list is not sent
	return req.WithContext(ctx), nil
}

// Response is an answer with its body.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// OK reports whether the status is one of success.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// Oversize is the error of an answer that was too long to read.
type Oversize struct{ Limit int }

// Error implements error.
func (e *Oversize) Error() string { return fmt.Sprintf("the answer has more than %d bytes", e.Limit) }

// Send sends req and reads the answer, limit bytes of it at most. Errors are as
// those of Client.Do.
func Send(client *http.Client, req *http.Request, limit int) (*Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(req, err)
	}
	defer resp.Body.Close()
	if req.Method == http.MethodHead {
		return &Response{Status: resp.StatusCode, Header: resp.Header}, nil
	}
	if resp.ContentLength > int64(limit) {
		return nil, &Oversize{limit}
	}
	body, err := read(resp, limit)
	if err != nil {
		return nil, unreachable(req, err)
	}
	if len(body) > limit {
		return nil, &Oversize{limit}
	}
	return &Response{resp.StatusCode, resp.Header, body}, nil
}

func read(resp *http.Response, limit int) (string, error) {
	const trusted = 256 << 10 // memory that a stated length gets before a byte has come
	if n := resp.ContentLength; n >= 0 && n <= trusted {
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return string(body), err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	return string(body), err
}

// unreachable words a failure below HTTP. It leaves out the URL, whose query may
// hold a secret.
func unreachable(req *http.Request, err error) error {
	if ctxErr := req.Context().Err(); ctxErr != nil {
		return ctxErr
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return fmt.Errorf("Unable to execute HTTP request: %s: Name or service not known", dns.Name) //nolint:staticcheck // AWS's words
	}
	var asURL *url.Error
	if errors.As(err, &asURL) {
		err = asURL.Err
	}
	return fmt.Errorf("Unable to execute HTTP request: %w", err) //nolint:staticcheck // AWS's words
}
