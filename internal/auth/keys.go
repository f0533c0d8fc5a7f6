package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// KeyKind is a kind of key.
type KeyKind struct {
	record string // the kind of the store's records
	prefix string // of the key itself; "" for access keys
	what   string // for people
}

// The kinds of keys.
var (
	AgentKey   = KeyKind{"agent_key", "lsa_", "agent key"}
	UserToken  = KeyKind{"user_token", "lsu_", "token"}
	ServiceKey = KeyKind{"service_key", "lss_", "service key"}
	AccessKey  = KeyKind{"access_key", "", "access key"}
)

// Key is what is said of a key.
type Key struct {
	ID        string        `json:"id"` // the beginning of the key; of an access key its AccessKeyId
	Agent     string        `json:"agent,omitempty"`
	User      string        `json:"user,omitempty"` // whose it is, by id
	Name      string        `json:"name,omitempty"` // what it is for
	Scopes    []Right       `json:"scopes,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy control.Party `json:"created_by,omitempty"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
	LastUsed  time.Time     `json:"last_used,omitzero"` // to the hour
}

// NewKey is a key with its secret, which is never shown again.
type NewKey struct {
	Key
	Secret string `json:"key,omitempty"`               // what is sent as Authorization: Bearer
	Access string `json:"secret_access_key,omitempty"` // of an access key
}

// keyRecord is a key as it is kept.
type keyRecord struct {
	Key
	Sealed []byte `json:"sealed,omitempty"` // the secret of an access key
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// owner is the beginning of the keys that records of one owner are found under.
func (k *Key) owner() string {
	switch {
	case k.Agent != "":
		return "agent/" + k.Agent + "/"
	case k.User != "":
		return "user/" + k.User + "/"
	}
	return "service/"
}

// MakeKey makes a key for a caller who may. Of k the owner, the name, the scopes
// and the end are taken.
func (a *Auth) MakeKey(ctx context.Context, by control.Party, kind KeyKind, k Key) (*NewKey, error) {
	now := a.cfg.Now().UTC().Truncate(time.Millisecond)
	if len(k.Name) > 100 || strings.ContainsAny(k.Name, "\r\n") {
		return nil, rest.Invalid("A key's name is one line of at most 100 bytes.")
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		return nil, rest.Invalid("expires_at is in the past.")
	}
	k.CreatedAt, k.CreatedBy, k.LastUsed = now, by, time.Time{}
	made := &NewKey{}
	rec := keyRecord{}
	id := ""
	if kind == AccessKey {
		k.ID = "AKLK" + base32.StdEncoding.EncodeToString(random(10))
		made.Access = base64.StdEncoding.EncodeToString(random(30))
		var err error
		if rec.Sealed, err = a.cfg.Key.Seal("access-key/"+k.ID, []byte(made.Access)); err != nil {
			return nil, err
		}
		id = k.ID
	} else {
		made.Secret = kind.prefix + base64.RawURLEncoding.EncodeToString(random(24))
		k.ID = made.Secret[:len(kind.prefix)+6]
		id = hashOf(made.Secret)
	}
	made.Key, rec.Key = k, k
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	return made, a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		there, err := tx.Records(ctx, store.Prefix(kind.record, k.owner(), mostKeys))
		if err != nil {
			return err
		}
		if len(there) == mostKeys {
			return rest.Conflict("There are %d keys of that kind already: revoke some.", mostKeys)
		}
		keys := []string{k.owner() + k.ID}
		if kind != AgentKey {
			keys = append(keys, "all/"+k.ID)
		}
		if err := tx.SaveRecord(ctx, store.Record{Kind: kind.record, ID: id, Keys: keys, Data: data}); err != nil {
			return err
		}
		return a.audit(ctx, tx, by, "key.created", k.told(kind))
	})
}

const mostKeys = 1000 // of one owner and kind

// told is what the audit log has of a key.
func (k *Key) told(kind KeyKind) map[string]any {
	m := map[string]any{"kind": kind.what, "key": k.ID}
	for name, v := range map[string]string{"agent": k.Agent, "user": k.User, "name": k.Name} {
		if v != "" {
			m[name] = v
		}
	}
	if len(k.Scopes) > 0 {
		m["scopes"] = k.Scopes
	}
	return m
}

// Keys lists the keys of a kind: those of the owner that k names, or with all,
// everybody's.
func (a *Auth) Keys(ctx context.Context, kind KeyKind, k Key, all bool) ([]Key, error) {
	prefix := k.owner()
	if all {
		prefix = "all/"
	}
	found, err := a.cfg.Store.Records(ctx, store.Prefix(kind.record, prefix, 10*mostKeys))
	if err != nil {
		return nil, err
	}
	list := make([]Key, len(found))
	for i, f := range found {
		var rec keyRecord
		if err := json.Unmarshal(f.Data, &rec); err != nil {
			return nil, err
		}
		list[i] = rec.Key
	}
	slices.SortFunc(list, func(x, y Key) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return list, nil
}

// Revoke ends a key: the next call with it is refused. Without all it must be the
// owner's that k names.
func (a *Auth) Revoke(ctx context.Context, by control.Party, kind KeyKind, k Key, all bool) error {
	if k.ID == "" {
		return rest.NotFound("There is no such %s.", kind.what)
	}
	at := k.owner() + k.ID
	if all {
		at = "all/" + k.ID
	}
	return a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		found, err := tx.Records(ctx, store.Prefix(kind.record, at, 2))
		if err != nil {
			return err
		}
		if len(found) == 0 || found[0].Key != at {
			return rest.NotFound("There is no %s %q.", kind.what, k.ID)
		}
		var rec keyRecord
		if err := json.Unmarshal(found[0].Data, &rec); err != nil {
			return err
		}
		if err := tx.DeleteRecord(ctx, kind.record, found[0].ID); err != nil {
			return err
		}
		return a.audit(ctx, tx, by, "key.revoked", rec.told(kind))
	})
}

