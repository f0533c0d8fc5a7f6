package auth

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// userView is what is said of a user.
type userView struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Display string       `json:"display,omitempty"`
	Email   string       `json:"email,omitempty"`
	Role    control.Role `json:"role"`
	Version int64        `json:"version"`
	Removed bool         `json:"removed,omitempty"`
	SignsIn *bool        `json:"signs_in,omitempty"` // has a password; owners see it
}

func viewOf(u *control.Person) *userView {
	return &userView{ID: u.ID, Name: u.Name, Display: u.Display, Email: u.Email, Role: u.Role, Version: u.Version, Removed: u.Removed}
}

// Register adds the routes of sign-in, users, keys and members to mux.
// docs/serve.md lists them. The Gate has asked who may come in.
func (a *Auth) Register(mux *http.ServeMux) {
	open := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, rest.Local(rest.Handle(func(r *http.Request) (any, error) {
			v, err := do(r)
			return v, a.said(r, err)
		})))
	}
	known := func(pattern string, do func(r *http.Request, p *Principal) (any, error)) {
		open(pattern, func(r *http.Request) (any, error) {
			p, err := a.Identify(r)
			if err != nil {
				return nil, err
			}
			return do(r, p)
		})
	}
	open("POST /api/v1/session", a.signIn)
	open("POST /api/v1/bootstrap", a.bootstrap)
	open("GET /api/v1/session", a.showSession)
	known("DELETE /api/v1/session", a.signOut)
	known("GET /api/v1/sessions", a.sessions)
	known("DELETE /api/v1/sessions/{session}", a.endSession)

	known("POST /api/v1/users", a.newUser)
	known("GET /api/v1/users/{name}", a.showUser)
	known("PATCH /api/v1/users/{name}", a.changeUser)
	known("DELETE /api/v1/users/{name}", a.removeUser)
	known("POST /api/v1/users/{name}/password", a.changePassword)
	known("POST /api/v1/users/{name}/reset", a.resetUser)

	known("GET /api/v1/projects/{project}/members", a.members)
	known("PUT /api/v1/projects/{project}/members/{user}", a.setMember)
	known("DELETE /api/v1/projects/{project}/members/{user}", a.dropMember)

	for path, kind := range map[string]KeyKind{"tokens": UserToken, "access-keys": AccessKey, "service-keys": ServiceKey} {
		known("GET /api/v1/"+path, func(r *http.Request, p *Principal) (any, error) { return a.listKeys(r, p, path, kind) })
		known("POST /api/v1/"+path, func(r *http.Request, p *Principal) (any, error) { return a.newKey(r, p, kind) })
		known("DELETE /api/v1/"+path+"/{key}", func(r *http.Request, p *Principal) (any, error) { return a.revokeKey(r, p, kind) })
	}
	known("GET /api/v1/audit", a.auditLog)
}

