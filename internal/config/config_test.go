package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockstep.yaml")
	text := `
listen: 127.0.0.1:9000
data: ./here
region: eu-central-1
account: 010987654321
functions:
  resize:
    url: http://127.0.0.1:9001/resize
  arn:aws:lambda:us-east-1:123456789012:function:mail: {url: "https://example.com/mail"}
models:
  - match: anthropic.*
    provider: anthropic
    timeout: 90s
  - {match: "*", provider: openai, model: llama3.2, url: http://127.0.0.1:11434/v1, key_env: NONE}
  - {match: tests.*, provider: script, script: replies.yaml, rate: 30/m}
gates:
  - {machine: moderator, state: Rate, path: "$.Body.content[0].text", json: true, schema: rate.json, empty: refuse, refusal: refuse}
logs:
  /aws/vendedlogs/*: stdout
  "*": ./executions.jsonl
limits:
  history: 100_000
  spill: s3://claims
  retention: 30d
  machines:
    etl-*: {payload: 2MiB, spill: s3://claims/etl}
    "*-slow": {history: 250000, retention: forever}
throttle: true
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Listen: "127.0.0.1:9000", Data: "./here", Region: "eu-central-1", Account: "010987654321",
		Functions: map[string]Function{
			"resize": {URL: "http://127.0.0.1:9001/resize"},
			"arn:aws:lambda:us-east-1:123456789012:function:mail": {URL: "https://example.com/mail"},
		},
		Models: []Model{
			{Match: "anthropic.*", Provider: "anthropic", Timeout: 90 * time.Second},
			{Match: "*", Provider: "openai", Model: "llama3.2", URL: "http://127.0.0.1:11434/v1", KeyEnv: "NONE"},
			{Match: "tests.*", Provider: "script", Script: filepath.Join(filepath.Dir(path), "replies.yaml"), Rate: 0.5},
		},
		Gates: []Gate{{Machine: "moderator", State: "Rate", Path: "$.Body.content[0].text", JSON: true, Schema: filepath.Join(filepath.Dir(path), "rate.json"), Empty: "refuse", Refusal: "refuse"}},
		Logs:  []Log{{"/aws/vendedlogs/*", "stdout"}, {"*", "./executions.jsonl"}},
		Limits: Limits{History: 100_000, Spill: "s3://claims", Retention: 30 * 24 * time.Hour, Machines: []MachineLimits{
			{Match: "etl-*", Payload: 2 << 20, Spill: "s3://claims/etl"}, {Match: "*-slow", History: 250_000, Retention: Forever},
		}},
		Throttle: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Load(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.WriteFile(path, []byte("lisen: x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+": line 1: ") {
		t.Errorf("error %v does not begin with the file and the line", err)
	}
}

func TestEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "functions:\nmodels:\n", "{}"} {
		c, err := Parse([]byte(text))
		if err != nil || c.Listen != "" || len(c.Functions)+len(c.Models) > 0 {
			t.Errorf("%q gives %+v, %v", text, c, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := Parse([]byte(text))
		if err == nil {
			t.Errorf("%q was accepted", text)
			return
		}
		if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	f("lisen: x\nregoin: y", `line 1: unknown key "lisen" in the configuration; did you mean listen?`,
		`line 2: unknown key "regoin" in the configuration; did you mean region?`)
	f("port: 1", `line 1: unknown key "port" in the configuration; there are listen, data, region, account, functions, models, gates, logs, limits, throttle, machines_on_aws, egress, connections, schedules, triggers, notifications`)
	f("data: a\ndata: b", `line 2: "data" stands twice in the configuration, first in line 1`)
	f("- a", `line 1: the configuration must be written as key: value`)
	f("listen: [1]", `line 1: listen must be a text`)
	f("region: Frankfurt", `line 1: region must be a name such as us-east-1, not "Frankfurt"`)
	f("account: 12", `line 1: account must have twelve digits, not "12"`)
	f("functions:\n  f: http://x/", `line 2: function f must be written as key: value`)
	f("functions:\n  f: {}", `line 2: function f needs one of url, command and worker: say where it answers, for instance url: http://127.0.0.1:9000/, or what runs it, for instance command: node index.mjs`)
	f("functions: {f: {url: 'http://x/', command: a}}", `line 1: function f needs one of url, command and worker: say where it answers, for instance url: http://127.0.0.1:9000/, or what runs it, for instance command: node index.mjs`)
	f("functions: {f: {command: 'sh -c \"a b\"'}}", `line 1: command with quotes must be a list, such as [sh, -c, 'echo $HOME']`)
	f("functions: {f: {command: a, memory: 1GB, timeout: soon, retries: x, env: [a], pass_env: b}}", "line 1: memory must be a whole number, not \"1GB\"\nline 1: timeout must be a time such as 90s or 2m, not \"soon\"\nline 1: retries must be a whole number, not \"x\"\nline 1: env must be written as key: value\nline 1: pass_env must be a list")
	f("functions: {f: {url: x}}", `line 1: url must be an address with http:// or https://`)
	f("functions: {f: {url: 'http://me:secret@x/'}}", `line 1: url must not hold a password`)
	f("models: {}", `line 1: models must be a list: each begins with - match:`)
	f("models:\n- match: a", `line 2: a model needs provider: one of anthropic, bedrock, extractor, hash-embedder, lexicon, openai, script`)
	f("models:\n- provider: lexicon", `line 2: a model needs match: a ModelId, or a pattern such as anthropic.*`)
	f("models:\n- {match: a, provider: antropic}", `line 2: unknown provider "antropic"; did you mean anthropic?`)
	f("models:\n- {match: a, provider: openai, key_env: sk-123}",
		`line 2: key_env must be the name of an environment variable, such as OPENAI_API_KEY; a key itself does not belong here`)
	f("models:\n- {match: a, provider: openai, api_key: sk-123}",
		`line 2: unknown key "api_key" in a model; there are match, provider, model, url, key_env, timeout, script, rate, billing`)
	f("models:\n- {match: a, provider: openai, timeout: 90}", `line 2: timeout must be a time such as 90s or 2m, not "90"`)
	f("logs: [a]", `line 1: logs must be written as key: value`)
	f("logs:\n  '*':", `line 2: log group * needs the path of a file, or stdout`)
	f("a: [", `line 1: did not find expected node content`)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("models:\n- {match: a, provider: openai}\nfunctions: &a {x: {url: http://x}}\n"))
	f.Add([]byte("a: &a [*a, *a]\n? [b] : c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := Parse(text); (c == nil) == (err == nil) {
			t.Errorf("%q gives %v and %v", text, c, err)
		}
	})
}

