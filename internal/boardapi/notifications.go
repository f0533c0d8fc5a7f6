package boardapi

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

func (a *API) registerNotifications(handle func(string, func(*request) (any, error))) {
	handle = with(handle, func(a *API) bool { return a.told != nil })
	handle("GET /api/v1/notifications", a.notifications)
	handle("POST /api/v1/notifications/read", a.readNotifications)
	handle("GET /api/v1/notifications/preferences", a.preferences)
	handle("PUT /api/v1/notifications/preferences", a.prefer)
	handle("GET /api/v1/notifications/deliveries", a.ownDeliveries)
	handle("POST /api/v1/notifications/test", a.testChannel)
}

// user is the id of the person who calls.
func (r *request) user() (string, error) {
	if err := r.people(); err != nil {
		return "", err
	}
	_, id := r.call.By.Split()
	return id, nil
}

// noGood turns what is wrong with a request into an answer.
func noGood(err error) error {
	var bad notices.Invalid
	if errors.As(err, &bad) {
		return rest.Invalid("%s", rest.Sentence(bad.Error()))
	}
	return err
}

// notifications lists those of the caller: unread ones first, each newest first.
func (a *API) notifications(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	q, err := r.query("limit", "cursor", "unread")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	prefixes := notices.Prefixes(user)
	if q["unread"] != "" && q["unread"] != "0" {
		prefixes = prefixes[:1]
	}
	rows, next, err := r.records(notices.KindNotification, prefixes, q["cursor"], n, func(rec store.Record) (any, error) {
		var v notices.Notification
		return &v, json.Unmarshal(rec.Data, &v)
	})
	if err != nil {
		return nil, err
	}
	const most = 1000
	unread, err := a.store.Records(r.Context(), store.Prefix(notices.KindNotification, prefixes[0], most))
	if err != nil {
		return nil, err
	}
	page := map[string]any{"notifications": rows, "unread": len(unread)} // 1,000 stands for that and more
	if next != "" {
		page["next_cursor"] = next
	}
	return page, nil
}

func (a *API) readNotifications(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	in, err := read[readBody](r)
	if err != nil {
		return nil, err
	}
	if in.All != (len(in.IDs) == 0) || len(in.IDs) > 1000 {
		return nil, rest.Invalid("Say which: ids, of at most 1,000 notifications, or all.")
	}
	n, err := a.told.Read(r.Context(), user, in.IDs)
	return map[string]any{"read": n}, err
}

func (a *API) preferences(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	return a.told.Preferences(r.Context(), user)
}

func (a *API) prefer(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	in, err := read[notices.Change](r)
	if err != nil {
		return nil, err
	}
	p, err := a.told.Prefer(r.Context(), user, in)
	return p, noGood(err)
}

// ownDeliveries lists what was sent to the caller's channels, newest first.
func (a *API) ownDeliveries(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	q, err := r.query("limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	all, err := a.told.Deliveries(r.Context(), user, 10_000)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for i := len(all) - 1; i >= 0 && len(list) < n; i-- {
		list = append(list, all[i])
	}
	return map[string]any{"deliveries": list}, nil
}

func (a *API) testChannel(r *request) (any, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	in, err := read[testBody](r)
	if err != nil {
		return nil, err
	}
	if err := a.told.Test(r.Context(), user, in.Channel); err != nil {
		return nil, noGood(err)
	}
	return map[string]any{"delivered": true, "message": fmt.Sprintf("The channel %s works.", in.Channel)}, nil
}