// byKey finds the principal of a bearer key.
func (a *Auth) byKey(ctx context.Context, key string) (*Principal, error) {
	wrong := unauthorized("There is no such key. lockstep agent key makes one.")
	if a.cfg.SignIn {
		wrong = unauthorized("There is no such key, or it has been revoked or has expired.")
	}
	var kind KeyKind
	for _, k := range []KeyKind{AgentKey, UserToken, ServiceKey} {
		if strings.HasPrefix(key, k.prefix) {
			kind = k
		}
	}
	if kind == (KeyKind{}) || len(key) > 200 {
		return nil, wrong
	}
	rec, err := a.key(ctx, kind, hashOf(key))
	if err != nil || rec == nil {
		return nil, cmpErr(err, wrong)
	}
	return a.principalOf(ctx, kind, rec, wrong)
}

// key finds a kept key that has not expired, nil if there is none.
func (a *Auth) key(ctx context.Context, kind KeyKind, id string) (*keyRecord, error) {
	r, err := a.cfg.Store.Record(ctx, kind.record, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec := &keyRecord{}
	if err := json.Unmarshal(r.Data, rec); err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	if !rec.ExpiresAt.IsZero() && !now.Before(rec.ExpiresAt) {
		return nil, nil
	}
	if now.Sub(rec.LastUsed) > useEvery {
		a.note(use{kind: kind.record, id: id, at: now})
	}
	return rec, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// principalOf is whom a key speaks for.
func (a *Auth) principalOf(ctx context.Context, kind KeyKind, k *keyRecord, wrong error) (*Principal, error) {
	switch {
	case k.Agent != "":
		agent, err := a.cfg.Board.Agent(ctx, a.system(), k.Agent)
		if control.Is(err, control.NotFound) {
			return nil, wrong
		}
		if err != nil {
			return nil, err
		}
		return agentPrincipal(agent)
	case k.User != "":
		return a.user(ctx, k.User)
	case kind == ServiceKey:
		return &Principal{Kind: Service, ID: k.ID, Name: k.Name, Scopes: k.Scopes}, nil
	}
	return nil, wrong
}

// audit adds to the audit log, which is a part of the feed that only owners
// read.
func (a *Auth) audit(ctx context.Context, tx store.Tx, by control.Party, kind string, data map[string]any) error {
	e := control.Event{At: a.cfg.Now().UTC().Truncate(time.Millisecond), Type: "audit." + kind, By: by, Data: data}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.AddEvent(ctx, store.Event{At: e.At.UnixMilli(), Type: e.Type, Topics: []string{control.AuditTopic}, Data: text})
	return err
}

// use is that a key or session has been used.
type use struct {
	kind, id string
	at       time.Time
}

const (
	useEvery  = time.Hour       // how often the use of a key is noted
	seenEvery = 5 * time.Minute // and that of a session
)

// note passes a use on to Run, unless that has just been done or Run has much to
// do.
func (a *Auth) note(u use) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u.at.Sub(a.used[u.id]) < seenEvery {
		return
	}
	if len(a.used) > 10_000 {
		clear(a.used)
	}
	select {
	case a.uses <- u:
		a.used[u.id] = u.at
	default:
	}
}

// Run notes when keys and sessions were last used and forgets those that have
// ended, until ctx ends.
func (a *Auth) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case u := <-a.uses:
			err = a.keepUse(ctx, u)
		case <-tick.C:
			err = a.forget(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.cfg.Log.Error("the books of sign-in could not be kept", "error", err)
		}
	}
}

func (a *Auth) keepUse(ctx context.Context, u use) error {
	return a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		r, err := tx.Record(ctx, u.kind, u.id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var to any
		if u.kind == sessionKind {
			s := &session{}
			err, to = json.Unmarshal(r.Data, s), s
			s.SeenAt = u.at.UTC()
		} else {
			k := &keyRecord{}
			err, to = json.Unmarshal(r.Data, k), k
			k.LastUsed = u.at.UTC().Truncate(useEvery)
		}
		if err != nil {
			return err
		}
		if r.Data, err = json.Marshal(to); err != nil {
			return err
		}
		keys, err := a.indexOf(u.kind, to)
		if err != nil {
			return err
		}
		r.Keys = keys
		return tx.SaveRecord(ctx, r)
	})
}

// indexOf is under which keys a kept record is found.
func (a *Auth) indexOf(kind string, v any) ([]string, error) {
	switch v := v.(type) {
	case *session:
		return v.keys(), nil
	case *keyRecord:
		keys := []string{v.owner() + v.ID}
		if kind != AgentKey.record {
			keys = append(keys, "all/"+v.ID)
		}
		return keys, nil
	}
	return nil, errors.New("auth: no such record")
}

// forget deletes sessions and links that have ended.
func (a *Auth) forget(ctx context.Context) error {
	now := a.cfg.Now()
	for _, kind := range []string{sessionKind, linkKind} {
		found, err := a.cfg.Store.Records(ctx, store.RecordQuery{Kind: kind, From: "ends/", To: "ends/" + stamp(now), Limit: 1000})
		if err != nil || len(found) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		err = a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			for _, f := range found {
				if err := tx.DeleteRecord(ctx, kind, f.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stamp writes a time so that texts sort as times do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
