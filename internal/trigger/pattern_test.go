package trigger

import (
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

func TestPattern(t *testing.T) {
	f := func(pattern, event string, want bool) {
		t.Helper()
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			return
		}
		v, err := value.Parse(event)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(v); got != want {
			t.Errorf("%s on %s: %t", pattern, event, got)
		}
	}
	const event = `{"source":"aws.s3","detail":{"state":"running","n":300,"ip":"10.0.0.7","list":["a","b"],"objects":[{"k":1},{"k":2}],"empty":"","nothing":null,"flag":true,"none":[]}}`
	yes := func(pattern string) { t.Helper(); f(pattern, event, true) }
	no := func(pattern string) { t.Helper(); f(pattern, event, false) }
	detail := func(rest string) string { return `{"detail":{` + rest + `}}` }

	yes(`{"source":["aws.s3"]}`)
	yes(`{"source":["aws.ec2","aws.s3"],"detail":{"state":["running"]}}`)
	no(`{"source":["aws.s3"],"detail":{"state":["stopped"]}}`)
	no(`{"source":["AWS.S3"]}`)
	no(`{"account":["1"]}`)
	yes(detail(`"n":[300]`))
	yes(detail(`"n":[3.0e2]`))
	no(detail(`"n":["300"]`))
	yes(detail(`"flag":[true]`))
	yes(detail(`"nothing":[null]`))
	no(detail(`"missing":[null]`))
	yes(detail(`"empty":[""]`))
	yes(detail(`"list":["b"]`))
	no(detail(`"list":["c"]`))
	yes(detail(`"objects":{"k":[2]}`))
	no(detail(`"objects":{"k":[3]}`))
	no(detail(`"objects":[1]`))
	yes(detail(`"state":[{"prefix":"run"}]`))
	no(detail(`"state":[{"prefix":"Run"}]`))
	yes(detail(`"state":[{"prefix":{"equals-ignore-case":"RUN"}}]`))
	yes(detail(`"state":[{"suffix":"ing"}]`))
	yes(detail(`"state":[{"suffix":{"equals-ignore-case":"ING"}}]`))
	yes(detail(`"state":[{"equals-ignore-case":"RUNNING"}]`))
	no(detail(`"n":[{"prefix":"3"}]`))
	yes(detail(`"state":[{"anything-but":"stopped"}]`))
	no(detail(`"state":[{"anything-but":"running"}]`))
	no(detail(`"state":[{"anything-but":["stopped","running"]}]`))
	yes(detail(`"n":[{"anything-but":[1,2]}]`))
	no(detail(`"n":[{"anything-but":300}]`))
	no(detail(`"missing":[{"anything-but":"x"}]`))
	no(detail(`"state":[{"anything-but":{"prefix":"run"}}]`))
	no(detail(`"state":[{"anything-but":{"prefix":["x","run"]}}]`))
	yes(detail(`"state":[{"anything-but":{"suffix":"ed"}}]`))
	no(detail(`"state":[{"anything-but":{"equals-ignore-case":["RUNNING"]}}]`))
	no(detail(`"state":[{"anything-but":{"wildcard":"*n*"}}]`))
	yes(detail(`"state":["x",{"prefix":"y"},{"wildcard":"r*g"}]`))
	yes(detail(`"n":[{"numeric":["=",300]}]`))
	yes(detail(`"n":[{"numeric":[">",0,"<=",300]}]`))
	no(detail(`"n":[{"numeric":[">",300]}]`))
	no(detail(`"state":[{"numeric":[">",0]}]`))
	yes(detail(`"ip":[{"cidr":"10.0.0.0/24"}]`))
	no(detail(`"ip":[{"cidr":"10.0.1.0/24"}]`))
	no(detail(`"state":[{"cidr":"10.0.0.0/24"}]`))
	yes(detail(`"state":[{"exists":true}]`))
	no(detail(`"state":[{"exists":false}]`))
	yes(detail(`"missing":[{"exists":false}]`))
	no(detail(`"missing":[{"exists":true}]`))
	yes(detail(`"missing":{"deeper":[{"exists":false}]}`))
	yes(detail(`"none":[{"exists":false}]`))
	no(detail(`"objects":[{"exists":true}]`)) // not a leaf
	yes(`{"$or":[{"source":["x"]},{"detail":{"n":[300]}}]}`)
	no(`{"$or":[{"source":["x"]},{"source":["y"]}]}`)
	no(`{"source":["x"],"$or":[{"source":["aws.s3"]},{"source":["y"]}]}`)
	yes(detail(`"$or":[{"n":[1]},{"state":["running"],"n":[300]}]`))

	wild := func(pattern, text string, want bool) {
		t.Helper()
		f(`{"a":[{"wildcard":"`+strings.ReplaceAll(pattern, `\`, `\\`)+`"}]}`, `{"a":"`+strings.ReplaceAll(text, `\`, `\\`)+`"}`, want)
	}
	wild("*", "", true)
	wild("a*b*c", "abc", true)
	wild("a*b*c", "axxbyyc", true)
	wild("a*b*c", "ac", false)
	wild("*ab", "aab", true)
	wild("ab*ba", "aba", false)
	wild(`a\*b`, "a*b", true)
	wild(`a\*b`, "axb", false)
	wild(`a\\*`, `a\x`, true)
}

func TestBadPatterns(t *testing.T) {
	f := func(pattern, want string) {
		t.Helper()
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
	f(`{}`, "$ must be an object that is not empty")
	f(`[]`, "$ must be an object that is not empty")
	f(`{"a":"x"}`, "$.a must be an object that is not empty, or a list of alternatives")
	f(`{"a":[]}`, "$.a has no alternatives")
	f(`{"a":[[1]]}`, "a list stands within a list")
	f(`{"a":[{"prefix":"x","suffix":"y"}]}`, "an operator stands alone in its object")
	f(`{"a":[{"like":"x"}]}`, `$.a[0]: there is no operator "like"`)
	f(`{"a":[{"prefix":1}]}`, "prefix must be a text")
	f(`{"a":[{"exists":1}]}`, "exists must be true or false")
	f(`{"a":[{"numeric":[">"]}]}`, "numeric must be like")
	f(`{"a":[{"numeric":["!",1]}]}`, "numeric has operators")
	f(`{"a":[{"cidr":"10.0.0.0"}]}`, "cidr must be a network")
	f(`{"a":[{"anything-but":[]}]}`, "anything-but has nothing")
	f(`{"a":[{"anything-but":true}]}`, "anything-but must have texts or numbers")
	f(`{"a":[{"anything-but":{"numeric":"x"}}]}`, "there is no operator")
	f(`{"a":[{"wildcard":"a**"}]}`, "two * in a row")
	f(`{"$or":[{"a":[1]}]}`, "$.$or must have at least two choices")
	f(`{`, "")
	f(strings.Repeat(`{"a":`, 60)+`[1]`+strings.Repeat(`}`, 60), "the pattern is too deep")
	f(`{"a":["`+strings.Repeat("x", 5000)+`"]}`, "more than 4096 bytes")
}

func FuzzPattern(f *testing.F) {
	f.Add(`{"a":[{"anything-but":{"wildcard":"*x*"}}],"$or":[{"b":[1]},{"c":[{"numeric":[">",1]}]}]}`, `{"a":"y","b":[1]}`)
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := ParsePattern(pattern)
		v, errEvent := value.Parse(event)
		if err == nil && errEvent == nil {
			p.Match(v)
		}
	})
}
