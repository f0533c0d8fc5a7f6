package config

import (
	"net"

	"go.yaml.in/yaml/v3"
)

// Notifications say how people are told.
type Notifications struct {
	SMTP *SMTP // nil: no mail is sent
}

// SMTP is a server that takes mail.
type SMTP struct {
	Address  string // host:port
	From     string // who mail is from
	User     string
	Password string // a reference: env:NAME or file:PATH
	Security string // starttls, tls or none; "": starttls
}

var (
	notificationKeys = []string{"smtp"}
	smtpKeys         = []string{"address", "from", "user", "password", "security"}
)

func (r *reader) notifications(n *yaml.Node) (all Notifications) {
	r.fields(n, "notifications", notificationKeys, func(_ string, v *yaml.Node) {
		s := &SMTP{}
		plain := map[string]*string{"address": &s.Address, "from": &s.From, "user": &s.User, "security": &s.Security}
		r.fields(v, "smtp", smtpKeys, func(key string, v *yaml.Node) {
			if key == "password" {
				r.reference(v, key, &s.Password)
				return
			}
			r.text(v, key, plain[key])
		})
		if _, _, err := net.SplitHostPort(s.Address); (err != nil || s.From == "") && len(r.problems) == 0 {
			r.problem(v, "smtp needs address, as mail.example.com:587, and from, as Lockstep <lockstep@example.com>")
		}
		if s.Security != "" && s.Security != "starttls" && s.Security != "tls" && s.Security != "none" {
			r.problem(v, "security is starttls, tls or none, not %.60q", s.Security)
		}
		all.SMTP = s
	})
	return all
}
