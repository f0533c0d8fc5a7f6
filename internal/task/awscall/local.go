package awscall

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// local carries requests to a handler in this process.
type local struct{ handler http.Handler }

func (l local) RoundTrip(req *http.Request) (*http.Response, error) {
	a := answer{header: http.Header{}}
	l.handler.ServeHTTP(&a, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	a.WriteHeader(http.StatusOK) // where the handler has not
	a.header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	return &http.Response{
		StatusCode: a.status, Header: a.header, Request: req,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}, nil
}

// answer is what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
