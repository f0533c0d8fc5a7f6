package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// link is a one-time link: who has it may set a password once. It is kept under
// the hash of its token.
type link struct {
	For    string    `json:"for"`            // owner, invite or reset
	User   string    `json:"user,omitempty"` // by id; of an owner's link nobody yet
	EndsAt time.Time `json:"ends_at"`
}

// What links are for, and how long they last.
const (
	forOwner  = "owner"  // becomes the owner of the workspace, under a name of choice
	forInvite = "invite" // a new user's first password
	forReset  = "reset"  // another one

	ownerFor  = time.Hour
	resetFor  = time.Hour
	inviteFor = 7 * 24 * time.Hour
)

// Link is a link as it is handed out, once.
type Link struct {
	For    string    `json:"for"`
	URL    string    `json:"url"`
	EndsAt time.Time `json:"ends_at"`
}

// makeLink makes a link in a transaction. A user's earlier links end, and with a
// new owner's link all earlier ones of that kind.
func (a *Auth) makeLink(ctx context.Context, tx store.Tx, l link) (*Link, error) {
	of := "of/" + l.For
	if l.User != "" {
		of = "of/user/" + l.User
	}
	earlier, err := tx.Records(ctx, store.Prefix(linkKind, of, 1000))
	if err != nil {
		return nil, err
	}
	for _, f := range earlier {
		if f.Key == of {
			if err := tx.DeleteRecord(ctx, linkKind, f.ID); err != nil {
				return nil, err
			}
		}
	}
	token := base64.RawURLEncoding.EncodeToString(random(24))
	l.EndsAt = l.EndsAt.UTC().Truncate(time.Second)
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	err = tx.SaveRecord(ctx, store.Record{Kind: linkKind, ID: hashOf(token), Keys: []string{of, "ends/" + stamp(l.EndsAt)}, Data: data})
	return &Link{For: l.For, URL: a.cfg.PublicURL() + "/welcome?token=" + token, EndsAt: l.EndsAt}, err
}

// OwnerLink makes a link by which somebody becomes an owner of the workspace:
// with always, or else only while no user can sign in. It returns nil when there
// is nothing to do.
func (a *Auth) OwnerLink(ctx context.Context, always bool) (*Link, error) {
	if !always {
		any, err := a.anybody(ctx)
		if err != nil || any {
			return nil, err
		}
	}
	var l *Link
	err := a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		l, err = a.makeLink(ctx, tx, link{For: forOwner, EndsAt: a.cfg.Now().Add(ownerFor)})
		if err != nil {
			return err
		}
		return a.audit(ctx, tx, control.System, "link.created", map[string]any{"for": forOwner})
	})
	return l, err
}

// anybody reports whether somebody can sign in.
func (a *Auth) anybody(ctx context.Context) (bool, error) {
	found, err := a.cfg.Store.Records(ctx, store.Prefix(credentialKind, "all/", 1))
	return len(found) > 0, err
}

// bootstrap sets a password by a link's token and begins a session. Without a
// password it only says what the link is for.
func (a *Auth) bootstrap(r *http.Request) (any, error) {
	var in struct {
		Token    string `json:"token"`
		Name     string `json:"name"`
		Display  string `json:"display"`
		Password string `json:"password"`
	}
	if err := rest.Read(r, &in); err != nil {
		return nil, err
	}
	ctx := r.Context()
	wrong := refuse(http.StatusGone, "link_ended", "This link has been used or has ended. Ask an owner for another one, or start the server with --new-owner-link.")
	l, _, err := a.link(ctx, a.cfg.Store, in.Token)
	if err != nil || l == nil {
		return nil, cmpErr(err, wrong)
	}
	if l.User != "" {
		u, err := a.user(ctx, l.User)
		if err != nil {
			return nil, err
		}
		in.Name = u.Name
	}
	if in.Password == "" {
		return map[string]any{"for": l.For, "name": in.Name, "ends_at": l.EndsAt}, nil
	}
	if in.Name == "" {
		return nil, rest.Invalid("Choose a name to sign in with, such as ada.")
	}
	if err := goodPassword(in.Name, in.Password); err != nil {
		return nil, err
	}
	hash, err := a.hasher.hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var p *Principal
	var secret string
	err = a.cfg.Write.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		l, id, err := a.link(ctx, tx, in.Token)
		if err != nil || l == nil {
			return cmpErr(err, wrong)
		}
		if err := tx.DeleteRecord(ctx, linkKind, id); err != nil {
			return err
		}
		board := a.cfg.Board.In(tx)
		u, err := a.linked(ctx, tx, board, l, in.Name, in.Display)
		if err != nil {
			return err
		}
		if err := a.setPassword(ctx, tx, u.ID, hash); err != nil {
			return err
		}
		if err := a.endSessions(ctx, tx, u.ID, ""); err != nil {
			return err
		}
		p = &Principal{Kind: User, ID: u.ID, Name: u.Name, Role: u.Role}
		if secret, err = a.begin(ctx, tx, r, u.ID); err != nil {
			return err
		}
		return a.audit(ctx, tx, p.Party(), "link.used", map[string]any{"for": l.For, "address": r.RemoteAddr})
	})
	if err != nil {
		return nil, err
	}
	return a.welcome(r, p, secret)
}

// linked is whom a link makes a user of. An owner's link takes over the user
// that a server without sign-in has made, if nobody has done so; it may also give
// an owner who has lost the password another one.
func (a *Auth) linked(ctx context.Context, tx store.Tx, board *control.Board, l *link, name, display string) (*control.Person, error) {
	c := a.system()
	if l.User != "" {
		u, err := board.User(ctx, c, "user:"+l.User)
		if err == nil && u.Removed {
			err = unauthorized("The user is not there any more.")
		}
		return u, err
	}
	u, err := board.User(ctx, c, name)
	if control.Is(err, control.NotFound) {
		if u, err = board.User(ctx, c, LocalUser); err == nil {
			if kept, _, err := a.credentialOf(ctx, tx, u.ID); err != nil {
				return nil, err
			} else if kept == (credential{}) && !u.Removed {
				return board.UpdateUser(ctx, c, u.ID, control.UpdateUser{Name: &name, Display: &display})
			}
		} else if !control.Is(err, control.NotFound) {
			return nil, err
		}
		return board.CreateUser(ctx, c, control.NewUser{Name: name, Display: display, Role: control.Owner})
	}
	if err != nil {
		return nil, err
	}
	if u.Removed {
		return nil, rest.Conflict("@%s has been removed: choose another name.", name)
	}
	if u.Role != control.Owner {
		if err := board.SetRole(ctx, c, u.ID, "", control.Owner); err != nil {
			return nil, err
		}
		u.Role = control.Owner
	}
	return u, nil
}

// LocalUser is the name of the user that a server makes before anybody has
// signed in.
const LocalUser = "local"

// link finds a link that has not ended, nil if there is none.
func (a *Auth) link(ctx context.Context, from control.Records, token string) (*link, string, error) {
	if len(token) < 20 || len(token) > 100 {
		return nil, "", nil
	}
	id := hashOf(token)
	rec, err := from.Record(ctx, linkKind, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	l := &link{}
	if err := json.Unmarshal(rec.Data, l); err != nil {
		return nil, "", err
	}
	if !a.cfg.Now().Before(l.EndsAt) {
		return nil, "", nil
	}
	return l, id, nil
}
