package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNotifications(t *testing.T) {
	c, err := Parse([]byte("notifications:\n  smtp:\n    address: mail.example.com:587\n    from: Lockstep <l@example.com>\n    user: l\n    password: env:SMTP_PASSWORD\n    security: tls\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Notifications: Notifications{SMTP: &SMTP{Address: "mail.example.com:587", From: "Lockstep <l@example.com>", User: "l", Password: "env:SMTP_PASSWORD", Security: "tls"}}}
	if diff := cmp.Diff(want, *c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("notifications: {smtp: {address: mail.example.com, from: x}}", "smtp needs address, as mail.example.com:587")
	f("notifications: {smtp: {address: 'm:25'}}", "smtp needs address")
	f("notifications: {smtp: {address: 'm:25', from: x, password: swordfish}}", "password must say where the secret is")
	f("notifications: {smtp: {address: 'm:25', from: x, security: maybe}}", "security is starttls, tls or none")
	f("notifications: {mail: {}}", `unknown key "mail"`)
}
