package arn

import (
	"slices"
	"strings"
	"testing"
)

var several = Scheme{Partition: "aws", Region: "us-east-1", Account: "123456789012", Others: true}

func TestQualifiedNames(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(several.Machine("m"), "arn:aws:states:us-east-1:123456789012:stateMachine:m")
	f(several.Machine("222222222222:m"), "arn:aws:states:us-east-1:222222222222:stateMachine:m")
	f(several.Machine("222222222222:m/label"), "arn:aws:states:us-east-1:222222222222:stateMachine:m/label")
	f(several.Machine("222222222222"), "arn:aws:states:us-east-1:123456789012:stateMachine:222222222222")
	f(several.Version("222222222222:m", 7), "arn:aws:states:us-east-1:222222222222:stateMachine:m:7")
	f(several.Alias("222222222222:m", "prod"), "arn:aws:states:us-east-1:222222222222:stateMachine:m:prod")
	f(several.Activity("222222222222:a"), "arn:aws:states:us-east-1:222222222222:activity:a")
	f(several.Execution("222222222222:m", "x"), "arn:aws:states:us-east-1:222222222222:execution:m:x")
	f(several.Express("222222222222:m", "x", "u"), "arn:aws:states:us-east-1:222222222222:express:m:x:u")
	f(several.MapRun("222222222222:m", "label", "u"), "arn:aws:states:us-east-1:222222222222:mapRun:m/label:u")
	f(several.Machine(""), "arn:aws:states:us-east-1:123456789012:stateMachine:")
	f(Plain("222222222222:m"), "m")
	f(Plain("22222222222x:m"), "22222222222x:m")
	f(several.Kept("", "m"), "m")
	f(several.Kept("123456789012", "m"), "m")
	f(several.Kept("222222222222", "m"), "222222222222:m")
}

func TestFind(t *testing.T) {
	f := func(s Scheme, text, want string) {
		t.Helper()
		n, ok := Parse(text)
		if !ok {
			t.Fatalf("%s is no ARN", text)
		}
		got, ok := s.Find(n)
		if got != want || ok != (want != "") {
			t.Errorf("%s is kept as %q, %t; want %q", text, got, ok, want)
		}
	}
	alone := Default
	f(alone, "arn:aws:states:us-east-1:123456789012:stateMachine:m", "m")
	f(alone, "arn:aws:states:us-east-1:222222222222:stateMachine:m", "")
	f(several, "arn:aws:states:us-east-1:123456789012:stateMachine:m:3", "m")
	f(several, "arn:aws:states:us-east-1:222222222222:stateMachine:m:3", "222222222222:m")
	f(several, "arn:aws:states:us-east-1:222222222222:mapRun:m/label:u", "222222222222:m/label")
	f(several, "arn:aws:states:us-east-1:22222222222:stateMachine:m", "")
	f(several, "arn:aws:states:us-east-1:22222222222x:stateMachine:m", "")
	f(several, "arn:aws:states:us-east-1::stateMachine:m", "")
	f(several, "arn:aws:states:eu-west-1:222222222222:stateMachine:m", "")
	f(several, "arn:aws-cn:states:us-east-1:222222222222:stateMachine:m", "")
	f(several, "arn:aws:lambda:us-east-1:222222222222:function:m", "")
}

// From a name to its ARN and back nothing is lost, in whatever account it is, and
// two names never have one ARN.
func FuzzNames(f *testing.F) {
	f.Add("123456789012", "m", "x")
	f.Add("222222222222", "222222222222", "123456789012")
	f.Add("000000000000", "m/label", "prod")
	f.Add("", "m", "7")
	f.Fuzz(func(t *testing.T, account, name, second string) {
		if account != "" && !IsAccount(account) || name == "" || second == "" || strings.Contains(name+second, ":") {
			return // no such names are given out
		}
		kept := several.Kept(account, name)
		if kept != several.Kept(Split(kept)) || Plain(kept) != name {
			t.Errorf("%q in %q is kept as %q, which is %q again", name, account, kept, Plain(kept))
		}
		for typ, text := range map[string]string{
			"stateMachine": several.Alias(kept, second), "execution": several.Execution(kept, second),
			"express": several.Express(kept, second, "u"), "mapRun": several.MapRun(kept, "label", second),
		} {
			n, ok := Parse(text)
			back, ours := several.Find(n)
			back = strings.TrimSuffix(back, map[string]string{"mapRun": "/label"}[typ])
			if !ok || !ours || n.Type != typ || back != kept || !slices.Contains(n.Parts, second) {
				t.Errorf("%s names %q, want %q", text, back, kept)
			}
		}
	})
}
