package config

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Egress says where the server may call on behalf of state machines, beside what
// is public. The entries are those of internal/egress, which checks them.
type Egress struct {
	Allow []string // hosts, addresses and networks
	Ports []int    // beside those of HTTP
	Proxy bool     // use the proxy that the environment names
}

// Connection is what authorizes calls of HTTP tasks. Secrets are references:
// env:NAME or file:PATH.
type Connection struct {
	Name, Type, Description string
	Username, Password      string // Password is a reference
	KeyName, KeyValue       string // KeyValue is a reference
	ClientID, ClientSecret  string // ClientSecret is a reference
	TokenURL                string
	TokenMethod, TokenAuth  string
	Params, TokenParams     []Param
}

// Param is a parameter of a request. A value that is a reference is secret.
type Param struct{ In, Key, Value string }

// IsReference reports whether a text stands for what an environment variable or a
// file holds.
func IsReference(text string) bool {
	return strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:")
}

var (
	egressKeys     = []string{"allow", "ports", "proxy"}
	connectionKeys = []string{"type", "description", "username", "password", "key_name", "key_value", "client_id", "client_secret",
		"token_url", "token_method", "token_auth", "headers", "query", "body", "token_headers", "token_query", "token_body"}
	connectionTypes = []string{"api_key", "basic", "oauth_client_credentials"}
)

func (r *reader) egress(n *yaml.Node, to *Egress) {
	r.fields(n, "egress", egressKeys, func(key string, v *yaml.Node) {
		switch key {
		case "allow":
			to.Allow = r.texts(v, key)
		case "ports":
			for _, text := range r.texts(v, key) {
				port, err := strconv.Atoi(text)
				if err != nil || port < 1 || port > 65535 {
					r.problem(v, "there is no port %.20q", text)
				}
				to.Ports = append(to.Ports, port)
			}
		case "proxy":
			r.flag(v, key, &to.Proxy)
		}
	})
}

func (r *reader) connections(n *yaml.Node) (all []Connection) {
	r.fields(n, "connections", nil, func(name string, v *yaml.Node) {
		c := Connection{Name: name}
		r.fields(v, "connection "+name, connectionKeys, func(key string, v *yaml.Node) { r.connection(&c, key, v) })
		if c.Type == "" && len(r.problems) == 0 {
			r.problem(v, "connection %s needs type: one of %s", name, strings.Join(connectionTypes, ", "))
		}
		all = append(all, c)
	})
	return all
}

func (r *reader) connection(c *Connection, key string, v *yaml.Node) {
	plain := map[string]*string{"description": &c.Description, "username": &c.Username, "key_name": &c.KeyName,
		"client_id": &c.ClientID, "token_method": &c.TokenMethod, "token_auth": &c.TokenAuth}
	secret := map[string]*string{"password": &c.Password, "key_value": &c.KeyValue, "client_secret": &c.ClientSecret}
	switch {
	case plain[key] != nil:
		r.text(v, key, plain[key])
	case secret[key] != nil:
		r.reference(v, key, secret[key])
	case key == "type":
		if r.text(v, key, &c.Type); c.Type != "" && !slices.Contains(connectionTypes, strings.ToLower(c.Type)) {
			r.problem(v, "unknown type %.60q%s", c.Type, hint(strings.ToLower(c.Type), connectionTypes))
		}
		c.Type = strings.ToUpper(c.Type)
	case key == "token_url":
		r.address(v, key, &c.TokenURL)
	default:
		in, to := key, &c.Params
		if rest, ok := strings.CutPrefix(key, "token_"); ok {
			in, to = rest, &c.TokenParams
		}
		in = strings.TrimSuffix(in, "s") // headers
		r.fields(v, key, nil, func(name string, v *yaml.Node) {
			p := Param{In: in, Key: name}
			r.text(v, key+" "+name, &p.Value)
			*to = append(*to, p)
		})
	}
}

// reference reads where a secret is. The secret itself does not belong here, and
// is not repeated in the message.
func (r *reader) reference(n *yaml.Node, key string, to *string) {
	if !r.text(n, key, to) {
		return
	}
	name, isEnv := strings.CutPrefix(*to, "env:")
	if !IsReference(*to) || isEnv && !envForm.MatchString(name) {
		r.problem(n, "%s must say where the secret is, env:NAME or file:PATH; the secret itself does not belong here", key)
	}
}
