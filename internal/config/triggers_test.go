package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSchedulesAndTriggers(t *testing.T) {
	c, err := Parse([]byte(`
schedules:
  nightly:
    expression: cron(0 3 * * ? *)
    timezone: Europe/Berlin
    machine: orders
    window: 15m
    missed: all
    missed_max: 5
    input: {a: [1, "<aws.scheduler.scheduled-time>"]}
triggers:
  push: {type: webhook, machine: build, scheme: github, secret: 'env:HOOK_SECRET'}
  big: {type: event, machine: orders, pattern: {source: [shop], detail: {total: [{numeric: [">", 100]}]}}}
  files: {type: object, machine: load, bucket: inbox, suffix: .csv, paused: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Schedules: []Schedule{{Name: "nightly", Expression: "cron(0 3 * * ? *)", Timezone: "Europe/Berlin", Machine: "orders", Window: 15 * time.Minute,
			Missed: "all", MissedMax: 5, Input: json.RawMessage(`{"a":[1,"\u003caws.scheduler.scheduled-time\u003e"]}`)}},
		Triggers: []Trigger{
			{Name: "push", Type: "webhook", Machine: "build", Scheme: "github", Secret: "env:HOOK_SECRET"},
			{Name: "big", Type: "event", Machine: "orders", Pattern: json.RawMessage(`{"detail":{"total":[{"numeric":["\u003e",100]}]},"source":["shop"]}`)},
			{Name: "files", Type: "object", Machine: "load", Bucket: "inbox", Suffix: ".csv", Paused: true},
		},
	}
	if diff := cmp.Diff(want, *c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("schedules: {a: {window: 90s}}", `window must be whole minutes, such as 15m or 2h, not "90s"`)
	f("schedules: {a: {missed_max: many}}", "missed_max must be a number")
	f("schedules: {a: {input: '{'}}", "input must be JSON, or a value in YAML")
	f("schedules: {a: {cron: x}}", `unknown key "cron" in schedule a`)
	f("triggers: {a: {secret: swordfish}}", "secret must say where the secret is, env:NAME or file:PATH")
	f("triggers: {a: {typ: x}}", `unknown key "typ" in trigger a; did you mean type?`)
}
