package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/notify"
	"github.com/lockstep-run/lockstep/internal/store"
)

// The channels.
const (
	InApp   = "in_app"
	Email   = "email"
	Webhook = "webhook"
	Slack   = "slack" // an incoming webhook of Slack, or of a chat that takes the same
)

// Channels lists them.
var Channels = []string{InApp, Email, Webhook, Slack}

const kindPreferences = "notification_preferences"

// kept are a person's preferences, with their secrets sealed.
type kept struct {
	Types map[string][]string `json:"types,omitempty"`
	Muted bool                `json:"muted,omitempty"`
	Quiet *notify.Quiet       `json:"quiet_hours,omitempty"`
	Email string              `json:"email,omitempty"`
	Hook  *sealed             `json:"webhook,omitempty"`
	Slack *sealed             `json:"slack,omitempty"`
}

// sealed is where something is posted.
type sealed struct {
	Host   string `json:"host"`
	URL    []byte `json:"url"`
	Secret []byte `json:"secret,omitempty"`
}

// Preferences are what a person is shown of theirs: which channels there are, not
// where they lead to.
type Preferences struct {
	Types  map[string][]string `json:"types"` // channels by type; types that are not in it go to all
	Muted  bool                `json:"muted"` // nothing leaves the server
	Quiet  *notify.Quiet       `json:"quiet_hours,omitempty"`
	Email  *Address            `json:"email,omitempty"`
	Hook   *Address            `json:"webhook,omitempty"`
	Slack  *Address            `json:"slack,omitempty"`
	Offers []string            `json:"channels"` // that types may name
	Kinds  []string            `json:"known_types"`
}

// Address is where a channel leads to, as far as it is shown.
type Address struct {
	Address string `json:"address,omitempty"` // of mail
	Host    string `json:"host,omitempty"`
	Signed  bool   `json:"signed,omitempty"`
}

// NewChannel is a channel as it is set; null takes it away.
type NewChannel struct {
	Address string `json:"address,omitempty"` // of mail
	URL     string `json:"url,omitempty"`
	Secret  string `json:"secret,omitempty"` // signs what is posted
}

// Change says what becomes of preferences; what is absent stays as it is.
type Change struct {
	Types json.RawMessage `json:"types,omitempty"`
	Muted *bool           `json:"muted,omitempty"`
	Quiet json.RawMessage `json:"quiet_hours,omitempty"`
	Email json.RawMessage `json:"email,omitempty"`
	Hook  json.RawMessage `json:"webhook,omitempty"`
	Slack json.RawMessage `json:"slack,omitempty"`
}

// Invalid is an error of the caller's.
type Invalid struct{ error }

func invalid(format string, args ...any) error { return Invalid{fmt.Errorf(format, args...)} }

type reader interface {
	Record(ctx context.Context, kind, id string) (store.Record, error)
}

func preferencesOf(ctx context.Context, r reader, user string) (p kept, version int64, err error) {
	found, err := r.Record(ctx, kindPreferences, user)
	if errors.Is(err, store.ErrNotFound) {
		return p, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(found.Data, &p)
	}
	if err != nil {
		return p, 0, fmt.Errorf("read the preferences of %s: %w", user, err)
	}
	return p, found.Version, nil
}

// has lists the channels that are set.
func (p *kept) has() []string {
	all := []string{InApp}
	for name, set := range map[string]bool{Email: p.Email != "", Webhook: p.Hook != nil, Slack: p.Slack != nil} {
		if set {
			all = append(all, name)
		}
	}
	slices.Sort(all[1:])
	return all
}

// wants lists the channels that a type goes to.
func (p *kept) wants(kind string) []string {
	if chosen, ok := p.Types[kind]; ok {
		return chosen
	}
	return p.has()
}

// outside is what the outbox is to know.
func (p *kept) outside(user string) notify.Preferences {
	return notify.Preferences{User: user, Channels: p.has()[1:], Types: p.Types, Muted: p.Muted, Quiet: p.Quiet}
}

// Preferences are those of a person.
func (n *Notices) Preferences(ctx context.Context, user string) (Preferences, error) {
	p, _, err := preferencesOf(ctx, n.cfg.Store, user)
	return p.shown(), err
}

func (p *kept) shown() Preferences {
	v := Preferences{Types: p.Types, Muted: p.Muted, Quiet: p.Quiet, Offers: p.has(), Kinds: notify.Types}
	if v.Types == nil {
		v.Types = map[string][]string{}
	}
	if p.Email != "" {
		v.Email = &Address{Address: p.Email}
	}
	if p.Hook != nil {
		v.Hook = &Address{Host: p.Hook.Host, Signed: len(p.Hook.Secret) > 0}
	}
	if p.Slack != nil {
		v.Slack = &Address{Host: p.Slack.Host}
	}
	return v
}

// Prefer changes the preferences of a person. An error that is Invalid says what
// is wrong with the change.
func (n *Notices) Prefer(ctx context.Context, user string, in Change) (Preferences, error) {
	var p kept
	err := n.cfg.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		var version int64
		if p, version, err = preferencesOf(ctx, tx, user); err != nil {
			return err
		}
		if err := n.change(user, &p, in); err != nil {
			return err
		}
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return tx.SaveRecord(ctx, store.Record{Kind: kindPreferences, ID: user, Version: version, Keys: []string{"all"}, Data: data})
	})
	return p.shown(), err
}

