package boardapi

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// place is where a page of records ended: the key and id of its last.
type place struct{ Key, ID string }

// records goes through the records under prefixes, one after the other, from
// where a cursor says, and makes a row of each. It returns the cursor of the next
// page, "" after the last.
func (r *request) records(kind string, prefixes []string, cursor string, n int, row func(store.Record) (any, error)) ([]any, string, error) {
	rows := []any{}
	var from place
	if cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		at := -1
		if err == nil && json.Unmarshal(text, &from) == nil {
			at = slices.IndexFunc(prefixes, func(p string) bool { return strings.HasPrefix(from.Key, p) })
		}
		if at < 0 {
			return nil, "", rest.Invalid("The cursor is not one of this list.")
		}
		prefixes = prefixes[at:]
	}
	for _, prefix := range prefixes {
		q := store.Prefix(kind, prefix, n-len(rows)+1)
		if strings.HasPrefix(from.Key, prefix) {
			q.From, q.AfterID = from.Key, from.ID
		}
		found, err := r.a.store.Records(r.Context(), q)
		if err != nil {
			return nil, "", err
		}
		for _, f := range found {
			if len(rows) == n {
				text, _ := json.Marshal(from) // two texts
				return rows, base64.RawURLEncoding.EncodeToString(text), nil
			}
			v, err := row(f.Record)
			if err != nil {
				return nil, "", err
			}
			rows, from = append(rows, v), place{f.Key, f.ID}
		}
	}
	return rows, "", nil
}

// with is handle for calls that an API without some part of its Config does not
// have.
func with(handle func(string, func(*request) (any, error)), has func(a *API) bool) func(string, func(*request) (any, error)) {
	return func(pattern string, do func(*request) (any, error)) {
		handle(pattern, func(r *request) (any, error) {
			if !has(r.a) {
				return nil, rest.NotFound("This server has no such call.")
			}
			return do(r)
		})
	}
}