func TestLimits(t *testing.T) {
	l := Limits{Payload: 512 << 10, Machines: []MachineLimits{{Match: "etl-*-big", Payload: 4 << 20}, {Match: "etl-*", Payload: 1 << 20, History: 50_000}, {Match: "one"}}}
	f := func(machine string, payload int, history int64) {
		t.Helper()
		if gotPayload, gotHistory := l.Of(machine); gotPayload != payload || gotHistory != history {
			t.Errorf("limits of %s: %d, %d, want %d, %d", machine, gotPayload, gotHistory, payload, history)
		}
	}
	f("other", 512<<10, 0)
	f("etl-", 1<<20, 50_000)
	f("etl-a-big", 4<<20, 0)
	f("etl-big", 1<<20, 50_000)
	f("etl-a-bigger", 1<<20, 50_000)
	f("one", 512<<10, 0)
	l.Spill, l.Machines[0].Spill = "s3://all", "none"
	if own, others := l.SpillOf("etl-a-big"), l.SpillOf("etl-"); own != "none" || others != "s3://all" {
		t.Errorf("results are spilled to %s and %s", own, others)
	}
	if got := l.LargestPayload(); got != 4<<20 {
		t.Errorf("the largest payload is %d", got)
	}
}

func TestWrongLimits(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
	f("limits: {payload: 5MiB}", "line 1: payload must be from 256KiB, which is AWS's, to 4MiB, not 5MiB")
	f("limits: {payload: 4194305}", "line 1: payload must be from 256KiB, which is AWS's, to 4MiB, not 4194305")
	f("limits: {payload: 262143}", "line 1: payload must be from 256KiB, which is AWS's, to 4MiB, not 262143")
	f("limits: {payload: 9999999999999MiB}", "line 1: payload must be from 256KiB, which is AWS's, to 4MiB, not 9999999999999MiB")
	f("limits: {payload: 1GB}", `line 1: payload must be a size such as 512KiB or 1MiB, not "1GB"`)
	f("limits: {history: 250001}", "line 1: history must be from 25000, which is AWS's, to 250000, not 250001")
	f("limits: {history: lots}", `line 1: history must be a number of events such as 100000, not "lots"`)
	f("limits: {machines: {m: {payloads: 1MiB}}}", `line 1: unknown key "payloads" in the limits of m; did you mean payload?`)
	f("throttle: often", "line 1: throttle must be true or false")
	f("machines_on_aws: 1", "line 1: machines_on_aws must be true or false")
	f("limits: {spill: claims/x}", `line 1: spill must be s3://bucket/prefix or none, not "claims/x"`)
	f("limits: {machines: {m: {spill: 's3:///x'}}}", `line 1: spill must be s3://bucket/prefix or none, not "s3:///x"`)
	f("limits: {retention: 59m}", "line 1: retention must be an hour (1h) at least, not 59m")
	f("limits: {retention: 0}", "line 1: retention must be an hour (1h) at least, not 0")
	f("limits: {retention: 90}", `line 1: retention must be a time such as 90d or 36h, or forever, not "90"`)
	f("limits: {retention: -90d}", `line 1: retention must be a time such as 90d or 36h, or forever, not "-90d"`)
	f("limits: {retention: 1d-1h}", `line 1: retention must be a time such as 90d or 36h, or forever, not "1d-1h"`)
	f("limits: {retention: d}", `line 1: retention must be a time such as 90d or 36h, or forever, not "d"`)
	f("limits: {retention: 4000000000d}", "line 1: retention must be 36500d at most, or forever, not 4000000000d")
	f("limits: {machines: {m: {retention: always}}}", `line 1: retention must be a time such as 90d or 36h, or forever, not "always"`)
	f("limits: {machines: {m: {payload: 1}}}", "line 1: payload must be from 256KiB, which is AWS's, to 4MiB, not 1")
}