func (n *Notices) change(user string, p *kept, in Change) error {
	if in.Types != nil {
		p.Types = nil
		if err := json.Unmarshal(in.Types, &p.Types); err != nil {
			return invalid("types is an object of types with lists of channels")
		}
		for kind, channels := range p.Types {
			if !slices.Contains(notify.Types, kind) {
				return invalid("there is no type %.60q; there are %s", kind, strings.Join(notify.Types, ", "))
			}
			for _, c := range channels {
				if !slices.Contains(Channels, c) {
					return invalid("there is no channel %.60q; there are %s", c, strings.Join(Channels, ", "))
				}
			}
		}
	}
	if in.Muted != nil {
		p.Muted = *in.Muted
	}
	if in.Quiet != nil {
		p.Quiet = nil
		if err := json.Unmarshal(in.Quiet, &p.Quiet); err != nil {
			return invalid("quiet_hours is an object with from, to and time_zone, or null")
		}
		if p.Quiet != nil {
			if err := p.Quiet.Check(); err != nil {
				return Invalid{err}
			}
		}
	}
	if err := n.changeMail(p, in.Email); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		in   json.RawMessage
		to   **sealed
	}{{Webhook, in.Hook, &p.Hook}, {Slack, in.Slack, &p.Slack}} {
		if c.in == nil {
			continue
		}
		var set *NewChannel
		if err := json.Unmarshal(c.in, &set); err != nil {
			return invalid("%s is an object with a url, or null", c.name)
		}
		*c.to = nil
		if set == nil {
			continue
		}
		to, err := n.seal("channel/"+user+"/"+c.name, set.URL, set.Secret)
		if err != nil {
			return err
		}
		*c.to = to
	}
	return nil
}

func (n *Notices) changeMail(p *kept, in json.RawMessage) error {
	if in == nil {
		return nil
	}
	var set *NewChannel
	if err := json.Unmarshal(in, &set); err != nil {
		return invalid("email is an object with an address, or null")
	}
	if p.Email = ""; set == nil {
		return nil
	}
	if n.cfg.Mail == nil {
		return invalid("this server sends no mail: its configuration needs notifications.smtp")
	}
	to, err := mail.ParseAddress(set.Address)
	if err != nil || len(set.Address) > 320 {
		return invalid("%.100q is no address of mail", set.Address)
	}
	p.Email = to.Address
	return nil
}

// seal keeps where something is posted.
func (n *Notices) seal(name, address, secret string) (*sealed, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || len(address) > 2000 || len(secret) > 500 {
		return nil, invalid("a url such as https://hooks.example.com/… is needed, of at most 2,000 bytes, and a secret has at most 500")
	}
	if err := n.cfg.Check(u); err != nil {
		return nil, Invalid{err}
	}
	s := &sealed{Host: u.Host}
	if s.URL, err = n.cfg.Key.Seal(name+"/url", []byte(address)); err != nil {
		return nil, err
	}
	if secret != "" {
		s.Secret, err = n.cfg.Key.Seal(name+"/secret", []byte(secret))
	}
	return s, err
}

func (n *Notices) open(name string, s *sealed) (address, secret string, err error) {
	plain, err := n.cfg.Key.Open(name+"/url", s.URL)
	if err != nil {
		return "", "", err
	}
	address = string(plain)
	if len(s.Secret) > 0 {
		plain, err = n.cfg.Key.Open(name+"/secret", s.Secret)
	}
	if err != nil {
		return "", "", err
	}
	if len(s.Secret) > 0 {
		secret = string(plain)
	}
	return address, secret, nil
}

// channel finds where a person's channel leads to.
func (n *Notices) channel(ctx context.Context, user, name string) (notify.Channel, error) {
	p, _, err := preferencesOf(ctx, n.cfg.Store, user)
	if err != nil {
		return nil, err
	}
	switch {
	case name == Email && p.Email != "" && n.cfg.Mail != nil:
		m := *n.cfg.Mail
		m.To = p.Email
		return &m, nil
	case name == Webhook && p.Hook != nil:
		address, secret, err := n.open("channel/"+user+"/"+name, p.Hook)
		return &notify.Webhook{URL: address, Secret: secret, Client: n.cfg.Client}, err
	case name == Slack && p.Slack != nil:
		address, _, err := n.open("channel/"+user+"/"+name, p.Slack)
		return &notify.Slack{URL: address, Client: n.cfg.Client}, err
	}
	return nil, store.ErrNotFound
}

// Test sends a notification to one of a person's channels, at once and once, and
// returns what came of it.
func (n *Notices) Test(ctx context.Context, user, name string) error {
	c, err := n.channel(ctx, user, name)
	if errors.Is(err, store.ErrNotFound) {
		return invalid("the channel %.60q is not set; the others are %s", name, strings.Join(Channels[1:], ", "))
	}
	if err != nil {
		return err
	}
	now := n.cfg.Now()
	d := &notify.Delivery{ID: idOf("test", user, name, now.String()), User: user, Channel: name, Notification: notify.Notification{
		Type: "test", Key: "test", At: now.UTC(), Title: "A test of Lockstep's notifications", Text: "This channel works.", URL: n.cfg.URL() + "/",
	}}
	if err := c.Send(ctx, d, now); err != nil {
		return invalid("it was not delivered: %v", err)
	}
	return nil
}