// said turns the board's refusals into answers, and logs what is none.
func (a *Auth) said(r *http.Request, err error) error {
	var refused *control.Error
	var known *rest.Error
	switch {
	case err == nil, r.Context().Err() != nil, errors.As(err, &known), errors.Is(err, store.ErrNotFound):
		return err
	case errors.As(err, &refused):
		return &rest.Error{Status: refused.Code.Status(), Code: string(refused.Code), Message: rest.Sentence(refused.Message), Details: refused.Details}
	}
	a.cfg.Log.Error("a call of sign-in failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return err
}

func (a *Auth) call(p *Principal) control.Call { return p.Call(a.cfg.Workspace, a.cfg.Now()) }

// owner refuses everybody but owners.
func owner(p *Principal) error {
	if p.May(Own) {
		return nil
	}
	return forbidden("That takes the role owner.")
}

// person refuses whoever is no user.
func person(p *Principal) error {
	if p.Kind == User {
		return nil
	}
	return forbidden("That is for people; a key of an agent or a service does not do.")
}

// userFor is a user as the caller may see them.
func (a *Auth) userFor(r *http.Request, p *Principal, u *control.Person) (*userView, error) {
	v := viewOf(u)
	switch {
	case p.May(Own):
		c, _, err := a.credentialOf(r.Context(), a.cfg.Store, u.ID)
		if err != nil {
			return nil, err
		}
		can := c.Hash != ""
		v.SignsIn = &can
	case p.ID != u.ID:
		v.Email = ""
	}
	return v, nil
}

func (a *Auth) showUser(r *http.Request, p *Principal) (any, error) {
	u, err := a.cfg.Board.User(r.Context(), a.call(p), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return a.userFor(r, p, u)
}

func (a *Auth) newUser(r *http.Request, p *Principal) (any, error) {
	if err := cmpErr(person(p), owner(p)); err != nil {
		return nil, err
	}
	var in struct {
		Name    string       `json:"name"`
		Display string       `json:"display"`
		Email   string       `json:"email"`
		Role    control.Role `json:"role"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	if in.Role == "" {
		in.Role = control.Member
	}
	type made struct {
		*userView
		Link *Link `json:"link,omitempty"` // by which the user sets a password
	}
	var out made
	return &out, a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		u, err := a.cfg.Board.In(tx).CreateUser(ctx, a.call(p), control.NewUser(in))
		if err != nil {
			return err
		}
		out.userView = viewOf(u)
		out.Link, err = a.makeLink(ctx, tx, link{For: forInvite, User: u.ID, EndsAt: a.cfg.Now().Add(inviteFor)})
		return err
	})
}

func (a *Auth) changeUser(r *http.Request, p *Principal) (any, error) {
	if err := person(p); err != nil {
		return nil, err
	}
	var in struct {
		control.UpdateUser
		Role *control.Role `json:"role"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	var u *control.Person
	err := a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		board, ref := a.cfg.Board.In(tx), r.PathValue("name")
		if in.Role != nil {
			if err := board.SetRole(ctx, a.call(p), ref, "", *in.Role); err != nil {
				return err
			}
		}
		if in.UpdateUser != (control.UpdateUser{}) || in.Role == nil {
			u, err = board.UpdateUser(ctx, a.call(p), ref, in.UpdateUser)
			return err
		}
		u, err = board.User(ctx, a.call(p), ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.userFor(r, p, u)
}

// removeUser takes a user out, with all keys and sessions.
func (a *Auth) removeUser(r *http.Request, p *Principal) (any, error) {
	if err := person(p); err != nil {
		return nil, err
	}
	return nil, a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		board, ref := a.cfg.Board.In(tx), r.PathValue("name")
		u, err := board.User(ctx, a.call(p), ref)
		if err != nil {
			return err
		}
		if err := board.RemoveUser(ctx, a.call(p), u.ID); err != nil {
			return err
		}
		for _, kind := range []string{sessionKind, UserToken.record, AccessKey.record} {
			found, err := tx.Records(ctx, store.Prefix(kind, "user/"+u.ID+"/", 100_000))
			if err != nil {
				return err
			}
			for _, f := range found {
				if err := tx.DeleteRecord(ctx, kind, f.ID); err != nil {
					return err
				}
			}
		}
		for kind, id := range map[string]string{credentialKind: u.ID} {
			if err := tx.DeleteRecord(ctx, kind, id); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

// changePassword sets one's own password, which takes the old one.
func (a *Auth) changePassword(r *http.Request, p *Principal) (any, error) {
	if err := person(p); err != nil {
		return nil, err
	}
	var in struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	if r.PathValue("name") != p.Name {
		return nil, forbidden("That is for one's own password. An owner makes a link for another's: POST /api/v1/users/NAME/reset.")
	}
	if err := goodPassword(p.Name, in.New); err != nil {
		return nil, err
	}
	_, err := a.checkPassword(r, p.Name, in.Old)
	var many *tooMany
	if errors.As(err, &many) {
		return nil, refuse(http.StatusTooManyRequests, "too_many_tries", "Too many tries have failed. Wait a while before you try again.")
	}
	if err != nil {
		return nil, err
	}
	hash, err := a.hasher.hash(r.Context(), in.New)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := a.setPassword(ctx, tx, p.ID, hash); err != nil {
			return err
		}
		if err := a.endSessions(ctx, tx, p.ID, p.session); err != nil {
			return err
		}
		return a.audit(ctx, tx, p.Party(), "password_changed", nil)
	})
}

// resetUser makes a link by which a user sets another password.
func (a *Auth) resetUser(r *http.Request, p *Principal) (any, error) {
	if err := owner(p); err != nil {
		return nil, err
	}
	u, err := a.cfg.Board.User(r.Context(), a.call(p), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if u.Removed {
		return nil, rest.NotFound("@%s has been removed.", u.Name)
	}
	var l *Link
	err = a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		if l, err = a.makeLink(ctx, tx, link{For: forReset, User: u.ID, EndsAt: a.cfg.Now().Add(resetFor)}); err != nil {
			return err
		}
		return a.audit(ctx, tx, p.Party(), "link.created", map[string]any{"for": forReset, "user": u.ID})
	})
	return l, err
}

func (a *Auth) members(r *http.Request, p *Principal) (any, error) {
	type member struct {
		User string       `json:"user"` // by name
		ID   string       `json:"id"`
		Role control.Role `json:"role"`
	}
	project, err := a.cfg.Board.Project(r.Context(), a.call(p), r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	has := maps.Clone(project.Members)
	if has == nil {
		has = map[string]control.Role{}
	}
	if kind, id := project.Owner.Split(); kind == "user" {
		has[id] = control.Owner
	}
	list := []member{}
	for id, role := range has {
		u, err := a.cfg.Board.User(r.Context(), a.system(), "user:"+id)
		if err != nil {
			return nil, err
		}
		if !u.Removed {
			list = append(list, member{u.Name, u.ID, role})
		}
	}
	slices.SortFunc(list, func(x, y member) int { return strings.Compare(x.User, y.User) })
	return map[string]any{"members": list}, nil
}

func (a *Auth) setMember(r *http.Request, p *Principal) (any, error) {
	if err := person(p); err != nil {
		return nil, err
	}
	var in struct {
		Role control.Role `json:"role"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	if in.Role == "" {
		return nil, rest.Invalid("role is owner, admin, reviewer, member or viewer.")
	}
	return nil, a.cfg.Board.SetRole(r.Context(), a.call(p), r.PathValue("user"), r.PathValue("project"), in.Role)
}

func (a *Auth) dropMember(r *http.Request, p *Principal) (any, error) {
	if err := person(p); err != nil {
		return nil, err
	}
	return nil, a.cfg.Board.SetRole(r.Context(), a.call(p), r.PathValue("user"), r.PathValue("project"), "")
}

// mine is what keys of a kind a caller manages: users their own tokens and access
// keys, owners everybody's, and whoever may manage the service keys.
func mine(p *Principal, kind KeyKind) (k Key, all bool, err error) {
	if err := person(p); err != nil {
		return k, false, err
	}
	if kind == ServiceKey {
		if !p.May(Manage) {
			return k, false, forbidden("That takes the role admin.")
		}
		return k, false, nil
	}
	return Key{User: p.ID}, p.May(Own), nil
}

func (a *Auth) listKeys(r *http.Request, p *Principal, name string, kind KeyKind) (any, error) {
	k, all, err := mine(p, kind)
	if err != nil {
		return nil, err
	}
	list, err := a.Keys(r.Context(), kind, k, all && r.URL.Query().Get("all") == "1")
	if list == nil {
		list = []Key{}
	}
	return map[string]any{map[string]string{"tokens": "tokens", "access-keys": "access_keys", "service-keys": "service_keys"}[name]: list}, err
}

func (a *Auth) newKey(r *http.Request, p *Principal, kind KeyKind) (any, error) {
	k, _, err := mine(p, kind)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name      string    `json:"name"`
		Scopes    []Right   `json:"scopes"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	if kind != ServiceKey && len(in.Scopes) > 0 {
		return nil, rest.Invalid("Only service keys have scopes: this one may what its user may.")
	}
	if kind == ServiceKey && len(in.Scopes) == 0 {
		return nil, rest.Invalid("scopes says what the key may: some of %v.", Scopes)
	}
	for _, s := range in.Scopes {
		if !slices.Contains(Scopes, s) {
			return nil, rest.Invalid("There is no scope %q; there are %v.", s, Scopes)
		}
		if !p.May(s) {
			return nil, forbidden("A key cannot be given the scope " + string(s) + " by who has not that right.")
		}
	}
	slices.Sort(in.Scopes)
	k.Name, k.Scopes, k.ExpiresAt = in.Name, slices.Compact(in.Scopes), in.ExpiresAt
	return a.MakeKey(r.Context(), p.Party(), kind, k)
}

func (a *Auth) revokeKey(r *http.Request, p *Principal, kind KeyKind) (any, error) {
	k, all, err := mine(p, kind)
	if err != nil {
		return nil, err
	}
	k.ID = r.PathValue("key")
	return nil, a.Revoke(r.Context(), p.Party(), kind, k, all)
}

// auditLog lists who signed in, who made which key and who gave whom which role,
// the newest first.
func (a *Auth) auditLog(r *http.Request, p *Principal) (any, error) {
	if err := owner(p); err != nil {
		return nil, err
	}
	q := r.URL.Query()
	limit, before := 100, int64(0)
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, rest.Invalid("limit is a number from 1 to 1000.")
		}
		limit = n
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return nil, rest.Invalid("before is the sequence number of an event.")
		}
		before = n
	}
	kept, err := a.cfg.Store.EventsOf(r.Context(), control.AuditTopic, before, limit)
	if err != nil {
		return nil, err
	}
	list := make([]control.Event, len(kept))
	for i, k := range kept {
		if err := json.Unmarshal(k.Data, &list[i]); err != nil {
			return nil, err
		}
		list[i].Seq = k.Seq
	}
	page := map[string]any{"events": list}
	if len(list) == limit {
		page["before"] = list[limit-1].Seq
	}
	return page, nil
}
