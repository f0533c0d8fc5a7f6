package connection

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// Register adds what manages connections to mux:
//
//	GET    /api/v1/connections              {"connections":[View…]}
//	POST   /api/v1/connections              Spec → View; replaces one of that name
//	GET    /api/v1/connections/{name}       View
//	DELETE /api/v1/connections/{name}
//	POST   /api/v1/connections/{name}/test  {"url":…} → Test
//
// No answer holds a secret.
func (c *Connections) Register(mux *http.ServeMux) {
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, rest.Local(rest.Handle(do)))
	}
	handle("GET /api/v1/connections", func(r *http.Request) (any, error) {
		list, err := c.List(r.Context())
		return map[string]any{"connections": list}, err
	})
	handle("POST /api/v1/connections", func(r *http.Request) (any, error) {
		var s Spec
		if err := rest.Read(r, &s); err != nil {
			return nil, err
		}
		return c.Put(r.Context(), s)
	})
	handle("GET /api/v1/connections/{name}", func(r *http.Request) (any, error) {
		return c.Get(r.Context(), r.PathValue("name"))
	})
	handle("DELETE /api/v1/connections/{name}", func(r *http.Request) (any, error) {
		return nil, c.Delete(r.Context(), r.PathValue("name"))
	})
	handle("POST /api/v1/connections/{name}/test", func(r *http.Request) (any, error) {
		var in struct {
			URL string `json:"url"`
		}
		if err := rest.Read(r, &in); err != nil {
			return nil, err
		}
		return c.Test(r.Context(), r.PathValue("name"), in.URL)
	})
}

// Test is what trying a connection has shown.
type Test struct {
	OK      bool   `json:"ok"`
	Message string `json:"message"`
	Status  int    `json:"status,omitempty"` // of the answer, where a URL was called
}

// Test tries a connection: its secrets can be opened, with OAuth a new token is to
// be had, and, with a URL, a GET of it is not refused.
func (c *Connections) Test(ctx context.Context, name, address string) (Test, error) {
	v, err := c.Get(ctx, name)
	if err != nil {
		return Test{}, err
	}
	c.forget(name)
	a, err := c.Authorize(ctx, v.ARN, nil)
	var failed *task.Error
	if errors.As(err, &failed) && failed.Cause != nil {
		return Test{Message: *failed.Cause}, nil
	}
	if err != nil {
		return Test{}, err
	}
	if address == "" {
		return Test{OK: true, Message: map[Kind]string{
			Basic: "The secret can be read. Give a URL to see whether it is accepted.", APIKey: "The secret can be read. Give a URL to see whether it is accepted.",
			OAuth: "The authorization server gave a token.",
		}[v.Kind]}, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return Test{}, rest.Invalid("The url must be an address with https://.")
	}
	query := u.Query()
	for _, p := range a.Query {
		query.Set(p.Key, p.Value)
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Test{}, rest.Invalid("The url cannot be called.")
	}
	for _, p := range a.Headers {
		req.Header.Set(p.Key, p.Value)
	}
	answer, err := awscall.Send(c.config.Client, req, 64<<10)
	var long *awscall.Oversize
	switch {
	case errors.As(err, &long):
		return Test{OK: true, Message: "It answered, with much."}, nil
	case err != nil:
		return Test{Message: "It did not answer: " + err.Error()}, nil
	}
	return Test{OK: answer.OK(), Status: answer.Status, Message: "It answered with status " + strconv.Itoa(answer.Status) + " " + http.StatusText(answer.Status) + "."}, nil
}
