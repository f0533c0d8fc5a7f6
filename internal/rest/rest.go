// Package rest is what the handlers under /api/v1 share: how a body is read, how
// an answer is written, and what an error looks like.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// MaxBody is how long a request's body may be, in bytes.
const MaxBody = 1 << 20

// Error is an answer that says what went wrong:
// {"error":{"code":…,"message":…}}, with details where there are any. Codes are
// stable.
type Error struct {
	Status  int            // of HTTP
	Code    string         // "not_found"
	Message string         // a sentence
	Details map[string]any // what a program may want to know besides; nil: nothing
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Invalid is the error of a request that cannot be what was meant.
func Invalid(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid", Message: fmt.Sprintf(format, args...)}
}

// Conflict is the error of a request that what is there does not allow.
func Conflict(format string, args ...any) *Error {
	return &Error{Status: http.StatusConflict, Code: "conflict", Message: fmt.Sprintf(format, args...)}
}

// NotFound is the error of a request for something that is not there.
func NotFound(format string, args ...any) *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf(format, args...)}
}

// Read reads a body that is a JSON object. Members that to does not know are
// errors, so that a slip of the pen is not passed over.
func Read(r *http.Request, to any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("The body has more than %d bytes.", long.Limit)}
	case err != nil:
		return Invalid("The body cannot be used: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// Handle makes a handler of a function that returns what to answer with: nil for
// nothing, with status 204. What is a handler itself answers for itself.
func Handle(do func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		page, own := v.(http.Handler)
		switch {
		case err != nil:
			Fail(w, err)
		case own:
			page.ServeHTTP(w, r)
		case v == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			Write(w, http.StatusOK, v)
		}
	}
}

// Write answers with v as JSON.
func Write(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		Fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// Nothing is left to do for a client that has gone.
	_, _ = w.Write(append(text, '\n'))
}

// Fail answers with an error: an *Error as it is, store.ErrNotFound as 404, and
// anything else as 500, without its text, which is for the log.
func Fail(w http.ResponseWriter, err error) {
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "The server could not do this; its log says more."}
		if errors.Is(err, store.ErrNotFound) {
			known = NotFound("There is no such thing.")
		}
	}
	said := map[string]any{"code": known.Code, "message": known.Message}
	if known.Details != nil {
		said["details"] = known.Details
	}
	Write(w, known.Status, map[string]any{"error": said})
}

// Sentence writes a refusal as the other answers are written.
func Sentence(text string) string {
	if text == "" {
		return text
	}
	if c := text[0]; 'a' <= c && c <= 'z' {
		text = string(c-'a'+'A') + text[1:]
	}
	return strings.TrimSuffix(text, ".") + "."
}

type admitted struct{}

// Admit is ctx of a request that may come in from anywhere: whoever stands in
// front has seen who calls.
func Admit(ctx context.Context) context.Context { return context.WithValue(ctx, admitted{}, true) }

// Admitted reports whether Admit has made ctx.
func Admitted(ctx context.Context) bool { return ctx.Value(admitted{}) != nil }

// Local lets only this machine in, and who was admitted: programs on it, and
// pages that were opened under one of its own names. Without sign-in nothing else
// tells others apart, and with it a handler that no gate stands before is not
// open to the world.
func Local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Admitted(r.Context()) && !IsLocal(r) {
			Fail(w, &Error{Status: http.StatusForbidden, Code: "forbidden", Message: "This is for this machine only; use http://127.0.0.1 or http://localhost."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLocal reports whether a request is from this machine and to one of its own
// names.
func IsLocal(r *http.Request) bool { return IsLocalHost(r.RemoteAddr) && IsLocalHost(r.Host) }

// IsLocalHost reports whether a host, maybe with a port, is this machine.
func IsLocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}
