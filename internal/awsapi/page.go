package awsapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strings"
)

// page is the part of a list that a request asks for.
type page struct {
	limit int
	after string // where the last page ended, "" for the first
	scope string
}

// maxToken is the longest nextToken of most operations; ListExecutions takes
// longer ones.
const maxToken = 1024

// page reads maxResults and nextToken. The scope is everything else that the
// request asks for: a token continues only the request that it came from.
func (in *input) page(maxToken int, scope ...string) (page, error) {
	p := page{limit: int(in.integer("maxResults", 0, 1000)), scope: strings.Join(scope, "\x00")}
	if p.limit == 0 {
		p.limit = 100
	}
	token, given := in.optional("nextToken", bounds{min: 1, max: maxToken})
	if in.failed() {
		return page{}, in.err()
	}
	if given {
		var ok bool
		if p.after, ok = p.open(token); !ok {
			return page{}, invalidToken()
		}
	}
	return p, nil
}

// token makes the nextToken for what follows after. It holds a sum over the
// request's scope, so that foreign and mistyped tokens are noticed; it guards
// no secret.
func (p page) token(after string) string {
	return base64.RawURLEncoding.EncodeToString(append(p.sum(after), after...))
}

func (p page) open(token string) (after string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 9 {
		return "", false
	}
	after = string(raw[8:])
	return after, string(p.sum(after)) == string(raw[:8])
}

func (p page) sum(after string) []byte {
	h := fnv.New64a()
	h.Write([]byte(p.scope))
	h.Write([]byte{0})
	h.Write([]byte(after))
	return binary.BigEndian.AppendUint64(nil, h.Sum64())
}
