package awsapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/arn"
)

// A server that serves several accounts takes an access key id of twelve digits
// for the account that the caller acts in, as other local stands for AWS do. The
// account counts where a request names something without an ARN: what it creates
// and what it lists. An ARN finds what it names in whatever account that is: nobody
// checks here who may do what across accounts.

// account is the account that a request acts in; "" is the server's own.
func (s *Server) account(r *http.Request) string {
	if !s.scheme.Others {
		return ""
	}
	scope, signed := r.Header.Get("Authorization"), false
	if scope != "" {
		_, scope, signed = strings.Cut(scope, "Credential=")
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential") {
		scope, signed = r.URL.Query().Get("X-Amz-Credential"), true
	}
	id, _, scoped := strings.Cut(scope, "/")
	if !signed || !scoped || !arn.IsAccount(id) || id == s.scheme.Account {
		return ""
	}
	return strings.Clone(id)
}

// scope is what a nextToken of a list of everything in an account belongs to.
func (in *input) scope(action string) []string {
	if in.account == "" {
		return []string{action}
	}
	return []string{action, in.account}
}

// ofAccount reads a page of what an account has, and one more if there is more, by
// name. The account is given as what its names begin with, "" for the server's own.
func ofAccount[T any](ctx context.Context, prefix string, p page, read func(ctx context.Context, after string, limit int) ([]T, error), name func(T) string) (list []T, err error) {
	most := p.limit + 1
	if prefix != "" { // its names stand together
		list, err = read(ctx, prefix+p.after, most)
		if end := slices.IndexFunc(list, func(t T) bool { return !strings.HasPrefix(name(t), prefix) }); end >= 0 {
			list = list[:end]
		}
		return list, err
	}
	for after := p.after; len(list) < most; {
		batch, err := read(ctx, after, most-len(list))
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(batch, func(t T) bool { return arn.Plain(name(t)) != name(t) })
		if i < 0 {
			return append(list, batch...), nil
		}
		account, _ := arn.Split(name(batch[i]))
		list, after = append(list, batch[:i]...), account+afterAccount // in one step over all that it has
	}
	return list, nil
}

// afterAccount follows on the colon of qualified names, and cannot stand in a name.
const afterAccount = ";"
