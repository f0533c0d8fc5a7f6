package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	sessionKind    = "session"
	credentialKind = "credential" // of a user, by id: how they sign in
	linkKind       = "link"

	idleFor = 12 * time.Hour      // a session that is not used ends
	liveFor = 30 * 24 * time.Hour // and so does one that is
)

// session is a sign-in as it is kept, under the hash of its secret.
type session struct {
	ID        string    `json:"id"` // for people
	User      string    `json:"user"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"` // to five minutes
	Address   string    `json:"address,omitempty"`
	Browser   string    `json:"browser,omitempty"`
	Current   bool      `json:"current,omitempty"` // in lists: the one that asks
}

func (s *session) keys() []string {
	return []string{"user/" + s.User + "/" + s.ID, "ends/" + stamp(s.CreatedAt.Add(liveFor))}
}

func (s *session) ended(now time.Time) bool {
	return now.Sub(s.SeenAt) >= idleFor || now.Sub(s.CreatedAt) >= liveFor
}

// csrfOf is the token that goes with a session's secret: who has the one can make
// the other, and not the other way round.
func csrfOf(secret string) string {
	sum := sha256.Sum256([]byte("csrf " + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// bySession finds who has signed in.
func (a *Auth) bySession(r *http.Request) (*Principal, error) {
	c, err := r.Cookie(SessionCookie)
	if err != nil || len(c.Value) < 20 || len(c.Value) > 100 {
		return nil, unauthorized("Sign in first, or send a key as Authorization: Bearer KEY.")
	}
	over := unauthorized("The session has ended. Sign in again.")
	id := hashOf(c.Value)
	rec, err := a.cfg.Store.Record(r.Context(), sessionKind, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, over
	}
	if err != nil {
		return nil, err
	}
	var s session
	if err := json.Unmarshal(rec.Data, &s); err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	if s.ended(now) {
		return nil, over
	}
	if r.Context().Value(anew{}) == nil && now.Sub(s.SeenAt) > seenEvery {
		a.note(use{kind: sessionKind, id: id, at: now})
	}
	p, err := a.user(r.Context(), s.User)
	if err != nil {
		return nil, err
	}
	p.session, p.csrf = id, csrfOf(c.Value)
	return p, nil
}

// begin makes a session in a transaction and returns its secret.
func (a *Auth) begin(ctx context.Context, tx store.Tx, r *http.Request, user string) (string, error) {
	secret := base64.RawURLEncoding.EncodeToString(random(32))
	now := a.cfg.Now().UTC().Truncate(time.Millisecond)
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	s := session{ID: base64.RawURLEncoding.EncodeToString(random(9)), User: user, CreatedAt: now, SeenAt: now, Address: host, Browser: cut(r.UserAgent(), 200)}
	data, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return secret, tx.SaveRecord(ctx, store.Record{Kind: sessionKind, ID: hashOf(secret), Keys: s.keys(), Data: data})
}

func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "")
}

// setCookies hands a session to a browser; secret "" takes it back.
func (a *Auth) setCookies(w http.ResponseWriter, r *http.Request, secret string) {
	age, csrf := int(liveFor.Seconds()), ""
	if secret == "" {
		age = -1
	} else {
		csrf = csrfOf(secret)
	}
	secure := r.TLS != nil || strings.HasPrefix(a.cfg.PublicURL(), "https://")
	http.SetCookie(w, &http.Cookie{Name: SessionCookie, Value: secret, Path: "/", MaxAge: age, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode})
	http.SetCookie(w, &http.Cookie{Name: CSRFCookie, Value: csrf, Path: "/", MaxAge: age, Secure: secure, SameSite: http.SameSiteStrictMode})
}

// credential is how a user signs in.
type credential struct {
	Hash      string    `json:"hash"` // of the password, see phc
	ChangedAt time.Time `json:"changed_at"`
}

// credentialOf finds it; the zero one is that of a user without a password.
func (a *Auth) credentialOf(ctx context.Context, r control.Records, user string) (c credential, version int64, err error) {
	rec, err := r.Record(ctx, credentialKind, user)
	if errors.Is(err, store.ErrNotFound) {
		return c, 0, nil
	}
	if err != nil {
		return c, 0, err
	}
	return c, rec.Version, json.Unmarshal(rec.Data, &c)
}

// setPassword keeps the hash of a password in a transaction.
func (a *Auth) setPassword(ctx context.Context, tx store.Tx, user, hash string) error {
	_, version, err := a.credentialOf(ctx, tx, user)
	if err != nil {
		return err
	}
	data, err := json.Marshal(credential{Hash: hash, ChangedAt: a.cfg.Now().UTC()})
	if err != nil {
		return err
	}
	return tx.SaveRecord(ctx, store.Record{Kind: credentialKind, ID: user, Version: version, Keys: []string{"all/" + user}, Data: data})
}

// endSessions ends a user's sessions but one, in a transaction.
func (a *Auth) endSessions(ctx context.Context, tx store.Tx, user, but string) error {
	found, err := tx.Records(ctx, store.Prefix(sessionKind, "user/"+user+"/", 100_000))
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.ID == but {
			continue
		}
		if err := tx.DeleteRecord(ctx, sessionKind, f.ID); err != nil {
			return err
		}
	}
	return nil
}

