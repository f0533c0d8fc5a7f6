// Package connection keeps what authorizes calls to other people's APIs, as
// EventBridge's connections do for HTTP tasks.
//
// A connection's secrets are sealed before they reach the store. They are written
// and never read back: nothing here returns one except to the request that it is
// for. Tokens of OAuth are kept in memory only.
package connection

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	httptask "github.com/lockstep-run/lockstep/internal/task/http"
)

// Kind is how a connection authorizes.
type Kind string

// The kinds are EventBridge's.
const (
	Basic  Kind = "BASIC"
	APIKey Kind = "API_KEY"
	OAuth  Kind = "OAUTH_CLIENT_CREDENTIALS"
)

// Spec is a connection as somebody sets it up. Which fields it needs follows from
// its kind; see Validate.
type Spec struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"type"`
	Description string `json:"description,omitempty"`

	Username string `json:"username,omitempty"` // Basic
	Password string `json:"password,omitempty"` // Basic

	KeyName  string `json:"key_name,omitempty"`  // APIKey: the header
	KeyValue string `json:"key_value,omitempty"` // APIKey

	ClientID     string  `json:"client_id,omitempty"`     // OAuth
	ClientSecret string  `json:"client_secret,omitempty"` // OAuth
	TokenURL     string  `json:"token_url,omitempty"`     // OAuth
	TokenMethod  string  `json:"token_method,omitempty"`  // OAuth: POST, GET or PUT; "": POST
	TokenAuth    string  `json:"token_auth,omitempty"`    // OAuth: where the client's secret goes, "body" or "basic"; "": body
	TokenParams  []Param `json:"token_params,omitempty"`  // OAuth: of requests for tokens

	Params []Param `json:"params,omitempty"` // of each call
}

// Param is a parameter that is added to a request.
type Param struct {
	In     string `json:"in"` // "header", "query" or "body"
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"` // the value is not shown
}

// View is what is shown of a connection.
type View struct {
	ARN       string `json:"arn"`
	From      string `json:"from"` // "api" or "configuration"
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
	Spec             // without its secrets
}

// kept is the data of a setting.
type kept struct {
	ID               string
	Created, Updated int64 // Unix milliseconds
	Public           Spec  // without its secrets
	Sealed           []byte
}

const recordKind = "connection"

// Config says what connections need.
type Config struct {
	Store interface {
		Setting(ctx context.Context, kind, name string) (store.Setting, error)
		Settings(ctx context.Context, kind, afterName string, limit int) ([]store.Setting, error)
	}
	Write    func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Key      *seal.Key
	Scheme   arn.Scheme
	Client   *http.Client // calls for tokens; decides where calls may go
	Declared []Spec       // by the configuration, with their secrets
}

// Connections keeps connections. It is safe for concurrent use.
type Connections struct {
	config   Config
	declared map[string]Spec

	mu     sync.Mutex
	tokens map[string]*tokens // by name and id
}

// New makes Connections. The error names a declared one that is not whole.
func New(c Config) (*Connections, error) {
	all := &Connections{config: c, declared: map[string]Spec{}, tokens: map[string]*tokens{}}
	for _, s := range c.Declared {
		if err := s.Validate(); err != nil {
			return nil, fmt.Errorf("connection %s: %w", s.Name, err)
		}
		all.declared[s.Name] = s
	}
	return all, nil
}

