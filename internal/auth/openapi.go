package auth

import (
	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/openapi"
)

// Table is what Register adds, for the OpenAPI document.
func Table() []openapi.Route {
	type role struct {
		Role control.Role `json:"role"`
	}
	type passwords struct {
		Old string `json:"old,omitempty"`
		New string `json:"new"`
	}
	type signIn struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	something := openapi.Object{}
	all := []openapi.Route{
		{Pattern: "POST /api/v1/session", Summary: "Sign in", In: signIn{}, Out: something},
		{Pattern: "GET /api/v1/session", Summary: "Show who is signed in, and what they may do", Out: something},
		{Pattern: "DELETE /api/v1/session", Summary: "Sign out"},
		{Pattern: "POST /api/v1/bootstrap", Summary: "Use a one-time link", In: struct {
			Token    string `json:"token"`
			Name     string `json:"name,omitempty"`
			Display  string `json:"display,omitempty"`
			Password string `json:"password,omitempty"`
		}{}, Out: something},
		{Pattern: "GET /api/v1/sessions", Summary: "List one's own sessions", Out: openapi.Object{"sessions": []openapi.Object{}}},
		{Pattern: "DELETE /api/v1/sessions/{session}", Summary: "End a session"},
		{Pattern: "POST /api/v1/users", Summary: "Add a user", In: struct {
			Name    string       `json:"name"`
			Display string       `json:"display,omitempty"`
			Email   string       `json:"email,omitempty"`
			Role    control.Role `json:"role,omitempty"`
		}{}, Out: something},
		{Pattern: "GET /api/v1/users/{name}", Summary: "Show a user", Out: userView{}},
		{Pattern: "PATCH /api/v1/users/{name}", Summary: "Change a user", In: struct {
			Display *string       `json:"display,omitempty"`
			Email   *string       `json:"email,omitempty"`
			Role    *control.Role `json:"role,omitempty"`
		}{}, Out: userView{}},
		{Pattern: "DELETE /api/v1/users/{name}", Summary: "Remove a user"},
		{Pattern: "POST /api/v1/users/{name}/password", Summary: "Change one's password", In: passwords{}},
		{Pattern: "POST /api/v1/users/{name}/reset", Summary: "Make a link by which a user sets a password", Out: something},
		{Pattern: "GET /api/v1/projects/{project}/members", Summary: "List the members of a project", Out: openapi.Object{"members": []openapi.Object{}}},
		{Pattern: "PUT /api/v1/projects/{project}/members/{user}", Summary: "Give a user a role in a project", In: role{}},
		{Pattern: "DELETE /api/v1/projects/{project}/members/{user}", Summary: "Take a user out of a project"},
		{Pattern: "GET /api/v1/audit", Summary: "List what was done with users, keys and sessions", Out: something},
	}
	for path, name := range map[string]string{"tokens": "one's tokens", "access-keys": "one's AWS access keys", "service-keys": "service keys"} {
		all = append(all,
			openapi.Route{Pattern: "GET /api/v1/" + path, Summary: "List " + name + ", without their secrets", Out: something},
			openapi.Route{Pattern: "POST /api/v1/" + path, Summary: "Add to " + name + "; the secret is shown this once", InType: "application/json", Out: something},
			openapi.Route{Pattern: "DELETE /api/v1/" + path + "/{key}", Summary: "End one of " + name})
	}
	return all
}