func TestRetention(t *testing.T) {
	parse := func(text string, want time.Duration) {
		t.Helper()
		if got, err := ParseRetention(text); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	parse("90d", 90*24*time.Hour)
	parse("1d12h", 36*time.Hour)
	parse("1h", time.Hour)
	parse("90m", 90*time.Minute)
	parse("0d60m", time.Hour)
	parse("36500d", 36500*24*time.Hour)
	parse("forever", Forever)

	var l Limits
	f := func(machine string, want, shortest time.Duration) {
		t.Helper()
		if got := l.RetentionOf(machine); got != want {
			t.Errorf("%s: kept for %v, want %v", machine, got, want)
		}
		if got := l.ShortestRetention(); got != shortest {
			t.Errorf("the shortest time is %v, want %v", got, shortest)
		}
	}
	f("m", DefaultRetention, DefaultRetention)
	l.Machines = []MachineLimits{{Match: "audit-*", Retention: Forever}, {Match: "audit-x", Retention: time.Hour}, {Match: "big", Payload: 1 << 20}, {Match: "t", Retention: 2 * time.Hour}}
	f("audit-x", Forever, time.Hour) // the first counts
	f("big", DefaultRetention, time.Hour)
	l.Retention = Forever
	f("big", Forever, time.Hour)
	f("t", 2*time.Hour, time.Hour)
	l.Machines = nil
	f("t", Forever, Forever)
}

func TestMatches(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := matches(pattern, name); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, name, got, want)
		}
	}
	f("a", "a", true)
	f("a", "ab", false)
	f("*", "", true)
	f("a*c", "abc", true)
	f("a*c", "ac", true)
	f("a*c", "acb", false)
	f("a*b*c", "a-b-b-c", true)
	f("a*b*c", "a-c", false)
	f("ab*b", "ab", false)
}

// What the guide shows can be read.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/functions-and-models.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Function{
		Command: []string{"node", "bootstrap.mjs"}, Dir: "functions/orders", Handler: "handler.handle", Timeout: 10 * time.Second,
		Env: map[string]string{"LEVEL": "debug"},
	}
	if diff := cmp.Diff(want, c.Functions["orders"]); diff != "" {
		t.Errorf("the function of the guide (-want +got):\n%s", diff)
	}
}