var (
	nameForm   = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`) // EventBridge's
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
)

// Validate says what is wrong with s, nil if it can be kept.
func (s *Spec) Validate() error {
	var need map[string]string
	switch s.Kind {
	case Basic:
		need = map[string]string{"username": s.Username, "password": s.Password}
	case APIKey:
		need = map[string]string{"key_name": s.KeyName, "key_value": s.KeyValue}
	case OAuth:
		need = map[string]string{"client_id": s.ClientID, "client_secret": s.ClientSecret, "token_url": s.TokenURL}
	default:
		return fmt.Errorf("type must be %s, %s or %s", Basic, APIKey, OAuth)
	}
	if !nameForm.MatchString(s.Name) {
		return errors.New("a name has 1 to 64 letters, digits, dots, hyphens and underscores")
	}
	if len(s.Description) > 512 {
		return errors.New("the description has more than 512 bytes")
	}
	for _, field := range []string{"username", "password", "key_name", "key_value", "client_id", "client_secret", "token_url"} {
		switch text, needed := need[field]; {
		case needed && text == "":
			return fmt.Errorf("%s needs %s", s.Kind, field)
		case len(text) > 2048 || strings.ContainsAny(text, "\r\n\x00"):
			return fmt.Errorf("%s is longer than 2048 bytes, or has more than one line", field)
		}
	}
	if s.Kind == APIKey && !headerForm.MatchString(s.KeyName) {
		return errors.New("key_name must be the name of a header")
	}
	if s.Kind == Basic && strings.Contains(s.Username, ":") {
		return errors.New("username must not have a colon")
	}
	if s.Kind == OAuth {
		if err := s.validateToken(); err != nil {
			return err
		}
	}
	return errors.Join(validateParams("params", s.Params), validateParams("token_params", s.TokenParams))
}

func (s *Spec) validateToken() error {
	if u, err := url.Parse(s.TokenURL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("token_url must be an address with https://, without a password")
	}
	if !slices.Contains([]string{"", "POST", "GET", "PUT"}, s.TokenMethod) {
		return errors.New("token_method must be POST, GET or PUT")
	}
	if !slices.Contains([]string{"", "body", "basic"}, s.TokenAuth) {
		return errors.New("token_auth must be body or basic")
	}
	return nil
}

func validateParams(what string, list []Param) error {
	if len(list) > 100 {
		return fmt.Errorf("%s: more than 100", what)
	}
	for _, p := range list {
		switch {
		case p.In != "header" && p.In != "query" && p.In != "body":
			return fmt.Errorf("%s: in must be header, query or body", what)
		case p.Key == "" || len(p.Key) > 512 || len(p.Value) > 512:
			return fmt.Errorf("%s: a key or value is empty or has more than 512 bytes", what)
		case p.In == "header" && (!headerForm.MatchString(p.Key) || strings.ContainsAny(p.Value, "\r\n\x00")):
			return fmt.Errorf("%s: %.60q cannot be a header", what, p.Key)
		}
	}
	return nil
}

// shown is s without its secrets.
func (s Spec) shown() Spec {
	s.Password, s.KeyValue, s.ClientSecret = "", "", ""
	s.Params, s.TokenParams = shownParams(s.Params), shownParams(s.TokenParams)
	return s
}

func shownParams(list []Param) []Param {
	list = slices.Clone(list)
	for i := range list {
		if list[i].Secret {
			list[i].Value = ""
		}
	}
	return list
}

// secrets are the texts of s that nobody is to see.
func (s *Spec) secrets() []string {
	all := []string{s.Password, s.KeyValue, s.ClientSecret}
	if s.Kind == Basic {
		all = append(all, s.basic())
	}
	if s.Kind == OAuth {
		all = append(all, base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(s.ClientID)+":"+url.QueryEscape(s.ClientSecret))))
	}
	for _, p := range slices.Concat(s.Params, s.TokenParams) {
		if p.Secret {
			all = append(all, p.Value)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

func (s *Spec) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(s.Username + ":" + s.Password))
}

// Put keeps s, in the place of a connection of that name if there is one, whose
// ARN then stays. Its secrets may be left out if that one has them.
func (c *Connections) Put(ctx context.Context, s Spec) (View, error) {
	if _, ok := c.declared[s.Name]; ok {
		return View{}, rest.Conflict("Connection %s is declared in the configuration file; change it there.", s.Name)
	}
	now := time.Now().UnixMilli()
	var v View
	err := c.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		k := kept{ID: uuid.NewString(), Created: now}
		old, err := tx.Setting(ctx, recordKind, s.Name)
		if err == nil {
			if err := json.Unmarshal(old.Data, &k); err != nil {
				return err
			}
			c.fill(&s, &k)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := s.Validate(); err != nil {
			return rest.Invalid("The connection cannot be used: %v.", err)
		}
		plain, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if k.Sealed, err = c.config.Key.Seal(sealName(s.Name), plain); err != nil {
			return err
		}
		k.Updated, k.Public = now, s.shown()
		data, err := json.Marshal(k)
		if err != nil {
			return err
		}
		v = c.view(&k)
		return tx.PutSetting(ctx, store.Setting{Kind: recordKind, Name: s.Name, Data: data})
	})
	c.forget(s.Name)
	return v, err
}

func sealName(name string) string { return "connection/" + name }

// fill takes secrets that s leaves out from the connection that it replaces. What
// cannot be opened has to be entered anew, which Validate then asks for.
func (c *Connections) fill(s *Spec, k *kept) {
	old, err := c.open(s.Name, k)
	if err != nil || old.Kind != s.Kind {
		return
	}
	s.Password = cmp.Or(s.Password, old.Password)
	s.KeyValue = cmp.Or(s.KeyValue, old.KeyValue)
	s.ClientSecret = cmp.Or(s.ClientSecret, old.ClientSecret)
}

func (c *Connections) open(name string, k *kept) (Spec, error) {
	var s Spec
	plain, err := c.config.Key.Open(sealName(name), k.Sealed)
	if err != nil {
		return s, fmt.Errorf("the secrets of connection %s: %w", name, err)
	}
	return s, json.Unmarshal(plain, &s)
}

func (c *Connections) view(k *kept) View {
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	return View{c.config.Scheme.Connection(k.Public.Name, k.ID), "api", at(k.Created), at(k.Updated), k.Public}
}

// declaredID is the same at every start.
func declaredID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("lockstep:connection:"+name)).String()
}

// Get shows a connection.
func (c *Connections) Get(ctx context.Context, name string) (View, error) {
	if s, ok := c.declared[name]; ok {
		return View{ARN: c.config.Scheme.Connection(name, declaredID(name)), From: "configuration", Spec: s.shown()}, nil
	}
	k, err := c.kept(ctx, name)
	if err != nil {
		return View{}, err
	}
	return c.view(&k), nil
}

func (c *Connections) kept(ctx context.Context, name string) (k kept, err error) {
	r, err := c.config.Store.Setting(ctx, recordKind, name)
	if errors.Is(err, store.ErrNotFound) {
		return k, rest.NotFound("There is no connection %.64q.", name)
	}
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(r.Data, &k)
}

// List shows all connections by name.
func (c *Connections) List(ctx context.Context) ([]View, error) {
	list := []View{}
	for name := range c.declared {
		v, _ := c.Get(ctx, name) // a declared one is there
		list = append(list, v)
	}
	for after := ""; ; {
		page, err := c.config.Store.Settings(ctx, recordKind, after, 100)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			var k kept
			if err := json.Unmarshal(r.Data, &k); err != nil {
				return nil, err
			}
			if _, hidden := c.declared[r.Name]; !hidden {
				list = append(list, c.view(&k))
			}
			after = r.Name
		}
		if len(page) < 100 {
			slices.SortFunc(list, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
			return list, nil
		}
	}
}

// Delete removes a connection with its secrets.
func (c *Connections) Delete(ctx context.Context, name string) error {
	if _, ok := c.declared[name]; ok {
		return rest.Conflict("Connection %s is declared in the configuration file; remove it there.", name)
	}
	err := c.config.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSetting(ctx, recordKind, name) })
	c.forget(name)
	if errors.Is(err, store.ErrNotFound) {
		return rest.NotFound("There is no connection %.64q.", name)
	}
	return err
}

// spec finds a connection with its secrets. A definition from elsewhere names one
// with another account, region or id: its name decides.
func (c *Connections) spec(ctx context.Context, connectionARN string) (Spec, error) {
	name := NameIn(connectionARN)
	if name == "" {
		return Spec{}, task.Fail("Events.ConnectionResource.ResourceNotFound", "This is not the ARN of a connection: "+connectionARN)
	}
	if s, ok := c.declared[name]; ok {
		return s, nil
	}
	k, err := c.kept(ctx, name)
	var missing *rest.Error
	if errors.As(err, &missing) {
		return Spec{}, task.Fail("Events.ConnectionResource.ResourceNotFound",
			"There is no connection "+name+" on this server. Make it: lockstep connection add "+name)
	}
	if err != nil {
		return Spec{}, err
	}
	s, err := c.open(name, &k)
	if err != nil {
		return s, task.Fail("Events.ConnectionResource.InvalidConnectionState", err.Error())
	}
	return s, nil
}

// NameIn is the name in a connection's ARN, "" if it is none:
// arn:aws:events:us-east-1:123456789012:connection/name/id.
func NameIn(text string) string {
	f := strings.SplitN(text, ":", 6)
	if len(f) < 6 || f[0] != "arn" || f[2] != "events" {
		return ""
	}
	rest, ok := strings.CutPrefix(f[5], "connection/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || !nameForm.MatchString(name) {
		return ""
	}
	return name
}

// Authorize is what a connection adds to a request; see httptask.Connections.
func (c *Connections) Authorize(ctx context.Context, connectionARN string, refused *httptask.Authorization) (*httptask.Authorization, error) {
	s, err := c.spec(ctx, connectionARN)
	if err != nil {
		return nil, err
	}
	a := &httptask.Authorization{Secrets: s.secrets()}
	header := func(key, value string) { a.Headers = append(a.Headers, httptask.Param{Key: key, Value: value}) }
	switch s.Kind {
	case Basic:
		header("Authorization", "Basic "+s.basic())
	case APIKey:
		header(s.KeyName, s.KeyValue)
	case OAuth:
		token, err := c.token(ctx, &s, refused)
		if err != nil {
			return nil, err
		}
		header("Authorization", token.kind+" "+token.text)
		a.Secrets = append(a.Secrets, token.text)
	}
	if refused != nil && s.Kind != OAuth {
		return nil, nil
	}
	for _, p := range s.Params {
		to := map[string]*[]httptask.Param{"header": &a.Headers, "query": &a.Query, "body": &a.Body}[p.In]
		*to = append(*to, httptask.Param{Key: p.Key, Value: p.Value})
	}
	return a, nil
}