// checkPassword finds the user of a name and password. It says the same, and
// takes the same time, whichever of the two is wrong.
func (a *Auth) checkPassword(r *http.Request, name, password string) (*Principal, error) {
	ctx := r.Context()
	key := tryKey(name, r.RemoteAddr)
	if wait := a.tries.begin(key, a.cfg.Now()); wait > 0 {
		return nil, &tooMany{after: wait}
	}
	if len(password) > longest {
		password = password[:longest]
	}
	var u *control.Person
	var c credential
	found, err := a.cfg.Board.User(ctx, a.system(), name)
	switch {
	case err == nil && !found.Removed && found.Name == name:
		u = found
		if c, _, err = a.credentialOf(ctx, a.cfg.Store, u.ID); err != nil {
			return nil, err
		}
	case err != nil && !control.Is(err, control.NotFound):
		return nil, err
	}
	ok, cheaper, err := a.hasher.matches(ctx, password, c.Hash)
	if err != nil {
		return nil, err
	}
	if !ok || u == nil {
		if u != nil {
			err = a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
				return a.audit(ctx, tx, control.System, "sign_in_failed", map[string]any{"user": u.ID, "address": r.RemoteAddr})
			})
		}
		return nil, cmpErr(err, refuse(http.StatusUnauthorized, "wrong_password", "The name or the password is wrong."))
	}
	a.tries.succeeded(key)
	if cheaper {
		hash, err := a.hasher.hash(ctx, password)
		if err == nil {
			err = a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error { return a.setPassword(ctx, tx, u.ID, hash) })
		}
		if err != nil {
			a.cfg.Log.Warn("a password could not be hashed anew", "error", err)
		}
	}
	return &Principal{Kind: User, ID: u.ID, Name: u.Name, Role: u.Role}, nil
}

// signIn begins a session for who knows a password.
func (a *Auth) signIn(r *http.Request) (any, error) {
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	p, err := a.checkPassword(r, in.Name, in.Password)
	var many *tooMany
	if errors.As(err, &many) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			many.answer(w)
			rest.Fail(w, refuse(http.StatusTooManyRequests, "too_many_tries", "Too many sign-ins have failed. Wait a while before you try again."))
		}), nil
	}
	if err != nil {
		return nil, err
	}
	var secret string
	err = a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		if secret, err = a.begin(ctx, tx, r, p.ID); err != nil {
			return err
		}
		return a.audit(ctx, tx, p.Party(), "sign_in", map[string]any{"address": r.RemoteAddr})
	})
	if err != nil {
		return nil, err
	}
	return a.welcome(r, p, secret)
}

// welcome answers with a new session.
func (a *Auth) welcome(r *http.Request, p *Principal, secret string) (any, error) {
	p.csrf = csrfOf(secret)
	v, err := a.describe(r.Context(), p)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.setCookies(w, r, secret)
		rest.Write(w, http.StatusOK, v)
	}), nil
}

// sessionView is the answer to GET /api/v1/session.
type sessionView struct {
	User   *userView  `json:"user,omitempty"`
	Agent  *agentView `json:"agent,omitempty"`
	Key    string     `json:"service_key,omitempty"` // the id of the service key that asks
	Roles  roles      `json:"roles"`
	Rights []Right    `json:"rights"` // in the whole workspace
	CSRF   string     `json:"csrf,omitempty"`
	Dev    bool       `json:"dev"`
}

type agentView struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
}

type roles struct {
	Workspace control.Role            `json:"workspace,omitempty"`
	Projects  map[string]control.Role `json:"projects,omitempty"` // by key, where they say more
}

// showSession says who calls, or to nobody whether there is anybody yet: details
// has setup then, and a page can say that the first owner has a link.
func (a *Auth) showSession(r *http.Request) (any, error) {
	p, err := a.Identify(r)
	var known *rest.Error
	if errors.As(err, &known) && known.Status == http.StatusUnauthorized && r.Header.Get("Authorization") == "" {
		there, err := a.anybody(r.Context())
		if err != nil {
			return nil, err
		}
		refused := *known
		refused.Details = map[string]any{"setup": !there}
		return nil, &refused
	}
	if err != nil {
		return nil, err
	}
	return a.describe(r.Context(), p)
}

// describe says who a principal is.
func (a *Auth) describe(ctx context.Context, p *Principal) (*sessionView, error) {
	v := &sessionView{Rights: []Right{}, CSRF: p.csrf, Dev: !a.cfg.SignIn}
	switch p.Kind {
	case Agent:
		v.Agent = &agentView{p.ID, p.Name}
		return v, nil
	case Service:
		v.Key, v.Rights = p.ID, append(v.Rights, p.Scopes...)
		return v, nil
	}
	u, err := a.cfg.Board.User(ctx, a.system(), p.Name)
	if err != nil {
		return nil, err
	}
	v.User = viewOf(u)
	if p.Local && u.Email == "" {
		v.User.Email = "dev@localhost"
	}
	v.Rights = append(v.Rights, of[p.Role]...)
	v.Roles = roles{Workspace: p.Role, Projects: map[string]control.Role{}}
	projects, err := a.projects(ctx)
	if err != nil {
		return nil, err
	}
	for _, project := range projects {
		if project.Owner == p.Party() {
			v.Roles.Projects[project.Key] = control.Owner
		} else if role := project.Members[p.ID]; role != "" {
			v.Roles.Projects[project.Key] = role
		}
	}
	return v, nil
}

// projects lists all of the workspace.
func (a *Auth) projects(ctx context.Context) (all []*control.Project, err error) {
	page := control.Page{Limit: 200}
	for {
		some, next, err := a.cfg.Board.Projects(ctx, a.system(), page)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if page.Cursor = next; next == "" {
			return all, nil
		}
	}
}

// signOut ends the session that asks.
func (a *Auth) signOut(r *http.Request, p *Principal) (any, error) {
	if p.session != "" {
		err := a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
			if err := tx.DeleteRecord(ctx, sessionKind, p.session); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return a.audit(ctx, tx, p.Party(), "sign_out", nil)
		})
		if err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.setCookies(w, r, "")
		w.WriteHeader(http.StatusNoContent)
	}), nil
}

// sessions lists the caller's sessions.
func (a *Auth) sessions(r *http.Request, p *Principal) (any, error) {
	found, err := a.cfg.Store.Records(r.Context(), store.Prefix(sessionKind, "user/"+p.ID+"/", 10_000))
	if err != nil {
		return nil, err
	}
	list := []session{}
	for _, f := range found {
		var s session
		if err := json.Unmarshal(f.Data, &s); err != nil {
			return nil, err
		}
		if s.Current = f.ID == p.session; !s.ended(a.cfg.Now()) {
			list = append(list, s)
		}
	}
	return map[string]any{"sessions": list}, nil
}

// endSession ends one of the caller's sessions.
func (a *Auth) endSession(r *http.Request, p *Principal) (any, error) {
	at := "user/" + p.ID + "/" + r.PathValue("session")
	return nil, a.cfg.Write.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		found, err := tx.Records(ctx, store.Prefix(sessionKind, at, 2))
		if err != nil {
			return err
		}
		if len(found) == 0 || found[0].Key != at {
			return rest.NotFound("You have no such session.")
		}
		if err := tx.DeleteRecord(ctx, sessionKind, found[0].ID); err != nil {
			return err
		}
		return a.audit(ctx, tx, p.Party(), "session_ended", nil)
	})
}
